"""The twins, the official driver and msgpack libraries side by side: rounds in turn, medians, their spread.

    python benchmarks/compare.py [--rounds 5] [--quick] [--only TEXT] [--languages] [--json FILE] [--write]
    python benchmarks/compare.py --render

What is measured stands in workloads.py, how in measure*.py. Each measurement runs in a process of its own
and checks what came out; in each round every peer has its turn at each workload. Peers run as their users run
them for speed, with the garbage collector as Python sets it.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import canned
import machine
import report
import workloads
from report import Results

FOLDER = Path(__file__).resolve().parent
NOT_APPLICABLE = 3  # the exit code of another language's program
Measured = dict[str, list[float]]


def measure(column: str, group: str, port: int, divisor: int, names: Sequence[str]) -> Measured:
    """Some measurements of one column in a process: name -> [units a second, share of the processor]."""
    # The client that asks a server is always the compiled one.
    twin = workloads.PYTHON if column == workloads.PYTHON and group != workloads.SERVER else workloads.C
    done = subprocess.run(
        [sys.executable, str(FOLDER / "measure.py"), column, group, str(port), str(divisor), *names],
        env=dict(os.environ, ASYNCBOLT_IMPL=twin),
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise SystemExit(f"{column}, {', '.join(names)}: {done.stderr.strip()}")
    measured: Measured = json.loads(done.stdout)
    return measured


def ask_language(command: Sequence[str], port: int, name: str, count: int) -> float | None:
    """Units a second of another language's driver, or None where it cannot do that."""
    done = subprocess.run(
        [*command, str(port), name, str(count)], capture_output=True, text=True, timeout=600
    )
    if done.returncode == NOT_APPLICABLE:
        return None
    if done.returncode:
        raise SystemExit(f"{command[0]}, {name}: {done.stderr.strip()}")
    return float(done.stdout)


def find_languages() -> dict[str, list[str]]:
    """The programs in other languages: name -> command."""
    try:
        run = importlib.import_module("languages.run")
    except ImportError as exc:
        raise SystemExit(f"--languages needs benchmarks/languages/run.py: {exc}") from None
    found: dict[str, list[str]] = run.available()
    if not found:
        raise SystemExit("--languages: no other language's driver can run here")
    return found


def noise() -> float:
    """Seconds for a fixed piece of pure computing: how much it varies, the machine does."""
    start = time.perf_counter()
    for _ in range(1_000_000):
        pass
    return time.perf_counter() - start


def turns(columns: Sequence[str], number: int) -> Iterator[str]:
    """The columns, each round beginning with another one."""
    for i in range(len(columns)):
        yield columns[(i + number) % len(columns)]


def facts(rounds: int) -> dict[str, Any]:
    """What the figures mean nothing without."""
    import asyncbolt

    return {
        **machine.facts(),
        "system": f"{platform.system()} {platform.machine()}",
        "asyncbolt": asyncbolt.__version__,
        **{package: machine.version(package) for package in ("msgspec", "ormsgpack")},
        "rounds": rounds,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }


def compare(rounds: int, quick: bool, only: str, languages: dict[str, list[str]]) -> Results:
    """Measure everything whose group and name contain a text."""
    divisor = 10 if quick else 1
    results = Results(facts(rounds))
    chosen = [work for work in workloads.WORK.values() if only in f"{work.group}: {work.name}"]
    if not chosen:
        there = ", ".join(f"{work.group}: {work.name}" for work in workloads.WORK.values())
        raise SystemExit(f"nothing is called {only!r}; there is: {there}")
    with canned.running() as port:
        for number in range(rounds):
            for group, columns in workloads.GROUPS.items():
                names = [work.name for work in chosen if work.group == group]
                # A process for each measurement; when only that everything runs is to be shown, for many.
                for together in [names] if quick and names else [[name] for name in names]:
                    print(f"round {number + 1}: {', '.join(together)}", file=sys.stderr, flush=True)
                    results.noise.append(noise())
                    for column in turns(columns, number):
                        for name, figures in measure(column, group, port, divisor, together).items():
                            results.add(name, column, *figures)
                    if group != workloads.CLIENT:
                        continue
                    for language, command in languages.items():
                        for name in together:
                            # Longer than the official driver's: theirs are faster, and some have to warm up.
                            count = workloads.WORK[name].count(workloads.OFFICIAL, divisor) * 3
                            rate = ask_language(command, port, name, count)
                            if rate is not None:
                                results.add(name, language, rate)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, once: proves that it runs")
    parser.add_argument("--only", default="", metavar="TEXT", help="what has this text in its group and name")
    parser.add_argument("--languages", action="store_true", help="drivers of other languages too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store the figures there")
    parser.add_argument("--write", action="store_true", help="store them as results.json, and do as --render")
    parser.add_argument("--render", action="store_true", help="make README, plot and docs from results.json")
    options = parser.parse_args()
    if options.write and (options.quick or options.only):
        parser.error("--write is for a full run: what README shows comes from one")
    if options.render:
        results = report.load()
    else:
        languages = find_languages() if options.languages else {}
        results = compare(1 if options.quick else options.rounds, options.quick, options.only, languages)
        if options.json:
            results.save(options.json)
        if options.write:
            results.save(report.RESULTS)
    print(report.table(results))
    if options.write or options.render:
        import plot

        report.write_readme(results)
        report.write_table(results)
        plot.write(results)


if __name__ == "__main__":
    main()
