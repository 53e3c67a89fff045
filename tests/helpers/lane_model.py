"""A world for the lane: a model of a server that is strict about the protocol, and tasks that use one
connection.

The server is written from the protocol's description and knows nothing of the lane: it decodes what
arrives, keeps Neo4j's states, and raises :class:`Violation` for whatever would cost a real connection.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any

from asyncbolt import Message
from asyncbolt.chunking import MessageReader, MessageWriter
from asyncbolt.client.lane import Begin, Commit, Job, Lane, Lease, Login, Reset, Rollback, Statement
from asyncbolt.exceptions import BoltError
from asyncbolt.protocol import ClientConnection

Result = Generator[None, None, Any]  # returns the error that the job ended with, if any


class Violation(AssertionError):
    """The client did what costs a connection."""


class Outcome:
    """Where a job's result goes: the part of a future that the lane uses."""

    def __init__(self) -> None:
        self.finished = False
        self.value: Any = None
        self.error: BaseException | None = None

    def done(self) -> bool:
        return self.finished

    def set_result(self, value: Any) -> None:
        assert not self.finished
        self.finished, self.value = True, value

    def set_exception(self, error: BaseException) -> None:
        assert not self.finished
        self.finished, self.error = True, error


class Script:
    """What a statement does on the server: *rows* rows, and what *fails*: run, pull, no, or it is endless."""

    def __init__(self, number: int, rows: int, fails: str) -> None:
        self.number = number
        self.rows = rows
        self.fails = fails
        self.ran = 0
        self.committed = 0

    def text(self) -> str:
        return f"{self.number}"


class ModelServer:
    """Neo4j's rules for one connection. Handles one message, or a few records of one, per :meth:`step`."""

    def __init__(self, rng: random.Random, scripts: dict[int, Script], streams: bool = True) -> None:
        self.rng = rng
        self.scripts = scripts
        self.streams_by_qid = streams
        self.version = (5, 4) if streams else (3, 0)
        self.reader = MessageReader(self.version)
        self.writer = MessageWriter(self.version)
        self.queue: deque[tuple[Any, ...]] = deque()
        self.state = "CONNECTED"
        self.open: dict[int, list[Any]] = {}  # qid -> [script, next row]; -1 outside a transaction
        self.latest = -1
        self.next_qid = 0
        self.in_transaction = False
        self.done_in_transaction: list[Script] = []
        self.pulling: tuple[int, int] | None = None  # qid, rows left to send (-1: all)
        self.resets = 0  # arrived and not answered
        self.silent = False  # the stream is discarded, not pulled
        self.gone = False
        self.out = bytearray()
        self.received: list[int] = []
        self.most_unanswered = 0

    # what arrives

    def feed(self, data: bytes) -> None:
        for item in self.reader.feed(data):
            assert isinstance(item, tuple), item
            signature = item[0]
            self.received.append(signature)
            if self.gone:
                raise Violation("a message behind GOODBYE")
            if signature == Message.GOODBYE:
                if self.queue or self.pulling:
                    raise Violation("GOODBYE overtakes requests that are unanswered")
                self.gone = True
                continue
            if signature == Message.RESET:
                if self.resets:
                    raise Violation("two RESETs are outstanding")
                if any(queued[0] in (Message.BEGIN, Message.HELLO, Message.LOGON) for queued in self.queue):
                    raise Violation("a RESET overtakes a BEGIN or a login")
                if self.state in ("CONNECTED", "AUTHENTICATION"):
                    raise Violation("a RESET before the login")
                self.resets += 1
            self.queue.append(item)
            unanswered = len(self.queue) + (self.pulling is not None)
            self.most_unanswered = max(self.most_unanswered, unanswered)
            if unanswered > 257:
                raise Violation("a RESET could not overtake so many requests")

    # what it does

    @property
    def busy(self) -> bool:
        return bool(self.queue) or self.pulling is not None

    def success(self, **metadata: Any) -> None:
        self.out += self.writer.message(Message.SUCCESS, metadata)

    def fail(self) -> None:
        metadata = {"code": "Neo.ClientError.Statement.SyntaxError", "message": "as scripted"}
        self.out += self.writer.message(Message.FAILURE, metadata)
        self.state = "FAILED"
        self.drop()

    def ignore(self) -> None:
        self.out += self.writer.message(Message.IGNORED)

    def drop(self) -> None:
        self.open.clear()
        self.pulling = None
        self.in_transaction = False
        self.done_in_transaction = []

    def step(self) -> None:
        if self.pulling is not None:
            if self.resets and self.rng.random() < 0.8:
                # Interrupted in the middle of a result: any answer may come.
                if self.rng.random() < 0.5:
                    self.fail()
                else:
                    self.ignore()
                self.drop()
                self.state = "INTERRUPTED"
                return
            self.pull_some()
            return
        if not self.queue:
            return
        signature, *fields = self.queue.popleft()
        if signature == Message.RESET:
            self.resets -= 1
            self.drop()
            self.state = "READY"
            self.success()
            return
        if self.resets:
            if signature in (Message.BEGIN, Message.HELLO, Message.LOGON):
                raise Violation("INTERRUPTED does not take it")
            self.drop()
            self.state = "INTERRUPTED"
            self.ignore()
            return
        if self.state == "FAILED":
            if signature == Message.BEGIN:
                raise Violation("BEGIN in FAILED costs the connection")
            self.ignore()
            return
        handler = getattr(self, "on_" + Message(signature).name.lower())
        handler(*fields)

    def on_hello(self, extra: Any) -> None:
        if self.state != "CONNECTED":
            raise Violation("HELLO twice")
        self.state = "AUTHENTICATION" if self.version >= (5, 1) else "READY"
        self.success(server="Model/1.0")

    def on_logon(self, auth: Any) -> None:
        if self.state != "AUTHENTICATION":
            raise Violation("LOGON at the wrong time")
        self.state = "READY"
        self.success()

    def on_begin(self, extra: Any) -> None:
        if self.state != "READY":
            raise Violation(f"BEGIN in {self.state}")
        if extra.get("tx_metadata", {}).get("fails"):
            self.fail()
            return
        self.state = "TX"
        self.in_transaction = True
        self.next_qid = 0
        self.success()

    def on_run(self, text: str, parameters: Any, extra: Any) -> None:
        if self.state == "STREAMING":
            raise Violation("RUN behind a PULL that has more")
        if self.state not in ("READY", "TX"):
            raise Violation(f"RUN in {self.state}")
        if self.open and not self.streams_by_qid:
            raise Violation("RUN while a stream is open, which Bolt 3 does not take")
        script = self.scripts[int(text)]
        if script.fails == "run":
            self.fail()
            return
        script.ran += 1
        metadata: dict[str, Any] = {"fields": ["n"]}
        qid = -1
        if self.in_transaction and self.streams_by_qid:
            qid = self.next_qid
            self.next_qid += 1
            metadata["qid"] = qid
        else:
            self.state = "TX" if self.in_transaction else "STREAMING"
        self.open[qid] = [script, 0]
        self.latest = qid
        self.success(**metadata)

    def stream_of(self, fields: tuple[Any, ...]) -> tuple[int, int]:
        extra = fields[0] if fields else {"n": -1}
        qid = extra.get("qid", -1)
        if qid == -1:
            qid = self.latest
        if qid not in self.open:
            raise Violation("PULL or DISCARD of no open stream")
        return qid, extra["n"]

    def on_pull(self, *fields: Any) -> None:
        self.pulling = self.stream_of(fields)
        self.silent = False
        self.pull_some()

    on_pull_all = on_init = on_pull

    def pull_some(self) -> None:
        assert self.pulling is not None
        qid, left = self.pulling
        script, position = self.open[qid]
        for _ in range(self.rng.randint(1, 4)):
            if script.fails == "pull" and position >= script.rows // 2:
                self.fail()
                return
            if position == script.rows and script.fails != "endless":
                self.finish(qid)
                self.success(type="r")
                return
            if left == 0:
                self.open[qid][1] = position
                self.pulling = None
                self.success(has_more=True)
                return
            if not self.silent:
                self.out += self.writer.records([(f"{script.number}:{position}",)])
            position += 1
            left -= 1 if left > 0 else 0
        self.open[qid][1] = position
        self.pulling = (qid, left)

    def on_discard(self, *fields: Any) -> None:
        qid, n = self.stream_of(fields)
        if n != -1:
            raise Violation("DISCARD of a part")
        script = self.open[qid][0]
        if script.fails == "pull":
            self.fail()
        elif script.fails == "endless":
            self.silent = True
            self.pulling = (qid, -1)
        else:
            self.finish(qid)
            self.success(type="w")

    on_discard_all = on_discard

    def finish(self, qid: int) -> None:
        script = self.open.pop(qid)[0]
        self.pulling = None
        if self.in_transaction:
            self.done_in_transaction.append(script)
        else:
            script.committed += 1
            self.state = "READY"

    def on_commit(self) -> None:
        if self.state != "TX" or self.open:
            raise Violation(f"COMMIT in {self.state} with {len(self.open)} open streams")
        for script in self.done_in_transaction:
            script.committed += 1
        self.drop()
        self.state = "READY"
        self.success(bookmark="bm")

    def on_rollback(self) -> None:
        if self.state != "TX" or self.open:
            raise Violation(f"ROLLBACK in {self.state} with {len(self.open)} open streams")
        self.drop()
        self.state = "READY"
        self.success()


class Stream(Statement):
    """A statement whose rows a slow reader takes."""

    __slots__ = ("error", "mark", "rows", "summary", "waiting")

    def __init__(self, text: str, fetch_size: int, mark: int, lease: Lease | None) -> None:
        super().__init__(text, {}, fetch_size=fetch_size, lease=lease)
        self.mark = mark
        self.rows: list[Any] = []
        self.waiting: list[Any] = []
        self.error: BaseException | None = None
        self.summary: Any = None

    def full(self) -> bool:
        return len(self.waiting) >= self.mark

    def on_rows(self, rows: list[tuple[Any, ...]]) -> None:
        assert self.summary is None and self.error is None
        self.waiting += rows

    def on_done(self, summary: dict[str, Any]) -> None:
        assert self.summary is None and self.error is None
        self.summary = summary

    def on_error(self, error: BaseException) -> None:
        assert self.summary is None and self.error is None
        self.error = error


class World:
    """A lane, its connection, a server, and tasks; :meth:`run` lets chance decide who acts next."""

    def __init__(
        self, seed: int, *, tasks: int = 20, streams: bool = True, endless: float = 0.0, **options: Any
    ) -> None:
        self.endless = endless
        self.rng = random.Random(seed)
        self.streams = streams
        self.scripts: dict[int, Script] = {}
        self.server = ModelServer(self.rng, self.scripts, streams)
        self.connection = ClientConnection(version=self.server.version)
        self.lane = Lane(self.connection, **options)
        self.to_server = bytearray(self.connection.data_to_send()[20:])
        # The model begins behind the handshake.
        major, minor = self.server.version[0], self.server.version[1]
        self.lane.receive(self.connection.receive_data(bytes((0, 0, minor, major))))
        senders = [lambda connection: connection.send_hello("test/1.0", {"scheme": "none"})]
        if self.connection.supports(Message.LOGON):
            senders.append(lambda connection: connection.send_logon({"scheme": "none"}))
        self.login = Outcome()
        self.lane.submit(Login(*senders, waiter=self.login))
        self.calm = False  # nobody is cancelled any more
        self.seen = dict.fromkeys(
            ("success", "failure", "cancelled", "left", "committed", "rolled back", "ignored"), 0
        )
        self.tasks: list[Generator[None, None, None]] = [self.task() for _ in range(tasks)]
        self.steps = 0

    # moves

    def pump(self) -> None:
        self.lane.pump()
        self.to_server += self.connection.data_to_send()

    def submit(self, job: Job) -> None:
        if self.rng.random() < 0.6 and self.lane.write_alone(job):
            self.to_server += self.connection.data_to_send()
        else:
            self.lane.submit(job)

    def move(self) -> None:
        self.steps += 1
        rng = self.rng
        choice = rng.random()
        if choice < 0.35 and self.tasks:
            task = rng.choice(self.tasks)
            try:
                next(task)
            except StopIteration:
                self.tasks.remove(task)
        elif choice < 0.5:
            self.pump()
        elif choice < 0.6:
            size = rng.randint(1, len(self.to_server)) if self.to_server else 0
            data = bytes(self.to_server[:size])
            del self.to_server[:size]
            self.server.feed(data)
        elif choice < 0.85:
            self.server.step()
        elif not self.lane.pause_wanted:
            out = self.server.out
            size = rng.randint(1, len(out)) if out else 0
            data = bytes(out[:size])
            del out[:size]
            self.lane.receive(self.connection.receive_data(data))
            if rng.random() < 0.7:
                self.pump()

    def run(self, steps: int) -> None:
        """Let things happen for so many steps, then see everybody off."""
        for _ in range(steps):
            self.move()
        self.calm = True
        for _ in range(400_000):
            if not self.tasks:
                break
            self.move()
        assert not self.tasks, f"{len(self.tasks)} tasks wait forever: {self.describe()}"
        self.lane.close()
        for _ in range(50_000):
            self.pump()
            self.move()
            if self.lane.idle:
                break
        assert self.lane.idle, f"never idle: {self.describe()}"
        assert self.lane.error is None
        self.connection.send_goodbye()
        self.server.feed(bytes(self.to_server) + self.connection.data_to_send())
        assert self.server.gone

    def describe(self) -> str:
        lane = self.lane
        return (
            f"flight {list(lane._flight)}, queue {list(lane._queue)}, open {list(lane._open)},"
            f" lease {lane._lease}, reset {lane._reset}, hold {lane._hold}, server {self.server.state}"
            f" with {list(self.server.queue)}"
        )

    # tasks

    def script(self, fails: float = 0.12) -> Script:
        rng = self.rng
        kind = rng.choice(("run", "pull")) if rng.random() < fails else "no"
        if rng.random() < self.endless:
            kind = "endless"
        script = Script(len(self.scripts), rng.choice((0, 1, 2, 5, 30)), kind)
        self.scripts[script.number] = script
        return script

    def patience(self, script: Script | None = None) -> int | None:
        """After how many turns a task is cancelled; None: never."""
        if script is not None and script.fails == "endless":
            return self.rng.randint(0, 25)
        if self.calm or self.rng.random() < 0.75:
            return None
        return self.rng.randint(0, 25)

    def wait(self, job: Job, outcome: Outcome, patience: int | None) -> Iterator[None]:
        while not outcome.finished:
            if patience is not None:
                if patience == 0:
                    self.seen["cancelled"] += 1
                    self.lane.abandon(job)
                    return
                patience -= 1
            yield

    def task(self) -> Generator[None, None, None]:
        rng = self.rng
        for _ in range(rng.randint(5, 40)):
            if self.calm:
                return
            kind = rng.random()
            if kind < 0.45:
                yield from self.statement(None)
            elif kind < 0.7:
                yield from self.reading(None)
            elif kind < 0.93:
                yield from self.transaction()
            else:
                outcome = Outcome()
                ping = Reset(waiter=outcome)
                self.submit(ping)
                yield from self.wait(ping, outcome, self.patience())
            for _ in range(rng.randint(0, 3)):
                yield

    def statement(self, lease: Lease | None, fails: float = 0.12) -> Result:
        """Fetch or execute; returns the error."""
        script = self.script(fails)
        outcome = Outcome()
        job: Statement
        discard = self.rng.random() < 0.5
        if discard:
            job = Statement(script.text(), {}, discard=True, lease=lease, waiter=outcome)
        else:
            job = Collect(script.text(), {}, lease=lease, waiter=outcome)
        try:
            self.submit(job)
        except BoltError as error:
            assert lease is not None
            return error
        yield from self.wait(job, outcome, self.patience(script))
        if outcome.error is not None:
            self.seen["failure"] += 1
            if lease is None:
                assert script.fails != "no", f"somebody else's failure: {outcome.error!r}"
            return outcome.error
        if outcome.finished:
            self.seen["success"] += 1
            assert script.fails == "no" or (script.fails == "pull" and False)
            assert script.ran == 1
            if lease is None:
                assert script.committed == 1
            if not discard:
                assert outcome.value == [(f"{script.number}:{row}",) for row in range(script.rows)]
        return None

    def reading(self, lease: Lease | None) -> Result:
        """Read a result slowly, and do other things in the loop."""
        rng = self.rng
        script = self.script()
        size = rng.choice((1, 3, 10)) if self.streams and rng.random() < 0.8 else -1
        stream = Stream(script.text(), size, rng.choice((1, 4, 20)), lease)
        try:
            self.submit(stream)
        except BoltError as error:
            return error
        patience = self.patience(script)
        leaves = rng.randint(0, 20) if rng.random() < 0.3 and not self.endless else None
        while True:
            if patience == 0:
                self.seen["cancelled"] += 1
                self.lane.abandon(stream)
                return None
            if stream.waiting:
                if script.fails == "endless" and patience is not None:
                    patience -= 1
                if rng.random() < 0.3:
                    yield  # a slow reader
                taken = stream.waiting[: rng.randint(1, 4)]
                del stream.waiting[: len(taken)]
                self.lane.drained(stream)
                stream.rows += taken
                if rng.random() < 0.15 and script.number % 3 == 0 and script.fails != "endless":
                    # The most natural loop: something is asked for while a result is read.
                    yield from self.statement(lease, 0.0 if lease else 0.12)
                continue
            if stream.error is not None:
                if lease is None:
                    assert script.fails != "no"
                return stream.error
            if stream.summary is not None:
                assert script.fails == "no" and script.ran == 1
                assert stream.rows == [(f"{script.number}:{row}",) for row in range(script.rows)]
                if lease is None:
                    assert script.committed == 1
                self.seen["success"] += 1
                return None
            if leaves is not None:
                if leaves == 0:
                    self.seen["left"] += 1
                    self.lane.abandon(stream, leave=True)
                    return None
                leaves -= 1
            if patience is not None:
                patience -= 1
            yield

    def transaction(self) -> Generator[None, None, None]:
        rng = self.rng
        fails = rng.random() < 0.05
        lease = Lease()
        begin = Begin(lease, {"tx_metadata": {"fails": True}} if fails else None)
        self.lane.submit(begin)
        first = len(self.scripts)
        mine: list[int] = []
        for _ in range(rng.randint(0, 4)):
            before = len(self.scripts)
            yield from (self.statement(lease) if rng.random() < 0.7 else self.reading(lease))
            mine.append(before)
        assert first <= len(self.scripts)
        if rng.random() < 0.25:
            outcome = Outcome()
            self.lane.rollback(Rollback(lease=lease, waiter=outcome))
            yield from self.wait_for(outcome)
            assert outcome.error is None
            assert all(self.scripts[number].committed == 0 for number in mine)
            self.seen["rolled back"] += 1
            return
        outcome = Outcome()
        commit = Commit(lease=lease, waiter=outcome)
        try:
            self.lane.submit(commit)
        except BoltError:
            assert all(self.scripts[number].committed == 0 for number in mine)
            return
        patience = self.patience()
        while not outcome.finished:
            if patience == 0:
                # Given up, written or not: the connection must come free.
                self.seen["cancelled"] += 1
                self.lane.abandon(commit)
                if not lease.over:
                    rolled = Outcome()
                    self.lane.rollback(Rollback(lease=lease, waiter=rolled))
                    yield from self.wait_for(rolled)

                committed = [self.scripts[number].committed for number in mine]
                assert committed == [self.scripts[number].ran for number in mine] or not any(committed)
                return
            if patience is not None:
                patience -= 1
            yield
        if outcome.error is None:
            self.seen["committed"] += 1
            assert not fails
            assert all(self.scripts[number].committed == self.scripts[number].ran for number in mine)
        else:
            assert all(self.scripts[number].committed == 0 for number in mine)

    def wait_for(self, outcome: Outcome) -> Iterator[None]:
        while not outcome.finished:
            yield


class Collect(Statement):
    """A statement whose rows come as its result."""

    __slots__ = ("rows",)

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.rows: list[Any] = []

    def on_rows(self, rows: list[tuple[Any, ...]]) -> None:
        self.rows += rows

    def on_done(self, summary: dict[str, Any]) -> None:
        super().on_done(self.rows)  # type: ignore[arg-type]
