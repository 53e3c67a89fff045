"""The helper that runs async tests finds what it is there to find."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

import pytest
from aiohelp import LOOPS, aiotest, free_port, open_fds


@aiotest(loops=LOOPS)
async def test_test_is_the_only_task(tmp_path):
    assert tmp_path.is_dir()  # fixtures arrive
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert asyncio.get_running_loop().get_debug()


@aiotest(loops=LOOPS)
async def test_closed_connections_leave_nothing():
    async def answer(reader, writer):
        writer.write(await reader.readexactly(3))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"abc")
        assert await reader.read() == b"abc"
        writer.close()
        await writer.wait_closed()


def test_left_task_is_found():
    async def leaves_a_task():
        task = asyncio.ensure_future(asyncio.Event().wait())
        await asyncio.sleep(0)
        assert not task.done()

    with pytest.raises(AssertionError, match="left a task"):
        aiotest(leaves_a_task)()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors are listed by /proc")
def test_left_descriptor_is_found():
    with contextlib.ExitStack() as stack:

        async def leaves_a_socket():
            stack.enter_context(socket.socket())

        with pytest.raises(AssertionError, match=r"still open.*socket"):
            aiotest(leaves_a_socket)()


def test_exception_in_callback_is_found():
    async def fails_in_a_callback():
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        aiotest(fails_in_a_callback)()


def test_exception_that_nobody_looked_at_is_found():
    async def forgets_a_task():
        async def fail():
            raise ValueError("forgotten")

        task = asyncio.ensure_future(fail())
        await asyncio.wait([task])

    with pytest.raises(AssertionError, match="forgotten"):
        aiotest(forgets_a_task)()


def test_hanging_test_is_ended():
    async def hangs():
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match="the test hung"):
        aiotest(timeout=0.01)(hangs)()


def test_failure_of_the_test_comes_through():
    async def fails():
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        aiotest(fails)()


def test_free_port_is_free():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", free_port()))
        if sys.platform.startswith("linux"):
            assert sock.fileno() in open_fds()
