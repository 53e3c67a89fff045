"""Likely mistakes with one connection: each error says what to do instead, and nothing else is lost."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from aiohelp import aiotest

import asyncbolt
from asyncbolt import LocalProtocolError, ResultConsumedError, TransactionError
from asyncbolt._hints import UnknownArgument, reason
from asyncbolt.client.connect import Opener
from asyncbolt.graph import Node, Relationship, UnboundRelationship

ROWS = 20_000


class Numbers(asyncbolt.ServerSession):
    def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        return asyncbolt.Result(["i"], ((i,) for i in range(parameters.get("n", 2))))


@contextlib.asynccontextmanager
async def serving() -> Any:
    async with await asyncbolt.create_server(Numbers, port=0) as server:
        yield f"bolt://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def count(rows: Any) -> int:
    return sum([1 if isinstance(part, asyncbolt.ClientResponse) else len(part) async for part in rows])


async def both(*steps: Any) -> list[Any]:
    """What each of the tasks gives or raises; none may hang."""
    return list(await asyncio.wait_for(asyncio.gather(*steps, return_exceptions=True), 20))


# ---------------------------------------------------------------- the wrong keyword of Python's


def plain_with(thing: Any) -> None:
    with thing:
        pass


def plain_for(thing: Any) -> None:
    for _ in thing:
        pass


ROWS_OF: dict[str, Callable[[Any], Any]] = {
    "for": plain_for,
    "list": list,
    "index": lambda thing: thing[0],
    "slice": lambda thing: thing[:1],
    "in": lambda thing: 1 in thing,
    "unpacking": lambda thing: [*thing],
}


@aiotest
async def test_with_and_for_where_the_asynchronous_ones_belong() -> None:
    async with serving() as uri, asyncbolt.connect(uri) as session, asyncbolt.create_pool(uri) as pool:
        transaction = session.transaction()
        streams = [session.batches("X"), session.run("X"), transaction.batches("X"), transaction.run("X")]
        server = await asyncbolt.create_server(Numbers, port=0, start_serving=False)
        for thing in (session, pool, transaction, server, *streams, asyncbolt.connect(uri), pool.acquire()):
            with pytest.raises(TypeError, match="use 'async with', not 'with'"):
                plain_with(thing)
        for thing in streams:
            for mistake in ROWS_OF.values():
                with pytest.raises(TypeError, match="use 'async for', not 'for'"):
                    mistake(thing)
            assert not isinstance(thing, Iterable)
        await transaction.rollback()
        server.close()
        await server.wait_closed()
        assert len(await session.fetch("X")) == 2


@aiotest
async def test_what_is_awaited_first() -> None:
    async with serving() as uri, asyncbolt.create_pool(uri) as pool:
        calls = (asyncbolt.connect(uri), r"connect\(\.\.\.\)"), (pool.acquire(), r"pool\.acquire\(\)")
        for thing, call in calls:
            how = f"await it \\(session = await {call}\\), or use it with 'async with {call} as session'"
            for name in ("fetch", "run", "close", "is_connected"):
                with pytest.raises(AttributeError, match=f"{call} .*{name!r}: {how}"):
                    getattr(thing, name)
            for mistake in (plain_for, lambda thing: thing["X"]):
                with pytest.raises(TypeError, match=how):
                    mistake(thing)
            with pytest.raises(TypeError, match=how):
                await count(thing)
            assert not hasattr(thing, "__wrapped__") and not hasattr(thing, "fetch")


@aiotest
async def test_one_call_is_entered_once_at_a_time() -> None:
    async with serving() as uri, asyncbolt.create_pool(uri, max_size=2) as pool:
        for thing in (asyncbolt.connect(uri), pool.acquire()):
            async with thing as session:
                with pytest.raises(LocalProtocolError, match="again for another"):
                    await thing.__aenter__()
                assert len(await session.fetch("X")) == 2
            async with thing as session:  # and again, when it is over
                assert len(await session.fetch("X")) == 2
        assert pool.size == pool.idle_size


@aiotest
async def test_a_pool_before_it_is_opened() -> None:
    pool = asyncbolt.create_pool("bolt://127.0.0.1:1")
    for step in (pool.fetch("X"), pool.execute("X"), pool.execute_many("X", [1]), pool.acquire()):
        with pytest.raises(asyncbolt.ConnectionPoolError, match="await it, or use it with async with"):
            await step


# ---------------------------------------------------------------- arguments


UNKNOWN = {
    "user": "auth=", "username": "auth=", "password": "auth=", "pwd": "auth=", "credentials": "auth=",
    "db": "did you mean database", "databse": "did you mean database", "encrypted": "did you mean ssl",
    "time_out": "did you mean timeout", "quux": "unknown argument quux$",
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_arguments_of_connect(name: str) -> None:
    for function in (asyncbolt.connect, asyncbolt.create_pool):
        with pytest.raises(UnknownArgument, match=f"{function.__name__}.*{name}.*|{UNKNOWN[name]}") as caught:
            function("bolt://127.0.0.1", **{name: "x"})
        assert UNKNOWN[name].rstrip("$") in str(caught.value)
        assert isinstance(caught.value, TypeError) and isinstance(caught.value, asyncbolt.ConfigurationError)


def test_the_value_of_an_unknown_argument_is_not_shown() -> None:
    with pytest.raises(UnknownArgument) as caught:
        asyncbolt.connect("bolt://127.0.0.1", password="hunter2")
    assert "hunter2" not in str(caught.value) and "hunter2" not in repr(caught.value)


def test_arguments_of_pools_are_named_where_they_are_meant() -> None:
    with pytest.raises(UnknownArgument, match="max_sise: did you mean max_size"):
        asyncbolt.create_pool("bolt://127.0.0.1", max_sise=2)
    with pytest.raises(UnknownArgument, match="max_connections: did you mean max_size"):
        asyncbolt.create_pool("bolt://127.0.0.1", max_connections=2)


class Tenant(asyncbolt.BoltClientProtocol):
    def __init__(self, loop: Any, tenant: str, **_: Any) -> None:
        super().__init__(loop)
        self.tenant = tenant


class Strict(asyncbolt.BoltClientProtocol):
    def __init__(self, loop: Any, *, secret: str) -> None:
        super().__init__(loop)


@aiotest
async def test_arguments_for_the_class_of_the_protocol() -> None:
    async with serving() as uri:
        async with asyncbolt.connect(uri, protocol_class=Tenant, tenant="t", more=1) as session:
            assert isinstance(session.protocol, Tenant) and session.protocol.tenant == "t"
        async with asyncbolt.create_pool(uri, protocol_class=Strict, secret="s") as pool:
            assert len(await pool.fetch("X")) == 2
        with pytest.raises(UnknownArgument, match="secrt: did you mean secret"):
            asyncbolt.connect(uri, protocol_class=Strict, secrt="s")
        for kind, given in ((Tenant, {"more": 1}), (Tenant, {}), (Strict, {})):
            with pytest.raises(UnknownArgument, match=rf"{kind.__name__}\(loop, \*\*kwargs\): missing"):
                asyncbolt.connect(uri, protocol_class=kind, **given)


class Named(asyncbolt.ServerSession):
    def __init__(self, loop: Any, *, name: str = "") -> None:
        super().__init__(loop)


@aiotest
async def test_unknown_arguments_of_create_server() -> None:
    for kind in (Numbers, Named):
        for name, hint in (
            ("prt", "did you mean port"), ("login_timeot", "did you mean login_timeout"),
            ("password", "verify_auth_token"), ("encrypted", "did you mean ssl"),
        ):  # fmt: skip
            with pytest.raises(UnknownArgument, match=f"{name}: {hint}"):
                await asyncbolt.create_server(kind, port=0, **{name: 1})
    with pytest.raises(UnknownArgument, match="nme: did you mean name"):
        await asyncbolt.create_server(Named, port=0, nme="x")


def test_options_in_places() -> None:
    for function in (asyncbolt.connect, asyncbolt.create_pool):
        with pytest.raises(TypeError, match=r"by keyword: .*auth=\(user, password\)"):
            function("bolt://127.0.0.1", ("neo4j", "secret"))


@pytest.mark.parametrize("uri", [5, b"bolt://127.0.0.1", ("127.0.0.1", 7687)])
def test_a_uri_that_is_no_string(uri: Any) -> None:
    with pytest.raises(asyncbolt.ConfigurationError, match="a URI is a string, not"):
        asyncbolt.connect(uri)


@aiotest
async def test_unknown_options_of_a_statement() -> None:
    async with serving() as uri, asyncbolt.connect(uri) as session:
        for name, hint in (
            ("database", "did you mean db"), ("databse", "did you mean db"),
            ("tx_timout", "did you mean tx_timeout"), ("password", r"auth=\(user, password\) of connect"),
        ):  # fmt: skip
            with pytest.raises(UnknownArgument, match=f"{name}: .*{hint}"):
                await session.fetch("X", **{name: 1})
        assert len(await session.fetch("X")) == 2


# ---------------------------------------------------------------- statements and parameters

NO_TEXT: list[Any] = [b"X", ["X"], 5, 1.5, asyncbolt.Query("X")]
NO_MAPPING: list[Any] = [5, "x", [1], ("a", 1), {1}, 0, "", [], iter(()), object()]


def requests(place: Any, *arguments: Any, **more: Any) -> list[Any]:
    """What a session, a transaction or a pool can be asked for, as coroutines."""
    return [
        place.fetch(*arguments),
        place.execute(*arguments),
        place.execute_many(arguments[0], [1], **more),
        place.execute_many(arguments[0], [], **more),
    ]


@aiotest
async def test_statements_that_are_no_text() -> None:
    async with serving() as uri, asyncbolt.connect(uri) as session, asyncbolt.create_pool(uri) as pool:
        async with session.transaction() as transaction:
            for wrong in (None, *NO_TEXT):
                match = f"a statement is a string, not {type(wrong).__name__}"
                for place in (session, transaction, pool):
                    for step in requests(place, wrong):
                        with pytest.raises(TypeError, match=match):
                            await step
            for wrong in NO_TEXT:
                for place in (session, transaction):
                    for start in (place.batches, place.run, session.pipeline):
                        with pytest.raises(TypeError, match="a statement is a string"):
                            start(wrong)
            assert len(await transaction.fetch("X")) == 2  # which goes on
        assert len(await session.fetch("X")) == 2


@pytest.mark.parametrize("wrong", NO_MAPPING, ids=lambda wrong: type(wrong).__name__)
@aiotest
async def test_parameters_that_are_no_mapping(wrong: Any) -> None:
    match = f"parameters are a mapping .*, not {type(wrong).__name__}"
    async with serving() as uri, asyncbolt.connect(uri) as session, asyncbolt.create_pool(uri) as pool:
        session.pipeline("X")
        async with session.transaction() as transaction:
            for place in (session, transaction, pool):
                for step in requests(place, "X", wrong, parameters=wrong):
                    with pytest.raises(TypeError, match=match):
                        await step
            for place in (session, transaction):
                for start in (place.batches, place.run, session.pipeline):
                    with pytest.raises(TypeError, match=match):
                        start("X", wrong)
        assert await count(session.run()) == 2  # what was pipelined before


# ---------------------------------------------------------------- two tasks


@pytest.mark.parametrize("kind", ["batches", "run"])
@pytest.mark.parametrize("inside", [False, True], ids=["session", "transaction"])
@aiotest
async def test_two_readers(kind: str, inside: bool) -> None:
    async with serving() as uri, asyncbolt.connect(uri) as session:
        place: Any = session.transaction() if inside else session
        async with place if inside else contextlib.nullcontext():
            rows = getattr(place, kind)("X", {"n": ROWS})
            first, second, third = await both(count(rows), count(rows), count(rows))
        assert first == ROWS
        assert {str(second), str(third)} == {"another task is reading this result"}
        assert type(second) is type(third) is LocalProtocolError
        assert len(await session.fetch("X")) == 2


@pytest.mark.parametrize("kind", ["batches", "run"])
@aiotest
async def test_a_result_that_another_task_leaves(kind: str) -> None:
    async with serving() as uri, asyncbolt.connect(uri) as session:
        rows = getattr(session, kind)("X", {"n": ROWS})
        reader, leaver = await both(count(rows), rows.aclose())
        assert type(reader) is ResultConsumedError and "another task left this result" in str(reader)
        assert leaver is None
        with pytest.raises((ResultConsumedError, asyncbolt.ResultFailedError)):
            await anext(rows)
        assert len(await session.fetch("X")) == 2


@pytest.mark.parametrize("end", ["commit", "rollback"])
@aiotest
async def test_a_transaction_that_another_task_ends(end: str) -> None:
    async with serving() as uri, asyncbolt.connect(uri) as session:
        transaction = session.transaction()
        rows = transaction.batches("X", {"n": ROWS}, fetch_size=10)
        reader, _ = await both(count(rows), getattr(transaction, end)())
        assert isinstance(reader, (asyncbolt.ResultFailedError, TransactionError))
        assert len(await session.fetch("X")) == 2


# ---------------------------------------------------------------- what errors say


class Mute(OSError):
    def __str__(self) -> str:
        return ""


@pytest.mark.parametrize(
    "error", [ConnectionResetError(), ConnectionAbortedError(), OSError(), Mute()], ids=repr
)
@aiotest
async def test_an_error_that_says_nothing(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fails)
    for uri in ("bolt://127.0.0.1:1", "bolt+ssc://127.0.0.1:1"):
        with pytest.raises(asyncbolt.ServiceUnavailable) as caught:
            await Opener(uri).open()
        assert str(caught.value).endswith(f": {type(error).__name__}")
        assert caught.value.__cause__ is error


def test_reasons() -> None:
    assert reason(ValueError("so")) == "so" and reason(TimeoutError()) == "TimeoutError"


# ---------------------------------------------------------------- properties


def test_a_property_that_is_not_there() -> None:
    node = Node(1, ["Person"], {"name": "Ann", "age": 5})
    there = r"this Node has no 'nme': there is 'name', 'age' \(did you mean 'name'\?\)"
    with pytest.raises(KeyError, match=there) as caught:
        node["nme"]
    assert caught.value.args == ("nme",) and caught.value.__suppress_context__
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (type(caught.value), str(caught.value))
    with pytest.raises(KeyError, match="this Relationship has no 'x': there is 'since'"):
        Relationship(1, 2, 3, "T", {"since": 1})["x"]
    with pytest.raises(KeyError, match="this UnboundRelationship has no 'x': there is none at all"):
        UnboundRelationship(1, "T")["x"]
    with pytest.raises(KeyError, match="there is none at all"):
        Node(1, ["Person"])["name"]
    many = Node(1, [], {f"p{i}": i for i in range(1000)})
    with pytest.raises(KeyError, match=r"\(1000 in all\)"):
        many["zzz"]
    for wrong in (1, None, ("a",)):
        with pytest.raises(KeyError):
            node[wrong]  # type: ignore[index]


def test_a_bare_node_of_a_relationship() -> None:
    relationship = Relationship(1, 2, 3, "KNOWS")
    for node in relationship.nodes:
        with pytest.raises(KeyError, match=r"'name'.*start_node or end_node.*return the node itself"):
            node["name"]
        assert node.get("name") is None and "name" not in node
