"""Duration: four numbers, their meaning, and their text."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import pickle
from decimal import Decimal
from fractions import Fraction

import pytest

from asyncbolt.time import Date, DateTime, Duration, TimeDelta

HALF = 500_000_000


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, (0, 0, 0, 0)),
        ({"years": 1, "months": 2, "weeks": 3, "days": 4}, (14, 25, 0, 0)),
        ({"hours": 5, "minutes": 6, "seconds": 7}, (0, 0, 18_367, 0)),
        ({"milliseconds": 8, "microseconds": 9, "nanoseconds": 10}, (0, 0, 0, 8_009_010)),
        ({"years": 1.5, "weeks": 1.5}, (18, 10, 0, 0)),
        ({"months": 1.9, "days": -1.9}, (1, -1, 0, 0)),
        ({"seconds": 1.5}, (0, 0, 1, HALF)),
        ({"seconds": -1.5}, (0, 0, -1, -HALF)),
        ({"seconds": 6.007}, (0, 0, 6, 7_000_000)),
        ({"seconds": 1, "nanoseconds": -1}, (0, 0, 0, 999_999_999)),
        ({"seconds": -1, "nanoseconds": 1}, (0, 0, 0, -999_999_999)),
        ({"hours": 1.5, "minutes": -1}, (0, 0, 5340, 0)),
        ({"nanoseconds": 1.9}, (0, 0, 0, 1)),
        ({"nanoseconds": 10**18 + 1}, (0, 0, 10**9, 1)),
        ({"seconds": Decimal("0.000000001")}, (0, 0, 0, 1)),
        ({"seconds": Fraction(1, 3)}, (0, 0, 0, 333_333_333)),
        ({"months": 2**63 - 1, "days": -(2**63), "seconds": 2**63 - 1}, (2**63 - 1, -(2**63), 2**63 - 1, 0)),
    ],
)
def test_constructor(arguments, expected):
    duration = Duration(**arguments)
    assert tuple(duration) == expected
    assert (duration.months, duration.days, duration.seconds, duration.nanoseconds) == expected
    assert all(type(part) is int for part in duration)


def test_constructor_takes_its_arguments_in_order():
    assert Duration(1, 2, 3, 4, 5, 6, 7, 8, 9, 10) == Duration._make(14, 25, 18_367, 8_009_010)


@pytest.mark.parametrize("part", ["months", "days", "seconds"])
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_parts_are_64_bits(part, value):
    with pytest.raises(ValueError, match="64 bits"):
        Duration(**{part: value})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "1", None])
def test_what_is_no_number(bad):
    with pytest.raises((ValueError, OverflowError, TypeError, AttributeError)):
        Duration(seconds=bad)


def test_wire_values_keep_their_parts():
    floored = Duration._make(0, 0, -2, HALF)
    assert (floored.seconds, floored.nanoseconds) == (-2, HALF)
    assert floored == Duration(seconds=-1.5) and hash(floored) == hash(Duration(seconds=-1.5))
    assert not floored != Duration(seconds=-1.5)
    for again in (copy.copy(floored), copy.deepcopy(floored), pickle.loads(pickle.dumps(floored, 0))):
        assert type(again) is Duration and tuple(again) == (0, 0, -2, HALF)
    assert floored.iso_format() == "PT-1.5S"
    assert floored.hours_minutes_seconds_nanoseconds == (0, 0, -1, -HALF)
    assert tuple(-floored) == (0, 0, 1, HALF)


def test_equality():
    day = Duration(days=1)
    assert day == Duration(days=1) and hash(day) == hash(Duration(days=1))
    assert day != Duration(hours=24) and day != Duration(months=1)
    assert day == (0, 1, 0, 0) and (0, 1, 0, 0) == day and hash(day) == hash((0, 1, 0, 0))
    assert day != (0, 1, 0) and (0, 1, 0, 1) != day
    assert day != dt.timedelta(1) and day != "P1D" and not day == 1
    assert len({Duration(seconds=60), Duration(minutes=1), Duration._make(0, 0, 59, 10**9)}) == 1


def test_order():
    rising = [
        Duration(months=-1),
        Duration(days=-1, hours=48),
        Duration(seconds=-1.5),
        Duration(),
        Duration._make(0, 0, 0, 2 * 10**9),
        Duration(seconds=2.5),
        Duration(days=1),
        Duration(months=1),
    ]
    falling = rising[::-1]
    assert sorted(falling) == rising
    for low, high in itertools.pairwise(rising):
        assert low < high and low <= high and high > low and high >= low
        assert not (low > high or low >= high or high < low or high <= low)
    assert ODD < (3, 5, 7, 10) and ODD <= (3, 5, 7, 9) and ODD > (3, 5, 7, 8) and ODD >= (3, 5, 7, 9)
    assert Duration._make(0, 0, -2, HALF) <= Duration(seconds=-1.5) <= Duration._make(0, 0, -2, HALF)
    assert Duration._make(0, 0, -2, HALF) >= Duration(seconds=-1.5) >= Duration._make(0, 0, -2, HALF)


def test_truth():
    assert not Duration()
    for part in ("months", "days", "seconds", "nanoseconds"):
        assert Duration(**{part: 1})


ODD = Duration(months=3, days=5, seconds=7, nanoseconds=9)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Duration(months=1) + Duration(days=2), (1, 2, 0, 0)),
        (ODD + Duration(months=-5, nanoseconds=-10), (-2, 5, 6, 999_999_999)),
        (Duration(months=1) + dt.timedelta(1, 2, 3), (1, 1, 2, 3000)),
        (dt.timedelta(1, 2, 3) + Duration(months=1), (1, 1, 2, 3000)),
        (Duration() + TimeDelta(nanoseconds=5), (0, 0, 0, 5)),
        (ODD - Duration(months=5), (-2, 5, 7, 9)),
        (ODD - dt.timedelta(1), (3, 4, 7, 9)),
        (dt.timedelta(1) - ODD, (-3, -4, -7, -9)),
        (-ODD, (-3, -5, -7, -9)),
        (+ODD, (3, 5, 7, 9)),
        (abs(Duration(months=-3, days=4, seconds=-5.5)), (3, 4, 5, HALF)),
        (ODD * 2, (6, 10, 14, 18)),
        (2 * ODD, (6, 10, 14, 18)),
        (ODD * 0.5, (2, 2, 3, 500_000_004)),
        (ODD / 2, (2, 2, 3, 500_000_004)),
        (ODD / 0.5, (6, 10, 14, 18)),
        (Duration._make(0, 0, 2**62, 1) / 1, (0, 0, 2**62, 1)),
        (ODD // 2, (1, 2, 3, 500_000_004)),
        (ODD % 2, (1, 1, 0, 0 + 1)),
        (divmod(ODD, 2)[0], (1, 2, 3, 500_000_004)),
        (divmod(ODD, 2)[1], (1, 1, 0, 1)),
    ],
)
def test_arithmetic(result, expected):
    assert type(result) is Duration
    assert tuple(result) == expected


@pytest.mark.parametrize(
    "act",
    [
        lambda: ODD + 1,
        lambda: 1 + ODD,
        lambda: ODD + (1, 2, 3, 4),  # noqa: RUF005
        lambda: ODD - (1, 2, 3, 4),
        lambda: ODD - Date(2024, 1, 1),
        lambda: ODD - DateTime(2024, 1, 1),
        lambda: ODD - 1,
        lambda: 1 - ODD,
        lambda: ODD * ODD,
        lambda: ODD * "x",
        lambda: ODD / ODD,
        lambda: 1 / ODD,
        lambda: ODD // 1.5,
        lambda: ODD % 1.5,
        lambda: divmod(ODD, 1.5),
        lambda: ODD < 5,
        lambda: ODD >= "x",
        lambda: ODD > dt.timedelta(1),
        lambda: ODD <= 5,
    ],
)
def test_what_makes_no_sense(act):
    with pytest.raises(TypeError):
        act()


def test_arithmetic_stays_in_range():
    with pytest.raises(ValueError, match="64 bits"):
        Duration.max + Duration(seconds=1)
    with pytest.raises(ValueError, match="64 bits"):
        Duration.min * -1
    with pytest.raises(ZeroDivisionError):
        ODD / 0


TEXTS = [
    (Duration(), "PT0S"),
    (Duration(years=1, months=2, days=3, hours=4, minutes=5, seconds=6.007), "P1Y2M3DT4H5M6.007S"),
    (Duration(months=-14, days=-3), "P-1Y-2M-3D"),
    (Duration(seconds=-1.5), "PT-1.5S"),
    (Duration(seconds=-0.5), "PT-0.5S"),
    (Duration(hours=-1), "PT-1H"),
    (Duration(nanoseconds=1), "PT0.000000001S"),
    (Duration(hours=1, nanoseconds=-1), "PT59M59.999999999S"),
    (Duration(hours=-1, nanoseconds=-1), "PT-1H-0.000000001S"),
    (Duration(months=12), "P1Y"),
    (Duration.max, "PT2562047788015215H30M7.999999999S"),
    (Duration.min, "PT-2562047788015215H-30M-8S"),
]


@pytest.mark.parametrize(("duration", "text"), TEXTS)
def test_text(duration, text):
    assert duration.iso_format() == duration.isoformat() == str(duration) == text
    assert Duration.from_iso_format(text) == Duration.fromisoformat(text) == duration
    assert duration.iso_format(" ") == text.replace("T", " ")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P1W", Duration(days=7)),
        ("PT1,5S", Duration(seconds=1.5)),
        ("PT1.1234567891S", Duration(seconds=1, nanoseconds=123_456_789)),
        ("P0D", Duration()),
        ("PT90M", Duration(minutes=90)),
        ("P1M", Duration(months=1)),
        ("PT1M", Duration(minutes=1)),
    ],
)
def test_reading(text, duration):
    assert Duration.from_iso_format(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1DT",
        "1D",
        "P1",
        "P1.5Y",
        "PT1.5H",
        "-P1D",
        "P1D2M",
        "PT1S ",
        "p1d",
        "P1D\n",
        "P١D",
        None,
        5,
    ],
)
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="8601"):
        Duration.from_iso_format(text)


def test_timedelta():
    assert tuple(Duration.from_timedelta(dt.timedelta(-1, 2, 3))) == (0, -1, 2, 3000)
    assert tuple(Duration.from_timedelta(TimeDelta(nanoseconds=-1))) == (0, -1, 86_399, 999_999_999)
    back = Duration(days=1, seconds=2, microseconds=3).to_timedelta()
    assert type(back) is dt.timedelta and back == dt.timedelta(1, 2, 3)
    assert Duration(nanoseconds=-1).to_timedelta() == TimeDelta(nanoseconds=-1)
    for delta in (dt.timedelta(-1, 2, 3), TimeDelta(days=5, nanoseconds=-7)):
        assert Duration.from_timedelta(delta).to_timedelta() == delta
    with pytest.raises(ValueError, match="months"):
        Duration(months=1).to_timedelta()


def test_parts():
    assert Duration(years=1, months=2, days=3).years_months_days == (1, 2, 3)
    assert Duration(months=-14, days=3).years_months_days == (-1, -2, 3)
    assert Duration(seconds=3661.5).hours_minutes_seconds_nanoseconds == (1, 1, 1, HALF)
    assert Duration(seconds=-3661.5).hours_minutes_seconds_nanoseconds == (-1, -1, -1, -HALF)


def test_limits():
    assert tuple(Duration.min) == (0, 0, -(2**63), 0)
    assert tuple(Duration.max) == (0, 0, 2**63 - 1, 999_999_999)


def test_repr():
    text = repr(Duration(months=1, seconds=-1.5))
    assert text == "asyncbolt.time.Duration(months=1, days=0, seconds=-1, nanoseconds=-500000000)"
    import asyncbolt.time

    assert eval(text, {"asyncbolt": asyncbolt}) == Duration(months=1, seconds=-1.5)


def test_a_subclass_stays_one():
    class Mine(Duration):
        pass

    assert type(Mine(days=1)) is Mine
    assert type(Mine.from_iso_format("P1D")) is Mine
    assert type(copy.deepcopy(Mine(days=1))) is Mine
