"""Servers that the canned one is not: one that counts what it is sent, and two made with the toolkit.

As a program, ``python peer_servers.py <kind>`` listens on a free port of 127.0.0.1, prints it, and stops when
its standard input ends.

``sink``: plain sockets, Bolt 5.4, any credentials. It looks at no parameters and answers every statement with
no rows, but for these:

    RECEIVED          one row: bytes and messages received since the connection was made
    SLOW <seconds>    from now on this long passes before each read of at most 64 KiB
    COLUMNS <c> <n>   n rows of c integers
    DISTINCT <s> <n>  n rows of a shape of :mod:`shapes`, all different; a PULL is for all or whole thousands
    BYTES <n>         one row: a value of n bytes
    FAIL              FAILURE; what comes before a RESET is then ignored

Any number of streams may be open in a transaction.

``generator [every]``: the toolkit; ``ROWS plain <n>`` and ``ROWS async <n>`` give n rows of six columns from
a generator, which writes down the process's memory every so many rows; ``MEMORY`` gives what it wrote down,
and the peak behind it, as of row -1. ``threaded [every]``: the same with a generator stepped in a thread.

``tiny``: the toolkit with room for very many connections; every statement gives one row of one integer.
"""

from __future__ import annotations

import asyncio
import functools
import re
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import machine
import shapes

import asyncbolt
from asyncbolt import Message
from asyncbolt.chunking import MessageWriter
from asyncbolt.packstream import unpack

VERSION = b"\x00\x00\x04\x05"
STATEMENT = re.compile(rb"(RECEIVED|SLOW|COLUMNS|DISTINCT|BYTES|FAIL) ?([\w.]*) ?(\d*)")
READ = 64 * 1024
BLOCK = 500

_write = MessageWriter((5, 4), graph=True)
IGNORED = _write.message(Message.IGNORED)
FAILURE = _write.message(
    Message.FAILURE, {"code": "Neo.ClientError.Statement.SyntaxError", "message": "as was asked for"}
)


@functools.cache
def block(columns: int, count: int) -> bytes:
    """Rows of integers, all of the same size."""
    return _write.records([tuple(range(40_000, 40_000 + columns))] * count)


def integers(columns: int, count: int) -> list[bytes]:
    # No block is larger than some 50,000 values.
    most = max(1, min(BLOCK, 50_000 // columns))
    full, rest = divmod(count, most)
    return [block(columns, most)] * full + ([block(columns, rest)] if rest else [])


@functools.lru_cache(2)
def distinct(shape: str, count: int) -> list[bytes]:
    """Rows of a shape, a thousand in each block."""
    rows = shapes.rows(shape, count)
    return [_write.records(rows[start : start + 1000]) for start in range(0, count, 1000)]


class Stream:
    """Rows that are still to be sent: *give* gives so many from the one with that number on."""

    def __init__(self, rows: int, give: Callable[[int, int], list[bytes]]) -> None:
        self.rows = rows
        self.give = give
        self.sent = 0

    def take(self, wanted: int) -> list[bytes]:
        count = self.rows - self.sent
        if wanted >= 0:
            count = min(wanted, count)
        start = self.sent
        self.sent += count
        return self.give(start, count)


class Sink:
    """One connection of the counting server, in a thread of its own."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = 0
        self.messages = 0
        self.pause = 0.0
        self.streams: dict[int, Stream] = {}
        self.in_transaction = False
        self.failed = False
        self.latest = -1

    def run(self) -> None:
        with self.sock:
            try:
                self.serve()
            except ConnectionError:
                pass

    def serve(self) -> None:
        left = 20
        while left:
            data = self.sock.recv(left)
            if not data:
                return
            left -= len(data)
        self.sock.sendall(VERSION)
        buffer = bytearray(READ)
        view = memoryview(buffer)
        header = b""
        message = b""  # its first chunk
        left = 0  # of the chunk
        while True:
            if self.pause:
                time.sleep(self.pause)
            got = self.sock.recv_into(view)
            if not got:
                return
            self.received += got
            out: list[bytes] = []
            at = 0
            while at < got:
                if left:
                    step = min(left, got - at)
                    if len(message) < 200:  # enough for every request but a RUN, of which it is enough too
                        message += buffer[at : at + min(step, 200)]
                    at += step
                    left -= step
                    continue
                need = 2 - len(header)
                header += buffer[at : at + need]
                at += min(need, got - at)
                if len(header) < 2:
                    break
                left, header = header[0] << 8 | header[1], b""
                if not left and message:
                    self.messages += 1
                    if not self.answer(message, out):
                        return
                    message = b""
            if out:
                self.sock.sendall(b"".join(out))

    def answer(self, message: bytes, out: list[bytes]) -> bool:
        """Answer a message whose first bytes are given; False ends the connection."""
        signature = message[1]
        summary: dict[str, Any] = {}
        if self.failed and signature not in (Message.RESET, Message.GOODBYE):
            out.append(IGNORED)
            return True
        if signature == Message.RUN and b"FAIL" in message[2:20]:
            self.failed = True
            out.append(FAILURE)
            return True
        if signature == Message.HELLO:
            summary = {"server": "Neo4j/5.26.0", "connection_id": "bolt-1", "hints": {}}
        elif signature == Message.RUN:
            summary = self.begin(message)
        elif signature in (Message.PULL, Message.DISCARD):
            asked = unpack(message[2:])
            qid = asked.get("qid", -1)
            qid = self.latest if qid == -1 else qid
            stream = self.streams[qid]
            records = stream.take(asked["n"])
            if signature == Message.PULL:
                out.extend(records)
            if stream.sent < stream.rows:
                summary = {"has_more": True}
            else:
                summary = {"type": "r", "t_last": 1, "db": "neo4j"}
                del self.streams[qid]
        elif signature == Message.BEGIN:
            self.in_transaction = True
        elif signature in (Message.COMMIT, Message.ROLLBACK, Message.RESET):
            self.in_transaction = self.failed = False
            self.streams.clear()
        elif signature == Message.GOODBYE:
            return False
        out.append(_write.message(Message.SUCCESS, summary))
        return True

    def begin(self, message: bytes) -> dict[str, Any]:
        """RUN: what it opens."""
        found = STATEMENT.search(message, 2, 40)
        stream, names = Stream(0, lambda start, count: []), ["n"]
        if found is not None:
            name, first, second = (part.decode() for part in found.groups())
            if name == "RECEIVED":
                row = _write.records([(self.received, self.messages)])
                stream, names = Stream(1, lambda start, count: [row]), ["bytes", "messages"]
            elif name == "SLOW":
                self.pause = float(first)
            elif name == "BYTES":
                stream = Stream(1, lambda start, count: [_write.records([(bytes(int(first)),)])])
            elif name == "COLUMNS":
                columns = int(first)
                stream = Stream(int(second), lambda start, count: integers(columns, count))
                names = [f"c{k}" for k in range(columns)]
            else:
                blocks = distinct(first, int(second))
                stream = Stream(
                    int(second), lambda start, count: blocks[start // 1000 : -((start + count) // -1000)]
                )
                names = shapes.fields(first)
        summary: dict[str, Any] = {"fields": names, "t_first": 0}
        self.latest = self.latest + 1 if self.in_transaction else -1
        if self.in_transaction:
            summary["qid"] = self.latest
        self.streams[self.latest] = stream
        return summary


def sink() -> None:
    listener = socket.socket()
    # Small, so that a slow reader is felt soon.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=Sink(sock).run, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


class Generator(asyncbolt.ServerSession):
    """Rows from generators that write down how large the process is."""

    every = 100_000
    seen: list[tuple[int, int]] = []

    def rows(self, count: int) -> Iterator[tuple[Any, ...]]:
        following = self.every
        self.seen.clear()
        machine.forget_peak()
        for number in range(count):
            if number == following:
                following += self.every
                self.seen.append((number, machine.rss()))
            yield (number, f"person-{number:06d}", number * 0.5, number % 2 == 0, "some city", None)

    async def later(self, count: int) -> AsyncIterator[tuple[Any, ...]]:
        for row in self.rows(count):
            yield row

    names = ["id", "name", "score", "active", "city", "x"]


class PlainGenerator(Generator):
    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        kind, _, rest = statement.partition(" ")
        if kind == "MEMORY":
            return asyncbolt.Result(["rows", "rss"], [*self.seen, (-1, machine.peak())])
        kind, count = rest.split()
        rows = self.later(int(count)) if kind == "async" else self.rows(int(count))
        return asyncbolt.Result(self.names, rows)


class ThreadedGenerator(Generator):
    @asyncbolt.threaded
    def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        if statement == "MEMORY":
            return asyncbolt.Result(["rows", "rss"], [*self.seen, (-1, machine.peak())])
        return asyncbolt.Result(self.names, self.rows(int(statement.split()[2])))


class Tiny(asyncbolt.ServerSession):
    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        return asyncbolt.Result(["n"], [(1,)])


async def toolkit(session_class: type[asyncbolt.ServerSession]) -> None:
    machine.more_files()
    server = await asyncbolt.create_server(
        session_class, port=0, max_connections=50_000, max_unauthenticated=20_000, backlog=8192, grace=0.5
    )
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    kind = sys.argv[1]
    if kind == "sink":
        sink()
        return
    if len(sys.argv) > 2:
        Generator.every = int(sys.argv[2])
    kinds = {"generator": PlainGenerator, "threaded": ThreadedGenerator, "tiny": Tiny}
    asyncio.run(toolkit(kinds[kind]))


if __name__ == "__main__":
    main()
