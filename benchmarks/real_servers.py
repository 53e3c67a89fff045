"""asyncbolt on real databases beside a raw socket: how much of what a server can give comes out decoded.

    python benchmarks/real_servers.py [--server arcadedb|neo4j-5|neo4j-2026] [--rows 100000] [--rounds 5]
                                      [--only TEXT] [--quick] [--json FILE]

Everybody gets the same statements from the same warmed-up server, each in a process of its own, in rounds of
all of them in turn:

* ``raw``: a blocking socket that sends asyncbolt's own bytes, RUN and PULL -1, and reads into one large
  buffer until the final SUCCESS, without a look at the rows. No client can be faster. For the ingest it sends
  batches packed beforehand, as many at once as ``execute_many`` has on its way.
* ``fetch``, ``batches``, ``execute_many``: asyncbolt.
* ``official``: the neo4j driver for asyncio, with its Rust extension where that is installed.

Shown are medians of rows per second with half their spread, the seconds of CPU that client and server take
for a million rows, and the medians of the rounds' ratios to ``raw`` and to ``official``. The server runs on
the same machine: what a client burns, a server with many threads may lack.

The servers are those of the tests: ArcadeDB is a wheel, Neo4j comes from Maven and needs a JDK.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))

import asyncbolt
from asyncbolt.client.bulk import _DEPTH as DEPTH
from asyncbolt.protocol import ClientConnection, FailureReceived

TARGET = 0.85  # of the raw socket
READ = 1 << 22
BATCH = 1000
SUCCESS, FAILURE = b"\xb1\x70", b"\xb1\x7f"
LONGEST_SUMMARY = 8192

ROWS_3 = "UNWIND range(1, {rows}) AS i RETURN i, toString(i) AS text, i * 0.5 AS half"
ROWS_6 = ROWS_3 + ", i % 2 = 0 AS even, 'some city' AS city, null AS nothing"
STATEMENTS = {
    "3 columns": ROWS_3,
    "6 columns": ROWS_6,
    "nodes": "MATCH (p:Person) RETURN p LIMIT {rows}",
}
CREATE = "UNWIND $rows AS row CREATE (p:{label}) SET p = row"
READERS = ("raw", "fetch", "batches", "official")
WRITERS = ("raw", "execute_many", "official")


def person(i: int) -> dict[str, Any]:
    """19 properties."""
    return {
        "id": i, "name": f"person-{i:06d}", "born": 1920 + i % 90, "score": i / 7, "active": i % 2 == 0,
        "city": "Oslo", "country": "Norway", "email": f"p{i}@example.org", "since": 1_500_000_000 + i,
        "rank": i % 7, "note": "x" * 20, "ok": True, "height": 1.5 + i % 50 / 100, "weight": 50.0 + i % 60,
        "title": "Dr", "street": f"Storgata {i % 400}", "zip": f"{i % 10_000:04d}", "language": "nb",
        "visits": i % 1000,
    }  # fmt: skip


# --------------------------------------------------------------------------------------------- the raw socket


class Raw:
    """A blocking connection that asyncbolt's protocol without IO logs in, and then leaves alone."""

    def __init__(self, port: int, auth: list[str]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(READ)
        self.view = memoryview(self.buffer)
        self.connection = ClientConnection()
        self._settle(lambda: self.connection.version is not None)
        token = {"scheme": "basic", "principal": auth[0], "credentials": auth[1]}
        self.connection.send_hello("raw/1.0", token)
        if self.connection.supports(asyncbolt.Message.LOGON):
            self.connection.send_logon(token)
        self._settle(lambda: not self.connection.outstanding)

    def _settle(self, done: Callable[[], bool]) -> None:
        while not done():
            if data := self.connection.data_to_send():
                self.socket.sendall(data)
            for event in self.connection.receive_data(self.socket.recv(65536)):
                if isinstance(event, FailureReceived):
                    raise SystemExit(f"raw: {event}")

    def packed(
        self, statement: str, parameters: dict[str, Any] | None = None, *, discard: bool = False
    ) -> bytes:
        """The bytes of RUN and PULL -1 (or DISCARD -1), as asyncbolt writes them."""
        self.connection.send_run(statement, parameters)
        if discard:
            self.connection.send_discard()
        else:
            self.connection.send_pull()
        return self.connection.data_to_send()

    def read(self, data: bytes) -> None:
        """Send RUN and PULL, and read to the end of the rows."""
        self.socket.sendall(data)
        view, buffer = self.view, self.buffer
        # The answer to RUN is the first chunk; what ends it is no summary.
        filled = 0
        while filled < 2 or filled < (stop := 4 + (buffer[0] << 8 | buffer[1])):
            filled += self._receive(view[filled:])
        if buffer[2:4] != SUCCESS:
            raise SystemExit(f"raw: {bytes(buffer[:filled])!r}")
        tail = bytes(buffer[stop:filled])
        while not ends(tail):
            count = self._receive(view)
            tail = (
                bytes(view[count - LONGEST_SUMMARY : count])
                if count >= LONGEST_SUMMARY
                else (tail[-LONGEST_SUMMARY:] + bytes(view[:count]))
            )

    def _receive(self, view: memoryview) -> int:
        count = self.socket.recv_into(view)
        if not count:
            raise SystemExit("raw: the connection was closed")
        return count

    def write(self, batches: list[bytes]) -> None:
        """Send batches, and keep no more on their way than execute_many does."""
        flight: deque[int] = deque()
        pending = b""
        for data in batches:
            self.socket.sendall(data)
            flight.append(2)
            while len(flight) >= DEPTH:
                pending = self._answers(pending, flight)
        while flight:
            pending = self._answers(pending, flight)

    def _answers(self, pending: bytes, flight: deque[int]) -> bytes:
        pending += bytes(self.view[: self._receive(self.view)])
        pos = 0
        # Answers to RUN and DISCARD are messages of one chunk.
        while pos + 2 <= len(pending):
            size = pending[pos] << 8 | pending[pos + 1]
            if pos + 4 + size > len(pending):
                break
            if size:
                if pending[pos + 2 : pos + 4] != SUCCESS:
                    raise SystemExit(f"raw: {pending[pos:]!r}")
                flight[0] -= 1
                if not flight[0]:
                    flight.popleft()
            pos += 4 + size if size else 2
        return pending[pos:]


def ends(tail: bytes) -> bool:
    """Whether these bytes end with a SUCCESS: a chunk of just the right length, and the mark behind it."""
    if not tail.endswith(b"\x00\x00"):
        return False
    for signature in (SUCCESS, FAILURE):
        at = tail.rfind(signature)
        while at >= 2:
            if at + (tail[at - 2] << 8 | tail[at - 1]) + 2 == len(tail):
                if signature == FAILURE:
                    raise SystemExit(f"raw: {tail[at:]!r}")
                return True
            at = tail.rfind(signature, 0, at)
    return False


# --------------------------------------------------------------------------------------- one measured process


def cpu_of(pid: int) -> float:
    """Seconds of CPU of all threads of a process; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Meter:
    """Counts rows a second and seconds of CPU between its making and `report`."""

    def __init__(self, server: int) -> None:
        self.server = server
        self.server_cpu = cpu_of(server)
        self.cpu = time.process_time()
        self.start = time.perf_counter()

    def report(self, rows: int) -> dict[str, float]:
        elapsed = time.perf_counter() - self.start
        return {
            "rate": rows / elapsed,
            "client": (time.process_time() - self.cpu) / rows * 1e6,
            "server": (cpu_of(self.server) - self.server_cpu) / rows * 1e6,
        }


def check(seen: int, rows: int) -> None:
    if seen != rows:
        raise SystemExit(f"{seen} rows came out where {rows} were asked for")


def read_raw(task: dict[str, Any]) -> dict[str, float]:
    raw = Raw(task["port"], task["auth"])
    data = raw.packed(task["statement"])
    raw.read(data)
    meter = Meter(task["pid"])
    for _ in range(task["repeat"]):
        raw.read(data)
    return meter.report(task["rows"] * task["repeat"])


async def repeated(task: dict[str, Any], read: Callable[[], Awaitable[int]]) -> dict[str, float]:
    check(await read(), task["rows"])
    meter = Meter(task["pid"])
    for _ in range(task["repeat"]):
        check(await read(), task["rows"])
    return meter.report(task["rows"] * task["repeat"])


async def read_asyncbolt(task: dict[str, Any], peer: str) -> dict[str, float]:
    async with asyncbolt.connect(f"bolt://127.0.0.1:{task['port']}", auth=tuple(task["auth"])) as session:

        async def fetch() -> int:
            return len(await session.fetch(task["statement"]))

        async def batches() -> int:
            seen = 0
            async for batch in session.batches(task["statement"]):
                seen += len(batch)
            return seen

        return await repeated(task, fetch if peer == "fetch" else batches)


async def read_official(task: dict[str, Any]) -> dict[str, float]:
    import neo4j

    uri = f"bolt://127.0.0.1:{task['port']}"
    async with neo4j.AsyncGraphDatabase.driver(uri, auth=tuple(task["auth"])) as driver:
        async with driver.session(fetch_size=task.get("fetch_size", 1000)) as session:

            async def read() -> int:
                result = await session.run(task["statement"])
                return len([record async for record in result])

            return await repeated(task, read)


def some_people(task: dict[str, Any]) -> list[dict[str, Any]]:
    return [person(i) for i in range(task["rows"])]


def write_raw(task: dict[str, Any]) -> dict[str, float]:
    raw = Raw(task["port"], task["auth"])
    rows = some_people(task)
    # Packed by a connection that sends nothing, which minds how many requests may be unanswered.
    batches = [
        raw.packed(task["statement"], {"rows": rows[at : at + BATCH]}, discard=True)
        for at in range(0, len(rows), BATCH)
    ]
    raw.write(batches[:DEPTH])
    meter = Meter(task["pid"])
    raw.write(batches)
    return meter.report(task["rows"])


async def write_asyncbolt(task: dict[str, Any]) -> dict[str, float]:
    rows = some_people(task)
    async with asyncbolt.connect(f"bolt://127.0.0.1:{task['port']}", auth=tuple(task["auth"])) as session:
        await session.execute_many(task["statement"], rows[: DEPTH * BATCH])
        meter = Meter(task["pid"])
        summary = await session.execute_many(task["statement"], rows)
        check(summary.rows, task["rows"])
        return meter.report(task["rows"])


async def write_official(task: dict[str, Any]) -> dict[str, float]:
    import neo4j

    rows = some_people(task)
    uri = f"bolt://127.0.0.1:{task['port']}"
    async with neo4j.AsyncGraphDatabase.driver(uri, auth=tuple(task["auth"])) as driver:
        async with driver.session() as session:

            async def write(count: int) -> None:
                for at in range(0, count, BATCH):
                    await (await session.run(task["statement"], rows=rows[at : at + BATCH])).consume()

            await write(DEPTH * BATCH)
            meter = Meter(task["pid"])
            await write(len(rows))
            return meter.report(task["rows"])


def one(peer: str, task: dict[str, Any]) -> dict[str, float]:
    """What a child process does."""
    if task["write"]:
        if peer == "raw":
            return write_raw(task)
        return asyncio.run(write_official(task) if peer == "official" else write_asyncbolt(task))
    if peer == "raw":
        return read_raw(task)
    return asyncio.run(read_official(task) if peer == "official" else read_asyncbolt(task, peer))


# -------------------------------------------------------------------------------------------- the whole of it


def start_server(name: str) -> Any:
    """A server of the tests that is not running yet."""
    if name == "arcadedb":
        from arcadedb_server import ArcadeDB

        return ArcadeDB()
    from neo4j_server import VERSIONS, Neo4j

    prefix = "5." if name == "neo4j-5" else "20"
    return Neo4j(next(version for version in VERSIONS if version.startswith(prefix)))


def ask(peer: str, task: dict[str, Any]) -> dict[str, float]:
    """One measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--one", peer, json.dumps(task)],
        env=dict(os.environ, ASYNCBOLT_IMPL="c"),
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise SystemExit(f"{peer}, {task['statement']}: {done.stderr.strip()}")
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


async def fill(uri: str, auth: tuple[str, str], rows: int) -> str:
    """Create the nodes; what the server calls itself."""
    async with asyncbolt.connect(uri, auth=auth) as session:
        await session.execute_many(CREATE.format(label="Person"), (person(i) for i in range(rows)))
        major, minor = session.version
        return f"{session.metadata['server']}, Bolt {major}.{minor}"


def tasks(server: Any, rows: int, repeat: int) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """What is measured: name, peers, and what each of them is told."""
    common = {"port": server.port, "pid": server.pid, "auth": server.auth}
    for name, statement in STATEMENTS.items():
        task = {"statement": statement.format(rows=rows), "rows": rows, "repeat": repeat, "write": False}
        yield name, READERS, {**common, **task}
    task = {"statement": CREATE.format(label="Copy"), "rows": max(BATCH, rows // 5), "write": True}
    yield "ingest", WRITERS, {**common, **task}


def amount(rate: float) -> str:
    return f"{rate / 1e6:.2f}M" if rate >= 1e6 else f"{rate / 1e3:.1f}k"


def ratio(above: list[dict[str, float]], below: list[dict[str, float]]) -> float:
    return statistics.median(a["rate"] / b["rate"] for a, b in zip(above, below, strict=True))


def show(name: str, results: dict[str, list[dict[str, float]]]) -> None:
    for peer, seen in results.items():
        rates = [answer["rate"] for answer in seen]
        middle = statistics.median(rates)
        spread = (max(rates) - min(rates)) / middle / 2
        client, server = (statistics.median(answer[side] for answer in seen) for side in ("client", "server"))
        line = (
            f"{name:10} {peer:13} {amount(middle):>8} ±{spread:4.0%}   CPU {client:5.2f} and {server:5.2f} s"
        )
        if peer not in ("raw", "official"):
            part = ratio(seen, results["raw"])
            line += f"   {part:.2f} of raw{'' if part >= TARGET else ' (!)'}"
            line += f"   {ratio(seen, results['official']):.1f}x official"
        print(line, flush=True)


def measure(options: argparse.Namespace) -> None:
    rows = 10_000 if options.quick else options.rows
    rounds = 1 if options.quick else options.rounds
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    with start_server(options.server) as server:
        agent = asyncio.run(fill(server.uri, server.auth, rows))
        print(
            f"{agent}: {rows} rows, {rounds} rounds; CPU of client and server for a million rows", flush=True
        )
        for name, peers, task in tasks(server, rows, repeat=2 if options.quick else 5):
            if options.only not in name:
                continue
            # A JIT needs to have seen it some times.
            for _ in range(1 if options.quick else 4):
                ask("raw", task)
            results[name] = {peer: [] for peer in peers}
            for _ in range(rounds):
                for peer in peers:
                    results[name][peer].append(ask(peer, task))
            show(name, results[name])
    if options.json:
        facts = {
            "server": agent,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "rows": rows,
            "rounds": rounds,
        }
        options.json.write_text(json.dumps({"facts": facts, "results": results}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", choices=("arcadedb", "neo4j-5", "neo4j-2026"), default="arcadedb")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="what contains this text: columns, nodes, ingest")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the rows, one round: proves that it runs"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one[0], json.loads(options.one[1]))))
    else:
        measure(options)


if __name__ == "__main__":
    main()
