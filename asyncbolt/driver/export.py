"""Records as plain data: dicts for JSON, and data frames of pandas."""

from __future__ import annotations

import datetime as _dt
import gc
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, Final

from .._structure import Structure
from ..exceptions import BrokenRecordError
from ..graph import Node, Path, Relationship
from ..spatial import Point
from ..time import Date, DateTime, Duration, Time
from ..vector import Vector

__all__ = ["data_frame", "data_of", "has_broken", "nodes_in", "rows_data"]

_ATOMS: Final = frozenset({
    type(None), bool, int, float, str, bytes, uuid.UUID, Date, Time, DateTime, Duration, _dt.date, _dt.time,
    _dt.datetime, _dt.timedelta, Vector,
})  # fmt: skip

_Row = tuple[Any, ...]


def data_of(value: Any, nodes: Mapping[str, Node] | None = None) -> Any:
    """Return *value* as ``Record.data()`` gives it.

    Args:
        value: Any value of a record.
        nodes: Nodes by their ``element_id``: where a relationship knows no more of its nodes than that, these
            stand in.
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is list:
        return [data_of(item, nodes) for item in value]
    if kind is dict:
        return {key: data_of(item, nodes) for key, item in value.items()}
    if kind is Node:
        return {key: data_of(item, nodes) for key, item in value._properties.items()}
    if kind is Relationship:
        start, end = _ends(value, nodes)
        return data_of(start, nodes), value._type, data_of(end, nodes)
    if kind is Path:
        steps = [data_of(value.start_node, nodes)]
        for one, node in zip(value.relationships, value.nodes[1:], strict=True):
            steps += (one._type, data_of(node, nodes))
        return steps
    # What no server sends; people make records too.
    if isinstance(value, (str, bytes, bytearray, Point, Duration)):
        return value
    if isinstance(value, Mapping):
        return kind((key, data_of(item, nodes)) for key, item in value.items())
    if isinstance(value, (Sequence, AbstractSet)):
        return kind(data_of(item, nodes) for item in value)
    return value


def _ends(one: Relationship, nodes: Mapping[str, Node] | None) -> tuple[Node, Node]:
    start, end = one.nodes
    if nodes is None:
        return start, end
    return nodes.get(start._element_id, start), nodes.get(end._element_id, end)


def nodes_in(rows: Iterable[Iterable[Any]]) -> dict[str, Node]:
    """Return all nodes in *rows*, also those in lists, maps and paths, by their ``element_id``."""
    found: dict[str, Node] = {}
    waiting: list[Any] = []
    for row in rows:
        # Not through the iterator of a record, which does not give out broken values.
        waiting.extend(tuple.__iter__(row) if isinstance(row, tuple) else row)
        while waiting:
            value = waiting.pop()
            kind = type(value)
            if kind is Node:
                found.setdefault(value._element_id, value)
            elif kind is list:
                waiting.extend(value)
            elif kind is dict:
                waiting.extend(value.values())
            elif kind is Path:
                waiting.extend(value._unique_nodes)
    return found


def rows_data(keys: Sequence[str], rows: Sequence[_Row]) -> list[dict[str, Any]]:
    """Return *rows* as dicts, as ``Record.data()`` makes them.

    A relationship has the properties of its nodes where these are anywhere in *rows*.

    Raises:
        BrokenRecordError: A value is one that Python cannot express.
    """
    kinds = set(map(type, chain.from_iterable(rows)))
    if kinds <= _ATOMS:
        return list(map(dict, map(zip, repeat(keys), rows)))
    _refuse_broken(keys, rows)
    nodes = None if kinds.isdisjoint({Relationship, list, dict}) else nodes_in(rows)
    columns: list[Iterable[Any]] = []
    for place in range(len(keys)):
        column = list(map(itemgetter(place), rows))
        atoms = set(map(type, column)) <= _ATOMS
        columns.append(column if atoms else [data_of(value, nodes) for value in column])
    return list(map(dict, map(zip, repeat(keys), zip(*columns, strict=True))))


def _has_fields(row: _Row) -> bool:
    return bool(row)


# PyPy has no gc.is_tracked: every row is looked at.
_is_tracked: Final[Callable[[Any], bool]] = getattr(gc, "is_tracked", _has_fields)


def has_broken(rows: Iterable[_Row]) -> bool:
    """Whether a value in *rows* is one that Python cannot express, and so a Structure."""
    # The garbage collector does not track a row of nothing but atoms, which so costs nearly nothing here.
    return Structure in set(map(type, chain.from_iterable(filter(_is_tracked, rows))))


def _refuse_broken(keys: Sequence[str], rows: Iterable[_Row]) -> None:
    if not has_broken(rows):
        return
    for number, row in enumerate(rows):
        for key, value in zip(keys, row, strict=True):
            if type(value) is Structure:
                raise BrokenRecordError(
                    f"the value of column {key!r} of record {number} cannot be expressed in Python; "
                    f"the server sent {value!r}"
                )


def data_frame(
    keys: Sequence[str], rows: Sequence[_Row], expand: bool = False, parse_dates: bool = False
) -> Any:
    r"""Make a pandas DataFrame of *rows*.

    Args:
        keys: The names of the columns.
        rows: The rows: tuples.
        expand: Spread nodes, relationships, lists, maps, points and durations over columns of their own,
            lists and maps in each other too. Of a column ``x`` they are named

            * ``x().element_id``, ``x().labels`` and ``x().prop.<property>`` for a node;
            * ``x->.element_id``, ``x->.start.element_id``, ``x->.end.element_id``, ``x->.type`` and
              ``x->.prop.<property>`` for a relationship;
            * ``x[].0``, ``x[].1`` ... for a list, and for the numbers of a point or a duration;
            * ``x{}.<key>`` for a map.

            A ``.`` or ``\`` in the name of a column or the key of a map gets a ``\`` before it. What a row
            does not have is NaN.
        parse_dates: Turn columns of nothing but Date, DateTime and None into timestamps of pandas, with their
            nanoseconds and their time zone. Otherwise they stay what they are, in columns of dtype object.

    Raises:
        ImportError: pandas is not installed.
        BrokenRecordError: A value is one that Python cannot express.
    """
    try:
        import pandas as pd  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError("to_df() needs pandas: pip install pandas", name="pandas") from error

    _refuse_broken(keys, rows)
    if expand:
        keys, rows = _expanded(keys, rows)
    # pandas takes our date-times for its own kind and would convert them.
    dates = [place for place in range(len(keys)) if _starts_with_time(rows, place)]
    others = [place for place in range(len(keys)) if place not in set(dates)]
    if not dates:
        return pd.DataFrame(rows, columns=list(keys))
    left = list(zip(*(map(itemgetter(place), rows) for place in others), strict=True))
    frame = pd.DataFrame(
        left or None, columns=[keys[place] for place in others], index=None if left else range(len(rows))
    )
    for place in dates:
        column = list(map(itemgetter(place), rows))
        series = _timestamps(pd, column) if parse_dates else None
        if series is None:
            series = pd.Series(_object_array(column), dtype=object)
        frame.insert(place, keys[place], series, allow_duplicates=True)
    return frame


def _starts_with_time(rows: Iterable[_Row], place: int) -> bool:
    for value in map(itemgetter(place), rows):
        # NaN counts as nothing for pandas, like None.
        if value is not None and not (type(value) is float and value != value):
            return isinstance(value, (_dt.date, _dt.timedelta))
    return False


def _object_array(values: list[Any]) -> Any:
    import numpy as np

    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


# ------------------------------------------------------------------------------------------------- timestamps

_EPOCH: Final = _dt.datetime(1970, 1, 1)
_EPOCH_UTC: Final = _EPOCH.replace(tzinfo=_dt.timezone.utc)

# What fits into 64 bits of nanoseconds; the ends are given up, for offsets from UTC.
_NANOSECOND_YEARS: Final = range(1678, 2262)


def _timestamps(pd: Any, column: list[Any]) -> Any:
    """A series of timestamps, or None if not everything in *column* is a date, a date-time or None."""
    kinds = set(map(type, column)) - {type(None)}
    if not kinds <= {Date, DateTime, _dt.date, _dt.datetime}:
        return None
    if kinds <= {DateTime}:
        there = [value for value in column if value is not None]
        zones = {id(value.tzinfo): value.tzinfo for value in there}
        if len(zones) == 1 and all(value.year in _NANOSECOND_YEARS for value in there):
            return _quick_timestamps(pd, column, *zones.values())
    return pd.Series([pd.NaT if value is None else _timestamp(pd, value) for value in column])


def _quick_timestamps(pd: Any, column: list[DateTime | None], zone: _dt.tzinfo | None) -> Any:
    import numpy as np

    # The standard library's own subtraction: ours would put the nanoseconds into a Python object.
    minus: Callable[[Any, Any], Any] = _dt.datetime.__sub__
    epoch = _EPOCH if zone is None else _EPOCH_UTC
    micros = np.array(
        [None if value is None else minus(value, epoch) for value in column], dtype="timedelta64[us]"
    )
    below = np.array([0 if value is None else value._submicro for value in column], dtype="timedelta64[ns]")
    index = pd.DatetimeIndex((micros.astype("timedelta64[ns]") + below).view("datetime64[ns]"))
    if zone is not None:
        index = index.tz_localize("UTC").tz_convert(zone)
    return pd.Series(index)


def _timestamp(pd: Any, value: _dt.date) -> Any:
    if not isinstance(value, _dt.datetime):
        return pd.Timestamp(value.isoformat())
    plain = value.to_native() if isinstance(value, DateTime) else value
    if plain.year not in _NANOSECOND_YEARS:
        return pd.Timestamp(plain)
    # Through UTC, since adding to a wall clock time would lose which of two equal ones is meant.
    zone = plain.tzinfo
    stamp = pd.Timestamp(plain if zone is None else plain.astimezone(_dt.timezone.utc)).as_unit("ns")
    if isinstance(value, DateTime) and value._submicro:
        stamp += pd.Timedelta(value._submicro, "ns")
    return stamp if zone is None else stamp.tz_convert(zone)


# -------------------------------------------------------------------------------------------------- expanding


def _escaped(key: str) -> str:
    return key.replace("\\", "\\\\").replace(".", "\\.")


def _expanded(keys: Sequence[str], rows: Sequence[_Row]) -> tuple[list[str], list[_Row]]:
    """Spread every row over as many columns as any row needs, in the order in which they first come up."""
    prefixes = [_escaped(key) for key in keys]
    wide = []
    for row in rows:
        cells: dict[str, Any] = {}
        for prefix, value in zip(prefixes, row, strict=True):
            if type(value) in _ATOMS and type(value) is not Duration:
                cells[prefix] = value
            else:
                cells.update(_cells(prefix, value))
        wide.append(cells)
    names = list(dict.fromkeys(chain.from_iterable(wide))) if rows else list(dict.fromkeys(prefixes))
    nothing = float("nan")
    return names, [tuple([cells.get(name, nothing) for name in names]) for cells in wide]


def _cells(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Node):
        yield f"{prefix}().element_id", value.element_id
        yield f"{prefix}().labels", value.labels
        for key, item in value.items():
            yield f"{prefix}().prop.{key}", item
    elif isinstance(value, Relationship):
        yield f"{prefix}->.element_id", value.element_id
        yield f"{prefix}->.start.element_id", value.start_element_id
        yield f"{prefix}->.end.element_id", value.end_element_id
        yield f"{prefix}->.type", value.type
        for key, item in value.items():
            yield f"{prefix}->.prop.{key}", item
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _cells(f"{prefix}{{}}.{_escaped(key)}", item)
    elif isinstance(value, (list, tuple, Point)):
        for place, item in enumerate(value):
            yield from _cells(f"{prefix}[].{place}", item)
    else:
        yield prefix, value
