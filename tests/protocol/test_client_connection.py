"""The client's end: what the state tables alone do not say."""

from __future__ import annotations

import datetime
import types
from typing import Any

import pytest
from dialogue import ERROR, Dialogue, dies

from asyncbolt._constants import Message, Version
from asyncbolt._structure import Structure
from asyncbolt.chunking import MessageReader
from asyncbolt.exceptions import (
    AuthError,
    LocalProtocolError,
    Neo4jError,
    PackError,
    ServiceUnavailable,
)
from asyncbolt.protocol import (
    VERSIONS,
    ClientConnection,
    ConnectionFailed,
    FailureReceived,
    IgnoredReceived,
    RecordsReceived,
    State,
    SuccessReceived,
)

UNAUTHORIZED = {"code": "Neo.ClientError.Security.Unauthorized", "message": "no"}
MORE = {"has_more": True}

# Answers


def test_answers_carry_their_requests() -> None:
    talk = Dialogue()
    client = talk.client
    run, pull = client.send_run("a"), client.send_pull()
    run2, pull2 = client.send_run("b"), client.send_discard()
    assert [request.number for request in client.outstanding] == [2, 3, 4, 5]
    run.context = "mine"
    (event,) = talk.success(fields=["n"])
    assert isinstance(event, SuccessReceived) and event.request is run and event.metadata == {"fields": ["n"]}
    (event,) = talk.records((1,), (2,))
    assert isinstance(event, RecordsReceived) and event.request is pull and event.rows == [(1,), (2,)]
    (event,) = talk.success(type="r")
    assert isinstance(event, SuccessReceived) and event.request is pull
    (event,) = talk.failure()
    assert isinstance(event, FailureReceived) and event.request is run2
    assert event.error.code == ERROR["code"] and isinstance(event.error, Neo4jError)
    (event,) = talk.ignored()
    assert isinstance(event, IgnoredReceived) and event.request is pull2
    assert not client.outstanding and run.answered and pull2.answered
    assert client.state is State.FAILED


def test_whole_answers_in_one_piece() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_run("a")
    client.send_pull()
    write = talk.writer.message
    events = client.receive_data(
        b"\0\0"
        + write(Message.SUCCESS, {"fields": ["n"]})
        + b"\0\0\0\0"
        + talk.writer.records([(1,), (2,), (3,)])
        + write(Message.SUCCESS, {})
        + b"\0\0"
    )
    assert [type(event) for event in events] == [SuccessReceived, RecordsReceived, SuccessReceived]
    assert client.noops == 4


@pytest.mark.parametrize("version", VERSIONS)
def test_lenient(version: Version) -> None:
    """NOOPs, IGNORED with a map, missing and unknown metadata, nulls, statuses and notifications anywhere."""
    talk = Dialogue(version, login=False)
    client = talk.client
    client.send_hello("t/1", patch_bolt=())
    assert client.receive_data(b"\0\0") == []
    assert len(talk.success(server=None, hints=None, connection_id=None, patch_bolt=None, new=[1])) == 1
    assert (client.server_agent, client.connection_id, client.hints) == (None, None, {})
    if client.supports(Message.LOGON):
        client.send_logon()
        talk.success()
    client.send_run("x")
    client.send_pull()
    talk.success()
    talk.records((1, 2), (3,))
    assert len(talk.success(has_more=False, statuses=[{}], notifications=[{}], type="x", stats=1)) == 1
    assert client.state is State.READY
    client.send_run("x")
    client.send_pull()
    (event,) = talk.failure({"code": "Neo.ClientError.X.Y", "message": None})
    assert isinstance(event, FailureReceived)
    assert len(talk.hear(Message.IGNORED, {"some": "map"})) == 1
    client.send_reset()
    assert len(talk.success()) == 1 and client.state is State.READY
    assert client.error is None


def test_hello_is_remembered() -> None:
    talk = Dialogue((5, 8), login=False)
    client = talk.client
    client.send_hello("t/1")
    hints = {"connection.recv_timeout_seconds": 120}
    talk.success(server="Neo4j/5.26.0", connection_id="bolt-7", hints=hints)
    assert (client.server_agent, client.connection_id, client.hints) == ("Neo4j/5.26.0", "bolt-7", hints)
    assert client.has("receive_timeout") and not Dialogue((4, 0)).client.has("receive_timeout")


@pytest.mark.parametrize("version", [(5, 0), (5, 1), (3, 0), (1, 0)])
def test_refused_login(version: Version) -> None:
    talk = Dialogue(version, login=False)
    client = talk.client
    client.send_hello("t/1")
    if client.supports(Message.LOGON):
        client.send_logon()
        talk.success()
    client.send_run("x")
    failure, failed = talk.failure(UNAUTHORIZED)
    assert isinstance(failure, FailureReceived) and isinstance(failure.error, AuthError)
    assert isinstance(failed, ConnectionFailed) and failed.error is failure.error is client.error
    assert client.closed and client.state is State.DEFUNCT
    assert [request.message for request in client.outstanding] == [Message.RUN]
    with pytest.raises(LocalProtocolError, match=r"^RESET cannot be sent, the connection is closed: Neo\."):
        client.send_reset()
    assert client.receive_eof() == []


# A peer's sins


@pytest.mark.parametrize(
    ("signature", "fields", "text"),
    [
        (Message.SUCCESS, ({"server": 1},), "server must be a String, not int"),
        (Message.SUCCESS, ({"hints": []},), "hints must be a Map, not list"),
        (Message.SUCCESS, ({"connection_id": 1},), "connection_id must be a String"),
        (Message.SUCCESS, ({"patch_bolt": "utc"},), "patch_bolt must be a List of String"),
        (Message.SUCCESS, (), "SUCCESS with something else than one map"),
        (Message.SUCCESS, ([],), "SUCCESS with something else than one map"),
        (Message.SUCCESS, ({}, {}), "SUCCESS with something else than one map"),
        (Message.FAILURE, (None,), "FAILURE with something else than one map"),
        (Message.IGNORED, (), "IGNORED"),
        (Message.IGNORED, ({}, {}), "IGNORED with 2 fields"),
        (Message.RECORD, ([1],), "RECORD"),
        (Message.RECORD, ([1], [2]), "RECORD"),
        (Message.HELLO, ({},), "HELLO, which is no answer"),
        (0x3A, (), "0x3A, which is no answer"),
    ],
)
def test_wrong_answer_to_hello(signature: int, fields: tuple[Any, ...], text: str) -> None:
    talk = Dialogue(login=False)
    talk.client.send_hello("t/1")
    error = dies(talk.hear(signature, *fields), text)
    assert "HELLO" in str(error)
    client = talk.client
    assert client.closed and client.error is error and client.state is State.DEFUNCT
    assert talk.success() == [] and client.receive_eof() == []
    assert len(client.outstanding) == 1


@pytest.mark.parametrize("signature", [Message.SUCCESS, Message.FAILURE, Message.IGNORED, Message.RECORD])
def test_answer_that_nobody_asked_for(signature: Message) -> None:
    talk = Dialogue()
    fields = {Message.IGNORED: (), Message.RECORD: ([1],)}.get(signature, ({},))
    dies(talk.hear(signature, *fields), "while no request was unanswered")


def test_record_before_the_success_of_run() -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_pull()
    dies(talk.records((1,)), "RECORD where the answer to RUN (request 2) was due")


def test_record_for_a_discard() -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_discard()
    talk.success(fields=["x"])
    dies(talk.records((1,)), "RECORD where the answer to DISCARD")


def test_record_behind_a_failure() -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_pull()
    talk.failure()
    dies(talk.records((1,)), "RECORD behind a failure")


@pytest.mark.parametrize("failing", [Message.BEGIN, Message.RUN])
def test_success_behind_a_failure(failing: Message) -> None:
    """BEGIN refused, RUN carried out: that would be outside the transaction."""
    talk = Dialogue()
    if failing is Message.BEGIN:
        talk.client.send_begin()
    talk.client.send_run("x")
    talk.client.send_pull()
    talk.failure()
    dies(talk.success(fields=[]), "SUCCESS behind a failure")


def test_telemetry_may_succeed_behind_a_failure() -> None:
    """Some servers answer it in any state, and nothing depends on it."""
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_pull()
    talk.client.send_telemetry(1)
    talk.failure()
    talk.ignored()
    assert len(talk.success()) == 1
    assert talk.client.state is State.FAILED and not talk.client.closed


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"fields": "n"}, "fields must be a List of String"),
        ({"fields": [1]}, "fields must be a List of String"),
        ({"fields": [], "qid": "0"}, "qid must be an Integer"),
    ],
)
def test_ill_typed_answer_to_run(metadata: dict[str, Any], text: str) -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    dies(talk.success(**metadata), text)


def test_ill_typed_has_more() -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_pull(1)
    talk.success(fields=[])
    dies(talk.success(has_more=1), "has_more must be a Boolean, not int")


def test_more_than_everything() -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_pull()
    talk.success(fields=[])
    dies(talk.success(has_more=True), "although every record was asked for")


def test_discard_of_everything_with_more() -> None:
    """By the specification's words has_more of a DISCARD may mean that nothing is left."""
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_discard()
    talk.success(fields=[])
    assert len(talk.success(has_more=True)) == 1
    assert talk.client.state is State.READY and not talk.client.closed


def test_what_cannot_be_read() -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    error = dies(talk.client.receive_data(b"\x00\x03\xb1\x70\xc7\x00\x00"), "answer to RUN (request 2)")
    assert "0xC7 is a reserved marker" in str(error)
    assert error.__cause__ is not None


def test_what_came_before_is_reported() -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_pull()
    first, second = talk.client.receive_data(
        talk.writer.message(Message.SUCCESS, {"fields": ["n"]}) + b"\x00\x01\xc0\x00\x00"
    )
    assert isinstance(first, SuccessReceived)
    dies([second], "answer to PULL")


def test_limit_of_message_size() -> None:
    talk = Dialogue(max_message_size=100)
    talk.client.send_run("x")
    dies(talk.success(fields=["n" * 100]), "longer than 100 bytes")


# Ends


def test_end_of_the_stream() -> None:
    talk = Dialogue()
    error = dies(talk.client.receive_eof(), "the server closed the connection", ServiceUnavailable)
    assert str(error) == "the server closed the connection"
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_pull()
    error = dies(talk.client.receive_eof(), "2 requests unanswered, the oldest a RUN", ServiceUnavailable)
    assert len(talk.client.outstanding) == 2
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.receive_data(b"\x00\x03\xb1")
    error = dies(talk.client.receive_eof(), "inside a message with 1 request unanswered", ServiceUnavailable)
    assert "ended inside a message" in str(error.__cause__)


def test_end_behind_a_failure_names_it() -> None:
    """A protocol error is answered by FAILURE, and then the connection is closed."""
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_pull()
    (failure,) = talk.failure()
    assert isinstance(failure, FailureReceived)
    assert dies(talk.client.receive_eof(), "closed", ServiceUnavailable).__cause__ is failure.error
    talk = Dialogue()
    talk.client.send_run("x")
    talk.failure()
    talk.client.send_reset()
    talk.success()
    assert dies(talk.client.receive_eof(), "closed", ServiceUnavailable).__cause__ is None


def test_goodbye() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_run("x")
    client.send_goodbye()
    assert client.data_to_send().endswith(b"\x00\x02\xb0\x02\x00\x00")
    assert client.closed and client.error is None and client.state is State.DEFUNCT
    assert talk.success() == [] and client.receive_eof() == []
    assert len(client.outstanding) == 1
    for send in (client.send_goodbye, client.send_reset):
        with pytest.raises(LocalProtocolError, match=r"the connection is closed$"):
            send()


def test_nothing_before_the_handshake() -> None:
    client = ClientConnection()
    assert client.state is State.HANDSHAKE and client.version is None
    assert not client.supports(Message.RUN) and not client.has("logon")
    with pytest.raises(LocalProtocolError, match="in state HANDSHAKE: no version"):
        client.send_hello("t/1")
    with pytest.raises(LocalProtocolError, match="in state HANDSHAKE"):
        client.send_goodbye()


# Streams


def test_stream_in_parts() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_run("x")
    pull = client.send_pull(2)
    assert client.state is State.STREAMING and client.open_streams == (None,)
    talk.success(fields=["n"])
    with pytest.raises(LocalProtocolError, match="RUN may not be sent in state STREAMING"):
        client.send_run("y")
    with pytest.raises(LocalProtocolError, match="may end the stream"):
        client.send_discard()
    talk.records((1,), (2,))
    talk.success(**MORE)
    assert pull.answered and client.state is State.STREAMING
    client.send_discard()
    assert client.state is State.READY and client.open_streams == ()
    client.send_run("y")
    talk.success()
    assert client.state is State.STREAMING


def test_streams_of_a_transaction() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_begin()
    client.send_run("a")
    client.send_pull(1)
    client.send_run("b")
    client.send_pull(1)
    assert client.state is State.TX_STREAMING and client.open_streams == (None, None)
    talk.success()
    talk.success(qid=0)
    talk.success(**MORE)
    talk.success(qid=1)
    talk.success(**MORE)
    assert client.open_streams == (0, 1)
    first = client.send_pull(1, qid=0)
    second = client.send_pull(1)
    reader = MessageReader((5, 4), runs=False)
    assert reader.feed(first.data + second.data) == [(0x3F, {"n": 1, "qid": 0}), (0x3F, {"n": 1})]
    with pytest.raises(LocalProtocolError, match="may end the stream"):
        client.send_pull(qid=1)
    with pytest.raises(LocalProtocolError, match="finds no open stream of qid 2"):
        client.send_pull(qid=2)
    with pytest.raises(
        LocalProtocolError, match="COMMIT may not be sent in state TX_STREAMING: streams are open"
    ):
        client.send_commit()
    talk.success()
    assert client.open_streams == (1,)
    with pytest.raises(LocalProtocolError, match="finds no open stream of qid 0"):
        client.send_discard(qid=0)
    talk.success(**MORE)
    client.send_discard(qid=1)
    assert client.state is State.TX_READY
    with pytest.raises(LocalProtocolError, match="state TX_READY"):
        client.send_pull()
    client.send_commit()
    assert client.state is State.READY


def test_latest_stream_done_others_open() -> None:
    """-1 is the latest RUN, not the latest that is open."""
    talk = Dialogue()
    client = talk.client
    client.send_begin()
    client.send_run("a")
    client.send_run("b")
    client.send_pull()
    assert client.state is State.TX_STREAMING
    with pytest.raises(LocalProtocolError, match="finds no open stream of the latest RUN"):
        client.send_pull()
    with pytest.raises(LocalProtocolError, match="finds no open stream of qid 0"):
        client.send_pull(qid=0)  # not known before RUN is answered
    talk.success()
    talk.success(qid=0)
    client.send_pull(qid=0)
    assert client.state is State.TX_READY


def test_bolt_3_has_one_stream_at_a_time() -> None:
    talk = Dialogue((3, 0))
    client = talk.client
    client.send_begin()
    client.send_run("a")
    with pytest.raises(LocalProtocolError, match="RUN may not be sent in state TX_STREAMING"):
        client.send_run("b")
    with pytest.raises(LocalProtocolError, match=r"PULL_ALL has no n and no qid in Bolt 3\.0"):
        client.send_pull(10)
    with pytest.raises(LocalProtocolError, match=r"DISCARD_ALL has no n and no qid"):
        client.send_discard(qid=0)
    client.send_pull()
    client.send_run("b")
    client.send_discard()
    client.send_commit()
    assert client.state is State.READY


@pytest.mark.parametrize("n", [0, -2, 1.0, "1", None])
def test_n_out_of_range(n: Any) -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    with pytest.raises(LocalProtocolError, match="needs n to be -1 or at least 1"):
        talk.client.send_pull(n)
    assert talk.client.state is State.STREAMING
    assert talk.client.send_pull().number == 3


def test_extra_inside_a_transaction() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_begin(db="neo4j")
    with pytest.raises(LocalProtocolError, match="RUN inside a transaction takes no db"):
        client.send_run("x", db="neo4j")
    client.send_run("x", {"a": 1})


def test_auto_commit_qid_means_nothing() -> None:
    """One server numbers streams outside transactions too."""
    talk = Dialogue()
    talk.client.send_run("x")
    talk.success(fields=["n"], qid=0)
    talk.client.send_pull(1)
    talk.success(**MORE)
    talk.client.send_pull()
    talk.success()
    assert talk.client.state is State.READY


# Failure and RESET


def test_after_a_failure_only_reset() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_begin()
    client.send_run("x")
    client.send_pull()
    talk.success()
    talk.failure()
    assert client.state is State.FAILED and client.open_streams == ()
    for send in (client.send_commit, client.send_rollback, client.send_pull, client.send_begin):
        with pytest.raises(LocalProtocolError, match="would be ignored in state FAILED: RESET comes first"):
            send()
    with pytest.raises(LocalProtocolError, match="may not be sent in state FAILED"):
        client.send_logoff()
    reset = client.send_reset()
    assert client.state is State.READY
    client.send_run("y")  # at once
    client.send_pull()
    talk.ignored()
    (event,) = talk.success()
    assert isinstance(event, SuccessReceived) and event.request is reset
    talk.success(fields=["n"])
    talk.records((1,))
    talk.success()
    assert client.state is State.READY and not client.closed


def test_one_reset_at_a_time() -> None:
    talk = Dialogue()
    talk.client.send_reset()
    with pytest.raises(
        LocalProtocolError, match="RESET may not be sent in state READY behind an unanswered RESET"
    ):
        talk.client.send_reset()
    talk.success()
    talk.client.send_reset()


def test_ignored_reset_is_the_end() -> None:
    talk = Dialogue()
    talk.client.send_reset()
    dies(talk.ignored(), "IGNORED where the answer to RESET")


@pytest.mark.parametrize("answers", ["FI", "SS", "SF", "II", "SI"])
def test_interrupted_requests_may_end_in_any_way(answers: str) -> None:
    talk = Dialogue()
    client = talk.client
    client.send_run("x")
    client.send_pull()
    client.send_reset()
    client.send_begin()
    for answer in answers:
        {"F": talk.failure, "S": talk.success, "I": talk.ignored}[answer]()
        assert client.state is State.TX_READY and not client.closed
    talk.success()
    talk.success()
    assert client.state is State.TX_READY and not client.outstanding


def test_records_of_an_interrupted_stream_stand() -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_pull()
    talk.client.send_reset()
    talk.success(fields=["n"])
    assert len(talk.records((1,))) == 1
    assert [type(event) for event in talk.failure()] == [FailureReceived]
    talk.success()


def test_stream_that_ends_before_a_reset_is_answered() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_run("x")
    client.send_pull(1)
    client.send_reset()
    client.send_begin()
    client.send_run("y")
    talk.success(fields=["n"], qid=9)
    talk.success()
    assert client.state is State.TX_STREAMING and client.open_streams == (None,)
    talk.success()
    talk.success()
    talk.success(fields=["n"], qid=0)
    assert client.open_streams == (0,) and not client.closed


def test_stream_state_before_a_reset_is_forgotten() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_run("x")
    client.send_pull(1)
    client.send_reset()
    client.send_run("y")
    client.send_pull(1)
    talk.success(fields=["n"])
    talk.success(**MORE)  # of the old stream
    talk.success()
    assert client.state is State.STREAMING and client.open_streams == (None,)
    talk.success(fields=["n"])
    with pytest.raises(LocalProtocolError, match="may end the stream"):
        client.send_pull()
    talk.success(**MORE)
    client.send_pull()


def test_ack_failure() -> None:
    talk = Dialogue((1, 0))
    client = talk.client
    client.send_run("x")
    client.send_pull()
    with pytest.raises(LocalProtocolError, match="state READY"):
        client.send_ack_failure()
    talk.failure()
    client.send_ack_failure()
    assert client.state is State.READY
    client.send_run("y")
    talk.ignored()
    assert client.state is State.STREAMING
    talk.success()
    talk.success(fields=[])
    assert client.state is State.STREAMING


def test_unexplained_ignored_means_failed() -> None:
    talk = Dialogue()
    talk.client.send_run("x")
    talk.client.send_pull()
    talk.ignored()
    assert talk.client.state is State.FAILED
    talk.ignored()
    talk.client.send_reset()
    talk.success()
    assert not talk.client.closed


# What may stand behind what


ALL: list[tuple[Message, list[Message]]] = [
    (Message.BEGIN, [Message.RUN, Message.PULL]),
    (Message.BEGIN, [Message.ROUTE]),
    (Message.BEGIN, [Message.BEGIN, Message.COMMIT]),
    (Message.BEGIN, [Message.RESET, Message.RUN, Message.PULL]),
    (Message.LOGOFF, [Message.RUN, Message.PULL]),
    (Message.LOGOFF, [Message.ROUTE]),
    (Message.RESET, [Message.BEGIN]),
    (Message.RESET, [Message.BEGIN, Message.RUN, Message.PULL]),
    (Message.RESET, [Message.LOGOFF, Message.LOGON]),
    (Message.RESET, [Message.RESET, Message.RUN]),
]


def send_all(client: ClientConnection, messages: list[Message]) -> None:
    for message in messages:
        if message is Message.RUN:
            client.send_run("x")
        elif message is Message.TELEMETRY:
            client.send_telemetry(2)
        else:
            getattr(client, f"send_{message.name.lower()}")()


@pytest.mark.parametrize(("message", "before"), ALL, ids=str)
def test_refused_behind(message: Message, before: list[Message]) -> None:
    talk = Dialogue()
    client = talk.client
    send_all(client, before)
    client.data_to_send()
    state = client.state
    with pytest.raises(
        LocalProtocolError, match=f"{message.name} may not be sent in state {state} behind an unanswered"
    ):
        send_all(client, [message])
    assert client.state is state and client.data_to_send() == b""
    for _ in before:
        talk.success(fields=[])
    if client.state is not State.AUTHENTICATION:
        send_all(client, [message])


@pytest.mark.parametrize(
    "messages",
    [
        [Message.RESET, Message.BEGIN, Message.RUN, Message.PULL, Message.COMMIT],
        [Message.RUN, Message.PULL, Message.RESET, Message.BEGIN],
        [Message.TELEMETRY, Message.BEGIN, Message.RUN],
        [Message.LOGOFF, Message.LOGON, Message.RUN, Message.PULL],
        [Message.LOGOFF, Message.LOGON, Message.BEGIN],
        [Message.RUN, Message.PULL, Message.RESET, Message.LOGOFF, Message.LOGON],
        [Message.RUN, Message.PULL, Message.RUN, Message.DISCARD, Message.RESET],
        [Message.ROUTE, Message.RUN, Message.PULL, Message.RESET],
    ],
    ids=str,
)
def test_allowed_in_one_write(messages: list[Message]) -> None:
    send_all(Dialogue().client, messages)


def test_everything_of_a_new_connection_in_one_write() -> None:
    client = ClientConnection(version=(5, 8))
    client.send_hello("t/1")
    client.send_logon()
    client.send_begin()
    client.send_run("x")
    assert client.state is State.TX_STREAMING
    assert client.data_to_send().startswith(bytes.fromhex("6060b01700000805"))


def test_never_more_than_a_reset_overtakes() -> None:
    talk = Dialogue()
    client = talk.client
    for _ in range(128):
        client.send_run("x")
        client.send_pull()
    assert client.room == 0 and len(client.outstanding) == 256
    with pytest.raises(LocalProtocolError, match="256 requests are unanswered"):
        client.send_run("x")
    client.send_reset()
    for _ in range(2):
        talk.success(fields=[])
    assert client.room == 1
    client.send_run("x")
    assert Dialogue(max_unanswered=2).client.room == 2


# Errors of the caller change nothing


def test_what_cannot_be_packed() -> None:
    talk = Dialogue()
    client = talk.client
    with pytest.raises(PackError) as caught:
        client.send_run("x", {"a": [1, {1, 2}]})
    assert str(caught.value).startswith("$")
    assert client.state is State.READY and not client.outstanding and client.data_to_send() == b""
    client.send_run("x")
    assert client.outstanding[0].number == 2


# Sending again, abandoning


def test_send_again() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_run("a")
    client.send_pull()
    run, pull = client.send_run("b", {"p": [1, 2]}), client.send_pull()
    client.data_to_send()
    talk.failure()
    for _ in range(3):
        talk.ignored()
    with pytest.raises(LocalProtocolError, match="would be ignored"):
        client.send_again(run)
    client.send_reset()
    again, again2 = client.send_again(run), client.send_again(pull)
    assert again is not run and again.data is run.data and again.number == run.number + 3
    assert client.data_to_send() == b"\x00\x02\xb0\x0f\x00\x00" + run.data + pull.data
    talk.success()
    talk.success(fields=["n"])
    (event,) = talk.records((1,))
    assert isinstance(event, RecordsReceived) and event.request is again2
    talk.success()
    assert client.state is State.READY


def test_a_run_that_is_packed_and_sent_later() -> None:
    talk = Dialogue()
    client = talk.client
    run = client.pack_run("a", {"p": 1}, db="d")
    assert client.data_to_send() == b"" and not client.outstanding and client.state is State.READY
    other = client.pack_run("a", {"p": 1, "more": "x" * 100}, db="d")
    assert len(other.data) > len(run.data) + 100
    sent = client.send_again(run)
    assert sent is not run and list(client.outstanding) == [sent] and client.state is State.STREAMING
    assert client.data_to_send() == run.data
    with pytest.raises(LocalProtocolError, match="may not be sent"):
        client.pack_run("a")
    twin = Dialogue().client
    assert twin.send_run("a", {"p": 1}, db="d").data == run.data
    with pytest.raises(PackError, match=r"\$p: "):
        Dialogue().client.pack_run("a", {"p": object()})


def test_abandoned_records_are_skipped() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_run("a")
    pull = client.send_pull()
    client.send_run("b")
    other = client.send_pull()
    client.abandon(pull)
    client.abandon(pull)
    talk.success(fields=["n"])
    # Not even decoded: this one could not be.
    assert client.receive_data(b"\x00\x04\xb1\x71\x91\xc7\x00\x00") == []
    (event,) = talk.success()
    assert isinstance(event, SuccessReceived) and event.request is pull and pull.abandoned
    talk.success(fields=["n"])
    (event,) = talk.records((7,))
    assert isinstance(event, RecordsReceived) and event.request is other
    client.abandon(pull)  # too late to mean anything
    talk.success()


# The utc patch

BERLIN = datetime.timezone(datetime.timedelta(hours=1))
MOMENT = datetime.datetime(1970, 1, 1, 2, 15, tzinfo=BERLIN)


@pytest.mark.parametrize("version", [(4, 3), (4, 4)])
@pytest.mark.parametrize("granted", [True, False])
def test_utc_patch(version: Version, granted: bool) -> None:
    talk = Dialogue(version, login=False)
    client = talk.client
    client.send_hello("t/1")
    assert client.patch_pending
    # Its form is not known yet; anything else may be sent.
    with pytest.raises(LocalProtocolError, match="until HELLO is answered"):
        client.send_run("x", {"t": MOMENT})
    assert client.state is State.READY
    early = client.send_run("x", {"t": datetime.date(2020, 1, 1)})
    client.send_pull()
    # What follows HELLO's answer in the same piece is read in the form that it settles.
    tag = 0x49 if granted else 0x46
    row = (Structure(tag, 4500 if granted else 8100, 0, 3600),)
    events = client.receive_data(
        talk.writer.message(Message.SUCCESS, {"patch_bolt": ["utc"]} if granted else {})
        + talk.writer.message(Message.SUCCESS, {"fields": ["t"]})
        + talk.writer.records([row])
        + talk.writer.message(Message.SUCCESS, {})
    )
    assert client.utc_patch is granted and not client.patch_pending
    assert early.answered
    (records,) = (event for event in events if isinstance(event, RecordsReceived))
    assert records.rows == [(MOMENT,)]
    assert records.rows[0][0].utcoffset() == datetime.timedelta(hours=1)
    assert bytes((0xB3, tag)) in client.send_run("x", {"t": MOMENT}).data


def test_utc_patch_byte_by_byte() -> None:
    talk = Dialogue((4, 4), login=False)
    client = talk.client
    client.send_hello("t/1")
    client.send_run("x")
    client.send_pull()
    data = (
        b"\0\0"
        + talk.writer.message(Message.SUCCESS, {"patch_bolt": ["utc"]})
        + talk.writer.message(Message.SUCCESS, {"fields": ["t"]})
        + talk.writer.records([(Structure(0x49, 4500, 0, 3600),)])
    )
    events = [event for byte in data for event in client.receive_data(bytes((byte,)))]
    assert isinstance(events[-1], RecordsReceived) and events[-1].rows == [(MOMENT,)]


def test_utc_patch_not_asked_for() -> None:
    talk = Dialogue((4, 4), login=False)
    talk.client.send_hello("t/1", patch_bolt=())
    assert not talk.client.patch_pending
    assert b"\xb3\x46" in talk.client.send_run("x", {"t": MOMENT}).data
    talk.success(patch_bolt=["utc"])
    assert not talk.client.utc_patch


@pytest.mark.parametrize("version", [version for version in VERSIONS if version not in ((4, 3), (4, 4))])
def test_utc_patch_is_of_4_3_and_4_4(version: Version) -> None:
    talk = Dialogue(version, login=False)
    talk.client.send_hello("t/1")
    assert not talk.client.patch_pending
    talk.success(patch_bolt=["utc"])
    assert not talk.client.utc_patch


# 0.0.2


def test_bolt_1_as_asyncbolt_0_0_2_spoke_it() -> None:
    client = ClientConnection(versions=[(1, 0)])
    assert client.data_to_send() == bytes.fromhex("6060B017 00000001 00000000 00000000 00000000")
    client.receive_data(bytes.fromhex("00000001"))
    client.send_hello("hello", {})
    assert client.data_to_send() == bytes.fromhex("0009 B201 8568656C6C6F A0 0000")
    client.send_run("RETURN 1 AS num")
    client.send_pull()
    assert client.data_to_send() == bytes.fromhex(
        "0013B2108F52455455524E2031204153206E756DA000000002B03F0000"
    )


def test_bolt_1_requests_without_fields() -> None:
    talk = Dialogue((1, 0))
    client = talk.client
    client.send_run("x", {"a": -1})
    client.send_discard()
    client.send_reset()
    assert client.data_to_send() == bytes.fromhex(
        "0008 B210 8178 A18161FF 0000 0002 B02F 0000 0002 B00F 0000"
    )


def test_words() -> None:
    talk = Dialogue()
    client = talk.client
    run = client.send_run("x", {"password": "hunter2"})
    client.send_pull()
    assert repr(run) == "<Request RUN #2, unanswered>"
    (event,) = talk.success(fields=["n"])
    assert repr(event) == "<SuccessReceived for <Request RUN #2, answered>>"
    (event,) = talk.records((1,), (2,))
    assert repr(event) == "<RecordsReceived 2 for <Request PULL #3, unanswered>>"
    (event,) = talk.failure()
    assert repr(event).startswith("<FailureReceived ") and "PULL #3" in repr(event)
    client.send_reset()
    client.send_run("x")
    talk.success()
    (event,) = talk.ignored()
    assert repr(event) == "<IgnoredReceived for <Request RUN #5, answered>>"


def test_parameters_may_be_any_mapping() -> None:
    talk = Dialogue()
    plain = talk.client.send_run("x", {"a": {"b": 1}})
    talk.client.send_discard()
    other = talk.client.send_run("x", types.MappingProxyType({"a": types.MappingProxyType({"b": 1})}))
    assert plain.data == other.data
