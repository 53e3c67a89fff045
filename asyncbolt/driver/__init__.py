"""The driver level, under the names that the official Neo4j driver's async API has for it."""

from .addressing import Address, IPv4Address, IPv6Address, UnixAddress
from .auth import (
    AsyncAuthManager,
    AsyncAuthManagers,
    AsyncClientCertificateProvider,
    AsyncClientCertificateProviders,
    AsyncRotatingClientCertificateProvider,
    Auth,
    AuthToken,
    ClientCertificate,
    ExpiringAuth,
    basic_auth,
    bearer_auth,
    custom_auth,
    kerberos_auth,
)
from .batches import Batches
from .bookmarks import AsyncBookmarkManager, Bookmarks
from .constants import DEFAULT_DATABASE, READ_ACCESS, SYSTEM_DATABASE, WRITE_ACCESS
from .driver import AsyncBoltDriver, AsyncDriver, AsyncGraphDatabase, AsyncNeo4jDriver
from .eager import EagerResult
from .listeners import (
    ConnectionAcquired,
    ConnectionClosed,
    ConnectionOpened,
    DriverListener,
    QueryEnded,
    QueryStarted,
)
from .notifications import (
    NotificationCategory,
    NotificationClassification,
    NotificationDisabledCategory,
    NotificationDisabledClassification,
    NotificationMinimumSeverity,
    NotificationSeverity,
    RoutingControl,
)
from .pages import Page, Pages
from .pool import AddressStats, PoolStats
from .query import Query, unit_of_work
from .record import Record
from .result import AsyncResult
from .server_info import ServerInfo
from .session import AsyncSession
from .summary import (
    GqlStatusObject,
    ResultSummary,
    SummaryCounters,
    SummaryInputPosition,
    SummaryNotification,
)
from .tls import TrustAll, TrustCustomCAs, TrustSystemCAs
from .transaction import AsyncManagedTransaction, AsyncTransaction

__all__ = [
    "DEFAULT_DATABASE",
    "READ_ACCESS",
    "SYSTEM_DATABASE",
    "WRITE_ACCESS",
    "Address",
    "AddressStats",
    "AsyncAuthManager",
    "AsyncAuthManagers",
    "AsyncBoltDriver",
    "AsyncBookmarkManager",
    "AsyncClientCertificateProvider",
    "AsyncClientCertificateProviders",
    "AsyncDriver",
    "AsyncGraphDatabase",
    "AsyncManagedTransaction",
    "AsyncNeo4jDriver",
    "AsyncResult",
    "AsyncRotatingClientCertificateProvider",
    "AsyncSession",
    "AsyncTransaction",
    "Auth",
    "AuthToken",
    "Batches",
    "Bookmarks",
    "ClientCertificate",
    "ConnectionAcquired",
    "ConnectionClosed",
    "ConnectionOpened",
    "DriverListener",
    "EagerResult",
    "ExpiringAuth",
    "GqlStatusObject",
    "IPv4Address",
    "IPv6Address",
    "NotificationCategory",
    "NotificationClassification",
    "NotificationDisabledCategory",
    "NotificationDisabledClassification",
    "NotificationMinimumSeverity",
    "NotificationSeverity",
    "Page",
    "Pages",
    "PoolStats",
    "Query",
    "QueryEnded",
    "QueryStarted",
    "Record",
    "ResultSummary",
    "RoutingControl",
    "ServerInfo",
    "SummaryCounters",
    "SummaryInputPosition",
    "SummaryNotification",
    "TrustAll",
    "TrustCustomCAs",
    "TrustSystemCAs",
    "UnixAddress",
    "basic_auth",
    "bearer_auth",
    "custom_auth",
    "kerberos_auth",
    "unit_of_work",
]
