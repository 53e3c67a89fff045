"""``ServerSession``: what the author of a server subclasses."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any

from ..aio.server import BoltServerProtocol
from ..protocol.messages import ServerRequest
from ..protocol.server import ServerConnection
from .conversation import Conversation
from .request import Request

if TYPE_CHECKING:
    from .listener import Server

__all__ = ["ServerSession"]

_numbers = itertools.count(1)


class ServerSession(BoltServerProtocol):
    """One client's connection to a server. Subclass it and write ``run``.

    ``create_server`` makes one for each connection, as ``session_class(loop, **kwargs)``. The hooks may be
    plain methods, coroutines, or plain ones marked with :func:`asyncbolt.threaded`. What they raise becomes a
    FAILURE: an error of the :exc:`~asyncbolt.Neo4jError` family with its code and message, anything else as a
    generic error whose details are in the server's log only.

    A handler is interrupted by cancelling it: on a RESET, on a timeout that the client asked for, when the
    client is gone, when the server is closed. It then has 5 seconds to end.

    Args:
        loop: The event loop; None: the running one.
        kwargs: Ignored here; for subclasses that pass on what they were given.

    Attributes:
        request: What the client said about the request that is being handled: a
            :class:`~asyncbolt.server.request.Request`. While the rows of a generator are taken, that of its
            statement.
        client_name: The ``user_agent`` that the client gave, or None.
        connection_id: What the client is told this connection is called.
        server: The :class:`~asyncbolt.server.listener.Server`, or None when the session was made without one.
        conversation: The machinery behind all this.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, **kwargs: Any) -> None:
        super().__init__(loop)
        self.server: Server | None = None
        self.request: Request | None = None
        self.client_name: str | None = None
        self.connection_id = f"bolt-{next(_numbers)}"
        self.conversation = Conversation(self)

    # what authors write

    def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        """Answer a statement.

        Args:
            statement: The text, as the client sent it.
            parameters: Its parameters.

        Returns:
            One value, sent as one record with the one field ``value``; or a :class:`~asyncbolt.Result`; or a
            generator or async generator of rows, which ``run`` itself may be. Rows are dicts, the keys of the
            first being the fields, or tuples behind a first ``yield Result(fields)``.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to run a statement")

    def verify_auth_token(self, auth_token: dict[str, Any]) -> bool | Awaitable[bool]:
        """Decide whether a client may come in. Not overridden, everyone may.

        Args:
            auth_token: ``scheme``, and as the scheme has it ``principal``, ``credentials`` ...

        Returns:
            ``True`` to accept. ``False`` refuses, and so does raising an :exc:`~asyncbolt.AuthError`.
            Whatever else is returned refuses too, and is logged as a mistake.
        """
        return True

    def begin(self) -> Any:
        """BEGIN (Bolt 3+): an explicit transaction, ``self.request.transaction``, begins."""

    def commit(self) -> Any:
        """COMMIT. Returns a bookmark (a str), or None. After an error, ``rollback`` is called."""

    def rollback(self) -> Any:
        """The transaction ``self.request.transaction`` is over without a commit.

        Called once for each transaction that began and was not committed: at ROLLBACK, after a failure, a
        RESET, a timeout, or when the client is gone.
        """

    def logoff(self) -> Any:
        """LOGOFF (Bolt 5.1+): the client is about to log in as someone else."""

    def route(self, context: Mapping[str, Any]) -> Any:
        """ROUTE (Bolt 4.3+): which servers there are. By default this one alone, in every role.

        Args:
            context: The routing context of the client's URI; ``address`` is what it dialled.

        Returns:
            A dict: ``ttl`` (seconds) and ``servers``, a list of dicts with ``addresses`` and ``role`` (ROUTE,
            READ, WRITE); optionally ``db``, the name of the database that the client gets.
        """
        address = self.conversation.reachable_address(context.get("address"))
        return {
            "ttl": 300,
            "servers": [{"addresses": [address], "role": role} for role in ("WRITE", "READ", "ROUTE")],
        }

    def get_server_metadata(self) -> dict[str, Any]:
        """What the client is told when it introduces itself, besides what is due anyway.

        Returns:
            A dict of keys of the SUCCESS of INIT or HELLO, such as ``server``.
        """
        return {}

    # what asyncio and the protocol call

    def make_connection(self) -> ServerConnection:
        return super().make_connection() if self.server is None else self.server.make_connection()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.conversation.connected(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.conversation.disconnected()

    def request_received(self, request: ServerRequest) -> None:
        self.conversation.handle(request)

    def interrupted(self) -> None:
        self.conversation.interrupt()

    def requests_done(self) -> None:
        self.conversation.at_rest()

    def conversation_over(self, error: BaseException | None) -> None:
        self.conversation.end()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.connection_id}>"
