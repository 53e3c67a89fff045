#!/usr/bin/env python3
"""A dialogue with a Bolt server, with everything that goes over the wire in words and in hex.

    python examples/bolt_neo4j_demo.py -u myusername -p mypassword [--host localhost] [--port 7687]

Without -p the password is taken from BOLT_PASSWORD, or asked for. It is never shown: what is secret in a
message is masked in the words and in the hex. The one node that is made on the way is deleted again.
"""

import argparse
import asyncio
import getpass
import logging
import os
import sys
import time

import asyncbolt


class LoginProtocol(asyncbolt.BoltClientProtocol):
    """Says who logs in. `connect(..., auth=(username, password))` would do the same in less words."""

    def __init__(self, loop, *, username, password):
        super().__init__(loop)
        self.username = username
        self.password = password

    def get_init_params(self):
        token = {"scheme": "basic", "principal": self.username, "credentials": self.password}
        return f"asyncbolt-demo/{asyncbolt.__version__}", token


def section(title):
    print(f"\n--- {title}\n", flush=True)


async def show(messages):
    """Print each message of a result; return the last one."""
    message = None
    async for message in messages:
        print(f"Client received message:\n   {message}")
    return message


async def run(session):
    section("Running a Cypher query")
    await show(session.run("RETURN 1 AS num", {}))


async def pipeline(session):
    section("Pipelining: three statements in one write, and then their answers")
    session.pipeline("RETURN 1 AS num", {})
    session.pipeline("RETURN 2 AS num", {})
    await show(session.run("RETURN 3 AS num", {}))


async def failure(session):
    section("A failure: the error is raised, the connection resets itself and goes on")
    try:
        await show(session.run("This will cause a syntax error", {}))
    except asyncbolt.ServerFailedError as error:
        print(f"Client raised {type(error).__name__}:\n   {error}")
    await show(session.run("RETURN 'all is well' AS text", {}))


async def metadata(session):
    section("Result metadata: the last message is the server's summary")
    await show(session.run("CREATE (:AsyncboltDemo {name: 'Alice', born: 1865})", {}, get_eof=True))


async def explain_and_profile(session):
    section("Explaining a query")
    message = await show(session.run("EXPLAIN RETURN 1 AS num", {}, get_eof=True))
    print(f"The plan: {message.metadata.get('plan', 'none')}")
    section("Profiling a query")
    message = await show(session.run("PROFILE RETURN 1 AS num", {}, get_eof=True))
    print(f"The profile: {message.metadata.get('profile', 'none')}")


async def notifications(session):
    section("Notifications: what the server thinks of a query")
    statement = "EXPLAIN MATCH (n:AsyncboltDemo), (m:AsyncboltDemo) RETURN n, m"
    message = await show(session.run(statement, {}, get_eof=True))
    # Bolt 5.5 and newer have statuses instead, one of which is only "success".
    found = message.metadata.get("notifications") or message.metadata.get("statuses") or []
    for notification in found:
        print(f"{notification.get('title') or notification.get('status_description')}")
    if not found:
        print("This server has no notifications.")


async def nodes(session):
    section("Some nodes")
    await show(session.run("MATCH (n:AsyncboltDemo) RETURN n LIMIT 5", {}))


async def tidy_up(session):
    section("Deleting them")
    await show(session.run("MATCH (n:AsyncboltDemo) DETACH DELETE n", {}, get_eof=True))


async def reset(session):
    section("Resetting the session")
    print(f"Client received message:\n   {await session.reset()}")


STEPS = (run, pipeline, failure, metadata, explain_and_profile, notifications, nodes, tidy_up, reset)


async def main() -> int:
    parser = argparse.ArgumentParser(description="A dialogue with a Bolt server, shown byte by byte.")
    parser.add_argument("-u", "--username", required=True)
    parser.add_argument("-p", "--password", help="taken from BOLT_PASSWORD, or asked for, when left out")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=7687)
    options = parser.parse_args()
    password = options.password or os.environ.get("BOLT_PASSWORD") or getpass.getpass()

    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    logging.getLogger("asyncbolt").setLevel(logging.DEBUG)

    started = time.perf_counter()
    section("Connecting")
    try:
        session = await asyncbolt.connect(
            host=options.host,
            port=options.port,
            timeout=30,
            protocol_class=LoginProtocol,
            username=options.username,
            password=password,
        )
    except (asyncbolt.BoltError, OSError) as error:
        print(f"No connection: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    async with session:
        print(f"Client session initialized with server metadata:\n   {session.metadata}")
        for step in (
            run,
            pipeline,
            failure,
            metadata,
            explain_and_profile,
            notifications,
            nodes,
            tidy_up,
            reset,
        ):
            await step(session)
        section("Closing")
    print(f"\nFinished in {time.perf_counter() - started:.3f} s")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
