"""Spans and metrics of a driver for OpenTelemetry. Needs the extra ``opentelemetry``.

Names and attributes are those of the semantic conventions for database clients.
"""

from __future__ import annotations

import math
import re
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from ._version import __version__
from .driver.addressing import Address, UnixAddress
from .driver.listeners import ConnectionAcquired, ConnectionOpened, QueryEnded, QueryStarted
from .exceptions import Neo4jError

if TYPE_CHECKING:
    from .driver.driver import AsyncDriver

__all__ = ["Instrumentation", "instrument"]

_NAME: Final = "asyncbolt"

# The buckets that the conventions ask for; OpenTelemetry's own are made for milliseconds.
_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
_ROWS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)

_BLANK: Final = re.compile(r"\s+|//[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z]+\b")
# What a statement may begin with. Anything else could be data, and must get into no name and no metric.
_OPERATIONS: Final = frozenset(
    """
    ALTER ANALYZE BEGIN CALL COMMIT CREATE CYPHER DEALLOCATE DELETE DENY DETACH DROP DRYRUN DUMP ENABLE
    EXPLAIN FILTER FINISH FOR FOREACH FREE GRANT INSERT LET LOAD MATCH MERGE NODETACH OPTIONAL PROFILE
    REALLOCATE REMOVE RENAME RETURN REVOKE ROLLBACK SELECT SET SHOW START STOP STORAGE TERMINATE TRAVERSE
    TRUNCATE UNWIND UPDATE USE WHEN WITH
    """.split()
)

# How often the pool is looked at when it changes meanwhile: metrics are read in a thread of their own.
_LOOKS: Final = 10


def instrument(
    driver: AsyncDriver,
    *,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    query_text: bool = False,
    error_text: bool = False,
    system: str = "neo4j",
) -> Instrumentation:
    """Report the queries and connections of *driver* to OpenTelemetry, until :meth:`Instrumentation.stop`.

    Each statement that is sent is a client span, whose parent is what is current in the task that runs it.
    ``error.type`` is the class of the error.

    Args:
        driver: whose.
        tracer_provider: None: the global one.
        meter_provider: None: the global one.
        query_text: put the text of queries into spans, with the literals in it. Parameters never are.
        error_text: put the text of errors into spans. Servers quote queries and values of properties in it.
        system: ``db.system.name``.

    Raises:
        ImportError: the package ``opentelemetry-api`` is not installed.
    """
    return Instrumentation(driver, tracer_provider, meter_provider, query_text, error_text, system)


class Instrumentation:
    """A listener of one driver. Made by :func:`instrument`."""

    def __init__(
        self,
        driver: AsyncDriver,
        tracer_provider: Any,
        meter_provider: Any,
        query_text: bool,
        error_text: bool,
        system: str,
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise ImportError(
                "asyncbolt.opentelemetry needs opentelemetry-api: pip install 'asyncbolt[opentelemetry]'"
            ) from error
        self._trace = trace
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
        meter = metrics.get_meter(_NAME, __version__, meter_provider)
        self._duration = _histogram(
            meter, "db.client.operation.duration", "s", "Duration of database client operations.", _SECONDS
        )
        self._rows = _histogram(
            meter, "db.client.response.returned_rows", "{row}", "Records that an operation returned.", _ROWS
        )
        self._opening = _histogram(
            meter, "db.client.connection.create_time", "s", "Time to make a connection.", _SECONDS
        )
        self._waiting = _histogram(
            meter, "db.client.connection.wait_time", "s", "Time to get a connection from the pool.", _SECONDS
        )
        self._query_text = query_text
        self._error_text = error_text
        self._system = system
        self._spans: dict[object, tuple[Any, int]] = {}
        self._driver = driver
        self._meter_provider = meter_provider
        _observe(metrics, meter, meter_provider)
        driver.add_listener(self)
        _reporting.add(self)

    def stop(self) -> None:
        """Report no more. Spans of queries that still run end here."""
        if self not in _reporting:
            return
        _reporting.discard(self)
        self._driver.remove_listener(self)
        spans, self._spans = self._spans, {}
        for span, _ in spans.values():
            span.end()

    # ---------------------------------------------------------------- what the driver calls

    def query_started(self, event: QueryStarted) -> None:
        """A query is about to be sent."""
        attributes = self._attributes(event.address, event.database, event.query)
        target = event.database or str(event.address)
        operation = attributes.get("db.operation.name")
        if self._query_text:
            attributes["db.query.text"] = event.query
        began = time.time_ns()
        span = self._tracer.start_span(
            f"{operation} {target}" if operation else target,
            kind=self._trace.SpanKind.CLIENT,
            attributes=attributes,
            start_time=began,
        )
        self._spans[event.key] = span, began

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
        span, began = self._spans.pop(event.key, (None, 0))
        if span is not None:
            span.set_attributes({**outcome, "db.response.returned_rows": event.rows})
            if event.database:
                span.set_attribute("db.namespace", event.database)
            if error is not None:
                text = str(error) if self._error_text else None
                span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, text))
            # As long as the metric says, whatever is done to the wall clock meanwhile.
            span.end(began + round(1e9 * event.seconds))
        attributes.update(outcome)
        self._duration.record(event.seconds, attributes)
        if error is None:
            self._rows.record(event.rows, attributes)

    def connection_opened(self, event: ConnectionOpened) -> None:
        """A connection was made."""
        self._opening.record(event.seconds, _pool(event.address))

    def connection_acquired(self, event: ConnectionAcquired) -> None:
        """A session got a connection."""
        self._waiting.record(event.seconds, _pool(event.address))

    def _attributes(self, address: Address, database: str | None, query: str) -> dict[str, Any]:
        attributes: dict[str, Any] = {"db.system.name": self._system}
        operation = _operation(query)
        if operation is not None:
            attributes["db.operation.name"] = operation
        if isinstance(address, UnixAddress):
            attributes["server.address"] = str(address)
        else:
            attributes["server.address"] = str(address.host)
            attributes["server.port"] = address.port_number
        if database:
            attributes["db.namespace"] = database
        return attributes


def _operation(query: str) -> str | None:
    """Return the first word of *query*, behind its comments, when it is one that statements begin with."""
    place = 0
    while blank := _BLANK.match(query, place):
        place = blank.end()
    word = _WORD.match(query, place)
    operation = word[0].upper() if word else None
    return operation if operation in _OPERATIONS else None


def _pool(address: Address) -> dict[str, Any]:
    return {"db.client.connection.pool.name": str(address)}


def _histogram(meter: Any, name: str, unit: str, description: str, buckets: tuple[float, ...]) -> Any:
    try:
        return meter.create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=list(buckets)
        )
    except TypeError:  # an older API
        return meter.create_histogram(name, unit, description)


# All that report. A meter takes the functions that it calls once for each name and keeps them for ever: they
# speak for every driver of its provider, and hold none of them.
_reporting: Final[weakref.WeakSet[Instrumentation]] = weakref.WeakSet()


def _observe(metrics: Any, meter: Any, provider: Any) -> None:
    """Offer the state of the pools to the readers of *meter*."""
    observation = metrics.Observation

    def of_provider() -> dict[Address, _State]:
        return _state(metrics.get_meter_provider, provider)

    def count(_: Any) -> Iterator[Any]:
        for address, state in of_provider().items():
            yield observation(state.used, {**_pool(address), "db.client.connection.state": "used"})
            yield observation(state.idle, {**_pool(address), "db.client.connection.state": "idle"})

    def pending(_: Any) -> Iterator[Any]:
        for address, state in of_provider().items():
            yield observation(state.waiting, _pool(address))

    def limit(_: Any) -> Iterator[Any]:
        for address, state in of_provider().items():
            if state.limit != math.inf:
                yield observation(state.limit, _pool(address))

    for name, unit, callback, description in (
        ("count", "{connection}", count, "Connections by state."),
        ("pending_requests", "{request}", pending, "Tasks that wait for a connection."),
        ("max", "{connection}", limit, "How many connections there may be."),
    ):
        meter.create_observable_up_down_counter(
            f"db.client.connection.{name}", [callback], unit, description
        )


class _State:
    """The connections to one address."""

    __slots__ = ("idle", "limit", "used", "waiting")

    def __init__(self) -> None:
        self.used = self.idle = self.waiting = 0
        self.limit: float = 0


def _state(global_provider: Callable[[], Any], provider: Any) -> dict[Address, _State]:
    """Return how things are at each address, over all drivers that report to *provider* and all event loops.

    The global provider, which None stands for, may be set after a driver has begun to report to it.
    """
    provider = provider or global_provider()
    for _ in range(_LOOKS):
        states: defaultdict[Address, _State] = defaultdict(_State)
        try:
            for instrumentation in list(_reporting):
                if (instrumentation._meter_provider or global_provider()) is not provider:
                    continue
                driver = instrumentation._driver
                for pool in list(driver._pools.values()):
                    for address, stats in pool.stats().addresses.items():
                        state = states[address]
                        state.used += stats.in_use
                        state.idle += stats.idle
                        state.waiting += stats.waiting
                        state.limit += driver._shared.config.max_connection_pool_size
        except RuntimeError:  # a pool changed while it was looked at
            continue
        return states
    return {}
