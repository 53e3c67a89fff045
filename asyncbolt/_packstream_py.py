"""PackStream in pure Python: the twin of the compiled ``_packstream``.

Same names, same values, same errors to the letter. Values that the wire knows become plain Python objects;
structures that are unknown, ill-formed, or that Python's classes cannot express stay a raw
:class:`~asyncbolt._structure.Structure`, which packs back to the same bytes.
"""

from __future__ import annotations

import datetime as _dt
import functools
import struct
import uuid
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final, TypeVar
from zoneinfo import ZoneInfo

from . import _codec_errors as errors
from ._constants import DEFAULT_MAX_DEPTH, MAX_DEPTH, MAX_SIZE, MAX_ZONE_NAME, NEWEST, Version
from ._convert import normalize
from ._dialect import dialect
from ._structure import Structure
from .exceptions import LocalProtocolError, PackError, pack_error
from .graph import Node, Path, Relationship, UnboundRelationship
from .spatial import Point, point_class
from .time import Date, DateTime, Duration, Time
from .vector import UnsupportedType, Vector

__all__ = ["Packer", "Unpacker", "cast_rows", "pack", "unpack"]

_T = TypeVar("_T", bound="tuple[Any, ...]")

_EPOCH_ORDINAL: Final = 719163
_MAX_ORDINAL: Final = 3652059
_DAY_NANOS: Final = 86_400_000_000_000
_MAX_CACHED_ZONES: Final = 1024

_VECTOR_TYPES: Final = {0xC8: ("i8", 1), 0xC9: ("i16", 2), 0xCA: ("i32", 4), 0xCB: ("i64", 8),
                        0xC6: ("f32", 4), 0xC1: ("f64", 8)}  # fmt: skip
_VECTOR_MARKERS: Final = {
    name: (bytes((marker,)), width) for marker, (name, width) in _VECTOR_TYPES.items()
}

_double = struct.Struct(">d")
_int16 = struct.Struct(">h")
_int32 = struct.Struct(">i")
_int64 = struct.Struct(">q")
_pack_marked_double = struct.Struct(">Bd").pack
_pack_marked_int8 = struct.Struct(">Bb").pack
_pack_marked_int16 = struct.Struct(">Bh").pack
_pack_marked_int32 = struct.Struct(">Bi").pack
_pack_marked_int64 = struct.Struct(">Bq").pack
_pack_head8 = struct.Struct(">BB").pack
_pack_head16 = struct.Struct(">BH").pack
_pack_head32 = struct.Struct(">BI").pack

_SMALL_INTS: Final = [bytes((n & 0xFF,)) for n in (*range(128), *range(-16, 0))]


class Refusal(Exception):
    """A value that cannot be packed: unwinds to the top, where it becomes a PackError that names the path."""

    def __init__(self, reason: str, trail: list[str | int] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.trail: list[str | int] = [] if trail is None else trail

    def error(self, root: str) -> PackError:
        return pack_error(self.reason, tuple(reversed(self.trail)), root)


class Exclusive:
    """Serves one call at a time; a second one, from inside the first or from another thread, is refused."""

    _busy: ClassVar[str]
    _free: list[None]

    def _claim(self) -> None:
        # Both steps are atomic, with and without a GIL; made here, since __init__ may be called twice.
        try:
            self.__dict__.setdefault("_free", [None]).pop()
        except IndexError:
            raise LocalProtocolError(self._busy) from None

    def _release(self) -> None:
        self._free.append(None)


class Packer(Exclusive):
    """Packs values into PackStream.

    ``version`` and ``utc_patch`` choose the form of structures; with ``graph`` nodes, relationships and paths
    may be packed (a server does, a client must not).
    """

    _busy = errors.PACKER_BUSY

    def __init__(
        self,
        version: Version = NEWEST,
        *,
        utc_patch: bool = False,
        graph: bool = True,
        max_depth: int = DEFAULT_MAX_DEPTH,
    ) -> None:
        self._claim()
        try:
            if not 0 <= max_depth <= MAX_DEPTH:
                raise errors.bad_max_depth(max_depth)
            self._graph = graph
            self._max_depth = max_depth
            self._adopt(version, utc_patch)
        finally:
            self._release()

    def configure(self, version: Version, utc_patch: bool) -> None:
        """Take the forms of another Bolt version from now on."""
        self._claim()
        try:
            self._adopt(version, utc_patch)
        finally:
            self._release()

    def _adopt(self, version: Version, utc_patch: bool) -> None:
        facts = dialect(version, utc_patch)
        self._utc = facts.utc
        self._element_ids = facts.element_ids
        self._temporal = facts.temporal
        self._vectors = facts.vectors
        self._uuid = facts.uuid

    def pack(self, value: Any) -> bytes:
        """Pack one value; raises PackError."""
        out: list[bytes] = []
        self._claim()
        try:
            self.write(value, out.append, 0)
        except Refusal as refusal:
            raise refusal.error("value") from None
        finally:
            self._release()
        return b"".join(out)

    def write(self, value: Any, put: Callable[[bytes], object], depth: int) -> None:
        kind = type(value)
        if kind is str:
            self._write_str(value, put)
        elif kind is int:
            self._write_int(value, put)
        elif value is None:
            put(b"\xc0")
        elif kind is dict:
            self._write_dict(value, put, depth)
        elif kind is list or kind is tuple:
            self._write_list(value, put, depth)
        elif kind is float:
            put(_pack_marked_double(0xC1, value))
        elif kind is bool:
            put(b"\xc3" if value else b"\xc2")
        elif kind is bytes:
            self._write_bytes(value, put)
        else:
            # By id: a metaclass may say that its classes equal others.
            writer = _WRITERS.get(id(kind))
            if writer is None:
                value = _plain(value)
                kind = type(value)
                writer = _WRITERS.get(id(kind))
                # What has levels is written from here: two frames of Python for each level, and no more.
                if kind is list:
                    return self._write_list(value, put, depth)
                if kind is dict:
                    return self._write_dict(value, put, depth)
                if writer is None:
                    return self.write(value, put, depth)
            if depth >= self._max_depth and kind is not uuid.UUID:
                raise Refusal(errors.too_deep_to_pack(self._max_depth))
            writer(self, value, put, depth + 1)

    def _write_int(self, value: int, put: Callable[[bytes], object]) -> None:
        if -16 <= value < 128:
            put(_SMALL_INTS[value])
        elif -0x8000 <= value < 0x8000:
            if -0x80 <= value < -16:
                put(_pack_marked_int8(0xC8, value))
            else:
                put(_pack_marked_int16(0xC9, value))
        elif -0x8000_0000 <= value < 0x8000_0000:
            put(_pack_marked_int32(0xCA, value))
        elif -0x8000_0000_0000_0000 <= value < 0x8000_0000_0000_0000:
            put(_pack_marked_int64(0xCB, value))
        else:
            raise Refusal(errors.INTEGER_RANGE)

    def _write_str(self, value: str, put: Callable[[bytes], object]) -> None:
        try:
            data = str.encode(value, "utf-8")
        except UnicodeEncodeError as exc:
            # The base class's own method: the string may be a subclass's.
            code = ord(str.__getitem__(value, exc.start))
            raise Refusal(errors.surrogate(exc.start, code)) from None
        size = len(data)
        if size < 16:
            put(bytes((0x80 | size,)))
        else:
            put(_head(size, 0xD0, "a string"))
        put(data)

    def _write_bytes(self, value: bytes, put: Callable[[bytes], object]) -> None:
        put(_head(len(value), 0xCC, "a byte array"))
        put(value)

    def _write_list(
        self, value: list[Any] | tuple[Any, ...], put: Callable[[bytes], object], depth: int
    ) -> None:
        if depth >= self._max_depth:
            raise Refusal(errors.too_deep_to_pack(self._max_depth))
        size = len(value)
        put(bytes((0x90 | size,)) if size < 16 else _head(size, 0xD4, "a list"))
        depth += 1
        index = -1
        write = self.write
        try:
            # Never further than announced: packing an item may run code that lengthens a list.
            for index, item in enumerate(value) if type(value) is tuple else zip(range(size), value):  # noqa: B905
                write(item, put, depth)
        except Refusal as refusal:
            refusal.trail.append(index)
            raise
        if index + 1 != size or len(value) != size:
            raise Refusal(errors.CHANGED)

    def _write_dict(self, value: dict[Any, Any], put: Callable[[bytes], object], depth: int) -> None:
        if depth >= self._max_depth:
            raise Refusal(errors.too_deep_to_pack(self._max_depth))
        size = len(value)
        put(bytes((0xA0 | size,)) if size < 16 else _head(size, 0xD8, "a map"))
        depth += 1
        written = 0
        items = iter(value.items())
        while True:
            try:
                key, item = next(items)
            except StopIteration:
                break
            except RuntimeError:
                raise Refusal(errors.CHANGED) from None
            if type(key) is not str and not issubclass(type(key), str):
                raise Refusal(errors.key_type(key))
            self._write_str(key, put)
            try:
                self.write(item, put, depth)
            except Refusal as refusal:
                refusal.trail.append(str.__str__(key))
                raise
            written += 1
        if written != size:
            raise Refusal(errors.CHANGED)

    def _write_structure(self, value: Structure, put: Callable[[bytes], object], depth: int) -> None:
        tag, fields = _slot(value, "Structure", "tag"), _slot(value, "Structure", "fields")
        if type(tag) is not int or not 0 <= tag <= 0x7F:
            raise Refusal(errors.bad_structure_tag(tag))
        # A copy: packing a field may run code that changes a list.
        if issubclass(type(fields), tuple):
            fields = tuple.__getitem__(fields, slice(None))
        elif issubclass(type(fields), list):
            fields = list.__getitem__(fields, slice(None))
        else:
            raise Refusal(errors.STRUCTURE_FIELDS)
        if len(fields) > 15:
            raise Refusal(errors.too_many_fields(len(fields)))
        put(bytes((0xB0 | len(fields), tag)))
        index = 0
        try:
            for index, field in enumerate(fields):
                self.write(field, put, depth)
        except Refusal as refusal:
            refusal.trail.append(index)
            raise

    def _write_id(self, number: int | None, put: Callable[[bytes], object], depth: int) -> None:
        if number is None:
            # Drivers insist on a number, also where element_id is what counts.
            if not self._element_ids:
                raise Refusal(errors.NEEDS_ID)
            number = -1
        self.write(number, put, depth)

    def _write_node(self, value: Node, put: Callable[[bytes], object], depth: int) -> None:
        if not self._graph:
            raise Refusal(errors.GRAPH)
        put(b"\xb4N" if self._element_ids else b"\xb3N")
        self._write_id(_slot(value, "Node", "_id"), put, depth)
        self.write(_slot(value, "Node", "_labels"), put, depth)
        self.write(_slot(value, "Node", "_properties"), put, depth)
        if self._element_ids:
            self.write(_slot(value, "Node", "_element_id"), put, depth)

    def _write_relationship(self, value: Relationship, put: Callable[[bytes], object], depth: int) -> None:
        if not self._graph:
            raise Refusal(errors.GRAPH)
        put(b"\xb8R" if self._element_ids else b"\xb5R")
        self._write_id(_slot(value, "Relationship", "_id"), put, depth)
        self._write_id(_slot(value, "Relationship", "_start_id"), put, depth)
        self._write_id(_slot(value, "Relationship", "_end_id"), put, depth)
        self.write(_slot(value, "Relationship", "_type"), put, depth)
        self.write(_slot(value, "Relationship", "_properties"), put, depth)
        if self._element_ids:
            self.write(_slot(value, "Relationship", "_element_id"), put, depth)
            self.write(_slot(value, "Relationship", "_start_element_id"), put, depth)
            self.write(_slot(value, "Relationship", "_end_element_id"), put, depth)

    def _write_unbound(self, value: UnboundRelationship, put: Callable[[bytes], object], depth: int) -> None:
        if not self._graph:
            raise Refusal(errors.GRAPH)
        put(b"\xb4r" if self._element_ids else b"\xb3r")
        self._write_id(_slot(value, "UnboundRelationship", "_id"), put, depth)
        self.write(_slot(value, "UnboundRelationship", "_type"), put, depth)
        self.write(_slot(value, "UnboundRelationship", "_properties"), put, depth)
        if self._element_ids:
            self.write(_slot(value, "UnboundRelationship", "_element_id"), put, depth)

    def _write_path(self, value: Path, put: Callable[[bytes], object], depth: int) -> None:
        if not self._graph:
            raise Refusal(errors.GRAPH)
        put(b"\xb3P")
        self.write(_slot(value, "Path", "_unique_nodes"), put, depth)
        self.write(_slot(value, "Path", "_unique_relationships"), put, depth)
        self.write(_slot(value, "Path", "_indices"), put, depth)

    def _write_date(self, value: _dt.date, put: Callable[[bytes], object], depth: int) -> None:
        self._need_temporal()
        put(b"\xb1D")
        self._write_int(value.toordinal() - _EPOCH_ORDINAL, put)

    def _write_time(self, value: _dt.time, put: Callable[[bytes], object], depth: int) -> None:
        self._need_temporal()
        nanos = (
            (value.hour * 60 + value.minute) * 60 + value.second
        ) * 1_000_000_000 + value.microsecond * 1000
        if type(value) is Time:
            nanos += _below_micro(value, "Time")
        if value.tzinfo is None:
            put(b"\xb1t")
            self._write_int(nanos, put)
            return
        offset = value.utcoffset()
        if not isinstance(offset, _dt.timedelta):
            raise Refusal(errors.TIME_NO_OFFSET)
        seconds = _whole_seconds(offset)
        put(b"\xb2T")
        self._write_int(nanos, put)
        self._write_int(seconds, put)

    def _write_datetime(self, value: _dt.datetime, put: Callable[[bytes], object], depth: int) -> None:
        self._need_temporal()
        seconds = (
            (value.toordinal() - _EPOCH_ORDINAL) * 86400
            + (value.hour * 60 + value.minute) * 60
            + value.second
        )
        nanos = value.microsecond * 1000
        if type(value) is DateTime:
            nanos += _below_micro(value, "DateTime")
        zone = value.tzinfo
        if zone is None:
            put(b"\xb2d")
            self._write_int(seconds, put)
            self._write_int(nanos, put)
            return
        offset = value.utcoffset()
        if not isinstance(offset, _dt.timedelta):
            raise Refusal(errors.NO_OFFSET)
        shift = _whole_seconds(offset)
        if self._utc:
            seconds -= shift
        name = _zone_name(zone)
        if name is None:
            put(b"\xb3I" if self._utc else b"\xb3F")
            self._write_int(seconds, put)
            self._write_int(nanos, put)
            self._write_int(shift, put)
        else:
            put(b"\xb3i" if self._utc else b"\xb3f")
            self._write_int(seconds, put)
            self._write_int(nanos, put)
            self._write_str(name, put)

    def _write_duration(self, value: Duration, put: Callable[[bytes], object], depth: int) -> None:
        self._need_temporal()
        parts = tuple.__getitem__(value, slice(None))
        if len(parts) != 4:
            raise Refusal(errors.DURATION)
        put(b"\xb4E")
        for part in parts:
            self._write_whole(part, errors.DURATION, put)

    def _write_point(self, value: Point, put: Callable[[bytes], object], depth: int) -> None:
        self._need_temporal()
        srid, coordinates = _slot(value, "Point", "_srid"), _slot(value, "Point", "_coordinates")
        if type(coordinates) is not tuple or not 2 <= len(coordinates) <= 3:
            raise Refusal(errors.POINT_COORDINATES)
        put(b"\xb3X" if len(coordinates) == 2 else b"\xb4Y")
        self._write_whole(srid, errors.POINT_SRID, put)
        for number in coordinates:
            if type(number) is not float:
                raise Refusal(errors.POINT_COORDINATES)
            put(_pack_marked_double(0xC1, number))

    def _write_vector(self, value: Vector, put: Callable[[bytes], object], depth: int) -> None:
        if not self._vectors:
            raise Refusal(errors.VECTORS)
        dtype, data = _slot(value, "Vector", "_dtype"), _slot(value, "Vector", "_data")
        if type(dtype) is not str or dtype not in _VECTOR_MARKERS:
            raise Refusal(errors.VECTOR_DTYPE)
        marker, width = _VECTOR_MARKERS[dtype]
        if type(data) is not bytes or len(data) % width:
            raise Refusal(errors.VECTOR_DATA)
        put(b"\xb2V\xcc\x01" + marker)
        self._write_bytes(data, put)

    def _write_unsupported(self, value: UnsupportedType, put: Callable[[bytes], object], depth: int) -> None:
        if not self._graph or not self._vectors:
            raise Refusal(errors.UNSUPPORTED)
        kind = "UnsupportedType"
        name, minimum = _slot(value, kind, "_name"), _slot(value, kind, "_minimum")
        extra = _slot(value, kind, "_extra")
        if not issubclass(type(name), str):
            raise Refusal(errors.UNSUPPORTED_NAME)
        if type(minimum) is not tuple or len(minimum) != 2:
            raise Refusal(errors.UNSUPPORTED_MINIMUM)
        put(b"\xb4?")
        self._write_str(name, put)
        self._write_whole(minimum[0], errors.UNSUPPORTED_MINIMUM, put)
        self._write_whole(minimum[1], errors.UNSUPPORTED_MINIMUM, put)
        self.write(extra, put, depth)

    def _write_uuid(self, value: uuid.UUID, put: Callable[[bytes], object], depth: int) -> None:
        if not self._uuid:
            raise Refusal(errors.UUIDS)
        number: Any = getattr(value, "int", None)
        if not issubclass(type(number), int):
            raise Refusal(errors.UUID_INT)
        try:
            data = int.to_bytes(number, 16, "big")
        except OverflowError:
            raise Refusal(errors.UUID_INT) from None
        put(b"\xe0" + data)

    def _write_whole(self, value: Any, fault: str, put: Callable[[bytes], object]) -> None:
        """Write what must be an integer; a subclass's own methods are not asked."""
        if not issubclass(type(value), int):
            raise Refusal(fault)
        self._write_int(int.__int__(value), put)

    def _need_temporal(self) -> None:
        if not self._temporal:
            raise Refusal(errors.TEMPORAL)


_BY_CLASS: Final[dict[type, Callable[[Packer, Any, Callable[[bytes], object], int], None]]] = {
    _dt.datetime: Packer._write_datetime,
    DateTime: Packer._write_datetime,
    _dt.date: Packer._write_date,
    Date: Packer._write_date,
    _dt.time: Packer._write_time,
    Time: Packer._write_time,
    Duration: Packer._write_duration,
    Structure: Packer._write_structure,
    uuid.UUID: Packer._write_uuid,
    Vector: Packer._write_vector,
    UnsupportedType: Packer._write_unsupported,
    Node: Packer._write_node,
    Relationship: Packer._write_relationship,
    UnboundRelationship: Packer._write_unbound,
    Path: Packer._write_path,
    Point: Packer._write_point,
    point_class(7203, 2): Packer._write_point,
    point_class(4326, 2): Packer._write_point,
}
_WRITERS: Final = {id(cls): writer for cls, writer in _BY_CLASS.items()}


def _head(size: int, first: int, what: str) -> bytes:
    if size < 0x100:
        return _pack_head8(first, size)
    if size < 0x10000:
        return _pack_head16(first + 1, size)
    if size > MAX_SIZE:
        raise Refusal(errors.too_large_to_pack(what))
    return _pack_head32(first + 2, size)


def _plain(value: Any) -> Any:
    try:
        return normalize(value)
    except PackError as exc:
        reason, path = errors.told(exc)
        raise Refusal(reason, list(reversed(path))) from exc.__cause__


def _slot(value: Any, kind: str, name: str) -> Any:
    """What a slot of one of our classes holds; it may have been emptied."""
    try:
        return getattr(value, name)
    except AttributeError:
        raise Refusal(errors.missing(kind, name)) from None


def _below_micro(value: Time | DateTime, kind: str) -> int:
    nanos: int = _slot(value, kind, "_submicro")
    if type(nanos) is not int or not 0 <= nanos < 1000:
        raise Refusal(errors.SUBMICRO)
    return nanos


# The base class's own: a subclass may have bent them.
_delta_days = _dt.timedelta.days.__get__
_delta_seconds = _dt.timedelta.seconds.__get__
_delta_microseconds = _dt.timedelta.microseconds.__get__


def _whole_seconds(offset: _dt.timedelta) -> int:
    if _delta_microseconds(offset):
        raise Refusal(errors.ODD_OFFSET)
    days: int = _delta_days(offset)
    seconds: int = _delta_seconds(offset)
    return days * 86400 + seconds


def _zone_name(zone: _dt.tzinfo) -> str | None:
    """The IANA name of a zone: `key` (zoneinfo) or `zone` (pytz)."""
    name = getattr(zone, "key", None)
    if type(name) is not str:
        name = getattr(zone, "zone", None)
    return name if type(name) is str else None


class Unpacker(Exclusive):
    """Reads PackStream values; belongs to one connection.

    ``extended_types``: every date, time and date-time becomes a class of :mod:`asyncbolt.time`; otherwise the
    standard library's, except where nanoseconds would be lost.
    """

    _busy = errors.UNPACKER_BUSY

    def __init__(
        self,
        version: Version = NEWEST,
        *,
        utc_patch: bool = False,
        extended_types: bool = False,
        max_depth: int = DEFAULT_MAX_DEPTH,
        max_elements: int | None = None,
    ) -> None:
        self._claim()
        try:
            self.limit_depth(max_depth)
            self.max_elements = MAX_SIZE if max_elements is None else max_elements
            self._extended = extended_types
            self._zones: dict[str, _dt.tzinfo | None] = {}
            self._data: bytes = b""
            self._base = 0
            self._pos = 0
            self._end = 0
            self._owed = 0
            self._adopt(version, utc_patch)
        finally:
            self._release()

    def configure(self, version: Version, utc_patch: bool) -> None:
        """Take the forms of another Bolt version from now on."""
        self._claim()
        try:
            self._adopt(version, utc_patch)
        finally:
            self._release()

    def _adopt(self, version: Version, utc_patch: bool) -> None:
        facts = dialect(version, utc_patch)
        self._uuid = facts.uuid
        builders: dict[tuple[int, int], Callable[[Unpacker, list[Any], int], Any]] = {}
        if facts.element_ids:
            builders.update(_GRAPH_5)
        else:
            builders.update(_GRAPH_1)
        if facts.temporal:
            builders.update(_TEMPORAL)
            builders.update(_DATE_TIMES_UTC if facts.utc else _DATE_TIMES_LEGACY)
        if facts.vectors:
            builders.update(_BOLT_6)
        self._builders = builders

    def limit_depth(self, levels: int) -> None:
        if not 0 <= levels <= MAX_DEPTH:
            raise errors.bad_max_depth(levels)
        self.max_depth = levels

    def unpack(self, data: bytes | bytearray | memoryview) -> Any:
        """Read exactly one value; raises UnpackError, also for bytes left over."""
        self._claim()
        try:
            if type(data) is not bytes:
                data = bytes(memoryview(data))
            self.aim(data, 0, len(data))
            value = self.read(0)
            self.finish()
            return value
        finally:
            self._release()

    def aim(self, data: bytes, start: int, end: int) -> None:
        """Read from ``data[start:end]`` next; offsets in errors count from ``start``."""
        self._data = data
        self._base = self._pos = start
        self._end = end
        self._owed = 0

    def release(self) -> None:
        """Let go of what was read from."""
        self._data = b""

    def finish(self) -> None:
        left = self._end - self._pos
        if left:
            raise errors.left_over(left, self._pos - self._base)

    def read(self, depth: int) -> Any:
        pos = self._pos
        end = self._end
        if pos >= end:
            raise errors.nothing_left(pos - self._base)
        data = self._data
        marker = data[pos]
        if marker < 0x80:
            self._pos = pos + 1
            return marker
        if marker >= 0xF0:
            self._pos = pos + 1
            return marker - 0x100
        if marker < 0x90:
            start = pos + 1
            stop = start + (marker & 0x0F)
            if stop > end:
                raise errors.truncated("a string", stop - start, end - start, pos - self._base)
            self._pos = stop
            try:
                return data[start:stop].decode("utf-8")
            except UnicodeDecodeError as exc:
                raise errors.bad_utf8(exc.reason, pos - self._base) from None
        if marker == 0xC0:
            self._pos = pos + 1
            return None
        if marker == 0xC1:
            self._pos = pos + 9
            if pos + 9 > end:
                raise errors.truncated("a float", 8, end - pos - 1, pos - self._base)
            return _double.unpack_from(data, pos + 1)[0]
        if marker == 0xC9:
            self._pos = pos + 3
            if pos + 3 > end:
                raise errors.truncated("an integer", 2, end - pos - 1, pos - self._base)
            return _int16.unpack_from(data, pos + 1)[0]
        if marker == 0xCA:
            self._pos = pos + 5
            if pos + 5 > end:
                raise errors.truncated("an integer", 4, end - pos - 1, pos - self._base)
            return _int32.unpack_from(data, pos + 1)[0]
        if marker == 0xCB:
            self._pos = pos + 9
            if pos + 9 > end:
                raise errors.truncated("an integer", 8, end - pos - 1, pos - self._base)
            return _int64.unpack_from(data, pos + 1)[0]
        if marker == 0xC2 or marker == 0xC3:
            self._pos = pos + 1
            return marker == 0xC3
        if marker == 0xC8:
            self._pos = pos + 2
            if pos + 2 > end:
                raise errors.truncated("an integer", 1, end - pos - 1, pos - self._base)
            number = data[pos + 1]
            return number - 0x100 if number > 0x7F else number
        if marker < 0xA0:
            self._pos = pos + 1
            return self._read_list(marker & 0x0F, depth, pos)
        if marker < 0xB0:
            self._pos = pos + 1
            return self._read_map(marker & 0x0F, depth, pos)
        if marker < 0xC0:
            self._pos = pos + 1
            return self._read_structure(marker & 0x0F, depth, pos)
        if 0xD0 <= marker <= 0xD2:
            return self._read_str(marker, pos)
        if 0xCC <= marker <= 0xCE:
            size = self._size(marker - 0xCC, "a byte array", pos)
            start = self._pos
            if size > end - start:
                raise errors.truncated("a byte array", size, end - start, pos - self._base)
            self._pos = start + size
            return data[start : start + size]
        if 0xD4 <= marker <= 0xD6:
            return self._read_list(self._size(marker - 0xD4, "a list", pos), depth, pos)
        if 0xD8 <= marker <= 0xDA:
            return self._read_map(self._size(marker - 0xD8, "a map", pos), depth, pos)
        if marker == 0xE0 and self._uuid:
            self._pos = pos + 17
            if pos + 17 > end:
                raise errors.truncated("a UUID", 16, end - pos - 1, pos - self._base)
            return uuid.UUID(bytes=data[pos + 1 : pos + 17])
        raise errors.reserved_marker(marker, pos - self._base)

    def read_row(self, marker: int, at: int) -> tuple[Any, ...]:
        """Read the list of a RECORD whose marker, at ``at``, is at the reading position."""
        if 0x90 <= marker < 0xA0:
            count = marker & 0x0F
            self._pos = at + 1
        elif 0xD4 <= marker <= 0xD6:
            count = self._size(marker - 0xD4, "a list", at)
        else:
            raise errors.bad_record(marker, at - self._base)
        return tuple(self._read_list(count, 0, at))

    def _size(self, log: int, what: str, pos: int) -> int:
        width = 1 << log
        start = pos + 1
        stop = start + width
        if stop > self._end:
            raise errors.truncated(f"the size of {what}", width, self._end - start, pos - self._base)
        self._pos = stop
        size = int.from_bytes(self._data[start:stop], "big")
        if size > MAX_SIZE:
            raise errors.too_large(what, size, pos - self._base)
        return size

    def _read_str(self, marker: int, pos: int) -> str:
        size = self._size(marker - 0xD0, "a string", pos)
        start = self._pos
        if size > self._end - start:
            raise errors.truncated("a string", size, self._end - start, pos - self._base)
        self._pos = start + size
        try:
            return self._data[start : start + size].decode("utf-8")
        except UnicodeDecodeError as exc:
            raise errors.bad_utf8(exc.reason, pos - self._base) from None

    def _enter(self, what: str, count: int, width: int, depth: int, pos: int) -> None:
        """Check a container before anything is made for it.

        Every element takes a byte at least, also those still owed to the containers around it: so all
        promises together are bounded by what has arrived.
        """
        if depth >= self.max_depth:
            raise errors.too_deep(self.max_depth, pos - self._base)
        if count > self.max_elements:
            raise errors.too_many(what, count, self.max_elements, pos - self._base)
        if count * width > self._end - self._pos - self._owed:
            raise errors.cannot_fit(what, count, self._end - self._pos, pos - self._base)

    def _read_list(self, count: int, depth: int, pos: int) -> list[Any]:
        self._enter("a list", count, 1, depth, pos)
        depth += 1
        items: list[Any] = []
        add = items.append
        read = self.read
        self._owed += count
        for _ in range(count):
            self._owed -= 1
            add(read(depth))
        return items

    def _read_map(self, count: int, depth: int, pos: int) -> dict[str, Any]:
        self._enter("a map", count, 2, depth, pos)
        depth += 1
        entries: dict[str, Any] = {}
        read = self.read
        self._owed += 2 * count
        for _ in range(count):
            self._owed -= 1
            at = self._pos
            if at >= self._end:
                raise errors.nothing_left(at - self._base)
            marker = self._data[at]
            if not (0x80 <= marker < 0x90 or 0xD0 <= marker <= 0xD2):
                raise errors.bad_key(marker, at - self._base)
            key = read(depth)
            self._owed -= 1
            entries[key] = read(depth)
        return entries

    def _read_structure(self, count: int, depth: int, pos: int) -> Any:
        at = self._pos
        if at >= self._end:
            raise errors.truncated("a structure's tag", 1, 0, pos - self._base)
        tag = self._data[at]
        if tag > 0x7F:
            raise errors.bad_tag(tag, pos - self._base)
        self._pos = at + 1
        self._enter("a structure", count, 1, depth, pos)
        depth += 1
        self._owed += count
        fields = []
        for _ in range(count):
            self._owed -= 1
            fields.append(self.read(depth))
        build = self._builders.get((tag, count))
        if build is not None:
            value = build(self, fields, pos)
            if value is not None:
                return value
        return Structure(tag, *fields)

    # Builders: None where the fields do not fit, and the structure stays raw.

    def _build_node(self, fields: list[Any], pos: int) -> Node | None:
        identity, labels, properties = fields[:3]
        if type(identity) is not int or not _all_str(labels) or type(properties) is not dict:
            return None
        element_id = str(identity) if len(fields) == 3 else fields[3]
        if type(element_id) is not str:
            return None
        return Node(identity, labels, properties, element_id)

    def _build_relationship(self, fields: list[Any], pos: int) -> Relationship | None:
        identity, start, end, name, properties = fields[:5]
        if type(identity) is not int or type(start) is not int or type(end) is not int:
            return None
        if type(name) is not str or type(properties) is not dict:
            return None
        ids = [str(identity), str(start), str(end)] if len(fields) == 5 else fields[5:]
        if not _all_str(ids):
            return None
        return Relationship(identity, start, end, name, properties, *ids)

    def _build_unbound(self, fields: list[Any], pos: int) -> UnboundRelationship | None:
        identity, name, properties = fields[:3]
        if type(identity) is not int or type(name) is not str or type(properties) is not dict:
            return None
        element_id = str(identity) if len(fields) == 3 else fields[3]
        if type(element_id) is not str:
            return None
        return UnboundRelationship(identity, name, properties, element_id)

    def _build_path(self, fields: list[Any], pos: int) -> Path | None:
        nodes, relationships, indices = fields
        if type(nodes) is not list or type(relationships) is not list or type(indices) is not list:
            return None
        if not nodes or len(indices) % 2:
            return None
        if any(type(node) is not Node for node in nodes):
            return None
        if any(type(rel) is not UnboundRelationship for rel in relationships):
            return None
        for place, index in enumerate(indices):
            if type(index) is not int:
                return None
            if place % 2:
                if not 0 <= index < len(nodes):
                    return None
            elif index == 0 or abs(index) > len(relationships):
                return None
        path = Path.__new__(Path)
        path._unique_nodes = tuple(nodes)
        path._unique_relationships = tuple(relationships)
        path._indices = tuple(indices)
        path._nodes = None
        path._relationships = None
        return path

    def _build_date(self, fields: list[Any], pos: int) -> _dt.date | None:
        days = fields[0]
        if type(days) is not int or not 1 <= days + _EPOCH_ORDINAL <= _MAX_ORDINAL:
            return None
        return (Date if self._extended else _dt.date).fromordinal(days + _EPOCH_ORDINAL)

    def _build_local_time(self, fields: list[Any], pos: int) -> _dt.time | None:
        return self._time(fields[0], None)

    def _build_time(self, fields: list[Any], pos: int) -> _dt.time | None:
        zone = _fixed_zone(fields[1])
        return None if zone is None else self._time(fields[0], zone)

    def _time(self, nanos: Any, zone: _dt.tzinfo | None) -> _dt.time | None:
        if type(nanos) is not int or not 0 <= nanos < _DAY_NANOS:
            return None
        seconds, nanos = divmod(nanos, 1_000_000_000)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        if self._extended or nanos % 1000:
            return Time(hour, minute, second, 0, zone, nanosecond=nanos)
        return _dt.time(hour, minute, second, nanos // 1000, zone)

    def _build_local_date_time(self, fields: list[Any], pos: int) -> _dt.datetime | None:
        return self._date_time(fields[0], fields[1], None)

    def _build_date_time(self, fields: list[Any], pos: int) -> _dt.datetime | None:
        seconds, nanos, offset = fields
        zone = _fixed_zone(offset)
        if zone is None or type(seconds) is not int:
            return None
        return self._date_time(seconds + offset, nanos, zone)

    def _build_date_time_zone_id(self, fields: list[Any], pos: int) -> _dt.datetime | None:
        seconds, nanos, name = fields
        zone = self._zone(name)
        if zone is None:
            return None
        utc = self._date_time(seconds, 0, None, plain=True)
        if utc is None:
            return None
        try:
            local = zone.fromutc(utc.replace(tzinfo=zone))
        except (OverflowError, ValueError):
            return None
        whole = (
            (local.toordinal() - _EPOCH_ORDINAL) * 86400
            + (local.hour * 60 + local.minute) * 60
            + local.second
        )
        return self._date_time(whole, nanos, zone, local.fold)

    def _build_legacy_date_time(self, fields: list[Any], pos: int) -> _dt.datetime | None:
        zone = _fixed_zone(fields[2])
        return None if zone is None else self._date_time(fields[0], fields[1], zone)

    def _build_legacy_date_time_zone_id(self, fields: list[Any], pos: int) -> _dt.datetime | None:
        zone = self._zone(fields[2])
        return None if zone is None else self._date_time(fields[0], fields[1], zone)

    def _date_time(
        self, seconds: Any, nanos: Any, zone: _dt.tzinfo | None, fold: int = 0, *, plain: bool = False
    ) -> _dt.datetime | None:
        """A date-time from wall-clock seconds since 1970 and nanoseconds."""
        if type(seconds) is not int or type(nanos) is not int or not 0 <= nanos < 1_000_000_000:
            return None
        days, rest = divmod(seconds, 86400)
        if not 1 <= days + _EPOCH_ORDINAL <= _MAX_ORDINAL:
            return None
        day = _dt.date.fromordinal(days + _EPOCH_ORDINAL)
        minutes, second = divmod(rest, 60)
        hour, minute = divmod(minutes, 60)
        if not plain and (self._extended or nanos % 1000):
            return DateTime(
                day.year, day.month, day.day, hour, minute, second, 0, zone, fold=fold, nanosecond=nanos
            )
        return _dt.datetime(
            day.year, day.month, day.day, hour, minute, second, nanos // 1000, zone, fold=fold
        )

    def _zone(self, name: Any) -> _dt.tzinfo | None:
        if type(name) is not str or len(name) > MAX_ZONE_NAME:
            return None
        try:
            return self._zones[name]
        except KeyError:
            pass
        zone: _dt.tzinfo | None
        try:
            zone = ZoneInfo(name)
        except Exception:  # what a peer calls a zone may be anything, also the name of a folder
            zone = None
        if len(self._zones) < _MAX_CACHED_ZONES:
            self._zones[name] = zone
        return zone

    def _build_duration(self, fields: list[Any], pos: int) -> Duration | None:
        for part in fields:
            if type(part) is not int:
                return None
        return Duration._make(*fields)

    def _build_point(self, fields: list[Any], pos: int) -> Point | None:
        srid, *coordinates = fields
        if type(srid) is not int or any(type(number) is not float for number in coordinates):
            return None
        cls = point_class(srid, len(coordinates))
        point = cls.__new__(cls)
        point._srid = srid
        point._coordinates = tuple(coordinates)
        return point

    def _build_vector(self, fields: list[Any], pos: int) -> Vector | None:
        kind, data = fields
        if (
            type(kind) is not bytes
            or type(data) is not bytes
            or len(kind) != 1
            or kind[0] not in _VECTOR_TYPES
        ):
            return None
        name, width = _VECTOR_TYPES[kind[0]]
        if len(data) % width:
            raise errors.bad_vector(len(data), width, pos - self._base)
        vector = Vector.__new__(Vector)
        vector._dtype = name
        vector._data = data
        return vector

    def _build_unsupported(self, fields: list[Any], pos: int) -> UnsupportedType | None:
        name, major, minor, extra = fields
        if (
            type(name) is not str
            or type(major) is not int
            or type(minor) is not int
            or type(extra) is not dict
        ):
            return None
        value = UnsupportedType.__new__(UnsupportedType)
        value._name = name
        value._minimum = (major, minor)
        value._message = _message(extra)
        value._extra = extra
        return value


def _message(extra: dict[str, Any]) -> str | None:
    message = extra.get("message")
    return message if type(message) is str else None


def _all_str(values: Any) -> bool:
    return type(values) is list and all(type(value) is str for value in values)


def _fixed_zone(offset: Any) -> _dt.timezone | None:
    if type(offset) is not int or not -86400 < offset < 86400:
        return None
    return _dt.timezone(_dt.timedelta(seconds=offset)) if offset else _dt.timezone.utc


_GRAPH_1: Final = {
    (0x4E, 3): Unpacker._build_node,
    (0x52, 5): Unpacker._build_relationship,
    (0x72, 3): Unpacker._build_unbound,
    (0x50, 3): Unpacker._build_path,
}
_GRAPH_5: Final = {
    (0x4E, 4): Unpacker._build_node,
    (0x52, 8): Unpacker._build_relationship,
    (0x72, 4): Unpacker._build_unbound,
    (0x50, 3): Unpacker._build_path,
}
_TEMPORAL: Final = {
    (0x44, 1): Unpacker._build_date,
    (0x74, 1): Unpacker._build_local_time,
    (0x54, 2): Unpacker._build_time,
    (0x64, 2): Unpacker._build_local_date_time,
    (0x45, 4): Unpacker._build_duration,
    (0x58, 3): Unpacker._build_point,
    (0x59, 4): Unpacker._build_point,
}
_DATE_TIMES_UTC: Final = {
    (0x49, 3): Unpacker._build_date_time,
    (0x69, 3): Unpacker._build_date_time_zone_id,
}
_DATE_TIMES_LEGACY: Final = {
    (0x46, 3): Unpacker._build_legacy_date_time,
    (0x66, 3): Unpacker._build_legacy_date_time_zone_id,
}
_BOLT_6: Final = {
    (0x56, 2): Unpacker._build_vector,
    (0x3F, 4): Unpacker._build_unsupported,
}


def cast_rows(kind: type[_T], rows: Iterable[Iterable[Any]]) -> list[_T]:
    """Return the rows as instances of a subclass of tuple, without calling its ``__new__``.

    Where a row is hidden from the garbage collector, what is made of it is too, unless it has a ``__dict__``.

    Args:
        kind: The class.
        rows: The rows: tuples, or whatever else tuples can be made of.

    Raises:
        TypeError: *kind* is no subclass of tuple, or a row is nothing that a tuple can be made of.
    """
    new = functools.partial(tuple.__new__, kind)
    new(())  # refuses what is no subclass of tuple
    return list(map(new, rows))


def pack(value: Any, *, version: Version = NEWEST, utc_patch: bool = False) -> bytes:
    """Pack one value into PackStream.

    Args:
        value: Anything that Bolt can carry.
        version: The Bolt version, which decides the form of structures.
        utc_patch: Whether the ``utc`` patch was agreed (Bolt 4.3 and 4.4): date-times in UTC form.

    Raises:
        PackError: The value, or something in it, cannot be packed; names the path to it.
    """
    return Packer(version, utc_patch=utc_patch).pack(value)


def unpack(
    data: bytes | bytearray | memoryview,
    *,
    version: Version = NEWEST,
    utc_patch: bool = False,
    extended_types: bool = False,
) -> Any:
    """Read exactly one value from PackStream.

    Args:
        data: The bytes of one value, whole.
        version: The Bolt version, which decides the form of structures.
        utc_patch: Whether the ``utc`` patch was agreed (Bolt 4.3 and 4.4): date-times in UTC form.
        extended_types: Give dates and times as the classes of :mod:`asyncbolt.time`, always.

    Raises:
        UnpackError: The bytes are no PackStream value, end early, or go on behind it.
    """
    return Unpacker(version, utc_patch=utc_patch, extended_types=extended_types).unpack(data)
