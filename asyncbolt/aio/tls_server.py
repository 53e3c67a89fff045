"""The server's end of TLS as a layer over a transport whose first bytes have been read already.

``loop.start_tls`` cannot be given the bytes that were read to find out that the peer speaks TLS, so the
records go through two ``ssl.MemoryBIO``.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any, Final

from ._layer import Layer

__all__ = ["ServerTLS"]

logger = logging.getLogger(__name__)

_READ_SIZE: Final = 256 * 1024


class ServerTLS(Layer):
    """TLS between a transport below and a protocol above.

    ``protocol``: told ``connection_made`` when the handshake is done.
    ``context``: the server's certificate and settings.

    A handshake that fails closes the connection behind the alert that OpenSSL wrote; how long one may take is
    the business of whoever counts the connection.
    """

    def __init__(self, protocol: asyncio.Protocol, context: ssl.SSLContext) -> None:
        super().__init__(protocol)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = False
        self._unsent: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._incoming.write(data)
        if not self._shaken and not self._shake():
            return
        self._read()

    def eof_received(self) -> bool | None:
        if self._upper_made:
            self._upper.eof_received()  # type: ignore[attr-defined]
        return None

    def _shake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except (ssl.SSLError, ssl.CertificateError) as exc:
            logger.debug("TLS handshake failed: %s", exc)
            self._flush()
            super().close()
            return False
        self._shaken = True
        self._flush()
        self._made()
        return True

    def _read(self) -> None:
        pieces = []
        ended = False
        while True:
            try:
                piece = self._tls.read(_READ_SIZE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as exc:
                if not isinstance(exc, ssl.SSLZeroReturnError):
                    logger.debug("TLS failed: %s", exc)
                ended = True
                break
            if not piece:
                ended = True
                break
            pieces.append(piece)
        self._send_pending()
        self._deliver(b"".join(pieces))
        if ended:
            self.close()

    def _send_pending(self) -> None:
        """Encrypt what a handshake in progress kept back, and write what OpenSSL has to say."""
        while self._unsent:
            data = self._unsent[0]
            try:
                count = self._tls.write(data)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as exc:
                logger.debug("TLS failed: %s", exc)
                self._unsent.clear()
                self.abort()
                return
            if count < len(data):
                self._unsent[0] = data[count:]
            else:
                del self._unsent[0]
        self._flush()

    def _flush(self) -> None:
        if self._lower is not None and self._outgoing.pending and not self._lower.is_closing():
            self._lower.write(self._outgoing.read())

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if data and not self.is_closing():
            self._unsent.append(bytes(data))
            self._send_pending()

    def close(self) -> None:
        if self._closing:
            return
        if self._shaken:
            try:
                self._tls.unwrap()
            except (ssl.SSLError, ValueError):
                pass  # the peer's own close_notify need not be waited for
            self._flush()
        super().close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._tls
        if name == "peercert":
            return self._tls.getpeercert() if self._shaken else default
        if name == "cipher":
            return self._tls.cipher()
        if name == "sslcontext":
            return self._tls.context
        return super().get_extra_info(name, default)
