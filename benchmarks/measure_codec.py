"""Rows into bytes and bytes into rows, without a network: asyncbolt, the official driver's codec, msgpack.

For a direction and the rows of a shape, each library's function gives the call that is timed and what tells
whether its result is right; or None where the library has no such thing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any

import shapes
import workloads
from stopwatch import Rate, repeated

from asyncbolt import Message
from asyncbolt.chunking import MessageReader, MessageWriter
from asyncbolt.graph import Node

VERSION = (5, 4)  # that of the canned server
READ_SIZE = 256 * 1024
UNWIND = "UNWIND $rows AS row CREATE (n:Person) SET n = row"
Timed = tuple[Callable[[], Any], Callable[[Any], bool]]


def rate(column: str, name: str, count: int, seconds: float) -> Rate | None:
    """Rows a second, and the share of the time for which this process worked."""
    direction, shape = name.split()
    rows: list[Any] = shapes.people(count) if shape == "people" else shapes.rows(shape, count)
    prepare = {
        workloads.C: _asyncbolt,
        workloads.PYTHON: _asyncbolt,
        workloads.OFFICIAL: _official,
        workloads.OFFICIAL_PURE: _official,
        workloads.MSGSPEC: _msgspec,
        workloads.ORMSGPACK: _ormsgpack,
    }[column]
    timed = prepare(direction, shape, rows)
    return None if timed is None else repeated(*timed, count, seconds)


def parameters(people: Sequence[Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The fields of the RUN message that carries maps."""
    return UNWIND, {"rows": people}, {}


def framed(shape: str, rows: Sequence[Any]) -> bytes:
    """The bytes that everyone who speaks Bolt is to read."""
    writer = MessageWriter(VERSION, graph=True)
    return writer.message(Message.RUN, *parameters(rows)) if shape == "people" else writer.records(rows)


def read(shape: str, data: bytes, pieces: Sequence[bytes] = ()) -> list[Any]:
    """The rows, or the one message of maps, that bytes hold."""
    reader = MessageReader(VERSION)
    got: list[Any] = []
    for piece in pieces or (data,):
        for run in reader.feed(piece):
            got += run
    return got


def _asyncbolt(direction: str, shape: str, rows: list[Any]) -> Timed:
    data = framed(shape, rows)
    expected = [Message.RUN, *parameters(rows)] if shape == "people" else rows
    if direction == "decode":
        pieces = [data[i : i + READ_SIZE] for i in range(0, len(data), READ_SIZE)]
        return lambda: read(shape, data, pieces), lambda got: bool(got == expected)
    writer = MessageWriter(VERSION, graph=True)
    if shape == "people":
        fields = parameters(rows)
        return lambda: writer.message(Message.RUN, *fields), lambda got: read(shape, got) == expected
    return lambda: writer.records(rows), lambda got: read(shape, got) == expected


def _official(direction: str, shape: str, rows: list[Any]) -> Timed | None:
    from neo4j import Record
    from neo4j._async.io._bolt._common import AsyncOutbox
    from neo4j._codec.hydration.bolt.v2 import HydrationHandler
    from neo4j._codec.packstream.v1 import Packer, Unpacker

    handler = HydrationHandler()
    people = shape == "people"
    expected = [Message.RUN, *parameters(rows)] if people else rows

    if direction == "encode":
        if shape == "node":
            return None
        tag = bytes((Message.RUN if people else Message.RECORD,))
        messages = [parameters(rows)] if people else [(row,) for row in rows]
        hooks = handler.new_hydration_scope().dehydration_hooks

        def encode() -> bytearray:
            # As AsyncBolt._append does it: pack into a buffer, then copy that in chunks.
            outbox = AsyncOutbox(None, None, Packer)
            for fields in messages:
                outbox.append_message(tag, fields, hooks)
            data: bytearray = outbox._chunked_data
            return data

        return encode, lambda got: read(shape, bytes(got)) == expected

    keys = ("rows",) if people else shapes.fields(shape)
    payloads = unframed(framed(shape, rows))

    def decode() -> list[Any]:
        # As AsyncInbox.pop and AsyncResult do it, once a message is in the buffer.
        got: list[Any] = []
        # A result has a scope of its own: it remembers the nodes that it has seen.
        hydration = handler.new_hydration_scope().hydration_hooks
        buffer = Unpacker.new_unpackable_buffer()
        unpacker = Unpacker(buffer)
        for payload in payloads:
            end = len(payload)
            if end > len(buffer.data):
                buffer.data += bytearray(end - len(buffer.data))
            buffer.data[:end] = payload
            buffer.used = end
            size, _tag = unpacker.unpack_structure_header()
            fields = [unpacker.unpack(hydration) for _ in range(size)]
            unpacker.reset()
            got.append(fields if people else Record._new(keys, fields[0]))
        return got

    def right(got: list[Any]) -> bool:
        if people:
            return got == [list(parameters(rows))]
        return len(got) == len(rows) and all(_native(got[i]) == _native(rows[i]) for i in (0, -1))

    return decode, right


def unframed(data: bytes) -> list[bytes]:
    """Messages without their chunks."""
    payloads: list[bytes] = []
    message = bytearray()
    pos = 0
    while pos < len(data):
        size = int.from_bytes(data[pos : pos + 2], "big")
        message += data[pos + 2 : pos + 2 + size]
        pos += 2 + size
        if not size:
            payloads.append(bytes(message))
            message.clear()
    return payloads


def _native(row: Any) -> list[Any]:
    """A row's values as Python's own types, nodes taken apart."""
    values: list[Any] = []
    for value in row:
        if hasattr(value, "labels"):
            value = value.element_id, set(value.labels), dict(value.items())
        values.append(value.to_native() if hasattr(value, "to_native") else value)
    return values


def _nearest(shape: str, rows: list[Any]) -> Any:
    """The data that msgpack is given instead: what it has no form for is a map."""
    if shape == "people":
        return list(parameters(rows))
    return [[_map(value) if isinstance(value, Node) else value for value in row] for row in rows]


def _map(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "labels": list(node.labels),
        "properties": dict(node.items()),
        "element_id": node.element_id,
    }


def _msgspec(direction: str, shape: str, rows: list[Any]) -> Timed:
    import msgspec

    values = _nearest(shape, rows)
    encoder = msgspec.msgpack.Encoder()
    decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder()
    if shape == "times":
        # Dates and times go as strings: only the types tell what to make of them.
        decoder = msgspec.msgpack.Decoder(list[tuple[datetime.datetime, datetime.date, datetime.time]])
        values = rows
    if direction == "encode":
        return lambda: encoder.encode(values), lambda got: bool(decoder.decode(got) == values)
    data = encoder.encode(values)
    return lambda: decoder.decode(data), lambda got: bool(got == values)


def _ormsgpack(direction: str, shape: str, rows: list[Any]) -> Timed | None:
    import ormsgpack

    values = _nearest(shape, rows)
    if direction == "encode":
        if shape == "times":
            return lambda: ormsgpack.packb(values), lambda got: len(ormsgpack.unpackb(got)) == len(rows)
        return lambda: ormsgpack.packb(values), lambda got: bool(ormsgpack.unpackb(got) == values)
    if shape == "times":
        return None
    data = ormsgpack.packb(values)
    return lambda: ormsgpack.unpackb(data), lambda got: bool(got == values)
