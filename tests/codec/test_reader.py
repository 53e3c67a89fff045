"""MessageReader: everything that is complete in the bytes, in order, however they are cut."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import threading
import tracemalloc
import weakref

import pytest
from exact import exact, outcome

from asyncbolt._constants import DEFAULT_MAX_DEPTH, MAX_DEPTH
from asyncbolt._structure import Structure
from asyncbolt.exceptions import LocalProtocolError, UnpackError

NOOP = END = b"\x00\x00"
SUCCESS = b"\x00\x03\xb1\x70\xa0\x00\x00"
IGNORED = b"\x00\x02\xb0\x7e\x00\x00"
FAILURE = b"\x00\x03\xb1\x7f\xa0\x00\x00"
SUCCESS_ITEM = (0x70, {})
IGNORED_ITEM = (0x7E,)
FAILURE_ITEM = (0x7F, {})


def framed(content: bytes, size: int = 65535) -> bytes:
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(len(chunk).to_bytes(2, "big") + chunk for chunk in chunks) + END


def record(*values: int) -> bytes:
    return framed(b"\xb1\x71" + bytes([0x90 + len(values), *values]))


def feed(reader, data: bytes, *cuts: int) -> list:
    """Everything that comes out, runs joined: where a run is cut depends on the pieces."""
    out: list = []
    for start, stop in zip((0, *cuts), (*cuts, len(data)), strict=True):
        for item in reader.feed(data[start:stop]):
            if type(item) is list and out and type(out[-1]) is list:
                out[-1].extend(item)
            else:
                out.append(item)
    return out


STREAM = (
    NOOP + SUCCESS + record(1) + record() + NOOP + record(2, 3) + SUCCESS + IGNORED
    + framed(b"\xb1\x71\x92\x81a\xa1\x81k\x07", 1) + framed(b"\xb1\x71\x91\xd0\x05abcde", 2)
    + NOOP + NOOP + FAILURE
)  # fmt: skip
ITEMS = [
    SUCCESS_ITEM, [(1,), (), (2, 3)], SUCCESS_ITEM, IGNORED_ITEM, [("a", {"k": 7}), ("abcde",)], FAILURE_ITEM,
]  # fmt: skip


# What comes out


def test_everything_at_once(codec):
    reader = codec.chunking.MessageReader()
    assert exact(reader.feed(STREAM)) == exact(ITEMS)
    assert (reader.noops, reader.answers, reader.pending, reader.eof()) == (4, 4, 0, None)


def test_every_cut_in_two(codec):
    for cut in range(len(STREAM) + 1):
        reader = codec.chunking.MessageReader()
        assert exact(feed(reader, STREAM, cut)) == exact(ITEMS), cut
        assert (reader.noops, reader.answers, reader.pending, reader.eof()) == (4, 4, 0, None)


def test_every_cut_in_three_of_a_small_stream(codec):
    stream = NOOP + record(5) + framed(b"\xb1\x70\xa1\x81k\x01", 4) + record(6)
    expected = exact([[(5,)], (0x70, {"k": 1}), [(6,)]])
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            assert exact(feed(codec.chunking.MessageReader(), stream, first, second)) == expected


def test_byte_by_byte(codec):
    reader = codec.chunking.MessageReader()
    assert exact(feed(reader, STREAM, *range(1, len(STREAM)))) == exact(ITEMS)
    assert reader.noops == 4


def test_a_run_goes_on_over_noops_but_not_over_messages(codec):
    reader = codec.chunking.MessageReader()
    assert reader.feed(record(1) + NOOP + record(2) + SUCCESS + record(3)) == [
        [(1,), (2,)],
        SUCCESS_ITEM,
        [(3,)],
    ]
    assert reader.feed(record(4)) == [[(4,)]]


def test_rows_are_tuples_and_nested_lists_are_lists(codec):
    ((row,),) = codec.chunking.MessageReader().feed(framed(b"\xb1\x71\x92\x91\x01\x90"))
    assert exact(row) == exact(([1], []))


@pytest.mark.parametrize("head", [b"\xd4\x02", b"\xd5\x00\x02", b"\xd6\x00\x00\x00\x02"])
def test_rows_with_wide_sizes(codec, head):
    assert codec.chunking.MessageReader().feed(framed(b"\xb1\x71" + head + b"\x01\x02")) == [[(1, 2)]]


def test_without_runs_a_record_is_a_message(codec):
    reader = codec.chunking.MessageReader(runs=False)
    assert exact(reader.feed(record(1) + record(2))) == exact([(0x71, [1]), (0x71, [2])])


def test_without_runs_nothing_is_skipped(codec):
    reader = codec.chunking.MessageReader(runs=False)
    reader.skip(0)
    assert reader.feed(record(1) + SUCCESS) == [(0x71, [1]), SUCCESS_ITEM]


@pytest.mark.parametrize("content", [b"\xb0\x71", b"\xb2\x71\x90\x90"])
def test_a_record_of_another_form_is_a_message(codec, content):
    (item,) = codec.chunking.MessageReader().feed(framed(content))
    assert item == (0x71, *([[]] * (content[0] & 15)))


@pytest.mark.parametrize("count", [0, 1, 15])
def test_messages_of_any_signature_and_field_count(codec, count):
    for signature in range(128):
        if (signature, count) != (0x71, 1):
            (item,) = codec.chunking.MessageReader().feed(
                framed(bytes([0xB0 + count, signature]) + b"\x2a" * count)
            )
            assert exact(item) == exact((signature, *[42] * count))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(data)[::1]])
def test_kinds_of_bytes(codec, kind):
    assert codec.chunking.MessageReader().feed(kind(STREAM)) == ITEMS


def test_strided_and_subclassed_bytes(codec):
    class Bytes(bytes):
        pass

    doubled = bytes(byte for byte in SUCCESS for _ in range(2))
    assert codec.chunking.MessageReader().feed(memoryview(doubled)[::2]) == [SUCCESS_ITEM]
    assert codec.chunking.MessageReader().feed(Bytes(SUCCESS)) == [SUCCESS_ITEM]


@pytest.mark.parametrize("nothing", [b"", bytearray(), memoryview(b"")])
def test_no_bytes(codec, nothing):
    reader = codec.chunking.MessageReader()
    assert reader.feed(nothing) == []
    assert reader.feed(SUCCESS[:3]) == []
    assert reader.feed(nothing) == []
    assert reader.feed(SUCCESS[3:]) == [SUCCESS_ITEM]


@pytest.mark.parametrize("wrong", [None, "text", 7, [1], object()])
def test_what_is_no_bytes_harms_nothing(codec, wrong):
    reader = codec.chunking.MessageReader()
    reader.feed(SUCCESS[:4])
    with pytest.raises(TypeError):
        reader.feed(wrong)
    assert reader.feed(SUCCESS[4:]) == [SUCCESS_ITEM]


def test_what_was_fed_may_change_afterwards(codec):
    reader = codec.chunking.MessageReader()
    data = bytearray(framed(b"\xb1\x71\x92\x83abc\xcc\x03xyz"))
    first, second = data[:9], data[9:]
    reader.feed(first)
    first[:] = b"\xff" * len(first)
    ((row,),) = reader.feed(second)
    second[:] = b"\xff" * len(second)
    assert row == ("abc", b"xyz")


def test_version_can_change_between_messages(codec):
    date = framed(b"\xb1\x70\xb1\x44\x00")
    moment = framed(b"\xb1\x70\xb3\x49\x00\x00\x00")
    reader = codec.chunking.MessageReader((1, 0))
    assert reader.feed(date) == [(0x70, Structure(0x44, 0))]
    reader.configure((4, 4), False)
    assert type(reader.feed(date)[0][1]).__name__ == "date"
    assert type(reader.feed(moment)[0][1]) is Structure
    reader.configure((4, 4), True)
    assert type(reader.feed(moment)[0][1]).__name__ == "datetime"


# Skipping


def test_skip(codec):
    reader = codec.chunking.MessageReader()
    reader.skip(1)
    reader.skip(3)
    stream = b"".join(record(number) + record(number) + SUCCESS for number in range(5))
    assert reader.feed(stream) == [
        [(0,), (0,)], SUCCESS_ITEM, SUCCESS_ITEM, [(2,), (2,)], SUCCESS_ITEM, SUCCESS_ITEM, [(4,), (4,)],
        SUCCESS_ITEM,
    ]  # fmt: skip
    assert reader.answers == 5


@pytest.mark.parametrize(
    "summary, item", [(SUCCESS, SUCCESS_ITEM), (IGNORED, IGNORED_ITEM), (FAILURE, FAILURE_ITEM)]
)
def test_each_summary_ends_a_skip(codec, summary, item):
    reader = codec.chunking.MessageReader()
    reader.skip(0)
    assert reader.feed(record(1) + summary + record(2)) == [item, [(2,)]]


def test_skip_in_the_middle(codec):
    reader = codec.chunking.MessageReader()
    assert reader.feed(record(1) + record(2)[:4]) == [[(1,)]]
    reader.skip(0)
    assert reader.feed(record(2)[4:] + record(3) + SUCCESS + record(4)) == [SUCCESS_ITEM, [(4,)]]


def test_skip_of_the_past_is_nothing(codec):
    reader = codec.chunking.MessageReader()
    reader.feed(SUCCESS + SUCCESS)
    for number in (0, 1, -1):
        reader.skip(number)
    assert reader.feed(record(1) + SUCCESS) == [[(1,)], SUCCESS_ITEM]


def test_skip_at_every_cut(codec):
    stream = b"".join(framed(b"\xb1\x71\x91" + bytes([number]), 2) * 2 + SUCCESS for number in range(3))
    for cut in range(len(stream) + 1):
        reader = codec.chunking.MessageReader()
        reader.skip(1)
        expected = [[(0,), (0,)], SUCCESS_ITEM, SUCCESS_ITEM, [(2,), (2,)], SUCCESS_ITEM]
        assert feed(reader, stream, cut) == expected


def test_skipped_records_are_not_decoded(codec):
    reader = codec.chunking.MessageReader()
    reader.skip(0)
    assert reader.feed(framed(b"\xb1\x71\xff\xff\xff") + SUCCESS) == [SUCCESS_ITEM]


def test_other_messages_than_summaries_are_no_answers(codec):
    reader = codec.chunking.MessageReader(runs=False)
    reader.feed(framed(b"\xb0\x0f") + framed(b"\xb1\x10\x00") + record(1))
    assert reader.answers == 0


# The end


def test_pending_and_eof_at_every_byte(codec):
    stream = framed(b"\xb1\x70\xa1\x81k\x01", 3)
    contents = 0
    for end in range(len(stream)):
        reader = codec.chunking.MessageReader()
        assert reader.feed(stream[:end]) == []
        # Two chunks: a header of 2 bytes, 3 of content, again, and the end marker.
        contents = sum(1 for place in range(end) if 2 <= place < 5 or 7 <= place < 10)
        assert reader.pending == contents
        error = reader.eof()
        if end == 0:
            assert error is None
            assert reader.feed(stream) != []
        else:
            assert (str(error), error.offset) == (
                f"the stream ended inside a message (at byte {contents} of the message)", contents,
            )  # fmt: skip
            assert (reader.eof(), reader.feed(stream), reader.pending) == (None, [], 0)


def test_eof_after_whole_messages(codec):
    reader = codec.chunking.MessageReader()
    reader.feed(STREAM)
    assert reader.eof() is None
    assert reader.feed(SUCCESS) == [SUCCESS_ITEM]


def test_an_error_is_the_last_item_and_the_reader_is_dead(codec):
    bad = framed(b"\xb1\x71\x91\xdf")
    for cut in range(len(SUCCESS + record(1) + bad) + 1):
        reader = codec.chunking.MessageReader()
        *items, error = feed(reader, SUCCESS + record(1) + bad + record(2) + SUCCESS, cut)
        assert items == [SUCCESS_ITEM, [(1,)]]
        assert exact(error) == exact(UnpackError("0xDF is a reserved marker", 3))
        assert (reader.feed(SUCCESS), reader.feed(b""), reader.eof(), reader.pending) == ([], [], None, 0)
        assert reader.answers == 1


BAD_MESSAGES = [
    (b"\x01", "a message must be a structure, not what marker 0x01 begins", 0),
    (b"\x92\x70\x01", "a message must be a structure, not what marker 0x92 begins", 0),
    (b"\xdc\x00\x70", "a message must be a structure, not what marker 0xDC begins", 0),
    (b"\xb0", "a structure's tag needs 1 more bytes, 0 are left", 0),
    (b"\xb1\x70", "the data ends where a value is due", 2),
    (b"\xb2\x70\xa0", "the data ends where a value is due", 3),
    (b"\xb1\x70\xa0\x01", "1 bytes are left over after the value", 3),
    (b"\xb0\x70\x01\x01", "2 bytes are left over after the value", 2),
    (b"\xb1\x71", "the data ends where a value is due", 2),
    (b"\xb1\x71\xa0", "a RECORD must hold one list, not what marker 0xA0 begins", 2),
    (b"\xb1\x71\xc0", "a RECORD must hold one list, not what marker 0xC0 begins", 2),
    (b"\xb1\x71\xb1\x44\x00", "a RECORD must hold one list, not what marker 0xB1 begins", 2),
    (b"\xb1\x71\x91", "a list of 1 elements cannot fit into what is left (0 bytes)", 2),
    (b"\xb1\x71\xd4", "the size of a list needs 1 more bytes, 0 are left", 2),
    (b"\xb1\x71\x90\x01", "1 bytes are left over after the value", 3),
    (b"\xb1\x71\x92\x01\x82a", "a string needs 2 more bytes, 1 are left", 4),
    (b"\xb1\x71\x91\x81\xff", "a string is not valid UTF-8: invalid start byte", 3),
]


@pytest.mark.parametrize("content, reason, offset", BAD_MESSAGES, ids=[bad[0].hex() for bad in BAD_MESSAGES])
def test_bad_messages(codec, content, reason, offset):
    expected = exact([UnpackError(reason, offset)])
    for size in (65535, 1, 2):
        stream = framed(content, size)
        assert exact(codec.chunking.MessageReader().feed(stream)) == expected
        assert exact(feed(codec.chunking.MessageReader(), stream, *range(1, len(stream)))) == expected
    assert (
        str(codec.chunking.MessageReader().feed(framed(content))[0])
        == f"{reason} (at byte {offset} of the message)"
    )


def test_an_error_keeps_nothing_alive(codec):
    class Reader(codec.chunking.MessageReader):
        pass

    gc.collect()
    gc.disable()
    try:
        reader = Reader()
        gone = weakref.ref(reader)
        (error,) = reader.feed(framed(b"\xb1\x70\xdf"))
        del reader
        assert gone() is None
        assert type(error) is UnpackError
    finally:
        gc.enable()


# Limits


def test_oversize_at_header_time(codec):
    reader = codec.chunking.MessageReader(max_message_size=10)
    ok = framed(b"\xb1\x70\x87seventh")
    assert len(ok) == 2 + 10 + 2
    assert reader.feed(ok) == [(0x70, "seventh")]
    # Not one byte of it has arrived.
    assert exact(reader.feed(b"\x00\x0b")) == exact([UnpackError("a message is longer than 10 bytes", 10)])
    assert reader.feed(ok) == []


def test_oversize_over_several_chunks(codec):
    for size in range(1, 11):
        reader = codec.chunking.MessageReader(max_message_size=10)
        assert reader.feed(framed(b"\xb1\x70\x87seventh", size)) == [(0x70, "seventh")]
        items = reader.feed(framed(b"\xb1\x70\x88eightyth", size)[:-3])
        assert exact(items) == exact([UnpackError("a message is longer than 10 bytes", 10)])
        assert reader.pending == 0


def test_limits_can_be_set(codec):
    reader = codec.chunking.MessageReader(max_message_size=3, max_depth=1, max_elements=1)
    assert (reader.max_message_size, reader.max_depth, reader.max_elements) == (3, 1, 1)
    reader.max_message_size, reader.max_depth, reader.max_elements = 100, 2, 2
    assert (reader.max_message_size, reader.max_depth, reader.max_elements) == (100, 2, 2)
    assert reader.feed(framed(b"\xb1\x70\x92\x91\x01\x01")) == [(0x70, [[1], 1])]
    reader.max_elements = None
    assert reader.max_elements == 2**31 - 1
    assert reader.feed(framed(b"\xb1\x70\x93\x01\x01\x01")) == [(0x70, [1, 1, 1])]
    reader.max_depth = 1
    (error,) = reader.feed(framed(b"\xb1\x70\x91\x91\x01"))
    assert exact(error) == exact(UnpackError("nested deeper than 1 levels", 3))


def test_defaults(codec):
    reader = codec.chunking.MessageReader()
    assert (reader.max_message_size, reader.max_depth) == (2**31 - 1, DEFAULT_MAX_DEPTH)
    assert (reader.max_elements, reader.noops, reader.answers, reader.pending) == (2**31 - 1, 0, 0, 0)


@pytest.mark.parametrize(
    "value, reason",
    [
        (b"\x93\x01\x02\x03", "a list of 3 elements: at most 2 are allowed"),
        (b"\xd4\x03\x01\x02\x03", "a list of 3 elements: at most 2 are allowed"),
        (b"\xa3\x81a\x01\x81b\x01\x81c\x01", "a map of 3 elements: at most 2 are allowed"),
        (b"\xd8\x03\x81a\x01\x81b\x01\x81c\x01", "a map of 3 elements: at most 2 are allowed"),
    ],
)
def test_max_elements(codec, value, reason):
    for signature, message in ((0x70, b"\xb1\x70" + value), (0x71, b"\xb1\x71\x91" + value)):
        assert len(codec.chunking.MessageReader(max_elements=3).feed(framed(message))) == 1
        (error,) = codec.chunking.MessageReader(max_elements=2).feed(framed(message))
        assert exact(error) == exact(UnpackError(reason, 2 if signature == 0x70 else 3))


def test_max_elements_of_a_row(codec):
    reader = codec.chunking.MessageReader(max_elements=2)
    assert reader.feed(record(1, 2)) == [[(1, 2)]]
    assert exact(reader.feed(record(1, 2, 3))) == exact(
        [UnpackError("a list of 3 elements: at most 2 are allowed", 2)]
    )


@pytest.mark.parametrize("levels", [-1, MAX_DEPTH + 1, 10**9])
def test_depths_that_no_stack_holds(codec, levels):
    text = f"max_depth must be 0 to {MAX_DEPTH} levels, not {levels}"
    with pytest.raises(ValueError, match=text):
        codec.chunking.MessageReader(max_depth=levels)
    reader = codec.chunking.MessageReader()
    with pytest.raises(ValueError, match=text):
        reader.max_depth = levels
    assert reader.max_depth == DEFAULT_MAX_DEPTH


@pytest.mark.parametrize("level", [b"\x91", b"\xa1\x81k", b"\xb1\x01", b"\xb4\x4e\x01\x90\xa1\x81k"])
def test_the_deepest_depth_fits_into_a_small_stack(codec, level):
    """Threads have less stack than the main one."""
    found = []

    def read() -> None:
        content = b"\xb1\x70" + level * MAX_DEPTH + b"\x01" + b"\x8100" * (level[0] == 0xB4)
        found.extend(codec.chunking.MessageReader(max_depth=MAX_DEPTH).feed(framed(content)))

    # Tracing each line, as for coverage, takes several times as much, and so does the address sanitizer.
    plain = sys.gettrace() is None and "asan" not in os.environ.get("LD_PRELOAD", "")
    old = threading.stack_size((512 if plain else 8192) * 1024)
    try:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old)
    assert len(found) == 1


# Large messages


def test_large_messages_in_every_way(codec):
    text = "0123456789abcdef" * 12_500  # 200 000 bytes
    content = b"\xb1\x70\xd2" + len(text).to_bytes(4, "big") + text.encode()
    for chunk in (65535, 16384, 8191, 1):
        stream = framed(content, chunk)
        for piece in (len(stream), 65536, 7001):
            reader = codec.chunking.MessageReader()
            out = [
                item for at in range(0, len(stream), piece) for item in reader.feed(stream[at : at + piece])
            ]
            assert out == [(0x70, text)]


def test_a_huge_message_is_let_go(codec):
    content = b"\xb1\x70\xce" + (5_000_000).to_bytes(4, "big") + bytes(5_000_000)
    stream = framed(content)
    tracemalloc.start()
    try:
        reader = codec.chunking.MessageReader()
        before = tracemalloc.get_traced_memory()[0]
        for at in range(0, len(stream), 65536):
            for item in reader.feed(stream[at : at + 65536]):
                assert len(item[1]) == 5_000_000
        del item
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
        assert reader.feed(SUCCESS) == [SUCCESS_ITEM]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("end", ["eof", "error"])
def test_a_broken_reader_lets_go(codec, end):
    content = b"\xb1\x70\xce" + (3_000_000).to_bytes(4, "big") + bytes(3_000_000)
    stream = framed(content)[:-100]
    tracemalloc.start()
    try:
        reader = codec.chunking.MessageReader(max_message_size=3_000_000)
        before = tracemalloc.get_traced_memory()[0]
        if end == "eof":
            reader.max_message_size = 4_000_000
            reader.feed(stream)
            assert reader.pending > 2_900_000
            assert type(reader.eof()) is UnpackError
        else:
            (error,) = reader.feed(stream)
            assert str(error).startswith("a message is longer")
            del error
        assert reader.pending == 0
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("chunk, piece", [(1, 3), (2, 4096), (65535, 2)])
def test_small_pieces_cost_no_more_memory_than_their_bytes(codec, chunk, piece):
    content = b"\xb1\x70\xce" + (400_000).to_bytes(4, "big") + bytes(100_000)
    stream = framed(content, chunk)[: -2 if chunk < 65535 else None]
    reader = codec.chunking.MessageReader()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for at in range(0, len(stream), piece):
            assert reader.feed(stream[at : at + piece]) in ([],)
            if reader.pending >= 99_000:
                break
        assert tracemalloc.get_traced_memory()[0] - before < 300_000
    finally:
        tracemalloc.stop()


# Re-entrancy and accidents


def test_feeding_from_inside_is_refused(codec, monkeypatch):
    if codec.name == "python":
        seen = []

        def zone(name):
            with pytest.raises(LocalProtocolError, match="the reader is reading already"):
                reader.feed(SUCCESS)
            seen.append(name)
            raise ValueError

        monkeypatch.setattr(codec.packstream, "ZoneInfo", zone)
        reader = codec.chunking.MessageReader()
        assert len(reader.feed(framed(b"\xb1\x70\xb3\x69\x00\x00\x81Z"))) == 1
        assert seen == ["Z"]
        assert reader.feed(SUCCESS) == [SUCCESS_ITEM]
    else:
        # The compiled twin's ZoneInfo cannot be replaced, but what it imports can: in a process of its own.
        program = (
            "import sys, zoneinfo\n"
            "real, seen = zoneinfo.ZoneInfo, []\n"
            "class Zone(real):\n"
            "    def __new__(cls, name):\n"
            "        try: reader.feed(b'\\0\\0')\n"
            "        except Exception as exc: seen.append(repr(exc))\n"
            "        return real(name)\n"
            "zoneinfo.ZoneInfo = Zone\n"
            f"sys.path[:0] = {sys.path!r}\n"
            "from asyncbolt._chunking import MessageReader\n"
            "reader = MessageReader()\n"
            "item = b'\\xb1\\x70\\xb3\\x69\\0\\0\\x83UTC'\n"
            "data = len(item).to_bytes(2, 'big') + item + b'\\0\\0'\n"
            "zone = reader.feed(data)[0][1].tzinfo\n"
            "print(seen, zone, reader.feed(data)[0][1].tzinfo, len(seen), reader.noops)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        once = "[\"LocalProtocolError('the reader is reading already')\"]"
        assert (done.stdout, done.stderr) == (f"{once} UTC UTC 1 0\n", "")


def test_an_accident_ends_the_stream(codec, monkeypatch):
    """Whatever it was, such as no memory: where the next message begins is not known any more."""
    if codec.name == "python":

        def zone(name):
            raise KeyboardInterrupt

        monkeypatch.setattr(codec.packstream, "ZoneInfo", zone)
        reader = codec.chunking.MessageReader()
        with pytest.raises(KeyboardInterrupt):
            reader.feed(framed(b"\xb1\x70\xb3\x69\x00\x00\x81Z", 3))
        assert (reader.feed(SUCCESS), reader.eof(), reader.pending) == ([], None, 0)
    else:
        program = (
            "import sys, zoneinfo\n"
            "class Zone(zoneinfo.ZoneInfo):\n"
            "    def __new__(cls, name): raise KeyboardInterrupt\n"
            "zoneinfo.ZoneInfo = Zone\n"
            f"sys.path[:0] = {sys.path!r}\n"
            "from asyncbolt._chunking import MessageReader\n"
            "reader = MessageReader()\n"
            "item = b'\\xb1\\x70\\xb3\\x69\\0\\0\\x83UTC'\n"
            "data = len(item).to_bytes(2, 'big') + item + b'\\0\\0'\n"
            "try: reader.feed(data)\n"
            "except KeyboardInterrupt: print(reader.feed(data), reader.eof(), reader.pending)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.stderr) == ("[] None 0\n", "")


def test_a_subclass_that_forgets_to_initialise_is_no_crash(codec):
    class Reader(codec.chunking.MessageReader):
        def __init__(self) -> None:
            pass

    reader = Reader()
    for call in (lambda: reader.feed(SUCCESS), lambda: reader.max_depth, reader.eof, lambda: reader.skip(0)):
        outcome(call)


def test_readers_share_nothing(codec):
    first, second = codec.chunking.MessageReader(), codec.chunking.MessageReader()
    first.skip(0)
    first.feed(SUCCESS[:3])
    assert second.feed(record(1) + SUCCESS) == [[(1,)], SUCCESS_ITEM]
    assert first.feed(SUCCESS[3:]) == [SUCCESS_ITEM]


def test_random_bytes_give_an_error_or_messages(codec):
    rnd = random.Random(7)
    for _ in range(3000):
        reader = codec.chunking.MessageReader()
        data = rnd.randbytes(rnd.randrange(1, 40))
        if rnd.random() < 0.7:
            data = framed(b"\xb1" + rnd.choice([b"\x70", b"\x71"]) + data)
        items = reader.feed(data)
        assert all(type(item) in (list, tuple) for item in items[:-1])
        assert not items or type(items[-1]) in (list, tuple, UnpackError)
