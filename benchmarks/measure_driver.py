"""A driver against the canned server: the same program for asyncbolt and for the official driver."""

from __future__ import annotations

import importlib
from typing import Any

import shapes
import workloads
from measure_client import BATCH, UNWIND, Ends
from stopwatch import Rate, Stopwatch, check


async def rate(column: str, port: int, name: str, count: int, seconds: float) -> Rate:
    """Units a second of whole runs until the time is over, and the share of it that this process worked."""
    module = importlib.import_module("asyncbolt" if column in (workloads.C, workloads.PYTHON) else "neo4j")
    watch = Stopwatch()
    runs = 0
    while not runs or watch.elapsed < seconds:
        await _measure(module, port, name, count, watch)
        runs += 1
    return watch.rate(runs * count)


async def _measure(module: Any, port: int, name: str, count: int, watch: Stopwatch) -> None:
    kind, shape, *default = name.split()
    query = f"FETCH {shape} {count}"
    ends = Ends(name, shape, count)
    people = shapes.people(BATCH)
    # Who wants speed has all rows sent at once. The official driver's default is to ask for 1000 at a time.
    options = {} if default else {"fetch_size": -1}
    uri = f"bolt://127.0.0.1:{port}"
    async with module.AsyncGraphDatabase.driver(uri, **options) as driver, driver.session() as session:

        async def execute_query() -> None:
            with watch:
                records, _, keys = await driver.execute_query(query)
            check(list(keys) == shapes.fields(shape), name)
            ends.check(len(records), records[0], records[-1])

        async def records() -> None:
            first: Any = None
            seen = 0
            with watch:
                async for record in await session.run(query):
                    if first is None:
                        first = record
                    seen += 1
            ends.check(seen, first, record)

        async def to_df() -> None:
            with watch:
                frame = await (await session.run(query)).to_df()
            check(list(frame.columns) == shapes.fields(shape), name)
            ends.check(len(frame), frame.iloc[0], frame.iloc[-1])

        async def unwind(transaction: Any) -> Any:
            return await (await transaction.run(UNWIND, rows=people)).consume()

        async def execute_write() -> None:
            with watch:
                for _ in range(count // BATCH):
                    summary = await session.execute_write(unwind)
            check(summary.query_type == "r", name)

        async def tiny() -> None:
            with watch:
                for _ in range(count):
                    records, _, _ = await driver.execute_query("FETCH int 1")
            ends.check(count, records[0], records[-1])

        await driver.execute_query("FETCH int 1")
        if kind == "to_df":
            # What pandas imports, and what it does at its first frame only.
            await (await session.run("FETCH int 1")).to_df()
        work = {
            "execute_query": tiny if shape == "tiny" else execute_query,
            "records": records,
            "to_df": to_df,
            "execute_write": execute_write,
        }
        await work[kind]()
