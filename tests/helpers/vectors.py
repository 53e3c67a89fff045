"""The golden vectors of ``tests/data/packstream_vectors.json``; its "about" says what is in it."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from asyncbolt._structure import Structure

DATA = Path(__file__).parents[1] / "data"


@functools.lru_cache(maxsize=1)
def load() -> dict[str, Any]:
    """The whole file."""
    loaded: dict[str, Any] = json.loads((DATA / "packstream_vectors.json").read_text(encoding="utf-8"))
    return loaded


def entries(section: str) -> list[dict[str, Any]]:
    """The entries of one section: "vectors", "decode_only", "invalid", "exchanges" ..."""
    found: list[dict[str, Any]] = load()[section]
    return found


def python(typed: dict[str, Any]) -> Any:
    """The Python value of a typed one; structures are raw."""
    ((kind, content),) = typed.items()
    if kind in ("null", "bool"):
        return content
    if kind == "int":
        return int(content)
    if kind == "float":
        return float(content)
    if kind == "string":
        return content["repeat"][0] * content["repeat"][1] if isinstance(content, dict) else content
    if kind == "bytes":
        if isinstance(content, dict):
            return bytes.fromhex(content["repeat"][0]) * content["repeat"][1]
        return bytes.fromhex(content)
    if kind == "list":
        if isinstance(content, dict):
            return [python(content["repeat"][0]) for _ in range(content["repeat"][1])]
        return [python(item) for item in content]
    if kind == "map":
        if isinstance(content, dict):
            text, count = content["sequence"]
            return {text % index: index for index in range(count)}
        return {key: python(item) for key, item in content}
    if kind == "struct":
        return Structure(int(content["tag"], 16), *(python(field) for field in content["fields"]))
    raise ValueError(f"no typed value: {kind}")


def is_encoding(entry: dict[str, Any], data: bytes) -> bool:
    """Whether *data* is the encoding that an entry gives, in full or by its length and hash."""
    if "hex" in entry:
        return data == bytes.fromhex(entry["hex"])
    head, tail = bytes.fromhex(entry["head"]), bytes.fromhex(entry["tail"])
    return (
        len(data) == entry.get("length", entry.get("wire_length"))
        and hashlib.sha256(data).hexdigest() == entry["sha256"]
        and data.startswith(head)
        and data.endswith(tail)
    )
