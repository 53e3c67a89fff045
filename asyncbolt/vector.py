"""Vectors of numbers, and values that this connection could not carry (Bolt 6.0+)."""

from __future__ import annotations

import array
import enum
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, final

from ._constants import Version

__all__ = ["UnsupportedType", "Vector", "VectorDType", "VectorEndian"]


class VectorEndian(str, enum.Enum):
    """Byte orders of raw vector data."""

    BIG = "big"
    LITTLE = "little"


class VectorDType(str, enum.Enum):
    """Types of the elements of a vector."""

    I8 = "i8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"


# name: width in bytes, format of struct, name in Cypher
_TYPES: Final[dict[str, tuple[int, str, str]]] = {
    "i8": (1, "b", "INTEGER8"),
    "i16": (2, "h", "INTEGER16"),
    "i32": (4, "i", "INTEGER32"),
    "i64": (8, "q", "INTEGER"),
    "f32": (4, "f", "FLOAT32"),
    "f64": (8, "d", "FLOAT"),
}
_ARROW_TYPES: Final = {
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "float": "f32",
    "double": "f64",
}
_NUMPY_KINDS: Final = "if"
_SWAP_CODES: Final = {2: "H", 4: "I", 8: "Q"}


@final
class Vector:
    """Numbers of one type, packed tightly.

    Vectors are equal when their type and their bytes are. A vector can be changed by :meth:`set_raw`, but
    must not be while it is a key of a dict or in a set.

    Args:
        data: Numbers (ints for the ``i`` types, floats for the ``f`` ones), raw bytes, a numpy array or a
            pyarrow array; the last two bring their type with them.
        dtype: The type of the elements: ``"i8"``, ``"i16"``, ``"i32"``, ``"i64"``, ``"f32"`` or ``"f64"``.
        byteorder: The order of the bytes when *data* is raw: ``"big"`` or ``"little"``.

    Raises:
        ValueError: The type or the byte order is unknown, or the size of raw data is no multiple of the
            element's.
        TypeError: An element is not of the right kind, or the type is missing.
        OverflowError: An element is out of the type's range.
    """

    __slots__ = ("_data", "_dtype")

    _dtype: str
    _data: bytes

    def __init__(self, data: Any, dtype: str | None = None, *, byteorder: str = "big") -> None:
        if issubclass(type(data), (bytes, bytearray, memoryview)):
            self._dtype = _dtype_of(dtype)
            self._data = b""
            self.set_raw(data, byteorder=byteorder)
            return
        if byteorder != "big":
            raise TypeError("byteorder goes with raw bytes only")
        package = str(type(data).__module__).partition(".")[0]
        if package == "numpy":
            other = self.from_numpy(data)
        elif package == "pyarrow":
            other = self.from_pyarrow(data)
        else:
            other = self.from_native(data, _dtype_of(dtype))
        if dtype is not None and _dtype_of(dtype) != other._dtype:
            raise TypeError(f"the array holds {other._dtype}, not {_dtype_of(dtype)}")
        self._dtype = other._dtype
        self._data = other._data

    @classmethod
    def from_bytes(cls, data: bytes, dtype: str, /, *, byteorder: str = "big") -> Vector:
        """Make a vector of raw *data*; see the class for the arguments."""
        return cls(memoryview(data).tobytes(), dtype, byteorder=byteorder)

    @classmethod
    def from_native(cls, data: Iterable[float] | Iterable[int], dtype: str, /) -> Vector:
        """Make a vector of numbers; see the class for the arguments."""
        name = _dtype_of(dtype)
        values = list(data)
        wanted = float if name[0] == "f" else int
        for index, value in enumerate(values):
            if not isinstance(value, wanted):
                raise TypeError(f"element {index} of a vector of {name} is of type {type(value).__name__}")
        _, code, _ = _TYPES[name]
        made = cls.__new__(cls)
        made._dtype = name
        try:
            made._data = struct.pack(f">{len(values)}{code}", *values)
        except (struct.error, OverflowError):
            raise OverflowError(_out_of_range(values, name)) from None
        return made

    @classmethod
    def from_numpy(cls, data: Any, /) -> Vector:
        """Make a vector of a numpy array of one dimension, of an int or float type of 1 to 8 bytes.

        Raises:
            ValueError: The array is of another shape or type.
        """
        kind, width = data.dtype.kind, data.dtype.itemsize
        name = f"{kind}{8 * width}"
        if kind not in _NUMPY_KINDS or name not in _TYPES:
            raise ValueError(f"a vector cannot hold elements of numpy's {data.dtype}")
        if data.ndim != 1:
            raise ValueError(f"a vector has one dimension, this array has {data.ndim}")
        made = cls.__new__(cls)
        made._dtype = name
        made.set_raw(data.astype(data.dtype.newbyteorder(">")).tobytes())
        return made

    @classmethod
    def from_pyarrow(cls, data: Any, /) -> Vector:
        """Make a vector of a pyarrow array of a signed int type, float or double, without nulls.

        Raises:
            ValueError: The array is of another type, or has nulls.
        """
        name = _ARROW_TYPES.get(str(data.type))
        if name is None:
            raise ValueError(f"a vector cannot hold elements of pyarrow's {data.type}")
        if data.null_count:
            raise ValueError("a vector cannot hold nulls")
        width = _TYPES[name][0]
        buffer = data.buffers()[1]
        view = memoryview(b"" if buffer is None else buffer).cast("B")
        made = cls.__new__(cls)
        made._dtype = name
        own = view[data.offset * width : (data.offset + len(data)) * width]
        made.set_raw(own, byteorder=sys.byteorder)
        return made

    @property
    def dtype(self) -> VectorDType:
        """The type of the elements."""
        return VectorDType(self._dtype)

    def raw(self, /, *, byteorder: str = "big") -> bytes:
        """Return the elements as bytes, in the *byteorder* ``"big"`` or ``"little"``."""
        return _to_big(self._data, _TYPES[self._dtype][0], byteorder)

    def set_raw(self, data: bytes | bytearray | memoryview, /, *, byteorder: str = "big") -> None:
        """Replace the elements by raw *data*, which is in the given *byteorder*.

        Raises:
            ValueError: The size is no multiple of the element's, or the byte order is unknown.
        """
        # An exact copy: a subclass of bytes may give anything as its own.
        data = memoryview(data).tobytes()
        width = _TYPES[self._dtype][0]
        if len(data) % width:
            raise ValueError(f"{len(data)} bytes are no multiple of the {width} of an {self._dtype}")
        self._data = _to_big(data, width, byteorder)

    def to_native(self) -> list[Any]:
        """Return the elements as a list of ints or floats."""
        return list(self._unpack())

    def to_numpy(self) -> Any:
        """Return the elements as a numpy array, in the byte order of this machine. Needs numpy."""
        import numpy  # type: ignore[import-not-found,unused-ignore]

        width = _TYPES[self._dtype][0]
        numbers = numpy.frombuffer(self._data, dtype=f">{self._dtype[0]}{width}")
        return numbers.astype(numbers.dtype.newbyteorder("="))

    def to_pyarrow(self) -> Any:
        """Return the elements as a pyarrow array. Needs pyarrow."""
        import pyarrow  # type: ignore[import-not-found,import-untyped,unused-ignore]

        arrow = {ours: theirs for theirs, ours in _ARROW_TYPES.items()}[self._dtype]
        kind = {"float": "float32", "double": "float64"}.get(arrow, arrow)
        data = pyarrow.py_buffer(self.raw(byteorder=sys.byteorder))
        return pyarrow.Array.from_buffers(getattr(pyarrow, kind)(), len(self), [None, data])

    def _unpack(self) -> tuple[Any, ...]:
        width, code, _ = _TYPES[self._dtype]
        return struct.unpack(f">{len(self._data) // width}{code}", self._data)

    def __len__(self) -> int:
        return len(self._data) // _TYPES[self._dtype][0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._unpack())

    def __getitem__(self, index: int) -> Any:
        width, code, _ = _TYPES[self._dtype]
        size = len(self)
        place = index + size if index < 0 else index
        if not 0 <= place < size:
            raise IndexError("vector index out of range")
        return struct.unpack_from(f">{code}", self._data, place * width)[0]

    def __eq__(self, other: object) -> bool:
        if type(other) is not Vector:
            return NotImplemented
        return self._dtype == other._dtype and self._data == other._data

    def __hash__(self) -> int:
        return hash((self._dtype, self._data))

    def __str__(self) -> str:
        values = ", ".join(map(_literal, self._unpack()))
        return f"vector([{values}], {len(self)}, {_TYPES[self._dtype][2]} NOT NULL)"

    def __repr__(self) -> str:
        return f"Vector({self._data!r}, {self._dtype!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Vector, (self._data, self._dtype)


def _dtype_of(dtype: str | None) -> str:
    if dtype is None:
        raise TypeError("a vector needs a dtype, one of " + ", ".join(_TYPES))
    name = dtype.value if type(dtype) is VectorDType else dtype
    if not issubclass(type(name), str) or str.__str__(name) not in _TYPES:
        raise ValueError(f"{dtype!r} is no type of vectors; they are {', '.join(_TYPES)}")
    return str.__str__(name)


def _literal(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def _out_of_range(values: list[Any], name: str) -> str:
    code = _TYPES[name][1]
    for index, value in enumerate(values):
        try:
            struct.pack(f">{code}", value)
        except (struct.error, OverflowError):
            return f"element {index} of a vector is out of the range of {name}: {value!r}"
    raise AssertionError("every element fits")  # pragma: no cover


def _to_big(data: bytes, width: int, byteorder: str) -> bytes:
    """Turn data of *byteorder* into big-endian data (or, being its own inverse, the other way round)."""
    if byteorder not in ("big", "little"):
        raise ValueError(f"byteorder is 'big' or 'little', not {byteorder!r}")
    if byteorder == "big" or width == 1:
        return data
    swapped = array.array(_SWAP_CODES[width], data)
    swapped.byteswap()
    return swapped.tobytes()


@final
class UnsupportedType:
    """Stands for a value that the server could not send in this version of Bolt (6.0+).

    Args:
        name: What the server calls the type.
        minimum: The Bolt version, (major, minor), that can carry it.
        message: What the server has to say about it, if anything.
        extra: What else it sent.
    """

    __slots__ = ("_extra", "_message", "_minimum", "_name")

    _name: str
    _minimum: Version
    _message: str | None
    _extra: dict[str, Any]

    def __init__(
        self, name: str, minimum: Version, message: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        self._name = name
        self._minimum = (minimum[0], minimum[1])
        self._extra = {} if extra is None else dict(extra)
        if message is not None:
            self._extra["message"] = message
        found = self._extra.get("message")
        self._message = found if isinstance(found, str) else None

    @property
    def name(self) -> str:
        """What the server calls the type."""
        return self._name

    @property
    def minimum_protocol_version(self) -> Version:
        """The Bolt version, (major, minor), that can carry it."""
        return self._minimum

    @property
    def message(self) -> str | None:
        """What the server has to say about it, if anything."""
        return self._message

    def __eq__(self, other: object) -> bool:
        if type(other) is not UnsupportedType:
            return NotImplemented
        return self._name == other._name and self._minimum == other._minimum and self._extra == other._extra

    def __hash__(self) -> int:
        return hash((self._name, self._minimum))

    def __str__(self) -> str:
        return f"UnsupportedType<{self._name}>"

    def __repr__(self) -> str:
        said = "" if self._message is None else f", message={self._message!r}"
        return f"UnsupportedType({self._name!r}, {self._minimum!r}{said})"

    def __reduce__(self) -> tuple[Any, ...]:
        return UnsupportedType, (self._name, self._minimum, None, self._extra)
