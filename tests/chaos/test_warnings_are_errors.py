"""Users' own tests: an event loop for each, ``filterwarnings = error``, and nothing to complain of.

The tests of such users run in a pytest of their own, and talk to a server of ours in the loop of the test.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiohelp import aiotest
from driver_servers import serving

SETTINGS = """\
[pytest]
filterwarnings = error
addopts = -p no:cacheprovider -p no:randomly -p no:benchmark -p no:xdist -q
"""

HEAD = """\
import asyncio
import gc
import os

import asyncbolt
import pytest

PORT = int(os.environ["PORT"])
URI = f"bolt://127.0.0.1:{PORT}"
FLAVOUR = os.environ["FLAVOUR"]


def new_loop():
    if FLAVOUR.startswith("uvloop"):
        import uvloop

        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    if FLAVOUR.endswith("-eager"):
        # As asyncio.eager_task_factory, which does not take all that uvloop passes on Python 3.13.
        loop.set_task_factory(
            lambda loop, step, eager_start=None, **options: asyncio.Task(
                step, loop=loop, eager_start=True, **options
            )
        )
    return loop


def made(**options):
    return asyncbolt.AsyncGraphDatabase.driver(URI, auth=("u", "p"), **options)
"""

USERS_TESTS = (
    HEAD
    + """
def run_properly(main):
    # As asyncio.run does it.
    loop = new_loop()
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def run_roughly(main):
    loop = new_loop()
    result = loop.run_until_complete(main)
    loop.stop()
    loop.close()
    return result


@pytest.fixture(params=[run_properly, run_roughly])
def run(request):
    yield request.param
    gc.collect()


async def count(driver, **options):
    records, _, _ = await driver.execute_query("NUMBERS", **options)
    return len(records)


def test_a_driver_that_is_closed_in_its_loop(run):
    async def main():
        async with made() as mine:
            assert await count(mine) == 3
            async with mine.session() as session:
                async with await session.begin_transaction() as tx:
                    assert len(await tx.fetch("NUMBERS")) == 3

    run(main())


def test_a_client_and_a_pool(run):
    async def main():
        async with asyncbolt.connect(URI) as session:
            assert len(await session.fetch("NUMBERS")) == 3
            async with session.transaction() as tx:
                await tx.execute("NUMBERS")
        async with asyncbolt.create_pool(URI, min_size=2) as pool:
            async with pool.acquire() as session:
                async for batch in session.batches("NUMBERS", {"n": 100}, fetch_size=10):
                    break
            await pool.fetch("NUMBERS")
        session = await asyncbolt.connect(URI)
        session.close()
        await session.wait_closed()
        pool = await asyncbolt.create_pool(URI)
        held = await pool.acquire()
        await pool.close(timeout=0.05)
        assert not held.is_connected

    run(main())


def test_nobody_is_there(run):
    async def main():
        with pytest.raises(asyncbolt.ServiceUnavailable):
            await asyncbolt.connect("bolt://127.0.0.1:1")
        with pytest.raises(asyncbolt.ServiceUnavailable):
            async with made_elsewhere() as mine:
                await mine.verify_connectivity()

    run(main())


def made_elsewhere():
    return asyncbolt.AsyncGraphDatabase.driver("bolt://127.0.0.1:1", auth=("u", "p"))


def test_cancelled_while_connecting(run):
    async def main():
        for turns in range(40):
            async with made() as mine:
                tasks = [asyncio.ensure_future(step) for step in (count(mine), connected())]
                for _ in range(turns):
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    async def connected():
        async with asyncbolt.connect(URI) as session:
            await session.ping()

    run(main())


"""
)

# Loops that end before the driver is closed. On uvloop no library can help: its close() never returns when a
# transport is open and its own warning about that is an error.
OPEN_ENDS = """

driver = made()


@pytest.mark.parametrize("number", range(4))
def test_a_driver_of_the_module(run, number):
    assert run(count(driver)) == 3


def test_many_connections_of_a_driver_of_the_module(run):
    async def main():
        assert await asyncio.gather(*(count(driver) for _ in range(10))) == [3] * 10

    run(main())
    assert run(count(driver)) == 3


def test_a_driver_that_is_closed_in_another_loop(run):
    mine = made()
    for _ in range(3):
        assert run(count(mine)) == 3
    run(mine.close())


def test_what_is_given_up_before_the_loop_ends(run):
    mine = made(max_connection_pool_size=2)

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(mine.execute_query("FOREVER"), 0.05)
        async with mine.session() as session:
            result = await session.run("NUMBERS", n=2000)
            await result.peek()
        assert await count(mine) == 3

    run(main())
    run(mine.close())


def test_what_is_given_up_as_the_loop_ends(run):
    mine = made()

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(mine.execute_query("FOREVER"), 0.05)

    run(main())
    assert run(count(mine)) == 3
    run(mine.close())


def test_the_end_of_the_driver_of_the_module(run):
    run(driver.close())
"""

LEAKING_TESTS = (
    HEAD
    + """
def test_a_socket_is_left():
    async def main():
        await asyncio.open_connection("127.0.0.1", PORT)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    gc.collect()


def test_gone():
    gc.collect()
"""
)


async def pytest_of(folder: Path, tests: str, port: int, flavour: str) -> tuple[int, str]:
    """Run *tests* in a pytest of their own; gives its exit status and what it said."""
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "test_of_users.py").write_text(tests)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-X", "dev", "-I", "-m", "pytest", "test_of_users.py",
        cwd=folder, env={**os.environ, "PORT": str(port), "FLAVOUR": flavour},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 80)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


@aiotest(timeout=100)
async def test_a_loop_for_each_test(flavour: str, tmp_path: Path) -> None:
    async with serving() as port:
        tests = USERS_TESTS if flavour.startswith("uvloop") else USERS_TESTS + OPEN_ENDS
        status, said = await pytest_of(tmp_path, tests, port, flavour)
    if status:
        pytest.fail(said, pytrace=False)


@aiotest(timeout=100)
async def test_what_is_left_would_be_seen(tmp_path: Path) -> None:
    async with serving() as port:
        status, said = await pytest_of(tmp_path, LEAKING_TESTS, port, "asyncio")
    assert status == 1 and "ResourceWarning" in said, said
