"""Runs a share of Testkit's stub tests against a backend of its own. Started by ``run.py``.

Prints one JSON object a line: first ``{"tests": n}``, then one for each test.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import importlib
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NoReturn

import forked_stub

_HERE: Final = Path(__file__).resolve().parent

# Numbers of Linux, for an interface of a network namespace.
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_IFREQ: Final = "16sh22x"


def parse() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("selectors", nargs="+")
    parser.add_argument("--testkit", type=Path, required=True)
    parser.add_argument("--backend-python", required=True)
    parser.add_argument("--host", required=True, help="where the backend and the stubs listen")
    parser.add_argument("--own-network", action="store_true", help="this is a network namespace")
    parser.add_argument("--share", type=int, nargs=2, required=True, metavar=("INDEX", "COUNT"))
    parser.add_argument("--ids", type=Path, help="a file of ids: run no others")
    parser.add_argument("--timeout", type=int, required=True, help="seconds for a test")
    parser.add_argument("--spawn-stubs", action="store_true", help="start an interpreter for each stub")
    parser.add_argument("--out", type=Path, required=True, help="a folder for logs and temporary files")
    return parser.parse_args()


def main() -> None:
    """Run the share."""
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if arguments.own_network:
        bring_up_loopback()
    # The checkout is not written to, and stub scripts are rewritten under fixed names.
    sys.pycache_prefix = str(arguments.out / "pycache")
    os.environ.update(PYTHONPYCACHEPREFIX=sys.pycache_prefix, PYTHONPATH=str(arguments.testkit))
    tempfile.tempdir = str(arguments.out)
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(arguments.testkit))
    os.chdir(arguments.testkit)
    with backend(arguments) as (host, port):
        os.environ.update(
            TEST_BACKEND_HOST=host,
            TEST_BACKEND_PORT=port,
            TEST_DRIVER_NAME="python",
            TEST_STUB_HOST=arguments.host,
        )
        adapt(arguments)
        check_features()
        tests = selected(arguments)
        report({"tests": len(tests)})
        for test in tests:
            report(run(test, arguments.timeout))


def report(what: dict[str, Any]) -> None:
    """Print an object, past anything that redirects standard output."""
    print(json.dumps(what), file=sys.__stdout__, flush=True)


def bring_up_loopback() -> None:
    """Do what ``ip link set lo up`` does: a new network namespace starts with it down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack(_IFREQ, b"lo", 0)
        _, flags = struct.unpack(_IFREQ, fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack(_IFREQ, b"lo", flags | _IFF_UP))


@contextlib.contextmanager
def backend(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Have a backend; give the address that it listens on."""
    environment = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
    command = [arguments.backend_python, str(_HERE / "serve.py"), "--host", arguments.host, "--port", "0"]
    with (
        open(arguments.out / "backend.log", "wb") as log,
        subprocess.Popen(
            [*command, "--verbose", "--until-stdin-ends"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        try:
            ready = process.stdout.readline().split()
            if ready[:1] != ["READY"]:
                raise SystemExit(f"the backend did not start: see {log.name}")
            yield ready[1], ready[2]
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def adapt(arguments: argparse.Namespace) -> None:
    """Keep Testkit to the addresses that it may use, and fork its stubs."""
    stubs: Any = importlib.import_module("tests.stub.shared")
    fork = forked_stub.available() and not arguments.spawn_stubs
    if fork:
        forked_stub.prepare()

    def start(command: list[str], **options: Any) -> Any:
        if not arguments.own_network:
            command = [part.replace("0.0.0.0:", f"{arguments.host}:") for part in command]
        if fork:
            return forked_stub.ForkedStub(command[command.index("boltstub") + 1 :])
        return subprocess.Popen(command, **options)

    stubs.subprocess = SimpleNamespace(Popen=start, PIPE=subprocess.PIPE)
    addresses = [arguments.host]
    if arguments.own_network:
        addresses.append("127.0.0.2")
    shared: Any = importlib.import_module("tests.shared")
    shared.get_ip_addresses = lambda exclude_loopback=True: list(addresses)


def check_features() -> None:
    """Stop when the backend is out of order, or every test would be skipped, or fail by something else."""
    shared = importlib.import_module("tests.shared")
    protocol = importlib.import_module("nutkit.protocol")
    probe = shared.new_backend()
    declared = set(probe.send_and_receive(protocol.GetFeatures()).features)
    probe.close()
    unknown = declared - {feature.value for feature in protocol.Feature}
    if unknown:
        raise SystemExit(f"this Testkit does not know the features {sorted(unknown)}")


def selected(arguments: argparse.Namespace) -> list[unittest.TestCase]:
    """Return the tests of this share."""
    loader = unittest.TestLoader()
    found: dict[str, unittest.TestCase] = {}

    def collect(suite: unittest.TestSuite) -> None:
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                collect(test)
            else:
                # A base class that a module imports is found there too.
                found.setdefault(test.id(), test)

    for selector in arguments.selectors:
        name = selector if selector.split(".")[0] == "tests" else f"tests.stub.{selector}"
        folder = arguments.testkit.joinpath(*name.split("."))
        if folder.is_dir():
            collect(loader.discover(str(folder), top_level_dir=str(arguments.testkit)))
        else:
            collect(loader.loadTestsFromName(name))
    if arguments.ids is not None:
        wanted = set(arguments.ids.read_text(encoding="utf-8").split())
        found = {name: test for name, test in found.items() if name in wanted}
    index, count = arguments.share
    return list(found.values())[index::count]


class _TooLong(Exception):
    """A test takes longer than it may."""


class _Result(unittest.TestResult):
    """What became of one test."""

    def __init__(self) -> None:
        super().__init__()
        self.complaints: list[str] = []
        self.reasons: list[str] = []
        self.good_subtests = 0

    def addError(self, test: Any, err: Any) -> None:
        self.complaints.append("".join(traceback.format_exception(*err)))

    addFailure = addError

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is None:
            self.good_subtests += 1
        else:
            self.complaints.append(f"{subtest}\n{''.join(traceback.format_exception(*err))}")

    def addSkip(self, test: Any, reason: str) -> None:
        self.reasons.append(reason)

    @property
    def outcome(self) -> str:
        if self.complaints:
            return "failed"
        return "skipped" if self.reasons and not self.good_subtests else "passed"


def run(test: unittest.TestCase, timeout: int) -> dict[str, Any]:
    """Run one test."""

    def expire(number: int, frame: object) -> NoReturn:
        raise _TooLong(f"broken off after {timeout} s")

    result = _Result()
    printed = io.StringIO()
    began = time.monotonic()
    signal.signal(signal.SIGALRM, expire)
    # Again every few seconds, since what cleans up may hang too.
    signal.setitimer(signal.ITIMER_REAL, timeout, 10)
    try:
        with contextlib.redirect_stdout(printed):
            test.run(result)
    except _TooLong as error:
        result.complaints.append(str(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {
        "id": test.id(),
        "outcome": result.outcome,
        "seconds": round(time.monotonic() - began, 2),
        "reasons": result.reasons,
        "complaints": result.complaints,
        "printed": printed.getvalue() if result.complaints else "",
    }


if __name__ == "__main__":
    main()
