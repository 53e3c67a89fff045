"""Spans and metrics, collected in memory by OpenTelemetry's own SDK."""

from __future__ import annotations

import pytest
from aiohelp import aiotest
from driver_servers import driver_of, serving
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asyncbolt.exceptions import ClientError
from asyncbolt.opentelemetry import instrument


@aiotest
async def test_spans_and_metrics() -> None:
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    async with serving() as port, driver_of(port, database="db") as driver:
        watch = instrument(driver, tracer_provider=tracers, meter_provider=meters, query_text=True)
        with tracers.get_tracer("test").start_as_current_span("outer") as outer:
            await driver.execute_query("numbers of things", n=5)
            async with driver.session() as session:
                with pytest.raises(ClientError):
                    await session.run("FAIL")
        watch.stop()
        await driver.execute_query("NUMBERS")
    query, failed, _ = exporter.get_finished_spans()
    assert query.name == "NUMBERS db" and query.parent.span_id == outer.get_span_context().span_id
    assert query.kind.name == "CLIENT" and query.end_time >= query.start_time
    assert dict(query.attributes) == {
        "db.system.name": "neo4j", "db.operation.name": "NUMBERS", "db.namespace": "db",
        "db.query.text": "numbers of things", "db.response.returned_rows": 5,
        "server.address": "127.0.0.1", "server.port": port,
    }  # fmt: skip
    assert failed.status.status_code.name == "ERROR"
    assert failed.attributes["error.type"] == "asyncbolt.exceptions.CypherSyntaxError"
    assert failed.attributes["db.response.status_code"] == "Neo.ClientError.Statement.SyntaxError"
    metrics = {
        metric.name: sum(point.count for point in metric.data.data_points)
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert metrics == {
        "db.client.operation.duration": 2,
        "db.client.response.returned_rows": 1,
        "db.client.connection.create_time": 1,
        "db.client.connection.wait_time": 2,
    }
    meters.shutdown()
    tracers.shutdown()
