"""Many tasks over few connections whose bytes come late, in pieces, out of step, or not at all."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import Proxy, driver_of, serving, settled

import asyncbolt
from asyncbolt.driver import clock
from asyncbolt.exceptions import IncompleteCommit, ServiceUnavailable, SessionExpired

_TASKS = 8
_OPERATIONS = 6
_SEEDS = 16
_LOST = (ServiceUnavailable, SessionExpired)


class Ledger(asyncbolt.ServerSession):
    """``ADD`` writes a key, which counts when its transaction is committed; ``NUMBERS`` gives *n* rows."""

    committed: Counter[int]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pending: list[int] = []

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        if statement == "ADD":
            self.pending.append(parameters["key"])
            if self.request.transaction is None:
                self.commit()
            return asyncbolt.Result(["key"], [(parameters["key"],)])
        return asyncbolt.Result(["i"], ((i,) for i in range(parameters["n"])))

    def commit(self) -> None:
        self.committed.update(self.pending)
        self.pending.clear()

    def rollback(self) -> None:
        self.pending.clear()


class Disorder(Proxy):
    """Delivers what came in pieces, now of one connection and direction, now of another; sometimes cuts.

    Within a direction of a connection the order stays, as TCP has it.
    """

    def __init__(self, port: int, chance: random.Random) -> None:
        super().__init__(port)
        self.chance = chance
        self.cuts = 0
        self.calm = False
        self.deliver = self.keep
        self._kept: dict[Any, bytes] = {}
        self._pumping = False

    def keep(self, side: Any, data: bytes) -> None:
        self._kept[side] = self._kept.get(side, b"") + data
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self.pump)

    def pump(self) -> None:
        if not self.calm and self.chance.random() < 0.02:
            pair = self.chance.choice(sorted(self._pairs, key=id)) if self._pairs else ()
            self.cuts += bool(pair)
            for transport in pair:
                transport.abort()
            self._pairs.discard(pair)  # type: ignore[arg-type]
        side = self.chance.choice(list(self._kept))
        data = self._kept.pop(side)
        size = len(data) if self.calm else self.chance.randint(1, len(data))
        if not side.other.is_closing():
            side.forward(data[:size])
            if data[size:]:
                self._kept[side] = data[size:]
        self._pumping = bool(self._kept)
        if self._pumping:
            asyncio.get_running_loop().call_soon(self.pump)


class Work:
    """What the tasks do, and what became of the keys that they wrote."""

    def __init__(self, driver: asyncbolt.AsyncDriver, chance: random.Random) -> None:
        self.driver = driver
        self.chance = chance
        self.numbers = itertools.count()
        self.written: set[int] = set()
        self.unknown: set[int] = set()
        self.not_written: set[int] = set()
        self.seen: Counter[str] = Counter()

    async def task(self) -> None:
        kinds = [self.query, self.stream, self.fetch, self.batches, self.block, self.managed, self.abandoned]
        for _ in range(_OPERATIONS):
            kind = self.chance.choice(kinds)
            try:
                await kind(self.chance.randint(0, 30))
            except _LOST as error:
                assert str(error)
                self.seen[type(error).__name__] += 1

    async def query(self, n: int) -> None:
        records, _, _ = await self.driver.execute_query("NUMBERS", n=n)
        assert [record["i"] for record in records] == list(range(n))

    async def stream(self, n: int) -> None:
        async with self.driver.session(fetch_size=4) as session:
            for _ in range(2):
                result = await session.run("NUMBERS", n=n)
                assert [record["i"] async for record in result] == list(range(n))

    async def fetch(self, n: int) -> None:
        async with self.driver.session() as session:
            assert await session.fetch("NUMBERS", {"n": n}) == [(i,) for i in range(n)]

    async def batches(self, n: int) -> None:
        rows: list[Any] = []
        async with self.driver.session() as session:
            async for batch in session.batches("NUMBERS", {"n": n}, fetch_size=3):
                rows += batch
        assert rows == [(i,) for i in range(n)]

    async def block(self, n: int) -> None:
        key = next(self.numbers)
        try:
            async with self.driver.session(fetch_size=2) as session, await session.begin_transaction() as tx:
                result = await tx.run("NUMBERS", n=n)
                await tx.run("ADD", key=key)
                assert [record["i"] async for record in result] == list(range(n))
                if self.chance.random() < 0.2:
                    raise InterruptedError  # rolls back
        except InterruptedError:
            self.not_written.add(key)
        except BaseException as error:
            self._failed(key, error)
            raise
        else:
            self.written.add(key)

    async def managed(self, n: int) -> None:
        key = next(self.numbers)

        async def work(tx: asyncbolt.AsyncManagedTransaction) -> None:
            assert len(await tx.fetch("NUMBERS", {"n": n})) == n
            await tx.execute("ADD", {"key": key})

        try:
            async with self.driver.session() as session:
                await session.execute_write(work)
        except BaseException as error:
            self._failed(key, error)
            raise
        self.written.add(key)

    async def abandoned(self, n: int) -> None:
        task = asyncio.ensure_future(self.chance.choice([self.stream, self.block, self.managed])(n))
        for _ in range(self.chance.randint(0, 60)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]
        self.seen["cancelled"] += task.cancelled()

    def _failed(self, key: int, error: BaseException) -> None:
        # Whoever is told anything but IncompleteCommit may do it again: then nothing may have happened.
        told = isinstance(error, _LOST) and not isinstance(error, IncompleteCommit)
        (self.not_written if told else self.unknown).add(key)


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
@aiotest(timeout=100)
async def test_results_are_right_and_commits_are_what_was_told(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(clock, "sleep", sleep)
    seen: Counter[str] = Counter()
    for seed in range(_SEEDS):
        print("seed", seed)
        monkeypatch.setattr(Ledger, "committed", Counter(), raising=False)
        seen += await run(scheme, random.Random(seed))
    for what in ("cuts", "written", "cancelled", "IncompleteCommit"):
        assert seen[what], seen


async def run(scheme: str, chance: random.Random) -> Counter[str]:
    async with (
        serving(Ledger) as port,
        Disorder(port, chance) as proxy,
        driver_of(proxy.port, scheme, max_connection_pool_size=3) as driver,
    ):
        work = Work(driver, chance)
        await asyncio.gather(*(work.task() for _ in range(_TASKS)))
        stats = await settled(driver)
        assert stats.waiting == 0 and stats.opened - stats.closed == stats.idle <= 3
        proxy.calm = True
        await work.query(10)
        await settled(driver)
        committed = Ledger.committed
        assert not [key for key, times in committed.items() if times > 1]
        assert work.written <= set(committed)
        assert not work.not_written & set(committed)
        assert set(committed) <= work.written | work.unknown
        return work.seen + Counter(cuts=proxy.cuts, written=len(work.written))
