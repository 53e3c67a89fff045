"""Catch-up reads, over a server whose events the test makes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import Proxy, driver_of, serving, until

import asyncbolt
from asyncbolt.exceptions import ConfigurationError, IncompleteCommit

QUERY = "EVENTS"


class Events(asyncbolt.ServerSession):
    """Rows with growing ids, as a database would select them."""

    ids: list[Any] = []

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        after, limit = parameters["after"], parameters["limit"]
        if statement == "BACKWARDS":
            found = [number for number in reversed(self.ids) if after is None or number < after]
        elif statement == "DEAF":
            found = list(self.ids)
        else:
            found = [number for number in self.ids if after is None or number > after]
        return asyncbolt.Result(["id", "what"], [(number, f"e{number}") for number in found[:limit]])


class Mortal(Events):
    """Dies before it answers so many commits."""

    deaths = 0

    def commit(self) -> None:
        if self.deaths:
            Mortal.deaths -= 1
            self.abort()


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr("asyncbolt.driver.clock.sleep", sleep)
    return waits


@aiotest
async def test_page_by_page() -> None:
    Events.ids = list(range(1, 24))
    async with serving(Events) as port, driver_of(port) as driver:
        pages = [page async for page in driver.pages(QUERY, key="id", page_size=10)]
        assert [len(page) for page in pages] == [10, 10, 3]
        assert [record["id"] for page in pages for record in page] == Events.ids
        assert [page.position for page in pages] == [10, 20, 23] and pages[0].keys == ("id", "what")
        assert pages[0][0]["what"] == "e1" and pages[0].records[1]["id"] == 2
        rest = [page async for page in driver.pages(QUERY, key=0, page_size=10, after=pages[0].position)]
        assert [record["id"] for page in rest for record in page] == Events.ids[10:]
        back = driver.pages("BACKWARDS", key=lambda record: record[0], page_size=10, descending=True)
        assert [record["id"] async for page in back for record in page] == Events.ids[::-1]
        with pytest.raises(ConfigurationError, match="no ack"):
            await pages[0].ack()


@aiotest
async def test_following(sleeps: list[float]) -> None:
    Events.ids = [1, 2]
    async with serving(Events) as port, driver_of(port) as driver:
        pages = driver.pages(QUERY, key="id", page_size=2, follow=True)
        assert [record["id"] for record in await anext(pages)] == [1, 2]
        waiting = asyncio.ensure_future(anext(pages))
        await until(lambda: len(sleeps) >= 7)
        assert sleeps[:7] == [1, 2, 4, 8, 16, 30, 30]
        Events.ids = [1, 2, 3]
        assert [record["id"] for record in await waiting] == [3]
        waiting = asyncio.ensure_future(anext(pages))
        del sleeps[:]
        await until(lambda: sleeps)
        assert sleeps[0] == 1
        waiting.cancel()
        await asyncio.wait((waiting,))
        assert waiting.cancelled() and pages.position == 3


@aiotest
async def test_a_cut_neither_loses_nor_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    Events.ids = list(range(200))
    waits: list[float] = []

    async def mend(seconds: float) -> None:
        waits.append(seconds)
        proxy.cut_down = None

    monkeypatch.setattr("asyncbolt.driver.clock.sleep", mend)
    async with serving(Events) as port, Proxy(port) as proxy, driver_of(proxy.port) as driver:
        seen: list[int] = []
        pages = driver.pages(QUERY, key="id", page_size=10)
        while True:
            proxy.cut_down = 97 + 13 * (len(seen) % 17)
            try:
                page = await anext(pages)
            except StopAsyncIteration:
                break
            seen += [record["id"] for record in page]
            proxy.cut_down = None
        assert seen == Events.ids and waits


@aiotest
async def test_keys_that_do_not_do() -> None:
    async with serving(Events) as port, driver_of(port) as driver:
        for ids, why in (([1, 1], "not unique"), ([2, 1], "grow"), ([1, None], "null")):
            Events.ids = ids
            with pytest.raises(ConfigurationError, match=why):
                await anext(driver.pages("DEAF", key="id", page_size=5))
        Events.ids = [1, 2]
        pages = driver.pages("DEAF", key="id", page_size=2)
        await anext(pages)
        with pytest.raises(ConfigurationError, match="grow"):
            await anext(pages)
        for wrong in ({"page_size": 0}, {"follow": True, "descending": True}, {"parameters": {"after": 1}}):
            with pytest.raises(ConfigurationError):
                driver.pages(QUERY, key="id", **wrong)


@aiotest
async def test_following_outlives_a_restart_of_the_server(sleeps: list[float]) -> None:
    Events.ids = [1, 2]
    server = await asyncbolt.create_server(Events, port=0)
    port = server.sockets[0].getsockname()[1]
    async with driver_of(port, max_transaction_retry_time=0) as driver:
        pages = driver.pages(QUERY, key="id", follow=True)
        assert [record["id"] for record in await anext(pages)] == [1, 2]
        server.close()
        await server.wait_closed()
        waiting = asyncio.ensure_future(anext(pages))
        await until(lambda: len(sleeps) > 5)
        assert not waiting.done()
        Events.ids = [1, 2, 3]
        async with await asyncbolt.create_server(Events, port=port):
            assert [record["id"] for record in await waiting] == [3]


@aiotest
async def test_a_connection_that_is_lost_at_the_end_of_a_page(sleeps: list[float]) -> None:
    """The answer to the commit of something that was only read is not needed: it is read again."""
    Events.ids = [1, 2, 3]
    async with serving(Mortal) as port, driver_of(port) as driver:
        for follow in (False, True):
            Mortal.deaths = 4
            pages = driver.pages(QUERY, key="id", page_size=2, follow=follow)
            assert [record["id"] for record in await anext(pages)] == [1, 2]
            assert [record["id"] for record in await anext(pages)] == [3]
        Mortal.deaths = 100
        pages = driver.pages(QUERY, key="id")
        with pytest.raises(IncompleteCommit):
            await anext(pages)
        assert Mortal.deaths == 95 and pages.position is None
        Mortal.deaths = 0
        assert [len(page) async for page in pages] == [3]


class Named(Events):
    """Answers the statements of named positions, and counts how often a constraint was asked for."""

    constraints = 0
    trouble = 0

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        if statement.startswith("CREATE CONSTRAINT"):
            if Named.trouble:
                Named.trouble -= 1
                raise asyncbolt.TransientError("not now")
            Named.constraints += 1
            return asyncbolt.Result([], [])
        if statement.startswith("MERGE"):
            return asyncbolt.Result(["position"], [(None,)])
        return await super().run(statement, parameters)


@aiotest
async def test_the_constraint_on_names_is_made_once_whatever_the_first_try_meets() -> None:
    Events.ids = [1]
    async with serving(Named) as port, driver_of(port) as driver:
        Named.constraints, Named.trouble = 0, 1
        pages = driver.pages(QUERY, key="id", name="n", page_size=1)
        with pytest.raises(asyncbolt.TransientError):
            await anext(pages)
        await anext(pages)
        await anext(pages)
        assert Named.constraints == 1
