"""What the client writes, message by message and read by read, to a strict server that writes it down."""

from __future__ import annotations

import asyncio
import gc
import importlib
import weakref

import pytest
from aiohelp import LOOPS, aiotest
from wire_server import WireServer

import asyncbolt

connecting = importlib.import_module("asyncbolt.client.connect")


@pytest.fixture(autouse=True)
def forget_versions():
    connecting._remembered.clear()
    yield
    connecting._remembered.clear()


def client(server, **options):
    options.setdefault("timeout", 10)
    return asyncbolt.connect(server.uri, **options)


async def settled(session):
    """Wait until the session has nothing to write or to read."""
    await session.ping()


# ---------------------------------------------------------------------- connecting


@aiotest(loops=LOOPS)
async def test_first_connection_learns_the_version_and_the_second_is_one_write_and_one_wait():
    async with WireServer(password="right") as server:
        async with client(server, auth=("user", "right")):
            assert len(server.peer.reads) == 2 or len(server.peer.reads) == 3  # offers; pick; login
            assert server.peer.reads[0] == bytes.fromhex("6060b017000001ff000808050004040400000003")
        async with client(server, auth=("user", "right")) as session:
            assert len(server.peer.reads) == 1
            assert server.peer.messages == ["handshake", "HELLO", "LOGON"]
            assert session.version == (6, 1)
        assert [peer.said_goodbye for peer in server.peers] == [True, True]


@aiotest
async def test_one_version_given_is_known():
    async with WireServer() as server:
        async with client(server, versions=[(5, 4)]) as session:
            assert session.version == (5, 4)
            assert len(server.peer.reads) == 1
            assert server.peer.reads[0][:20] == bytes.fromhex("6060b01700000405000000000000000000000000")


@aiotest
async def test_remembered_version_that_is_no_longer_taken_falls_back():
    async with WireServer() as server:
        async with client(server) as session:
            assert session.version == (6, 1)
        server.versions = [(5, 1), (4, 4)]
        async with client(server) as session:
            assert session.version == (5, 1)
            assert await session.fetch("ROWS 1") == [(0,)]
        async with client(server) as session:
            assert len(server.peer.reads) == 1


@pytest.mark.parametrize("version", [(3, 0), (4, 4), (5, 0)])
@aiotest
async def test_credentials_in_hello_wait_for_the_handshake(version):
    # Neo4j keeps the limits of strangers when they come in one write.
    async with WireServer(versions=[version]) as server:
        for versions in (None, None, [version]):
            async with client(server, versions=versions):
                assert len(server.peer.reads[0]) == 20
                assert server.peer.messages == ["handshake", "HELLO"]


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@aiotest
async def test_the_oldest_versions_are_offered_on_a_second_connection(version):
    async with WireServer(versions=[version], manifest=False) as server:
        async with client(server) as session:
            assert session.version == version
            assert len(server.peers) == 2
            assert await session.fetch("ROWS 3") == [(0,), (1,), (2,)]
            with pytest.raises(asyncbolt.LocalProtocolError, match="has no BEGIN"):
                session.transaction()
        async with client(server):
            assert len(server.peers) == 3


@pytest.mark.parametrize("version", asyncbolt.protocol.VERSIONS)
@aiotest
async def test_every_version(version):
    async with WireServer(versions=[version], password="right") as server:
        async with client(server, auth=("user", "right"), user_agent="Tester/1.0") as session:
            assert session.version == version
            assert await session.fetch("ROWS 25") == [(n,) for n in range(25)]
            assert await session.execute("CREATE x") == {
                "type": "w",
                "stats": {"nodes-created": 1},
                "bookmark": "bm:1",
            }
            sizes = [len(batch) async for batch in session.batches("ROWS 2500", fetch_size=1000)]
            assert sum(sizes) == 2500
            with pytest.raises(asyncbolt.ClientError):
                await session.fetch("FAIL")
            assert [response.fields async for response in session.run("ROWS 2")] == [[0], [1]]
            assert server.user_agents == ["Tester/1.0"]


# ---------------------------------------------------------------------- pipelining


@aiotest(loops=LOOPS)
async def test_what_is_gathered_goes_out_in_one_write_behind_the_first():
    """The first finds the connection quiet and goes at once; the rest of the loop's turn travels together."""
    async with WireServer() as server, client(server) as session:
        transport, writes = session._protocol.transport, []
        session._protocol.transport = Writes(transport, writes)
        results = await asyncio.gather(*(session.fetch(f"ROWS {n}") for n in range(50)))
        session._protocol.transport = transport
        assert [len(rows) for rows in results] == list(range(50))
        assert [data.count(b"ROWS") for data in writes] == [1, 49]
        assert server.messages == ["RUN", "PULL"] * 50


@aiotest(loops=LOOPS)
async def test_what_follows_an_answer_goes_out_at_once():
    """Asked for one by one, a statement is written before its caller gives way to the loop."""
    async with WireServer() as server, client(server) as session:
        for n in range(3):
            asked = session.fetch(f"ROWS {n}")
            asked.send(None)
            assert not session._protocol._connection.data_to_send()
            assert [request.message.name for request in session._connection.outstanding] == ["RUN", "PULL"]
            asked.close()
            await session.ping()


class Writes:
    """A transport that notes what is written."""

    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        self.transport = transport
        self.writes = writes

    def __getattr__(self, name: str):
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.transport.write(data)


@aiotest(loops=LOOPS)
async def test_five_of_fifty_fail():
    async with WireServer() as server, client(server) as session:
        bad = {3, 4, 20, 48, 49}
        results = await asyncio.gather(
            *(session.fetch("FAIL" if n in bad else f"ROWS {n}") for n in range(50)), return_exceptions=True
        )
        assert {n for n, result in enumerate(results) if isinstance(result, asyncbolt.ClientError)} == bad
        assert all(len(result) == n for n, result in enumerate(results) if n not in bad)
        assert server.messages.count("RESET") == 5
        await settled(session)
        assert server.peer.error is None


@aiotest
async def test_ignored_statements_are_sent_again_in_order_and_others_stay_behind_them():
    async with WireServer() as server, client(server) as session:
        tasks = [
            asyncio.create_task(session.execute(text))
            for text in ("CREATE a", "FAIL", "CREATE b", "CREATE c")
        ]
        await server.until(lambda: "RESET" in server.messages)
        tasks.append(asyncio.create_task(session.execute("CREATE d")))
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[1], asyncbolt.ClientError)
        assert server.created == ["a", "b", "c", "d"]
        # The server hands out only what it does not ignore by itself: each statement ran once.
        assert server.peer.statements == ["CREATE a", "FAIL", "CREATE b", "CREATE c", "CREATE d"]


@aiotest
async def test_no_more_than_256_messages_are_unanswered():
    async with WireServer() as server, client(server) as session:
        server.hold()
        tasks = [asyncio.create_task(session.execute(f"CREATE {n}")) for n in range(1000)]
        await server.until(lambda: len(server.messages) >= 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(session.protocol.connection.outstanding) <= 255
        server.release()
        await asyncio.gather(*tasks)
        assert server.created == [str(n) for n in range(1000)]


@aiotest
async def test_max_inflight_statements_are_written_and_the_others_wait():
    async with WireServer() as server, client(server, max_inflight=3) as session:
        server.hold()
        tasks = [asyncio.create_task(session.execute(f"CREATE {n}")) for n in range(10)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(session.protocol.connection.outstanding) == 6
        server.release()
        await asyncio.gather(*tasks)
        assert server.created == [str(n) for n in range(10)]


@aiotest
async def test_max_inflight_bytes_and_one_larger_statement():
    async with WireServer() as server, client(server, max_inflight_bytes=10_000) as session:
        server.hold()
        parameters = {"value": "x" * 50_000}
        tasks = [asyncio.create_task(session.fetch("ECHO", parameters)) for _ in range(4)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(session.protocol.connection.outstanding) == 2
        server.release()
        assert await asyncio.gather(*tasks) == [[("x" * 50_000,)]] * 4


@aiotest
async def test_a_value_that_cannot_be_packed_harms_its_caller_only():
    async with WireServer() as server, client(server) as session:
        rows = [{"when": 1}, {"when": 2}, {"when": 3}, {"when": {1, 2}}]
        results = await asyncio.gather(
            session.execute("CREATE a"),
            session.execute("COUNT", {"rows": rows}),
            session.execute("CREATE b"),
            return_exceptions=True,
        )
        assert isinstance(results[1], asyncbolt.PackError)
        assert str(results[1]).startswith("$rows[3].when: ")
        assert server.created == ["a", "b"]
        assert server.messages == ["RUN", "DISCARD"] * 2


@aiotest
async def test_an_option_that_the_version_has_not_harms_its_caller_only():
    async with WireServer(versions=[(3, 0)]) as server, client(server) as session:
        with pytest.raises(asyncbolt.LocalProtocolError, match=r"db.*3\.0"):
            await session.fetch("ROWS 1", db="other")
        with pytest.raises(TypeError, match="dbb"):
            await session.fetch("ROWS 1", dbb="other")
        assert await session.fetch("ROWS 1", mode="r") == [(0,)]
        assert server.extras == [{"mode": "r"}]


@aiotest
async def test_the_session_database_is_the_default():
    async with WireServer(versions=[(5, 4)]) as server, client(server, database="movies") as session:
        await session.fetch("ROWS 1")
        await session.fetch("ROWS 1", db="other", bookmarks=("a",))
        async with session.transaction() as tx:
            await tx.fetch("ROWS 1")
        assert server.extras == [{"db": "movies"}, {"db": "other", "bookmarks": ["a"]}, {}]


# ---------------------------------------------------------------------- streams and nesting


@aiotest(loops=LOOPS)
async def test_nested_execute_inside_batches():
    async with WireServer() as server, client(server) as session:
        rows = 0
        async for batch in session.batches("ROWS 10000", fetch_size=1000):
            rows += len(batch)
            await session.execute(f"CREATE {rows}")
        assert rows == 10_000
        assert server.created[-1] == "10000"
        # The rest of the stream is pulled before anything else is written.
        first = server.messages.index("DISCARD")
        before = server.messages[: first - 1]
        assert before[0] == "RUN" and set(before[1:]) == {"PULL"} and len(before) <= 5
        assert server.messages[first - 1 :] == ["RUN", "DISCARD"] * len(server.created)


@aiotest
async def test_two_nested_streams():
    async with WireServer() as server, client(server) as session:
        seen = []
        async for outer in session.batches("ROWS 3", fetch_size=1):
            async for inner in session.batches("ROWS 2", fetch_size=1):
                seen += [(row[0], n) for row in outer for (n,) in inner]
        assert seen == [(row, n) for row in range(3) for n in range(2)]
        assert server.peer.error is None


@aiotest(loops=LOOPS)
async def test_slow_reader_is_not_sent_more_than_it_takes():
    async with WireServer() as server, client(server) as session:
        stream = session.batches("ROWS 1000000", fetch_size=100)
        rows = len(await stream.__anext__())
        for _ in range(100):
            await asyncio.sleep(0)
        pulls = server.messages.count("PULL")
        assert pulls <= 4
        while rows < 5000:
            rows += len(await stream.__anext__())
        assert server.messages.count("PULL") <= 60
        await stream.aclose()
        await settled(session)
        assert server.messages[-2:] == ["DISCARD", "RESET"]


@pytest.mark.parametrize("how", ["break", "aclose", "with", "error", "drop"])
@aiotest
async def test_leaving_a_stream_early_discards_the_rest(how):
    async with WireServer() as server, client(server) as session:
        if how == "break":
            async for _ in session.batches("ROWS 1000", fetch_size=10):
                break
        elif how == "aclose":
            stream = session.batches("ROWS 1000", fetch_size=10)
            await stream.__anext__()
            await stream.aclose()
            with pytest.raises(StopAsyncIteration):
                await stream.__anext__()
        elif how == "with":
            async with session.batches("ROWS 1000", fetch_size=10) as stream:
                await stream.__anext__()
        elif how == "error":
            with pytest.raises(ZeroDivisionError):
                async for _ in session.batches("ROWS 1000", fetch_size=10):
                    raise ZeroDivisionError
        else:
            stream = session.batches("ROWS 1000", fetch_size=10)
            await stream.__anext__()
            del stream
            gc.collect()
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.messages[-3:] == ["DISCARD", "RUN", "PULL"]
        assert server.messages.count("PULL") <= 5
        assert "RESET" not in server.messages


@pytest.mark.parametrize("version", [(3, 0), (5, 4)])
@aiotest(loops=LOOPS)
async def test_transport_is_paused_for_a_slow_reader_and_whoever_waits_lifts_it(version):
    async with WireServer(versions=[version]) as server, client(server) as session:
        stream = session.run("ROWS 400000")
        await stream.__anext__()
        await server.until(lambda: server.peer.paused)
        for _ in range(10_000):  # what has been sent still comes in, a read in each turn of the loop
            if session._paused:
                break
            await asyncio.sleep(0)
        assert session._paused
        # Nobody reads the stream, but this has to be answered.
        assert await session.fetch("ROWS 1") == [(0,)]
        rest = [response.fields[0] async for response in stream]
        assert rest == list(range(1, 400_000))
        assert not session._paused


@aiotest
async def test_early_break_from_run_skips_the_rest():
    async with WireServer() as server, client(server) as session:
        async for response in session.run("ROWS 100000"):
            assert response == ([0], {"fields": ["n"], "t_first": 0}, False)
            break
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.messages == ["RUN", "PULL", "RUN", "PULL"]


@aiotest
async def test_a_stream_that_fails_in_the_middle():
    async with WireServer() as server, client(server) as session:
        rows = []
        with pytest.raises(asyncbolt.ClientError) as caught:
            async for batch in session.batches("ROWS 10 FAIL"):
                rows += batch
        assert len(rows) == 10
        assert await session.fetch("ROWS 1") == [(0,)]
        stream = session.batches("FAIL")
        with pytest.raises(asyncbolt.ClientError):
            await stream.__anext__()
        with pytest.raises(asyncbolt.ResultFailedError):
            await stream.__anext__()
        assert caught.value.code == "Neo.ClientError.Statement.ArithmeticError"


@aiotest
async def test_two_tasks_cannot_read_one_stream():
    async with WireServer() as server, client(server) as session:
        server.hold()
        stream = session.batches("ROWS 3")
        first = asyncio.create_task(stream.__anext__())
        await server.until(lambda: server.messages)
        with pytest.raises(asyncbolt.LocalProtocolError, match="another task"):
            await stream.__anext__()
        server.release()
        assert await first == [(0,), (1,), (2,)]


# ---------------------------------------------------------------------- cancellation


@aiotest(loops=LOOPS)
async def test_b_is_cancelled_between_a_and_c():
    async with WireServer() as server, client(server) as session:
        server.hold()
        a, b, c = (asyncio.create_task(session.execute(f"CREATE {name}")) for name in "abc")
        await server.until(lambda: server.messages)
        b.cancel()
        with pytest.raises(asyncio.CancelledError):
            await b
        server.release()
        assert (await a)["stats"] == (await c)["stats"] == {"nodes-created": 1}
        assert server.created == ["a", "b", "c"]
        assert "RESET" not in server.messages


@aiotest
async def test_cancelled_before_it_is_written_is_never_written():
    async with WireServer() as server, client(server) as session:
        async with session.transaction() as transaction:
            await transaction.fetch("ROWS 1")
            # The transaction has the connection: this waits unwritten.
            task = asyncio.create_task(session.execute("CREATE a"))
            await asyncio.sleep(0)
            assert session._lane.pending == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await settled(session)
        assert server.created == []
        assert server.messages == ["BEGIN", "RUN", "PULL", "COMMIT", "RESET"]


@aiotest(loops=LOOPS)
async def test_reset_when_everything_in_flight_is_given_up():
    async with WireServer() as server, client(server) as session:
        one = asyncio.create_task(session.fetch("HANG"))
        two = asyncio.create_task(session.fetch("ENDLESS"))
        await server.until(lambda: server.messages)
        two.cancel()
        await asyncio.sleep(0)
        assert "(interrupted)" not in server.messages
        one.cancel()
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.messages == ["RUN", "(interrupted)", "RESET", "RUN", "PULL"]
        for task in (one, two):
            with pytest.raises(asyncio.CancelledError):
                await task


@aiotest(loops=LOOPS)
async def test_cancelled_while_streaming():
    async with WireServer() as server, client(server) as session:
        got = asyncio.Event()

        async def read():
            async for _ in session.batches("ENDLESS", fetch_size=-1):
                got.set()

        task = asyncio.create_task(read())
        await got.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await session.reset(timeout=5)
        assert await session.fetch("ROWS 1", timeout=5) == [(0,)]


@aiotest
async def test_a_stream_whose_reading_was_cancelled_says_so():
    async with WireServer() as server, client(server) as session:
        stream = session.batches("HANG")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.__anext__(), 0.01)
        with pytest.raises(asyncbolt.ResultConsumedError, match="cancelled"):
            await stream.__anext__()
        assert await session.fetch("ROWS 1") == [(0,)]


@aiotest
async def test_timeout_of_each_call():
    async with WireServer() as server, client(server) as session:
        for call in (
            session.fetch("HANG", timeout=0.01),
            session.execute("HANG", timeout=0.01),
            session.batches("HANG", timeout=0.01).__anext__(),
            session.run("HANG", timeout=0.01).__anext__(),
            session.execute_many("HANG", [1], timeout=0.01),
        ):
            with pytest.raises(TimeoutError, match=r"0\.01 s"):
                await call
        with pytest.raises(TimeoutError):
            async with session.transaction(timeout=0.01) as tx:
                await tx.fetch("HANG")
        assert await session.fetch("ROWS 1", timeout=5) == [(0,)]
        assert server.created == []


@aiotest
async def test_unanswered_reset_cuts_the_connection():
    async with WireServer() as server:
        session = await client(server, reset_timeout=0.05)
        server.silent = True
        with pytest.raises(TimeoutError):
            await session.fetch("ROWS 1", timeout=0.01)
        with pytest.raises(asyncbolt.ServiceUnavailable, match=r"RESET within 0\.05 s") as caught:
            await session.fetch("ROWS 2")
        assert caught.value.may_have_run is True
        await session.wait_closed()
        assert not session.is_connected


@aiotest
async def test_a_reset_may_take_longer_while_rows_come_but_not_forever():
    async with WireServer() as server:
        session = await client(server, reset_timeout=0.02)
        server.deaf = True
        with pytest.raises(TimeoutError):
            await session.fetch("ENDLESS", timeout=0.01)
        with pytest.raises(asyncbolt.ServiceUnavailable, match="did not answer RESET"):
            await session.fetch("ROWS 1", timeout=30)
        await session.wait_closed()


# ---------------------------------------------------------------------- transactions


@aiotest(loops=LOOPS)
async def test_transaction_commits_and_begin_travels_with_the_first_statement():
    async with WireServer() as server, client(server) as session:
        before = len(server.peer.reads)
        async with session.transaction(mode="w") as tx:
            await tx.execute("CREATE a")
            assert len(server.peer.reads) - before == 1
            assert await tx.fetch("ROWS 2") == [(0,), (1,)]
            assert server.created == []
        assert server.created == ["a"]
        assert server.messages == ["BEGIN", "RUN", "DISCARD", "RUN", "PULL", "COMMIT"]
        assert tx.closed


@aiotest
async def test_begin_is_never_behind_an_unanswered_request():
    async with WireServer() as server, client(server) as session:
        server.hold()

        async def transact(name):
            async with session.transaction() as tx:
                await tx.execute(f"CREATE {name}")

        tasks = [
            asyncio.create_task(session.execute("CREATE a")),
            asyncio.create_task(transact("b")),
            asyncio.create_task(session.execute("CREATE c")),
            asyncio.create_task(transact("d")),
        ]
        for _ in range(20):
            await asyncio.sleep(0)
        assert [request.message.name for request in session.protocol.connection.outstanding] == [
            "RUN",
            "DISCARD",
        ]
        server.release()
        await asyncio.gather(*tasks)
        assert server.created == ["a", "b", "c", "d"]
        assert server.messages == [
            *["RUN", "DISCARD"],
            *["BEGIN", "RUN", "DISCARD", "COMMIT"],
            *["RUN", "DISCARD"],
            *["BEGIN", "RUN", "DISCARD", "COMMIT"],
        ]


@aiotest
async def test_begin_behind_a_failure_is_behind_the_reset():
    async with WireServer() as server, client(server) as session:

        async def transact():
            async with session.transaction() as tx:
                await tx.execute("CREATE a")

        results = await asyncio.gather(session.fetch("FAIL"), transact(), return_exceptions=True)
        assert isinstance(results[0], asyncbolt.ClientError) and results[1] is None
        assert server.messages == ["RUN", "RESET", "BEGIN", "RUN", "DISCARD", "COMMIT"]


@aiotest(loops=LOOPS)
async def test_a_failed_statement_ends_the_transaction_and_nothing_is_sent_again():
    async with WireServer() as server, client(server) as session:
        with pytest.raises(asyncbolt.TransactionError) as caught:
            async with session.transaction() as tx:
                results = await asyncio.gather(
                    tx.execute("CREATE a"), tx.fetch("FAIL"), tx.execute("CREATE b"), return_exceptions=True
                )
                assert isinstance(results[1], asyncbolt.ClientError)
                assert isinstance(results[2], asyncbolt.TransactionError)
                assert results[2].__cause__ is results[1]
                await tx.execute("CREATE c")
        assert caught.value.__cause__ is results[1]
        assert caught.value.transaction is tx
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.created == []
        assert server.messages == ["BEGIN", "RUN", "DISCARD", "RUN", "RESET", "RUN", "PULL"]


@aiotest
async def test_a_failed_begin_is_told_by_the_first_statement():
    async with WireServer(versions=[(5, 4)]) as server, client(server) as session:
        with pytest.raises(asyncbolt.LocalProtocolError, match="mode"):
            async with session.transaction(mode="x") as tx:
                await tx.fetch("ROWS 1")
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.messages == ["RUN", "PULL"]


@aiotest
async def test_an_exception_rolls_back():
    async with WireServer() as server, client(server) as session:
        with pytest.raises(ZeroDivisionError):
            async with session.transaction() as tx:
                await tx.execute("CREATE a")
                raise ZeroDivisionError
        assert server.messages == ["BEGIN", "RUN", "DISCARD", "ROLLBACK"]
        async with session.transaction() as tx:
            await tx.execute("CREATE b")
            await tx.rollback()
            with pytest.raises(asyncbolt.TransactionError, match="over"):
                await tx.fetch("ROWS 1")
        assert server.created == []


@aiotest
async def test_rollback_with_unanswered_requests_is_a_reset():
    async with WireServer() as server, client(server) as session:
        task = None
        with pytest.raises(ZeroDivisionError):
            async with session.transaction() as tx:
                await tx.execute("CREATE a")
                task = asyncio.create_task(tx.fetch("HANG"))
                await server.until(lambda: server.messages.count("RUN") == 2)
                raise ZeroDivisionError
        with pytest.raises(asyncbolt.TransactionError):
            await task
        assert server.messages == ["BEGIN", "RUN", "DISCARD", "RUN", "(interrupted)", "RESET"]
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.created == []


@aiotest
async def test_streams_of_a_transaction_interleave():
    async with WireServer() as server, client(server) as session:
        async with session.transaction() as tx:
            first = tx.batches("ROWS 6", fetch_size=2)
            second = tx.batches("ROWS 6", fetch_size=3)
            rows = []
            for stream in (first, second) * 3:
                try:
                    rows.append(await stream.__anext__())
                except StopAsyncIteration:
                    rows.append(None)
            assert rows == [
                *([(0,), (1,)], [(0,), (1,), (2,)]),
                *([(2,), (3,)], [(3,), (4,), (5,)]),
                *([(4,), (5,)], None),
            ]
            async for batch in tx.batches("ROWS 100", fetch_size=10):
                await tx.execute(f"CREATE {batch[0][0]}")
        assert server.created == [str(n) for n in range(0, 100, 10)]
        assert server.peer.error is None


@aiotest
async def test_commit_discards_what_is_open():
    async with WireServer() as server, client(server) as session:
        async with session.transaction() as tx:
            stream = tx.batches("ROWS 1000", fetch_size=10)
            await stream.__anext__()
            await tx.execute("CREATE a")
        assert server.created == ["a"]
        assert server.messages[-2:] == ["DISCARD", "COMMIT"]
        with pytest.raises(asyncbolt.ResultFailedError):
            while True:
                await stream.__anext__()


@aiotest
async def test_a_transaction_that_is_dropped_is_rolled_back():
    async with WireServer() as server, client(server) as session:
        tx = session.transaction()
        await tx.execute("CREATE a")
        del tx
        gc.collect()
        assert await session.fetch("ROWS 1", timeout=5) == [(0,)]
        assert server.messages == ["BEGIN", "RUN", "DISCARD", "ROLLBACK", "RUN", "PULL"]


@aiotest
async def test_cancelled_in_a_transaction_rolls_back_and_frees_the_connection():
    async with WireServer() as server, client(server) as session:

        async def transact():
            async with session.transaction() as tx:
                await tx.execute("CREATE a")
                await tx.fetch("HANG")

        task = asyncio.create_task(transact())
        await server.until(lambda: server.messages.count("RUN") == 2)
        waiting = asyncio.create_task(session.fetch("ROWS 1"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await waiting == [(0,)]
        assert server.created == []


@pytest.mark.parametrize("written", [False, True])
@aiotest
async def test_a_commit_that_is_given_up_frees_the_connection(written):
    async with WireServer() as server, client(server) as session:
        tx = session.transaction()
        await tx.execute("CREATE a")
        server.hold()
        if not written:
            # COMMIT waits until everything in its transaction is answered.
            other = asyncio.create_task(tx.fetch("ROWS 1"))
            await server.until(lambda: server.messages.count("RUN") == 2)
        commit = asyncio.create_task(tx.commit())
        if written:
            await server.until(lambda: "COMMIT" in server.messages)
        await asyncio.sleep(0)
        commit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await commit
        server.release()
        assert await session.fetch("ROWS 1", timeout=5) == [(0,)]
        assert tx.closed
        if not written:
            await asyncio.gather(other, return_exceptions=True)
            assert server.created == []


@aiotest
async def test_a_commit_that_is_not_answered_in_time_frees_the_connection():
    async with WireServer() as server, client(server) as session:
        tx = session.transaction()
        await tx.execute("CREATE a")
        task = asyncio.create_task(tx.fetch("HANG"))
        await server.until(lambda: server.messages.count("RUN") == 2)
        with pytest.raises(TimeoutError):
            await tx.commit(timeout=0.01)
        with pytest.raises(asyncbolt.TransactionError):
            await task
        assert await session.fetch("ROWS 1", timeout=5) == [(0,)]
        assert server.created == []


@aiotest
async def test_statements_of_a_transaction_that_waits_for_its_turn_can_be_cancelled():
    async with WireServer() as server, client(server) as session:
        async with session.transaction() as first:
            await first.execute("CREATE a")

            async def second():
                async with session.transaction() as tx:
                    await tx.execute("CREATE b")

            task = asyncio.create_task(second())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await settled(session)
        assert server.messages == ["BEGIN", "RUN", "DISCARD", "COMMIT", "RESET"]


# ---------------------------------------------------------------------- the rest


@aiotest(loops=LOOPS)
async def test_close_waits_for_a_hundred_writes():
    async with WireServer() as server:
        session = await client(server)
        tasks = [asyncio.create_task(session.execute(f"CREATE {n}")) for n in range(100)]
        await asyncio.sleep(0)
        session.close()
        await session.wait_closed()
        await asyncio.gather(*tasks)
        assert server.created == [str(n) for n in range(100)]
        await server.peer.gone
        assert server.peer.said_goodbye
        assert server.messages == ["RUN", "DISCARD"] * 100
        with pytest.raises(asyncbolt.LocalProtocolError, match="closed"):
            await session.fetch("ROWS 1")


@aiotest
async def test_close_has_a_time_limit():
    async with WireServer() as server:
        session = await client(server)
        task = asyncio.create_task(session.fetch("HANG"))
        await server.until(lambda: server.messages)
        session.close(timeout=0.05)
        with pytest.raises(asyncbolt.ServiceUnavailable, match="session was closed"):
            await task
        await session.wait_closed()


@aiotest
async def test_abort_does_not_wait():
    async with WireServer() as server:
        session = await client(server)
        task = asyncio.create_task(session.fetch("HANG"))
        await server.until(lambda: server.messages)
        session.abort()
        with pytest.raises(asyncbolt.ServiceUnavailable):
            await task
        await session.wait_closed()
        assert not server.peer.said_goodbye


@aiotest
async def test_close_rolls_an_open_transaction_back_and_lets_others_finish():
    async with WireServer() as server:
        session = await client(server)
        tx = session.transaction()
        await tx.execute("CREATE a")
        other = asyncio.create_task(session.execute("CREATE b"))
        await asyncio.sleep(0)
        session.close()
        await session.wait_closed()
        await other
        assert server.created == ["b"]
        with pytest.raises(asyncbolt.BoltError):
            await tx.execute("CREATE c")


@aiotest(loops=LOOPS)
async def test_a_lost_connection_says_what_may_have_run():
    async with WireServer() as server:
        session = await client(server, max_inflight=2)
        server.hold()
        tasks = [asyncio.create_task(session.execute(f"CREATE {n}")) for n in range(4)]
        await server.until(lambda: server.messages)
        server.peer.transport.abort()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(type(result) is asyncbolt.ServiceUnavailable for result in results)
        assert [result.may_have_run for result in results] == [True, True, False, False]
        assert len({id(result) for result in results}) == 4
        assert all(result.__cause__ is not None for result in results)
        assert not session.is_connected
        with pytest.raises(asyncbolt.ServiceUnavailable, match="not connected"):
            await session.fetch("ROWS 1")
        await session.wait_closed()


@aiotest
async def test_a_commit_whose_answer_is_lost_is_incomplete():
    async with WireServer() as server:
        session = await client(server)
        tx = session.transaction()
        await tx.execute("CREATE a")
        server.hold()
        commit = asyncio.create_task(tx.commit())
        await server.until(lambda: "COMMIT" in server.messages)
        server.peer.transport.abort()
        with pytest.raises(asyncbolt.IncompleteCommit):
            await commit
        await session.wait_closed()


@aiotest
async def test_reconnect():
    async with WireServer() as server:
        session = await client(server)
        server.peer.transport.abort()
        with pytest.raises(asyncbolt.ServiceUnavailable):
            await session.fetch("ROWS 1")
        await session.reconnect()
        assert session.is_connected
        assert await session.fetch("ROWS 1") == [(0,)]
        assert len(server.peers) == 2
        session.close()
        await session.wait_closed()


@aiotest
async def test_reset_interrupts_everything_on_the_wire_and_nothing_else():
    async with WireServer() as server, client(server, max_inflight=2) as session:
        tasks = [
            asyncio.create_task(session.execute(text))
            for text in ("HANG", "CREATE a", "CREATE b", "CREATE c")
        ]
        await server.until(lambda: server.messages)
        answer = await session.reset()
        assert answer == asyncbolt.ClientResponse(["Successfully reset server session"], {}, True)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncbolt.ServerIgnoredError) for result in results[:2])
        assert server.created == ["b", "c"]


@aiotest
async def test_ping_waits_for_its_turn_and_interrupts_nothing():
    async with WireServer() as server, client(server) as session:
        server.hold()
        task = asyncio.create_task(session.execute("CREATE a"))
        await server.until(lambda: server.messages)
        ping = asyncio.create_task(session.ping())
        await asyncio.sleep(0)
        server.release()
        await ping
        await task
        assert server.messages == ["RUN", "DISCARD", "RESET"]


@aiotest
async def test_nothing_is_left_of_a_session():
    async with WireServer() as server:
        async with client(server) as session:
            await session.fetch("ROWS 1")
            transport = weakref.ref(session.protocol.transport)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert session.protocol.transport is None
        gc.collect()
        assert transport() is None


@aiotest
async def test_garbage_ends_everything_in_flight_with_a_reason():
    for garbage, reason in (
        (b"\x00\x01\xff\x00\x00", "cannot be read"),
        (b"\x00\x03\xb1\x70\x01\x00\x00", "something else than one map"),
        (b"\x00\x02\xb0\x66\x00\x00", "no answer"),
        (b"\xff\xff" + b"x" * 100, "inside a message"),
    ):
        async with WireServer() as server:
            session = await client(server)
            server.hold()
            tasks = [asyncio.create_task(session.fetch(f"ROWS {n}")) for n in range(3)]
            await server.until(lambda: server.messages)
            server.peer.transport.write(garbage)
            server.peer.transport.close()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(result, asyncbolt.ServiceUnavailable), result
                assert reason in str(result), str(result)
                assert result.__cause__ is not None
            await session.wait_closed()


@aiotest
async def test_a_message_that_is_too_long_ends_the_connection():
    async with WireServer() as server:
        session = await client(server, max_message_size=1000)
        assert await session.fetch("ECHO", {"value": "x" * 500}) == [("x" * 500,)]
        with pytest.raises(asyncbolt.ServiceUnavailable, match="1000"):
            await session.fetch("ECHO", {"value": "x" * 5000})
        await session.wait_closed()
