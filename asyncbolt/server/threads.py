"""Blocking code of authors: one worker thread for a session that asks for it."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

__all__ = ["Worker", "is_threaded", "threaded"]

_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")

_MARK: Final = "_asyncbolt_threaded"
_numbers = itertools.count(1)


def threaded(function: _F) -> _F:
    """Make a method of a session run in a worker thread, for code that blocks.

    For ``run``, which may then be a plain function or a plain generator (stepped in the same thread), and for
    the other hooks. All of a session's threaded code runs in one thread, one call at a time. A thread cannot
    be interrupted: when nobody waits for it any more, a generator is closed at its next row, and
    ``self.request.interrupted`` turns True for whoever looks.

    Raises:
        TypeError: ``function`` is a coroutine function or an async generator function.
    """
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__} is async: it runs on the event loop, not in a thread")
    setattr(function, _MARK, True)
    return function


def is_threaded(function: Callable[..., Any]) -> bool:
    """Whether ``function`` was marked by :func:`threaded`."""
    return getattr(function, _MARK, False) is True


class Worker:
    """One thread that does what it is given, in order, until it is stopped.

    Attributes:
        ended: The thread is gone.
        on_end: Called on the loop when it is.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # A daemon, since nobody can end an author's call that never returns.
        self._thread = threading.Thread(
            target=self._work, name=f"asyncbolt-worker-{next(_numbers)}", daemon=True
        )
        self._unfinished = 0
        self.ended = False
        self.on_end: Callable[[Worker], None] | None = None
        self._thread.start()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                break
            job()
            del job
        try:
            self.loop.call_soon_threadsafe(self._end)
        except RuntimeError:
            pass  # the loop is closed

    def _end(self) -> None:
        self._thread.join()
        self.ended = True
        if self.on_end is not None:
            self.on_end(self)

    @property
    def busy(self) -> bool:
        """Whether something is being done or waits to be."""
        return self._unfinished > 0

    def submit(self, function: Callable[..., _T], *args: Any) -> asyncio.Future[_T]:
        """Call ``function`` in the thread. The future has its result or exception."""
        future: asyncio.Future[_T] = self.loop.create_future()
        context = contextvars.copy_context()
        self._unfinished += 1

        def finish(result: Any, exc: BaseException | None) -> None:
            self._unfinished -= 1
            if future.cancelled():
                return
            if exc is None:
                future.set_result(result)
            else:
                future.set_exception(exc)

        def job() -> None:
            result: Any = None
            error: BaseException | None = None
            try:
                result = context.run(function, *args)
            except StopIteration as exc:  # no future takes one
                error = RuntimeError(f"{function!r} raised StopIteration")
                error.__cause__ = exc
            except BaseException as exc:
                error = exc
            try:
                self.loop.call_soon_threadsafe(finish, result, error)
            except RuntimeError:
                pass  # the loop is closed: nobody wants to know

        self._jobs.put(job)
        return future

    def stop(self) -> None:
        """End the thread behind what it has been given."""
        self._jobs.put(None)
