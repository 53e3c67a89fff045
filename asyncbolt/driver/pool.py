"""The connections of a driver on one event loop: given out first come, first served."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .._hints import reason
from ..aio._clock import CLOSE_TIMEOUT, GRACE, Deadline, TimeoutExpired
from ..client.connect import Opener, VersionMemory
from ..exceptions import (
    BoltError,
    ConfigurationError,
    ConnectionAcquisitionTimeoutError,
    ConnectionPoolError,
    DatabaseUnavailable,
    ForbiddenOnReadOnlyDatabase,
    HandshakeError,
    LocalProtocolError,
    Neo4jError,
    NotALeader,
    RemoteProtocolError,
    ServiceUnavailable,
    UnsupportedServerProduct,
)
from ..protocol import HandshakeReason
from . import clock
from .addressing import Address, UnixAddress
from .auth import auth_map, token_at_hand
from .connection import Connection
from .homes import HomeDatabases
from .listeners import ConnectionAcquired, ConnectionOpened, Listeners, tell
from .supplied import supplied
from .tls import TlsContexts

if TYPE_CHECKING:
    from .config import PoolConfig

__all__ = ["Acquisition", "AddressStats", "DirectPool", "Pool", "PoolStats", "Shared"]

logger = logging.getLogger("asyncbolt.driver")

# Seconds in which an idle connection must answer whether it still works.
_CHECK_SECONDS: Final = 5.0
# A connection that is silent while it is being cleaned is given up after so many seconds when others wait for
# its place; otherwise when its own limits are over.
_IMPATIENCE: Final = 1.0

# Handshakes that fail so may succeed the next time.
_PASSING: Final = (HandshakeReason.CLOSED_BEFORE_REPLY, HandshakeReason.INCOMPLETE)

_AUTHORIZATION_EXPIRED: Final = "Neo.ClientError.Security.AuthorizationExpired"
_SECURITY: Final = "Neo.ClientError.Security."


@dataclass(frozen=True, slots=True)
class AddressStats:
    """Connections to one address: ``in_use``, ``idle``, ``opening``; and tasks ``waiting`` for one."""

    in_use: int
    idle: int
    opening: int
    waiting: int


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The state of a pool, and what it has done since it was made.

    Attributes:
        addresses: the state by address.
        opened: connections opened.
        closed: connections closed or lost.
        acquired: how often one was given out.
        timed_out: how often none became free in time.
    """

    addresses: Mapping[Address, AddressStats]
    opened: int
    closed: int
    acquired: int
    timed_out: int

    @property
    def in_use(self) -> int:
        """Connections that sessions hold."""
        return sum(stats.in_use for stats in self.addresses.values())

    @property
    def idle(self) -> int:
        """Connections that wait for a session."""
        return sum(stats.idle for stats in self.addresses.values())

    @property
    def opening(self) -> int:
        """Connections that are being made."""
        return sum(stats.opening for stats in self.addresses.values())

    @property
    def waiting(self) -> int:
        """Tasks that wait for a connection."""
        return sum(stats.waiting for stats in self.addresses.values())


class Acquisition:
    """What a session wants of a connection.

    Attributes:
        mode: "r" or "w".
        timeout: seconds in which a connection must be there.
        auth: the session's own credentials (a manager), None: the driver's.
        force_auth: log in again even if the credentials are the same.
        liveness: seconds of idleness after which a connection is checked; None: as the driver says.
        unprepared: the connection is not for statements: credentials do not matter.
        resolved: the user's resolver has seen the address already.
    """

    __slots__ = ("_deadline", "auth", "force_auth", "liveness", "mode", "resolved", "timeout", "unprepared")

    def __init__(
        self,
        mode: str,
        timeout: float,
        auth: Any = None,
        *,
        force_auth: bool = False,
        liveness: float | None = None,
        unprepared: bool = False,
        resolved: bool = False,
        deadline: Deadline | None = None,
    ) -> None:
        self.mode = mode
        self.timeout = timeout
        self.auth = auth
        self.force_auth = force_auth
        self.liveness = liveness
        self.unprepared = unprepared
        self.resolved = resolved
        self._deadline = deadline

    def deadline(self, loop: asyncio.AbstractEventLoop) -> Deadline:
        """Return when the connection must be there: one point in time for all that it takes.

        It is *timeout* from when it is first asked for, which is before anything is waited for.
        """
        deadline = self._deadline
        if deadline is None:
            deadline = self._deadline = Deadline(loop, self.timeout)
        return deadline

    def anew(self) -> None:
        """Begin the time anew: a routing table was asked for before, which has a limit of its own."""
        self._deadline = None


class Shared:
    """What the pools of a driver have in common, one for each event loop."""

    __slots__ = ("config", "homes", "keep", "listeners", "tls", "versions")

    def __init__(self, config: PoolConfig, keep: weakref.WeakMethod[Callable[[Pool], None]]) -> None:
        self.config = config
        self.keep = keep  # for a pool that has got a connection: it is to be closed with the driver
        self.listeners = Listeners()
        self.homes = HomeDatabases()
        self.tls = TlsContexts(config)
        self.versions = VersionMemory()


class _Host:
    """The connections to one address."""

    __slots__ = ("address", "connections", "idle", "opening", "waiters")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.connections: set[Connection] = set()
        self.idle: deque[Connection] = deque()  # the one used last at the end
        self.opening = 0
        self.waiters: deque[asyncio.Future[Connection | None]] = deque()

    @property
    def size(self) -> int:
        return len(self.connections) + self.opening

    @property
    def in_use(self) -> int:
        return len(self.connections) - len(self.idle)

    @property
    def empty(self) -> bool:
        return not (self.connections or self.opening or self.waiters)


class Pool:
    """Connections by address. Subclasses know which address a session needs."""

    routed = False
    routing_context: Mapping[str, str] | None = None

    def __init__(self, shared: Shared, address: Address) -> None:
        self.address = address
        self.config = shared.config
        self.listeners = shared.listeners
        self.homes = shared.homes
        self._tls = shared.tls
        self._memory = shared.versions
        self.loop = asyncio.get_running_loop()
        self.closed = False
        self._hosts: dict[Address, _Host] = {}
        self._keep = shared.keep
        self._openings: set[asyncio.Task[Connection]] = set()
        self._background: set[asyncio.Task[Any]] = set()
        self._living: set[Connection] = set()  # those whose transport is open, in the pool or closing
        self._gone: asyncio.Future[None] | None = None  # somebody waits until one of them is gone
        self._opened = self._closed_count = self._acquired = self._timed_out = 0
        # Of the connections that there are, how many route by themselves, and how many do not.
        self._self_routing = self._not_self_routing = 0
        self._closing_seconds = CLOSE_TIMEOUT
        self._life: AsyncGenerator[None, None] | None = self._until_loop_ends()
        hooks = sys.get_asyncgen_hooks()
        # The loop is to know of it; but when the pool is dropped, in whatever thread, nothing is to be done.
        sys.set_asyncgen_hooks(finalizer=_do_nothing)
        try:
            self._life.__anext__().send(None)
        except StopIteration:
            pass
        finally:
            sys.set_asyncgen_hooks(*hooks)

    async def _until_loop_ends(self) -> AsyncGenerator[None, None]:
        # asyncio.run() and its like close the asynchronous generators of their loop before they close that:
        # the connections are closed with it, and not left to the garbage collector.
        try:
            yield
        finally:
            await self._shut()

    def stats(self) -> PoolStats:
        """Return how things are."""
        return PoolStats(
            {
                host.address: AddressStats(
                    host.in_use,
                    len(host.idle),
                    host.opening,
                    sum(not waiter.done() for waiter in host.waiters),
                )
                for host in self._hosts.values()
            },
            self._opened,
            self._closed_count,
            self._acquired,
            self._timed_out,
        )

    @property
    def routes_itself(self) -> bool:
        """Whether every connection's server sends statements on to where they belong (Bolt 5.8)."""
        return self._self_routing > 0 and not self._not_self_routing

    @property
    def unused(self) -> bool:
        """Whether nobody has a connection, or waits for one."""
        return not any(host.in_use or host.opening or host.waiters for host in list(self._hosts.values()))

    def in_use(self, address: Address) -> int:
        """Return how many connections to *address* are in use or being made."""
        host = self._hosts.get(address)
        return 0 if host is None else host.in_use + host.opening

    # ---------------------------------------------------------------- acquiring

    def acquire(
        self, want: Acquisition, database: str | None, *, guessed: bool = False, session: Any = None
    ) -> Coroutine[Any, Any, Connection]:
        """Return a connection for statements on *database*, to be awaited.

        Args:
            want: what the session wants.
            database: its database; None: the server decides.
            guessed: *database* is what the user's home database was the last time.
            session: the session, which may be told another database by ``_database_resolved``, and is
                asked for its bookmarks when a routing table is needed.

        Raises:
            ConnectionAcquisitionTimeoutError: none became free in time.
            ServiceUnavailable, SessionExpired, Neo4jError, ConfigurationError: a new one could not be made.
        """
        raise NotImplementedError

    async def refresh(
        self, want: Acquisition, database: str | None, *, guessed: bool = False, session: Any = None
    ) -> str | None:
        """See to it that the way to *database* is known; return its name. Arguments as :meth:`acquire`."""
        return database

    def unreachable(self, address: Address, reason: BaseException | None = None) -> None:
        """A server could not be reached, or a connection to it broke: close what is idle there."""
        host = self._hosts.get(address)
        if host is None:
            return
        idle = list(host.idle)
        host.idle.clear()
        for connection in idle:
            self._retire(connection)

    async def write_failure(self, address: Address, database: str | None) -> None:
        """A server that should take writes took none."""

    async def failure(self, connection: Connection, error: Neo4jError) -> None:
        """Draw the consequences of what a server said."""
        if isinstance(error, DatabaseUnavailable):
            self.unreachable(connection.address, error)
        elif isinstance(error, (NotALeader, ForbiddenOnReadOnlyDatabase)):
            await self.write_failure(connection.address, connection.database)
        else:
            code = error.code
            if code.startswith(_SECURITY):
                if code == _AUTHORIZATION_EXPIRED:
                    self._forget_logins(connection.address)
                handled = connection.auth_manager.handle_security_exception(connection.auth, error)
                deadline = Deadline(self.loop, connection.patience)
                try:
                    handled = await supplied(handled, deadline, "handle_security_exception()")
                except ConnectionAcquisitionTimeoutError as late:
                    logger.error("an auth manager is not waited for any longer: %s", late)
                    handled = False
                if handled:
                    error._retryable = True

    def _forget_logins(self, address: Address) -> None:
        """Log in again on every connection to *address* before it is used the next time."""
        host = self._hosts.get(address)
        if host is not None:
            for connection in host.connections:
                connection.auth_map = {}
                if not connection.relogin:
                    connection.stale = True

    async def acquire_from(self, address: Address, want: Acquisition, parts: int = 1) -> Connection:
        """Return a connection to *address*. As :meth:`acquire`.

        Connecting has the first of so many *parts* of the time: the others are for other servers.
        """
        listening = self.listeners.connection_acquired
        began = clock.monotonic() if listening else 0.0
        while True:
            self._check_open()
            host = self._hosts.get(address)
            if host is None:
                host = self._hosts[address] = _Host(address)
            # Those who wait come first.
            if host.idle and not host.waiters:
                connection = host.idle.pop()
                connection.in_use = True
            else:
                granted = await self._granted(host, want.deadline(self.loop))
                if granted is None:
                    connection = await self._open(host, want, parts)
                    break
                connection = granted
            if await self._prepare(connection, want):
                break
            # Its place is ours, or whoever came later would be served first.
            host.opening += 1
            self._retire(connection)
            if host.idle or self.closed:
                host.opening -= 1
                self._vacant(host)
                continue
            connection = await self._open(host, want, parts)
            break
        self._acquired += 1
        connection.patience = want.timeout
        if listening:
            event = ConnectionAcquired(
                address, connection.server.connection_id, clock.monotonic() - began
            )
            tell(listening, event)
        return connection

    async def _granted(self, host: _Host, deadline: Deadline) -> Connection | None:
        """Wait for a connection, or for a place for a new one (None), which is counted already."""
        if not host.waiters and host.size < self.config.max_connection_pool_size:
            host.opening += 1
            return None
        waiter: asyncio.Future[Connection | None] = self.loop.create_future()
        host.waiters.append(waiter)
        timer = None
        remaining = deadline.remaining()
        if remaining is not None:
            timer = self.loop.call_later(remaining, _time_out, waiter, host, deadline)
        try:
            return await waiter
        except ConnectionAcquisitionTimeoutError:
            self._timed_out += 1
            raise
        except BaseException:
            # Cancelled in the very moment in which something was granted: it goes to the next.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                granted = waiter.result()
                if granted is None:
                    host.opening -= 1
                    self._vacant(host)
                else:
                    self.release(granted)
            raise
        finally:
            if timer is not None:
                timer.cancel()
            _drop_done(host.waiters)
            self._forget(host)

    async def _prepare(self, connection: Connection, want: Acquisition) -> bool:
        """Make an idle connection fit for a session; return False when it is not."""
        config = self.config
        try:
            now = clock.monotonic()
            lifetime = config.max_connection_lifetime
            good = connection.usable and not 0 <= lifetime <= now - connection.created
            if good:
                liveness = want.liveness if want.liveness is not None else config.liveness_check_timeout
                if liveness is not None and now - connection.idle_since > liveness:
                    # Half of the time is for a new one.
                    limit = want.deadline(self.loop).part(2).within(_CHECK_SECONDS)
                    good = await connection.check(limit)
                    if not good:
                        self._distrust(connection.address, now - liveness)
            if good and (want.force_auth or not want.unprepared):
                manager = want.auth or config.auth
                at_hand, auth = token_at_hand(manager)
                if not at_hand:
                    auth = await supplied(manager.get_auth(), want.deadline(self.loop), "get_auth()")
                same = auth is connection.auth and manager is connection.auth_manager and connection.auth_map
                if not same or want.force_auth:
                    good = await self._log_in_again(connection, want, manager, auth)
        except BaseException:
            # Nothing is wrong with the connection itself.
            self.release(connection)
            raise
        return good

    def _distrust(self, address: Address, since: float) -> None:
        """A connection was idle for long and does not work: others that were are dropped unasked."""
        host = self._hosts.get(address)
        if host is not None:
            for connection in [one for one in host.idle if one.idle_since < since]:
                connection.kill()
                self._retire(connection)

    async def _log_in_again(
        self, connection: Connection, want: Acquisition, manager: Any, auth: Any
    ) -> bool:
        token = auth_map(auth)
        if want.auth is not None and not connection.relogin:
            raise _no_relogin(connection)
        if token == connection.auth_map and not want.force_auth:
            connection.auth, connection.auth_manager = auth, manager
            return True
        if not connection.relogin:
            return False  # a new connection has the new credentials
        job = connection.log_in_again(manager, auth, token)
        if want.force_auth:
            deadline = want.deadline(self.loop)
            try:
                await connection.answer(job, deadline)
            except TimeoutExpired as error:
                # There is no telling who is logged in now.
                connection.kill()
                self._timed_out += 1
                raise ConnectionAcquisitionTimeoutError(
                    f"{connection.address} did not answer the login within {deadline}"
                ) from error
            except BoltError as error:
                raise await connection.failed(error) from error.__cause__
        return True

    # ---------------------------------------------------------------- opening

    async def _open(self, host: _Host, want: Acquisition, parts: int) -> Connection:
        """Open a connection in a place that is counted already."""
        task = self.loop.create_task(self._connect(host.address, want, parts))
        self._openings.add(task)
        try:
            await asyncio.wait((task,))
            if task.cancelled():
                raise ConnectionPoolError(
                    "the driver is closed"
                    if self.closed
                    else f"connecting to {host.address} was cancelled by a function that it called"
                )
            connection = task.result()
        except BaseException as error:
            host.opening -= 1
            self._vacant(host)
            if isinstance(error, (ServiceUnavailable, ConnectionAcquisitionTimeoutError)):
                # Silence is a reason to ask somebody else the next time.
                self.unreachable(host.address, error)
            if not task.done():
                task.cancel()
                self._background.add(task)
                task.add_done_callback(self._opened_in_vain)
                # It ends at once, and before this does: the loop may be about to end too.
                await asyncio.wait((task,), timeout=GRACE)
            elif not task.cancelled() and task.exception() is None:
                task.result().kill()
            raise
        finally:
            self._openings.discard(task)
        host.opening -= 1
        if self.closed:
            connection.kill()
            raise ConnectionPoolError("the driver is closed")
        connection.counted = True
        self._living.add(connection)
        host.connections.add(connection)
        keep = self._keep()
        if keep is not None:
            keep(self)
        self._opened += 1
        if connection.routes_itself:
            self._self_routing += 1
        else:
            self._not_self_routing += 1
        if want.auth is not None and not connection.relogin:
            self.release(connection)
            raise _no_relogin(connection)
        return connection

    def _opened_in_vain(self, task: asyncio.Task[Connection]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is None:
            task.result().kill()

    async def _connect(self, address: Address, want: Acquisition, parts: int) -> Connection:
        """Connect to one of the addresses that *address* stands for."""
        failure: ServiceUnavailable | None = None
        deadline = want.deadline(self.loop)
        endpoints = [address] if want.resolved else await self._resolve(address, deadline)
        for left, endpoint in zip(range(len(endpoints), 0, -1), endpoints, strict=True):
            try:
                manager = want.auth or self.config.auth
                return await self._connect_to(endpoint, address, manager, deadline, left + parts - 1)
            except ServiceUnavailable as error:
                failure = error
        if failure is None:
            raise ServiceUnavailable(f"resolver= gave no address for {address}")
        raise failure

    async def _resolve(self, address: Address, deadline: Deadline) -> list[Address]:
        """Return what the user's resolver makes of *address*."""
        resolver = self.config.resolver
        if resolver is None:
            return [address]
        addresses = await supplied(resolver(address), deadline, "resolver=")
        try:
            return [Address(one) for one in addresses]
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"resolver= returns a list of (host, port) pairs, which {addresses!r} is not"
            ) from error

    async def _connect_to(
        self, endpoint: Address, address: Address, manager: Any, deadline: Deadline, parts: int
    ) -> Connection:
        config = self.config
        began = clock.monotonic()
        context = await self._tls.context(deadline)
        at_hand, auth = token_at_hand(manager)
        if not at_hand:
            auth = await supplied(manager.get_auth(), deadline, "get_auth()")
        where: dict[str, Any]
        if isinstance(endpoint, UnixAddress):
            where = {"unix": endpoint.host}
        else:
            where = {"host": endpoint.host, "port": endpoint.port_number}
        opener = Opener(
            **where,
            auth=auth_map(auth),
            user_agent=config.user_agent,
            ssl=context,
            connect_timeout=config.connection_timeout,
            write_timeout=config.connection_write_timeout,
            keep_alive=config.keep_alive,
            extended_types=True,
            routing=self.routing_context,
            notifications_minimum_severity=config.notifications_min_severity,
            notifications_disabled=config.notifications_disabled_classifications,
            versions=config.versions,
            oldest=False,
            memory=self._memory,
        )
        connection = Connection(opener, self, address, manager, auth)
        connection.patience = math.inf if deadline.timeout is None else deadline.timeout
        remaining = deadline.part(parts).remaining()
        try:
            await opener.connect(connection, math.inf if remaining is None else remaining)
        except TimeoutExpired as error:
            if deadline.over:
                self._timed_out += 1
                late = _timed_out(address, deadline)
                late._retryable = True  # the silent server is not asked first the next time
                raise late from error
            raise ServiceUnavailable(str(error)) from error
        except RemoteProtocolError as error:
            raise ServiceUnavailable(str(error)) from error
        except HandshakeError as error:
            failure = ServiceUnavailable(str(error))
            # What does not speak Bolt, or none of its versions, will not when it is asked again.
            failure._retryable = error.reason in _PASSING
            raise failure from error
        except Neo4jError as error:
            await self.failure(connection, error)
            raise
        except LocalProtocolError as error:
            raise ConfigurationError(f"{address}: {reason(error)}") from error
        connection.greeted()
        products = config.server_products
        if products is not None:
            product = connection.server.agent.partition("/")[0]
            if product not in products:
                connection.kill()
                raise UnsupportedServerProduct(
                    f"{address} is {connection.server.agent!r}, and only {', '.join(products)} is accepted"
                )
        functions = self.listeners.connection_opened
        if functions:
            event = ConnectionOpened(
                address, connection.server.connection_id, connection.version, clock.monotonic() - began
            )
            tell(functions, event)
        return connection

    # ---------------------------------------------------------------- releasing

    def release(self, connection: Connection) -> None:
        """Take *connection* back. What is under way on it is given up, in the background."""
        if not connection.counted:
            return
        if connection.usable and not self.closed:
            if connection.clean:
                self._put_back(connection)
            else:
                self._clean(connection)
            return
        self._retire(connection)

    def _put_back(self, connection: Connection) -> None:
        host = self._hosts[connection.address]
        while host.waiters:
            waiter = host.waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.in_use = False
        connection.idle_since = clock.monotonic()
        host.idle.append(connection)

    def _clean(self, connection: Connection) -> None:
        """Take the connection back when nothing is under way any more.

        What was given up there is timed by the connection itself; a silent one is not waited for so long when
        others wait for its place. No task does it, which a loop that ends would leave behind.
        """
        connection.when_settled(lambda: self._cleaned(connection))
        self._look_later(connection)

    def _cleaned(self, connection: Connection) -> None:
        if not connection.counted:
            return
        if connection.usable and not self.closed:
            if connection.clean:
                self._put_back(connection)
            else:
                self._clean(connection)
        else:
            self._retire(connection)

    def _look_later(self, connection: Connection) -> None:
        self.loop.call_later(_IMPATIENCE, self._look_at, connection, connection.bytes_received)

    def _look_at(self, connection: Connection, received: int) -> None:
        """See how cleaning gets on."""
        if connection.clean or connection.lost or not connection.counted:
            return
        if connection.bytes_received == received and self._wanted(connection.address):
            connection.kill()
        else:
            self._look_later(connection)

    def _wanted(self, address: Address) -> bool:
        """Whether somebody waits for a connection to *address*."""
        host = self._hosts.get(address)
        return host is not None and any(not waiter.done() for waiter in host.waiters)

    def _retire(self, connection: Connection) -> None:
        """Close a connection that is no longer counted, in the background."""
        if not connection.counted:
            return
        self._uncount(connection)
        if connection.lost or not connection.clean:
            connection.kill()
        else:
            connection.finish(CLOSE_TIMEOUT)

    def _uncount(self, connection: Connection) -> None:
        connection.counted = False
        host = self._hosts[connection.address]
        host.connections.discard(connection)
        try:
            host.idle.remove(connection)
        except ValueError:
            pass
        if connection.routes_itself:
            self._self_routing -= 1
        else:
            self._not_self_routing -= 1
        self._closed_count += 1
        connection.report_end()
        self._vacant(host)

    def lost(self, connection: Connection) -> None:
        """Called by a connection: it is down. One that a session holds is counted until it is released."""
        if not connection.in_use:
            self._uncount(connection)

    def _vacant(self, host: _Host) -> None:
        """There may be a place: whoever waits longest may open a connection in it."""
        while host.waiters and not self.closed and host.size < self.config.max_connection_pool_size:
            waiter = host.waiters.popleft()
            if not waiter.done():
                host.opening += 1
                waiter.set_result(None)
        self._forget(host)

    def _forget(self, host: _Host) -> None:
        if host.empty and self._hosts.get(host.address) is host:
            del self._hosts[host.address]

    # ---------------------------------------------------------------- the end

    def _check_open(self) -> None:
        if self.closed:
            raise ConnectionPoolError("the driver is closed")

    async def close(self, seconds: float = CLOSE_TIMEOUT) -> None:
        """Close every connection within *seconds*. Those in use are cut; those that are idle say GOODBYE.

        Whoever waits for a connection gets an error, also while one is being made.
        """
        self._closing_seconds = seconds
        life, self._life = self._life, None
        if life is not None:
            await life.aclose()  # calls _shut()

    async def _shut(self) -> None:
        seconds = self._closing_seconds
        self.shut(seconds)
        deadline = Deadline(self.loop, seconds)
        try:
            while self._living and not deadline.over:
                gone = self._gone = self.loop.create_future()
                await asyncio.wait((gone,), timeout=deadline.remaining())
        finally:
            for connection in tuple(self._living):
                connection.kill()
        if self._background:
            # Nothing of it has to wait for a peer any more.
            await asyncio.wait(tuple(self._background), timeout=_IMPATIENCE)

    def shut(self, seconds: float) -> None:
        """Close every connection, without waiting for it; they are cut after *seconds*."""
        self.closed = True
        for task in self._openings:
            task.cancel()
        for host in list(self._hosts.values()):
            while host.waiters:
                waiter = host.waiters.popleft()
                if not waiter.done():
                    waiter.set_exception(ConnectionPoolError("the driver is closed"))
            for connection in list(host.connections):
                self._uncount(connection)
                if connection.lost or not connection.clean:
                    connection.kill()
                else:
                    connection.finish(seconds)

    @property
    def living(self) -> bool:
        """Whether connections are open, also such as are being closed."""
        return bool(self._living)

    def gone(self, connection: Connection) -> None:
        """Called by a connection: its transport is closed."""
        self._living.discard(connection)
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def abandon(self, *, shut: bool) -> None:
        """Let go of every connection without its event loop, which is closed, stopped or another process's.

        With *shut* the server is told; without, the connection may still be in use elsewhere.
        """
        self._life = None
        self._hosts = {}
        living, self._living = self._living, set()
        for connection in tuple(living):
            connection.counted = False
            if shut:
                connection.forsake()


class DirectPool(Pool):
    """Connections to one server."""

    def acquire(
        self, want: Acquisition, database: str | None, *, guessed: bool = False, session: Any = None
    ) -> Coroutine[Any, Any, Connection]:
        return self.acquire_from(self.address, want)

    async def write_failure(self, address: Address, database: str | None) -> None:
        logger.warning("%s takes no writes", address)


def _do_nothing(generator: AsyncGenerator[Any, Any]) -> None:
    pass


def _drop_done(waiters: deque[asyncio.Future[Connection | None]]) -> None:
    while waiters and waiters[0].done():
        waiters.popleft()


def _time_out(waiter: asyncio.Future[Any], host: _Host, deadline: Deadline) -> None:
    if not waiter.done():
        waiter.set_exception(_timed_out(host.address, deadline))


def _timed_out(address: Address, deadline: Deadline) -> ConnectionAcquisitionTimeoutError:
    return ConnectionAcquisitionTimeoutError(f"no connection to {address} within {deadline}")


def _no_relogin(connection: Connection) -> ConfigurationError:
    major, minor = connection.version
    return ConfigurationError(
        f"user switching is not supported for Bolt protocol version({major}, {minor}), which"
        f" {connection.address} speaks: a session has no auth of its own there"
    )
