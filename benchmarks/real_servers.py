"""asyncbolt on real databases beside a raw socket: how much of what a server can give comes out decoded.

    python benchmarks/real_servers.py [--server arcadedb|neo4j-5|neo4j-2026] [--rows 50000] [--rounds 15]
                                      [--only TEXT] [--peers LIST] [--quick] [--json FILE]

Everybody gets the same statements from the same warmed-up server, each in a process of its own that lives as
long as the statement is measured, in rounds of short turns:

* ``raw``: a blocking socket that sends asyncbolt's own bytes, RUN and PULL -1, and reads into one large
  buffer until the final SUCCESS, without a look at the rows. No client can be faster. For the ingest it sends
  batches packed beforehand, as many at once as ``execute_many`` has on its way.
* ``fetch``, ``batches``, ``execute_many``: asyncbolt.
* ``official``: the neo4j driver for asyncio, with its Rust extension where that is installed.

Shown are medians of rows per second with half the distance of their quartiles, the best turn, the seconds of
CPU that peer and server take for a million rows, the medians of the rounds' ratios to ``raw`` and to
``official``, and the ratio of the best turns. The server runs on the same machine: what a client burns, a
server with many threads may lack.

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
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))

from quiet import wait_for_quiet

import asyncbolt
from asyncbolt.client.bulk import _DEPTH as DEPTH
from asyncbolt.protocol import ClientConnection, FailureReceived

TARGET = 0.85  # of the raw socket
READ = 1 << 22
PATIENCE = 0.5  # seconds to wait for a quiet moment before each turn
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
# What a peer is told, and the figures of its turns.
Task = dict[str, Any]
Turns = dict[str, list[list[float]]]
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


# ------------------------------------------------------------------------------------- one measured process


def cpu_of(pid: int) -> float:
    """Seconds of CPU of all threads of a process; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check(seen: int, rows: int) -> None:
    if seen != rows:
        raise SystemExit(f"{seen} rows came out where {rows} were asked for")


class Clock:
    """Tells the parent what a turn took: seconds, and seconds of CPU of this process and of the server."""

    def __init__(self, server: int) -> None:
        self.server = server

    def __enter__(self) -> None:
        self.server_cpu = cpu_of(self.server)
        self.cpu = time.process_time()
        self.start = time.perf_counter()

    def __exit__(self, *exc: object) -> None:
        elapsed = time.perf_counter() - self.start
        figures = [elapsed, time.process_time() - self.cpu, cpu_of(self.server) - self.server_cpu]
        print(json.dumps(figures), flush=True)


async def take_turns(pid: int, turn: Callable[[], Awaitable[None]]) -> None:
    """A turn for each line on standard input."""
    clock = Clock(pid)
    # Nothing is to happen on this event loop while others have their turns, so it may as well be blocked.
    while sys.stdin.readline():
        with clock:
            await turn()


async def read_raw(task: Task, peer: str) -> None:
    raw = Raw(task["port"], task["auth"])
    data = raw.packed(task["statement"])

    async def turn() -> None:
        raw.read(data)

    await take_turns(task["pid"], turn)


async def write_raw(task: Task, peer: str) -> None:
    raw = Raw(task["port"], task["auth"])
    rows = [person(i) for i in range(task["rows"])]
    parts = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
    batches = [raw.packed(task["statement"], {"rows": part}, discard=True) for part in parts]

    async def turn() -> None:
        raw.write(batches)

    await take_turns(task["pid"], turn)


async def read_asyncbolt(task: Task, peer: str) -> None:
    # "batches 4000" is for a PULL of that size
    kind, _, size = peer.partition(" ")
    async with asyncbolt.connect(f"bolt://127.0.0.1:{task['port']}", auth=tuple(task["auth"])) as session:

        async def fetch() -> None:
            check(len(await session.fetch(task["statement"])), task["rows"])

        async def batches() -> None:
            seen = 0
            async for batch in session.batches(task["statement"], fetch_size=int(size) if size else None):
                seen += len(batch)
            check(seen, task["rows"])

        await take_turns(task["pid"], fetch if kind == "fetch" else batches)


async def write_asyncbolt(task: Task, peer: str) -> None:
    rows = [person(i) for i in range(task["rows"])]
    async with asyncbolt.connect(f"bolt://127.0.0.1:{task['port']}", auth=tuple(task["auth"])) as session:

        async def turn() -> None:
            check((await session.execute_many(task["statement"], rows)).rows, task["rows"])

        await take_turns(task["pid"], turn)


async def use_official(task: Task, peer: str) -> None:
    import neo4j

    uri = f"bolt://127.0.0.1:{task['port']}"
    rows = [person(i) for i in range(task["rows"])]
    async with neo4j.AsyncGraphDatabase.driver(uri, auth=tuple(task["auth"])) as driver:
        async with driver.session(fetch_size=1000) as session:

            async def read() -> None:
                result = await session.run(task["statement"])
                check(len([record async for record in result]), task["rows"])

            async def write() -> None:
                for at in range(0, len(rows), BATCH):
                    await (await session.run(task["statement"], rows=rows[at : at + BATCH])).consume()

            await take_turns(task["pid"], write if task["write"] else read)


def one(peer: str, task: Task) -> None:
    """What a child process does."""
    if peer == "official":
        asyncio.run(use_official(task, peer))
    elif peer == "raw":
        asyncio.run((write_raw if task["write"] else read_raw)(task, peer))
    else:
        asyncio.run((write_asyncbolt if task["write"] else read_asyncbolt)(task, peer))


# ------------------------------------------------------------------------------------------ the whole of it


class Child:
    """A peer in a process of its own, which does nothing until its turn."""

    def __init__(self, peer: str, task: Task) -> None:
        self.peer = peer
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--one", peer, json.dumps(task)],
            env=dict(os.environ, ASYNCBOLT_IMPL="c"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def turn(self) -> list[float]:
        """Seconds, and seconds of CPU of the peer and of the server."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.peer} has ended with exit code {self.process.wait()}")
        figures: list[float] = json.loads(line)
        return figures

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def start_server(name: str) -> Any:
    """A server of the tests that is not running yet."""
    if name == "arcadedb":
        from arcadedb_server import ArcadeDB

        return ArcadeDB()
    from neo4j_server import VERSIONS, Neo4j

    prefix = "5." if name == "neo4j-5" else "20"
    return Neo4j(next(version for version in VERSIONS if version.startswith(prefix)))


async def fill(uri: str, auth: tuple[str, str], rows: int) -> str:
    """Create the nodes; what the server calls itself."""
    async with asyncbolt.connect(uri, auth=auth) as session:
        await session.execute_many(CREATE.format(label="Person"), (person(i) for i in range(rows)))
        major, minor = session.version
        return f"{session.metadata['server']}, Bolt {major}.{minor}"


def tasks(server: Any, rows: int) -> Iterator[tuple[str, Task]]:
    """What is measured, and what each peer is told."""
    common = {"port": server.port, "pid": server.pid, "auth": server.auth}
    for name, statement in STATEMENTS.items():
        yield name, {**common, "statement": statement.format(rows=rows), "rows": rows, "write": False}
    ingest = {"statement": CREATE.format(label="Copy"), "rows": max(BATCH, rows // 5), "write": True}
    yield "ingest", {**common, **ingest}


def rounds_of(task: Task, peers: Sequence[str], rounds: int, warm_up: int) -> Turns:
    """The turns of all peers, round by round."""
    turns: Turns = {peer: [] for peer in peers}
    children = [Child(peer, task) for peer in peers]
    try:
        # The server's JIT needs to have seen it some times, and so does each connection.
        for _ in range(warm_up):
            children[0].turn()
        for child in children:
            child.turn()
        for _ in range(rounds):
            for child in children:
                wait_for_quiet(PATIENCE)
                turns[child.peer].append(child.turn())
    finally:
        for child in children:
            child.close()
    return turns


def amount(rate: float) -> str:
    return f"{rate / 1e6:.2f}M" if rate >= 1e6 else f"{rate / 1e3:.1f}k"


def ratio(ours: list[list[float]], theirs: list[list[float]]) -> float:
    """How many times faster, round by round: a neighbour that slows down one slows down the other."""
    return statistics.median(b[0] / a[0] for a, b in zip(ours, theirs, strict=True))


def show(name: str, rows: int, turns: Turns) -> None:
    for peer, seen in turns.items():
        rates = sorted(rows / figures[0] for figures in seen)
        middle = statistics.median(rates)
        spread = (rates[-1 - len(rates) // 4] - rates[len(rates) // 4]) / 2 / middle
        client, server = (
            sum(column) / len(seen) / rows * 1e6 for column in list(zip(*seen, strict=True))[1:]
        )
        line = f"{name:9} {peer:12} {amount(middle):>7} ±{spread:4.0%}  best {amount(rates[-1]):>7}"
        line += f"  CPU {client:5.2f} and {server:6.2f} s"
        if peer not in ("raw", "official"):
            part = ratio(seen, turns["raw"])
            best = rates[-1] * min(figures[0] for figures in turns["raw"]) / rows
            line += f"  {part:.2f} of raw, at best {best:.2f}{'' if max(part, best) >= TARGET else ' (!)'}"
            if "official" in turns:
                line += f"  {ratio(seen, turns['official']):.1f}x official"
        print(line, flush=True)


def measure(options: argparse.Namespace) -> None:
    rows = 5_000 if options.quick else options.rows
    rounds = 2 if options.quick else options.rounds
    results: dict[str, Turns] = {}
    with start_server(options.server) as server:
        agent = asyncio.run(fill(server.uri, server.auth, rows))
        print(f"{agent}: {rows} rows, {rounds} rounds; CPU of peer and server per million rows", flush=True)
        for name, task in tasks(server, rows):
            if options.only not in name:
                continue
            peers = options.peers.split(",") if options.peers else WRITERS if task["write"] else READERS
            results[name] = rounds_of(task, peers, rounds, 2 if options.quick else 10)
            show(name, task["rows"], results[name])
    if options.json:
        facts = {
            "server": agent,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "rows": rows,
            "rounds": rounds,
            "turns": "seconds, seconds of CPU of the peer, seconds of CPU of the server",
        }
        options.json.write_text(json.dumps({"facts": facts, "turns": results}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", choices=("arcadedb", "neo4j-5", "neo4j-2026"), default="arcadedb")
    parser.add_argument("--rows", type=int, default=50_000, help="of each statement")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="what contains this text: columns, nodes, ingest")
    parser.add_argument("--peers", default="", help='for example "raw,batches 1000,batches -1"')
    parser.add_argument("--quick", action="store_true", help="few rows, two rounds: proves that it runs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one[0], json.loads(options.one[1]))
    else:
        measure(options)


if __name__ == "__main__":
    main()
