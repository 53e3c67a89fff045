"""The codec twins: rows into framed bytes and back, in buffers of the size that asyncio reads."""

from __future__ import annotations

from typing import Any

import pytest
import shapes

READ_SIZE = 256 * 1024
COUNTS = {
    "int": 20_000,
    "strings": 10_000,
    "mixed": 10_000,
    "node": 2_000,
    "floats": 100,
    "wide": 2_000,
    "times": 5_000,
}


@pytest.mark.parametrize("shape", sorted(shapes.SHAPES))
def test_read(benchmark: Any, codec: Any, shape: str) -> None:
    rows = shapes.rows(shape, COUNTS[shape])
    data = codec.chunking.MessageWriter(graph=True).records(rows)
    pieces = [data[i : i + READ_SIZE] for i in range(0, len(data), READ_SIZE)]
    benchmark.group = f"read {shape}"
    benchmark.extra_info["rows"] = len(rows)
    benchmark.extra_info["bytes"] = len(data)

    def read() -> list[Any]:
        reader = codec.chunking.MessageReader()
        got: list[Any] = []
        for piece in pieces:
            for run in reader.feed(piece):
                got += run
        return got

    assert benchmark(read) == rows


@pytest.mark.parametrize("shape", sorted(shapes.SHAPES))
def test_write(benchmark: Any, codec: Any, shape: str) -> None:
    rows = shapes.rows(shape, COUNTS[shape])
    writer = codec.chunking.MessageWriter(graph=True)
    benchmark.group = f"write {shape}"
    benchmark.extra_info["rows"] = len(rows)
    assert benchmark(writer.records, rows)


UNWIND = "UNWIND $rows AS row CREATE (n) SET n = row"


def test_write_unwind(benchmark: Any, codec: Any) -> None:
    people = shapes.people(1000)
    writer = codec.chunking.MessageWriter()
    benchmark.group = "write $rows"
    benchmark.extra_info["rows"] = len(people)
    assert benchmark(writer.message, 0x10, UNWIND, {"rows": people}, {})


def test_read_unwind(benchmark: Any, codec: Any) -> None:
    """As a server reads it."""
    people = shapes.people(1000)
    data = codec.chunking.MessageWriter().message(0x10, UNWIND, {"rows": people}, {})
    benchmark.group = "read $rows"
    benchmark.extra_info["rows"] = len(people)
    got = benchmark(lambda: codec.chunking.MessageReader(runs=False).feed(data))
    assert got == [(0x10, UNWIND, {"rows": people}, {})]


def test_write_tiny(benchmark: Any, codec: Any) -> None:
    """A RUN with a parameter and a PULL, a hundred times: what each message costs."""
    writer = codec.chunking.MessageWriter()
    benchmark.group = "write tiny messages"
    benchmark.extra_info["messages"] = 200

    def write() -> list[bytes]:
        out: list[bytes] = []
        for _ in range(100):
            out.append(writer.message(0x10, "RETURN $n", {"n": 1}, {}))
            out.append(writer.message(0x3F, {"n": -1}))
        return out

    assert len(benchmark(write)) == 200


def test_read_tiny(benchmark: Any, codec: Any) -> None:
    """The answers to that."""
    writer = codec.chunking.MessageWriter()
    one = writer.message(0x70, {"fields": ["n"], "t_first": 1})
    one += writer.message(0x71, [1]) + writer.message(0x70, {"type": "r", "t_last": 1, "bookmark": "b:1"})
    benchmark.group = "read tiny messages"
    benchmark.extra_info["messages"] = 300
    assert len(benchmark(lambda: codec.chunking.MessageReader().feed(one * 100))) == 300


def test_pack(benchmark: Any, codec: Any) -> None:
    people = shapes.people(1000)
    benchmark.group = "pack a value"
    assert benchmark(codec.packstream.pack, people)


def test_unpack(benchmark: Any, codec: Any) -> None:
    people = shapes.people(1000)
    data = codec.packstream.pack(people)
    benchmark.group = "unpack a value"
    assert benchmark(codec.packstream.unpack, data) == people
