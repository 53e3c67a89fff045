"""What the CSV files become: four labels, four relationship types, and the Cypher that makes and reads them.

The Cypher is the common ground of ArcadeDB and Neo4j 5 and later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .source import Airline, Airport, Flight, Flights, Plane

__all__ = ["LABELS", "TYPES", "Label", "Type", "properties"]


@dataclass(frozen=True)
class Label:
    """Nodes of one label: one for each row of a CSV file, found again by the property `key`."""

    name: str
    row_class: type[Any]
    key: str
    rows_of: Callable[[Flights], list[Any]]

    @property
    def constraint(self) -> str:
        """The statement that makes the key unique, and with that an index of it."""
        name = f"{self.name.lower()}_{self.key}"
        return f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{self.name}) REQUIRE n.{self.key} IS UNIQUE"

    @property
    def create(self) -> str:
        """The statement that makes nodes of `$rows`, each a list of values. A null makes no property.

        Properties are named one by one: `SET n = row` after a CREATE is one transaction for each row on
        ArcadeDB, and lists instead of maps spare the wire 20 property names for each flight.
        """
        columns = self.row_class._fields
        assignments = ", ".join(f"{column}: row[{number}]" for number, column in enumerate(columns))
        return f"UNWIND $rows AS row CREATE (:{self.name} {{{assignments}}})"

    @property
    def read(self) -> str:
        return f"MATCH (n:{self.name}) RETURN n"

    @property
    def count(self) -> str:
        return f"MATCH (n:{self.name}) RETURN count(n)"


class Pair(NamedTuple):
    """One relationship: the id of its flight, and the key of the node at its other end."""

    flight: int
    other: str


@dataclass(frozen=True)
class Type:
    """Relationships of one type: from each flight to the node that one of its columns names."""

    name: str
    column: str
    target: Label

    def pairs_of(self, flights: Flights) -> Iterator[Pair]:
        """All relationships that the CSV files give. A flight whose other end is in no file gets none."""
        known = {getattr(row, self.target.key) for row in self.target.rows_of(flights)}
        for flight in flights.flights:
            other = getattr(flight, self.column)
            if other in known:
                yield Pair(flight.id, other)

    @property
    def create(self) -> str:
        """The statement that makes relationships of `$rows`; both ends are found by their indexes."""
        other = self.target
        return (
            f"UNWIND $rows AS row MATCH (f:Flight {{id: row[0]}}) "
            f"MATCH (other:{other.name} {{{other.key}: row[1]}}) CREATE (f)-[:{self.name}]->(other)"
        )

    @property
    def read(self) -> str:
        other = self.target
        return f"MATCH (f:Flight)-[:{self.name}]->(other:{other.name}) RETURN f.id, other.{other.key}"

    @property
    def count(self) -> str:
        return f"MATCH (:Flight)-[r:{self.name}]->() RETURN count(r)"


AIRLINE = Label("Airline", Airline, "carrier", lambda flights: flights.airlines)
AIRPORT = Label("Airport", Airport, "faa", lambda flights: flights.airports)
PLANE = Label("Plane", Plane, "tailnum", lambda flights: flights.planes)
FLIGHT = Label("Flight", Flight, "id", lambda flights: flights.flights)

LABELS = (AIRLINE, AIRPORT, PLANE, FLIGHT)
TYPES = (
    Type("FROM", "origin", AIRPORT),
    Type("TO", "dest", AIRPORT),
    Type("BY", "carrier", AIRLINE),
    Type("WITH", "tailnum", PLANE),
)


def properties(row: NamedTuple) -> Mapping[str, Any]:
    """The properties that the node of a row has: what is NA in the CSV file is left out."""
    return {name: value for name, value in zip(row._fields, row, strict=True) if value is not None}
