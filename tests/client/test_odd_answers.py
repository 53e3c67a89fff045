"""Whatever a server leaves out of its answers, or puts into them, is no fault of the client's.

Each place of each answer is left out and replaced by values of every kind; what is asked for then ends, well
or with an error of the family, the connection works or is lost, and the log does not speak of a fault.
"""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohelp import aiotest
from odd_server import ABSENT, ODD, OddServer, answers, paths

import asyncbolt
from asyncbolt.exceptions import BoltError, RemoteProtocolError

PLACES = [
    (version, name, path)
    for version, depth in (((3, 0), 0), ((5, 8), 1))
    for name, metadata in answers(version, 1).items()
    if name not in ("ROUTE", "LOGON")
    for path in paths(metadata)
    if len(path) <= depth
]


async def work(session, step):
    """What a user does, a step of it."""
    if step == "fetch":
        result = await session.fetch("A")
        return result, result.fields, result.metadata, result.summary
    if step == "execute":
        return await session.execute("A")
    if step == "batches":
        stream = session.batches("A", fetch_size=2)
        return [(batch, stream.fields, stream.metadata) async for batch in stream], stream.summary
    if step == "run":
        session.pipeline("A")
        return [row async for row in session.run("B", get_eof=True)]
    if step == "execute_many":
        return await session.execute_many("A", range(50), batch_rows=7)
    if step == "fail":
        return await session.fetch("FAIL")
    async with session.transaction() as tx:
        one, two = tx.batches("A", fetch_size=2), tx.batches("B", fetch_size=2)
        rows = []
        if step == "together":
            for batch in await asyncio.gather(anext_of(one), anext_of(two)):
                rows += batch
        async for batch in one:
            rows += batch
            rows += await anext_of(two)
        rows += [row async for batch in two for row in batch]
        await tx.execute("C")
        return rows, await tx.commit()


async def anext_of(stream):
    async for batch in stream:
        return batch
    return []


STEPS = ["fetch", "execute", "batches", "run", "execute_many", "fail", "in turn", "together"]


async def every_step(server, check):
    session = None
    for step in STEPS:
        if step in ("in turn", "together") and server.version < (4, 0):
            continue
        if session is None or not session.is_connected:
            if session is not None:
                await session.wait_closed()
            try:
                session = await asyncbolt.connect(
                    f"bolt://127.0.0.1:{server.port}", versions=[server.version], timeout=20
                )
            except BoltError as error:
                check("connect", error)
                return
        try:
            check(step, await asyncio.wait_for(work(session, step), 20))
        except BoltError as error:
            check(step, error)
        if session.is_connected and session._connection.outstanding:
            await session.ping(timeout=20)
    session.close()
    await session.wait_closed()


@pytest.mark.parametrize(("version", "name", "path"), PLACES, ids=str)
@aiotest(timeout=300)
async def test_odd_answers(version, name, path, caplog):
    caplog.set_level(logging.WARNING)
    async with OddServer(version) as server:
        for odd in ODD:
            server.say_instead(name, path, odd)
            await every_step(server, lambda step, outcome: None)
    assert "fault" not in caplog.text and not caplog.records, caplog.text


@aiotest
async def test_nothing_odd():
    """The server and the steps are sound: everything ends well but what is to fail."""
    async with OddServer() as server:
        seen = {}
        await every_step(server, seen.__setitem__)
        assert [step for step, outcome in seen.items() if isinstance(outcome, BoltError)] == ["fail"]
        rows = [(n,) for n in range(5)]
        assert seen["fetch"][0] == rows
        assert sorted(seen["in turn"][0]) == sorted(seen["together"][0]) == sorted(2 * rows)


@pytest.mark.parametrize("odd", [ABSENT, None, -1])
@pytest.mark.parametrize("step", ["in turn", "together"])
@aiotest
async def test_results_without_a_number_are_read_one_after_the_other(odd, step):
    """No row is lost or goes to another result; the first is asked for to its end before the next is run."""
    async with OddServer() as server:
        server.say_instead("RUN", ("qid",), odd)
        async with asyncbolt.connect(f"bolt://127.0.0.1:{server.port}", timeout=10) as session:
            rows, _ = await work(session, step)
            assert sorted(rows) == sorted(2 * [(n,) for n in range(5)])
            async with session.transaction() as tx:
                names = "ABC"
                streams = {name: tx.batches(name, fetch_size=2) for name in names}
                taken = {name: [] for name in names}
                while streams:
                    for name, stream in list(streams.items()):
                        batch = await anext_of(stream)
                        taken[name] += batch
                        if not batch:
                            del streams[name]
                assert taken == {key: [(n,) for n in range(5)] for key in names}
        assert all("qid" not in fields[0] for name, fields in server.requests if name == "PULL")


@aiotest
async def test_a_number_that_only_the_first_has():
    """The second was sent behind the first at once, and a third behind it: more of it cannot be asked for."""
    async with OddServer() as server:
        count = 0

        def twist(name, metadata):
            nonlocal count
            if name == "RUN":
                count += 1
                if count > 1:
                    metadata = {"fields": ["n"]}
            return (metadata,)

        server.twist = twist
        async with asyncbolt.connect(f"bolt://127.0.0.1:{server.port}", timeout=10) as session:
            with pytest.raises(asyncbolt.ServiceUnavailable) as caught:
                async with session.transaction() as tx:
                    first = tx.batches("A", fetch_size=2)
                    await anext_of(first)
                    others = [tx.batches(name, fetch_size=2) for name in "BC"]
                    await asyncio.gather(*map(anext_of, others))
                    async for _ in others[0]:
                        pass
            assert isinstance(caught.value.__cause__, RemoteProtocolError)
            assert "gave no qid" in str(caught.value)
