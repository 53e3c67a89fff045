"""Connecting: addresses, versions, TLS, login."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl as _ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from .._constants import Message, Version
from .._hints import Awaited, check_call, keywords_only, reason
from .._options import fetch_size as fitting_size
from .._options import seconds, whole
from ..aio._clock import CONNECT_TIMEOUT, Deadline, TimeoutExpired, bounded
from ..aio.client import BoltClientProtocol
from ..aio.dial import Arrival, Place, Unreached, keep_alive, places, reach
from ..aio.tls import client_context
from ..exceptions import (
    AuthConfigurationError,
    BoltError,
    ConfigurationError,
    HandshakeError,
    LocalProtocolError,
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
    """The version that each address spoke last, for a bounded number of addresses. Threads may share it."""

    _MOST: Final = 1024

    def __init__(self) -> None:
        self._versions: OrderedDict[tuple[str, int, bool], Version] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int, bool]) -> Version | None:
        """Return the version of *key* (host, port, TLS), None when it is not known."""
        return self._versions.get(key)

    def learn(self, key: tuple[str, int, bool], version: Version) -> None:
        """Remember that *key* speaks *version*."""
        with self._lock:
            self._versions[key] = version
            self._versions.move_to_end(key)
            while len(self._versions) > self._MOST:
                self._versions.popitem(last=False)

    def forget(self, key: tuple[str, int, bool]) -> None:
        """Forget what *key* speaks."""
        with self._lock:
            self._versions.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._versions.clear()


_remembered: Final = VersionMemory()

# The oldest servers raise at what they do not know, and say nothing: seconds until the next offer is made.
_SILENT_HANDSHAKE: Final = 5.0

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
        keep_alive: bool = True,
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
        self.timeout = CONNECT_TIMEOUT if timeout is None else timeout
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
        """Connect and log in; *link* gets the new connection.

        Each address of a name is tried until one takes the login, and has its share of the time.

        Args:
            link: what asks.
            timeout: seconds for all of it; None: as the opener says, infinity: no limit.
        """
        loop = link.loop
        deadline = Deadline(loop, self.timeout if timeout is None else seconds("timeout", timeout))
        left = await self._places(loop, deadline)
        failures: list[tuple[Place | None, BoltError | TimeoutError]] = []
        while left:
            place, arrival = await self._reach(loop, left, deadline, failures)
            if place is None and arrival is None and self.address.path is None:
                break
            try:
                await self._negotiate(link, _Arrivals(self, place, arrival), deadline.part(len(left) + 1))
                return
            except (HandshakeError, ServiceUnavailable, TimeoutExpired) as error:
                failures.append((place, error))
            if deadline.over:
                break
        raise _most_telling(failures)

    async def answers(self, timeout: float) -> bool:
        """Return whether a server answers the handshake of a new connection within *timeout* seconds."""
        loop = asyncio.get_running_loop()
        deadline = Deadline(loop, timeout)
        try:
            left = await self._places(loop, deadline)
            place, arrival = await self._reach(loop, left, deadline, [])
            if arrival is None and self.address.path is None:
                return False
            arrivals = _Arrivals(self, place, arrival)
            try:
                await _drop(await self._greet(loop, arrivals, deadline))
            finally:
                arrivals.close()
        except (HandshakeError, ServiceUnavailable, TimeoutExpired):
            return False
        return True

    async def _places(self, loop: asyncio.AbstractEventLoop, deadline: Deadline) -> list[Place | None]:
        """Return the addresses to try, best first; None stands for the path of a Unix socket."""
        address = self.address
        if address.path is not None:
            return [None]
        try:
            return list(await places(loop, address.host, address.port, deadline))
        except TimeoutExpired:
            raise
        except OSError as error:
            raise ServiceUnavailable(f"cannot connect to {address}: {reason(error)}") from error

    async def _reach(
        self,
        loop: asyncio.AbstractEventLoop,
        left: list[Place | None],
        deadline: Deadline,
        failures: list[tuple[Place | None, BoltError | TimeoutError]],
    ) -> tuple[Place | None, Arrival | None]:
        """Take the first address that answers out of *left*, and those that fail; None: there is none."""
        if self.address.path is not None:
            left.clear()
            return None, None
        found = [place for place in left if place is not None]
        try:
            reached = await reach(loop, found, deadline, self.connect_timeout)
        except Unreached as error:
            left.clear()
            for place, failure in error.errors.items():
                failures.append((place, self._not_connected(failure)))
            return None, None
        for place, failure in reached.errors.items():
            failures.append((place, self._not_connected(failure)))
            left.remove(place)
        left.remove(reached.place)
        return reached.place, reached.arrival

    def _not_connected(self, error: BaseException) -> BoltError | TimeoutError:
        """Return what is raised when an address could not be reached because of *error*."""
        if isinstance(error, TimeoutExpired) and error.errno is None:
            return error  # ours; the system's has a number
        failure = ServiceUnavailable(f"cannot connect to {self.address}: {reason(error)}")
        failure.__cause__ = error
        return failure

    async def _negotiate(self, link: Link, arrivals: _Arrivals, deadline: Deadline) -> None:
        """Agree on a version with the server at one address, and log in."""
        loop = link.loop
        try:
            if self.versions is not None:
                known = self.versions[0] if len(self.versions) == 1 else None
                if known is not None and _answers_unasked(known):
                    protocol = await self._greet(loop, arrivals, deadline, version=known)
                else:
                    protocol = await self._greet(loop, arrivals, deadline, versions=self.versions)
                await self._log_in(link, protocol, deadline)
                return
            known = self.memory.get(self._key)
            if known is not None and (_answers_unasked(known) or known in _FALLBACK_VERSIONS):
                guess: dict[str, Any] = (
                    {"version": known} if _answers_unasked(known) else {"versions": (known,)}
                )
                try:
                    # What is silent may be silent because of the guess.
                    part = deadline.part(2)
                    await self._log_in(link, await self._greet(loop, arrivals, part, **guess), part)
                    return
                except (HandshakeError, ServiceUnavailable, TimeoutExpired):
                    # Not taken any more, perhaps: ask.
                    self.memory.forget(self._key)
            protocol = await self._greet_somehow(loop, arrivals, deadline)
            await self._log_in(link, protocol, deadline)
            version = protocol.connection.version
            if version is not None:
                self.memory.learn(self._key, version)
        finally:
            arrivals.close()

    async def _greet_somehow(
        self, loop: asyncio.AbstractEventLoop, arrivals: _Arrivals, deadline: Deadline
    ) -> BoltClientProtocol:
        """Offer every version: first the newer ones, then, where these come to nothing, the oldest.

        Servers that know the oldest only close at what they do not know, or raise and say nothing more. So
        after some seconds of silence both offers are open, and the first that is answered counts.
        """
        if not self.oldest:
            return await self._greet(loop, arrivals, deadline)
        first = loop.create_task(self._greet(loop, arrivals, deadline))
        tasks = [first]
        taken: asyncio.Task[BoltClientProtocol] | None = None
        try:
            await asyncio.wait(tasks, timeout=deadline.within(_SILENT_HANDSHAKE).remaining())
            if first.done():
                error = first.exception()
                if error is None:
                    taken = first
                    return first.result()
                if getattr(error, "reason", None) not in _RETRIED:
                    raise error
            # Four slots are not enough for the oldest versions.
            tasks.append(loop.create_task(self._greet(loop, arrivals, deadline, offers=FALLBACK_OFFERS)))
            while running := [task for task in tasks if not task.done()]:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task.done() and task.exception() is None:
                        taken = task
                        return task.result()
            return first.result()  # raises the first error
        finally:
            left = [task for task in tasks if task is not taken]
            for task in left:
                task.cancel()
                task.add_done_callback(_cut)
            if running := [task for task in left if not task.done()]:
                await asyncio.wait(running, timeout=1.0)

    async def _greet(
        self, loop: asyncio.AbstractEventLoop, arrivals: _Arrivals, deadline: Deadline, **offered: Any
    ) -> BoltClientProtocol:
        """Make one connection, and agree on a version unless it is known.

        *offered* as :class:`ClientConnection` takes it.
        """
        connection = ClientConnection(**offered, **self._connection_options)
        protocol = self._make_protocol(loop, connection)
        await self._connect_transport(loop, protocol, arrivals, deadline)
        try:
            if connection.version is None:
                await bounded(
                    protocol._wait_handshake(),
                    deadline,
                    f"{self.address} is connected, but did not answer the handshake within {deadline}",
                )
            if connection.error is not None:
                raise connection.error
        except BaseException as error:
            await _drop(protocol)
            if isinstance(error, (HandshakeError, ServiceUnavailable)):
                raise self._explained(error) from error.__cause__
            raise
        return protocol

    async def _log_in(self, link: Link, protocol: BoltClientProtocol, deadline: Deadline) -> None:
        """Log in on a connection whose version is known, and make it the one of *link*."""
        connection = protocol.connection
        try:
            user_agent, token = await self._credentials(protocol, deadline)
            if connection.error is not None:
                raise connection.error
            link._attach(protocol)
            login = link._login(user_agent, token, self._login_options)
            waiter: asyncio.Future[Any] = login.waiter  # type: ignore[assignment]
            await bounded(waiter, deadline, f"{self.address} did not answer the login within {deadline}")
            link._greeted(connection.hints)
        except BaseException as error:
            await _drop(protocol)
            if isinstance(error, (HandshakeError, ServiceUnavailable)):
                raise self._explained(error) from error.__cause__
            raise

    def _make_protocol(
        self, loop: asyncio.AbstractEventLoop, connection: ClientConnection
    ) -> BoltClientProtocol:
        protocol = self.protocol_class(loop, **self.protocol_arguments)
        if not isinstance(protocol, BoltClientProtocol):
            raise ConfigurationError("protocol_class must be a subclass of BoltClientProtocol")
        protocol._prepare(loop, connection)
        return protocol

    async def _connect_transport(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: BoltClientProtocol,
        arrivals: _Arrivals,
        deadline: Deadline,
    ) -> None:
        address = self.address
        limit = deadline.within(self.connect_timeout)
        try:
            if address.path is not None:
                await self._connect_path(loop, protocol, address.path, limit)
                return
            arrival = await arrivals.take(loop, deadline)
            try:
                if self.ssl is None:
                    if not arrival.hand_over(protocol) and protocol.connection.error is None:
                        arrival.check()
                else:
                    await self._start_tls(loop, protocol, arrival, limit)
            except BaseException:
                arrival.abort()
                raise
        except Unreached as unreached:
            (failure,) = unreached.errors.values()
            raise self._not_connected(failure) from failure
        except _ssl.SSLCertVerificationError as error:
            raise UntrustedCertificate(
                f"the certificate of {address} is not trusted: {error.verify_message or reason(error)}"
            ) from error
        except _ssl.SSLError as error:
            raise ServiceUnavailable(
                f"no TLS with {address}, which may be a server without it: {error.reason or reason(error)}"
            ) from error
        except OSError as error:
            if isinstance(error, TimeoutExpired) and error.errno is None:
                raise
            no_tls = self.ssl is not None and protocol.transport is None
            hint = " (or it does not speak TLS)" if no_tls else ""
            raise ServiceUnavailable(f"cannot connect to {address}{hint}: {reason(error)}") from error

    async def _start_tls(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: BoltClientProtocol,
        arrival: Arrival,
        limit: Deadline,
    ) -> None:
        arrival.check()
        assert self.ssl is not None
        remaining = limit.remaining()
        transport = await bounded(
            loop.start_tls(
                arrival.transport,
                protocol,
                self.ssl,
                server_hostname=self.address.host,
                # Ours comes first; on Python 3.10 what is cancelled goes on until this one.
                ssl_handshake_timeout=None if remaining is None else remaining + 1.0,
            ),
            limit,
            f"{self.address} is connected, but TLS did not begin within {limit}",
            undo=_abort,
        )
        if transport is None:
            raise ConnectionResetError("the connection was closed during the TLS handshake")
        protocol.connection_made(transport)

    async def _connect_path(
        self, loop: asyncio.AbstractEventLoop, protocol: BoltClientProtocol, path: str, limit: Deadline
    ) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise ConfigurationError("this platform has no Unix sockets")
        await bounded(
            loop.create_unix_connection(
                lambda: protocol,
                path,
                ssl=self.ssl,
                # A path is no name that a certificate could be made for.
                server_hostname=None if self.ssl is None else "localhost",
            ),
            limit,
            f"no connection to {self.address} within {limit}",
            undo=lambda pair: pair[0].abort(),
        )

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


class _Arrivals:
    """Connections to one address of the server: the one with which it was found, then new ones."""

    __slots__ = ("_first", "_opener", "_place")

    def __init__(self, opener: Opener, place: Place | None, first: Arrival | None) -> None:
        self._opener = opener
        self._place = place
        self._first = first

    async def take(self, loop: asyncio.AbstractEventLoop, deadline: Deadline) -> Arrival:
        """Return a connection, which the caller owns from now on.

        Raises:
            Unreached: there is none.
        """
        assert self._place is not None
        opener = self._opener
        arrival, self._first = self._first, None
        if arrival is None:
            arrival = (await reach(loop, [self._place], deadline, opener.connect_timeout)).arrival
        if opener.keep_alive:
            keep_alive(arrival.transport)
        return arrival

    def close(self) -> None:
        """Close what was not taken."""
        if self._first is not None:
            self._first.abort()
            self._first = None


def _abort(transport: Any) -> None:
    if transport is not None:
        transport.abort()


async def _drop(protocol: BoltClientProtocol) -> None:
    """Cut a connection, and wait until it is gone, which is at once."""
    transport = protocol.transport
    if transport is not None:
        transport.abort()
        try:
            await asyncio.wait_for(protocol._wait_closed(), 1.0)
        except asyncio.TimeoutError:
            pass


def _cut(task: asyncio.Task[BoltClientProtocol]) -> None:
    """Cut the connection that a *task* has made and nobody uses."""
    if not task.cancelled() and task.exception() is None:
        transport = task.result().transport
        if transport is not None:
            transport.abort()


def _most_telling(
    failures: list[tuple[Place | None, BoltError | TimeoutError]],
) -> BoltError | TimeoutError:
    """Return the failure that came furthest, with what the other addresses of the name said."""
    # An answer says more than silence, and silence behind an open door more than a closed one.
    ranks = (HandshakeError, UntrustedCertificate, TimeoutExpired)
    place, best = min(
        failures,
        key=lambda failure: next(
            (rank for rank, kind in enumerate(ranks) if isinstance(failure[1], kind)), len(ranks)
        ),
    )
    others = [f"{where}: {reason(error)}" for where, error in failures if error is not best]
    if others:
        text = f"{best} (at {place}; other addresses: {'; '.join(others)})"
        best.args = (text, *best.args[1:])
        if hasattr(best, "_message"):
            best._message = text
    return best


class Connecting(Awaited):
    """What :func:`connect` returns: await it for a session, or use it with ``async with``."""

    __slots__ = ("_opener", "_session")

    _call = "connect(...)"
    _gives = "session"

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._session: ClientSession | None = None

    def __await__(self) -> Generator[Any, None, ClientSession]:
        return self._opener.open().__await__()

    async def __aenter__(self) -> ClientSession:
        if self._session is not None:
            raise LocalProtocolError("this connect() has given its session: call connect() again for another")
        self._session = await self._opener.open()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        session = self._session
        if session is not None:
            self._session = None
            await session._leave_block(kind)


def check_unknown(kwargs: Mapping[str, Any], caller: str, *functions: Callable[..., Any]) -> None:
    """Check that what is left for the class of the protocol can be given to it.

    Args:
        kwargs: everything that *caller* was given and has no argument for.
        caller: the name of a function.
        functions: that function and others, whose arguments may be meant.

    Raises:
        UnknownArgument: an argument does not exist.
    """
    known = [name for function in functions for name in inspect.signature(function).parameters]
    rest = {name: value for name, value in kwargs.items() if name not in known}
    made = kwargs.get("protocol_class") or BoltClientProtocol
    check_call(made, rest, [name for name in known if name not in ("kwargs", "loop")], caller)


@keywords_only(1, "connect(uri, auth=(user, password), ...)")
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
        timeout: seconds for finding the address, connecting, the handshake and the login together; and for
            closing at the end of ``async with``, where 5 is the most. None: 30.
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
    if kwargs or protocol_class is not None:
        check_unknown({**kwargs, "protocol_class": protocol_class}, "connect", connect)
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
