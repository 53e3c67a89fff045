"""The driver beside the official async driver: the same server, the same bytes, in turns, medians of rounds.

Run with ``make bench-driver``; ``ARGS=--quick`` is short, and its times say nothing. Each peer runs in a
process of its own, the server in another; the official driver has its Rust extension where it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncbolt

PEERS: Final = ("asyncbolt", "neo4j")
# What is measured, and how many times as fast as the official driver it is to be.
TARGETS: Final = {
    "execute_query, rows": 10.0,
    "async for record": 10.0,
    "to_df": 15.0,
    "UNWIND in execute_write": 6.0,
    "execute_query, tiny": 2.0,
}
FIELDS: Final = ["id", "name", "score", "active", "note", "tag"]


class Rows(asyncbolt.ServerSession):
    """Answers ``ROWS`` with *n* rows of six mixed columns, anything else with one small row."""

    kept: list[tuple[Any, ...]] = []

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        if statement != "ROWS":
            return asyncbolt.Result(["n"], [(1,)], {"type": "w"})
        count = parameters["n"]
        if len(self.kept) != count:
            type(self).kept = [(i, f"name{i}", i * 0.5, i % 2 == 0, None, "tag") for i in range(count)]
        return asyncbolt.Result(FIELDS, self.kept, {"type": "r"})


def serve(ports: Any) -> None:
    """The server's process."""

    async def main() -> None:
        # The official driver talks to no server of another name.
        async with await asyncbolt.create_server(Rows, port=0, agent="Neo4j/5.26.0") as server:
            ports.put(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    asyncio.run(main())


async def timed(step: Callable[[], Awaitable[Any]], times: int = 1) -> float:
    """Seconds that *step* takes, on average."""
    began = time.perf_counter()
    for _ in range(times):
        await step()
    return (time.perf_counter() - began) / times


async def measure(module: Any, port: int, rows: int, repeats: int) -> dict[str, float]:
    """Seconds of each task with one peer."""
    import pandas  # noqa: F401  # its import is not what is measured

    batch = [{"id": i, "name": f"n{i}", "x": i * 0.5, "tags": ["a", "b"]} for i in range(1000)]
    async with module.AsyncGraphDatabase.driver(f"bolt://127.0.0.1:{port}", auth=("u", "p")) as driver:

        async def query() -> None:
            records, _, keys = await driver.execute_query("ROWS", n=rows)
            assert len(records) == rows and keys == FIELDS and records[-1]["name"] == f"name{rows - 1}"

        async def iterate() -> None:
            async with driver.session() as session:
                count = 0
                async for record in await session.run("ROWS", n=rows):
                    count += 1
                assert count == rows and record["id"] == rows - 1

        async def frame() -> None:
            async with driver.session() as session:
                found = await (await session.run("ROWS", n=rows)).to_df()
                assert found.shape == (rows, len(FIELDS)) and found["id"].iloc[-1] == rows - 1

        async def write(tx: Any) -> None:
            await (await tx.run("UNWIND $rows AS row CREATE (n) SET n = row", rows=batch)).consume()

        async def unwind() -> None:
            async with driver.session() as session:
                await session.execute_write(write)

        async def tiny() -> None:
            records, _, _ = await driver.execute_query("TINY")
            assert records[0]["n"] == 1

        await tiny()
        await unwind()
        return {
            "execute_query, rows": await timed(query),
            "async for record": await timed(iterate),
            "to_df": await timed(frame),
            "UNWIND in execute_write": await timed(unwind, max(1, repeats // 10)),
            "execute_query, tiny": await timed(tiny, repeats),
        }


def peer(name: str, port: int, rows: int, repeats: int, results: Any) -> None:
    """A peer's process."""
    results.put(asyncio.run(measure(importlib.import_module(name), port, rows, repeats)))


def main() -> int:
    """Measure, print the table, and return 0 when every target is reached."""
    parser = argparse.ArgumentParser(description="asyncbolt's driver beside the official one")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the long results (100000)")
    parser.add_argument("--quick", action="store_true", help="one short round; the times say nothing")
    arguments = parser.parse_args()
    rounds, rows, repeats = arguments.rounds, arguments.rows, 500
    if arguments.quick:
        rounds, rows, repeats = 1, 3000, 20
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    server = context.Process(target=serve, args=(queue,), daemon=True)
    server.start()
    port = queue.get()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in PEERS}
    for _ in range(rounds):
        for name in PEERS:
            process = context.Process(target=peer, args=(name, port, rows, repeats, queue))
            process.start()
            found[name].append(queue.get(timeout=600))
            process.join()
    server.terminate()
    server.join()
    missed = 0
    for task, target in TARGETS.items():
        ours, theirs = (statistics.median(one[task] for one in found[name]) for name in PEERS)
        ratio = theirs / ours
        missed += ratio < target
        times = f"{ours * 1e3:9.2f} ms  official {theirs * 1e3:9.2f} ms"
        print(f"{task:24} {times}  {ratio:5.1f}x (target {target:g}x){'' if ratio >= target else '  BELOW'}")
    return 0 if arguments.quick or not missed else 1


if __name__ == "__main__":
    sys.exit(main())
