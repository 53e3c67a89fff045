"""What memory asyncbolt takes: per kept row beside the official driver's, and while very much passes through.

    python benchmarks/memory.py [--quick] [--only TEXT] [--json FILE]

Every figure comes from processes of their own: VmRSS, and VmHWM for the peak, of the one that is measured.
What passes through leaves memory "flat" when the process was no larger in the last tenth of it than in the
first, but for 4 MiB (16 MiB for execute_many, which has up to 8 batches of 1 MiB under way), and its peak no
higher than is right for that row. The exit code is 1 when it did not.

Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import canned
import machine
import shapes
from machine import MIB, child, number, size

ROUNDS = 3
SLACK = 4 * MIB
INGEST = "UNWIND $rows AS row CREATE (n:Person) SET n = row"

# Rows kept of each shape: enough for some MiB, and not too many for the slower driver.
KEPT = {"int": 200_000, "strings": 60_000, "mixed": 60_000, "node": 20_000, "floats": 1_500, "wide": 20_000}
KEPT_OTHERS = 20_000


# ------------------------------------------------------------------------------------ what children do


async def keep_asyncbolt(port: int, shape: str, count: int) -> dict[str, int]:
    import asyncbolt

    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:
        # Kept too: what importing and the first rows left free is used up by it, and hides nothing.
        first = await session.fetch(f"DISTINCT {shape} {count}")
        before = settle()
        rows = await session.fetch(f"DISTINCT {shape} {count}")
        return grown(before, len(first), len(rows), count)


async def keep_official(port: int, shape: str, count: int) -> dict[str, int]:
    import neo4j

    async with neo4j.AsyncGraphDatabase.driver(f"bolt://127.0.0.1:{port}") as driver:
        async with driver.session(fetch_size=1000) as session:
            first = [record async for record in await session.run(f"DISTINCT {shape} {count}")]
            before = settle()
            rows = [record async for record in await session.run(f"DISTINCT {shape} {count}")]
            return grown(before, len(first), len(rows), count)


def settle() -> int:
    gc.collect()
    machine.forget_peak()
    return machine.rss()


def grown(before: int, first: int, second: int, count: int) -> dict[str, int]:
    """What the second result takes; the caller holds both."""
    if first != count or second != count:
        raise SystemExit(f"{first} and {second} rows came out where {count} went in")
    kept = machine.rss() - before
    most = machine.peak() - before
    gc.collect()
    return {"kept": kept, "peak": most, "collected": machine.rss() - before}


class Samples:
    """The size of this process as units pass through."""

    def __init__(self, count: int, every: int) -> None:
        self.before = settle()
        self.every = every
        self.due = every
        self.seen: list[tuple[int, int]] = []

    def note(self, units: int) -> None:
        if units >= self.due:
            self.due = units + self.every
            self.seen.append((units, machine.rss()))

    def result(self, **more: Any) -> dict[str, Any]:
        return {"before": self.before, "samples": self.seen, "peak": machine.peak(), **more}


async def batches(port: int, count: int, every: int, how: str, shape: str) -> dict[str, Any]:
    """Rows that pass through and are not kept."""
    import asyncbolt

    statement = f"FETCH {shape} {count}"
    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:
        await session.fetch(f"FETCH {shape} 10")
        samples = Samples(count, every)
        seen = 0
        if how == "run":
            async for _response in session.run(statement):
                seen += 1
                samples.note(seen)
        else:
            fetch_size = -1 if how == "at once" else None
            async for batch in session.batches(statement, fetch_size=fetch_size):
                for _row in batch:
                    seen += 1
                samples.note(seen)
                if how.startswith("slow reader"):
                    # Now and then for longer, so that a stop is met at every place.
                    await asyncio.sleep(0.1 if len(samples.seen) % 10 == 9 else 0.002)
        if seen != count:
            raise SystemExit(f"{seen} rows came out where {count} went in")
        return samples.result(units=seen)


async def ingest(port: int, count: int, every: int, how: str) -> dict[str, Any]:
    """1,000 bytes of text in each row, of which none is kept here."""
    import asyncbolt

    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:
        await session.execute_many(INGEST, [row_of(n) for n in range(2000)])
        if how == "slow server":
            await session.execute("SLOW 0.001")
        before = (await session.fetch("RECEIVED"))[0][0]
        samples = Samples(count, every)

        def rows() -> Iterator[dict[str, Any]]:
            for n in range(count):
                samples.note(n)
                yield row_of(n)

        async def later() -> AsyncIterator[dict[str, Any]]:
            for row in rows():
                yield row

        start = time.perf_counter()
        if how == "transaction":
            async with session.transaction() as tx:
                summary = await tx.execute_many(INGEST, rows())
        else:
            summary = await session.execute_many(INGEST, later() if how == "async generator" else rows())
        seconds = time.perf_counter() - start
        received, _ = (await session.fetch("RECEIVED"))[0]
        if summary.rows != count or received - before < count * 1000:
            raise SystemExit(f"{summary.rows} rows and {received - before} bytes left of {count} rows")
        return samples.result(
            units=summary.rows, bytes=received - before, batches=summary.batches, seconds=seconds
        )


def row_of(n: int) -> dict[str, Any]:
    return {"id": n, "text": f"{n:01000d}"}


async def large(port: int, amount: int, way: str) -> dict[str, Any]:
    """One value of so many bytes."""
    import asyncbolt

    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}", max_message_size=2 * amount) as session:
        if way == "written":
            value = bytes(amount)
            before = settle()
            await session.execute(INGEST, {"rows": value})
        else:
            before = settle()
            rows = await session.fetch(f"BYTES {amount}")
            if len(rows[0][0]) != amount:
                raise SystemExit("the value is not what was sent")
        return {"peak": machine.peak() - before, "bytes": amount}


CHILDREN: dict[str, Callable[..., Any]] = {
    "asyncbolt": keep_asyncbolt,
    "official": keep_official,
    "batches": batches,
    "ingest": ingest,
    "large": large,
}


# ----------------------------------------------------------------------------------------- the parent


def tenths(samples: list[Any]) -> tuple[int, int]:
    """The most that was resident in the first and in the last tenth of the samples."""
    part = max(1, len(samples) // 10)
    return max(rss for _, rss in samples[:part]), max(rss for _, rss in samples[-part:])


class Report:
    """Lines as they are known, and everything for the JSON."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.bad: list[str] = []
        self.heading = ""

    def line(self, text: str) -> None:
        if self.heading:
            print(self.heading)
            self.heading = ""
        print(text, flush=True)

    def passed(self, name: str, answer: dict[str, Any], allowed: int, slack: int = SLACK) -> None:
        """One line about what passed through: *allowed* at the peak, *slack* between first and last."""
        first, last = tenths(answer["samples"])
        above = answer["peak"] - answer["before"]
        verdict = "flat"
        if last - first > slack:
            verdict = "(grows)"
        elif above > allowed:
            verdict = "(fat)"
        if verdict != "flat":
            self.bad.append(name)
        self.results[name] = {
            **answer, "first": first, "last": last, "above": above, "allowed": allowed, "verdict": verdict,
        }  # fmt: skip
        more = ""
        if "bytes" in answer:
            rate = f", {size(answer['bytes'] / answer['seconds'])}/s" if "seconds" in answer else ""
            more = f"   {size(answer['bytes'])} sent{rate}"
        self.line(
            f"{name:44} {number(answer['units']):>6}  before {size(answer['before']):>9}"
            f"  first {size(first):>9}  last {size(last):>9}  peak +{size(above):>8}  {verdict}{more}",
        )

    def kept(self, shape: str, count: int, ours: list[Any], theirs: list[Any]) -> None:
        """One line about rows that are kept."""
        middle = {
            peer: {key: statistics.median(each[key] for each in rounds) / count for key in rounds[0]}
            for peer, rounds in (("asyncbolt", ours), ("official", theirs))
        }
        self.results[f"kept {shape}"] = {
            "rows": count,
            "asyncbolt": ours,
            "official": theirs,
            "per row": middle,
        }
        us, them = middle["asyncbolt"], middle["official"]
        self.line(
            f"kept {shape:10} {number(count):>6} rows"
            f"   asyncbolt {us['kept']:8.0f}  gc {us['collected']:8.0f}  peak {us['peak']:8.0f}"
            f"   official {them['kept']:8.0f}  gc {them['collected']:8.0f}"
            f"  peak {them['peak']:8.0f}   ratio {them['collected'] / us['collected']:.2f}",
        )


def slow_client(port: int, kind: str, count: int, pace: Callable[[int], float]) -> int:
    """Ask the server for rows, and take them slowly; return how many bytes they were."""
    from asyncbolt import Message
    from asyncbolt.chunking import MessageWriter

    write = MessageWriter((5, 4)).message
    # The end of the answer is recognised by its last bytes: an empty chunk behind a map that has "t_last".
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        sock.connect(("127.0.0.1", port))
        hello = write(Message.HELLO, {"user_agent": "slow/1", "bolt_agent": {"product": "slow/1"}})
        sock.sendall(
            bytes.fromhex("6060b017 00000405 000000000000000000000000")
            + hello
            + write(Message.LOGON, {"scheme": "none"})
            + write(Message.RUN, f"ROWS {kind} {count}", {}, {})
            + write(Message.PULL, {"n": -1})
        )
        taken = 0
        tail = b""
        while True:
            data = sock.recv(64 * 1024)
            if not data:
                raise SystemExit("the server hung up")
            taken += len(data)
            tail = (tail + data)[-400:]
            if b"t_last" in tail and tail.endswith(b"\x00\x00"):
                return taken
            seconds = pace(taken)
            if seconds:
                time.sleep(seconds)


async def server_memory(port: int) -> list[list[int]]:
    import asyncbolt

    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:
        return [list(row) for row in await session.fetch("MEMORY")]


class Pauses:
    """A client that reads on for a while, and then not at all for a while."""

    def __init__(self, every: int, seconds: float) -> None:
        self.every = every
        self.seconds = seconds
        self.due = every

    def __call__(self, taken: int) -> float:
        if taken < self.due:
            return 0.0
        self.due += self.every
        return self.seconds


def measure(options: argparse.Namespace) -> Report:
    report = Report()
    script = str(Path(__file__).resolve())
    quick = options.quick

    def wanted(name: str) -> bool:
        return options.only in name

    # Rows that all differ: the official driver makes one object of a node that comes twice in a result.
    with machine.serving("peer_servers.py", "sink") as (port, _):
        shown = [shape for shape in shapes.SHAPES if wanted(f"kept {shape}")]
        rounds_of = 1 if quick else ROUNDS
        report.heading = f"Bytes per kept row: fetch, and a list of official Records; {rounds_of} rounds"
        for shape in shown:
            count = KEPT.get(shape, KEPT_OTHERS) // (2 if quick else 1)
            work = {"port": port, "shape": shape, "count": count}
            rounds = [
                (child(script, "asyncbolt", work), child(script, "official", work)) for _ in range(rounds_of)
            ]
            report.kept(shape, count, [ours for ours, _ in rounds], [theirs for _, theirs in rounds])

    with canned.running() as port:
        report.heading = "Rows of 6 columns that pass through the client"
        much = 1_000_000 if quick else 10_000_000
        some = 200_000 if quick else 1_000_000
        for how, pure, count in (
            ("batches", False, much),
            ("batches", True, some if quick else much),
            ("at once", False, some),
            ("slow reader", False, some // 4),
            ("slow reader of rows of 1,000 floats", False, 2000 if quick else 20_000),
            ("run", False, some),
        ):
            name = f"through {how}{', pure twin' if pure else ''}"
            if wanted(name):
                fat = "floats" in how
                shape = "floats" if fat else "mixed"
                work = {"port": port, "count": count, "every": count // 100, "how": how, "shape": shape}
                # Up to 64 pieces of 256 KiB are read before the transport is told to stop, or 2,000 rows.
                allowed = 80 * MIB if fat or how in ("at once", "run") else 12 * MIB
                answer = child(script, "batches", work, pure=pure)
                report.passed(name, answer, allowed, allowed if fat else SLACK)

    with machine.serving("peer_servers.py", "sink") as (port, _):
        report.heading = "Parameters of execute_many, 1,000 bytes and more a row"
        much = 100_000 if quick else 1_000_000
        for how, pure, count in (
            ("generator", False, much),
            ("generator", True, much // 4),
            ("async generator", False, much),
            ("transaction", False, much),
            # Its first tenth has to be more than what may be under way.
            ("slow server", False, max(much, 250_000)),
        ):
            name = f"execute_many, {how}{', pure twin' if pure else ''}"
            if wanted(name):
                work = {"port": port, "count": count, "every": count // 100, "how": how}
                # Up to 8 batches of 1 MiB are under way, fewer while the server is fast: rows, their bytes,
                # and what waits in the transport.
                report.passed(name, child(script, "ingest", work, pure=pure), 32 * MIB, 16 * MIB)
        report.heading = "One value: peak above what was there before"
        amount = (16 if quick else 256) * MIB
        for way in ("written", "read"):
            for pure in (False, True):
                name = f"one value {way}{', pure twin' if pure else ''}"
                if wanted(name):
                    answer = child(script, "large", {"port": port, "amount": amount, "way": way}, pure=pure)
                    report.results[name] = answer
                    report.line(
                        f"{name:44} {size(amount):>9}  peak +{size(answer['peak'])}"
                        f"  = {answer['peak'] / amount:.2f} of it",
                    )

    report.heading = "Rows from generators through the server toolkit to clients that read slowly"
    much = 500_000 if quick else 10_000_000
    some = 100_000 if quick else 1_000_000
    for kind, pure, count, pace in (
        # The slower of the two is the client: it sleeps a little after each read, or longer now and then.
        ("plain", False, much, lambda taken: 0.003),
        ("plain", True, some, lambda taken: 0.006),
        ("async", False, some, Pauses(8 * MIB, 0.3)),
        ("threaded", False, some, Pauses(8 * MIB, 0.3)),
        ("plain, pauses", False, some, Pauses(8 * MIB, 0.3)),
    ):
        name = f"server, {kind} generator{', pure twin' if pure else ''}"
        if not wanted(name):
            continue
        server = "threaded" if kind == "threaded" else "generator"
        with machine.serving("peer_servers.py", server, str(count // 100), pure=pure) as (port, pid):
            slow_client(port, "plain", 1000, lambda taken: 0.0)
            before = machine.rss(pid)
            start = time.perf_counter()
            taken = slow_client(port, kind.partition(",")[0], count, pace)
            seconds = time.perf_counter() - start
            found = asyncio.run(server_memory(port))
            answer = {
                "before": before,
                "samples": found[:-1],
                "peak": found[-1][1],
                "units": count,
                "bytes": taken,
                "seconds": seconds,
            }
            report.passed(name, answer, 8 * MIB)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: proves that it runs")
    parser.add_argument("--only", default="", help="what contains this text")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, arguments = options.one
        print(json.dumps(asyncio.run(CHILDREN[name](**json.loads(arguments)))))
        return
    report = measure(options)
    facts = {**machine.facts(), "rounds": ROUNDS, "quick": options.quick}
    print(json.dumps(facts))
    if options.json:
        options.json.write_text(json.dumps({"facts": facts, "results": report.results}, indent=1))
    if report.bad:
        sys.exit(f"not bounded: {', '.join(report.bad)}")


if __name__ == "__main__":
    main()
