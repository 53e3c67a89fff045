"""A transaction, which leases a session's connection."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._hints import AsyncContext
from .._options import seconds
from ..aio._clock import TimeoutExpired, seen
from ..exceptions import ServiceUnavailable, TransactionError
from . import bulk
from .lane import Begin, Commit, Lease, Rollback, Statement
from .stream import BatchStream, FetchJob, FetchResult, RunStream

if TYPE_CHECKING:
    from types import TracebackType

    from .session import ClientSession

__all__ = ["Transaction"]


class Transaction(AsyncContext):
    """Statements that happen together or not at all. Made by :meth:`ClientSession.transaction`.

    The end of the ``async with`` block commits, an exception in it rolls back. When a statement fails, the
    transaction is over: its other and later statements raise a TransactionError that chains the failure.
    Several results may be read in turn (Bolt 4.0+).
    """

    def __init__(
        self, session: ClientSession, extra: Mapping[str, Any] | None, timeout: float | None
    ) -> None:
        self._session = session
        self._extra = extra
        self._timeout = None if timeout is None else seconds("timeout", timeout)
        # Weakly, so that a transaction that was dropped is noticed.
        self._lease = Lease(weakref.ref(self))
        self._begin: Begin | None = None
        self._ended = False
        self._entered = False  # the end of a block ends it, whoever uses it
        self._ending: asyncio.Future[Any] | None = None

    @property
    def closed(self) -> bool:
        """Whether it was committed or rolled back, or has failed."""
        return self._ended or self._lease.over

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open" if self._begin is not None else "not begun"
        return f"<Transaction {state}>"

    # Statements

    async def fetch(
        self, statement: str, parameters: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> FetchResult:
        """Run *statement* and return all its rows: a list of tuples with ``fields`` and ``summary``.

        *timeout* (seconds): that of the transaction when None. A statement that is given up after it was
        sent ends the transaction, unless others of it are in flight.

        Raises: as :meth:`ClientSession.fetch`, and TransactionError when the transaction is over.
        """
        job = FetchJob(statement, parameters, None, self._open())
        result: FetchResult = await self._session._call(job, self._limit(timeout))
        return result

    async def execute(
        self, statement: str, parameters: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Run *statement*, discard its rows, and return the summary. As :meth:`fetch`."""
        job = Statement(statement, parameters, discard=True, lease=self._open())
        summary: dict[str, Any] = await self._session._call(job, self._limit(timeout))
        return summary

    def batches(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        fetch_size: int | None = None,
        timeout: float | None = None,
    ) -> BatchStream:
        """Run *statement* and iterate over its rows, as lists of tuples as they arrive.

        As :meth:`ClientSession.batches`; but from Bolt 4.0 on several results of one transaction may be
        open at once without one being pulled into memory for the other.
        """
        return BatchStream(
            self._session,
            statement,
            parameters,
            None,
            fetch_size=fetch_size,
            lease=self._open(),
            timeout=self._limit(timeout),
        )

    def run(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        get_eof: bool = False,
        timeout: float | None = None,
    ) -> RunStream:
        """Run *statement* and iterate over its records, each a :class:`ClientResponse`. As in a session."""
        return RunStream(
            self._session,
            (statement, parameters, None),
            get_eof=get_eof,
            lease=self._open(),
            timeout=self._limit(timeout),
        )

    async def execute_many(
        self,
        statement: str,
        rows: Iterable[Any] | AsyncIterable[Any],
        *,
        batch_rows: int = bulk.BATCH_ROWS,
        batch_bytes: int = bulk.BATCH_BYTES,
        parameters: Mapping[str, Any] | None = None,
        progress: Callable[[int, int | None], object] | None = None,
        timeout: float | None = None,
    ) -> bulk.BulkSummary:
        """Run *statement* over *rows* in batches; with the rest of the transaction, all of it or nothing.

        As :meth:`ClientSession.execute_many`. Who tries a transaction again makes iterators anew.
        """
        load = bulk.Load(
            rows,
            batch_rows=batch_rows,
            batch_bytes=batch_bytes,
            parameters=parameters,
            progress=progress,
            timeout=self._limit(timeout),
        )
        return await load.run(self._session, statement, extra=None, lease=self._open())

    # Beginning and ending

    async def begin(self) -> None:
        """Begin, and wait until the server has; otherwise BEGIN travels with the first statement.

        Raises: as :meth:`ClientSession.fetch`, and TransactionError when it was begun before.
        """
        if self._begin is not None:
            raise TransactionError(self, "the transaction was begun before")
        session = self._session
        begin = self._submit_begin()
        future: asyncio.Future[Any] = session.loop.create_future()
        begin.waiter = future
        try:
            await session._bounded(future, self._timeout)
        except (asyncio.CancelledError, TimeoutExpired):
            session._abandon(begin)
            self._give_up()
            raise

    async def commit(self, *, timeout: float | None = None) -> dict[str, Any]:
        """Commit, and return what the server said: ``bookmark``. Results not read to their end are discarded.

        A commit that is cancelled or not answered in time may have happened.

        Raises:
            TransactionError: the transaction is over.
            IncompleteCommit: the connection was lost before the answer: it may have happened.
            Neo4jError: the server refused it.
        """
        limit = self._limit(timeout)
        lease = self._open()
        self._ended = True
        self._session._let_go(lease)
        try:
            summary: dict[str, Any] = await self._session._call(Commit(lease=lease), limit)
        except (asyncio.CancelledError, TimeoutExpired):
            # Not written yet: without this nobody would ever give the connection free.
            self._give_up()
            raise
        return summary

    async def rollback(self, *, timeout: float | None = None) -> None:
        """Undo everything. Does nothing when the transaction has failed, which undid it.

        A server that does not answer it for the session's ``reset_timeout`` is given up, which also undoes
        everything.
        """
        limit = self._limit(timeout)
        if self._ended and not self._lease.active:
            return
        self._session.check_loop()
        future = self._give_up()
        if future is None:
            return
        try:
            # The rollback happens whether or not anybody waits for it.
            await self._session._bounded(asyncio.shield(future), limit)
        except TransactionError:
            pass

    def _give_up(self) -> asyncio.Future[Any] | None:
        """Roll back without waiting."""
        session = self._session
        self._ended = True
        session._let_go(self._lease)
        if self._begin is None or self._lease.over or self._ending is not None:
            return self._ending
        if session._lane.error is not None or session._lane.closing:
            return None  # lost, or rolled back by the session's end
        future = self._ending = session.loop.create_future()
        # Nobody may be left to look at it.
        future.add_done_callback(seen)
        session._lane.rollback(Rollback(lease=self._lease, waiter=future))
        session._schedule()
        return future

    def _limit(self, timeout: float | None) -> float | None:
        return self._timeout if timeout is None else seconds("timeout", timeout)

    def _open(self) -> Lease:
        """Return the lease; raise when the transaction is over."""
        if self._begin is None and not self._ended:
            self._submit_begin()
        if self._ended:
            raise TransactionError(self, "the transaction is over")
        lease = self._lease
        if lease.over:
            failure = lease.failure()
            raise failure
        if not self._entered:
            lease.user = asyncio.current_task(self._session.loop)
        return lease

    def _submit_begin(self) -> Begin:
        if self._ended:
            raise TransactionError(self, "the transaction is over")
        lease, session = self._lease, self._session
        begin = Begin(lease, self._extra)
        session._submit(begin)
        self._begin = begin
        self._hold()
        return begin

    def _hold(self) -> None:
        """The running task is the one that will end it, as far as is known."""
        lease, session = self._lease, self._session
        session._let_go(lease)
        task = lease.holder = asyncio.current_task(session.loop)
        if task is not None:
            session._held[task] = lease

    async def __aenter__(self) -> Transaction:
        if self._begin is None:
            self._submit_begin()
        elif not self._ended:
            self._hold()
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._ended:
            return
        if kind is None:
            await self.commit()
        elif issubclass(kind, asyncio.CancelledError):
            # Who cancels waits for nothing more: it happens all the same.
            self._session.check_loop()
            self._give_up()
        else:
            try:
                await self.rollback()
            except (ServiceUnavailable, TimeoutExpired):
                pass  # the end of the connection undoes it too; the error to be seen is the block's

    def __del__(self) -> None:
        begin = getattr(self, "_begin", None)
        if begin is None or self._ended:
            return
        session = self._session
        session._let_go(self._lease)
        if not self._lease.over:
            try:
                session.loop.call_soon_threadsafe(_roll_back, session, self._lease)
            except RuntimeError:
                pass


def _roll_back(session: ClientSession, lease: Lease) -> None:
    """Roll back a transaction that was dropped without an end."""
    if (
        session._lane.error is None
        and not session._lane.closing
        and not lease.over
        and lease.rollback is None
    ):
        session._lane.rollback(Rollback(lease=lease))
        session._schedule()

