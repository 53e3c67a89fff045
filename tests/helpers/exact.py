"""Equality as strict as the codec's promise: ``1``, ``1.0`` and ``True`` differ, and NaNs by their bits."""

from __future__ import annotations

import datetime as dt
import struct
import uuid
from collections.abc import Callable
from typing import Any

from asyncbolt._structure import Structure
from asyncbolt.exceptions import PackError, UnpackError
from asyncbolt.graph import Node, Path, Relationship, UnboundRelationship
from asyncbolt.spatial import Point
from asyncbolt.time import Duration
from asyncbolt.vector import UnsupportedType, Vector

_PLAIN = (int, str, bytes, bool, type(None), uuid.UUID)
_SLOTTED = (Structure, Node, Relationship, UnboundRelationship, Path, Point, Vector, UnsupportedType)


def _slots(kind: type) -> list[str]:
    names: list[str] = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    return sorted(names)


def exact(value: Any) -> Any:
    """What is equal for two values only if types and content are the same, all the way down."""
    kind = type(value)
    if kind is float:
        return float, struct.pack(">d", value)
    if kind in _PLAIN:
        return kind, value
    if kind in (list, tuple, Duration):
        return kind, [exact(item) for item in value]
    if kind is dict:
        return dict, [(exact(key), exact(item)) for key, item in value.items()]
    if isinstance(value, _SLOTTED):
        return kind, [(name, exact(getattr(value, name))) for name in _slots(kind)]
    if isinstance(value, (dt.datetime, dt.time)):
        names = ["hour", "minute", "second", "microsecond", "fold"]
        if isinstance(value, dt.datetime):
            names += ["year", "month", "day"]
        parts = [getattr(value, name) for name in names]
        zone = value.tzinfo
        return kind, parts, getattr(value, "_submicro", 0), type(zone), repr(zone)
    if isinstance(value, dt.date):
        return kind, value.year, value.month, value.day
    if isinstance(value, Exception):
        return refusal(value)
    raise AssertionError(f"no way to compare a {kind}")


def refusal(exc: Exception) -> Any:
    """All that an exception says."""
    if isinstance(exc, PackError):
        return type(exc), str(exc), exc.reason, exact(exc.path), exc.root
    if isinstance(exc, UnpackError):
        return type(exc), str(exc), exc.reason, exact(exc.offset)
    return type(exc), str(exc)


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a call gives, value or exception, in a form that can be compared."""
    try:
        return "gives", exact(function(*args, **kwargs))
    except Exception as exc:
        return "raises", refusal(exc)
