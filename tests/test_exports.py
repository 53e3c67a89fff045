"""The names at the top of the package are those of its modules, once each, and none is missing."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import asyncbolt

INIT = Path(asyncbolt.__file__)

# What users of asyncbolt 0.0.2 and readers of the documentation find at the top, by the file that defines it.
PROMISED = {
    "_constants.py": ["Message"],
    "_impl.py": ["IMPLEMENTATION"],
    "_structure.py": ["Structure"],
    "_version.py": ["__version__"],
    "chunking.py": [
        "BoltParser",
        "ChunkedReadBuffer",
        "ChunkedWriteBuffer",
        "deserialize_message",
        "message_deserializer",
        "message_serializer",
        "serialize_message",
    ],
    "aio/client.py": ["BoltClientProtocol"],
    "aio/server.py": ["BoltServerProtocol"],
    "aio/_run.py": ["run"],
    "client/connect.py": ["connect"],
    "client/session.py": ["ClientResponse", "ClientSession"],
    "client/pool.py": ["create_pool"],
    "server/listener.py": ["create_server"],
    "server/results.py": ["Result"],
    "server/session.py": ["ServerSession"],
    "server/threads.py": ["threaded"],
}
EXISTING = [name for file, names in PROMISED.items() if (INIT.parent / file).exists() for name in names]
FACADES = ["packstream"]  # asyncbolt.packstream.pack


def reexports() -> dict[str, str]:
    """Name at the top -> module that it is imported from."""
    found: dict[str, str] = {}
    for node in ast.parse(INIT.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            assert node.level == 1, ast.unparse(node)
            for alias in node.names:
                name = alias.asname or alias.name
                assert name != "*", "star imports hide what is exported"
                assert name not in found, f"{name} is imported twice"
                found[name] = f"asyncbolt.{node.module}" if node.module else f"asyncbolt.{alias.name}"
    return found


def test_all_is_what_is_imported():
    names = list(asyncbolt.__all__)
    assert len(names) == len(set(names))
    assert set(names) == {name for name in reexports() if not name.startswith("__")}


@pytest.mark.parametrize(("name", "module"), sorted(reexports().items()))
def test_name_is_public_where_it_comes_from(name, module):
    source = importlib.import_module(module)
    if module != f"asyncbolt.{name}":  # else the name is the submodule itself
        assert name in source.__all__
        assert getattr(asyncbolt, name) is getattr(source, name)


def test_every_error_is_at_the_top():
    exceptions = importlib.import_module("asyncbolt.exceptions")
    assert set(exceptions.__all__) <= set(asyncbolt.__all__)


@pytest.mark.parametrize("name", sorted(EXISTING))
def test_promised_name_is_there(name):
    assert name in asyncbolt.__all__ or name.startswith("__")
    assert hasattr(asyncbolt, name)


@pytest.mark.parametrize("name", FACADES)
def test_facade_comes_with_the_package(name):
    assert getattr(asyncbolt, name).__name__ == f"asyncbolt.{name}"


def test_everything_is_in_the_api_reference():
    pages = sorted((Path(__file__).parents[1] / "docs" / "api").glob("*.rst"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    described = re.findall(r"^\.\. (?:auto\w+|py:\w+):: (\S+)", text, re.MULTILINE)
    last = {name.rpartition(".")[2].partition("(")[0] for name in described}
    by_module = {name for module in described for name in public_names(module)}
    assert set(asyncbolt.__all__) - last - by_module == set()


def public_names(module: str) -> list[str]:
    try:
        return list(importlib.import_module(module).__all__)
    except ImportError:
        return []
