"""Every public operation with a peer that is silent from a byte on: see ``tests/helpers/silent_peer.py``.

Some bytes and moments here, each operation with seeds of its own; every byte and every await with
``--chaos-every-byte`` (``make chaos-silent``).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import chaos_run
import pytest
from chaos_run import MachineStalls
from silent_peer import OPERATIONS, Operation, all_cases, measure_talk, run_cases, serve, some_cases

_CASES = 8


@pytest.fixture(scope="module")
def machine() -> Iterator[MachineStalls]:
    with MachineStalls() as stalls:
        yield stalls


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_given_up_in_time_and_nothing_left(
    operation: Operation, flavour: str, machine: MachineStalls, request: pytest.FixtureRequest
) -> None:
    wrong: list[str] = []
    every = request.config.getoption("--chaos-every-byte")

    async def main() -> None:
        async with await serve() as server:
            port = server.sockets[0].getsockname()[1]
            talk = await measure_talk(operation, port)
            assert len(talk.sent) > 3
            chance = random.Random(f"{operation} {flavour}")
            cases = all_cases(operation, talk) if every else some_cases(operation, talk, chance, _CASES)
            judge = await run_cases(cases, port, machine, at_once=16 if every else _CASES)
            assert judge.calls
            wrong.extend(judge.wrong)

    with chaos_run.short_resets():
        wrong += chaos_run.loop_run(flavour, main, debug=chaos_run.debug_of(flavour) and not every)
    if wrong:
        lines = [f"{len(wrong)} things were wrong:", *(f"  {line}" for line in wrong[:20])]
        pytest.fail("\n".join(lines), pytrace=False)
