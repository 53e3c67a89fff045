"""The server's end of WebSocket (RFC 6455) under Bolt: the opening handshake, frames, and a transport over
both.

The payloads of binary frames form the same stream of bytes that TCP would carry; where a frame ends means
nothing. So payloads are handed on as they arrive, unmasked, and a frame of any length costs no memory.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from ._layer import Layer

__all__ = ["FrameReader", "WebSocketError", "WebSocketTransport", "accept_upgrade", "frame"]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNACCEPTABLE: Final = 1003


class WebSocketError(Exception):
    """The peer broke RFC 6455.

    ``code``: the status code of the Close frame that it is owed. ``frames``: what ``FrameReader.feed`` had
    read before that, in the same call.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.frames: list[tuple[int, bytes]] = []


def accept_upgrade(headers: Mapping[str, str]) -> bytes:
    """The whole answer to a request with ``Upgrade: websocket``.

    ``headers``: names in lower case, values as they came; of a repeated header, the values joined by commas.
    Of the subprotocols offered, the first is taken.

    Raises ``WebSocketError`` when the request is no WebSocket handshake of version 13.
    """
    if "upgrade" not in (token.strip().lower() for token in headers.get("connection", "").split(",")):
        raise WebSocketError(PROTOCOL_ERROR, "the Connection header does not name Upgrade")
    if headers.get("sec-websocket-version", "").strip() != "13":
        raise WebSocketError(PROTOCOL_ERROR, "only version 13 of WebSocket is spoken here")
    key = headers.get("sec-websocket-key", "").strip()
    try:
        sound = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        sound = False
    if not sound:
        raise WebSocketError(PROTOCOL_ERROR, "Sec-WebSocket-Key is not 16 bytes in base64")
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest),
    ]
    protocol = headers.get("sec-websocket-protocol", "").split(",")[0].strip()
    if protocol:
        lines.append(b"Sec-WebSocket-Protocol: " + protocol.encode("latin-1"))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def frame(opcode: int, payload: bytes | bytearray | memoryview[Any] = b"") -> bytes:
    """One whole unmasked frame, as a server sends them."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 0x10000:
        head = bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


def _unmask(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    pad = mask * (size // 4 + 1)
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad[:size], "little")).to_bytes(size, "little")


class FrameReader:
    """Frames of a client, cut anywhere -> payload bytes and control frames.

    ``feed(data)`` gives a list of ``(opcode, payload)``: ``BINARY`` with the next bytes of the stream, or a
    whole ``PING``, ``PONG`` or ``CLOSE``. It raises ``WebSocketError`` at the first frame that breaks the
    rules.
    """

    def __init__(self) -> None:
        self._head = bytearray()  # of the frame that has begun: header, and payload if it is a control frame
        self._left = 0  # payload bytes of the data frame being read
        self._mask = b""
        self._fragmented = False

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        frames: list[tuple[int, bytes]] = []
        try:
            self._read(memoryview(data), frames)
        except WebSocketError as exc:
            exc.frames = frames
            raise
        return frames

    def _read(self, view: memoryview, frames: list[tuple[int, bytes]]) -> None:
        position, end = 0, len(view)
        while position < end:
            if self._left:
                piece = bytes(view[position : position + self._left])
                position += len(piece)
                self._left -= len(piece)
                frames.append((BINARY, _unmask(piece, self._mask)))
                turn = len(piece) % 4
                self._mask = self._mask[turn:] + self._mask[:turn]
                continue
            take = min(self._wanted() - len(self._head), end - position)
            self._head += view[position : position + take]
            position += take
            if len(self._head) == self._wanted():
                self._begin(frames)

    def _wanted(self) -> int:
        """How many bytes the header has, as far as can be told; with a control frame's payload."""
        head = self._head
        if len(head) < 2:
            return 2
        opcode, size = head[0] & 0x0F, head[1] & 0x7F
        if head[0] & 0x70:
            raise WebSocketError(PROTOCOL_ERROR, "reserved bits are set")
        if not head[1] & 0x80:
            raise WebSocketError(PROTOCOL_ERROR, "a client's frame must be masked")
        if opcode in (CLOSE, PING, PONG):
            if not head[0] & 0x80:
                raise WebSocketError(PROTOCOL_ERROR, "a control frame cannot be fragmented")
            if size > 125:
                raise WebSocketError(PROTOCOL_ERROR, "a control frame holds at most 125 bytes")
            if opcode == CLOSE and size == 1:
                raise WebSocketError(PROTOCOL_ERROR, "half a status code")
            return 6 + size
        if opcode == TEXT:
            raise WebSocketError(UNACCEPTABLE, "Bolt needs binary frames")
        if opcode not in (BINARY, CONTINUATION):
            raise WebSocketError(PROTOCOL_ERROR, f"unknown kind of frame {opcode:#x}")
        if (opcode == CONTINUATION) is not self._fragmented:
            raise WebSocketError(PROTOCOL_ERROR, "fragments out of order")
        wanted = 6 + (2 if size == 126 else 8 if size == 127 else 0)
        if size == 127 and len(head) > 2 and head[2] & 0x80:
            raise WebSocketError(PROTOCOL_ERROR, "the length of a frame has 63 bits")
        return wanted

    def _begin(self, frames: list[tuple[int, bytes]]) -> None:
        """The header is whole: note what follows, or give out the control frame."""
        head = self._head
        opcode, size = head[0] & 0x0F, head[1] & 0x7F
        if opcode in (CLOSE, PING, PONG):
            frames.append((opcode, _unmask(bytes(head[6:]), bytes(head[2:6]))))
        else:
            mask_at = len(head) - 4
            self._left = size if mask_at == 2 else int.from_bytes(head[2:mask_at], "big")
            self._mask = bytes(head[mask_at:])
            self._fragmented = not head[0] & 0x80
        self._head = bytearray()


class WebSocketTransport(Layer):
    """Binary frames below, a stream of bytes above.

    Pings are answered, the newest alone while the peer does not read; a Close frame is answered and ends the
    connection; a peer that breaks the rules is told so by a Close frame with the code that RFC 6455 names.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__(protocol)
        self._frames = FrameReader()
        self._paused = False
        self._ping: bytes | None = None
        self._close_sent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._made()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        broken: WebSocketError | None = None
        try:
            frames = self._frames.feed(data)
        except WebSocketError as exc:
            broken = exc
            frames = exc.frames
        pieces = []
        closing: bytes | None = None
        for opcode, payload in frames:
            if opcode == BINARY:
                pieces.append(payload)
            elif opcode == PING:
                self._pong(payload)
            elif opcode == CLOSE:
                closing = payload[:2]
                break
        self._deliver(b"".join(pieces))
        if closing is not None:
            self._send_close(closing)
        elif broken is not None:
            self._send_close(broken.code.to_bytes(2, "big") + str(broken).encode())

    def eof_received(self) -> bool | None:
        self._upper.eof_received()  # type: ignore[attr-defined]
        return None

    def _pong(self, payload: bytes) -> None:
        if self._paused:
            self._ping = payload
        elif self._lower is not None:
            self._lower.write(frame(PONG, payload))

    def pause_writing(self) -> None:
        self._paused = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._paused = False
        if self._ping is not None:
            payload, self._ping = self._ping, None
            self._pong(payload)
        super().resume_writing()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if data and self._lower is not None and not self._close_sent:
            self._lower.write(frame(BINARY, data))

    def _send_close(self, payload: bytes) -> None:
        if not self._close_sent and self._lower is not None:
            self._close_sent = True
            self._lower.write(frame(CLOSE, payload))
        super().close()

    def close(self) -> None:
        self._send_close(NORMAL.to_bytes(2, "big"))
