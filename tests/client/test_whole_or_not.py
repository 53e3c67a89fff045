"""What cannot be sent harms nobody but its caller: nothing of it is written, and he is told."""

from __future__ import annotations

import asyncio
import decimal
import logging
import math
from collections.abc import Mapping

import pytest
from aiohelp import LOOPS, aiotest
from wire_server import WireServer

import asyncbolt
from asyncbolt.client.lane import Call
from asyncbolt.exceptions import BoltError, LocalProtocolError, PackError
from asyncbolt.protocol import ClientConnection


def client(server, **options):
    options.setdefault("timeout", 10)
    return asyncbolt.connect(server.uri, **options)


class Integer:
    """As numpy's: no int, but what stands for one."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Evil(Mapping):
    """A map that raises when it is packed."""

    def __init__(self, error, act=None):
        self.error = error
        self.act = act

    def keys(self):
        if self.act is not None:
            self.act()
        raise self.error

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return 1

    def __getitem__(self, key):
        raise self.error


class Custom(BaseException):
    pass


# ---------------------------------------------------------------------- options, where they are given

NO_SIZES = [1000.0, 2**63, 0, -2, True, "7", 10**5000, math.nan]


@pytest.mark.parametrize("size", NO_SIZES, ids=lambda size: repr(size)[:12] if size != 10**5000 else "huge")
@aiotest
async def test_fetch_size(size):
    async with WireServer() as server, client(server) as session:
        server.hold()
        others = [asyncio.ensure_future(session.execute(f"CREATE {n}")) for n in range(5)]
        await asyncio.sleep(0)
        with pytest.raises((TypeError, ValueError), match="fetch_size"):
            session.batches("CREATE x", fetch_size=size)
        async with session.transaction() as tx:
            with pytest.raises((TypeError, ValueError), match="fetch_size"):
                tx.batches("CREATE x", fetch_size=size)
            server.release()
        await asyncio.gather(*others)
        assert server.created == ["0", "1", "2", "3", "4"]
        with pytest.raises(asyncbolt.ConfigurationError, match="fetch_size"):
            client(server, fetch_size=size)


@pytest.mark.parametrize("size", [1, Integer(3), 2**63 - 1, 2**62, -1])
@aiotest
async def test_fetch_sizes_that_make_sense(size):
    async with WireServer() as server, client(server, fetch_size=size) as session:
        for given in (size, None):
            stream = session.batches("ROWS 8", fetch_size=given)
            assert len([row async for batch in stream for row in batch]) == 8


NO_TIMES = [math.nan, -1, -0.001, "5", b"5", True, [], object()]


@pytest.mark.parametrize("timeout", NO_TIMES, ids=lambda value: type(value).__name__)
@aiotest
async def test_timeout(timeout):
    async with WireServer() as server, client(server) as session:
        with pytest.raises((TypeError, ValueError), match="timeout"):
            session.batches("CREATE x", timeout=timeout)
        with pytest.raises((TypeError, ValueError), match="timeout"):
            session.run("CREATE x", timeout=timeout)
        with pytest.raises((TypeError, ValueError), match="timeout"):
            session.transaction(timeout=timeout)
        with pytest.raises((TypeError, ValueError), match="timeout"):
            session.close(timeout=timeout)
        asked = [
            session.fetch("CREATE x", timeout=timeout),
            session.execute("CREATE x", timeout=timeout),
            session.execute_many("COUNT", [1], timeout=timeout),
            session.ping(timeout=timeout),
            session.reset(timeout=timeout),
            session.reconnect(timeout=timeout),
        ]
        for each in asked:
            with pytest.raises((TypeError, ValueError), match="timeout"):
                await each
        async with session.transaction() as tx:
            for make in (tx.fetch, tx.execute):
                with pytest.raises((TypeError, ValueError), match="timeout"):
                    await make("CREATE x", timeout=timeout)
            for end in (tx.commit, tx.rollback):
                with pytest.raises((TypeError, ValueError), match="timeout"):
                    await end(timeout=timeout)
            await tx.execute("CREATE a")
        assert session.is_connected and server.created == ["a"]
        for name in ("timeout", "reset_timeout"):
            with pytest.raises(asyncbolt.ConfigurationError, match=name):
                client(server, **{name: timeout})
        for name in ("timeout", "max_idle", "max_lifetime", "connect_timeout"):
            with pytest.raises(asyncbolt.ConfigurationError, match="seconds"):
                asyncbolt.create_pool(server.uri, **{name: timeout})
        async with asyncbolt.create_pool(server.uri) as pool:
            with pytest.raises((TypeError, ValueError), match="timeout"):
                pool.acquire(timeout=timeout)
            with pytest.raises((TypeError, ValueError), match="timeout"):
                await pool.close(timeout=timeout)


@pytest.mark.parametrize(
    "timeout",
    [50, 50.0, decimal.Decimal(50), math.inf, Integer(50)],
    ids=lambda value: type(value).__name__,
)
@aiotest(loops=LOOPS)
async def test_timeouts_that_make_sense(timeout):
    async with WireServer() as server, client(server, timeout=timeout) as session:
        assert await session.fetch("ROWS 1", timeout=timeout) == [(0,)]
        assert [batch async for batch in session.batches("ROWS 1", timeout=timeout)] == [[(0,)]]


@pytest.mark.parametrize("name", ["max_inflight", "max_inflight_bytes", "max_message_size"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "9", True, math.nan, math.inf, 2**63])
def test_limits(name, value):
    with pytest.raises(asyncbolt.ConfigurationError, match=name):
        asyncbolt.connect("bolt://localhost", **{name: value})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"database": 5}, "database"),
        ({"user_agent": 5}, "user_agent"),
        ({"versions": [(9, 9)]}, "Bolt version"),
        ({"versions": 5}, "iterable"),
        ({"notifications_disabled": "HINT"}, "list of names"),
        ({"notifications_disabled": 5}, "iterable"),
        ({"notifications_minimum_severity": 5}, "notifications_minimum_severity"),
    ],
)
def test_options_of_a_connection(options, match):
    with pytest.raises(asyncbolt.ConfigurationError, match=match):
        asyncbolt.connect("bolt://localhost", **options)


@pytest.mark.parametrize("sizes", [(1.0, 2), (0, 0), (3, 2), (-1, 2), (1, "2"), (True, 2), (1, math.inf)])
def test_sizes_of_a_pool(sizes):
    with pytest.raises(asyncbolt.ConfigurationError, match="size"):
        asyncbolt.create_pool("bolt://localhost", min_size=sizes[0], max_size=sizes[1])


NO_OPTIONS = [
    {"tx_timeout": -1},
    {"tx_timeout": 1.0},
    {"tx_timeout": 2**63},
    {"tx_timeout": 10**5000},
    {"tx_timeout": "5"},
    {"tx_timeout": True},
    {"tx_metadata": [1]},
    {"tx_metadata": "x"},
    {"bookmarks": "bm"},
    {"bookmarks": [1]},
    {"bookmarks": 5},
    {"db": 5},
    {"mode": "x"},
    {"mode": 5},
    {"imp_user": 5},
    {"notifications_minimum_severity": 5},
    {"notifications_disabled": "HINT"},
    {"notifications_disabled": [5]},
    {"notifications_disabled_classifications": 5},
]


@pytest.mark.parametrize("options", NO_OPTIONS, ids=lambda options: f"{next(iter(options))}")
@aiotest
async def test_options_of_a_statement(options):
    """Also what is only made now and sent later is refused now."""
    async with WireServer() as server, client(server) as session:
        for make in (session.batches, session.run, session.pipeline):
            with pytest.raises(LocalProtocolError, match=next(iter(options))):
                make("CREATE x", **options)
        with pytest.raises(LocalProtocolError):
            session.transaction(**options)
        for make in (session.fetch, session.execute):
            with pytest.raises(LocalProtocolError):
                await make("CREATE x", **options)
        with pytest.raises(LocalProtocolError):
            await session.execute_many("COUNT", [1], **options)
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.messages == ["RUN", "PULL"]


@aiotest
async def test_options_that_make_sense():
    async with WireServer() as server, client(server) as session:
        bookmarks = (name for name in ("a", "b"))
        stream = session.batches(
            "ROWS 1", bookmarks=bookmarks, tx_timeout=Integer(5), tx_metadata={"a": None}
        )
        assert [batch async for batch in stream] == [[(0,)]]
        assert server.extras == [{"bookmarks": ["a", "b"], "tx_timeout": 5, "tx_metadata": {"a": None}}]
        await session.execute("ROWS 1", tx_timeout=0, db=None)
        assert server.extras[1:] == [{"tx_timeout": 0}]


@pytest.mark.parametrize("value", [0, 1.5, "9", True, 2**63])
@aiotest
async def test_sizes_of_batches(value):
    async with WireServer() as server, client(server) as session:
        for name in ("batch_rows", "batch_bytes"):
            with pytest.raises((TypeError, ValueError), match=name):
                await session.execute_many("COUNT", [1], **{name: value})


# ---------------------------------------------------------------------- whole, or not at all


@pytest.mark.parametrize("version", [(1, 0), (4, 4), (5, 4)])
@pytest.mark.parametrize("busy", [False, True])
@aiotest
async def test_a_later_message_that_cannot_be_sent_takes_back_the_earlier_ones(version, busy):
    """Whatever a check before could not see: here, a size that is changed behind its back."""
    async with WireServer(versions=[version]) as server, client(server) as session:
        if busy:
            server.hold()
        others = [asyncio.ensure_future(session.execute(f"CREATE {n}")) for n in range(5 * busy)]
        await asyncio.sleep(0)
        stream = session.batches("CREATE lost")
        stream._fetch_size = 2.5
        session._streams = True
        with pytest.raises(LocalProtocolError, match="PULL"):
            server.release() if busy else None
            await stream.__anext__()
        before = len(server.peer.reads)
        await asyncio.gather(*others)
        assert server.created == [str(n) for n in range(5 * busy)]
        assert "CREATE lost" not in server.peer.statements
        if not busy:
            assert len(server.peer.reads) == before and not session._connection.outstanding
        assert session._lane.idle and not session._lane._bytes
        await session.execute("CREATE after")
        assert server.created[-1] == "after" and session.is_connected


@aiotest
async def test_logoff_does_not_go_without_logon():
    """As the driver's other credentials, one of which cannot be packed."""
    async with WireServer() as server, client(server) as session:
        call = Call(ClientConnection.send_logoff, lambda connection: connection.send_logon({"scheme": {1}}))
        with pytest.raises(PackError):
            await session._call(call, None)
        with pytest.raises(LocalProtocolError, match="map"):
            await session._call(
                Call(ClientConnection.send_logoff, lambda connection: connection.send_logon(5)), None
            )
        await session.execute("CREATE a")
        assert server.messages == ["RUN", "DISCARD"] and server.created == ["a"]


@aiotest
async def test_a_login_that_cannot_be_packed():
    async with WireServer() as server:
        for auth in ({"scheme": {1}}, {"scheme": "basic", "credentials": object()}):
            with pytest.raises(PackError):
                await client(server, auth=auth, versions=[(5, 4)])
        async with client(server) as session:
            assert await session.fetch("ROWS 1") == [(0,)]


@aiotest
async def test_a_commit_that_cannot_be_sent_rolls_back(monkeypatch):
    def refuse(connection):
        raise LocalProtocolError("scripted")

    async with WireServer() as server, client(server) as session:
        tx = session.transaction()
        await tx.execute("CREATE x")
        with monkeypatch.context() as patched:
            patched.setattr(ClientConnection, "send_commit", refuse)
            with pytest.raises(LocalProtocolError, match="scripted"):
                await tx.commit()
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.created == []
        tx = session.transaction()
        await tx.execute("CREATE x")
        with monkeypatch.context() as patched:
            patched.setattr(ClientConnection, "send_rollback", refuse)
            await tx.rollback()
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.created == [] and "RESET" in server.messages


# ---------------------------------------------------------------------- what packing raises

RAISED = [
    asyncio.CancelledError("mine"),
    GeneratorExit("mine"),
    KeyboardInterrupt("mine"),
    SystemExit("mine"),
    StopIteration("mine"),
    StopAsyncIteration("mine"),
    RecursionError("mine"),
    MemoryError("mine"),
    ValueError("mine"),
    Custom("mine"),
]


async def by_batches(session, value):
    async for _ in session.batches("ECHO", {"value": value}):
        pass


async def by_run(session, value):
    async for _ in session.run("ECHO", {"value": value}):
        pass


async def by_pipeline(session, value):
    session.pipeline("ECHO", {"value": value})
    async for _ in session.run():
        pass


async def by_transaction(session, value):
    async with session.transaction() as tx:
        await tx.fetch("ECHO", {"value": value})


async def by_stream_of_a_transaction(session, value):
    async with session.transaction() as tx:
        async for _ in tx.batches("ECHO", {"value": value}):
            pass


async def by_many_of_a_transaction(session, value):
    async with session.transaction() as tx:
        await tx.execute_many("COUNT", [1, value])


async def by_metadata(session, value):
    async with session.transaction(tx_metadata={"value": value}) as tx:
        await tx.fetch("ROWS 1")


async def by_metadata_of_begin(session, value):
    await session.transaction(tx_metadata={"value": value}).begin()


WAYS = {
    "fetch": lambda session, value: session.fetch("ECHO", {"value": value}),
    "execute": lambda session, value: session.execute("ECHO", {"value": value}),
    "parameters": lambda session, value: session.execute("ECHO", value),
    "execute_many": lambda session, value: session.execute_many("COUNT", [1, value]),
    "tx_metadata": lambda session, value: session.fetch("ROWS 1", tx_metadata={"value": value}),
    "batches": by_batches,
    "run": by_run,
    "pipeline": by_pipeline,
    "transaction": by_transaction,
    "tx.batches": by_stream_of_a_transaction,
    "tx.execute_many": by_many_of_a_transaction,
    "metadata": by_metadata,
    "begin": by_metadata_of_begin,
}


async def caught_from(work):
    """What *work* raises, in the task that awaits it: no other task, and not the loop."""
    try:
        await work
    except BaseException as error:
        return error
    return None


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("busy", [False, True])
@aiotest(loops=LOOPS)
async def test_its_caller_gets_it(way, busy, caplog):
    """Alone on the connection and written at once, or among others in the loop's next turn."""
    async with WireServer() as server, client(server) as session:
        for error in RAISED:
            server.created.clear()
            server.peer.statements.clear()
            others = [asyncio.ensure_future(session.execute(f"CREATE {n}")) for n in range(3 * busy)]
            await asyncio.sleep(0)
            with caplog.at_level(logging.WARNING):
                caught = await caught_from(way(session, Evil(error)))
            if isinstance(error, (StopIteration, StopAsyncIteration)):
                assert isinstance(caught, PackError) and type(error).__name__ in str(caught)
                assert caught.__cause__ is error
            else:
                assert caught is error
            await asyncio.gather(*others)
            await session.execute("CREATE after")
            assert server.created == [*map(str, range(3 * busy)), "after"]
            assert not [text for text in server.peer.statements if "ECHO" in text]
            assert session._lane.idle and session.is_connected
        assert len(server.peers) == 1 and "fault" not in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, Custom])
@aiotest
async def test_a_caller_that_has_gone_is_told_nothing(error):
    """It is dropped with the statement, which nobody wants any more."""
    async with WireServer() as server, client(server) as session:
        async with session.batches("ROWS 50000", fetch_size=10) as stream:
            await stream.__anext__()
            task = asyncio.ensure_future(session.fetch("ECHO", {"value": Evil(error())}))
            await asyncio.sleep(0)
            task.cancel()
        assert await asyncio.gather(task, return_exceptions=True) != [None]
        assert await session.fetch("ROWS 1") == [(0,)]
        assert server.peer.statements == ["ROWS 50000", "ROWS 1"]


@pytest.mark.parametrize("busy", [False, True])
@aiotest
async def test_a_value_that_cuts_the_connection_while_it_is_packed(busy):
    async with WireServer() as server, client(server) as session:
        tasks = [asyncio.ensure_future(session.fetch("ROWS 1")) for _ in range(busy)]
        value = Evil(ValueError("mine"), session.abort)
        with pytest.raises((BoltError, ValueError)):
            await session.fetch("ECHO", {"value": value})
        await asyncio.gather(*tasks, return_exceptions=True)


class Cutting(Mapping):
    """Packs well, and cuts the connection meanwhile."""

    def __init__(self, session):
        self.session = session

    def __iter__(self):
        self.session.abort()
        return iter(("a",))

    def __len__(self):
        return 1

    def __getitem__(self, key):
        return 1


@pytest.mark.parametrize("busy", [False, True])
@aiotest
async def test_a_value_that_packs_and_cuts_the_connection(busy):
    async with WireServer() as server, client(server) as session:
        tasks = [asyncio.ensure_future(session.fetch("ROWS 1")) for _ in range(busy)]
        await asyncio.sleep(0)
        with pytest.raises(BoltError, match="aborted"):
            await session.fetch("ECHO", {"value": Cutting(session)})
        await asyncio.gather(*tasks, return_exceptions=True)
