"""How often the driver waits for the server: counted by a proxy in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import Proxy, driver_of, serving

import asyncbolt


async def execute_query(driver: asyncbolt.AsyncDriver) -> None:
    await driver.execute_query("NUMBERS")


async def auto_commit(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session() as session:
        result = await session.run("NUMBERS")
        assert [record["i"] async for record in result] == [0, 1, 2]


async def fetch(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session() as session:
        assert len(await session.fetch("NUMBERS")) == 3


async def execute_read(driver: asyncbolt.AsyncDriver) -> None:
    async def work(tx: asyncbolt.AsyncManagedTransaction) -> Any:
        return await (await tx.run("NUMBERS")).data()

    async with driver.session() as session:
        assert len(await session.execute_read(work)) == 3


@pytest.mark.parametrize(
    ("operation", "round_trips"), [(execute_query, 2), (auto_commit, 1), (fetch, 1), (execute_read, 3)]
)
@aiotest
async def test_round_trips_on_a_warm_connection(
    operation: Callable[[asyncbolt.AsyncDriver], Awaitable[None]], round_trips: int
) -> None:
    async with serving() as port, Proxy(port) as proxy, driver_of(proxy.port) as driver:
        await driver.verify_connectivity()
        for _ in range(3):
            proxy.bursts = 0
            await operation(driver)
            assert proxy.bursts == round_trips
        assert proxy.connections == 1


@aiotest
async def test_login_is_one_round_trip_and_the_version_is_remembered() -> None:
    async with serving() as port, Proxy(port) as proxy, driver_of(proxy.port) as driver:
        await driver.verify_connectivity()
        assert proxy.bursts == 2  # the handshake, HELLO with LOGON
        proxy.bursts = 0
        async with driver.session() as first, driver.session() as second:
            result = await first.run("NUMBERS", n=3000)
            await second.fetch("NUMBERS")
            # The first statement, then handshake and login of a second connection in one, then its statement.
            assert (proxy.connections, proxy.bursts) == (2, 3)
            assert len(await result.data()) == 3000
