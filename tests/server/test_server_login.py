"""Who may come in, what the client is told at the door, and what a server that lets everyone in must say."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohelp import aiotest
from raw_client import RawClient, port_of, serving

import asyncbolt
from asyncbolt import Message
from asyncbolt.server import AuthToken

UNAUTHORIZED = "Neo.ClientError.Security.Unauthorized"
SWORDFISH = {"scheme": "basic", "principal": "ann", "credentials": "swordfish"}


class Door(asyncbolt.ServerSession):
    """Answers logins with what the test put into `answer`, and may raise it."""

    answer: object = True

    def verify_auth_token(self, auth_token):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def run(self, statement, parameters):
        return self.request.principal


class AsyncDoor(Door):
    async def verify_auth_token(self, auth_token):
        await asyncio.sleep(0)
        return super().verify_auth_token(auth_token)


class ThreadedDoor(Door):
    verify_auth_token = asyncbolt.threaded(lambda self, token: Door.verify_auth_token(self, token))


DOORS = [Door, AsyncDoor, ThreadedDoor]
VERSIONS = [(1, 0), (3, 0), (4, 4), (5, 0), (5, 1), (6, 1)]


async def log_in(port, version, auth=None):
    """The client, and the answer to its login."""
    client = await RawClient.connect(port, version=version, login=False)
    return client, await client.login(auth or SWORDFISH)


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("door", DOORS)
@aiotest
async def test_true_accepts(door, version):
    async with await asyncbolt.create_server(door, port=0) as server:
        client, answer = await log_in(port_of(server), version)
        assert answer.ok
        assert (await client.query("who")).rows == [["ann"]]
        await client.close()


REFUSALS = {
    "False": (False, UNAUTHORIZED, None),
    "AuthError": (asyncbolt.AuthError("not today"), UNAUTHORIZED, None),
    "TokenExpired": (asyncbolt.TokenExpired("old"), "Neo.ClientError.Security.TokenExpired", None),
    "another error": (
        asyncbolt.TransientError("busy", code="Neo.TransientError.General.DatabaseUnavailable"),
        "Neo.TransientError.General.DatabaseUnavailable",
        None,
    ),
    "None": (None, UNAUTHORIZED, "verify_auth_token returned NoneType"),
    "1": (1, UNAUTHORIZED, "verify_auth_token returned int"),
    "text": ("yes", UNAUTHORIZED, "verify_auth_token returned str"),
    "bug": (KeyError("swordfish"), UNAUTHORIZED, "verify_auth_token failed"),
}


@pytest.mark.parametrize("version", [(1, 0), (4, 4), (5, 8)], ids=str)
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("why", REFUSALS)
@aiotest
async def test_everything_else_refuses(door, version, why, caplog):
    answer, code, logged = REFUSALS[why]
    sessions = type("Sessions", (door,), {"answer": answer})
    async with await asyncbolt.create_server(sessions, port=0) as server:
        with caplog.at_level(logging.WARNING, logger="asyncbolt"):
            client, refusal = await log_in(port_of(server), version)
        assert refusal.kind == "FAILURE"
        assert refusal.code == code
        assert "swordfish" not in str(refusal.metadata)
        assert await client.ended()
        await client.close()
        if logged is None:
            assert not caplog.records
        else:
            assert logged in caplog.text


@aiotest
async def test_token_is_a_dict_that_shows_no_secret():
    seen = []

    class Session(asyncbolt.ServerSession):
        def verify_auth_token(self, auth_token):
            seen.append(auth_token)
            return True

    async with serving(
        Session, connect={"auth": {**SWORDFISH, "realm": "native", "parameters": {"otp": 1234}}}
    ):
        pass
    (token,) = seen
    assert token == {**SWORDFISH, "realm": "native", "parameters": {"otp": 1234}}
    assert token["credentials"] == "swordfish"
    assert (token.scheme, token.principal) == ("basic", "ann")
    for text in (repr(token), str(token), f"{token}"):
        assert "ann" in text
        assert "swordfish" not in text and "1234" not in text
    assert (AuthToken().scheme, AuthToken().principal) == ("none", None)


@aiotest
async def test_passwords_are_not_logged(caplog):
    with caplog.at_level(logging.DEBUG):
        async with serving(Door, connect={"auth": SWORDFISH, "version": (4, 4)}) as (_, client):
            await client.query("who")
        async with serving(Door, connect={"auth": SWORDFISH}) as (_, client):
            await client.query("who")
    assert "LOGON" in caplog.text
    assert "swordfish" not in caplog.text


@aiotest
async def test_logging_off_and_in_as_someone_else():
    calls = []

    class Session(Door):
        async def logoff(self):
            calls.append(self.request.principal)

    async with serving(Session, connect={"auth": SWORDFISH}) as (_, client):
        assert (await client.query("who")).rows == [["ann"]]
        assert (await client.ask(Message.LOGOFF)).ok
        assert calls == ["ann"]
        assert (await client.ask(Message.LOGON, {**SWORDFISH, "principal": "bob"})).ok
        assert (await client.query("who")).rows == [["bob"]]


@aiotest
async def test_statement_before_the_login_is_refused():
    async with await asyncbolt.create_server(Door, port=0) as server:
        client = await RawClient.connect(port_of(server), login=False)
        client.send_run("who")
        assert (await client.answer()).kind == "FAILURE"
        assert await client.ended()
        await client.close()


@aiotest
async def test_server_says_what_it_is():
    async with serving(Door) as (_, client):
        hello = client.hello.metadata
        assert hello["server"] == f"asyncbolt/{asyncbolt.__version__}"
        assert hello["connection_id"].startswith("bolt-")
        assert "hints" not in hello
    async with serving(Door, agent="Neo4j/5.26.0", recv_timeout=60) as (server, client):
        hello = client.hello.metadata
        assert hello["server"] == "Neo4j/5.26.0"
        assert hello["hints"] == {"connection.recv_timeout_seconds": 60}
        other = await RawClient.connect(port_of(server))
        assert other.hello.metadata["connection_id"] != hello["connection_id"]
        await other.close()


@pytest.mark.parametrize("version", [(1, 0), (5, 4)], ids=str)
@aiotest
async def test_metadata_of_the_author(version):
    """0.0.2's hook."""

    class Session(Door):
        def get_server_metadata(self):
            return {"server": "Awesome/1.0"}

    async with serving(Session, connect={"version": version}) as (_, client):
        assert client.hello.metadata["server"] == "Awesome/1.0"


@aiotest
async def test_noops_while_a_request_runs():
    go = asyncio.Event()
    waited = asyncio.Event()

    class Session(Door):
        async def run(self, statement, parameters):
            await go.wait()
            return 1

        def keep_alive(self, seconds):
            assert seconds == 30.0
            super().keep_alive(0.001)

        def _noop(self, seconds):
            super()._noop(seconds)
            waited.set()

    async with serving(Session, recv_timeout=60) as (_, client):
        await waited.wait()
        assert client.unpack.noops == 0  # nothing runs
        client.send_run("v")
        while not client.unpack.noops:
            client.items.extend(client.unpack.feed(await client.reader.read(2)))
        go.set()
        assert (await client.answer()).ok


@pytest.mark.parametrize(
    ("context", "advertised", "expected"),
    [
        ({"address": "db.example:7687"}, None, "db.example:7687"),
        ({"address": "db.example:7687"}, "other:1", "db.example:7687"),
        ({}, "db.example:1", "db.example:1"),
        ({}, None, "127.0.0.1:{port}"),
    ],
)
@pytest.mark.parametrize("version", [(4, 3), (4, 4), (5, 8)], ids=str)
@aiotest
async def test_routing_table(context, advertised, expected, version):
    async with serving(Door, advertised_address=advertised, connect={"version": version}) as (server, client):
        database = "graph" if version == (4, 3) else {"db": "graph"}
        table = (await client.ask(Message.ROUTE, context, [], database)).metadata["rt"]
        address = expected.format(port=port_of(server))
        assert table["ttl"] > 0
        assert sorted((each["role"], each["addresses"]) for each in table["servers"]) == [
            ("READ", [address]),
            ("ROUTE", [address]),
            ("WRITE", [address]),
        ]
        assert table["db"] == "graph"


@aiotest
async def test_routing_table_of_the_author():
    class Session(Door):
        async def route(self, context):
            await asyncio.sleep(0)
            return {"ttl": 7, "servers": [], "db": context["region"]}

    async with serving(Session) as (_, client):
        answer = await client.ask(Message.ROUTE, {"region": "eu"}, ["bm"], {})
        assert answer.metadata == {"rt": {"ttl": 7, "servers": [], "db": "eu"}}


@aiotest
async def test_routing_context_of_hello_holds_for_later():
    connect = {"hello": {"routing": {"address": "from.hello:1"}}}
    async with serving(Door, connect=connect) as (_, client):
        table = (await client.ask(Message.ROUTE, {}, [], {})).metadata["rt"]
        assert table["servers"][0]["addresses"] == ["from.hello:1"]


@aiotest
async def test_telemetry_is_taken():
    async with serving(Door) as (_, client):
        assert (await client.ask(Message.TELEMETRY, 2)).ok


class Anyone(asyncbolt.ServerSession):
    def run(self, statement, parameters):
        return 1


@pytest.mark.parametrize("host", ["0.0.0.0", "", ["127.0.0.1", "0.0.0.0"]], ids=str)
@aiotest
async def test_everyone_from_everywhere_must_be_meant(host):
    with pytest.raises(asyncbolt.ConfigurationError, match="Anyone does not override verify_auth_token"):
        await asyncbolt.create_server(Anyone, host=host, port=0)
    async with await asyncbolt.create_server(Anyone, host=host, port=0, allow_anonymous=True):
        pass
    async with await asyncbolt.create_server(Door, host=host, port=0):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", None])
@aiotest
async def test_everyone_on_this_machine_may(host):
    async with await asyncbolt.create_server(Anyone, host=host, port=0) as server:
        client = await RawClient.connect(port_of(server), host=server.sockets[0].getsockname()[0])
        assert (await client.query("v")).rows == [[1]]
        await client.close()
