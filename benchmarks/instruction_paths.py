"""What :mod:`instructions` counts: each path is a piece of work that can be done again and again.

As a program it runs under callgrind, started by :mod:`instructions`: ``instruction_paths.py PACKAGES`` reads
the names of paths from its standard input, and counts each in a process forked for it, so that no path
depends on which others were counted before. ``os.getpgid`` marks where the work begins and ends: callgrind
writes down what it has counted, and begins anew, where that function of libc is called, which nothing else
here does.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

# Work is done so often before it is counted: bytecode is specialised, buffers have grown, freed memory is
# found where it will be found from then on.
WARM_UPS = 10
# Counted so often: memory freed in another order makes a round differ a little from the one before.
ROUNDS = 5

# Rows of one round. Counts are exact, so that few rows say as much as many.
ROWS = {"int": 1000, "strings": 500, "mixed": 500, "node": 100, "floats": 10, "wide": 200, "times": 200}
PEOPLE = 100
STATEMENTS = 50

VERSION = (5, 4)
OFFER = b"\x60\x60\xb0\x17\x00\x00\x04\x05" + bytes(12)
AGREED = b"\x00\x00\x04\x05"
LOGIN = {"scheme": "none"}
STATEMENT = "RETURN 1 AS n"
COMMIT = b"\x00\x02\xb0\x12\x00\x00"
UNWIND = "UNWIND $rows AS row CREATE (n) SET n = row"

# One round of the work, and how many units (rows, statements) it is.
Work = tuple[Callable[[], Any], int]


def _read(shape: str) -> Work:
    import shapes

    from asyncbolt.chunking import MessageReader, MessageWriter

    rows = shapes.rows(shape, ROWS[shape])
    data = MessageWriter(graph=True).records(rows)
    reader = MessageReader()
    assert reader.feed(data) == [rows]
    return lambda: reader.feed(data), len(rows)


def _write(shape: str) -> Work:
    import shapes

    from asyncbolt.chunking import MessageWriter

    rows = shapes.rows(shape, ROWS[shape])
    writer = MessageWriter(graph=True)
    return lambda: writer.records(rows), len(rows)


def _read_people() -> Work:
    import shapes

    from asyncbolt.chunking import MessageReader, MessageWriter

    people = shapes.people(PEOPLE)
    data = MessageWriter().message(0x10, UNWIND, {"rows": people}, {})
    reader = MessageReader(runs=False)
    assert reader.feed(data) == [(0x10, UNWIND, {"rows": people}, {})]
    return lambda: reader.feed(data), PEOPLE


def _write_people() -> Work:
    import shapes

    from asyncbolt.chunking import MessageWriter

    people = shapes.people(PEOPLE)
    writer = MessageWriter()
    return lambda: writer.message(0x10, UNWIND, {"rows": people}, {}), PEOPLE


def _answer(shape: str, count: int) -> bytes:
    """What a server writes in answer to RUN and PULL."""
    import shapes

    from asyncbolt.chunking import MessageWriter

    writer = MessageWriter(VERSION, graph=True)
    return (
        writer.message(0x70, {"fields": shapes.fields(shape), "t_first": 0})
        + writer.records(shapes.rows(shape, count))
        + writer.message(0x70, {"type": "r", "t_last": 1, "db": "neo4j", "bookmark": "b:1"})
    )


def _welcome() -> bytes:
    """What a server writes in answer to the handshake, HELLO and LOGON."""
    from asyncbolt.chunking import MessageWriter

    hello = {"server": "Neo4j/5.26.0", "connection_id": "bolt-1", "hints": {}}
    writer = MessageWriter(VERSION)
    return AGREED + writer.message(0x70, hello) + writer.message(0x70, {})


def _client_connection(count: int, statements: int) -> Work:
    from asyncbolt.protocol import ClientConnection

    connection = ClientConnection(version=VERSION)
    connection.send_hello("count/1.0")
    connection.send_logon(LOGIN)
    connection.data_to_send()
    connection.receive_data(_welcome())
    answer = _answer("mixed", count)

    def work() -> None:
        for _ in range(statements):
            connection.send_run(STATEMENT)
            connection.send_pull()
            connection.data_to_send()
            rows = 0
            for event in connection.receive_data(answer):
                rows += len(getattr(event, "rows", ()))
            assert rows == count

    return work, count * statements


def _requests() -> tuple[bytes, bytes]:
    """What a client writes: the handshake and its login, and a statement."""
    from asyncbolt.protocol import ClientConnection

    connection = ClientConnection(version=VERSION)
    connection.send_hello("count/1.0")
    connection.send_logon(LOGIN)
    opening = connection.data_to_send()
    connection.receive_data(_welcome())
    connection.send_run(STATEMENT)
    connection.send_pull()
    return opening, connection.data_to_send()


def _server_connection(count: int, statements: int) -> Work:
    import shapes

    from asyncbolt.protocol import ServerConnection

    rows = shapes.rows("mixed", count)
    head = {"fields": shapes.fields("mixed"), "t_first": 0}
    tail = {"type": "r", "t_last": 1, "db": "neo4j"}
    opening, statement = _requests()
    connection = ServerConnection()
    connection.receive_data(opening)
    while connection.request is not None:
        connection.send_success({})
        connection.next_events()
    connection.data_to_send()

    def work() -> None:
        for _ in range(statements):
            connection.receive_data(statement)
            connection.send_success(head)
            connection.next_events()
            connection.send_records(rows)
            connection.send_success(tail)
            connection.data_to_send()

    work()
    assert connection.request is None and not connection.closed and connection.authenticated
    return work, count * statements


def _server_connection_people() -> Work:
    import shapes

    from asyncbolt.chunking import MessageWriter
    from asyncbolt.protocol import ServerConnection

    writer = MessageWriter(VERSION)
    statement = writer.message(0x10, UNWIND, {"rows": shapes.people(PEOPLE)}, {})
    statement += writer.message(0x3F, {"n": -1})
    connection = ServerConnection()
    connection.receive_data(_requests()[0])
    while connection.request is not None:
        connection.send_success({})
        connection.next_events()

    def work() -> None:
        connection.receive_data(statement)
        connection.send_success({"fields": []})
        connection.next_events()
        connection.send_success({"type": "w"})
        connection.data_to_send()

    work()
    assert connection.request is None and not connection.closed
    return work, PEOPLE


class _Loop(asyncio.SelectorEventLoop):
    """A loop that makes no sockets, and where no time passes: no clock cuts anything into slices."""

    accept: Callable[[], Any] | None = None
    transport: Any = None

    def __init__(self, answering: Callable[[_Loop, Any], Any] | None = None) -> None:
        super().__init__()
        self.answering = answering or _Answering

    def time(self) -> float:
        return 0.0

    async def create_connection(self, factory: Any, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        protocol = factory()
        transport = self.transport = self.answering(self, protocol)
        protocol.connection_made(transport)
        return transport, protocol

    async def create_server(self, factory: Any, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        self.accept = factory
        return _Listener()


class _Listener:
    sockets = ()

    async def start_serving(self) -> None:
        pass


class _Transport(asyncio.Transport):
    def __init__(self, loop: _Loop, protocol: Any) -> None:
        super().__init__()
        self.loop = loop
        self.protocol = protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        raise AssertionError("the connection was closed")

    abort = close


class _Answering(_Transport):
    """The client's: the first bytes written are the login, all that follow are statements with one answer."""

    def __init__(self, loop: _Loop, protocol: Any) -> None:
        super().__init__(loop, protocol)
        self.answers = _welcome()

    def write(self, data: Any) -> None:
        self.loop.call_soon(self.protocol.data_received, self.answers)


class _Committing(_Answering):
    """The same for a driver: BEGIN comes together with a statement, and COMMIT by itself."""

    def __init__(self, loop: _Loop, protocol: Any) -> None:
        super().__init__(loop, protocol)
        self.statement = b""
        self.committed = b""

    def write(self, data: Any) -> None:
        if self.statement:
            self.answers = self.committed if COMMIT in data else self.statement
        super().write(data)


class _Asking(_Transport):
    """The server's: each answer, known by its last message, is followed by the next statement."""

    def __init__(self, loop: _Loop, protocol: Any) -> None:
        super().__init__(loop, protocol)
        self.left = 0
        self.statement = b""
        self.done: asyncio.Future[None] = loop.create_future()

    def write(self, data: Any) -> None:
        # Of all messages only the last, PULL's summary, says this; other writes may come before it.
        if b"t_last" not in data[-32:]:
            return
        self.left -= 1
        if self.left:
            self.loop.call_soon(self.protocol.data_received, self.statement)
        else:
            self.done.set_result(None)


def _client_session(count: int, statements: int) -> Work:
    import asyncbolt

    loop = _Loop()
    session = loop.run_until_complete(asyncbolt.connect("bolt://127.0.0.1", versions=[VERSION]))
    transport: Any = session._protocol.transport
    transport.answers = _answer("mixed", count)

    async def ask() -> None:
        for _ in range(statements):
            rows = await session.fetch(STATEMENT)
            assert len(rows) == count

    return lambda: loop.run_until_complete(ask()), count * statements


def _driver(count: int, queries: int) -> Work:
    import asyncbolt
    from asyncbolt.chunking import MessageWriter

    loop = _Loop(_Committing)
    options: dict[str, Any] = {"versions": [VERSION], "keep_alive": False}
    driver = asyncbolt.AsyncGraphDatabase.driver("bolt://127.0.0.1", auth=("u", "p"), **options)
    loop.run_until_complete(driver.verify_connectivity())
    writer = MessageWriter(VERSION)
    loop.transport.statement = writer.message(0x70, {}) + _answer("mixed", count)
    loop.transport.committed = writer.message(0x70, {"bookmark": "b:1"})

    async def ask() -> None:
        for _ in range(queries):
            records, _, _ = await driver.execute_query(STATEMENT)
            assert len(records) == count

    return lambda: loop.run_until_complete(ask()), count * queries


def _server_session(count: int, statements: int, generator: bool) -> Work:
    import shapes

    import asyncbolt

    # The server measures how long an author's generator takes; here no time passes.
    time.perf_counter = lambda: 0.0
    rows = shapes.rows("mixed", count)
    fields = shapes.fields("mixed")

    class Session(asyncbolt.ServerSession):
        async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
            return asyncbolt.Result(fields, iter(rows) if generator else rows)

    loop = _Loop()
    loop.run_until_complete(asyncbolt.create_server(Session, port=0))
    assert loop.accept is not None
    protocol = loop.accept()
    transport = _Asking(loop, protocol)
    protocol.connection_made(transport)
    opening, transport.statement = _requests()
    protocol.data_received(opening)
    for _ in range(10):
        loop.run_until_complete(asyncio.sleep(0))

    def work() -> None:
        transport.left = statements
        transport.done = loop.create_future()
        transport.protocol.data_received(transport.statement)
        loop.run_until_complete(transport.done)

    return work, count * statements


PATHS: dict[str, Callable[[], Work]] = {
    **{f"read {shape}": partial(_read, shape) for shape in ROWS},
    "read $rows": _read_people,
    **{f"write {shape}": partial(_write, shape) for shape in ROWS},
    "write $rows": _write_people,
    "client connection mixed": partial(_client_connection, 500, 1),
    "client connection tiny": partial(_client_connection, 1, STATEMENTS),
    "client session mixed": partial(_client_session, 500, 1),
    "client session tiny": partial(_client_session, 1, STATEMENTS),
    "driver mixed": partial(_driver, 500, 1),
    "driver tiny": partial(_driver, 1, STATEMENTS),
    "server connection mixed": partial(_server_connection, 500, 1),
    "server connection tiny": partial(_server_connection, 1, STATEMENTS),
    "server connection $rows": _server_connection_people,
    "server session mixed": partial(_server_session, 500, 1, False),
    "server session generator": partial(_server_session, 500, 1, True),
    "server session tiny": partial(_server_session, 1, STATEMENTS, False),
}


def mark() -> None:
    """Where callgrind writes down what it has counted."""
    os.getpgid(0)


def count(name: str) -> int:
    """Do a path's work between marks; gives the units of one round."""
    work, units = PATHS[name]()
    # Which round pays for a collection would depend on what was allocated before the first.
    gc.collect()
    gc.disable()
    for _ in range(WARM_UPS):
        work()
    mark()
    mark()  # nothing between them: what a mark itself costs
    for _ in range(ROUNDS):
        work()
        mark()
    return units


def main() -> None:
    # Behind the standard library: it may be a whole site-packages.
    sys.path.append(sys.argv[1])
    import shapes  # noqa: F401

    import asyncbolt.protocol

    assert os.path.samefile(os.path.join(sys.argv[1], "asyncbolt"), os.path.dirname(asyncbolt.__file__))
    names = sys.stdin.read().splitlines()
    mark()  # what the start took is written down here, not once more by each process
    for name in names:
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                print(os.getpid(), count(name), name, sep="\t", flush=True)
                status = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(status)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
