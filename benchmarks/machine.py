"""What the measuring programs share: the machine's facts, processes' memory, children that answer in JSON."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MIB = 2**20
FOLDER = Path(__file__).resolve().parent


def _status(name: str, pid: int | str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"process {pid} has no {name}: this runs on Linux only")


def rss(pid: int | str = "self") -> int:
    """Resident memory in bytes."""
    return _status("VmRSS:", pid)


def peak(pid: int | str = "self") -> int:
    """The most resident memory that a process has had; unlike ru_maxrss it knows nothing of the parent's."""
    return _status("VmHWM:", pid)


def processor(pid: int | str) -> float:
    """Seconds that the main thread of a process has computed."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def forget_peak() -> None:
    """From now on :func:`peak` counts anew."""
    Path("/proc/self/clear_refs").write_text("5")


def available() -> int:
    """Bytes that may still be taken without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def more_files() -> int:
    """Raise the soft limit of open files as far as it goes; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def facts() -> dict[str, Any]:
    """What figures mean nothing without."""
    model = ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "processor": model,
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "asyncbolt": version("asyncbolt"),
        "neo4j": version("neo4j"),
        "neo4j-rust-ext": version("neo4j-rust-ext"),
    }


def child(
    script: str, name: str, arguments: dict[str, Any], *, pure: bool = False, timeout: float = 900
) -> Any:
    """Run ``script --one name arguments`` in a process of its own, and give what it printed."""
    done = subprocess.run(
        [sys.executable, script, "--one", name, json.dumps(arguments)],
        env=dict(os.environ, ASYNCBOLT_IMPL="python" if pure else "c"),
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout,
    )
    if done.returncode:
        raise SystemExit(f"{name} {arguments}: exit code {done.returncode}")
    return json.loads(done.stdout)


@contextlib.contextmanager
def serving(*command: str, pure: bool | None = False) -> Iterator[tuple[int, int]]:
    """Run a server of this folder that prints its port and stops when its input ends; give (port, pid).

    *pure*: the twin that it runs on; None: the one that the environment chooses.
    """
    twin = {} if pure is None else {"ASYNCBOLT_IMPL": "python" if pure else "c"}
    process = subprocess.Popen(
        [sys.executable, str(FOLDER / command[0]), *command[1:]],
        env=os.environ | twin,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{command[0]} did not start")
        yield int(line), process.pid
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def size(count: float) -> str:
    """Bytes for people."""
    for unit, name in ((2**30, "GiB"), (MIB, "MiB"), (1024, "KiB")):
        if abs(count) >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} B"


def number(count: float) -> str:
    """Counts for people: 10M, 300k, 17."""
    for unit, name in ((10**6, "M"), (1000, "k")):
        if count >= unit:
            return f"{count / unit:g}{name}"
    return f"{count:g}"


def moment(seconds: float) -> str:
    """A time for people."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e9:.3g} ns"
