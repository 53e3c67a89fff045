"""Spans and metrics of a driver for OpenTelemetry. Needs the extra ``opentelemetry``.

Names and attributes are those of the semantic conventions for database clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .driver.addressing import Address, UnixAddress
from .driver.listeners import ConnectionAcquired, ConnectionOpened, QueryEnded, QueryStarted
from .exceptions import Neo4jError

if TYPE_CHECKING:
    from .driver.driver import AsyncDriver

__all__ = ["Instrumentation", "instrument"]

_NAME: Final = "asyncbolt"


def instrument(
    driver: AsyncDriver,
    *,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    query_text: bool = False,
    system: str = "neo4j",
) -> Instrumentation:
    """Report the queries and connections of *driver* to OpenTelemetry, until :meth:`Instrumentation.stop`.

    Each query is a client span whose parent is what is current in the task that runs it.

    Args:
        driver: whose.
        tracer_provider: None: the global one.
        meter_provider: None: the global one.
        query_text: put the text of queries into spans, with the literals in it. Parameters never are.
        system: ``db.system.name``.

    Raises:
        ImportError: the package ``opentelemetry-api`` is not installed.
    """
    return Instrumentation(driver, tracer_provider, meter_provider, query_text, system)


class Instrumentation:
    """A listener of one driver. Made by :func:`instrument`."""

    def __init__(
        self, driver: AsyncDriver, tracer_provider: Any, meter_provider: Any, query_text: bool, system: str
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise ImportError(
                "asyncbolt.opentelemetry needs opentelemetry-api: pip install 'asyncbolt[opentelemetry]'"
            ) from error
        self._trace = trace
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            "db.client.operation.duration", "s", "Duration of database client operations."
        )
        self._rows = meter.create_histogram(
            "db.client.response.returned_rows", "{row}", "The actual number of records returned."
        )
        self._opening = meter.create_histogram(
            "db.client.connection.create_time", "s", "The time it took to create a new connection."
        )
        self._waiting = meter.create_histogram(
            "db.client.connection.wait_time", "s", "The time it took to obtain a connection from the pool."
        )
        self._query_text = query_text
        self._system = system
        self._spans: dict[object, Any] = {}
        self._driver = driver
        driver.add_listener(self)

    def stop(self) -> None:
        """Report no more."""
        self._driver.remove_listener(self)

    # What the driver calls

    def query_started(self, event: QueryStarted) -> None:
        """A query is about to be sent."""
        attributes = self._attributes(event.address, event.database, event.query)
        name = attributes["db.operation.name"]
        if self._query_text:
            attributes["db.query.text"] = event.query
        target = event.database
        self._spans[event.key] = self._tracer.start_span(
            f"{name} {target}" if target else name, kind=self._trace.SpanKind.CLIENT, attributes=attributes
        )

    def query_ended(self, event: QueryEnded) -> None:
        """A query is over."""
        attributes = self._attributes(event.address, event.database, event.query)
        outcome: dict[str, Any] = {}
        error = event.error
        if error is not None:
            kind = type(error)
            outcome["error.type"] = f"{kind.__module__}.{kind.__qualname__}"
            if isinstance(error, Neo4jError):
                outcome["db.response.status_code"] = error.code
        span = self._spans.pop(event.key, None)
        if span is not None:
            span.set_attributes({**outcome, "db.response.returned_rows": event.rows})
            if event.database:
                span.set_attribute("db.namespace", event.database)
            if error is not None:
                span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, str(error)))
            span.end()
        attributes.update(outcome)
        self._duration.record(event.seconds, attributes)
        if error is None:
            self._rows.record(event.rows, attributes)

    def connection_opened(self, event: ConnectionOpened) -> None:
        """A connection was made."""
        self._opening.record(event.seconds, {"db.client.connection.pool.name": str(event.address)})

    def connection_acquired(self, event: ConnectionAcquired) -> None:
        """A session got a connection."""
        self._waiting.record(event.seconds, {"db.client.connection.pool.name": str(event.address)})

    def _attributes(self, address: Address, database: str | None, query: str) -> dict[str, Any]:
        words = query.split(maxsplit=1)
        attributes: dict[str, Any] = {
            "db.system.name": self._system,
            "db.operation.name": words[0].upper() if words else "QUERY",
            "server.address": str(address.host),
        }
        if not isinstance(address, UnixAddress):
            attributes["server.port"] = address.port_number
        if database:
            attributes["db.namespace"] = database
        return attributes
