"""The end of a result: what the SUCCESS behind the last row says, in the form of every version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["complete"]

_OUTCOMES: Final[Mapping[str, str]] = {
    "00000": "note: successful completion",
    "02000": "note: no data",
    "00001": "note: successful completion - omitted result",
}
_WARNING: Final = ("01N42", "warn: unknown warning")
_INFORMATION: Final = ("03N42", "info: unknown notification")
_ORDER: Final = ("02", "01", "00", "03")


def complete(summary: dict[str, Any], sent: int, fields: Sequence[str]) -> dict[str, Any]:
    """Add the ``statuses`` of Bolt 5.6+ to a summary that has none, made of its ``notifications``, if any.

    Keys that a version does not have are left out when it is sent.

    Args:
        summary: What the author said.
        sent: How many records there were.
        fields: The names of the columns.
    """
    summary.pop("has_more", None)  # there is no more, whatever the author thinks
    if "statuses" in summary:
        return summary
    outcome = "00000" if sent else "02000" if fields else "00001"
    statuses = [{"gql_status": outcome, "status_description": _OUTCOMES[outcome]}]
    notifications = summary.get("notifications")
    if isinstance(notifications, (list, tuple)):
        statuses += [_status(each) for each in notifications if isinstance(each, Mapping)]
        statuses.sort(key=lambda status: _ORDER.index(status["gql_status"][:2]))
    return {**summary, "statuses": statuses}


def _status(notification: Mapping[str, Any]) -> dict[str, Any]:
    """A notification in the form of Bolt 5.6+."""
    warning = notification.get("severity") == "WARNING"
    gql_status, description = _WARNING if warning else _INFORMATION
    status: dict[str, Any] = {
        "gql_status": gql_status,
        "status_description": notification.get("description") or description,
        "neo4j_code": notification.get("code", ""),
        "title": notification.get("title", ""),
    }
    record = {
        new: notification[old]
        for old, new in (
            ("severity", "_severity"),
            ("category", "_classification"),
            ("position", "_position"),
        )
        if notification.get(old)
    }
    if record:
        status["diagnostic_record"] = record
    return status
