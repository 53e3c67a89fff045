"""The enums of notifications, their values compared with the official ones, and the warnings."""

from __future__ import annotations

import pickle
import warnings

import neo4j
import neo4j._api
import neo4j.warnings
import pytest
from neo4j._debug import NotificationPrinter

import asyncbolt.warnings
from asyncbolt.driver import constants, notifications
from asyncbolt.driver.notifications import (
    Neo4jDeprecationWarning,
    Neo4jWarning,
    NotificationMinimumSeverity,
    PreviewWarning,
    notification_text,
    warning_for,
)
from asyncbolt.driver.summary import GqlStatusObject

ENUMS = [
    "NotificationCategory",
    "NotificationClassification",
    "NotificationDisabledCategory",
    "NotificationDisabledClassification",
    "NotificationMinimumSeverity",
    "NotificationSeverity",
    "RoutingControl",
    "TelemetryAPI",
]


@pytest.mark.parametrize("name", ENUMS)
def test_enums_as_the_official_ones(name):
    ours, theirs = getattr(notifications, name), getattr(neo4j._api, name)
    assert [(one.name, one.value) for one in ours] == [(one.name, one.value) for one in theirs]
    assert all(one == one.value for one in ours)
    assert ours.__mro__[1] is theirs.__mro__[1]
    assert all(pickle.loads(pickle.dumps(one)) is one for one in ours)


def test_there_is_one_routing_control():
    assert notifications.RoutingControl is constants.RoutingControl


def status(*, code="Neo.ClientNotification.Statement.X", record=None, gql_status="01N00"):
    return {
        "gql_status": gql_status,
        "status_description": "warn: something",
        "neo4j_code": code,
        "diagnostic_record": {"_severity": "WARNING", "_classification": "DEPRECATION", **(record or {})},
    }


def both(position=None, **parts):
    record = {} if position is None else {"_position": position}
    metadata = status(record=record, **parts)
    return GqlStatusObject._from_status(metadata), neo4j.GqlStatusObject._from_status_metadata(metadata)


QUERY = "MATCH (n)\n  RETURN id(n)\nLIMIT 5"


@pytest.mark.parametrize("one_line", [False, True])
@pytest.mark.parametrize("query", [None, "", "RETURN 1", QUERY])
@pytest.mark.parametrize(
    "position",
    [
        None, {"line": 2, "column": 10, "offset": 19}, {"line": 1, "column": 1, "offset": 0},
        {"line": 3, "column": 40, "offset": 5}, {"line": 0, "column": 1, "offset": 0},
        {"line": 9, "column": 1, "offset": 0}, {"line": 1, "column": 0, "offset": 0},
    ],
    ids=str,
)  # fmt: skip
def test_text_as_the_official_one(position, query, one_line):
    ours, theirs = both(position)
    # The official one fills in the diagnostic record elsewhere, when it comes off the wire.
    theirs._status_metadata["diagnostic_record"].update(ours.diagnostic_record)
    theirs._diagnostic_record = ours.diagnostic_record
    assert notification_text(ours, query, one_line=one_line).rstrip("\n") == str(
        NotificationPrinter(theirs, query, one_line=one_line)
    ).rstrip("\n")


def test_the_caret_stands_below_the_place_behind_tabs_too():
    ours, _ = both({"line": 1, "column": 3, "offset": 2})
    assert notification_text(ours, "\t\tid(n)\nx").split("\n")[1:] == ["\t\tid(n)", "\t\t^", "x"]


WARNED = {
    (None, "WARNING"): False,
    ("OFF", "WARNING"): False,
    ("WARNING", "WARNING"): True,
    ("WARNING", "INFORMATION"): False,
    ("INFORMATION", "WARNING"): True,
    ("INFORMATION", "INFORMATION"): True,
    ("INFORMATION", "ANYTHING"): False,
    ("INFORMATION", None): False,
}


@pytest.mark.parametrize("enum", [False, True])
@pytest.mark.parametrize(("asked", "severity"), WARNED)
def test_what_is_warned_of(asked, severity, enum):
    ours, _ = both()
    ours._status["diagnostic_record"]["_severity"] = severity
    wanted = NotificationMinimumSeverity(asked) if enum and asked is not None else asked
    assert (warning_for(ours, wanted) is not None) is WARNED[asked, severity]


def test_a_status_that_is_no_notification_is_not_warned_of():
    ours, _ = both(code="")
    assert warning_for(ours, "INFORMATION") is None


def test_deprecations_have_a_class_of_their_own():
    ours, _ = both({"line": 1, "column": 8, "offset": 7})
    warning = warning_for(ours, "WARNING", "RETURN id(n)")
    assert type(warning) is Neo4jDeprecationWarning and warning.notification is ours
    assert str(warning).endswith("for query:\nRETURN id(n)\n       ^")
    ours, _ = both()
    ours._status["diagnostic_record"]["_classification"] = "HINT"
    warning = warning_for(ours, "WARNING", "RETURN id(n)")
    assert type(warning) is Neo4jWarning and str(warning).endswith("for query:\nRETURN id(n)")


def test_an_unknown_severity_to_warn_of():
    ours, _ = both()
    with pytest.raises(ValueError, match="LOUD"):
        warning_for(ours, "LOUD")


def test_warnings_are_filtered_as_their_classes_say():
    assert issubclass(Neo4jDeprecationWarning, (Neo4jWarning, DeprecationWarning))
    ours, _ = both()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", Neo4jWarning)
        warnings.warn(Neo4jDeprecationWarning(ours, "RETURN 1"), stacklevel=1)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.warn(Neo4jDeprecationWarning(ours, "RETURN 1"), stacklevel=1)
    assert len(caught) == 1 and caught[0].message.notification is ours


def test_the_module_of_warnings_has_the_official_names():
    assert sorted(asyncbolt.warnings.__all__) == sorted(neo4j.warnings.__all__)
    assert asyncbolt.warnings.PreviewWarning is PreviewWarning and issubclass(PreviewWarning, Warning)
    for name in asyncbolt.warnings.__all__:
        ours, theirs = getattr(asyncbolt.warnings, name), getattr(neo4j.warnings, name)
        assert [base.__name__ for base in ours.__mro__] == [base.__name__ for base in theirs.__mro__]
