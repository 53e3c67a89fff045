"""The client over loopback against a canned server, and the connection without IO on the same bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import canned
import pytest
import shapes

import asyncbolt
from asyncbolt.protocol import ClientConnection

COUNTS = {"int": 50_000, "strings": 20_000, "mixed": 20_000, "node": 5_000, "floats": 300, "wide": 5_000}
TINY = 500


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with canned.running() as port:
        yield port


@pytest.fixture
def session(port: int) -> Iterator[Any]:
    """A connected session and the loop that it lives on."""
    loop = asyncio.new_event_loop()
    connected = loop.run_until_complete(asyncbolt.connect(f"bolt://127.0.0.1:{port}"))
    yield loop, connected
    connected.close()
    loop.run_until_complete(connected.wait_closed())
    loop.close()


@pytest.mark.parametrize("shape", sorted(COUNTS))
def test_fetch(benchmark: Any, session: Any, shape: str) -> None:
    loop, connected = session
    count = COUNTS[shape]
    benchmark.group = f"client {shape}"
    benchmark.extra_info["rows"] = count
    rows = benchmark(lambda: loop.run_until_complete(connected.fetch(f"FETCH {shape} {count}")))
    assert len(rows) == count


@pytest.mark.parametrize("shape", sorted(COUNTS))
def test_batches(benchmark: Any, session: Any, shape: str) -> None:
    loop, connected = session
    count = COUNTS[shape]
    benchmark.group = f"client {shape}"
    benchmark.extra_info["rows"] = count

    async def read() -> int:
        seen = 0
        async for batch in connected.batches(f"FETCH {shape} {count}"):
            for _row in batch:
                seen += 1
        return seen

    assert benchmark(lambda: loop.run_until_complete(read())) == count


def test_run(benchmark: Any, session: Any) -> None:
    loop, connected = session
    benchmark.group = "client mixed"
    benchmark.extra_info["rows"] = COUNTS["mixed"]

    async def read() -> int:
        seen = 0
        async for _response in connected.run(f"FETCH mixed {COUNTS['mixed']}"):
            seen += 1
        return seen

    assert benchmark(lambda: loop.run_until_complete(read())) == COUNTS["mixed"]


def test_tiny_one_by_one(benchmark: Any, session: Any) -> None:
    loop, connected = session
    benchmark.group = "tiny statements"
    benchmark.extra_info["statements"] = TINY

    async def ask() -> None:
        for _ in range(TINY):
            await connected.fetch("FETCH int 1")

    benchmark(lambda: loop.run_until_complete(ask()))


def test_tiny_gathered(benchmark: Any, session: Any) -> None:
    loop, connected = session
    benchmark.group = "tiny statements"
    benchmark.extra_info["statements"] = TINY

    async def ask() -> None:
        await asyncio.gather(*(connected.fetch("FETCH int 1") for _ in range(TINY)))

    benchmark(lambda: loop.run_until_complete(ask()))


def test_unwind(benchmark: Any, session: Any) -> None:
    loop, connected = session
    people = shapes.people(1000)
    benchmark.group = "UNWIND $rows"
    benchmark.extra_info["rows"] = 10 * len(people)

    async def load() -> None:
        for _ in range(10):
            await connected.execute("UNWIND $rows AS row CREATE (n) SET n = row", {"rows": people})

    benchmark(lambda: loop.run_until_complete(load()))


def test_connection_without_io(benchmark: Any) -> None:
    """What the protocol costs above the codec: one PULL's answer in pieces of 256 KiB."""
    count = COUNTS["mixed"]
    opening = b"\x00\x00\x04\x05" + canned.HELLO + canned.DONE
    answer = canned._write.message(0x70, {"fields": shapes.fields("mixed")}) + canned.block("mixed", count)
    data = answer + canned.END
    pieces = [data[i : i + 262144] for i in range(0, len(data), 262144)]
    benchmark.group = "connection without IO"
    benchmark.extra_info["rows"] = count

    def read() -> int:
        connection = ClientConnection(version=(5, 4))
        connection.send_hello("bench/1.0")
        connection.send_logon({"scheme": "none"})
        connection.receive_data(opening)
        connection.send_run("FETCH")
        connection.send_pull()
        connection.data_to_send()
        seen = 0
        for piece in pieces:
            for event in connection.receive_data(piece):
                seen += len(getattr(event, "rows", ()))
        return seen

    assert benchmark(read) == count
