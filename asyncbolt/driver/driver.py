"""Drivers: where programs get their sessions from."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from .._hints import AsyncContext, keywords_only, unknown_arguments
from ..aio._clock import CLOSE_TIMEOUT, Deadline
from ..exceptions import ConfigurationError, DriverError, Neo4jError
from .addressing import Address
from .auth import AsyncAuthManagers
from .bookmarks import AsyncBookmarkManager, BookmarkManager, Bookmarks, BookmarkStore
from .config import PoolConfig, SessionConfig, check_name, driver_configs, with_notification_filters
from .constants import SYSTEM_DATABASE
from .eager import EagerResult
from .listeners import DriverListener
from .notifications import RoutingControl, TelemetryAPI
from .pages import Pages
from .pool import DirectPool, Pool, PoolStats, Shared
from .query import Query, check_query, merged, unit_of_work
from .result import AsyncResult
from .routing import RoutedPool
from .server_info import ServerInfo
from .session import AsyncSession
from .transaction import AsyncManagedTransaction
from .uri import Target, parse_target

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Unpack

    from .config import DriverOptions, SessionOptions

__all__ = ["AsyncBoltDriver", "AsyncDriver", "AsyncGraphDatabase", "AsyncNeo4jDriver"]

_T = TypeVar("_T")

_DEFAULT: Final[Any] = object()

# How often other event loops are looked at, whether they have closed their connections.
_ELSEWHERE_SECONDS: Final = 0.01

# What a server says of credentials that are not good.
_REFUSALS: Final = frozenset(
    (
        "Neo.ClientError.Security.CredentialsExpired",
        "Neo.ClientError.Security.Forbidden",
        "Neo.ClientError.Security.TokenExpired",
        "Neo.ClientError.Security.Unauthorized",
    )
)


class AsyncGraphDatabase:
    """Where drivers come from."""

    @staticmethod
    @keywords_only(1, "driver(uri, auth=(user, password), ...)")
    def driver(uri: str, *, auth: Any = None, **options: Unpack[DriverOptions]) -> AsyncDriver:
        """Return a driver. Nothing is connected yet: :meth:`AsyncDriver.verify_connectivity` does.

        Args:
            uri: ``bolt://host[:port]`` for one server, ``neo4j://host[:port][?key=value]`` for a cluster or
                any server that knows routing; each with ``+s`` (TLS, certificate checked) or ``+ssc`` (TLS
                with any certificate); ``bolt+unix:///path``.
            auth: a (user, password) pair, a token such as :func:`basic_auth` gives, an auth manager, or None.
            options: see :class:`DriverOptions`.

        Raises:
            ConfigurationError: the URI, or an option, makes no sense.
        """
        target = parse_target(uri)
        pool, session = driver_configs(target, auth, options)
        kind = AsyncNeo4jDriver if target.routing else AsyncBoltDriver
        return kind(target, pool, session)

    @staticmethod
    def bookmark_manager(
        initial_bookmarks: Bookmarks | Iterable[str] | None = None,
        bookmarks_supplier: Callable[[], Any] | None = None,
        bookmarks_consumer: Callable[[Bookmarks], Any] | None = None,
    ) -> AsyncBookmarkManager:
        """Return a bookmark manager: sessions that share it see each other's writes.

        Args:
            initial_bookmarks: what must be seen from the start.
            bookmarks_supplier: called, or awaited, for further bookmarks each time they are needed.
            bookmarks_consumer: called, or awaited, with all bookmarks each time they have changed.
        """
        return BookmarkStore(initial_bookmarks, bookmarks_supplier, bookmarks_consumer)


class AsyncDriver(AsyncContext):
    """A pool of connections, and the sessions that use it. Made by :meth:`AsyncGraphDatabase.driver`.

    It may be used by any number of tasks, from several event loops (each has connections of its own), and
    again after :func:`asyncio.run` has returned. A forked process starts with no connections.
    """

    def __init__(self, target: Target, pool: PoolConfig, session: SessionConfig) -> None:
        self._target = target
        self._session_config = session
        self._shared = Shared(pool, weakref.WeakMethod(self._keep))
        self._query_bookmark_manager = AsyncGraphDatabase.bookmark_manager()
        # Threads share what follows, under the lock; but the latest is looked at without.
        self._lock = threading.Lock()
        self._pools: dict[asyncio.AbstractEventLoop, Pool] = {}
        self._kept: set[Pool] = set()  # those that have, or had, connections
        self._latest: Pool | None = None
        self._closed = False
        _drivers.add(self)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{type(self).__name__} {self._target.scheme}://{self._target.address} {state}>"

    # ---------------------------------------------------------------- open and closed

    async def __aenter__(self) -> AsyncDriver:
        self._check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Who cancels waits for nothing more.
        cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        await self._close(0.0 if cancelled else CLOSE_TIMEOUT)

    def __del__(self) -> None:
        pools = getattr(self, "_pools", None)
        if pools and not self._closed and not sys.is_finalizing():
            warnings.warn(f"{self!r} was dropped without close()", ResourceWarning, stacklevel=2, source=self)
            for loop, pool in pools.items():
                try:
                    loop.call_soon_threadsafe(pool.shut, CLOSE_TIMEOUT)
                except RuntimeError:
                    pool.abandon(shut=True)  # the loop is closed

    async def close(self) -> None:
        """Close every connection, also those of other event loops. Sessions that are in use fail.

        Takes 5 seconds at most. What is left then is cut.
        """
        await self._close(CLOSE_TIMEOUT)

    async def _close(self, seconds: float) -> None:
        with self._lock:
            self._closed = True
            pools = {*self._pools.values(), *self._kept}
            self._pools, self._kept = {}, set()
            self._latest = None
        here = asyncio.get_running_loop()
        elsewhere: list[Pool] = []
        mine: list[Pool] = []
        for pool in pools:
            loop = pool.loop
            if loop is here:
                mine.append(pool)
                continue
            try:
                if loop.is_running():
                    # No task: the loop may be about to end, and would leave it unfinished.
                    loop.call_soon_threadsafe(pool.shut, seconds)
                    elsewhere.append(pool)
                    continue
            except RuntimeError:
                pass  # it was closed meanwhile
            pool.abandon(shut=True)
        deadline = Deadline(here, seconds)
        try:
            for pool in mine:
                await pool.close(seconds)
            # A loop may be busy, or end before it comes to it, which nobody would be told.
            while not deadline.over and any(map(_is_closing, elsewhere)):  # noqa: ASYNC110
                await asyncio.sleep(_ELSEWHERE_SECONDS)
        finally:
            for pool in elsewhere:
                if pool.living:
                    pool.abandon(shut=True)

    def _check_open(self) -> None:
        if self._closed:
            raise DriverError("the driver is closed")

    def _pool(self) -> Pool:
        """Return the pool of the running event loop."""
        loop = asyncio.get_running_loop()
        pool = self._latest
        if pool is not None and pool.loop is loop and not pool.closed:
            return pool
        with self._lock:
            self._check_open()
            pool = self._pools.get(loop)
            if pool is None or pool.closed:
                self._drop_ended()
                pool = self._pools[loop] = self._new_pool()
            self._latest = pool
        return pool

    def _keep(self, pool: Pool) -> None:
        """Called by a pool that has got a connection, in the thread of its event loop."""
        if pool not in self._kept:
            with self._lock:
                if not self._closed:
                    self._kept.add(pool)
                    return
            pool.abandon(shut=True)

    def _drop_ended(self) -> None:
        """Let go of pools whose event loops have ended.

        A loop that is stopped may go on later: what is in use there stays, and a connection that was idle is
        made anew.
        """
        for loop, pool in list(self._pools.items()):
            if loop.is_closed() or (not loop.is_running() and pool.unused):
                del self._pools[loop]
                self._kept.discard(pool)
                pool.abandon(shut=True)

    def _new_pool(self) -> Pool:
        raise NotImplementedError

    def _forked(self) -> None:
        """Called in a forked child: the connections are the parent's."""
        self._lock = threading.Lock()  # it may have been held by a thread that is not here
        for pool in {*self._pools.values(), *self._kept}:
            pool.abandon(shut=False)
        self._pools, self._kept = {}, set()
        self._latest = None

    # ---------------------------------------------------------------- what is known

    @property
    def encrypted(self) -> bool:
        """Whether connections are encrypted."""
        config = self._shared.config
        return bool(config.encrypted or config.ssl_context)

    def pool_stats(self) -> PoolStats:
        """Return how many connections there are on this event loop, by address, and what they do."""
        return self._pool().stats()

    def add_listener(self, listener: DriverListener | Any) -> None:
        """Tell *listener* of connections and queries from now on: see :class:`DriverListener`.

        Raises:
            TypeError: it has none of the methods.
        """
        self._shared.listeners.add(listener)

    def remove_listener(self, listener: DriverListener | Any) -> None:
        """Tell *listener* no more. Raises ValueError when it was not added."""
        self._shared.listeners.remove(listener)

    # ---------------------------------------------------------------- sessions

    @keywords_only(1, "session(database='neo4j', ...)")
    def session(self, **options: Unpack[SessionOptions]) -> AsyncSession:
        """Return a session, to be used with ``async with``.

        Args:
            options: see :class:`SessionOptions`. Those that the driver has too win over the driver's.

        Raises:
            ConfigurationError: an option does not exist, or makes no sense.
        """
        self._check_open()
        return AsyncSession(self._pool, self._configured(options))

    def _configured(self, options: Mapping[str, Any]) -> SessionConfig:
        if not options:
            return self._session_config.but(options)
        given = with_notification_filters(options)
        auth = given.get("auth")
        if auth is not None:
            given["auth"] = AsyncAuthManagers.of(auth)
        return self._session_config.but(given)

    @property
    def execute_query_bookmark_manager(self) -> AsyncBookmarkManager:
        """The bookmark manager of :meth:`execute_query`, which sessions may share."""
        return self._query_bookmark_manager

    @overload
    async def execute_query(
        self,
        query_: str | Query,
        parameters_: Mapping[str, Any] | None = None,
        routing_: RoutingControl | str = RoutingControl.WRITE,
        database_: str | None = None,
        impersonated_user_: str | None = None,
        bookmark_manager_: AsyncBookmarkManager | BookmarkManager | None = ...,
        auth_: Any = None,
        *,
        result_transformer_: Callable[[AsyncResult], Awaitable[_T]],
        **kwargs: Any,
    ) -> _T: ...
    @overload
    async def execute_query(
        self,
        query_: str | Query,
        parameters_: Mapping[str, Any] | None = None,
        routing_: RoutingControl | str = RoutingControl.WRITE,
        database_: str | None = None,
        impersonated_user_: str | None = None,
        bookmark_manager_: AsyncBookmarkManager | BookmarkManager | None = ...,
        auth_: Any = None,
        **kwargs: Any,
    ) -> EagerResult: ...
    async def execute_query(
        self,
        query_: str | Query,
        parameters_: Mapping[str, Any] | None = None,
        routing_: RoutingControl | str = RoutingControl.WRITE,
        database_: str | None = None,
        impersonated_user_: str | None = None,
        bookmark_manager_: AsyncBookmarkManager | BookmarkManager | None = _DEFAULT,
        auth_: Any = None,
        result_transformer_: Callable[[AsyncResult], Awaitable[Any]] = AsyncResult.to_eager_result,
        **kwargs: Any,
    ) -> Any:
        """Run one query in a transaction of its own, which is tried again when that may help.

        Args:
            query_: Cypher, or whatever the server speaks; a :class:`Query` adds a timeout and metadata.
            parameters_: its parameters.
            routing_: ``"w"`` or ``"r"``: whether it needs a server that takes writes.
            database_: the database; None: the user's home database.
            impersonated_user_: run it as this user.
            bookmark_manager_: the bookmarks that it must see, and adds to; None: none. By default all calls
                of this driver see each other's writes.
            auth_: credentials for this query alone (Bolt 5.1+).
            result_transformer_: awaited with the result; what it returns is returned.
            kwargs: further parameters by keyword; they win. None may end in a single underscore.

        Raises: as :meth:`AsyncSession.execute_write`.
        """
        self._check_open()
        if kwargs:
            wrong = [name for name in kwargs if name[-1:] == "_" and name[-2:-1] != "_"]
            if wrong:
                raise ValueError(
                    f"no parameter by keyword ends in a single '_', as {', '.join(wrong)} does: options do."
                    f" It is misspelt, or belongs into parameters_"
                    f" ({unknown_arguments(wrong, _QUERY_OPTIONS, 'option', credentials=_CREDENTIALS)})"
                )
        check_query(query_)
        parameters = merged(parameters_, kwargs)
        if not callable(result_transformer_):
            raise TypeError(
                "result_transformer_ is a coroutine function that takes a result, such as"
                f" AsyncResult.to_df, not {type(result_transformer_).__name__}"
            )
        if isinstance(query_, Query):
            work: Any = unit_of_work(query_.metadata, query_.timeout)(_work)
            text = query_.text
        else:
            work = _work
            text = query_
        try:
            mode = _CONTROLS[routing_]
        except (KeyError, TypeError):
            raise ValueError(f"routing_ is 'r' or 'w', not {routing_!r}") from None
        config = self._session_config.but(_NO_OPTIONS)
        if database_ is not None:
            check_name("database_", database_)
            config.database = database_
        if impersonated_user_ is not None:
            check_name("impersonated_user_", impersonated_user_)
            config.impersonated_user = impersonated_user_
        if auth_ is not None:
            config.auth = AsyncAuthManagers.of(auth_)
        manager = bookmark_manager_
        config.bookmark_manager = self._query_bookmark_manager if manager is _DEFAULT else manager
        session = AsyncSession(self._pool, config)
        try:
            return await session._unit_of_work(
                mode,
                work,
                (text, parameters, result_transformer_),
                _NO_OPTIONS,
                api=TelemetryAPI.DRIVER,
                pipelined=True,
            )
        except asyncio.CancelledError:
            session.cancel()
            raise
        finally:
            await session.close()

    def pages(
        self,
        query: str,
        *,
        key: str | int | Callable[[Any], Any],
        after: Any = None,
        page_size: int = 1000,
        follow: bool = False,
        descending: bool = False,
        poll_interval: float = 1.0,
        name: str | None = None,
        lease: float = 60.0,
        parameters: Mapping[str, Any] | None = None,
        **options: Unpack[SessionOptions],
    ) -> Pages:
        """Read what a query gives page by page, from behind a position on: see :class:`Pages`."""
        self._check_open()
        return Pages(
            self.session,
            query,
            key=key,
            after=after,
            page_size=page_size,
            follow=follow,
            descending=descending,
            poll_interval=poll_interval,
            name=name,
            lease=lease,
            parameters=parameters,
            options=options,
        )

    # ---------------------------------------------------------------- questions about the server

    async def verify_connectivity(self, **options: Unpack[SessionOptions]) -> None:
        """Find out whether a server can be reached and takes the credentials.

        Args:
            options: see :class:`SessionOptions`.

        Raises: as :meth:`AsyncSession.run`.
        """
        await self.get_server_info(**options)

    async def get_server_info(self, **options: Unpack[SessionOptions]) -> ServerInfo:
        """Return what a server that was reached says of itself. As :meth:`verify_connectivity`."""
        async with self.session(**options) as session:
            return await session._server_info()

    async def verify_authentication(self, auth: Any = None, **options: Any) -> bool:
        """Find out whether credentials are good: whether the server lets them in.

        Args:
            auth: the credentials; None: those of the driver. Needs Bolt 5.1 when given.
            options: see :class:`SessionOptions`.

        Raises: as :meth:`verify_connectivity`, but for a refusal.
        """
        options.setdefault("database", SYSTEM_DATABASE)
        if auth is not None:
            options["auth"] = auth
        async with self.session(**options) as session:
            try:
                await session._log_in()
            except Neo4jError as error:
                if error.code in _REFUSALS:
                    return False
                raise
        return True

    async def supports_multi_db(self) -> bool:
        """Find out whether a statement can choose a database (Bolt 4.0+)."""
        async with self.session() as session:
            return await session._supports(lambda connection: connection.many_databases)

    async def supports_session_auth(self) -> bool:
        """Find out whether a session can have credentials of its own (Bolt 5.1+)."""
        async with self.session() as session:
            return await session._supports(lambda connection: connection.relogin)


class AsyncBoltDriver(AsyncDriver):
    """A driver of one server."""

    @property
    def address(self) -> Address:
        """Where it is."""
        return self._target.address

    def _new_pool(self) -> Pool:
        return DirectPool(self._shared, self._target.address)


class AsyncNeo4jDriver(AsyncDriver):
    """A driver of a cluster."""

    @property
    def initial_addresses(self) -> list[Address]:
        """Where it asks first."""
        return [self._target.address]

    def _new_pool(self) -> Pool:
        context = self._target.context
        if context is None:
            raise ConfigurationError(f"{self._target.scheme} does not route")
        return RoutedPool(self._shared, self._target.address, context)


def _is_closing(pool: Pool) -> bool:
    """Whether *pool* has connections that its event loop, another one, can still close."""
    return pool.living and pool.loop.is_running() and not pool.loop.is_closed()


async def _work(
    transaction: AsyncManagedTransaction,
    query: str,
    parameters: Mapping[str, Any],
    transformer: Callable[[AsyncResult], Awaitable[Any]],
) -> Any:
    made = transformer(await transaction.run(query, parameters))
    if not hasattr(made, "__await__") and not inspect.isawaitable(made):
        raise TypeError(
            "result_transformer_ is a coroutine function: what it returned cannot be awaited, being"
            f" {type(made).__name__}. Write 'async def'"
        )
    return await made


_CREDENTIALS: Final = "credentials are auth_=(user, password)"
_QUERY_OPTIONS: Final = (
    "auth_",
    "bookmark_manager_",
    "database_",
    "impersonated_user_",
    "parameters_",
    "query_",
    "result_transformer_",
    "routing_",
)
_CONTROLS: Final[dict[Any, str]] = {control.value: control.value for control in RoutingControl}
_NO_OPTIONS: Final[dict[str, Any]] = {}

_drivers: weakref.WeakSet[AsyncDriver] = weakref.WeakSet()


def _after_fork() -> None:
    for driver in list(_drivers):
        driver._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
