"""Names for access modes, databases and URI schemes."""

from __future__ import annotations

import enum
from typing import Final

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
    "RoutingControl",
]

READ_ACCESS: Final = "READ"
"""Access mode of work that reads only: any member of a cluster may do it."""

WRITE_ACCESS: Final = "WRITE"
"""Access mode of work that may write."""

SYSTEM_DATABASE: Final = "system"
"""Name of the database that knows of users, roles and databases."""

DEFAULT_DATABASE: Final = None
"""In place of a database name: the home database of the user."""

URI_SCHEME_BOLT: Final = "bolt"
URI_SCHEME_BOLT_SECURE: Final = "bolt+s"
URI_SCHEME_BOLT_SELF_SIGNED_CERTIFICATE: Final = "bolt+ssc"
URI_SCHEME_BOLT_UNIX: Final = "bolt+unix"
URI_SCHEME_NEO4J: Final = "neo4j"
URI_SCHEME_NEO4J_SECURE: Final = "neo4j+s"
URI_SCHEME_NEO4J_SELF_SIGNED_CERTIFICATE: Final = "neo4j+ssc"

URI_SCHEME_BOLT_ROUTING: Final = "bolt+routing"
"""What ``neo4j`` was called before 2020; refused with an error that says so."""


class RoutingControl(str, enum.Enum):
    """Which members of a cluster ``execute_query`` may ask. ``"r"`` and ``"w"`` mean the same."""

    READ = "r"
    WRITE = "w"
