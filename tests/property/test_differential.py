"""Twin against twin, whole against split, random bytes against "an error of ours or a value"."""

from __future__ import annotations

import datetime as dt
import importlib
import itertools
import math
import struct
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from exact import exact, outcome
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from vectors import entries

from asyncbolt import _chunking_py, _packstream_py
from asyncbolt._structure import Structure
from asyncbolt.exceptions import BoltError, PackError, UnpackError
from asyncbolt.graph import Node, Path, Relationship, UnboundRelationship
from asyncbolt.spatial import Point, point_class
from asyncbolt.time import Date, DateTime, Duration, Time
from asyncbolt.vector import Vector


@pytest.fixture(scope="module")
def twins(request):
    """(packstream, chunking) of the compiled twin and of the pure one."""
    if request.config.getoption("--impl") == "python":
        pytest.skip("compares the two twins")
    compiled = [importlib.import_module(f"asyncbolt.{name}") for name in ("_packstream", "_chunking")]
    return compiled, [_packstream_py, _chunking_py]


def bounded(examples: int):
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


# Values

VERSIONS = st.sampled_from([(1, 0), (2, 0), (3, 0), (4, 3), (4, 4), (5, 0), (5, 8), (6, 0), (6, 1)])
LONG = st.integers(-(2**63), 2**63 - 1)
INTEGERS = st.one_of(
    LONG,
    st.integers(-200, 200),
    st.builds(
        lambda power, near, sign: sign * 2**power + near,
        st.integers(0, 64),
        st.integers(-2, 2),
        st.sampled_from([1, -1]),
    ),
)
FLOATS = st.one_of(
    st.floats(), st.binary(min_size=8, max_size=8).map(lambda bits: struct.unpack(">d", bits)[0])
)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(), max_size=5),
    st.sampled_from(["", "x" * 15, "x" * 16, "é" * 200]),
)
ODD_TEXTS = st.text(st.characters(categories=["Cs", "Ll"]), max_size=4)
ZONES = st.one_of(
    st.none(),
    st.just(dt.timezone.utc),
    st.sampled_from(["Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]).map(
        ZoneInfo
    ),
    st.integers(-86399, 86399).map(lambda seconds: dt.timezone(dt.timedelta(seconds=seconds))),
    st.integers(-14, 14).map(lambda hours: dt.timezone(dt.timedelta(hours=hours))),
    st.just(dt.timezone(dt.timedelta(microseconds=5))),
)
NANOS = st.one_of(st.integers(0, 999_999_999), st.integers(0, 999_999).map(lambda micros: micros * 1000))


def date_time(plain: dt.datetime, zone: dt.tzinfo | None, nanos: int, fold: int) -> DateTime:
    return DateTime.from_native(plain.replace(microsecond=0)).replace(
        tzinfo=zone, fold=fold, nanosecond=nanos
    )


TEMPORAL = st.one_of(
    st.dates(),
    st.dates().map(lambda day: Date(day.year, day.month, day.day)),
    st.builds(lambda clock, zone: clock.replace(tzinfo=zone), st.times(), ZONES),
    st.builds(
        lambda clock, zone, nanos: Time(
            clock.hour, clock.minute, clock.second, tzinfo=zone, nanosecond=nanos
        ),
        st.times(),
        ZONES,
        NANOS,
    ),
    st.builds(
        lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold),
        st.datetimes(),
        ZONES,
        st.integers(0, 1),
    ),
    st.builds(date_time, st.datetimes(), ZONES, NANOS, st.integers(0, 1)),
    st.timedeltas(),
    st.builds(Duration._make, INTEGERS, INTEGERS, INTEGERS, INTEGERS),
)
POINTS = st.one_of(
    st.builds(
        lambda srid, values: point_class(srid, len(values))(values, srid),
        st.sampled_from([7203, 4326]),
        st.tuples(FLOATS, FLOATS),
    ),
    st.builds(
        lambda srid, values: point_class(srid, len(values))(values, srid),
        st.sampled_from([9157, 4979]),
        st.tuples(FLOATS, FLOATS, FLOATS),
    ),
    st.builds(
        lambda srid, values: Point(values, srid), st.integers(0, 9), st.lists(FLOATS, min_size=2, max_size=3)
    ),
)
VECTORS = st.one_of(
    st.lists(st.integers(-128, 127), max_size=20).map(lambda values: Vector(values, "i8")),
    st.lists(st.floats(width=32), max_size=20).map(lambda values: Vector(values, "f32")),
    st.lists(LONG, max_size=5).map(lambda values: Vector(values, "i64")),
)
REFUSED = st.one_of(
    st.just(object()),
    st.just({1}),
    ODD_TEXTS,
    st.integers(2**63, 2**70),
    st.just(1j),
    st.dictionaries(st.integers(), st.none(), min_size=1, max_size=2),
    st.just(dt.time(1, tzinfo=ZoneInfo("Europe/Oslo"))),
)
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    INTEGERS,
    FLOATS,
    TEXTS,
    st.binary(max_size=20),
    st.binary(min_size=250, max_size=260),
    st.uuids(),
    TEMPORAL,
    POINTS,
    VECTORS,
)
SMALL = st.one_of(st.none(), st.booleans(), st.integers(-20, 200), TEXTS)
IDS = st.one_of(LONG, st.integers(0, 100))
PROPERTIES = st.dictionaries(TEXTS, st.one_of(SMALL, st.lists(SMALL, max_size=3)), max_size=4)
NODES = st.builds(Node, IDS, st.lists(TEXTS, max_size=3), PROPERTIES, TEXTS)
UNBOUND = st.builds(UnboundRelationship, IDS, TEXTS, PROPERTIES, TEXTS)


@st.composite
def paths(draw) -> Path:
    nodes = draw(st.lists(NODES, min_size=1, max_size=3))
    relationships = draw(st.lists(UNBOUND, max_size=3))
    steps = draw(st.integers(0, 4)) if relationships else 0
    indices: list[int] = []
    for _ in range(steps):
        number = draw(st.integers(1, len(relationships)))
        indices += [number if draw(st.booleans()) else -number, draw(st.integers(0, len(nodes) - 1))]
    return Path(nodes, relationships, indices)


GRAPH = st.one_of(
    NODES, UNBOUND, paths(), st.builds(Relationship, IDS, IDS, IDS, TEXTS, PROPERTIES, TEXTS, TEXTS, TEXTS)
)


def containers(inner):
    return st.one_of(
        st.lists(inner, max_size=6),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(TEXTS, inner, max_size=5),
        st.builds(
            lambda tag, fields: Structure(tag, *fields), st.integers(0, 127), st.lists(inner, max_size=5)
        ),
        st.builds(lambda text, count: [text] * count, inner, st.integers(15, 18)),
    )


VALUES = st.recursive(st.one_of(ATOMS, GRAPH), containers, max_leaves=12)
VALUES_AND_WORSE = st.recursive(st.one_of(ATOMS, GRAPH, REFUSED), containers, max_leaves=12)


@bounded(400)
@given(value=VALUES_AND_WORSE, version=VERSIONS, patch=st.booleans())
def test_packing(twins, value, version, patch):
    (c, _), (python, _) = twins
    first = outcome(c.pack, value, version=version, utc_patch=patch)
    second = outcome(python.pack, value, version=version, utc_patch=patch)
    assert first == second
    assert first[0] == "gives" or first[1][0] is PackError
    if first[0] == "gives":
        _, data = first[1]
        for extended in (False, True):
            form = {"version": version, "utc_patch": patch}
            read = [outcome(each.unpack, data, extended_types=extended, **form) for each in (c, python)]
            assert read[0] == read[1]
            # What is not a value of ours comes back as a structure or, if its tag is one of ours, as a value.
            if read[0][0] == "gives":
                again = c.unpack(data, extended_types=extended, **form)
                assert outcome(c.pack, again, **form) == outcome(python.pack, again, **form)
            else:
                assert "a vector's" in read[0][1][1]


@bounded(400)
@given(value=VALUES, version=st.sampled_from([(5, 0), (6, 0), (6, 1)]))
def test_bytes_of_values_come_back(twins, value, version):
    """Of what a server of Bolt 5 may send: the same bytes after reading and writing."""
    for packstream, _ in twins:
        try:
            data = packstream.pack(value, version=version)
            read = packstream.unpack(data, version=version)
        except (PackError, UnpackError):
            continue
        assert packstream.pack(read, version=version) == data


@bounded(250)
@given(
    rows=st.lists(
        st.one_of(st.lists(VALUES_AND_WORSE, max_size=4), st.tuples(VALUES, VALUES), REFUSED), max_size=5
    ),
    version=VERSIONS,
    graph=st.booleans(),
    size=st.one_of(st.integers(1, 40), st.just(65535)),
)
def test_records(twins, rows, version, graph, size):
    results, after = [], []
    for _, chunking in twins:
        writer = chunking.MessageWriter(version, graph=graph, max_chunk_size=size)
        results.append(outcome(writer.records, rows))
        after.append(writer.message(0x0F))
    assert results[0] == results[1]
    assert after[0] == after[1] == chunking.MessageWriter(max_chunk_size=size).message(0x0F)
    if results[0][0] == "gives":
        stream = results[0][1][1]
        read = [exact(chunking.MessageReader(version).feed(stream)) for _, chunking in twins]
        assert read[0] == read[1]


@bounded(250)
@given(
    signature=st.one_of(
        st.sampled_from([0x10, 0x70, 0x71, 0x0F]), st.integers(-3, 300), st.none(), st.floats()
    ),
    fields=st.lists(VALUES_AND_WORSE, max_size=4) | st.lists(st.none(), min_size=14, max_size=17),
    size=st.one_of(st.integers(1, 40), st.just(65535)),
)
def test_messages(twins, signature, fields, size):
    results = [
        outcome(chunking.MessageWriter(max_chunk_size=size).message, signature, *fields)
        for _, chunking in twins
    ]
    assert results[0] == results[1]
    assert results[0][0] == "gives" or issubclass(results[0][1][0], BoltError)


# Bytes

SEEDS = [
    bytes.fromhex(entry["hex"]) for entry in entries("vectors") if len(entry.get("hex", "")) in range(2, 400)
]
SEEDS += [bytes.fromhex(entry["hex"]) for entry in entries("decode_only") + entries("invalid")]
INTERESTING = st.sampled_from(
    [
        0x00,
        0x7F,
        0x80,
        0x81,
        0x8F,
        0x90,
        0x91,
        0x9F,
        0xA0,
        0xA1,
        0xB0,
        0xB1,
        0xB3,
        0xB4,
        0xB8,
        0xC0,
        0xC1,
        0xC3,
        0xC4,
        0xC8,
        0xC9,
        0xCB,
        0xCC,
        0xCE,
        0xD0,
        0xD2,
        0xD4,
        0xD6,
        0xD8,
        0xDA,
        0xDF,
        0xE0,
        0xF0,
        0xFF,
        0x4E,
        0x52,
        0x50,
        0x49,
        0x69,
        0x56,
    ]
)


@st.composite
def mutated(draw) -> bytes:
    parts = draw(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=3))
    data = bytearray(b"".join(parts))
    if len(parts) > 1 and draw(st.booleans()):
        data[:0] = bytes([draw(st.sampled_from([0x90, 0xB0])) + len(parts)])
        if data[0] & 0xF0 == 0xB0:
            data[1:1] = bytes([draw(INTERESTING) & 0x7F])
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        kind = draw(st.integers(0, 3))
        byte = draw(st.one_of(INTERESTING, st.integers(0, 255)))
        if kind == 0:
            data[place : place + 1] = bytes([byte])
        elif kind == 1:
            data.insert(place, byte)
        elif kind == 2:
            del data[place : place + draw(st.integers(1, 4))]
        else:
            data = data[: max(place, 1)]
    return bytes(data)


@bounded(900)
@given(
    data=st.one_of(mutated(), mutated(), st.binary(max_size=60)),
    version=VERSIONS,
    patch=st.booleans(),
    extended=st.booleans(),
)
@example(data=b"", version=(6, 1), patch=False, extended=False)
def test_reading_bytes(twins, data, version, patch, extended):
    form = {"version": version, "utc_patch": patch, "extended_types": extended}
    first, second = (outcome(packstream.unpack, data, **form) for packstream, _ in twins)
    assert first == second
    assert first[0] == "gives" or first[1][0] is UnpackError


@bounded(350)
@given(datas=st.lists(mutated(), min_size=1, max_size=4))
def test_one_reader_for_many_values(twins, datas):
    """What a reader remembers of one value (keys, labels, zones) changes nothing for the next."""
    seasoned = [packstream.Unpacker() for packstream, _ in twins]
    for data in (*datas, *datas):
        results = [outcome(unpacker.unpack, data) for unpacker in seasoned]
        assert results[0] == results[1] == outcome(_packstream_py.unpack, data)


def framed(content: bytes, size: int) -> bytes:
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(len(chunk).to_bytes(2, "big") + chunk for chunk in chunks) + b"\x00\x00"


PIECES = st.one_of(
    st.builds(
        framed,
        st.builds(lambda data: b"\xb1\x71\x91" + data, st.sampled_from(SEEDS)),
        st.sampled_from([1, 3, 65535]),
    ),
    st.builds(
        framed, st.builds(lambda data: b"\xb1\x71\x91" + data, mutated()), st.sampled_from([2, 7, 65535])
    ),
    st.builds(framed, st.builds(lambda data: b"\xb1\x70" + data, mutated()), st.sampled_from([1, 65535])),
    st.builds(
        framed,
        st.sampled_from(
            [b"\xb1\x70\xa0", b"\xb0\x7e", b"\xb1\x7f\xa0", b"\xb1\x71\x92\x01\x02", b"\xb1\x71\x90"]
        ),
        st.sampled_from([1, 65535]),
    ),
    st.sampled_from([b"\x00\x00", b"\xb1\x71\x93\x01\x02\x03"]),
    st.binary(max_size=4),
)
STREAMS = st.lists(PIECES, min_size=1, max_size=8).map(b"".join)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "max_message_size": st.integers(0, 60),
        "max_depth": st.integers(0, 5),
        "max_elements": st.integers(0, 6),
        "runs": st.booleans(),
        "extended_types": st.booleans(),
        "utc_patch": st.booleans(),
    },
)


def merged(items: list[Any]) -> list[Any]:
    """Runs joined: where one ends depends on how the stream was cut."""
    out: list[Any] = []
    for item in items:
        if type(item) is list and out and type(out[-1]) is list:
            out[-1] = out[-1] + item
        else:
            out.append(item)
    return out


@bounded(350)
@given(
    data=st.data(),
    stream=STREAMS,
    version=VERSIONS,
    limits=LIMITS,
    skipped=st.sets(st.integers(0, 4), max_size=3),
)
def test_streams(twins, data, stream, version, limits, skipped):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    results = []
    for (_, chunking), pieces in itertools.product(twins, ([], cuts, range(1, len(stream)))):
        reader = chunking.MessageReader(version, **limits)
        for number in skipped:
            reader.skip(number)
        items: list[Any] = []
        for start, stop in itertools.pairwise((0, *pieces, len(stream))):
            items += reader.feed(stream[start:stop])
        assert all(type(item) in (list, tuple) for item in items[:-1])
        end = reader.pending, exact(reader.eof())
        results.append((exact(merged(items)), reader.noops, reader.answers, end))
    for result in results[1:]:
        assert result == results[0]


@bounded(150)
@given(
    data=st.data(), messages=st.lists(st.binary(min_size=1, max_size=30), max_size=5), size=st.integers(5, 40)
)
def test_buffers_of_chunks(twins, data, messages, size):
    blocks = []
    for _, chunking in twins:
        buffer = chunking.ChunkedWriteBuffer(size)
        for message in messages:
            buffer.write(message)
            buffer.write_eof()
        blocks.append(list(buffer.flush()))
    assert blocks[0] == blocks[1]
    counts = data.draw(st.lists(st.integers(-1, 35), max_size=10))
    taken = []
    for _, chunking in twins:
        reader = chunking.ChunkedReadBuffer()
        for message in messages:
            reader.feed_data(message)
            reader.feed_eof()
        taken.append(
            [
                (outcome(lambda count=count, reader=reader: bytes(reader.read(count))), reader.ready)
                for count in counts
            ]
        )
    assert taken[0] == taken[1]


def test_the_comparison_itself():
    """A comparison that sees nothing would let everything pass."""
    different = [
        1,
        True,
        1.0,
        math.nan,
        struct.unpack(">d", bytes.fromhex("7ff8000000000001"))[0],
        0.0,
        -0.0,
        "1",
        b"1",
        None,
        [1],
        (1,),
        {"a": 1, "b": 2},
        {"b": 2, "a": 1},
        dt.date(2024, 1, 1),
        Date(2024, 1, 1),
        dt.datetime(2024, 1, 1),
        DateTime(2024, 1, 1),
        DateTime(2024, 1, 1, nanosecond=1),
        dt.datetime(2024, 1, 1, fold=1),
        dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
        dt.datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC")),
        dt.time(1),
        Time(1),
        Duration(1),
        Structure(1),
        Structure(1, True),
        Structure(1, 1),
        Node(1, ["A"], {}, "x"),
        Node(1, ["A"], {"k": 1}, "x"),
        Node(2, ["A"], {}, "x"),
        Point((1.0, 2.0), 0),
        point_class(7203, 2)((1.0, 2.0)),
        Vector([1], "i8"),
        Vector([1], "i16"),
        UnpackError("a", 1),
        UnpackError("a", 2),
        PackError("a", (1,)),
        PackError("a", ("1",)),
    ]
    for (first, one), (second, other) in itertools.combinations(enumerate(different), 2):
        assert exact(one) != exact(other), (first, second)
    for value in different:
        assert exact(value) == exact(value)
