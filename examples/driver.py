#!/usr/bin/env python3
"""What a driver does: queries, transactions that are tried again, results, the batch path, time limits.

    BOLT_PASSWORD=... python examples/driver.py neo4j://localhost -u neo4j

Works on nodes with the label AsyncboltDemo, and deletes them in the end. Any server will do: neo4j:// asks it
where statements belong, bolt:// takes it as it is.
"""

import argparse
import asyncio
import getpass
import os
import sys

import asyncbolt
from asyncbolt import AsyncGraphDatabase

PEOPLE = [{"name": "Ada", "born": 1815}, {"name": "Grace", "born": 1906}, {"name": "Katherine", "born": 1918}]


async def queries(driver):
    # One query, in a transaction of its own that is tried again when that may help.
    await driver.execute_query(
        "UNWIND $people AS person CREATE (:AsyncboltDemo {name: person.name, born: person.born})",
        people=PEOPLE,
    )
    records, summary, keys = await driver.execute_query(
        "MATCH (p:AsyncboltDemo) WHERE p.born > $year RETURN p.name AS name ORDER BY name",
        year=1900,
        routing_="r",
    )
    print(f"{keys[0]}s: {[record['name'] for record in records]}, from {summary.server.agent}")


async def befriend(tx, one, other):
    # May be called more than once, so it does nothing but work in the transaction.
    result = await tx.run(
        "MATCH (a:AsyncboltDemo {name: $one}), (b:AsyncboltDemo {name: $other}) CREATE (a)-[:KNOWS]->(b)"
        " RETURN a.name + ' knows ' + b.name AS what",
        one=one,
        other=other,
    )
    record = await result.single(strict=True)
    return record["what"]


async def transactions(driver):
    async with driver.session() as session:
        print(await session.execute_write(befriend, "Ada", "Grace"))

        # In your own hands: what is not committed has never been.
        async with await session.begin_transaction() as tx:
            await tx.run("CREATE (:AsyncboltDemo {name: 'Nobody'})")
            await tx.rollback()

        # Record by record, in bounded memory. The session sees what it has written.
        result = await session.run("MATCH (p:AsyncboltDemo) RETURN p ORDER BY p.born")
        async for record in result:
            person = record["p"]
            print(f"{person['name']}, born {person['born']}")


async def batches(driver):
    # Where no records are needed: lists of tuples, and bulk writes.
    async with driver.session() as session:
        numbers = ({"n": n} for n in range(10_000))
        summary = await session.execute_many(
            "UNWIND $rows AS row CREATE (:AsyncboltDemo {n: row.n})", numbers, batch_rows=2000
        )
        total = 0
        async for rows in session.batches("MATCH (d:AsyncboltDemo) WHERE d.n IS NOT NULL RETURN d.n"):
            total += sum(n for (n,) in rows)
        print(f"{summary.rows} nodes, their sum is {total}")


async def read_slowly(driver):
    async with driver.session() as session:
        async for _ in session.batches("UNWIND range(1, 100000) AS n RETURN n", fetch_size=100):
            await asyncio.sleep(0.1)


async def time_limit(driver):
    # Whatever a task waits for may be given up. The rest of its result is discarded, and the
    # connection serves on.
    try:
        await asyncio.wait_for(read_slowly(driver), 0.25)
    except asyncio.TimeoutError:
        print("Given up after 0.25 s")
    records, _, _ = await driver.execute_query("RETURN 'still at work' AS state")
    print(records[0]["state"])


async def main() -> int:
    parser = argparse.ArgumentParser(description="Shows what a driver does.")
    parser.add_argument("uri", help="neo4j://host:port, bolt://host:port ...")
    parser.add_argument("-u", "--username", required=True)
    parser.add_argument("-p", "--password", help="taken from BOLT_PASSWORD, or asked for, when left out")
    parser.add_argument("--database", help="the user's home database when left out")
    options = parser.parse_args()
    password = options.password or os.environ.get("BOLT_PASSWORD") or getpass.getpass()

    auth = (options.username, password)
    async with AsyncGraphDatabase.driver(options.uri, auth=auth, database=options.database) as driver:
        try:
            await driver.verify_connectivity()
        except asyncbolt.BoltError as error:
            print(f"No connection: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
        try:
            for part in (queries, transactions, batches, time_limit):
                await part(driver)
        finally:
            await driver.execute_query("MATCH (d:AsyncboltDemo) DETACH DELETE d")
    return 0


if __name__ == "__main__":
    sys.exit(asyncbolt.run(main()))
