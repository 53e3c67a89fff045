cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t


cdef struct Frame:
    # One container that is being packed: where a refused value lies is read off this chain.
    Frame *outer
    Py_ssize_t index
    PyObject *key


@cython.final
cdef class Packer:
    cdef uint8_t *buf
    cdef Py_ssize_t pos
    cdef Py_ssize_t capacity
    cdef Frame *frame
    cdef Py_ssize_t max_depth
    cdef bint utc
    cdef bint element_ids
    cdef bint temporal
    cdef bint vectors
    cdef bint uuids
    cdef bint graph
    cdef int busy
    cdef str root

    cdef int claim(self) except -1
    cdef int adopt(self, version, bint utc_patch) except -1
    cdef int grow(self, Py_ssize_t n) except -1
    cdef int refuse(self, str reason, tuple path=*) except -1
    cdef int write(self, object value, Py_ssize_t depth) except -1
    cdef int write_rest(self, object value, Py_ssize_t depth) except -1
    cdef int check_depth(self, Py_ssize_t depth) except -1
    cdef int write_other(self, object value, Py_ssize_t depth) except -1
    cdef object slot(self, object value, Py_ssize_t offset, str kind, str name)
    cdef object lacks(self, str kind, str name)
    cdef int write_int(self, object value) except -1
    cdef int write_whole(self, object value, str fault) except -1
    cdef int write_number(self, long long value) except -1
    cdef int write_double(self, double value) except -1
    cdef int write_str(self, object value) except -1
    cdef int write_bytes(self, object value) except -1
    cdef int write_list(self, list value, Py_ssize_t depth) except -1
    cdef object item_of(self, list value, Py_ssize_t index)
    cdef int write_tuple(self, tuple value, Py_ssize_t depth) except -1
    cdef int write_dict(self, dict value, Py_ssize_t depth) except -1
    cdef int write_count(self, Py_ssize_t size, int tiny, int first, str what) except -1
    cdef int write_size(self, Py_ssize_t size, int tiny, int first, str what) except -1
    cdef int write_uuid(self, object value) except -1
    cdef int write_duration(self, tuple value) except -1
    cdef int write_structure(self, object value, Py_ssize_t depth) except -1
    cdef int write_head(self, int count, int tag) except -1
    cdef int write_numbers(
        self, int count, int tag, long long first, long long second, long long third
    ) except -1
    cdef int write_id(self, object number, Py_ssize_t depth) except -1
    cdef int write_node(self, object value, Py_ssize_t depth) except -1
    cdef int write_relationship(self, object value, Py_ssize_t depth) except -1
    cdef int write_unbound(self, object value, Py_ssize_t depth) except -1
    cdef int write_path(self, object value, Py_ssize_t depth) except -1
    cdef int below_micro(self, object value, Py_ssize_t offset, str kind) except -1
    cdef object offset_of(self, object value, Py_ssize_t depth)
    cdef int write_date(self, object value) except -1
    cdef int write_time(self, object value, Py_ssize_t depth, bint extended) except -1
    cdef int write_datetime(self, object value, Py_ssize_t depth, bint extended) except -1
    cdef int write_point(self, object value) except -1
    cdef int write_vector(self, object value) except -1
    cdef int write_unsupported(self, object value, Py_ssize_t depth) except -1
    cdef void trim(self) noexcept


@cython.final
cdef class Unpacker:
    cdef const uint8_t *p
    cdef const uint8_t *end
    cdef const uint8_t *base
    cdef Py_ssize_t owed
    cdef Py_ssize_t max_depth
    cdef Py_ssize_t max_elements
    cdef bint extended
    cdef bint utc
    cdef bint element_ids
    cdef bint temporal
    cdef bint vectors
    cdef bint uuids
    # Set when something is read that the garbage collector must follow.
    cdef bint tracked
    cdef PyObject **keys
    cdef list label_sets
    cdef Py_ssize_t next_label_set
    cdef dict zones
    cdef dict offsets
    cdef int busy

    cdef int claim(self) except -1
    cdef int adopt(self, version, bint utc_patch) except -1
    cdef int limit_depth(self, Py_ssize_t levels) except -1
    cdef void aim(self, const uint8_t *start, const uint8_t *end) noexcept
    cdef int finish(self) except -1
    cdef PyObject *read(self, Py_ssize_t depth) except NULL
    cdef PyObject *read_other(self, Py_ssize_t depth) except NULL
    cdef PyObject *read_row(self) except NULL
    cdef PyObject *refuse_string(self, const uint8_t *data, Py_ssize_t size, const uint8_t *at) except NULL
    cdef Py_ssize_t size_of(self, int log, str what, const uint8_t *at) except -1
    cdef PyObject *string_of(self, Py_ssize_t size, const uint8_t *at) except NULL
    cdef int enter(self, str what, Py_ssize_t count, int width, Py_ssize_t depth, const uint8_t *at) except -1
    cdef int read_items(self, PyObject **items, Py_ssize_t count, Py_ssize_t depth) except -1
    cdef PyObject *read_list(self, Py_ssize_t count, Py_ssize_t depth, const uint8_t *at) except NULL
    cdef PyObject *read_map(self, Py_ssize_t count, Py_ssize_t depth, const uint8_t *at) except NULL
    cdef PyObject *read_key(self, Py_ssize_t depth) except NULL
    cdef PyObject *read_structure(self, int count, Py_ssize_t depth, const uint8_t *at) except NULL
    cdef PyObject *read_properties(self, Py_ssize_t depth, bint *atomic) except NULL
    cdef PyObject *read_labels(self, Py_ssize_t depth) except NULL
    cdef object build(self, int tag, int count, PyObject **fields, const uint8_t *at)
    cdef object build_graph(self, int tag, PyObject **fields, bint atomic)
    cdef object build_path(self, object nodes, object relationships, object indices)
    cdef object make_vector(self, object kind, object data, const uint8_t *at)
    cdef object make_unsupported(self, PyObject **fields)
    cdef PyObject *read_moment(self, int count, Py_ssize_t depth) except? NULL
    cdef object make_date(self, long long days)
    cdef object make_time(self, long long total, object zone)
    cdef object make_datetime(self, long long seconds, long long nanos, object zone, long long shift)
    cdef object assemble(self, long long whole, long long nanos, object zone, int fold)
    cdef object make_zoned(self, long long whole, long long nanos, object name)
    cdef object find_zone(self, object name)
    cdef object fixed_zone(self, long long seconds)
