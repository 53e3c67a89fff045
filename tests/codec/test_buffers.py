"""What asyncbolt 0.0.2 offered: buffers of chunks, the parser of chunks, single messages."""

from __future__ import annotations

import io
import random
import sys
import tracemalloc

import pytest
from exact import outcome

import asyncbolt
from asyncbolt import Message
from asyncbolt.chunking import (
    BoltParser,
    deserialize_message,
    message_deserializer,
    message_serializer,
    serialize_message,
)
from asyncbolt.exceptions import PackError, UnpackError
from asyncbolt.time import Duration


def blocks_of(codec, size: int, *messages: bytes) -> list[bytes]:
    buffer = codec.chunking.ChunkedWriteBuffer(size)
    for message in messages:
        buffer.write(message)
        buffer.write_eof()
    return list(buffer.flush())


def messages_in(stream: bytes) -> list[bytes]:
    found, at, content = [], 0, b""
    while at < len(stream):
        size = int.from_bytes(stream[at : at + 2], "big")
        at += 2
        if size:
            content += stream[at : at + size]
            at += size
        else:
            found.append(content)
            content = b""
    assert content == b""
    return found


# ChunkedWriteBuffer


@pytest.mark.parametrize("size", [5, 6, 7, 8, 16, 100, 8192, 65539])
def test_blocks(codec, size):
    """Whatever the sizes: the messages are in the blocks, and no block is longer than asked for."""
    rnd = random.Random(size)
    messages = [rnd.randbytes(length) for length in (1, 2, 3, 4, 5, 6, 17, 90, 200, 300, 8190, 8192)]
    blocks = blocks_of(codec, size, *messages)
    assert all(0 < len(block) <= size for block in blocks)
    assert all(type(block) is bytes for block in blocks)
    assert messages_in(b"".join(blocks)) == messages
    reader = codec.chunking.MessageReader
    assert type(reader().feed(b"".join(blocks_of(codec, size, b"\xb0\x0f")))[0]) is tuple


def test_a_block_is_filled(codec):
    assert blocks_of(codec, 8, b"abcd") == [b"\0\4abcd\0\0"]
    assert blocks_of(codec, 8, b"abcde") == [b"\0\5abcde", b"\0\0"]
    assert blocks_of(codec, 8, b"abcdefgh") == [b"\0\6abcdef", b"\0\2gh\0\0"]
    assert blocks_of(codec, 16, b"ab", b"cd", b"ef") == [b"\0\2ab\0\0\0\2cd\0\0\0\2ef", b"\0\0"]


def test_large_blocks_have_several_chunks(codec):
    (block,) = blocks_of(codec, 65539, b"x" * 65535)
    assert block == b"\xff\xff" + b"x" * 65535 + b"\0\0"
    assert blocks_of(codec, 65539, b"x" * 65536) == [b"\xff\xff" + b"x" * 65535, b"\0\1x\0\0"]


@pytest.mark.parametrize("size", [4, 0, -1, 65540, 10**6])
def test_wrong_block_sizes(codec, size):
    with pytest.raises(ValueError, match=f"^max_chunk_size must be 5 to 65539 bytes, not {size}$"):
        codec.chunking.ChunkedWriteBuffer(size)


def test_writing_in_pieces(codec):
    buffer = codec.chunking.ChunkedWriteBuffer(100)
    for piece in (b"a", bytearray(b"b"), memoryview(b"cd"), b""):
        buffer.write(piece)
    assert buffer.getvalue() == b""
    buffer.write_eof()
    buffer.write(b"unfinished")
    assert buffer.getvalue() == b"\0\4abcd\0\0"
    assert buffer.getvalue() == b""
    buffer.write_eof()
    assert list(buffer.flush()) == [b"\0\x0aunfinished\0\0"]
    assert list(buffer.flush()) == []


def test_getvalue_gives_the_oldest(codec):
    buffer = codec.chunking.ChunkedWriteBuffer(5)
    buffer.write(b"abcdef")
    buffer.write_eof()
    taken = list(iter(buffer.getvalue, b""))
    assert messages_in(b"".join(taken)) == [b"abcdef"]
    assert all(len(block) <= 5 for block in taken)
    assert len(taken) >= 2


def test_an_empty_message_is_a_noop(codec):
    buffer = codec.chunking.ChunkedWriteBuffer(100)
    buffer.write_eof()
    assert buffer.getvalue() == b"\0\0"


@pytest.mark.parametrize("wrong", ["text", None, 5, 1.5])
def test_only_bytes_are_written(codec, wrong):
    buffer = codec.chunking.ChunkedWriteBuffer(100)
    buffer.write(b"ab")
    with pytest.raises(TypeError):
        buffer.write(wrong)
    buffer.write_eof()
    assert buffer.getvalue() == b"\0\2ab\0\0"


# ChunkedReadBuffer


def test_reading(codec):
    buffer = codec.chunking.ChunkedReadBuffer()
    assert not buffer.ready
    buffer.feed_data(b"abc")
    buffer.feed_data(bytearray(b"de"))
    assert not buffer.ready
    buffer.feed_eof()
    assert buffer.ready is True
    buffer.feed_data(memoryview(b"next"))
    buffer.feed_eof()
    assert bytes(buffer.read(2)) == b"ab"
    assert bytes(buffer.read(0)) == b""
    assert buffer.ready
    assert bytes(buffer.read(3)) == b"cde"
    assert buffer.ready
    assert bytes(buffer.read(4)) == b"next"
    assert buffer.ready is False


def test_reading_too_much_takes_nothing(codec):
    buffer = codec.chunking.ChunkedReadBuffer()
    with pytest.raises(UnpackError, match="a read from an empty buffer needs 1 more bytes, 0 are left"):
        buffer.read(1)
    buffer.feed_data(b"abc")
    buffer.feed_eof()
    buffer.read(1)
    for count in (3, 4, 2**31, sys.maxsize):
        with pytest.raises(UnpackError, match=f"a read needs {count} more bytes, 2 are left") as caught:
            buffer.read(count)
        assert caught.value.offset == 1
    with pytest.raises(ValueError, match="not negative"):
        buffer.read(-1)
    assert bytes(buffer.read(2)) == b"bc"


def test_an_empty_message_is_none(codec):
    buffer = codec.chunking.ChunkedReadBuffer()
    buffer.feed_eof()
    buffer.feed_data(b"")
    buffer.feed_eof()
    assert not buffer.ready


def test_what_was_read_stays(codec):
    buffer = codec.chunking.ChunkedReadBuffer()
    data = bytearray(b"abcdef")
    buffer.feed_data(data)
    buffer.feed_eof()
    part = buffer.read(3)
    data[:] = b"......"
    buffer.feed_data(b"other" * 100)
    buffer.feed_eof()
    buffer.read(3)
    buffer.read(500)
    del buffer
    assert bytes(part) == b"abc"


@pytest.mark.parametrize("wrong", ["text", None, 5])
def test_only_bytes_are_fed(codec, wrong):
    buffer = codec.chunking.ChunkedReadBuffer()
    with pytest.raises(TypeError):
        buffer.feed_data(wrong)
    buffer.feed_eof()
    assert not buffer.ready


def test_subclasses_that_forget_to_initialise_are_no_crash(codec):
    class Reader(codec.chunking.ChunkedReadBuffer):
        def __init__(self) -> None:
            pass

    class Writer(codec.chunking.ChunkedWriteBuffer):
        def __init__(self) -> None:
            pass

    reader, writer = Reader(), Writer()
    for call in (
        lambda: reader.feed_data(b"x"), reader.feed_eof, lambda: reader.read(1), lambda: reader.ready,
        lambda: writer.write(b"x"), writer.write_eof, writer.getvalue, lambda: list(writer.flush()),
    ):  # fmt: skip
        outcome(lambda call=call: repr(call()))


# BoltParser


class Seen:
    def __init__(self) -> None:
        self.events: list[bytes | None] = []

    def on_chunk(self, chunk: bytes) -> None:
        self.events.append(chunk)

    def on_message_complete(self) -> None:
        self.events.append(None)


STREAM = b"\0\0\0\2\xb0\x0f\0\0\0\0\0\3\xb1\x70\xa0\0\1x\0\0\1\0" + b"z" * 256 + b"\0\0\0\0"
EVENTS = [b"\xb0\x0f", None, b"\xb1\x70\xa0", b"x", None, b"z" * 256, None]


def test_parser_at_every_cut():
    for cut in range(len(STREAM) + 1):
        seen = Seen()
        parser = BoltParser(seen)
        parser.feed_data(STREAM[:cut])
        parser.feed_data(bytearray(STREAM[cut:]))
        assert seen.events == EVENTS
        assert all(type(event) in (bytes, type(None)) for event in seen.events)


def test_parser_byte_by_byte():
    seen = Seen()
    parser = BoltParser(seen)
    for index in range(len(STREAM)):
        parser.feed_data(memoryview(STREAM)[index : index + 1])
    assert seen.events == EVENTS


def test_parser_without_callbacks():
    class Ends:
        ends = 0

        def on_message_complete(self) -> None:
            self.ends += 1

    BoltParser(object()).feed_data(STREAM)
    only = Ends()
    BoltParser(only).feed_data(STREAM)
    assert only.ends == 3


def test_parser_goes_on_after_an_exception():
    class Once(Seen):
        def on_chunk(self, chunk: bytes) -> None:
            super().on_chunk(chunk)
            if chunk == b"\xb1\x70\xa0":
                raise KeyError(chunk)

    seen = Once()
    parser = BoltParser(seen)
    with pytest.raises(KeyError):
        parser.feed_data(STREAM)
    parser.feed_data(b"")
    assert seen.events == EVENTS


def test_parser_feeds_a_read_buffer(codec):
    """As a protocol of 0.0.2 was written."""

    class Protocol:
        def __init__(self) -> None:
            self.buffer = codec.chunking.ChunkedReadBuffer()
            self.messages: list[object] = []

        def on_chunk(self, chunk: bytes) -> None:
            self.buffer.feed_data(chunk)

        def on_message_complete(self) -> None:
            self.buffer.feed_eof()
            while self.buffer.ready:
                self.messages.append(deserialize_message(self.buffer))

    sent = [
        (0x01, ["client/1.0", {"scheme": "basic"}]),
        (0x10, ["RETURN $x", {"x": [1, {"k": 2.5}]}]),
        (0x3F, []),
    ]
    buffer = codec.chunking.ChunkedWriteBuffer(7)
    for signature, params in sent:
        assert serialize_message(signature, buf=buffer, params=params) is buffer
    stream = b"".join(buffer.flush())
    for cut in range(len(stream)):
        protocol = Protocol()
        parser = BoltParser(protocol)
        parser.feed_data(stream[:cut])
        parser.feed_data(stream[cut:])
        init, run, pull = protocol.messages
        assert (init.signature, init.client_name, init.auth_token) == (
            Message.INIT,
            "client/1.0",
            {"scheme": "basic"},
        )
        assert (run.signature, run.statement, run.parameters) == (0x10, "RETURN $x", {"x": [1, {"k": 2.5}]})
        assert (pull.signature, len(pull)) == (Message.PULL_ALL, 1)


# Single messages


def test_the_names_of_the_readme():
    assert (
        asyncbolt.message_serializer is asyncbolt.serialize_message is serialize_message is message_serializer
    )
    assert asyncbolt.message_deserializer is asyncbolt.deserialize_message is deserialize_message
    assert message_deserializer is deserialize_message
    buf = asyncbolt.serialize_message(Message.RUN, params=("RETURN 1", {}))
    assert type(buf) is asyncbolt.ChunkedWriteBuffer
    data = buf.getvalue()
    assert data == b"\x00\x0c\xb2\x10\x88RETURN 1\xa0\x00\x00"


@pytest.mark.parametrize(
    "signature, params, names",
    [
        (0x01, ["c", {}], ["client_name", "auth_token"]),
        (0x10, ["s", {}], ["statement", "parameters"]),
        (0x10, ["s", {}, {"db": "x"}], ["statement", "parameters", "extra"]),
        (0x70, [{"k": 1}], ["metadata"]),
        (0x7E, [{}], ["metadata"]),
        (0x7F, [{"code": "x"}], ["metadata"]),
        (0x71, [[1, 2]], ["fields"]),
        (0x7E, [], []),
        (0x0F, [], []),
    ],
)
def test_shapes(codec, signature, params, names):
    buffer = codec.chunking.ChunkedReadBuffer()
    buffer.feed_data(messages_in(serialize_message(signature, params=params).getvalue())[0])
    buffer.feed_eof()
    message = deserialize_message(buffer)
    assert message._fields == ("signature", *names)
    assert type(message.signature) is Message
    assert list(message) == [signature, *params]
    assert not buffer.ready


def test_other_messages_have_a_list_of_fields():
    for signature, params in ((0x66, [{}, [], {}]), (0x42, [1]), (0x70, [{}, {}]), (0x71, [])):
        data = messages_in(serialize_message(signature, params=params).getvalue())[0]
        message = deserialize_message(io.BytesIO(data))
        assert message.signature == signature
        if params:
            assert message.fields == params


def test_values_of_every_kind():
    values = [
        1,
        -17,
        2**40,
        1.5,
        "x" * 300,
        b"y" * 70_000,
        [1] * 300,
        {"k" * 20: {}},
        None,
        True,
        Duration(1, 2, 3, 4),
    ]
    data = messages_in(b"".join(serialize_message(0x71, params=[values], max_chunk_size=100).flush()))[0]
    assert deserialize_message(io.BytesIO(data)).fields == values


def test_version_of_a_message():
    with pytest.raises(PackError):
        serialize_message(0x71, params=[[Duration(1)]], version=(1, 0))
    data = messages_in(serialize_message(0x71, params=[[Duration(1)]]).getvalue())[0]
    (raw,) = deserialize_message(io.BytesIO(data), version=(1, 0)).fields
    assert type(raw) is asyncbolt.Structure


def test_a_message_that_cannot_be_packed_writes_nothing(codec):
    buffer = codec.chunking.ChunkedWriteBuffer(100)
    with pytest.raises(PackError):
        serialize_message(0x10, buf=buffer, params=["x" * 50, {"k": object()}])
    serialize_message(0x0F, buf=buffer)
    assert list(buffer.flush()) == [b"\0\2\xb0\x0f\0\0"]


def test_several_messages_in_one_buffer(codec):
    buffer = codec.chunking.ChunkedReadBuffer()
    for number in range(5):
        buffer.feed_data(messages_in(serialize_message(0x71, params=[[number]]).getvalue())[0])
        buffer.feed_eof()
    assert [deserialize_message(buffer).fields for _ in range(5)] == [[number] for number in range(5)]
    with pytest.raises(UnpackError):
        deserialize_message(buffer)


HOSTILE = [
    b"",
    b"\xb1",
    b"\x01\x02",
    b"\x91\x01",
    b"\xb1\x70",
    b"\xb1\x70\xd2\x7f\xff\xff\xff",
    b"\xb1\x70\xd6\x7f\xff\xff\xff\x01",
    b"\xb1\x70\xda\xff\xff\xff\xff\x01",
    b"\xb1\x70\xdf",
    b"\xb1\x70\xa1\x01\x01",
    b"\xb1\x70\x81\xff",
    b"\xb1\x70" + b"\x91" * 5000 + b"\x01",
    b"\xb1\x70\xb1",
    b"\xb1\x70\xb1\x90\x01",
    b"\xb1\x70\xc9\x00",
    b"\xb1\x70\xce\xff\xff\xff\xff",
]


@pytest.mark.parametrize("data", HOSTILE, ids=[data[:12].hex() for data in HOSTILE])
def test_hostile_messages(codec, data):
    def buffers():
        yield io.BytesIO(data)
        buffer = codec.chunking.ChunkedReadBuffer()
        buffer.feed_data(data)
        buffer.feed_eof()
        yield buffer

    for buffer in buffers():
        tracemalloc.start()
        try:
            with pytest.raises(UnpackError):
                deserialize_message(buffer)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()


def test_random_messages():
    rnd = random.Random(2)
    ends = set()
    for _ in range(3000):
        data = bytes([rnd.choice([0xB0, 0xB1, 0xB2, 0xB3])]) + rnd.randbytes(rnd.randrange(20))
        try:
            deserialize_message(io.BytesIO(data))
            ends.add("message")
        except UnpackError:
            ends.add("error")
    assert ends == {"message", "error"}


def test_truncated_messages():
    whole = messages_in(
        serialize_message(0x10, params=["RETURN 1", {"k": [1, 2.5, b"x", "y" * 20]}]).getvalue()
    )[0]
    for cut in range(len(whole)):
        with pytest.raises(UnpackError):
            deserialize_message(io.BytesIO(whole[:cut]))
