"""Lets code that imports ``neo4j`` run on asyncbolt: :func:`as_neo4j`."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

from . import driver as _driver
from ._version import __version__
from .driver.absent import NO_SYNC, TWINS, no_attribute
from .driver.notifications import PreviewWarning

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["API_VERSION", "as_neo4j"]

API_VERSION: Final = "6.4.1"
"""The version of the official driver whose names :func:`as_neo4j` gives: ``neo4j.__version__``."""

_NAME: Final = "neo4j"

# Modules of the official driver for which asyncbolt has one of the same name.
_SUBMODULES: Final = (
    "addressing",
    "api",
    "auth_management",
    "debug",
    "exceptions",
    "graph",
    "spatial",
    "time",
    "types",
    "vector",
    "warnings",
)

# What the official package has at its top, other than names of the sync API.
_TOP: Final = (
    "DEFAULT_DATABASE",
    "READ_ACCESS",
    "SYSTEM_DATABASE",
    "WRITE_ACCESS",
    "Address",
    "AsyncBoltDriver",
    "AsyncDriver",
    "AsyncGraphDatabase",
    "AsyncManagedTransaction",
    "AsyncNeo4jDriver",
    "AsyncResult",
    "AsyncSession",
    "AsyncTransaction",
    "Auth",
    "AuthToken",
    "Bookmarks",
    "EagerResult",
    "GqlStatusObject",
    "IPv4Address",
    "IPv6Address",
    "NotificationClassification",
    "NotificationDisabledClassification",
    "NotificationMinimumSeverity",
    "NotificationSeverity",
    "Query",
    "Record",
    "ResultSummary",
    "RoutingControl",
    "ServerInfo",
    "SummaryCounters",
    "SummaryInputPosition",
    "TrustAll",
    "TrustCustomCAs",
    "TrustSystemCAs",
    "basic_auth",
    "bearer_auth",
    "custom_auth",
    "kerberos_auth",
    "unit_of_work",
)

# Deprecated there: name, and what to use instead.
_DEPRECATED: Final = {
    "NotificationCategory": "NotificationClassification",
    "NotificationDisabledCategory": "NotificationDisabledClassification",
    "SummaryNotification": "GqlStatusObject",
    "PreviewWarning": "neo4j.warnings.PreviewWarning",
}

# Name in the sync API, and its base there.
_SYNC_AT_TOP: Final = {
    "Driver": None,
    "BoltDriver": "Driver",
    "Neo4jDriver": "Driver",
    "GraphDatabase": None,
    "ManagedTransaction": None,
    "Result": None,
    "Session": None,
    "Transaction": None,
}
_SYNC_AUTH: Final = {
    "AuthManagers": None,
    "ClientCertificateProviders": None,
    "RotatingClientCertificateProvider": None,
}


class _SyncOnly(type):
    """The class of stand-ins for the sync API: there for imports, ``isinstance`` and annotations only."""

    def __call__(cls, *args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError(_complaint(cls))

    def __getattr__(cls, name: str) -> NoReturn:
        raise AttributeError(f"{cls.__name__}.{name}: {_complaint(cls)}", name=name, obj=cls)


def _complaint(cls: type) -> str:
    for base in cls.__mro__:
        if base.__name__ in TWINS:
            return f"{NO_SYNC}: use {TWINS[base.__name__]}"
    return NO_SYNC


def _stand_ins(module: str, names: Mapping[str, str | None]) -> dict[str, type]:
    made: dict[str, type] = {}
    for name, base in names.items():
        doc = f"Stands for a class of the sync API, which asyncbolt has not: see {TWINS[name]}."
        bases = () if base is None else (made[base],)
        made[name] = _SyncOnly(name, bases, {"__module__": module, "__doc__": doc, "__slots__": ()})
    return made


class _Neo4jModule(types.ModuleType):
    """The module ``neo4j``; with ``with`` it is there for the time of the block only."""

    def __enter__(self) -> _Neo4jModule:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _registration.release()


class _Registration:
    """What stands in ``sys.modules`` for us, what stood there before, and how many asked for it."""

    def __init__(self) -> None:
        self.module: _Neo4jModule | None = None
        self.count = 0
        self.before: dict[str, types.ModuleType] = {}
        self.ours: dict[str, types.ModuleType] = {}

    def release(self) -> None:
        self.count -= 1
        if self.count:
            return
        for name, module in self.ours.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        sys.modules.update(self.before)
        self.module = None
        self.before, self.ours = {}, {}


_registration: Final = _Registration()


def as_neo4j(*, replace: bool = False) -> types.ModuleType:
    """Make ``import neo4j`` give asyncbolt, under the official driver's names, for the whole process.

    Call it before anything imports ``neo4j``::

        import asyncbolt.compat

        asyncbolt.compat.as_neo4j()
        import neomodel  # runs on asyncbolt

    The classes are asyncbolt's own, so that ``isinstance`` and ``except`` of the other code fit. Names of the
    sync API are there as well, so that they can be imported and annotated with, but using one raises an error
    that names its async twin.

    The module that is returned may be used with ``with``: what was there before comes back at the end of the
    block. Code that was imported in the block keeps the classes that it got. Without ``with`` it stays.

    Args:
        replace: Whether to take the place of the official driver when it is imported already. Code that has
            imported from it keeps what it has, and its ``isinstance`` and ``except`` do not fit asyncbolt.

    Returns:
        The module ``neo4j``.

    Raises:
        RuntimeError: the official driver is imported already, and *replace* is not set.
    """
    if _registration.module is not None and sys.modules.get(_NAME) is _registration.module:
        _registration.count += 1
        return _registration.module
    before = {
        name: module
        for name, module in sys.modules.items()
        if name == _NAME or name.startswith(_NAME + ".")
    }
    if before and not replace:
        raise RuntimeError(
            "neo4j is imported already: call as_neo4j() before anything that imports it, or, when it does not"
            " matter that this code keeps the official driver, as_neo4j(replace=True)"
        )
    module = _top_module()
    ours: dict[str, types.ModuleType] = {_NAME: module}
    for name in _SUBMODULES:
        inner = _submodule(name)
        setattr(module, name, inner)
        ours[inner.__name__] = inner
    for name in before:
        del sys.modules[name]
    sys.modules.update(ours)
    _registration.module = module
    _registration.count = 1
    _registration.before = before
    _registration.ours = ours
    return module


def _top_module() -> _Neo4jModule:
    module = _Neo4jModule(_NAME, f"The names of the official Neo4j driver {API_VERSION}, on asyncbolt.")
    _describe(module, is_package=True)
    for name in _TOP:
        setattr(module, name, getattr(_driver, name))
    for name, stand_in in _stand_ins(_NAME, _SYNC_AT_TOP).items():
        setattr(module, name, stand_in)

    def get_user_agent() -> str:
        """Return how a driver introduces itself."""
        return f"asyncbolt/{__version__}"

    def lazy(name: str) -> Any:
        instead = _DEPRECATED.get(name)
        if instead is None:
            raise no_attribute(_NAME, name)
        warnings.warn(f"neo4j.{name} is deprecated: use {instead}", DeprecationWarning, stacklevel=2)
        return PreviewWarning if name == "PreviewWarning" else getattr(_driver, name)

    public = sorted((*_TOP, *_SYNC_AT_TOP, *_DEPRECATED, "__version__", "get_user_agent"))
    vars(module).update(
        __version__=API_VERSION,
        __all__=public,
        __getattr__=lazy,
        __dir__=lambda: public,
        get_user_agent=get_user_agent,
    )
    return module


def _submodule(name: str) -> types.ModuleType:
    source = importlib.import_module(f"asyncbolt.{name}")
    module = types.ModuleType(f"{_NAME}.{name}", source.__doc__)
    _describe(module, is_package=False)
    public = list(source.__all__)
    for public_name in public:
        setattr(module, public_name, getattr(source, public_name))
    if name == "auth_management":
        stand_ins = _stand_ins(module.__name__, _SYNC_AUTH)
        vars(module).update(stand_ins)
        public = sorted((*public, *stand_ins))

    def rest(missing: str) -> Any:
        try:
            return getattr(source, missing)
        except AttributeError:
            raise no_attribute(module.__name__, missing) from None

    vars(module).update(__all__=public, __getattr__=rest)
    return module


def _describe(module: types.ModuleType, *, is_package: bool) -> None:
    module.__spec__ = importlib.machinery.ModuleSpec(
        module.__name__, None, origin="asyncbolt.compat", is_package=is_package
    )
    module.__package__ = _NAME
    if is_package:
        module.__path__ = []
