"""Values of every type, there and back: nothing is lost, and plain classes come wherever nothing would be."""

from __future__ import annotations

import datetime as dt
import enum
import math
import random
import struct
import uuid
import zoneinfo
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from exact import exact

from asyncbolt._structure import Structure
from asyncbolt.exceptions import PackError, UnpackError
from asyncbolt.graph import Node, Path, Relationship, UnboundRelationship
from asyncbolt.spatial import CartesianPoint, Point, WGS84Point
from asyncbolt.time import Date, DateTime, Duration, Time
from asyncbolt.vector import UnsupportedType, Vector

UTC = dt.timezone.utc
OSLO = ZoneInfo("Europe/Oslo")
FORMS = [((4, 4), False), ((4, 4), True), ((5, 0), False), ((6, 1), False)]
every_form = pytest.mark.parametrize("version, patch", FORMS)


def back(codec, value: Any, version=(6, 1), patch=False, **kwargs: Any) -> Any:
    data = codec.packstream.pack(value, version=version, utc_patch=patch)
    return codec.packstream.unpack(data, version=version, utc_patch=patch, **kwargs)


# Atoms

INTEGERS = [
    value
    for power in range(64)
    for sign in (1, -1)
    for near in (-17, -16, -2, -1, 0, 1, 2, 16, 17)
    if -(2**63) <= (value := sign * (1 << power) + near) < 2**63
]
SIZES = [
    (1, -16, 127),
    (2, -128, -17),
    (3, -(2**15), 2**15 - 1),
    (5, -(2**31), 2**31 - 1),
    (9, -(2**63), 2**63 - 1),
]


def test_integers(codec):
    for value in INTEGERS:
        data = codec.packstream.pack(value)
        assert exact(codec.packstream.unpack(data)) == exact(value)
        smallest = next(size for size, low, high in SIZES if low <= value <= high)
        assert len(data) == smallest, value


FLOATS = [
    "0000000000000000", "8000000000000000", "3ff0000000000000", "7ff0000000000000", "fff0000000000000",
    "7ff8000000000000", "fff8000000000000", "7ff8000000000001", "7ffdeadbeef01234", "fff7ffffffffffff",
    "0000000000000001", "000fffffffffffff", "7fefffffffffffff", "400921fb54442d18",
]  # fmt: skip


@pytest.mark.parametrize("bits", FLOATS)
def test_floats_bit_for_bit(codec, bits):
    data = b"\xc1" + bytes.fromhex(bits)
    value = codec.packstream.unpack(data)
    assert type(value) is float
    assert codec.packstream.pack(value) == data
    ((row,),) = codec.chunking.MessageReader().feed(b"\x00\x0c\xb1\x71\x91" + data + b"\x00\x00")
    assert struct.pack(">d", row[0]).hex() == bits


@pytest.mark.parametrize("size", [0, 1, 15, 16, 31, 32, 33, 255, 256, 65535, 65536])
@pytest.mark.parametrize("letter", ["x", "é", "€", "😀", "\0", "\uffff", "\ufeff"])
def test_strings(codec, size, letter):
    count = size // len(letter.encode())
    text = letter * count + "y" * (size - count * len(letter.encode()))
    data = codec.packstream.pack(text)
    head = 1 if size < 16 else 2 if size < 256 else 3 if size < 65536 else 5
    assert len(data) == head + size
    assert exact(codec.packstream.unpack(data)) == exact(text)
    # The same as a key, where short ones are remembered.
    unpacker = codec.packstream.Unpacker()
    packed = codec.packstream.pack({text: 1})
    for _ in range(2):
        assert exact(unpacker.unpack(packed)) == exact({text: 1})


def test_keys_that_share_a_place_in_the_memory(codec):
    """A few hundred places, so many keys meet in each; all lengths, also what is not ASCII."""
    rnd = random.Random(3)
    unpacker = codec.packstream.Unpacker()
    alphabet = "ab\0é€"
    keys = ["".join(rnd.choices(alphabet, k=rnd.randrange(36))) for _ in range(3000)]
    for _ in range(2):
        for start in range(0, len(keys), 10):
            value = {key: index for index, key in enumerate(keys[start : start + 10])}
            assert exact(unpacker.unpack(codec.packstream.pack(value))) == exact(value)


def test_atoms_of_subclasses(codec):
    class Int(int):
        def __int__(self) -> int:
            return 99

    class Text(str):
        def __str__(self) -> str:
            return "bent"

    class Number(float):
        def __float__(self) -> float:
            return 99.0

    class Level(enum.IntEnum):
        HIGH = 3

    class Name(str, enum.Enum):
        ANN = "ann"

    cases = [
        (Int(5), 5),
        (Text("x"), "x"),
        (Number(1.5), 1.5),
        (Level.HIGH, 3),
        (Name.ANN, "ann"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (True, True),
    ]
    for value, plain in cases:
        assert codec.packstream.pack([value, {"k": value}]) == codec.packstream.pack([plain, {"k": plain}])
    assert exact(back(codec, [True, 1, 1.0, False, 0, -0.0])) == exact([True, 1, 1.0, False, 0, -0.0])


def test_duplicate_keys(codec):
    assert codec.packstream.unpack(b"\xa3\x81a\x01\x81b\x02\x81a\x03") == {"a": 3, "b": 2}
    node = codec.packstream.unpack(b"\xb4\x4e\x01\x90\xa2\x81a\x01\x81a\x02\x81x")
    assert dict(node) == {"a": 2}


@pytest.mark.parametrize("size", [0, 1, 15, 16, 255, 256, 65535, 65536])
def test_containers(codec, size):
    for value in ([1] * size, {str(number): number for number in range(size)}, b"x" * size):
        assert exact(back(codec, value)) == exact(value)
    assert codec.packstream.pack((1,) * size) == codec.packstream.pack([1] * size)


def test_uuids(codec):
    value = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")
    assert codec.packstream.pack(value) == b"\xe0" + value.bytes
    assert exact(back(codec, [value, {"k": value}])) == exact([value, {"k": value}])

    class Own(uuid.UUID):
        pass

    assert codec.packstream.pack(Own(int=5)) == codec.packstream.pack(uuid.UUID(int=5))


# Dates and times

NANOS = [0, 1, 999, 1000, 1001, 999_999, 1_000_000, 123_456_789, 999_999_000, 999_999_999]


def micro(nanos: int) -> int:
    return nanos // 1000


@every_form
@pytest.mark.parametrize("nanos", NANOS)
@pytest.mark.parametrize(
    "zone",
    [None, UTC, dt.timezone(dt.timedelta(hours=-8)), dt.timezone(dt.timedelta(seconds=3601)), OSLO],
    ids=str,
)
def test_date_times(codec, version, patch, nanos, zone):
    value = DateTime(2024, 2, 29, 23, 59, 59, tzinfo=zone, nanosecond=nanos)
    plain = dt.datetime(2024, 2, 29, 23, 59, 59, micro(nanos), zone)
    assert exact(back(codec, value, version, patch, extended_types=True)) == exact(value)
    assert exact(back(codec, value, version, patch)) == exact(value if nanos % 1000 else plain)
    assert exact(back(codec, plain, version, patch)) == exact(plain)
    if not nanos % 1000:
        form = {"version": version, "utc_patch": patch}
        assert codec.packstream.pack(plain, **form) == codec.packstream.pack(value, **form)


@pytest.mark.parametrize("nanos", NANOS)
@pytest.mark.parametrize("offset", [None, 0, 3600, -64800, 86399, -86399, 1])
def test_times(codec, nanos, offset):
    zone = None if offset is None else dt.timezone(dt.timedelta(seconds=offset)) if offset else UTC
    value = Time(23, 59, 58, tzinfo=zone, nanosecond=nanos)
    plain = dt.time(23, 59, 58, micro(nanos), zone)
    assert exact(back(codec, value, extended_types=True)) == exact(value)
    assert exact(back(codec, value)) == exact(value if nanos % 1000 else plain)
    assert exact(back(codec, plain)) == exact(plain)


@pytest.mark.parametrize(
    "day", [dt.date.min, dt.date(1582, 10, 4), dt.date(1970, 1, 1), dt.date(2000, 2, 29), dt.date.max]
)
def test_dates(codec, day):
    assert exact(back(codec, day)) == exact(day)
    assert exact(back(codec, day, extended_types=True)) == exact(Date(day.year, day.month, day.day))
    assert codec.packstream.pack(Date(day.year, day.month, day.day)) == codec.packstream.pack(day)


def test_every_day_of_the_calendar_is_itself(codec):
    """Both directions of the calendar: every day of years around what is special, and samples of the rest."""
    ordinals = {*range(1, 800), *range(3652059 - 800, 3652060)}
    for year in (4, 100, 400, 1600, 1700, 1900, 1970, 2000, 2024, 2100, 2400, 9996):
        start = dt.date(year, 1, 1).toordinal()
        ordinals |= set(range(start, start + 367))
    ordinals |= set(random.Random(5).sample(range(1, 3652060), 3000))
    for ordinal in ordinals:
        day = dt.date.fromordinal(ordinal)
        data = codec.packstream.pack(day)
        assert codec.packstream.unpack(data) == day
        assert codec.packstream.unpack(codec.packstream.pack(Structure(0x44, ordinal - 719163))) == day
    stamps = [
        dt.datetime.combine(dt.date.fromordinal(ordinal), dt.time(12, 34, 56))
        for ordinal in list(ordinals)[::7]
    ]
    for stamp in stamps:
        for zone in (None, UTC, dt.timezone(dt.timedelta(hours=5))):
            value = stamp.replace(tzinfo=zone)
            assert exact(back(codec, value)) == exact(value)


def test_first_and_last_moments(codec):
    for value in (DateTime(1, 1, 1), DateTime(9999, 12, 31, 23, 59, 59, nanosecond=999_999_999)):
        for hours in (None, 0, 14, -14):
            zone = None if hours is None else dt.timezone(dt.timedelta(hours=hours)) if hours else UTC
            for version, patch in FORMS:
                aware = value.replace(tzinfo=zone)
                assert exact(back(codec, aware, version, patch, extended_types=True)) == exact(aware)


def test_subclasses_of_dates_and_times(codec):
    class Day(dt.date):
        pass

    class Clock(dt.time):
        pass

    class Moment(dt.datetime):
        pass

    class Fine(DateTime):
        pass

    class FineClock(Time):
        pass

    cases = [
        (Day(2024, 1, 2), dt.date(2024, 1, 2)),
        (Clock(1, 2, 3, 4, UTC), dt.time(1, 2, 3, 4, UTC)),
        (Moment(2024, 1, 2, 3, tzinfo=OSLO, fold=1), dt.datetime(2024, 1, 2, 3, tzinfo=OSLO, fold=1)),
        (Fine(2024, 1, 2, nanosecond=7), DateTime(2024, 1, 2, nanosecond=7)),
        (FineClock(1, nanosecond=7), Time(1, nanosecond=7)),
        (dt.timedelta(days=-1, seconds=5, microseconds=7), Duration.from_timedelta(dt.timedelta(-1, 5, 7))),
    ]
    for value, plain in cases:
        assert codec.packstream.pack([value]) == codec.packstream.pack([plain])


# Zones


def changes_of(zone: ZoneInfo, years: range) -> Iterator[int]:
    """Seconds since 1970 at which the offset changes, to the second, by bisection."""
    step = 86400 * 7
    start = int(dt.datetime(years.start, 1, 1, tzinfo=UTC).timestamp())
    stop = int(dt.datetime(years.stop, 1, 1, tzinfo=UTC).timestamp())

    def offset(seconds: int) -> dt.timedelta:
        return (
            (dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(seconds=seconds)).astimezone(zone).utcoffset()
        )

    for low in range(start, stop, step):
        high = low + step
        if offset(low) != offset(high):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if offset(middle) != offset(low) else (middle, high)
            yield high


SPECIAL = [
    "Europe/Oslo",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Monrovia",
    "Europe/Dublin",
    "Africa/Casablanca",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Tehran",
    "Europe/Lisbon",
]


@pytest.mark.parametrize("name", SPECIAL)
def test_around_every_change_of_offset(codec, name):
    """Both passes of a repeated hour, and the edges of a skipped one: the same moment, the same bytes."""
    zone = ZoneInfo(name)
    unpacker = codec.packstream.Unpacker((5, 0))
    packer = codec.packstream.Packer((5, 0))
    folds = set()
    for change in changes_of(zone, range(1940, 2040)):
        for near in (-86400, -7200, -3601, -3600, -1801, -1, 0, 1, 1799, 3599, 3600, 7200, 86399):
            raw = Structure(0x69, change + near, 123_456_000, name)
            data = packer.pack(raw)
            value = unpacker.unpack(data)
            expected = (dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(seconds=change + near)).astimezone(
                zone
            )
            assert exact(value) == exact(expected.replace(microsecond=123_456))
            assert packer.pack(value) == data
            folds.add(value.fold)
    assert folds == {0, 1} or name in ("Asia/Kathmandu", "Africa/Monrovia")


def test_every_zone(codec):
    rnd = random.Random(9)
    unpacker = codec.packstream.Unpacker((5, 0))
    packer = codec.packstream.Packer((5, 0))
    names = zoneinfo.available_timezones()
    assert len(names) > 400
    for name in sorted(names):
        for seconds in (rnd.randrange(-5_000_000_000, 5_000_000_000), rnd.randrange(0, 2_000_000_000)):
            data = packer.pack(Structure(0x69, seconds, 7, name))
            value = unpacker.unpack(data)
            assert type(value) is DateTime
            assert value.tzinfo.key == name
            assert packer.pack(value) == data


@every_form
def test_both_passes_of_a_repeated_hour(codec, version, patch):
    first = dt.datetime(2024, 10, 27, 2, 30, tzinfo=OSLO)
    second = first.replace(fold=1)
    utc = version >= (5, 0) or patch
    assert exact(back(codec, first, version, patch)) == exact(first)
    # The old form has the wall clock only.
    assert exact(back(codec, second, version, patch)) == exact(second if utc else first)
    form = {"version": version, "utc_patch": patch}
    assert (codec.packstream.pack(first, **form) == codec.packstream.pack(second, **form)) is not utc


@every_form
def test_a_time_inside_a_skipped_hour(codec, version, patch):
    skipped = dt.datetime(2024, 3, 31, 2, 30, tzinfo=OSLO)
    utc = version >= (5, 0) or patch
    value = back(codec, skipped, version, patch)
    # The same moment, which has another name; the old form keeps the name.
    assert exact(value) == exact(skipped.replace(hour=3) if utc else skipped)


def test_fold_of_what_has_no_zone_does_not_matter(codec):
    for value in (dt.datetime(2024, 1, 1, fold=1), dt.datetime(2024, 1, 1, tzinfo=UTC, fold=1)):
        assert codec.packstream.pack(value) == codec.packstream.pack(value.replace(fold=0))


def test_zones_without_a_name_and_with_one(codec):
    class Fixed(dt.tzinfo):
        def utcoffset(self, when):
            return dt.timedelta(hours=2)

        def dst(self, when):
            return None

    class Pytz(Fixed):
        zone = "Europe/Athens"

    class Keyed(Fixed):
        key = "Europe/Athens"

    class Nameless(Fixed):
        key = None
        zone = None

    class Odd(Fixed):
        key = 5
        zone = b"Europe/Athens"

    moment = dt.datetime(2024, 1, 1, 12)
    named = codec.packstream.pack(moment.replace(tzinfo=ZoneInfo("Europe/Athens")))
    fixed = codec.packstream.pack(moment.replace(tzinfo=dt.timezone(dt.timedelta(hours=2))))
    assert named != fixed
    for zone, data in ((Fixed, fixed), (Pytz, named), (Keyed, named), (Nameless, fixed), (Odd, fixed)):
        assert codec.packstream.pack(moment.replace(tzinfo=zone())) == data
        assert codec.packstream.pack(DateTime.from_native(moment.replace(tzinfo=zone()))) == data
    assert codec.packstream.pack(dt.time(1, tzinfo=Pytz())) == codec.packstream.pack(
        dt.time(1, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    )
    with open(zoneinfo_file(), "rb") as file:
        unnamed = ZoneInfo.from_file(file)
    assert codec.packstream.pack(moment.replace(tzinfo=unnamed)) == codec.packstream.pack(
        moment.replace(tzinfo=dt.timezone(moment.replace(tzinfo=unnamed).utcoffset()))
    )


def zoneinfo_file() -> str:
    for folder in zoneinfo.TZPATH:
        try:
            with open(f"{folder}/Europe/Oslo", "rb"):
                return f"{folder}/Europe/Oslo"
        except OSError:
            continue
    import importlib.resources

    return str(importlib.resources.files("tzdata") / "zoneinfo" / "Europe" / "Oslo")


def test_a_name_is_written_as_it_is(codec):
    class Pytz(dt.tzinfo):
        zone = "Nowhere/Land"

        def utcoffset(self, when):
            return dt.timedelta(0)

    value = back(codec, dt.datetime(1970, 1, 1, tzinfo=Pytz()))
    assert exact(value) == exact(Structure(0x69, 0, 0, "Nowhere/Land"))
    Pytz.zone = "\ud800"
    with pytest.raises(PackError, match="lone surrogate"):
        codec.packstream.pack(dt.datetime(1970, 1, 1, tzinfo=Pytz()))


def test_zones_are_shared_within_a_connection(codec):
    unpacker = codec.packstream.Unpacker()
    zoned, fixed = (
        codec.packstream.pack(dt.datetime(2024, 1, 1, tzinfo=OSLO)),
        codec.packstream.pack(dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=3)))),
    )
    assert unpacker.unpack(zoned).tzinfo is unpacker.unpack(zoned).tzinfo
    assert unpacker.unpack(fixed).tzinfo == unpacker.unpack(fixed).tzinfo
    assert unpacker.unpack(codec.packstream.pack(dt.datetime(2024, 1, 1, tzinfo=UTC))).tzinfo is UTC


def test_durations(codec):
    cases = [
        Duration(),
        Duration(months=1, days=-2, seconds=3, nanoseconds=-4),
        Duration._make(2**63 - 1, -(2**63), 0, 0),
        Duration._make(0, 0, 0, 2**62),
        Duration._make(0, 0, -1, 999_999_999),
        Duration._make(0, 0, 0, -999_999_999),
    ]
    for value in cases:
        assert exact(back(codec, value)) == exact(value)
        assert exact(back(codec, value, extended_types=True)) == exact(value)
    assert back(codec, dt.timedelta(days=1, microseconds=-1)) == Duration.from_timedelta(
        dt.timedelta(1, 0, -1)
    )


# Points and vectors


def test_points(codec):
    cases = [
        (7203, (1.0, 2.0), CartesianPoint),
        (9157, (1.0, 2.0, 3.0), CartesianPoint),
        (4326, (1.0, -2.0), WGS84Point),
        (4979, (1.0, 2.0, 3.0), WGS84Point),
        (7203, (1.0, 2.0, 3.0), Point),
        (4979, (1.0, 2.0), Point),
        (0, (math.inf, -0.0), Point),
        (-(2**63), (1.0, 2.0, math.nan), Point),
        (2**63 - 1, (1e300, 5e-324), Point),
    ]
    for srid, coordinates, kind in cases:
        tag = 0x58 if len(coordinates) == 2 else 0x59
        data = codec.packstream.pack(Structure(tag, srid, *coordinates))
        value = codec.packstream.unpack(data)
        assert type(value) is kind
        assert exact((value.srid, tuple(value))) == exact((srid, coordinates))
        assert codec.packstream.pack(value) == data


@pytest.mark.parametrize(
    "dtype, width", [("i8", 1), ("i16", 2), ("i32", 4), ("i64", 8), ("f32", 4), ("f64", 8)]
)
@pytest.mark.parametrize("count", [0, 1, 3, 300, 20_000])
def test_vectors(codec, dtype, width, count):
    value = Vector([7.0 if dtype[0] == "f" else 7] * count, dtype)
    assert exact(back(codec, value)) == exact(value)
    assert back(codec, value).raw() == value.raw()
    if width > 1 and count:
        data = codec.packstream.pack(value)
        size = len(value.raw()) - 1
        broken = data[:5] + codec.packstream.pack(value.raw()[:-1])
        with pytest.raises(
            UnpackError, match=f"^a vector's {size} bytes are no multiple of its element's {width}"
        ):
            codec.packstream.unpack(broken)


def test_unsupported_types(codec):
    data = codec.packstream.pack(Structure(0x3F, "Matrix", 9, 4, {"message": "use a newer client", "k": [1]}))
    value = codec.packstream.unpack(data, version=(6, 0))
    assert type(value) is UnsupportedType
    assert (value._name, value._minimum, value._message) == ("Matrix", (9, 4), "use a newer client")
    assert codec.packstream.pack(value, version=(6, 0)) == data
    for message in (None, 5, ["x"]):
        odd = codec.packstream.unpack(codec.packstream.pack(Structure(0x3F, "M", 9, 4, {"message": message})))
        assert odd._message is None


# Graph

NODE = Node(1, ["A", "B"], {"k": 1, "l": [1, {"m": dt.date(2024, 1, 1)}]}, "n1")


@pytest.mark.parametrize("version", [(1, 0), (4, 4), (5, 0), (6, 1)])
def test_graph_values(codec, version):
    five = version >= (5, 0)
    properties = {"k": 1, "l": [1, {"m": "x"}], "empty": {}}
    node = Node(1, ("A", "B"), properties, "n1" if five else "1")
    other = Node(-(2**63), (), {}, "n2" if five else str(-(2**63)))
    ends = ("r7", "n1", "n2") if five else ("7", "1", "2")
    relationship = Relationship(7, 1, 2, "KNOWS", properties, *ends)
    unbound = UnboundRelationship(7, "KNOWS", properties, ends[0])
    path = Path((node, other), (unbound,), (1, 1, -1, 0))
    for value in (node, other, relationship, unbound, path, [node, {"n": node}], Path((node,))):
        assert exact(back(codec, value, version)) == exact(value)
    for value in (node, relationship, path):
        assert back(codec, value, version) == value
    walked = back(codec, path, version)
    assert [found.element_id for found in walked.nodes] == [
        node.element_id,
        other.element_id,
        node.element_id,
    ]
    assert [bound.start_node for bound in walked.relationships] == [node, node]


def test_every_node_is_its_own_object(codec):
    first, second = back(codec, [NODE, NODE])
    assert first is not second
    assert first._properties is not second._properties
    assert first == second


def test_labels_keep_their_order_and_repetitions(codec):
    for labels in ((), ("B", "A"), ("A", "A"), tuple("abcdefghijklmnopqrst"), ("é", "")):
        unpacker = codec.packstream.Unpacker()
        data = codec.packstream.pack(Node(1, labels, {}, "x"))
        for _ in range(3):
            assert exact(unpacker.unpack(data)._labels) == exact(labels)


def test_many_sets_of_labels_on_one_connection(codec):
    rnd = random.Random(1)
    unpacker = codec.packstream.Unpacker()
    sets = [tuple(f"L{rnd.randrange(40)}" for _ in range(rnd.randrange(4))) for _ in range(60)] + [
        ("x" * 2000,)
    ]
    for _ in range(600):
        labels = rnd.choice(sets)
        value = Node(1, labels, {"k": [1]}, "x")
        assert exact(unpacker.unpack(codec.packstream.pack(value))) == exact(value)


def test_ids_that_are_no_numbers(codec):
    """Bolt 5 knows entities by element_id, but drivers insist on a number; below, there is nothing else."""
    nobody = Node(None, ["A"], {}, "n1")
    values = [
        (nobody, (0,)),
        (Relationship(None, 1, 2, "T", {}, "r", "a", "b"), (0,)),
        (Relationship(3, None, 2, "T", {}, "r", "a", "b"), (1,)),
        (Relationship(3, 1, None, "T", {}, "r", "a", "b"), (2,)),
        (UnboundRelationship(None, "T", {}, "r"), (0,)),
    ]
    for value, places in values:
        raw = codec.packstream.unpack(codec.packstream.pack(value, version=(5, 0)), version=(4, 4))
        assert type(raw) is Structure
        for place in places:
            assert raw.fields[place] == -1
        assert back(codec, value, (5, 0)) == value
        with pytest.raises(
            PackError, match=r"^value\[0\]: below Bolt 5.0 nodes and relationships are known by their id"
        ):
            codec.packstream.pack([value], version=(4, 4))
    assert type(back(codec, Path((nobody,)), (5, 0))) is Path


def test_what_a_server_author_puts_in_is_checked(codec):
    for value, path in (
        (Node(1, [], {"k": object()}, "x"), ("k",)),
        (Node(1, [], {5: 1}, "x"), ()),  # type: ignore[dict-item]
        (Relationship(1, 2, 3, "T", {"k": {1}}, "r"), ("k",)),
        (Node(2**63, [], {}, "x"), ()),
    ):
        with pytest.raises(PackError) as caught:
            codec.packstream.pack(value)
        assert caught.value.path == path


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_values_inside_others(codec, depth):
    value: Any = [
        NODE, dt.datetime(2024, 1, 1, tzinfo=OSLO), dt.date(2024, 1, 1), Time(1, nanosecond=1), Duration(1),
        CartesianPoint((1.0, 2.0)), Vector([1], "i8"), uuid.UUID(int=1), Structure(5, NODE), b"x", None,
    ]  # fmt: skip
    for _ in range(depth):
        value = [{"k": value, "n": 1}]
    assert exact(back(codec, value)) == exact(value)
    (((row,),),) = codec.chunking.MessageReader().feed(
        codec.chunking.MessageWriter(graph=True).records([(value,)])
    )
    assert exact(row) == exact(value)
