from __future__ import annotations

import asyncio
import inspect
import io
import logging
import re
import sys

import neo4j.debug
import pytest
from aiohelp import aiotest

import asyncbolt
from asyncbolt.debug import Watcher, watch

CLIENT, DRIVER = logging.getLogger("asyncbolt.client"), logging.getLogger("asyncbolt.driver")


@pytest.fixture(autouse=True)
def loggers():
    """Every logger that a test uses, with its level and handlers put back afterwards."""
    names = [
        "", "asyncbolt", "asyncbolt.client", "asyncbolt.driver", "asyncbolt.notifications", "neo4j",
        "neo4j.io", "neo4j.pool", "neo4j.notifications", "other",
    ]  # fmt: skip
    found = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, list(logger.handlers)) for logger in found]
    yield
    after = [(logger, logger.level, list(logger.handlers)) for logger in found]
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
    assert after == before


@pytest.mark.parametrize("name", ["Watcher", "watch"])
def test_arguments_are_those_of_the_official_driver(name):
    ours, theirs = (inspect.signature(getattr(module, name)) for module in (asyncbolt.debug, neo4j.debug))
    assert list(ours.parameters) == list(theirs.parameters)
    for parameter, mine in ours.parameters.items():
        assert mine.kind == theirs.parameters[parameter].kind
        if mine.default is not None:  # sys.stderr, looked up later
            assert mine.default == theirs.parameters[parameter].default


def test_everything_by_default():
    out = io.StringIO()
    watcher = watch(out=out)
    CLIENT.debug("one")
    DRIVER.warning("two %s", 2)
    logging.getLogger("other").error("three")
    watcher.stop()
    DRIVER.error("four")
    assert [line.rpartition("asyncbolt.")[2] for line in out.getvalue().splitlines()] == [
        "client: one",
        "driver: two 2",
    ]


def test_chosen_loggers_and_levels():
    out = io.StringIO()
    with Watcher("asyncbolt.client", default_level=logging.WARNING, default_out=out) as watcher:
        CLIENT.info("no")
        CLIENT.warning("yes")
        DRIVER.error("no")
        watcher.watch(logging.DEBUG)
        CLIENT.debug("yes")
        elsewhere = io.StringIO()
        watcher.watch(out=elsewhere)
        CLIENT.warning("elsewhere")
        CLIENT.info("no")
    assert out.getvalue().count("yes") == 2 and "no" not in re.findall(r"\w+$", out.getvalue(), re.M)
    assert "elsewhere" not in out.getvalue() and elsewhere.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("neo4j", "asyncbolt.client"),
        ("neo4j", "asyncbolt.driver"),
        ("neo4j.io", "asyncbolt.client"),
        ("neo4j.pool", "asyncbolt.driver"),
        ("neo4j.notifications", "asyncbolt.notifications"),
    ],
)
def test_names_of_the_official_driver_mean_ours_too(theirs, ours):
    out = io.StringIO()
    with Watcher(theirs, default_out=out):
        logging.getLogger(ours).debug("ours")
        logging.getLogger(theirs).debug("theirs")
        logging.getLogger("other").error("other")
    assert re.findall(r"\w+$", out.getvalue(), re.M) == ["ours", "theirs"]


def test_no_message_is_written_twice():
    out = io.StringIO()
    with Watcher("asyncbolt", "asyncbolt.client", "asyncbolt", default_out=out):
        CLIENT.debug("x")
    assert out.getvalue().count("\n") == 1


def test_the_root_of_all_loggers():
    out = io.StringIO()
    with Watcher(None, default_out=out):
        logging.getLogger("other").debug("x")
    assert "other: x" in out.getvalue()


def test_levels_come_back_but_not_over_those_of_somebody_else():
    CLIENT.setLevel(logging.ERROR)
    root = logging.getLogger("asyncbolt")
    with Watcher("asyncbolt.client", "asyncbolt", default_out=io.StringIO()):
        assert (CLIENT.level, root.level) == (logging.DEBUG, logging.DEBUG)
        root.setLevel(logging.CRITICAL)
    assert (CLIENT.level, root.level) == (logging.ERROR, logging.CRITICAL)
    root.setLevel(logging.NOTSET)
    CLIENT.setLevel(logging.NOTSET)
    with Watcher("asyncbolt.client", default_level=logging.CRITICAL, default_out=io.StringIO()):
        assert CLIENT.level == logging.NOTSET  # a logger that says more already is left alone


def test_stop_may_come_at_any_time():
    watcher = Watcher()
    watcher.stop()
    watcher.watch(out=io.StringIO())
    watcher.stop()
    watcher.stop()


def test_stderr_is_looked_up_when_the_watching_begins(monkeypatch):
    watcher = Watcher()
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    with watcher:
        DRIVER.error("x")
    assert "x" in out.getvalue()


def line(**options):
    out = io.StringIO()
    with Watcher(default_out=out, **options):
        DRIVER.error("text")
    return out.getvalue()


def test_what_a_line_holds():
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}  ERROR   "
    thread = r"\[MainThread \d+\]"
    tail = r"asyncbolt\.driver: text\n"
    assert re.fullmatch(rf"{when} {thread} \[no task\] {tail}", line())
    assert re.fullmatch(rf"{when} \[no task\] {tail}", line(thread_info=False))
    assert re.fullmatch(rf"{when} {thread} {tail}", line(task_info=False))
    assert re.fullmatch(rf"{when} {tail}", line(thread_info=False, task_info=False))

    async def named():
        asyncio.current_task().set_name("Ann")
        return line(thread_info=False)

    assert re.fullmatch(rf"{when} \[Ann\] {tail}", asyncio.run(named()))


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_colours(level):
    out = io.StringIO()
    with Watcher(default_out=out, colour=True):
        DRIVER.log(getattr(logging, level), "text")
    assert re.fullmatch(r"\x1b\[[\d;]+m[^\x1b]*text\x1b\[0m\n", out.getvalue())
    assert level in out.getvalue()


def test_levels_without_a_colour():
    out = io.StringIO()
    with Watcher(default_out=out, colour=True):
        DRIVER.log(25, "text")
    assert "\x1b" not in out.getvalue()


SECRET = "s3cret-word"


class Session(asyncbolt.ServerSession):
    def verify_auth_token(self, auth_token):
        return auth_token.get("principal") == "ann"

    def run(self, statement, parameters):
        return 1


@pytest.mark.parametrize("user", ["ann", "bob"])
@aiotest
async def test_secrets_are_not_shown(user):
    out = io.StringIO()
    with Watcher(default_out=out):
        async with await asyncbolt.create_server(Session, port=0) as server:
            uri = f"bolt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for auth in ((user, SECRET), asyncbolt.custom_auth(user, SECRET, "r", "own", key=[SECRET])):
                try:
                    async with asyncbolt.connect(uri, auth=auth) as session:
                        await session.fetch("RETURN 1")
                except asyncbolt.AuthError:
                    assert user == "bob"
                async with asyncbolt.AsyncGraphDatabase.driver(uri, auth=auth) as driver:
                    try:
                        await driver.execute_query("RETURN 1")
                    except asyncbolt.AuthError:
                        assert user == "bob"
    text = out.getvalue()
    assert text.count("C: LOGON") == 4 and f"principal: '{user}'" in text
    for form in (SECRET, SECRET.encode().hex(), repr(SECRET.encode())[2:-1]):
        assert form not in text
