"""A scripted Bolt server in the test's own event loop, which writes down every message and every read.

It stands on ``ServerConnection``, which closes the connection for whatever breaks the protocol. What a
statement does is in its text:

    ROWS 25            25 rows of one integer
    CREATE x           no rows; "x" is in ``created`` when the statement's transaction is committed
    FAIL [text]        FAILURE at RUN
    ROWS 10 FAIL       10 rows, then FAILURE
    TEXTS 25           25 rows of one text of 5,000 characters
    HANG               no answer until a RESET
    ENDLESS            rows without end
    ECHO               one row: $value
    COUNT              no rows; $rows is appended to ``batches``; fails as ``fails_at`` says
    CLOSE              the connection is cut
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from asyncbolt import Message
from asyncbolt.exceptions import AuthError, ClientError, ConstraintError
from asyncbolt.protocol import ServerConnection
from asyncbolt.protocol.events import ConnectionFailed, Goodbye, HandshakeDone, Interrupted, RequestReceived

__all__ = ["WireServer"]

PIECE = 500  # rows between looks at the transport


class Peer(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, server: WireServer) -> None:
        self.server = server
        options = {} if server.versions is None else {"versions": server.versions}
        self.bolt = ServerConnection(manifest=server.manifest, **options)
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.request: Any = None
        self.rows: Iterator[list[tuple[Any, ...]]] | None = None
        self.streams: dict[int, list[Any]] = {}  # qid -> [statement, parameters, rows sent]
        self.pending: list[str] = []  # created in the open transaction
        self.paused = False
        self.hangs = False
        self.reads: list[bytes] = []
        self.messages: list[str] = []
        self.statements: list[str] = []
        self.error: Any = None
        self.lost: BaseException | None = None
        self.said_goodbye = False
        self.gone = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.peers.append(self)
        self.server.tell()

    def data_received(self, data: bytes) -> None:
        self.reads.append(bytes(data))
        if not self.server.silent:
            self.take(self.bolt.receive_data(data))

    def eof_received(self) -> None:
        self.take(self.bolt.receive_eof())

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc
        self.rows = None
        self.gone.set_result(None)
        self.server.tell()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.go_on()

    def take(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, RequestReceived):
                self.request = event.request
                self.messages.append(event.request.message.name)
                if event.request.message is Message.RUN:
                    self.statements.append(event.request.statement)
            elif isinstance(event, Interrupted):
                self.messages.append("(interrupted)")
                if self.bolt.request is not None and not self.server.deaf:
                    self.rows = self.request = None
                    self.hangs = False
                    self.bolt.send_ignored()
                    self.pending.clear()
            elif isinstance(event, Goodbye):
                self.said_goodbye = event.said
            elif isinstance(event, ConnectionFailed):
                self.error = event.error
            elif isinstance(event, HandshakeDone):
                self.messages.append("handshake")
        self.go_on()

    def go_on(self) -> None:
        """Answer until nothing is asked, or answers are held."""
        while not self.transport.is_closing() or self.bolt.closed:
            if self.rows is not None:
                if self.paused:
                    break
                self.send_some()
            elif self.request is not None:
                if self.hangs or (
                    self.server.held and self.request.message.name not in ("HELLO", "LOGON", "RESET")
                ):
                    break
                request, self.request = self.request, None
                self.answer(request)
            else:
                events = self.bolt.next_events()
                if not events:
                    break
                self.take(events)
                return
            if self.bolt.closed:
                break
        data = self.bolt.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)
        if self.bolt.closed or self.error is not None:
            self.transport.close()
        self.server.tell()

    def answer(self, request: Any) -> None:
        name = request.message.name
        bolt = self.bolt
        if name == "HELLO":
            if request.auth is not None and not self.server.accepts(request.auth):
                bolt.send_failure(AuthError("wrong password"))
            else:
                self.server.user_agents.append(request.user_agent)
                bolt.send_success({"server": "Wire/1.0", "connection_id": f"wire-{len(self.server.peers)}"})
        elif name == "LOGON":
            if self.server.accepts(request.auth):
                bolt.send_success({})
            else:
                bolt.send_failure(AuthError("wrong password"))
        elif name == "RUN":
            self.run(request)
        elif name in ("PULL", "DISCARD"):
            self.stream(request, name == "DISCARD")
        elif name == "COMMIT":
            self.server.created += self.pending
            self.pending.clear()
            bolt.send_success({"bookmark": "bm"})
        else:
            if name in ("ROLLBACK", "RESET"):
                self.pending.clear()
            bolt.send_success({})

    def run(self, request: Any) -> None:
        words = request.statement.split()
        if words[0] == "FAIL":
            self.bolt.send_failure(
                ClientError(request.statement, code="Neo.ClientError.Statement.SyntaxError")
            )
        elif words[0] == "HANG":
            self.request = request
            self.hangs = True
        elif words[0] == "CLOSE":
            self.transport.abort()
        else:
            self.streams[request.qid] = [words, request.parameters, 0]
            self.server.extras.append(request.extra)
            self.bolt.send_success({"fields": ["n"], "t_first": 0})

    def stream(self, request: Any, discard: bool) -> None:
        words, parameters, sent = stream = self.streams[request.qid]
        self.finish = lambda more: self.finished(request, stream, more)
        if words[0] == "ECHO":
            rows: Iterator[list[tuple[Any, ...]]] = iter([[(parameters["value"],)]])
        elif words[0] == "ENDLESS":
            rows = iter(lambda: [(1,)] * PIECE, None)
        elif words[0] in ("ROWS", "TEXTS"):
            total = int(words[1])
            last = total if request.n == -1 else min(total, sent + request.n)
            if discard:
                sent = last
            texts = words[0] == "TEXTS"
            piece = 20 if texts else PIECE
            rows = (
                [(str(n).zfill(5000) if texts else n,) for n in range(start, min(start + piece, last))]
                for start in range(sent, last, piece)
            )
            stream[2] = last
        else:
            rows = iter(())
        if discard:
            rows = iter(())
        self.rows = rows
        self.discarding = discard

    def send_some(self) -> None:
        assert self.rows is not None
        for piece in self.rows:
            self.bolt.send_records(piece)
            data = self.bolt.data_to_send()
            self.transport.write(data)
            if self.paused:
                return
        self.rows = None
        self.finish(False)

    def finished(self, request: Any, stream: list[Any], more: bool) -> None:
        words, parameters, sent = stream
        if words[-1] == "FAIL":
            self.bolt.send_failure(ClientError("scripted", code="Neo.ClientError.Statement.ArithmeticError"))
            return
        if words[0] in ("ROWS", "TEXTS") and sent < int(words[1]):
            self.bolt.send_success({"has_more": True})
            return
        del self.streams[request.qid]
        summary: dict[str, Any] = {"type": "r"}
        if words[0] == "CREATE":
            summary = {"type": "w", "stats": {"nodes-created": 1}}
            (self.pending if request.in_transaction else self.server.created).append(words[1])
        elif words[0] == "COUNT":
            rows = parameters["rows"]
            if len(self.server.batches) + 1 == self.server.fails_at:
                self.bolt.send_failure(ConstraintError("scripted"))
                return
            self.server.batches.append(rows)
            summary = {"type": "w", "stats": {"nodes-created": len(rows), "contains-updates": True}}
        if not request.in_transaction:
            summary["bookmark"] = f"bm:{len(self.server.created)}"
        self.bolt.send_success(summary)


class WireServer:
    """Use it with ``async with``; ``versions`` are those served, ``password`` the one that is right."""

    def __init__(
        self,
        *,
        versions: Any = None,
        manifest: bool = True,
        password: str | None = None,
        ssl: Any = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.host = host
        self.port = port
        self.versions = versions
        self.manifest = manifest
        self.password = password
        self.ssl = ssl
        self.peers: list[Peer] = []
        self.created: list[str] = []
        self.batches: list[list[Any]] = []
        self.extras: list[dict[str, Any]] = []
        self.user_agents: list[str] = []
        self.fails_at = 0  # the number of a COUNT that fails, counted from 1
        self.held = False
        self.silent = False
        self.deaf = False  # goes on with what it does when a RESET comes
        self.waiters: list[tuple[Any, asyncio.Future[None]]] = []

    async def __aenter__(self) -> WireServer:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Peer(self), self.host, self.port, ssl=self.ssl)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.server.close()
        for peer in self.peers:
            if not peer.gone.done():
                peer.transport.abort()
            await peer.gone
        await self.server.wait_closed()

    @property
    def uri(self) -> str:
        return f"bolt://{self.host}:{self.port}"

    @property
    def peer(self) -> Peer:
        """The newest connection."""
        return self.peers[-1]

    @property
    def messages(self) -> list[str]:
        """What the newest connection was asked, without the handshake and the login."""
        return [name for name in self.peer.messages if name not in ("handshake", "HELLO", "LOGON")]

    def accepts(self, auth: dict[str, Any]) -> bool:
        return self.password is None or auth.get("credentials") == self.password

    def hold(self) -> None:
        """Answer nothing but logins and RESETs from now on."""
        self.held = True

    def release(self) -> None:
        self.held = False
        for peer in self.peers:
            peer.go_on()

    def tell(self) -> None:
        for condition, future in self.waiters:
            if not future.done() and condition():
                future.set_result(None)

    async def until(self, condition: Any) -> None:
        """Wait until *condition()* holds; looked at whenever something happened here."""
        if not condition():
            future = asyncio.get_running_loop().create_future()
            self.waiters.append((condition, future))
            await future
