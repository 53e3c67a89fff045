"""How long something takes, and that what came out of it is right."""

from __future__ import annotations

import time
from collections.abc import Callable

Rate = tuple[float, float]


class Stopwatch:
    """Adds up the time, of the clock and of the processor, that is spent in its ``with`` blocks."""

    def __init__(self) -> None:
        self.elapsed = self.busy = 0.0

    def __enter__(self) -> None:
        self._busy = time.process_time()
        self._start = time.perf_counter()

    def __exit__(self, *exc: object) -> None:
        self.elapsed += time.perf_counter() - self._start
        self.busy += time.process_time() - self._busy

    def rate(self, units: int) -> Rate:
        return units / self.elapsed, self.busy / self.elapsed


def check(right: bool, what: str) -> None:
    """Stop when something else came out than went in: its time means nothing."""
    if not right:
        raise SystemExit(f"{what}: what came out is not what went in")


def repeated(call: Callable[[], object], right: Callable[[object], bool], units: int, seconds: float) -> Rate:
    """The rate of a call that is made until the time is over; the first is a rehearsal and is checked."""
    check(right(call()), "rehearsal")
    watch = Stopwatch()
    calls = 0
    while watch.elapsed < seconds:
        with watch:
            result = call()
        calls += 1
    check(right(result), "last call")
    return watch.rate(units * calls)
