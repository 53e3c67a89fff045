"""Options that go with the text of a query or with a transaction function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from .._hints import check_parameters, check_text
from .._options import MOST

__all__ = [
    "Query",
    "check_options",
    "check_plain_query",
    "check_query",
    "merged",
    "milliseconds",
    "unit_of_work",
]

_F = TypeVar("_F", bound=Callable[..., Any])


def milliseconds(seconds: Any) -> int:
    """Return a transaction's timeout as the server is told it.

    Raises:
        TypeError: it is no number.
        ValueError: it is below 0, or more than can be told.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        try:
            seconds = float(seconds)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"a transaction's timeout is a number of seconds, not {seconds!r}") from None
    if not seconds >= 0:
        raise ValueError(f"a transaction's timeout is 0 or more seconds, not {seconds!r}")
    if seconds > MOST // 1000:
        raise ValueError("a transaction's timeout is at most 2**63 ms: 0 means no limit")
    number = round(1000 * seconds)
    # 0 means no limit at all.
    return 1 if number == 0 and seconds > 0 else number


def check_options(metadata: Any, timeout: Any) -> None:
    """Check the options of a transaction.

    Raises:
        TypeError: *metadata* is no map, or *timeout* no number.
        ValueError: as :func:`milliseconds`.
    """
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"the metadata of a transaction is a map, not {type(metadata).__name__}")
    if timeout is not None:
        milliseconds(timeout)


class Query:
    """The text of a query with options of its own, in place of the text alone.

    For ``session.run`` and ``driver.execute_query``; in a transaction the options belong to the transaction.

    Args:
        text: The query.
        metadata: What the server shows with the query in its log and in ``SHOW TRANSACTIONS``.
        timeout: Seconds after which the server ends the query; 0 means never, and None leaves it to the
            configuration of the server.

    Raises:
        TypeError: the metadata is no map, or the timeout no number.
        ValueError: the timeout is below 0.
    """

    def __init__(
        self, text: str, metadata: dict[str, Any] | None = None, timeout: float | None = None
    ) -> None:
        check_options(metadata, timeout)
        self.text = text
        self.metadata = metadata
        self.timeout = timeout

    def __str__(self) -> str:
        return str(self.text)

    def __repr__(self) -> str:
        # Not the metadata, which is the caller's own business.
        timeout = "" if self.timeout is None else f", timeout={self.timeout!r}"
        return f"{type(self).__name__}({self.text!r}{timeout})"


def check_query(query: object) -> None:
    """Check what is to be run as a query.

    Raises:
        TypeError: it is neither a string nor a Query.
        ValueError: it is empty.
    """
    if type(query) is str and query:
        return
    text = query.text if isinstance(query, Query) else query
    if not isinstance(text, str):
        raise TypeError(f"a query is a string or a Query, not {type(text).__name__}")
    if not text:
        raise ValueError("a query must not be empty")


def check_plain_query(query: object) -> None:
    """Check what is to be run as a query in a transaction. Raises TypeError: it is no string."""
    if isinstance(query, Query):
        raise TypeError("a Query object is for session.run; in a transaction, the query is a string")
    check_text(query, "query")


def merged(parameters: Mapping[str, Any] | None, more: dict[str, Any]) -> dict[str, Any]:
    """Return *parameters*, and *more* of them, which win.

    Raises:
        TypeError: *parameters* is no mapping.
    """
    if parameters is None:
        return more
    if type(parameters) is not dict:
        check_parameters(parameters)
    return {**parameters, **more} if parameters else more


def unit_of_work(
    metadata: dict[str, Any] | None = None, timeout: float | None = None
) -> Callable[[_F], _F]:
    """Give a transaction function options; a decorator::

        @unit_of_work(timeout=10)
        async def count(tx):
            result = await tx.run("MATCH (n) RETURN count(n)")
            return (await result.single()).value()

    ``execute_read`` and ``execute_write`` of a session find them on the function. A coroutine function stays
    one.

    Args:
        metadata: What the server shows with the transaction in its log and in ``SHOW TRANSACTIONS``.
        timeout: Seconds after which the server ends the transaction; 0 means never, and None leaves it to
            the configuration of the server.

    Raises:
        TypeError: the decorator stands without parentheses, or as :class:`Query`.
        ValueError: as :class:`Query`.
    """
    if callable(metadata):
        raise TypeError("unit_of_work needs parentheses: @unit_of_work(timeout=10)")
    check_options(metadata, timeout)

    def decorate(function: _F) -> _F:
        wrapped: Callable[..., Any]
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def in_coroutine(*args: Any, **kwargs: Any) -> Any:
                return await function(*args, **kwargs)

            wrapped = in_coroutine
        else:

            @functools.wraps(function)
            def in_function(*args: Any, **kwargs: Any) -> Any:
                return function(*args, **kwargs)

            wrapped = in_function
        # What functools.wraps copied may have these names too.
        vars(wrapped).update(metadata=metadata, timeout=timeout)
        return cast(_F, wrapped)

    return decorate
