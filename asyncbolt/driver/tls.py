"""Trust: which certificates a driver accepts, and which it shows."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any

from .._hints import reason
from ..exceptions import CertificateConfigurationError, ConfigurationError
from .supplied import supplied

if TYPE_CHECKING:
    from ..aio._clock import Deadline
    from .config import PoolConfig

__all__ = ["TlsContexts", "TrustAll", "TrustCustomCAs", "TrustStore", "TrustSystemCAs"]


class TrustStore:
    """Which certificates of servers are accepted: one of the subclasses."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class TrustSystemCAs(TrustStore):
    """Those that an authority vouches for that this system trusts; the host's name is checked."""

    __slots__ = ()


class TrustAll(TrustStore):
    """Any certificate: the connection is encrypted, but who is at its other end is not checked."""

    __slots__ = ()


class TrustCustomCAs(TrustStore):
    """Those that one of the given authorities vouches for; the host's name is checked.

    Args:
        certificates: paths of PEM files.
    """

    __slots__ = ("certs",)

    def __init__(self, *certificates: str) -> None:
        self.certs = certificates

    def __repr__(self) -> str:
        return f"TrustCustomCAs({', '.join(map(repr, self.certs))})"


class TlsContexts:
    """Makes the SSL context of a driver, again each time its client certificate has changed."""

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        # One pair, since threads share it: the context, and the certificate that it was made with.
        self._latest: tuple[ssl.SSLContext | None, Any] = (None, None)

    async def context(self, deadline: Deadline) -> ssl.SSLContext | None:
        """Return the context for the next connection; None: no TLS.

        Args:
            deadline: when the provider of the client's certificate must have answered.

        Raises:
            ConfigurationError: files of certificates cannot be read, or are no certificates.
        """
        config = self._config
        if config.ssl_context is not None:
            return config.ssl_context
        if not config.encrypted:
            return None
        certificate = None
        provider = config.client_certificate
        if provider is not None:
            certificate = await supplied(provider.get_certificate(), deadline, "get_certificate()")
        context, known = self._latest
        # None stands for the one that was given last.
        if certificate is None:
            certificate = known
        if context is None or certificate is not known:
            context = _new_context(config.trusted_certificates, certificate)
            self._latest = context, certificate
        return context


def _new_context(trust: TrustStore, certificate: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # What the standard library's own contexts do for those who look into their traffic.
    keylog = os.environ.get("SSLKEYLOGFILE")
    if keylog:
        context.keylog_filename = keylog
    if isinstance(trust, TrustAll):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif isinstance(trust, TrustCustomCAs):
        for path in trust.certs:
            try:
                context.load_verify_locations(path)
            except (OSError, ssl.SSLError) as error:
                raise ConfigurationError(
                    f"no certificates of authorities in {path!r}: {reason(error)}"
                ) from error
    else:
        context.load_default_certs()
    if certificate is not None:
        try:
            context.load_cert_chain(
                certificate.certfile,
                certificate.keyfile,
                _no_password if certificate.password is None else certificate.password,
            )
        except (OSError, ssl.SSLError, ValueError) as error:
            raise CertificateConfigurationError(
                f"the client certificate {certificate.certfile!r} cannot be used: {reason(error)}"
            ) from error
    return context


def _no_password() -> str:
    # OpenSSL would ask for it at the terminal, and hold up the event loop.
    raise ValueError("its key is encrypted, and no password was given")
