"""What Testkit writes as JSON, as the driver takes it."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any, Final

import asyncbolt
from asyncbolt.auth_management import ClientCertificate
from asyncbolt.spatial import CartesianPoint, Point, WGS84Point
from asyncbolt.time import Date, DateTime, Duration, Time

__all__ = ["certificate", "native", "notification_filters", "parameters", "seconds", "token"]


def seconds(milliseconds: float | None) -> float | None:
    """Return a time in the driver's unit."""
    return None if milliseconds is None else milliseconds / 1000


def parameters(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the parameters or the metadata of a statement."""
    return None if given is None else {name: native(packed) for name, packed in given.items()}


def native(packed: Mapping[str, Any]) -> Any:
    """Return a value of Python from its Testkit form: the name of a Cypher type, and data."""
    try:
        read = _READERS[packed["name"]]
    except KeyError:
        raise NotImplementedError(f"values of type {packed['name']}") from None
    return read(**packed["data"])


def _point(system: str, x: float, y: float, z: float | None = None) -> Point:
    coordinates = (x, y) if z is None else (x, y, z)
    return {"cartesian": CartesianPoint, "wgs84": WGS84Point}[system](coordinates)


def _time(hour: int, minute: int, second: int, nanosecond: int, utc_offset_s: int | None = None) -> Time:
    return Time(hour, minute, second, nanosecond=nanosecond, tzinfo=_fixed_zone(utc_offset_s))


def _date_time(
    year: int,
    month: int,
    day: int,
    hour: int,
    minute: int,
    second: int,
    nanosecond: int,
    utc_offset_s: int | None = None,
    timezone_id: str | None = None,
) -> DateTime:
    arguments = (year, month, day, hour, minute, second)
    if timezone_id is None:
        return DateTime(*arguments, nanosecond=nanosecond, tzinfo=_fixed_zone(utc_offset_s))
    zone = zoneinfo.ZoneInfo(timezone_id)
    # Where the clock is turned back, the offset says which of the two hours is meant.
    for fold in (0, 1):
        plain = datetime.datetime(*arguments, tzinfo=zone, fold=fold)
        offset = plain.utcoffset()
        if offset is not None and offset.total_seconds() == utc_offset_s:
            return DateTime.from_native(plain).replace(nanosecond=nanosecond)
    raise ValueError(f"{timezone_id} is not {utc_offset_s} s from UTC at {arguments}")


def _fixed_zone(utc_offset_s: int | None) -> datetime.timezone | None:
    return None if utc_offset_s is None else datetime.timezone(datetime.timedelta(seconds=utc_offset_s))


_READERS: Final[dict[str, Callable[..., Any]]] = {
    "CypherNull": lambda value=None: None,
    "CypherBool": lambda value: bool(value),
    "CypherInt": lambda value: int(value),
    "CypherFloat": lambda value: float(value),
    "CypherString": lambda value: str(value),
    "CypherBytes": lambda value: bytes.fromhex(value),
    "CypherList": lambda value: list(map(native, value)),
    "CypherMap": lambda value: parameters(value),
    "CypherPoint": _point,
    "CypherDate": lambda year, month, day: Date(year, month, day),
    "CypherTime": _time,
    "CypherDateTime": _date_time,
    "CypherDuration": lambda **parts: Duration(**parts),
}


def _inner(packed: Mapping[str, Any], name: str) -> dict[str, Any]:
    if packed["name"] != name:
        raise NotImplementedError(f"{packed['name']} where {name} belongs")
    return dict(packed["data"])


def token(packed: Mapping[str, Any] | None) -> Any:
    """Return credentials."""
    if packed is None:
        return None
    data = _inner(packed, "AuthorizationToken")
    scheme = data.pop("scheme")
    if scheme == "basic":
        made = asyncbolt.basic_auth(data.pop("principal"), data.pop("credentials"), data.pop("realm", None))
    elif scheme in ("bearer", "kerberos"):
        make = asyncbolt.bearer_auth if scheme == "bearer" else asyncbolt.kerberos_auth
        made = make(data.pop("credentials"))
    else:
        principal, credentials, realm = (
            data.pop(name, None) for name in ("principal", "credentials", "realm")
        )
        made = asyncbolt.custom_auth(principal, credentials, realm, scheme, **data.pop("parameters", {}))
    if data:
        raise NotImplementedError(f"{sorted(data)} in a token of scheme {scheme}")
    return made


def certificate(packed: Mapping[str, Any]) -> ClientCertificate:
    """Return a client certificate."""
    return ClientCertificate(**_inner(packed, "ClientCertificate"))


def notification_filters(
    min_severity: str | None, disabled_categories: list[str] | None
) -> dict[str, Any]:
    """Return the options that drivers and sessions have for notifications."""
    options: dict[str, Any] = {}
    if min_severity is not None:
        options["notifications_min_severity"] = asyncbolt.NotificationMinimumSeverity[min_severity]
    if disabled_categories is not None:
        options["notifications_disabled_categories"] = [
            asyncbolt.NotificationDisabledCategory[name] for name in disabled_categories
        ]
    return options
