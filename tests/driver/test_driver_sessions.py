"""Sessions, transactions and results, against a server of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohelp import LOOPS, aiotest
from driver_servers import Numbers, Proxy, driver_of, serving, settled, until

import asyncbolt
from asyncbolt.driver import clock
from asyncbolt.exceptions import (
    ClientError,
    ConfigurationError,
    DriverError,
    PackError,
    ResultConsumedError,
    ResultFailedError,
    ResultNotSingleError,
    ServiceUnavailable,
    SessionError,
    TransactionError,
    TransientError,
)


@aiotest(loops=LOOPS)
async def test_execute_query_and_its_transformers() -> None:
    async with serving() as port, driver_of(port) as driver:
        records, summary, keys = await driver.execute_query("NUMBERS", {"n": 2}, routing_="r")
        assert [record.data() for record in records] == [{"i": 0, "name": "n0"}, {"i": 1, "name": "n1"}]
        assert (keys, summary.query, summary.parameters) == (["i", "name"], "NUMBERS", {"n": 2})
        assert summary.query_type == "r" and summary.server.protocol_version == (6, 1)
        single = await driver.execute_query("NUMBERS", n=1, result_transformer_=asyncbolt.AsyncResult.single)
        assert single is not None and single["name"] == "n0"
        with pytest.raises(ClientError):
            await driver.execute_query("FAIL")
        with pytest.raises(ValueError, match="single '_'"):
            await driver.execute_query("NUMBERS", databse_="x")
        with pytest.raises(ValueError, match="routing_"):
            await driver.execute_query("NUMBERS", routing_="x")
        assert (await settled(driver)).opened == 1


@aiotest
async def test_results_one_way_after_the_other() -> None:
    async with serving() as port, driver_of(port) as driver, driver.session(fetch_size=2) as session:
        result = await session.run("NUMBERS", n=7)
        assert result.keys() == ["i", "name"]
        assert (await result.peek())["i"] == 0  # type: ignore[index]
        assert [record["i"] for record in await result.fetch(3)] == [0, 1, 2]
        assert [record["i"] async for record in result] == [3, 4, 5, 6]
        assert await result.fetch(1) == [] and await result.peek() is None
        assert (await result.consume()).query == "NUMBERS"
        assert result.closed()
        with pytest.raises(ResultConsumedError):
            await result.fetch(1)
        assert await (await session.run("NUMBERS", n=3)).value("name") == ["n0", "n1", "n2"]
        assert await (await session.run("NUMBERS", n=2)).values() == [[0, "n0"], [1, "n1"]]
        assert await (await session.run("NUMBERS", n=2)).values("i") == [[0], [1]]
        frame = await (await session.run("NUMBERS", n=2500)).to_df()
        assert list(frame.columns) == ["i", "name"] and len(frame) == 2500
        with pytest.raises(ResultNotSingleError):
            await (await session.run("NUMBERS", n=0)).single(strict=True)
        with pytest.warns(UserWarning, match="multiple"):
            assert (await (await session.run("NUMBERS", n=3)).single())["i"] == 0  # type: ignore[index]
        assert await (await session.run("NUMBERS", n=0)).single() is None


@aiotest
async def test_a_statement_inside_the_loop_over_another_loses_no_row() -> None:
    async with serving() as port, driver_of(port) as driver, driver.session(fetch_size=3) as session:
        seen = []
        async for record in await session.run("NUMBERS", n=10):
            seen.append(record["i"])
            inner = await session.run("NUMBERS", n=4)
            assert await inner.value() == [0, 1, 2, 3]
        assert seen == list(range(10))
    async with serving() as port, driver_of(port) as driver, driver.session(fetch_size=3) as session:
        async with await session.begin_transaction() as tx:
            first = await tx.run("NUMBERS", n=10)
            seen = []
            async for record in first:
                seen.append(record["i"])
                assert len(await tx.fetch("NUMBERS", {"n": 4})) == 4
            assert seen == list(range(10))


@aiotest
async def test_the_batch_path() -> None:
    async with serving() as port, driver_of(port) as driver, driver.session() as session:
        rows = await session.fetch("NUMBERS", {"n": 5000})
        assert len(rows) == 5000 and rows.fields == ["i", "name"] and rows.summary["type"] == "r"
        count = 0
        async with session.batches("NUMBERS", {"n": 5000}, fetch_size=700) as batches:
            async for batch in batches:
                count += len(batch)
            assert batches.fields == ["i", "name"] and batches.summary is not None
        assert count == 5000
        assert (await session.execute("NUMBERS"))["type"] == "r"
        done = await session.execute_many("NUMBERS", range(2500), batch_rows=1000)
        assert done.rows == 2500
        async with await session.begin_transaction() as tx:
            assert len(await tx.fetch("NUMBERS", {"n": 4})) == 4
            assert (await tx.execute_many("NUMBERS", range(10))).rows == 10
            assert sum([len(batch) async for batch in tx.batches("NUMBERS", {"n": 2500})]) == 2500
        with pytest.raises(ValueError, match="procedure"):
            await session.call("db.labels() RETURN 1 //")
        assert len(await session.call("db.labels", 1)) == 3
        assert Numbers.calls["CALL db.labels($p0)"] == 1


@aiotest
async def test_a_failed_transaction_says_why_and_is_over() -> None:
    async with serving() as port, driver_of(port) as driver, driver.session() as session:
        tx = await session.begin_transaction()
        result = await tx.run("NUMBERS", n=3000)
        with pytest.raises(ClientError):
            await tx.run("FAIL")
        with pytest.raises(TransactionError) as failure:
            await tx.run("NUMBERS")
        assert isinstance(failure.value.__cause__, ClientError)
        with pytest.raises(ResultFailedError):
            await result.values()
        with pytest.raises(TransactionError):
            await tx.commit()
        await tx.close()
        assert len(await session.fetch("NUMBERS")) == 3
        async with await session.begin_transaction() as tx:
            with pytest.raises(TransactionError, match="open already"):
                await session.begin_transaction()
            with pytest.raises(TransactionError):
                await session.run("NUMBERS")
            with pytest.raises(PackError):
                await tx.run("NUMBERS", n={1, 2})
            kept = await tx.run("NUMBERS")  # nothing was sent, so the transaction goes on
        with pytest.raises(ResultConsumedError):
            await kept.values()
        assert (await settled(driver)).opened == 1


@aiotest
async def test_managed_transactions_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    delays = []

    async def no_sleep(seconds: float) -> None:
        delays.append(seconds)

    monkeypatch.setattr("asyncbolt.driver.clock.sleep", no_sleep)
    tries = []

    @asyncbolt.unit_of_work(metadata={"app": "test"}, timeout=3)
    async def work(tx: asyncbolt.AsyncManagedTransaction, statement: str) -> Any:
        tries.append(statement)
        return await (await tx.run(statement)).data()

    async with serving() as port, driver_of(port) as driver, driver.session() as session:
        Numbers.failures["SHAKY"] = 3
        assert len(await session.execute_write(work, "SHAKY")) == 3
        assert tries == ["SHAKY"] * 4
        assert [round(delay) for delay in delays] in ([1, 2, 4], [1, 2, 3], [1, 2, 5])
        assert all(0.8 * 2**n <= delay <= 1.2 * 2**n for n, delay in enumerate(delays))
        with pytest.raises(ClientError):
            await session.execute_write(work, "FAIL")
        assert len(tries) == 5
        Numbers.failures["SHAKY"] = 1
        with pytest.raises(TransientError):
            await session.run("SHAKY")  # auto-commit statements are not
        with pytest.raises(KeyError):
            async def broken(tx: asyncbolt.AsyncManagedTransaction) -> None:
                await tx.run("NUMBERS", n=5000)
                raise KeyError("the user's own")

            await session.execute_write(broken)
        assert (await settled(driver)).opened == 1


@aiotest
async def test_sessions_refuse_what_they_cannot_do() -> None:
    async with serving() as port, driver_of(port) as driver:
        async with driver.session() as session:
            waiting = asyncio.ensure_future(session.run("FOREVER"))
            await until(lambda: session._busy)
            with pytest.raises(SessionError, match="another task"):
                await session.run("NUMBERS")
            waiting.cancel()
            await asyncio.wait((waiting,))
            assert len(await session.fetch("NUMBERS")) == 3
            with pytest.raises(ValueError, match="empty"):
                await session.run("")
            with pytest.raises(TypeError):
                await session.run(3)  # type: ignore[arg-type]
        with pytest.raises(SessionError, match="closed"):
            await session.run("NUMBERS")
        with pytest.raises(ConfigurationError, match="fetch_sise"):
            driver.session(fetch_sise=3)  # type: ignore[call-arg]
    with pytest.raises(DriverError):
        driver.session()


@aiotest
async def test_bookmarks_are_chained() -> None:
    seen: list[tuple[str, ...]] = []

    class Chained(Numbers):
        async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
            seen.append(tuple(sorted(self.request.bookmarks or ())))
            return asyncbolt.Result(["n"], [(1,)], {"bookmark": f"bm:{len(seen)}"})

    manager = asyncbolt.AsyncGraphDatabase.bookmark_manager()
    async with serving(Chained) as port, driver_of(port) as driver:
        async with driver.session(bookmarks=asyncbolt.Bookmarks.from_raw_values(["a", "b"])) as session:
            await (await session.run("X")).consume()
            await session.fetch("X")
            assert (await session.last_bookmarks()).raw_values == {"bm:2"}
        assert seen == [("a", "b"), ("bm:1",)]
        seen.clear()
        async with driver.session(bookmark_manager=manager) as one:
            await one.fetch("X")
        async with driver.session(bookmark_manager=manager) as two:
            await two.fetch("X")
        assert seen == [(), ("bm:1",)]


@aiotest
async def test_closing_the_driver_tells_why_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        await driver.close()

    monkeypatch.setattr("asyncbolt.driver.clock.sleep", sleep)
    async with serving() as port:
        driver = driver_of(port)
        calls = Numbers.calls["FOREVER"]
        running = asyncio.ensure_future(driver.execute_query("FOREVER"))
        await until(lambda: Numbers.calls["FOREVER"] > calls)
        await driver.close()
        with pytest.raises(ServiceUnavailable):
            await running
        assert not delays
        # Closed between two tries: the failure of the first is not forgotten.
        driver = driver_of(port)
        Numbers.failures["SHAKY"] = 1
        with pytest.raises(DriverError, match="closed") as failure:
            await driver.execute_query("SHAKY")
        assert delays and isinstance(failure.value.__cause__, TransientError)


@pytest.mark.parametrize("method", ["run", "fetch", "execute"])
@aiotest
async def test_what_the_server_calls_idempotent_is_run_again_once(method: str) -> None:
    class Idempotent(Numbers):
        async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
            if type(self).failures[statement]:
                type(self).failures[statement] -= 1
                record = {"_idempotent": statement == "AGAIN"}
                raise TransientError("not now", gql_status="50N42", description="d", diagnostic_record=record)
            return await super().run(statement, parameters)

    async with serving(Idempotent) as port, driver_of(port) as driver:
        async with driver.session() as session:
            Idempotent.failures["AGAIN"] = 1
            await getattr(session, method)("AGAIN")
            for statement, failures in (("AGAIN", 2), ("ONCE", 1)):
                Idempotent.failures[statement] = failures
                with pytest.raises(TransientError):
                    await getattr(session, method)(statement)
                assert not Idempotent.failures[statement]
        async with driver.session(disable_auto_commit_retries=True) as session:
            Idempotent.failures["AGAIN"] = 1
            with pytest.raises(TransientError):
                await getattr(session, method)("AGAIN")


@pytest.mark.parametrize("count", [3, 5000])
@aiotest
async def test_a_result_ends_with_its_session_however_much_of_it_has_come(count: int) -> None:
    async with serving() as port, driver_of(port) as driver:
        async with driver.session() as session:
            result = await session.run("NUMBERS", n=count)
        assert result.closed() and (await result.consume()).query == "NUMBERS"
        with pytest.raises(ResultConsumedError):
            await result.values()


@pytest.mark.parametrize(
    "uri",
    ["http://x", "bolt+routing://x", "bolt://u:p@x", "bolt://x/path", "bolt://x?a=b", "neo4j://x?address=y",
     "neo4j://x?a=", "bolt://x:port", "bolt+unix://x/y", "nothing", ""],
)  # fmt: skip
def test_wrong_uris(uri: str) -> None:
    with pytest.raises(ConfigurationError):
        asyncbolt.AsyncGraphDatabase.driver(uri)


@pytest.mark.parametrize(
    "options",
    [{"max_connection_pool_size": 0}, {"connection_timeout": 0}, {"trusted_certificates": "all"}, {"no": 1},
     {"fetch_size": 0}, {"liveness_check_timeout": -1}, {"versions": [(2, 0)]}, {"versions": [(9, 9)]},
     {"resolver": 3}, {"server_products": "Neo4j"}],
)  # fmt: skip
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        asyncbolt.AsyncGraphDatabase.driver("bolt://x", **options)
    with pytest.raises(ConfigurationError):
        asyncbolt.AsyncGraphDatabase.driver("bolt+s://x", encrypted=True)


class _Slow:
    """A bookmark manager during whose answer something happens."""

    def __init__(self, happens: Callable[[], Awaitable[None]]) -> None:
        self.happens = happens

    async def get_bookmarks(self) -> list[str]:
        await self.happens()
        return []

    async def update_bookmarks(self, previous: Any, new: Any) -> None:
        pass


@aiotest
async def test_execute_query_on_a_connection_that_is_lost_before_it_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    async def cut() -> None:
        if proxy.connections == 1:
            proxy.cut()
            (pool,) = driver._pools.values()
            (host,) = pool._hosts.values()
            (connection,) = host.connections
            await until(lambda: connection.lost)

    monkeypatch.setattr(clock, "sleep", sleep)
    async with serving() as port, Proxy(port) as proxy, driver_of(proxy.port) as driver:
        manager: Any = _Slow(cut)
        assert len((await driver.execute_query("NUMBERS", bookmark_manager_=manager)).records) == 3
        assert (await settled(driver)).opened == 2


@pytest.mark.parametrize("kind", ["run", "batches", "fetch", "execute", "begin"])
@aiotest
async def test_a_connection_that_is_lost_before_the_query_is_written(kind: str) -> None:
    async def cut() -> None:
        connection = session._connection
        assert connection is not None
        proxy.cut()
        await until(lambda: connection.lost)

    async with serving() as port, Proxy(port) as proxy, driver_of(proxy.port) as driver:
        async with driver.session(bookmark_manager=_Slow(cut)) as session:
            with pytest.raises(ServiceUnavailable):
                if kind == "batches":
                    await session.batches("NUMBERS").__anext__()
                elif kind == "begin":
                    async with await session.begin_transaction() as tx:
                        await tx.run("NUMBERS")
                else:
                    await getattr(session, kind)("NUMBERS")
        assert len((await driver.execute_query("NUMBERS")).records) == 3
        assert (await settled(driver)).idle == 1


@pytest.mark.parametrize("kind", ["run", "fetch", "execute", "transaction"])
@aiotest
async def test_a_parameter_that_cannot_be_packed_ends_its_query_for_those_who_listen(kind: str) -> None:
    ended: list[Any] = []

    class Listener:
        def query_ended(self, event: Any) -> None:
            ended.append(event.error)

    async with serving() as port, driver_of(port) as driver, driver.session() as session:
        driver.add_listener(Listener())
        if kind == "transaction":
            async with await session.begin_transaction() as tx:
                with pytest.raises(PackError):
                    await tx.run("NUMBERS", value=object())
                assert len(await tx.fetch("NUMBERS")) == 3
        else:
            with pytest.raises(PackError):
                await getattr(session, kind)("NUMBERS", {"value": object()})
            assert len(await session.fetch("NUMBERS")) == 3
        assert [type(error) for error in ended] == [PackError, type(None)]
        assert (await settled(driver)).opened == 1
