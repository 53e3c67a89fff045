"""Spans and metrics, collected in memory by OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from aiohelp import aiotest
from driver_servers import driver_of, serving, until
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import asyncbolt
from asyncbolt import opentelemetry as adapter
from asyncbolt.driver import clock
from asyncbolt.driver.addressing import Address, UnixAddress
from asyncbolt.exceptions import ClientError, ConstraintError
from asyncbolt.opentelemetry import Instrumentation, instrument


class Telemetry:
    """Providers that keep what they get."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.tracer = self.tracers.get_tracer("test")

    def watch(self, driver: asyncbolt.AsyncDriver, **options: Any) -> Instrumentation:
        return instrument(driver, tracer_provider=self.tracers, meter_provider=self.meters, **options)

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans of queries."""
        return [span for span in self.exporter.get_finished_spans() if span.kind.name == "CLIENT"]

    def points(self) -> dict[str, list[Any]]:
        """The data points of each metric."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.data.data_points
        }

    def pool(self) -> dict[str, dict[str, int]]:
        """What the metrics of the pool say, by address."""
        found: dict[str, dict[str, int]] = {}
        for name, points in self.points().items():
            for point in points:
                if hasattr(point, "value"):
                    attributes = dict(point.attributes)
                    of = found.setdefault(attributes.pop("db.client.connection.pool.name"), {})
                    of[attributes.pop("db.client.connection.state", name.rpartition(".")[2])] = point.value
                    assert not attributes
        return found


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    kept = Telemetry()
    yield kept
    kept.meters.shutdown()
    kept.tracers.shutdown()


@aiotest
async def test_spans_and_metrics(telemetry: Telemetry) -> None:
    async with serving() as port, driver_of(port, database="db") as driver:
        watch = telemetry.watch(driver, query_text=True)
        with telemetry.tracer.start_as_current_span("outer") as outer:
            await driver.execute_query("match (n) return n", n=5)
            async with driver.session() as session:
                with pytest.raises(ClientError):
                    await session.run("FAIL")
        watch.stop()
        await driver.execute_query("NUMBERS")
    query, failed = telemetry.spans
    assert query.name == "MATCH db" and query.status.status_code.name == "UNSET"
    assert query.parent is not None and query.parent.span_id == outer.get_span_context().span_id
    assert query.instrumentation_scope is not None
    assert query.instrumentation_scope.version == asyncbolt.__version__
    where = {"db.system.name": "neo4j", "server.address": "127.0.0.1", "server.port": port}
    assert dict(query.attributes or {}) == {
        **where, "db.operation.name": "MATCH", "db.namespace": "db", "db.query.text": "match (n) return n",
        "db.response.returned_rows": 5,
    }  # fmt: skip
    error = {
        "error.type": "asyncbolt.exceptions.CypherSyntaxError",
        "db.response.status_code": "Neo.ClientError.Statement.SyntaxError",
    }
    assert failed.name == "db" and failed.status.status_code.name == "ERROR"
    assert dict(failed.attributes or {}) == {
        **where, **error, "db.namespace": "db", "db.query.text": "FAIL", "db.response.returned_rows": 0
    }  # fmt: skip
    points = telemetry.points()
    assert {name: sum(point.count for point in found) for name, found in points.items()} == {
        "db.client.operation.duration": 2,
        "db.client.response.returned_rows": 1,
        "db.client.connection.create_time": 1,
        "db.client.connection.wait_time": 2,
    }
    for name, found in points.items():
        bounds = adapter._ROWS if name.endswith("rows") else adapter._SECONDS
        assert {point.explicit_bounds for point in found} == {bounds}
    good, bad = points["db.client.operation.duration"]
    assert dict(good.attributes) == {**where, "db.operation.name": "MATCH", "db.namespace": "db"}
    assert dict(bad.attributes) == {**where, **error, "db.namespace": "db"}
    (rows,) = points["db.client.response.returned_rows"]
    assert rows.sum == 5


@pytest.mark.parametrize(
    ("query", "operation"),
    [
        ("MATCH (n) RETURN n", "MATCH"),
        (" \n// why\n/* MERGE *//**/\tcreate (n)", "CREATE"),
        ("CREATE(:User{ssn:'123-45-6789'})", "CREATE"),
        ("'123-45-6789'", None),
        ("Elizabeth", None),
        ("MATCH_123", None),
        ("/* open", None),
        ("//", None),
        ("", None),
        ("/**/" * 2000 + "1", None),
    ],
)
def test_only_words_that_statements_begin_with_are_names(query: str, operation: str | None) -> None:
    assert adapter._operation(query) == operation


class Telltale(asyncbolt.ServerSession):
    """Quotes what it was given, as databases do."""

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        raise ConstraintError(
            f"already exists: {statement} {parameters}",
            code="Neo.ClientError.Schema.ConstraintValidationFailed",
        )


@aiotest
async def test_neither_literals_nor_parameters_get_out_unless_asked_for(telemetry: Telemetry) -> None:
    async with serving(Telltale) as port, driver_of(port) as driver:
        for options in ({}, {"query_text": True}, {"error_text": True}):
            watch = telemetry.watch(driver, **options)
            with pytest.raises(ConstraintError, match="sesame"):
                await driver.execute_query("CREATE(:User{ssn:'literal-77'})", secret="sesame-77")
            watch.stop()
    silent, text, error = (span.to_json() for span in telemetry.spans)
    assert "literal-77" not in silent and "sesame-77" not in silent
    assert "literal-77" in text and "sesame-77" not in text
    assert "literal-77" in error and "sesame-77" in error
    assert telemetry.spans[0].name == f"CREATE 127.0.0.1:{port}"
    metrics = repr(telemetry.reader.get_metrics_data()) + repr(telemetry.points())
    assert "literal-77" not in metrics and "sesame-77" not in metrics


@pytest.mark.parametrize(
    ("address", "where"),
    [
        (UnixAddress("/run/bolt.sock"), {"server.address": "/run/bolt.sock"}),
        (UnixAddress(b"\0bolt"), {"server.address": "@bolt"}),
        (Address(("::1", 7687, 0, 0)), {"server.address": "::1", "server.port": 7687}),
    ],
)
def test_where_a_server_is(address: Address, where: dict[str, Any], telemetry: Telemetry) -> None:
    watch = telemetry.watch(driver_of(1))
    assert watch._attributes(address, None, "") == {"db.system.name": "neo4j", **where}


@aiotest
async def test_each_query_belongs_to_the_task_that_runs_it(telemetry: Telemetry) -> None:
    parents = {}

    async def work(number: int) -> None:
        with telemetry.tracer.start_as_current_span(f"task {number}") as span:
            parents[number] = span.get_span_context().span_id
            async with driver.session() as session:
                for _ in range(3):
                    await session.execute_read(lambda tx: tx.fetch("RETURN", {"n": number}))
                    await session.fetch("RETURN", {"n": number})

    async with serving() as port, driver_of(port, max_connection_pool_size=2) as driver:
        telemetry.watch(driver)
        await asyncio.gather(*map(work, range(1, 9)))
    assert len(telemetry.spans) == 48
    for span in telemetry.spans:
        assert span.attributes is not None and span.parent is not None
        assert parents[span.attributes["db.response.returned_rows"]] == span.parent.span_id


@aiotest
async def test_a_span_lasts_as_long_as_the_metric_says(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, wall = [50.0], [10**18]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(adapter.time, "time_ns", lambda: wall[0])
    async with serving() as port, driver_of(port) as driver:
        telemetry.watch(driver)
        async with driver.session(fetch_size=1) as session:
            result = await session.run("RETURN", n=3)
            now[0] += 2.5
            wall[0] -= 10**12
            await result.consume()
    (span,) = telemetry.spans
    assert (span.start_time, span.end_time) == (10**18, 10**18 + 2_500_000_000)
    (point,) = telemetry.points()["db.client.operation.duration"]
    assert point.sum == 2.5


class AtHome(asyncbolt.ServerSession):
    """Says in the end which database it was."""

    async def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        return asyncbolt.Result(["n"], [(1,)], {"db": "home"})


@aiotest
async def test_a_home_database_is_known_in_the_end(telemetry: Telemetry) -> None:
    async with serving(AtHome) as port, driver_of(port) as driver:
        telemetry.watch(driver)
        async with driver.session() as session:
            await (await session.run("RETURN")).consume()
    (span,) = telemetry.spans
    assert span.name == f"RETURN 127.0.0.1:{port}"
    assert span.attributes is not None and span.attributes["db.namespace"] == "home"
    (point,) = telemetry.points()["db.client.operation.duration"]
    assert point.attributes["db.namespace"] == "home"


@aiotest
async def test_a_query_that_is_given_up(telemetry: Telemetry) -> None:
    async with serving() as port, driver_of(port) as driver:
        watch = telemetry.watch(driver)
        async with driver.session() as session:
            running = asyncio.ensure_future(session.run("FOREVER"))
            await until(lambda: watch._spans)
            running.cancel()
            await asyncio.wait((running,))
            await until(lambda: telemetry.spans)
    (span,) = telemetry.spans
    assert span.attributes is not None
    assert span.attributes["error.type"] == "asyncio.exceptions.CancelledError"
    assert "db.response.status_code" not in span.attributes


@aiotest
async def test_stop_ends_what_is_open_and_may_be_called_again(telemetry: Telemetry) -> None:
    async with serving() as port, driver_of(port) as driver:
        watch = telemetry.watch(driver)
        async with driver.session(fetch_size=1) as session:
            result = await session.run("RETURN", n=3)
            assert telemetry.pool() and not telemetry.spans
            watch.stop()
            watch.stop()
            (span,) = telemetry.spans
            assert span.end_time is not None and not watch._spans
            await result.consume()
        await driver.execute_query("RETURN")
        assert len(telemetry.spans) == 1 and not telemetry.pool()


@aiotest
async def test_the_state_of_the_pools(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    other = Telemetry()
    async with contextlib.AsyncExitStack() as stack:
        here, there = [await stack.enter_async_context(serving()) for _ in range(2)]
        first, second, elsewhere, third = [
            await stack.enter_async_context(driver_of(port, max_connection_pool_size=size))
            for port, size in ((here, 1), (here, 5), (there, -1), (here, 7))
        ]
        watches = [telemetry.watch(driver) for driver in (first, second, elsewhere)]
        other.watch(third)
        assert telemetry.pool() == {}
        for driver in (first, second, elsewhere, third):
            await driver.verify_connectivity()
        session = await stack.enter_async_context(first.session(fetch_size=1))
        result = await session.run("RETURN", n=3)
        waiting = asyncio.ensure_future(first.execute_query("RETURN"))
        await until(lambda: first.pool_stats().waiting)
        # From a thread of its own, as the readers that export do.
        assert await asyncio.to_thread(telemetry.pool) == {
            f"127.0.0.1:{here}": {"used": 1, "idle": 1, "pending_requests": 1, "max": 6},
            f"127.0.0.1:{there}": {"used": 0, "idle": 1, "pending_requests": 0},
        }
        assert other.pool()[f"127.0.0.1:{here}"] == {"used": 0, "idle": 1, "pending_requests": 0, "max": 7}
        await result.consume()
        await waiting
        watches[0].stop()
        watches[2].stop()
        assert telemetry.pool() == {
            f"127.0.0.1:{here}": {"used": 0, "idle": 1, "pending_requests": 0, "max": 5}
        }
        telemetry.watch(first)
        assert telemetry.pool()[f"127.0.0.1:{here}"]["max"] == 6
    assert telemetry.pool() == {}
    assert not caplog.records  # no value was one that OpenTelemetry refuses
    other.meters.shutdown()
    other.tracers.shutdown()


@aiotest
async def test_a_pool_that_changes_while_it_is_looked_at(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as port, driver_of(port) as driver:
        telemetry.watch(driver)
        await driver.verify_connectivity()
        stats, troubles = type(driver._pool()).stats, [RuntimeError("changed size during iteration")] * 2

        def shaky(pool: Any) -> Any:
            if troubles:
                raise troubles.pop()
            return stats(pool)

        monkeypatch.setattr(type(driver._pool()), "stats", shaky)
        assert telemetry.pool()[f"127.0.0.1:{port}"]["idle"] == 1 and not troubles
        troubles += [RuntimeError()] * 1000
        assert telemetry.pool() == {}


@aiotest
async def test_a_meter_keeps_no_driver(telemetry: Telemetry) -> None:
    async with serving() as port:
        driver = driver_of(port)
        watch = telemetry.watch(driver)
        await driver.close()
        kept = weakref.ref(driver), weakref.ref(watch)
        del driver, watch
        gc.collect()
        assert [reference() for reference in kept] == [None, None]


def test_an_api_that_knows_no_buckets() -> None:
    class Meter:
        def create_histogram(self, name: str, unit: str, description: str) -> tuple[str, str, str]:
            return name, unit, description

    assert adapter._histogram(Meter(), "a", "s", "b", (1, 2)) == ("a", "s", "b")


@aiotest
async def test_without_the_package_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    async with driver_of(1) as driver:
        with pytest.raises(ImportError, match=r"pip install 'asyncbolt\[opentelemetry\]'"):
            instrument(driver)
        assert not driver._shared.listeners.query_started


GLOBAL = """
import asyncio, asyncbolt
from asyncbolt.opentelemetry import instrument
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

async def main():
    async with await asyncbolt.create_server(asyncbolt.ServerSession, port=0) as server:
        port = server.sockets[0].getsockname()[1]
        reader = InMemoryMetricReader()
        drivers = [asyncbolt.AsyncGraphDatabase.driver(f"bolt://127.0.0.1:{port}") for _ in range(3)]
        early = instrument(drivers[0])
        provider = MeterProvider([reader])
        metrics.set_meter_provider(provider)
        late, named = instrument(drivers[1]), instrument(drivers[2], meter_provider=provider)
        for driver in drivers:
            await driver.verify_connectivity()
        for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics:
            for point in metric.data.data_points:
                if point.attributes.get("db.client.connection.state") == "idle":
                    print("idle", point.value)
        for driver in drivers:
            await driver.close()
        provider.shutdown()

asyncio.run(main())
"""


def test_a_global_provider_that_is_set_later() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", GLOBAL], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "idle 3\n", "")
