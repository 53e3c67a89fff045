"""The state machine of a connection as data, one table for each group of versions.

Role-blind: the server goes by these tables when it answers, the client when it predicts what the server will
be in once everything sent has been answered. ``Rule`` says what one state does with one request.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping
from typing import Final

from .._constants import NEWEST, Message, Version
from .versions import facts

__all__ = ["BEHIND", "FENCES", "MAX_UNANSWERED", "TABLES", "Answer", "Rule", "State", "Table", "table"]


class State(enum.Enum):
    """States of a connection. HANDSHAKE is before the version is agreed on, DEFUNCT is the end."""

    HANDSHAKE = "HANDSHAKE"
    CONNECTED = "CONNECTED"
    NEGOTIATION = "NEGOTIATION"
    AUTHENTICATION = "AUTHENTICATION"
    READY = "READY"
    STREAMING = "STREAMING"
    TX_READY = "TX_READY"
    TX_STREAMING = "TX_STREAMING"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"
    DEFUNCT = "DEFUNCT"

    # Members are singletons; Enum's own hash is that of the name, and made in Python at every look-up.
    __hash__ = object.__hash__

    def __str__(self) -> str:
        return self.value


class Answer(enum.Enum):
    """How a state answers a request."""

    HANDLE = "handled: SUCCESS or FAILURE"
    IGNORE = "IGNORED"
    REFUSE = "FAILURE, unheard"
    INTERRUPT = "overtakes everything before it"
    CLOSE = "no answer; the connection is closed"


class Rule:
    """What one state does with one request.

    Attributes:
        answer: how it is answered.
        success: the state behind a SUCCESS.
        failure: the state behind a FAILURE; DEFUNCT means that the connection is closed.
        more: the state behind a SUCCESS that says ``has_more`` (PULL and DISCARD, 4.0+).
        others: the state behind a SUCCESS that ends a stream while other streams are open (4.0+).
        polite: False: servers take it, yet a client must not send it.
    """

    __slots__ = ("answer", "failure", "more", "others", "polite", "success")

    def __init__(
        self,
        answer: Answer,
        success: State,
        failure: State,
        *,
        more: State | None = None,
        others: State | None = None,
        polite: bool = True,
    ) -> None:
        self.answer = answer
        self.success = success
        self.failure = failure
        self.more = more
        self.others = others
        self.polite = polite

    def __repr__(self) -> str:
        return f"<Rule {self.answer.name} S>{self.success} F>{self.failure}>"


Row = Mapping[Message, Rule]
Table = Mapping[State, Row]

_M = Message
_CONNECTED = State.CONNECTED
_NEGOTIATION = State.NEGOTIATION
_AUTHENTICATION = State.AUTHENTICATION
_READY = State.READY
_STREAMING = State.STREAMING
_TX_READY = State.TX_READY
_TX_STREAMING = State.TX_STREAMING
_FAILED = State.FAILED
_INTERRUPTED = State.INTERRUPTED
_DEFUNCT = State.DEFUNCT


def _to(success: State, failure: State = _FAILED) -> Rule:
    return Rule(Answer.HANDLE, success, failure)


def _ignored(state: State) -> Rule:
    return Rule(Answer.IGNORE, state, state)


_REFUSED: Final = Rule(Answer.REFUSE, _DEFUNCT, _DEFUNCT)
_REFUSED_KEPT: Final = Rule(Answer.REFUSE, _FAILED, _FAILED)
_INTERRUPT: Final = Rule(Answer.INTERRUPT, _READY, _DEFUNCT)
_RESET: Final = Rule(Answer.HANDLE, _READY, _DEFUNCT)
_BYE: Final = Rule(Answer.CLOSE, _DEFUNCT, _DEFUNCT)

_BOLT_1: Final[Table] = {
    _CONNECTED: {_M.INIT: _to(_READY, _DEFUNCT)},
    _READY: {_M.RUN: _to(_STREAMING), _M.RESET: _INTERRUPT},
    _STREAMING: {
        _M.PULL_ALL: _to(_READY),
        _M.DISCARD_ALL: _to(_READY),
        _M.RESET: _INTERRUPT,
    },
    _FAILED: {
        _M.RUN: _ignored(_FAILED),
        _M.PULL_ALL: _ignored(_FAILED),
        _M.DISCARD_ALL: _ignored(_FAILED),
        _M.ACK_FAILURE: _to(_READY, _DEFUNCT),
        _M.RESET: _INTERRUPT,
    },
    _INTERRUPTED: {
        _M.RUN: _ignored(_INTERRUPTED),
        _M.PULL_ALL: _ignored(_INTERRUPTED),
        _M.DISCARD_ALL: _ignored(_INTERRUPTED),
        _M.ACK_FAILURE: _ignored(_INTERRUPTED),
        _M.RESET: _RESET,
    },
}


def _skipping(state: State, reset: Rule) -> Row:
    # The specification's tables leave BEGIN, COMMIT and ROLLBACK out of Bolt 3's FAILED; 4.x has them.
    return {
        _M.RUN: _ignored(state),
        _M.PULL: _ignored(state),
        _M.DISCARD: _ignored(state),
        _M.BEGIN: _ignored(state),
        _M.COMMIT: _ignored(state),
        _M.ROLLBACK: _ignored(state),
        _M.RESET: reset,
        _M.GOODBYE: _BYE,
    }


# COMMIT and ROLLBACK with streams open: refused by the specification, accepted by servers, closing the
# streams.
_END_EARLY: Final = Rule(Answer.HANDLE, _READY, _FAILED, polite=False)

_BOLT_3: Final[Table] = {
    _CONNECTED: {_M.HELLO: _to(_READY, _DEFUNCT), _M.GOODBYE: _BYE},
    _READY: {
        _M.RUN: _to(_STREAMING),
        _M.BEGIN: _to(_TX_READY),
        _M.RESET: _INTERRUPT,
        _M.GOODBYE: _BYE,
    },
    _STREAMING: {
        _M.PULL_ALL: _to(_READY),
        _M.DISCARD_ALL: _to(_READY),
        _M.RESET: _INTERRUPT,
        _M.GOODBYE: _BYE,
    },
    _TX_READY: {
        _M.RUN: _to(_TX_STREAMING),
        _M.COMMIT: _to(_READY),
        _M.ROLLBACK: _to(_READY),
        _M.RESET: _INTERRUPT,
        _M.GOODBYE: _BYE,
    },
    _TX_STREAMING: {
        _M.PULL_ALL: _to(_TX_READY),
        _M.DISCARD_ALL: _to(_TX_READY),
        _M.COMMIT: _END_EARLY,
        _M.ROLLBACK: _END_EARLY,
        _M.RESET: _INTERRUPT,
        _M.GOODBYE: _BYE,
    },
    _FAILED: _skipping(_FAILED, _INTERRUPT),
    _INTERRUPTED: _skipping(_INTERRUPTED, _RESET),
}

_AUTO_STREAM: Final = Rule(Answer.HANDLE, _READY, _FAILED, more=_STREAMING)
_TX_STREAM: Final = Rule(Answer.HANDLE, _TX_READY, _FAILED, more=_TX_STREAMING, others=_TX_STREAMING)


def _with(base: Table, changes: Mapping[State, Row]) -> Table:
    """Return *base* with the rows of *changes* laid over its own."""
    return {state: {**base.get(state, {}), **changes.get(state, {})} for state in {**base, **changes}}


_BOLT_4: Final[Table] = _with(
    _BOLT_3,
    {
        _STREAMING: {_M.PULL: _AUTO_STREAM, _M.DISCARD: _AUTO_STREAM},
        _TX_STREAMING: {_M.PULL: _TX_STREAM, _M.DISCARD: _TX_STREAM, _M.RUN: _to(_TX_STREAMING)},
    },
)

_BOLT_4_3: Final[Table] = _with(
    _BOLT_4,
    {
        _READY: {_M.ROUTE: _to(_READY)},
        _FAILED: {_M.ROUTE: _ignored(_FAILED)},
        _INTERRUPTED: {_M.ROUTE: _ignored(_INTERRUPTED)},
    },
)

_BOLT_5_1: Final[Table] = _with(
    {state: row for state, row in _BOLT_4_3.items() if state is not _CONNECTED},
    {
        _NEGOTIATION: {_M.HELLO: _to(_AUTHENTICATION, _DEFUNCT), _M.GOODBYE: _BYE},
        _AUTHENTICATION: {_M.LOGON: _to(_READY, _DEFUNCT), _M.GOODBYE: _BYE},
        _READY: {_M.LOGOFF: _to(_AUTHENTICATION)},
    },
)

_BOLT_5_4: Final[Table] = _with(
    _BOLT_5_1,
    {
        _READY: {_M.TELEMETRY: _to(_READY)},
        # FAILURE without closing, as its own text in the specification wants it.
        _STREAMING: {_M.TELEMETRY: _REFUSED_KEPT},
        _TX_READY: {_M.TELEMETRY: _REFUSED_KEPT},
        _TX_STREAMING: {_M.TELEMETRY: _REFUSED_KEPT},
        _FAILED: {_M.TELEMETRY: _ignored(_FAILED)},
        _INTERRUPTED: {_M.TELEMETRY: _ignored(_INTERRUPTED)},
    },
)

TABLES: Final[tuple[tuple[Version, Version, State, Table], ...]] = (
    # first version, last version, first state, table
    ((1, 0), (2, 0), _CONNECTED, _BOLT_1),
    ((3, 0), (3, 0), _CONNECTED, _BOLT_3),
    ((4, 0), (4, 2), _CONNECTED, _BOLT_4),
    ((4, 3), (5, 0), _CONNECTED, _BOLT_4_3),
    ((5, 1), (5, 3), _NEGOTIATION, _BOLT_5_1),
    ((5, 4), NEWEST, _NEGOTIATION, _BOLT_5_4),
)
"""What is not in a table is refused: FAILURE, and the connection is closed."""


def table(version: Version) -> tuple[State, Table]:
    """Return the first state and the table of *version*. Raises :exc:`ValueError` when there is none."""
    for first, last, start, rows in TABLES:
        if first <= version <= last:
            return start, rows
    raise ValueError(f"{version!r} is no Bolt version that asyncbolt speaks")


def rule_for(rows: Table, state: State, message: Message) -> Rule:
    """Return what *state* does with *message*; what the table does not have is refused."""
    row = rows.get(state)
    if row is None:
        return _REFUSED
    return row.get(message, _REFUSED)


@functools.cache
def sendable(version: Version) -> Table:
    """Return the part of *version*'s table that a client may use: polite, and not answered in vain."""
    layouts = facts(version).layouts
    return {
        state: {
            message: rule
            for message, rule in row.items()
            if message in layouts and rule.polite and rule.answer not in (Answer.IGNORE, Answer.REFUSE)
        }
        for state, row in table(version)[1].items()
    }


# What may stand behind what on the wire, for a client. A state table alone does not say it, since a request
# that is sound once everything before it has succeeded may cost the connection when something before it
# fails.

MAX_UNANSWERED: Final = 256
"""Requests unanswered on the wire: a RESET overtakes about 300 of them and no more. RUN and PULL are two."""

FENCES: Final = frozenset({Message.RESET})
"""What stands before one of these does not matter to what follows it: its answer clears every failure."""

BEHIND: Final[Mapping[Message, frozenset[Message]]] = {
    # request: what may be unanswered before it, back to the last fence. These requests are not IGNORED by a
    # server that is FAILED or INTERRUPTED, but cost the connection. A failed HELLO or LOGON costs it anyway.
    Message.HELLO: frozenset(),
    Message.LOGON: frozenset({Message.HELLO, Message.LOGOFF, Message.TELEMETRY}),
    Message.LOGOFF: frozenset({Message.HELLO, Message.LOGON, Message.TELEMETRY}),
    Message.BEGIN: frozenset({Message.HELLO, Message.LOGON, Message.LOGOFF, Message.TELEMETRY}),
}

OVERTAKES_NOT: Final = frozenset({Message.HELLO, Message.LOGON, Message.LOGOFF, Message.BEGIN, Message.RESET})
"""What may not be unanswered anywhere when a RESET is sent: it overtakes them, and that costs the connection.

A second RESET would be answered IGNORED, or not, depending on timing.
"""

CLEARING: Final = frozenset({Message.RESET, Message.ACK_FAILURE})
"""Requests whose SUCCESS ends FAILED and INTERRUPTED."""

UNSOUND_WHEN_FAILED: Final = frozenset(
    {Message.RUN, Message.PULL, Message.DISCARD, Message.BEGIN, Message.COMMIT, Message.ROLLBACK}
)
"""Requests that a server cannot have carried out between a FAILURE and the RESET behind it."""
