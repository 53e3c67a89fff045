#!/usr/bin/env python3
"""A result that never ends: a client subscribes with a statement, and gets a row whenever there is one.

    python examples/subscription_server.py [--port PORT]

serves the statement `TICKS` with the parameters `every` (seconds) and `limit` (rows; without it there is no
end). A client reads rows as they come, and ends the subscription by leaving its loop:

    async with session.batches("TICKS", {"every": 0.5}) as batches:
        async for batch in batches:
            print(batch)

The server makes a row only when a client has asked for it, so a slow client costs no memory.
"""

import argparse
import asyncio
import itertools
import time

import asyncbolt


class TickSession(asyncbolt.ServerSession):
    async def run(self, statement, parameters):
        if statement.strip().upper() != "TICKS":
            raise asyncbolt.CypherSyntaxError("this server knows one statement: TICKS")
        every, limit = parameters.get("every", 1.0), parameters.get("limit")
        return asyncbolt.Result(["tick", "time"], ticks(every, limit))


async def ticks(every, limit):
    # An async generator of rows. It is closed when the client has had enough, resets, or is gone.
    for number in itertools.count() if limit is None else range(limit):
        yield number, time.time()
        await asyncio.sleep(every)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a result that never ends.")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=8889, help="0 takes any free port")
    options = parser.parse_args()
    server = await asyncbolt.create_server(TickSession, host=options.host, port=options.port)
    async with server:
        for socket in server.sockets:
            print("Serving on {}:{}".format(*socket.getsockname()[:2]), flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
