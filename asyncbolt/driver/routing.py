"""Clusters: routing tables, and the pool that follows them."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..aio._clock import Deadline, TimeoutExpired, bounded, seen
from ..client.uri import DEFAULT_PORT
from ..exceptions import (
    ConfigurationError,
    ConnectionAcquisitionTimeoutError,
    DriverError,
    Neo4jError,
    ReadServiceUnavailable,
    RoutingServiceUnavailable,
    ServiceUnavailable,
    SessionExpired,
    UntrustedCertificate,
    WriteServiceUnavailable,
)
from . import clock
from .addressing import Address
from .pool import Acquisition, Pool

if TYPE_CHECKING:
    from .connection import Connection
    from .pool import Shared

__all__ = ["RoutedPool", "RoutingTable"]

logger = logging.getLogger("asyncbolt.driver")

# A router may have to ask others. Its answer has as much time again as a connection, while it says something;
# when it is silent, so many seconds more than a connection.
_ROUTE_GRACE: Final = 0.3

# So long a table is kept after it has expired.
_PURGE_SECONDS: Final = 30.0

# What a router says to these would be said by every other router too.
_FATAL: Final = frozenset(
    (
        "Neo.ClientError.Database.DatabaseNotFound",
        "Neo.ClientError.Transaction.InvalidBookmark",
        "Neo.ClientError.Transaction.InvalidBookmarkMixture",
        "Neo.ClientError.Statement.TypeError",
        "Neo.ClientError.Statement.ArgumentError",
        "Neo.ClientError.Request.Invalid",
    )
)
_SECURITY: Final = "Neo.ClientError.Security."
_AUTHORIZATION_EXPIRED: Final = "Neo.ClientError.Security.AuthorizationExpired"

_ROLES: Final = {"ROUTE": 0, "READ": 1, "WRITE": 2}


class RoutingTable:
    """Which servers of a cluster do what for one database.

    Attributes:
        database: which; None: the default one, of a server that has no names for them.
        routers, readers, writers: addresses, each once.
        ttl: seconds for which it holds.
        lost: addresses that were in it, and why they are not any more.
    """

    __slots__ = ("database", "lost", "made", "no_writers", "readers", "routers", "ttl", "writers")

    def __init__(
        self,
        database: str | None,
        routers: Iterable[Address],
        readers: Iterable[Address],
        writers: Iterable[Address],
        ttl: float,
    ) -> None:
        self.database = database
        self.routers = dict.fromkeys(routers)
        self.readers = dict.fromkeys(readers)
        self.writers = dict.fromkeys(writers)
        self.ttl = ttl
        self.made = clock.monotonic()
        self.no_writers = not self.writers
        self.lost: dict[Address, BaseException] = {}

    @classmethod
    def parse(cls, database: str | None, answer: Mapping[str, Any]) -> RoutingTable:
        """Read what a router said.

        Raises:
            RoutingServiceUnavailable: it makes no sense, or names no routers or no readers.
        """
        found: tuple[list[Address], list[Address], list[Address]] = ([], [], [])
        try:
            ttl = answer["ttl"]
            if isinstance(ttl, bool) or not isinstance(ttl, (int, float)) or math.isnan(ttl):
                raise TypeError("its ttl is no number")
            for server in answer["servers"]:
                texts = server["addresses"]
                if not isinstance(texts, list):
                    raise TypeError(f"addresses are a list, not {type(texts).__name__}")
                addresses = [Address.parse(text, default_port=DEFAULT_PORT) for text in texts]
                role = _ROLES.get(server["role"])
                if role is not None:
                    found[role].extend(addresses)
        except (KeyError, TypeError, ValueError) as error:
            raise RoutingServiceUnavailable(f"a routing table cannot be read: {error!r}") from error
        name = answer.get("db")
        table = cls(name if isinstance(name, str) else database, *found, ttl)
        if not table.routers:
            raise RoutingServiceUnavailable("a routing table without routers was rejected")
        if not table.readers:
            raise ReadServiceUnavailable("a routing table without readers was rejected")
        return table

    def __repr__(self) -> str:
        parts = (
            f"{name}={[str(address) for address in getattr(self, name)]}"
            for name in ("routers", "readers", "writers")
        )
        return f"<RoutingTable of {self.database!r} {' '.join(parts)} ttl={self.ttl}>"

    def fresh(self, mode: str) -> bool:
        """Whether it holds, and knows a server for statements of *mode*."""
        servers = self.readers if mode == "r" else self.writers
        return bool(servers and self.routers) and clock.monotonic() < self.made + self.ttl

    def purgeable(self) -> bool:
        """Whether it has expired so long ago that it need not be kept."""
        return self.made + self.ttl + _PURGE_SECONDS <= clock.monotonic()

    def servers(self) -> set[Address]:
        """Return every address in it."""
        return {*self.routers, *self.readers, *self.writers}

    def forget(self, address: Address, reason: BaseException | None = None) -> None:
        """Remove *address* from every role."""
        if reason is not None and address in self.servers():
            self.lost[address] = reason
        for servers in (self.routers, self.readers, self.writers):
            servers.pop(address, None)


class RoutedPool(Pool):
    """Connections to the members of a cluster, as its routing tables say."""

    routed = True

    def __init__(self, shared: Shared, address: Address, context: Mapping[str, str]) -> None:
        super().__init__(shared, address)
        self.routing_context = context
        self.tables: dict[str | None, RoutingTable] = {}
        self._locks: dict[str | None, asyncio.Lock] = {}

    async def acquire(
        self, want: Acquisition, database: str | None, *, guessed: bool = False, session: Any = None
    ) -> Connection:
        database = await self.refresh(want, database, guessed=guessed, session=session)
        want.anew()
        while True:
            address, parts = self._select(want.mode, database)
            try:
                return await self.acquire_from(address, want, parts)
            except (ServiceUnavailable, SessionExpired) as error:
                self.unreachable(address, error)

    def _select(self, mode: str, database: str | None) -> tuple[Address, int]:
        """Return a server for statements of *mode*, and how many there are."""
        table = self.tables.get(database)
        servers: Iterable[Address] = ()
        if table is not None:
            servers = table.readers if mode == "r" else table.writers
        loads = {address: self.in_use(address) for address in servers}
        if not loads:
            raise _no_server(mode, database, {} if table is None else table.lost)
        selector = self.config.selector
        if selector is not None:
            address = selector(list(loads), dict(loads))
            if address not in loads:
                raise ConfigurationError("selector= must return one of the addresses that it is given")
            return address, len(loads)
        least = min(loads.values())
        return random.choice([address for address, load in loads.items() if load == least]), len(loads)

    # ---------------------------------------------------------------- tables

    async def refresh(
        self, want: Acquisition, database: str | None, *, guessed: bool = False, session: Any = None
    ) -> str | None:
        """See to it that there is a fresh routing table; return the name of its database.

        As :meth:`acquire`. Raises, besides: ServiceUnavailable when no router gives a table.
        """
        table = self.tables.get(database)
        if table is not None and table.fresh(want.mode):
            return database
        # One asks, the others wait for what it learns.
        lock = self._locks.get(database)
        if lock is None:
            lock = self._locks[database] = asyncio.Lock()
        deadline = want.deadline(self.loop)
        try:
            await bounded(
                lock.acquire(),
                deadline,
                f"no routing table within {deadline}",
                undo=lambda _: lock.release(),
            )
        except TimeoutExpired as error:
            raise ConnectionAcquisitionTimeoutError(str(error)) from None
        try:
            for name, old in list(self.tables.items()):
                if old.purgeable():
                    del self.tables[name]
            table = self.tables.get(database)
            if table is not None and table.fresh(want.mode):
                return database
            learnt = await self.update(want, None if guessed else database, session=session)
            return learnt if guessed or database is None else database
        finally:
            lock.release()

    async def update(
        self, want: Acquisition, database: str | None, *, session: Any = None
    ) -> str | None:
        """Ask for the routing table of *database*, whatever is known already; return the database's name."""
        errors: list[Exception] = []
        table = self.tables.get(database)
        known = [] if table is None else [address for address in table.routers if address != self.address]
        # The address that the user gave comes first when nothing better is known.
        first = table is None or table.no_writers
        order = [self.address, *known] if first else [*known, self.address]
        deadline = want.deadline(self.loop)
        endless = deadline.timeout is None
        limit = Deadline(
            self.loop, self.config.connection_timeout if endless else 2 * want.timeout + _ROUTE_GRACE
        )
        for left, router in zip(range(len(order), 0, -1), order, strict=True):
            addresses = await self._resolve(router, deadline)
            for parts, address in zip(range(left + len(addresses) - 1, 0, -1), addresses, strict=False):
                found = await self._ask(address, want, database, session, errors, limit, parts)
                if found is not None:
                    self.tables[found.database] = found
                    logger.debug("%r from %s", found, address)
                    if session is not None:
                        session._database_resolved(found.database)
                    self._drop_strangers()
                    return found.database
            self.unreachable(router)
        raise _no_table(errors) from _grouped(errors)

    async def _ask(
        self,
        router: Address,
        want: Acquisition,
        database: str | None,
        session: Any,
        errors: list[Exception],
        limit: Deadline,
        parts: int,
    ) -> RoutingTable | None:
        """Ask *router*, which may use the first of so many *parts* of the time for each step."""
        impersonated_user = None if session is None else session._config.impersonated_user
        bookmarks = () if session is None else await session._current_bookmarks()
        deadline = want.deadline(self.loop)
        acquisition = Acquisition(
            "r", want.timeout, want.auth, liveness=want.liveness, resolved=True, deadline=deadline
        )
        try:
            connection = await self.acquire_from(router, acquisition, parts)
            began = self.loop.time()
            try:
                answer = await self._answer(
                    connection, connection.route(database, impersonated_user, bookmarks), want, limit, parts
                )
            finally:
                # The time for connections does not run meanwhile.
                deadline.put_off(self.loop.time() - began)
                self.release(connection)
            return RoutingTable.parse(database, answer)
        except Neo4jError as error:
            if _is_fatal(error):
                raise
            errors.append(error)
        except (ServiceUnavailable, SessionExpired) as error:
            errors.append(error)
        logger.debug("no routing table from %s: %r", router, errors[-1])
        return None

    async def _answer(
        self,
        connection: Connection,
        step: Coroutine[Any, Any, Mapping[str, Any]],
        want: Acquisition,
        limit: Deadline,
        parts: int,
    ) -> Mapping[str, Any]:
        """Await *step*, a router's answer: while it says something, until *limit*, of which it has a part.

        Raises:
            ServiceUnavailable: it was silent for as long as a connection may take, or the time is over. The
                connection is cut.
        """
        limit = limit.part(parts)
        silence = want.deadline(self.loop).part(parts).more(_ROUTE_GRACE)
        task = self.loop.create_task(step)
        try:
            while True:
                received = connection.bytes_received
                until = limit.within(silence.remaining())
                await asyncio.wait((task,), timeout=until.remaining())
                if task.done():
                    return task.result()
                if limit.over or connection.bytes_received == received:
                    connection.kill()
                    raise ServiceUnavailable(f"{connection.address} gave no routing table within {until}")
                silence = Deadline(self.loop, want.timeout + _ROUTE_GRACE)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=_ROUTE_GRACE)
            task.add_done_callback(seen)

    def _drop_strangers(self) -> None:
        """Close what is idle to addresses that no table names any more."""
        named = {self.address}.union(*(table.servers() for table in self.tables.values()))
        for address in list(self._hosts):
            if address not in named:
                super().unreachable(address)

    def unreachable(self, address: Address, reason: BaseException | None = None) -> None:
        for table in self.tables.values():
            table.forget(address, reason)
        super().unreachable(address, reason)

    async def write_failure(self, address: Address, database: str | None) -> None:
        table = self.tables.get(database)
        if table is not None:
            table.writers.pop(address, None)


def _is_fatal(error: Neo4jError) -> bool:
    code = error.code
    return code in _FATAL or (code.startswith(_SECURITY) and code != _AUTHORIZATION_EXPIRED)


def _no_server(mode: str, database: str | None, lost: Mapping[Address, BaseException]) -> SessionExpired:
    """Return the error where a routing table has no server left for *mode*, because of what was *lost*."""
    what = "reads" if mode == "r" else "writes"
    kind = ReadServiceUnavailable if mode == "r" else WriteServiceUnavailable
    reasons = "; ".join(dict.fromkeys(f"{address}: {error}" for address, error in lost.items()))
    cause = kind(f"the routing table of database {database!r} has no server left for {what}")
    errors = [error for error in lost.values() if isinstance(error, Exception)]
    cause.__cause__ = _grouped(errors, "servers that the routing table named were lost")
    failure = SessionExpired(f"no server takes {what}: {reasons}" if reasons else f"no server takes {what}")
    failure.__cause__ = cause
    # What is wrong with each of them is permanent: so it is with all.
    failure._retryable = not errors or any(
        not isinstance(error, DriverError) or error.is_retryable() for error in errors
    )
    return failure


def _no_table(errors: list[Exception]) -> ServiceUnavailable:
    # What went wrong with all of them is permanent when it is with each.
    untrusted = bool(errors) and all(isinstance(error, UntrustedCertificate) for error in errors)
    kind: type[ServiceUnavailable] = UntrustedCertificate if untrusted else ServiceUnavailable
    reasons = "; ".join(dict.fromkeys(map(str, errors)))
    failure = kind(f"no routing table to be had: {reasons}" if reasons else "no routing table to be had")
    failure._retryable = not errors or any(
        not isinstance(error, DriverError) or error.is_retryable() for error in errors
    )
    return failure


def _grouped(errors: list[Exception], text: str = "every router failed") -> BaseException | None:
    """Return one exception for *errors*: a group where Python has them, otherwise a chain."""
    if not errors:
        return None
    try:
        group: type[Exception] = ExceptionGroup  # type: ignore[name-defined,unused-ignore]
    except NameError:
        last: Exception | None = None
        for error in errors:
            if last is not None and error.__cause__ is None:
                error.__cause__ = last
            last = error
        return last
    return group(text, errors)
