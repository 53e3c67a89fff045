"""What asyncbolt 0.0.2's client could do, as its README shows it."""

from __future__ import annotations

import asyncio

import pytest
from aiohelp import aiotest
from wire_server import WireServer

import asyncbolt


class Neo4jBoltClientProtocol(asyncbolt.BoltClientProtocol):
    def __init__(self, loop, *, username=None, password=None):
        super().__init__(loop)
        self.username = username
        self.password = password

    def get_init_params(self):
        return "AsyncBolt/1.0", {
            "scheme": "basic",
            "principal": self.username,
            "credentials": self.password,
        }


@pytest.mark.parametrize("version", [(1, 0), (3, 0), (5, 4)])
@aiotest
async def test_connect_and_submit_a_query(version):
    async with WireServer(versions=[version], manifest=False, password="password") as server:
        client_session = await asyncbolt.connect(
            loop=asyncio.get_running_loop(),
            host="localhost",
            port=server.port,
            ssl=None,
            protocol_class=Neo4jBoltClientProtocol,
            username="neo4j",
            password="password",
        )
        results = []
        async for msg in client_session.run("ROWS 1", {}, get_eof=True):
            results.append(msg)
        assert results[0].fields == [0]
        assert results[0].metadata["fields"] == ["n"]
        assert results[0].eof is False
        assert results[1].fields is None
        assert results[1].metadata["type"] == "r"
        assert results[1].eof is True
        assert client_session.client_name == "AsyncBolt/1.0"
        assert client_session.loop is asyncio.get_running_loop()
        assert client_session.metadata["server"] == "Wire/1.0"
        client_session.close()
        await client_session.wait_closed()


@aiotest
async def test_pipelining():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        session.pipeline("ROWS 1", {})
        session.pipeline("ROWS 2", {})
        session.pipeline("ROWS 3", {})
        fields = [msg.fields async for msg in session.run("ROWS 4", {})]
        assert fields == [[0], [0], [1], [0], [1], [2], [0], [1], [2], [3]]
        assert len(server.peer.reads) <= 4
        session.pipeline("ROWS 1")
        session.pipeline("ROWS 0")
        assert [msg.eof async for msg in session.run(get_eof=True)] == [False, True, True]
        assert [msg async for msg in session.run()] == []


@aiotest
async def test_a_failure_in_the_pipeline_is_raised_and_the_rest_is_ignored():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        session.pipeline("ROWS 1")
        session.pipeline("FAIL", {})
        session.pipeline("CREATE a")
        stream = session.run("CREATE b")
        assert (await stream.__anext__()).fields == [0]
        with pytest.raises(asyncbolt.ServerFailedError):
            await stream.__anext__()
        assert stream.ignored == 2
        assert [msg.fields async for msg in session.run("ROWS 1")] == [[0]]
        await session.ping()
        assert server.created == []


@aiotest
async def test_a_pipeline_that_somebody_elses_failure_hits_is_sent_again():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        task = asyncio.create_task(session.fetch("FAIL"))
        await asyncio.sleep(0)
        session.pipeline("CREATE a")
        session.pipeline("CREATE b")
        assert [msg async for msg in session.run()] == []
        with pytest.raises(asyncbolt.ServerFailedError):
            await task
        assert server.created == ["a", "b"]


@aiotest
async def test_a_pipeline_left_early_still_happens():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        session.pipeline("ROWS 3")
        session.pipeline("CREATE a")
        async for _ in session.run("CREATE b"):
            break
        await session.ping()
        assert server.created == ["a", "b"]


@aiotest
async def test_a_pipeline_has_a_limit():
    async with WireServer() as server, asyncbolt.connect(server.uri, max_inflight=5) as session:
        for _ in range(5):
            session.pipeline("ROWS 1")
        with pytest.raises(asyncbolt.LocalProtocolError, match="max_inflight"):
            session.pipeline("ROWS 1")
        assert len([msg async for msg in session.run()]) == 5


@aiotest
async def test_a_thousand_pipelined_statements():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        for _ in range(1000):
            session.pipeline("ROWS 1")
        assert len([msg async for msg in session.run()]) == 1000


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@aiotest
async def test_ack_failure_on_request(version):
    async with (
        WireServer(versions=[version], manifest=False) as server,
        asyncbolt.connect(server.uri, on_failure=asyncbolt.Message.ACK_FAILURE) as session,
    ):
        results = await asyncio.gather(
            session.fetch("FAIL"),
            session.fetch("ROWS 1"),
            session.execute("CREATE a"),
            return_exceptions=True,
        )
        assert isinstance(results[0], asyncbolt.ServerFailedError)
        assert results[1] == [(0,)]
        assert server.created == ["a"]
        assert "ACK_FAILURE" in server.messages and "RESET" not in server.messages


@aiotest
async def test_reset():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        answer = await session.reset()
        assert answer == (["Successfully reset server session"], {}, True)
        assert answer.eof is True
        session.pipeline("ROWS 3")
        await session.reset()
        assert [msg async for msg in session.run()] == []


async def answer():
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_run_on_either_loop():
    policy = type(asyncio.get_event_loop_policy())
    assert asyncbolt.run(answer()) == "asyncio"
    assert asyncbolt.run(answer(), loop="uvloop") == "uvloop"
    assert type(asyncio.get_event_loop_policy()) is policy
    with pytest.raises(ValueError, match="trio"):
        asyncbolt.run(answer(), loop="trio")


def test_run_as_on_python_310():
    from asyncbolt.aio import _run

    left = []

    async def main():
        left.append(asyncio.ensure_future(asyncio.sleep(100)))
        await asyncio.sleep(0)
        return await answer()

    assert _run._run_310(main(), _run.loop_factory("uvloop"), True) == "uvloop"
    assert left[0].cancelled()

    async def nested():
        return _run._run_310(answer(), asyncio.new_event_loop, None)

    with pytest.raises(RuntimeError, match="running event loop"):
        asyncbolt.run(nested())
