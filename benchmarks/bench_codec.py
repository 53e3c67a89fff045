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


def test_write_unwind(benchmark: Any, codec: Any) -> None:
    people = shapes.people(1000)
    writer = codec.chunking.MessageWriter()
    benchmark.group = "write $rows"
    benchmark.extra_info["rows"] = len(people)
    assert benchmark(writer.message, 0x10, "UNWIND $rows AS row CREATE (n) SET n = row", {"rows": people}, {})
