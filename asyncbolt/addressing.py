"""Network addresses, under the module name that the official driver has for them."""

from __future__ import annotations

from .driver.addressing import Address, IPv4Address, IPv6Address, UnixAddress

__all__ = ["Address", "IPv4Address", "IPv6Address", "UnixAddress"]
