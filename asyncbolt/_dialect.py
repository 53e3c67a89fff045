"""What of the value encoding depends on the Bolt version: one table, and a small object made from it.

Both twins of the codec read these facts here, so that no version number is compared anywhere else in them.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

from ._constants import NEWEST, Version

__all__ = ["FEATURES", "Dialect", "dialect"]

FEATURES: Final[dict[str, Version]] = {
    "temporal": (2, 0),
    "spatial": (2, 0),
    "element_ids": (5, 0),
    "utc": (5, 0),
    "vectors": (6, 0),
    "uuid": (6, 1),
}
"""The first Bolt version that has each feature of the value encoding."""


class Dialect(NamedTuple):
    """The features of one connection's value encoding.

    ``temporal`` and ``spatial`` are the structures of Bolt 2, ``element_ids`` the longer graph structures of
    Bolt 5, ``utc`` the date-times that count UTC seconds (Bolt 5, or the ``utc`` patch before it),
    ``vectors`` Vector and UnsupportedType (Bolt 6.0), ``uuid`` the UUID value (Bolt 6.1).
    """

    temporal: bool
    spatial: bool
    element_ids: bool
    utc: bool
    vectors: bool
    uuid: bool


@functools.cache
def dialect(version: Version = NEWEST, utc_patch: bool = False) -> Dialect:
    """Return the dialect of a Bolt *version*, ``(major, minor)``.

    *utc_patch* says whether the server granted the ``utc`` patch (4.3 and 4.4 ask for it).
    The result is cached and shared.
    """
    features = {name: version >= first for name, first in FEATURES.items()}
    if utc_patch:
        features["utc"] = True
    return Dialect(**features)
