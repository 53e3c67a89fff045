"""Requests by version: which exist, their fields and keys, how they are read and described."""

from __future__ import annotations

from typing import Any

import pytest

from asyncbolt._constants import Message, Version
from asyncbolt.chunking import MessageReader
from asyncbolt.exceptions import LocalProtocolError
from asyncbolt.protocol import VERSIONS, ClientConnection, ServerRequest, describe
from asyncbolt.protocol.handshake import encode_offer
from asyncbolt.protocol.messages import MalformedRequest, default_bolt_agent, read_request
from asyncbolt.protocol.versions import facts, known_versions

V = VERSIONS


def since(first: Version, last: Version = (6, 1)) -> set[Version]:
    return {version for version in VERSIONS if first <= version <= last}


def test_versions() -> None:
    assert V == (
        *((6, 1), (6, 0)),
        *((5, 8), (5, 7), (5, 6), (5, 4), (5, 3), (5, 2), (5, 1), (5, 0)),
        *((4, 4), (4, 3), (4, 2), (4, 1), (4, 0)),
        *((3, 0), (2, 0), (1, 0)),
    )
    with pytest.raises(ValueError, match="asyncbolt speaks"):
        facts((5, 5))
    with pytest.raises(ValueError, match="asyncbolt speaks"):
        known_versions([(7, 0)])
    assert known_versions([(4, 4), (3, 0), (4, 4)]) == ((4, 4), (3, 0))


# Restated: which request is in which version, with how many fields.
REQUESTS: list[tuple[Message, int, set[Version]]] = [
    (Message.HELLO, 2, since((1, 0), (2, 0))),
    (Message.HELLO, 1, since((3, 0))),
    (Message.GOODBYE, 0, since((3, 0))),
    (Message.ACK_FAILURE, 0, since((1, 0), (2, 0))),
    (Message.RESET, 0, since((1, 0))),
    (Message.RUN, 2, since((1, 0), (2, 0))),
    (Message.RUN, 3, since((3, 0))),
    (Message.BEGIN, 1, since((3, 0))),
    (Message.COMMIT, 0, since((3, 0))),
    (Message.ROLLBACK, 0, since((3, 0))),
    (Message.DISCARD, 0, since((1, 0), (3, 0))),
    (Message.DISCARD, 1, since((4, 0))),
    (Message.PULL, 0, since((1, 0), (3, 0))),
    (Message.PULL, 1, since((4, 0))),
    (Message.TELEMETRY, 1, since((5, 4))),
    (Message.ROUTE, 3, since((4, 3))),
    (Message.LOGON, 1, since((5, 1))),
    (Message.LOGOFF, 0, since((5, 1))),
]

KEYS: list[tuple[Message, str, set[Version]]] = [
    (Message.HELLO, "user_agent", since((3, 0))),
    (Message.HELLO, "routing", since((4, 1))),
    (Message.HELLO, "patch_bolt", since((4, 3), (4, 4))),
    (Message.HELLO, "bolt_agent", since((5, 3))),
    *(
        (message, key, versions)
        for message in (Message.HELLO, Message.RUN, Message.BEGIN)
        for key, versions in (
            ("notifications_minimum_severity", since((5, 2))),
            ("notifications_disabled_categories", since((5, 2), (5, 4))),
            ("notifications_disabled_classifications", since((5, 6))),
        )
    ),
    *(
        (message, key, versions)
        for message in (Message.RUN, Message.BEGIN)
        for key, versions in (
            ("bookmarks", since((3, 0))),
            ("tx_timeout", since((3, 0))),
            ("tx_metadata", since((3, 0))),
            ("mode", since((3, 0))),
            ("db", since((4, 0))),
            ("imp_user", since((4, 4))),
        )
    ),
    (Message.PULL, "n", since((4, 0))),
    (Message.PULL, "qid", since((4, 0))),
    (Message.DISCARD, "n", since((4, 0))),
    (Message.DISCARD, "qid", since((4, 0))),
    (Message.ROUTE, "db", since((4, 3))),
    (Message.ROUTE, "imp_user", since((4, 4))),
]


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_and_keys(version: Version) -> None:
    known = facts(version)
    assert {(message, len(layout.fields)) for message, layout in known.layouts.items()} == {
        (message, count) for message, count, versions in REQUESTS if version in versions
    }
    assert {(message, key) for message, keys in known.keys.items() for key in keys} == {
        (message, key) for message, key, versions in KEYS if version in versions
    }
    client = ready(version, logged_in=False)
    for message, key, versions in KEYS:
        assert client.accepts(message, key) is (version in versions)


def ready(version: Version, logged_in: bool = True) -> ClientConnection:
    client = ClientConnection(version=version)
    client.receive_data(encode_offer(version))
    client.data_to_send()
    if logged_in:
        client.send_hello("t/1", patch_bolt=())
        if client.supports(Message.LOGON):
            client.send_logon()
        client.data_to_send()
    return client


def sent(client: ClientConnection) -> list[tuple[Any, ...]]:
    assert client.version is not None
    return MessageReader(client.version, runs=False).feed(client.data_to_send())


BASIC = {"scheme": "basic", "principal": "u", "credentials": "p"}


@pytest.mark.parametrize("version", VERSIONS)
def test_hello(version: Version) -> None:
    client = ready(version, logged_in=False)
    client.send_hello("app/1", BASIC, routing={"address": "a:1"})
    ((signature, *fields),) = sent(client)
    assert signature == 0x01
    if version < (3, 0):
        assert fields == ["app/1", BASIC]
        return
    expected: dict[str, Any] = {"user_agent": "app/1"}
    if version >= (4, 1):
        expected["routing"] = {"address": "a:1"}
    if version in ((4, 3), (4, 4)):
        expected["patch_bolt"] = ["utc"]
    if version >= (5, 3):
        expected["bolt_agent"] = dict(default_bolt_agent())
    if version < (5, 1):
        expected |= BASIC
    assert fields == [expected]


@pytest.mark.parametrize("version", VERSIONS)
def test_no_credentials(version: Version) -> None:
    client = ready(version, logged_in=False)
    client.send_hello("app/1", patch_bolt=())
    (message,) = sent(client)
    if version < (5, 1):
        assert message[-1]["scheme"] == "none"
    else:
        assert "scheme" not in message[-1]
        client.send_logon()
        assert sent(client) == [(0x6A, {"scheme": "none"})]


def test_nulls_are_never_sent() -> None:
    client = ready((5, 8), logged_in=False)
    client.send_hello("app/1", bolt_agent={"product": "p/1"}, routing=None, notifications_disabled=None)
    client.send_logon({"scheme": "basic", "principal": "u", "credentials": "p", "realm": None})
    client.send_run("x", None, db=None, bookmarks=None, mode="r")
    assert sent(client) == [
        (0x01, {"user_agent": "app/1", "bolt_agent": {"product": "p/1"}}),
        (0x6A, BASIC),
        (0x10, "x", {}, {"mode": "r"}),
    ]


def test_default_bolt_agent() -> None:
    agent = default_bolt_agent()
    assert agent["product"].startswith("asyncbolt/") and agent["language"].startswith("Python/")
    assert set(agent) <= {"product", "platform", "language", "language_details"}
    assert all(isinstance(value, str) and value for value in agent.values())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("message", [Message.HELLO, Message.RUN, Message.BEGIN])
def test_notification_filter(version: Version, message: Message) -> None:
    client = ready(version, logged_in=message is not Message.HELLO)
    wanted = {"notifications_minimum_severity": "OFF", "notifications_disabled": ("HINT", "GENERIC")}

    def send() -> object:
        if message is Message.HELLO:
            return client.send_hello("app/1", patch_bolt=(), **wanted)  # type: ignore[arg-type]
        return client.send_run("x", **wanted) if message is Message.RUN else client.send_begin(**wanted)

    if message is Message.BEGIN and version < (3, 0):
        return
    if version < (5, 2):
        before = client.state
        with pytest.raises(LocalProtocolError, match=r"notifications_minimum_severity.*5\.2"):
            send()
        assert client.state is before and client.data_to_send() == b""
        return
    send()
    (item,) = sent(client)
    name = "notifications_disabled_" + ("categories" if version < (5, 6) else "classifications")
    assert item[-1]["notifications_minimum_severity"] == "OFF"
    assert item[-1][name] == ["HINT", "GENERIC"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("key", "value", "first"),
    [
        ("bookmarks", ["a"], (3, 0)),
        ("tx_timeout", 5, (3, 0)),
        ("tx_metadata", {"k": 1}, (3, 0)),
        ("mode", "r", (3, 0)),
        ("db", "neo4j", (4, 0)),
        ("imp_user", "bob", (4, 4)),
    ],
)
def test_extra_of_run_and_begin(version: Version, key: str, value: Any, first: Version) -> None:
    for message in (Message.RUN, Message.BEGIN):
        client = ready(version)
        for request in client.outstanding:
            request.answered = True
        client.outstanding.clear()  # BEGIN stands behind nothing that may fail
        if not client.supports(message):
            continue
        send = (
            client.send_begin
            if message is Message.BEGIN
            else lambda client=client, **extra: client.send_run("x", **extra)
        )
        if version < first:
            with pytest.raises(
                LocalProtocolError, match=rf"{message.name} has no key '{key}' in Bolt {version[0]}"
            ):
                send(**{key: value})
            assert client.data_to_send() == b""
        else:
            send(**{key: value})
            (item,) = sent(client)
            assert item[-1] == {key: value}


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ({"bookmarks": "bm"}, "bookmarks must be a List of String, not str"),
        ({"bookmarks": [1]}, "bookmarks must be a List of String"),
        ({"bookmarks": 1}, "bookmarks must be a List of String, not int"),
        ({"tx_timeout": 1.5}, "tx_timeout must be an Integer, not float"),
        ({"tx_timeout": True}, "tx_timeout must be an Integer, not bool"),
        ({"tx_metadata": [1]}, "tx_metadata must be a Map, not list"),
        ({"mode": "x"}, "mode must be one of 'r', 'w', not 'x'"),
        ({"db": 1}, "db must be a String, not int"),
        ({"surprise": 1}, "RUN has no key 'surprise' in Bolt 5.8: no version has it"),
        ({"patch_bolt": []}, "RUN has no key 'patch_bolt' in Bolt 5.8: no version has it"),
        ({"notifications_disabled_categories": []}, "in Bolt 5.8: Bolt 5.2 to 5.4 have it"),
    ],
)
def test_extra_that_does_not_fit(extra: dict[str, Any], text: str) -> None:
    client = ready((5, 8))
    state = client.state
    with pytest.raises(LocalProtocolError) as caught:
        client.send_run("x", **extra)
    assert text in str(caught.value)
    assert client.state is state and client.data_to_send() == b""


def test_containers_of_other_classes() -> None:
    client = ready((5, 8))
    client.send_run("x", bookmarks=frozenset({"a"}), mode="w")
    assert sent(client) == [(0x10, "x", {}, {"bookmarks": ["a"], "mode": "w"})]


@pytest.mark.parametrize(
    ("version", "call", "fields"),
    [
        ((4, 3), {}, ({}, [], None)),
        ((4, 3), {"db": "d"}, ({}, [], "d")),
        ((4, 4), {}, ({}, [], {})),
        ((4, 4), {"db": "d", "imp_user": "bob"}, ({}, [], {"db": "d", "imp_user": "bob"})),
        ((6, 1), {"routing": {"address": "a"}, "bookmarks": ("b",)}, ({"address": "a"}, ["b"], {})),
    ],
)
def test_route(version: Version, call: dict[str, Any], fields: tuple[Any, ...]) -> None:
    client = ready(version)
    client.send_route(**call)
    assert sent(client) == [(0x66, *fields)]


def test_route_without_impersonation() -> None:
    client = ready((4, 3))
    with pytest.raises(
        LocalProtocolError, match=r"ROUTE has no key 'imp_user' in Bolt 4\.3: Bolt 4\.4 to 6\.1"
    ):
        client.send_route(imp_user="bob")


@pytest.mark.parametrize("api", [-1, 4, "1", None, True])
def test_telemetry_takes_four_numbers(api: Any) -> None:
    client = ready((5, 4))
    with pytest.raises(LocalProtocolError, match="TELEMETRY: api must be"):
        client.send_telemetry(api)


@pytest.mark.parametrize(
    ("statement", "parameters"), [(b"x", None), (None, None), ("x", [1]), ("x", "y"), (1, {})]
)
def test_run_takes_text_and_a_map(statement: Any, parameters: Any) -> None:
    client = ready((5, 8))
    with pytest.raises(LocalProtocolError, match=r"RUN: (statement|parameters) must be a"):
        client.send_run(statement, parameters)


def test_credentials_must_be_a_map_of_their_own() -> None:
    client = ready((4, 4), logged_in=False)
    with pytest.raises(LocalProtocolError, match="must be a map, not tuple"):
        client.send_hello("t", ("u", "p"))  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="'user_agent' is no key of credentials"):
        client.send_hello("t", {"scheme": "x", "user_agent": "y"})
    assert client.data_to_send() == b"" and not client.outstanding


# Reading


def read(version: Version, message: Message, *fields: Any) -> ServerRequest:
    return read_request(facts(version), message, fields)


def test_read_hello() -> None:
    request = read((1, 0), Message.INIT, "old/1", {"scheme": "none", "x": None})
    assert (request.user_agent, request.auth, request.extra) == ("old/1", {"scheme": "none"}, {})
    extra = {"user_agent": "a/1", **BASIC, "realm": None, "routing": {"address": "x"}, "patch_bolt": ["utc"]}
    request = read((4, 4), Message.HELLO, extra)
    assert (request.user_agent, request.auth, request.routing) == ("a/1", BASIC, {"address": "x"})
    assert request.extra == {"user_agent": "a/1", "routing": {"address": "x"}, "patch_bolt": ["utc"]}
    # What this version does not know is neither a key nor a credential.
    request = read((4, 0), Message.HELLO, extra)
    assert (request.auth, request.routing, request.extra) == (BASIC, None, {"user_agent": "a/1"})
    request = read((5, 0), Message.HELLO, {**extra, "bolt_agent": {"product": "x"}})
    assert (request.auth, "patch_bolt" in request.extra) == (BASIC, False)
    # From 5.1 on credentials in HELLO are ignored.
    request = read((5, 1), Message.HELLO, extra)
    assert request.auth is None
    request = read((5, 4), Message.HELLO, {"user_agent": "a", "bolt_agent": None, "routing": None, "new": 1})
    assert request.extra == {"user_agent": "a"} and request.routing is None
    request = read(
        (5, 4), Message.HELLO, {"user_agent": "a", "bolt_agent": {"product": "p", "platform": None}}
    )
    assert request.extra["bolt_agent"]["product"] == "p"


def test_read_others() -> None:
    request = read((2, 0), Message.RUN, "x", {"p": 1})
    assert (request.statement, request.parameters, request.extra) == ("x", {"p": 1}, {})
    extra = {"db": None, "imp_user": "bob", "mode": "w", "bookmarks": [], "other": 1}
    assert read((4, 4), Message.RUN, "x", {}, extra).extra == {
        "imp_user": "bob",
        "mode": "w",
        "bookmarks": [],
    }
    # Impersonation is not in 4.3: it must not be seen.
    assert read((4, 3), Message.RUN, "x", {}, extra).extra == {"mode": "w", "bookmarks": []}
    assert read((3, 0), Message.BEGIN, {"tx_timeout": 5}).extra == {"tx_timeout": 5}
    request = read((4, 0), Message.PULL, {"n": 5, "qid": None})
    assert (request.n, request.qid) == (5, -1)
    request = read((4, 0), Message.DISCARD, {"n": -1, "qid": 3})
    assert (request.n, request.qid) == (-1, 3)
    assert read((3, 0), Message.PULL_ALL).n == -1
    assert read((5, 4), Message.TELEMETRY, 3).api == 3
    assert read((5, 1), Message.LOGON, {"scheme": "bearer", "credentials": "t"}).auth == {
        "scheme": "bearer",
        "credentials": "t",
    }
    request = read((4, 3), Message.ROUTE, {"address": "a"}, ["b"], "d")
    assert (request.routing, request.bookmarks, request.extra) == ({"address": "a"}, ["b"], {"db": "d"})
    assert read((4, 3), Message.ROUTE, {}, [], None).extra == {}
    assert read((4, 3), Message.ROUTE, {}, [], {"db": "d", "imp_user": "x"}).extra == {"db": "d"}
    assert read((4, 4), Message.ROUTE, {}, [], {"db": None, "imp_user": "x"}).extra == {"imp_user": "x"}


FORMAT = "Neo.ClientError.Request.InvalidFormat"
INVALID = "Neo.ClientError.Request.Invalid"


@pytest.mark.parametrize(
    ("version", "message", "fields", "code"),
    [
        ((1, 0), Message.INIT, ("x",), FORMAT),
        ((1, 0), Message.RUN, ("x", {}, {}), FORMAT),
        ((3, 0), Message.RUN, ("x", {}), FORMAT),
        ((3, 0), Message.PULL_ALL, ({"n": 1},), FORMAT),
        ((4, 0), Message.PULL, (), FORMAT),
        ((4, 3), Message.ROUTE, ({}, []), FORMAT),
        ((4, 4), Message.ROUTE, ({}, [], None, {}), FORMAT),
        ((5, 1), Message.RESET, ({},), FORMAT),
        ((5, 1), Message.LOGOFF, (None,), FORMAT),
        ((1, 0), Message.INIT, (1, {}), INVALID),
        ((1, 0), Message.INIT, ("x", None), INVALID),
        ((3, 0), Message.HELLO, ("x",), INVALID),
        ((3, 0), Message.HELLO, ({},), INVALID),
        ((3, 0), Message.HELLO, ({"user_agent": None},), INVALID),
        ((3, 0), Message.HELLO, ({"user_agent": 1},), INVALID),
        ((4, 1), Message.HELLO, ({"user_agent": "x", "routing": "a"},), INVALID),
        ((4, 4), Message.HELLO, ({"user_agent": "x", "patch_bolt": "utc"},), INVALID),
        ((5, 3), Message.HELLO, ({"user_agent": "x", "bolt_agent": {"product": 1}},), INVALID),
        ((3, 0), Message.RUN, (None, {}, {}), INVALID),
        ((3, 0), Message.RUN, ("x", None, {}), INVALID),
        ((3, 0), Message.RUN, ("x", {}, None), INVALID),
        ((3, 0), Message.RUN, ("x", [], {}), INVALID),
        ((3, 0), Message.RUN, ("x", {}, {"mode": "x"}), INVALID),
        ((3, 0), Message.RUN, ("x", {}, {"bookmarks": "b"}), INVALID),
        ((3, 0), Message.RUN, ("x", {}, {"bookmarks": [None]}), INVALID),
        ((3, 0), Message.BEGIN, ({"tx_timeout": 1.0},), INVALID),
        ((3, 0), Message.BEGIN, ({"tx_timeout": True},), INVALID),
        ((3, 0), Message.BEGIN, ({"tx_metadata": "x"},), INVALID),
        ((4, 0), Message.BEGIN, ({"db": 1},), INVALID),
        ((4, 0), Message.PULL, ({},), INVALID),
        ((4, 0), Message.PULL, ({"n": None},), INVALID),
        ((4, 0), Message.PULL, ({"n": 0},), INVALID),
        ((4, 0), Message.PULL, ({"n": -2},), INVALID),
        ((4, 0), Message.DISCARD, ({"n": "1"},), INVALID),
        ((4, 0), Message.DISCARD, ({"n": 1, "qid": -2},), INVALID),
        ((4, 0), Message.DISCARD, ({"n": 1, "qid": 1.0},), INVALID),
        ((4, 3), Message.ROUTE, (None, [], None), INVALID),
        ((4, 3), Message.ROUTE, ({}, [1], None), INVALID),
        ((4, 3), Message.ROUTE, ({}, [], 1), INVALID),
        ((4, 4), Message.ROUTE, ({}, [], "d"), INVALID),
        ((5, 1), Message.LOGON, (None,), INVALID),
        ((5, 4), Message.TELEMETRY, (4,), INVALID),
        ((5, 4), Message.TELEMETRY, (None,), INVALID),
        ((5, 4), Message.TELEMETRY, (True,), INVALID),
    ],
)
def test_malformed(version: Version, message: Message, fields: tuple[Any, ...], code: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        read(version, message, *fields)
    assert caught.value.code == code
    assert caught.value.text


# Words


def test_credentials_are_masked() -> None:
    secrets = {"credentials": "hunter2", "parameters": {"pin": "hunter2"}, "token": "hunter2"}
    for signature, fields in [
        (Message.INIT, ("app/1", {"scheme": "basic", "principal": "neo4j", **secrets})),
        (Message.HELLO, ({"user_agent": "app/1", "scheme": "custom", "principal": "neo4j", **secrets},)),
        (Message.LOGON, ({"scheme": "bearer", "principal": "neo4j", **secrets},)),
        (Message.LOGON, ({"scheme": "basic", "principal": "neo4j", "credentials": b"hunter2"},)),
        (
            Message.RUN,
            ("x", {"principal": "neo4j", "password": "hunter2", "deep": {"credentials": "hunter2"}}, {}),
        ),
    ]:
        text = describe(signature, fields)
        assert "hunter2" not in text
        assert "neo4j" in text and "*******" in text
    request = ServerRequest(Message.LOGON, ({"scheme": "basic", "credentials": "hunter2"},))
    assert "hunter2" not in repr(request) and "basic" in repr(request)
    client = ready((5, 8), logged_in=False)
    client.send_hello("t/1")
    logon = client.send_logon({"scheme": "basic", "principal": "u", "credentials": "hunter2"})
    assert b"hunter2" in logon.data and "hunter2" not in repr(logon)


def test_long_values_are_elided() -> None:
    assert describe(Message.RESET) == "RESET"
    assert describe(0x33, (1,)) == "0x33 1"
    assert (
        describe(Message.RUN, ("RETURN 1", {"x": [1, None, True, 2.5]}, {}))
        == "RUN 'RETURN 1' {x: [1, None, True, 2.5]} {}"
    )
    assert describe(Message.RUN, ("x" * 1000,)) == f"RUN {'x' * 120!r}... (1000 characters)"
    assert describe(Message.RECORD, (list(range(100)),)) == "RECORD [0, 1, 2, 3, 4, ... (100 items)]"
    assert describe(Message.RECORD, ([b"\0" * 5000],)) == "RECORD [<5000 bytes>]"
    assert describe(Message.RECORD, ([[[[[[1]]]]]],)) == "RECORD [[[[... 1 items]]]]"
    assert (
        describe(Message.SUCCESS, ({"a": {"b": {"c": {"d": {"e": 1}}}}},))
        == "SUCCESS {a: {b: {c: {... 1 keys}}}}"
    )
    assert "(40 keys)" in describe(Message.SUCCESS, ({f"k{index}": index for index in range(40)},))
    longest = describe(Message.RECORD, ([["x" * 119] * 5] * 5,))
    assert len(longest) < 700 and longest.endswith("characters)")


def test_foreign_objects_are_not_asked_for_words() -> None:
    class Loud:
        def __repr__(self) -> str:
            raise AssertionError("asked")

    assert describe(Message.RUN, ("x", {"v": Loud()})) == "RUN 'x' {v: <Loud>}"
