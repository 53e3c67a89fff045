"""What a driver tells those who listen: connections and queries, never records."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from .addressing import Address

__all__ = [
    "ConnectionAcquired",
    "ConnectionClosed",
    "ConnectionOpened",
    "DriverListener",
    "Listeners",
    "QueryEnded",
    "QueryStarted",
]

logger = logging.getLogger("asyncbolt.driver")


@dataclass(frozen=True, slots=True)
class ConnectionOpened:
    """A connection was made and logged in.

    Attributes:
        address: where to.
        connection_id: the server's name for it, None when it gives none.
        version: the Bolt version, (major, minor).
        seconds: how long it took.
    """

    address: Address
    connection_id: str | None
    version: tuple[int, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """A connection is gone.

    Attributes:
        address: where to.
        connection_id: the server's name for it.
        error: why; None when the driver closed it.
        seconds: how long it had lived.
    """

    address: Address
    connection_id: str | None
    error: BaseException | None
    seconds: float


@dataclass(frozen=True, slots=True)
class ConnectionAcquired:
    """A session got a connection.

    Attributes:
        address: where to.
        connection_id: the server's name for it.
        seconds: how long the session waited for it, whatever was done meanwhile.
    """

    address: Address
    connection_id: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class QueryStarted:
    """A statement is about to be sent.

    Attributes:
        key: the same object in the :class:`QueryEnded` of this statement.
        address: where to.
        connection_id: the server's name for the connection.
        database: the database, None when it is the user's home database and not known yet.
        query: its text.
        parameters: its parameters; they may be secrets, and are not to be changed.
        mode: "r" or "w", None inside a transaction.
        in_transaction: whether it is part of a transaction.
    """

    key: object
    address: Address
    connection_id: str | None
    database: str | None
    query: str
    parameters: Any
    mode: str | None
    in_transaction: bool


@dataclass(frozen=True, slots=True)
class QueryEnded:
    """A statement is answered to its end, has failed, or was given up.

    Attributes:
        key: the same object as in its :class:`QueryStarted`.
        address: where to.
        connection_id: the server's name for the connection.
        database: the database, as far as the server said.
        query: its text.
        rows: how many rows were read; those that the driver had discarded are not all counted.
        bytes_received: how many bytes the connection received meanwhile.
        seconds: how long it took.
        error: why it failed; a CancelledError when it was given up; None when it succeeded.
    """

    key: object
    address: Address
    connection_id: str | None
    database: str | None
    query: str
    rows: int
    bytes_received: int
    seconds: float
    error: BaseException | None


@runtime_checkable
class DriverListener(Protocol):
    """Who is told by :meth:`AsyncDriver.add_listener`. All methods are called from the event loop, and should
    return at once. One that raises is logged, and changes nothing.

    A listener need not have all of them: those that are missing are not called.
    """

    def connection_opened(self, event: ConnectionOpened) -> None:
        """A connection was made."""

    def connection_closed(self, event: ConnectionClosed) -> None:
        """A connection is gone."""

    def connection_acquired(self, event: ConnectionAcquired) -> None:
        """A session got a connection."""

    def query_started(self, event: QueryStarted) -> None:
        """A statement is about to be sent."""

    def query_ended(self, event: QueryEnded) -> None:
        """A statement is over."""


EVENTS: Final = (
    "connection_opened",
    "connection_closed",
    "connection_acquired",
    "query_started",
    "query_ended",
)


class Listeners:
    """The listeners of a driver. For each event a tuple of functions, empty when nobody listens."""

    __slots__ = (*EVENTS, "_listeners", "_lock")

    connection_opened: tuple[Callable[[ConnectionOpened], Any], ...]
    connection_closed: tuple[Callable[[ConnectionClosed], Any], ...]
    connection_acquired: tuple[Callable[[ConnectionAcquired], Any], ...]
    query_started: tuple[Callable[[QueryStarted], Any], ...]
    query_ended: tuple[Callable[[QueryEnded], Any], ...]

    def __init__(self) -> None:
        self._listeners: list[Any] = []
        self._lock = threading.Lock()
        self._sort()

    def add(self, listener: Any) -> None:
        """Add *listener*. Raises TypeError when it has none of the methods."""
        if not any(callable(getattr(listener, name, None)) for name in EVENTS):
            raise TypeError(f"a listener has some of the methods {', '.join(EVENTS)}")
        with self._lock:
            if not any(one is listener for one in self._listeners):
                self._listeners.append(listener)
                self._sort()

    def remove(self, listener: Any) -> None:
        """Remove *listener*. Raises ValueError when it was not added."""
        with self._lock:
            for place, one in enumerate(self._listeners):
                if one is listener:
                    del self._listeners[place]
                    self._sort()
                    return
        raise ValueError("this listener was not added")

    def _sort(self) -> None:
        for name in EVENTS:
            methods = (getattr(listener, name, None) for listener in self._listeners)
            setattr(self, name, tuple(method for method in methods if callable(method)))


def tell(functions: tuple[Callable[[Any], Any], ...], event: object) -> None:
    """Call each of *functions* with *event*."""
    for function in functions:
        try:
            function(event)
        except Exception:
            logger.exception("a listener raised, and is ignored")
