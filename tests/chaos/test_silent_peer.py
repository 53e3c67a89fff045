"""Every public operation with a peer that is silent from a byte on: see ``tests/helpers/silent_peer.py``.

Some bytes and moments of each here, the same in every run; all of them by ``make chaos-silent``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import chaos_run
import pytest
from chaos_run import MachineStalls
from silent_peer import GROUPS, measure_talk, report, run_cases, serve, some_cases

_CASES = 14 // len(chaos_run.FLAVOURS)  # of each operation on each kind of loop


@pytest.fixture(scope="module")
def machine() -> Iterator[MachineStalls]:
    with MachineStalls() as stalls:
        yield stalls


@pytest.mark.parametrize("group", GROUPS)
def test_given_up_in_time_and_nothing_left(group: str, flavour: str, machine: MachineStalls) -> None:
    wrong: list[str] = []

    async def main() -> None:
        async with await serve() as server:
            port = server.sockets[0].getsockname()[1]
            cases = []
            for operation in GROUPS[group]:
                talk = await measure_talk(operation, port)
                cases += some_cases(operation, talk, random.Random(f"{operation} {flavour}"), _CASES)
            judge = await run_cases(cases, port, machine)
            assert judge.calls >= len(cases)
            wrong.extend(judge.wrong)

    with chaos_run.short_resets():
        wrong += chaos_run.loop_run(flavour, main, debug=chaos_run.debug_of(flavour))
    if wrong:
        pytest.fail(report(wrong), pytrace=False)
