"""A client against the canned server: asyncbolt, and the official driver as its users would write it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import canned
import shapes
import workloads
from stopwatch import Rate, Stopwatch, check

UNWIND = "UNWIND $rows AS row CREATE (n:Person) SET n = row"
BATCH = 1000  # maps of one UNWIND
AT_ONCE = 500  # tiny statements that are gathered
Row = tuple[Any, ...]


class Ends:
    """The first and the last of the rows that should come, to be compared with those that came."""

    def __init__(self, name: str, shape: str, count: int) -> None:
        self.name = name
        self.count = count
        if shape not in shapes.SHAPES:
            shape, count = "int", 1
        rows = shapes.rows(shape, canned.BLOCK)
        self.expected = [rows[0], rows[(count - 1) % canned.BLOCK]]

    def check(self, seen: int, first: Any, last: Any) -> None:
        check(seen == self.count, f"{self.name}: {seen} of {self.count}")
        check([plain(first), plain(last)] == [plain(row) for row in self.expected], self.name)


def plain(row: Any) -> Row:
    """A row with its nodes, of whatever library, taken apart."""
    return tuple(
        (value.element_id, set(value.labels), dict(value.items())) if hasattr(value, "labels") else value
        for value in row
    )


async def rate(column: str, port: int, name: str, count: int, seconds: float) -> Rate:
    """Units a second of whole runs until the time is over, and the share of it that this process worked."""
    measure = _asyncbolt if column in (workloads.C, workloads.PYTHON) else _official
    watch = Stopwatch()
    runs = 0
    while not runs or watch.elapsed < seconds:
        await measure(port, name, count, watch)
        runs += 1
    return watch.rate(runs * count)


async def _asyncbolt(port: int, name: str, count: int, watch: Stopwatch) -> None:
    import asyncbolt

    kind, _, shape = name.partition(" ")
    statement = f"FETCH {shape} {count}"
    ends = Ends(name, shape, count)
    people = shapes.people(BATCH)
    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:

        async def fetch() -> None:
            with watch:
                rows = await session.fetch(statement)
            ends.check(len(rows), rows[0], rows[-1])

        async def batches() -> None:
            first: Any = None
            seen = 0
            with watch:
                async for batch in session.batches(statement):
                    if first is None:
                        first = batch[0]
                    for row in batch:
                        seen += 1
            ends.check(seen, first, row)

        async def run() -> None:
            first: Any = None
            seen = 0
            with watch:
                async for response in session.run(statement):
                    if first is None:
                        first = response
                    seen += 1
            ends.check(seen, first.fields, response.fields)

        async def unwind() -> None:
            with watch:
                for _ in range(count // BATCH):
                    summary = await session.execute(UNWIND, {"rows": people})
            check(summary["bookmark"] == "b:1", name)

        async def tiny() -> None:
            with watch:
                for _ in range(count):
                    rows = await session.fetch("FETCH int 1")
            ends.check(count, rows[0], rows[-1])

        async def gathered() -> None:
            seen = 0
            with watch:
                for _ in range(count // AT_ONCE):
                    answers = await asyncio.gather(*(session.fetch("FETCH int 1") for _ in range(AT_ONCE)))
                    seen += sum(map(len, answers))
            ends.check(seen, answers[0][0], answers[-1][0])

        await session.fetch("FETCH int 1")
        work = {"fetch": fetch, "batches": batches, "run": run, "unwind": unwind, "tiny": tiny}
        await (gathered if name == "tiny gathered" else work[kind])()


async def _official(port: int, name: str, count: int, watch: Stopwatch) -> None:
    import neo4j

    kind, _, shape = name.partition(" ")
    ends = Ends(name, shape, count)
    people = shapes.people(BATCH)
    # Who wants all rows at once asks for them at once, which is faster; who streams has the driver's default.
    options = {"fetch_size": -1} if kind == "fetch" else {}
    async with neo4j.AsyncGraphDatabase.driver(f"bolt://127.0.0.1:{port}") as driver:
        async with driver.session(**options) as session:

            async def fetch() -> None:
                with watch:
                    result = await session.run(f"FETCH {shape} {count}")
                    records = [record async for record in result]
                ends.check(len(records), records[0], records[-1])

            async def stream() -> None:
                first: Any = None
                seen = 0
                with watch:
                    async for record in await session.run(f"FETCH {shape} {count}"):
                        if first is None:
                            first = record
                        seen += 1
                ends.check(seen, first, record)

            async def unwind() -> None:
                with watch:
                    for _ in range(count // BATCH):
                        summary = await (await session.run(UNWIND, rows=people)).consume()
                check(summary.query_type == "r", name)

            async def tiny() -> None:
                with watch:
                    for _ in range(count):
                        record = await (await session.run("FETCH int 1")).single()
                ends.check(count, record, record)

            await (await session.run("FETCH int 1")).consume()
            work: dict[str, Callable[[], Awaitable[None]]] = {
                "fetch": fetch,
                "batches": stream,
                "run": stream,
                "unwind": unwind,
                "tiny": tiny,
            }
            await work[kind]()
