"""A server written with the toolkit: rows from a list, a generator or an async generator.

``<kind> <count>`` gives that many rows of six mixed columns. As a program: ``python toolkit.py`` listens on a
free port of 127.0.0.1, prints it, and stops when its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import machine
import shapes

import asyncbolt

FIELDS = shapes.fields("mixed")
KINDS = ("list", "generator", "async generator")


@functools.cache
def made(count: int) -> list[shapes.Row]:
    """The rows; what it costs to make them is not measured."""
    return shapes.rows("mixed", count)


async def one_by_one(rows: list[shapes.Row]) -> AsyncIterator[shapes.Row]:
    for row in rows:
        yield row


class Rows(asyncbolt.ServerSession):
    """Answers a statement with rows in the form that it names."""

    def run(self, statement: str, parameters: dict[str, Any]) -> asyncbolt.Result:
        kind, _, count = statement.rpartition(" ")
        rows = made(int(count))
        if kind == "list":
            return asyncbolt.Result(FIELDS, rows)
        if kind == "generator":
            return asyncbolt.Result(FIELDS, (row for row in rows))
        return asyncbolt.Result(FIELDS, one_by_one(rows))


@contextlib.contextmanager
def running(twin: str) -> Iterator[int]:
    """Run the server in a process of its own on one of the twins, and give its port."""
    with machine.serving("toolkit.py", twin, pure=twin == "python") as (port, _):
        yield port


async def main() -> None:
    if sys.argv[1:] not in ([], [asyncbolt.IMPLEMENTATION]):
        raise SystemExit(f"asyncbolt runs as {asyncbolt.IMPLEMENTATION!r}")
    async with await asyncbolt.create_server(Rows, host="127.0.0.1", port=0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
