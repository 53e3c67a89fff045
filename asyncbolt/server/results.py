"""What ``run`` may give back, and how its rows become records."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from .errors import BadResult

__all__ = ["Result", "Row", "Shape"]

Row = tuple[Any, ...] | list[Any] | Mapping[str, Any]

_SCALARS: Final = (str, bytes, bytearray, memoryview, set, frozenset)


class Result:
    """Rows with the names of their columns: what ``ServerSession.run`` returns when one value is not enough.

    A generator or async generator may yield one before its first row, to name its columns.

    Args:
        fields: The names of the columns, sent to the client even if no row follows.
        records: The rows: any iterable, iterator, generator or asynchronous one of tuples, lists (one value
            for each field) or mappings (with the fields as keys). Taken only as the client asks for them.
        summary: What to tell behind the last row: a dict of the keys that Bolt's SUCCESS has (``type``,
            ``stats``, ``notifications``, ``bookmark`` ...), or a callable that gives it, plain or async,
            asked after the last row.
        drain: What DISCARD does with the rows that nobody wants: True takes them all, for what taking them
            does; False closes a generator where it is.

    Raises:
        TypeError: ``fields`` is no series of strings, ``records`` cannot be iterated, or ``summary`` is
            neither.
    """

    __slots__ = ("drain", "fields", "records", "summary")

    def __init__(
        self,
        fields: Iterable[str],
        records: Iterable[Row] | AsyncIterable[Row] = (),
        summary: Mapping[str, Any] | Callable[[], Any] | None = None,
        *,
        drain: bool = False,
    ) -> None:
        if isinstance(fields, str):
            raise TypeError("fields must be a series of names, not one str")
        self.fields = tuple(fields)
        for name in self.fields:
            if not isinstance(name, str):
                raise TypeError(f"the names of fields must be str, not {type(name).__name__}")
        if not isinstance(records, (Iterable, AsyncIterable)) or isinstance(records, (str, bytes)):
            raise TypeError(f"records must be an iterable of rows, not {type(records).__name__}")
        if summary is not None and not isinstance(summary, Mapping) and not callable(summary):
            raise TypeError(f"summary must be a dict or a callable, not {type(summary).__name__}")
        self.records = records
        self.summary = summary
        self.drain = drain

    def __repr__(self) -> str:
        return f"<Result {list(self.fields)!r}>"


class Shape:
    """Turns what a generator yields into tuples or lists with one value for each field.

    Rows that are that already are checked, many by one call, and otherwise not touched.
    """

    __slots__ = ("_get", "_size", "fields")

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        self._size = {len(self.fields)}
        self._get: Callable[[Any], Any] | None = operator.itemgetter(*self.fields) if self.fields else None

    def fit(self, rows: list[Any], sent: int) -> tuple[list[Any], BadResult | None]:
        """The rows up to the first that does not fit, and what is wrong with that one.

        Args:
            rows: What was yielded.
            sent: How many rows came before them, for the message.
        """
        kinds = set(map(type, rows))
        if kinds <= {tuple, list}:
            if set(map(len, rows)) <= self._size:
                return rows, None
        elif kinds == {dict} and self._get is not None and set(map(len, rows)) <= self._size:
            try:
                values = map(self._get, rows)
                return list(zip(values) if len(self.fields) == 1 else values), None
            except KeyError:
                pass
        fitted: list[Any] = []
        for row in rows:
            try:
                fitted.append(self._fit_one(row))
            except BadResult as exc:
                return fitted, BadResult(f"row {sent + len(fitted)} {exc}")
        return fitted, None

    def _fit_one(self, row: Any) -> tuple[Any, ...] | list[Any]:
        fields = self.fields
        if isinstance(row, Mapping):
            missing = [name for name in fields if name not in row]
            if missing:
                raise BadResult(f"has no key {missing[0]!r}; the fields are {', '.join(fields)}")
            if len(row) != len(fields):
                extra = next(key for key in row if key not in fields)
                raise BadResult(f"has the key {extra!r}, which is none of the fields {', '.join(fields)}")
            return tuple(row[name] for name in fields)
        if type(row) not in (tuple, list):
            if isinstance(row, _SCALARS) or not (hasattr(row, "__len__") and hasattr(row, "__iter__")):
                raise BadResult(f"must be a tuple, a list or a dict, not {type(row).__name__}")
            row = tuple(row)
        if len(row) != len(fields):
            raise BadResult(
                f"has {len(row)} values, the fields are {len(fields)}: {', '.join(fields) or 'none'}"
            )
        fitted: tuple[Any, ...] | list[Any] = row
        return fitted
