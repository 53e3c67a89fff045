"""Managers of tokens and certificates, under the module name that the official driver has for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .driver.absent import no_attribute
from .driver.auth import (
    AsyncAuthManager,
    AsyncAuthManagers,
    AsyncClientCertificateProvider,
    AsyncClientCertificateProviders,
    AsyncRotatingClientCertificateProvider,
    AuthManager,
    ClientCertificate,
    ClientCertificateProvider,
    ExpiringAuth,
)

__all__ = [
    "AsyncAuthManager",
    "AsyncAuthManagers",
    "AsyncClientCertificateProvider",
    "AsyncClientCertificateProviders",
    "AsyncRotatingClientCertificateProvider",
    "AuthManager",
    "ClientCertificate",
    "ClientCertificateProvider",
    "ExpiringAuth",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        raise no_attribute(__name__, name)
