"""A connection of a pool: one link to a server, used by one session at a time."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .._constants import Message
from ..aio._clock import CLOSE_TIMEOUT, Deadline, TimeoutExpired
from ..client.lane import Call, Carried, Job, Relogin, Reset, Rollback, Telemetry
from ..client.link import Link
from ..client.stream import FetchJob, FetchResult
from ..exceptions import (
    BoltError,
    ConfigurationError,
    DriverError,
    LocalProtocolError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
)
from . import clock
from .addressing import Address
from .auth import auth_map
from .constants import SYSTEM_DATABASE
from .listeners import ConnectionClosed, tell
from .query import milliseconds
from .server_info import ServerInfo

if TYPE_CHECKING:
    from ..client.connect import Opener
    from ..protocol.client import ClientConnection, Request
    from .pool import Pool

__all__ = ["Connection"]

# What RUN and BEGIN may be asked for, and what it is called when a version has no such thing.
_OPTIONAL: Final = {
    "db": "choosing a database",
    "imp_user": "impersonation",
    "notifications_minimum_severity": "filtering notifications",
    "notifications_disabled": "filtering notifications",
}

_ROUTING_PROCEDURE_3: Final = "CALL dbms.cluster.routing.getRoutingTable($context)"
_ROUTING_PROCEDURE_4: Final = "CALL dbms.routing.getRoutingTable($context)"
_ROUTING_PROCEDURE_4_DATABASE: Final = "CALL dbms.routing.getRoutingTable($context, $database)"


class _Report(Telemetry):
    """TELEMETRY, and what to do when it was heard."""

    __slots__ = ("heard",)

    def __init__(self, heard: Callable[[], None], sender: Callable[[ClientConnection], Request]) -> None:
        super().__init__(sender)
        self.heard = heard

    def on_done(self, summary: dict[str, Any]) -> None:
        self.heard()


class Connection(Link):
    """A link with what its pool knows of it.

    Attributes:
        address: where to, as the pool knows it.
        server: what the server says of itself.
        in_use: whether a session holds it.
        stale: whether it is to be closed instead of being given out again.
        database: the database of the last statement or transaction.
        auth: the credentials that are in force, as their manager gave them.
        auth_manager: who gave them.
    """

    def __init__(self, opener: Opener, pool: Pool, address: Address, manager: Any, auth: Any) -> None:
        super().__init__(opener, pool.loop)
        self.pool = pool
        self.address = address
        self.server = ServerInfo(address, (0, 0))
        self.in_use = True
        self.stale = False
        self.counted = False  # among the pool's connections
        self.patience = math.inf  # seconds that whoever acquired it had for that
        self.database: str | None = None
        self.auth_manager = manager
        self.auth = auth
        self.auth_map: Mapping[str, Any] = auth_map(auth)
        self.created = self.idle_since = clock.monotonic()

    def greeted(self) -> None:
        """Called when the login has succeeded."""
        connection = self._connection
        peer = self._peer()
        self.server = ServerInfo(peer, self.version, connection.server_agent, connection.connection_id)
        self.created = self.idle_since = clock.monotonic()
        # The same for each statement, so they are looked up once.
        accepts = connection.accepts
        self.accepted = frozenset(
            key
            for key, wire in (
                ("db", "db"),
                ("imp_user", "imp_user"),
                ("notifications_minimum_severity", "notifications_minimum_severity"),
                ("notifications_disabled", "notifications_minimum_severity"),
            )
            if accepts(Message.RUN, wire)
        )

    def _peer(self) -> Address:
        transport = self._protocol.transport
        peer = None if transport is None else transport.get_extra_info("peername")
        return Address(peer) if isinstance(peer, tuple) else self.address

    # ---------------------------------------------------------------- what is known

    @property
    def usable(self) -> bool:
        """Whether it is up, as far as is known, and may be given out again."""
        lane = self._lane
        return not (self.stale or lane.closing or lane.error is not None)

    @property
    def lost(self) -> bool:
        """Whether it is down."""
        lane = self._lane
        return lane.closing or lane.error is not None

    @property
    def clean(self) -> bool:
        """Whether nothing is unanswered, open or leased."""
        return self._lane.idle

    @property
    def routes_itself(self) -> bool:
        """Whether the server sends statements on to where they belong (the hint of Bolt 5.8)."""
        return self._connection.hints.get("ssr.enabled") is True

    @property
    def many_results(self) -> bool:
        """Whether several results of a transaction may be open at once (Bolt 4.0+)."""
        return self._streams

    @property
    def many_databases(self) -> bool:
        """Whether statements can choose a database (Bolt 4.0+)."""
        return "db" in self.accepted

    @property
    def relogin(self) -> bool:
        """Whether credentials can be changed on a connection that is open (Bolt 5.1+)."""
        return self._connection.supports(Message.LOGON)

    @property
    def bytes_received(self) -> int:
        """How many bytes came so far."""
        return self._protocol.bytes_received

    # ---------------------------------------------------------------- jobs

    def queue(self, job: Job) -> None:
        """Queue *job*, to be written with the next one; what goes wrong is told to it or raised."""
        if self._flush_due or not self._lane.write_alone(job):
            self._lane.submit(job)

    def write(self, job: Job) -> None:
        """Queue *job*, and write what may be written at once: a connection has one user.

        In its own loop, which sessions and transactions have checked.
        """
        if not self._flush_due and self._lane.write_alone(job):
            self._protocol._flush()
            if self._silence is not None and self._silence_timer is None:
                self._listen()
        else:
            self._lane.submit(job)
            self._flush()

    async def request(self, job: Job) -> Any:
        """Write *job*, and return its answer. One that is not awaited to its end is given up."""
        future: asyncio.Future[Any] = self._loop.create_future()
        job.waiter = future
        self.write(job)
        try:
            return await future
        except asyncio.CancelledError:
            self.give_up(job)
            raise
        except Carried as carried:
            raise carried.error from None

    async def ask(self, job: Job) -> Any:
        """As :meth:`request`.

        Raises: what the server said, or how the connection was lost, as :meth:`failed` puts it.
        """
        try:
            return await self.request(job)
        except BoltError as error:
            raise await self.failed(error) from error.__cause__

    async def failed(self, error: BaseException) -> BaseException:
        """Tell the pool of *error*, wait until the connection is clean again, and return what to raise.

        Behind a failure stands a RESET, sent already.
        """
        pool = self.pool
        if isinstance(error, Neo4jError):
            await pool.failure(self, error)
        elif isinstance(error, LocalProtocolError) and pool.closed:
            closed = DriverError("the driver is closed")
            closed.__cause__ = error
            error = closed
        elif isinstance(error, ServiceUnavailable):
            pool.unreachable(self.address, error)
            if pool.routed and type(error) is ServiceUnavailable:
                expired = SessionExpired(*error.args, may_have_run=error.may_have_run)
                expired.__cause__ = error.__cause__
                error = expired
        await self.settle()
        return error

    async def answer(self, job: Job, deadline: Deadline) -> Any:
        """Return the answer of *job*, which was submitted. One that does not come in time is given up.

        Raises:
            TimeoutError: it did not come before the *deadline*.
            Others: as :meth:`request`.
        """
        job.waiter = self._loop.create_future()
        return await self._await(job, deadline.remaining())

    async def settle(self) -> None:
        """Wait until everything is answered or the connection is lost.

        What was given up has time limits of its own, RESET among them.
        """
        if not (self._lane.idle or self._lane.error is not None):
            self._schedule()
            await self._settle(Deadline(self._loop, None))

    async def while_alive(self, step: Coroutine[Any, Any, None]) -> None:
        """Await *step*, which waits for the end of a statement, as long as the server is there.

        A statement may take its time in silence. So when nothing has come for half of the time that closing
        may take, a new connection is tried for the other half: a server that does not answer that either is
        given up.
        """
        task = self._loop.create_task(step)
        silence = CLOSE_TIMEOUT / 2
        try:
            while not task.done():
                received = self.bytes_received
                await asyncio.wait((task,), timeout=silence)
                if task.done() or self.bytes_received != received:
                    continue
                alive = await self._opener.answers(CLOSE_TIMEOUT / 2)
                if task.done() or self.bytes_received != received:
                    continue
                if not alive:
                    self._abort(ServiceUnavailable(f"{self.address} says nothing any more"))
                    await asyncio.wait((task,), timeout=silence)
                    break
                silence = min(2 * silence, 60.0)
        finally:
            if not task.done():
                task.cancel()
        await task

    @contextlib.contextmanager
    def closing(self) -> Iterator[None]:
        """Cut the connection when what is done in the block takes longer than closing may."""
        error = ServiceUnavailable(f"{self.address} did not answer within {CLOSE_TIMEOUT:g} s of closing")
        timer = self._loop.call_later(CLOSE_TIMEOUT, self._break, error)
        try:
            yield
        finally:
            timer.cancel()

    def give_up(self, job: Job) -> None:
        """Forget about the answer of *job*, which may be interrupted."""
        if self._lane.error is None:
            self._abandon(job)

    def discard(self, job: Any) -> None:
        """The rest of the rows of *job* is not wanted, but its summary is."""
        # Where the server does not say so itself, it matters whether there were any.
        self._lane.discard(job, skip=self._connection.has("gql_errors"))
        self._schedule()

    def more(self, job: Job) -> None:
        """The reader of *job* wants more of it."""
        self._drained(job)

    def roll_back(self, job: Rollback) -> None:
        """End a transaction without committing it: see :meth:`asyncbolt.client.lane.Lane.rollback`."""
        self.check_loop()
        self._lane.rollback(job)
        self._schedule()

    async def check(self, deadline: Deadline) -> bool:
        """Return whether the connection works, by a RESET that is answered before the *deadline*."""
        try:
            await self._call(Reset(), deadline.remaining())
        except (BoltError, TimeoutExpired):
            self.abort()
            return False
        return True

    # ---------------------------------------------------------------- requests of the driver itself

    def options(
        self,
        *,
        mode: str | None = None,
        bookmarks: Iterable[str] = (),
        database: str | None = None,
        impersonated_user: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        min_severity: str | None = None,
        disabled: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Return the options of a RUN or BEGIN, without those that are the server's defaults.

        Raises:
            ConfigurationError: the Bolt version has no such option.
            ValueError, TypeError: *timeout* (seconds) is no number, or below 0.
        """
        extra: dict[str, Any] = {}
        if bookmarks:
            extra["bookmarks"] = list(bookmarks)
        if mode == "r":
            extra["mode"] = mode
        if database is not None:
            extra["db"] = database
        if impersonated_user is not None:
            extra["imp_user"] = impersonated_user
        if metadata:
            extra["tx_metadata"] = metadata
        if timeout is not None:
            extra["tx_timeout"] = milliseconds(timeout)
        if min_severity is not None:
            extra["notifications_minimum_severity"] = min_severity
        if disabled is not None:
            extra["notifications_disabled"] = list(disabled)
        if extra:
            for key, what in _OPTIONAL.items():
                if key in extra and key not in self.accepted:
                    raise self._unsupported(f"{what}: {extra[key]!r}")
        self.database = database
        return extra

    def _unsupported(self, what: str) -> ConfigurationError:
        major, minor = self.version
        return ConfigurationError(f"Bolt {major}.{minor}, which {self.address} speaks, has no {what}")

    async def route(
        self, database: str | None, impersonated_user: str | None, bookmarks: Iterable[str]
    ) -> Mapping[str, Any]:
        """Return the routing table, as the server puts it: ``ttl``, ``servers``, ``db``.

        Raises:
            ConfigurationError: the Bolt version cannot be asked for this database, or for this user.
            Others: as :meth:`ask`.
        """
        context = self.pool.routing_context or {}
        connection = self._connection
        if connection.supports(Message.ROUTE):
            if impersonated_user is not None and not connection.accepts(Message.ROUTE, "imp_user"):
                raise self._unsupported(f"impersonation: {impersonated_user!r}")
            call = Call(
                lambda connection: connection.send_route(
                    context, bookmarks, db=database, imp_user=impersonated_user
                )
            )
            answer = await self.ask(call)
            table: Any = answer.get("rt")
            return table if isinstance(table, Mapping) else {}
        if impersonated_user is not None:
            raise self._unsupported(f"impersonation: {impersonated_user!r}")
        parameters: dict[str, Any] = {"context": context}
        extra: dict[str, Any] = {"mode": "r"}
        if not self.many_databases:
            if database is not None:
                raise self._unsupported(f"choosing a database: {database!r}")
            statement = _ROUTING_PROCEDURE_3
        else:
            statement = _ROUTING_PROCEDURE_4
            if database is not None:
                statement = _ROUTING_PROCEDURE_4_DATABASE
                parameters["database"] = database
            extra["db"] = SYSTEM_DATABASE
            if bookmarks:
                extra["bookmarks"] = list(bookmarks)
        result: FetchResult = await self.ask(FetchJob(statement, parameters, extra, None))
        return dict(zip(result.fields, result[0], strict=False)) if result else {}

    def log_in_again(self, manager: Any, auth: Any, token: Mapping[str, Any]) -> Relogin:
        """Change the credentials (Bolt 5.1+); what follows is sent behind it. Returns the job."""
        self.auth_manager = manager
        self.auth = auth
        self.auth_map = token
        job = Relogin(
            lambda connection: connection.send_logoff(),
            lambda connection: connection.send_logon(token),
        )
        self._submit(job)
        return job

    def telemetry(self, api: int, heard: Callable[[], None]) -> None:
        """Tell the server which of the driver's functions is used (Bolt 5.4+), where it wants to know.

        *heard* is called when it has taken note.
        """
        if self._connection.hints.get("telemetry.enabled") and self._connection.supports(Message.TELEMETRY):
            self._submit(_Report(heard, lambda connection: connection.send_telemetry(api)))

    # ---------------------------------------------------------------- the end

    def _lost(self, error: BaseException) -> None:
        super()._lost(error)
        if self.counted:
            self.pool.lost(self)

    def _break(self, error: BaseException) -> None:
        super()._break(error)
        if self.counted:
            # The server is silent: others are asked from now on.
            self.pool.unreachable(self.address, error)

    def report_end(self) -> None:
        """Tell those who listen that the connection is gone."""
        functions = self.pool.listeners.connection_closed
        if functions:
            error = self._connection.error
            seconds = clock.monotonic() - self.created
            tell(functions, ConnectionClosed(self.address, self.server.connection_id, error, seconds))

    def kill(self) -> None:
        """Cut it at once."""
        if self.pool.closed:
            self._abort(ServiceUnavailable("the driver was closed"))
        else:
            self.abort()

    def connection_closed(self) -> None:
        """Called by the protocol: the transport is gone."""
        super().connection_closed()
        self.pool.gone(self)
