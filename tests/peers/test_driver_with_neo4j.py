"""The driver on Neo4j itself, in every Bolt version that it takes."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import math
import uuid
from typing import Any
from zoneinfo import ZoneInfo

import neo4j_server
import pytest
from aiohelp import LOOPS, aiotest
from driver_servers import settled

import asyncbolt
from asyncbolt.exceptions import (
    AuthError,
    BrokenRecordError,
    ClientError,
    ConfigurationError,
    ConstraintError,
    IncompleteCommit,
    LeaseExpired,
    PackError,
    TransactionError,
)
from asyncbolt.graph import Node, Path, Relationship
from asyncbolt.spatial import CartesianPoint, WGS84Point
from asyncbolt.time import Date, DateTime, Duration, Time
from asyncbolt.vector import UnsupportedType, Vector

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
        DateTime(2026, 10, 25, 2, 30, fold=0, tzinfo=ZoneInfo("Europe/Stockholm")),
        DateTime(2026, 1, 2, nanosecond=5, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=45))),
        DateTime(2026, 1, 2, tzinfo=datetime.timezone.utc), DateTime(1, 1, 1),
        DateTime(9999, 12, 31, 23, 59, 59, nanosecond=999_999_999), Date.min, Date.max,
        Time(0, 0, nanosecond=1, tzinfo=datetime.timezone(datetime.timedelta(hours=-3, minutes=-30))),
        False, 0, -17, 128, 32768, -(2**63), -0.0, math.inf, "", "x" * 70_000, b"", b"\0\xff" * 40_000,
        [], {}, [[], [[1]], [{"a": []}]], list(range(1000)), {str(n): n for n in range(300)},
        Duration(months=14, days=3, seconds=5, nanoseconds=7),
        Duration(months=-14, days=-3, seconds=-5, nanoseconds=-7),
        CartesianPoint((1, 2)), CartesianPoint((1, 2, 3)), WGS84Point((1, 2)), WGS84Point((1, 2, 3)),
    ]  # fmt: skip
    if version >= (4, 3):  # before, the second of two equal hours had no name on the wire
        values.append(DateTime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Stockholm")))
    async with driver_of(neo4j, scheme, versions=[version]) as driver:
        assert (await driver.get_server_info()).protocol_version == version
        records, _, _ = await driver.execute_query("UNWIND $values AS v RETURN v", values=values)
        for value, record in zip(values, records, strict=True):
            back = record["v"]
            assert back == value and type(back) is type(value)
            if isinstance(value, (float, datetime.date, datetime.time)):  # == does not see everything
                assert repr(back) == repr(value)
        assert math.isnan((await driver.execute_query("RETURN $v", v=math.nan)).records[0][0])
        stored = [value for value in values if isinstance(value, (Date, Time, DateTime, Duration, bytes))]
        await driver.execute_query("UNWIND range(0, size($values) - 1) AS i"
                                   " CREATE (:DrvStored {i: i, v: $values[i]})", values=stored)  # fmt: skip
        records, _, _ = await driver.execute_query("MATCH (n:DrvStored) WITH n ORDER BY n.i RETURN n")
        assert [record["n"]["v"] for record in records] == stored
        await driver.execute_query("MATCH (n:DrvStored) DELETE n")
        (broken,) = (await driver.execute_query("RETURN date({year: 20000}) AS date, 1 AS one")).records
        assert broken["one"] == 1
        with pytest.raises(BrokenRecordError):
            broken["date"]
        records, summary, _ = await driver.execute_query(
            "CREATE p = (a:DrvA {n: 1})-[r:TO {w: 2}]->(b:DrvB {n: 3}) RETURN p, a, r, b"
        )
        path, a, r, b = records[0]
        assert isinstance(path, Path) and isinstance(a, Node) and isinstance(r, Relationship)
        assert path.nodes == (a, b) and path.relationships == (r,) and r.type == "TO" and b["n"] == 3
        assert summary.counters.nodes_created == 2 and summary.counters.contains_updates
        await driver.execute_query("MATCH (n:DrvA)-->(m:DrvB) DETACH DELETE n, m")
        await check_vectors_and_uuids(driver, version, neo4j.version.startswith("20"))
        assert driver.pool_stats().in_use == 0


async def check_vectors_and_uuids(
    driver: asyncbolt.AsyncDriver, version: tuple[int, int], known: bool
) -> None:
    vectors = [Vector([1, -2, 3], kind) for kind in ("i8", "i16", "i32", "i64")]
    vectors += [Vector([1.5, -2.0, 3.25], kind) for kind in ("f32", "f64")]
    identifier = uuid.uuid4()
    if version >= (6, 0):
        assert (await driver.execute_query("RETURN $v AS v", v=vectors)).records[0]["v"] == vectors
    else:
        with pytest.raises(PackError):
            await driver.execute_query("RETURN $v AS v", v=vectors)
    if version >= (6, 1):
        assert (await driver.execute_query("RETURN $u AS u", u=identifier)).records[0]["u"] == identifier
    else:
        with pytest.raises(PackError):
            await driver.execute_query("RETURN $u AS u", u=identifier)
    if known:
        # What a version cannot carry comes as something that says so.
        query = "CYPHER 25 RETURN vector([1, 2, 3], 3, FLOAT32) AS v, uuid() AS u"
        (record,) = (await driver.execute_query(query)).records
        if version >= (6, 0):
            assert record["v"] == Vector([1.0, 2.0, 3.0], "f32")
            assert isinstance(record["u"], uuid.UUID if version >= (6, 1) else UnsupportedType)
        else:
            assert "FLOAT32" in record["v"]["originalType"] and record["u"]["originalType"] == "UUID"


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


@aiotest
async def test_another_user_in_a_session(neo4j: Any) -> None:
    who = "SHOW CURRENT USER YIELD user"
    async with driver_of(neo4j) as driver:
        second = ("second", "playwithother")
        create = "CREATE USER second IF NOT EXISTS SET PASSWORD $p CHANGE NOT REQUIRED"
        await driver.execute_query(create, p=second[1], database_="system")
        async with driver.session(auth=second) as session:
            assert await session.fetch(who) == [("second",)]
        assert (await driver.execute_query(who)).records[0]["user"] == "neo4j"
        assert (await driver.execute_query(who, auth_=second)).records[0]["user"] == "second"
        assert await driver.verify_authentication(auth=second)
        assert (await driver.execute_query(who)).records[0]["user"] == "neo4j"
        assert driver.pool_stats().opened == 1  # all of it on one connection
        with pytest.raises(AuthError):
            await driver.execute_query(who, auth_=("second", "wrong"))
        assert (await driver.execute_query(who)).records[0]["user"] == "neo4j"
        with pytest.raises(ClientError, match="not supported in community edition"):
            await driver.execute_query(who, impersonated_user_="second")
        with pytest.raises(ClientError) as caught:
            await driver.execute_query(who, database_="nosuch")
        assert caught.value.code == "Neo.ClientError.Database.DatabaseNotFound"
    async with driver_of(neo4j, "bolt", versions=[(5, 0)]) as old:
        with pytest.raises(ConfigurationError):
            await old.execute_query(who, auth_=second)
        await old.execute_query("DROP USER second", database_="system")


@aiotest
async def test_transactions_that_are_ended_by_others(neo4j: Any) -> None:
    slow = "UNWIND range(1, 1000000000) AS i WITH i WHERE i % 7 = 0 RETURN count(i)"
    async with driver_of(neo4j) as driver, driver.session() as session, driver.session() as other:
        transaction = await session.begin_transaction(timeout=0.2, metadata={"app": "drv"})
        with pytest.raises(ClientError, match=r"timeout|terminated"):
            await transaction.fetch(slow)
        with pytest.raises(TransactionError):
            await transaction.commit()
        await transaction.close()

        tries = 0

        @asyncbolt.unit_of_work(metadata={"app": "drv"})
        async def ended(tx: asyncbolt.AsyncManagedTransaction) -> None:
            nonlocal tries
            tries += 1
            await tx.execute("CREATE (:DrvEnded)")
            ((identifier, metadata),) = await other.fetch(
                "SHOW TRANSACTIONS YIELD transactionId, metaData WHERE metaData.app = 'drv'"
                " RETURN transactionId, metaData"
            )
            assert metadata == {"app": "drv"}
            await other.fetch("TERMINATE TRANSACTIONS $id", {"id": identifier})
            await tx.execute("CREATE (:DrvEnded)")

        with pytest.raises(ClientError) as caught:
            await session.execute_write(ended)
        assert caught.value.code == "Neo.ClientError.Transaction.Terminated" and tries == 1

        # Two that wait for each other: the server ends one, and it is tried again.
        await session.execute("CREATE (:DrvLock {x: 1, n: 0}), (:DrvLock {x: 2, n: 0})")

        async def both(
            tx: asyncbolt.AsyncManagedTransaction, order: str, mine: asyncio.Event, theirs: asyncio.Event
        ) -> None:
            nonlocal tries
            tries += 1
            for x in order:
                await tx.execute("MATCH (l:DrvLock {x: $x}) SET l.n = l.n + 1", {"x": int(x)})
                mine.set()
                await theirs.wait()

        one, two = asyncio.Event(), asyncio.Event()
        tries = 0
        await asyncio.gather(
            session.execute_write(both, "12", one, two), other.execute_write(both, "21", two, one)
        )
        assert tries == 3
        assert await session.fetch("MATCH (l:DrvLock) RETURN l.n") == [(2,), (2,)]
        await session.execute("MATCH (l:DrvLock) DELETE l")
        assert await session.fetch("MATCH (n:DrvEnded) RETURN count(n)") == [(0,)]

        reading = asyncio.Event()

        async def read(tx: asyncbolt.AsyncManagedTransaction) -> None:
            async for _ in await tx.run("UNWIND range(1, 1000000000000) AS n RETURN n"):
                reading.set()

        task = asyncio.create_task(session.execute_read(read))
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await session.fetch("RETURN 1") == [(1,)]
        assert (await settled(driver)).closed == 0


@aiotest
async def test_summaries(neo4j: Any) -> None:
    async with driver_of(neo4j) as driver:
        explained = (await driver.execute_query("EXPLAIN MATCH (n:DrvPlan {nope: 1}) RETURN n")).summary
        assert explained.plan is not None and explained.plan["operatorType"].startswith("ProduceResults")
        assert explained.profile is None and explained.query_type == "r" and explained.database == "neo4j"
        assert explained.summary_notifications and explained.notifications
        assert {note.raw_severity_level for note in explained.summary_notifications} == {"WARNING"}
        assert any(status.is_notification for status in explained.gql_status_objects)
        profiled = (await driver.execute_query("PROFILE UNWIND range(1, 7) AS n RETURN n")).summary
        assert profiled.profile is not None and profiled.profile["rows"] == 7
        quiet = driver.session(notifications_min_severity="OFF")
        async with quiet as session:
            summary = await (await session.run("EXPLAIN MATCH (n:DrvPlan {nope: 1}) RETURN n")).consume()
            assert not summary.summary_notifications
        system = (await driver.execute_query("SHOW DATABASES", database_="system")).summary
        assert system.database == "system"


EVENTS = "MATCH (e:DrvNews) WHERE e.id > $after RETURN e.id AS id, e.of AS of ORDER BY id LIMIT $limit"
# The lock on the counter is held until the commit, so that numbers are committed in their order.
ADD = "MATCH (c:DrvCounter) SET c.n = c.n + 1 CREATE (:DrvNews {id: c.n, of: $of})"


class Load:
    """Writers and readers of numbered events, and what they were told."""

    def __init__(self, driver: asyncbolt.AsyncDriver) -> None:
        self.driver = driver
        self.numbers = itertools.count()
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        self.reached = asyncio.Event()
        self.goal = 0
        self.stopping = False
        self.ended = asyncio.Event()

    async def until_acknowledged(self, more: int) -> None:
        self.goal = len(self.acknowledged) + more
        self.reached.clear()
        await self.reached.wait()

    async def write(self) -> None:
        async def add(tx: asyncbolt.AsyncManagedTransaction, number: int) -> None:
            await tx.execute(ADD, {"of": number})

        async with self.driver.session() as session:
            while not self.stopping:
                number = next(self.numbers)
                try:
                    await session.execute_write(add, number)
                except IncompleteCommit:
                    self.unknown.add(number)
                    continue
                self.acknowledged.add(number)
                if len(self.acknowledged) >= self.goal:
                    self.reached.set()

    async def follow(self) -> list[tuple[int, int]]:
        """Everything, up to the event that comes last."""
        rows: list[tuple[int, int]] = []
        async for page in self.driver.pages(EVENTS, key="id", after=0, follow=True, poll_interval=0.05):
            rows += [tuple(record) for record in page]
            if rows[-1][1] == -1:
                break
        return rows

    async def consume(self) -> None:
        """What a page leads to is written together with its acknowledgement."""

        async def work(tx: asyncbolt.AsyncManagedTransaction, page: asyncbolt.Page) -> None:
            await tx.execute(
                "UNWIND $ids AS id CREATE (:DrvDone {id: id})", {"ids": [record["id"] for record in page]}
            )
            await page.ack(tx)

        pages = self.driver.pages(
            EVENTS, key="id", after=0, page_size=7, follow=True, poll_interval=0.02, name="drv"
        )
        async with self.driver.session() as session:
            async for page in pages:
                try:
                    await session.execute_write(work, page)
                except (IncompleteCommit, LeaseExpired):
                    continue  # it comes again, unless it was committed
                if page[-1]["of"] == -1:
                    self.ended.set()


@pytest.mark.parametrize("version", neo4j_server.VERSIONS)
@aiotest(timeout=600)
async def test_killed_and_restarted_under_load(version: str) -> None:
    """Nothing acknowledged is lost, nothing is there twice, and those who follow see each row once."""
    with neo4j_server.Neo4j(version) as server:
        retries: dict[str, Any] = {
            "max_transaction_retry_time": 300,
            "initial_retry_delay": 0.1,
            "retry_delay_multiplier": 1.2,
        }
        async with driver_of(server, **retries) as driver:
            await driver.execute_query("CREATE CONSTRAINT FOR (e:DrvNews) REQUIRE e.id IS UNIQUE")
            await driver.execute_query("CREATE (:DrvCounter {n: 0})")
            load = Load(driver)
            writers = [asyncio.create_task(load.write()) for _ in range(4)]
            followers = [asyncio.create_task(load.follow()) for _ in range(2)]
            consumers = [asyncio.create_task(load.consume()) for _ in range(2)]
            try:
                await load.until_acknowledged(200)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.restart)
                await load.until_acknowledged(200)
                load.stopping = True
                await asyncio.gather(*writers)
                await driver.execute_query(ADD, of=-1)
                seen = await asyncio.gather(*followers)
                await load.ended.wait()
            finally:
                for task in (*writers, *followers, *consumers):
                    task.cancel()
                await asyncio.gather(*writers, *followers, *consumers, return_exceptions=True)
            async with driver.session() as session:
                rows = await session.fetch("MATCH (e:DrvNews) RETURN e.id, e.of ORDER BY e.id")
                done = await session.fetch("MATCH (d:DrvDone) RETURN d.id ORDER BY d.id")
            found = [of for _, of in rows]
            assert len(found) == len(set(found)), "something was written twice"
            assert load.acknowledged <= set(found), "something acknowledged is lost"
            assert set(found) <= load.acknowledged | load.unknown | {-1}
            assert seen == [rows, rows]
            assert done == [(number,) for number, _ in rows]
            assert (await settled(driver)).waiting == 0
        server.kill()
