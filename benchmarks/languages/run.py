"""Drivers of other languages, measured on the same bytes as asyncbolt.

    python benchmarks/languages/run.py build                what the toolchains on this machine can build
    python benchmarks/languages/run.py list                 what is built, and how it is called
    python benchmarks/languages/run.py measure [--only TEXT] [--rounds 3] [--quick] [--json FILE]

Each driver is a small program, ``<port> <name> <count>``, that prints units per second of one workload, after
a warm-up of its own; 3 is the exit code for what it has no way to do. They are configured as their users
configure them for speed; each program says how. Some end at Bolt 4.4: they get a server of their own with the
same rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from quiet import wait_for_quiet

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILT = ROOT / ".cache" / "languages"
NOT_APPLICABLE = 3
PATIENCE = 3.0  # seconds to wait for a quiet moment before each measurement
OURS = "asyncbolt"

# What is measured: name -> units of one run.
WORK = {
    "fetch int": 400_000,
    "fetch strings": 200_000,
    "fetch mixed": 200_000,
    "fetch node": 60_000,
    "fetch floats": 5_000,
    "fetch wide": 60_000,
    "batches mixed": 200_000,
    "batches floats": 5_000,
    "unwind": 100_000,
    "tiny one by one": 4_000,
}
# A heap that need not grow, and the collector for throughput.
JAVA_OPTIONS = ["-Xms2g", "-Xmx4g", "-XX:+UseParallelGC"]
RUST = {"rust neo4j": "neo4j", "rust neo4rs": "neo4rs", "rust bolt-client": "bolt_client"}
ONLY_4_4 = ("rust neo4rs", "rust bolt-client")


def programs() -> dict[str, list[str]]:
    """What is built: name -> command, to which the port, the workload and the count are added."""
    found: dict[str, list[str]] = {}
    node = shutil.which("node")
    if node and (BUILT / "javascript" / "node_modules").exists():
        found["javascript 6.x"] = [node, str(BUILT / "javascript" / "peer.mjs")]
    if (BUILT / "go").exists():
        found["go 6.x"] = [str(BUILT / "go")]
    java = shutil.which("java")
    if java and (BUILT / "java" / "classes" / "Peer.class").exists():
        classpath = f"{BUILT / 'java' / 'classes'}{os.pathsep}{BUILT / 'java' / 'lib' / '*'}"
        found["java 6.x"] = [java, *JAVA_OPTIONS, "-cp", classpath, "Peer"]
    for name, binary in RUST.items():
        if (path := BUILT / "rust" / "release" / binary).exists():
            found[name] = [str(path)]
    return found


def available() -> dict[str, list[str]]:
    """As `programs`, for any server: one that has no Bolt 4.4 is replaced for a driver that needs it."""
    wrapper = [sys.executable, str(Path(__file__).resolve()), "older"]
    return {name: [*wrapper, *call] if name in ONLY_4_4 else call for name, call in programs().items()}


def build() -> dict[str, str]:
    """Build what the toolchains on this machine allow; what came of each: "built", or why not."""
    BUILT.mkdir(parents=True, exist_ok=True)
    outcome: dict[str, str] = {}

    def attempt(name: str, tools: list[str], *steps: list[str], folder: Path, **environment: str) -> None:
        missing = [tool for tool in tools if shutil.which(tool) is None]
        if missing:
            outcome[name] = f"no {' and no '.join(missing)}"
            return
        for step in steps:
            if subprocess.run(step, cwd=folder, env={**os.environ, **environment}).returncode:
                outcome[name] = f"failed: {' '.join(step)}"
                return
        outcome[name] = "built"

    javascript = BUILT / "javascript"
    javascript.mkdir(exist_ok=True)
    for file in ("package.json", "package-lock.json", "peer.mjs"):
        shutil.copy(HERE / "javascript" / file, javascript)
    attempt(
        "javascript",
        ["node", "npm"],
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        folder=javascript,
    )
    attempt("go", ["go"], ["go", "build", "-trimpath", "-o", str(BUILT / "go"), "."], folder=HERE / "go")
    attempt(
        "java",
        ["mvn", "javac"],
        [
            "mvn", "-B", "-q", "dependency:copy-dependencies",
            f"-DoutputDirectory={BUILT / 'java' / 'lib'}", "-DincludeScope=runtime",
        ],
        [
            "javac", "--release", "17", "-cp", str(BUILT / "java" / "lib" / "*"),
            "-d", str(BUILT / "java" / "classes"), "Peer.java",
        ],
        folder=HERE / "java",
    )  # fmt: skip
    attempt(
        "rust",
        ["cargo"],
        ["cargo", "build", "--release", "--locked"],
        folder=HERE / "rust",
        CARGO_TARGET_DIR=str(BUILT / "rust"),
    )
    return outcome


def takes_4_4(port: str) -> bool:
    """Whether the server agrees to Bolt 4.4."""
    with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as connection:
        connection.sendall(bytes.fromhex("6060b017 00000404 00000000 00000000 00000000"))
        return connection.recv(4) == b"\x00\x00\x04\x04"


class Server:
    """A canned server in a process of its own, for the time of a ``with`` block; gives its port."""

    def __init__(self, program: Path) -> None:
        self.program = program

    def __enter__(self) -> str:
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), *sys.path[1:]]))
        self.process = subprocess.Popen(
            [sys.executable, str(self.program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __exit__(self, *exc: object) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def older(call: list[str]) -> int:
    """Run a program that speaks Bolt 4.4 only, on a server of its own if the one at its port does not."""
    *command, port, name, count = call
    if takes_4_4(port):
        return subprocess.run([*command, port, name, count]).returncode
    with Server(HERE / "canned_4_4.py") as another:
        return subprocess.run([*command, another, name, count]).returncode


def ours(port: str, name: str, number: str) -> int:
    """asyncbolt itself, with the command line of the others."""
    import shapes

    import asyncbolt

    count = int(number)
    kind, _, shape = name.partition(" ")

    async def main() -> float:
        async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:

            async def work(units: int) -> None:
                seen = units
                if kind == "fetch":
                    rows = await session.fetch(f"FETCH {shape} {units}")
                    assert rows[-1][0] is not None
                    seen = len(rows)
                elif kind == "batches":
                    seen = 0
                    async for batch in session.batches(f"FETCH {shape} {units}"):
                        for _row in batch:
                            seen += 1
                elif kind == "unwind":
                    for _ in range(units // 1000):
                        await session.execute(
                            "UNWIND $rows AS row CREATE (n:Person) SET n = row", {"rows": people}
                        )
                else:
                    for _ in range(units):
                        await session.fetch("FETCH int 1")
                assert seen == units, f"{seen} came out where {units} went in"

            people = shapes.people(1000)
            await work(min(count, max(1000, count // 5000 * 1000)))
            start = time.perf_counter()
            await work(count)
            return count / (time.perf_counter() - start)

    print(asyncio.run(main()))
    return 0


def ask(command: list[str], port: str, name: str, count: int) -> float | None:
    """One measurement in a process of its own: units per second, or None for what is not applicable."""
    wait_for_quiet(PATIENCE)
    done = subprocess.run([*command, port, name, str(count)], capture_output=True, text=True, timeout=300)
    if done.returncode == NOT_APPLICABLE:
        return None
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}, {name}: {done.stderr.strip()}")
    return float(done.stdout)


def amount(rate: float) -> str:
    return f"{rate / 1e6:.2f}M" if rate >= 1e6 else f"{rate / 1e3:.1f}k"


def measure(options: argparse.Namespace) -> None:
    """All workloads and languages: medians, and how asyncbolt stands to the best of the others."""
    others = {name: call for name, call in available().items() if options.language in name}
    if not others:
        raise SystemExit("nothing is built: run.py build")
    peers = {OURS: [sys.executable, str(Path(__file__).resolve()), "ours"], **others}
    widths = {peer: max(9, len(peer)) for peer in peers}
    print(f"{'':16}" + "".join(f"  {peer:>{widths[peer]}}" for peer in peers) + "   to the best")
    results: dict[str, dict[str, list[float]]] = {}
    with Server(HERE.parent / "canned.py") as port:
        for name, count in WORK.items():
            if options.only not in name:
                continue
            units = max(1000, count // 10) if options.quick else count
            rates = results[name] = {peer: [] for peer in peers}
            for _ in range(options.rounds):
                for peer, command in peers.items():
                    if (rate := ask(command, port, name, units)) is not None:
                        rates[peer].append(rate)
            middles = {peer: statistics.median(seen) for peer, seen in rates.items() if seen}
            best = max(middle for peer, middle in middles.items() if peer != OURS)
            cells = [f"{amount(middles[p]) if p in middles else '-':>{widths[p]}}" for p in peers]
            print(f"{name:16}  " + "  ".join(cells) + f"   {middles[OURS] / best:6.2f}x", flush=True)
    facts = {"machine": platform.machine(), "cores": os.cpu_count(), "rounds": options.rounds}
    if options.json:
        options.json.write_text(json.dumps({"facts": facts, "rates": results}, indent=1))


def main() -> int:
    # What programs are called with; the rest is for people.
    if sys.argv[1:2] == ["older"]:
        return older(sys.argv[2:])
    if sys.argv[1:2] == ["ours"]:
        return ours(*sys.argv[2:])
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build")
    commands.add_parser("list")
    measuring = commands.add_parser("measure")
    measuring.add_argument("--only", default="", help="workloads that contain this text")
    measuring.add_argument("--language", default="", help="peers that contain this text")
    measuring.add_argument("--rounds", type=int, default=3)
    measuring.add_argument("--quick", action="store_true", help="a tenth of the work: proves that it runs")
    measuring.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.command == "build":
        outcome = build()
        for name, what in outcome.items():
            print(f"{name}: {what}")
        return any(what.startswith("failed") for what in outcome.values())
    if options.command == "list":
        for name, call in programs().items():
            print(f"{name}: {' '.join(call)}")
    else:
        measure(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
