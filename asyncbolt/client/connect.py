"""Connecting: addresses, versions, TLS, login."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl as _ssl
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from .._constants import Message, Version
from .._options import fetch_size as fitting_size
from .._options import seconds, whole
from ..aio._clock import Deadline, TimeoutExpired, bounded
from ..aio.client import BoltClientProtocol
from ..aio.tls import client_context
from ..exceptions import (
    AuthConfigurationError,
    BoltError,
    ConfigurationError,
    HandshakeError,
    Neo4jError,
    ServiceUnavailable,
    UntrustedCertificate,
)
from ..protocol import ClientConnection, HandshakeReason
from ..protocol.handshake import FALLBACK_OFFERS, decode_offer
from ..protocol.versions import facts, known_versions
from .link import RESET_TIMEOUT, Link
from .session import ClientSession
from .uri import DEFAULT_PORT, Address, parse_uri

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Connecting", "Opener", "VersionMemory", "connect"]

class VersionMemory:
    """The version that each address spoke last, for a bounded number of addresses."""

    _MOST: Final = 1024

    def __init__(self) -> None:
        self._versions: OrderedDict[tuple[str, int, bool], Version] = OrderedDict()

    def get(self, key: tuple[str, int, bool]) -> Version | None:
        """Return the version of *key* (host, port, TLS), None when it is not known."""
        return self._versions.get(key)

    def learn(self, key: tuple[str, int, bool], version: Version) -> None:
        """Remember that *key* speaks *version*."""
        self._versions[key] = version
        self._versions.move_to_end(key)
        while len(self._versions) > self._MOST:
            self._versions.popitem(last=False)

    def forget(self, key: tuple[str, int, bool]) -> None:
        """Forget what *key* speaks."""
        self._versions.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._versions.clear()


_remembered: Final = VersionMemory()

_RETRIED: Final = (HandshakeReason.NO_COMMON_VERSION, HandshakeReason.CLOSED_BEFORE_REPLY)


_FALLBACK_VERSIONS: Final = frozenset(version for offer in FALLBACK_OFFERS for version in decode_offer(offer))


def _answers_unasked(version: Version) -> bool:
    """Return whether the login may be written together with the handshake.

    Where credentials travel in HELLO (up to 5.0) it may not: Neo4j (5.26 and 2026.08) then often keeps the
    limits that it has for those who are not logged in, and cuts the connection at the first request with
    more than 64 elements.
    """
    return "logon" in facts(version).features


class Opener:
    """The arguments of :func:`connect`, checked, and how to open a connection with them."""

    def __init__(
        self,
        uri: str | None = None,
        *,
        auth: Any = None,
        database: str | None = None,
        user_agent: str | None = None,
        timeout: float | None = None,
        fetch_size: int = 1000,
        versions: Iterable[Version] | None = None,
        protocol_class: type[BoltClientProtocol] | None = None,
        host: str | None = None,
        port: int | None = None,
        ssl: bool | _ssl.SSLContext | None = None,
        on_failure: Message | None = None,
        max_inflight: int = 2048,
        max_inflight_bytes: int = 16 * 1024 * 1024,
        reset_timeout: float = RESET_TIMEOUT,
        max_message_size: int | None = None,
        extended_types: bool = False,
        routing: Mapping[str, Any] | None = None,
        notifications_minimum_severity: str | None = None,
        notifications_disabled: Iterable[str] | None = None,
        protocol_arguments: Mapping[str, Any] | None = None,
        unix: str | None = None,
        connect_timeout: float | None = None,
        write_timeout: float | None = None,
        keep_alive: bool = False,
        oldest: bool = True,
        memory: VersionMemory | None = None,
    ) -> None:
        if uri is not None:
            if host is not None or port is not None:
                raise ConfigurationError("give a URI, or host and port, not both")
            address = parse_uri(uri)
        elif unix is not None:
            address = Address(unix, 0, path=unix)
        else:
            address = Address("127.0.0.1" if host is None else host, DEFAULT_PORT if port is None else port)
        if address.user is not None:
            if auth is not None:
                raise AuthConfigurationError("the URI holds a user already, so auth= cannot be given")
            auth = (address.user, address.password or "")
        if on_failure is None:
            on_failure = Message.RESET
        if on_failure not in (Message.RESET, Message.ACK_FAILURE):
            raise ConfigurationError("on_failure is Message.RESET or Message.ACK_FAILURE")
        try:
            fetch_size = fitting_size(fetch_size)
            max_inflight = whole("max_inflight", max_inflight)
            max_inflight_bytes = whole("max_inflight_bytes", max_inflight_bytes)
            reset_timeout = seconds("reset_timeout", reset_timeout, above=True)
            if max_message_size is not None:
                max_message_size = whole("max_message_size", max_message_size)
            if timeout is not None:
                timeout = seconds("timeout", timeout)
            if connect_timeout is not None:
                connect_timeout = seconds("connect_timeout", connect_timeout)
            if write_timeout is not None:
                write_timeout = seconds("write_timeout", write_timeout)
            if versions is not None:
                versions = known_versions(versions)
            for name, text in (
                ("database", database),
                ("user_agent", user_agent),
                ("notifications_minimum_severity", notifications_minimum_severity),
            ):
                if text is not None and not isinstance(text, str):
                    raise TypeError(f"{name} is a str, not {type(text).__name__}")
            if notifications_disabled is not None:
                if isinstance(notifications_disabled, str):
                    raise TypeError("notifications_disabled is a list of names, not one name")
                # Each connection needs them.
                notifications_disabled = list(notifications_disabled)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(str(error)) from error
        self.address = address._replace(user=None, password=None)
        self.ssl = client_context(ssl, address.tls, address.verified)
        self.auth = auth
        self.database = database
        self.user_agent = user_agent
        self.timeout = timeout
        self.fetch_size = fetch_size if fetch_size != -1 else 1000
        self.versions = versions
        self.protocol_class = BoltClientProtocol if protocol_class is None else protocol_class
        self.protocol_arguments = dict(protocol_arguments or {})
        self.on_failure = on_failure
        self.max_inflight = max_inflight
        self.max_inflight_bytes = max_inflight_bytes
        self.reset_timeout = reset_timeout
        self.connect_timeout = connect_timeout
        self.write_timeout = write_timeout
        self.keep_alive = keep_alive
        self.oldest = oldest
        self.memory = _remembered if memory is None else memory
        self._connection_options: dict[str, Any] = {"extended_types": extended_types}
        if max_message_size is not None:
            self._connection_options["max_message_size"] = max_message_size
        self._login_options = {
            key: value
            for key, value in (
                ("routing", routing),
                ("notifications_minimum_severity", notifications_minimum_severity),
                ("notifications_disabled", notifications_disabled),
            )
            if value is not None
        }

    @property
    def _key(self) -> tuple[str, int, bool]:
        return self.address.host, self.address.port, self.ssl is not None

    async def open(self, timeout: float | None = None) -> ClientSession:
        """Connect and log in; gives a new session."""
        session = ClientSession(self, asyncio.get_running_loop())
        await self.connect(session, timeout)
        return session

    async def connect(self, link: Link, timeout: float | None = None) -> None:
        """Connect and log in; *link* gets the new connection."""
        loop = link.loop
        deadline = Deadline(loop, self.timeout if timeout is None else seconds("timeout", timeout))
        if self.versions is not None:
            known = self.versions[0] if len(self.versions) == 1 else None
            if known is not None and _answers_unasked(known):
                await self._try(link, deadline, version=known)
            else:
                await self._try(link, deadline, versions=self.versions)
            return
        known = self.memory.get(self._key)
        if known is not None and (_answers_unasked(known) or known in _FALLBACK_VERSIONS):
            guess: dict[str, Any] = {"version": known} if _answers_unasked(known) else {"versions": (known,)}
            try:
                await self._try(link, deadline, **guess)
                return
            except (HandshakeError, ServiceUnavailable):
                # Not taken any more, perhaps: ask.
                self.memory.forget(self._key)
        try:
            await self._try(link, deadline)
        except HandshakeError as error:
            if not self.oldest or getattr(error, "reason", None) not in _RETRIED:
                raise
            # Four slots are not enough for the oldest versions.
            try:
                await self._try(link, deadline, offers=FALLBACK_OFFERS)
            except (HandshakeError, ServiceUnavailable):
                raise error from None

    async def _try(self, link: Link, deadline: Deadline, **offered: Any) -> None:
        """Make one connection; *offered* as :class:`ClientConnection` takes it."""
        loop = link.loop
        where = str(self.address)
        connection = ClientConnection(**offered, **self._connection_options)
        protocol = self._make_protocol(loop, connection)
        await self._connect_transport(loop, protocol, deadline)
        try:
            try:
                user_agent, token = await self._credentials(protocol, deadline)
                if connection.version is None:
                    await bounded(
                        protocol._wait_handshake(),
                        deadline,
                        f"{where} is connected, but did not answer the handshake within {deadline.timeout} s",
                    )
                if connection.error is not None:
                    raise connection.error
                link._attach(protocol)
                login = link._login(user_agent, token, self._login_options)
                waiter: asyncio.Future[Any] = login.waiter  # type: ignore[assignment]
                await bounded(
                    waiter, deadline, f"{where} did not answer the login within {deadline.timeout} s"
                )
                link._hear_hints(connection.hints)
            except Neo4jError:
                raise
            except (HandshakeError, ServiceUnavailable) as error:
                raise self._explained(error) from error.__cause__
        except BaseException:
            if protocol.transport is not None:
                protocol.transport.abort()
                await _quietly(protocol._wait_closed())
            raise
        version = connection.version
        if version is None or self.versions is not None:
            return  # what was asked for is not what others would get
        self.memory.learn(self._key, version)

    def _make_protocol(
        self, loop: asyncio.AbstractEventLoop, connection: ClientConnection
    ) -> BoltClientProtocol:
        protocol = self.protocol_class(loop, **self.protocol_arguments)
        if not isinstance(protocol, BoltClientProtocol):
            raise ConfigurationError("protocol_class must be a subclass of BoltClientProtocol")
        protocol._prepare(loop, connection)
        return protocol

    async def _connect_transport(
        self, loop: asyncio.AbstractEventLoop, protocol: BoltClientProtocol, deadline: Deadline
    ) -> None:
        address = self.address
        limit = deadline
        if self.connect_timeout is not None:
            remaining = deadline.remaining()
            if remaining is None or self.connect_timeout < remaining:
                limit = Deadline(loop, self.connect_timeout)
        connecting: Any
        if address.path is not None:
            if not hasattr(socket, "AF_UNIX"):
                raise ConfigurationError("this platform has no Unix sockets")
            connecting = loop.create_unix_connection(
                lambda: protocol,
                address.path,
                ssl=self.ssl,
                # A path is no name that a certificate could be made for.
                server_hostname=None if self.ssl is None else "localhost",
            )
        else:
            connecting = loop.create_connection(lambda: protocol, address.host, address.port, ssl=self.ssl)
        try:
            transport, _ = await bounded(
                connecting,
                limit,
                f"no connection to {address} within {limit.timeout} s",
                undo=lambda pair: pair[0].abort(),
            )
            if self.keep_alive and address.path is None:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except TimeoutExpired:
            raise
        except _ssl.SSLCertVerificationError as error:
            raise UntrustedCertificate(
                f"the certificate of {address} is not trusted: {error.verify_message}"
            ) from error
        except _ssl.SSLError as error:
            raise ServiceUnavailable(
                f"no TLS with {address}, which may be a server without it: {error.reason or error}"
            ) from error
        except OSError as error:
            reached = isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError)
            if self.ssl is not None and reached and protocol.transport is None:
                hint = " (or it does not speak TLS)"
            else:
                hint = ""
            raise ServiceUnavailable(f"cannot connect to {address}{hint}: {error}") from error

    def _explained(self, error: BoltError) -> BoltError:
        """Name the server in an error that does not."""
        where = str(self.address)
        if error.args and isinstance(error.args[0], str) and where not in error.args[0]:
            text = f"{where}: {error.args[0]}"
            if getattr(error, "reason", None) is HandshakeReason.CLOSED_BEFORE_REPLY:
                wanted = "TLS, bolt+s://" if self.ssl is None else "a certificate of the client"
                text += f" (it may expect {wanted}, or not speak Bolt)"
            error.args = (text, *error.args[1:])
            if hasattr(error, "_message"):
                error._message = text
        return error

    async def _credentials(
        self, protocol: BoltClientProtocol, deadline: Deadline
    ) -> tuple[str, Mapping[str, Any]]:
        auth = self.auth
        if auth is None:
            params = protocol.get_init_params()
            if not isinstance(params, tuple) or len(params) != 2 or not isinstance(params[0], str):
                raise ConfigurationError("get_init_params must return a user agent and an auth token")
            user_agent, token = params
            if not isinstance(token, Mapping):
                raise AuthConfigurationError("the auth token of get_init_params must be a map")
        else:
            user_agent = BoltClientProtocol.get_init_params(protocol)[0]
            token = await auth_token(auth, deadline)
        return self.user_agent or user_agent, token


async def auth_token(auth: Any, deadline: Deadline) -> Mapping[str, Any]:
    """Return the token that *auth* is: a pair, a map, an object with ``scheme``, or a callable for one."""
    if callable(auth) and not hasattr(auth, "scheme"):
        auth = auth()
        if inspect.isawaitable(auth):
            auth = await bounded(auth, deadline, f"auth= gave no token within {deadline.timeout} s")
    if isinstance(auth, tuple) and len(auth) == 2:
        return {"scheme": "basic", "principal": auth[0], "credentials": auth[1]}
    if isinstance(auth, Mapping):
        return dict(auth)
    if hasattr(auth, "scheme"):
        names = ("scheme", "principal", "credentials", "realm", "parameters")
        values = {name: getattr(auth, name, None) for name in names}
        return {name: value for name, value in values.items() if value is not None}
    # Its repr may hold a password.
    raise AuthConfigurationError(
        f"auth is a (user, password) pair, a token, or a callable that gives one, not {type(auth).__name__}"
    )


async def _quietly(step: Any) -> None:
    try:
        await asyncio.wait_for(step, 1.0)
    except (Exception, asyncio.CancelledError):
        pass


class Connecting:
    """What :func:`connect` returns: await it for a session, or use it with ``async with``."""

    __slots__ = ("_opener", "_session")

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._session: ClientSession | None = None

    def __await__(self) -> Generator[Any, None, ClientSession]:
        return self._opener.open().__await__()

    async def __aenter__(self) -> ClientSession:
        self._session = await self._opener.open()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        session = self._session
        if session is not None:
            self._session = None
            await session.__aexit__(kind, error, traceback)


def connect(
    uri: str | None = None,
    *,
    auth: tuple[str, str] | Mapping[str, Any] | Callable[[], Any] | Any = None,
    database: str | None = None,
    user_agent: str | None = None,
    timeout: float | None = None,
    fetch_size: int = 1000,
    versions: Iterable[Version] | None = None,
    protocol_class: type[BoltClientProtocol] | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
    host: str | None = None,
    port: int | None = None,
    ssl: bool | _ssl.SSLContext | None = None,
    on_failure: Message | None = None,
    max_inflight: int = 2048,
    max_inflight_bytes: int = 16 * 1024 * 1024,
    reset_timeout: float = RESET_TIMEOUT,
    max_message_size: int | None = None,
    extended_types: bool = False,
    notifications_minimum_severity: str | None = None,
    notifications_disabled: Iterable[str] | None = None,
    **kwargs: Any,
) -> Connecting:
    """Connect to a Bolt server and log in; gives a :class:`ClientSession`.

    Await it, or use it with ``async with``, which closes the session at the end::

        async with asyncbolt.connect("bolt://localhost:7687", auth=("neo4j", "secret")) as session:
            rows = await session.fetch("RETURN 1 AS n")

    Every version from Bolt 1 to 6.1 is offered. The version that an address speaks is remembered: from Bolt
    5.1 on, later connections cost one write and one round trip.

    Args:
        uri: ``bolt://[user:password@]host[:port]``; ``bolt+s`` is TLS with a checked certificate,
            ``bolt+ssc`` TLS with any. Or give *host* and *port* (127.0.0.1 and 7687 when left out).
        auth: a (user, password) pair, a token (a map with ``scheme``, or an object with such attributes),
            or a callable that gives either, or a coroutine for it, anew for each connection. Without it
            ``get_init_params`` of the *protocol_class* is asked.
        database: the database of every statement that names none (Bolt 4.0+).
        user_agent: the application, as "Name/Version".
        timeout: seconds for connecting, the handshake and the login together.
        fetch_size: rows of the first PULL of :meth:`ClientSession.batches`, and half of how many may wait for
            a slow reader.
        versions: the versions to offer, in order of preference, in place of all. With one only, 5.1 or newer,
            nothing waits for the server's choice: handshake and login go out in one write.
        protocol_class: a subclass of :class:`BoltClientProtocol`; made as ``protocol_class(loop, **kwargs)``.
        loop: ignored: the running loop is used.
        ssl: True for TLS with a checked certificate, or an SSLContext.
        on_failure: what is sent behind a failure: ``Message.RESET``, or ``Message.ACK_FAILURE`` (Bolt 1 and
            2).
        max_inflight: statements that are written and unanswered at most; others wait.
        max_inflight_bytes: their bytes at most; one larger statement alone is allowed.
        reset_timeout: seconds of silence after which an unanswered RESET cuts the connection. While the
            server still sends rows it may take twelve times as long.
        max_message_size: longest message accepted from the server, in bytes.
        extended_types: give dates and times as :mod:`asyncbolt.time` classes always, not only where the
            standard library's would lose something.
        notifications_minimum_severity: ``"WARNING"``, ``"INFORMATION"`` or ``"OFF"`` (Bolt 5.2+).
        notifications_disabled: categories or classifications of notifications that are not wanted (5.2+).
        kwargs: passed to *protocol_class*.

    Raises:
        ServiceUnavailable: nobody answers there, or the connection broke.
        HandshakeError: what answers does not speak Bolt, or no common version of it.
        AuthError: the login is refused.
        ConfigurationError: the arguments make no sense.
        TimeoutError: the time is over.
    """
    return Connecting(
        Opener(
            uri,
            auth=auth,
            database=database,
            user_agent=user_agent,
            timeout=timeout,
            fetch_size=fetch_size,
            versions=versions,
            protocol_class=protocol_class,
            host=host,
            port=port,
            ssl=ssl,
            on_failure=on_failure,
            max_inflight=max_inflight,
            max_inflight_bytes=max_inflight_bytes,
            reset_timeout=reset_timeout,
            max_message_size=max_message_size,
            extended_types=extended_types,
            notifications_minimum_severity=notifications_minimum_severity,
            notifications_disabled=notifications_disabled,
            protocol_arguments=kwargs,
        )
    )
