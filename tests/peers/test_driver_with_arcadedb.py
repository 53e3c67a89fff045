"""The driver on ArcadeDB's own Bolt server."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import pytest
from aiohelp import LOOPS, aiotest
from driver_servers import settled

import asyncbolt
from asyncbolt.exceptions import (
    AuthError,
    ClientError,
    CypherSyntaxError,
    LeaseExpired,
    Neo4jError,
    TransactionError,
)
from asyncbolt.graph import Node, Path, Relationship


def driver_of(arcadedb: Any, scheme: str = "bolt", **options: Any) -> asyncbolt.AsyncDriver:
    options.setdefault("auth", arcadedb.auth)
    options.setdefault("database", arcadedb.database)
    return asyncbolt.AsyncGraphDatabase.driver(f"{scheme}://127.0.0.1:{arcadedb.port}", **options)


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
        backwards = query.replace(">", "<").replace("BY id", "BY id DESC")
        pages = [page async for page in driver.pages(backwards, key="id", page_size=10, descending=True)]
        assert [page.position for page in pages] == [16, 6, 1]
        assert [record["id"] for page in pages for record in page] == list(range(25, 0, -1))
        await driver.execute_query("MATCH (e:DriverEvent) DELETE e")


@aiotest
async def test_following_until_cancelled(arcadedb: Any) -> None:
    query = "MATCH (e:DriverNews) WHERE e.id > $after RETURN e.id AS id ORDER BY id LIMIT $limit"
    async with driver_of(arcadedb) as driver:
        await driver.execute_query("MATCH (e:DriverNews) DELETE e")
        seen: list[int] = []
        news = asyncio.Queue[int]()

        async def follow() -> None:
            async for page in driver.pages(query, key="id", after=0, follow=True, poll_interval=0.01):
                for record in page:
                    news.put_nowait(record["id"])

        task = asyncio.create_task(follow())
        for number in range(1, 6):
            await driver.execute_query("CREATE (:DriverNews {id: $n})", n=number)
            seen.append(await news.get())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == [1, 2, 3, 4, 5] and news.empty()
        assert (await settled(driver)).in_use == 0
        await driver.execute_query("MATCH (e:DriverNews) DELETE e")


@aiotest
async def test_named_pages(arcadedb: Any) -> None:
    query = "MATCH (e:DriverNamed) WHERE e.id > $after RETURN e.id AS id ORDER BY id LIMIT $limit"
    async with driver_of(arcadedb) as driver:
        await driver.execute_query("MATCH (n) WHERE n:DriverNamed OR n:AsyncboltPosition DELETE n")
        await driver.execute_query("UNWIND range(1, 25) AS i CREATE (:DriverNamed {id: i})")

        def pages(**more: Any) -> asyncbolt.Pages:
            return driver.pages(query, key="id", after=0, page_size=10, name="driver", **more)

        one, two, hasty = pages(), pages(poll_interval=0.05), pages(lease=0.001)
        page = await anext(one)
        await page.renew()
        await page.ack()
        lost = await anext(hasty)
        page = await anext(two)  # the time of the other consumer is over
        assert [record["id"] for record in page] == [record["id"] for record in lost] == list(range(11, 21))
        with pytest.raises(LeaseExpired):
            await lost.ack()
        async with driver.session() as session:
            transaction = await session.begin_transaction()
            await page.ack(transaction)
            await transaction.rollback()
        again = await anext(two)
        assert again.position == page.position == 20
        await again.ack()
        last = await anext(one)
        assert [record["id"] for record in last] == list(range(21, 26))
        await last.ack()
        assert [page async for page in pages()] == []
        await driver.execute_query("MATCH (n) WHERE n:DriverNamed OR n:AsyncboltPosition DELETE n")


@aiotest
async def test_batches_and_bookmarks(arcadedb: Any) -> None:
    async with driver_of(arcadedb) as driver, driver.session() as session:
        await session.execute("MATCH (n:DriverMany) DELETE n")
        create = "UNWIND $rows AS row CREATE (:DriverMany {n: row})"
        summary = await session.execute_many(create, range(3000), batch_rows=500)
        assert summary.rows == 3000 == summary.stats["nodes-created"] and summary.batches > 1
        async with await session.begin_transaction() as transaction:
            assert (await transaction.execute_many(create, range(3000, 4000))).rows == 1000
            assert await transaction.fetch("MATCH (n:DriverMany) RETURN count(n)") == [(4000,)]
        (bookmark,) = (await session.last_bookmarks()).raw_values
        assert bookmark.startswith("arcade:")
        async with driver.session(bookmarks=await session.last_bookmarks()) as reader:
            assert await reader.fetch("MATCH (n:DriverMany) RETURN count(n)") == [(4000,)]
        await session.execute("MATCH (n:DriverMany) DELETE n")


@aiotest
async def test_failures(arcadedb: Any) -> None:
    async with driver_of(arcadedb) as driver, driver.session() as session:
        transaction = await session.begin_transaction()
        await transaction.execute("CREATE (:DriverNever)")
        with pytest.raises(CypherSyntaxError):
            await transaction.fetch("THIS IS NO CYPHER")
        with pytest.raises(TransactionError):
            await transaction.fetch("RETURN 1")
        with pytest.raises(TransactionError):
            await transaction.commit()
        assert await session.fetch("MATCH (n:DriverNever) RETURN count(n)") == [(0,)]
        with pytest.raises(ClientError) as caught:
            await driver.execute_query("RETURN 1", database_="nosuch")
        assert caught.value.code == "Neo.ClientError.Database.DatabaseNotFound"
        assert await driver.verify_authentication()
        assert not await driver.verify_authentication(auth=("root", "wrong"))
        assert await driver.supports_session_auth() and await driver.supports_multi_db()


@aiotest(loops=LOOPS)
async def test_cancelled_while_reading_in_a_transaction(arcadedb: Any) -> None:
    async with driver_of(arcadedb) as driver:

        async def read(transaction: asyncbolt.AsyncManagedTransaction) -> None:
            await transaction.execute("CREATE (:DriverCancelled)")
            async for _ in await transaction.run("UNWIND range(1, 1000000) AS n RETURN n"):
                reading.set()

        reading = asyncio.Event()
        async with driver.session() as session:
            task = asyncio.create_task(session.execute_write(read))
            await reading.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await session.fetch("MATCH (n:DriverCancelled) RETURN count(n)") == [(0,)]
        assert (await settled(driver)).closed == 0


@aiotest
async def test_graph_values_and_routing(arcadedb: Any) -> None:
    async with driver_of(arcadedb, "neo4j") as driver, driver.session() as session:
        await session.execute("MATCH (n:DriverPath) DETACH DELETE n")
        result = await session.run(
            "CREATE p = (a:DriverPath {n: 1})-[r:TO {w: 2.5}]->(b:DriverPath {n: 2}) RETURN p, a, r, b"
        )
        record = await result.single(strict=True)
        assert record is not None
        path, a, r, b = record
        assert isinstance(path, Path) and path.nodes == (a, b) and path.relationships == (r,)
        assert r.nodes == (a, b) and r["w"] == 2.5 and a.labels == {"DriverPath"}
        summary = await result.consume()
        counters = summary.counters
        assert counters.nodes_created == 2 and counters.relationships_created == 1
        assert counters.contains_updates and summary.query_type == "w" and summary.database == "neo4j"
        graph = await (await session.run("MATCH p = (:DriverPath)-->() RETURN p")).graph()
        assert set(graph.nodes.values()) == {a, b} and list(graph.relationships.values()) == [r]
        await session.execute("MATCH (n:DriverPath) DETACH DELETE n")


@aiotest
async def test_a_refused_login(arcadedb: Any) -> None:
    async with driver_of(arcadedb, auth=("root", "wrong")) as driver:
        with pytest.raises((AuthError, ClientError)):
            await driver.verify_connectivity()
        assert driver.pool_stats().addresses == {}
