"""Bookmarks: what one session must have seen before it reads what another one wrote."""

from __future__ import annotations

import abc
import inspect
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    # Type checkers take any class with the methods; at run time these are plain abstract classes.
    from typing import Protocol as _Interface
else:
    _Interface = object

__all__ = ["AsyncBookmarkManager", "BookmarkManager", "BookmarkStore", "Bookmarks"]

_B = TypeVar("_B", bound="Bookmarks")

_Supplier = Callable[[], "Bookmarks | Iterable[str] | Awaitable[Bookmarks | Iterable[str]]"]
_Consumer = Callable[["Bookmarks"], "Awaitable[None] | None"]


class Bookmarks:
    """A set of bookmarks, which never changes. ``Bookmarks()`` is the empty one.

    ``await session.last_bookmarks()`` gives it, ``driver.session(bookmarks=...)`` takes it, and ``a + b`` has
    the bookmarks of both. Bookmarks are equal when they hold the same values.
    """

    __slots__ = ("__weakref__", "_raw_values")

    _raw_values: frozenset[str]

    def __init__(self) -> None:
        self._raw_values = frozenset()

    @classmethod
    def from_raw_values(cls: type[_B], values: Iterable[str]) -> _B:
        """Make bookmarks of strings that :attr:`raw_values` gave. One string alone is one bookmark.

        Raises:
            TypeError: a value is not a string.
            ValueError: a value holds something other than ASCII.
        """
        raw = frozenset((values,) if isinstance(values, str) else values)
        for value in raw:
            if not isinstance(value, str):
                raise TypeError(f"a bookmark is a str, not {type(value).__name__}")
            if not value.isascii():
                raise ValueError(f"{value!r} is no bookmark: it is not ASCII")
        made = cls()
        made._raw_values = raw
        return made

    @property
    def raw_values(self) -> frozenset[str]:
        """The bookmarks as strings, to be stored or sent elsewhere."""
        return self._raw_values

    def __add__(self: _B, other: object) -> _B:
        if not isinstance(other, Bookmarks):
            return NotImplemented
        if other._raw_values <= self._raw_values:
            return self
        made = type(self)()
        made._raw_values = self._raw_values | other._raw_values
        return made

    def __bool__(self) -> bool:
        return bool(self._raw_values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bookmarks):
            return NotImplemented
        return self._raw_values == other._raw_values

    def __hash__(self) -> int:
        return hash(self._raw_values)

    def __repr__(self) -> str:
        return f"<Bookmarks values={{{', '.join(map(repr, sorted(self._raw_values)))}}}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_raw_values, (sorted(self._raw_values),)


class BookmarkManager(_Interface, metaclass=abc.ABCMeta):
    """Keeps the bookmarks of many sessions; a plain object, whose methods are not awaited.

    Methods are called from any task, and from any thread that runs an event loop with the driver.
    """

    @abc.abstractmethod
    def update_bookmarks(
        self, previous_bookmarks: Collection[str], new_bookmarks: Collection[str]
    ) -> None:
        """Take the bookmarks of a transaction that is committed.

        Args:
            previous_bookmarks: Those that it started from, which the new ones include.
            new_bookmarks: Those that it ended with.
        """

    @abc.abstractmethod
    def get_bookmarks(self) -> Collection[str]:
        """Return the bookmarks that a new transaction is to start from."""


class AsyncBookmarkManager(_Interface, metaclass=abc.ABCMeta):
    """Keeps the bookmarks of many sessions, so that each reads what the others wrote.

    ``AsyncGraphDatabase.bookmark_manager()`` makes one, ``driver.session(bookmark_manager=...)`` takes one,
    and ``driver.execute_query`` has one of its own.
    """

    @abc.abstractmethod
    async def update_bookmarks(
        self, previous_bookmarks: Collection[str], new_bookmarks: Collection[str]
    ) -> None:
        """Take the bookmarks of a transaction that is committed.

        Args:
            previous_bookmarks: Those that it started from, which the new ones include.
            new_bookmarks: Those that it ended with.
        """

    @abc.abstractmethod
    async def get_bookmarks(self) -> Collection[str]:
        """Return the bookmarks that a new transaction is to start from."""


class BookmarkStore(AsyncBookmarkManager):
    """Bookmarks in memory; what ``AsyncGraphDatabase.bookmark_manager()`` makes. Belongs to no event loop.

    Args:
        initial_bookmarks: What to begin with; raw values will do.
        bookmarks_supplier: Called, and awaited if need be, for further bookmarks whenever a transaction
            starts; these are not kept.
        bookmarks_consumer: Called, and awaited if need be, with all bookmarks whenever they have changed.

    Raises:
        TypeError: *initial_bookmarks* are something else.
    """

    __slots__ = ("_consumer", "_current", "_lock", "_supplier")

    def __init__(
        self,
        initial_bookmarks: Bookmarks | Iterable[str] | None = None,
        bookmarks_supplier: _Supplier | None = None,
        bookmarks_consumer: _Consumer | None = None,
    ) -> None:
        self._current = frozenset() if initial_bookmarks is None else _raw(initial_bookmarks)
        self._supplier = bookmarks_supplier
        self._consumer = bookmarks_consumer
        # Never held while something is awaited.
        self._lock = threading.Lock()

    @property
    def keeps_to_itself(self) -> bool:
        """Whether nobody is told of changes."""
        return self._consumer is None

    def at_hand(self) -> frozenset[str] | None:
        """Return the bookmarks when nobody has to be asked for others, otherwise None."""
        return self._current if self._supplier is None else None

    async def update_bookmarks(
        self, previous_bookmarks: Collection[str], new_bookmarks: Collection[str]
    ) -> None:
        if not new_bookmarks:
            return
        with self._lock:
            current = self._current = self._current.difference(previous_bookmarks).union(new_bookmarks)
        if self._consumer is not None:
            done = self._consumer(Bookmarks.from_raw_values(current))
            if inspect.isawaitable(done):
                await done

    async def get_bookmarks(self) -> set[str]:
        current = set(self._current)
        if self._supplier is not None:
            supplied = self._supplier()
            if inspect.isawaitable(supplied):
                supplied = await supplied
            current |= _raw(supplied)
        return current


def _raw(bookmarks: Bookmarks | Iterable[str]) -> frozenset[str]:
    if not isinstance(bookmarks, Bookmarks):
        if not isinstance(bookmarks, Iterable):
            raise TypeError(f"bookmarks are a Bookmarks object, not {type(bookmarks).__name__}")
        bookmarks = Bookmarks.from_raw_values(bookmarks)
    return bookmarks.raw_values
