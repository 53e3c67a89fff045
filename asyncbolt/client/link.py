"""What stands between a lane and a transport: flushing, clocks, closing, waiting for answers."""

from __future__ import annotations

import asyncio
import logging
from asyncio import get_running_loop
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from .._constants import Message
from .._options import seconds
from ..aio._clock import CLOSE_TIMEOUT, Deadline, TimeoutExpired
from ..aio.orphans import close_orphan
from ..exceptions import LocalProtocolError, ServiceUnavailable, TransactionError, TransactionNestingError
from ..protocol.events import ClientEvent
from .lane import Carried, Job, Lane, Lease, Login, Reset

if TYPE_CHECKING:
    from .._constants import Version
    from ..aio.client import BoltClientProtocol
    from ..protocol.client import ClientConnection, Request
    from .connect import Opener

__all__ = ["RESET_TIMEOUT", "Link"]

logger = logging.getLogger("asyncbolt.client")

_T = TypeVar("_T")

RESET_TIMEOUT: Final = 5.0

# A silence is measured to this part of its limit.
_SILENCE_PARTS: Final = 4

# So many times the reset timeout may pass while the server still sends something.
_PATIENCE: Final = 12


class Link:
    """A connection to a server with its lane: jobs go in, answers come out.

    :class:`~asyncbolt.ClientSession` is one that many tasks share, the driver's connections are others.
    """

    def __init__(self, opener: Opener, loop: asyncio.AbstractEventLoop) -> None:
        self._opener = opener
        self._loop = loop
        self._fetch_size = opener.fetch_size
        self._user_agent = ""
        self._token: Mapping[str, Any] = {}
        self._metadata: dict[str, Any] = {}
        self._closing: asyncio.Task[None] | None = None
        # The transactions that tasks began here and have not ended.
        self._held: dict[asyncio.Task[Any], Lease] = {}

    def _attach(self, protocol: BoltClientProtocol) -> None:
        """Take a connection whose version is known, or guessed."""
        opener = self._opener
        self._protocol = protocol
        self._connection: ClientConnection = protocol.connection
        self._lane = Lane(
            self._connection,
            max_inflight=opener.max_inflight,
            max_inflight_bytes=opener.max_inflight_bytes,
            acknowledge=opener.on_failure is Message.ACK_FAILURE,
        )
        self._streams = self._connection.has("streams")
        self._flush_due = False
        self._paused = False
        self._overdue: Request | None = None
        self._overdue_timer: asyncio.TimerHandle | None = None
        self._idle_waiter: asyncio.Future[None] | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._silence: float | None = None  # seconds without a byte after which an answer is given up
        self._silence_timer: asyncio.TimerHandle | None = None
        self._closing = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._logged_in = False
        self._held.clear()
        protocol._own(self)

    # ---------------------------------------------------------------- what is known

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the session belongs to."""
        return self._loop

    @property
    def protocol(self) -> BoltClientProtocol:
        """The asyncio protocol of the connection."""
        return self._protocol

    @property
    def version(self) -> Version:
        """The Bolt version that is spoken, as (major, minor)."""
        version = self._connection.version
        assert version is not None
        return version

    @property
    def metadata(self) -> dict[str, Any]:
        """What the server said to the login: ``server``, ``connection_id``, ``hints`` ..."""
        return self._metadata

    server_metadata = metadata

    @property
    def is_connected(self) -> bool:
        """Whether the connection is up, as far as is known; :meth:`ping` finds out."""
        return self._logged_in and self._lane.error is None and not self._lane.closing

    # ---------------------------------------------------------------- opening and closing

    def _login(self, user_agent: str, token: Mapping[str, Any], options: Mapping[str, Any]) -> Login:
        """Send HELLO and LOGON, or INIT."""
        self._user_agent = user_agent
        self._token = token
        senders: list[Callable[[ClientConnection], Request]] = [
            lambda connection: connection.send_hello(user_agent, token, **options)
        ]
        if self._connection.supports(Message.LOGON):
            senders.append(lambda connection: connection.send_logon(token))
        login = Login(*senders, waiter=self._loop.create_future())
        self._lane.submit(login)
        self._metadata = login.answers
        self._flush()
        return login

    async def ping(self, *, timeout: float | None = None) -> None:
        """Find out whether the connection works, by a RESET that waits until nothing else is unanswered.

        Args:
            timeout: seconds to wait.

        Raises:
            ServiceUnavailable: it does not.
            TimeoutError: no answer within *timeout*.
        """
        await self._call(Reset(), timeout)

    def close(self, *, timeout: float = CLOSE_TIMEOUT) -> None:
        """Take no more requests, and close the connection when those in flight are answered.

        Does not wait: :meth:`wait_closed` does. An open transaction is rolled back.

        Args:
            timeout: seconds after which the connection is cut, answered or not.
        """
        timeout = seconds("timeout", timeout)
        if self._closing is not None:
            return
        self.check_loop()
        self._lane.close()
        self._closing = self._loop.create_task(self._close(self._lane, self._protocol, timeout))

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        if self._closing is not None:
            await asyncio.shield(self._closing)
        await self._protocol._wait_closed()

    def abort(self) -> None:
        """Cut the connection at once. What is unanswered fails. From another thread it happens soon."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = not self._loop.is_running()
        if here:
            self._abort(ServiceUnavailable("the session was aborted"))
            return
        try:
            self._loop.call_soon_threadsafe(self.abort)
        except RuntimeError:
            self.forsake()  # the loop is closed

    def _abort(self, error: BaseException) -> None:
        self._lane.close()
        self._cut(error)

    def finish(self, seconds: float) -> None:
        """Say GOODBYE and close, without waiting. Nothing may be under way; it is cut after *seconds*."""
        transport = self._protocol.transport
        self._lane.close()
        if transport is not None:
            self._say_goodbye(self._protocol)
            transport.close()
            # A peer that does not read, or does not end its TLS, keeps the transport open.
            self._end_timer = self._loop.call_later(seconds, transport.abort)

    def forsake(self) -> None:
        """Close the connection without its event loop, which is closed or runs no more."""
        protocol = getattr(self, "_protocol", None)
        if protocol is not None and protocol.transport is not None:
            close_orphan(protocol.transport, self._loop)

    async def _leave_block(self, kind: type[BaseException] | None) -> None:
        """Close at the end of ``async with``, where *kind* is the error with which the block was left."""
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            # Who cancels waits for nothing more.
            await self._close_now()
            return
        limit = self._opener.timeout
        self.close(timeout=CLOSE_TIMEOUT if limit is None else min(CLOSE_TIMEOUT, limit))
        await self.wait_closed()

    async def _close_now(self) -> None:
        """Close without waiting for the server: with GOODBYE where nothing is under way."""
        transport = self._protocol.transport
        if self._closing is None and transport is not None and self._lane.idle:
            self._lane.close()
            self._say_goodbye(self._protocol)
            if not transport.get_write_buffer_size():
                transport.close()
        self._abort(ServiceUnavailable("the session is closed"))
        await self._protocol._wait_closed()

    async def _settle(self, deadline: Deadline) -> None:
        """Wait until everything is answered, the connection is lost, or the *deadline* is over."""
        lane = self._lane
        while not (lane.idle or lane.error is not None):
            waiter = self._idle_waiter
            if waiter is None or waiter.done():
                waiter = self._idle_waiter = self._loop.create_future()
            remaining = deadline.remaining()
            await asyncio.wait((waiter,), timeout=remaining)
            if deadline.over:
                break
        if self._idle_waiter is not None and self._idle_waiter.done():
            self._idle_waiter = None

    def when_settled(self, function: Callable[[], None]) -> None:
        """Call *function*, once, when everything is answered or the connection is lost."""
        waiter = self._idle_waiter
        if waiter is None or waiter.done():
            waiter = self._idle_waiter = self._loop.create_future()

        def settled(waiter: asyncio.Future[None]) -> None:
            if self._idle_waiter is waiter:
                self._idle_waiter = None
            function()

        waiter.add_done_callback(settled)
        self._schedule()

    async def _close(self, lane: Lane, protocol: BoltClientProtocol, timeout: float) -> None:
        deadline = Deadline(self._loop, timeout)
        try:
            self._flush()
            await self._settle(deadline)
            transport = protocol.transport
            if transport is None:
                return
            if not lane.idle:
                error = ServiceUnavailable(f"the session was closed, and no answer came within {timeout:g} s")
                if lane.statements_left:
                    logger.warning("%s: statements that nobody reads any more were cut off", error)
                transport.abort()
                self._lost(error)
                return
            self._say_goodbye(protocol)
            transport.close()
            # A peer that does not read keeps the transport open: its buffer is never empty.
            timer = self._loop.call_later(deadline.remaining() or 0.0, transport.abort)
            try:
                await protocol._wait_closed()
            finally:
                timer.cancel()
        finally:
            if protocol.transport is not None:
                protocol.transport.abort()
            self._lost(ServiceUnavailable("the session is closed"))

    def _say_goodbye(self, protocol: BoltClientProtocol) -> None:
        connection = self._connection
        if not connection.closed and connection.supports(Message.GOODBYE):
            if protocol._log is not None:
                protocol._log.note("C: GOODBYE")
            connection.send_goodbye()
            protocol._flush()

    def check_loop(self) -> None:
        """Raise when another event loop runs than the connection's, before anything is done.

        Between two runs of its own loop none need run.
        """
        try:
            here = get_running_loop() is self._loop
        except RuntimeError:
            here = not self._loop.is_running()
        if not here:
            raise self._elsewhere()

    @staticmethod
    def _elsewhere() -> LocalProtocolError:
        return LocalProtocolError(
            "the session belongs to another event loop, the one in which it was connected: nothing was sent."
            " Connect in this one, or use asyncio.run_coroutine_threadsafe()"
        )

    # ---------------------------------------------------------------- between the lane and the transport

    def _submit(self, job: Job) -> None:
        self.check_loop()
        if self._held:
            self._check_free(job.lease)
        self._lane.submit(job)
        self._schedule()

    def _check_free(self, lease: Lease | None) -> None:
        """Raise when the running task would wait for a transaction that it has open here itself.

        *lease* is that of what it asks for. A transaction that another task used last may end without it.
        """
        lane = self._lane
        task = asyncio.current_task(self._loop) if self._held else None
        own = self._held.get(task) if task is not None else None
        if own is None or own is lease or lane.closing or lane.error is not None:
            return
        transaction = own.owner
        if transaction is None or own.over or own.error is not None or own.rollback is not None:
            self._let_go(own)
            return
        if own.user is not None and own.user is not task and not own.user.done():
            return
        if lease is not None:
            raise TransactionNestingError(
                transaction,
                "this task has a transaction open on this session, for whose end a second one would wait:"
                " use the open one, or another session",
            )
        raise TransactionError(
            transaction,
            "this task has a transaction open on this session, for whose end the session itself waits:"
            " ask the transaction, or another session",
        )

    def _let_go(self, lease: Lease) -> None:
        """The task that began the transaction has asked for its end."""
        task = lease.holder
        lease.holder = lease.user = None
        if task is not None and self._held.get(task) is lease:
            del self._held[task]

    def _schedule(self) -> None:
        """Write what may be written, in the next turn of the loop."""
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Let the lane write, in one go, and follow what it wants of the transport and the clock."""
        self._flush_due = False
        lane = self._lane
        try:
            lane.pump()
        except Exception as error:
            logger.exception("a fault in asyncbolt")
            self._break(error)
            return
        except BaseException:
            self._schedule()  # what the lane had given to the connection is still to be written
            raise
        self._protocol._flush()
        overdue = lane.overdue
        if overdue is not self._overdue:
            self._time(overdue)
        paused = lane.pause_wanted
        if paused is not self._paused:
            self._pause(paused)
        if self._silence is not None and self._silence_timer is None and self._connection.outstanding:
            self._listen()
        if self._idle_waiter is not None and (lane.idle or lane.error is not None):
            _set(self._idle_waiter)

    def _break(self, error: BaseException) -> None:
        """The server, or this program, has failed."""
        self._cut(error)

    def _cut(self, error: BaseException) -> None:
        transport = self._protocol.transport
        if transport is not None:
            transport.abort()
        self._lost(error)

    def _pause(self, paused: bool) -> None:
        transport = self._protocol.transport
        if transport is None or transport.is_closing():
            return
        self._paused = paused
        if paused:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _time(self, overdue: Request | None) -> None:
        """Measure the silence before the answer of *overdue*: see :attr:`Lane.overdue`."""
        self._overdue = overdue
        if self._overdue_timer is not None:
            self._overdue_timer.cancel()
            self._overdue_timer = None
        if overdue is not None:
            self._wait_for_answer(_PATIENCE)

    def _wait_for_answer(self, patience: int) -> None:
        seconds = self._opener.reset_timeout
        self._overdue_timer = self._loop.call_later(
            seconds, self._answer_expired, patience, self._protocol.bytes_received
        )

    def _answer_expired(self, patience: int, received: int) -> None:
        overdue = self._overdue
        assert overdue is not None
        if self._protocol.bytes_received != received and (patience or self._lane.may_take_long(overdue)):
            # It is still sending what it had: a busy server may take seconds to notice a RESET.
            self._wait_for_answer(patience - 1 if patience else 0)
            return
        name, seconds = overdue.message.name, self._opener.reset_timeout
        self._break(ServiceUnavailable(f"the server did not answer {name} within {seconds:g} s"))

    def _greeted(self, hints: Mapping[str, Any]) -> None:
        """The login has succeeded: follow what the server said of itself in HELLO's answer (Bolt 4.1+)."""
        self._logged_in = True
        seconds = hints.get("connection.recv_timeout_seconds")
        if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds > 0:
            self._silence = seconds

    def _listen(self, silent: int = 0) -> None:
        """Look again in a part of the longest silence; *silent* such parts have passed without a byte."""
        assert self._silence is not None
        self._silence_timer = self._loop.call_later(
            self._silence / _SILENCE_PARTS, self._check_silence, silent + 1, self._protocol.bytes_received
        )

    def _check_silence(self, silent: int, received: int) -> None:
        """Cut a connection that owes an answer and has said nothing, not even NOOP, for too long."""
        self._silence_timer = None
        if not self._connection.outstanding or self._lane.error is not None:
            return
        if self._paused or self._protocol.bytes_received != received:
            self._listen()
        elif silent < _SILENCE_PARTS:
            self._listen(silent)
        else:
            self._break(
                ServiceUnavailable(
                    f"nothing came within {self._silence:g} s, the longest silence that the server announced"
                )
            )

    def _drained(self, job: Job) -> None:
        """The slow reader of *job* has caught up."""
        self._lane.drained(job)
        if self._paused or self._lane.stream_waits:
            self._schedule()

    def _lost(self, error: BaseException) -> None:
        if self._overdue_timer is not None:
            self._overdue_timer.cancel()
            self._overdue_timer = None
        for timer in (self._silence_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._silence_timer = self._write_timer = None
        self._lane.lost(error)
        if self._idle_waiter is not None:
            _set(self._idle_waiter)

    # What the protocol tells

    def events_received(self, events: list[ClientEvent]) -> None:
        """Called by the protocol: the connection has news."""
        lane = self._lane
        lane.receive(events)
        if lane.error is not None:
            self._lost(lane.error)
        if lane.quiet and self._overdue is None and not self._paused and self._idle_waiter is None:
            return  # nothing to write, and nothing to see to
        self._flush()

    def writing_paused(self, paused: bool) -> None:
        """Called by the protocol: the transport has enough to write, or has written it."""
        self._lane.writable = not paused
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        seconds = self._opener.write_timeout
        if not paused:
            self._schedule()
        elif seconds is not None:
            self._write_timer = self._loop.call_later(seconds, self._write_expired, seconds)

    def _write_expired(self, seconds: float) -> None:
        self._write_timer = None
        self._break(ServiceUnavailable(f"the server took nothing of what was written within {seconds:g} s"))

    def connection_closed(self) -> None:
        """Called by the protocol: the transport is gone."""
        if self._end_timer is not None:
            self._end_timer.cancel()
            self._end_timer = None
        self._lost(self._connection.error or ServiceUnavailable("the connection is closed"))

    # ---------------------------------------------------------------- waiting

    async def _call(self, job: Job, timeout: float | None) -> Any:
        """Submit *job* and wait for its result."""
        if get_running_loop() is not self._loop:
            raise self._elsewhere()
        if timeout is not None:
            timeout = seconds("timeout", timeout)
        future = job.waiter = self._loop.create_future()
        # Nothing is under way that it could travel with: a turn of the loop is saved.
        if not self._flush_due and self._lane.write_alone(job):
            self._protocol._flush()
            if self._silence is not None and self._silence_timer is None:
                self._listen()
        else:
            self._submit(job)
        if timeout is None:
            try:
                return await future
            except asyncio.CancelledError:
                self._abandon(job)
                raise
            except Carried as carried:
                raise carried.error from None
        return await self._await(job, timeout)

    async def _await(self, job: Job, timeout: float | None) -> Any:
        try:
            return await self._bounded(cast("asyncio.Future[Any]", job.waiter), timeout)
        except (asyncio.CancelledError, TimeoutExpired):
            self._abandon(job)
            raise

    async def _bounded(self, future: asyncio.Future[_T], timeout: float | None) -> _T:
        """Await *future*, at most *timeout* seconds."""
        timer = None if timeout is None else self._loop.call_later(timeout, _expire, future, timeout)
        try:
            return await future
        except Carried as carried:
            raise carried.error from None
        finally:
            if timer is not None:
                timer.cancel()

    def _abandon(self, job: Job, *, leave: bool = False) -> None:
        self._lane.abandon(job, leave=leave)
        self._schedule()

    def _leave_later(self, jobs: tuple[Job, ...]) -> None:
        """Called by finalizers, in whatever thread and moment: leave *jobs* in the loop's next turn."""
        try:
            self._loop.call_soon_threadsafe(self._leave, jobs)
        except RuntimeError:
            pass  # the loop is closed, and the connection with it

    def _leave(self, jobs: tuple[Job, ...]) -> None:
        for job in jobs:
            self._abandon(job, leave=True)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _expire(future: asyncio.Future[Any], timeout: float) -> None:
    if not future.done():
        future.set_exception(TimeoutExpired(f"no answer within {timeout:g} s"))
