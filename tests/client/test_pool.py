"""The pool: who gets which session when, and that its counts are right whatever happens."""

from __future__ import annotations

import asyncio
import random

import pytest
from aiohelp import LOOPS, aiotest
from wire_server import WireServer

import asyncbolt


def pool_of(server, **options):
    options.setdefault("connect_timeout", 10)
    return asyncbolt.create_pool(server.uri, **options)


@aiotest(loops=LOOPS)
async def test_sessions_are_reused():
    async with WireServer() as server:
        async with pool_of(server, min_size=0, max_size=3) as pool:
            for _ in range(10):
                async with pool.acquire() as session:
                    assert await session.fetch("ROWS 1") == [(0,)]
            assert len(server.peers) == 1
            assert (pool.size, pool.idle_size) == (1, 1)
            assert await pool.fetch("ROWS 2") == [(0,), (1,)]
            assert (await pool.execute("CREATE a"))["stats"] == {"nodes-created": 1}
            assert (await pool.execute_many("COUNT", range(5))).rows == 5
        assert (pool.size, pool.idle_size) == (0, 0)
        assert all(peer.said_goodbye for peer in server.peers)


@aiotest
async def test_min_size_is_opened_at_the_start_and_max_size_is_not_exceeded():
    async with WireServer() as server:
        pool = await pool_of(server, min_size=2, max_size=3)
        assert len(server.peers) == 2
        sessions = await asyncio.gather(*(pool.acquire()._pool._acquire(None) for _ in range(3)))
        assert len({id(session) for session in sessions}) == 3
        with pytest.raises(asyncbolt.ConnectionAcquisitionTimeoutError, match="3 sessions"):
            await pool.acquire(timeout=0.01)
        for session in sessions:
            await pool.release(session)
        await pool.close()
        assert len(server.peers) == 3


@aiotest
async def test_first_come_first_served():
    async with WireServer() as server, pool_of(server, max_size=1) as pool:
        order = []

        async def use(number):
            async with pool.acquire():
                order.append(number)

        held = await pool.acquire()
        tasks = []
        for number in range(10):
            tasks.append(asyncio.create_task(use(number)))
            await asyncio.sleep(0)
        await pool.release(held)
        await asyncio.gather(*tasks)
        assert order == list(range(10))


@aiotest
async def test_what_is_left_behind_is_reset():
    async with WireServer() as server, pool_of(server, max_size=1) as pool:
        async with pool.acquire() as session:
            tx = session.transaction()
            await tx.execute("CREATE a")
        async with pool.acquire() as again:
            assert again is session
            assert await again.fetch("ROWS 1") == [(0,)]
            stream = again.batches("ROWS 1000", fetch_size=10)
            await stream.__anext__()
        async with pool.acquire() as again:
            again.pipeline("ROWS 3")
        async with pool.acquire() as again:
            assert [response.fields async for response in again.run("ROWS 1")] == [[0]]
        assert server.created == []
        assert len(server.peers) == 1
        with pytest.raises(asyncbolt.BoltError):
            while True:
                await stream.__anext__()
        with pytest.raises(asyncbolt.TransactionError):
            await tx.commit()


@aiotest(loops=LOOPS)
async def test_broken_sessions_are_replaced():
    async with WireServer() as server, pool_of(server, max_size=1) as pool:
        async with pool.acquire() as session:
            server.peer.transport.abort()
            with pytest.raises(asyncbolt.ServiceUnavailable):
                await session.fetch("ROWS 1")
        async with pool.acquire() as session:
            assert await session.fetch("ROWS 1") == [(0,)]
        # Broken while it was idle.
        server.peer.transport.abort()
        await server.peer.gone
        async with pool.acquire() as session:
            # The end may not have been noticed yet.
            try:
                await session.fetch("ROWS 1")
            except asyncbolt.ServiceUnavailable:
                pass
        async with pool.acquire() as session:
            assert await session.fetch("ROWS 1") == [(0,)]
            session.close()
        async with pool.acquire() as session:
            assert await session.fetch("ROWS 1") == [(0,)]
        assert pool.size == 1


@aiotest
async def test_broken_session_lets_who_waits_open_another():
    async with WireServer() as server, pool_of(server, max_size=1) as pool:
        held = await pool.acquire()
        waiting = asyncio.create_task(pool.fetch("ROWS 1"))
        await asyncio.sleep(0)
        held.abort()
        await pool.release(held)
        assert await waiting == [(0,)]


@aiotest
async def test_cancelled_waiters_take_nothing():
    async with WireServer() as server, pool_of(server, max_size=1) as pool:
        held = await pool.acquire()
        first, second = (asyncio.create_task(pool.fetch("ROWS 1")) for _ in range(2))
        await asyncio.sleep(0)
        # Granted and cancelled in the same turn.
        await pool.release(held)
        first.cancel()
        assert await second == [(0,)]
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (pool.size, pool.idle_size) == (1, 1)


@aiotest(loops=LOOPS, timeout=120)
async def test_counts_are_right_under_chance():
    rng = random.Random(1)
    async with WireServer() as server:
        pool = await pool_of(server, min_size=0, max_size=4)

        async def use():
            for _ in range(10):
                try:
                    async with pool.acquire(timeout=rng.choice((None, 0.0, 0.01, 1))) as session:
                        kind = rng.random()
                        if kind < 0.5:
                            await session.fetch("ROWS 3")
                        elif kind < 0.6:
                            session.abort()
                        elif kind < 0.7:
                            await session.transaction().execute("CREATE a")
                        elif kind < 0.8:
                            await session.fetch("FAIL")
                        elif kind < 0.9:
                            await session.fetch("HANG", timeout=0.001)
                except (asyncbolt.BoltError, TimeoutError):
                    pass

        tasks = [asyncio.create_task(use()) for _ in range(20)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.001)
            if rng.random() < 0.3:
                victim = rng.choice(tasks)
                victim.cancel()
            assert 0 <= pool.size <= 4
        await asyncio.gather(*tasks, return_exceptions=True)
        while pool._background:
            await asyncio.wait(tuple(pool._background))
        assert pool.size == pool.idle_size <= 4
        assert pool._out == {}
        # All of it can still be had.
        sessions = [await pool.acquire(timeout=10) for _ in range(4)]
        for session in sessions:
            assert await session.fetch("ROWS 1", timeout=10) == [(0,)]
            await pool.release(session)
        await pool.close()
        assert pool.size == 0


@aiotest
async def test_close_waits_for_those_in_use_and_refuses_others():
    async with WireServer() as server:
        pool = await pool_of(server, max_size=1)
        session = await pool.acquire()
        waiting = asyncio.create_task(pool.fetch("ROWS 1"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        with pytest.raises(asyncbolt.ConnectionPoolError, match="closed"):
            await waiting
        with pytest.raises(asyncbolt.ConnectionPoolError, match="closed"):
            await pool.acquire()
        assert not closing.done()
        assert await session.fetch("ROWS 1") == [(0,)]
        await pool.release(session)
        await closing
        assert not session.is_connected


@aiotest
async def test_close_with_a_time_limit_and_terminate():
    async with WireServer() as server:
        pool = await pool_of(server, max_size=2)
        session = await pool.acquire()
        await pool.close(timeout=0.02)
        assert not session.is_connected
        await session.wait_closed()

        pool = await pool_of(server, min_size=2, max_size=2)
        session = await pool.acquire()
        task = asyncio.create_task(session.fetch("HANG"))
        await server.until(lambda: server.messages)
        pool.terminate()
        with pytest.raises(asyncbolt.ServiceUnavailable):
            await task
        await pool.release(session)
        assert pool.size == 0


@aiotest
async def test_idle_sessions_are_closed_and_old_ones_replaced():
    async with WireServer() as server:
        async with pool_of(server, min_size=1, max_size=3, max_idle=0.02) as pool:
            sessions = [await pool.acquire() for _ in range(3)]
            for session in sessions:
                await pool.release(session)
            assert pool.idle_size == 3
            await server.until(lambda: sum(peer.gone.done() for peer in server.peers) == 2)
            assert (pool.size, pool.idle_size) == (1, 1)
        async with pool_of(server, max_lifetime=0.0) as pool:
            first = await pool.acquire()
            await pool.release(first)
            second = await pool.acquire()
            assert second is not first
            await pool.release(second)


@aiotest
async def test_misuse():
    async with WireServer() as server:
        pool = pool_of(server)
        with pytest.raises(asyncbolt.ConnectionPoolError, match="not opened"):
            await pool.acquire()
        async with pool:
            session = await pool.acquire()
            await pool.release(session)
            with pytest.raises(asyncbolt.ConnectionPoolError, match="released before"):
                await pool.release(session)
        for sizes in ({"min_size": 3, "max_size": 2}, {"max_size": 0, "min_size": 0}):
            with pytest.raises(asyncbolt.ConfigurationError):
                pool_of(server, **sizes)


@aiotest
async def test_a_pool_that_cannot_open_leaves_nothing():
    async with WireServer(password="right") as server:
        with pytest.raises(asyncbolt.AuthError):
            await pool_of(server, min_size=3, auth=("me", "wrong"))
