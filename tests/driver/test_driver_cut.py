"""Connections that are cut at every byte of a session, or deliver byte by byte."""

from __future__ import annotations

from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import Proxy, driver_of, serving, settled, until

import asyncbolt
from asyncbolt.exceptions import ConfigurationError, IncompleteCommit, ServiceUnavailable

_MOST_BYTES = 4000


async def use(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session(fetch_size=2) as session:
        assert len(await (await session.run("NUMBERS", n=5)).values()) == 5
        async with await session.begin_transaction() as tx:
            assert len(await (await tx.run("NUMBERS", n=3)).values()) == 3


@pytest.mark.parametrize("direction", ["cut_up", "cut_down"])
@aiotest(timeout=240)
async def test_cut_at_every_byte(direction: str) -> None:
    incomplete = 0
    async with serving() as port:
        for limit in range(1, _MOST_BYTES):
            async with Proxy(port) as proxy, driver_of(proxy.port) as driver:
                setattr(proxy, direction, limit)
                try:
                    await use(driver)
                except IncompleteCommit as error:
                    incomplete += 1
                    assert not error.is_retryable()
                except ServiceUnavailable as error:
                    assert error.is_retryable() and str(error)
                cut = getattr(proxy, direction) == 0
                await settled(driver)
                if cut:
                    await until(lambda driver=driver: not driver.pool_stats().addresses)
                # The line is mended: so is the driver.
                setattr(proxy, direction, None)
                await use(driver)
                stats = await settled(driver)
                assert (stats.idle, stats.waiting) == (1, 0)
                if not cut:
                    break
        else:
            raise AssertionError("the session never fitted")
    assert incomplete  # a commit was cut from its answer


@aiotest
async def test_byte_by_byte() -> None:
    async with serving() as port, Proxy(port) as proxy, driver_of(proxy.port) as driver:
        proxy.piece = lambda data: [data[place : place + 1] for place in range(len(data))]
        await use(driver)
        await driver.execute_query("NUMBERS", n=300)
        assert (await settled(driver)).opened == 1


@aiotest
async def test_managed_transactions_survive_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_sleep(seconds: float) -> None:
        proxy.cut_down = None

    monkeypatch.setattr("asyncbolt.driver.clock.sleep", no_sleep)

    async def work(tx: asyncbolt.AsyncManagedTransaction) -> Any:
        return await (await tx.run("NUMBERS", n=50)).values()

    async with serving() as port, Proxy(port) as proxy, driver_of(proxy.port) as driver:
        for limit in range(1, 400, 7):
            proxy.cut_down = limit
            async with driver.session() as session:
                try:
                    assert len(await session.execute_write(work)) == 50
                except IncompleteCommit:
                    proxy.cut_down = None
        assert (await settled(driver)).idle == 1


def test_what_is_no_server_is_told_as_such() -> None:
    with pytest.raises(ConfigurationError):
        asyncbolt.AsyncGraphDatabase.driver("bolt+s://x", ssl_context=None, encrypted=True)
