"""Chunk framing fused with packing, compiled: the twin of the pure-Python ``_chunking_py``.

Bytes from the socket become, in one call, everything that is complete in them; a message and its fields
become, in one call, framed bytes. Same names, same behaviour, same errors to the letter as the pure twin.
"""

from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy, memmove

from asyncbolt cimport _wire
from asyncbolt._atoms cimport ATOM_ROOM, bolt_claim, bolt_release, bolt_tuple_items, store16, write_atoms
from asyncbolt._packstream cimport Frame, Packer, Unpacker

from . import _codec_errors as errors
from .exceptions import LocalProtocolError, UnpackError
from .time import Duration

__all__ = ["ChunkedReadBuffer", "ChunkedWriteBuffer", "MessageReader", "MessageWriter"]

cdef extern from "Python.h":
    void decref "Py_DECREF" (PyObject *)
    long long PyLong_AsLongLongAndOverflow(object, int *) except? -1

cdef enum:
    KEPT_CAPACITY = 2 * 1024 * 1024


cdef class MessageWriter:
    """Packs and frames messages; belongs to one connection.

    Args:
        version: The Bolt version, which decides the form of structures.
        utc_patch: Whether the ``utc`` patch was agreed (Bolt 4.3 and 4.4).
        graph: Whether nodes, relationships and paths may be written (a server's role).
        max_chunk_size: Largest chunk in bytes, 1 to 65535.
    """

    cdef Packer packer
    cdef Py_ssize_t max_chunk_size
    cdef int busy

    def __cinit__(self):
        # For a subclass that forgets to call __init__: an error, not a crash.
        self.packer = Packer.__new__(Packer)
        self.max_chunk_size = _wire.MAX_CHUNK

    def __init__(self, version=(6, 1), *, bint utc_patch=False, bint graph=False,
                 Py_ssize_t max_chunk_size=_wire.MAX_CHUNK):
        self.claim()
        try:
            if not 1 <= max_chunk_size <= _wire.MAX_CHUNK:
                raise ValueError(f"max_chunk_size must be 1 to {_wire.MAX_CHUNK} bytes, not {max_chunk_size}")
            self.packer = Packer(version, utc_patch=utc_patch, graph=graph)
            self.max_chunk_size = max_chunk_size
        finally:
            bolt_release(&self.busy)

    def configure(self, version, utc_patch):
        """Take the forms of another Bolt version from now on."""
        self.claim()
        try:
            self.packer.adopt(version, utc_patch)
        finally:
            bolt_release(&self.busy)

    def message(self, signature, *fields):
        """One message, framed.

        Raises:
            PackError: A field, or something in it, cannot be packed. Nothing was written.
        """
        cdef Packer packer = self.packer
        cdef Py_ssize_t count = len(fields), index
        cdef long long number = -1
        cdef int tag, overflow = 0
        cdef Frame frame
        if count > _wire.MAX_FIELDS:
            raise LocalProtocolError(errors.too_many_fields(count))
        if isinstance(signature, int):
            number = PyLong_AsLongLongAndOverflow(signature, &overflow)
        if not 0 <= number <= 0x7F:
            raise LocalProtocolError(errors.bad_signature(signature))
        tag = <int>number
        self.claim()
        try:
            self.begin(count, tag)
            frame.outer = NULL
            frame.key = NULL
            for index in range(count):
                if tag == _wire.RUN and index == 1:
                    packer.root = "$"
                    packer.frame = NULL
                else:
                    packer.root = "fields"
                    frame.index = index
                    packer.frame = &frame
                packer.write(fields[index], 0)
            self.end(0)
            return self.take()
        finally:
            packer.frame = NULL
            packer.trim()
            bolt_release(&self.busy)

    def records(self, rows):
        """One RECORD for each row, framed.

        Raises:
            PackError: A row cannot be packed; ``path[0]`` is its index. Nothing was written.
        """
        cdef Packer packer = self.packer
        cdef Py_ssize_t start, size
        cdef uint8_t *p
        cdef uint8_t *limit
        cdef uint8_t *behind
        # Whether the rows so far were short tuples of atoms: such ones are written in place.
        cdef bint plain = True
        cdef Frame frame
        self.claim()
        try:
            packer.pos = 0
            packer.root = "rows"
            frame.outer = NULL
            frame.key = NULL
            frame.index = 0
            for row in rows:
                start = packer.pos
                if plain and type(row) is tuple:
                    size = len(<tuple>row)
                    p = packer.buf + start
                    limit = packer.buf + packer.capacity
                    if size < 16 and limit - p >= 7 + ATOM_ROOM * size:
                        behind = write_atoms(bolt_tuple_items(<PyObject *>row), size, p + 5, limit)
                        plain = behind != NULL
                        if plain and behind - p - 2 <= self.max_chunk_size:
                            store16(p, <uint16_t>(behind - p - 2))
                            p[2] = 0xB1
                            p[3] = _wire.RECORD
                            p[4] = <uint8_t>(0x90 | size)
                            store16(behind, 0)
                            packer.pos = behind + 2 - packer.buf
                            frame.index += 1
                            continue
                packer.frame = &frame
                if type(row) is not tuple and type(row) is not list:
                    # A Duration is a tuple, but has a form of its own.
                    if not isinstance(row, (tuple, list)) or isinstance(row, Duration):
                        packer.refuse(errors.not_a_row(row))
                    row = list(row)
                self.begin_at(start, 1, _wire.RECORD)
                if type(row) is tuple:
                    packer.write_tuple(<tuple>row, 0)
                else:
                    packer.write_list(<list>row, 0)
                self.end(start)
                frame.index += 1
            return self.take()
        finally:
            packer.frame = NULL
            packer.trim()
            bolt_release(&self.busy)

    cdef int claim(self) except -1:
        if bolt_claim(&self.busy):
            raise LocalProtocolError(errors.WRITER_BUSY)
        return 0

    cdef int begin(self, Py_ssize_t count, int tag) except -1:
        self.packer.pos = 0
        return self.begin_at(0, count, tag)

    cdef inline int begin_at(self, Py_ssize_t start, Py_ssize_t count, int tag) except -1:
        cdef Packer packer = self.packer
        if packer.capacity - start < 4:
            packer.grow(4)
        # Two bytes for the chunk header, which end() fills in.
        packer.buf[start + 2] = <uint8_t>(0xB0 | count)
        packer.buf[start + 3] = <uint8_t>tag
        packer.pos = start + 4
        return 0

    cdef inline int end(self, Py_ssize_t start) except -1:
        """Frame the message that begins at `start`."""
        cdef Packer packer = self.packer
        cdef Py_ssize_t size = packer.pos - start - 2
        cdef uint8_t *p
        if size > self.max_chunk_size or packer.capacity - packer.pos < 2:
            return self.end_chunks(start, size)
        p = packer.buf + start
        p[0] = <uint8_t>(size >> 8)
        p[1] = <uint8_t>size
        p[size + 2] = 0
        p[size + 3] = 0
        packer.pos += 2
        return 0

    cdef int end_chunks(self, Py_ssize_t start, Py_ssize_t size) except -1:
        cdef Packer packer = self.packer
        cdef Py_ssize_t largest = self.max_chunk_size
        cdef Py_ssize_t chunks = (size + largest - 1) // largest
        cdef Py_ssize_t index, length
        cdef uint8_t *p
        if packer.capacity - packer.pos < 2 * chunks:
            packer.grow(2 * chunks)
        # From the last chunk to the first, since each moves further than the one before it.
        for index in range(chunks - 1, -1, -1):
            length = size - index * largest
            if length > largest:
                length = largest
            p = packer.buf + start + index * (largest + 2)
            if index:
                memmove(p + 2, packer.buf + start + 2 + index * largest, length)
            p[0] = <uint8_t>(length >> 8)
            p[1] = <uint8_t>length
        packer.pos += 2 * (chunks - 1)
        packer.buf[packer.pos] = 0
        packer.buf[packer.pos + 1] = 0
        packer.pos += 2
        return 0

    cdef bytes take(self):
        return PyBytes_FromStringAndSize(<char *>self.packer.buf, self.packer.pos)


cdef class MessageReader:
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

    cdef Unpacker unpacker
    cdef public Py_ssize_t max_message_size
    cdef readonly Py_ssize_t answers
    cdef readonly Py_ssize_t noops
    cdef bint runs
    cdef set skips
    cdef bint skipping
    cdef uint8_t *body
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef Py_ssize_t left
    cdef int half
    cdef bint dead
    cdef int busy

    def __cinit__(self):
        self.half = -1
        self.skips = set()
        self.unpacker = Unpacker.__new__(Unpacker)

    def __dealloc__(self):
        PyMem_Free(self.body)

    def __init__(self, version=(6, 1), *, bint utc_patch=False, bint extended_types=False,
                 Py_ssize_t max_message_size=_wire.MAX_SIZE, Py_ssize_t max_depth=_wire.DEFAULT_MAX_DEPTH,
                 max_elements=None, bint runs=True):
        self.claim()
        try:
            self.unpacker = Unpacker(
                version,
                utc_patch=utc_patch,
                extended_types=extended_types,
                max_depth=max_depth,
                max_elements=max_elements,
            )
            self.max_message_size = max_message_size
            self.runs = runs
            # As if new, when it is called again.
            self.answers = self.noops = 0
            self.skips = set()
            self.skipping = self.dead = False
            self.size = self.left = 0
            self.half = -1
        finally:
            bolt_release(&self.busy)

    cdef int claim(self) except -1:
        if bolt_claim(&self.busy):
            raise LocalProtocolError(errors.READER_BUSY)
        return 0

    @property
    def max_depth(self):
        return self.unpacker.max_depth

    @max_depth.setter
    def max_depth(self, Py_ssize_t levels):
        self.unpacker.limit_depth(levels)

    @property
    def max_elements(self):
        return self.unpacker.max_elements

    @max_elements.setter
    def max_elements(self, count):
        self.unpacker.max_elements = _wire.MAX_SIZE if count is None else count

    @property
    def pending(self):
        """Bytes held of a message that is not complete yet."""
        return self.size

    def configure(self, version, utc_patch):
        """Take the forms of another Bolt version from the next message on."""
        self.claim()
        try:
            self.unpacker.adopt(version, utc_patch)
        finally:
            bolt_release(&self.busy)

    def skip(self, answer):
        """Drop the records of an answer undecoded.

        Args:
            answer: Its number: how many summaries (SUCCESS, IGNORED, FAILURE) come before its own.
        """
        if answer >= self.answers:
            self.skips.add(answer)
            self.skipping = self.answers in self.skips

    def eof(self):
        """The stream has ended: an error if it did so inside a message."""
        self.claim()
        try:
            if self.dead or not (self.size or self.left or self.half >= 0):
                return None
            error = errors.ended_inside(self.size)
            self.die()
            return error
        finally:
            bolt_release(&self.busy)

    def feed(self, data):
        """Take bytes, cut anywhere, and give what they complete, in order.

        A ``list`` is a run of RECORDs, each a tuple of values; a ``tuple`` is another message
        ``(signature, *fields)``. An UnpackError, always last, says that the stream is broken from there on:
        every later call gives ``[]``.
        """
        cdef bytes whole
        cdef list out = []
        self.claim()
        try:
            if self.dead:
                return out
            whole = data if PyBytes_CheckExact(data) else bytes(memoryview(data))
            try:
                self.read(<const uint8_t *>PyBytes_AS_STRING(whole), PyBytes_GET_SIZE(whole), out)
            except UnpackError as exc:
                self.die()
                out.append(exc)
            except BaseException:
                # Such as MemoryError: where the next message begins is not known any more.
                self.die()
                raise
        finally:
            bolt_release(&self.busy)
        return out

    cdef void die(self) noexcept:
        self.dead = True
        self.size = 0
        self.release()

    cdef void release(self) noexcept:
        PyMem_Free(self.body)
        self.body = NULL
        self.capacity = 0

    cdef int keep(self, const uint8_t *data, Py_ssize_t n) except -1:
        """Add bytes to the message that is coming in."""
        cdef Py_ssize_t capacity = self.capacity
        cdef uint8_t *larger
        if self.size + n > capacity:
            if capacity == 0:
                capacity = 4096
            while capacity < self.size + n:
                capacity *= 2
            larger = <uint8_t *>PyMem_Realloc(self.body, capacity)
            if larger == NULL:
                raise MemoryError()
            self.body = larger
            self.capacity = capacity
        memcpy(self.body + self.size, data, n)
        self.size += n
        return 0

    cdef int read(self, const uint8_t *p, Py_ssize_t length, list out) except -1:
        cdef const uint8_t *end = p + length
        cdef Py_ssize_t size
        # The run of rows that is being collected, and already is the last item of `out`.
        cdef list run = None
        while p < end:
            if self.left:
                size = self.left if self.left < end - p else end - p
                self.keep(p, size)
                self.left -= size
                p += size
                continue
            if self.half >= 0:
                size = (<Py_ssize_t>self.half << 8) | p[0]
                self.half = -1
                p += 1
            elif end - p == 1:
                self.half = p[0]
                return 0
            else:
                size = (<Py_ssize_t>p[0] << 8) | p[1]
                p += 2
            if size:
                if self.size + size > self.max_message_size:
                    raise errors.oversized(self.max_message_size)
                if end - p >= size + 2 and not self.size and not p[size] and not p[size + 1]:
                    run = self.message(p, p + size, out, run)
                    p += size + 2
                else:
                    self.left = size
            elif self.size:
                size = self.size
                self.size = 0
                run = self.message(self.body, self.body + size, out, run)
                if self.capacity > KEPT_CAPACITY:
                    self.release()
            else:
                self.noops += 1
        return 0

    cdef list message(self, const uint8_t *p, const uint8_t *end, list out, list run):
        """Read one message; gives the run of rows that the next one may go on with."""
        cdef Unpacker unpacker = self.unpacker
        cdef uint8_t marker = p[0]
        cdef int signature, count
        cdef PyObject *value
        cdef list parts
        if not 0xB0 <= marker < 0xC0:
            raise errors.no_message(marker)
        if end - p < 2:
            raise errors.truncated("a structure's tag", 1, 0, 0)
        signature = p[1]
        count = marker & 0x0F
        if signature == _wire.RECORD and count == 1 and self.runs:
            if self.skipping:
                return run
            unpacker.aim(p, end)
            unpacker.p = p + 2
            value = unpacker.read_row()
            if unpacker.p != unpacker.end:
                decref(value)
                unpacker.finish()
            if run is None:
                run = []
                out.append(run)
            run.append(<object>value)
            decref(value)
            return run
        unpacker.aim(p, end)
        unpacker.p = p + 2
        parts = [signature]
        for _ in range(count):
            value = unpacker.read(0)
            parts.append(<object>value)
            decref(value)
        unpacker.finish()
        if signature == _wire.SUCCESS or signature == _wire.IGNORED or signature == _wire.FAILURE:
            self.skips.discard(self.answers)
            self.answers += 1
            self.skipping = self.answers in self.skips
        out.append(tuple(parts))
        return None


cdef bytes content_of(object data):
    # Not the object itself: its own addition may give anything.
    return data if PyBytes_CheckExact(data) else bytes(memoryview(data))


cdef class ChunkedReadBuffer:
    """Assembles the chunks of incoming messages; :meth:`read` takes bytes off the oldest complete message."""

    cdef bytearray incoming
    cdef object messages
    cdef Py_ssize_t pos

    def __init__(self):
        self.incoming = bytearray()
        self.messages = deque()
        self.pos = 0

    @property
    def ready(self):
        """Whether a complete message, or the rest of one, is there to be read."""
        return len(self.messages) > 0

    def feed_data(self, chunk):
        """Add one chunk's content to the message that is coming in."""
        self.incoming += content_of(chunk)

    def feed_eof(self):
        """The incoming message is complete."""
        if self.incoming:
            self.messages.append(bytes(self.incoming))
            self.incoming.clear()

    def read(self, Py_ssize_t n):
        """Take the next ``n`` bytes of the oldest message.

        Raises:
            UnpackError: That message has fewer bytes left, or there is none. Nothing is taken.
        """
        cdef bytes message
        cdef Py_ssize_t stop
        if n < 0:
            raise ValueError("read() takes a number of bytes that is not negative")
        if not self.messages:
            raise errors.truncated("a read from an empty buffer", n, 0, 0)
        message = self.messages[0]
        if n > len(message) - self.pos:
            raise errors.truncated("a read", n, len(message) - self.pos, self.pos)
        stop = self.pos + n
        part = memoryview(message)[self.pos:stop]
        if stop == len(message):
            self.messages.popleft()
            self.pos = 0
        else:
            self.pos = stop
        return part


cdef class ChunkedWriteBuffer:
    """Collects messages and gives them as framed blocks of at most ``max_chunk_size`` bytes each.

    Args:
        max_chunk_size: Largest block in bytes, chunk headers and end markers included; 5 to 65539.
    """

    cdef Py_ssize_t max
    cdef bytearray incoming
    cdef bytearray block
    cdef object blocks

    def __init__(self, Py_ssize_t max_chunk_size):
        if not 5 <= max_chunk_size <= _wire.MAX_CHUNK + 4:
            raise ValueError(f"max_chunk_size must be 5 to {_wire.MAX_CHUNK + 4} bytes, not {max_chunk_size}")
        self.max = max_chunk_size
        self.incoming = bytearray()
        self.block = bytearray()
        self.blocks = deque()

    def write(self, data):
        """Add bytes to the message that is being written."""
        self.incoming += content_of(data)

    def write_eof(self):
        """The message is complete: cut it into chunks and mark its end."""
        cdef bytes data = bytes(self.incoming)
        cdef Py_ssize_t pos = 0, size
        self.incoming.clear()
        while pos < len(data):
            if len(self.block) + 3 > self.max:
                self.close_block()
            size = min(self.max - len(self.block) - 2, len(data) - pos, <Py_ssize_t>_wire.MAX_CHUNK)
            self.block.append(<uint8_t>(size >> 8))
            self.block.append(<uint8_t>size)
            self.block += data[pos:pos + size]
            pos += size
        if len(self.block) + 2 > self.max:
            self.close_block()
        self.block += b"\x00\x00"

    cdef int close_block(self) except -1:
        self.blocks.append(bytes(self.block))
        self.block.clear()
        return 0

    def flush(self):
        """Give every block, oldest first."""
        if self.block:
            self.close_block()
        while self.blocks:
            yield self.blocks.popleft()

    def getvalue(self):
        """Take the oldest block, or ``b""`` when there is none."""
        if not self.blocks and self.block:
            self.close_block()
        return self.blocks.popleft() if self.blocks else b""
