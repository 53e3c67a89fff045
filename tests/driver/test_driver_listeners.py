"""What listeners are told, and that they cannot break anything."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import driver_of, serving, settled

from asyncbolt.exceptions import ClientError


class Everything:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.events.append


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
