"""What tests under faults have in common: loops, what may be left behind, limits and their measuring."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

from aiohelp import LOOPS, _loop_factory, open_fds

import asyncbolt
from asyncbolt.client.connect import Opener
from asyncbolt.driver.config import DriverOptions

__all__ = [
    "EAGER", "FLAVOURS", "RESET", "SLACK", "Counted", "Judge", "MachineStalls", "Style", "TimeLimit",
    "debug_of", "driver_reset_option", "header", "loop_run", "no_new_tasks", "short_resets",
]  # fmt: skip

EAGER = hasattr(asyncio, "eager_task_factory")

FLAVOURS: tuple[str, ...] = LOOPS
"""Every kind of loop that this Python has: also with tasks that begin at once (3.12+)."""
if EAGER:
    FLAVOURS += tuple(f"{name}-eager" for name in LOOPS)

SLACK = 0.5 * float(os.environ.get("ASYNCBOLT_CHAOS_SLACK", "1"))
"""Seconds that anything may take beyond its limit."""

RESET = 0.8
"""Seconds after which an unanswered RESET is given up in these tests: more than `SLACK`, so that a caller who
has to wait for that is late."""


class MachineStalls:
    """Measures how long this thread was kept from running by the machine, so that nobody else is blamed.

    Two clocks: what the scheduler says that this thread has waited for a processor (Linux), and how late a
    thread is that does nothing but sleep (which sees a machine that stood still as a whole).
    """

    def __init__(self) -> None:
        self._late = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sleep, name="machine stalls", daemon=True)
        self._path = f"/proc/self/task/{threading.get_native_id()}/schedstat"

    def __enter__(self) -> MachineStalls:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _sleep(self) -> None:
        step = 0.02
        while True:
            began = time.monotonic()
            if self._over.wait(step):
                return
            late = time.monotonic() - began - step
            if late > 0.005:
                self._late += late

    def _waited(self) -> float:
        with contextlib.suppress(OSError, ValueError, IndexError), open(self._path) as file:
            return int(file.read().split()[1]) / 1e9
        return 0.0

    def mark(self) -> tuple[float, float]:
        """A moment to measure from."""
        return self._late, self._waited()

    def since(self, mark: tuple[float, float]) -> float:
        """Seconds that the machine has taken since *mark*."""
        return max(self._late - mark[0], self._waited() - mark[1])


def header(flavours: list[str]) -> str:
    """What runs."""
    return f"Python {sys.version.split()[0]}, {asyncbolt.IMPLEMENTATION}, loops: {', '.join(flavours)}"


def debug_of(flavour: str) -> bool:
    """asyncio's debug mode is on for one half of the flavours: it finds more, and hides races."""
    return not flavour.startswith("uvloop")


def eager_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """As ``asyncio.eager_task_factory``, which does not take all that uvloop passes on Python 3.13."""
    options["eager_start"] = True
    return asyncio.Task(coroutine, loop=loop, **options)


def new_loop(flavour: str) -> asyncio.AbstractEventLoop:
    name, _, eager = flavour.partition("-")
    loop = _loop_factory(name)()
    if eager:
        loop.set_task_factory(eager_task)
    return loop


class _Errors(logging.Handler):
    def __init__(self, complaints: list[str]) -> None:
        super().__init__(logging.ERROR)
        self.complaints = complaints

    def emit(self, record: logging.LogRecord) -> None:
        self.complaints.append("logged: " + logging.Formatter().format(record))


@contextlib.contextmanager
def _heard(complaints: list[str]) -> Iterator[None]:
    """Write down what Python, asyncio and the library complain of, wherever they do so."""
    handler = _Errors(complaints)
    logger = logging.getLogger("asyncbolt")
    hook = sys.unraisablehook
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False  # the many warnings are no news
    sys.unraisablehook = lambda raised: complaints.append(
        f"unraisable: {raised.err_msg} {raised.object!r}: {raised.exc_value!r}"
    )
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield
            gc.collect()
            complaints += [f"warned: {item.category.__name__}: {item.message}" for item in warned]
    finally:
        sys.unraisablehook = hook
        logger.propagate = propagate
        logger.removeHandler(handler)


def loop_run(flavour: str, make: Callable[[], Coroutine[Any, Any, Any]], *, debug: bool) -> list[str]:
    """Run ``make()`` in a loop of its own, and return what it left and what anybody complained of."""
    complaints: list[str] = []
    _loop_factory(flavour.partition("-")[0])  # what a first loop opens for all
    gc.collect()
    before = open_fds()
    with _heard(complaints):
        loop = new_loop(flavour)
        loop.set_debug(debug)
        loop.slow_callback_duration = 3600
        loop.set_exception_handler(lambda loop, context: complaints.append(f"loop: {_shown(context)}"))
        try:
            try:
                loop.run_until_complete(make())
            finally:
                loop.run_until_complete(_end_tasks(complaints))
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
                gc.collect()
                loop.run_until_complete(asyncio.sleep(0))
        finally:
            loop.close()
        del loop
        gc.collect()
    left = {fd: what for fd, what in open_fds().items() if before.get(fd) != what}
    if left:
        complaints.append(f"file descriptors are still open: {left}")
    return complaints


async def _end_tasks(complaints: list[str]) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    complaints += [f"a task is left: {stack_of(task)}" for task in others]
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=5)


def _shown(context: dict[str, Any]) -> str:
    shown = ", ".join(f"{key}: {value!r}" for key, value in context.items() if "traceback" not in key)
    error = context.get("exception")
    if error is not None:
        shown += "\n" + "".join(traceback.format_exception(error))
    return shown


def stack_of(task: asyncio.Task[Any]) -> str:
    """Where *task* waits, as far as coroutines tell: from the outside to what it awaits."""
    places = []
    coroutine: Any = task.get_coro()
    inner: Any = None
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        places.append(f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_name}")
        # What waits for a task of its own, such as wait_for().
        inner = frame.f_locals.get("fut", frame.f_locals.get("task"))
        counted = frame.f_locals.get("self")
        if isinstance(counted, Counted):
            coroutine = counted.step
        else:
            coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    shown = f"{task.get_name()} in {' > '.join(places) or task!r}"
    if isinstance(inner, asyncio.Task) and inner is not task and not inner.done():
        shown += f", for {stack_of(inner)}"
    return shown


# ------------------------------------------------------------------------------------------ resets of drivers


def driver_reset_option() -> dict[str, Any]:
    """The option of a driver for how long a RESET may be unanswered, where drivers have one."""
    return {"reset_timeout": RESET} if "reset_timeout" in DriverOptions.__annotations__ else {}


@contextlib.contextmanager
def short_resets() -> Iterator[None]:
    """Give up unanswered RESETs after `RESET` seconds, also in drivers."""
    defaults: Any = Opener.__init__.__kwdefaults__
    kept = defaults["reset_timeout"]
    defaults["reset_timeout"] = RESET
    try:
        yield
    finally:
        defaults["reset_timeout"] = kept


# ----------------------------------------------------------------------------------------------------- limits


class TimeLimit(Exception):
    """A call did not end within its limit."""


class Style:
    """How a caller limits what it awaits.

    Args:
        kind: ``timeout`` (asyncio.timeout), ``wait_for``, ``await`` (cancelled at its await number *at*),
            ``turn`` (cancelled after *at* turns of the loop), ``own`` (an argument of the call itself).
        seconds: the limit; ``await`` and ``turn`` are cancelled then at the latest.
        twice: cancelled once more in the next turn.
    """

    def __init__(self, kind: str, seconds: float, at: int = 0, *, twice: bool = False) -> None:
        self.kind = kind
        self.seconds = seconds
        self.at = at
        self.twice = twice
        self.cancelled_at: float | None = None

    def __repr__(self) -> str:
        at = f" {self.at}" if self.kind in ("await", "turn") else ""
        return f"{self.kind}{at}, {self.seconds:g} s{', cancelled twice' if self.twice else ''}"

    def cancel(self, task: asyncio.Task[Any]) -> None:
        if task.done():
            return
        loop = task.get_loop()
        if self.cancelled_at is None:
            self.cancelled_at = loop.time()
        task.cancel()
        if self.twice:
            loop.call_soon(task.cancel)

    async def limited(self, step: Awaitable[Any]) -> Any:
        """Await *step* under this limit. To be the outermost coroutine of a task."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        if self.kind == "own":
            return await step
        if self.kind == "timeout" and sys.version_info >= (3, 11):
            async with asyncio.timeout(self.seconds):
                return await step
        if self.kind in ("timeout", "wait_for"):
            inner = asyncio.ensure_future(step)
            # When it hangs, nobody looks at what becomes of it.
            inner.add_done_callback(lambda inner: None if inner.cancelled() else inner.exception())
            return await asyncio.wait_for(inner, self.seconds)
        late = loop.call_later(self.seconds, self.cancel, task)
        if self.kind == "turn":
            return await _ended(step, late, _Turns(loop, self.at, lambda: self.cancel(task)))
        return await _ended(Counted(step, self.at, lambda: loop.call_soon(self.cancel, task)), late)


async def _ended(step: Awaitable[Any], *handles: Any) -> Any:
    try:
        return await step
    finally:
        for handle in handles:
            handle.cancel()


class _Turns:
    """Calls *function* after so many turns of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int, function: Callable[[], object]) -> None:
        self.loop = loop
        self.left = count
        self.function: Callable[[], object] | None = function
        loop.call_soon(self.turn)

    def turn(self) -> None:
        if self.function is None:
            return
        if self.left == 0:
            self.function()
        else:
            self.left -= 1
            self.loop.call_soon(self.turn)

    def cancel(self) -> None:
        self.function = None


class Counted:
    """Awaits *step*, and calls *function* when it waits for the *at*-th time (from 0; None: each time)."""

    def __init__(self, step: Awaitable[Any], at: int | None, function: Callable[[], object]) -> None:
        self.step = step
        self.at = at
        self.function = function

    def __await__(self) -> Any:
        inner = self.step.__await__()
        count = 0
        send: Any = None
        failure: BaseException | None = None
        while True:
            try:
                waits = inner.send(send) if failure is None else inner.throw(failure)
            except StopIteration as end:
                return end.value
            if self.at is None or count == self.at:
                self.function()
            count += 1
            send = failure = None
            try:
                send = yield waits
            except BaseException as error:
                failure = error


class LoopStalls:
    """Measures how late the running loop is, be it by what it has to do or because something blocks it.

    Attributes:
        late: seconds in all.
        worst: the longest time for which it stood still, what the machine has taken off.
    """

    def __init__(self, machine: MachineStalls) -> None:
        self.machine = machine
        self.late = self.worst = 0.0

    def __enter__(self) -> LoopStalls:
        self._loop = asyncio.get_running_loop()
        self._next()
        return self

    def __exit__(self, *exc: object) -> None:
        self._timer.cancel()

    def _next(self) -> None:
        self._due = self._loop.time() + 0.02
        self._mark = self.machine.mark()
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        late = self._loop.time() - self._due
        if late > 0.005:
            self.late += late
            self.worst = max(self.worst, late - self.machine.since(self._mark))
        self._next()


class Judge:
    """Measures calls against their limits, and keeps what was wrong.

    Use it with ``with``. That the loop is late is taken off, as the machine's stalls are; that it stands
    still for longer than `SLACK` is wrong by itself.

    Attributes:
        wrong: what was wrong, in words.
        releases: called by name when a call hangs; they free it.
        calls: how many calls there were.
        worst: the longest time that one took beyond its limit, the machine's stalls taken off.
    """

    def __init__(self, machine: MachineStalls) -> None:
        self.machine = machine
        self.releases: dict[str, Callable[[], object]] = {}
        self.wrong: list[str] = []
        self.calls = 0
        self.worst = 0.0
        self.ends: dict[str, int] = {}

    def __enter__(self) -> Judge:
        self._lateness = LoopStalls(self.machine)
        self._lateness.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._lateness.__exit__()
        if self._lateness.worst > SLACK:
            self.say(f"something kept the loop from turning for {self._lateness.worst:.2f} s")

    def _mark(self) -> tuple[float, tuple[float, float]]:
        return self._lateness.late, self.machine.mark()

    def _stalled(self, mark: tuple[float, tuple[float, float]]) -> float:
        return max(self._lateness.late - mark[0], self.machine.since(mark[1]))

    def say(self, what: str) -> None:
        self.wrong.append(what)

    async def call(self, what: str, style: Style, step: Awaitable[Any]) -> Any:
        """Await *step* in a task of its own under *style*; what it raises is raised.

        Raises:
            TimeLimit: it did not end in time. It was written down, and is over now.
        """
        loop = asyncio.get_running_loop()
        self.calls += 1
        began = loop.time()
        mark = self._mark()
        task = loop.create_task(style.limited(step), name=what)
        grace = style.seconds + SLACK
        try:
            await asyncio.wait((task,), timeout=grace)
            while not task.done():
                # Where the cancel came later than the beginning, or the machine stood still.
                limit = (style.cancelled_at or began + style.seconds) + SLACK + self._stalled(mark)
                if loop.time() >= limit:
                    break
                await asyncio.wait((task,), timeout=limit - loop.time() + 0.001)
            if not task.done():
                await self._hangs(what, style, task, began)
        finally:
            if not task.done():
                task.cancel()
        ended = loop.time()
        limit = began + style.seconds if style.cancelled_at is None else style.cancelled_at
        beyond = ended - limit - self._stalled(mark)
        self.worst = max(self.worst, beyond)
        if beyond > SLACK:
            self.say(f"{what} ({style}) took {ended - began:.2f} s, {beyond:.2f} s more than it may")
        error = None if task.cancelled() else task.exception()
        name = "cancelled" if task.cancelled() else type(error).__name__ if error is not None else "done"
        self.ends[name] = self.ends.get(name, 0) + 1
        return task.result()

    async def _hangs(self, what: str, style: Style, task: asyncio.Task[Any], began: float) -> None:
        loop = asyncio.get_running_loop()
        where = stack_of(task)
        task.cancel()
        await asyncio.wait((task,), timeout=1)
        if not task.done():
            for name, release in self.releases.items():
                if name in ("", what):
                    release()
            task.cancel()
            await asyncio.wait((task,), timeout=5)
        seconds = loop.time() - began
        if task.done():
            self.say(f"{what} ({style}) waited on, {seconds:.2f} s until something else ended it: {where}")
            if not task.cancelled():
                task.exception()
        else:
            self.say(f"{what} ({style}) hangs for ever: {where}")
        raise TimeLimit(what)

    async def settles(self, what: str, seconds: float, condition: Callable[[], Any]) -> bool:
        """Wait until *condition* holds; write it down when it does not after *seconds*."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        mark = self._mark()
        while not condition():
            if loop.time() - began > seconds + SLACK + self._stalled(mark):
                self.say(f"{what} after {loop.time() - began:.2f} s")
                return False
            await asyncio.sleep(0.005)
        return True


@contextlib.asynccontextmanager
async def no_new_tasks(judge: Judge, seconds: float) -> AsyncIterator[None]:
    """Everything that begins in the block ends within *seconds* behind it."""
    before = asyncio.all_tasks()

    def extra() -> set[asyncio.Task[Any]]:
        return {task for task in asyncio.all_tasks() - before if not task.done()}

    yield
    if not await judge.settles("tasks are left", seconds, lambda: not extra()):
        judge.wrong[-1] += ": " + "; ".join(map(stack_of, extra()))


