"""``create_server`` and the server that it gives, used as asyncio's own."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest
from aiohelp import LOOPS, aiotest, free_port
from raw_client import RawClient, port_of, serving

import asyncbolt


class Echo(asyncbolt.ServerSession):
    def run(self, statement, parameters):
        return {"statement": statement, "parameters": parameters}


class WithOptions(Echo):
    def __init__(self, loop, *, greeting, punctuation="!"):
        super().__init__(loop)
        self.words = greeting + punctuation

    def run(self, statement, parameters):
        return self.words


class PassingOn(Echo):
    def __init__(self, loop, **kwargs):
        super().__init__(loop, **kwargs)
        self.words = kwargs["greeting"]


@aiotest(loops=LOOPS)
async def test_serves_and_closes():
    server = await asyncbolt.create_server(Echo, port=0)
    assert server.is_serving()
    assert server.get_loop() is asyncio.get_running_loop()
    assert "Echo" in repr(server)
    client = await RawClient.connect(port_of(server))
    assert (await client.query("hello", {"n": 1})).rows == [[{"statement": "hello", "parameters": {"n": 1}}]]
    with pytest.raises(RuntimeError, match=r"close\(\) the server first"):
        await server.wait_closed()
    server.close()
    server.close()
    await server.wait_closed()
    assert not server.is_serving()
    assert server.sockets == ()
    assert "closed" in repr(server)
    assert await client.ended()
    await client.close()
    with pytest.raises(RuntimeError, match="the server is closed"):
        await server.start_serving()


@aiotest
async def test_arguments_go_to_the_session():
    async with serving(WithOptions, greeting="hello") as (_, client):
        assert (await client.query("v")).rows == [["hello!"]]
    async with serving(PassingOn, greeting="hello") as (_, client):
        assert (await client.query("v")).ok


@pytest.mark.parametrize(
    ("session_class", "arguments"),
    [
        (Echo, {"max_conections": 1}),
        (WithOptions, {}),
        (WithOptions, {"greeting": "a", "other": 1}),
        (asyncbolt.BoltServerProtocol, {}),
        ("Echo", {}),
    ],
)
@aiotest
async def test_wrong_arguments_are_an_error_at_once(session_class, arguments):
    with pytest.raises(TypeError):
        await asyncbolt.create_server(session_class, port=0, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"allow_plain": True},
        {"recv_timeout": 0},
        {"login_timeout": 0},
        {"max_connections": -1},
        {"versions": [(9, 9)]},
    ],
    ids=str,
)
@aiotest
async def test_wrong_values_are_an_error_at_once(arguments):
    with pytest.raises((asyncbolt.ConfigurationError, ValueError)):
        await asyncbolt.create_server(Echo, port=0, **arguments)


@aiotest
async def test_port_that_is_taken():
    async with await asyncbolt.create_server(Echo, port=0) as server:
        with pytest.raises(OSError):
            await asyncbolt.create_server(Echo, port=port_of(server))


@aiotest(loops=LOOPS)
async def test_socket_of_ones_own_and_a_late_start():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    async with await asyncbolt.create_server(Echo, sock=sock, start_serving=False) as server:
        assert not server.is_serving()
        await server.start_serving()
        client = await RawClient.connect(port_of(server))
        assert (await client.query("v")).ok
        await client.close()


@aiotest
async def test_versions_that_are_served():
    async with await asyncbolt.create_server(Echo, port=0, versions=[(4, 4), (1, 0)]) as server:
        for version, taken in (((4, 4), True), ((1, 0), True), ((5, 4), False)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            offer = bytes((0, 0, version[1], version[0]))
            writer.write(bytes.fromhex("6060b017") + offer + bytes(12))
            assert await reader.readexactly(4) == (offer if taken else bytes(4))
            if not taken:
                assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()


@aiotest(loops=LOOPS)
async def test_serve_forever_closes_when_it_is_cancelled():
    server = await asyncbolt.create_server(Echo, port=0, start_serving=False)
    forever = asyncio.ensure_future(server.serve_forever())
    client = None
    while client is None:  # it starts to serve in its own time
        try:
            client = await RawClient.connect(port_of(server))
        except ConnectionRefusedError:
            continue
    with pytest.raises(RuntimeError, match="running already"):
        await server.serve_forever()
    forever.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forever
    assert await client.ended()
    await client.close()
    assert not server.is_serving()


@aiotest
async def test_session_that_cannot_be_made(caplog):
    class Broken(Echo):
        def __init__(self, loop):
            raise ValueError("broken")

    async with await asyncbolt.create_server(Broken, port=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(bytes.fromhex("6060b017") + bytes(16))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert "a session could not be made" in caplog.text


README = """
import asyncio
import asyncbolt


class EchoServerSession(asyncbolt.ServerSession):
    def run(self, statement, parameters):
        return {'statement': statement, 'parameters': parameters}


loop = asyncio.new_event_loop()
coro = asyncbolt.create_server(EchoServerSession, loop=loop, host='localhost', port=PORT, ssl=None)
server = loop.run_until_complete(coro)

print('Serving on {}'.format(server.sockets[0].getsockname()), flush=True)
try:
    loop.run_forever()
except KeyboardInterrupt:
    pass
server.close()
loop.run_until_complete(server.wait_closed())
loop.close()
print('closed')
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process")
@aiotest
async def test_example_of_0_0_2():
    """Its README's server, but for the loop, which today's asyncio does not make by itself any more."""
    import signal

    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", README.replace("PORT", str(port)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert (await process.stdout.readline()).startswith(b"Serving on (")
        client = await RawClient.connect(port, host="localhost", version=(1, 0))
        answer = await client.query("Hello world", {})
        assert answer.rows == [[{"statement": "Hello world", "parameters": {}}]]
        process.send_signal(signal.SIGINT)
        assert await client.ended()
        await client.close()
        out, err = await process.communicate()
        assert (out, err, process.returncode) == (b"closed\n", b"", 0)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("kind", ["plain", "async", "threaded"])
def test_loop_that_ends_without_closing_the_server(kind):
    """``asyncio.run`` cancels what is left: nothing resists, and nothing complains."""
    closed = []

    class Endless(asyncbolt.ServerSession):
        async def later(self):
            try:
                yield {"n": 1}
                await asyncio.Event().wait()
            finally:
                closed.append(1)

        def rows(self):
            try:
                while True:
                    yield {"n": 1}
            finally:
                closed.append(1)

        def run(self, statement, parameters):
            return self.later() if kind == "async" else self.rows()

    if kind == "threaded":
        Endless.run = asyncbolt.threaded(Endless.run)

    async def main():
        server = await asyncbolt.create_server(Endless, port=0)
        client = await RawClient.connect(port_of(server))
        await client.run("v")
        client.send_pull()
        await client.rows(1)
        server.close()
        client.cut()

    asyncio.run(main(), debug=True)
    assert closed == [1] or kind != "async"


@aiotest
async def test_author_closes_the_server():
    class Session(Echo):
        def run(self, statement, parameters):
            self.server.close()
            return "closed"

    async with serving(Session) as (server, client):
        client.send_run("v")
        assert (await client.answer()).ok
        await server.wait_closed()
        assert await client.ended()
