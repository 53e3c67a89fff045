#!/usr/bin/env python3
"""Talks to `echo_server.py`, and prints what it answers.

python examples/echo_client.py [--host HOST] [--port PORT] [STATEMENT]
"""

import argparse
import asyncio

import asyncbolt


async def main() -> None:
    parser = argparse.ArgumentParser(description="Send one statement to an echo server.")
    parser.add_argument("statement", nargs="?", default="Hello world")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=8888)
    options = parser.parse_args()

    async with asyncbolt.connect(host=options.host, port=options.port) as session:
        # With get_eof the last message is the server's summary.
        async for message in session.run(options.statement, {}, get_eof=True):
            print(message)


if __name__ == "__main__":
    asyncio.run(main())
