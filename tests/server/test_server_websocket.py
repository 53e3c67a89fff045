"""WebSocket: its frames cut anywhere, its rules, and Bolt through it."""

from __future__ import annotations

import asyncio
import itertools
import os

import pytest
from aiohelp import LOOPS, aiotest
from certificates import client_context, server_context
from raw_client import RawClient, port_of

import asyncbolt
from asyncbolt.aio.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    FrameReader,
    WebSocketError,
    accept_upgrade,
    frame,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455


def masked(opcode, payload=b"", *, fin=True, size=None, mask=b"\x12\x34\x56\x78"):
    """A client's frame. `size` may lie."""
    size = len(payload) if size is None else size
    head = bytes((0x80 * fin | opcode,))
    if size < 126:
        head += bytes((0x80 | size,))
    elif size < 0x10000:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def joined(frames):
    """Control frames, and the stream that the data frames make."""
    data = b"".join(payload for opcode, payload in frames if opcode == BINARY)
    return data, [(opcode, payload) for opcode, payload in frames if opcode != BINARY]


STREAM = (
    masked(BINARY, b"one")
    + masked(PING, b"are you there?")
    + masked(BINARY, b"", mask=b"\x00\x00\x00\x00")
    + masked(BINARY, b"two", fin=False)
    + masked(PONG)
    + masked(CONTINUATION, b"three" * 30, fin=False)
    + masked(CONTINUATION, b"four", mask=b"abcd")
    + masked(BINARY, bytes(range(256)) * 300)
    + masked(CLOSE, b"\x03\xe8bye")
)
DATA = b"onetwo" + b"three" * 30 + b"four" + bytes(range(256)) * 300
CONTROLS = [(PING, b"are you there?"), (PONG, b""), (CLOSE, b"\x03\xe8bye")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000, len(STREAM)])
def test_frames_may_be_cut_anywhere(size):
    reader = FrameReader()
    frames = []
    for start in range(0, len(STREAM), size):
        frames += reader.feed(STREAM[start : start + size])
    assert joined(frames) == (DATA, CONTROLS)


@pytest.mark.parametrize("cut", range(1, 60))
def test_frames_in_two_pieces(cut):
    reader = FrameReader()
    assert joined(reader.feed(STREAM[:cut]) + reader.feed(STREAM[cut:])) == (DATA, CONTROLS)


def test_long_frame_is_handed_on_as_it_comes():
    """What it says about its length costs nothing."""
    reader = FrameReader()
    start = masked(BINARY, b"abc", size=2**62)
    assert reader.feed(start) == [(BINARY, b"abc")]
    assert joined(reader.feed(bytes(1000)))[0] == bytes(
        itertools.islice(itertools.cycle(b"\x78\x12\x34\x56"), 1000)
    )


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_frames_of_the_server(size):
    payload = os.urandom(size)
    sent = frame(BINARY, payload)
    head = 2 if size < 126 else 4 if size < 65536 else 10
    assert sent[0] == 0x82 and not sent[1] & 0x80
    assert sent[head:] == payload
    told = sent[1] if size < 126 else int.from_bytes(sent[2:head], "big")
    assert told == size


BROKEN = {
    "not masked": (b"\x82\x03abc", 1002),
    "text": (masked(TEXT, b"hello"), 1003),
    "reserved bit": (b"\xc2" + masked(BINARY, b"x")[1:], 1002),
    "unknown data frame": (masked(0x3, b"x"), 1002),
    "unknown control frame": (masked(0xB, b"x"), 1002),
    "ping too long": (masked(PING, bytes(126)), 1002),
    "ping in fragments": (masked(PING, b"x", fin=False), 1002),
    "half a status code": (masked(CLOSE, b"\x03"), 1002),
    "continuation of nothing": (masked(CONTINUATION, b"x"), 1002),
    "message inside a message": (masked(BINARY, b"", fin=False) + masked(BINARY, b"x"), 1002),
    "length of 64 bits": (b"\x82\xff" + b"\xff" * 8 + bytes(4), 1002),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("whole", [True, False])
def test_broken_rules(what, whole):
    data, code = BROKEN[what]
    reader = FrameReader()
    data = masked(BINARY, b"good") + data
    with pytest.raises(WebSocketError) as caught:
        for piece in [data] if whole else [data[index : index + 1] for index in range(len(data))]:
            reader.feed(piece)
    assert caught.value.code == code
    assert joined(caught.value.frames)[0] == (b"good" if whole else b"")


HEADERS = {"connection": "keep-alive, Upgrade", "sec-websocket-version": "13", "sec-websocket-key": KEY}


def test_upgrade_is_accepted():
    answer = accept_upgrade(HEADERS)
    assert answer.startswith(b"HTTP/1.1 101 ") and answer.endswith(b"\r\n\r\n")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer  # RFC 6455, 1.3
    assert b"Protocol" not in answer.split(b"\r\n", 1)[1]
    answer = accept_upgrade({**HEADERS, "sec-websocket-protocol": "bolt, other"})
    assert b"\r\nSec-WebSocket-Protocol: bolt\r\n" in answer


@pytest.mark.parametrize(
    "headers",
    [
        {"connection": "close"},
        {"sec-websocket-version": "8"},
        {"sec-websocket-key": "short"},
        {"sec-websocket-key": "!" + KEY[1:]},
    ],
    ids=str,
)
def test_upgrade_is_refused(headers):
    with pytest.raises(WebSocketError):
        accept_upgrade({**HEADERS, **headers})


class Echo(asyncbolt.ServerSession):
    def run(self, statement, parameters):
        return parameters.get("value")


class Tunnel:
    """A stream writer and reader of bytes inside WebSocket frames; a frame ends where the test likes."""

    def __init__(self, reader, writer, size):
        self.reader, self.writer, self.size = reader, writer, size
        self.fragments = itertools.cycle((True, False))
        self.open_message = False
        self.controls = []

    def write(self, data):
        for start in range(0, len(data), self.size):
            fin = next(self.fragments)
            opcode = CONTINUATION if self.open_message else BINARY
            self.writer.write(masked(opcode, data[start : start + self.size], fin=fin, mask=os.urandom(4)))
            self.open_message = not fin

    def close(self):
        self.writer.close()

    async def wait_closed(self):
        await self.writer.wait_closed()

    async def frame(self):
        first, second = await self.reader.readexactly(2)
        assert first & 0x80 and not second & 0x80
        size = second
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8), "big")
        return first & 0x0F, await self.reader.readexactly(size)

    async def read(self, size):
        while True:
            opcode, payload = await self.frame()
            if opcode == BINARY:
                return payload
            self.controls.append((opcode, payload))
            if opcode == CLOSE:
                return b""


async def upgraded(port, path="/", headers="", ssl=None):
    """A connection behind the opening handshake, and the server's answer to that."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ssl)
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: WebSocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"]
    writer.write("\r\n".join(lines).encode() + b"\r\n" + headers.encode() + b"\r\n")
    answer = await reader.readuntil(b"\r\n\r\n")
    return reader, writer, answer


async def tunnel(port, size=1000, **how):
    reader, writer, answer = await upgraded(port, **how)
    assert answer.startswith(b"HTTP/1.1 101 ")
    made = Tunnel(reader, writer, size)
    made.write(bytes.fromhex("6060b017") + b"\x00\x00\x04\x05" + bytes(12))
    assert await made.read(4) == b"\x00\x00\x04\x05"
    client = RawClient(made, made, (5, 4))
    assert (await client.login()).ok
    return made, client


@pytest.mark.parametrize("size", [1, 5, 100_000])
@aiotest(loops=LOOPS)
async def test_bolt_through_frames(size):
    async with await asyncbolt.create_server(Echo, port=0) as server:
        made, client = await tunnel(port_of(server), size)
        for value in ("x", "y" * 200, "z" * 70_000 if size > 5 else "z"):
            assert (await client.query("v", {"value": value})).rows == [[value]]
        made.writer.write(masked(PING, b"hello"))
        assert (await client.query("v", {"value": 1})).rows == [[1]]
        assert made.controls == [(PONG, b"hello")]
        made.writer.write(masked(CLOSE, b"\x03\xe8bye"))
        assert await made.read(1) == b""
        assert made.controls[-1] == (CLOSE, b"\x03\xe8")
        assert await made.reader.read() == b""
        await client.close()


@pytest.mark.parametrize("what", BROKEN)
@aiotest
async def test_peer_that_breaks_the_rules_is_told(what):
    data, code = BROKEN[what]
    async with await asyncbolt.create_server(Echo, port=0) as server:
        made, client = await tunnel(port_of(server))
        made.writer.write(data)
        assert await made.read(1) == b""
        opcode, payload = made.controls[-1]
        assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
        assert payload[2:]
        assert await made.reader.read() == b""
        await client.close()


@aiotest
async def test_server_says_goodbye():
    async with await asyncbolt.create_server(Echo, port=0) as server:
        made, client = await tunnel(port_of(server))
        server.close()
        assert await made.read(1) == b""
        assert made.controls == [(CLOSE, b"\x03\xe8")]
        await client.close()


@aiotest
async def test_only_the_newest_ping_is_answered_to_who_does_not_read():
    class Endless(asyncbolt.ServerSession):
        def __init__(self, loop):
            super().__init__(loop)
            Endless.paused = asyncio.Event()

        def run(self, statement, parameters):
            yield asyncbolt.Result(["s"])
            for _ in range(2000):
                yield ("x" * 10_000,)

        def pause_writing(self):
            super().pause_writing()
            self.paused.set()

    async with await asyncbolt.create_server(Endless, port=0) as server:
        made, client = await tunnel(port_of(server))
        await client.run("v")
        client.send_pull()
        await Endless.paused.wait()
        pings = [str(number).encode() for number in range(1000)]
        made.writer.write(b"".join(masked(PING, ping) for ping in pings))
        assert len((await client.answer()).rows) == 2000
        assert (await client.query("w")).ok
        answered = [payload for opcode, payload in made.controls if opcode == PONG]
        assert len(answered) < 1000
        assert answered[-1] == pings[-1]
        await client.close()


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://good", True), ("https://evil", False), (None, True)]
)
@aiotest
async def test_origins(origin, allowed):
    headers = "" if origin is None else f"Origin: {origin}\r\n"
    async with await asyncbolt.create_server(Echo, port=0, origins=["https://good"]) as server:
        _, writer, answer = await upgraded(port_of(server), headers=headers)
        assert answer.startswith(b"HTTP/1.1 101 " if allowed else b"HTTP/1.1 403 ")
        writer.close()
        await writer.wait_closed()


@aiotest
async def test_any_path_and_frames_behind_the_request():
    """What stands right behind the head is the first frame."""
    first = masked(BINARY, bytes.fromhex("6060b017") + b"\x00\x00\x04\x05" + bytes(12))
    async with await asyncbolt.create_server(Echo, port=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        lines = ["GET /db?x=1 HTTP/1.1", "Upgrade: websocket", "Connection: upgrade"]
        lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}", "", ""]
        writer.write("\r\n".join(lines).encode() + first)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(6) == b"\x82\x04\x00\x00\x04\x05"
        writer.close()
        await writer.wait_closed()


@aiotest(loops=LOOPS)
async def test_frames_inside_tls():
    async with await asyncbolt.create_server(Echo, port=0, ssl=server_context()) as server:
        _, client = await tunnel(port_of(server), ssl=client_context())
        assert (await client.query("v", {"value": "x" * 100_000})).rows == [["x" * 100_000]]
        await client.close()
