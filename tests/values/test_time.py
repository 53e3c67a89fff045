"""DateTime, Time and Date: the standard library's classes, and nanoseconds on top."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import pickle
import sys
import warnings
import zoneinfo

import pytest

from asyncbolt.time import (
    ClockTime,
    Date,
    DateTime,
    Duration,
    Midday,
    Midnight,
    Time,
    TimeDelta,
    UnixEpoch,
)

UTC = dt.timezone.utc
PARIS = zoneinfo.ZoneInfo("Europe/Paris")
TOKYO = zoneinfo.ZoneInfo("Asia/Tokyo")
EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))

DATE_TIMES = [
    dt.datetime(2024, 2, 29, 12, 34, 56, 789012),
    dt.datetime(1, 1, 2),
    dt.datetime(9999, 12, 30, 23, 59, 59, 999999),
    dt.datetime(1969, 12, 31, 23, 59, 59, 1, UTC),
    dt.datetime(2024, 7, 1, 8, 0, 0, 0, EAST),
    dt.datetime(2024, 7, 1, 8, 0, 30, 5, PARIS),
    dt.datetime(2024, 10, 27, 2, 30, tzinfo=PARIS),
    dt.datetime(2024, 10, 27, 2, 30, tzinfo=PARIS, fold=1),
    dt.datetime(2024, 3, 31, 2, 30, tzinfo=PARIS),
]
TIMES = [
    dt.time(),
    dt.time(12, 34, 56, 789012),
    dt.time(23, 59, 59, 999999, UTC),
    dt.time(1, 2, tzinfo=EAST),
    dt.time(1, 2, tzinfo=PARIS),
    dt.time(1, 2, 3, fold=1),
]
DATES = [dt.date(2024, 2, 29), dt.date(1, 1, 1), dt.date(9999, 12, 31)]

OURS = {dt.datetime: DateTime, dt.time: Time, dt.date: Date}


def outcome(call):
    """What a call gives: its value, or the type of what it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return call()
    except (ValueError, OverflowError, TypeError, OSError) as exc:
        return type(exc)


def assert_same(ours, plain):
    """Equal; of our class where the plain one is of the standard library's; and complete."""
    assert type(ours) is OURS.get(type(plain), type(plain))
    assert ours == plain and plain == ours
    if isinstance(plain, (dt.datetime, dt.time)):
        assert ours._submicro == 0
        assert ours.tzinfo == plain.tzinfo
        assert ours.fold == plain.fold
        assert str(ours) == str(plain)
    if isinstance(plain, dt.datetime):
        assert ours.utcoffset() == plain.utcoffset()


# Every public method of the standard library's classes, and how it is called on a value of them. A name that
# a future Python adds makes `test_no_method_is_forgotten` fail.

READ = ["day", "fold", "hour", "microsecond", "minute", "month", "second", "tzinfo", "year"]

DATE_TIME_CALLS = {
    **{name: [lambda v, name=name: getattr(v, name)] for name in READ},
    "astimezone": [lambda v: v.astimezone(TOKYO), lambda v: v.astimezone(UTC), lambda v: v.astimezone()],
    "combine": [
        lambda v: v.combine(v.date(), v.timetz()),
        lambda v: v.combine(v.date(), v.time(), TOKYO),
        lambda v: v.combine(v, v.timetz(), tzinfo=None),
        lambda v: v.combine(v.date(), None),
    ],
    "ctime": [lambda v: v.ctime()],
    "date": [lambda v: v.date()],
    "dst": [lambda v: v.dst()],
    "fromisocalendar": [lambda v: v.fromisocalendar(2024, 9, 4), lambda v: v.fromisocalendar(2024, 60, 1)],
    "fromisoformat": [
        lambda v: v.fromisoformat(v.isoformat()),
        lambda v: v.fromisoformat(v.isoformat(" ", "milliseconds")),
        lambda v: v.fromisoformat("2024-02-29"),
        lambda v: v.fromisoformat("2024-02-29.12:34:56"),
        lambda v: v.fromisoformat("2024-02-29T12:34:56+01:00:00.123456"),
        lambda v: v.fromisoformat("2024-02-29T12:34:56-01:00:00.123456"),
        lambda v: v.fromisoformat("2024-02-30"),
        lambda v: v.fromisoformat("nonsense.5"),
        lambda v: v.fromisoformat(5),
    ],
    "fromordinal": [lambda v: v.fromordinal(700_000), lambda v: v.fromordinal(0)],
    "fromtimestamp": [
        lambda v: v.fromtimestamp(1_700_000_000.25),
        lambda v: v.fromtimestamp(1_700_000_000.000001, PARIS),
        lambda v: v.fromtimestamp(1_729_990_800 + 1800, tz=PARIS),
        lambda v: v.fromtimestamp(-1.5, UTC),
        lambda v: v.fromtimestamp(1e30, UTC),
    ],
    "isocalendar": [lambda v: v.isocalendar()],
    "isoformat": [
        lambda v: v.isoformat(),
        lambda v: v.isoformat(" "),
        *(
            lambda v, spec=spec: v.isoformat(timespec=spec)
            for spec in ("auto", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nonsense")
        ),
    ],
    "isoweekday": [lambda v: v.isoweekday()],
    "replace": [
        lambda v: v.replace(),
        lambda v: v.replace(2023, 1, 2, 3, 4, 5, 6, UTC),
        lambda v: v.replace(year=2020),
        lambda v: v.replace(tzinfo=None),
        lambda v: v.replace(fold=1),
        lambda v: v.replace(month=13),
        lambda v: v.replace(microsecond=0),
    ],
    "strftime": [lambda v: v.strftime("%Y-%m-%d %H:%M:%S.%f %z")],
    "strptime": [
        lambda v: v.strptime("2024-02-29 12:34:56.789 +0530", "%Y-%m-%d %H:%M:%S.%f %z"),
        lambda v: v.strptime("x", "%Y"),
    ],
    "time": [lambda v: v.time()],
    "timestamp": [lambda v: v.timestamp()],
    "timetuple": [lambda v: v.timetuple()],
    "timetz": [lambda v: v.timetz()],
    "toordinal": [lambda v: v.toordinal()],
    "tzname": [lambda v: v.tzname()],
    "utcfromtimestamp": [lambda v: v.utcfromtimestamp(1_700_000_000.5)],
    "utcoffset": [lambda v: v.utcoffset()],
    "utctimetuple": [lambda v: v.utctimetuple()],
    "weekday": [lambda v: v.weekday()],
}
TIME_CALLS = {
    **{name: DATE_TIME_CALLS[name] for name in READ if name not in ("day", "month", "year")},
    "dst": [lambda v: v.dst()],
    "fromisoformat": [
        lambda v: v.fromisoformat(v.isoformat()),
        lambda v: v.fromisoformat("12:34"),
        lambda v: v.fromisoformat("12:34:56.789-01:00"),
        lambda v: v.fromisoformat("12:34:56-01:00:00.123456"),
        lambda v: v.fromisoformat("25:00"),
        lambda v: v.fromisoformat(None),
    ],
    "isoformat": [
        lambda v: v.isoformat(),
        *(
            lambda v, spec=spec: v.isoformat(timespec=spec)
            for spec in ("auto", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nonsense")
        ),
    ],
    "replace": [
        lambda v: v.replace(),
        lambda v: v.replace(1, 2, 3, 4, UTC),
        lambda v: v.replace(hour=5, fold=1),
        lambda v: v.replace(tzinfo=None),
        lambda v: v.replace(hour=24),
        lambda v: v.replace(microsecond=0),
    ],
    "strftime": [lambda v: v.strftime("%H:%M:%S.%f")],
    "strptime": [lambda v: v.strptime("12:34:56", "%H:%M:%S")],  # 3.14
    "tzname": [lambda v: v.tzname()],
    "utcoffset": [lambda v: v.utcoffset()],
}
DATE_CALLS = {
    **{name: [lambda v, name=name: getattr(v, name)] for name in ("day", "month", "year")},
    **{
        name: DATE_TIME_CALLS[name]
        for name in ("ctime", "fromisocalendar", "fromordinal", "isocalendar", "isoweekday", "timetuple")
    },
    "fromisoformat": [lambda v: v.fromisoformat("2024-02-29"), lambda v: v.fromisoformat("2024-02-30")],
    "fromtimestamp": [lambda v: v.fromtimestamp(1_700_000_000)],
    "isoformat": [lambda v: v.isoformat()],
    "replace": [lambda v: v.replace(2023, 1, 2), lambda v: v.replace(day=3), lambda v: v.replace(month=13)],
    "strftime": [lambda v: v.strftime("%Y/%m/%d")],
    "strptime": [lambda v: v.strptime("2024-02-29", "%Y-%m-%d")],  # 3.14
    "toordinal": [lambda v: v.toordinal()],
    "weekday": [lambda v: v.weekday()],
}
CLOCK = {"now", "today", "utcnow"}
LIMITS = {"min", "max", "resolution"}

OPERATIONS = [
    repr,
    hash,
    bool,
    lambda v: format(v, ""),
    lambda v: format(v, "%H:%M %d"),
    lambda v: v + dt.timedelta(1, 2, 3),
    lambda v: dt.timedelta(-1, 2, 3) + v,
    lambda v: v - dt.timedelta(0, 0, 1),
    lambda v: v + dt.timedelta.max,
    lambda v: v - dt.timedelta.max,
    lambda v: v + 1,
    lambda v: v - None,
    lambda v: None - v,
    lambda v: v - v.replace(),
    lambda v: v - dt.datetime(2000, 1, 1),
    lambda v: dt.datetime(2000, 1, 1) - v,
    lambda v: dt.datetime(2000, 1, 1, tzinfo=UTC) - v,
    lambda v: dt.date(2000, 1, 1) - v,
    lambda v: v < dt.date(2000, 1, 1),
    lambda v: v == dt.date(2000, 1, 1),
    lambda v: v != dt.date(2000, 1, 1),
    lambda v: v < 1,
    lambda v: v == 1,
    lambda v: v != 1,
    lambda v: v >= None,
    lambda v: copy.copy(v),
    lambda v: copy.deepcopy(v),
]


def pairs(values, calls):
    for value in values:
        for name, variants in calls.items():
            for number, call in enumerate(variants):
                yield pytest.param(value, name, call, id=f"{value}-{name}-{number}")


EVERY_CALL = [
    *pairs(DATE_TIMES, DATE_TIME_CALLS),
    *pairs(TIMES, TIME_CALLS),
    *pairs(DATES, DATE_CALLS),
    *pairs([*DATE_TIMES, *TIMES, *DATES], {"operation": OPERATIONS}),
]


def twin_of(plain):
    return OURS[type(plain)].from_native(plain)


@pytest.mark.parametrize(("plain", "name", "call"), EVERY_CALL)
def test_every_method_does_what_that_of_the_plain_twin_does(plain, name, call):
    if name != "operation" and not hasattr(type(plain), name):
        assert (name, sys.version_info < (3, 14)) == ("strptime", True)
        return
    expected = outcome(lambda: call(plain))
    got = outcome(lambda: call(twin_of(plain)))
    if call is repr:
        names = {"datetime.datetime(": "DateTime(", "datetime.time(": "Time(", "datetime.date(": "Date("}
        for old, new in names.items():
            if expected.startswith(old):
                expected = f"asyncbolt.time.{new}" + expected[len(old) :]
        assert eval_repr(got) == eval_repr(expected)
        return
    assert_same(got, expected)


def eval_repr(text):
    import asyncbolt.time

    return eval(text, {"asyncbolt": asyncbolt, "datetime": dt, "zoneinfo": zoneinfo})


@pytest.mark.parametrize(
    ("cls", "calls"),
    [(dt.datetime, DATE_TIME_CALLS), (dt.time, TIME_CALLS), (dt.date, DATE_CALLS)],
    ids=["datetime", "time", "date"],
)
def test_no_method_is_forgotten(cls, calls):
    public = {name for name in dir(cls) if not name.startswith("_")}
    assert public - set(calls) - CLOCK - LIMITS == set()


@pytest.mark.parametrize("plain", [*DATE_TIMES, *TIMES, *DATES], ids=str)
def test_ours_are_what_the_plain_ones_are(plain):
    ours = twin_of(plain)
    assert isinstance(ours, type(plain))
    assert ours == plain and plain == ours and hash(ours) == hash(plain)
    assert not (ours != plain or plain != ours)
    assert {plain: 1}[ours] == 1
    assert_same(ours, plain)
    assert type(ours.to_native()) is type(plain)
    assert ours.to_native() == plain
    if not isinstance(plain, dt.date) or isinstance(plain, dt.datetime):
        assert ours.to_native().fold == plain.fold and ours.to_native().tzinfo is plain.tzinfo


@pytest.mark.parametrize("values", [DATE_TIMES, TIMES, DATES], ids=["datetime", "time", "date"])
def test_order_is_that_of_the_plain_twins(values):
    for left, right in itertools.product(values, repeat=2):
        for compare in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"):

            def by(a, b, compare=compare):
                return {
                    "__lt__": lambda: a < b,
                    "__le__": lambda: a <= b,
                    "__gt__": lambda: a > b,
                    "__ge__": lambda: a >= b,
                    "__eq__": lambda: a == b,
                    "__ne__": lambda: a != b,
                }[compare]

            expected = outcome(by(left, right))
            assert outcome(by(twin_of(left), twin_of(right))) == expected
            assert outcome(by(left, twin_of(right))) == expected
            assert outcome(by(twin_of(left), right)) == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("plain", [*DATE_TIMES, *TIMES, *DATES], ids=str)
def test_pickle(plain, protocol):
    if not isinstance(plain, dt.date) or isinstance(plain, dt.datetime):
        ours = twin_of(plain).replace(nanosecond=123_456_789)
    else:
        ours = twin_of(plain)
    again = pickle.loads(pickle.dumps(ours, protocol))
    assert type(again) is type(ours)
    assert again == ours
    assert repr(again) == repr(ours)


# Constructors


def test_constructor_takes_the_arguments_of_the_standard_library():
    assert DateTime(2024, 1, 2, 3, 4, 5, 6, UTC, fold=1) == dt.datetime(2024, 1, 2, 3, 4, 5, 6, UTC, fold=1)
    assert DateTime(year=2024, month=1, day=2, microsecond=7).microsecond == 7
    assert Time(3, 4, 5, 6, UTC, fold=1) == dt.time(3, 4, 5, 6, UTC, fold=1)
    assert Time() == dt.time()
    assert Date(2024, 1, 2) == dt.date(2024, 1, 2)


@pytest.mark.parametrize("make", [lambda **k: DateTime(2024, 1, 2, **k), lambda **k: Time(3, **k)])
def test_nanosecond_is_the_whole_fraction(make):
    value = make(nanosecond=123_456_789)
    assert (value.microsecond, value.nanosecond) == (123_456, 123_456_789)
    assert make(microsecond=5).nanosecond == 5000
    assert make(microsecond=0, nanosecond=5).nanosecond == 5
    assert make(nanosecond=0) == make()
    assert make(nanosecond=999_999_999).nanosecond == 999_999_999
    for bad in (-1, 1_000_000_000):
        with pytest.raises(ValueError, match="nanosecond"):
            make(nanosecond=bad)
    with pytest.raises(ValueError, match="give one"):
        make(microsecond=1, nanosecond=1000)
    with pytest.raises((TypeError, AttributeError)):
        make(nanosecond=1.5)


@pytest.mark.parametrize("args", [(2024, 13, 1), (2024, 2, 30), (0, 1, 1), (10000, 1, 1), (2024, 1, 1, 24)])
def test_what_the_standard_library_refuses(args):
    with pytest.raises(ValueError):
        DateTime(*args)


def test_clock_methods_give_our_classes():
    for value in (
        DateTime.now(),
        DateTime.now(UTC),
        DateTime.now(tz=PARIS),
        DateTime.today(),
        DateTime.utc_now(),
        outcome(DateTime.utcnow),
        outcome(lambda: DateTime.utcfromtimestamp(0)),
    ):
        assert type(value) is DateTime
        assert 0 <= value.nanosecond <= 999_999_999
    assert abs(DateTime.now(UTC) - dt.datetime.now(UTC)) < dt.timedelta(minutes=1)
    assert abs(DateTime.now() - dt.datetime.now()) < dt.timedelta(minutes=1)
    assert abs(DateTime.utc_now() - dt.datetime.now(UTC).replace(tzinfo=None)) < dt.timedelta(minutes=1)
    assert DateTime.now(PARIS).tzinfo is PARIS
    assert DateTime.utc_now().tzinfo is None
    assert type(Time.now()) is Time and Time.now(UTC).tzinfo is UTC and Time.utc_now().tzinfo is None
    assert type(Date.today()) is Date and type(Date.utc_today()) is Date and type(Date.today(TOKYO)) is Date


def test_now_reads_nanoseconds(monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: 1_700_000_000_123_456_789)
    assert DateTime.now(UTC) == DateTime(2023, 11, 14, 22, 13, 20, nanosecond=123_456_789, tzinfo=UTC)
    assert DateTime.utc_now() == DateTime(2023, 11, 14, 22, 13, 20, nanosecond=123_456_789)
    assert Time.utc_now() == Time(22, 13, 20, nanosecond=123_456_789)
    assert DateTime.now() == DateTime.now(UTC).astimezone().replace(tzinfo=None)


# Nanoseconds survive

FINE = DateTime(2024, 2, 29, 12, 34, 56, nanosecond=789_012_345)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda v: v.replace(year=2020), 789_012_345),
        (lambda v: v.replace(hour=1, tzinfo=PARIS, fold=1), 789_012_345),
        (lambda v: v.replace(microsecond=5), 5000),
        (lambda v: v.replace(microsecond=0), 0),
        (lambda v: v.replace(nanosecond=7), 7),
        (lambda v: v.replace(nanosecond=0), 0),
        (lambda v: v + dt.timedelta(days=1), 789_012_345),
        (lambda v: dt.timedelta(days=1) + v, 789_012_345),
        (lambda v: v - dt.timedelta(microseconds=1), 789_011_345),
        (lambda v: v + TimeDelta(nanoseconds=655), 789_013_000),
        (lambda v: v + TimeDelta(nanoseconds=654), 789_012_999),
        (lambda v: TimeDelta(nanoseconds=1) + v, 789_012_346),
        (lambda v: v - TimeDelta(nanoseconds=345), 789_012_000),
        (lambda v: v - TimeDelta(nanoseconds=346), 789_011_999),
        (lambda v: v + Duration(nanoseconds=-346), 789_011_999),
        (lambda v: v + Duration(months=1, days=1, seconds=1, nanoseconds=5), 789_012_350),
        (lambda v: Duration(nanoseconds=5) + v, 789_012_350),
        (lambda v: v - Duration(nanoseconds=5), 789_012_340),
        (lambda v: v.replace(tzinfo=UTC).astimezone(PARIS), 789_012_345),
        (lambda v: v.astimezone(), 789_012_345),
        (lambda v: v.replace(tzinfo=UTC).as_timezone(TOKYO), 789_012_345),
        (lambda v: PARIS.fromutc(v.replace(tzinfo=PARIS)), 789_012_345),
        (lambda v: v.time(), 789_012_345),
        (lambda v: v.timetz(), 789_012_345),
        (lambda v: DateTime.combine(v.date(), v.time()), 789_012_345),
        (lambda v: DateTime.combine(dt.date(2020, 1, 1), v.time(), UTC), 789_012_345),
        (lambda v: DateTime.from_native(v), 789_012_345),
        (lambda v: DateTime.fromisoformat(v.isoformat()), 789_012_345),
        (lambda v: DateTime.fromisoformat(str(v)), 789_012_345),
        (lambda v: DateTime.from_iso_format(v.iso_format()), 789_012_345),
        (copy.copy, 789_012_345),
        (copy.deepcopy, 789_012_345),
        (lambda v: pickle.loads(pickle.dumps(v)), 789_012_345),
        (lambda v: eval_repr(repr(v)), 789_012_345),
        (lambda v: v.time().replace(hour=1), 789_012_345),
        (lambda v: v.time().replace(microsecond=1), 1000),
        (lambda v: v.time().replace(nanosecond=1), 1),
        (lambda v: copy.deepcopy(v.time()), 789_012_345),
        (lambda v: eval_repr(repr(v.time())), 789_012_345),
        (lambda v: Time.fromisoformat(v.time().isoformat()), 789_012_345),
        (lambda v: Time.from_native(v.time()), 789_012_345),
    ],
)
def test_nanoseconds_survive(change, expected):
    changed = change(FINE)
    assert type(changed) in (DateTime, Time)
    assert changed.nanosecond == expected


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace came with Python 3.13")
def test_copy_replace():
    assert copy.replace(FINE, hour=1) == FINE.replace(hour=1)
    assert copy.replace(FINE, nanosecond=3).nanosecond == 3
    assert copy.replace(FINE.time(), minute=1).nanosecond == 789_012_345


def test_microsecond_and_nanosecond_in_replace():
    with pytest.raises(ValueError, match="give one"):
        FINE.replace(microsecond=1, nanosecond=1)
    with pytest.raises(ValueError, match="give one"):
        FINE.time().replace(microsecond=1, nanosecond=1)


def test_a_subclass_stays_one():
    class Mine(DateTime):
        pass

    mine = Mine(2024, 1, 2, nanosecond=5)
    for value in (
        mine + dt.timedelta(1),
        mine - dt.timedelta(1),
        mine + Duration(months=1),
        mine.replace(day=3),
        mine.astimezone(UTC),
        Mine.now(),
        Mine.fromisoformat("2024-01-02"),
        copy.deepcopy(mine),
    ):
        assert type(value) is Mine


# Comparison with nanoseconds, in both directions

NEAR = dt.datetime(2024, 2, 29, 12, 34, 56, 789012)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (NEAR, FINE),
        (FINE, FINE + TimeDelta(nanoseconds=1)),
        (FINE, NEAR + dt.timedelta(microseconds=1)),
        (NEAR.replace(tzinfo=UTC), FINE.replace(tzinfo=UTC).astimezone(PARIS)),
        (
            FINE.replace(tzinfo=UTC).astimezone(PARIS),
            (NEAR + dt.timedelta(microseconds=1)).replace(tzinfo=UTC),
        ),
        (NEAR.time(), FINE.time()),
        (FINE.time(), FINE.time().replace(nanosecond=789_012_346)),
        (FINE.time(), NEAR.time().replace(microsecond=789013)),
        # In a repeated hour, against another zone: never equal, but ordered.
        (
            DateTime(2024, 10, 27, 2, 30, tzinfo=PARIS, nanosecond=1),
            DateTime(2024, 10, 27, 0, 30, tzinfo=UTC, nanosecond=2),
        ),
    ],
)
def test_order_of_nanoseconds(low, high):
    assert low < high and low <= high and low != high
    assert high > low and high >= low and high != low
    assert not (low > high or low >= high or low == high)
    assert not (high < low or high <= low or high == low)
    assert sorted([high, low, high]) == [low, high, high]
    assert min(high, low) is low and max(low, high) is high


def test_equal_with_nanoseconds():
    same = DateTime(2024, 2, 29, 13, 34, 56, nanosecond=789_012_345, tzinfo=PARIS)
    utc = FINE.replace(tzinfo=UTC)
    assert same == utc and utc == same and hash(same) == hash(utc)
    assert same <= utc and same >= utc and not same < utc and not same > utc
    assert same != utc.replace(nanosecond=789_012_346)
    assert FINE.time() == Time(12, 34, 56, nanosecond=789_012_345)
    assert hash(FINE.time()) == hash(Time(12, 34, 56, nanosecond=789_012_345))
    assert len({FINE, FINE.replace(), NEAR, FINE.replace(nanosecond=789_012_000)}) == 2


def test_naive_and_aware_do_not_compare():
    aware = FINE.replace(tzinfo=UTC)
    assert aware != FINE and not aware == FINE
    for left, right in [(aware, FINE), (FINE, aware), (NEAR, aware), (aware, NEAR)]:
        with pytest.raises(TypeError):
            left < right  # noqa: B015


# Differences


def test_difference_is_a_timedelta():
    later = FINE + TimeDelta(days=1, nanoseconds=1000)
    assert type(later - FINE) is dt.timedelta
    assert later - FINE == dt.timedelta(1, 0, 1)
    fine = later + TimeDelta(nanoseconds=1) - FINE
    assert isinstance(fine, dt.timedelta)
    assert fine == TimeDelta(days=1, nanoseconds=1001)
    assert fine.total_nanoseconds() == 86_400_000_001_001


@pytest.mark.parametrize(
    ("left", "right", "nanoseconds"),
    [
        (FINE, NEAR, 345),
        (NEAR, FINE, -345),
        (FINE, FINE.replace(nanosecond=0), 789_012_345),
        (FINE.replace(tzinfo=UTC), FINE.replace(tzinfo=EAST), 5_400_000_000_000 + 14_400_000_000_000),
        (FINE.replace(tzinfo=UTC), FINE.replace(tzinfo=UTC, nanosecond=0).astimezone(PARIS), 789_012_345),
    ],
)
def test_differences(left, right, nanoseconds):
    delta = left - right
    assert TimeDelta() + delta == TimeDelta(nanoseconds=nanoseconds)
    assert twin_or_self(right) + delta == left


def twin_or_self(value):
    return value if isinstance(value, DateTime) else DateTime.from_native(value)


# Durations


@pytest.mark.parametrize(
    ("start", "duration", "end"),
    [
        (DateTime(2024, 1, 31), Duration(months=1), DateTime(2024, 2, 29)),
        (DateTime(2024, 1, 31), Duration(months=1, days=1), DateTime(2024, 3, 1)),
        (DateTime(2024, 3, 31), Duration(months=-1), DateTime(2024, 2, 29)),
        (DateTime(2024, 1, 1), Duration(months=-1, seconds=-1), DateTime(2023, 11, 30, 23, 59, 59)),
        (DateTime(2024, 12, 31, 23), Duration(hours=1), DateTime(2025, 1, 1)),
        (
            DateTime(2024, 1, 1),
            Duration._make(0, 0, -2, 5 * 10**8),
            DateTime(2023, 12, 31, 23, 59, 58, 500_000),
        ),
        (Date(2024, 1, 31), Duration(years=1, months=1, days=1), Date(2025, 3, 1)),
        (Date(2024, 2, 29), Duration(years=1), Date(2025, 2, 28)),
        (dt.datetime(2024, 1, 31), Duration(months=1, nanoseconds=1), DateTime(2024, 2, 29, nanosecond=1)),
        (dt.date(2024, 1, 31), Duration(months=1), Date(2024, 2, 29)),
    ],
)
def test_adding_durations(start, duration, end):
    got = start + duration
    assert type(got) is type(end) and got == end
    assert duration + start == end
    assert start - (-duration) == end


def test_adding_durations_out_of_range():
    for start in (DateTime(2024, 1, 1), Date(2024, 1, 1)):
        for far in ({"years": 8000}, {"months": -30_000}, {"days": 4_000_000}, {"days": -800_000}):
            with pytest.raises(OverflowError):
                start + Duration(**far)
    with pytest.raises(OverflowError):
        DateTime(2024, 1, 1) + Duration.max
    with pytest.raises(OverflowError):
        DateTime(2024, 1, 1) + Duration(days=10**18)
    with pytest.raises(ValueError, match="seconds"):
        Date(2024, 1, 1) + Duration(seconds=1)


# Text


@pytest.mark.parametrize(
    ("text", "nanosecond"),
    [
        ("2024-02-29T12:34:56.7", 700_000_000),
        ("2024-02-29T12:34:56.7890123", 789_012_300),
        ("2024-02-29 12:34:56.789012345", 789_012_345),
        ("2024-02-29T12:34:56.789012345678", 789_012_345),
        ("2024-02-29T12:34:56,000000001", 1),
        ("2024-02-29T12:34:56.789012345+01:00", 789_012_345),
        ("2024-02-29T12:34:56.789012345-01:00", 789_012_345),
        ("2024-02-29T12:34:56.789012345Z", 789_012_345),
        ("2024-02-29T12:34:56Z", 0),
        ("2024-02-29T12:34:56", 0),
    ],
)
def test_reading_nanoseconds(text, nanosecond):
    value = DateTime.fromisoformat(text)
    assert value.nanosecond == nanosecond
    assert (value.hour, value.minute, value.second) == (12, 34, 56)
    time = Time.fromisoformat(text[11:])
    assert time == value.timetz()
    assert DateTime.from_iso_format(text) == value and Time.from_iso_format(text[11:]) == time
    offset = {"Z": 0, "+": 60, "-": -60}.get((text[19:].lstrip(".,0123456789") + "x")[0])
    assert value.utcoffset() == (None if offset is None else dt.timedelta(minutes=offset))


def test_writing_nanoseconds():
    aware = FINE.replace(tzinfo=EAST)
    assert FINE.isoformat() == "2024-02-29T12:34:56.789012345"
    assert aware.isoformat(" ") == "2024-02-29 12:34:56.789012345+05:30"
    assert str(FINE) == f"{FINE}" == "2024-02-29 12:34:56.789012345"
    assert FINE.isoformat(timespec="microseconds") == "2024-02-29T12:34:56.789012"
    assert FINE.isoformat(timespec="minutes") == "2024-02-29T12:34"
    assert FINE.isoformat("\N{SNOWMAN}", "nanoseconds") == "2024-02-29\N{SNOWMAN}12:34:56.789012345"
    assert DateTime(2024, 1, 2).isoformat(timespec="nanoseconds") == "2024-01-02T00:00:00.000000000"
    assert DateTime(2024, 1, 2).iso_format() == "2024-01-02T00:00:00.000000000"
    assert DateTime(5, 1, 2, nanosecond=1).isoformat() == "0005-01-02T00:00:00.000000001"
    assert aware.timetz().isoformat() == str(aware.timetz()) == "12:34:56.789012345+05:30"
    assert Time(1).iso_format() == "01:00:00.000000000"
    assert repr(FINE) == "asyncbolt.time.DateTime(2024, 2, 29, 12, 34, 56, nanosecond=789012345)"
    assert repr(Time(1, 2, nanosecond=3)) == "asyncbolt.time.Time(1, 2, nanosecond=3)"
    assert repr(Date(2024, 2, 29)) == "asyncbolt.time.Date(2024, 2, 29)"


# Names of the official driver


def test_names_of_date():
    day = Date(2024, 2, 29)
    assert Date.from_iso_format("2024-02-29") == Date.parse("2024-02-29") == Date.from_ordinal(738_945) == day
    assert day.to_ordinal() == 738_945
    assert day.iso_format() == "2024-02-29"
    assert day.year_month_day == (2024, 2, 29)
    assert day.year_week_day == day.iso_calendar() == (2024, 9, 4)
    assert day.year_day == (2024, 60)
    assert day.iso_weekday() == 4
    assert day.time_tuple() == day.timetuple()
    assert day.to_clock_time(Date(2024, 2, 28)) == ClockTime(86_400, 0)
    assert Date.from_clock_time((86_400 * 3, 7), UnixEpoch) == Date(1970, 1, 4)
    assert Date.from_clock_time((-1, 0), UnixEpoch) == Date(1969, 12, 31)
    assert Date.from_timestamp(0, UTC) == Date.utc_from_timestamp(0) == Date(1970, 1, 1)
    assert Date.is_leap_year(2024) and not Date.is_leap_year(1900)
    assert (Date.days_in_year(2024), Date.days_in_year(2023)) == (366, 365)
    assert (Date.days_in_month(2024, 2), Date.days_in_month(2023, 2)) == (29, 28)
    assert type(day + dt.timedelta(1)) is Date and type(day - dt.timedelta(1)) is Date
    assert day - Date(2024, 2, 27) == dt.timedelta(2) == dt.date(2024, 3, 2) - day
    assert (Date.min, Date.max, Date.resolution) == (dt.date.min, dt.date.max, dt.date.resolution)


def test_names_of_time():
    time = Time(12, 34, 56, nanosecond=789_012_345)
    assert time.hour_minute_second_nanosecond == (12, 34, 56, 789_012_345)
    assert time.ticks == 45_296_789_012_345
    assert Time.from_ticks(45_296_789_012_345) == time
    assert Time.from_ticks(0, UTC) == Time(tzinfo=UTC)
    for bad in (-1, 86_400 * 10**9):
        with pytest.raises(ValueError, match="ticks"):
            Time.from_ticks(bad)
    assert time.to_clock_time() == (45_296, 789_012_345)
    assert Time.from_clock_time((45_296, 789_012_345), UnixEpoch) == time
    assert Time.from_clock_time((-1, 0), UnixEpoch) == Time(23, 59, 59)
    assert Time.from_clock_time((1, 0), DateTime(1970, 1, 1, 12)) == Time(12, 0, 1)
    assert time.to_native() == dt.time(12, 34, 56, 789_012)
    assert Time(tzinfo=EAST).utc_offset() == dt.timedelta(hours=5, minutes=30)
    assert (Midnight, Midday) == (dt.time(), dt.time(12))
    assert Time.min == dt.time.min
    assert Time.max.nanosecond == 999_999_999 and Time.max > dt.time.max
    assert Time.resolution == TimeDelta(nanoseconds=1)


def test_names_of_date_time():
    assert FINE.hour_minute_second_nanosecond == (12, 34, 56, 789_012_345)
    assert FINE.year_month_day == (2024, 2, 29)
    assert FINE.year_week_day == FINE.iso_calendar() == (2024, 9, 4)
    assert FINE.year_day == (2024, 60)
    assert FINE.iso_weekday() == 4
    assert FINE.time_tuple() == FINE.timetuple()
    assert FINE.utc_time_tuple() == FINE.utctimetuple()
    assert FINE.utc_offset() is None
    assert FINE.to_ordinal() == 738_945
    assert type(FINE.date()) is Date and type(FINE.time()) is Time
    assert FINE.to_native() == NEAR and type(FINE.to_native()) is dt.datetime
    assert FINE.to_clock_time() == (63_844_806_896, 789_012_345)
    assert DateTime.from_clock_time(FINE.to_clock_time(), DateTime(1, 1, 1)) == FINE
    assert DateTime.from_clock_time((5, 7), UnixEpoch) == DateTime(1970, 1, 1, 0, 0, 5, nanosecond=7)
    assert DateTime.from_ordinal(700_000) == dt.datetime(1917, 7, 15)
    assert DateTime.from_timestamp(1.5, UTC) == dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
    assert DateTime.utc_from_timestamp(1.5) == dt.datetime(1970, 1, 1, 0, 0, 1, 500_000)
    assert DateTime.parse("2024", "%Y") == dt.datetime(2024, 1, 1)
    assert DateTime.from_native(dt.date(2024, 1, 2)) == dt.datetime(2024, 1, 2)
    assert UnixEpoch == dt.datetime(1970, 1, 1)
    assert FINE.replace(tzinfo=UTC).timestamp() == pytest.approx(1_709_210_096.789012345, abs=1e-6)
    assert DateTime.min == dt.datetime.min
    assert DateTime.max.nanosecond == 999_999_999 and DateTime.max > dt.datetime.max
    assert DateTime.resolution == TimeDelta(nanoseconds=1)
    for limits in (DateTime, Time, Date, TimeDelta, Duration):
        assert type(limits.min) is type(limits.max) is limits


def test_the_names_of_the_official_driver_are_there():
    theirs = pytest.importorskip("neo4j.time")
    # What it has for years that no calendar has, and arguments that clash are told in the module's docstring.
    for ours in (Date, Time, DateTime, Duration):
        public = {name for name in dir(getattr(theirs, ours.__name__)) if not name.startswith("_")}
        assert public - set(dir(ours)) == set()


# Time zones of other makers are handed real date-times


def test_zone_is_asked_about_the_value_itself():
    seen = []

    class Zone(dt.tzinfo):
        def utcoffset(self, when):
            seen.append(when)
            return dt.timedelta(hours=1)

        def dst(self, when):
            return dt.timedelta()

        def tzname(self, when):
            return "zone"

    value = FINE.replace(tzinfo=Zone())
    assert value.utcoffset() == dt.timedelta(hours=1)
    assert value.astimezone(UTC).hour == 11
    assert (value - FINE.replace(tzinfo=UTC)) == dt.timedelta(hours=-1)
    assert seen and all(isinstance(when, dt.datetime) for when in seen)


def test_pytz():
    pytz = pytest.importorskip("pytz")
    paris = pytz.timezone("Europe/Paris")
    local = paris.localize(FINE)
    assert type(local) is DateTime and local.nanosecond == FINE.nanosecond
    assert local.utcoffset() == dt.timedelta(hours=1)
    assert local.astimezone(UTC) == FINE.replace(hour=11, tzinfo=UTC)
    assert FINE.replace(tzinfo=UTC).astimezone(paris) == FINE.replace(tzinfo=UTC)


# TimeDelta

NANOS = [0, 1, -1, 999, 1000, 1001, -1000, 123_456_789_012_345, -86_400_000_000_001, 10**18 + 7]
WHOLE = [dt.timedelta(), dt.timedelta(1, 2, 3), dt.timedelta(-1, 5), dt.timedelta(0, 0, 1)]


def total(delta):
    below = delta.microseconds * 1000 + getattr(delta, "_submicro", 0)
    return (delta.days * 86_400 + delta.seconds) * 10**9 + below


@pytest.mark.parametrize("nanos", NANOS)
def test_timedelta_alone(nanos):
    delta = TimeDelta(nanoseconds=nanos)
    assert delta.total_nanoseconds() == total(delta) == nanos
    assert 0 <= delta._submicro < 1000
    assert delta.nanoseconds == nanos % 10**9
    assert delta.total_seconds() == nanos / 10**9
    assert total(-delta) == -nanos and total(abs(delta)) == abs(nanos) and +delta == delta
    assert bool(delta) is bool(nanos)
    assert eval_repr(repr(delta)) == delta
    pickled = [pickle.loads(pickle.dumps(delta, protocol)) for protocol in range(5)]
    for again in (copy.copy(delta), copy.deepcopy(delta), *pickled):
        assert type(again) is TimeDelta and again == delta and hash(again) == hash(delta)
    if nanos % 1000 == 0:
        plain = dt.timedelta(microseconds=nanos // 1000)
        assert delta == plain and plain == delta and hash(delta) == hash(plain) and str(delta) == str(plain)


@pytest.mark.parametrize("other", [*(TimeDelta(nanoseconds=n) for n in NANOS), *WHOLE], ids=repr)
@pytest.mark.parametrize("nanos", NANOS)
def test_timedelta_with_another(nanos, other):
    delta = TimeDelta(nanoseconds=nanos)
    a, b = nanos, total(other)
    assert total(delta + other) == total(other + delta) == a + b
    assert total(delta - other) == a - b and total(other - delta) == b - a
    assert (delta == other, delta != other) == (a == b, a != b) == (other == delta, other != delta)
    assert (delta < other, delta <= other, delta > other, delta >= other) == (a < b, a <= b, a > b, a >= b)
    assert (other < delta, other <= delta, other > delta, other >= delta) == (b < a, b <= a, b > a, b >= a)
    if b:
        assert (delta // other, total(delta % other), delta / other) == (a // b, a % b, a / b)
        assert divmod(delta, other) == (delta // other, delta % other)
    if a:
        assert (other // delta, total(other % delta), other / delta) == (b // a, b % a, b / a)
        assert divmod(other, delta) == (other // delta, other % delta)


def test_timedelta_times_numbers():
    delta = TimeDelta(seconds=1, nanoseconds=1)
    assert total(delta * 3) == total(3 * delta) == 3_000_000_003
    assert total(delta * 0.5) == 500_000_000
    assert total(delta / 2) == 500_000_000
    assert total(delta // 2) == 500_000_000
    assert total(TimeDelta(nanoseconds=10**18 + 1) / 1) == 10**18 + 1
    for wrong in ("x", None, 1j):
        for act in (
            lambda w: delta + w,
            lambda w: w + delta,
            lambda w: delta - w,
            lambda w: w - delta,
            lambda w: delta * w,
            lambda w: delta / w,
            lambda w: w / delta,
            lambda w: delta // w,
            lambda w: w // delta,
            lambda w: delta % w,
            lambda w: divmod(delta, w),
            lambda w: divmod(w, delta),
            lambda w: delta < w,
            lambda w: delta <= w,
            lambda w: delta > w,
            lambda w: delta >= w,
        ):
            with pytest.raises(TypeError):
                act(wrong)
        assert delta != wrong
    for by in (0, dt.timedelta()):
        with pytest.raises(ZeroDivisionError):
            delta / by
    with pytest.raises(OverflowError):
        TimeDelta.max + TimeDelta(nanoseconds=1)


def test_timedelta_text():
    assert str(TimeDelta(1, 2, nanoseconds=3)) == "1 day, 0:00:02.000000003"
    assert str(TimeDelta(0, 2, 5, nanoseconds=3)) == "0:00:02.000005003"
    assert repr(TimeDelta(1, nanoseconds=3)) == "asyncbolt.time.TimeDelta(days=1, nanoseconds=3)"
    assert repr(TimeDelta()) == "asyncbolt.time.TimeDelta(0)"
