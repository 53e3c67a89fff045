"""What tests and benchmarks share: the codec fixture, real servers, report header, hypothesis profiles."""

from __future__ import annotations

import dataclasses
import importlib
import os
import platform
import sys
from collections.abc import Iterator
from types import ModuleType

import arcadedb_server
import chaos_run
import hypothesis
import neo4j_server
import pytest

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")

ARCADEDB_EXISTS = sys.version_info >= (3, 11) and sys.implementation.name == "cpython"


@dataclasses.dataclass(frozen=True)
class Codec:
    """One of the twins, imported directly: both run in one process, whatever ``ASYNCBOLT_IMPL`` says."""

    name: str

    def _module(self, name: str) -> ModuleType:
        return importlib.import_module(f"asyncbolt.{name}" if self.name == "c" else f"asyncbolt.{name}_py")

    @property
    def packstream(self) -> ModuleType:
        return self._module("_packstream")

    @property
    def chunking(self) -> ModuleType:
        return self._module("_chunking")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--impl",
        choices=("both", "c", "python"),
        default="both",
        help="the twins that tests of the codec run on; a compiled twin that is not there is a failure",
    )
    parser.addoption(
        "--chaos-seeds",
        default=os.environ.get("ASYNCBOLT_CHAOS_SEEDS", ""),
        help="rounds of tests/chaos: so many for each server and loop (8 for all loops), or @N for seed N",
    )


def chaos_seeds(config: pytest.Config) -> range:
    """The seeds of the rounds of one server and loop."""
    wanted: str = config.getoption("--chaos-seeds")
    if wanted.startswith("@"):
        return range(int(wanted[1:]), int(wanted[1:]) + 1)
    return range(int(wanted) if wanted else 8 // len(chaos_run.FLAVOURS))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "codec" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--impl")
        names = ("c", "python") if wanted == "both" else (wanted,)
        metafunc.parametrize("codec", [Codec(name) for name in names], ids=names, indirect=True)
    if "flavour" in metafunc.fixturenames:
        metafunc.parametrize("flavour", chaos_run.FLAVOURS)
    if "chaos_seed" in metafunc.fixturenames:
        metafunc.parametrize("chaos_seed", chaos_seeds(metafunc.config))


@pytest.fixture
def codec(request: pytest.FixtureRequest) -> Codec:
    twin: Codec = request.param
    assert twin.packstream and twin.chunking  # imports both: a missing build fails here, by name
    return twin


def pytest_report_header(config: pytest.Config) -> list[str]:
    import asyncbolt

    python = f"{platform.python_implementation()} {platform.python_version()}"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        python += " without GIL"
    return [
        f"asyncbolt: {asyncbolt.__version__} from {os.path.dirname(asyncbolt.__file__)}",
        f"implementation: {asyncbolt.IMPLEMENTATION}, codec tests: {config.getoption('--impl')}, {python}",
        f"loops of tests/chaos: {', '.join(chaos_run.FLAVOURS)}"
        + ("" if chaos_run.EAGER else " (eager tasks: make chaos-eager)"),
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if ARCADEDB_EXISTS:
        return
    gone = [item for item in items if "arcadedb" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in gone]


@pytest.fixture(scope="session")
def arcadedb() -> Iterator[arcadedb_server.ArcadeDB]:
    """A running ArcadeDB; its tests are deselected on a Python for which it does not exist."""
    with arcadedb_server.ArcadeDB() as server:
        yield server


@pytest.fixture(scope="session", params=neo4j_server.VERSIONS)
def neo4j(request: pytest.FixtureRequest) -> Iterator[neo4j_server.Neo4j]:
    """A running Neo4j of each version, with authentication. Tests that use it are marked ``neo4j``."""
    with neo4j_server.Neo4j(request.param) as server:
        yield server
