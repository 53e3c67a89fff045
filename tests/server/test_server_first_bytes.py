"""One port for Bolt, TLS, WebSocket and HTTP: the first bytes decide."""

from __future__ import annotations

import asyncio
import json
import ssl

import pytest
from aiohelp import LOOPS, aiotest
from certificates import client_context, server_context
from raw_client import RawClient, port_of

import asyncbolt
from asyncbolt.aio.http import BadRequest, parse_head


class Echo(asyncbolt.ServerSession):
    def run(self, statement, parameters):
        if statement == "secure":
            return self.transport.get_extra_info("ssl_object") is not None
        if statement == "rows":
            return asyncbolt.Result(["n", "s"], ((n, "x" * 100) for n in range(parameters["count"])))
        return parameters.get("value")


async def say(port, *pieces, context=None, close=True):
    """What the server answers to these bytes, each in a segment of its own, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if not close and writer.can_write_eof():
            writer.write_eof()
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


def bytewise(data):
    return [data[index : index + 1] for index in range(len(data))]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x60\x60",
        b"POST / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\x16\x03\x01\x02\x00",
        b"\x16\x00",
        b"GETX",
        b"\x60\x60\xb0\x18" + bytes(16),
        bytes(100_000),
    ],
    ids=lambda data: data[:8].hex(),
)
@aiotest(loops=LOOPS)
async def test_others_are_closed_without_a_byte(data):
    async with await asyncbolt.create_server(Echo, port=0) as server:
        assert await say(port_of(server), data) == b""
        if len(data) < 100:
            assert await say(port_of(server), *bytewise(data)) == b""


@pytest.mark.parametrize(
    "data", [b"", b"\x60", b"\x60\x60\xb0\x17" + bytes(15), b"G", b"GET / HT", b"\x16"], ids=bytes.hex
)
@aiotest(loops=LOOPS)
async def test_end_before_the_first_message(data, caplog):
    """Neo4j Desktop probes ports so: nothing is logged."""
    async with await asyncbolt.create_server(Echo, port=0) as server:
        assert await say(port_of(server), data, close=False) == b""
    assert not caplog.records


@aiotest(loops=LOOPS)
async def test_handshake_byte_by_byte():
    async with await asyncbolt.create_server(Echo, port=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        for piece in bytewise(bytes.fromhex("6060b017 000001ff 00080805 00020404 00000003")):
            writer.write(piece)
            await asyncio.sleep(0)
        assert (await reader.readexactly(5))[:4] == b"\x00\x00\x01\xff"
        writer.close()
        await writer.wait_closed()


# HTTP


def answer_of(data):
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert int(headers["content-length"]) == len(body)
    return first, headers, body


@pytest.mark.parametrize("request_line", ["GET / HTTP/1.1", "GET /db/neo4j?x=1 HTTP/1.0"])
@pytest.mark.parametrize("cut", [False, True])
@aiotest(loops=LOOPS)
async def test_discovery(request_line, cut):
    request = f"{request_line}\r\nHost: graphs.example:7687\r\nAccept: application/json\r\n\r\n".encode()
    async with await asyncbolt.create_server(Echo, port=0, agent="Neo4j/5.26.0") as server:
        data = await say(port_of(server), *(bytewise(request) if cut else [request]))
    first, headers, body = answer_of(data)
    assert first == "HTTP/1.1 200 OK"
    assert headers["content-type"] == "application/json"
    assert headers["access-control-allow-origin"] == "*"
    assert json.loads(body) == {
        "bolt_routing": "neo4j://graphs.example:7687",
        "bolt_direct": "bolt://graphs.example:7687",
        "neo4j_version": "5.26.0",
        "neo4j_edition": "community",
    }


@aiotest
async def test_discovery_as_the_operator_wants_it():
    options = {"advertised_address": "db:1", "discovery": {"auth_config": {"oidc_providers": []}}}
    async with await asyncbolt.create_server(Echo, port=0, **options) as server:
        _, _, body = answer_of(await say(port_of(server), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert json.loads(body) == {
        "bolt_routing": "neo4j://db:1",
        "bolt_direct": "bolt://db:1",
        "auth_config": {"oidc_providers": []},
    }


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\n : x\r\n\r\n", "400"),
        (b"GET / SPDY/3\r\n\r\n", "400"),
        (b"GET  /  HTTP/1.1\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 9000, "400"),
        (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "400"),
    ],
    ids=lambda value: value[:30] if isinstance(value, bytes) else value,
)
@aiotest
async def test_bad_requests(data, status):
    async with await asyncbolt.create_server(Echo, port=0) as server:
        first, _, body = answer_of(await say(port_of(server), data))
        assert first.split()[1] == status
        assert body


def test_head_of_a_request():
    data = b"GET /x HTTP/1.1\r\nA: 1\r\na: 2\r\nB:\r\n\r\nrest"
    assert parse_head(data) == ("/x", {"a": "1,2", "b": ""}, len(data) - 4)
    for size in range(len(data) - 4):
        assert parse_head(data[:size]) is None
    with pytest.raises(BadRequest, match="too long"):
        parse_head(b"GET / HTTP/1.1\r\n" + b"x" * 8192)


# TLS


@pytest.mark.parametrize("allow_plain", [False, True])
@aiotest(loops=LOOPS)
async def test_tls(allow_plain):
    async with await asyncbolt.create_server(
        Echo, port=0, ssl=server_context(), allow_plain=allow_plain
    ) as server:
        port = port_of(server)
        client = await RawClient.connect(port, ssl=client_context())
        assert (await client.query("secure")).rows == [[True]]
        large = "x" * 3_000_000  # many TLS records each way
        assert (await client.query("v", {"value": large})).rows == [[large]]
        assert len((await client.query("rows", {"count": 20_000})).rows) == 20_000
        await client.close()
        if allow_plain:
            client = await RawClient.connect(port)
            assert (await client.query("secure")).rows == [[False]]
            await client.close()
        else:
            assert await say(port, bytes.fromhex("6060b017") + bytes(16)) == b""
            assert await say(port, b"GET / HTTP/1.1\r\n\r\n") == b""


@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name
)
@aiotest(loops=LOOPS)
async def test_versions_of_tls(version):
    context = client_context()
    context.minimum_version = context.maximum_version = version
    async with await asyncbolt.create_server(Echo, port=0, ssl=server_context()) as server:
        client = await RawClient.connect(port_of(server), ssl=context)
        assert (await client.query("v", {"value": 1})).rows == [[1]]
        await client.close()


@aiotest(loops=LOOPS)
async def test_http_inside_tls():
    async with await asyncbolt.create_server(Echo, port=0, ssl=server_context()) as server:
        data = await say(
            port_of(server), b"GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n", context=client_context()
        )
        assert json.loads(answer_of(data)[2])["bolt_direct"] == "bolt+s://localhost:1"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff" + bytes(70_000),
        b"\x16\x03",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ],
    ids=lambda data: data[:8].hex(),
)
@aiotest(loops=LOOPS)
async def test_broken_tls(data):
    async with await asyncbolt.create_server(Echo, port=0, ssl=server_context()) as server:
        answer = await say(port_of(server), data, close=False)
        assert answer == b"" or answer[0] == 0x15  # an alert
        client = await RawClient.connect(port_of(server), ssl=client_context())
        assert (await client.query("v", {"value": 1})).rows == [[1]]
        await client.close()


@aiotest(loops=LOOPS)
async def test_client_that_does_not_trust_the_certificate():
    async with await asyncbolt.create_server(Echo, port=0, ssl=server_context()) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await RawClient.connect(port_of(server), ssl=ssl.create_default_context())


@aiotest(loops=LOOPS)
async def test_backpressure_behind_tls():
    """More than fits into any buffer: the server stops and goes on, as the client reads."""
    async with await asyncbolt.create_server(Echo, port=0, ssl=server_context()) as server:
        client = await RawClient.connect(port_of(server), ssl=client_context())
        await client.run("rows", {"count": 100_000})
        client.send_pull()
        await client.rows(1)
        await client.rows(99_999)
        assert (await client.answer()).ok
        await client.close()
