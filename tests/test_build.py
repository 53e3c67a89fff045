"""What gets built: the sdist, wheels from it, and the switches of setup.py.

The tools of ``build-system.requires`` come from the environment (extra ``test``), so nothing is downloaded.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="extensions are built for CPython only"),
]

ROOT = Path(__file__).parents[1]
MODULES = ("_packstream", "_chunking")
# Switches that this test run itself may have been started with.
SWITCHES = ("NO_EXTENSIONS", "REQUIRE_EXTENSIONS", "DEBUG", "SANITIZE", "IMPL")


def run(*command: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "CFLAGS"}
    for name in SWITCHES:
        environment.pop(f"ASYNCBOLT_{name}", None)
    environment.update(variables)
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )


def built(kind: str, source: Path, to: Path, **variables: str) -> Path:
    result = run(
        sys.executable, "-I", "-m", "build", "--no-isolation", f"--{kind}", "--outdir", to, source,
        cwd=source, **variables,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    (product,) = to.iterdir()
    return product


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    copy = tmp_path_factory.mktemp("checkout") / "asyncbolt"
    # A copy, with the clutter that a checkout collects: stale metadata must not decide what is packed.
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "_build")
    shutil.copytree(ROOT, copy, ignore=ignored)
    for name in MODULES:
        (copy / f"asyncbolt/{name}.c").write_text("#error left over\n")
    return built("sdist", copy, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def source(sdist, tmp_path_factory):
    """The unpacked sdist; Cython's translation is done once in it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        if sys.version_info >= (3, 12):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    (unpacked,) = folder.iterdir()
    return unpacked


def test_sdist_holds_sources_and_nothing_generated(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "README.md", "conftest.py", "pyproject.toml", "setup.py", "asyncbolt/py.typed"}
    wanted |= {f"asyncbolt/{name}{suffix}" for name in MODULES for suffix in (".pyx", ".pyi", "_py.py")}
    wanted |= {f"asyncbolt/{name}.pxd" for name in ("_wire", "_atoms", "_packstream")}
    wanted |= {"tests/helpers/aiohelp.py"}
    wanted |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "asyncbolt").rglob("*.py")}
    assert wanted <= names
    assert not [name for name in names if re.search(r"\.(c|so|pyd|html|pyc)$", name) and "docs" not in name]


def test_pure_wheel(source, tmp_path):
    wheel = built("wheel", source, tmp_path / "dist", ASYNCBOLT_NO_EXTENSIONS="1")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert_contents(wheel, compiled=False)
    assert implementation_of(wheel, tmp_path) == "python"
    result = import_from(tmp_path, ASYNCBOLT_IMPL="c")
    assert result.returncode != 0
    assert "ImportError" in result.stderr
    assert "ASYNCBOLT_IMPL" in result.stderr


def test_compiled_wheel(source, tmp_path):
    wheel = built("wheel", source, tmp_path / "dist", ASYNCBOLT_REQUIRE_EXTENSIONS="1")
    assert f"-cp3{sys.version_info[1]}-" in wheel.name
    assert_contents(wheel, compiled=True)
    assert implementation_of(wheel, tmp_path) == "c"


def assert_contents(wheel: Path, *, compiled: bool) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.partition("/")[0].endswith(".dist-info")]
    assert {name.partition("/")[0] for name in names} == {"asyncbolt"}
    suffixes = {".so", ".pyd"} if compiled else set()
    assert {Path(name).suffix for name in names} <= {".py", ".pyi", ".typed"} | suffixes
    assert {"asyncbolt/py.typed", "asyncbolt/_packstream.pyi", "asyncbolt/_chunking.pyi"} <= set(names)
    extensions = {Path(name).name.partition(".")[0] for name in names if Path(name).suffix in {".so", ".pyd"}}
    assert extensions == (set(MODULES) if compiled else set())


def import_from(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\nimport asyncbolt as a; print(a.IMPLEMENTATION)"
    # -S: the import hook of an editable installation would add its compiled modules to a pure package.
    return run(sys.executable, "-I", "-S", "-W", "error", "-c", code, cwd=folder, **variables)


def implementation_of(wheel: Path, folder: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    result = import_from(folder)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture
def compiler_calls(source, tmp_path):
    """Builds with a compiler that writes down its arguments and fails; gives the result and the arguments."""
    if os.name == "nt":
        pytest.skip("the compiler is replaced by a shell script")
    calls = tmp_path / "calls"
    fake = tmp_path / "cc"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexit 1\n')
    fake.chmod(0o755)

    def build(**variables: str) -> tuple[subprocess.CompletedProcess[str], str]:
        calls.write_text("")
        result = run(
            sys.executable, "-I", "setup.py", "-q", "build", "--build-base", tmp_path / "base",
            cwd=source, CC=str(fake), **variables,
        )  # fmt: skip
        return result, calls.read_text()

    return build


def test_failing_compiler_fails_the_build(compiler_calls):
    result, arguments = compiler_calls()
    assert result.returncode != 0
    assert "-c" in arguments


def test_flags_of_a_release(compiler_calls):
    flags = compiler_calls()[1].split()
    # The last -O counts; the interpreter's own flags come first. -O2 leaves calls in the loops over values.
    assert [flag for flag in flags if flag.startswith("-O")][-1] == "-O3"
    assert [flag for flag in flags if re.fullmatch(r"-g\d?", flag)][-1] == "-g0"
    assert not {"-Ofast", "-ffast-math"} & set(flags)
    assert not [flag for flag in flags if "sanitize" in flag or "CYTHON_TRACE" in flag]


def test_flags_of_a_debug_build(compiler_calls, source):
    flags = compiler_calls(ASYNCBOLT_DEBUG="1")[1].split()
    for name in MODULES:  # beside the sources, where the coverage plugin looks for them
        (source / f"asyncbolt/{name}.html").unlink()
        (source / f"asyncbolt/{name}.c").unlink()
    assert [flag for flag in flags if flag.startswith("-O")][-1] == "-O0"
    assert {"-g3", "-UNDEBUG", "-DCYTHON_TRACE=1", "-DCYTHON_USE_SYS_MONITORING=0"} <= set(flags)


def test_flags_of_the_sanitizers(compiler_calls):
    assert "-fsanitize=address,undefined" in compiler_calls(ASYNCBOLT_SANITIZE="1")[1].split()


def test_no_extensions_calls_no_compiler(compiler_calls):
    result, arguments = compiler_calls(ASYNCBOLT_NO_EXTENSIONS="1")
    assert result.returncode == 0, result.stderr
    assert arguments == ""


@pytest.mark.parametrize("value", ["0", "", "true", "yes"])
def test_only_one_is_true(compiler_calls, value):
    result, arguments = compiler_calls(ASYNCBOLT_NO_EXTENSIONS=value)
    assert result.returncode != 0
    assert arguments


def test_switches_that_contradict_each_other(compiler_calls):
    result, arguments = compiler_calls(ASYNCBOLT_NO_EXTENSIONS="1", ASYNCBOLT_REQUIRE_EXTENSIONS="1")
    assert result.returncode != 0
    assert "contradict" in result.stderr
    assert arguments == ""


def test_directives():
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert '"freethreading_compatible": True' in text
    assert '"subinterpreters_compatible"' not in text


def test_test_environment_has_what_the_build_requires():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = re.search(r"^requires = \[(.*)\]$", text, re.MULTILINE)
    tests = re.search(r"^test = \[(.*?)^\]$", text, re.MULTILINE | re.DOTALL)
    assert required is not None
    assert tests is not None
    names = re.findall(r'"([^"]+)"', required[1])
    assert len(names) == 2
    assert set(names) <= set(re.findall(r'"([^"]+)"', tests[1]))
