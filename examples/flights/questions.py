"""Five questions, each asked twice: in Cypher of the database, and in plain Python of the CSV files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .source import Flights

__all__ = ["QUESTIONS", "Question", "differences"]

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Question:
    text: str
    cypher: str
    answer: Callable[[Flights], Rows]  #: the same, computed from the CSV files
    parameters: Callable[[Flights], Mapping[str, Any]] = lambda flights: {}
    tolerance: float = 0.0  #: by how much floats may differ
    show: Callable[[Rows], str] = str  #: the answer in a few words, if it has a row

    def in_words(self, rows: Rows) -> str:
        return self.show(rows) if rows else "none"


def _flights_per_carrier(flights: Flights) -> Rows:
    counts = Counter(flight.carrier for flight in flights.flights)
    return sorted(counts.items(), key=lambda row: (-row[1], row[0]))


def _mean_delay_per_month(flights: Flights) -> Rows:
    delays = defaultdict(list)
    for flight in flights.flights:
        if flight.arr_delay is not None:
            delays[flight.month].append(flight.arr_delay)
    return [(month, sum(delays[month]) / len(delays[month])) for month in sorted(delays)]


def _busiest_pair(flights: Flights) -> Rows:
    airports = {airport.faa for airport in flights.airports}
    pairs = Counter(
        (flight.origin, flight.dest)
        for flight in flights.flights
        if flight.origin in airports and flight.dest in airports
    )
    return [(*pair, count) for pair, count in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:1]]


def _planes_of_two_carriers(flights: Flights) -> Rows:
    planes = {plane.tailnum for plane in flights.planes}
    carriers = defaultdict(set)
    for flight in flights.flights:
        if flight.tailnum in planes:
            carriers[flight.tailnum].add(flight.carrier)
    return [(tailnum, sorted(flown)) for tailnum, flown in sorted(carriers.items()) if len(flown) > 1]


def _busiest_plane(flights: Flights) -> str:
    planes = {plane.tailnum for plane in flights.planes}
    counts = Counter(flight.tailnum for flight in flights.flights if flight.tailnum in planes)
    return min(counts, key=lambda tailnum: (-counts[tailnum], tailnum), default="")


def _flights_of_one_plane(flights: Flights) -> Rows:
    plane = _busiest_plane(flights)
    airports = {airport.faa for airport in flights.airports}
    return sorted(
        (flight.time_hour, flight.minute, flight.id, flight.origin)
        for flight in flights.flights
        if flight.tailnum == plane and flight.origin in airports
    )


def _show_carriers(rows: Rows) -> str:
    return ", ".join(f"{carrier} {count:,}" for carrier, count in rows[:4]) + f" ... ({len(rows)} carriers)"


def _show_months(rows: Rows) -> str:
    worst, best = max(rows, key=lambda row: row[1]), min(rows, key=lambda row: row[1])
    return f"worst month {worst[0]} ({worst[1]:+.3f} min), best month {best[0]} ({best[1]:+.3f} min)"


def _show_pair(rows: Rows) -> str:
    return ", ".join(f"{origin} to {dest}, {count:,} flights" for origin, dest, count in rows)


def _show_planes(rows: Rows) -> str:
    shown = ", ".join(f"{tailnum} ({' and '.join(carriers)})" for tailnum, carriers in rows[:3])
    return f"{len(rows)}: {shown}{' ...' if len(rows) > 3 else ''}"


def _show_plane(rows: Rows) -> str:
    return f"{len(rows)} flights, from {rows[0][0]:%d %b %H:%M} ({rows[0][3]}) to {rows[-1][0]:%d %b %H:%M}"


QUESTIONS = (
    Question(
        "How many flights has each carrier?",
        "MATCH (f:Flight)-[:BY]->(a:Airline) "
        "RETURN a.carrier AS carrier, count(f) AS flights ORDER BY flights DESC, carrier",
        _flights_per_carrier,
        show=_show_carriers,
    ),
    Question(
        "How late do flights arrive, on average, in each month?",
        "MATCH (f:Flight) WHERE f.arr_delay IS NOT NULL "
        "RETURN f.month AS month, avg(f.arr_delay) AS delay ORDER BY month",
        _mean_delay_per_month,
        tolerance=1e-9,
        show=_show_months,
    ),
    Question(
        "Which pair of airports is the busiest?",
        "MATCH (a:Airport)<-[:FROM]-(f:Flight)-[:TO]->(b:Airport) "
        "WITH a.faa AS origin, b.faa AS dest, count(f) AS flights "
        "RETURN origin, dest, flights ORDER BY flights DESC, origin, dest LIMIT 1",
        _busiest_pair,
        show=_show_pair,
    ),
    Question(
        "Which planes flew for two carriers?",
        "MATCH (p:Plane)<-[:WITH]-(:Flight)-[:BY]->(a:Airline) "
        "WITH DISTINCT p.tailnum AS tailnum, a.carrier AS carrier ORDER BY carrier "
        "WITH tailnum, collect(carrier) AS carriers WHERE size(carriers) > 1 "
        "RETURN tailnum, carriers ORDER BY tailnum",
        _planes_of_two_carriers,
        show=_show_planes,
    ),
    Question(
        "Where did the busiest plane start, in order of time?",
        "MATCH (p:Plane {tailnum: $tailnum})<-[:WITH]-(f:Flight)-[:FROM]->(a:Airport) "
        "RETURN f.time_hour AS hour, f.minute AS minute, f.id AS id, a.faa AS origin "
        "ORDER BY hour, minute, id",
        _flights_of_one_plane,
        lambda flights: {"tailnum": _busiest_plane(flights)},
        show=_show_plane,
    ),
)


def differences(
    expected: Sequence[Sequence[Any]], got: Sequence[Sequence[Any]], tolerance: float = 0.0
) -> list[str]:
    """Compare two answers row by row, in order; an empty list means that they are the same."""
    found = []
    if len(expected) != len(got):
        found.append(f"{len(got)} rows instead of {len(expected)}")
    for number, (wanted, row) in enumerate(zip(expected, got, strict=False), 1):
        if len(wanted) != len(row) or not all(map(lambda a, b: _same(a, b, tolerance), wanted, row)):
            found.append(f"row {number} is {tuple(row)} instead of {tuple(wanted)}")
    return found


def _same(wanted: object, value: object, tolerance: float) -> bool:
    if isinstance(wanted, float) and isinstance(value, float):
        return abs(wanted - value) <= tolerance
    return type(wanted) is type(value) and wanted == value
