"""What people see: progress while something runs, rates afterwards. Standard library only."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

__all__ = ["Progress", "Rates"]

WIDTH = 20  #: of the bar, in characters; with the text beside it a line has less than 80
REDRAW = 0.1  #: seconds between two drawings of the bar
REPEAT = 5.0  #: seconds between two lines where no bar can be drawn


class Progress:
    """A bar on a terminal; elsewhere a line every few seconds.

    Call it with the number done so far; it is what `execute_many` takes as `progress`.
    """

    def __init__(
        self,
        what: str,
        total: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self._stream = sys.stderr if stream is None else stream
        self._bar = self._stream.isatty()
        self._clock = clock
        self._started = clock()
        self._next = self._started + (0.0 if self._bar else REPEAT)

    def __call__(self, done: int, total: int | None = None) -> None:
        self.done = done
        now = self._clock()
        if now >= self._next:
            self._next = now + (REDRAW if self._bar else REPEAT)
            self._draw(now)

    def _draw(self, now: float) -> None:
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        rate = self.done / max(now - self._started, 1e-9)
        text = f"{self.what:<18} {self.done:>9,} of {self.total:,}  {rate:,.0f}/s"
        if self._bar:
            full = int(share * WIDTH)
            self._stream.write(f"\r\x1b[2K[{'#' * full}{'.' * (WIDTH - full)}] {share:4.0%} {text}")
            self._stream.flush()
        else:
            print(f"{share:4.0%} {text}", file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar:  # the bar makes room for the line that sums up
            self._stream.write("\r\x1b[2K")
            self._stream.flush()


class Rates:
    """How many of what took how long."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def measure(self, what: str, count: int) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.add(what, count, time.perf_counter() - started)

    def add(self, what: str, count: int, seconds: float) -> None:
        self._counts[what] = self._counts.get(what, 0) + count
        self._seconds[what] = self._seconds.get(what, 0.0) + seconds

    def lines(self) -> Iterator[str]:
        for what, count in self._counts.items():
            seconds = self._seconds[what]
            yield f"{what:<14} {count:>9,} in {seconds:6.2f} s = {count / max(seconds, 1e-9):>9,.0f}/s"
