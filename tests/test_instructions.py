"""benchmarks/instructions.py: what it says about counts. Nothing is counted here, which needs valgrind."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import instructions
import pytest

HERE = "cpython-3.11.7 shared by-gcc-12.2.0 gcc-12.2.0 cython-3.3.1 x86_64 glibc-2.36"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (100.0, None),
        (105.0, None),  # just 5 %
        (105.1, "more"),
        (95.0, None),
        (94.9, "less"),
        (200.0, "more"),
    ],
)
def test_border(count, said):
    found = instructions.compare({"read int": count}, {"read int": 100.0}, ["read int"])
    assert found.failed is (said == "more")
    assert list(found.more) == (["read int"] if said == "more" else [])
    assert list(found.less) == (["read int"] if said == "less" else [])
    assert bool(found.lines()) is (said is not None)


def test_names_the_path_and_the_change():
    found = instructions.compare({"a": 110.0, "b": 100.0}, {"a": 100.0, "b": 100.0}, ["a", "b"])
    assert found.lines() == ["a: 10.0 % MORE than stored"]


def test_less_is_said_but_no_failure():
    found = instructions.compare({"a": 50.0}, {"a": 100.0}, ["a"])
    assert not found.failed
    assert found.lines()[0] == "a: 50.0 % less than stored"
    assert "--store" in found.lines()[1]


def test_path_without_a_stored_count_fails():
    found = instructions.compare({"new": 1.0}, {}, ["new"])
    assert found.failed
    assert found.lines() == ["new: nothing stored; make instructions ARGS=--store"]


def test_stored_path_that_is_gone_fails():
    found = instructions.compare({"a": 1.0}, {"a": 1.0, "gone": 1.0}, ["a"])
    assert found.failed
    assert found.uncounted == ["gone"]


def test_only_some_paths_counted():
    found = instructions.compare({"a": 1.0}, {"a": 1.0, "b": 1.0}, ["a", "b"])
    assert not found.failed


def test_table():
    lines = instructions.table({"a": 110.0, "b": 1.0}, {"a": 100.0}).splitlines()
    assert lines[1].split() == ["a", "110.0", "100.0", "+10.0", "%"]
    assert lines[2].split() == ["b", "1.0"]


@pytest.fixture
def program(monkeypatch, tmp_path):
    """The program with counts given instead of counted: a function of its arguments."""
    monkeypatch.setattr(instructions, "STORED", tmp_path / "instructions.json")
    monkeypatch.setattr(instructions, "package_folder", lambda: tmp_path)
    monkeypatch.setattr(instructions, "environment", lambda packages: HERE)
    monkeypatch.setattr(instructions, "path_names", lambda: ["read int", "write int"])

    def run(*arguments, counts):
        monkeypatch.setattr(
            instructions, "count", lambda packages, names: {name: counts[name] for name in names}
        )
        monkeypatch.setattr(sys, "argv", ["instructions.py", *arguments])
        return instructions.main()

    return run


def test_store_and_check(program, capsys):
    counts = {"read int": 100.0, "write int": 50.0}
    assert program("--store", counts=counts) == 0
    assert json.loads(instructions.STORED.read_text()) == {HERE: counts}
    assert program("--check", counts=counts) == 0
    assert program("--check", counts={**counts, "write int": 53.0}) == 1
    assert "write int: 6.0 % MORE" in capsys.readouterr().out
    # Part of the entry is stored anew, and the rest of it stays.
    assert program("--store", "--only", "write", counts={**counts, "write int": 53.0}) == 0
    assert json.loads(instructions.STORED.read_text()) == {HERE: {"read int": 100.0, "write int": 53.0}}


def test_other_environments_are_kept(program):
    instructions.STORED.write_text(json.dumps({"another": {"read int": 1.0}}))
    program("--store", counts={"read int": 100.0, "write int": 50.0})
    assert sorted(json.loads(instructions.STORED.read_text())) == ["another", HERE]


def test_unknown_environment_is_counted_at_the_commit_that_stored(program, monkeypatch, capsys):
    instructions.STORED.write_text(json.dumps({"another": {"read int": 1.0, "write int": 1.0}}))
    monkeypatch.setattr(
        instructions, "count_stored", lambda here, packages, names: {"read int": 100.0, "write int": 40.0}
    )
    assert program("--check", counts={"read int": 100.0, "write int": 50.0}) == 1
    assert "write int: 25.0 % MORE" in capsys.readouterr().out
    assert program("--check", counts={"read int": 100.0, "write int": 40.0}) == 0


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_that_stored(monkeypatch, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    stored = whole / "benchmarks/instructions.json"
    monkeypatch.setattr(instructions, "ROOT", whole)
    monkeypatch.setattr(instructions, "STORED", stored)
    with pytest.raises(instructions.Failed, match="no clone"):
        instructions.storing_commit()
    git(whole, "init", "-q")
    stored.parent.mkdir()
    for number in (1, 2, 3):
        (whole / "other").write_text(str(number))
        if number == 2:
            stored.write_text("{}")
        git(whole, "add", ".")
        git(whole, "commit", "-q", "-m", str(number))
    assert instructions.storing_commit() == git(whole, "rev-parse", "HEAD~1")
    git(tmp_path, "clone", "-q", "--depth", "1", whole.as_uri(), "shallow")
    monkeypatch.setattr(instructions, "ROOT", tmp_path / "shallow")
    monkeypatch.setattr(instructions, "STORED", tmp_path / "shallow/benchmarks/instructions.json")
    with pytest.raises(instructions.Failed, match="fetch-depth: 0"):
        instructions.storing_commit()


def test_without_valgrind(monkeypatch):
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    with pytest.raises(instructions.Failed, match="apt-get install valgrind"):
        instructions.count(Path(), ["read int"])


def test_environment(monkeypatch, tmp_path):
    (tmp_path / "asyncbolt").mkdir()
    with pytest.raises(instructions.Failed, match="not built"):
        instructions.environment(tmp_path)
    suffix = instructions.sysconfig.get_config_var("EXT_SUFFIX")
    for name in ("_packstream", "_chunking"):
        content = b"\0_cython_3_3_1.cython_function\0GCC: (Debian 12.2.0-14) 12.2.0\0"
        (tmp_path / f"asyncbolt/{name}{suffix}").write_bytes(content)
    found = instructions.environment(tmp_path)
    assert " gcc-12.2.0 cython-3.3.1 " in found
    assert re.match(r"\w+-3\.\d+\.\d+", found)
    assert " asserts " not in found
    with (tmp_path / f"asyncbolt/_packstream{suffix}").open("ab") as file:
        file.write(b"__assert_fail\0")
    assert " asserts " in instructions.environment(tmp_path)


def test_paths_have_names_and_are_made_of_what_exists():
    names = instructions.path_names()
    assert len(names) == len(set(names)) > 20
    assert importlib.util.find_spec("instruction_paths") is not None
