"""Node, Relationship and Path, as they come out of a graph and as a server puts them in.

The codec fills their slots directly, so nothing here relies on a constructor having run.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any, Final, TypeVar, final

from ._hints import MissingKey

__all__ = ["Entity", "EntitySetView", "Graph", "Node", "Path", "Relationship", "UnboundRelationship"]


class Entity(Mapping[str, Any]):
    """A node or a relationship: a mapping of its properties, and an identity.

    Two of the same kind are equal when their ``element_id`` is.
    """

    __slots__ = ()

    _id: int | None
    _element_id: str
    _properties: dict[str, Any]

    @property
    def id(self) -> int | None:
        """The number that servers up to Neo4j 4 know it by; ``element_id`` lasts longer."""
        return self._id

    @property
    def element_id(self) -> str:
        """The identity (Bolt 5.0+); before that, ``id`` as a string."""
        return self._element_id

    def __getitem__(self, key: str) -> Any:
        try:
            return self._properties[key]
        except KeyError:
            raise self._missing(key) from None

    def _missing(self, key: str) -> KeyError:
        return MissingKey(key, f"this {type(self).__name__}", self._properties)

    def get(self, key: str, default: Any = None) -> Any:
        """Return one property, or *default* when there is none."""
        return self._properties.get(key, default)

    def keys(self) -> KeysView[str]:
        """The names of the properties."""
        return self._properties.keys()

    def values(self) -> ValuesView[Any]:
        """The values of the properties."""
        return self._properties.values()

    def items(self) -> ItemsView[str, Any]:
        """The properties as (name, value) pairs."""
        return self._properties.items()

    def __contains__(self, key: object) -> bool:
        return key in self._properties

    def __iter__(self) -> Iterator[str]:
        return iter(self._properties)

    def __len__(self) -> int:
        return len(self._properties)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._element_id == other._element_id

    def __hash__(self) -> int:
        return hash(self._element_id)


_BARE: Final = (
    "it has neither properties nor labels. If it is start_node or end_node of a relationship, only its"
    " identity came over the wire: have the query return the node itself, or a path"
)


def _element_id(id: int | None, element_id: str | None) -> str:
    if element_id is not None:
        return element_id
    if id is None:
        raise ValueError("an id or an element_id is needed")
    return str(id)


@final
class Node(Entity):
    """A node.

    Args:
        id: Its number, or None.
        labels: Its labels.
        properties: Its properties.
        element_id: Its identity; ``str(id)`` by default.

    Raises:
        ValueError: Neither *id* nor *element_id* is given.
    """

    __slots__ = ("_element_id", "_id", "_labels", "_properties")

    _labels: tuple[str, ...]

    def __init__(
        self,
        id: int | None,
        labels: Iterable[str] = (),
        properties: Mapping[str, Any] | None = None,
        element_id: str | None = None,
    ) -> None:
        if isinstance(labels, str):
            raise TypeError(f"labels is an iterable of strings, such as [{labels!r}]")
        self._id = id
        self._labels = tuple(labels)
        self._properties = {} if properties is None else dict(properties)
        self._element_id = _element_id(id, element_id)

    @property
    def labels(self) -> frozenset[str]:
        """Its labels."""
        return frozenset(self._labels)

    def _missing(self, key: str) -> KeyError:
        if self._properties or self._labels:
            return super()._missing(key)
        return MissingKey(key, "this Node", (), _BARE)

    def __repr__(self) -> str:
        return f"<Node {self._element_id!r} labels={list(self._labels)!r} properties={self._properties!r}>"


@final
class Relationship(Entity):
    """A relationship between two nodes, with a direction.

    What comes over the wire knows no more of its nodes than their identity: ``start_node`` and ``end_node``
    are then bare, without labels and properties. In a :class:`Path` they are the real ones.

    Args:
        id: Its number, or None.
        start_id: The number of the node that it starts from, or None.
        end_id: The number of the node that it leads to, or None.
        type: Its type.
        properties: Its properties.
        element_id: Its identity; ``str(id)`` by default.
        start_element_id: The identity of the node that it starts from; ``str(start_id)`` by default.
        end_element_id: The identity of the node that it leads to; ``str(end_id)`` by default.

    Raises:
        ValueError: Of one of the three, neither number nor identity is given.
    """

    __slots__ = (
        "_element_id",
        "_end_element_id",
        "_end_id",
        "_id",
        "_nodes",
        "_properties",
        "_start_element_id",
        "_start_id",
        "_type",
    )

    _start_id: int | None
    _end_id: int | None
    _type: str
    _start_element_id: str
    _end_element_id: str
    _nodes: tuple[Node, Node] | None

    def __init__(
        self,
        id: int | None,
        start_id: int | None,
        end_id: int | None,
        type: str,
        properties: Mapping[str, Any] | None = None,
        element_id: str | None = None,
        start_element_id: str | None = None,
        end_element_id: str | None = None,
    ) -> None:
        self._id = id
        self._start_id = start_id
        self._end_id = end_id
        self._type = type
        self._properties = {} if properties is None else dict(properties)
        self._element_id = _element_id(id, element_id)
        self._start_element_id = _element_id(start_id, start_element_id)
        self._end_element_id = _element_id(end_id, end_element_id)
        self._nodes = None

    @classmethod
    def between(
        cls,
        start: Node,
        end: Node,
        type: str,
        properties: Mapping[str, Any] | None = None,
        *,
        id: int | None = None,
        element_id: str | None = None,
    ) -> Relationship:
        """Make a relationship from one node to another, which both stay attached to it.

        Raises:
            ValueError: Neither *id* nor *element_id* is given.
        """
        made = cls(id, start._id, end._id, type, properties, element_id, start._element_id, end._element_id)
        made._nodes = (start, end)
        return made

    @property
    def type(self) -> str:
        """Its type."""
        return self._type

    @property
    def start_id(self) -> int | None:
        """The number of the node that it starts from."""
        return self._start_id

    @property
    def end_id(self) -> int | None:
        """The number of the node that it leads to."""
        return self._end_id

    @property
    def start_element_id(self) -> str:
        """The identity of the node that it starts from."""
        return self._start_element_id

    @property
    def end_element_id(self) -> str:
        """The identity of the node that it leads to."""
        return self._end_element_id

    @property
    def nodes(self) -> tuple[Node, Node]:
        """The node that it starts from and the one that it leads to."""
        if self._nodes is None:
            self._nodes = (
                Node(self._start_id, (), None, self._start_element_id),
                Node(self._end_id, (), None, self._end_element_id),
            )
        return self._nodes

    @property
    def start_node(self) -> Node:
        """The node that it starts from."""
        return self.nodes[0]

    @property
    def end_node(self) -> Node:
        """The node that it leads to."""
        return self.nodes[1]

    def __repr__(self) -> str:
        return (
            f"<Relationship {self._element_id!r} {self._start_element_id!r} -[{self._type}]-> "
            f"{self._end_element_id!r} properties={self._properties!r}>"
        )


@final
class UnboundRelationship(Entity):
    """A relationship as a path lists it: without its nodes.

    Args:
        id: Its number, or None.
        type: Its type.
        properties: Its properties.
        element_id: Its identity; ``str(id)`` by default.

    Raises:
        ValueError: Neither *id* nor *element_id* is given.
    """

    __slots__ = ("_element_id", "_id", "_properties", "_type")

    _type: str

    def __init__(
        self,
        id: int | None,
        type: str,
        properties: Mapping[str, Any] | None = None,
        element_id: str | None = None,
    ) -> None:
        self._id = id
        self._type = type
        self._properties = {} if properties is None else dict(properties)
        self._element_id = _element_id(id, element_id)

    @property
    def type(self) -> str:
        """Its type."""
        return self._type

    def __repr__(self) -> str:
        return f"<UnboundRelationship {self._element_id!r} [{self._type}] properties={self._properties!r}>"


@final
class Path:
    """A walk through a graph: nodes, and the relationships between them.

    The constructor takes the form of the wire (Bolt 1+), in which each node and relationship is listed once;
    :meth:`of` takes the walk itself.

    Args:
        nodes: The nodes, each once; the walk starts at the first.
        relationships: The relationships, each once.
        indices: For each step two numbers: the relationship, counted from 1, negative when walked against
            its direction; and the node that it leads to, counted from 0.

    Raises:
        ValueError: There is no node, or a number in *indices* names nothing.
    """

    __slots__ = ("_indices", "_nodes", "_relationships", "_unique_nodes", "_unique_relationships")

    _unique_nodes: tuple[Node, ...]
    _unique_relationships: tuple[UnboundRelationship, ...]
    _indices: tuple[int, ...]
    _nodes: tuple[Node, ...] | None
    _relationships: tuple[Relationship, ...] | None

    def __init__(
        self,
        nodes: Iterable[Node],
        relationships: Iterable[UnboundRelationship] = (),
        indices: Iterable[int] = (),
    ) -> None:
        self._unique_nodes = tuple(nodes)
        self._unique_relationships = tuple(relationships)
        self._indices = tuple(indices)
        self._nodes = None
        self._relationships = None
        if not self._unique_nodes:
            raise ValueError("a path has at least one node")
        if len(self._indices) % 2:
            raise ValueError("the indices of a path come in pairs")
        for number in self._indices[::2]:
            if not 1 <= abs(number) <= len(self._unique_relationships):
                raise ValueError(f"index {number} of a path names no relationship")
        for number in self._indices[1::2]:
            if not 0 <= number < len(self._unique_nodes):
                raise ValueError(f"index {number} of a path names no node")

    @classmethod
    def of(
        cls, nodes: Sequence[Node], relationships: Sequence[Relationship | UnboundRelationship] = ()
    ) -> Path:
        """Make a path of the *nodes* and *relationships* of a walk, in walking order.

        An UnboundRelationship is walked along its direction.

        Raises:
            ValueError: The number of nodes is not that of the relationships plus one, or a relationship does
                not join the two nodes beside it.
        """
        if len(nodes) != len(relationships) + 1:
            raise ValueError(f"{len(nodes)} nodes cannot be joined by {len(relationships)} relationships")
        node_places: dict[Node, int] = {}
        places: dict[str, int] = {}
        unbound: list[UnboundRelationship] = []
        indices: list[int] = []
        for node in nodes:
            node_places.setdefault(node, len(node_places))
        for step, one in enumerate(relationships):
            before, after = nodes[step], nodes[step + 1]
            sign = 1
            if isinstance(one, Relationship):
                ends = (one._start_element_id, one._end_element_id)
                if ends == (before._element_id, after._element_id):
                    sign = 1
                elif ends == (after._element_id, before._element_id):
                    sign = -1
                else:
                    raise ValueError(f"relationship {one._element_id!r} does not join the nodes beside it")
            place = places.get(one._element_id)
            if place is None:
                places[one._element_id] = place = len(unbound) + 1
                if isinstance(one, Relationship):
                    one = UnboundRelationship(one._id, one._type, one._properties, one._element_id)
                unbound.append(one)
            indices += (sign * place, node_places[after])
        return cls(node_places, unbound, indices)

    def _walk(self) -> None:
        node = self._unique_nodes[0]
        nodes = [node]
        relationships = []
        numbers = iter(self._indices)
        for number in numbers:
            after = self._unique_nodes[next(numbers)]
            one = self._unique_relationships[abs(number) - 1]
            start, end = (node, after) if number > 0 else (after, node)
            bound = Relationship.__new__(Relationship)
            bound._id = one._id
            bound._type = one._type
            bound._properties = one._properties
            bound._element_id = one._element_id
            bound._start_id = start._id
            bound._end_id = end._id
            bound._start_element_id = start._element_id
            bound._end_element_id = end._element_id
            bound._nodes = (start, end)
            relationships.append(bound)
            nodes.append(after)
            node = after
        self._relationships = tuple(relationships)
        self._nodes = tuple(nodes)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes in walking order; one that is passed twice is there twice."""
        if self._nodes is None:
            self._walk()
        assert self._nodes is not None
        return self._nodes

    @property
    def relationships(self) -> tuple[Relationship, ...]:
        """The relationships in walking order, each with its own direction."""
        if self._relationships is None:
            self._walk()
        assert self._relationships is not None
        return self._relationships

    @property
    def start_node(self) -> Node:
        """The first node of the walk."""
        return self._unique_nodes[0]

    @property
    def end_node(self) -> Node:
        """The last node of the walk."""
        return self._unique_nodes[self._indices[-1]] if self._indices else self._unique_nodes[0]

    def __len__(self) -> int:
        return len(self._indices) // 2

    def __iter__(self) -> Iterator[Relationship]:
        return iter(self.relationships)

    def __eq__(self, other: object) -> bool:
        if type(other) is not Path:
            return NotImplemented
        return self.nodes == other.nodes and self.relationships == other.relationships

    def __hash__(self) -> int:
        return hash((self.nodes, self.relationships))

    def __repr__(self) -> str:
        text = repr(self.start_node._element_id)
        for one, node in zip(self.relationships, self.nodes[1:], strict=True):
            left, right = ("-", "->") if one._end_element_id == node._element_id else ("<-", "-")
            text += f" {left}[{one._type}]{right} {node._element_id!r}"
        return f"<Path {text}>"


_E = TypeVar("_E", bound=Entity)


class EntitySetView(Mapping[str, _E]):
    """The nodes or the relationships of a :class:`Graph`, as they are at the moment.

    Iteration gives the entities; ``view[element_id]`` gives one, ``element_id in view`` and
    ``entity in view`` both work, and ``keys()``, ``values()`` and ``items()`` are those of a dict by
    ``element_id``.
    """

    __slots__ = ("_entities",)

    def __init__(self, entities: dict[str, _E]) -> None:
        self._entities = entities

    def __getitem__(self, element_id: str) -> _E:
        return self._entities[element_id]

    def __len__(self) -> int:
        return len(self._entities)

    def __iter__(self) -> Iterator[_E]:  # type: ignore[override]
        return iter(self._entities.values())

    def __contains__(self, entity: object) -> bool:
        if isinstance(entity, Entity):
            return self._entities.get(entity._element_id) == entity
        return entity in self._entities

    def keys(self) -> KeysView[str]:
        """The identities."""
        return self._entities.keys()

    def values(self) -> ValuesView[_E]:
        """The entities."""
        return self._entities.values()

    def items(self) -> ItemsView[str, _E]:
        """The identities and entities as pairs."""
        return self._entities.items()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {list(self._entities.values())!r}>"


class Graph:
    """The nodes and relationships of a result, each once: ``await result.graph()`` gives one.

    Its relationships know their nodes with labels and properties, as far as these came in the same result; a
    node of which no more than the identity came is bare. What was added is changed so, too: a relationship in
    a record has the nodes of the graph from then on.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._relationships: dict[str, Relationship] = {}
        # Relationships by the identity of a node that is bare so far.
        self._awaited: dict[str, list[Relationship]] = {}

    @classmethod
    def of_rows(cls, rows: Iterable[Iterable[Any]]) -> Graph:
        """Make a graph of everything in *rows*, records or tuples of values."""
        graph = cls()
        for row in rows:
            # Not through the iterator of a record, which does not give out what Python cannot express.
            graph._add_all(list(tuple.__iter__(row) if isinstance(row, tuple) else row))
        return graph

    @property
    def nodes(self) -> EntitySetView[Node]:
        """The nodes."""
        return EntitySetView(self._nodes)

    @property
    def relationships(self) -> EntitySetView[Relationship]:
        """The relationships."""
        return EntitySetView(self._relationships)

    def add(self, value: Any) -> None:
        """Add the nodes, relationships and paths in *value*: one itself, or lists and maps with such in them.

        Of what comes more than once the first is kept.
        """
        self._add_all([value])

    def _add_all(self, waiting: list[Any]) -> None:
        waiting.reverse()
        while waiting:
            value = waiting.pop()
            if isinstance(value, Node):
                self._add_node(value)
            elif isinstance(value, Relationship):
                self._add_relationship(value)
            elif isinstance(value, Path):
                for node in value._unique_nodes:
                    self._add_node(node)
                for one in value.relationships:
                    self._add_relationship(one)
            elif isinstance(value, (list, tuple)):
                waiting.extend(reversed(value))
            elif isinstance(value, dict):
                waiting.extend(reversed(value.values()))

    def _add_node(self, node: Node) -> None:
        element_id = node._element_id
        if element_id not in self._nodes:
            self._nodes[element_id] = node
        elif element_id in self._awaited:
            self._nodes[element_id] = node
            for one in self._awaited.pop(element_id):
                self._join(one)

    def _add_relationship(self, one: Relationship) -> None:
        self._relationships.setdefault(one._element_id, one)
        for node in one.nodes:
            element_id = node._element_id
            if element_id not in self._nodes:
                self._nodes[element_id] = node
                if not node._labels and not node._properties:
                    self._awaited[element_id] = []
            elif element_id in self._awaited and (node._labels or node._properties):
                self._add_node(node)
            if element_id in self._awaited:
                self._awaited[element_id].append(one)
        self._join(one)

    def _join(self, one: Relationship) -> None:
        one._nodes = (self._nodes[one._start_element_id], self._nodes[one._end_element_id])

    def __repr__(self) -> str:
        return f"<Graph of {len(self._nodes)} nodes and {len(self._relationships)} relationships>"
