"""A connection that many tasks share."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict

from .._constants import Message
from .._hints import AsyncContext, UnknownArgument, unknown_arguments
from .._options import seconds
from ..aio._clock import CLOSE_TIMEOUT, GRACE, TimeoutExpired, seen
from ..aio.orphans import close_orphan
from ..exceptions import LocalProtocolError, ServiceUnavailable
from . import bulk
from .lane import Group, Reset, Statement
from .link import Link
from .stream import BatchStream, ClientResponse, FetchJob, FetchResult, RunStream, StreamJob
from .transaction import Transaction

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Unpack

    from ..aio.client import BoltClientProtocol
    from .connect import Opener

__all__ = ["ClientSession", "StatementOptions"]


class StatementOptions(TypedDict, total=False):
    """The keyword options of RUN and BEGIN. None, or left out, means the server's default.

    ``db`` (Bolt 4.0+): the database. ``mode`` (3+): ``"r"`` or ``"w"``. ``tx_metadata`` (3+): a map that the
    server logs. ``tx_timeout`` (3+): milliseconds after which the server ends the transaction. ``bookmarks``
    (3+): what must have happened before. ``imp_user`` (4.4+): whom to impersonate.
    ``notifications_minimum_severity`` (5.2+), ``notifications_disabled`` (5.2+; categories, or
    classifications from 5.6 on, which also go by their own names): which notifications are not wanted.
    """

    db: str | None
    mode: str | None
    tx_metadata: Mapping[str, Any] | None
    tx_timeout: int | None
    bookmarks: Iterable[str] | None
    imp_user: str | None
    notifications_minimum_severity: str | None
    notifications_disabled: Iterable[str] | None
    notifications_disabled_categories: Iterable[str] | None
    notifications_disabled_classifications: Iterable[str] | None


_OPTIONS: Final = frozenset(StatementOptions.__annotations__)


class AuthToken(dict[str, Any]):
    """An auth token that does not show its secrets."""

    def __repr__(self) -> str:
        shown = {
            key: value if key in ("scheme", "principal", "realm") else "*******"
            for key, value in self.items()
        }
        return repr(shown)

    __str__ = __repr__


class _Reconnection:
    """Connecting again, and how many wait for it."""

    __slots__ = ("closed", "task", "waiting")

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.waiting = 0
        self.closed = False
        # Nobody may be left to look at it.
        task.add_done_callback(seen)


class ClientSession(Link, AsyncContext):
    """A connection to a Bolt server. Any number of tasks may use it at once.

    Made by :func:`asyncbolt.connect`. Requests are written in the order in which they are asked for, without
    waiting for each other's answers; each caller gets its own answer.

    A task that is cancelled, or whose ``timeout`` is over, gives up its answer and harms nobody else. A
    statement that the server skipped because somebody else's failed is sent again (it never ran); one that
    may have run is not. Whoever needs several statements to happen together, or not at all, uses
    :meth:`transaction`.
    """

    def __init__(self, opener: Opener, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(opener, loop)
        self._database = opener.database
        self._default_extra: Mapping[str, Any] | None = (
            None if opener.database is None else {"db": opener.database}
        )
        self._again: _Reconnection | None = None

    def _attach(self, protocol: BoltClientProtocol) -> None:
        super()._attach(protocol)
        self._pipelined: list[StreamJob] = []
        self._group: Group | None = None

    # ---------------------------------------------------------------- what is known

    @property
    def client_name(self) -> str:
        """The user agent that was sent."""
        return self._user_agent

    @property
    def auth_token(self) -> Mapping[str, Any]:
        """The auth token that was sent; its repr hides the credentials."""
        return AuthToken(self._token)

    def __repr__(self) -> str:
        version = self._connection.version
        name = "" if version is None else f" Bolt {version[0]}.{version[1]}"
        state = "connected" if self.is_connected else "closed"
        return f"<ClientSession {self._opener.address}{name} {state}>"

    # ---------------------------------------------------------------- statements

    async def fetch(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        **options: Unpack[StatementOptions],
    ) -> FetchResult:
        """Run *statement* and return all its rows: a list of tuples with ``fields`` and ``summary``.

        The statement is an auto-commit transaction of its own. When somebody else's statement on this session
        fails while this one is on its way, the server skips this one, and it is sent again: so it may run
        although one that was asked for earlier has failed. Whoever needs the order awaits each, or uses a
        transaction.

        Args:
            statement: Cypher, or whatever the server speaks.
            parameters: its parameters. They must not change before this returns: they are packed when it is
                the statement's turn to be written.
            timeout: seconds after which the answer is given up; whether the statement ran is then unknown.
            options: see :class:`StatementOptions`.

        Raises:
            Neo4jError: the server's FAILURE.
            PackError: a parameter cannot be packed. Nothing was sent.
            LocalProtocolError: an option that the Bolt version does not have, or the session is closed.
            ServiceUnavailable: the connection is lost; ``may_have_run`` says whether the statement was sent.
            TimeoutError: the time is over.
        """
        job = FetchJob(statement, parameters, self._extra(options) if options else self._default_extra, None)
        result: FetchResult = await self._call(job, timeout)
        return result

    async def execute(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        **options: Unpack[StatementOptions],
    ) -> dict[str, Any]:
        """Run *statement*, discard its rows, and return the summary: ``type``, ``stats``, ``bookmark`` ...

        The server is asked to discard the rows (DISCARD). Commands that it works out only while their rows
        are pulled do nothing then: on Neo4j, TERMINATE TRANSACTIONS is one, for which there is :meth:`fetch`.

        Arguments, errors and what happens when others fail: as :meth:`fetch`.
        """
        extra = self._extra(options) if options else self._default_extra
        summary: dict[str, Any] = await self._call(
            Statement(statement, parameters, extra, discard=True), timeout
        )
        return summary

    def batches(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        fetch_size: int | None = None,
        timeout: float | None = None,
        **options: Unpack[StatementOptions],
    ) -> BatchStream:
        """Run *statement* and iterate over its rows, as lists of tuples in the portions that arrive.

        A list is what one read from the socket held; lists are never joined up to *fetch_size*. About two
        ``fetch_size`` of rows, or two such lists, wait at most when the reader is slow.

        While this is being read, another request on the same session makes the connection pull the rest of
        the rows into memory first (Bolt 4.0+ inside a transaction excepted), since nothing may stand behind
        a result that is pulled in portions. That is safe, and takes as much memory as the rows; for large
        results use a second session for what is done in the loop. Leaving the loop early discards the rest
        of the rows; the statement itself runs to its end.

        Args:
            statement: Cypher, or whatever the server speaks.
            parameters: its parameters.
            fetch_size: rows per PULL (Bolt 4.0+), -1: all; None: the session's for the first, and up to 16
                times as many for later ones while the reader keeps up. Bolt 1 - 3 have no such thing: there
                reading from the socket pauses when the reader is slow.
            timeout: seconds that may pass before the next list is there.
            options: see :class:`StatementOptions`.

        Raises, while iterating: as :meth:`fetch`. An iteration that was cancelled or timed out gives up the
        result.
        """
        extra = self._extra(options) if options else self._default_extra
        return BatchStream(
            self, statement, parameters, extra, fetch_size=fetch_size, lease=None, timeout=timeout
        )

    def run(
        self,
        statement: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        get_eof: bool = False,
        timeout: float | None = None,
        **options: Unpack[StatementOptions],
    ) -> RunStream:
        """Run *statement*, behind those that :meth:`pipeline` queued, and iterate over all their records.

        Each is a :class:`ClientResponse` of a list of values and RUN's metadata. The statement is sent when
        the first record is asked for. Without a statement, what was pipelined is drained.

        When one of them fails, that is raised, the ones behind it are ignored (``ignored`` on the iterator
        tells how many), and the session is ready again.

        Args:
            statement: Cypher, or whatever the server speaks.
            parameters: its parameters.
            get_eof: yield a last response for each statement, with the summary's metadata, ``fields=None``
                and ``eof=True``.
            timeout: seconds that may pass before the next record is there.
            options: see :class:`StatementOptions`.

        Raises, while iterating: as :meth:`fetch`.
        """
        arguments = None
        if statement is not None:
            arguments = (statement, parameters, self._extra(options) if options else self._default_extra)
        return RunStream(self, arguments, get_eof=get_eof, lease=None, timeout=timeout)

    def pipeline(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        **options: Unpack[StatementOptions],
    ) -> None:
        """Queue *statement* without waiting; :meth:`run` gives its records.

        Raises:
            LocalProtocolError: more than ``max_inflight`` statements are pipelined, or the session is closed.
        """
        if len(self._pipelined) >= self._lane.max_inflight:
            raise LocalProtocolError(
                f"{len(self._pipelined)} statements are pipelined, no more than max_inflight: call run()"
            )
        if self._group is None:
            self._group = Group()
        job = StreamJob(
            statement,
            parameters,
            self._extra(options) if options else self._default_extra,
            fetch_size=-1,
            mark=2 * self._fetch_size,
            lease=None,
            group=self._group,
        )
        self._submit(job)
        self._pipelined.append(job)

    async def execute_many(
        self,
        statement: str,
        rows: Iterable[Any] | AsyncIterable[Any],
        *,
        batch_rows: int = bulk.BATCH_ROWS,
        batch_bytes: int = bulk.BATCH_BYTES,
        parameters: Mapping[str, Any] | None = None,
        progress: Callable[[int, int | None], object] | None = None,
        timeout: float | None = None,
        **options: Unpack[StatementOptions],
    ) -> bulk.BulkSummary:
        """Run *statement* over *rows* in batches, each of which it finds in ``$rows``.

        Such as ``UNWIND $rows AS row CREATE (n:Person) SET n = row``.

        Several batches are on their way at once; memory is bounded whatever the number of rows. Each batch
        is a transaction of its own and is committed when it is done: when one fails, those before it stay,
        and it and those behind it do not happen. Inside a transaction (:meth:`Transaction.execute_many`) it
        is all or nothing.

        Every error raised on the way has ``first_row`` and ``row_count``, those of *rows*, of *progress*, a
        TimeoutError and a CancelledError too: the rows before ``first_row`` are done (committed), and of
        those from there on only ``row_count`` may be. That is what a failed batch held (which is not done);
        what was in flight when the connection was lost, the time was over or the caller was cancelled
        (unknown); otherwise 0, since what is in flight is awaited first, for 5 seconds at most. Nothing
        behind them is done. An iterator has been read further than ``first_row`` by then: who tries again
        makes a new one, without the rows that are done.

        Args:
            statement: the statement, with ``$rows``.
            rows: any iterable or asynchronous iterable of dicts, or of anything else that packs. A plain
                one is read in this thread: one that blocks, blocks the event loop. When an asynchronous one
                pauses, what it gave is sent. No two calls may read one iterator at once.
            batch_rows: rows in a batch, at most.
            batch_bytes: packed bytes that the rows of a batch should not exceed. What a row takes is
                estimated from the batches before, which start small; so a batch may be up to twice as
                large, and only one of a single row larger.
            parameters: further parameters, the same for each batch.
            progress: a plain function, called with (rows done, rows in all or None) after each batch.
            timeout: seconds for everything, waiting for *rows* too.
            options: see :class:`StatementOptions`.

        Raises: as :meth:`fetch`, and what *rows* raise; TypeError when *rows* is no iterable, or a str, bytes
        or a mapping, which iterate over something else than rows (nothing was sent then). A PackError's path
        counts rows from the first of all: ``$rows[120003].when``.
        """
        load = bulk.Load(
            rows,
            batch_rows=batch_rows,
            batch_bytes=batch_bytes,
            parameters=parameters,
            progress=progress,
            timeout=timeout,
        )
        return await self._load(load, statement, options)

    async def _load(
        self, load: bulk.Load, statement: str, options: Mapping[str, Any]
    ) -> bulk.BulkSummary:
        extra = self._extra(options) if options else self._default_extra
        return await load.run(self, statement, extra=extra, lease=None)

    def transaction(
        self, *, timeout: float | None = None, **options: Unpack[StatementOptions]
    ) -> Transaction:
        """Return a transaction, to be used with ``async with`` (Bolt 3+).

        It leases the connection: requests of other tasks wait until it is over. The end of the block
        commits, an exception in it rolls back. BEGIN travels with the first statement;
        :meth:`Transaction.begin` waits for it.

        Args:
            timeout: seconds that each of its calls may take, unless they say otherwise.
            options: see :class:`StatementOptions`.

        Raises:
            LocalProtocolError: the Bolt version has no transactions (1 and 2).
        """
        if not self._connection.supports(Message.BEGIN):
            major, minor = self.version
            raise LocalProtocolError(
                f"Bolt {major}.{minor} has no BEGIN: each statement is a transaction of its own"
            )
        extra = self._extra(options) if options else self._default_extra
        return Transaction(self, extra, timeout)

    # ---------------------------------------------------------------- the connection

    async def reset(self, *, timeout: float | None = None) -> ClientResponse:
        """Interrupt whatever this connection is doing, and put the server's end into a clean state.

        Every request that was sent and is unanswered fails, whoever waits for it, an open transaction is
        rolled back, results of :meth:`pipeline` are dropped.

        Args:
            timeout: seconds to wait for the answer.
        """
        self.check_loop()
        if timeout is not None:
            timeout = seconds("timeout", timeout)
        for job in self._take_pipeline()[0]:
            self._abandon(job)
        reset = Reset(waiter=self._loop.create_future())
        self._lane.interrupt(reset)
        self._schedule()
        await self._await(reset, timeout)
        return ClientResponse(["Successfully reset server session"], {}, True)

    async def reconnect(self, *, timeout: float | None = None) -> None:
        """Connect again with the arguments of :func:`asyncbolt.connect`, when the connection is lost.

        Several tasks may ask for it: one connection is made, and all wait for that. Where the connection is
        up, as far as is known, nothing is done, since another task has connected again before; who wants
        another one all the same calls :meth:`abort` first.

        Args:
            timeout: seconds to wait; None: as :func:`asyncbolt.connect` was told.

        Raises:
            TimeoutError: the time is over. The connection is given up when nobody else waits for it.
            LocalProtocolError: :meth:`close` was called meanwhile.
            Others: as :func:`asyncbolt.connect`.
        """
        self.check_loop()
        if timeout is not None:
            timeout = seconds("timeout", timeout)
        if self.is_connected:
            return
        again = self._again
        if again is None or again.task.done() or not again.waiting:
            before = None if again is None or again.task.done() else again.task
            again = self._again = _Reconnection(self._loop.create_task(self._connect_again(before)))
        task = again.task
        again.waiting += 1
        try:
            await asyncio.wait((task,), timeout=timeout)
        finally:
            again.waiting -= 1
            if not again.waiting and not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=GRACE)
        if not task.done() or (task.cancelled() and not again.closed):
            raise TimeoutExpired(f"not connected again within {timeout} s")
        if task.cancelled():
            raise LocalProtocolError("the session was closed while it was connecting again")
        task.result()

    async def _connect_again(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait((before,))  # it was given up, and is about to end
        if self._closing is not None:
            await asyncio.shield(self._closing)
        else:
            self._abort(ServiceUnavailable("the session connects again"))
        await self._protocol._wait_closed()
        await self._opener.connect(self)

    def close(self, *, timeout: float = CLOSE_TIMEOUT) -> None:
        self._stop_connecting()
        super().close(timeout=timeout)

    close.__doc__ = Link.close.__doc__

    def _abort(self, error: BaseException) -> None:
        self._stop_connecting()
        super()._abort(error)

    def _stop_connecting(self) -> None:
        again = self._again
        if again is not None and not again.task.done() and again.task is not asyncio.current_task():
            again.closed = True
            again.task.cancel()

    async def __aenter__(self) -> ClientSession:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave_block(kind)

    def __del__(self) -> None:
        protocol = getattr(self, "_protocol", None)
        transport = None if protocol is None else protocol.transport
        if transport is None or self._lane.closing or self._lane.error is not None:
            return
        warnings.warn(f"{self!r} was dropped without close()", ResourceWarning, stacklevel=2, source=self)
        try:
            self._loop.call_soon_threadsafe(transport.abort)
        except RuntimeError:
            close_orphan(transport, self._loop)  # the loop is closed

    def _extra(self, options: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if not options.keys() <= _OPTIONS:
            raise UnknownArgument(
                unknown_arguments(
                    options.keys() - _OPTIONS,
                    _OPTIONS,
                    "keyword argument",
                    credentials="credentials are auth=(user, password) of connect()",
                )
            )
        if self._default_extra is not None:
            options = {**self._default_extra, **options}
        # Checked where they are given: what can be found out now does not wait for its turn on the wire.
        return self._connection.options(options)

    def _take_pipeline(self) -> tuple[list[StreamJob], Group | None]:
        jobs, group = self._pipelined, self._group
        self._pipelined, self._group = [], None
        return jobs, group
