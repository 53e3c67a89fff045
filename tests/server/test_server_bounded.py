"""What the server holds while many rows pass through it to a client that reads them slowly."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from aiohelp import LOOPS, aiotest
from raw_client import serving

import asyncbolt
from asyncbolt import Result

ROWS = 2500


def plain():
    for number in range(ROWS):
        yield (str(number).zfill(5000),)


async def asynchronous():
    for row in plain():
        yield row


class Plain(asyncbolt.ServerSession):
    def run(self, statement, parameters):
        return Result(["text"], plain() if statement == "plain" else asynchronous())


class Threaded(asyncbolt.ServerSession):
    @asyncbolt.threaded
    def run(self, statement, parameters):
        return Result(["text"], plain())


@pytest.mark.parametrize("kind", ["plain", "async", "threaded"])
@aiotest(loops=LOOPS)
async def test_rows_pass_through_and_are_not_kept(kind):
    """2,500 rows of 5,000 bytes; what is allocated is the server's and one read of the client's."""
    async with serving(Threaded if kind == "threaded" else Plain) as (_, client):
        await client.run(kind)
        read = 0
        tail = b""
        tracemalloc.start()
        try:
            client.send_pull()
            while not (b"t_last" in tail and tail.endswith(b"\0\0")):
                data = await client.reader.read(2**16)
                read += len(data)
                tail = (tail + data)[-200:]
                if read % 3 == 0:
                    await asyncio.sleep(0.001)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert read > ROWS * 5000
        assert peak < 5_000_000, f"{peak:,} bytes at the peak"
