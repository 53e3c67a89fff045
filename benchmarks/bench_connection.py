"""The connection without IO, client and server: what the protocol costs above the codec."""

from __future__ import annotations

from typing import Any

import canned
import pytest
import shapes

from asyncbolt import Message
from asyncbolt.chunking import MessageWriter
from asyncbolt.protocol import ClientConnection, RequestReceived, ServerConnection

READ_SIZE = 256 * 1024
ROWS = 20_000
PAIRS = 100  # statements that are pipelined, RUN and PULL
BATCH = 1000  # rows of one send_records
VERSION = (5, 4)
OFFER = b"\x60\x60\xb0\x17" + b"\x00\x00\x04\x05" + bytes(12)

_write = MessageWriter(VERSION)
LOGIN = _write.message(Message.HELLO, {"user_agent": "bench/1.0"}) + _write.message(
    Message.LOGON, {"scheme": "none"}
)
ASK = _write.message(Message.RUN, "FETCH int 1", {}, {}) + _write.message(Message.PULL, {"n": -1})


def client() -> ClientConnection:
    """A client that is logged in."""
    connection = ClientConnection(version=VERSION)
    connection.send_hello("bench/1.0")
    connection.send_logon({"scheme": "none"})
    connection.receive_data(OFFER[4:8] + canned.HELLO + canned.DONE)
    connection.data_to_send()
    return connection


def server() -> ServerConnection:
    """A server that somebody has logged in to."""
    connection = ServerConnection(versions=[VERSION], manifest=False)
    events = connection.receive_data(OFFER + LOGIN)
    while events:
        if isinstance(events[0], RequestReceived):
            connection.send_success({})
        events = [*events[1:], *connection.next_events()]
    connection.data_to_send()
    assert connection.authenticated
    return connection


def opened(shape: str) -> bytes:
    """The answer to a RUN."""
    return MessageWriter(VERSION).message(Message.SUCCESS, {"fields": shapes.fields(shape)})


@pytest.mark.parametrize("shape", ["int", "mixed"])
def test_client_receives_rows(benchmark: Any, shape: str) -> None:
    """One PULL's answer in pieces of 256 KiB."""
    data = opened(shape) + canned.block(shape, ROWS) + canned.END
    pieces = [data[i : i + READ_SIZE] for i in range(0, len(data), READ_SIZE)]
    benchmark.group = f"connection without IO: {shape}"
    benchmark.extra_info["rows"] = ROWS

    def read() -> int:
        connection = client()
        connection.send_run("FETCH")
        connection.send_pull()
        connection.data_to_send()
        seen = 0
        for piece in pieces:
            for event in connection.receive_data(piece):
                seen += len(getattr(event, "rows", ()))
        return seen

    assert benchmark(read) == ROWS


def test_client_pipelines(benchmark: Any) -> None:
    """Many tiny statements written at once, and their answers."""
    answers = (opened("int") + canned.block("int", 1) + canned.END) * PAIRS
    benchmark.group = "connection without IO: pipelined statements"
    benchmark.extra_info["statements"] = PAIRS

    def ask() -> int:
        connection = client()
        for _ in range(PAIRS):
            connection.send_run("FETCH int 1")
            connection.send_pull()
        connection.data_to_send()
        return sum(len(getattr(event, "rows", ())) for event in connection.receive_data(answers))

    assert benchmark(ask) == PAIRS


@pytest.mark.parametrize("shape", ["int", "mixed"])
def test_server_sends_rows(benchmark: Any, shape: str) -> None:
    """One PULL answered in lists of rows."""
    rows = shapes.rows(shape, ROWS)
    lists = [rows[i : i + BATCH] for i in range(0, ROWS, BATCH)]
    expected = len(MessageWriter(VERSION).records(rows))
    benchmark.group = f"connection without IO: {shape}"
    benchmark.extra_info["rows"] = ROWS

    def answer() -> int:
        connection = server()
        connection.receive_data(ASK)
        connection.send_success({"fields": shapes.fields(shape)})
        connection.next_events()
        connection.data_to_send()
        sent = 0
        for some in lists:
            connection.send_records(some)
            sent += len(connection.data_to_send())
        connection.send_success({})
        return sent

    assert benchmark(answer) == expected


def test_server_pipelines(benchmark: Any) -> None:
    """Many tiny statements that came at once, each answered with a row."""
    requests = ASK * PAIRS
    benchmark.group = "connection without IO: pipelined statements"
    benchmark.extra_info["statements"] = PAIRS

    def serve() -> int:
        connection = server()
        events = connection.receive_data(requests)
        pulls = 0
        while events:
            for event in events:
                assert isinstance(event, RequestReceived)
                if event.request.message is Message.PULL:
                    connection.send_records([(0,)])
                    pulls += 1
                connection.send_success({})
            events = connection.next_events()
        connection.data_to_send()
        return pulls

    assert benchmark(serve) == PAIRS
