"""asyncbolt under the official driver's names; each test in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import neo4j
import neo4j.addressing
import neo4j.api
import neo4j.auth_management
import neo4j.debug
import neo4j.exceptions
import neo4j.graph
import neo4j.spatial
import neo4j.time
import neo4j.types
import neo4j.vector
import neo4j.warnings
import pytest

import asyncbolt
from asyncbolt.compat import API_VERSION

PLACE = Path(asyncbolt.__file__).parent.parent


def run(code, *, options=()):
    """Run *code* in an isolated interpreter, which fails at the first assertion that does not hold."""
    head = f"import sys; sys.path.insert(0, {str(PLACE)!r})\n"
    command = [sys.executable, "-I", "-bb", "-W", "error", *options, "-c", head + textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_version_is_that_of_the_driver_that_tests_compare_with():
    assert API_VERSION == neo4j.__version__


# Names of the official driver that asyncbolt cannot give.
LEFT_OUT = {
    "neo4j": {"AsyncHttpDriver", "HttpDriver"},
    "neo4j.api": {"URI_SCHEME_HTTP", "URI_SCHEME_HTTPS"},
    # Dates and times that no date and time of Python can be.
    "neo4j.time": {"Never", "ZeroDate"},
}
OFFICIAL = [
    neo4j, neo4j.addressing, neo4j.api, neo4j.auth_management, neo4j.debug, neo4j.exceptions, neo4j.graph,
    neo4j.spatial, neo4j.time, neo4j.types, neo4j.vector, neo4j.warnings,
]  # fmt: skip


@pytest.mark.parametrize("module", OFFICIAL, ids=lambda module: module.__name__)
def test_every_public_name_is_there(module):
    names = sorted(set(module.__all__) - LEFT_OUT.get(module.__name__, set()))
    assert names
    run(
        f"""
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import asyncbolt.compat
        asyncbolt.compat.as_neo4j()
        import {module.__name__} as module
        missing = [name for name in {names!r} if not hasattr(module, name)]
        assert not missing, missing
        from {module.__name__} import {", ".join(names)}
        not_listed = set({names!r}) - set(module.__all__) - {{"PreviewWarning"}}
        assert not not_listed, not_listed
        assert set(module.__all__) <= set(dir(module))
        assert module.__name__ == module.__spec__.name == {module.__name__!r}
        assert module.__package__ == "neo4j"
        """
    )


def test_the_classes_are_those_of_asyncbolt():
    run(
        """
        import asyncbolt.compat
        neo4j = asyncbolt.compat.as_neo4j()
        import sys
        assert sys.modules["neo4j"] is neo4j
        import neo4j as imported
        import neo4j.exceptions, neo4j.graph, neo4j.time
        from neo4j import exceptions, time
        assert imported is neo4j and exceptions is neo4j.exceptions and time is neo4j.time
        from neo4j.api import Bookmarks
        assert neo4j.AsyncDriver is asyncbolt.AsyncDriver
        assert neo4j.Bookmarks is Bookmarks is asyncbolt.Bookmarks
        assert neo4j.graph.Node is asyncbolt.graph.Node and neo4j.time.DateTime is asyncbolt.time.DateTime
        assert neo4j.READ_ACCESS == "READ" and neo4j.DEFAULT_DATABASE is None
        assert neo4j.get_user_agent() == f"asyncbolt/{asyncbolt.__version__}"
        try:
            raise asyncbolt.ConstraintError("no")
        except neo4j.exceptions.ClientError as error:
            assert isinstance(error, neo4j.exceptions.Neo4jError)
        assert not any(name.startswith("neo4j._") for name in sys.modules)
        """
    )


def test_the_sync_api_can_be_imported_and_says_what_it_is_when_it_is_used():
    run(
        """
        import asyncbolt.compat
        asyncbolt.compat.as_neo4j()
        from typing import Optional, get_type_hints
        import neo4j, neo4j.auth_management as auth

        def raises(kind, text, function):
            try:
                function()
            except kind as error:
                assert str(error) == text, error
            else:
                raise AssertionError(text)

        def hinted(driver: Optional[neo4j.Driver], session: "neo4j.Session") -> neo4j.Result: ...
        assert get_type_hints(hinted)["session"] is neo4j.Session

        driver = neo4j.AsyncGraphDatabase.driver("bolt://localhost")
        assert isinstance(driver, neo4j.AsyncDriver) and not isinstance(driver, neo4j.Driver)
        assert issubclass(neo4j.BoltDriver, neo4j.Driver) and issubclass(neo4j.Neo4jDriver, neo4j.Driver)

        no = "asyncbolt has no sync API: use "
        graph = neo4j.GraphDatabase
        raises(AttributeError, f"GraphDatabase.driver: {no}AsyncGraphDatabase", lambda: graph.driver("bolt://x"))
        managers = auth.AuthManagers
        raises(AttributeError, f"AuthManagers.static: {no}AsyncAuthManagers", lambda: managers.static)
        raises(AttributeError, f"Session.run: {no}AsyncSession", lambda: neo4j.Session.run)
        assert not hasattr(graph, "driver")
        stand_ins = [
            neo4j.Driver, neo4j.BoltDriver, neo4j.Neo4jDriver, neo4j.Session, neo4j.Transaction,
            neo4j.ManagedTransaction, neo4j.Result, graph, auth.AuthManagers, auth.ClientCertificateProviders,
            auth.RotatingClientCertificateProvider,
        ]
        for cls in stand_ins:
            raises(NotImplementedError, f"{no}Async{cls.__name__}", cls)
            assert f"Async{cls.__name__}" in cls.__doc__

        class Mine(neo4j.Driver):
            def __init__(self):
                self.x = 1

        raises(NotImplementedError, f"{no}AsyncDriver", Mine)
        """
    )


def test_deprecated_names_warn_and_left_out_ones_say_why():
    run(
        """
        import warnings
        import asyncbolt.compat, asyncbolt.warnings
        neo4j = asyncbolt.compat.as_neo4j()
        for name, expected in {
            "NotificationCategory": asyncbolt.NotificationCategory,
            "NotificationDisabledCategory": asyncbolt.NotificationDisabledCategory,
            "SummaryNotification": asyncbolt.SummaryNotification,
            "PreviewWarning": asyncbolt.warnings.PreviewWarning,
        }.items():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                assert getattr(neo4j, name) is expected
            assert [w.category for w in caught] == [DeprecationWarning] and caught[0].filename == "<string>"

        def said(function):
            try:
                function()
            except AttributeError as error:
                return str(error)

        assert "speaks Bolt only" in said(lambda: neo4j.HttpDriver)
        assert "speaks Bolt only" in said(lambda: neo4j.api.URI_SCHEME_HTTP)
        assert said(lambda: neo4j.nothing) == "module 'neo4j' has no attribute 'nothing'"
        assert said(lambda: neo4j.time.nothing) == "module 'neo4j.time' has no attribute 'nothing'"
        try:
            import neo4j._async.driver
        except ModuleNotFoundError as error:
            assert error.name == "neo4j._async"
        else:
            raise AssertionError
        """
    )


def test_an_official_driver_that_is_imported_already():
    run(
        """
        import sys
        import neo4j as official, neo4j.exceptions
        before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "neo4j"}
        import asyncbolt.compat
        try:
            asyncbolt.compat.as_neo4j()
        except RuntimeError as error:
            assert "neo4j is imported already" in str(error) and "replace=True" in str(error)
        else:
            raise AssertionError
        assert sys.modules["neo4j"] is official

        with asyncbolt.compat.as_neo4j(replace=True) as ours:
            import neo4j
            assert neo4j is ours and neo4j.AsyncDriver is asyncbolt.AsyncDriver
            import neo4j.exceptions
            assert neo4j.exceptions.Neo4jError is asyncbolt.Neo4jError
            assert "neo4j._async" not in sys.modules
        after = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "neo4j"}
        assert after == before
        import neo4j
        assert neo4j is official
        """,
    )


def test_it_stays_until_the_last_block_ends():
    run(
        """
        import sys
        from asyncbolt.compat import as_neo4j

        with as_neo4j() as outer:
            with as_neo4j() as inner:
                assert inner is outer
            assert sys.modules["neo4j"] is outer
            try:
                with as_neo4j():
                    raise ZeroDivisionError
            except ZeroDivisionError:
                pass
            assert sys.modules["neo4j"] is outer
        assert not any(name.partition(".")[0] == "neo4j" for name in sys.modules)

        stays = as_neo4j()
        with as_neo4j():
            pass
        assert sys.modules["neo4j"] is stays and as_neo4j(replace=True) is stays
        """
    )


def test_what_somebody_else_put_in_our_place_is_left_alone():
    run(
        """
        import sys, types
        from asyncbolt.compat import as_neo4j
        with as_neo4j():
            mine = sys.modules["neo4j"] = types.ModuleType("neo4j")
        assert sys.modules["neo4j"] is mine and "neo4j.time" not in sys.modules
        """
    )


def test_importing_compat_changes_nothing():
    run("import asyncbolt.compat\nassert not any(name.partition('.')[0] == 'neo4j' for name in sys.modules)")
