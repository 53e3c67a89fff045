"""What a connection reports: plain objects, made once per message or per run of records, never per record.

The *client* reports :class:`HandshakeDone`, :class:`RecordsReceived`, :class:`SuccessReceived`,
:class:`FailureReceived`, :class:`IgnoredReceived` and :class:`ConnectionFailed`; the *server* reports
:class:`HandshakeDone`, :class:`RequestReceived`, :class:`Interrupted`, :class:`Goodbye` and
:class:`ConnectionFailed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from .._constants import Version

if TYPE_CHECKING:
    from ..exceptions import BoltError, Neo4jError
    from .client import Request
    from .messages import ServerRequest

__all__ = [
    "ClientEvent",
    "ConnectionFailed",
    "FailureReceived",
    "Goodbye",
    "HandshakeDone",
    "IgnoredReceived",
    "Interrupted",
    "RecordsReceived",
    "RequestReceived",
    "ServerEvent",
    "SuccessReceived",
]


class HandshakeDone:
    """Both sides: the version is agreed on.

    *version* is (major, minor); *manifest* tells whether it was agreed on by the manifest handshake that came
    with Bolt 5.7.
    """

    __slots__ = ("manifest", "version")

    def __init__(self, version: Version, manifest: bool = False) -> None:
        self.version = version
        self.manifest = manifest

    def __repr__(self) -> str:
        return f"<HandshakeDone {self.version[0]}.{self.version[1]}>"


class RecordsReceived:
    """Client: a run of records that answers *request* (a PULL); provisional until its SUCCESS.

    *rows* is a list of tuples, never empty; the list belongs to the receiver of the event.
    """

    __slots__ = ("request", "rows")

    def __init__(self, request: Request, rows: list[tuple[Any, ...]]) -> None:
        self.request = request
        self.rows = rows

    def __repr__(self) -> str:
        return f"<RecordsReceived {len(self.rows)} for {self.request!r}>"


class SuccessReceived:
    """Client: *request* succeeded; *metadata* is the map that the server sent."""

    __slots__ = ("metadata", "request")

    def __init__(self, request: Request, metadata: dict[str, Any]) -> None:
        self.request = request
        self.metadata = metadata

    def __repr__(self) -> str:
        return f"<SuccessReceived for {self.request!r}>"


class FailureReceived:
    """Client: *request* failed with *error*; what follows it is ignored until a RESET."""

    __slots__ = ("error", "request")

    def __init__(self, request: Request, error: Neo4jError) -> None:
        self.request = request
        self.error = error

    def __repr__(self) -> str:
        return f"<FailureReceived {self.error!r} for {self.request!r}>"


class IgnoredReceived:
    """Client: the server skipped *request*, because something before it failed or a RESET overtook it."""

    __slots__ = ("request",)

    def __init__(self, request: Request) -> None:
        self.request = request

    def __repr__(self) -> str:
        return f"<IgnoredReceived for {self.request!r}>"


class RequestReceived:
    """Server: *request* is to be answered now."""

    __slots__ = ("request",)

    def __init__(self, request: ServerRequest) -> None:
        self.request = request

    def __repr__(self) -> str:
        return f"<RequestReceived {self.request!r}>"


class Interrupted:
    """Server: a RESET arrived while a request is being handled: stop that work at once.

    The request must still be answered, with its normal answer, a failure, or ``send_ignored()``.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<Interrupted>"


class Goodbye:
    """Server: the client is done; running work is to be stopped and rolled back. The last event ever.

    *said* is False when the client closed the connection without a GOODBYE (Bolt 1 and 2 have none).
    """

    __slots__ = ("said",)

    def __init__(self, said: bool = True) -> None:
        self.said = said

    def __repr__(self) -> str:
        return "<Goodbye>" if self.said else "<Goodbye unsaid>"


class ConnectionFailed:
    """Both sides: the connection is dead, and *error* says why. The last event ever.

    What ``data_to_send()`` still gives is owed to the peer; then the transport is to be closed.
    """

    __slots__ = ("error",)

    def __init__(self, error: BoltError) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"<ConnectionFailed {self.error!r}>"


ClientEvent: TypeAlias = (
    HandshakeDone | RecordsReceived | SuccessReceived | FailureReceived | IgnoredReceived | ConnectionFailed
)
ServerEvent: TypeAlias = HandshakeDone | RequestReceived | Interrupted | Goodbye | ConnectionFailed
