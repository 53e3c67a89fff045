"""Every cell of every state table, in both roles: the tables restated, a connection driven to each state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from asyncbolt._constants import MAGIC, Message, Version
from asyncbolt.chunking import MessageReader, MessageWriter
from asyncbolt.exceptions import LocalProtocolError
from asyncbolt.protocol import (
    VERSIONS,
    ClientConnection,
    ConnectionFailed,
    FailureReceived,
    Goodbye,
    HandshakeDone,
    Request,
    RequestReceived,
    ServerConnection,
    State,
)
from asyncbolt.protocol.handshake import encode_offer

# S>x, F>x: the state behind SUCCESS, FAILURE. M>x: behind SUCCESS with has_more. O>x: behind SUCCESS while
# other streams are open. K>x: FAILURE without being heard, not closed. I: IGNORED. -: FAILURE and closed.
# int: RESET interrupts. bye: closed without an answer. rude: as told, but no client sends it.
STATES = {
    "C": State.CONNECTED,
    "N": State.NEGOTIATION,
    "A": State.AUTHENTICATION,
    "R": State.READY,
    "S": State.STREAMING,
    "T": State.TX_READY,
    "X": State.TX_STREAMING,
    "F": State.FAILED,
    "I": State.INTERRUPTED,
    "D": State.DEFUNCT,
}

BOLT_1 = """
              C        R        S        F        I
HELLO         S>R,F>D  -        -        -        -
RUN           -        S>S,F>F  -        I        I
PULL          -        -        S>R,F>F  I        I
DISCARD       -        -        S>R,F>F  I        I
ACK_FAILURE   -        -        -        S>R,F>D  I
RESET         -        int      int      int      S>R,F>D
"""

BOLT_3 = """
              C        R        S        T        X             F    I
HELLO         S>R,F>D  -        -        -        -             -    -
RUN           -        S>S,F>F  -        S>X,F>F  -             I    I
PULL          -        -        S>R,F>F  -        S>T,F>F       I    I
DISCARD       -        -        S>R,F>F  -        S>T,F>F       I    I
BEGIN         -        S>T,F>F  -        -        -             I    I
COMMIT        -        -        -        S>R,F>F  S>R,F>F,rude  I    I
ROLLBACK      -        -        -        S>R,F>F  S>R,F>F,rude  I    I
RESET         -        int      int      int      int           int  S>R,F>D
GOODBYE       bye      bye      bye      bye      bye           bye  bye
"""

BOLT_4_0 = """
              C        R        S            T        X                F    I
HELLO         S>R,F>D  -        -            -        -                -    -
RUN           -        S>S,F>F  -            S>X,F>F  S>X,F>F          I    I
PULL          -        -        M>S,S>R,F>F  -        M>X,S>T,O>X,F>F  I    I
DISCARD       -        -        M>S,S>R,F>F  -        M>X,S>T,O>X,F>F  I    I
BEGIN         -        S>T,F>F  -            -        -                I    I
COMMIT        -        -        -            S>R,F>F  S>R,F>F,rude     I    I
ROLLBACK      -        -        -            S>R,F>F  S>R,F>F,rude     I    I
RESET         -        int      int          int      int              int  S>R,F>D
GOODBYE       bye      bye      bye          bye      bye              bye  bye
"""

ROUTE = """
              C  R        S  T  X  F  I
ROUTE         -  S>R,F>F  -  -  -  I  I
"""

LOGIN = """
              N        A        R        S    T    X    F    I
HELLO         S>A,F>D  -        -        -    -    -    -    -
LOGON         -        S>R,F>D  -        -    -    -    -    -
LOGOFF        -        -        S>A,F>F  -    -    -    -    -
RUN           -        -        =        =    =    =    =    =
PULL          -        -        =        =    =    =    =    =
DISCARD       -        -        =        =    =    =    =    =
BEGIN         -        -        =        =    =    =    =    =
COMMIT        -        -        =        =    =    =    =    =
ROLLBACK      -        -        =        =    =    =    =    =
ROUTE         -        -        =        =    =    =    =    =
RESET         -        -        =        =    =    =    =    =
GOODBYE       bye      bye      =        =    =    =    =    =
"""

TELEMETRY = """
              N  A  R        S    T    X    F  I
TELEMETRY     -  -  S>R,F>F  K>F  K>F  K>F  I  I
"""

Cells = dict[tuple[State, Message], str]


def parse(*texts: str) -> Cells:
    """Lay tables over each other; "=" leaves what the one below has."""
    cells: Cells = {}
    for text in texts:
        header, *rows = text.strip("\n").splitlines()
        states = [STATES[letter] for letter in header.split()]
        for row in rows:
            name, *entries = row.split()
            for state, entry in zip(states, entries, strict=True):
                if entry != "=":
                    cells[state, Message[name]] = entry
    return cells


def without_connected(cells: Cells) -> Cells:
    return {cell: entry for cell, entry in cells.items() if cell[0] is not State.CONNECTED}


MACHINES: dict[tuple[Version, ...], Cells] = {
    ((1, 0), (2, 0)): parse(BOLT_1),
    ((3, 0),): parse(BOLT_3),
    ((4, 0), (4, 1), (4, 2)): parse(BOLT_4_0),
    ((4, 3), (4, 4), (5, 0)): parse(BOLT_4_0, ROUTE),
    ((5, 1), (5, 2), (5, 3)): without_connected(parse(BOLT_4_0, ROUTE, LOGIN)),
    ((5, 4), (5, 6), (5, 7), (5, 8), (6, 0), (6, 1)): without_connected(
        parse(BOLT_4_0, ROUTE, LOGIN, TELEMETRY)
    ),
}
CELLS = [
    pytest.param(version, state, message, entry, id=f"{version[0]}.{version[1]}-{state}-{message.name}")
    for versions, cells in MACHINES.items()
    for version in versions
    for (state, message), entry in cells.items()
]
every_cell = pytest.mark.parametrize(("version", "state", "message", "entry"), CELLS)
FINAL = {State.DEFUNCT}


def test_every_version_has_a_table() -> None:
    assert sorted(version for versions in MACHINES for version in versions) == sorted(VERSIONS)
    # Every state meets every request of its version.
    for cells in MACHINES.values():
        states = {state for state, _ in cells}
        messages = {message for _, message in cells}
        assert len(cells) == len(states) * len(messages)


def outcomes(entry: str) -> dict[str, State]:
    """ "S>R,F>F" as {"S": READY, "F": FAILED}."""
    return {part[0]: STATES[part[2]] for part in entry.split(",") if part[1:2] == ">"}


def fields_of(message: Message, version: Version) -> tuple[Any, ...]:
    """The fields of a sound request, restated."""
    if message is Message.HELLO:
        if version < (3, 0):
            return "t/1", {"scheme": "none"}
        return ({"user_agent": "t/1"},)
    if message is Message.RUN:
        return ("x", {}) if version < (3, 0) else ("x", {}, {})
    if message in (Message.PULL, Message.DISCARD):
        return () if version < (4, 0) else ({"n": -1},)
    return {
        Message.BEGIN: ({},),
        Message.LOGON: ({"scheme": "none"},),
        Message.TELEMETRY: (1,),
        Message.ROUTE: ({}, [], None) if version == (4, 3) else ({}, [], {}),
    }.get(message, ())


# The server's role


class Peer:
    """A server connection and a client that says whatever it likes."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.server = ServerConnection(versions=[version])
        self.writer = MessageWriter(version)
        self.reader = MessageReader(version)
        (done,) = self.server.receive_data(MAGIC + encode_offer(version) + bytes(12))
        assert isinstance(done, HandshakeDone)
        assert self.server.data_to_send() == encode_offer(version)

    def bytes_of(self, message: Message, fields: tuple[Any, ...] | None = None) -> bytes:
        if fields is None:
            fields = fields_of(message, self.version)
        return self.writer.message(message, *fields)

    def say(self, message: Message, fields: tuple[Any, ...] | None = None) -> list[Any]:
        return self.server.receive_data(self.bytes_of(message, fields))

    def ok(self, message: Message, metadata: dict[str, Any] | None = None) -> None:
        """Say it, and have it answered with success."""
        (event,) = self.say(message)
        assert isinstance(event, RequestReceived)
        assert event.request.message is message
        self.server.send_success(metadata)
        assert self.server.next_events() == []
        assert self.heard() == ["SUCCESS"]

    def heard(self) -> list[str]:
        return [Message(item[0]).name for item in self.reader.feed(self.server.data_to_send())]

    def go_to(self, state: State) -> None:
        """INTERRUPTED cannot be stayed in: see :func:`in_interrupted`."""
        if state in (State.CONNECTED, State.NEGOTIATION):
            return
        self.ok(Message.HELLO)
        if state is State.AUTHENTICATION:
            return
        if self.server.state is State.AUTHENTICATION:
            self.ok(Message.LOGON)
        if state in (State.TX_READY, State.TX_STREAMING):
            self.ok(Message.BEGIN)
        if state in (State.STREAMING, State.TX_STREAMING):
            self.ok(Message.RUN)
        if state is State.FAILED:
            self.say(Message.RUN)
            self.server.send_failure("Neo.ClientError.Statement.SyntaxError", "no")
            assert self.heard() == ["FAILURE"]


@contextlib.contextmanager
def in_state(version: Version, state: State) -> Iterator[Peer]:
    peer = Peer(version)
    peer.go_to(state)
    assert peer.server.state is state
    yield peer


@every_cell
def test_server(version: Version, state: State, message: Message, entry: str) -> None:
    if state is State.INTERRUPTED:
        in_interrupted(version, message, entry)
        return
    after = outcomes(entry)
    with in_state(version, state) as peer:
        server = peer.server
        events = peer.say(message)
        if entry == "I":
            assert events == []
            assert peer.heard() == ["IGNORED"]
            assert server.state is state
        elif entry == "-":
            (failed,) = events
            assert isinstance(failed, ConnectionFailed)
            assert state.name in str(failed.error) and message_name(message, version) in str(failed.error)
            assert peer.heard() == ["FAILURE"]
            assert server.closed and server.error is failed.error
        elif entry == "bye":
            (bye,) = events
            assert isinstance(bye, Goodbye) and bye.said
            assert peer.heard() == []
            assert server.closed and server.error is None
        elif "K" in after:
            assert events == []
            assert peer.heard() == ["FAILURE"]
            assert server.state is after["K"] and not server.closed
        else:
            expect_handling(
                peer, events, message, {"S": State.READY, "F": State.DEFUNCT} if entry == "int" else after
            )
    for answer in ("F", "M", "O"):
        if answer not in after and not (entry == "int" and answer == "F"):
            continue
        with in_state(version, state) as peer:
            if answer == "O":
                peer.ok(Message.RUN)
            events = peer.say(message)
            (event,) = events
            assert isinstance(event, RequestReceived)
            target = after.get(answer, State.DEFUNCT)
            if answer == "F":
                peer.server.send_failure("Neo.ClientError.General.X", "no")
                assert peer.heard() == ["FAILURE"]
                assert peer.server.closed is (target is State.DEFUNCT)
            else:
                peer.server.send_success({"has_more": True} if answer == "M" else {})
                assert peer.heard() == ["SUCCESS"]
            assert peer.server.state is target


def expect_handling(peer: Peer, events: list[Any], message: Message, after: dict[str, State]) -> None:
    (event,) = events
    assert isinstance(event, RequestReceived)
    assert event.request.message is message
    assert peer.heard() == []
    peer.server.send_success()
    assert peer.heard() == ["SUCCESS"]
    assert peer.server.state is after["S"]
    assert not peer.server.closed


def message_name(message: Message, version: Version) -> str:
    old = {Message.HELLO: "INIT"} if version < (3, 0) else {}
    if version < (4, 0):
        old |= {Message.PULL: "PULL_ALL", Message.DISCARD: "DISCARD_ALL"}
    return old.get(message, message.name)


def in_interrupted(version: Version, message: Message, entry: str) -> None:
    """The request waits between one that is running and the RESET that overtakes both."""
    with in_state(version, State.READY) as peer:
        server = peer.server
        (running,) = peer.say(Message.RUN)
        assert isinstance(running, RequestReceived)
        reset = peer.bytes_of(Message.RESET)
        if message is Message.RESET:
            events = server.receive_data(reset)
            assert [type(event).__name__ for event in events] == ["Interrupted"]
            assert server.state is State.INTERRUPTED
            server.send_ignored()
            expect_handling_of_next(peer, outcomes(entry))
            return
        assert peer.say(message) == [] or entry == "bye"
        if entry == "bye":
            assert server.closed
            return
        events = server.receive_data(reset)
        assert [type(event).__name__ for event in events] == ["Interrupted"]
        assert server.state is State.INTERRUPTED and server.interrupted
        server.send_success({"fields": []})
        assert server.state is State.INTERRUPTED
        events = server.next_events()
        if entry == "I":
            (event,) = events
            assert isinstance(event, RequestReceived)
            assert event.request.message is Message.RESET
            assert peer.heard() == ["SUCCESS", "IGNORED"]
            server.send_success()
            assert peer.heard() == ["SUCCESS"]
            assert server.state is State.READY and not server.interrupted
        else:
            assert entry == "-"
            (failed,) = events
            assert isinstance(failed, ConnectionFailed)
            assert peer.heard() == ["SUCCESS", "FAILURE"]
            assert server.closed


def expect_handling_of_next(peer: Peer, after: dict[str, State]) -> None:
    (event,) = peer.server.next_events()
    assert isinstance(event, RequestReceived)
    assert event.request.message is Message.RESET
    assert peer.heard() == ["IGNORED"]
    peer.server.send_success()
    assert peer.heard() == ["SUCCESS"]
    assert peer.server.state is after["S"]


@pytest.mark.parametrize("version", VERSIONS)
def test_server_closes_on_what_is_no_request(version: Version) -> None:
    known = {message for (versions, cells) in MACHINES.items() if version in versions for _, message in cells}
    others = [tag for tag in range(0x80) if tag not in known]
    assert {Message.SUCCESS, Message.RECORD, Message.IGNORED, Message.FAILURE} <= set(others)
    for tag in others:
        with in_state(version, State.READY) as peer:
            (failed,) = peer.server.receive_data(b"\x00\x02\xb0" + bytes((tag,)) + b"\x00\x00")
            assert isinstance(failed, ConnectionFailed)
            assert peer.server.data_to_send() == b""
            assert peer.server.closed


# The client's role


class Puppet:
    """A client connection and a server that answers whatever the test likes."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.client = ClientConnection(version=version)
        self.writer = MessageWriter(version)
        self.client.data_to_send()
        (done,) = self.client.receive_data(encode_offer(version))
        assert isinstance(done, HandshakeDone)

    def send(self, message: Message, n: int = -1) -> Request | None:
        client = self.client
        if message is Message.HELLO:
            return client.send_hello("t/1", patch_bolt=())
        if message is Message.RUN:
            return client.send_run("x")
        if message is Message.PULL:
            return client.send_pull(n)
        if message is Message.DISCARD:
            return client.send_discard(n)
        if message is Message.TELEMETRY:
            return client.send_telemetry(1)
        method = getattr(client, f"send_{message.name.lower()}")
        result: Request | None = method()
        return result

    def answer(self, signature: Message, metadata: dict[str, Any] | None = None) -> list[Any]:
        fields = () if signature is Message.IGNORED else (metadata or {},)
        return list(self.client.receive_data(self.writer.message(signature, *fields)))

    def ok(self, message: Message) -> None:
        self.send(message)
        self.answer(Message.SUCCESS)

    def go_to(self, state: State) -> None:
        if state in (State.CONNECTED, State.NEGOTIATION):
            return
        self.ok(Message.HELLO)
        if state is State.AUTHENTICATION:
            return
        if self.client.supports(Message.LOGON):
            self.ok(Message.LOGON)
        if state in (State.TX_READY, State.TX_STREAMING):
            self.ok(Message.BEGIN)
        if state in (State.STREAMING, State.TX_STREAMING):
            self.ok(Message.RUN)
        if state is State.FAILED:
            self.send(Message.RUN)
            self.answer(Message.FAILURE)


@every_cell
def test_client(version: Version, state: State, message: Message, entry: str) -> None:
    if state is State.INTERRUPTED:
        # The client is READY, as far as it is concerned, from the moment it has sent RESET.
        with in_client_state(version, State.STREAMING) as puppet:
            puppet.send(Message.RESET)
            assert puppet.client.state is State.READY
        return
    after = outcomes(entry)
    with in_client_state(version, state) as puppet:
        client = puppet.client
        if ("S" not in after and entry not in ("int", "bye")) or "rude" in entry:
            with pytest.raises(
                LocalProtocolError, match=rf"^{message_name(message, version)}\b.*\bstate {state}\b"
            ):
                puppet.send(message)
            assert client.state is state and not client.outstanding
            assert client.data_to_send() == b""
            return
        request = puppet.send(message)
        assert client.data_to_send()
        if entry == "bye":
            assert request is None and client.closed and client.error is None
            return
        assert request is client.outstanding[0] and request.message is message
        target = State.READY if entry == "int" else after["S"]
        assert client.state is target
        (event,) = puppet.answer(Message.SUCCESS)
        assert event.request is request and request.answered
        assert client.state is target and not client.outstanding
    with in_client_state(version, state) as puppet:
        puppet.send(message)
        target = State.DEFUNCT if entry == "int" else after["F"]
        first, *rest = puppet.answer(Message.FAILURE, {"code": "Neo.ClientError.General.X", "message": "no"})
        assert isinstance(first, FailureReceived)
        assert puppet.client.state is target
        assert puppet.client.closed is (target in FINAL)
        assert [type(event) for event in rest] == ([ConnectionFailed] if target in FINAL else [])
    if "M" in after:
        with in_client_state(version, state) as puppet:
            puppet.send(message, n=7)
            assert puppet.client.state is after["M"]
            with pytest.raises(LocalProtocolError, match="may end the stream"):
                puppet.send(message, n=7)
            puppet.answer(Message.SUCCESS, {"has_more": True})
            assert puppet.client.state is after["M"]
            puppet.send(message, n=7)
            puppet.answer(Message.SUCCESS)
            assert puppet.client.state is after["S"]
    if "O" in after:
        with in_client_state(version, state) as puppet:
            puppet.ok(Message.RUN)
            puppet.ok(message)
            assert puppet.client.state is after["O"]


@contextlib.contextmanager
def in_client_state(version: Version, state: State) -> Iterator[Puppet]:
    puppet = Puppet(version)
    puppet.go_to(state)
    puppet.client.data_to_send()
    assert puppet.client.state is state
    yield puppet


@pytest.mark.parametrize("version", VERSIONS)
def test_client_refuses_what_the_version_has_not(version: Version) -> None:
    known = {message for (versions, cells) in MACHINES.items() if version in versions for _, message in cells}
    requests = {message for cells in MACHINES.values() for _, message in cells}
    for message in requests - known:
        with in_client_state(version, State.READY) as puppet:
            with pytest.raises(
                LocalProtocolError, match=f"{message.name} does not exist in Bolt {version[0]}.{version[1]}"
            ):
                puppet.send(message)
            assert puppet.client.state is State.READY and puppet.client.data_to_send() == b""
