"""The options of drivers and sessions: their names, defaults and limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict

from .._constants import Message, Version
from .._hints import UnknownArgument, reason, unknown_arguments
from .._options import fetch_size as fitting_size
from .._version import __version__
from ..exceptions import ConfigurationError
from ..protocol.versions import facts, known_versions
from .auth import AsyncAuthManagers, AsyncClientCertificateProviders, ClientCertificate
from .bookmarks import Bookmarks
from .constants import READ_ACCESS, WRITE_ACCESS
from .notifications import NotificationMinimumSeverity
from .tls import TrustAll, TrustStore, TrustSystemCAs

if TYPE_CHECKING:
    import ssl

    from .addressing import Address
    from .uri import Target

__all__ = [
    "DriverOptions",
    "PoolConfig",
    "Selector",
    "SessionConfig",
    "SessionOptions",
    "check_name",
    "driver_configs",
    "fitting_timeout",
    "with_notification_filters",
]

Selector = Callable[["list[Address]", "Mapping[Address, int]"], "Address"]
"""Chooses one of several addresses, knowing how many connections to each are in use."""


class _Options:
    """Options with defaults, set by keyword. None for an option means its default."""

    __slots__: tuple[str, ...] = ()

    def _default(self, defaults: Mapping[str, Any]) -> None:
        for name, value in defaults.items():
            setattr(self, name, value)

    def _set(self, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            if value is not None:
                setattr(self, name, value)


_POOL_DEFAULTS: Final[dict[str, Any]] = {
    "auth": None,
    "max_connection_lifetime": 3600.0,
    "liveness_check_timeout": None,
    "max_connection_pool_size": 100,
    "connection_timeout": 30.0,
    "connection_write_timeout": 30.0,
    "resolver": None,
    "selector": None,
    "encrypted": False,
    "trusted_certificates": TrustSystemCAs(),
    "client_certificate": None,
    "ssl_context": None,
    "user_agent": f"asyncbolt/{__version__}",
    "keep_alive": True,
    "notifications_min_severity": None,
    "notifications_disabled_classifications": None,
    "telemetry_disabled": True,
    "server_products": None,
    "versions": None,
}

_SESSION_DEFAULTS: Final[dict[str, Any]] = {
    # of drivers too
    "connection_acquisition_timeout": 60.0,
    "max_transaction_retry_time": 30.0,
    "initial_retry_delay": 1.0,
    "retry_delay_multiplier": 2.0,
    "retry_delay_jitter_factor": 0.2,
    "database": None,
    "fetch_size": None,
    "impersonated_user": None,
    "bookmark_manager": None,
    "warn_notification_severity": None,
    "disable_auto_commit_retries": False,
    # of sessions only
    "bookmarks": None,
    "default_access_mode": WRITE_ACCESS,
    "auth": None,
    "notifications_min_severity": None,
    "notifications_disabled_classifications": None,
}

_OF_SESSIONS_ONLY: Final = frozenset(
    (
        "bookmarks",
        "default_access_mode",
        "auth",
        "notifications_min_severity",
        "notifications_disabled_classifications",
    )
)
_OF_BOTH: Final = frozenset(_SESSION_DEFAULTS) - _OF_SESSIONS_ONLY


class PoolConfig(_Options):
    """What all connections of a driver have in common."""

    __slots__ = tuple(_POOL_DEFAULTS)

    auth: Any
    max_connection_lifetime: float
    liveness_check_timeout: float | None
    max_connection_pool_size: float
    connection_timeout: float
    connection_write_timeout: float
    resolver: Callable[[Address], Any] | None
    selector: Selector | None
    encrypted: bool
    trusted_certificates: TrustStore
    client_certificate: Any
    ssl_context: ssl.SSLContext | None
    user_agent: str
    keep_alive: bool
    notifications_min_severity: str | None
    notifications_disabled_classifications: list[str] | None
    telemetry_disabled: bool
    server_products: tuple[str, ...] | None
    versions: tuple[Version, ...] | None

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._default(_POOL_DEFAULTS)
        self._set(options)
        self.auth = AsyncAuthManagers.of(self.auth)
        if isinstance(self.client_certificate, ClientCertificate):
            self.client_certificate = AsyncClientCertificateProviders.static(self.client_certificate)
        elif self.client_certificate is not None and not hasattr(self.client_certificate, "get_certificate"):
            raise ConfigurationError(
                "client_certificate is a ClientCertificate or a provider of one, not"
                f" {type(self.client_certificate).__name__}"
            )
        if not isinstance(self.trusted_certificates, TrustStore):
            raise ConfigurationError(
                "trusted_certificates is TrustAll(), TrustSystemCAs() or TrustCustomCAs(...), not"
                f" {type(self.trusted_certificates).__name__}"
            )
        check_name("user_agent", self.user_agent)
        for name in ("connection_timeout", "connection_write_timeout"):
            _positive(name, getattr(self, name))
        _number("max_connection_lifetime", self.max_connection_lifetime)
        size = _number("max_connection_pool_size", self.max_connection_pool_size)
        if not size:
            raise ConfigurationError("max_connection_pool_size is at least 1, or negative for no limit")
        if size < 0:
            self.max_connection_pool_size = math.inf
        elif size != math.inf and size != int(size):
            raise ConfigurationError(f"max_connection_pool_size is a whole number, not {size!r}")
        if self.liveness_check_timeout is not None and (
            _number("liveness_check_timeout", self.liveness_check_timeout) < 0
        ):
            raise ConfigurationError("liveness_check_timeout is 0 or more seconds, or None")
        if self.server_products is not None:
            self.server_products = tuple(_names("server_products", self.server_products))
        if self.versions is not None:
            try:
                self.versions = known_versions(self.versions)
            except (TypeError, ValueError) as error:
                raise ConfigurationError(f"versions: {reason(error)}") from error
            if any(Message.BEGIN not in facts(version).layouts for version in self.versions):
                raise ConfigurationError("the driver needs Bolt 3 or newer")
        for name in ("resolver", "selector"):
            function = getattr(self, name)
            if function is not None and not callable(function):
                raise ConfigurationError(f"{name} is a callable, not {type(function).__name__}")


class SessionConfig(_Options):
    """The options of one session."""

    connection_acquisition_timeout: float
    max_transaction_retry_time: float
    initial_retry_delay: float
    retry_delay_multiplier: float
    retry_delay_jitter_factor: float
    database: str | None
    fetch_size: int | None
    impersonated_user: str | None
    bookmark_manager: Any
    warn_notification_severity: str | None
    disable_auto_commit_retries: bool
    bookmarks: Bookmarks | None
    default_access_mode: str
    auth: Any
    notifications_min_severity: str | None
    notifications_disabled_classifications: list[str] | None

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._default(_SESSION_DEFAULTS)
        self._set(options)
        self._check()

    def but(self, options: Mapping[str, Any]) -> SessionConfig:
        """Return a copy with other *options*.

        Raises:
            ConfigurationError: one does not exist, or its value makes no sense.
        """
        twin = SessionConfig.__new__(SessionConfig)
        twin.__dict__.update(self.__dict__)
        if options:
            _reject_unknown(options, _SESSION_DEFAULTS)
            twin._set(options)
            twin._check()
        return twin

    def _check(self) -> None:
        fitting_timeout(self.connection_acquisition_timeout)
        for name in ("max_transaction_retry_time", "initial_retry_delay", "retry_delay_jitter_factor"):
            if _number(name, getattr(self, name)) < 0:
                raise ConfigurationError(f"{name} is 0 or more")
        _positive("retry_delay_multiplier", self.retry_delay_multiplier)
        size = self.fetch_size
        if size is not None:
            try:
                self.fetch_size = fitting_size(size)
            except (TypeError, ValueError) as error:
                raise ConfigurationError(str(error)) from error
        for name in ("database", "impersonated_user"):
            check_name(name, getattr(self, name))
        manager = self.bookmark_manager
        if manager is not None and not (
            hasattr(manager, "get_bookmarks") and hasattr(manager, "update_bookmarks")
        ):
            raise ConfigurationError(
                "bookmark_manager has get_bookmarks() and update_bookmarks(), as that of"
                f" AsyncGraphDatabase.bookmark_manager(), unlike {type(manager).__name__}"
            )
        if self.default_access_mode not in (READ_ACCESS, WRITE_ACCESS):
            raise ValueError(
                f"default_access_mode is {READ_ACCESS} or {WRITE_ACCESS}, not {self.default_access_mode!r}"
            )
        if self.bookmarks is not None and not isinstance(self.bookmarks, Bookmarks):
            raise TypeError(f"bookmarks is a Bookmarks object or None, not {type(self.bookmarks).__name__}")


def driver_configs(target: Target, auth: Any, options: Mapping[str, Any]) -> tuple[PoolConfig, SessionConfig]:
    """Return what a driver's keyword arguments ask for.

    Raises:
        ConfigurationError: one does not exist, contradicts the URI, or its value makes no sense.
    """
    known = _POOL_DEFAULTS.keys() | _OF_BOTH | {"notifications_disabled_categories"}
    _reject_unknown(options, known)
    options = with_notification_filters(options)
    if target.tls:
        for name in ("encrypted", "trusted_certificates", "ssl_context"):
            if name in options:
                raise ConfigurationError(
                    f"{name}= goes with the schemes bolt and neo4j only: {target.scheme} says it already"
                )
        options = {**options, "encrypted": True}
        if not target.verified:
            options["trusted_certificates"] = TrustAll()
    pool = {name: value for name, value in options.items() if name in _POOL_DEFAULTS}
    session = {name: value for name, value in options.items() if name in _OF_BOTH}
    return PoolConfig({**pool, "auth": auth}), SessionConfig(session)


def with_notification_filters(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return *options* with the notification filters as plain strings, under one name."""
    result = dict(options)
    classifications: list[str] | None = None
    for name in ("notifications_disabled_classifications", "notifications_disabled_categories"):
        given: Iterable[Any] | None = result.pop(name, None)
        if given is not None:
            words = _names(name, given)
            classifications = list(dict.fromkeys((*(classifications or ()), *words)))
    if classifications is not None:
        result["notifications_disabled_classifications"] = classifications
    for name in ("notifications_min_severity", "warn_notification_severity"):
        severity = result.get(name)
        if severity is not None:
            try:
                result[name] = NotificationMinimumSeverity(severity).value
            except ValueError:
                values = ", ".join(member.value for member in NotificationMinimumSeverity)
                raise ValueError(f"{name} is one of {values}, not {severity!r}") from None
    if result.get("warn_notification_severity") == "OFF":
        result["warn_notification_severity"] = None
    return result


def check_name(name: str, value: Any) -> None:
    """Raise ConfigurationError for a *value* that is neither None nor a str."""
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{name} is a str or None, not {type(value).__name__}")


def _names(name: str, given: Any) -> list[str]:
    """Return a list of names, or of enumeration members with names, as strings."""
    if isinstance(given, str):
        raise ConfigurationError(f"{name} is a list of names, not one name")
    try:
        words = [getattr(word, "value", word) for word in given]
    except TypeError:
        raise ConfigurationError(f"{name} is a list of names, not {type(given).__name__}") from None
    if not all(isinstance(word, str) for word in words):
        raise ConfigurationError(f"{name} is a list of names: each is a str")
    return words


def fitting_timeout(seconds: Any) -> float:
    """Return an acquisition timeout that makes sense.

    Raises:
        TypeError: it is no number.
        ValueError: it is not above 0.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"connection_acquisition_timeout is a number, not {type(seconds).__name__}")
    if not seconds > 0:
        raise ValueError(f"connection_acquisition_timeout is above 0, not {seconds!r}")
    return seconds


def _reject_unknown(options: Iterable[str], known: Iterable[str]) -> None:
    known = set(known)
    unknown = set(options) - known
    if unknown:
        raise UnknownArgument(unknown_arguments(unknown, known, "option"))


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise ConfigurationError(f"{name} is a number, not {value!r}")
    return value


def _positive(name: str, value: Any) -> float:
    if not _number(name, value) > 0:
        raise ConfigurationError(f"{name} is above 0, not {value!r}")
    return float(value)


class SessionOptions(TypedDict, total=False):
    """The keyword options of :meth:`AsyncDriver.session`. None, or left out, means the default.

    ``bookmarks``: what must be seen. ``default_access_mode``: READ_ACCESS or WRITE_ACCESS (default), which
    server statements go to. ``auth``: credentials of its own (Bolt 5.1+). The others are options of the
    driver, for this session alone; see :class:`DriverOptions`.
    """

    connection_acquisition_timeout: float | None
    max_transaction_retry_time: float | None
    initial_retry_delay: float | None
    retry_delay_multiplier: float | None
    retry_delay_jitter_factor: float | None
    database: str | None
    fetch_size: int | None
    impersonated_user: str | None
    bookmarks: Bookmarks | None
    default_access_mode: str | None
    bookmark_manager: Any
    auth: Any
    notifications_min_severity: Any
    notifications_disabled_categories: Iterable[Any] | None
    notifications_disabled_classifications: Iterable[Any] | None
    disable_auto_commit_retries: bool | None


class DriverOptions(TypedDict, total=False):
    """The keyword options of :meth:`AsyncGraphDatabase.driver`. None, or left out, means the default.

    Connections: ``max_connection_pool_size`` (100 for each server; negative: no limit),
    ``connection_acquisition_timeout`` (60 s for getting one: waiting, connecting, handshake, login),
    ``connection_timeout`` (30 s for TCP and TLS), ``connection_write_timeout`` (30 s in which the server
    takes nothing), ``max_connection_lifetime`` (3600 s; negative: no limit), ``liveness_check_timeout``
    (seconds of idleness after which a connection is checked before use; None: never), ``keep_alive`` (True),
    ``user_agent``, ``server_products`` (names, such as ``["Neo4j"]``, that the server's agent must begin
    with; None: any), ``versions`` (the Bolt versions to offer, in order of preference, such as
    ``[(5, 4), (4, 4)]``; None: 6.1 to 3.0).

    TLS, with the schemes ``bolt`` and ``neo4j``: ``encrypted`` (False), ``trusted_certificates``
    (TrustSystemCAs()), ``ssl_context``; with every scheme with TLS: ``client_certificate``.

    Clusters: ``resolver`` (called, or awaited, with the initial address, returns others), ``selector``
    (called with addresses and how many connections to each are in use, returns one; default: a random one of
    the least used).

    Transactions: ``max_transaction_retry_time`` (30 s), ``initial_retry_delay`` (1 s),
    ``retry_delay_multiplier`` (2), ``retry_delay_jitter_factor`` (0.2), ``disable_auto_commit_retries``
    (False).

    Statements: ``database`` (None: the user's home database), ``fetch_size`` (rows of a portion; -1: all;
    default: 1000 first, and more while the reader keeps up), ``impersonated_user``, ``bookmark_manager``.

    Notifications: ``notifications_min_severity``, ``notifications_disabled_classifications`` (and
    ``notifications_disabled_categories``) are what the server is not to send (Bolt 5.2+),
    ``warn_notification_severity`` is what Python warnings are made of (None: nothing).

    ``telemetry_disabled``: True; False lets the server know which functions of the driver are used.
    """

    max_connection_lifetime: float | None
    liveness_check_timeout: float | None
    max_connection_pool_size: float | None
    connection_timeout: float | None
    connection_write_timeout: float | None
    resolver: Callable[[Address], Any] | None
    selector: Selector | None
    encrypted: bool | None
    trusted_certificates: TrustStore | None
    client_certificate: Any
    ssl_context: ssl.SSLContext | None
    user_agent: str | None
    keep_alive: bool | None
    notifications_min_severity: Any
    notifications_disabled_categories: Iterable[Any] | None
    notifications_disabled_classifications: Iterable[Any] | None
    warn_notification_severity: Any
    telemetry_disabled: bool | None
    server_products: Iterable[str] | None
    versions: Iterable[Version] | None
    max_transaction_retry_time: float | None
    connection_acquisition_timeout: float | None
    disable_auto_commit_retries: bool | None
    initial_retry_delay: float | None
    retry_delay_multiplier: float | None
    retry_delay_jitter_factor: float | None
    database: str | None
    fetch_size: int | None
    impersonated_user: str | None
    bookmark_manager: Any
