"""Runs the programs of ``examples/`` as a newcomer does: in a process of their own, with this Python."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncbolt

__all__ = ["EXAMPLES", "example", "run_example", "serving"]

EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT = 120


def _command(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-bb", "-W", "error", str(EXAMPLES / name), *map(str, arguments)]


def _environment(**more: str) -> dict[str, str]:
    # The asyncbolt that is tested, wherever it was imported from.
    path = str(Path(asyncbolt.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **more}


def run_example(name: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one to its end; its exit code is for the caller to judge."""
    return subprocess.run(
        _command(name, *arguments),
        env=_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


@contextlib.contextmanager
def example(name: str, *arguments: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start one, with pipes for what it prints; it is killed at the end of the block if it still runs."""
    process = subprocess.Popen(
        _command(name, *arguments),
        env=_environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(TIMEOUT, process.kill)
    watchdog.start()
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        watchdog.cancel()


@contextlib.contextmanager
def serving(name: str, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a server of the examples on a free port of 127.0.0.1; gives the process and the port."""
    with example(name, "--host", "127.0.0.1", "--port", 0, *arguments) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("Serving on 127.0.0.1:"):
            _, complaint = process.communicate()
            raise AssertionError(f"{name} did not start: {line}{complaint}")
        yield process, int(line.rpartition(":")[2])
