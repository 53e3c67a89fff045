"""The Bolt protocol without IO: bytes in, events out; intent in, bytes out.

Nothing here knows a socket, an event loop or a clock. :class:`ClientConnection` and :class:`ServerConnection`
can be driven by asyncio, by trio, by threads, by a proxy or by a fuzzer.
"""

from .client import ClientConnection, Request
from .events import (
    ClientEvent,
    ConnectionFailed,
    FailureReceived,
    Goodbye,
    HandshakeDone,
    IgnoredReceived,
    Interrupted,
    RecordsReceived,
    RequestReceived,
    ServerEvent,
    SuccessReceived,
)
from .handshake import HandshakeReason
from .messages import ServerRequest, describe
from .server import ServerConnection
from .states import State
from .versions import VERSIONS

__all__ = [
    "VERSIONS",
    "ClientConnection",
    "ClientEvent",
    "ConnectionFailed",
    "FailureReceived",
    "Goodbye",
    "HandshakeDone",
    "HandshakeReason",
    "IgnoredReceived",
    "Interrupted",
    "RecordsReceived",
    "Request",
    "RequestReceived",
    "ServerConnection",
    "ServerEvent",
    "ServerRequest",
    "State",
    "SuccessReceived",
    "describe",
]
