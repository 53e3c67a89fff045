"""``create_server``: listening sockets, what they admit, and how it all ends."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import ipaddress
import logging
import re
import socket
import ssl as ssl_module
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .._constants import Version
from .._hints import AsyncContext, UnknownArgument, check_call, unknown_arguments
from ..aio.sniff import Sniffer
from ..exceptions import ConfigurationError
from ..protocol.server import ServerConnection
from .conversation import DEFAULT_AGENT, address_text
from .limits import Limits, Places, Visitor
from .session import ServerSession
from .threads import Worker

__all__ = ["Server", "create_server"]

logger = logging.getLogger(__name__)

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 7687

_LIMITS: Final = frozenset(field.name for field in dataclasses.fields(Limits))
_LOGIN: Final = "verify_auth_token() of the session class says who is let in"
_AGENT_VERSION: Final = re.compile(r"Neo4j/(\d+\.\d+\S*)")


class Server(AsyncContext):
    """A Bolt server, as :func:`create_server` gives it. Used like :class:`asyncio.Server`.

    Attributes:
        agent: What clients are told that the server is.
        advertised_address: Where clients reach it, ``host:port``, or None.
        recv_timeout: Seconds: how long a client waiting for an answer may hear nothing, as it is told; or
            None.
    """

    def __init__(
        self,
        session_class: type[ServerSession],
        loop: asyncio.AbstractEventLoop,
        kwargs: Mapping[str, Any],
        limits: Limits,
        *,
        ssl: ssl_module.SSLContext | None,
        allow_plain: bool,
        agent: str,
        advertised_address: str | None,
        recv_timeout: int | None,
        grace: float,
        versions: Iterable[Version] | None,
        origins: Iterable[str] | None,
        discovery: Mapping[str, Any] | None,
    ) -> None:
        self.ssl = ssl
        self.allow_plain = allow_plain
        self.origins = None if origins is None else frozenset(origins)
        self.agent = agent
        self.advertised_address = advertised_address
        self.recv_timeout = recv_timeout
        self._session_class = session_class
        self._kwargs = dict(kwargs)
        self._loop = loop
        self._limits = limits
        self._grace = grace
        self._options: dict[str, Any] = {} if versions is None else {"versions": tuple(versions)}
        self._discovery = discovery
        self._changed: asyncio.Future[None] | None = None
        self._places = Places(loop, limits, self._note)
        self._listener: asyncio.AbstractServer | None = None
        self._sessions: set[ServerSession] = set()
        self._guests: set[Visitor] = set()  # connections whose kind is not known yet
        self._workers: set[Worker] = set()  # told to end
        self._closing = False
        self._serving_forever: asyncio.Future[None] | None = None
        self.make_connection()  # raises for versions that do not exist

    async def _listen(self, host: Any, port: int | None, options: dict[str, Any]) -> None:
        self._listener = await self._loop.create_server(
            lambda: Sniffer(self), host, port, start_serving=False, **options
        )

    def _public_addresses(self) -> list[str]:
        """The addresses listened on that other machines reach."""
        public = []
        for sock in self.sockets:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                name = sock.getsockname()
                if not ipaddress.ip_address(name[0].partition("%")[0]).is_loopback:
                    public.append(address_text(name))
        return public

    # as asyncio.Server

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets; empty when the server is closed."""
        sockets: Sequence[socket.socket] = getattr(self._listener, "sockets", None) or ()
        return tuple(sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the server runs on."""
        return self._loop

    def is_serving(self) -> bool:
        """Whether new connections are accepted."""
        return self._listener is not None and not self._closing and self._listener.is_serving()

    async def start_serving(self) -> None:
        """Accept connections, after ``create_server(start_serving=False)``; else do nothing."""
        if self._listener is None or self._closing:
            raise RuntimeError("the server is closed")
        await self._listener.start_serving()

    async def serve_forever(self) -> None:
        """Serve until the task that waits here is cancelled, and then close the server.

        Raises:
            RuntimeError: the server is closed, or somebody waits here already.
        """
        if self._serving_forever is not None:
            raise RuntimeError("serve_forever() is running already")
        await self.start_serving()
        self._serving_forever = self._loop.create_future()
        try:
            await self._serving_forever
        finally:
            self._serving_forever = None
            self.close()
            await self.wait_closed()

    def close(self) -> None:
        """Listen no more, and let every connection go once the request that it is working on is answered."""
        if self._closing:
            return
        self._closing = True
        if self._listener is not None:
            self._listener.close()
        for visitor in list(self._guests):
            visitor.drop("the server closes")
        for session in list(self._sessions):
            session.conversation.finish()
        if self._serving_forever is not None and not self._serving_forever.done():
            self._serving_forever.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing of a closed server is left.

        Requests that run on are interrupted after the grace time, connections that are there then are cut.
        """
        if not self._closing:
            raise RuntimeError("close() the server first")
        if not await self._all_gone(self._grace):
            for session in list(self._sessions):
                session.conversation.end()
                session.close()
            if not await self._all_gone(self._grace):
                for session in list(self._sessions):
                    session.abort()
                    session.conversation.cancel()
                await self._all_gone(1.0)
                if self._sessions or self._workers:
                    logger.warning(
                        "%d sessions and %d threads did not end in time",
                        len(self._sessions),
                        len(self._workers),
                    )
        if self._listener is not None:
            await self._listener.wait_closed()

    async def _all_gone(self, seconds: float) -> bool:
        deadline = self._loop.time() + seconds
        while self._sessions or self._guests or self._workers or len(self._places):
            left = deadline - self._loop.time()
            if left <= 0:
                return False
            if self._changed is None:
                self._changed = self._loop.create_future()
            await asyncio.wait([self._changed], timeout=left)
        return True

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()
        await self.wait_closed()

    def __repr__(self) -> str:
        addresses = ", ".join(str(sock.getsockname()) for sock in self.sockets) or "closed"
        return f"<{type(self).__name__} of {self._session_class.__name__}: {addresses}>"

    # what the sniffers ask for

    def arrived(self, transport: asyncio.BaseTransport) -> Visitor | None:
        """A place for a new connection, or None."""
        if self._closing:
            transport.close()
            return None
        visitor = self._places.admit(transport)
        if visitor is not None:
            self._guests.add(visitor)
        return visitor

    def left(self, visitor: Visitor) -> None:
        """A connection ended before it was known what it was."""
        visitor.release()
        self._guests.discard(visitor)
        self._note()

    def session(self, visitor: Visitor) -> ServerSession:
        """A session for a connection that speaks Bolt."""
        session = self._session_class(self._loop, **self._kwargs)
        session.server = self
        session.conversation.attach(visitor)
        self._guests.discard(visitor)
        self._sessions.add(session)
        return session

    def discovery(
        self, host: str | None, secure: bool, transport: asyncio.BaseTransport
    ) -> Mapping[str, Any]:
        """The document that Neo4j Browser asks for before it connects."""
        address = self.advertised_address or host or address_text(transport.get_extra_info("sockname"))
        tail = "+s" if secure else ""
        document: dict[str, Any] = {
            "bolt_routing": f"neo4j{tail}://{address}",
            "bolt_direct": f"bolt{tail}://{address}",
        }
        version = _AGENT_VERSION.match(self.agent)
        if version is not None:
            document["neo4j_version"] = version[1]
            document["neo4j_edition"] = "community"
        return {**document, **(self._discovery or {})}

    # what the sessions tell

    def make_connection(self) -> ServerConnection:
        """The protocol of one connection, within the server's limits."""
        limits = self._limits
        return ServerConnection(
            max_message_size=limits.max_message_size,
            max_elements=limits.max_elements,
            max_depth=limits.max_depth,
            unauthenticated_message_size=limits.login_message_size,
            unauthenticated_elements=limits.login_elements,
            unauthenticated_depth=limits.login_depth,
            **self._options,
        )

    def session_left(self, session: ServerSession) -> None:
        """A session has nothing open any more."""
        self._sessions.discard(session)
        self._note()

    def worker_dismissed(self, worker: Worker) -> None:
        """A worker thread has been told to end."""
        if not worker.ended:
            self._workers.add(worker)
            worker.on_end = self._worker_ended

    def _worker_ended(self, worker: Worker) -> None:
        self._workers.discard(worker)
        self._note()

    def _note(self) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None


async def create_server(
    session_class: type[ServerSession],
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    host: str | Sequence[str] | None = DEFAULT_HOST,
    port: int | None = DEFAULT_PORT,
    ssl: ssl_module.SSLContext | None = None,
    allow_plain: bool = False,
    allow_anonymous: bool = False,
    agent: str | None = None,
    advertised_address: str | None = None,
    recv_timeout: int | None = None,
    grace: float = 5.0,
    versions: Iterable[Version] | None = None,
    origins: Iterable[str] | None = None,
    discovery: Mapping[str, Any] | None = None,
    sock: socket.socket | None = None,
    backlog: int = 1024,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    start_serving: bool = True,
    **kwargs: Any,
) -> Server:
    """Serve Bolt, over TCP, TLS and WebSocket on one port.

    Args:
        session_class: A subclass of :class:`ServerSession`; each connection gets one, made as
            ``session_class(loop, **kwargs)``.
        loop: The running event loop; it need not be given.
        host: Where to listen: a name, an address, or several of them; ``""`` for all interfaces.
        port: The TCP port; 0 for any that is free.
        ssl: A server-side context. Then clients must use TLS (``bolt+s``), unless ``allow_plain`` is True,
            which takes both on the same port.
        allow_plain: See ``ssl``.
        allow_anonymous: A session class that does not override ``verify_auth_token`` lets everyone in. That
            takes True here when other machines can reach the port.
        agent: What clients are told that this server is; ``asyncbolt/<version>`` by default. Some drivers
            connect only to ``Neo4j/x.y``.
        advertised_address: ``host:port`` for clients that ask for a routing table, and did not say what they
            dialled.
        recv_timeout: Seconds. Clients are told to give up a connection that is silent for longer while they
            wait for an answer (Bolt 4.3+), and the server writes often enough.
        grace: Seconds that running requests have, when the server is closed, before they are interrupted.
        versions: Bolt versions to serve, by default all.
        origins: The ``Origin`` headers from which browsers may open a WebSocket; None: any.
        discovery: Keys to add to the document that HTTP clients get.
        sock: A bound socket to use instead of ``host`` and ``port``.
        backlog, reuse_address, reuse_port: As in :meth:`asyncio.loop.create_server`.
        start_serving: False: accept nothing before :meth:`Server.start_serving`.
        kwargs: The limits of :class:`~asyncbolt.server.limits.Limits` (``login_timeout``,
            ``max_connections``, ``max_unauthenticated``, ``max_message_size`` ...); all others go to the
            session class.

    Returns:
        The :class:`Server`.

    Raises:
        ConfigurationError: everyone would be let in from other machines, without ``allow_anonymous``.
        TypeError: the session class does not take ``kwargs``.
        OSError: the port cannot be listened on.
    """
    running = asyncio.get_running_loop()
    if loop is not None and loop is not running:
        raise ValueError("the server must be made on the loop that it is to run on")
    limits = Limits(**{name: kwargs.pop(name) for name in _LIMITS & kwargs.keys()})
    _check_session_class(session_class, running, kwargs)
    if allow_plain and ssl is None:
        raise ConfigurationError("allow_plain goes with ssl: without it, everything is plain")
    if recv_timeout is not None and recv_timeout < 1:
        raise ConfigurationError("recv_timeout is a whole number of seconds, at least 1")
    server = Server(
        session_class,
        running,
        kwargs,
        limits,
        ssl=ssl,
        allow_plain=allow_plain,
        agent=DEFAULT_AGENT if agent is None else agent,
        advertised_address=advertised_address,
        recv_timeout=recv_timeout,
        grace=grace,
        versions=versions,
        origins=origins,
        discovery=discovery,
    )
    options: dict[str, Any] = {"backlog": backlog, "reuse_address": reuse_address, "reuse_port": reuse_port}
    if sock is not None:
        options["sock"] = sock
        host = port = None
    else:
        host = DEFAULT_HOST if host is None else host
        port = DEFAULT_PORT if port is None else port
    await server._listen(host, port, options)
    anonymous = session_class.verify_auth_token is ServerSession.verify_auth_token
    public = server._public_addresses()
    if anonymous and public and not allow_anonymous:
        server.close()
        await server.wait_closed()
        raise ConfigurationError(
            f"{session_class.__name__} does not override verify_auth_token, so everyone who reaches"
            f" {', '.join(public)} would be let in: pass allow_anonymous=True if that is meant"
        )
    if start_serving:
        await server.start_serving()
    return server


def _check_session_class(
    session_class: type[ServerSession], loop: asyncio.AbstractEventLoop, kwargs: Mapping[str, Any]
) -> None:
    if not (isinstance(session_class, type) and issubclass(session_class, ServerSession)):
        raise TypeError("session_class must be a subclass of ServerSession")
    if session_class.__init__ is ServerSession.__init__:
        if kwargs:
            what = unknown_arguments(kwargs, _known(), credentials=_LOGIN)
            raise UnknownArgument(f"create_server(): {what}")
    else:
        check_call(session_class, kwargs, _known(), "create_server", credentials=_LOGIN)


def _known() -> frozenset[str]:
    return _LIMITS | inspect.signature(create_server).parameters.keys() - {"kwargs", "loop"}
