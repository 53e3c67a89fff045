"""One connection, many tasks: what is written when, and whose answer is whose.

A *job* is what somebody asked for: a statement with how its rows are wanted, a BEGIN, a COMMIT ... A
:class:`Lane` takes jobs in the order in which they come, writes them to a
:class:`~asyncbolt.protocol.ClientConnection` as early as the protocol allows, hands the answers on, and deals
with what goes wrong: failures, statements that the server skipped, callers that went away, transactions, a
lost connection. It is a state machine without IO: no socket, no event loop, no clock. Its owner calls
:meth:`Lane.pump` after anything that changed, writes what the connection then has to send, and feeds it the
connection's events.

The rules; what they say of servers was seen on Neo4j 5.26 and 2026.08:

* Only a request whose whole answer is already asked for may have something behind it on the wire, since a RUN
  behind a ``PULL n`` that has more costs the connection. Inside a transaction (Bolt 4.0+) streams interleave.
* A statement that was IGNORED outside a transaction never ran: it is sent again behind one RESET. Nothing
  else is ever sent twice.
* RESET interrupts whatever runs, so one is sent only behind a failure, or when nobody wants any of the
  answers that are owed, or when somebody asked for it. Two are never outstanding.
* Nothing is written behind a request that was given up and is the last on the wire: by the time at which it
  would be answered, that request can be interrupted.
* BEGIN is not ignored by a failed server but costs the connection, and so does a RESET behind a queued BEGIN.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from .._constants import Message
from .._hints import check_parameters, check_text
from ..exceptions import (
    BoltError,
    IncompleteCommit,
    LocalProtocolError,
    Neo4jError,
    PackError,
    RemoteProtocolError,
    ResultFailedError,
    ServerIgnoredError,
    ServiceUnavailable,
    TransactionError,
)
from ..protocol.events import (
    ClientEvent,
    ConnectionFailed,
    FailureReceived,
    IgnoredReceived,
    RecordsReceived,
    SuccessReceived,
)

if TYPE_CHECKING:
    from ..protocol.client import ClientConnection, Request

__all__ = [
    "CANCELLED",
    "LEFT",
    "WANTED",
    "Begin",
    "Call",
    "Carried",
    "Commit",
    "Group",
    "Job",
    "Lane",
    "Lease",
    "Login",
    "Relogin",
    "Reset",
    "Rollback",
    "Statement",
    "Telemetry",
]

# What its caller still wants of a job.
WANTED: Final = 0
LEFT: Final = 1  # the statement is to run to its end, nobody reads its rows
CANCELLED: Final = 2  # nobody cares: it may be dropped or interrupted

# How far a job has come.
QUEUED: Final = 0
WRITTEN: Final = 1
DONE: Final = 2

# Unexpected IGNORED answers in a row after which the server is taken for broken.
_MAX_STRAYS: Final = 8


class Carried(Exception):
    """What a waiter gets in place of an exception that no waiter may get; who awaits raises *error*.

    GeneratorExit, thrown into a task by what it awaits, closes every coroutine of it, one inside the other.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class Waiter(Protocol):
    """The part of a future that a job needs; asyncio's and concurrent.futures' both have it."""

    def done(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, exception: Any, /) -> None: ...


class Group:
    """Statements that were pipelined together: behind the first that fails, the rest is ignored."""

    __slots__ = ("failed",)

    def __init__(self) -> None:
        self.failed = False


class Lease:
    """A transaction's hold on the lane: from BEGIN on only its own jobs are written."""

    __slots__ = (
        "_owner",
        "active",
        "begin",
        "error",
        "holder",
        "over",
        "queue",
        "rollback",
        "unreported",
        "user",
    )

    def __init__(self, owner: Callable[[], object] | None = None) -> None:
        self._owner = owner
        self.queue: deque[Job] = deque()
        self.begin: Begin | None = None
        self.active = False
        self.over = False
        self.error: BaseException | None = None
        self.unreported: BaseException | None = None
        """What went wrong at a BEGIN that nobody awaited: the first statement reports it."""
        self.rollback: Rollback | None = None
        self.holder: Any = None
        """Who began it and has not asked for its end: what else he asks for here would wait for himself."""
        self.user: Any = None
        """Who used it last, where another may be meant to end it."""

    @property
    def owner(self) -> object:
        """What users know as the transaction, while it exists."""
        return None if self._owner is None else self._owner()

    def failure(self) -> BaseException:
        """Return the error of one more job of a transaction that is over."""
        error = self.unreported
        if error is not None:
            self.unreported = None
            return error
        if self.error is not None:
            failure = TransactionError(self.owner, "the transaction failed before, and has been rolled back")
            failure.__cause__ = self.error
            return failure
        return TransactionError(self.owner, "the transaction is over")


class Job:
    """What somebody asked for. Subclasses say what is sent (:meth:`send`) and what becomes of the answer."""

    __slots__ = (
        "awaited",
        "failed",
        "group",
        "interrupted",
        "lease",
        "skipped",
        "stage",
        "unanswered",
        "unwanted",
        "waiter",
    )

    kind: ClassVar[str] = "request"
    cost: ClassVar[int] = 1
    """How many messages it is."""
    exclusive: ClassVar[bool] = False
    """Whether nothing that may fail may be unanswered before it."""
    guarded: ClassVar[bool] = False
    """Whether no RESET may follow it until it is answered."""
    harmless: ClassVar[bool] = False
    """Whether BEGIN may stand behind it: when it fails, the connection is lost anyway, or nothing is."""

    def __init__(self, *, lease: Lease | None = None, waiter: Waiter | None = None) -> None:
        self.lease = lease
        self.waiter = waiter
        self.awaited = False  # it is on the wire, and somebody waits for the answer
        self.group: Group | None = None
        self.stage = QUEUED
        self.unwanted = WANTED
        self.unanswered = 0
        self.failed = False
        self.skipped = False
        self.interrupted = False

    def send(self, connection: ClientConnection) -> Sequence[Request]:
        """Give the connection what this job is on the wire, and return the requests.

        What raises has given it nothing: requests before the one that could not be sent are taken back.
        """
        raise NotImplementedError

    def has_reader(self) -> bool:
        """Return whether somebody waits for the answer, as long as it is wanted."""
        return self.waiter is not None

    def full(self) -> bool:
        """Return whether so many rows wait for their reader that more should not come yet.

        Whoever makes it less than full tells :meth:`Lane.drained`.
        """
        return False

    def clogged(self) -> bool:
        """Return whether so many rows wait for their reader that none should be read from the socket."""
        return self.full()

    # What the lane tells it: each at most once per received run of rows, never per record.

    def on_run(self, metadata: dict[str, Any]) -> None:
        """RUN succeeded."""

    def on_rows(self, rows: list[tuple[Any, ...]]) -> None:
        """Rows came."""

    def on_done(self, summary: dict[str, Any]) -> None:
        """Everything is answered."""
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(summary)

    def on_error(self, error: BaseException) -> None:
        """It failed; nothing else is told afterwards."""
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(Carried(error) if isinstance(error, GeneratorExit) else error)


class Statement(Job):
    """RUN, and PULL or DISCARD: *fetch_size* rows at a time, or all of them (-1)."""

    __slots__ = ("discard", "extra", "fetch_size", "parameters", "pull", "qid", "statement", "wire")

    kind = "statement"
    cost = 2

    def __init__(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        *,
        fetch_size: int = -1,
        discard: bool = False,
        lease: Lease | None = None,
        waiter: Waiter | None = None,
    ) -> None:
        if type(statement) is not str or (parameters is not None and type(parameters) is not dict):
            check_text(statement)
            check_parameters(parameters)
        # Written out, since it runs for each statement.
        self.lease = lease
        self.waiter = waiter
        self.awaited = False
        self.group = None
        self.stage = QUEUED
        self.unwanted = WANTED
        self.unanswered = 0
        self.failed = False
        self.skipped = False
        self.interrupted = False
        self.statement = statement
        self.parameters = parameters
        self.extra = extra
        self.fetch_size = fetch_size
        self.discard = discard
        self.qid = -1
        self.pull: Request | None = None
        """The PULL or DISCARD that is unanswered, or would be sent again."""
        self.wire: Request | None = None
        """The RUN while it may have to be sent again."""

    def send(self, connection: ClientConnection) -> Sequence[Request]:
        run = self.wire
        if run is not None:
            run = connection.send_again(run)
        elif self.extra:
            run = connection.send_run(self.statement, self.parameters, **self.extra)
        else:
            run = connection.send_run(self.statement, self.parameters)
        try:
            if self.discard or self.unwanted:
                pull = connection.send_discard(-1)
                self.fetch_size = -1
            else:
                pull = connection.send_pull(self.fetch_size)
        except BaseException:
            # All of it is sent or nothing: RUN alone would do its work, and nobody would hear of it.
            connection.retract(run)
            raise
        # Packed: what the caller passed is not looked at again.
        self.parameters = None
        self.wire = run
        self.pull = pull
        return (run, pull)

    def has_reader(self) -> bool:
        return True

    def on_more(self) -> None:
        """What was asked for has come, and there is more: *fetch_size* may be set for the next PULL."""


class Call(Job):
    """One or more requests that have nothing but a SUCCESS for an answer, such as ROUTE or LOGOFF and LOGON.

    *senders* are called with the connection when it is their turn; the job's result is the last SUCCESS.
    """

    __slots__ = ("senders",)

    kind = "call"

    def __init__(
        self,
        *senders: Callable[[ClientConnection], Request],
        waiter: Waiter | None = None,
    ) -> None:
        super().__init__(waiter=waiter)
        self.senders = senders

    def send(self, connection: ClientConnection) -> Sequence[Request]:
        requests: list[Request] = []
        try:
            for sender in self.senders:
                requests.append(sender(connection))
        except BaseException:
            if requests:
                connection.retract(requests[0])
            raise
        return requests


class Login(Call):
    """HELLO and LOGON, or INIT: the first job of a lane. Jobs may stand behind it on the wire."""

    __slots__ = ("answers",)

    kind = "login"
    guarded = True
    harmless = True

    def __init__(self, *senders: Callable[[ClientConnection], Request], waiter: Waiter | None = None) -> None:
        super().__init__(*senders, waiter=waiter)
        self.answers: dict[str, Any] = {}


class Telemetry(Call):
    """TELEMETRY: servers take it in READY, which is where the lane writes it."""

    __slots__ = ()

    kind = "telemetry"
    harmless = True


class Relogin(Call):
    """LOGOFF and LOGON: other credentials for what follows."""

    __slots__ = ()

    kind = "relogin"
    exclusive = True
    guarded = True
    harmless = True


class Begin(Job):
    """BEGIN: the lane belongs to its *lease* from now on."""

    __slots__ = ("extra",)

    kind = "begin"
    exclusive = True
    guarded = True

    def __init__(
        self, lease: Lease, extra: Mapping[str, Any] | None = None, waiter: Waiter | None = None
    ) -> None:
        super().__init__(waiter=waiter)
        # Its own lease is held in `lease` too, but it is queued in the lane's queue.
        self.lease = lease
        self.extra = extra or {}
        lease.begin = self

    def send(self, connection: ClientConnection) -> Sequence[Request]:
        return (connection.send_begin(**self.extra),)


class Commit(Job):
    """COMMIT, when everything else of its transaction is answered."""

    __slots__ = ()

    kind = "commit"

    def send(self, connection: ClientConnection) -> Sequence[Request]:
        return (connection.send_commit(),)


class Rollback(Job):
    """ROLLBACK, or a RESET when requests of the transaction are unanswered: see :meth:`Lane.rollback`."""

    __slots__ = ()

    kind = "rollback"

    def has_reader(self) -> bool:
        # Who waits for it waits for an end, not for an answer: a server that gives none is given up.
        return False

    def send(self, connection: ClientConnection) -> Sequence[Request]:
        return (connection.send_rollback(),)


class Reset(Job):
    """A RESET when nothing else is unanswered: it finds out whether the connection works."""

    __slots__ = ()

    kind = "reset"
    exclusive = True

    def send(self, connection: ClientConnection) -> Sequence[Request]:
        return (connection.send_reset(),)


class Lane:
    """The order of things on one connection. See the module's text for the rules.

    *max_inflight* statements and *max_inflight_bytes* (bytes; one larger statement alone is allowed) are
    written and unanswered at most; further jobs wait unpacked. Outside a transaction each failure halves that
    number of statements for now, and each success adds one to it: what stands behind a failure was sent in
    vain, which would be most of what is sent while many tasks' statements fail. *acknowledge* sends
    ACK_FAILURE instead of RESET behind a failure where the version has it (Bolt 1 and 2).
    """

    __slots__ = (
        "_acknowledge",
        "_again",
        "_asking",
        "_awaited",
        "_bytes",
        "_failure",
        "_flight",
        "_guards",
        "_hold",
        "_impatient",
        "_interrupts",
        "_lease",
        "_named",
        "_open",
        "_queue",
        "_reset",
        "_resetters",
        "_strays",
        "_stream",
        "_wanted",
        "_window",
        "closing",
        "connection",
        "error",
        "max_inflight",
        "max_inflight_bytes",
        "writable",
    )

    def __init__(
        self,
        connection: ClientConnection,
        *,
        max_inflight: int = 2048,
        max_inflight_bytes: int = 16 * 1024 * 1024,
        acknowledge: bool = False,
    ) -> None:
        self.connection = connection
        self.max_inflight = max_inflight
        self.max_inflight_bytes = max_inflight_bytes
        self.writable = True
        """False while the transport has more than enough to write: nothing new is packed."""
        self.closing = False
        self.error: BaseException | None = None
        """Why the connection is gone; None while it is not."""
        self._acknowledge = acknowledge
        self._queue: deque[Job] = deque()
        self._again: list[Job] = []  # ignored, waiting for the RESET behind which they are sent again
        self._flight: dict[Job, None] = {}  # jobs with unanswered requests, oldest first
        self._wanted = 0  # of those, the ones that were not cancelled
        self._awaited = 0  # ... and the ones whose answers somebody waits for
        self._impatient = False  # somebody has given up while they were unanswered
        self._bytes = 0  # of the requests in flight
        self._open: dict[Statement, None] = {}  # streams that have more, with no PULL outstanding
        self._asking: dict[Statement, None] = {}  # those of them whose reader is not known to be slow
        # The stream nothing may stand behind: outside a transaction, or while it has no number in one.
        self._stream: Statement | None = None
        self._named = False  # the server gives results of transactions numbers
        self._lease: Lease | None = None
        self._reset: Request | None = None  # the RESET (or ACK_FAILURE) outstanding
        self._resetters: list[Job] = []  # jobs that its answer ends
        self._interrupts: list[Job] = []  # jobs that ask for a RESET at once
        self._failure = False  # the server is in FAILED, and no RESET is on its way
        self._hold = False  # write nothing until all that stood before the RESET is answered
        self._guards = 0  # jobs in flight behind which no RESET may stand
        self._strays = 0
        self._window = max_inflight  # statements in flight, as failures make it advisable

    # ---------------------------------------------------------------- what the owner asks

    @property
    def idle(self) -> bool:
        """Whether nothing is queued, unanswered, open or leased."""
        return not (
            self._flight
            or self._queue
            or self._open
            or self._again
            or self._interrupts
            or self._reset is not None
            or self._lease is not None
        )

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to write, and nothing is unanswered or open; a transaction may be."""
        return not self._flight and self._nothing_due()

    def _nothing_due(self) -> bool:
        """Return whether nothing waits to be written or to be asked for."""
        lease = self._lease
        return not (
            (self._queue if lease is None else lease.queue or lease.rollback is not None)
            or self._open
            or self._again
            or self._interrupts
            or self._reset is not None
            or self._failure
            or self._hold
            or self.closing
            or self.error is not None
        )

    def write_alone(self, job: Job) -> bool:
        """Write *job* at once where nothing is queued, on its way or to be seen to first; else return False.

        What :meth:`submit` and :meth:`pump` come to, in the cases that are most frequent: a statement or a
        BEGIN by itself, and one after the other in a transaction, the first of which may stand behind BEGIN.
        """
        lease = self._lease
        if lease is not None or job.kind != "begin":
            if job.lease is not lease or job.exclusive:
                return False
        if self._flight and not self._only_begins(lease):
            return False
        if not self.writable or not self._nothing_due():
            return False
        self._write(job)
        return True

    def _only_begins(self, lease: Lease | None) -> bool:
        """Return whether the BEGIN of *lease*, which is wanted, is all that is on its way."""
        begin = None if lease is None else lease.begin
        return begin is not None and len(self._flight) == 1 and begin in self._flight and not begin.unwanted

    @property
    def pending(self) -> int:
        """How many jobs are queued or unanswered."""
        count = len(self._queue) + len(self._flight) + len(self._again) + len(self._open)
        return count + (len(self._lease.queue) if self._lease is not None else 0)

    @property
    def statements_left(self) -> bool:
        """Whether statements are unanswered that are to run to their end, whose rows nobody reads."""
        jobs = (*self._flight, *self._open)
        return any(job.unwanted == LEFT and isinstance(job, Statement) for job in jobs)

    @property
    def stream_waits(self) -> bool:
        """Whether a stream has more and has not been asked for it."""
        return bool(self._open)

    @property
    def overdue(self) -> Request | None:
        """The request whose answer must come soon, for the owner's clock; None: all may take their time.

        It is the RESET that is unanswered; or the oldest request where nobody waits for any answer, and no
        RESET may bring it about: behind BEGIN, ROLLBACK and LOGON, and behind a statement that is to run to
        its end although its rows are not wanted, when others who waited behind it have given up.
        """
        if self._reset is not None:
            return self._reset
        if not self._flight or self._awaited:
            return None
        lease = self._lease
        if self._impatient or self._guards or (lease is not None and lease.rollback is not None):
            return self.connection.outstanding[0]
        return None

    @staticmethod
    def may_take_long(request: Request) -> bool:
        """Whether *request*, which is overdue, may take its time as long as the server says something."""
        job = request.context
        return isinstance(job, Statement) and job.unwanted == LEFT

    @property
    def pause_wanted(self) -> bool:
        """Whether reading from the transport should pause.

        So it should when the only answer that can come belongs to a stream whose reader is slow, and nobody
        waits behind it.
        """
        if len(self._flight) != 1 or self._reset is not None or self.closing or self.error is not None:
            return False
        job = next(iter(self._flight))
        if job.unwanted or not job.clogged():
            return False
        return not self._waiting()

    # ---------------------------------------------------------------- what the owner does

    def submit(self, job: Job) -> None:
        """Queue *job*. Raises when the lane is closed, or the job's transaction is over."""
        self._check_open()
        lease = job.lease
        if lease is None or job is lease.begin:
            self._queue.append(job)
            return
        if lease.over or lease.rollback is not None:
            raise lease.failure()
        lease.queue.append(job)

    def rollback(self, job: Rollback) -> None:
        """End the transaction of *job* without committing it.

        What is queued in it fails. ROLLBACK is written when nothing of it is unanswered or open; otherwise
        a RESET, which interrupts it. A transaction that is over already, or has not begun, needs neither.
        """
        lease = job.lease
        if lease is None:
            raise LocalProtocolError("a rollback needs a transaction")
        if lease.over:
            job.stage = DONE
            job.on_done({})
            return
        self._check_open()
        if lease.rollback is not None:
            raise TransactionError(lease.owner, "the transaction is being rolled back")
        if not lease.active:
            if lease.begin is not None:
                lease.begin.unwanted = CANCELLED
            self._end_lease(lease, None)
            job.stage = DONE
            job.on_done({})
            return
        lease.rollback = job
        self._fail_queue(lease)

    def interrupt(self, job: Reset) -> None:
        """Send a RESET now. Whatever is unanswered fails, an open transaction is rolled back.

        What is queued and not yet written runs behind it.
        """
        self._check_open()
        self._interrupts.append(job)

    def abandon(self, job: Job, *, leave: bool = False) -> None:
        """Forget about the answer of *job*.

        Not yet written, it is dropped. Written, its rows are skipped undecoded. With *leave* the statement
        still runs to its end (the rest of an open stream is discarded); without, it may be interrupted,
        which happens when every request in flight has been abandoned so.
        """
        if job.stage == DONE or job.unwanted:
            return
        job.unwanted = LEFT if leave else CANCELLED
        if not leave and self._flight:
            self._impatient = True
        if job.stage == QUEUED:
            return
        if job.unanswered:
            if not leave:
                self._wanted -= 1
            if job.awaited:
                job.awaited = False
                self._awaited -= 1
            if isinstance(job, Statement) and job.pull is not None:
                self.connection.abandon(job.pull)
        self.drained(job)

    def discard(self, job: Statement, *, skip: bool = True) -> None:
        """The rows of *job* that have not come yet are not wanted, but its summary is.

        Those that are on their way are skipped undecoded, or still told without *skip*.
        """
        job.discard = True
        if skip and job.stage == WRITTEN and job.pull is not None:
            self.connection.abandon(job.pull)
        self.drained(job)

    def drained(self, job: Job) -> None:
        """The reader of *job* has caught up: it is not full any more."""
        if isinstance(job, Statement) and job in self._open:
            self._asking[job] = None

    def close(self) -> None:
        """Take no more jobs. Those that are queued or written are answered first; see :attr:`idle`."""
        self.closing = True

    def lost(self, error: BaseException) -> None:
        """The connection is gone because of *error*: each who waits gets an error of his own."""
        if self.error is not None:
            return
        self.error = error
        lease = self._lease
        jobs: list[Job] = [*self._flight, *self._open, *self._again, *self._resetters, *self._interrupts]
        queued: list[Job] = list(self._queue)
        if lease is not None:
            queued.extend(lease.queue)
            if lease.rollback is not None:
                jobs.append(lease.rollback)
        for job in tuple(queued):
            if job.kind == "begin" and job.lease is not None:
                queued.extend(job.lease.queue)
        for job in (*jobs, *queued):
            if job.lease is not None:
                job.lease.over = True
                job.lease.queue.clear()
                if job.lease.error is None:
                    job.lease.error = error
        self._lease = None
        self._stream = None
        self._reset = None
        self._hold = self._failure = False
        self._wanted = self._awaited = self._bytes = self._guards = 0
        self._impatient = False
        for container in (
            self._flight,
            self._open,
            self._asking,
            self._again,
            self._resetters,
            self._interrupts,
            self._queue,
        ):
            container.clear()
        for job in (*jobs, *queued):
            if job.stage != DONE:
                ran = job.stage == WRITTEN and not job.skipped
                self._fail(job, self._lost_error(job, ran))
                job.stage = DONE

    def receive(self, events: Iterable[ClientEvent]) -> None:
        """Take what the connection reports."""
        for event in events:
            if isinstance(event, SuccessReceived):
                self._success(event.request, event.metadata)
            elif isinstance(event, RecordsReceived):
                job: Job = event.request.context
                if not job.unwanted:
                    job.on_rows(event.rows)
            elif isinstance(event, FailureReceived):
                self._fails(event.request, event.error)
            elif isinstance(event, IgnoredReceived):
                self._ignored(event.request)
            elif isinstance(event, ConnectionFailed):
                self.lost(event.error)

    def pump(self) -> None:
        """Give the connection everything that may be written now."""
        if self.error is not None:
            return
        if self._reset is None and self._reset_due():
            self._send_reset()
        if self._open:
            self._continue_streams()
            # The rest of a stream that was given up may be endless.
            if self._reset is None and self._reset_due():
                self._send_reset()
        if self._hold:
            outstanding = self.connection.outstanding
            if self._reset is not None and outstanding and outstanding[0] is not self._reset:
                return
            self._hold = False
            if self._again:
                self._queue.extendleft(reversed(self._again))
                self._again.clear()
        if self._interrupts or not self.writable:
            return
        if self._flight and self._ends_in_vain():
            return
        self._write_queue()
        if self.closing:
            lease = self._lease
            if lease is not None and lease.rollback is None and not lease.queue and not self._flight:
                # Whoever held it can only be told that the session is closed.
                self._roll_back_for_close(lease)

    # ---------------------------------------------------------------- writing

    def _check_open(self) -> None:
        if self.closing:
            raise LocalProtocolError("the session is closed")
        if self.error is not None:
            raise self._lost_error(None, False)

    def _waiting(self) -> bool:
        """Return whether a job waits to be written now, dropping those that nobody wants any more."""
        lease = self._lease
        queue = self._queue if lease is None else lease.queue
        while queue:
            job = queue[0]
            if job.unwanted == CANCELLED:
                queue.popleft().stage = DONE
            elif job.group is not None and job.group.failed:
                queue.popleft().stage = DONE
                self._fail(job, _ignored_error(job))
            else:
                return True
        return False

    def _write_queue(self) -> None:
        while self._waiting():
            lease = self._lease
            queue = self._queue if lease is None else lease.queue
            job = queue[0]
            if not self._may_write(job):
                return
            queue.popleft()
            self._write(job)

    def _may_write(self, job: Job) -> bool:
        connection = self.connection
        lease = self._lease
        if lease is not None and lease.rollback is not None:
            return False
        if self._stream is not None and job.kind != "commit":
            return False
        if job.exclusive:
            return self._clear()
        if job.kind == "commit":
            return not connection.outstanding and not self._open
        if self._guards and connection.patch_pending:
            return False
        # One place stays free for a RESET.
        if connection.room <= job.cost:
            return False
        flight = len(self._flight)
        return not flight or (flight < self._window and self._bytes < self.max_inflight_bytes)

    def _clear(self) -> bool:
        """Return whether nothing that may fail is unanswered: then BEGIN and its like may be written."""
        outstanding = self.connection.outstanding
        if not outstanding or outstanding[-1] is self._reset:
            return True
        return len(outstanding) <= 4 and all(
            request.context is not None and request.context.harmless for request in outstanding
        )

    def _write(self, job: Job) -> None:
        if job.kind == "reset" and self._reset is not None:
            self._resetters.append(job)
            job.stage = WRITTEN
            return
        try:
            requests = job.send(self.connection)
        except BaseException as error:
            self._unsent(job, error)
            if job.unwanted and isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise  # nobody else would hear of it
            return
        if self.error is not None:
            # Code of the caller's, run while his values were packed, has cut the connection.
            job.stage = DONE
            self._fail(job, self._lost_error(job, False))
            return
        job.stage = WRITTEN
        if job.kind == "reset":
            self._reset = requests[0]
            self._resetters.append(job)
            return
        job.unanswered = len(requests)
        for request in requests:
            request.context = job
            self._bytes += len(request.data)
        self._flight[job] = None
        self._wanted += 1
        if not job.unwanted and job.has_reader():
            job.awaited = True
            self._awaited += 1
        if job.guarded:
            self._guards += 1
        if job.kind == "begin":
            lease = job.lease
            assert lease is not None
            lease.active = True
            self._lease = lease
        elif isinstance(job, Statement) and job.fetch_size != -1 and (job.lease is None or not self._named):
            self._stream = job

    def _unsent(self, job: Job, error: BaseException) -> None:
        """Nothing of *job* was written: values could not be packed, or the version lacks the request."""
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            # Whoever waits would take either for the end of something.
            cause = error
            error = PackError(f"packing it raised {type(cause).__name__}", root=job.kind)
            error.__cause__ = cause
        job.stage = DONE
        if job.group is not None:
            job.group.failed = True
        lease = job.lease
        if lease is not None:
            if job.kind == "begin":
                if job.waiter is None:
                    lease.unreported = error
                self._end_lease(lease, error)
            elif job.kind == "commit":
                # Nobody is left who would end the transaction.
                lease.rollback = Rollback(lease=lease)
            elif job.kind == "rollback":
                # A RESET does it too.
                job.stage = QUEUED
                self._failure = True
                return
        self._fail(job, error)

    def _continue_streams(self) -> None:
        """Ask for more of the open streams, where more is wanted."""
        lease = self._lease
        if lease is not None and lease.rollback is not None:
            return
        waiting = self._waiting()
        commit = lease is not None and waiting and lease.queue[0].kind == "commit"
        blocking = self._stream
        if waiting and blocking is not None and blocking in self._open:
            self._asking[blocking] = None
        # A transaction may have very many of which most wait for their readers: these are not looked at.
        for job in tuple(self._open if lease is None or commit else self._asking):
            connection = self.connection
            if connection.room <= 1:
                return
            if commit and not (job.unwanted or job.discard):
                self._fail(
                    job,
                    ResultFailedError(None, "the transaction ended before this result was read to its end"),
                )
                job.unwanted = LEFT
            if job.unwanted or job.discard:
                pull = connection.send_discard(-1, job.qid)
                job.fetch_size = -1
            elif (waiting and job is blocking) or (self.closing and lease is None):
                pull = connection.send_pull(-1, job.qid)
                job.fetch_size = -1
            elif lease is not None and self.closing:
                continue
            elif job.full():
                self._asking.pop(job, None)
                continue
            else:
                pull = connection.send_pull(job.fetch_size, job.qid)
            del self._open[job]
            self._asking.pop(job, None)
            if job is self._stream and job.fetch_size == -1:
                self._stream = None
            pull.context = job
            job.pull = pull
            job.unanswered = 1
            self._bytes += len(pull.data)
            self._flight[job] = None
            if job.unwanted != CANCELLED:
                self._wanted += 1
                if not job.unwanted:
                    job.awaited = True
                    self._awaited += 1

    # ---------------------------------------------------------------- RESET

    def _reset_due(self) -> bool:
        if self._guards:
            return False
        if self._failure or self._interrupts:
            return True
        lease = self._lease
        if lease is not None and lease.rollback is not None:
            if lease.rollback.stage == WRITTEN:
                return False
            if self._flight or self._open:
                return True
            # Nothing is unanswered or open: the polite way.
            self._write(lease.rollback)
            return self._failure  # it could not be sent
        return bool(self._flight) and not self._wanted

    def _ends_in_vain(self) -> bool:
        """Return whether the last request on the wire is one that was given up, which may never end.

        What would be written behind it has to wait for what stands before it anyway; by then a RESET is due.
        """
        if next(reversed(self._flight)).unwanted != CANCELLED:
            return False
        return self.connection.outstanding[-1] is not self._reset

    def _send_reset(self) -> None:
        connection = self.connection
        if (
            self._acknowledge
            and self._failure
            and not self._interrupts
            and connection.supports(Message.ACK_FAILURE)
        ):
            request = connection.send_ack_failure()
        else:
            request = connection.send_reset()
        self._reset = request
        self._resetters.extend(self._interrupts)
        for job in self._interrupts:
            job.stage = WRITTEN
        if self._interrupts:
            for job in self._flight:
                job.interrupted = True
                if job.group is not None:
                    # What of the group is not written yet would run behind the RESET.
                    job.group.failed = True
        self._interrupts = []
        self._hold = self._failure
        self._failure = False
        lease = self._lease
        if lease is not None:
            if lease.rollback is not None:
                self._resetters.append(lease.rollback)
                lease.rollback.stage = WRITTEN
            elif lease.error is None:
                lease.error = TransactionError(lease.owner, "the transaction was interrupted by a RESET")
            self._end_lease(lease, None)
        # The server drops its streams.
        for stream in self._open:
            stream.stage = DONE
            self._fail(stream, self._interrupted_error(stream))
        self._open.clear()
        self._asking.clear()
        self._stream = None

    def _interrupted_error(self, job: Job) -> BaseException:
        if job.lease is not None:
            return job.lease.failure()
        return ResultFailedError(None, "the result was interrupted by a RESET of the connection")

    # ---------------------------------------------------------------- answers

    def _landed(self, job: Job, request: Request) -> None:
        self._bytes -= len(request.data)
        job.unanswered -= 1
        if not job.unanswered:
            del self._flight[job]
            if not self._flight:
                self._impatient = False
            if job.unwanted != CANCELLED:
                self._wanted -= 1
            if job.awaited:
                job.awaited = False
                self._awaited -= 1
            if job.guarded:
                self._guards -= 1

    def _success(self, request: Request, metadata: dict[str, Any]) -> None:
        if request is self._reset:
            self._reset = None
            for job in self._resetters:
                if job.stage != DONE:
                    job.stage = DONE
                    if not job.unwanted:
                        job.on_done(metadata)
            self._resetters = []
            return
        job = request.context
        self._landed(job, request)
        self._strays = 0
        if isinstance(job, Statement):
            if request is job.wire:
                # It ran: it must never be sent again.
                job.wire = None
                if job.lease is not None:
                    self._name(job, metadata.get("qid"))
                if not job.unwanted:
                    job.on_run(metadata)
            elif job.fetch_size != -1 and metadata.get("has_more"):
                job.pull = None
                self._more(job)
            else:
                job.pull = None
                job.stage = DONE
                if self._window < self.max_inflight:
                    self._window += 1
                if job is self._stream:
                    self._stream = None
                if not job.unwanted:
                    job.on_done(metadata)
            return
        kind = job.kind
        if kind == "login":
            job.answers.update(metadata)
            metadata = job.answers
        if job.unanswered:
            return
        job.stage = DONE
        if kind == "commit" or kind == "rollback":
            self._end_lease(job.lease, None)
        if not job.unwanted:
            job.on_done(metadata)

    def _name(self, job: Statement, qid: int | None) -> None:
        """Take the number by which more of a result is asked for in a transaction (Bolt 4.0+).

        Where the server gives none, only the latest result can be asked for more: the next statement waits
        until everything of this one was asked for.
        """
        if qid is not None and qid != -1:
            job.qid = qid
            self._named = True
            if job is self._stream:
                self._stream = None
        elif job.fetch_size != -1 and self._stream is None and self._reset is None:
            self._named = False
            # Otherwise another RUN is on its way already: the connection sees to it.
            if not any(isinstance(other, Statement) and other.wire is not None for other in self._flight):
                self._stream = job

    def _more(self, job: Statement) -> None:
        if self._reset is None:
            self._open[job] = self._asking[job] = None
            job.on_more()
            return
        # The RESET stands behind the PULL that this answers: the stream is gone.
        job.stage = DONE
        self._fail(job, self._interrupted_error(job))

    def _fails(self, request: Request, error: Neo4jError) -> None:
        if request is self._reset:
            return  # the connection reports its end next
        job: Job = request.context
        if job.lease is None and self._reset is None:
            self._window = max(1, min(self._window, len(self._flight)) // 2)
        self._landed(job, request)
        self._strays = 0
        if self._reset is None:
            self._failure = True
        if job.group is not None:
            job.group.failed = True
        if not job.unanswered:
            job.stage = DONE
        if job is self._stream:
            self._stream = None
        lease = job.lease
        if lease is not None and lease.error is None:
            lease.error = error
            if job.kind == "begin" and job.waiter is None:
                lease.unreported = error
        self._fail(job, error)

    def _ignored(self, request: Request) -> None:
        if request is self._reset:
            return
        job: Job = request.context
        self._landed(job, request)
        if self._reset is None and not self._failure:
            # Nothing failed here, so the server's state is not what it seems.
            self._failure = True
            self._strays += 1
        statement = isinstance(job, Statement)
        if not statement or request is job.wire:  # type: ignore[attr-defined]
            job.skipped = True
        if job.unanswered:
            return
        if job is self._stream:
            self._stream = None
        if job.failed or job.unwanted == CANCELLED:
            job.stage = DONE
            return
        if self._strays > _MAX_STRAYS:
            job.stage = DONE
            self._fail(job, RemoteProtocolError("the server ignores every request, RESET or not"))
            return
        lease = job.lease
        if lease is not None:
            job.stage = DONE
            self._fail(job, lease.failure())
            return
        again = job.skipped and not job.interrupted and (job.group is None or not job.group.failed)
        if again:
            job.stage = QUEUED
            job.skipped = False
            self._again.append(job)
            return
        job.stage = DONE
        self._fail(job, _ignored_error(job) if job.skipped else self._interrupted_error(job))

    def _fail(self, job: Job, error: BaseException) -> None:
        if job.failed:
            return
        job.failed = True
        if job.group is not None:
            job.group.failed = True
        if not job.unwanted:
            job.on_error(error)

    def _fail_queue(self, lease: Lease) -> None:
        jobs = list(lease.queue)
        lease.queue.clear()
        for job in jobs:
            job.stage = DONE
            if not job.unwanted:
                self._fail(job, lease.failure())

    def _end_lease(self, lease: Lease, error: BaseException | None) -> None:
        """Other jobs may be written from now on; what is queued in the transaction fails."""
        if self._lease is lease:
            self._lease = None
        lease.over = True
        if error is not None and lease.error is None:
            lease.error = error
        self._fail_queue(lease)
        rollback = lease.rollback
        if rollback is not None and rollback.stage == QUEUED:
            # Over before it was written.
            rollback.stage = DONE
            rollback.on_done({})

    def _roll_back_for_close(self, lease: Lease) -> None:
        lease.rollback = Rollback(lease=lease)
        lease.error = LocalProtocolError("the session was closed while the transaction was open")
        if self._reset is None and self._reset_due():
            self._send_reset()

    def _lost_error(self, job: Job | None, ran: bool) -> BoltError:
        """Return one job's own error for a lost connection; *ran* tells whether it may have run."""
        cause = self.error
        reason = str(cause) if isinstance(cause, BoltError) else f"the connection was lost: {cause}"
        if job is not None and job.kind == "login" and isinstance(cause, BoltError):
            return cause
        failure: ServiceUnavailable
        if job is not None and job.kind == "commit" and ran:
            failure = IncompleteCommit(f"{reason}; the transaction may or may not have been committed")
        elif job is None:
            failure = ServiceUnavailable(f"the session is not connected: {reason}")
        elif ran:
            failure = ServiceUnavailable(f"{reason}; this {job.kind} was sent and may have run")
        else:
            failure = ServiceUnavailable(f"{reason}; this {job.kind} did not run")
        failure.may_have_run = ran
        failure.__cause__ = cause
        return failure


def _ignored_error(job: Job) -> BaseException:
    if job.interrupted:
        return ServerIgnoredError("the server skipped this statement, because the session was reset")
    return ServerIgnoredError(
        "the server skipped this statement, because one before it in the pipeline failed"
    )
