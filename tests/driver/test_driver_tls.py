"""Drivers and TLS: whom they trust, and the certificates that they show."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohelp import LOOPS, aiotest
from certificates import CERTIFICATE, server_context
from driver_servers import driver_of, serving, settled

import asyncbolt
from asyncbolt import TrustAll, TrustCustomCAs, TrustSystemCAs
from asyncbolt.auth_management import (
    AsyncClientCertificateProvider,
    AsyncClientCertificateProviders,
    ClientCertificate,
)
from asyncbolt.exceptions import (
    CertificateConfigurationError,
    ConfigurationError,
    DriverError,
    ServiceUnavailable,
    UntrustedCertificate,
)

CLIENTS = [CERTIFICATE.with_name(f"client-{number}.pem") for number in (1, 2, 3)]
TRUST = TrustCustomCAs(str(CERTIFICATE))


class Shown(asyncbolt.ServerSession):
    """Answers anything with the name in the certificate that the client has shown."""

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        assert self.transport is not None
        names = self.transport.get_extra_info("peercert")
        name = dict(pair[0] for pair in names["subject"])["commonName"] if names else None
        return asyncbolt.Result(["name"], [(name,)])

    async def route(self, context: Any) -> Any:
        address = context["address"]
        roles = ("ROUTE", "READ", "WRITE")
        return {"ttl": 60, "servers": [{"role": role, "addresses": [address]} for role in roles]}


@contextlib.asynccontextmanager
async def encrypted(*, mutual: bool = False) -> AsyncIterator[int]:
    context = server_context()
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATE)
    async with await asyncbolt.create_server(Shown, port=0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


def driver(scheme: str, port: int, **options: Any) -> asyncbolt.AsyncDriver:
    return asyncbolt.AsyncGraphDatabase.driver(f"{scheme}://localhost:{port}", auth=("u", "p"), **options)


async def shown(one: asyncbolt.AsyncDriver) -> Any:
    (record,), _, _ = await one.execute_query("WHO")
    return record["name"]


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("bolt+ssc", {}),
        ("neo4j+ssc", {}),
        ("bolt", {"encrypted": True, "trusted_certificates": TRUST}),
        ("neo4j", {"encrypted": True, "trusted_certificates": TRUST}),
        ("bolt", {"encrypted": True, "trusted_certificates": TrustAll()}),
        ("bolt", {"ssl_context": ssl.create_default_context(cafile=str(CERTIFICATE))}),
    ],
)
@aiotest(loops=LOOPS)
async def test_certificates_that_are_trusted(scheme: str, options: dict[str, Any]) -> None:
    async with encrypted() as port, driver(scheme, port, **options) as one:
        assert await shown(one) is None
        assert (await settled(one)).opened == 1


@pytest.mark.parametrize("scheme", ["bolt+s", "neo4j+s"])
@aiotest
async def test_a_certificate_that_nobody_vouches_for(scheme: str) -> None:
    async with encrypted() as port, driver(scheme, port) as one:
        with pytest.raises(UntrustedCertificate, match=r"the certificate of localhost:\d+ is not trusted"):
            await one.execute_query("WHO", database_="d")  # and is not tried again
        assert (await settled(one)).addresses == {}


@aiotest
async def test_a_certificate_for_another_name() -> None:
    async with encrypted() as port:
        uri = f"bolt://127.1:{port}"  # the certificate names localhost and 127.0.0.1
        options: dict[str, Any] = {"encrypted": True, "trusted_certificates": TRUST}
        async with asyncbolt.AsyncGraphDatabase.driver(uri, auth=("u", "p"), **options) as one:
            with pytest.raises(UntrustedCertificate, match=r"certificate of 127\.1:"):
                await one.verify_connectivity()


@aiotest
async def test_one_side_without_tls() -> None:
    async with serving() as port, driver("bolt+ssc", port) as one:
        with pytest.raises(ServiceUnavailable, match="TLS"):
            await one.verify_connectivity()
    async with encrypted() as port, driver("bolt", port) as one:
        with pytest.raises(ServiceUnavailable, match="TLS"):
            await one.verify_connectivity()


@aiotest
async def test_a_tls_handshake_that_stalls_is_bounded() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with driver("bolt+ssc", port, connection_acquisition_timeout=0.05) as one:
        with pytest.raises(DriverError, match=r"0\.05"):
            await one.verify_connectivity()
        assert (await settled(one)).addresses == {}
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "certificate",
    [
        ClientCertificate(CLIENTS[0]),
        ClientCertificate(str(CLIENTS[0]), str(CLIENTS[0])),
        ClientCertificate(CLIENTS[2], password="sesame"),
        ClientCertificate(CLIENTS[2], password=lambda: b"sesame"),
    ],
)
@pytest.mark.parametrize("scheme", ["bolt+ssc", "neo4j+ssc"])
@aiotest
async def test_a_client_shows_its_certificate(scheme: str, certificate: ClientCertificate) -> None:
    expected = "client 3" if certificate.password is not None else "client 1"
    async with encrypted(mutual=True) as port:
        async with driver(scheme, port, client_certificate=certificate) as one:
            assert await shown(one) == expected
        provider = AsyncClientCertificateProviders.static(certificate)
        async with driver(scheme, port, client_certificate=provider) as one:
            assert await shown(one) == expected


@aiotest
async def test_a_server_that_wants_a_certificate_and_gets_none() -> None:
    async with encrypted(mutual=True) as port, driver("bolt+ssc", port) as one:
        with pytest.raises(ServiceUnavailable, match="may expect a certificate of the client"):
            await one.verify_connectivity()
        assert (await settled(one)).addresses == {}


@aiotest
async def test_a_certificate_is_replaced_for_new_connections() -> None:
    provider = AsyncClientCertificateProviders.rotating(ClientCertificate(CLIENTS[0]))
    async with (
        encrypted(mutual=True) as port,
        driver("bolt+ssc", port, client_certificate=provider) as one,
        one.session() as old,
    ):
        held = await old.begin_transaction()
        await provider.update_certificate(ClientCertificate(CLIENTS[1]))
        assert await shown(one) == "client 2"
        # A connection that is open keeps the one that it was made with.
        assert await (await held.run("WHO")).value("name") == ["client 1"]
        await held.rollback()


@aiotest
async def test_a_provider_that_has_nothing_new_returns_none() -> None:
    class Once(AsyncClientCertificateProvider):
        given = False

        async def get_certificate(self) -> ClientCertificate | None:
            first, self.given = not self.given, True
            return ClientCertificate(CLIENTS[0]) if first else None

    async with encrypted(mutual=True) as port, driver("bolt+ssc", port, client_certificate=Once()) as one:
        async with one.session() as session, await session.begin_transaction():
            assert await shown(one) == "client 1"
        assert (await settled(one)).opened == 2


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (ClientCertificate("/nowhere/cert.pem"), "No such file"),
        (ClientCertificate(CLIENTS[2]), "its key is encrypted, and no password was given"),
        (ClientCertificate(CLIENTS[2], password="wrong"), "cannot be used"),
        (ClientCertificate(CLIENTS[0], CLIENTS[1]), "KEY_VALUES_MISMATCH|key values mismatch"),
        (ClientCertificate(CERTIFICATE), "cannot be used"),  # no key in it
    ],
)
@aiotest
async def test_a_certificate_that_cannot_be_used(certificate: ClientCertificate, reason: str) -> None:
    provider = AsyncClientCertificateProviders.rotating(ClientCertificate(CLIENTS[0]))
    async with (
        encrypted(mutual=True) as port,
        driver("bolt+ssc", port, client_certificate=provider, max_connection_lifetime=0) as one,
    ):
        assert await shown(one) == "client 1"
        await provider.update_certificate(certificate)
        for _ in range(2):  # and it does not fall back to the one before
            with pytest.raises(CertificateConfigurationError, match=reason):
                await one.verify_connectivity()
        await provider.update_certificate(ClientCertificate(CLIENTS[1]))
        assert await shown(one) == "client 2"


@aiotest
async def test_authorities_that_cannot_be_read() -> None:
    for path in ("/nowhere/ca.pem", __file__):
        options: dict[str, Any] = {"encrypted": True, "trusted_certificates": TrustCustomCAs(path)}
        async with driver("bolt", 1, **options) as one:
            with pytest.raises(ConfigurationError, match="no certificates of authorities"):
                await one.verify_connectivity()
    async with driver_of(1, encrypted=True, trusted_certificates=TrustSystemCAs()) as one:
        with pytest.raises(ServiceUnavailable) as caught:
            await one.verify_connectivity()
        assert "TLS" not in str(caught.value)  # nobody is there at all
