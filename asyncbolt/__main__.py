"""``python -m asyncbolt``: which version this is, and which codec runs."""

from __future__ import annotations

import platform

from . import IMPLEMENTATION, __version__


def main() -> None:
    """Print one line."""
    codec = {"c": "compiled codec", "python": "pure-Python codec"}[IMPLEMENTATION]
    print(
        f"asyncbolt {__version__} ({codec}), {platform.python_implementation()} {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
