"""One port, several kinds of peers: the first bytes of a connection decide who goes on with it.

``60``: Bolt. ``16 03``: TLS, and then the same question again inside it. ``GET``: HTTP, where an upgrade to
WebSocket leads to Bolt once more, and anything else gets the discovery document. All others are closed
without a byte, as Neo4j does.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from typing import Any, Protocol, cast

from . import http, websocket
from .tls_server import ServerTLS

__all__ = ["Door", "Sniffer"]

logger = logging.getLogger(__name__)


class Door(Protocol):
    """What a sniffer asks of the server that it works for."""

    ssl: ssl.SSLContext | None
    allow_plain: bool
    origins: frozenset[str] | None

    def arrived(self, transport: asyncio.BaseTransport) -> Any:
        """What stands for the new connection; None when there is no place (the transport is closed)."""

    def left(self, visitor: Any) -> None:
        """The connection ended before any session was made for it."""

    def session(self, visitor: Any) -> asyncio.Protocol:
        """The protocol that speaks Bolt with this connection, and tells its end from now on."""

    def discovery(
        self, host: str | None, secure: bool, transport: asyncio.BaseTransport
    ) -> Mapping[str, Any]:
        """The discovery document. ``host``: what the request's Host header said."""


class Sniffer(asyncio.Protocol):
    """The first protocol of a connection.

    Args:
        door: Who knows what to do with each kind of peer.
        visitor: Given inside TLS, where the connection has a place already.
    """

    def __init__(self, door: Door, visitor: Any = None) -> None:
        self._door = door
        self._visitor = visitor
        self._inside_tls = visitor is not None
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._visitor is None:
            self._visitor = self._door.arrived(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._visitor is not None:
            self._door.left(self._visitor)
            self._visitor = None

    def data_received(self, data: bytes) -> None:
        if self._visitor is None or self._transport is None or self._transport.is_closing():
            return
        self._data += data
        first = self._data[:4]
        secure = self._inside_tls
        if first[0] == 0x16 and not secure and self._door.ssl is not None:
            if len(first) > 1 and first[1] != 0x03:
                self._refuse("garbage")
            elif len(first) > 1:
                self._hand_over(ServerTLS(Sniffer(self._door, self._visitor), self._door.ssl), self._data)
        elif not secure and self._door.ssl is not None and not self._door.allow_plain:
            self._refuse("no TLS")
        elif first[0] == 0x60:
            self._bolt(self._transport, self._data)
        elif b"GET ".startswith(first):
            if len(first) == 4:
                self._http(self._transport)
        else:
            self._refuse("neither Bolt, TLS nor HTTP")

    def _refuse(self, why: str) -> None:
        assert self._transport is not None
        logger.debug("closed %s: %s", self._transport.get_extra_info("peername"), why)
        self._transport.close()

    def _hand_over(self, protocol: asyncio.Protocol, data: bytes | bytearray) -> None:
        """Leave the connection, with the bytes read so far, to ``protocol``."""
        transport = self._transport
        assert transport is not None
        self._visitor = None
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if data:
            protocol.data_received(bytes(data))

    def _session(self) -> asyncio.Protocol | None:
        try:
            return self._door.session(self._visitor)
        except Exception:
            logger.exception("a session could not be made")
            self._refuse("no session")
            return None

    def _bolt(self, transport: asyncio.Transport, data: bytes | bytearray) -> None:
        session = self._session()
        if session is not None:
            self._hand_over(session, data)

    def _http(self, transport: asyncio.Transport) -> None:
        try:
            request = http.parse_head(self._data)
        except http.BadRequest as exc:
            transport.write(http.plain_answer("400 Bad Request", str(exc)))
            self._refuse(str(exc))
            return
        if request is None:
            return
        _, headers, size = request
        if headers.get("upgrade", "").lower() != "websocket":
            transport.write(
                http.json_answer(self._door.discovery(headers.get("host"), self._inside_tls, transport))
            )
            transport.close()
            return
        origin = headers.get("origin")
        if self._door.origins is not None and origin is not None and origin not in self._door.origins:
            transport.write(http.plain_answer("403 Forbidden", "this origin may not connect"))
            self._refuse("origin not allowed")
            return
        try:
            answer = websocket.accept_upgrade(headers)
        except websocket.WebSocketError as exc:
            transport.write(http.plain_answer("400 Bad Request", str(exc), "Sec-WebSocket-Version: 13"))
            self._refuse(str(exc))
            return
        session = self._session()
        if session is not None:
            transport.write(answer)
            self._hand_over(websocket.WebSocketTransport(session), self._data[size:])
