#!/usr/bin/env python3
"""How much 2,000 hostile connections cost a client that means no harm.

    python benchmarks/hostile.py [--rounds 20] [--size 100]

A server in a process of its own; a client that asks for 100 rows over and over, first alone, then while
groups of connections of ten kinds come and go. Prints the client's latencies in both, their ratio, and the
server's memory.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from hostile_peers import HostileServer, group

AUTH = {"scheme": "basic", "principal": "friend", "credentials": "pw"}


async def ask(port: int, until) -> list[float]:
    """Latencies (seconds) of one client's queries, until told to stop."""
    from raw_client import RawClient

    client = await RawClient.connect(port, auth=AUTH)
    latencies = []
    while not until(len(latencies)):
        begun = time.perf_counter()
        answer = await client.query("rows", {"count": 100})
        latencies.append(time.perf_counter() - begun)
        assert len(answer.rows) == 100
    await client.close()
    return latencies


def hostile_process(port: int, rounds: int, size: int) -> None:
    """The hostile ones have a process of their own: their work is not to be measured."""

    async def main() -> None:
        rng = random.Random(20171)
        for _ in range(rounds):
            await group(port, size, rng)

    asyncio.run(main())


def shown(name: str, latencies: list[float]) -> float:
    p99 = statistics.quantiles(latencies, n=100)[98]
    print(
        f"{name:>10}: {len(latencies):6} queries, median {statistics.median(latencies) * 1e3:7.3f} ms,"
        f" p99 {p99 * 1e3:7.3f} ms, longest {max(latencies) * 1e3:7.3f} ms"
    )
    return p99


async def main() -> None:
    parser = argparse.ArgumentParser(description="Latency of a good client beside hostile ones.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--size", type=int, default=100, help="connections of a round")
    options = parser.parse_args()
    async with HostileServer.started() as server:
        await ask(server.port, lambda count: count == 500)  # warm
        alone = shown("alone", await ask(server.port, lambda count: count == 5000))
        context = multiprocessing.get_context("spawn")
        hostile = context.Process(target=hostile_process, args=(server.port, options.rounds, options.size))
        hostile.start()
        beside = shown(
            "beside", await ask(server.port, lambda count: not hostile.is_alive() and count >= 100)
        )
        hostile.join()
        facts = await server.facts()
        memory = facts["peak_rss"] / 2**20
        print(f"p99 beside / alone: {beside / alone:.2f}; server's memory at most {memory:.0f} MiB")


if __name__ == "__main__":
    asyncio.run(main())
