from __future__ import annotations

import pytest

from asyncbolt._constants import NEWEST
from asyncbolt._dialect import FEATURES, Dialect, dialect


@pytest.mark.parametrize(
    ("version", "patch", "features"),
    [
        ((1, 0), False, set()),
        ((2, 0), False, {"temporal", "spatial"}),
        ((4, 4), False, {"temporal", "spatial"}),
        ((4, 4), True, {"temporal", "spatial", "utc"}),
        ((5, 0), False, {"temporal", "spatial", "utc", "element_ids"}),
        ((5, 8), False, {"temporal", "spatial", "utc", "element_ids"}),
        ((6, 0), False, {"temporal", "spatial", "utc", "element_ids", "vectors"}),
        ((6, 1), False, {"temporal", "spatial", "utc", "element_ids", "vectors", "uuid"}),
        ((7, 0), False, set(FEATURES)),
    ],
)
def test_features(version, patch, features):
    got = dialect(version, patch)
    assert {name for name in Dialect._fields if getattr(got, name)} == features


def test_it_is_shared_and_complete():
    assert dialect() is dialect(NEWEST) or dialect() == dialect(NEWEST)
    assert dialect((5, 0)) is dialect((5, 0))
    assert set(FEATURES) == set(Dialect._fields)
    with pytest.raises(AttributeError):
        dialect((5, 0)).utc = False
