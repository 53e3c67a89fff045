"""The warnings of the driver, under the module name that the official driver has for them."""

from __future__ import annotations

from .driver.notifications import Neo4jDeprecationWarning, Neo4jWarning, PreviewWarning

__all__ = ["Neo4jDeprecationWarning", "Neo4jWarning", "PreviewWarning"]
