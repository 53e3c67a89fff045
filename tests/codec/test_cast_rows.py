"""Rows as instances of a subclass of tuple."""

from __future__ import annotations

import gc
import sys
import time
from collections import deque

import pytest
from exact import outcome


class Plain(tuple):
    __slots__ = ()


class Open(tuple):  # its instances have a __dict__
    pass


class Busy(tuple):
    __slots__ = ()

    def __new__(cls, *values):
        raise AssertionError("called")


ROWS = [(1, "a", None), (2.5, [1], {"k": 1}), (), (b"x",), [1, 2], "ab", range(3), {"k": 1}]


@pytest.mark.parametrize("kind", [Plain, Open, Busy, tuple])
def test_same_values_in_the_class(codec, kind):
    made = codec.packstream.cast_rows(kind, ROWS)
    assert type(made) is list
    assert list(map(type, made)) == [kind] * len(ROWS)
    assert list(map(tuple.__repr__, made)) == [repr(tuple(row)) for row in ROWS]
    for new, row in zip(made, ROWS, strict=True):
        assert all(one is other for one, other in zip(new, row, strict=True))


@pytest.mark.parametrize("form", [list, tuple, iter, deque])
def test_rows_in_any_iterable(codec, form):
    assert codec.packstream.cast_rows(Plain, form([(1,), (2,)])) == [(1,), (2,)]
    assert codec.packstream.cast_rows(Plain, form([])) == []


def test_they_hash_and_compare_like_tuples(codec):
    row = (1, "a", 2.5)
    (made,) = codec.packstream.cast_rows(Plain, [row])
    assert hash(made) == hash(row) == hash(made)
    assert made == row and made[1:] == row[1:] and made * 2 == row * 2
    assert {row: 1}[made] == 1


@pytest.mark.parametrize("rows", [[], [(1,)]])
@pytest.mark.parametrize("kind", [int, object, 5, None, "tuple", time.struct_time])
def test_kinds_that_are_refused(codec, kind, rows):
    expected = outcome(tuple.__new__, kind, ())
    assert expected[0] == "raises"
    assert outcome(codec.packstream.cast_rows, kind, rows) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (5, lambda: iter(5)),
        (None, lambda: iter(None)),
        ([5], lambda: tuple(5)),
        ([(1,), None], lambda: tuple(None)),
    ],
)
def test_rows_that_are_refused(codec, rows, expected):
    expected = outcome(expected)
    assert expected[0] == "raises"
    assert outcome(codec.packstream.cast_rows, Plain, rows) == expected


def test_errors_of_rows_pass_through(codec):
    class Error(Exception):
        pass

    def rows():
        yield (1,)
        raise Error

    with pytest.raises(Error):
        codec.packstream.cast_rows(Plain, rows())


def test_hidden_from_the_collector_where_the_row_is(request):
    if request.config.getoption("--impl") == "python":
        pytest.skip("about the compiled twin only")
    from asyncbolt._chunking import MessageReader, MessageWriter
    from asyncbolt._packstream import cast_rows

    class NoCollector:
        __slots__ = ()

        def __iter__(self):
            return iter(([],))

    (rows,) = MessageReader().feed(MessageWriter().records([(1, "a"), (1, [2])]))
    assert list(map(gc.is_tracked, rows)) == [False, True]
    assert list(map(gc.is_tracked, cast_rows(Plain, rows))) == [False, True]
    assert all(map(gc.is_tracked, cast_rows(Open, rows)))
    assert all(map(gc.is_tracked, cast_rows(Plain, [NoCollector(), [1]])))


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="reference counts are CPython's")
def test_nothing_leaks(codec):
    value = object()
    kind = type("Kind", (tuple,), {"__slots__": ()})
    rows = [(value, n) for n in range(100)]
    before = sys.getrefcount(value), sys.getrefcount(kind)
    made = codec.packstream.cast_rows(kind, rows)
    assert sys.getrefcount(value) == before[0] + len(rows)
    assert sys.getrefcount(kind) == before[1] + len(rows)
    with pytest.raises(TypeError):
        codec.packstream.cast_rows(kind, [*rows, 5])
    del made
    assert (sys.getrefcount(value), sys.getrefcount(kind)) == before
