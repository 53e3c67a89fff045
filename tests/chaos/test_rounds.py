"""Rounds of chaos: see ``tests/helpers/chaos_rounds.py``. A round is made from its seed.

Minutes in all here; hours by ``make chaos``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from chaos_rounds import Backend, failure, own_backend, prepare, real_backend, run_round
from chaos_run import MachineStalls


@pytest.fixture(scope="module")
def machine() -> Iterator[MachineStalls]:
    with MachineStalls() as stalls:
        yield stalls


@pytest.fixture(scope="module")
def prepared_arcadedb(arcadedb: Any) -> Backend:
    backend = real_backend("arcadedb", arcadedb)
    asyncio.run(prepare(backend))
    return backend


@pytest.fixture(scope="module")
def prepared_neo4j(neo4j: Any) -> Backend:
    backend = real_backend("neo4j-2026" if neo4j.version.startswith("20") else "neo4j-5", neo4j)
    asyncio.run(prepare(backend))
    return backend


def check(backend: Backend, seed: int, flavour: str, machine: MachineStalls) -> None:
    this = run_round(backend, seed, flavour, machine)
    if this.judge.wrong:
        pytest.fail(failure(this, seed, flavour), pytrace=False)
    assert this.judge.calls and this.proxy.made, "nothing happened"


def test_on_a_server_of_ours(flavour: str, chaos_seed: int, machine: MachineStalls) -> None:
    check(own_backend(), chaos_seed, flavour, machine)


def test_on_arcadedb(
    flavour: str, chaos_seed: int, machine: MachineStalls, prepared_arcadedb: Backend
) -> None:
    check(prepared_arcadedb, 1000 + chaos_seed, flavour, machine)


@pytest.mark.neo4j
def test_on_neo4j(flavour: str, chaos_seed: int, machine: MachineStalls, prepared_neo4j: Backend) -> None:
    check(prepared_neo4j, 2000 + chaos_seed, flavour, machine)
