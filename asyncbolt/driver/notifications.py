"""What a server may remark on a query, and which of it is asked for, logged or warned of."""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from .constants import RoutingControl

if TYPE_CHECKING:
    from .summary import GqlStatusObject

__all__ = [
    "Neo4jDeprecationWarning",
    "Neo4jWarning",
    "NotificationCategory",
    "NotificationClassification",
    "NotificationDisabledCategory",
    "NotificationDisabledClassification",
    "NotificationMinimumSeverity",
    "NotificationSeverity",
    "PreviewWarning",
    "RoutingControl",
    "TelemetryAPI",
    "log_remarks",
    "notification_text",
    "remarked",
    "warning_for",
]


logger = logging.getLogger("asyncbolt.notifications")

class NotificationMinimumSeverity(str, enum.Enum):
    """How severe a notification must be for the server to send it; the plain strings mean the same."""

    OFF = "OFF"
    """None is sent."""
    WARNING = "WARNING"
    INFORMATION = "INFORMATION"


class NotificationSeverity(str, enum.Enum):
    """How severe a notification is; members are equal to the plain strings."""

    WARNING = "WARNING"
    INFORMATION = "INFORMATION"
    UNKNOWN = "UNKNOWN"
    """The server gave none, or one that is not known here."""


class NotificationDisabledCategory(str, enum.Enum):
    """The kinds of notifications that a server can be asked not to send; the plain strings mean the same.

    ``TOPOLOGY`` needs Neo4j 5.13, ``SCHEMA`` Neo4j 5.17.
    """

    HINT = "HINT"
    UNRECOGNIZED = "UNRECOGNIZED"
    UNSUPPORTED = "UNSUPPORTED"
    PERFORMANCE = "PERFORMANCE"
    DEPRECATION = "DEPRECATION"
    GENERIC = "GENERIC"
    SECURITY = "SECURITY"
    TOPOLOGY = "TOPOLOGY"
    SCHEMA = "SCHEMA"


class NotificationDisabledClassification(str, enum.Enum):
    """The same as :class:`NotificationDisabledCategory`, by the word that GQL has for it."""

    HINT = "HINT"
    UNRECOGNIZED = "UNRECOGNIZED"
    UNSUPPORTED = "UNSUPPORTED"
    PERFORMANCE = "PERFORMANCE"
    DEPRECATION = "DEPRECATION"
    GENERIC = "GENERIC"
    SECURITY = "SECURITY"
    TOPOLOGY = "TOPOLOGY"
    SCHEMA = "SCHEMA"


class NotificationCategory(str, enum.Enum):
    """What a notification is about; members are equal to the plain strings."""

    HINT = "HINT"
    UNRECOGNIZED = "UNRECOGNIZED"
    UNSUPPORTED = "UNSUPPORTED"
    PERFORMANCE = "PERFORMANCE"
    DEPRECATION = "DEPRECATION"
    GENERIC = "GENERIC"
    SECURITY = "SECURITY"
    TOPOLOGY = "TOPOLOGY"
    SCHEMA = "SCHEMA"
    UNKNOWN = "UNKNOWN"
    """The server gave none, or one that is not known here."""


class NotificationClassification(str, enum.Enum):
    """The same as :class:`NotificationCategory`, by the word that GQL has for it."""

    HINT = "HINT"
    UNRECOGNIZED = "UNRECOGNIZED"
    UNSUPPORTED = "UNSUPPORTED"
    PERFORMANCE = "PERFORMANCE"
    DEPRECATION = "DEPRECATION"
    GENERIC = "GENERIC"
    SECURITY = "SECURITY"
    TOPOLOGY = "TOPOLOGY"
    SCHEMA = "SCHEMA"
    UNKNOWN = "UNKNOWN"
    """The server gave none, or one that is not known here."""


class TelemetryAPI(int, enum.Enum):
    """Which part of the API a TELEMETRY message reports (Bolt 5.4+)."""

    TX_FUNC = 0
    TX = 1
    AUTO_COMMIT = 2
    DRIVER = 3


# A caret further to the right shows nothing: servers may say what they like.
_WIDEST: Final = 10_000


def notification_text(
    notification: GqlStatusObject, query: str | None = None, *, one_line: bool = False
) -> str:
    """Describe a *notification* for a log or a warning, with the *query* when it is given.

    The query is shown with a caret below the place that the notification is about; with *one_line* it is
    quoted in the same line.
    """
    text = repr(notification)
    if query is None:
        return text
    if one_line:
        return f"{text} for query: {query!r}"
    lines = query.splitlines()
    position = notification.position
    if (
        position is not None
        and 1 <= position.line <= len(lines)
        and 1 <= position.column <= _WIDEST
    ):
        # Tabs before the place are kept, so that the caret stands below it however wide they are.
        before = lines[position.line - 1][: position.column - 1].ljust(position.column - 1)
        lines.insert(position.line, "".join("\t" if char == "\t" else " " for char in before) + "^")
    return "\n".join([f"{text} for query:", *lines])


_LEVELS: Final = {
    NotificationSeverity.INFORMATION: logging.INFO,
    NotificationSeverity.WARNING: logging.WARNING,
}


def remarked(metadata: Mapping[str, Any]) -> bool:
    """Whether there are notifications in the *metadata* of a summary. Asked for each: so, nothing is made."""
    statuses = metadata.get("statuses")
    if not isinstance(statuses, list):
        return bool(metadata.get("notifications"))
    # The outcome of the query is among them, and is no notification.
    for status in statuses:
        if isinstance(status, dict) and "neo4j_code" in status:
            return True
    return False


def log_remarks(statuses: Iterable[GqlStatusObject], query: str) -> None:
    """Log those of *statuses* that are notifications: warnings at WARNING, information at INFO."""
    for notification in statuses:
        if notification.is_notification:
            level = _LEVELS.get(notification.severity, logging.DEBUG)
            if logger.isEnabledFor(level):
                text = notification_text(notification, query, one_line=True)
                logger.log(level, "the server remarks: %s", text)


class PreviewWarning(Warning):
    """Something was used that may still change. The driver has nothing of this kind at present."""


class Neo4jWarning(Warning):
    """A server remarked on a query, and the driver was told to warn (``warn_notification_severity``).

    Args:
        notification: The remark.
        query: The text of the query, to be shown with it.
    """

    notification: GqlStatusObject

    def __init__(self, notification: GqlStatusObject, query: str | None = None) -> None:
        super().__init__(notification_text(notification, query))
        self.notification = notification


class Neo4jDeprecationWarning(Neo4jWarning, DeprecationWarning):
    """A server remarked that a query uses what will go away. Python shows it as DeprecationWarning."""


_WARNED_OF: Final = {
    NotificationMinimumSeverity.WARNING: {NotificationSeverity.WARNING},
    NotificationMinimumSeverity.INFORMATION: {NotificationSeverity.WARNING, NotificationSeverity.INFORMATION},
}


def warning_for(
    notification: GqlStatusObject, severity: str | None, query: str | None = None
) -> Neo4jWarning | None:
    """Return the warning that *notification* calls for, None when it is not severe enough.

    Args:
        notification: The remark; None comes back for a status that is none.
        severity: The least severity to warn of: a :class:`NotificationMinimumSeverity` or its string; None
            stands for no warnings, as ``"OFF"`` does.
        query: The text of the query.
    """
    if severity is None or not notification.is_notification:
        return None
    if notification.severity not in _WARNED_OF.get(NotificationMinimumSeverity(severity), ()):
        return None
    deprecated = notification.classification == NotificationClassification.DEPRECATION
    return (Neo4jDeprecationWarning if deprecated else Neo4jWarning)(notification, query)
