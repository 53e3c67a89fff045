"""How many rows `batches` asks for at a time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiohelp import LOOPS, aiotest
from wire_server import WireServer

import asyncbolt


async def read(source, statement, **options):
    """Read all rows; each must be there."""
    rows = []
    async for batch in source.batches(statement, **options):
        rows += batch
    assert rows == [(n,) for n in range(len(rows))]
    return len(rows)


@pytest.mark.parametrize(
    "rows, pulls", [(1, 1), (10, 1), (11, 2), (50, 2), (51, 3), (210, 3), (211, 4), (370, 4), (371, 5)]
)
@aiotest(loops=LOOPS)
async def test_each_pull_is_for_four_times_as_many_up_to_sixteen_times(rows, pulls):
    """10, 40, 160, 160 ..."""
    async with WireServer() as server, asyncbolt.connect(server.uri, fetch_size=10) as session:
        assert await read(session, f"ROWS {rows}") == rows
        assert server.messages.count("PULL") == pulls


@aiotest
async def test_a_size_that_was_asked_for_stays():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        assert await read(session, "ROWS 300", fetch_size=10) == 300
        assert server.messages.count("PULL") == 30


@aiotest
async def test_streams_of_a_transaction_take_short_turns():
    async with WireServer() as server, asyncbolt.connect(server.uri, fetch_size=10) as session:
        async with session.transaction() as tx:
            assert await read(tx, "ROWS 300") == 300
        assert server.messages.count("PULL") == 30


@aiotest
async def test_a_reader_that_is_behind_is_asked_for_little_again():
    async with WireServer() as server, asyncbolt.connect(server.uri, fetch_size=10) as session:
        stream = session.batches("ROWS 1000")
        rows = 0
        while rows < 310:
            rows += len(await stream.__anext__())
        job = stream._job
        assert job.fetch_size > 10
        job.pieces.extend([[], []])
        job.on_more()
        assert job.fetch_size == 10
        job.pieces.clear()
        job.on_more()
        assert job.fetch_size == 40
        await stream.aclose()


@aiotest
async def test_a_slow_reader_has_no_more_rows_waiting_for_it_than_with_short_pulls():
    async with WireServer() as server, asyncbolt.connect(server.uri, fetch_size=10) as session:
        most = seen = 0
        async with contextlib.aclosing(session.batches("TEXTS 2000")) as stream:
            async for batch in stream:
                seen += len(batch)
                most = max(most, stream._job.buffered)
                await asyncio.sleep(0.0005)
        assert seen == 2000
        # 20 rows of 5000 bytes, and what one more read brings: up to 256 KiB.
        assert most <= 20 + 60
