"""A task that asks its session for something while its own transaction leases it is told so at once."""

from __future__ import annotations

import asyncio

import pytest
from aiohelp import aiotest
from wire_server import WireServer

import asyncbolt
from asyncbolt.exceptions import TransactionError, TransactionNestingError


def client(server, **options):
    return asyncbolt.connect(server.uri, timeout=10, **options)


async def batches(session, tx):
    async for _ in session.batches("ROWS 3"):
        pass


async def run(session, tx):
    async for _ in session.run("ROWS 3"):
        pass


async def pipeline(session, tx):
    session.pipeline("ROWS 3")


async def execute_many(session, tx):
    await session.execute_many("COUNT", [1, 2, 3])


async def nested(session, tx):
    async with session.transaction() as second:
        await second.fetch("ROWS 1")


async def begun(session, tx):
    await session.transaction().begin()


async def statement_of_another(session, tx):
    await session.transaction().fetch("ROWS 1")


async def rows_from_the_session(session, tx):
    await tx.execute_many("COUNT", rows_of(session))


async def rows_of(session):
    async for batch in session.batches("ROWS 30"):
        for row in batch:
            yield row


ASKED = {
    "fetch": lambda session, tx: session.fetch("ROWS 1"),
    "fetch with a timeout": lambda session, tx: session.fetch("ROWS 1", timeout=50),
    "execute": lambda session, tx: session.execute("CREATE x"),
    "ping": lambda session, tx: session.ping(),
    "batches": batches,
    "run": run,
    "pipeline": pipeline,
    "execute_many": execute_many,
    "transaction": nested,
    "begin": begun,
    "statement of another": statement_of_another,
    "rows_from": rows_from_the_session,
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("sent", [False, True])
@aiotest
async def test_a_session_inside_its_own_transaction(asked, sent):
    async with WireServer() as server, client(server) as session:
        async with session.transaction() as tx:
            if sent:
                await tx.execute("CREATE a")
            with pytest.raises(TransactionError, match=r"use the open one|ask the transaction") as caught:
                await asked(session, tx)
            assert caught.value.transaction is tx
            nests = asked in (nested, begun, statement_of_another)
            assert isinstance(caught.value, TransactionNestingError) == nests
            if asked is not rows_from_the_session:
                await tx.execute("CREATE b")
        assert server.created == ["a"] * sent + ["b"] * (asked is not rows_from_the_session)
        assert await session.fetch("ROWS 1") == [(0,)]


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@aiotest
async def test_once_its_end_is_asked_for_others_wait(asked):
    """Committed, rolled back, failed, or on the way there: nothing waits for itself."""
    async with WireServer() as server, client(server) as session:
        for how in ("commit", "rollback", "failed", "cancelled", "reset"):
            tx = session.transaction()
            await tx.begin()
            if how == "failed":
                with pytest.raises(asyncbolt.ClientError):
                    await tx.fetch("FAIL")
            elif how == "cancelled":
                server.hold()
                with pytest.raises(TimeoutError):
                    await tx.commit(timeout=0)
                server.release()
            elif how == "reset":
                await session.reset()
            else:
                await getattr(tx, how)()
            if asked is not rows_from_the_session:
                await asked(session, tx)
            if session._pipelined:
                assert len([row async for row in session.run()]) == 3
            server.peer.messages.clear()
            for left in list(session._held.values()):
                await left.owner.rollback()
        assert not session._held


@aiotest
async def test_another_tasks_request_waits_as_before():
    async with WireServer() as server, client(server) as session:
        async with session.transaction() as tx:
            await tx.execute("CREATE a")
            other = asyncio.ensure_future(session.execute("CREATE b"))
            await asyncio.sleep(0)
            await tx.execute("CREATE c")
            assert not other.done()
        await other
        assert server.created == ["a", "c", "b"]


@aiotest
async def test_what_was_asked_for_before_the_transaction_is_read_inside_it():
    async with WireServer() as server, client(server) as session:
        session.pipeline("ROWS 2")
        stream = session.batches("ROWS 5000", fetch_size=10)
        first = await stream.__anext__()
        async with session.transaction() as tx:
            await tx.execute("CREATE a")
            assert len([row async for row in session.run()]) == 2
            assert len(first) + sum([len(batch) async for batch in stream]) == 5000
        assert server.created == ["a"]


@aiotest
async def test_a_refused_run_leaves_what_was_pipelined():
    async with WireServer() as server, client(server) as session:
        session.pipeline("ROWS 2")
        async with session.transaction() as tx:
            await tx.execute("CREATE a")
            with pytest.raises(TransactionError):
                async for _ in session.run("ROWS 1"):
                    pass
            assert len([row async for row in session.run()]) == 2


@aiotest
async def test_a_transaction_handed_to_another_task():
    """Without a block nobody knows who ends it: it is whoever used it last."""
    async with WireServer() as server, client(server) as session:
        tx = session.transaction()
        await tx.begin()
        go, used = asyncio.Event(), asyncio.Event()

        async def finish():
            await tx.execute("CREATE a")
            used.set()
            await go.wait()
            await tx.commit()

        other = asyncio.ensure_future(finish())
        await used.wait()
        mine = asyncio.ensure_future(session.execute("CREATE b"))
        asyncio.get_running_loop().call_soon(go.set)
        await session.execute("CREATE c")
        await asyncio.gather(other, mine)
        assert sorted(server.created) == ["a", "b", "c"]


@aiotest
async def test_a_helper_task_does_not_make_it_somebody_elses():
    async with WireServer() as server, client(server) as session:
        async with session.transaction() as tx:
            helper = asyncio.ensure_future(tx.execute("CREATE a"))
            await asyncio.sleep(0)
            with pytest.raises(TransactionError):
                await session.fetch("ROWS 1")
            await helper
        tx = session.transaction()
        await tx.begin()
        await asyncio.gather(tx.execute("CREATE b"), tx.execute("CREATE c"))
        with pytest.raises(TransactionError):
            await session.fetch("ROWS 1")
        await tx.commit()
        assert server.created == ["a", "b", "c"]


@aiotest
async def test_the_block_makes_it_the_tasks_own():
    """Begun by one, entered by another."""
    async with WireServer() as server, client(server) as session:
        tx = session.transaction()
        await asyncio.ensure_future(tx.begin())
        async with tx:
            with pytest.raises(TransactionError):
                await session.fetch("ROWS 1")


@aiotest
async def test_a_task_that_has_ended_holds_nothing():
    async with WireServer() as server, client(server) as session:
        tx = session.transaction()
        await asyncio.ensure_future(tx.begin())
        waiting = asyncio.ensure_future(session.execute("CREATE b"))
        await asyncio.sleep(0)
        await tx.rollback()
        await waiting
        assert not session._held


@aiotest
async def test_a_dropped_transaction_holds_nothing():
    async with WireServer() as server, client(server) as session:
        tx = session.transaction()
        await tx.begin()
        del tx
        await session.execute("CREATE b")
        assert server.created == ["b"] and not session._held


@aiotest
async def test_a_lost_connection_says_that_and_nothing_else():
    async with WireServer() as server, client(server) as session:
        tx = session.transaction()
        await tx.begin()
        session.abort()
        with pytest.raises(asyncbolt.LocalProtocolError, match="closed"):
            await session.fetch("ROWS 1")
        await session.reconnect()
        assert await session.fetch("ROWS 1") == [(0,)]


@aiotest
async def test_another_session_of_the_same_task():
    async with WireServer() as server, client(server) as one, client(server) as two:
        async with one.transaction() as tx:
            await tx.execute_many("COUNT", rows_of(two))
            async with two.transaction() as second:
                await second.execute("CREATE a")
        assert server.created == ["a"]


@aiotest
async def test_rows_that_open_a_transaction_on_the_session_they_are_for():
    async def rows(session):
        async with session.transaction() as tx:
            async for batch in tx.batches("ROWS 50"):
                for row in batch:
                    yield row

    async with WireServer() as server, client(server) as session:
        source = rows(session)
        with pytest.raises(TransactionError, match="ask the transaction"):
            await session.execute_many("COUNT", source, batch_rows=1)
        await source.aclose()
        assert await session.fetch("ROWS 1") == [(0,)]
