"""What `normalize` makes of values whose exact type the codec does not know."""

from __future__ import annotations

import array
import asyncio
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import subprocess
import sys
import types
import typing
import uuid
import warnings
import zoneinfo

import pytest

from asyncbolt._convert import normalize
from asyncbolt._structure import Structure
from asyncbolt.exceptions import PackError
from asyncbolt.graph import Node, Path, Relationship
from asyncbolt.spatial import CartesianPoint, Point, WGS84Point
from asyncbolt.time import Date, DateTime, Duration, Time, TimeDelta
from asyncbolt.vector import UnsupportedType, Vector

UTC = dt.timezone.utc

# The exact types that the codec knows.
KNOWN = {
    type(None), bool, int, float, str, bytes, list, dict, dt.date, dt.time, dt.datetime, Time, DateTime,
    Duration, Point, CartesianPoint, WGS84Point, Structure, Vector, uuid.UUID,
}  # fmt: skip


def whole(value):
    """Normalize a value and all that is in it, as the codec does."""
    if type(value) not in KNOWN:
        value = normalize(value)
        assert type(value) in KNOWN, type(value)
    if type(value) is list:
        return [whole(item) for item in value]
    if type(value) is dict:
        return {key: whole(item) for key, item in value.items()}
    return value


def same(got, expected):
    assert type(got) is type(expected), (got, expected)
    if type(got) is list:
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            same(one, other)
    elif type(got) is dict:
        assert list(got) == list(expected)
        for key in got:
            same(got[key], expected[key])
    elif got == got or expected == expected:  # but for NaN
        assert got == expected
        if isinstance(got, (dt.datetime, dt.time)):
            assert got.tzinfo == expected.tzinfo and got.fold == expected.fold
        if type(got) is Duration:
            assert tuple(got) == tuple(expected)


class Color(enum.Enum):
    RED = "red"


class Text(str, enum.Enum):
    A = "a"

    def __str__(self):
        return "misleading"


class Number(enum.IntEnum):
    TWO = 2


class Flag(enum.IntFlag):
    A = 1
    B = 2


class OddInt(int):
    def __int__(self):
        return 666

    __index__ = __int__


class OddFloat(float):
    def __float__(self):
        return 666.0


class OddStr(str):
    def __str__(self):
        return "misleading"

    def encode(self, *args):
        return b"misleading"


class OddBytes(bytes):
    def __bytes__(self):
        return b"misleading"


class Rows(list):
    pass


Pair = collections.namedtuple("Pair", "a b")


class OnlyMapping(collections.abc.Mapping):
    def __getitem__(self, key):
        return {"a": 1, "b": (2,)}[key]

    def __iter__(self):
        return iter(("a", "b"))

    def __len__(self):
        return 2


class MyDateTime(dt.datetime):
    pass


class MyFineDateTime(DateTime):
    pass


class MyTime(dt.time):
    pass


class MyFineTime(Time):
    pass


class MyDate(Date):
    pass


class MyTimedelta(dt.timedelta):
    pass


class MyDuration(Duration):
    pass


class MyPoint(WGS84Point):
    pass


class MyUUID(uuid.UUID):
    pass


ZONE = zoneinfo.ZoneInfo("Europe/Paris")
ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Number.TWO, 2),
        (Flag.A | Flag.B, 3),
        (OddInt(5), 5),
        (OddFloat(1.5), 1.5),
        (OddStr("x"), "x"),
        (Text.A, "a"),
        (OddBytes(b"x"), b"x"),
        (bytearray(b"x"), b"x"),
        (memoryview(b"abcd"), b"abcd"),
        (memoryview(b"abcd")[::2], b"ac"),
        (memoryview(array.array("H", [1])), array.array("H", [1]).tobytes()),
        (Rows([1, (2,)]), [1, [2]]),
        ((1, 2), [1, 2]),
        (Pair(1, "x"), [1, "x"]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(int, a=1), {"a": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.ChainMap({"a": 1}), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (OnlyMapping(), {"a": 1, "b": [2]}),
        (dt.timedelta(1, 2, 3), Duration(days=1, seconds=2, microseconds=3)),
        (dt.timedelta(-1, 2, 3), Duration._make(0, -1, 2, 3000)),
        (MyTimedelta(1), Duration(days=1)),
        (TimeDelta(nanoseconds=-1), Duration._make(0, -1, 86_399, 999_999_999)),
        (MyDateTime(2024, 1, 2, tzinfo=ZONE, fold=1), dt.datetime(2024, 1, 2, tzinfo=ZONE, fold=1)),
        (MyFineDateTime(2024, 1, 2, nanosecond=5), DateTime(2024, 1, 2, nanosecond=5)),
        (MyTime(1, 2, 3, 4, UTC, fold=1), dt.time(1, 2, 3, 4, UTC, fold=1)),
        (MyFineTime(1, nanosecond=5), Time(1, nanosecond=5)),
        (MyDate(2024, 1, 2), dt.date(2024, 1, 2)),
        (MyDuration._make(1, 2, -3, 4), Duration._make(1, 2, -3, 4)),
        (MyPoint((1, 2)), WGS84Point((1, 2))),
        (MyUUID(int=ID.int), ID),
    ],
    ids=lambda value: type(value).__name__,
)
def test_subclasses_and_likes(value, expected):
    same(whole(value), expected)


def test_released_memoryview():
    view = memoryview(b"x")
    view.release()
    with pytest.raises(PackError, match="released"):
        normalize(view)


def test_errors_of_a_mapping_are_its_own():
    class Broken(collections.abc.Mapping):
        __iter__ = __len__ = __getitem__ = lambda *args: 1 / 0

    with pytest.raises(ZeroDivisionError):
        normalize(Broken())


# Refusals


@dataclasses.dataclass
class Data:
    a: int = 1


class Plain:
    pass


class Model:
    def model_dump(self):
        return {}


class Attrs:
    __attrs_attrs__ = ()


class Frame:
    def to_dicts(self):
        return []


class Tensor:
    def tolist(self):
        return []


class Awaited:
    def __await__(self):
        yield


class Iterable:
    def __iter__(self):
        return iter(())


def generator():
    yield 1


async def async_generator():
    yield 1


class Proto(typing.NamedTuple):
    a: int


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({1}, "list("),
        (frozenset(), "list("),
        (generator(), "list("),
        (iter([]), "list("),
        (map(str, []), "list("),
        (range(3), "list("),
        (collections.deque(), "list("),
        ({}.keys(), "list("),
        ({}.values(), "list("),
        ({}.items(), "list("),
        (array.array("i"), "list("),
        (Iterable(), "list("),
        (async_generator(), "async for"),
        (Data(), "dataclasses.asdict("),
        (decimal.Decimal("1.5"), "float(...) or str("),
        (fractions.Fraction(1, 2), "float(...) or str("),
        (1j, "real and imaginary"),
        (Color.RED, ".value"),
        (Model(), ".model_dump()"),
        (Attrs(), "attrs.asdict("),
        (Frame(), ".to_dicts()"),
        (Tensor(), ".tolist()"),
        (Awaited(), "awaited"),
        (pathlib.PurePosixPath("x"), "str("),
        (UTC, "name"),
        (ZONE, "name"),
        (int, "class"),
        (Data, "class"),
        (Proto, "class"),
        (Plain(), ""),
        (len, ""),
        (object(), ""),
        (UnsupportedType("X", (7, 0)), "element_id"),
        (Node(1), "element_id"),
        (Relationship(1, 2, 3, "T"), "element_id"),
        (Path.of([Node(1)]), "element_id"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refused_with_a_hint(value, hint):
    with pytest.raises(PackError) as caught:
        normalize(value)
    assert caught.value.path == ()
    reason = caught.value.reason
    assert hint in reason and type(value).__name__ in reason
    assert (hint != "") == ("; " in reason)
    assert "0x" not in reason  # no repr: it may be long, or hold what nobody should read


def test_refused_coroutine():
    coroutine = asyncio.sleep(0)
    with pytest.raises(PackError, match="awaited"):
        normalize(coroutine)
    coroutine.close()


def test_classes_of_the_official_driver():
    neo4j_time = pytest.importorskip("neo4j.time")
    spatial = pytest.importorskip("neo4j.spatial")
    for value in (
        neo4j_time.Duration(days=1),
        neo4j_time.DateTime(2024, 1, 2),
        neo4j_time.Date(2024, 1, 2),
        spatial.CartesianPoint((1, 2)),
    ):
        with pytest.raises(PackError, match="same name in asyncbolt"):
            normalize(value)


def test_nothing_is_imported():
    code = (
        "import sys; from asyncbolt._convert import normalize; normalize((1,)); normalize(dict.__mro__);"
        "print({'numpy', 'pandas', 'pyarrow', 'neo4j'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# numpy


def numpy_cases():
    try:
        import numpy as np
    except ImportError:
        return []
    nan = float("nan")
    return [
        (np.True_, True),
        *((np.dtype(code).type(7), 7) for code in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")),
        *((np.dtype(code).type(1.5), 1.5) for code in ("f2", "f4", "f8", "g")),
        (np.float32("nan"), nan),
        (np.str_("x"), "x"),
        (np.bytes_(b"x"), b"x"),
        (np.array([1, 2]), [1, 2]),
        (np.array([[1.5], [2]], "f4"), [[1.5], [2.0]]),
        (np.array(5), 5),
        (np.array([True]), [True]),
        (np.array(["a"]), ["a"]),
        (np.array([b"a"]), [b"a"]),
        (np.array([]), []),
        (np.zeros((2, 0)), [[], []]),
        (np.array([1.5], "g"), [1.5]),
        (np.array([1, "x", None, (2,), {"a": np.int8(3)}], object), [1, "x", None, [2], {"a": 3}]),
        (np.array((1,), object)[0], 1),
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        (np.datetime64("2024-01-02"), dt.datetime(2024, 1, 2)),
        (np.datetime64("2024"), dt.datetime(2024, 1, 1)),
        (np.datetime64("2024-02"), dt.datetime(2024, 2, 1)),
        (np.datetime64("1969-11"), dt.datetime(1969, 11, 1)),
        (np.datetime64(-1, "W"), dt.datetime(1969, 12, 25)),
        (np.datetime64("2024-01-02T03:04"), dt.datetime(2024, 1, 2, 3, 4)),
        (
            np.datetime64("1970-01-01T00:00:01.000000002999999999"),
            DateTime(1970, 1, 1, 0, 0, 1, nanosecond=2),
        ),
        (np.datetime64("2024-01-02T03"), dt.datetime(2024, 1, 2, 3)),
        (np.datetime64("2024-01-02T03:04:05"), dt.datetime(2024, 1, 2, 3, 4, 5)),
        (np.datetime64("2024-01-02T03:04:05.678"), dt.datetime(2024, 1, 2, 3, 4, 5, 678_000)),
        (np.datetime64("2024-01-02T03:04:05.678901"), dt.datetime(2024, 1, 2, 3, 4, 5, 678_901)),
        (
            np.datetime64("2024-01-02T03:04:05.678901234"),
            DateTime(2024, 1, 2, 3, 4, 5, nanosecond=678_901_234),
        ),
        (
            np.datetime64("1969-12-31T23:59:59.999999999"),
            DateTime(1969, 12, 31, 23, 59, 59, nanosecond=999_999_999),
        ),
        (np.datetime64("1970-01-01T00:00:00.000000001999"), DateTime(1970, 1, 1, nanosecond=1)),
        (np.datetime64("0001-01-01T00:00:00", "s"), dt.datetime(1, 1, 1)),
        (np.datetime64("9999-12-31T23:59:59.999999"), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)),
        (np.datetime64(3, "25s"), dt.datetime(1970, 1, 1, 0, 1, 15)),
        (np.datetime64("NaT", "Y"), None),
        (np.datetime64("NaT", "ns"), None),
        (np.array(["2024-01-02", "NaT"], "M8[ns]"), [dt.datetime(2024, 1, 2), None]),
        (np.array([["2024-01-02"]], "M8[D]"), [[dt.datetime(2024, 1, 2)]]),
        (np.array("2024-01-02", "M8[D]"), dt.datetime(2024, 1, 2)),
        (np.timedelta64(3, "Y"), Duration(years=3)),
        (np.timedelta64(3, "M"), Duration(months=3)),
        (np.timedelta64(3, "W"), Duration(weeks=3)),
        (np.timedelta64(-3, "D"), Duration(days=-3)),
        (np.timedelta64(3, "h"), Duration(hours=3)),
        (np.timedelta64(3, "m"), Duration(minutes=3)),
        (np.timedelta64(3, "s"), Duration(seconds=3)),
        (np.timedelta64(3, "25s"), Duration(seconds=75)),
        (np.timedelta64(1500, "ms"), Duration(seconds=1.5)),
        (np.timedelta64(-1500, "us"), Duration(microseconds=-1500)),
        (np.timedelta64(3, "ns"), Duration(nanoseconds=3)),
        (np.timedelta64(3999, "ps"), Duration(nanoseconds=3)),
        (np.timedelta64("NaT", "ns"), None),
        (np.array([1, "NaT"], "m8[s]"), [Duration(seconds=1), None]),
    ]


@pytest.mark.parametrize(("value", "expected"), numpy_cases(), ids=repr)
def test_numpy(value, expected):
    same(whole(value), expected)


def test_numpy_is_tested():
    np = pytest.importorskip("numpy")
    assert len(numpy_cases()) > 50
    for value in (
        np.complex64(1j),
        np.array([(1, 2)], "i4,i4"),
        np.zeros(1, "i4,i4")[0],
        np.dtype("i4"),
    ):
        with pytest.raises(PackError):
            normalize(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        without_unit = np.timedelta64(5)
    with pytest.raises(PackError, match="unit"):
        normalize(without_unit)
    for value in (
        np.datetime64(-1970, "Y"),
        np.datetime64(10000 - 1970, "Y"),
        np.datetime64(2**62, "Y"),
        np.datetime64(-(2**62), "M"),
        np.datetime64(2**62, "W"),
        np.datetime64(2**62, "s"),
        np.datetime64(2**62, "ms"),
    ):
        with pytest.raises(PackError, match="years"):
            normalize(value)
    with pytest.raises(PackError, match="64 bits"):
        normalize(np.timedelta64(2**62, "Y"))
    with pytest.raises(PackError, match="imaginary"):
        whole(np.array([1j]))


# pandas


def pandas_cases():
    try:
        import numpy as np
        import pandas as pd
    except ImportError:
        return []
    day = dt.datetime(2024, 1, 2)
    return [
        (pd.NA, None),
        (pd.NaT, None),
        (pd.Timestamp("2024-01-02"), day),
        (
            pd.Timestamp("2024-01-02T03:04:05.678901234"),
            DateTime(2024, 1, 2, 3, 4, 5, nanosecond=678_901_234),
        ),
        (pd.Timestamp("2024-01-02", tz=ZONE), day.replace(tzinfo=ZONE)),
        (
            pd.Timestamp("2024-10-27 01:30", tz="UTC").tz_convert(ZONE),
            dt.datetime(2024, 10, 27, 2, 30, tzinfo=ZONE, fold=1),
        ),
        (pd.Timedelta(days=1, seconds=2, nanoseconds=3), Duration(seconds=86_402, nanoseconds=3)),
        (pd.Timedelta(-1, "ns"), Duration(nanoseconds=-1)),
        (pd.Timedelta(-1, "s"), Duration(seconds=-1)),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Series([1.5, None]), [1.5, float("nan")]),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (pd.Series([True, None], dtype="boolean"), [True, None]),
        (pd.Series(["a", None], dtype="string"), ["a", None]),
        (pd.Series([pd.Timestamp("2024-01-02"), pd.NaT]), [day, None]),
        (pd.Series([pd.Timedelta(1, "s"), pd.NaT]), [Duration(seconds=1), None]),
        (pd.Series([[1], {"a": np.int8(1)}]), [[1], {"a": 1}]),
        (pd.Categorical(["a", "b", "a"]), ["a", "b", "a"]),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (pd.Index([1, 2]), [1, 2]),
        (pd.RangeIndex(2), [0, 1]),
        (pd.DatetimeIndex(["2024-01-02"]), [day]),
        (pd.MultiIndex.from_tuples([("a", 1)]), [["a", 1]]),
        (pd.array([1, None], dtype="Int8"), [1, None]),
        (pd.array(["2024-01-02"], dtype="datetime64[ns]"), [day]),
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}, dtype=object), {"a": [1, 2], "b": ["x", None]}),
        (pd.DataFrame({"t": [pd.Timestamp("2024-01-02")]}), {"t": [day]}),
        (pd.DataFrame(), {}),
    ]


@pytest.mark.parametrize(("value", "expected"), pandas_cases(), ids=lambda value: type(value).__name__)
def test_pandas(value, expected):
    same(whole(value), expected)


def test_pandas_is_tested():
    pd = pytest.importorskip("pandas")
    assert len(pandas_cases()) > 25
    with pytest.raises(PackError, match="one name"):
        normalize(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    for value in (pd.Period("2024-01"), pd.Interval(0, 1)):
        with pytest.raises(PackError, match=r"str\("):
            normalize(value)
