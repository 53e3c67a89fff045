"""Runs in an environment that has the official driver: talks to a server, and prints what it saw, as JSON.

python driver_script.py URI [CERTIFICATE]
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import warnings
from typing import Any

import neo4j
from neo4j.exceptions import ClientError, CypherSyntaxError, DatabaseError, Neo4jError

AUTH = ("ann", "swordfish")


async def auto_commit(driver: Any) -> Any:
    async with driver.session() as session:
        result = await session.run("echo", {"value": [1, "two", None, {"three": 3.5}]})
        record = await result.single()
        summary = await result.consume()
        return [record.keys(), record["value"], summary.query_type, summary.server.agent]


async def execute_query(driver: Any) -> Any:
    records, summary, keys = await driver.execute_query("rows", count=2500, database_="graph")
    return [keys, len(records), list(records[-1]), summary.database]


async def small_fetches(driver: Any) -> Any:
    seen = []
    for size in (1, 7, 1000):
        async with driver.session(fetch_size=size) as session:
            result = await session.run("rows", count=50)
            seen.append(sum([record["n"] async for record in result]))
    return seen


async def early_end(driver: Any) -> Any:
    async with driver.session(fetch_size=3) as session:
        result = await session.run("endless")
        first = await result.fetch(5)
        await result.consume()
        again = await (await session.run("echo", value=1)).single()
        return [[record["n"] for record in first], again["value"]]


async def transaction(driver: Any) -> Any:
    async with driver.session(fetch_size=2) as session:
        transaction = await session.begin_transaction(metadata={"app": "test"}, timeout=30)
        one = await transaction.run("rows", count=10)
        two = await transaction.run("rows", count=10)
        mixed = []
        for _ in range(6):
            mixed.append((await one.__anext__())["n"])
            mixed.append((await two.__anext__())["n"] + 100)
        await transaction.commit()
        bookmarks = await session.last_bookmarks()
        transaction = await session.begin_transaction()
        await transaction.run("echo", value=1)
        await transaction.rollback()
        return [mixed, sorted(bookmarks.raw_values)]


async def managed_transaction(driver: Any) -> Any:
    tries = []

    async def work(transaction: Any) -> Any:
        tries.append(1)
        await (await transaction.run("fail once", key="deadlock")).consume()
        return (await (await transaction.run("echo", value="done")).single())["value"]

    async with driver.session() as session:
        return [await session.execute_write(work), len(tries)]


async def errors(driver: Any) -> Any:
    seen = []
    for statement, kind in (
        ("syntax error", CypherSyntaxError),
        ("procedure", ClientError),
        ("bug", DatabaseError),
        ("fails after three", DatabaseError),
        ("bad row", DatabaseError),
    ):
        async with driver.session() as session:
            records = []
            try:
                async for record in await session.run(statement):
                    records.append(record["n"])
            except kind as exc:
                seen.append([exc.code, exc.message, records])
            again = await session.run("echo", value=1)
            assert (await again.single())["value"] == 1
    return seen


async def cancellation(driver: Any) -> Any:
    """Leaves a statement that hangs; the server hears of it, and the driver goes on."""

    async def hang() -> None:
        async with driver.session() as session:
            await (await session.run("hang")).consume()

    task = asyncio.ensure_future(hang())
    await driver.execute_query("is hanging")
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    records, _, _ = await driver.execute_query("no longer hanging")
    return records[0]["value"]


async def timeouts(driver: Any) -> Any:
    async with driver.session() as session:
        try:
            await (await session.run(neo4j.Query("hang for good", timeout=0.05))).consume()
        except Neo4jError as exc:
            return exc.code


async def many_at_once(driver: Any) -> Any:
    answers = await asyncio.gather(*(driver.execute_query("echo", value=number) for number in range(50)))
    return [records[0]["value"] for records, _, _ in answers]


async def values(driver: Any) -> Any:
    records, _, _ = await driver.execute_query("values")
    record = records[0]
    node, relationship, path = record["node"], record["relationship"], record["path"]
    return [
        [node.element_id, sorted(node.labels), dict(node)],
        [relationship.type, relationship.start_node.element_id, relationship.end_node.element_id],
        [len(path), [each.element_id for each in path.nodes]],
        record["date"].iso_format(),
        record["datetime"].iso_format(),
        record["duration"].iso_format(),
        list(record["point"]),
    ]


async def counters(driver: Any) -> Any:
    summary = (await driver.execute_query("create")).summary
    return [summary.counters.nodes_created, summary.query_type, summary.counters.contains_updates]


async def wrong_password(driver: Any) -> Any:
    async with neo4j.AsyncGraphDatabase.driver(sys.argv[1], auth=("ann", "wrong"), **security()) as other:
        try:
            await other.verify_connectivity()
        except Neo4jError as exc:
            return [type(exc).__name__, exc.code]


async def sessions_of_others(driver: Any) -> Any:
    """LOGOFF and LOGON on a connection of the pool (Bolt 5.1+)."""
    records, _, _ = await driver.execute_query("who", auth_=("bob", "swordfish"))
    mine, _, _ = await driver.execute_query("who")
    return [records[0]["value"], mine[0]["value"]]


def security() -> dict[str, Any]:
    if len(sys.argv) < 3:
        return {}
    return {"trusted_certificates": neo4j.TrustCustomCAs(sys.argv[2]), "encrypted": True}


CHECKS = (
    auto_commit,
    execute_query,
    small_fetches,
    early_end,
    transaction,
    managed_transaction,
    errors,
    cancellation,
    timeouts,
    many_at_once,
    values,
    counters,
    wrong_password,
    sessions_of_others,
)


async def main() -> None:
    told: dict[str, Any] = {"driver": neo4j.__version__}
    async with neo4j.AsyncGraphDatabase.driver(sys.argv[1], auth=AUTH, **security()) as driver:
        await driver.verify_connectivity()
        told["protocol"] = list((await driver.get_server_info()).protocol_version)
        for check in CHECKS:
            told[check.__name__] = await check(driver)
    print(json.dumps(told))


if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", ResourceWarning)  # a TLS connection may be left to the collector
    logging.disable()  # the driver tells of each retry
    asyncio.run(main())
