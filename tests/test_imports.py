"""Every module can be imported alone, with warnings as errors, and brings no third-party package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import asyncbolt

PACKAGE = Path(asyncbolt.__file__).parent


def modules() -> list[str]:
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [name for name in names if not name.endswith("__main__")]


# Run in the child: the top-level packages that came since `before` and are neither Python's nor ours.
THIRD_PARTY = """
new = {name.partition(".")[0] for name in set(sys.modules) - before}
# Not packages: Python's own data, named after the platform, and what each module made by Cython registers.
new -= {name for name in new if name.startswith(("_sysconfigdata", "_cython_")) or name == "cython_runtime"}
print(json.dumps(sorted(new - set(sys.stdlib_module_names) - {"asyncbolt"})))
"""


def fresh(code: str) -> str:
    """What ``code`` prints in an isolated interpreter."""
    # Not -I alone: the package that is tested must be the one that the child finds.
    found = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n"
    command = [sys.executable, "-I", "-bb", "-W", "error", "-c", found + code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("name", modules())
def test_module_is_importable_alone(name):
    fresh(f"import {name}")


def test_import_brings_no_third_party_package():
    told = fresh(f"import json\nbefore = set(sys.modules)\nimport asyncbolt\n{THIRD_PARTY}")
    assert json.loads(told) == []


def test_every_module_together_brings_no_third_party_package():
    imports = f"for name in {modules()!r}: importlib.import_module(name)\n"
    told = fresh(f"import importlib, json\nbefore = set(sys.modules)\n{imports}{THIRD_PARTY}")
    assert json.loads(told) == []


def test_import_reads_no_event_loop_policy_and_starts_no_thread():
    told = fresh(
        "import threading\nimport asyncbolt\nprint(threading.active_count(), 'uvloop' in sys.modules)"
    )
    assert told.split() == ["1", "False"]
