"""Credentials: tokens, who hands them out, and the certificates of clients."""

from __future__ import annotations

import abc
import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

from ..aio._clock import seen
from ..exceptions import AuthConfigurationError, BoltError, Neo4jError
from . import clock

if TYPE_CHECKING:
    # Type checkers take any class with the methods; at run time these are plain abstract classes.
    from typing import Protocol as _Interface
else:
    _Interface = object

__all__ = [
    "AsyncAuthManager",
    "AsyncAuthManagers",
    "AsyncClientCertificateProvider",
    "AsyncClientCertificateProviders",
    "AsyncRotatingClientCertificateProvider",
    "Auth",
    "AuthManager",
    "AuthToken",
    "ClientCertificate",
    "ClientCertificateProvider",
    "ExpiringAuth",
    "auth_map",
    "basic_auth",
    "bearer_auth",
    "custom_auth",
    "kerberos_auth",
    "token_at_hand",
]

logger = logging.getLogger("asyncbolt.driver")

_HIDDEN: Final = "*******"
_TEXTS: Final = ("scheme", "principal", "realm")
_GRACE: Final = 0.1


class Auth:
    """Credentials of one scheme. Their ``repr`` does not show the secret.

    Args:
        scheme: ``"basic"``, ``"bearer"``, ``"kerberos"``, ``"none"``, or one of the server's own.
        principal: Who; None where the credentials say so.
        credentials: The secret; left out when empty.
        realm: The provider that is to check it; left out when empty.
        parameters: What else a scheme of the server's own needs.
    """

    scheme: str | None
    principal: str
    credentials: str
    realm: str
    parameters: dict[str, Any]

    def __init__(
        self,
        scheme: str | None,
        principal: str | None,
        credentials: str | None,
        realm: str | None = None,
        **parameters: Any,
    ) -> None:
        self.scheme = scheme
        # An empty principal is sent all the same: servers before 4.4 want to see one.
        if principal is not None:
            self.principal = principal
        if credentials:
            self.credentials = credentials
        if realm:
            self.realm = realm
        if parameters:
            self.parameters = parameters

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, Auth) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # the attributes may change

    def __repr__(self) -> str:
        values = vars(self).items()
        shown = [f"{name}={value!r}" if name in _TEXTS else f"{name}={_HIDDEN}" for name, value in values]
        return f"{type(self).__name__}({', '.join(shown)})"


AuthToken = Auth
"""Another name of :class:`Auth`."""


def basic_auth(user: str, password: str, realm: str | None = None) -> Auth:
    """Return the token of a user with a password; the pair ``(user, password)`` means the same.

    Args:
        user: The name.
        password: The password.
        realm: The provider that is to check it.
    """
    return Auth("basic", user, password, realm)


def kerberos_auth(base64_encoded_ticket: str) -> Auth:
    """Return the token of a Kerberos ticket, which is given in base 64."""
    return Auth("kerberos", "", base64_encoded_ticket)


def bearer_auth(base64_encoded_token: str) -> Auth:
    """Return the token that a provider of single sign-on issued, which is given in base 64."""
    return Auth("bearer", None, base64_encoded_token)


def custom_auth(
    principal: str | None,
    credentials: str | None,
    realm: str | None,
    scheme: str | None,
    **parameters: Any,
) -> Auth:
    """Return a token of a scheme of the server's own; the arguments are those of :class:`Auth`."""
    return Auth(scheme, principal, credentials, realm, **parameters)


_NAMES: Final = ("scheme", "principal", "credentials", "realm", "parameters")


def auth_map(auth: Any) -> dict[str, Any]:
    """Return *auth* as LOGON sends it (before Bolt 5.1, HELLO): a new map.

    Args:
        auth: A (user, password) or (user, password, realm) pair, an :class:`Auth` or whatever has its
            attributes, a map with ``scheme``, or None, which becomes ``{"scheme": "none"}``.

    Raises:
        AuthConfigurationError: it is something else. What it holds is never in the message.
    """
    if auth is None:
        return {"scheme": "none"}
    if isinstance(auth, (tuple, list)):
        if not 2 <= len(auth) <= 3:
            raise AuthConfigurationError(
                f"auth as a tuple is (user, password) or (user, password, realm), not {len(auth)} values"
            )
        auth = Auth("basic", *auth)
    if isinstance(auth, Mapping):
        found = dict(auth)
        if "scheme" not in found:
            raise AuthConfigurationError("auth as a map has the key 'scheme'")
    elif hasattr(auth, "scheme"):
        found = {name: getattr(auth, name, None) for name in _NAMES}
        found = {name: value for name, value in found.items() if value is not None or name == "scheme"}
    else:
        raise AuthConfigurationError(
            "auth is a (user, password) pair, a token such as basic_auth() gives, an auth manager or None,"
            f" not {type(auth).__name__}"
        )
    for name in _TEXTS:
        if not isinstance(found.get(name), (str, type(None))):
            raise AuthConfigurationError(f"auth: the {name} is a str, not {type(found[name]).__name__}")
    # A wrapper that hides a secret (pydantic's SecretStr) would fail later, in the middle of the login.
    if not isinstance(found.get("credentials"), (str, bytes, bytearray, type(None))):
        raise AuthConfigurationError(
            f"auth: the credentials are a str, not {type(found['credentials']).__name__}"
        )
    return found


@dataclass
class ExpiringAuth:
    """A token, and when it ends. Its ``repr`` does not show the secret.

    Attributes:
        auth: The token.
        expires_at: When it ends, in seconds since 1970-01-01 UTC; None: when the server says so.
    """

    auth: Any = field(repr=False)
    expires_at: float | None = None

    def expires_in(self, seconds: float) -> ExpiringAuth:
        """Return the same token, ending *seconds* from now."""
        return ExpiringAuth(self.auth, clock.wall() + seconds)

    def _has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at < clock.wall()


class AuthManager(_Interface, metaclass=abc.ABCMeta):
    """Hands out tokens from plain methods; :class:`AsyncAuthManager` is the same with coroutines."""

    @abc.abstractmethod
    def get_auth(self) -> Any:
        """Return the token to use now: a pair, a token, or None."""

    @abc.abstractmethod
    def handle_security_exception(self, auth: Any, error: Neo4jError) -> bool:
        """Take note that *auth* led to *error*; return whether another try may help."""


class AsyncAuthManager(_Interface, metaclass=abc.ABCMeta):
    """Hands out tokens. Asked each time a connection is taken from the pool, so it should keep its token.

    Another token than before leads to a new login, and must belong to the same user: ``auth=`` of a session
    is for other users. Methods must not use the driver.
    """

    @abc.abstractmethod
    async def get_auth(self) -> Any:
        """Return the token to use now: a pair, a token, or None."""

    @abc.abstractmethod
    async def handle_security_exception(self, auth: Any, error: Neo4jError) -> bool:
        """Take note that *auth* led to *error*; return whether another try may help.

        Args:
            auth: What :meth:`get_auth` had returned.
            error: The server's failure; its code starts with ``Neo.ClientError.Security.``.

        Returns:
            Whether *error* is to be retryable, since there is another token now.
        """


class _StaticManager(AsyncAuthManager):
    def __init__(self, auth: Any) -> None:
        auth_map(auth)
        self._auth = auth

    def at_hand(self) -> tuple[bool, Any]:
        return True, self._auth

    async def get_auth(self) -> Any:
        return self._auth

    async def handle_security_exception(self, auth: Any, error: Neo4jError) -> bool:
        return False


def token_at_hand(manager: Any) -> tuple[bool, Any]:
    """Return whether *manager* has a token at hand, for which nothing need be awaited, and the token."""
    if type(manager) is _StaticManager or type(manager) is _RenewingManager:
        return manager.at_hand()
    return False, None


class _Renewal:
    """One call of a provider, and how many wait for it."""

    __slots__ = ("task", "waiting")

    task: asyncio.Task[ExpiringAuth]

    def __init__(self) -> None:
        self.waiting = 0


class _RenewingManager(AsyncAuthManager):
    """Keeps a token; asks the provider for a new one when it has ended or the server refuses it.

    All who need a token while the provider is asked wait for that one answer. It is asked in a task of its
    own, so that one who is cancelled does not take the answer from the others; when nobody waits any longer,
    that task is cancelled too. Several event loops may use one manager: each asks by itself.
    """

    def __init__(self, provider: Callable[[], Any], codes: frozenset[str], *, expiring: bool) -> None:
        if not callable(provider):
            raise TypeError(f"a provider of tokens is a function, not {type(provider).__name__}")
        self._provider = provider
        self._codes = codes
        self._expiring = expiring
        self._current: ExpiringAuth | None = None
        self._renewals: dict[asyncio.AbstractEventLoop, _Renewal] = {}

    def at_hand(self) -> tuple[bool, Any]:
        current = self._current
        return (False, None) if current is None or current._has_expired() else (True, current.auth)

    async def get_auth(self) -> Any:
        current = self._current
        if current is None or current._has_expired():
            current = await self._renewed()
        return current.auth

    async def handle_security_exception(self, auth: Any, error: Neo4jError) -> bool:
        if error.code not in self._codes:
            return False
        current = self._current
        if current is not None and _same(current.auth, auth):
            # Those who come from now on wait for the new one.
            self._current = None
            logger.debug("a new token is asked for, since the server refused the last one: %s", error.code)
            await self._renewed()
        elif asyncio.get_running_loop() in self._renewals:
            await self._renewed()
        return True

    async def _renewed(self) -> ExpiringAuth:
        loop = asyncio.get_running_loop()
        renewal = self._renewals.get(loop)
        if renewal is None:
            for other in [other for other in self._renewals if other.is_closed()]:
                self._renewals.pop(other, None)
            renewal = self._renewals[loop] = _Renewal()
            renewal.task = loop.create_task(self._renew(loop, renewal))
            renewal.task.add_done_callback(seen)
        elif renewal.task is asyncio.current_task():
            raise RuntimeError("a provider of tokens uses the driver that waits for its token")
        renewal.waiting += 1
        try:
            # Unlike await, this leaves the task alone when it is cancelled.
            await asyncio.wait((renewal.task,))
        except asyncio.CancelledError:
            if renewal.waiting == 1 and not renewal.task.done():
                self._forget(loop, renewal)
                renewal.task.cancel()
                # A provider that does not let itself be cancelled is left to itself.
                await asyncio.wait((renewal.task,), timeout=_GRACE)
            raise
        finally:
            renewal.waiting -= 1
        return renewal.task.result()

    async def _renew(self, loop: asyncio.AbstractEventLoop, renewal: _Renewal) -> ExpiringAuth:
        try:
            found = self._provider()
            if inspect.isawaitable(found):
                found = await found
            if not self._expiring:
                found = ExpiringAuth(found)
            elif not isinstance(found, ExpiringAuth):
                raise TypeError(
                    f"a provider of expiring tokens returns an ExpiringAuth, not {type(found).__name__}"
                )
            self._current = found
            return found
        except Exception as error:
            # Not its text: who knows what the provider puts there.
            logger.error("a provider of tokens failed with %s", type(error).__name__)
            raise
        finally:
            self._forget(loop, renewal)

    def _forget(self, loop: asyncio.AbstractEventLoop, renewal: _Renewal) -> None:
        if self._renewals.get(loop) is renewal:
            del self._renewals[loop]


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return auth_map(one) == auth_map(other)
    except BoltError:
        return False


class AsyncAuthManagers:
    """Makes auth managers for the usual cases."""

    @staticmethod
    def of(auth: Any) -> AsyncAuthManager | AuthManager:
        """Return *auth* when it is an auth manager, and otherwise a manager of this token.

        Whatever has the two methods is a manager.

        Raises:
            AuthConfigurationError: it is neither a manager nor a token.
        """
        missing = [name for name in _MANAGER_METHODS if not callable(getattr(auth, name, None))]
        if not missing:
            manager: AsyncAuthManager = auth
            return manager
        if len(missing) < len(_MANAGER_METHODS):
            raise AuthConfigurationError(f"the auth manager {type(auth).__name__} has no {missing[0]}()")
        return _StaticManager(auth)

    @staticmethod
    def static(auth: Any) -> AsyncAuthManager:
        """Return a manager whose token never changes: what ``driver(auth=...)`` makes of a token.

        Args:
            auth: A pair, a token, or None.

        Raises:
            AuthConfigurationError: it is something else.
        """
        return _StaticManager(auth)

    @staticmethod
    def basic(provider: Callable[[], Any | Awaitable[Any]]) -> AsyncAuthManager:
        """Return a manager for a password that is changed now and then.

        Args:
            provider: Called without arguments, and awaited if need be, for the token: at first, and whenever
                the server has refused the last one. It must not use the driver.
        """
        return _RenewingManager(provider, frozenset((_UNAUTHORIZED,)), expiring=False)

    @staticmethod
    def bearer(provider: Callable[[], ExpiringAuth | Awaitable[ExpiringAuth]]) -> AsyncAuthManager:
        """Return a manager for tokens that end::

            async def provider():
                token, seconds = await ask_the_identity_provider()
                return ExpiringAuth(bearer_auth(token)).expires_in(seconds - 10)

            driver = AsyncGraphDatabase.driver(uri, auth=AsyncAuthManagers.bearer(provider))

        Args:
            provider: Called without arguments, and awaited if need be, for the token: at first, when it has
                ended, and whenever the server has refused the last one. It must not use the driver.
        """
        return _RenewingManager(provider, frozenset((_TOKEN_EXPIRED, _UNAUTHORIZED)), expiring=True)


_MANAGER_METHODS: Final = ("get_auth", "handle_security_exception")
_UNAUTHORIZED: Final = "Neo.ClientError.Security.Unauthorized"
_TOKEN_EXPIRED: Final = "Neo.ClientError.Security.TokenExpired"


@dataclass
class ClientCertificate:
    """A certificate by which the client proves who it is (mutual TLS); the arguments of ``load_cert_chain``.

    Attributes:
        certfile: Path of a PEM file: the certificate, and those between it and the authority.
        keyfile: Path of the PEM file with its key; None when *certfile* holds it too.
        password: The password of the key, or a function that returns it. Not in the ``repr``.
    """

    certfile: str | bytes | PathLike[str] | PathLike[bytes]
    keyfile: str | bytes | PathLike[str] | PathLike[bytes] | None = None
    password: Callable[[], str | bytes] | str | bytes | None = field(default=None, repr=False)


class ClientCertificateProvider(_Interface, metaclass=abc.ABCMeta):
    """Hands out client certificates from a plain method."""

    @abc.abstractmethod
    def get_certificate(self) -> ClientCertificate | None:
        """Return the certificate for new connections; None: the one that was returned last."""


class AsyncClientCertificateProvider(_Interface, metaclass=abc.ABCMeta):
    """Hands out client certificates. Asked before each new connection with TLS; must not use the driver."""

    @abc.abstractmethod
    async def get_certificate(self) -> ClientCertificate | None:
        """Return the certificate for new connections; None: the one that was returned last.

        To return the same object again costs no more than None. Connections that are open keep theirs.
        """


class AsyncRotatingClientCertificateProvider(AsyncClientCertificateProvider):
    """A provider whose certificate can be replaced; ``AsyncClientCertificateProviders.rotating`` makes it."""

    @abc.abstractmethod
    async def update_certificate(self, cert: ClientCertificate) -> None:
        """Use *cert* for new connections from now on."""


class _RotatingProvider(AsyncRotatingClientCertificateProvider):
    # Returns its certificate each time, so that several drivers (and a driver's several event loops) get it.

    def __init__(self, cert: ClientCertificate) -> None:
        self._cert = _checked(cert)

    async def get_certificate(self) -> ClientCertificate | None:
        return self._cert

    async def update_certificate(self, cert: ClientCertificate) -> None:
        self._cert = _checked(cert)


class _StaticProvider(AsyncClientCertificateProvider):
    def __init__(self, cert: ClientCertificate) -> None:
        self._cert = _checked(cert)

    async def get_certificate(self) -> ClientCertificate | None:
        return self._cert


def _checked(cert: object) -> ClientCertificate:
    if not isinstance(cert, ClientCertificate):
        raise TypeError(f"a ClientCertificate is expected, not {type(cert).__name__}")
    return cert


class AsyncClientCertificateProviders:
    """Makes providers of client certificates for the usual cases."""

    @staticmethod
    def static(cert: ClientCertificate) -> AsyncClientCertificateProvider:
        """Return a provider whose certificate never changes."""
        return _StaticProvider(cert)

    @staticmethod
    def rotating(initial_cert: ClientCertificate) -> AsyncRotatingClientCertificateProvider:
        """Return a provider whose certificate ``await provider.update_certificate(...)`` replaces."""
        return _RotatingProvider(initial_cert)
