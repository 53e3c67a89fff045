"""A Bolt server whose answers lack keys or have odd values in them, as :attr:`OddServer.twist` says.

It reads what comes and answers from a table; nothing is checked, so it can say whatever it likes.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

from asyncbolt import Message
from asyncbolt.chunking import MessageReader, MessageWriter

__all__ = ["ABSENT", "ODD", "OddServer", "paths", "put"]

ROWS = 5
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()

ODD: tuple[Any, ...] = (
    ABSENT, None, True, 0, -1, -7, 2**63 - 1, 1.5, float("nan"), "", "x", b"x", [], [None], ["a", "b"], [{}],
    {}, {"a": {"b": [None]}},
)  # fmt: skip
"""What stands for a value, one after the other."""


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in *value* that something else could stand in, the whole of it first."""
    found = [path]
    items: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        found += paths(item, (*path, key))
    return found


def put(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """A copy of *value* with *odd* at *path*."""
    if not path:
        return odd
    result = copy.deepcopy(value)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    if odd is ABSENT:
        del inner[path[-1]]
    else:
        inner[path[-1]] = odd
    return result


POSITION = {"offset": 0, "line": 1, "column": 1}
SUMMARY: dict[str, Any] = {
    "type": "rw",
    "stats": {
        "nodes-created": 1,
        "contains-updates": True,
        "system-updates": 0,
        "contains-system-updates": False,
    },
    "bookmark": "bm",
    "t_last": 3,
    "db": "neo4j",
    "plan": {"operatorType": "x", "args": {}, "identifiers": [], "children": []},
    "profile": {"operatorType": "x", "args": {}, "rows": 1, "children": []},
    "notifications": [
        {
            "code": "Neo.ClientNotification.Statement.X",
            "title": "t",
            "description": "d",
            "severity": "INFORMATION",
            "category": "HINT",
            "position": POSITION,
        }
    ],
    "statuses": [
        {
            "gql_status": "01N00",
            "status_description": "s",
            "neo4j_code": "Neo.ClientNotification.Statement.X",
            "title": "t",
            "description": "d",
            "diagnostic_record": {
                "OPERATION": "",
                "_classification": "HINT",
                "_severity": "INFORMATION",
                "_position": POSITION,
            },
        }
    ],
}  # fmt: skip


def answers(version: tuple[int, int], port: int) -> dict[str, Any]:
    """What a server that leaves nothing out says to each request; ``FAILURE`` to ``FAIL``."""
    summary = dict(SUMMARY)
    del summary["notifications" if version >= (5, 5) else "statuses"]
    here = [f"127.0.0.1:{port}"]
    failure: dict[str, Any] = {"code": "Neo.ClientError.Statement.SyntaxError", "message": "no"}
    if version >= (5, 7):
        failure = {
            "neo4j_code": failure["code"],
            "message": "no",
            "gql_status": "42001",
            "description": "error",
            "diagnostic_record": {"OPERATION": "", "_classification": "CLIENT_ERROR", "_idempotent": False},
            "cause": {"message": "why", "gql_status": "42000", "description": "d", "diagnostic_record": {}},
        }
    return {
        "HELLO": {
            "server": "Neo4j/5.26.0",
            "connection_id": "bolt-1",
            "hints": {
                "connection.recv_timeout_seconds": 120,
                "telemetry.enabled": True,
                "ssr.enabled": False,
            },
        },
        "LOGON": {"advertised_address": here[0]},
        "BEGIN": {"db": "neo4j"},
        "RUN": {"fields": ["n"], "qid": 0, "t_first": 1, "db": "neo4j"},
        "PULL": summary,
        "DISCARD": dict(summary),
        "COMMIT": {"bookmark": "bm"},
        "ROUTE": {
            "rt": {
                "ttl": 300,
                "db": "neo4j",
                "servers": [{"addresses": here, "role": role} for role in ("ROUTE", "READ", "WRITE")],
            }
        },
        "MORE": {"has_more": True},
        "FAILURE": failure,
    }


class Peer(asyncio.Protocol):
    def __init__(self, server: OddServer) -> None:
        self.server = server
        self.reader = MessageReader(server.version)
        self.writer = MessageWriter(server.version, graph=True)
        self.early = b""
        self.shaken = False
        self.failed = False
        self.results: dict[int, int] = {}  # qid -> rows left
        self.newest = -1
        self.in_transaction = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.peers.add(self)
        self.gone = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.peers.discard(self)
        self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        if not self.shaken:
            self.early += bytes(data)
            if len(self.early) < 20:
                return
            major, minor = self.server.version
            self.shaken = True
            self.transport.write(bytes((0, 0, minor, major)))
            data = self.early[20:]
        for item in self.reader.feed(data):
            assert isinstance(item, tuple), item
            name = Message(item[0]).name
            self.server.requests.append((name, item[1:]))
            self.request(name, item[1:])

    def request(self, name: str, fields: tuple[Any, ...]) -> None:
        if name == "GOODBYE":
            self.transport.close()
            return
        if name == "RESET":
            self.failed = self.in_transaction = False
            self.results.clear()
        if self.failed:
            self.write(Message.IGNORED)
            return
        if name in ("BEGIN", "COMMIT", "ROLLBACK"):
            self.in_transaction = name == "BEGIN"
            self.results.clear()
        if name == "RUN":
            if fields[0] == "FAIL":
                self.failed = True
                self.say(Message.FAILURE, "FAILURE")
                return
            self.newest += 1
            self.results[self.newest] = ROWS
            if fields[0].startswith("CALL dbms"):
                self.results[self.newest] = 0
            self.say(Message.SUCCESS, name, qid=self.newest if self.in_transaction else None)
        elif name in ("PULL", "DISCARD"):
            extra = fields[0] if fields else {"n": -1}  # PULL_ALL
            n, qid = extra["n"], extra.get("qid", -1)
            qid = self.newest if qid == -1 else qid
            left = self.results.get(qid, 0)
            count = left if n == -1 else min(n, left)
            self.results[qid] = left - count
            if name == "PULL" and count:
                self.transport.write(self.writer.records([(ROWS - left + k,) for k in range(count)]))
            self.say(Message.SUCCESS, name if left == count else "MORE")
        else:
            self.say(Message.SUCCESS, name)

    def say(self, signature: Message, name: str, qid: int | None = None) -> None:
        metadata = self.server.answers.get(name, {})
        if "qid" in metadata:
            metadata = put(metadata, ("qid",), ABSENT if qid is None else qid)
        self.write(signature, *self.server.twist(name, metadata))

    def write(self, signature: Message, *fields: Any) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.writer.message(signature, *fields))


class OddServer:
    """Use it with ``async with``. *twist* gets a request's name and the metadata, and returns the fields."""

    def __init__(self, version: tuple[int, int] = (5, 4)) -> None:
        self.version = version
        self.twist: Callable[[str, Any], tuple[Any, ...]] = lambda name, metadata: (metadata,)
        self.peers: set[Peer] = set()
        self.requests: list[tuple[str, tuple[Any, ...]]] = []

    async def __aenter__(self) -> OddServer:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Peer(self), "127.0.0.1", 0)
        self.port: int = self.server.sockets[0].getsockname()[1]
        self.answers = answers(self.version, self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.server.close()
        for peer in list(self.peers):
            peer.transport.abort()
            await peer.gone
        await self.server.wait_closed()

    def say_instead(self, name: str, path: tuple[Any, ...], odd: Any) -> None:
        """From now on, what stands at *path* in the answers to *name* is *odd*."""

        def twist(asked: str, metadata: Any) -> tuple[Any, ...]:
            if asked != name or (path[:1] == ("qid",) and "qid" not in metadata and odd is ABSENT):
                return (metadata,)
            if not path and odd is ABSENT:
                return ()
            return (put(metadata, path, odd),)

        self.twist = twist
