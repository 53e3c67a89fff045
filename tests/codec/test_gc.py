"""The compiled twin hides from the garbage collector what cannot be part of a cycle, and leaks nothing."""

from __future__ import annotations

import datetime as dt
import gc
import importlib
import os
import subprocess
import sys
import uuid
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from asyncbolt._structure import Structure
from asyncbolt.graph import Node, Path, Relationship, UnboundRelationship
from asyncbolt.spatial import CartesianPoint
from asyncbolt.time import DateTime, Duration, Time
from asyncbolt.vector import Vector


@pytest.fixture
def compiled(request):
    if request.config.getoption("--impl") == "python":
        pytest.skip("about the compiled twin only")
    return importlib.import_module("asyncbolt._chunking")


def rows_of(chunking, *values: Any, version=(6, 1), extended: bool = False) -> list[tuple[Any, ...]]:
    data = chunking.MessageWriter(version, graph=True).records([values, values])
    (rows,) = chunking.MessageReader(version, extended_types=extended).feed(data)
    return rows


OSLO = ZoneInfo("Europe/Oslo")
UTC = dt.timezone.utc
ATOMS = [
    1, 2**40, 1.5, "text", "x" * 100, b"bytes", None, True, False, dt.date(2024, 1, 1), dt.time(1),
    dt.time(1, tzinfo=UTC), dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=OSLO),
    dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), DateTime(2024, 1, 1, nanosecond=1),
    DateTime(2024, 1, 1, nanosecond=1, tzinfo=OSLO), Time(1, nanosecond=1), Time(1, nanosecond=1, tzinfo=UTC),
    Duration(1, 2, 3), CartesianPoint((1.0, 2.0)), CartesianPoint((1.0, 2.0, 3.0)), Vector([1], "i8"),
    uuid.UUID(int=7),
]  # fmt: skip
NODE = Node(1, ["A", "B"], {"k": 1, "when": dt.date(2024, 1, 1), "at": CartesianPoint((1.0, 2.0))}, "n1")
OTHER = Node(2, [], {}, "n2")
KNOWS = UnboundRelationship(5, "KNOWS", {"since": 2020}, "r5")
ENTITIES = [
    NODE, OTHER, Relationship(5, 1, 2, "KNOWS", {"since": 2020}, "r5", "n1", "n2"), KNOWS, Path([NODE]),
    Path([NODE, OTHER], [KNOWS], [1, 1, -1, 0]),
]  # fmt: skip
TRACKED = [
    [], [1], {}, {"k": 1}, [[1]], Structure(5), Structure(0x44, "no day"), Node(1, [], {"k": [1]}, "x"),
    Node(1, ["A"], {"k": 1, "l": []}, "x"), Relationship(1, 2, 3, "T", {"k": [1]}, "x", "y", "z"),
    UnboundRelationship(1, "T", {"k": [1]}, "x"), Path([Node(1, [], {"k": [1]}, "x")]),
    Path([NODE, OTHER], [UnboundRelationship(1, "T", {"k": [1]}, "x")], [1, 1]),
    Path([OTHER, Node(1, [], {"k": [1]}, "x")], [KNOWS], [1, 1]),
]  # fmt: skip


def contents(value: Any) -> list[Any]:
    """What is behind a node, a relationship or a path."""
    found = []
    for slot in (
        "_labels",
        "_properties",
        "_unique_nodes",
        "_unique_relationships",
        "_indices",
        "_coordinates",
    ):
        inner = getattr(value, slot, None)
        if inner is not None:
            found.append(inner)
        if slot in ("_unique_nodes", "_unique_relationships"):
            for item in inner or ():
                found += [item, *contents(item)]
    return found


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("value", ATOMS + ENTITIES, ids=lambda value: type(value).__name__)
def test_rows_of_atoms_and_entities_are_untracked(compiled, value, extended):
    for row in rows_of(compiled, value, 1, value, extended=extended):
        assert not gc.is_tracked(row)
        for item in row:
            assert not gc.is_tracked(item)
            for inner in contents(item):
                assert not gc.is_tracked(inner)


def test_rows_of_everything_atomic(compiled):
    for row in rows_of(compiled, *ATOMS, *ENTITIES):
        assert len(row) == len(ATOMS) + len(ENTITIES)
        assert not gc.is_tracked(row)
    assert not gc.is_tracked(rows_of(compiled)[0])


@pytest.mark.parametrize("value", TRACKED, ids=[repr(value)[:60] for value in TRACKED])
def test_what_could_be_part_of_a_cycle_is_tracked(compiled, value):
    for values in ((value,), (1, value), (value, 1), (*ATOMS, value, *ENTITIES), (NODE, value, NODE)):
        for row in rows_of(compiled, *values):
            assert gc.is_tracked(row)
    (row, _) = rows_of(compiled, value)
    if not isinstance(value, dict):  # before 3.14, dicts become tracked with their first container
        assert gc.is_tracked(row[0])


def test_one_row_does_not_decide_about_the_next(compiled):
    data = compiled.MessageWriter(graph=True).records([(1,), ([],), (NODE,), ({},), (TRACKED[7],), (2,)])
    (rows,) = compiled.MessageReader().feed(data)
    assert [gc.is_tracked(row) for row in rows] == [False, True, False, True, True, False]


def test_a_list_of_entities_is_tracked_and_they_are_not(compiled):
    ((nodes,), _) = rows_of(compiled, [NODE, OTHER])
    assert gc.is_tracked(nodes)
    assert not any(gc.is_tracked(node) for node in nodes)


def test_nodes_inside_of_what_is_tracked(compiled):
    """The list before it does not make a node tracked, nor does the one after it make the row untracked."""
    ((before, node, after), _) = rows_of(compiled, [1], NODE, {"k": [1]})
    assert [gc.is_tracked(item) for item in (before, node)] == [True, False]
    assert gc.is_tracked(after)
    ((inner,), _) = rows_of(compiled, Structure(9, NODE, TRACKED[7]))
    assert not gc.is_tracked(inner.fields[0])
    assert gc.is_tracked(inner.fields[1])


@pytest.mark.parametrize(
    "raw",
    [
        Structure(0x4E, 1, ["A"], {}, 5),  # an element_id that is no string
        Structure(0x4E, 1, ["A", []], {"k": 1}, "x"),
        Structure(0x4E, "1", ["A"], {"k": 1}, "x"),
        Structure(0x52, 1, 2, 3, None, {"k": 1}, "x", "y", "z"),
        Structure(0x50, [], [], []),
    ],
)
def test_ill_formed_entities_are_tracked(compiled, raw):
    """They are raw structures, with lists and maps that anybody can reach."""
    for row in rows_of(compiled, raw, 1):
        assert gc.is_tracked(row)
        assert type(row[0]) is Structure
        assert gc.is_tracked(row[0])
    ((value, _), _) = rows_of(compiled, raw, 1)
    cycle = [field for field in value.fields if isinstance(field, list)]
    for field in cycle:
        field.append(value)
    for field in value.fields:
        if isinstance(field, dict):
            field["self"] = value
    gc.collect()
    del value, cycle, field
    assert gc.collect() > 0


def test_cycles_that_users_make_are_found(compiled):
    class Marker:
        pass

    import weakref

    markers = []
    for start in ([], {}, [[]], {"k": []}):
        ((value,), _) = rows_of(compiled, start)
        row: Any = rows_of(compiled, start)[0]
        marker = Marker()
        markers.append(weakref.ref(marker))
        target = row[0]
        if isinstance(target, list):
            target += [row, marker]
        else:
            target.update(row=row, marker=marker)
        del value, row, target, marker
    gc.collect()
    assert [marker() for marker in markers] == [None] * 4


def test_untracked_values_survive_collections(compiled):
    rows = [rows_of(compiled, *ATOMS, *ENTITIES)[0] for _ in range(20)]
    expected = [repr(row) for row in rows]
    gc.collect()
    junk = [bytes(50) for _ in range(1000)]
    gc.collect()
    assert [repr(row) for row in rows] == expected
    assert junk


def test_lazy_parts_of_untracked_entities(compiled):
    ((path, relationship), _) = rows_of(compiled, ENTITIES[5], ENTITIES[2])
    assert [node.element_id for node in path.nodes] == ["n1", "n2", "n1"]
    assert relationship.start_node.element_id == "n1"
    gc.collect()
    assert path.relationships[1].end_node is path.relationships[0].end_node or path.relationships
    assert relationship.nodes[1].element_id == "n2"


def test_nothing_changes_the_users_settings(compiled):
    before = gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()
    rows_of(compiled, *ATOMS, *ENTITIES)
    assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == before


# References


def test_shared_objects_are_counted_right(codec):
    unpacker = codec.packstream.Unpacker((5, 0))
    hour = dt.timezone(dt.timedelta(hours=1))
    data = codec.packstream.pack(
        [
            Node(1, ["Lab", "el"], {"property name": "v", "other": 2}, "x"),
            {"property name": 3},
            dt.datetime(2024, 1, 1, tzinfo=OSLO),
            dt.datetime(2024, 1, 1, tzinfo=hour),
        ]
    )
    node, mapping, zoned, fixed = unpacker.unpack(data)
    (key, *_), (other_key,) = node._properties, mapping
    shared = [node._labels, node._labels[0], key, other_key, zoned.tzinfo, fixed.tzinfo, UTC, Node, Duration]

    def use() -> None:
        for _ in range(50):
            unpacker.unpack(data)
            for cut in range(1, len(data), 5):
                with pytest.raises(ValueError):
                    unpacker.unpack(data[:cut])
        gc.collect()

    use()
    before = [sys.getrefcount(item) for item in shared]
    use()
    assert [sys.getrefcount(item) for item in shared] == before


def test_what_is_packed_is_counted_right(codec):
    key, text, zone = "k" * int("40"), "t" * int("40"), dt.timezone(dt.timedelta(hours=7))
    blob = text.encode()
    moment = dt.datetime(2024, 1, 1, tzinfo=zone)
    inner = [text, blob, moment, {key: text}]
    node = Node(1, [text], {key: text})
    value = {key: inner, "tuple": (text, inner), "structure": Structure(1, text, inner), "node": node}
    watched = [key, text, blob, zone, moment, inner, value, node]
    writer = codec.chunking.MessageWriter(graph=True)

    def use() -> None:
        for _ in range(50):
            codec.packstream.pack(value)
            writer.message(0x70, value)
            writer.records([(value, inner)])
            for wrong in (
                [value, {1}], {"a": value, key: {"b": [object()]}}, (value, "\ud800"),
                Structure(1, value, 2**63),
            ):  # fmt: skip
                for call in (codec.packstream.pack, lambda each: writer.message(0x70, each)):
                    with pytest.raises(ValueError):
                        call(wrong)
        gc.collect()

    use()
    before = [sys.getrefcount(item) for item in watched]
    use()
    assert [sys.getrefcount(item) for item in watched] == before


LOOP = """
import datetime, gc, importlib, resource, sys
sys.path[:0] = {path!r}
packstream, chunking = map(importlib.import_module, {modules!r})
from asyncbolt._structure import Structure
from asyncbolt.graph import Node, Path, Relationship, UnboundRelationship
from asyncbolt.spatial import CartesianPoint
from asyncbolt.time import Duration
from asyncbolt.vector import Vector
import uuid, zoneinfo
node = Node(1, ["A", "B"], {{"key": 1, "list": [1, 2]}}, "n1")
value = [
    1, 2**40, 1.5, "text" * 20, b"bytes", None, True, [1, [2]], {{"k": {{"l": 1}}, "x" * 40: 2}}, node,
    Relationship(1, 1, 2, "T", {{"a": 1}}, "r", "s", "e"),
    Path([node], [UnboundRelationship(1, "T", {{}}, "r")], [1, 0]),
    datetime.datetime(2024, 1, 1, 1, 1, 1, 5, zoneinfo.ZoneInfo("Europe/Oslo")),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
    datetime.date(2024, 1, 1), datetime.time(1, 2, 3), datetime.timedelta(5), CartesianPoint((1.0, 2.0, 3.0)),
    Vector([1, 2], "i8"),
    uuid.UUID(int=9), Structure(0x4E, 1, [5], {{}}, "x"),
    Structure(0x69, 1, 2, "Nowhere"), Structure(0x50, [], [], []),
    Structure(0x3F, "T", 9, 9, {{"message": "m"}}), Structure(0x3F, "T", 9, 9, 1),
]
writer = chunking.MessageWriter(graph=True)
data = packstream.pack(value)
stream = writer.records([(value,), (1,)]) + writer.message(0x70, {{}})
small = chunking.MessageWriter(graph=True, max_chunk_size=100).records([(value,)])
wrong = [value, {{"k": [object()]}}], {{"a": 1, 2: 3}}, "\\ud800"
wrong += [2**63], (value, {{1}}), Structure(1, [{{1}}])
bad = [data[:cut] for cut in range(0, len(data), 7)] + [data + b"x"]
bad += [b"\\x92\\x81a\\xdf"]
bad += [b"\\xa2\\x81k\\x01\\x81l\\xdf", b"\\xa1\\x81\\xff\\x01", b"\\xb2\\x56\\xcc\\x01\\xc9\\xcc\\x01a"]
bad += [b"\\xb4\\x4e\\x01\\x91\\x81A\\xa1\\x81k\\xdf", b"\\x91" * 300, b"\\x83\\xff\\xff\\xff"]

def turn():
    assert packstream.unpack(data) and packstream.pack(value) == data
    reader = chunking.MessageReader()
    assert len(reader.feed(stream)) == 2
    for at in range(0, len(small), 50):
        reader.feed(small[at:at + 50])
    reader.skip(1)
    reader.feed(stream)
    reader.feed(stream[:100])
    assert reader.eof()
    writer.records([value])
    for each in wrong:
        calls = [lambda: packstream.pack(each), lambda: writer.message(0x10, "", each)]
        for call in [*calls, lambda: writer.records([(each,)])]:
            try:
                call()
            except ValueError:
                continue
            raise SystemExit("not refused")
    for each in bad:
        try:
            packstream.unpack(each)
        except ValueError:
            pass
        chunking.MessageReader().feed(len(each).to_bytes(2, "big") + each + b"\\0\\0")

def peak():
    # Not ru_maxrss: on Linux that begins with the test run's own, which would hide any leak.
    try:
        with open("/proc/self/status") as status:
            return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

gc.disable()  # what only the collector would find counts as well
marks = [peak()]
for _ in range(5):
    for _ in range({turns}):
        turn()
    marks.append(peak())
print(min(later - earlier for earlier, later in zip(marks[1:], marks[2:])), gc.collect())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no resource module")
def test_no_leaks(codec):
    """In a fresh process, with the collector off: every path, with and without errors, again and again.

    What leaks grows in each part of the time; what an allocator keeps for later does not.
    """
    turns = 500 if codec.name == "c" else 20  # some 300 packings and readings each
    program = LOOP.format(
        path=sys.path, turns=turns, modules=(codec.packstream.__name__, codec.chunking.__name__)
    )
    # The address sanitizer keeps what is freed, to recognise it.
    options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"ASAN_OPTIONS": options},
    )
    assert done.stderr == ""
    grown, garbage = map(int, done.stdout.split())
    # One small object a turn would be more. The sanitizer's own books go up and down.
    assert grown < (400_000 if "ASAN_OPTIONS" in os.environ else 24_576)
    assert garbage < 50
