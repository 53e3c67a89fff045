"""Results: rows as they come, Records when they are asked for."""

from __future__ import annotations

import asyncio
import itertools
import sys
import warnings
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .._hints import AsyncRows
from ..client.lane import Lease, Statement
from ..exceptions import (
    LocalProtocolError,
    RemoteProtocolError,
    ResultConsumedError,
    ResultError,
    ResultFailedError,
    ResultNotSingleError,
)
from ..graph import Graph
from . import clock
from .eager import EagerResult
from .export import data_frame, has_broken, rows_data
from .listeners import QueryEnded, QueryStarted, tell
from .notifications import log_remarks, remarked, warning_for
from .record import Record, make_records
from .summary import ResultSummary

if TYPE_CHECKING:
    from types import FrameType

    import pandas  # type: ignore[import-untyped]

    from .connection import Connection

__all__ = ["AsyncResult", "ResultJob", "remark_on"]

Row = tuple[Any, ...]

_DEFAULT_FETCH_SIZE: Final = 1000
# While the reader keeps up, a PULL may be for so many times as many rows as the first one.
_MOST_GROWTH: Final = 16

# Portions of fewer rows are not asked for before they are needed.
_LEAST_AHEAD: Final = 100

_FAILED: Final = "the result has failed, or another result of the same transaction has"
_OUT_OF_SCOPE: Final = "the transaction is closed, and its results with it"
_ENDED: Final = "another task left this result, or ended its session or transaction, while it was being read"
_TAKEN: Final = "another task is reading this result"
_CONSUMED: Final = "the result was consumed: records must be fetched before consume()"

_NO_RECORDS: Final[Iterator[Record]] = iter(())

_HERE: Final = str(Path(__file__).parents[1])


class ResultJob(Statement):
    """A statement whose rows wait here for their reader.

    The first PULL is for *fetch_size* rows; the next is sent when its rows are used up. A reader that has
    asked for more once is read ahead for: while it reads one portion, the next is on its way (but not
    portions of a few rows, which are asked for on purpose), and when nobody gave a size, portions grow.
    """

    __slots__ = (
        "ahead",
        "buffered",
        "done",
        "error",
        "greedy",
        "grows",
        "hungry",
        "leavers",
        "metadata",
        "news",
        "on_end",
        "pieces",
        "portion",
        "ran",
        "rows",
        "summary",
        "watch",
    )

    def __init__(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None,
        extra: Mapping[str, Any] | None,
        fetch_size: int | None,
        lease: Lease | None,
        *,
        streams: bool,
        on_end: Callable[[ResultJob], None] | None = None,
    ) -> None:
        portion = _DEFAULT_FETCH_SIZE if fetch_size is None else fetch_size
        # Bolt 3 has PULL_ALL only.
        super().__init__(
            statement, parameters, extra, fetch_size=portion if streams else -1, lease=lease
        )
        self.portion = portion
        self.grows = fetch_size is None
        self.on_end = on_end
        self.pieces: deque[list[Row]] = deque()
        self.buffered = 0
        self.rows = 0
        self.metadata: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.ran = False
        self.done = False
        self.error: BaseException | None = None
        self.hungry = False  # somebody waits for the next rows
        self.greedy = False  # ... or for all of them
        self.ahead = False
        self.watch: QueryWatch | None = None
        self.news: asyncio.Future[None] | None = None  # its reader waits for that
        self.leavers: list[asyncio.Future[None]] | None = None  # who ends it waits for the end

    # What the lane calls

    def full(self) -> bool:
        if self.greedy or (self.hungry and not self.pieces):
            return False
        return not self.ahead or self.buffered >= self.portion > 0

    def clogged(self) -> bool:
        if self.greedy or self.hungry or self.discard:
            return False
        return len(self.pieces) > 1 and self.buffered >= 2 * max(self.portion, _DEFAULT_FETCH_SIZE)

    @property
    def waits(self) -> bool:
        """Whether there is more, and it has not been asked for."""
        return self.ran and self.pull is None and not self.done

    def on_run(self, metadata: dict[str, Any]) -> None:
        self.metadata = metadata
        self.ran = True
        self.wake()

    def on_rows(self, rows: list[Row]) -> None:
        count = len(rows)
        self.rows += count
        if self.discard:
            return
        self.pieces.append(rows)
        self.buffered += count
        self.wake()

    def on_more(self) -> None:
        if self.grows and self.ahead and self.fetch_size > 0:
            self.fetch_size = min(4 * self.fetch_size, _MOST_GROWTH * self.portion)

    def on_done(self, summary: dict[str, Any]) -> None:
        self.summary = summary
        self._end(None)

    def on_error(self, error: BaseException) -> None:
        self.error = error
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        self.done = True
        self.end_watch(error)
        on_end = self.on_end
        if on_end is not None:
            self.on_end = None
            on_end(self)
        self.wake()
        if self.leavers is not None:
            self.release()

    def end_watch(self, error: BaseException | None) -> None:
        """Tell those who listen that it is over."""
        watch = self.watch
        if watch is not None:
            self.watch = None
            named = (self.summary.get("db"), self.metadata.get("db"))
            watch.end(self.rows, error, next((name for name in named if isinstance(name, str)), None))

    def wake(self) -> None:
        news = self.news
        if news is not None and not news.done():
            news.set_result(None)

    def release(self) -> None:
        """Wake those who wait for the end."""
        leavers, self.leavers = self.leavers, None
        for leaver in leavers or ():
            if not leaver.done():
                leaver.set_result(None)

    # What the result does

    def take(self) -> list[Row]:
        """Take the oldest piece."""
        rows = self.pieces.popleft()
        self.buffered -= len(rows)
        return rows

    def drop_rows(self) -> None:
        """Drop what has come and was not taken."""
        self.pieces.clear()
        self.buffered = 0


class QueryWatch:
    """Tells the listeners of a driver about one statement."""

    __slots__ = ("_address", "_began", "_bytes", "_connection", "_database", "_key", "_query")

    def __init__(
        self,
        connection: Connection,
        query: str,
        parameters: Any,
        mode: str | None,
        in_transaction: bool,
    ) -> None:
        self._connection = connection
        self._key = object()
        self._address = connection.address
        self._database = connection.database
        self._query = query
        self._began = clock.monotonic()
        self._bytes = connection.bytes_received
        functions = connection.pool.listeners.query_started
        if functions:
            event = QueryStarted(
                self._key,
                self._address,
                connection.server.connection_id,
                self._database,
                query,
                parameters,
                mode,
                in_transaction,
            )
            tell(functions, event)

    @classmethod
    def of(
        cls,
        connection: Connection,
        query: str,
        parameters: Any,
        mode: str | None = None,
        in_transaction: bool = False,
    ) -> QueryWatch | None:
        """Return a watch when somebody listens, otherwise None."""
        listeners = connection.pool.listeners
        if listeners.query_started or listeners.query_ended:
            return cls(connection, query, parameters, mode, in_transaction)
        return None

    def end(self, rows: int, error: BaseException | None, database: str | None = None) -> None:
        """The statement is over; *rows* have come."""
        connection = self._connection
        functions = connection.pool.listeners.query_ended
        if functions:
            event = QueryEnded(
                self._key,
                self._address,
                connection.server.connection_id,
                database or self._database,
                self._query,
                rows,
                connection.bytes_received - self._bytes,
                clock.monotonic() - self._began,
                error,
            )
            tell(functions, event)


class ResultOwner:
    """Who a result belongs to: a session (auto-commit) or a transaction."""

    __slots__ = ()

    def _result_ended(self, result: AsyncResult) -> Awaitable[None] | None:
        """Everything of *result* is answered, which its reader has noticed; returns what he is to await."""
        return None

    async def _result_failed(self, result: AsyncResult, error: BaseException) -> BaseException:
        """*result* has failed; return what its reader is to get."""
        raise NotImplementedError

    def _result_cancelled(self, result: AsyncResult) -> None:
        """The reader of *result* was cancelled while it waited."""


class _ResultInUse(ResultError, LocalProtocolError):
    """Two tasks read one result: what the client level calls a LocalProtocolError."""


class AsyncResult(AsyncRows):
    """The records of a statement, as they come. Made by ``run`` of a session or a transaction.

    Iterate over it with ``async for``, or take what you need with one of the methods. Records are buffered by
    the server and asked for in portions of the session's ``fetch_size``.
    """

    def __init__(
        self,
        owner: ResultOwner,
        connection: Connection,
        job: ResultJob,
        query: str,
        parameters: Mapping[str, Any],
        database: str | None,
        severity: str | None,
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._job = job
        self._query = query
        self._parameters = parameters
        self._database = database
        self._severity = severity
        self._place = _calling_frame() if severity is not None else None
        self._keys: tuple[str, ...] = ()
        self._records: Iterator[Record] = _NO_RECORDS
        self._summary: ResultSummary | None = None
        self._ended = False  # and the owner knows
        self._consumed = False
        self._out_of_scope = False
        self._failure: BaseException | None = None

    def __repr__(self) -> str:
        state = "failed" if self._failure is not None else "closed" if self.closed() else "open"
        return f"<AsyncResult {state} keys={self._keys!r}>"

    # ---------------------------------------------------------------- between the job and the reader

    async def _attach(self) -> None:
        """Wait until RUN is answered."""
        job = self._job
        if not (job.ran or job.done):
            await self._news()
            while not (job.ran or job.done):
                await self._news()
        if job.error is not None and not job.ran:
            raise await self._fail(job.error)
        self._keys = tuple(job.metadata.get("fields") or ())
        if job.done and job.error is None:
            await self._end()

    async def _news(self) -> None:
        """Wait until something has happened to the job; one task does at a time."""
        job = self._job
        if job.news is not None:
            raise _ResultInUse(self, _TAKEN)
        self._connection.check_loop()
        news = job.news = self._connection.pool.loop.create_future()
        try:
            await news
        except BaseException as error:
            # Nobody knows what was read: better no result than one with a hole.
            if job.news is news:
                job.news = None
                self._cancel(error)
            raise
        if job.news is not news:
            raise ResultConsumedError(self, _ENDED)
        job.news = None
        if self._failure is not None and not job.done:
            raise ResultFailedError(self, _FAILED) from self._failure

    async def _ending(self) -> None:
        """Wait until everything is answered, besides who reads, and who else does this."""
        job = self._job
        while not job.done and self._failure is None:
            leaver = self._connection.pool.loop.create_future()
            if job.leavers is None:
                job.leavers = []
            job.leavers.append(leaver)
            try:
                await leaver
            except BaseException as error:
                leavers = job.leavers
                if leavers is not None and leaver in leavers:
                    leavers.remove(leaver)
                if not (job.done or leavers or job.news is not None):
                    self._cancel(error)
                raise

    def _take_over(self) -> None:
        """Take the result from the task that reads it, if one does, which is told."""
        job = self._job
        news = job.news
        if news is not None:
            job.news = None
            if not news.done():
                news.set_result(None)

    def _cancel(self, error: BaseException) -> None:
        """Give the result up: its reader was interrupted."""
        if self._failure is None:
            self._failure = error
        job = self._job
        job.end_watch(error)
        job.on_end = None
        if not job.done:
            self._connection.give_up(job)
            # Nothing will happen to it any more.
            job.wake()
            job.release()
        self._owner._result_cancelled(self)

    async def _end(self) -> None:
        """Everything is answered; tell the owner, once."""
        if self._ended:
            return
        self._ended = True
        error = self._job.error
        if error is not None:
            raise await self._fail(error)
        summary = self._job.summary
        if remarked(summary):
            self._remark()
        more = self._owner._result_ended(self)
        if more is not None:
            await more

    async def _fail(self, error: BaseException) -> BaseException:
        self._ended = True
        if self._failure is None:
            self._failure = error
        error = await self._owner._result_failed(self, error)
        self._failure = error
        return error

    def _tx_failed(self, error: BaseException) -> None:
        """Another result of the same transaction has failed."""
        self._ended = True
        job = self._job
        if self._failure is None and (not job.done or job.error is not None):
            self._failure = error

    def _check_readable(self) -> None:
        if self._job.news is not None:
            raise _ResultInUse(self, _TAKEN)
        if self._out_of_scope:
            raise ResultConsumedError(self, _OUT_OF_SCOPE)
        if self._consumed:
            raise ResultConsumedError(self, _CONSUMED)

    async def _piece(self) -> list[Row] | None:
        """Return the next rows, as they came; None when there are no more."""
        job = self._job
        while True:
            if job.pieces:
                behind = job.clogged() or (job.ahead and job.full())
                rows = job.take()
                if behind:
                    self._connection.more(job)
                return rows
            if job.done:
                if not self._ended:
                    await self._end()
                if self._failure is not None:
                    raise ResultFailedError(self, _FAILED) from self._failure
                return None
            if self._failure is not None:
                raise ResultFailedError(self, _FAILED) from self._failure
            job.hungry = True
            if job.waits and job.portion >= _LEAST_AHEAD:
                job.ahead = True
            self._connection.more(job)
            try:
                await self._news()
            finally:
                job.hungry = False

    async def _rows(self) -> list[Row]:
        """Return all rows that are left, as they came."""
        self._check_readable()
        job = self._job
        rows: list[Row] = []
        if self._records is not _NO_RECORDS:
            rows += map(tuple.__new__, itertools.repeat(tuple), self._records)
            self._records = _NO_RECORDS
        job.greedy = job.ahead = True
        while True:
            piece = await self._piece()
            if piece is None:
                if rows and len(rows[0]) != len(self._keys):
                    raise self._misfit(len(rows[0]))
                return rows
            if rows:
                rows += piece
            else:
                rows = piece

    def _make_records(self, rows: list[Row]) -> list[Record]:
        try:
            return make_records(self._keys, rows)
        except ValueError:
            raise self._misfit(next(len(row) for row in rows if len(row) != len(self._keys))) from None

    def _misfit(self, width: int) -> BaseException:
        """The server's rows do not go with its columns: give the result up, and return what to raise."""
        error = RemoteProtocolError(
            f"the server sent a record of {width} values for {len(self._keys)} columns: {list(self._keys)}"
        )
        self._job.drop_rows()
        self._cancel(error)
        return error

    async def _buffer(self) -> None:
        """Bring in everything, so that the connection is free for others."""
        job = self._job
        if not job.done and self._failure is None:
            job.greedy = job.ahead = True
            self._connection.more(job)
            await self._ending()
        if not self._ended:
            await self._end()

    async def _exhaust(self, *, ending: bool = False) -> None:
        """Drop the records that are left, and wait for the summary: as its reader, or *ending* it for all."""
        job = self._job
        if ending:
            self._take_over()
        elif job.news is not None:
            raise _ResultInUse(self, _TAKEN)
        self._records = _NO_RECORDS
        job.drop_rows()
        if not job.done and self._failure is None:
            self._connection.discard(job)
            if ending:
                await self._ending()
            else:
                while not job.done:
                    await self._news()
            job.drop_rows()
        if not self._ended:
            await self._end()

    async def _drop(self) -> None:
        """The session goes on to something else."""
        self._consumed = True
        await self._exhaust(ending=True)

    async def _leave_scope(self) -> None:
        """The transaction is about to end."""
        self._out_of_scope = True  # for other tasks, from now on
        if not self._ended:
            try:
                await self._exhaust(ending=True)
            except BaseException:
                self._out_of_scope = False
                raise

    # ---------------------------------------------------------------- reading

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._keys)

    def __aiter__(self) -> AsyncResult:
        return self

    async def __anext__(self) -> Record:
        for record in self._records:
            return record
        self._check_readable()
        rows = await self._piece()
        if rows is None:
            raise StopAsyncIteration
        self._records = records = iter(self._make_records(rows))
        return next(records)

    async def single(self, strict: bool = False) -> Record | None:
        """Return the only record, and consume the result.

        Args:
            strict: raise when there is not exactly one. Otherwise none gives None, and of several the first
                is returned, with a warning.

        Raises:
            ResultNotSingleError: with *strict*.
            ResultConsumedError: the result was consumed before, or its transaction is over.
        """
        self._check_readable()
        records = await self._take(2)
        await self._exhaust()
        if len(records) == 1:
            return records[0]
        if not records:
            if strict:
                raise ResultNotSingleError(self, "there is no record, where exactly one is expected")
            return None
        if strict:
            raise ResultNotSingleError(self, "there is more than one record, where exactly one is expected")
        warnings.warn(
            "a result with a single record is expected, and there are multiple", UserWarning, stacklevel=2
        )
        return records[0]

    async def _take(self, count: int) -> list[Record]:
        records: list[Record] = []
        while len(records) < count:
            records += itertools.islice(self._records, count - len(records))
            if len(records) == count:
                break
            rows = await self._piece()
            if rows is None:
                break
            self._records = iter(self._make_records(rows))
        return records

    async def fetch(self, n: int) -> list[Record]:
        """Return up to *n* more records.

        Raises: as :meth:`single`.
        """
        self._check_readable()
        if not isinstance(n, int):
            raise TypeError(f"fetch() takes a number of records, not {n!r}")
        return await self._take(n)

    async def peek(self) -> Record | None:
        """Return the next record and leave it where it is; None when there is none.

        Raises: as :meth:`single`.
        """
        self._check_readable()
        records = await self._take(1)
        if not records:
            return None
        self._records = itertools.chain(records, self._records)
        return records[0]

    async def graph(self) -> Graph:
        """Return the nodes and relationships of all records, each once.

        Those records that were not taken yet stay where they are.

        Raises: as :meth:`single`.
        """
        self._check_readable()
        left = list(self._records)
        rows = await self._rows()
        records = self._make_records(rows)
        self._records = iter([*left, *records])
        return Graph.of_rows([*left, *rows])

    async def value(self, key: int | str = 0, default: object = None) -> list[Any]:
        """Return one column of the records that are left.

        Args:
            key: its place or its name.
            default: what stands for a column that does not exist.
        """
        rows = await self._rows()
        if has_broken(rows):
            return [record.value(key, default) for record in self._make_records(rows)]
        place = self._place_of(key)
        if place is None:
            return [default] * len(rows)
        return [row[place] for row in rows]

    def _place_of(self, key: int | str) -> int | None:
        if isinstance(key, int):
            return key if 0 <= key < len(self._keys) else None
        try:
            return self._keys.index(key)
        except ValueError:
            return None

    async def values(self, *keys: int | str) -> list[list[Any]]:
        """Return the records that are left, each as a list of its values, or of those of *keys*."""
        rows = await self._rows()
        if not keys and not has_broken(rows):
            return list(map(list, rows))
        return [record.values(*keys) for record in self._make_records(rows)]

    async def data(self, *keys: int | str) -> list[dict[str, Any]]:
        """Return the records that are left as dicts of plain values: see :meth:`Record.data`."""
        rows = await self._rows()
        if not keys:
            return rows_data(self._keys, rows)
        return [record.data(*keys) for record in self._make_records(rows)]

    async def to_eager_result(self) -> EagerResult:
        """Return everything at once: records, summary and keys."""
        records = self._make_records(await self._rows())
        return EagerResult(records, await self.consume(), list(self._keys))

    async def to_df(self, expand: bool = False, parse_dates: bool = False) -> pandas.DataFrame:
        """Return the records that are left as a pandas DataFrame. Needs pandas.

        Args:
            expand: give nodes, relationships, lists and maps a column for each of their parts.
            parse_dates: turn columns of dates and date-times into pandas timestamps.
        """
        return data_frame(self._keys, await self._rows(), expand, parse_dates)

    async def consume(self) -> ResultSummary:
        """Drop the records that are left, and return the summary.

        Raises:
            ResultConsumedError: the result's transaction is over.
        """
        if self._out_of_scope:
            raise ResultConsumedError(self, _OUT_OF_SCOPE)
        if not self._consumed:
            await self._exhaust()
            if self._failure is not None:
                raise ResultFailedError(self, _FAILED) from self._failure
            self._consumed = True
        return self._obtain_summary()

    def closed(self) -> bool:
        """Whether records can no longer be had from it: it was consumed, or its transaction is over."""
        return self._out_of_scope or self._consumed

    # ---------------------------------------------------------------- summary

    def _obtain_summary(self) -> ResultSummary:
        summary = self._summary
        if summary is None:
            job = self._job
            summary = self._summary = ResultSummary(
                self._connection.server,
                {**job.metadata, **job.summary},
                query=self._query,
                parameters=self._parameters,
                database=self._database,
                had_key=bool(self._keys),
                had_record=job.rows > 0,
            )
        return summary

    def _remark(self) -> None:
        _remark(self._obtain_summary(), self._query, self._severity, self._place)


def remark_on(connection: Connection, metadata: Mapping[str, Any], query: str, severity: str | None) -> None:
    """Log, and warn of, what the server remarked on a *query* of the batch path."""
    if remarked(metadata):
        summary = ResultSummary(connection.server, dict(metadata), query=query)
        _remark(summary, query, severity, _calling_frame() if severity is not None else None)


def _remark(
    summary: ResultSummary, query: str, severity: str | None, place: tuple[str, int, dict[str, Any]] | None
) -> None:
    """Log the notifications, and warn of those that the driver's user wants to be warned of."""
    statuses = summary.gql_status_objects
    log_remarks(statuses, query)
    if severity is None:
        return
    for notification in statuses:
        warning = warning_for(notification, severity, query)
        if warning is None:
            continue
        if place is None:
            warnings.warn(warning, stacklevel=2)
        else:
            file, line, names = place
            registry = names.setdefault("__warningregistry__", {})
            module = names.get("__name__")
            warnings.warn_explicit(warning, None, file, line, module, registry)


def _calling_frame() -> tuple[str, int, dict[str, Any]] | None:
    """Return file, line and globals of the code outside of this package that asked for the result."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_HERE):
            return frame.f_code.co_filename, frame.f_lineno, frame.f_globals
        frame = frame.f_back
    return None
