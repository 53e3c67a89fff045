"""Drivers, event loops and threads: loops that end, stop or are busy, and many threads at once."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiohelp import LOOPS, _loop_factory, open_fds
from driver_servers import Numbers, driver_of
from server_thread import ServerThread

import asyncbolt
from asyncbolt.client.connect import VersionMemory
from asyncbolt.driver.homes import HomeDatabases
from asyncbolt.driver.listeners import Listeners
from asyncbolt.exceptions import DriverError, LocalProtocolError, SessionError


@pytest.fixture
def port() -> Iterator[int]:
    """A server in a thread and a loop of its own."""
    with ServerThread(Numbers) as server:
        yield server.port


@pytest.fixture
def strict() -> Iterator[None]:
    """Warnings are errors, also those of finalizers."""
    unraisable: list[Any] = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
            gc.collect()
    finally:
        sys.unraisablehook = hook
    assert not unraisable, [each.exc_value for each in unraisable]


async def use(driver: asyncbolt.AsyncDriver, **options: Any) -> None:
    async with driver.session(**options) as session:
        assert len(await session.fetch("NUMBERS")) == 3


def run_in(loop_name: str, step: Any) -> Any:
    """asyncio.run() with another kind of loop, on every Python."""
    loop = _loop_factory(loop_name)()
    try:
        return loop.run_until_complete(step)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def descriptors_left(before: int) -> None:
    """No more are open than *before*, but for those of the server, whose thread has its own pace."""
    end = time.monotonic() + 5
    while len(open_fds()) > before + 1:
        assert time.monotonic() < end, f"{len(open_fds())} descriptors are open, and {before} were before"
        time.sleep(0.01)


# ---------------------------------------------------------------- loops that end


@pytest.mark.parametrize("loop_name", LOOPS)
def test_connections_are_closed_with_their_loop(port: int, loop_name: str, strict: None) -> None:
    driver = driver_of(port)
    run_in(loop_name, use(driver))
    before = len(open_fds())
    for _ in range(30):
        run_in(loop_name, use(driver))
        gc.collect()
    descriptors_left(before)
    run_in(loop_name, driver.close())


@pytest.mark.parametrize("loop_name", LOOPS)
def test_what_is_in_use_when_its_loop_ends(port: int, loop_name: str) -> None:
    driver = driver_of(port)
    run_in(loop_name, use(driver))
    before = len(open_fds())

    async def leave() -> None:
        session = driver.session()
        await session.run("NUMBERS", n=100_000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del session
            gc.collect()

    for _ in range(5):
        run_in(loop_name, leave())
    run_in(loop_name, use(driver))
    gc.collect()
    descriptors_left(before)
    run_in(loop_name, driver.close())


def test_a_loop_that_is_closed_without_an_end(port: int, strict: None) -> None:
    """Not even its asynchronous generators were closed."""
    driver = driver_of(port)
    asyncio.run(use(driver))
    before = len(open_fds())
    for _ in range(5):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(use(driver))
        loop.close()
    asyncio.run(use(driver))
    gc.collect()
    descriptors_left(before)
    asyncio.run(driver.close())


def test_loops_that_are_stopped_and_forgotten_do_not_pile_up(port: int) -> None:
    driver = driver_of(port)
    asyncio.run(use(driver))
    before = len(open_fds())
    for _ in range(20):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(use(driver))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the loop's own
            del loop
            gc.collect()
    assert len(driver._pools) <= 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(use(driver))
        gc.collect()
    descriptors_left(before)
    asyncio.run(driver.close())


@pytest.mark.parametrize("loop_name", LOOPS)
def test_a_loop_that_was_stopped_may_go_on(port: int, loop_name: str) -> None:
    driver = driver_of(port)
    first, second = _loop_factory(loop_name)(), _loop_factory(loop_name)()
    for _ in range(3):
        for loop in (first, second):
            loop.run_until_complete(use(driver))

    async def begin() -> Any:
        session = driver.session()
        return session, await session.begin_transaction()

    # What is in use there stays in use.
    session, tx = first.run_until_complete(begin())
    second.run_until_complete(use(driver))
    assert len(first.run_until_complete(tx.fetch("NUMBERS"))) == 3
    first.run_until_complete(session.close())
    for loop in (first, second):
        loop.run_until_complete(use(driver))
    first.run_until_complete(driver.close())
    for loop in (first, second):
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()


# ---------------------------------------------------------------- closing from another loop


class Background:
    """A loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def do(self, step: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(step, self.loop).result(20)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


def bounded_close(driver: asyncbolt.AsyncDriver) -> None:
    began = time.monotonic()
    asyncio.run(asyncio.wait_for(driver.close(), 20))
    assert time.monotonic() - began < 10


def test_closing_a_driver_whose_other_loop_runs(port: int) -> None:
    driver, background = driver_of(port), Background()
    background.do(use(driver))
    asyncio.run(use(driver))
    bounded_close(driver)
    background.stop()
    background.loop.close()
    with pytest.raises(DriverError):
        asyncio.run(use(driver))


def test_closing_a_driver_whose_other_loop_is_stopped(port: int) -> None:
    driver, background = driver_of(port), Background()
    background.do(use(driver))
    background.stop()
    bounded_close(driver)
    # The server was told, and so is the loop should it go on.
    background.loop.run_until_complete(asyncio.sleep(0.01))
    background.loop.close()


def test_closing_a_driver_whose_other_loop_is_busy(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("asyncbolt.driver.driver"), "CLOSE_TIMEOUT", 0.3)
    driver, background = driver_of(port), Background()
    background.do(use(driver))
    busy = threading.Event()
    background.loop.call_soon_threadsafe(busy.wait, 20)
    bounded_close(driver)
    busy.set()
    background.stop()
    background.loop.run_until_complete(asyncio.sleep(0.01))
    background.loop.close()


def test_a_loop_within_a_loop(port: int) -> None:
    """What notebooks do: a second loop runs while the first one is in the middle of something."""
    driver = driver_of(port)

    async def outer() -> None:
        await use(driver)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, use(driver)).result(20)
            pool.submit(asyncio.run, driver.close()).result(20)

    asyncio.run(outer())


# ---------------------------------------------------------------- the wrong loop


def test_a_session_in_use_in_another_loop_is_an_error(port: int) -> None:
    driver, background = driver_of(port), Background()
    session = driver.session()

    async def begin() -> Any:
        return await session.begin_transaction()

    tx = background.do(begin())
    uses: list[Callable[[], Any]] = [
        lambda: session.run("NUMBERS"),
        lambda: session.fetch("NUMBERS"),
        lambda: session.begin_transaction(),
        lambda: session.execute_read(lambda tx: tx.fetch("NUMBERS")),
        lambda: tx.run("NUMBERS"),
        lambda: tx.fetch("NUMBERS"),
        lambda: tx.commit(),
        lambda: tx.rollback(),
    ]
    before = Numbers.calls["NUMBERS"]
    for step in uses:

        async def elsewhere(step: Any = step) -> None:
            await step()

        with pytest.raises((SessionError, LocalProtocolError), match="event loop"):
            asyncio.run(elsewhere())
    assert Numbers.calls["NUMBERS"] == before
    assert len(background.do(tx.fetch("NUMBERS"))) == 3
    # Closed from elsewhere it gives its connection up there.
    asyncio.run(session.close())
    background.do(asyncio.sleep(0.05))

    async def in_use() -> int:
        return driver.pool_stats().in_use

    assert background.do(in_use()) == 0
    background.do(driver.close())
    background.stop()
    background.loop.close()


def test_a_session_may_be_used_in_one_loop_after_the_other(port: int) -> None:
    driver = driver_of(port)
    session = driver.session()

    async def fetch() -> int:
        return len(await session.fetch("NUMBERS"))

    assert [asyncio.run(fetch()) for _ in range(3)] == [3, 3, 3]
    asyncio.run(driver.close())


# ---------------------------------------------------------------- threads


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(work, number) for number in range(count)]:
            future.result(60)


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
def test_threads_that_each_run_loops_on_one_driver(port: int, scheme: str, switching: None) -> None:
    driver = driver_of(port, scheme)

    async def query() -> None:
        assert len((await driver.execute_query("NUMBERS")).records) == 3

    def work(number: int) -> None:
        for _ in range(40):
            asyncio.run(query())

    in_threads(4, work)
    asyncio.run(driver.close())


def test_threads_that_close_a_driver_while_others_use_it(port: int, switching: None) -> None:
    for _ in range(10):
        driver = driver_of(port)

        async def query(driver: asyncbolt.AsyncDriver = driver) -> None:
            try:
                await driver.execute_query("NUMBERS")
            except DriverError:
                pass

        def work(number: int, query: Any = query, driver: asyncbolt.AsyncDriver = driver) -> None:
            if number:
                for _ in range(5):
                    asyncio.run(query())
            else:
                asyncio.run(driver.close())

        in_threads(3, work)
        asyncio.run(driver.close())
        assert not driver._pools and not driver._kept


def test_what_loops_share_is_safe_for_threads(switching: None) -> None:
    memory, homes, listeners = VersionMemory(), HomeDatabases(), Listeners()

    class Ear:
        def query_ended(self, event: Any) -> None:
            pass

    def work(number: int) -> None:
        for step in range(2000):
            key = ("host", (step + number) % 7, False)
            memory.learn(key, (5, 4))
            memory.get(key)
            memory.forget(key)
            homes.learn(step % 5, "neo4j")
            homes.get(step % 5)
            ear = Ear()
            listeners.add(ear)
            listeners.remove(ear)

    in_threads(6, work)
    assert listeners.query_ended == ()
