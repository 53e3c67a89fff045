"""Writing the graph: indexes first, then nodes, then relationships, in pipelined batches."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from .graph import LABELS, TYPES
from .report import Progress, Rates

if TYPE_CHECKING:
    from asyncbolt import ClientSession

    from .source import Flights

__all__ = ["IndexesNotReady", "clear", "create_indexes", "existing", "load"]


class IndexesNotReady(Exception):
    """The server did not bring the indexes online in time."""


async def existing(session: ClientSession) -> dict[str, int]:
    """Count the nodes that already have one of the demo's labels: {label: count}, without zeros."""
    counts = {}
    for label in LABELS:
        [(count,)] = await session.fetch(label.count)
        if count:
            counts[label.name] = count
    return counts


async def clear(session: ClientSession) -> None:
    """Delete all nodes with the demo's labels, in transactions of bounded size."""
    for label in reversed(LABELS):
        while (await session.fetch(label.count))[0][0]:
            await session.execute(f"MATCH (n:{label.name}) WITH n LIMIT 10000 DETACH DELETE n")


async def create_indexes(session: ClientSession, patience: float = 60.0) -> None:
    """Make the keys unique, and wait until every index is online (Neo4j builds them in the background).

    Raises IndexesNotReady after `patience` seconds.
    """
    for label in LABELS:
        await session.execute(label.constraint)
    deadline = time.monotonic() + patience
    while True:
        rows = await session.fetch("SHOW INDEXES YIELD state, labelsOrTypes, properties")
        online = [(labels, names) for state, labels, names in rows if state == "ONLINE"]
        missing = [label.name for label in LABELS if ([label.name], [label.key]) not in online]
        if not missing:
            return
        if time.monotonic() > deadline:
            raise IndexesNotReady(f"after {patience:.0f} s there is no index online for {', '.join(missing)}")
        await asyncio.sleep(0.2)


async def load(session: ClientSession, flights: Flights, rates: Rates) -> None:
    """Create all nodes, then all relationships."""
    for label in LABELS:
        rows = label.rows_of(flights)
        with Progress(f"create (:{label.name})", len(rows)) as progress, rates.measure("nodes", len(rows)):
            await session.execute_many(label.create, rows, progress=progress)
    for kind in TYPES:
        pairs = list(kind.pairs_of(flights))
        total = len(pairs)
        with Progress(f"create [:{kind.name}]", total) as progress, rates.measure("relationships", total):
            await session.execute_many(kind.create, pairs, progress=progress)
