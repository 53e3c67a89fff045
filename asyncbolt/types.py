"""Values that this Bolt version cannot carry, under the module name that the official driver has for them."""

from __future__ import annotations

from .vector import UnsupportedType

__all__ = ["UnsupportedType"]
