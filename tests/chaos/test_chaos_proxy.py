"""The proxy of this suite does what it says, or nothing here would mean anything."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from aiohelp import LOOPS, aiotest
from chaos_proxy import ACCEPTS, KINDS, ChaosProxy, Fault, Plan
from driver_servers import until


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    ends: list[Echo]

    def __init__(self, ends: list[Echo]) -> None:
        self.ends = ends
        self.got = bytearray()
        self.eof = False
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ends.append(self)

    def data_received(self, data: bytes) -> None:
        self.got += data
        self.transport.write(data)

    def eof_received(self) -> None:
        self.eof = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Setting:
    def __init__(self) -> None:
        self.ends: list[Echo] = []

    async def __aenter__(self) -> Setting:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Echo(self.ends), "127.0.0.1", 0)
        self.proxy = ChaosProxy(self.server.sockets[0].getsockname()[1], random.Random(1))
        await self.proxy.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.proxy.__aexit__(*exc)
        self.server.close()
        for end in self.ends:
            end.transport.abort()
            await end.lost
        await asyncio.sleep(0)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.proxy.port)


async def nothing_comes(reader: asyncio.StreamReader) -> bool:
    """Whether nothing comes while much time passes in which it could (another connection answers)."""
    task = asyncio.ensure_future(reader.read(1))
    done, _ = await asyncio.wait((task,), timeout=0.05)
    task.cancel()
    await asyncio.wait((task,))
    return not done


async def shut(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    try:
        await writer.wait_closed()
    except ConnectionError:
        pass


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("kind", KINDS)
@aiotest(loops=LOOPS)
async def test_a_fault_begins_at_its_byte_and_does_what_it_says(kind: str, up: bool) -> None:
    async with Setting() as setting:
        fault = Fault(kind, 5, 2)
        setting.proxy.plan = lambda number: Plan(up=fault) if up else Plan(down=fault)
        reader, writer = await setting.open()
        writer.write(b"12345")
        if kind == "reset":
            with pytest.raises(ConnectionResetError):
                while await reader.read(100):
                    pass
        elif kind == "end":
            assert await reader.read() in (b"", b"12345")
        elif kind == "half" and up:
            await asyncio.wait_for(reader.readexactly(5), 5)
            await until(lambda: setting.ends and setting.ends[0].eof)
            assert await reader.read() == b""  # an Echo closes at FIN
        elif kind == "half":
            assert await reader.read() == b"12345"
            writer.write(b"more")
            await until(lambda: setting.ends[0].got == b"12345more")
        else:
            assert await reader.readexactly(5) == b"12345"
            writer.write(b"67890")
            if kind in ("stall", "hoard", "swallow"):
                assert await nothing_comes(reader)
                assert bytes(setting.ends[0].got) == (b"12345" if up else b"1234567890")
                await setting.proxy.heal("resume")
                # What a swallowing way has dropped cannot come back: such a line is cut.
                if kind == "swallow":
                    with pytest.raises(ConnectionResetError):
                        await reader.readexactly(5)
                else:
                    assert await reader.readexactly(5) == b"67890"
            elif kind == "garbage":
                assert await reader.readexactly(5) != b"67890"
            else:
                assert await reader.readexactly(5) == b"67890"
        await shut(writer)


@pytest.mark.parametrize("accept", ACCEPTS)
@aiotest(loops=LOOPS)
async def test_lines_that_are_accepted_otherwise(accept: str) -> None:
    async with Setting() as setting:
        setting.proxy.plan = lambda number: Plan(accept=accept)
        reader, writer = await setting.open()
        if accept == "pass":
            writer.write(b"x")
            assert await reader.read(1) == b"x"
        elif accept == "silent":
            writer.write(b"x")
            assert await nothing_comes(reader) and not setting.ends
        elif accept == "resets":
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
        else:
            assert bool(await reader.read()) is (accept == "noise")
        await shut(writer)


@aiotest(loops=LOOPS)
async def test_refused_and_taken_again_at_the_same_port() -> None:
    async with Setting() as setting:
        await setting.proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await setting.open()
        await setting.proxy.heal()
        reader, writer = await setting.open()
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        await shut(writer)


@pytest.mark.parametrize("budget", range(8))
@aiotest(loops=LOOPS)
async def test_silence_from_a_byte_on_holds_for_all_lines(budget: int) -> None:
    async with Setting() as setting:
        setting.proxy.down_budget = budget
        pairs = [await setting.open() for _ in range(2)]
        got = 0
        for reader, writer in pairs:
            writer.write(b"1234")
            want = min(4, budget - got)
            assert len(await reader.readexactly(want)) == want
            got += want
            if want < 4:
                assert await nothing_comes(reader)
        # Not even the end of a server is heard of.
        await until(lambda: len(setting.ends) == 2)
        for end in setting.ends:
            end.transport.abort()
            await end.lost
        if got == budget:
            assert await nothing_comes(pairs[1][0])
        await setting.proxy.heal()
        for reader, writer in pairs:
            with_rest = await reader.read()
            got += len(with_rest)
            await shut(writer)
        assert got in (budget, 8)


@aiotest(loops=LOOPS)
async def test_strike_and_heal_lines_that_are_open() -> None:
    async with Setting() as setting:
        for how in ("resume", "reset", "end", "stay"):
            reader, writer = await setting.open()
            writer.write(b"1")
            assert await reader.read(1) == b"1"
            setting.proxy.strike(Plan(down=Fault("hoard")))
            writer.write(b"2")
            assert await nothing_comes(reader)
            await setting.proxy.heal(how)
            if how == "resume":
                assert await reader.read(1) == b"2"
            elif how == "reset":
                with pytest.raises(ConnectionResetError):
                    await reader.read(1)
            elif how == "end":
                assert await reader.read(1) == b""
            else:
                assert await nothing_comes(reader)
            await shut(writer)
