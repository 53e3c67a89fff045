"""What is over is gone at once: nothing of it waits for the garbage collector."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import driver_of, serving, until

import asyncbolt
from asyncbolt.chunking import MessageReader, MessageWriter
from asyncbolt.driver.record import make_records

pytestmark = pytest.mark.skipif(sys.implementation.name != "cpython", reason="reference counts are CPython's")

Seen = list[weakref.ref[Any]]


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def execute_query(driver: asyncbolt.AsyncDriver, seen: Seen) -> None:
    async def transform(result: asyncbolt.AsyncResult) -> None:
        seen.append(weakref.ref(result))
        await result.to_eager_result()

    await driver.execute_query("NUMBERS", result_transformer_=transform)


async def managed(driver: asyncbolt.AsyncDriver, seen: Seen) -> None:
    async def work(tx: asyncbolt.AsyncManagedTransaction) -> None:
        seen.append(weakref.ref(tx))
        seen.append(weakref.ref(await tx.run("NUMBERS")))

    async with driver.session() as session:
        await session.execute_write(work)


async def committed(driver: asyncbolt.AsyncDriver, seen: Seen) -> None:
    async with driver.session() as session:
        async with await session.begin_transaction() as tx:
            seen.append(weakref.ref(tx))
            seen.append(weakref.ref(await tx.run("NUMBERS")))


async def rolled_back(driver: asyncbolt.AsyncDriver, seen: Seen) -> None:
    async with driver.session() as session:
        tx = await session.begin_transaction()
        seen.append(weakref.ref(tx))
        seen.append(weakref.ref(await tx.run("NUMBERS")))
        await tx.rollback()


async def auto_commit(driver: asyncbolt.AsyncDriver, seen: Seen) -> None:
    async with driver.session() as session:
        result = await session.run("NUMBERS")
        seen.append(weakref.ref(result))
        await result.single()


@pytest.mark.parametrize("operation", [execute_query, managed, committed, rolled_back, auto_commit])
@pytest.mark.filterwarnings("ignore:a result with a single record")
@pytest.mark.usefixtures("no_collector")
@aiotest
async def test_results_and_transactions_are_freed_when_they_are_over(
    operation: Callable[[asyncbolt.AsyncDriver, Seen], Awaitable[None]],
) -> None:
    async with serving() as port, driver_of(port) as driver:
        seen: Seen = []
        await operation(driver, seen)
        assert seen
        assert [one() for one in seen] == [None] * len(seen)


@pytest.mark.skipif(asyncbolt.IMPLEMENTATION != "c", reason="the compiled twin hides rows")
def test_records_of_plain_values_are_hidden_from_the_collector() -> None:
    (rows,) = MessageReader().feed(MessageWriter().records([(1, "a"), (2, [3])]))
    assert [gc.is_tracked(record) for record in make_records(("n", "x"), rows)] == [False, True]


@aiotest
async def test_a_driver_that_is_dropped_closes_its_connections() -> None:
    """At once, without the collector: nothing that it has made keeps it."""
    async with serving() as port:
        driver = driver_of(port)
        await driver.execute_query("NUMBERS")
        pool = driver._pool()
        with pytest.warns(ResourceWarning, match="was dropped without close"):
            del driver
        await until(lambda: not pool.living)
