"""Objects that lie to the codec: whole bytes or an exception, the same on both twins, and never a crash."""

from __future__ import annotations

import datetime as dt
import gc
import itertools
import os
import random
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from contrived import EMPTY, GARBAGE, SLOTS, TABLE, Theirs, Zone, contrived, forged
from fuzz_writer import _packed, _same

from asyncbolt import _packstream_py
from asyncbolt._constants import MAX_DEPTH
from asyncbolt._convert import _KNOWN
from asyncbolt._structure import Structure
from asyncbolt.exceptions import LocalProtocolError, PackError, UnpackError
from asyncbolt.graph import Node
from asyncbolt.spatial import CartesianPoint, Point
from asyncbolt.time import DateTime, Duration, Time
from asyncbolt.vector import UnsupportedType, Vector

# What Python says of answers such as an __int__ that gives a subclass of int.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::BytesWarning")

# What the object's own code raises, or what Python says of what that code gave.
OTHERS = (Theirs, TypeError, AttributeError, ValueError)


def check(codec, make: Callable[[], Any], wrap: Callable[[Any], Any] = lambda value: value) -> Any:
    """Pack one object; gives what came of it."""
    try:
        result: Any = codec.packstream.pack(wrap(make()))
    except PackError as exc:
        assert type(exc.reason) is str
        result = _packed(codec.packstream.pack, wrap(make()))
    except OTHERS as exc:
        result = type(exc), str(exc)
    else:
        # One value, whole: nothing of the heap, no head without its fields.
        again = codec.packstream.unpack(result)
        assert codec.packstream.pack(again) == result
    assert _same(result, _packed(_packstream_py.pack, wrap(make())))
    return result


NAMES = list(TABLE)


@pytest.mark.parametrize("first", range(0, len(NAMES), 100))
def test_each_of_the_table(codec, first):
    for name in NAMES[first : first + 100]:
        try:
            check(codec, TABLE[name])
            check(codec, TABLE[name], lambda value: {"k": [1, value, "x"]})
        except AssertionError as exc:
            raise AssertionError(name) from exc


@pytest.mark.parametrize("seed", range(10))
def test_random_ones(codec, seed):
    for number in range(200):
        check(codec, lambda number=number: contrived(random.Random(seed * 1000 + number)))


def test_nothing_is_kept(codec):
    """Neither what was refused nor what was packed."""
    makers = [TABLE[name] for name in NAMES[::7]]

    def all_of_them() -> None:
        for make in makers:
            _packed(codec.packstream.pack, [make()])

    all_of_them()
    gc.collect()
    before = len(gc.get_objects())
    all_of_them()
    gc.collect()
    assert len(gc.get_objects()) - before < 200


# What is said


WANTED = {
    ("Vector", "_data"): "its data must be bytes, a multiple of its element's width",
    ("Vector", "_dtype"): "its dtype must be one of i8, i16, i32, i64, f32, f64",
    ("Point", "_srid"): "its srid must be an integer",
    ("Point", "_coordinates"): "its coordinates must be a tuple of two or three floats",
    ("CartesianPoint", "_srid"): "its srid must be an integer",
    ("CartesianPoint", "_coordinates"): "its coordinates must be a tuple of two or three floats",
    ("Structure", "fields"): "its fields must be a tuple or a list",
    ("UnsupportedType", "_name"): "its name must be a str",
    ("UnsupportedType", "_minimum"): "its minimum version must be a tuple of two integers",
    ("UUID", "int"): "its int must be an integer of 128 bits",
}


@pytest.mark.parametrize(("name", "slot"), WANTED)
def test_texts_of_forged_slots(codec, name, slot):
    make = next(make for each, make, _ in SLOTS if each == name)
    kind = "Point" if name == "CartesianPoint" else name
    text = f"this {kind} was tampered with: {WANTED[name, slot]}; make one with {kind}(...)"
    for content in (None, 1.5, object(), {1: 2}, [object()] if slot != "fields" else {2}):
        with pytest.raises(PackError) as caught:
            codec.packstream.pack([forged(make, slot, content)])
        assert (caught.value.reason, caught.value.path) == (text, (0,))


@pytest.mark.parametrize(("name", "make", "slots"), SLOTS, ids=[name for name, _, _ in SLOTS])
def test_slots_that_hold_nothing(codec, name, make, slots):
    for slot in slots:
        if slot == "is_safe":
            continue
        with pytest.raises(PackError, match=r"was tampered with: its? |were tampered with") as caught:
            codec.packstream.pack({"k": forged(make, slot, EMPTY)})
        assert caught.value.path == ("k",)


@pytest.mark.parametrize("submicro", [-1, 1000, 2**40, 2**70, None, "1", 1.0, True])
def test_nanoseconds_below_the_microsecond(codec, submicro):
    for value in (DateTime(2024, 1, 1), Time(1)):
        with pytest.raises(PackError, match="below the microsecond they are 0 to 999"):
            codec.packstream.pack(forged(lambda value=value: value, "_submicro", submicro))


@pytest.mark.parametrize("size", [0, 1, 3, 5, 100])
def test_durations_of_another_length(codec, size):
    with pytest.raises(PackError, match="this Duration was tampered with: it must be four integers"):
        codec.packstream.pack(tuple.__new__(Duration, (1,) * size))


@pytest.mark.parametrize("size", [*range(18), 64])
@pytest.mark.parametrize(("dtype", "width"), [("i8", 1), ("i16", 2), ("f32", 4), ("i64", 8), ("f64", 8)])
def test_vectors_of_every_length(codec, dtype, width, size):
    vector = forged(lambda: Vector([], dtype), "_data", bytes(size))
    if size % width:
        with pytest.raises(PackError, match="a multiple of its element's width"):
            codec.packstream.pack(vector)
    else:
        assert codec.packstream.unpack(codec.packstream.pack(vector)) == Vector(bytes(size), dtype)


def test_bent_integers_are_what_they_are(codec):
    class Bent(int):
        def to_bytes(self, *args, **kwargs):
            return b""

        def __index__(self):
            return 77

        __int__ = __index__

        def __le__(self, other):
            return True

        __ge__ = __lt__ = __gt__ = __le__

    pack = codec.packstream.pack
    assert pack(forged(lambda: uuid.UUID(int=1), "int", Bent(5))) == pack(uuid.UUID(int=5))
    assert pack(tuple.__new__(Duration, (Bent(5),) * 4)) == pack(Duration._make(5, 5, 5, 5))
    assert pack(forged(lambda: Point((1.0, 2.0), 1), "_srid", Bent(2**20))) == pack(Point((1.0, 2.0), 2**20))
    with pytest.raises(PackError, match="64 bits"):
        pack(tuple.__new__(Duration, (Bent(2**64),) * 4))
    writer = codec.chunking.MessageWriter()
    assert writer.message(Bent(0x0F)) == b"\x00\x02\xb0\x0f\x00\x00"
    for wrong in (Bent(-1), Bent(0x80), Bent(2**70)):
        with pytest.raises(LocalProtocolError, match="signature must be an integer from 0 to 127"):
            writer.message(wrong)


def test_fields_of_a_structure_may_be_a_list_that_changes(codec):
    fields: list[Any] = [0, 1, 2]
    structure = forged(lambda: Structure(1), "fields", fields)
    fields[0] = Hook(fields.clear)
    assert codec.packstream.pack(structure) == b"\xb3\x01\xa0\x01\x02"


def test_a_timedelta_that_lies_about_its_days(codec):
    class Delta(dt.timedelta):
        days = seconds = microseconds = property(lambda self: "no")

    aware = dt.datetime(2024, 1, 2, tzinfo=Zone(Delta(hours=1)))
    fixed = dt.datetime(2024, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert codec.packstream.pack(aware) == codec.packstream.pack(fixed)
    assert codec.packstream.pack(Delta(1, 2, 3)) == codec.packstream.pack(dt.timedelta(1, 2, 3))


def test_conversions_have_an_end(codec):
    for name in ("chain of 5000", "chain of 9", "pandas.Series giving itself"):
        with pytest.raises(PackError, match=r"is never plain; send a list or a dict$"):
            codec.packstream.pack(TABLE[name]())
    assert codec.packstream.pack(TABLE["chain of 7"]()) == b"\x91\x01"
    packer = codec.packstream.Packer(max_depth=MAX_DEPTH)
    for name in ("list of itself", "map of itself", "structure of itself"):
        with pytest.raises(PackError, match="does it contain itself"):
            codec.packstream.pack(TABLE[name]())
        with pytest.raises(PackError, match="nested deeper than 400 levels"):
            packer.pack(TABLE[name]())


def test_what_conversions_give_is_what_the_codec_writes_itself(codec, monkeypatch):
    """Else it would be converted for ever."""
    makers = [make for _, make, _ in SLOTS]
    atoms = [None, True, 1, 2**40, 1.5, "x", b"x", [], (), {}, Duration(1), Node(1, [], {}, "n"),
             dt.date(2024, 1, 1), dt.time(1), dt.datetime(2024, 1, 1)]  # fmt: skip
    values = [*atoms, *(make() for make in makers), Point((1.0, 2.0), 4326), CartesianPoint((1.0, 2.0))]
    assert {id(type(value)) for value in values} <= _KNOWN
    for value in values:
        monkeypatch.setattr("asyncbolt._convert._step", lambda odd, value=value: value)
        assert codec.packstream.pack(object()) == codec.packstream.pack(value)


# Values of ours are checked where they are made


@pytest.mark.parametrize("srid", [1.0, "7203", b"1", object(), [1]])
def test_srids_are_integers(srid):
    with pytest.raises(TypeError, match=r"^a srid is an integer, not "):
        Point((1.0, 2.0), srid)


def test_vectors_hold_bytes_and_strings_of_no_other_class(codec):
    class Text(str):
        __slots__ = ()

    class Data(bytes):
        def __bytes__(self):
            return self

    for vector in (
        Vector(Data(b"abcd"), Text("i16")),
        Vector.from_bytes(Data(b"abcd"), Text("i16")),
        Vector.from_native([1, 2], Text("i16")),
    ):
        assert (type(vector._data), type(vector._dtype)) == (bytes, str)
        assert codec.packstream.unpack(codec.packstream.pack(vector)) == vector
    for dtype in ([1], {}, 5, b"i8", object()):
        with pytest.raises(ValueError, match="is no type of vectors"):
            Vector([1], dtype)


# Called from inside, and by two threads


class Hook(Mapping):
    """A mapping that runs a function when it is packed."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function

    def __iter__(self):
        self.function()
        return iter(())

    def __getitem__(self, key):
        raise KeyError(key)

    def __len__(self) -> int:
        return 0


def _class(base: type, function: Callable[[], object], name: str, result: Any) -> Any:
    def method(self, *args):
        function()
        return result(self) if callable(result) else result

    return type("Sub", (base,), {name: method})


def hooks(run: Callable[[], object]) -> dict[str, Any]:
    """Values each of which runs a function at another place, and what they are packed as."""

    class Offset(dt.tzinfo):
        def utcoffset(self, moment):
            run()
            return dt.timedelta(hours=1)

    class Key(dt.tzinfo):
        @property
        def key(self):
            run()
            return "Europe/Oslo"

        def utcoffset(self, moment):
            return dt.timedelta(hours=1)

    class Keys(Hook):
        def keys(self):
            run()
            return []

    class Size(Hook):
        def __len__(self):
            run()
            return 0

    class Item(Hook):
        def __iter__(self):
            return iter("a")

        def __getitem__(self, key):
            run()
            return 1

    class Year(dt.datetime):
        @property
        def year(self):
            run()
            return 2024

    class Liar:
        @property
        def __class__(self):
            run()
            return list

        def __iter__(self):
            return iter(())

    class Tag(int):
        def __repr__(self):
            run()
            return "a tag"

    class Attributes:
        def __getattr__(self, name):
            run()
            raise AttributeError(name)

    series = type("Series", (), {"__module__": "pandas", "tolist": lambda self: (run(), [1])[1]})
    number = type("generic", (), {"__module__": "numpy", "__int__": lambda self: (run(), 1)[1]})
    number.dtype = type("D", (), {"kind": "i"})  # type: ignore[attr-defined]
    return {
        "Mapping.__iter__": Hook(run),
        "Mapping.keys": Keys(run),
        "Mapping.__getitem__": Item(run),
        "list.__iter__": _class(list, run, "__iter__", lambda self: list.__iter__(self))([1, 2]),
        "tuple.__iter__": _class(tuple, run, "__iter__", lambda self: tuple.__iter__(self))((1, 2)),
        "utcoffset": dt.datetime(2024, 1, 2, tzinfo=Offset()),
        "time.utcoffset": dt.time(1, tzinfo=Offset()),
        "zone.key": DateTime(2024, 1, 2, tzinfo=Key()),
        "datetime.year": Year(2024, 1, 2),
        "__class__": Liar(),
        "tolist": series(),
        "__int__": number(),
        "__repr__": forged(lambda: Structure(1), "tag", Tag(1)),
        "__getattr__": Attributes(),
        "in a node": Node(1, ["A"], {"k": Hook(run)}, "n"),
        "in a structure": Structure(1, 2, Hook(run)),
        "in an UnsupportedType": UnsupportedType("x", (6, 1), None, {"k": Hook(run)}),
        "deep": [[[{"a": ({"b": Hook(run)}, 1)}]]],
    }


HOOKS = list(hooks(lambda: None))


@pytest.mark.parametrize("place", HOOKS)
def test_packer_called_from_inside(codec, place):
    expected = _packed(codec.packstream.pack, hooks(lambda: None)[place])
    packer = codec.packstream.Packer()
    refused = 0

    def inside() -> None:
        nonlocal refused
        for call in (
            lambda: packer.pack([1] * 10_000),
            lambda: packer.pack(object()),
            lambda: packer.configure((1, 0), False),
            lambda: packer.__init__((1, 0), graph=False, max_depth=1),
        ):
            with pytest.raises(LocalProtocolError, match=r"^the packer is packing already$"):
                call()
            refused += 1

    assert _packed(packer.pack, hooks(inside)[place]) == expected
    assert refused >= 4
    assert packer.pack([1, "x"]) == b"\x92\x01\x81x"


@pytest.mark.parametrize("place", HOOKS)
def test_writer_called_from_inside(codec, place):
    def writer() -> Any:
        return codec.chunking.MessageWriter(graph=True)

    def results(writer: Any, run: Callable[[], object]) -> Any:
        return [
            _packed(lambda value: writer.message(0x10, "q", {"k": value}, {}), hooks(run)[place]),
            _packed(writer.records, [(1, hooks(run)[place], 2), (3,)]),
            _packed(writer.records, (row for row in [[hooks(run)[place]]])),
        ]

    under_test = writer()
    refused = 0

    def inside() -> None:
        nonlocal refused
        for call in (
            lambda: under_test.message(0x0F),
            lambda: under_test.records([(1,)]),
            lambda: under_test.configure((1, 0), False),
            lambda: under_test.__init__((4, 4), max_chunk_size=1),
        ):
            with pytest.raises(LocalProtocolError, match=r"^the writer is packing already$"):
                call()
            refused += 1

    assert results(under_test, inside) == results(writer(), lambda: None)
    assert refused >= 12
    assert under_test.message(0x0F) == b"\x00\x02\xb0\x0f\x00\x00"


def test_rows_that_come_from_inside(codec):
    writer = codec.chunking.MessageWriter()

    def rows():
        for number in range(3):
            with pytest.raises(LocalProtocolError, match="packing already"):
                writer.configure((1, 0), False)
            with pytest.raises(LocalProtocolError, match="packing already"):
                writer.records([(1,)] * 1000)
            yield (number,)

    assert writer.records(rows()) == codec.chunking.MessageWriter().records([(0,), (1,), (2,)])


@pytest.fixture
def while_a_zone_is_sought(monkeypatch):
    """Run a function while a zone of a name that nobody has is looked for; gives the names."""
    names = (f"No/Zone{number}" for number in itertools.count(os.getpid() * 1000))
    real = os.path.isfile
    function: list[Callable[[], object]] = []

    def isfile(path):
        if "No/Zone" in os.fspath(path) and function:
            function[0]()
        return real(path)

    monkeypatch.setattr(os.path, "isfile", isfile)

    def install(run: Callable[[], object]) -> str:
        function[:] = [run]
        return next(names)

    return install


def _zoned(codec, name: str) -> bytes:
    return codec.packstream.pack(Structure(0x69, 0, 0, name), version=(1, 0))


def test_unpacker_called_from_inside(codec, while_a_zone_is_sought):
    unpacker = codec.packstream.Unpacker()
    refused = 0

    def inside() -> None:
        nonlocal refused
        for call in (
            lambda: unpacker.unpack(b"\x01" * 1),
            lambda: unpacker.configure((1, 0), False),
            lambda: unpacker.__init__(max_depth=1),
        ):
            with pytest.raises(LocalProtocolError, match=r"^the unpacker is reading already$"):
                call()
            refused += 1

    name = while_a_zone_is_sought(inside)
    data = b"\x93\x01" + _zoned(codec, name) + b"\x83end"
    assert unpacker.unpack(data) == [1, Structure(0x69, 0, 0, name), "end"]
    assert refused >= 3
    assert unpacker.unpack(b"\x05") == 5
    with pytest.raises(UnpackError):
        unpacker.unpack(b"\x92\x01")
    assert unpacker.unpack(b"\x05") == 5


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_reader_called_from_inside(codec, while_a_zone_is_sought, step):
    """Also by eof(), which lets go of the bytes that are being read."""
    reader = codec.chunking.MessageReader()
    refused = 0

    def inside() -> None:
        nonlocal refused
        for call in (
            lambda: reader.feed(b"\x00\x00"),
            reader.eof,
            lambda: reader.configure((1, 0), False),
            lambda: reader.__init__(max_depth=1),
        ):
            with pytest.raises(LocalProtocolError, match=r"^the reader is reading already$"):
                call()
            refused += 1

    name = while_a_zone_is_sought(inside)
    content = b"\xb1\x71\x93\x01" + _zoned(codec, name) + b"\x83end"
    stream = len(content).to_bytes(2, "big") + content + b"\x00\x00"
    items = []
    for at in range(0, len(stream), step):
        items += reader.feed(stream[at : at + step])
    assert items == [[(1, Structure(0x69, 0, 0, name), "end")]]
    assert refused >= 4
    assert (reader.eof(), reader.pending, reader.noops) == (None, 0, 0)


def test_two_threads(codec, while_a_zone_is_sought):
    """The second is refused at once, and the first one's work is what it would have been."""
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(30)

    packer, writer = codec.packstream.Packer(), codec.chunking.MessageWriter()
    unpacker, reader = codec.packstream.Unpacker(), codec.chunking.MessageReader()
    name = while_a_zone_is_sought(wait)
    other = while_a_zone_is_sought(wait)
    content = b"\xb1\x70" + _zoned(codec, other)
    stream = len(content).to_bytes(2, "big") + content + b"\x00\x00"
    plain = [1, {}, "x" * 2000]
    work = [
        (lambda: packer.pack([1, Hook(wait), "x" * 2000]), lambda: packer.pack(1), plain),
        (lambda: writer.message(0x70, [1, Hook(wait), "x" * 2000])[4:-2], lambda: writer.records([]), plain),
        (lambda: unpacker.unpack(_zoned(codec, name)), lambda: unpacker.unpack(b"\x01"), name),
        (lambda: reader.feed(stream), reader.eof, other),
    ]
    for first, second, expected in work:
        inside.clear()
        go_on.clear()
        results: list[Any] = []
        thread = threading.Thread(target=lambda first=first, results=results: results.append(first()))
        thread.start()
        try:
            assert inside.wait(30)
            with pytest.raises(LocalProtocolError, match="already"):
                second()
        finally:
            go_on.set()
            thread.join(30)
        (result,) = results
        if expected is plain:
            assert result == codec.packstream.pack(plain)
        else:
            structure = Structure(0x69, 0, 0, expected)
            assert result in (structure, [(0x70, structure)])


def test_a_reader_that_is_initialised_again_is_new(codec):
    reader = codec.chunking.MessageReader()
    reader.skip(3)
    reader.feed(b"\x00\x00\x00\x03\xb1\x70\xa0\x00\x00\x00\x05\xb1")
    assert (reader.answers, reader.noops, reader.pending) == (1, 1, 1)
    reader.__init__()
    assert (reader.answers, reader.noops, reader.pending, reader.eof()) == (0, 0, 0, None)
    assert reader.feed(b"\x00\x03\xb1\x70\xa0\x00\x00") == [(0x70, {})]


# The stack


STACK = """
import sys
from asyncbolt import {module} as packstream
depth, kind = int(sys.argv[1]), sys.argv[2]
import datetime as dt
class Series:
    def tolist(self): return pack()
Series.__module__ = "pandas"
class Offset(dt.tzinfo):
    def utcoffset(self, moment): return pack()
class Key(dt.tzinfo):
    def utcoffset(self, moment): return dt.timedelta(0)
    key = property(lambda self: pack())
def pack():
    value = {{"tolist": Series, "offset": lambda: dt.datetime(2024, 1, 2, tzinfo=Offset()),
             "key": lambda: dt.datetime(2024, 1, 2, tzinfo=Key())}}[kind]()
    for level in range(depth):
        value = [value] if level % 3 else {{"k": value}}
    return packstream.Packer(max_depth=400).pack(value)
try: pack()
except RecursionError: print("RecursionError")
"""


@pytest.mark.parametrize("kind", ["tolist", "offset", "key"])
@pytest.mark.parametrize("depth", [0, 5, 60, 200, 398])
def test_packing_inside_of_packing_for_ever(codec, depth, kind):
    """Python's limit counts its own frames only: each of them may stand for hundreds of ours."""
    program = STACK.format(module=codec.packstream.__name__.partition(".")[2])
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(depth), kind], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "RecursionError\n", "")


# The old buffers


class Adds(bytearray):
    """Its own addition gives anything."""

    def __radd__(self, other):
        return 5


def test_buffers_take_the_content_only(codec):
    writer, reader = codec.chunking.ChunkedWriteBuffer(100), codec.chunking.ChunkedReadBuffer()
    writer.write(Adds(b"abc"))
    writer.write_eof()
    assert writer.getvalue() == b"\x00\x03abc\x00\x00"
    reader.feed_data(Adds(b"abc"))
    reader.feed_data(memoryview(b"d-e-")[::2])
    reader.feed_eof()
    assert bytes(reader.read(5)) == b"abcde"
    for content, garbage in GARBAGE:
        if "bytes" not in content and content != "memoryview" and content != "bytearray":
            with pytest.raises(TypeError):
                writer.write(garbage())
            with pytest.raises(TypeError):
                reader.feed_data(garbage())
