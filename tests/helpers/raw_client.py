"""A Bolt client for tests of servers: one request at a time or many, with what came back in plain sight."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncbolt
from asyncbolt._constants import Message
from asyncbolt.chunking import MessageReader, MessageWriter
from asyncbolt.server import Server

__all__ = ["Answer", "RawClient", "port_of", "serving"]

MAGIC = bytes.fromhex("6060b017")


class Answer:
    """What answered a request: `kind` is "SUCCESS", "FAILURE" or "IGNORED", `rows` the records before it."""

    def __init__(self, kind: str, metadata: dict[str, Any], rows: list[list[Any]]) -> None:
        self.kind = kind
        self.metadata = metadata
        self.rows = rows

    @property
    def code(self) -> str:
        return self.metadata.get("neo4j_code") or self.metadata.get("code") or ""

    @property
    def message(self) -> str:
        return self.metadata.get("message") or ""

    @property
    def ok(self) -> bool:
        return self.kind == "SUCCESS"

    def __repr__(self) -> str:
        return f"<{self.kind} {self.metadata} behind {len(self.rows)} rows>"


class RawClient:
    """Writes whatever it is told to, sound or not, and reads answers in order."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: tuple[int, int]
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.version = version
        self.pack = MessageWriter(version)
        self.unpack = MessageReader(version, runs=False)
        self.items: list[Any] = []
        self.hello: Answer | None = None

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        version: tuple[int, int] = (5, 4),
        auth: dict[str, Any] | None = None,
        login: bool = True,
        ssl: Any = None,
        host: str = "127.0.0.1",
        hello: dict[str, Any] | None = None,
        limit: int = 2**16,
    ) -> RawClient:
        reader, writer = await asyncio.open_connection(host, port, ssl=ssl, limit=limit)
        client = cls(reader, writer, version)
        writer.write(MAGIC + bytes((0, 0, version[1], version[0])) + bytes(12))
        assert await reader.readexactly(4) == bytes((0, 0, version[1], version[0]))
        if login:
            await client.login(auth, hello)
        return client

    async def login(self, auth: dict[str, Any] | None = None, hello: dict[str, Any] | None = None) -> Answer:
        auth = auth or {"scheme": "none"}
        said = {"user_agent": "raw/1", "bolt_agent": {"product": "raw/1"}, **(hello or {})}
        if self.version < (3, 0):
            self.hello = await self.ask(Message.INIT, "raw/1", auth)
        elif self.version < (5, 1):
            self.hello = await self.ask(Message.HELLO, {**said, **auth})
        else:
            self.hello = await self.ask(Message.HELLO, said)
            return await self.ask(Message.LOGON, auth)
        return self.hello

    # sending

    def send(self, message: int, *fields: Any) -> None:
        self.writer.write(self.pack.message(message, *fields))

    def send_run(self, statement: str, parameters: dict[str, Any] | None = None, **extra: Any) -> None:
        fields = (statement, parameters or {}) + (() if self.version < (3, 0) else (extra,))
        self.send(Message.RUN, *fields)

    def send_pull(self, n: int = -1, qid: int = -1) -> None:
        if self.version < (4, 0):
            self.send(Message.PULL_ALL)
        else:
            self.send(Message.PULL, {"n": n, "qid": qid})

    # receiving

    async def item(self) -> Any:
        while not self.items:
            data = await self.reader.read(2**18)
            if not data:
                raise EOFError("the server closed the connection")
            self.items.extend(self.unpack.feed(data))
            if self.items and isinstance(self.items[-1], Exception):
                raise self.items[-1]
        return self.items.pop(0)

    async def answer(self, seen: Callable[[list[Any]], object] | None = None) -> Answer:
        rows: list[list[Any]] = []
        while True:
            item = await self.item()
            if item[0] == Message.RECORD:
                rows.append(list(item[1]))
                if seen is not None:
                    seen(rows[-1])
            else:
                metadata = item[1] if len(item) > 1 else {}
                return Answer(Message(item[0]).name, metadata, rows)

    async def rows(self, count: int) -> list[list[Any]]:
        """The next `count` records, whose summary has not come yet."""
        found = []
        for _ in range(count):
            item = await self.item()
            assert item[0] == Message.RECORD, item
            found.append(list(item[1]))
        return found

    async def ended(self) -> bool:
        """Whether the server has closed the connection, saying nothing more."""
        try:
            return not await self.reader.read(2**16) and not self.items
        except ConnectionError:
            return True

    # both

    async def ask(self, message: int, *fields: Any) -> Answer:
        self.send(message, *fields)
        return await self.answer()

    async def run(self, statement: str, parameters: dict[str, Any] | None = None, **extra: Any) -> Answer:
        self.send_run(statement, parameters, **extra)
        return await self.answer()

    async def pull(self, n: int = -1, qid: int = -1) -> Answer:
        self.send_pull(n, qid)
        return await self.answer()

    async def discard(self, n: int = -1, qid: int = -1) -> Answer:
        return await self.ask(Message.DISCARD, {"n": n, "qid": qid})

    async def query(self, statement: str, parameters: dict[str, Any] | None = None, **extra: Any) -> Answer:
        """RUN and PULL; the answer of PULL with RUN's metadata merged in, or the FAILURE of either."""
        self.send_run(statement, parameters, **extra)
        self.send_pull()
        run, pull = await self.answer(), await self.answer()
        if not run.ok:
            assert pull.kind == "IGNORED"
            return run
        pull.metadata = {**run.metadata, **pull.metadata}
        return pull

    async def reset(self) -> Answer:
        return await self.ask(Message.RESET)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, OSError):
            await self.writer.wait_closed()

    def cut(self) -> None:
        """Break the connection off, without a word."""
        self.writer.transport.abort()


def port_of(server: Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@contextlib.asynccontextmanager
async def serving(
    session_class: type[asyncbolt.ServerSession], *, connect: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Server, RawClient]]:
    """A server of that class and a client that has logged in.

    The grace time is one that no test survives: closing the server must not wait for it.
    """
    options.setdefault("grace", 3600)
    async with await asyncbolt.create_server(session_class, port=0, **options) as server:
        client = await RawClient.connect(port_of(server), **(connect or {}))
        try:
            yield server, client
        finally:
            await client.close()
