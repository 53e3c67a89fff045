"""A layer between two of asyncio's objects: a protocol to the transport below, a transport to the protocol
above.

TLS and WebSocket are such layers on the server's side of a port that takes several kinds of first bytes.
They work on asyncio's and uvloop's transports alike, since they use nothing but their public methods.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

__all__: list[str] = []


class Layer(asyncio.Transport, asyncio.Protocol):
    """Passes everything through; subclasses translate ``data_received`` and ``write``.

    The lower transport's own buffer is the only one: its marks and its ``pause_writing`` are those of the
    layer.
    """

    def __init__(self, upper: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._upper = upper
        self._lower: asyncio.Transport | None = None
        self._closing = False
        self._upper_made = False
        self._upper_lost = False

    # the protocol that the lower transport sees

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._lower = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._deliver(data)

    def eof_received(self) -> bool | None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if not self._upper_lost:  # also when it was never told of a connection: it may hold a place
            self._upper_lost = True
            self._upper.connection_lost(exc)

    def pause_writing(self) -> None:
        self._upper.pause_writing()

    def resume_writing(self) -> None:
        self._upper.resume_writing()

    # what subclasses call

    def _made(self) -> None:
        """Tell the protocol above that it is connected."""
        self._upper_made = True
        self._upper.connection_made(self)

    def _deliver(self, data: bytes) -> None:
        """Hand bytes to the protocol above."""
        if data and not self._upper_lost:
            cast("asyncio.Protocol", self._upper).data_received(data)

    # the transport that the upper protocol sees

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default if self._lower is None else self._lower.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._closing or self._lower is None or self._lower.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._upper = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._upper

    def is_reading(self) -> bool:
        return self._lower is not None and self._lower.is_reading()

    def pause_reading(self) -> None:
        if self._lower is not None:
            self._lower.pause_reading()

    def resume_reading(self) -> None:
        if self._lower is not None:
            self._lower.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self._lower is not None:
            self._lower.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return 0 if self._lower is None else self._lower.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return (0, 0) if self._lower is None else self._lower.get_write_buffer_limits()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._lower is not None:
            self._lower.write(data)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError("this transport cannot be half closed")

    def close(self) -> None:
        self._closing = True
        if self._lower is not None:
            self._lower.close()

    def abort(self) -> None:
        self._closing = True
        if self._lower is not None:
            self._lower.abort()
