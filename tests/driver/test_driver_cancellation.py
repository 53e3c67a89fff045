"""Cancelled at every step of the event loop: nothing leaks, nothing hangs, and the next query works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from driver_servers import Numbers, driver_of

import asyncbolt

Operation = Callable[[asyncbolt.AsyncDriver], Awaitable[None]]

_MOST_STEPS = 2000


async def run(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session(fetch_size=2) as session:
        result = await session.run("NUMBERS", n=7)
        assert len([record async for record in result]) == 7


async def unread(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session(fetch_size=2) as session:
        await session.run("NUMBERS", n=9)


async def execute_query(driver: asyncbolt.AsyncDriver) -> None:
    await driver.execute_query("NUMBERS")


async def execute_write(driver: asyncbolt.AsyncDriver) -> None:
    async def work(tx: asyncbolt.AsyncManagedTransaction) -> Any:
        await (await tx.run("NUMBERS", n=2)).data()
        return await tx.fetch("NUMBERS")

    async with driver.session() as session:
        await session.execute_write(work)


async def commit(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session(fetch_size=2) as session:
        transaction = await session.begin_transaction()
        await (await transaction.run("NUMBERS", n=9)).fetch(1)
        await transaction.commit()


async def rollback(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session(fetch_size=2) as session:
        transaction = await session.begin_transaction()
        await transaction.run("NUMBERS", n=9)
        await transaction.rollback()


async def batches(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session() as session:
        async for _ in session.batches("NUMBERS", {"n": 7}, fetch_size=2):
            pass
        await session.execute_many("NUMBERS", range(100), batch_rows=10)


async def two_wait_for_one_connection(driver: asyncbolt.AsyncDriver) -> None:
    await asyncio.gather(run(driver), unread(driver), execute_query(driver))


class Steps:
    """An event loop that is driven step by step."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def step(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def until(self, done: Callable[[], bool]) -> None:
        for _ in range(100 * _MOST_STEPS):
            if done():
                return
            self.step()
        raise AssertionError("this never ends")

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))


@pytest.mark.parametrize("fresh", [True, False], ids=["connecting", "connected"])
@pytest.mark.parametrize(
    "operation",
    [run, unread, execute_query, execute_write, commit, rollback, batches, two_wait_for_one_connection],
)
def test_cancelled_at_every_step(operation: Operation, fresh: bool) -> None:
    steps = Steps()
    loop = steps.loop
    server = steps.run(asyncbolt.create_server(Numbers, port=0))
    port = server.sockets[0].getsockname()[1]
    driver: asyncbolt.AsyncDriver | None = None

    async def stats(driver: asyncbolt.AsyncDriver) -> asyncbolt.PoolStats:
        return driver.pool_stats()

    try:
        for count in range(_MOST_STEPS):
            if driver is None or fresh:
                if driver is not None:
                    steps.run(driver.close())
                driver = driver_of(port, max_connection_pool_size=1)
            task = loop.create_task(operation(driver))  # type: ignore[arg-type]
            for _ in range(count):
                if not task.done():
                    steps.step()
            finished = task.done()
            task.cancel()
            with_error: BaseException | None = None
            try:
                steps.run(asyncio.wait((task,)))
                task.result()
            except asyncio.CancelledError as error:
                with_error = error
            assert finished == (with_error is None)

            def quiet(driver: asyncbolt.AsyncDriver = driver) -> bool:
                now = steps.run(stats(driver))
                assert now.in_use + now.idle + now.opening <= 1
                return not (now.in_use or now.opening or now.waiting)

            steps.until(quiet)
            steps.run(driver.execute_query("NUMBERS"))
            if finished:
                break
        else:
            raise AssertionError("the operation never finished")
        if not fresh:
            # A RESET cleans up: no connection is thrown away because its user was cancelled.
            assert steps.run(stats(driver)).opened <= 2
    finally:
        if driver is not None:
            steps.run(driver.close())
        server.close()
        steps.run(server.wait_closed())
        loop.close()
