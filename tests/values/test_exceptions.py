from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from asyncbolt import exceptions
from asyncbolt.exceptions import (
    AuthError,
    BoltError,
    ClientError,
    ConstraintError,
    CypherSyntaxError,
    CypherTypeError,
    DatabaseError,
    DatabaseUnavailable,
    DriverError,
    Forbidden,
    ForbiddenOnReadOnlyDatabase,
    GqlError,
    GqlErrorClassification,
    IncompleteCommit,
    Neo4jError,
    NotALeader,
    PackError,
    ResultError,
    ServerFailedError,
    ServiceUnavailable,
    SessionError,
    SessionExpired,
    TokenExpired,
    TransactionError,
    TransientError,
    UnpackError,
    format_path,
    pack_error,
)

CLASSES = [getattr(exceptions, name) for name in exceptions.__all__]
ERRORS = [cls for cls in CLASSES if issubclass(cls, Exception)]
SERVER_ERRORS = [cls for cls in ERRORS if issubclass(cls, Neo4jError)]

UNKNOWN = "Neo.DatabaseError.General.UnknownError"
DEFAULTS = {"OPERATION": "", "OPERATION_CODE": "0", "CURRENT_SCHEMA": "/"}


# The tree


def test_the_tree_is_the_one_that_is_drawn():
    drawn = {}
    parents = []
    for line in exceptions.__doc__.splitlines():
        found = re.match(r"^    ([|` -]*)(\w+)(?: |$)", line)
        if found is None or not hasattr(exceptions, found[2]):
            continue
        depth = len(found[1]) // 4
        parents[depth:] = [found[2]]
        drawn[found[2]] = parents[depth - 1] if depth else "Exception"
    real = {
        cls.__name__: next(base.__name__ for base in cls.__mro__[1:] if not base.__name__.startswith("_"))
        for cls in ERRORS
    }
    assert drawn == real


def test_every_class_is_public_and_named_once():
    defined = {
        name
        for name, value in vars(exceptions).items()
        if inspect.isclass(value) and value.__module__ == exceptions.__name__ and not name.startswith("_")
    }
    assert defined == set(exceptions.__all__)
    assert len(exceptions.__all__) == len(set(exceptions.__all__))
    assert ServerFailedError is Neo4jError
    assert all(issubclass(cls, BoltError) for cls in ERRORS)
    assert not {cls.__name__ for cls in ERRORS} & set(dir(__import__("builtins")))


def test_the_tree_of_the_official_driver():
    theirs = pytest.importorskip("neo4j.exceptions")
    for name in theirs.__all__:
        their, ours = getattr(theirs, name), getattr(exceptions, name)
        bases = {base.__name__ for base in their.__mro__}
        assert bases <= {base.__name__ for base in ours.__mro__}, name
        public = {attribute for attribute in dir(their) if not attribute.startswith("_")}
        assert public <= set(dir(ours)), name


# From a FAILURE: to 5.6


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        ("Neo.ClientError.Statement.SyntaxError", CypherSyntaxError),
        ("Neo.ClientError.Statement.InvalidSyntax", CypherSyntaxError),
        ("Neo.ClientError.Statement.TypeError", CypherTypeError),
        ("Neo.ClientError.Procedure.TypeError", CypherTypeError),
        ("Neo.ClientError.Schema.ConstraintValidationFailed", ConstraintError),
        ("Neo.ClientError.Statement.ConstraintVerificationFailed", ConstraintError),
        ("Neo.ClientError.Security.Unauthorized", AuthError),
        ("Neo.ClientError.Security.TokenExpired", TokenExpired),
        ("Neo.ClientError.Security.Forbidden", Forbidden),
        ("Neo.ClientError.General.ReadOnly", Forbidden),
        ("Neo.ClientError.General.ForbiddenOnReadOnlyDatabase", ForbiddenOnReadOnlyDatabase),
        ("Neo.ClientError.Cluster.NotALeader", NotALeader),
        ("Neo.ClientError.Statement.ArithmeticError", ClientError),
        ("Neo.TransientError.General.DatabaseUnavailable", DatabaseUnavailable),
        ("Neo.TransientError.Transaction.DeadlockDetected", TransientError),
        ("Neo.ClientError.Security.AuthorizationExpired", TransientError),
        ("Neo.TransientError.Transaction.Terminated", ClientError),
        ("Neo.TransientError.Transaction.LockClientStopped", ClientError),
        ("Neo.DatabaseError.Statement.ExecutionFailed", DatabaseError),
        ("Neo.Strange.New.Thing", Neo4jError),
        ("Memgraph.ClientError.MemgraphError.MemgraphError", ClientError),
        ("nonsense", DatabaseError),
        ("", DatabaseError),
        (None, DatabaseError),
        (5, DatabaseError),
    ],
)
@pytest.mark.parametrize("key", ["code", "neo4j_code"])
def test_the_class_follows_the_code(code, cls, key):
    error = Neo4jError.from_failure({key: code, "message": "m"})
    assert type(error) is cls
    assert error.is_retryable() is issubclass(cls, TransientError)
    assert error.message == "m"


def test_the_class_is_that_of_the_official_driver():
    theirs = pytest.importorskip("neo4j.exceptions")
    codes = [
        *theirs._client_errors,
        *theirs._transient_errors,
        *theirs._ERROR_REWRITE_MAP,
        UNKNOWN,
        "a.b.c.d",
        "x",
    ]
    for code in codes:
        their = theirs.Neo4jError._hydrate_neo4j(code=code, message="m")
        ours = Neo4jError.from_failure({"code": code, "message": "m"})
        for name in ("code", "classification", "category", "title", "message", "gql_status"):
            assert getattr(ours, name) == getattr(their, name), (code, name)
        assert type(ours).__name__ == type(their).__name__
        assert ours.gql_status_description == their.gql_status_description
        assert ours.is_retryable() == their.is_retryable()


def test_old_failure():
    error = Neo4jError.from_failure(
        {"code": "Neo.ClientError.Statement.SyntaxError", "message": "Invalid input", "extra": 1}
    )
    assert error.code == "Neo.ClientError.Statement.SyntaxError"
    assert (error.classification, error.category, error.title) == ("ClientError", "Statement", "SyntaxError")
    assert error.gql_status == "50N42"
    assert error.gql_status_description.endswith(". Invalid input")
    assert error.diagnostic_record == DEFAULTS
    assert error.gql_raw_classification is None
    assert error.gql_classification is GqlErrorClassification.UNKNOWN
    assert error.metadata == {"extra": 1}
    assert error.__cause__ is None
    assert str(error) == "Neo.ClientError.Statement.SyntaxError: Invalid input"
    assert repr(error) == "CypherSyntaxError('Invalid input', code='Neo.ClientError.Statement.SyntaxError')"
    assert error.args == ("Invalid input",)


@pytest.mark.parametrize("message", [None, 5, ...])
def test_failure_without_a_message(message):
    metadata = {"code": "Neo.ClientError.Statement.SyntaxError", "message": message}
    if message is ...:
        del metadata["message"]
    error = Neo4jError.from_failure(metadata)
    assert type(error) is CypherSyntaxError
    assert error.message == "An unknown error occurred"


def test_failure_of_nothing():
    error = Neo4jError.from_failure({})
    assert type(error) is DatabaseError
    assert (error.code, error.message, error.gql_status) == (UNKNOWN, "An unknown error occurred", "50N42")


# From a FAILURE: 5.7 and on

NEW = {
    "neo4j_code": "Neo.ClientError.Statement.ArithmeticError",
    "message": "/ by zero",
    "gql_status": "22012",
    "description": "error: data exception - division by zero",
    "diagnostic_record": {"_classification": "CLIENT_ERROR", "OPERATION": "X", "_position": {"line": 1}},
    "cause": {
        "message": "22N03: bad number",
        "gql_status": "22N03",
        "description": "error: data exception - bad number",
        "cause": {"message": "deeper", "gql_status": "22N99", "description": "d"},
    },
    "other": True,
}


def test_new_failure():
    error = Neo4jError.from_failure(NEW)
    assert type(error) is ClientError
    assert (error.code, error.message) == ("Neo.ClientError.Statement.ArithmeticError", "/ by zero")
    assert (error.gql_status, error.gql_status_description) == (
        "22012",
        "error: data exception - division by zero",
    )
    assert error.diagnostic_record == {
        "OPERATION": "X",
        "OPERATION_CODE": "0",
        "CURRENT_SCHEMA": "/",
        "_classification": "CLIENT_ERROR",
        "_position": {"line": 1},
    }
    assert error.diagnostic_record["_position"] is not NEW["diagnostic_record"]["_position"]
    assert error.gql_raw_classification == "CLIENT_ERROR"
    assert error.gql_classification is GqlErrorClassification.CLIENT_ERROR == "CLIENT_ERROR"
    assert error.metadata == {"other": True}
    assert str(error) == "Neo.ClientError.Statement.ArithmeticError: / by zero (GQL 22012)"


def test_causes():
    error = Neo4jError.from_failure(NEW)
    cause = error.__cause__
    assert type(cause) is GqlError and not isinstance(cause, Neo4jError)
    assert (cause.message, cause.gql_status) == ("22N03: bad number", "22N03")
    assert cause.gql_status_description == "error: data exception - bad number"
    assert cause.diagnostic_record == DEFAULTS
    assert str(cause) == "22N03: bad number (GQL 22N03: error: data exception - bad number)"
    assert cause.__cause__.gql_status == "22N99" and cause.__cause__.__cause__ is None
    assert error.__suppress_context__
    assert error.find_by_gql_status("22012") is error
    assert error.find_by_gql_status("22N03") is cause
    assert error.find_by_gql_status("22N99") is cause.__cause__
    assert error.find_by_gql_status("99999") is None


def test_causes_are_found_behind_another_one():
    error = Neo4jError.from_failure(NEW)
    with pytest.raises(ClientError) as caught:
        try:
            raise OSError("first")
        except OSError as exc:
            raise error from exc
    assert isinstance(caught.value.__cause__, OSError)
    assert error.find_by_gql_status("22N99").message == "deeper"
    loop = GqlError("x")
    loop.__cause__ = error
    error.__cause__ = loop
    assert loop.find_by_gql_status("99999") is None


@pytest.mark.parametrize("key", ["gql_status", "description", "message"])
@pytest.mark.parametrize("value", [None, 5, ...])
def test_new_failure_with_something_missing(key, value):
    metadata = {**NEW, key: value}
    if value is ...:
        del metadata[key]
    error = Neo4jError.from_failure(metadata)
    assert error.gql_status == "50N42" and "unexpected error" in error.gql_status_description
    assert error.message == ("An unknown error occurred" if key == "message" else "/ by zero")
    assert error.code == NEW["neo4j_code"]


@pytest.mark.parametrize("record", [None, 5, [], "x"])
def test_new_failure_with_a_bad_record_or_cause(record):
    error = Neo4jError.from_failure({**NEW, "diagnostic_record": record, "cause": record})
    assert error.diagnostic_record == DEFAULTS and error.__cause__ is None
    assert (
        Neo4jError.from_failure({**NEW, "diagnostic_record": {"_classification": record}}).gql_classification
        is GqlErrorClassification.UNKNOWN
    )


def test_deep_causes():
    metadata = {"neo4j_code": UNKNOWN}
    for _ in range(100_000):
        metadata = {"neo4j_code": UNKNOWN, "message": "m", "cause": metadata}
    error = Neo4jError.from_failure(metadata)
    depth = 0
    while (error := error.__cause__) is not None:
        depth += 1
    assert depth == 100_000


# To a FAILURE


@pytest.mark.parametrize("version", [(1, 0), (3, 0), (4, 4), (5, 0), (5, 6)])
def test_to_an_old_failure(version):
    error = CypherSyntaxError("no", gql_status="42001", cause=GqlError("why"))
    assert error.to_failure(version) == {"code": "Neo.ClientError.Statement.SyntaxError", "message": "no"}


@pytest.mark.parametrize("version", [(5, 7), (5, 8), (6, 0), (6, 1)])
def test_to_a_new_failure(version):
    assert ClientError("no").to_failure(version) == {
        "neo4j_code": "Neo.ClientError.Request.Invalid",
        "message": "no",
        "gql_status": "50N42",
        "description": "error: general processing exception - unexpected error. no",
        "diagnostic_record": {"_classification": "CLIENT_ERROR"},
    }
    error = Neo4jError(
        "a",
        code="Neo.TransientError.A.B",
        gql_status="40000",
        description="d",
        diagnostic_record={"_severity": "X", "OPERATION": "", "OPERATION_CODE": "1"},
        cause=GqlError("b", gql_status="22000", cause=GqlError("c")),
    )
    assert error.__cause__.__cause__.message == "c"
    assert error.to_failure(version) == {
        "neo4j_code": "Neo.TransientError.A.B",
        "message": "a",
        "gql_status": "40000",
        "description": "d",
        "diagnostic_record": {"_classification": "TRANSIENT_ERROR", "_severity": "X", "OPERATION_CODE": "1"},
        "cause": {
            "message": "b",
            "gql_status": "22000",
            "description": "b",
            "cause": {
                "message": "c",
                "gql_status": "50N42",
                "description": "error: general processing exception - unexpected error. c",
            },
        },
    }


def test_what_came_in_goes_out():
    passed_on = Neo4jError.from_failure(NEW).to_failure((5, 8))
    assert passed_on == {key: value for key, value in NEW.items() if key != "other"}
    old = {"code": "Neo.ClientError.Statement.SyntaxError", "message": "x"}
    assert Neo4jError.from_failure(old).to_failure((4, 4)) == old


def test_to_failure_with_a_loop_of_causes():
    first, second = GqlError("a"), GqlError("b")
    first._gql_cause, second._gql_cause = second, first
    failure = ClientError("x", cause=first).to_failure()
    assert failure["cause"]["cause"]["message"] == "b" and "cause" not in failure["cause"]["cause"]


@pytest.mark.parametrize("cls", SERVER_ERRORS)
@pytest.mark.parametrize("version", [(4, 4), (5, 8)])
def test_a_server_says_what_a_client_gets(cls, version):
    error = cls("what happened")
    again = Neo4jError.from_failure(error.to_failure(version))
    assert type(again) is (DatabaseError if cls is Neo4jError else cls)
    assert (again.message, again.code) == ("what happened", error.code)
    assert again.is_retryable() == error.is_retryable()
    assert str(error) == "what happened"


# Constructors


def test_server_error_by_hand():
    error = AuthError("no", 5)
    assert error.args == ("no", 5) and error.message == "no"
    assert error.code == "Neo.ClientError.Security.Unauthorized"
    assert (error.classification, error.category, error.title) == ("ClientError", "Security", "Unauthorized")
    assert Neo4jError().code == UNKNOWN and Neo4jError().message == "An unknown error occurred"
    assert (
        Neo4jError("x", code="odd").code == "odd"
        and Neo4jError("x", code="odd").classification == "DatabaseError"
    )
    assert ClientError("x").gql_raw_classification == "CLIENT_ERROR"
    assert TransientError("x").is_retryable() and not ClientError("x").is_retryable()
    assert ClientError("x").metadata == {}


def test_driver_errors():
    error = DriverError("text")
    assert str(error) == error.message == "text" and not error.is_retryable()
    assert error.gql_status == "50N42" and error.diagnostic_record == DEFAULTS
    for cls in (ServiceUnavailable, SessionExpired):
        assert cls("x").is_retryable() and cls("x").may_have_run is None
        assert cls("x", may_have_run=False).may_have_run is False
        assert (cls("x").gql_status, cls("x").gql_status_description) == (
            "08000",
            "error: connection exception. x",
        )
        assert cls().gql_status_description == "error: connection exception"
    lost = IncompleteCommit("x")
    assert lost.may_have_run is True and not lost.is_retryable() and lost.gql_status == "08007"
    assert "unknown" in lost.gql_status_description
    for cls, name in ((SessionError, "session"), (TransactionError, "transaction"), (ResultError, "result")):
        thing = object()
        assert getattr(cls(thing, "x"), name) is thing and str(cls(thing, "x")) == "x"


# Copies


def made(cls):
    if issubclass(cls, (SessionError, TransactionError, ResultError)):
        return cls(object(), "text")
    if issubclass(cls, Neo4jError):
        return cls("text", gql_status="22000", cause=GqlError("why", gql_status="22N01"))
    if issubclass(cls, PackError):
        return cls("text", ("a", 1), "$")
    if issubclass(cls, UnpackError):
        return cls("text", 7)
    if issubclass(cls, (ServiceUnavailable, SessionExpired)):
        return cls("text", may_have_run=True)
    return cls("text")


def is_same(one, other):
    assert type(one) is type(other) and one is not other
    assert str(one) == str(other) and repr(one) == repr(other) and one.args == other.args
    for name in ("code", "gql_status", "message", "path", "reason", "root", "offset", "may_have_run"):
        assert getattr(one, name, None) == getattr(other, name, None)
    assert (one.__cause__ is None) == (other.__cause__ is None)
    if one.__cause__ is not None:
        assert str(one.__cause__) == str(other.__cause__)
        assert one.find_by_gql_status("22N01") is not None
    assert one.__suppress_context__ == other.__suppress_context__


@pytest.mark.parametrize("cls", ERRORS)
def test_copies_and_pickles(cls):
    error = made(cls)
    error.note = "kept"
    for again in (
        copy.copy(error),
        copy.deepcopy(error),
        *(pickle.loads(pickle.dumps(error, n)) for n in range(5)),
    ):
        is_same(again, error)
        assert again.note == "kept"


def test_copies_of_a_failure():
    failed = Neo4jError.from_failure(NEW)
    for again in (copy.copy(failed), copy.deepcopy(failed), pickle.loads(pickle.dumps(failed))):
        assert again.to_failure() == failed.to_failure() and again.metadata == failed.metadata
        assert again.__cause__.__cause__.gql_status == "22N99"
        assert again.find_by_gql_status("22N99") is again.__cause__.__cause__


def test_living_things_stay_out_of_pickles():
    class Session:
        def __reduce__(self):
            raise TypeError("a session cannot be pickled")

    error = SessionError(Session(), "x")
    assert pickle.loads(pickle.dumps(error)).session is None
    assert copy.copy(error).session is error.session


def test_a_copy_keeps_where_it_comes_from():
    try:
        try:
            raise KeyError("inner")
        except KeyError:
            raise ServiceUnavailable("x") from OSError("why")
    except ServiceUnavailable as exc:
        error = exc
    again = copy.copy(error)
    assert again.__traceback__ is error.__traceback__
    assert again.__cause__ is error.__cause__ and again.__context__ is error.__context__
    assert pickle.loads(pickle.dumps(error)).__cause__ is None


# The codec's


@pytest.mark.parametrize(
    ("path", "root", "text"),
    [
        (("rows", 3, "when"), "$", "$rows[3].when"),
        ((3, "when"), "value", "value[3].when"),
        (("rows",), "value", "value.rows"),
        ((), "value", "value"),
        ((), "$", "$"),
        (("odd key", 0), "$", "$['odd key'][0]"),
        (("",), "value", "value['']"),
        (("größe", "1st"), "$", "$größe['1st']"),
        ((0, 1), "row", "row[0][1]"),
    ],
)
def test_paths(path, root, text):
    assert format_path(path, root) == text
    error = pack_error("it is wrong", path, root)
    assert type(error) is PackError and isinstance(error, ValueError)
    assert (error.reason, error.path, error.root) == ("it is wrong", path, root)
    assert str(error) == f"{text}: it is wrong"


def test_long_keys_are_cut():
    for key in ("x y" * 1000, "x" * 1000):
        text = format_path((key, 1), "$")
        assert len(text) < 80 and text.endswith("...][1]")
    assert format_path(("x" * 60,), "$") == "$" + "x" * 60


def test_pack_error_by_itself():
    error = PackError("no")
    assert (error.path, error.root, str(error)) == ((), "value", "value: no")
    assert PackError("no", ["a", 1]).path == ("a", 1)


def test_unpack_error():
    error = UnpackError("odd marker", 17)
    assert (error.reason, error.offset) == ("odd marker", 17)
    assert str(error) == "odd marker (at byte 17 of the message)"
    assert isinstance(error, ValueError)
