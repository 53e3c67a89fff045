"""What the driver calls, and only the test can answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import from_testkit
import to_testkit
from conversation import Conversation

import asyncbolt
from asyncbolt.auth_management import (
    AsyncAuthManager,
    AsyncAuthManagers,
    AsyncClientCertificateProvider,
    ClientCertificate,
    ExpiringAuth,
)

__all__ = [
    "AskingAuthManager",
    "AskingCertificateProvider",
    "basic_auth_manager",
    "bearer_auth_manager",
    "bookmark_manager",
    "resolver",
]


class AskingAuthManager(AsyncAuthManager):
    """An auth manager whose methods the test has."""

    def __init__(self, conversation: Conversation, number: int) -> None:
        self._conversation = conversation
        self._number = number

    async def get_auth(self) -> Any:
        answer = await self._conversation.ask(
            "AuthTokenManagerGetAuthRequest", authTokenManagerId=self._number
        )
        return from_testkit.token(answer["auth"])

    async def handle_security_exception(self, auth: Any, error: asyncbolt.Neo4jError) -> bool:
        answer = await self._conversation.ask(
            "AuthTokenManagerHandleSecurityExceptionRequest",
            authTokenManagerId=self._number,
            auth=to_testkit.token(auth),
            errorCode=error.code,
        )
        handled: bool = answer["handled"]
        return handled


def basic_auth_manager(conversation: Conversation, number: int) -> AsyncAuthManager:
    """Return the driver's own manager of passwords; the test has the passwords."""

    async def provide() -> Any:
        answer = await conversation.ask("BasicAuthTokenProviderRequest", basicAuthTokenManagerId=number)
        return from_testkit.token(answer["auth"])

    return AsyncAuthManagers.basic(provide)


def bearer_auth_manager(conversation: Conversation, number: int) -> AsyncAuthManager:
    """Return the driver's own manager of tokens that expire; the test has the tokens."""

    async def provide() -> ExpiringAuth:
        answer = await conversation.ask("BearerAuthTokenProviderRequest", bearerAuthTokenManagerId=number)
        data = answer["auth"]["data"]
        made = ExpiringAuth(from_testkit.token(data["auth"]))
        lifetime = from_testkit.seconds(data["expiresInMs"])
        return made if lifetime is None else made.expires_in(lifetime)

    return AsyncAuthManagers.bearer(provide)


class AskingCertificateProvider(AsyncClientCertificateProvider):
    """A provider of client certificates, which the test has."""

    def __init__(self, conversation: Conversation, number: int) -> None:
        self._conversation = conversation
        self._number = number

    async def get_certificate(self) -> ClientCertificate | None:
        answer = await self._conversation.ask(
            "ClientCertificateProviderRequest", clientCertificateProviderId=self._number
        )
        return from_testkit.certificate(answer["client_certificate"]) if answer["has_update"] else None


def bookmark_manager(
    conversation: Conversation, number: int, initial: list[str] | None, supplies: bool, consumes: bool
) -> Any:
    """Return a bookmark manager of the driver; the test may supply and consume bookmarks."""

    async def supply() -> asyncbolt.Bookmarks:
        answer = await conversation.ask("BookmarksSupplierRequest", bookmarkManagerId=number)
        return asyncbolt.Bookmarks.from_raw_values(answer["bookmarks"])

    async def consume(bookmarks: asyncbolt.Bookmarks) -> None:
        await conversation.ask(
            "BookmarksConsumerRequest", bookmarkManagerId=number, bookmarks=list(bookmarks.raw_values)
        )

    return asyncbolt.AsyncGraphDatabase.bookmark_manager(
        initial_bookmarks=initial,
        bookmarks_supplier=supply if supplies else None,
        bookmarks_consumer=consume if consumes else None,
    )


def resolver(
    conversation: Conversation, addresses: bool, names: bool
) -> Callable[[Any], Awaitable[list[asyncbolt.Address]]]:
    """Return a resolver for the driver.

    Args:
        conversation: where the test is asked.
        addresses: it has a list of addresses for one.
        names: it has a list of IP addresses for a host name. The driver has no hook for that, but it resolves
            an address before each use, so the same hook serves.
    """

    async def resolve(address: Any) -> list[asyncbolt.Address]:
        found = [str(address)]
        if addresses:
            answer = await conversation.ask("ResolverResolutionRequired", address=found[0])
            found = answer["addresses"]
        parsed = [asyncbolt.Address.parse(one) for one in found]
        if not names:
            return parsed
        numeric = []
        for one in parsed:
            answer = await conversation.ask("DomainNameResolutionRequired", name=one.host)
            numeric += [asyncbolt.Address((ip, one.port)) for ip in answer["addresses"]]
        return numeric

    return resolve
