"""Connecting to what is not a friendly Bolt server: each case has its own error, and nothing is left."""

from __future__ import annotations

import asyncio
import importlib
import logging
import socket
import ssl
from pathlib import Path

import pytest
from aiohelp import LOOPS, aiotest, free_port
from wire_server import WireServer

import asyncbolt

connecting = importlib.import_module("asyncbolt.client.connect")

TLS = Path(__file__).parents[1] / "data" / "tls"


@pytest.fixture(autouse=True)
def forget_versions():
    connecting._remembered.clear()
    yield
    connecting._remembered.clear()


class Raw(asyncio.Protocol):
    """A server that says *greeting* (bytes) at the first byte, and then closes, or stays."""

    def __init__(self, greeting=b"", *, stays=False, at_once=False):
        self.greeting = greeting
        self.stays = stays
        self.at_once = at_once
        self.connections = 0
        self.transports = []

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: RawPeer(self), "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.uri = f"bolt://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *exc):
        self.server.close()
        for transport, gone in self.transports:
            transport.abort()
            await gone
        await self.server.wait_closed()


class RawPeer(asyncio.Protocol):
    def __init__(self, raw):
        self.raw = raw

    def connection_made(self, transport):
        self.transport = transport
        self.gone = asyncio.get_running_loop().create_future()
        self.raw.transports.append((transport, self.gone))
        self.raw.connections += 1
        if self.raw.at_once:
            transport.close()

    def data_received(self, data):
        self.transport.write(self.raw.greeting)
        if not self.raw.stays:
            self.transport.close()

    def connection_lost(self, exc):
        self.gone.set_result(None)


async def refused(uri, error, match, **options):
    options.setdefault("timeout", 10)
    with pytest.raises(error, match=match) as caught:
        await asyncbolt.connect(uri, **options)
    return caught.value


@aiotest(loops=LOOPS)
async def test_nobody_is_there():
    port = free_port()
    error = await refused(f"bolt://127.0.0.1:{port}", asyncbolt.ServiceUnavailable, f"127.0.0.1:{port}")
    assert isinstance(error.__cause__, OSError)


@aiotest
async def test_no_such_host():
    await refused("bolt://nowhere.invalid", asyncbolt.ServiceUnavailable, "nowhere.invalid:7687")


@aiotest(loops=LOOPS)
async def test_wrong_password():
    async with WireServer(password="right") as server:
        for versions in (None, [(5, 4)], [(5, 0)], [(3, 0)], [(1, 0)]):
            error = await refused(
                server.uri, asyncbolt.AuthError, "wrong password", auth=("me", "bad"), versions=versions
            )
            assert error.code == "Neo.ClientError.Security.Unauthorized"
        async with asyncbolt.connect(server.uri, auth=("me", "right")) as session:
            assert repr(session.auth_token) == (
                "{'scheme': 'basic', 'principal': 'me', 'credentials': '*******'}"
            )
            assert session.auth_token["credentials"] == "right"


@aiotest
async def test_http_server():
    async with Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n") as raw:
        await refused(raw.uri, asyncbolt.HandshakeError, f"127.0.0.1:{raw.port}.*HTTP")
        assert raw.connections == 1


@aiotest(loops=LOOPS)
async def test_a_server_that_speaks_first():
    """A web server that is busy says so and closes, before it was asked anything."""

    class Busy(asyncio.Protocol):
        def connection_made(self, transport):
            transport.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
            transport.close()

    server = await asyncio.get_running_loop().create_server(Busy, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for _ in range(3):
            await refused(f"bolt://127.0.0.1:{port}", asyncbolt.HandshakeError, f"127.0.0.1:{port}.*HTTP")
            driver = asyncbolt.AsyncGraphDatabase.driver(f"bolt://127.0.0.1:{port}", auth=("u", "p"))
            async with driver:
                with pytest.raises(asyncbolt.ServiceUnavailable, match="HTTP"):
                    await driver.verify_connectivity()


@aiotest
async def test_no_common_version():
    async with Raw(b"\0\0\0\0") as raw:
        await refused(raw.uri, asyncbolt.HandshakeError, "version")
        assert raw.connections == 2
        await refused(raw.uri, asyncbolt.HandshakeError, "version", versions=[(5, 4)])
        assert raw.connections == 3


@aiotest
async def test_version_that_was_not_offered():
    async with Raw(b"\0\0\x09\x09") as raw:
        await refused(raw.uri, asyncbolt.HandshakeError, r"9\.9")


@aiotest
async def test_end_before_a_reply_and_inside_it():
    async with Raw(b"", at_once=True) as raw:
        await refused(raw.uri, asyncbolt.HandshakeError, "closed")
        assert raw.connections == 2
    async with Raw(b"\0\0") as raw:
        await refused(raw.uri, asyncbolt.HandshakeError, "2 .*bytes|inside|incomplete")
        assert raw.connections == 1


@aiotest
async def test_end_inside_the_login():
    async with Raw(b"\0\0\x04\x05") as raw:
        await refused(raw.uri, asyncbolt.ServiceUnavailable, f"127.0.0.1:{raw.port}: the server closed")


@aiotest(loops=LOOPS)
async def test_silent_peer():
    async with Raw(stays=True) as raw:
        await refused(raw.uri, TimeoutError, "did not answer the handshake within 0.1", timeout=0.1)
        await refused(raw.uri, asyncio.TimeoutError, "login", timeout=0.1, versions=[(5, 4)])
    async with Raw(b"\0\0\x04\x05", stays=True) as raw:
        await refused(raw.uri, TimeoutError, "did not answer the login within 0.1", timeout=0.1)


@aiotest(loops=LOOPS)
async def test_listener_that_does_not_accept():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        try:
            for _ in range(4):  # the backlog is full from some point on
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
            await refused(
                f"bolt://127.0.0.1:{listener.getsockname()[1]}", TimeoutError, "within", timeout=0.2
            )
        finally:
            for filler in fillers:
                filler.close()


@aiotest(loops=LOOPS)
async def test_cancelled_connects_leave_nothing():
    async with Raw(stays=True) as raw:
        task = asyncio.create_task(asyncbolt.connect(raw.uri)._opener.open())
        for _ in range(50):
            await asyncio.sleep(0)
            if raw.connections:
                break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@aiotest
async def test_cancelled_at_every_moment():
    async with WireServer() as server:
        for turns in range(25):
            task = asyncio.create_task(asyncbolt.connect(server.uri)._opener.open())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                session = await task
            except asyncio.CancelledError:
                continue
            session.close()
            await session.wait_closed()


@aiotest
async def test_versions_that_one_caller_wants_are_not_those_of_the_next():
    async with WireServer() as server:
        async with asyncbolt.connect(server.uri, versions=[(4, 0)]) as session:
            assert session.version == (4, 0)
        async with asyncbolt.connect(server.uri) as session:
            assert session.version == (6, 1)


# -------------------------------------------------------------------------------------------------------- TLS


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    return context


def trusting_context():
    return ssl.create_default_context(cafile=str(TLS / "cert.pem"))


def server_may_complain():
    """asyncio's server reports clients that break off its TLS handshake to the loop that both share.

    It may do so late, so the handler stays until the loop, which is the test's own, ends.
    """
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()

    def hear(loop, context):
        if "incoming connection" not in context["message"]:
            handler(loop, context)

    loop.set_exception_handler(hear)


@aiotest(loops=LOOPS)
async def test_tls():
    async with WireServer(ssl=server_context()) as server:
        uri = server.uri.replace("bolt:", "bolt+ssc:")
        async with asyncbolt.connect(uri, timeout=10) as session:
            assert await session.fetch("ROWS 2") == [(0,), (1,)]
        for scheme in ("bolt", "bolt+s"):
            uri = server.uri.replace("bolt:", f"{scheme}:")
            async with asyncbolt.connect(uri, ssl=trusting_context(), timeout=10) as session:
                assert await session.fetch("ROWS 100000") == [(n,) for n in range(100_000)]


@aiotest
async def test_certificate_that_is_not_trusted():
    server_may_complain()
    async with WireServer(ssl=server_context()) as server:
        await refused(server.uri.replace("bolt:", "bolt+s:"), asyncbolt.ServiceUnavailable, "not trusted")
        await refused(server.uri, asyncbolt.ServiceUnavailable, "not trusted", ssl=True)


@aiotest
async def test_certificate_of_another_host():
    server_may_complain()
    async with WireServer(ssl=server_context(), host="127.0.0.2") as server:
        uri = f"bolt+s://127.0.0.2:{server.port}"
        await refused(uri, asyncbolt.ServiceUnavailable, "not trusted", ssl=trusting_context())


@aiotest(loops=LOOPS)
async def test_tls_to_a_server_without_it():
    async with WireServer() as server:
        await refused(server.uri.replace("bolt:", "bolt+ssc:"), asyncbolt.ServiceUnavailable, "TLS")


@aiotest(loops=LOOPS)
async def test_no_tls_to_a_server_with_it():
    server_may_complain()
    async with WireServer(ssl=server_context()) as server:
        await refused(server.uri, asyncbolt.HandshakeError, "TLS")


# -------------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("uri", "match"),
    [
        ("localhost:7687", "no URI"),
        ("http://localhost", "unknown scheme"),
        ("neo4j://localhost", "routing"),
        ("neo4j+s://localhost", r"bolt\+s://"),
        ("bolt://", "no host"),
        ("bolt://localhost:port", "port"),
        ("bolt://localhost:99999", "port"),
        ("bolt://localhost/db", "path"),
        ("bolt://localhost?db=x", "path"),
    ],
)
def test_bad_uri(uri, match):
    with pytest.raises(asyncbolt.ConfigurationError, match=match):
        asyncbolt.connect(uri)


def test_bad_uri_does_not_show_its_password():
    with pytest.raises(asyncbolt.ConfigurationError) as caught:
        asyncbolt.connect("bolt://me:hunter2@host/path")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"uri": "bolt://localhost", "host": "localhost"},
        {"uri": "bolt://me:secret@localhost", "auth": ("me", "secret")},
        {"uri": "bolt+s://localhost", "ssl": False},
        {"ssl": 1},
        {"on_failure": asyncbolt.Message.RUN},
        {"fetch_size": 0},
        {"max_inflight": 0},
    ],
)
def test_bad_arguments(options):
    with pytest.raises(asyncbolt.ConfigurationError):
        asyncbolt.connect(**options)


def test_addresses():
    def address(*args, **keywords):
        return str(asyncbolt.connect(*args, **keywords)._opener.address)

    assert address("bolt://example.org") == "example.org:7687"
    assert address("BOLT://[::1]:1234") == "[::1]:1234"
    assert address(host="example.org", port=1) == "example.org:1"
    assert address() == "127.0.0.1:7687"


@aiotest
async def test_every_form_of_auth():
    async def later():
        return ("me", "right")

    class Token:
        scheme, principal, credentials = "basic", "me", "right"

    class Protocol(asyncbolt.BoltClientProtocol):
        def __init__(self, loop, *, secret):
            super().__init__(loop)
            self.secret = secret

        def get_init_params(self):
            return "Mine/1.0", {"scheme": "basic", "principal": "me", "credentials": self.secret}

    async with WireServer(password="right") as server:
        basic = {"scheme": "basic", "principal": "me", "credentials": "right"}
        for auth in (("me", "right"), basic, Token(), lambda: ("me", "right"), later):
            async with asyncbolt.connect(server.uri, auth=auth, timeout=5) as session:
                assert session.auth_token == basic
        async with asyncbolt.connect(f"bolt://me:right@127.0.0.1:{server.port}"):
            pass
        async with asyncbolt.connect(server.uri, protocol_class=Protocol, secret="right") as session:
            assert session.client_name == "Mine/1.0"
            assert isinstance(session.protocol, Protocol)
        with pytest.raises(asyncbolt.AuthConfigurationError, match="not str"):
            await asyncbolt.connect(server.uri, auth="me:right")
        with pytest.raises(TypeError, match="nonsense"):
            await asyncbolt.connect(server.uri, nonsense=1)


@aiotest
async def test_init_params_that_make_no_sense():
    class Protocol(asyncbolt.BoltClientProtocol):
        def get_init_params(self):
            return None

    async with WireServer() as server:
        await refused(server.uri, asyncbolt.ConfigurationError, "get_init_params", protocol_class=Protocol)


# -------------------------------------------------------------------------------------------------------- log


@aiotest
async def test_debug_log_says_everything_but_the_password(caplog):
    caplog.set_level(logging.DEBUG, logger="asyncbolt.client")
    for version in (None, (5, 0), (1, 0)):
        async with WireServer(password="hunter2") as server:
            options = {} if version is None else {"versions": [version]}
            async with asyncbolt.connect(server.uri, auth=("me", "hunter2"), **options) as session:
                await session.fetch("ROWS 3")
                with pytest.raises(asyncbolt.ClientError):
                    await session.fetch("FAIL")
    text = caplog.text
    for word in ("60b017 ", "C: HELLO", "C: LOGON", "C: RUN 'ROWS 3'", "S: RECORD", "C: RESET", "GOODBYE"):
        assert word.replace("'", '"') in text.replace("'", '"') or word == "60b017 ", word
    assert "6060b017" in text
    assert "hunter2" not in text
    assert b"hunter2".hex() not in text


@aiotest
async def test_no_logging_call_when_it_is_off(monkeypatch):
    def forbidden(*args, **keywords):
        raise AssertionError("a logging call")

    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        monkeypatch.setattr(logging.Logger, "debug", forbidden)
        monkeypatch.setattr(logging.Logger, "isEnabledFor", forbidden)
        assert len(await session.fetch("ROWS 10000")) == 10_000
        monkeypatch.undo()
