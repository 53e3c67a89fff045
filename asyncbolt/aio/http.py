"""The little HTTP that a Bolt port speaks: the head of one GET request, and one answer to it.

Drivers never need it. Neo4j Browser asks for the discovery document, and starts WebSocket with the same
request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["BadRequest", "json_answer", "parse_head", "plain_answer"]

MAX_HEAD: Final = 8192
"""Bytes that the head of a request may have."""


class BadRequest(Exception):
    """What came is no HTTP request that anyone would send here."""


def parse_head(data: bytes | bytearray) -> tuple[str, dict[str, str], int] | None:
    """The target, the headers (names in lower case) and the size of the head; None while it is incomplete.

    Raises ``BadRequest``.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        if len(data) >= MAX_HEAD:
            raise BadRequest("the head of the request is too long")
        return None
    first, *lines = bytes(data[:end]).decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or parts[0] != "GET" or not parts[2].startswith("HTTP/1."):
        raise BadRequest("not a GET request of HTTP/1")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest("a header line without a name")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return parts[1], headers, end + 4


def _answer(status: str, kind: str, body: bytes, extra: tuple[str, ...] = ()) -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Access-Control-Allow-Origin: *",
        "Vary: Accept",
        "Connection: close",
        *extra,
    )
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def json_answer(document: Mapping[str, Any]) -> bytes:
    """``200`` with a JSON document that scripts of any origin may read."""
    return _answer("200 OK", "application/json", json.dumps(document).encode() + b"\n")


def plain_answer(status: str, text: str, *extra: str) -> bytes:
    """``status`` with a line of text; ``extra``: whole header lines."""
    return _answer(status, "text/plain; charset=utf-8", text.encode() + b"\n", extra)
