"""What a driver knows of the server that answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .addressing import Address

__all__ = ["ServerInfo"]


class ServerInfo:
    """The server of a connection: ``await driver.get_server_info()`` and ``summary.server`` give it.

    Args:
        address: Where it is.
        protocol_version: The Bolt version that was agreed on: (major, minor).
        agent: What it calls itself, such as ``"Neo4j/5.26.0"``.
        connection_id: Its name for the connection, as in its logs and in ``SHOW TRANSACTIONS``.
    """

    __slots__ = ("__weakref__", "_address", "_agent", "_connection_id", "_protocol_version")

    def __init__(
        self,
        address: Address,
        protocol_version: tuple[int, int],
        agent: str | None = None,
        connection_id: str | None = None,
    ) -> None:
        self._address = address
        self._protocol_version = protocol_version
        self._agent = agent or ""
        self._connection_id = connection_id or ""

    @property
    def address(self) -> Address:
        """Where the server is."""
        return self._address

    @property
    def protocol_version(self) -> tuple[int, int]:
        """The Bolt version of the connection: (major, minor)."""
        return self._protocol_version

    @property
    def agent(self) -> str:
        """What the server calls itself, such as ``"Neo4j/5.26.0"``; empty when it did not say."""
        return self._agent

    @property
    def connection_id(self) -> str:
        """The server's name for the connection; empty when it gave none."""
        return self._connection_id

    def update(self, metadata: Mapping[str, Any]) -> None:
        """Take ``server`` and ``connection_id`` from the metadata of the answer to HELLO."""
        self._agent = str(metadata.get("server", self._agent))
        self._connection_id = str(metadata.get("connection_id", self._connection_id))

    def __repr__(self) -> str:
        major, minor = self._protocol_version
        return f"<ServerInfo {self._agent!r} at {self._address} over Bolt {major}.{minor}>"
