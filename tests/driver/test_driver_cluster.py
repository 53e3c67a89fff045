"""Routing in a cluster: members that come, go, change their roles, and refuse."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from aiohelp import aiotest
from driver_cluster import Cluster, Member, cluster_of
from driver_servers import settled

import asyncbolt
from asyncbolt.driver import clock
from asyncbolt.exceptions import (
    ClientError,
    ConfigurationError,
    DatabaseUnavailable,
    DriverError,
    ForbiddenOnReadOnlyDatabase,
    Neo4jError,
    NotALeader,
    ReadServiceUnavailable,
    ServiceUnavailable,
    SessionExpired,
    WriteServiceUnavailable,
)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The driver's clock, which stands still unless the test moves it; nothing sleeps."""
    time = [1000.0]

    async def sleep(seconds: float) -> None:
        time[0] += seconds

    monkeypatch.setattr(clock, "monotonic", lambda: time[0])
    monkeypatch.setattr(clock, "sleep", sleep)
    return time


async def work(tx: asyncbolt.AsyncManagedTransaction, statement: str) -> str:
    record = await (await tx.run(statement)).single(strict=True)
    name: str = record["member"]
    return name


async def read(driver: asyncbolt.AsyncDriver, statement: str = "X", **options: Any) -> str:
    async with driver.session(**options) as session:
        return await session.execute_read(work, statement)


async def write(driver: asyncbolt.AsyncDriver, statement: str = "X", **options: Any) -> str:
    async with driver.session(**options) as session:
        return await session.execute_write(work, statement)


def routed(cluster: Cluster) -> dict[str, int]:
    return {name: len(member.routed) for name, member in cluster.members.items() if member.routed}


@aiotest
async def test_statements_go_where_they_belong() -> None:
    async with cluster_of("a", "b", "c") as cluster, cluster.driver("a", database="db") as driver:
        assert await read(driver) == "b" and await write(driver) == "c"
        assert (await driver.execute_query("Q", routing_="r")).records[0]["member"] == "b"
        assert (await driver.execute_query("Q")).records[0]["member"] == "c"
        async with driver.session(default_access_mode=asyncbolt.READ_ACCESS) as session:
            assert await session.fetch("F") == [("b",)]
            assert await (await session.run("R")).value() == ["b"]
        async with driver.session() as session:
            assert await session.fetch("F") == [("c",)]
        assert {asked.mode for asked in cluster.b.asked} == {"r"}
        assert {asked.mode for asked in cluster.c.asked} == {"w"}
        assert {asked.db for asked in cluster.b.asked + cluster.c.asked} == {"db"}
        assert not cluster.a.asked and routed(cluster) == {"a": 1}
        stats = await settled(driver)
        assert {str(address): host.idle for address, host in stats.addresses.items()} == {
            member.address: 1 for member in cluster.members.values()
        }


@aiotest
async def test_the_routing_context_is_passed_on() -> None:
    async with cluster_of("a", "a", "a") as cluster:
        async with cluster.driver("a", "?policy=eu&region=south", database="db") as driver:
            await read(driver)
        assert cluster.a.contexts == [{"policy": "eu", "region": "south", "address": cluster.a.address}]


@aiotest
async def test_a_table_is_asked_for_again_when_it_has_expired(now: list[float]) -> None:
    async with cluster_of("a", "b", "c") as cluster, cluster.driver("a", database="db") as driver:
        cluster.ttl = 10
        await read(driver)
        now[0] += 9.9
        await write(driver)
        assert routed(cluster) == {"a": 1}
        cluster.readers, cluster.writers = ["c"], ["b"]
        assert await read(driver) == "b"  # what is known still holds
        now[0] += 0.1
        assert await read(driver) == "c" and await write(driver) == "b"
        assert routed(cluster) == {"a": 2}


@aiotest
async def test_each_database_has_its_table() -> None:
    async with cluster_of("a", "b", "c") as cluster, cluster.driver("a") as driver:
        for database in ("one", "two", "one", "two"):
            await read(driver, database=database)
        assert cluster.a.routed == ["one", "two"]
        assert Counter(asked.db for asked in cluster.b.asked) == {"one": 2, "two": 2}


@aiotest
async def test_one_asks_and_the_others_wait_for_what_it_learns() -> None:
    async with cluster_of("a", "bc", "a") as cluster, cluster.driver("a", database="db") as driver:
        await asyncio.gather(*(read(driver) for _ in range(50)))
        assert cluster.a.routed == ["db"]


@aiotest
async def test_routers_are_asked_one_after_the_other(now: list[float]) -> None:
    async with cluster_of("abc", "d", "d") as cluster, cluster.driver("a", database="db") as driver:
        await read(driver)
        assert routed(cluster) == {"a": 1}
        await cluster.a.stop()
        cluster.b.no_routes = asyncbolt.TransientError("not just now")
        now[0] += 301
        assert await read(driver) == "d"
        assert routed(cluster) == {"a": 1, "b": 1, "c": 1}
        # Everyone is gone but the address that the driver was made with, where there is someone again.
        for member in (cluster.b, cluster.c):
            await member.stop()
        await cluster.a.start()
        now[0] += 301
        async with driver.session() as session:
            assert await session.fetch("X") == [("d",)]  # at the first try
        assert routed(cluster) == {"a": 2, "b": 1, "c": 1}


@aiotest
async def test_every_router_is_down() -> None:
    async with cluster_of("ab", "c", "c") as cluster:
        async with cluster.driver("a", database="db") as driver:
            for member in (cluster.a, cluster.b):
                member.no_routes = asyncbolt.TransientError(f"{member.name} says no")
            async with driver.session() as session:
                with pytest.raises(ServiceUnavailable) as failure:
                    await session.run("X")
            assert not isinstance(failure.value, SessionExpired) and failure.value.is_retryable()
            assert "a says no" in repr(failure.value.__cause__) + repr(
                getattr(failure.value.__cause__, "exceptions", "")
            )
            assert (await settled(driver)).in_use == 0


@pytest.mark.parametrize(
    "code",
    [
        "Neo.ClientError.Database.DatabaseNotFound",
        "Neo.ClientError.Transaction.InvalidBookmark",
        "Neo.ClientError.Security.Forbidden",
    ],
)
@aiotest
async def test_what_every_router_would_say_ends_the_search(code: str) -> None:
    async with cluster_of("ab", "c", "c") as cluster, cluster.driver("a", database="db") as driver:
        await read(driver)
        cluster.a.no_routes = cluster.b.no_routes = asyncbolt.ClientError("no", code=code)
        with pytest.raises(ClientError) as failure:
            await read(driver, database="other")
        assert failure.value.code == code
        assert len(cluster.a.routed) == 2 and not cluster.b.routed
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_the_least_used_is_taken() -> None:
    async with cluster_of("a", "bcd", "a") as cluster, cluster.driver("a", database="db") as driver:
        sessions = [driver.session(default_access_mode=asyncbolt.READ_ACCESS) for _ in range(9)]
        transactions = [await session.begin_transaction() for session in sessions]
        stats = driver.pool_stats()
        loads = {str(address): host.in_use for address, host in stats.addresses.items() if host.in_use}
        assert loads == {member.address: 3 for member in (cluster.b, cluster.c, cluster.d)}
        # A place that becomes free is the next to be taken.
        port = transactions[4]._connection.address.port
        await transactions[4].rollback()
        transactions[4] = await sessions[4].begin_transaction()
        assert transactions[4]._connection.address.port == port
        for session in sessions:
            await session.close()
        assert (await settled(driver)).idle == 9 + 1


@aiotest
async def test_the_selector_decides() -> None:
    calls: list[dict[str, int]] = []

    def selector(addresses: list[Any], loads: dict[Any, int]) -> Any:
        calls.append({str(address): load for address, load in loads.items()})
        assert list(loads) == addresses
        return max(addresses, key=lambda address: loads[address])

    async with cluster_of("a", "bc", "a") as cluster:
        options: dict[str, Any] = {"selector": selector, "database": "db"}
        async with cluster.driver("a", **options) as driver:
            sessions = [driver.session(default_access_mode=asyncbolt.READ_ACCESS) for _ in range(3)]
            transactions = [await session.begin_transaction() for session in sessions]
            # The most used one, which nobody would take by default.
            assert len({transaction._connection.address for transaction in transactions}) == 1
            assert [max(call.values()) for call in calls] == [0, 1, 2]
            for session in sessions:
                await session.close()


@pytest.mark.parametrize("refusal", [NotALeader, ForbiddenOnReadOnlyDatabase])
@aiotest
async def test_a_leader_that_is_none_any_more(refusal: type[Neo4jError], now: list[float]) -> None:
    async with cluster_of("a", "bc", "c") as cluster, cluster.driver("a", database="db") as driver:
        assert await write(driver) == "c"
        cluster.writers = ["b"]
        cluster.c.refusals.append(refusal("ask another"))
        assert await write(driver) == "b"
        assert routed(cluster) == {"a": 2}
        # It was the role that was wrong: connections to it stay, as it is a reader still.
        assert (await settled(driver)).closed == 0
        # Without a managed transaction, the user is told, and the next one goes to the new leader.
        cluster.writers = ["c"]
        cluster.b.refusals.append(refusal("ask another"))
        async with driver.session() as session:
            with pytest.raises(refusal) as failure:
                await session.run("X")
            assert failure.value.is_retryable()
            assert await session.fetch("X") == [("c",)]


@aiotest
async def test_an_unavailable_database_is_looked_for_elsewhere(now: list[float]) -> None:
    async with cluster_of("a", "bc", "a") as cluster, cluster.driver("a", database="db") as driver:
        for member in (cluster.b, cluster.c):
            member.refusals.append(DatabaseUnavailable("not here"))
        assert await read(driver) in "bc"
        # Whoever was asked first was struck off, and the other one then, so that a new table was needed.
        assert [member.statements for member in (cluster.b, cluster.c)] in (
            [["X"], ["X", "X"]],
            [["X", "X"], ["X"]],
        )
        assert routed(cluster) == {"a": 2}
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_readers_that_are_down_are_passed_over() -> None:
    async with cluster_of("a", "bcd", "a") as cluster, cluster.driver("a", database="db") as driver:
        await cluster.b.stop()
        await cluster.c.stop()
        assert [await read(driver) for _ in range(6)] == ["d"] * 6
        assert routed(cluster) == {"a": 1}
        stats = await settled(driver)
        assert {str(address) for address in stats.addresses} == {cluster.a.address, cluster.d.address}


@aiotest
async def test_no_server_is_left_for_it() -> None:
    async with cluster_of("a", "b", "") as cluster, cluster.driver("a", database="db") as driver:
        async with driver.session() as session:
            with pytest.raises(SessionExpired, match="writes") as failure:
                await session.run("X")
            assert isinstance(failure.value.__cause__, WriteServiceUnavailable)
            assert failure.value.is_retryable()
        await cluster.b.stop()
        async with driver.session(default_access_mode=asyncbolt.READ_ACCESS) as session:
            with pytest.raises(SessionExpired, match="reads") as failure:
                await session.run("X")
            assert isinstance(failure.value.__cause__, ReadServiceUnavailable)


@aiotest
async def test_a_lost_member_of_a_cluster_is_another_error_than_a_lost_server() -> None:
    async def lose(member: Member, driver: asyncbolt.AsyncDriver) -> DriverError:
        async with driver.session() as session:
            transaction = await session.begin_transaction()
            await (await transaction.run("X")).consume()
            await member.stop()
            with pytest.raises((ServiceUnavailable, SessionExpired)) as failure:
                await transaction.run("X")
            assert transaction.closed() is False
            await transaction.close()
        stats = await settled(driver)
        assert str(member.address) not in {str(address) for address in stats.addresses}
        return failure.value

    async with cluster_of("a", "b", "c", grace=0) as cluster, cluster.driver("a", database="db") as driver:
        assert type(await lose(cluster.c, driver)) is SessionExpired
    async with cluster_of("a", "a", "a", grace=0) as cluster:
        uri = f"bolt://{cluster.a.address}"
        async with asyncbolt.AsyncGraphDatabase.driver(uri) as driver:
            assert type(await lose(cluster.a, driver)) is ServiceUnavailable


@aiotest
async def test_a_managed_transaction_survives_its_member(now: list[float]) -> None:
    async with cluster_of("a", "b", "c", grace=0) as cluster, cluster.driver("a", database="db") as driver:
        tries = []

        async def unit(tx: asyncbolt.AsyncManagedTransaction) -> str:
            name = await work(tx, "FIRST")
            tries.append(name)
            if len(tries) == 1:
                cluster.writers = ["b"]
                await cluster.c.stop()
            return await work(tx, "SECOND")

        async with driver.session() as session:
            assert await session.execute_write(unit) == "b"
        assert tries == ["c", "b"]
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_members_that_no_table_names_any_more_are_left(now: list[float]) -> None:
    async with cluster_of("a", "bc", "a") as cluster, cluster.driver("a", database="db") as driver:
        cluster.readers = ["b"]
        await read(driver)
        cluster.readers = ["c"]
        now[0] += 301
        await read(driver)
        stats = await settled(driver)
        assert {str(address) for address in stats.addresses} == {cluster.a.address, cluster.c.address}


@aiotest
async def test_a_selector_that_breaks_takes_no_connection() -> None:
    def selector(addresses: list[Any], loads: dict[Any, int]) -> Any:
        raise LookupError("the user's own")

    async with cluster_of("a", "b", "a") as cluster:
        async with cluster.driver("a", selector=selector, database="db") as driver:
            with pytest.raises(LookupError):
                await driver.execute_query("X")
            assert (await settled(driver)).in_use == 0


@aiotest
async def test_a_home_database_is_asked_for_once_for_each_session() -> None:
    async with cluster_of("a", "b", "c") as cluster, cluster.driver("a") as driver:
        async with driver.session() as session:
            for _ in range(3):
                await session.fetch("X")
        assert cluster.a.routed == [None]
        cluster.home = "moved"
        async with driver.session() as session:
            await session.fetch("X")
        # Without the hint of Bolt 5.8 nothing may be guessed, so the next session asks again.
        assert cluster.a.routed == [None, None]
        assert [asked.db for asked in cluster.c.asked] == ["home", "home", "home", "moved"]


@aiotest
async def test_with_server_side_routing_the_home_database_is_guessed() -> None:
    hints = {"ssr.enabled": True}
    async with cluster_of("a", "b", "c", hints=hints) as cluster, cluster.driver("a") as driver:
        for _ in range(3):
            async with driver.session() as session:
                await (await session.run("X")).consume()
        # The first one learns it. The others go where it leads, but leave it to the server what it is.
        assert cluster.a.routed == [None]
        assert [asked.db for asked in cluster.c.asked] == ["home", None, None]
        # Whoever is someone else has another home.
        async with driver.session(impersonated_user="jane") as session:
            await session.fetch("X")
        assert cluster.a.routed == [None, None]
        async with driver.session(auth=("jane", "p")) as session:
            await session.fetch("X")
        assert cluster.a.routed == [None, None]


@pytest.mark.parametrize(
    ("version", "database", "call"),
    [
        ((3, 0), None, "CALL dbms.cluster.routing.getRoutingTable($context)"),
        ((4, 0), None, "CALL dbms.routing.getRoutingTable($context)"),
        ((4, 2), "db", "CALL dbms.routing.getRoutingTable($context, $database)"),
    ],
)
@aiotest
async def test_old_servers_are_asked_for_tables_by_a_procedure(
    version: tuple[int, int], database: str | None, call: str
) -> None:
    async with cluster_of("a", "b", "c", versions=[version]) as cluster:
        async with cluster.driver("a", "?policy=eu", database=database) as driver:
            assert [await read(driver), await write(driver)] == ["b", "c"]
        assert cluster.a.procedures and set(cluster.a.procedures) == {call}
        assert set(cluster.a.routed) == {database} and not cluster.a.asked
        assert all(context["policy"] == "eu" for context in cluster.a.contexts)
        assert cluster.b.asked[0].db == database


@aiotest
async def test_bolt_3_has_no_databases() -> None:
    async with cluster_of("a", "b", "c", versions=[(3, 0)]) as cluster:
        async with cluster.driver("a", database="db") as driver:
            with pytest.raises(ConfigurationError, match=r"Bolt 3\.0.*'db'"):
                await read(driver)
            assert (await settled(driver)).in_use == 0


@pytest.mark.parametrize("kind", ["fetch", "execute"])
@aiotest
async def test_a_session_keeps_the_home_database_that_an_answer_has_named(kind: str) -> None:
    hints = {"ssr.enabled": True}
    async with cluster_of("a", "b", "c", hints=hints) as cluster, cluster.driver("a") as driver:
        await write(driver)
        cluster.home = "moved"
        async with driver.session() as session:
            for _ in range(2):
                await getattr(session, kind)("X")
            cluster.home = "moved again"
            await getattr(session, kind)("X")
        # The first is a guess, which the server corrects. What has been seen stays, as long as the session.
        assert [asked.db for asked in cluster.c.asked] == ["home", None, "moved", "moved"]


@aiotest
async def test_one_member_without_server_side_routing_ends_the_guesses() -> None:
    hints = {"ssr.enabled": True}
    async with cluster_of("a", "b", "c", hints=hints) as cluster, cluster.driver("a") as driver:
        await write(driver)
        cluster.b.greeting = {}
        # Where the guess leads there is a server of the other kind, which must be told the database.
        await read(driver)
        assert [asked.db for asked in cluster.b.asked] == ["home"]
        await write(driver)
        assert [asked.db for asked in cluster.c.asked] == ["home", "home"]
        assert len(cluster.a.routed) == 3
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_a_resolver_that_breaks_is_told_to_the_user() -> None:
    async with cluster_of("a", "a", "a") as cluster:

        def nonsense(address: asyncbolt.Address) -> Any:
            return [3]

        def broken(address: asyncbolt.Address) -> Any:
            raise LookupError("the user's own")

        async with cluster.driver("a", resolver=nonsense) as driver:
            with pytest.raises(ConfigurationError, match="resolver"):
                await driver.execute_query("X")
        async with cluster.driver("a", resolver=broken) as driver:
            with pytest.raises(LookupError):
                await driver.execute_query("X")
            assert driver.pool_stats().addresses == {}


@pytest.mark.parametrize("version", [(4, 3), (4, 4), (5, 0), (5, 8)], ids=str)
@aiotest
async def test_routing_in_versions_that_have_it(version: tuple[int, int]) -> None:
    async with cluster_of("a", "b", "c", versions=[version]) as cluster:
        async with cluster.driver("a", database="db") as driver:
            assert (await read(driver), await write(driver)) == ("b", "c")
            assert cluster.a.routed == ["db"]
            info = await driver.get_server_info()
            assert info.protocol_version == version


@aiotest
async def test_bookmarks_go_along_when_a_table_is_asked_for() -> None:
    async with cluster_of("a", "b", "c") as cluster, cluster.driver("a", database="db") as driver:
        bookmarks = asyncbolt.Bookmarks.from_raw_values(["x"])
        await read(driver, bookmarks=bookmarks)
        assert cluster.a.routed_after == [{"x"}]
        assert [asked.bookmarks for asked in cluster.b.asked] == [{"x"}]


@aiotest
async def test_a_cancelled_refresh_leaves_nothing_locked() -> None:
    async with cluster_of("a", "b", "b") as cluster:
        for count in range(1000):
            options: dict[str, Any] = {"database": "db", "connection_acquisition_timeout": 5}
            async with cluster.driver("a", **options) as driver:
                task = asyncio.ensure_future(read(driver))
                for _ in range(count):
                    await asyncio.sleep(0)
                finished = task.done()
                task.cancel()
                await asyncio.wait((task,))
                assert await read(driver) == "b"
                assert (await settled(driver)).in_use == 0
            if finished:
                break
        else:
            raise AssertionError("it never finished")
