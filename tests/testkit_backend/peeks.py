"""The few tests that look into a driver do so through here. No program needs any of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import asyncbolt
from asyncbolt.driver.config import SessionConfig
from asyncbolt.driver.pool import Acquisition
from asyncbolt.driver.routing import RoutedPool, RoutingTable

__all__ = ["pool_counts", "routing_table", "update_routing_table"]


class _Asker:
    """As much of a session as a request for a routing table needs."""

    def __init__(self, config: SessionConfig, bookmarks: Iterable[str]) -> None:
        self._config = config
        self._bookmarks = frozenset(bookmarks)

    async def _current_bookmarks(self) -> frozenset[str]:
        return self._bookmarks

    def _database_resolved(self, name: object) -> None:
        pass


def _routed_pool(driver: asyncbolt.AsyncDriver) -> RoutedPool:
    pool = driver._pool()
    assert isinstance(pool, RoutedPool), f"{driver!r} does not route"
    return pool


async def update_routing_table(
    driver: asyncbolt.AsyncDriver, database: str | None, bookmarks: Iterable[str] | None
) -> None:
    """Ask for a routing table, whether or not there is one."""
    want = Acquisition("w", driver._session_config.connection_acquisition_timeout)
    session: Any = _Asker(driver._session_config, bookmarks or ())
    await _routed_pool(driver).update(want, database, session=session)


def routing_table(driver: asyncbolt.AsyncDriver, database: str | None) -> RoutingTable:
    """Return the routing table that there is for *database*, an empty one when there is none."""
    return _routed_pool(driver).tables.get(database) or RoutingTable(database, (), (), (), 0)


def pool_counts(driver: asyncbolt.AsyncDriver, address: str) -> tuple[int, int]:
    """Return how many connections to *address* are in use (or being made), and how many are idle."""
    stats = driver.pool_stats().addresses.get(asyncbolt.Address.parse(address))
    return (0, 0) if stats is None else (stats.in_use + stats.opening, stats.idle)
