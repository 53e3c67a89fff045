"""execute_many: batches, bounds, errors that say which rows."""

from __future__ import annotations

import array
import asyncio
import collections
import contextlib
import itertools
import sqlite3
import sys
import time
import types

import pytest
from aiohelp import LOOPS, aiotest
from driver_servers import until
from wire_server import WireServer

import asyncbolt
from asyncbolt.client import bulk
from asyncbolt.packstream import pack


def rows_of(server):
    return [row for batch in server.batches for row in batch]


def located(error):
    if isinstance(error, asyncio.CancelledError) and not hasattr(error, "first_row"):
        # Python 3.10: who awaits a cancelled task gets a new one.
        error = error.__context__
    return error.first_row, error.row_count


async def later(rows):
    for row in rows:
        yield row


@pytest.fixture(params=["plain", "async"])
def making(request):
    """Makes rows of a plain generator, as they are or asynchronous."""
    return later if request.param == "async" else iter


@aiotest(loops=LOOPS)
async def test_rows_arrive_once_and_in_order_in_batches():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        heard = []
        summary = await session.execute_many(
            "COUNT", range(10_500), progress=lambda done, total: heard.append((done, total))
        )
        assert rows_of(server) == list(range(10_500))
        sizes = [len(batch) for batch in server.batches]
        assert max(sizes) == 1000 and sizes[0] == 16
        assert summary.rows == 10_500 and summary.batches == len(sizes)
        assert summary.stats == {"nodes-created": 10_500, "contains-updates": True}
        assert len(summary.bookmarks) == len(sizes)
        assert heard == [(done, 10_500) for done in itertools.accumulate(sizes)]


@aiotest
async def test_any_iterable_will_do():
    async def later():
        for number in range(50):
            yield {"n": number}

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        for rows in (({"n": n} for n in range(50)), tuple({"n": n} for n in range(50)), later()):
            server.batches.clear()
            heard = []
            summary = await session.execute_many(
                "COUNT", rows, batch_rows=20, progress=lambda *said, heard=heard: heard.append(said)
            )
            assert rows_of(server) == [{"n": n} for n in range(50)]
            assert [len(batch) for batch in server.batches] == [16, 20, 14]
            assert heard[-1] == (50, 50 if isinstance(rows, tuple) else None)
            assert summary.rows == 50
        empty = await session.execute_many("COUNT", [])
        assert (empty.rows, empty.batches, empty.stats) == (0, 0, {})


@aiotest
async def test_batches_keep_to_their_bytes():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        await session.execute_many("COUNT", ["x" * 1000] * 3000, batch_bytes=50_000)
        sizes = [len(batch) for batch in server.batches]
        assert sum(sizes) == 3000
        assert all(40 <= size <= 50 for size in sizes[1:-1])


@aiotest
async def test_memory_is_bounded_while_the_server_is_slow():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        server.hold()
        taken = 0

        def rows():
            nonlocal taken
            for number in range(100_000):
                taken += 1
                yield number

        task = asyncio.create_task(session.execute_many("COUNT", rows()))
        for _ in range(200):
            await asyncio.sleep(0)
        assert taken <= 8 * 1000
        server.release()
        assert (await task).rows == 100_000
        assert rows_of(server) == list(range(100_000))


@aiotest
async def test_further_parameters():
    async with WireServer() as server, asyncbolt.connect(server.uri, versions=[(5, 4)]) as session:
        await session.execute_many("COUNT", [1], parameters={"label": "A"}, db="movies")
        assert server.extras == [{"db": "movies"}]
        with pytest.raises(ValueError, match=r"\$rows"):
            await session.execute_many("COUNT", [1], parameters={"rows": 1})
        for wrong in ({"batch_rows": 0}, {"batch_bytes": 0}):
            with pytest.raises(ValueError, match="at least 1"):
                await session.execute_many("COUNT", [1], **wrong)


@aiotest
async def test_a_failing_batch_says_which_rows_and_what_is_behind_it_does_not_happen():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        server.fails_at = 3  # the third batch
        with pytest.raises(asyncbolt.ClientError) as caught:
            await session.execute_many("COUNT", range(1000), batch_rows=100)
        assert (caught.value.first_row, caught.value.row_count) == (116, 100)
        assert rows_of(server) == list(range(116))
        assert await session.fetch("ROWS 1") == [(0,)]
        assert rows_of(server) == list(range(116))


@aiotest
async def test_a_value_that_cannot_be_packed_is_named_by_its_row_among_all():
    rows = [{"when": n} for n in range(500)]
    rows[321] = {"when": object()}
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        with pytest.raises(asyncbolt.PackError) as caught:
            await session.execute_many("COUNT", rows, batch_rows=100)
        assert str(caught.value).startswith("$rows[321].when: ")
        assert (caught.value.first_row, caught.value.row_count) == (316, 100)
        assert rows_of(server) == rows[:316]
        assert await session.fetch("ROWS 1") == [(0,)]


@aiotest
async def test_rows_that_raise():
    def rows():
        yield from range(50)
        raise KeyError("broken source")

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        with pytest.raises(KeyError, match="broken source") as caught:
            await session.execute_many("COUNT", rows(), batch_rows=10)
        assert located(caught.value) == (50, 0)
        assert rows_of(server) == list(range(50))


@aiotest
async def test_a_failure_of_somebody_else_does_not_stop_the_batches():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        load = asyncio.create_task(session.execute_many("COUNT", range(2000), batch_rows=10))
        failures = 0
        while not load.done():
            with pytest.raises(asyncbolt.ClientError):
                await session.fetch("FAIL")
            failures += 1
        assert (await load).rows == 2000
        assert rows_of(server) == list(range(2000))
        assert failures > 1


@aiotest
async def test_inside_a_transaction():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        async with session.transaction() as tx:
            summary = await tx.execute_many("COUNT", range(100), batch_rows=10)
            assert summary.rows == 100 and summary.bookmarks == []
        assert server.messages == ["BEGIN", *["RUN", "DISCARD"] * 10, "COMMIT"]
        server.fails_at = len(server.batches) + 2
        with pytest.raises(asyncbolt.ClientError) as caught:
            async with session.transaction() as tx:
                await tx.execute_many("COUNT", range(100), batch_rows=10)
        assert caught.value.first_row == 10
        await session.ping()
        assert "RESET" in server.messages


@aiotest
async def test_cancelled_in_the_middle():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        task = asyncio.create_task(session.execute_many("COUNT", itertools.count()))
        await server.until(lambda: len(server.batches) > 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        first, count = located(caught.value)
        assert await session.fetch("ROWS 1", timeout=10) == [(0,)]
        assert rows_of(server) == list(range(len(rows_of(server))))
        assert first <= len(rows_of(server)) <= first + count


@aiotest
async def test_time_limit_for_everything():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        with pytest.raises(TimeoutError, match=r"0\.05 s"):
            await session.execute_many("COUNT", itertools.count(), timeout=0.05)
        assert await session.fetch("ROWS 1", timeout=10) == [(0,)]
        with pytest.raises(TimeoutError) as caught:
            await session.execute_many("COUNT", [1], timeout=0)
        assert located(caught.value) == (0, 0)
        assert server.batches[-1:] != [[1]]


# ---------------------------------------------------------------- what is no iterable of rows


class Frame:
    """Iterates over the names of its columns, as data frames do."""

    def keys(self):
        return ["a"]

    def __getitem__(self, key):
        return [1]

    def __iter__(self):
        return iter(self.keys())


class Columns:
    """As other data frames do."""

    columns = ("a",)

    def __getitem__(self, key):
        return [1]

    def __iter__(self):
        return iter(self.columns)


class Series(Frame):
    """Iterates over what it holds, although it has keys, as pandas' do."""

    def tolist(self):
        return [{"a": 1}, {"a": 2}]

    def __iter__(self):
        return iter(self.tolist())


async def a_coroutine():
    return [1]


def a_generator_function():
    yield 1


def sqlite_row():
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("SELECT 1 AS a").fetchone()


class NoIterator:
    def __iter__(self):
        return 5


class NoAsyncIterator:
    def __aiter__(self):
        return 5


@pytest.mark.parametrize(
    "rows, text",
    [
        ("people.csv", "not str; of a file, pass its rows"),
        (b"abc", "not bytes"),
        (bytearray(b"abc"), "not bytearray"),
        (memoryview(b"abc"), "not memoryview"),
        ({"id": 1}, r"not dict; of a single row, make a list: \[row\]"),
        (types.MappingProxyType({"id": 1}), "not mappingproxy"),
        (collections.ChainMap({"id": 1}), "not ChainMap"),
        (Frame(), "not Frame; pass its rows as a list"),
        (Columns(), "not Columns; pass its rows as a list"),
        (sqlite_row(), r"not Row; pass its rows as a list, .* \[row\]"),
        (None, "not NoneType"),
        (5, "not int"),
        (object(), "not object"),
        (NoIterator(), "not NoIterator"),
        (NoAsyncIterator(), "not NoAsyncIterator"),
        (a_generator_function, "not function; call it"),
    ],
    ids=lambda value: type(value).__name__,
)
@aiotest
async def test_what_is_no_iterable_of_rows_is_refused_at_once(rows, text):
    async with WireServer() as server, asyncbolt.create_pool(server.uri, max_size=1) as pool:
        with pytest.raises(TypeError, match=text):
            await pool.execute_many("COUNT", rows)
        async with pool.acquire() as session:
            with pytest.raises(TypeError, match=text):
                await session.execute_many("COUNT", rows)
            transaction = session.transaction()
            with pytest.raises(TypeError, match=text):
                await transaction.execute_many("COUNT", rows)
            assert server.messages == []
            # Whatever else iterates will do.
            one = {1: 2}
            for good in ({1}, one.keys(), one.items(), range(3), array.array("i", [1]), map(str, "ab")):
                await session.execute_many("COUNT", good)
            assert server.batches[-1] == ["a", "b"]
            await session.execute_many("COUNT", await session.fetch("ROWS 2"))
            assert server.batches[-1] == [[0], [1]]
            await session.execute_many("COUNT", Series())
            assert server.batches[-1] == [{"a": 1}, {"a": 2}]


@aiotest
async def test_a_coroutine_is_to_be_awaited_first():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        coroutine = a_coroutine()
        with pytest.raises(TypeError, match="not coroutine; await it first"):
            await session.execute_many("COUNT", coroutine)
        coroutine.close()


async def a_coroutine_function(done, total):
    pass


@pytest.mark.parametrize(
    "options, error, text",
    [
        ({"batch_rows": 1000.0}, TypeError, "batch_rows is an integer, not float"),
        ({"batch_rows": True}, TypeError, "batch_rows is an integer, not bool"),
        ({"batch_rows": "10"}, TypeError, "batch_rows is an integer"),
        ({"batch_rows": None}, TypeError, "batch_rows is an integer"),
        ({"batch_rows": 0}, ValueError, "batch_rows is at least 1 and"),
        ({"batch_rows": -1}, ValueError, "batch_rows is at least 1 and"),
        ({"batch_bytes": 1e6}, TypeError, "batch_bytes is an integer"),
        ({"batch_bytes": False}, TypeError, "batch_bytes is an integer"),
        ({"batch_bytes": 0}, ValueError, "batch_bytes is at least 1"),
        ({"parameters": 5}, TypeError, "parameters are a mapping .* not int"),
        ({"parameters": [("a", 1)]}, TypeError, "parameters are a mapping .* not list"),
        ({"progress": 5}, TypeError, "progress is a plain function"),
        ({"progress": a_coroutine_function}, TypeError, "progress is a plain function"),
        ({"timeout": "5"}, TypeError, "timeout is a number of seconds, not str"),
        ({"timeout": True}, TypeError, "timeout is a number of seconds"),
        ({"timeout": -1}, ValueError, "timeout is 0 or more seconds"),
        ({"timeout": float("nan")}, ValueError, "timeout is 0 or more seconds"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
@aiotest
async def test_options_are_checked_where_they_are_given(options, error, text):
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        with pytest.raises(error, match=text):
            await session.execute_many("COUNT", [1], **options)
        assert server.messages == []
        await session.execute_many("COUNT", [1], timeout=float("inf"))


# ---------------------------------------------------------------- the size of batches


class Whole:
    """An int of another kind, as numpy has them."""

    def __index__(self):
        return 50


TEXT = "x" * 20_000


@pytest.mark.parametrize("options", [{}, {"parameters": {"more": "y" * 200_000}}], ids=["", "parameters"])
@pytest.mark.parametrize(
    "rows",
    [
        [{"t": "x"}] * 5144 + [{"t": TEXT}] * 500,
        [{"t": TEXT}] * 100 + [{"t": "x"}] * 5000 + [{"t": TEXT}] * 100,
        [{"t": "x" * (size * 40)} for size in range(1000)],
        [{"t": TEXT if number % 97 == 0 else "x"} for number in range(5000)],
        [{"t": TEXT if number % 2 else "x"} for number in range(2000)],
        [1] * 3000 + [TEXT * 5] * 30 + [1] * 3000,
        [[number] * (number % 300) for number in range(3000)],
    ],
    ids=["jump", "down and up", "growing", "few", "half", "larger than a batch", "lists"],
)
@aiotest
async def test_batches_keep_to_twice_their_bytes_whatever_rows_come(rows, options):
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        heard = []
        summary = await session.execute_many(
            "COUNT", rows, batch_bytes=50_000, progress=lambda *said: heard.append(said), **options
        )
        assert rows_of(server) == rows
        assert summary.rows == len(rows) and summary.batches == len(server.batches) == len(heard)
        assert heard[-1] == (len(rows), len(rows))
        assert all(len(batch) <= 1000 for batch in server.batches)
        sizes = [(len(pack(batch)), len(batch)) for batch in server.batches]
        assert [size for size in sizes if size[0] > 100_000 and size[1] > 1] == []
        # Nor are they cut smaller than need be: all of it is 50 bytes in the mean, or much more.
        assert len(sizes) < 3 * len(pack(rows)) / 50_000 + len(rows) / 100 + 20


@aiotest
async def test_a_long_statement_or_parameter_makes_no_short_batches():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        for statement, parameters in (("COUNT" + " " * 200_000, None), ("COUNT", {"more": "y" * 200_000})):
            server.batches.clear()
            await session.execute_many(
                statement, range(2000), batch_bytes=20_000, batch_rows=500, parameters=parameters
            )
            assert [len(batch) for batch in server.batches] == [16, 128, 500, 500, 500, 356]


@aiotest
async def test_a_row_that_cannot_be_packed_among_rows_that_are_too_large():
    rows = ["x"] * 3000 + [TEXT] * 500
    rows[3300] = object()
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        with pytest.raises(asyncbolt.PackError) as caught:
            await session.execute_many("COUNT", rows, batch_bytes=50_000, batch_rows=Whole())
        assert str(caught.value).startswith("$rows[3300]: ")
        first, count = located(caught.value)
        assert first <= 3300 < first + count
        assert rows_of(server) == rows[:first]


@aiotest
async def test_batches_that_wait_for_somebody_else_are_cut_when_they_are_written():
    rows = ["x"] * 3000 + [TEXT] * 100
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        taken = 0

        def counted():
            nonlocal taken
            for row in rows:
                taken += 1
                yield row

        async with session.transaction() as transaction:
            await transaction.execute("CREATE x")
            load = asyncio.create_task(session.execute_many("COUNT", counted(), batch_bytes=50_000))
            for _ in range(50):
                await asyncio.sleep(0)
            assert taken <= 16
            assert server.batches == []
        await load
        assert rows_of(server) == rows
        assert max(len(pack(batch)) for batch in server.batches) <= 100_000


@aiotest
async def test_what_waits_for_somebody_else_does_not_happen_when_the_time_is_over():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        async with session.transaction() as transaction:
            await transaction.execute("CREATE x")
            # Another task's: this one would wait for itself.
            other = asyncio.create_task(session.execute_many("COUNT", range(100), timeout=0.05))
            with pytest.raises(TimeoutError) as caught:
                await other
            assert located(caught.value) == (0, 0)
        await session.fetch("ROWS 1")
        assert server.batches == []


@aiotest
async def test_what_is_behind_an_interrupted_batch_does_not_happen():
    """Somebody resets the session: a batch that is ready only then would run behind the RESET."""
    more = asyncio.Event()

    async def rows():
        for number in range(10):
            yield number
        await more.wait()
        for number in range(10, 20):
            yield number

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        server.hold()
        load = asyncio.create_task(session.execute_many("COUNT", rows(), batch_rows=10))
        await server.until(lambda: "RUN" in server.messages)
        sent = session.protocol.connection
        resetting = asyncio.create_task(session.reset())
        await until(lambda: any(request.message.name == "RESET" for request in sent.outstanding))
        more.set()
        with pytest.raises(asyncbolt.BoltError) as caught:
            await load
        await resetting
        assert located(caught.value) == (0, 10)
        server.release()
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.batches == []


# ---------------------------------------------------------------- what is known when it fails


@aiotest
async def test_what_is_in_flight_is_awaited_when_the_rows_raise(making):
    def rows():
        yield from range(60)
        raise KeyError("broken source")

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        server.hold()
        heard = []
        load = asyncio.create_task(
            session.execute_many(
                "COUNT", making(rows()), batch_rows=10, progress=lambda *said: heard.append(said)
            )
        )
        await server.until(lambda: server.messages)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not load.done()
        server.release()
        with pytest.raises(KeyError, match="broken source") as caught:
            await load
        assert located(caught.value) == (60, 0)
        assert heard[-1] == (60, None)
        assert rows_of(server) == list(range(60))


@pytest.mark.parametrize("limit", [None, 0.1])
@aiotest
async def test_what_is_in_flight_is_not_awaited_for_ever(making, limit, monkeypatch):
    def rows():
        yield from range(30)
        raise KeyError("broken source")

    if limit is None:
        monkeypatch.setattr(bulk, "_SETTLE_SECONDS", 0.1)
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        server.hold()
        with pytest.raises(KeyError, match="broken source") as caught:
            await asyncio.wait_for(
                session.execute_many("COUNT", making(rows()), batch_rows=10, timeout=limit), 30
            )
        assert located(caught.value) == (0, 30)
        if sys.version_info >= (3, 11):
            assert "0 rows were done, and 30 behind them were sent" in caught.value.__notes__[0]
        server.release()
        assert await session.fetch("ROWS 1", timeout=10) == [(0,)]


@aiotest
async def test_a_batch_fails_after_the_rows_have_raised(making):
    def rows():
        yield from range(60)
        raise KeyError("broken source")

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        server.hold()
        server.fails_at = 3
        load = asyncio.create_task(session.execute_many("COUNT", making(rows()), batch_rows=10))
        await server.until(lambda: server.messages)
        for _ in range(20):
            await asyncio.sleep(0)
        server.release()
        with pytest.raises(KeyError, match="broken source") as caught:
            await load
        assert located(caught.value) == (20, 10)
        assert rows_of(server) == list(range(20))
        if sys.version_info >= (3, 11):
            assert "then: ConstraintError: " in caught.value.__notes__[0]
        assert await session.fetch("ROWS 1") == [(0,)]


@aiotest
async def test_progress_that_raises():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:

        def progress(done, total):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as caught:
            await session.execute_many("COUNT", range(5000), progress=progress)
        first, count = located(caught.value)
        assert count == 0
        assert rows_of(server) == list(range(first))
        assert await session.fetch("ROWS 1") == [(0,)]
        assert rows_of(server) == list(range(first))


@aiotest
async def test_the_time_is_over_while_the_server_is_silent(making):
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        heard = []
        load = asyncio.create_task(
            session.execute_many(
                "COUNT",
                making(range(10_000)),
                batch_rows=10,
                timeout=1,
                progress=lambda done, total: heard.append(done) or server.hold(),
            )
        )
        with pytest.raises(TimeoutError, match="not done within 1 s") as caught:
            await load
        first, count = located(caught.value)
        assert first == heard[-1] and count == 80
        assert len(rows_of(server)) <= first + count
        server.release()


@aiotest
async def test_cancelled_while_the_server_is_silent(making):
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        server.hold()
        load = asyncio.create_task(session.execute_many("COUNT", making(range(500)), batch_rows=10))
        await server.until(lambda: server.messages)
        for _ in range(20):
            await asyncio.sleep(0)
        load.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await load
        assert located(caught.value) == (0, 80)
        server.release()


@aiotest
async def test_the_connection_is_lost():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        heard = []
        load = asyncio.create_task(
            session.execute_many(
                "COUNT", itertools.count(), batch_rows=10, progress=lambda done, total: heard.append(done)
            )
        )
        await server.until(lambda: len(server.batches) > 5)
        server.hold()
        for _ in range(20):
            await asyncio.sleep(0)
        server.peer.transport.abort()
        with pytest.raises(asyncbolt.ServiceUnavailable) as caught:
            await load
        assert caught.value.may_have_run is True
        first, count = located(caught.value)
        assert first == heard[-1] and count == 80
        with pytest.raises(asyncbolt.ServiceUnavailable) as caught:
            await session.execute_many("COUNT", [1])
        assert located(caught.value) == (0, 0)


@aiotest
async def test_in_a_transaction_nothing_hangs_after_an_error():
    def broken():
        yield from range(50)
        raise KeyError("broken source")

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        with pytest.raises(KeyError) as caught:
            async with session.transaction() as tx:
                await tx.execute_many("COUNT", broken(), batch_rows=10)
        assert located(caught.value) == (50, 0)
        assert server.messages[-1] == "ROLLBACK"
        # Handled, it does not end the transaction.
        async with session.transaction() as tx:
            with pytest.raises(KeyError):
                await tx.execute_many("COUNT", broken(), batch_rows=10)
            await tx.execute_many("COUNT", [1])
        assert server.messages[-1] == "COMMIT"
        with pytest.raises(TimeoutError):
            async with session.transaction() as tx:
                server.hold()
                try:
                    await tx.execute_many("COUNT", range(500), timeout=0.05)
                finally:
                    server.release()
        async with session.transaction() as tx:
            await tx.execute("CREATE x")
            with pytest.raises(TimeoutError):
                await tx.execute_many("COUNT", hanging([], []), timeout=0.05)
        assert server.created == ["x"]
        assert await session.fetch("ROWS 1", timeout=10) == [(0,)]


@aiotest
async def test_pools_keep_the_limit():
    async with WireServer() as server, asyncbolt.create_pool(
        server.uri, max_size=1, reset_timeout=1
    ) as pool:
        async with pool.acquire():
            with pytest.raises(asyncbolt.exceptions.ConnectionAcquisitionTimeoutError):
                await pool.execute_many("COUNT", [1], timeout=0.05)
        server.silent = True  # with it, an ordinary end takes as long as reset_timeout
        with pytest.raises(TimeoutError) as caught:
            await asyncio.wait_for(pool.execute_many("COUNT", [1], timeout=0.05), 0.9)
        assert located(caught.value) == (0, 1)


# ---------------------------------------------------------------- asynchronous sources


async def hanging(rows, log):
    """Gives *rows*, and then nothing for ever."""
    log.append(asyncio.current_task())
    try:
        for row in rows:
            yield row
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        log.append("cancelled")
        raise
    finally:
        await asyncio.sleep(0)
        log.append("closed")


async def deaf(rows):
    """Gives *rows*, then nothing for ever, and takes no notice of being cancelled."""
    for row in rows:
        yield row
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass


async def spinning(rows):
    """As :func:`deaf`, in a loop that never rests."""
    for row in rows:
        yield row
    while True:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pass


class Iterator:
    """An asynchronous iterator that is no generator, made anew by each ``async for``."""

    def __init__(self, make):
        self.make = make

    def __aiter__(self):
        return self.make()


@aiotest(loops=LOOPS)
async def test_the_limit_holds_for_rows_that_never_come():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        log = []
        with pytest.raises(TimeoutError, match=r"0\.3 s") as caught:
            await session.execute_many("COUNT", hanging(range(20), log), timeout=0.3)
        assert log == [asyncio.current_task(), "cancelled", "closed"]
        # Those before the pause went their way.
        assert located(caught.value) == (20, 0)
        assert rows_of(server) == list(range(20))
        for source in (deaf, spinning):
            for rows in (source([]), source([1]), Iterator(lambda source=source: source([1]))):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(session.execute_many("COUNT", rows, timeout=0.05), 10)
        assert await session.fetch("ROWS 1") == [(0,)]


@aiotest(loops=LOOPS)
async def test_cancelled_while_no_rows_come():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        log = []
        for source in (hanging([1], log), deaf([1]), spinning([1])):
            server.batches.clear()
            load = asyncio.create_task(session.execute_many("COUNT", source))
            await server.until(lambda: server.batches == [[1]])
            load.cancel()
            done, _ = await asyncio.wait((load,), timeout=10)
            assert done and load.cancelled()
        assert log == [log[0], "cancelled", "closed"]
        assert await session.fetch("ROWS 1") == [(0,)]


@aiotest(loops=LOOPS)
async def test_a_batch_that_fails_is_noticed_while_no_rows_come():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        log = []
        for source in (hanging(range(40), log), deaf(range(40)), spinning(range(40))):
            server.batches.clear()
            server.fails_at = 2
            with pytest.raises(asyncbolt.ClientError) as caught:
                await asyncio.wait_for(session.execute_many("COUNT", source), 10)
            assert located(caught.value) == (16, 24)
            assert rows_of(server) == list(range(16))
        assert log == [log[0], "cancelled", "closed"]
        assert await session.fetch("ROWS 1") == [(0,)]


@aiotest
async def test_rows_are_sent_while_no_more_come():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:

        async def rows():
            for start in (0, 500, 503):
                await server.until(lambda start=start: len(rows_of(server)) == start)
                for row in range(start, start + (3 if start == 500 else 500)):
                    yield row

        summary = await session.execute_many("COUNT", rows(), timeout=30)
        assert summary.rows == 1003
        assert rows_of(server) == list(range(1003))


@aiotest
async def test_rows_that_come_one_by_one():
    async def rows():
        for row in range(300):
            await asyncio.sleep(0.001 if row % 10 == 0 else 0)
            yield row

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        await session.execute_many("COUNT", rows())
        assert rows_of(server) == list(range(300))
        assert len(server.batches) < 100


@aiotest
async def test_time_limits_within_the_source_are_its_own():
    """Its cancellation is its own too: it handles it, or its error comes out."""

    async def rows(handles):
        yield 1
        try:
            if hasattr(asyncio, "timeout"):
                async with asyncio.timeout(0.01):
                    await asyncio.Event().wait()
            else:
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except asyncio.TimeoutError:
            if not handles:
                raise
        yield 2

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        await session.execute_many("COUNT", rows(True))
        assert rows_of(server) == [1, 2]
        with pytest.raises(asyncio.TimeoutError) as caught:
            await session.execute_many("COUNT", rows(False))
        assert located(caught.value)[1] == 0
        task = asyncio.current_task()
        assert not hasattr(task, "cancelling") or not task.cancelling()


@aiotest
async def test_time_limits_within_the_source_hold_while_something_else_is_waited_for():
    """What it gave waits for somebody's transaction when its time is over."""

    async def rows():
        yield 1
        try:
            if hasattr(asyncio, "timeout"):
                async with asyncio.timeout(0.2):
                    await asyncio.Event().wait()
            else:
                await asyncio.wait_for(asyncio.Event().wait(), 0.2)
        except asyncio.TimeoutError:
            over.set()
        yield 2

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        over = asyncio.Event()
        async with session.transaction() as transaction:
            await transaction.execute("CREATE x")
            load = asyncio.create_task(session.execute_many("COUNT", rows()))
            await asyncio.wait((load,), timeout=0.1)
            assert session._lane._queue
            await asyncio.wait((load,), timeout=0.3)
            assert not load.done()
        assert (await load).rows == 2 and over.is_set()
        assert server.batches == [[1], [2]]


@aiotest
async def test_a_source_that_waits_for_a_task():
    async def rows(work):
        yield 1
        yield await asyncio.create_task(work)

    async def forever(log):
        try:
            await asyncio.Event().wait()
        finally:
            log.append("ended")

    async def one():
        await asyncio.sleep(0)
        return 2

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        await session.execute_many("COUNT", rows(one()))
        assert rows_of(server) == [1, 2]
        log = []
        with pytest.raises(TimeoutError):
            await session.execute_many("COUNT", rows(forever(log)), timeout=0.05)
        server.batches.clear()
        load = asyncio.create_task(session.execute_many("COUNT", rows(forever(log))))
        await server.until(lambda: server.batches == [[1]])
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        assert log == ["ended", "ended"]


@aiotest
async def test_a_source_that_waits_for_what_is_no_future():
    class Odd:
        def __await__(self):
            yield "odd"

    async def rows():
        yield 1
        await Odd()

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        with pytest.raises(RuntimeError, match="'odd', which is no future"):
            await session.execute_many("COUNT", rows())


@aiotest
async def test_iterators_of_their_own_are_closed_and_others_are_left_open():
    closed = []

    class Rows:
        def __iter__(self):
            try:
                yield from range(100)
            finally:
                closed.append("plain")

    class Later:
        async def __aiter__(self):
            try:
                for row in range(100):
                    yield row
            finally:
                await asyncio.sleep(0)
                closed.append("async")

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        for rows in (Rows(), Later()):
            server.batches.clear()
            server.fails_at = 1
            with pytest.raises(asyncbolt.ClientError):
                await session.execute_many("COUNT", rows, batch_rows=1)
        assert closed == ["plain", "async"]
        mine, others = iter(range(100)), later(range(100))
        for rows in (mine, others):
            server.batches.clear()
            server.fails_at = 1
            with pytest.raises(asyncbolt.ClientError):
                await session.execute_many("COUNT", rows, batch_rows=1)
        assert next(mine) and await others.__anext__()
        await others.aclose()


@aiotest
async def test_rows_that_block_are_looked_after_too():
    """A plain iterator that is slow blocks the event loop, but not for a whole batch."""
    taken = 0

    def slow():
        nonlocal taken
        while True:
            time.sleep(0.01)
            taken += 1
            yield taken

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        with pytest.raises(TimeoutError):
            await session.execute_many("COUNT", slow(), timeout=0.2)
        assert taken < 100
        assert server.batches
        server.batches.clear()
        taken = 0
        server.fails_at = 2
        with pytest.raises(asyncbolt.ClientError):
            await session.execute_many("COUNT", slow())
        assert taken < 500


# ---------------------------------------------------------------- one iterator, one reader


@aiotest
async def test_two_cannot_read_one_iterator_at_once():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        for make in (lambda: (n for n in range(3000)), lambda: later(range(3000)), lambda: iter(range(3000))):
            rows = make()
            server.batches.clear()
            done = await asyncio.gather(
                session.execute_many("COUNT", rows),
                session.execute_many("COUNT", rows),
                session.execute_many("COUNT", range(0)),
                return_exceptions=True,
            )
            assert done[0].rows == 3000 and rows_of(server) == list(range(3000))
            assert isinstance(done[1], asyncbolt.LocalProtocolError)
            assert "reads the same" in str(done[1]) and "pass a list" in str(done[1])
        rows = iter(range(3000))
        done = await asyncio.gather(
            session.execute_many("COUNT", (n for n in rows)),
            session.execute_many("COUNT", map(str, rows)),
            return_exceptions=True,
        )
        assert [type(one) for one in done] == [bulk.BulkSummary, asyncbolt.LocalProtocolError]
        # One after the other is another matter, and a list is for everybody.
        rows = iter(range(20))
        assert (await session.execute_many("COUNT", itertools.islice(rows, 5))).rows == 5
        assert (await session.execute_many("COUNT", rows)).rows == 15
        same = [1, 2, 3]
        done = await asyncio.gather(*(session.execute_many("COUNT", same) for _ in range(5)))
        assert [one.rows for one in done] == [3] * 5
        from asyncbolt.client import source

        assert not source._readers


def test_a_summary_of_very_many_batches_is_small():
    summary = bulk.BulkSummary()
    for number in range(5000):
        summary.add(2, {"bookmark": f"bm:{number}", "stats": {"nodes-created": 2}})
    assert (summary.rows, summary.batches, summary.stats) == (10_000, 5000, {"nodes-created": 10_000})
    assert summary.bookmarks == [f"bm:{number}" for number in range(4000, 5000)]
