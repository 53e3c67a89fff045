"""The worked exchanges of the golden vectors, byte for byte, from both ends."""

from __future__ import annotations

from typing import Any

import pytest
from recordings import CLIENT, SERVER, messages_in, speak
from vectors import entries, python

from asyncbolt._constants import Message, Version
from asyncbolt.chunking import MessageReader, MessageWriter
from asyncbolt.exceptions import LocalProtocolError
from asyncbolt.protocol import (
    ClientConnection,
    ConnectionFailed,
    FailureReceived,
    HandshakeDone,
    IgnoredReceived,
    RecordsReceived,
    RequestReceived,
    ServerConnection,
    SuccessReceived,
)

EXCHANGES = {entry["id"]: entry for entry in entries("exchanges")}
VERSION: dict[str, Version] = {
    "bolt1": (1, 0),
    "bolt3": (3, 0),
    "bolt4.4-utc": (4, 4),
    "bolt5.4-streams": (5, 4),
    "bolt5.8-failure": (5, 8),
    "bolt6.0-vector": (6, 0),
    "bolt5.1-reset-relogon": (5, 1),
    "bolt5.0-noop-chunks": (5, 0),
}
# Requests that this client sends only when an answer has come which the made-up client did not wait for: the
# answer to a PULL of the same stream, which might be its last.
WAITS = {"bolt5.4-streams": 3}

every_exchange = pytest.mark.parametrize("name", EXCHANGES)


def test_all_are_there() -> None:
    assert set(EXCHANGES) == set(VERSION)


class Step:
    def __init__(self, step: dict[str, Any]) -> None:
        self.sender: str = step["from"]
        self.data = bytes.fromhex(step["hex"])
        self.message = Message[step["message"]] if step["message"] else None
        self.fields = tuple(python(field) for field in step["fields"]) if self.message else ()


def steps_of(name: str) -> tuple[list[Step], list[Step]]:
    """The steps of the handshake, and those behind it."""
    steps = [Step(step) for step in EXCHANGES[name]["steps"]]
    first = next(index for index, step in enumerate(steps) if step.message)
    return steps[:first], steps[first:]


@every_exchange
def test_client(name: str) -> None:
    version = VERSION[name]
    handshake, steps = steps_of(name)
    hello = handshake[0].data
    client = ClientConnection(offers=[hello[start : start + 4] for start in range(4, 20, 4)])
    assert client.data_to_send() == hello
    (done,) = client.receive_data(handshake[1].data)
    assert isinstance(done, HandshakeDone)
    assert done.version == client.version == version
    assert client.data_to_send() == b"".join(step.data for step in handshake[2:])

    answers = [step for step in steps if step.sender == SERVER]
    heard = 0
    waits = 0

    def hear() -> None:
        nonlocal heard
        step = answers[heard]
        heard += 1
        events = client.receive_data(step.data)
        if step.message is None:
            assert events == []
            return
        (event,) = events
        if isinstance(event, RecordsReceived):
            assert step.message is Message.RECORD
            (row,) = event.rows
            # Values are compared by their bytes: what is read as a date-time is written as one.
            writer = MessageWriter(version, utc_patch=client.utc_patch, graph=True)
            assert messages_in(writer.records([row])) == [
                (0, len(writer.records([row])), messages_in(step.data)[0][2])
            ]
        elif isinstance(event, SuccessReceived):
            assert step.message is Message.SUCCESS
            assert (event.metadata,) == step.fields
        elif isinstance(event, FailureReceived):
            assert step.message is Message.FAILURE
            (metadata,) = step.fields
            assert event.error.code == metadata.get("neo4j_code", metadata.get("code"))
            assert event.error.message == metadata["message"]
            assert event.error.gql_status == metadata.get("gql_status", "50N42")
        else:
            assert isinstance(event, IgnoredReceived)
            assert step.message is Message.IGNORED

    due = 0
    for step in steps:
        if step.sender == SERVER:
            due += 1
            continue
        while heard < due:
            hear()
        while True:
            try:
                assert step.message is not None
                speak(client, step.message, step.fields)
                break
            except LocalProtocolError:
                hear()
                waits += 1
        assert client.data_to_send() == step.data
    while heard < len(answers):
        hear()
    assert waits == WAITS.get(name, 0)
    assert not client.outstanding and client.error is None
    if name == "bolt5.0-noop-chunks":
        assert client.noops == 3
    if name == "bolt4.4-utc":
        assert client.utc_patch


@every_exchange
def test_server(name: str) -> None:
    version = VERSION[name]
    handshake, steps = steps_of(name)
    manifest = len(handshake) > 2
    server = ServerConnection(versions=[version], manifest=manifest)
    assert server.receive_data(handshake[0].data) == [] or not manifest
    reply = server.data_to_send()
    if manifest:
        # The made-up server offers more than this one.
        assert reply[:4] == handshake[1].data[:4]
        (done,) = server.receive_data(handshake[2].data)
        assert isinstance(done, HandshakeDone)
    else:
        assert reply == handshake[1].data
    assert server.version == version and server.manifest is manifest

    script = [step for step in steps if step.sender == SERVER]
    position = 0
    requests: list[tuple[Any, ...]] = []

    def answer() -> None:
        nonlocal position
        while True:
            step = script[position]
            position += 1
            if step.message is None:
                for _ in range(len(step.data) // 2):
                    assert server.send_noop()
            elif step.message is Message.RECORD:
                server.send_records([tuple(step.fields[0])])
            elif step.message is Message.SUCCESS:
                server.send_success(*step.fields)
                return
            elif step.message is Message.FAILURE:
                server.send_failure(*step.fields)
                return
            # IGNORED: the connection sends it by itself

    written = b""
    heard: list[Step] = []
    for step in [*steps, Step({"from": SERVER, "message": None, "hex": ""})]:
        if step.sender == CLIENT:
            heard.append(step)
            continue
        events = server.receive_data(b"".join(one.data for one in heard))
        heard.clear()
        while events:
            for event in events:
                if isinstance(event, RequestReceived):
                    requests.append((event.request.message, event.request.fields))
                    answer()
            events = server.next_events()
        written += server.data_to_send()

    expected = b"".join(step.data for step in script)
    if name == "bolt5.0-noop-chunks":
        # The record comes in two chunks there.
        assert [content for *_, content in messages_in(written)] == [
            content for *_, content in messages_in(expected)
        ]
    else:
        assert written == expected
    assert server.error is None

    # Every request that was not ignored reached the owner, as it was sent.
    reader = MessageReader(version, runs=False, utc_patch=server.utc_patch)
    said = [step for step in steps if step.sender == CLIENT and step.message is not Message.GOODBYE]
    summaries = [step.message for step in script if step.message not in (None, Message.RECORD)]
    expected_requests = []
    for step, summary in zip(said, summaries, strict=True):
        (item,) = reader.feed(step.data)
        if summary is not Message.IGNORED:
            expected_requests.append((item[0], item[1:]))
    assert requests == expected_requests


def test_failure_of_5_8_has_its_cause() -> None:
    _, steps = steps_of("bolt5.8-failure")
    client = ClientConnection(version=(5, 8))
    client.data_to_send()
    client.receive_data(bytes.fromhex("00000805"))
    for step in steps:
        if step.message is Message.RESET:
            break
        if step.sender == CLIENT:
            assert step.message is not None
            speak(client, step.message, step.fields)
        else:
            events = client.receive_data(step.data)
    (failure,) = events
    assert isinstance(failure, FailureReceived) and not isinstance(failure, ConnectionFailed)
    cause = failure.error.__cause__
    assert cause is not None and getattr(cause, "gql_status", None) == "22N03"
