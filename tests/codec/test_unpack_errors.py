"""Hostile bytes: an error that says what and where, or a value, in memory bounded by their number."""

from __future__ import annotations

import gc
import itertools
import random
import subprocess
import sys
import tracemalloc
from typing import Any

import pytest
from exact import exact, outcome

from asyncbolt._constants import DEFAULT_MAX_DEPTH
from asyncbolt._structure import Structure
from asyncbolt.exceptions import UnpackError

VERSIONS = [(1, 0), (2, 0), (4, 4), (5, 0), (6, 0), (6, 1)]


def refused(codec, data: bytes, **kwargs: Any) -> UnpackError:
    with pytest.raises(UnpackError) as caught:
        codec.packstream.unpack(data, **kwargs)
    assert caught.value.__cause__ is None
    return caught.value


# What and where

CASES = [
    ("", "the data ends where a value is due", 0),
    ("92 01", "a list of 2 elements cannot fit into what is left (1 bytes)", 0),
    ("91 81", "a string needs 1 more bytes, 0 are left", 1),
    ("83 61 62", "a string needs 3 more bytes, 2 are left", 0),
    ("d0", "the size of a string needs 1 more bytes, 0 are left", 0),
    ("d1 00", "the size of a string needs 2 more bytes, 1 are left", 0),
    ("d2 00 00 00", "the size of a string needs 4 more bytes, 3 are left", 0),
    ("d0 05 61", "a string needs 5 more bytes, 1 are left", 0),
    ("d2 7f ff ff ff 61", "a string needs 2147483647 more bytes, 1 are left", 0),
    ("d2 80 00 00 00 61", "a string of size 2147483648: sizes go up to 2147483647", 0),
    ("d2 ff ff ff ff", "a string of size 4294967295: sizes go up to 2147483647", 0),
    ("cc", "the size of a byte array needs 1 more bytes, 0 are left", 0),
    ("cd 00", "the size of a byte array needs 2 more bytes, 1 are left", 0),
    ("ce 00 00", "the size of a byte array needs 4 more bytes, 2 are left", 0),
    ("cc 02 00", "a byte array needs 2 more bytes, 1 are left", 0),
    ("ce 80 00 00 00", "a byte array of size 2147483648: sizes go up to 2147483647", 0),
    ("c8", "an integer needs 1 more bytes, 0 are left", 0),
    ("c9 00", "an integer needs 2 more bytes, 1 are left", 0),
    ("ca 00 00 00", "an integer needs 4 more bytes, 3 are left", 0),
    ("cb 00 00 00 00 00 00 00", "an integer needs 8 more bytes, 7 are left", 0),
    ("c1 00 00 00 00 00 00 00", "a float needs 8 more bytes, 7 are left", 0),
    ("e0 00", "a UUID needs 16 more bytes, 1 are left", 0),
    ("d4", "the size of a list needs 1 more bytes, 0 are left", 0),
    ("d5 00", "the size of a list needs 2 more bytes, 1 are left", 0),
    ("d6 ff ff ff ff", "a list of size 4294967295: sizes go up to 2147483647", 0),
    ("d6 7f ff ff ff 00", "a list of 2147483647 elements cannot fit into what is left (1 bytes)", 0),
    ("d8", "the size of a map needs 1 more bytes, 0 are left", 0),
    ("d9 00", "the size of a map needs 2 more bytes, 1 are left", 0),
    ("da 00 00", "the size of a map needs 4 more bytes, 2 are left", 0),
    ("da 80 00 00 00", "a map of size 2147483648: sizes go up to 2147483647", 0),
    ("da 40 00 00 00 81 61 01", "a map of 1073741824 elements cannot fit into what is left (3 bytes)", 0),
    ("a1 81", "a map of 1 elements cannot fit into what is left (1 bytes)", 0),
    ("a1 81 61", "the data ends where a value is due", 3),
    ("a2 80 01 80", "a map of 2 elements cannot fit into what is left (3 bytes)", 0),
    ("a2 81 61 01 81", "a string needs 1 more bytes, 0 are left", 4),
    ("a1 01 01", "a map key must be a string, not what marker 0x01 begins", 1),
    ("a1 c0 01", "a map key must be a string, not what marker 0xC0 begins", 1),
    ("a1 cc 00 01", "a map key must be a string, not what marker 0xCC begins", 1),
    ("a1 b0 01", "a map key must be a string, not what marker 0xB0 begins", 1),
    ("a1 d3 01", "a map key must be a string, not what marker 0xD3 begins", 1),
    ("a1 d0 21 61", "a string needs 33 more bytes, 1 are left", 1),
    ("a1 d1 00", "the size of a string needs 2 more bytes, 1 are left", 1),
    ("a1 81 ff 01", "a string is not valid UTF-8: invalid start byte", 1),
    ("91 a1 82 c3 28 01", "a string is not valid UTF-8: invalid continuation byte", 2),
    ("b0", "a structure's tag needs 1 more bytes, 0 are left", 0),
    ("91 b0", "a structure's tag needs 1 more bytes, 0 are left", 1),
    ("b0 80", "0x80 is no structure tag: tags go up to 0x7F", 0),
    ("b1 ff 01", "0xFF is no structure tag: tags go up to 0x7F", 0),
    ("b2 44 01", "a structure of 2 elements cannot fit into what is left (1 bytes)", 0),
    ("bf 01" + "01" * 14, "a structure of 15 elements cannot fit into what is left (14 bytes)", 0),
    ("81 ff", "a string is not valid UTF-8: invalid start byte", 0),
    ("82 c0 80", "a string is not valid UTF-8: invalid start byte", 0),
    ("83 ed a0 80", "a string is not valid UTF-8: invalid continuation byte", 0),
    ("84 f4 90 80 80", "a string is not valid UTF-8: invalid continuation byte", 0),
    ("84 f0 80 80 80", "a string is not valid UTF-8: invalid continuation byte", 0),
    ("81 c3", "a string is not valid UTF-8: unexpected end of data", 0),
    ("d0 01 ff", "a string is not valid UTF-8: invalid start byte", 0),
    ("01 01", "1 bytes are left over after the value", 1),
    ("90 90 90", "2 bytes are left over after the value", 1),
    ("b2 56 cc 01 c9 cc 03 00 00 00", "a vector's 3 bytes are no multiple of its element's 2", 0),
    ("91 b2 56 cc 01 cb cc 09" + "00" * 9, "a vector's 9 bytes are no multiple of its element's 8", 1),
    ("91 b2 56 cc 01 c6 cc 01 00", "a vector's 1 bytes are no multiple of its element's 4", 1),
    # Its fields are read before a structure is judged, so the error inside it comes first.
    ("b2 56 cc 01 c9 df", "0xDF is a reserved marker", 5),
    ("b3 49 00 00 c4", "0xC4 is a reserved marker", 4),
    ("b4 4e 01 91 ff a0 c4", "0xC4 is a reserved marker", 6),
    ("b4 4e 01 91 81 41 80 c4", "0xC4 is a reserved marker", 7),
]  # fmt: skip


@pytest.mark.parametrize("text, reason, offset", CASES, ids=[case[0] for case in CASES])
def test_what_and_where(codec, text, reason, offset):
    data = bytes.fromhex(text)
    error = refused(codec, data)
    assert exact(error) == exact(UnpackError(reason, offset))
    # The same in a message, counted from its first byte, in either way that it can arrive.
    message = b"\xb1\x70" + data
    for chunk in (len(message), 1):
        stream = b"".join(
            len(message[at : at + chunk]).to_bytes(2, "big") + message[at : at + chunk]
            for at in range(0, len(message), chunk)
        )
        (found,) = codec.chunking.MessageReader().feed(stream + b"\x00\x00")
        assert exact(found) == exact(UnpackError(reason, offset + 2))


RESERVED = [*range(0xC4, 0xC8), 0xCF, 0xD3, 0xD7, *range(0xDB, 0xE0), *range(0xE1, 0xF0)]


def test_reserved_markers(codec):
    for marker, version in itertools.product([*RESERVED, 0xE0], VERSIONS):
        if (marker, version) != (0xE0, (6, 1)):
            for before in (b"", b"\x91", b"\xa1\x81k", b"\xb1\x44", b"\xb4\x4e\x01\x90"):
                data = before + bytes([marker]) + b"\x00" * 20
                error = refused(codec, data, version=version)
                assert exact(error) == exact(UnpackError(f"0x{marker:02X} is a reserved marker", len(before)))


def test_every_first_byte_is_known_or_refused(codec):
    for marker in range(256):
        kind, what = outcome(codec.packstream.unpack, bytes([marker]))
        alone = marker < 0x81 or marker >= 0xF0 or marker in (0x90, 0xA0, 0xC0, 0xC2, 0xC3)
        assert (kind == "gives") is alone, hex(marker)
        assert alone or what[0] is UnpackError


@pytest.mark.parametrize("data", [None, "text", 1, [0xC0], object()])
def test_what_is_no_bytes(codec, data):
    with pytest.raises(TypeError):
        codec.packstream.unpack(data)


@pytest.mark.parametrize(
    "kind", [bytes, bytearray, memoryview, lambda data: memoryview(bytes(2 * len(data)))[::2]]
)
def test_kinds_of_bytes(codec, kind):
    assert codec.packstream.unpack(kind(bytes(1))) == 0


# Promises that are not kept


def peak_of(codec, data: bytes) -> int:
    """The memory that an attempt takes beyond its bytes."""
    codec.packstream.unpack(b"\x00")
    tracemalloc.start()
    try:
        outcome(codec.packstream.unpack, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("marker", [0xCE, 0xD2, 0xD6, 0xDA])
@pytest.mark.parametrize("size", [0x7FFFFFFF, 0x10000000, 0x00100000])
@pytest.mark.parametrize(
    "before", [b"", b"\x91", b"\xa1\x81k", b"\xb4\x4e\x01", b"\xb4\x4e\x01\x90", b"\xb1\x44"]
)
def test_lying_sizes_take_no_memory(codec, marker, size, before):
    data = before + bytes([marker]) + size.to_bytes(4, "big") + b"\x01" * 100
    refused(codec, data)
    assert peak_of(codec, data) < 20_000


def test_lying_chunks_take_no_memory(codec):
    tracemalloc.start()
    try:
        reader = codec.chunking.MessageReader()
        before = tracemalloc.get_traced_memory()[0]
        assert reader.feed(b"\xff\xff\xb1\x70") == []
        assert reader.pending == 2
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


def test_nested_promises_share_what_is_there(codec):
    """Lists in lists, each promising all that is left: together they promise many times what has arrived."""
    levels = 150
    data = b""
    for _ in range(levels):
        data = b"\xd6" + (len(data) + 20_000).to_bytes(4, "big") + data
    data += b"\x01" * 20_000
    error = refused(codec, data)
    assert error.reason.endswith("bytes)")
    # One list of pointers at most; a reader that forgets what it owes makes one per level.
    assert peak_of(codec, data) < 20_000 * 8 * 3


def cannot_fit(count: int, left: int) -> str:
    return f"a list of {count} elements cannot fit into what is left ({left} bytes)"


def test_what_is_owed_counts(codec):
    # [[x, ..., x], y]: the inner list may promise all but one byte, which is owed to y.
    for inner in range(1, 15):
        data = bytes([0x92, 0x90 + inner]) + b"\x01" * inner
        assert refused(codec, data).reason == cannot_fit(inner, inner)
        assert codec.packstream.unpack(data + b"\x02") == [[1] * inner, 2]
    # {k: [x], l: y}: the key of the second entry and its value are owed.
    assert refused(codec, b"\xa2\x80\x91\x01\x80").reason == cannot_fit(1, 2)
    assert codec.packstream.unpack(b"\xa2\x81k\x91\x01\x80\x01") == {"k": [1], "": 1}
    # Structures owe as well: Structure(1, [x], y).
    assert refused(codec, b"\xb2\x01\x91\x01").reason == cannot_fit(1, 1)
    assert codec.packstream.unpack(b"\xb2\x01\x91\x01\x02") == Structure(1, [1], 2)
    # Rows too.
    reader = codec.chunking.MessageReader()
    assert reader.feed(b"\x00\x06\xb1\x71\x92\x91\x01\x02\x00\x00") == [[([1], 2)]]
    (error,) = reader.feed(b"\x00\x05\xb1\x71\x92\x91\x01\x00\x00")
    assert error.reason == cannot_fit(1, 1)


def test_what_is_owed_is_forgotten_after_an_error(codec):
    unpacker = codec.packstream.Unpacker()
    for data in (
        b"\x95\x95\x01\x01\x01",
        b"\x93\x01\x01\xdf",
        b"\xa3\x81k\x91\xdf\x80\x80\x80",
        b"\xb3\x01\x01\x01\xc4",
    ):
        with pytest.raises(UnpackError):
            unpacker.unpack(data)
        assert unpacker.unpack(b"\x92\x01\x91\x02") == [1, [2]]


def test_labels_that_were_seen_before_obey_the_same_rules(codec):
    """Labels are remembered by their bytes; what a full reading refuses is refused all the same."""
    node = b"\xb4\x4e\x01\x92\x81A\x81B\xa0\x81x"
    for broken in (
        b"\xb4\x4e\x01\x92\x81A\x81B", b"\xb4\x4e\x01\x92\x81A\x81B\xa0", b"\x92" + node,
        b"\x93" + node + b"\x01",
        b"\xb4\x4e\x01\x92\x81A\x81", b"\xb4\x4e\x01\x92\x81A",
    ):  # fmt: skip
        fresh, seasoned = codec.packstream.Unpacker(), codec.packstream.Unpacker()
        seasoned.unpack(node)
        assert outcome(seasoned.unpack, broken) == outcome(fresh.unpack, broken)
        assert outcome(fresh.unpack, broken)[0] == "raises"
        assert outcome(seasoned.unpack, node) == outcome(codec.packstream.unpack, node)

    reader = codec.chunking.MessageReader()
    message = b"\xb1\x70" + node
    stream = len(message).to_bytes(2, "big") + message + b"\x00\x00"
    assert len(reader.feed(stream)) == 1
    reader.max_depth = 1
    assert exact(reader.feed(stream)) == exact([UnpackError("nested deeper than 1 levels", 5)])


# Depth

NESTS = {
    "list": b"\x91", "list8": b"\xd4\x01", "list16": b"\xd5\x00\x01", "list32": b"\xd6\x00\x00\x00\x01",
    "map": b"\xa1\x81k", "map8": b"\xd8\x01\x81k", "structure": b"\xb1\x01", "date": b"\xb1\x44",
}  # fmt: skip


@pytest.mark.parametrize("level", NESTS.values(), ids=NESTS)
def test_depth(codec, level):
    limit = DEFAULT_MAX_DEPTH
    data = level * limit + b"\x01"
    codec.packstream.unpack(data)
    for levels in (limit + 1, limit + 2, 10 * limit, 100_000):
        error = refused(codec, level * levels + b"\x01")
        assert exact(error) == exact(UnpackError(f"nested deeper than {limit} levels", limit * len(level)))
    # The innermost may as well be empty.
    empty = {"9": b"\x90", "a": b"\xa0", "b": b"\xb0\x01", "d": level[:-1]}[level.hex()[0]]
    if level[0] < 0xD0:
        codec.packstream.unpack(level * (limit - 1) + empty)
        assert refused(codec, level * limit + empty).offset == limit * len(level)


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 17])
def test_depth_of_messages(codec, limit):
    for level in NESTS.values():
        for deep in (limit, limit + 1):
            content = b"\xb1\x70" + level * deep + b"\x01"
            reader = codec.chunking.MessageReader(max_depth=limit)
            (item,) = reader.feed(len(content).to_bytes(2, "big") + content + b"\x00\x00")
            assert type(item) is (tuple if deep == limit else UnpackError)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_list_of_a_record_is_a_level(codec, limit):
    for deep in (limit - 1, limit):
        content = b"\xb1\x71\x91" + b"\x91" * deep + b"\x01"
        reader = codec.chunking.MessageReader(max_depth=limit)
        (item,) = reader.feed(len(content).to_bytes(2, "big") + content + b"\x00\x00")
        assert type(item) is (list if deep == limit - 1 else UnpackError)


def test_depth_of_nodes(codec):
    """A node is a level, and its labels and properties are another."""
    node = b"\xb4\x4e\x01\x91\x81A\xa1\x81k"
    rest = b"\x81x"
    for limit in (1, 2, 3, 4, 5, 6):
        for deep in (1, 2, 3):
            data = node * deep + b"\x01" + rest * deep
            kind = outcome(codec.packstream.Unpacker(max_depth=limit).unpack, data)[0]
            assert (kind == "gives") is (2 * deep <= limit)


# Structures that are not what their tag says

PACKED = {
    "int": b"\x01",
    "negative": b"\xff",
    "wide": b"\xcb\x7f" + b"\xff" * 7,
    "low": b"\xcb\x80" + bytes(7),
    "float": b"\xc1" + bytes(8),
    "null": b"\xc0",
    "true": b"\xc3",
    "str": b"\x81x",
    "zone": b"\x8bEurope/Oslo",
    "bytes": b"\xcc\x01\xc9",
    "no-kind": b"\xcc\x01\x01",
    "list": b"\x91\x01",
    "labels": b"\x91\x81A",
    "empty": b"\x90",
    "map": b"\xa1\x81k\x01",
    "dup": b"\xa2\x81k\x01\x81k\x02",
    "date": b"\xb1\x44\x00",
    "duration": b"\xb4\x45\x00\x00\x00\x00",
    "structure": b"\xb0\x01",
    "node": b"\xb4\x4e\x01\x90\xa0\x81x",
    "relationship": b"\xb4\x72\x01\x81T\xa0\x81x",
    "nodes": b"\x91\xb4\x4e\x01\x90\xa0\x81x",
    "relationships": b"\x91\xb4\x72\x01\x81T\xa0\x81x",
}
# What each is when it is written again.
CANONICAL = PACKED | {"dup": b"\xa1\x81k\x02"}
SHAPES = {
    0x44: 1, 0x45: 4, 0x46: 3, 0x49: 3, 0x4E: 4, 0x50: 3, 0x52: 8, 0x54: 2, 0x56: 2, 0x58: 3, 0x59: 4,
    0x3F: 4,
    0x64: 2, 0x66: 3, 0x69: 3, 0x72: 4, 0x74: 1,
}  # fmt: skip
SOUND = {
    0x44: ["int"],
    0x45: ["int"] * 4,
    0x46: ["int"] * 3,
    0x49: ["int"] * 3,
    0x4E: ["int", "labels", "map", "str"],
    0x50: ["nodes", "relationships", "empty"],
    0x52: ["int"] * 3 + ["str", "map"] + ["str"] * 3,
    0x54: ["int"] * 2,
    0x56: ["bytes", "bytes"],
    0x58: ["int", "float", "float"],
    0x59: ["int"] + ["float"] * 3,
    0x3F: ["str", "int", "int", "map"],
    0x64: ["int"] * 2,
    0x66: ["int", "int", "zone"],
    0x69: ["int", "int", "zone"],
    0x72: ["int", "str", "map", "str"],
    0x74: ["int"],
}


@pytest.mark.parametrize("tag", SHAPES, ids=hex)
def test_one_wrong_field(codec, tag):
    """Each field replaced by each kind: a value or a raw structure, which packs back to what came."""
    for place, name in itertools.product(range(SHAPES[tag]), PACKED):
        names = [*SOUND[tag][:place], name, *SOUND[tag][place + 1 :]]
        data = bytes([0xB0 + len(names), tag]) + b"".join(PACKED[name] for name in names)
        again = bytes([0xB0 + len(names), tag]) + b"".join(CANONICAL[name] for name in names)
        for version, patch in (
            ((1, 0), False),
            ((4, 4), False),
            ((4, 4), True),
            ((5, 0), False),
            ((6, 1), False),
        ):
            for whole, wanted in ((data, again), (b"\x92" + data + b"\x01", b"\x92" + again + b"\x01")):
                try:
                    value = codec.packstream.unpack(whole, version=version, utc_patch=patch)
                except UnpackError as exc:
                    # A vector of an odd size is the one thing that is refused.
                    assert (tag, exc.reason[:8]) == (0x56, "a vector")
                    continue
                assert codec.packstream.pack(value, version=version, utc_patch=patch) == wanted


@pytest.mark.parametrize("tag", SHAPES, ids=hex)
def test_wrong_counts_stay_raw(codec, tag):
    counts = {0x4E: {3, 4}, 0x52: {5, 8}, 0x72: {3, 4}}.get(tag, {SHAPES[tag]})
    for count in set(range(16)) - counts:
        fields = (SOUND[tag] * 15)[:count]
        data = bytes([0xB0 + count, tag]) + b"".join(PACKED[name] for name in fields)
        for version, patch in itertools.product(VERSIONS, (False, True)):
            value = codec.packstream.unpack(data, version=version, utc_patch=patch)
            assert (type(value), value.tag, len(value.fields)) == (Structure, tag, count)
            assert codec.packstream.pack(value, version=version, utc_patch=patch) == data


def integer(value: int) -> bytes:
    if -16 <= value < 128:
        return bytes([value & 0xFF])
    for marker, size in ((0xC8, 1), (0xC9, 2), (0xCA, 4), (0xCB, 8)):
        if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1:
            return bytes([marker]) + value.to_bytes(size, "big", signed=True)
    raise AssertionError


GIGA = 10**9
DAY = 86400 * GIGA
FIRST, LAST = -62135596800, 253402300799  # the first and last second of the years 1 to 9999, since 1970
LOW, HIGH = -(2**63), 2**63 - 1
OUTSIDE = {
    "date": (
        0x44,
        [[-719163], [2932897], [-365243219162], [365241780471], [LOW], [HIGH], [2**31], [-(2**31) - 1]],
    ),
    "local time": (0x74, [[-1], [DAY], [DAY + 1], [LOW], [HIGH]]),
    "time": (
        0x54,
        [[-1, 0], [DAY, 0], [0, 86400], [0, -86400], [0, 2**40], [0, LOW], [0, HIGH], [LOW, HIGH]],
    ),
    "local date-time": (
        0x64,
        [
            [FIRST - 1, 0],
            [LAST + 1, 0],
            [0, -1],
            [0, GIGA],
            [0, LOW],
            [0, HIGH],
            [LOW, 0],
            [HIGH, 0],
            [31556889864403199, 999999999],
        ],
    ),
    "date-time": (
        0x49,
        [
            [FIRST - 1, 0, 0],
            [LAST + 1, 0, 0],
            [FIRST, 0, -1],
            [LAST, 0, 1],
            [FIRST, 0, -64800],
            [LAST, 0, 64800],
            [0, -1, 0],
            [0, GIGA, 0],
            [0, 0, 86400],
            [0, 0, -86400],
            [0, 0, LOW],
            [0, 0, HIGH],
            [LOW, 0, 0],
            [HIGH, 0, 0],
            [LOW, 0, -1],
            [HIGH, 0, 86399],
            [31556889864403199, 0, 0],
        ],
    ),
    "legacy date-time": (
        0x46,
        [
            [FIRST - 1, 0, 0],
            [LAST + 1, 0, 0],
            [0, -1, 0],
            [0, GIGA, 0],
            [0, 0, 86400],
            [0, 0, LOW],
            [LOW, 0, 0],
            [HIGH, 0, 3600],
        ],
    ),
}
INSIDE = {
    "date": (0x44, [[-719162], [2932896], [0], [-1]]),
    "local time": (0x74, [[0], [DAY - 1]]),
    "time": (0x54, [[0, 0], [DAY - 1, 86399], [0, -86399], [1, 1]]),
    "local date-time": (0x64, [[FIRST, 0], [LAST, GIGA - 1], [-1, GIGA - 1]]),
    "date-time": (
        0x49,
        [
            [FIRST, 0, 0],
            [LAST, GIGA - 1, 0],
            [FIRST - 3600, 0, 3600],
            [LAST + 3600, 0, -3600],
            [FIRST - 86399, 0, 86399],
            [LAST + 86399, GIGA - 1, -86399],
            [0, 0, 1],
            [0, 0, -1],
        ],
    ),
    "legacy date-time": (0x46, [[FIRST, 0, 3600], [LAST, GIGA - 1, -3600], [0, 0, 86399], [0, 0, -86399]]),
}


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("name", OUTSIDE)
def test_ranges(codec, name, extended):
    for table, raw in ((OUTSIDE, True), (INSIDE, False)):
        tag, cases = table[name]
        version = (4, 4) if tag == 0x46 else (5, 0)
        for fields in cases:
            data = bytes([0xB0 + len(fields), tag]) + b"".join(map(integer, fields))
            value = codec.packstream.unpack(data, version=version, extended_types=extended)
            if raw:
                assert exact(value) == exact(Structure(tag, *fields))
            else:
                assert type(value) is not Structure, fields
            assert codec.packstream.pack(value, version=version) == data


ZONES = [
    "",
    "A" * 255,
    "A" * 256,
    "A" * 10_000,
    "../../etc/passwd",
    "/etc/passwd",
    "Europe/../../../../etc/passwd",
    "Europe",
    "Europe/",
    "/",
    ".",
    "..",
    "Europe/Oslo/",
    "Europe/Oslo\0",
    "\0",
    "Europe\0/Oslo",
    "Nowhere/Land",
    "+02:00",
    "UTC+1:00 ",
    "zone.tab",
    "tzdata.zi",
    "posixrules/x",
    "\u202e",
    "Еurope/Oslo",
    "Europe/Oslo\n",
    "C:\\Windows",
    "..\\..",
    "__init__.py",
    "tzdata",
    "CON",
    "~",
    "*",
    "%s",
    "$HOME",
    "😀" * 200,
]


@pytest.mark.parametrize("name", ZONES, ids=[repr(name[:30]) for name in ZONES])
def test_hostile_zone_names(codec, name):
    for tag, version in ((0x69, (5, 0)), (0x66, (4, 4))):
        data = codec.packstream.pack(Structure(tag, 1_700_000_000, 5, name))
        unpacker = codec.packstream.Unpacker(version)
        for _ in range(2):
            value = unpacker.unpack(data)
            assert exact(value) == exact(Structure(tag, 1_700_000_000, 5, name))
            assert codec.packstream.pack(value, version=version) == data


@pytest.mark.parametrize(
    "seconds", [FIRST - 1, LAST + 1, FIRST, LAST, FIRST - 86401, LAST + 86401, LOW, HIGH]
)
@pytest.mark.parametrize("nanos", [0, -1, GIGA, HIGH])
def test_ranges_with_zones(codec, seconds, nanos):
    for name in ("Europe/Oslo", "America/New_York", "UTC", "Pacific/Kiritimati"):
        for tag, version in ((0x69, (5, 0)), (0x66, (4, 4))):
            data = bytes([0xB3, tag]) + integer(seconds) + integer(nanos) + codec.packstream.pack(name)
            value = codec.packstream.unpack(data, version=version)
            assert codec.packstream.pack(value, version=version) == data
            if not FIRST - 86400 <= seconds <= LAST + 86400 or nanos:
                assert type(value) is Structure


PILE = """
import gc, importlib, sys, tracemalloc
sys.path[:0] = {path!r}
packstream = importlib.import_module({module!r})
from asyncbolt._structure import Structure

def read(name):
    unpacker.unpack(packstream.pack(Structure(0x69, 0, 0, name)))

unpacker = packstream.Unpacker((5, 0))
read("Nowhere/Land")  # imports what the search for a zone needs
tracemalloc.start()
for number in range(300):
    read(f"{{number:06}}" * 5000)
for number in range(3000):
    read(f"Nowhere/{{number}}")
gc.collect()
print(tracemalloc.get_traced_memory()[0])
"""


def test_names_of_zones_do_not_pile_up(codec):
    """What a peer calls a zone is remembered, but not for ever and not at any length."""
    # In a process of its own: the import hooks of a test run remember names as well.
    program = PILE.format(path=sys.path, module=codec.packstream.__name__)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    # 1024 short names and none of the long ones; 3000 would be twice as much.
    assert int(done.stdout) < 250_000


def test_offsets_keys_and_labels_do_not_pile_up(codec):
    unpacker = codec.packstream.Unpacker((5, 0))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2500):
            unpacker.unpack(codec.packstream.pack(Structure(0x49, 0, 0, number)))
            unpacker.unpack(codec.packstream.pack({f"key{number}": 1, f"key{number}" * 10: 2}))
            unpacker.unpack(codec.packstream.pack(Structure(0x4E, 1, [f"L{number}"] * 20, {}, "x")))
        gc.collect()  # empties Python's own lists of free tuples
        assert tracemalloc.get_traced_memory()[0] - before < 300_000
    finally:
        tracemalloc.stop()


PATHS = {
    "no node": ([], [], []),
    "odd": (["n"], ["r"], [1]),
    "relationship 0": (["n"], ["r"], [0, 0]),
    "relationship 2": (["n"], ["r"], [2, 0]),
    "relationship -2": (["n"], ["r"], [-2, 0]),
    "node 1": (["n"], ["r"], [1, 1]),
    "node -1": (["n"], ["r"], [1, -1]),
    "lowest": (["n"], ["r"], [LOW, 0]),
    "highest": (["n"], ["r"], [HIGH, 0]),
    "highest node": (["n"], ["r"], [1, HIGH]),
    "float": (["n"], ["r"], [1.0, 0]),
    "true": (["n"], ["r"], [True, 0]),
    "text": (["n"], ["r"], ["1", 0]),
    "node twice": (["n", "r"], ["r"], []),
    "relationship is a node": (["n"], ["n"], []),
    "nothing": (None, ["r"], []),
    "text for nodes": ("n", ["r"], []),
    "map": (["n"], {}, []),
    "no indices": (["n"], ["r"], 1),
    "null": (["n"], ["r", None], [1, 0]),
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("version", [(4, 4), (6, 1)])
def test_ill_formed_paths_stay_raw(codec, name, version):
    ids = ("x",) if version >= (5, 0) else ()
    parts = {"n": Structure(0x4E, 1, ["A"], {"k": 1}, *ids), "r": Structure(0x72, 1, "T", {}, *ids)}

    def filled(value: Any) -> Any:
        return (
            [parts.get(item, item) if isinstance(item, str) else item for item in value]
            if type(value) is list
            else value
        )

    data = codec.packstream.pack(Structure(0x50, *map(filled, PATHS[name])), version=version)
    value = codec.packstream.unpack(data, version=version)
    assert (type(value), value.tag) == (Structure, 0x50)
    assert codec.packstream.pack(value, version=version) == data


def test_random_bytes(codec):
    rnd = random.Random(11)
    kinds = set()
    for _ in range(4000):
        data = rnd.randbytes(rnd.randrange(1, 25))
        if rnd.random() < 0.5:
            data = bytes([rnd.choice([0xB1, 0xB2, 0xB3, 0xB4, 0xB8]), rnd.choice(list(SHAPES))]) + data
        try:
            codec.packstream.unpack(data, version=rnd.choice(VERSIONS), utc_patch=rnd.random() < 0.5)
            kinds.add("value")
        except UnpackError as exc:
            assert 0 <= exc.offset <= len(data)
            kinds.add(exc.reason.split()[0])
    assert "value" in kinds
    assert len(kinds) > 5
