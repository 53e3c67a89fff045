"""Sessions of the driver level: statements one after the other, causally chained."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import warnings
import weakref
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from .._hints import AsyncContext, check_parameters
from .._options import fetch_size as fitting_size
from ..aio._clock import Deadline, bounded
from ..client import bulk
from ..client.source import Readings
from ..client.stream import FetchResult
from ..exceptions import (
    BoltError,
    ConnectionAcquisitionTimeoutError,
    DriverError,
    Neo4jError,
    SessionError,
    TransactionError,
)
from . import clock
from .auth import auth_map, token_at_hand
from .batches import Batches, execute, fetch
from .bookmarks import Bookmarks, BookmarkStore
from .constants import READ_ACCESS, WRITE_ACCESS
from .notifications import TelemetryAPI
from .pool import Acquisition
from .query import Query, check_options, check_query, merged
from .result import AsyncResult, QueryWatch, ResultJob, ResultOwner, remark_on
from .retry import Retries
from .supplied import supplied
from .transaction import AsyncManagedTransaction, AsyncTransaction

if TYPE_CHECKING:
    from types import TracebackType

    from ..client.bulk import BulkSummary
    from .config import SessionConfig
    from .connection import Connection
    from .pool import Pool
    from .server_info import ServerInfo

__all__ = ["AsyncSession"]

logger = logging.getLogger("asyncbolt.driver")

_T = TypeVar("_T")
_P = ParamSpec("_P")

_MODES: Final = {READ_ACCESS: "r", WRITE_ACCESS: "w"}
# How often an auto-commit statement that the server calls idempotent is run again.
_AUTO_COMMIT_RETRIES: Final = 1


class _JobEnd:
    """Tells a session that its statement is answered, without keeping the session: the lane has the job."""

    __slots__ = ("_session",)

    def __init__(self, session: AsyncSession) -> None:
        self._session = weakref.ref(session)

    def __call__(self, job: ResultJob) -> None:
        session = self._session()
        if session is not None:
            session._job_ended(job)


class AsyncSession(ResultOwner, AsyncContext):
    """Statements and transactions, one after the other, each seeing what those before it did.

    Made by :meth:`AsyncDriver.session`. A session is used by one task at a time; it is cheap, and holds a
    connection of the pool only while something is under way.
    """

    def __init__(self, pool: Callable[[], Pool], config: SessionConfig) -> None:
        self._pool_of = pool
        self._pool: Pool | None = None
        self._config = config
        self._connection: Connection | None = None
        self._transaction: AsyncTransaction | AsyncManagedTransaction | None = None
        self._auto_result: AsyncResult | None = None
        self._latest: AsyncResult | None = None  # of run(), ended or not
        self._is_closed = False
        self._opened = False  # entered, or used: then it is to be closed
        self._busy = False
        self._bookmark_manager = config.bookmark_manager
        self._initial: frozenset[str] = (
            frozenset() if config.bookmarks is None else config.bookmarks.raw_values
        )
        self._bookmarks: frozenset[str] = self._initial
        self._from_manager: frozenset[str] = frozenset()
        self._job_end: _JobEnd | None = None
        self._pinned = False  # the database is known, and stays
        self._home_key: Any = None

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open"
        return f"<AsyncSession {state} database={self._config.database!r}>"

    # ---------------------------------------------------------------- open and closed

    async def __aenter__(self) -> AsyncSession:
        if self._is_closed:
            raise SessionError(self, "the session is closed")
        self._opened = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            self.cancel()
            self._is_closed = True
        else:
            await self.close()

    def __del__(self) -> None:
        if getattr(self, "_is_closed", True) or sys.is_finalizing():
            return
        pool = self._pool
        if pool is not None and pool.closed:
            return  # with the driver went all that it could hold
        connection = self._connection
        if connection is not None:
            self._let_go_elsewhere(connection)
        if connection is not None or self._opened:
            warnings.warn(
                f"{self!r} was dropped without close(): use 'async with'",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def _let_go_elsewhere(self, connection: Connection) -> None:
        """Give up *connection* and what runs on it, from wherever this is."""
        self._connection = None
        try:
            connection.loop.call_soon_threadsafe(_let_go, connection)
        except RuntimeError:
            pass  # that loop is closed, and the connection with it

    async def close(self) -> None:
        """Give the connection back. A result that was not read is discarded, a transaction rolled back.

        A statement that is under way is waited for as long as its server is there: when nothing has come from
        it for some seconds, nor an answer to a new connection, the connection is cut. A transaction that is
        not rolled back within 5 seconds is cut off as well, which undoes it.

        Raises:
            Neo4jError, ServiceUnavailable, SessionExpired: the transaction could not be rolled back. The
                session is closed all the same.
        """
        if self._is_closed:
            return
        connection = self._connection
        if connection is not None and connection.loop is not asyncio.get_running_loop():
            self._is_closed = True
            self._let_go_elsewhere(connection)
            return
        try:
            result = self._latest
            if result is not None:
                try:
                    if connection is None or result._job.done:
                        await result._drop()
                    else:
                        await connection.while_alive(result._drop())
                except (BoltError, OSError) as error:
                    logger.warning("a result that was not read has failed: %s", error)
            transaction = self._transaction
            if transaction is not None:
                await transaction._close()
        finally:
            self._is_closed = True
            self._transaction = self._auto_result = self._latest = None
            self._let_go()

    def cancel(self) -> None:
        """Give everything up without waiting, for code that was cancelled: what runs is interrupted."""
        transaction, result = self._transaction, self._auto_result
        self._transaction = self._auto_result = None
        if transaction is not None:
            transaction._cancel()
        if result is not None and not result._job.done:
            result._cancel(asyncio.CancelledError())
        self._let_go()
        self._opened = False

    def closed(self) -> bool:
        """Whether it is closed."""
        return self._is_closed

    def _check_open(self) -> None:
        if self._is_closed:
            raise SessionError(self, "the session is closed")
        connection = self._connection
        if connection is not None and connection.loop is not asyncio.get_running_loop():
            raise SessionError(
                self, "the session is in use in another event loop: nothing was sent. Make one for this loop"
            )
        if self._busy:
            raise SessionError(self, "the session is in use by another task: a session serves one at a time")

    def _let_go(self) -> None:
        connection = self._connection
        if connection is not None:
            self._connection = None
            connection.pool.release(connection)

    # ---------------------------------------------------------------- connections

    async def _connect(
        self, mode: str, *, force_auth: bool = False, liveness: float | None = None, unprepared: bool = False
    ) -> Connection:
        """Get a connection for statements of *mode* ("r" or "w")."""
        self._opened = True
        connection = self._connection
        if connection is not None:
            await connection.settle()
            self._let_go()
        config = self._config
        pool = self._pool = self._pool_of()
        want = Acquisition(
            mode,
            config.connection_acquisition_timeout,
            config.auth,
            force_auth=force_auth,
            liveness=liveness,
            unprepared=unprepared,
        )
        guessed = False
        database = config.database
        if pool.routed and not self._pinned:
            if database is not None:
                self._pinned = True
            else:
                database, guessed = await self._home_database(pool, want)
        connection = await pool.acquire(want, database, guessed=guessed, session=self)
        if guessed and not self._pinned and not connection.routes_itself:
            # A server of another kind: the guess must not be sent to it unasked.
            pool.release(connection)
            database = await pool.refresh(want, None, session=self)
            connection = await pool.acquire(want, database, session=self)
        if self._is_closed:
            pool.release(connection)
            raise SessionError(self, "another task has closed the session")
        self._connection = connection
        return connection

    async def _home_database(self, pool: Any, want: Acquisition) -> tuple[str | None, bool]:
        """Return the name of the home database, and whether it is a guess."""
        token: Mapping[str, Any] | None = None
        if want.auth is not None:
            at_hand, auth = token_at_hand(want.auth)
            if not at_hand:
                auth = await supplied(want.auth.get_auth(), want.deadline(pool.loop), "get_auth()")
            token = auth_map(auth)
        key = self._home_key = pool.homes.key(self._config.impersonated_user, token)
        if pool.routes_itself:
            name = pool.homes.get(key)
            if name is not None:
                return name, True
        name = await pool.update(want, None, session=self)
        # Servers without named databases give none.
        self._pinned = True
        self._config.database = name
        return name, False

    def _database_resolved(self, name: object) -> None:
        """Called when a server has said which database is meant when none is named."""
        if not isinstance(name, str):
            return
        pool = self._pool
        if not self._pinned and pool is not None and pool.routed:
            self._pinned = True
            self._config.database = name
            pool.homes.learn(self._home_key, name)

    async def _ready(
        self, mode: str, metadata: Mapping[str, Any] | None, timeout: float | None
    ) -> tuple[Connection, dict[str, Any]]:
        """Get a connection for a RUN or BEGIN, and the options of that.

        Raises: as :meth:`Connection.options`, or why there is no connection.
        """
        connection = await self._connect(mode)
        config = self._config
        try:
            return connection, connection.options(
                mode=mode,
                bookmarks=await self._current_bookmarks(),
                database=config.database,
                impersonated_user=config.impersonated_user,
                metadata=metadata,
                timeout=timeout,
                min_severity=config.notifications_min_severity,
                disabled=config.notifications_disabled_classifications,
            )
        except BaseException:
            self._let_go()
            raise

    # ---------------------------------------------------------------- bookmarks

    async def _current_bookmarks(self) -> frozenset[str]:
        """Return what the next statement must see."""
        manager = self._bookmark_manager
        if manager is None:
            return self._bookmarks
        bookmarks: Any = manager.at_hand() if type(manager) is BookmarkStore else None
        if bookmarks is None:
            bookmarks = await supplied(manager.get_bookmarks(), self._patience(), "get_bookmarks()")
        self._from_manager = self._initial.union(bookmarks)
        return self._from_manager

    async def _committed(self, bookmark: object) -> None:
        """Something was committed, which *bookmark* stands for, where the server has such things."""
        if not isinstance(bookmark, str) or not bookmark:
            return
        new = frozenset((bookmark,))
        self._initial = frozenset()
        self._bookmarks = new
        manager = self._bookmark_manager
        if manager is not None:
            done = manager.update_bookmarks(self._from_manager, new)
            if type(manager) is BookmarkStore and manager.keeps_to_itself:
                await done
                return
            try:
                await supplied(done, self._patience(), "update_bookmarks()")
            except ConnectionAcquisitionTimeoutError as late:
                # It was committed, whoever does not want to know.
                logger.error("a bookmark manager is not waited for any longer: %s", late)

    def _patience(self) -> Deadline:
        """Return when a function of the user's must have answered."""
        return Deadline(asyncio.get_running_loop(), self._config.connection_acquisition_timeout)

    async def last_bookmarks(self) -> Bookmarks:
        """Return the bookmarks of what was done last, or those that the session was made with.

        A result that is not read to its end is discarded first.
        """
        await self._leave_result()
        return Bookmarks.from_raw_values(self._bookmarks)

    # ---------------------------------------------------------------- auto-commit statements

    async def run(
        self,
        query: str | Query,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> AsyncResult:
        """Run *query* as a transaction of its own.

        It is not tried again when it fails, unless the server says that nothing speaks against it. The result
        of an earlier ``run`` is brought in first.

        Args:
            query: Cypher, or whatever the server speaks; a :class:`Query` adds a timeout and metadata.
            parameters: its parameters.
            kwargs: further parameters by keyword; they win.

        Raises:
            SessionError: the session is closed, or in use by another task.
            TransactionError: a transaction is open.
            Neo4jError: the server refuses it.
            ServiceUnavailable, SessionExpired: no server can be reached, or the connection is lost.
            PackError: a parameter cannot be packed; nothing was sent.
        """
        self._check_open()
        check_query(query)
        values = merged(parameters, kwargs)
        _parts(query)
        await self._quiet()
        self._busy = True
        try:
            return await self._run(query, values, self._config.fetch_size)
        finally:
            self._busy = False

    async def _quiet(self) -> None:
        """Check that an auto-commit statement may follow, and bring in the result of the one before."""
        self._check_open()
        if self._transaction is not None:
            raise TransactionError(self._transaction, "a transaction is open: run the query in it, or end it")
        if self._auto_result is not None:
            await self._auto_result._buffer()
            self._check_open()  # others may have waited too

    async def _leave_result(self) -> None:
        """Drop the result of the auto-commit statement before, unless another task is reading it."""
        result = self._auto_result
        if result is not None:
            if result._job.news is not None:
                raise SessionError(
                    self, "another task is reading a result of this session: a session serves one at a time"
                )
            await result._drop()

    async def _run(
        self, query: str | Query, values: Mapping[str, Any], fetch_size: int | None
    ) -> AsyncResult:
        config = self._config
        mode = _MODES[config.default_access_mode]
        text, timeout, metadata = _parts(query)
        if self._job_end is None:
            self._job_end = _JobEnd(self)
        tries = 0
        told: set[TelemetryAPI] = set()
        while True:
            connection, extra = await self._ready(mode, metadata, timeout)
            self._tell_api(connection, TelemetryAPI.AUTO_COMMIT, told)
            job = ResultJob(
                text, values, extra, fetch_size, None, streams=connection.many_results, on_end=self._job_end
            )
            job.watch = QueryWatch.of(connection, text, values, mode)
            result = AsyncResult(
                self, connection, job, text, values, config.database, config.warn_notification_severity
            )
            try:
                connection.write(job)
            except BaseException as error:
                # Nothing was sent.
                job.end_watch(error)
                try:
                    raise await connection.failed(error) from error.__cause__
                finally:
                    self._let_go()
            self._auto_result = self._latest = result
            try:
                await result._attach()
            except BoltError as error:
                if job.ran or not self._may_repeat(error, tries):
                    raise
                tries += 1
                continue
            self._database_resolved(job.metadata.get("db"))
            return result

    def _may_repeat(self, error: BaseException, tries: int) -> bool:
        """Whether an auto-commit statement that failed is run again: where the server says that it can be."""
        if (
            tries >= _AUTO_COMMIT_RETRIES
            or self._config.disable_auto_commit_retries
            or not isinstance(error, Neo4jError)
            or error.diagnostic_record.get("_idempotent") is not True
        ):
            return False
        logger.warning("an auto-commit query failed and is tried again: %s", error)
        return True

    def _tell_api(self, connection: Connection, api: TelemetryAPI, told: set[TelemetryAPI]) -> None:
        """Let the server know, once for each unit of work, whatever it takes to be heard."""
        if not connection.pool.config.telemetry_disabled and api not in told:
            connection.telemetry(api.value, lambda: told.add(api))

    def _job_ended(self, job: ResultJob) -> None:
        """Called in the moment in which an auto-commit statement is answered: the connection is free."""
        connection = self._connection
        if connection is not None and job.error is None and connection.clean:
            self._connection = None
            connection.pool.release(connection)

    def _result_ended(self, result: AsyncResult) -> Awaitable[None] | None:
        if self._auto_result is not result:
            return None
        self._auto_result = None
        self._let_go()
        return self._committed(result._job.summary.get("bookmark"))

    async def _result_failed(self, result: AsyncResult, error: BaseException) -> BaseException:
        error = await result._connection.failed(error)
        if self._auto_result is result:
            self._auto_result = None
            self._let_go()
        return error

    def _result_cancelled(self, result: AsyncResult) -> None:
        if self._auto_result is result:
            self._auto_result = None
            self._let_go()

    # The batch path

    async def fetch(
        self, query: str | Query, parameters: Mapping[str, Any] | None = None
    ) -> FetchResult:
        """Run *query* as a transaction of its own, and return all its rows: a list of tuples with ``fields``
        and ``summary``.

        Arguments and errors: as :meth:`run`.
        """
        result: FetchResult = await self._auto(fetch, query, parameters)
        await self._committed(result.summary.get("bookmark"))
        return result

    async def execute(
        self, query: str | Query, parameters: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run *query* as a transaction of its own, discard its rows, and return the summary's metadata:
        ``type``, ``stats``, ``bookmark`` ...

        The server is asked to discard the rows (DISCARD). Commands that it works out only while their rows
        are pulled do nothing then: on Neo4j, TERMINATE TRANSACTIONS is one, for which there is :meth:`fetch`.

        Arguments and errors: as :meth:`run`.
        """
        summary: dict[str, Any] = await self._auto(execute, query, parameters)
        await self._committed(summary.get("bookmark"))
        return summary

    async def _auto(
        self, kind: Callable[..., Awaitable[Any]], query: str | Query, parameters: Mapping[str, Any] | None
    ) -> Any:
        check_query(query)
        check_parameters(parameters)
        mode = _MODES[self._config.default_access_mode]

        async def work(connection: Connection, extra: Mapping[str, Any]) -> Any:
            return await kind(
                connection,
                str(query),
                parameters,
                extra=extra,
                mode=mode,
                severity=self._config.warn_notification_severity,
            )

        tries = 0
        while True:
            try:
                answer = await self._with_connection(mode, query, work)
            except Neo4jError as error:
                # No row of it was handed out.
                if not self._may_repeat(error, tries):
                    raise
                tries += 1
            else:
                said = answer.summary if isinstance(answer, FetchResult) else answer
                self._database_resolved(said.get("db"))
                return answer

    async def _with_connection(
        self,
        mode: str,
        query: str | Query,
        work: Callable[[Connection, Mapping[str, Any]], Awaitable[Any]],
    ) -> Any:
        """Do *work*, which is one or more auto-commit statements, on a connection."""
        _, timeout, metadata = _parts(query)
        await self._quiet()
        self._busy = True
        try:
            connection, extra = await self._ready(mode, metadata, timeout)
            try:
                return await work(connection, extra)
            except BoltError as error:
                raise await connection.failed(error) from error.__cause__
            finally:
                self._let_go()
        finally:
            self._busy = False

    def batches(
        self,
        query: str | Query,
        parameters: Mapping[str, Any] | None = None,
        *,
        fetch_size: int | None = None,
    ) -> Batches:
        """Run *query* as a transaction of its own, and iterate over its rows, as lists of tuples as they
        arrive.

        Args:
            query: Cypher, or whatever the server speaks.
            parameters: its parameters.
            fetch_size: rows of a portion; None: the session's.

        Raises:
            TypeError, ValueError: the fetch size makes no sense. While iterating: as :meth:`run`.
        """
        if fetch_size is not None:
            fetch_size = fitting_size(fetch_size)
        return Batches(self._run_batches, query, parameters, fetch_size)

    async def _run_batches(
        self, query: str | Query, parameters: Mapping[str, Any] | None, fetch_size: int | None
    ) -> AsyncResult:
        check_query(query)
        values = merged(parameters, {})
        await self._quiet()
        return await self._run(
            query, values, self._config.fetch_size if fetch_size is None else fetch_size
        )

    async def execute_many(
        self,
        query: str | Query,
        rows: Iterable[Any] | AsyncIterable[Any],
        *,
        batch_rows: int = bulk.BATCH_ROWS,
        batch_bytes: int = bulk.BATCH_BYTES,
        parameters: Mapping[str, Any] | None = None,
        progress: Callable[[int, int | None], object] | None = None,
        timeout: float | None = None,
    ) -> BulkSummary:
        """Run *query* over *rows* in batches, each a transaction of its own that finds its rows in ``$rows``.

        Arguments, errors, and what is committed when it fails: as
        :meth:`asyncbolt.ClientSession.execute_many`. *timeout* (seconds) includes waiting for a connection.
        """
        check_query(query)
        load = bulk.Load(
            rows,
            batch_rows=batch_rows,
            batch_bytes=batch_bytes,
            parameters=parameters,
            progress=progress,
            timeout=timeout,
        )

        _, timeout_of_query, metadata = _parts(query)
        await bounded(self._quiet(), load.deadline, load.late)
        self._busy = True
        try:
            mode = _MODES[self._config.default_access_mode]
            ready = self._ready(mode, metadata, timeout_of_query)
            connection, extra = await bounded(ready, load.deadline, load.late)
            try:
                summary = await load.run(connection, str(query), extra=extra, lease=None)
                # The same for each batch: once is enough.
                remark_on(connection, summary.summary, str(query), self._config.warn_notification_severity)
                return summary
            except BoltError as error:
                if error is load.foreign:
                    raise
                raise await load.failed(error, connection.failed(error)) from error.__cause__
            finally:
                # Also when it failed: what is committed, is.
                if load.summary.bookmarks:
                    await self._committed(load.summary.bookmarks[-1])
        finally:
            self._busy = False
            self._let_go()

    async def call(self, procedure: str, *arguments: Any) -> FetchResult:
        """Call a procedure, and return all its rows: a list of tuples with ``fields`` and ``summary``.

        Args:
            procedure: its name, such as ``"db.labels"``.
            arguments: its arguments, as parameters.

        Raises:
            ValueError: *procedure* is no name of a procedure.
            Others: as :meth:`run`.
        """
        if not all(part.isidentifier() for part in procedure.split(".")):
            raise ValueError(f"{procedure!r} is no name of a procedure")
        names = [f"p{place}" for place in range(len(arguments))]
        placeholders = ", ".join(f"${name}" for name in names)
        return await self.fetch(
            f"CALL {procedure}({placeholders})", dict(zip(names, arguments, strict=True))
        )

    # ---------------------------------------------------------------- transactions

    async def begin_transaction(
        self, metadata: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> AsyncTransaction:
        """Begin a transaction, which its user commits or rolls back.

        Args:
            metadata: a map that the server logs.
            timeout: seconds after which the server ends it; 0: never; None: as the server is set.

        Raises:
            TransactionError: one is open already.
            Others: as :meth:`run`.
        """
        self._check_open()
        check_options(metadata, timeout)
        if self._auto_result is not None:
            await self._leave_result()
            self._check_open()
        if self._transaction is not None:
            raise TransactionError(self._transaction, "a transaction is open already")
        self._busy = True
        try:
            transaction = await self._open(
                AsyncTransaction,
                _MODES[self._config.default_access_mode],
                metadata,
                timeout,
                TelemetryAPI.TX,
                set(),
            )
        finally:
            self._busy = False
        assert isinstance(transaction, AsyncTransaction)
        return transaction

    async def _open(
        self,
        kind: type[AsyncTransaction] | type[AsyncManagedTransaction],
        mode: str,
        metadata: Mapping[str, Any] | None,
        timeout: float | None,
        api: TelemetryAPI,
        told: set[TelemetryAPI],
        *,
        pipelined: bool = False,
    ) -> AsyncTransaction | AsyncManagedTransaction:
        connection, extra = await self._ready(mode, metadata, timeout)
        self._tell_api(connection, api, told)
        transaction = self._transaction = kind(self, connection)
        if pipelined:
            transaction._begin_along(extra, self._database_resolved)
        else:
            await transaction._begin(extra, self._database_resolved)
        return transaction

    def _transaction_over(self, transaction: Any) -> None:
        if self._transaction is transaction:
            self._transaction = None
            self._let_go()

    async def execute_read(
        self,
        transaction_function: Callable[Concatenate[AsyncManagedTransaction, _P], Awaitable[_T]],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Run a unit of work that only reads, and return what it returns.

        *transaction_function* is awaited with a transaction and the other arguments. It is committed when the
        function returns, and rolled back when it raises. When that fails for a reason that may be gone at the
        next try, all of it is tried again: it must have no other effects. See :func:`unit_of_work` for a
        timeout and metadata.

        Raises: what the function raises, what the server says, or why no server could be reached; of several
        tries, the last one's.
        """
        result: _T = await self._unit_of_work("r", transaction_function, args, kwargs)
        return result

    async def execute_write(
        self,
        transaction_function: Callable[Concatenate[AsyncManagedTransaction, _P], Awaitable[_T]],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Run a unit of work that writes. As :meth:`execute_read`."""
        result: _T = await self._unit_of_work("w", transaction_function, args, kwargs)
        return result

    async def _unit_of_work(
        self,
        mode: str,
        function: Callable[..., Awaitable[Any]],
        arguments: tuple[Any, ...],
        keywords: Mapping[str, Any],
        *,
        api: TelemetryAPI = TelemetryAPI.TX_FUNC,
        pipelined: bool = False,
    ) -> Any:
        self._check_open()
        if not callable(function):
            raise TypeError(
                "a unit of work is a coroutine function that takes a transaction, not"
                f" {type(function).__name__}"
            )
        if self._auto_result is not None:
            await self._leave_result()
            self._check_open()
        if self._transaction is not None:
            raise TransactionError(self._transaction, "a transaction is open already")
        metadata = getattr(function, "metadata", None)
        timeout = getattr(function, "timeout", None)
        if metadata is not None or timeout is not None:
            check_options(metadata, timeout)
        retries: Retries | None = None
        last: BaseException | None = None
        told: set[TelemetryAPI] = set()
        readings = Readings()
        while True:
            try:
                self._busy = True
                try:
                    transaction = await self._open(
                        AsyncManagedTransaction, mode, metadata, timeout, api, told, pipelined=pipelined
                    )
                finally:
                    self._busy = False
                transaction._readings = readings
                try:
                    work = function(transaction, *arguments, **keywords)
                    if type(work) is not CoroutineType and not inspect.isawaitable(work):
                        raise TypeError(
                            f"a unit of work is a coroutine function: {_named(function)} returned"
                            f" {_named(type(work))}, which cannot be awaited. Write 'async def'"
                        )
                    result = await work
                except asyncio.CancelledError:
                    transaction._cancel()
                    raise
                except Exception:
                    await transaction._close()
                    raise
                except BaseException:
                    transaction._cancel()
                    raise
                await transaction._commit()
                return result
            except (DriverError, Neo4jError) as error:
                if not error.is_retryable():
                    if last is not None and error.__cause__ is None:
                        raise error from last  # why there was another try
                    raise
                if self._pool is not None and self._pool.closed:
                    raise
                last = error
                if retries is None:
                    retries = Retries(self._config)
                delay = retries.next_delay()
                if delay is None:
                    raise
                readings.failed()
                logger.warning("a transaction failed and is tried again in %.3f s: %s", delay, error)
            self._busy = True
            try:
                await clock.sleep(delay)
            finally:
                self._busy = False
            self._check_open()

    # ---------------------------------------------------------------- what drivers ask

    async def _server_info(self) -> ServerInfo:
        connection = await self._connect("r", liveness=0, unprepared=True)
        try:
            return connection.server
        finally:
            self._let_go()

    async def _log_in(self) -> None:
        await self._connect("r", force_auth=True, unprepared=True)
        self._let_go()

    async def _supports(self, question: Callable[[Connection], bool]) -> bool:
        connection = await self._connect("r")
        try:
            return question(connection)
        finally:
            self._let_go()


def _named(thing: Any) -> str:
    return getattr(thing, "__qualname__", None) or type(thing).__qualname__


def _parts(query: str | Query) -> tuple[str, float | None, Mapping[str, Any] | None]:
    if isinstance(query, Query):
        check_options(query.metadata, query.timeout)
        return str(query), query.timeout, query.metadata
    return query, None, None


def _let_go(connection: Connection) -> None:
    if connection.in_use:
        if not connection.clean:
            connection.kill()
        connection.pool.release(connection)
