"""Whatever a server leaves out of its answers or puts in, all ends well or with the driver's errors."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Mapping

import pytest
from aiohelp import aiotest
from odd_server import ABSENT, ODD, OddServer, answers, paths

import asyncbolt
from asyncbolt.exceptions import BoltError, RemoteProtocolError

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # the servers remark on everything

PLACES = [
    (version, name, path)
    for version, depth in (((4, 4), 3), ((5, 8), 5))
    for name, metadata in answers(version, 1).items()
    for path in paths(metadata)
    if len(path) <= depth and (version == (5, 8) or name in ("PULL", "FAILURE"))
]

SUMMARY = (
    "database", "counters", "plan", "profile", "result_available_after", "result_consumed_after",
    "notifications", "summary_notifications", "gql_status_objects", "server", "query_type",
)  # fmt: skip


def look(summary):
    """Read everything of a summary."""
    for name in SUMMARY:
        try:
            value = getattr(summary, name)
        except RemoteProtocolError:
            assert name == "query_type"
            continue
        repr(value)
        str(value)
    counters = summary.counters
    assert counters.contains_updates in (True, False) and counters.contains_system_updates in (True, False)
    for status in summary.gql_status_objects:
        repr(status)
        repr((status.classification, status.severity, status.position, status.diagnostic_record))
    for notification in summary.summary_notifications:
        repr(notification)


async def auto_commit(driver):
    async with driver.session() as session:
        result = await session.run("A")
        result.keys()
        [record async for record in result]
        look(await result.consume())
        await (await session.run("B")).data()
        await session.last_bookmarks()


async def managed(driver):
    async def two(tx):
        one, other = await tx.run("A"), await tx.run("B")
        rows = [await one.values(), await other.values()]
        look(await one.consume())
        return rows

    async with driver.session(fetch_size=2) as session:
        return await session.execute_read(two)


async def explicit(driver):
    async with driver.session() as session:
        async with await session.begin_transaction() as tx:
            await (await tx.run("A")).single()
        await session.last_bookmarks()


async def query(driver):
    result = await driver.execute_query("A")
    look(result.summary)
    return result


async def paths_of_batches(driver):
    async with driver.session() as session:
        await session.fetch("A")
        await session.execute("A")
        async for _ in session.batches("A", fetch_size=2):
            pass
        await session.execute_many("A", range(20), batch_rows=7)


async def failing(driver):
    async with driver.session() as session:
        await session.run("FAIL")


async def info(driver):
    server = await driver.get_server_info()
    repr(server)
    assert isinstance(server.agent, str) and isinstance(server.connection_id, str)


STEPS = [auto_commit, managed, explicit, query, paths_of_batches, failing, info]


class Listener:
    """Databases that it is told of are names."""

    def query_ended(self, event):
        assert event.database is None or isinstance(event.database, str)


def driver_of(server, scheme, **options):
    return asyncbolt.AsyncGraphDatabase.driver(
        f"{scheme}://127.0.0.1:{server.port}",
        auth=("u", "p"),
        max_transaction_retry_time=0,
        initial_retry_delay=0,
        connection_acquisition_timeout=20,
        warn_notification_severity="INFORMATION",
        telemetry_disabled=False,
        versions=[server.version],
        **options,
    )


async def every_step(server, scheme, check, steps=STEPS):
    async with driver_of(server, scheme) as driver:
        driver.add_listener(Listener())
        for step in steps:
            try:
                check(step, await asyncio.wait_for(step(driver), 30))
            except BoltError as error:
                check(step, error)
        assert driver.pool_stats().in_use == 0


@pytest.mark.parametrize(("version", "name", "path"), PLACES, ids=str)
@aiotest(timeout=300)
async def test_odd_answers(version, name, path, caplog):
    caplog.set_level(logging.ERROR)
    steps = STEPS if len(path) < 2 else (auto_commit, query, failing)
    async with OddServer(version) as server:
        for odd in ODD:
            server.say_instead(name, path, odd)
            for scheme in ("bolt", "neo4j") if name in ("ROUTE", "HELLO") or path == () else ("bolt",):
                await every_step(server, scheme, lambda step, outcome: None, steps)
    assert not caplog.records, caplog.text


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
@pytest.mark.parametrize("version", [(4, 3), (5, 8)])
@aiotest
async def test_nothing_odd(version, scheme):
    async with OddServer(version) as server:
        seen = {}
        await every_step(server, scheme, seen.__setitem__)
        assert [step for step, outcome in seen.items() if isinstance(outcome, BoltError)] == [failing]
        assert seen[managed] == [[[n] for n in range(5)]] * 2


@pytest.mark.parametrize("odd", [ABSENT, None, -1])
@aiotest
async def test_two_results_without_numbers(odd):
    """The first is brought in before the second is run."""
    async with OddServer() as server:
        server.say_instead("RUN", ("qid",), odd)
        async with driver_of(server, "bolt") as driver:
            assert await managed(driver) == [[[n] for n in range(5)]] * 2
        runs = [(name, fields[0]) for name, fields in server.requests if name in ("RUN", "PULL")]
        assert [fields for name, fields in runs if name == "PULL"][:3] == [{"n": 2}, {"n": -1}, {"n": 2}]


@pytest.mark.parametrize("odd", [ABSENT, None, [], ["a", "b"]])
@aiotest
async def test_records_that_do_not_go_with_the_columns(odd):
    async with OddServer() as server:
        server.say_instead("RUN", ("fields",), odd)
        reads = [
            lambda result: anext_of(result),
            lambda result: result.single(),
            lambda result: result.fetch(2),
            lambda result: result.values(),
            lambda result: result.value(),
            lambda result: result.data(),
            lambda result: result.to_eager_result(),
        ]
        async with driver_of(server, "bolt", max_connection_pool_size=1) as driver:
            for read in reads:
                async with driver.session() as session:
                    result = await session.run("A")
                    with pytest.raises(RemoteProtocolError, match=r"a record of 1 values for [02] columns"):
                        await read(result)
                    with pytest.raises(BoltError):
                        await read(result)
                    assert [len(rows) for rows in [await session.fetch("A")]] == [5]


async def anext_of(result):
    async for record in result:
        return record
    return None


@pytest.mark.parametrize("odd", [[], {}, 5, True, b"x", None, ""])
@aiotest
async def test_a_bookmark_that_is_no_text_is_none(odd):
    async with OddServer() as server:
        for name in ("PULL", "DISCARD", "COMMIT"):
            server.say_instead(name, ("bookmark",), odd)
            async with driver_of(server, "bolt") as driver, driver.session() as session:
                await (await session.run("A")).consume() if name == "PULL" else None
                await session.execute("A") if name == "DISCARD" else None
                await session.execute_write(work) if name == "COMMIT" else None
                assert (await session.last_bookmarks()).raw_values == frozenset()


async def work(tx):
    await tx.execute("A") if False else None


@pytest.mark.parametrize("addresses", ["localhost:7687", {"a": 1}, [5], None, 5])
@aiotest
async def test_a_routing_table_whose_addresses_are_none(addresses):
    async with OddServer() as server:
        server.say_instead("ROUTE", ("rt", "servers", 0, "addresses"), addresses)
        async with driver_of(server, "neo4j") as driver:
            with pytest.raises(asyncbolt.ServiceUnavailable, match="cannot be read"):
                await driver.verify_connectivity()


# ---------------------------------------------------------------------- what packing raises


class Evil(Mapping):
    def __init__(self, error):
        self.error = error

    def keys(self):
        raise self.error

    __iter__ = __getitem__ = keys

    def __len__(self):
        return 1


class Custom(BaseException):
    pass


RAISED = [
    asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit, StopIteration, StopAsyncIteration,
    RecursionError, MemoryError, ValueError, Custom,
]  # fmt: skip


async def in_a_transaction(session, value, how):
    async with await session.begin_transaction() as tx:
        await how(tx, value)


async def in_a_unit_of_work(session, value):
    async def unit(tx):
        await tx.run("A", {"value": value})

    await session.execute_write(unit)


async def as_batches(asked, value):
    async for _ in asked.batches("A", {"value": value}):
        pass


async def in_metadata(session, value):
    await session.begin_transaction(metadata={"value": value})


WAYS = {
    "run": lambda session, value: session.run("A", {"value": value}),
    "fetch": lambda session, value: session.fetch("A", {"value": value}),
    "execute": lambda session, value: session.execute("A", {"value": value}),
    "batches": as_batches,
    "execute_many": lambda session, value: session.execute_many("A", [1, value]),
    "query": lambda session, value: session.run(asyncbolt.Query("A", metadata={"value": value})),
    "tx.run": lambda session, value: in_a_transaction(
        session, value, lambda tx, value: tx.run("A", {"value": value})
    ),
    "tx.fetch": lambda session, value: in_a_transaction(
        session, value, lambda tx, value: tx.fetch("A", {"value": value})
    ),
    "tx.execute_many": lambda session, value: in_a_transaction(
        session, value, lambda tx, value: tx.execute_many("A", [1, value])
    ),
    "tx.batches": lambda session, value: in_a_transaction(session, value, as_batches),
    "execute_write": in_a_unit_of_work,
    "begin": in_metadata,
}


@pytest.mark.parametrize("way", [*WAYS, "execute_query"])
@aiotest
async def test_what_packing_raises(way, caplog):
    """Its caller gets it, the connection goes on, and nothing of it was written."""
    async with OddServer() as server, driver_of(server, "bolt", max_connection_pool_size=1) as driver:
        for kind in RAISED:
            error = kind("mine")
            caught = None
            server.requests.clear()
            try:
                if way == "execute_query":
                    await driver.execute_query("A", {"value": Evil(error)})
                else:
                    async with driver.session() as session:
                        await WAYS[way](session, Evil(error))
            except BaseException as raised:
                caught = raised
            if kind in (StopIteration, StopAsyncIteration):
                assert isinstance(caught, (asyncbolt.PackError, RuntimeError)), caught
            else:
                assert caught is error
            assert "RUN" not in [name for name, _ in server.requests]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert len((await driver.execute_query("A")).records) == 5
            assert driver.pool_stats().in_use == 0
        assert "fault" not in caplog.text


# ---------------------------------------------------------------------- options, where they are given


@pytest.mark.parametrize("size", [1000.0, 2**63, 0, -2, True, "7", float("nan")])
@aiotest
async def test_fetch_size(size):
    async with OddServer() as server:
        with pytest.raises(asyncbolt.ConfigurationError, match="fetch_size"):
            driver_of(server, "bolt", fetch_size=size)
        async with driver_of(server, "bolt") as driver:
            with pytest.raises(asyncbolt.ConfigurationError, match="fetch_size"):
                driver.session(fetch_size=size)
            async with driver.session() as session:
                with pytest.raises((TypeError, ValueError), match="fetch_size"):
                    session.batches("A", fetch_size=size)
                async with await session.begin_transaction() as tx:
                    with pytest.raises((TypeError, ValueError), match="fetch_size"):
                        tx.batches("A", fetch_size=size)
        assert "RUN" not in [name for name, _ in server.requests]


@pytest.mark.parametrize("timeout", [float("nan"), -1, float("inf"), 1e300, "x", [], 10**400])
@aiotest
async def test_a_transactions_timeout(timeout):
    async def unit(tx):
        raise AssertionError

    unit.timeout = timeout
    with pytest.raises((TypeError, ValueError), match="timeout"):
        asyncbolt.Query("A", timeout=timeout)
    with pytest.raises((TypeError, ValueError), match="timeout"):
        asyncbolt.unit_of_work(timeout=timeout)
    query = asyncbolt.Query("A")
    query.timeout = timeout
    async with OddServer() as server, driver_of(server, "bolt") as driver, driver.session() as session:
        asked = [
            session.run(query),
            session.fetch(query),
            session.execute(query),
            session.execute_many(query, [1]),
            session.begin_transaction(timeout=timeout),
            session.execute_write(unit),
            driver.execute_query(query),
        ]
        for each in asked:
            with pytest.raises((TypeError, ValueError), match="timeout"):
                await each
        assert not server.requests


@pytest.mark.parametrize("metadata", ["x", [1], 5])
@aiotest
async def test_a_transactions_metadata(metadata):
    with pytest.raises(TypeError, match="metadata"):
        asyncbolt.Query("A", metadata=metadata)
    with pytest.raises(TypeError, match="metadata"):
        asyncbolt.unit_of_work(metadata=metadata)
    async with OddServer() as server, driver_of(server, "bolt") as driver, driver.session() as session:
        with pytest.raises(TypeError, match="metadata"):
            await session.begin_transaction(metadata=metadata)
        assert not server.requests


@pytest.mark.parametrize(
    "options",
    [
        {"database": 5},
        {"impersonated_user": 5},
        {"bookmark_manager": 5},
        {"notifications_disabled_categories": 5},
        {"notifications_disabled_classifications": [5]},
        {"notifications_disabled_categories": "HINT"},
        {"max_connection_pool_size": 1.5},
        {"max_connection_pool_size": float("nan")},
        {"server_products": 5},
        {"user_agent": 5},
        {"connection_timeout": float("nan")},
        {"max_transaction_retry_time": "5"},
    ],
    ids=lambda options: next(iter(options)),
)
@aiotest
async def test_options(options):
    with pytest.raises(asyncbolt.ConfigurationError):
        asyncbolt.AsyncGraphDatabase.driver("bolt://localhost", **options)
    async with asyncbolt.AsyncGraphDatabase.driver("bolt://localhost") as driver:
        with pytest.raises(asyncbolt.ConfigurationError):
            driver.session(**options)
        for name in ("database", "impersonated_user"):
            if name in options:
                with pytest.raises(asyncbolt.ConfigurationError, match=name):
                    await driver.execute_query("A", **{f"{name}_": 5})


@aiotest
async def test_inside_its_own_transaction():
    async def unit(tx):
        pass

    async with OddServer() as server:
        async with driver_of(server, "bolt") as driver, driver.session() as session:
            async with await session.begin_transaction():
                asked = [
                    session.run("A"),
                    session.fetch("A"),
                    session.execute("A"),
                    session.execute_many("A", [1]),
                    session.call("a.b"),
                    session.begin_transaction(),
                    session.execute_read(unit),
                    session.execute_write(unit),
                    as_batches(session, 1),
                ]
                for each in asked:
                    with pytest.raises(asyncbolt.TransactionError, match="a transaction is open"):
                        await each
