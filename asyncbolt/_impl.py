"""Chooses the compiled or the pure-Python twin of the codec, once per process.

``ASYNCBOLT_IMPL`` (environment) decides: unset takes the compiled twin if it can be imported and the pure one
otherwise, ``c`` or ``python`` take exactly that one.
"""

from __future__ import annotations

import os
from typing import Final

__all__ = ["IMPLEMENTATION"]


def _choose() -> str:
    wanted = os.environ.get("ASYNCBOLT_IMPL", "").strip().lower()
    if wanted == "python":
        return "python"
    if wanted not in ("", "c"):
        raise ImportError(f"ASYNCBOLT_IMPL is {wanted!r}: it takes 'c', 'python' or nothing")
    try:
        # Both or none: a mixture of twins is never tested.
        from . import _chunking, _packstream  # noqa: F401
    except ImportError as exc:
        if wanted == "c":
            raise ImportError(
                f"ASYNCBOLT_IMPL is 'c', but the compiled codec cannot be imported: {exc}"
            ) from exc
        return "python"
    return "c"


IMPLEMENTATION: Final[str] = _choose()
"""Which codec runs: ``"c"`` or ``"python"``."""
