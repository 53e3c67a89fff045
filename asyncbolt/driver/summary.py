"""What a server says about a query when it is over. Nothing of it is worked out before it is asked for."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from ..exceptions import RemoteProtocolError
from .notifications import NotificationCategory, NotificationClassification, NotificationSeverity

if TYPE_CHECKING:
    from typing_extensions import Self

    from .server_info import ServerInfo

__all__ = [
    "GqlStatusObject",
    "ResultSummary",
    "SummaryCounters",
    "SummaryInputPosition",
    "SummaryNotification",
    "SummaryNotificationPosition",
]

QueryType = Literal["r", "rw", "w", "s"]

_QUERY_TYPES: Final = ("r", "rw", "w", "s")

_COUNTERS: Final = (
    "nodes_created",
    "nodes_deleted",
    "relationships_created",
    "relationships_deleted",
    "properties_set",
    "labels_added",
    "labels_removed",
    "indexes_added",
    "indexes_removed",
    "constraints_added",
    "constraints_removed",
    "system_updates",
)

_DIAGNOSTIC_DEFAULTS: Final[dict[str, Any]] = {"OPERATION": "", "OPERATION_CODE": "0", "CURRENT_SCHEMA": "/"}

# The outcomes that servers before Bolt 5.5 do not send.
_SUCCESS: Final = {"gql_status": "00000", "status_description": "note: successful completion"}
_OMITTED_RESULT: Final = {
    "gql_status": "00001",
    "status_description": "note: successful completion - omitted result",
}
_NO_DATA: Final = {"gql_status": "02000", "status_description": "note: no data"}

# "No data" goes before a warning, a warning before success, success before information.
_PRECEDENCE: Final = {"02": 0, "01": 1, "00": 2, "03": 3}

# The entries of a notification, and where a status has them: in itself, and in its diagnostic record.
_FROM_STATUS: Final = {"title": "title", "code": "neo4j_code", "description": "description"}
_FROM_RECORD: Final = {"category": "_classification", "severity": "_severity", "position": "_position"}


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None


def _severity(word: str | None) -> NotificationSeverity:
    try:
        return NotificationSeverity(word)
    except ValueError:
        return NotificationSeverity.UNKNOWN


@dataclass
class SummaryInputPosition:
    """A place in the text of a query.

    Attributes:
        line: The line, counted from 1.
        column: The column, counted from 1.
        offset: The character, counted from 0.
    """

    line: int
    column: int
    offset: int

    @classmethod
    def _from_metadata(cls, metadata: object) -> Self | None:
        if not isinstance(metadata, Mapping):
            return None
        numbers = [metadata.get(key) for key in ("line", "column", "offset")]
        if any(type(number) is not int for number in numbers):
            return None
        return cls(*cast("list[int]", numbers))

    def __str__(self) -> str:
        return f"line: {self.line}, column: {self.column}, offset: {self.offset}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} line={self.line!r}, column={self.column!r}, offset={self.offset!r}>"


SummaryNotificationPosition = SummaryInputPosition


@dataclass
class SummaryNotification:
    """A notification; :class:`GqlStatusObject` says more.

    Attributes:
        title: A headline.
        code: A Neo4j code, ``Neo.ClientNotification.Category.Title``.
        description: What it is about, for humans.
        severity_level: How severe it is.
        category: What it is about.
        raw_severity_level: The same in the server's own word, "" when it gave none.
        raw_category: The same in the server's own word, "" when it gave none.
        position: The place in the query, None when there is none.
    """

    title: str = ""
    code: str = ""
    description: str = ""
    severity_level: NotificationSeverity = NotificationSeverity.UNKNOWN
    category: NotificationCategory = NotificationCategory.UNKNOWN
    raw_severity_level: str = ""
    raw_category: str = ""
    position: SummaryInputPosition | None = None

    @classmethod
    def _from_metadata(cls, metadata: object) -> Self:
        if not isinstance(metadata, Mapping):
            return cls()
        severity = _text(metadata, "severity")
        raw_category = _text(metadata, "category")
        try:
            category = NotificationCategory(raw_category)
        except ValueError:
            category = NotificationCategory.UNKNOWN
        return cls(
            title=_text(metadata, "title") or "",
            code=_text(metadata, "code") or "",
            description=_text(metadata, "description") or "",
            severity_level=_severity(severity),
            category=category,
            raw_severity_level=severity or "",
            raw_category=raw_category or "",
            position=SummaryInputPosition._from_metadata(metadata.get("position")),
        )

    def __str__(self) -> str:
        return (
            f"{{severity: {self.raw_severity_level}}} {{code: {self.code}}} "
            f"{{category: {self.raw_category}}} {{title: {self.title}}} "
            f"{{description: {self.description}}} {{position: {self.position}}}"
        )


class GqlStatusObject:
    """One of the things that a server reports about a query: its outcome, or a notification.

    Servers before Bolt 5.5 know no GQL statuses; what they send is put into this form, with the statuses
    ``01N42`` (an unknown warning) and ``03N42`` (an unknown notification).
    """

    _status: Mapping[str, Any] = {"diagnostic_record": None}

    @classmethod
    def _from_status(cls, status: object) -> Self:
        made = cls()
        if isinstance(status, Mapping):
            made._status = status
        return made

    @classmethod
    def _from_notification(cls, notification: object) -> Self:
        if not isinstance(notification, Mapping):
            notification = {}
        warning = notification.get("severity") == "WARNING"
        unknown = "warn: unknown warning" if warning else "info: unknown notification"
        made = cls()
        made._status = {
            "gql_status": "01N42" if warning else "03N42",
            "status_description": _text(notification, "description") or unknown,
            "diagnostic_record": {
                inner: notification[outer] for outer, inner in _FROM_RECORD.items() if outer in notification
            },
        }
        made.__dict__["is_notification"] = True
        return made

    @cached_property
    def _record(self) -> dict[str, Any]:
        record = self._status.get("diagnostic_record", {})
        return {**_DIAGNOSTIC_DEFAULTS, **record} if isinstance(record, dict) else {}

    @cached_property
    def is_notification(self) -> bool:
        """Whether it is a notification: a remark, which can be filtered by severity and classification.

        Only notifications have a position, a classification and a severity.
        """
        return bool(_text(self._status, "neo4j_code"))

    @property
    def gql_status(self) -> str:
        """The GQL status, five characters; "" when the server gave none."""
        return _text(self._status, "gql_status") or ""

    @property
    def status_description(self) -> str:
        """What the status means, for humans."""
        return _text(self._status, "status_description") or ""

    @cached_property
    def position(self) -> SummaryInputPosition | None:
        """The place in the query that a notification is about, None when it is not about one."""
        return SummaryInputPosition._from_metadata(self._record.get("_position"))

    @property
    def raw_classification(self) -> str | None:
        """What a notification is about, in the server's own word; None when it gave none."""
        return _text(self._record, "_classification")

    @property
    def classification(self) -> NotificationClassification:
        """What a notification is about."""
        try:
            return NotificationClassification(self.raw_classification)
        except ValueError:
            return NotificationClassification.UNKNOWN

    @property
    def raw_severity(self) -> str | None:
        """How severe a notification is, in the server's own word; None when it gave none."""
        return _text(self._record, "_severity")

    @property
    def severity(self) -> NotificationSeverity:
        """How severe a notification is."""
        return _severity(self.raw_severity)

    @cached_property
    def diagnostic_record(self) -> dict[str, Any]:
        """Further facts about the status; the standard entries are there even if the server left them out.

        Empty where the server sent something that is no map.
        """
        return copy.deepcopy(self._record)

    def __str__(self) -> str:
        return self.status_description

    def __repr__(self) -> str:
        names = (
            "gql_status", "status_description", "position", "raw_classification", "classification",
            "raw_severity", "severity", "diagnostic_record",
        )  # fmt: skip
        return f"<{type(self).__name__} {', '.join(f'{name}={getattr(self, name)!r}' for name in names)}>"


class SummaryCounters:
    """What a query changed, as numbers.

    Args:
        statistics: The numbers by their names on the wire, such as ``nodes-created``; others are passed over.
    """

    nodes_created: int = 0
    nodes_deleted: int = 0
    relationships_created: int = 0
    relationships_deleted: int = 0
    properties_set: int = 0
    labels_added: int = 0
    labels_removed: int = 0
    indexes_added: int = 0
    indexes_removed: int = 0
    constraints_added: int = 0
    constraints_removed: int = 0
    system_updates: int = 0

    _contains_updates: bool | None = None
    _contains_system_updates: bool | None = None

    def __init__(self, statistics: Mapping[str, Any] | None = None) -> None:
        for key, value in (statistics or {}).items():
            name = _COUNTER_NAMES.get(key)
            # The two that begin with an underscore are flags.
            if name is not None and isinstance(value, bool if name[0] == "_" else int):
                setattr(self, name, value)

    @property
    def contains_updates(self) -> bool:
        """Whether the query changed anything but the system database."""
        if self._contains_updates is not None:
            return self._contains_updates
        return any(getattr(self, name) for name in _COUNTERS if name != "system_updates")

    @property
    def contains_system_updates(self) -> bool:
        """Whether the query changed the system database."""
        if self._contains_system_updates is not None:
            return self._contains_system_updates
        return self.system_updates > 0

    def __repr__(self) -> str:
        known = {key: self.__dict__[name] for key, name in _COUNTER_NAMES.items() if name in self.__dict__}
        return f"{type(self).__name__}({known!r})"

    def __str__(self) -> str:
        counts = [f"{name}: {getattr(self, name)}" for name in _COUNTERS if getattr(self, name)]
        counts.append(f"contains_updates: {self.contains_updates}")
        counts.append(f"contains_system_updates: {self.contains_system_updates}")
        return f"SummaryCounters{{{', '.join(counts)}}}"


_COUNTER_NAMES: Final = {
    **{name.replace("_", "-"): name for name in _COUNTERS},
    "contains-updates": "_contains_updates",
    "contains-system-updates": "_contains_system_updates",
}


class ResultSummary:
    """What the server says about a query when it is over.

    Args:
        server: The server that ran it.
        metadata: What it answered, to RUN and at the end of the result, as one dict.
        query: The text of the query.
        parameters: Its parameters.
        database: The database that it was sent to, for servers that do not say which one they took.
        had_key: Whether the result has columns.
        had_record: Whether a record came. Both are only asked where a server sends no GQL status.

    Attributes:
        server: The server that ran the query.
        metadata: What the server answered, as it came.
        query: The text of the query.
        parameters: The parameters of the query.
    """

    def __init__(
        self,
        server: ServerInfo,
        metadata: dict[str, Any],
        *,
        query: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        database: str | None = None,
        had_key: bool = False,
        had_record: bool = False,
    ) -> None:
        self.server = server
        self.metadata = metadata
        self.query = query
        self.parameters = parameters
        self._database = database
        self._had_key = had_key
        self._had_record = had_record

    @cached_property
    def database(self) -> str | None:
        """The database that the query ran in; None when neither side named it."""
        name = self.metadata.get("db")
        return name if isinstance(name, str) else self._database

    @cached_property
    def query_type(self) -> QueryType | None:
        """What the query does: ``"r"`` read, ``"w"`` write, ``"rw"`` both, ``"s"`` change the schema.

        Raises:
            RemoteProtocolError: The server named a type that is not known here. The query has been done all
                the same, and the rest of the summary can be read.
        """
        kind = self.metadata.get("type")
        if kind is not None and kind not in _QUERY_TYPES:
            raise RemoteProtocolError(f"the server says that the query is of the unknown type {kind!r}")
        return cast("QueryType | None", kind)

    @cached_property
    def counters(self) -> SummaryCounters:
        """What the query changed."""
        statistics = self.metadata.get("stats")
        return SummaryCounters(statistics if isinstance(statistics, Mapping) else None)

    @cached_property
    def plan(self) -> dict[str, Any] | None:
        """How the server would run the query, for ``EXPLAIN``; None otherwise."""
        return self._map("plan")

    @cached_property
    def profile(self) -> dict[str, Any] | None:
        """How the server ran the query, for ``PROFILE``; None otherwise."""
        return self._map("profile")

    @cached_property
    def result_available_after(self) -> int | None:
        """Milliseconds until the server had the first record; None when it does not say."""
        return self._milliseconds("result_available_after", "t_first")

    @cached_property
    def result_consumed_after(self) -> int | None:
        """Milliseconds until the server had sent the last record; None when it does not say."""
        return self._milliseconds("result_consumed_after", "t_last")

    def _milliseconds(self, before_bolt_3: str, since_bolt_3: str) -> int | None:
        old = self.server.protocol_version[0] < 3
        number = self.metadata.get(before_bolt_3 if old else since_bolt_3)
        return number if isinstance(number, int) else None

    def _map(self, key: str) -> dict[str, Any] | None:
        value = self.metadata.get(key)
        return value if isinstance(value, dict) else None

    @cached_property
    def notifications(self) -> list[dict[str, Any]] | None:
        """The notifications as plain dicts, None when there are none.

        Those of servers with GQL statuses (Bolt 5.5+) are put into this form; ``gql_status_objects`` says
        more.
        """
        if "notifications" in self.metadata:
            sent = self.metadata["notifications"]
            return sent if isinstance(sent, list) else None
        statuses = self.metadata.get("statuses")
        if not isinstance(statuses, list):
            return None
        made = [
            _notification_of(status)
            for status in statuses
            if isinstance(status, Mapping) and "neo4j_code" in status
        ]
        return made or None

    @cached_property
    def summary_notifications(self) -> Sequence[SummaryNotification]:
        """The notifications as objects. ``gql_status_objects`` says more."""
        sent = self.notifications
        if not isinstance(sent, list):
            return ()
        return tuple(map(SummaryNotification._from_metadata, sent))

    @cached_property
    def gql_status_objects(self) -> Sequence[GqlStatusObject]:
        """The outcome of the query and the notifications, in the order of their weight.

        "No data" (02) goes before warnings (01), these before success (00), and information (03) comes last.
        What a server with GQL statuses (Bolt 5.5+) sends is left in its order.
        """
        statuses = self.metadata.get("statuses")
        if isinstance(statuses, list):
            return tuple(map(GqlStatusObject._from_status, statuses))
        outcome = _SUCCESS if self._had_record else _NO_DATA if self._had_key else _OMITTED_RESULT
        sent = self.notifications
        made = list(map(GqlStatusObject._from_notification, sent if isinstance(sent, list) else ()))
        made.append(GqlStatusObject._from_status(outcome))
        made.sort(key=lambda status: _PRECEDENCE[status.gql_status[:2]])
        return tuple(made)


def _notification_of(status: Mapping[str, Any]) -> dict[str, Any]:
    notification = {outer: status[inner] for outer, inner in _FROM_STATUS.items() if inner in status}
    if "description" not in notification and "status_description" in status:
        notification["description"] = status["status_description"]  # Bolt 5.5 has one for both
    record = status.get("diagnostic_record")
    if isinstance(record, Mapping):
        entries = _FROM_RECORD.items()
        notification.update((outer, record[inner]) for outer, inner in entries if inner in record)
    return notification
