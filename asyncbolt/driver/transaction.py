"""Transactions of the driver level."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._hints import AsyncContext
from .._options import fetch_size as fitting_size
from ..client import bulk
from ..client.lane import Begin, Commit, Lease, Rollback
from ..client.stream import FetchResult
from ..exceptions import BoltError, TransactionError
from .batches import Batches, execute, fetch
from .query import check_plain_query, merged
from .result import AsyncResult, QueryWatch, ResultJob, ResultOwner, remark_on

if TYPE_CHECKING:
    from types import TracebackType

    from ..client.bulk import BulkSummary
    from ..client.source import Readings
    from .connection import Connection
    from .session import AsyncSession

__all__ = ["AsyncManagedTransaction", "AsyncTransaction"]


class _DriverBegin(Begin):
    """BEGIN, whose answer may say which database it is (Bolt 5.8)."""

    __slots__ = ("resolved",)

    def __init__(self, lease: Lease, extra: Mapping[str, Any], resolved: Callable[[Any], None]) -> None:
        super().__init__(lease, extra)
        # Forgotten with the answer: the lane has BEGIN as long as the transaction is open, and would keep the
        # session, which nobody would then notice to be dropped.
        self.resolved: Callable[[Any], None] | None = resolved

    def on_done(self, summary: dict[str, Any]) -> None:
        resolved, self.resolved = self.resolved, None
        if resolved is not None:
            resolved(summary.get("db"))
        super().on_done(summary)

    def on_error(self, error: BaseException) -> None:
        self.resolved = None
        super().on_error(error)


class _Transaction(ResultOwner):
    """What both kinds of transaction have in common.

    The methods with an underscore are those that only one kind has, or that the session calls.
    """

    __slots__ = (
        "__weakref__",
        "_closed_flag",
        "_connection",
        "_ended",
        "_error",
        "_fetch_size",
        "_lease",
        "_readings",
        "_results",
        "_session",
        "_severity",
    )

    def __init__(self, session: AsyncSession, connection: Connection) -> None:
        config = session._config
        self._session = session
        self._connection = connection
        self._fetch_size = config.fetch_size
        self._severity = config.warn_notification_severity
        self._lease = Lease(weakref.ref(self))
        self._results: list[AsyncResult] = []
        self._error: BaseException | None = None
        self._closed_flag = False
        self._ended = False  # and the session knows
        self._readings: Readings | None = None  # of the unit of work that it is a try of

    def __repr__(self) -> str:
        state = "closed" if self._closed_flag else "failed" if self._error is not None else "open"
        return f"<{type(self).__name__} {state}>"

    # ---------------------------------------------------------------- statements

    async def run(
        self,
        query: str,
        parameters: Mapping[str, Any] | None = None,
        **kwparameters: Any,
    ) -> AsyncResult:
        """Run *query* in this transaction.

        Args:
            query: Cypher, or whatever the server speaks.
            parameters: its parameters.
            kwparameters: further parameters by keyword; they win.

        Raises:
            TransactionError: the transaction is over, or has failed.
            Neo4jError: the server refuses the query; the transaction has failed with it.
            ServiceUnavailable, SessionExpired: the connection is lost.
            PackError: a parameter cannot be packed; nothing was sent, and the transaction goes on.
        """
        self._check_open()
        if type(query) is not str:
            check_plain_query(query)
        values = merged(parameters, kwparameters)
        connection = self._connection
        results = self._results
        if results and not connection.many_results:
            await results[-1]._buffer()
        job = ResultJob(
            query, values, None, self._fetch_size, self._lease, streams=connection.many_results
        )
        job.watch = QueryWatch.of(connection, query, values, None, True)
        result = AsyncResult(
            self, connection, job, query, values, connection.database, self._severity
        )
        try:
            connection.write(job)
        except BaseException as error:
            job.end_watch(error)
            raise await self._fail(error) from error.__cause__
        results.append(result)
        await result._attach()
        return result

    async def fetch(self, query: str, parameters: Mapping[str, Any] | None = None) -> FetchResult:
        """Run *query* and return all its rows: a list of tuples with ``fields`` and ``summary``.

        Raises: as :meth:`run`.
        """
        check_plain_query(query)
        await self._quiet()
        try:
            return await fetch(
                self._connection, query, parameters, lease=self._lease, severity=self._severity
            )
        except asyncio.CancelledError:
            self._cancel()
            raise
        except BoltError as error:
            raise await self._fail(error) from error.__cause__

    async def execute(self, query: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run *query*, discard its rows, and return the summary's metadata: ``type``, ``stats`` ...

        Raises: as :meth:`run`.
        """
        check_plain_query(query)
        await self._quiet()
        try:
            return await execute(
                self._connection, query, parameters, lease=self._lease, severity=self._severity
            )
        except asyncio.CancelledError:
            self._cancel()
            raise
        except BoltError as error:
            raise await self._fail(error) from error.__cause__

    def batches(
        self,
        query: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        fetch_size: int | None = None,
    ) -> Batches:
        """Run *query* and iterate over its rows, as lists of tuples as they arrive.

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
        self, query: str, parameters: Mapping[str, Any] | None, fetch_size: int | None
    ) -> AsyncResult:
        kept = self._fetch_size
        self._fetch_size = kept if fetch_size is None else fetch_size
        try:
            return await self.run(query, parameters)
        finally:
            self._fetch_size = kept

    async def execute_many(
        self,
        query: str,
        rows: Iterable[Any] | AsyncIterable[Any],
        *,
        batch_rows: int = bulk.BATCH_ROWS,
        batch_bytes: int = bulk.BATCH_BYTES,
        parameters: Mapping[str, Any] | None = None,
        progress: Callable[[int, int | None], object] | None = None,
        timeout: float | None = None,
    ) -> BulkSummary:
        """Run *query* over *rows* in batches, each of which it finds in ``$rows``.

        Arguments and errors as :meth:`asyncbolt.ClientSession.execute_many`. All of it happens with the rest
        of the transaction, or none. In a unit of work that may be tried again, *rows* must be something that
        can be read again, such as a list, or an iterator that the unit of work makes itself: one that an
        earlier try has read raises a TransactionError.
        """
        check_plain_query(query)
        load = bulk.Load(
            rows,
            batch_rows=batch_rows,
            batch_bytes=batch_bytes,
            parameters=parameters,
            progress=progress,
            timeout=timeout,
        )
        await self._quiet()
        if self._readings is not None and not self._readings.admit(load.source):
            raise TransactionError(
                self,
                "the rows come from an iterator that an earlier try of this unit of work has read, and what"
                " is left of it is not all: pass a list, or make the iterator inside the unit of work",
            )
        try:
            summary = await load.run(self._connection, query, extra=None, lease=self._lease)
            # The same for each batch: once is enough.
            remark_on(self._connection, summary.summary, query, self._severity)
            return summary
        except asyncio.CancelledError:
            self._cancel()
            raise
        except BoltError as error:
            if error is load.foreign:
                raise
            raise await load.failed(error, self._fail(error)) from error.__cause__

    async def _quiet(self) -> None:
        """Check that a statement may follow, where only one result can be open at a time."""
        self._check_open()
        if self._results and not self._connection.many_results:
            await self._results[-1]._buffer()

    def _check_open(self) -> None:
        if self._closed_flag:
            raise TransactionError(self, "the transaction is closed")
        if self._connection.pool.closed:
            raise TransactionError(self, "the driver is closed, and the transaction with it")
        if self._error is not None:
            raise TransactionError(self, "the transaction has failed") from self._error
        self._connection.check_loop()

    # ---------------------------------------------------------------- what its results tell

    async def _result_failed(self, result: AsyncResult, error: BaseException) -> BaseException:
        return await self._fail(error)

    def _result_cancelled(self, result: AsyncResult) -> None:
        self._cancel()

    async def _fail(self, error: BaseException) -> BaseException:
        """A statement has failed: so has everything. Return what to raise."""
        lease = self._lease
        if not lease.over and lease.error is None and not self._connection.lost:
            return error  # nothing was sent: the transaction goes on
        if self._error is None:
            self._error = error
            for result in self._results:
                result._tx_failed(error)
            error = self._error = await self._connection.failed(error)
            self._end()
        return error

    def _end(self) -> None:
        """The connection is not needed any more."""
        if not self._ended:
            self._ended = True
            # They hold one another, and would wait for the garbage collector.
            self._lease.begin = None
            self._session._transaction_over(self)

    # ---------------------------------------------------------------- beginning and ending

    def _begin_along(self, extra: Mapping[str, Any], resolved: Callable[[Any], None]) -> None:
        """Have BEGIN written along with the first statement, which also reports what is wrong with it."""
        try:
            self._connection.queue(_DriverBegin(self._lease, extra, resolved))
        except BoltError:
            pass  # the connection is lost: the statement will find out

    async def _begin(self, extra: Mapping[str, Any], resolved: Callable[[Any], None]) -> None:
        connection = self._connection
        try:
            await connection.ask(_DriverBegin(self._lease, extra, resolved))
        except BaseException as error:
            self._error = error
            if isinstance(error, asyncio.CancelledError):
                self._cancel()
            self._closed_flag = True
            self._end()
            raise

    async def _commit(self) -> None:
        """Commit, and let the session know the bookmark."""
        self._check_open()
        self._closed_flag = True  # whoever else would end it is too late
        connection = self._connection
        try:
            for result in self._results:
                await result._leave_scope()
            # They hold the transaction too.
            self._results.clear()
            answer = await connection.ask(Commit(lease=self._lease))
        except asyncio.CancelledError:
            self._give_up()
            raise
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._end()
        await self._session._committed(answer.get("bookmark"))

    async def _rollback(self) -> None:
        if self._closed_flag:
            raise TransactionError(self, "the transaction is closed")
        connection = self._connection
        connection.check_loop()
        self._closed_flag = True
        try:
            if self._error is None and not self._lease.over and not connection.lost:
                with connection.closing():
                    for result in self._results:
                        await result._leave_scope()
                    if not self._lease.over:
                        waiter = connection.loop.create_future()
                        connection.roll_back(Rollback(lease=self._lease, waiter=waiter))
                        try:
                            await waiter
                        except BoltError as error:
                            raise await connection.failed(error) from error.__cause__
        except asyncio.CancelledError:
            self._give_up()
            raise
        finally:
            for result in self._results:
                result._out_of_scope = True
            self._results.clear()
            self._end()

    async def _close(self) -> None:
        if not self._closed_flag:
            await self._rollback()

    def _give_up(self) -> None:
        """Roll back without waiting, unless it is over."""
        lease = self._lease
        connection = self._connection
        if not lease.over and lease.rollback is None and not connection.lost:
            connection.roll_back(Rollback(lease=lease))

    def _cancel(self) -> None:
        """Roll back without waiting, and be done with it."""
        if self._ended:
            return
        self._closed_flag = True
        self._give_up()
        self._end()

    def _closed(self) -> bool:
        return self._closed_flag

    async def _exit(self, kind: type[BaseException] | None) -> None:
        if self._closed_flag:
            return
        if kind is None:
            await self._commit()
        elif issubclass(kind, asyncio.CancelledError):
            self._cancel()
        else:
            await self._close()


class AsyncTransaction(_Transaction, AsyncContext):
    """A transaction that its user commits or rolls back. Made by :meth:`AsyncSession.begin_transaction`.

    With ``async with``, the end of the block commits, and an exception in it rolls back. When a query fails,
    the transaction has failed: nothing more can be run in it, and it cannot be committed.
    """

    __slots__ = ()

    async def __aenter__(self) -> AsyncTransaction:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._exit(kind)

    async def commit(self) -> None:
        """Commit. Results that were not read to their end are discarded.

        Raises:
            TransactionError: the transaction is over, or has failed.
            IncompleteCommit: the connection was lost before the answer: it may have happened.
            Neo4jError: the server refused it.
        """
        await self._commit()

    async def rollback(self) -> None:
        """Undo everything.

        Raises:
            TransactionError: the transaction is over.
        """
        await self._rollback()

    async def close(self) -> None:
        """Undo everything, unless the transaction is over."""
        await self._close()

    def cancel(self) -> None:
        """Undo everything without waiting, for code that was cancelled. The server is told at once."""
        self._cancel()

    def closed(self) -> bool:
        """Whether it was committed, rolled back or closed."""
        return self._closed()


class AsyncManagedTransaction(_Transaction):
    """A transaction that :meth:`AsyncSession.execute_read` or ``execute_write`` commits or rolls back."""

    __slots__ = ()


