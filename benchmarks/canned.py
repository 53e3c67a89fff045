"""A server that reads next to nothing and answers with bytes packed beforehand: the client is measured.

``FETCH <shape> <count>`` gives that many rows of a shape of :mod:`shapes`: its first 500, over and over.
Every other statement gives none. Bolt 5.4, any credentials. As a program: ``python canned.py`` listens on a
free port of 127.0.0.1, prints it, and stops when its standard input ends.
"""

from __future__ import annotations

import contextlib
import functools
import re
import socket
import sys
import threading
from collections.abc import Iterator

import machine
import shapes

from asyncbolt import Message
from asyncbolt.chunking import MessageWriter
from asyncbolt.packstream import unpack

BLOCK = 500
# Rows are sent in pieces of about this many bytes: few calls for a long answer, no copy of it as a whole.
PIECE = 1 << 20
# Bytes read by one call, into a buffer that is used again.
READ = 1 << 18
# What is kept of a request: its statement and, if it is short, all of it.
HEAD = 256
STATEMENT = re.compile(rb"FETCH (\w+) (\d+)")

_write = MessageWriter((5, 4), graph=True)
HELLO = _write.message(Message.SUCCESS, {"server": "Neo4j/5.26.0", "connection_id": "bolt-1", "hints": {}})
DONE = _write.message(Message.SUCCESS, {})
MORE = _write.message(Message.SUCCESS, {"has_more": True})
COMMITTED = _write.message(Message.SUCCESS, {"bookmark": "b:1"})
END = _write.message(Message.SUCCESS, {"type": "r", "t_last": 1, "db": "neo4j", "bookmark": "b:1"})


@functools.cache
def records(shape: str) -> list[bytes]:
    """A block of a shape as RECORDs, each for itself."""
    return [_write.records([row]) for row in shapes.rows(shape, BLOCK)]


@functools.lru_cache(256)
def block(shape: str, count: int) -> bytes:
    """Rows of a shape as RECORDs: whole blocks, and the beginning of one."""
    full, rest = divmod(count, BLOCK)
    whole = b"".join(records(shape)) if count == BLOCK else block(shape, BLOCK) * full if full else b""
    return whole + b"".join(records(shape)[:rest]) if rest else whole


@functools.cache
def rows_in_piece(shape: str) -> int:
    """How many rows are sent by one call: a multiple of a block."""
    return BLOCK * max(1, PIECE // len(block(shape, BLOCK)))


def pieces(shape: str, count: int) -> list[bytes]:
    """The bytes of an answer's rows; the long ones are one object many times."""
    size = rows_in_piece(shape)
    full, rest = divmod(count, size)
    found = [block(shape, size)] * full if full else []
    if rest:
        found.append(block(shape, rest))
    return found


@functools.lru_cache(256)
def opening(request: bytes) -> tuple[str, int, bytes]:
    """What a RUN asks for, shape and number of rows, and what it is answered."""
    found = STATEMENT.search(request, 0, 60)
    shape, count = (found[1].decode(), int(found[2])) if found else ("", 0)
    columns = shapes.fields(shape) if found else []
    return shape, count, _write.message(Message.SUCCESS, {"fields": columns, "t_first": 0})


@functools.lru_cache(256)
def wanted(request: bytes) -> int:
    """How many rows a PULL or DISCARD is about; -1: all."""
    count: int = unpack(request[2:])["n"]
    return count


class Conversation:
    """One connection: bytes in, a list of bytes out."""

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.closed = False
        self.shape = ""
        self.rows_left = 0
        self._tail = b""
        self._greeted = False
        self._head = b""  # of the message that is being read
        self._skip = 0  # bytes of its chunk that are to come

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes, cut anywhere."""
        if self._tail:
            data = self._tail + bytes(data)
        pos, end = 0, len(data)
        if not self._greeted and end >= 20:
            self._greeted = True
            self.out.append(b"\x00\x00\x04\x05")
            pos = 20
        while self._greeted and pos < end:
            if self._skip:
                step = min(self._skip, end - pos)
                self._skip -= step
                pos += step
                continue
            if end - pos < 2:
                break
            size = data[pos] << 8 | data[pos + 1]
            if not self._head:
                # Parameters are not looked at: the beginning of the first chunk tells all.
                stop = pos + 2 + min(size, HEAD)
                if stop > end:
                    break
                self._head = bytes(data[pos + 2 : stop])
            elif not size:
                self._answer(self._head)
                self._head = b""
            self._skip = size
            pos += 2
        self._tail = bytes(data[pos:])

    def _answer(self, request: bytes) -> None:
        out = self.out
        signature = request[1]
        if signature == Message.RUN:
            self.shape, self.rows_left, answer = opening(request)
            out.append(answer)
        elif signature in (Message.PULL, Message.DISCARD):
            count = wanted(request)
            count = self.rows_left if count < 0 else min(count, self.rows_left)
            self.rows_left -= count
            if signature == Message.PULL and count:
                out += pieces(self.shape, count)
            out.append(MORE if self.rows_left else END)
        elif signature == Message.HELLO:
            out.append(HELLO)
        elif signature == Message.COMMIT:
            out.append(COMMITTED)
        elif signature == Message.GOODBYE:
            self.closed = True
        else:
            out.append(DONE)


def converse(connection: socket.socket) -> None:
    """Serve one connection until its end, in a thread of its own: no event loop stands between the calls."""
    conversation = Conversation()
    buffer = memoryview(bytearray(READ))
    with connection, contextlib.suppress(ConnectionError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not conversation.closed and (count := connection.recv_into(buffer)):
            conversation.feed(buffer[:count])
            out, conversation.out = conversation.out, []
            short: list[bytes] = []
            for part in out:
                short.append(part)
                if len(part) > PIECE // 8:
                    connection.sendall(b"".join(short) if len(short) > 1 else part)
                    short.clear()
            if short:
                connection.sendall(b"".join(short))


def serve(listener: socket.socket) -> None:
    """Accept connections for ever."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=converse, args=(connection,), daemon=True).start()


@contextlib.contextmanager
def running() -> Iterator[int]:
    """Run the server in a process of its own, and give its port."""
    with machine.serving("canned.py", pure=None) as (port, _):
        yield port


def main() -> None:
    # Packed before anyone asks: the first to ask for a shape would otherwise wait for it.
    for shape in shapes.SHAPES:
        block(shape, rows_in_piece(shape))
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
