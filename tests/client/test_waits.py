"""Every wait of the client has an end: the caller's limit, or a default."""

from __future__ import annotations

import asyncio
import contextlib
import importlib

import pytest
from aiohelp import LOOPS, aiotest
from chaos_proxy import ChaosProxy, Fault, Plan
from mute_peers import KINDS, black_hole, ends_within, peer
from wire_server import WireServer

import asyncbolt
from asyncbolt.aio import _clock
from asyncbolt.exceptions import (
    ConnectionAcquisitionTimeoutError,
    ConnectionPoolError,
    HandshakeError,
    ServiceUnavailable,
)

connecting = importlib.import_module("asyncbolt.client.connect")
pools = importlib.import_module("asyncbolt.client.pool")

GIVEN_UP = (ServiceUnavailable, HandshakeError, asyncio.TimeoutError)


@contextlib.asynccontextmanager
async def stallable():
    """A server behind a proxy; gives the server, the proxy and the URI."""
    async with WireServer() as server, ChaosProxy(int(server.uri.rpartition(":")[2])) as proxy:
        yield server, proxy, f"bolt://127.0.0.1:{proxy.port}"


def stall(proxy):
    """From now on nothing comes from the server any more, and nothing gets there."""
    for line in proxy.lines:
        line.up.set(Fault("swallow"))
        line.down.set(Fault("hoard"))


async def pool_of(uri, **options):
    return await asyncbolt.create_pool(uri, **options)


@pytest.mark.parametrize("kind", KINDS)
@aiotest(loops=LOOPS)
async def test_connecting_ends_at_its_limit(kind, monkeypatch):
    connecting._remembered.clear()
    async with peer(KINDS[kind]) as port:
        uri = f"bolt://127.0.0.1:{port}"

        async def connect(**options):
            async with asyncbolt.connect(uri, **options):
                raise AssertionError("connected")

        async def acquire():
            pool = asyncbolt.create_pool(uri, min_size=0)
            async with pool, pool.acquire(timeout=0.3):
                raise AssertionError("connected")

        waits = [
            connect(timeout=0.3),
            connect(timeout=0.3, versions=[(5, 8)]),
            pool_of(uri, connect_timeout=0.3),
            acquire(),
        ]
        outcomes = await ends_within(0.3, asyncio.gather(*waits, return_exceptions=True))
        for outcome in outcomes:
            assert isinstance(outcome, (*GIVEN_UP, ConnectionAcquisitionTimeoutError)), outcome


@pytest.mark.parametrize("kind", KINDS)
@aiotest
async def test_connecting_without_a_limit_has_the_default(kind, monkeypatch):
    assert _clock.CONNECT_TIMEOUT == 30.0
    monkeypatch.setattr(connecting, "CONNECT_TIMEOUT", 0.3)
    async with peer(KINDS[kind]) as port:
        uri = f"bolt://127.0.0.1:{port}"
        with pytest.raises(GIVEN_UP):
            await ends_within(0.3, connected(uri))
        with pytest.raises(GIVEN_UP):
            await ends_within(0.3, pool_of(uri))
        async with asyncbolt.create_pool(uri, min_size=0) as pool:
            with pytest.raises(GIVEN_UP):
                await ends_within(0.3, acquired(pool))
            assert pool.size == 0


async def connected(uri, **options):
    return await asyncbolt.connect(uri, **options)


async def taken(pool):
    return await pool.acquire(timeout=5)


async def acquired(pool, **options):
    async with pool.acquire(**options) as session:
        return session


@aiotest
async def test_nobody_answers_syn():
    with black_hole() as port:
        with pytest.raises(asyncio.TimeoutError, match="no connection"):
            await ends_within(0.3, connected(f"bolt://127.0.0.1:{port}", timeout=0.3))


@aiotest
async def test_credentials_that_do_not_come():
    stubborn = asyncio.Event()

    async def never():
        # Not even when it is cancelled.
        while not stubborn.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await stubborn.wait()
        return ("u", "p")

    async with WireServer() as server:
        with pytest.raises(asyncio.TimeoutError, match="auth="):
            await ends_within(0.3, connected(server.uri, auth=never, timeout=0.3))
        stubborn.set()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("under_way", ["nothing", "fetch", "transaction", "batches left"])
@aiotest(loops=LOOPS)
async def test_leaving_a_block_ends_at_the_limit_of_connect(under_way):
    async def use(proxy, uri):
        async with asyncbolt.connect(uri, timeout=0.4) as session:
            tasks = []
            if under_way == "transaction":
                tx = session.transaction()
                await tx.begin()
            elif under_way == "batches left":
                async for _ in session.batches("ROWS 1000", fetch_size=10):
                    break
            stall(proxy)
            if under_way == "fetch":
                tasks.append(asyncio.create_task(session.fetch("ROWS 1")))
                await asyncio.sleep(0)
        for task in tasks:
            with pytest.raises(ServiceUnavailable):
                await task

    async with stallable() as (_server, proxy, uri):
        await ends_within(0.4, use(proxy, uri))


@aiotest
async def test_closing_has_five_seconds_by_default(monkeypatch):
    assert _clock.CLOSE_TIMEOUT == 5.0
    async with stallable() as (_server, proxy, uri):
        session = await asyncbolt.connect(uri)
        stall(proxy)
        waiting = asyncio.create_task(session.fetch("ROWS 1"))
        await asyncio.sleep(0)
        session.close(timeout=0.2)
        await ends_within(0.2, session.wait_closed())
        with pytest.raises(ServiceUnavailable, match=r"no answer came within 0\.2 s"):
            await waiting


@pytest.mark.parametrize("under_way", ["BEGIN", "nothing", "a statement"])
@aiotest(loops=LOOPS)
async def test_cancelling_a_transaction_on_a_silent_server_waits_for_nothing(under_way):
    """asyncio.timeout() cancels: the end of the block must not wait for a ROLLBACK that is never answered."""
    async with stallable() as (_server, proxy, uri):
        session = await asyncbolt.connect(uri, reset_timeout=0.3)

        async def use():
            if under_way == "BEGIN":
                stall(proxy)
            async with session.transaction() as tx:
                await tx.execute("CREATE a")
                stall(proxy)
                if under_way == "a statement":
                    await tx.execute("CREATE b")
                await asyncio.Event().wait()

        task = asyncio.create_task(use())
        for _ in range(20):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ends_within(0, task)
        # Nobody waits for it any more: the connection is given up.
        await ends_within(0.3, session.wait_closed())
        assert not session.is_connected
        with pytest.raises(ServiceUnavailable, match=r"did not answer (BEGIN|ROLLBACK|RESET) within 0\.3 s"):
            await session.fetch("ROWS 1")


@aiotest
async def test_an_error_in_a_transaction_on_a_silent_server_ends_soon_and_is_the_one_to_be_seen():
    async with stallable() as (_server, proxy, uri):
        session = await asyncbolt.connect(uri, reset_timeout=0.3)

        async def use():
            async with session.transaction() as tx:
                await tx.execute("CREATE a")
                stall(proxy)
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await ends_within(0.3, use())


@aiotest
async def test_the_limit_of_a_transaction_bounds_the_end_of_its_block():
    async with stallable() as (_, proxy, uri), asyncbolt.connect(uri) as session:

        async def limited():
            async with session.transaction(timeout=0.3) as tx:
                await tx.execute("CREATE a")
                stall(proxy)
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await ends_within(0.3, limited())
        session.abort()


async def leave_batches(session):
    async for _ in session.batches("ROWS 1000", fetch_size=10):
        break


async def give_up(step):
    with pytest.raises(asyncio.TimeoutError):
        await step


@aiotest
async def test_what_was_left_early_does_not_keep_a_silent_connection():
    async with stallable() as (_server, proxy, uri):
        session = await asyncbolt.connect(uri, reset_timeout=0.3)
        stream = session.batches("ROWS 1000", fetch_size=10)
        await stream.__anext__()
        stall(proxy)
        await stream.aclose()
        await give_up(session.fetch("ROWS 1", timeout=0.05))
        await ends_within(0.6, session.wait_closed())
        assert not session.is_connected


@aiotest
async def test_what_was_left_early_may_take_its_time():
    """Nobody else has given up: the statement is to run to its end, however silent."""
    async with stallable() as (server, _proxy, uri):
        session = await asyncbolt.connect(uri, reset_timeout=0.05)
        stream = session.batches("ROWS 1000", fetch_size=10)
        await stream.__anext__()
        server.hold()
        await stream.aclose()
        await asyncio.sleep(0.3)
        assert session.is_connected
        server.release()
        assert await session.fetch("ROWS 1") == [(0,)]
        session.close()
        await session.wait_closed()


@aiotest
async def test_a_rollback_that_is_not_answered_is_given_up():
    async with stallable() as (_server, proxy, uri):
        session = await asyncbolt.connect(uri, reset_timeout=0.3)
        tx = session.transaction()
        await tx.execute("CREATE a")
        stall(proxy)
        with pytest.raises(ServiceUnavailable, match="ROLLBACK"):
            await ends_within(0.3, tx.rollback())
        await session.wait_closed()


# ---------------------------------------------------------------- pools


@contextlib.asynccontextmanager
async def old_sessions(monkeypatch, count):
    """A pool of so many sessions that are to be asked whether they work, and the proxy before the server."""
    monkeypatch.setattr(pools, "_TRUSTED_SECONDS", -1.0)
    async with stallable() as (server, proxy, uri):
        pool = await asyncbolt.create_pool(uri, min_size=count, max_size=count)
        yield server, proxy, pool
        pool.terminate()
        await pool.close(timeout=0.1)


@aiotest
async def test_dead_idle_sessions_are_noticed_once(monkeypatch):
    async with old_sessions(monkeypatch, 6) as (server, proxy, pool):
        stall(proxy)
        # New connections work: the old ones are forgotten by what stands between.
        session = await ends_within(1.0, acquired(pool, timeout=1.0))
        assert session.is_connected and pool.size == 1
        assert len(server.peers) == 7


@aiotest
async def test_acquiring_from_a_server_that_went_silent_ends_at_its_limit(monkeypatch):
    async with old_sessions(monkeypatch, 6) as (_server, proxy, pool):
        stall(proxy)
        proxy.plan = lambda number: Plan(accept="silent")
        with pytest.raises((ConnectionAcquisitionTimeoutError, asyncio.TimeoutError)):
            await ends_within(0.4, acquired(pool, timeout=0.4))
        assert pool.size == 0


@aiotest(loops=LOOPS)
async def test_closing_a_pool_ends_what_is_being_opened():
    async with peer(KINDS["silent"]) as port:
        pool = await asyncbolt.create_pool(f"bolt://127.0.0.1:{port}", min_size=0)
        tasks = [asyncio.create_task(acquired(pool)) for _ in range(3)]
        for _ in range(10):
            await asyncio.sleep(0)
        await ends_within(0.2, pool.close(timeout=0.2))
        outcomes = await ends_within(0, asyncio.gather(*tasks, return_exceptions=True))
        assert [type(outcome) for outcome in outcomes] == [ConnectionPoolError] * 3
        assert pool.size == 0


@aiotest
async def test_closing_a_pool_of_silent_sessions_ends_at_its_limit():
    async with stallable() as (_server, proxy, uri):
        pool = await asyncbolt.create_pool(uri, min_size=3)
        session = await pool.acquire()
        waiting = asyncio.create_task(session.fetch("ROWS 1"))
        await asyncio.sleep(0)
        stall(proxy)
        await ends_within(0.2, pool.close(timeout=0.2))
        with pytest.raises(ServiceUnavailable):
            await waiting
        assert pool.size == 0


@aiotest
async def test_closing_a_pool_cuts_what_is_being_cleaned():
    async with stallable() as (_server, proxy, uri):
        pool = await asyncbolt.create_pool(uri, min_size=1, max_size=1, reset_timeout=30)

        async def use():
            async with pool.acquire() as session:
                stall(proxy)
                await session.fetch("ROWS 1", timeout=0.05)

        with pytest.raises(asyncio.TimeoutError):
            await ends_within(0.05, asyncio.wait_for(use(), 0.1))
        began = asyncio.get_running_loop().time()
        await pool.close(timeout=0.1)
        assert asyncio.get_running_loop().time() - began < 0.9
        assert pool.size == 0


@aiotest
async def test_leaving_a_session_of_a_pool_when_cancelled_waits_for_nothing():
    async with stallable() as (_server, proxy, uri):
        pool = await asyncbolt.create_pool(uri, min_size=1, max_size=1, reset_timeout=30)

        async def use():
            async with pool.acquire() as session:
                stall(proxy)
                await session.fetch("ROWS 1")

        task = asyncio.create_task(use())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ends_within(0, task)
        # Its place is not kept from others until RESET's limit is over.
        session = await ends_within(2.0, taken(pool))
        assert await session.fetch("ROWS 1") == [(0,)]
        await pool.release(session)
        await pool.close()


@aiotest
async def test_a_pool_in_another_loop():
    async with WireServer() as server:
        pool = await asyncbolt.create_pool(server.uri, min_size=1)

        def elsewhere():
            with pytest.raises(ConnectionPoolError, match="event loop"):
                asyncio.run(acquired(pool))

        await asyncio.get_running_loop().run_in_executor(None, elsewhere)
        await pool.close()
