"""What the URI of a driver says."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from ..client.uri import DEFAULT_PORT, unix_path
from ..exceptions import ConfigurationError
from .addressing import Address, UnixAddress

__all__ = ["Target", "parse_target"]

# scheme: (routing, TLS, certificate checked)
_SCHEMES: Final = {
    "bolt": (False, False, True),
    "bolt+s": (False, True, True),
    "bolt+ssc": (False, True, False),
    "neo4j": (True, False, True),
    "neo4j+s": (True, True, True),
    "neo4j+ssc": (True, True, False),
}
_UNIX: Final = "bolt+unix"
_RENAMED: Final = "bolt+routing"


class Target(NamedTuple):
    """Where a driver connects to, and how.

    ``context`` is the routing context: the query of a ``neo4j`` URI, with ``address`` added; None when the
    driver does not route.
    """

    scheme: str
    address: Address
    tls: bool
    verified: bool
    context: dict[str, str] | None

    @property
    def routing(self) -> bool:
        """Whether statements are routed."""
        return self.context is not None


def parse_target(uri: str) -> Target:
    """Read ``scheme://host[:port][?key=value&...]``.

    Schemes: ``bolt`` and ``neo4j`` (which routes), each also with ``+s`` (TLS, certificate checked) and
    ``+ssc`` (TLS with any certificate), and ``bolt+unix:///path``. Only ``neo4j`` has a query: the routing
    context.

    Raises:
        ConfigurationError: it is something else.
    """
    if not isinstance(uri, str):
        raise ConfigurationError(f"a URI is a string, not {type(uri).__name__}")
    parts = urlsplit(uri)
    scheme = parts.scheme
    if scheme == _UNIX:
        return Target(scheme, UnixAddress(unix_path(uri)), False, True, None)
    if scheme == _RENAMED:
        raise ConfigurationError("the scheme bolt+routing is called neo4j today")
    if scheme not in _SCHEMES:
        raise ConfigurationError(
            f"URI scheme {scheme!r} is not supported; the schemes are {', '.join((*_SCHEMES, _UNIX))}:"
            " bolt://host[:port], neo4j://host[:port][?key=value]"
        )
    routing, tls, verified = _SCHEMES[scheme]
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("a driver's URI holds no user and password: use auth=")
    if parts.path not in ("", "/") or parts.fragment:
        raise ConfigurationError(f"a path or fragment means nothing in a {scheme} URI")
    context = _routing_context(parts.query)
    if context and not routing:
        raise ConfigurationError(
            f"a {scheme} URI has no routing context (what stands behind the question mark): neo4j URIs have"
        )
    try:
        address = Address.parse(parts.netloc or ":", default_host="localhost", default_port=DEFAULT_PORT)
    except ValueError as error:
        raise ConfigurationError(f"the URI's address is wrong: {error}") from None
    if not routing:
        return Target(scheme, address, tls, verified, None)
    if "address" in context:
        raise ConfigurationError("the key 'address' of the routing context is the driver's own")
    context["address"] = str(address)
    return Target(scheme, address, tls, verified, context)


def _routing_context(query: str) -> dict[str, str]:
    context = {}
    for key, values in parse_qs(query, keep_blank_values=True).items():
        if len(values) != 1:
            raise ConfigurationError(f"the key {key!r} stands more than once in the routing context")
        if not values[0]:
            raise ConfigurationError(f"the key {key!r} of the routing context has no value")
        context[key] = values[0]
    return context
