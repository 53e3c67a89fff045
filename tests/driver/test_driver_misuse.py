"""Likely mistakes with the driver: each error says what to do instead, and nothing hangs or is lost."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import driver_of, serving, settled, until

import asyncbolt
from asyncbolt import (
    ConfigurationError,
    DriverError,
    LocalProtocolError,
    ResultConsumedError,
    ResultError,
    SessionError,
    TransactionError,
)
from asyncbolt._hints import UnknownArgument
from asyncbolt.driver.notifications import remarked

MANY = {"n": 20_000}


async def both(*steps: Any) -> list[Any]:
    """What each of the tasks gives or raises; none may hang."""
    return list(await asyncio.wait_for(asyncio.gather(*steps, return_exceptions=True), 20))


async def iterate(rows: Any) -> int:
    return sum([len(part) if isinstance(part, list) else 1 async for part in rows])


# ---------------------------------------------------------------- two tasks on one result

READERS: dict[str, Callable[[asyncbolt.AsyncResult], Coroutine[Any, Any, Any]]] = {
    "iterate": iterate,
    "consume": lambda result: result.consume(),
    "fetch": lambda result: result.fetch(5),
    "single": lambda result: result.single(),
    "peek": lambda result: result.peek(),
    "value": lambda result: result.value(),
    "values": lambda result: result.values(),
    "data": lambda result: result.data(),
    "graph": lambda result: result.graph(),
    "to_df": lambda result: result.to_df(),
    "to_eager_result": lambda result: result.to_eager_result(),
}
FIRST: dict[str, Callable[[asyncbolt.AsyncResult], Coroutine[Any, Any, Any]]] = {
    "iterate": iterate,
    "fetch": lambda result: counted(result.fetch(MANY["n"])),
    "values": lambda result: counted(result.values()),
    "to_df": lambda result: counted(result.to_df()),
}


async def counted(rows: Coroutine[Any, Any, Any]) -> int:
    return len(await rows)


@pytest.mark.parametrize("inside", [False, True], ids=["session", "transaction"])
@pytest.mark.parametrize("second", READERS)
@pytest.mark.parametrize("first", FIRST)
@aiotest
async def test_two_readers(first: str, second: str, inside: bool) -> None:
    async with serving() as port, driver_of(port) as driver:
        async with driver.session() as session:
            place: Any = await session.begin_transaction() if inside else session
            result = await place.run("NUMBERS", MANY)
            rows, error, also = await both(
                FIRST[first](result), READERS[second](result), READERS[second](result)
            )
            assert rows == MANY["n"]
            for one in (error, also):
                assert isinstance(one, LocalProtocolError) and isinstance(one, ResultError)
                assert str(one) == "another task is reading this result" and one.result is result
            if inside:
                assert (await place.fetch("NUMBERS")).fields == ["i", "name"]
                await place.commit()
        assert (await settled(driver)).in_use == 0


@pytest.mark.parametrize("second", READERS)
@aiotest
async def test_a_second_reader_takes_nothing_that_the_first_was_woken_for(second: str) -> None:
    async with serving() as port, driver_of(port) as driver, driver.session() as session:
        result = await session.run("NUMBERS", MANY)
        job = result._job
        first = asyncio.create_task(iterate(result))
        # Rows are there, and the first has not run yet.
        await until(lambda: job.news is not None and job.news.done())
        assert job.pieces
        with pytest.raises(LocalProtocolError, match="another task is reading this result"):
            await READERS[second](result)
        assert await first == MANY["n"]


@pytest.mark.parametrize("begun", [False, True], ids=["at the start", "later"])
@aiotest
async def test_two_readers_of_batches(begun: bool) -> None:
    async with serving() as port, driver_of(port) as driver, driver.session() as session:
        batches = session.batches("NUMBERS", MANY)
        taken = len(await anext(batches)) if begun else 0
        rows, error = await both(iterate(batches), iterate(batches))
        assert rows + taken == MANY["n"]
        assert isinstance(error, LocalProtocolError)
        assert str(error) == "another task is reading this result"


@pytest.mark.parametrize("begun", [False, True], ids=["at the start", "later"])
@aiotest
async def test_batches_that_another_task_leaves(begun: bool) -> None:
    async with serving() as port, driver_of(port) as driver:
        async with driver.session() as session:
            batches = session.batches("NUMBERS", MANY)
            if begun:
                await anext(batches)
            reader, leaver = await both(iterate(batches), batches.aclose())
            assert type(reader) is ResultConsumedError and "another task left this result" in str(reader)
            assert leaver is None
            assert (await session.fetch("NUMBERS")).fields == ["i", "name"]
        assert (await settled(driver)).in_use == 0


@pytest.mark.parametrize("order", [1, -1], ids=["reader first", "closer first"])
@aiotest
async def test_a_session_that_another_task_closes(order: int) -> None:
    async with serving() as port, driver_of(port) as driver:
        for inside in (False, True):
            session = driver.session()
            place: Any = await session.begin_transaction() if inside else session
            result = await place.run("NUMBERS", MANY)
            reader, closer = (await both(*(iterate(result), session.close())[::order]))[::order]
            assert type(reader) is ResultConsumedError
            assert closer is None and session.closed()
            assert (await settled(driver)).in_use == 0


@pytest.mark.parametrize("end", ["commit", "rollback", "close", "cancel"])
@aiotest
async def test_a_transaction_that_another_task_ends(end: str) -> None:
    async with serving() as port, driver_of(port) as driver:
        async with driver.session() as session:
            transaction = await session.begin_transaction()
            result = await transaction.run("NUMBERS", MANY)

            async def finish() -> None:
                done = getattr(transaction, end)()
                if done is not None:
                    await done

            reader, ender = await both(iterate(result), finish())
            assert isinstance(reader, DriverError) and ender is None
            if end != "cancel":
                assert type(reader) is ResultConsumedError and "while it was being read" in str(reader)
            assert transaction.closed()
            assert (await session.fetch("NUMBERS")).fields == ["i", "name"]
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_a_transaction_is_ended_once() -> None:
    async with serving() as port, driver_of(port) as driver:
        for later in ("commit", "rollback"):
            async with driver.session() as session:
                transaction = await session.begin_transaction()
                for _ in range(2):
                    await transaction.run("NUMBERS", MANY)
                first, second = await both(transaction.commit(), getattr(transaction, later)())
                assert first is None and type(second) is TransactionError
                assert transaction.closed()
        assert (await settled(driver)).in_use == 0


@pytest.mark.parametrize("use", ["run", "fetch", "execute_many", "begin_transaction", "execute_write"])
@aiotest
async def test_a_session_that_is_closed_while_it_connects(use: str) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def resolver(address: asyncbolt.Address) -> list[asyncbolt.Address]:
        asked.set()
        await go.wait()
        return [address]

    async with serving() as port, driver_of(port, resolver=resolver) as driver:
        session = driver.session()
        task = asyncio.create_task(USES[use](session))
        await asked.wait()
        await session.close()
        go.set()
        with pytest.raises(SessionError, match="another task has closed the session"):
            await task
        stats = await settled(driver)
        assert (stats.in_use, stats.idle) == (0, 1)


@aiotest
async def test_a_session_is_closed_by_many() -> None:
    async with serving() as port, driver_of(port) as driver:
        session = driver.session()
        await session.run("NUMBERS", MANY)
        assert await both(*(session.close() for _ in range(4))) == [None] * 4
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_a_closer_that_is_cancelled_leaves_the_others_alone() -> None:
    async with serving() as port, driver_of(port) as driver:
        session = driver.session()
        result = await session.run("NUMBERS", MANY)
        tasks = [asyncio.create_task(session.close()) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        done = await both(*tasks)
        assert isinstance(done[0], asyncio.CancelledError) and done[1:] == [None, None]
        with pytest.raises(ResultError):
            await result.fetch(1)
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_a_session_that_is_given_up_while_it_is_read() -> None:
    async with serving() as port, driver_of(port) as driver:
        session = driver.session()
        result = await session.run("NUMBERS", MANY)

        async def cancel() -> None:
            session.cancel()

        reader, _ = await both(iterate(result), cancel())
        assert isinstance(reader, ResultError)
        await session.close()
        assert (await settled(driver)).in_use == 0


async def work(transaction: asyncbolt.AsyncManagedTransaction) -> int:
    return len(await transaction.fetch("NUMBERS"))


USES: dict[str, Callable[[asyncbolt.AsyncSession], Coroutine[Any, Any, Any]]] = {
    "run": lambda session: session.run("NUMBERS"),
    "fetch": lambda session: session.fetch("NUMBERS"),
    "execute_many": lambda session: session.execute_many("NUMBERS", [1]),
    "begin_transaction": lambda session: session.begin_transaction(),
    "execute_write": lambda session: session.execute_write(work),
}


@pytest.mark.parametrize("open_result", [False, True])
@pytest.mark.parametrize("use", USES)
@aiotest
async def test_a_session_serves_one_task(use: str, open_result: bool) -> None:
    async with serving() as port, driver_of(port) as driver:
        async with driver.session() as session:
            if open_result:
                await session.run("NUMBERS", MANY)
            first, *others = await both(*(USES[use](session) for _ in range(3)))
            assert not isinstance(first, BaseException)
            assert [type(one) for one in others] == [SessionError, SessionError]
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_a_session_whose_result_another_task_reads() -> None:
    async with serving() as port, driver_of(port) as driver:
        for use in ("begin_transaction", "execute_write"):
            async with driver.session() as session:
                rows, error = await both(iterate(await session.run("NUMBERS", MANY)), USES[use](session))
                assert rows == MANY["n"]
                assert type(error) is SessionError and "another task is reading a result" in str(error)
        # What keeps the rows does no harm.
        for use in ("run", "fetch"):
            async with driver.session() as session:
                rows, other = await both(iterate(await session.run("NUMBERS", MANY)), USES[use](session))
                assert rows == MANY["n"] and not isinstance(other, BaseException)
        assert (await settled(driver)).in_use == 0


# ---------------------------------------------------------------- behind close()

Step = Callable[[Any], Coroutine[Any, Any, Any]]

IN_TRANSACTIONS: dict[str, Step] = {
    "run": lambda tx: tx.run("NUMBERS"),
    "fetch": lambda tx: tx.fetch("NUMBERS"),
    "execute": lambda tx: tx.execute("NUMBERS"),
    "execute_many": lambda tx: tx.execute_many("NUMBERS", [1]),
    "batches": lambda tx: iterate(tx.batches("NUMBERS")),
    "commit": lambda tx: tx.commit(),
}
IN_SESSIONS: dict[str, Step] = {
    **{name: step for name, step in IN_TRANSACTIONS.items() if name != "commit"},
    "call": lambda session: session.call("db.labels"),
    "begin_transaction": lambda session: session.begin_transaction(),
    "execute_read": lambda session: session.execute_read(work),
    "execute_write": lambda session: session.execute_write(work),
}
OF_DRIVERS: dict[str, Step] = {
    "execute_query": lambda driver: driver.execute_query("NUMBERS"),
    "verify_connectivity": lambda driver: driver.verify_connectivity(),
    "verify_authentication": lambda driver: driver.verify_authentication(),
    "get_server_info": lambda driver: driver.get_server_info(),
    "supports_multi_db": lambda driver: driver.supports_multi_db(),
    "supports_session_auth": lambda driver: driver.supports_session_auth(),
    "__aenter__": lambda driver: driver.__aenter__(),
}


async def closed(step: Coroutine[Any, Any, Any]) -> DriverError:
    with pytest.raises(DriverError, match=r"the driver (is|was) closed") as caught:
        await asyncio.wait_for(step, 10)
    return caught.value


@aiotest
async def test_behind_close() -> None:
    async with serving() as port:
        for step in IN_TRANSACTIONS.values():
            driver = driver_of(port)
            session = driver.session()
            transaction = await session.begin_transaction()
            await driver.close()
            assert type(await closed(step(transaction))) is TransactionError
            await transaction.close()
            await session.close()
        for used in (False, True):
            for step in IN_SESSIONS.values():
                driver = driver_of(port)
                session = driver.session()
                if used:
                    await session.fetch("NUMBERS")
                await driver.close()
                await closed(step(session))
                await session.close()
        driver = driver_of(port)
        await driver.close()
        for step in OF_DRIVERS.values():
            await closed(step(driver))
        for plain in (driver.session, driver.pool_stats, lambda: driver.pages("EVENTS", key=0)):
            with pytest.raises(DriverError, match="the driver is closed"):
                plain()
        await driver.close()


@pytest.mark.parametrize("inside", [False, True], ids=["session", "transaction"])
@pytest.mark.parametrize("reader", ["iterate", "consume", "values", "fetch"])
@aiotest
async def test_results_behind_close(reader: str, inside: bool) -> None:
    async with serving() as port:
        driver = driver_of(port)
        session = driver.session()
        place: Any = await session.begin_transaction() if inside else session
        result = await place.run("NUMBERS", MANY)
        await driver.close()
        if reader == "fetch":
            assert len(await result.fetch(5)) == 5  # they had come
            await closed(iterate(result))
        else:
            await closed(READERS[reader](result))
        await session.close()


@aiotest
async def test_closing_while_others_are_at_it() -> None:
    async with serving() as port:
        driver = driver_of(port)
        session = driver.session()
        result = await session.run("NUMBERS", MANY)
        async with driver.session() as other:
            transaction = await other.begin_transaction()
            reader, waiter, closer = await both(
                iterate(result), transaction.fetch("FOREVER"), driver.close()
            )
            for error in (reader, waiter):
                assert isinstance(error, DriverError) and "the driver was closed" in str(error)
            assert closer is None
        await session.close()


@aiotest
async def test_a_session_behind_its_close() -> None:
    async with serving() as port, driver_of(port) as driver:
        session = driver.session()
        await session.close()
        for step in (*IN_SESSIONS.values(), lambda session: session.__aenter__()):
            with pytest.raises(SessionError, match="the session is closed"):
                await step(session)


# ---------------------------------------------------------------- what the server remarks


def remark(severity: str, code: str = "Neo.ClientNotification.Statement.X") -> dict[str, Any]:
    return {"code": code, "title": "old", "description": "do not", "severity": severity, "category": "HINT"}


def status(severity: str | None) -> dict[str, Any]:
    plain = {"gql_status": "00000", "status_description": "note: successful completion"}
    if severity is None:
        return plain
    record = {"_severity": severity, "_classification": "HINT"}
    return {
        **plain, "gql_status": "01N00", "neo4j_code": "Neo.ClientNotification.Statement.X", "title": "old",
        "status_description": "do not", "diagnostic_record": record,
    }  # fmt: skip


class Remarks(asyncbolt.ServerSession):
    said: dict[str, Any] = {}

    def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        return asyncbolt.Result(["i"], [(1,)], type(self).said)


PATHS: dict[str, Callable[[asyncbolt.AsyncSession], Coroutine[Any, Any, Any]]] = {
    "run": lambda session: consumed(session.run("X")),
    "fetch": lambda session: session.fetch("X"),
    "execute": lambda session: session.execute("X"),
    "batches": lambda session: iterate(session.batches("X")),
    "execute_many": lambda session: session.execute_many("X", range(5000), batch_rows=10),
    "tx.run": lambda session: session.execute_write(lambda tx: consumed(tx.run("X"))),
    "tx.fetch": lambda session: session.execute_write(lambda tx: tx.fetch("X")),
    "tx.execute": lambda session: session.execute_write(lambda tx: tx.execute("X")),
    "tx.batches": lambda session: session.execute_write(lambda tx: iterate(tx.batches("X"))),
    "tx.execute_many": lambda session: session.execute_write(lambda tx: tx.execute_many("X", range(99))),
}


async def consumed(result: Coroutine[Any, Any, asyncbolt.AsyncResult]) -> Any:
    return await (await result).consume()


SAID = {
    "notifications": lambda severity: {"notifications": [remark(severity)]},
    "statuses": lambda severity: {"statuses": [status(severity), status(None)]},
}


@pytest.mark.parametrize("form", SAID)
@pytest.mark.parametrize("path", PATHS)
@aiotest
async def test_remarks_are_logged(path: str, form: str, caplog: pytest.LogCaptureFixture) -> None:
    versions = [(5, 4)] if form == "notifications" else None
    async with serving(Remarks) as port, driver_of(port, versions=versions) as driver:
        async with driver.session() as session:
            Remarks.said = SAID[form]("WARNING")
            await PATHS[path](session)
            (record,) = caplog.records
            assert (record.name, record.levelno) == ("asyncbolt.notifications", logging.WARNING)
            assert "do not" in record.getMessage() and "'X'" in record.getMessage()
            caplog.clear()
            Remarks.said = SAID[form]("INFORMATION")
            await PATHS[path](session)
            assert not caplog.records
            with caplog.at_level(logging.INFO, "asyncbolt.notifications"):
                await PATHS[path](session)
            assert [record.levelno for record in caplog.records] == [logging.INFO]


@pytest.mark.parametrize("path", PATHS)
@aiotest
async def test_remarks_become_warnings_on_every_path(path: str) -> None:
    Remarks.said = SAID["notifications"]("WARNING")
    async with serving(Remarks) as port:
        async with driver_of(port, versions=[(5, 4)], warn_notification_severity="WARNING") as driver:
            async with driver.session() as session:
                with pytest.warns(asyncbolt.driver.notifications.Neo4jWarning, match="do not") as caught:
                    await PATHS[path](session)
                assert [one.filename for one in caught] == [__file__]


def test_no_remark_is_worked_out_where_there_is_none() -> None:
    for nothing in (
        {}, {"statuses": []}, {"statuses": [status(None)]}, {"notifications": []}, {"statuses": [1, None]},
        {"statuses": [status(None)], "notifications": []},
    ):  # fmt: skip
        assert not remarked(nothing)
    for something in ({"statuses": [1, status("WARNING")]}, {"notifications": [remark("WARNING")]}):
        assert remarked(something)


def test_a_warning_is_seen_without_any_configuration() -> None:
    program = """
        import asyncio, asyncbolt

        class Session(asyncbolt.ServerSession):
            def run(self, statement, parameters):
                note = {"severity": "%s", "description": "do not", "code": "Neo.ClientNotification.X.Y"}
                return asyncbolt.Result(["i"], [(1,)], {"notifications": [note]})

        async def main():
            async with await asyncbolt.create_server(Session, port=0) as server:
                uri = "bolt://127.0.0.1:%%d" %% server.sockets[0].getsockname()[1]
                async with asyncbolt.AsyncGraphDatabase.driver(uri, versions=[(5, 4)]) as driver:
                    await driver.execute_query("X")

        asyncio.run(main())
    """
    for severity, lines in (("WARNING", 1), ("INFORMATION", 0)):
        code = textwrap.dedent(program % severity)
        done = subprocess.run(
            [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stderr.count("do not") == done.stderr.count("\n") == lines, done.stderr


# ---------------------------------------------------------------- what was not closed


def dropped(kind: str) -> Any:
    return pytest.warns(ResourceWarning, match=f"{kind} .*open.* was dropped without close")


@aiotest
async def test_a_session_that_was_used_and_is_dropped_warns() -> None:
    async with serving() as port, driver_of(port) as driver:
        for name, step in IN_SESSIONS.items():
            if name in ("run", "call"):
                continue
            session = driver.session()
            done = await step(session)
            with dropped("AsyncSession"):
                del session, done
                gc.collect()
        session = driver.session()
        await consumed(session.run("NUMBERS"))
        with dropped("AsyncSession"):
            del session
            gc.collect()
        session = await driver.session().__aenter__()
        with dropped("AsyncSession"):
            del session
            gc.collect()
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_what_does_not_warn() -> None:
    async with serving() as port:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            async with driver_of(port) as driver:
                driver.session()  # never used
                async with driver.session() as session:
                    await session.fetch("NUMBERS")
                del session
                session = driver.session()
                await session.fetch("NUMBERS")
                await session.close()
                del session
                session = driver.session()
                await session.run("NUMBERS", MANY)
                session.cancel()
                del session
                # Sessions of the driver's own
                await driver.execute_query("NUMBERS")
                with pytest.raises(asyncbolt.ClientError):
                    await driver.execute_query("FAIL")
                await driver.verify_connectivity()
                await driver.verify_authentication()
                assert [len(page) async for page in driver.pages("NUMBERS", key="i")] == [3]
                task = asyncio.create_task(driver.execute_query("FOREVER"))
                await until(lambda: driver.pool_stats().in_use)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                del task
                gc.collect()
                await settled(driver)
            driver_of(port)  # never used
            async with driver_of(port) as driver:
                session = driver.session()
                await session.fetch("NUMBERS")
            del session  # when its driver is closed, nothing is left of it
            gc.collect()
        assert [str(one.message) for one in caught] == []


def test_nothing_is_said_at_the_end_of_the_interpreter() -> None:
    program = """
        import asyncio, asyncbolt

        class Session(asyncbolt.ServerSession):
            def run(self, statement, parameters):
                return 1

        async def main():
            global driver, session
            async with await asyncbolt.create_server(Session, port=0) as server:
                uri = f"bolt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
                driver = asyncbolt.AsyncGraphDatabase.driver(uri)
                session = driver.session()
                await session.fetch("X")
                for pool in driver._pools.values():
                    await pool.close()

        asyncio.run(main())
    """
    code = textwrap.dedent(program)
    command = [sys.executable, "-I", "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""


# ---------------------------------------------------------------- the wrong keyword of Python's


def plain_with(thing: Any) -> None:
    with thing:
        pass


def plain_for(thing: Any) -> None:
    for _ in thing:
        pass


@aiotest
async def test_with_and_for_where_the_asynchronous_ones_belong() -> None:
    async with serving() as port, driver_of(port) as driver, driver.session() as session:
        pages = driver.pages("EVENTS", key=0)
        result = await session.run("NUMBERS")
        batches = session.batches("NUMBERS")
        async with driver.session() as other, await other.begin_transaction() as transaction:
            for thing in (driver, session, transaction, batches, pages):
                with pytest.raises(TypeError, match=f"{type(thing).__name__} .*'async with', not 'with'"):
                    plain_with(thing)
        with pytest.raises(TypeError, match=r"AsyncResult .*'async for', not 'with'"):
            plain_with(result)
        for rows in (result, batches, pages):
            for mistake in (plain_for, list, lambda rows: rows[0], lambda rows: 1 in rows, dict):
                with pytest.raises(TypeError, match=f"{type(rows).__name__} .*'async for', not 'for'"):
                    mistake(rows)
            assert not isinstance(rows, Iterable)
        assert len(await result.fetch(9)) == 3


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("user", r"auth=\(user, password\)"), ("password", r"auth=\(user, password\)"),
        ("databse", "database"), ("db", "database"), ("max_pool_size", "max_connection_pool_size"),
        ("ssl", "encrypted"),
        ("timeout", "connection_timeout"), ("fetchsize", "fetch_size"),
    ],
)  # fmt: skip
def test_unknown_options_of_drivers(name: str, hint: str) -> None:
    with pytest.raises(UnknownArgument, match=f"{name}: .*{hint}") as caught:
        asyncbolt.AsyncGraphDatabase.driver("bolt://127.0.0.1", **{name: "hunter2"})
    assert isinstance(caught.value, ConfigurationError) and isinstance(caught.value, TypeError)
    assert "hunter2" not in str(caught.value)


@aiotest
async def test_unknown_options() -> None:
    async with serving() as port, driver_of(port) as driver:
        hints = {"user": "auth=", "databse": "database", "access_mode": "default_access_mode"}
        for name, hint in hints.items():
            with pytest.raises(UnknownArgument, match=f"{name}: .*{hint}"):
                driver.session(**{name: "x"})
            for step in (driver.verify_connectivity, lambda **more: anext(driver.pages("X", key=0, **more))):
                with pytest.raises(UnknownArgument, match=f"{name}: .*{hint}"):
                    await step(**{name: "x"})
        hints = {"databse_": "database_", "user_": r"auth_=\(user, password\)", "route_": "routing_"}
        for name, hint in hints.items():
            with pytest.raises(ValueError, match=f"{name}: .*{hint}"):
                await driver.execute_query("NUMBERS", **{name: "x"})


@aiotest
async def test_options_in_places() -> None:
    with pytest.raises(TypeError, match=r"by keyword: driver\(uri, auth=\(user, password\)"):
        asyncbolt.AsyncGraphDatabase.driver("bolt://127.0.0.1", ("neo4j", "secret"))  # type: ignore[call-arg]
    async with serving() as port, driver_of(port) as driver:
        with pytest.raises(TypeError, match=r"by keyword: session\(database='neo4j'"):
            driver.session("neo4j")  # type: ignore[call-arg]


NO_TEXT: list[Any] = [None, b"X", ["X"], 5, 1.5, asyncbolt.Query(None)]  # type: ignore[arg-type]
NO_MAPPING: list[Any] = [5, "x", [1], ("a", 1), {1}, 0, "", [], iter(()), object()]


@pytest.mark.parametrize("wrong", NO_TEXT, ids=repr)
@aiotest
async def test_queries_that_are_no_text(wrong: Any) -> None:
    async with serving() as port, driver_of(port) as driver:
        async with driver.session() as session, driver.session() as other:
            async with await other.begin_transaction() as transaction:
                for place in (session, transaction):
                    for step in (
                        place.run(wrong), place.fetch(wrong), place.execute(wrong),
                        iterate(place.batches(wrong)),
                        place.execute_many(wrong, [1]), place.execute_many(wrong, []),
                    ):  # fmt: skip
                        with pytest.raises(TypeError, match="query"):
                            await step
                assert len(await transaction.fetch("NUMBERS")) == 3  # which goes on
            assert len(await session.fetch("NUMBERS")) == 3
        with pytest.raises(TypeError, match="a query is a string or a Query, not"):
            await driver.execute_query(wrong)
        with pytest.raises(TypeError, match="query"):
            driver.pages(wrong, key=0)
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_an_empty_query() -> None:
    async with serving() as port, driver_of(port) as driver, driver.session() as session:
        for empty in ("", asyncbolt.Query("")):
            for step in (
                session.run(empty), session.fetch(empty), session.execute(empty), driver.execute_query(empty),
                iterate(session.batches(empty)), session.execute_many(empty, [1]),
            ):  # fmt: skip
                with pytest.raises(ValueError, match="must not be empty"):
                    await step


@pytest.mark.parametrize("wrong", NO_MAPPING, ids=lambda wrong: type(wrong).__name__)
@aiotest
async def test_parameters_that_are_no_mapping(wrong: Any) -> None:
    match = f"parameters are a mapping .*, not {type(wrong).__name__}"
    async with serving() as port, driver_of(port) as driver:
        async with driver.session() as session, driver.session() as other:
            async with await other.begin_transaction() as transaction:
                for place in (session, transaction):
                    for step in (
                        place.run("NUMBERS", wrong), place.fetch("NUMBERS", wrong),
                        place.execute("NUMBERS", wrong), iterate(place.batches("NUMBERS", wrong)),
                        place.execute_many("NUMBERS", [1], parameters=wrong),
                        place.execute_many("NUMBERS", [], parameters=wrong),
                    ):  # fmt: skip
                        with pytest.raises(TypeError, match=match):
                            await step
                assert len(await transaction.fetch("NUMBERS")) == 3  # which goes on
            assert len(await session.fetch("NUMBERS")) == 3
        with pytest.raises(TypeError, match=match):
            await driver.execute_query("NUMBERS", wrong)
        with pytest.raises(TypeError, match=match):
            driver.pages("EVENTS", key=0, parameters=wrong)
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_parameters_of_both_kinds() -> None:
    class Half:
        def keys(self) -> list[str]:
            return ["value"]

        def __getitem__(self, key: str) -> int:
            return 1

    async with serving() as port, driver_of(port) as driver, driver.session() as session:
        for given, more, wanted in (
            ({"value": 1}, {}, 1), ({"value": 1}, {"value": 2}, 2), (None, {"value": 2}, 2),
            ({}, {"value": 2}, 2), (Half(), {}, 1),
        ):  # fmt: skip
            eager = await driver.execute_query("ECHO", given, **more)
            assert eager.records[0][0] == wanted
            record = await (await session.run("ECHO", given, **more)).single()
            assert record is not None and record[0] == wanted


@aiotest
async def test_functions_that_are_no_coroutine_functions() -> None:
    def plain(transaction: Any) -> int:
        return 5

    async with serving() as port, driver_of(port) as driver:
        async with driver.session() as session:
            for execute in (session.execute_read, session.execute_write):
                with pytest.raises(TypeError, match=r"plain returned int, .*'async def'"):
                    await execute(plain)  # type: ignore[arg-type]
                for wrong in (None, "MATCH (n) RETURN n", 5):
                    with pytest.raises(TypeError, match="a unit of work is a coroutine function"):
                        await execute(wrong)  # type: ignore[arg-type]
                # What returns something to await is as good.
                assert await execute(lambda transaction: work(transaction)) == 3
        with pytest.raises(TypeError, match=r"result_transformer_ is a coroutine function.*int.*'async def'"):
            await driver.execute_query("NUMBERS", result_transformer_=plain)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"result_transformer_ is a coroutine function.*not str"):
            await driver.execute_query("NUMBERS", result_transformer_="df")  # type: ignore[call-overload]
        assert (await settled(driver)).in_use == 0


@aiotest
async def test_the_number_of_records() -> None:
    async with serving() as port, driver_of(port) as driver, driver.session() as session:
        result = await session.run("NUMBERS")
        for wrong in ("3", None, 1.5):
            with pytest.raises(TypeError, match="a number of records, not"):
                await result.fetch(wrong)
        assert len(await result.fetch(2)) == 2


# ---------------------------------------------------------------- pages

EVENTS = "MATCH (e:Event) WHERE $after IS NULL OR e.id > $after RETURN e.id AS i ORDER BY i LIMIT $limit"


@aiotest
async def test_pages_of_a_query_without_its_parameters() -> None:
    async with serving() as port, driver_of(port) as driver:
        for query in (
            EVENTS, EVENTS.replace("$after", "$ after"), EVENTS.replace("$after", "$`after`"), EVENTS.lower(),
            EVENTS.replace("$after", "{after}").replace("$limit", "{ limit }"), "words of another language",
        ):  # fmt: skip
            driver.pages(query, key="i")
        for query, missing in (
            (EVENTS.replace("$after", "0"), "after"), (EVENTS.replace("$limit", "10"), "limit"),
            (EVENTS.replace("$after", "$afterwards"), "after"), (EVENTS.replace("$after", "$AFTER"), "after"),
            ("match (n) return n", "after"), ("CALL db.labels() YIELD label", "after"),
        ):  # fmt: skip
            with pytest.raises(ConfigurationError, match=rf"the query does not use \${missing}: "):
                driver.pages(query, key="i")


@aiotest
async def test_keys_of_pages_that_are_not_there() -> None:
    async with serving() as port, driver_of(port) as driver:
        for empty in (False, True):
            more = {"parameters": {"n": 0}} if empty else {}
            for key in ("id", "", 2, -1):
                with pytest.raises(ConfigurationError, match=rf"key={key!r} is no column .*: 'i', 'name'"):
                    await anext(driver.pages("NUMBERS", key=key, **more))
        for function in (lambda record: record["id"], lambda record: [*record][7]):
            with pytest.raises(ConfigurationError, match="whose columns are 'i', 'name'") as caught:
                await anext(driver.pages("NUMBERS", key=function))
            assert isinstance(caught.value.__cause__, LookupError)
        for wrong in (None, True, 1.5, ["i"]):
            with pytest.raises(ConfigurationError, match="key is the name or the place of a column"):
                driver.pages("NUMBERS", key=wrong)
        assert (await settled(driver)).in_use == 0
