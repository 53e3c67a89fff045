"""Packages from PyPI that need the official driver, without it and without what else they ask for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["installed_alone"]

_CACHE = Path(__file__).parents[2] / ".cache"


def installed_alone(*requirements: str) -> Path:
    """A folder for ``sys.path`` with exactly these packages (``name==version``), and none that they need."""
    tag = "+".join(requirement.replace("==", "-") for requirement in requirements)
    home = _CACHE / f"{tag}-{sys.implementation.cache_tag}"
    done = home / "installed"
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        ran = subprocess.run(
            [*command, "--target", home, *requirements], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if ran.returncode:
            raise RuntimeError(f"no {tag}:\n{ran.stdout.decode()}")
        done.touch()
    return home
