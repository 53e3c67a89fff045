"""Time limits, the same on every Python from 3.10 on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ["Deadline", "TimeoutExpired", "bounded"]

_T = TypeVar("_T")

if sys.version_info >= (3, 11):
    TimeoutExpired = TimeoutError
else:

    class TimeoutExpired(asyncio.TimeoutError, TimeoutError):
        """Caught by either name, which became one in Python 3.11."""


class Deadline:
    """A point in time before which several steps must be done; without *timeout* (seconds) there is none."""

    __slots__ = ("_end", "_loop", "timeout")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float | None) -> None:
        self._loop = loop
        self.timeout = timeout
        self._end = None if timeout is None else loop.time() + timeout

    def remaining(self) -> float | None:
        """Return the seconds that are left (0 at least), or None when there is no limit."""
        return None if self._end is None else max(0.0, self._end - self._loop.time())


async def bounded(
    step: Awaitable[_T],
    deadline: Deadline,
    message: str,
    undo: Callable[[_T], Any] | None = None,
) -> _T:
    """Await *step* until the *deadline*, then cancel it and raise a TimeoutError with *message*.

    When the step finishes although it was cancelled, *undo* gets its result, so that nothing is left behind.
    """
    remaining = deadline.remaining()
    if remaining is None and undo is None:
        return await step
    task = asyncio.ensure_future(step)
    try:
        await asyncio.wait((task,), timeout=remaining)
        if task.done():
            return task.result()
        raise TimeoutExpired(message)
    except BaseException:
        if not task.done():
            task.cancel()
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                # Cancelled once more while the step is being undone: its end is seen to without us.
                task.add_done_callback(lambda task: _retrieve(task, undo))
                raise
        # Also when it was done already in the moment in which this was cancelled.
        _retrieve(task, undo)
        raise


def _retrieve(task: asyncio.Future[Any], undo: Callable[[Any], Any] | None) -> None:
    if not task.cancelled() and task.exception() is None and undo is not None:
        undo(task.result())
