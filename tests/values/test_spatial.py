from __future__ import annotations

import copy
import math
import pickle

import pytest

from asyncbolt.spatial import CartesianPoint, Point, WGS84Point, point_class


@pytest.mark.parametrize(
    ("point", "srid"),
    [
        (CartesianPoint((1, 2)), 7203),
        (CartesianPoint((1, 2, 3)), 9157),
        (WGS84Point((1, 2)), 4326),
        (WGS84Point((1, 2, 3)), 4979),
        (Point((1, 2), srid=1234), 1234),
        (Point([1, 2, 3], 5678), 5678),
    ],
)
def test_what_it_holds(point, srid):
    assert point.srid == srid
    assert (point.x, point.y) == (1.0, 2.0) and type(point.x) is float
    assert tuple(point) == point[:] == (1.0, 2.0, 3.0)[: len(point)]
    assert point[0] == 1.0 and point[-1] == float(len(point))
    if len(point) == 3:
        assert point.z == 3.0
    else:
        with pytest.raises(AttributeError, match="no z"):
            point.z  # noqa: B018
    assert repr(eval(repr(point))) == repr(point) and eval(repr(point)) == point
    for again in (
        copy.copy(point),
        copy.deepcopy(point),
        *(pickle.loads(pickle.dumps(point, n)) for n in range(5)),
    ):
        assert type(again) is type(point) and again == point and hash(again) == hash(point)


def test_names_of_earth():
    point = WGS84Point((8.5, 47.25, 400))
    assert (point.longitude, point.latitude, point.height) == (8.5, 47.25, 400.0)
    with pytest.raises(AttributeError, match="no height"):
        WGS84Point((1, 2)).height  # noqa: B018
    for name in ("longitude", "latitude", "height"):
        assert not hasattr(CartesianPoint((1, 2, 3)), name)


def test_equality():
    assert CartesianPoint((1, 2)) == CartesianPoint((1.0, 2.0)) == Point((1, 2), 7203)
    assert hash(CartesianPoint((1, 2))) == hash(Point((1, 2), 7203))
    assert CartesianPoint((1, 2)) != WGS84Point((1, 2))
    assert CartesianPoint((1, 2)) != CartesianPoint((1, 3)) != CartesianPoint((1, 3, 0))
    assert CartesianPoint((1, 2)) != (1.0, 2.0) and not CartesianPoint((1, 2)) == 1
    assert len({CartesianPoint((1, 2)), CartesianPoint((1, 2)), WGS84Point((1, 2))}) == 2
    assert math.isnan(Point((math.nan, 1), 1).x)


@pytest.mark.parametrize("coordinates", [(), (1,), (1, 2, 3, 4)])
def test_wrong_number_of_coordinates(coordinates):
    for make in (CartesianPoint, WGS84Point, lambda c: Point(c, 1)):
        with pytest.raises(ValueError, match="two or three"):
            make(coordinates)


def test_srid():
    with pytest.raises(TypeError, match="srid"):
        Point((1, 2))
    with pytest.raises(ValueError, match="7203"):
        CartesianPoint((1, 2), srid=9157)
    assert CartesianPoint((1, 2), srid=7203) == CartesianPoint((1, 2))


def test_point_class():
    assert point_class(7203, 2) is point_class(9157, 3) is CartesianPoint
    assert point_class(4326, 2) is point_class(4979, 3) is WGS84Point
    for srid, dimensions in [(7203, 3), (9157, 2), (4326, 3), (4979, 2), (1, 2)]:
        assert point_class(srid, dimensions) is Point


def test_slots_are_all_it_needs():
    for cls in (Point, CartesianPoint, WGS84Point):
        point = cls.__new__(cls)
        point._srid = 7203
        point._coordinates = (1.0, 2.0)
        assert point == CartesianPoint((1, 2)) and "(1.0, 2.0)" in repr(point)
        assert not hasattr(point, "__dict__")
