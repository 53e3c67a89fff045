#!/usr/bin/env python3
"""A subscription: reads what is new in a database, each event once, though consumers come and go.

    BOLT_PASSWORD=... python examples/subscription.py neo4j://localhost -u neo4j --events 25

One task writes events; two consumers, one after the other, read them in pages and sum up what they say. Their
position is kept in the database. Each page is acknowledged in the transaction that does what it leads to, so
the sum is right although the first consumer dies with a page in its hands.

Works on nodes with the labels AsyncboltEvent and AsyncboltSum, and deletes them in the end; a
constraint on the names of positions stays.
"""

import argparse
import asyncio
import getpass
import os
import sys

import asyncbolt
from asyncbolt import AsyncGraphDatabase

NAME = "asyncbolt-example"

# The key grows: who is committed later has a greater one. $after is null at the very beginning.
QUERY = """
    MATCH (e:AsyncboltEvent) WHERE $after IS NULL OR e.id > $after
    RETURN e.id AS id, e.amount AS amount ORDER BY id LIMIT $limit
"""


async def produce(driver, count):
    # A single writer: its numbers are committed in the order in which they were given.
    for number in range(1, count + 1):
        await driver.execute_query(
            "CREATE (:AsyncboltEvent {id: $id, amount: $amount})", id=number, amount=number * number
        )


async def add(tx, page):
    amount = sum(record["amount"] for record in page)
    await tx.execute(
        "MERGE (s:AsyncboltSum {name: $name}) SET s.sum = coalesce(s.sum, 0) + $amount",
        {"name": NAME, "amount": amount},
    )
    # Both or neither: a page is never added twice, and never left out.
    await page.ack(tx)


async def consume(driver, who, last, dies=False):
    # The lease is short here, so that nobody waits for long after a death.
    pages = driver.pages(
        QUERY, key="id", name=NAME, page_size=10, follow=True, poll_interval=0.05, lease=1.0
    )
    async for page in pages:
        if dies:
            print(f"{who}: dies with the events up to {page.position} in its hands", flush=True)
            break
        async with driver.session() as session:
            await session.execute_write(add, page)
        print(f"{who}: {len(page)} events up to {page.position}", flush=True)
        if page.position == last:
            break


async def clean(driver):
    await driver.execute_query("MATCH (n) WHERE n:AsyncboltEvent OR n:AsyncboltSum DELETE n")
    await driver.execute_query("MATCH (p:AsyncboltPosition {name: $name}) DELETE p", name=NAME)


async def main() -> int:
    parser = argparse.ArgumentParser(description="Reads what is new, each event once.")
    parser.add_argument("uri", help="neo4j://host:port, bolt://host:port ...")
    parser.add_argument("-u", "--username", required=True)
    parser.add_argument("-p", "--password", help="taken from BOLT_PASSWORD, or asked for, when left out")
    parser.add_argument("--database", help="the user's home database when left out")
    parser.add_argument("--events", type=int, default=25, help="how many there are in all")
    options = parser.parse_args()
    if options.events < 1:
        parser.error("without events there is nothing to read")
    password = options.password or os.environ.get("BOLT_PASSWORD") or getpass.getpass()

    auth = (options.username, password)
    async with AsyncGraphDatabase.driver(options.uri, auth=auth, database=options.database) as driver:
        try:
            await driver.verify_connectivity()
        except asyncbolt.BoltError as error:
            print(f"No connection: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
        await clean(driver)
        producer = asyncio.create_task(produce(driver, options.events))
        try:
            await consume(driver, "first", options.events, dies=True)
            # What the first one held comes again when its lease is over.
            await consume(driver, "second", options.events)
            await producer
            records, _, _ = await driver.execute_query("MATCH (s:AsyncboltSum) RETURN s.sum AS sum")
            found = records[0]["sum"]
            expected = sum(number * number for number in range(1, options.events + 1))
            print(f"The sum is {found}, and should be {expected}.")
            return 0 if found == expected else 1
        finally:
            producer.cancel()
            await asyncio.wait((producer,))
            await clean(driver)


if __name__ == "__main__":
    sys.exit(asyncbolt.run(main()))
