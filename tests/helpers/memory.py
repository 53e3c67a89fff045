"""A client connection against a server connection in memory, whole or byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asyncbolt._constants import Message
from asyncbolt.protocol import (
    ClientConnection,
    ClientEvent,
    ConnectionFailed,
    FailureReceived,
    Goodbye,
    HandshakeDone,
    IgnoredReceived,
    RecordsReceived,
    RequestReceived,
    ServerConnection,
    ServerEvent,
    ServerRequest,
    SuccessReceived,
)

Handler = Callable[[ServerConnection, ServerRequest], None]


def agreeable(server: ServerConnection, request: ServerRequest) -> None:
    """Answer everything with success; a stream has the rows 0, 1, 2, whatever n is."""
    if request.message is Message.HELLO:
        server.send_success({"server": "Test/1.0", "connection_id": "memory-1"})
    elif request.message is Message.RUN:
        server.send_success({"fields": ["n"], "t_first": 1})
    elif request.message is Message.ROUTE:
        server.send_success({"rt": {"ttl": 300, "servers": []}})
    else:
        if request.message is Message.PULL:
            server.send_records([(0,), (1,), (2,)])
        server.send_success({})


class ConnectionPair:
    """Both ends.

    Args:
        client: the client's end.
        server: the server's end.
        handler: called for each request that the server is to answer; it may leave the answer for later.
        piece: how many bytes are handed over at a time; None: all there are.

    Attributes:
        client_events: what the client reported, in order.
        server_events: what the server reported, in order.
        sent: the bytes written so far, by (client, server).
    """

    def __init__(
        self,
        client: ClientConnection,
        server: ServerConnection,
        *,
        handler: Handler | None = agreeable,
        piece: int | None = None,
    ) -> None:
        self.client = client
        self.server = server
        self.handler = handler
        self.piece = piece
        self.client_events: list[ClientEvent] = []
        self.server_events: list[ServerEvent] = []
        self.sent = bytearray(), bytearray()

    def flow(self) -> None:
        """Carry bytes both ways, and let the handler answer, until nothing moves any more."""
        moved = True
        while moved:
            moved = False
            data = self.client.data_to_send()
            if data:
                moved = True
                self.sent[0].extend(data)
                for part in self._pieces(data):
                    self._serve(self.server.receive_data(part))
            self._serve(self.server.next_events())
            data = self.server.data_to_send()
            if data:
                moved = True
                self.sent[1].extend(data)
                for part in self._pieces(data):
                    self.client_events += self.client.receive_data(part)

    def take(self) -> list[tuple[Any, ...]]:
        """What the client has reported since the last call, in a form that compares: see :func:`plain`."""
        events = [plain(event) for event in self.client_events]
        self.client_events.clear()
        return events

    def _pieces(self, data: bytes) -> list[bytes]:
        size = self.piece or len(data)
        return [data[start : start + size] for start in range(0, len(data), size)]

    def _serve(self, events: list[ServerEvent]) -> None:
        while events:
            self.server_events += events
            for event in events:
                if isinstance(event, RequestReceived) and self.handler is not None:
                    self.handler(self.server, event.request)
            events = self.server.next_events()


def plain(event: ClientEvent | ServerEvent) -> tuple[Any, ...]:
    """An event as a tuple that can be compared with another's."""
    if isinstance(event, HandshakeDone):
        return "handshake", event.version
    if isinstance(event, RecordsReceived):
        return "records", event.request.message.name, event.rows
    if isinstance(event, SuccessReceived):
        return "success", event.request.message.name, event.metadata
    if isinstance(event, FailureReceived):
        return "failure", event.request.message.name, event.error.code, event.error.message
    if isinstance(event, IgnoredReceived):
        return "ignored", event.request.message.name
    if isinstance(event, RequestReceived):
        return "request", event.request.message.name, event.request.fields
    if isinstance(event, Goodbye):
        return "goodbye", event.said
    if isinstance(event, ConnectionFailed):
        return "failed", type(event.error).__name__, str(event.error)
    return (type(event).__name__,)


def joined(events: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The same events with neighbouring runs of records made one: where a run is cut means nothing."""
    result: list[tuple[Any, ...]] = []
    for event in events:
        if event[0] == "records" and result and result[-1][0] == "records":
            result[-1] = (*event[:2], result[-1][2] + event[2])
        else:
            result.append(event)
    return result
