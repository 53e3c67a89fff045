"""The version of the package, kept here and nowhere else."""

from __future__ import annotations

from typing import Final

__all__ = ["__version__"]

__version__: Final = "1.0.0.dev0"
"""The version of asyncbolt, as in PEP 440."""
