from __future__ import annotations

import asyncio
import copy
import pickle
import threading

import neo4j
import neo4j.api
import pytest
from aiohelp import aiotest

from asyncbolt.driver.bookmarks import AsyncBookmarkManager, BookmarkManager, Bookmarks, BookmarkStore

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
BOTH = [Bookmarks, neo4j.Bookmarks]


@pytest.mark.parametrize("values", [(), ("a",), ["b", "a", "b"], {"x": 1}, "whole"], ids=repr)
def test_values_as_the_official_driver(values):
    ours, theirs = (cls.from_raw_values(values) for cls in BOTH)
    assert ours.raw_values == theirs.raw_values and isinstance(ours.raw_values, frozenset)
    assert repr(ours) == repr(theirs)
    assert bool(ours) is bool(theirs) is bool(values)


@pytest.mark.parametrize(
    ("values", "error"), [([1], TypeError), (["a", None], TypeError), (["é"], ValueError)]
)
def test_wrong_values(values, error):
    for cls in BOTH:
        with pytest.raises(error):
            cls.from_raw_values(values)


def test_addition_as_the_official_driver():
    for cls in BOTH:
        a, b, none = cls.from_raw_values(["a"]), cls.from_raw_values(["b"]), cls()
        assert (a + b).raw_values == {"a", "b"} == (b + a).raw_values
        assert (a + none) is a and (none + a).raw_values == {"a"}
        assert not none + none
        assert a.raw_values == {"a"}
        with pytest.raises(TypeError):
            a + "b"
    assert sum(map(Bookmarks.from_raw_values, "abc"), Bookmarks()).raw_values == set("abc")


class Mine(Bookmarks):
    pass


def test_a_subclass_stays_one():
    mine = Mine.from_raw_values(["a"])
    assert type(mine) is Mine is type(mine + Bookmarks.from_raw_values(["b"]))


def test_equality_and_hash():
    one, two = Bookmarks.from_raw_values(["a", "b"]), Bookmarks.from_raw_values(["b", "a"])
    assert one == two and hash(one) == hash(two) and len({one, two}) == 1
    assert one != Bookmarks() and one != {"a", "b"}
    with pytest.raises(AttributeError):
        one.raw_values = frozenset()


@pytest.mark.parametrize("cls", [Bookmarks, Mine])
def test_copies_and_pickles(cls):
    bookmarks = cls.from_raw_values(["a", "b"])
    twins = [copy.copy(bookmarks), copy.deepcopy(bookmarks)]
    twins += [pickle.loads(pickle.dumps(bookmarks, protocol)) for protocol in PROTOCOLS]
    assert all(type(twin) is cls and twin == bookmarks for twin in twins)


@pytest.mark.parametrize("cls", [BookmarkManager, AsyncBookmarkManager])
def test_managers_are_abstract(cls):
    with pytest.raises(TypeError, match="abstract"):
        cls()
    theirs = getattr(neo4j.api, cls.__name__)
    assert cls.__abstractmethods__ == theirs.__abstractmethods__
    assert isinstance(BookmarkStore(), AsyncBookmarkManager)


def official_store(*args, **kwargs):
    """The official default manager takes its own Bookmarks only."""

    def converted(value):
        return neo4j.Bookmarks.from_raw_values(value.raw_values) if isinstance(value, Bookmarks) else value

    supplier = kwargs.get("bookmarks_supplier")
    if supplier is not None:

        async def supplied():
            found = supplier()
            return converted(await found if asyncio.iscoroutine(found) else found)

        kwargs["bookmarks_supplier"] = supplied
    return neo4j.AsyncGraphDatabase.bookmark_manager(*map(converted, args), **kwargs)


@pytest.mark.parametrize("make", [BookmarkStore, official_store], ids=["ours", "official"])
@aiotest
async def test_store_as_the_official_driver(make):
    store = make(Bookmarks.from_raw_values(["a", "b"]))
    assert await store.get_bookmarks() == {"a", "b"}
    await store.update_bookmarks({"a"}, ["c"])
    assert await store.get_bookmarks() == {"b", "c"}
    await store.update_bookmarks(["b", "c"], [])  # nothing new: nothing is forgotten either
    assert await store.get_bookmarks() == {"b", "c"}
    await store.update_bookmarks(["unknown"], ("d", "b"))
    assert await store.get_bookmarks() == {"b", "c", "d"}
    (await store.get_bookmarks()).clear()
    assert len(await store.get_bookmarks()) == 3
    assert await make().get_bookmarks() == set()


@pytest.mark.parametrize("make", [BookmarkStore, official_store], ids=["ours", "official"])
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "coroutine"])
@aiotest
async def test_supplier_and_consumer_as_the_official_driver(make, is_async):
    consumed, supplied = [], [["s1"], [], ["s2"]]

    def supplier():
        return Bookmarks.from_raw_values(supplied.pop(0))

    def consumer(bookmarks):
        consumed.append(set(bookmarks.raw_values))

    async def async_supplier():
        await asyncio.sleep(0)
        return supplier()

    async def async_consumer(bookmarks):
        await asyncio.sleep(0)
        consumer(bookmarks)

    store = make(
        bookmarks_supplier=async_supplier if is_async else supplier,
        bookmarks_consumer=async_consumer if is_async else consumer,
    )
    assert await store.get_bookmarks() == {"s1"}
    await store.update_bookmarks(set(), ["a"])
    assert await store.get_bookmarks() == {"a"}  # what a supplier gave is not kept
    await store.update_bookmarks({"a"}, ["b"])
    await store.update_bookmarks({"b"}, [])
    assert consumed == [{"a"}, {"b"}]
    assert await store.get_bookmarks() == {"b", "s2"}


@aiotest
async def test_raw_values_will_do():
    store = BookmarkStore(["a"], lambda: ["b"])
    assert await store.get_bookmarks() == {"a", "b"}
    with pytest.raises(TypeError, match="Bookmarks object, not int"):
        BookmarkStore(5)
    with pytest.raises(TypeError, match="Bookmarks object, not int"):
        await BookmarkStore(None, lambda: 5).get_bookmarks()


@aiotest
async def test_what_the_consumer_raises_is_raised_and_the_update_stays():
    def consumer(bookmarks):
        raise ZeroDivisionError

    store = BookmarkStore(bookmarks_consumer=consumer)
    with pytest.raises(ZeroDivisionError):
        await store.update_bookmarks((), ["a"])
    assert await store.get_bookmarks() == {"a"}


def test_a_store_belongs_to_no_event_loop():
    store = BookmarkStore()
    rounds = range(200)

    async def add(name):
        for i in rounds:
            await store.update_bookmarks((), [f"{name}{i}"])

    asyncio.run(add("x"))
    threads = [threading.Thread(target=lambda name=name: asyncio.run(add(name))) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(store.get_bookmarks()) == {f"{name}{i}" for name in "xabcd" for i in rounds}
