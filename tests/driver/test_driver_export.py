"""Rows as dicts and as data frames, compared with those of the official driver."""

from __future__ import annotations

import asyncio
import builtins
import datetime as dt
import uuid
import warnings
from zoneinfo import ZoneInfo

import neo4j.graph
import neo4j.spatial
import neo4j.time
import numpy as np
import pandas as pd
import pytest
import pytz
from neo4j._async.work.result import AsyncResult
from neo4j._codec.hydration.bolt.v2 import HydrationHandler

from asyncbolt._structure import Structure
from asyncbolt.driver.export import data_frame, data_of, rows_data
from asyncbolt.driver.record import Record, make_records
from asyncbolt.exceptions import BrokenRecordError
from asyncbolt.graph import Node, Path, Relationship
from asyncbolt.spatial import CartesianPoint, WGS84Point
from asyncbolt.time import Date, DateTime, Duration, Time
from asyncbolt.vector import Vector

ANN = Node(1, ["P"], {"name": "Ann", "tags": ["x", "y"]}, "n:1")
BOB = Node(2, ["P", "Q"], {"name": "Bob", "age": 5}, "n:2")
KNOWS = Relationship(5, 1, 2, "KNOWS", {"since": 1}, "r:5", "n:1", "n:2")
PATH = Path.of([BOB, ANN, BOB], [KNOWS, KNOWS])
BERLIN = "Europe/Berlin"
BROKEN = Structure(0x69, 0, 0, "Nowhere/Land")


class Theirs:
    """Our values as those of the official driver, and its conversions on rows of them."""

    def __init__(self):
        self.scope = HydrationHandler().new_hydration_scope()._graph_hydrator

    def value(self, value):
        if isinstance(value, Node):
            return self.scope.hydrate_node(value.id, value.labels, self.value(dict(value)), value.element_id)
        if isinstance(value, Relationship):
            return self.scope.hydrate_relationship(
                value.id, value.start_id, value.end_id, value.type, self.value(dict(value)),
                value.element_id, value.start_element_id, value.end_element_id,
            )  # fmt: skip
        if isinstance(value, Path):
            for node in value.nodes:
                self.value(node)
            steps = [self.value(one) for one in value.relationships]
            return neo4j.graph.Path(self.value(value.start_node), *steps)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, DateTime):
            made = neo4j.time.DateTime(
                value.year, value.month, value.day, value.hour, value.minute, value.second, value.nanosecond
            )
            zone = value.tzinfo
            if zone is None:
                return made
            if isinstance(zone, ZoneInfo):
                return pytz.timezone(zone.key).localize(made)
            return made.replace(tzinfo=pytz.FixedOffset(zone.utcoffset(None).total_seconds() // 60))
        if isinstance(value, Date):
            return neo4j.time.Date(value.year, value.month, value.day)
        if isinstance(value, Time):
            return neo4j.time.Time(value.hour, value.minute, value.second, value.nanosecond)
        if isinstance(value, Duration):
            months, days, seconds, nanoseconds = value
            return neo4j.time.Duration(months=months, days=days, seconds=seconds, nanoseconds=nanoseconds)
        if isinstance(value, WGS84Point):
            return neo4j.spatial.WGS84Point(tuple(value))
        return value

    def rows(self, rows):
        self.keep = [self.value(value) for row in rows for value in row]  # first, so that all nodes are known
        return [[self.value(value) for value in row] for row in rows]

    def data(self, keys, rows):
        return [neo4j.Record(zip(keys, row, strict=True)).data() for row in self.rows(rows)]

    def frame(self, keys, rows, **options):
        theirs = self.rows(rows)

        class Result:
            _keys = keys

            async def values(self):
                return theirs

            async def __aiter__(self):
                for row in theirs:
                    yield neo4j.Record(zip(keys, row, strict=True))

        return asyncio.run(AsyncResult.to_df(Result(), **options))


def columns(frame, theirs=None):
    """Name, dtype and values of each column in a form that can be compared."""
    found = []
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        kind = column.dtype
        if isinstance(kind, pd.DatetimeTZDtype):
            kind = (kind.unit, str(kind.tz))
        values = [None if value is None else comparable(value, theirs) for value in column]
        found.append((name, str(kind), values))
    return found


def comparable(value, theirs=None):
    if theirs is not None:
        value = theirs.value(value)
    if isinstance(value, pd.Timestamp):
        offset = value.utcoffset()
        return "timestamp", value.isoformat(), value.nanosecond, offset, value.unit
    if isinstance(value, (neo4j.graph.Node, neo4j.graph.Relationship)):
        return value.element_id
    if isinstance(value, neo4j.graph.Path):
        return [one.element_id for one in value.relationships]
    if value is pd.NaT:
        return "NaT"
    if isinstance(value, float) and value != value:
        return "NaN"
    return value


def check_frame(keys, rows, **options):
    theirs = Theirs()
    frame = data_frame(keys, rows, **options)
    assert columns(frame, theirs) == columns(theirs.frame(keys, rows, **options))
    return frame


# ------------------------------------------------------------------------------------------------------- data

ATOMS = [
    None, True, 5, 1.5, "x", b"bytes", Date(2020, 1, 2), Time(1, 2, 3, nanosecond=4), DateTime(2020, 1, 2),
    Duration(days=3), WGS84Point((1.0, 2.0)), uuid.UUID(int=5), Vector([1, 2], "i8"),
    CartesianPoint((1, 2, 3)),
]  # fmt: skip


@pytest.mark.parametrize("value", ATOMS, ids=lambda value: type(value).__name__)
def test_atoms_are_left_as_they_are(value):
    assert data_of(value) is value
    assert data_of([value, {"k": value}])[1]["k"] is value
    assert rows_data(("x",), [(value,)])[0]["x"] is value
    assert Record({"x": value}).data()["x"] is value


GRAPHS = {
    "atoms": [(1, "x"), (None, 2.5)],
    "node": [(ANN, 1), (BOB, None)],
    "relationship with its nodes": [(ANN, KNOWS), (BOB, KNOWS)],
    "nodes in a later row": [(None, KNOWS), (BOB, None), (ANN, 1)],
    "relationship alone": [(KNOWS, None)],
    "path": [(PATH, KNOWS)],
    "path of one node": [(Path([ANN]), 1)],
    "containers": [([1, [ANN]], {"k": [KNOWS, {"n": BOB}]}), ([], {})],
    "none": [],
}


@pytest.mark.parametrize("rows", GRAPHS.values(), ids=list(GRAPHS))
def test_data_as_the_official_one(rows):
    expected = Theirs().data(["a", "b"], rows)
    assert rows_data(("a", "b"), rows) == expected
    assert rows_data(("a", "b"), make_records(("a", "b"), rows)) == expected
    assert KNOWS.start_node._properties == {}  # nothing was changed


def test_containers_are_rebuilt():
    inner = {"k": [1]}
    (data,) = rows_data(("x",), [([inner],)])
    assert data == {"x": [{"k": [1]}]} and data["x"][0] is not inner and data["x"][0]["k"] is not inner["k"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [((1, [ANN]), (1, [dict(ANN)])), ({1, 2}, {1, 2}), (frozenset({1}), frozenset({1})), (object, object)],
)
def test_data_of_what_people_put_in(value, expected):
    data = data_of(value)
    assert data == expected and type(data) is type(expected)


def test_a_column_that_is_there_twice():
    assert rows_data(("a", "a"), [(1, 2)]) == Theirs().data(["a", "a"], [(1, 2)]) == [{"a": 2}]
    assert rows_data(("a", "a"), [(1, [2])]) == [{"a": [2]}]


@pytest.mark.parametrize(
    "convert", [rows_data, data_frame, lambda keys, rows: data_frame(keys, rows, expand=True)]
)
def test_broken_values_are_not_given_out(convert):
    with pytest.raises(BrokenRecordError, match=r"'b' of record 1 .*Nowhere/Land"):
        convert(("a", "b"), [(1, 2), (3, BROKEN)])


# ----------------------------------------------------------------------------------------------------- frames

DAY = Date(2020, 1, 2)
MOMENT = DateTime(2020, 1, 2, 3, 4, 5, nanosecond=123_456_789)
SUMMER = DateTime(2020, 7, 2, 3, 4, 5, nanosecond=1, tzinfo=ZoneInfo(BERLIN))
WINTER = MOMENT.replace(tzinfo=ZoneInfo(BERLIN))
SHIFTED = MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=1)))
UTC = MOMENT.replace(tzinfo=dt.timezone.utc)

FRAMES = {
    "mixed": [(1, "x", 1.5, True), (2, "y", 2.5, False)],
    "nothing in it": [(None, None, None, None), (None, None, None, None)],
    "gaps": [(None, "x", 1, True), (2, None, 2.5, None)],
    "large integers": [(2**63 - 1, -(2**63), 2**40, 0), (1, 1, 1, 1)],
    "containers": [([1, 2], {"a": 1}, [], {}), ([3], {}, None, {"b": 2})],
    "graph": [(ANN, KNOWS, PATH, None), (BOB, None, None, 1)],
    "dates": [(DAY, MOMENT, UTC, None), (None, None, None, DAY)],
    "zones": [(SUMMER, WINTER, SHIFTED, UTC), (WINTER, SHIFTED, UTC, MOMENT)],
    "zones of one column": [(SUMMER, UTC, MOMENT, DAY), (WINTER, UTC, MOMENT, DAY)],
    "dates and date-times": [(DAY, MOMENT, DAY, None), (MOMENT, DAY, None, MOMENT)],
    "NaN before a date": [(float("nan"), 1, 2, 3), (MOMENT, 1, 2, 3)],
    "number before a date": [(1, "x", DAY, MOMENT), (MOMENT, MOMENT, 1, "x")],
    "times and durations": [(Time(1, 2, 3), Duration(days=3), 1, None), (None, None, MOMENT, Time(1))],
    "far years": [(Date(9999, 1, 1), Date(1, 1, 1), 1, 1)],
    "points and bytes": [(WGS84Point((1.0, 2.0)), b"ab", 1, 2)],
    "no rows": [],
}


@pytest.mark.parametrize("parse_dates", [False, True])
@pytest.mark.parametrize("rows", FRAMES.values(), ids=list(FRAMES))
def test_frame_as_the_official_one(rows, parse_dates):
    frame = check_frame(["a", "b", "c", "d"], rows, parse_dates=parse_dates)
    assert frame.shape == (len(rows), 4)


def test_frame_of_records_and_of_rows():
    rows = FRAMES["dates"]
    records = make_records(("a", "b", "c", "d"), rows)
    assert columns(data_frame(("a", "b", "c", "d"), records)) == columns(
        data_frame(("a", "b", "c", "d"), rows)
    )


def test_without_columns():
    assert data_frame([], [(), ()]).shape[1] == 0 and data_frame([], []).shape == (0, 0)


def test_a_name_that_is_there_twice():
    frame = data_frame(["a", "a", "b"], [(1, MOMENT, MOMENT)])
    assert list(frame.columns) == ["a", "a", "b"] and list(frame.iloc[0]) == [1, MOMENT, MOMENT]


def test_our_classes_stay_in_columns_of_objects():
    frame = data_frame(["a", "b"], [(MOMENT, DAY), (None, DAY)])
    assert frame["a"].dtype == frame["b"].dtype == np.dtype(object)
    assert frame["a"][0] is MOMENT and frame["a"][1] is None and frame["b"][0] is DAY


def test_nanoseconds_and_zones_survive():
    early = DateTime(2020, 10, 25, 2, 30, nanosecond=999_999_999, tzinfo=ZoneInfo(BERLIN))
    late = early.replace(fold=1)
    before = DateTime(1950, 1, 1, nanosecond=1, tzinfo=ZoneInfo(BERLIN))
    frame = data_frame(["t"], [(early,), (late,), (None,), (before,)], parse_dates=True)
    assert frame["t"].dtype.unit == "ns" and str(frame["t"].dtype.tz) == BERLIN
    assert [stamp.utcoffset().seconds // 3600 for stamp in frame["t"][:2]] == [2, 1]
    assert (frame["t"][1] - frame["t"][0]).value == 3600 * 10**9 and frame["t"][2] is pd.NaT
    assert frame["t"][0].nanosecond == 999 and frame["t"][0].microsecond == 999_999
    assert frame["t"][3].value == -631_155_600 * 10**9 + 1

    mixed = data_frame(["t"], [(early,), (late.astimezone(dt.timezone.utc),), (None,)], parse_dates=True)
    assert [stamp.value for stamp in mixed["t"][:2]] == [stamp.value for stamp in frame["t"][:2]]
    assert mixed["t"].dtype == np.dtype(object) and mixed["t"][0].utcoffset() == dt.timedelta(hours=2)


@pytest.mark.parametrize(
    "moment", [DateTime(9999, 1, 2, 3, 4, 5, 6), DateTime(1, 1, 2, tzinfo=dt.timezone.utc)]
)
def test_date_times_that_nanoseconds_of_64_bits_do_not_reach(moment):
    # The official driver raises OutOfBoundsDatetime.
    frame = data_frame(["t"], [(moment,), (None,)], parse_dates=True)
    assert frame["t"][0].to_pydatetime() == moment.to_native() and frame["t"][1] is pd.NaT


EXPANDED = {
    "atoms": (["a", "b"], [(1, "x"), (None, 2.5)]),
    "nodes": (["a", "b"], [(ANN, 1), (BOB, 2)]),
    "nodes with other properties": (["n"], [(ANN,), (None,), (Node(3, [], {"age": 4}),)]),
    "relationships": (["r"], [(KNOWS,), (None,)]),
    "paths": (["p"], [(PATH,)]),
    "lists": (["l"], [([1, [2, 3], []],), ([4],)]),
    "maps": (["m"], [({"a": 1, "b": {"c": [1, 2]}},), ({"b": 2},), (3,)]),
    "graph in containers": (["x"], [([ANN, {"r": KNOWS}],)]),
    "dots and backslashes": (["x.y\\z", "\\", "."], [({"a.b": [1, {"\\": 2}]}, 1, {".": {"": 3}})]),
    "properties with dots": (["n"], [(Node(1, [], {"a.b": 1, "c\\": 2}),)]),
    "points and durations": (["p", "d"], [(WGS84Point((1.0, 2.0)), Duration(1, 2, 3, nanoseconds=4))]),
    "dates": (["t", "n"], [(MOMENT, Node(1, [], {"d": DAY, "at": UTC})), (None, Node(2, [], {"d": DAY}))]),
    "no rows": (["a", "b"], []),
    "a name twice": (["a", "a"], [(1, 2), (3, 4)]),
}  # fmt: skip


@pytest.mark.parametrize("parse_dates", [False, True])
@pytest.mark.parametrize(("keys", "rows"), EXPANDED.values(), ids=list(EXPANDED))
def test_expanded_as_the_official_one(keys, rows, parse_dates):
    check_frame(keys, rows, expand=True, parse_dates=parse_dates)


def test_the_names_of_expanded_columns():
    frame = data_frame(["n", "r", "x"], [(ANN, KNOWS, [{"a.b": [1, 2]}, "y"])], expand=True)
    assert list(frame.columns) == [
        "n().element_id", "n().labels", "n().prop.name", "n().prop.tags",
        "r->.element_id", "r->.start.element_id", "r->.end.element_id", "r->.type", "r->.prop.since",
        "x[].0{}.a\\.b[].0", "x[].0{}.a\\.b[].1", "x[].1",
    ]  # fmt: skip
    assert frame["n().labels"][0] == frozenset({"P"}) and frame["r->.type"][0] == "KNOWS"


def test_better_than_the_official_one_when_expanding():
    # It puts these values into the wrong columns, takes bytes apart, and doubles a backslash of its own.
    rows = [({"a": 1, "b": 2},), ({"b": 3, "a": 4},)]
    frame = data_frame(["x"], rows, expand=True)
    assert list(frame["x{}.a"]) == [1, 4] and list(frame["x{}.b"]) == [2, 3]
    assert list(data_frame(["x"], [(b"ab",)], expand=True)["x"]) == [b"ab"]
    assert list(data_frame(["x.y"], [], expand=True).columns) == ["x\\.y"]


def test_no_warnings_come_from_it():
    rows = [*FRAMES["dates"], *FRAMES["zones"], *FRAMES["graph"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for expand in (False, True):
            assert len(data_frame(["a", "b", "c", "d"], rows, expand, True)) == len(rows)


def test_without_pandas(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install pandas") as caught:
        data_frame(["a"], [(1,)])
    assert caught.value.name == "pandas"
