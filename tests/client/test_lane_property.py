"""The lane under chance: 20 tasks with failures, cancellations, transactions and slow readers on one
connection.

The model server raises for anything that would cost a real connection; the tasks check that each statement
ran at most once, exactly once when its task saw success, that rows came once and in order, and that nobody
waits forever.
"""

from __future__ import annotations

import pytest
from lane_model import World


def check(world: World, steps: int) -> None:
    world.run(steps)
    assert all(script.ran <= 1 and script.committed <= 1 for script in world.scripts.values())


@pytest.mark.parametrize("seed", range(60))
def test_twenty_tasks(seed):
    check(World(seed), 4000)


@pytest.mark.parametrize("seed", range(20))
def test_twenty_tasks_on_bolt_3(seed):
    check(World(1000 + seed, streams=False), 4000)


@pytest.mark.parametrize("seed", range(20))
def test_little_may_be_in_flight(seed):
    check(World(2000 + seed, max_inflight=2, max_inflight_bytes=64), 3000)


@pytest.mark.parametrize("seed", range(5))
def test_two_hundred_tasks(seed):
    world = World(3000 + seed, tasks=200)
    check(world, 20_000)


@pytest.mark.parametrize("seed", range(20))
def test_a_cancelled_user_frees_the_connection_of_what_never_ends(seed):
    # One user, as in a driver's session: a RESET is sent as soon as he gives up.
    check(World(4000 + seed, tasks=1, endless=0.3), 4000)


def test_everything_happens():
    """The worlds above do hold what they are about."""
    seen: dict[str, int] = {}
    for seed in range(20):
        world = World(seed)
        world.run(4000)
        for key, count in world.seen.items():
            seen[key] = seen.get(key, 0) + count
    for key in ("success", "failure", "cancelled", "left", "committed", "rolled back"):
        assert seen[key] > 20, (key, seen)
