"""Transports whose event loop is closed, or stopped for good: nobody will do what they ask for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Any

__all__ = ["close_orphan"]


def close_orphan(transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> None:
    """Close the connection of *transport* without its *loop*: the peer is told, the descriptor is freed.

    Where the loop is only stopped, the descriptor stays until the loop runs again or is collected, since the
    loop still has it in its books.
    """
    with contextlib.suppress(OSError):
        wrapped: Any = transport.get_extra_info("socket")
        if wrapped is not None and wrapped.fileno() >= 0:
            # Another descriptor of the same connection, since not every transport's socket can do that.
            with socket.socket(fileno=os.dup(wrapped.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)
    if not loop.is_closed():
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_abort, transport)
        return
    # asyncio's transports ask their loop for everything, to be closed as well, and complain when they are
    # collected open. What they would do has to be done for them; those of uvloop were closed by their loop.
    inner: Any = transport
    protocol = getattr(transport, "_ssl_protocol", None)
    if protocol is not None:
        transport._closed = True  # type: ignore[attr-defined]
        inner = getattr(protocol, "_transport", None)
    sock = getattr(inner, "_sock", None)
    if isinstance(sock, socket.socket):
        inner._sock = None
        sock.close()


def _abort(transport: Any) -> None:
    transport.abort()
