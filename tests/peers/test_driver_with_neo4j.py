"""The driver on Neo4j itself, in every Bolt version that it takes."""

from __future__ import annotations

import datetime
import uuid
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohelp import LOOPS, aiotest

import asyncbolt
from asyncbolt.exceptions import AuthError, ConfigurationError, ConstraintError, LeaseExpired
from asyncbolt.graph import Node, Path, Relationship
from asyncbolt.spatial import CartesianPoint, WGS84Point
from asyncbolt.time import Date, DateTime, Duration, Time

pytestmark = pytest.mark.neo4j

VERSIONS = [(6, 1), (6, 0), (5, 8), (5, 7), (5, 6), (5, 4), (5, 3), (5, 2), (5, 1), (5, 0)]
VERSIONS += [(4, 4), (4, 3), (4, 2), (4, 1), (4, 0)]
each_version = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: ".".join(map(str, version)))


def driver_of(neo4j: Any, scheme: str = "neo4j", **options: Any) -> asyncbolt.AsyncDriver:
    options.setdefault("auth", neo4j.auth)
    return asyncbolt.AsyncGraphDatabase.driver(f"{scheme}://127.0.0.1:{neo4j.port}", **options)


def spoken(neo4j: Any, version: tuple[int, int]) -> bool:
    return version < (6, 0) or neo4j.version.startswith("20")


@each_version
@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
@aiotest
async def test_every_type_there_and_back(neo4j: Any, version: tuple[int, int], scheme: str) -> None:
    if not spoken(neo4j, version):
        # One version alone is offered, and this server does not have it.
        async with driver_of(neo4j, scheme, versions=[version]) as driver:
            with pytest.raises(asyncbolt.ServiceUnavailable):
                await driver.verify_connectivity()
        return
    values = [
        None, True, -1, 2**63 - 1, 1.5, "ä€😀", b"bytes", [1, "a", None], {"a": [1, {"b": 2.5}]},
        Date(2026, 11, 25), Time(12, 1, 2, 3, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        Time(1, 2, 3, nanosecond=123456789), DateTime(2026, 1, 2, 3, 4, 5, nanosecond=6),
        DateTime(2026, 7, 2, 3, 4, 5, tzinfo=ZoneInfo("Europe/Stockholm")),
        Duration(months=14, days=3, seconds=5, nanoseconds=7),
        CartesianPoint((1, 2)), CartesianPoint((1, 2, 3)), WGS84Point((1, 2)), WGS84Point((1, 2, 3)),
    ]  # fmt: skip
    async with driver_of(neo4j, scheme, versions=[version]) as driver:
        assert (await driver.get_server_info()).protocol_version == version
        records, _, _ = await driver.execute_query("UNWIND $values AS v RETURN v", values=values)
        for value, record in zip(values, records, strict=True):
            assert record["v"] == value and type(record["v"]) is type(value)
        records, summary, _ = await driver.execute_query(
            "CREATE p = (a:DrvA {n: 1})-[r:TO {w: 2}]->(b:DrvB {n: 3}) RETURN p, a, r, b"
        )
        path, a, r, b = records[0]
        assert isinstance(path, Path) and isinstance(a, Node) and isinstance(r, Relationship)
        assert path.nodes == (a, b) and path.relationships == (r,) and r.type == "TO" and b["n"] == 3
        assert summary.counters.nodes_created == 2 and summary.counters.contains_updates
        await driver.execute_query("MATCH (n:DrvA)-->(m:DrvB) DETACH DELETE n, m")
        if version >= (6, 0):
            query = "CYPHER 25 RETURN vector([1, 2, 3], 3, FLOAT32) AS v"
            record = (await driver.execute_query(query)).records[0]
            assert list(record["v"].to_native()) == [1.0, 2.0, 3.0]
        if version >= (6, 1):
            wanted = uuid.uuid4()
            assert (await driver.execute_query("RETURN $u AS u", u=wanted)).records[0]["u"] == wanted
        assert driver.pool_stats().in_use == 0


@aiotest(loops=LOOPS)
async def test_causal_chaining_and_logins(neo4j: Any) -> None:
    async with driver_of(neo4j) as one, driver_of(neo4j, "bolt") as two:
        async with one.session() as session:
            await session.execute("MERGE (n:DrvChain {x: 1}) SET n.y = 0")
            for turn in range(1, 6):
                async with one.session(bookmarks=await session.last_bookmarks()) as writer:
                    await writer.execute("MATCH (n:DrvChain) SET n.y = $y", {"y": turn})
                    marks = await writer.last_bookmarks()
                assert marks.raw_values
                async with two.session(bookmarks=marks, default_access_mode=asyncbolt.READ_ACCESS) as reader:
                    assert await reader.fetch("MATCH (n:DrvChain) RETURN n.y") == [(turn,)]
            await session.execute("MATCH (n:DrvChain) DELETE n")
        assert await two.verify_authentication()
        assert not await two.verify_authentication(auth=("neo4j", "wrong"))
        assert await two.supports_session_auth() and await two.supports_multi_db()
    async with driver_of(neo4j, "bolt", auth=("neo4j", "wrong"), versions=[(5, 0)]) as wrong:
        with pytest.raises(AuthError):
            await wrong.verify_connectivity()
    async with driver_of(neo4j, "bolt", versions=[(4, 3)]) as old:
        with pytest.raises(ConfigurationError, match="impersonation"):
            await old.execute_query("RETURN 1", impersonated_user_="somebody")


@aiotest
async def test_errors_and_time_limits(neo4j: Any) -> None:
    async with driver_of(neo4j) as driver, driver.session() as session:
        await session.execute("CREATE CONSTRAINT drv IF NOT EXISTS FOR (n:DrvOne) REQUIRE n.x IS UNIQUE")
        await session.execute("MERGE (n:DrvOne {x: 1})")
        with pytest.raises(ConstraintError):
            await session.execute("CREATE (n:DrvOne {x: 1})")
        with pytest.raises(asyncbolt.ClientError, match=r"timeout|terminated"):
            slow = "UNWIND range(1, 1000000000) AS i WITH i WHERE i % 7 = 0 RETURN count(i)"
            await (await session.run(asyncbolt.Query(slow, timeout=0.2))).consume()
        await session.execute("MATCH (n:DrvOne) DELETE n")
        await session.execute("DROP CONSTRAINT drv IF EXISTS")
        assert (await session.call("db.labels")).fields == ["label"]


@aiotest
async def test_named_pages_are_shared_and_exactly_once(neo4j: Any) -> None:
    query = """
        MATCH (e:DrvEvent) WHERE $after IS NULL OR e.id > $after
        RETURN e.id AS id ORDER BY id LIMIT $limit
    """
    async with driver_of(neo4j) as driver:
        await driver.execute_query("MATCH (e:DrvEvent) DELETE e")
        await driver.execute_query("MATCH (p:AsyncboltPosition) DELETE p")
        await driver.execute_query("UNWIND range(1, 40) AS i CREATE (:DrvEvent {id: i})")
        one = driver.pages(query, key="id", page_size=10, name="drv", lease=30)
        again = await anext(one)
        page = await anext(one)
        assert page.position == again.position == 10  # it was not acknowledged
        await page.renew()
        async with driver.session() as session, await session.begin_transaction() as tx:
            await tx.execute("UNWIND $ids AS id MATCH (e:DrvEvent {id: id}) SET e.done = true",
                             {"ids": [record["id"] for record in page]})  # fmt: skip
            await page.ack(tx)
        with pytest.raises(LeaseExpired):
            await again.ack()
        two = driver.pages(query, key="id", page_size=10, name="drv", lease=30)
        seen = []
        for pages in (two, one, two):
            page = await anext(pages)
            seen += [record["id"] for record in page]
            await page.ack()
            await page.ack()  # once more changes nothing
        assert seen == list(range(11, 41))
        assert [page async for page in one] == []
        await driver.execute_query("MATCH (e:DrvEvent) DELETE e")
        await driver.execute_query("MATCH (p:AsyncboltPosition) DELETE p")
