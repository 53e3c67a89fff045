"""Where rows come from: each kind of source gives some at a time, and never keeps the loop for long."""

from __future__ import annotations

import asyncio
import collections
import itertools
import logging
import time
import types
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from typing import Any, Final

from .errors import BadResult
from .request import Request
from .results import Result, Shape
from .threads import Worker

__all__ = [
    "AsyncSource",
    "IteratorSource",
    "SequenceSource",
    "Source",
    "Stream",
    "ThreadSource",
    "Turn",
    "source_of",
]

logger = logging.getLogger(__name__)

SLICE_ROWS: Final = 1000
SLICE_SECONDS: Final = 0.005
SLICE_BYTES: Final = 256 * 1024

_FIRST_PORTION: Final = 16
_PORTION: Final = 256

_PIECE_SECONDS: Final = 0.0005  # how long a piece of a slice should take, so that a slice ends near its time
_PIECE_ROWS: Final = 128


class Source:
    """Some rows at a time.

    Attributes:
        ended: No row is left.
        error: What the author's code raised behind the last row, or None; ``ended`` is True then.
        waits: True: rows come from ``await wait(limit)``; False: from ``take(limit)``.
    """

    waits = False

    def __init__(self) -> None:
        self.ended = False
        self.error: BaseException | None = None

    def take(self, limit: int) -> list[Any]:
        """At most ``limit`` rows, as many as one slice of the loop's time gives."""
        raise NotImplementedError

    async def wait(self, limit: int) -> list[Any]:
        """At least one row and at most ``limit``, unless the source ended."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of the author's generator, running its ``finally`` blocks. Their errors are logged."""


class SequenceSource(Source):
    """Rows that are there already."""

    def __init__(self, rows: Sequence[Any]) -> None:
        super().__init__()
        self._rows = rows
        self._position = 0
        self.ended = not rows

    def take(self, limit: int) -> list[Any]:
        end = self._position + min(limit, SLICE_ROWS)
        rows = list(self._rows[self._position : end])
        self._position = end
        self.ended = end >= len(self._rows)
        return rows


class IteratorSource(Source):
    """A generator or another iterator, stepped on the loop's thread."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        super().__init__()
        self._iterator = iterator
        self._piece = 1  # nothing is known yet about how long a row takes

    def take(self, limit: int) -> list[Any]:
        rows: list[Any] = []
        limit = min(limit, SLICE_ROWS)
        now = time.perf_counter()
        end = now + SLICE_SECONDS
        while True:
            before = len(rows)
            wanted = min(self._piece, limit - before)
            try:
                # On an exception the rows before it are in the list already.
                rows.extend(itertools.islice(self._iterator, wanted))
            except Exception as exc:
                self.error = exc
                self.ended = True
                break
            if len(rows) - before < wanted:
                self.ended = True
                break
            then, now = now, time.perf_counter()
            took = now - then
            if took > 2 * _PIECE_SECONDS:
                self._piece = max(1, int(wanted * _PIECE_SECONDS / took))
            elif took < _PIECE_SECONDS and wanted == self._piece:
                self._piece = min(2 * wanted, _PIECE_ROWS)
            if len(rows) >= limit or now >= end:
                break
        return rows

    async def close(self) -> None:
        self.ended = True
        _close(self._iterator)


def _close(iterator: Iterator[Any]) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        try:
            close()
        except Exception:
            logger.exception("closing the generator of a result failed")


@types.coroutine
def _resume(step: Generator[Any, Any, Any], waiting: Any) -> Generator[Any, Any, Any]:
    """Go on awaiting ``step``, which was left where it had yielded ``waiting``."""
    try:
        while True:
            try:
                value = yield waiting
            except BaseException as exc:
                waiting = step.throw(exc)
            else:
                waiting = step.send(value)
    except StopIteration as stop:
        return stop.value


class AsyncSource(Source):
    """An async generator or another asynchronous iterator.

    Its steps are driven by hand: where one does not wait, the next row costs a call and no round of the loop,
    and where one does, the rows before it are given out first. Then a subscription's rows reach the client at
    once.
    """

    waits = True

    def __init__(self, iterator: AsyncIterator[Any]) -> None:
        super().__init__()
        self._iterator = iterator
        self._step: Generator[Any, Any, Any] | None = None  # left where it waits
        self._waiting: Any = None

    async def wait(self, limit: int) -> list[Any]:
        rows: list[Any] = []
        limit = min(limit, SLICE_ROWS)
        following = self._iterator.__anext__
        end = time.perf_counter() + SLICE_SECONDS
        while True:
            step, self._step = self._step, None
            try:
                if step is None:
                    step = following().__await__()
                    try:
                        waiting = step.send(None)
                    except StopIteration as stop:
                        row = stop.value
                    else:
                        if rows:
                            self._step, self._waiting = step, waiting
                            return rows
                        row = await _resume(step, waiting)
                else:
                    row = await _resume(step, self._waiting)
            except StopAsyncIteration:
                self.ended = True
                return rows
            except Exception as exc:
                self.error = exc
                self.ended = True
                return rows
            rows.append(row)
            count = len(rows)
            if count >= limit or (not count & 15 and time.perf_counter() >= end):
                return rows

    async def close(self) -> None:
        self.ended = True
        step, self._step = self._step, None
        try:
            if step is not None:
                try:
                    await _resume(step, step.throw(asyncio.CancelledError()))
                except (StopIteration, StopAsyncIteration, asyncio.CancelledError):
                    pass
            aclose = getattr(self._iterator, "aclose", None)
            if aclose is not None:
                await aclose()
        except Exception:
            logger.exception("closing the async generator of a result failed")


class ThreadSource(Source):
    """A generator that is stepped in a worker thread. Rows reach the loop as soon as they are there."""

    waits = True

    def __init__(self, iterator: Iterator[Any], worker: Worker) -> None:
        super().__init__()
        self._iterator = iterator
        self._worker = worker
        self._loop = worker.loop
        self._rows: collections.deque[Any] = collections.deque()
        self._called = False  # the loop has been asked to look at the rows
        self._job: asyncio.Future[bool] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closing = False

    def _steps(self, limit: int) -> bool:
        """In the thread: put at most ``limit`` rows where the loop finds them; True when that was all."""
        rows = self._rows
        for count, row in enumerate(self._iterator, 1):
            rows.append(row)
            if not self._called:
                self._called = True
                self._loop.call_soon_threadsafe(self._wake)
            if count >= limit or self._closing:
                return False
        return True

    def _wake(self, job: asyncio.Future[bool] | None = None) -> None:
        if job is not None and not job.cancelled():
            job.exception()  # it has been looked at, also if nobody waits any more
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, limit: int) -> list[Any]:
        limit = min(limit, SLICE_ROWS)
        while True:
            self._called = False  # before looking: what comes later calls again
            if self._rows:
                return [self._rows.popleft() for _ in range(min(limit, len(self._rows)))]
            if self._job is None:
                self._job = self._worker.submit(self._steps, limit)
                self._job.add_done_callback(self._wake)
            elif self._job.done():
                # The job's rows were there before it was done, and there are none: it is told of last.
                job, self._job = self._job, None
                self.error = job.exception()
                if self.error is not None or job.result():
                    self.ended = True
                    return []
                continue
            self._waiter = self._loop.create_future()
            try:
                if not self._called and not self._job.done():
                    await self._waiter
            finally:
                self._waiter = None

    async def close(self) -> None:
        self.ended = True
        self._closing = True
        self._rows.clear()
        closed = self._worker.submit(_close, self._iterator)
        if self._job is None or self._job.done():
            await closed
        # Else the thread is in the author's code, perhaps for long: it closes the generator when it comes
        # back.


def source_of(records: Any, worker: Worker | None) -> Source:
    """The source for what ``run`` gave. ``worker``: the thread that ``run`` ran in, or None."""
    if isinstance(records, (list, tuple)):
        return SequenceSource(records)
    if hasattr(records, "__aiter__"):
        return AsyncSource(records.__aiter__())
    if worker is not None:
        return ThreadSource(iter(records), worker)
    return IteratorSource(iter(records))


class Turn:
    """What a stream has used up of one turn of the loop: at most 1,000 rows, 256 KiB or 5 ms."""

    __slots__ = ("_end", "rows", "size")

    def __init__(self, now: float) -> None:
        self._end = now + SLICE_SECONDS
        self.rows = 0
        self.size = 0

    def over(self, now: float) -> bool:
        """Whether the loop should run."""
        return self.rows >= SLICE_ROWS or self.size >= SLICE_BYTES or now >= self._end


class Stream:
    """The answer to one RUN, until its last row has been sent.

    Attributes:
        fields: The names of the columns.
        request: What the client said about the statement.
        summary: As in :class:`Result`.
        drain: As in :class:`Result`.
        sent: How many rows the client got.
        portion: How many rows to take next: few until it is known how large they are.
        opened: When, by the loop's clock.
    """

    __slots__ = ("_held", "_shape", "_source", "drain", "opened", "portion", "request", "sent", "summary")

    def __init__(self, result: Any, request: Request, worker: Worker | None, now: float) -> None:
        self.request = request
        self.opened = now
        self.sent = 0
        self.portion = _FIRST_PORTION
        self.summary: Any = None
        self.drain = False
        self._held: list[Any] = []  # rows that were taken before the client asked
        self._shape: Shape | None = None
        if isinstance(result, Result):
            self._declare(result)
            self._source = source_of(result.records, worker)
        elif hasattr(result, "__next__") or hasattr(result, "__aiter__"):
            self._source = source_of(result, worker)
        else:
            self._shape = Shape(("value",))
            self._source = SequenceSource([(result,)])

    def _declare(self, result: Result) -> None:
        self._shape = Shape(result.fields)
        self.summary = result.summary
        self.drain = result.drain

    @property
    def fields(self) -> tuple[str, ...]:
        return () if self._shape is None else self._shape.fields

    @property
    def declared(self) -> bool:
        """Whether the columns are known; if not, :meth:`meet` must be told of the first row."""
        return self._shape is not None

    @property
    def waits(self) -> bool:
        """Whether rows come from :meth:`wait` or from :meth:`take`."""
        return self._source.waits and not self._held

    @property
    def closing_waits(self) -> bool:
        """Whether :meth:`close` has to be awaited in a task."""
        return self._source.waits

    @property
    def ended(self) -> bool:
        return self._source.ended and not self._held

    @property
    def error(self) -> BaseException | None:
        """What the author's code raised behind the last row."""
        return None if self._held else self._source.error

    def meet(self, rows: list[Any]) -> None:
        """Learn the columns from the first thing that was yielded. ``rows``: that, or nothing at all."""
        if self._source.error is not None:
            raise self._source.error
        if not rows:
            self._shape = Shape(())
            return
        first = rows[0]
        if isinstance(first, Result):
            self._declare(first)
            if not isinstance(first.records, tuple) or first.records:
                raise BadResult("a Result that is yielded names columns only: yield its rows one by one")
        elif isinstance(first, Mapping):
            names = tuple(first)
            for name in names:
                if not isinstance(name, str):
                    raise BadResult(f"the keys of row 0 must be str, not {type(name).__name__}")
            self._shape = Shape(names)
            self._held = rows
        else:
            raise BadResult(
                f"row 0 is a {type(first).__name__} and the columns have no names: yield dicts, or return"
                " Result(fields, rows), or yield Result(fields) first"
            )

    def take(self, limit: int) -> list[Any]:
        """Rows as they were yielded, from a source that does not wait."""
        if self._held:
            held, self._held = self._held, []
            return held
        return self._source.take(limit)

    async def wait(self, limit: int) -> list[Any]:
        """Rows as they were yielded, from a source that may wait."""
        return await self._source.wait(limit)

    def fit(self, rows: list[Any]) -> tuple[list[Any], BadResult | None]:
        """The rows as records, up to the first that is none, and what is wrong with that."""
        assert self._shape is not None
        return self._shape.fit(rows, self.sent)

    def note_sent(self, count: int, size: int) -> None:
        """Learn from ``count`` rows that took ``size`` bytes."""
        self.sent += count
        if size:
            self.portion = max(1, min(_PORTION, count * SLICE_BYTES // size))

    async def close(self) -> None:
        """Close the author's generator, wherever it is."""
        self._held = []
        await self._source.close()
