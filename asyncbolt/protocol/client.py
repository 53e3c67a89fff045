"""The client's end of a connection, without IO."""

from __future__ import annotations

import itertools
import operator
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .._constants import MAX_SIZE, Message, Version
from ..chunking import MessageReader, MessageWriter
from ..exceptions import (
    BoltError,
    HandshakeError,
    LocalProtocolError,
    Neo4jError,
    RemoteProtocolError,
    ServiceUnavailable,
    UnpackError,
)
from ._borders import Borders
from .events import (
    ClientEvent,
    ConnectionFailed,
    FailureReceived,
    HandshakeDone,
    IgnoredReceived,
    RecordsReceived,
    SuccessReceived,
)
from .handshake import DEFAULT_OFFERS, ClientHandshake, decode_offer, encode_offer, offers_for
from .messages import default_bolt_agent, fit_field, message_name, request_map, unfit_key
from .states import (
    BEHIND,
    CLEARING,
    FENCES,
    MAX_UNANSWERED,
    OVERTAKES_NOT,
    UNSOUND_WHEN_FAILED,
    Answer,
    Rule,
    State,
    Table,
    rule_for,
    sendable,
    table,
)
from .versions import MAP, VERSIONS, Facts, facts, known_versions, version_text

__all__ = ["ClientConnection", "Request"]

_ALL: Final = -1
_MOST: Final = 2**63 - 1  # the largest integer of PackStream
# Portions of as many sizes are kept packed.
_MOST_PACKED: Final = 32
_LATEST: Final = -1

# Up to Python 3.11 a look at a member of an enumeration runs code of Python.
_RUN: Final = Message.RUN
_PULL: Final = Message.PULL
_DISCARD: Final = Message.DISCARD
_RESET: Final = Message.RESET
_HELLO: Final = Message.HELLO
_SUCCESS: Final = int(Message.SUCCESS)
_IGNORED: Final = int(Message.IGNORED)
_FAILURE: Final = int(Message.FAILURE)


class _Stream:
    """A result whose records have not all been asked for, as far as is known."""

    __slots__ = ("asked", "number", "qid")

    def __init__(self, number: int) -> None:
        self.number = number  # of its RUN
        self.qid: int | None = None  # known once RUN has been answered, in a transaction (4.0+)
        self.asked = False  # a PULL or DISCARD of n is unanswered: it may turn out to be the last


class Request:
    """A request that was sent; the events that answer it carry it.

    Attributes:
        message: which request.
        data: its bytes, packed and framed.
        number: how many requests that get an answer were sent before it on this connection.
        answered: whether its SUCCESS, FAILURE or IGNORED has come.
        abandoned: whether its records are skipped.
        context: free for the owner.
    """

    __slots__ = (
        "_before",
        "_dropped",
        "_epoch",
        "_latest",
        "_n",
        "_on_failure",
        "_qid",
        "_stream",
        "abandoned",
        "answered",
        "context",
        "data",
        "message",
        "number",
    )

    def __init__(
        self,
        message: Message,
        data: bytes,
        number: int,
        on_failure: State,
        n: int,
        qid: int,
        before: State,
        latest: _Stream | None,
    ) -> None:
        self.message = message
        self.data = data
        self.number = number
        self.answered = False
        self.abandoned = False
        self.context: Any = None
        self._epoch = 0  # how many requests before it clear failures
        self._n = n
        self._qid = qid
        self._stream: _Stream | None = None
        self._on_failure = on_failure
        # What it changed in the prediction, in case that it is taken back.
        self._before = before
        self._latest = latest
        self._dropped: tuple[dict[_Stream, None], dict[int, _Stream]] | None = None

    def __repr__(self) -> str:
        state = "answered" if self.answered else "unanswered"
        return f"<Request {self.message.name} #{self.number}, {state}>"


class ClientConnection:
    """Everything that Bolt is on the client's side, and no socket.

    Intent goes in through the ``send_`` methods, bytes to write come out of :meth:`data_to_send`; received
    bytes go into :meth:`receive_data`, which returns events. Whatever the peer does wrong becomes a
    :class:`~asyncbolt.protocol.ConnectionFailed`, never an exception; whatever the caller does wrong raises
    :exc:`~asyncbolt.exceptions.LocalProtocolError` at once and changes nothing.

    The connection predicts the state that the server is in once everything sent has succeeded (``state``),
    and refuses what would cost the connection there.

    Args:
        offers: four offers of 4 bytes each; by default the manifest, 5.8 - 5.0, 4.4 - 4.0 and 3.
        versions: in place of *offers*: versions in order of preference.
        version: in place of both: the one version that the server is known to speak. Nothing then waits for
            the server's reply: requests may be sent at once. A wrong guess loses the connection.
        extended_types: read dates and times as :mod:`asyncbolt.time` classes always, not only when the
            standard library's would lose something.
        max_message_size: longest message accepted, in bytes.
        max_unanswered: how many requests may be unanswered at once. RESET and GOODBYE do not count.

    Attributes:
        version: the version agreed on (or guessed), or None.
        state: the predicted state.
        closed: True once nothing more can be sent or received.
        error: why it is closed, None when it is not or GOODBYE was sent.
        server_agent: what HELLO's answer calls the server.
        connection_id: the server's name for this connection (Bolt 3+).
        hints: the hints in HELLO's answer (Bolt 4.3+).
        utc_patch: whether the UTC forms of date-times were granted (Bolt 4.3 and 4.4).
        outstanding: requests not answered yet, oldest first.
        manifest: whether the version was agreed on by the manifest handshake.

    Raises:
        ValueError: for offers or versions that do not exist.
    """

    def __init__(
        self,
        *,
        offers: Iterable[bytes] | None = None,
        versions: Iterable[Version] | None = None,
        version: Version | None = None,
        extended_types: bool = False,
        max_message_size: int = MAX_SIZE,
        max_unanswered: int = MAX_UNANSWERED,
    ) -> None:
        if (offers is not None) + (versions is not None) + (version is not None) > 1:
            raise ValueError("give offers, versions or version, not more than one of them")
        preference: Sequence[Version] = VERSIONS
        slots: Sequence[bytes] = DEFAULT_OFFERS
        if version is not None:
            preference = known_versions((version,))
            slots = (encode_offer(preference[0]),)
        elif versions is not None:
            preference = known_versions(versions)
            slots = offers_for(preference)
        elif offers is not None:
            slots = tuple(bytes(offer) for offer in offers)
            for slot in slots:
                decode_offer(slot)
        self._handshake: ClientHandshake | None = ClientHandshake(slots, preference)
        self._out: list[bytes] = [self._handshake.outgoing]
        self._handshake.outgoing = b""

        self.version: Version | None = None
        self.state = State.HANDSHAKE
        self.closed = False
        self.error: BoltError | None = None
        self.server_agent: str | None = None
        self.connection_id: str | None = None
        self.hints: dict[str, Any] = {}
        self.utc_patch = False
        self.outstanding: deque[Request] = deque()
        self.manifest = False
        self.max_unanswered = max_unanswered

        self._extended_types = extended_types
        self._max_message_size = max_message_size
        self._facts: Facts | None = None
        self._table: Table = {}
        self._sendable: Table = {}
        self._reader: MessageReader | None = None
        self._writer: MessageWriter | None = None
        self._packed: dict[Any, bytes] = {}  # requests that are always the same
        self._sent = 0
        self._epoch = 0
        self._open: dict[_Stream, None] = {}  # oldest first
        self._named: dict[int, _Stream] = {}  # those of them whose qid is known
        self._latest: _Stream | None = None
        # The server is FAILED or INTERRUPTED: seen from its answers, not predicted.
        self._failed = False
        self._last_failure: Neo4jError | None = None
        self._patch_hello: Request | None = None
        self._borders: Borders | None = None
        if version is not None:
            self._begin(preference[0])

    # What is known

    @property
    def noops(self) -> int:
        """How many keep-alives the server has sent."""
        return self._reader.noops if self._reader is not None else 0

    @property
    def room(self) -> int:
        """How many more requests may be sent before some have been answered."""
        return max(0, self.max_unanswered - len(self.outstanding))

    @property
    def patch_pending(self) -> bool:
        """Whether HELLO asked for the UTC forms of date-times and has not been answered (Bolt 4.3 and 4.4).

        Until then a statement with date-times that have a zone is refused, since their form is not known.
        """
        return self._patch_hello is not None

    @property
    def open_streams(self) -> tuple[int | None, ...]:
        """The predicted open results: their qid, or None where it is not known (yet)."""
        return tuple(stream.qid for stream in self._open)

    def supports(self, message: Message) -> bool:
        """Tell whether the version agreed on has this request."""
        return self._facts is not None and message in self._facts.layouts

    def accepts(self, message: Message, key: str) -> bool:
        """Tell whether the version agreed on has this key in this request."""
        return self._facts is not None and key in self._facts.keys.get(message, ())

    def has(self, feature: str) -> bool:
        """Tell whether the version agreed on has what :data:`asyncbolt.protocol.versions.FEATURES` names."""
        return self._facts is not None and feature in self._facts.features

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a RUN or BEGIN as they will be sent. Raises LocalProtocolError.

        For who wants to know before it is their turn. One that is an iterator is used up by it.
        """
        return request_map(self._known(), _RUN, given)

    # Bytes

    def data_to_send(self) -> bytes:
        """Take all bytes that are to be written; ``b""`` when there are none."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[ClientEvent]:
        """Take received bytes, cut anywhere, and return what they mean. Never raises for the peer's sins.

        Once the connection is closed, bytes are dropped.
        """
        events: list[ClientEvent] = []
        if self.closed:
            return events
        handshake = self._handshake
        if handshake is not None:
            try:
                data = handshake.feed(bytes(data))
            except HandshakeError as exc:
                if handshake.outgoing:
                    self._out.append(handshake.outgoing)
                self._fail(exc, events)
                return events
            if handshake.version is None:
                return events
            self._handshake = None
            self.manifest = handshake.manifest
            if handshake.outgoing:
                self._out.append(handshake.outgoing)
            if self.version is None:
                self._begin(handshake.version)
            events.append(HandshakeDone(handshake.version, handshake.manifest))
        reader = self._reader
        assert reader is not None
        while self._borders is not None and not self.closed:
            # What follows HELLO's answer is read in the form that the answer settles.
            data = bytes(data)
            end = self._borders.find(data)
            if end < 0:
                break
            self._take(reader.feed(data[:end]), events)
            data = data[end:]
        if len(data) and not self.closed:
            self._take(reader.feed(data), events)
        return events

    def receive_eof(self) -> list[ClientEvent]:
        """Take the end of the stream: a ConnectionFailed, unless the connection is closed already.

        Requests that were not answered stay in ``outstanding``.
        """
        events: list[ClientEvent] = []
        if self.closed:
            return events
        if self._handshake is not None:
            self._fail(self._handshake.eof(), events)
            return events
        assert self._reader is not None
        inside = self._reader.eof()
        text = "the server closed the connection"
        if inside is not None:
            text += " inside a message"
        if self.outstanding:
            count = len(self.outstanding)
            oldest = self._label(self.outstanding[0].message)
            text += f" with {count} request{'s' * (count > 1)} unanswered, the oldest a {oldest}"
        error = ServiceUnavailable(text)
        error.__cause__ = inside if inside is not None else self._last_failure
        self._fail(error, events)
        return events

    # Requests

    def send_hello(
        self,
        user_agent: str,
        auth: Mapping[str, Any] | None = None,
        *,
        bolt_agent: Mapping[str, str] | None = None,
        routing: Mapping[str, Any] | None = None,
        patch_bolt: Iterable[str] | None = None,
        notifications_minimum_severity: str | None = None,
        notifications_disabled: Iterable[str] | None = None,
    ) -> Request:
        """Send HELLO (INIT on Bolt 1 and 2). The caller need not know the version.

        Args:
            user_agent: the application, as "Name/Version".
            auth: credentials as a map; None: the scheme "none". They travel here up to Bolt 5.0; from 5.1 on
                they are not sent here, but by :meth:`send_logon`.
            bolt_agent: names the driver (5.3+); None: asyncbolt itself. Left out below.
            routing: asks for server-side routing (4.1+), None: does not. Left out below.
            patch_bolt: patches to ask for (4.3 and 4.4); None: "utc". Left out elsewhere.
            notifications_minimum_severity: filter for the connection (5.2+).
            notifications_disabled: categories (5.2 - 5.4) or classifications (5.6+) not wanted.

        Raises:
            LocalProtocolError: not the first request, or a notification filter below 5.2.
            PackError: a value cannot be packed.
        """
        rule = self._check(Message.HELLO)
        layout = self._known().layouts[Message.HELLO]
        credentials = _credentials(auth)
        named = {"user_agent": user_agent} if self.accepts(Message.HELLO, "user_agent") else {}
        extra = request_map(
            self._known(),
            Message.HELLO,
            {
                **named,
                "routing": routing,
                "patch_bolt": ("utc",) if patch_bolt is None else (tuple(patch_bolt) or None),
                "notifications_minimum_severity": notifications_minimum_severity,
                "notifications_disabled": notifications_disabled,
                "bolt_agent": default_bolt_agent() if bolt_agent is None else bolt_agent,
            },
        )
        fields: tuple[Any, ...]
        if len(layout.fields) == 2:
            fields = (fit_field(self._known(), Message.INIT, 0, user_agent), credentials)
        else:
            if layout.fields[0].rest is not None:
                for key, value in credentials.items():
                    if key in extra:
                        raise LocalProtocolError(f"HELLO: {key!r} is no key of credentials")
                    extra[key] = value
            fields = (extra,)
        request = self._send(Message.HELLO, rule, fields)
        if "patch_bolt" in extra:
            self._patch_hello = request
        return request

    def send_logon(self, auth: Mapping[str, Any] | None = None) -> Request:
        """Send LOGON (5.1+). *auth* is the credentials as a map; None: the scheme "none"."""
        return self._send(Message.LOGON, self._check(Message.LOGON), (_credentials(auth),))

    def send_logoff(self) -> Request:
        """Send LOGOFF (5.1+)."""
        return self._send(Message.LOGOFF, self._check(Message.LOGOFF), ())

    def send_run(self, statement: str, parameters: Mapping[str, Any] | None = None, **extra: Any) -> Request:
        """Send RUN.

        Args:
            statement: the text.
            parameters: its parameters.
            extra: bookmarks, tx_timeout (ms), tx_metadata, mode (Bolt 3+), db (4.0+), imp_user (4.4+),
                notifications_minimum_severity, notifications_disabled (5.2+). Those that are None are left
                out.

        Raises:
            LocalProtocolError: the state refuses it, the version has no such key, or one is given inside a
                transaction.
            PackError: a parameter cannot be packed.
        """
        rule = self._check(_RUN)
        return self._send(_RUN, rule, self._run_fields(rule, statement, parameters, extra))

    def pack_run(self, statement: str, parameters: Mapping[str, Any] | None = None, **extra: Any) -> Request:
        """Return a RUN that is packed and not sent; :meth:`send_again` sends it, if nothing is sent before.

        For who wants to know how long it is (``data``) first. Arguments and errors: as :meth:`send_run`.
        """
        rule = self._check(_RUN)
        data = self._pack(_RUN, self._run_fields(rule, statement, parameters, extra))
        return Request(_RUN, data, self._sent, rule.failure, _ALL, _LATEST, self.state, self._latest)

    def _run_fields(
        self, rule: Rule, statement: str, parameters: Mapping[str, Any] | None, extra: dict[str, Any]
    ) -> tuple[Any, ...]:
        known = self._known()
        options = request_map(known, _RUN, extra) if extra else {}
        if options and rule.success is State.TX_STREAMING:
            raise LocalProtocolError(
                f"RUN inside a transaction takes no {', '.join(options)}: these belong to its BEGIN"
                f" (state {self.state})"
            )
        text = statement if type(statement) is str else fit_field(known, _RUN, 0, statement)
        if parameters is None:
            arguments: Any = {}
        else:
            arguments = parameters if type(parameters) is dict else fit_field(known, _RUN, 1, parameters)
        return (text, arguments, options)[: len(known.layouts[_RUN].fields)]

    def send_begin(self, **extra: Any) -> Request:
        """Send BEGIN (Bolt 3+). *extra* as in :meth:`send_run`."""
        rule = self._check(Message.BEGIN)
        return self._send(Message.BEGIN, rule, (request_map(self._known(), Message.BEGIN, extra),))

    def send_pull(self, n: int = _ALL, qid: int = _LATEST) -> Request:
        """Send PULL (PULL_ALL up to Bolt 3, where *n* and *qid* must be -1).

        Args:
            n: how many records; -1: all.
            qid: which stream of the transaction; -1: that of the latest RUN.

        Raises:
            LocalProtocolError: no such stream is open, or a PULL or DISCARD of it is unanswered whose answer
                may end it.
        """
        return self._ask(_PULL, n, qid)

    def send_discard(self, n: int = _ALL, qid: int = _LATEST) -> Request:
        """Send DISCARD (DISCARD_ALL up to Bolt 3). As :meth:`send_pull`."""
        return self._ask(_DISCARD, n, qid)

    def send_commit(self) -> Request:
        """Send COMMIT (Bolt 3+). All streams must be done, by the specification; most servers close them."""
        return self._send(Message.COMMIT, self._check(Message.COMMIT), ())

    def send_rollback(self) -> Request:
        """Send ROLLBACK (Bolt 3+). As :meth:`send_commit`."""
        return self._send(Message.ROLLBACK, self._check(Message.ROLLBACK), ())

    def send_reset(self) -> Request:
        """Send RESET: it overtakes and interrupts everything unanswered. Requests may follow at once.

        Raises:
            LocalProtocolError: before login, while another RESET is unanswered, or while a BEGIN, LOGON or
                LOGOFF is (overtaking those costs the connection).
        """
        return self._send(Message.RESET, self._check(Message.RESET), ())

    def send_ack_failure(self) -> Request:
        """Send ACK_FAILURE (Bolt 1 and 2), behind a failure."""
        return self._send(Message.ACK_FAILURE, self._check(Message.ACK_FAILURE), ())

    def send_goodbye(self) -> None:
        """Send GOODBYE (Bolt 3+): nothing may follow, no answer comes, and what comes is dropped.

        It overtakes the queue: answers still owed are lost, running work is interrupted and rolled back.
        """
        self._check(Message.GOODBYE)
        self._out.append(self._pack(Message.GOODBYE, ()))
        self.closed = True
        self.state = State.DEFUNCT

    def send_route(
        self,
        routing: Mapping[str, Any] | None = None,
        bookmarks: Iterable[str] = (),
        *,
        db: str | None = None,
        imp_user: str | None = None,
    ) -> Request:
        """Send ROUTE (4.3+): ask for the routing table.

        Args:
            routing: what HELLO said; None: ``{}``.
            bookmarks: what the routing table must know of.
            db: the database; None: the default one.
            imp_user: whom to impersonate (4.4+).
        """
        rule = self._check(Message.ROUTE)
        known = self._known()
        extra = request_map(known, Message.ROUTE, {"db": db, "imp_user": imp_user})
        last: Any = extra if known.layouts[Message.ROUTE].fields[2].kind == MAP else extra.get("db")
        fields = (
            fit_field(known, Message.ROUTE, 0, {} if routing is None else routing),
            fit_field(known, Message.ROUTE, 1, bookmarks),
            last,
        )
        return self._send(Message.ROUTE, rule, fields)

    def send_telemetry(self, api: int) -> Request:
        """Send TELEMETRY (5.4+); *api* is 0 managed transaction, 1 explicit, 2 implicit, 3 execute_query."""
        rule = self._check(Message.TELEMETRY)
        return self._send(Message.TELEMETRY, rule, (fit_field(self._known(), Message.TELEMETRY, 0, api),))

    def send_again(self, request: Request) -> Request:
        """Send the bytes of *request* as a new request, which is returned. Raises LocalProtocolError."""
        message, n, qid = request.message, request._n, request._qid
        rule = self._check(message)
        stream = self._stream(message, n, qid) if message is _PULL or message is _DISCARD else None
        return self._enqueue(message, rule, request.data, n, qid, stream)

    def retract(self, request: Request) -> None:
        """Take back *request* and everything sent behind it, as if none of it had been asked for.

        For several requests of which the server is to get all or none: when a later one cannot be sent, the
        earlier ones are taken back.

        Raises:
            LocalProtocolError: one of them was handed out by :meth:`data_to_send`, answered or abandoned;
                then nothing changes.
        """
        outstanding, out = self.outstanding, self._out
        count = self._sent - request.number
        kept = len(outstanding) - count
        taken = list(itertools.islice(reversed(outstanding), count)) if kept >= 0 else []
        if (
            not taken
            or taken[-1] is not request
            or len(out) < count
            or any(map(operator.attrgetter("abandoned"), taken))
            or any(one.data is not data for one, data in zip(taken, reversed(out), strict=False))
        ):
            raise self._refusal(request.message, "cannot be taken back: it is on its way, or was answered")
        for one in taken:
            outstanding.pop()
            out.pop()
            self._undo(one)
            one.answered = True  # nothing comes
        self._sent = request.number

    def _undo(self, request: Request) -> None:
        """Bring the prediction back to what it was before *request*, the last one that was sent."""
        stream = request._stream
        if request.message is _RUN:
            assert stream is not None
            self._open.pop(stream, None)
        elif stream is not None:
            stream.asked = False
            if stream not in self._open:
                self._open[stream] = None
                self._open = dict.fromkeys(sorted(self._open, key=operator.attrgetter("number")))
                if stream.qid is not None:
                    self._named.setdefault(stream.qid, stream)
        else:
            if request.message in CLEARING:
                self._epoch -= 1
            if request is self._patch_hello:
                self._patch_hello = None
            if request._dropped is not None:
                self._open, self._named = request._dropped
        self._latest = request._latest
        self.state = request._before

    def abandon(self, request: Request) -> None:
        """Nobody wants the answer of *request* any more: its records are skipped undecoded as they come.

        Its SUCCESS, FAILURE or IGNORED is still reported.
        """
        if not request.answered and not request.abandoned:
            assert self._reader is not None
            request.abandoned = True
            self._reader.skip(request.number)

    # Sending

    def _known(self) -> Facts:
        assert self._facts is not None
        return self._facts

    def _label(self, message: Message) -> str:
        return message_name(message, self._facts)

    def _begin(self, version: Version) -> None:
        self.version = version
        self._facts = facts(version)
        self.state, self._table = table(version)
        self._sendable = sendable(version)
        self._reader = MessageReader(
            version, extended_types=self._extended_types, max_message_size=self._max_message_size
        )
        self._writer = MessageWriter(version)
        if "utc_patch" in self._facts.features:
            self._borders = Borders()

    def _refusal(self, message: Message, text: str) -> LocalProtocolError:
        """Return the error for a request that may not be sent."""
        return LocalProtocolError(f"{self._label(message)} {text}")

    def _check(self, message: Message) -> Rule:
        """Return the rule for a request that may be sent now, else raise LocalProtocolError."""
        state = self.state
        # Both see to everything that the version and the state decide; what is in flight decides the rest.
        row = self._sendable.get(state)
        rule = None if row is None or self.closed else row.get(message)
        if rule is None:
            raise self._unsendable(message)
        if message is _RESET:
            self._check_reset()
            return rule
        if len(self.outstanding) >= self.max_unanswered and message is not Message.GOODBYE:
            raise self._refusal(
                message,
                f"cannot be sent in state {state}: {len(self.outstanding)} requests are unanswered,"
                " and no RESET could overtake more",
            )
        allowed = BEHIND.get(message)
        if allowed is not None:
            self._check_behind(message, allowed)
        return rule

    def _unsendable(self, message: Message) -> LocalProtocolError:
        """Return the error that says why the version or the state has no place for a request."""
        state = self.state
        if self.closed:
            why = f": {self.error}" if self.error is not None else ""
            return self._refusal(message, f"cannot be sent, the connection is closed{why}")
        if self._facts is None:
            return self._refusal(message, f"cannot be sent in state {state}: no version is agreed on yet")
        if message not in self._facts.layouts:
            return self._refusal(message, f"does not exist in Bolt {version_text(self._facts.version)}")
        rule = rule_for(self._table, state, message)
        if rule.answer is Answer.IGNORE:
            return self._refusal(message, f"would be ignored in state {state}: RESET comes first")
        if rule.answer is Answer.REFUSE:
            return self._refusal(message, f"may not be sent in state {state}")
        return self._refusal(message, f"may not be sent in state {state}: streams are open, discard them")

    def _check_reset(self) -> None:
        for request in self.outstanding:
            if request.message in OVERTAKES_NOT:
                raise self._refusal(
                    Message.RESET,
                    f"may not be sent in state {self.state} behind an unanswered"
                    f" {self._label(request.message)}: overtaking that costs the connection",
                )

    def _check_behind(self, message: Message, allowed: frozenset[Message]) -> None:
        for request in reversed(self.outstanding):
            if request.message in FENCES:
                return
            if request.message not in allowed:
                raise self._refusal(
                    message,
                    f"may not be sent in state {self.state} behind an unanswered"
                    f" {self._label(request.message)}: if that fails, the connection is lost",
                )

    def _stream(self, message: Message, n: int, qid: int) -> _Stream:
        """Return the open stream that a PULL or DISCARD means, else raise LocalProtocolError."""
        if not self.has("streams"):
            if n != _ALL or qid != _LATEST:
                version = version_text(self._known().version)
                raise self._refusal(message, f"has no n and no qid in Bolt {version} (state {self.state})")
        elif not isinstance(n, int) or n is True or (n != _ALL and not 1 <= n <= _MOST):
            raise self._refusal(
                message, f"needs n to be -1 or at least 1 (and below 2**63), not {n!r} (state {self.state})"
            )
        elif not isinstance(qid, int):
            raise self._refusal(message, f"needs qid to be an integer, not {qid!r} (state {self.state})")
        stream = self._latest if qid == _LATEST else self._named.get(qid)
        if stream is None or stream not in self._open:
            which = "the latest RUN" if qid == _LATEST else f"qid {qid}"
            raise self._refusal(message, f"finds no open stream of {which} (state {self.state})")
        if stream.asked:
            raise self._refusal(
                message,
                f"may not be sent in state {self.state} while the answer to the last PULL or DISCARD of its"
                " stream is due: that may end the stream",
            )
        return stream

    def _ask(self, message: Message, n: int, qid: int) -> Request:
        rule = self._check(message)
        stream = self._stream(message, n, qid)
        if stream is self._latest:
            qid = _LATEST  # the server's default
        packed = self._packed
        kept = qid == _LATEST and type(n) is int  # True is packed in another way than 1
        if kept:
            data = packed.get((message, n))
            if data is not None:
                return self._enqueue(message, rule, data, n, qid, stream)
        fields: tuple[Any, ...] = ()
        if self.has("streams"):
            fields = ({"n": n},) if qid == _LATEST else ({"n": n, "qid": qid},)
        data = self._pack(message, fields)
        if kept and len(packed) < _MOST_PACKED:
            packed[message, n] = data
        return self._enqueue(message, rule, data, n, qid, stream)

    def _pack(self, message: Message, fields: tuple[Any, ...]) -> bytes:
        writer = self._writer
        assert writer is not None
        data = writer.message(message, *fields)
        if self._patch_hello is not None:
            version = self._known().version
            writer.configure(version, True)
            try:
                patched = writer.message(message, *fields)
            finally:
                writer.configure(version, False)
            if patched != data:
                raise LocalProtocolError(
                    f"{self._label(message)} holds date-times with a zone: their form is not"
                    f" known until HELLO is answered (state {self.state})"
                )
        return data

    def _send(self, message: Message, rule: Rule, fields: tuple[Any, ...]) -> Request:
        if fields:
            return self._enqueue(message, rule, self._pack(message, fields))
        data = self._packed.get(message)
        if data is None:
            data = self._packed[message] = self._pack(message, ())
        return self._enqueue(message, rule, data)

    def _enqueue(
        self,
        message: Message,
        rule: Rule,
        data: bytes,
        n: int = _ALL,
        qid: int = _LATEST,
        stream: _Stream | None = None,
    ) -> Request:
        """Queue the bytes of a request that :meth:`_check` has passed, and predict what it does.

        *stream* is what a PULL or DISCARD means.
        """
        number = self._sent
        request = Request(message, data, number, rule.failure, n, qid, self.state, self._latest)
        self._sent = number + 1
        if stream is not None:
            request._stream = stream
            if n == _ALL:
                self._end(stream, rule)
            else:
                stream.asked = True
                assert rule.more is not None
                self.state = rule.more
        elif message is _RUN:
            request._stream = self._latest = _Stream(number)
            self._open[self._latest] = None
            self.state = rule.success
        else:
            if message in CLEARING:
                self._epoch += 1
            if self._open:
                request._dropped = (self._open, self._named)
            self._forget_streams()
            self.state = rule.success
        request._epoch = self._epoch
        self.outstanding.append(request)
        self._out.append(data)
        return request

    def _end(self, stream: _Stream, rule: Rule) -> None:
        del self._open[stream]
        if stream.qid is not None and self._named.get(stream.qid) is stream:
            del self._named[stream.qid]
        self.state = rule.others if self._open and rule.others is not None else rule.success

    def _forget_streams(self) -> None:
        if self._open:
            # Not cleared: a request that is taken back needs them.
            self._open = {}
            self._named = {}
        self._latest = None

    # Receiving

    def _take(self, items: list[Any], events: list[ClientEvent]) -> None:
        for item in items:
            kind = type(item)
            if kind is list:
                self._records(item, events)
            elif kind is tuple:
                if len(item) == 2 and item[0] == _SUCCESS and type(item[1]) is dict and self.outstanding:
                    self._success(item[1], events)
                else:
                    self._answer(item[0], item[1:], events)
            else:
                self._unreadable(item, events)
            if self.closed:
                return

    def _where(self) -> str:
        if not self.outstanding:
            return "while no request was unanswered"
        request = self.outstanding[0]
        return f"where the answer to {self._label(request.message)} (request {request.number}) was due"

    def _sin(self, text: str, events: list[ClientEvent]) -> None:
        self._fail(RemoteProtocolError(f"{text} {self._where()}"), events)

    def _unreadable(self, cause: UnpackError, events: list[ClientEvent]) -> None:
        error = RemoteProtocolError(f"the server sent what cannot be read {self._where()}: {cause}")
        error.__cause__ = cause
        self._fail(error, events)

    def _records(self, rows: list[tuple[Any, ...]], events: list[ClientEvent]) -> None:
        if not self.outstanding or self.outstanding[0].message is not _PULL:
            self._sin("the server sent a RECORD", events)
        elif self._failed:
            self._sin("the server sent a RECORD behind a failure", events)
        else:
            events.append(RecordsReceived(self.outstanding[0], rows))

    def _answer(self, signature: int, fields: tuple[Any, ...], events: list[ClientEvent]) -> None:
        """Take an answer that is no SUCCESS with its one map."""
        if signature not in _SUMMARIES:
            self._sin(f"the server sent {message_name(signature)}, which is no answer,", events)
        elif not self.outstanding:
            self._sin(f"the server sent {message_name(signature)}", events)
        elif signature == _IGNORED:
            # Some servers add a map.
            if len(fields) > 1:
                self._sin(f"the server sent IGNORED with {len(fields)} fields", events)
            else:
                self._ignored(events)
        elif len(fields) != 1 or type(fields[0]) is not dict:
            self._sin(f"the server sent {message_name(signature)} with something else than one map", events)
        else:
            self._failure(fields[0], events)

    def _answered(self) -> Request:
        request = self.outstanding.popleft()
        request.answered = True
        return request

    def _success(self, metadata: dict[str, Any], events: list[ClientEvent]) -> None:
        request = self.outstanding[0]
        message = request.message
        if metadata:
            wrong = unfit_key(message, metadata)
            if wrong is not None:
                self._sin(f"the server sent SUCCESS whose {wrong},", events)
                return
        current = request._epoch == self._epoch
        if self._failed and current and message in UNSOUND_WHEN_FAILED:
            self._sin("the server sent SUCCESS behind a failure", events)
            return
        more = metadata.get("has_more")
        if more and message is _PULL and request._n == _ALL:
            self._sin("the server sent SUCCESS with has_more although every record was asked for", events)
            return
        stream = request._stream
        qid: int | None = None
        if stream is not None and current:
            if message is _RUN:
                qid = metadata.get("qid")
                if qid is not None:
                    if qid < _LATEST or self._named.get(qid, stream) is not stream:
                        why = "is no number of a result" if qid < _LATEST else "another open result has"
                        self._sin(f"the server sent SUCCESS whose qid {qid} {why},", events)
                        return
            elif more and request._n != _ALL and stream.qid is None and stream is not self._latest:
                self._sin(
                    "the server sent SUCCESS with has_more for a result to which it gave no qid: behind a"
                    " later RUN, nothing can say that more of it is wanted. It came",
                    events,
                )
                return
        self._answered()
        if stream is None:
            if message in CLEARING:
                self._failed = False
                self._last_failure = None
            elif message is _HELLO:
                self._greeted(request, metadata)
        elif current:
            if message is _RUN:
                if qid is not None and qid != _LATEST:
                    stream.qid = qid
                    if stream in self._open:
                        self._named[qid] = stream
            elif request._n != _ALL:
                stream.asked = False
                if not more:
                    self._end(stream, rule_for(self._table, self.state, message))
        events.append(SuccessReceived(request, metadata))

    def _greeted(self, request: Request, metadata: dict[str, Any]) -> None:
        self.server_agent = metadata.get("server")
        self.connection_id = metadata.get("connection_id")
        self.hints = metadata.get("hints") or {}
        if request is self._patch_hello and "utc" in (metadata.get("patch_bolt") or ()):
            assert self._reader is not None and self._writer is not None
            self.utc_patch = True
            self._reader.configure(self._known().version, True)
            self._writer.configure(self._known().version, True)
        self._patch_hello = None
        self._borders = None

    def _ignored(self, events: list[ClientEvent]) -> None:
        if self.outstanding[0].message in _NEVER_IGNORED:
            self._sin("the server sent IGNORED", events)
            return
        request = self._answered()
        self._has_failed(request)
        events.append(IgnoredReceived(request))

    def _failure(self, metadata: dict[str, Any], events: list[ClientEvent]) -> None:
        error = Neo4jError.from_failure(metadata)
        request = self._answered()
        self._last_failure = error
        events.append(FailureReceived(request, error))
        if request._on_failure is State.DEFUNCT:
            self._fail(error, events)
        else:
            self._has_failed(request)

    def _has_failed(self, request: Request) -> None:
        self._failed = True
        # What was sent behind a RESET is not touched by what failed before it.
        if request._epoch == self._epoch:
            self.state = State.FAILED
            self._forget_streams()

    def _fail(self, error: BoltError, events: list[ClientEvent]) -> None:
        self.closed = True
        self.error = error
        self.state = State.DEFUNCT
        events.append(ConnectionFailed(error))


_SUMMARIES: Final = frozenset({_SUCCESS, _IGNORED, _FAILURE})
_NEVER_IGNORED: Final = frozenset({Message.HELLO, Message.LOGON, Message.RESET})


def _credentials(auth: Mapping[str, Any] | None) -> dict[str, Any]:
    if auth is None:
        return {"scheme": "none"}
    if not isinstance(auth, Mapping):
        raise LocalProtocolError(f"credentials must be a map, not {type(auth).__name__}")
    # What servers make of a null in it ranges from nothing to closing the connection.
    return {key: value for key, value in auth.items() if value is not None}
