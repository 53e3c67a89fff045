"""Rows of every kind become records, and rows that cannot are refused one by one."""

from __future__ import annotations

import collections
import sqlite3

import pytest

from asyncbolt.server.errors import BadResult
from asyncbolt.server.results import Result, Shape

Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "rows",
    [
        [(1, 2), (3, 4)],
        [[1, 2], [3, 4]],
        [(1, 2), [3, 4]],
        [{"a": 1, "b": 2}, {"b": 4, "a": 3}],
        [(1, 2), {"a": 3, "b": 4}],
        [Point(1, 2), Point(3, 4)],
        [collections.ChainMap({"a": 1}, {"b": 2}), collections.OrderedDict(b=4, a=3)],
        [range(1, 3), collections.deque([3, 4])],
    ],
)
def test_rows_of_every_kind_fit(rows):
    fitted, bad = Shape(("a", "b")).fit(rows, 0)
    assert bad is None
    assert [tuple(row) for row in fitted] == [(1, 2), (3, 4)]
    assert all(type(row) in (tuple, list) for row in fitted)


def test_rows_of_a_database_fit():
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    rows = connection.execute("select 1 as a, 2 as b union all select 3, 4").fetchall()
    connection.close()
    assert Shape(("a", "b")).fit(rows, 0) == ([(1, 2), (3, 4)], None)


def test_rows_that_fit_already_are_not_copied():
    rows = [(1, 2), (3, 4)]
    fitted, _ = Shape(("a", "b")).fit(rows, 0)
    assert fitted is rows


def test_dicts_with_one_field_are_tuples_of_one():
    assert Shape(("a",)).fit([{"a": [1]}, {"a": "x"}], 0) == ([([1],), ("x",)], None)


def test_no_fields_and_no_values():
    assert Shape(()).fit([(), []], 0) == ([(), []], None)
    assert Shape(()).fit([{}, {}], 0) == ([(), ()], None)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ((1,), "row 12 has 1 values, the fields are 2: a, b"),
        ([1, 2, 3], "row 12 has 3 values, the fields are 2: a, b"),
        ({"a": 1}, "row 12 has no key 'b'; the fields are a, b"),
        ({"a": 1, "b": 2, "c": 3}, "row 12 has the key 'c', which is none of the fields a, b"),
        ({"a": 1, "c": 3}, "row 12 has no key 'b'; the fields are a, b"),
        (7, "row 12 must be a tuple, a list or a dict, not int"),
        ("ab", "row 12 must be a tuple, a list or a dict, not str"),
        ({1, 2}, "row 12 must be a tuple, a list or a dict, not set"),
        (None, "row 12 must be a tuple, a list or a dict, not NoneType"),
    ],
)
@pytest.mark.parametrize("good", [(1, 2), {"a": 1, "b": 2}], ids=["tuples", "dicts"])
def test_row_that_does_not_fit_stops_behind_the_good_ones(row, text, good):
    fitted, bad = Shape(("a", "b")).fit([good, good, row, good], 10)
    assert [tuple(each) for each in fitted] == [(1, 2), (1, 2)]
    assert isinstance(bad, BadResult)
    assert str(bad) == text


def test_result_takes_any_series_of_names():
    assert Result(name for name in ("a", "b")).fields == ("a", "b")
    assert repr(Result(["a"])) == "<Result ['a']>"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("ab",), "fields must be a series of names, not one str"),
        (([1],), "the names of fields must be str, not int"),
        ((["a"], 7), "records must be an iterable of rows, not int"),
        ((["a"], "rows"), "records must be an iterable of rows, not str"),
        ((["a"], [], 7), "summary must be a dict or a callable, not int"),
    ],
)
def test_result_refuses_what_it_cannot_send(arguments, text):
    with pytest.raises(TypeError, match=f"^{text}$"):
        Result(*arguments)
