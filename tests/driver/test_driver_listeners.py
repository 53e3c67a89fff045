"""What listeners are told, and that they cannot break anything."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import Proxy, driver_of, serving, settled, until

import asyncbolt
from asyncbolt.driver import clock, connection, pool, result
from asyncbolt.exceptions import ClientError, ServiceUnavailable


class Everything:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.events.append

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if type(event).__name__ == kind]


@aiotest
async def test_events() -> None:
    listener = Everything()
    async with serving() as port, driver_of(port) as driver:
        driver.add_listener(listener)
        driver.add_listener(listener)  # once is enough
        await driver.execute_query("NUMBERS", n=5)
        async with driver.session(database="db") as session:
            await session.fetch("NUMBERS", {"n": 7})
            with pytest.raises(ClientError):
                await session.run("FAIL")
        names = [type(event).__name__ for event in listener.events]
        assert names == [
            "ConnectionOpened", "ConnectionAcquired", "QueryStarted", "QueryEnded",
            "ConnectionAcquired", "QueryStarted", "QueryEnded",
            "ConnectionAcquired", "QueryStarted", "QueryEnded",
        ]  # fmt: skip
        started, ended = listener.events[5:7]
        assert started.key is ended.key and started.query == "NUMBERS" and started.parameters == {"n": 7}
        assert (started.database, started.mode, started.in_transaction) == ("db", "w", False)
        assert (ended.rows, ended.error) == (7, None) and ended.bytes_received > 50 and ended.seconds >= 0
        assert listener.events[2].in_transaction and listener.events[3].rows == 5
        assert isinstance(listener.events[-1].error, ClientError)
        driver.remove_listener(listener)
        count = len(listener.events)
        await driver.execute_query("NUMBERS")
        assert len(listener.events) == count
        with pytest.raises(ValueError, match="not added"):
            driver.remove_listener(listener)
        with pytest.raises(TypeError):
            driver.add_listener(object())
        driver.add_listener(listener)
        await settled(driver)
    assert type(listener.events[-1]).__name__ == "ConnectionClosed" and listener.events[-1].error is None


@pytest.mark.parametrize("kind", ["run", "fetch", "execute", "batches"])
@aiotest
async def test_the_database_is_the_one_that_the_server_names(kind: str) -> None:
    class Home(asyncbolt.ServerSession):
        async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
            return asyncbolt.Result(["n"], [(1,)], {"db": "home"})

    listener = Everything()
    async with serving(Home) as port, driver_of(port) as driver, driver.session() as session:
        driver.add_listener(listener)
        if kind == "run":
            await (await session.run("RETURN 1")).consume()
        elif kind == "batches":
            assert [batch async for batch in session.batches("RETURN 1")] == [[(1,)]]
        else:
            await getattr(session, kind)("RETURN 1")
        assert [event.database for event in listener.of("QueryEnded")] == ["home"]


@aiotest
async def test_a_listener_that_raises_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def query_started(self, event: object) -> None:
            raise RuntimeError("the listener's own")

    async with serving() as port, driver_of(port) as driver:
        driver.add_listener(Broken())
        with caplog.at_level(logging.ERROR, "asyncbolt.driver"):
            assert len((await driver.execute_query("NUMBERS")).records) == 3
        assert "the listener's own" in caplog.text


@aiotest
async def test_what_is_cut_and_what_is_given_up_is_told_with_its_reason() -> None:
    listener = Everything()
    async with serving() as port, Proxy(port) as proxy, driver_of(proxy.port) as driver:
        driver.add_listener(listener)
        async with driver.session() as session:
            running = asyncio.ensure_future(session.run("FOREVER"))
            await until(lambda: listener.of("QueryStarted"))
            running.cancel()
            await asyncio.wait((running,))
            await until(lambda: listener.of("QueryEnded"))
            (ended,) = listener.of("QueryEnded")
            assert isinstance(ended.error, asyncio.CancelledError) and ended.rows == 0
            running = asyncio.ensure_future(session.run("FOREVER"))
            await until(lambda: len(listener.of("QueryStarted")) == 2)
            proxy.cut()
            with pytest.raises(ServiceUnavailable):
                await running
        await settled(driver)
        assert isinstance(listener.of("QueryEnded")[1].error, ServiceUnavailable)
        closed = listener.of("ConnectionClosed")[-1]
        assert isinstance(closed.error, ServiceUnavailable)
        opened = listener.of("ConnectionOpened")[-1]
        assert (closed.address, closed.connection_id) == (opened.address, opened.connection_id)
        for started, ended in zip(listener.of("QueryStarted"), listener.of("QueryEnded"), strict=True):
            assert started.key is ended.key


@aiotest
async def test_every_connection_and_every_query_that_begins_ends() -> None:
    async def work(tx: Any) -> None:
        await (await tx.run("NUMBERS", n=5)).fetch(1)
        await tx.fetch("NUMBERS")
        await tx.execute_many("NUMBERS", range(10), batch_rows=5)

    listener = Everything()
    async with serving() as port, driver_of(port) as driver:
        driver.add_listener(listener)
        async with driver.session(fetch_size=2) as session:
            await session.execute_read(work)
            await session.run("NUMBERS", n=9)  # is dropped
            async for _ in session.batches("NUMBERS", {"n": 5}, fetch_size=2):
                break
            await session.execute("NUMBERS")
            await session.begin_transaction()
        await settled(driver)
    assert len(listener.of("ConnectionOpened")) == len(listener.of("ConnectionClosed"))
    begun, over = listener.of("QueryStarted"), listener.of("QueryEnded")
    assert begun and {id(event.key) for event in begun} == {id(event.key) for event in over}
    assert len(begun) == len(over) and all(event.error is None for event in over)


@aiotest
async def test_times_are_those_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    listener = Everything()
    async with serving() as port, driver_of(port, max_connection_pool_size=1) as driver:
        driver.add_listener(listener)
        async with driver.session(fetch_size=1) as session:
            unread = await session.run("NUMBERS", n=3)
            waiting = asyncio.ensure_future(driver.execute_query("NUMBERS"))
            await until(lambda: driver.pool_stats().waiting)
            now[0] += 7
            await unread.consume()
            await waiting
        assert [event.seconds for event in listener.of("QueryEnded")] == [7, 0]
        assert [event.seconds for event in listener.of("ConnectionAcquired")] == [0, 7]
        now[0] += 3
    assert [event.seconds for event in listener.of("ConnectionClosed")] == [10]


@aiotest
async def test_without_a_listener_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*_: object) -> Any:
        raise AssertionError("there is nobody to tell")

    for module in (connection, pool, result):
        monkeypatch.setattr(module, "tell", called)
    monkeypatch.setattr(result.QueryWatch, "__init__", called)
    async with serving() as port, driver_of(port) as driver:
        await driver.execute_query("NUMBERS")
        async with driver.session() as session:
            await session.fetch("NUMBERS")
            await (await session.run("NUMBERS")).consume()
        await settled(driver)
