#!/usr/bin/env python3
"""A Bolt server in one method: it answers each statement with the statement itself.

    python examples/echo_server.py [--host HOST] [--port PORT]

Any Bolt client may talk to it: `python examples/echo_client.py`, or a driver for Neo4j.
"""

import argparse
import asyncio

import asyncbolt


class EchoServerSession(asyncbolt.ServerSession):
    """One of these is made for each connection."""

    def run(self, statement, parameters):
        # A plain value is one record of one field, named "value". Generators, coroutines and async
        # generators may be returned, too.
        return {"statement": statement, "parameters": parameters}


async def main() -> None:
    parser = argparse.ArgumentParser(description="Answer each statement with itself.")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=8888, help="0 takes any free port")
    options = parser.parse_args()

    # The first argument is the class of the sessions; further keyword arguments would go to each of them.
    server = await asyncbolt.create_server(EchoServerSession, host=options.host, port=options.port)
    async with server:
        for socket in server.sockets:
            print("Serving on {}:{}".format(*socket.getsockname()[:2]), flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
