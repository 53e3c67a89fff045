"""Operations on a peer that is silent from a byte on: what they are, and what must hold behind them.

The peer is a server of ours behind a proxy that lets so many bytes through to the client, over all its
connections, and keeps the rest; connections stay open, new ones are taken and silent too. Whoever calls an
operation gives up after a limit, in one of the `Style`s. Then the operation has ended in time, nothing of it
is left, its place in the pool is free, and the pool works with a server that answers, though the silent
connections are as silent as before.

python silent_peer.py [--minutes M] [--every] [--operation NAME] [--flavour F]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import chaos_run
from chaos_proxy import ChaosProxy
from chaos_run import RESET, Judge, MachineStalls, Style, TimeLimit

import asyncbolt
from asyncbolt.exceptions import BoltError

__all__ = [
    "GROUPS", "Case", "Operation", "Talk", "all_cases", "measure_talk", "report", "run_cases", "serve",
    "some_cases",
]  # fmt: skip

LIMIT = 0.15
_FRESH = 1.0  # seconds that a healthy server may take; a machine full of cases is slow


class Shop(asyncbolt.ServerSession):
    """``NUMBERS``: *n* rows."""

    def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        return asyncbolt.Result(["i"], ((i,) for i in range(parameters.get("n", 3))))

    def verify_auth_token(self, auth_token: dict[str, Any]) -> bool:
        return auth_token.get("credentials") == "p"


class Target:
    """What an operation works on: a driver, or a pool, of one connection, or nothing yet."""

    def __init__(self, port: int, options: dict[str, Any]) -> None:
        self.port = port
        self.options = options

    async def open(self) -> None:
        """Make it. No connection is made."""

    async def use(self) -> None:
        """Do something with it."""

    def in_use(self) -> int:
        """How many connections are in use, or being made."""
        return 0

    async def close(self) -> None:
        """The end."""


class DriverTarget(Target):
    scheme = "bolt"

    async def open(self) -> None:
        options = {
            "max_connection_pool_size": 1, "connection_acquisition_timeout": 60, "connection_timeout": 30,
            "max_transaction_retry_time": 0, "initial_retry_delay": 0, "fetch_size": 2,
            **chaos_run.driver_reset_option(), **self.options,
        }  # fmt: skip
        self.driver = asyncbolt.AsyncGraphDatabase.driver(
            f"{self.scheme}://127.0.0.1:{self.port}", auth=("u", "p"), **options
        )

    async def use(self) -> None:
        records, _, _ = await self.driver.execute_query("NUMBERS")
        assert len(records) == 3

    def in_use(self) -> int:
        stats = self.driver.pool_stats()
        return stats.in_use + stats.opening + stats.waiting

    async def close(self) -> None:
        await self.driver.close()


class RoutedTarget(DriverTarget):
    scheme = "neo4j"


class PoolTarget(Target):
    async def open(self) -> None:
        self.pool = await asyncbolt.create_pool(
            host="127.0.0.1", port=self.port, auth=("u", "p"), reset_timeout=RESET,
            **{"min_size": 0, "max_size": 1, **self.options},
        )  # fmt: skip

    async def use(self) -> None:
        async with self.pool.acquire() as session:
            assert len(await session.fetch("NUMBERS")) == 3

    def in_use(self) -> int:
        return self.pool.size - self.pool.idle_size

    async def close(self) -> None:
        await self.pool.close(timeout=5)


class AgedPoolTarget(PoolTarget):
    """A pool whose idle sessions, three of them, must be asked whether they still work."""

    async def open(self) -> None:
        self.options = {**self.options, "max_size": 3}
        await super().open()

    async def use(self) -> None:
        fresh = not self.pool.size
        sessions = [await self.pool.acquire() for _ in range(3 if fresh else 1)]
        for session in sessions:
            assert len(await session.fetch("NUMBERS")) == 3
        for session in sessions:
            await self.pool.release(session)
        if fresh:
            for entry in self.pool._idle:
                entry.idle_since -= 3600


class ConnectTarget(Target):
    def connect(self, **options: Any) -> Any:
        return asyncbolt.connect(
            host="127.0.0.1", port=self.port, auth=("u", "p"), reset_timeout=RESET, **options
        )

    async def use(self) -> None:
        async with self.connect() as session:
            assert len(await session.fetch("NUMBERS")) == 3


class SessionTarget(ConnectTarget):
    """One session that is there already."""

    session: Any = None

    async def use(self) -> None:
        if self.session is None:
            self.session = await self.connect()
        elif not self.session.is_connected:
            await self.session.reconnect()
        assert len(await self.session.fetch("NUMBERS")) == 3

    async def close(self) -> None:
        if self.session is not None:
            self.session.close()
            await self.session.wait_closed()


Act = Callable[[Any], Awaitable[Any]]


class Operation:
    """A public operation.

    Args:
        target: what it works on.
        act: does it.
        warm: there is a connection already.
        options: further ones of the target.
        own: seconds, when it has a limit of its own, and none is around it.
    """

    def __init__(
        self, target: type[Target], act: Act, *, warm: bool, own: float | None = None, **options: Any
    ) -> None:
        self.target = target
        self.act = act
        self.warm = warm
        self.own = own
        self.options = options
        kind = target.__name__.removesuffix("Target").lower()
        self.name = f"{kind}-{act.__name__}" + ("-warm" if warm else "") + ("-own" if own is not None else "")
        for key, value in options.items():
            self.name += f"-{key}={value}" if key == "liveness_check_timeout" else ""

    def __repr__(self) -> str:
        return self.name


# The driver


async def execute_query(target: DriverTarget) -> None:
    await target.driver.execute_query("NUMBERS")


async def _work(tx: asyncbolt.AsyncManagedTransaction) -> None:
    await (await tx.run("NUMBERS", n=5)).fetch(2)
    await tx.fetch("NUMBERS")


async def execute_read(target: DriverTarget) -> None:
    async with target.driver.session() as session:
        await session.execute_read(_work)


async def execute_write(target: DriverTarget) -> None:
    async with target.driver.session() as session:
        await session.execute_write(_work)


async def commit(target: DriverTarget) -> None:
    async with target.driver.session() as session, await session.begin_transaction() as tx:
        result = await tx.run("NUMBERS", n=5)
        await (await tx.run("NUMBERS")).consume()
        await result.fetch(3)


async def rollback(target: DriverTarget) -> None:
    async with target.driver.session() as session:
        tx = await session.begin_transaction()
        await tx.run("NUMBERS", n=9)
        await tx.rollback()


async def failing_block(target: DriverTarget) -> None:
    try:
        async with target.driver.session() as session, await session.begin_transaction() as tx:
            await tx.fetch("NUMBERS")
            raise InterruptedError
    except InterruptedError:
        pass


async def bare(target: DriverTarget) -> None:
    """As people write who never close."""
    session = target.driver.session()
    try:
        tx = await session.begin_transaction()
        await tx.run("NUMBERS")
        await tx.commit()
    finally:
        await session.close()


async def run(target: DriverTarget) -> None:
    async with target.driver.session() as session:
        result = await session.run("NUMBERS", n=7)
        assert [record["i"] async for record in result] == list(range(7))


async def run_partly(target: DriverTarget) -> None:
    async with target.driver.session() as session:
        result = await session.run("NUMBERS", n=9)
        await result.peek()


async def run_twice(target: DriverTarget) -> None:
    async with target.driver.session() as session:
        await session.run("NUMBERS", n=9)
        await (await session.run("NUMBERS", n=1)).single()


async def fetch(target: DriverTarget) -> None:
    async with target.driver.session() as session:
        await session.fetch("NUMBERS")
        await session.execute("NUMBERS")


async def batches(target: DriverTarget) -> None:
    async with target.driver.session() as session:
        async for _ in session.batches("NUMBERS", {"n": 7}, fetch_size=2):
            pass


async def batches_partly(target: DriverTarget) -> None:
    async with target.driver.session() as session:
        async for _ in session.batches("NUMBERS", {"n": 9}, fetch_size=2):
            break


async def execute_many(target: DriverTarget) -> None:
    async with target.driver.session() as session:
        await session.execute_many("NUMBERS", range(30), batch_rows=7)


async def execute_many_from_async(target: DriverTarget) -> None:
    async def rows() -> Any:
        for number in range(30):
            await asyncio.sleep(0)
            yield number

    async with target.driver.session() as session, await session.begin_transaction() as tx:
        await tx.execute_many("NUMBERS", rows(), batch_rows=7)


async def verify_connectivity(target: DriverTarget) -> None:
    await target.driver.verify_connectivity()


async def verify_authentication(target: DriverTarget) -> None:
    assert await target.driver.verify_authentication()


async def verify_other_authentication(target: DriverTarget) -> None:
    assert await target.driver.verify_authentication(auth=("other", "p"))


async def someone_else(target: DriverTarget) -> None:
    async with target.driver.session(auth=("other", "p")) as session:
        await session.run("NUMBERS")
        await session.fetch("NUMBERS")


async def someone_else_begins(target: DriverTarget) -> None:
    async with target.driver.session(auth=("other", "p")) as session, await session.begin_transaction() as tx:
        await tx.fetch("NUMBERS")


async def two_tasks(target: DriverTarget) -> None:
    """The second waits for the one connection."""
    tasks = [_spawned(act(target)) for act in (commit, execute_query)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def questions(target: DriverTarget) -> None:
    assert await target.driver.supports_multi_db()
    await target.driver.get_server_info()


# The client


async def connect(target: ConnectTarget) -> None:
    async with target.connect():
        pass


async def connect_and_fetch(target: ConnectTarget) -> None:
    async with target.connect() as session:
        await session.fetch("NUMBERS")


async def reconnect(target: SessionTarget) -> None:
    target.session.abort()  # what is up stays up
    await target.session.reconnect()


async def ping(target: SessionTarget) -> None:
    await target.session.ping()


async def reset(target: SessionTarget) -> None:
    await target.session.reset()


async def close(target: SessionTarget) -> None:
    fetching = _spawned(target.session.fetch("NUMBERS"))
    try:
        await asyncio.sleep(0)
        target.session.close()
        await target.session.wait_closed()
    finally:
        fetching.cancel()
        await asyncio.wait((fetching,))
        target.session.abort()
        target.session = None


async def acquire(target: PoolTarget) -> None:
    async with target.pool.acquire():
        pass


async def pool_fetch(target: PoolTarget) -> None:
    async with target.pool.acquire() as session:
        await session.fetch("NUMBERS")
        await session.execute("NUMBERS")


async def pool_run(target: PoolTarget) -> None:
    async with target.pool.acquire() as session:
        async for _ in session.run("NUMBERS", {"n": 7}):
            pass


async def pool_batches(target: PoolTarget) -> None:
    async with target.pool.acquire() as session:
        async for _ in session.batches("NUMBERS", {"n": 9}, fetch_size=2):
            pass
        async for _ in session.batches("NUMBERS", {"n": 9}, fetch_size=2):
            break


async def pool_execute_many(target: PoolTarget) -> None:
    await target.pool.execute_many("NUMBERS", range(30), batch_rows=7)


async def pool_commit(target: PoolTarget) -> None:
    async with target.pool.acquire() as session, session.transaction() as tx:
        await tx.fetch("NUMBERS")
        async for _ in tx.batches("NUMBERS", {"n": 5}, fetch_size=2):
            break


async def pool_begin(target: PoolTarget) -> None:
    async with target.pool.acquire() as session:
        tx = session.transaction()
        await tx.begin()
        await tx.execute("NUMBERS")
        await tx.rollback()


async def pool_failing_block(target: PoolTarget) -> None:
    try:
        async with target.pool.acquire() as session, session.transaction() as tx:
            await tx.fetch("NUMBERS")
            raise InterruptedError
    except InterruptedError:
        pass


# With limits of their own, and none around them


async def own_connect(target: ConnectTarget) -> None:
    session = await target.connect(timeout=LIMIT)
    session.abort()
    await session.wait_closed()


async def own_acquire(target: PoolTarget) -> None:
    session = await target.pool.acquire(timeout=LIMIT)
    await target.pool.release(session)


async def own_verify(target: DriverTarget) -> None:
    await target.driver.verify_connectivity(connection_acquisition_timeout=LIMIT)


async def own_verify_authentication(target: DriverTarget) -> None:
    assert await target.driver.verify_authentication(connection_acquisition_timeout=LIMIT)


async def own_verify_other(target: DriverTarget) -> None:
    assert await target.driver.verify_authentication(("other", "p"), connection_acquisition_timeout=LIMIT)


async def own_fetch(target: SessionTarget) -> None:
    await target.session.fetch("NUMBERS", timeout=LIMIT)


async def own_execute_many(target: SessionTarget) -> None:
    await target.session.execute_many("NUMBERS", range(30), batch_rows=7, timeout=LIMIT)


async def own_begin(target: SessionTarget) -> None:
    await target.session.transaction(timeout=LIMIT).begin()


async def own_transaction(target: SessionTarget) -> None:
    async with target.session.transaction(timeout=LIMIT) as tx:
        await tx.fetch("NUMBERS")


async def own_commit(target: SessionTarget) -> None:
    await target.session.transaction().commit(timeout=LIMIT)


async def own_rollback(target: SessionTarget) -> None:
    tx = target.session.transaction()
    await tx.fetch("NUMBERS", timeout=LIMIT)
    await tx.rollback(timeout=LIMIT)


async def own_ping(target: SessionTarget) -> None:
    await target.session.ping(timeout=LIMIT)


async def own_reset(target: SessionTarget) -> None:
    await target.session.reset(timeout=LIMIT)


async def own_reconnect(target: SessionTarget) -> None:
    target.session.abort()
    await target.session.reconnect(timeout=LIMIT)


async def own_close(target: SessionTarget) -> None:
    session, target.session = target.session, None
    fetching = _spawned(session.fetch("NUMBERS"))
    await asyncio.sleep(0)
    session.close(timeout=LIMIT)
    await session.wait_closed()
    await asyncio.wait((fetching,))


async def leave(target: ConnectTarget) -> None:
    """The end of the block is bounded by itself, whoever has been given up in it."""
    async with target.connect(timeout=LIMIT) as session:
        fetching = _spawned(session.fetch("NUMBERS"))
        await asyncio.sleep(0)
        fetching.cancel()
        await asyncio.wait((fetching,))


async def close_driver(target: DriverTarget) -> None:
    running = _spawned(execute_query(target))
    await asyncio.sleep(0)
    await target.driver.close()
    await asyncio.wait((running,))
    await target.open()


async def close_pool(target: PoolTarget) -> None:
    acquiring = [_spawned(pool_fetch(target)) for _ in range(2)]
    await asyncio.sleep(0)
    await target.pool.close(timeout=LIMIT)
    await asyncio.wait(acquiring)
    await target.open()


def _spawned(step: Any) -> asyncio.Task[Any]:
    """A task of *step* that may fail without anybody looking."""
    task = asyncio.get_running_loop().create_task(step)
    task.add_done_callback(lambda task: None if task.cancelled() else task.exception())
    return task


_DRIVER_ACTS: tuple[Act, ...] = (
    execute_query, execute_read, execute_write, commit, rollback, failing_block, bare, run, run_partly,
    run_twice, fetch, batches, batches_partly, execute_many, execute_many_from_async, verify_connectivity,
    verify_authentication, verify_other_authentication, someone_else, someone_else_begins, two_tasks,
    questions,
)  # fmt: skip
_POOL_ACTS: tuple[Act, ...] = (
    acquire, pool_fetch, pool_run, pool_batches, pool_execute_many, pool_commit, pool_begin,
    pool_failing_block,
)  # fmt: skip

GROUPS: dict[str, tuple[Operation, ...]] = {
    "client": (
        Operation(ConnectTarget, connect, warm=False),
        Operation(ConnectTarget, connect_and_fetch, warm=False),
        *(Operation(SessionTarget, act, warm=True) for act in (reconnect, ping, reset, close)),
        *(Operation(PoolTarget, act, warm=False) for act in _POOL_ACTS),
        *(Operation(PoolTarget, act, warm=True) for act in _POOL_ACTS[1:]),
        Operation(AgedPoolTarget, acquire, warm=True),
    ),
    "driver": tuple(Operation(DriverTarget, act, warm=False) for act in _DRIVER_ACTS),
    "driver, connected": tuple(Operation(DriverTarget, act, warm=True) for act in _DRIVER_ACTS),
    "driver, routed or asking": (
        *(
            Operation(RoutedTarget, act, warm=warm)
            for act in (execute_query, commit, run, verify_connectivity)
            for warm in (False, True)
        ),
        *(
            Operation(DriverTarget, act, warm=True, liveness_check_timeout=0)
            for act in (execute_query, commit, run_partly, someone_else)
        ),
    ),
    "own limits": (
        Operation(ConnectTarget, own_connect, warm=False, own=LIMIT),
        Operation(PoolTarget, own_acquire, warm=False, own=LIMIT),
        Operation(AgedPoolTarget, own_acquire, warm=True, own=LIMIT),
        *(
            Operation(SessionTarget, act, warm=True, own=LIMIT)
            for act in (own_fetch, own_execute_many, own_begin, own_transaction, own_commit, own_rollback,
                        own_ping, own_reset, own_reconnect, own_close)
        ),
        *(
            Operation(kind, act, warm=warm, own=LIMIT)
            for kind, act, warm in (
                (DriverTarget, own_verify, False), (DriverTarget, own_verify_authentication, False),
                (DriverTarget, own_verify_authentication, True), (DriverTarget, own_verify, True),
                (DriverTarget, own_verify_other, True), (RoutedTarget, own_verify, False),
            )
        ),
        Operation(ConnectTarget, leave, warm=False, own=5.0),
        # Closed while they connect, they do not even ask.
        Operation(DriverTarget, close_driver, warm=True, own=5.0),
        Operation(PoolTarget, close_pool, warm=True, own=LIMIT),
    ),
}  # fmt: skip


class Talk:
    """What an undisturbed operation takes: the bytes that come, and how often it waits."""

    def __init__(self, sent: bytes, waits: int) -> None:
        self.sent = sent
        self.waits = waits

    def near_borders(self) -> list[int]:
        """The bytes at and beside the ends of messages; all of the handshake's."""
        wanted = set(range(6))
        place = self.sent.find(b"\0\0")
        while place >= 0:
            wanted.update((place, place + 1, place + 2, place + 3))
            place = self.sent.find(b"\0\0", place + 1)
        return sorted(k for k in wanted if k < len(self.sent))


class Case:
    """One operation with a peer that is silent from byte *k* on, given up in one *style*."""

    def __init__(self, operation: Operation, k: int, style: Style) -> None:
        self.operation = operation
        self.k = k
        self.style = style

    def __repr__(self) -> str:
        return f"{self.operation}, silent from byte {self.k} on, {self.style}"

    async def run(self, port: int, judge: Judge) -> None:
        """Run it; what is wrong is told to *judge*."""
        operation = self.operation
        async with ChaosProxy(port) as proxy:
            target = operation.target(proxy.port, dict(operation.options))
            await target.open()
            try:
                if operation.warm:
                    await target.use()
                proxy.down_budget = self.k
                judge.releases[str(self)] = proxy.cut
                gave_up = True
                try:
                    await judge.call(str(self), self.style, operation.act(target))
                    gave_up = False
                except TimeLimit:
                    return
                except (asyncio.CancelledError, BoltError, TimeoutError, asyncio.TimeoutError):
                    pass
                finally:
                    del judge.releases[str(self)]
                # Its place is free by itself, while the peer is as silent as ever.
                if not await judge.settles(f"{self}: the connection is in use", 1.5 * RESET,
                                           lambda: not target.in_use()):  # fmt: skip
                    return
                # What nobody had to notice goes on; what was given up stays silent.
                await proxy.heal("stay" if gave_up else "resume")
                await self._works(target, judge)
            finally:
                # How closing does on silent lines is asked by operations of their own.
                await proxy.heal("reset")
                proxy.cut()
                with contextlib.suppress(BoltError, TimeoutError, TimeLimit):
                    await judge.call(f"{self}: closing", Style("own", 5.0), target.close())

    async def _works(self, target: Target, judge: Judge) -> None:
        what = f"{self}: afterwards"
        # A session that is shared does not know that its line is dead until one more call has given up.
        tries = 4 if isinstance(target, (SessionTarget, AgedPoolTarget)) else 1
        error: BaseException | None = None
        for _ in range(tries):
            try:
                await judge.call(what, Style("timeout", RESET + _FRESH), target.use())
                return
            except (BoltError, TimeoutError, asyncio.TimeoutError, asyncio.CancelledError) as caught:
                error = caught
            except TimeLimit:
                return
        judge.say(f"{what}: it does not work: {error!r}")


async def measure_talk(operation: Operation, port: int) -> Talk:
    """Run *operation* undisturbed."""
    async with ChaosProxy(port) as proxy:
        target = operation.target(proxy.port, dict(operation.options))
        await target.open()
        try:
            if operation.warm:
                await target.use()
            proxy.log = bytearray()
            waits = 0

            def count() -> None:
                nonlocal waits
                waits += 1

            await chaos_run.Counted(operation.act(target), None, count)
            assert proxy.log, f"{operation}: the server says nothing, so it cannot fall silent"
            return Talk(bytes(proxy.log), waits)
        finally:
            await target.close()


def some_cases(operation: Operation, talk: Talk, chance: random.Random, most: int) -> list[Case]:
    """Some of all cases of *operation*: near the ends of messages, and anywhere, *most* at most."""
    near = talk.near_borders()
    ks = chance.sample(near, min(len(near), most - most // 4))
    others = [k for k in range(len(talk.sent)) if k not in ks]
    ks += chance.sample(others, min(len(others), most - len(ks)))
    return [Case(operation, k, _style(operation, talk, chance)) for k in ks]


def all_cases(operation: Operation, talk: Talk) -> Iterable[Case]:
    """Every byte, with every style, and cancelled at every await."""
    for k in range(len(talk.sent)):
        if operation.own is not None:
            yield Case(operation, k, Style("own", operation.own))
            continue
        for kind in ("timeout", "wait_for"):
            yield Case(operation, k, Style(kind, LIMIT))
        for at in range(talk.waits + 1):
            for twice in (False, True):
                yield Case(operation, k, Style("await", LIMIT, at, twice=twice))


def _style(operation: Operation, talk: Talk, chance: random.Random) -> Style:
    if operation.own is not None:
        return Style("own", operation.own)
    kind = chance.choice(("timeout", "wait_for", "await", "await", "turn"))
    at = chance.randrange(talk.waits + 1) if kind == "await" else chance.randrange(60)
    return Style(kind, LIMIT, at, twice=chance.random() < 0.25)


async def run_cases(
    cases: Iterable[Case], port: int, machine: MachineStalls, *, at_once: int | None = None
) -> Judge:
    """Run *cases*, *at_once* of them at a time (None: as many as a loop can do in time)."""
    judge = Judge(machine)
    source = iter(cases)
    if at_once is None:
        at_once = 12 if asyncio.get_running_loop().get_debug() else 24  # debug mode is slow

    async def work() -> None:
        for case in source:
            await case.run(port, judge)

    with judge:
        async with chaos_run.no_new_tasks(judge, 2 * RESET):
            await asyncio.gather(*(work() for _ in range(at_once)))
    return judge


async def serve() -> Any:
    """A server of `Shop`."""
    return await asyncbolt.create_server(Shop, port=0, grace=0.1)


def report(wrong: list[str]) -> str:
    """What was wrong, in a text that is not too long: a few of each operation."""
    counts: Counter[str] = Counter()
    lines = [f"{len(wrong)} things were wrong:"]
    for line in wrong:
        operation = line.partition(",")[0]
        counts[operation] += 1
        if counts[operation] <= 3:
            lines.append("  " + line)
    if len(counts) > 1:
        lines.append("  in all: " + ", ".join(f"{name} {count}" for name, count in counts.most_common()))
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------------- by hand


def main() -> int:
    operations = {repr(operation): operation for group in GROUPS.values() for operation in group}
    parser = argparse.ArgumentParser(description="operations with a peer that is silent from a byte on")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--every", action="store_true", help="every byte and await, until the time is over")
    parser.add_argument("--operation", choices=operations, metavar="NAME", help="this one alone")
    parser.add_argument("--flavour", choices=chaos_run.FLAVOURS, help="this kind of loop alone")
    parser.add_argument("--first", type=int, default=0, help="the seed to begin with")
    options = parser.parse_args()
    chosen = [operations[options.operation]] if options.operation else list(operations.values())
    flavours = [options.flavour] if options.flavour else list(chaos_run.FLAVOURS)
    print(chaos_run.header(flavours), flush=True)
    end = time.monotonic() + 60 * options.minutes
    count = bad = 0

    def until_the_end(cases: Iterable[Case]) -> Iterator[Case]:
        nonlocal count
        for case in cases:
            if time.monotonic() > end:
                return
            count += 1
            yield case

    with MachineStalls() as machine, chaos_run.short_resets():
        for seed in itertools.count(options.first):
            for flavour, operation in itertools.product(flavours, chosen):
                if time.monotonic() > end:
                    break
                wrong: list[str] = []

                async def run_them(
                    operation: Operation = operation, seed: int = seed, wrong: list[str] = wrong
                ) -> None:
                    async with await serve() as server:
                        port = server.sockets[0].getsockname()[1]
                        talk = await measure_talk(operation, port)
                        chance = random.Random(f"{operation} {seed}")
                        cases = all_cases(operation, talk) if options.every else some_cases(
                            operation, talk, chance, 24)  # fmt: skip
                        judge = await run_cases(until_the_end(cases), port, machine)
                        wrong.extend(judge.wrong)

                wrong += chaos_run.loop_run(flavour, run_them, debug=chaos_run.debug_of(flavour))
                bad += bool(wrong)
                if wrong:
                    print(f"seed {seed}, {flavour}: {report(wrong)}", flush=True)
                print(f"{count} cases, {bad} runs with something wrong; {operation} on {flavour}", flush=True)
            if options.every or time.monotonic() > end:
                break
    return bool(bad)


if __name__ == "__main__":
    raise SystemExit(main())
