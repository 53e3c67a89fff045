"""Summaries of old and new servers, compared with those of the official driver."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import warnings
from typing import Any, get_type_hints

import neo4j
import pytest
from neo4j._exceptions import BoltProtocolError
from neo4j.addressing import Address

from asyncbolt.driver.eager import EagerResult
from asyncbolt.driver.notifications import (
    NotificationCategory,
    NotificationClassification,
    NotificationSeverity,
)
from asyncbolt.driver.record import Record
from asyncbolt.driver.summary import (
    GqlStatusObject,
    ResultSummary,
    SummaryCounters,
    SummaryInputPosition,
    SummaryNotification,
    SummaryNotificationPosition,
)
from asyncbolt.exceptions import RemoteProtocolError


class Server:
    def __init__(self, *version):
        self.protocol_version = version


def summary(metadata=None, *, version=(5, 8), had_key=True, had_record=True, **more):
    return ResultSummary(
        Server(*version), metadata or {}, query="RETURN 1", parameters={"x": 1},
        database=more.get("database"), had_key=had_key, had_record=had_record,
    )  # fmt: skip


DEFAULTS = {"OPERATION": "", "OPERATION_CODE": "0", "CURRENT_SCHEMA": "/"}


def off_the_wire(metadata):
    """What the official driver does to statuses as soon as they arrive."""
    statuses = metadata.get("statuses")
    for status in statuses if isinstance(statuses, list) else ():
        if isinstance(status, dict) and isinstance(status.setdefault("diagnostic_record", {}), dict):
            status["diagnostic_record"] = {**DEFAULTS, **status["diagnostic_record"]}
    return metadata


def official(metadata=None, *, version=(5, 8), had_key=True, had_record=True):
    metadata = off_the_wire(copy.deepcopy(metadata or {}))
    metadata.update(query="RETURN 1", parameters={"x": 1}, server=Server(*version))
    return neo4j.ResultSummary(Address(("localhost", 7687)), had_key, had_record, metadata)


def plain(value):
    """Objects of both sides as dicts that can be compared."""
    if isinstance(value, (GqlStatusObject, neo4j.GqlStatusObject)):
        names = (
            "is_notification", "gql_status", "status_description", "position", "raw_classification",
            "classification", "raw_severity", "severity", "diagnostic_record",
        )  # fmt: skip
        return {
            "str": str(value),
            "repr": repr(value),
            **{name: plain(getattr(value, name)) for name in names},
        }
    if dataclasses.is_dataclass(value):
        return {"str": str(value), **{key: plain(item) for key, item in vars(value).items()}}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def compare(metadata, **options):
    ours, theirs = summary(metadata, **options), official(metadata, **options)
    names = (
        "database", "query", "parameters", "query_type", "plan", "profile", "result_available_after",
        "result_consumed_after", "notifications", "summary_notifications", "gql_status_objects",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the official one; ours has none
        for name in names:
            assert plain(getattr(ours, name)) == plain(getattr(theirs, name)), name
    return ours


# ------------------------------------------------------------------------------------------------- the basics


def test_an_empty_answer():
    made = compare({})
    assert made.query == "RETURN 1" and made.parameters == {"x": 1} and made.metadata == {}
    assert made.server.protocol_version == (5, 8)
    assert made.database is made.query_type is made.plan is made.profile is made.notifications is None
    assert made.result_available_after is made.result_consumed_after is None


@pytest.mark.parametrize("kind", ["r", "w", "rw", "s"])
def test_query_type(kind):
    assert compare({"type": kind}).query_type == kind


@pytest.mark.parametrize("kind", ["wr", "", 5, ["r"], {}])
def test_unknown_query_type(kind):
    with pytest.raises((BoltProtocolError, TypeError)):
        official({"type": kind})
    made = summary({"type": kind, "db": "apple"})
    assert made.database == "apple"  # the rest can be read
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="unknown type"):
            made.query_type  # noqa: B018


def test_database():
    assert compare({"db": "apple"}).database == "apple"
    assert summary({}, database="pear").database == "pear"
    assert summary({"db": "apple"}, database="pear").database == "apple"


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0), (4, 4), (6, 1)])
def test_times(version):
    metadata = {"t_first": 1, "t_last": 2, "result_available_after": 3, "result_consumed_after": 4}
    made = compare(metadata, version=version)
    expected = (3, 4) if version[0] < 3 else (1, 2)
    assert (made.result_available_after, made.result_consumed_after) == expected


def test_plan_and_profile():
    plan = {
        "operatorType": "ProduceResults@neo4j",
        "args": {"planner": "COST"},
        "children": [],
        "identifiers": ["n"],
    }
    profile = {**plan, "dbHits": 1, "rows": 1}
    made = compare({"plan": plan, "profile": profile})
    assert made.plan == plan and made.profile == profile


def test_nothing_is_worked_out_early_and_nothing_twice():
    made = summary({"statuses": [{"gql_status": "00000"}], "stats": {"nodes-created": 1}})
    assert set(vars(made)) == {
        "server", "metadata", "query", "parameters", "_database", "_had_key", "_had_record",
    }  # fmt: skip
    assert made.counters is made.counters and made.gql_status_objects is made.gql_status_objects
    assert made.summary_notifications is made.summary_notifications


def test_attributes_can_be_set():
    made = summary({})
    made.notifications = [{"title": "t"}]
    made.database = "x"
    assert made.database == "x" and made.summary_notifications[0].title == "t"


def test_no_attribute_of_the_official_one_is_missing():
    ours = {name for name in dir(summary({})) if not name.startswith("_")}
    theirs = {*dir(neo4j.ResultSummary), *inspect.get_annotations(neo4j.ResultSummary)}
    assert {name for name in theirs if not name.startswith("_")} <= ours


# --------------------------------------------------------------------------------------------------- counters

COUNTERS = [
    "nodes-created", "nodes-deleted", "relationships-created", "relationships-deleted", "properties-set",
    "labels-added", "labels-removed", "indexes-added", "indexes-removed", "constraints-added",
    "constraints-removed", "system-updates",
]  # fmt: skip
STATISTICS = [
    {},
    {key: 1001 + place for place, key in enumerate(COUNTERS)},
    *[{key: 1234} for key in COUNTERS],
    *[{key: 0} for key in COUNTERS[:2]],
    {"contains-updates": True},
    {"contains-system-updates": True},
    {"nodes-created": 1234, "contains-updates": False},
    {"system-updates": 1234, "contains-system-updates": False},
    {"nodes-created": 2, "something-new": 5},
]


@pytest.mark.parametrize("statistics", STATISTICS, ids=str)
def test_counters(statistics):
    ours = summary({"stats": statistics}).counters
    theirs = official({"stats": statistics}).counters
    for name in [*(key.replace("-", "_") for key in COUNTERS), "contains_updates", "contains_system_updates"]:
        assert getattr(ours, name) == getattr(theirs, name), name
        assert type(getattr(ours, name)) is type(getattr(theirs, name)), name
    assert set(str(ours)[16:-1].split(", ")) == set(str(theirs)[16:-1].split(", "))
    assert str(ours).startswith("SummaryCounters{")


def test_counters_without_statistics():
    assert not summary({}).counters.contains_updates and summary({"stats": None}).counters.nodes_created == 0
    assert repr(SummaryCounters({"nodes-created": 2, "new": 1})) == "SummaryCounters({'nodes-created': 2})"


# ------------------------------------------------------------------------------------------------ old servers


def notification(**changes):
    made = {
        "severity": "WARNING",
        "category": "HINT",
        "description": "Two patterns that do not touch",
        "code": "Neo.ClientNotification.Statement.CartesianProduct",
        "position": {"column": 9, "offset": 8, "line": 1},
        "title": "A cartesian product",
    }
    made.update(changes)
    return {key: value for key, value in made.items() if value is not ...}


NOTIFICATIONS: dict[str, Any] = {
    "none": ...,
    "empty": [],
    "warning": [notification()],
    "information": [notification(severity="INFORMATION")],
    "unknown severity": [notification(severity="FOOBAR")],
    "unknown category": [notification(category="FOOBAR")],
    "several": [notification(severity=word) for word in ("WARNING", "INFORMATION", "WARNING", "OTHER")],
    "no list": {"a": 1},
    "null": None,
    "not a map": [5, None, notification()],
    "empty map": [{}],
    "unknown entry": [notification(extra=[1])],
}
for _key in ("severity", "category", "description", "code", "position", "title"):
    NOTIFICATIONS[f"without {_key}"] = [notification(**{_key: ...})]
    NOTIFICATIONS[f"null for {_key}"] = [notification(**{_key: None})]
    NOTIFICATIONS[f"number for {_key}"] = [notification(**{_key: 5})]
    NOTIFICATIONS[f"empty {_key}"] = [notification(**{_key: ""})]
NOTIFICATIONS["information without description"] = [notification(severity="INFORMATION", description=...)]
NOTIFICATIONS["position without line"] = [notification(position={"column": 9, "offset": 8})]
NOTIFICATIONS["position with a bool"] = [notification(position={"column": 9, "offset": 8, "line": True})]
NOTIFICATIONS["position with a float"] = [notification(position={"column": 9, "offset": 8.0, "line": 1})]


@pytest.mark.parametrize(
    ("had_key", "had_record"),
    [(True, True), (True, False), (False, False)],
    ids=["success", "no data", "omitted"],
)
@pytest.mark.parametrize("sent", NOTIFICATIONS.values(), ids=list(NOTIFICATIONS))
def test_notifications_of_old_servers(sent, had_key, had_record):
    metadata = {} if sent is ... else {"notifications": sent}
    compare(metadata, version=(4, 4), had_key=had_key, had_record=had_record)


@pytest.mark.parametrize(
    ("had_key", "had_record", "expected"),
    [
        (True, True, ["01N42", "01N42", "00000", "03N42"]),
        (True, False, ["02000", "01N42", "01N42", "03N42"]),
        (False, False, ["01N42", "01N42", "00001", "03N42"]),
    ],
)
def test_the_order_of_statuses(had_key, had_record, expected):
    sent = [notification(severity="INFORMATION"), notification(title="first"), notification(title="second")]
    made = summary({"notifications": sent}, version=(4, 4), had_key=had_key, had_record=had_record)
    assert [status.gql_status for status in made.gql_status_objects] == expected
    outcome = [status for status in made.gql_status_objects if not status.is_notification]
    assert len(outcome) == 1 and outcome[0].diagnostic_record == DEFAULTS


def test_an_old_notification_in_full():
    made = summary({"notifications": [notification()]}, version=(4, 4))
    (one,) = made.summary_notifications
    assert one == SummaryNotification(
        title="A cartesian product",
        code="Neo.ClientNotification.Statement.CartesianProduct",
        description="Two patterns that do not touch",
        severity_level=NotificationSeverity.WARNING,
        category=NotificationCategory.HINT,
        raw_severity_level="WARNING",
        raw_category="HINT",
        position=SummaryInputPosition(line=1, column=9, offset=8),
    )
    status = made.gql_status_objects[0]
    assert status.classification is NotificationClassification.HINT and status.is_notification
    assert status.severity is NotificationSeverity.WARNING and status.position == one.position
    assert status.diagnostic_record == {
        **DEFAULTS, "_severity": "WARNING", "_classification": "HINT",
        "_position": notification()["position"],
    }  # fmt: skip
    assert SummaryNotificationPosition is SummaryInputPosition


# ------------------------------------------------------------------------------------------------ new servers


def status(gql_status="01N00", i=1, record=None, **changes):
    made = {
        "gql_status": gql_status,
        "status_description": f"warn: something {i}",
        "description": f"Something {i}",
        "neo4j_code": f"Neo.ClientNotification.Statement.Thing{i}",
        "title": f"Thing {i}",
        "diagnostic_record": {
            "OPERATION": "OP",
            "OPERATION_CODE": "42",
            "CURRENT_SCHEMA": "/foo",
            "_status_parameters": {"action": [1]},
            "_severity": "WARNING",
            "_classification": "GENERIC",
            "_position": {"column": 9, "offset": 8, "line": i},
        },
    }
    made.update(changes)
    if isinstance(made["diagnostic_record"], dict):
        made["diagnostic_record"].update(record or {})
        made["diagnostic_record"] = {k: v for k, v in made["diagnostic_record"].items() if v is not ...}
    return {key: value for key, value in made.items() if value is not ...}


SUCCESS = {"gql_status": "00000", "status_description": "note: successful completion"}
NO_DATA = {"gql_status": "02000", "status_description": "note: no data"}
STATUSES: dict[str, Any] = {
    "empty": [],
    "success": [SUCCESS],
    "full": [status(), SUCCESS],
    "order is kept": [status("03N01", 1), SUCCESS, NO_DATA, status("01N01", 2), status("03N03", 3)],
    "unknown words": [status(record={"_severity": "ANY", "_classification": "ANY", "_new": 5})],
    "no list": {"a": 1},
    "null": None,
    "not a map": [5, None, status()],
    "empty map": [{}],
    "without record": [status(diagnostic_record=...)],
    "null for record": [status(diagnostic_record=None)],
    "list for record": [status(diagnostic_record=[1])],
    "unknown status": [status("99XYZ")],
}
for _key in ("gql_status", "status_description", "neo4j_code", "title"):
    STATUSES[f"without {_key}"] = [status(**{_key: ...})]
    STATUSES[f"null for {_key}"] = [status(**{_key: None})]
    STATUSES[f"number for {_key}"] = [status(**{_key: 5})]
    STATUSES[f"empty {_key}"] = [status(**{_key: ""})]
for _key in (*DEFAULTS, "_status_parameters", "_severity", "_classification", "_position"):
    STATUSES[f"record without {_key}"] = [status(record={_key: ...})]
    STATUSES[f"record with null for {_key}"] = [status(record={_key: None})]
    STATUSES[f"record with a list for {_key}"] = [status(record={_key: [1, None]})]


@pytest.mark.parametrize("had_record", [True, False])
@pytest.mark.parametrize("sent", STATUSES.values(), ids=list(STATUSES))
def test_statuses_of_new_servers(sent, had_record):
    compare({"statuses": sent}, had_record=had_record)


def test_both_forms_in_one_answer():
    made = compare({"statuses": [status("01N07"), SUCCESS], "notifications": [notification()]})
    assert [one.gql_status for one in made.gql_status_objects] == ["01N07", "00000"]
    assert made.notifications == [notification()]


def test_the_description_of_a_status_of_bolt_5_5():
    made = summary({"statuses": [status(description=...)]}, version=(5, 5))
    assert made.notifications[0]["description"] == "warn: something 1"
    assert made.summary_notifications[0].description == "warn: something 1"


def test_what_is_given_out_is_not_the_server_s():
    sent = [status()]
    made = summary({"statuses": sent})
    first = made.gql_status_objects[0].diagnostic_record
    first["_status_parameters"]["action"].append(2)
    first["OPERATION"] = "changed"
    assert sent == [status()] and made.gql_status_objects[0].raw_severity == "WARNING"
    outcome = summary({}).gql_status_objects[0]
    outcome.diagnostic_record["OPERATION"] = "changed"
    assert summary({}).gql_status_objects[0].diagnostic_record == DEFAULTS


def test_no_warning_of_ours():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = summary({"statuses": [status()]})
        assert made.notifications and made.summary_notifications and made.gql_status_objects


# ------------------------------------------------------------------------------------------------------ eager


def test_eager_result_as_the_official_one():
    assert EagerResult._fields == neo4j.EagerResult._fields
    made = EagerResult([Record({"a": 1})], summary(), ["a"])
    records, end, keys = made
    assert made.records is records and made.summary is end and made.keys is keys
    assert get_type_hints(EagerResult)["records"] == list[Record]
