"""What the benchmarks over a socket share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import asyncbolt


@pytest.fixture
def session(port: int) -> Iterator[Any]:
    """A connected session and the loop that it lives on."""
    loop = asyncio.new_event_loop()
    connected = loop.run_until_complete(asyncbolt.connect(f"bolt://127.0.0.1:{port}"))
    yield loop, connected
    connected.close()
    loop.run_until_complete(connected.wait_closed())
    loop.close()
