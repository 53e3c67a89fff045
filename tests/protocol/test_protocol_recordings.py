"""Every recorded connection, replayed to both ends, cut at every byte that matters."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from memory import joined, plain
from recordings import CLIENT, SERVER, Recording, load_all, messages_in, speak

from asyncbolt._constants import Message
from asyncbolt.chunking import MessageReader, MessageWriter
from asyncbolt.protocol import ClientConnection, RequestReceived, ServerConnection, ServerRequest, State

SMALL = 12 * 1024
SPACE = 96
SUMMARIES = (Message.SUCCESS, Message.IGNORED, Message.FAILURE)

every_recording = pytest.mark.parametrize("recording", load_all(), ids=repr)

# What is handed over at once: the data of a step, and where it begins in its sender's stream -> pieces.
Cutter = Callable[[bytes, int], Iterable[bytes]]


def whole(data: bytes, start: int) -> Iterable[bytes]:
    return (data,)


def bytewise(data: bytes, start: int) -> Iterable[bytes]:
    return (data[index : index + 1] for index in range(len(data)))


def at(cuts: Iterable[int]) -> Cutter:
    """Cut a sender's stream at these bytes."""
    places = sorted(set(cuts))

    def pieces(data: bytes, start: int) -> Iterator[bytes]:
        last = 0
        for place in places:
            if 0 < place - start < len(data):
                yield data[last : place - start]
                last = place - start
        yield data[last:]

    return pieces


class Script:
    """A recording, decoded once."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.version = recording.version
        client, server = MessageReader(self.version, runs=False), MessageReader(self.version, runs=False)
        self.said: list[list[tuple[Any, ...]]] = []  # the client's requests, by step
        self.answers: list[tuple[list[tuple[Any, ...]], tuple[Any, ...]]] = []  # rows and summary
        rows: list[tuple[Any, ...]] = []
        for sender, data in recording.steps:
            if sender == CLIENT:
                self.said.append(client.feed(data))
                continue
            for item in server.feed(data):
                if item[0] == Message.RECORD:
                    rows.append(tuple(item[1]))
                    continue
                assert item[0] in SUMMARIES
                if not self.answers and "utc" in item[1].get("patch_bolt", ()):
                    client.configure(self.version, True)
                    server.configure(self.version, True)
                self.answers.append((rows, item))
                rows = []
        self.requests = [request for step in self.said for request in step]
        assert self.requests[-1] == (Message.GOODBYE,)
        assert len(self.answers) == len(self.requests) - 1

    def replay_to_client(self, cut: Cutter) -> tuple[list[tuple[Any, ...]], ClientConnection, bytes]:
        """Say what the driver said, hear what the server said; return what the client made of it."""
        client = ClientConnection(version=self.version)
        hello = client.data_to_send()
        assert hello == self.recording.handshake[0]
        events: list[tuple[Any, ...]] = []
        for piece in cut(self.recording.handshake[1], -4):
            events += map(plain, client.receive_data(piece))
        written = b""
        heard = 0
        said = iter(self.said)
        for sender, data in self.recording.steps:
            if sender == CLIENT:
                for signature, *fields in next(said):
                    speak(client, signature, tuple(fields))
                written += client.data_to_send()
            else:
                for piece in cut(data, heard):
                    events += map(plain, client.receive_data(piece))
                heard += len(data)
        return joined(events), client, written

    def replay_to_server(self, cut: Cutter) -> tuple[list[tuple[Any, ...]], ServerConnection, bytes]:
        """Hear what the driver said, answer as the server did; return what the server made of it."""
        server = ServerConnection(manifest=False)
        answers = iter(self.answers)

        def answer(request: ServerRequest) -> None:
            for rows, (signature, *fields) in answers:
                if signature == Message.IGNORED:
                    continue  # the connection has seen to that
                for row in rows:
                    server.send_records([row])
                if signature == Message.SUCCESS:
                    server.send_success(fields[0])
                else:
                    server.send_failure(fields[0])
                return
            raise AssertionError(f"one request too many: {request!r}")

        events: list[tuple[Any, ...]] = []
        written = b""
        heard = -20
        steps = [(CLIENT, self.recording.handshake[0]), *self.recording.steps]
        for sender, data in steps:
            if sender == SERVER:
                continue
            for piece in cut(data, heard):
                new = server.receive_data(piece)
                while new:
                    for event in new:
                        events.append(plain(event))
                        if isinstance(event, RequestReceived):
                            answer(event.request)
                    new = server.next_events()
                written += server.data_to_send()
            heard += len(data)
        return events, server, written


SCRIPTS: dict[str, Script] = {}


def script_of(recording: Recording) -> Script:
    if recording.name not in SCRIPTS:
        SCRIPTS[recording.name] = Script(recording)
    return SCRIPTS[recording.name]


def contents(stream: bytes) -> list[bytes]:
    return [content for _, _, content in messages_in(stream)]


def rounds(stream: bytes) -> list[list[int]]:
    """Cuts of a stream, by the replay that makes them.

    For a small one every byte, SPACE bytes between two cuts of one replay in the same message, and
    100 single cuts; for the rest all within 8 bytes of a border, and 200 anywhere.
    """
    borders = [(begin, end) for begin, end, _ in messages_in(stream)]
    anywhere = random.Random(len(stream)).sample(range(len(stream)), 200)
    if len(stream) < SMALL:
        every = [
            [place for begin, end in borders for place in range(begin + k, end, SPACE)] for k in range(SPACE)
        ]
        return every + [[place] for place in anywhere[:100]]
    near = [[end + offset for _, end in borders] for offset in range(-8, 9)]
    return near + [anywhere[start : start + 40] for start in range(0, 200, 40)]


def test_every_cut_is_made() -> None:
    small = [recording.stream(CLIENT) for recording in load_all() if len(recording.stream(CLIENT)) < SMALL]
    assert len(small) >= 10
    for stream in small:
        assert {place for cuts in rounds(stream) for place in cuts} == set(range(len(stream)))


@every_recording
def test_client_reads_what_the_server_sent(recording: Recording) -> None:
    script = script_of(recording)
    events, client, written = script.replay_to_client(whole)
    assert events[0] == ("handshake", recording.version)
    assert client.server_agent == recording.server
    assert client.closed and client.error is None and client.state is State.DEFUNCT
    assert not client.outstanding

    expected: list[tuple[Any, ...]] = []
    for (signature, *_), (rows, (answer, *fields)) in zip(script.requests, script.answers, strict=False):
        name = Message(signature).name
        if rows:
            expected.append(("records", name, rows))
        if answer == Message.SUCCESS:
            expected.append(("success", name, fields[0]))
        elif answer == Message.IGNORED:
            expected.append(("ignored", name))
        else:
            code = fields[0].get("neo4j_code") or fields[0]["code"]
            expected.append(("failure", name, code, fields[0]["message"]))
    assert repr(events[1:]) == repr(expected)

    # What was said is what the driver said, but for the order of HELLO's keys.
    ours, theirs = contents(written), contents(recording.stream(CLIENT))
    assert ours[1:] == theirs[1:]
    hello, expected_hello = (MessageReader(recording.version).feed(framed(one[0])) for one in (ours, theirs))
    assert hello == expected_hello


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content + b"\0\0"


@every_recording
def test_server_reads_what_the_driver_sent(recording: Recording) -> None:
    script = script_of(recording)
    events, server, written = script.replay_to_server(whole)
    assert events[0] == ("handshake", recording.version)
    assert events[-1] == ("goodbye", True)
    assert server.closed and server.error is None
    handled = [
        ("request", Message(signature).name, tuple(fields))
        for (signature, *fields), (_, (answer, *_)) in zip(script.requests, script.answers, strict=False)
        if answer != Message.IGNORED
    ]
    assert repr(events[1:-1]) == repr(handled)

    # What was answered is what the server answered, byte for byte, but for keys that the version does not
    # have and that real servers send all the same.
    surplus = set()
    if recording.version < (4, 3):
        surplus.add("hints")
    if recording.version < (4, 0):
        surplus |= {"qid", "db"}

    def kept(metadata: dict[str, Any]) -> dict[str, Any]:
        false = {"has_more"} if metadata.get("has_more") is False else set()
        return {key: value for key, value in metadata.items() if key not in surplus | false}

    writer = MessageWriter(recording.version, graph=True)
    ours = contents(written[4:])
    theirs = contents(recording.stream(SERVER))
    summaries = iter(answer for _, answer in script.answers)
    for index, content in enumerate(theirs):
        if content[1] in SUMMARIES:
            signature, *fields = next(summaries)
            if signature == Message.SUCCESS and kept(fields[0]) != fields[0]:
                (theirs[index],) = contents(writer.message(signature, kept(fields[0])))
    assert ours == theirs


@every_recording
@pytest.mark.parametrize("role", [CLIENT, SERVER])
def test_any_cut_means_the_same(recording: Recording, role: str) -> None:
    script = script_of(recording)
    replay = script.replay_to_client if role == CLIENT else script.replay_to_server
    heard = recording.stream(SERVER if role == CLIENT else CLIENT)
    expected = repr(replay(whole)[::2])
    assert repr(replay(bytewise)[::2]) == expected
    for cuts in rounds(heard):
        assert repr(replay(at(cuts))[::2]) == expected, f"cut at {cuts}"
