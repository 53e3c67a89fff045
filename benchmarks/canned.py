"""A server that reads next to nothing and answers with bytes packed beforehand: only the client is measured.

``FETCH <shape> <count>`` gives that many rows of a shape of :mod:`shapes`; every other statement gives none.
Bolt 5.4, any credentials. As a program: ``python canned.py`` listens on a free port of 127.0.0.1, prints it,
and stops when its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import shapes

from asyncbolt import Message
from asyncbolt.chunking import BoltParser, MessageWriter
from asyncbolt.packstream import unpack

BLOCK = 500
STATEMENT = re.compile(rb"FETCH (\w+) (\d+)")

_write = MessageWriter((5, 4), graph=True)
HELLO = _write.message(Message.SUCCESS, {"server": "Neo4j/5.26.0", "connection_id": "bolt-1", "hints": {}})
DONE = _write.message(Message.SUCCESS, {})
MORE = _write.message(Message.SUCCESS, {"has_more": True})
END = _write.message(Message.SUCCESS, {"type": "r", "t_last": 1, "db": "neo4j", "bookmark": "b:1"})


@functools.cache
def block(shape: str, count: int) -> bytes:
    """The first rows of a shape as RECORDs."""
    return _write.records(shapes.rows(shape, count))


class Canned(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(1 << 22)
        self.transport = transport
        self.parser: BoltParser | None = None
        self.head = b""
        self.message = b""
        self.out: list[bytes] = []
        self.shape = ""
        self.left = 0

    def data_received(self, data: bytes) -> None:
        if self.parser is None:
            self.head += data
            if len(self.head) < 20:
                return
            self.parser = BoltParser(self)
            data = self.head[20:]
            self.transport.write(b"\x00\x00\x04\x05")
        self.parser.feed_data(data)
        if self.out:
            self.transport.write(b"".join(self.out))
            self.out.clear()

    def on_chunk(self, chunk: bytes) -> None:
        # Parameters are not looked at: the first chunk tells all.
        if not self.message:
            self.message = chunk

    def on_message_complete(self) -> None:
        message, self.message = self.message, b""
        out = self.out
        signature = message[1]
        if signature == Message.HELLO:
            out.append(HELLO)
        elif signature == Message.RUN:
            found = STATEMENT.search(message, 0, 60)
            self.shape, self.left = (found[1].decode(), int(found[2])) if found else ("", 0)
            columns = shapes.fields(self.shape) if found else []
            out.append(_write.message(Message.SUCCESS, {"fields": columns, "t_first": 0}))
        elif signature in (Message.PULL, Message.DISCARD):
            wanted = unpack(message[2:])["n"]
            count = self.left if wanted < 0 else min(wanted, self.left)
            self.left -= count
            if signature == Message.PULL and count:
                full, rest = divmod(count, BLOCK)
                out.extend([block(self.shape, BLOCK)] * full)
                if rest:
                    out.append(block(self.shape, rest))
            out.append(MORE if self.left else END)
        elif signature == Message.GOODBYE:
            self.transport.close()
        else:
            out.append(DONE)


@contextlib.contextmanager
def running() -> Iterator[int]:
    """Run the server in a process of its own, and give its port."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Canned, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
