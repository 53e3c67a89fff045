from __future__ import annotations

import asyncio
import functools
import inspect

import neo4j
import pytest

from asyncbolt.driver.addressing import Address
from asyncbolt.driver.query import Query, unit_of_work
from asyncbolt.driver.server_info import ServerInfo


def test_query_as_the_official_driver():
    for cls in (Query, neo4j.Query):
        query = cls("RETURN 1")
        assert (query.text, str(query), query.metadata, query.timeout) == ("RETURN 1", "RETURN 1", None, None)
        query = cls("RETURN 1", {"app": "x"}, 2.5)
        assert (query.metadata, query.timeout) == ({"app": "x"}, 2.5)
        query.timeout = 0
        assert cls("q", timeout=0).timeout == query.timeout == 0
    assert inspect.signature(Query).parameters.keys() == inspect.signature(neo4j.Query).parameters.keys()
    assert repr(Query("RETURN 1", {"user": "Ann"}, 2)) == "Query('RETURN 1', timeout=2)"
    assert repr(Query("RETURN 1")) == "Query('RETURN 1')"


@pytest.mark.parametrize("decorator", [unit_of_work, neo4j.unit_of_work], ids=["ours", "official"])
def test_options_are_on_the_function_as_with_the_official_driver(decorator):
    @decorator(metadata={"app": "x"}, timeout=3)
    async def work(tx, *args, **kwargs):
        return tx, args, kwargs

    assert (work.metadata, work.timeout) == ({"app": "x"}, 3)
    assert asyncio.run(work("tx", 1, k=2)) == ("tx", (1,), {"k": 2})
    assert decorator()(len).metadata is None and decorator()(len).timeout is None


def test_a_function_keeps_its_kind_and_name():
    @unit_of_work(timeout=3)
    async def coroutine(tx):
        """What it does."""

    @unit_of_work(timeout=3)
    def plain(tx):
        return tx

    assert inspect.iscoroutinefunction(coroutine) and not inspect.iscoroutinefunction(plain)
    assert plain(1) == 1
    assert (coroutine.__name__, coroutine.__doc__) == ("coroutine", "What it does.")
    assert list(inspect.signature(coroutine).parameters) == ["tx"]


class Works:
    timeout = 99

    @unit_of_work(metadata={"a": 1}, timeout=3)
    async def method(self, tx):
        return self, tx

    async def __call__(self, tx):
        return self, tx


def test_methods_partials_and_objects():
    works = Works()
    assert (works.method.metadata, works.method.timeout) == ({"a": 1}, 3)
    assert asyncio.run(works.method("tx")) == (works, "tx")
    for function in (functools.partial(works.method), works):
        decorated = unit_of_work(timeout=5)(function)
        assert (decorated.metadata, decorated.timeout) == (None, 5)
        assert asyncio.run(decorated("tx")) == (works, "tx")
    assert works.timeout == 99


def test_the_outermost_decorator_wins():
    @unit_of_work(timeout=1)
    @unit_of_work(metadata={"a": 1}, timeout=2)
    async def work(tx):
        pass

    assert (work.metadata, work.timeout) == (None, 1)


def test_parentheses_are_needed():
    with pytest.raises(TypeError, match=r"@unit_of_work\(timeout=10\)"):

        @unit_of_work
        async def work(tx):
            pass


def test_server_info_as_the_official_driver():
    address = Address(("h", 7687))
    info, theirs = ServerInfo(address, (5, 4)), neo4j.ServerInfo(address, (5, 4))
    for one in (info, theirs):
        one.update({"server": "Neo4j/5.26.0", "connection_id": "bolt-7", "hints": {}})
        assert (one.address, one.protocol_version, one.agent) == (address, (5, 4), "Neo4j/5.26.0")
    assert info.connection_id == "bolt-7"
    assert repr(info) == "<ServerInfo 'Neo4j/5.26.0' at h:7687 over Bolt 5.4>"
    bare = ServerInfo(address, (4, 4), None, None)
    assert (bare.agent, bare.connection_id) == ("", "")
    bare.update({})
    assert (bare.agent, bare.connection_id) == ("", "")
    assert ServerInfo(address, (4, 4), "A/1", "c").agent == "A/1"
    with pytest.raises(AttributeError):
        info.agent = "x"
    assert not hasattr(info, "__dict__")
