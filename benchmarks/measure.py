"""One column's measurements, in a process of its own: nobody else's garbage, imports or caches are in it.

    python benchmarks/measure.py <column> <group> <port> <divisor> <name>...

Prints a JSON object: name -> [units a second, share of the time for which this process was on a processor].
A name that the column cannot do is left out. The garbage collector is as Python sets it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import workloads
from stopwatch import Rate


def expect_twin(name: str) -> None:
    """Stop unless the twin that runs is the one that was asked for by ``ASYNCBOLT_IMPL``."""
    import asyncbolt

    if name != asyncbolt.IMPLEMENTATION:
        raise SystemExit(f"asyncbolt runs as {asyncbolt.IMPLEMENTATION!r} where {name!r} was asked for")


def import_official(*, rust: bool) -> None:
    """Import the neo4j driver with or without its Rust extension, and stop when it is not so."""
    if not rust:
        sys.modules["neo4j._rust"] = None  # type: ignore[assignment]  # makes its import fail
    from neo4j._codec.packstream import RUST_AVAILABLE, v1

    found = {RUST_AVAILABLE, v1._rust_pack is not None, v1._rust_unpack is not None}
    if found != {rust}:
        raise SystemExit(f"the Rust extension of the neo4j driver should be {'on' if rust else 'off'}")


def main() -> None:
    column, group, port, divisor, *names = sys.argv[1:]
    if column in (workloads.OFFICIAL, workloads.OFFICIAL_PURE):
        import_official(rust=column == workloads.OFFICIAL)
    elif column in (workloads.C, workloads.PYTHON):
        # Of the server toolkit, the process that serves has the twin; this one is its client.
        expect_twin(workloads.C if group == workloads.SERVER else column)
    # Each measurement takes this long, or as long as one run takes.
    seconds = 0.3 / int(divisor)
    measured: dict[str, Rate] = {}
    for name in names:
        work = workloads.WORK[name]
        # Blocks of the codec are never shorter: a small one would stay in the processor's caches.
        count = work.count(column, 1 if work.block else int(divisor))
        if group == workloads.CLIENT:
            import measure_client

            measured[name] = asyncio.run(measure_client.rate(column, int(port), name, count, seconds))
        elif group == workloads.DRIVER:
            import measure_driver

            measured[name] = asyncio.run(measure_driver.rate(column, int(port), name, count, seconds))
        elif group == workloads.CODEC:
            import measure_codec

            found = measure_codec.rate(column, name, count, seconds)
            if found is not None:
                measured[name] = found
        else:
            import measure_server

            measured[name] = measure_server.rate(column, name, count, seconds)
    print(json.dumps(measured))


if __name__ == "__main__":
    os.environ.pop("PYTHONASYNCIODEBUG", None)
    main()
