"""What errors say of likely mistakes: which argument was meant, which of Python's keywords belongs there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, ParamSpec, TypeVar

from .exceptions import ConfigurationError

__all__ = [
    "AsyncContext",
    "AsyncRows",
    "Awaited",
    "MissingKey",
    "UnknownArgument",
    "check_call",
    "check_parameters",
    "check_text",
    "keywords_only",
    "reason",
    "unknown_arguments",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")

# What others call it, or what is meant by it: the first that exists is named.
_OTHER_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "connect_timeout": ("connection_timeout", "timeout"),
    "connection_timeout": ("connect_timeout", "timeout"),
    "database_name": ("database", "db"),
    "database": ("db",),
    "db": ("database",),
    "dbname": ("database", "db"),
    "encrypted": ("ssl",),
    "hostname": ("host",),
    "impersonated_user": ("imp_user",),
    "imp_user": ("impersonated_user",),
    "max_connections": ("max_connection_pool_size", "max_size"),
    "max_connection_pool_size": ("max_size",),
    "max_size": ("max_connection_pool_size",),
    "metadata": ("tx_metadata",),
    "notifications_min_severity": ("notifications_minimum_severity",),
    "notifications_minimum_severity": ("notifications_min_severity",),
    "pool_size": ("max_connection_pool_size", "max_size"),
    "secure": ("encrypted", "ssl"),
    "ssl": ("encrypted",),
    "ssl_context": ("ssl",),
    "timeout": ("connection_timeout", "tx_timeout"),
    "tls": ("encrypted", "ssl"),
    "trust": ("trusted_certificates",),
    "url": ("uri",),
}
_CREDENTIALS: Final = frozenset(
    ("credentials", "login", "passwd", "password", "principal", "pw", "pwd", "token", "user", "username")
)
_MOST_NAMES: Final = 12


class UnknownArgument(ConfigurationError, TypeError):
    """An argument that does not exist: a TypeError to Python, and a ConfigurationError as other options."""


class MissingKey(KeyError):
    """A KeyError that says what there is. The text is made when it is asked for: some catch it in a loop."""

    def __init__(self, key: object, what: str = "", names: Collection[str] = (), more: str = "") -> None:
        super().__init__(key)
        self._what = what
        self._names = names
        self._more = more

    def __str__(self) -> str:
        key = self.args[0] if self.args else None
        names = list(self._names)
        if self._more:
            there = self._more
        elif names:
            there = f"there is {listed(map(repr, names))}"
            close = _close(key, names)
            if close:
                there += f" (did you mean {close[0]!r}?)"
        else:
            there = "there is none at all"
        return f"{self._what or 'this'} has no {key!r}: {there}"


def reason(error: BaseException) -> str:
    """Return what *error* says, or what it is when it says nothing."""
    return str(error) or type(error).__name__


def listed(names: Iterable[str]) -> str:
    """Return *names* in one line, not too many of them."""
    names = list(names)
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} ... ({len(names)} in all)"


def _close(name: object, known: Iterable[str]) -> list[str]:
    import difflib  # not before something is wrong

    return difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else []


def unknown_arguments(
    names: Iterable[str],
    known: Iterable[str],
    what: str = "argument",
    *,
    credentials: str = "credentials are auth=(user, password)",
) -> str:
    """Return the text of an error about *names* that are not among the *known* ones.

    *what* they are called, and *credentials* what is said of a user or a password.
    """
    known = sorted(known)
    parts = []
    for name in sorted(names):
        plain = name.strip("_").lower()
        if plain in _CREDENTIALS:
            hint = f": {credentials}"
        else:
            meant = [other for other in _OTHER_NAMES.get(plain, ()) if other in known] or _close(name, known)
            if not meant:
                # Another name may be misspelt, too.
                others = [other for close in _close(plain, _OTHER_NAMES) for other in _OTHER_NAMES[close]]
                meant = [other for other in others if other in known]
            hint = f": did you mean {meant[0]}?" if meant else ""
        parts.append(f"unknown {what} {name}{hint}")
    return "; ".join(parts)


def check_call(
    made: Callable[..., Any], kwargs: Mapping[str, Any], known: Iterable[str], caller: str, **words: str
) -> None:
    """Check that ``made(loop, **kwargs)`` is possible, where that can be known before.

    Args:
        made: a class of the user's, which gets what *caller* does not know.
        kwargs: that.
        known: the arguments of *caller*, of which one may be meant.
        caller: its name.
        words: as :func:`unknown_arguments` takes them.

    Raises:
        UnknownArgument: an argument goes nowhere, or one that *made* needs is missing.
    """
    try:
        signature = inspect.signature(made)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(None, **kwargs)
    except TypeError as error:
        taken = signature.parameters
        anything = any(one.kind is one.VAR_KEYWORD for one in taken.values())
        wrong = [] if anything else [name for name in kwargs if name not in taken]
        if not wrong:
            raise UnknownArgument(f"{caller}() makes {made.__name__}(loop, **kwargs): {error}") from None
        names = [*known, *list(taken)[1:]]
        raise UnknownArgument(f"{caller}(): {unknown_arguments(wrong, names, **words)}") from None


def keywords_only(positional: int, hint: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Say in a TypeError what to write when more than so many *positional* arguments are given."""

    def decorate(function: Callable[_P, _T]) -> Callable[_P, _T]:
        @functools.wraps(function)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            if len(args) > positional:
                raise TypeError(f"{function.__name__}() takes its options by keyword: {hint}")
            return function(*args, **kwargs)

        return checked

    return decorate


def check_text(statement: object, what: str = "statement") -> None:
    """Raise a TypeError unless *statement* is a string."""
    if not isinstance(statement, str):
        hint = ": give its text" if type(statement).__name__ == "Query" else ""
        raise TypeError(f"a {what} is a string, not {type(statement).__name__}{hint}")


def check_parameters(parameters: object) -> None:
    """Raise a TypeError unless *parameters* is a mapping, or None."""
    if not (parameters is None or isinstance(parameters, Mapping) or hasattr(parameters, "keys")):
        raise TypeError(
            "parameters are a mapping of their names to their values, such as {'name': 'Ann'}, not"
            f" {type(parameters).__name__}"
        )


class AsyncContext:
    """What is used with ``async with``: says so where it stands in a ``with``."""

    __slots__ = ()

    # Type checkers are not to believe it.
    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            use = "with" if hasattr(self, "__aenter__") else "for"
            raise TypeError(f"{type(self).__name__} is asynchronous: use 'async {use}', not 'with'")

        def __exit__(self, *_: object) -> None: ...


class AsyncRows(AsyncContext):
    """What is iterated over with ``async for``: says so where it stands in a ``for``, or is subscripted."""

    __slots__ = ()

    if not TYPE_CHECKING:
        # Not __iter__, which would make it an Iterable to whoever asks: a `for` without it subscripts.
        def __getitem__(self, key: object) -> NoReturn:
            raise TypeError(
                f"{type(self).__name__} is asynchronous and has no items: use 'async for', not 'for' or an"
                " index; [row async for row in ...] makes a list"
            )


class Awaited(AsyncContext):
    """What becomes something else when it is awaited or entered with ``async with``."""

    __slots__ = ()

    _call = ""  # what made it
    _gives = ""  # what it becomes

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            kind = type(self)
            if name.startswith("_"):
                raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}")
            raise AttributeError(
                f"{kind._call} is not the {kind._gives} yet, and has no {name!r}: {self._how()}"
            )

        def __enter__(self) -> NoReturn:
            raise TypeError(f"{type(self)._call} is asynchronous: use 'async with', not 'with'")

        def __getitem__(self, key: object) -> NoReturn:
            raise TypeError(f"{type(self)._call} gives a {type(self)._gives} and no rows: {self._how()}")

        def __aiter__(self) -> NoReturn:
            raise TypeError(f"{type(self)._call} gives a {type(self)._gives} and no rows: {self._how()}")

    def _how(self) -> str:
        call, name = type(self)._call, type(self)._gives
        return f"await it ({name} = await {call}), or use it with 'async with {call} as {name}'"
