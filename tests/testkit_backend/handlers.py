"""The requests that Testkit knows, served by the driver."""

from __future__ import annotations

import asyncio
import logging
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import callbacks
import from_testkit
import peeks
import to_testkit
from conversation import Conversation, Response
from features import FEATURES, skip_reason
from mock_time import MockTime

import asyncbolt
from asyncbolt.exceptions import DriverError, GqlError

__all__ = ["Handlers"]

logger = logging.getLogger("testkit_backend")

_HERE: Final = Path(__file__).resolve().parent
_DRIVER: Final = Path(asyncbolt.__file__).resolve().parent
# All that the stub servers speak. Without 6.0 and 6.1, which need the manifest, there is room for an exact
# offer of 4.1 in the handshake; the stub server of 4.1 does not understand ranges.
_VERSIONS: Final = [
    *((5, minor) for minor in (8, 7, 6, 4, 3, 2, 1, 0)),
    *((4, minor) for minor in (4, 3, 2, 1)),
    (3, 0),
]
_MODES: Final = {"r": asyncbolt.READ_ACCESS, "w": asyncbolt.WRITE_ACCESS}


class _TestSaidNo(Exception):
    """The body of a transaction function failed in the test, and not by an error of the driver."""


class _NoSuchMethod(Exception):
    """A method that the driver left out on purpose: for a user that is an error of the driver."""


class Handlers:
    """Serves one conversation.

    What Testkit refers to later stays here under a number: drivers, sessions, transactions, results, errors.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._kept: dict[int, Any] = {}
        # By session: told what becomes of the transaction function that is running.
        self._verdicts: dict[int, asyncio.Future[None]] = {}
        self._time: MockTime | None = None

    def _keep(self, thing: Any) -> int:
        number = self._conversation.new_id()
        self._kept[number] = thing
        return number

    async def close(self) -> None:
        """Close what the test left open."""
        if self._time is not None:
            self._time.uninstall()
        for kind in (asyncbolt.AsyncSession, asyncbolt.AsyncDriver):
            for thing in self._kept.values():
                if isinstance(thing, kind):
                    try:
                        await thing.close()
                    except Exception:
                        logger.warning("%r could not be closed", thing, exc_info=True)

    # ---------------------------------------------------------------- errors

    def describe(self, error: Exception) -> Response:
        """Return what Testkit is told of *error*: of the test, of the driver, or of this backend."""
        try:
            if isinstance(error, _TestSaidNo):
                return Response("FrontendError", {"msg": str(error)})
            if isinstance(error, _NoSuchMethod):
                assert isinstance(error.__cause__, Exception)
                error = error.__cause__
            elif not _is_of_driver(error):
                raise error
            return Response("DriverError", {"id": self._keep(error), **to_testkit.error(error)})
        except Exception as failure:
            text = "".join(traceback.format_exception(type(failure), failure, failure.__traceback__))
            logger.error("the backend failed:\n%s", text)
            return Response("BackendError", {"msg": text})

    # ---------------------------------------------------------------- tests and features

    async def on_get_features(self) -> Response:
        return Response("FeatureList", {"features": FEATURES})

    async def on_start_test(self, test_name: str) -> Response:
        reason = skip_reason(test_name)
        return Response("RunTest", {}) if reason is None else Response("SkipTest", {"reason": reason})

    async def on_fake_time_install(self) -> Response:
        self._time = MockTime()
        return Response("FakeTimeAck", {})

    async def on_fake_time_tick(self, increment_ms: float) -> Response:
        assert self._time is not None
        self._time.tick(increment_ms / 1000)
        return Response("FakeTimeAck", {})

    async def on_fake_time_uninstall(self) -> Response:
        assert self._time is not None
        self._time.uninstall()
        self._time = None
        return Response("FakeTimeAck", {})

    # ---------------------------------------------------------------- what drivers are made with

    def _new(self, response: str, make: Callable[[Conversation, int], Any]) -> Response:
        number = self._conversation.new_id()
        self._kept[number] = make(self._conversation, number)
        return Response(response, {"id": number})

    def _drop(self, response: str, number: int) -> Response:
        del self._kept[number]
        return Response(response, {"id": number})

    async def on_new_auth_token_manager(self) -> Response:
        return self._new("AuthTokenManager", callbacks.AskingAuthManager)

    async def on_new_basic_auth_token_manager(self) -> Response:
        return self._new("BasicAuthTokenManager", callbacks.basic_auth_manager)

    async def on_new_bearer_auth_token_manager(self) -> Response:
        return self._new("BearerAuthTokenManager", callbacks.bearer_auth_manager)

    async def on_auth_token_manager_close(self, id: int) -> Response:
        return self._drop("AuthTokenManager", id)

    async def on_new_client_certificate_provider(self) -> Response:
        return self._new("ClientCertificateProvider", callbacks.AskingCertificateProvider)

    async def on_client_certificate_provider_close(self, id: int) -> Response:
        return self._drop("ClientCertificateProvider", id)

    async def on_new_bookmark_manager(
        self,
        initial_bookmarks: list[str] | None,
        bookmarks_supplier_registered: bool,
        bookmarks_consumer_registered: bool,
    ) -> Response:
        def make(conversation: Conversation, number: int) -> Any:
            return callbacks.bookmark_manager(
                conversation,
                number,
                initial_bookmarks,
                bookmarks_supplier_registered,
                bookmarks_consumer_registered,
            )

        return self._new("BookmarkManager", make)

    async def on_bookmark_manager_close(self, id: int) -> Response:
        return self._drop("BookmarkManager", id)

    # ---------------------------------------------------------------- drivers

    async def on_new_driver(
        self,
        uri: str,
        authorization_token: Mapping[str, Any] | None,
        auth_token_manager_id: int | None,
        user_agent: str | None,
        resolver_registered: bool,
        domain_name_resolver_registered: bool,
        connection_timeout_ms: float | None,
        fetch_size: int | None,
        max_tx_retry_time_ms: float | None,
        liveness_check_timeout_ms: float | None,
        max_connection_pool_size: int | None,
        connection_acquisition_timeout_ms: float | None,
        client_certificate: Mapping[str, Any] | None,
        client_certificate_provider_id: int | None,
        telemetry_disabled: bool = False,
        notifications_min_severity: str | None = None,
        notifications_disabled_categories: list[str] | None = None,
        **tls: Any,
    ) -> Response:
        auth = from_testkit.token(authorization_token)
        if auth_token_manager_id is not None:
            auth = self._kept[auth_token_manager_id]
        options: dict[str, Any] = {
            "user_agent": user_agent,
            "fetch_size": fetch_size,
            "max_connection_pool_size": max_connection_pool_size,
            "connection_timeout": from_testkit.seconds(connection_timeout_ms),
            "connection_acquisition_timeout": from_testkit.seconds(connection_acquisition_timeout_ms),
            "max_transaction_retry_time": from_testkit.seconds(max_tx_retry_time_ms),
            "liveness_check_timeout": from_testkit.seconds(liveness_check_timeout_ms),
        }
        if client_certificate_provider_id is not None:
            options["client_certificate"] = self._kept[client_certificate_provider_id]
        elif client_certificate is not None:
            options["client_certificate"] = from_testkit.certificate(client_certificate)
        if resolver_registered or domain_name_resolver_registered:
            options["resolver"] = callbacks.resolver(
                self._conversation, resolver_registered, domain_name_resolver_registered
            )
        driver = asyncbolt.AsyncGraphDatabase.driver(
            uri,
            auth=auth,
            telemetry_disabled=telemetry_disabled,
            versions=_VERSIONS,
            server_products=["Neo4j"],
            **_given(options),
            **from_testkit.notification_filters(
                notifications_min_severity, notifications_disabled_categories
            ),
            **_tls_options(**tls),
        )
        return Response("Driver", {"id": self._keep(driver)})

    async def on_driver_close(self, driver_id: int) -> Response:
        await self._kept[driver_id].close()
        return Response("Driver", {"id": driver_id})

    async def on_verify_connectivity(self, driver_id: int) -> Response:
        await self._kept[driver_id].verify_connectivity()
        return Response("Driver", {"id": driver_id})

    async def on_get_server_info(self, driver_id: int) -> Response:
        info = await self._kept[driver_id].get_server_info()
        return Response("ServerInfo", to_testkit.server_info(info))

    async def on_verify_authentication(
        self, driver_id: int, authorization_token: Mapping[str, Any] | None
    ) -> Response:
        good = await self._kept[driver_id].verify_authentication(
            auth=from_testkit.token(authorization_token)
        )
        return Response("DriverIsAuthenticated", {"id": driver_id, "authenticated": good})

    async def on_check_multi_db_support(self, driver_id: int) -> Response:
        available = await self._kept[driver_id].supports_multi_db()
        return Response("MultiDBSupport", {"id": driver_id, "available": available})

    async def on_check_session_auth_support(self, driver_id: int) -> Response:
        available = await self._kept[driver_id].supports_session_auth()
        return Response("SessionAuthSupport", {"id": driver_id, "available": available})

    async def on_check_driver_is_encrypted(self, driver_id: int) -> Response:
        return Response("DriverIsEncrypted", {"encrypted": self._kept[driver_id].encrypted})

    async def on_execute_query(
        self, driver_id: int, cypher: str, params: Mapping[str, Any] | None, config: Mapping[str, Any]
    ) -> Response:
        return await self._execute_query(
            self._kept[driver_id], cypher, from_testkit.parameters(params), **config
        )

    async def _execute_query(
        self,
        driver: asyncbolt.AsyncDriver,
        cypher: str,
        params: dict[str, Any] | None,
        *,
        routing: str | None = None,
        database: str | None = None,
        impersonatedUser: str | None = None,
        bookmarkManagerId: int | None = None,
        txMeta: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        authorizationToken: Mapping[str, Any] | None = None,
    ) -> Response:
        options: dict[str, Any] = {
            "routing_": routing,
            "database_": database,
            "impersonated_user_": impersonatedUser,
            "auth_": from_testkit.token(authorizationToken),
        }
        managers: dict[str, Any] = {}
        if bookmarkManagerId is not None:
            managers["bookmark_manager_"] = (
                None if bookmarkManagerId == -1 else self._kept[bookmarkManagerId]
            )
        query = asyncbolt.Query(cypher, **_transaction_options(txMeta, timeout))
        result = await driver.execute_query(query, params, **_given(options), **managers)
        return Response(
            "EagerResult",
            {
                "keys": result.keys,
                "records": [to_testkit.record(record) for record in result.records],
                "summary": to_testkit.summary(result.summary),
            },
        )

    # ---------------------------------------------------------------- looks into drivers

    async def on_forced_routing_table_update(
        self, driver_id: int, database: str | None, bookmarks: list[str] | None
    ) -> Response:
        await peeks.update_routing_table(self._kept[driver_id], database, bookmarks)
        return Response("Driver", {"id": driver_id})

    async def on_get_routing_table(self, driver_id: int, database: str | None) -> Response:
        table = peeks.routing_table(self._kept[driver_id], database)
        addresses = {role: list(map(str, getattr(table, role))) for role in ("routers", "readers", "writers")}
        return Response("RoutingTable", {"database": table.database, "ttl": table.ttl, **addresses})

    async def on_get_connection_pool_metrics(self, driver_id: int, address: str) -> Response:
        in_use, idle = peeks.pool_counts(self._kept[driver_id], address)
        return Response("ConnectionPoolMetrics", {"inUse": in_use, "idle": idle})

    # ---------------------------------------------------------------- sessions

    async def on_new_session(
        self,
        driver_id: int,
        access_mode: str | None,
        bookmarks: list[str] | None,
        database: str | None,
        fetch_size: int | None,
        impersonated_user: str | None,
        notifications_min_severity: str | None = None,
        notifications_disabled_categories: list[str] | None = None,
        bookmark_manager_id: int | None = None,
        authorization_token: Mapping[str, Any] | None = None,
    ) -> Response:
        options = {
            "default_access_mode": None if access_mode is None else _MODES[access_mode],
            "bookmarks": None if bookmarks is None else asyncbolt.Bookmarks.from_raw_values(bookmarks),
            "database": database,
            "fetch_size": fetch_size,
            "impersonated_user": impersonated_user,
            "bookmark_manager": None if bookmark_manager_id is None else self._kept[bookmark_manager_id],
            "auth": from_testkit.token(authorization_token),
        }
        session = self._kept[driver_id].session(
            **_given(options),
            **from_testkit.notification_filters(
                notifications_min_severity, notifications_disabled_categories
            ),
        )
        return Response("Session", {"id": self._keep(session)})

    async def on_session_close(self, session_id: int) -> Response:
        await self._kept[session_id].close()
        return Response("Session", {"id": session_id})

    async def on_session_last_bookmarks(self, session_id: int) -> Response:
        bookmarks = await self._kept[session_id].last_bookmarks()
        return Response("Bookmarks", {"bookmarks": list(bookmarks.raw_values)})

    async def on_session_run(
        self,
        session_id: int,
        cypher: str,
        params: Mapping[str, Any] | None,
        tx_meta: Mapping[str, Any] | None,
        timeout: float | None = None,
    ) -> Response:
        query = asyncbolt.Query(cypher, **_transaction_options(tx_meta, timeout))
        return self._result(
            await self._kept[session_id].run(query, parameters=from_testkit.parameters(params))
        )

    async def on_session_begin_transaction(
        self, session_id: int, tx_meta: Mapping[str, Any] | None, timeout: float | None = None
    ) -> Response:
        options = _transaction_options(tx_meta, timeout)
        transaction = await self._kept[session_id].begin_transaction(**options)
        return Response("Transaction", {"id": self._keep(transaction)})

    async def on_session_read_transaction(
        self, session_id: int, tx_meta: Mapping[str, Any] | None, timeout: float | None = None
    ) -> Response:
        execute = self._kept[session_id].execute_read
        return await self._managed(execute, session_id, _transaction_options(tx_meta, timeout))

    async def on_session_write_transaction(
        self, session_id: int, tx_meta: Mapping[str, Any] | None, timeout: float | None = None
    ) -> Response:
        execute = self._kept[session_id].execute_write
        return await self._managed(execute, session_id, _transaction_options(tx_meta, timeout))

    async def _managed(self, execute: Any, session_id: int, options: Mapping[str, Any]) -> Response:
        @asyncbolt.unit_of_work(**options)
        async def work(transaction: asyncbolt.AsyncManagedTransaction) -> None:
            verdict = self._verdicts[session_id] = asyncio.get_running_loop().create_future()
            self._conversation.say(Response("RetryableTry", {"id": self._keep(transaction)}))
            await verdict

        await execute(work)
        return Response("RetryableDone", {})

    async def on_retryable_positive(self, session_id: int) -> None:
        self._verdicts.pop(session_id).set_result(None)

    async def on_retryable_negative(self, session_id: int, error_id: int | str) -> None:
        error = _TestSaidNo("the test said no") if error_id == "" else self._kept[int(error_id)]
        self._verdicts.pop(session_id).set_exception(error)

    # ---------------------------------------------------------------- transactions

    async def on_transaction_run(
        self, tx_id: int, cypher: str, params: Mapping[str, Any] | None
    ) -> Response:
        return self._result(
            await self._kept[tx_id].run(cypher, parameters=from_testkit.parameters(params))
        )

    async def on_transaction_commit(self, tx_id: int) -> Response:
        return await self._end(tx_id, "commit")

    async def on_transaction_rollback(self, tx_id: int) -> Response:
        return await self._end(tx_id, "rollback")

    async def on_transaction_close(self, tx_id: int) -> Response:
        return await self._end(tx_id, "close")

    async def _end(self, tx_id: int, how: str) -> Response:
        try:
            method = getattr(self._kept[tx_id], how)
        except AttributeError as error:
            raise _NoSuchMethod from error
        await method()
        return Response("Transaction", {"id": tx_id})

    # ---------------------------------------------------------------- results

    def _result(self, result: asyncbolt.AsyncResult) -> Response:
        return Response("Result", {"id": self._keep(result), "keys": result.keys()})

    async def on_result_next(self, result_id: int) -> Response:
        try:
            record = await self._kept[result_id].__anext__()
        except StopAsyncIteration:
            return Response("NullRecord", {})
        return Response("Record", to_testkit.record(record))

    async def on_result_single(self, result_id: int) -> Response:
        record = await self._kept[result_id].single(strict=True)
        return Response("Record", to_testkit.record(record))

    async def on_result_single_optional(self, result_id: int) -> Response:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            record = await self._kept[result_id].single()
        found = None if record is None else to_testkit.record(record)
        return Response("RecordOptional", {"record": found, "warnings": [str(one.message) for one in seen]})

    async def on_result_peek(self, result_id: int) -> Response:
        record = await self._kept[result_id].peek()
        return Response("NullRecord", {}) if record is None else Response("Record", to_testkit.record(record))

    async def on_result_list(self, result_id: int) -> Response:
        records = [to_testkit.record(record) async for record in self._kept[result_id]]
        return Response("RecordList", {"records": records})

    async def on_result_consume(self, result_id: int) -> Response:
        return Response("Summary", to_testkit.summary(await self._kept[result_id].consume()))


def _is_of_driver(error: BaseException) -> bool:
    """Whether the driver raised *error*: by its kind, or since the innermost line known is the driver's."""
    if isinstance(error, (GqlError, DriverError)):
        return True
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        folders = Path(frame.filename).resolve().parents
        if _HERE in folders:
            return False
        if _DRIVER in folders:
            return True
    return False


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the test has set."""
    return {name: option for name, option in options.items() if option is not None}


def _transaction_options(tx_meta: Mapping[str, Any] | None, timeout: float | None) -> dict[str, Any]:
    return {"metadata": from_testkit.parameters(tx_meta), "timeout": from_testkit.seconds(timeout)}


_DRIVERS_CHOICE: Final[Any] = object()


def _tls_options(
    encrypted: bool | None = None, trusted_certificates: Any = _DRIVERS_CHOICE
) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if encrypted is not None:
        options["encrypted"] = encrypted
    if trusted_certificates is None:
        options["trusted_certificates"] = asyncbolt.TrustSystemCAs()
    elif not trusted_certificates:
        options["trusted_certificates"] = asyncbolt.TrustAll()
    elif trusted_certificates is not _DRIVERS_CHOICE:
        folder = Path("/usr/local/share/custom-ca-certificates")  # where Testkit puts them
        paths = [str(folder / name) for name in trusted_certificates]
        options["trusted_certificates"] = asyncbolt.TrustCustomCAs(*paths)
    return options
