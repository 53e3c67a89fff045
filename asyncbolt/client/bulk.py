"""Many rows through one statement, in batches."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any, Final

from .._hints import check_parameters, check_text
from .._options import seconds, whole
from ..aio._clock import Deadline, TimeoutExpired
from ..exceptions import BoltError, PackError
from .lane import Group, Lease, Statement

if TYPE_CHECKING:
    from .link import Link

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "BulkSummary", "execute_many"]

BATCH_ROWS: Final = 1000
BATCH_BYTES: Final = 1024 * 1024

# Batches that are packed or on their way at once.
_DEPTH: Final = 8
# Nothing is known about the size of the first rows; each batch may then be so many times as long as the last.
_FIRST: Final = 16
_GROWTH: Final = 8


class BulkSummary:
    """What :meth:`ClientSession.execute_many` did.

    Attributes:
        rows: how many rows were sent.
        batches: in how many batches.
        stats: the server's counters, added up: ``nodes-created`` ...
        bookmarks: those of the batches (auto-commit only), oldest first.
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
    """One batch: where its rows stand among all, and how many bytes it took."""

    __slots__ = ("first", "rows", "size")

    def __init__(
        self,
        statement: str,
        parameters: Mapping[str, Any],
        extra: Mapping[str, Any] | None,
        first: int,
        rows: int,
        lease: Lease | None,
        group: Group,
        waiter: asyncio.Future[Any],
    ) -> None:
        super().__init__(statement, parameters, extra, discard=True, lease=lease, waiter=waiter)
        self.group = group
        self.first = first
        self.rows = rows
        self.size = 0

    def send(self, connection: Any) -> Any:
        requests = super().send(connection)
        self.size = len(requests[0].data)
        return requests


async def execute_many(
    link: Link,
    statement: str,
    rows: Iterable[Any] | AsyncIterable[Any],
    *,
    batch_rows: int,
    batch_bytes: int,
    parameters: Mapping[str, Any] | None,
    progress: Callable[[int, int | None], object] | None,
    timeout: float | None,
    extra: Mapping[str, Any] | None,
    lease: Lease | None,
) -> BulkSummary:
    """Do what :meth:`ClientSession.execute_many` says."""
    batch_rows = whole("batch_rows", batch_rows)
    batch_bytes = whole("batch_bytes", batch_bytes)
    if timeout is not None:
        timeout = seconds("timeout", timeout)
    check_text(statement)
    check_parameters(parameters)
    if parameters is not None and "rows" in parameters:
        raise ValueError("the parameter $rows is what the batches are passed in")
    loop = link.loop
    deadline = Deadline(loop, timeout)
    total = len(rows) if isinstance(rows, Sized) else None
    summary = BulkSummary()
    group = Group()
    flight: deque[tuple[Batch, asyncio.Future[Any]]] = deque()
    take = _taker(rows)
    size = min(batch_rows, _FIRST)
    first = 0

    async def land() -> None:
        """Wait for the oldest batch."""
        batch, future = flight[0]
        try:
            answer = await link._bounded(future, deadline.remaining())
        except asyncio.CancelledError:
            raise
        except TimeoutExpired:
            raise TimeoutExpired(f"not done within {timeout} s") from None
        except Exception as error:
            raise _located(error, batch) from error.__cause__
        flight.popleft()
        summary.add(batch.rows, answer)
        if progress is not None:
            progress(summary.rows, total)

    try:
        while True:
            chunk = await take(size)
            if not chunk:
                break
            future: asyncio.Future[Any] = loop.create_future()
            batch = Batch(
                statement,
                {"rows": chunk} if parameters is None else {**parameters, "rows": chunk},
                extra,
                first,
                len(chunk),
                lease,
                group,
                future,
            )
            first += len(chunk)
            link._check_free(lease)
            try:
                link._lane.submit(batch)
            except BoltError:
                # Refused because of a batch before it, which knows why.
                while flight:
                    await land()
                raise
            flight.append((batch, future))
            # At once, so that the size of this batch tells how long the next may be.
            link._flush()
            del chunk
            if batch.size:
                fitting = batch_bytes * batch.rows // batch.size
                size = max(1, min(batch_rows, fitting, size * _GROWTH))
            while flight and (len(flight) >= _DEPTH or flight[0][1].done()):
                await land()
            # Rows from a plain iterator never suspend: let the answers come in.
            await asyncio.sleep(0)
            if deadline.remaining() == 0.0:
                raise TimeoutExpired(f"not done within {timeout} s")
        while flight:
            await land()
    except BaseException as error:
        # Gone on its own account, it may be interrupted; otherwise what was sent is to happen.
        leave = not isinstance(error, (asyncio.CancelledError, TimeoutExpired))
        for batch, future in flight:
            link._abandon(batch, leave=leave)
            if future.done() and not future.cancelled():
                future.exception()
        raise
    return summary


def _taker(rows: Iterable[Any] | AsyncIterable[Any]) -> Callable[[int], Any]:
    """Return a coroutine function that takes the next so many rows as a list."""
    if isinstance(rows, AsyncIterable):
        asynchronous: AsyncIterator[Any] = rows.__aiter__()

        async def take_async(count: int) -> list[Any]:
            chunk = []
            async for row in asynchronous:
                chunk.append(row)
                if len(chunk) == count:
                    break
            return chunk

        return take_async

    plain: Iterator[Any] = iter(rows)

    async def take(count: int) -> list[Any]:
        return list(itertools.islice(plain, count))

    return take


def _located(error: Exception, batch: Batch) -> Exception:
    """Return *error* with the rows that it is about."""
    if isinstance(error, PackError) and len(error.path) > 1 and error.path[0] == "rows":
        index = error.path[1]
        if isinstance(index, int):
            error = PackError(error.reason, ("rows", batch.first + index, *error.path[2:]), error.root)
    vars(error).update(first_row=batch.first, row_count=batch.rows)
    note = f"rows {batch.first} to {batch.first + batch.rows - 1} (counted from 0), one batch of execute_many"
    if hasattr(error, "add_note"):
        error.add_note(note)
    return error
