"""What a peer may cost: time, bytes, nesting and places, most of all before it has logged in."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable

__all__ = ["Limits", "Places", "Visitor"]

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of one server. ``create_server`` takes each of them as a keyword argument.

    ``login_timeout``: seconds from the connection's first moment, or from LOGOFF, to a login.
    ``max_connections``: connections at a time; of those beyond it, the oldest that has not logged in is
    dropped, or if there is none, the newcomer. ``max_unauthenticated``: connections that have not logged in;
    of those beyond it, the oldest is dropped. ``max_message_size``: bytes of a message. ``max_depth``: levels
    of lists, maps and structures in it. ``max_elements``: items of a list or map; None: as many as the
    message holds. ``login_message_size``, ``login_depth``, ``login_elements``: the same three until the
    login.
    """

    login_timeout: float = 30.0
    max_connections: int = 4096
    max_unauthenticated: int = 1000
    max_message_size: int = 64 * 1024 * 1024
    max_depth: int = 100
    max_elements: int | None = None
    login_message_size: int = 64 * 1024
    login_depth: int = 8
    login_elements: int = 64

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and value <= 0:
                raise ValueError(f"{field.name} must be positive, not {value!r}")


class Visitor:
    """One connection that has a place. Its login time runs until :meth:`logged_in` or :meth:`release`."""

    __slots__ = ("_places", "_timer", "transport")

    def __init__(self, places: Places, transport: asyncio.BaseTransport) -> None:
        self._places = places
        self._timer: asyncio.TimerHandle | None = None
        self.transport = transport

    def logged_in(self) -> None:
        """The client is known: it may stay."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._places._unauthenticated.pop(self, None)

    def logged_off(self) -> None:
        """The client is unknown (again): it has ``login_timeout`` seconds."""
        places = self._places
        if self._timer is None and self in places._all:
            places._unauthenticated[self] = None
            self._timer = places._loop.call_later(places._limits.login_timeout, self._too_late)

    def release(self) -> None:
        """The connection is over."""
        self.logged_in()
        places = self._places
        if places._all.pop(self, self) is None and places._on_release is not None:
            places._on_release()

    def drop(self, why: str) -> None:
        """Close the connection without a word to the client."""
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("dropped %s: %s", self.transport.get_extra_info("peername"), why)
        self.release()
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        else:
            self.transport.close()

    def _too_late(self) -> None:
        self.drop("not logged in in time")


class Places:
    """The places of one server; every connection takes one as soon as it is accepted.

    Args:
        loop: The event loop.
        limits: How many there are.
        on_release: Called when one has become free.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        on_release: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._limits = limits
        self._on_release = on_release
        self._all: dict[Visitor, None] = {}
        self._unauthenticated: dict[Visitor, None] = {}  # oldest first

    def __len__(self) -> int:
        return len(self._all)

    @property
    def unauthenticated(self) -> int:
        """How many of the connections have not logged in."""
        return len(self._unauthenticated)

    def admit(self, transport: asyncio.BaseTransport) -> Visitor | None:
        """A place for a new connection; None: there is none, and the transport has been closed."""
        visitor = Visitor(self, transport)
        limits = self._limits
        if (
            len(self._unauthenticated) >= limits.max_unauthenticated
            or len(self._all) >= limits.max_connections
        ):
            oldest = next(iter(self._unauthenticated), visitor)
            oldest.drop("too many connections")
            if oldest is visitor:
                return None
        self._all[visitor] = None
        visitor.logged_off()
        return visitor
