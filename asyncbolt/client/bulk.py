"""Many rows through one statement, in batches."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sized
from typing import TYPE_CHECKING, Any, Final

from .._hints import check_parameters, check_text
from .._options import seconds, whole
from ..aio._clock import Deadline, TimeoutExpired, bounded
from ..exceptions import BoltError, PackError
from ..packstream import pack
from .lane import QUEUED, Carried, Group, Lease, Statement
from .sizing import Measured, Sizing
from .source import first_of, source_of

if TYPE_CHECKING:
    from ..protocol.client import ClientConnection, Request
    from .link import Link

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "BulkSummary", "Load"]

BATCH_ROWS: Final = 1000
BATCH_BYTES: Final = 1024 * 1024

# Batches that are packed or on their way at once.
_DEPTH: Final = 8
# Rows wait for others to fill their batch, but while nothing is under way no longer than so many seconds.
_LINGER: Final = 0.05
# As many rows are taken from their source at a time as come within about so many seconds.
_PIECE_SECONDS: Final = 0.005
# So many seconds what is in flight may take, at most, when there is nothing to send behind it.
_SETTLE_SECONDS: Final = 5.0
# So many seconds a source may take to clean up: in general, and when there is no time.
_STOP_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 0.25
_MOST_BOOKMARKS: Final = 1000


class BulkSummary:
    """What :meth:`ClientSession.execute_many` did.

    Attributes:
        rows: how many rows were sent.
        batches: in how many batches.
        stats: the server's counters, added up: ``nodes-created`` ...
        bookmarks: those of the batches (auto-commit only), oldest first; of very many, the 1,000 newest. Each
            batch is committed behind the one before, so the last stands for all.
        summary: what the server said to the last batch.
    """

    __slots__ = ("batches", "bookmarks", "rows", "stats", "summary")

    def __init__(self) -> None:
        self.rows = 0
        self.batches = 0
        self.stats: dict[str, Any] = {}
        self.bookmarks: list[str] = []
        self.summary: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<BulkSummary {self.rows} rows in {self.batches} batches, {self.stats}>"

    def add(self, rows: int, summary: dict[str, Any]) -> None:
        """Count a batch of *rows* with the server's *summary*."""
        self.rows += rows
        self.batches += 1
        self.summary = summary
        bookmark = summary.get("bookmark")
        if isinstance(bookmark, str) and bookmark:
            if len(self.bookmarks) >= _MOST_BOOKMARKS:
                del self.bookmarks[0]
            self.bookmarks.append(bookmark)
        stats = summary.get("stats")
        for key, value in stats.items() if isinstance(stats, dict) else ():
            before = self.stats.get(key)
            if isinstance(value, bool):
                self.stats[key] = bool(before) or value
            elif isinstance(value, (int, float)) and isinstance(before, (int, float)):
                self.stats[key] = before + value
            else:
                self.stats[key] = value


class Batch(Statement):
    """One batch: where its rows stand among all. Packed, it may turn out to be too large: then it is cut."""

    __slots__ = ("answer", "first", "load", "rest", "rows", "written")

    def __init__(
        self,
        load: Load,
        statement: str,
        rows: list[Any],
        first: int,
        extra: Mapping[str, Any] | None,
        lease: Lease | None,
        group: Group,
        answer: asyncio.Future[dict[str, Any]],
    ) -> None:
        super().__init__(statement, load.with_rows(rows), extra, discard=True, lease=lease, waiter=answer)
        self.answer = answer
        self.group = group
        self.load = load
        self.first = first
        self.rows = len(rows)
        self.rest: Measured | None = None
        """The rows that it was made of and that are too much for it."""
        self.written: asyncio.Future[None] | None = None
        """Somebody waits for the moment in which it is written."""

    def send(self, connection: ClientConnection) -> Any:
        if self.wire is None:
            self.wire = self._pack(connection)
        requests = super().send(connection)
        if self.written is not None and not self.written.done():
            self.written.set_result(None)
        return requests

    def _pack(self, connection: ClientConnection) -> Request:
        """Return the RUN, with as many of the rows as it may take."""
        load = self.load
        sizing = load.sizing
        parameters = self.parameters
        assert parameters is not None
        extra = self.extra or {}

        def pack_run(parameters: Mapping[str, Any]) -> Request:
            return connection.pack_run(self.statement, parameters, **extra)

        if load.base is None:
            load.base = len(pack_run(load.with_rows([])).data) if len(parameters) > 1 else 0
        version = connection.version
        assert version is not None
        one = functools.partial(pack, version=version, utc_patch=connection.utc_patch)
        rows: list[Any] = parameters["rows"]
        measured = sizing.measure(rows, one) if sizing.seems_huge(rows, one) else None
        run = None
        if measured is None:
            run = pack_run(parameters)
            if sizing.excessive(self.rows, len(run.data) - load.base):
                measured = sizing.measure(rows, one)
                if measured is not None and not sizing.excessive(self.rows, measured.size):
                    # It is the statement that is long.
                    load.base = len(run.data) - measured.size
                    measured = None
        if measured is not None and sizing.excessive(self.rows, measured.size):
            rows = measured.take()
            self.rows = len(rows)
            self.rest = measured
            run = pack_run(load.with_rows(rows))
        elif run is None:
            run = pack_run(parameters)
        sizing.packed(self.rows, len(run.data) - load.base)
        return run


class Load:
    """One execute_many: its rows and how they are to be sent, checked; :meth:`run` sends them.

    Its time begins when it is made.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """

    def __init__(
        self,
        rows: Iterable[Any] | AsyncIterable[Any],
        *,
        batch_rows: int = BATCH_ROWS,
        batch_bytes: int = BATCH_BYTES,
        parameters: Mapping[str, Any] | None = None,
        progress: Callable[[int, int | None], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        self.sizing = Sizing(whole("batch_rows", batch_rows), whole("batch_bytes", batch_bytes))
        check_parameters(parameters)
        if parameters is not None and "rows" in parameters:
            raise ValueError("the parameter $rows is what the batches are passed in")
        if progress is not None and (not callable(progress) or inspect.iscoroutinefunction(progress)):
            raise TypeError("progress is a plain function of two arguments, which nobody awaits")
        limit = None if timeout is None else seconds("timeout", timeout)
        self.source = source_of(rows)
        self.base: int | None = None
        """How many bytes of a batch are not its rows; None: not known yet."""
        self.foreign: BaseException | None = None
        """What the rows, or *progress*, have raised: nothing that the connection has to do with."""
        self._parameters = parameters
        self._progress = progress
        self._total = _length(rows) if progress is not None else None
        self._loop = asyncio.get_running_loop()
        self.deadline = Deadline(self._loop, limit)
        self._expired: BaseException | None = None
        self._failed: Batch | None = None
        self.summary = BulkSummary()
        self._group = Group()
        self._flight: deque[Batch] = deque()
        self._rests: list[Measured] = []  # the last is to be sent first
        self._piece = 1
        self._since = 0.0  # when the oldest of the rows that wait was taken
        self._turned = 0.0  # when the event loop last had its turn

    @property
    def late(self) -> str:
        """What a TimeoutError says."""
        return f"not done within {self.deadline.timeout:g} s" if self.deadline.timeout is not None else ""

    def with_rows(self, rows: list[Any]) -> dict[str, Any]:
        """Return the parameters of a batch of *rows*."""
        return {"rows": rows} if self._parameters is None else {**self._parameters, "rows": rows}

    async def run(
        self, link: Link, statement: str, *, extra: Mapping[str, Any] | None, lease: Lease | None
    ) -> BulkSummary:
        """Do what :meth:`ClientSession.execute_many` says."""
        check_text(statement)
        link.check_loop()
        self._link = link
        self._statement = statement
        self._extra = extra
        self._lease = lease
        self._cancellations = _cancellations()
        self.source.claim()
        try:
            await self._pass_rows()
        except BaseException as error:
            last = await self._wind_up(error)
            if last is not error:
                raise last from error
            raise
        finally:
            self.source.release()
        return self.summary

    # ---------------------------------------------------------------- from the source to the server

    async def _pass_rows(self) -> None:
        self._turned = self._loop.time()
        while True:
            self._check_time()
            batch = self._batch(await self._take())
            if not batch.rows:
                break
            await self._send(batch)
            # Rows that never suspend: let the answers come in.
            await self._turn()
        while self._flight:
            await self._wait(self._flight[0].answer)

    async def _take(self) -> list[Any]:
        """Return the rows of the next batch; none at the end."""
        while self._rests:
            if len(self._rests[-1]):
                return self._rests[-1].take()
            self._rests.pop()
        source = self.source
        time = self._loop.time
        count = self.sizing.rows
        while len(source.rows) < count and not source.ended:
            now = time()
            if source.rows and not self._flight and now - self._since >= _LINGER:
                break
            if source.suspended:
                await self._wait_for_source(now)
                if not (source.suspended and source.ready):
                    continue
            before = len(source.rows)
            try:
                source.advance(min(self._piece, count - before))
            except BaseException as error:
                self.foreign = error
                raise
            if not before:
                self._since = now
            self._pace(len(source.rows) - before, time() - now)
            if time() - self._turned > _PIECE_SECONDS:
                await self._turn()
        return source.give()

    def _pace(self, rows: int, seconds: float) -> None:
        """Take more at a time, or less: *rows* have taken so many *seconds*."""
        if seconds > _PIECE_SECONDS:
            self._piece = max(1, self._piece // 2)
        elif rows >= self._piece and seconds < _PIECE_SECONDS / 4:
            self._piece *= 2

    async def _turn(self) -> None:
        """Let the event loop do something else."""
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as cancelled:
            await self._pass_on(cancelled)
        self._turned = self._loop.time()
        self._land_done()
        self._check_time()

    async def _wait_for_source(self, now: float) -> None:
        """Wait until the source can go on, or something else has to be seen to."""
        source = self.source
        if source.waits_for is None:
            await self._turn()
            return
        linger = None
        if source.rows and not self._flight:
            linger = max(0.0, self._since + _LINGER - now)
        await self._wait(source.waits_for, linger)

    async def _pass_on(self, cancelled: asyncio.CancelledError) -> None:
        """See whom a cancellation is meant for. A source that waits may have a time limit of its own."""
        source = self.source
        if not source.suspended:
            raise cancelled
        try:
            await source.cancel(Deadline(self._loop, _GRACE_SECONDS))
        except BaseException as error:
            self.foreign = error
            raise
        cancellations = _cancellations()
        if source.suspended if cancellations is None else cancellations != self._cancellations:
            raise cancelled

    def _batch(self, rows: list[Any]) -> Batch:
        flight = self._flight
        first = flight[-1].first + flight[-1].rows if flight else self.summary.rows
        answer = self._loop.create_future()
        return Batch(self, self._statement, rows, first, self._extra, self._lease, self._group, answer)

    async def _send(self, batch: Batch) -> None:
        link = self._link
        flight = self._flight
        link._check_free(self._lease)
        try:
            link._lane.submit(batch)
        except BoltError:
            # Refused because of a batch before it, which knows why.
            while flight:
                await self._wait(flight[0].answer)
            raise
        flight.append(batch)
        # At once, so that the size of this batch tells how long the next may be.
        link._flush()
        while batch.stage == QUEUED and not batch.answer.done():
            batch.written = self._loop.create_future()
            await self._wait(batch.written, None, batch.answer)
        if batch.rest is not None:
            # All that is behind it waits for those that it had no place for.
            self._rests.append(batch.rest)
        while flight and (len(flight) >= _DEPTH or self._group.failed):
            await self._wait(flight[0].answer)

    # ---------------------------------------------------------------- answers

    async def _wait(self, future: asyncio.Future[Any], seconds: float | None = None, *more: Any) -> None:
        """Wait for *future* or one of *more*, at most so many *seconds*, seeing to what else comes.

        Raises: what the oldest batch has failed with, or a TimeoutError.
        """
        remaining = self.deadline.remaining()
        if remaining is not None:
            seconds = remaining if seconds is None else min(seconds, remaining)
        futures = [future, *more]
        if self._flight:
            futures.append(self._flight[0].answer)
        if not any(one.done() for one in futures):
            try:
                await first_of(self._loop, futures, seconds)
            except asyncio.CancelledError as cancelled:
                await self._pass_on(cancelled)
            self._turned = self._loop.time()
        self._land_done()
        if not future.done():
            self._check_time()

    def _check_time(self) -> None:
        if self.deadline.remaining() == 0.0:
            self._expired = TimeoutExpired(self.late)
            raise self._expired

    def _land_done(self) -> None:
        while self._flight and self._flight[0].answer.done():
            self._land()

    def _land(self) -> None:
        """Take the answer of the oldest batch."""
        batch = self._flight[0]
        error = batch.answer.exception()
        if isinstance(error, Carried):
            error = error.error
        if error is not None:
            self._failed = batch
            raise _renumbered(error, batch) from error.__cause__
        self._flight.popleft()
        self.summary.add(batch.rows, batch.answer.result())
        if self._progress is not None:
            try:
                self._progress(self.summary.rows, self._total)
            except BaseException as raised:
                self._progress = None
                self.foreign = raised
                raise

    # ---------------------------------------------------------------- when it fails

    async def _wind_up(self, error: BaseException) -> BaseException:
        """Give up the source and what is in flight, and return *error* with what is known.

        What is in flight is awaited first, unless the time is over or the caller is cancelled.
        """
        patient = isinstance(error, Exception) and error is not self._expired
        if isinstance(error, GeneratorExit):
            self.source.drop()
        else:
            remaining = self.deadline.remaining()
            hurry = not patient or (remaining is not None and remaining < _STOP_SECONDS)
            settle = 0.0
            if patient:
                settle = _SETTLE_SECONDS if remaining is None else min(remaining, _SETTLE_SECONDS)
            settled = Deadline(self._loop, settle)
            try:
                await self.source.stop(Deadline(self._loop, _GRACE_SECONDS if hurry else _STOP_SECONDS))
                await self._settle(error, settled)
            except asyncio.CancelledError as cancelled:
                patient = False
                if not isinstance(error, asyncio.CancelledError):
                    error = cancelled
        flight = tuple(self._flight)
        self._flight.clear()
        doubtful = sum(batch.rows for batch in flight if batch.stage != QUEUED)
        for batch in flight:
            # Gone on its own account, it may be interrupted; otherwise what was sent is to happen.
            self._link._abandon(batch, leave=patient and batch.stage != QUEUED)
            if batch.answer.done() and not batch.answer.cancelled():
                batch.answer.exception()
        if self._failed is None:
            first = self.summary.rows
            note = f"execute_many: {first} rows were done"
            if doubtful:
                note += f", and {doubtful} behind them were sent and may have been"
        else:
            first, doubtful = self._failed.first, self._failed.rows
            note = f"rows {first} to {first + doubtful - 1} (counted from 0), one batch of execute_many"
            behind = sum(batch.rows for batch in flight if _may_have_run(batch)) - doubtful
            if behind > 0:
                doubtful += behind
                note += f"; it and the {behind} rows behind it may have been done"
        vars(error).update(first_row=first, row_count=doubtful)
        _note(error, note)
        return error

    async def failed(self, error: BaseException, other: Awaitable[BaseException]) -> BaseException:
        """Return what *other* says is to be raised instead of *error*, as far as there is time to ask it."""
        try:
            final = await bounded(other, self.deadline, self.late)
        except TimeoutExpired:
            return error
        if final is not error:
            known = vars(error)
            vars(final).update((key, known[key]) for key in ("first_row", "row_count") if key in known)
            for note in getattr(error, "__notes__", ()):
                _note(final, note)
        return final

    async def _settle(self, error: BaseException, deadline: Deadline) -> None:
        """Take the answers of what is in flight, as far as they come before the *deadline*."""
        flight = self._flight
        while flight and self._failed is None:
            answer = flight[0].answer
            if not answer.done():
                if deadline.remaining() == 0.0:
                    return
                await first_of(self._loop, (answer,), deadline.remaining())
                continue
            try:
                self._land()
            except Exception as another:
                _note(error, f"then: {type(another).__name__}: {another}")


def _renumbered(error: BaseException, batch: Batch) -> BaseException:
    """Return *error*, whose path counts rows from the first of all."""
    if isinstance(error, PackError) and len(error.path) > 1 and error.path[0] == "rows":
        index = error.path[1]
        if isinstance(index, int):
            return PackError(error.reason, ("rows", batch.first + index, *error.path[2:]), error.root)
    return error


def _may_have_run(batch: Batch) -> bool:
    """Return whether *batch* was under way when the connection was lost."""
    answer = batch.answer
    return (
        answer.done()
        and not answer.cancelled()
        and getattr(answer.exception(), "may_have_run", None) is True
    )


def _note(error: BaseException, text: str) -> None:
    if hasattr(error, "add_note"):
        error.add_note(text)


def _cancellations() -> int | None:
    """Return how often the current task is being cancelled; None where Python does not tell (3.10)."""
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    return None if cancelling is None else cancelling()


def _length(rows: Any) -> int | None:
    """Return how many *rows* there are, where they know."""
    if isinstance(rows, Sized):
        try:
            return len(rows)
        except Exception:
            pass  # only progress would be told
    return None
