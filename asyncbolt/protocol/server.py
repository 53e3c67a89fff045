"""The server's end of a connection, without IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .._constants import DEFAULT_MAX_DEPTH, MAX_SIZE, Message, Version
from ..chunking import MessageReader, MessageWriter
from ..exceptions import (
    BoltError,
    HandshakeError,
    LocalProtocolError,
    Neo4jError,
    RemoteProtocolError,
    UnpackError,
)
from ._borders import Borders
from .events import ConnectionFailed, Goodbye, HandshakeDone, Interrupted, RequestReceived, ServerEvent
from .handshake import ServerHandshake
from .messages import INVALID, INVALID_FORMAT, MalformedRequest, ServerRequest, message_name, read_request
from .states import Answer, Rule, State, Table, rule_for, table
from .versions import VERSIONS, Facts, facts, known_versions, version_text

__all__ = ["ServerConnection"]

_LATEST: Final = -1
_LOGGED_OUT: Final = frozenset({State.HANDSHAKE, State.CONNECTED, State.NEGOTIATION, State.AUTHENTICATION})
# These change who is logged in, or whether anyone is: a RESET does not interrupt them.
_LOGINS: Final = frozenset({Message.HELLO, Message.LOGON, Message.LOGOFF})
_IN_TRANSACTION: Final = frozenset({State.TX_READY, State.TX_STREAMING})
_MAX_HELD: Final = 1 << 20  # bytes held undecoded for a peer that has not logged in


class ServerConnection:
    """Everything that Bolt is on the server's side, and no socket.

    Received bytes go into :meth:`receive_data`, which returns events; one request at a time comes out as a
    :class:`~asyncbolt.protocol.RequestReceived` and is answered with :meth:`send_records` (any number of
    times) and one of :meth:`send_success`, :meth:`send_failure`, :meth:`send_ignored`. What was pipelined
    behind it then comes from :meth:`next_events`. Whatever the peer does wrong is answered here and never
    raises; whatever the caller does wrong raises :exc:`~asyncbolt.exceptions.LocalProtocolError` at once and
    changes nothing.

    After every call, write :meth:`data_to_send`; when ``closed`` is then True, close the transport.

    Args:
        versions: which versions are served.
        manifest: whether the manifest handshake is understood.
        utc_patch: whether the UTC forms of date-times are granted to clients that ask (Bolt 4.3 and 4.4).
        extended_types: as in :class:`~asyncbolt.protocol.ClientConnection`.
        max_message_size: longest request, in bytes.
        max_elements: most elements in one list or map of a request; None: no limit of its own.
        max_depth: deepest nesting in a request.
        unauthenticated_message_size: the same three as long as nobody is logged in. Neo4j has 8192 bytes, too
            short for many a token.
        unauthenticated_elements: see above.
        unauthenticated_depth: see above; HELLO's map is the first level.
        max_queued: how many requests are read ahead of the one being answered; see ``wants_data``.

    Attributes:
        version: the version agreed on, or None.
        manifest: whether it was agreed on by the manifest handshake.
        state: the state behind everything answered so far; INTERRUPTED from the arrival of a RESET on.
        closed: True once nothing more is received; what ``data_to_send`` gives is still owed.
        error: why it is closed, if the peer or a refusal is to blame.
        request: what is to be answered, or None.
        authenticated: whether somebody is logged in.
        utc_patch: whether the UTC forms of date-times are in force by the patch.

    Raises:
        ValueError: for versions that do not exist.
    """

    def __init__(
        self,
        *,
        versions: Iterable[Version] = VERSIONS,
        manifest: bool = True,
        utc_patch: bool = True,
        extended_types: bool = False,
        max_message_size: int = MAX_SIZE,
        max_elements: int | None = None,
        max_depth: int = DEFAULT_MAX_DEPTH,
        unauthenticated_message_size: int = 65536,
        unauthenticated_elements: int = 64,
        unauthenticated_depth: int = 3,
        max_queued: int = 300,
    ) -> None:
        self._handshake: ServerHandshake | None = ServerHandshake(known_versions(versions), manifest)
        self.version: Version | None = None
        self.manifest = False
        self.state = State.HANDSHAKE
        self.closed = False
        self.error: BoltError | None = None
        self.request: ServerRequest | None = None
        self.authenticated = False
        self.utc_patch = False

        self._grants_patch = utc_patch
        self._extended_types = extended_types
        self._limits = (max_message_size, max_elements, max_depth)
        self._login_limits = (
            min(unauthenticated_message_size, max_message_size),
            unauthenticated_elements,
            min(unauthenticated_depth, max_depth),
        )
        self._max_queued = max_queued
        self._facts: Facts | None = None
        self._table: Table = {}
        self._reader: MessageReader | None = None
        self._writer: MessageWriter | None = None
        self._borders = Borders()
        self._held = b""
        self._out: list[bytes] = []
        self._queue: deque[ServerRequest | _Malformed] = deque()
        self._resets = 0  # in the queue, having interrupted what is before them
        self._open: set[int] = set()
        self._latest = _LATEST  # the stream of the latest RUN
        self._next_qid = 0

    # What is known

    @property
    def noops(self) -> int:
        """How many keep-alives the client has sent."""
        return self._reader.noops if self._reader is not None else 0

    @property
    def queued(self) -> int:
        """How many requests wait behind the one that is being answered."""
        return len(self._queue)

    @property
    def wants_data(self) -> bool:
        """False: stop reading from the transport until a request has been answered.

        So it is when as many requests wait as may, or when bytes of a peer that is just logging in do.
        """
        return not self.closed and not self._held and len(self._queue) < self._max_queued

    @property
    def interrupted(self) -> bool:
        """Whether a RESET has arrived and its turn has not come."""
        return self._resets > 0

    @property
    def transaction(self) -> bool:
        """Whether an explicit transaction is open."""
        return self.state in _IN_TRANSACTION

    @property
    def open_streams(self) -> tuple[int, ...]:
        """The numbers of the open streams; -1 for that of an auto-commit statement."""
        return tuple(sorted(self._open))

    def supports(self, message: Message) -> bool:
        """Tell whether the version agreed on has this request."""
        return self._facts is not None and message in self._facts.layouts

    def has(self, feature: str) -> bool:
        """Tell whether the version agreed on has what :data:`asyncbolt.protocol.versions.FEATURES` names."""
        return self._facts is not None and feature in self._facts.features

    # Bytes

    def data_to_send(self) -> bytes:
        """Take all bytes that are to be written; ``b""`` when there are none."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[ServerEvent]:
        """Take received bytes, cut anywhere, and return what they mean. Never raises for the peer's sins."""
        events: list[ServerEvent] = []
        if self.closed:
            return events
        data = bytes(data)
        handshake = self._handshake
        if handshake is not None:
            try:
                data = handshake.feed(data)
            except HandshakeError as exc:
                if handshake.outgoing:
                    self._out.append(handshake.outgoing)
                self._fail(exc, events)
                return events
            if handshake.outgoing:
                self._out.append(handshake.outgoing)
                handshake.outgoing = b""
            if handshake.version is None:
                return events
            self._handshake = None
            self._begin(handshake)
            events.append(HandshakeDone(handshake.version, handshake.manifest))
        self._held = self._held + data if self._held else data
        self._pump(events)
        return events

    def receive_eof(self) -> list[ServerEvent]:
        """Take the end of the stream: Goodbye, or ConnectionFailed when it came inside something."""
        events: list[ServerEvent] = []
        if self.closed:
            return events
        if self._handshake is not None:
            self._fail(self._handshake.eof(), events)
            return events
        assert self._reader is not None
        inside = self._reader.eof()
        if inside is None:
            self._close()
            events.append(Goodbye(said=False))
        else:
            error = RemoteProtocolError("the client closed the connection inside a message")
            error.__cause__ = inside
            self._fail(error, events)
        return events

    def next_events(self) -> list[ServerEvent]:
        """Return what has waited for the last answer; nothing while a request is still being answered."""
        events: list[ServerEvent] = []
        if not self.closed and self._handshake is None:
            self._pump(events)
        return events

    # Answers

    def send_records(self, rows: Sequence[tuple[Any, ...] | list[Any]]) -> None:
        """Send one RECORD for each row, in answer to PULL.

        Raises:
            LocalProtocolError: no PULL is being answered.
            PackError: a value cannot be packed; no row has then been sent.
        """
        request = self.request
        if request is None or request.message is not Message.PULL or self.closed:
            raise LocalProtocolError(f"records cannot be sent in state {self.state}: {self._due()}")
        assert self._writer is not None
        if rows:
            self._out.append(self._writer.records(rows))

    def send_success(self, metadata: Mapping[str, Any] | None = None) -> None:
        """Answer the request with SUCCESS.

        Keys that the version does not have are left out, or called what that version calls them. The
        connection adds ``qid`` (RUN in a transaction), ``protocol_version`` and ``patch_bolt`` (HELLO), where
        they are due.

        Args:
            metadata: the summary. ``has_more`` (4.0+) says that a stream goes on behind this PULL or DISCARD.

        Raises:
            LocalProtocolError: nothing is being answered, ``has_more`` where streams have no parts, or a
                ``qid`` that is not the stream's.
            PackError: a value cannot be packed; the request is still to be answered.
        """
        request = self._answering("SUCCESS")
        message = request.message
        more = bool(metadata and metadata.get("has_more"))
        rule = rule_for(self._table, self.state, message)
        if more and (message not in _STREAM_REQUESTS or not self.has("streams")):
            raise LocalProtocolError(
                f"SUCCESS of {self._name(message)} cannot say has_more in Bolt"
                f" {version_text(self._known().version)}"
            )
        summary = self._summary(request, metadata)
        self._answer(Message.SUCCESS, summary)
        if message is Message.HELLO and "utc" in (summary.get("patch_bolt") or ()):
            self._patch()
        if rule.answer is not Answer.HANDLE:
            return  # interrupted: its success changes nothing that the RESET will not undo
        if message is Message.RUN:
            self._open.add(request.qid)
            self._latest = request.qid
        elif message in _STREAM_REQUESTS:
            if more:
                assert rule.more is not None
                self._move(rule.more)
                return
            self._open.discard(request.qid)
            if self._open and rule.others is not None:
                self._move(rule.others)
                return
        else:
            self._forget_streams()
        self._move(rule.success)

    def send_failure(self, error: Neo4jError | Mapping[str, Any] | str, message: str = "") -> None:
        """Answer the request with FAILURE, in the form of the version.

        A refused INIT, HELLO or LOGON closes the connection: ``closed`` is then True.

        Args:
            error: an error; or a code, which goes with *message*; or the metadata itself, sent as it is.
            message: what happened, for humans.

        Raises:
            LocalProtocolError: nothing is being answered.
            PackError: a value cannot be packed; the request is still to be answered.
        """
        request = self._answering("FAILURE")
        rule = rule_for(self._table, self.state, request.message)
        if isinstance(error, str):
            error = Neo4jError(message, code=error)
        metadata = error.to_failure(self._known().version) if isinstance(error, Neo4jError) else dict(error)
        self._answer(Message.FAILURE, metadata)
        if rule.failure is State.DEFUNCT:
            self.error = error if isinstance(error, Neo4jError) else Neo4jError.from_failure(metadata)
            self._close()
        elif rule.answer is Answer.HANDLE:
            self._forget_streams()
            self._move(rule.failure)

    def send_ignored(self) -> None:
        """Answer the request with IGNORED, which is only right for work that a RESET has interrupted.

        Raises:
            LocalProtocolError: nothing is being answered, or no RESET has arrived.
        """
        self._answering("IGNORED")
        if not self._resets:
            raise LocalProtocolError(f"IGNORED cannot be sent in state {self.state}: no RESET has arrived")
        self._answer(Message.IGNORED)

    def send_noop(self) -> bool:
        """Send a keep-alive between messages (4.1+); tell whether the version has it."""
        if self.closed or not self.has("noop"):
            return False
        self._out.append(b"\x00\x00")
        return True

    # Answering

    def _known(self) -> Facts:
        assert self._facts is not None
        return self._facts

    def _name(self, message: Message) -> str:
        return message_name(message, self._facts)

    def _due(self) -> str:
        if self.closed:
            return "the connection is closed"
        if self.request is None:
            return "no request is to be answered"
        return f"{self._name(self.request.message)} is to be answered"

    def _answering(self, name: str) -> ServerRequest:
        if self.request is None or self.closed:
            raise LocalProtocolError(f"{name} cannot be sent in state {self.state}: {self._due()}")
        return self.request

    def _summary(self, request: ServerRequest, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
        known = self._known()
        message = request.message
        names = known.summary_keys.get(message, {})
        summary: dict[str, Any] = {}
        for key, value in (metadata or {}).items():
            name = names.get(key, key)
            if name is not None and not (key == "has_more" and not value):
                summary[name] = value
        if message is Message.RUN and request.qid != _LATEST and self.has("streams"):
            if summary.setdefault("qid", request.qid) != request.qid:
                raise LocalProtocolError(f"the stream of this RUN is {request.qid}, not {summary['qid']!r}")
        elif message is Message.HELLO:
            if self.manifest:
                summary.setdefault("protocol_version", version_text(known.version))
            if self._grants_patch and "utc" in request.extra.get("patch_bolt", ()):
                summary.setdefault("patch_bolt", ["utc"])
        return summary

    def _answer(self, signature: Message, *fields: Any) -> None:
        assert self._writer is not None and self.request is not None
        self._out.append(self._writer.message(signature, *fields))
        self.request = None

    def _forget_streams(self) -> None:
        self._open.clear()
        self._latest = _LATEST

    def _patch(self) -> None:
        assert self._reader is not None and self._writer is not None
        self.utc_patch = True
        self._reader.configure(self._known().version, True)
        self._writer.configure(self._known().version, True)

    def _move(self, state: State) -> None:
        """Go to *state*. A RESET on its way keeps the connection INTERRUPTED until its turn comes."""
        if state is State.TX_READY and self.state is State.READY:
            self._next_qid = 0
        self.state = State.INTERRUPTED if self._resets and state not in _LOGGED_OUT else state
        authenticated = self.state not in _LOGGED_OUT
        if authenticated is not self.authenticated:
            self.authenticated = authenticated
            self._limit()

    def _limit(self) -> None:
        assert self._reader is not None
        size, elements, depth = self._limits if self.authenticated else self._login_limits
        self._reader.max_message_size = size
        self._reader.max_elements = elements
        self._reader.max_depth = depth

    # Receiving

    def _begin(self, handshake: ServerHandshake) -> None:
        assert handshake.version is not None
        self.version = handshake.version
        self.manifest = handshake.manifest
        self._facts = facts(handshake.version)
        self.state, self._table = table(handshake.version)
        self._reader = MessageReader(handshake.version, extended_types=self._extended_types, runs=False)
        self._writer = MessageWriter(handshake.version, graph=True)
        self._limit()

    def _pump(self, events: list[ServerEvent]) -> None:
        """Decode what may be decoded and take requests off the queue until one is the owner's to answer."""
        assert self._reader is not None
        while not self.closed:
            self._serve(events)
            if self.closed or not self._held:
                return
            held = self._held
            if not self.authenticated:
                # Whether it succeeds decides how what is behind it is read: one message at a time.
                if self.request is not None:
                    if len(held) > _MAX_HELD:
                        self._fail(
                            RemoteProtocolError("the client sent more than may wait before it is logged in"),
                            events,
                        )
                    return
                end = self._borders.find(held)
                if end < 0:
                    end = len(held)
                self._held = held[end:]
                held = held[:end]
            else:
                self._borders.pass_over(held)
                self._held = b""
            for item in self._reader.feed(held):
                self._arrive(item, events)
                if self.closed:
                    return

    def _arrive(self, item: Any, events: list[ServerEvent]) -> None:
        """Take one decoded message in the order of arrival."""
        if isinstance(item, UnpackError):
            self._unreadable(item, events)
            return
        signature, fields = item[0], item[1:]
        layout = self._known().layouts.get(signature)
        if layout is None:
            # Closed without waiting for what is queued before it, and without a byte.
            self._fail(
                RemoteProtocolError(
                    f"the client sent {message_name(signature)}, which is no request in"
                    f" Bolt {version_text(self._known().version)}"
                ),
                events,
            )
            return
        message = layout.message
        try:
            request = read_request(self._known(), message, fields)
        except MalformedRequest as exc:
            self._queue.append(_Malformed(message, exc))
            return
        if message is Message.GOODBYE:
            self._close()
            events.append(Goodbye())
            return
        self._queue.append(request)
        if message is not Message.RESET or self.state in _LOGGED_OUT:
            return
        running = self.request.message if self.request is not None else None
        if running not in _LOGINS:
            if running is not None and running is not Message.RESET and not self._resets:
                events.append(Interrupted())
            request.overtakes = True
            self._resets += 1
            self._forget_streams()
            self.state = State.INTERRUPTED

    def _serve(self, events: list[ServerEvent]) -> None:
        """Take requests off the queue until one is to be answered by the owner."""
        queue = self._queue
        while self.request is None and queue and not self.closed:
            request = queue.popleft()
            message = request.message
            rule = rule_for(self._table, self.state, message)
            if isinstance(request, _Malformed):
                self._refuse(rule, request.cause.code, request.cause.text, events)
            elif message is Message.RESET and rule.answer is not Answer.REFUSE:
                self._reset(request, events)
            elif rule.answer is Answer.IGNORE:
                self._write(Message.IGNORED)
            elif rule.answer is Answer.REFUSE:
                self._refuse(
                    rule, INVALID, f"{self._name(message)} is not possible in state {self.state}", events
                )
            elif self._resolve(request):
                self.request = request
                events.append(RequestReceived(request))
            else:
                self._refuse(rule, INVALID_FORMAT, f"No such statement: {request.qid}", events)

    def _reset(self, request: ServerRequest, events: list[ServerEvent]) -> None:
        if request.overtakes:
            self._resets -= 1
            if self._resets:
                self._write(Message.IGNORED)
                return
        self.state = State.INTERRUPTED
        self.request = request
        events.append(RequestReceived(request))

    def _resolve(self, request: ServerRequest) -> bool:
        """Find out which stream a request means or opens; False when there is no such stream."""
        request.in_transaction = self.state in _IN_TRANSACTION
        if request.message is Message.RUN:
            if request.in_transaction:
                request.qid = self._next_qid
                self._next_qid += 1
        elif request.message in _STREAM_REQUESTS:
            if not request.in_transaction:
                # An auto-commit statement has no number, but Neo4j takes 0 for it.
                found = request.qid in (_LATEST, 0)
                request.qid = _LATEST if found else request.qid
                return found
            if request.qid == _LATEST:
                request.qid = self._latest
            return request.qid in self._open
        return True

    def _refuse(self, rule: Rule, code: str, text: str, events: list[ServerEvent]) -> None:
        """Answer a request that the owner never sees with FAILURE."""
        self._write(Message.FAILURE, Neo4jError(text, code=code).to_failure(self._known().version))
        if rule.failure is State.DEFUNCT:
            self._fail(RemoteProtocolError(f"the client sent a request that was refused: {text}"), events)
        else:
            self._forget_streams()
            self._move(rule.failure)

    def _unreadable(self, cause: UnpackError, events: list[ServerEvent]) -> None:
        # Nothing behind it can be read, so nothing before it is waited for; but if it is its turn, say why.
        if self.request is None and not self._queue:
            self._write(
                Message.FAILURE, Neo4jError(str(cause), code=INVALID).to_failure(self._known().version)
            )
        error = RemoteProtocolError(f"the client sent what cannot be read in state {self.state}: {cause}")
        error.__cause__ = cause
        self._fail(error, events)

    def _write(self, signature: Message, *fields: Any) -> None:
        assert self._writer is not None
        self._out.append(self._writer.message(signature, *fields))

    def _close(self) -> None:
        self.closed = True
        self.state = State.DEFUNCT
        self.request = None
        self._queue.clear()
        self._held = b""

    def _fail(self, error: BoltError, events: list[ServerEvent]) -> None:
        self.error = error
        self._close()
        events.append(ConnectionFailed(error))


_STREAM_REQUESTS: Final = frozenset({Message.PULL, Message.DISCARD})


class _Malformed:
    """A request that cannot be read, waiting for its turn to be answered with FAILURE."""

    __slots__ = ("cause", "message")

    def __init__(self, message: Message, cause: MalformedRequest) -> None:
        self.message = message
        self.cause = cause
