"""The rows that everything is measured with, by name; the same in every run."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from typing import Any

from asyncbolt.graph import Node

Row = tuple[Any, ...]


def _integer(i: int, rng: random.Random) -> Row:
    return (i,)


def _strings(i: int, rng: random.Random) -> Row:
    return (f"first {i}", f"second value {i}", "third")


def _mixed(i: int, rng: random.Random) -> Row:
    return (i, f"person-{i:06d}", rng.random(), i % 2 == 0, "some city", None)


def _person(i: int, rng: random.Random) -> dict[str, Any]:
    return {
        "name": f"person-{i:06d}",
        "age": i % 90,
        "score": rng.random(),
        "active": i % 2 == 0,
        "city": "Oslo",
        "email": f"p{i}@example.org",
        "since": 1_500_000_000 + i,
        "rank": i % 7,
        "note": "x" * 20,
        "ok": True,
    }


def _node(i: int, rng: random.Random) -> Row:
    return (Node(i, ["Person"], _person(i, rng), f"4:abc:{i}"),)


def _floats(i: int, rng: random.Random) -> Row:
    return ([rng.random() for _ in range(1000)],)


def _wide(i: int, rng: random.Random) -> Row:
    return tuple(i * k for k in range(30))


def _times(i: int, rng: random.Random) -> Row:
    moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=i)
    return (moment, moment.date(), moment.time())


SHAPES: dict[str, tuple[list[str], Callable[[int, random.Random], Row]]] = {
    "int": (["n"], _integer),
    "strings": (["a", "b", "c"], _strings),
    "mixed": (["id", "name", "score", "active", "city", "x"], _mixed),
    "node": (["n"], _node),
    "floats": (["v"], _floats),
    "wide": ([f"c{k}" for k in range(30)], _wide),
    "times": (["at", "day", "clock"], _times),
}


def fields(shape: str) -> list[str]:
    """The column names of a shape."""
    return SHAPES[shape][0]


def rows(shape: str, count: int) -> list[Row]:
    """The first rows of a shape."""
    rng = random.Random(3)
    make = SHAPES[shape][1]
    return [make(i, rng) for i in range(count)]


def people(count: int) -> list[dict[str, Any]]:
    """Maps as an ingest sends them."""
    rng = random.Random(3)
    return [{"id": i, **_person(i, rng)} for i in range(count)]
