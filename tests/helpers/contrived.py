"""Objects that lie to the codec: forged, bent, half made. Each maker gives a new one."""

from __future__ import annotations

import array
import collections
import datetime as dt
import enum
import random
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from asyncbolt._structure import Structure
from asyncbolt.exceptions import PackError
from asyncbolt.graph import Node, Path, Relationship, UnboundRelationship
from asyncbolt.spatial import CartesianPoint, Point, WGS84Point
from asyncbolt.time import Date, DateTime, Duration, Time, TimeDelta
from asyncbolt.vector import UnsupportedType, Vector, VectorDType

Maker = Callable[[], Any]


class Theirs(Exception):
    """What the code of a contrived object raises: it comes through as it is."""


def _theirs(*args: Any, **kwargs: Any) -> Any:
    raise Theirs


def bent(base: type, answer: Callable[..., Any]) -> type:
    """A subclass whose every method gives *answer*."""
    names = [
        "__abs__", "__bool__", "__bytes__", "__contains__", "__divmod__", "__eq__", "__float__", "__format__",
        "__ge__", "__getitem__", "__gt__", "__index__", "__int__", "__iter__", "__le__", "__len__",
        "__length_hint__", "__lt__", "__mod__", "__ne__", "__neg__", "__repr__", "__round__", "__str__",
        "__sub__", "__trunc__", "as_integer_ratio", "bit_length", "capitalize", "copy", "date", "day", "days",
        "encode", "fold", "get", "hex", "hour", "isidentifier", "isoformat", "items", "keys", "microsecond",
        "microseconds", "minute", "month", "replace", "second", "seconds", "time", "timetuple", "to_bytes",
        "tobytes", "tolist", "toordinal", "total_seconds", "utcoffset", "values", "year",
    ]  # fmt: skip
    members: dict[str, Any] = {name: answer for name in names if hasattr(base, name)}
    if "__eq__" in members:
        members["__hash__"] = base.__hash__
    return type(f"Bent{base.__name__.capitalize()}", (base,), members)


ANSWERS: dict[str, Callable[..., Any]] = {
    "itself": lambda self, *args, **kwargs: self,
    "None": lambda *args, **kwargs: None,
    "a str": lambda *args, **kwargs: "bent",
    "a number": lambda *args, **kwargs: 2**40,
    "less": lambda *args, **kwargs: -1,
    "empty bytes": lambda *args, **kwargs: b"",
    "an exception": _theirs,
}


def _sub(base: type, value: Any, answer: str = "an exception") -> Any:
    """An instance with the content of *value*, whose methods are bent."""
    return base.__new__(bent(base, ANSWERS[answer]), value)


EMPTY = object()  # stands for a slot that holds nothing

GARBAGE: list[tuple[str, Maker]] = [
    ("nothing", lambda: EMPTY),
    ("None", lambda: None),
    ("True", lambda: True),
    ("5", lambda: 5),
    ("-1", lambda: -1),
    ("2**63", lambda: 2**63),
    ("2**128", lambda: 2**128),
    ("2**4000", lambda: 2**4000),
    ("1.5", lambda: 1.5),
    ("nan", lambda: float("nan")),
    ("str", lambda: "i8"),
    ("surrogate", lambda: "\ud800"),
    ("bytes", lambda: b"abc"),
    ("no bytes", lambda: b""),
    ("bytearray", lambda: bytearray(b"abc")),
    ("memoryview", lambda: memoryview(b"abcd")),
    ("list", lambda: [1, 2, 3]),
    ("no list", list),
    ("long list", lambda: [0] * 40),
    ("no tuple", tuple),
    ("one float", lambda: (1.0,)),
    ("two ints", lambda: (1, 2)),
    ("two floats", lambda: (1.0, 2.0)),
    ("four floats", lambda: (1.0, 2.0, 3.0, 4.0)),
    ("a str among floats", lambda: (1.0, "2")),
    ("four strings", lambda: ("a", "b", "c", "d")),
    ("dict", lambda: {"a": 1}),
    ("numbered dict", lambda: {1: 1}),
    ("object", object),
    ("class", lambda: int),
    ("iterator", lambda: iter([1, 2])),
    ("generator", lambda: (number for number in range(3))),
    ("dtype", lambda: VectorDType.I8),
    ("node", lambda: Node(1, ["A"], {}, "n")),
    ("structure", lambda: Structure(1, 2)),
    ("namedtuple", lambda: collections.namedtuple("Pair", "a b")(1, 2)),
    *[
        (f"{base.__name__} whose methods give {answer}", lambda b=base, v=value, a=answer: _sub(b, v, a))
        for answer in ANSWERS
        for base, value in [
            (int, 7),
            (float, 1.5),
            (str, "i8"),
            (bytes, b"abc"),
            (tuple, (1.0, 2.0)),
            (list, ()),
        ]
    ],
]

# Our classes, what makes one, and the slots that the codec reads.
SLOTS: list[tuple[str, Maker, list[str]]] = [
    ("Vector", lambda: Vector([1, 2], "i16"), ["_data", "_dtype"]),
    ("Point", lambda: Point((1.0, 2.0), 1), ["_srid", "_coordinates"]),
    ("CartesianPoint", lambda: CartesianPoint((1.0, 2.0, 3.0)), ["_srid", "_coordinates"]),
    ("Structure", lambda: Structure(5, 1, "x"), ["tag", "fields"]),
    ("Node", lambda: Node(1, ["A"], {"k": 1}, "n"), ["_id", "_labels", "_properties", "_element_id"]),
    (
        "Relationship",
        lambda: Relationship(1, 2, 3, "T", {"k": 1}, "r", "s", "e"),
        ["_id", "_start_id", "_end_id", "_type", "_properties", "_element_id", "_start_element_id",
         "_end_element_id"],
    ),
    (
        "UnboundRelationship",
        lambda: UnboundRelationship(1, "T", {"k": 1}, "r"),
        ["_id", "_type", "_properties", "_element_id"],
    ),
    (
        "Path",
        lambda: Path([Node(1, [], {}, "n")], [UnboundRelationship(1, "T", {}, "r")], [1, 0]),
        ["_unique_nodes", "_unique_relationships", "_indices"],
    ),
    ("UnsupportedType", lambda: UnsupportedType("Odd", (6, 2)), ["_name", "_minimum", "_extra"]),
    ("Time", lambda: Time(1, 2, nanosecond=3), ["_submicro"]),
    ("DateTime", lambda: DateTime(2024, 1, 2, nanosecond=3), ["_submicro"]),
    ("UUID", lambda: uuid.UUID(int=5), ["int", "is_safe"]),
]  # fmt: skip


def forged(make: Maker, slot: str, content: Any) -> Any:
    """One of our classes with something else in a slot."""
    value = make()
    if content is EMPTY:
        object.__delattr__(value, slot)
    else:
        object.__setattr__(value, slot, content)
    return value


def _named(module: Any, name: str, **members: Any) -> type:
    """A class that looks like one of another package."""
    return type(name, (), {"__module__": module, **members})


def _constant(value: Any) -> Any:
    return lambda self, *args, **kwargs: value() if callable(value) else value


def _look_alike(module: str, name: str, answer: Callable[..., Any]) -> Any:
    # No __getitem__: without an end it would be an endless list, which fills the memory in pure Python, too.
    members = dict.fromkeys(("tolist", "items", "astype", "__int__", "__float__", "__bool__"), answer)
    for each in ("dtype", "ndim", "columns", "nanosecond", "days", "seconds", "microseconds", "year", "kind"):
        members[each] = property(answer)
    return _named(module, name, **members)()


class _Dtype:
    def __init__(self, kind: Any) -> None:
        self.kind = kind


def _array(kind: Any, **members: Any) -> Any:
    return _named("numpy", "ndarray", dtype=_Dtype(kind), ndim=members.pop("ndim", 1), **members)()


def _scalar(kind: Any, **members: Any) -> Any:
    return _named("numpy", "generic", dtype=_Dtype(kind), **members)()


def _chain(length: int, last: Any) -> Any:
    """A look-alike whose tolist() gives another one, and so on."""
    value = last
    for _ in range(length):
        value = _named("pandas", "Series", tolist=_constant(lambda value=value: value))()
    return value


class Zone(dt.tzinfo):
    """A zone that gives what it is told to."""

    def __init__(self, offset: Any = None, **attributes: Any) -> None:
        self.offset = offset
        self.__dict__.update(attributes)

    def utcoffset(self, moment: dt.datetime | None) -> Any:
        if isinstance(self.offset, type) and issubclass(self.offset, BaseException):
            raise self.offset
        return self.offset


class Pairs(Mapping[str, Any]):
    """A mapping that gives what it is told to."""

    def __init__(self, keys: Any, item: Any = 1, size: Any = 1) -> None:
        self._keys, self._item, self._size = keys, item, size

    def keys(self) -> Any:
        return self._keys

    def __iter__(self) -> Iterator[Any]:
        return iter(self._keys)

    def __getitem__(self, key: Any) -> Any:
        return self._item

    def __len__(self) -> Any:
        return self._size


class _Refuses(Mapping[str, Any]):
    """A mapping that raises a PackError of its own."""

    def __init__(self, **attributes: Any) -> None:
        self.attributes = attributes

    def __iter__(self) -> Iterator[str]:
        exc = PackError("theirs", ("x",))
        for name, value in self.attributes.items():
            if value is EMPTY:
                delattr(exc, name)
            else:
                setattr(exc, name, value)
        raise exc

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __len__(self) -> int:
        return 1


def _liar(cls: Any) -> Any:
    """An object that says that its class is another."""
    return type("Liar", (), {"__class__": property(lambda self: cls)})()


def _meta_liar(cls: type) -> Any:
    """An instance of a class that says that it equals another."""
    meta = type("Meta", (type,), {"__eq__": lambda self, other: True, "__hash__": lambda self: hash(cls)})
    return meta("Same", (), {})()


def _released() -> memoryview:
    view = memoryview(bytearray(b"abc"))
    view.release()
    return view


class _Loud(str, enum.Enum):
    A = "a"

    def __str__(self) -> str:
        raise Theirs


CLASSES: list[type] = [
    bool, int, float, str, bytes, bytearray, memoryview, list, tuple, dict, dt.date, dt.time, dt.datetime,
    dt.timedelta, uuid.UUID, Date, Time, DateTime, Duration, Point, WGS84Point, Structure, Vector, Node,
    Relationship, UnboundRelationship, Path, UnsupportedType, type(None),
]  # fmt: skip
BENT: list[tuple[type, tuple[Any, ...]]] = [
    (int, (7,)),
    (float, (1.5,)),
    (str, ("text",)),
    (str, ("\ud800",)),
    (bytes, (b"abc",)),
    (bytearray, (b"abc",)),
    (list, ()),
    (tuple, ((1, 2),)),
    (dict, ()),
    (collections.OrderedDict, ()),
    (collections.UserDict, ()),
    (dt.date, (2024, 1, 2)),
    (dt.datetime, (2024, 1, 2, 3)),
    (dt.time, (1, 2)),
    (dt.timedelta, (1, 2, 3)),
    (Date, (2024, 1, 2)),
    (DateTime, (2024, 1, 2, 3)),
    (Time, (1, 2)),
    (TimeDelta, (1, 2, 3)),
    (Duration, (1, 2)),
    (Point, ((1.0, 2.0), 5)),
    (WGS84Point, ((1.0, 2.0),)),
]


def table() -> dict[str, Maker]:
    """Every contrived object by its name."""
    made: dict[str, Maker] = {}
    for name, make, slots in SLOTS:
        for slot in slots:
            for content, garbage in GARBAGE:
                made[f"{name}.{slot}: {content}"] = lambda m=make, s=slot, g=garbage: forged(m, s, g())
        cls = type(make())
        if not issubclass(cls, (dt.time, dt.datetime)):
            made[f"{name} that was never made"] = lambda c=cls: c.__new__(c)
    for content, garbage in GARBAGE:
        made[f"Duration of {content}"] = lambda g=garbage: tuple.__new__(Duration, (0, 0, 0, g()))
        made[f"tag {content}"] = lambda g=garbage: forged(lambda: Structure(1), "tag", g())
        made[f"offset {content}"] = lambda g=garbage: dt.datetime(2024, 1, 2, tzinfo=Zone(g()))
        made[f"time's offset {content}"] = lambda g=garbage: dt.time(1, tzinfo=Zone(g()))
        made[f"key {content}"] = lambda g=garbage: DateTime(
            2024, 1, 2, tzinfo=Zone(dt.timedelta(0), key=g(), zone=g())
        )
        made[f"keys() gives {content}"] = lambda g=garbage: Pairs(g())
        made[f"item {content}"] = lambda g=garbage: Pairs(["a"], g())
        made[f"length {content}"] = lambda g=garbage: Pairs(["a"], 1, g())
        made[f"reason {content}"] = lambda g=garbage: _Refuses(reason=g())
        made[f"path {content}"] = lambda g=garbage: _Refuses(path=g())
        made[f"path of {content}"] = lambda g=garbage: _Refuses(path=(1, g()))
        made[f"tolist() gives {content}"] = lambda g=garbage: _named("pandas", "Index", tolist=_constant(g))()
        made[f"array of {content}"] = lambda g=garbage: _array("O", tolist=_constant(g))
        made[f"array of kind {content}"] = lambda g=garbage: _array(g(), tolist=_constant(1))
        made[f"array of dates of {content}"] = lambda g=garbage: _array("M", ndim=0, __getitem__=_constant(g))
        made[f"scalar {content}"] = lambda g=garbage: _scalar(
            "i", __int__=_constant(g), __index__=_constant(g)
        )
        made[f"real scalar {content}"] = lambda g=garbage: _scalar("f", __float__=_constant(g))
        made[f"scalar of kind {content}"] = lambda g=garbage: _scalar(g(), __int__=_constant(1))
        made[f"Timestamp, {content}"] = lambda g=garbage: type(
            "Timestamp", (dt.datetime,), {"__module__": "pandas", "nanosecond": property(_constant(g))}
        )(2024, 1, 2)
        made[f"Timedelta, {content}"] = lambda g=garbage: type(
            "Timedelta", (dt.timedelta,), {"__module__": "pandas", "nanoseconds": property(_constant(g))}
        )(1)
        made[f"module {content}"] = lambda g=garbage: _named(g(), "Odd")()
        made[f"class is {content}"] = lambda g=garbage: _liar(g())
    for count in (0, 1, 3, 5, 16):
        made[f"Duration of {count}"] = lambda n=count: tuple.__new__(Duration, (1,) * n)
    for base, args in BENT:
        for answer, function in ANSWERS.items():
            made[f"{base.__name__}{args} whose methods give {answer}"] = lambda b=base, a=args, f=function: (
                b.__new__(bent(b, f), *a)
            )
            if base in (int, float, str, bytes, tuple, dt.date, dt.timedelta):
                made[f"key {base.__name__}{args} whose methods give {answer}"] = (
                    lambda b=base, a=args, f=function: {b.__new__(bent(b, f), *a): 1}
                )
    for cls in CLASSES:
        made[f"class is {cls.__name__}"] = lambda c=cls: _liar(c)
        made[f"metaclass says {cls.__name__}"] = lambda c=cls: _meta_liar(c)
        made[f"liar {cls.__name__} as a key"] = lambda c=cls: {_liar(c): 1}
        made[f"{cls.__name__} itself"] = lambda c=cls: c
    for module in ("numpy", "pandas", "pandas.core.series", "neo4j.time"):
        for name in (
            "ndarray", "generic", "Series", "Index", "DataFrame", "Timestamp", "Timedelta", "NaTType",
            "ExtensionArray", "datetime64", "Other",
        ):  # fmt: skip
            for answer, function in ANSWERS.items():
                made[f"{module}.{name} giving {answer}"] = lambda m=module, n=name, f=function: _look_alike(
                    m, n, f
                )
    for length in (1, 7, 8, 9, 50, 5000):
        made[f"chain of {length}"] = lambda n=length: _chain(n, [1])
    made["frame of itself"] = lambda: _named(
        "pandas", "DataFrame", columns=("a",), items=lambda self: [("a", self)], tolist=lambda self: [self]
    )()
    made["list of itself"] = lambda: _named("pandas", "Series", tolist=lambda self: [self])()
    made["structure of itself"] = lambda: _named(
        "pandas", "Series", tolist=lambda self: Structure(1, self)
    )()
    made["map of itself"] = lambda: _named("pandas", "Series", tolist=lambda self: {"a": self})()
    offsets = {
        "odd": dt.timedelta(microseconds=1),
        "a day": dt.timedelta(1),
        "fine": TimeDelta(hours=1, nanoseconds=1),
        "bent": bent(dt.timedelta, ANSWERS["a str"])(hours=1),
        "raising": Theirs,
    }
    for name, offset in offsets.items():
        made[f"{name} offset"] = lambda o=offset: dt.datetime(2024, 1, 2, tzinfo=Zone(o))
        made[f"{name} offset of a time"] = lambda o=offset: Time(1, tzinfo=Zone(o))
    made["loud enum"] = lambda: _Loud.A
    made["loud enum as a key"] = lambda: {_Loud.A: object()}
    made["reason is missing"] = lambda: _Refuses(reason=EMPTY)
    made["path is missing"] = lambda: _Refuses(path=EMPTY)
    views: dict[str, Maker] = {
        "released": _released,
        "every second": lambda: memoryview(b"abcdef")[::2],
        "backwards": lambda: memoryview(b"abcdef")[::-1],
        "doubles": lambda: memoryview(array.array("d", [1.0, 2.0])),
        "two dimensions": lambda: memoryview(b"abcdef").cast("B", (2, 3)),
        "no dimension": lambda: memoryview(b"a").cast("B", ()),
        "pointers": lambda: memoryview(bytes(16)).cast("P"),
        "bools": lambda: memoryview(b"\0\1").cast("?"),
        "empty": lambda: memoryview(b""),
        "of a bytearray": lambda: memoryview(bytearray(b"abc")),
    }
    for name, make in views.items():
        made[f"memoryview, {name}"] = make
    made["namespace"] = lambda: types.SimpleNamespace(tolist=lambda: [1])
    made["mapping proxy"] = lambda: types.MappingProxyType({"a": 1})
    return made


TABLE = table()
_NAMES = list(TABLE)
_EVERY_SLOT = [(make, slot) for _, make, slots in SLOTS for slot in slots]


def contrived(rng: random.Random, depth: int = 2) -> Any:
    """A random one: out of the table, forged anew, or one inside another."""
    kind = rng.randrange(8)
    if kind < 3:
        return TABLE[rng.choice(_NAMES)]()
    if kind < 5 or not depth:
        make, slot = rng.choice(_EVERY_SLOT)
        return forged(make, slot, rng.choice(GARBAGE)[1]())
    inner = contrived(rng, depth - 1)
    if kind == 5:
        make, slot = rng.choice(_EVERY_SLOT)
        return forged(make, slot, rng.choice([inner, [inner], (inner, inner), {"k": inner}]))
    if kind == 6:
        return rng.choice([[inner, 1], (1, inner), {"a": 1, "b": inner}, Structure(1, inner, 2)])
    return rng.choice(
        [
            Pairs(["a", "b"], inner),
            _named("pandas", "Series", tolist=_constant(lambda: inner))(),
            _array("O", tolist=_constant(lambda: inner)),
            _named("pandas", "Series", tolist=_constant(lambda: [inner]))(),
        ]
    )
