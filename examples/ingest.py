#!/usr/bin/env python3
"""Loads a CSV file into a graph database: one node for each row, in pipelined batches.

    python examples/ingest.py bolt://user:password@localhost:7687 people.csv Person

Columns become properties. Whole numbers and decimal numbers are recognised, empty fields are left out.
"""

import argparse
import asyncio
import csv
import time

import asyncbolt


def convert(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def columns(path):
    with open(path, newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


def rows(path):
    """Any iterable will do: the file is read only as fast as the server takes the rows."""
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {name: convert(text) for name, text in row.items() if text}


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


async def main() -> None:
    parser = argparse.ArgumentParser(description="Load a CSV file: one node for each row.")
    parser.add_argument("uri", help="bolt://user:password@host:port")
    parser.add_argument("file")
    parser.add_argument("label")
    options = parser.parse_args()

    # Properties are named one by one, since every server is quick at that. A missing one is null in Cypher,
    # and a null makes no property.
    properties = ", ".join(f"{quoted(column)}: row.{quoted(column)}" for column in columns(options.file))
    statement = f"UNWIND $rows AS row CREATE (:{quoted(options.label)} {{{properties}}})"

    started = time.perf_counter()
    async with asyncbolt.connect(options.uri) as session:
        summary = await session.execute_many(statement, rows(options.file), batch_rows=2000)
    seconds = time.perf_counter() - started
    print(f"{summary.rows} nodes in {seconds:.2f} s = {summary.rows / seconds:,.0f}/s")


if __name__ == "__main__":
    asyncio.run(main())
