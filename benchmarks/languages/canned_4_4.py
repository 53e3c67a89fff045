"""The canned server for drivers that end at Bolt 4.4: the same rows, and nodes without element ids.

As a program: ``python canned_4_4.py`` listens on a free port of 127.0.0.1, prints it, and stops when its
standard input ends.
"""

from __future__ import annotations

import asyncio
import functools
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import shapes

from asyncbolt import Message
from asyncbolt.chunking import BoltParser, MessageWriter
from asyncbolt.packstream import unpack

VERSION = b"\x00\x00\x04\x04"
# What goes into one write; a client that reads on meanwhile finds the next one ready.
PORTION = 1 << 20
STATEMENT = re.compile(rb"FETCH (\w+) (\d+)")

_write = MessageWriter((4, 4), graph=True)
HELLO = _write.message(Message.SUCCESS, {"server": "Neo4j/4.4.0", "connection_id": "bolt-1", "hints": {}})
DONE = _write.message(Message.SUCCESS, {})
MORE = _write.message(Message.SUCCESS, {"has_more": True})
END = _write.message(Message.SUCCESS, {"type": "r", "t_last": 1, "db": "neo4j", "bookmark": "b:1"})


@functools.cache
def records(shape: str, count: int) -> bytes:
    """The first rows of a shape as RECORDs."""
    return _write.records(shapes.rows(shape, count))


@functools.cache
def portion(shape: str) -> tuple[int, bytes]:
    """So many rows, and their RECORDs."""
    few = records(shape, 100)
    times = max(1, PORTION // len(few))
    return 100 * times, few * times


class Canned(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
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
            self.transport.write(VERSION)
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
        signature = message[1]
        if signature == Message.HELLO:
            self.out.append(HELLO)
        elif signature == Message.RUN:
            found = STATEMENT.search(message, 0, 60)
            self.shape, self.left = (found[1].decode(), int(found[2])) if found else ("", 0)
            columns = shapes.fields(self.shape) if found else []
            self.out.append(_write.message(Message.SUCCESS, {"fields": columns, "t_first": 0}))
        elif signature in (Message.PULL, Message.DISCARD):
            wanted = unpack(message[2:])["n"]
            count = self.left if wanted < 0 else min(wanted, self.left)
            self.left -= count
            if signature == Message.PULL and count:
                rows, data = portion(self.shape)
                self.out.extend([data] * (count // rows))
                self.out.append(records(self.shape, count % rows))
            self.out.append(MORE if self.left else END)
        elif signature == Message.GOODBYE:
            self.transport.close()
        else:
            self.out.append(DONE)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Canned, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
