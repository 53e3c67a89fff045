"""Tokens, bookmarks and constants, under the module name that the official driver has for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .driver.absent import no_attribute
from .driver.auth import Auth, AuthToken, basic_auth, bearer_auth, custom_auth, kerberos_auth
from .driver.bookmarks import AsyncBookmarkManager, BookmarkManager, Bookmarks
from .driver.constants import (
    DEFAULT_DATABASE,
    READ_ACCESS,
    SYSTEM_DATABASE,
    URI_SCHEME_BOLT,
    URI_SCHEME_BOLT_ROUTING,
    URI_SCHEME_BOLT_SECURE,
    URI_SCHEME_BOLT_SELF_SIGNED_CERTIFICATE,
    URI_SCHEME_BOLT_UNIX,
    URI_SCHEME_NEO4J,
    URI_SCHEME_NEO4J_SECURE,
    URI_SCHEME_NEO4J_SELF_SIGNED_CERTIFICATE,
    WRITE_ACCESS,
)
from .driver.server_info import ServerInfo

__all__ = [
    "DEFAULT_DATABASE",
    "READ_ACCESS",
    "SYSTEM_DATABASE",
    "URI_SCHEME_BOLT",
    "URI_SCHEME_BOLT_ROUTING",
    "URI_SCHEME_BOLT_SECURE",
    "URI_SCHEME_BOLT_SELF_SIGNED_CERTIFICATE",
    "URI_SCHEME_BOLT_UNIX",
    "URI_SCHEME_NEO4J",
    "URI_SCHEME_NEO4J_SECURE",
    "URI_SCHEME_NEO4J_SELF_SIGNED_CERTIFICATE",
    "WRITE_ACCESS",
    "AsyncBookmarkManager",
    "Auth",
    "AuthToken",
    "BookmarkManager",
    "Bookmarks",
    "ServerInfo",
    "basic_auth",
    "bearer_auth",
    "custom_auth",
    "kerberos_auth",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        raise no_attribute(__name__, name)
