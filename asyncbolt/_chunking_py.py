"""Chunk framing fused with packing, in pure Python: the twin of the compiled ``_chunking``.

Bytes from the socket become, in one call, everything that is complete in them; a message and its fields
become, in one call, framed bytes. Same names, same behaviour, same errors to the letter as the compiled twin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from . import _codec_errors as errors
from ._constants import DEFAULT_MAX_DEPTH, MAX_CHUNK, MAX_SIZE, NEWEST, Version
from ._packstream_py import Exclusive, Packer, Refusal, Unpacker
from .exceptions import LocalProtocolError, UnpackError
from .time import Duration

__all__ = ["ChunkedReadBuffer", "ChunkedWriteBuffer", "MessageReader", "MessageWriter"]

_END: Final = b"\x00\x00"
_RECORD: Final = 0x71
_SUCCESS: Final = 0x70
_IGNORED: Final = 0x7E
_FAILURE: Final = 0x7F
_RUN: Final = 0x10


class MessageWriter(Exclusive):
    """Packs and frames messages; belongs to one connection.

    Args:
        version: The Bolt version, which decides the form of structures.
        utc_patch: Whether the ``utc`` patch was agreed (Bolt 4.3 and 4.4).
        graph: Whether nodes, relationships and paths may be written (a server's role).
        max_chunk_size: Largest chunk in bytes, 1 to 65535.
    """

    _busy = errors.WRITER_BUSY

    def __init__(
        self,
        version: Version = NEWEST,
        *,
        utc_patch: bool = False,
        graph: bool = False,
        max_chunk_size: int = MAX_CHUNK,
    ) -> None:
        self._claim()
        try:
            _check_chunk_size(max_chunk_size)
            self._packer = Packer(version, utc_patch=utc_patch, graph=graph)
            self._max_chunk_size = max_chunk_size
        finally:
            self._release()

    def configure(self, version: Version, utc_patch: bool) -> None:
        """Take the forms of another Bolt version from now on."""
        self._claim()
        try:
            self._packer.configure(version, utc_patch)
        finally:
            self._release()

    def message(self, signature: int, *fields: Any) -> bytes:
        """One message, framed.

        Raises:
            PackError: A field, or something in it, cannot be packed. Nothing was written.
        """
        if len(fields) > 15:
            raise LocalProtocolError(errors.too_many_fields(len(fields)))
        tag = int.__int__(signature) if issubclass(type(signature), int) else -1
        if not 0 <= tag <= 0x7F:
            raise LocalProtocolError(errors.bad_signature(signature))
        out = [bytes((0xB0 | len(fields), tag))]
        self._claim()
        index = 0
        try:
            for index, field in enumerate(fields):
                self._packer.write(field, out.append, 0)
        except Refusal as refusal:
            if tag == _RUN and index == 1:
                raise refusal.error("$") from None
            refusal.trail.append(index)
            raise refusal.error("fields") from None
        finally:
            self._release()
        framed: list[bytes] = []
        self._frame(b"".join(out), framed.append)
        return b"".join(framed)

    def records(self, rows: Sequence[tuple[Any, ...] | list[Any]]) -> bytes:
        """One RECORD for each row, framed.

        Raises:
            PackError: A row cannot be packed; ``path[0]`` is its index. Nothing was written.
        """
        framed: list[bytes] = []
        add = framed.append
        write = self._packer.write
        self._claim()
        index = -1
        try:
            for index, row in enumerate(rows):
                if type(row) is not tuple and type(row) is not list:
                    # A Duration is a tuple, but has a form of its own.
                    kind = type(row)
                    if not issubclass(kind, (tuple, list)) or issubclass(kind, Duration):
                        raise Refusal(errors.not_a_row(row))
                    row = list(row)
                out = [b"\xb1\x71"]
                write(row, out.append, 0)
                self._frame(b"".join(out), add)
        except Refusal as refusal:
            refusal.trail.append(index)
            raise refusal.error("rows") from None
        finally:
            self._release()
        return b"".join(framed)

    def _frame(self, payload: bytes, add: Callable[[bytes], object]) -> None:
        size = len(payload)
        largest = self._max_chunk_size
        if size <= largest:
            add(size.to_bytes(2, "big"))
            add(payload)
        else:
            for start in range(0, size, largest):
                chunk = payload[start : start + largest]
                add(len(chunk).to_bytes(2, "big"))
                add(chunk)
        add(_END)


class MessageReader(Exclusive):
    """Takes bytes as they come and gives everything that is complete in them; belongs to one connection.

    Args:
        version: The Bolt version, which decides the form of structures.
        utc_patch: Whether the ``utc`` patch was agreed (Bolt 4.3 and 4.4).
        extended_types: Give dates and times as the classes of :mod:`asyncbolt.time`, always.
        max_message_size: Longest message in bytes.
        max_depth: Deepest nesting of lists, maps and structures in a field.
        max_elements: Most elements in one list or map; None: 2**31 - 1.
        runs: Give runs of RECORDs as lists of rows (a client's role); else RECORD is a message like others.
    """

    _busy = errors.READER_BUSY

    def __init__(
        self,
        version: Version = NEWEST,
        *,
        utc_patch: bool = False,
        extended_types: bool = False,
        max_message_size: int = MAX_SIZE,
        max_depth: int = DEFAULT_MAX_DEPTH,
        max_elements: int | None = None,
        runs: bool = True,
    ) -> None:
        self._claim()
        try:
            self._unpacker = Unpacker(
                version,
                utc_patch=utc_patch,
                extended_types=extended_types,
                max_depth=max_depth,
                max_elements=max_elements,
            )
            self.max_message_size = max_message_size
            self.answers = 0
            self.noops = 0
            self._runs = runs
            self._skips: set[int] = set()
            self._body = bytearray()
            self._left = 0
            self._half = -1
            self._dead = False
        finally:
            self._release()

    @property
    def max_depth(self) -> int:
        return self._unpacker.max_depth

    @max_depth.setter
    def max_depth(self, levels: int) -> None:
        self._unpacker.limit_depth(levels)

    @property
    def max_elements(self) -> int:
        return self._unpacker.max_elements

    @max_elements.setter
    def max_elements(self, count: int | None) -> None:
        self._unpacker.max_elements = MAX_SIZE if count is None else count

    @property
    def pending(self) -> int:
        """Bytes held of a message that is not complete yet."""
        return len(self._body)

    def configure(self, version: Version, utc_patch: bool) -> None:
        """Take the forms of another Bolt version from the next message on."""
        self._claim()
        try:
            self._unpacker.configure(version, utc_patch)
        finally:
            self._release()

    def skip(self, answer: int) -> None:
        """Drop the records of an answer undecoded.

        Args:
            answer: Its number: how many summaries (SUCCESS, IGNORED, FAILURE) come before its own.
        """
        if answer >= self.answers:
            self._skips.add(answer)

    def eof(self) -> UnpackError | None:
        """The stream has ended: an error if it did so inside a message."""
        self._claim()
        try:
            if self._dead or not (self._body or self._left or self._half >= 0):
                return None
            error = errors.ended_inside(len(self._body))
            self._die()
            return error
        finally:
            self._release()

    def feed(self, data: bytes | bytearray | memoryview) -> list[Any]:
        """Take bytes, cut anywhere, and give what they complete, in order.

        A ``list`` is a run of RECORDs, each a tuple of values; a ``tuple`` is another message
        ``(signature, *fields)``. An UnpackError, always last, says that the stream is broken from there on:
        every later call gives ``[]``.
        """
        out: list[Any] = []
        self._claim()
        try:
            if self._dead:
                return out
            whole = data if type(data) is bytes else bytes(memoryview(data))
            try:
                self._read(whole, out)
            except UnpackError as exc:
                self._die()
                # Its traceback would keep the frame, and so the list that it is in, alive.
                out.append(exc.with_traceback(None))
            except BaseException:
                # Such as MemoryError: where the next message begins is not known any more.
                self._die()
                raise
            finally:
                self._unpacker.release()
        finally:
            self._release()
        return out

    def _die(self) -> None:
        self._dead = True
        self._body = bytearray()

    def _read(self, data: bytes, out: list[Any]) -> None:
        pos = 0
        end = len(data)
        while pos < end:
            if self._left:
                stop = min(pos + self._left, end)
                self._body += data[pos:stop]
                self._left -= stop - pos
                pos = stop
                continue
            if self._half >= 0:
                size = self._half << 8 | data[pos]
                self._half = -1
                pos += 1
            elif end - pos == 1:
                self._half = data[pos]
                return
            else:
                size = data[pos] << 8 | data[pos + 1]
                pos += 2
            if size:
                if len(self._body) + size > self.max_message_size:
                    raise errors.oversized(self.max_message_size)
                stop = pos + size
                if end - stop >= 2 and not self._body and not data[stop] and not data[stop + 1]:
                    self._message(data, pos, stop, out)
                    pos = stop + 2
                else:
                    self._left = size
            elif self._body:
                whole = bytes(self._body)
                self._body.clear()
                self._message(whole, 0, len(whole), out)
            else:
                self.noops += 1

    def _message(self, data: bytes, start: int, stop: int, out: list[Any]) -> None:
        marker = data[start]
        if not 0xB0 <= marker < 0xC0:
            raise errors.no_message(marker)
        if stop - start < 2:
            raise errors.truncated("a structure's tag", 1, 0, 0)
        signature = data[start + 1]
        count = marker & 0x0F
        unpacker = self._unpacker
        if signature == _RECORD and self._runs and count == 1:
            if self.answers in self._skips:
                return
            unpacker.aim(data, start, stop)
            unpacker._pos = start + 2
            if stop - start < 3:
                raise errors.nothing_left(2)
            row = unpacker.read_row(data[start + 2], start + 2)
            unpacker.finish()
            if out and type(out[-1]) is list:
                out[-1].append(row)
            else:
                out.append([row])
            return
        unpacker.aim(data, start, stop)
        unpacker._pos = start + 2
        fields = [unpacker.read(0) for _ in range(count)]
        unpacker.finish()
        if signature == _SUCCESS or signature == _IGNORED or signature == _FAILURE:
            self._skips.discard(self.answers)
            self.answers += 1
        out.append((signature, *fields))


class ChunkedReadBuffer:
    """Assembles the chunks of incoming messages; :meth:`read` takes bytes off the oldest complete message."""

    def __init__(self) -> None:
        self._incoming = bytearray()
        self._messages: deque[bytes] = deque()
        self._pos = 0

    @property
    def ready(self) -> bool:
        """Whether a complete message, or the rest of one, is there to be read."""
        return bool(self._messages)

    def feed_data(self, chunk: bytes | bytearray | memoryview) -> None:
        """Add one chunk's content to the message that is coming in."""
        self._incoming += _content(chunk)

    def feed_eof(self) -> None:
        """The incoming message is complete."""
        if self._incoming:
            self._messages.append(bytes(self._incoming))
            self._incoming.clear()

    def read(self, n: int) -> memoryview:
        """Take the next ``n`` bytes of the oldest message.

        Raises:
            UnpackError: That message has fewer bytes left, or there is none. Nothing is taken.
        """
        if n < 0:
            raise ValueError("read() takes a number of bytes that is not negative")
        if not self._messages:
            raise errors.truncated("a read from an empty buffer", n, 0, 0)
        message = self._messages[0]
        stop = self._pos + n
        if stop > len(message):
            raise errors.truncated("a read", n, len(message) - self._pos, self._pos)
        part = memoryview(message)[self._pos : stop]
        if stop == len(message):
            self._messages.popleft()
            self._pos = 0
        else:
            self._pos = stop
        return part


class ChunkedWriteBuffer:
    """Collects messages and gives them as framed blocks of at most ``max_chunk_size`` bytes each.

    Args:
        max_chunk_size: Largest block in bytes, chunk headers and end markers included; 5 to 65539.
    """

    def __init__(self, max_chunk_size: int) -> None:
        if not 5 <= max_chunk_size <= MAX_CHUNK + 4:
            raise ValueError(f"max_chunk_size must be 5 to {MAX_CHUNK + 4} bytes, not {max_chunk_size}")
        self._max = max_chunk_size
        self._incoming = bytearray()
        self._block = bytearray()
        self._blocks: deque[bytes] = deque()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes to the message that is being written."""
        self._incoming += _content(data)

    def write_eof(self) -> None:
        """The message is complete: cut it into chunks and mark its end."""
        data = bytes(self._incoming)
        self._incoming.clear()
        pos = 0
        while pos < len(data):
            if len(self._block) + 3 > self._max:
                self._close_block()
            size = min(self._max - len(self._block) - 2, len(data) - pos, MAX_CHUNK)
            self._block += size.to_bytes(2, "big")
            self._block += data[pos : pos + size]
            pos += size
        if len(self._block) + 2 > self._max:
            self._close_block()
        self._block += _END

    def _close_block(self) -> None:
        self._blocks.append(bytes(self._block))
        self._block.clear()

    def flush(self) -> Iterator[bytes]:
        """Give every block, oldest first."""
        if self._block:
            self._close_block()
        while self._blocks:
            yield self._blocks.popleft()

    def getvalue(self) -> bytes:
        """Take the oldest block, or ``b""`` when there is none."""
        if not self._blocks and self._block:
            self._close_block()
        return self._blocks.popleft() if self._blocks else b""


def _content(data: bytes | bytearray | memoryview) -> bytes:
    # Not the object itself: its own addition may give anything.
    return data if type(data) is bytes else bytes(memoryview(data))


def _check_chunk_size(size: int) -> None:
    if not 1 <= size <= MAX_CHUNK:
        raise ValueError(f"max_chunk_size must be 1 to {MAX_CHUNK} bytes, not {size}")
