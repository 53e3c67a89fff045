"""PackStream, one value at a time: :func:`pack` and :func:`unpack`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._impl import IMPLEMENTATION

if TYPE_CHECKING or IMPLEMENTATION == "python":
    from ._packstream_py import cast_rows as cast_rows
    from ._packstream_py import pack, unpack
else:
    from ._packstream import cast_rows as cast_rows
    from ._packstream import pack, unpack

__all__ = ["pack", "unpack"]
