"""PackStream, compiled: the twin of the pure-Python ``_packstream_py``.

Same names, same values, same errors to the letter. What is read is made through the C interface, without a
Python call for each value, and what holds nothing but atoms is hidden from the garbage collector, which would
otherwise cost more than the reading.
"""

import datetime as _dt
import uuid as _uuid
from zoneinfo import ZoneInfo as _ZoneInfo

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport (
    PyDateTime_Check,
    PyDelta_Check,
    date_day,
    date_month,
    date_year,
    datetime_hour,
    datetime_microsecond,
    datetime_minute,
    datetime_second,
    datetime_tzinfo,
    import_datetime,
    time_hour,
    time_microsecond,
    time_minute,
    time_second,
    time_tzinfo,
    timedelta_days,
    timedelta_microseconds,
    timedelta_seconds,
)
from cpython.dict cimport PyDict_CheckExact, PyDict_New, PyDict_Size
from cpython.exc cimport PyErr_Clear
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.list cimport PyList_AsTuple, PyList_CheckExact, PyList_New
from cpython.long cimport PyLong_CheckExact
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GetSlice, PyTuple_New
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from asyncbolt cimport _wire
from asyncbolt._atoms cimport (
    BOLT_ALONE,
    bolt_ascend,
    bolt_claim,
    bolt_descend,
    bolt_hash,
    bolt_list_items,
    bolt_release,
    bolt_same,
    bolt_small_long,
    bolt_tuple_items,
    float_value,
    is_float,
    is_int,
    load16,
    load32,
    read_atom,
    read_integer,
    store16,
    store32,
    write_ascii,
    write_atom,
    write_float,
    write_integer,
)

# Used for each value, so they are variables of C: a look into the module's namespace costs more than a date.
cdef object Structure
cdef object Node, Path, Relationship, UnboundRelationship
cdef object CartesianPoint, Point, WGS84Point, point_class
cdef object Date, DateTime, Duration, Time
cdef object UnsupportedType, Vector

from . import _codec_errors as errors
from ._convert import normalize
from ._dialect import dialect
from ._structure import Structure
from .exceptions import LocalProtocolError, PackError, pack_error
from .graph import Node, Path, Relationship, UnboundRelationship
from .spatial import CartesianPoint, Point, WGS84Point, point_class
from .time import Date, DateTime, Duration, Time
from .vector import UnsupportedType, Vector

__all__ = ["Packer", "Unpacker", "cast_rows", "pack", "unpack"]

cdef extern from *:
    """
    #include <datetime.h>
    #include <structmember.h>

    /* Where a class keeps one of its __slots__; -1 with an exception where that is no slot. */
    static Py_ssize_t bolt_slot(PyObject *cls, const char *name) {
        Py_ssize_t offset = -1;
        PyObject *member = PyObject_GetAttrString(cls, name);
        if (member == NULL) return -1;
        if (Py_TYPE(member) == &PyMemberDescr_Type)
            offset = ((PyMemberDescrObject *)member)->d_member->offset;
        else
            PyErr_Format(PyExc_TypeError, "%s is no slot", name);
        Py_DECREF(member);
        return offset;
    }
    static inline PyObject *bolt_new(PyObject *cls) {
        return ((PyTypeObject *)cls)->tp_alloc((PyTypeObject *)cls, 0);
    }
    static inline void bolt_fill(PyObject *self, Py_ssize_t offset, PyObject *value) {
        Py_INCREF(value);
        *(PyObject **)((char *)self + offset) = value;
    }
    /* Whether a slot holds something. */
    static inline int bolt_holds(PyObject *self, Py_ssize_t offset) {
        return *(PyObject **)((char *)self + offset) != NULL;
    }
    /* What a slot holds that does hold something: None where another thread has emptied it since. */
    static inline PyObject *bolt_peek(PyObject *self, Py_ssize_t offset) {
        PyObject *value;
    #ifdef Py_GIL_DISABLED
        Py_BEGIN_CRITICAL_SECTION(self);
        value = *(PyObject **)((char *)self + offset);
        if (value == NULL) value = Py_None;
        Py_INCREF(value);
        Py_END_CRITICAL_SECTION();
    #else
        value = *(PyObject **)((char *)self + offset);
        Py_INCREF(value);
    #endif
        return value;
    }
    /* PyDict_Next; what it gives is owned where another thread may change the dict. */
    static inline int bolt_dict_next(PyObject *dict, Py_ssize_t *state, PyObject **key, PyObject **item) {
    #ifdef Py_GIL_DISABLED
        int found;
        Py_BEGIN_CRITICAL_SECTION(dict);
        found = PyDict_Next(dict, state, key, item);
        if (found) {
            Py_INCREF(*key);
            Py_INCREF(*item);
        }
        Py_END_CRITICAL_SECTION();
        return found;
    #else
        return PyDict_Next(dict, state, key, item);
    #endif
    }
    /* A tuple as one of a subclass. */
    static inline PyObject *bolt_cast(PyObject *kind, PyObject *row, int hide) {
        Py_ssize_t i, size = PyTuple_GET_SIZE(row);
        PyObject *made = ((PyTypeObject *)kind)->tp_alloc((PyTypeObject *)kind, size);
        if (made == NULL) return NULL;
    #if PY_VERSION_HEX >= 0x030E0000
        ((PyTupleObject *)made)->ob_hash = -1;  /* not worked out yet */
    #endif
        for (i = 0; i < size; i++) {
            PyObject *item = PyTuple_GET_ITEM(row, i);
            Py_INCREF(item);
            PyTuple_SET_ITEM(made, i, item);
        }
        if (hide && !PyObject_GC_IsTracked(row)) PyObject_GC_UnTrack(made);
        return made;
    }
    /* Whether its instances have no __dict__, through which they could become part of a cycle. */
    static inline int bolt_closed(PyObject *kind) {
        return ((PyTypeObject *)kind)->tp_dictoffset == 0;
    }
    static inline PyObject *bolt_datetime(PyObject *cls, int year, int month, int day, int hour, int minute,
                                          int second, int microsecond, PyObject *zone, int fold) {
        return PyDateTimeAPI->DateTime_FromDateAndTimeAndFold(
            year, month, day, hour, minute, second, microsecond, zone, fold, (PyTypeObject *)cls);
    }
    static inline PyObject *bolt_date(PyObject *cls, int year, int month, int day) {
        return PyDateTimeAPI->Date_FromDate(year, month, day, (PyTypeObject *)cls);
    }
    static inline PyObject *bolt_time(PyObject *cls, int hour, int minute, int second, int microsecond,
                                      PyObject *zone) {
        return PyDateTimeAPI->Time_FromTimeAndFold(hour, minute, second, microsecond, zone, 0,
                                                   (PyTypeObject *)cls);
    }
    /* Days since 1970-01-01 of a date of the Gregorian calendar, counting years from March. */
    static inline long long bolt_days(int year, int month, int day) {
        long long y = month > 2 ? year : year - 1;
        long long century = y / 100, moved = month > 2 ? month - 3 : month + 9;
        return y * 365 + y / 4 - century + century / 4 + (moved * 153 + 2) / 5 + day - 719469;
    }
    /* The other way, for days that lie in the years 1 to 9999. */
    static inline void bolt_civil(long long days, int *year, int *month, int *day) {
        unsigned int n = (unsigned int)(days + 719468);
        unsigned int era = n / 146097, in_era = n % 146097;
        unsigned int y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
        unsigned int in_year = in_era - (365 * y + y / 4 - y / 100);
        unsigned int moved = (5 * in_year + 2) / 153;
        *day = (int)(in_year - (153 * moved + 2) / 5 + 1);
        *month = (int)(moved < 10 ? moved + 3 : moved - 9);
        *year = (int)(era * 400 + y + (*month <= 2));
    }
    """
    Py_ssize_t bolt_slot(object cls, const char *name) except -1
    object bolt_new(object cls)
    void bolt_fill(object self, Py_ssize_t offset, object value)
    bint bolt_holds(object self, Py_ssize_t offset)
    object bolt_peek(object self, Py_ssize_t offset)
    int bolt_dict_next(object, Py_ssize_t *, PyObject **, PyObject **)
    object bolt_cast(object kind, object row, bint hide)
    bint bolt_closed(object kind)
    object bolt_datetime(object cls, int year, int month, int day, int hour, int minute, int second,
                         int microsecond, object zone, int fold)
    object bolt_date(object cls, int year, int month, int day)
    object bolt_time(object cls, int hour, int minute, int second, int microsecond, object zone)
    long long bolt_days(int year, int month, int day)
    void bolt_civil(long long days, int *year, int *month, int *day)

cdef extern from "Python.h":
    PyObject *new_str "PyUnicode_DecodeUTF8" (const char *, Py_ssize_t, const char *)
    PyObject *new_bytes "PyBytes_FromStringAndSize" (const char *, Py_ssize_t)
    int set_dict_item "PyDict_SetItem" (object, PyObject *, PyObject *)
    void incref "Py_INCREF" (PyObject *)
    void decref "Py_DECREF" (PyObject *)
    void PyObject_GC_UnTrack(PyObject *)
    int PyObject_GC_IsTracked(PyObject *)
    long long PyLong_AsLongLongAndOverflow(object, int *) except? -1
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *)
    bint PyUnicode_IS_COMPACT_ASCII(PyObject *)
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject *)
    void *PyUnicode_DATA(PyObject *)
    bint PyLong_Check(object)
    bint PyList_Check(object)
    bint PyTuple_Check(object)
    bint PyUnicode_Check(object)
    PyObject *Py_None
    PyObject *Py_True
    PyObject *Py_False

import_datetime()

cdef object UTC = _dt.timezone.utc
cdef object FixedZone = _dt.timezone
cdef object Delta = _dt.timedelta
cdef object PlainDate = _dt.date
cdef object PlainTime = _dt.time
cdef object PlainDateTime = _dt.datetime
cdef object UUID = _uuid.UUID
cdef object ZoneInfo = _ZoneInfo
cdef object ZERO = 0
cdef object new_tuple = tuple.__new__
cdef object int_to_bytes = int.to_bytes

cdef enum:
    KEY_SLOTS = 512
    KEY_LENGTH = 32
    LABEL_SETS = 16
    MAX_CACHED_ZONES = 1024
    MAX_CACHED_OFFSETS = 256
    FIRST_CAPACITY = 1024
    KEPT_CAPACITY = 2 * 1024 * 1024

# The years 1 to 9999, in days and seconds since 1970.
cdef long long FIRST_DAY = -719162
cdef long long LAST_DAY = 2932896
cdef long long FIRST_SECOND = -62135596800 - 86400
cdef long long LAST_SECOND = 253402300799 + 86400
cdef long long DAY_NANOS = 86400000000000

cdef Py_ssize_t NODE_ID = bolt_slot(Node, "_id")
cdef Py_ssize_t NODE_LABELS = bolt_slot(Node, "_labels")
cdef Py_ssize_t NODE_PROPERTIES = bolt_slot(Node, "_properties")
cdef Py_ssize_t NODE_ELEMENT_ID = bolt_slot(Node, "_element_id")
cdef Py_ssize_t REL_ID = bolt_slot(Relationship, "_id")
cdef Py_ssize_t REL_START_ID = bolt_slot(Relationship, "_start_id")
cdef Py_ssize_t REL_END_ID = bolt_slot(Relationship, "_end_id")
cdef Py_ssize_t REL_TYPE = bolt_slot(Relationship, "_type")
cdef Py_ssize_t REL_PROPERTIES = bolt_slot(Relationship, "_properties")
cdef Py_ssize_t REL_ELEMENT_ID = bolt_slot(Relationship, "_element_id")
cdef Py_ssize_t REL_START_ELEMENT_ID = bolt_slot(Relationship, "_start_element_id")
cdef Py_ssize_t REL_END_ELEMENT_ID = bolt_slot(Relationship, "_end_element_id")
cdef Py_ssize_t REL_NODES = bolt_slot(Relationship, "_nodes")
cdef Py_ssize_t UNBOUND_ID = bolt_slot(UnboundRelationship, "_id")
cdef Py_ssize_t UNBOUND_TYPE = bolt_slot(UnboundRelationship, "_type")
cdef Py_ssize_t UNBOUND_PROPERTIES = bolt_slot(UnboundRelationship, "_properties")
cdef Py_ssize_t UNBOUND_ELEMENT_ID = bolt_slot(UnboundRelationship, "_element_id")
cdef Py_ssize_t PATH_UNIQUE_NODES = bolt_slot(Path, "_unique_nodes")
cdef Py_ssize_t PATH_UNIQUE_RELATIONSHIPS = bolt_slot(Path, "_unique_relationships")
cdef Py_ssize_t PATH_INDICES = bolt_slot(Path, "_indices")
cdef Py_ssize_t PATH_NODES = bolt_slot(Path, "_nodes")
cdef Py_ssize_t PATH_RELATIONSHIPS = bolt_slot(Path, "_relationships")
cdef Py_ssize_t TIME_SUBMICRO = bolt_slot(Time, "_submicro")
cdef Py_ssize_t DATETIME_SUBMICRO = bolt_slot(DateTime, "_submicro")
cdef Py_ssize_t POINT_SRID = bolt_slot(Point, "_srid")
cdef Py_ssize_t POINT_COORDINATES = bolt_slot(Point, "_coordinates")
cdef Py_ssize_t VECTOR_DTYPE = bolt_slot(Vector, "_dtype")
cdef Py_ssize_t VECTOR_DATA = bolt_slot(Vector, "_data")
cdef Py_ssize_t UNSUPPORTED_NAME = bolt_slot(UnsupportedType, "_name")
cdef Py_ssize_t UNSUPPORTED_MINIMUM = bolt_slot(UnsupportedType, "_minimum")
cdef Py_ssize_t UNSUPPORTED_MESSAGE = bolt_slot(UnsupportedType, "_message")
cdef Py_ssize_t UNSUPPORTED_EXTRA = bolt_slot(UnsupportedType, "_extra")
cdef Py_ssize_t STRUCTURE_TAG = bolt_slot(Structure, "tag")
cdef Py_ssize_t STRUCTURE_FIELDS = bolt_slot(Structure, "fields")


cdef inline void untrack(object value) noexcept:
    PyObject_GC_UnTrack(<PyObject *>value)


cdef class Packer:
    """Packs values into PackStream.

    ``version`` and ``utc_patch`` choose the form of structures; with ``graph`` nodes, relationships and paths
    may be packed (a server does, a client must not).
    """

    def __cinit__(self):
        self.buf = <uint8_t *>PyMem_Malloc(FIRST_CAPACITY)
        if self.buf == NULL:
            raise MemoryError()
        self.capacity = FIRST_CAPACITY
        self.root = "value"

    def __dealloc__(self):
        PyMem_Free(self.buf)

    def __init__(self, version=(6, 1), *, bint utc_patch=False, bint graph=True,
                 Py_ssize_t max_depth=_wire.DEFAULT_MAX_DEPTH):
        self.claim()
        try:
            if not 0 <= max_depth <= _wire.MAX_DEPTH:
                raise errors.bad_max_depth(max_depth)
            self.graph = graph
            self.max_depth = max_depth
            self.adopt(version, utc_patch)
        finally:
            bolt_release(&self.busy)

    cdef int claim(self) except -1:
        # One call at a time: none from inside by an object that is packed, none of another thread.
        if bolt_claim(&self.busy):
            raise LocalProtocolError(errors.PACKER_BUSY)
        return 0

    def configure(self, version, bint utc_patch):
        """Take the forms of another Bolt version from now on."""
        self.claim()
        try:
            self.adopt(version, utc_patch)
        finally:
            bolt_release(&self.busy)

    cdef int adopt(self, version, bint utc_patch) except -1:
        facts = dialect(version, utc_patch)
        self.utc = facts.utc
        self.element_ids = facts.element_ids
        self.temporal = facts.temporal
        self.vectors = facts.vectors
        self.uuids = facts.uuid
        return 0

    def pack(self, value):
        """Pack one value; raises PackError."""
        self.claim()
        try:
            self.pos = 0
            self.root = "value"
            self.write(value, 0)
            return PyBytes_FromStringAndSize(<char *>self.buf, self.pos)
        finally:
            self.frame = NULL
            bolt_release(&self.busy)

    cdef void trim(self) noexcept:
        # One huge message must not hold its memory for the life of a connection.
        cdef uint8_t *smaller
        if self.capacity > KEPT_CAPACITY:
            smaller = <uint8_t *>PyMem_Realloc(self.buf, FIRST_CAPACITY)
            if smaller != NULL:
                self.buf = smaller
                self.capacity = FIRST_CAPACITY

    cdef int grow(self, Py_ssize_t n) except -1:
        cdef Py_ssize_t needed = self.pos + n
        cdef Py_ssize_t capacity = self.capacity
        cdef uint8_t *larger
        while capacity < needed:
            capacity *= 4 if capacity < 262144 else 2
        larger = <uint8_t *>PyMem_Realloc(self.buf, capacity)
        if larger == NULL:
            raise MemoryError()
        self.buf = larger
        self.capacity = capacity
        return 0

    cdef int refuse(self, str reason, tuple path=()) except -1:
        cdef list trail = list(reversed(path))
        cdef Frame *frame = self.frame
        while frame != NULL:
            if frame.key != NULL:
                trail.append(str.__str__(<object>frame.key))
            else:
                trail.append(frame.index)
            frame = frame.outer
        trail.reverse()
        raise pack_error(reason, tuple(trail), self.root) from None

    cdef int write(self, object value, Py_ssize_t depth) except -1:
        cdef uint8_t *behind = write_atom(<PyObject *>value, self.buf + self.pos, self.buf + self.capacity)
        if behind == NULL:
            return self.write_rest(value, depth)
        self.pos = behind - self.buf
        return 0

    cdef int write_rest(self, object value, Py_ssize_t depth) except -1:
        """Write what is no atom, or had no room as one."""
        cdef object kind
        if PyUnicode_CheckExact(value):
            return self.write_str(value)
        if PyDict_CheckExact(value):
            return self.write_dict(<dict>value, depth)
        if PyList_CheckExact(value):
            return self.write_list(<list>value, depth)
        if PyTuple_CheckExact(value):
            return self.write_tuple(<tuple>value, depth)
        kind = type(value)
        if kind is UUID:
            return self.write_uuid(value)
        if kind is PlainDateTime or kind is DateTime:
            self.check_depth(depth)
            return self.write_datetime(value, depth, kind is DateTime)
        if kind is PlainDate or kind is Date:
            self.check_depth(depth)
            return self.write_date(value)
        if kind is PlainTime or kind is Time:
            self.check_depth(depth)
            return self.write_time(value, depth, kind is Time)
        if kind is Node:
            self.check_depth(depth)
            return self.write_node(value, depth + 1)
        if kind is Relationship:
            self.check_depth(depth)
            return self.write_relationship(value, depth + 1)
        if kind is Duration:
            self.check_depth(depth)
            return self.write_duration(<tuple>value)
        if kind is Point or kind is CartesianPoint or kind is WGS84Point:
            self.check_depth(depth)
            return self.write_point(value)
        if kind is Structure:
            self.check_depth(depth)
            return self.write_structure(value, depth + 1)
        if kind is Vector:
            self.check_depth(depth)
            return self.write_vector(value)
        if kind is Path:
            self.check_depth(depth)
            return self.write_path(value, depth + 1)
        if kind is UnboundRelationship:
            self.check_depth(depth)
            return self.write_unbound(value, depth + 1)
        if kind is UnsupportedType:
            self.check_depth(depth)
            return self.write_unsupported(value, depth + 1)
        if PyBytes_CheckExact(value):
            return self.write_bytes(value)
        if PyLong_CheckExact(value):
            return self.write_int(value)
        if PyFloat_CheckExact(value):
            return self.write_double(PyFloat_AS_DOUBLE(value))
        if value is None or value is True or value is False:
            if self.capacity - self.pos < 1:
                self.grow(1)
            self.buf[self.pos] = 0xC0 if value is None else (0xC3 if value is True else 0xC2)
            self.pos += 1
            return 0
        return self.write_other(value, depth)

    cdef int check_depth(self, Py_ssize_t depth) except -1:
        if depth >= self.max_depth:
            self.refuse(errors.too_deep_to_pack(self.max_depth))
        return 0

    cdef int write_other(self, object value, Py_ssize_t depth) except -1:
        # What it gives is of a class that write_rest() knows: it never comes back here.
        bolt_descend(depth)
        try:
            plain = normalize(value)
        except PackError as exc:
            reason, path = errors.told(exc)
            self.refuse(reason, path)
        finally:
            bolt_ascend(depth)
        return self.write(plain, depth)

    cdef inline object slot(self, object value, Py_ssize_t offset, str kind, str name):
        """What a slot of one of our classes holds; it may have been emptied."""
        if bolt_holds(value, offset):
            return bolt_peek(value, offset)
        return self.lacks(kind, name)

    cdef object lacks(self, str kind, str name):
        self.refuse(errors.missing(kind, name))

    cdef int write_whole(self, object value, str fault) except -1:
        """Write what must be an integer; a subclass's own methods are not asked."""
        if not PyLong_Check(value):
            self.refuse(fault)
        return self.write_int(value)

    cdef int write_int(self, object value) except -1:
        cdef int overflow = 0
        cdef long long number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            self.refuse(errors.INTEGER_RANGE)
        return self.write_number(number)

    cdef int write_number(self, long long value) except -1:
        if self.capacity - self.pos < 9:
            self.grow(9)
        self.pos = write_integer(value, self.buf + self.pos) - self.buf
        return 0

    cdef int write_double(self, double value) except -1:
        if self.capacity - self.pos < 9:
            self.grow(9)
        self.pos = write_float(value, self.buf + self.pos) - self.buf
        return 0

    cdef int write_str(self, object value) except -1:
        cdef Py_ssize_t size = 0
        cdef const char *data = PyUnicode_AsUTF8AndSize(value, &size)
        cdef uint8_t *p
        if data == NULL:
            PyErr_Clear()
            try:
                str.encode(value, "utf-8")
            except UnicodeEncodeError as exc:
                # The base class's own method: the string may be a subclass's.
                self.refuse(errors.surrogate(exc.start, ord(str.__getitem__(value, exc.start))))
            raise MemoryError()
        if size > _wire.MAX_SIZE:
            self.refuse(errors.too_large_to_pack("a string"))
        if self.capacity - self.pos < size + 5:
            self.grow(size + 5)
        p = self.buf + self.pos
        if size < 16:
            p[0] = <uint8_t>(0x80 | size)
            p += 1
        elif size < 0x100:
            p[0] = 0xD0
            p[1] = <uint8_t>size
            p += 2
        elif size < 0x10000:
            p[0] = 0xD1
            store16(p + 1, <uint16_t>size)
            p += 3
        else:
            p[0] = 0xD2
            store32(p + 1, <uint32_t>size)
            p += 5
        memcpy(p, data, size)
        self.pos = (p - self.buf) + size
        return 0

    cdef int write_bytes(self, object value) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
        self.write_size(size, -1, 0xCC, "a byte array")
        if self.capacity - self.pos < size:
            self.grow(size)
        memcpy(self.buf + self.pos, PyBytes_AS_STRING(value), size)
        self.pos += size
        return 0

    cdef inline int write_count(self, Py_ssize_t size, int tiny, int first, str what) except -1:
        if size >= 16 or self.capacity == self.pos:
            return self.write_size(size, tiny, first, what)
        self.buf[self.pos] = <uint8_t>(tiny | size)
        self.pos += 1
        return 0

    cdef int write_size(self, Py_ssize_t size, int tiny, int first, str what) except -1:
        cdef uint8_t *p
        if size > _wire.MAX_SIZE:
            self.refuse(errors.too_large_to_pack(what))
        if self.capacity - self.pos < 5:
            self.grow(5)
        p = self.buf + self.pos
        if size < 16 and tiny >= 0:
            p[0] = <uint8_t>(tiny | size)
            self.pos += 1
        elif size < 0x100:
            p[0] = <uint8_t>first
            p[1] = <uint8_t>size
            self.pos += 2
        elif size < 0x10000:
            p[0] = <uint8_t>(first + 1)
            store16(p + 1, <uint16_t>size)
            self.pos += 3
        else:
            p[0] = <uint8_t>(first + 2)
            store32(p + 1, <uint32_t>size)
            self.pos += 5
        return 0

    cdef int write_list(self, list value, Py_ssize_t depth) except -1:
        cdef Py_ssize_t size = len(value), index = 0, there
        cdef PyObject **items
        cdef uint8_t *p
        cdef uint8_t *limit
        cdef uint8_t *behind
        cdef Frame frame
        if depth >= self.max_depth:
            self.refuse(errors.too_deep_to_pack(self.max_depth))
        self.write_count(size, 0x90, 0xD4, "a list")
        frame.outer = self.frame
        frame.key = NULL
        self.frame = &frame
        # The length is read anew each turn: packing an item may run code that changes the list. Never further
        # than announced, since that code may lengthen it for ever.
        while index < size and index < len(value):
            if BOLT_ALONE:
                p = self.buf + self.pos
                limit = self.buf + self.capacity
                items = bolt_list_items(<PyObject *>value)
                there = len(value) if len(value) < size else size
                while index < there:
                    # A list of numbers is mostly one of floats.
                    while index < there and limit - p >= 9 and is_float(items[index]):
                        p = write_float(float_value(items[index]), p)
                        index += 1
                    if index == there:
                        break
                    behind = write_atom(items[index], p, limit)
                    if behind == NULL:
                        break
                    p = behind
                    index += 1
                self.pos = p - self.buf
                if index == there:
                    break
            frame.index = index
            if BOLT_ALONE:
                self.write_rest(value[index], depth + 1)
            else:
                self.write_rest(self.item_of(value, index), depth + 1)
            index += 1
        self.frame = frame.outer
        if index != size or len(value) != size:
            self.refuse(errors.CHANGED)
        return 0

    cdef object item_of(self, list value, Py_ssize_t index):
        # Another thread may have shortened the list since its length was read.
        try:
            return value[index]
        except IndexError:
            self.refuse(errors.CHANGED)

    cdef int write_tuple(self, tuple value, Py_ssize_t depth) except -1:
        cdef Py_ssize_t size = len(value), index
        cdef PyObject **items = bolt_tuple_items(<PyObject *>value)
        cdef uint8_t *p
        cdef uint8_t *limit
        cdef uint8_t *behind
        cdef Frame frame
        if depth >= self.max_depth:
            self.refuse(errors.too_deep_to_pack(self.max_depth))
        self.write_count(size, 0x90, 0xD4, "a list")
        frame.outer = self.frame
        frame.key = NULL
        self.frame = &frame
        p = self.buf + self.pos
        limit = self.buf + self.capacity
        for index in range(size):
            behind = write_atom(items[index], p, limit)
            if behind != NULL:
                p = behind
                continue
            self.pos = p - self.buf
            frame.index = index
            self.write_rest(value[index], depth + 1)
            p = self.buf + self.pos
            limit = self.buf + self.capacity
        self.pos = p - self.buf
        self.frame = frame.outer
        return 0

    cdef int write_dict(self, dict value, Py_ssize_t depth) except -1:
        cdef Py_ssize_t size = PyDict_Size(value), written = 0, state = 0
        cdef PyObject *key_pointer
        cdef PyObject *item_pointer
        cdef uint8_t *p
        cdef uint8_t *limit
        cdef uint8_t *behind
        cdef Frame frame
        cdef object key, item
        if depth >= self.max_depth:
            self.refuse(errors.too_deep_to_pack(self.max_depth))
        self.write_count(size, 0xA0, 0xD8, "a map")
        frame.outer = self.frame
        frame.index = 0
        while bolt_dict_next(value, &state, &key_pointer, &item_pointer):
            if not BOLT_ALONE:
                key = <object>key_pointer
                item = <object>item_pointer
                decref(key_pointer)
                decref(item_pointer)
            # As many keys may come and go, for ever.
            if written == size:
                self.refuse(errors.CHANGED)
            if BOLT_ALONE and PyUnicode_CheckExact(<object>key_pointer):
                p = self.buf + self.pos
                limit = self.buf + self.capacity
                behind = write_ascii(key_pointer, p, limit)
                if behind != NULL:
                    behind = write_atom(item_pointer, behind, limit)
                    if behind != NULL:
                        self.pos = behind - self.buf
                        written += 1
                        continue
            # Owned from here on: packing an item may run code that changes the dict.
            key = <object>key_pointer
            item = <object>item_pointer
            if not PyUnicode_Check(key):
                self.refuse(errors.key_type(key))
            self.write_str(key)
            frame.key = key_pointer
            self.frame = &frame
            self.write_rest(item, depth + 1)
            self.frame = frame.outer
            written += 1
            if PyDict_Size(value) != size:
                self.refuse(errors.CHANGED)
        if written != size:
            self.refuse(errors.CHANGED)
        return 0

    cdef int write_uuid(self, object value) except -1:
        cdef object data
        if not self.uuids:
            self.refuse(errors.UUIDS)
        number = getattr(value, "int", None)
        if not PyLong_Check(number):
            self.refuse(errors.UUID_INT)
        try:
            data = int_to_bytes(number, 16, "big")
        except OverflowError:
            self.refuse(errors.UUID_INT)
        if self.capacity - self.pos < 17:
            self.grow(17)
        self.buf[self.pos] = 0xE0
        memcpy(self.buf + self.pos + 1, PyBytes_AS_STRING(data), 16)
        self.pos += 17
        return 0

    cdef int write_duration(self, tuple value) except -1:
        if not self.temporal:
            self.refuse(errors.TEMPORAL)
        if len(value) != 4:
            self.refuse(errors.DURATION)
        self.write_head(4, _wire.TAG_DURATION)
        for index in range(4):
            self.write_whole(value[index], errors.DURATION)
        return 0

    cdef int write_structure(self, object value, Py_ssize_t depth) except -1:
        cdef object tag = self.slot(value, STRUCTURE_TAG, "Structure", "tag")
        cdef object given = self.slot(value, STRUCTURE_FIELDS, "Structure", "fields")
        cdef tuple fields = ()
        cdef Py_ssize_t index
        cdef Frame frame
        if not PyLong_CheckExact(tag) or not 0 <= tag <= 0x7F:
            self.refuse(errors.bad_structure_tag(tag))
        # A copy where it can change: packing a field may run code that changes a list.
        if PyTuple_CheckExact(given):
            fields = <tuple>given
        elif PyTuple_Check(given):
            fields = PyTuple_GetSlice(given, 0, 0x7FFFFFFF)
        elif PyList_Check(given):
            fields = PyList_AsTuple(given)
        else:
            self.refuse(errors.STRUCTURE_FIELDS)
        if len(fields) > _wire.MAX_FIELDS:
            self.refuse(errors.too_many_fields(len(fields)))
        self.write_head(<int>len(fields), tag)
        frame.outer = self.frame
        frame.key = NULL
        self.frame = &frame
        for index in range(len(fields)):
            frame.index = index
            self.write(fields[index], depth)
        self.frame = frame.outer
        return 0

    cdef int write_head(self, int count, int tag) except -1:
        if self.capacity - self.pos < 2:
            self.grow(2)
        self.buf[self.pos] = <uint8_t>(0xB0 | count)
        self.buf[self.pos + 1] = <uint8_t>tag
        self.pos += 2
        return 0

    cdef int write_numbers(
        self, int count, int tag, long long first, long long second, long long third
    ) except -1:
        """A structure of one to three integers."""
        cdef uint8_t *p
        if self.capacity - self.pos < 29:
            self.grow(29)
        p = self.buf + self.pos
        p[0] = <uint8_t>(0xB0 | count)
        p[1] = <uint8_t>tag
        p = write_integer(first, p + 2)
        if count > 1:
            p = write_integer(second, p)
        if count > 2:
            p = write_integer(third, p)
        self.pos = p - self.buf
        return 0

    cdef int write_id(self, object number, Py_ssize_t depth) except -1:
        if number is None:
            # Drivers insist on a number, also where element_id is what counts.
            if not self.element_ids:
                self.refuse(errors.NEEDS_ID)
            return self.write_number(-1)
        return self.write(number, depth)

    cdef int write_node(self, object value, Py_ssize_t depth) except -1:
        if not self.graph:
            self.refuse(errors.GRAPH)
        self.write_head(4 if self.element_ids else 3, _wire.TAG_NODE)
        self.write_id(self.slot(value, NODE_ID, "Node", "_id"), depth)
        self.write(self.slot(value, NODE_LABELS, "Node", "_labels"), depth)
        self.write(self.slot(value, NODE_PROPERTIES, "Node", "_properties"), depth)
        if self.element_ids:
            self.write(self.slot(value, NODE_ELEMENT_ID, "Node", "_element_id"), depth)
        return 0

    cdef int write_relationship(self, object value, Py_ssize_t depth) except -1:
        if not self.graph:
            self.refuse(errors.GRAPH)
        self.write_head(8 if self.element_ids else 5, _wire.TAG_RELATIONSHIP)
        self.write_id(self.slot(value, REL_ID, "Relationship", "_id"), depth)
        self.write_id(self.slot(value, REL_START_ID, "Relationship", "_start_id"), depth)
        self.write_id(self.slot(value, REL_END_ID, "Relationship", "_end_id"), depth)
        self.write(self.slot(value, REL_TYPE, "Relationship", "_type"), depth)
        self.write(self.slot(value, REL_PROPERTIES, "Relationship", "_properties"), depth)
        if self.element_ids:
            self.write(self.slot(value, REL_ELEMENT_ID, "Relationship", "_element_id"), depth)
            self.write(self.slot(value, REL_START_ELEMENT_ID, "Relationship", "_start_element_id"), depth)
            self.write(self.slot(value, REL_END_ELEMENT_ID, "Relationship", "_end_element_id"), depth)
        return 0

    cdef int write_unbound(self, object value, Py_ssize_t depth) except -1:
        if not self.graph:
            self.refuse(errors.GRAPH)
        self.write_head(4 if self.element_ids else 3, _wire.TAG_UNBOUND_RELATIONSHIP)
        self.write_id(self.slot(value, UNBOUND_ID, "UnboundRelationship", "_id"), depth)
        self.write(self.slot(value, UNBOUND_TYPE, "UnboundRelationship", "_type"), depth)
        self.write(self.slot(value, UNBOUND_PROPERTIES, "UnboundRelationship", "_properties"), depth)
        if self.element_ids:
            self.write(self.slot(value, UNBOUND_ELEMENT_ID, "UnboundRelationship", "_element_id"), depth)
        return 0

    cdef int write_path(self, object value, Py_ssize_t depth) except -1:
        if not self.graph:
            self.refuse(errors.GRAPH)
        self.write_head(3, _wire.TAG_PATH)
        self.write(self.slot(value, PATH_UNIQUE_NODES, "Path", "_unique_nodes"), depth)
        self.write(self.slot(value, PATH_UNIQUE_RELATIONSHIPS, "Path", "_unique_relationships"), depth)
        self.write(self.slot(value, PATH_INDICES, "Path", "_indices"), depth)
        return 0

    cdef int below_micro(self, object value, Py_ssize_t offset, str kind) except -1:
        """The nanoseconds of a Time or DateTime below the microsecond."""
        cdef int64_t nanos = -1
        cdef object number = self.slot(value, offset, kind, "_submicro")
        if not is_int(<PyObject *>number) or not bolt_small_long(<PyObject *>number, &nanos) or not (
            0 <= nanos < 1000
        ):
            self.refuse(errors.SUBMICRO)
        return <int>nanos

    cdef object offset_of(self, object value, Py_ssize_t depth):
        """The UTC offset of a time or date-time; what is no timedelta is none."""
        bolt_descend(depth)
        try:
            return value.utcoffset()
        finally:
            bolt_ascend(depth)

    cdef int write_date(self, object value) except -1:
        if not self.temporal:
            self.refuse(errors.TEMPORAL)
        return self.write_numbers(
            1, _wire.TAG_DATE, bolt_days(date_year(value), date_month(value), date_day(value)), 0, 0
        )

    cdef int write_time(self, object value, Py_ssize_t depth, bint extended) except -1:
        cdef long long nanos
        if not self.temporal:
            self.refuse(errors.TEMPORAL)
        nanos = (time_hour(value) * 60 + time_minute(value)) * 60 + time_second(value)
        nanos = nanos * 1000000000 + <long long>time_microsecond(value) * 1000
        if extended:
            nanos += self.below_micro(value, TIME_SUBMICRO, "Time")
        if time_tzinfo(value) is None:
            return self.write_numbers(1, _wire.TAG_LOCAL_TIME, nanos, 0, 0)
        offset = self.offset_of(value, depth)
        if not PyDelta_Check(offset):
            self.refuse(errors.TIME_NO_OFFSET)
        if timedelta_microseconds(offset):
            self.refuse(errors.ODD_OFFSET)
        return self.write_numbers(
            2, _wire.TAG_TIME, nanos, <long long>timedelta_days(offset) * 86400 + timedelta_seconds(offset), 0
        )

    cdef int write_datetime(self, object value, Py_ssize_t depth, bint extended) except -1:
        cdef long long seconds, nanos, shift = 0
        cdef object zone, name
        if not self.temporal:
            self.refuse(errors.TEMPORAL)
        seconds = bolt_days(date_year(value), date_month(value), date_day(value)) * 86400
        seconds += (datetime_hour(value) * 60 + datetime_minute(value)) * 60 + datetime_second(value)
        nanos = <long long>datetime_microsecond(value) * 1000
        if extended:
            nanos += self.below_micro(value, DATETIME_SUBMICRO, "DateTime")
        zone = datetime_tzinfo(value)
        if zone is None:
            return self.write_numbers(2, _wire.TAG_LOCAL_DATE_TIME, seconds, nanos, 0)
        name = None
        if zone is not UTC:
            offset = self.offset_of(value, depth)
            if not PyDelta_Check(offset):
                self.refuse(errors.NO_OFFSET)
            if timedelta_microseconds(offset):
                self.refuse(errors.ODD_OFFSET)
            shift = <long long>timedelta_days(offset) * 86400 + timedelta_seconds(offset)
            name = zone_name(zone, depth)
        if self.utc:
            seconds -= shift
        if name is None:
            return self.write_numbers(
                3, _wire.TAG_DATE_TIME if self.utc else _wire.TAG_LEGACY_DATE_TIME, seconds, nanos, shift
            )
        self.write_head(3, _wire.TAG_DATE_TIME_ZONE_ID if self.utc else _wire.TAG_LEGACY_DATE_TIME_ZONE_ID)
        self.write_number(seconds)
        self.write_number(nanos)
        return self.write_str(name)

    cdef int write_point(self, object value) except -1:
        cdef object srid, coordinates, number
        if not self.temporal:
            self.refuse(errors.TEMPORAL)
        srid = self.slot(value, POINT_SRID, "Point", "_srid")
        coordinates = self.slot(value, POINT_COORDINATES, "Point", "_coordinates")
        if not PyTuple_CheckExact(coordinates) or not 2 <= len(<tuple>coordinates) <= 3:
            self.refuse(errors.POINT_COORDINATES)
        if len(<tuple>coordinates) == 2:
            self.write_head(3, _wire.TAG_POINT_2D)
        else:
            self.write_head(4, _wire.TAG_POINT_3D)
        self.write_whole(srid, errors.POINT_SRID)
        for number in <tuple>coordinates:
            if not PyFloat_CheckExact(number):
                self.refuse(errors.POINT_COORDINATES)
            self.write_double(PyFloat_AS_DOUBLE(number))
        return 0

    cdef int write_vector(self, object value) except -1:
        cdef object dtype, data
        if not self.vectors:
            self.refuse(errors.VECTORS)
        dtype = self.slot(value, VECTOR_DTYPE, "Vector", "_dtype")
        data = self.slot(value, VECTOR_DATA, "Vector", "_data")
        if not PyUnicode_CheckExact(dtype) or dtype not in VECTOR_MARKERS:
            self.refuse(errors.VECTOR_DTYPE)
        marker, width = <tuple>VECTOR_MARKERS[dtype]
        if not PyBytes_CheckExact(data) or PyBytes_GET_SIZE(data) % <Py_ssize_t>width:
            self.refuse(errors.VECTOR_DATA)
        self.write_head(2, _wire.TAG_VECTOR)
        self.write_bytes(marker)
        return self.write_bytes(data)

    cdef int write_unsupported(self, object value, Py_ssize_t depth) except -1:
        cdef object name, minimum, extra
        if not self.graph or not self.vectors:
            self.refuse(errors.UNSUPPORTED)
        name = self.slot(value, UNSUPPORTED_NAME, "UnsupportedType", "_name")
        minimum = self.slot(value, UNSUPPORTED_MINIMUM, "UnsupportedType", "_minimum")
        extra = self.slot(value, UNSUPPORTED_EXTRA, "UnsupportedType", "_extra")
        if not PyUnicode_Check(name):
            self.refuse(errors.UNSUPPORTED_NAME)
        if not PyTuple_CheckExact(minimum) or len(<tuple>minimum) != 2:
            self.refuse(errors.UNSUPPORTED_MINIMUM)
        self.write_head(4, _wire.TAG_UNSUPPORTED_TYPE)
        self.write_str(name)
        self.write_whole((<tuple>minimum)[0], errors.UNSUPPORTED_MINIMUM)
        self.write_whole((<tuple>minimum)[1], errors.UNSUPPORTED_MINIMUM)
        return self.write(extra, depth)


cdef dict VECTOR_MARKERS = {"i8": (b"\xc8", 1), "i16": (b"\xc9", 2), "i32": (b"\xca", 4),
                            "i64": (b"\xcb", 8), "f32": (b"\xc6", 4), "f64": (b"\xc1", 8)}
cdef dict VECTOR_TYPES = {b"\xc8": ("i8", 1), b"\xc9": ("i16", 2), b"\xca": ("i32", 4), b"\xcb": ("i64", 8),
                          b"\xc6": ("f32", 4), b"\xc1": ("f64", 8)}


cdef object zone_name(object zone, Py_ssize_t depth):
    # The IANA name of a zone: `key` (zoneinfo) or `zone` (pytz).
    bolt_descend(depth)
    try:
        name = getattr(zone, "key", None)
        if type(name) is not str:
            name = getattr(zone, "zone", None)
    finally:
        bolt_ascend(depth)
    return name if type(name) is str else None


cdef class Unpacker:
    """Reads PackStream values; belongs to one connection.

    ``extended_types``: every date, time and date-time becomes a class of :mod:`asyncbolt.time`; otherwise the
    standard library's, except where nanoseconds would be lost.
    """

    def __cinit__(self):
        self.label_sets = []
        self.zones = {}
        self.offsets = {}

    def __dealloc__(self):
        cdef int i
        if self.keys != NULL:
            for i in range(KEY_SLOTS):
                if self.keys[i] != NULL:
                    decref(self.keys[i])
            PyMem_Free(self.keys)

    def __init__(self, version=(6, 1), *, bint utc_patch=False, bint extended_types=False,
                 Py_ssize_t max_depth=_wire.DEFAULT_MAX_DEPTH, max_elements=None):
        self.claim()
        try:
            self.limit_depth(max_depth)
            self.max_elements = _wire.MAX_SIZE if max_elements is None else max_elements
            self.extended = extended_types
            self.adopt(version, utc_patch)
        finally:
            bolt_release(&self.busy)

    cdef int claim(self) except -1:
        if bolt_claim(&self.busy):
            raise LocalProtocolError(errors.UNPACKER_BUSY)
        return 0

    def configure(self, version, bint utc_patch):
        """Take the forms of another Bolt version from now on."""
        self.claim()
        try:
            self.adopt(version, utc_patch)
        finally:
            bolt_release(&self.busy)

    cdef int adopt(self, version, bint utc_patch) except -1:
        facts = dialect(version, utc_patch)
        self.utc = facts.utc
        self.element_ids = facts.element_ids
        self.temporal = facts.temporal
        self.vectors = facts.vectors
        self.uuids = facts.uuid
        return 0

    cdef int limit_depth(self, Py_ssize_t levels) except -1:
        if not 0 <= levels <= _wire.MAX_DEPTH:
            raise errors.bad_max_depth(levels)
        self.max_depth = levels
        return 0

    def unpack(self, data):
        """Read exactly one value; raises UnpackError, also for bytes left over."""
        cdef bytes whole
        cdef const uint8_t *start
        cdef PyObject *value
        self.claim()
        try:
            whole = data if PyBytes_CheckExact(data) else bytes(memoryview(data))
            start = <const uint8_t *>PyBytes_AS_STRING(whole)
            self.aim(start, start + PyBytes_GET_SIZE(whole))
            value = self.read(0)
            result = <object>value
            decref(value)
            self.finish()
            return result
        finally:
            bolt_release(&self.busy)

    cdef void aim(self, const uint8_t *start, const uint8_t *end) noexcept:
        self.p = self.base = start
        self.end = end
        self.owed = 0
        self.tracked = False

    cdef int finish(self) except -1:
        if self.p != self.end:
            raise errors.left_over(self.end - self.p, self.p - self.base)
        return 0

    cdef PyObject *read(self, Py_ssize_t depth) except NULL:
        cdef PyObject *value = read_atom(&self.p, self.end)
        return value if value != NULL else self.read_other(depth)

    cdef PyObject *read_other(self, Py_ssize_t depth) except NULL:
        """Read what is not an atom, or say what is wrong with it."""
        cdef const uint8_t *p = self.p
        cdef uint8_t marker
        cdef Py_ssize_t left = self.end - p - 1, size
        cdef PyObject *value
        if left < 0:
            raise errors.nothing_left(p - self.base)
        marker = p[0]
        if 0xB0 <= marker < 0xC0:
            self.p = p + 1
            if marker < 0xB4 and left and self.temporal:
                value = self.read_moment(marker & 0x0F, depth)
                if value != NULL:
                    return value
            return self.read_structure(marker & 0x0F, depth, p)
        if 0x80 <= marker < 0x90:
            self.p = p + 1
            return self.string_of(marker & 0x0F, p)
        if 0xD0 <= marker <= 0xD2:
            size = self.size_of(marker - 0xD0, "a string", p)
            return self.string_of(size, p)
        if 0x90 <= marker < 0xA0:
            self.p = p + 1
            return self.read_list(marker & 0x0F, depth, p)
        if 0xD4 <= marker <= 0xD6:
            size = self.size_of(marker - 0xD4, "a list", p)
            return self.read_list(size, depth, p)
        if 0xA0 <= marker < 0xB0:
            self.p = p + 1
            value = self.read_map(marker & 0x0F, depth, p)
            self.tracked = True
            return value
        if 0xD8 <= marker <= 0xDA:
            size = self.size_of(marker - 0xD8, "a map", p)
            value = self.read_map(size, depth, p)
            self.tracked = True
            return value
        if 0xCC <= marker <= 0xCE:
            size = self.size_of(marker - 0xCC, "a byte array", p)
            if size > self.end - self.p:
                raise errors.truncated("a byte array", size, self.end - self.p, p - self.base)
            value = new_bytes(<const char *>self.p, size)
            self.p += size
            return value
        if marker == 0xE0 and self.uuids:
            if left < 16:
                raise errors.truncated("a UUID", 16, left, p - self.base)
            self.p = p + 17
            result = UUID(bytes=PyBytes_FromStringAndSize(<const char *>p + 1, 16))
            untrack(result)
            incref(<PyObject *>result)
            return <PyObject *>result
        if marker == 0xC1 and left < 8:
            raise errors.truncated("a float", 8, left, p - self.base)
        if 0xC8 <= marker <= 0xCB and left < 1 << (marker - 0xC8):
            raise errors.truncated("an integer", 1 << (marker - 0xC8), left, p - self.base)
        if marker < 0x80 or marker >= 0xF0 or 0xC0 <= marker <= 0xC3 or 0xC8 <= marker <= 0xCB:
            # Whole and well: there was no memory for it.
            raise MemoryError()
        raise errors.reserved_marker(marker, p - self.base)

    cdef PyObject *refuse_string(self, const uint8_t *data, Py_ssize_t size, const uint8_t *at) except NULL:
        PyErr_Clear()
        try:
            PyBytes_FromStringAndSize(<const char *>data, size).decode("utf-8")
        except UnicodeDecodeError as exc:
            raise errors.bad_utf8(exc.reason, at - self.base) from None
        raise MemoryError()

    cdef Py_ssize_t size_of(self, int log, str what, const uint8_t *at) except -1:
        cdef Py_ssize_t width = 1 << log, left = self.end - at - 1
        cdef uint32_t size
        if width > left:
            raise errors.truncated(f"the size of {what}", width, left, at - self.base)
        if log == 0:
            size = at[1]
        elif log == 1:
            size = load16(at + 1)
        else:
            size = load32(at + 1)
            if size > _wire.MAX_SIZE:
                raise errors.too_large(what, size, at - self.base)
        self.p = at + 1 + width
        return size

    cdef PyObject *string_of(self, Py_ssize_t size, const uint8_t *at) except NULL:
        cdef const uint8_t *data = self.p
        cdef PyObject *value
        if size > self.end - data:
            raise errors.truncated("a string", size, self.end - data, at - self.base)
        self.p = data + size
        value = new_str(<const char *>data, size, NULL)
        return value if value != NULL else self.refuse_string(data, size, at)

    cdef int enter(
        self, str what, Py_ssize_t count, int width, Py_ssize_t depth, const uint8_t *at
    ) except -1:
        # Every element takes a byte at least, also those still owed to the containers around this one: so all
        # promises together are bounded by what has arrived.
        if depth >= self.max_depth:
            raise errors.too_deep(self.max_depth, at - self.base)
        if count > self.max_elements:
            raise errors.too_many(what, count, self.max_elements, at - self.base)
        if count * width > self.end - self.p - self.owed:
            raise errors.cannot_fit(what, count, self.end - self.p, at - self.base)
        self.owed += count * width
        return 0

    cdef PyObject *read_row(self) except NULL:
        cdef const uint8_t *at = self.p
        cdef uint8_t marker
        cdef Py_ssize_t count
        cdef tuple row
        if at >= self.end:
            raise errors.nothing_left(at - self.base)
        marker = at[0]
        if 0x90 <= marker < 0xA0:
            count = marker & 0x0F
            self.p = at + 1
        elif 0xD4 <= marker <= 0xD6:
            count = self.size_of(marker - 0xD4, "a list", at)
        else:
            raise errors.bad_record(marker, at - self.base)
        self.enter("a list", count, 1, 0, at)
        self.tracked = False
        row = PyTuple_New(count)
        self.read_items(bolt_tuple_items(<PyObject *>row), count, 1)
        if not self.tracked:
            untrack(row)
        incref(<PyObject *>row)
        return <PyObject *>row

    cdef int read_items(self, PyObject **items, Py_ssize_t count, Py_ssize_t depth) except -1:
        cdef const uint8_t *p = self.p
        cdef const uint8_t *end = self.end
        cdef PyObject *value
        cdef Py_ssize_t index
        for index in range(count):
            self.owed -= 1
            value = read_atom(&p, end)
            if value == NULL:
                self.p = p
                value = self.read_other(depth)
                p = self.p
            items[index] = value
        self.p = p
        return 0

    cdef PyObject *read_list(self, Py_ssize_t count, Py_ssize_t depth, const uint8_t *at) except NULL:
        cdef list items
        self.enter("a list", count, 1, depth, at)
        items = PyList_New(count)
        self.read_items(bolt_list_items(<PyObject *>items), count, depth + 1)
        self.tracked = True
        incref(<PyObject *>items)
        return <PyObject *>items

    cdef PyObject *read_map(self, Py_ssize_t count, Py_ssize_t depth, const uint8_t *at) except NULL:
        # The caller knows whether the map itself can be reached, and so must be tracked.
        cdef dict entries
        cdef Py_ssize_t _
        cdef object key
        cdef PyObject *pointer
        cdef int failed
        self.enter("a map", count, 2, depth, at)
        entries = PyDict_New()
        for _ in range(count):
            self.owed -= 1
            pointer = self.read_key(depth + 1)
            key = <object>pointer
            decref(pointer)
            self.owed -= 1
            pointer = self.read(depth + 1)
            failed = set_dict_item(entries, <PyObject *>key, pointer)
            decref(pointer)
            if failed:
                return NULL
        incref(<PyObject *>entries)
        return <PyObject *>entries

    cdef PyObject *read_key(self, Py_ssize_t depth) except NULL:
        cdef const uint8_t *at = self.p
        cdef const uint8_t *data
        cdef uint8_t marker
        cdef Py_ssize_t size
        cdef PyObject *value
        cdef PyObject **slot
        if at >= self.end:
            raise errors.nothing_left(at - self.base)
        marker = at[0]
        if 0x80 <= marker < 0x90:
            size = marker & 0x0F
            self.p = at + 1
        elif 0xD0 <= marker <= 0xD2:
            size = self.size_of(marker - 0xD0, "a string", at)
        else:
            raise errors.bad_key(marker, at - self.base)
        if size > KEY_LENGTH or size > self.end - self.p:
            return self.string_of(size, at)
        if self.keys == NULL:
            self.keys = <PyObject **>PyMem_Calloc(KEY_SLOTS, sizeof(PyObject *))
            if self.keys == NULL:
                raise MemoryError()
        data = self.p
        slot = self.keys + (bolt_hash(data, size) & (KEY_SLOTS - 1))
        value = slot[0]
        if (
            value != NULL
            and PyUnicode_GET_LENGTH(value) == size
            and bolt_same(<const uint8_t *>PyUnicode_DATA(value), data, size)
        ):
            self.p = data + size
            incref(value)
            return value
        value = self.string_of(size, at)
        if PyUnicode_IS_COMPACT_ASCII(value):
            if slot[0] != NULL:
                decref(slot[0])
            incref(value)
            slot[0] = value
        return value

    cdef PyObject *read_structure(self, int count, Py_ssize_t depth, const uint8_t *at) except NULL:
        cdef PyObject *fields[15]
        cdef int tag, done = 0, i
        cdef int properties = -1, labels = -1
        cdef bint tracked = self.tracked, atomic = True
        if self.p >= self.end:
            raise errors.truncated("a structure's tag", 1, 0, at - self.base)
        tag = self.p[0]
        if tag > 0x7F:
            raise errors.bad_tag(tag, at - self.base)
        self.p += 1
        self.enter("a structure", count, 1, depth, at)
        if tag == _wire.TAG_NODE and count == (4 if self.element_ids else 3):
            labels = 1
            properties = 2
        elif tag == _wire.TAG_RELATIONSHIP and count == (8 if self.element_ids else 5):
            properties = 4
        elif tag == _wire.TAG_UNBOUND_RELATIONSHIP and count == (4 if self.element_ids else 3):
            properties = 2
        try:
            while done < count:
                self.owed -= 1
                if done == properties:
                    fields[done] = self.read_properties(depth + 1, &atomic)
                elif done == labels:
                    fields[done] = self.read_labels(depth + 1)
                else:
                    fields[done] = self.read(depth + 1)
                done += 1
            if properties >= 0:
                value = self.build_graph(tag, fields, atomic)
                self.tracked = tracked or not atomic
            elif tag == _wire.TAG_PATH and count == 3:
                value = self.build_path(<object>fields[0], <object>fields[1], <object>fields[2])
                if value is not None:
                    self.tracked = tracked or PyObject_GC_IsTracked(<PyObject *>value)
            else:
                value = self.build(tag, count, fields, at)
            if value is None:
                value = raw_structure(tag, count, fields, labels)
                self.tracked = True
        finally:
            for i in range(done):
                decref(fields[i])
        incref(<PyObject *>value)
        return <PyObject *>value

    cdef PyObject *read_moment(self, int count, Py_ssize_t depth) except? NULL:
        """Read a date or time out of up to three integers; NULL, and nothing read, where it is none."""
        cdef const uint8_t *p = self.p + 1
        cdef int64_t numbers[3]
        cdef int tag = self.p[0], i
        cdef object value = None, zone
        # What a structure must keep to, though no error is raised here.
        if depth >= self.max_depth or count > self.max_elements or count > self.end - p - self.owed:
            return NULL
        for i in range(count):
            if not read_integer(&p, self.end, &numbers[i]):
                return NULL
        if count == 1:
            if tag == _wire.TAG_DATE:
                value = self.make_date(numbers[0])
            elif tag == _wire.TAG_LOCAL_TIME:
                value = self.make_time(numbers[0], None)
        elif count == 2:
            if tag == _wire.TAG_LOCAL_DATE_TIME:
                value = self.make_datetime(numbers[0], numbers[1], None, 0)
            elif tag == _wire.TAG_TIME:
                zone = self.fixed_zone(numbers[1])
                if zone is not None:
                    value = self.make_time(numbers[0], zone)
        elif tag == (_wire.TAG_DATE_TIME if self.utc else _wire.TAG_LEGACY_DATE_TIME) and count == 3:
            zone = self.fixed_zone(numbers[2])
            if zone is not None:
                value = self.make_datetime(numbers[0], numbers[1], zone, numbers[2] if self.utc else 0)
        if value is None:
            return NULL
        self.p = p
        incref(<PyObject *>value)
        return <PyObject *>value

    cdef PyObject *read_properties(self, Py_ssize_t depth, bint *atomic) except NULL:
        # The map of a node or relationship, which nobody else can reach: hidden if all in it is atomic.
        cdef const uint8_t *at = self.p
        cdef PyObject *value
        cdef bint tracked = self.tracked
        cdef Py_ssize_t size
        if at >= self.end or not (0xA0 <= at[0] < 0xB0 or 0xD8 <= at[0] <= 0xDA):
            return self.read(depth)
        if at[0] < 0xB0:
            size = at[0] & 0x0F
            self.p = at + 1
        else:
            size = self.size_of(at[0] - 0xD8, "a map", at)
        self.tracked = False
        value = self.read_map(size, depth, at)
        if self.tracked:
            atomic[0] = False
        else:
            PyObject_GC_UnTrack(value)
            self.tracked = tracked
        return value

    cdef PyObject *read_labels(self, Py_ssize_t depth) except NULL:
        # Nodes of one result share few sets of labels: the same bytes give the same tuple.
        cdef const uint8_t *at = self.p
        cdef Py_ssize_t size
        cdef bytes raw
        cdef bint tracked = self.tracked
        cdef PyObject *pointer
        cdef object value
        cdef Py_ssize_t owed = self.owed
        for entry in self.label_sets:
            raw = <bytes>(<tuple>entry)[0]
            size = PyBytes_GET_SIZE(raw)
            if size <= self.end - at and memcmp(PyBytes_AS_STRING(raw), at, size) == 0:
                # What a full reading would refuse must be refused here as well.
                if depth < self.max_depth and len(<tuple>(<tuple>entry)[1]) <= self.max_elements:
                    if size - 1 <= self.end - at - 1 - owed:
                        self.p = at + size
                        value = (<tuple>entry)[1]
                        incref(<PyObject *>value)
                        return <PyObject *>value
        pointer = self.read(depth)
        value = <object>pointer
        decref(pointer)
        if PyList_CheckExact(value) and all_str(<list>value):
            value = tuple(<list>value)
            untrack(value)
            self.tracked = tracked
            size = self.p - at
            if size <= 1024:
                entry = (PyBytes_FromStringAndSize(<const char *>at, size), value)
                if len(self.label_sets) < LABEL_SETS:
                    self.label_sets.append(entry)
                else:
                    self.label_sets[self.next_label_set] = entry
                    self.next_label_set = (self.next_label_set + 1) % LABEL_SETS
        incref(<PyObject *>value)
        return <PyObject *>value

    # Builders: None where the fields do not fit, and the structure stays raw.

    cdef object build_graph(self, int tag, PyObject **fields, bint atomic):
        cdef object value, element_id, start, end
        if not PyLong_CheckExact(<object>fields[0]):
            return None
        if tag == _wire.TAG_RELATIONSHIP:
            if not PyLong_CheckExact(<object>fields[1]) or not PyLong_CheckExact(<object>fields[2]):
                return None
            if not PyUnicode_CheckExact(<object>fields[3]) or not PyDict_CheckExact(<object>fields[4]):
                return None
            if self.element_ids:
                element_id = <object>fields[5]
                start = <object>fields[6]
                end = <object>fields[7]
                if not (PyUnicode_CheckExact(element_id) and PyUnicode_CheckExact(start)
                        and PyUnicode_CheckExact(end)):
                    return None
            else:
                element_id = str(<object>fields[0])
                start = str(<object>fields[1])
                end = str(<object>fields[2])
            value = bolt_new(Relationship)
            bolt_fill(value, REL_ID, <object>fields[0])
            bolt_fill(value, REL_START_ID, <object>fields[1])
            bolt_fill(value, REL_END_ID, <object>fields[2])
            bolt_fill(value, REL_TYPE, <object>fields[3])
            bolt_fill(value, REL_PROPERTIES, <object>fields[4])
            bolt_fill(value, REL_ELEMENT_ID, element_id)
            bolt_fill(value, REL_START_ELEMENT_ID, start)
            bolt_fill(value, REL_END_ELEMENT_ID, end)
            bolt_fill(value, REL_NODES, None)
        else:
            if not PyDict_CheckExact(<object>fields[2]):
                return None
            if self.element_ids:
                element_id = <object>fields[3]
                if not PyUnicode_CheckExact(element_id):
                    return None
            else:
                element_id = str(<object>fields[0])
            if tag == _wire.TAG_NODE:
                if not PyTuple_CheckExact(<object>fields[1]):
                    return None
                value = bolt_new(Node)
                bolt_fill(value, NODE_ID, <object>fields[0])
                bolt_fill(value, NODE_LABELS, <object>fields[1])
                bolt_fill(value, NODE_PROPERTIES, <object>fields[2])
                bolt_fill(value, NODE_ELEMENT_ID, element_id)
            else:
                if not PyUnicode_CheckExact(<object>fields[1]):
                    return None
                value = bolt_new(UnboundRelationship)
                bolt_fill(value, UNBOUND_ID, <object>fields[0])
                bolt_fill(value, UNBOUND_TYPE, <object>fields[1])
                bolt_fill(value, UNBOUND_PROPERTIES, <object>fields[2])
                bolt_fill(value, UNBOUND_ELEMENT_ID, element_id)
        if atomic:
            untrack(value)
        return value

    cdef object build_path(self, object nodes, object relationships, object indices):
        cdef Py_ssize_t place, node_count, relationship_count
        cdef long long index
        cdef bint atomic = True
        cdef object item, value
        if not (PyList_CheckExact(nodes) and PyList_CheckExact(relationships) and PyList_CheckExact(indices)):
            return None
        node_count = len(<list>nodes)
        relationship_count = len(<list>relationships)
        if not node_count or len(<list>indices) % 2:
            return None
        for item in <list>nodes:
            if type(item) is not Node:
                return None
            if PyObject_GC_IsTracked(<PyObject *>item):
                atomic = False
        for item in <list>relationships:
            if type(item) is not UnboundRelationship:
                return None
            if PyObject_GC_IsTracked(<PyObject *>item):
                atomic = False
        place = 0
        for item in <list>indices:
            if not PyLong_CheckExact(item):
                return None
            index = item
            if place % 2:
                if not 0 <= index < node_count:
                    return None
            elif index == 0 or index > relationship_count or index < -relationship_count:
                return None
            place += 1
        nodes = tuple(<list>nodes)
        relationships = tuple(<list>relationships)
        indices = tuple(<list>indices)
        value = bolt_new(Path)
        bolt_fill(value, PATH_UNIQUE_NODES, nodes)
        bolt_fill(value, PATH_UNIQUE_RELATIONSHIPS, relationships)
        bolt_fill(value, PATH_INDICES, indices)
        bolt_fill(value, PATH_NODES, None)
        bolt_fill(value, PATH_RELATIONSHIPS, None)
        if atomic:
            untrack(nodes)
            untrack(relationships)
            untrack(indices)
            untrack(value)
        return value

    cdef object build(self, int tag, int count, PyObject **fields, const uint8_t *at):
        cdef object value, zone
        cdef int i
        if self.temporal:
            if count == 3 and PyLong_CheckExact(<object>fields[0]) and PyLong_CheckExact(<object>fields[1]):
                if tag == _wire.TAG_DATE_TIME_ZONE_ID and self.utc:
                    return self.make_zoned(<object>fields[0], <object>fields[1], <object>fields[2])
                if tag == _wire.TAG_LEGACY_DATE_TIME_ZONE_ID and not self.utc:
                    zone = self.find_zone(<object>fields[2])
                    if zone is None:
                        return None
                    return self.make_datetime(<object>fields[0], <object>fields[1], zone, 0)
            if tag == _wire.TAG_DURATION and count == 4:
                for i in range(4):
                    if not PyLong_CheckExact(<object>fields[i]):
                        return None
                value = Duration._make(
                    <object>fields[0], <object>fields[1], <object>fields[2], <object>fields[3]
                )
                untrack(value)
                return value
            if (tag == _wire.TAG_POINT_2D and count == 3) or (tag == _wire.TAG_POINT_3D and count == 4):
                if not PyLong_CheckExact(<object>fields[0]):
                    return None
                for i in range(1, count):
                    if not PyFloat_CheckExact(<object>fields[i]):
                        return None
                value = bolt_new(point_class(<object>fields[0], count - 1))
                bolt_fill(value, POINT_SRID, <object>fields[0])
                if count == 3:
                    coordinates = (<object>fields[1], <object>fields[2])
                else:
                    coordinates = (<object>fields[1], <object>fields[2], <object>fields[3])
                bolt_fill(value, POINT_COORDINATES, coordinates)
                untrack(coordinates)
                untrack(value)
                return value
        if self.vectors:
            if tag == _wire.TAG_VECTOR and count == 2:
                return self.make_vector(<object>fields[0], <object>fields[1], at)
            if tag == _wire.TAG_UNSUPPORTED_TYPE and count == 4:
                return self.make_unsupported(fields)
        return None

    cdef object make_vector(self, object kind, object data, const uint8_t *at):
        if not PyBytes_CheckExact(kind) or not PyBytes_CheckExact(data) or kind not in VECTOR_TYPES:
            return None
        name, width = VECTOR_TYPES[kind]
        if len(data) % width:
            raise errors.bad_vector(len(data), width, at - self.base)
        value = bolt_new(Vector)
        bolt_fill(value, VECTOR_DTYPE, name)
        bolt_fill(value, VECTOR_DATA, data)
        untrack(value)
        return value

    cdef object make_unsupported(self, PyObject **fields):
        if not (PyUnicode_CheckExact(<object>fields[0]) and PyLong_CheckExact(<object>fields[1])
                and PyLong_CheckExact(<object>fields[2]) and PyDict_CheckExact(<object>fields[3])):
            return None
        message = (<dict><object>fields[3]).get("message")
        value = bolt_new(UnsupportedType)
        bolt_fill(value, UNSUPPORTED_NAME, <object>fields[0])
        minimum = (<object>fields[1], <object>fields[2])
        bolt_fill(value, UNSUPPORTED_MINIMUM, minimum)
        bolt_fill(value, UNSUPPORTED_MESSAGE, message if PyUnicode_CheckExact(message) else None)
        bolt_fill(value, UNSUPPORTED_EXTRA, <object>fields[3])
        return value

    cdef object make_date(self, long long days):
        cdef int year = 0, month = 0, day = 0
        if days < FIRST_DAY or days > LAST_DAY:
            return None
        bolt_civil(days, &year, &month, &day)
        value = bolt_date(Date if self.extended else PlainDate, year, month, day)
        if self.extended:
            hide(value)
        return value

    cdef object make_time(self, long long total, object zone):
        cdef int seconds, below
        if total < 0 or total >= DAY_NANOS:
            return None
        seconds = <int>(total // 1000000000)
        below = <int>(total % 1000000000)
        if self.extended or below % 1000:
            value = bolt_time(Time, seconds // 3600, seconds // 60 % 60, seconds % 60, below // 1000, zone)
            bolt_fill(value, TIME_SUBMICRO, below % 1000)
            hide(value)
            return value
        return bolt_time(PlainTime, seconds // 3600, seconds // 60 % 60, seconds % 60, below // 1000, zone)

    cdef object make_datetime(self, long long seconds, long long nanos, object zone, long long shift):
        if seconds < FIRST_SECOND or seconds > LAST_SECOND:
            return None
        return self.assemble(seconds + shift, nanos, zone, 0)

    cdef object assemble(self, long long whole, long long nanos, object zone, int fold):
        cdef long long days
        cdef int rest, below
        cdef int year = 0, month = 0, day = 0
        if nanos < 0 or nanos >= 1000000000:
            return None
        below = <int>nanos
        # Towards minus infinity, which C's division is not.
        days = whole // 86400
        rest = <int>(whole - days * 86400)
        if rest < 0:
            rest += 86400
            days -= 1
        if days < FIRST_DAY or days > LAST_DAY:
            return None
        bolt_civil(days, &year, &month, &day)
        if self.extended or below % 1000:
            value = bolt_datetime(DateTime, year, month, day, rest // 3600, rest // 60 % 60, rest % 60,
                                  below // 1000, zone, fold)
            bolt_fill(value, DATETIME_SUBMICRO, below % 1000)
            hide(value)
            return value
        return bolt_datetime(PlainDateTime, year, month, day, rest // 3600, rest // 60 % 60, rest % 60,
                             below // 1000, zone, fold)

    cdef object make_zoned(self, long long whole, long long nanos, object name):
        cdef long long below, days
        cdef int year = 0, month = 0, day = 0
        cdef object zone = self.find_zone(name)
        if zone is None or whole < FIRST_SECOND or whole > LAST_SECOND:
            return None
        days = whole // 86400
        below = whole - days * 86400
        if below < 0:
            below += 86400
            days -= 1
        if days < FIRST_DAY or days > LAST_DAY:
            return None
        bolt_civil(days, &year, &month, &day)
        utc = bolt_datetime(PlainDateTime, year, month, day, <int>(below // 3600), <int>(below // 60 % 60),
                            <int>(below % 60), 0, zone, 0)
        try:
            local = zone.fromutc(utc)
        except (OverflowError, ValueError):
            return None
        if not PyDateTime_Check(local):
            return None
        whole = bolt_days(date_year(local), date_month(local), date_day(local)) * 86400
        whole += (datetime_hour(local) * 60 + datetime_minute(local)) * 60 + datetime_second(local)
        return self.assemble(whole, nanos, zone, local.fold)

    cdef object find_zone(self, object name):
        if not PyUnicode_CheckExact(name) or len(<str>name) > _wire.MAX_ZONE_NAME:
            return None
        zone = self.zones.get(name, ZERO)
        if zone is not ZERO:
            return zone
        try:
            zone = ZoneInfo(name)
        except Exception:  # what a peer calls a zone may be anything, also the name of a folder
            zone = None
        if len(self.zones) < MAX_CACHED_ZONES:
            self.zones[name] = zone
        return zone

    cdef object fixed_zone(self, long long seconds):
        cdef object offset, zone
        if seconds <= -86400 or seconds >= 86400:
            return None
        if seconds == 0:
            return UTC
        offset = seconds
        zone = self.offsets.get(offset)
        if zone is None:
            zone = FixedZone(Delta(seconds=seconds))
            if len(self.offsets) < MAX_CACHED_OFFSETS:
                self.offsets[offset] = zone
        return zone


cdef inline void hide(object value) noexcept:
    # A date or time: its zone is no part of any cycle.
    if PyObject_GC_IsTracked(<PyObject *>value):
        PyObject_GC_UnTrack(<PyObject *>value)


cdef object raw_structure(int tag, int count, PyObject **fields, int labels):
    cdef int i
    cdef list parts = []
    for i in range(count):
        part = <object>fields[i]
        if i == labels and PyTuple_CheckExact(part):
            part = list(<tuple>part)
        parts.append(part)
    return Structure(tag, *parts)


cdef bint all_str(list values):
    for value in values:
        if not PyUnicode_CheckExact(value):
            return False
    return True


def cast_rows(kind, rows):
    """Return the rows as instances of a subclass of tuple, without calling its ``__new__``.

    Where a row is hidden from the garbage collector, what is made of it is too, unless it has a ``__dict__``.

    Args:
        kind: The class.
        rows: The rows: tuples, or whatever else tuples can be made of.

    Raises:
        TypeError: *kind* is no subclass of tuple, or a row is nothing that a tuple can be made of.
    """
    cdef list made = []
    cdef bint closed
    new_tuple(kind, ())  # refuses what is no subclass of tuple
    closed = bolt_closed(kind)
    for row in rows:
        if PyTuple_CheckExact(row) and kind is not tuple:
            made.append(bolt_cast(kind, row, closed))
        else:
            made.append(new_tuple(kind, row))
    return made


def pack(value, *, version=(6, 1), utc_patch=False):
    """Pack one value into PackStream.

    Args:
        value: Anything that Bolt can carry.
        version: The Bolt version, which decides the form of structures.
        utc_patch: Whether the ``utc`` patch was agreed (Bolt 4.3 and 4.4): date-times in UTC form.

    Raises:
        PackError: The value, or something in it, cannot be packed; names the path to it.
    """
    return Packer(version, utc_patch=utc_patch).pack(value)


def unpack(data, *, version=(6, 1), utc_patch=False, extended_types=False):
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
