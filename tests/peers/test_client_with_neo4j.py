"""The rules of the lane on Neo4j itself, which closes connections for what it does not like."""

from __future__ import annotations

import asyncio
import random

import pytest
from aiohelp import LOOPS, aiotest

import asyncbolt

pytestmark = pytest.mark.neo4j

each_version = pytest.mark.parametrize(
    "versions", [None, [(5, 4)], [(4, 4)], [(4, 0)]], ids=["newest", "5.4", "4.4", "4.0"]
)


def client(server, versions=None, **options):
    options.setdefault("timeout", 60)
    uri = f"bolt://127.0.0.1:{server.port}"
    return asyncbolt.connect(uri, auth=server.auth, versions=versions, **options)


async def count(session, label):
    return (await session.fetch(f"MATCH (n:{label}) RETURN count(n)"))[0][0]


async def clear(session, label):
    await session.execute(f"MATCH (n:{label}) DETACH DELETE n")


@each_version
@aiotest(loops=LOOPS)
async def test_five_of_fifty_fail(neo4j, versions):
    async with client(neo4j, versions) as session:
        connection = session.metadata["connection_id"]
        bad = {3, 4, 20, 48, 49}
        results = await asyncio.gather(
            *(session.fetch("NONSENSE" if n in bad else "RETURN $n", {"n": n}) for n in range(50)),
            return_exceptions=True,
        )
        assert {
            n for n, result in enumerate(results) if isinstance(result, asyncbolt.CypherSyntaxError)
        } == bad
        assert all(result == [(n,)] for n, result in enumerate(results) if n not in bad)
        assert session.is_connected and session.metadata["connection_id"] == connection


@each_version
@aiotest
async def test_nested_writes_while_reading(neo4j, versions):
    async with client(neo4j, versions) as session:
        await clear(session, "N1")
        written = 0
        async for batch in session.batches("UNWIND range(1, 20000) AS n RETURN n", fetch_size=1000):
            await session.execute("UNWIND $ns AS n CREATE (:N1 {n: n})", {"ns": [n for (n,) in batch]})
            written += len(batch)
        assert written == 20_000 == await count(session, "N1")
        await clear(session, "N1")


@each_version
@aiotest(loops=LOOPS)
async def test_b_is_cancelled_between_a_and_c(neo4j, versions):
    async with client(neo4j, versions) as session:
        await clear(session, "N2")
        for turn in range(20):
            tasks = [
                asyncio.create_task(session.execute("CREATE (:N2 {n: $n})", {"n": f"{turn}{name}"}))
                for name in "abc"
            ]
            for _ in range(turn % 4 + 1):
                await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.gather(tasks[0], tasks[2])
        found = {n for (n,) in await session.fetch("MATCH (n:N2) RETURN n.n")}
        assert {f"{turn}{name}" for turn in range(20) for name in "ac"} <= found
        await clear(session, "N2")


@each_version
@aiotest(loops=LOOPS)
async def test_cancelled_alone_interrupts_the_server(neo4j, versions):
    async with client(neo4j, versions) as session:
        endless = "UNWIND range(1, 1000000000000) AS n RETURN n"
        for stream in (
            session.run(endless),
            session.batches(endless),
            session.batches(endless, fetch_size=-1),
        ):
            reading = asyncio.Event()

            async def read(stream=stream, reading=reading):
                async for _ in stream:
                    reading.set()

            task = asyncio.create_task(read())
            await reading.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # What was dropped in the middle is discarded to its end; a reset does not wait for that.
            await session.reset(timeout=30)
            assert await session.fetch("RETURN 1", timeout=30) == [(1,)]
        with pytest.raises(TimeoutError):
            await session.fetch(endless, timeout=0.2)
        assert await session.fetch("RETURN 1", timeout=30) == [(1,)]


@each_version
@aiotest
async def test_a_hundred_writes_in_flight_are_there_after_close(neo4j, versions):
    session = await client(neo4j, versions)
    await clear(session, "N3")
    tasks = [asyncio.create_task(session.execute("CREATE (:N3 {n: $n})", {"n": n})) for n in range(100)]
    await asyncio.sleep(0)
    session.close()
    await session.wait_closed()
    await asyncio.gather(*tasks)
    async with client(neo4j, versions) as session:
        assert await count(session, "N3") == 100
        await clear(session, "N3")


@each_version
@aiotest
async def test_transactions(neo4j, versions):
    async with client(neo4j, versions) as session:
        await clear(session, "N4")
        async with session.transaction() as tx:
            await tx.execute("CREATE (:N4 {n: 1})")
            outer = tx.batches("UNWIND range(1, 10) AS n RETURN n", fetch_size=3)
            inner = tx.batches("UNWIND range(11, 20) AS n RETURN n", fetch_size=4)
            rows = await outer.__anext__() + await inner.__anext__()
            async for batch in outer:
                rows += batch
                await tx.execute("CREATE (:N4 {n: 2})")
            async for batch in inner:
                rows += batch
            assert sorted(n for (n,) in rows) == list(range(1, 21))
            left = tx.batches("UNWIND range(1, 1000) AS n RETURN n", fetch_size=10)
            await left.__anext__()
        assert await count(session, "N4") > 1
        await clear(session, "N4")
        with pytest.raises(asyncbolt.TransactionError):
            async with session.transaction() as tx:
                results = await asyncio.gather(
                    tx.execute("CREATE (:N4)"),
                    tx.fetch("RETURN 1/0"),
                    tx.execute("CREATE (:N4)"),
                    return_exceptions=True,
                )
                assert isinstance(results[1], asyncbolt.ClientError)
        with pytest.raises(RuntimeError):
            async with session.transaction() as tx:
                await tx.execute("CREATE (:N4)")
                await tx.batches("UNWIND range(1, 1000) AS n RETURN n", fetch_size=10).__anext__()
                raise RuntimeError
        with pytest.raises(asyncbolt.Neo4jError):
            async with session.transaction(db="nosuchdatabase") as tx:
                await tx.execute("CREATE (:N4)")
        assert await count(session, "N4") == 0


@each_version
@aiotest
async def test_execute_many(neo4j, versions):
    async with client(neo4j, versions) as session:
        await clear(session, "N5")
        create = "UNWIND $rows AS row CREATE (n:N5) SET n = row"
        summary = await session.execute_many(create, ({"n": n, "s": "x" * 20} for n in range(20_000)))
        assert summary.rows == 20_000 == summary.stats["nodes-created"]
        assert len(summary.bookmarks) == summary.batches
        with pytest.raises(asyncbolt.ClientError) as caught:
            await session.execute_many(
                "UNWIND $rows AS row CREATE (n:N5 {n: 100 / (row - 1500)})", range(3000), batch_rows=500
            )
        first, number = caught.value.first_row, caught.value.row_count
        assert first <= 1500 < first + number
        assert await count(session, "N5") == 20_000 + first
        await clear(session, "N5")


@each_version
@aiotest(loops=LOOPS, timeout=240)
async def test_chance(neo4j, versions):
    """Failures, cancellations, streams and transactions in many tasks: the connection survives all of it."""
    rng = random.Random(7)
    committed: set[int] = set()
    possible: set[int] = set()
    numbers = iter(range(10**6))
    async with client(neo4j, versions) as session:
        await clear(session, "N6")

        async def write(caller, ids):
            number = next(numbers)
            possible.add(number)
            await caller.execute("CREATE (:N6 {n: $n})", {"n": number})
            ids.add(number)

        async def act():
            kind = rng.random()
            if kind < 0.3:
                await write(session, committed)
            elif kind < 0.45:
                assert await session.fetch("RETURN $n", {"n": 1}) == [(1,)]
            elif kind < 0.55:
                with pytest.raises(asyncbolt.ClientError):
                    await session.fetch(rng.choice(("NONSENSE", "RETURN 1/0")))
            elif kind < 0.7:
                seen = 0
                async for batch in session.batches("UNWIND range(1, 3000) AS n RETURN n", fetch_size=500):
                    seen += len(batch)
                    if rng.random() < 0.2:
                        break
                    if rng.random() < 0.2:
                        await write(session, committed)
                else:
                    assert seen == 3000
            elif kind < 0.75:
                await session.ping()
            else:
                mine: set[int] = set()
                fails = rng.random() < 0.3
                try:
                    async with session.transaction() as tx:
                        for _ in range(rng.randint(0, 3)):
                            await write(tx, mine)
                        if fails:
                            await tx.fetch("RETURN 1/0")
                except asyncbolt.ClientError:
                    possible.difference_update(mine)
                else:
                    committed.update(mine)

        async def user():
            for _ in range(15):
                task = asyncio.ensure_future(act())
                if rng.random() < 0.2:
                    await asyncio.wait((task,), timeout=rng.random() * 0.02)
                    task.cancel()
                    await asyncio.wait((task,))
                    if task.cancelled():
                        continue
                await task

        await asyncio.gather(*(user() for _ in range(20)))
        assert session.is_connected
        rows = [n for (n,) in await session.fetch("MATCH (n:N6) RETURN n.n")]
        assert len(rows) == len(set(rows)), "something ran twice"
        assert committed <= set(rows) <= possible
        await clear(session, "N6")


@aiotest
async def test_second_connection_is_one_write(neo4j):
    for _ in range(2):
        async with client(neo4j) as session:
            newest = (6, 1) if neo4j.version.startswith("20") else (5, 8)
            assert session.version == newest
            assert await session.fetch("RETURN 1") == [(1,)]


@aiotest
async def test_wrong_password(neo4j):
    uri = f"bolt://127.0.0.1:{neo4j.port}"
    for versions in (None, [(4, 0)]):  # more would meet the server's limit of wrong passwords
        with pytest.raises(asyncbolt.AuthError):
            await asyncbolt.connect(uri, auth=("neo4j", "wrong"), versions=versions, timeout=60)


@each_version
@aiotest
async def test_long_first_request(neo4j, versions):
    """Nothing of the limits before the login is left behind it."""
    for _ in range(20):
        async with client(neo4j, versions) as session:
            rows = await session.fetch(
                "RETURN size($numbers), size($text)",
                {
                    "numbers": list(range(1000)),
                    "text": "x" * 100_000,
                },
            )
            assert rows == [(1000, 100_000)]
