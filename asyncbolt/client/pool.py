"""A pool of sessions, for users of the connection level."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from .._hints import AsyncContext, Awaited, keywords_only, reason
from .._options import seconds, whole
from ..aio._clock import CLOSE_TIMEOUT, GRACE, Deadline, TimeoutExpired, seen
from ..exceptions import (
    BoltError,
    ConfigurationError,
    ConnectionAcquisitionTimeoutError,
    ConnectionPoolError,
    LocalProtocolError,
)
from . import bulk
from .connect import Opener, check_unknown, connect

if TYPE_CHECKING:
    from types import TracebackType

    from .session import ClientSession
    from .stream import FetchResult

__all__ = ["Acquiring", "Pool", "create_pool"]

# A session that was idle for longer is asked whether it still works before it is given out.
_TRUSTED_SECONDS: Final = 30.0
_PING_SECONDS: Final = 5.0
# One that is silent while it is being reset is given up after so many seconds when others wait for its place.
_IMPATIENCE: Final = 1.0


class _Entry:
    """One session of the pool."""

    __slots__ = ("born", "idle_since", "session")

    def __init__(self, session: ClientSession, now: float) -> None:
        self.session = session
        self.born = now
        self.idle_since = now


class Pool(AsyncContext):
    """Sessions to one server, given out one task at a time. Made by :func:`create_pool`.

    Await it or use it with ``async with`` to open it; then ``async with pool.acquire() as session``. Those
    who wait are served first come, first served. What a user leaves behind on a session (a transaction,
    results not read to their end) is reset when it comes back; a broken session is replaced.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        min_size: int,
        max_size: int,
        timeout: float | None,
        max_idle: float | None,
        max_lifetime: float | None,
    ) -> None:
        try:
            min_size = whole("min_size", min_size, least=0)
            max_size = whole("max_size", max_size)
            if min_size > max_size:
                raise ValueError("0 <= min_size <= max_size and 1 <= max_size must hold")
            if timeout is not None:
                timeout = seconds("timeout", timeout)
            if max_idle is not None:
                max_idle = seconds("max_idle", max_idle)
            if max_lifetime is not None:
                max_lifetime = seconds("max_lifetime", max_lifetime)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(str(error)) from error
        self._opener = opener
        self._min_size = min_size
        self._max_size = max_size
        self._timeout = timeout
        self._max_idle = max_idle
        self._max_lifetime = max_lifetime
        self._size = 0  # idle, given out, being opened
        self._idle: deque[_Entry] = deque()  # the one used last at the end
        self._out: dict[ClientSession, _Entry] = {}
        self._waiters: deque[asyncio.Future[_Entry | None]] = deque()
        self._opened = False
        self._closing = False
        self._empty: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: set[asyncio.Task[ClientSession]] = set()
        self._retired: set[ClientSession] = set()  # closing, and no longer counted
        self._cleaning: set[ClientSession] = set()  # came back with something under way
        self._background: set[asyncio.Task[Any]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    # ---------------------------------------------------------------- what is known

    @property
    def size(self) -> int:
        """How many sessions there are: idle, in use, or being opened."""
        return self._size

    @property
    def idle_size(self) -> int:
        """How many sessions are idle."""
        return len(self._idle)

    @property
    def min_size(self) -> int:
        """How many sessions are opened at the start and kept however idle."""
        return self._min_size

    @property
    def max_size(self) -> int:
        """How many sessions there may be."""
        return self._max_size

    def __repr__(self) -> str:
        state = "closed" if self._closing else "open" if self._opened else "not opened"
        return f"<Pool {self._opener.address} {state}, {self._size} sessions, {len(self._idle)} idle>"

    # ---------------------------------------------------------------- opening and closing

    def __await__(self) -> Generator[Any, None, Pool]:
        return self._open().__await__()

    async def __aenter__(self) -> Pool:
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        else:
            # What holds a session may be what failed.
            self.terminate()
            await self._settle(Deadline(self._running_loop(), CLOSE_TIMEOUT))

    async def _open(self) -> Pool:
        if self._closing:
            raise ConnectionPoolError("the pool is closed")
        if self._opened:
            return self
        loop = self._loop = asyncio.get_running_loop()
        self._opened = True
        self._size = self._min_size
        tasks = [loop.create_task(self._opener.open()) for _ in range(self._min_size)]
        try:
            if tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                for task in tasks:
                    if task.done():
                        task.result()
        except BaseException:
            for task in tasks:
                self._stop_opening(task)
            self._size = 0
            self._opened = False
            await self._settle(Deadline(loop, CLOSE_TIMEOUT))
            raise
        now = loop.time()
        self._idle.extend(_Entry(task.result(), now) for task in tasks)
        return self

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running event loop, which must be the one in which the pool was opened."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and loop is not self._loop:
            raise ConnectionPoolError(
                "the pool belongs to the event loop in which it was opened, which is not this one"
            )
        return loop

    async def close(self, *, timeout: float | None = CLOSE_TIMEOUT) -> None:
        """Give out no more sessions, wait until all have come back, and close them.

        Whoever waits for a session gets an error, also while one is being opened.

        Args:
            timeout: seconds after which those still in use are cut; None: waits for them however long.
        """
        loop = self._running_loop()
        deadline = Deadline(loop, None if timeout is None else seconds("timeout", timeout))
        self._close_down()
        for entry in self._take_idle():
            self._retire(entry, deadline)
        if self._size:
            if self._empty is None:
                self._empty = loop.create_future()
            remaining = deadline.remaining()
            timer = None if remaining is None else loop.call_later(remaining, self.terminate)
            try:
                await asyncio.shield(self._empty)
            except asyncio.CancelledError:
                self.terminate()
                raise
            finally:
                if timer is not None:
                    timer.cancel()
        await self._settle(deadline)

    def terminate(self) -> None:
        """Cut every connection at once, in use or not."""
        self._close_down()
        for entry in (*self._take_idle(), *self._out.values()):
            entry.session.abort()
        for session in (*self._retired, *self._cleaning):
            session.abort()
        self._size -= len(self._out)
        self._out.clear()
        if self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def _close_down(self) -> None:
        self._closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(ConnectionPoolError("the pool is closed"))
        for task in self._opening:
            task.cancel()

    def _take_idle(self) -> list[_Entry]:
        entries = list(self._idle)
        self._idle.clear()
        self._size -= len(entries)
        return entries

    async def _settle(self, deadline: Deadline) -> None:
        """Wait for what happens in the background, and cut it at the *deadline*."""
        while self._background:
            await asyncio.wait(tuple(self._background), timeout=deadline.remaining())
            if self._background and deadline.over:
                for session in (*self._retired, *self._cleaning):
                    session.abort()
                # Nothing has to wait for a peer any more.
                await asyncio.wait(tuple(self._background), timeout=_IMPATIENCE)
                break

    # ---------------------------------------------------------------- acquiring and releasing

    def acquire(self, *, timeout: float | None = None) -> Acquiring:
        """Return a session, to be awaited or used with ``async with``, which gives it back at the end.

        Args:
            timeout: seconds to wait for one; None: as the pool says.

        Raises:
            ConnectionAcquisitionTimeoutError: none became free in time.
            ConnectionPoolError: the pool is closed, or was never opened.
            Others: as :func:`connect`, when a new connection was needed.
        """
        return Acquiring(self, self._timeout if timeout is None else seconds("timeout", timeout))

    async def release(self, session: ClientSession) -> None:
        """Give *session* back. What is open on it is reset first; done in the background when cancelled."""
        await self._release(session, Deadline(self._running_loop(), None))

    async def _release(self, session: ClientSession, deadline: Deadline) -> None:
        """Give *session* back. Behind the *deadline* what is still to be done goes on in the background."""
        entry = self._out.pop(session, None)
        if entry is None:
            if self._closing:
                return
            raise ConnectionPoolError("this session was not acquired from this pool, or was released before")
        lane = session._lane
        if session.is_connected and lane.idle and not session._pipelined and not self._closing:
            self._put_back(entry)
            return
        cleaning = self._spawn(self._clean(entry))
        if not deadline.over:
            await asyncio.wait((cleaning,), timeout=deadline.remaining())

    async def _leave(self, session: ClientSession, error: BaseException | None, deadline: Deadline) -> None:
        """Give *session* back after *error*; who cancels waits for nothing more."""
        if isinstance(error, asyncio.CancelledError):
            deadline = Deadline(self._running_loop(), 0.0)
        await self._release(session, deadline)

    async def _acquire(self, timeout: float | None) -> ClientSession:
        if self._closing:
            raise ConnectionPoolError("the pool is closed")
        if not self._opened:
            raise ConnectionPoolError("the pool was not opened: await it, or use it with async with")
        loop = self._running_loop()
        deadline = Deadline(loop, timeout)
        if not any(not waiter.done() for waiter in self._waiters):
            self._waiters.clear()
            while self._idle:
                entry = self._idle.pop()
                if await self._usable(entry, deadline):
                    return self._give(entry)
            if self._size < self._max_size:
                self._size += 1
                return await self._new(deadline)
        waiter: asyncio.Future[_Entry | None] = loop.create_future()
        self._waiters.append(waiter)
        timer = None
        remaining = deadline.remaining()
        if remaining is not None:
            timer = loop.call_later(remaining, _time_out, waiter, timeout, self._max_size)
        try:
            granted = await waiter
        except BaseException:
            # Cancelled in the very moment in which something was granted: it goes to the next.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if granted is None:
            return await self._new(deadline)
        if await self._usable(granted, deadline):
            return self._give(granted)
        # Its place is ours.
        self._size += 1
        return await self._new(deadline)

    def _pass_on(self, granted: _Entry | None) -> None:
        if granted is None:
            self._vacate()
        else:
            self._put_back(granted)

    async def _new(self, deadline: Deadline) -> ClientSession:
        """Open a session in a place that is counted already."""
        loop = self._running_loop()
        limit = deadline.within(self._opener.timeout).remaining()
        task = loop.create_task(self._opener.open(math.inf if limit is None else limit))
        self._opening.add(task)
        try:
            await asyncio.wait((task,))
            if task.cancelled():
                raise ConnectionPoolError(
                    "the pool is closed"
                    if self._closing
                    else "connecting was cancelled by a function that it called"
                )
            session = task.result()
        except BaseException as error:
            self._stop_opening(task)
            self._vacate()
            if not task.done():
                # It ends at once, and before this does: the loop may be about to end too.
                await asyncio.wait((task,), timeout=GRACE)
            if isinstance(error, TimeoutExpired) and deadline.over:
                text = f"no new connection in time: {reason(error)}"
                raise ConnectionAcquisitionTimeoutError(text) from error
            raise
        finally:
            self._opening.discard(task)
        if self._closing:
            session.abort()
            self._vacate()
            await session.wait_closed()
            raise ConnectionPoolError("the pool is closed")
        return self._give(_Entry(session, loop.time()))

    def _stop_opening(self, task: asyncio.Task[ClientSession]) -> None:
        """Undo what *task* does, in the background."""
        task.cancel()
        self._background.add(task)
        task.add_done_callback(self._stopped_opening)

    def _stopped_opening(self, task: asyncio.Task[ClientSession]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is None:
            session = task.result()
            session.abort()
            self._spawn(session.wait_closed())

    def _give(self, entry: _Entry) -> ClientSession:
        self._out[entry.session] = entry
        return entry.session

    async def _usable(self, entry: _Entry, deadline: Deadline) -> bool:
        """Whether a session may be given out; gives up its place when not."""
        session = entry.session
        now = session.loop.time()
        good = session.is_connected and not self._too_old(entry, now) and not self._closing
        if good and now - entry.idle_since > _TRUSTED_SECONDS:
            # Half of the time is for a new one.
            limit = deadline.part(2).within(_PING_SECONDS)
            try:
                await session.ping(timeout=limit.remaining())
            except (BoltError, TimeoutExpired):
                good = False
                session.abort()
                self._distrust(now)
            except BaseException:
                self._spawn(self._clean(entry))
                raise
        if not good:
            self._size -= 1
            self._retire(entry)
        return good

    def _distrust(self, now: float) -> None:
        """One session that was idle for long did not work: neither will others, which are not even asked."""
        for entry in tuple(self._idle):
            if now - entry.idle_since > _TRUSTED_SECONDS:
                self._idle.remove(entry)
                entry.session.abort()
                self._retire(entry)
                self._vacate()

    def _too_old(self, entry: _Entry, now: float) -> bool:
        return self._max_lifetime is not None and now - entry.born > self._max_lifetime

    async def _clean(self, entry: _Entry) -> None:
        """Make a session fit for the next user, or give it up."""
        session = entry.session
        if session.is_connected and not self._closing:
            reset = asyncio.ensure_future(session.reset())
            self._cleaning.add(session)
            try:
                while not reset.done():
                    received = session.protocol.bytes_received
                    await asyncio.wait((reset,), timeout=_IMPATIENCE)
                    silent = session.protocol.bytes_received == received
                    if not reset.done() and (self._closing or (silent and self._wanted())):
                        session.abort()
            except BaseException:
                session.abort()
                raise
            finally:
                self._cleaning.discard(session)
                reset.add_done_callback(seen)
        if session.is_connected and not self._closing:
            self._put_back(entry)
        else:
            self._retire(entry)
            self._vacate()

    def _wanted(self) -> bool:
        """Whether somebody waits for a session."""
        return any(not waiter.done() for waiter in self._waiters)

    def _put_back(self, entry: _Entry) -> None:
        """Give a session to who waits longest, or keep it."""
        now = entry.session.loop.time()
        if self._closing or not entry.session.is_connected or self._too_old(entry, now):
            self._retire(entry)
            self._vacate()
            return
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(entry)
            return
        entry.idle_since = now
        self._idle.append(entry)
        self._sweep_later()

    def _vacate(self) -> None:
        """A place is free: whoever waits longest may open a session in it."""
        self._size -= 1
        if not self._closing:
            waiter = self._next_waiter()
            if waiter is not None:
                self._size += 1
                waiter.set_result(None)
        elif not self._size and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def _next_waiter(self) -> asyncio.Future[_Entry | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _retire(self, entry: _Entry, deadline: Deadline | None = None) -> None:
        """Close a session that is no longer counted, in the background."""
        session = entry.session
        remaining = None if deadline is None else deadline.remaining()
        session.close(timeout=CLOSE_TIMEOUT if remaining is None else min(remaining, CLOSE_TIMEOUT))
        self._retired.add(session)
        self._spawn(self._closed(session))

    async def _closed(self, session: ClientSession) -> None:
        try:
            await session.wait_closed()
        finally:
            self._retired.discard(session)

    def _spawn(self, step: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(step)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    # ---------------------------------------------------------------- idle sessions

    def _sweep_later(self) -> None:
        if self._max_idle is None or self._sweeper is not None or self._size <= self._min_size:
            return
        entry = self._idle[0]
        loop = entry.session.loop
        self._sweeper = loop.call_at(entry.idle_since + self._max_idle, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long."""
        self._sweeper = None
        assert self._max_idle is not None
        while self._idle and self._size > self._min_size:
            entry = self._idle[0]
            if entry.session.loop.time() - entry.idle_since < self._max_idle:
                break
            self._idle.popleft()
            self._size -= 1
            self._retire(entry)
        if self._idle:
            self._sweep_later()

    # ---------------------------------------------------------------- one statement

    async def fetch(
        self, statement: str, parameters: Mapping[str, Any] | None = None, **options: Any
    ) -> FetchResult:
        """:meth:`ClientSession.fetch` on a session of the pool."""
        async with self.acquire() as session:
            return await session.fetch(statement, parameters, **options)

    async def execute(
        self, statement: str, parameters: Mapping[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        """:meth:`ClientSession.execute` on a session of the pool."""
        async with self.acquire() as session:
            return await session.execute(statement, parameters, **options)

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
        **options: Any,
    ) -> bulk.BulkSummary:
        """:meth:`ClientSession.execute_many` on a session of the pool; *timeout* includes waiting for it."""
        load = bulk.Load(
            rows,
            batch_rows=batch_rows,
            batch_bytes=batch_bytes,
            parameters=parameters,
            progress=progress,
            timeout=timeout,
        )
        limits = [limit for limit in (self._timeout, load.deadline.remaining()) if limit is not None]
        session = await self._acquire(min(limits, default=None))
        error: BaseException | None = None
        try:
            return await session._load(load, statement, options)
        except BaseException as raised:
            error = raised
            raise
        finally:
            await self._leave(session, error, load.deadline)


class Acquiring(Awaited):
    """What :meth:`Pool.acquire` returns."""

    __slots__ = ("_pool", "_session", "_timeout")

    _call = "pool.acquire()"
    _gives = "session"

    def __init__(self, pool: Pool, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self._session: ClientSession | None = None

    def __await__(self) -> Generator[Any, None, ClientSession]:
        return self._pool._acquire(self._timeout).__await__()

    async def __aenter__(self) -> ClientSession:
        if self._session is not None:
            raise LocalProtocolError("this acquire() has given its session: call acquire() again for another")
        self._session = await self._pool._acquire(self._timeout)
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        session = self._session
        if session is not None:
            self._session = None
            pool = self._pool
            await pool._leave(session, error, Deadline(pool._running_loop(), self._timeout))


def _time_out(waiter: asyncio.Future[Any], timeout: float | None, size: int) -> None:
    if not waiter.done():
        waiter.set_exception(
            ConnectionAcquisitionTimeoutError(f"none of {size} sessions became free within {timeout:g} s")
        )


@keywords_only(1, "create_pool(uri, auth=(user, password), ...)")
def create_pool(
    uri: str | None = None,
    *,
    min_size: int = 1,
    max_size: int = 10,
    timeout: float | None = None,
    max_idle: float | None = 300.0,
    max_lifetime: float | None = 3600.0,
    connect_timeout: float | None = None,
    **kwargs: Any,
) -> Pool:
    """Return a pool of sessions to one server; await it, or use it with ``async with``::

        async with asyncbolt.create_pool("bolt://localhost", auth=("neo4j", "secret")) as pool:
            async with pool.acquire() as session:
                rows = await session.fetch("RETURN 1 AS n")

    Args:
        uri: as in :func:`connect`.
        min_size: sessions opened at the start, and kept however idle.
        max_size: sessions at most.
        timeout: seconds that :meth:`Pool.acquire` waits, unless it is told otherwise.
        max_idle: seconds after which an idle session beyond *min_size* is closed; None: never.
        max_lifetime: seconds after which a session is replaced when it is next idle; None: never.
        connect_timeout: seconds that opening one connection may take; None: 30.
        kwargs: everything else that :func:`connect` takes.

    Raises, when it is opened: as :func:`connect`.
    """
    check_unknown(kwargs, "create_pool", connect, create_pool)
    opener = connect(uri, timeout=connect_timeout, **kwargs)._opener
    return Pool(
        opener,
        min_size=min_size,
        max_size=max_size,
        timeout=timeout,
        max_idle=max_idle,
        max_lifetime=max_lifetime,
    )
