"""Addresses: what a URI says."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from ..exceptions import ConfigurationError

__all__ = ["DEFAULT_PORT", "Address", "parse_uri", "unix_path"]

DEFAULT_PORT: Final = 7687

# scheme: (TLS, certificate checked)
_SCHEMES: Final = {"bolt": (False, True), "bolt+s": (True, True), "bolt+ssc": (True, False)}
_UNIX: Final = "bolt+unix"
_ROUTING: Final = frozenset(("neo4j", "neo4j+s", "neo4j+ssc"))


class Address(NamedTuple):
    """Where a server is, and how to talk to it; with a *path*, which is *host* too, it is a Unix socket."""

    host: str
    port: int
    tls: bool = False
    verified: bool = True
    user: str | None = None
    password: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r}, tls={self.tls}, verified={self.verified})"


def parse_uri(uri: str) -> Address:
    """Read ``scheme://[user:password@]host[:port]``; schemes: ``bolt``, ``bolt+s`` and ``bolt+ssc``.

    ``+s`` is TLS with a certificate that is checked, ``+ssc`` TLS with any certificate. ``bolt+unix:///path``
    is a Unix socket.

    Raises:
        ConfigurationError: it is something else.
    """
    if not isinstance(uri, str):
        raise ConfigurationError(f"a URI is a string, not {type(uri).__name__}")
    scheme, separator, _ = uri.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise ConfigurationError(f"{_shown(uri)} is no URI: bolt://host:port is expected")
    if scheme in _ROUTING:
        raise ConfigurationError(
            f"{scheme}:// needs a routing driver, such as asyncbolt.AsyncGraphDatabase; one connection to one"
            f" server is {scheme.replace('neo4j', 'bolt')}://"
        )
    if scheme == _UNIX:
        path = unix_path(uri)
        return Address(path, 0, path=path)
    if scheme not in _SCHEMES:
        raise ConfigurationError(f"unknown scheme {scheme}://, known are {', '.join(_SCHEMES)}, {_UNIX}")
    parts = urlsplit(uri)
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{_shown(uri)}: the port is no number from 0 to 65535") from error
    if not parts.hostname:
        raise ConfigurationError(f"{_shown(uri)} names no host")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigurationError(f"{_shown(uri)}: a path, query or fragment means nothing here")
    tls, verified = _SCHEMES[scheme]
    return Address(
        parts.hostname,
        DEFAULT_PORT if port is None else port,
        tls,
        verified,
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def unix_path(uri: str) -> str:
    """Return the path of a Unix socket's URI, ``bolt+unix:///path``.

    Raises:
        ConfigurationError: there is none, or something else beside it.
    """
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if parts.netloc or path in ("", "/") or parts.query or parts.fragment:
        raise ConfigurationError(f"{_shown(uri)}: bolt+unix:///path/of/the/socket is expected")
    return path


def _shown(uri: str) -> str:
    """Return *uri* without the password that it may hold."""
    scheme, separator, rest = uri.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{separator}{user.partition(':')[0]}{at}{host}"
