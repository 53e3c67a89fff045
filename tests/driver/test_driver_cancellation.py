"""Cancelled at every step of the event loop: nothing leaks, nothing hangs, and the next query works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from driver_servers import Numbers, driver_of

import asyncbolt
from asyncbolt.exceptions import ClientError, DriverError

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


async def begin(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session() as session:
        transaction = await session.begin_transaction(timeout=5)
        await transaction.close()


async def fetch(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session() as session:
        assert len(await session.fetch("NUMBERS")) == 3
        await session.execute("NUMBERS")


async def readers(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session(fetch_size=1) as session:
        result = await session.run("NUMBERS", n=4)
        await result.peek()
        await result.fetch(2)
        await result.consume()
        await (await session.run("NUMBERS", n=1)).single()


async def leave_open(driver: asyncbolt.AsyncDriver) -> None:
    session = driver.session(fetch_size=1)
    try:
        transaction = await session.begin_transaction()
        await transaction.run("NUMBERS", n=5)
    except asyncio.CancelledError:
        session.cancel()
        raise
    await session.close()


async def shaky(driver: asyncbolt.AsyncDriver) -> None:
    async def work(tx: asyncbolt.AsyncManagedTransaction) -> Any:
        return await (await tx.run("SHAKY")).data()

    Numbers.failures["SHAKY"] = 2
    try:
        async with driver.session() as session:
            await session.execute_read(work)
    finally:
        Numbers.failures["SHAKY"] = 0


async def failing(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session() as session:
        for failing in (session.run, session.fetch):
            with pytest.raises(ClientError):
                await failing("FAIL")


async def someone_else(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session(auth=("other", "p")) as session:
        await session.fetch("NUMBERS")


async def verify(driver: asyncbolt.AsyncDriver) -> None:
    assert await driver.verify_authentication()
    await driver.verify_connectivity()


class Steps:
    """An event loop that is driven step by step."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.complaints: list[Any] = []
        self.loop.set_exception_handler(lambda loop, context: self.complaints.append(context))

    def close(self) -> None:
        self.step()
        left = asyncio.all_tasks(self.loop)
        self.loop.close()
        assert not left and not self.complaints, (left, self.complaints)

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


def new_driver(port: int, *, routed: bool = False, **options: Any) -> asyncbolt.AsyncDriver:
    options["max_connection_pool_size"] = 1
    if routed:
        uri = f"neo4j://127.0.0.1:{port}"
        return asyncbolt.AsyncGraphDatabase.driver(uri, auth=("u", "p"), **options)
    return driver_of(port, **options)


@pytest.mark.parametrize("fresh", [True, False], ids=["connecting", "connected"])
@pytest.mark.parametrize(
    "operation",
    [run, unread, execute_query, execute_write, commit, rollback, batches, two_wait_for_one_connection,
     begin, fetch, readers, leave_open, shaky, failing, someone_else, verify],
)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"liveness_check_timeout": 0}, {"routed": True}], ids=str)
def test_cancelled_at_every_step(
    operation: Operation, fresh: bool, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncbolt.driver.clock.sleep", lambda seconds: asyncio.sleep(0))
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
                driver = new_driver(port, **options)
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
        steps.close()


def test_a_waiting_task_is_cancelled_while_its_turn_comes() -> None:
    steps = Steps()
    loop = steps.loop
    server = steps.run(asyncbolt.create_server(Numbers, port=0))
    driver = driver_of(server.sockets[0].getsockname()[1], max_connection_pool_size=1)

    async def stats() -> asyncbolt.PoolStats:
        return driver.pool_stats()

    async def hold(until: asyncio.Future[None]) -> None:
        async with driver.session() as session, await session.begin_transaction():
            await until

    try:
        for freed in range(12):
            for cancelled in range(freed, _MOST_STEPS):
                free = loop.create_future()
                holder = loop.create_task(hold(free))
                steps.until(lambda: steps.run(stats()).in_use)
                first, second = (loop.create_task(fetch(driver)) for _ in range(2))
                for step in range(cancelled):
                    if step == freed:
                        free.set_result(None)
                    steps.step()
                if cancelled == freed:
                    free.set_result(None)
                finished = first.done()
                first.cancel()
                steps.run(asyncio.wait((holder, first, second)))
                assert first.cancelled() is not finished
                holder.result()
                second.result()  # whatever the first was given has come to the second
                steps.until(lambda: not steps.run(stats()).in_use)
                now = steps.run(stats())
                assert (now.waiting, now.opening, now.idle) == (0, 0, 1)
                if finished:
                    break
            else:
                raise AssertionError("it never finished")
        assert steps.run(stats()).opened == 1
    finally:
        steps.run(driver.close())
        server.close()
        steps.run(server.wait_closed())
        steps.close()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_closing_is_cancelled(busy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncbolt.driver.clock.sleep", lambda seconds: asyncio.sleep(0))
    steps = Steps()
    loop = steps.loop
    server = steps.run(asyncbolt.create_server(Numbers, port=0))
    port = server.sockets[0].getsockname()[1]
    try:
        for count in range(1, _MOST_STEPS):  # cancelled before its first step, it never began
            driver = driver_of(port)
            steps.run(driver.verify_connectivity())
            running = loop.create_task(driver.execute_query("FOREVER")) if busy else None
            if busy:
                steps.until(lambda before=Numbers.calls["FOREVER"]: Numbers.calls["FOREVER"] > before)
            pool = driver._latest
            assert pool is not None
            task = loop.create_task(driver.close())
            for _ in range(count):
                if not task.done():
                    steps.step()
            finished = task.done()
            task.cancel()
            steps.run(asyncio.wait((task,)))
            assert pool.closed
            now = pool.stats()  # whatever its user has noticed by now
            assert (now.in_use, now.idle, now.opening, now.waiting) == (0, 0, 0, 0)
            assert now.opened == now.closed == 1
            if running is not None:
                steps.run(asyncio.wait((running,)))
                assert isinstance(running.exception(), DriverError)
            steps.run(driver.close())
            steps.until(lambda pool=pool: not pool._background)
            if finished:
                break
        else:
            raise AssertionError("closing never finished")
    finally:
        server.close()
        steps.run(server.wait_closed())
        steps.close()
