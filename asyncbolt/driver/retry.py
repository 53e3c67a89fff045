"""How often, and after how long, a transaction is tried again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from . import clock

if TYPE_CHECKING:
    from .config import SessionConfig

__all__ = ["Retries"]


class Retries:
    """The tries of one unit of work: the delays between them grow, each is a little off, time is limited."""

    __slots__ = ("_began", "_delay", "_jitter", "_limit", "_multiplier")

    def __init__(self, config: SessionConfig) -> None:
        self._limit = config.max_transaction_retry_time
        self._delay = config.initial_retry_delay
        self._multiplier = config.retry_delay_multiplier
        self._jitter = config.retry_delay_jitter_factor
        self._began: float | None = None  # when the first try failed

    def next_delay(self) -> float | None:
        """Return how many seconds to wait before the next try, None when there is to be none."""
        now = clock.monotonic()
        if self._began is None:
            self._began = now
        if now - self._began > self._limit:
            return None
        delay = self._delay
        self._delay *= self._multiplier
        return max(0.0, delay * random.uniform(1 - self._jitter, 1 + self._jitter))
