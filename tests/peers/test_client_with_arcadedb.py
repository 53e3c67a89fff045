"""The client against ArcadeDB's own Bolt server, in each major version that it speaks."""

from __future__ import annotations

import asyncio
import datetime
import math

import pytest
from aiohelp import LOOPS, aiotest

import asyncbolt
from asyncbolt.spatial import CartesianPoint
from asyncbolt.time import Duration

VERSIONS = [(5, 4), (4, 4), (3, 0)]
each_version = pytest.mark.parametrize("version", VERSIONS, ids=["5.4", "4.4", "3.0"])


def client(server, version, **options):
    if version >= (4, 0):
        options["database"] = server.database
    options.setdefault("timeout", 30)
    uri = f"bolt://127.0.0.1:{server.port}"
    return asyncbolt.connect(uri, auth=server.auth, versions=[version], **options)


async def count(session, label):
    return (await session.fetch(f"MATCH (n:{label}) RETURN count(n)"))[0][0]


async def clear(session, label):
    await session.execute(f"MATCH (n:{label}) DETACH DELETE n")


@each_version
@aiotest
async def test_every_type_there_and_back(arcadedb, version):
    values = [
        None,
        True,
        False,
        *(0, 1, -1, -16, -17, 127, 128, -129, 32767, 32768, 2**31 - 1, 2**31, 2**63 - 1, -(2**63)),
        *(0.0, 1.5, -1e308, math.inf),
        *("", "a" * 15, "b" * 16, "ä€😀", "x" * 70_000),
        *([], [1, "a", None], list(range(300)), [[1], [2, [3]]]),
        *({}, {"a": 1, "b": [{"c": None}]}),
    ]
    async with client(arcadedb, version) as session:
        results = await asyncio.gather(
            *(session.fetch("RETURN $value AS value", {"value": value}) for value in values)
        )
        for value, rows in zip(values, results, strict=True):
            assert rows == [(value,)]
            assert type(rows[0][0]) is type(value)
            assert rows.fields == ["value"]
        whole = await session.fetch("RETURN $values AS values", {"values": values})
        assert whole == [(values,)]
        assert math.isnan((await session.fetch("RETURN $value", {"value": math.nan}))[0][0])


@each_version
@aiotest
async def test_dates_and_points_there_and_back(arcadedb, version):
    zone = datetime.timezone(datetime.timedelta(hours=2))
    values = [
        datetime.date(2026, 11, 21),
        datetime.time(7, 8, 9, 123456),
        datetime.time(7, 8, 9, 123456, tzinfo=zone),
        datetime.datetime(2026, 11, 21, 7, 8, 9, 123456),
        datetime.datetime(2026, 11, 21, 7, 8, 9, 123456, tzinfo=zone),
        Duration(months=1, days=2, seconds=3, nanoseconds=4),
        CartesianPoint((1.0, 2.0)),
        CartesianPoint((1.0, 2.0, 3.0)),
        b"\x00\xff" * 200,
    ]
    async with client(arcadedb, version) as session:
        for value in values:
            ((back,),) = await session.fetch("RETURN $value AS value", {"value": value})
            assert back == value and type(back) is type(value)
        ((node, relationship, path),) = await session.fetch(
            "CREATE (a:T1 {n: 1})-[r:R {w: 2.5}]->(b:T1 {n: 2}) "
            "WITH a, r, b MATCH p = (a)-[r]->(b) RETURN a, r, p"
        )
        assert isinstance(node, asyncbolt.Node) and node["n"] == 1 and "T1" in node.labels
        assert isinstance(relationship, asyncbolt.Relationship) and relationship["w"] == 2.5
        assert relationship.type == "R"
        assert isinstance(path, asyncbolt.Path) and len(path) == 1
        assert path.start_node == node
        await clear(session, "T1")


@each_version
@aiotest(loops=LOOPS)
async def test_many_rows_in_every_way(arcadedb, version):
    statement = "UNWIND range(1, 200000) AS n RETURN n, toString(n) AS s"
    async with client(arcadedb, version) as session:
        rows = await session.fetch(statement)
        assert len(rows) == 200_000 and rows[0] == (1, "1") and rows[-1] == (200_000, "200000")
        number = 0
        async for batch in session.batches(statement):
            assert batch[0][0] == number + 1
            number = batch[-1][0]
            if number % 7 == 0:
                await asyncio.sleep(0.001)  # a reader that pauses
        assert number == 200_000
        seen = 0
        async for response in session.run(statement):
            seen += 1
            assert response.fields == [seen, str(seen)]
            if seen == 1000:
                break
        assert await session.fetch("RETURN 1") == [(1,)]


@each_version
@aiotest
async def test_transactions(arcadedb, version):
    async with client(arcadedb, version) as session:
        await clear(session, "T2")
        async with session.transaction() as tx:
            await tx.execute("CREATE (:T2 {n: 1})")
            assert await tx.fetch("MATCH (n:T2) RETURN n.n") == [(1,)]
        assert await count(session, "T2") == 1
        with pytest.raises(RuntimeError):
            async with session.transaction() as tx:
                await tx.execute("CREATE (:T2 {n: 2})")
                raise RuntimeError
        assert await count(session, "T2") == 1
        with pytest.raises(asyncbolt.TransactionError):
            async with session.transaction() as tx:
                await tx.execute("CREATE (:T2 {n: 3})")
                with pytest.raises(asyncbolt.CypherSyntaxError):
                    await tx.fetch("THIS IS NO CYPHER")
        assert await count(session, "T2") == 1
        async with session.transaction() as tx:
            first = tx.batches("UNWIND range(1, 10) AS n RETURN n", fetch_size=3)
            second = tx.batches("UNWIND range(11, 20) AS n RETURN n", fetch_size=4)
            rows = []
            for stream in (first, second):
                rows += await stream.__anext__()
            for stream in (first, second):
                async for batch in stream:
                    rows += batch
            assert sorted(n for (n,) in rows) == list(range(1, 21))
        await clear(session, "T2")


@each_version
@aiotest
async def test_a_failure_and_then_the_next(arcadedb, version):
    async with client(arcadedb, version) as session:
        for _ in range(3):
            with pytest.raises(asyncbolt.CypherSyntaxError):
                await session.fetch("THIS IS NO CYPHER")
            assert await session.fetch("RETURN 1") == [(1,)]
        results = await asyncio.gather(
            *(session.fetch("NONSENSE" if n % 10 == 3 else "RETURN $n", {"n": n}) for n in range(50)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, asyncbolt.Neo4jError) for result in results) == 5
        assert [result for result in results if isinstance(result, list)] == [
            [(n,)] for n in range(50) if n % 10 != 3
        ]


@each_version
@aiotest
async def test_nested_writes_while_reading(arcadedb, version):
    async with client(arcadedb, version) as session:
        await clear(session, "T3")
        written = 0
        async for batch in session.batches("UNWIND range(1, 20000) AS n RETURN n", fetch_size=1000):
            await session.execute("UNWIND $ns AS n CREATE (:T3 {n: n})", {"ns": [n for (n,) in batch]})
            written += len(batch)
        assert written == 20_000 == await count(session, "T3")
        await clear(session, "T3")


@each_version
@aiotest
async def test_execute_many(arcadedb, version):
    async with client(arcadedb, version) as session:
        await clear(session, "T4")
        summary = await session.execute_many(
            "UNWIND $rows AS row CREATE (n:T4) SET n = row", ({"n": n, "s": "x" * 20} for n in range(5000))
        )
        assert summary.rows == 5000 == summary.stats["nodes-created"]
        assert await count(session, "T4") == 5000
        with pytest.raises(RuntimeError):
            async with session.transaction() as tx:
                await tx.execute_many("UNWIND $rows AS row CREATE (n:T4) SET n = row", [{"n": 1}] * 2000)
                raise RuntimeError
        assert await count(session, "T4") == 5000
        await clear(session, "T4")


@each_version
@aiotest(loops=LOOPS)
async def test_cancelled_between_two_writes_and_while_streaming(arcadedb, version):
    async with client(arcadedb, version) as session:
        await clear(session, "T5")
        a, b, c = (asyncio.create_task(session.execute("CREATE (:T5 {n: $n})", {"n": n})) for n in "abc")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        b.cancel()
        await asyncio.gather(a, c)
        with pytest.raises(asyncio.CancelledError):
            await b
        found = {n for (n,) in await session.fetch("MATCH (n:T5) RETURN n.n")}
        assert {"a", "c"} <= found

        async def read():
            async for _ in session.run("UNWIND range(1, 1000000) AS n RETURN n"):
                reading.set()

        reading = asyncio.Event()
        task = asyncio.create_task(read())
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await session.fetch("RETURN 1", timeout=60) == [(1,)]
        await clear(session, "T5")


@each_version
@aiotest
async def test_a_hundred_writes_in_flight_are_there_after_close(arcadedb, version):
    session = await client(arcadedb, version)
    await clear(session, "T6")
    tasks = [asyncio.create_task(session.execute("CREATE (:T6 {n: $n})", {"n": n})) for n in range(100)]
    await asyncio.sleep(0)
    session.close()
    await session.wait_closed()
    await asyncio.gather(*tasks)
    async with client(arcadedb, version) as session:
        assert await count(session, "T6") == 100
        await clear(session, "T6")


@each_version
@aiotest
async def test_wrong_password(arcadedb, version):
    uri = f"bolt://127.0.0.1:{arcadedb.port}"
    with pytest.raises(asyncbolt.AuthError):
        await asyncbolt.connect(uri, auth=("root", "wrong"), versions=[version], timeout=30)


@aiotest
async def test_the_version_is_agreed_on_and_remembered(arcadedb):
    uri = f"bolt://127.0.0.1:{arcadedb.port}"
    for _ in range(2):
        async with asyncbolt.connect(uri, auth=arcadedb.auth, timeout=30) as session:
            assert session.version == (5, 4)
            assert "ArcadeDB" in session.metadata["server"]


@aiotest
async def test_a_pool(arcadedb):
    uri = f"bolt://127.0.0.1:{arcadedb.port}"
    async with asyncbolt.create_pool(uri, auth=arcadedb.auth, database=arcadedb.database, max_size=4) as pool:
        results = await asyncio.gather(*(pool.fetch("RETURN $n", {"n": n}) for n in range(200)))
        assert results == [[(n,)] for n in range(200)]
        assert pool.size <= 4
