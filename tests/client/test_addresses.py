"""A name is all its addresses: each has its turn and its share of the time."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
import ssl
from pathlib import Path

import pytest
from aiohelp import aiotest
from mute_peers import KINDS, black_hole, ends_within, peer
from wire_server import WireServer

import asyncbolt
from asyncbolt.aio import dial
from asyncbolt.exceptions import HandshakeError, ServiceUnavailable, UntrustedCertificate

connecting = importlib.import_module("asyncbolt.client.connect")
TLS = Path(__file__).parents[1] / "data" / "tls"
BAD = "127.0.0.2"
GOOD = "127.0.0.1"


@pytest.fixture
def names(monkeypatch):
    """Names and what they stand for; known to asyncio's resolver."""
    table = {}
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        if host in table:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in table[host]]
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    connecting._remembered.clear()
    yield table
    connecting._remembered.clear()


async def closes(reader, writer):
    writer.close()


async def closes_later(reader, writer):
    await reader.readexactly(20)
    writer.close()


async def http(reader, writer):
    await reader.readexactly(20)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def garbage(reader, writer):
    await reader.readexactly(20)
    writer.write(bytes(range(40)))


async def no_version(reader, writer):
    await reader.readexactly(20)
    writer.write(b"\0\0\0\0")
    writer.close()


BROKEN = {**KINDS, **{each.__name__: each for each in (closes, closes_later, http, garbage, no_version)}}


async def by_connect(port, **options):
    async with asyncbolt.connect(f"bolt://db.test:{port}", **options) as session:
        return await session.fetch("ROWS 1")


async def by_pool(port, **options):
    limit = options.pop("timeout", None)
    async with asyncbolt.create_pool(f"bolt://db.test:{port}", connect_timeout=limit, **options) as pool:
        return await pool.fetch("ROWS 1")


async def by_driver(port, **options):
    limit = options.pop("timeout", 60.0)
    async with asyncbolt.AsyncGraphDatabase.driver(
        f"bolt://db.test:{port}", connection_acquisition_timeout=limit, **options
    ) as driver:
        async with driver.session() as session:
            return list(await session.fetch("ROWS 1"))


WAYS = [by_connect, by_pool, by_driver]


@pytest.mark.parametrize("way", WAYS)
@aiotest
async def test_the_second_address_is_tried_while_the_first_is_silent(way, names):
    names["db.test"] = [BAD, GOOD]
    async with WireServer() as server:
        port = server.port
        with black_hole(BAD, port):
            assert await ends_within(1, way(port)) == [(0,)]


@pytest.mark.parametrize("way", WAYS)
@aiotest
async def test_the_second_address_is_tried_when_the_first_refuses(way, names):
    names["db.test"] = [BAD, GOOD]
    async with WireServer() as server:
        assert await ends_within(1, way(server.port)) == [(0,)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", BROKEN)
@aiotest
async def test_the_second_address_is_tried_when_the_first_is_no_server(kind, way, names):
    names["db.test"] = [BAD, GOOD]
    async with WireServer() as server, peer(BROKEN[kind], BAD, server.port):
        assert await ends_within(1, way(server.port, timeout=1)) == [(0,)]


@pytest.mark.parametrize("count", [1, 2, 5])
@aiotest
async def test_each_address_has_its_share_of_the_time(count, names):
    bad = [f"127.0.0.{number + 2}" for number in range(count)]
    names["db.test"] = [*bad, GOOD]
    async with WireServer() as server, contextlib.AsyncExitStack() as stack:
        for host in bad:
            await stack.enter_async_context(peer(KINDS["silent"], host, server.port))
        assert await ends_within(1.2, by_connect(server.port, timeout=1.2)) == [(0,)]
        assert await ends_within(1.2, by_driver(server.port, timeout=1.2)) == [(0,)]


@aiotest
async def test_a_login_that_is_refused_is_not_tried_elsewhere(names):
    names["db.test"] = [BAD, GOOD]
    async with WireServer(password="right", host=BAD) as first:
        async with WireServer(password="right", port=first.port) as second:
            with pytest.raises(asyncbolt.AuthError):
                await by_connect(first.port, auth=("u", "wrong"))
            assert len(second.peers) == 0


@aiotest
async def test_the_error_says_what_each_address_did(names):
    names["db.test"] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    async with peer(closes_later, "127.0.0.2") as port, peer(KINDS["silent"], "127.0.0.3", port):
        with pytest.raises(HandshakeError) as caught:
            await ends_within(0.6, by_connect(port, timeout=0.6))
        text = str(caught.value)
        for part in (f"127.0.0.2:{port}", f"127.0.0.3:{port}", f"127.0.0.4:{port}", "failed", "within"):
            assert part in text, (part, text)
        with pytest.raises(ServiceUnavailable, match="closed"):
            await ends_within(0.6, by_driver(port, timeout=0.6))


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    return context


@pytest.mark.parametrize("kind", ["plain", "silent", "closes"])
@aiotest
async def test_the_second_address_is_tried_when_the_first_fails_in_tls(kind, names):
    names["localhost"] = [BAD, GOOD]
    trusted = ssl.create_default_context(cafile=TLS / "cert.pem")
    handler = {"plain": KINDS["greets"], "silent": KINDS["silent"], "closes": closes}[kind]
    async with WireServer(ssl=tls_context()) as server, peer(handler, BAD, server.port):
        async with asyncbolt.connect(
            f"bolt://localhost:{server.port}", ssl=trusted, timeout=1.2
        ) as session:
            assert await session.fetch("ROWS 1") == [(0,)]


@aiotest
async def test_a_certificate_that_is_not_trusted_is_the_reason_that_is_given(names):
    names["localhost"] = [BAD, GOOD]
    loop = asyncio.get_running_loop()
    # asyncio's server reports clients that break off its TLS handshake.
    handler = loop.get_exception_handler()
    loop.set_exception_handler(
        lambda loop, context: "incoming connection" in context["message"] or handler(loop, context)
    )
    async with WireServer(ssl=tls_context()) as server, peer(closes, BAD, server.port):
        with pytest.raises(UntrustedCertificate, match=r"127\.0\.0\.2"):
            await asyncbolt.connect(f"bolt://localhost:{server.port}", ssl=True, timeout=2)


@aiotest
async def test_families_take_turns():
    def place(family, host):
        return dial.Place(family, socket.SOCK_STREAM, 6, (host, 1))

    six = [place(socket.AF_INET6, f"::{number}") for number in (1, 2, 3)]
    four = [place(socket.AF_INET, "127.0.0.1")]
    assert dial._mixed([*six, *four]) == [six[0], four[0], six[1], six[2]]
    assert dial._mixed([*four, *six]) == [four[0], *six]


@aiotest
async def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch):
    loop = asyncio.get_running_loop()

    async def getaddrinfo(*args, **kwargs):
        await asyncio.Event().wait()

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    with pytest.raises(asyncio.TimeoutError, match=r"db\.test.*0\.2 s"):
        await ends_within(0.2, by_connect(1, timeout=0.2))
    with pytest.raises(asyncbolt.ConnectionAcquisitionTimeoutError):
        await ends_within(0.2, by_driver(1, timeout=0.2))


@pytest.mark.parametrize("host", ["a" * 70 + ".test", "a..test", "\udcff"])
@aiotest
async def test_a_host_that_is_no_name(host):
    with pytest.raises(ServiceUnavailable, match="cannot connect"):
        await asyncbolt.connect(host=host, port=1, timeout=5)


@aiotest
async def test_sockets_are_watched_by_the_system():
    async with WireServer() as server, asyncbolt.connect(server.uri) as session:
        sock = session.protocol.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@aiotest
async def test_a_server_of_the_oldest_kind_that_raises_instead_of_closing(monkeypatch):
    """It knows the first slot only, and when that is something new its task dies; the connection stays."""
    monkeypatch.setattr(connecting, "_SILENT_HANDSHAKE", 0.1)
    seen = []

    async def oldest(reader, writer):
        offer = await reader.readexactly(20)
        seen.append(offer[4:8])
        if offer[4:8] == b"\0\0\0\1":
            writer.write(b"\0\0\0\1")
            await reader.read(100)
            writer.write(b"\x00\x03\xb1\x70\xa0\x00\x00")

    async with peer(oldest) as port:
        session = await ends_within(2, asyncbolt.connect(f"bolt://127.0.0.1:{port}").__aenter__())
        assert session.version == (1, 0) and len(seen) == 2
        session.abort()
        await session.wait_closed()


@aiotest
async def test_a_server_that_takes_its_time_is_not_taken_for_an_old_one(monkeypatch):
    monkeypatch.setattr(connecting, "_SILENT_HANDSHAKE", 0.05)
    asked = []

    async def slow(reader, writer):
        offer = await reader.readexactly(20)
        asked.append(offer)
        if len(asked) == 1:
            await asyncio.sleep(0.3)
            writer.write(b"\0\0\0\4")
            await reader.read(1000)
            writer.write(b"\x00\x03\xb1\x70\xa0\x00\x00")

    async with peer(slow) as port:
        async with asyncbolt.connect(f"bolt://127.0.0.1:{port}", timeout=5) as session:
            assert session.version == (4, 0) and len(asked) == 2
            session.abort()
