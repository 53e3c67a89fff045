"""What a peer may cost, and what becomes of one that wants more."""

from __future__ import annotations

import asyncio

import pytest
from aiohelp import LOOPS, aiotest
from raw_client import RawClient, port_of

import asyncbolt
from asyncbolt import Message
from asyncbolt.server import Limits
from asyncbolt.server.limits import Places

MAGIC = bytes.fromhex("6060b017")
PLAIN = bytes.fromhex("6060b017") + b"\x00\x00\x04\x05" + bytes(12)


class Echo(asyncbolt.ServerSession):
    def verify_auth_token(self, auth_token):
        return auth_token.get("credentials") == "pw"

    def run(self, statement, parameters):
        return parameters.get("value")


AUTH = {"scheme": "basic", "principal": "u", "credentials": "pw"}


async def said(reader):
    """Everything until the end."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def ended(reader):
    return await said(reader) == b""


async def opened(port, data=b""):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    return reader, writer


async def close(*writers):
    for writer in writers:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


@pytest.mark.parametrize("data", [b"", MAGIC, PLAIN, b"GET / HTTP/1.1\r\n", b"\x16\x03\x01"], ids=bytes.hex)
@aiotest(loops=LOOPS)
async def test_login_takes_too_long(data):
    async with await asyncbolt.create_server(Echo, port=0, login_timeout=0.05) as server:
        reader, writer = await opened(port_of(server), data)
        assert await said(reader) in (b"", b"\x00\x00\x04\x05")
        await close(writer)


@aiotest
async def test_trickle_does_not_extend_the_time():
    """Neither NOOPs nor bytes of a message do."""
    async with await asyncbolt.create_server(Echo, port=0, login_timeout=0.05) as server:
        reader, writer = await opened(port_of(server), PLAIN)
        end = asyncio.ensure_future(said(reader))
        while not end.done():
            writer.write(b"\x00\x00")
            await asyncio.sleep(0.001)
        await close(writer)


class Timers:
    """In place of a loop: timers that go off when the test says so."""

    def __init__(self):
        self.running = []

    def call_later(self, delay, callback, *arguments):
        self.running.append((delay, callback))
        return self

    def cancel(self):
        del self.running[0]


class Transport(asyncio.Transport):
    aborted = 0

    def abort(self):
        self.aborted += 1


def test_time_runs_while_nobody_is_logged_in():
    timers, released = Timers(), []
    places = Places(timers, Limits(login_timeout=7), lambda: released.append(1))
    transport = Transport()
    visitor = places.admit(transport)
    assert [delay for delay, _ in timers.running] == [7]
    visitor.logged_in()
    visitor.logged_in()
    assert timers.running == [] and (len(places), places.unauthenticated) == (1, 0)
    visitor.logged_off()
    visitor.logged_off()
    assert len(timers.running) == 1 and (len(places), places.unauthenticated) == (1, 1)
    timers.running[0][1]()
    assert transport.aborted == 1
    assert (len(places), places.unauthenticated) == (0, 0)
    visitor.release()  # the transport tells its end, too
    visitor.logged_off()
    assert released == [1]
    assert timers.running == []


@aiotest
async def test_logoff_counts_as_not_logged_in():
    calls = []

    class Counting(Echo):
        def run(self, statement, parameters):
            calls.append(self.server._places.unauthenticated)
            return 1

    async with await asyncbolt.create_server(Counting, port=0) as server:
        client = await RawClient.connect(port_of(server), auth=AUTH)
        assert (await client.query("v")).ok
        assert (await client.ask(Message.LOGOFF)).ok
        assert server._places.unauthenticated == 1
        assert (await client.ask(Message.LOGON, AUTH)).ok
        assert (await client.query("v")).ok
        assert calls == [0, 0]
        await client.close()


@aiotest(loops=LOOPS)
async def test_newcomers_push_out_the_oldest_that_did_not_log_in():
    async with await asyncbolt.create_server(Echo, port=0, max_unauthenticated=3) as server:
        port = port_of(server)
        friend = await RawClient.connect(port, auth=AUTH)
        guests = []
        for _ in range(3):
            guests.append(await opened(port, PLAIN))
            await guests[-1][0].readexactly(4)
        guests.append(await opened(port, PLAIN))
        await guests[-1][0].readexactly(4)
        assert await ended(guests[0][0])
        other = await RawClient.connect(port, auth=AUTH)
        assert await ended(guests[1][0])
        guests[2][1].write(b"\x00")
        assert (await friend.query("v", {"value": 1})).rows == [[1]]
        assert (await other.query("v", {"value": 2})).rows == [[2]]
        await close(*(writer for _, writer in guests))
        await friend.close()
        await other.close()


@aiotest
async def test_house_full_of_friends():
    async with await asyncbolt.create_server(Echo, port=0, max_connections=2) as server:
        port = port_of(server)
        friends = [await RawClient.connect(port, auth=AUTH) for _ in range(2)]
        reader, writer = await opened(port, PLAIN)
        assert await ended(reader)
        await close(writer)
        assert (await friends[0].query("v", {"value": 1})).rows == [[1]]
        await friends[0].close()
        while True:  # the place is free when the server has seen the end
            try:
                friends[0] = await RawClient.connect(port, auth=AUTH)
                break
            except (asyncio.IncompleteReadError, ConnectionError):
                continue
        for friend in friends:
            await friend.close()


@pytest.mark.parametrize("version", [(4, 4), (5, 4)], ids=str)
@pytest.mark.parametrize(
    "hello",
    [
        {"user_agent": "x" * 70_000},
        {"routing": {str(number): "x" for number in range(100)}},
        {"other": [[[[[[[[[[[[]]]]]]]]]]]]},
    ],
    ids=["too long", "too many", "too deep"],
)
@aiotest
async def test_greedy_login(version, hello):
    async with await asyncbolt.create_server(Echo, port=0) as server:
        client = await RawClient.connect(port_of(server), version=version, login=False)
        with pytest.raises((EOFError, ConnectionError, AssertionError)):
            answer = await client.login(AUTH, hello)
            assert answer.ok
        assert await client.ended()
        await client.close()


@aiotest
async def test_who_is_logged_in_may_say_more():
    async with await asyncbolt.create_server(Echo, port=0, max_message_size=200_000) as server:
        client = await RawClient.connect(port_of(server), auth=AUTH)
        for value in ("x" * 100_000, list(range(1000)), [[[[[[[[[[[[]]]]]]]]]]]]):
            assert (await client.query("v", {"value": value})).rows == [[value]]
        client.send_run("v", {"value": "x" * 300_000})
        try:
            answer = await client.answer()
            assert answer.kind == "FAILURE"
        except ConnectionError:
            pass  # closed while bytes were on their way
        assert await client.ended()
        await client.close()


@aiotest
async def test_size_that_is_a_lie_costs_nothing():
    """4 GiB are announced, and never come."""
    async with await asyncbolt.create_server(Echo, port=0) as server:
        client = await RawClient.connect(port_of(server), auth=AUTH)
        client.writer.write(bytes.fromhex("ffff b310 d2 7fffffff") + b"x" * 1000)
        await client.writer.drain()
        client.writer.write(b"x" * 60_000)
        other = await RawClient.connect(port_of(server), auth=AUTH)
        assert (await other.query("v", {"value": 1})).rows == [[1]]
        await other.close()
        await client.close()


@aiotest
async def test_client_that_never_reads_is_let_go(monkeypatch):
    """What it is owed stays in its buffer for a while, and then the socket is closed all the same."""
    monkeypatch.setattr("asyncbolt.aio.server._LINGER_SECONDS", 0.05)

    class Endless(Echo):
        def __init__(self, loop):
            super().__init__(loop)
            Endless.paused = asyncio.Event()
            Endless.lost = asyncio.Event()

        def run(self, statement, parameters):
            while True:
                yield {"s": "x" * 10_000}

        def pause_writing(self):
            super().pause_writing()
            self.paused.set()

        def connection_lost(self, exc):
            super().connection_lost(exc)
            self.lost.set()

    async with await asyncbolt.create_server(Endless, port=0) as server:
        client = await RawClient.connect(port_of(server), auth=AUTH)
        await client.run("v")
        client.send_pull()
        await Endless.paused.wait()
        client.send(Message.GOODBYE)
        await Endless.lost.wait()
        await client.close()


@pytest.mark.parametrize("name", list(Limits.__dataclass_fields__))
def test_limits_are_positive(name):
    for value in (0, -1):
        with pytest.raises(ValueError, match=f"{name} must be positive"):
            Limits(**{name: value})
