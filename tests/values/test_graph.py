from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping

import pytest

from asyncbolt.graph import Entity, Node, Path, Relationship, UnboundRelationship

A = Node(1, ["Person"], {"name": "A"}, "n:1")
B = Node(2, ["Person", "Admin"], {"name": "B", "age": 5}, "n:2")
C = Node(3, (), None, "n:3")
X = Relationship.between(A, B, "KNOWS", {"since": 2020}, id=10, element_id="r:10")
Y = Relationship(11, 3, 2, "LIKES", {}, "r:11", "n:3", "n:2")

ENTITIES = [A, B, C, X, Y, UnboundRelationship(10, "KNOWS", {"since": 2020}, "r:10")]


@pytest.mark.parametrize("entity", ENTITIES, ids=repr)
def test_an_entity_is_a_mapping_of_its_properties(entity):
    properties = {"n:1": {"name": "A"}, "n:2": {"name": "B", "age": 5}, "r:10": {"since": 2020}}.get(
        entity.element_id, {}
    )
    assert isinstance(entity, Mapping) and isinstance(entity, Entity)
    assert dict(entity) == dict(entity.items()) == {**entity} == properties
    assert list(entity) == list(entity.keys()) == list(properties)
    assert list(entity.values()) == list(properties.values())
    assert len(entity) == len(properties)
    for key, value in properties.items():
        assert entity[key] == entity.get(key) == value and key in entity
    assert "nothing" not in entity and entity.get("nothing") is None and entity.get("nothing", 5) == 5
    with pytest.raises(KeyError, match="nothing"):
        entity["nothing"]


def test_node():
    assert (B.id, B.element_id, B.labels) == (2, "n:2", frozenset({"Person", "Admin"}))
    assert B._labels == ("Person", "Admin")
    assert Node(7).element_id == "7" and Node(7).labels == frozenset() and dict(Node(7)) == {}
    assert Node(None, element_id="x").id is None
    assert repr(A) == "<Node 'n:1' labels=['Person'] properties={'name': 'A'}>"
    with pytest.raises(ValueError, match="element_id"):
        Node(None, ["A"])
    with pytest.raises(TypeError, match=r"\['Person'\]"):
        Node(1, "Person")
    properties = {"a": 1}
    node = Node(1, [], properties)
    properties["a"] = 2
    assert node["a"] == 1


def test_relationship():
    assert (Y.id, Y.element_id, Y.type) == (11, "r:11", "LIKES")
    assert (Y.start_id, Y.end_id, Y.start_element_id, Y.end_element_id) == (3, 2, "n:3", "n:2")
    assert (Y.start_node, Y.end_node) == (C, B) == Y.nodes
    assert Y.end_node.labels == frozenset() and dict(Y.end_node) == {} and Y.end_node.id == 2
    assert Y.nodes is Y.nodes and Y.start_node is Y.start_node
    assert (X.start_node, X.end_node) == (A, B) and X.start_node is A and X.end_node is B
    old = Relationship(1, 2, 3, "T")
    assert (old.element_id, old.start_element_id, old.end_element_id) == ("1", "2", "3")
    assert repr(Y) == "<Relationship 'r:11' 'n:3' -[LIKES]-> 'n:2' properties={}>"
    for numbers in ((None, 1, 2), (1, None, 2), (1, 2, None)):
        with pytest.raises(ValueError, match="element_id"):
            Relationship(*numbers, "T")
    with pytest.raises(ValueError, match="element_id"):
        Relationship.between(A, B, "T")


def test_unbound_relationship():
    one = UnboundRelationship(1, "T", {"a": 1})
    assert (one.id, one.type, one.element_id, dict(one)) == (1, "T", "1", {"a": 1})
    assert repr(one) == "<UnboundRelationship '1' [T] properties={'a': 1}>"


def test_equality_goes_by_kind_and_element_id():
    assert Node(5, ["Other"], {"x": 1}, "n:1") == A and hash(Node(5, element_id="n:1")) == hash(A)
    assert Node(1, ["Person"], {"name": "A"}, "n:9") != A
    assert Node(1) != UnboundRelationship(1, "T") and Relationship(1, 2, 3, "T") != UnboundRelationship(
        1, "T"
    )
    assert Node(1) != {} and not Node(1) == 1
    assert Relationship(1, 2, 3, "T", None, "r:10") == X
    assert len({A, Node(8, element_id="n:1"), B}) == 2


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    for entity in ENTITIES:
        again = pickle.loads(pickle.dumps(entity, protocol))
        assert again == entity and repr(again) == repr(entity) and again.id == entity.id
    assert pickle.loads(pickle.dumps(X, protocol)).start_node["name"] == "A"
    path = Path.of([A, B, C], [X, Y])
    for _ in range(2):
        again = pickle.loads(pickle.dumps(path, protocol))
        assert again == path and repr(again) == repr(path)
        assert path.nodes


def test_copy():
    node = Node(1, ["A"], {"list": [1]})
    assert copy.copy(node)._properties is node._properties
    assert copy.deepcopy(node) == node and copy.deepcopy(node)["list"] is not node["list"]
    path = Path.of([A, B, C], [X, Y])
    assert copy.copy(path) == path == copy.deepcopy(path)


def test_slots_are_all_they_need():
    node = Node.__new__(Node)
    node._id, node._labels, node._properties, node._element_id = None, ("A",), {"x": 1}, "e"
    assert node.labels == {"A"} and node["x"] == 1 and node == Node(1, element_id="e") and "e" in repr(node)
    one = Relationship.__new__(Relationship)
    one._id, one._start_id, one._end_id, one._type, one._properties = None, None, None, "T", {}
    one._element_id, one._start_element_id, one._end_element_id, one._nodes = "r", "a", "b", None
    assert one.start_node == Node(0, element_id="a") and one.start_node.id is None and "T" in repr(one)
    for value in (node, one, Path.of([A]), UnboundRelationship(1, "T")):
        assert not hasattr(value, "__dict__")


# Paths


def test_path_of_the_wire():
    # A-x->B<-y-C, and back over x from B to A.
    x, y = (
        UnboundRelationship(10, "KNOWS", {"since": 2020}, "r:10"),
        UnboundRelationship(11, "LIKES", {}, "r:11"),
    )
    path = Path([A, B, C], [x, y], [1, 1, -2, 2, 2, 1, -1, 0])
    assert path.nodes == (A, B, C, B, A) and path.nodes[1] is B
    assert [r.element_id for r in path.relationships] == ["r:10", "r:11", "r:11", "r:10"]
    assert [r.nodes for r in path] == [(A, B), (C, B), (C, B), (A, B)]
    assert path.relationships[0].start_node is A and path.relationships[3].end_node is B
    first = path.relationships[0]
    assert (first.id, first.start_id, first.end_id, first.start_element_id) == (10, 1, 2, "n:1")
    assert first.type == "KNOWS" and first["since"] == 2020
    assert (path.start_node, path.end_node, len(path)) == (A, A, 4)
    assert path.nodes is path.nodes and path.relationships is path.relationships
    assert repr(path) == ("<Path 'n:1' -[KNOWS]-> 'n:2' <-[LIKES]- 'n:3' -[LIKES]-> 'n:2' <-[KNOWS]- 'n:1'>")


def test_path_of_one_node():
    path = Path([A])
    assert path.nodes == (A,) and path.relationships == () and len(path) == 0
    assert path.start_node is path.end_node is A
    assert list(path) == [] and repr(path) == "<Path 'n:1'>"
    assert path == Path.of([A]) and path != Path.of([B])


def test_path_with_a_loop():
    loop = Relationship.between(A, A, "SELF", id=5)
    path = Path.of([A, A], [loop])
    assert (path._unique_nodes, path._indices) == ((A,), (1, 0))
    assert path.relationships == (loop,) and path.nodes == (A, A)


def test_path_of_a_walk():
    path = Path.of([A, B, C, B, A], [X, Y, Y, X])
    assert path._unique_nodes == (A, B, C)
    assert [type(one) for one in path._unique_relationships] == [UnboundRelationship] * 2
    assert path._indices == (1, 1, -2, 2, 2, 1, -1, 0)
    assert path.relationships == (X, Y, Y, X)
    assert all(type(number) is int for number in path._indices)
    unbound = Path.of([A, B, A], [UnboundRelationship(1, "T"), UnboundRelationship(2, "T")])
    assert [r.nodes for r in unbound] == [(A, B), (B, A)]


def test_path_of_what_is_no_walk():
    with pytest.raises(ValueError, match="r:11"):
        Path.of([A, B], [Y])
    for nodes, relationships in ([], []), ([A], [X]), ([A, B, C], [X]):
        with pytest.raises(ValueError):
            Path.of(nodes, relationships)


@pytest.mark.parametrize("indices", [[1], [0, 1], [2, 1], [-2, 1], [1, 2], [1, -1]])
def test_path_with_bad_indices(indices):
    with pytest.raises(ValueError, match=r"index|indices"):
        Path([A, B], [UnboundRelationship(1, "T")], indices)


def test_path_equality():
    path = Path.of([A, B, C], [X, Y])
    assert path == Path.of([A, B, C], [X, Y]) and hash(path) == hash(Path.of([A, B, C], [X, Y]))
    # The same walk, listed in another order on the wire.
    other = Path([A, C, B], [Y_UNBOUND, X_UNBOUND], [2, 2, -1, 1])
    assert other == path and hash(other) == hash(path)
    assert path != Path.of([A, B], [X]) and path != Path.of([C, B, A], [Y, X]) and path != [A, B, C]


X_UNBOUND = UnboundRelationship(10, "KNOWS", {}, "r:10")
Y_UNBOUND = UnboundRelationship(11, "LIKES", {}, "r:11")
