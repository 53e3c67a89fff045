"""The pool: fairness, limits, time limits, dead connections, several event loops, forks, Unix sockets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from aiohelp import aiotest
from driver_servers import Numbers, Proxy, driver_of, serving, settled, until

import asyncbolt
from asyncbolt.driver import clock
from asyncbolt.exceptions import (
    ConnectionAcquisitionTimeoutError,
    ConnectionPoolError,
    DriverError,
    ServiceUnavailable,
)


@aiotest(timeout=120)
async def test_ten_thousand_wait_and_are_served_in_order() -> None:
    served = []

    async def use(number: int) -> None:
        async with driver.session() as session:
            await session.fetch("NUMBERS", {"n": 1})
            served.append(number)

    async with serving() as port, driver_of(port, max_connection_pool_size=10) as driver:
        tasks = [asyncio.ensure_future(use(number)) for number in range(10_000)]
        await asyncio.gather(*tasks)
        stats = await settled(driver)
        assert (stats.opened, stats.idle, stats.waiting, stats.acquired) == (10, 10, 0, 10_000)
        # Ten are under way at once: nobody is overtaken by more than their neighbours.
        assert all(abs(place - number) < 20 for place, number in enumerate(served))


@aiotest
async def test_acquisition_timeout_bounds_waiting_and_connecting() -> None:
    async with serving() as port:
        options = {"max_connection_pool_size": 1, "connection_acquisition_timeout": 0.05}
        async with driver_of(port, **options) as driver, driver.session() as session:
            tx = await session.begin_transaction()
            with pytest.raises(ConnectionAcquisitionTimeoutError, match=r"0\.05 s"):
                await driver.execute_query("NUMBERS")
            stats = driver.pool_stats()
            assert (stats.in_use, stats.waiting, stats.timed_out) == (1, 0, 1)
            await tx.rollback()
            await driver.execute_query("NUMBERS")
    silent = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        async with driver_of(port, connection_acquisition_timeout=0.05) as driver:
            with pytest.raises(ConnectionAcquisitionTimeoutError):
                await driver.verify_connectivity()
            assert (await settled(driver)).addresses == {}


@aiotest
async def test_lifetime_and_liveness(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    async with serving() as port, Proxy(port) as proxy:
        async with driver_of(proxy.port, max_connection_lifetime=100) as driver:
            await driver.execute_query("NUMBERS")
            now[0] += 99
            await driver.execute_query("NUMBERS")
            assert driver.pool_stats().opened == 1
            now[0] += 2
            await driver.execute_query("NUMBERS")
            assert driver.pool_stats().opened == 2
        async with driver_of(proxy.port, liveness_check_timeout=10) as driver:
            await driver.execute_query("NUMBERS")
            proxy.bursts = 0
            now[0] += 9
            await driver.execute_query("NUMBERS")
            assert proxy.bursts == 2
            now[0] += 11
            await driver.execute_query("NUMBERS")
            assert proxy.bursts == 2 + 3  # a RESET first


@pytest.mark.parametrize("reason", ["lost", "too old"])
@aiotest
async def test_who_is_granted_a_connection_that_is_no_good_keeps_its_turn(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    served: list[int] = []

    async def use(number: int) -> None:
        await driver.execute_query("NUMBERS")
        served.append(number)

    options = {"max_connection_pool_size": 1, "max_connection_lifetime": 100}
    async with serving() as port, Proxy(port) as proxy, driver_of(proxy.port, **options) as driver:
        session = driver.session()
        tx = await session.begin_transaction()
        tasks = [asyncio.ensure_future(use(number)) for number in range(4)]
        await until(lambda: driver.pool_stats().waiting == len(tasks))
        if reason == "too old":
            now[0] += 101
            await tx.rollback()
        else:
            connection = tx._connection
            # Lost after it was given to the first who waits, who did not have it yet.
            await tx.rollback()
            connection.abort()
        await asyncio.gather(*tasks)
        assert served == [0, 1, 2, 3]
        stats = await settled(driver)
        assert (stats.opened, stats.closed, stats.idle, stats.waiting) == (2, 1, 1, 0)


@aiotest
async def test_dead_connections_are_replaced() -> None:
    async with serving() as port, Proxy(port) as proxy, driver_of(proxy.port) as driver:
        for _ in range(3):
            await driver.execute_query("NUMBERS")
            proxy.cut()
            await until(lambda: not driver.pool_stats().idle)
        await driver.execute_query("NUMBERS")
        stats = driver.pool_stats()
        assert (stats.opened, stats.closed, stats.idle) == (4, 3, 1)
    async with driver_of(1) as driver:
        with pytest.raises(ServiceUnavailable):
            await driver.verify_connectivity()


@aiotest
async def test_closing_with_sessions_in_use() -> None:
    async with serving() as port:
        driver = driver_of(port, max_connection_pool_size=1)
        session = driver.session()
        running = asyncio.ensure_future(session.run("FOREVER"))
        await until(lambda: driver.pool_stats().in_use)
        waiting = asyncio.ensure_future(driver.execute_query("NUMBERS"))
        await until(lambda: driver.pool_stats().waiting)
        await driver.close()
        with pytest.raises(ConnectionPoolError):
            await waiting
        with pytest.raises(ServiceUnavailable):
            await running
        await session.close()
        with pytest.raises(DriverError):
            await driver.execute_query("NUMBERS")


def test_one_driver_in_several_event_loops() -> None:
    ready, done = threading.Event(), threading.Event()
    port = [0]

    async def serve() -> None:
        async with serving() as number:
            port[0] = number
            ready.set()
            await asyncio.get_running_loop().run_in_executor(None, done.wait)

    server = threading.Thread(target=asyncio.run, args=(serve(),))
    server.start()
    try:
        ready.wait()
        driver = driver_of(port[0])

        async def use(close: bool) -> int:
            records, _, _ = await driver.execute_query("NUMBERS", n=5)
            if close:
                await driver.close()
            return len(records)

        async def at_once() -> int:
            thread = asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(close_own()))
            records, _, _ = await driver.execute_query("NUMBERS", n=5)
            await thread
            await driver._pool().close()
            driver._pools.clear()
            driver._latest = None
            return len(records)

        async def close_own() -> None:
            await driver.execute_query("NUMBERS")
            await driver._pools.pop(asyncio.get_running_loop()).close()

        assert asyncio.run(at_once()) == 5
        assert asyncio.run(use(close=True)) == 5
    finally:
        done.set()
        server.join()


FORK = """
import asyncio, os, sys
import asyncbolt
driver = asyncbolt.AsyncGraphDatabase.driver(f"bolt://127.0.0.1:{sys.argv[1]}", auth=("u", "p"))
async def use():
    records, _, _ = await driver.execute_query("NUMBERS", n=4)
    return len(records), driver.pool_stats().opened
async def use_and_close():
    used = await use()
    await driver.close()  # has nothing to do with the parent's event loop
    return used
async def main():
    assert await use() == (4, 1)
    child = os.fork()
    if not child:
        os._exit(13 if asyncio.new_event_loop().run_until_complete(use_and_close()) == (4, 1) else 14)
    status = await asyncio.get_running_loop().run_in_executor(None, os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status[1]) == 13, status
    # The child has touched nothing of ours.
    assert await use() == (4, 1)
    await driver.close()
asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this platform does not fork")
@aiotest
async def test_a_forked_child_has_connections_of_its_own() -> None:
    async with serving() as port:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-W", "ignore", "-c", FORK, str(port),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await child.communicate()
        assert child.returncode == 0, out.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
@aiotest
async def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "bolt.sock"

    forwarding = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forwarding.append(asyncio.current_task())
        there, back = await asyncio.open_connection("127.0.0.1", port)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(copy(reader, back), copy(there, writer))

    async with serving() as port:
        server = await asyncio.start_unix_server(forward, path)
        async with server:
            async with asyncbolt.AsyncGraphDatabase.driver(f"bolt+unix://{path}") as driver:
                assert len((await driver.execute_query("NUMBERS")).records) == 3
                assert [str(address) for address in driver.pool_stats().addresses] == [str(path)]
            async with asyncbolt.connect(f"bolt+unix://{path}") as session:
                assert len(await session.fetch("NUMBERS")) == 3
            await asyncio.gather(*forwarding)  # type: ignore[arg-type]
    assert Numbers.calls["NUMBERS"]
