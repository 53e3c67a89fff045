"""Statements: what ``run`` may give, how its rows are taken, and what the client is told."""

from __future__ import annotations

import asyncio
import itertools
import logging

import pytest
from aiohelp import LOOPS, aiotest
from raw_client import RawClient, port_of, serving

import asyncbolt
from asyncbolt import Result
from asyncbolt.protocol.versions import VERSIONS


class Statements(asyncbolt.ServerSession):
    """Runs the function that the statement names; the test has the session in `last`."""

    last: Statements

    def __init__(self, loop, functions=None):
        super().__init__(loop)
        self.functions = functions or {}
        self.paused = asyncio.Event()
        type(self).last = self

    def pause_writing(self):
        super().pause_writing()
        self.paused.set()

    def run(self, statement, parameters):
        return self.functions[statement](self, **parameters)


def statements(**functions):
    """``serving`` of sessions that know these functions as statements."""
    return serving(Statements, functions=functions)


@pytest.mark.parametrize("value", [1, "text", None, [1, [2]], {"a": {"b": 1}}, True, 1.5, b"\x00"], ids=repr)
@aiotest
async def test_plain_value_is_one_record(value):
    async with statements(v=lambda session: value) as (_, client):
        answer = await client.query("v")
        assert answer.rows == [[value]]
        assert answer.metadata["fields"] == ["value"]


@aiotest(loops=LOOPS)
async def test_coroutine_gives_a_value():
    async def later(session):
        await asyncio.sleep(0)
        return 42

    async with statements(v=later) as (_, client):
        assert (await client.query("v")).rows == [[42]]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: f"{version[0]}.{version[1]}")
@aiotest
async def test_every_version_gets_its_rows(version):
    connect = {"version": version}
    functions = {"rows": lambda session: Result(["a", "b"], [(1, "x"), (2, "y")], {"type": "r"})}
    async with serving(Statements, functions=functions, connect=connect) as (_, client):
        assert client.hello.ok
        assert ("connection_id" in client.hello.metadata) is (version >= (3, 0))
        answer = await client.query("rows")
        assert answer.rows == [[1, "x"], [2, "y"]]
        assert answer.metadata["fields"] == ["a", "b"]
        assert answer.metadata["type"] == "r"
        old = version < (3, 0)
        assert ("result_available_after" in answer.metadata) is old
        assert ("t_first" in answer.metadata) is not old
        assert ("statuses" in answer.metadata) is (version >= (5, 6))


async def _async_dicts():
    for number in range(3):
        yield {"n": number, "s": str(number)}


async def _async_tuples():
    yield Result(["n", "s"], summary={"type": "r"})
    for number in range(3):
        await asyncio.sleep(0)
        yield number, str(number)


def _dicts():
    yield from ({"n": number, "s": str(number)} for number in range(3))


def _tuples():
    yield Result(["n", "s"], summary=lambda: {"type": "r"})
    yield from ((number, str(number)) for number in range(3))


async def _returns_generator():
    return _dicts()


class _Countdown:
    """An asynchronous iterator that is no generator."""

    def __init__(self):
        self.number = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.number == 3:
            raise StopAsyncIteration
        self.number += 1
        return {"n": self.number - 1, "s": str(self.number - 1)}


SHAPES = {
    "list": lambda: Result(["n", "s"], [(0, "0"), (1, "1"), (2, "2")]),
    "tuple of lists": lambda: Result(["n", "s"], ([0, "0"], [1, "1"], [2, "2"])),
    "declared dicts": lambda: Result(["n", "s"], [{"s": str(n), "n": n} for n in range(3)]),
    "declared generator": lambda: Result(["n", "s"], ((n, str(n)) for n in range(3))),
    "declared async generator": lambda: Result(["n", "s"], _async_dicts()),
    "iterator": lambda: iter([{"n": n, "s": str(n)} for n in range(3)]),
    "dicts": _dicts,
    "tuples behind a header": _tuples,
    "async dicts": _async_dicts,
    "async tuples behind a header": _async_tuples,
    "coroutine that returns a generator": _returns_generator,
    "asynchronous iterator": _Countdown,
}


@pytest.mark.parametrize("n", [-1, 1, 2, 3, 100])
@pytest.mark.parametrize("shape", SHAPES)
@aiotest
async def test_rows_come_in_the_portions_asked_for(shape, n):
    async with statements(v=lambda session: SHAPES[shape]()) as (_, client):
        answer = await client.run("v")
        assert answer.metadata["fields"] == ["n", "s"]
        rows, sizes = [], []
        while True:
            answer = await client.pull(n)
            assert answer.ok
            rows += answer.rows
            sizes.append(len(answer.rows))
            if not answer.metadata.get("has_more"):
                break
        assert rows == [[0, "0"], [1, "1"], [2, "2"]]
        assert max(sizes) == (3 if n in (-1, 100) else n)
        assert "has_more" not in answer.metadata


@aiotest
async def test_end_of_a_list_is_known_with_its_last_row():
    async with statements(v=lambda session: Result(["n"], [(1,), (2,)])) as (_, client):
        await client.run("v")
        assert "has_more" not in (await client.pull(2)).metadata


@pytest.mark.parametrize(
    "empty", [lambda: Result(["a", "b"]), lambda: Result(["a", "b"], iter(())), lambda: _header_only()]
)
@aiotest
async def test_columns_are_told_without_rows(empty):
    async with statements(v=lambda session: empty()) as (_, client):
        answer = await client.query("v")
        assert answer.metadata["fields"] == ["a", "b"]
        assert answer.rows == []


def _header_only():
    yield Result(["a", "b"])


@aiotest
async def test_generator_of_nothing_has_no_columns():
    async with statements(v=lambda session: iter(())) as (_, client):
        answer = await client.query("v")
        assert answer.metadata["fields"] == []
        assert answer.rows == []


@pytest.mark.parametrize("kind", ["plain", "async"])
@aiotest
async def test_rows_are_taken_only_as_they_are_pulled(kind):
    taken = []

    def plain():
        for number in range(100):
            taken.append(number)
            yield (number,)

    async def asynchronous():
        for row in plain():
            yield row

    async with statements(
        v=lambda session: Result(["n"], plain() if kind == "plain" else asynchronous())
    ) as (
        _,
        client,
    ):
        await client.run("v")
        assert taken == []
        await client.pull(3)
        assert taken == [0, 1, 2]
        await client.pull(4)
        assert taken == list(range(7))


@aiotest(loops=LOOPS)
async def test_subscription_sends_each_row_when_it_is_there():
    source: asyncio.Queue[int] = asyncio.Queue()
    closed = asyncio.Event()

    async def subscription(session):
        yield Result(["n"])
        try:
            while True:
                yield (await source.get(),)
        finally:
            closed.set()

    async with statements(v=subscription) as (_, client):
        await client.run("v")
        client.send_pull()
        for number in range(5):
            source.put_nowait(number)
            assert await client.rows(1) == [[number]]  # and nothing after it is needed
        source.put_nowait(5)
        source.put_nowait(6)
        assert await client.rows(2) == [[5], [6]]
        assert not closed.is_set()
        assert (await client.reset()).kind == "FAILURE"
        assert (await client.answer()).ok
        await closed.wait()


@pytest.mark.parametrize("kind", ["plain", "async"])
@aiotest(loops=LOOPS)
async def test_slow_client_costs_no_memory(kind):
    """The generator is not stepped while the client does not read."""
    taken = 0

    def rows():
        nonlocal taken
        while True:
            taken += 1
            yield ("x" * 1000,)

    async def asynchronous():
        for row in rows():
            yield row

    def make(session):
        return Result(["s"], rows() if kind == "plain" else asynchronous())

    async with statements(v=make) as (_, client):
        await client.run("v")
        client.send_pull()
        # The client's reader stops reading the socket when it holds more than it likes.
        await client.rows(1)
        session = Statements.last
        await session.paused.wait()
        stopped_at = taken
        for _ in range(100):
            await asyncio.sleep(0)
        assert taken == stopped_at
        assert session.transport.get_write_buffer_size() < 2_500_000
        await client.rows(stopped_at)  # reading on lets it go on
        assert taken > stopped_at


@pytest.mark.parametrize("kind", ["list", "plain", "async"])
@aiotest
async def test_large_rows_are_sent_few_at_a_time(kind):
    taken = 0
    row = ("x" * 1_000_000,)

    def rows():
        nonlocal taken
        for taken in range(1, 101):
            yield row

    async def asynchronous():
        for each in rows():
            yield each

    def make(session):
        kinds = {"list": lambda: [row] * 100, "plain": rows, "async": asynchronous}
        return Result(["s"], kinds[kind]())

    async with statements(v=make) as (_, client):
        await client.run("v")
        client.send_pull()
        await Statements.last.paused.wait()
        assert Statements.last.transport.get_write_buffer_size() < 20_000_000
        assert taken <= 17
        assert len((await client.answer()).rows) == 100


@aiotest
async def test_loop_runs_while_a_generator_is_stepped():
    """At most 1,000 rows, or 5 ms, without a turn of the loop."""
    turns: list[int] = []
    taken = 0

    def rows():
        nonlocal taken
        for taken in range(1, 10_001):
            yield (taken,)

    async def watch():
        while True:
            turns.append(taken)
            await asyncio.sleep(0)

    async with statements(v=lambda session: Result(["n"], rows())) as (_, client):
        watcher = asyncio.ensure_future(watch())
        answer = await client.query("v")
        watcher.cancel()
        assert len(answer.rows) == 10_000
        assert max(after - before for before, after in itertools.pairwise(turns)) <= 1000


class _Clock:
    """What the sources take for the time: each row of the test costs as much as it says."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.mark.parametrize("kind", ["plain", "async"])
@aiotest
async def test_slice_ends_when_its_time_is_over(kind, monkeypatch):
    from asyncbolt.server import streams

    clock = _Clock()
    monkeypatch.setattr(streams, "time", clock)

    def rows():
        while True:
            clock.now += 0.002
            yield (1,)

    async def asynchronous():
        for row in rows():
            yield row

    if kind == "plain":
        source = streams.IteratorSource(rows())
        for _ in range(10):
            assert 1 <= len(source.take(1000)) <= 4  # 4 rows take 8 ms
    else:
        source = streams.AsyncSource(asynchronous())
        for _ in range(10):
            assert 1 <= len(await source.wait(1000)) <= 16
    await source.close()


@pytest.mark.parametrize("kind", ["plain", "async", "threaded"])
@aiotest
async def test_error_behind_good_rows(kind, caplog):
    """The rows before it are sent, it is not told, and the connection is usable after a RESET."""

    def rows():
        for number in range(5):
            yield {"n": number}
        raise ValueError("the password is swordfish")

    async def asynchronous():
        for row in rows():
            yield row

    @asyncbolt.threaded
    def in_thread(self, statement, parameters):
        return rows() if statement == "v" else 1

    class Session(asyncbolt.ServerSession):
        def run(self, statement, parameters):
            if statement != "v":
                return 1
            return rows() if kind == "plain" else asynchronous()

    if kind == "threaded":
        Session.run = in_thread
    async with serving(Session) as (_, client):
        with caplog.at_level(logging.ERROR):
            answer = await client.query("v")
        assert answer.rows == [[0], [1], [2], [3], [4]]
        assert answer.kind == "FAILURE"
        assert answer.code == "Neo.DatabaseError.General.UnknownError"
        assert "swordfish" not in str(answer.metadata)
        assert "swordfish" in caplog.text and "Traceback" in caplog.text
        assert (await client.query("other")).kind == "IGNORED" or (await client.answer())
        assert (await client.reset()).ok
        assert (await client.query("other")).rows == [[1]]


@pytest.mark.parametrize(
    ("rows", "good", "text"),
    [
        ([(1, 2), (3, 4), (5,)], 2, "row 2 has 1 values, the fields are 2: a, b"),
        ([(1, 2), (3, {4})], 1, "row 1: b: "),
        ([(1, 2), {"a": 1, "b": {"x": [object()]}}], 1, "row 1: b.x[0]: "),
        ([(1, 2), (2**63, 1)], 1, "row 1: a: "),
        ([7], 0, "row 0 must be a tuple, a list or a dict, not int"),
    ],
    ids=["too short", "a set", "an object, deep", "too large", "no row"],
)
@pytest.mark.parametrize("n", [-1, 1])
@aiotest
async def test_row_that_cannot_be_sent(rows, good, text, n):
    async with statements(v=lambda session: Result(["a", "b"], iter(rows)), w=lambda session: 1) as (
        _,
        client,
    ):
        await client.run("v")
        received = []
        while (answer := await client.pull(n)).ok:
            received += answer.rows
        received += answer.rows
        assert received == [list(row) for row in rows[:good]]
        assert answer.kind == "FAILURE"
        assert text in answer.message
        assert (await client.reset()).ok
        assert (await client.query("w")).rows == [[1]]


@pytest.mark.parametrize(
    ("generate", "text"),
    [
        (lambda: iter([(1, 2)]), "row 0 is a tuple and the columns have no names"),
        (lambda: iter([{1: 2}]), "the keys of row 0 must be str, not int"),
        (lambda: iter([Result(["a"], [(1,)])]), "a Result that is yielded names columns only"),
    ],
)
@aiotest
async def test_columns_without_names(generate, text):
    async with statements(v=lambda session: generate()) as (_, client):
        answer = await client.query("v")
        assert answer.kind == "FAILURE"
        assert text in answer.message


@aiotest
async def test_value_that_cannot_be_sent():
    async with statements(v=lambda session: {1, 2}, w=lambda session: 1) as (_, client):
        answer = await client.query("v")
        assert answer.kind == "FAILURE"
        assert "row 0: value: " in answer.message
        await client.reset()
        assert (await client.query("w")).rows == [[1]]


@pytest.mark.parametrize("version", [(1, 0), (4, 4), (5, 6), (5, 7), (6, 1)], ids=str)
@aiotest
async def test_neo4j_errors_are_told_as_they_are(version):
    def fails(session):
        raise asyncbolt.CypherSyntaxError("bad statement", gql_status="42001", description="syntax error")

    async with serving(Statements, functions={"v": fails}, connect={"version": version}) as (_, client):
        answer = await client.query("v")
        assert answer.code == "Neo.ClientError.Statement.SyntaxError"
        assert answer.message == "bad statement"
        assert answer.metadata.get("gql_status") == ("42001" if version >= (5, 7) else None)
        assert ("code" in answer.metadata) is (version < (5, 7))


@aiotest
async def test_error_of_the_authors_own_code():
    def fails(session):
        raise asyncbolt.Neo4jError("not there", code="Neo.ClientError.Procedure.ProcedureNotFound")

    async with statements(v=fails) as (_, client):
        assert (await client.query("v")).code == "Neo.ClientError.Procedure.ProcedureNotFound"


@pytest.mark.parametrize(
    "raising", [ValueError, NotImplementedError, asyncio.TimeoutError, asyncio.CancelledError]
)
@pytest.mark.parametrize("asynchronous", [False, True])
@aiotest
async def test_any_other_error_is_not_told(raising, asynchronous, caplog):
    def fails(session):
        raise raising("swordfish")

    async def fails_later(session):
        await asyncio.sleep(0)
        fails(session)

    if raising is asyncio.CancelledError and asynchronous and not hasattr(asyncio.Task, "uncancel"):
        # Before Python 3.11 nobody can tell it from the cancellation that ends a loop.
        expected = None
    else:
        expected = "Neo.DatabaseError.General.UnknownError"
    async with statements(v=fails_later if asynchronous else fails, w=lambda session: 1) as (_, client):
        if expected is None:
            with pytest.raises((EOFError, ConnectionError)):
                await client.query("v")
            return
        answer = await client.query("v")
        assert answer.code == expected
        assert "swordfish" not in str(answer.metadata)
        assert "RUN failed" in caplog.text
        await client.reset()
        assert (await client.query("w")).rows == [[1]]


@pytest.mark.parametrize("kind", ["dict", "callable", "coroutine"])
@aiotest
async def test_summary_is_asked_after_the_last_row(kind):
    rows = []

    def summary():
        return {"stats": {"nodes-created": len(rows)}, "type": "rw"}

    async def summary_later():
        await asyncio.sleep(0)
        return summary()

    def make(session):
        def generate():
            for number in range(3):
                rows.append(number)
                yield (number,)

        kinds = {
            "dict": {"stats": {"nodes-created": 3}, "type": "rw"},
            "callable": summary,
            "coroutine": summary_later,
        }
        return Result(["n"], generate(), kinds[kind])

    async with statements(v=make) as (_, client):
        await client.run("v")
        assert "stats" not in (await client.pull(2)).metadata
        answer = await client.pull(2)
        assert answer.metadata["stats"] == {"nodes-created": 3}
        assert answer.metadata["type"] == "rw"


@aiotest
async def test_summary_that_cannot_be_sent():
    async with statements(
        v=lambda session: Result(["n"], [(1,)], {"stats": {1, 2}}),
        w=lambda session: Result(["n"], [(1,)], lambda: 7),
    ) as (_, client):
        for statement, text in (
            ("v", "its summary cannot be packed"),
            ("w", "its summary is a int, not a dict"),
        ):
            answer = await client.query(statement)
            assert answer.rows == [[1]]
            assert answer.kind == "FAILURE" and text in answer.message
            await client.reset()


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (lambda: Result(["n"], [(1,)]), "00000"),
        (lambda: Result(["n"]), "02000"),
        (lambda: Result([]), "00001"),
    ],
)
@aiotest
async def test_statuses_say_how_it_ended(result, status):
    async with serving(
        Statements, functions={"v": lambda session: result()}, connect={"version": (5, 8)}
    ) as (
        _,
        client,
    ):
        assert [each["gql_status"] for each in (await client.query("v")).metadata["statuses"]] == [status]


NOTIFICATIONS = [
    {"code": "A.B", "title": "t", "description": "careful", "severity": "WARNING", "category": "HINT"},
    {
        "code": "C.D",
        "title": "u",
        "severity": "INFORMATION",
        "position": {"offset": 1, "line": 1, "column": 2},
    },
]


@pytest.mark.parametrize("version", [(5, 4), (5, 6), (6, 1)], ids=str)
@aiotest
async def test_notifications_in_the_form_of_the_version(version):
    def make(session):
        return Result(["n"], [(1,)], {"notifications": NOTIFICATIONS})

    async with serving(Statements, functions={"v": make}, connect={"version": version}) as (_, client):
        metadata = (await client.query("v")).metadata
        if version < (5, 6):
            assert metadata["notifications"] == NOTIFICATIONS
            assert "statuses" not in metadata
        else:
            assert "notifications" not in metadata
            assert metadata["statuses"] == [
                {
                    "gql_status": "01N42",
                    "status_description": "careful",
                    "neo4j_code": "A.B",
                    "title": "t",
                    "diagnostic_record": {"_severity": "WARNING", "_classification": "HINT"},
                },
                {"gql_status": "00000", "status_description": "note: successful completion"},
                {
                    "gql_status": "03N42",
                    "status_description": "info: unknown notification",
                    "neo4j_code": "C.D",
                    "title": "u",
                    "diagnostic_record": {
                        "_severity": "INFORMATION",
                        "_position": {"offset": 1, "line": 1, "column": 2},
                    },
                },
            ]


@aiotest
async def test_summary_cannot_say_that_there_is_more():
    async with statements(v=lambda session: Result(["n"], [(1,)], {"has_more": True})) as (_, client):
        assert "has_more" not in (await client.query("v")).metadata
        assert (await client.query("v")).ok


@aiotest
async def test_statuses_of_the_author():
    own = [{"gql_status": "00001", "status_description": "note: mine"}]
    functions = {"v": lambda session: Result(["n"], [(1,)], {"statuses": own})}
    async with serving(Statements, functions=functions, connect={"version": (5, 8)}) as (_, client):
        assert (await client.query("v")).metadata["statuses"] == own


@pytest.mark.parametrize("kind", ["plain", "async", "threaded"])
@pytest.mark.parametrize(
    "how", ["discard", "discard some", "reset", "lost", "goodbye", "server closes", "end"]
)
@pytest.mark.parametrize("pulled", [0, 2])
@aiotest
async def test_generator_is_always_closed(kind, how, pulled):
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def rows():
        try:
            for number in range(3 if how == "end" else 10**9):
                yield {"n": number}
        finally:
            loop.call_soon_threadsafe(closed.set)

    async def asynchronous():
        try:
            for number in range(3 if how == "end" else 10**9):
                yield {"n": number}
        finally:
            await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0))])  # a real wait, for a future
            closed.set()

    class Session(asyncbolt.ServerSession):
        def run(self, statement, parameters):
            return asynchronous() if kind == "async" else rows()

    if kind == "threaded":
        Session.run = asyncbolt.threaded(Session.run)
    async with serving(Session) as (server, client):
        await client.run("v")
        if pulled:
            assert len((await client.pull(pulled)).rows) == pulled
        assert not closed.is_set()
        if how == "discard":
            assert (await client.discard()).ok
        elif how == "discard some":
            assert (await client.discard(5)).metadata == {"has_more": True}
            assert (await client.pull(1)).rows == [[pulled + 5]]
            assert (await client.discard()).ok
        elif how == "reset":
            assert (await client.reset()).ok
        elif how == "lost":
            client.cut()
        elif how == "goodbye":
            client.send(asyncbolt.Message.GOODBYE)
        elif how == "server closes":
            server.close()
        else:
            assert (await client.pull()).rows == [[number] for number in range(pulled, 3)]
        await closed.wait()


@aiotest
async def test_discard_may_take_what_nobody_wants():
    taken = []

    def rows():
        for number in range(2500):
            taken.append(number)
            yield (number,)

    async with statements(
        v=lambda session: Result(["n"], rows(), lambda: {"stats": {"nodes-created": len(taken)}}, drain=True)
    ) as (_, client):
        await client.run("v")
        answer = await client.discard()
        assert answer.rows == []
        assert answer.metadata["stats"] == {"nodes-created": 2500}


@aiotest
async def test_request_tells_what_the_client_said():
    said = {}

    def look(session):
        request = session.request
        said.update({name: getattr(request, name) for name in type(request).__slots__})
        said["client"] = session.client_name
        return 1

    async with serving(
        Statements,
        functions={"v": look},
        connect={"auth": {"scheme": "basic", "principal": "ann", "credentials": "x"}},
    ) as (_, client):
        extra = {
            "db": "graph",
            "mode": "r",
            "tx_metadata": {"app": "test"},
            "tx_timeout": 5000,
            "bookmarks": ["bm:1"],
            "imp_user": "bob",
            "notifications_minimum_severity": "OFF",
            "notifications_disabled_categories": ["HINT"],
        }
        answer = await client.query("v", **extra)
        assert answer.metadata["db"] == "graph"
        peer = client.writer.get_extra_info("sockname")
    assert said.pop("interrupted") is False
    assert said == {
        "message": asyncbolt.Message.RUN,
        "statement": "v",
        "parameters": {},
        "db": "graph",
        "mode": "r",
        "tx_metadata": {"app": "test"},
        "tx_timeout": 5000,
        "bookmarks": ["bm:1"],
        "impersonated_user": "bob",
        "principal": "ann",
        "peer": peer,
        "transaction": None,
        "version": (5, 4),
        "notifications_minimum_severity": "OFF",
        "notifications_disabled": ["HINT"],
        "client": "raw/1",
    }


@aiotest
async def test_request_of_a_generator_is_that_of_its_statement():
    def rows(session, name):
        for _ in range(2):
            yield {"name": name, "seen": session.request.parameters["name"]}

    async with statements(v=rows) as (_, client):
        assert (await client.ask(asyncbolt.Message.BEGIN, {})).ok
        await client.run("v", {"name": "one"})
        await client.run("v", {"name": "two"})
        for qid, name in ((0, "one"), (1, "two"), (0, "one"), (1, "two")):
            assert (await client.pull(1, qid)).rows == [[name, name]]


@aiotest(loops=LOOPS)
async def test_pipelined_statements_are_answered_in_order():
    async def later(session, n):
        await asyncio.sleep(0)
        return n

    async with statements(now=lambda session, n: n, later=later) as (_, client):
        for number in range(200):
            client.send_run("now" if number % 3 else "later", {"n": number})
            client.send_pull()
        for number in range(200):
            assert (await client.answer()).ok
            assert (await client.answer()).rows == [[number]]


@aiotest
async def test_more_than_the_queue_holds():
    """Reading stops at 300 requests unanswered, and goes on behind them."""
    async with statements(now=lambda session, n: n) as (_, client):
        for number in range(3000):
            client.send_run("now", {"n": number})
            client.send_pull()
        for number in range(3000):
            assert (await client.answer()).ok
            assert (await client.answer()).rows == [[number]]


@aiotest
async def test_failure_ignores_what_is_pipelined_behind_it():
    async with statements(v=lambda session: 1 / 0, w=lambda session: 1) as (_, client):
        client.send_run("v")
        client.send_pull()
        client.send_run("w")
        client.send_pull()
        client.send(asyncbolt.Message.RESET)
        client.send_run("w")
        client.send_pull()
        kinds = [(await client.answer()).kind for _ in range(7)]
    # A RESET in the same bytes overtakes what is before it: the failing RUN too may come back as IGNORED.
    assert kinds[1:] == ["IGNORED", "IGNORED", "IGNORED", "SUCCESS", "SUCCESS", "SUCCESS"]
    assert kinds[0] in ("FAILURE", "IGNORED")


@aiotest
async def test_async_generator_stays_in_one_task():
    """Steps of several PULLs, and the end, run in the task that began it."""
    tasks = set()

    async def rows(session):
        try:
            for number in range(10):
                tasks.add(asyncio.current_task())
                await asyncio.sleep(0)
                yield {"n": number}
        finally:
            tasks.add(asyncio.current_task())

    async with statements(v=rows) as (_, client):
        await client.run("v")
        await client.pull(2)
        await client.pull(2)
        await client.reset()
    assert len(tasks) == 1


@aiotest
async def test_session_without_a_server():
    """``loop.create_server`` with the class itself, as asyncio's own protocols are used."""
    loop = asyncio.get_running_loop()
    functions = {"v": lambda session: 1}
    listener = await loop.create_server(lambda: Statements(loop, functions), "127.0.0.1", 0)
    client = await RawClient.connect(listener.sockets[0].getsockname()[1])
    assert client.hello.metadata["server"].startswith("asyncbolt/")
    assert (await client.query("v")).rows == [[1]]
    await client.close()
    listener.close()
    await listener.wait_closed()


@aiotest
async def test_method_run_is_missing():
    class Nothing(asyncbolt.ServerSession):
        pass

    async with serving(Nothing) as (server, client):
        assert (await client.query("v")).code == "Neo.DatabaseError.General.UnknownError"
        other = await RawClient.connect(port_of(server))
        await other.close()
