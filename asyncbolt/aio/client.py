"""The client's end of a connection on asyncio: bytes between a transport and a ``ClientConnection``."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Mapping
from typing import Any, Protocol, cast

from .._version import __version__
from ..exceptions import BoltError, ServiceUnavailable
from ..protocol import ClientConnection, ClientEvent, ConnectionFailed, HandshakeDone
from ._receive import Receiver
from .wirelog import WireLog

__all__ = ["BoltClientProtocol"]

logger = logging.getLogger("asyncbolt.client")


class Owner(Protocol):
    """Who is told what happens on a connection."""

    def events_received(self, events: list[ClientEvent]) -> None: ...
    def writing_paused(self, paused: bool) -> None: ...
    def connection_closed(self) -> None: ...


class BoltClientProtocol(Receiver):
    """The asyncio protocol of a :class:`~asyncbolt.ClientSession`.

    Subclass it to say who logs in: override :meth:`get_init_params`, and ``__init__`` for the keyword
    arguments that :func:`asyncbolt.connect` is to pass on (call ``super().__init__(loop)``).

    Args:
        loop: the event loop; the running one when None.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self._connection: ClientConnection | None = None
        self._owner: weakref.ref[Owner] | None = None
        self._handshake: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._log: WireLog | None = None
        self.bytes_received = 0

    def get_init_params(self) -> tuple[str, Mapping[str, Any]]:
        """Return the user agent ("Name/Version") and the auth token (a map with ``scheme`` and the rest).

        Asked once per connection, unless :func:`asyncbolt.connect` was given ``auth``. The result becomes
        INIT (Bolt 1 and 2), HELLO (3 - 5.0), or HELLO and LOGON (5.1+).
        """
        return f"asyncbolt/{__version__}", {"scheme": "none"}

    # What connect() and the session use

    @property
    def connection(self) -> ClientConnection:
        """The protocol without IO that this one feeds."""
        if self._connection is None:
            self._connection = ClientConnection()
        return self._connection

    def _prepare(self, loop: asyncio.AbstractEventLoop, connection: ClientConnection) -> None:
        """Take the connection to feed; called before the transport exists."""
        self.loop = loop
        self._connection = connection

    def _own(self, owner: Owner) -> None:
        """From now on events go to *owner*, which it does not keep: who drops a session is told so."""
        self._owner = weakref.ref(owner)

    async def _wait_handshake(self) -> None:
        """Wait until the version is agreed on. Raises the connection's error."""
        connection = self.connection
        if connection.error is not None:
            raise connection.error
        if connection.version is None:
            assert self.loop is not None
            self._handshake = self.loop.create_future()
            try:
                await self._handshake
            finally:
                self._handshake = None

    def _flush(self) -> None:
        """Write what the connection has to send, in one go."""
        connection = self._connection
        assert connection is not None
        data = connection.data_to_send()
        if data:
            if self._log is not None:
                self._log.sent()
            transport = self.transport
            if transport is not None and not transport.is_closing():
                transport.write(data)

    async def _wait_closed(self) -> None:
        """Wait until the transport is gone."""
        if self._closed is not None:
            await asyncio.shield(self._closed)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: the transport is connected."""
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
        self.transport = cast("asyncio.Transport", transport)
        self._closed = self.loop.create_future()
        connection = self.connection
        if logger.isEnabledFor(logging.DEBUG):
            peer = transport.get_extra_info("peername")
            name = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer)
            self._log = WireLog(logger, connection, name)
            self._log.note("connected")
        if connection.version is None:
            data = connection.data_to_send()
            if self._log is not None:
                self._log.note("offers %s", data.hex(" ", 4))
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: bytes came."""
        connection = self._connection
        assert connection is not None
        self.bytes_received += len(data)
        events = connection.receive_data(data)
        if self._log is not None:
            self._log.received(data, events)
        if events:
            self._dispatch(events)

    def _dispatch(self, events: list[ClientEvent]) -> None:
        if self._owner is None:
            self._shake(events)
        else:
            owner = self._owner()
            if owner is not None:
                owner.events_received(events)
        if self.connection.closed and self.transport is not None:
            self._flush()
            self.transport.close()

    def _shake(self, events: list[ClientEvent]) -> None:
        """Before there is a session: tell who waits for the handshake."""
        self._flush()
        waiter = self._handshake
        if waiter is None or waiter.done():
            return
        for event in events:
            if isinstance(event, HandshakeDone):
                waiter.set_result(None)
                return
            if isinstance(event, ConnectionFailed):
                waiter.set_exception(event.error)
                return

    def eof_received(self) -> bool | None:
        """Called by asyncio: the peer sends nothing more."""
        self._ended(None)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: the transport is gone."""
        if self._log is not None:
            self._log.note("closed%s", "" if exc is None else f": {exc!r}")
        self._ended(exc)
        self.transport = None
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        owner = None if self._owner is None else self._owner()
        if owner is not None:
            owner.connection_closed()

    def _ended(self, exc: Exception | None) -> None:
        connection = self.connection
        if connection.closed:
            return
        events = connection.receive_eof()
        if not events:
            error: BoltError = ServiceUnavailable("the connection was closed")
            events = [ConnectionFailed(error)]
        for event in events:
            if isinstance(event, ConnectionFailed) and exc is not None and event.error.__cause__ is None:
                event.error.__cause__ = exc
        self._dispatch(events)

    def pause_writing(self) -> None:
        """Called by asyncio: enough is waiting to be written."""
        self._tell_writing(True)

    def resume_writing(self) -> None:
        """Called by asyncio: more may be written."""
        self._tell_writing(False)

    def _tell_writing(self, paused: bool) -> None:
        owner = None if self._owner is None else self._owner()
        if owner is not None:
            owner.writing_paused(paused)
