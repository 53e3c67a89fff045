"""A server of ours in a thread and an event loop of its own, for tests that have loops of their own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import asyncbolt

__all__ = ["ServerThread"]


class ServerThread:
    """Use it with ``with``; ``port`` is where it listens, on loopback."""

    def __init__(self, session_class: type[asyncbolt.ServerSession], **options: Any) -> None:
        self.session_class = session_class
        self.options = options
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        async with await asyncbolt.create_server(self.session_class, port=0, **self.options) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._over.wait()

    def __enter__(self) -> ServerThread:
        self._thread.start()
        assert self._ready.wait(20), "the server did not start"
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
