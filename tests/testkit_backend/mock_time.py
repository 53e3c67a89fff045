"""A clock for the driver that stands still until the test moves it."""

from __future__ import annotations

from asyncbolt.driver import clock

__all__ = ["MockTime"]


class MockTime:
    """Replaces the clocks of the driver, which it calls through their module alone."""

    def __init__(self) -> None:
        self._moved = 0.0
        self._real = (clock.monotonic, clock.wall)
        started = (clock.monotonic(), clock.wall())
        clock.monotonic = lambda: started[0] + self._moved
        clock.wall = lambda: started[1] + self._moved

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self._moved += seconds

    def uninstall(self) -> None:
        """Put the real clocks back."""
        clock.monotonic, clock.wall = self._real
