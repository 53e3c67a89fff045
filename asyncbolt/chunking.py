"""Messages and their framing: readers, writers, and the buffers and functions that asyncbolt 0.0.2 had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, overload

from ._constants import NEWEST, Message, Version
from ._impl import IMPLEMENTATION
from ._structure import Structure
from .exceptions import UnpackError
from .packstream import pack, unpack

if TYPE_CHECKING or IMPLEMENTATION == "python":
    from ._chunking_py import ChunkedReadBuffer, ChunkedWriteBuffer, MessageReader, MessageWriter
else:
    from ._chunking import ChunkedReadBuffer, ChunkedWriteBuffer, MessageReader, MessageWriter

__all__ = [
    "BoltParser",
    "ChunkedReadBuffer",
    "ChunkedWriteBuffer",
    "MessageReader",
    "MessageWriter",
    "deserialize_message",
    "message_deserializer",
    "message_serializer",
    "serialize_message",
]


class BoltParser:
    """Cuts a stream of chunks, however it arrives, into chunks and ends of messages.

    Args:
        protocol: Any object; its ``on_chunk(chunk)`` is called with the content of each chunk (bytes), its
            ``on_message_complete()`` at the end of each message. A missing method is not called. NOOPs (an
            end marker where no message has begun, Bolt 4.1) are swallowed.
    """

    def __init__(self, protocol: object) -> None:
        self._on_chunk: Callable[[bytes], object] | None = getattr(protocol, "on_chunk", None)
        self._on_complete: Callable[[], object] | None = getattr(protocol, "on_message_complete", None)
        self._tail = b""
        self._inside = False

    def feed_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes, cut anywhere."""
        buffer = self._tail + data if self._tail else bytes(data)
        # Cleared first: a callback may raise, and what it has seen must not come again.
        self._tail = b""
        pos = 0
        end = len(buffer)
        try:
            while end - pos >= 2:
                size = buffer[pos] << 8 | buffer[pos + 1]
                stop = pos + 2 + size
                if stop > end:
                    break
                chunk = buffer[pos + 2 : stop]
                pos = stop
                if size:
                    self._inside = True
                    if self._on_chunk is not None:
                        self._on_chunk(chunk)
                elif self._inside:
                    self._inside = False
                    if self._on_complete is not None:
                        self._on_complete()
        finally:
            self._tail = buffer[pos:]


class _Writable(Protocol):
    def write(self, data: bytes, /) -> object: ...

    def write_eof(self) -> object: ...


class _Readable(Protocol):
    def read(self, n: int, /) -> bytes | bytearray | memoryview: ...


_WritableT = TypeVar("_WritableT", bound=_Writable)


@overload
def serialize_message(
    signature: int,
    *,
    buf: None = None,
    params: Sequence[Any] | None = None,
    max_chunk_size: int = 8192,
    version: Version = NEWEST,
) -> ChunkedWriteBuffer: ...


@overload
def serialize_message(
    signature: int,
    *,
    buf: _WritableT,
    params: Sequence[Any] | None = None,
    max_chunk_size: int = 8192,
    version: Version = NEWEST,
) -> _WritableT: ...


def serialize_message(
    signature: int,
    *,
    buf: Any = None,
    params: Sequence[Any] | None = None,
    max_chunk_size: int = 8192,
    version: Version = NEWEST,
) -> Any:
    """Write one message into a buffer.

    Args:
        signature: The message's signature, see :class:`Message`.
        buf: Any object with ``write(data)`` and ``write_eof()``; default: a new :class:`ChunkedWriteBuffer`.
        params: The message's fields.
        max_chunk_size: Largest block (bytes) of the default buffer.
        version: The Bolt version, which decides the form of structures.

    Returns:
        The buffer.

    Raises:
        PackError: A field cannot be packed. Nothing was written.
    """
    data = pack(Structure(int(signature), *(params or ())), version=version)
    if buf is None:
        buf = ChunkedWriteBuffer(max_chunk_size)
    buf.write(data)
    buf.write_eof()
    return buf


class _Bare(NamedTuple):
    signature: int


class _Init(NamedTuple):
    signature: int
    client_name: Any
    auth_token: Any


class _Run(NamedTuple):
    signature: int
    statement: Any
    parameters: Any


class _RunExtra(NamedTuple):
    signature: int
    statement: Any
    parameters: Any
    extra: Any


class _Detail(NamedTuple):
    signature: int
    fields: Any


class _Summary(NamedTuple):
    signature: int
    metadata: Any


_SHAPES: dict[tuple[int, int], Callable[..., Any]] = {
    (Message.INIT, 2): _Init,
    (Message.RUN, 2): _Run,
    (Message.RUN, 3): _RunExtra,
    (Message.RECORD, 1): _Detail,
    (Message.SUCCESS, 1): _Summary,
    (Message.FAILURE, 1): _Summary,
    (Message.IGNORED, 1): _Summary,
}


def deserialize_message(buf: _Readable, *, version: Version = NEWEST) -> Any:
    """Read one message out of a buffer.

    Args:
        buf: Any object with ``read(n)`` that gives the next ``n`` bytes, such as :class:`ChunkedReadBuffer`.
        version: The Bolt version, which decides the form of structures.

    Returns:
        A named tuple with ``.signature`` and, by message, ``.statement, .parameters`` (RUN; ``.extra`` from
        Bolt 3 on), ``.client_name, .auth_token`` (INIT), ``.metadata`` (SUCCESS, FAILURE, IGNORED) or
        ``.fields`` (RECORD: its values; other messages: a list of their fields).

    Raises:
        UnpackError: The bytes are no message.
    """
    head = bytes(buf.read(2))
    if len(head) != 2 or not 0xB0 <= head[0] < 0xC0:
        raise UnpackError("messages are structures, and this is none", 0)
    fields = [unpack(_take_value(buf), version=version) for _ in range(head[0] & 0x0F)]
    signature: int = head[1]
    if signature in _KNOWN:
        signature = Message(signature)
    if not fields:
        return _Bare(signature)
    shape = _SHAPES.get((signature, len(fields)))
    return _Detail(signature, fields) if shape is None else shape(signature, *fields)


_KNOWN = frozenset(Message)
_SIZES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xD0: 1, 0xD1: 2, 0xD2: 4}
_COUNTS = {0xD4: (1, 1), 0xD5: (2, 1), 0xD6: (4, 1), 0xD8: (1, 2), 0xD9: (2, 2), 0xDA: (4, 2)}
_FIXED = {0xC1: 8, 0xC8: 1, 0xC9: 2, 0xCA: 4, 0xCB: 8, 0xE0: 16}


def _take_value(buf: _Readable) -> bytes:
    """Take the bytes of one value, whatever its kind: the buffer cannot say where it ends."""
    taken: list[bytes] = []

    def take(n: int) -> bytes:
        part = bytes(buf.read(n)) if n else b""
        if len(part) != n:
            raise UnpackError("the data ends inside a value", sum(map(len, taken)))
        taken.append(part)
        return part

    due = 1
    while due:
        due -= 1
        marker = take(1)[0]
        if 0x80 <= marker < 0x90:
            take(marker & 0x0F)
        elif 0x90 <= marker < 0xA0:
            due += marker & 0x0F
        elif 0xA0 <= marker < 0xB0:
            due += 2 * (marker & 0x0F)
        elif 0xB0 <= marker < 0xC0:
            take(1)
            due += marker & 0x0F
        elif marker in _FIXED:
            take(_FIXED[marker])
        elif marker in _SIZES:
            take(int.from_bytes(take(_SIZES[marker]), "big"))
        elif marker in _COUNTS:
            width, each = _COUNTS[marker]
            due += each * int.from_bytes(take(width), "big")
    return b"".join(taken)


message_serializer = serialize_message
message_deserializer = deserialize_message
