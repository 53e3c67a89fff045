"""Versions as data: which requests, fields and keys each Bolt version has.

Nothing else in asyncbolt compares version numbers: whoever wants to know what a version can do asks a table
here, through :func:`facts`. Sources: the official Bolt documentation, and what Neo4j 5.26 and 2026.08 do
where that leaves room.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Final

from .._constants import NEWEST, Message, Version

__all__ = [
    "FEATURES",
    "REQUESTS",
    "SUMMARY_KEYS",
    "VERSIONS",
    "Facts",
    "Field",
    "Key",
    "Layout",
    "facts",
    "version_text",
]

VERSIONS: Final[tuple[Version, ...]] = (
    (6, 1),
    (6, 0),
    (5, 8),
    (5, 7),
    (5, 6),
    (5, 4),
    (5, 3),
    (5, 2),
    (5, 1),
    (5, 0),
    (4, 4),
    (4, 3),
    (4, 2),
    (4, 1),
    (4, 0),
    (3, 0),
    (2, 0),
    (1, 0),
)
"""Every version spoken, newest first. 5.5 was never negotiated by any server."""

# Kinds of fields and keys. A value of kind K is checked by CHECKS[K] in messages.py.
STRING: Final = "String"
INTEGER: Final = "Integer"
BOOLEAN: Final = "Boolean"
MAP: Final = "Map"
LIST: Final = "List"
STRINGS: Final = "List of String"
STRING_MAP: Final = "Map of String"
DATABASE: Final = "String or null"


class Key:
    """One key of a map: its name, kind, and the versions that have it (*first* to *last*, both included).

    *required* keys may not be missing. *values* are the only ones allowed. An *advisory* key is left out
    without a word where the version has none, since nothing that the user asked for is lost; others are an
    error. *older* is the name that the same thing had before *first*, if any. *least* is the smallest number
    that a client sends.
    """

    __slots__ = ("advisory", "first", "kind", "last", "least", "name", "older", "required", "values")

    def __init__(
        self,
        name: str,
        kind: str,
        first: Version = (1, 0),
        last: Version = NEWEST,
        *,
        required: bool = False,
        values: frozenset[object] | None = None,
        advisory: bool = False,
        older: str | None = None,
        least: int = -(2**63),
    ) -> None:
        self.name = name
        self.kind = kind
        self.first = first
        self.last = last
        self.required = required
        self.values = values
        self.advisory = advisory
        self.older = older
        self.least = least

    def __repr__(self) -> str:
        return f"Key({self.name!r}, {self.kind!r})"


class Field:
    """One field of a message: its name, kind, and the keys it has when it is a map with known keys.

    *rest* names what the other keys are: in HELLO up to 5.0 they are credentials.
    """

    __slots__ = ("keys", "kind", "name", "rest", "values")

    def __init__(
        self,
        name: str,
        kind: str,
        keys: tuple[Key, ...] = (),
        *,
        rest: str | None = None,
        values: frozenset[object] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.keys = keys
        self.rest = rest
        self.values = values

    def __repr__(self) -> str:
        return f"Field({self.name!r}, {self.kind!r})"


class Layout:
    """What one request looks like from version *first* to version *last*."""

    __slots__ = ("fields", "first", "last", "message", "name")

    def __init__(
        self,
        message: Message,
        name: str,
        first: Version,
        last: Version,
        *fields: Field,
    ) -> None:
        self.message = message
        self.name = name
        self.first = first
        self.last = last
        self.fields = fields

    def __repr__(self) -> str:
        return f"<Layout of {self.name}, Bolt {version_text(self.first)} - {version_text(self.last)}>"


_FILTER: Final = (
    Key("notifications_minimum_severity", STRING, (5, 2)),
    Key("notifications_disabled_categories", STRINGS, (5, 2), (5, 4)),
    Key("notifications_disabled_classifications", STRINGS, (5, 5)),
)

_HELLO_KEYS: Final = (
    Key("user_agent", STRING, required=True),
    Key("routing", MAP, (4, 1), advisory=True),
    Key("patch_bolt", STRINGS, (4, 3), (4, 4), advisory=True),
    *_FILTER,
    Key("bolt_agent", STRING_MAP, (5, 3), advisory=True),
)

_TRANSACTION_KEYS: Final = (
    Key("bookmarks", STRINGS, (3, 0)),
    Key("tx_timeout", INTEGER, (3, 0), least=0),
    Key("tx_metadata", MAP, (3, 0)),
    Key("mode", STRING, (3, 0), values=frozenset({"r", "w"})),
    Key("db", STRING, (4, 0)),
    Key("imp_user", STRING, (4, 4)),
    *_FILTER,
)

_STREAM_KEYS: Final = (
    Key("n", INTEGER, (4, 0), required=True),
    Key("qid", INTEGER, (4, 0)),
)

_ROUTE_KEYS: Final = (
    Key("db", STRING, (4, 3)),
    Key("imp_user", STRING, (4, 4)),
)

REQUESTS: Final[tuple[Layout, ...]] = (
    Layout(Message.INIT, "INIT", (1, 0), (2, 0), Field("user_agent", STRING), Field("auth", MAP)),
    Layout(Message.HELLO, "HELLO", (3, 0), (5, 0), Field("extra", MAP, _HELLO_KEYS, rest="auth")),
    Layout(Message.HELLO, "HELLO", (5, 1), NEWEST, Field("extra", MAP, _HELLO_KEYS)),
    Layout(Message.GOODBYE, "GOODBYE", (3, 0), NEWEST),
    Layout(Message.ACK_FAILURE, "ACK_FAILURE", (1, 0), (2, 0)),
    Layout(Message.RESET, "RESET", (1, 0), NEWEST),
    Layout(Message.RUN, "RUN", (1, 0), (2, 0), Field("statement", STRING), Field("parameters", MAP)),
    Layout(
        Message.RUN,
        "RUN",
        (3, 0),
        NEWEST,
        Field("statement", STRING),
        Field("parameters", MAP),
        Field("extra", MAP, _TRANSACTION_KEYS),
    ),
    Layout(Message.BEGIN, "BEGIN", (3, 0), NEWEST, Field("extra", MAP, _TRANSACTION_KEYS)),
    Layout(Message.COMMIT, "COMMIT", (3, 0), NEWEST),
    Layout(Message.ROLLBACK, "ROLLBACK", (3, 0), NEWEST),
    Layout(Message.DISCARD_ALL, "DISCARD_ALL", (1, 0), (3, 0)),
    Layout(Message.DISCARD, "DISCARD", (4, 0), NEWEST, Field("extra", MAP, _STREAM_KEYS)),
    Layout(Message.PULL_ALL, "PULL_ALL", (1, 0), (3, 0)),
    Layout(Message.PULL, "PULL", (4, 0), NEWEST, Field("extra", MAP, _STREAM_KEYS)),
    Layout(
        Message.TELEMETRY,
        "TELEMETRY",
        (5, 4),
        NEWEST,
        Field("api", INTEGER, values=frozenset({0, 1, 2, 3})),
    ),
    Layout(
        Message.ROUTE,
        "ROUTE",
        (4, 3),
        (4, 3),
        Field("routing", MAP),
        Field("bookmarks", STRINGS),
        Field("db", DATABASE, _ROUTE_KEYS),
    ),
    Layout(
        Message.ROUTE,
        "ROUTE",
        (4, 4),
        NEWEST,
        Field("routing", MAP),
        Field("bookmarks", STRINGS),
        Field("extra", MAP, _ROUTE_KEYS),
    ),
    Layout(Message.LOGON, "LOGON", (5, 1), NEWEST, Field("auth", MAP)),
    Layout(Message.LOGOFF, "LOGOFF", (5, 1), NEWEST),
)
"""The one table of requests. A request that changed has one layout for each form."""

_STREAM_SUMMARY: Final = (
    Key("has_more", BOOLEAN, (4, 0)),
    Key("bookmark", STRING),
    Key("type", STRING),
    Key("stats", MAP),
    Key("plan", MAP),
    Key("profile", MAP),
    Key("db", STRING, (4, 0)),
    Key("notifications", LIST, (1, 0), (5, 4)),
    Key("statuses", LIST, (5, 5)),
    Key("t_last", INTEGER, (3, 0), older="result_consumed_after"),
    Key("t_first", INTEGER, (3, 0)),
    Key("qid", INTEGER, (4, 0)),
)

SUMMARY_KEYS: Final[Mapping[Message, tuple[Key, ...]]] = {
    Message.HELLO: (
        Key("server", STRING),
        Key("connection_id", STRING, (3, 0)),
        Key("patch_bolt", STRINGS, (4, 3), (4, 4)),
        Key("hints", MAP, (4, 3)),
    ),
    Message.LOGON: (Key("advertised_address", STRING, (5, 8)),),
    Message.BEGIN: (Key("db", STRING, (5, 8)),),
    Message.RUN: (
        Key("fields", STRINGS),
        Key("t_first", INTEGER, (3, 0), older="result_available_after"),
        Key("qid", INTEGER, (4, 0)),
        Key("db", STRING, (5, 8)),
    ),
    Message.PULL: _STREAM_SUMMARY,
    Message.DISCARD: _STREAM_SUMMARY,
    Message.ROUTE: (Key("rt", MAP),),
}
"""Keys of the SUCCESS that answers a request: what a server leaves out for a version that does not know them.

A client accepts all of them in every version.
"""

CHECKED_KEYS: Final[Mapping[Message, Mapping[str, str]]] = {
    Message.HELLO: {"server": STRING, "connection_id": STRING, "patch_bolt": STRINGS, "hints": MAP},
    Message.RUN: {"fields": STRINGS, "qid": INTEGER},
    Message.PULL: {"has_more": BOOLEAN},
    Message.DISCARD: {"has_more": BOOLEAN},
    Message.ROUTE: {"rt": MAP},
}
"""Keys whose kind the client checks, because what it does next depends on them."""

FEATURES: Final[Mapping[str, tuple[Version, Version]]] = {
    # name: (first version, last version)
    "streams": ((4, 0), NEWEST),  # PULL and DISCARD with n and qid; several streams in a transaction
    "noop": ((4, 1), NEWEST),  # a server may write NOOPs
    "utc_patch": ((4, 3), (4, 4)),  # the UTC forms of date-times are granted in HELLO's answer
    "receive_timeout": ((4, 1), NEWEST),  # the hint of that name is kept by the server
    "logon": ((5, 1), NEWEST),  # credentials travel in LOGON
    "gql_errors": ((5, 7), NEWEST),  # FAILURE carries a GQL status
    "manifest": ((5, 7), NEWEST),  # servers of this version know the manifest handshake
    "ranges": ((4, 3), NEWEST),  # servers of this version understand ranges in offers
    "manifest_only": ((6, 0), NEWEST),  # every server of this version knows the manifest handshake
}
"""What is no request, field or key."""


def version_text(version: Version) -> str:
    """Return (5, 4) as "5.4"."""
    return f"{version[0]}.{version[1]}"


class Facts:
    """What one version has: its part of every table."""

    __slots__ = ("features", "keys", "layouts", "required", "summary_keys", "version")

    def __init__(self, version: Version) -> None:
        self.version = version
        self.layouts: dict[int, Layout] = {
            layout.message: layout for layout in REQUESTS if layout.first <= version <= layout.last
        }
        self.features: frozenset[str] = frozenset(
            name for name, (first, last) in FEATURES.items() if first <= version <= last
        )
        self.keys: dict[int, dict[str, Key]] = {
            message: {
                key.name: key
                for field in layout.fields
                for key in field.keys
                if key.first <= version <= key.last
            }
            for message, layout in self.layouts.items()
        }
        self.required: dict[int, tuple[str, ...]] = {
            message: tuple(name for name, key in keys.items() if key.required)
            for message, keys in self.keys.items()
        }
        # name of a summary's key -> name on the wire, None where this version has none
        self.summary_keys: dict[int, dict[str, str | None]] = {
            message: {key.name: key.name if key.first <= version <= key.last else key.older for key in keys}
            for message, keys in SUMMARY_KEYS.items()
        }

    def __repr__(self) -> str:
        return f"<Facts of Bolt {version_text(self.version)}>"


@functools.lru_cache(maxsize=64)
def facts(version: Version) -> Facts:
    """Return what *version* has. Raises :exc:`ValueError` for one that does not exist."""
    if version not in VERSIONS:
        raise ValueError(f"{version!r} is no Bolt version that asyncbolt speaks")
    return Facts(version)


def known_versions(versions: Iterable[Version]) -> tuple[Version, ...]:
    """Return *versions* as a tuple of pairs in the given order, without repeats.

    Raises :exc:`ValueError` when one is not spoken, or when there is none.
    """
    result: dict[Version, None] = {}
    for version in versions:
        pair = tuple(version)
        if pair not in VERSIONS:
            raise ValueError(f"{version!r} is no Bolt version that asyncbolt speaks")
        result[(pair[0], pair[1])] = None
    if not result:
        raise ValueError("no Bolt version is given")
    return tuple(result)
