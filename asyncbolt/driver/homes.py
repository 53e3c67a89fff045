"""Home databases: what a user means who names none."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["HomeDatabases"]

_MOST_HOMES: Final = 10_000


class HomeDatabases:
    """What the home databases of users were the last time (useful from Bolt 5.8 on). Threads may share it."""

    def __init__(self) -> None:
        self._names: OrderedDict[Any, str] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def key(impersonated_user: str | None, token: Mapping[str, Any] | None) -> Any:
        """Return what a user is known by: the name where there is one, otherwise all of the credentials."""
        if impersonated_user is not None:
            return impersonated_user
        if token is None:
            return None
        principal = token.get("principal")
        if token.get("scheme") == "basic" and isinstance(principal, str):
            return principal
        return _frozen(token)

    def get(self, key: Any) -> str | None:
        """Return the database of *key*, None when it is not known."""
        return self._names.get(key)

    def learn(self, key: Any, name: str) -> None:
        """Remember the database of *key*."""
        with self._lock:
            self._names[key] = name
            self._names.move_to_end(key)
            while len(self._names) > _MOST_HOMES:
                self._names.popitem(last=False)


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), _frozen(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    return repr(value)
