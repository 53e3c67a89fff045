"""Every exception that asyncbolt raises on purpose.

The names below GqlError are those of the official Neo4j driver, with its fields and meaning::

    BoltError
    |-- GqlError
    |   |-- Neo4jError (= ServerFailedError)        a server's FAILURE
    |   |   |-- ClientError
    |   |   |   |-- CypherSyntaxError
    |   |   |   |-- CypherTypeError
    |   |   |   |-- ConstraintError
    |   |   |   |-- AuthError
    |   |   |   |   `-- TokenExpired
    |   |   |   `-- Forbidden
    |   |   |-- DatabaseError
    |   |   `-- TransientError
    |   |       |-- DatabaseUnavailable
    |   |       |-- NotALeader
    |   |       `-- ForbiddenOnReadOnlyDatabase
    |   `-- DriverError                             what the client noticed by itself
    |       |-- SessionError
    |       |-- TransactionError
    |       |   `-- TransactionNestingError
    |       |-- ResultError
    |       |   |-- ResultFailedError
    |       |   |-- ResultConsumedError
    |       |   `-- ResultNotSingleError
    |       |-- BrokenRecordError
    |       |-- SessionExpired
    |       |-- ServiceUnavailable
    |       |   |-- RoutingServiceUnavailable
    |       |   |-- WriteServiceUnavailable
    |       |   |-- ReadServiceUnavailable
    |       |   |-- UntrustedCertificate            (not in the official driver)
    |       |   `-- IncompleteCommit
    |       |-- ConfigurationError
    |       |   |-- AuthConfigurationError
    |       |   |-- CertificateConfigurationError
    |       |   `-- UnsupportedServerProduct
    |       |-- ConnectionPoolError
    |       |   `-- ConnectionAcquisitionTimeoutError
    |       `-- LeaseExpired                        (not in the official driver)
    |-- ServerIgnoredError                          a request that the server skipped
    |-- PackError (also ValueError)                 a value that Bolt cannot carry
    |-- UnpackError (also ValueError)               bytes that are no PackStream
    |-- LocalProtocolError                          this side broke the protocol
    |-- RemoteProtocolError                         the peer broke it
    `-- HandshakeError                              no Bolt version was agreed
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

from ._constants import NEWEST, Version

__all__ = [
    "AuthConfigurationError",
    "AuthError",
    "BoltError",
    "BrokenRecordError",
    "CertificateConfigurationError",
    "ClientError",
    "ConfigurationError",
    "ConnectionAcquisitionTimeoutError",
    "ConnectionPoolError",
    "ConstraintError",
    "CypherSyntaxError",
    "CypherTypeError",
    "DatabaseError",
    "DatabaseUnavailable",
    "DriverError",
    "Forbidden",
    "ForbiddenOnReadOnlyDatabase",
    "GqlError",
    "GqlErrorClassification",
    "HandshakeError",
    "IncompleteCommit",
    "LeaseExpired",
    "LocalProtocolError",
    "Neo4jError",
    "NotALeader",
    "PackError",
    "ReadServiceUnavailable",
    "RemoteProtocolError",
    "ResultConsumedError",
    "ResultError",
    "ResultFailedError",
    "ResultNotSingleError",
    "RoutingServiceUnavailable",
    "ServerFailedError",
    "ServerIgnoredError",
    "ServiceUnavailable",
    "SessionError",
    "SessionExpired",
    "TokenExpired",
    "TransactionError",
    "TransactionNestingError",
    "TransientError",
    "UnpackError",
    "UnsupportedServerProduct",
    "UntrustedCertificate",
    "WriteServiceUnavailable",
]

_E = TypeVar("_E", bound="BoltError")

_UNKNOWN_CODE: Final = "Neo.DatabaseError.General.UnknownError"
_UNKNOWN_MESSAGE: Final = "An unknown error occurred"
_UNKNOWN_STATUS: Final = "50N42"
_UNKNOWN_DESCRIPTION: Final = "error: general processing exception - unexpected error"
_CONNECTION_EXCEPTION: Final = "error: connection exception"

# Bolt 5.7+: these three are left out on the wire when they have these values.
_DIAGNOSTIC_DEFAULTS: Final[dict[str, Any]] = {"OPERATION": "", "OPERATION_CODE": "0", "CURRENT_SCHEMA": "/"}

_GQL_FAILURES: Final[Version] = (5, 7)
"""The first Bolt version whose FAILURE carries GQL fields, and ``neo4j_code`` in place of ``code``."""


class BoltError(Exception):
    """Base of everything that asyncbolt raises on purpose."""

    # Attributes that hold living objects (sessions, results): a copy keeps them, a pickle cannot.
    _living: ClassVar[tuple[str, ...]] = ()

    def __copy__(self: _E) -> _E:
        twin = _bare(type(self), self.args)
        twin.__dict__.update(self.__dict__)
        twin.__traceback__ = self.__traceback__
        twin.__context__ = self.__context__
        if self.__cause__ is not None:
            twin.__cause__ = self.__cause__
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        state = {key: None if key in self._living else value for key, value in self.__dict__.items()}
        # A cause of our own family says what the server said; others may not be fit for a pickle.
        if isinstance(self.__cause__, BoltError):
            state["__cause__"] = self.__cause__
        return _bare, (type(self), self.args), state


def _bare(cls: type[_E], args: tuple[Any, ...]) -> _E:
    """An exception whose constructor has not run."""
    return cls.__new__(cls, *args)


class GqlErrorClassification(str, enum.Enum):
    """Who is to blame for an error, as the server puts it (Bolt 5.7+, ``_classification``)."""

    CLIENT_ERROR = "CLIENT_ERROR"
    DATABASE_ERROR = "DATABASE_ERROR"
    TRANSIENT_ERROR = "TRANSIENT_ERROR"
    UNKNOWN = "UNKNOWN"
    """The server named none, or one that is not known here."""


class GqlError(BoltError):
    """The GQL side of an error: a status and its description.

    Errors of this very class are the causes inside a server's FAILURE (Bolt 5.7+): see ``__cause__`` and
    :meth:`find_by_gql_status`. What the server did not send has the defaults of an unknown error.

    Args:
        args: What happened, for humans; the first one is the message.
        gql_status: A GQL status, five characters.
        description: What that status means; the message by default.
        diagnostic_record: Further facts about the status.
        cause: The error behind this one, also set as ``__cause__``.
    """

    _message: str = ""
    _gql_status: str = _UNKNOWN_STATUS
    _gql_description: str | None = None
    _record: Mapping[str, Any] | None = None
    _diagnostic_record: dict[str, Any] | None = None
    _gql_cause: GqlError | None = None

    def __init__(
        self,
        *args: object,
        gql_status: str | None = None,
        description: str | None = None,
        diagnostic_record: Mapping[str, Any] | None = None,
        cause: GqlError | None = None,
    ) -> None:
        super().__init__(*args)
        if args and isinstance(args[0], str):
            self._message = args[0]
        if gql_status is not None:
            self._gql_status = gql_status
            self._gql_description = self._message if description is None else description
        if diagnostic_record is not None:
            self._record = dict(diagnostic_record)
        self._set_cause(cause)

    @property
    def message(self) -> str:
        """What happened, for humans: the wording is not stable."""
        return self._message

    @property
    def gql_status(self) -> str:
        """The GQL status, five characters; ``50N42`` when the server gave none."""
        return self._gql_status

    @property
    def gql_status_description(self) -> str:
        """What the GQL status means, for humans."""
        if self._gql_description is None:
            return f"{_UNKNOWN_DESCRIPTION}. {self._message}" if self._message else _UNKNOWN_DESCRIPTION
        return self._gql_description

    @property
    def diagnostic_record(self) -> Mapping[str, Any]:
        """Further facts about the status; the three standard entries are always there."""
        if self._diagnostic_record is None:
            self._diagnostic_record = {**_DIAGNOSTIC_DEFAULTS, **copy.deepcopy(dict(self._record or {}))}
        return self._diagnostic_record

    @property
    def gql_raw_classification(self) -> str | None:
        """The classification in the server's own word, None when there is none."""
        word = (self._record or {}).get("_classification")
        return word if isinstance(word, str) else None

    @property
    def gql_classification(self) -> GqlErrorClassification:
        """The classification, ``UNKNOWN`` when there is none or a new one."""
        try:
            return GqlErrorClassification(self.gql_raw_classification)
        except ValueError:
            return GqlErrorClassification.UNKNOWN

    def find_by_gql_status(self, status: str) -> GqlError | None:
        """Return the first error with this GQL *status*: this one, or one among its causes.

        Causes that the server sent are found also when ``raise ... from`` has put another ``__cause__`` on
        top of them.
        """
        seen: set[int] = set()
        waiting: list[BaseException | None] = [self]
        while waiting:
            error = waiting.pop()
            if error is None or id(error) in seen:
                continue
            seen.add(id(error))
            waiting.append(error.__cause__)
            if isinstance(error, GqlError):
                if error.gql_status == status:
                    return error
                waiting.append(error._gql_cause)
        return None

    def __str__(self) -> str:
        return f"{self.message} (GQL {self.gql_status}: {self.gql_status_description})"

    def _set_cause(self, cause: GqlError | None) -> None:
        self._gql_cause = cause
        if cause is not None:
            self.__cause__ = cause

    def _take_gql(self, metadata: Mapping[str, Any]) -> None:
        """Take the GQL fields of a FAILURE, or of a cause in it. A message that is there is kept."""
        message, status, description, record = (
            metadata.get(key) for key in ("message", "gql_status", "description", "diagnostic_record")
        )
        self._message = message if isinstance(message, str) else _UNKNOWN_MESSAGE
        if isinstance(message, str) and isinstance(status, str) and isinstance(description, str):
            self._gql_status = status
            self._gql_description = description
        if isinstance(record, Mapping):
            self._record = dict(record)

    def _gql_fields(self) -> dict[str, Any]:
        """The GQL fields as a FAILURE of Bolt 5.7+ has them, without causes."""
        fields: dict[str, Any] = {
            "message": self.message,
            "gql_status": self.gql_status,
            "description": self.gql_status_description,
        }
        record = {
            key: value
            for key, value in (self._record or {}).items()
            if key not in _DIAGNOSTIC_DEFAULTS or _DIAGNOSTIC_DEFAULTS[key] != value
        }
        if record:
            fields["diagnostic_record"] = record
        return fields


class Neo4jError(GqlError):
    """What a server answered in place of a result: a FAILURE.

    A client gets the subclass that fits the code (:meth:`from_failure`). In a server, raising one of these
    answers the request with its code and message.

    Args:
        args: What happened, for humans; the first one is the message.
        code: A Neo4j code, ``Neo.Classification.Category.Title``; each class has its own default.
        gql_status: A GQL status, five characters (Bolt 5.7+).
        description: What that status means; goes with *gql_status*.
        diagnostic_record: Further facts (Bolt 5.7+).
        cause: The error behind this one (Bolt 5.7+), also set as ``__cause__``.
    """

    _default_code: ClassVar[str] = _UNKNOWN_CODE
    _retryable: bool = False
    _message: str = _UNKNOWN_MESSAGE
    _code: str = _UNKNOWN_CODE
    _classification: str = "DatabaseError"
    _category: str = "General"
    _title: str = "UnknownError"
    _metadata: Mapping[str, Any] | None = None
    _from_server: bool = False

    def __init__(
        self,
        *args: object,
        code: str | None = None,
        gql_status: str | None = None,
        description: str | None = None,
        diagnostic_record: Mapping[str, Any] | None = None,
        cause: GqlError | None = None,
    ) -> None:
        self._take_code(self._default_code if code is None else code)
        word = _GQL_CLASSIFICATIONS.get(self._classification)
        record = {} if word is None else {"_classification": word}
        record.update(diagnostic_record or {})
        super().__init__(
            *args, gql_status=gql_status, description=description, diagnostic_record=record, cause=cause
        )

    @classmethod
    def from_failure(cls, metadata: Mapping[str, Any]) -> Neo4jError:
        """Make the exception for the *metadata* of a FAILURE.

        Both forms are understood in every version: ``code`` and ``message`` (Bolt 1 - 5.6), and
        ``neo4j_code``, ``message``, ``gql_status``, ``description``, ``diagnostic_record`` and ``cause``
        (Bolt 5.7+). Whatever is missing, null or of a wrong type has the value of an unknown error.
        The class follows the code.
        """
        code = metadata.get("neo4j_code")
        if not isinstance(code, str):
            code = metadata.get("code")
        if not isinstance(code, str) or not code:
            code = _UNKNOWN_CODE
        classification, code = _rewritten(code)
        kind = _class_of(classification, code)
        error = kind.__new__(kind)
        error._from_server = True
        error._take_code(code)
        error._take_gql(metadata)
        error.args = (error._message,)
        error._metadata = {key: value for key, value in metadata.items() if key not in _FAILURE_KEYS}

        # Not recursive: how deep causes nest is the peer's choice.
        effect: GqlError = error
        inner = metadata.get("cause")
        while isinstance(inner, Mapping):
            cause = GqlError.__new__(GqlError)
            cause._take_gql(inner)
            cause.args = (cause._message,)
            effect._set_cause(cause)
            effect = cause
            inner = inner.get("cause")
        return error

    def to_failure(self, version: Version = NEWEST) -> dict[str, Any]:
        """Return the metadata of the FAILURE that says this, in the form of a Bolt *version*.

        ``code`` and ``message`` up to 5.6, ``neo4j_code`` and the GQL fields from 5.7 on.
        """
        if version < _GQL_FAILURES:
            return {"code": self.code, "message": self.message}
        failure = {"neo4j_code": self.code, **self._gql_fields()}
        fields, effect = failure, self._gql_cause
        seen = {id(self)}
        while effect is not None and id(effect) not in seen:
            seen.add(id(effect))
            fields["cause"] = fields = effect._gql_fields()
            effect = effect._gql_cause
        return failure

    def _take_code(self, code: str) -> None:
        self._code = code
        parts = code.split(".")
        if len(parts) == 4:
            _, self._classification, self._category, self._title = parts
            self._classification = _RECLASSIFIED.get(code, self._classification)
        else:
            self._classification, self._category, self._title = "DatabaseError", "General", "UnknownError"

    @property
    def code(self) -> str:
        """The Neo4j code, such as ``Neo.ClientError.Statement.SyntaxError``."""
        return self._code

    @property
    def classification(self) -> str:
        """The second part of the code: ClientError, TransientError, DatabaseError ..."""
        return self._classification

    @property
    def category(self) -> str:
        """The third part of the code."""
        return self._category

    @property
    def title(self) -> str:
        """The last part of the code."""
        return self._title

    @property
    def metadata(self) -> dict[str, Any]:
        """What else the FAILURE held, under its own keys."""
        return dict(self._metadata or {})

    def is_retryable(self) -> bool:
        """Whether running the whole transaction once more may succeed.

        Says nothing about auto-commit statements, which may have had effects before they failed.
        """
        return self._retryable

    def __str__(self) -> str:
        if not self._from_server:
            return Exception.__str__(self)
        status = "" if self._gql_status == _UNKNOWN_STATUS else f" (GQL {self._gql_status})"
        return f"{self._code}: {self._message}{status}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._message!r}, code={self._code!r})"


ServerFailedError = Neo4jError


class ClientError(Neo4jError):
    """The request is to blame: sending the same again fails again."""

    _default_code = "Neo.ClientError.Request.Invalid"


class CypherSyntaxError(ClientError):
    """The statement is not written as the language wants it."""

    _default_code = "Neo.ClientError.Statement.SyntaxError"


class CypherTypeError(ClientError):
    """A value in the statement has the wrong type."""

    _default_code = "Neo.ClientError.Statement.TypeError"


class ConstraintError(ClientError):
    """A constraint of the schema forbids what was asked for."""

    _default_code = "Neo.ClientError.Schema.ConstraintValidationFailed"


class AuthError(ClientError):
    """The login was refused."""

    _default_code = "Neo.ClientError.Security.Unauthorized"


class TokenExpired(AuthError):
    """The token of the login is no longer valid; a new one may be."""

    _default_code = "Neo.ClientError.Security.TokenExpired"


class Forbidden(ClientError):
    """The user may not do this."""

    _default_code = "Neo.ClientError.Security.Forbidden"


class DatabaseError(Neo4jError):
    """The server failed at something that it should be able to do."""


class TransientError(Neo4jError):
    """Something in the way that may be gone at the next try."""

    _default_code = "Neo.TransientError.General.UnknownError"
    _retryable = True


class DatabaseUnavailable(TransientError):
    """The database is there, but does not answer now."""

    _default_code = "Neo.TransientError.General.DatabaseUnavailable"


class NotALeader(TransientError):
    """A write went to a member of a cluster that does not take writes (any more)."""

    _default_code = "Neo.ClientError.Cluster.NotALeader"


class ForbiddenOnReadOnlyDatabase(TransientError):
    """A write went to a database that takes none (now)."""

    _default_code = "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase"


_FAILURE_KEYS: Final = frozenset(
    ("code", "neo4j_code", "message", "gql_status", "description", "diagnostic_record", "cause")
)

_GQL_CLASSIFICATIONS: Final = {
    "ClientError": "CLIENT_ERROR",
    "TransientError": "TRANSIENT_ERROR",
    "DatabaseError": "DATABASE_ERROR",
}

# Neo4j 4 called these two transient; they are a client's own doing, and Neo4j 5 renamed them so.
_RENAMED: Final = {
    "Neo.TransientError.Transaction.Terminated": "Neo.ClientError.Transaction.Terminated",
    "Neo.TransientError.Transaction.LockClientStopped": "Neo.ClientError.Transaction.LockClientStopped",
}

# A login that has run out may be repeated with the same credentials.
_RECLASSIFIED: Final = {"Neo.ClientError.Security.AuthorizationExpired": "TransientError"}

_CLASSES: Final[dict[str, type[Neo4jError]]] = {
    "ClientError": ClientError,
    "TransientError": TransientError,
    "DatabaseError": DatabaseError,
}

_CLASSES_BY_CODE: Final[dict[str, type[Neo4jError]]] = {
    "Neo.ClientError.Cluster.NotALeader": NotALeader,
    "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase": ForbiddenOnReadOnlyDatabase,
    "Neo.ClientError.General.ReadOnly": Forbidden,
    "Neo.ClientError.Procedure.TypeError": CypherTypeError,
    "Neo.ClientError.Schema.ConstraintValidationFailed": ConstraintError,
    "Neo.ClientError.Schema.ConstraintViolation": ConstraintError,
    "Neo.ClientError.Schema.ForbiddenOnConstraintIndex": Forbidden,
    "Neo.ClientError.Schema.IndexBelongsToConstraint": Forbidden,
    "Neo.ClientError.Security.AuthorizationFailed": AuthError,
    "Neo.ClientError.Security.Forbidden": Forbidden,
    "Neo.ClientError.Security.TokenExpired": TokenExpired,
    "Neo.ClientError.Security.Unauthorized": AuthError,
    "Neo.ClientError.Statement.ConstraintVerificationFailed": ConstraintError,
    "Neo.ClientError.Statement.ConstraintViolation": ConstraintError,
    "Neo.ClientError.Statement.InvalidSyntax": CypherSyntaxError,
    "Neo.ClientError.Statement.InvalidType": CypherTypeError,
    "Neo.ClientError.Statement.SyntaxError": CypherSyntaxError,
    "Neo.ClientError.Statement.TypeError": CypherTypeError,
    "Neo.ClientError.Transaction.ForbiddenDueToTransactionType": Forbidden,
    "Neo.TransientError.General.DatabaseUnavailable": DatabaseUnavailable,
}


def _rewritten(code: str) -> tuple[str, str]:
    """The classification and the code that a server's *code* stands for today."""
    code = _RENAMED.get(code, code)
    parts = code.split(".")
    return _RECLASSIFIED.get(code, parts[1] if len(parts) == 4 else "DatabaseError"), code


def _class_of(classification: str, code: str) -> type[Neo4jError]:
    return _CLASSES_BY_CODE.get(code) or _CLASSES.get(classification, Neo4jError)


class DriverError(GqlError):
    """Something went wrong on this side, or between both sides; no server said it."""

    _retryable = False

    def __init__(self, *args: object) -> None:
        super().__init__(*args)

    def is_retryable(self) -> bool:
        """Whether running the whole transaction once more may succeed."""
        return self._retryable

    def __str__(self) -> str:
        return Exception.__str__(self)


class SessionError(DriverError):
    """A session was used in a way that it does not allow; it is in ``session``."""

    _living = ("session",)
    session: Any

    def __init__(self, session: Any, *args: object) -> None:
        super().__init__(*args)
        self.session = session


class TransactionError(DriverError):
    """A transaction was used in a way that it does not allow; it is in ``transaction``."""

    _living = ("transaction",)
    transaction: Any

    def __init__(self, transaction: Any, *args: object) -> None:
        super().__init__(*args)
        self.transaction = transaction


class TransactionNestingError(TransactionError):
    """A transaction was begun inside another one."""


class ResultError(DriverError):
    """A result was used in a way that it does not allow; it is in ``result``."""

    _living = ("result",)
    result: Any

    def __init__(self, result: Any, *args: object) -> None:
        super().__init__(*args)
        self.result = result


class ResultFailedError(ResultError):
    """The result has failed, or another one of the same transaction has."""


class ResultConsumedError(ResultError):
    """The records of the result are gone."""


class ResultNotSingleError(ResultError):
    """The result has not exactly one record."""


class BrokenRecordError(DriverError):
    """A field of a record could not be read."""


class _ConnectionError(DriverError):
    """Common part of the two errors that a lost connection ends in."""

    _gql_status = "08000"
    _retryable = True
    may_have_run: bool | None = None

    def __init__(self, *args: object, may_have_run: bool | None = None) -> None:
        super().__init__(*args)
        if may_have_run is not None:
            self.may_have_run = may_have_run

    @property
    def gql_status_description(self) -> str:
        """What the GQL status means, for humans."""
        return f"{_CONNECTION_EXCEPTION}. {self._message}" if self._message else _CONNECTION_EXCEPTION


class SessionExpired(_ConnectionError):
    """The session can no longer do what it was made for.

    ``may_have_run`` says whether the request may have had effects on the server; None: no request is meant.
    """


class ServiceUnavailable(_ConnectionError):
    """No server can be reached, or the connection to it was lost.

    ``may_have_run`` says whether the request may have had effects on the server; None: no request is meant.
    """


class RoutingServiceUnavailable(ServiceUnavailable):
    """No member of the cluster gives a routing table."""


class WriteServiceUnavailable(ServiceUnavailable):
    """No member of the cluster takes writes."""


class ReadServiceUnavailable(ServiceUnavailable):
    """No member of the cluster takes reads."""


class UntrustedCertificate(ServiceUnavailable):
    """The server's certificate is not trusted. It does not become another one: this is not retryable."""

    _retryable = False


class IncompleteCommit(ServiceUnavailable):
    """The connection was lost while a commit was awaited: nobody knows whether it happened."""

    _gql_status = "08007"
    may_have_run: bool | None = True

    @property
    def gql_status_description(self) -> str:
        """What the GQL status means, for humans."""
        return f"{_CONNECTION_EXCEPTION} - transaction resolution unknown"

    def is_retryable(self) -> bool:
        """Never: the commit may have happened."""
        return False


class ConfigurationError(DriverError):
    """An option, or a combination of them, makes no sense."""


class AuthConfigurationError(ConfigurationError):
    """The options of the login make no sense."""


class CertificateConfigurationError(ConfigurationError):
    """The options of TLS certificates make no sense."""


class UnsupportedServerProduct(ConfigurationError):
    """The server is of a kind, or an age, that is not supported."""


class ConnectionPoolError(DriverError):
    """The connection pool cannot give a connection."""


class ConnectionAcquisitionTimeoutError(ConnectionPoolError):
    """No connection of the pool became free in time, or no server answered in time.

    It is retryable when a server was silent: the next try may find another one.
    """


class LeaseExpired(DriverError):
    """The time for a page of a named position is over, and another consumer has got it."""


class ServerIgnoredError(BoltError):
    """The server skipped the request, since one before it had failed: it had no effect."""


class LocalProtocolError(BoltError):
    """This side asked for something that the protocol does not allow now. The connection is unharmed."""


class RemoteProtocolError(BoltError):
    """The peer did something that the protocol does not allow. The connection is over."""


class HandshakeError(BoltError):
    """The two sides did not agree on a Bolt version.

    Args:
        message: What happened.
        reason: Why, for code that branches: a member of :class:`asyncbolt.protocol.HandshakeReason`, or "".
    """

    reason: str

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class PackError(BoltError, ValueError):
    """A value that Bolt cannot carry.

    Args:
        reason: What is wrong, with a hint.
        path: Where the value is, from the outside in: str for a map key, int for an index.
        root: What the path starts from, such as ``"value"``; ``"$"`` stands for the parameters.
    """

    reason: str
    path: tuple[str | int, ...]
    root: str

    def __init__(self, reason: str, path: Sequence[str | int] = (), root: str = "value") -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = tuple(path)
        self.root = root

    def __str__(self) -> str:
        return f"{format_path(self.path, self.root)}: {self.reason}"


def pack_error(reason: str, path: Sequence[str | int], root: str) -> PackError:
    """Make a :exc:`PackError` for a *path* from the outside in."""
    return PackError(reason, path, root)


_MAX_KEY: Final = 60


def format_path(path: Sequence[str | int], root: str) -> str:
    """Write a path as one would in Python: ``("rows", 3, "when")`` from ``$`` is ``$rows[3].when``."""
    text = root
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier() and len(part) <= _MAX_KEY:
            text += part if text == "$" else f".{part}"
        else:
            key = repr(part)
            text += f"[{key if len(key) <= _MAX_KEY else key[:_MAX_KEY] + '...'}]"
    return text


class UnpackError(BoltError, ValueError):
    """Bytes that are not PackStream, or more of it than allowed.

    Args:
        reason: What is wrong.
        offset: Where, in bytes from the start of the message.
    """

    reason: str
    offset: int

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(reason, offset)
        self.reason = reason
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.reason} (at byte {self.offset} of the message)"
