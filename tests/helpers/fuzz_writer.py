"""What the twins write, compared for as long as wanted: random values, odd ones and contrived ones.

    python tests/helpers/fuzz_writer.py [--seconds 3600] [--objects 10000000] [--seed 1]

packs each object on both twins, compares the bytes or the errors to the letter, and prints how many there
were. The generator is one of its own: hypothesis makes some hundred objects a second, this one thousands. A
number names a batch: ``--seed`` with the number that is printed with a difference shows it again.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import re
import struct
import time
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

from contrived import contrived
from exact import outcome

from asyncbolt import _chunking_py, _packstream_py
from asyncbolt._structure import Structure
from asyncbolt.exceptions import PackError
from asyncbolt.graph import Node, Path, Relationship, UnboundRelationship
from asyncbolt.spatial import Point, point_class
from asyncbolt.time import Date, DateTime, Duration, Time, TimeDelta
from asyncbolt.vector import UnsupportedType, Vector

BATCH = 500
# The newest most often: the older ones refuse much.
VERSIONS = [(1, 0), (2, 0), (3, 0), (4, 3), (4, 4), (5, 0), (5, 8), (6, 0), *[(6, 1)] * 12]
ZONES: list[dt.tzinfo | None] = [
    None, dt.timezone.utc, dt.timezone(dt.timedelta(microseconds=5)),
    *map(ZoneInfo, ("Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu")),
]  # fmt: skip
EPOCH = dt.datetime(1970, 1, 1)
CHARACTERS = ["abcxyz 09_", "éßñ", "中文字", "😀𝔘", "\x00\x7f\x80\u07ff\u0800\uffff", "\ud800\udfff"]
SIZES = [0, 1, 2, 3, 5, 8, 14, 15, 16, 17, 31, 40]
EDGES = [sign * 2**power + near for power in range(65) for near in (-2, -1, 0, 1, 2) for sign in (1, -1)]
DIMENSIONS = {7203: 2, 4326: 2, 9157: 3, 4979: 3}


class Maker:
    """Makes values of all kinds out of one source of numbers."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        # Most leaves are taken from here: made once for a batch, they cost a tenth.
        makers = [
            self.integer, self.integer, self.real, self.text, self.text, self.data, self.moment, self.clock,
            self.day, self.span, self.point, self.vector, self.graph,
        ]  # fmt: skip
        odd = [self.odd_text, self.refused]
        self.leaves = [None, True, False, *(make() for make in makers for _ in range(12))]
        self.odd_leaves = [make() for make in odd for _ in range(6)]
        self.keys = [key for key in (self.text() for _ in range(20)) if key.isprintable()] or ["k"]

    def integer(self) -> int:
        roll = self.rng.random()
        if roll < 0.4:
            return self.rng.randrange(-200, 200)
        return self.rng.choice(EDGES) if roll < 0.8 else self.rng.getrandbits(64) - 2**63

    def real(self) -> float:
        roll = self.rng.random()
        if roll < 0.5:
            number: float = struct.unpack(">d", self.rng.getrandbits(64).to_bytes(8, "big"))[0]
            return number
        return self.rng.uniform(-1000, 1000) if roll < 0.9 else float(self.rng.randrange(-5, 5))

    def text(self) -> str:
        letters = self.rng.choice(CHARACTERS[:5])
        size = self.rng.choice(SIZES) if self.rng.random() < 0.95 else self.rng.randrange(250, 300)
        return "".join(self.rng.choices(letters, k=size))

    def odd_text(self) -> str:
        return self.text() + "".join(self.rng.choices(CHARACTERS[5], k=1)) + self.text()

    def data(self) -> Any:
        size = self.rng.choice(SIZES) if self.rng.random() < 0.9 else self.rng.randrange(250, 260)
        data = self.rng.randbytes(size)
        return self.rng.choice([bytes, bytes, bytearray, memoryview])(data)

    def zone(self) -> dt.tzinfo | None:
        if self.rng.random() < 0.3:
            return dt.timezone(dt.timedelta(seconds=self.rng.randrange(-86399, 86400)))
        return self.rng.choice(ZONES)

    def moment(self) -> Any:
        seconds = self.rng.randrange(-62135596800 + 86400, 253402300800 - 86400)
        moment = EPOCH + dt.timedelta(0, seconds, self.rng.randrange(10**6) * self.rng.randrange(2))
        moment = moment.replace(tzinfo=self.zone(), fold=self.rng.randrange(2))
        if self.rng.random() < 0.5:
            return DateTime.from_native(moment.replace(microsecond=0)).replace(
                nanosecond=self.rng.randrange(10**9)
            )
        return moment

    def clock(self) -> Any:
        seconds = self.rng.randrange(86400)
        parts = seconds // 3600, seconds // 60 % 60, seconds % 60
        if self.rng.random() < 0.5:
            return Time(*parts, tzinfo=self.zone(), nanosecond=self.rng.randrange(10**9))
        return dt.time(*parts, self.rng.randrange(10**6), self.zone())

    def day(self) -> dt.date:
        return self.rng.choice([dt.date, Date]).fromordinal(self.rng.randrange(1, 3652060))

    def span(self) -> Any:
        roll = self.rng.randrange(3)
        if roll == 0:
            return Duration._make(*(self.integer() for _ in range(4)))
        delta = dt.timedelta(self.rng.randrange(-999999, 999999), 0, self.rng.randrange(10**12))
        return delta if roll == 1 else delta + TimeDelta(nanoseconds=self.rng.randrange(10**9))

    def point(self) -> Point:
        srid = self.rng.choice([7203, 4326, 9157, 4979, self.rng.randrange(-5, 99999)])
        dimensions = DIMENSIONS.get(srid) or self.rng.randrange(2, 4)
        return point_class(srid, dimensions)(tuple(self.real() for _ in range(dimensions)), srid)

    def vector(self) -> Any:
        kind, width = self.rng.choice([("i8", 1), ("i16", 2), ("i32", 4), ("i64", 8), ("f32", 4), ("f64", 8)])
        if self.rng.random() < 0.1:
            return UnsupportedType(self.text(), (self.rng.randrange(9), self.rng.randrange(9)), self.text())
        return Vector(self.rng.randbytes(width * self.rng.choice(SIZES)), kind)

    def identity(self) -> int | None:
        return self.rng.randrange(-5, 10**6) if self.rng.random() < 0.9 else None

    def properties(self) -> dict[str, Any]:
        return {self.text(): self.integer() for _ in range(self.rng.randrange(4))}

    def node(self) -> Node:
        labels = [self.text() for _ in range(self.rng.randrange(3))]
        return Node(self.identity(), labels, self.properties(), self.text())

    def graph(self) -> Any:
        roll = self.rng.randrange(5)
        if roll < 2:
            return self.node()
        names = self.text(), self.properties(), self.text(), self.text(), self.text()
        if roll == 2:
            return Relationship(self.identity(), self.identity(), self.identity(), *names)
        unbound = UnboundRelationship(self.identity(), *names[:3])
        if roll == 3:
            return unbound
        nodes = [self.node() for _ in range(self.rng.randrange(1, 4))]
        indices: list[int] = []
        for _ in range(self.rng.randrange(4)):
            indices += [self.rng.choice([1, -1]), self.rng.randrange(len(nodes))]
        return Path(nodes, [unbound], indices)

    def refused(self) -> Any:
        return self.rng.choice(
            [object(), {1}, 2**63, -(2**70), 1j, {5: 1}, int, range(3), dt.time(1, tzinfo=ZONES[3])]
        )

    def leaf(self) -> Any:
        roll = self.rng.random()
        if roll < 0.9:
            return self.rng.choice(self.leaves)
        if roll < 0.95:
            return self.integer()
        if roll < 0.98:
            return self.rng.choice([self.text, self.real])()
        return uuid.UUID(int=self.rng.getrandbits(128))

    def value(self, depth: int = 3) -> Any:
        roll = self.rng.random()
        if not depth or roll < 0.5:
            return self.leaf()
        count = self.rng.randrange(7) if roll < 0.97 else self.rng.randrange(14, 19)
        if roll < 0.7:
            return [self.value(depth - 1) for _ in range(count)]
        if roll < 0.85:
            return {self.rng.choice(self.keys): self.value(depth - 1) for _ in range(count)}
        if roll < 0.92:
            return tuple([self.value(depth - 1) for _ in range(count)])
        if roll < 0.97:
            return Structure(self.rng.randrange(128), *[self.value(depth - 1) for _ in range(count)])
        return [self.leaf()] * count

    def with_one(self, odd: Any) -> Any:
        """A value with something odd at some depth of it."""
        value = odd
        for _ in range(self.rng.randrange(3)):
            other = self.value(1)
            value = self.rng.choice([[other, value], (value, other), {"k": other, "o": value}, [value] * 17])
        return value


def _same(first: Any, second: Any) -> bool:
    """Whether two outcomes are one, but for addresses in the texts."""
    if first == second:
        return True
    addresses = re.compile(r"0x[0-9a-f]{6,}")
    return addresses.sub("", repr(first)) == addresses.sub("", repr(second))


def _packed(pack: Callable[[Any], bytes], value: Any) -> Any:
    try:
        return pack(value)
    except PackError as exc:
        return str(exc), exc.path, exc.root
    except Exception as exc:
        return type(exc), str(exc)


class Fuzz:
    """Compares two twins, each a (packstream, chunking)."""

    def __init__(self, twins: list[tuple[ModuleType, ModuleType]]) -> None:
        self.twins = twins
        self.objects = self.refused = self.contrived = self.read = 0

    def batch(self, seed: int) -> None:
        """One batch of :data:`BATCH` objects; raises AssertionError at a difference."""
        make = Maker(seed)
        rng = make.rng
        form: dict[str, Any] = {"version": rng.choice(VERSIONS), "utc_patch": rng.random() < 0.3}
        graph, depth = rng.random() < 0.9, rng.choice([*[200] * 16, 400, 0, 1, 2, 3])
        first, second = (
            packstream.Packer(**form, graph=graph, max_depth=depth).pack for packstream, _ in self.twins
        )
        rows: list[Any] = []
        for number in range(BATCH):
            roll = rng.random()
            if roll < 0.94:
                value = other = make.value()
            elif roll < 0.98:
                value = other = make.with_one(rng.choice(make.odd_leaves))
            else:
                # Made twice: packing may use one up.
                inner = rng.getrandbits(64)
                value, other = (contrived(random.Random(inner)) for _ in range(2))
                self.contrived += 1
            one, two = _packed(first, value), _packed(second, other)
            assert one == two or _same(one, two), (seed, number, form, one, two)
            self.objects += 1
            if type(one) is not bytes:
                self.refused += 1
            elif number % 8 == 0:
                self.read_back(one, form, (seed, number))
            if roll < 0.98 and number % 5 == 0:
                rows.append((value, number) if number % 2 else [value])
        self.write_rows(rows, rng, form, seed)

    def read_back(self, data: bytes, form: dict[str, Any], where: Any) -> None:
        one, two = (outcome(packstream.unpack, data, **form) for packstream, _ in self.twins)
        assert one == two, (where, form, one, two)
        assert one[0] == "gives" or "a vector's" in one[1][1], (where, one)
        self.read += 1

    def write_rows(self, rows: list[Any], rng: random.Random, form: dict[str, Any], seed: int) -> None:
        """The same values as rows and as fields of messages, in chunks of some size."""
        size = rng.choice([1, 2, 7, 40, 1000, 65535])
        writers = [
            chunking.MessageWriter(**form, max_chunk_size=size, graph=True) for _, chunking in self.twins
        ]
        at = 0
        while at < len(rows):
            some = rows[at : at + rng.randrange(1, 8)]
            one, two = (_packed(writer.records, some) for writer in writers)
            assert one == two, (seed, "rows", at, form, one, two)
            one, two = (_packed(lambda fields, w=each: w.message(0x10, *fields), some) for each in writers)
            assert one == two, (seed, "message", at, form, one, two)
            at += len(some)

    def __str__(self) -> str:
        return (
            f"{self.objects:,} objects, {self.refused:,} of them refused, {self.contrived:,} contrived, "
            f"{self.read:,} read back"
        )


def both() -> list[tuple[ModuleType, ModuleType]]:
    """The compiled twin and the pure one."""
    from asyncbolt import _chunking, _packstream

    return [(_packstream, _chunking), (_packstream_py, _chunking_py)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--objects", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1, help="the first batch's number")
    args = parser.parse_args()
    fuzz, seed = Fuzz(both()), args.seed
    begin = said = time.monotonic()
    while fuzz.objects < args.objects and (now := time.monotonic()) - begin < args.seconds:
        fuzz.batch(seed)
        seed += 1
        if now - said > 60:
            said = now
            print(f"{now - begin:.0f} s: {fuzz}", flush=True)
    took = time.monotonic() - begin
    print(f"no difference: {fuzz}; {took:.0f} s, {fuzz.objects / took:,.0f} objects/s; next seed {seed}")


if __name__ == "__main__":
    main()
