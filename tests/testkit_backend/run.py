"""Runs Testkit's stub tests against the driver: ``run.py --testkit <checkout of neo4j-drivers/testkit>``.

The tests are shared out to processes that cannot get into each other's way: each has a network namespace of
its own where the system allows that, otherwise a loopback address of its own. Nothing listens on any other
address. The last line is ``passed N failed N skipped N``. Fails when a test fails, or when one that is in
``expected.txt`` does not pass.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final, TextIO

_HERE: Final = Path(__file__).resolve().parent
_EXPECTED: Final = _HERE / "expected.txt"
_UNSHARE: Final = ["unshare", "--map-root-user", "--net"]
# The few tests that say so need a second address, which only a network namespace has.
_ONE_ADDRESS: Final = "at least 2 IP addresses are required"
_LINE_LIMIT: Final = 1 << 26
_MOST_LINES: Final = 20


def parse() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description="Testkit's stub tests against asyncbolt's driver")
    parser.add_argument(
        "selectors",
        nargs="*",
        default=["tests.stub"],
        help="what to run, such as 'retry', 'retry.test_retry' or a whole id; default: everything",
    )
    parser.add_argument("--testkit", type=Path, required=True, help="a checkout of neo4j-drivers/testkit")
    parser.add_argument("--shards", type=int, default=4, help="processes; their tests mostly wait (4)")
    parser.add_argument("--timeout", type=int, default=120, help="seconds for one test (120)")
    parser.add_argument("--ids", type=Path, help="a file of ids: run no others")
    parser.add_argument("--out", type=Path, help="a folder for results and logs; default: a temporary one")
    parser.add_argument("--backend-python", default=sys.executable, help="the Python that the driver runs on")
    parser.add_argument("--plain", action="store_true", help="no network namespaces")
    parser.add_argument("--spawn-stubs", action="store_true", help="an interpreter for each stub server")
    arguments = parser.parse_args()
    if not (arguments.testkit / "nutkit" / "protocol").is_dir():
        parser.error(f"{arguments.testkit} is no checkout of Testkit (neo4j-drivers/testkit)")
    python = shutil.which(arguments.backend_python)
    if python is None:
        parser.error(f"there is no {arguments.backend_python}")
    arguments.backend_python = os.path.abspath(python)  # shards run in another folder
    return arguments


def own_networks() -> bool:
    """Whether a process may have a network namespace."""
    if shutil.which(_UNSHARE[0]) is None:
        return False
    return subprocess.run([*_UNSHARE, "true"], capture_output=True).returncode == 0


def loopback_hosts(count: int) -> list[str]:
    """Return up to *count* addresses of this machine alone. Not every system has more than one."""
    hosts = [f"127.0.0.{11 + index}" for index in range(count)]
    for host in hosts:
        with socket.socket() as probe:
            try:
                probe.bind((host, 0))
            except OSError:
                return ["127.0.0.1"]
    return hosts


class Run:
    """All shards, and what came out of them."""

    def __init__(
        self, arguments: argparse.Namespace, out: Path, results: TextIO, failures: TextIO
    ) -> None:
        self.arguments = arguments
        self.out = out
        self.results: dict[str, dict[str, Any]] = {}
        self._results = results
        self._failures = failures
        self._total = 0
        self._began = time.monotonic()

    async def shards(self) -> bool:
        """Run all shards; return whether all came to their end."""
        namespaces = not self.arguments.plain and own_networks()
        count = self.arguments.shards
        hosts = ["127.0.0.1"] * count if namespaces else loopback_hosts(count)
        print(f"{len(hosts)} shards, {'network namespaces' if namespaces else ', '.join(hosts)}", flush=True)
        codes = await asyncio.gather(
            *(self._shard(host, index, len(hosts), namespaces) for index, host in enumerate(hosts))
        )
        for index, code in enumerate(codes):
            if code:
                print(f"shard {index} ended with {code}")
        return not any(codes)

    async def _shard(self, host: str, index: int, count: int, namespace: bool) -> int:
        arguments = self.arguments
        folder = self.out / f"shard{index}"
        folder.mkdir(exist_ok=True)
        command = [*(_UNSHARE if namespace else ()), sys.executable, str(_HERE / "shard.py")]
        command += ["--testkit", str(arguments.testkit.resolve()), "--host", host, "--out", str(folder)]
        command += ["--share", str(index), str(count), "--timeout", str(arguments.timeout)]
        command += ["--backend-python", arguments.backend_python]
        if namespace:
            command.append("--own-network")
        if arguments.spawn_stubs:
            command.append("--spawn-stubs")
        if arguments.ids is not None:
            command += ["--ids", str(arguments.ids.resolve())]
        process = await asyncio.create_subprocess_exec(
            *command, *arguments.selectors, stdout=subprocess.PIPE, limit=_LINE_LIMIT
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                report = json.loads(line)
                if "tests" in report:
                    self._total += report["tests"]
                else:
                    self._note(report)
            return await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()

    def _note(self, report: dict[str, Any]) -> None:
        """Take the report of one test."""
        self.results[report["id"]] = report
        printed = report.pop("printed")
        print(json.dumps(report), file=self._results, flush=True)
        if report["outcome"] == "failed":
            text = "\n".join([*report["complaints"], printed])
            print(f"==== {report['id']}\n{text}\n", file=self._failures, flush=True)
            print("FAILED", report["id"], flush=True)
        if len(self.results) % 100 == 0:
            seconds = time.monotonic() - self._began
            print(f"{len(self.results)} of {self._total}, {seconds:.0f} s", flush=True)

    def verdict(self, expected: set[str]) -> bool:
        """Print what came out; return whether it is as expected."""
        outcomes = Counter(report["outcome"] for report in self.results.values())
        passed = {name for name, report in self.results.items() if report["outcome"] == "passed"}
        short = {
            name
            for name, report in self.results.items()
            if any(_ONE_ADDRESS in reason for reason in report["reasons"])
        }
        everything = self.arguments.selectors == ["tests.stub"] and self.arguments.ids is None
        wanted = expected if everything else expected & self.results.keys()
        missing = wanted - passed - short
        for name in sorted(missing & self.results.keys()):
            if self.results[name]["outcome"] == "skipped":
                print("SKIPPED, but in expected.txt:", name, *self.results[name]["reasons"][:1])
        gone = sorted(missing - self.results.keys())
        for name in gone[:_MOST_LINES]:
            print("NOT RUN, but in expected.txt:", name)
        if len(gone) > _MOST_LINES:
            print(f"... and {len(gone) - _MOST_LINES} more")
        for name in sorted(passed - expected):
            print("NEW, not in expected.txt:", name)
        if short & expected:
            print(f"{len(short & expected)} expected tests need two addresses: a network namespace")
        print(f"details in {self.out}")
        print(f"passed {outcomes['passed']} failed {outcomes['failed']} skipped {outcomes['skipped']}")
        return not missing and not outcomes["failed"]


def main() -> int:
    """Run the tests; return 0 when all is as expected."""
    arguments = parse()
    out: Path = arguments.out or Path(tempfile.mkdtemp(prefix="testkit-"))
    out.mkdir(parents=True, exist_ok=True)
    expected = set(_EXPECTED.read_text(encoding="utf-8").split())
    with (
        open(out / "results.jsonl", "w", encoding="utf-8") as results,
        open(out / "failures.log", "w", encoding="utf-8") as failures,
    ):
        run = Run(arguments, out.resolve(), results, failures)
        complete = asyncio.run(run.shards())
    return 0 if run.verdict(expected) and complete else 1


if __name__ == "__main__":
    sys.exit(main())
