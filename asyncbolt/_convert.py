"""Turns what the codec has no rule for into what it has one for, or says why that is not possible.

The codec looks at the exact type of a value; whatever it does not know it hands to :func:`normalize`.
numpy and pandas are never imported: their classes are known by name.
"""

from __future__ import annotations

import dataclasses
import datetime as _dt
import decimal
import enum
import fractions
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MappingView, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from . import _codec_errors as errors
from ._structure import Structure
from .exceptions import PackError
from .graph import Entity, Node, Path, Relationship, UnboundRelationship
from .spatial import CartesianPoint, Point, WGS84Point, point_class
from .time import Date, DateTime, Duration, Time, TimeDelta
from .vector import UnsupportedType, Vector

__all__ = ["normalize"]


# The classes that the codec writes itself, by id: a metaclass may say that its classes equal others.
_KNOWN: Final = frozenset(
    map(
        id,
        (
            type(None), bool, int, float, str, bytes, list, tuple, dict, uuid.UUID,
            _dt.date, _dt.time, _dt.datetime, Date, Time, DateTime, Duration,
            Structure, Point, CartesianPoint, WGS84Point, Vector, UnsupportedType,
            Node, Relationship, UnboundRelationship, Path,
        ),
    )
)  # fmt: skip

# How often what a conversion gives is converted again: an array of no dimension may hold another one.
_MOST_STEPS: Final = 8


def normalize(value: Any) -> Any:
    """Return an equivalent of *value* whose exact type the codec knows.

    Lists and dicts come back shallow: what is in them is the codec's next turn.

    Raises:
        PackError: There is no equivalent; the reason has a hint.
    """
    plain = value
    for _ in range(_MOST_STEPS):
        plain = _step(plain)
        if id(type(plain)) in _KNOWN:
            return plain
    raise _refused(value, "what it is converted to is never plain; send a list or a dict")


def _step(value: Any) -> Any:
    kind = type(value)
    if kind is _dt.timedelta:  # by far the most frequent one
        return Duration.from_timedelta(value)
    # The real class, and the base classes' own methods: a subclass may have bent __int__ or __str__ (as some
    # enums do), and an object may say that its __class__ is another.
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, bytes):
        return bytes.__getitem__(value, slice(None))
    if issubclass(kind, bytearray):
        return bytes(bytearray.__getitem__(value, slice(None)))
    if kind is memoryview:
        try:
            return value.tobytes()
        except ValueError as exc:
            raise PackError(f"a memoryview cannot be read: {exc}") from exc

    # Before what follows: some classes of these packages are tuples, mappings or dates, and mean more.
    for base in kind.__mro__:
        module = base.__module__
        convert = _PACKAGES.get(module.partition(".")[0]) if type(module) is str else None
        if convert is not None:
            return convert(value)

    if issubclass(kind, _dt.timedelta):
        return _from_timedelta(value)
    if issubclass(kind, (Duration, Structure, Point, Vector, Entity, Path, UnsupportedType)):
        return _own(value)
    if isinstance(value, _dt.datetime):
        return _date_time(value, getattr(value, "_submicro", 0) if issubclass(kind, DateTime) else 0)
    if isinstance(value, _dt.date):
        return _dt.date(value.year, value.month, value.day)
    if isinstance(value, _dt.time):
        plain = _dt.time(
            value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold
        )
        return Time._wrap(plain, getattr(value, "_submicro", 0)) if issubclass(kind, Time) else plain
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, uuid.UUID):
        # Not by its constructor: the codec checks what is in it.
        plain_uuid = object.__new__(uuid.UUID)
        object.__setattr__(plain_uuid, "int", getattr(value, "int", None))
        return plain_uuid
    raise _refused(value, _hint(value))


def _from_timedelta(value: _dt.timedelta) -> Duration:
    # The base class's own fields, as above.
    days, seconds, micros = (field(value) for field in _DELTA_FIELDS)
    below = getattr(value, "_submicro", None) if isinstance(value, TimeDelta) else 0
    if type(below) is not int:
        raise PackError(errors.SUBMICRO)
    return Duration._make(0, days, seconds, micros * 1000 + below)


_DELTA_FIELDS: Final = tuple(
    _dt.timedelta.__dict__[name].__get__ for name in ("days", "seconds", "microseconds")
)


def _own(value: Any) -> Any:
    """A subclass of one of our own classes, where that makes sense; the codec checks what is in it."""
    if isinstance(value, Duration):
        return tuple.__new__(Duration, tuple.__getitem__(value, slice(None)))
    if isinstance(value, Point):
        srid: Any = getattr(value, "_srid", None)
        coordinates: Any = getattr(value, "_coordinates", None)
        plain = type(srid) is int and type(coordinates) is tuple
        cls = point_class(srid, len(coordinates)) if plain else Point
        point = cls.__new__(cls)
        point._srid, point._coordinates = srid, coordinates
        return point
    raise _refused(value, "it comes from a server; send what identifies it, such as element_id")


def _date_time(value: _dt.datetime, submicro: int) -> _dt.datetime:
    plain = _dt.datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second,
        value.microsecond, value.tzinfo, fold=value.fold,
    )  # fmt: skip
    return DateTime._wrap(plain, submicro) if submicro else plain


def _refused(value: object, hint: str) -> PackError:
    cls = type(value)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return PackError(f"a value of type {name} cannot be packed{'; ' if hint else ''}{hint}")


# numpy

_EPOCH: Final = _dt.datetime(1970, 1, 1)
_GIGA: Final = 1_000_000_000

# Units of datetime64 and timedelta64 below the second, and how many of them a second has.
_FINE_UNITS: Final = {"ms": 10**3, "us": 10**6, "ns": 10**9, "ps": 10**12, "fs": 10**15, "as": 10**18}

# Those from the second up, and how many seconds each has.
_COARSE_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "D": 86_400, "W": 604_800}

_DURATIONS: Final[dict[str, Callable[[int], Duration]]] = {
    "Y": lambda count: Duration(years=count),
    "M": lambda count: Duration(months=count),
    "W": lambda count: Duration(weeks=count),
    "D": lambda count: Duration(days=count),
    "h": lambda count: Duration(hours=count),
    "m": lambda count: Duration(minutes=count),
    "s": lambda count: Duration(seconds=count),
}


def _from_numpy(value: Any) -> Any:
    bases = [base.__name__ for base in type(value).__mro__]
    if "ndarray" in bases:
        return _from_array(value)
    if "generic" in bases:
        return _from_scalar(value)
    raise _refused(value, "")


def _from_array(value: Any) -> Any:
    kind = value.dtype.kind
    if kind == "V":
        raise _refused(value, "an array of records has no equivalent; send a list of dicts")
    # tolist() makes ints of most dates.
    return (list(value) if value.ndim else value[()]) if kind in ("m", "M") else value.tolist()


def _from_scalar(value: Any) -> Any:
    kind = value.dtype.kind
    if kind == "b":
        return bool(value)
    if kind in "iu":
        return int(value)
    if kind == "f":
        return float(value)
    if kind == "M":
        return _from_datetime64(value)
    if kind == "m":
        return _from_timedelta64(value)
    raise _refused(value, _COMPLEX if kind == "c" else "")


def _unit(value: Any) -> tuple[str, int]:
    """The unit of a datetime64 or timedelta64, and how many of them make one step."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        raise _refused(value, "")
    unit, step = numpy.datetime_data(value.dtype)
    return unit, step


def _from_datetime64(value: Any) -> _dt.datetime | None:
    if value != value:
        return None
    # Plain ints: numpy's own conversions overflow between units that are far apart.
    unit, step = _unit(value)
    count = int(value.astype("int64")) * step
    try:
        if unit in _FINE_UNITS:
            per_second = _FINE_UNITS[unit]
            seconds, rest = divmod(count, per_second)
            micros, submicro = divmod(rest * _GIGA // per_second, 1000)
            return _date_time(_EPOCH + _dt.timedelta(0, seconds, micros), submicro)
        if unit in _COARSE_UNITS:
            return _EPOCH + _dt.timedelta(0, count * _COARSE_UNITS[unit])
        years, month = divmod(count if unit == "M" else 12 * count, 12)
        return _dt.datetime(1970 + years, 1 + month, 1)
    except (ValueError, OverflowError):
        raise PackError(f"numpy.datetime64 {value} is outside the years 1 to 9999") from None


def _from_timedelta64(value: Any) -> Duration | None:
    if value != value:
        return None
    unit, step = _unit(value)
    count = int(value.astype("int64")) * step
    if unit in _FINE_UNITS:
        return Duration(nanoseconds=fractions.Fraction(count * _GIGA, _FINE_UNITS[unit]))
    convert = _DURATIONS.get(unit)
    if convert is None:
        raise PackError("a numpy.timedelta64 without a unit has no equivalent; give it one, such as 's'")
    try:
        return convert(count)
    except ValueError as exc:
        raise PackError(str(exc)) from None


# pandas


def _from_pandas(value: Any) -> Any:
    bases = {base.__name__ for base in type(value).__mro__}
    if bases & {"NAType", "NaTType"}:
        return None
    if "Timestamp" in bases:
        return _date_time(value, value.nanosecond)
    if "Timedelta" in bases:
        seconds = value.days * 86_400 + value.seconds
        return Duration(seconds=seconds, microseconds=value.microseconds, nanoseconds=value.nanoseconds)
    if "DataFrame" in bases:
        columns = list(value.columns)
        if len(set(columns)) < len(columns):
            raise PackError("a DataFrame with two columns of one name has no equivalent")
        return {name: column.tolist() for name, column in value.items()}
    if bases & {"Series", "Index", "ExtensionArray"}:
        return value.tolist()
    if "ndarray" in bases or "generic" in bases:
        return _from_numpy(value)
    raise _refused(value, "use str(...)")


# The official driver


def _from_neo4j(value: Any) -> Any:
    raise _refused(value, "use the class of the same name in asyncbolt")


_PACKAGES: Final[dict[str, Callable[[Any], Any]]] = {
    "numpy": _from_numpy,
    "pandas": _from_pandas,
    "neo4j": _from_neo4j,
}


# Refusals

_LIST: Final = "use list(...)"
_COMPLEX: Final = "send its real and imaginary parts"
_NUMBER: Final = "use float(...) or str(...)"


def _hint(value: Any) -> str:
    if isinstance(value, type):
        return "it is a class; an instance was expected"
    if dataclasses.is_dataclass(value):
        return "use dataclasses.asdict(...)"
    if isinstance(value, enum.Enum):
        return "use its .value"
    if isinstance(value, (decimal.Decimal, fractions.Fraction)):
        return _NUMBER
    if isinstance(value, complex):
        return _COMPLEX
    if isinstance(value, (AbstractSet, MappingView, Iterator, Sequence)):
        return _LIST
    if isinstance(value, AsyncIterator):
        return "use [x async for x in ...]"
    if isinstance(value, Awaitable):
        return "it must be awaited first"
    if isinstance(value, os.PathLike):
        return "use str(...)"
    if isinstance(value, _dt.tzinfo):
        return "use its name"
    for name, hint in _METHODS.items():
        if hasattr(value, name):
            return hint
    return ""


# Classes that many packages have in common, known by a method.
_METHODS: Final = {
    "__attrs_attrs__": "use attrs.asdict(...)",
    "model_dump": "use its .model_dump()",
    "to_dicts": "use its .to_dicts()",
    "to_pylist": "use its .to_pylist()",
    "to_list": "use its .to_list()",
    "tolist": "use its .tolist()",
    "__iter__": _LIST,
}
