"""What goes over the wire, in words and bytes, for the debug log. Credentials are masked in both."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from .._constants import Message
from ..chunking import MessageReader, MessageWriter
from ..protocol.events import (
    ClientEvent,
    ConnectionFailed,
    FailureReceived,
    HandshakeDone,
    IgnoredReceived,
    RecordsReceived,
    SuccessReceived,
)
from ..protocol.messages import describe

if TYPE_CHECKING:
    from ..protocol.client import ClientConnection, Request

__all__ = ["WireLog"]

_LOGINS: Final = frozenset((Message.HELLO, Message.LOGON))
_PLAIN: Final = frozenset(
    ("user_agent", "scheme", "principal", "realm", "bolt_agent", "routing", "patch_bolt")
)
_MASK: Final = "*******"
_MOST_BYTES: Final = 512
_MOST_RECORDS: Final = 10


def _hex(data: bytes) -> str:
    if len(data) <= _MOST_BYTES:
        return data.hex()
    return f"{data[:_MOST_BYTES].hex()}... ({len(data)} bytes)"


def _masked(value: Any) -> Any:
    """Return a login's field with everything replaced that may be secret."""
    if isinstance(value, dict):
        return {
            key: item if key in _PLAIN or key.startswith("notifications_") else _MASK
            for key, item in value.items()
        }
    return value


class WireLog:
    """Writes one connection's messages to a logger. Made only when the logger takes DEBUG."""

    __slots__ = ("_connection", "_logger", "_name", "_next")

    def __init__(self, logger: logging.Logger, connection: ClientConnection, name: str) -> None:
        self._logger = logger
        self._connection = connection
        self._name = name
        self._next = 0

    def note(self, text: str, *args: object) -> None:
        """Log something about the connection itself."""
        self._logger.debug("%s: " + text, self._name, *args)

    def sent(self) -> None:
        """Log the requests that were given to the connection since the last call."""
        for request in tuple(self._connection.outstanding):
            if request.number >= self._next:
                self._next = request.number + 1
                self._request(request)

    def _request(self, request: Request) -> None:
        version = self._connection.version
        assert version is not None
        utc_patch = self._connection.utc_patch
        fields: tuple[Any, ...] = ()
        for item in MessageReader(version, utc_patch=utc_patch).feed(request.data):
            if isinstance(item, tuple):
                fields = item[1:]
        data = request.data
        if request.message in _LOGINS:
            fields = tuple(map(_masked, fields))
            data = MessageWriter(version).message(request.message, *fields)
        self._logger.debug("%s: C: %s\n   %s", self._name, describe(request.message, fields), _hex(data))

    def received(self, data: bytes, events: Iterable[ClientEvent]) -> None:
        """Log received bytes and what they mean."""
        self._logger.debug("%s: %d bytes received\n   %s", self._name, len(data), _hex(data))
        for event in events:
            self._event(event)

    def _event(self, event: ClientEvent) -> None:
        if isinstance(event, RecordsReceived):
            for row in event.rows[:_MOST_RECORDS]:
                self._logger.debug("%s: S: %s", self._name, describe(Message.RECORD, (list(row),)))
            if len(event.rows) > _MOST_RECORDS:
                self._logger.debug("%s: S: %d more records", self._name, len(event.rows) - _MOST_RECORDS)
        elif isinstance(event, SuccessReceived):
            self._logger.debug("%s: S: %s", self._name, describe(Message.SUCCESS, (event.metadata,)))
        elif isinstance(event, FailureReceived):
            self._logger.debug("%s: S: FAILURE %s", self._name, event.error)
        elif isinstance(event, IgnoredReceived):
            self._logger.debug("%s: S: IGNORED", self._name)
        elif isinstance(event, HandshakeDone):
            self._logger.debug("%s: Bolt %d.%d", self._name, *event.version)
        elif isinstance(event, ConnectionFailed):
            self._logger.debug("%s: failed: %s", self._name, event.error)
