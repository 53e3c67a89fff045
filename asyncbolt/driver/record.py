"""Records: rows that know the names of their columns.

The names belong to the class: every list of names has a subclass of :class:`Record` of its own, which is made
once and kept for the next result. A record itself is then no more than its row, and making it runs no Python.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

from .._structure import Structure
from ..exceptions import BrokenRecordError
from ..graph import Relationship
from ..packstream import cast_rows
from .export import data_of, has_broken, nodes_in

if TYPE_CHECKING:
    from typing_extensions import Self

    _IsMapping = Mapping[str, Any]
else:
    # A base that is registered, and not the record itself: it stays a sequence for the "match" statement.
    class _IsMapping:
        __slots__ = ()

    Mapping.register(_IsMapping)

__all__ = ["Record", "make_record", "make_records", "record_type"]

_R = TypeVar("_R", bound="Record")

_KEPT_TYPES: Final = 512

_item = tuple.__getitem__
_values = tuple.__iter__


class Record(tuple[Any, ...], _IsMapping):
    """A row of a result: a tuple of values, and a mapping of the names of the columns to them.

    ``record["name"]`` and ``record[0]`` give one value, iteration and unpacking give the values in order,
    ``record.data()`` a dict. Records compare equal to sequences with the same values and to mappings with the
    same items. They can be pickled and copied.

    A value that Python cannot express, such as a date-time in an unknown time zone, raises
    :exc:`~asyncbolt.exceptions.BrokenRecordError` when it is asked for; the other values are not affected.
    What the server sent instead of it, an :class:`asyncbolt.Structure`, is reached by
    ``tuple.__getitem__(record, index)``, and the batch path has it in its rows. Inside of a list or a map
    such a Structure is left in place.

    Args:
        iterable: A mapping, or pairs of a name and a value.
    """

    __slots__ = ()

    _plain: ClassVar[type[Record]]
    _keys: ClassVar[tuple[str, ...]] = ()
    _places: ClassVar[dict[str, int]] = {}

    def __new__(cls, iterable: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> Self:
        keys: list[str] = []
        values: list[Any] = []
        pairs: Iterable[tuple[str, Any]]
        if hasattr(iterable, "keys"):
            # By its names, as dict() does: a record has other things in its iterator.
            mapping = cast("Mapping[str, Any]", iterable)
            pairs = [(key, mapping[key]) for key in mapping.keys()]
        else:
            pairs = iterable
        for key, value in pairs:
            keys.append(key)
            values.append(value)
        return _make(cls._plain, tuple(keys), tuple(values))  # type: ignore[return-value]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "_keys" not in cls.__dict__:
            cls._plain = cls

    def __getitem__(self, key: str | int | slice) -> Any:  # type: ignore[override]
        """Return the value of a column by its name or position; of a slice, a record.

        A position outside of the record gives None.

        Raises:
            KeyError: There is no column of this name.
            TypeError: *key* is neither a name nor a position nor a slice.
            BrokenRecordError: The value is one that Python cannot express.
        """
        if type(key) is str:
            return _item(self, self._places[key])
        if isinstance(key, slice):
            return _make(self._plain, self._keys[key], _item(self, key))
        try:
            return _item(self, self.index(key))
        except IndexError:
            return None

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of the column *key*, or *default* when there is none.

        Raises:
            BrokenRecordError: The value is one that Python cannot express.
        """
        place = self._places.get(str.__str__(key) if isinstance(key, str) else str(key))
        return default if place is None else _item(self, place)

    def index(self, key: str | int) -> int:  # type: ignore[override]
        """Return the position of the column *key*, which may be a position itself.

        Raises:
            KeyError: There is no column of this name.
            IndexError: There is no column at this position, counted from 0.
            TypeError: *key* is neither a name nor a position.
        """
        if isinstance(key, str):
            return self._places[str.__str__(key)]
        if isinstance(key, int):
            if 0 <= key < len(self):
                return key
            raise IndexError(key)
        raise TypeError(f"a column has a name or a position, not {key!r}")

    def value(self, key: str | int = 0, default: Any = None) -> Any:
        """Return the value of a column by its name or position, or *default* when there is no such column.

        Raises:
            BrokenRecordError: The value is one that Python cannot express.
        """
        try:
            place = self.index(key)
        except (IndexError, KeyError):
            return default
        return self[place]

    def keys(self) -> list[str]:  # type: ignore[override]
        """The names of the columns."""
        return list(self._keys)

    def values(self, *keys: str | int) -> list[Any]:  # type: ignore[override]
        """Return the values of all columns, or of those named by *keys*; None for an unknown name.

        Raises:
            IndexError: A position is outside of the record.
            BrokenRecordError: A value is one that Python cannot express.
        """
        return [value for _, value in self.items(*keys)] if keys else list(self)

    def items(self, *keys: str | int) -> list[tuple[str, Any]]:  # type: ignore[override]
        """Return (name, value) of all columns, or of those named by *keys*; None for an unknown name.

        Raises:
            IndexError: A position is outside of the record.
            BrokenRecordError: A value is one that Python cannot express.
        """
        if not keys:
            return list(zip(self._keys, self, strict=True))
        items: list[tuple[str, Any]] = []
        for key in keys:
            try:
                place = self.index(key)
            except KeyError as missing:
                items.append((missing.args[0], None))
            else:
                items.append((self._keys[place], self[place]))
        return items

    def data(self, *keys: str | int) -> dict[str, Any]:
        """Return the record as a dict of plain values, of all columns or of those named by *keys*.

        Nodes become dicts of their properties; relationships ``(start, type, end)``, the two nodes as dicts,
        with properties if the record has the nodes in it; paths lists of nodes and types in turns. Lists and
        maps are rebuilt with what is in them. Every other value is left as it is, dates and points too.

        Raises:
            IndexError: A position is outside of the record.
            BrokenRecordError: A value is one that Python cannot express.
        """
        nodes = nodes_in((self,)) if _may_need_nodes(self) else None
        return {key: data_of(value, nodes) for key, value in self.items(*keys)}

    def __eq__(self, other: object) -> bool:
        if type(other) is type(self):
            return tuple.__eq__(self, other)
        if isinstance(other, Sequence):
            if list(self) != list(other):
                return False
            return not isinstance(other, Mapping) or dict(self) == dict(other)
        if isinstance(other, Mapping):
            return dict(self) == dict(other)
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        fields = [f" {key}={value!r}" for key, value in zip(self._keys, _values(self), strict=True)]
        return f"<{type(self).__name__}{''.join(fields)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        state = getattr(self, "__dict__", None)
        return _make, (self._plain, self._keys, tuple(_values(self))), state or None

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return self.__reduce__()


Record._plain = Record


class _Broken(Record):
    """What a record with broken values does otherwise. All else is written in terms of these."""

    __slots__ = ()

    def __getitem__(self, key: str | int | slice) -> Any:  # type: ignore[override]
        value = super().__getitem__(key)
        if type(value) is Structure:
            raise self._error(self.index(key), value)  # type: ignore[arg-type]
        return value

    def get(self, key: str, default: Any = None) -> Any:
        value = super().get(key, _MISSING)
        if value is _MISSING:
            return default
        return self[str.__str__(key) if isinstance(key, str) else str(key)]

    def __iter__(self) -> Iterator[Any]:
        for place, value in enumerate(_values(self)):
            if type(value) is Structure:
                raise self._error(place, value)
            yield value

    def _error(self, place: int, value: Structure) -> BrokenRecordError:
        return BrokenRecordError(
            f"the value of column {self._keys[place]!r} (number {place}) cannot be expressed in Python; "
            f"the server sent {value!r}"
        )


_MISSING: Final[Any] = object()
_STR: Final = frozenset({str})
_NEEDING_NODES: Final = frozenset({Relationship, list, dict})


def _class(plain: type[_R], keys: tuple[str, ...], broken: bool) -> type[_R]:
    bases = (_Broken, plain) if broken else (plain,)
    places = {key: place for place, key in reversed(tuple(enumerate(keys)))}
    names = {
        "__slots__": (),
        "__module__": plain.__module__,
        "__qualname__": plain.__qualname__,
        "__doc__": plain.__doc__,
        "_keys": keys,
        "_places": places,
        "_plain": plain,
    }
    return type(plain.__name__, bases, names)


_kept_class: Callable[..., Any] = functools.lru_cache(_KEPT_TYPES)(_class)


def _class_for(plain: type[_R], keys: tuple[str, ...], broken: bool = False) -> type[_R]:
    # Other keys may be equal to one another and yet different: 1 and True, a string and a member of an enum.
    plain_names = _STR.issuperset(map(type, keys))
    made: type[_R] = (_kept_class if plain_names else _class)(plain, keys, broken)
    return made


def _make(plain: type[_R], keys: tuple[str, ...], values: tuple[Any, ...]) -> _R:
    return tuple.__new__(_class_for(plain, keys, Structure in map(type, values)), values)


def record_type(keys: tuple[str, ...]) -> type[Record]:
    """Return the class of records whose columns have the names *keys*.

    ``tuple.__new__(record_type(keys), row)`` is the quickest way to a record. Nothing is checked then: the
    row must have as many values, and a value that Python cannot express is given out as the Structure that it
    is.
    The classes are kept, though not more than the 512 that were last asked for.
    """
    return _class_for(Record, keys)


def make_record(keys: tuple[str, ...], row: tuple[Any, ...]) -> Record:
    """Make one record of a *row*, as :func:`make_records` does of many."""
    return make_records(keys, (row,))[0]


def make_records(keys: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> list[Record]:
    """Make records of *rows*, without running Python for each.

    Args:
        keys: The names of the columns.
        rows: The rows, as the codec makes them.

    Raises:
        ValueError: A row has not as many values as there are *keys*.
    """
    kind = _class_for(Record, keys)
    if rows and set(map(len, rows)) != {len(keys)}:
        row = next(row for row in rows if len(row) != len(keys))
        raise ValueError(f"a record of {len(keys)} columns {list(keys)} came with {len(row)} values: {row!r}")
    if has_broken(rows):
        kinds = (kind, _class_for(Record, keys, True))
        return [tuple.__new__(kinds[Structure in map(type, row)], row) for row in rows]
    return cast_rows(kind, rows)


def _may_need_nodes(record: Record) -> bool:
    return not _NEEDING_NODES.isdisjoint(map(type, _values(record)))
