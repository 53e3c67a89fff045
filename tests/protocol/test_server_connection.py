"""The server's end: what the state tables alone do not say."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from asyncbolt._constants import MAGIC, Message, Version
from asyncbolt._structure import Structure
from asyncbolt.chunking import MessageReader, MessageWriter
from asyncbolt.exceptions import (
    AuthError,
    BoltError,
    ClientError,
    LocalProtocolError,
    Neo4jError,
    PackError,
    RemoteProtocolError,
)
from asyncbolt.graph import Node
from asyncbolt.protocol import (
    VERSIONS,
    ConnectionFailed,
    Goodbye,
    HandshakeDone,
    Interrupted,
    RequestReceived,
    ServerConnection,
    ServerEvent,
    ServerRequest,
    State,
)
from asyncbolt.protocol.handshake import MANIFEST, encode_offer

M = Message
INVALID = "Neo.ClientError.Request.Invalid"
FORMAT = "Neo.ClientError.Request.InvalidFormat"


class Dialogue:
    """A server, by default with somebody logged in, and bytes of a client."""

    def __init__(self, version: Version = (5, 4), *, login: bool = True, **options: Any) -> None:
        self.server = ServerConnection(versions=[version], **options)
        self.writer = MessageWriter(version)
        self.reader = MessageReader(version)
        self.server.receive_data(MAGIC + encode_offer(version) + bytes(12))
        self.server.data_to_send()
        if login:
            hello: tuple[Any, ...] = ({"user_agent": "t/1"},) if version >= (3, 0) else ("t/1", {})
            self.accept(M.HELLO, *hello)
            if self.server.supports(M.LOGON):
                self.accept(M.LOGON, {})

    def bytes_of(self, signature: int, *fields: Any) -> bytes:
        return self.writer.message(signature, *fields)

    def say(self, signature: int, *fields: Any) -> list[ServerEvent]:
        return self.server.receive_data(self.bytes_of(signature, *fields))

    def accept(self, signature: int, *fields: Any, **metadata: Any) -> ServerRequest:
        request = asked(self.say(signature, *fields))
        self.server.send_success(metadata)
        assert self.server.next_events() == []
        assert self.heard()[-1][0] == M.SUCCESS
        return request

    def heard(self) -> list[Any]:
        return self.reader.feed(self.server.data_to_send())

    def names(self) -> list[str]:
        return [M(item[0]).name if type(item) is tuple else f"{len(item)} RECORDS" for item in self.heard()]


def asked(events: list[ServerEvent]) -> ServerRequest:
    (event,) = events
    assert isinstance(event, RequestReceived)
    return event.request


def dies(events: list[ServerEvent], text: str, kind: type[BoltError] = RemoteProtocolError) -> BoltError:
    failed = events[-1]
    assert isinstance(failed, ConnectionFailed)
    assert isinstance(failed.error, kind) and text in str(failed.error)
    return failed.error


RUN = (M.RUN, "x", {}, {})
PULL = (M.PULL, {"n": -1})


# One at a time


def test_one_request_at_a_time() -> None:
    talk = Dialogue()
    server = talk.server
    run = talk.bytes_of(*RUN)
    pull = talk.bytes_of(*PULL)
    request = asked(server.receive_data(run + pull + run))
    assert request.message is M.RUN and request.statement == "x"
    assert server.request is request and server.queued == 2
    assert server.next_events() == [] and server.receive_data(pull) == []
    server.send_success({"fields": ["n"]})
    assert server.request is None
    pulled = asked(server.next_events())
    assert pulled.message is M.PULL and pulled.n == -1 and pulled.qid == -1
    server.send_records([(1,), [2]])
    server.send_records([])
    server.send_records([(3,)])
    server.send_success()
    assert talk.names() == ["SUCCESS", "3 RECORDS", "SUCCESS"]
    assert asked(server.next_events()).message is M.RUN


def test_answers_when_nothing_is_asked() -> None:
    talk = Dialogue()
    server = talk.server
    for answer in (
        lambda: server.send_success(),
        lambda: server.send_failure("Neo.ClientError.X.Y", "no"),
        lambda: server.send_ignored(),
        lambda: server.send_records([(1,)]),
    ):
        with pytest.raises(LocalProtocolError, match="in state READY: no request is to be answered"):
            answer()
    asked(talk.say(*RUN))
    with pytest.raises(LocalProtocolError, match=r"records .* in state READY: RUN is to be answered"):
        server.send_records([(1,)])
    with pytest.raises(LocalProtocolError, match="no RESET has arrived"):
        server.send_ignored()
    with pytest.raises(LocalProtocolError, match="RUN cannot say has_more"):
        server.send_success({"has_more": True})
    assert server.data_to_send() == b"" and server.request is not None
    server.send_success()
    dies(talk.say(M.HELLO, {"user_agent": "x"}), "HELLO is not possible in state STREAMING")
    with pytest.raises(LocalProtocolError, match="the connection is closed"):
        server.send_success()


def test_answer_that_cannot_be_packed() -> None:
    talk = Dialogue()
    server = talk.server
    asked(talk.say(*RUN))
    with pytest.raises(PackError):
        server.send_success({"fields": [object()]})
    assert server.state is State.READY and server.data_to_send() == b""
    server.send_success({"fields": ["n"]})
    asked(talk.say(*PULL))
    talk.heard()
    with pytest.raises(PackError):
        server.send_records([(1,), (object(),)])
    assert server.data_to_send() == b"" and server.request is not None
    server.send_failure("Neo.DatabaseError.General.UnknownError", "no")
    assert talk.names() == ["FAILURE"] and server.state is State.FAILED


def test_graph_values() -> None:
    talk = Dialogue((4, 4))
    talk.accept(*RUN)
    asked(talk.say(*PULL))
    talk.server.send_records([(Node(1, ("A",), {"k": 1}),)])
    assert b"\xb3\x4e\x01" in talk.server.data_to_send()


# Login


def test_login() -> None:
    talk = Dialogue((5, 4), login=False)
    server = talk.server
    assert not server.authenticated
    hello = asked(talk.say(M.HELLO, {"user_agent": "app/1", "scheme": "basic"}))
    assert (hello.user_agent, hello.auth) == ("app/1", None)
    server.send_success({"server": "Test/1"})
    assert not server.authenticated and server.state is State.AUTHENTICATION
    logon = asked(talk.say(M.LOGON, {"scheme": "basic", "principal": "u", "credentials": "p"}))
    assert logon.auth == {"scheme": "basic", "principal": "u", "credentials": "p"}
    server.send_success()
    assert server.authenticated and server.state is State.READY
    talk.accept(M.LOGOFF)
    assert not server.authenticated
    talk.accept(M.LOGON, {"scheme": "none"})
    assert server.authenticated


@pytest.mark.parametrize("version", [(1, 0), (3, 0), (5, 0), (5, 1)])
def test_refused_login(version: Version) -> None:
    talk = Dialogue(version, login=False)
    server = talk.server
    if server.supports(M.LOGON):
        talk.accept(M.HELLO, {"user_agent": "x"})
        data = talk.bytes_of(M.LOGON, {})
    elif version == (1, 0):
        data = talk.bytes_of(M.INIT, "x", {})
    else:
        data = talk.bytes_of(M.HELLO, {"user_agent": "x"})
    asked(server.receive_data(data + talk.bytes_of(M.RUN, "x", {}, {})))
    error = AuthError("no", code="Neo.ClientError.Security.Unauthorized")
    server.send_failure(error)
    assert talk.names() == ["FAILURE"]
    assert server.closed and server.error is error
    assert server.next_events() == [] and server.receive_data(b"x") == [] and server.receive_eof() == []


def test_connection_adds_what_is_due_to_hello() -> None:
    server = ServerConnection()
    server.receive_data(MAGIC + MANIFEST + bytes(12))
    server.receive_data(bytes.fromhex("0000040400"))
    server.data_to_send()
    writer, reader = MessageWriter((4, 4)), MessageReader((4, 4))
    asked(server.receive_data(writer.message(M.HELLO, {"user_agent": "x", "patch_bolt": ["other", "utc"]})))
    server.send_success({"server": "Test/1"})
    assert server.utc_patch
    assert reader.feed(server.data_to_send()) == [
        (M.SUCCESS, {"server": "Test/1", "protocol_version": "4.4", "patch_bolt": ["utc"]})
    ]


@pytest.mark.parametrize("version", [(4, 2), (4, 3), (4, 4), (5, 0)])
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("granting", [True, False])
def test_utc_patch(version: Version, wanted: bool, granting: bool) -> None:
    talk = Dialogue(version, login=False, utc_patch=granting)
    server = talk.server
    extra: dict[str, Any] = {"user_agent": "x"}
    if wanted:
        extra["patch_bolt"] = ["utc"]
    granted = wanted and granting and version in ((4, 3), (4, 4))
    utc = granted or version == (5, 0)
    # Pipelined behind HELLO: read in the form that its answer settles.
    raw = Structure(0x49, 4500, 0, 3600) if utc else Structure(0x46, 8100, 0, 3600)
    server.receive_data(talk.bytes_of(M.HELLO, extra) + talk.bytes_of(M.RUN, "x", {"t": raw}, {}))
    server.send_success()
    assert server.utc_patch is granted
    request = asked(server.next_events())
    zone = datetime.timezone(datetime.timedelta(hours=1))
    assert request.parameters == {"t": datetime.datetime(1970, 1, 1, 2, 15, tzinfo=zone)}
    ((_, metadata),) = talk.heard()
    assert metadata == ({"patch_bolt": ["utc"]} if granted else {})
    server.send_success()
    asked(talk.say(*PULL))
    server.data_to_send()
    server.send_records([(request.parameters["t"],)])
    assert (b"\xb3\x49" if utc else b"\xb3\x46") in server.data_to_send()


# Limits


def text_of(size: int) -> str:
    return "x" * size


def test_limits_before_login_and_after() -> None:
    big = {"scheme": "bearer", "credentials": text_of(70_000)}
    talk = Dialogue(login=False)
    talk.accept(M.HELLO, {"user_agent": "x"})
    error = dies(talk.say(M.LOGON, big), "longer than 65536 bytes")
    assert error.__cause__ is not None
    assert talk.names() == ["FAILURE"]

    # A token that fits, and behind it, in the same write, a statement that would not have fitted.
    talk = Dialogue(login=False)
    token = {"scheme": "bearer", "credentials": text_of(60_000)}
    data = (
        talk.bytes_of(
            M.HELLO, {"user_agent": "x", "bolt_agent": {"product": "p"}, "routing": {"address": "a"}}
        )
        + talk.bytes_of(M.LOGON, token)
        + talk.bytes_of(M.RUN, "x", {"v": text_of(100_000), "l": [0] * 500, "d": [[[[[[1]]]]]]}, {})
    )
    request = asked(talk.server.receive_data(data))
    for expected in (M.HELLO, M.LOGON):
        assert request.message is expected
        talk.server.send_success()
        request = asked(talk.server.next_events())
    assert len(request.parameters["v"]) == 100_000
    talk.server.send_success()

    # After LOGOFF it is as before, for what comes then.
    talk = Dialogue()
    server = talk.server
    data = (
        talk.bytes_of(M.LOGOFF)
        + talk.bytes_of(M.LOGON, token)
        + talk.bytes_of(M.RUN, text_of(100_000), {}, {})
    )
    request = asked(server.receive_data(data[:9]))
    assert request.message is M.LOGOFF
    server.send_success()
    assert asked(server.receive_data(data[9:])).message is M.LOGON
    assert not server.wants_data
    server.send_success()
    assert asked(server.next_events()).message is M.RUN
    server.send_success()
    talk = Dialogue()
    talk.accept(M.LOGOFF)
    dies(talk.say(M.LOGON, big), "longer than 65536 bytes")


@pytest.mark.parametrize(
    ("auth", "text"),
    [
        ({"parameters": {"deep": {"er": 1}}}, ""),
        ({"parameters": {"deep": {"er": [1]}}}, "nested deeper than 3 levels"),
        ({"parameters": {"list": [0] * 64}}, ""),
        ({"parameters": {"list": [0] * 65}}, "at most 64 are allowed"),
        ({f"k{index}": index for index in range(65)}, "at most 64 are allowed"),
    ],
)
def test_nesting_and_elements_before_login(auth: dict[str, Any], text: str) -> None:
    talk = Dialogue(login=False)
    talk.accept(M.HELLO, {"user_agent": "x"})
    events = talk.say(M.LOGON, auth)
    if text:
        dies(events, text)
    else:
        assert asked(events).auth == auth


def test_own_limits() -> None:
    talk = Dialogue(max_message_size=1000, max_elements=5, max_depth=2)
    asked(talk.say(M.RUN, "x", {"l": [1, 2, 3, 4, 5]}, {}))
    for parameters, text in (
        ({"t": text_of(1000)}, "longer than 1000 bytes"),
        ({"l": [0] * 6}, "at most 5 are allowed"),
        ({"l": [[1]]}, "nested deeper than 2 levels"),
    ):
        talk = Dialogue(max_message_size=1000, max_elements=5, max_depth=2)
        dies(talk.say(M.RUN, "x", parameters, {}), text)
    talk = Dialogue(login=False, unauthenticated_message_size=50)
    dies(talk.say(M.HELLO, {"user_agent": text_of(50)}), "longer than 50 bytes")


def test_a_peer_that_will_not_wait_for_its_login() -> None:
    talk = Dialogue(login=False)
    server = talk.server
    asked(talk.say(M.HELLO, {"user_agent": "x"}))
    assert server.wants_data
    assert server.receive_data(bytes(1 << 20)) == []
    assert not server.wants_data
    dies(server.receive_data(b"x"), "more than may wait before it is logged in")


def test_wants_data() -> None:
    talk = Dialogue(max_queued=3)
    server = talk.server
    server.receive_data(talk.bytes_of(*RUN) * 3)
    assert server.queued == 2 and server.wants_data
    talk.say(*RUN)
    assert server.queued == 3 and not server.wants_data
    server.send_failure("Neo.ClientError.X.Y", "no")
    assert server.next_events() == []
    assert server.wants_data and talk.names() == ["FAILURE", "IGNORED", "IGNORED", "IGNORED"]
    talk.say(M.GOODBYE)
    assert not server.wants_data


# Streams


def test_streams_of_a_transaction() -> None:
    talk = Dialogue()
    server = talk.server
    talk.accept(M.BEGIN, {})
    assert server.transaction
    first = asked(talk.say(*RUN))
    assert first.qid == 0 and first.in_transaction
    server.send_success({"fields": ["a"]})
    assert talk.heard() == [(M.SUCCESS, {"fields": ["a"], "qid": 0})]
    second = talk.accept(*RUN, fields=["b"])
    assert second.qid == 1 and server.open_streams == (0, 1)
    pull = talk.accept(M.PULL, {"n": 1, "qid": 0}, has_more=True)
    assert pull.qid == 0 and pull.n == 1
    assert talk.accept(M.PULL, {"n": 1}, has_more=True).qid == 1
    assert talk.accept(M.DISCARD, {"n": -1, "qid": -1}).qid == 1
    assert server.state is State.TX_STREAMING and server.open_streams == (0,)
    assert talk.accept(M.DISCARD, {"n": -1, "qid": 0}).qid == 0
    assert server.state is State.TX_READY and server.open_streams == ()
    assert talk.accept(*RUN).qid == 2
    talk.accept(M.COMMIT)
    assert server.open_streams == () and not server.transaction
    talk.accept(M.BEGIN, {})
    assert talk.accept(*RUN).qid == 0  # anew in each
    talk.accept(M.ROLLBACK)


@pytest.mark.parametrize("qid", [1, 7, -1])
def test_no_such_stream(qid: int) -> None:
    talk = Dialogue()
    server = talk.server
    talk.accept(M.BEGIN, {})
    talk.accept(*RUN)
    talk.accept(*RUN)
    talk.accept(M.PULL, {"n": -1, "qid": 1})
    assert talk.say(M.PULL, {"n": -1, "qid": qid}) == []
    ((signature, failure),) = talk.heard()
    assert signature == M.FAILURE and failure["code"] == FORMAT
    assert server.state is State.FAILED and not server.closed
    talk.accept(M.RESET)
    assert server.state is State.READY


@pytest.mark.parametrize(("qid", "found"), [(-1, True), (0, True), (1, False)])
def test_auto_commit_stream(qid: int, found: bool) -> None:
    talk = Dialogue()
    request = talk.accept(*RUN, fields=["n"])
    assert request.qid == -1 and not request.in_transaction
    events = talk.say(M.PULL, {"n": -1, "qid": qid})
    if found:
        assert asked(events).qid == -1
    else:
        assert events == [] and talk.names() == ["FAILURE"] and talk.server.state is State.FAILED


def test_bolt_3_transaction_has_no_qid_on_the_wire() -> None:
    talk = Dialogue((3, 0))
    talk.accept(M.BEGIN, {})
    request = asked(talk.say(*RUN))
    talk.server.send_success({"fields": ["n"]})
    assert talk.heard() == [(M.SUCCESS, {"fields": ["n"]})]
    assert asked(talk.say(M.PULL_ALL)).qid == request.qid
    with pytest.raises(LocalProtocolError, match=r"PULL_ALL cannot say has_more in Bolt 3\.0"):
        talk.server.send_success({"has_more": True})
    talk.server.send_success()
    assert talk.server.state is State.TX_READY


def test_a_qid_of_ones_own() -> None:
    talk = Dialogue()
    talk.accept(M.BEGIN, {})
    asked(talk.say(*RUN))
    with pytest.raises(LocalProtocolError, match="the stream of this RUN is 0, not 5"):
        talk.server.send_success({"qid": 5})
    talk.server.send_success({"qid": 0})


def test_end_of_a_transaction_closes_its_streams() -> None:
    for message in (M.COMMIT, M.ROLLBACK):
        talk = Dialogue()
        talk.accept(M.BEGIN, {})
        talk.accept(*RUN)
        talk.accept(*RUN)
        talk.accept(message)
        assert talk.server.open_streams == () and talk.server.state is State.READY


# RESET


def test_reset_interrupts_what_runs() -> None:
    talk = Dialogue()
    server = talk.server
    talk.accept(*RUN, fields=["n"])
    server.receive_data(talk.bytes_of(*PULL) + talk.bytes_of(*RUN) + talk.bytes_of(*PULL))
    server.send_records([(1,)])
    events = server.receive_data(talk.bytes_of(M.RESET) + talk.bytes_of(*RUN))
    assert [type(event) for event in events] == [Interrupted]
    assert server.interrupted and server.state is State.INTERRUPTED
    assert server.next_events() == []
    server.send_failure("Neo.ClientError.Transaction.Terminated", "interrupted")
    reset = asked(server.next_events())
    assert reset.message is M.RESET and not server.interrupted
    assert talk.names() == ["1 RECORDS", "FAILURE", "IGNORED", "IGNORED"]
    server.send_success()
    assert server.state is State.READY
    assert asked(server.next_events()).message is M.RUN
    server.send_success()
    assert talk.names() == ["SUCCESS", "SUCCESS"] and server.state is State.STREAMING


@pytest.mark.parametrize("how", ["success", "failure", "ignored"])
def test_interrupted_work_may_end_in_any_way(how: str) -> None:
    talk = Dialogue()
    server = talk.server
    talk.accept(M.BEGIN, {})
    asked(talk.say(*RUN))
    assert [type(event) for event in talk.say(M.RESET)] == [Interrupted]
    {
        "success": lambda: server.send_success({"fields": []}),
        "failure": lambda: server.send_failure(ClientError("x")),
        "ignored": server.send_ignored,
    }[how]()
    assert server.state is State.INTERRUPTED and server.open_streams == ()
    assert asked(server.next_events()).message is M.RESET
    server.send_success()
    assert server.state is State.READY and not server.transaction


def test_what_came_in_one_piece_with_its_reset_never_begins() -> None:
    talk = Dialogue()
    server = talk.server
    data = talk.bytes_of(*RUN) + talk.bytes_of(*PULL) + talk.bytes_of(M.RESET)
    assert asked(server.receive_data(data)).message is M.RESET
    server.send_success()
    assert talk.names() == ["IGNORED", "IGNORED", "SUCCESS"]


def test_reset_of_an_idle_connection_interrupts_nothing() -> None:
    talk = Dialogue()
    assert asked(talk.say(M.RESET)).message is M.RESET
    assert talk.server.state is State.INTERRUPTED
    talk.server.send_success()
    assert talk.server.state is State.READY


def test_resets_that_are_overtaken() -> None:
    talk = Dialogue()
    server = talk.server
    asked(talk.say(*RUN))
    events = server.receive_data(talk.bytes_of(M.RESET) * 2) + server.receive_data(talk.bytes_of(M.RESET))
    assert [type(event) for event in events] == [Interrupted]
    server.send_ignored()
    assert asked(server.next_events()).message is M.RESET
    server.send_success()
    assert talk.names() == ["IGNORED", "IGNORED", "IGNORED", "SUCCESS"]

    # One that comes while another is being handled: both succeed, and what is between them is IGNORED.
    asked(talk.say(M.RESET))
    assert server.receive_data(talk.bytes_of(*RUN) + talk.bytes_of(M.RESET)) == []
    server.send_success()
    assert server.state is State.INTERRUPTED
    assert asked(server.next_events()).message is M.RESET
    server.send_success()
    assert talk.names() == ["SUCCESS", "IGNORED", "SUCCESS"] and server.state is State.READY


def test_reset_does_not_interrupt_a_logoff() -> None:
    talk = Dialogue()
    server = talk.server
    asked(talk.say(M.LOGOFF))
    assert server.receive_data(talk.bytes_of(M.LOGON, {}) + talk.bytes_of(M.RESET)) == []
    server.send_success()
    assert asked(server.next_events()).message is M.LOGON
    server.send_success()
    assert asked(server.next_events()).message is M.RESET
    server.send_success()
    assert server.state is State.READY and server.authenticated

    asked(talk.say(M.LOGOFF))
    talk.say(M.RESET)
    server.send_success()
    dies(server.next_events(), "RESET is not possible in state AUTHENTICATION")


def test_failed_reset_closes() -> None:
    talk = Dialogue()
    asked(talk.say(M.RESET))
    talk.server.send_failure("Neo.DatabaseError.General.UnknownError", "no")
    assert talk.server.closed


# FAILED


def test_everything_is_ignored_until_reset() -> None:
    talk = Dialogue()
    server = talk.server
    talk.accept(M.BEGIN, {})
    data = talk.bytes_of(*RUN) + talk.bytes_of(*PULL) + talk.bytes_of(M.COMMIT) + talk.bytes_of(M.BEGIN, {})
    asked(server.receive_data(data))
    server.send_failure(ClientError("no"))
    assert server.next_events() == []
    assert talk.names() == ["FAILURE", "IGNORED", "IGNORED", "IGNORED"]
    assert server.state is State.FAILED and not server.transaction
    talk.accept(M.RESET)
    talk.accept(*RUN)


@pytest.mark.parametrize("version", VERSIONS)
def test_shape_of_a_failure(version: Version) -> None:
    talk = Dialogue(version)
    run = ("x", {}) if version < (3, 0) else ("x", {}, {})
    asked(talk.say(M.RUN, *run))
    talk.server.send_failure("Neo.ClientError.Statement.SyntaxError", "bad")
    ((_, failure),) = talk.heard()
    if version < (5, 7):
        assert failure == {"code": "Neo.ClientError.Statement.SyntaxError", "message": "bad"}
    else:
        assert failure["neo4j_code"] == "Neo.ClientError.Statement.SyntaxError"
        assert failure["message"] == "bad" and len(failure["gql_status"]) == 5 and "code" not in failure


def test_failure_as_it_is() -> None:
    talk = Dialogue((5, 8))
    asked(talk.say(*RUN))
    talk.server.send_failure({"code": "C", "other": 1})
    assert talk.heard() == [(M.FAILURE, {"code": "C", "other": 1})]


# Metadata by version


@pytest.mark.parametrize("version", VERSIONS)
def test_metadata_fits_the_version(version: Version) -> None:
    talk = Dialogue(version, login=False)
    server = talk.server

    def answer(metadata: dict[str, Any], signature: int, *fields: Any) -> set[str]:
        asked(talk.say(signature, *fields))
        server.send_success(metadata)
        (item,) = talk.heard()
        return set(item[1])

    hello: tuple[Any, ...] = ({"user_agent": "t/1"},) if version >= (3, 0) else ("t/1", {})
    given: dict[str, Any] = {"server": "x", "connection_id": "c", "hints": {}, "own": 1}
    assert answer(given, M.HELLO, *hello) == {"server", "own"} | (
        {"connection_id"} if version >= (3, 0) else set()
    ) | ({"hints"} if version >= (4, 3) else set())
    if version >= (5, 1):
        assert answer({"advertised_address": "a:1"}, M.LOGON, {}) == (
            {"advertised_address"} if version >= (5, 8) else set()
        )
    run = ("x", {}) if version < (3, 0) else ("x", {}, {})
    assert answer({"fields": [], "t_first": 1, "db": "d"}, M.RUN, *run) == {
        "fields",
        "t_first" if version >= (3, 0) else "result_available_after",
    } | ({"db"} if version >= (5, 8) else set())
    summary = {"type": "r", "t_last": 1, "db": "d", "notifications": [], "statuses": [], "has_more": False}
    pull = ({"n": -1},) if version >= (4, 0) else ()
    assert answer(summary, M.PULL, *pull) == {
        "type",
        "t_last" if version >= (3, 0) else "result_consumed_after",
        "notifications" if version < (5, 6) else "statuses",
    } | ({"db"} if version >= (4, 0) else set())


# Malformed requests


@pytest.mark.parametrize(
    ("signature", "fields", "code"),
    [
        (M.RUN, ("x", {}), FORMAT),
        (M.RUN, ("x", {}, {}, {}), FORMAT),
        (M.RUN, (1, {}, {}), INVALID),
        (M.RUN, ("x", {}, {"mode": "?"}), INVALID),
        (M.BEGIN, ({"tx_timeout": "x"},), INVALID),
        (M.TELEMETRY, (9,), INVALID),
        (M.ROUTE, ({}, []), FORMAT),
    ],
)
def test_malformed_request(signature: int, fields: tuple[Any, ...], code: str) -> None:
    talk = Dialogue()
    server = talk.server
    assert server.receive_data(talk.bytes_of(signature, *fields) + talk.bytes_of(*RUN)) == []
    (_, failure), ignored = talk.heard()
    assert failure["code"] == code and ignored == (M.IGNORED,)
    assert server.state is State.FAILED and not server.closed
    # A sound request would be IGNORED here; this one is told what is wrong with it all the same.
    assert talk.say(signature, *fields) == []
    assert talk.names() == ["FAILURE"] and server.state is State.FAILED
    talk.accept(M.RESET)


def test_malformed_request_waits_for_its_turn() -> None:
    talk = Dialogue()
    server = talk.server
    asked(server.receive_data(talk.bytes_of(*RUN) + talk.bytes_of(M.PULL, {})))
    assert talk.heard() == []
    server.send_success()
    assert server.next_events() == []
    assert talk.names() == ["SUCCESS", "FAILURE"] and server.state is State.FAILED


def test_malformed_login_closes() -> None:
    talk = Dialogue(login=False)
    dies(talk.say(M.HELLO, {}), "HELLO: user_agent is missing")
    assert talk.names() == ["FAILURE"]
    talk = Dialogue()
    dies(talk.say(M.PULL, {}), "PULL: n is missing")  # where a sound one would have been fatal too


def test_what_cannot_be_read() -> None:
    talk = Dialogue()
    error = dies(talk.server.receive_data(b"\x00\x03\xb1\x10\xc7\x00\x00"), "0xC7 is a reserved marker")
    assert error.__cause__ is not None and "state READY" in str(error)
    ((_, failure),) = talk.heard()
    assert failure["code"] == INVALID
    # With something unanswered it is closed at once, without a byte.
    talk = Dialogue()
    asked(talk.say(*RUN))
    dies(talk.server.receive_data(b"\x00\x01\xb1\x00\x00"), "cannot be read")
    assert talk.heard() == [] and talk.server.request is None


def test_unknown_request_waits_for_nothing() -> None:
    talk = Dialogue((5, 0))
    server = talk.server
    events = server.receive_data(talk.bytes_of(*RUN) + talk.bytes_of(M.LOGON, {}))
    dies(events, "LOGON, which is no request in Bolt 5.0")
    assert len(events) == 1 and talk.heard() == []


# Ends


def test_goodbye_overtakes() -> None:
    talk = Dialogue()
    server = talk.server
    asked(talk.say(*RUN))
    (event,) = server.receive_data(talk.bytes_of(*PULL) + talk.bytes_of(M.GOODBYE) + b"garbage")
    assert isinstance(event, Goodbye) and event.said
    assert server.closed and server.error is None and server.request is None and server.state is State.DEFUNCT
    assert server.next_events() == [] and server.receive_eof() == []


def test_end_of_the_stream() -> None:
    talk = Dialogue()
    asked(talk.say(*RUN))
    (event,) = talk.server.receive_eof()
    assert isinstance(event, Goodbye) and not event.said
    assert talk.server.closed and talk.server.receive_eof() == []
    talk = Dialogue()
    talk.server.receive_data(b"\x00\x10\xb3")
    error = dies(talk.server.receive_eof(), "inside a message")
    assert error.__cause__ is not None


def test_noops() -> None:
    talk = Dialogue((4, 1))
    assert talk.server.receive_data(b"\0\0\0\0") == [] and talk.server.noops == 2
    asked(talk.server.receive_data(b"\0\0" + talk.bytes_of(*RUN)))
    assert talk.server.send_noop()
    assert talk.server.data_to_send() == b"\0\0"
    assert not Dialogue((4, 0)).server.send_noop()
    talk = Dialogue((5, 4), login=False)
    (event,) = talk.server.receive_data(b"\0\0" * 3 + talk.bytes_of(M.HELLO, {"user_agent": "x"}))
    assert isinstance(event, RequestReceived)


def test_ack_failure() -> None:
    talk = Dialogue((1, 0))
    asked(talk.server.receive_data(talk.bytes_of(M.RUN, "x", {}) + talk.bytes_of(M.PULL_ALL)))
    talk.server.send_failure("Neo.ClientError.X.Y", "no")
    assert talk.server.next_events() == []
    talk.accept(M.ACK_FAILURE)
    assert talk.server.state is State.READY


def test_events_have_words() -> None:
    talk = Dialogue()
    (event,) = talk.say(*RUN)
    assert repr(event) == "<RequestReceived <ServerRequest RUN 'x' {} {}>>"
    assert repr(HandshakeDone((5, 4))) == "<HandshakeDone 5.4>"
    assert repr(Interrupted()) == "<Interrupted>"
    assert repr(Goodbye(said=False)) == "<Goodbye unsaid>"
    assert "no" in repr(ConnectionFailed(Neo4jError("no")))
