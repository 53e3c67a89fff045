"""Rounds of chaos: workers with limits on a server behind a proxy, faults, their end, and questions.

python chaos_rounds.py --backend own|arcadedb|neo4j-5|neo4j-2026 [--minutes M] [--seed N] [--flavour F] ...

A round is made from its seed alone. What it asks when the faults are over:

* every call ended within its limit + 0.5 s (the machine's stalls taken off);
* no connection is in use, no task, no descriptor is left, nobody complained;
* the same driver and pool answer at once;
* each write that was acknowledged is there exactly once, others at most once, and those that were told to
  have not happened are not there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import chaos_run
from chaos_proxy import ChaosProxy, Fault, Plan
from chaos_run import RESET, Judge, MachineStalls, Style, TimeLimit

import asyncbolt
from asyncbolt.exceptions import BoltError, IncompleteCommit, ServiceUnavailable, SessionExpired

__all__ = ["Backend", "Ledger", "Round", "own_backend", "real_backend", "run_round"]

WRITE = "CREATE (:Chaos {round: $round, key: $key})"
WRITE_MANY = "UNWIND $rows AS row CREATE (:Chaos {round: row.round, key: row.key})"
ROWS = "UNWIND range(0, $n - 1) AS i RETURN i"
KEYS = "MATCH (c:Chaos {round: $round}) RETURN c.key AS key"
HANG = "HANG"  # on a server of ours only: runs until it is interrupted
WRONG = "THIS IS NO CYPHER"

_LOST = (ServiceUnavailable, SessionExpired)
_LIMITS = (0.02, 0.1, 0.2, 0.3)
_WORKERS = 7
_SECONDS = 0.6
_SHOWN = 20


class Ledger(asyncbolt.ServerSession):
    """A server of ours that knows the statements of this module; what is committed counts."""

    committed: dict[str, Counter[int]] = {}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pending: list[tuple[str, int]] = []

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        if statement == ROWS:
            return asyncbolt.Result(["i"], ((i,) for i in range(parameters["n"])))
        if statement == KEYS:
            kept = self.committed.get(parameters["round"], Counter())
            return asyncbolt.Result(["key"], [(key,) for key in kept.elements()])
        if statement == HANG:
            await asyncio.Event().wait()
        if statement == WRITE:
            self.pending.append((parameters["round"], parameters["key"]))
        elif statement == WRITE_MANY:
            self.pending += [(row["round"], row["key"]) for row in parameters["rows"]]
        else:
            raise asyncbolt.ClientError("what?", code="Neo.ClientError.Statement.SyntaxError")
        if self.request.transaction is None:  # type: ignore[union-attr]
            self.commit()
        return asyncbolt.Result([], [], {"type": "w"})

    def commit(self) -> None:
        for name, key in self.pending:
            self.committed.setdefault(name, Counter())[key] += 1
        self.pending.clear()

    def rollback(self) -> None:
        self.pending.clear()

    def verify_auth_token(self, auth_token: dict[str, Any]) -> bool:
        return auth_token.get("credentials") == "pw"


class Backend:
    """A server: how to get to it while a round lasts, and what it can do."""

    def __init__(
        self,
        name: str,
        serving: Callable[[], contextlib.AbstractAsyncContextManager[int]],
        auth: Any,
        *,
        database: str | None = None,
        schemes: tuple[str, ...] = ("bolt",),
        hangs: bool = False,
        patience: float = 0.0,
    ) -> None:
        self.name = name
        self.serving = serving
        self.auth = auth
        self.database = database
        self.schemes = schemes
        self.hangs = hangs
        self.patience = patience  # seconds that it may take where one of ours takes none


def own_backend() -> Backend:
    """A server of ours in the loop of the round."""

    @contextlib.asynccontextmanager
    async def serving() -> AsyncIterator[int]:
        server = await asyncbolt.create_server(Ledger, port=0, grace=0.1)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await server.wait_closed()

    return Backend("own", serving, ("u", "pw"), schemes=("bolt", "neo4j"), hangs=True)


def real_backend(name: str, server: Any) -> Backend:
    """A server process: ArcadeDB or Neo4j."""

    @contextlib.asynccontextmanager
    async def serving() -> AsyncIterator[int]:
        yield server.port

    return Backend(name, serving, server.auth, database=server.database, patience=1.0)


async def prepare(backend: Backend) -> None:
    """Have the kind of node once, before many want it at once."""
    async with backend.serving() as port, _plain(backend, port) as session:
        await session.execute(WRITE, {"round": "prepared", "key": 0})


def _plain(backend: Backend, port: int) -> Any:
    return asyncbolt.connect(
        host="127.0.0.1", port=port, auth=backend.auth, database=backend.database, timeout=10
    )


class Round:
    """One round. Its workers are the methods whose names begin with ``d_``, ``c_`` and ``s_``."""

    def __init__(self, backend: Backend, seed: int, machine: MachineStalls, name: str) -> None:
        self.backend = backend
        self.chance = random.Random(seed)
        self.name = name
        self.numbers = itertools.count()
        self.acked: set[int] = set()
        self.never: set[int] = set()
        self.unknown: set[int] = set()
        self.done: Counter[str] = Counter()
        self.judge = Judge(machine)
        self.judge.releases[""] = lambda: self.proxy.cut()
        self.over = False

    # ---------------------------------------------------------------- the round

    async def run(self) -> None:
        async with self.backend.serving() as port:
            with self.judge as judge:
                async with chaos_run.no_new_tasks(judge, 2 * RESET + self.backend.patience):
                    await self._behind_proxy(port)
            await self._count(port)

    async def _behind_proxy(self, port: int) -> None:
        async with ChaosProxy(port, self.chance) as self.proxy:
            await self._open()
            try:
                await self._round()
            finally:
                self.session.abort()
                self.pool.terminate()
                await self.driver.close()

    async def _round(self) -> None:
        chance = self.chance
        seeds = [chance.random() for _ in range(_WORKERS)]
        workers = [asyncio.ensure_future(self._work(random.Random(seed))) for seed in seeds]
        try:
            await self._faults()
        finally:
            self.over = True
            await asyncio.wait(workers)
        for worker in workers:
            worker.result()
        if chance.random() < 0.25:
            await self._close_on_silence()
        else:
            await self._afterwards()
            await self._close()

    async def _open(self) -> None:
        chance, backend, proxy = self.chance, self.backend, self.proxy
        scheme = chance.choice(backend.schemes)
        self.versions = chance.choice([None, [(5, 4)], [(4, 4)]])
        self.acquisition = chance.choice((0.2, 0.3))
        self.liveness = chance.choice((None, 0))
        self.size = chance.choice((1, 2, 4))
        self.driver = asyncbolt.AsyncGraphDatabase.driver(
            f"{scheme}://127.0.0.1:{proxy.port}",
            auth=backend.auth,
            max_connection_pool_size=self.size,
            connection_acquisition_timeout=self.acquisition + backend.patience / 4,
            connection_timeout=0.3,
            max_transaction_retry_time=0.3,
            initial_retry_delay=0.01,
            liveness_check_timeout=self.liveness,
            fetch_size=chance.choice((2, 1000)),
            versions=self.versions,
            **({} if backend.database is None else {"database": backend.database}),
            **chaos_run.driver_reset_option(),
        )
        options: dict[str, Any] = {
            "host": "127.0.0.1", "port": proxy.port, "auth": backend.auth, "database": backend.database,
            "reset_timeout": RESET, "versions": self.versions,
        }  # fmt: skip
        self.options = options
        self.pool = await asyncbolt.create_pool(
            min_size=chance.choice((0, 1)), max_size=self.size, timeout=0.3,
            connect_timeout=0.3 + backend.patience, **options,
        )  # fmt: skip
        self.session = await asyncbolt.connect(timeout=2, **options)

    async def _faults(self) -> None:
        """Let short faults come and go, then one that lasts longer than any limit and half a second."""
        chance, proxy = self.chance, self.proxy
        end = asyncio.get_running_loop().time() + _SECONDS
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(chance.uniform(0.02, 0.15))
            await self._fault()
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            await proxy.heal(chance.choice(("resume", "reset", "end", "stay")))
        await asyncio.sleep(chance.uniform(0.02, 0.15))
        await self._fault()
        await asyncio.sleep(_LIMITS[-1] + 0.6)

    async def _fault(self) -> None:
        chance, proxy = self.chance, self.proxy
        kind = chance.randrange(10)
        if kind == 0:
            proxy.cut()
        elif kind == 1:
            await proxy.refuse()
        elif kind == 2:
            accept = chance.choice(("silent", "closes", "resets", "noise"))
            proxy.plan = lambda number: Plan(accept=accept)
            proxy.cut()
        elif kind == 3:
            # Every new line has a fault of its own.
            proxy.plan = lambda number: Plan(Fault.seeded(chance), Fault.seeded(chance))
        elif kind in (4, 5):
            proxy.down_budget = chance.randrange(300)
        elif kind in (6, 7):
            self._silence(Fault(chance.choice(("stall", "hoard", "swallow")), chance.randrange(100)))
        else:
            plan = Plan(Fault.seeded(chance, 200), Fault.seeded(chance, 200))
            proxy.strike(plan)
            proxy.plan = lambda number: plan

    def _silence(self, fault: Fault) -> None:
        plan = Plan(fault, fault)
        self.proxy.strike(plan)
        self.proxy.plan = lambda number: plan

    async def _work(self, chance: random.Random) -> None:
        names = [name for name in dir(self) if name[:2] in ("d_", "c_", "s_")]
        while not self.over:
            name = chance.choice(names)
            worker = getattr(self, name)
            kind = chance.choice(("timeout", "wait_for", "await", "await", "turn"))
            at = chance.randrange(40) if kind == "await" else chance.randrange(120)
            style = Style(kind, chance.choice(_LIMITS), at, twice=chance.random() < 0.2)
            if "_own_" in name:
                style = Style("own", style.seconds)
            try:
                await self.judge.call(name, style, worker(chance, style.seconds))
                self.done[name] += 1
            except TimeLimit:
                return  # it was written down
            except asyncio.CancelledError:
                if not style.cancelled_at:
                    self.judge.say(f"{name} was cancelled by nobody")
            except (BoltError, TimeoutError, asyncio.TimeoutError) as error:
                if not str(error) and isinstance(error, BoltError):
                    self.judge.say(f"{name}: an error without words: {error!r}")
                if "fault in asyncbolt" in str(error):
                    self.judge.say(f"{name}: {error!r}")
            except Exception as error:
                self.judge.say(f"{name} ({style}) raised {error!r}: {places(error)}")
            await asyncio.sleep(0)

    # ---------------------------------------------------------------- when the faults are over

    async def _afterwards(self) -> None:
        # What is silent stays so: whoever has given up must not need a peer for that.
        await self._freed()
        stats = self.driver.pool_stats()
        if stats.waiting or stats.opening:
            self.judge.say(f"somebody waits at the driver's pool: {stats}")
        await self.proxy.heal(self.chance.choice(("resume", "stay")))
        # A connection that was lost or is silent without anybody's knowledge is noticed by one call.
        await self._answers("the driver", self._ask_driver, self.size + 2)
        await self._answers("the pool", self._ask_pool, self.size + 2)
        await self._answers("the session", self._ask_session, 2)
        await self._freed()

    async def _freed(self) -> None:
        settles, seconds = self.judge.settles, RESET * 1.5 + self.backend.patience
        driver, pool = self.driver, self.pool
        await settles("connections of the driver are in use", seconds, lambda: not driver.pool_stats().in_use)
        await settles("sessions of the pool are in use", seconds, lambda: pool.size == pool.idle_size)

    async def _answers(self, who: str, ask: Callable[[], Any], tries: int) -> None:
        error: BaseException | None = None
        for _ in range(tries):
            style = Style("timeout", self.acquisition + 0.3 + self.backend.patience)
            try:
                rows = await self.judge.call(f"{who}, faults being over", style, ask())
            except (BoltError, TimeoutError, asyncio.TimeoutError) as caught:
                error = caught
                await self._freed()
                continue
            except TimeLimit:
                return
            if rows != [(0,), (1,), (2,)]:
                self.judge.say(f"{who} gave {rows}")
            return
        self.judge.say(f"{who} does not answer, faults being over: {error!r}")

    async def _ask_driver(self) -> Any:
        records, _, _ = await self.driver.execute_query(ROWS, n=3)
        return [tuple(record.values()) for record in records]

    async def _ask_pool(self) -> Any:
        async with self.pool.acquire() as session:
            return list(await session.fetch(ROWS, {"n": 3}))

    async def _ask_session(self) -> Any:
        try:
            return list(await self.session.fetch(ROWS, {"n": 3}, timeout=0.2 + self.backend.patience))
        except (BoltError, TimeoutError):
            await self.session.reconnect(timeout=0.3 + self.backend.patience)
            raise

    async def _close(self) -> None:
        call = self.judge.call
        with contextlib.suppress(BoltError, TimeoutError, TimeLimit):
            await call("driver.close()", Style("own", 5.0), self.driver.close())
        with contextlib.suppress(BoltError, TimeoutError, TimeLimit):
            await call("pool.close()", Style("own", 0.5), self.pool.close(timeout=0.5))
        with contextlib.suppress(BoltError, TimeoutError, TimeLimit):
            await call("session.close()", Style("own", 0.5), self._close_session(0.5))

    async def _close_session(self, seconds: float) -> None:
        self.session.close(timeout=seconds)
        await self.session.wait_closed()

    async def _close_on_silence(self) -> None:
        """Close everything while nothing is answered."""
        self._silence(Fault(self.chance.choice(("stall", "hoard", "swallow"))))
        limited = Style(self.chance.choice(("timeout", "wait_for")), 0.2)
        waits = (asyncio.CancelledError, BoltError, TimeoutError, asyncio.TimeoutError, TimeLimit)
        for what, style, step in (
            ("driver.close()", limited, self.driver.close()),
            ("pool.close(timeout)", Style("own", 0.2), self.pool.close(timeout=0.2)),
            ("session.close(timeout)", Style("own", 0.2), self._close_session(0.2)),
        ):
            with contextlib.suppress(*waits):
                await self.judge.call(f"{what}, silence", style, step)

    async def _count(self, port: int) -> None:
        """Ask the server itself what is there."""
        async with _plain(self.backend, port) as session:
            counts = Counter(key for (key,) in await session.fetch(KEYS, {"round": self.name}))
        there = set(counts)
        twice = sorted(key for key, count in counts.items() if count > 1)
        for what, wrong in (
            ("written twice", twice),
            ("acknowledged, and not there", sorted(self.acked - there)),
            ("told not to have happened, and there", sorted(self.never & there)),
            ("there, and nobody wrote it", sorted(there - self.acked - self.never - self.unknown)),
        ):
            if wrong:
                self.judge.say(f"{len(wrong)} writes were {what}: {wrong[:10]}")
        self.done["acknowledged"] = len(self.acked)

    # ---------------------------------------------------------------- what a write has come to

    def _key(self) -> int:
        key = next(self.numbers)
        self.unknown.add(key)
        return key

    def _known(self, keys: list[int], happened: bool) -> None:
        self.unknown.difference_update(keys)
        (self.acked if happened else self.never).update(keys)

    def _failed(self, keys: list[int], error: BaseException, transaction: bool) -> None:
        first = getattr(error, "first_row", None)
        if first is not None and not transaction:
            # One of execute_many: what it says is done is, and what is behind all that it has sent is not.
            self._known(keys[:first], True)
            self._known(keys[first + error.row_count :], False)  # type: ignore[attr-defined]
            return
        if not isinstance(error, _LOST) or isinstance(error, IncompleteCommit):
            return
        if transaction or getattr(error, "may_have_run", True) is False:
            self._known(keys, False)

    @contextlib.contextmanager
    def _writing(self, keys: list[int], *, transaction: bool) -> Any:
        try:
            yield
        except InterruptedError:
            self._known(keys, False)  # rolled back by ourselves
        except BaseException as error:
            self._failed(keys, error, transaction)
            raise
        else:
            self._known(keys, True)

    def _values(self, key: int) -> dict[str, Any]:
        return {"round": self.name, "key": key}

    # ---------------------------------------------------------------- workers on the driver

    async def d_execute_query(self, chance: random.Random, limit: float) -> None:
        key = self._key()
        with self._writing([key], transaction=True):
            await self.driver.execute_query(WRITE, self._values(key))

    async def d_read(self, chance: random.Random, limit: float) -> None:
        n = chance.randrange(50)
        records, _, _ = await self.driver.execute_query(ROWS, n=n, routing_="r")
        self._right([record["i"] for record in records], n)

    async def d_run(self, chance: random.Random, limit: float) -> None:
        n = chance.randrange(50)
        async with self.driver.session() as session:
            result = await session.run(ROWS, n=n)
            if chance.random() < 0.5:
                self._right([record["i"] async for record in result], n)
            elif n:
                record = await result.peek()
                self._right([] if record is None else [record["i"]], 1)

    async def d_fetch(self, chance: random.Random, limit: float) -> None:
        n = chance.randrange(50)
        async with self.driver.session() as session:
            self._right([i for (i,) in await session.fetch(ROWS, {"n": n})], n)

    async def d_execute(self, chance: random.Random, limit: float) -> None:
        key = self._key()
        with self._writing([key], transaction=False):
            async with self.driver.session() as session:
                await session.execute(WRITE, self._values(key))

    async def d_batches(self, chance: random.Random, limit: float) -> None:
        n = chance.randrange(50)
        rows: list[int] = []
        async with self.driver.session() as session:
            async for batch in session.batches(ROWS, {"n": n}, fetch_size=3):
                rows += [i for (i,) in batch]
                if chance.random() < 0.1:
                    return
        self._right(rows, n)

    async def d_transaction(self, chance: random.Random, limit: float) -> None:
        key = self._key()
        with self._writing([key], transaction=True):
            async with self.driver.session() as session, await session.begin_transaction() as tx:
                result = await tx.run(ROWS, n=9)
                await (await tx.run(WRITE, self._values(key))).consume()
                if chance.random() < 0.5 and self.versions != [(4, 4)]:
                    self._right([record["i"] async for record in result], 9)
                if chance.random() < 0.2:
                    raise InterruptedError
        if chance.random() < 0.3:
            async with self.driver.session() as session:
                transaction = await session.begin_transaction()
                await transaction.fetch(ROWS, {"n": 3})
                await transaction.rollback()

    async def d_managed(self, chance: random.Random, limit: float) -> None:
        key = self._key()

        async def work(tx: asyncbolt.AsyncManagedTransaction) -> None:
            await tx.fetch(ROWS, {"n": 5})
            await tx.execute(WRITE, self._values(key))

        with self._writing([key], transaction=True):
            async with self.driver.session() as session:
                await session.execute_write(work)

    async def d_execute_many(self, chance: random.Random, limit: float) -> None:
        keys = [self._key() for _ in range(chance.randrange(1, 40))]
        rows = [self._values(key) for key in keys]
        async with self.driver.session() as session:
            with self._writing(keys, transaction=True):
                async with await session.begin_transaction() as tx:
                    await tx.execute_many(WRITE_MANY, rows, batch_rows=7)
            keys = [self._key() for _ in range(20)]
            with self._writing(keys, transaction=False):
                rows = [self._values(key) for key in keys]
                await session.execute_many(WRITE_MANY, rows, batch_rows=5)

    async def d_verify(self, chance: random.Random, limit: float) -> None:
        if chance.random() < 0.5:
            await self.driver.verify_connectivity()
        else:
            await self.driver.verify_authentication()

    async def d_someone_else(self, chance: random.Random, limit: float) -> None:
        auth = self.backend.auth
        if self.versions == [(4, 4)] or self.backend.name == "arcadedb":
            return
        token = asyncbolt.Auth("basic", *auth, realm="") if chance.random() < 0.5 else auth
        async with self.driver.session(auth=token) as session:
            await session.fetch(ROWS, {"n": 2})

    async def d_wrong(self, chance: random.Random, limit: float) -> None:
        async with self.driver.session() as session:
            await session.fetch(WRONG)

    async def d_hang(self, chance: random.Random, limit: float) -> None:
        if self.backend.hangs:
            async with self.driver.session() as session:
                await session.run(HANG)

    # ---------------------------------------------------------------- workers on the pool

    async def c_fetch(self, chance: random.Random, limit: float) -> None:
        n = chance.randrange(50)
        async with self.pool.acquire() as session:
            self._right([i for (i,) in await session.fetch(ROWS, {"n": n})], n)

    async def c_execute(self, chance: random.Random, limit: float) -> None:
        key = self._key()
        with self._writing([key], transaction=False):
            async with self.pool.acquire() as session:
                await session.execute(WRITE, self._values(key))

    async def c_streams(self, chance: random.Random, limit: float) -> None:
        n = chance.randrange(1, 50)
        async with self.pool.acquire() as session:
            async for batch in session.batches(ROWS, {"n": n}, fetch_size=2):
                assert batch
                if chance.random() < 0.3:
                    break
            async for response in session.run(ROWS, {"n": n}):
                assert response.fields
                if chance.random() < 0.1:
                    break

    async def c_transaction(self, chance: random.Random, limit: float) -> None:
        key = self._key()
        with self._writing([key], transaction=True):
            async with self.pool.acquire() as session, session.transaction() as tx:
                await tx.fetch(ROWS, {"n": 3})
                await tx.execute(WRITE, self._values(key))
                if chance.random() < 0.2:
                    raise InterruptedError

    async def c_begin(self, chance: random.Random, limit: float) -> None:
        async with self.pool.acquire() as session:
            tx = session.transaction()
            await tx.begin()
            await tx.rollback()

    async def c_execute_many(self, chance: random.Random, limit: float) -> None:
        keys = [self._key() for _ in range(30)]
        with self._writing(keys, transaction=False):
            async with self.pool.acquire() as session:
                await session.execute_many(WRITE_MANY, [self._values(key) for key in keys], batch_rows=4)

    async def c_connect(self, chance: random.Random, limit: float) -> None:
        async with asyncbolt.connect(**self.options) as session:
            await session.fetch(ROWS, {"n": 1})

    async def c_hang(self, chance: random.Random, limit: float) -> None:
        if self.backend.hangs:
            async with self.pool.acquire() as session:
                await session.fetch(HANG)

    # ---------------------------------------------------------------- workers on one session, shared by all

    async def s_fetch(self, chance: random.Random, limit: float) -> None:
        self._right([i for (i,) in await self.session.fetch(ROWS, {"n": 7})], 7)

    async def s_write(self, chance: random.Random, limit: float) -> None:
        key = self._key()
        with self._writing([key], transaction=False):
            await self.session.execute(WRITE, self._values(key))

    async def s_transaction(self, chance: random.Random, limit: float) -> None:
        key = self._key()
        with self._writing([key], transaction=True):
            async with self.session.transaction() as tx:
                await tx.execute(WRITE, self._values(key))
                await tx.fetch(ROWS, {"n": 4})

    async def s_wrong(self, chance: random.Random, limit: float) -> None:
        await self.session.fetch(WRONG)

    async def s_streams(self, chance: random.Random, limit: float) -> None:
        async for batch in self.session.batches(ROWS, {"n": 20}, fetch_size=2):
            if chance.random() < 0.2:
                break

    async def s_reconnect(self, chance: random.Random, limit: float) -> None:
        if not self.session.is_connected:
            await self.session.reconnect()

    # With the time limits that calls have themselves.

    async def s_own_fetch(self, chance: random.Random, limit: float) -> None:
        await self.session.fetch(ROWS, {"n": 7}, timeout=limit)

    async def s_own_write(self, chance: random.Random, limit: float) -> None:
        keys = [self._key() for _ in range(30)]
        with self._writing(keys, transaction=False):
            rows = [self._values(key) for key in keys]
            await self.session.execute_many(WRITE_MANY, rows, batch_rows=7, timeout=limit)

    async def s_own_ping(self, chance: random.Random, limit: float) -> None:
        await self.session.ping(timeout=limit)

    async def s_own_reset(self, chance: random.Random, limit: float) -> None:
        if chance.random() < 0.2:
            await self.session.reset(timeout=limit)

    async def s_own_reconnect(self, chance: random.Random, limit: float) -> None:
        if not self.session.is_connected:
            await self.session.reconnect(timeout=limit)

    async def c_own_connect(self, chance: random.Random, limit: float) -> None:
        session = await asyncbolt.connect(timeout=limit, **self.options)
        session.abort()

    async def c_own_acquire(self, chance: random.Random, limit: float) -> None:
        session = await self.pool.acquire(timeout=limit)
        # Nothing is open on it: this does not wait.
        await self.pool.release(session)

    def _right(self, rows: list[int], n: int) -> None:
        if rows != list(range(n)):
            self.judge.say(f"wrong rows: {rows}, not range({n})")


def run_round(
    backend: Backend, seed: int, flavour: str, machine: MachineStalls, *, debug: bool | None = None
) -> Round:
    """Run one round in a loop of its own; ``judge.wrong`` of what is returned says what was wrong."""
    name = f"{backend.name}-{flavour}-{seed}-{time.monotonic_ns()}"
    this = Round(backend, seed, machine, name)

    async def main() -> None:
        await this.run()

    with chaos_run.short_resets():
        complaints = chaos_run.loop_run(
            flavour, main, debug=chaos_run.debug_of(flavour) if debug is None else debug
        )
    this.judge.wrong += complaints
    return this


def places(error: BaseException) -> str:
    """Where *error* came from, the innermost first, in one line."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in reversed(frames))


def failure(this: Round, seed: int, flavour: str) -> str:
    """What to say of a round with something wrong."""
    wrong = this.judge.wrong
    lines = [f"{len(wrong)} things were wrong:", *(f"  {line}" for line in wrong[:_SHOWN])]
    if len(wrong) > _SHOWN:
        lines.append("  ...")
    lines.append(f"faults: {this.proxy.struck}, calls: {this.judge.ends}")
    lines.append(f'again: make chaos ARGS="--backend {this.backend.name} --flavour {flavour} --seed {seed}"')
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------------- by hand


def main() -> int:
    parser = argparse.ArgumentParser(description="rounds of chaos")
    parser.add_argument("--backend", default="own", help="own, arcadedb, neo4j-5 or neo4j-2026")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, help="this round alone; otherwise all from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--flavour", choices=chaos_run.FLAVOURS, help="this kind of loop alone")
    parser.add_argument("--repeat", type=int, default=1, help="how often the one seed is run")
    parser.add_argument("--stop", action="store_true", help="stop at the first round with something wrong")
    options = parser.parse_args()
    flavours = [options.flavour] if options.flavour else list(chaos_run.FLAVOURS)
    print(chaos_run.header(flavours), flush=True)
    with contextlib.ExitStack() as stack:
        if options.backend == "own":
            backend = own_backend()
        elif options.backend == "arcadedb":
            from arcadedb_server import ArcadeDB

            backend = real_backend("arcadedb", stack.enter_context(ArcadeDB()))
        else:
            from neo4j_server import VERSIONS, Neo4j

            version = VERSIONS[options.backend == "neo4j-2026"]
            backend = real_backend(options.backend, stack.enter_context(Neo4j(version)))
        machine = stack.enter_context(MachineStalls())
        asyncio.run(prepare(backend))
        end = time.monotonic() + 60 * options.minutes
        seeds = itertools.count(options.first)
        if options.seed is not None:
            seeds = itertools.repeat(options.seed, options.repeat)  # type: ignore[assignment]
        rounds = bad = calls = acknowledged = 0
        worst, told = 0.0, time.monotonic()
        for seed in seeds:
            for flavour in flavours:
                this = run_round(backend, seed, flavour, machine)
                rounds += 1
                calls += this.judge.calls
                acknowledged += len(this.acked)
                worst = max(worst, this.judge.worst)
                if this.judge.wrong:
                    bad += 1
                    print(f"seed {seed}, {flavour}: {failure(this, seed, flavour)}", flush=True)
                    if options.stop:
                        return 1
                if time.monotonic() - told > 10:
                    told = time.monotonic()
                    print(f"{rounds} rounds, {bad} wrong, {calls} calls, {acknowledged} writes acknowledged,"
                          f" worst {worst:.2f} s beyond a limit; seed {seed}", flush=True)  # fmt: skip
            if time.monotonic() > end:
                break
    print(f"{rounds} rounds, {bad} wrong, {calls} calls, {acknowledged} writes acknowledged,"
          f" worst {worst:.2f} s beyond a limit")  # fmt: skip
    return bool(bad)


if __name__ == "__main__":
    raise SystemExit(main())
