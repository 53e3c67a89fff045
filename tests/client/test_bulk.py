"""execute_many: batches, bounds, errors that say which rows."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from aiohelp import LOOPS, aiotest
from wire_server import WireServer

import asyncbolt


def rows_of(server):
    return [row for batch in server.batches for row in batch]


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
        with pytest.raises(KeyError, match="broken source"):
            await session.execute_many("COUNT", rows(), batch_rows=10)
        await session.ping()
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
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await session.fetch("ROWS 1", timeout=10) == [(0,)]
        assert rows_of(server) == list(range(len(rows_of(server))))


@aiotest
async def test_time_limit_for_everything():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        with pytest.raises(TimeoutError, match=r"0\.05 s"):
            await session.execute_many("COUNT", itertools.count(), timeout=0.05)
        assert await session.fetch("ROWS 1", timeout=10) == [(0,)]
