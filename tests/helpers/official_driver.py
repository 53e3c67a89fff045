"""The official Python driver, each version in an environment of its own under ``.cache``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["python_with_driver"]

_CACHE = Path(__file__).parents[2] / ".cache"


def python_with_driver(version: str) -> Path:
    """The interpreter of an environment with ``neo4j==version``."""
    tag = f"neo4j-{version}-{sys.implementation.cache_tag}"
    home = _CACHE / tag
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (home / "done").exists():
        _CACHE.mkdir(exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        with tempfile.TemporaryFile() as log:
            for command in (
                [sys.executable, "-m", "venv", home],
                [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", f"neo4j=={version}"],
            ):
                if subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode:
                    log.seek(0)
                    raise RuntimeError(f"no environment for neo4j {version}:\n{log.read().decode()}")
        (home / "done").touch()
    return python
