# Values that hold no others, read and written in place: what the loops over rows, lists and maps do without a
# call. Both stop at whatever is not plain, not complete or has no room, and leave it to the methods that can
# say why.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    ATOM_ROOM = 257

cdef extern from *:
    """
    /* Borrowed items of a list or dict are safe only where no other thread can run. */
    #ifdef Py_GIL_DISABLED
    #define BOLT_ALONE 0
    #else
    #define BOLT_ALONE 1
    #endif

    #if SIZEOF_LONG >= 8
    #define bolt_long(number) PyLong_FromLong((long)(number))
    #else
    #define bolt_long(number) PyLong_FromLongLong(number)
    #endif

    /* The wire is big-endian. */
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define bolt_swap16 __builtin_bswap16
    #define bolt_swap32 __builtin_bswap32
    #define bolt_swap64 __builtin_bswap64
    #elif defined(_MSC_VER)
    #include <stdlib.h>
    #define bolt_swap16 _byteswap_ushort
    #define bolt_swap32 _byteswap_ulong
    #define bolt_swap64 _byteswap_uint64
    #else
    #define bolt_swap16(value) (value)
    #define bolt_swap32(value) (value)
    #define bolt_swap64(value) (value)
    #endif
    static inline void store16(uint8_t *p, uint16_t v) { v = bolt_swap16(v); memcpy(p, &v, 2); }
    static inline void store32(uint8_t *p, uint32_t v) { v = bolt_swap32(v); memcpy(p, &v, 4); }
    static inline void store64(uint8_t *p, uint64_t v) { v = bolt_swap64(v); memcpy(p, &v, 8); }
    static inline uint16_t load16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return bolt_swap16(v); }
    static inline uint32_t load32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return bolt_swap32(v); }
    static inline uint64_t load64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return bolt_swap64(v); }

    /* Whether an object is at work: sets the flag and tells what it was. */
    #if !defined(Py_GIL_DISABLED)
    static inline int bolt_claim(int *busy) { int was = *busy; *busy = 1; return was; }
    static inline void bolt_release(int *busy) { *busy = 0; }
    #elif defined(_MSC_VER)
    #include <intrin.h>
    static inline int bolt_claim(int *busy) { return _InterlockedExchange((volatile long *)busy, 1); }
    static inline void bolt_release(int *busy) { _InterlockedExchange((volatile long *)busy, 0); }
    #else
    static inline int bolt_claim(int *busy) { return __atomic_exchange_n(busy, 1, __ATOMIC_ACQUIRE); }
    static inline void bolt_release(int *busy) { __atomic_store_n(busy, 0, __ATOMIC_RELEASE); }
    #endif

    /* Tells Python how deep the C stack is before code of others runs, which may pack and come here again:
       its limit of recursion counts its own frames only. Before 3.12 one limit, of 1000, holds for both. */
    #if PY_VERSION_HEX >= 0x030C0000
    #define BOLT_LEVELS 1
    #else
    #define BOLT_LEVELS 4
    #endif
    static inline void bolt_ascend(Py_ssize_t depth) {
        for (depth /= BOLT_LEVELS; depth > 0; depth--) Py_LeaveRecursiveCall();
    }
    static inline int bolt_descend(Py_ssize_t depth) {
        Py_ssize_t done, units = depth / BOLT_LEVELS;
        for (done = 0; done < units; done++) {
            if (Py_EnterRecursiveCall(" while packing a value")) {
                bolt_ascend(done * BOLT_LEVELS);
                return -1;
            }
        }
        return 0;
    }

    #define bolt_tuple_items(value) (((PyTupleObject *)(value))->ob_item)
    #define bolt_list_items(value) (((PyListObject *)(value))->ob_item)

    /* PyFloat_FromDouble without its list of freed floats, which is empty when many are made and kept. */
    static inline PyObject *bolt_float(double number) {
        PyFloatObject *value = (PyFloatObject *)PyObject_Malloc(sizeof(PyFloatObject));
        if (value == NULL) return NULL;
        (void)PyObject_Init((PyObject *)value, &PyFloat_Type);
        value->ob_fval = number;
        return (PyObject *)value;
    }

    /* Whether an int is of one digit, and which. */
    static inline int bolt_small_long(PyObject *value, int64_t *number) {
    #if PY_VERSION_HEX >= 0x030C0000
        if (!PyUnstable_Long_IsCompact((PyLongObject *)value)) return 0;
        *number = PyUnstable_Long_CompactValue((PyLongObject *)value);
        return 1;
    #else
        Py_ssize_t size = Py_SIZE(value);
        if (size < -1 || size > 1) return 0;
        *number = size == 0 ? 0 : (int64_t)size * (int64_t)((PyLongObject *)value)->ob_digit[0];
        return 1;
    #endif
    }

    /* A str of ASCII only; NULL where it is not, or where memory ran out. */
    static inline PyObject *bolt_ascii(const uint8_t *data, Py_ssize_t size) {
        const uint64_t high = 0x8080808080808080u;
        uint64_t head = 0, tail = 0;
        PyObject *value;
        if (size >= 8) {
            Py_ssize_t at = 0;
            memcpy(&tail, data + size - 8, 8);
            for (; at < size - 8; at += 8) {
                memcpy(&head, data + at, 8);
                tail |= head;
            }
            if (tail & high) return NULL;
        }
        else {
            Py_ssize_t at;
            uint8_t bits = 0;
            for (at = 0; at < size; at++) bits |= data[at];
            if (bits & 0x80) return NULL;
            /* These two exist once and for all. */
            if (size < 2) return PyUnicode_DecodeUTF8((const char *)data, size, NULL);
        }
        value = PyUnicode_New(size, 127);
        if (value != NULL) memcpy(PyUnicode_1BYTE_DATA(value), data, size);
        return value;
    }

    /* Few bytes, mostly: cheaper than a call. */
    static inline void bolt_copy(uint8_t *to, const uint8_t *from, Py_ssize_t size) {
        if (size > 16)
            memcpy(to, from, size);
        else if (size >= 8) {
            uint64_t head, tail;
            memcpy(&head, from, 8);
            memcpy(&tail, from + size - 8, 8);
            memcpy(to, &head, 8);
            memcpy(to + size - 8, &tail, 8);
        }
        else if (size >= 4) {
            uint32_t head, tail;
            memcpy(&head, from, 4);
            memcpy(&tail, from + size - 4, 4);
            memcpy(to, &head, 4);
            memcpy(to + size - 4, &tail, 4);
        }
        else if (size) {
            to[0] = from[0];
            to[size / 2] = from[size / 2];
            to[size - 1] = from[size - 1];
        }
    }

    static inline int bolt_same(const uint8_t *one, const uint8_t *other, Py_ssize_t size) {
        uint64_t a, b, c, d;
        if (size > 16) return memcmp(one, other, size) == 0;
        if (size >= 8) {
            memcpy(&a, one, 8);
            memcpy(&b, other, 8);
            memcpy(&c, one + size - 8, 8);
            memcpy(&d, other + size - 8, 8);
            return ((a ^ b) | (c ^ d)) == 0;
        }
        while (size--) if (one[size] != other[size]) return 0;
        return 1;
    }

    /* Where a key is looked for in a small cache: a look at its first bytes, its last ones and its size. */
    static inline uint32_t bolt_hash(const uint8_t *data, Py_ssize_t size) {
        uint64_t head = 0, tail = 0, mixed;
        if (size >= 8) {
            memcpy(&head, data, 8);
            memcpy(&tail, data + size - 8, 8);
        }
        else if (size >= 4) {
            memcpy(&head, data, 4);
            memcpy(&tail, data + size - 4, 4);
        }
        else if (size) {
            head = data[0] | ((uint32_t)data[size / 2] << 8);
            tail = data[size - 1];
        }
        mixed = (head + (uint64_t)size) * 0x9E3779B97F4A7C15u + tail * 0xC2B2AE3D27D4EB4Fu;
        return (uint32_t)(mixed >> 40);
    }
    """
    enum:
        BOLT_ALONE
    int bolt_claim(int *) noexcept
    void bolt_release(int *) noexcept
    int bolt_descend(Py_ssize_t) except -1
    void bolt_ascend(Py_ssize_t) noexcept
    void store16(uint8_t *, uint16_t)
    void store32(uint8_t *, uint32_t)
    void store64(uint8_t *, uint64_t)
    uint16_t load16(const uint8_t *)
    uint32_t load32(const uint8_t *)
    uint64_t load64(const uint8_t *)
    PyObject *bolt_long(int64_t)
    PyObject *bolt_float(double)
    PyObject **bolt_tuple_items(PyObject *)
    PyObject **bolt_list_items(PyObject *)
    bint bolt_small_long(PyObject *, int64_t *)
    PyObject *bolt_ascii(const uint8_t *, Py_ssize_t)
    void bolt_copy(uint8_t *, const uint8_t *, Py_ssize_t)
    bint bolt_same(const uint8_t *, const uint8_t *, Py_ssize_t)
    uint32_t bolt_hash(const uint8_t *, Py_ssize_t)

cdef extern from "Python.h":
    bint is_str "PyUnicode_CheckExact" (PyObject *)
    bint is_ascii "PyUnicode_IS_COMPACT_ASCII" (PyObject *)
    Py_ssize_t str_length "PyUnicode_GET_LENGTH" (PyObject *)
    const uint8_t *str_data "PyUnicode_1BYTE_DATA" (PyObject *)
    bint is_int "PyLong_CheckExact" (PyObject *)
    bint is_float "PyFloat_CheckExact" (PyObject *)
    double float_value "PyFloat_AS_DOUBLE" (PyObject *)
    void PyErr_Clear()
    PyObject *none "Py_None"
    PyObject *true "Py_True"
    PyObject *false "Py_False"
    void incref "Py_INCREF" (PyObject *)


cdef inline bint read_integer(const uint8_t **at, const uint8_t *end, int64_t *number) noexcept:
    """Read a whole integer and step behind it; else False."""
    cdef const uint8_t *p = at[0]
    cdef Py_ssize_t left = end - p
    cdef uint8_t marker
    if left < 1:
        return False
    marker = p[0]
    if marker < 0x80 or marker >= 0xF0:
        number[0] = <signed char>marker
        at[0] = p + 1
    elif marker == 0xC9 and left >= 3:
        number[0] = <signed short>load16(p + 1)
        at[0] = p + 3
    elif marker == 0xCA and left >= 5:
        number[0] = <int>load32(p + 1)
        at[0] = p + 5
    elif marker == 0xCB and left >= 9:
        number[0] = <int64_t>load64(p + 1)
        at[0] = p + 9
    elif marker == 0xC8 and left >= 2:
        number[0] = <signed char>p[1]
        at[0] = p + 2
    else:
        return False
    return True


cdef inline PyObject *read_atom(const uint8_t **at, const uint8_t *end) noexcept:
    """Read one whole None, bool, int, float or short ASCII string, and step behind it; else NULL."""
    cdef const uint8_t *p = at[0]
    cdef const uint8_t *behind
    cdef Py_ssize_t left = end - p
    cdef uint64_t bits
    cdef int64_t number = 0
    cdef double real
    cdef PyObject *value
    cdef uint8_t marker
    if left < 1:
        return NULL
    marker = p[0]
    behind = p + 1
    if marker < 0x80 or marker >= 0xF0:
        value = bolt_long(<signed char>marker)
    elif marker < 0x90:
        behind += marker & 0x0F
        if behind > end:
            return NULL
        value = bolt_ascii(p + 1, marker & 0x0F)
    elif marker < 0xC0:
        return NULL
    elif marker == 0xC1:
        behind += 8
        if left < 9:
            return NULL
        bits = load64(p + 1)
        memcpy(&real, &bits, 8)
        value = bolt_float(real)
    elif 0xC8 <= marker <= 0xCB:
        behind = p
        if not read_integer(&behind, end, &number):
            return NULL
        value = bolt_long(number)
    elif marker == 0xD0:
        if left < 2 or p[1] > left - 2:
            return NULL
        behind += 1 + p[1]
        value = bolt_ascii(p + 2, p[1])
    elif marker == 0xC0 or marker == 0xC2 or marker == 0xC3:
        value = none if marker == 0xC0 else (true if marker == 0xC3 else false)
        incref(value)
    else:
        return NULL
    if value == NULL:
        PyErr_Clear()
        return NULL
    at[0] = behind
    return value


cdef inline uint8_t *write_integer(int64_t value, uint8_t *p) noexcept:
    """Write an integer in its shortest form to where nine bytes fit; gives the place behind it."""
    if -16 <= value < 128:
        p[0] = <uint8_t>value
        return p + 1
    if -0x8000 <= value < 0x8000:
        if -0x80 <= value < -16:
            p[0] = 0xC8
            p[1] = <uint8_t>value
            return p + 2
        p[0] = 0xC9
        store16(p + 1, <uint16_t>value)
        return p + 3
    if -0x80000000LL <= value < 0x80000000LL:
        p[0] = 0xCA
        store32(p + 1, <uint32_t>value)
        return p + 5
    p[0] = 0xCB
    store64(p + 1, <uint64_t>value)
    return p + 9


cdef inline uint8_t *write_float(double value, uint8_t *p) noexcept:
    """Write a float to where nine bytes fit; gives the place behind it."""
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    p[0] = 0xC1
    store64(p + 1, bits)
    return p + 9


cdef inline uint8_t *write_ascii(PyObject *value, uint8_t *p, uint8_t *limit) noexcept:
    """Write a str of up to 255 ASCII characters; gives the place behind it, or NULL."""
    cdef Py_ssize_t size
    if not is_ascii(value):
        return NULL
    size = str_length(value)
    if size > 255 or size + 2 > limit - p:
        return NULL
    if size < 16:
        p[0] = <uint8_t>(0x80 | size)
        p += 1
    else:
        p[0] = 0xD0
        p[1] = <uint8_t>size
        p += 2
    bolt_copy(p, str_data(value), size)
    return p + size


cdef inline uint8_t *write_atom(PyObject *value, uint8_t *p, uint8_t *limit) noexcept:
    """Write a None, bool, small int, float or short ASCII str; gives the place behind it, or NULL."""
    cdef int64_t number = 0
    if limit - p < 9:
        return NULL
    if is_str(value):
        return write_ascii(value, p, limit)
    if is_int(value):
        return write_integer(number, p) if bolt_small_long(value, &number) else NULL
    if is_float(value):
        return write_float(float_value(value), p)
    if value == none or value == true or value == false:
        p[0] = 0xC0 if value == none else (0xC3 if value == true else 0xC2)
        return p + 1
    return NULL


cdef inline uint8_t *write_atoms(PyObject **items, Py_ssize_t count, uint8_t *p, uint8_t *limit) noexcept:
    """Write values that are all atoms; gives the place behind them, or NULL. ATOM_ROOM bytes each suffice."""
    cdef Py_ssize_t index
    for index in range(count):
        p = write_atom(items[index], p, limit)
        if p == NULL:
            return NULL
    return p
