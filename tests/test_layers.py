"""Each file imports only from its own floor or those below, without cycles; read from the source."""

from __future__ import annotations

import ast
import dataclasses
import fnmatch
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "asyncbolt"

# Floors as patterns of module names below asyncbolt; the first that matches counts. The __init__ of a package
# holds names only and stands on the floor of its highest file.
FLOORS: list[tuple[str, int]] = [
    ("_version", 0),
    ("_impl", 0),
    ("_constants", 0),
    ("exceptions", 0),
    ("_hints", 0),
    ("_options", 0),
    ("_structure", 1),
    ("graph", 1),
    ("time", 1),
    ("spatial", 1),
    ("vector", 1),
    ("_convert", 1),
    ("_dialect", 1),
    ("_codec_errors", 1),
    ("_wire", 2),
    ("_atoms", 2),
    ("_packstream", 2),
    ("_packstream_py", 2),
    ("_chunking", 2),
    ("_chunking_py", 2),
    ("packstream", 3),
    ("chunking", 3),
    ("protocol.versions", 4),
    ("protocol.handshake", 4),
    ("protocol.messages", 4),
    ("protocol", 5),
    ("protocol.*", 5),
    ("aio", 6),
    ("aio.*", 6),
    ("client", 7),
    ("client.*", 7),
    ("server", 7),
    ("server.*", 7),
    ("driver", 8),
    ("driver.*", 8),
    ("columns", 8),
    ("columns.*", 8),
    ("ingest", 8),
    ("ingest.*", 8),
    ("engines", 8),
    ("engines.*", 8),
    ("testing", 8),
    ("testing.*", 8),
    ("addressing", 9),
    ("api", 9),
    ("auth_management", 9),
    ("debug", 9),
    ("opentelemetry", 9),
    ("types", 9),
    ("warnings", 9),
    ("cli", 9),
    ("cli.*", 9),
    ("__main__", 10),
    ("compat", 10),
    ("", 9),
]

# What a synchronous front end, or one on another framework, could not live with.
EVENT_LOOPS_AND_CLOCKS = {
    "asyncio", "concurrent", "multiprocessing", "queue", "sched", "select", "selectors", "signal", "socket",
    "socketserver", "ssl", "subprocess", "threading", "time",
}  # fmt: skip
WITHOUT_IO = ["client.lane"]  # above floor 5 and yet without IO
ALLOWED = {"time": {"time"}}  # DateTime.now() looks at a clock because it is asked for the time

# The one upward look: which twin there is can only be found out by importing it.
PROBES = {"_impl": {"_packstream", "_chunking"}}

# Optional third-party packages, by the one file that may import them, and then inside a function only.
OPTIONAL = {
    "aio._run": {"uvloop"},
    "opentelemetry": {"opentelemetry"},
    "driver.export": {"numpy", "pandas"},
    "driver.result": {"pandas"},
    "vector": {"numpy", "pyarrow"},
}


def module_name(path: Path) -> str:
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def floor(module: str) -> int:
    for pattern, number in FLOORS:
        if fnmatch.fnmatchcase(module, pattern):
            return number
    raise AssertionError(f"asyncbolt.{module} stands on no floor: add it to FLOORS in {__file__}")


SOURCES = sorted(path for suffix in ("py", "pyi", "pyx", "pxd") for path in PACKAGE.rglob(f"*.{suffix}"))
MODULES = {module_name(path) for path in SOURCES}


def resolve(base: str, name: str) -> str:
    """What ``from base import name`` reads: the submodule if there is one, else the module ``base``."""
    inner = f"{base}.{name}" if base else name
    return inner if inner in MODULES else base


def absolute(path: Path, level: int, module: str) -> str | None:
    """The module below asyncbolt that a ``from`` import starts from; None if it is not asyncbolt's."""
    if level == 0:
        return ours_name(module) if is_ours(module) else None
    package = list(path.relative_to(PACKAGE).parts[:-1])
    assert level - 1 <= len(package), f"{path}: an import leaves the package"
    package = package[: len(package) - (level - 1)]
    return ".".join([*package, *([module] if module else [])])


def is_ours(module: str) -> bool:
    return module == "asyncbolt" or module.startswith("asyncbolt.")


def ours_name(module: str) -> str:
    return module.removeprefix("asyncbolt").removeprefix(".")


@dataclasses.dataclass
class Imports:
    """What one file imports.

    Modules of other packages map to whether they are imported at module level. What only type checkers import
    counts for the floors; it makes no cycle, and needs no package when the program runs.
    """

    ours: set[str] = dataclasses.field(default_factory=set)
    ours_for_checkers: set[str] = dataclasses.field(default_factory=set)
    others: dict[str, bool] = dataclasses.field(default_factory=dict)

    def add_other(self, name: str, *, at_module_level: bool) -> None:
        root = name.partition(".")[0]
        self.others[root] = self.others.get(root, False) or at_module_level


def python_imports(path: Path) -> Imports:
    found = Imports()

    def visit(node: ast.AST, in_function: bool, for_checkers: bool) -> None:
        ours = found.ours_for_checkers if for_checkers else found.ours
        others: list[str] = []
        if isinstance(node, ast.Import):
            ours.update(ours_name(alias.name) for alias in node.names if is_ours(alias.name))
            others = [alias.name for alias in node.names if not is_ours(alias.name)]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(path, node.level, node.module or "")
            if base is None:
                others = [node.module or ""]
            else:
                ours.update(resolve(base, alias.name) for alias in node.names)
        for name in others:
            if not for_checkers:
                found.add_other(name, at_module_level=not in_function)
        in_function = in_function or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for child in ast.iter_child_nodes(node):
            guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            visit(child, in_function, for_checkers or (guarded and child in node.body))

    visit(ast.parse(path.read_text(encoding="utf-8"), str(path)), False, False)
    return found


CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<dots>\.*)(?P<base>[\w.]*)[ \t]+c?import[ \t]+(?P<names>\([^)]*\)|[^\n]+)"
    r"|c?import[ \t]+(?P<plain>[^\n]+))",
    re.MULTILINE,
)


def cython_imports(path: Path) -> Imports:
    found = Imports()
    text = re.sub(r"#[^\n]*", "", path.read_text(encoding="utf-8")).replace("\\\n", " ")
    for match in CYTHON_IMPORT.finditer(text):
        if match["plain"] is not None:
            for name in (part.split()[0] for part in match["plain"].split(",")):
                if is_ours(name):
                    found.ours.add(ours_name(name))
                else:
                    found.add_other(name, at_module_level=True)
            continue
        names = [part.split()[0] for part in match["names"].strip("()").split(",") if part.strip()]
        base = absolute(path, len(match["dots"]), match["base"])
        if base is None:
            found.add_other(match["base"], at_module_level=True)
        else:
            found.ours.update(resolve(base, name) for name in names)
    return found


def imports(path: Path) -> Imports:
    own = module_name(path)
    found = cython_imports(path) if path.suffix in (".pyx", ".pxd") else python_imports(path)
    for modules in (found.ours, found.ours_for_checkers):
        modules -= {own} | PROBES.get(own, set())
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_imports_only_from_its_floor_or_below(path):
    own = module_name(path)
    found = imports(path)
    used = found.ours | found.ours_for_checkers
    above = {module: floor(module) for module in used if floor(module) > floor(own)}
    assert not above, f"{relative(path)} (floor {floor(own)}) imports from above: {above}"


def test_there_are_no_cycles():
    graph: dict[str, set[str]] = {}
    for path in SOURCES:
        graph.setdefault(module_name(path), set()).update(imports(path).ours)
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> None:
        assert module not in trail, "import cycle: " + " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for other in sorted(graph.get(module, ())):
                visit(other, [*trail, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_lower_floors_know_no_event_loop_and_no_clock(path):
    module = module_name(path)
    if floor(module) <= 5 or module in WITHOUT_IO:
        found = set(imports(path).others) & EVENT_LOOPS_AND_CLOCKS - ALLOWED.get(module, set())
        assert not found, f"{relative(path)} imports {sorted(found)}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_core_imports_the_standard_library_only(path):
    known = set(sys.stdlib_module_names) | {"cython", "libc", "cpython"}
    others = {name: outside for name, outside in imports(path).others.items() if name not in known}
    optional = OPTIONAL.get(module_name(path), set())
    assert set(others) <= optional, f"{relative(path)} imports {sorted(others)}"
    assert not any(others.values()), f"{relative(path)} imports {sorted(others)} outside a function"


# The parsers above decide what the tests see, so they are tested themselves.


@pytest.fixture
def source(tmp_path, monkeypatch):
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "MODULES", {"graph", "aio.flow", "aio", "protocol.client"})
    return write


def test_reader_of_python_imports(source):
    path = source(
        "aio/client.py",
        "import asyncio, asyncbolt.graph\nfrom . import flow, other\n"
        "def f():\n    import uvloop\n    from asyncbolt import graph as g\n"
        "if TYPE_CHECKING:\n    from typing_extensions import Self\n    from ..protocol.client import X\n",
    )
    found = python_imports(path)
    assert found.ours == {"graph", "aio.flow", "aio"}
    assert found.ours_for_checkers == {"protocol.client"}
    assert found.others == {"asyncio": True, "uvloop": False}


def test_reader_of_cython_imports(source):
    path = source(
        "_chunking.pyx",
        "cimport cython\nfrom libc.string cimport memcpy  # from .nowhere cimport x\n"
        "from ._packstream cimport (Writer,\n    Reader)\nfrom . cimport graph\nimport struct\n"
        "from asyncbolt.aio cimport flow\n",
    )
    found = cython_imports(path)
    assert found.ours == {"_packstream", "graph", "aio.flow"}
    assert found.others == {"cython": True, "libc": True, "struct": True}
