"""What the driver gives, as Testkit reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import asyncbolt
from asyncbolt import graph
from asyncbolt.exceptions import DriverError, GqlError, Neo4jError, ResultFailedError
from asyncbolt.spatial import CartesianPoint, WGS84Point
from asyncbolt.time import Date, DateTime, Duration, Time

__all__ = ["cypher", "error", "record", "server_info", "summary", "token"]

_COUNTERS: Final = (
    "constraints_added",
    "constraints_removed",
    "contains_system_updates",
    "contains_updates",
    "indexes_added",
    "indexes_removed",
    "labels_added",
    "labels_removed",
    "nodes_created",
    "nodes_deleted",
    "properties_set",
    "relationships_created",
    "relationships_deleted",
    "system_updates",
)
_LONGEST_CHAIN: Final = 10

# Testkit knows errors by the names that they have in the official driver.
_MODULES: Final = {"asyncbolt.exceptions": "neo4j.exceptions"}
_NAMES: Final = {"neo4j.exceptions.RemoteProtocolError": "neo4j._exceptions.BoltProtocolError"}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


# ------------------------------------------------------------------------------------------------ values


def record(given: Iterable[Any]) -> dict[str, Any]:
    """Return a record."""
    return {"values": [cypher(field) for field in given]}


def cypher(given: Any) -> dict[str, Any]:
    """Return a value of a record, as the name of a Cypher type and data."""
    if given is None:
        return {"name": "CypherNull", "data": {}}
    for kind, name, data in _WRITERS:
        if isinstance(given, kind):
            return {"name": name, "data": data(given)}
    raise NotImplementedError(f"values of type {type(given)}")


def _wrapped(given: Any) -> dict[str, Any]:
    return {"value": given}


def _float(given: float) -> dict[str, Any]:
    # JSON has no numbers for these.
    if math.isnan(given):
        return {"value": "NaN"}
    if math.isinf(given):
        return {"value": "+Infinity" if given > 0 else "-Infinity"}
    return {"value": given}


def _entity(given: graph.Entity) -> dict[str, Any]:
    properties = cypher(dict(given.items()))
    return {"id": cypher(given.id), "elementId": cypher(given.element_id), "props": properties}


def _node(given: graph.Node) -> dict[str, Any]:
    return {**_entity(given), "labels": cypher(list(given.labels))}


def _relationship(given: graph.Relationship) -> dict[str, Any]:
    start, end = given.start_node, given.end_node
    assert start is not None and end is not None
    return {
        **_entity(given),
        "type": cypher(given.type),
        "startNodeId": cypher(start.id),
        "startNodeElementId": cypher(start.element_id),
        "endNodeId": cypher(end.id),
        "endNodeElementId": cypher(end.element_id),
    }


def _path(given: graph.Path) -> dict[str, Any]:
    return {"nodes": cypher(list(given.nodes)), "relationships": cypher(list(given.relationships))}


def _point(given: CartesianPoint | WGS84Point) -> dict[str, Any]:
    system = "wgs84" if isinstance(given, WGS84Point) else "cartesian"
    return {"system": system, **dict(zip("xyz", given, strict=False))}


def _date(given: Date | DateTime) -> dict[str, Any]:
    return {"year": given.year, "month": given.month, "day": given.day}


def _time(given: Time | DateTime) -> dict[str, Any]:
    data: dict[str, Any] = {name: getattr(given, name) for name in ("hour", "minute", "second", "nanosecond")}
    offset = given.utc_offset()
    if offset is not None:
        data["utc_offset_s"] = offset.total_seconds()
    return data


def _date_time(given: DateTime) -> dict[str, Any]:
    zone = getattr(given.tzinfo, "key", None)
    return {**_date(given), **_time(given), **({} if zone is None else {"timezone_id": zone})}


def _duration(given: Duration) -> dict[str, Any]:
    return {name: getattr(given, name) for name in ("months", "days", "seconds", "nanoseconds")}


# The first that fits counts: bool is an int, a duration is a tuple.
_WRITERS: Final[tuple[tuple[Any, str, Any], ...]] = (
    (bool, "CypherBool", _wrapped),
    (int, "CypherInt", _wrapped),
    (float, "CypherFloat", _float),
    (str, "CypherString", _wrapped),
    ((bytes, bytearray), "CypherBytes", lambda given: {"value": given.hex(" ")}),
    (list, "CypherList", lambda given: {"value": list(map(cypher, given))}),
    (dict, "CypherMap", lambda given: {"value": {key: cypher(item) for key, item in given.items()}}),
    (graph.Node, "Node", _node),
    (graph.Relationship, "Relationship", _relationship),
    (graph.Path, "Path", _path),
    ((CartesianPoint, WGS84Point), "CypherPoint", _point),
    (DateTime, "CypherDateTime", _date_time),
    (Date, "CypherDate", _date),
    (Time, "CypherTime", _time),
    (Duration, "CypherDuration", _duration),
)


def token(given: Any) -> dict[str, Any]:
    """Return credentials."""
    return {"name": "AuthorizationToken", "data": dict(vars(given))}


# --------------------------------------------------------------------------------------------- summaries


def server_info(given: asyncbolt.ServerInfo) -> dict[str, Any]:
    """Return what is known of a server."""
    return {
        "address": str(given.address),
        "agent": given.agent,
        "protocolVersion": ".".join(map(str, given.protocol_version)),
    }


def summary(given: asyncbolt.ResultSummary) -> dict[str, Any]:
    """Return a summary."""
    counters = given.counters
    return {
        "serverInfo": server_info(given.server),
        "counters": {_camel(name): getattr(counters, name) for name in _COUNTERS},
        "database": given.database,
        "notifications": _notifications(given),
        "gqlStatusObjects": [_status(status) for status in given.gql_status_objects],
        "plan": given.plan,
        "profile": given.profile,
        "query": {
            "text": given.query,
            "parameters": {name: cypher(item) for name, item in (given.parameters or {}).items()},
        },
        "queryType": given.query_type,
        "resultAvailableAfter": given.result_available_after,
        "resultConsumedAfter": given.result_consumed_after,
    }


def _notifications(given: asyncbolt.ResultSummary) -> list[dict[str, Any]] | None:
    if given.notifications is None:
        # A server with GQL statuses sends no list of notifications, and so none that is missing.
        return [] if given.server.protocol_version >= (5, 5) else None
    return [
        {
            "title": notification.title,
            "code": notification.code,
            "description": notification.description,
            "severityLevel": notification.severity_level.name,
            "severity": notification.raw_severity_level,
            "rawSeverityLevel": notification.raw_severity_level,
            "category": notification.category.name,
            "rawCategory": notification.raw_category,
            **({} if notification.position is None else {"position": _position(notification.position)}),
        }
        for notification in given.summary_notifications
    ]


def _status(given: asyncbolt.GqlStatusObject) -> dict[str, Any]:
    return {
        "gqlStatus": given.gql_status,
        "statusDescription": given.status_description,
        "position": None if given.position is None else _position(given.position),
        "classification": given.classification.value,
        "rawClassification": given.raw_classification,
        "severity": given.severity.value,
        "rawSeverity": given.raw_severity,
        "diagnosticRecord": {name: cypher(item) for name, item in given.diagnostic_record.items()},
        "isNotification": given.is_notification,
    }


def _position(given: asyncbolt.SummaryInputPosition) -> dict[str, int]:
    return {"line": given.line, "column": given.column, "offset": given.offset}


# ------------------------------------------------------------------------------------------------ errors


def error(given: BaseException) -> dict[str, Any]:
    """Return an error of the driver."""
    retryable = getattr(given, "is_retryable", None)
    data: dict[str, Any] = {
        "errorType": _type_name(type(given)),
        "msg": _message(given),
        "retryable": retryable is not None and retryable(),
    }
    if isinstance(given, Neo4jError):
        data["code"] = given.code
    if isinstance(given, GqlError):
        data.update(_gql(given, _LONGEST_CHAIN))
    return data


def _type_name(kind: type[BaseException]) -> str:
    name = f"{_MODULES.get(kind.__module__, kind.__module__)}.{kind.__qualname__}"
    return f"<class '{_NAMES.get(name, name).removeprefix('builtins.')}'>"


def _message(given: BaseException) -> str:
    """Return the text of an error; behind it the causes that are no GQL errors and so have no other place."""
    if isinstance(given, GqlError) and not isinstance(given, DriverError):
        return given.message or ""
    lines = [str(given)]
    cause = given.__cause__
    while cause is not None and len(lines) <= _LONGEST_CHAIN:
        if isinstance(cause, GqlError) and not isinstance(given, ResultFailedError):
            break
        lines.append(f"caused by {cause!r}")
        cause = cause.__cause__
    return "\n".join(lines)


def _gql(given: GqlError, longest: int) -> dict[str, Any]:
    data: dict[str, Any] = {
        "gqlStatus": given.gql_status,
        "statusDescription": given.gql_status_description,
        "classification": given.gql_classification.value,
        "rawClassification": given.gql_raw_classification,
        "diagnosticRecord": {name: cypher(item) for name, item in given.diagnostic_record.items()},
    }
    cause = given.__cause__
    while cause is not None and not isinstance(cause, GqlError):
        cause = cause.__cause__
    if cause is not None and longest:
        data["cause"] = {"name": "GqlError", "data": {"msg": _message(cause), **_gql(cause, longest - 1)}}
    return data
