"""The server's end of a connection on asyncio: bytes in, requests out, and answers back.

What a request means is no business of this file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final, cast

from .._constants import Version
from ..protocol.events import (
    ConnectionFailed,
    Goodbye,
    HandshakeDone,
    Interrupted,
    RequestReceived,
    ServerEvent,
)
from ..protocol.messages import ServerRequest
from ..protocol.server import ServerConnection
from ._receive import Receiver

__all__ = ["BoltServerProtocol"]

logger = logging.getLogger(__name__)

_SLICE_SECONDS: Final = 0.005  # of pipelined requests, before the loop runs again
_LINGER_SECONDS: Final = 5.0  # for a peer to take what it is owed, before the socket is closed anyway
_HIGH_WATER: Final = 256 * 1024


class BoltServerProtocol(Receiver):
    """Speaks Bolt with one client. Subclasses answer what :meth:`request_received` hands them.

    What may be sent goes through ``self.bolt``, whose bytes :meth:`pump` writes. A request is answered when
    its summary has been sent; whoever does that later than inside :meth:`request_received` calls :meth:`pump`
    then.

    Args:
        loop: The event loop; None: the running one.

    Attributes:
        bolt: The :class:`~asyncbolt.protocol.server.ServerConnection`, from ``connection_made`` on.
        transport: The transport, or None when there is no connection.
    """

    bolt: ServerConnection

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = asyncio.get_running_loop() if loop is None else loop
        self.transport: asyncio.Transport | None = None
        self._wire_out: list[bytes] = []
        self._wire_pumping = False
        self._wire_scheduled: asyncio.Handle | None = None
        self._wire_paused = False
        self._wire_reading = True
        self._wire_drained: asyncio.Future[None] | None = None
        self._wire_linger: asyncio.TimerHandle | None = None
        self._wire_noop: asyncio.TimerHandle | None = None
        self._wire_over = False

    # for subclasses

    def make_connection(self) -> ServerConnection:
        """The protocol without IO: a place to set its versions and limits."""
        return ServerConnection()

    def request_received(self, request: ServerRequest) -> None:
        """A request to answer, now or later; no other comes before it is answered."""
        raise NotImplementedError

    def interrupted(self) -> None:
        """A RESET arrived: the work on the current request should stop. It is to be answered all the same."""

    def requests_done(self) -> None:
        """What has been received is answered, but for a request that is being handled."""

    def conversation_over(self, error: BaseException | None) -> None:
        """Nothing more can be answered. Called once. ``error``: what went wrong, or None."""

    def get_server_metadata(self) -> dict[str, Any]:
        """What the client is told when it introduces itself (the SUCCESS of INIT or HELLO)."""
        return {}

    # what subclasses use

    @property
    def version(self) -> Version | None:
        """The Bolt version of the connection, None before the handshake is done."""
        return self.bolt.version

    @property
    def writing_paused(self) -> bool:
        """Whether the client takes its records more slowly than they come."""
        return self._wire_paused

    async def drain(self) -> None:
        """Wait while :attr:`writing_paused`, or until the connection is lost."""
        while self._wire_paused:
            if self._wire_drained is None:
                self._wire_drained = self.loop.create_future()
            # Shielded by hand: a cancelled waiter must not cancel the future that others may wait for.
            await asyncio.wait([self._wire_drained])

    def collect(self) -> int:
        """Keep what there is to write for :meth:`flush`; return how many bytes are new."""
        data = self.bolt.data_to_send()
        if data:
            self._wire_out.append(data)
        return len(data)

    def flush(self) -> None:
        """Write what there is to write."""
        self.collect()
        transport, out = self.transport, self._wire_out
        if out:
            if transport is not None and not transport.is_closing():
                transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()

    def pump(self, events: Sequence[ServerEvent] = ()) -> None:
        """Handle ``events``, then what waits behind requests that have been answered; write the answers."""
        if self._wire_pumping:
            return  # a request was answered at once: the loop below goes on with the next
        self._wire_pumping = True
        bolt = self.bolt
        end = self.loop.time() + _SLICE_SECONDS
        try:
            while True:
                for event in events:
                    self._handle(event)
                if bolt.request is not None or bolt.closed or self._wire_paused:
                    break
                if self.loop.time() > end:
                    if self._wire_scheduled is None:
                        self._wire_scheduled = self.loop.call_soon(self._pump_again)
                    break
                events = bolt.next_events()
                if not events:
                    break
        finally:
            self._wire_pumping = False
        self.flush()
        if bolt.closed:
            self._end(bolt.error)
            return
        self.requests_done()
        if bolt.wants_data is not self._wire_reading and self.transport is not None:
            self._wire_reading = bolt.wants_data
            if self._wire_reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def keep_alive(self, seconds: float) -> None:
        """From now on, write a NOOP every ``seconds`` while a request is being handled (Bolt 4.1+)."""
        if self._wire_noop is not None:
            self._wire_noop.cancel()
        self._wire_noop = self.loop.call_later(seconds, self._noop, seconds)

    def close(self) -> None:
        """Close the connection behind what has been written; the client has 5 seconds to take it."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
            self._wire_linger = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def abort(self) -> None:
        """Close the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    # asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.bolt = self.make_connection()
        self.transport.set_write_buffer_limits(high=_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        self.pump(self.bolt.receive_data(data))

    def eof_received(self) -> bool | None:
        self.pump(self.bolt.receive_eof())
        return None

    def pause_writing(self) -> None:
        self._wire_paused = True

    def resume_writing(self) -> None:
        self._wire_paused = False
        self._wake_drained()
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        transport, self.transport = self.transport, None
        for handle in (self._wire_linger, self._wire_noop, self._wire_scheduled):
            if handle is not None:
                handle.cancel()
        self._wire_paused = False
        self._wake_drained()
        if transport is not None:
            self._end(exc)

    # inside

    def _end(self, error: BaseException | None) -> None:
        if not self._wire_over:
            self._wire_over = True
            self.flush()
            self.conversation_over(error)
        self.close()

    def _handle(self, event: ServerEvent) -> None:
        if isinstance(event, RequestReceived):
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("%s: %r", self._peer(), event.request)
            self.request_received(event.request)
        elif isinstance(event, Interrupted):
            self.interrupted()
        elif isinstance(event, HandshakeDone):
            logger.debug("%s: Bolt %s.%s", self._peer(), *event.version)
        elif isinstance(event, Goodbye):
            self._end(None)
        elif isinstance(event, ConnectionFailed):
            logger.debug("%s: %s", self._peer(), event.error)
            self._end(event.error)

    def _peer(self) -> Any:
        return None if self.transport is None else self.transport.get_extra_info("peername")

    def _pump_again(self) -> None:
        self._wire_scheduled = None
        self.pump()

    def _wake_drained(self) -> None:
        if self._wire_drained is not None:
            self._wire_drained.set_result(None)
            self._wire_drained = None

    def _noop(self, seconds: float) -> None:
        if self.bolt.request is not None and not self._wire_paused:
            self.bolt.send_noop()
            self.flush()
        self._wire_noop = self.loop.call_later(seconds, self._noop, seconds)
