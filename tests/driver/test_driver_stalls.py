"""Connections that stall: what users give up does not take the pool with it. Deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohelp import aiotest
from driver_servers import Numbers, Proxy, driver_of, serving, settled, until

import asyncbolt
from asyncbolt.exceptions import ConnectionAcquisitionTimeoutError, ServiceUnavailable, TransactionError


class Stalling(Proxy):
    """A proxy that keeps what comes after so many bytes of one direction, until it is told to go on."""

    def __init__(self, port: int, *, up: bool, after: int) -> None:
        super().__init__(port)
        self.left = after
        self.stalls_up = up
        self.stalled = False
        self._now_up = False
        self.piece = self.let_through

    def passed(self, data: bytes, up: bool) -> bytes:
        self._now_up = up
        return super().passed(data, up)

    def let_through(self, data: bytes) -> list[bytes]:
        if self._now_up is not self.stalls_up:
            return [data]
        through, kept = data[: self.left], data[self.left :]
        self.left -= len(through)
        if kept:
            self.stalled = True
        return [through]


async def use(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session(fetch_size=2) as session:
        assert len(await (await session.run("NUMBERS", n=5)).values()) == 5
        async with await session.begin_transaction() as tx:
            assert len(await (await tx.run("NUMBERS", n=3)).values()) == 3


@pytest.mark.parametrize("up", [True, False], ids=["requests", "answers"])
@aiotest(timeout=100)
async def test_stalled_at_every_byte_and_given_up(up: bool) -> None:
    async with serving() as port:
        for after in range(4000):
            async with Stalling(port, up=up, after=after) as proxy:
                async with driver_of(proxy.port, max_connection_pool_size=1) as driver:
                    task = asyncio.ensure_future(use(driver))
                    await until(lambda task=task, proxy=proxy: task.done() or proxy.stalled)
                    finished = task.done()
                    task.cancel()
                    await asyncio.wait((task,))
                    assert task.cancelled() is not finished
                    stats = driver.pool_stats()
                    assert stats.in_use + stats.idle + stats.opening <= 1 and not stats.waiting
                    if not finished:
                        # The line is dead for good; once it is known to be, there is a place for another.
                        proxy.cut()
                    proxy.left = 1 << 30
                    await settled(driver)
                    await use(driver)
                    stats = await settled(driver)
                    assert (stats.idle, stats.waiting) == (1, 0) and stats.opened - stats.closed == 1
            if finished:
                break
        else:
            raise AssertionError("the session never fitted")


@aiotest
async def test_closing_a_driver_whose_server_says_nothing_any_more() -> None:
    async with serving() as port, Stalling(port, up=False, after=1 << 30) as proxy:
        driver = driver_of(proxy.port)
        await driver.verify_connectivity()
        proxy.left = 0
        running = asyncio.ensure_future(driver.session().run("NUMBERS"))
        await until(lambda: proxy.stalled)
        await driver.close()
        with pytest.raises(ServiceUnavailable):
            await running


@aiotest
async def test_a_stalled_login_is_bounded_and_leaves_its_place() -> None:
    async with serving() as port, Stalling(port, up=False, after=10) as proxy:
        options = {"connection_acquisition_timeout": 0.05, "max_connection_pool_size": 1}
        async with driver_of(proxy.port, **options) as driver:
            with pytest.raises(ConnectionAcquisitionTimeoutError):
                await driver.verify_connectivity()
            stats = await settled(driver)
            assert (stats.addresses, stats.timed_out, stats.opened) == ({}, 1, 0)


async def run(session: asyncbolt.AsyncSession) -> None:
    await session.run("FOREVER")


async def fetch(session: asyncbolt.AsyncSession) -> None:
    await session.fetch("FOREVER")


async def managed(session: asyncbolt.AsyncSession) -> None:
    async def work(tx: asyncbolt.AsyncManagedTransaction) -> None:
        await tx.run("FOREVER")

    await session.execute_write(work)


async def block(session: asyncbolt.AsyncSession) -> None:
    async with await session.begin_transaction() as tx:
        await tx.run("FOREVER")


@pytest.mark.parametrize("operation", [run, fetch, managed, block])
@aiotest
async def test_a_deadline_interrupts_the_server_and_keeps_the_connection(
    operation: Callable[[asyncbolt.AsyncSession], Awaitable[None]],
) -> None:
    async with serving() as port, driver_of(port, max_connection_pool_size=1) as driver:
        async with driver.session() as session:
            await session.fetch("NUMBERS")
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(operation(session), 0.05)
                assert len(await session.fetch("NUMBERS")) == 3
        stats = await settled(driver)
        assert (stats.opened, stats.closed, stats.idle) == (1, 0, 1)


@aiotest
async def test_a_deadline_inside_a_transaction_ends_it() -> None:
    options = {"max_connection_pool_size": 1}
    async with serving() as port, driver_of(port, **options) as driver, driver.session() as session:
        tx = await session.begin_transaction()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(tx.run("FOREVER"), 0.05)
        assert tx.closed()
        with pytest.raises(TransactionError):
            await tx.run("NUMBERS")
        with pytest.raises(TransactionError):
            await tx.commit()
        assert len(await session.fetch("NUMBERS")) == 3
        assert (await settled(driver)).opened == 1


@aiotest
async def test_execute_query_with_a_deadline() -> None:
    async with serving() as port, driver_of(port, max_connection_pool_size=1) as driver:
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(driver.execute_query("FOREVER"), 0.05)
            assert len((await driver.execute_query("NUMBERS")).records) == 3
        before = Numbers.calls["FOREVER"]
        waiting = [asyncio.ensure_future(driver.execute_query("FOREVER")) for _ in range(5)]
        await until(lambda: Numbers.calls["FOREVER"] > before)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert Numbers.calls["FOREVER"] == before + 1  # those that waited were never sent
        assert (await settled(driver)).opened == 1
