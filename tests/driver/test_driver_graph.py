"""Graph: the nodes and relationships of a result, each once and joined."""

from __future__ import annotations

import copy
import pickle

import pytest

from asyncbolt._structure import Structure
from asyncbolt.driver.record import make_records
from asyncbolt.graph import EntitySetView, Graph, Node, Path, Relationship


def node(number, **properties):
    return Node(number, ["P"], properties, f"n:{number}")


def relationship(number, start, end, kind="KNOWS"):
    return Relationship(number, start, end, kind, {"r": number}, f"r:{number}", f"n:{start}", f"n:{end}")


def test_relationships_know_the_nodes_of_other_rows():
    ann, bob, knows = node(1, name="Ann"), node(2, name="Bob"), relationship(5, 1, 2)
    graph = Graph.of_rows([(knows, 1), (bob, None), ("x", ann)])
    assert knows.start_node is ann and knows.end_node is bob
    assert knows.start_node["name"] == "Ann" and graph.relationships["r:5"] is knows
    assert graph.nodes["n:1"] is ann and set(graph.nodes) == {ann, bob} and len(graph.relationships) == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_the_order_does_not_matter(order):
    ann, bob, knows = node(1, name="Ann"), node(2, name="Bob"), relationship(5, 1, 2)
    graph = Graph()
    for place in order:
        graph.add([ann, bob, knows][place])
    assert knows.nodes == (ann, bob) and knows.nodes[0] is ann and knows.nodes[1] is bob
    assert len(graph.nodes) == 2


def test_nodes_that_did_not_come_are_bare():
    knows, likes = relationship(5, 1, 2), relationship(6, 2, 1, "LIKES")
    graph = Graph.of_rows([(knows,), (likes,)])
    assert len(graph.nodes) == 2 and graph.nodes["n:1"].labels == frozenset()
    assert knows.start_node is likes.end_node is graph.nodes["n:1"]
    ann = node(1, name="Ann")
    graph.add(ann)
    assert knows.start_node is likes.end_node is graph.nodes["n:1"] is ann
    assert knows.end_node is likes.start_node is graph.nodes["n:2"]


def test_a_node_without_labels_and_properties_counts_too():
    knows, empty = relationship(5, 1, 2), Node(1, [], {}, "n:1")
    graph = Graph.of_rows([(knows,), (empty,)])
    assert graph.nodes["n:1"] is empty is knows.start_node


def test_the_first_of_equal_ones_is_kept_and_all_are_joined():
    first, second = node(1, name="Ann"), node(1, name="Ann")
    one, other = relationship(5, 1, 1), relationship(5, 1, 1)
    graph = Graph.of_rows([(first, one), (second, other)])
    assert graph.nodes["n:1"] is first and graph.relationships["r:5"] is one
    assert one.nodes[0] is one.nodes[1] is other.nodes[0] is first


def test_lists_maps_and_paths_are_walked():
    ann, bob, eve = node(1, name="Ann"), node(2, name="Bob"), node(3, name="Eve")
    path = Path.of([ann, bob, ann], [relationship(5, 1, 2), relationship(6, 2, 1)])
    likes = relationship(7, 3, 2, "LIKES")
    graph = Graph.of_rows([(likes, {"deep": [[{"e": [eve]}]]}), (path, Structure(5, 1))])
    assert sorted(graph.nodes.keys()) == ["n:1", "n:2", "n:3"]
    assert sorted(graph.relationships.keys()) == ["r:5", "r:6", "r:7"]
    assert likes.start_node is eve and likes.end_node is bob
    assert path.relationships[0].start_node is ann and list(path) == list(path.relationships)


def test_real_nodes_of_a_relationship_replace_bare_ones():
    first = relationship(5, 1, 2)
    ann, bob = node(1, name="Ann"), node(2, name="Bob")
    second = Relationship.between(ann, bob, "LIKES", element_id="r:6")
    graph = Graph.of_rows([(first,), (second,)])
    assert first.start_node is ann and first.end_node is bob and graph.nodes["n:1"] is ann


def test_order_is_that_of_the_rows():
    nodes = [node(number) for number in (3, 1, 2)]
    for rows in ([(nodes[:2],), (nodes[2],)], [tuple(nodes)], [({"a": nodes[0], "b": nodes[1:]},)]):
        assert [one.id for one in Graph.of_rows(rows).nodes] == [3, 1, 2]


def test_real_nodes_of_a_relationship_count_as_the_first():
    ann, bob = node(1, name="Ann"), node(2, name="Bob")
    likes = Relationship.between(ann, bob, "LIKES", element_id="r:6")
    graph = Graph.of_rows([(likes, node(1, name="Ann"))])
    assert graph.nodes["n:1"] is likes.start_node is ann


def test_made_of_records_also_of_broken_ones():
    ann, knows = node(1, name="Ann"), relationship(5, 1, 2)
    records = make_records(("a", "b", "c"), [(ann, Structure(0x69, 0, 0, "Nowhere"), knows)])
    graph = Graph.of_rows(records)
    assert records[0]["c"].start_node is ann and graph.nodes["n:1"] is ann


def test_views():
    ann, bob, knows = node(1), node(2), relationship(1, 1, 2)
    graph = Graph.of_rows([(ann, bob, knows)])
    nodes = graph.nodes
    assert isinstance(nodes, EntitySetView) and len(nodes) == 2 and list(nodes) == [ann, bob]
    assert "n:1" in nodes and ann in nodes and node(9) not in nodes and "n:9" not in nodes
    assert knows not in nodes and knows in graph.relationships
    assert Relationship(1, 1, 2, "T", element_id="n:1") not in nodes
    assert nodes.get("n:2") is bob and nodes.get("n:9") is None
    assert dict(nodes.items()) == {"n:1": ann, "n:2": bob} and list(nodes.values()) == [ann, bob]
    assert nodes == graph.nodes and nodes != graph.relationships and "Node" in repr(nodes)
    with pytest.raises(KeyError):
        nodes["n:9"]
    with pytest.raises(AttributeError):
        graph.nodes = {}
    graph.add(node(3))
    assert len(nodes) == 3
    assert repr(graph) == "<Graph of 3 nodes and 1 relationships>"


def test_empty():
    graph = Graph()
    assert (
        len(graph.nodes) == len(graph.relationships) == 0
        and list(Graph.of_rows([(1, "x", None)]).nodes) == []
    )


@pytest.mark.parametrize("again", [copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))])
def test_copies_stay_joined(again):
    graph = again(Graph.of_rows([(node(1, name="Ann"), relationship(5, 1, 2))]))
    assert graph.relationships["r:5"].start_node is graph.nodes["n:1"]
    late = node(2, name="Bob")
    graph.add(late)
    assert graph.relationships["r:5"].end_node is late
