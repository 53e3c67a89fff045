"""A certificate for 127.0.0.1 and localhost that nobody trusts but who asks for it here."""

from __future__ import annotations

import ssl
from pathlib import Path

__all__ = ["CERTIFICATE", "client_context", "server_context"]

_FOLDER = Path(__file__).parents[1] / "data" / "tls"
CERTIFICATE = _FOLDER / "cert.pem"


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, _FOLDER / "key.pem")
    return context


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATE))
