"""Results that are read as they come, and the list that ``fetch`` returns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from .._hints import AsyncRows, check_parameters, check_text
from .._options import MOST, seconds
from .._options import fetch_size as fitting_size
from ..exceptions import LocalProtocolError, ResultConsumedError, ResultFailedError
from .lane import Group, Lease, Statement

if TYPE_CHECKING:
    from types import TracebackType

    from .link import Link
    from .session import ClientSession

__all__ = ["BatchStream", "ClientResponse", "FetchResult", "RunStream"]

# So many received pieces (one read each, up to 256 KiB) may wait for a slow reader, however few rows they
# hold.
_MOST_PIECES: Final = 64
# A PULL may be for so many times as many rows as the first one. Behind each the connection idles for a round
# trip: at 1000 rows that is an eighth of a fast server's time on one machine, at 16,000 next to nothing.
_MOST_GROWTH: Final = 16


class ClientResponse(NamedTuple):
    """What ``run`` yields: a record, or at the end (with ``get_eof``) the summary.

    ``fields`` is a list of values, None at the end; ``metadata`` what the server said about the statement
    (its RUN for a record, its PULL at the end); ``eof`` is True at the end.
    """

    fields: list[Any] | None
    metadata: dict[str, Any]
    eof: bool


class FetchResult(list[tuple[Any, ...]]):
    """Every row of a result: a list of tuples that also knows their names and the summary."""

    __slots__ = ("metadata", "summary")

    metadata: dict[str, Any]
    """What the server said to RUN."""
    summary: dict[str, Any]
    """What the server said at the end: ``type``, ``stats``, ``bookmark`` ..."""

    def __init__(self) -> None:
        super().__init__()
        self.metadata = {}
        self.summary = {}

    @property
    def fields(self) -> list[str]:
        """The names of the columns."""
        fields: list[str] = self.metadata.get("fields") or []
        return fields


class FetchJob(Statement):
    """A statement whose rows are collected in one list."""

    __slots__ = ("result",)

    def __init__(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None,
        extra: Mapping[str, Any] | None,
        lease: Lease | None,
    ) -> None:
        super().__init__(statement, parameters, extra, lease=lease)
        self.result = FetchResult()

    def on_rows(self, rows: list[tuple[Any, ...]]) -> None:
        # One list for the whole result, one call per received run of rows.
        self.result += rows

    def on_run(self, metadata: dict[str, Any]) -> None:
        self.result.metadata = metadata

    def on_done(self, summary: dict[str, Any]) -> None:
        result = self.result
        result.summary = summary
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(result)


class StreamJob(Statement):
    """A statement whose rows wait here until somebody takes them."""

    __slots__ = ("buffered", "error", "least", "mark", "metadata", "most", "pieces", "reader", "summary")

    def __init__(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None,
        extra: Mapping[str, Any] | None,
        *,
        fetch_size: int,
        mark: int,
        lease: Lease | None,
        group: Group | None = None,
        growth: int = 1,
    ) -> None:
        super().__init__(statement, parameters, extra, fetch_size=fetch_size, lease=lease)
        self.group = group
        self.mark = mark
        self.least = fetch_size
        self.most = min(fetch_size * growth, MOST)
        self.pieces: deque[list[tuple[Any, ...]]] = deque()
        self.buffered = 0
        self.metadata: dict[str, Any] = {}
        self.summary: dict[str, Any] | None = None
        self.error: BaseException | None = None
        self.reader: asyncio.Future[None] | None = None

    def full(self) -> bool:
        # One piece is what the last read brought, however many rows it held: its reader is not behind.
        waiting = len(self.pieces)
        return waiting > 1 and (self.buffered >= self.mark or waiting >= _MOST_PIECES)

    def wake(self) -> None:
        reader = self.reader
        if reader is not None and not reader.done():
            reader.set_result(None)

    def on_run(self, metadata: dict[str, Any]) -> None:
        self.metadata = metadata
        self.wake()

    def on_rows(self, rows: list[tuple[Any, ...]]) -> None:
        self.pieces.append(rows)
        self.buffered += len(rows)
        self.wake()

    def on_more(self) -> None:
        # Step by step, so that who leaves early need not wait for much more than what was read already. A
        # reader that is behind holds up the server in the middle of a PULL: then a short one is better.
        self.fetch_size = self.least if len(self.pieces) > 1 else min(4 * self.fetch_size, self.most)

    def on_done(self, summary: dict[str, Any]) -> None:
        self.summary = summary
        self.wake()

    def on_error(self, error: BaseException) -> None:
        self.error = error
        self.wake()


class _Stream(AsyncRows):
    """What both kinds of result have in common: starting, waiting, leaving."""

    __slots__ = ("__weakref__", "_ended", "_jobs", "_session", "_timeout")

    def __init__(self, session: Link, timeout: float | None) -> None:
        self._session = session
        self._timeout = None if timeout is None else seconds("timeout", timeout)
        self._jobs: deque[StreamJob] | None = None  # None: not sent yet
        self._ended: BaseException | bool = False

    def _submit(self) -> deque[StreamJob]:
        raise NotImplementedError

    def _start(self) -> deque[StreamJob]:
        jobs = self._jobs
        if jobs is None:
            jobs = self._jobs = self._submit()
        return jobs

    def _check_ended(self) -> None:
        ended = self._ended
        if ended is True:
            raise StopAsyncIteration
        if isinstance(ended, asyncio.CancelledError):
            raise ResultConsumedError(
                self, "reading this result was cancelled, so the rest of it was given up"
            ) from None
        if isinstance(ended, BaseException):
            raise ResultFailedError(self, f"this result has failed: {ended}") from ended

    async def _wait(self, job: StreamJob) -> None:
        """Wait until *job* has something new."""
        if job.reader is not None:
            raise LocalProtocolError("another task is reading this result")
        session = self._session
        reader = job.reader = session.loop.create_future()
        try:
            await session._bounded(reader, self._timeout)
        except BaseException as error:
            # Nobody knows what was read: better no result than one with a hole.
            self._ended = error
            self._give_up(leave=False)
            raise
        finally:
            job.reader = None

    def _give_up(self, *, leave: bool) -> None:
        jobs = self._jobs
        if jobs:
            for job in jobs:
                self._session._abandon(job, leave=leave)
            jobs.clear()

    async def aclose(self) -> None:
        """Leave the result: what is left of it is discarded. The statement itself runs to its end."""
        if self._ended is False:
            self._ended = True
        if self._jobs is None:
            self._jobs = deque()
        for job in self._jobs:
            reader = job.reader
            if reader is not None and not reader.done():
                reader.set_exception(ResultConsumedError(self, "another task left this result"))
        self._give_up(leave=True)

    def __del__(self) -> None:
        if getattr(self, "_jobs", None):
            self._session._leave_later(tuple(self._jobs or ()))


class BatchStream(_Stream):
    """The rows of a statement, as lists of tuples in the portions in which they arrive.

    Iterate over it with ``async for``; ``async with`` closes it at the end of the block. Leaving it early, in
    whatever way, discards the rest.
    """

    __slots__ = ("_extra", "_fetch_size", "_growth", "_job", "_lease", "_mark", "_parameters", "_statement")

    def __init__(
        self,
        session: Link,
        statement: str,
        parameters: Mapping[str, Any] | None,
        extra: Mapping[str, Any] | None,
        *,
        fetch_size: int | None,
        lease: Lease | None,
        timeout: float | None,
    ) -> None:
        check_text(statement)
        check_parameters(parameters)
        super().__init__(session, timeout)
        # In a transaction streams take turns: there one is not to keep the others waiting.
        self._growth = _MOST_GROWTH if fetch_size is None and lease is None else 1
        if fetch_size is None:
            fetch_size = session._fetch_size
        else:
            fetch_size = fitting_size(fetch_size)
        self._statement = statement
        self._parameters = parameters
        self._extra = extra
        self._fetch_size = fetch_size
        self._lease = lease
        self._job: StreamJob | None = None

    def _submit(self) -> deque[StreamJob]:
        session = self._session
        size = self._fetch_size
        self._job = StreamJob(
            self._statement,
            self._parameters,
            self._extra,
            # Bolt 1 - 3 have PULL_ALL only: there the transport is paused instead.
            fetch_size=size if session._streams else -1,
            mark=2 * (size if size > 0 else session._fetch_size),
            lease=self._lease,
            growth=self._growth,
        )
        session._submit(self._job)
        self._parameters = None
        return deque((self._job,))

    @property
    def fields(self) -> list[str]:
        """The names of the columns; empty before the first batch."""
        fields: list[str] = self.metadata.get("fields") or []
        return fields

    @property
    def metadata(self) -> dict[str, Any]:
        """What the server said to RUN; empty before the first batch."""
        return self._job.metadata if self._job is not None else {}

    @property
    def summary(self) -> dict[str, Any] | None:
        """What the server said at the end; None before the last batch."""
        return self._job.summary if self._job is not None else None

    def __aiter__(self) -> BatchStream:
        return self

    async def __aenter__(self) -> BatchStream:
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __anext__(self) -> list[tuple[Any, ...]]:
        if self._ended:
            self._check_ended()
        jobs = self._jobs if self._jobs is not None else self._start()
        job = jobs[0]
        while True:
            if job.pieces:
                full = job.full()
                rows = job.pieces.popleft()
                job.buffered -= len(rows)
                if full and not job.full():
                    self._session._drained(job)
                return rows
            if job.error is not None:
                self._ended = job.error
                jobs.clear()
                raise job.error
            if job.summary is not None:
                self._ended = True
                jobs.clear()
                raise StopAsyncIteration
            await self._wait(job)


class RunStream(_Stream):
    """The records of a statement, and of those that were pipelined before it, one by one.

    Iterate over it with ``async for``; ``async with`` closes it at the end of the block. It is sent when the
    first record is asked for.
    """

    __slots__ = ("_arguments", "_get_eof", "_lease", "_metadata", "_rows", "ignored")

    def __init__(
        self,
        session: ClientSession,
        arguments: tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None] | None,
        *,
        get_eof: bool,
        lease: Lease | None,
        timeout: float | None,
    ) -> None:
        if arguments is not None:
            check_text(arguments[0])
            check_parameters(arguments[1])
        super().__init__(session, timeout)
        self._arguments = arguments
        self._get_eof = get_eof
        self._lease = lease
        self._metadata: dict[str, Any] = {}
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.ignored = 0
        """How many pipelined statements were ignored because one before them failed."""

    def _submit(self) -> deque[StreamJob]:
        session = cast("ClientSession", self._session)
        if self._arguments is not None:
            session._check_free(self._lease)
        jobs, group = session._take_pipeline() if self._lease is None else ([], None)
        if self._arguments is not None:
            statement, parameters, extra = self._arguments
            job = StreamJob(
                statement,
                parameters,
                extra,
                fetch_size=-1,
                mark=2 * session._fetch_size,
                lease=self._lease,
                group=group,
            )
            try:
                session._submit(job)
            except BaseException:
                for queued in jobs:
                    session._abandon(queued, leave=True)
                raise
            jobs.append(job)
            self._arguments = None
        return deque(jobs)

    def __aiter__(self) -> RunStream:
        return self

    async def __aenter__(self) -> RunStream:
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rows = iter(())
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the result: what is left of it is discarded. The statements themselves run to their end."""
        self._rows = iter(())
        await super().aclose()

    async def __anext__(self) -> ClientResponse:
        for row in self._rows:
            return ClientResponse(list(row), self._metadata, False)
        return await self._next_piece()

    async def _next_piece(self) -> ClientResponse:
        if self._ended:
            self._check_ended()
        jobs = self._jobs if self._jobs is not None else self._start()
        while jobs:
            job = jobs[0]
            if job.pieces:
                full = job.full()
                rows = job.pieces.popleft()
                job.buffered -= len(rows)
                if full and not job.full():
                    self._session._drained(job)
                self._metadata = job.metadata
                self._rows = iter(rows)
                return ClientResponse(list(next(self._rows)), self._metadata, False)
            if job.error is not None:
                error = self._ended = job.error
                self.ignored = len(jobs) - 1
                jobs.clear()
                raise error
            if job.summary is not None:
                jobs.popleft()
                if self._get_eof:
                    return ClientResponse(None, job.summary, True)
                continue
            await self._wait(job)
        self._ended = True
        raise StopAsyncIteration
