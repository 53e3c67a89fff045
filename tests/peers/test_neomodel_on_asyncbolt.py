"""neomodel, an object mapper made for the official driver, runs on asyncbolt as it does on that one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from third_party import installed_alone

import asyncbolt

SCRIPT = Path(__file__).with_name("neomodel_script.py")
PLACE = Path(asyncbolt.__file__).parent.parent

ON_ASYNCBOLT = """
import asyncbolt.compat
asyncbolt.compat.as_neo4j()
"""
CHECKED = """
official = [name for name in sys.modules if name.startswith("neo4j._")]
assert bool(official) is not on_asyncbolt, official
"""


def told(server, *, on_asyncbolt):
    """What the script prints, on either driver."""
    packages = installed_alone("neomodel==7.0.0", "typing-extensions==4.16.0")
    code = "\n".join(
        [
            f"import runpy, sys\non_asyncbolt = {on_asyncbolt}",
            f"sys.path[:0] = [{str(PLACE)!r}, {str(packages)!r}]",
            ON_ASYNCBOLT if on_asyncbolt else "",
            f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')",
            CHECKED,
        ]
    )
    uri = f"bolt://{server.user}:{server.password}@127.0.0.1:{server.port}"
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-bb", "-c", code, uri, server.database],
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        clear(server)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def clear(server):
    async def main():
        uri = f"bolt://127.0.0.1:{server.port}"
        async with asyncbolt.connect(uri, auth=server.auth, database=server.database) as session:
            await session.execute("MATCH (n:Person) DETACH DELETE n")

    asyncbolt.run(main())


def test_neomodel(arcadedb):
    ours = told(arcadedb, on_asyncbolt=True)
    assert ours == told(arcadedb, on_asyncbolt=False)
    assert ours["nodes"] == [
        True,
        31,
        {"likes": ["tea"]},
        ["Ann", "Bob", "Cid"],
        ["Cid", "Bob"],
        None,
        ["Ann", "Bob", "Cid"],
    ]
    assert ours["relationships"] == [["Bob"], 2020, True, True]
    assert ours["queries"] == [[[3, "x"], [1, "x"], [2, "x"]], "Ann", ["p"], 1, ["Ann", "Bob"]]
    assert ours["transactions"] == [[4, 3, 4, 4, 3], "Bookmarks", 1]
    assert ours["errors"][0] == ["CypherSyntaxError", True, "Neo.ClientError.Statement.SyntaxError"]
