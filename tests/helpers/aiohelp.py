"""Runs async tests strictly: asyncio's debug mode on, and nothing may be left when the test is over."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar, overload

import pytest

__all__ = ["LOOPS", "aiotest", "free_port", "open_fds"]

LOOPS: tuple[str, ...] = ("asyncio",)
"""Every event loop that must work here, for ``@aiotest(loops=LOOPS)``."""
if sys.implementation.name == "cpython" and sys.platform != "win32":
    LOOPS += ("uvloop",)  # its absence is a failure of the tests that ask for it

_TestFunction = Callable[..., Coroutine[Any, Any, None]]
_Decorated = Callable[..., None]
_T = TypeVar("_T")


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on at the moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def open_fds() -> dict[int, str]:
    """The open file descriptors of this process and what they are; empty where there is no ``/proc``."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the descriptor that listed them is closed by now
                found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


@overload
def aiotest(function: _TestFunction, /) -> _Decorated: ...
@overload
def aiotest(*, loops: Sequence[str] = ..., timeout: float = ...) -> Callable[[_TestFunction], _Decorated]: ...
def aiotest(
    function: _TestFunction | None = None,
    /,
    *,
    loops: Sequence[str] = ("asyncio",),
    timeout: float = 60,
) -> _Decorated | Callable[[_TestFunction], _Decorated]:
    """Makes an ordinary test of an ``async def`` one. Goes below ``pytest.mark`` and ``hypothesis.given``.

    After the test no other task is alive, no file descriptor is open that was not before, and the loop's
    exception handler was never called; otherwise the test fails.

    Args:
        loops: ``"asyncio"`` and ``"uvloop"``, or `LOOPS`; with more than one the test is parametrised.
        timeout: seconds after which a test that hangs is cancelled and fails.
    """
    if function is None:
        return functools.partial(_decorate, loops=tuple(loops), timeout=timeout)
    return _decorate(function, loops=tuple(loops), timeout=timeout)


def _decorate(function: _TestFunction, *, loops: tuple[str, ...], timeout: float) -> _Decorated:
    assert inspect.iscoroutinefunction(function), f"{function.__qualname__} is not an async def"

    if loops == ("asyncio",):

        @functools.wraps(function)
        def plain(*args: Any, **kwargs: Any) -> None:
            _run("asyncio", lambda: function(*args, **kwargs), timeout)

        return plain

    @functools.wraps(function)
    def parametrised(*args: Any, event_loop_name: str, **kwargs: Any) -> None:
        _run(event_loop_name, lambda: function(*args, **kwargs), timeout)

    signature = inspect.signature(function)
    extra = inspect.Parameter("event_loop_name", inspect.Parameter.KEYWORD_ONLY)
    parameters = [*signature.parameters.values(), extra]
    parametrised.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    decorated: _Decorated = pytest.mark.parametrize("event_loop_name", loops)(parametrised)
    return decorated


@functools.cache
def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    # The first one opens a pipe that serves all later ones and is never closed.
    factory().close()
    return factory


def _run(loop_name: str, make: Callable[[], Coroutine[Any, Any, _T]], timeout: float) -> None:
    new_loop = _loop_factory(loop_name)
    before = open_fds()
    complaints: list[str] = []
    loop = new_loop()
    try:
        loop.set_debug(True)
        loop.slow_callback_duration = 3600  # debug mode makes everything slow
        loop.set_exception_handler(lambda loop, context: complaints.append(_describe(context)))
        try:
            loop.run_until_complete(_watched(make, timeout))
        finally:
            # Also after a failure, or the next test would pay for this one.
            loop.run_until_complete(_end_other_tasks(complaints))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            # Exceptions that nobody looked at are reported when their future is collected.
            gc.collect()
    finally:
        loop.close()
    assert not complaints, "\n".join(complaints)
    leaked = {fd: what for fd, what in open_fds().items() if before.get(fd) != what}
    assert not leaked, f"file descriptors are still open: {leaked}"


async def _watched(make: Callable[[], Coroutine[Any, Any, _T]], timeout: float) -> None:
    # The test is the one task of the loop, so it may look at asyncio.all_tasks() itself.
    task = asyncio.current_task()
    assert task is not None
    stacks: list[str] = []

    def expire() -> None:
        stacks.extend(f"{other!r} at {other.get_stack(limit=1)}" for other in asyncio.all_tasks())
        assert task is not None
        task.cancel()

    deadline = asyncio.get_running_loop().call_later(timeout, expire)
    try:
        await make()
    except asyncio.CancelledError:
        if stacks:
            raise TimeoutError("the test hung; its tasks were:\n" + "\n".join(stacks)) from None
        raise
    finally:
        deadline.cancel()


async def _end_other_tasks(complaints: list[str]) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    complaints.extend(f"the test left a task: {task!r}" for task in others)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _describe(context: dict[str, Any]) -> str:
    more = ", ".join(f"{key}: {value!r}" for key, value in context.items() if key != "source_traceback")
    return f"the loop's exception handler was called: {more}"
