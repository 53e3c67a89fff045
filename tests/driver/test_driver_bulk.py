"""execute_many at the driver level: tried again, limited in time, and who is told what."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import csv
import io
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import driver_of, serving, until
from wire_server import WireServer

import asyncbolt
from asyncbolt.exceptions import (
    ConstraintError,
    ServiceUnavailable,
    SessionError,
    SessionExpired,
    TransactionError,
    TransientError,
)

COUNT = 300


class Loads(asyncbolt.ServerSession):
    """Keeps the rows of what is committed. The *fails_at*-th statement of all fails, for once."""

    kept: list[Any] = []
    fails_at: set[int] = set()
    fails_at_commit = 0
    calls = 0
    silent: asyncio.Event | None = None
    bookmarks = 0

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        cls = type(self)
        if cls.silent is not None:
            await cls.silent.wait()
        if statement == "CLOSE":
            assert self.transport is not None
            self.transport.abort()
        cls.calls += 1
        if cls.calls in cls.fails_at:
            raise TransientError("a deadlock", code="Neo.TransientError.Transaction.DeadlockDetected")
        rows = parameters.get("rows", [])
        request = self.request
        if request is not None and request.transaction is not None:
            self.pending += rows
        else:
            cls.kept += rows
        return asyncbolt.Result([], [])

    pending: list[Any] = []

    async def begin(self, *_: Any) -> None:
        self.pending = []

    async def commit(self, *_: Any) -> Any:
        cls = type(self)
        if cls.fails_at_commit:
            cls.fails_at_commit -= 1
            raise TransientError("not now", code="Neo.TransientError.Transaction.DeadlockDetected")
        cls.kept += self.pending


@contextlib.asynccontextmanager
async def loading(scheme: str = "bolt", **options: Any) -> AsyncIterator[asyncbolt.AsyncSession]:
    """A session of a driver, with a fresh :class:`Loads` behind it."""
    Loads.kept = []
    Loads.calls = Loads.fails_at_commit = 0
    Loads.fails_at = set()
    Loads.silent = None
    async with (
        serving(Loads) as port,
        driver_of(port, scheme, initial_retry_delay=0.001, **options) as driver,
        driver.session() as session,
    ):
        yield session


def unit(make: Callable[[], Any], **options: Any) -> Any:
    async def load(tx: asyncbolt.AsyncManagedTransaction) -> Any:
        return await tx.execute_many("LOAD", make(), batch_rows=50, **options)

    return load


def always(rows: Any) -> Callable[[], Any]:
    return lambda: rows


async def later(rows: Any) -> AsyncIterator[Any]:
    for row in rows:
        yield row


class Again:
    def __iter__(self) -> Iterator[int]:
        yield from range(COUNT)


class AgainLater:
    async def __aiter__(self) -> AsyncIterator[int]:
        for row in range(COUNT):
            yield row


class OnceInDisguise:
    """Says that it can be read again, and goes on where it was."""

    def __init__(self) -> None:
        self._rows = iter(range(COUNT))

    def __iter__(self) -> Iterator[int]:
        return self._rows


class OnceLater:
    """An asynchronous iterator that is no generator."""

    def __init__(self) -> None:
        self._rows = iter(range(COUNT))

    def __aiter__(self) -> OnceLater:
        return self

    async def __anext__(self) -> int:
        for row in self._rows:
            return row
        raise StopAsyncIteration


LINES = "\n".join(map(str, range(COUNT)))


def once(kind: str) -> Callable[[], Any]:
    """Return what makes rows of what can be read once only."""
    rows = iter(range(COUNT))
    async_rows = later(range(COUNT))
    lines = io.StringIO("n\n" + LINES)
    made: dict[str, Callable[[], Any]] = {
        "generator": always(row for row in range(COUNT)),
        "async generator": always(async_rows),
        "iterator": always(rows),
        "map": always(map(abs, range(COUNT))),
        "zip": always(zip(range(COUNT), strict=False)),
        "enumerate": always(enumerate(range(COUNT))),
        "islice": always(itertools.islice(range(COUNT), COUNT)),
        "tee": always(itertools.tee(range(COUNT))[0]),
        "file": always(lines),
        "csv": always(csv.reader(lines)),
        "disguise": always(OnceInDisguise()),
        "async iterator": always(OnceLater()),
        # Made inside, of what is not.
        "inner generator expression": lambda: (row for row in rows),
        "inner async generator expression": lambda: (row async for row in async_rows),
        "inner map": lambda: map(abs, rows),
        "inner nested": lambda: enumerate(filter(None, itertools.chain([0], map(abs, rows)))),
        "inner zip": lambda: zip(itertools.count(), rows, strict=False),
        "inner csv": lambda: csv.DictReader(lines),
        "repeat": always(itertools.repeat(1, COUNT)),
    }
    return made[kind]


ONCE = [
    "generator", "async generator", "iterator", "map", "zip", "enumerate", "islice", "tee", "file", "csv",
    "disguise", "async iterator", "inner generator expression", "inner async generator expression",
    "inner map", "inner nested", "inner zip", "inner csv", "repeat",
]  # fmt: skip


@pytest.mark.parametrize("kind", ONCE)
@pytest.mark.parametrize("when", ["first", "third", "commit"])
@aiotest
async def test_what_can_be_read_once_is_not_read_by_two_tries(kind: str, when: str) -> None:
    async with loading() as session:
        Loads.fails_at = {"first": {1}, "third": {3}}.get(when, set())
        Loads.fails_at_commit = when == "commit"
        with pytest.raises(TransactionError, match="pass a list, or make the iterator inside") as caught:
            await session.execute_write(unit(once(kind)))
        assert isinstance(caught.value.__cause__, TransientError)
        assert Loads.kept == []
        # Nothing is left over.
        assert (await session.execute_write(unit(always([1, 2])))).rows == 2
        assert Loads.kept == [1, 2]


@pytest.mark.parametrize("kind", ONCE)
@aiotest
async def test_what_can_be_read_once_will_do_for_one_try(kind: str) -> None:
    async with loading() as session:
        assert (await session.execute_write(unit(once(kind)))).rows >= COUNT - 1
        assert len(Loads.kept) >= COUNT - 1


NUMBERS = list(range(COUNT))
TEED = itertools.tee(range(COUNT), 1)[0]
IDS = itertools.count()

MANY: dict[str, Callable[[], Any]] = {
    "list": always(NUMBERS),
    "tuple": always(tuple(NUMBERS)),
    "range": always(range(COUNT)),
    "keys": always(dict.fromkeys(NUMBERS).keys()),
    "values": always(dict(zip(NUMBERS, NUMBERS, strict=True)).values()),
    "set": always(frozenset(NUMBERS)),
    "iterable": always(Again()),
    "async iterable": always(AgainLater()),
    "new iterator": lambda: iter(NUMBERS),
    "new generator": lambda: (row for row in NUMBERS),
    "new async generator": lambda: later(NUMBERS),
    "new async generator expression": lambda: (row async for row in later(NUMBERS)),
    "new map": lambda: map(abs, NUMBERS),
    "copy of tee": lambda: copy.copy(TEED),
    # What they share has no end, and so nothing that could be missing.
    "shared count": lambda: (row for row, _ in zip(NUMBERS, IDS, strict=False)),
    "shared count, zip": lambda: map(max, zip(NUMBERS, itertools.repeat(-1), strict=False)),
    "new csv": lambda: map(int, itertools.chain.from_iterable(csv.reader(io.StringIO(LINES)))),
}


@pytest.mark.parametrize("kind", MANY)
@pytest.mark.parametrize("tries", [{1}, {3, 8}, {COUNT // 50 + 1}], ids=str)
@aiotest
async def test_what_can_be_read_again_is(kind: str, tries: set[int]) -> None:
    async with loading() as session:
        Loads.fails_at = tries
        assert (await session.execute_write(unit(MANY[kind]))).rows == COUNT
        assert sorted(Loads.kept) == NUMBERS


@aiotest
async def test_an_iterator_that_the_failed_try_did_not_read_is_as_good_as_new() -> None:
    async with loading() as session:
        rows = iter(range(COUNT))
        nothing = iter([])

        async def work(tx: asyncbolt.AsyncManagedTransaction) -> None:
            await tx.execute_many("LOAD", nothing)
            await tx.execute("WHATEVER")
            await tx.execute_many("LOAD", rows)

        Loads.fails_at = {1}
        await session.execute_write(work)
        assert Loads.kept == NUMBERS


@aiotest
async def test_rows_that_raise_what_may_be_tried_again() -> None:
    """Such as rows that come out of another database."""

    def rows() -> Iterator[int]:
        yield from range(120)
        raise TransientError("of another", code="Neo.TransientError.Transaction.DeadlockDetected")

    async with loading() as session:
        with pytest.raises(TransactionError, match="pass a list") as caught:
            await session.execute_write(unit(always(rows())))
        cause: Any = caught.value.__cause__
        assert str(cause).endswith("of another") and (cause.first_row, cause.row_count) == (116, 0)
        assert Loads.kept == []


@aiotest
async def test_two_at_once_in_a_unit_of_work() -> None:
    async with loading() as session:
        rows = iter(range(COUNT))

        async def work(tx: asyncbolt.AsyncManagedTransaction) -> list[Any]:
            loads = [tx.execute_many("LOAD", rows), tx.execute_many("LOAD", rows)]
            return await asyncio.gather(*loads, return_exceptions=True)

        done = await session.execute_write(work)
        assert done[0].rows == COUNT and isinstance(done[1], asyncbolt.LocalProtocolError)


# ---------------------------------------------------------------- errors


@aiotest
async def test_what_a_failed_batch_held_is_told() -> None:
    async with loading() as session:
        Loads.fails_at = {3}
        with pytest.raises(TransientError) as caught:
            await session.execute_many("LOAD", range(COUNT), batch_rows=50)
        assert (caught.value.first_row, caught.value.row_count) == (66, 50)  # type: ignore[attr-defined]
        assert Loads.kept == list(range(66))
        Loads.fails_at = {Loads.calls + 3}
        with pytest.raises(TransientError) as caught:
            async with await session.begin_transaction() as tx:
                await tx.execute_many("LOAD", range(COUNT), batch_rows=50)
        assert (caught.value.first_row, caught.value.row_count) == (66, 50)  # type: ignore[attr-defined]
        assert Loads.kept == list(range(66))


@aiotest
async def test_what_a_lost_connection_leaves_open_is_told() -> None:
    async with loading("neo4j") as session:
        with pytest.raises(SessionExpired) as caught:
            await session.execute_many("CLOSE", range(16))
        assert (caught.value.first_row, caught.value.row_count) == (0, 16)  # type: ignore[attr-defined]
        assert caught.value.may_have_run


@aiotest
async def test_errors_of_the_rows_have_nothing_to_do_with_the_connection() -> None:
    fault = ServiceUnavailable("another server is gone")

    def rows() -> Iterator[int]:
        yield from range(66)
        raise fault

    def progress(done: int, total: int | None) -> None:
        raise fault

    async with loading("neo4j") as session:
        await session.execute("WHATEVER")
        for source, told in ((rows(), None), (range(COUNT), progress)):
            with pytest.raises(ServiceUnavailable) as caught:
                await session.execute_many("LOAD", source, batch_rows=50, progress=told)
            assert caught.value is fault
            assert fault.row_count == 0  # type: ignore[attr-defined]
        assert Loads.kept[:66] == list(range(66))
        async with await session.begin_transaction() as tx:
            with pytest.raises(ServiceUnavailable):
                await tx.execute_many("LOAD", rows(), batch_rows=50)
            # The transaction is as it was.
            await tx.execute_many("LOAD", [1000])
        assert Loads.kept[-67:] == [*range(66), 1000]


@aiotest
async def test_arguments_are_checked_before_anything_is_sent() -> None:
    async with loading() as session:
        transaction = await session.begin_transaction()
        for target in (transaction, session):
            if target is session:
                await transaction.commit()
            for rows in ("people.csv", b"rows", {"id": 1}, None, 5):
                with pytest.raises(TypeError, match="rows are an iterable"):
                    await target.execute_many("LOAD", rows)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="batch_rows"):
                await target.execute_many("LOAD", [1], batch_rows=1000.0)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="timeout"):
                await target.execute_many("LOAD", [1], timeout="1")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"query .*is a string|query is .*string"):
                await target.execute_many(5, [1])  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"query .*is a string|query is .*string"):
                await target.execute_many([1], "LOAD $rows")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"query .*is a string|query is .*string"):
            async with await session.begin_transaction() as tx:
                await tx.execute_many(asyncbolt.Query("LOAD"), [1])
        assert (Loads.calls, Loads.kept) == (0, [])
        await session.execute_many(asyncbolt.Query("LOAD", metadata={"a": 1}), [1], timeout=30)
        assert Loads.kept == [1]


# ---------------------------------------------------------------- time limits


async def hanging(rows: Any) -> AsyncIterator[Any]:
    for row in rows:
        yield row
    await asyncio.Event().wait()


@aiotest
async def test_the_limit_holds_for_rows_that_never_come() -> None:
    async with loading() as session:
        with pytest.raises(TimeoutError, match=r"0\.3 s") as caught:
            await session.execute_many("LOAD", hanging(range(20)), timeout=0.3)
        assert (caught.value.first_row, caught.value.row_count) == (20, 0)  # type: ignore[attr-defined]
        assert Loads.kept == list(range(20))
        with pytest.raises(TimeoutError):
            await session.execute_write(unit(lambda: hanging(range(20)), timeout=0.05))
        async with await session.begin_transaction() as tx:
            with pytest.raises(TimeoutError):
                await tx.execute_many("LOAD", hanging([]), timeout=0.05)
            await tx.execute_many("LOAD", [1000])
        assert Loads.kept == [*range(20), 1000]


@aiotest
async def test_the_limit_holds_for_a_server_that_does_not_answer() -> None:
    async with loading() as session:
        Loads.silent = asyncio.Event()
        with pytest.raises(TimeoutError) as caught:
            await session.execute_many("LOAD", range(COUNT), timeout=0.1)
        assert caught.value.first_row == 0  # type: ignore[attr-defined]
        assert caught.value.row_count >= 16  # type: ignore[attr-defined]
        with pytest.raises(TimeoutError):
            async with await session.begin_transaction() as tx:
                await tx.execute_many("LOAD", range(COUNT), timeout=0.1)
        with pytest.raises(TimeoutError):
            await session.execute_write(unit(lambda: range(COUNT), timeout=0.1))
        tx = await session.begin_transaction()
        with pytest.raises(TimeoutError):
            await tx.execute_many("LOAD", range(COUNT), timeout=0.1)
        with pytest.raises(TransactionError):
            await tx.execute_many("LOAD", range(COUNT))
        await tx.close()
        Loads.silent.set()
        assert (await session.execute_many("LOAD", [1], timeout=30)).rows == 1


@aiotest
async def test_the_limit_includes_waiting_for_a_connection() -> None:
    async with loading(max_connection_pool_size=1) as session:
        tx = await session.begin_transaction()
        driver_pool = session._pool_of
        other = asyncbolt.AsyncSession(driver_pool, session._config)
        try:
            with pytest.raises(TimeoutError, match=r"0\.05 s"):
                await other.execute_many("LOAD", [1], timeout=0.05)
        finally:
            await other.close()
        await tx.commit()
        assert Loads.kept == []
        assert (await session.execute_many("LOAD", [1], timeout=30)).rows == 1


@aiotest
async def test_cancelled_while_no_rows_come() -> None:
    async with loading() as session:
        load = asyncio.ensure_future(session.execute_many("LOAD", hanging([1])))
        await until(lambda: Loads.kept == [1])
        load.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await load
        error: Any = caught.value
        if not hasattr(error, "first_row"):  # Python 3.10: who awaits a cancelled task gets a new one
            error = error.__context__
        assert error.first_row in (0, 1)
        assert (await session.execute_many("LOAD", [2])).rows == 1


@aiotest
async def test_a_session_in_use_is_left_alone() -> None:
    async with loading() as session:
        first = asyncio.ensure_future(session.execute_many("LOAD", hanging([1])))
        await until(lambda: Loads.kept == [1])
        for options in ({}, {"timeout": 5}):
            with pytest.raises(SessionError, match="in use by another task"):
                await session.execute_many("LOAD", [2], **options)
        assert session._busy and session._connection is not None
        first.cancel()
        await asyncio.wait((first,))
        assert (await session.execute_many("LOAD", [3])).rows == 1
        async with await session.begin_transaction():
            with pytest.raises(TransactionError, match="a transaction is open"):
                await session.execute_many("LOAD", [4])
        assert Loads.kept == [1, 3]


@aiotest
async def test_what_is_committed_is_seen_by_what_follows_although_the_rest_has_failed() -> None:
    async with WireServer() as server, driver_of(server.port) as driver, driver.session() as session:
        server.fails_at = 3
        with pytest.raises(ConstraintError):
            await session.execute_many("COUNT", range(COUNT), batch_rows=50)
        assert await session.last_bookmarks() == asyncbolt.Bookmarks.from_raw_values(["bm:0"])
