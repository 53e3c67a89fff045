"""Every wait of the driver has an end, and what a silent server takes is given back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohelp import LOOPS, aiotest
from chaos_proxy import ChaosProxy, Fault, Plan
from driver_servers import Numbers, driver_of, settled, until
from mute_peers import KINDS, black_hole, ends_within, peer

import asyncbolt
from asyncbolt.auth_management import AsyncAuthManager, AsyncAuthManagers
from asyncbolt.driver import connection as connections
from asyncbolt.driver import pool as pools
from asyncbolt.exceptions import (
    ConnectionAcquisitionTimeoutError,
    ConnectionPoolError,
    DriverError,
    ServiceUnavailable,
    SessionExpired,
)

opening = importlib.import_module("asyncbolt.client.connect")

SHORT = 0.3


@contextlib.asynccontextmanager
async def stallable(**options: Any) -> AsyncIterator[tuple[ChaosProxy, asyncbolt.AsyncDriver]]:
    """A driver of a server behind a proxy."""
    async with await asyncbolt.create_server(Numbers, port=0) as server:
        async with ChaosProxy(server.sockets[0].getsockname()[1]) as proxy:
            async with driver_of(proxy.port, **options) as driver:
                yield proxy, driver


def stall(proxy: ChaosProxy, *, new: bool = False) -> None:
    """The connections that there are fall silent for good; with *new*, those that will be are silent too."""
    for line in proxy.lines:
        line.up.set(Fault("swallow"))
        line.down.set(Fault("swallow"))
    if new:
        proxy.plan = lambda number: Plan(accept="silent")


@pytest.fixture
def short_resets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is silent for so long is given up."""
    defaults = dict(opening.Opener.__init__.__kwdefaults__)
    monkeypatch.setattr(opening.Opener.__init__, "__kwdefaults__", {**defaults, "reset_timeout": SHORT})


async def fetched(driver: asyncbolt.AsyncDriver, statement: str = "NUMBERS", **options: Any) -> Any:
    async with driver.session(**options) as session:
        return await session.fetch(statement)


async def ran(driver: asyncbolt.AsyncDriver) -> Any:
    async with driver.session() as session:
        return await session.run("NUMBERS")


async def began(driver: asyncbolt.AsyncDriver) -> Any:
    async with driver.session() as session:
        return await session.begin_transaction()


# ---------------------------------------------------------------- acquiring


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
@aiotest(loops=LOOPS)
async def test_a_connection_is_there_in_time_or_not(kind: str, scheme: str) -> None:
    async with peer(KINDS[kind]) as port:
        options = {"connection_acquisition_timeout": SHORT, "max_transaction_retry_time": 0}
        async with driver_of(port, scheme, **options) as driver:
            waits = [
                driver.verify_connectivity(),
                driver.verify_authentication(),
                driver.get_server_info(),
                driver.supports_multi_db(),
                driver.execute_query("NUMBERS"),
                ran(driver),
                fetched(driver, database="x"),
                began(driver),
            ]
            outcomes = await ends_within(2 * SHORT, asyncio.gather(*waits, return_exceptions=True))
            for outcome in outcomes:
                assert isinstance(outcome, DriverError), outcome
            assert not (await settled(driver)).addresses


@aiotest
async def test_a_peer_without_syn() -> None:
    with black_hole() as port:
        async with driver_of(port, connection_acquisition_timeout=SHORT) as driver:
            with pytest.raises(ConnectionAcquisitionTimeoutError):
                await ends_within(SHORT, driver.verify_connectivity())
        async with driver_of(port, connection_timeout=SHORT) as driver:
            with pytest.raises(ServiceUnavailable):
                await ends_within(SHORT, driver.verify_connectivity())
        unlimited = {"connection_acquisition_timeout": math.inf, "connection_timeout": SHORT}
        async with driver_of(port, **unlimited) as driver:
            with pytest.raises(ServiceUnavailable):
                await ends_within(SHORT, driver.verify_connectivity())


@pytest.mark.parametrize("idle", [1, 6])
@aiotest
async def test_idle_connections_that_are_dead_are_noticed_once(idle: int) -> None:
    options = {"liveness_check_timeout": 0, "connection_acquisition_timeout": 1.0}
    async with stallable(**options) as (proxy, driver):
        sessions = [driver.session() for _ in range(idle)]
        for session in sessions:
            await session.begin_transaction()
        for session in sessions:
            await session.close()
        assert (await settled(driver)).idle == idle
        stall(proxy)
        assert len(await ends_within(1.0, fetched(driver))) == 3
        stats = await settled(driver)
        assert (stats.opened, stats.closed, stats.idle) == (idle + 1, idle, 1)


@aiotest
async def test_one_limit_for_all_steps_of_an_idle_connection() -> None:
    options = {"liveness_check_timeout": 0, "connection_acquisition_timeout": SHORT}
    async with stallable(**options) as (proxy, driver):
        await driver.execute_query("NUMBERS")
        stall(proxy, new=True)
        with pytest.raises(ConnectionAcquisitionTimeoutError):
            await ends_within(SHORT, fetched(driver))


@aiotest
async def test_verifying_credentials_on_a_connection_that_went_silent() -> None:
    async with stallable(connection_acquisition_timeout=SHORT) as (proxy, driver):
        await driver.verify_connectivity()
        stall(proxy)
        with pytest.raises(ConnectionAcquisitionTimeoutError, match="login"):
            await ends_within(SHORT, driver.verify_authentication())
        assert (await settled(driver)).in_use == 0
        assert await ends_within(1, driver.verify_authentication())


class Hanging:
    """Functions of the user's that hang, and do not even let themselves be cancelled."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.waiting = 0

    async def __call__(self, *_: Any) -> Any:
        self.waiting += 1
        try:
            while not self.over.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await self.over.wait()
        finally:
            self.waiting -= 1


class HangingManager(AsyncAuthManager):
    def __init__(self, hanging: Hanging, *, at: str) -> None:
        self.hanging = hanging
        self.at = at

    async def get_auth(self) -> Any:
        if self.at == "get_auth":
            await self.hanging()
        return ("u", "p")

    async def handle_security_exception(self, auth: Any, error: Any) -> bool:
        await self.hanging()
        return False


@pytest.mark.parametrize(
    "what", ["get_auth", "provider", "resolver", "certificate", "session auth", "bookmarks"]
)
@aiotest
async def test_functions_of_the_user_that_hang(what: str) -> None:
    hanging = Hanging()
    options: dict[str, Any] = {}
    session: dict[str, Any] = {}
    if what == "get_auth":
        options["auth"] = HangingManager(hanging, at="get_auth")
    elif what == "provider":
        options["auth"] = AsyncAuthManagers.basic(hanging)
    elif what == "resolver":
        options["resolver"] = hanging
    elif what == "certificate":

        class Provider:
            get_certificate = hanging.__call__

        options.update(client_certificate=Provider(), encrypted=True)
    elif what == "session auth":
        session["auth"] = HangingManager(hanging, at="get_auth")
    else:
        managed = asyncbolt.AsyncGraphDatabase.bookmark_manager(bookmarks_supplier=hanging)
        session["bookmark_manager"] = managed
    options.setdefault("auth", ("u", "p"))
    async with await asyncbolt.create_server(Numbers, port=0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncbolt.AsyncGraphDatabase.driver(
            f"bolt://127.0.0.1:{port}", connection_acquisition_timeout=SHORT, **options
        ) as driver:
            with pytest.raises(ConnectionAcquisitionTimeoutError, match="gave no answer"):
                await ends_within(SHORT, fetched(driver, **session))
            assert (await settled(driver)).in_use == 0
            hanging.over.set()
            await until(lambda: not hanging.waiting)


@aiotest
async def test_who_is_told_of_what_happened_may_hang(caplog: pytest.LogCaptureFixture) -> None:
    """What was committed is committed, and a failure is a failure, whoever is told of it."""
    hanging = Hanging()
    manager = asyncbolt.AsyncGraphDatabase.bookmark_manager(bookmarks_consumer=hanging)

    class Refusing(Numbers):
        async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
            if statement == "REFUSED":
                raise asyncbolt.ClientError("no", code="Neo.ClientError.Security.Forbidden")
            return asyncbolt.Result(["n"], [(1,)], {"bookmark": "b"})

    async with await asyncbolt.create_server(Refusing, port=0) as server:
        auth = HangingManager(hanging, at="handle_security_exception")
        async with asyncbolt.AsyncGraphDatabase.driver(
            f"bolt://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            auth=auth,
            connection_acquisition_timeout=SHORT,
        ) as driver:
            with caplog.at_level(logging.ERROR, "asyncbolt.driver"):
                async with driver.session(bookmark_manager=manager) as session:
                    assert await ends_within(SHORT, session.fetch("NUMBERS")) == [(1,)]
                async with driver.session() as session:
                    with pytest.raises(asyncbolt.ClientError, match="no"):
                        await ends_within(SHORT, session.fetch("REFUSED"))
            assert [record.message.split(" is not waited")[0] for record in caplog.records] == [
                "a bookmark manager",
                "an auth manager",
            ]
            hanging.over.set()
            await until(lambda: not hanging.waiting)


# ---------------------------------------------------------------- places


async def query(driver: asyncbolt.AsyncDriver) -> None:
    await driver.execute_query("NUMBERS")


async def write(driver: asyncbolt.AsyncDriver) -> None:
    async def work(tx: asyncbolt.AsyncManagedTransaction) -> None:
        await tx.fetch("NUMBERS")

    async with driver.session() as session:
        await session.execute_write(work)


async def begin(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session() as session:
        await session.begin_transaction()


async def verify(driver: asyncbolt.AsyncDriver) -> None:
    await driver.verify_authentication()


async def other_user(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session(auth=("other", "p")) as session:
        await session.fetch("NUMBERS")


async def run(driver: asyncbolt.AsyncDriver) -> None:
    async with driver.session() as session:
        await session.run("NUMBERS")


@pytest.mark.parametrize("operation", [query, write, begin, verify, other_user, run])
@aiotest(loops=LOOPS)
async def test_what_is_given_up_on_a_silent_server_gives_its_place_back(
    operation: Any, short_resets: None
) -> None:
    async with stallable(max_connection_pool_size=3) as (proxy, driver):
        await asyncio.gather(*(driver.execute_query("NUMBERS") for _ in range(3)))
        stall(proxy)
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await ends_within(0.1, asyncio.wait_for(operation(driver), 0.1))
        await ends_within(SHORT, settled(driver))
        assert len((await ends_within(1, driver.execute_query("NUMBERS"))).records) == 3


@aiotest
async def test_others_do_not_wait_for_the_whole_limit_of_a_silent_connection() -> None:
    """RESET's limit is five seconds; who waits for the place gets it after one."""
    options = {"max_connection_pool_size": 1, "connection_acquisition_timeout": 4}
    async with stallable(**options) as (proxy, driver):
        await driver.execute_query("NUMBERS")
        stall(proxy)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(driver.execute_query("NUMBERS"), 0.1)
        assert driver.pool_stats().in_use == 1
        await ends_within(1.0, driver.execute_query("NUMBERS"))


@pytest.mark.parametrize("rollback", ["rollback", "close", "block", "cancelled"])
@aiotest
async def test_a_rollback_on_a_silent_server(
    rollback: str, short_resets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CLOSE_TIMEOUT", SHORT)

    async def use(driver: asyncbolt.AsyncDriver, proxy: ChaosProxy) -> None:
        async with driver.session() as session:
            tx = await session.begin_transaction()
            await tx.fetch("NUMBERS")
            if rollback == "block":
                with pytest.raises((KeyError, ServiceUnavailable)):
                    async with tx:
                        stall(proxy)
                        raise KeyError
            elif rollback == "cancelled":
                stall(proxy)
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(tx.rollback(), 0.05)
            else:
                stall(proxy)
                with pytest.raises(ServiceUnavailable):
                    await getattr(tx, rollback)()

    async with stallable(max_connection_pool_size=1) as (proxy, driver):
        await ends_within(SHORT, use(driver, proxy))
        await ends_within(SHORT, settled(driver))
        await ends_within(1, driver.execute_query("NUMBERS"))


async def run_and_read(driver: asyncbolt.AsyncDriver) -> None:
    result = await driver.session(fetch_size=10).run("NUMBERS", n=1000)
    await result.fetch(3)


async def run_only(driver: asyncbolt.AsyncDriver) -> None:
    await driver.session(fetch_size=10).run("NUMBERS", n=1000)


async def break_off(driver: asyncbolt.AsyncDriver) -> None:
    async for _ in driver.session().batches("NUMBERS", {"n": 1000}, fetch_size=10):
        break


async def leave_open(driver: asyncbolt.AsyncDriver) -> None:
    await driver.session().begin_transaction()


async def leave_open_and_run(driver: asyncbolt.AsyncDriver) -> None:
    tx = await driver.session(fetch_size=10).begin_transaction()
    result = await tx.run("NUMBERS", n=1000)
    await result.fetch(2)


@pytest.mark.parametrize("drop", [run_and_read, run_only, break_off, leave_open, leave_open_and_run])
@aiotest(loops=LOOPS)
async def test_a_session_that_is_dropped_gives_its_connection_back(drop: Any) -> None:
    async with stallable(max_connection_pool_size=1, connection_acquisition_timeout=5) as (_, driver):
        with pytest.warns(ResourceWarning, match="AsyncSession"):
            await drop(driver)
            gc.collect()
        assert (await ends_within(1, settled(driver))).in_use == 0
        await ends_within(1, driver.execute_query("NUMBERS"))


# ---------------------------------------------------------------- closing


@pytest.mark.parametrize("read", [0, 3])
@aiotest(loops=LOOPS)
async def test_closing_a_session_whose_server_is_gone(read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CLOSE_TIMEOUT", 2 * SHORT)
    async with stallable() as (proxy, driver):
        session = driver.session(fetch_size=10)
        result = await session.run("NUMBERS", n=1000)
        await result.fetch(read)
        stall(proxy, new=True)
        await ends_within(2 * SHORT, session.close())
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_closing_a_session_waits_for_a_statement_whose_server_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A commit may take its time; it must not be cut because nobody asked for its summary."""
    monkeypatch.setattr(connections, "CLOSE_TIMEOUT", 0.1)
    finish = asyncio.Event()
    done = []

    class Slow(asyncbolt.ServerSession):
        async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
            async def rows() -> AsyncIterator[tuple[int]]:
                yield (1,)
                await finish.wait()
                done.append(statement)

            return asyncbolt.Result(["n"], rows())

    async with await asyncbolt.create_server(Slow, port=0) as server:
        async with driver_of(server.sockets[0].getsockname()[1]) as driver:
            session = driver.session()
            await session.run("SLOW")
            closing = asyncio.create_task(session.close())
            await asyncio.sleep(0.5)
            assert not closing.done()
            finish.set()
            await ends_within(1, closing)
            assert done == ["SLOW"]


@aiotest(loops=LOOPS)
async def test_closing_a_driver_ends_what_waits_for_it() -> None:
    async with peer(KINDS["silent"]) as port:
        driver = driver_of(port, max_connection_pool_size=1)
        waiting = [
            asyncio.create_task(step)
            for step in (driver.execute_query("X"), ran(driver), driver.verify_connectivity())
        ]
        for _ in range(10):
            await asyncio.sleep(0)
        await ends_within(0, driver.close())
        outcomes = await ends_within(0, asyncio.gather(*waiting, return_exceptions=True))
        assert [type(outcome) for outcome in outcomes] == [ConnectionPoolError] * 3


@aiotest(loops=LOOPS)
async def test_leaving_a_driver_that_is_silent_when_cancelled() -> None:
    async def use() -> None:
        async with stallable() as (proxy, driver):
            await driver.execute_query("NUMBERS")
            stall(proxy, new=True)
            async with driver:
                await driver.execute_query("NUMBERS")

    with pytest.raises(asyncio.TimeoutError):
        await ends_within(0.2, asyncio.wait_for(use(), 0.2))


# ---------------------------------------------------------------- clusters


class Member(Numbers):
    """Names the servers that are told to it."""

    servers: list[tuple[str, str]] = []

    def route(self, context: Any) -> Any:
        roles: dict[str, list[str]] = {}
        for role, address in type(self).servers:
            roles.setdefault(role, []).append(address)
        return {"ttl": 300, "servers": [{"role": role, "addresses": roles[role]} for role in roles]}


@contextlib.asynccontextmanager
async def cluster(**roles: list[int]) -> AsyncIterator[int]:
    """A router that also serves; *roles* are ports, 0 for its own."""

    class Router(Member):
        servers = []

    async with await asyncbolt.create_server(Router, port=0) as server:
        own = server.sockets[0].getsockname()[1]
        Router.servers = [
            (role, f"127.0.0.1:{port or own}") for role, ports in roles.items() for port in ports
        ]
        yield own


@pytest.mark.parametrize("kind", ["silent", "greets", "noops"])
@aiotest
async def test_a_silent_member_has_its_share_and_is_not_asked_again(kind: str) -> None:
    limit = {"connection_acquisition_timeout": 0.8}
    async with peer(KINDS[kind]) as bad, cluster(ROUTE=[0], READ=[bad, 0], WRITE=[0]) as port:
        async with driver_of(port, "neo4j", **limit) as driver:
            pool = driver._pool()
            for _ in range(20):  # until it was chosen
                async with driver.session(default_access_mode="READ") as session:
                    assert len(await ends_within(0.8, session.fetch("NUMBERS"))) == 3
                readers = pool.tables[None].readers
                if len(readers) == 1:
                    break
            assert len(readers) == 1
            rows = await ends_within(
                0.8, asyncio.gather(*(fetched(driver) for _ in range(20)))
            )
            assert len(rows) == 20


@aiotest
async def test_a_silent_member_alone_is_retried_elsewhere() -> None:
    """The time is over, but the next try asks the router again."""
    limit = {"connection_acquisition_timeout": SHORT, "initial_retry_delay": 0.01}
    async with peer(KINDS["silent"]) as bad, cluster(ROUTE=[0], READ=[0], WRITE=[bad]) as port:
        async with driver_of(port, "neo4j", **limit) as driver:
            with pytest.raises(ConnectionAcquisitionTimeoutError) as caught:
                await ends_within(2 * SHORT, fetched(driver))
            assert caught.value.is_retryable()
            assert not driver._pool().tables[None].writers


@aiotest
async def test_a_router_that_is_silent_at_route_is_not_waited_for_long() -> None:
    class Mute(Member):
        async def route(self, context: Any) -> Any:
            await asyncio.Event().wait()

    async with await asyncbolt.create_server(Mute, port=0) as server:
        port = server.sockets[0].getsockname()[1]
        async with driver_of(port, "neo4j", connection_acquisition_timeout=SHORT) as driver:
            with pytest.raises(ServiceUnavailable, match="gave no routing table"):
                await ends_within(2 * SHORT, fetched(driver))
            assert (await settled(driver)).in_use == 0


@aiotest
async def test_a_member_that_falls_silent_is_dropped_from_the_table(short_resets: None) -> None:
    async with await asyncbolt.create_server(Numbers, port=0) as other:
        async with ChaosProxy(other.sockets[0].getsockname()[1]) as proxy:
            async with cluster(ROUTE=[0], READ=[proxy.port], WRITE=[0]) as port:
                async with driver_of(port, "neo4j") as driver:
                    session = driver.session(default_access_mode="READ")
                    await session.fetch("NUMBERS")
                    stall(proxy)
                    with pytest.raises(asyncio.TimeoutError):
                        await asyncio.wait_for(session.fetch("NUMBERS"), 0.1)
                    await ends_within(SHORT, settled(driver))
                    assert not driver._pool().tables[None].readers


@aiotest
async def test_why_a_member_was_lost_is_told() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with peer(http) as bad, cluster(ROUTE=[0], READ=[0], WRITE=[bad]) as port:
        async with driver_of(port, "neo4j", max_transaction_retry_time=5) as driver:
            with pytest.raises(SessionExpired, match=rf"no server takes writes: .*:{bad}: .*HTTP") as caught:
                await ends_within(1, driver.execute_query("X"))  # it will not heal: no second try
            assert not caught.value.is_retryable()
            chain = []
            error: BaseException | None = caught.value
            while error is not None:
                chain.append(str(error))
                error = error.__cause__
            assert any("no server left for writes" in text for text in chain) and len(chain) >= 3
    async with cluster(ROUTE=[0], READ=[0], WRITE=[1]) as port:
        async with driver_of(port, "neo4j", max_transaction_retry_time=0) as driver:
            with pytest.raises(SessionExpired, match=r"127\.0\.0\.1:1: cannot connect") as caught:
                await fetched(driver, "X")
            assert caught.value.is_retryable()


def test_constants() -> None:
    assert pools._IMPATIENCE == 1.0 and connections.CLOSE_TIMEOUT == 5.0
