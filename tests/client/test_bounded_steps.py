"""The time limit around a step: what the step has got is never lost, whenever its caller is cancelled."""

from __future__ import annotations

import asyncio

import pytest
from aiohelp import aiotest

from asyncbolt.aio._clock import Deadline, bounded


@pytest.mark.parametrize("turns", range(8))
@aiotest
async def test_a_lock_is_given_back_whenever_its_taker_is_cancelled(turns: int) -> None:
    lock = asyncio.Lock()
    deadline = Deadline(asyncio.get_running_loop(), 60)

    async def take() -> None:
        await bounded(lock.acquire(), deadline, "late", undo=lambda _: lock.release())
        lock.release()

    task = asyncio.ensure_future(take())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    # What undoes the step may come a turn later.
    for _ in range(3):
        await asyncio.sleep(0)
    assert not lock.locked()
