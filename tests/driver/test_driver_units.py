"""What sessions send, refuse, repeat and warn of, against servers of our own in several versions."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import driver_of, settled

import asyncbolt
from asyncbolt.driver import clock
from asyncbolt.exceptions import (
    ClientError,
    ConfigurationError,
    Neo4jError,
    ResultConsumedError,
    TransactionError,
    TransientError,
)
from asyncbolt.graph import Node, Relationship


class Witness(asyncbolt.ServerSession):
    """Writes down what comes. Tests make a subclass of it, so that each has lists of its own."""

    seen: list[Any]
    summaries: dict[str, Any]
    errors: list[Neo4jError]
    commits: list[Neo4jError]

    def __init_subclass__(cls) -> None:
        cls.seen, cls.summaries, cls.errors, cls.commits = [], {}, [], []

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        request = self.request
        self.seen.append(
            {
                "statement": statement,
                "metadata": request.tx_metadata,
                "timeout": request.tx_timeout,
                "bookmarks": frozenset(request.bookmarks or ()),
                "user": request.impersonated_user,
                "severity": request.notifications_minimum_severity,
                "disabled": request.notifications_disabled,
            }
        )
        if self.errors:
            raise self.errors.pop(0)
        if statement == "GRAPH":
            a, b = Node(1, ["A"], {"x": 1}, "e1"), Node(2, ["B"], {}, "e2")
            knows = Relationship(3, 1, 2, "KNOWS", {"since": 5}, "e3", "e1", "e2")
            return asyncbolt.Result(["a", "r", "b"], [(a, knows, b)])
        return asyncbolt.Result(["n"], [(1,), (2,)], self.summaries)

    def commit(self) -> Any:
        if self.commits:
            raise self.commits.pop(0)
        return f"bm:{len(self.seen)}"


class Serving:
    """A server of *session_class*, and a driver of it."""

    def __init__(self, session_class: type[Witness], options: dict[str, Any], **server: Any) -> None:
        self._class = session_class
        self._options = options
        self._server_options = server

    async def __aenter__(self) -> asyncbolt.AsyncDriver:
        self._server = await asyncbolt.create_server(self._class, port=0, **self._server_options)
        self._driver = driver_of(self._server.sockets[0].getsockname()[1], **self._options)
        return self._driver

    async def __aexit__(self, *_: object) -> None:
        await self._driver.close()
        self._server.close()
        await self._server.wait_closed()


def serve(session_class: type[Witness], *versions: tuple[int, int], **options: Any) -> Serving:
    return Serving(session_class, options, **({"versions": versions} if versions else {}))


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the driver slept between its tries; its clock goes on by that much."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(clock, "sleep", sleep)
    monkeypatch.setattr(clock, "monotonic", lambda: 1000 + sum(slept))
    return slept


async def count(tx: asyncbolt.AsyncManagedTransaction) -> int:
    return len(await (await tx.run("WORK")).values())


# ---------------------------------------------------------------- what is sent


@aiotest
async def test_metadata_and_timeouts_come_with_everything_that_takes_them() -> None:
    class Session(Witness):
        pass

    marked = asyncbolt.unit_of_work(metadata={"app": "x"}, timeout=1.5)(count)
    query = asyncbolt.Query("Q", metadata={"app": "x"}, timeout=1.5)
    async with serve(Session) as driver:
        async with driver.session() as session:
            await session.execute_read(marked)
            await session.execute_write(marked)
            await (await session.run(query)).consume()
            await session.fetch(query)
            await session.execute(query)
            async for _ in session.batches(query):
                pass
            async with await session.begin_transaction(metadata={"app": "x"}, timeout=1.5) as tx:
                await tx.fetch("IN")
        await driver.execute_query(query)
        assert [(seen["metadata"], seen["timeout"]) for seen in Session.seen] == [({"app": "x"}, 1500)] * 8
        Session.seen.clear()
        await driver.execute_query("Q")
        assert (Session.seen[0]["metadata"] or None, Session.seen[0]["timeout"]) == (None, None)


@aiotest
async def test_users_and_filters_of_a_session_and_of_the_driver() -> None:
    class Session(Witness):
        pass

    async with serve(Session, impersonated_user="joe") as driver:
        await driver.execute_query("Q")
        await driver.execute_query("Q", impersonated_user_="ann")
        async with driver.session(
            impersonated_user="eve",
            notifications_min_severity="WARNING",
            notifications_disabled_classifications=["HINT"],
        ) as session:
            await session.fetch("Q")
        assert [seen["user"] for seen in Session.seen] == ["joe", "ann", "eve"]
        last = Session.seen[-1]
        assert (last["severity"], list(last["disabled"])) == ("WARNING", ["HINT"])


# ---------------------------------------------------------------- what old versions refuse


@pytest.mark.parametrize(
    ("version", "options", "match"),
    [
        ((4, 3), {"impersonated_user": "joe"}, "impersonation"),
        ((3, 0), {"impersonated_user": "joe"}, "impersonation"),
        ((5, 1), {"notifications_min_severity": "OFF"}, "notifications"),
        ((5, 1), {"notifications_disabled_classifications": ["HINT"]}, "notifications"),
        ((4, 4), {"notifications_disabled_categories": ["HINT"]}, "notifications"),
        ((3, 0), {"database": "other"}, "database"),
        ((5, 0), {"auth": ("someone", "else")}, "user switching"),
    ],
    ids=str,
)
@aiotest
async def test_what_a_version_does_not_have_is_refused(
    version: tuple[int, int], options: dict[str, Any], match: str
) -> None:
    class Session(Witness):
        pass

    async with serve(Session, version) as driver:

        async def begin() -> None:
            async with driver.session(**options) as session, await session.begin_transaction():
                pass

        async def run() -> None:
            async with driver.session(**options) as session:
                await session.run("Q")

        async def fetch() -> None:
            async with driver.session(**options) as session:
                await session.fetch("Q")

        async def managed() -> None:
            async with driver.session(**options) as session:
                await session.execute_write(count)

        for operation in (begin, run, fetch, managed):
            with pytest.raises(ConfigurationError, match=match):
                await operation()
        assert not Session.seen  # nothing is sent without what was asked for
        await driver.execute_query("Q")
        # Before 5.1, a connection that was made for someone else is of no use to the driver's own user.
        assert (await settled(driver)).opened == (2 if "auth" in options else 1)


@pytest.mark.parametrize("version", [(3, 0), (4, 0), (4, 3), (5, 0), (5, 4), (6, 0)], ids=str)
@aiotest
async def test_the_same_program_in_every_version(version: tuple[int, int]) -> None:
    class Session(Witness):
        pass

    async with serve(Session, version) as driver:
        assert (await driver.get_server_info()).protocol_version == version
        assert await driver.supports_multi_db() is (version >= (4, 0))
        assert await driver.supports_session_auth() is (version >= (5, 1))
        assert len((await driver.execute_query("Q")).records) == 2
        async with driver.session(fetch_size=1) as session:
            assert await (await session.run("Q")).value() == [1, 2]
            async with await session.begin_transaction() as tx:
                one, two = await tx.run("Q"), await tx.run("Q")
                assert [await two.value(), await one.value()] == [[1, 2], [1, 2]]
            assert await session.execute_read(count) == 2
            assert (await session.last_bookmarks()).raw_values == {f"bm:{len(Session.seen)}"}
        assert (await settled(driver)).opened == 1


# ---------------------------------------------------------------- what is tried again


def idempotent() -> TransientError:
    return TransientError("once more", diagnostic_record={"_idempotent": True})


@aiotest
async def test_an_auto_commit_statement_is_repeated_once_when_the_server_says_so() -> None:
    class Session(Witness):
        pass

    async with serve(Session) as driver:
        async with driver.session() as session:
            Session.errors.append(idempotent())
            assert await (await session.run("Q")).value() == [1, 2]
            assert len(Session.seen) == 2
            Session.errors.extend((idempotent(), idempotent()))
            with pytest.raises(TransientError):
                await session.run("Q")
            assert len(Session.seen) == 4
            Session.errors.append(TransientError("no word of that"))
            with pytest.raises(TransientError):
                await session.run("Q")
            assert len(Session.seen) == 5
        async with driver.session(disable_auto_commit_retries=True) as session:
            Session.errors.append(idempotent())
            with pytest.raises(TransientError):
                await session.run("Q")
            assert len(Session.seen) == 6
        assert (await settled(driver)).opened == 1


@aiotest
async def test_trying_again_has_an_end(delays: list[float]) -> None:
    class Session(Witness):
        pass

    async with serve(Session, max_transaction_retry_time=10, retry_delay_jitter_factor=0) as driver:
        Session.errors.extend(TransientError(f"try {number}") for number in range(1, 100))
        async with driver.session() as session:
            with pytest.raises(TransientError, match="try 5"):
                await session.execute_write(count)
        # The fifth failure came 15 s after the first.
        assert delays == [1, 2, 4, 8]
        assert len(Session.seen) == 5
        assert (await settled(driver)).opened == 1


@aiotest
async def test_the_delays_are_those_that_were_asked_for(delays: list[float]) -> None:
    class Session(Witness):
        pass

    options = {"initial_retry_delay": 0.5, "retry_delay_multiplier": 3, "retry_delay_jitter_factor": 0}
    async with serve(Session, **options) as driver:
        Session.errors.extend(TransientError("later") for _ in range(3))
        assert len((await driver.execute_query("Q")).records) == 2
        assert delays == [0.5, 1.5, 4.5]


@aiotest
async def test_a_commit_that_is_refused(delays: list[float]) -> None:
    class Session(Witness):
        pass

    async with serve(Session) as driver, driver.session() as session:
        Session.commits.append(ClientError("no", code="Neo.ClientError.Schema.ConstraintValidationFailed"))
        tx = await session.begin_transaction()
        await tx.run("Q")
        with pytest.raises(ClientError, match="no"):
            await tx.commit()
        assert tx.closed()
        with pytest.raises(TransactionError):
            await tx.commit()
        assert (await session.last_bookmarks()).raw_values == frozenset()
        # A managed transaction whose commit fails for a reason that may be gone is tried again.
        Session.commits.append(TransientError("later"))
        Session.seen.clear()
        assert await session.execute_write(count) == 2
        assert len(Session.seen) == 2 and len(delays) == 1
        assert (await settled(driver)).opened == 1


@aiotest
async def test_the_last_error_of_several_tries_is_the_one_that_is_raised(delays: list[float]) -> None:
    class Session(Witness):
        pass

    async with serve(Session) as driver:
        Session.errors.extend((TransientError("later"), ClientError("never")))
        with pytest.raises(ClientError, match="never") as failure:
            await driver.execute_query("Q")
        assert not failure.value.is_retryable() and len(Session.seen) == 2
        assert (await settled(driver)).idle == 1


# ---------------------------------------------------------------- bookmarks


@aiotest
async def test_bookmark_managers_are_asked_and_told() -> None:
    class Session(Witness):
        pass

    told: list[frozenset[str]] = []

    async def supply() -> asyncbolt.Bookmarks:
        return asyncbolt.Bookmarks.from_raw_values(["from outside"])

    def consume(bookmarks: asyncbolt.Bookmarks) -> None:
        told.append(bookmarks.raw_values)

    manager = asyncbolt.AsyncGraphDatabase.bookmark_manager(
        asyncbolt.Bookmarks.from_raw_values(["first"]), supply, consume
    )
    async with serve(Session) as driver:
        async with driver.session(bookmark_manager=manager) as session:
            await session.execute_write(count)
            await session.execute_write(count)
        assert [seen["bookmarks"] for seen in Session.seen] == [
            {"first", "from outside"},
            {"bm:1", "from outside"},
        ]
        assert told == [{"bm:1"}, {"bm:2"}]
        Session.seen.clear()
        own = asyncbolt.Bookmarks.from_raw_values(["own"])
        async with driver.session(bookmark_manager=manager, bookmarks=own) as session:
            await session.execute_write(count)
            await session.execute_write(count)
        # Its own ones have been seen when the first is done.
        assert [seen["bookmarks"] for seen in Session.seen] == [
            {"bm:2", "from outside", "own"},
            {"bm:1", "from outside"},
        ]


@aiotest
async def test_queries_of_a_driver_see_each_other() -> None:
    class Session(Witness):
        pass

    async with serve(Session) as driver:
        await driver.execute_query("Q")
        await driver.execute_query("Q")
        await driver.execute_query("Q", bookmark_manager_=None)
        async with driver.session(bookmark_manager=driver.execute_query_bookmark_manager) as session:
            await session.fetch("Q")
        assert [seen["bookmarks"] for seen in Session.seen] == [
            frozenset(),
            {"bm:1"},
            frozenset(),
            {"bm:2"},
        ]


@aiotest
async def test_what_was_rolled_back_leaves_no_bookmark() -> None:
    class Session(Witness):
        pass

    async with serve(Session) as driver:
        async with driver.session(bookmarks=asyncbolt.Bookmarks.from_raw_values(["old"])) as session:
            tx = await session.begin_transaction()
            await tx.run("Q")
            await tx.rollback()
            assert (await session.last_bookmarks()).raw_values == {"old"}
            await session.execute_write(count)
            assert (await session.last_bookmarks()).raw_values == {"bm:2"}


# ---------------------------------------------------------------- what is warned of


REMARK = {
    "gql_status": "01N01",
    "status_description": "warn: feature deprecated",
    "neo4j_code": "Neo.ClientNotification.Statement.FeatureDeprecationWarning",
    "title": "deprecated",
    "diagnostic_record": {
        "OPERATION": "", "OPERATION_CODE": "0", "CURRENT_SCHEMA": "/",
        "_severity": "WARNING", "_classification": "DEPRECATION",
        "_position": {"line": 1, "column": 1, "offset": 0},
    },
}  # fmt: skip


@aiotest
async def test_remarks_become_warnings_where_the_user_wants_them() -> None:
    class Session(Witness):
        pass

    done = {"gql_status": "00000", "status_description": "note: done", "diagnostic_record": {}}
    Session.summaries = {"statuses": [done, REMARK]}
    async with serve(Session, warn_notification_severity="WARNING") as driver:
        with pytest.warns(DeprecationWarning, match="feature deprecated") as caught:
            await driver.execute_query("Q")
        assert len(caught) == 1
        assert caught[0].filename == __file__
        with pytest.warns(DeprecationWarning):
            async with driver.session() as session:
                await (await session.run("Q")).consume()
    async with serve(Session) as driver:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            summary = (await driver.execute_query("Q")).summary
        assert [status.gql_status for status in summary.gql_status_objects] == ["00000", "01N01"]


# ---------------------------------------------------------------- results


@aiotest
async def test_a_graph_of_a_result() -> None:
    class Session(Witness):
        pass

    async with serve(Session) as driver, driver.session() as session:
        graph = await (await session.run("GRAPH")).graph()
        assert {tuple(node.labels) for node in graph.nodes} == {("A",), ("B",)}
        (knows,) = graph.relationships
        assert knows.type == "KNOWS" and knows["since"] == 5
        assert {node.element_id for node in knows.nodes if node is not None} == {"e1", "e2"}
        data = await (await session.run("GRAPH")).data()
        assert data == [{"a": {"x": 1}, "r": ({"x": 1}, "KNOWS", {}), "b": {}}]


async def values(result: asyncbolt.AsyncResult) -> Any:
    return await result.values()


async def single(result: asyncbolt.AsyncResult) -> Any:
    return await result.single()


async def peek(result: asyncbolt.AsyncResult) -> Any:
    return await result.peek()


async def loop(result: asyncbolt.AsyncResult) -> Any:
    return [record async for record in result]


@pytest.mark.parametrize("reader", [values, single, peek, loop])
@aiotest
async def test_a_result_is_out_of_reach_when_what_it_belongs_to_is_over(
    reader: Callable[[asyncbolt.AsyncResult], Awaitable[Any]],
) -> None:
    class Session(Witness):
        pass

    async with serve(Session) as driver:
        async with driver.session(fetch_size=1) as session:
            async with await session.begin_transaction() as tx:
                committed = await tx.run("Q")
            undone = await session.begin_transaction()
            rolled_back = await undone.run("Q")
            await undone.rollback()
            consumed = await session.run("Q")
            await consumed.consume()
            for result in (committed, rolled_back, consumed):
                with pytest.raises(ResultConsumedError):
                    await reader(result)
            left = await session.run("Q")
            following = await session.run("Q")
            assert await left.value() == [1, 2]  # brought in by the statement after it
        with pytest.raises(ResultConsumedError):
            await reader(following)
        assert (await settled(driver)).opened == 1
