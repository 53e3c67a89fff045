"""Client against server in memory: every version, whole and byte by byte."""

from __future__ import annotations

from typing import Any

import pytest
from memory import ConnectionPair, agreeable, joined, plain

from asyncbolt._constants import Message, Version
from asyncbolt.exceptions import ClientError
from asyncbolt.protocol import VERSIONS, ClientConnection, ServerConnection, ServerRequest, State

both_ways = pytest.mark.parametrize("piece", [None, 1, 7], ids=["whole", "bytewise", "by7"])
every_version = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: f"{version[0]}.{version[1]}")


class Shop:
    """Rows 0 .. 9 for every statement, pulled as the client likes; "fail" fails."""

    def __init__(self) -> None:
        self.left: dict[int, list[tuple[int]]] = {}
        self.log: list[str] = []

    def __call__(self, server: ServerConnection, request: ServerRequest) -> None:
        self.log.append(request.message.name)
        if request.message is Message.RUN:
            if request.statement == "fail":
                server.send_failure(ClientError("as asked", code="Neo.ClientError.Statement.SyntaxError"))
                return
            self.left[request.qid] = [(index,) for index in range(10)]
            server.send_success({"fields": ["n"]})
        elif request.message in (Message.PULL, Message.DISCARD):
            rows = self.left[request.qid]
            count = len(rows) if request.n == -1 else request.n
            if request.message is Message.PULL:
                server.send_records(rows[:count])
            del rows[:count]
            server.send_success({"has_more": True} if rows else {"type": "r"})
        else:
            agreeable(server, request)


def connected(version: Version, piece: int | None, shop: Shop) -> ConnectionPair:
    pair = ConnectionPair(ClientConnection(versions=[version]), ServerConnection(), handler=shop, piece=piece)
    pair.flow()
    assert pair.client.version == pair.server.version == version
    pair.client.send_hello("test/1", {"scheme": "none"})
    if pair.client.supports(Message.LOGON):
        pair.client.send_logon({"scheme": "none"})
    pair.flow()
    assert pair.client.state is pair.server.state is State.READY
    assert pair.server.authenticated
    pair.take()
    return pair


def statement(name: str = "PULL", rows: int = 10) -> list[tuple[Any, ...]]:
    events: list[tuple[Any, ...]] = [("success", "RUN", {"fields": ["n"]})]
    if rows:
        events.append(("records", name, [(index,) for index in range(rows)]))
    return [*events, ("success", name, {"type": "r"})]


@every_version
@both_ways
def test_auto_commit(version: Version, piece: int | None) -> None:
    pair = connected(version, piece, Shop())
    client = pair.client
    for _ in range(3):
        client.send_run("x", {"a": 1})
        client.send_pull()
    client.send_run("x")
    client.send_discard()
    pair.flow()
    assert joined(pair.take()) == statement() * 3 + statement("DISCARD", 0)
    assert client.state is pair.server.state is State.READY


@every_version
@both_ways
def test_failure_and_recovery(version: Version, piece: int | None) -> None:
    pair = connected(version, piece, Shop())
    client = pair.client
    client.send_run("fail")
    client.send_pull()
    again = client.send_run("x"), client.send_pull()
    pair.flow()
    code = "Neo.ClientError.Statement.SyntaxError"
    assert pair.take() == [
        ("failure", "RUN", code, "as asked"),
        ("ignored", "PULL"),
        ("ignored", "RUN"),
        ("ignored", "PULL"),
    ]
    assert client.state is pair.server.state is State.FAILED
    client.send_reset()
    for request in again:
        client.send_again(request)
    pair.flow()
    assert joined(pair.take()) == [("success", "RESET", {}), *statement()]
    if client.supports(Message.ACK_FAILURE):
        client.send_run("fail")
        client.send_pull()
        pair.flow()
        client.send_ack_failure()
        client.send_run("x")
        client.send_pull()
        pair.flow()
        assert joined(pair.take())[2:] == [("success", "ACK_FAILURE", {}), *statement()]
    assert client.state is pair.server.state is State.READY


@every_version
@both_ways
def test_transaction(version: Version, piece: int | None) -> None:
    pair = connected(version, piece, Shop())
    client, server = pair.client, pair.server
    if not client.supports(Message.BEGIN):
        return
    client.send_begin(mode="w")
    client.send_run("x")
    client.send_pull()
    pair.flow()
    assert client.state is server.state is State.TX_READY
    client.send_commit()
    pair.flow()
    assert client.state is server.state is State.READY
    client.send_begin()
    client.send_run("fail")
    pair.flow()
    client.send_reset()
    client.send_begin()
    client.send_run("x")
    client.send_discard()
    client.send_rollback()
    pair.flow()
    assert client.state is server.state is State.READY and not client.outstanding


@pytest.mark.parametrize("version", [version for version in VERSIONS if version >= (4, 0)])
@both_ways
def test_streams_in_parts(version: Version, piece: int | None) -> None:
    pair = connected(version, piece, Shop())
    client, server = pair.client, pair.server
    client.send_run("x")
    client.send_pull(4)
    pair.flow()
    assert client.state is server.state is State.STREAMING
    client.send_pull(4)
    pair.flow()
    client.send_discard(1)
    pair.flow()
    client.send_pull(1)
    pair.flow()
    assert client.state is server.state is State.READY
    rows = [row for event in joined(pair.take()) if event[0] == "records" for row in event[2]]
    assert rows == [(index,) for index in (*range(8), 9)]

    client.send_begin()
    client.send_run("a")
    client.send_pull(3)
    client.send_run("b")
    client.send_pull(3)
    pair.flow()
    assert client.open_streams == server.open_streams == (0, 1)
    client.send_pull(qid=0)
    client.send_discard(qid=1)
    client.send_commit()
    pair.flow()
    assert client.state is server.state is State.READY


@every_version
@both_ways
def test_everything_else(version: Version, piece: int | None) -> None:
    shop = Shop()
    pair = connected(version, piece, shop)
    client = pair.client
    sent = ["HELLO"]
    if client.supports(Message.LOGON):
        sent.append("LOGON")
        client.send_logoff()
        client.send_logon({"scheme": "bearer", "credentials": "t"})
        sent += ["LOGOFF", "LOGON"]
    if client.supports(Message.TELEMETRY):
        client.send_telemetry(3)
        sent.append("TELEMETRY")
    if client.supports(Message.ROUTE):
        client.send_route({"address": "a:1"}, ["b"], db="d")
        sent.append("ROUTE")
    pair.flow()
    client.send_reset()
    sent.append("RESET")
    pair.flow()
    assert shop.log == sent
    assert client.state is pair.server.state is State.READY and not client.outstanding
    if client.supports(Message.GOODBYE):
        client.send_goodbye()
        pair.flow()
        assert [plain(event) for event in pair.server_events][-1] == ("goodbye", True)
    else:
        assert [plain(event) for event in pair.server.receive_eof()] == [("goodbye", False)]
    assert pair.server.closed


@every_version
def test_one_write(version: Version) -> None:
    """Nothing needs a round trip once the version is known."""
    shop = Shop()
    pair = ConnectionPair(ClientConnection(version=version), ServerConnection(), handler=shop)
    client = pair.client
    client.send_hello("test/1")
    if client.supports(Message.LOGON):
        client.send_logon()
    client.send_run("x", {"a": 1})
    client.send_pull()
    data = client.data_to_send()
    for byte in data:
        pair._serve(pair.server.receive_data(bytes((byte,))))
    reply = pair.server.data_to_send()
    events = [plain(event) for event in client.receive_data(reply)]
    assert events[0] == ("handshake", version)
    assert joined(events)[-3:] == statement()


@both_ways
def test_bytes_do_not_depend_on_how_they_were_cut(piece: int | None) -> None:
    """What is written is the same however the peer's bytes come."""

    def conversation(size: int | None) -> tuple[bytes, bytes]:
        pair = connected((5, 8), size, Shop())
        for text in ("x", "fail", "x"):
            pair.client.send_run(text)
            pair.client.send_pull(5)
            pair.flow()
            pair.client.send_reset()
            pair.flow()
        return bytes(pair.sent[0]), bytes(pair.sent[1])

    assert conversation(piece) == conversation(None)


def test_reset_overtakes_a_slow_server() -> None:
    waiting: list[ServerRequest] = []
    pair = connected((5, 4), None, Shop())
    pair.handler = lambda server, request: waiting.append(request)
    client, server = pair.client, pair.server
    client.send_run("slow")
    client.send_pull()
    pair.flow()
    client.send_reset()
    client.send_run("x")
    client.send_pull()
    pair.flow()
    assert [type(event).__name__ for event in pair.server_events][-1] == "Interrupted"
    assert len(waiting) == 1
    server.send_ignored()
    pair.handler = Shop()
    pair.flow()
    assert joined(pair.take()) == [
        ("ignored", "RUN"),
        ("ignored", "PULL"),
        ("success", "RESET", {}),
        *statement(),
    ]
