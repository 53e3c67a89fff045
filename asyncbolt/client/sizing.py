"""How many rows a batch takes: pure, and without a look at single rows in the ordinary case."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any, Final

from ..exceptions import PackError

__all__ = ["Measured", "Sizing"]

# Nothing is known about the size of the first rows; each batch may then be so many times as long as the last.
_FIRST: Final = 16
_GROWTH: Final = 8
# A batch may be so many times as large as it should be, since the size of its rows is an estimate.
_TOLERANCE: Final = 2
# Of many rows a few are looked at first: together they may be far more than there should be in memory twice.
_MANY: Final = 64
_SAMPLE: Final = 4
_HUGE: Final = 8


class Sizing:
    """Estimates how many rows make a batch, by what the ones before them took.

    Args:
        batch_rows: rows of a batch, at most.
        batch_bytes: packed bytes that the rows of a batch should take.
    """

    __slots__ = ("_batch_bytes", "_batch_rows", "rows")

    def __init__(self, batch_rows: int, batch_bytes: int) -> None:
        self._batch_rows = batch_rows
        self._batch_bytes = batch_bytes
        self.rows = min(batch_rows, _FIRST)
        """How many rows the next batch should have."""

    def packed(self, rows: int, size: int) -> None:
        """Learn that so many *rows* took *size* bytes."""
        fitting = self._batch_bytes * rows // max(1, size)
        # A batch may be shorter than it was to be, where its rows were slow to come.
        self.rows = max(1, min(self._batch_rows, fitting, max(self.rows, rows * _GROWTH)))

    def excessive(self, rows: int, size: int) -> bool:
        """Return whether *rows* of *size* bytes are too much for one batch. A single row never is."""
        return rows > 1 and size > _TOLERANCE * self._batch_bytes

    def seems_huge(self, rows: list[Any], pack: Callable[[Any], bytes]) -> bool:
        """Return whether *rows* had better not be packed as one: by a look at very few of them."""
        if len(rows) < _MANY:
            return False
        few = rows[:: len(rows) // _SAMPLE]
        try:
            size = sum(map(len, map(pack, few)))
        except PackError:
            return False
        return size * len(rows) // len(few) > _HUGE * self._batch_bytes

    def measure(self, rows: list[Any], pack: Callable[[Any], bytes]) -> Measured | None:
        """Return *rows* with the size of each, which *pack* tells; None when one cannot be packed."""
        try:
            sizes = list(map(len, map(pack, rows)))
        except PackError:
            return None
        return Measured(rows, sizes, self._batch_rows, self._batch_bytes)


class Measured:
    """Rows whose sizes are known one by one, to be taken in batches that keep to their limits."""

    __slots__ = ("_batch_bytes", "_batch_rows", "_ends", "_rows", "_taken")

    def __init__(self, rows: list[Any], sizes: Iterable[int], batch_rows: int, batch_bytes: int) -> None:
        self._rows = rows
        self._ends = list(itertools.accumulate(sizes))
        self._batch_rows = batch_rows
        self._batch_bytes = batch_bytes
        self._taken = 0

    def __len__(self) -> int:
        """How many are left."""
        return len(self._rows) - self._taken

    @property
    def size(self) -> int:
        """How many bytes those that are left take."""
        return self._ends[-1] - self._before() if self._ends else 0

    def _before(self) -> int:
        return self._ends[self._taken - 1] if self._taken else 0

    def take(self) -> list[Any]:
        """Return the rows of the next batch: as many as fit, and one at least."""
        first = self._taken
        fitting = bisect_right(self._ends, self._before() + self._batch_bytes, first)
        self._taken = min(max(fitting, first + 1), first + self._batch_rows, len(self._rows))
        return self._rows[first : self._taken]
