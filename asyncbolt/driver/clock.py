"""The clocks of the driver: whoever needs one calls it through this module, so that they can be replaced."""

from __future__ import annotations

import asyncio
import time

__all__ = ["monotonic", "sleep", "wall"]


def monotonic() -> float:
    """Return seconds that never go backwards, from an arbitrary start."""
    return time.monotonic()


def wall() -> float:
    """Return seconds since the epoch."""
    return time.time()


async def sleep(seconds: float) -> None:
    """Wait for *seconds*."""
    await asyncio.sleep(seconds)
