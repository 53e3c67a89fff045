"""Time limits, the same on every Python from 3.10 on."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

__all__ = ["CLOSE_TIMEOUT", "CONNECT_TIMEOUT", "GRACE", "Deadline", "TimeoutExpired", "bounded", "seen"]

CONNECT_TIMEOUT: Final = 30.0
"""Seconds that connecting may take where nobody said otherwise: resolving, TCP, TLS, handshake, login."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that closing may take where nobody said otherwise."""

GRACE: Final = 0.2
"""Seconds that a step has to end when it is cancelled; one that will not is left to itself."""

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
        self.timeout = None if timeout == math.inf else timeout
        self._end = None if self.timeout is None else loop.time() + self.timeout

    def remaining(self) -> float | None:
        """Return the seconds that are left (0 at least), or None when there is no limit."""
        return None if self._end is None else max(0.0, self._end - self._loop.time())

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return self._end is not None and self._loop.time() >= self._end

    def within(self, seconds: float | None) -> Deadline:
        """Return a deadline *seconds* from now, or this one when it is sooner."""
        if seconds is None or seconds == math.inf:
            return self
        remaining = self.remaining()
        return self if remaining is not None and remaining <= seconds else Deadline(self._loop, seconds)

    def part(self, parts: int) -> Deadline:
        """Return the deadline of the first of so many *parts*, which share the time that is left."""
        remaining = self.remaining()
        return self if remaining is None or parts <= 1 else Deadline(self._loop, remaining / parts)

    def more(self, seconds: float) -> Deadline:
        """Return a deadline *seconds* later than this one."""
        remaining = self.remaining()
        return self if remaining is None else Deadline(self._loop, remaining + seconds)

    def put_off(self, seconds: float) -> None:
        """Give *seconds* more: what took them does not count."""
        if self._end is not None:
            self._end += seconds

    def __str__(self) -> str:
        return "no limit" if self.timeout is None else f"{self.timeout:.4g} s"


async def bounded(
    step: Awaitable[_T],
    deadline: Deadline,
    message: str,
    undo: Callable[[_T], Any] | None = None,
) -> _T:
    """Await *step* until the *deadline*, then cancel it and raise a TimeoutError with *message*.

    When the step finishes although it was cancelled, *undo* gets its result, so that nothing is left behind.
    One that does not let itself be cancelled is not waited for.
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
                await asyncio.wait((task,), timeout=GRACE)
            finally:
                # Its end is seen to without us: cancelled once more, or it takes its time.
                if not task.done():
                    task.add_done_callback(lambda task: _retrieve(task, undo))
        if task.done():
            # Also when it was done already in the moment in which this was cancelled.
            _retrieve(task, undo)
        raise


def _retrieve(task: asyncio.Future[Any], undo: Callable[[Any], Any] | None) -> None:
    if not task.cancelled() and task.exception() is None and undo is not None:
        undo(task.result())


def seen(future: asyncio.Future[Any]) -> None:
    """Look at the end of *future*, so that asyncio does not report what nobody waits for any longer."""
    if not future.cancelled():
        future.exception()
