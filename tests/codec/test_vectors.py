"""The golden vectors: a third witness beside the twins, which could share a mistake."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import random
import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from exact import exact
from vectors import entries, is_encoding, python

from asyncbolt._constants import Message
from asyncbolt._structure import Structure
from asyncbolt.exceptions import PackError, UnpackError
from asyncbolt.graph import Node, Path, Relationship, UnboundRelationship
from asyncbolt.spatial import Point
from asyncbolt.time import Date, DateTime, Duration, Time
from asyncbolt.vector import UnsupportedType, Vector

Version = tuple[int, int]

# Written out: what the package takes its list of versions from is under test elsewhere.
VERSIONS: list[Version] = [
    (1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (4, 2), (4, 3), (4, 4), (5, 0), (5, 1), (5, 2), (5, 3), (5, 4),
    (5, 6), (5, 7), (5, 8), (6, 0), (6, 1),
]  # fmt: skip
DIALECTS = [(version, patch) for version in VERSIONS for patch in (False, True)]

VECTORS = entries("vectors")
every_vector = pytest.mark.parametrize(
    "entry, value",
    [(entry, python(entry["value"])) for entry in VECTORS],
    ids=[entry["id"] for entry in VECTORS],
)


def test_all_are_there():
    counts = {name: len(entries(name)) for name in ("vectors", "decode_only", "invalid", "chunking")}
    assert counts == {"vectors": 344, "decode_only": 40, "invalid": 64, "chunking": 16}


def dialects(entry: dict[str, Any]) -> Iterator[tuple[Version, bool]]:
    """Where the entry's structures mean what its text says."""
    low, high = tuple(entry["bolt_min"]), tuple(entry["bolt_max"] or (9, 9))
    for version, patch in some(DIALECTS, entry):
        if low <= version <= high:
            needed = entry.get("utc_patch")
            if needed is None or patch is needed or (needed and version >= (5, 0)):
                yield version, patch


def some(dialects: list[tuple[Version, bool]], entry: dict[str, Any]) -> list[tuple[Version, bool]]:
    """All, but for values so large that they would take seconds."""
    return dialects if entry.get("length", 0) < 5000 else [((1, 0), False), ((6, 1), True)]


def raw(value: Any, version: Version, utc: bool) -> Any:
    """The structure that a value of ours stands for, by the specification, not by the codec."""

    def down(item: Any) -> Any:
        return raw(item, version, utc)

    kind = type(value)
    five = version >= (5, 0)
    if kind is Duration:
        return Structure(0x45, *value)
    if kind in (list, tuple):
        return [down(item) for item in value]
    if kind is dict:
        return {key: down(item) for key, item in value.items()}
    if kind is Structure:
        return Structure(value.tag, *map(down, value.fields))
    if kind is Node:
        ids = (value.element_id,) if five else ()
        return Structure(0x4E, value._id, down(value._labels), down(value._properties), *ids)
    if kind is Relationship:
        ids = (value.element_id, value.start_element_id, value.end_element_id) if five else ()
        rest = value._type, down(value._properties)
        return Structure(0x52, value._id, value._start_id, value._end_id, *rest, *ids)
    if kind is UnboundRelationship:
        ids = (value.element_id,) if five else ()
        return Structure(0x72, value._id, value._type, down(value._properties), *ids)
    if kind is Path:
        return Structure(
            0x50, down(value._unique_nodes), down(value._unique_relationships), down(value._indices)
        )
    if kind in (dt.datetime, DateTime):
        naive = dt.datetime(value.year, value.month, value.day, value.hour, value.minute, value.second)
        since = naive - dt.datetime(1970, 1, 1)
        seconds = since.days * 86400 + since.seconds
        nanos = value.microsecond * 1000 + getattr(value, "_submicro", 0)
        if value.tzinfo is None:
            return Structure(0x64, seconds, nanos)
        offset = int(value.utcoffset().total_seconds())
        if utc:
            seconds -= offset
        if isinstance(value.tzinfo, ZoneInfo):
            return Structure(0x69 if utc else 0x66, seconds, nanos, value.tzinfo.key)
        return Structure(0x49 if utc else 0x46, seconds, nanos, offset)
    if kind in (dt.date, Date):
        return Structure(0x44, (dt.date(value.year, value.month, value.day) - dt.date(1970, 1, 1)).days)
    if kind in (dt.time, Time):
        clock = dt.timedelta(hours=value.hour, minutes=value.minute, seconds=value.second)
        nanos = clock.seconds * 10**9 + value.microsecond * 1000 + getattr(value, "_submicro", 0)
        if value.tzinfo is None:
            return Structure(0x74, nanos)
        return Structure(0x54, nanos, int(value.utcoffset().total_seconds()))
    if isinstance(value, Point):
        coordinates = tuple(value)
        return Structure(0x58 if len(coordinates) == 2 else 0x59, value.srid, *coordinates)
    if kind is Vector:
        codes = {"i8": 0xC8, "i16": 0xC9, "i32": 0xCA, "i64": 0xCB, "f32": 0xC6, "f64": 0xC1}
        return Structure(0x56, bytes([codes[value.dtype]]), value.raw())
    if kind is UnsupportedType:
        return Structure(0x3F, value._name, *value._minimum, down(value._extra))
    return value


def contains_structure(entry: dict[str, Any]) -> bool:
    return '"struct"' in json.dumps(entry["value"])


# What a structure must come to, where Python has a class that can hold it.
OURS = {
    "date": (dt.date,), "localtime": (dt.time, Time), "time": (dt.time, Time),
    "localdatetime": (dt.datetime, DateTime), "datetime": (dt.datetime, DateTime),
    "legacy-datetime": (dt.datetime, DateTime),
    "datetimezoneid": (dt.datetime, DateTime), "legacy-datetimezoneid": (dt.datetime, DateTime),
    "duration": (Duration,), "point": (Point,), "vector": (Vector,), "unsupported": (UnsupportedType,),
    "node": (Node,), "path": (Path,), "relationship": (Relationship,),
    "unbound-relationship": (UnboundRelationship,),
}  # fmt: skip
STAYS_RAW = {"date/beyond-python"}


@every_vector
def test_both_ways(codec, entry, value):
    pack, unpack = codec.packstream.pack, codec.packstream.unpack
    data = pack(value)
    assert is_encoding(entry, data)
    wanted = exact(value)
    seen = 0
    for version, patch in dialects(entry):
        utc = version >= (5, 0) or patch
        assert pack(value, version=version, utc_patch=patch) == data
        # Two of the types depend on the switch, at any depth; what has no structure does not.
        for extended in (False, True) if contains_structure(entry) else (False,):
            read = unpack(data, version=version, utc_patch=patch, extended_types=extended)
            assert exact(raw(read, version, utc)) == wanted
            assert pack(read, version=version, utc_patch=patch) == data
            if entry["group"] in OURS and entry["id"] not in STAYS_RAW:
                assert isinstance(read, OURS[entry["group"]])
            seen += 1
    assert seen


@every_vector
def test_any_version_gives_the_bytes_back(codec, entry, value):
    """Where a structure is unknown, it is kept as it is."""
    data = codec.packstream.pack(value)
    for version, patch in some(DIALECTS, entry):
        read = codec.packstream.unpack(data, version=version, utc_patch=patch)
        assert codec.packstream.pack(read, version=version, utc_patch=patch) == data


@every_vector
def test_every_truncation_is_refused(codec, entry, value):
    data = codec.packstream.pack(value)
    cuts: Any = range(len(data))
    if len(data) > 600:
        cuts = {*range(20), *random.Random(1).sample(range(len(data)), 3), len(data) - 1}
    for cut in cuts:
        with pytest.raises(UnpackError):
            codec.packstream.unpack(data[:cut])


@every_vector
def test_left_over_bytes_are_refused(codec, entry, value):
    data = codec.packstream.pack(value)
    with pytest.raises(UnpackError, match=r"^1 bytes are left over") as caught:
        codec.packstream.unpack(data + b"\x00")
    assert caught.value.offset == len(data)


# Their text has an offset, their bytes have a zone.
ZONE_IN_BYTES_ONLY = {"datetime/utc", "legacy-datetime/utc"}
MEANT = [
    entry
    for entry in VECTORS
    if entry["id"] not in STAYS_RAW
    and re.match(r"[\d-]+$|.*\d\d:\d\d:\d\d", entry.get("means", ""))
    and entry["group"] != "duration"
]


@pytest.mark.parametrize("entry", MEANT, ids=[entry["id"] for entry in MEANT])
def test_dates_and_times_mean_what_is_said(codec, entry):
    data = codec.packstream.pack(python(entry["value"]))
    means = entry["means"]
    for version, patch in dialects(entry):
        value = codec.packstream.unpack(data, version=version, utc_patch=patch, extended_types=True)
        if type(value) is Date:
            assert value.isoformat() == means
        elif type(value) is Time and value.tzinfo is not None:
            words = re.match(r"([\d:.]+) with offset (-?\d+) s", means)
            assert value.replace(tzinfo=None).iso_format() == words[1]
            assert value.utcoffset().total_seconds() == int(words[2])
        elif type(value) is Time:
            assert value.iso_format() == means
        else:
            assert type(value) is DateTime
            zone = re.search(r"\[(.*)\]$", means)
            if "legacy" in entry["id"] and "overlap-2nd" in entry["id"]:
                value = value.replace(fold=1)  # which this form cannot say
            spoken = means.partition("[")[0]
            if "." not in spoken:
                spoken = spoken.replace("+", ".000000000+", 1)
            assert value.iso_format() == spoken
            if entry["id"] in ZONE_IN_BYTES_ONLY:
                assert value.tzinfo.key == "UTC"
                continue
            assert (zone[1] if zone else None) == getattr(value.tzinfo, "key", None)


def test_most_dates_and_times_are_spelled_out():
    assert len(MEANT) >= 60


PATHS = [entry for entry in VECTORS if entry["group"] == "path"]


@pytest.mark.parametrize("entry", PATHS, ids=[entry["id"] for entry in PATHS])
def test_paths_visit_what_is_said(codec, entry):
    version, patch = next(dialects(entry))
    path = codec.packstream.unpack(
        codec.packstream.pack(python(entry["value"])), version=version, utc_patch=patch
    )
    visited = [int(number) for number in entry["means"].removeprefix("nodes visited: ").split(", ")]
    assert [node.id for node in path.nodes] == visited


@pytest.mark.parametrize("entry", entries("decode_only"), ids=lambda entry: entry["id"])
def test_wider_than_need_be(codec, entry):
    data = bytes.fromhex(entry["hex"])
    value = python(entry["value"])
    canonical = bytes.fromhex(entry["canonical"])
    assert canonical != data
    for version, patch in DIALECTS:
        read = codec.packstream.unpack(data, version=version, utc_patch=patch)
        assert codec.packstream.pack(read, version=version, utc_patch=patch) == canonical
        assert exact(raw(read, version, True)) == exact(value)


@pytest.mark.parametrize("entry", entries("invalid"), ids=lambda entry: entry["id"])
def test_invalid(codec, entry):
    for version, patch in DIALECTS:
        if version <= (6, 0):
            with pytest.raises(UnpackError):
                codec.packstream.unpack(bytes.fromhex(entry["hex"]), version=version, utc_patch=patch)
            reader = codec.chunking.MessageReader(version, utc_patch=patch)
            message = b"\xb1\x70" + bytes.fromhex(entry["hex"])
            (error,) = reader.feed(len(message).to_bytes(2, "big") + message + b"\x00\x00")
            assert type(error) is UnpackError


def test_what_is_invalid_in_6_1_too(codec):
    """One marker is new there, and that is all."""
    valid = []
    for entry in entries("invalid"):
        try:
            codec.packstream.unpack(bytes.fromhex(entry["hex"]), version=(6, 1))
        except UnpackError:
            continue
        valid.append(entry["id"])
    assert valid == ["marker/e0-uuid"]


@pytest.mark.parametrize("entry", entries("encode_errors"), ids=lambda entry: entry["desc"])
def test_encode_errors(codec, entry):
    ((kind, content),) = entry["value"].items()
    if kind == "string_utf16":
        value: Any = chr(int(content, 16))
    elif kind == "map_with_int_key":
        value = {content: 1}
    elif kind == "struct":
        value = Structure(int(content["tag"], 16))
        value.fields = (0,) * content["fields"]["repeat"][1]
    else:
        value = python(entry["value"])
    for version, patch in DIALECTS:
        with pytest.raises(PackError):
            codec.packstream.pack(value, version=version, utc_patch=patch)


@pytest.mark.parametrize("entry", entries("chunking"), ids=lambda entry: entry["id"])
def test_chunking(codec, entry):
    message = Message[entry["message"]]
    fields = [python(field) for field in entry["fields"]]
    wire = codec.chunking.MessageWriter(max_chunk_size=entry["max_chunk"]).message(message, *fields)
    assert is_encoding(entry, wire)
    if message is Message.RECORD:
        assert codec.chunking.MessageWriter(max_chunk_size=entry["max_chunk"]).records(fields) == wire

    sizes, payload, pos = [], b"", 0
    while size := int.from_bytes(wire[pos : pos + 2], "big"):
        sizes.append(size)
        payload += wire[pos + 2 : pos + 2 + size]
        pos += 2 + size
    assert sizes == entry["chunk_sizes"]
    if "payload" in entry:
        assert payload == bytes.fromhex(entry["payload"])
    else:
        assert hashlib.sha256(payload).hexdigest() == entry["payload_sha256"]

    expected = (int(message), *fields)
    for pieces in ([wire], [wire[index : index + 999] for index in range(0, len(wire), 999)]):
        reader = codec.chunking.MessageReader(runs=False)
        assert [item for piece in pieces for item in reader.feed(piece)] == [expected]
        assert (reader.pending, reader.eof()) == (0, None)
