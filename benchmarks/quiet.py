"""Waits until nobody else works on this machine, since on a few cores a neighbour is half of a figure."""

from __future__ import annotations

import time
from pathlib import Path

__all__ = ["wait_for_quiet"]

STAT = Path("/proc/stat")
LOOK = 0.05  # seconds for each look
IDLE = 0.85  # of all cores


def _times() -> tuple[int, int]:
    """Ticks that all cores together were idle, and all of them."""
    fields = [int(field) for field in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def wait_for_quiet(patience: float) -> bool:
    """Wait until the machine is idle, at most *patience* seconds; whether it is (always without /proc)."""
    if not STAT.exists():
        return True
    end = time.monotonic() + patience
    while True:
        before = _times()
        time.sleep(LOOK)
        after = _times()
        if after[0] - before[0] >= IDLE * (after[1] - before[1]):
            return True
        if time.monotonic() >= end:
            return False
