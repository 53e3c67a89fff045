"""What the official driver has and asyncbolt has not, and what to use in its place."""

from __future__ import annotations

from typing import Final

__all__ = ["NO_SYNC", "TWINS", "no_attribute"]

NO_SYNC: Final = "asyncbolt has no sync API"

TWINS: Final = {
    "AuthManagers": "AsyncAuthManagers",
    "BoltDriver": "AsyncBoltDriver",
    "ClientCertificateProviders": "AsyncClientCertificateProviders",
    "Driver": "AsyncDriver",
    "GraphDatabase": "AsyncGraphDatabase",
    "ManagedTransaction": "AsyncManagedTransaction",
    "Neo4jDriver": "AsyncNeo4jDriver",
    "Result": "AsyncResult",
    "RotatingClientCertificateProvider": "AsyncRotatingClientCertificateProvider",
    "Session": "AsyncSession",
    "Transaction": "AsyncTransaction",
}
"""Names of the official driver's sync API, with those of the async API for the same thing."""

_OTHERS: Final = {
    "AsyncHttpDriver": "asyncbolt speaks Bolt only, and not the HTTP Query API: use AsyncGraphDatabase",
    "HttpDriver": "asyncbolt speaks Bolt only, and not the HTTP Query API: use AsyncGraphDatabase",
    "URI_SCHEME_HTTP": "asyncbolt speaks Bolt only, and not the HTTP Query API",
    "URI_SCHEME_HTTPS": "asyncbolt speaks Bolt only, and not the HTTP Query API",
}


def no_attribute(module: str, name: str) -> AttributeError:
    """Return the error for ``module.name``, for a module's ``__getattr__`` to raise."""
    text = f"module {module!r} has no attribute {name!r}"
    if name in TWINS:
        text += f": {NO_SYNC}, use {TWINS[name]}"
    elif name in _OTHERS:
        text += f": {_OTHERS[name]}"
    return AttributeError(text, name=name)
