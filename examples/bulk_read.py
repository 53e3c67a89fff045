#!/usr/bin/env python3
"""Reads a large result in batches, as they come off the wire, and writes it to standard output as CSV.

    python examples/bulk_read.py bolt://user:password@localhost:7687 "MATCH (n:Person) RETURN n.name, n.age"

However long the result is, memory stays small: when the output is slow, the server has to wait.
"""

import argparse
import asyncio
import csv
import sys
import time

import asyncbolt


async def main() -> None:
    parser = argparse.ArgumentParser(description="Write the result of a statement as CSV.")
    parser.add_argument("uri", help="bolt://user:password@host:port")
    parser.add_argument("statement")
    options = parser.parse_args()

    rows = 0
    writer = csv.writer(sys.stdout)
    started = time.perf_counter()
    async with asyncbolt.connect(options.uri) as session, session.batches(options.statement) as batches:
        async for batch in batches:  # a list of tuples
            if not rows:
                writer.writerow(batches.fields)
            writer.writerows(batch)
            rows += len(batch)
    seconds = time.perf_counter() - started
    print(f"{rows} rows in {seconds:.2f} s = {rows / seconds:,.0f}/s", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
