"""asyncbolt's client against asyncbolt's server."""

from __future__ import annotations

import asyncio

import pytest
from aiohelp import LOOPS, aiotest
from raw_client import port_of

import asyncbolt
from asyncbolt import Result


class Counting(asyncbolt.ServerSession):
    def __init__(self, loop, state):
        super().__init__(loop)
        self.state = state

    async def begin(self):
        self.request.transaction.data = []

    async def commit(self):
        self.state["committed"] += self.request.transaction.data
        return "bm:1"

    def rollback(self):
        self.state["rolled back"] = True

    def run(self, statement, parameters):
        return getattr(self, statement)(**parameters)

    def rows(self, count):
        return Result(["n", "s"], ((n, str(n)) for n in range(count)), {"type": "r"})

    def add(self, rows):
        self.request.transaction.data.extend(rows)
        return Result([], (), {"stats": {"nodes-created": len(rows)}, "type": "w"})

    async def ticks(self):
        try:
            yield Result(["tick"])
            tick = 0
            while True:
                yield (tick,)
                tick += 1
                await asyncio.sleep(0)
        finally:
            self.state["ticks ended"].set()

    async def hang(self):
        self.state["hanging"].set()
        try:
            await asyncio.Event().wait()
        finally:
            self.state["hang ended"].set()

    def fail(self):
        raise asyncbolt.ConstraintError("twice")


def fresh():
    return {
        "committed": [],
        "rolled back": False,
        "ticks ended": asyncio.Event(),
        "hanging": asyncio.Event(),
        "hang ended": asyncio.Event(),
    }


@aiotest(loops=LOOPS)
async def test_client_and_server():
    state = fresh()
    async with await asyncbolt.create_server(Counting, port=0, state=state, grace=3600) as server:
        async with asyncbolt.connect(f"bolt://127.0.0.1:{port_of(server)}") as session:
            rows = await session.fetch("rows", {"count": 5000})
            assert rows == [(n, str(n)) for n in range(5000)]
            assert rows.fields == ["n", "s"]

            seen = []
            async for batch in session.batches("rows", {"count": 5000}, fetch_size=700):
                seen += batch
            assert seen == rows

            async with session.transaction() as tx:
                summary = await tx.execute("add", {"rows": [1, 2, 3]})
                assert summary["stats"] == {"nodes-created": 3}
            assert state["committed"] == [1, 2, 3]

            with pytest.raises(asyncbolt.ConstraintError, match="twice"):
                async with session.transaction() as tx:
                    await tx.execute("fail")
            assert state["rolled back"]

            with pytest.raises(asyncbolt.ConstraintError):
                await session.fetch("fail")
            answers = await asyncio.gather(*(session.fetch("rows", {"count": n}) for n in range(20)))
            assert [len(answer) for answer in answers] == list(range(20))


@aiotest(loops=LOOPS)
async def test_subscription_is_left():
    state = fresh()
    async with await asyncbolt.create_server(Counting, port=0, state=state, grace=3600) as server:
        async with asyncbolt.connect(f"bolt://127.0.0.1:{port_of(server)}") as session:
            ticks = []
            async with session.batches("ticks", fetch_size=3) as batches:
                async for batch in batches:
                    ticks += [tick for (tick,) in batch]
                    if len(ticks) > 10:
                        break
            assert ticks == list(range(len(ticks)))
            await state["ticks ended"].wait()
            assert len(await session.fetch("rows", {"count": 2})) == 2


@aiotest(loops=LOOPS)
async def test_cancelled_call_reaches_the_server():
    state = fresh()
    async with await asyncbolt.create_server(Counting, port=0, state=state, grace=3600) as server:
        async with asyncbolt.connect(f"bolt://127.0.0.1:{port_of(server)}") as session:
            call = asyncio.ensure_future(session.fetch("hang"))
            await state["hanging"].wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await state["hang ended"].wait()
            assert len(await session.fetch("rows", {"count": 2})) == 2
