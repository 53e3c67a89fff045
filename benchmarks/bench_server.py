"""The server toolkit in a process of its own, end to end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import shapes
import toolkit

import asyncbolt

ROWS = 20_000
TINY = 200


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with toolkit.running(asyncbolt.IMPLEMENTATION) as port:
        yield port


@pytest.mark.parametrize("kind", toolkit.KINDS)
def test_rows(benchmark: Any, session: Any, kind: str) -> None:
    loop, connected = session
    benchmark.group = "server, six mixed columns"
    benchmark.extra_info["rows"] = ROWS
    rows = benchmark(lambda: loop.run_until_complete(connected.fetch(f"{kind} {ROWS}")))
    assert rows == shapes.rows("mixed", ROWS)


@pytest.mark.parametrize("kind", toolkit.KINDS)
def test_portions(benchmark: Any, session: Any, kind: str) -> None:
    """The client pulls a thousand at a time."""
    loop, connected = session
    benchmark.group = "server, six mixed columns"
    benchmark.extra_info["rows"] = ROWS

    async def read() -> int:
        seen = 0
        async for batch in connected.batches(f"{kind} {ROWS}", fetch_size=1000):
            seen += len(batch)
        return seen

    assert benchmark(lambda: loop.run_until_complete(read())) == ROWS


def test_tiny_one_by_one(benchmark: Any, session: Any) -> None:
    loop, connected = session
    benchmark.group = "server, tiny statements"
    benchmark.extra_info["statements"] = TINY

    async def ask() -> list[Any]:
        return [await connected.fetch("list 1") for _ in range(TINY)]

    assert benchmark(lambda: loop.run_until_complete(ask())) == [shapes.rows("mixed", 1)] * TINY


def test_tiny_gathered(benchmark: Any, session: Any) -> None:
    loop, connected = session
    benchmark.group = "server, tiny statements"
    benchmark.extra_info["statements"] = TINY

    async def ask() -> list[Any]:
        return await asyncio.gather(*(connected.fetch("list 1") for _ in range(TINY)))

    assert benchmark(lambda: loop.run_until_complete(ask())) == [shapes.rows("mixed", 1)] * TINY


def test_transactions(benchmark: Any, session: Any) -> None:
    """BEGIN, a statement, COMMIT."""
    loop, connected = session
    benchmark.group = "server, transactions"
    benchmark.extra_info["transactions"] = TINY

    async def work() -> int:
        seen = 0
        for _ in range(TINY):
            async with connected.transaction() as tx:
                seen += len(await tx.fetch("list 1"))
        return seen

    assert benchmark(lambda: loop.run_until_complete(work())) == TINY
