"""Options that go with the text of a query or with a transaction function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from .._hints import check_parameters, check_text

__all__ = ["Query", "check_plain_query", "check_query", "merged", "unit_of_work"]

_F = TypeVar("_F", bound=Callable[..., Any])


class Query:
    """The text of a query with options of its own, in place of the text alone.

    For ``session.run`` and ``driver.execute_query``; in a transaction the options belong to the transaction.

    Args:
        text: The query.
        metadata: What the server shows with the query in its log and in ``SHOW TRANSACTIONS``.
        timeout: Seconds after which the server ends the query; 0 means never, and None leaves it to the
            configuration of the server.
    """

    def __init__(
        self, text: str, metadata: dict[str, Any] | None = None, timeout: float | None = None
    ) -> None:
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
        TypeError: the decorator stands without parentheses.
    """
    if callable(metadata):
        raise TypeError("unit_of_work needs parentheses: @unit_of_work(timeout=10)")

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
