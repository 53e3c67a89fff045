"""asyncbolt beside the official driver: same server, same bytes, rounds in turn, medians with their spread.

    python benchmarks/compare.py [--rounds 5] [--quick] [--json FILE]

The official driver runs as its users run it for speed: with ``neo4j-rust-ext`` where that is installed. Each
peer runs in a process of its own, so that neither's garbage is the other's; each run checks what came out.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import canned
import shapes

UNWIND = "UNWIND $rows AS row CREATE (n:Person) SET n = row"
# What is measured: name -> units of one run by asyncbolt, and by a driver that takes longer for each.
WORK = {
    "fetch int": (400_000, 40_000),
    "fetch strings": (200_000, 30_000),
    "fetch mixed": (200_000, 30_000),
    "fetch node": (60_000, 15_000),
    "fetch floats": (3_000, 1_500),
    "fetch wide": (60_000, 15_000),
    "batches mixed": (200_000, 30_000),
    "run mixed": (100_000, 30_000),
    "unwind": (100_000, 20_000),
    "tiny one by one": (2_000, 1_000),
    "tiny gathered": (5_000, 1_000),
}
PEERS = ("asyncbolt", "asyncbolt-python", "official")


async def timed(work: Awaitable[int], count: int) -> float:
    start = time.perf_counter()
    seen = await work
    elapsed = time.perf_counter() - start
    if seen != count:
        raise SystemExit(f"{seen} came out where {count} went in")
    return count / elapsed


async def measure_asyncbolt(port: int, name: str, count: int) -> float:
    import asyncbolt

    kind, _, shape = name.partition(" ")
    statement = f"FETCH {shape} {count}"
    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:

        async def fetch() -> int:
            return len(await session.fetch(statement))

        async def batches() -> int:
            seen = 0
            async for batch in session.batches(statement):
                for _row in batch:
                    seen += 1
            return seen

        async def run() -> int:
            seen = 0
            async for _response in session.run(statement):
                seen += 1
            return seen

        people = shapes.people(1000)

        async def unwind() -> int:
            for _ in range(count // 1000):
                await session.execute(UNWIND, {"rows": people})
            return count

        async def tiny() -> int:
            if shape == "gathered":
                for _ in range(count // 500):
                    await asyncio.gather(*(session.fetch("FETCH int 1") for _ in range(500)))
            else:
                for _ in range(count):
                    await session.fetch("FETCH int 1")
            return count

        work: dict[str, Callable[[], Awaitable[int]]] = {
            "fetch": fetch,
            "batches": batches,
            "run": run,
            "unwind": unwind,
            "tiny": tiny,
        }
        await session.fetch("FETCH int 1")
        return await timed(work[kind](), count)


async def measure_official(port: int, name: str, count: int) -> float:
    import neo4j

    kind, _, shape = name.partition(" ")
    async with neo4j.AsyncGraphDatabase.driver(f"bolt://127.0.0.1:{port}") as driver:
        async with driver.session(fetch_size=1000) as session:

            async def fetch() -> int:
                result = await session.run(f"FETCH {shape} {count}")
                return len([record async for record in result])

            people = shapes.people(1000)

            async def unwind() -> int:
                for _ in range(count // 1000):
                    await (await session.run(UNWIND, rows=people)).consume()
                return count

            async def tiny() -> int:
                for _ in range(count):
                    await (await session.run("FETCH int 1")).single()
                return count

            work = {"fetch": fetch, "batches": fetch, "run": fetch, "unwind": unwind, "tiny": tiny}
            await (await session.run("FETCH int 1")).consume()
            return await timed(work[kind](), count)


def ask(peer: str, port: int, name: str, count: int) -> float:
    """One measurement in a process of its own: units a second."""
    environment = dict(os.environ, ASYNCBOLT_IMPL="python" if peer.endswith("python") else "c")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--one", peer, str(port), name, str(count)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise SystemExit(f"{peer}, {name}: {done.stderr.strip()}")
    return float(done.stdout)


def one(peer: str, port: str, name: str, count: str) -> None:
    measure = measure_official if peer == "official" else measure_asyncbolt
    print(asyncio.run(measure(int(port), name, int(count))))


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cell(rates: list[float]) -> str:
    middle = statistics.median(rates)
    spread = (max(rates) - min(rates)) / middle / 2
    text = f"{middle / 1e6:.2f}M" if middle >= 1e6 else f"{middle / 1e3:.1f}k"
    return f"{text} ±{spread:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: proves that it runs")
    parser.add_argument("--only", default="", help="what contains this text")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(*options.one)
        return
    results: dict[str, dict[str, list[float]]] = {}
    with canned.running() as port:
        for name, (fast, slow) in WORK.items():
            if options.only not in name:
                continue
            counts = dict.fromkeys(PEERS, slow) | {"asyncbolt": fast}
            if options.quick:
                counts = {peer: max(1000, count // 10 // 1000 * 1000) for peer, count in counts.items()}
            rates = results[name] = {peer: [] for peer in PEERS}
            for _ in range(options.rounds):
                for peer in PEERS:
                    rates[peer].append(ask(peer, port, name, counts[peer]))
            ours, theirs = statistics.median(rates["asyncbolt"]), statistics.median(rates["official"])
            pure = statistics.median(rates["asyncbolt-python"])
            cells = "  ".join(f"{peer} {cell(rates[peer]):>13}" for peer in PEERS)
            print(f"{name:16} {cells}   {ours / theirs:6.1f}x  pure {pure / theirs:.1f}x", flush=True)
    facts = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "neo4j": version("neo4j"),
        "neo4j-rust-ext": version("neo4j-rust-ext"),
        "rounds": options.rounds,
    }
    print(json.dumps(facts))
    if options.json:
        options.json.write_text(json.dumps({"facts": facts, "rates": results}, indent=1))


if __name__ == "__main__":
    main()
