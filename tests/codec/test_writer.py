"""MessageWriter: a message and its fields become framed bytes in one call."""

from __future__ import annotations

import collections
import datetime as dt
import tracemalloc
from collections.abc import Mapping

import pytest
from exact import exact

from asyncbolt._constants import Message
from asyncbolt._structure import Structure
from asyncbolt.exceptions import LocalProtocolError, PackError
from asyncbolt.graph import Node
from asyncbolt.time import Duration

RESET = b"\x00\x02\xb0\x0f\x00\x00"


def content_of(stream: bytes) -> tuple[list[int], bytes]:
    """The sizes of the chunks of one message, and what is in them."""
    sizes, content, at = [], b"", 0
    while True:
        size = int.from_bytes(stream[at : at + 2], "big")
        at += 2
        if not size:
            assert at == len(stream)
            return sizes, content
        sizes.append(size)
        content += stream[at : at + size]
        at += size


def test_messages(codec):
    writer = codec.chunking.MessageWriter()
    assert writer.message(0x0F) == RESET
    assert writer.message(Message.RESET) == RESET
    assert writer.message(0x10, "RETURN 1", {}, {}) == b"\x00\x0d\xb3\x10\x88RETURN 1\xa0\xa0\x00\x00"
    assert writer.message(0x70, *range(15)) == b"\x00\x11\xbf\x70" + bytes(range(15)) + b"\x00\x00"
    assert type(writer.message(0x0F)) is bytes


@pytest.mark.parametrize("signature", [0, 1, 0x7F])
def test_signatures(codec, signature):
    assert codec.chunking.MessageWriter().message(signature)[3] == signature


@pytest.mark.parametrize("signature", [-1, 0x80, 0x100, 0x10F, 2**31, 2**70, "RUN", None, 15.0, b"\x0f"])
def test_wrong_signatures(codec, signature):
    writer = codec.chunking.MessageWriter()
    text = f"a message's signature must be an integer from 0 to 127, not {signature!r}"
    with pytest.raises(LocalProtocolError) as caught:
        writer.message(signature, 1)
    assert str(caught.value) == text
    assert writer.message(0x0F) == RESET


def test_too_many_fields(codec):
    writer = codec.chunking.MessageWriter()
    with pytest.raises(LocalProtocolError, match=r"^a structure holds at most 15 fields, not 16$"):
        writer.message(0x10, *range(16))
    assert writer.message(0x0F) == RESET


# Chunks


def test_every_chunk_size(codec):
    """Every size up to 300 and around the powers of two, for messages around its multiples."""
    around = {power + near for power in (512, 1024, 8192, 16384, 32768) for near in (-1, 0, 1)}
    for largest in sorted({*range(1, 301), *around, 65534, 65535}):
        writer = codec.chunking.MessageWriter(max_chunk_size=largest)
        for count in {1, largest - 2, largest - 1, largest, largest + 1, 2 * largest, 2 * largest + 1}:
            blob = bytes(range(256)) * (count // 256 + 1)
            blob = blob[: max(count - 7, 0)]
            sizes, content = content_of(writer.message(0x70, blob))
            assert content == b"\xb1\x70" + codec.packstream.pack(blob)
            full, rest = divmod(len(content), largest)
            assert sizes == [largest] * full + [rest] * bool(rest), (largest, count)


@pytest.mark.parametrize("size", [1, 3, 255, 65535])
def test_chunk_size_by_records(codec, size):
    rows = [(number, "x" * (number * 37 % 600)) for number in range(50)]
    writer = codec.chunking.MessageWriter(max_chunk_size=size)
    assert writer.records(rows) == b"".join(writer.message(0x71, list(row)) for row in rows)
    reader = codec.chunking.MessageReader()
    assert reader.feed(writer.records(rows)) == [rows]


@pytest.mark.parametrize("size", [0, -1, 65536, 10**6])
def test_wrong_chunk_sizes(codec, size):
    with pytest.raises(ValueError, match=f"^max_chunk_size must be 1 to 65535 bytes, not {size}$"):
        codec.chunking.MessageWriter(max_chunk_size=size)


@pytest.mark.parametrize("size", [65_533, 65_534, 65_535, 65_536, 131_070, 3_000_000])
def test_large_messages(codec, size):
    writer = codec.chunking.MessageWriter()
    text = "é" * (size // 2) + "x" * (size % 2)
    sizes, content = content_of(writer.message(0x70, text))
    assert content == b"\xb1\x70" + codec.packstream.pack(text)
    assert max(sizes) == min(len(content), 65535)
    assert codec.chunking.MessageReader().feed(writer.message(0x70, text)) == [(0x70, text)]


def test_the_buffer_grows_at_every_size(codec):
    """Values of each kind, at each distance from the end of the buffer."""
    values = [
        1, -17, 1000, 10**6, 10**12, 1.5, True, None, "x", "x" * 20, b"", b"xx", [], {}, [1] * 16, {"k": 1},
        dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc), dt.date(2024, 1, 1), dt.time(1), Structure(1),
        Duration(1),
    ]  # fmt: skip
    for before in range(990, 1026):
        for value in values:
            writer = codec.chunking.MessageWriter()
            sizes, content = content_of(writer.message(0x70, b"y" * before, value))
            pack = codec.packstream.pack
            assert content == b"\xb2\x70" + pack(b"y" * before) + pack(value)
            assert sizes == [len(content)]


def test_the_buffer_grows_between_rows(codec):
    for size in range(980, 1030):
        rows = [(b"y" * size,), (1,), (2,)]
        data = codec.chunking.MessageWriter().records(rows)
        assert data == b"".join(codec.chunking.MessageWriter().records([row]) for row in rows)


@pytest.mark.parametrize("fails", [False, True])
def test_a_huge_message_is_let_go(codec, fails):
    writer = codec.chunking.MessageWriter()
    blob = bytes(5_000_000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        if fails:
            with pytest.raises(PackError):
                writer.message(0x70, blob, object())
            with pytest.raises(PackError):
                writer.records([(blob,), (object(),)])
        else:
            assert len(writer.message(0x70, blob)) > 5_000_000
            assert len(writer.records([(blob,)])) > 5_000_000
        assert tracemalloc.get_traced_memory()[0] - before < 200_000
        assert writer.message(0x0F) == RESET
    finally:
        tracemalloc.stop()


def test_what_was_given_never_changes(codec):
    """It may be with the transport still when the next message is written."""
    writer = codec.chunking.MessageWriter()
    first = writer.message(0x70, "first" * 100)
    copy = bytes(bytearray(first))
    writer.message(0x70, "other" * 100)
    writer.records([("third" * 100,)])
    assert first == copy


# Records


def test_rows_may_be_of_several_kinds(codec):
    class Row(list):
        pass

    Named = collections.namedtuple("Named", "a b")
    writer = codec.chunking.MessageWriter()
    expected = writer.records([(1, "x")])
    for row in ([1, "x"], Named(1, "x"), Row([1, "x"])):
        assert writer.records([row]) == expected
    assert writer.records([]) == b""
    assert writer.records(row for row in [(1, "x")]) == expected
    assert writer.records({(1, "x"): 0}) == expected


@pytest.mark.parametrize("row", [None, 1, "ab", b"ab", {"a": 1}, {1}, range(2), Duration(1, 2, 3, 4)])
def test_what_is_no_row(codec, row):
    writer = codec.chunking.MessageWriter()
    for rows, index in (([row], 0), ([(1,), [2], row, (3,)], 2)):
        with pytest.raises(PackError) as caught:
            writer.records(rows)
        name = type(row).__name__
        assert str(caught.value) == f"rows[{index}]: a row must be a tuple or a list, not {name}"
        assert (caught.value.path, caught.value.root) == ((index,), "rows")
    assert writer.message(0x0F) == RESET


def test_an_error_names_the_row_and_nothing_is_written(codec):
    writer = codec.chunking.MessageWriter()
    with pytest.raises(PackError) as caught:
        writer.records([(1, 2), (1, {"when": [0, object()]}), (3, 4)])
    assert caught.value.path == (1, 1, "when", 1)
    assert str(caught.value) == "rows[1][1].when[1]: a value of type object cannot be packed"
    assert writer.records([(1,)]) == b"\x00\x04\xb1\x71\x91\x01\x00\x00"


def test_rows_that_fail_to_come(codec):
    def rows():
        yield (1,)
        raise KeyError("no more")

    writer = codec.chunking.MessageWriter()
    with pytest.raises(KeyError, match="no more"):
        writer.records(rows())
    with pytest.raises(TypeError):
        writer.records(None)
    assert writer.message(0x0F) == RESET


def test_graph_only_for_servers(codec):
    node = Node(1, ["A"], {"k": 1}, "n1")
    with pytest.raises(PackError, match=r"^rows\[0\]\[0\]: nodes, relationships and paths are no parameters"):
        codec.chunking.MessageWriter().records([(node,)])
    data = codec.chunking.MessageWriter(graph=True).records([(node,)])
    assert exact(codec.chunking.MessageReader().feed(data)) == exact([[(node,)]])
    # The short form of Bolt 4.4 knows no element_id but the number.
    data = codec.chunking.MessageWriter((4, 4), graph=True).records([(node,)])
    (((again,),),) = codec.chunking.MessageReader((4, 4)).feed(data)
    assert exact(again) == exact(Node(1, ["A"], {"k": 1}, "1"))


def test_version_can_change_between_messages(codec):
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    writer = codec.chunking.MessageWriter((1, 0))
    with pytest.raises(PackError, match="need Bolt 2 or newer"):
        writer.message(0x70, moment)
    writer.configure((4, 4), False)
    assert writer.message(0x70, moment) == b"\x00\x09\xb1\x70\xb3\x46\x00\x00\xc9\x0e\x10\x00\x00"
    writer.configure((4, 4), True)
    assert writer.message(0x70, moment) == b"\x00\x0b\xb1\x70\xb3\x49\xc9\xf1\xf0\x00\xc9\x0e\x10\x00\x00"


# Accidents


class Hook(Mapping):
    """A mapping that runs a function when it is packed."""

    def __init__(self, function, **content) -> None:
        self.function, self.content = function, content

    def __getitem__(self, key):
        return self.content[key]

    def __iter__(self):
        self.function()
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)


def test_packing_from_inside_is_refused(codec):
    writer = codec.chunking.MessageWriter()
    calls: list[int] = []
    for call in (lambda: writer.message(0x0F), lambda: writer.records([]), lambda: writer.records([(1,)])):

        def inside(call=call) -> None:
            with pytest.raises(LocalProtocolError, match=r"^the writer is packing already$"):
                call()
            calls.append(1)

        calls.clear()
        assert writer.message(0x70, Hook(inside, k=1)) == b"\x00\x06\xb1\x70\xa1\x81k\x01\x00\x00"
        assert writer.records([(Hook(inside, k=1),)]) == b"\x00\x07\xb1\x71\x91\xa1\x81k\x01\x00\x00"
        assert len(calls) >= 2
        with pytest.raises(LocalProtocolError):
            writer.message(0x70, Hook(call))
        assert writer.message(0x0F) == RESET


def test_two_writers_inside_each_other(codec):
    writer, other = codec.chunking.MessageWriter(), codec.chunking.MessageWriter()
    inner: list[bytes] = []
    data = writer.message(0x70, Hook(lambda: inner.append(other.message(0x0F)), k=1))
    assert (data, inner[0]) == (b"\x00\x06\xb1\x70\xa1\x81k\x01\x00\x00", RESET)


def test_an_exception_of_others_comes_through(codec):
    def fail() -> None:
        raise ZeroDivisionError("theirs")

    writer = codec.chunking.MessageWriter()
    for call in (
        lambda: writer.message(0x70, 1, [Hook(fail)]),
        lambda: writer.records([(1,), (Hook(fail),)]),
    ):
        with pytest.raises(ZeroDivisionError, match="theirs"):
            call()
        assert writer.message(0x0F) == RESET


def test_usable_after_every_error(codec):
    writer = codec.chunking.MessageWriter()
    for wrong in (object(), {1: 2}, 2**63, "\ud800", {"a": [{"b": {3}}]}, Node(1), [[[object()]]]):
        with pytest.raises(PackError):
            writer.message(0x10, "RETURN 1", {"p": wrong}, {})
        with pytest.raises(PackError):
            writer.message(0x70, "x" * 5000, wrong)
        with pytest.raises(PackError):
            writer.records([("x" * 5000,), (wrong,)])
        assert writer.message(0x0F) == RESET
        assert writer.records([(1,)]) == b"\x00\x04\xb1\x71\x91\x01\x00\x00"


def test_a_subclass_that_forgets_to_initialise_is_no_crash(codec):
    class Writer(codec.chunking.MessageWriter):
        def __init__(self) -> None:
            pass

    for call in (
        lambda: Writer().message(0x0F),
        lambda: Writer().records([(1,)]),
        lambda: Writer().message(1, []),
    ):
        try:
            assert type(call()) is bytes
        except (AttributeError, PackError):
            pass
