"""Record: what the official driver's has, compared with it, and what is better."""

from __future__ import annotations

import copy
import enum
import operator
import pickle
from collections.abc import Mapping, Sequence

import neo4j
import pytest

from asyncbolt._structure import Structure
from asyncbolt.driver.record import Record, make_record, make_records, record_type
from asyncbolt.exceptions import BrokenRecordError
from asyncbolt.graph import Node, Path, Relationship

ITEMS = [("a", 1), ("b", "two"), ("c", None), ("d", [1, {"x": 2}])]
BROKEN = Structure(0x69, 0, 0, "Nowhere/Land")


class Name(str, enum.Enum):
    FIRST = "a"
    NONE = "zz"


class Named(Record):
    """A subclass as people write them."""

    @property
    def double(self):
        return self["a"] * 2


def outcome(function, *args):
    """The value, or the class and first argument of the error."""
    try:
        return function(*args)
    except (KeyError, IndexError, TypeError) as error:
        return type(error), error.args[0] if not isinstance(error, TypeError) else ""


CALLS = {
    "index name": lambda r: r.index("b"),
    "index place": lambda r: r.index(2),
    "index bool": lambda r: r.index(True),
    "index unknown": lambda r: r.index("zz"),
    "index outside": lambda r: r.index(4),
    "index negative": lambda r: r.index(-1),
    "index float": lambda r: r.index(1.0),
    "index None": lambda r: r.index(None),
    "index enum": lambda r: r.index(Name.FIRST),
    "item name": lambda r: r["b"],
    "item place": lambda r: r[1],
    "item bool": lambda r: r[True],
    "item outside": lambda r: r[4],
    "item negative": lambda r: r[-1],
    "item unknown": lambda r: r["zz"],
    "item float": lambda r: r[1.0],
    "item tuple": lambda r: r[1, 2],
    "item enum": lambda r: r[Name.FIRST],
    "item enum unknown": lambda r: r[Name.NONE],
    "slice": lambda r: list(r[1:3].items()),
    "slice backwards": lambda r: list(r[::-1].items()),
    "slice nothing": lambda r: list(r[9:].items()),
    "get": lambda r: r.get("a"),
    "get None": lambda r: r.get("c", 5),
    "get unknown": lambda r: r.get("zz"),
    "get default": lambda r: r.get("zz", 5),
    "get place": lambda r: r.get(0, "default"),
    "value": lambda r: r.value(),
    "value name": lambda r: r.value("b"),
    "value place": lambda r: r.value(1),
    "value unknown": lambda r: r.value("zz", 7),
    "value outside": lambda r: r.value(9, 7),
    "value float": lambda r: r.value(1.0),
    "keys": lambda r: r.keys(),
    "values": lambda r: r.values(),
    "values some": lambda r: r.values("b", 0, "zz"),
    "values outside": lambda r: r.values("b", 9),
    "values float": lambda r: r.values(1.0),
    "items": lambda r: r.items(),
    "items some": lambda r: r.items("b", 0, "zz"),
    "items outside": lambda r: r.items(9),
    "data": lambda r: r.data(),
    "data some": lambda r: r.data("d", 0, "zz"),
    "data outside": lambda r: r.data(9),
    "iteration": list,
    "dict": dict,
    "length": len,
    "truth": bool,
    "repr": lambda r: repr(r).replace(" >", ">"),
    "str": lambda r: str(r).replace(" >", ">"),
    "contains value": lambda r: 1 in r,
    "contains key": lambda r: "a" in r,
    "count": lambda r: r.count(1),
    "sum": lambda r: operator.add(r, (5,)),
    "unpacking": lambda r: [*r],
    "keywords": lambda r: dict(**r),
    "less": lambda r: r < (2,),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("items", [ITEMS, [], [("a", 1), ("b", 2), ("a", 3)]], ids=["four", "none", "twice"])
def test_every_method_as_the_official_one(call, items):
    theirs = outcome(call, neo4j.Record(items))
    assert outcome(call, Record(items)) == theirs
    keys = tuple(key for key, _ in items)
    (made,) = make_records(keys, [tuple(value for _, value in items)])
    assert outcome(call, made) == theirs


@pytest.mark.parametrize(
    "source",
    [{"a": 1, "b": 2}, [("a", 1), ("b", 2)], iter([("a", 1), ("b", 2)]), Record({"a": 1, "b": 2})],
    ids=["dict", "pairs", "iterator", "record"],
)
def test_made_of_a_mapping_or_of_pairs(source):
    assert Record(source).items() == [("a", 1), ("b", 2)]


def test_members_of_enums_of_strings_are_names():
    record = make_record(("a", "b"), (1, BROKEN))
    assert record.get(Name.FIRST) == Record({"a": 1}).get(Name.FIRST) == record[Name.FIRST] == 1


def test_made_of_nothing():
    assert Record() == () and Record().keys() == [] and repr(Record()) == "<Record>"


@pytest.mark.parametrize("source", [5, [5], [("a",)], [("a", 1, 2)]])
def test_made_of_nonsense(source):
    with pytest.raises((TypeError, ValueError)):
        Record(source)


@pytest.mark.parametrize(
    "other",
    [
        [1, 2], (1, 2), {"a": 1, "b": 2}, {"b": 2, "a": 1}, [2, 1], {"a": 1}, {"a": 1, "b": 3}, [1], "ab", 5,
        None, {"c": 1, "d": 2}, range(1, 3),
    ],
    ids=repr,
)  # fmt: skip
def test_equality_as_the_official_one(other):
    record = Record({"a": 1, "b": 2})
    expected = neo4j.Record({"a": 1, "b": 2}) == other
    assert (record == other) is expected and (other == record) is expected
    assert (record != other) is not expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"a": 1, "b": 2}, True),
        ({"b": 2, "a": 1}, False),
        ({"c": 1, "d": 2}, False),
        ({"a": 1, "b": 3}, False),
    ],
)
def test_equality_of_two_records(other, expected):
    record = Record({"a": 1, "b": 2})
    assert (record == Record(other)) is expected
    assert (record != Record(other)) is not expected
    assert (record == neo4j.Record(other)) is expected
    if expected:
        assert hash(record) == hash(Record(other))


def test_hash_goes_with_equality():
    record = Record({"a": 1, "b": 2})
    assert (
        record == (1, 2) and hash(record) == hash((1, 2)) and {record: "x"}[Record({"a": 1, "b": 2})] == "x"
    )


def test_it_is_a_sequence_and_a_mapping():
    record = Record(ITEMS)
    assert isinstance(record, tuple) and isinstance(record, Sequence) and isinstance(record, Mapping)
    assert issubclass(Record, Mapping) and type(Record) is type


def patterns(record):
    found = []
    match record:
        case {"a": _}:
            found.append("mapping")
    match record:
        case [_, _]:
            found.append("sequence")
    return found


def test_patterns_as_of_the_official_one():
    assert patterns(Record({"a": 1, "b": 2})) == patterns(neo4j.Record({"a": 1, "b": 2})) == ["sequence"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [Record, Named])
def test_pickle(kind, protocol):
    record = kind(ITEMS)
    data = pickle.dumps(record, protocol)
    again = pickle.loads(data)
    assert again == record and again.items() == ITEMS and isinstance(again, kind)
    assert type(again) is type(record)


def test_copies():
    record = Record(ITEMS)
    assert copy.copy(record) == record and copy.copy(record)["d"] is record["d"]
    deep = copy.deepcopy(record)
    assert deep == record and deep["d"] is not record["d"]


def test_a_subclass_of_it():
    record = Named({"a": 4, "b": 5})
    assert isinstance(record, Named) and record.double == 8 and repr(record) == "<Named a=4 b=5>"
    assert isinstance(record[:1], Named) and record[:1].double == 8
    record.extra = 7
    assert pickle.loads(pickle.dumps(record)).extra == 7
    assert isinstance(type(record)({"x": 1}), Named) and type(record)({"x": 1}).keys() == ["x"]


def test_keys_that_are_no_plain_strings():
    # Equal to one another and to other keys, and yet not the same.
    Record([("a", 1)])
    Record([(1, 1)])
    assert repr(Record([(True, 2)])) == "<Record True=2>" and Record([(True, 2)]).keys()[0] is True
    assert Record([(Name.FIRST, 2)]).keys()[0] is Name.FIRST and Record([(Name.FIRST, 2)])["a"] == 2


# ------------------------------------------------------------------------------------ the class with the keys


def test_the_class_of_a_list_of_keys_is_made_once():
    kind = record_type(("a", "b"))
    assert record_type(("a", "b")) is kind is type(Record({"a": 1, "b": 2}))
    assert kind.__name__ == "Record" and issubclass(kind, Record) and record_type(("b", "a")) is not kind
    record = tuple.__new__(kind, (1, 2))
    assert record["b"] == 2 and not hasattr(record, "__dict__")


def test_no_more_classes_are_kept_than_the_limit():
    kept = [record_type((f"column {number}",)) for number in range(2000)]
    assert record_type(("column 0",)) is not kept[0]
    assert tuple.__new__(kept[0], (5,)) == tuple.__new__(record_type(("column 0",)), (5,))


def test_many_records():
    rows = [(number, str(number)) for number in range(100)]
    records = make_records(("n", "s"), rows)
    assert [record["s"] for record in records] == [row[1] for row in rows] and len(
        set(map(type, records))
    ) == 1
    assert make_records(("n",), []) == [] and make_records((), [(), ()]) == [(), ()]
    assert make_record(("n",), (5,)).data() == {"n": 5}


@pytest.mark.parametrize("row", [(1,), (1, 2, 3), ()])
def test_a_row_of_another_length(row):
    with pytest.raises(ValueError, match=f"2 columns .*'a', 'b'.* {len(row)} values"):
        make_records(("a", "b"), [(1, 2), row])


# -------------------------------------------------------------------------- values that Python cannot express


@pytest.fixture
def broken():
    return make_records(("a", "b", "c"), [(1, BROKEN, 3)])[0]


READS = {
    "name": lambda r: r["b"],
    "place": lambda r: r[1],
    "get": lambda r: r.get("b"),
    "value": lambda r: r.value("b"),
    "values": lambda r: r.values(),
    "values some": lambda r: r.values("a", "b"),
    "items": lambda r: r.items(),
    "items some": lambda r: r.items(1),
    "data": lambda r: r.data(),
    "iteration": list,
    "tuple": tuple,
    "set": set,
    "dict": dict,
    "star": lambda r: [*r],
    "unpacking": lambda r: [x for x, _, _ in [r]],
    "arguments": lambda r: max(*r),
    "equality": lambda r: r == [1, 2, 3],
}


@pytest.mark.parametrize("read", READS.values(), ids=list(READS))
def test_a_broken_value_raises_when_it_is_read(broken, read):
    with pytest.raises(BrokenRecordError, match=r"'b' \(number 1\).*Nowhere/Land"):
        read(broken)


def test_other_values_are_not_affected(broken):
    assert broken["a"] == 1 and broken[2] == 3 and broken.get("c") == 3 and broken.value() == 1
    assert broken.values("a", "c") == [1, 3] and broken.data("a") == {"a": 1} and broken.get("x", 5) == 5
    assert broken.keys() == ["a", "b", "c"] and len(broken) == 3 and broken[5] is None
    assert broken[::2].items() == [("a", 1), ("c", 3)] and type(broken[::2]) is type(Record({"a": 1, "c": 3}))
    iterator = iter(broken)
    assert next(iterator) == 1


def test_what_the_server_sent_stays_reachable(broken):
    assert tuple.__getitem__(broken, 1) == BROKEN
    assert repr(broken) == f"<Record a=1 b={BROKEN!r} c=3>"
    assert (
        broken == make_record(("a", "b", "c"), (1, BROKEN, 3)) != make_record(("a", "b", "c"), (1, BROKEN, 4))
    )


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r)), lambda r: r[:]]
)
def test_a_copy_is_as_broken(broken, again):
    twin = again(broken)
    assert twin["a"] == 1 and tuple.__getitem__(twin, 1) == BROKEN and isinstance(twin, Record)
    with pytest.raises(BrokenRecordError):
        twin["b"]


def test_a_record_made_by_hand_may_be_broken():
    with pytest.raises(BrokenRecordError, match="'x'"):
        Record({"x": BROKEN})["x"]
    with pytest.raises(BrokenRecordError, match="'x'"):
        Named({"x": BROKEN})["x"]
    assert isinstance(Named({"x": BROKEN}), Named)


def test_inside_of_a_list_it_is_left():
    assert make_record(("x",), ([BROKEN],))["x"] == [BROKEN]


def test_broken_and_whole_records_in_one_result(codec):
    rows = [(1, "x"), (2, BROKEN), (3, [1]), (BROKEN, None), (5, "y")]
    data = codec.chunking.MessageWriter((5, 8)).records(rows)
    (read,) = codec.chunking.MessageReader((5, 8), extended_types=True).feed(data)
    records = make_records(("n", "v"), read)
    for record, row in zip(records, rows, strict=True):
        assert tuple(tuple.__iter__(record)) == row
        for key, value in zip(("n", "v"), row, strict=True):
            if value == BROKEN:
                with pytest.raises(BrokenRecordError, match=repr(key)):
                    record[key]
            else:
                assert record[key] == value
    assert len(set(map(type, records))) == 2


# -------------------------------------------------------------------------------------------- data of a graph


def test_data_knows_the_nodes_of_the_record():
    ann, bob = Node(1, ["P"], {"name": "Ann"}, "n:1"), Node(2, ["P"], {"name": "Bob"}, "n:2")
    knows = Relationship(5, 1, 2, "KNOWS", {"since": 1}, "r:5", "n:1", "n:2")
    ann_data, bob_data = {"name": "Ann"}, {"name": "Bob"}
    assert Record({"a": ann, "r": knows, "b": bob}).data()["r"] == (ann_data, "KNOWS", bob_data)
    assert Record({"a": [ann, {"b": bob}], "r": [knows]}).data()["r"] == [(ann_data, "KNOWS", bob_data)]
    assert Record({"a": ann, "r": knows}).data("r") == {"r": (ann_data, "KNOWS", {})}
    assert Record({"r": knows}).data() == {"r": ({}, "KNOWS", {})}
    path = Path.of([ann, bob], [knows])
    assert Record({"p": path, "r": knows}).data() == {
        "p": [ann_data, "KNOWS", bob_data],
        "r": (ann_data, "KNOWS", bob_data),
    }
    assert knows.start_node._properties == {}  # nothing was changed
