"""The backend: a TCP server through which Testkit makes the driver do what its tests want.

Prints ``READY <host> <port>`` when it serves.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import warnings

from conversation import Conversation
from handlers import Handlers


async def serve(host: str, port: int, *, until_stdin_ends: bool) -> None:
    """Serve Testkit."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(reader, writer)
        try:
            await conversation.hold(Handlers(conversation))
        except ConnectionError:
            pass  # Testkit gave up the test

    server = await asyncio.start_server(hold, host, port, limit=1 << 26)
    print("READY", *server.sockets[0].getsockname()[:2], flush=True)
    if until_stdin_ends:
        await asyncio.to_thread(sys.stdin.read)
        server.close()
    else:
        await server.serve_forever()


def main() -> None:
    """Run the backend from the command line."""
    parser = argparse.ArgumentParser(description="asyncbolt's backend for Testkit")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9876, help="0: any that is free")
    parser.add_argument("--verbose", action="store_true", help="log what is said, and what the driver logs")
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop when standard input is closed")
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.WARNING,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
    )
    # A warning that no test waits for is a failure.
    warnings.simplefilter("error")
    try:
        asyncio.run(
            serve(arguments.host, arguments.port, until_stdin_ends=arguments.until_stdin_ends)
        )
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
