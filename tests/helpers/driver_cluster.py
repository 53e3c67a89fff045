"""A cluster of servers of our own: members that say who reads, who writes and who routes."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, NamedTuple

import asyncbolt

__all__ = ["Asked", "Cluster", "Member", "cluster_of"]


class Asked(NamedTuple):
    """A statement that a member was asked to run."""

    statement: str
    mode: str
    db: str | None
    bookmarks: frozenset[str]


class Member:
    """One server of a cluster.

    Attributes:
        asked: the statements that it ran, or refused.
        routed: how often it was asked for a routing table, by database.
        contexts: the routing contexts that came with that.
        routed_after: the bookmarks that came with that.
        procedures: the calls by which it was asked for a routing table below Bolt 4.3.
        refusals: what the next statements are refused with.
        no_routes: what routing tables are refused with, None: they are given.
        greeting: what it says of itself at the login.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.port = 0
        self.asked: list[Asked] = []
        self.routed: list[str | None] = []
        self.contexts: list[dict[str, Any]] = []
        self.routed_after: list[frozenset[str]] = []
        self.procedures: list[str] = []
        self.refusals: deque[asyncbolt.Neo4jError] = deque()
        self.no_routes: Exception | None = None
        self.greeting: dict[str, Any] = {}
        self.server: asyncbolt.Server | None = None

    @property
    def address(self) -> str:
        """Where it is, as routing tables put it."""
        return f"127.0.0.1:{self.port}"

    @property
    def statements(self) -> list[str]:
        """What it was asked to run."""
        return [asked.statement for asked in self.asked]

    async def start(self, **options: Any) -> None:
        """Serve, on the port that it had before if there was one."""
        member = self

        class Session(asyncbolt.ServerSession):
            def get_server_metadata(self) -> dict[str, Any]:
                return member.greeting

            def route(self, context: Mapping[str, Any]) -> Any:
                database = self.request.db
                member.routed.append(database)
                member.contexts.append(dict(context))
                member.routed_after.append(frozenset(self.request.bookmarks or ()))
                if member.no_routes is not None:
                    raise member.no_routes
                return member.cluster.table(database)

            async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
                request = self.request
                if "getRoutingTable" in statement:
                    return self.procedure(statement, parameters)
                member.asked.append(
                    Asked(statement, request.mode, request.db, frozenset(request.bookmarks or ()))
                )
                if member.refusals:
                    raise member.refusals.popleft()
                database = request.db or member.cluster.home
                return asyncbolt.Result(
                    ["member"], [(member.name,)] * parameters.get("n", 1), {"db": database}
                )

            def procedure(self, statement: str, parameters: dict[str, Any]) -> asyncbolt.Result:
                """ROUTE of old, for Bolt below 4.3."""
                member.procedures.append(statement)
                member.routed.append(parameters.get("database"))
                member.contexts.append(parameters["context"])
                table = member.cluster.table(parameters.get("database"))
                return asyncbolt.Result(["ttl", "servers"], [(table["ttl"], table["servers"])])

        self.server = await asyncbolt.create_server(Session, port=self.port, **options)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be gone."""
        if self.server is not None:
            self.server.close()
            await self.server.wait_closed()
            self.server = None


class Cluster:
    """Members by name, and who does what: ``routers``, ``readers`` and ``writers`` are lists of names."""

    def __init__(self, names: Iterable[str]) -> None:
        self.members = {name: Member(self, name) for name in names}
        self.routers: list[str] = []
        self.readers: list[str] = []
        self.writers: list[str] = []
        self.ttl = 300
        self.home = "home"

    def __getattr__(self, name: str) -> Member:
        try:
            return self.members[name]
        except KeyError:
            raise AttributeError(name) from None

    def table(self, database: str | None) -> dict[str, Any]:
        """Return the routing table of *database*."""
        roles = {"ROUTE": self.routers, "READ": self.readers, "WRITE": self.writers}
        servers = [
            {"role": role, "addresses": [self.members[name].address for name in names]}
            for role, names in roles.items()
        ]
        return {"ttl": self.ttl, "db": database or self.home, "servers": servers}

    def driver(self, first: str, query: str = "", **options: Any) -> asyncbolt.AsyncDriver:
        """Return a driver that knows the member *first*, and has *query* in its URI."""
        uri = f"neo4j://{self.members[first].address}{query}"
        return asyncbolt.AsyncGraphDatabase.driver(uri, auth=("u", "p"), **options)


@contextlib.asynccontextmanager
async def cluster_of(
    routers: str, readers: str, writers: str, *, hints: Mapping[str, Any] | None = None, **options: Any
) -> AsyncIterator[Cluster]:
    """A cluster whose members have one-letter names.

    Args:
        routers, readers, writers: their names, such as "ab".
        hints: what every member says at the login.
        options: of ``create_server``.
    """
    cluster = Cluster(sorted({*routers, *readers, *writers}))
    cluster.routers, cluster.readers, cluster.writers = list(routers), list(readers), list(writers)
    try:
        for member in cluster.members.values():
            if hints is not None:
                member.greeting = {"hints": dict(hints)}
            await member.start(**options)
        yield cluster
    finally:
        for member in cluster.members.values():
            await member.stop()
