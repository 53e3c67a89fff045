"""Servers for tests of the driver: one that answers, a proxy that counts and cuts, a cluster."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncbolt

__all__ = ["Numbers", "Proxy", "driver_of", "serving", "settled", "until"]


class Numbers(asyncbolt.ServerSession):
    """``NUMBERS``: *n* rows. ``FAIL``: a ClientError. ``SHAKY``: fails as often as *failures* says."""

    failures: Counter[str] = Counter()
    calls: Counter[str] = Counter()

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        type(self).calls[statement] += 1
        if statement == "FAIL":
            raise asyncbolt.ClientError("no", code="Neo.ClientError.Statement.SyntaxError")
        if type(self).failures[statement] > 0:
            type(self).failures[statement] -= 1
            raise asyncbolt.TransientError("later")
        if statement == "FOREVER":
            await asyncio.Event().wait()
        if statement == "ECHO":
            return asyncbolt.Result(["value"], [(parameters["value"],)])
        count = parameters.get("n", 3)
        return asyncbolt.Result(["i", "name"], ((i, f"n{i}") for i in range(count)), {"type": "r"})


@contextlib.asynccontextmanager
async def serving(session_class: type[asyncbolt.ServerSession] = Numbers) -> AsyncIterator[int]:
    """A server of *session_class* on loopback; gives its port."""
    async with await asyncbolt.create_server(session_class, port=0) as server:
        yield server.sockets[0].getsockname()[1]


def driver_of(port: int, scheme: str = "bolt", **options: Any) -> asyncbolt.AsyncDriver:
    """A driver of the server at *port*."""
    return asyncbolt.AsyncGraphDatabase.driver(f"{scheme}://127.0.0.1:{port}", auth=("u", "p"), **options)


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop turn until *condition* holds; hangs when it never does."""
    for _ in iter(int, 1):
        if condition():
            return
        await asyncio.sleep(0)


async def settled(driver: asyncbolt.AsyncDriver) -> asyncbolt.PoolStats:
    """The driver's pool when nothing is in use or being made any more; hangs when that never happens."""
    await until(lambda: not (driver.pool_stats().in_use or driver.pool_stats().opening))
    return driver.pool_stats()


class Proxy:
    """Between a client and a server: counts bursts of client bytes, and cuts where it is told.

    ``bursts`` is how often the client wrote after it had been answered: its round trips. ``cut_up`` and
    ``cut_down`` are how many bytes (over all connections) pass before everything is cut, None: all.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self.bursts = 0
        self.connections = 0
        self.cut_up: int | None = None
        self.cut_down: int | None = None
        self.piece: Callable[[bytes], list[bytes]] = lambda data: [data]
        self.deliver: Callable[[_Side, bytes], None] = _Side.forward
        self._answered = True
        self._pairs: set[tuple[asyncio.Transport, asyncio.Transport]] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Side(self, None), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))
        await asyncio.sleep(0)

    def cut(self) -> None:
        """Cut every connection."""
        for pair in self._pairs:
            for transport in pair:
                transport.abort()
        self._pairs.clear()

    def passed(self, data: bytes, up: bool) -> bytes:
        """What of *data* goes through."""
        if up:
            if self._answered:
                self.bursts += 1
                self._answered = False
        else:
            self._answered = True
        limit = self.cut_up if up else self.cut_down
        if limit is None:
            return data
        left = data[:limit]
        if up:
            self.cut_up = limit - len(left)
        else:
            self.cut_down = limit - len(left)
        return left


class _Side(asyncio.Protocol):
    """One end of a proxied connection: the client's, which makes the other, or the server's."""

    def __init__(self, proxy: Proxy, other: asyncio.Transport | None) -> None:
        self.proxy = proxy
        self.other = other
        self.up = other is None
        self.waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.up:
            self.proxy.connections += 1
            task = asyncio.get_running_loop().create_task(self._reach())
            self.proxy._tasks.add(task)
            task.add_done_callback(self.proxy._tasks.discard)

    async def _reach(self) -> None:
        loop = asyncio.get_running_loop()
        other, _ = await loop.create_connection(
            lambda: _Side(self.proxy, self.transport), "127.0.0.1", self.proxy.target
        )
        self.other = other
        self.proxy._pairs.add((self.transport, other))
        if self.transport.is_closing():
            other.abort()
        for data in self.waiting:
            self.proxy.deliver(self, data)
        self.waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.waiting.append(data)
        else:
            self.proxy.deliver(self, data)

    def forward(self, data: bytes) -> None:
        assert self.other is not None
        left = self.proxy.passed(data, self.up)
        for piece in self.proxy.piece(left):
            self.other.write(piece)
        if len(left) < len(data) or (self.proxy.cut_up == 0) or (self.proxy.cut_down == 0):
            self.other.close()
            self.transport.abort() if self.up else self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.close()
