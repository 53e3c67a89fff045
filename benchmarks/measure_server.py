"""The server toolkit in a process of its own, asked by the compiled client; and packing records alone."""

from __future__ import annotations

import asyncio
import importlib

import shapes
import toolkit
import workloads
from stopwatch import Rate, Stopwatch, check, repeated

import asyncbolt
from asyncbolt.chunking import MessageReader


def rate(twin: str, name: str, count: int, seconds: float) -> Rate:
    """Rows a second, and the share of the time for which this process worked."""
    if name == "packed":
        return packed(twin, count, seconds)
    with toolkit.running(twin) as port:
        return asyncio.run(served(port, name.removeprefix("server "), count, seconds))


async def served(port: int, kind: str, count: int, seconds: float) -> Rate:
    """Rows a second out of a server."""
    watch = Stopwatch()
    async with asyncbolt.connect(f"bolt://127.0.0.1:{port}") as session:
        # The rehearsal makes the rows.
        check(len(await session.fetch(f"{kind} {count}")) == count, kind)
        runs = 0
        while not runs or watch.elapsed < seconds:
            with watch:
                rows = await session.fetch(f"{kind} {count}")
            runs += 1
    check(rows == shapes.rows("mixed", count), kind)
    return watch.rate(runs * count)


def packed(twin: str, count: int, seconds: float) -> Rate:
    """Rows a second out of ``MessageWriter.records``."""
    module = importlib.import_module("asyncbolt._chunking" + ("" if twin == workloads.C else "_py"))
    writer = module.MessageWriter(graph=True)
    rows = shapes.rows("mixed", count)

    def right(data: object) -> bool:
        assert isinstance(data, bytes)
        return MessageReader().feed(data) == [rows]

    return repeated(lambda: writer.records(rows), right, count, seconds)
