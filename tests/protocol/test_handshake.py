"""Offers, varints, manifests, and every way in which a handshake can go wrong, from both ends."""

from __future__ import annotations

import re

import pytest
from vectors import entries

from asyncbolt._constants import MAGIC, Version
from asyncbolt.exceptions import HandshakeError
from asyncbolt.protocol import (
    VERSIONS,
    ClientConnection,
    ConnectionFailed,
    Goodbye,
    HandshakeDone,
    HandshakeReason,
    ServerConnection,
    State,
)
from asyncbolt.protocol.handshake import (
    DEFAULT_OFFERS,
    FALLBACK_OFFERS,
    decode_offer,
    decode_varint,
    encode_manifest,
    encode_offer,
    encode_offers,
    encode_varint,
    offers_for,
)

NEO4J_5 = "000001ff0300040404000404050002080500"
NEO4J_2026 = "000001ff040004040400040405000208050001010600"


def hexes(*offers: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(offer) for offer in offers)


# Offers


@pytest.mark.parametrize("entry", entries("offers"), ids=lambda entry: entry["hex"])
def test_decode_offer(entry: dict[str, object]) -> None:
    assert isinstance(entry["hex"], str) and isinstance(entry["versions"], list)
    offer = bytes.fromhex(entry["hex"])
    versions = tuple((major, minor) for major, minor in entry["versions"])
    assert decode_offer(offer) == versions
    if versions:
        assert encode_offer(versions[0], len(versions) - 1) == offer


@pytest.mark.parametrize("offer", ["00090805", "00010003", "00020104"])
def test_offer_below_minor_zero(offer: str) -> None:
    with pytest.raises(ValueError, match="below minor version 0"):
        decode_offer(bytes.fromhex(offer))


@pytest.mark.parametrize("offer", [b"", b"\0\0\0", b"\0\0\0\1\0"])
def test_offer_of_another_size(offer: bytes) -> None:
    with pytest.raises(ValueError, match="4 bytes"):
        decode_offer(offer)


@pytest.mark.parametrize(
    ("version", "lower"), [((5, 8), 9), ((0, 1), 0), ((255, 1), 0), ((4, 256), 0), ((4, 1), -1)]
)
def test_no_such_offer(version: Version, lower: int) -> None:
    with pytest.raises(ValueError, match="is no offer"):
        encode_offer(version, lower)


def test_default_offers() -> None:
    wanted = "6060b017 000001ff 00080805 00040404 00000003"
    assert ClientConnection().data_to_send() == bytes.fromhex(wanted)
    assert encode_offers(DEFAULT_OFFERS) == bytes.fromhex(wanted)
    assert encode_offers(VERSIONS) == bytes.fromhex(wanted)
    assert encode_offers(FALLBACK_OFFERS) == bytes.fromhex("6060b017 00000001 00000002 00000000 00000000")


@pytest.mark.parametrize(
    ("versions", "offers"),
    [
        ([(1, 0)], ("00000001",)),
        ([(1, 0), (2, 0)], ("00000001", "00000002")),
        ([(6, 1)], ("00000106",)),
        ([(5, 4), (5, 3)], ("00010405",)),
        ([(5, 3), (5, 4)], ("00000305", "00000405")),
        ([(5, 6), (5, 4)], ("00020605",)),
        ([(5, 8), (5, 4)], ("000001ff", "00000805", "00000405")),
        ([(6, 1), (6, 0)], ("000001ff", "00010106")),
        ([(6, 0), (5, 8), (5, 7), (4, 4)], ("000001ff", "00000006", "00010805", "00000404")),
        ([(6, 0), (5, 8), (4, 4), (3, 0)], ("000001ff", "00000805", "00000404", "00000003")),
        # Servers below 4.3 do not understand ranges.
        ([(4, 4), (4, 3), (4, 2), (4, 1), (4, 0)], ("00040404", "00000204", "00000104", "00000004")),
        ([(4, 2), (4, 1), (3, 0)], ("00010204", "00000204", "00000104", "00000003")),
        # The range itself says 4.2 to them.
        ([(4, 2), (4, 1), (4, 0), (3, 0)], ("00020204", "00000104", "00000004", "00000003")),
        (
            [*((5, minor) for minor in (8, 7, 6, 4, 3, 2, 1, 0)), (4, 4), (4, 3), (4, 2), (4, 1), (3, 0)],
            ("00080805", "00030404", "00000104", "00000003"),
        ),
        ([(4, 4), (4, 3)], ("00010404",)),
        ([(3, 0), (2, 0), (1, 0)], ("00000003", "00000002", "00000001")),
    ],
)
def test_offers_for_versions(versions: list[Version], offers: tuple[str, ...]) -> None:
    filled = hexes(*offers) + (bytes(4),) * (4 - len(offers))
    assert offers_for(versions) == filled
    assert ClientConnection(versions=versions).data_to_send() == MAGIC + b"".join(filled)


def test_offers_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="no Bolt version that asyncbolt speaks"):
        ClientConnection(versions=[(5, 5)])
    with pytest.raises(ValueError, match="no Bolt version is given"):
        ClientConnection(versions=[])
    with pytest.raises(ValueError, match="up to four"):
        ClientConnection(offers=[bytes(4)] * 5)
    with pytest.raises(ValueError, match="4 bytes"):
        ClientConnection(offers=[b"\0\0\3"])
    with pytest.raises(ValueError, match="not both"):
        encode_offers([bytes(4), (3, 0)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="not more than one"):
        ClientConnection(version=(5, 4), versions=[(5, 4)])


# Varints


@pytest.mark.parametrize("entry", entries("varints"), ids=lambda entry: entry["hex"])
def test_varint(entry: dict[str, str]) -> None:
    value, data = int(entry["value"]), bytes.fromhex(entry["hex"])
    assert decode_varint(data) == (value, len(data))
    assert decode_varint(data + b"\xff") == (value, len(data))
    if "note" not in entry:
        assert encode_varint(value) == data


@pytest.mark.parametrize("data", ["80" * 10, "80" * 10 + "00", "ff" * 9 + "02", "ff" * 9 + "7f"])
def test_varint_too_long(data: str) -> None:
    with pytest.raises(HandshakeError, match="longer than 10 bytes") as caught:
        decode_varint(bytes.fromhex(data))
    assert caught.value.reason is HandshakeReason.BAD_VARINT


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_varint_out_of_range(value: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        encode_varint(value)


def test_varint_cut_off() -> None:
    with pytest.raises(HandshakeError) as caught:
        decode_varint(b"\x80\x80")
    assert caught.value.reason is HandshakeReason.INCOMPLETE


# Manifests


@pytest.mark.parametrize(
    ("manifest", "newest"),
    [(NEO4J_5, (5, 8)), (NEO4J_2026, (6, 1)), ("000001ff0300000006000808050004040405", (6, 0))],
)
def test_client_takes_the_newest(manifest: str, newest: Version) -> None:
    client = ClientConnection()
    client.data_to_send()
    (done,) = client.receive_data(bytes.fromhex(manifest))
    assert isinstance(done, HandshakeDone) and done.manifest
    assert done.version == client.version == newest and client.manifest
    assert client.data_to_send() == bytes((0, 0, newest[1], newest[0], 0))


def test_client_takes_what_it_prefers() -> None:
    client = ClientConnection(versions=[(5, 4), (5, 8), (4, 4)])
    client.data_to_send()
    client.receive_data(bytes.fromhex(NEO4J_5))
    assert client.version == (5, 4)


def test_server_writes_the_manifest_of_real_servers() -> None:
    new = [version for version in VERSIONS if version >= (4, 0)]
    assert encode_manifest(new) == bytes.fromhex(NEO4J_2026)
    assert encode_manifest([version for version in new if version < (6, 0)]) == bytes.fromhex(NEO4J_5)
    assert encode_manifest([(5, 4)], capabilities=300) == bytes.fromhex("000001ff0100000405ac02")


def test_manifest_from_both_ends_byte_by_byte() -> None:
    client, server = ClientConnection(), ServerConnection()
    events: list[object] = []
    for _ in range(3):
        for byte in client.data_to_send():
            events += server.receive_data(bytes((byte,)))
        for byte in server.data_to_send():
            events += client.receive_data(bytes((byte,)))
    assert [type(event) for event in events] == [HandshakeDone, HandshakeDone]
    assert client.version == server.version == (6, 1)
    assert client.state is server.state is State.NEGOTIATION


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", [True, False])
def test_each_version(version: Version, manifest: bool) -> None:
    client = ClientConnection(versions=[version])
    server = ServerConnection(manifest=manifest)
    (event,) = server.receive_data(client.data_to_send())
    assert isinstance(event, HandshakeDone) and event.version == version and not event.manifest
    (event_too,) = client.receive_data(server.data_to_send())
    assert isinstance(event_too, HandshakeDone) and event_too.version == version


@pytest.mark.parametrize(
    ("offers", "served", "taken"),
    [
        # What Neo4j does: the highest version of a range that it has, the first slot that fits.
        ("00090905 00000000 00000000 00000000", VERSIONS, (5, 8)),
        ("00010505 00000000 00000000 00000000", VERSIONS, (5, 4)),
        ("00080805 00000000 00000000 00000000", [(5, 1), (5, 0), (4, 4)], (5, 1)),
        ("00020404 00000204 00000004 00000003", [(4, 2), (3, 0)], (4, 2)),
        ("00000000 00000000 00000000 00000001", VERSIONS, (1, 0)),
        ("00000404 00000405 00000000 00000000", VERSIONS, (4, 4)),
        # A manifest behind an offer that fits does not count; byte 0 of an offer is not looked at.
        ("00000404 000001ff 00000000 00000000", VERSIONS, (4, 4)),
        ("07000404 00000000 00000000 00000000", VERSIONS, (4, 4)),
        # An unknown manifest version is skipped.
        ("000002ff 00000404 00000000 00000000", VERSIONS, (4, 4)),
    ],
)
def test_server_chooses(offers: str, served: list[Version], taken: Version) -> None:
    server = ServerConnection(versions=served)
    (done,) = server.receive_data(MAGIC + bytes.fromhex(offers))
    assert isinstance(done, HandshakeDone)
    assert server.version == taken
    assert server.data_to_send() == bytes((0, 0, taken[1], taken[0]))


def test_manifest_bytes_without_meaning() -> None:
    server = ServerConnection(versions=[(5, 8)])
    assert not server.manifest and server.version is None and server.state is State.HANDSHAKE
    assert server.receive_data(MAGIC + bytes.fromhex("abcd01ff000000000000000000000000")) == []
    assert server.data_to_send() == bytes.fromhex("000001ff010000080500")


def test_server_without_manifest_passes_over_it() -> None:
    server = ServerConnection(manifest=False)
    server.receive_data(ClientConnection().data_to_send())
    assert server.version == (5, 8) and not server.manifest


# Failures, in the client


def failing_client(reply: bytes, split: bool, eof: bool = False) -> tuple[ClientConnection, HandshakeError]:
    client = ClientConnection()
    client.data_to_send()
    events = []
    for piece in [reply[index : index + 1] for index in range(len(reply))] if split else [reply]:
        events += client.receive_data(piece)
    if eof:
        assert events == []
        events += client.receive_eof()
    (failed,) = events
    assert isinstance(failed, ConnectionFailed) and isinstance(failed.error, HandshakeError)
    assert client.closed and client.error is failed.error and client.state is State.DEFUNCT
    assert client.receive_data(b"more") == [] and client.receive_eof() == []
    return client, failed.error


R = HandshakeReason


@pytest.mark.parametrize("split", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize(
    ("reply", "reason", "text"),
    [
        (bytes(4), R.NO_COMMON_VERSION, "none of the Bolt versions that were offered"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", R.HTTP, "HTTP"),
        (bytes.fromhex("15030300020228"), R.TLS, "TLS"),
        (bytes.fromhex("1603010200"), R.TLS, "TLS"),
        (bytes.fromhex("00000002"), R.NOT_OFFERED, r"Bolt 2\.0, which was not offered"),
        (bytes.fromhex("00000006"), R.NOT_OFFERED, r"Bolt 6\.0"),
        (bytes.fromhex("00000505"), R.NOT_OFFERED, r"Bolt 5\.5"),
        (bytes.fromhex("00080805"), R.NOT_BOLT, "00 08 08 05"),
        (b"SSH-2.0-OpenSSH", R.NOT_BOLT, "'SSH-'"),
        (bytes.fromhex("000002ff00"), R.UNKNOWN_MANIFEST, "version 2 of the manifest"),
        (bytes.fromhex("000001ff" + "80" * 10), R.BAD_VARINT, "longer than 10 bytes"),
        (bytes.fromhex("000001ff" + "0100040404" + "ff" * 10), R.BAD_VARINT, "longer than 10 bytes"),
        (bytes.fromhex("000001ff" + "ffffffff0f"), R.BAD_MANIFEST, "4294967295 offers"),
        (bytes.fromhex("000001ff" + "0100090805" + "00"), R.BAD_MANIFEST, "below minor version 0"),
    ],
)
def test_client_gets_what_it_cannot_use(reply: bytes, split: bool, reason: R, text: str) -> None:
    client, error = failing_client(reply, split)
    assert error.reason is reason

    assert re.search(text, str(error))
    assert client.data_to_send() == b""


@pytest.mark.parametrize("split", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("manifest", ["000001ff 01 0000000b 00", "000001ff 00 00", "000001ff 01 00000505 00"])
def test_client_finds_nothing_in_the_manifest(manifest: str, split: bool) -> None:
    client, error = failing_client(bytes.fromhex(manifest), split)
    assert error.reason is R.NO_COMMON_VERSION
    assert client.data_to_send() == bytes(5)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", R.CLOSED_BEFORE_REPLY),
        ("00", R.INCOMPLETE),
        ("000008", R.INCOMPLETE),
        ("000001ff", R.INCOMPLETE),
        ("000001ff01", R.INCOMPLETE),
        ("000001ff010000", R.INCOMPLETE),
        ("000001ff0100040404", R.INCOMPLETE),
        ("000001ff010004040480", R.INCOMPLETE),
    ],
)
def test_client_meets_the_end(reply: str, reason: R) -> None:
    _, error = failing_client(bytes.fromhex(reply), True, eof=True)
    assert error.reason is reason
    assert "closed" in str(error)


def test_wrong_guess() -> None:
    client = ClientConnection(version=(5, 8))
    client.send_hello("t/1")
    client.send_logon()
    client.send_run("RETURN 1")
    assert client.version == (5, 8)
    assert client.data_to_send().startswith(MAGIC + bytes.fromhex("00000805" + "00" * 12))
    (failed,) = client.receive_data(bytes(4))
    assert isinstance(failed, ConnectionFailed) and isinstance(failed.error, HandshakeError)
    assert failed.error.reason is R.NO_COMMON_VERSION
    assert len(client.outstanding) == 3


# Failures, in the server


@pytest.mark.parametrize("split", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize(
    ("said", "reason", "reply"),
    [
        (b"GET / HTTP/1.1\r\n", R.HTTP, b""),
        (b"POST / HTTP/1.1\r\n", R.HTTP, b""),
        (bytes.fromhex("16030102000100"), R.TLS, b""),
        (b"\0\0" + MAGIC, R.NOT_BOLT, b""),
        (b"SSH-2.0", R.NOT_BOLT, b""),
        (MAGIC + bytes(16), R.NO_COMMON_VERSION, bytes(4)),
        (MAGIC + bytes.fromhex("00000007") * 4, R.NO_COMMON_VERSION, bytes(4)),
        (MAGIC + bytes.fromhex("00000505") + bytes(12), R.NO_COMMON_VERSION, bytes(4)),
        (MAGIC + bytes.fromhex("000002ff") * 4, R.NO_COMMON_VERSION, bytes(4)),
        # A range below minor 0 closes the connection, whatever the other slots hold.
        (MAGIC + bytes.fromhex("00000405 00090805") + bytes(8), R.BAD_OFFER, b""),
    ],
)
def test_server_hears_what_it_cannot_use(said: bytes, split: bool, reason: R, reply: bytes) -> None:
    server = ServerConnection()
    events = []
    for piece in [said[index : index + 1] for index in range(len(said))] if split else [said]:
        events += server.receive_data(piece)
    (failed,) = events
    assert isinstance(failed, ConnectionFailed) and isinstance(failed.error, HandshakeError)
    assert failed.error.reason is reason
    assert server.closed and server.state is State.DEFUNCT
    assert server.data_to_send() == reply


@pytest.mark.parametrize("split", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize(
    ("pick", "reason"),
    [
        ("00000505 00", R.NOT_OFFERED),
        ("00020805 00", R.NOT_OFFERED),
        ("01000805 00", R.NOT_OFFERED),
        ("00000805 01", R.NOT_OFFERED),
        ("00000000 00", R.NO_COMMON_VERSION),
        ("00000805 8080808080808080808000", R.BAD_VARINT),
    ],
)
def test_server_closes_on_a_wrong_pick(pick: str, split: bool, reason: R) -> None:
    server = ServerConnection()
    assert server.receive_data(ClientConnection().data_to_send()) == []
    server.data_to_send()
    data = bytes.fromhex(pick)
    events = []
    for piece in [data[index : index + 1] for index in range(len(data))] if split else [data]:
        events += server.receive_data(piece)
    (failed,) = events
    assert isinstance(failed, ConnectionFailed) and isinstance(failed.error, HandshakeError)
    assert failed.error.reason is reason
    assert server.data_to_send() == b""


@pytest.mark.parametrize(
    ("said", "reason"),
    [("", R.CLOSED_BEFORE_REPLY), ("6060", R.INCOMPLETE), ("6060b0170000", R.INCOMPLETE)],
)
def test_server_meets_the_end(said: str, reason: R) -> None:
    server = ServerConnection()
    assert server.receive_data(bytes.fromhex(said)) == []
    (failed,) = server.receive_eof()
    assert isinstance(failed, ConnectionFailed) and isinstance(failed.error, HandshakeError)
    assert failed.error.reason is reason
    assert not isinstance(failed, Goodbye)


def test_reasons_are_text() -> None:
    assert str(R.HTTP) == "the peer speaks HTTP"
    error = HandshakeError("x", reason=R.TLS)
    assert error.reason == R.TLS and str(error) == "x"
