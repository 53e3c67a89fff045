"""What real servers and the official driver said, decoded and written again byte for byte."""

from __future__ import annotations

import pytest
from exact import exact
from recordings import CLIENT, SERVER, load_all, messages_in

from asyncbolt._constants import Message
from asyncbolt._structure import Structure

# The largest chunk of the official driver, and of the servers.
CHUNKS = {CLIENT: 16384, SERVER: 65535}

every_recording = pytest.mark.parametrize("recording", load_all(), ids=repr)
both_sides = pytest.mark.parametrize("side", [CLIENT, SERVER])


def utc_patch(codec, recording) -> bool:
    """Whether the server granted the patch, in its answer to HELLO."""
    reader = codec.chunking.MessageReader(recording.version, runs=False)
    return "utc" in reader.feed(recording.stream(SERVER))[0][1].get("patch_bolt", [])


def test_both_forms_of_date_times_are_there(codec):
    seen = {utc_patch(codec, recording) for recording in load_all() if recording.version < (5, 0)}
    assert seen == {False, True}


@every_recording
@both_sides
def test_byte_for_byte(codec, recording, side):
    patch = utc_patch(codec, recording)
    stream = recording.stream(side)
    found = messages_in(stream)
    reader = codec.chunking.MessageReader(recording.version, utc_patch=patch, runs=False)
    writer = codec.chunking.MessageWriter(
        recording.version, utc_patch=patch, graph=side == SERVER, max_chunk_size=CHUNKS[side]
    )
    read = reader.feed(stream)
    assert len(read) == len(found) > 10
    for (start, stop, content), (signature, *fields) in zip(found, read, strict=True):
        assert signature == content[1]
        assert (
            codec.packstream.pack(Structure(signature, *fields), version=recording.version, utc_patch=patch)
            == content
        )
        assert writer.message(signature, *fields) == stream[start:stop], Message(signature)
    assert (reader.pending, reader.eof()) == (0, None)


@every_recording
def test_runs(codec, recording):
    """What a client's reader makes of it: the same rows, and they pack again as one."""
    patch = utc_patch(codec, recording)
    stream = recording.stream(SERVER)
    plain = codec.chunking.MessageReader(recording.version, utc_patch=patch, runs=False).feed(stream)
    items = codec.chunking.MessageReader(recording.version, utc_patch=patch).feed(stream)
    rows = [tuple(message[1]) for message in plain if message[0] == Message.RECORD]
    assert exact([row for run in items if type(run) is list for row in run]) == exact(rows)
    assert exact([item for item in items if type(item) is tuple]) == exact(
        [message for message in plain if message[0] != Message.RECORD]
    )
    writer = codec.chunking.MessageWriter(recording.version, utc_patch=patch, graph=True)
    again = b"".join(writer.records(item) if type(item) is list else writer.message(*item) for item in items)
    assert again == stream


@every_recording
@both_sides
def test_byte_by_byte(codec, recording, side):
    stream = recording.stream(side)
    if len(stream) > 12 * 1024:
        stream = stream[: messages_in(stream)[20][1]]  # the rest is the same again
    whole = codec.chunking.MessageReader(recording.version, runs=False).feed(stream)
    reader = codec.chunking.MessageReader(recording.version, runs=False)
    pieces = [item for index in range(len(stream)) for item in reader.feed(stream[index : index + 1])]
    assert exact(pieces) == exact(whole)


@every_recording
def test_nothing_that_a_server_sends_is_wider_than_our_limits(codec, recording):
    reader = codec.chunking.MessageReader(recording.version, max_depth=20, max_elements=5000)
    assert all(type(item) in (list, tuple) for item in reader.feed(recording.stream(SERVER)))
