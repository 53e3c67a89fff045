"""How what is read gets from asyncio to the protocols of both sides."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from aiohelp import LOOPS, aiotest

import asyncbolt
from asyncbolt.aio._receive import Receiver


class Kept(Receiver):
    def __init__(self) -> None:
        self.data: list[Any] = []

    def data_received(self, data: bytes) -> None:
        self.data.append(data)


def feed(protocol: Receiver, data: bytes) -> None:
    buffer = protocol.get_buffer(-1)
    assert len(buffer) >= len(data)
    buffer[: len(data)] = data
    protocol.buffer_updated(len(data))


def test_what_was_received_is_not_touched_by_the_next_read() -> None:
    one, other = Kept(), Kept()
    feed(one, b"first")
    feed(other, b"second, longer")
    feed(one, b"third")
    assert (one.data, other.data) == ([b"first", b"third"], [b"second, longer"])
    assert {type(data) for data in one.data} == {bytes}


def test_a_buffer_belongs_to_a_thread() -> None:
    found: list[memoryview] = []
    thread = threading.Thread(target=lambda: found.append(Kept().get_buffer(-1)))
    thread.start()
    thread.join()
    mine = Kept().get_buffer(-1)
    assert Kept().get_buffer(-1) is mine
    assert found[0].obj is not mine.obj


@pytest.mark.parametrize("size", [1, 1000, 3_000_000])
@aiotest(loops=LOOPS)
async def test_many_connections_at_once(size: int) -> None:
    reads: set[str] = set()

    class Client(asyncbolt.BoltClientProtocol):
        def get_buffer(self, sizehint: int) -> memoryview:
            reads.add("client")
            return super().get_buffer(sizehint)

    class Echo(asyncbolt.ServerSession):
        def get_buffer(self, sizehint: int) -> memoryview:
            reads.add("server")
            return super().get_buffer(sizehint)

        async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
            return asyncbolt.Result(["value"], [(parameters["value"],)])

    async def talk(number: int) -> None:
        async with asyncbolt.connect(uri, protocol_class=Client) as session:
            for turn in range(3):
                value = f"{number}-{turn} " * (size // 4)
                assert await session.fetch("ECHO", {"value": value}) == [(value,)]

    async with await asyncbolt.create_server(Echo, port=0) as server:
        uri = f"bolt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*(talk(number) for number in range(5)))
    # uvloop has a way of its own.
    plain = isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)
    assert reads == ({"client", "server"} if plain else set())
