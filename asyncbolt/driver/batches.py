"""The batch path: rows as tuples, without Records."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from .._hints import AsyncRows
from ..client.lane import Lease, Statement
from ..client.stream import FetchJob, FetchResult
from ..exceptions import LocalProtocolError, ResultConsumedError
from .result import AsyncResult, QueryWatch, remark_on

if TYPE_CHECKING:
    from types import TracebackType

    from .connection import Connection

__all__ = ["Batches", "execute", "fetch"]


async def fetch(
    connection: Connection,
    query: str,
    parameters: Mapping[str, Any] | None,
    *,
    extra: Mapping[str, Any] | None = None,
    lease: Lease | None = None,
    mode: str | None = None,
    severity: str | None = None,
) -> FetchResult:
    """Run *query* and return all its rows."""
    job = FetchJob(query, parameters, extra, lease)
    result: FetchResult = await _watched(connection, job, query, parameters, mode)
    remark_on(connection, result.summary, query, severity)
    return result


async def execute(
    connection: Connection,
    query: str,
    parameters: Mapping[str, Any] | None,
    *,
    extra: Mapping[str, Any] | None = None,
    lease: Lease | None = None,
    mode: str | None = None,
    severity: str | None = None,
) -> dict[str, Any]:
    """Run *query*, discard its rows, and return the summary's metadata."""
    job = Statement(query, parameters, extra, discard=True, lease=lease)
    summary: dict[str, Any] = await _watched(connection, job, query, parameters, mode)
    remark_on(connection, summary, query, severity)
    return summary


async def _watched(
    connection: Connection, job: Statement, query: str, parameters: Any, mode: str | None
) -> Any:
    watch = QueryWatch.of(connection, query, parameters, mode, job.lease is not None)
    if watch is None:
        return await connection.request(job)
    error: BaseException | None = None
    rows = 0
    summary: Mapping[str, Any] = {}
    try:
        answer = await connection.request(job)
        if isinstance(answer, FetchResult):
            rows = len(answer)
            summary = answer.summary
        else:
            summary = answer
        return answer
    except BaseException as exception:
        error = exception
        raise
    finally:
        database = summary.get("db")
        watch.end(rows, error, database if isinstance(database, str) else None)


class Batches(AsyncRows):
    """The rows of a query, as lists of tuples in the portions in which they arrive.

    Iterate over it with ``async for``; ``async with`` closes it at the end of the block. Leaving it early
    discards the rest of the rows.
    """

    __slots__ = ("_arguments", "_closed", "_result", "_start", "_starting")

    def __init__(
        self, start: Callable[..., Coroutine[Any, Any, AsyncResult]], *arguments: Any
    ) -> None:
        self._start = start
        self._arguments = arguments
        self._result: AsyncResult | None = None
        self._closed = False
        self._starting = False

    @property
    def fields(self) -> list[str]:
        """The names of the columns; empty before the first batch."""
        return [] if self._result is None else self._result.keys()

    @property
    def metadata(self) -> dict[str, Any]:
        """What the server said to the query; empty before the first batch."""
        return {} if self._result is None else self._result._job.metadata

    @property
    def summary(self) -> dict[str, Any] | None:
        """What the server said at the end; None before."""
        result = self._result
        return result._job.summary if result is not None and result._job.done else None

    def __aiter__(self) -> Batches:
        return self

    async def __aenter__(self) -> Batches:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __anext__(self) -> list[tuple[Any, ...]]:
        if self._closed:
            raise StopAsyncIteration
        result = self._result
        if result is None:
            if self._starting:
                raise LocalProtocolError("another task is reading this result")
            self._starting = True
            try:
                result = self._result = await self._start(*self._arguments)
            finally:
                self._starting = False
            if self._closed:
                await result._exhaust(ending=True)
                raise ResultConsumedError(result, "another task left this result before it was there")
        result._check_readable()
        rows = await result._piece()
        if rows is None:
            raise StopAsyncIteration
        return rows

    async def aclose(self) -> None:
        """Leave the result: what is left of it is discarded."""
        self._closed = True
        result = self._result
        if result is not None and not result._ended and not result._out_of_scope:
            await result._exhaust(ending=True)
