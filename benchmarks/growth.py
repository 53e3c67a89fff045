"""How the time of one unit changes as units grow: columns, rows, tasks, connections, sizes, depth, streams.

    python benchmarks/growth.py [--quick] [--only TEXT] [--rounds 3] [--json FILE]

Each line is a process of its own, and the median of its rounds: the time of a unit and its ratio to the best
of the lines with fewer, and the same for the time of the processor. A line says "(bends)" where both are more
than 1.5: there something grows faster than the work. Where values are made and kept, the same is measured for
the interpreter itself, which takes new memory and misses caches too: marshal for one value, a list of tuples
for rows. A line that bends no more than 1.5 times as much as that says "(as memory)".

What is known to bend: messages of more than 2 MiB, since writer and reader do not keep larger buffers but
give them back to the system, which then clears each page of the next one anew; MALLOC_MMAP_THRESHOLD_ and
MALLOC_TRIM_THRESHOLD_ in the environment, both large, show that it is this.

Needs Linux; the longest lines need some GiB of memory, and are left out where that is not there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import marshal
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import canned
import machine
from machine import child, moment, number, size

BENDS = 1.5
LONG_ENOUGH = 0.1
PIECE = 256 * 1024
WARM = "FETCH int 1"

Answer = dict[str, Any]  # "seconds" and "cpu" of one unit, for each round; and more


class Clock:
    """Rounds of some work, each repeated until it takes long enough: seconds of a unit, and of the processor.

    The processor's are this process's, and those of a *server* (its pid) where that is measured too. What the
    work returns is let go inside the clock.
    """

    def __init__(self, units: int, server: int | None) -> None:
        self.units = units
        self.server = server
        self.again = 1
        self.answer: Answer = {"seconds": [], "cpu": []}

    def computed(self) -> float:
        return time.process_time() + (0.0 if self.server is None else machine.processor(self.server))

    def start(self) -> None:
        self.wall, self.cpu = time.perf_counter(), self.computed()

    def stop(self) -> None:
        wall, cpu = time.perf_counter() - self.wall, self.computed() - self.cpu
        self.answer["seconds"].append(wall / self.units / self.again)
        self.answer["cpu"].append(cpu / self.units / self.again)

    def warm(self) -> None:
        """The first round tells how often the others repeat the work."""
        self.stop()
        seconds = self.answer["seconds"].pop() * self.units
        self.answer["cpu"].clear()
        self.again = max(1, int(LONG_ENOUGH / seconds))


def timed(work: Callable[[], Any], units: int, rounds: int) -> Answer:
    clock = Clock(units, None)
    clock.start()
    work()
    clock.warm()
    for _ in range(rounds):
        gc.collect()
        clock.start()
        for _ in range(clock.again):
            work()
        clock.stop()
    return clock.answer


async def timed_async(
    work: Callable[[], Awaitable[Any]], units: int, rounds: int, server: int | None = None
) -> Answer:
    clock = Clock(units, server)
    clock.start()
    await work()
    clock.warm()
    for _ in range(rounds):
        gc.collect()
        clock.start()
        for _ in range(clock.again):
            await work()
        clock.stop()
    return clock.answer


def pieces_of(data: bytes) -> list[bytes]:
    """As they come from a socket."""
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


# ------------------------------------------------------------------------------------------- columns


def columns(way: str, units: int, rounds: int, scale: int) -> Answer:
    """Time of a value in rows of so many columns."""
    from asyncbolt.chunking import MessageReader, MessageWriter

    count = max(1, 400_000 // scale // units)
    rows = [tuple((i + k) * 7919 % 100_000 for k in range(units)) for i in range(count)]
    writer = MessageWriter()
    if way == "write":
        return timed(lambda: writer.records(rows), count * units, rounds)
    if way == "write maps":
        maps = [{f"c{k}": value for k, value in enumerate(row)} for row in rows]
        return timed(lambda: writer.message(0x10, "", {"rows": maps}, {}), count * units, rounds)
    pieces = pieces_of(writer.records(rows))
    return timed(lambda: read_all(MessageReader(), pieces), count * units, rounds)


def read_all(reader: Any, pieces: list[bytes]) -> list[Any]:
    kept = []
    for piece in pieces:
        kept += reader.feed(piece)
    return kept


async def fetch_columns(port: int, units: int, rounds: int, scale: int) -> Answer:
    import asyncbolt

    count = max(1, 400_000 // scale // units)
    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:
        statement = f"COLUMNS {units} {count}"
        await session.fetch(statement)
        return await timed_async(lambda: session.fetch(statement), count * units, rounds)


# ---------------------------------------------------------------------------------------------- rows


async def rows(port: int, way: str, units: int, rounds: int, scale: int) -> Answer:
    """Time of a row in a result of so many."""
    import asyncbolt

    statement = f"FETCH int {units}"
    if way == "fetch, no gc":
        gc.disable()
    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:

        async def fetch() -> Any:
            kept = await session.fetch(statement)
            if len(kept) != units:
                raise SystemExit(f"{len(kept)} rows where {units} were asked for")

        async def batches() -> Any:
            seen = 0
            async for batch in session.batches(statement):
                seen += len(batch)
            if seen != units:
                raise SystemExit(f"{seen} rows where {units} were asked for")

        await session.fetch(WARM)
        if way == "batches":
            return await timed_async(batches, units, rounds)
        answer = await timed_async(fetch, units, rounds)
        alone = timed(lambda: list(zip(range(40_000, 40_000 + units))), units, rounds)
        return {**answer, "alone": alone["cpu"]}


# --------------------------------------------------------------------------------------------- tasks


async def tasks(port: int, way: str, units: int, rounds: int, scale: int, fails: int = 0) -> Answer:
    """Time of a statement when so many tasks share a session, and how long they wait for it.

    Of so many statements one *fails*.
    """
    import asyncbolt

    # In quick runs too: with fewer for each task, what is measured is how asyncio makes tasks.
    each = max(4, 20_000 // units) if units > 100 or scale == 1 else 2000 // units
    waits: list[float] = []

    async def ask(target: Any, task: int) -> None:
        for turn in range(each):
            start = time.perf_counter()
            if way == "pool":
                async with target.acquire() as session:
                    await session.fetch(WARM)
            elif fails and not (task * each + turn) % fails:
                with contextlib.suppress(asyncbolt.ClientError):
                    await target.fetch("FAIL")
            else:
                await target.fetch(WARM)
            waits.append(time.perf_counter() - start)

    async def round() -> None:
        waits.clear()
        await asyncio.gather(*(ask(target, task) for task in range(units)))
        longest.append(max(waits))
        ratios.append(max(waits) / statistics.median(waits))

    uri = f"bolt://127.0.0.1:{port}"
    ratios: list[float] = []
    longest: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        target: Any
        if way == "pool":
            target = await stack.enter_async_context(asyncbolt.create_pool(uri, max_size=8))
        else:
            session = await stack.enter_async_context(asyncbolt.connect(uri))
            target = session
            if way == "transaction":
                target = await stack.enter_async_context(session.transaction())
        answer = await timed_async(round, each * units, rounds)
    worst = statistics.median(ratios)
    text = f"longest wait {moment(statistics.median(longest))}, {worst:.1f} times the median"
    return {**answer, "longest": longest, "unfairness": ratios, "text": text}


# --------------------------------------------------------------------------------------- connections


async def hold(port: int, count: int) -> None:
    """Open connections, tell how long it took, and hold them until the input ends."""
    import asyncbolt

    machine.more_files()
    uri = f"bolt://127.0.0.1:{port}"
    async with asyncbolt.connect(uri):
        pass
    before = machine.rss()
    held: list[Any] = []
    left = count

    async def open_some() -> None:
        nonlocal left
        while left:
            left -= 1
            held.append(await asyncbolt.connect(uri))

    start = time.perf_counter()
    await asyncio.gather(*(open_some() for _ in range(min(32, count))))
    seconds = (time.perf_counter() - start) / count
    print(json.dumps({"open": seconds, "rss": machine.rss() - before}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    # Not one by one: the process ends now.
    os._exit(0)


async def probe(port: int, server: int, rounds: int) -> Answer:
    """How long a connection and its login, and a tiny query, take from outside."""
    import asyncbolt

    uri = f"bolt://127.0.0.1:{port}"

    async def connect() -> None:
        for _ in range(50):
            session = await asyncbolt.connect(uri)
            session.abort()

    async def ask() -> None:
        for _ in range(200):
            await session.fetch("RETURN 1")

    await connect()
    connects = await timed_async(connect, 50, rounds, server)
    async with asyncbolt.connect(uri) as session:
        await ask()
        return {"connect": connects, "query": await timed_async(ask, 200, rounds, server)}


@contextlib.contextmanager
def held(port: int, count: int) -> Iterator[list[Answer]]:
    """Connections that two processes hold; what each of them told."""
    shares = [count] if count < 2000 else [count // 2, count - count // 2]
    script = str(Path(__file__).resolve())
    processes: list[subprocess.Popen[str]] = []
    try:
        for share in shares:
            processes.append(
                subprocess.Popen(
                    [sys.executable, script, "--one", "hold", json.dumps({"port": port, "count": share})],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        told = []
        for process in processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{count} connections could not be opened")
            told.append(json.loads(line))
        yield told
    finally:
        for process in processes:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            process.wait(60)
            process.stdout.close()


# --------------------------------------------------------------------------------------------- sizes


def make(kind: str, units: int) -> Any:
    if kind == "string":
        return "x" * units
    if kind == "wide string":
        return "ж" * units
    if kind == "bytes":
        return bytes(units)
    if kind == "list":
        return [i * 7919 % 100_000 for i in range(units)]
    if kind == "list of strings":
        return [f"s{i}" for i in range(units)]
    if kind == "map":
        return {f"k{i}": i for i in range(units)}
    value: Any = 1
    for level in range(units):
        value = {"k": value} if level & 1 else [value]
    return value


def sizes(way: str, kind: str, units: int, rounds: int, scale: int) -> Answer:
    """Time of an element (a byte, a character, an item, a level) of one value."""
    from asyncbolt.chunking import MessageReader, MessageWriter

    value = make(kind, units)
    writer = MessageWriter()
    # Nothing of the interpreter's is like text whose characters have to be looked at.
    yardstick: Answer = {}
    if kind != "wide string":
        data = marshal.dumps(value)
        alone = timed(lambda: marshal.dumps(value) if way == "write" else marshal.loads(data), units, rounds)
        yardstick = {"alone": alone["cpu"]}
    if way == "write":
        return yardstick | timed(lambda: writer.message(0x10, "", {"value": value}, {}), units, rounds)
    pieces = pieces_of(writer.records([(value,)]))

    def read() -> None:
        kept = read_all(MessageReader(), pieces)
        if len(kept) != 1 or type(kept[0]) is not list:
            raise SystemExit(f"this was not read: {kept}")

    return yardstick | timed(read, units, rounds)


async def carried(port: int, way: str, units: int, rounds: int, scale: int) -> Answer:
    """Time of a byte of one value through the client and a socket."""
    import asyncbolt

    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:
        value = bytes(units)

        async def send() -> None:
            await session.execute("UNWIND $value", {"value": value})

        async def receive() -> None:
            await session.fetch(f"BYTES {units}")

        work = send if way == "write" else receive
        return await timed_async(work, units, rounds)


# ------------------------------------------------------------------------------------------- streams


async def streams(
    port: int, server: int | None, statement: str, units: int, rounds: int, scale: int
) -> Answer:
    """Time of one of five portions when so many streams of one transaction are read in turn."""
    import asyncbolt

    portions = 5

    async def work() -> None:
        async with session.transaction() as tx:
            text = f"{statement} {portions * 10}"
            open_streams = [tx.batches(text, fetch_size=10) for _ in range(units)]
            seen = 0
            while open_streams:
                going_on = []
                for stream in open_streams:
                    try:
                        seen += len(await stream.__anext__())
                    except StopAsyncIteration:
                        continue
                    going_on.append(stream)
                open_streams = going_on
            if seen != portions * 10 * units:
                raise SystemExit(f"{seen} rows where {portions * 10 * units} were asked for")

    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:
        await session.fetch(f"{statement} 1")
        return await timed_async(work, units * portions, rounds, server)


CHILDREN: dict[str, Callable[..., Any]] = {
    "columns": columns,
    "fetch columns": fetch_columns,
    "rows": rows,
    "tasks": tasks,
    "hold": hold,
    "probe": probe,
    "sizes": sizes,
    "carried": carried,
    "streams": streams,
}


# ---------------------------------------------------------------------------------------- the parent


class Report:
    """Lines as they are known, and everything for the JSON."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.only: str = options.only
        self.rounds: int = options.rounds
        self.scale: int = 10 if options.quick else 1
        self.quick: bool = options.quick
        self.results: dict[str, list[Answer]] = {}
        self.bends: list[str] = []

    def wanted(self, name: str) -> bool:
        return self.only in name

    def line(self, name: str, units: int, answer: Answer) -> None:
        """One size of a series; the sizes come from small to large.

        Only what takes both longer and more of the processor bends: other processes take time, too.
        """
        if name not in self.results:
            print(name)
        lines = self.results.setdefault(name, [])
        middle = statistics.median(answer["seconds"])
        computed = statistics.median(answer["cpu"])
        best = min([middle, *(line["middle"] for line in lines)])
        best_computed = min([computed, *(line["middle cpu"] for line in lines)])
        bent = middle > BENDS * best and computed > BENDS * best_computed
        verdict = "(bends)" if bent else ""
        if "alone" in answer:
            alone = statistics.median(answer["alone"])
            ratio = alone / min([alone, *(line["middle alone"] for line in lines)])
            answer.update({"middle alone": alone, "text": f"interpreter {moment(alone)} {ratio:.2f}"})
            if bent and computed / best_computed < BENDS * ratio:
                bent, verdict = False, "(as memory)"
        line = {
            "units": units,
            "middle": middle,
            "middle cpu": computed,
            "ratio": middle / best,
            "bends": bent,
        }
        lines.append({**line, **answer})
        if bent:
            self.bends.append(f"{name} at {number(units)}")
        print(
            f"    {number(units):>6}   {moment(middle):>8}   {middle / best:5.2f}   cpu {moment(computed):>8}"
            f"   {computed / best_computed:5.2f}"
            f"  {verdict:11}  {answer.get('text', '')}".rstrip(),
            flush=True,
        )

    def series(
        self,
        name: str,
        function: str,
        units: list[int],
        *,
        pure: bool = False,
        needs: int = 0,
        **arguments: Any,
    ) -> None:
        """One child for each size. *needs*: bytes of memory that a unit takes."""
        if not self.wanted(name):
            return
        for count in units:
            if count * needs > machine.available() * 0.6:
                print(f"    {number(count):>6}   left out: it takes {size(count * needs)}")
                continue
            work = {"units": count, "rounds": self.rounds, "scale": self.scale, **arguments}
            self.line(name, count, child(str(Path(__file__).resolve()), function, work, pure=pure))


def measure(report: Report) -> None:
    quick = report.quick
    most = 10**6 if quick else 10**7
    widths = [1, 10, 100, 1000]
    counts = [count for count in (1, 100, 10**4, 10**6, 10**7) if count <= most]
    amounts = [1, 10, 1000, 10**5, 10**6, 10**7]
    for pure in (False, True):
        twin = ", pure twin" if pure else ""
        for way in ("read", "write", "write maps"):
            report.series(f"columns, {way}{twin}: a value", "columns", widths, pure=pure, way=way)
    with machine.serving("peer_servers.py", "sink") as (port, _):
        report.series("columns, fetch: a value", "fetch columns", widths, port=port)
        report.series("columns, fetch, pure twin: a value", "fetch columns", widths, pure=True, port=port)

    with canned.running() as port:
        for way, needs in (("fetch", 130), ("fetch, no gc", 130), ("batches", 0)):
            report.series(f"rows, {way}: a row", "rows", counts, needs=needs, port=port, way=way)
        crowd = [1, 10, 100, 1000, 5000]
        for way in ("session", "transaction", "pool"):
            report.series(f"tasks on one {way}: a statement", "tasks", crowd, port=port, way=way)

    connections(report, [1, 10, 100, 1000] if quick else [1, 10, 100, 1000, 10_000])

    for pure in (False, True):
        twin = ", pure twin" if pure else ""
        for kind in ("string", "wide string", "bytes", "list", "list of strings", "map"):
            cheap = kind in ("string", "wide string", "bytes")
            limit = 10**7 if cheap else 10**6 if pure else most
            for way in ("read", "write"):
                report.series(
                    f"{kind}, {way}{twin}: an element",
                    "sizes",
                    [amount for amount in amounts if amount <= limit],
                    pure=pure,
                    needs=10 if cheap else 300,
                    way=way,
                    kind=kind,
                )
        for way in ("read", "write"):
            report.series(
                f"nesting, {way}{twin}: a level",
                "sizes",
                [1, 10, 50, 100, 190],
                pure=pure,
                way=way,
                kind="nesting",
            )
    with machine.serving("peer_servers.py", "sink") as (port, _):
        for pure in (False, True):
            twin = ", pure twin" if pure else ""
            for way, what in (("read", "fetch"), ("write", "execute")):
                report.series(
                    f"one value through {what}{twin}: a byte",
                    "carried",
                    [1, 1000, 10**5, 10**6, 10**7, *([] if quick else [10**8])],
                    pure=pure,
                    needs=10,
                    port=port,
                    way=way,
                )

        for fails, which in ((10, "every tenth"), (1, "each")):
            report.series(
                f"tasks on one session, {which} fails: a statement",
                "tasks",
                [1, 10, 100, 1000],
                port=port,
                way="session",
                fails=fails,
            )
        report.series(
            "streams of one transaction: ten rows",
            "streams",
            [1, 10, 100, 1000],
            port=port,
            server=None,
            statement="COLUMNS 1",
        )
    with machine.serving("peer_servers.py", "generator") as (port, pid):
        report.series(
            "streams of one transaction, toolkit: ten rows",
            "streams",
            [1, 10, 100, 1000],
            port=port,
            server=pid,
            statement="ROWS plain",
        )


def connections(report: Report, counts: list[int]) -> None:
    """Connections to a server of ours: each line has a server of its own."""
    names = {
        "open": "open connections: one more, 32 at a time",
        "connect": "open connections: connect and login, one by one",
        "query": "open connections: a tiny query",
    }
    if not any(report.wanted(name) for name in names.values()):
        return
    found: dict[str, list[tuple[int, Answer]]] = {key: [] for key in names}
    room = machine.more_files()
    for count in counts:
        if count + 500 > room:
            print(f"    {number(count):>6}   left out: only {room} files may be open")
            continue
        with machine.serving("peer_servers.py", "tiny") as (port, pid):
            work = {"port": port, "server": pid, "rounds": report.rounds}
            child(str(Path(__file__).resolve()), "probe", {**work, "rounds": 1})
            before, computed = machine.rss(pid), machine.processor(pid)
            with held(port, count) as told:
                computed = (machine.processor(pid) - computed) / count
                server = (machine.rss(pid) - before) / count
                client = sum(each["rss"] for each in told) / count
                opened: Answer = {
                    "seconds": [each["open"] / len(told) for each in told],
                    "cpu": [computed],
                    "server": server,
                    "client": client,
                    "text": f"server {size(server)}, client {size(client)} for each",
                }
                answer = child(str(Path(__file__).resolve()), "probe", work)
        found["open"].append((count, opened))
        for key in ("connect", "query"):
            found[key].append((count, answer[key]))
    for key, name in names.items():
        for count, line in found[key]:
            report.line(name, count, line)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="less of everything: proves that it runs")
    parser.add_argument("--only", default="", help="what contains this text")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, arguments = options.one
        answer = CHILDREN[name](**json.loads(arguments))
        print(json.dumps(asyncio.run(answer) if asyncio.iscoroutine(answer) else answer))
        return
    report = Report(options)
    measure(report)
    facts = {**machine.facts(), "rounds": options.rounds, "quick": options.quick}
    print(json.dumps(facts))
    for bend in report.bends:
        print(f"bends: {bend}")
    if options.json:
        options.json.write_text(json.dumps({"facts": facts, "results": report.results}, indent=1))


if __name__ == "__main__":
    main()
