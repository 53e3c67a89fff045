"""Sessions and event loops: another loop, another thread, connecting again, and sessions that are dropped."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
import warnings
from pathlib import Path

import pytest
from aiohelp import LOOPS, aiotest, open_fds
from chaos_proxy import ChaosProxy, Plan
from mute_peers import ends_within
from wire_server import WireServer

import asyncbolt
from asyncbolt.exceptions import LocalProtocolError, ServiceUnavailable

TLS = Path(__file__).parents[1] / "data" / "tls"


def in_another_loop(step):
    """What *step*, a coroutine function, raises in a loop and a thread of its own."""
    caught = []

    def run():
        try:
            asyncio.run(step())
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, caught


USES = {
    "fetch": lambda session: session.fetch("CREATE a"),
    "execute": lambda session: session.execute("CREATE a"),
    "ping": lambda session: session.ping(),
    "reset": lambda session: session.reset(),
    "reconnect": lambda session: session.reconnect(),
    "execute_many": lambda session: session.execute_many("CREATE a", [1]),
    "batches": lambda session: session.batches("CREATE a").__anext__(),
    "run": lambda session: session.run("CREATE a").__anext__(),
    "begin": lambda session: session.transaction().begin(),
    "block": lambda session: session.transaction().__aenter__(),
}


@pytest.mark.parametrize("use", USES)
@aiotest(loops=LOOPS)
async def test_a_session_in_another_loop_is_an_error_and_nothing_is_submitted(use):
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:

        async def step():
            await USES[use](session)

        thread, caught = in_another_loop(step)
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        (error,) = caught
        assert isinstance(error, LocalProtocolError) and "event loop" in str(error), error
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.created == [] and len(server.peers) == 1


@aiotest
async def test_what_has_no_await_in_another_loop():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        transaction = session.transaction()
        await transaction.execute("CREATE a")

        async def pipeline():
            session.pipeline("CREATE b")

        async def close():
            session.close()

        async def roll_back():
            await transaction.rollback()

        for step in (pipeline, close, roll_back):
            thread, caught = in_another_loop(step)
            await asyncio.get_running_loop().run_in_executor(None, thread.join)
            assert isinstance(caught[0], LocalProtocolError), step
        await transaction.commit()
        assert server.created == ["a"]


def test_closing_between_two_runs_of_the_loop():
    loop = asyncio.new_event_loop()

    async def begin():
        server = await WireServer().__aenter__()
        return server, await asyncbolt.connect(server.uri)

    async def end():
        await session.wait_closed()
        await server.__aexit__()

    server, session = loop.run_until_complete(begin())
    session.pipeline("ROWS 1")
    session.close()
    loop.run_until_complete(end())
    loop.close()
    assert not session.is_connected


@aiotest
async def test_a_session_may_be_aborted_from_anywhere():
    async with WireServer() as server:
        session = await asyncbolt.connect(server.uri)
        waiting = asyncio.create_task(session.fetch("HANG"))
        await server.until(lambda: "RUN" in server.messages)
        await asyncio.get_running_loop().run_in_executor(None, session.abort)
        with pytest.raises(ServiceUnavailable):
            await ends_within(1, waiting)
        await session.wait_closed()


# ---------------------------------------------------------------- connecting again


@aiotest(loops=LOOPS)
async def test_those_who_connect_again_at_once_share_one_connection():
    async with WireServer() as server:
        session = await asyncbolt.connect(server.uri)
        session.abort()
        await asyncio.gather(*(session.reconnect() for _ in range(30)))
        assert await session.fetch("ROWS 1") == [(0,)]
        assert len(server.peers) == 2
        # One who comes late harms nobody.
        other = asyncio.create_task(session.fetch("ROWS 100"))
        await session.reconnect()
        assert len(await other) == 100 and len(server.peers) == 2
        session.close()
        await session.wait_closed()


@aiotest
async def test_thirty_tasks_that_connect_again_whenever_something_fails():
    async with WireServer() as server, ChaosProxy(server.port) as proxy:
        session = await asyncbolt.connect(f"bolt://127.0.0.1:{proxy.port}")
        failures = 0

        async def work(number):
            nonlocal failures
            for _ in range(20):
                try:
                    assert await session.fetch("ROWS 1") == [(0,)]
                except ServiceUnavailable:
                    failures += 1
                    await asyncio.sleep(0.001 * number)
                    await session.reconnect()
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(work(number)) for number in range(30)]
        for _ in range(3):
            await asyncio.sleep(0.02)
            for line in tuple(proxy.lines):
                line.cut()
        await ends_within(10, asyncio.gather(*tasks))
        assert failures and session.is_connected
        session.close()
        await session.wait_closed()


@aiotest
async def test_who_gives_up_connecting_again_leaves_it_to_the_others():
    async with WireServer() as server, ChaosProxy(server.port) as proxy:
        session = await asyncbolt.connect(f"bolt://127.0.0.1:{proxy.port}")
        proxy.plan = lambda number: Plan(accept="silent")
        session.abort()
        first = asyncio.create_task(session.reconnect())
        second = asyncio.create_task(session.reconnect(timeout=0.1))
        third = asyncio.create_task(session.reconnect())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.TimeoutError):
            await ends_within(0.1, second)
        assert not third.done()
        third.cancel()
        with pytest.raises(asyncio.CancelledError):
            await third
        # Nobody waits for it any more; the next one is another try.
        proxy.plan = lambda number: Plan()
        await ends_within(1, session.reconnect())
        assert await session.fetch("ROWS 1") == [(0,)]
        session.close()
        await session.wait_closed()


@pytest.mark.parametrize("how", ["close", "abort"])
@aiotest(loops=LOOPS)
async def test_closing_while_connecting_again_stays_closed(how):
    async with WireServer() as server, ChaosProxy(server.port) as proxy:
        session = await asyncbolt.connect(f"bolt://127.0.0.1:{proxy.port}")
        proxy.plan = lambda number: Plan(accept="silent")
        session.abort()
        again = asyncio.create_task(session.reconnect())
        for _ in range(5):
            await asyncio.sleep(0)
        getattr(session, how)()
        with pytest.raises(LocalProtocolError, match="closed while"):
            await ends_within(1, again)
        await ends_within(1, session.wait_closed())
        assert not session.is_connected
        with pytest.raises(asyncbolt.BoltError):
            await session.fetch("ROWS 1")


@aiotest
async def test_connecting_again_that_fails_tells_all_and_may_be_tried_again():
    async with WireServer() as server, ChaosProxy(server.port) as proxy:
        session = await asyncbolt.connect(f"bolt://127.0.0.1:{proxy.port}")
        await proxy.refuse()
        session.abort()
        outcomes = await asyncio.gather(*(session.reconnect() for _ in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ServiceUnavailable] * 3
        await proxy.listen()
        await session.reconnect()
        assert session.is_connected
        session.close()
        await session.wait_closed()
        # Closed is closed, unless somebody says otherwise.
        await session.reconnect()
        assert await session.fetch("ROWS 1") == [(0,)]
        session.close()
        await session.wait_closed()


# ---------------------------------------------------------------- dropped


@aiotest(loops=LOOPS)
async def test_an_open_session_that_is_dropped_warns_and_is_closed():
    async with WireServer() as server:
        session = await asyncbolt.connect(server.uri)
        assert await session.fetch("ROWS 1") == [(0,)]
        with pytest.warns(ResourceWarning, match="ClientSession .* was dropped without close"):
            del session
            gc.collect()
        await ends_within(1, asyncio.shield(server.peer.gone))


@pytest.mark.parametrize("end", ["close", "abort", "lost"])
@aiotest
async def test_a_session_that_is_over_does_not_warn(end):
    async with WireServer() as server:
        session = await asyncbolt.connect(server.uri)
        if end == "lost":
            server.peer.transport.abort()
            with pytest.raises(ServiceUnavailable):
                await session.fetch("ROWS 1")
        else:
            getattr(session, end)()
            await session.wait_closed()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del session
            gc.collect()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_session_whose_loop_is_closed_frees_its_descriptor(tls):
    """Nothing but our own warning; asyncio's transports are not left to complain."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def serve():
            connection, _ = listening.accept()
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                connection.recv(1000)
                connection.sendall(b"\0\0\0\4")
                connection.recv(1000)
                connection.sendall(b"\x00\x03\xb1\x70\xa0\x00\x00")
                with contextlib.suppress(OSError):
                    while connection.recv(1000):
                        pass
            done.set()

        thread = threading.Thread(target=serve)
        thread.start()
        before = open_fds().keys()
        loop = asyncio.new_event_loop()
        scheme = "bolt+ssc" if tls else "bolt"

        async def connected():
            return await asyncbolt.connect(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}", timeout=10)

        session = loop.run_until_complete(connected())
        loop.close()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del session
            gc.collect()
        assert [str(each.message).partition(" ")[0] for each in caught] == ["<ClientSession"]
        assert done.wait(10)
        thread.join()
        assert not open_fds().keys() - before
