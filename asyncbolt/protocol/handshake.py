"""The handshake: which version is spoken. Both ends, classic and manifest, fed any number of bytes at a time.

The client sends a magic number and four offers of 4 bytes; the server answers with 4 bytes, or (Bolt 5.7 and
newer, when asked) with a manifest out of which the client picks.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Final

from .._constants import MAGIC, Version
from ..exceptions import HandshakeError
from .versions import VERSIONS, facts, known_versions, version_text

__all__ = [
    "DEFAULT_OFFERS",
    "FALLBACK_OFFERS",
    "MANIFEST",
    "ClientHandshake",
    "HandshakeReason",
    "ServerHandshake",
    "decode_offer",
    "encode_manifest",
    "encode_offer",
    "encode_offers",
    "encode_varint",
    "offers_for",
]

MANIFEST: Final = b"\x00\x00\x01\xff"
"""The offer, and the reply, that mean manifest version 1."""

NO_OFFER: Final = b"\x00\x00\x00\x00"

DEFAULT_OFFERS: Final = (MANIFEST, b"\x00\x08\x08\x05", b"\x00\x04\x04\x04", b"\x00\x00\x00\x03")
"""Manifest, 5.8 - 5.0, 4.4 - 4.0, 3."""

FALLBACK_OFFERS: Final = (b"\x00\x00\x00\x01", b"\x00\x00\x00\x02", NO_OFFER, NO_OFFER)
"""What is offered on a second connection to a server that took none of the default offers: 1, then 2."""

_SLOTS: Final = 4
_MAX_MANIFEST: Final = 256  # offers: a server with more of them is no server
_MAX_VARINT: Final = 10  # bytes: 64 bits
_SKIPPED: Final = (5, 5)  # never spoken by anyone, so a range may run across it


class HandshakeReason(str, enum.Enum):
    """Why a handshake failed: the ``reason`` of a :exc:`~asyncbolt.exceptions.HandshakeError`."""

    NO_COMMON_VERSION = "no common version"
    CLOSED_BEFORE_REPLY = "closed before any byte of the handshake"
    INCOMPLETE = "closed inside the handshake"
    HTTP = "the peer speaks HTTP"
    TLS = "the peer speaks TLS"
    NOT_BOLT = "the peer does not speak Bolt"
    NOT_OFFERED = "a version that was not offered"
    UNKNOWN_MANIFEST = "an unknown manifest version"
    BAD_MANIFEST = "a manifest that makes no sense"
    BAD_VARINT = "an integer longer than 10 bytes"
    BAD_OFFER = "an offer that makes no sense"

    def __str__(self) -> str:
        return self.value


def _error(reason: HandshakeReason, text: str) -> HandshakeError:
    return HandshakeError(text, reason=reason)


# Offers


def encode_offer(version: Version, lower: int = 0) -> bytes:
    """Return the 4 bytes that offer *version* and *lower* consecutive lower minors (ranges: Bolt 4.3).

    Raises :exc:`ValueError` when the range leaves the major version.
    """
    major, minor = version
    if not 0 <= lower <= minor <= 0xFF or not 0 < major < 0xFF:
        raise ValueError(f"{version!r} with {lower} lower minors is no offer")
    return bytes((0, lower, minor, major))


def decode_offer(offer: bytes) -> tuple[Version, ...]:
    """Return the versions that 4 bytes offer, highest first; none for a filler or a manifest.

    Raises :exc:`ValueError` for a range that is longer than its minor version allows, or other than 4 bytes.
    """
    if len(offer) != 4:
        raise ValueError(f"an offer has 4 bytes, not {len(offer)}")
    _, lower, minor, major = offer
    if major in (0, 0xFF):
        return ()
    if lower > minor:
        raise ValueError(f"offer {offer.hex()} reaches below minor version 0")
    return tuple((major, minor - step) for step in range(lower + 1))


def _groups(
    versions: Iterable[Version], across: frozenset[Version] = frozenset()
) -> list[tuple[Version, int]]:
    """Join neighbours into ranges of (highest, number of lower minors); *across* may lie inside a range."""
    groups: list[tuple[Version, int]] = []
    for major, minor in versions:
        if groups:
            (top_major, top_minor), lower = groups[-1]
            missing = top_minor - lower - 1
            while missing > minor and (top_major, missing) in across:
                missing -= 1
            if top_major == major and missing == minor:
                groups[-1] = ((top_major, top_minor), top_minor - minor)
                continue
        groups.append(((major, minor), 0))
    return groups


def offers_for(versions: Iterable[Version]) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the four offers that stand for *versions*, given in order of preference.

    Neighbours become ranges; servers below 4.3 do not understand those, so such versions are offered exactly
    too where there is room, the oldest of them when it is scarce, since newer servers know it as well.
    Several versions of which one is 5.7 or newer bring the manifest, before everything else. When four slots
    are too few, the manifest gives way first where every server can do without (up to 5.8), then what only
    servers with the manifest speak, and then what stands last. Raises :exc:`ValueError` for a version that is
    not spoken.
    """
    wanted = known_versions(versions)
    manifest = len(wanted) > 1 and any("manifest" in facts(version).features for version in wanted)
    groups = _groups(wanted, frozenset({_SKIPPED}))
    # Versions inside a range that their servers do not understand.
    hidden = any(
        lower and "ranges" not in facts((major, minor - lower)).features for (major, minor), lower in groups
    )
    if len(groups) + hidden >= _SLOTS and not any("manifest_only" in facts(one).features for one in wanted):
        manifest = False
    room = _SLOTS - manifest
    if manifest and len(groups) > room:
        groups = [group for group in groups if "manifest_only" not in facts(group[0]).features] or groups
    del groups[room:]
    spare = room - len(groups)
    slots = [MANIFEST] if manifest else []
    for (major, minor), lower in groups:
        slots.append(encode_offer((major, minor), lower))
        if lower:
            steps = [(major, minor - step) for step in range(lower + 1)]
            exact = [
                step for step in steps if step != _SKIPPED and "ranges" not in facts(step).features
            ]
            exact = exact[max(0, len(exact) - spare) :]
            slots.extend(map(encode_offer, exact))
            spare -= len(exact)
    slots.extend([NO_OFFER] * (_SLOTS - len(slots)))
    return slots[0], slots[1], slots[2], slots[3]


def encode_offers(offers: Iterable[Version] | Iterable[bytes]) -> bytes:
    """Return the 20 bytes with which a client begins.

    *offers* is up to four offers of 4 bytes each, or versions in order of preference (see
    :func:`offers_for`). Raises :exc:`ValueError` for anything else.
    """
    given: list[bytes] = []
    versions: list[Version] = []
    for offer in offers:
        if isinstance(offer, (bytes, bytearray)):
            given.append(bytes(offer))
        else:
            versions.append((offer[0], offer[1]))
    if given and versions:
        raise ValueError("offers are either versions or 4 bytes each, not both")
    slots: Sequence[bytes] = given if given else offers_for(versions)
    if len(slots) > _SLOTS or any(len(slot) != 4 for slot in slots):
        raise ValueError("a client makes up to four offers of 4 bytes each")
    return MAGIC + b"".join(slots) + NO_OFFER * (_SLOTS - len(slots))


# The variable-length integers of the manifest


def encode_varint(value: int) -> bytes:
    """Return *value* (0 to 2**64 - 1) in groups of 7 bits, least significant first."""
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{value} does not fit into 64 bits")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Varint:
    """One integer, byte by byte."""

    __slots__ = ("size", "value")

    def __init__(self) -> None:
        self.value = 0
        self.size = 0

    def feed(self, byte: int) -> bool:
        """Take one byte; tell whether it was the last. Raises :exc:`HandshakeError` when it is too long."""
        self.value |= (byte & 0x7F) << (7 * self.size)
        self.size += 1
        last = not byte & 0x80
        if (not last and self.size == _MAX_VARINT) or self.value >= 1 << 64:
            raise _error(
                HandshakeReason.BAD_VARINT,
                f"an integer of the manifest handshake is longer than {_MAX_VARINT} bytes or 64 bits",
            )
        return last


def decode_varint(data: bytes) -> tuple[int, int]:
    """Return the integer at the start of *data* and the number of bytes it takes.

    Raises :exc:`~asyncbolt.exceptions.HandshakeError` when it is too long or incomplete.
    """
    varint = _Varint()
    for byte in data:
        if varint.feed(byte):
            return varint.value, varint.size
    raise _error(HandshakeReason.INCOMPLETE, "the data ends inside an integer of the manifest handshake")


def encode_manifest(versions: Iterable[Version], capabilities: int = 0) -> bytes:
    """Return the reply of a server to a client that asked for the manifest: steps 1 to 3 in one piece."""
    groups = _groups(sorted(set(versions), reverse=True))
    groups.reverse()
    return b"".join(
        (
            MANIFEST,
            encode_varint(len(groups)),
            *(encode_offer(top, lower) for top, lower in groups),
            encode_varint(capabilities),
        )
    )


# The two ends


def _printable(data: bytes) -> str:
    text = data.hex(" ")
    if data and all(0x20 <= byte < 0x7F for byte in data):
        text += f" ({data.decode('ascii')!r})"
    return text


class ClientHandshake:
    """The client's end, from the 20 bytes on.

    Args:
        offers: four offers of 4 bytes.
        preference: which versions to take out of a manifest, best first; also what a classic reply may name.

    Attributes:
        outgoing: bytes to send, to be taken and cleared by the owner.
        version: the version agreed on, or None as long as there is none.
        manifest: whether it was agreed on by the manifest handshake.
    """

    __slots__ = (
        "_accepted",
        "_count",
        "_held",
        "_offered",
        "_preference",
        "_read",
        "_step",
        "_varint",
        "manifest",
        "outgoing",
        "version",
    )

    def __init__(self, offers: Sequence[bytes], preference: Sequence[Version] = VERSIONS) -> None:
        self.outgoing = encode_offers(offers)
        self.version: Version | None = None
        self.manifest = False
        self._offered = [offer for offer in offers if offer != NO_OFFER]
        self._preference = tuple(preference)
        self._accepted = {version for offer in offers for version in decode_offer(offer)} & set(preference)
        self._held = bytearray()
        self._step = self._reply
        self._varint = _Varint()
        self._count = 0
        self._read: set[Version] = set()

    def feed(self, data: bytes) -> bytes:
        """Take *data* and return what lies behind the handshake (empty until it is done).

        Raises :exc:`~asyncbolt.exceptions.HandshakeError` when the handshake has failed; what ``outgoing``
        then holds is still owed to the server.
        """
        for index, byte in enumerate(data):
            if self._step(byte):
                return data[index + 1 :]
        return b""

    def eof(self) -> HandshakeError:
        """Return what an end of the stream here means."""
        if not self._held and not self.manifest:
            return _error(
                HandshakeReason.CLOSED_BEFORE_REPLY,
                "the server closed the connection before it answered the handshake",
            )
        return _error(
            HandshakeReason.INCOMPLETE,
            "the server closed the connection inside the handshake"
            + (", in its manifest" if self.manifest else f", after {len(self._held)} of 4 bytes"),
        )

    def _reply(self, byte: int) -> bool:
        held = self._held
        held.append(byte)
        if len(held) < 4:
            return False
        reply = bytes(held)
        if reply == MANIFEST and MANIFEST in self._offered:
            self.manifest = True
            self._step = self._number_of_offers
            return False
        if reply == NO_OFFER:
            raise _error(
                HandshakeReason.NO_COMMON_VERSION,
                f"the server speaks none of the Bolt versions that were offered ({self._offers_text()})",
            )
        if reply == b"HTTP":
            raise _error(
                HandshakeReason.HTTP,
                "the server answered with HTTP: this looks like the port of a web server, not of Bolt",
            )
        if reply[:2] in (b"\x15\x03", b"\x16\x03"):
            raise _error(
                HandshakeReason.TLS,
                "the server answered with a TLS record: the port wants an encrypted connection",
            )
        zero, lower, minor, major = reply
        if major == 0xFF and zero == lower == 0:
            raise _error(
                HandshakeReason.UNKNOWN_MANIFEST,
                f"the server answered with version {minor} of the manifest handshake, which was not offered",
            )
        if (major, minor) in self._accepted and zero == lower == 0:
            self.version = (major, minor)
            return True
        if zero == lower == 0 and major <= 0x1F:
            raise _error(
                HandshakeReason.NOT_OFFERED,
                f"the server answered with Bolt {version_text((major, minor))}, which was not offered"
                f" ({self._offers_text()})",
            )
        raise _error(
            HandshakeReason.NOT_BOLT, f"the server does not speak Bolt: it answered with {_printable(reply)}"
        )

    def _offers_text(self) -> str:
        return " ".join(offer.hex() for offer in self._offered)

    def _number_of_offers(self, byte: int) -> bool:
        if self._varint.feed(byte):
            self._count = self._varint.value
            self._varint = _Varint()
            if self._count > _MAX_MANIFEST:
                raise _error(
                    HandshakeReason.BAD_MANIFEST, f"the server's manifest claims {self._count} offers"
                )
            self._held.clear()
            self._step = self._manifest_offer if self._count else self._capabilities
        return False

    def _manifest_offer(self, byte: int) -> bool:
        held = self._held
        held.append(byte)
        if len(held) == 4:
            try:
                self._read.update(decode_offer(bytes(held)))
            except ValueError as exc:
                raise _error(HandshakeReason.BAD_MANIFEST, f"the server's manifest: {exc}") from None
            held.clear()
            self._count -= 1
            if not self._count:
                self._step = self._capabilities
        return False

    def _capabilities(self, byte: int) -> bool:
        # No capability has a published meaning, so none is taken.
        if not self._varint.feed(byte):
            return False
        for version in self._preference:
            if version in self._read:
                self.version = version
                self.outgoing = encode_offer(version) + b"\x00"
                return True
        self.outgoing = NO_OFFER + b"\x00"
        offered = ", ".join(version_text(version) for version in sorted(self._read, reverse=True))
        raise _error(
            HandshakeReason.NO_COMMON_VERSION,
            f"the server's manifest offers none of the Bolt versions wanted, but {offered or 'nothing'}",
        )


class ServerHandshake:
    """The server's end.

    Args:
        versions: the versions served.
        manifest: whether the manifest handshake is known.

    Attributes: as :class:`ClientHandshake`.
    """

    __slots__ = (
        "_held",
        "_manifest",
        "_step",
        "_varint",
        "_versions",
        "manifest",
        "outgoing",
        "version",
    )

    def __init__(self, versions: Iterable[Version] = VERSIONS, manifest: bool = True) -> None:
        self.outgoing = b""
        self.version: Version | None = None
        self.manifest = False
        self._versions = frozenset(versions)
        self._manifest = manifest
        self._held = bytearray()
        self._varint = _Varint()
        self._step = self._magic

    def feed(self, data: bytes) -> bytes:
        """As :meth:`ClientHandshake.feed`."""
        for index, byte in enumerate(data):
            if self._step(byte):
                return data[index + 1 :]
        return b""

    def eof(self) -> HandshakeError:
        """Return what an end of the stream here means."""
        if not self._held and not self.manifest:
            return _error(
                HandshakeReason.CLOSED_BEFORE_REPLY, "the client closed the connection without a byte"
            )
        return _error(HandshakeReason.INCOMPLETE, "the client closed the connection inside the handshake")

    def _magic(self, byte: int) -> bool:
        held = self._held
        held.append(byte)
        # The reason is worth waiting for up to 4 bytes; nothing is ever written to such a peer.
        if len(held) < 4:
            return False
        first = bytes(held)
        if first == MAGIC:
            held.clear()
            self._step = self._offers
            return False
        if first in _HTTP_METHODS:
            raise _error(HandshakeReason.HTTP, f"the client speaks HTTP: it began with {_printable(first)}")
        if first[:2] == b"\x16\x03":
            raise _error(
                HandshakeReason.TLS, "the client began with a TLS handshake, but there is no TLS here"
            )
        raise _error(
            HandshakeReason.NOT_BOLT, f"the client does not speak Bolt: it began with {_printable(first)}"
        )

    def _offers(self, byte: int) -> bool:
        held = self._held
        held.append(byte)
        if len(held) < 4 * _SLOTS:
            return False
        slots = [bytes(held[start : start + 4]) for start in range(0, 4 * _SLOTS, 4)]
        held.clear()
        try:
            offers = [(slot, decode_offer(slot)) for slot in slots]
        except ValueError as exc:
            raise _error(HandshakeReason.BAD_OFFER, f"the client's handshake: {exc}") from None
        for slot, versions in offers:
            # Bytes 0 and 1 of a manifest offer carry no meaning.
            if slot[2:] == MANIFEST[2:] and self._manifest:
                self.manifest = True
                self.outgoing = encode_manifest(self._versions)
                self._step = self._pick
                return False
            for version in versions:
                if version in self._versions:
                    self.version = version
                    self.outgoing = encode_offer(version)
                    return True
        self.outgoing = NO_OFFER
        raise _error(
            HandshakeReason.NO_COMMON_VERSION,
            f"the client offered no Bolt version served here ({' '.join(slot.hex() for slot in slots)})",
        )

    def _pick(self, byte: int) -> bool:
        held = self._held
        held.append(byte)
        if len(held) == 4:
            self._step = self._picked_capabilities
        return False

    def _picked_capabilities(self, byte: int) -> bool:
        if not self._varint.feed(byte):
            return False
        pick = bytes(self._held)
        if pick == NO_OFFER:
            raise _error(
                HandshakeReason.NO_COMMON_VERSION, "the client took none of the versions of the manifest"
            )
        zero, lower, minor, major = pick
        if zero or lower or (major, minor) not in self._versions:
            raise _error(
                HandshakeReason.NOT_OFFERED,
                f"the client picked {pick.hex()}, which the manifest does not offer",
            )
        if self._varint.value:
            raise _error(
                HandshakeReason.NOT_OFFERED,
                f"the client picked capabilities {self._varint.value:#x}, and none is offered",
            )
        self.version = (major, minor)
        return True


_HTTP_METHODS: Final = frozenset(
    {b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI", b"DELE", b"PATC", b"CONN", b"PRI "}
)
