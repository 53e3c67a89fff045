"""The examples that need no database, as a newcomer runs them."""

from __future__ import annotations

import ast
import re
import signal
import sys
from pathlib import Path

import pytest
from aiohelp import aiotest
from example_runs import EXAMPLES, run_example, serving

import asyncbolt

interrupts = pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C cannot be sent to one process there")


def test_the_echo_client_gets_its_statement_back_from_the_echo_server() -> None:
    with serving("echo_server.py") as (_, port):
        done = run_example("echo_client.py", "--host", "127.0.0.1", "--port", port, "Hello again")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, last = done.stdout.splitlines()
    assert "fields=[{'statement': 'Hello again', 'parameters': {}}]" in first
    assert "eof=False" in first
    assert "fields=None" in last
    assert "eof=True" in last


@interrupts
@pytest.mark.parametrize("name", ["echo_server.py", "subscription_server.py"])
def test_ctrl_c_ends_a_server_without_a_word(name: str) -> None:
    with serving(name) as (process, _):
        process.send_signal(signal.SIGINT)
        rest, complaint = process.communicate(timeout=30)
    assert (rest, complaint) == ("", "")
    assert process.returncode == 0


@aiotest
async def test_a_subscription_gives_rows_as_they_come_until_its_limit() -> None:
    with serving("subscription_server.py") as (_, port):
        async with asyncbolt.connect(host="127.0.0.1", port=port) as session:
            rows = await session.fetch("TICKS", {"every": 0.001, "limit": 5})
            assert rows.fields == ["tick", "time"]
            assert [tick for tick, _ in rows] == [0, 1, 2, 3, 4]
            assert all(isinstance(moment, float) for _, moment in rows)


@aiotest
async def test_an_endless_subscription_ends_when_the_client_leaves_its_loop() -> None:
    with serving("subscription_server.py") as (_, port):
        async with asyncbolt.connect(host="127.0.0.1", port=port) as session:
            seen = []
            async with session.batches("TICKS", {"every": 0.001}, fetch_size=10) as batches:
                async for batch in batches:
                    seen += [tick for tick, _ in batch]
                    if len(seen) >= 25:
                        break
            assert seen == list(range(len(seen)))
            # The same connection serves on.
            assert len(await session.fetch("TICKS", {"every": 0, "limit": 3})) == 3


@aiotest
async def test_the_subscription_server_says_what_it_knows() -> None:
    with serving("subscription_server.py") as (_, port):
        async with asyncbolt.connect(host="127.0.0.1", port=port) as session:
            with pytest.raises(asyncbolt.CypherSyntaxError, match="one statement: TICKS"):
                await session.fetch("RETURN 1")


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.name)
def test_examples_need_asyncbolt_and_the_standard_library_alone(path: Path) -> None:
    allowed = {"asyncbolt", "flights", *sys.stdlib_module_names}
    if path.parts[-2:] == ("flights", "server.py"):
        allowed.add("arcadedb")
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(str(node.module).partition(".")[0])
    assert imported - allowed == set()


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_every_example_explains_itself(name: str) -> None:
    done = run_example(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
    assert name in (EXAMPLES / "README.md").read_text(encoding="utf-8")


def test_without_a_server_the_wire_dialogue_says_so_in_one_line() -> None:
    # Port 1 of the loopback interface: nobody serves there.
    done = run_example(
        "bolt_neo4j_demo.py", "-u", "me", "-p", "sesame-7531", "--host", "127.0.0.1", "--port", 1
    )
    assert done.returncode == 1
    assert done.stderr.startswith("No connection: ")
    assert "Traceback" not in done.stderr
    assert "sesame-7531" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["driver.py", "subscription.py"])
def test_without_a_server_a_driver_says_so_in_one_line(name: str) -> None:
    # Port 1 of the loopback interface: nobody serves there.
    done = run_example(name, "bolt://127.0.0.1:1", "-u", "me", "-p", "sesame-7531")
    assert done.returncode == 1
    assert re.fullmatch(r"No connection: ServiceUnavailable: .*\n", done.stderr)
    assert "sesame-7531" not in done.stdout + done.stderr


def test_a_subscription_wants_something_to_read() -> None:
    done = run_example("subscription.py", "bolt://127.0.0.1:1", "-u", "me", "-p", "x", "--events", 0)
    assert done.returncode == 2
    assert "nothing to read" in done.stderr
