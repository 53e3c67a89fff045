"""The client over loopback against a canned server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import canned
import pytest
import shapes

COUNTS = {"int": 50_000, "strings": 20_000, "mixed": 20_000, "node": 5_000, "floats": 300, "wide": 5_000}
TINY = 500


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with canned.running() as port:
        yield port


@pytest.mark.parametrize("shape", sorted(COUNTS))
def test_fetch(benchmark: Any, session: Any, shape: str) -> None:
    loop, connected = session
    count = COUNTS[shape]
    benchmark.group = f"client {shape}"
    benchmark.extra_info["rows"] = count
    rows = benchmark(lambda: loop.run_until_complete(connected.fetch(f"FETCH {shape} {count}")))
    first = shapes.rows(shape, canned.BLOCK)
    assert len(rows) == count
    assert (rows[0], rows[-1]) == (first[0], first[(count - 1) % canned.BLOCK])


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


def test_execute_many(benchmark: Any, session: Any) -> None:
    loop, connected = session
    people = shapes.people(10_000)
    benchmark.group = "UNWIND $rows"
    benchmark.extra_info["rows"] = len(people)

    async def load() -> int:
        summary = await connected.execute_many("UNWIND $rows AS row CREATE (n) SET n = row", people)
        rows: int = summary.rows
        return rows

    assert benchmark(lambda: loop.run_until_complete(load())) == len(people)
