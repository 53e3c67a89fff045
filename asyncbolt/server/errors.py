"""Which FAILURE an exception becomes; it never tells the client more than the author meant to say."""

from __future__ import annotations

import logging
from typing import Final

from ..exceptions import AuthError, DatabaseError, Neo4jError

__all__ = [
    "EXECUTION_FAILED",
    "TERMINATED",
    "TIMED_OUT",
    "UNKNOWN_ERROR",
    "BadResult",
    "failure_of",
    "login_refused",
    "terminated",
    "timed_out",
]

logger = logging.getLogger(__name__)

EXECUTION_FAILED: Final = "Neo.DatabaseError.Statement.ExecutionFailed"
TERMINATED: Final = "Neo.ClientError.Transaction.Terminated"
TIMED_OUT: Final = "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration"
UNKNOWN_ERROR: Final = "Neo.DatabaseError.General.UnknownError"


class BadResult(Exception):
    """The author's ``run`` gave rows that cannot be sent. Its text may be told to the client."""


def failure_of(exc: BaseException, where: str) -> Neo4jError:
    """The error that the client is told about.

    ``Neo4jError`` and its kin are told as they are. Anything else is the author's or the machine's fault: it
    is logged with its traceback, and the client learns no more than that it happened.

    Args:
        exc: What was raised.
        where: For the log, such as ``"run"``.
    """
    if isinstance(exc, Neo4jError):
        return exc
    if isinstance(exc, BadResult):
        logger.error("%s gave a result that cannot be sent: %s", where, exc)
        return DatabaseError(f"The result of the statement cannot be sent: {exc}", code=EXECUTION_FAILED)
    logger.error("%s failed", where, exc_info=(type(exc), exc, exc.__traceback__))
    return DatabaseError("An internal error occurred; the server's log has the details.", code=UNKNOWN_ERROR)


def login_refused() -> AuthError:
    """What a client with wrong credentials is told."""
    return AuthError("The client is unauthorized due to authentication failure.")


def terminated() -> Neo4jError:
    """What a request is answered that a RESET, or the server's end, has interrupted."""
    return Neo4jError("The request was interrupted before it was done.", code=TERMINATED)


def timed_out(milliseconds: int) -> Neo4jError:
    """What the next request is answered when the time that the client gave its transaction is over."""
    return Neo4jError(
        f"The transaction was not done within its {milliseconds} ms and was ended.", code=TIMED_OUT
    )
