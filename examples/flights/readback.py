"""Reading the graph back, and comparing it with the CSV files: counts, and every node and relationship."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .graph import LABELS, TYPES, Label, Pair, properties
from .report import Progress, Rates

if TYPE_CHECKING:
    from asyncbolt import ClientSession

    from .source import Flights

__all__ = ["NodeCheck", "PairCheck", "check_counts", "count", "expected_counts", "read_everything"]

MANY = 5  #: of each kind of difference, this many are shown one by one


def expected_counts(flights: Flights) -> dict[str, int]:
    """How many nodes of each label and relationships of each type the CSV files give."""
    counts = {f"(:{label.name})": len(label.rows_of(flights)) for label in LABELS}
    counts.update((f"[:{kind.name}]", sum(1 for _ in kind.pairs_of(flights))) for kind in TYPES)
    return counts


async def count(session: ClientSession) -> dict[str, int]:
    """The same counts, as the database gives them."""
    counts = {}
    for label in LABELS:
        [(counts[f"(:{label.name})"],)] = await session.fetch(label.count)
    for kind in TYPES:
        [(counts[f"[:{kind.name}]"],)] = await session.fetch(kind.count)
    return counts


def check_counts(expected: Mapping[str, int], got: Mapping[str, int]) -> list[str]:
    """Compare two sets of counts; an empty list means that they are the same."""
    return [
        f"{name}: {got.get(name, 0):,} in the database, {expected.get(name, 0):,} in the CSV files"
        for name in [*expected, *(name for name in got if name not in expected)]
        if got.get(name, 0) != expected.get(name, 0)
    ]


class _Check:
    """Collects differences, of which only the first few are kept as text."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.rows = 0
        self.wrong = 0
        self.examples: list[str] = []

    def complain(self, text: str) -> None:
        self.wrong += 1
        if len(self.examples) < MANY:
            self.examples.append(f"{self.what}: {text}")

    def differences(self) -> list[str]:
        more = self.wrong - len(self.examples)
        return [*self.examples, f"{self.what}: {more:,} more differences"] if more else self.examples


class NodeCheck(_Check):
    """Nodes of one label, as they come, against the rows of its CSV file."""

    def __init__(self, label: Label, rows: Sequence[Any]) -> None:
        super().__init__(f"(:{label.name})")
        self.label = label
        self.missing = {getattr(row, label.key): row for row in rows}

    def feed(self, batch: Iterable[Sequence[Any]]) -> None:
        """Take rows of one column, a node."""
        for (node,) in batch:
            self.rows += 1
            got = dict(node.items())
            row = self.missing.pop(got.get(self.label.key), None)
            if row is None:
                self.complain(f"there is a node {got} that is not in the CSV file, or twice")
            elif self.label.name not in node.labels:
                self.complain(f"a node has the labels {set(node.labels)}")
            elif not _same_properties(properties(row), got):
                self.complain(f"{_shorter(got, properties(row))} instead of {_shorter(properties(row), got)}")

    def finish(self) -> list[str]:
        for key in self.missing:
            self.complain(f"the node with {self.label.key} {key!r} is missing")
        return self.differences()


class PairCheck(_Check):
    """Relationships of one type, as they come, against the pairs that the CSV files give."""

    def __init__(self, name: str, pairs: Iterable[Pair]) -> None:
        super().__init__(f"[:{name}]")
        self.missing = {pair.flight: pair.other for pair in pairs}

    def feed(self, batch: Iterable[Sequence[Any]]) -> None:
        """Take rows of two columns: the id of a flight, the key of the other end."""
        for flight, other in batch:
            self.rows += 1
            wanted = self.missing.pop(flight, None)
            if wanted != other:
                self.complain(f"flight {flight!r} leads to {other!r} instead of {wanted!r}")

    def finish(self) -> list[str]:
        for flight, other in self.missing.items():
            self.complain(f"flight {flight} does not lead to {other!r}")
        return self.differences()


def _same_properties(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    if wanted.keys() != got.keys():
        return False
    for name, value in wanted.items():
        other = got[name]
        if value != other or type(value) is not type(other):
            return False
        # Two date-times are equal when they are the same moment; here the zone must have survived, too.
        if isinstance(value, datetime) and str(value.tzinfo) != str(other.tzinfo):
            return False
    return True


def _shorter(properties: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Only what differs, and the property that names the node."""
    first = next(iter(other), None)
    return {
        name: value
        for name, value in properties.items()
        if name == first or name not in other or not _same_properties({name: value}, {name: other[name]})
    }


async def read_everything(session: ClientSession, flights: Flights, rates: Rates) -> list[str]:
    """Read every node and every relationship; return how they differ from the CSV files."""
    found = []
    for label in LABELS:
        rows = label.rows_of(flights)
        nodes = NodeCheck(label, rows)
        with Progress(f"read (:{label.name})", len(rows)) as progress, rates.measure("rows read", len(rows)):
            async for batch in session.batches(label.read):
                nodes.feed(batch)
                progress(nodes.rows)
        found += nodes.finish()
    for kind in TYPES:
        expected = list(kind.pairs_of(flights))
        pairs = PairCheck(kind.name, expected)
        total = len(expected)
        with Progress(f"read [:{kind.name}]", total) as progress, rates.measure("rows read", total):
            async for batch in session.batches(kind.read):
                pairs.feed(batch)
                progress(pairs.rows)
        found += pairs.finish()
    return found
