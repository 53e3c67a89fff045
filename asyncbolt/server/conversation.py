"""The conversation with one client: each request in its turn, what it opens, and what ends it early.

An author's code is called from here and from nowhere else. What is synchronous is answered at once, without a
task; whatever has to wait runs in one task that belongs to the connection, so that an async generator is
always stepped and closed by the task that began it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import types
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .._constants import Message
from .._version import __version__
from ..exceptions import Neo4jError, PackError
from ..protocol.messages import ServerRequest
from . import errors
from .auth import AuthToken, refusal, verdict
from .errors import BadResult
from .limits import Limits, Places, Visitor
from .request import Request, Transaction
from .streams import SLICE_ROWS, SLICE_SECONDS, Stream, Turn
from .summaries import complete
from .threads import Worker, is_threaded

if TYPE_CHECKING:
    from .session import ServerSession

__all__ = ["DEFAULT_AGENT", "Conversation", "address_text"]

logger = logging.getLogger(__name__)

DEFAULT_AGENT: Final = f"asyncbolt/{__version__}"

_STOP_SECONDS: Final = 5.0  # for an author's coroutine to end when it is cancelled


@types.coroutine
def _hand_over() -> Generator[None, None, None]:
    """Where a coroutine that was begun without a task waits for one: a task takes a bare yield as "go on"."""
    yield


@types.coroutine
def _adopt(work: Coroutine[Any, Any, None], waiting: Any, stopped: bool) -> Generator[Any, Any, None]:
    """Await a coroutine that was begun without a task, or not at all.

    Args:
        work: The coroutine.
        waiting: What it yielded last; None at :func:`_hand_over`, or if it was not begun.
        stopped: Cancel it where it is.
    """
    try:
        if stopped:
            waiting = work.throw(asyncio.CancelledError())
        elif waiting is None:
            waiting = work.send(None)
        while True:
            try:
                value = yield waiting
            except BaseException as exc:
                waiting = work.throw(exc)
            else:
                waiting = work.send(value)
    except StopIteration:
        return


class _Cancelled(Exception):
    """The author's code let a CancelledError out that nobody had sent it."""


class Conversation:
    """Everything that the session of one client has open."""

    def __init__(self, session: ServerSession) -> None:
        self.session = session
        self.loop = session.loop
        self.closing = False  # no further request will be answered
        self._visitor: Visitor | None = None
        self.principal: str | None = None
        self.transaction: Transaction | None = None
        self.address: str | None = None  # that the client dialled
        self._filters: dict[str, Any] = {}
        self._streams: dict[int, Stream] = {}
        # The task, and what it does now.
        self._task: asyncio.Task[None] | None = None
        self._in_task = False
        self._jobs: list[tuple[Coroutine[Any, Any, None], Any]] = []  # and what each yielded last
        self._idle: asyncio.Future[None] | None = None
        self._worker: Worker | None = None
        # Why the work on the current request has to end.
        self._reason: Neo4jError | None = None
        self._stop_timer: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._expired: Neo4jError | None = None  # the transaction that was open has run out of time
        self._stoppable = False
        self._over = False
        self._left = False

    # the connection's side

    def attach(self, visitor: Visitor) -> None:
        """Take over the place that the connection has."""
        self._visitor = visitor

    def connected(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        if self._visitor is None:  # a session without a server has its limits too
            self._visitor = Places(self.loop, Limits()).admit(transport)

    def disconnected(self) -> None:
        """The connection is gone."""
        if self._visitor is not None:
            self._visitor.release()

    def handle(self, request: ServerRequest) -> None:
        """Answer a request, now if nothing in it has to wait."""
        self._reason = None
        self._stoppable = request.message not in _NEVER_STOPPED
        self._begin(self._answer(request))

    def interrupt(self) -> None:
        """Stop the work on the current request: a RESET waits behind it."""
        self._stop(errors.terminated())

    def end(self) -> None:
        """The client is gone: stop, close and roll back everything."""
        if self._over:
            return
        self._over = True
        self._cancel_expiry()
        if self._in_task:
            self._stop(errors.terminated())
        elif self._task is not None:
            self._wake()
        else:
            self._begin(self._leave())

    def finish(self) -> None:
        """Close the connection as soon as the current request has been answered."""
        self.closing = True
        self.at_rest()

    def cancel(self) -> None:
        """Give up what does not end: a clean-up of the author's that waits for ever."""
        if self._task is not None:
            self._task.cancel()

    def at_rest(self) -> None:
        """The requests that came have been answered, or one of them is taking its time."""
        if self.closing and self.session.bolt.request is None and not self._in_task:
            self.session.close()
            self.end()

    # tasks

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what needs no waiting, and leave the rest to the task."""
        waiting = None
        if not self._in_task:
            try:
                waiting = work.send(None)
            except StopIteration:
                return
            self._in_task = True
        self._jobs.append((work, waiting))
        if self._task is None:
            self._task = self.loop.create_task(self._work())
        else:
            self._wake()

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def _enter(self) -> None:
        """Behind this, the code runs in the task."""
        if not self._in_task:
            await _hand_over()

    async def _work(self) -> None:
        try:
            turn = self.loop.time()
            while True:
                while self._jobs:
                    work, waiting = self._jobs.pop(0)
                    await _adopt(work, waiting, self._reason is not None)
                    self._job_done()
                if self._over:
                    self._in_task = True
                    await self._leave()
                    return
                self._in_task = False
                self.session.pump()
                if self._over:
                    continue
                if not self._jobs:
                    await self._rest()
                    turn = self.loop.time()
                elif self.loop.time() - turn > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    turn = self.loop.time()
        finally:
            if not self._left:  # whoever ends the loop has cancelled every task
                self.session.abort()
                self._go()

    async def _rest(self) -> None:
        self._idle = self.loop.create_future()
        try:
            await self._idle
        except asyncio.CancelledError:
            if self._reason is None:
                raise
            self._uncancel()  # a stop that came too late for the work that it was meant for
        finally:
            self._idle = None

    def _job_done(self) -> None:
        if self._stop_timer is not None:
            self._stop_timer.cancel()
            self._stop_timer = None
        if self._reason is not None:
            self._uncancel()

    @staticmethod
    def _uncancel() -> None:
        task: Any = asyncio.current_task()
        if hasattr(task, "uncancel"):  # Python 3.11+
            while task.cancelling():
                task.uncancel()

    def _stop(self, reason: Neo4jError) -> None:
        if not self._in_task or not self._stoppable or self._reason is not None:
            return
        assert self._task is not None
        self._reason = reason
        self._mark_interrupted()
        if not self._jobs:
            self._task.cancel()
        # Else the task has not come to it yet, and will cancel it there.
        self._stop_timer = self.loop.call_later(_STOP_SECONDS, self._give_up)

    def _mark_interrupted(self) -> None:
        request = self.session.request
        if request is not None:
            request.interrupted = True
        if self._worker is not None and self._worker.busy:
            # The thread cannot be stopped: what comes next gets another one.
            self._dismiss()

    def _dismiss(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
            if self.session.server is not None:
                self.session.server.worker_dismissed(worker)

    def _give_up(self) -> None:
        logger.error("%r did not end when it was cancelled: its connection is closed", self.session)
        self.session.abort()

    # calling the author

    async def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a hook that may be plain, async or threaded."""
        if is_threaded(function):
            await self._enter()
            result = await self._thread().submit(function, *args)
        else:
            result = function(*args)
        if inspect.isawaitable(result):
            await self._enter()
            result = await result
        return result

    def _thread(self) -> Worker:
        if self._worker is None:
            self._worker = Worker(self.loop)
        return self._worker

    def _info(self, request: ServerRequest, transaction: Transaction | None) -> Request:
        session = self.session
        transport = session.transport
        info = Request(
            request.message,
            request.extra,
            statement=request.statement,
            parameters=request.parameters,
            transaction=transaction,
            principal=self.principal,
            peer=None if transport is None else transport.get_extra_info("peername"),
            version=session.bolt.version or (1, 0),
            filters=self._filters,
        )
        session.request = info
        return info

    # answering

    async def _answer(self, request: ServerRequest) -> None:
        try:
            await _HANDLERS[request.message](self, request)
            return
        except asyncio.CancelledError:
            if self._reason is None and self._in_task and self._ended_from_outside():
                raise
            self._uncancel()
            error = self._reason or errors.failure_of(_Cancelled(), request.message.name)
        except Exception as exc:
            error = self._reason or errors.failure_of(exc, request.message.name)
        self._stoppable = False
        await self._fail()
        bolt = self.session.bolt
        if bolt.request is request:
            try:
                bolt.send_failure(error)
            except PackError as exc:
                bolt.send_failure(errors.failure_of(exc, "packing the details of an error"))

    @staticmethod
    def _ended_from_outside() -> bool:
        """Whether the task was cancelled, and not something that the author's code awaited."""
        task: Any = asyncio.current_task()
        return not hasattr(task, "cancelling") or bool(task.cancelling())

    async def _fail(self) -> None:
        """What is open is lost: generators closed, the transaction rolled back."""
        self._cancel_expiry()
        await self._close_streams()
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            await self._roll_back(transaction)

    async def _roll_back(self, transaction: Transaction) -> None:
        self.session.request = Request(
            Message.ROLLBACK, {}, transaction=transaction, principal=self.principal,
            version=self.session.bolt.version or (1, 0),
        )  # fmt: skip
        try:
            await self._call(self.session.rollback)
        except Exception:
            logger.exception("rollback failed")

    async def _leave(self) -> None:
        await self._fail()
        self._go()

    def _go(self) -> None:
        if not self._left:
            self._left = True
            self._dismiss()
            if self.session.server is not None:
                self.session.server.session_left(self.session)

    async def _close_streams(self) -> None:
        while self._streams:
            _, stream = self._streams.popitem()
            await self._close(stream)

    async def _close(self, stream: Stream) -> None:
        if stream.closing_waits:
            await self._enter()
        self.session.request = stream.request
        await stream.close()

    # time

    def _watch(self, milliseconds: int | None) -> None:
        self._expired = None
        if milliseconds:
            self._expiry = self.loop.call_later(milliseconds / 1000, self._expire, milliseconds)

    def _cancel_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _expire(self, milliseconds: int) -> None:
        self._expiry = None
        error = errors.timed_out(milliseconds)
        if self._in_task:
            self._stop(error)
        else:
            self._expired = error
            self._reason = None
            self._begin(self._fail())

    def _in_time(self) -> None:
        expired, self._expired = self._expired, None
        if expired is not None:
            raise expired

    # logging in

    async def _hello(self, request: ServerRequest) -> None:
        session = self.session
        self._filters = {
            key: value for key, value in request.extra.items() if key.startswith("notifications_")
        }
        if request.routing is not None:
            address = request.routing.get("address")
            self.address = address if isinstance(address, str) and address else None
        session.client_name = request.user_agent
        if request.auth is not None:
            await self._verify(request)
        metadata = await self._call(session.get_server_metadata)
        if not isinstance(metadata, Mapping):
            raise BadResult(f"get_server_metadata returned {type(metadata).__name__}, not a dict")
        session.bolt.send_success({**self._greeting(), **metadata})
        if request.auth is not None:
            self._welcome()

    def _greeting(self) -> dict[str, Any]:
        session = self.session
        server = session.server
        greeting: dict[str, Any] = {
            "server": DEFAULT_AGENT if server is None else server.agent,
            "connection_id": session.connection_id,
        }
        if server is not None and server.recv_timeout is not None:
            greeting["hints"] = {"connection.recv_timeout_seconds": server.recv_timeout}
            session.keep_alive(server.recv_timeout / 2)
        return greeting

    def reachable_address(self, dialled: object = None) -> str:
        """An address, ``host:port``, under which this client reaches this server."""
        session = self.session
        for address in (
            dialled,
            self.address,
            None if session.server is None else session.server.advertised_address,
        ):
            if isinstance(address, str) and address:
                return address
        return address_text(
            None if session.transport is None else session.transport.get_extra_info("sockname")
        )

    async def _logon(self, request: ServerRequest) -> None:
        await self._verify(request)
        server = self.session.server
        address = None if server is None else server.advertised_address
        self.session.bolt.send_success({} if address is None else {"advertised_address": address})
        self._welcome()

    async def _verify(self, request: ServerRequest) -> None:
        token = AuthToken(request.auth or {})
        self._info(request, None).principal = token.principal
        try:
            verdict(await self._call(self.session.verify_auth_token, token))
        except Exception as exc:
            raise refusal(exc) from None
        self.principal = token.principal

    def _welcome(self) -> None:
        if self._visitor is not None:
            self._visitor.logged_in()

    async def _logoff(self, request: ServerRequest) -> None:
        self._info(request, None)
        await self._call(self.session.logoff)
        self.principal = None
        self.session.bolt.send_success()
        if self._visitor is not None:
            self._visitor.logged_off()

    # statements

    async def _run(self, request: ServerRequest) -> None:
        session = self.session
        begun = self.loop.time()
        self._in_time()
        info = self._info(request, self.transaction)
        if self.transaction is None:
            self._watch(info.tx_timeout)
        run = session.run
        result = await self._call(run, info.statement, info.parameters)
        stream = Stream(result, info, self._thread() if is_threaded(run) else None, begun)
        self._streams[request.qid] = stream
        if not stream.declared:
            if stream.waits:
                await self._enter()
                stream.meet(await stream.wait(1))
            else:
                stream.meet(stream.take(1))
        session.bolt.send_success({"fields": list(stream.fields), "t_first": self._since(begun)})

    def _since(self, begun: float) -> int:
        return int((self.loop.time() - begun) * 1000)

    async def _pull(self, request: ServerRequest) -> None:
        await self._consume(request, send=True)

    async def _discard(self, request: ServerRequest) -> None:
        stream = self._streams.get(request.qid)
        if request.n == -1 and stream is not None and not stream.drain:
            self._in_time()
            await self._finish(request.qid, stream)
        else:
            await self._consume(request, send=False)

    async def _consume(self, request: ServerRequest, *, send: bool) -> None:
        """Take the rows that the client asked for, and send them or drop them."""
        session = self.session
        self._in_time()
        stream = self._streams[request.qid]
        session.request = stream.request
        left = request.n
        turn = Turn(self.loop.time())
        while True:
            limit = min(stream.portion, SLICE_ROWS - turn.rows)
            if left > 0:
                limit = min(limit, left)
            if stream.waits:
                await self._enter()
                rows = await stream.wait(limit)
            else:
                rows = stream.take(limit)
            if send:
                turn.size += self._send(stream, rows)
            turn.rows += len(rows)
            if left > 0:
                left -= len(rows)
            if stream.error is not None:
                raise stream.error
            if stream.ended:
                await self._finish(request.qid, stream)
                return
            if left == 0:
                session.bolt.send_success({"has_more": True})
                return
            if stream.waits or turn.over(self.loop.time()):
                session.flush()
                await self._enter()
                await asyncio.sleep(0)
                await session.drain()
                turn = Turn(self.loop.time())
            if self._reason is not None:
                raise self._reason  # the author's code did not mind being cancelled

    def _send(self, stream: Stream, rows: list[Any]) -> int:
        """Pack rows; return how many bytes they take."""
        records, bad = stream.fit(rows)
        if records:
            bolt = self.session.bolt
            try:
                bolt.send_records(records)
            except PackError as exc:
                index = exc.path[0] if exc.path else 0
                assert isinstance(index, int)
                if index:
                    bolt.send_records(records[:index])
                raise self._unpackable(stream, index, exc) from exc
        size = self.session.collect()
        stream.note_sent(len(records), size)
        if bad is not None:
            raise bad
        return size

    @staticmethod
    def _unpackable(stream: Stream, index: int, exc: PackError) -> BadResult:
        path = exc.path[1:]
        if path and isinstance(path[0], int) and path[0] < len(stream.fields):
            where = PackError(exc.reason, path[1:], root=stream.fields[path[0]])
        else:
            where = PackError(exc.reason, path, root="row")
        return BadResult(f"row {stream.sent + index}: {where}")

    async def _finish(self, qid: int, stream: Stream) -> None:
        """The last row is out: close the source, ask for the summary, answer."""
        self._streams.pop(qid, None)
        await self._close(stream)
        summary = stream.summary
        if callable(summary):
            summary = await self._call(summary)
        if summary is None:
            summary = {}
        elif not isinstance(summary, Mapping):
            raise BadResult(f"its summary is a {type(summary).__name__}, not a dict")
        metadata = complete({"t_last": self._since(stream.opened), **summary}, stream.sent, stream.fields)
        if stream.request.db is not None:
            metadata.setdefault("db", stream.request.db)
        if self.transaction is None:
            self._cancel_expiry()
        try:
            self.session.bolt.send_success(metadata)
        except PackError as exc:
            raise BadResult(f"its summary cannot be packed: {exc}") from exc

    # transactions

    async def _begin_transaction(self, request: ServerRequest) -> None:
        transaction = Transaction(request.extra)
        self._expired = None
        self._info(request, transaction)
        await self._call(self.session.begin)
        self.transaction = transaction
        self._watch(transaction.tx_timeout)
        self.session.bolt.send_success()

    async def _commit(self, request: ServerRequest) -> None:
        self._in_time()
        await self._close_streams()
        self._info(request, self.transaction)
        bookmark = await self._call(self.session.commit)
        self.transaction = None  # not before: a commit that fails is rolled back
        self._cancel_expiry()
        if bookmark is not None and not isinstance(bookmark, str):
            logger.error("commit returned a %s: a bookmark is a str", type(bookmark).__name__)
            bookmark = None
        self.session.bolt.send_success({} if bookmark is None else {"bookmark": bookmark})

    async def _rollback(self, request: ServerRequest) -> None:
        self._expired = None
        self._cancel_expiry()
        await self._close_streams()
        transaction, self.transaction = self.transaction, None
        if transaction is not None:  # else it ran out of time and was rolled back then
            self._info(request, transaction)
            await self._call(self.session.rollback)
        self.session.bolt.send_success()

    async def _reset(self, request: ServerRequest) -> None:
        self._expired = None
        await self._fail()
        self.session.bolt.send_success()

    # the rest

    async def _route(self, request: ServerRequest) -> None:
        database = request.extra.get("db")
        if isinstance(database, dict):  # the form of 4.4, which a server takes on 4.3 too
            request.extra = database
        info = self._info(request, None)
        info.bookmarks = request.bookmarks
        context = request.routing or {}
        table = await self._call(self.session.route, context)
        if not isinstance(table, Mapping):
            raise BadResult(f"route returned {type(table).__name__}, not a dict")
        self.session.bolt.send_success({"rt": {"db": info.db, **table}})

    async def _telemetry(self, request: ServerRequest) -> None:
        self.session.bolt.send_success()


_HANDLERS: Final[Mapping[Message, Callable[[Conversation, ServerRequest], Coroutine[Any, Any, None]]]] = {
    Message.HELLO: Conversation._hello,
    Message.LOGON: Conversation._logon,
    Message.LOGOFF: Conversation._logoff,
    Message.RUN: Conversation._run,
    Message.PULL: Conversation._pull,
    Message.DISCARD: Conversation._discard,
    Message.BEGIN: Conversation._begin_transaction,
    Message.COMMIT: Conversation._commit,
    Message.ROLLBACK: Conversation._rollback,
    Message.RESET: Conversation._reset,
    Message.ACK_FAILURE: Conversation._reset,
    Message.ROUTE: Conversation._route,
    Message.TELEMETRY: Conversation._telemetry,
}

_NEVER_STOPPED: Final = frozenset({Message.RESET, Message.ACK_FAILURE, Message.ROLLBACK})


def address_text(name: tuple[Any, ...] | str | None) -> str:
    """What a socket calls its end, as ``host:port``."""
    if isinstance(name, tuple) and len(name) >= 2:
        host, port = str(name[0]), name[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return "localhost:7687"
