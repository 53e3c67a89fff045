"""How many rows a batch takes, without a connection."""

from __future__ import annotations

import random

from asyncbolt.client.sizing import Sizing
from asyncbolt.exceptions import PackError
from asyncbolt.packstream import pack


def test_batches_start_small_and_grow_by_what_is_known() -> None:
    sizing = Sizing(1000, 1_000_000)
    sizes = []
    for _ in range(5):
        sizes.append(sizing.rows)
        sizing.packed(sizing.rows, sizing.rows * 10)
    assert sizes == [16, 128, 1000, 1000, 1000]
    sizing.packed(1000, 10_000_000)
    assert sizing.rows == 100
    sizing.packed(100, 1_000_000_000)
    assert sizing.rows == 1
    sizing.packed(1, 0)
    assert sizing.rows == 8


def test_never_more_rows_than_allowed() -> None:
    sizing = Sizing(5, 1_000_000)
    assert sizing.rows == 5
    sizing.packed(5, 5)
    assert sizing.rows == 5


def test_a_short_batch_does_not_make_the_next_one_short() -> None:
    sizing = Sizing(1000, 1_000_000)
    for _ in range(3):
        sizing.packed(sizing.rows, sizing.rows * 10)
    sizing.packed(2, 20)
    assert sizing.rows == 1000


def test_what_is_too_much() -> None:
    sizing = Sizing(1000, 1000)
    assert not sizing.excessive(10, 2000)
    assert sizing.excessive(10, 2001)
    assert not sizing.excessive(1, 1_000_000)


def test_a_look_at_a_few_rows() -> None:
    sizing = Sizing(1000, 1000)
    assert sizing.seems_huge(["x" * 100] * 100, pack)
    assert not sizing.seems_huge(["x" * 10] * 100, pack)
    assert not sizing.seems_huge(["x" * 1000] * 10, pack)
    assert not sizing.seems_huge([object()] * 100, pack)
    looks = []
    sizing.seems_huge(list(range(1000)), lambda row: looks.append(row) or b"x")
    assert len(looks) <= 5


def test_measured_rows_are_cut_where_they_should_be() -> None:
    for seed in range(200):
        chance = random.Random(seed)
        rows = ["x" * int(10 ** chance.uniform(0, 4)) for _ in range(chance.randrange(1, 300))]
        limit, most = chance.randrange(1, 20_000), chance.randrange(1, 200)
        measured = Sizing(most, limit).measure(rows, pack)
        assert measured is not None and measured.size == sum(len(pack(row)) for row in rows)
        batches = []
        while len(measured):
            assert measured.size == sum(len(pack(row)) for row in rows[len(rows) - len(measured) :])
            batches.append(measured.take())
        assert [row for batch in batches for row in batch] == rows
        for batch, following in zip(batches, [*batches[1:], None], strict=True):
            size = sum(len(pack(row)) for row in batch)
            assert len(batch) == 1 or (size <= limit and len(batch) <= most)
            if following is not None:
                assert len(batch) == most or size + len(pack(following[0])) > limit


def test_rows_that_cannot_be_packed_cannot_be_measured() -> None:
    sizing = Sizing(1000, 1000)
    assert sizing.measure([1, object()], pack) is None
    try:
        sizing.measure([1], len)
    except TypeError:
        pass
    else:
        raise AssertionError("another error than PackError is no answer")
    assert issubclass(PackError, ValueError)
