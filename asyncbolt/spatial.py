"""Points in a coordinate reference system (Bolt 2+)."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final, overload

__all__ = ["CartesianPoint", "Point", "WGS84Point", "point_class"]


class Point:
    """A point of two or three coordinates.

    The points that Neo4j knows are :class:`CartesianPoint` and :class:`WGS84Point`; this class itself is for
    other reference systems. Points are equal when their SRID and coordinates are.

    Args:
        coordinates: Two or three numbers.
        srid: The number of the reference system; the subclasses know theirs.

    Raises:
        TypeError: A plain Point was asked for without a SRID, or the SRID is no integer.
        ValueError: There are not two or three coordinates, or the SRID is not one of the class.
    """

    __slots__ = ("_coordinates", "_srid")

    _srids: ClassVar[dict[int, int]] = {}  # number of coordinates: SRID

    _srid: int
    _coordinates: tuple[float, ...]

    def __init__(self, coordinates: Iterable[float], srid: int | None = None) -> None:
        values = tuple(map(float, coordinates))
        if not 2 <= len(values) <= 3:
            raise ValueError(f"a point has two or three coordinates, not {len(values)}")
        if srid is not None:
            try:
                srid = operator.index(srid)
            except TypeError:
                raise TypeError(f"a srid is an integer, not {type(srid).__name__}") from None
        own = self._srids.get(len(values))
        if srid is None:
            if own is None:
                raise TypeError("a Point needs a srid; CartesianPoint and WGS84Point know theirs")
            srid = own
        elif own is not None and srid != own:
            raise ValueError(
                f"a {type(self).__name__} of {len(values)} coordinates has srid {own}, not {srid}"
            )
        self._srid = srid
        self._coordinates = values

    @property
    def srid(self) -> int:
        """The number of the reference system."""
        return self._srid

    @property
    def x(self) -> float:
        """The first coordinate."""
        return self._coordinates[0]

    @property
    def y(self) -> float:
        """The second coordinate."""
        return self._coordinates[1]

    @property
    def z(self) -> float:
        """The third coordinate; AttributeError when there are only two."""
        return self._third("z")

    def _third(self, name: str) -> float:
        if len(self._coordinates) < 3:
            raise AttributeError(f"a {type(self).__name__} of two coordinates has no {name}")
        return self._coordinates[2]

    def __iter__(self) -> Iterator[float]:
        return iter(self._coordinates)

    def __len__(self) -> int:
        return len(self._coordinates)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[float, ...]: ...
    def __getitem__(self, index: int | slice) -> float | tuple[float, ...]:
        return self._coordinates[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Point):
            return NotImplemented
        return self._srid == other._srid and self._coordinates == other._coordinates

    def __hash__(self) -> int:
        return hash((self._srid, self._coordinates))

    def __repr__(self) -> str:
        srid = "" if len(self._coordinates) in self._srids else f", srid={self._srid}"
        return f"{type(self).__name__}({self._coordinates!r}{srid})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._coordinates, self._srid)


class CartesianPoint(Point):
    """A point in a plane or in space: SRID 7203 or 9157."""

    __slots__ = ()

    _srids = {2: 7203, 3: 9157}


class WGS84Point(Point):
    """A point on Earth: SRID 4326, or 4979 with a height.

    The coordinates are longitude (degrees east), latitude (degrees north) and height (metres).
    """

    __slots__ = ()

    _srids = {2: 4326, 3: 4979}

    @property
    def longitude(self) -> float:
        """Degrees east."""
        return self._coordinates[0]

    @property
    def latitude(self) -> float:
        """Degrees north."""
        return self._coordinates[1]

    @property
    def height(self) -> float:
        """Metres; AttributeError when there are only two coordinates."""
        return self._third("height")


_CLASSES: Final[dict[tuple[int, int], type[Point]]] = {
    (srid, dimensions): cls for cls in (CartesianPoint, WGS84Point) for dimensions, srid in cls._srids.items()
}


def point_class(srid: int, dimensions: int) -> type[Point]:
    """Return the class of the points with this *srid* and number of *dimensions*."""
    return _CLASSES.get((srid, dimensions), Point)
