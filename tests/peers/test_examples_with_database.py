"""The examples against a real database, as a newcomer runs them."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arcadedb_server import ArcadeDB
from example_runs import EXAMPLES, example, run_example
from neo4j_server import Neo4j

import asyncbolt

LOGIN = re.compile(r"\bC: (HELLO|LOGON) ")


def uri_of(server: ArcadeDB | Neo4j) -> str:
    assert server.auth is not None
    user, password = server.auth
    return f"bolt://{user}:{password}@{server.host}:{server.port}"


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


def assert_all_equal(done: subprocess.CompletedProcess[str], flights: int) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DIFFERENT" not in done.stdout
    assert f"codec {asyncbolt.IMPLEMENTATION}," in done.stdout
    counts = dict(re.findall(r"^  (\S+) +([\d,]+) +[\d,]+   equal$", done.stdout, re.MULTILINE))
    assert list(counts) == [
        "(:Airline)", "(:Airport)", "(:Plane)", "(:Flight)", "[:FROM]", "[:TO]", "[:BY]", "[:WITH]"
    ]  # fmt: skip
    assert counts["(:Airline)"] == "16"
    assert counts["(:Airport)"] == "1,458"
    assert counts["(:Plane)"] == "3,322"
    assert counts["(:Flight)"] == counts["[:FROM]"] == counts["[:BY]"] == f"{flights:,}"
    assert done.stdout.count("?\n") == 5
    for what in ("nodes", "relationships", "rows read"):
        assert re.search(rf"^  {what} +[\d,]+ in +[\d.]+ s = +[\d,]+/s$", done.stdout, re.MULTILINE)
    assert re.search(r"^All equal, in \d+ s\.$", done.stdout, re.MULTILINE)
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr


@pytest.mark.usefixtures("arcadedb")
def test_the_demo_starts_its_own_database_and_leaves_nothing(tmp_path: Path) -> None:
    done = run_example("flights_demo.py", "--flights", 2000, TMPDIR=str(tmp_path))
    assert_all_equal(done, 2000)
    assert re.search(
        r"^Server: .*ArcadeDB.* at bolt://127\.0\.0\.1:\d+, Bolt 5\.4$", done.stdout, re.MULTILINE
    )
    pid = re.search(r"^ArcadeDB runs as process (\d+)$", done.stdout, re.MULTILINE)
    assert pid is not None
    assert not alive(int(pid[1]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("arcadedb")
@pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to one process there")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_an_interrupted_demo_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with example("flights_demo.py", "--all", TMPDIR=str(tmp_path)) as process:
        assert process.stdout is not None
        pid = 0
        for line in process.stdout:
            if line.startswith("ArcadeDB runs as process"):
                pid = int(line.split()[-1])
            if line.startswith("Loading"):
                break
        assert alive(pid)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in complaint
    assert not alive(pid)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("arcadedb")
def test_the_database_ends_with_the_demo_that_started_it(tmp_path: Path) -> None:
    # The parent's end of the pipe closes, as it does when the parent is killed.
    command = [sys.executable, "-P", str(EXAMPLES / "flights" / "server.py"), str(tmp_path / "data")]
    (tmp_path / "data").mkdir()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("a-password\n")
        process.stdin.flush()
        assert "port" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import flights_demo

    yield flights_demo


TAMPERING = {
    "a flight less": "MATCH (f:Flight) WITH f ORDER BY f.id LIMIT 1 DETACH DELETE f",
    "an airline more": "CREATE (:Airline {carrier: 'XX', name: 'Nobody'})",
    "a relationship less": "MATCH (:Flight)-[r:BY]->(:Airline) WITH r LIMIT 1 DELETE r",
    "a delay later": "MATCH (f:Flight) WHERE f.arr_delay IS NOT NULL WITH f ORDER BY f.id LIMIT 1 "
    "SET f.arr_delay = f.arr_delay + 1",
}


@pytest.mark.parametrize("what", TAMPERING)
def test_the_demo_fails_when_the_database_differs(
    what: str,
    demo: Any,
    arcadedb: ArcadeDB,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    honest = demo.load.load

    async def dishonest(session: Any, flights: Any, rates: Any) -> None:
        await honest(session, flights, rates)
        await session.execute(TAMPERING[what])

    monkeypatch.setattr(demo.load, "load", dishonest)
    code = demo.main(["--flights", "50", "--server", uri_of(arcadedb), "--replace"])
    said = capsys.readouterr()
    assert code == 1, said.out + said.err
    assert "DIFFERENT: the database and the CSV files do not agree" in said.out
    assert "All equal" not in said.out


def test_data_that_is_there_already_is_not_touched(arcadedb: ArcadeDB) -> None:
    async def ask(statement: str) -> Any:
        async with asyncbolt.connect(arcadedb.uri, auth=arcadedb.auth) as session:
            return (await session.fetch(statement))[0][0]

    asyncio.run(ask("CREATE (n:Airport {faa: 'XYZ'}) RETURN n"))
    refused = run_example("flights_demo.py", "--flights", 20, "--server", uri_of(arcadedb))
    assert refused.returncode == 2
    assert "already holds" in refused.stderr and "--replace" in refused.stderr
    assert arcadedb.password not in refused.stdout + refused.stderr
    assert asyncio.run(ask("MATCH (n:Airport {faa: 'XYZ'}) RETURN count(n)")) == 1
    replaced = run_example("flights_demo.py", "--flights", 20, "--server", uri_of(arcadedb), "--replace")
    assert_all_equal(replaced, 20)
    assert asyncio.run(ask("MATCH (n:Airport {faa: 'XYZ'}) RETURN count(n)")) == 0


def assert_dialogue(done: subprocess.CompletedProcess[str], password: str) -> None:
    text = done.stdout
    assert done.returncode == 0, text + done.stderr
    assert done.stderr == ""
    # The password is neither in words nor in hex to be seen, and the login is.
    assert password not in text
    assert password.encode().hex() not in re.sub(r"\s", "", text)
    assert LOGIN.search(text)
    assert "credentials: *******" in text
    for title in ("Running", "Pipelining", "A failure", "Result metadata", "Explaining", "Profiling",
                  "Notifications", "Some nodes", "Deleting", "Resetting", "Closing"):  # fmt: skip
        assert f"--- {title}" in text
    assert "offers 6060b017 " in text
    assert re.search(r"C: RUN 'RETURN 1 AS num' ", text)
    assert re.search(r"S: RECORD \[1\]", text)
    assert "S: FAILURE " in text
    assert "C: RESET" in text
    assert "fields=[1], metadata={" in text
    assert "Client raised CypherSyntaxError:" in text
    assert "fields=['all is well']" in text
    assert "AsyncboltDemo" in text and "'Alice'" in text
    assert "The plan: {" in text and "The profile: {" in text
    assert "fields=['Successfully reset server session'], metadata={}, eof=True" in text
    assert re.search(r"^Finished in [\d.]+ s$", text, re.MULTILINE)


def test_the_wire_dialogue(arcadedb: ArcadeDB) -> None:
    user, password = arcadedb.auth
    where = ("--host", arcadedb.host, "--port", arcadedb.port)
    assert_dialogue(run_example("bolt_neo4j_demo.py", "-u", user, "-p", password, *where), password)
    assert_dialogue(run_example("bolt_neo4j_demo.py", "-u", user, *where, BOLT_PASSWORD=password), password)
    refused = run_example("bolt_neo4j_demo.py", "-u", user, "-p", "sesame-7531", *where)
    assert refused.returncode == 1
    assert refused.stderr.startswith("No connection: AuthError: ")
    assert "sesame-7531" not in refused.stdout + refused.stderr
    assert b"sesame-7531".hex() not in re.sub(r"\s", "", refused.stdout)


def test_a_csv_file_goes_in_and_comes_out(arcadedb: ArcadeDB, tmp_path: Path) -> None:
    people = [["name", "age", "height in m"], *([f"Person, {n}", str(n), f"{n / 8}"] for n in range(1, 5001))]
    people.append(["Nobody", "", ""])
    with open(tmp_path / "people.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(people)

    loaded = run_example("ingest.py", uri_of(arcadedb), tmp_path / "people.csv", "Person`s")
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stderr == ""
    assert loaded.stdout.startswith("5001 nodes in ")

    statement = "MATCH (p:`Person``s`) RETURN p.name AS name, p.age AS age, p.`height in m` AS `height in m`"
    read = run_example("bulk_read.py", uri_of(arcadedb), statement)
    assert read.returncode == 0, read.stderr
    assert re.fullmatch(r"5001 rows in [\d.]+ s = [\d,]+/s\n", read.stderr)
    header, *rows = csv.reader(io.StringIO(read.stdout, newline=""))
    assert header == people[0]
    assert sorted(rows) == sorted(people[1:])


def assert_driver(done: subprocess.CompletedProcess[str], agent: str) -> None:
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.startswith("names: ['Grace', 'Katherine'], from ") and agent in first
    assert rest == [
        "Ada knows Grace",
        "Ada, born 1815", "Grace, born 1906", "Katherine, born 1918",
        "10000 nodes, their sum is 49995000",
        "Given up after 0.25 s",
        "still at work",
    ]  # fmt: skip


def assert_subscription(done: subprocess.CompletedProcess[str], events: int) -> None:
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    first, *pages, last = done.stdout.splitlines()
    held = re.fullmatch(r"first: dies with the events up to (\d+) in its hands", first)
    read = [re.fullmatch(r"second: (\d+) events up to (\d+)", page) for page in pages]
    assert held is not None and all(read)
    # What the first consumer held comes again, and then the rest, each event once.
    counts = [(int(page[1]), int(page[2])) for page in read if page is not None]
    assert [position for _, position in counts] == list(itertools.accumulate(count for count, _ in counts))
    assert counts[0][1] >= int(held[1]) and counts[-1][1] == events
    total = sum(number * number for number in range(1, events + 1))
    assert last == f"The sum is {total}, and should be {total}."


def login(server: ArcadeDB | Neo4j, scheme: str) -> tuple[str, ...]:
    assert server.auth is not None
    return f"{scheme}://{server.host}:{server.port}", "-u", server.auth[0], "--database", server.database


def left(server: ArcadeDB | Neo4j) -> Any:
    async def ask() -> Any:
        async with asyncbolt.connect(server.uri, auth=server.auth) as session:
            return await session.fetch(
                "MATCH (n) WHERE n:AsyncboltDemo OR n:AsyncboltEvent OR n:AsyncboltSum OR n:AsyncboltPosition"
                " RETURN count(n)"
            )

    return asyncio.run(ask())[0][0]


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
def test_what_a_driver_does(scheme: str, arcadedb: ArcadeDB) -> None:
    assert_driver(
        run_example("driver.py", *login(arcadedb, scheme), BOLT_PASSWORD=arcadedb.password), "ArcadeDB"
    )
    assert left(arcadedb) == 0
    refused = run_example("driver.py", *login(arcadedb, scheme), "-p", "sesame-7531")
    assert refused.returncode == 1
    assert refused.stderr.startswith("No connection: ") and "Traceback" not in refused.stderr
    assert "sesame-7531" not in refused.stdout + refused.stderr


@pytest.mark.parametrize("events", [1, 25])
def test_a_subscription_reads_each_event_once(events: int, arcadedb: ArcadeDB) -> None:
    done = run_example(
        "subscription.py", *login(arcadedb, "bolt"), "--events", events, BOLT_PASSWORD=arcadedb.password
    )
    assert_subscription(done, events)
    assert left(arcadedb) == 0


@pytest.mark.neo4j
def test_a_driver_and_a_subscription_on_neo4j(neo4j: Neo4j) -> None:
    assert_driver(run_example("driver.py", *login(neo4j, "neo4j"), BOLT_PASSWORD=neo4j.password), "Neo4j/")
    done = run_example("subscription.py", *login(neo4j, "neo4j"), BOLT_PASSWORD=neo4j.password)
    assert_subscription(done, 25)
    assert left(neo4j) == 0


@pytest.mark.neo4j
def test_the_demo_on_neo4j(neo4j: Neo4j) -> None:
    done = run_example("flights_demo.py", "--flights", 2000, "--server", uri_of(neo4j), "--replace")
    assert_all_equal(done, 2000)
    assert f"Server: Neo4j/{neo4j.version} at " in done.stdout


@pytest.mark.neo4j
def test_the_wire_dialogue_on_neo4j(neo4j: Neo4j) -> None:
    where = ("--host", neo4j.host, "--port", neo4j.port)
    done = run_example("bolt_neo4j_demo.py", "-u", neo4j.user, "-p", neo4j.password, *where)
    assert_dialogue(done, neo4j.password)
