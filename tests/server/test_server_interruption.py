"""What ends work early: RESET, a lost connection, a timeout, the server's end. Nothing is left behind."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest
from aiohelp import LOOPS, aiotest
from raw_client import RawClient, port_of, serving

import asyncbolt
from asyncbolt import Message, Result

TERMINATED = "Neo.ClientError.Transaction.Terminated"
TIMED_OUT = "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration"


class Hooks(asyncbolt.ServerSession):
    """Notes what happens, and waits in the places that statements name."""

    def __init__(self, loop, notes=None, waiting=()):
        super().__init__(loop)
        self.notes = Notes() if notes is None else notes
        self.waiting = waiting

    async def note(self, what):
        self.notes.append(what)
        if what in self.waiting:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.notes.append(f"{what} cancelled")
                raise

    async def begin(self):
        await self.note("begin")

    async def commit(self):
        await self.note("commit")
        return f"bm:{len(self.notes)}"

    async def rollback(self):
        await self.note("rollback")

    async def run(self, statement, parameters):
        await self.note(statement)
        if statement == "fail":
            raise asyncbolt.ClientError("no", code="Neo.ClientError.Statement.ArithmeticError")
        if statement == "rows":
            return Result(["n"], self.rows())
        return statement

    async def rows(self):
        try:
            for number in range(10):
                yield (number,)
            await self.note("row")
        finally:
            await asyncio.sleep(0)
            self.notes.append("closed")


class Notes(list):
    """What happened, in order. One can wait for it."""

    def __init__(self):
        super().__init__()
        self.grown = asyncio.Event()

    def append(self, what):
        super().append(what)
        self.grown.set()


async def until(notes, what):
    """Wait until `what` was noted; the test's own time limit bounds it."""
    while what not in notes:
        notes.grown.clear()
        await notes.grown.wait()


@pytest.mark.parametrize("where", ["wait", "row", "begin", "commit"])
@aiotest(loops=LOOPS)
async def test_reset_interrupts(where):
    notes = Notes()
    async with serving(Hooks, notes=notes, waiting=[where]) as (_, client):
        if where == "row":
            await client.run("rows")
            client.send_pull()
        elif where == "wait":
            client.send_run("wait")
        else:
            client.send(Message.BEGIN, {})
            if where == "commit":
                assert (await client.answer()).ok
                client.send(Message.COMMIT)
        await until(notes, where)
        client.send(Message.RESET)
        answer = await client.answer()
        assert answer.code == TERMINATED
        assert len(answer.rows) == (10 if where == "row" else 0)
        assert (await client.answer()).ok
        assert f"{where} cancelled" in notes
        assert ("closed" in notes) is (where == "row")
        assert notes.count("rollback") == (where == "commit")
        notes.clear()
        assert (await client.query("next")).rows == [["next"]]


@aiotest
async def test_reset_overtakes_what_is_queued():
    notes = Notes()
    async with serving(Hooks, notes=notes, waiting=["wait"]) as (_, client):
        client.send_run("wait")
        client.send_pull()
        client.send_run("never")
        client.send_pull()
        await until(notes, "wait")
        client.send(Message.RESET)
        client.send_run("after")
        client.send_pull()
        kinds = [(await client.answer()).kind for _ in range(7)]
        assert kinds == ["FAILURE", "IGNORED", "IGNORED", "IGNORED", "SUCCESS", "SUCCESS", "SUCCESS"]
        assert notes == ["wait", "wait cancelled", "after"]


@aiotest
async def test_reset_in_the_middle_of_an_endless_result():
    """It is noticed between two slices, though the generator never waits."""

    class Endless(asyncbolt.ServerSession):
        def run(self, statement, parameters):
            return Result(["n"], itertools.repeat((1,))) if statement == "v" else 1

    async with serving(Endless) as (_, client):
        await client.run("v")
        client.send_pull()
        await client.rows(3000)
        client.send(Message.RESET)
        assert (await client.answer()).code == TERMINATED
        assert (await client.answer()).ok
        assert (await client.query("w")).rows == [[1]]


@aiotest
async def test_several_resets():
    notes = Notes()
    async with serving(Hooks, notes=notes, waiting=["wait"]) as (_, client):
        client.send_run("wait")
        await until(notes, "wait")
        for _ in range(3):
            client.send(Message.RESET)
        assert [(await client.answer()).kind for _ in range(4)][0::3] == ["FAILURE", "SUCCESS"]
        assert (await client.query("x")).ok


@pytest.mark.parametrize("where", ["wait", "row", "begin", "commit", "idle", "rollback"])
@pytest.mark.parametrize("how", ["lost", "goodbye"])
@aiotest(loops=LOOPS)
async def test_lost_connection_ends_everything(where, how):
    notes = Notes()
    async with serving(Hooks, notes=notes, waiting=[where] if where != "rollback" else ()) as (_, client):
        client.send(Message.BEGIN, {})
        if where != "begin":
            assert (await client.answer()).ok
        if where == "row":
            await client.run("rows")
            client.send_pull()
        elif where in ("wait", "commit"):
            client.send(*(Message.RUN, "wait", {}, {}) if where == "wait" else (Message.COMMIT,))
        await until(notes, "begin" if where in ("idle", "rollback") else where)
        if how == "lost":
            client.cut()
        else:
            client.send(Message.GOODBYE)
    assert notes.count("rollback") == (where != "begin")
    if where not in ("idle", "rollback"):
        assert f"{where} cancelled" in notes
    assert ("closed" in notes) is (where == "row")


@aiotest
async def test_failure_rolls_back_before_it_is_told():
    notes = Notes()
    async with serving(Hooks, notes=notes) as (_, client):
        await client.ask(Message.BEGIN, {})
        await client.run("rows")
        await client.pull(2)
        assert (await client.run("fail")).code == "Neo.ClientError.Statement.ArithmeticError"
        assert notes == ["begin", "rows", "fail", "closed", "rollback"]
        assert (await client.ask(Message.ROLLBACK)).kind == "IGNORED"
        assert (await client.reset()).ok
        assert notes.count("rollback") == 1
        assert (await client.query("x")).ok


@aiotest
async def test_transaction_hooks():
    notes = Notes()
    async with serving(Hooks, notes=notes) as (_, client):
        assert (await client.ask(Message.BEGIN, {"tx_metadata": {"a": 1}})).metadata == {}
        assert (await client.run("rows")).metadata["qid"] == 0
        assert (await client.run("rows")).metadata["qid"] == 1
        assert (await client.pull(3, 0)).rows == [[0], [1], [2]]
        assert (await client.pull(2, 1)).rows == [[0], [1]]
        assert (await client.pull(1, 0)).rows == [[3]]
        assert (await client.pull(1, -1)).rows == [[2]]
        answer = await client.ask(Message.COMMIT)  # with streams open: they are closed first
        assert answer.metadata == {"bookmark": "bm:6"}
        assert notes == ["begin", "rows", "rows", "closed", "closed", "commit"]
        notes.clear()
        await client.ask(Message.BEGIN, {})
        await client.run("rows")
        assert (await client.ask(Message.ROLLBACK)).ok
        assert notes == ["begin", "rows", "rollback"]  # a generator that was never begun has nothing to close


@pytest.mark.parametrize("hook", ["begin", "commit", "rollback"])
@aiotest
async def test_hook_that_fails(hook):
    calls = []

    class Failing(asyncbolt.ServerSession):
        def run(self, statement, parameters):
            return 1

        def call(self, name):
            calls.append(name)
            if name == hook:
                raise asyncbolt.TransientError(
                    "later", code="Neo.TransientError.Transaction.DeadlockDetected"
                )

        def begin(self):
            self.call("begin")

        def commit(self):
            self.call("commit")

        def rollback(self):
            self.call("rollback")

    async with serving(Failing) as (_, client):
        answer = await client.ask(Message.BEGIN, {})
        if hook != "begin":
            assert answer.ok
            answer = await client.ask(Message.COMMIT if hook == "commit" else Message.ROLLBACK)
        assert answer.code == "Neo.TransientError.Transaction.DeadlockDetected"
        assert (await client.reset()).ok
        assert calls == {"begin": ["begin"], "commit": ["begin", "commit", "rollback"]}.get(
            hook, ["begin", "rollback"]
        )


@aiotest
async def test_transaction_is_known_to_its_statements():
    seen = []

    class Session(asyncbolt.ServerSession):
        def begin(self):
            self.request.transaction.data = "opened"

        def run(self, statement, parameters):
            request = self.request
            seen.append((request.transaction and request.transaction.data, request.db, request.mode))
            return 1

        def commit(self):
            seen.append(self.request.transaction.data)
            return 7  # no bookmark: that is logged, and the client told of none

    async with serving(Session) as (_, client):
        await client.ask(Message.BEGIN, {"db": "graph", "mode": "r"})
        await client.query("x")
        assert (await client.ask(Message.COMMIT)).metadata == {}
        await client.query("x")
    assert seen == [("opened", "graph", "r"), "opened", (None, None, "w")]


@pytest.mark.parametrize(
    "where", ["run", "pull", "between pulls", "statement in transaction", "idle transaction"]
)
@aiotest(loops=LOOPS)
async def test_timeout(where):
    notes = Notes()
    limit = {"tx_timeout": 30}
    async with serving(Hooks, notes=notes, waiting=["wait", "row"]) as (_, client):
        if where == "run":
            answer = await client.run("wait", **limit)
        elif where == "pull":
            await client.run("rows", **limit)
            answer = await client.pull()
            assert len(answer.rows) == 10
        elif where == "between pulls":
            await client.run("rows", **limit)
            await client.pull(1)
            await until(notes, "closed")
            answer = await client.pull(1)
        else:
            await client.ask(Message.BEGIN, limit)
            if where == "statement in transaction":
                answer = await client.run("wait")
            else:
                await client.run("rows")
                await client.pull(1)
                await until(notes, "rollback")
                answer = await client.ask(Message.COMMIT)
        assert answer.code == TIMED_OUT
        assert notes.count("rollback") == ("transaction" in where)
        assert ("closed" in notes) is (where in ("pull", "between pulls", "idle transaction"))
        assert (await client.reset()).ok
        assert (await client.query("x")).ok


@aiotest
async def test_rollback_succeeds_after_a_timeout():
    notes = Notes()
    async with serving(Hooks, notes=notes) as (_, client):
        await client.ask(Message.BEGIN, {"tx_timeout": 1})
        await until(notes, "rollback")
        assert (await client.ask(Message.ROLLBACK)).ok
        assert notes.count("rollback") == 1
        assert (await client.query("x")).ok


@aiotest
async def test_what_is_done_in_time_is_not_timed_out():
    loop = asyncio.get_running_loop()
    timers = []

    class Session(Hooks):
        def __init__(self, loop):
            super().__init__(loop)
            self.loop = self.conversation.loop = self

        def call_later(self, delay, *arguments):
            timers.append((delay, loop.call_later(delay, *arguments)))
            return timers[-1][1]

        def __getattr__(self, name):
            return getattr(loop, name)

    async with serving(Session) as (_, client):
        assert (await client.query("x", tx_timeout=77_000)).ok
        assert [timer.cancelled() for delay, timer in timers if delay == 77] == [True]


@aiotest
async def test_author_who_ignores_cancellation_loses_the_connection(monkeypatch, caplog):
    monkeypatch.setattr("asyncbolt.server.conversation._STOP_SECONDS", 0.01)
    stubborn = asyncio.Event()
    begun = asyncio.Event()

    class Session(asyncbolt.ServerSession):
        async def run(self, statement, parameters):
            begun.set()
            while not stubborn.is_set():
                try:
                    await stubborn.wait()
                except asyncio.CancelledError:
                    pass
            return 1

    async with serving(Session) as (_, client):
        client.send_run("x")
        await begun.wait()
        client.send(Message.RESET)
        assert await client.ended()
        assert "did not end when it was cancelled" in caplog.text
        stubborn.set()


@aiotest
async def test_normal_answer_of_an_author_who_ignores_cancellation():
    begun = asyncio.Event()

    class Session(asyncbolt.ServerSession):
        async def run(self, statement, parameters):
            begun.set()
            try:
                await asyncio.sleep(0 if statement == "y" else 3600)
            except asyncio.CancelledError:
                pass
            return 1

    async with serving(Session) as (_, client):
        client.send_run("x")
        await begun.wait()
        client.send(Message.RESET)
        assert (await client.answer()).kind in ("SUCCESS", "FAILURE")
        assert (await client.answer()).ok
        assert (await client.query("y")).rows == [[1]]


@aiotest(loops=LOOPS)
async def test_close_waits_for_running_requests():
    notes = Notes()
    go = asyncio.Event()

    class Session(Hooks):
        async def run(self, statement, parameters):
            await self.note("begun")
            await go.wait()
            return "done"

    async with serving(Session, notes=notes) as (server, client):
        idle = await RawClient.connect(port_of(server))
        client.send_run("x")
        await until(notes, "begun")
        server.close()
        assert server.sockets == ()
        assert await idle.ended()
        await idle.close()
        closing = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0)
        assert not closing.done()
        go.set()
        assert (await client.answer()).ok  # the request is finished ...
        assert await client.ended()  # ... and no other is taken
        await closing


@aiotest(loops=LOOPS)
async def test_close_interrupts_what_runs_too_long():
    notes = Notes()
    async with serving(Hooks, notes=notes, waiting=["wait"], grace=0.05) as (server, client):
        await client.ask(Message.BEGIN, {})
        client.send_run("wait")
        await until(notes, "wait")
        server.close()
        await server.wait_closed()
        assert notes == ["begin", "wait", "wait cancelled", "rollback"]
        assert await client.ended()


@aiotest
async def test_clean_up_that_never_ends_is_given_up(caplog):
    notes = Notes()
    async with serving(Hooks, notes=notes, waiting=["rollback"], grace=0.02) as (server, client):
        await client.ask(Message.BEGIN, {})
        client.cut()
        await until(notes, "rollback")
        server.close()
        await server.wait_closed()
    assert notes == ["begin", "rollback", "rollback cancelled"]


@aiotest
async def test_reset_does_not_wait_for_a_thread():
    """It cannot be interrupted: the next statement gets another one, and the generator is closed later."""
    release = threading.Event()
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    interrupted = []

    class Session(asyncbolt.ServerSession):
        @asyncbolt.threaded
        def run(self, statement, parameters):
            request = self.request
            try:
                yield {"n": 1}
                if statement == "block":
                    yield {"n": 2}
                    release.wait()
                    interrupted.append(request.interrupted)
                    yield {"n": 3}
            finally:
                loop.call_soon_threadsafe(closed.set)

    async with serving(Session) as (_, client):
        await client.run("block")
        client.send_pull()
        assert await client.rows(2) == [[1], [2]]
        client.send(Message.RESET)
        assert (await client.answer()).code == TERMINATED
        assert (await client.answer()).ok
        assert not closed.is_set()
        assert (await client.query("pass")).rows == [[1]]
        release.set()
        await closed.wait()
    assert interrupted == [True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asyncbolt-worker")]


@aiotest
async def test_threaded_code_stays_in_one_thread():
    """As sqlite3 wants it."""
    names = set()

    class Session(asyncbolt.ServerSession):
        @asyncbolt.threaded
        def begin(self):
            names.add(threading.current_thread().name)

        @asyncbolt.threaded
        def run(self, statement, parameters):
            for number in range(10):
                names.add(threading.current_thread().name)
                yield {"n": number}

    async with serving(Session) as (_, client):
        await client.ask(Message.BEGIN, {})
        await client.run("a")
        await client.run("b")
        for qid in (0, 1, 0, 1):
            assert len((await client.pull(3, qid)).rows) == 3
        await client.ask(Message.COMMIT)
    assert len(names) == 1
    assert names != {threading.current_thread().name}


@aiotest
async def test_threaded_plain_value_and_error():
    class Session(asyncbolt.ServerSession):
        @asyncbolt.threaded
        def run(self, statement, parameters):
            if statement == "fail":
                raise asyncbolt.CypherSyntaxError("no")
            if statement == "stop":
                raise StopIteration
            return threading.current_thread() is threading.main_thread()

    async with serving(Session) as (_, client):
        assert (await client.query("v")).rows == [[False]]
        assert (await client.query("fail")).code == "Neo.ClientError.Statement.SyntaxError"
        await client.reset()
        assert (await client.query("stop")).code == "Neo.DatabaseError.General.UnknownError"


def test_threaded_is_for_plain_functions():
    async def coroutine(self):
        pass

    async def generator(self):
        yield

    for function in (coroutine, generator):
        with pytest.raises(TypeError, match="is async: it runs on the event loop"):
            asyncbolt.threaded(function)


@aiotest
async def test_many_rows_from_a_thread():
    class Session(asyncbolt.ServerSession):
        @asyncbolt.threaded
        def run(self, statement, parameters):
            yield Result(["n"])
            for number in range(20_000):
                yield (number,)

    async with serving(Session) as (_, client):
        assert (await client.query("v")).rows == [[number] for number in range(20_000)]
        await client.run("v")
        assert (await client.pull(1500)).rows == [[number] for number in range(1500)]
        assert (await client.pull(2)).rows == [[1500], [1501]]
