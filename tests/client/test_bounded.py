"""What the client holds while much passes through it, and what one stream costs beside many others.

Memory is what ``tracemalloc`` counts, of the test's own server too: much less than what passes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc

import pytest
from aiohelp import aiotest
from wire_server import WireServer

import asyncbolt
from asyncbolt.client.stream import StreamJob


@contextlib.contextmanager
def growth_below(limit):
    """No more than so many bytes may be allocated at any moment, beyond what there was before."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak:,} bytes at the peak"


@pytest.mark.parametrize("reader", ["eager", "slow"])
@aiotest
async def test_rows_pass_through_batches_and_are_not_kept(reader):
    """3,000 rows of 5,000 bytes, of which 200 may wait for their reader."""
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        assert len(await session.fetch("TEXTS 10")) == 10
        seen = 0
        with growth_below(6_000_000):
            async for batch in session.batches("TEXTS 3000", fetch_size=100):
                seen += len(batch)
                if reader == "slow":
                    await asyncio.sleep(0.001)
        assert seen == 3000


def texts(count):
    for number in range(count):
        yield {"id": number, "text": str(number).zfill(10_000)}


async def texts_later(count):
    for row in texts(count):
        yield row


@pytest.mark.parametrize(
    "make, in_transaction", [(texts, False), (texts_later, True)], ids=["plain", "async, tx"]
)
@aiotest
async def test_rows_pass_through_execute_many_and_are_not_kept(make, in_transaction):
    """1,000 rows of 10,000 bytes: they all leave, and 8 batches of 64 KiB are under way at most."""
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        left = 0

        def count(done, total):
            nonlocal left
            left += sum(map(len, server.peer.reads))
            server.peer.reads.clear()

        async with contextlib.AsyncExitStack() as stack:
            target = await stack.enter_async_context(session.transaction()) if in_transaction else session
            await target.execute("CREATE first")
            server.peer.reads.clear()
            with growth_below(4_000_000):
                summary = await target.execute_many(
                    "CREATE x", make(1000), batch_bytes=65_536, progress=count
                )
        count(None, None)
        assert summary.rows == 1000
        assert left > 10_000_000


@aiotest
async def test_parameters_wait_for_a_server_that_does_not_read():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        await session.ping()
        taken = 0

        def rows():
            nonlocal taken
            for row in texts(2000):
                taken += 1
                yield row

        with growth_below(8_000_000):
            server.peer.transport.pause_reading()
            task = asyncio.create_task(session.execute_many("CREATE x", rows(), batch_bytes=1 << 18))
            # Until what the sockets' buffers take is full, too.
            before = -1
            while taken != before:
                before = taken
                await asyncio.sleep(0.02)
            assert taken < 1500
            server.peer.transport.resume_reading()
            while not task.done():
                server.peer.reads.clear()
                await asyncio.sleep(0.001)
        assert (await task).rows == taken == 2000


@pytest.mark.parametrize("failing", [1, 10])
@aiotest
async def test_little_is_sent_in_vain_when_many_fail(failing):
    """What stands behind a failure is sent again, so that less should stand there when failures are many."""
    count = 150
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        results = await asyncio.gather(
            *(session.fetch("ROWS 1" if number % failing else "FAIL") for number in range(count)),
            return_exceptions=True,
        )
        failed = [number for number, result in enumerate(results) if result != [(0,)]]
        assert failed == list(range(0, count, failing))
        assert session._connection._sent < 10 * count
        # It takes up speed again.
        for _ in range(2):
            asked = [asyncio.create_task(session.fetch("ROWS 1")) for _ in range(count)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            sent_ahead = len(session._connection.outstanding)
            await asyncio.gather(*asked)
        assert sent_ahead > 200


@aiotest
async def test_a_portion_of_one_stream_costs_no_look_at_those_that_wait(monkeypatch):
    """100 streams of a transaction wait for their readers while one is read."""
    looks = 0
    full = StreamJob.full

    def counting(job):
        nonlocal looks
        looks += 1
        return full(job)

    async with WireServer(versions=[(5, 4)]) as server, asyncbolt.connect(server.uri) as session:
        async with session.transaction() as tx:
            streams = [tx.batches("ROWS 10", fetch_size=1) for _ in range(100)]
            for stream in streams:
                assert await stream.__anext__() == [(0,)]
            await server.until(lambda: server.messages.count("PULL") >= 300)
            await asyncio.sleep(0.01)
            monkeypatch.setattr(StreamJob, "full", counting)
            async with tx.batches("ROWS 100", fetch_size=10) as stream:
                assert [len(batch) async for batch in stream] == [10] * 10
            assert looks < 100
            # They go on where they were.
            for stream in streams:
                assert [row async for batch in stream for row in batch] == [(n,) for n in range(1, 10)]
