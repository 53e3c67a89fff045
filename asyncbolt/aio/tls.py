"""TLS settings of the client's end."""

from __future__ import annotations

import ssl as _ssl

from ..exceptions import ConfigurationError

__all__ = ["client_context"]


def client_context(ssl: bool | _ssl.SSLContext | None, tls: bool, verified: bool) -> _ssl.SSLContext | None:
    """Return the SSL context of a connection, None for one without TLS.

    Args:
        ssl: what the user gave: True (a checked certificate), False or None (as the scheme says), or a
            context.
        tls: whether the scheme asks for TLS.
        verified: whether the scheme wants the certificate checked.

    Raises:
        ConfigurationError: the scheme asks for TLS, and *ssl* forbids it.
    """
    if isinstance(ssl, _ssl.SSLContext):
        return ssl
    if ssl is not None and not isinstance(ssl, bool):
        raise ConfigurationError(f"ssl is True, False, None or an SSLContext, not {type(ssl).__name__}")
    if ssl is False and tls:
        raise ConfigurationError("ssl=False contradicts a scheme with TLS")
    if not tls and not ssl:
        return None
    context = _ssl.create_default_context()
    context.minimum_version = _ssl.TLSVersion.TLSv1_2
    if not verified:
        context.check_hostname = False
        context.verify_mode = _ssl.CERT_NONE
    return context
