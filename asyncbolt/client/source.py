"""Where the rows of execute_many come from: any iterable or asynchronous iterable, taken in pieces."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import operator
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

from ..aio._clock import Deadline
from ..exceptions import LocalProtocolError

__all__ = ["AsyncSource", "PlainSource", "Readings", "Source", "first_of", "source_of"]

_EXPECTED: Final = "rows are an iterable or an asynchronous iterable of dicts, or of anything else that packs"


async def first_of(
    loop: asyncio.AbstractEventLoop, futures: Iterable[asyncio.Future[Any]], seconds: float | None
) -> None:
    """Wait until one of *futures* is done, at most so many *seconds*. Cancels none of them."""
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = None if seconds is None else loop.call_later(seconds, wake)
    for future in futures:
        future.add_done_callback(wake)
    try:
        await waiter
    finally:
        for future in futures:
            future.remove_done_callback(wake)
        if timer is not None:
            timer.cancel()


class Source:
    """Takes rows out of an iterator, which is *own* when nobody else has it.

    ``rows`` are those that were taken and not given out yet.
    """

    def __init__(self, iterator: Any, own: bool) -> None:
        self.rows: list[Any] = []
        self.ended = False
        self.suspended = False
        """Whether it cannot go on at once."""
        self.waits_for: asyncio.Future[Any] | None = None
        """What it waits for when it is suspended; None: the next turn of the event loop."""
        self._iterator = iterator
        self._own = own
        self._given = 0
        self._touched = False
        self.origins = _origins(iterator)

    @property
    def taken(self) -> int:
        """How many rows were taken out of the iterator."""
        return self._given + len(self.rows)

    @property
    def begun(self) -> bool:
        """Whether the iterator would give something else to who reads it anew."""
        return self._touched and not (self.ended and not self.taken)

    @property
    def ready(self) -> bool:
        """Whether it can go on."""
        return not self.suspended or self.waits_for is None or self.waits_for.done()

    def advance(self, count: int) -> None:
        """Take *count* more rows, or fewer where the source ends or has to wait. Raises what it raises."""
        raise NotImplementedError

    def give(self) -> list[Any]:
        """Return what was taken."""
        rows = self.rows.copy()
        self.rows.clear()
        self._given += len(rows)
        return rows

    async def cancel(self, deadline: Deadline) -> None:
        """Pass a cancellation on to what the source waits for, as a task does. Raises what comes of it."""

    async def stop(self, deadline: Deadline) -> None:
        """Be done with the source: cancel what it waits for, and let it clean up until the *deadline*."""
        raise NotImplementedError

    def drop(self) -> None:
        """Be done with it at once."""

    # One iterator, one reader

    def claim(self) -> None:
        """Raise LocalProtocolError when another execute_many reads the same iterator."""
        for origin in self.origins:
            if _readers.setdefault(id(origin), self) is not self:
                self.release()
                raise LocalProtocolError(
                    f"another execute_many reads the same {type(origin).__name__} at the moment, and each"
                    " would get a part of its rows: pass a list, or give each an iterator of its own"
                )

    def release(self) -> None:
        """Others may read the iterator."""
        for origin in self.origins:
            if _readers.get(id(origin)) is self:
                del _readers[id(origin)]


# Who reads which iterator, by its identity; whoever stands here keeps the iterator alive.
_readers: dict[int, Source] = {}


class PlainSource(Source):
    """Reads an iterator."""

    def advance(self, count: int) -> None:
        self._touched = True
        rows = self.rows
        before = len(rows)
        # What came before an exception stays in the list.
        rows.extend(itertools.islice(self._iterator, count))
        self.ended = len(rows) - before < count

    async def stop(self, deadline: Deadline) -> None:
        close = getattr(self._iterator, "close", None)
        if self._own and callable(close):
            try:
                close()
            except Exception:
                pass  # nothing of it is wanted any more


class _GivenUp(BaseException):
    """Ends a coroutine that takes no notice of its cancellation.

    GeneratorExit would not reach an asynchronous generator, which would count as running for ever.
    """


class AsyncSource(Source):
    """Reads an asynchronous iterator.

    Its coroutine is stepped by hand, in the task that calls: what it waits for can so be waited for together
    with other things, its time limits and cancel scopes see one task, and no task is made for each row.
    """

    def __init__(self, iterator: Any, own: bool) -> None:
        super().__init__(iterator, own)
        self._loop = asyncio.get_running_loop()
        self._wanted = 0
        self._coroutine: Coroutine[Any, Any, None] | None = None  # suspended
        self._cancelled = False  # what it does now, it does since it was cancelled

    def advance(self, count: int) -> None:
        self._touched = True
        self._wanted = len(self.rows) + count
        self._cancelled = False
        self._step(self._coroutine or self._read())

    async def _read(self) -> None:
        following = self._iterator.__anext__
        rows = self.rows
        add = rows.append
        try:
            while len(rows) < self._wanted:
                add(await following())
        except StopAsyncIteration:
            self.ended = True

    def _step(self, coroutine: Coroutine[Any, Any, None], error: BaseException | None = None) -> None:
        """Go on with *coroutine* until it is suspended or done."""
        self._coroutine = self.waits_for = None
        self.suspended = False
        try:
            waits_for = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration:
            return
        self._coroutine = coroutine
        self.suspended = True
        if waits_for is None:
            return
        loop_of = getattr(waits_for, "get_loop", lambda: self._loop)
        if getattr(waits_for, "_asyncio_future_blocking", None) is None or loop_of() is not self._loop:
            self._step(
                coroutine,
                RuntimeError(f"the rows wait for {waits_for!r}, which is no future of this event loop"),
            )
            return
        waits_for._asyncio_future_blocking = False
        self.waits_for = waits_for

    async def cancel(self, deadline: Deadline) -> None:
        coroutine, waits_for = self._coroutine, self.waits_for
        if coroutine is None:
            return
        self._cancelled = True
        if waits_for is None or not waits_for.cancel():
            self._step(coroutine, asyncio.CancelledError())
            return
        await first_of(self._loop, (waits_for,), deadline.remaining())
        if waits_for.done():
            self._step(coroutine)

    async def stop(self, deadline: Deadline) -> None:
        self._wanted = 0
        coroutine, waits_for = self._coroutine, self.waits_for
        try:
            if coroutine is not None:
                if not self._cancelled and (waits_for is None or not waits_for.cancel()):
                    self._step_regardless(coroutine, asyncio.CancelledError())
                await self._run_out(deadline)
            close = getattr(self._iterator, "aclose", None)
            if self._own and not self.ended and self._coroutine is None and close is not None:
                self._step_regardless(_await(close))
                await self._run_out(deadline)
        finally:
            self.drop()

    def _step_regardless(
        self, coroutine: Coroutine[Any, Any, None], error: BaseException | None = None
    ) -> None:
        """Go on with what is given up: nobody wants to know what it raises."""
        try:
            self._step(coroutine, error)
        except (Exception, asyncio.CancelledError):
            pass

    async def _run_out(self, deadline: Deadline) -> None:
        """Let what is given up come to its end, until the *deadline*."""
        while self._coroutine is not None and deadline.remaining() != 0.0:
            if self.waits_for is None:
                await asyncio.sleep(0)
            else:
                await first_of(self._loop, (self.waits_for,), deadline.remaining())
            if self.ready and self._coroutine is not None:
                self._step_regardless(self._coroutine)

    def drop(self) -> None:
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is None:
            return
        for end in (lambda: coroutine.throw(_GivenUp()), coroutine.close):
            try:
                end()
            except (_GivenUp, Exception, asyncio.CancelledError):
                pass


async def _await(close: Callable[[], Any]) -> None:
    await close()


def source_of(rows: Any) -> Source:
    """Return what takes *rows* in pieces.

    Raises:
        TypeError: it is no iterable, or one whose parts are no rows.
    """
    kind = type(rows)
    hint = ""
    if isinstance(rows, str):
        hint = "; of a file, pass its rows, such as csv.DictReader(file)"
    elif isinstance(rows, (bytes, bytearray, memoryview)):
        pass
    elif isinstance(rows, Mapping):
        hint = "; of a single row, make a list: [row]"
    elif _iterates_over_names(kind):
        hint = "; pass its rows as a list, such as frame.to_dict('records'), or [row] when it is one"
    elif isinstance(rows, AsyncIterable):
        iterator: Any = rows.__aiter__()
        if hasattr(iterator, "__anext__"):
            return AsyncSource(iterator, iterator is not rows)
    elif inspect.iscoroutine(rows):
        hint = "; await it first"
    elif inspect.isfunction(rows) or inspect.ismethod(rows):
        hint = "; call it"
    elif rows is not None:
        try:
            plain = iter(rows)
        except TypeError as error:
            raise TypeError(f"{_EXPECTED}, not {kind.__name__}") from error
        return PlainSource(plain, plain is not rows)
    raise TypeError(f"{_EXPECTED}, not {kind.__name__}{hint}")


def _iterates_over_names(kind: type) -> bool:
    """Return whether it is a frame, or a map without that name. A series, which has keys too, is neither."""
    if not hasattr(kind, "__getitem__"):
        return False
    return hasattr(kind, "columns") or (hasattr(kind, "keys") and not hasattr(kind, "tolist"))


# ---------------------------------------------------------------- what can be read only once

# They draw from other iterators.
_WRAPPERS: Final = frozenset(
    kind
    for kind in (map, filter, zip, enumerate, *vars(itertools).values())
    if isinstance(kind, type)
)
_TUPLE_ITERATOR: Final = type(iter(()))
_MOST_ORIGINS: Final = 32


def _origins(iterator: Any) -> tuple[Any, ...]:
    """Return *iterator* and those that it is known to draw from, such as that of a generator expression."""
    found: dict[int, Any] = {}
    ahead = [iterator]
    while ahead and len(found) < _MOST_ORIGINS:
        one = ahead.pop()
        if id(one) in found or (one is not iterator and not _ends(one)):
            continue
        found[id(one)] = one
        kind = type(one)
        if kind in _WRAPPERS:
            for part in gc.get_referents(one):
                if type(part) is _TUPLE_ITERATOR:  # the arguments of a chain
                    part = next(iter(gc.get_referents(part)), None)
                ahead.extend(part[:_MOST_ORIGINS] if type(part) is tuple else (part,))
        elif kind.__module__ == "_csv":
            ahead.extend(gc.get_referents(one))
        elif kind.__module__ == "csv":
            ahead.append(getattr(one, "reader", None))
        else:
            frame = getattr(one, "gi_frame", None) or getattr(one, "ag_frame", None)
            if frame is not None and frame.f_code.co_varnames[:1] == (".0",):
                ahead.append(frame.f_locals.get(".0"))
    return tuple(found.values())


def _ends(one: Any) -> bool:
    """Return whether *one* is an iterator that can come to an end, so that nothing may be left of it."""
    if isinstance(one, itertools.repeat):
        return operator.length_hint(one, -1) >= 0
    if isinstance(one, (itertools.count, itertools.cycle)):
        return False
    return hasattr(type(one), "__next__") or hasattr(type(one), "__anext__")


class Readings:
    """What the tries of one unit of work read: none must get what another left of an iterator."""

    __slots__ = ("_now", "_spent")

    def __init__(self) -> None:
        self._now: list[Source] = []
        self._spent: dict[int, Any] = {}  # by identity, and alive, so that no other gets the same

    def admit(self, source: Source) -> bool:
        """Return whether *source* gives all its rows, as far as earlier tries are concerned."""
        if any(id(origin) in self._spent for origin in source.origins):
            return False
        self._now.append(source)
        return True

    def failed(self) -> None:
        """The try is over, and there may be another."""
        for source in self._now:
            if source.begun:
                self._spent.update((id(origin), origin) for origin in source.origins)
        self._now.clear()
