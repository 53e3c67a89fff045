"""Routing: tables, roles, choices, what happens when members fail."""

from __future__ import annotations

from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import Numbers, until

import asyncbolt
from asyncbolt.driver import clock
from asyncbolt.driver.routing import RoutingTable
from asyncbolt.exceptions import (
    ConfigurationError,
    ReadServiceUnavailable,
    RoutingServiceUnavailable,
    ServiceUnavailable,
    SessionExpired,
)


def answer(table: dict[str, list[str]], ttl: float = 300, db: str = "home") -> dict[str, Any]:
    servers = [{"role": role, "addresses": addresses} for role, addresses in table.items()]
    return {"ttl": ttl, "db": db, "servers": servers}


def test_tables_are_read_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    table = RoutingTable.parse(
        None, answer({"ROUTE": ["a:1", "b"], "READ": ["c:3"], "WRITE": [], "NEW": ["d:4"]}, ttl=5)
    )
    assert table.database == "home" and table.no_writers
    assert [str(address) for address in table.routers] == ["a:1", "b:7687"]
    assert table.fresh("r") and not table.fresh("w")
    now[0] += 5
    assert not table.fresh("r") and not table.purgeable()
    now[0] += 30
    assert table.purgeable()
    with pytest.raises(RoutingServiceUnavailable, match="routers"):
        RoutingTable.parse(None, answer({"READ": ["a:1"]}))
    with pytest.raises(ReadServiceUnavailable):
        RoutingTable.parse(None, answer({"ROUTE": ["a:1"]}))
    nameless = [{"role": "READ"}]
    strange: list[dict[str, Any]] = [{}, {"ttl": 1, "servers": 3}, {"ttl": "x", "servers": []}]
    for broken in (*strange, {"ttl": 1, "servers": nameless}):
        with pytest.raises(RoutingServiceUnavailable, match="read"):
            RoutingTable.parse(None, broken)


@aiotest
async def test_neo4j_scheme_against_the_server_toolkit() -> None:
    async with await asyncbolt.create_server(Numbers, port=0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncbolt.AsyncGraphDatabase.driver(f"neo4j://127.0.0.1:{port}") as driver:
            assert isinstance(driver, asyncbolt.AsyncNeo4jDriver)
            assert len((await driver.execute_query("NUMBERS")).records) == 3
            async with driver.session(database="home", default_access_mode=asyncbolt.READ_ACCESS) as session:
                assert len(await session.fetch("NUMBERS")) == 3
            await until(lambda: not driver.pool_stats().in_use)


@aiotest
async def test_selector_and_resolver() -> None:
    seen: list[Any] = []

    def selector(addresses: Any, loads: Any) -> Any:
        seen.append((addresses, loads))
        return addresses[0]

    async with await asyncbolt.create_server(Numbers, port=0) as server:
        port = server.sockets[0].getsockname()[1]

        async def resolver(address: asyncbolt.Address) -> Any:
            return [("127.0.0.1", 1), ("127.0.0.1", port)] if address.host == "cluster" else [address]

        options: dict[str, Any] = {"resolver": resolver, "selector": selector}
        async with asyncbolt.AsyncGraphDatabase.driver("neo4j://cluster:99", **options) as driver:
            assert len((await driver.execute_query("NUMBERS")).records) == 3
            assert seen and all(loads[addresses[0]] == 0 for addresses, loads in seen)
        options = {"resolver": resolver, "selector": lambda addresses, loads: ("elsewhere", 1)}
        async with asyncbolt.AsyncGraphDatabase.driver("neo4j://cluster:99", **options) as driver:
            with pytest.raises(ConfigurationError, match="selector"):
                await driver.execute_query("NUMBERS")
    async with asyncbolt.AsyncGraphDatabase.driver("neo4j://127.0.0.1:1") as driver:
        with pytest.raises(ServiceUnavailable) as failure:
            async with driver.session() as session:
                await session.run("NUMBERS")
        assert not isinstance(failure.value, SessionExpired) and failure.value.__cause__ is not None
