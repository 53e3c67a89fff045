"""How many instructions the hot paths take, counted by callgrind: that shows a slow-down on a noisy machine.

    python benchmarks/instructions.py [--only TEXT] [--check] [--store]

prints, for each path of :mod:`instruction_paths`, the instructions per row (or statement), the count stored
in ``instructions.json`` and the change. ``--check`` fails when a path takes over 5 % more than stored.
``--store`` stores what it counts; commit the file together with the sources that were counted.

Counts depend on the interpreter, the compilers, libc and Cython, so the file has an entry for each
environment. In one that has none, ``--check`` builds the commit that last changed the file and counts that in
place of it, with the paths as they are now, and with the CFLAGS that are set: the same ones, please.

What is counted is all that the process does between two marks: the work itself and what CPython and libc do
for it, but neither the start of Python nor the kernel. The cyclic garbage collector is off. The processor
that the process sees is valgrind's; what libc would choose by it is set to the oldest, so that every machine
counts the same. An instruction is not a time: cache misses and mispredicted branches cost nothing here.

How well it repeats (CPython 3.11.7, GCC 12.2): the same to the instruction from run to run, whether the cores
have other work or not; within 0.3 % with ``--only``; within 0.2 % in a clone in another folder. It takes 25 s
on two cores, twice as long when others work on them.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks/instruction_paths.py"
STORED = ROOT / "benchmarks/instructions.json"
EXTENSIONS = ("_packstream", "_chunking")
# Percent by which a count may differ from the stored one.
LIMIT = 5
# As many processes as have cores to themselves on small machines; each has to start Python first.
WORKERS = 4

# What libc chooses by the processor: which variants of memcpy and its like (valgrind counts each step of `rep
# movsb`), and from which size on they do what. And what malloc learns from how it is used.
TUNABLES = {
    "glibc.cpu.hwcaps": ",".join(
        f"-{feature}"
        for feature in (
            *("AVX512F", "AVX512VL", "AVX512BW", "AVX2", "AVX", "AVX_Fast_Unaligned_Load", "BMI1", "BMI2"),
            *("ERMS", "FSRM", "FMA", "FMA4", "LZCNT", "MOVBE", "RTM", "SSE4_2", "SSE4_1", "SSSE3"),
            *("Fast_Unaligned_Copy", "Fast_Copy_Backward", "Fast_Rep_String", "XSAVEC"),
        )
    ),
    "glibc.cpu.name": "generic",  # aarch64
    "glibc.cpu.x86_data_cache_size": "0x8000",
    "glibc.cpu.x86_shared_cache_size": "0x100000",
    "glibc.cpu.x86_non_temporal_threshold": "0x10000000",
    "glibc.malloc.mmap_threshold": "0x2000000",
    "glibc.malloc.trim_threshold": "0x4000000",
}
# All variables that a counted process has.
ENVIRONMENT = {
    "ASYNCBOLT_IMPL": "c",
    "GLIBC_TUNABLES": ":".join(f"{name}={value}" for name, value in TUNABLES.items()),
    "LANG": "C.UTF-8",
    "LD_BIND_NOW": "1",
    "PATH": "/usr/bin:/bin",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
}

Counts = dict[str, float]


class Failed(Exception):
    """Nothing can be said; the text tells why, and what to do."""


# ---------------------------------------------------------------------------------------------- comparing


@dataclasses.dataclass
class Comparison:
    """What differs from the stored counts.

    Attributes:
        more: paths that take more than may be, and how many percent.
        less: paths that take less by as much.
        unstored: paths that nothing is stored for.
        uncounted: stored paths that do not exist any more.
    """

    more: dict[str, float] = dataclasses.field(default_factory=dict)
    less: dict[str, float] = dataclasses.field(default_factory=dict)
    unstored: list[str] = dataclasses.field(default_factory=list)
    uncounted: list[str] = dataclasses.field(default_factory=list)

    @property
    def failed(self) -> bool:
        """A path without a stored count is a failure: it would never be compared with anything."""
        return bool(self.more or self.unstored or self.uncounted)

    def lines(self) -> list[str]:
        """What there is to say, failures last."""
        said = [f"{name}: {-change:.1f} % less than stored" for name, change in self.less.items()]
        if said:
            said.append("store anew, so that getting this back is seen: make instructions ARGS=--store")
        said += [f"{name}: nothing stored; make instructions ARGS=--store" for name in self.unstored]
        said += [f"{name}: stored, but no path; make instructions ARGS=--store" for name in self.uncounted]
        said += [f"{name}: {change:.1f} % MORE than stored" for name, change in self.more.items()]
        return said


def percent(counted: float, stored: float) -> float:
    """The change, in percent of what is stored."""
    return 100 * counted / stored - 100


def compare(counted: Mapping[str, float], stored: Mapping[str, float], known: Iterable[str]) -> Comparison:
    """Compare counts; *known* are the names of all paths, which need not all have been counted."""
    found = Comparison(uncounted=sorted(set(stored) - set(known)))
    for name, count in counted.items():
        if name not in stored:
            found.unstored.append(name)
        # Multiplied out: 105 is not more than 5 % above 100, whatever floats make of 1.05.
        elif 100 * count > (100 + LIMIT) * stored[name]:
            found.more[name] = percent(count, stored[name])
        elif 100 * count < (100 - LIMIT) * stored[name]:
            found.less[name] = percent(count, stored[name])
    return found


def table(counted: Mapping[str, float], stored: Mapping[str, float]) -> str:
    """The counts, one line each."""
    lines = [f"{'path':<26}{'instructions':>14}{'stored':>14}{'change':>10}"]
    for name, count in counted.items():
        line = f"{name:<26}{count:>14,.1f}"
        if name in stored:
            line += f"{stored[name]:>14,.1f}{percent(count, stored[name]):>+8.1f} %"
        lines.append(line)
    return "\n".join(lines)


# --------------------------------------------------------------------------------------------- environment


def package_folder() -> Path:
    """The folder that the installed asyncbolt lies in."""
    spec = importlib.util.find_spec("asyncbolt")
    if spec is None or not spec.submodule_search_locations:
        raise Failed("asyncbolt is not installed for this Python")
    return Path(spec.submodule_search_locations[0]).resolve().parent


def _marks(pattern: bytes, data: bytes) -> str:
    return "+".join(sorted({found.decode().replace("_", ".") for found in re.findall(pattern, data)}))


def cython_version(extension: bytes) -> str:
    """The Cython that an extension was translated by."""
    return _marks(rb"_cython_(\d+_\d+_\w+?)\b", extension)


def extensions(packages: Path) -> bytes:
    """The content of the extensions that this interpreter finds in a folder."""
    paths = [packages / f"asyncbolt/{name}{sysconfig.get_config_var('EXT_SUFFIX')}" for name in EXTENSIONS]
    for path in paths:
        if not path.exists():
            raise Failed(f"{path} does not exist: the compiled codec is not built for this Python")
    return b"".join(path.read_bytes() for path in paths)


def environment(packages: Path) -> str:
    """What counts depend on besides the sources, of the extensions in a folder and of this interpreter."""
    data = extensions(packages)
    # The section .comment, where each compiler leaves its name.
    compilers = [f"gcc-{gcc}" if (gcc := _marks(rb"GCC: \([^)]*\) ([\d.]+)", data)) else ""]
    compilers.append(f"clang-{clang}" if (clang := _marks(rb"clang version ([\d.]+)", data)) else "")
    configured = sysconfig.get_config_var("CONFIG_ARGS") or ""
    kinds = {
        # Built without -DNDEBUG: CFLAGS in the environment take the place of those Python was built with.
        "asserts": b"__assert_fail" in data,
        "debug": sysconfig.get_config_var("Py_DEBUG"),
        "freethreaded": sysconfig.get_config_var("Py_GIL_DISABLED"),
        "lto": "--with-lto" in configured,
        "pgo": "--enable-optimizations" in configured,
        "shared": sysconfig.get_config_var("Py_ENABLE_SHARED"),
    }
    facts = [
        f"{sys.implementation.name}-{platform.python_version()}",
        *(kind for kind, present in kinds.items() if present),
        # Of the interpreter, which need not be the extensions'.
        "by-" + "-".join(platform.python_compiler().lower().split()[:2]),
        *(compilers[0], compilers[1]),
        f"cython-{cython_version(data)}",
        platform.machine(),
        "-".join(platform.libc_ver()),
    ]
    return " ".join(fact for fact in facts if fact)


# ------------------------------------------------------------------------------------------------ counting


def _valgrind() -> str:
    found = shutil.which("valgrind")
    if found is None:
        raise Failed("valgrind is not installed. On Debian and Ubuntu: apt-get install valgrind")
    return found


def _totals(profile: Path) -> int:
    found = re.search(r"^totals: (\d+)", profile.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def _count(packages: Path, names: Sequence[str]) -> Counts:
    """Count in one process under valgrind."""
    with tempfile.TemporaryDirectory(prefix="instructions-") as name:
        folder = Path(name)
        command = [
            *(_valgrind(), "-q", "--tool=callgrind", "--command-line-only=yes"),
            # The same function of libc, by the name that valgrind may prefer.
            *("--dump-before=getpgid", "--dump-before=__getpgid"),
            f"--callgrind-out-file={folder}/%p",
            # Without site: neither what else is installed nor how changes anything.
            *(sys.executable, "-S", "-s", "benchmarks/" + SCRIPT.name, "packages"),
        ]
        # Names of one length, wherever the folders are: longer ones move what is allocated behind them.
        (folder / "benchmarks").symlink_to(SCRIPT.parent)
        (folder / "packages").symlink_to(packages)
        result = subprocess.run(
            command, input="\n".join(names), env=ENVIRONMENT, cwd=folder, capture_output=True, text=True
        )
        counts = {}
        for line in result.stdout.splitlines():
            pid, units, path = line.split("\t")
            number = 0
            totals = []
            while (profile := folder / f"{pid}.{number + 1}").exists():
                totals.append(_totals(profile))
                number += 1
            # What came before the first mark, a mark and another, and rounds.
            if len(totals) < 3:
                raise Failed(f"callgrind saw {len(totals)} marks in {path!r}: it does not know getpgid()")
            counts[path] = (statistics.median(totals[2:]) - totals[1]) / int(units)
        if result.returncode or set(counts) != set(names):
            missing = ", ".join(sorted(set(names) - set(counts)))
            raise Failed(f"{result.stderr}\nnot counted: {missing}")
        return counts


def count(packages: Path, names: Sequence[str]) -> Counts:
    """Count the paths of the asyncbolt in a folder, on all cores."""
    workers = max(1, min(WORKERS, os.cpu_count() or 1, len(names)))
    with ThreadPoolExecutor(workers) as pool:
        found: Counts = {}
        for part in pool.map(lambda first: _count(packages, names[first::workers]), range(workers)):
            found.update(part)
    return {name: round(found[name], 1) for name in names}


def path_names() -> list[str]:
    """All paths."""
    spec = importlib.util.spec_from_file_location("instruction_paths", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.PATHS)


# ------------------------------------------------------------------------------------------ the other side


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    if result.returncode:
        raise Failed(f"git {' '.join(arguments)}: {result.stderr.strip()}")
    return result.stdout.strip()


def storing_commit() -> str:
    """The commit that last changed the stored counts."""
    whole = "this environment has no stored counts, and without the history there is nothing to compare with"
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        raise Failed(f"{whole}: {ROOT} is no clone, or git is not installed")
    commit = _git("log", "-1", "--format=%H", "--", str(STORED.relative_to(ROOT)))
    if not commit:
        raise Failed(f"this environment has no stored counts, and {STORED.name} was never committed: --store")
    # Where a shallow clone ends, every file seems to have been made.
    shallow = ROOT / _git("rev-parse", "--git-path", "shallow")
    if shallow.exists() and commit in shallow.read_text().split():
        raise Failed(f"{whole}: git fetch --unshallow (GitHub's checkout: fetch-depth: 0)")
    return commit


def build(commit: str, folder: Path, cython: str) -> Path:
    """Build a commit as the Makefile builds, with this interpreter; gives the folder that asyncbolt is in."""
    archive, source, packages = folder / "source.tar", folder / "source", folder / "packages"
    _git("archive", "--format=tar", f"--output={archive}", commit)
    shutil.unpack_archive(archive, source)
    constraints = folder / "constraints"
    constraints.write_text(f"Cython=={cython}\n" if cython else "")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ASYNCBOLT_")}
    variables["ASYNCBOLT_REQUIRE_EXTENSIONS"] = "1"
    for name in ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"):  # before pip 25.3, and since
        variables[name] = f"{variables.get(name, '')} {constraints}".strip()
    command = [sys.executable, "-I", "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
    result = subprocess.run(
        [*command, "--target", str(packages), str(source)], env=variables, capture_output=True, text=True
    )
    if result.returncode:
        raise Failed(f"{commit} cannot be built:\n{result.stdout}{result.stderr}")
    return packages


def count_stored(here: str, packages: Path, names: Sequence[str]) -> Counts:
    """Count the commit that stored, in this environment."""
    commit = storing_commit()
    print(
        f"nothing is stored for this environment: {commit[:12]}, which last stored, is counted too",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="instructions-") as folder:
        built = build(commit, Path(folder), cython_version(extensions(packages)))
        there = environment(built)
        if there != here:
            raise Failed(
                f"asyncbolt was built in another environment; build it anew. Here a build is\n{there}"
            )
        return count(built, names)


# ------------------------------------------------------------------------------------------------- program


def load() -> dict[str, Counts]:
    """Stored counts by environment."""
    stored: dict[str, Counts] = json.loads(STORED.read_text()) if STORED.exists() else {}
    return stored


def main() -> int:
    parser = argparse.ArgumentParser(description="Instructions of the hot paths, counted by callgrind.")
    parser.add_argument("--check", action="store_true", help=f"fail where over {LIMIT} %% more than stored")
    parser.add_argument("--store", action="store_true", help="store what is counted, and check nothing")
    parser.add_argument("--only", metavar="TEXT", default="", help="paths whose names hold TEXT")
    options = parser.parse_args()
    known = path_names()
    names = [name for name in known if options.only in name]
    if not names:
        parser.error(f"no path holds {options.only!r}: {', '.join(known)}")
    packages = package_folder()
    here = environment(packages)
    stored = load()
    print(here, flush=True)
    counted = count(packages, names)
    if options.check and not options.store and here not in stored:
        stored[here] = count_stored(here, packages, names)
    before = stored.get(here, {})
    print(table(counted, before))
    if options.store:
        stored[here] = {**before, **counted} if options.only else counted
        STORED.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
        print(f"stored in {STORED}")
    elif options.check:
        found = compare(counted, before, known)
        print("\n".join(found.lines()) or f"none takes over {LIMIT} % more than stored")
        return int(found.failed)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"instructions: {error}")
