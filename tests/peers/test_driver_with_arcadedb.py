"""The driver on ArcadeDB's own Bolt server."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from aiohelp import LOOPS, aiotest

import asyncbolt
from asyncbolt.exceptions import AuthError, ClientError, Neo4jError
from asyncbolt.graph import Node, Relationship


def driver_of(arcadedb: Any, **options: Any) -> asyncbolt.AsyncDriver:
    options.setdefault("auth", arcadedb.auth)
    uri = f"bolt://127.0.0.1:{arcadedb.port}"
    return asyncbolt.AsyncGraphDatabase.driver(uri, database=arcadedb.database, **options)


@pytest.mark.parametrize("version", [(5, 4), (5, 0), (4, 4)], ids=["5.4", "5.0", "4.4"])
@aiotest(loops=LOOPS)
async def test_queries_transactions_and_values(arcadedb: Any, version: tuple[int, int]) -> None:
    async with driver_of(arcadedb, versions=[version]) as driver:
        info = await driver.get_server_info()
        assert info.protocol_version == version
        assert "ArcadeDB" in info.agent
        await driver.execute_query("MATCH (n:DriverThing) DETACH DELETE n")
        records, summary, keys = await driver.execute_query(
            "CREATE (a:DriverThing {name: $name})-[r:KNOWS {since: 1999}]->(b:DriverThing {name: 'b'})"
            " RETURN a, r, b",
            name="a",
        )
        assert keys == ["a", "r", "b"] and summary.query is not None
        (record,) = records
        assert isinstance(record["a"], Node) and record["a"]["name"] == "a"
        assert isinstance(record["r"], Relationship) and record["r"].type == "KNOWS"

        async def add(tx: asyncbolt.AsyncManagedTransaction, names: list[str]) -> int:
            result = await tx.run("UNWIND $names AS name CREATE (:DriverThing {name: name})", names=names)
            await result.consume()
            return len(names)

        async with driver.session() as session:
            assert await session.execute_write(add, ["c", "d"]) == 2
            tx = await session.begin_transaction()
            await (await tx.run("CREATE (:DriverThing {name: 'never'})")).consume()
            await tx.rollback()
            result = await session.run("MATCH (n:DriverThing) RETURN n.name AS name ORDER BY name")
            assert await result.value("name") == ["a", "b", "c", "d"]
            rows = await session.fetch("UNWIND range(1, 5000) AS i RETURN i, toString(i) AS s")
            assert len(rows) == 5000 and rows[-1] == (5000, "5000")
            count = 0
            async for batch in session.batches("UNWIND range(1, 5000) AS i RETURN i", fetch_size=100):
                count += len(batch)
            assert count == 5000
            frame = await (await session.run("UNWIND range(1, 3) AS i RETURN i, i * 1.5 AS x")).to_df()
            assert frame["x"].tolist() == [1.5, 3.0, 4.5]
            with pytest.raises(Neo4jError):
                await session.run("THIS IS NO CYPHER")
            today = datetime.date(2026, 11, 25)
            value = (await (await session.run("RETURN $d AS d", d=today)).single())["d"]  # type: ignore[index]
            assert str(value).startswith("2026-11-25")
        await driver.execute_query("MATCH (n:DriverThing) DETACH DELETE n")
        assert driver.pool_stats().in_use == 0


@aiotest
async def test_pages(arcadedb: Any) -> None:
    query = """
        MATCH (e:DriverEvent) WHERE $after IS NULL OR e.id > $after
        RETURN e.id AS id ORDER BY id LIMIT $limit
    """
    async with driver_of(arcadedb) as driver:
        await driver.execute_query("MATCH (e:DriverEvent) DELETE e")
        await driver.execute_query("UNWIND range(1, 25) AS i CREATE (:DriverEvent {id: i})")
        pages = [page async for page in driver.pages(query, key="id", page_size=10)]
        assert [record["id"] for page in pages for record in page] == list(range(1, 26))
        await driver.execute_query("MATCH (e:DriverEvent) DELETE e")


@aiotest
async def test_a_refused_login(arcadedb: Any) -> None:
    async with driver_of(arcadedb, auth=("root", "wrong")) as driver:
        with pytest.raises((AuthError, ClientError)):
            await driver.verify_connectivity()
        assert driver.pool_stats().addresses == {}
