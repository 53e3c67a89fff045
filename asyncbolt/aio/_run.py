"""Running a program on the event loop of one's choice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["loop_factory", "run"]

_T = TypeVar("_T")


def loop_factory(loop: str | None) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes an event loop: ``"asyncio"`` (or None) or ``"uvloop"``.

    Raises:
        ValueError: another name.
        ImportError: uvloop is not installed.
    """
    if loop is None or loop == "asyncio":
        return asyncio.new_event_loop
    if loop == "uvloop":
        try:
            import uvloop
        except ImportError as error:
            raise ImportError("uvloop is not installed: pip install asyncbolt[uvloop]") from error
        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    raise ValueError(f"loop is 'asyncio' or 'uvloop', not {loop!r}")


def run(main: Coroutine[Any, Any, _T], *, loop: str = "asyncio", debug: bool | None = None) -> _T:
    """Run the coroutine *main* on a new event loop, and return its result. As :func:`asyncio.run`.

    No event loop policy is installed: only this call uses the loop.

    Args:
        main: the coroutine.
        loop: ``"asyncio"`` or ``"uvloop"``.
        debug: asyncio's debug mode; None: as the environment says.

    Raises:
        ImportError: uvloop is asked for and not installed.
        Whatever *main* raises.
    """
    try:
        factory = loop_factory(loop)
    except BaseException:
        main.close()
        raise
    if sys.version_info >= (3, 11):
        with asyncio.Runner(debug=debug, loop_factory=factory) as runner:
            return runner.run(main)
    return _run_310(main, factory, debug)


def _run_310(
    main: Coroutine[Any, Any, _T], factory: Callable[[], asyncio.AbstractEventLoop], debug: bool | None
) -> _T:
    """What asyncio.Runner does, for Python 3.10, which has none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        main.close()
        raise RuntimeError("asyncbolt.run() cannot be called from a running event loop")
    loop = factory()
    try:
        asyncio.set_event_loop(loop)
        if debug is not None:
            loop.set_debug(debug)
        return loop.run_until_complete(main)
    finally:
        try:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
