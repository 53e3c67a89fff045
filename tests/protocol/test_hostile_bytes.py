"""Whatever a peer sends: events or nothing, never an exception, and the last event is the last."""

from __future__ import annotations

import itertools
import random
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from asyncbolt._constants import MAGIC, Message, Version
from asyncbolt._structure import Structure
from asyncbolt.chunking import MessageWriter
from asyncbolt.exceptions import BoltError
from asyncbolt.protocol import (
    VERSIONS,
    ClientConnection,
    ClientEvent,
    ConnectionFailed,
    Goodbye,
    RequestReceived,
    ServerConnection,
    ServerEvent,
    State,
)
from asyncbolt.protocol.handshake import encode_offer

versions = st.sampled_from(VERSIONS)
pieces = st.lists(st.binary(max_size=40), max_size=8)


def client_in(version: Version, stage: int) -> ClientConnection:
    """A client with *stage* kinds of requests unanswered."""
    client = ClientConnection(version=version)
    client.receive_data(encode_offer(version))
    if stage:
        client.send_hello("t/1")
        if client.supports(Message.LOGON):
            client.send_logon()
    if stage > 1:
        client.send_run("x")
        client.send_pull()
    if stage > 2:
        write = MessageWriter(version).message
        client.receive_data(write(Message.SUCCESS, {}) * (2 if client.supports(Message.LOGON) else 1))
        client.receive_data(write(Message.SUCCESS, {"fields": ["n"]}))
    return client


def server_in(version: Version, stage: int) -> ServerConnection:
    """A server where nobody is logged in (0), somebody is (1), something is running (2)."""
    server = ServerConnection(versions=[version])
    server.receive_data(MAGIC + encode_offer(version) + bytes(12))
    write = MessageWriter(version).message
    if stage:
        hello: tuple[Any, ...] = ("t", {}) if version < (3, 0) else ({"user_agent": "t"},)
        server.receive_data(write(Message.HELLO, *hello))
        server.send_success()
        if server.supports(Message.LOGON):
            server.receive_data(write(Message.LOGON, {}))
            server.send_success()
    if stage > 1:
        server.receive_data(write(Message.RUN, "x", {}, *([{}] if version >= (3, 0) else [])))
    return server


def hear(client: ClientConnection, data: list[bytes]) -> list[ClientEvent]:
    events: list[ClientEvent] = []
    for piece in data:
        dead = client.closed
        new = client.receive_data(piece)
        assert not (dead and new)
        events += new
    sound(events, client.closed, client.error)
    rest = client.receive_eof()
    assert client.closed and client.state is State.DEFUNCT
    sound(events + rest, client.closed, client.error)
    assert client.receive_data(b"\0\0") == []
    return events


def listen(server: ServerConnection, data: list[bytes], answers: random.Random) -> list[ServerEvent]:
    events: list[ServerEvent] = []
    for piece in data:
        dead = server.closed
        new = server.receive_data(piece)
        assert not (dead and new)
        while True:
            events += new
            if server.request is None or answers.random() < 0.3:
                break
            if answers.random() < 0.8:
                server.send_success({"fields": []})
            else:
                server.send_failure("Neo.ClientError.X.Y", "no")
            new = server.next_events()
    sound(events, server.closed, server.error)
    rest = server.receive_eof()
    assert server.closed and server.state is State.DEFUNCT
    sound(events + rest, server.closed, server.error)
    assert isinstance(server.data_to_send(), bytes)
    return events


def sound(events: Any, closed: bool, error: BoltError | None) -> None:
    """A last event is the last, and says why."""
    last = [index for index, event in enumerate(events) if isinstance(event, (ConnectionFailed, Goodbye))]
    assert last in ([], [len(events) - 1])
    if last and isinstance(events[-1], ConnectionFailed):
        assert closed and events[-1].error is error
        assert str(events[-1].error)


@hypothesis.given(pieces)
def test_random_bytes_in_the_handshake(data: list[bytes]) -> None:
    client = ClientConnection()
    hear(client, data)
    listen(ServerConnection(), data, random.Random(0))


@hypothesis.given(st.binary(max_size=30))
def test_random_bytes_behind_a_plausible_beginning(data: bytes) -> None:
    hear(ClientConnection(), [b"\x00\x00\x01\xff", data])
    listen(ServerConnection(), [MAGIC + data], random.Random(0))
    listen(ServerConnection(), [MAGIC + b"\x00\x00\x01\xff" + bytes(12), data], random.Random(0))


@hypothesis.given(versions, st.integers(0, 3), pieces)
def test_random_bytes_to_a_client(version: Version, stage: int, data: list[bytes]) -> None:
    hear(client_in(version, stage), data)


@hypothesis.given(versions, st.integers(0, 2), pieces, st.integers(0, 1000))
def test_random_bytes_to_a_server(version: Version, stage: int, data: list[bytes], seed: int) -> None:
    listen(server_in(version, stage), data, random.Random(seed))


# Well-formed messages with anything in them, cut anywhere.

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
)
keys = st.sampled_from(
    [
        "n",
        "qid",
        "has_more",
        "fields",
        "server",
        "hints",
        "user_agent",
        "patch_bolt",
        "bookmarks",
        "mode",
        "db",
        "code",
    ]
) | st.text(max_size=3)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=3)
        | st.builds(
            lambda tag, fields: Structure(tag, *fields), st.integers(0, 127), st.lists(inner, max_size=3)
        )
    ),
    max_leaves=6,
)
signatures = st.sampled_from(sorted(Message)) | st.integers(0, 127)
messages = st.lists(st.tuples(signatures, st.lists(values, max_size=3)), max_size=6)


def framed(content: list[tuple[int, list[Any]]], version: Version, cuts: list[int]) -> list[bytes]:
    writer = MessageWriter(version)
    stream = b"".join(writer.message(signature, *fields) for signature, fields in content)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:stop] for start, stop in itertools.pairwise(places)]


cuts = st.lists(st.integers(0, 10_000), max_size=4)


@hypothesis.given(versions, st.integers(0, 3), messages, cuts)
def test_any_messages_to_a_client(
    version: Version, stage: int, content: list[tuple[int, list[Any]]], where: list[int]
) -> None:
    data = framed(content, version, where)
    whole = hear(client_in(version, stage), [b"".join(data)])
    parts = hear(client_in(version, stage), data)
    # Where the stream is cut does not matter, but for how records are grouped.
    assert [repr(event) for event in whole if "Records" not in repr(event)] == [
        repr(event) for event in parts if "Records" not in repr(event)
    ]


@hypothesis.given(versions, st.integers(0, 2), messages, cuts, st.integers(0, 1000))
def test_any_messages_to_a_server(
    version: Version, stage: int, content: list[tuple[int, list[Any]]], where: list[int], seed: int
) -> None:
    listen(server_in(version, stage), framed(content, version, where), random.Random(seed))


# What overtakes, or closes at once, depends on what it arrives with.
OVERTAKING = {Message.RESET, Message.GOODBYE, Message.LOGOFF}


@hypothesis.given(versions, messages, cuts)
def test_a_server_does_not_care_where_bytes_are_cut(
    version: Version, content: list[tuple[int, list[Any]]], where: list[int]
) -> None:
    server = server_in(version, 1)
    content = [
        item
        for item in content
        if item[0] not in OVERTAKING and item[0] in set(Message) and server.supports(Message(item[0]))
    ]
    data = framed(content, version, where)

    def run(parts: list[bytes]) -> tuple[list[str], bytes]:
        server = server_in(version, 1)
        events = []
        for part in parts:
            new = server.receive_data(part)
            while new:
                events += [repr(event) for event in new]
                if isinstance(new[-1], RequestReceived):
                    server.send_success({})
                new = server.next_events()
        return events, server.data_to_send()

    assert run(data) == run([b"".join(data)])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_message_in_place_of_an_answer(version: Version) -> None:
    write = MessageWriter(version).message
    for stage in range(4):
        for signature in range(0x80):
            for fields in ((), ({},), ([1],), (None,), ({}, {})):
                hear(client_in(version, stage), [write(signature, *fields)])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_message_as_a_request(version: Version) -> None:
    write = MessageWriter(version).message
    for stage in range(3):
        for signature in range(0x80):
            for fields in ((), ({},), ("x", {}), ("x", {}, {}), (None,), ({}, [], None), (7,)):
                listen(server_in(version, stage), [write(signature, *fields)], random.Random(1))
