"""What cannot be packed is refused with the path to it and a hint, and costs nothing else."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import itertools
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from asyncbolt._constants import DEFAULT_MAX_DEPTH, MAX_DEPTH
from asyncbolt._structure import Structure
from asyncbolt.exceptions import BoltError, PackError
from asyncbolt.graph import Node, Path, Relationship, UnboundRelationship
from asyncbolt.spatial import CartesianPoint, Point, WGS84Point
from asyncbolt.time import Date, DateTime, Duration, Time
from asyncbolt.vector import UnsupportedType, Vector

WRONG = object()
REASON = "a value of type object cannot be packed"


def refused(function, *args: Any, **kwargs: Any) -> PackError:
    with pytest.raises(PackError) as caught:
        function(*args, **kwargs)
    error = caught.value
    assert isinstance(error, BoltError)
    assert isinstance(error, ValueError)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    return error


# Where it is

PATHS = [
    (WRONG, (), "value"),
    ([WRONG], (0,), "value[0]"),
    ((1, 2, WRONG), (2,), "value[2]"),
    ({"when": WRONG}, ("when",), "value.when"),
    ({"rows": [1, 2, 3, {"when": WRONG}]}, ("rows", 3, "when"), "value.rows[3].when"),
    ({"a": {"b": {"c": [[WRONG]]}}}, ("a", "b", "c", 0, 0), "value.a.b.c[0][0]"),
    ({"ok": 1, "two words": WRONG}, ("two words",), "value['two words']"),
    ({"": WRONG}, ("",), "value['']"),
    ({"0": WRONG}, ("0",), "value['0']"),
    ({"it's": WRONG}, ("it's",), """value["it's"]"""),
    ({"naïve": WRONG}, ("naïve",), "value.naïve"),
    ({"line\nbreak": WRONG}, ("line\nbreak",), r"value['line\nbreak']"),
    ({"x" * 70 + " ": WRONG}, ("x" * 70 + " ",), "value['" + "x" * 59 + "...]"),
    (Structure(1, 0, [WRONG]), (1, 0), "value[1][0]"),
    (Structure(1, Structure(2, {"k": WRONG})), (0, 0, "k"), "value[0][0].k"),
    (Node(1, [], {"k": [WRONG]}), ("k", 0), "value.k[0]"),
    (Relationship(1, 2, 3, "T", {"k": WRONG}), ("k",), "value.k"),
    (UnboundRelationship(1, "T", {"k": WRONG}), ("k",), "value.k"),
    (collections.OrderedDict(a=collections.UserDict(b=WRONG)), ("a", "b"), "value.a.b"),
    (collections.UserDict(a=[WRONG]), ("a", 0), "value.a[0]"),
]


@pytest.mark.parametrize("value, path, text", PATHS, ids=[case[2] for case in PATHS])
def test_paths(codec, value, path, text):
    error = refused(codec.packstream.pack, value)
    assert (error.path, error.root, error.reason, str(error)) == (path, "value", REASON, f"{text}: {REASON}")


def test_paths_of_parameters(codec):
    writer = codec.chunking.MessageWriter()
    error = refused(writer.message, 0x10, "RETURN $rows", {"rows": [0, 1, 2, {"when": WRONG}]}, {})
    assert (str(error), error.path, error.root) == (f"$rows[3].when: {REASON}", ("rows", 3, "when"), "$")
    assert str(refused(writer.message, 0x10, "", {"two words": WRONG})) == f"$['two words']: {REASON}"
    assert str(refused(writer.message, 0x10, "", WRONG)) == f"$: {REASON}"
    assert str(refused(writer.message, 0x10, WRONG, {})) == f"fields[0]: {REASON}"
    assert str(refused(writer.message, 0x10, "", {}, {"tx_metadata": {"k": WRONG}})) == (
        f"fields[2].tx_metadata.k: {REASON}"
    )
    assert str(refused(writer.message, 0x70, {"k": WRONG})) == f"fields[0].k: {REASON}"
    assert str(refused(writer.message, 0x70, {}, [WRONG])) == f"fields[1][0]: {REASON}"


def test_path_of_a_key_is_that_of_the_map(codec):
    assert refused(codec.packstream.pack, {"a": [{"ok": 1, 2: 3}]}).path == ("a", 0)
    assert refused(codec.packstream.pack, {"a": [{"ok": 1, "\udead": 3}]}).path == ("a", 0)


def test_path_through_a_key_of_a_subclass(codec):
    class Key(str):
        def __str__(self) -> str:
            return "bent"

        def __repr__(self) -> str:
            return "bent"

    error = refused(codec.packstream.pack, {Key("straight"): WRONG})
    assert error.path == ("straight",)
    assert type(error.path[0]) is str
    assert codec.packstream.pack({Key("straight"): 1}) == codec.packstream.pack({"straight": 1})


def test_path_of_an_earlier_success_is_forgotten(codec):
    writer = codec.chunking.MessageWriter()
    refused(writer.message, 0x10, "", {"a": [WRONG]})
    refused(writer.records, [([{"b": WRONG}],)])
    assert str(refused(writer.message, 0x10, "", {"c": WRONG})) == f"$c: {REASON}"
    assert str(refused(writer.message, 0x10, "", {"d": {"e": 1}, "f": WRONG})) == f"$f: {REASON}"
    assert str(refused(writer.message, 0x10, "", {"d": [[1], {"e": [2]}], "f": WRONG})) == f"$f: {REASON}"


# Why


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Data:
    a: int = 1


def generator():
    yield 1


async def coroutine() -> None: ...


ODD = dt.timezone(dt.timedelta(hours=1, microseconds=-1))
KINDS = [
    ({1, 2}, "a value of type set cannot be packed; use list(...)"),
    (frozenset((1,)), "a value of type frozenset cannot be packed; use list(...)"),
    (generator(), "a value of type generator cannot be packed; use list(...)"),
    (iter([1]), "a value of type list_iterator cannot be packed; use list(...)"),
    (map(str, [1]), "a value of type map cannot be packed; use list(...)"),
    (range(3), "a value of type range cannot be packed; use list(...)"),
    ({}.keys(), "a value of type dict_keys cannot be packed; use list(...)"),
    (collections.deque([1]), "a value of type collections.deque cannot be packed; use list(...)"),
    (decimal.Decimal("1.5"), "a value of type decimal.Decimal cannot be packed; use float(...) or str(...)"),
    (fractions.Fraction(1, 3), "Fraction cannot be packed; use float(...) or str(...)"),
    (1j, "a value of type complex cannot be packed; send its real and imaginary parts"),
    (Colour.RED, "Colour cannot be packed; use its .value"),
    (Data(), "Data cannot be packed; use dataclasses.asdict(...)"),
    (Data, "a value of type type cannot be packed; it is a class; an instance was expected"),
    (int, "a value of type type cannot be packed; it is a class; an instance was expected"),
    (pathlib.PurePosixPath("/"), "Path cannot be packed; use str(...)"),
    (dt.timezone.utc, "a value of type datetime.timezone cannot be packed; use its name"),
    (print, "a value of type builtin_function_or_method cannot be packed"),
    (..., "a value of type ellipsis cannot be packed"),
    (2**63, "an integer must fit into 64 bits (-2**63 to 2**63 - 1)"),
    (-(2**63) - 1, "an integer must fit into 64 bits (-2**63 to 2**63 - 1)"),
    (10**100, "an integer must fit into 64 bits (-2**63 to 2**63 - 1)"),
    ("\ud800", "a string with a lone surrogate (U+D800 at index 0) has no UTF-8 form"),
    ("ab\udfffc", "a string with a lone surrogate (U+DFFF at index 2) has no UTF-8 form"),
    ("é" * 20 + "\udc80", "a string with a lone surrogate (U+DC80 at index 20) has no UTF-8 form"),
    ({"\udc00": 1}, "a string with a lone surrogate (U+DC00 at index 0) has no UTF-8 form"),
    ({1: 1}, "map keys must be strings, not int"),
    ({None: 1}, "map keys must be strings, not NoneType"),
    ({b"k": 1}, "map keys must be strings, not bytes"),
    ({("a",): 1}, "map keys must be strings, not tuple"),
    (dt.time(1, tzinfo=ZoneInfo("Europe/Oslo")), (
        "a time whose tzinfo needs a date to know its UTC offset (a ZoneInfo) cannot be packed; "
        "use a datetime, or a fixed offset (datetime.timezone)"
    )),
    (dt.datetime(2024, 1, 1, tzinfo=ODD), "its UTC offset is no whole number of seconds"),
    (dt.time(1, tzinfo=ODD), "its UTC offset is no whole number of seconds"),
    (Duration._make(2**63, 0, 0, 0), "an integer must fit into 64 bits (-2**63 to 2**63 - 1)"),
    (Duration._make(0, 0, -(2**63) - 1, 0), "an integer must fit into 64 bits (-2**63 to 2**63 - 1)"),
    (bytes(2**31), "a byte array is too large: sizes go up to 2147483647"),
]  # fmt: skip


@pytest.mark.parametrize("value, reason", KINDS, ids=[str(index) for index in range(len(KINDS))])
def test_reasons(codec, value, reason):
    for nested, path in ((value, ()), ([value], (0,)), ({"k": (1, value)}, ("k", 1))):
        error = refused(codec.packstream.pack, nested)
        assert error.path == path
        assert error.reason.endswith(reason) if "cannot be packed" in reason else error.reason == reason


def test_awaitables(codec):
    waiting = coroutine()
    assert refused(codec.packstream.pack, waiting).reason == (
        "a value of type coroutine cannot be packed; it must be awaited first"
    )
    waiting.close()


def test_zones_without_an_offset(codec):
    class NoOffset(dt.tzinfo):
        def utcoffset(self, when):
            return None

    class Broken(dt.tzinfo):
        def utcoffset(self, when):
            raise ZeroDivisionError("theirs")

    moment = dt.datetime(2024, 1, 1)
    assert (
        refused(codec.packstream.pack, moment.replace(tzinfo=NoOffset())).reason
        == "its tzinfo gives no UTC offset"
    )
    for value in (moment, moment.timetz()):
        with pytest.raises(ZeroDivisionError, match="theirs"):
            codec.packstream.pack([value.replace(tzinfo=Broken())])


GRAPH = [
    Node(1), Relationship(1, 2, 3, "T"), UnboundRelationship(1, "T"), Path.of([Node(1)], []),
]  # fmt: skip


@pytest.mark.parametrize("value", GRAPH, ids=[type(value).__name__ for value in GRAPH])
def test_graph_types_are_no_parameters(codec, value):
    writer = codec.chunking.MessageWriter()
    error = refused(writer.message, 0x10, "", {"n": value}, {})
    assert str(error) == (
        "$n: nodes, relationships and paths are no parameters; send what identifies them, such as element_id"
    )
    assert codec.chunking.MessageWriter(graph=True).message(0x10, "", {"n": value}, {})


def test_unsupported_types_are_no_parameters(codec):
    (value,) = codec.packstream.unpack(b"\x91\xb4\x3f\x84UUID\x06\x01\xa0")
    assert type(value) is UnsupportedType
    reason = "an UnsupportedType only stands for a value that could not be sent; it is no parameter"
    assert refused(codec.chunking.MessageWriter().message, 0x10, "", {"u": value}).reason == reason
    assert refused(codec.packstream.pack, value, version=(5, 8)).reason == reason
    assert codec.packstream.pack(value) == b"\xb4\x3f\x84UUID\x06\x01\xa0"


def test_bent_structures(codec):
    value = Structure(1)
    for tag in (-1, 128, 1.0, "N", None, True):
        value.tag = tag
        assert refused(codec.packstream.pack, [value]).reason == (
            f"a structure's tag must be an integer from 0 to 127, not {tag!r}"
        )
    value = Structure(1)
    value.fields = (0,) * 16
    assert refused(codec.packstream.pack, [value]).reason == "a structure holds at most 15 fields, not 16"
    value.fields = [1, WRONG]
    assert refused(codec.packstream.pack, value).path == (1,)


# What a version cannot carry

TEMPORAL = "dates, times, durations and points need Bolt 2 or newer"
VECTORS = "vectors need Bolt 6.0 or newer; below that, send a list of numbers"
UUIDS = "uuid.UUID needs Bolt 6.1 or newer; below that, send str(uuid)"
UTC = dt.timezone.utc
FLOORS = [
    (dt.date(2024, 1, 1), (2, 0), TEMPORAL),
    (Date(2024, 1, 1), (2, 0), TEMPORAL),
    (dt.time(1), (2, 0), TEMPORAL),
    (Time(1, tzinfo=UTC), (2, 0), TEMPORAL),
    (dt.datetime(2024, 1, 1), (2, 0), TEMPORAL),
    (DateTime(2024, 1, 1, tzinfo=UTC), (2, 0), TEMPORAL),
    (dt.datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Oslo")), (2, 0), TEMPORAL),
    (dt.timedelta(1), (2, 0), TEMPORAL),
    (Duration(1), (2, 0), TEMPORAL),
    (Point((1.0, 2.0), 1234), (2, 0), TEMPORAL),
    (CartesianPoint((1.0, 2.0)), (2, 0), TEMPORAL),
    (WGS84Point((1.0, 2.0, 3.0)), (2, 0), TEMPORAL),
    (Vector([1.0], "f64"), (6, 0), VECTORS),
    (uuid.UUID(int=1), (6, 1), UUIDS),
]
VERSIONS = [(1, 0), (2, 0), (3, 0), (4, 0), (4, 4), (5, 0), (5, 8), (6, 0), (6, 1)]


@pytest.mark.parametrize("value, floor, reason", FLOORS, ids=[repr(floor[0]) for floor in FLOORS])
def test_version_floors(codec, value, floor, reason):
    for version, patch in itertools.product(VERSIONS, (False, True)):
        if version < floor:
            error = refused(codec.packstream.pack, {"v": value}, version=version, utc_patch=patch)
            assert str(error) == f"value.v: {reason}"
        else:
            data = codec.packstream.pack({"v": value}, version=version, utc_patch=patch)
            read = codec.packstream.unpack(data, version=version, utc_patch=patch)["v"]
            assert read == (Duration.from_timedelta(value) if isinstance(value, dt.timedelta) else value)


# Depth

LEVELS = [
    (lambda inner: [inner], "list"),
    (lambda inner: (inner,), "tuple"),
    (lambda inner: {"k": inner}, "dict"),
    (lambda inner: Structure(1, inner), "Structure"),
    (lambda inner: collections.UserDict(k=inner), "Mapping"),
    (collections.namedtuple("One", "x"), "namedtuple"),
]


def nested(level, depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = level(inner)
    return inner


@pytest.mark.parametrize("level", [level for level, _ in LEVELS], ids=[name for _, name in LEVELS])
def test_depth(codec, level):
    limit = DEFAULT_MAX_DEPTH
    data = codec.packstream.pack(nested(level, limit))
    assert data.endswith(b"\x01")
    assert codec.packstream.pack(codec.packstream.unpack(data)) == data
    error = refused(codec.packstream.pack, nested(level, limit + 1))
    assert error.reason == f"nested deeper than {limit} levels (does it contain itself?)"
    assert len(error.path) == limit
    # Its own depth counts for a date, and for all else that has fields; an atom has none.
    assert codec.packstream.pack(nested(level, limit, uuid.UUID(int=5)))
    for last in (dt.date(2024, 1, 1), Duration(1), Structure(1), Vector([], "i8"), [], {}):
        assert codec.packstream.pack(nested(level, limit - 1, last))
        assert refused(codec.packstream.pack, nested(level, limit, last)).path == error.path


def test_nodes_count_as_levels(codec):
    limit = DEFAULT_MAX_DEPTH

    def level(inner: Any) -> Node:
        return Node(1, [], {"k": inner})  # two: the node and its map

    assert codec.packstream.pack(nested(level, limit // 2))
    assert refused(codec.packstream.pack, nested(level, limit // 2 + 1)).reason.startswith("nested deeper")


def test_what_contains_itself(codec):
    endless: list[Any] = []
    endless.append(endless)
    mapping: dict[str, Any] = {}
    mapping["k"] = [mapping]
    user = collections.UserList()
    user.append(user)
    writer = codec.chunking.MessageWriter()
    for value in (endless, mapping):
        error = refused(writer.message, 0x10, "", {"p": value})
        assert error.reason.endswith("(does it contain itself?)")
    assert refused(writer.message, 0x10, "", {"p": user}).path == ("p",)  # a Sequence, but no list
    assert refused(writer.records, [(1,), (endless,)]).path[0] == 1
    assert writer.message(0x0F) == b"\x00\x02\xb0\x0f\x00\x00"


@pytest.mark.parametrize("levels", [-1, MAX_DEPTH + 1])
def test_depths_that_no_stack_holds(codec, levels):
    for cls in (codec.packstream.Packer, codec.packstream.Unpacker):
        with pytest.raises(ValueError, match=f"^max_depth must be 0 to {MAX_DEPTH} levels, not {levels}$"):
            cls(max_depth=levels)


def test_the_deepest_depth(codec):
    value = nested(lambda inner: [inner], MAX_DEPTH)
    data = codec.packstream.Packer(max_depth=MAX_DEPTH).pack(value)
    assert codec.packstream.Unpacker(max_depth=MAX_DEPTH).unpack(data) == value


# Changed while it is packed


class Hook(Mapping):
    def __init__(self, function) -> None:
        self.function = function

    def __getitem__(self, key):
        raise KeyError(key)

    def __iter__(self):
        self.function()
        return iter(())

    def __len__(self) -> int:
        return 0


CHANGED = "it changed while it was being packed"
LIST_CHANGES = [
    lambda value: value.append(1),
    lambda value: value.extend(range(1000)),
    lambda value: value.pop(),
    lambda value: value.clear(),
    lambda value: value.__delitem__(slice(0, 1)),
]
DICT_CHANGES = [
    lambda value: value.update(new=1),
    lambda value: value.update({str(number): 1 for number in range(1000)}),
    lambda value: value.clear(),
    lambda value: value.pop("z", None),
    lambda value: value.pop("a"),
]


@pytest.mark.parametrize("change", range(len(LIST_CHANGES)))
@pytest.mark.parametrize("place", [0, 1, 2])
def test_lists_that_change(codec, change, place):
    value: list[Any] = [0, 0, 0]
    value[place] = Hook(lambda: LIST_CHANGES[change](value))
    error = refused(codec.packstream.pack, {"v": [value]})
    assert str(error) == f"value.v[0]: {CHANGED}"


@pytest.mark.parametrize("change", range(len(DICT_CHANGES)))
@pytest.mark.parametrize("place", ["a", "m", "z"])
def test_dicts_that_change(codec, change, place):
    value: dict[str, Any] = {"a": 0, "m": 0, "z": 0}
    value[place] = Hook(lambda: DICT_CHANGES[change](value))
    error = refused(codec.packstream.pack, {"v": [value]})
    assert str(error) == f"value.v[0]: {CHANGED}"


def test_dicts_that_change_and_keep_their_size(codec):
    value: dict[str, Any] = {}

    def change() -> None:
        value.pop("a")
        value["new"] = object()

    value.update(a=Hook(change), b=1)
    assert str(refused(codec.packstream.pack, [value])) == f"value[0]: {CHANGED}"


def test_dicts_that_are_moved_and_keep_their_size(codec):
    value: dict[str, Any] = dict.fromkeys("xyabc", 0)

    def change() -> None:
        value.pop("b")
        value["new"] = 0  # there is no room left, so all entries move to the front

    value["a"] = Hook(change)
    del value["x"], value["y"]
    assert str(refused(codec.packstream.pack, value)) == f"value: {CHANGED}"


def test_lists_that_grow_for_ever(codec):
    value: list[Any] = []
    hook = Hook(lambda: value.append(hook))
    value.append(hook)
    assert str(refused(codec.packstream.pack, value)) == f"value: {CHANGED}"
    assert len(value) < 5


def test_dicts_that_come_and_go_for_ever(codec):
    value: dict[str, Any] = {}
    numbers = itertools.count()

    def change() -> None:
        value.pop(next(iter(value)))
        value[str(next(numbers))] = Hook(change)

    value["first"] = Hook(change)
    assert str(refused(codec.packstream.pack, value)) == f"value: {CHANGED}"


def test_a_replaced_item_is_no_change_of_size(codec):
    value: list[Any] = [0, 0]
    value[0] = Hook(lambda: value.__setitem__(1, "new"))
    assert codec.packstream.pack(value) == b"\x92\xa0\x83new"


def test_what_is_being_packed_may_be_forgotten_by_all_others(codec):
    """Whoever runs meanwhile may drop the last reference to it."""
    holder: list[Any] = [[Hook(lambda: holder.clear()), "x" * 100, [1, 2, 3]]]
    assert codec.packstream.pack(holder[0]) == codec.packstream.pack([{}, "x" * 100, [1, 2, 3]])
    inner: dict[str, Any] = {"k": [Hook(lambda: inner.clear()), "y" * 100]}
    assert str(refused(codec.packstream.pack, inner)) == f"value: {CHANGED}"
    keys: dict[str, Any] = {"".join(("ke", "y")): {"deep": [Hook(lambda: keys.clear()), WRONG]}}
    assert refused(codec.packstream.pack, keys).path == ("key", "deep", 1)


def test_errors_of_hooks(codec):
    def fail() -> None:
        raise PackError("their own", ("x", 1))

    error = refused(codec.packstream.pack, {"a": [Hook(fail)]})
    assert (error.path, error.reason, str(error)) == (
        ("a", 0, "x", 1),
        "their own",
        "value.a[0].x[1]: their own",
    )
