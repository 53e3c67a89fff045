"""Peers that take a connection and keep silent, at once or later; and an end for every wait."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

__all__ = ["KINDS", "black_hole", "ends_within", "peer"]

_T = TypeVar("_T")

SLACK = 2.0
"""Seconds by which a busy machine may be late."""


async def ends_within(seconds: float, step: Awaitable[_T]) -> _T:
    """Await *step*, which has so many seconds; fails when it has not ended by then, whatever it does."""
    task = asyncio.ensure_future(step)
    done, _ = await asyncio.wait((task,), timeout=seconds + SLACK)
    if not done:
        task.cancel()
        raise AssertionError(f"it has not ended within {seconds} s")
    return task.result()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing at all."""


async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the handshake (Bolt 5.8), and says nothing more."""
    await reader.readexactly(20)
    writer.write(b"\0\0\x08\x05")


async def half_greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers half of the handshake."""
    await reader.readexactly(20)
    writer.write(b"\0\0")


async def noops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the handshake, and then sends nothing but NOOPs."""
    await greets(reader, writer)
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b"\0\0")
            await writer.drain()
            await asyncio.sleep(0.02)


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begins a manifest that never ends."""
    await reader.readexactly(20)
    writer.write(b"\0\0\x01\xff\xe8\x07")
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b"\0")
            await writer.drain()
            await asyncio.sleep(0.02)


KINDS: dict[str, Handler] = {
    handler.__name__: handler for handler in (silent, greets, half_greets, noops, drips)
}


@contextlib.asynccontextmanager
async def peer(
    handler: Handler, host: str = "127.0.0.1", port: int = 0, **options: Any
) -> AsyncIterator[int]:
    """A server that does what *handler* does and then keeps the connection; gives its port."""
    handlers: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            await handler(reader, writer)
            while await reader.read(65_536):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            handlers.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, host, port, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        while handlers:
            await asyncio.wait(tuple(handlers))
        await asyncio.sleep(0)


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port at which nobody answers SYN, as at a host that is switched off: its queue is full."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(0)
        address = listening.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(address)
        yield address[1]
