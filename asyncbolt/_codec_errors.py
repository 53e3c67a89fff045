"""What the codec says when it refuses something: one text for both twins."""

from __future__ import annotations

from ._constants import MAX_DEPTH, MAX_SIZE
from .exceptions import PackError, UnpackError

__all__: list[str] = []


# Reading: `offset` is where the refused value begins, in bytes from the start of the message.


def nothing_left(offset: int) -> UnpackError:
    return UnpackError("the data ends where a value is due", offset)


def truncated(what: str, needed: int, left: int, offset: int) -> UnpackError:
    return UnpackError(f"{what} needs {needed} more bytes, {left} are left", offset)


def too_large(what: str, size: int, offset: int) -> UnpackError:
    return UnpackError(f"{what} of size {size}: sizes go up to {MAX_SIZE}", offset)


def too_many(what: str, count: int, limit: int, offset: int) -> UnpackError:
    return UnpackError(f"{what} of {count} elements: at most {limit} are allowed", offset)


def cannot_fit(what: str, count: int, left: int, offset: int) -> UnpackError:
    return UnpackError(f"{what} of {count} elements cannot fit into what is left ({left} bytes)", offset)


def too_deep(limit: int, offset: int) -> UnpackError:
    return UnpackError(f"nested deeper than {limit} levels", offset)


def reserved_marker(marker: int, offset: int) -> UnpackError:
    return UnpackError(f"0x{marker:02X} is a reserved marker", offset)


def bad_key(marker: int, offset: int) -> UnpackError:
    return UnpackError(f"a map key must be a string, not what marker 0x{marker:02X} begins", offset)


def bad_tag(tag: int, offset: int) -> UnpackError:
    return UnpackError(f"0x{tag:02X} is no structure tag: tags go up to 0x7F", offset)


def bad_utf8(reason: str, offset: int) -> UnpackError:
    return UnpackError(f"a string is not valid UTF-8: {reason}", offset)


def bad_vector(size: int, width: int, offset: int) -> UnpackError:
    return UnpackError(f"a vector's {size} bytes are no multiple of its element's {width}", offset)


def left_over(count: int, offset: int) -> UnpackError:
    return UnpackError(f"{count} bytes are left over after the value", offset)


def no_message(marker: int) -> UnpackError:
    return UnpackError(f"a message must be a structure, not what marker 0x{marker:02X} begins", 0)


def bad_record(marker: int, offset: int) -> UnpackError:
    return UnpackError(f"a RECORD must hold one list, not what marker 0x{marker:02X} begins", offset)


def oversized(limit: int) -> UnpackError:
    return UnpackError(f"a message is longer than {limit} bytes", limit)


def ended_inside(received: int) -> UnpackError:
    return UnpackError("the stream ended inside a message", received)


# Arguments.


def bad_max_depth(levels: int) -> ValueError:
    return ValueError(f"max_depth must be 0 to {MAX_DEPTH} levels, not {levels}")


def bad_signature(signature: object) -> str:
    return f"a message's signature must be an integer from 0 to 127, not {signature!r}"


# Calls from inside another one, or from another thread: reasons of a LocalProtocolError.

PACKER_BUSY = "the packer is packing already"
UNPACKER_BUSY = "the unpacker is reading already"
WRITER_BUSY = "the writer is packing already"
READER_BUSY = "the reader is reading already"


# Writing: reasons of a PackError.

INTEGER_RANGE = "an integer must fit into 64 bits (-2**63 to 2**63 - 1)"
CHANGED = "it changed while it was being packed"
NO_OFFSET = "its tzinfo gives no UTC offset"
TIME_NO_OFFSET = (
    "a time whose tzinfo needs a date to know its UTC offset (a ZoneInfo) cannot be packed; "
    "use a datetime, or a fixed offset (datetime.timezone)"
)
ODD_OFFSET = "its UTC offset is no whole number of seconds"
TEMPORAL = "dates, times, durations and points need Bolt 2 or newer"
VECTORS = "vectors need Bolt 6.0 or newer; below that, send a list of numbers"
UUIDS = "uuid.UUID needs Bolt 6.1 or newer; below that, send str(uuid)"
GRAPH = "nodes, relationships and paths are no parameters; send what identifies them, such as element_id"
NEEDS_ID = "below Bolt 5.0 nodes and relationships are known by their id, which must be a number"
UNSUPPORTED = "an UnsupportedType only stands for a value that could not be sent; it is no parameter"


def surrogate(index: int, code: int) -> str:
    return f"a string with a lone surrogate (U+{code:04X} at index {index}) has no UTF-8 form"


def too_large_to_pack(what: str) -> str:
    return f"{what} is too large: sizes go up to {MAX_SIZE}"


def too_deep_to_pack(limit: int) -> str:
    return f"nested deeper than {limit} levels (does it contain itself?)"


def key_type(key: object) -> str:
    return f"map keys must be strings, not {type(key).__name__}"


def too_many_fields(count: int) -> str:
    return f"a structure holds at most 15 fields, not {count}"


def bad_structure_tag(tag: object) -> str:
    return f"a structure's tag must be an integer from 0 to 127, not {tag!r}"


def not_a_row(row: object) -> str:
    return f"a row must be a tuple or a list, not {type(row).__name__}"


_damaged = "this {0} was tampered with: {1}; make one with {0}(...)".format


def missing(kind: str, slot: str) -> str:
    return _damaged(kind, f"it has no {slot}")


DURATION = _damaged("Duration", "it must be four integers")
POINT_SRID = _damaged("Point", "its srid must be an integer")
POINT_COORDINATES = _damaged("Point", "its coordinates must be a tuple of two or three floats")
VECTOR_DTYPE = _damaged("Vector", "its dtype must be one of i8, i16, i32, i64, f32, f64")
VECTOR_DATA = _damaged("Vector", "its data must be bytes, a multiple of its element's width")
STRUCTURE_FIELDS = _damaged("Structure", "its fields must be a tuple or a list")
UNSUPPORTED_NAME = _damaged("UnsupportedType", "its name must be a str")
UNSUPPORTED_MINIMUM = _damaged("UnsupportedType", "its minimum version must be a tuple of two integers")
UUID_INT = _damaged("UUID", "its int must be an integer of 128 bits")
SUBMICRO = "the nanoseconds of a Time or DateTime were tampered with: below the microsecond they are 0 to 999"


def told(exc: PackError) -> tuple[str, tuple[str | int, ...]]:
    """The reason and the path of a PackError that may come from anybody's code."""
    reason, path = getattr(exc, "reason", None), getattr(exc, "path", None)
    if not issubclass(type(reason), str):
        reason = "its own code refused"
    if type(path) is not tuple or any(type(part) is not str and type(part) is not int for part in path):
        path = ()
    return str.__str__(reason), path
