"""The official Python driver, two generations of it, against our server."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
import logging
import subprocess
import zoneinfo
from pathlib import Path

import pytest
from aiohelp import LOOPS, aiotest
from certificates import CERTIFICATE, server_context
from official_driver import python_with_driver
from raw_client import port_of

import asyncbolt
from asyncbolt import Result
from asyncbolt.graph import Node, Relationship
from asyncbolt.graph import Path as GraphPath
from asyncbolt.spatial import CartesianPoint
from asyncbolt.time import Duration

SCRIPT = Path(__file__).with_name("driver_script.py")


class Graph(asyncbolt.ServerSession):
    """Knows the statements of the script."""

    failed: set[str] = set()
    hanging: asyncio.Event
    cancelled: asyncio.Event
    log: list[str]

    async def verify_auth_token(self, auth_token):
        await asyncio.sleep(0)
        return auth_token.get("credentials") == "swordfish"

    def begin(self):
        self.log.append("begin")

    async def commit(self):
        await asyncio.sleep(0)
        self.log.append("commit")
        return f"bm:{self.log.count('commit')}"

    def rollback(self):
        self.log.append("rollback")

    def run(self, statement, parameters):
        return getattr(self, statement.replace(" ", "_"))(**parameters)

    def echo(self, value):
        return Result(["value"], [(value,)], {"type": "r"})

    def rows(self, count):
        return Result(["n", "text"], ((number, f"row {number}") for number in range(count)))

    def endless(self):
        for number in itertools.count():
            yield {"n": number}

    def fail_once(self, key):
        if key not in self.failed:
            self.failed.add(key)
            raise asyncbolt.TransientError("again", code="Neo.TransientError.Transaction.DeadlockDetected")
        return Result([])

    def syntax_error(self):
        raise asyncbolt.CypherSyntaxError("no such word")

    def procedure(self):
        raise asyncbolt.Neo4jError("not here", code="Neo.ClientError.Procedure.ProcedureNotFound")

    def bug(self):
        raise KeyError("internal matters")

    def fails_after_three(self):
        for number in range(3):
            yield {"n": number}
        raise KeyError("internal matters")

    def bad_row(self):
        yield {"n": 1}
        yield {"n": {1, 2}}

    async def hang(self):
        self.hanging.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def hang_for_good(self):
        await asyncio.Event().wait()

    async def is_hanging(self):
        await self.hanging.wait()
        return True

    async def no_longer_hanging(self):
        await self.cancelled.wait()
        return True

    def who(self):
        return self.request.principal

    def create(self):
        return Result([], (), {"stats": {"nodes-created": 2}, "type": "w"})

    def values(self):
        ann = Node(1, ["Person", "Author"], {"name": "Ann"}, "4:1")
        bob = Node(2, ["Person"], {}, "4:2")
        knows = Relationship(7, 1, 2, "KNOWS", {}, "5:7", "4:1", "4:2")
        yield {
            "node": ann,
            "relationship": knows,
            "path": GraphPath.of([ann, bob], [knows]),
            "date": datetime.date(2024, 2, 29),
            "datetime": datetime.datetime(2024, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")),
            "duration": Duration(months=14, seconds=90),
            "point": CartesianPoint((1.0, 2.0)),
        }


UNKNOWN = "Neo.DatabaseError.General.UnknownError"
INTERNAL = "An internal error occurred; the server's log has the details."


@pytest.mark.parametrize("scheme", ["bolt", "neo4j", "tls"])
@pytest.mark.parametrize(("version", "protocol"), [("6.4.1", [6, 1]), ("5.28.2", [5, 8])])
@aiotest(loops=LOOPS, timeout=300)
async def test_driver(version, protocol, scheme, caplog):
    # Its old versions connect to nothing that does not call itself so.
    agent = "Neo4j/5.26.0" if version < "6" else None
    python = await asyncio.get_running_loop().run_in_executor(None, python_with_driver, version)
    log: list[str] = []
    sessions = type("Sessions", (Graph,), {"failed": set(), "log": log})
    sessions.hanging, sessions.cancelled = asyncio.Event(), asyncio.Event()
    tls = server_context() if scheme == "tls" else None
    caplog.set_level(logging.CRITICAL)  # errors are part of this
    async with await asyncbolt.create_server(sessions, port=0, agent=agent, ssl=tls, grace=3600) as server:
        uri = f"{'bolt' if scheme == 'tls' else scheme}://127.0.0.1:{port_of(server)}"
        arguments = [uri, str(CERTIFICATE)] if scheme == "tls" else [uri]
        process = await asyncio.create_subprocess_exec(
            python, SCRIPT, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, err.decode()
    assert err == b""
    told = json.loads(out)
    assert told.pop("driver") == version
    assert told.pop("protocol") == protocol
    assert told == {
        "auto_commit": [
            ["value"],
            [1, "two", None, {"three": 3.5}],
            "r",
            agent or f"asyncbolt/{asyncbolt.__version__}",
        ],
        "execute_query": [["n", "text"], 2500, [2499, "row 2499"], "graph"],
        "small_fetches": [1225, 1225, 1225],
        "early_end": [[0, 1, 2, 3, 4], 1],
        "transaction": [[0, 100, 1, 101, 2, 102, 3, 103, 4, 104, 5, 105], ["bm:2"]],
        "managed_transaction": ["done", 2],
        "errors": [
            ["Neo.ClientError.Statement.SyntaxError", "no such word", []],
            ["Neo.ClientError.Procedure.ProcedureNotFound", "not here", []],
            [UNKNOWN, INTERNAL, []],
            [UNKNOWN, INTERNAL, [0, 1, 2]],
            ["Neo.DatabaseError.Statement.ExecutionFailed", told["errors"][4][1], [1]],
        ],
        "cancellation": True,
        "timeouts": "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
        "many_at_once": list(range(50)),
        "values": [
            ["4:1", ["Author", "Person"], {"name": "Ann"}],
            ["KNOWS", "4:1", "4:2"],
            [1, ["4:1", "4:2"]],
            "2024-02-29",
            "2024-07-01T12:00:00.000000000+02:00",
            "P1Y2MT1M30S",
            [1.0, 2.0],
        ],
        "counters": [2, "w", True],
        "wrong_password": ["AuthError", "Neo.ClientError.Security.Unauthorized"],
        "sessions_of_others": ["bob", "ann"],
    }
    assert "row 1: n: " in told["errors"][4][1]
    # execute_query; the two of `transaction`; the managed one, tried twice; and execute_query for the rest.
    assert log[:2] == ["begin", "commit"]
    assert log[2:6] == ["begin", "commit", "begin", "rollback"]
    assert log[6:10] == ["begin", "rollback", "begin", "commit"]
    assert log.count("begin") == log.count("commit") + log.count("rollback")
    assert log.count("rollback") == 2
