from __future__ import annotations

import array
import copy
import math
import pickle
import struct

import pytest

from asyncbolt.vector import UnsupportedType, Vector, VectorDType, VectorEndian

CASES = [
    ("i8", [0, -128, 127], bytes((0, 0x80, 0x7F))),
    ("i16", [1, -2], b"\x00\x01\xff\xfe"),
    ("i32", [1, -2], b"\x00\x00\x00\x01\xff\xff\xff\xfe"),
    ("i64", [2**63 - 1, -(2**63)], b"\x7f" + b"\xff" * 7 + b"\x80" + bytes(7)),
    ("f32", [1.0, -2.5], b"\x3f\x80\x00\x00\xc0\x20\x00\x00"),
    ("f64", [1.0, -2.5], b"\x3f\xf0" + bytes(6) + b"\xc0\x04" + bytes(6)),
    ("f32", [], b""),
]


@pytest.mark.parametrize(("dtype", "values", "data"), CASES)
def test_numbers_and_bytes(dtype, values, data):
    width = {"8": 1, "16": 2, "32": 4, "64": 8}[dtype[1:]]
    little = b"".join(data[n : n + width][::-1] for n in range(0, len(data), width))
    vector = Vector(values, dtype)
    assert vector.raw() == data and vector._data == data and type(vector._data) is bytes
    assert vector.raw(byteorder="little") == vector.raw(byteorder=VectorEndian.LITTLE) == little
    assert vector.dtype == dtype and vector.dtype is VectorDType(dtype)
    assert vector.to_native() == list(vector) == values
    assert (
        [vector[n] for n in range(len(values))]
        == values
        == [vector[n - len(values)] for n in range(len(values))]
    )
    assert len(vector) == len(values)
    others = [
        Vector(data, dtype),
        Vector(bytearray(data), VectorDType(dtype)),
        Vector(memoryview(data), dtype, byteorder="big"),
        Vector(little, dtype, byteorder="little"),
        Vector(iter(values), dtype),
        Vector.from_native(tuple(values), dtype),
        Vector.from_bytes(data, dtype),
        Vector.from_bytes(little, dtype, byteorder=VectorEndian.LITTLE),
        copy.copy(vector),
        copy.deepcopy(vector),
        eval(repr(vector)),
        *(pickle.loads(pickle.dumps(vector, protocol)) for protocol in range(5)),
    ]
    for other in others:
        assert other == vector and hash(other) == hash(vector) and other.to_native() == values


def test_index_out_of_range():
    for index in (2, -3):
        with pytest.raises(IndexError):
            Vector([1, 2], "i8")[index]


def test_equality():
    assert Vector([1], "i8") != Vector([1], "i16") and Vector([1], "i8") != Vector([2], "i8")
    assert Vector([1], "i8") != [1] and not Vector([1], "i8") == b"\x01"
    assert Vector([math.nan], "f32") == Vector([math.nan], "f32")


@pytest.mark.parametrize(
    ("values", "dtype", "error"),
    [
        ([1.5], "i8", TypeError),
        ([1], "f32", TypeError),
        (["a"], "i8", TypeError),
        ("abc", "i8", TypeError),
        ([None], "f64", TypeError),
        ([0, 128], "i8", OverflowError),
        ([-129], "i8", OverflowError),
        ([2**15], "i16", OverflowError),
        ([2**31], "i32", OverflowError),
        ([2**63], "i64", OverflowError),
        ([2**70], "i64", OverflowError),
        ([1e300], "f32", OverflowError),
        (5, "i8", TypeError),
        ([1], "i9", ValueError),
        ([1], "I8", ValueError),
        ([1], None, TypeError),
        (b"\x00", None, TypeError),
        (b"\x00\x00\x00", "i16", ValueError),
        (b"\x00", "nonsense", ValueError),
    ],
)
def test_refused(values, dtype, error):
    with pytest.raises(error):
        Vector(values, dtype)


def test_refusals_say_where():
    with pytest.raises(OverflowError, match=r"element 2 .*i8.*200"):
        Vector([1, 2, 200, 3], "i8")
    with pytest.raises(TypeError, match=r"element 1 .*f32.*int"):
        Vector([1.0, 2], "f32")


def test_byteorder():
    with pytest.raises(ValueError, match="byteorder"):
        Vector(b"\x00\x01", "i16", byteorder="middle")
    with pytest.raises(ValueError, match="byteorder"):
        Vector([1], "i8").raw(byteorder="middle")
    with pytest.raises(TypeError, match="raw"):
        Vector([1], "i8", byteorder="little")


def test_set_raw():
    vector = Vector([1], "i16")
    vector.set_raw(b"\x02\x00\x03\x00", byteorder="little")
    assert vector.to_native() == [2, 3]
    with pytest.raises(ValueError, match="multiple"):
        vector.set_raw(b"\x01")
    assert vector.to_native() == [2, 3]


def test_special_floats():
    values = Vector([math.inf, -math.inf, -0.0], "f64").to_native()
    assert values == [math.inf, -math.inf, 0.0] and math.copysign(1, values[2]) == -1
    assert Vector([math.inf, 0.1], "f32").to_native() == [
        math.inf,
        struct.unpack(">f", struct.pack(">f", 0.1))[0],
    ]


def test_text():
    assert str(Vector([1.0, 2.5], "f32")) == "vector([1.0, 2.5], 2, FLOAT32 NOT NULL)"
    assert str(Vector([1], "i8")) == "vector([1], 1, INTEGER8 NOT NULL)"
    assert (
        str(Vector([math.nan, math.inf, -math.inf], "f64"))
        == "vector([NaN, Infinity, -Infinity], 3, FLOAT NOT NULL)"
    )
    assert repr(Vector([1], "i8")) == "Vector(b'\\x01', 'i8')"


def test_other_iterables():
    assert Vector(range(3), "i8").to_native() == [0, 1, 2]
    assert Vector(array.array("d", [1.5]), "f64").to_native() == [1.5]
    assert Vector([True], "i8").to_native() == [1]


def test_slots_are_all_it_needs():
    vector = Vector.__new__(Vector)
    vector._dtype = "i16"
    vector._data = b"\x00\x01"
    assert vector == Vector([1], "i16") and vector.to_native() == [1]
    assert not hasattr(vector, "__dict__")


@pytest.mark.parametrize("dtype", [member.value for member in VectorDType])
@pytest.mark.parametrize("order", ["<", ">", "="])
def test_numpy(dtype, order):
    np = pytest.importorskip("numpy")
    data = np.array([1, -2, 3], dtype=f"{order}{dtype[0]}{int(dtype[1:]) // 8}")
    vector = Vector(data)
    assert vector.dtype == dtype and vector.to_native() == [1, -2, 3]
    assert Vector.from_numpy(data) == Vector(data, dtype) == vector
    assert Vector(data[::-1]).to_native() == [3, -2, 1]
    back = vector.to_numpy()
    assert back.dtype == np.dtype(f"={data.dtype.kind}{data.dtype.itemsize}") and back.tolist() == [1, -2, 3]


def test_numpy_refused():
    np = pytest.importorskip("numpy")
    for data in (
        np.array([1], "u4"),
        np.array([True]),
        np.array(["a"]),
        np.array([1.0], "f2"),
        np.array([[1.0]]),
    ):
        with pytest.raises(ValueError, match="vector"):
            Vector(data)
    with pytest.raises(TypeError, match="f64"):
        Vector(np.array([1.0]), "f32")


@pytest.mark.parametrize("dtype", [member.value for member in VectorDType])
def test_pyarrow(dtype):
    pa = pytest.importorskip("pyarrow")
    kind = getattr(pa, {"i": "int", "f": "float"}[dtype[0]] + dtype[1:])()
    data = pa.array([9, 1, -2, 3], kind)
    assert Vector(data).dtype == dtype and Vector(data).to_native() == [9, 1, -2, 3]
    assert Vector.from_pyarrow(data[1:]).to_native() == [1, -2, 3]
    assert Vector(pa.array([], kind)).to_native() == []
    assert Vector([1.0, 2.0] if dtype[0] == "f" else [1, 2], dtype).to_pyarrow() == pa.array([1, 2], kind)
    with pytest.raises(ValueError, match="null"):
        Vector(pa.array([1, None], kind))
    with pytest.raises(ValueError, match="uint8"):
        Vector(pa.array([1], pa.uint8()))


def test_unsupported_type():
    value = UnsupportedType("QUANTUM", (7, 1), "come back later")
    assert (value.name, value.minimum_protocol_version, value.message) == (
        "QUANTUM",
        (7, 1),
        "come back later",
    )
    assert str(value) == "UnsupportedType<QUANTUM>"
    assert repr(value) == "UnsupportedType('QUANTUM', (7, 1), message='come back later')"
    assert repr(UnsupportedType("X", (7, 0))) == "UnsupportedType('X', (7, 0))"
    assert value == UnsupportedType("QUANTUM", (7, 1), extra={"message": "come back later"})
    assert value != UnsupportedType("QUANTUM", (7, 1)) and value != "QUANTUM"
    assert UnsupportedType("X", (7, 0), extra={"message": 5}).message is None
    for again in (
        copy.copy(value),
        copy.deepcopy(value),
        pickle.loads(pickle.dumps(value, 0)),
        eval(repr(value)),
    ):
        assert again == value and hash(again) == hash(value) and again.message == value.message
    with pytest.raises(AttributeError):
        value.other = 1
