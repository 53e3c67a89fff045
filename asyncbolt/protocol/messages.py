"""Requests: building their fields for a version, reading them on the server, and describing them in words."""

from __future__ import annotations

import functools
import operator
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .._constants import Message
from .._version import __version__
from ..exceptions import LocalProtocolError
from .versions import (
    BOOLEAN,
    CHECKED_KEYS,
    DATABASE,
    INTEGER,
    LIST,
    MAP,
    REQUESTS,
    STRING,
    STRING_MAP,
    STRINGS,
    Facts,
    Field,
    Key,
    Layout,
    version_text,
)

__all__ = ["ServerRequest", "default_bolt_agent", "describe", "message_name"]

INVALID: Final = "Neo.ClientError.Request.Invalid"
INVALID_FORMAT: Final = "Neo.ClientError.Request.InvalidFormat"

_DISABLED: Final = ("notifications_disabled_categories", "notifications_disabled_classifications")
# The name under which callers give either of them, whatever the version calls it.
_DISABLED_ALIAS: Final = "notifications_disabled"

_STR: Final = frozenset({str})
_CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = {
    STRING: lambda value: type(value) is str,
    INTEGER: lambda value: type(value) is int,
    BOOLEAN: lambda value: type(value) is bool,
    MAP: lambda value: type(value) is dict,
    LIST: lambda value: type(value) is list,
    STRINGS: lambda value: type(value) is list and _STR.issuperset(map(type, value)),
    STRING_MAP: lambda value: (
        type(value) is dict and all(item is None or type(item) is str for item in value.values())
    ),
    # 4.3 has a String here; Neo4j takes the Map of 4.4 as well.
    DATABASE: lambda value: value is None or type(value) is str or type(value) is dict,
}


def message_name(message: int, facts: Facts | None = None) -> str:
    """Return the name of a message: that of the version when it is known."""
    if facts is not None:
        layout = facts.layouts.get(message)
        if layout is not None:
            return layout.name
    try:
        return Message(message).name
    except ValueError:
        return f"0x{message:02X}"


@functools.lru_cache(maxsize=1)
def default_bolt_agent() -> Mapping[str, str]:
    """Return the ``bolt_agent`` of HELLO (Bolt 5.3) that names asyncbolt itself."""
    return {
        "product": f"asyncbolt/{__version__}",
        "platform": f"{platform.system() or 'Unknown'} {platform.release()}; {platform.machine()}",
        "language": f"Python/{platform.python_version()}",
        "language_details": f"{platform.python_implementation()}; {sys.platform}",
    }


# Building, in the client's role


def _kind_of(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "AEIOU" else f"a {kind}"


def _came_and_went(message: int, name: str) -> str:
    spans = sorted(
        {
            (max(key.first, layout.first), min(key.last, layout.last))
            for layout in REQUESTS
            if layout.message == message
            for field in layout.fields
            for key in field.keys
            if key.name == name and max(key.first, layout.first) <= min(key.last, layout.last)
        }
    )
    if not spans:
        return "no version has it"
    first, last = spans[0][0], spans[-1][1]
    return f"Bolt {version_text(first)} to {version_text(last)} have it"


def _holds_items(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def _fit(
    facts: Facts,
    message: Message,
    name: str,
    kind: str,
    value: Any,
    values: frozenset[object] | None,
    least: int = -(2**63),
) -> Any:
    """Return *value* in the exact type of *kind*; the caller's containers may be of any fitting class."""
    if kind == STRINGS:
        if type(value) is not list and _holds_items(value):
            value = list(value)
        fits = type(value) is list and all(isinstance(item, str) for item in value)
    elif kind in (MAP, STRING_MAP):
        fits = isinstance(value, Mapping)
    elif kind == STRING:
        fits = isinstance(value, str)
    elif kind == INTEGER:
        if not isinstance(value, int) and hasattr(type(value), "__index__"):
            value = operator.index(value)
        fits = isinstance(value, int) and not isinstance(value, bool)
        if fits and not least <= value < 2**63:
            where = message_name(message, facts)
            bound = "0 or more" if least == 0 else "at least -2**63"
            shown = value if value.bit_length() < 200 else "a huge number"
            raise LocalProtocolError(f"{where}: {name} must be {bound} and below 2**63, not {shown}")
    else:
        fits = False
    if not fits:
        where = message_name(message, facts)
        raise LocalProtocolError(f"{where}: {name} must be {_a(kind)}, not {_kind_of(value)}")
    if values is not None and value not in values:
        choices = ", ".join(repr(choice) for choice in sorted(values, key=repr))
        where = message_name(message, facts)
        raise LocalProtocolError(f"{where}: {name} must be one of {choices}, not {value!r}")
    return value


def request_map(facts: Facts, message: Message, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the map of known keys of a request (HELLO, RUN, BEGIN, ROUTE) out of what the caller gave.

    Keys that are None are left out: servers differ in what they make of null. Raises LocalProtocolError for a
    key that this version does not have, unless it is advisory, and for a value of the wrong kind.
    """
    keys = facts.keys[message]
    result: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        key: Key | None
        if name == _DISABLED_ALIAS:
            key = next((keys[known] for known in _DISABLED if known in keys), None)
        else:
            key = keys.get(name)
        if key is None:
            if _is_advisory(message, name):
                continue
            wire = _DISABLED[-1] if name == _DISABLED_ALIAS else name
            raise LocalProtocolError(
                f"{message_name(message, facts)} has no key {name!r} in Bolt {version_text(facts.version)}:"
                f" {_came_and_went(message, wire)}"
            )
        result[key.name] = _fit(facts, message, name, key.kind, value, key.values, key.least)
    return result


@functools.lru_cache(maxsize=64)
def _is_advisory(message: Message, name: str) -> bool:
    return any(
        key.advisory and key.name == name
        for layout in REQUESTS
        if layout.message == message
        for field in layout.fields
        for key in field.keys
    )


def fit_field(facts: Facts, message: Message, index: int, value: Any) -> Any:
    """Return *value* as field *index* of a request. Raises LocalProtocolError when it does not fit."""
    field = facts.layouts[message].fields[index]
    return _fit(facts, message, field.name, field.kind, value, field.values)


# Reading, in the client's role


def unfit_key(message: Message, metadata: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the metadata of a SUCCESS, or None. A null counts as absent."""
    for name, kind, fits in _ANSWER_CHECKS.get(message, ()):
        value = metadata.get(name)
        if value is not None and not fits(value):
            return f"{name} must be {_a(kind)}, not {_kind_of(value)}"
    return None


_ANSWER_CHECKS: Final = {
    message: tuple((name, kind, _CHECKS[kind]) for name, kind in keys.items())
    for message, keys in CHECKED_KEYS.items()
}


# Reading, in the server's role


class MalformedRequest(Exception):
    """A request that cannot be read; the peer is answered with FAILURE *code*."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class ServerRequest:
    """A request as the server reads it. What a message or version does not have is None (or its default).

    Attributes:
        message: which request.
        fields: the fields as they came.
        statement: RUN: the text.
        parameters: RUN: a dict.
        extra: RUN, BEGIN, HELLO, ROUTE: the keys that this version has and the client gave, without nulls.
        user_agent: INIT, HELLO.
        auth: INIT, HELLO up to 5.0, LOGON: the credentials, a dict; None where they are not part of the
        message. routing: ROUTE, and HELLO from 4.1 on: a dict, or None when the client wants no routing.
        bookmarks: ROUTE: a list.
        api: TELEMETRY: 0 to 3.
        n: PULL, DISCARD: how many records; -1 means all.
        qid: RUN: the number that its stream gets; PULL, DISCARD: the stream meant. -1 outside a transaction.
        in_transaction: whether an explicit transaction is open while this is handled.
        overtakes: RESET: whether what was queued before it is IGNORED.
    """

    __slots__ = (
        "api",
        "auth",
        "bookmarks",
        "extra",
        "fields",
        "in_transaction",
        "message",
        "n",
        "overtakes",
        "parameters",
        "qid",
        "routing",
        "statement",
        "user_agent",
    )

    def __init__(self, message: Message, fields: tuple[Any, ...] = ()) -> None:
        self.message = message
        self.fields = fields
        self.statement = ""
        self.parameters: dict[str, Any] = {}
        self.extra: dict[str, Any] = {}
        self.user_agent: str | None = None
        self.auth: dict[str, Any] | None = None
        self.routing: dict[str, Any] | None = None
        self.bookmarks: list[str] = []
        self.api: int | None = None
        self.n = -1
        self.qid = -1
        self.in_transaction = False
        self.overtakes = False

    def __repr__(self) -> str:
        return f"<ServerRequest {describe(self.message, self.fields)}>"


@functools.lru_cache(maxsize=64)
def _names(field: Field) -> frozenset[str]:
    """The names of a field's keys in all versions."""
    return frozenset(key.name for key in field.keys)


def _read_map(
    facts: Facts, layout: Layout, field: Field, value: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a map into known keys, checked and without nulls, and the rest."""
    known: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    keys = facts.keys[layout.message]
    for name, item in value.items():
        if item is None:
            continue
        key = keys.get(name)
        if key is None:
            if field.rest is not None and name not in _names(field):
                rest[name] = item
            continue
        if not _CHECKS[key.kind](item):
            raise MalformedRequest(
                INVALID, f"{layout.name}: {name} must be {_a(key.kind)}, not {_kind_of(item)}"
            )
        if key.values is not None and item not in key.values:
            raise MalformedRequest(INVALID, f"{layout.name}: {name} has a value that it cannot have")
        known[name] = item
    for name in facts.required[layout.message]:
        if name not in known:
            raise MalformedRequest(INVALID, f"{layout.name}: {name} is missing")
    return known, rest


def read_request(facts: Facts, message: Message, fields: tuple[Any, ...]) -> ServerRequest:
    """Read the *fields* of a request that this version has. Raises :exc:`MalformedRequest`."""
    layout = facts.layouts[message]
    name = layout.name
    if len(fields) != len(layout.fields):
        raise MalformedRequest(
            INVALID_FORMAT, f"{name} has {len(layout.fields)} fields in this version, not {len(fields)}"
        )
    request = ServerRequest(message, fields)
    for field, value in zip(layout.fields, fields, strict=True):
        if not _CHECKS[field.kind](value):
            raise MalformedRequest(
                INVALID, f"{name}: {field.name} must be {_a(field.kind)}, not {_kind_of(value)}"
            )
        if field.values is not None and value not in field.values:
            raise MalformedRequest(INVALID, f"{name}: {field.name} has a value that it cannot have")
        if field.keys and type(value) is dict:
            request.extra, rest = _read_map(facts, layout, field, value)
            if field.rest is not None:
                setattr(request, field.rest, rest)
        elif field.name == "auth":
            request.auth = {key: item for key, item in value.items() if item is not None}
        elif field.kind == DATABASE:
            if value is not None:
                request.extra = {field.name: value}
        else:
            setattr(request, field.name, value)
    extra = request.extra
    if message == Message.HELLO and extra:
        request.user_agent = extra.get("user_agent")
        request.routing = extra.get("routing")
    elif message in (Message.PULL, Message.DISCARD) and extra:
        request.n = extra["n"]
        request.qid = extra.get("qid", -1)
        if request.n < -1 or request.n == 0:
            raise MalformedRequest(INVALID, f"{name}: n must be -1 or at least 1, not {request.n}")
        if request.qid < -1:
            raise MalformedRequest(INVALID, f"{name}: qid must be -1 or at least 0, not {request.qid}")
    return request


# In words

_SECRET: Final = "*******"
_SECRET_KEYS: Final = frozenset({"credentials", "password", "parameters", "secret", "token"})
# Messages whose maps hold credentials: everything that may be secret in them is masked, at any depth.
_LOGINS: Final = frozenset({Message.HELLO, Message.LOGON})
_ALWAYS_SECRET: Final = frozenset({"credentials", "password"})
_LONGEST_TEXT: Final = 120
_MOST_ITEMS: Final = 5
_DEEPEST: Final = 3
_LONGEST: Final = 600


def _words(value: Any, secret: frozenset[str], depth: int) -> str:
    kind = type(value)
    if kind is str:
        if len(value) > _LONGEST_TEXT:
            return f"{value[:_LONGEST_TEXT]!r}... ({len(value)} characters)"
        return repr(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if isinstance(value, Mapping):
        if depth >= _DEEPEST and value:
            return f"{{... {len(value)} keys}}"
        parts = []
        for index, (key, item) in enumerate(value.items()):
            if index == _MOST_ITEMS * 2:
                parts.append(f"... ({len(value)} keys)")
                break
            shown = _SECRET if key in secret else _words(item, secret, depth + 1)
            parts.append(f"{key}: {shown}")
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, (list, tuple)) and kind in (list, tuple):
        if depth >= _DEEPEST and value:
            return f"[... {len(value)} items]"
        parts = [_words(item, secret, depth + 1) for item in value[:_MOST_ITEMS]]
        if len(value) > _MOST_ITEMS:
            parts.append(f"... ({len(value)} items)")
        return "[" + ", ".join(parts) + "]"
    if value is None or kind in (int, float, bool):
        return repr(value)
    # The repr of anything else may be long, slow, or show what it should not.
    return f"<{kind.__name__}>"


def describe(signature: int, fields: Iterable[Any] = ()) -> str:
    """Return a message in words for a debug log: credentials are masked, long values elided.

    Args:
        signature: that of the message, as on the wire.
        fields: its fields.
    """
    secret = _SECRET_KEYS if signature in _LOGINS else _ALWAYS_SECRET
    parts = [message_name(signature)]
    parts.extend(_words(field, secret, 0) for field in fields)
    text = " ".join(parts)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}... ({len(text)} characters)"
    return text
