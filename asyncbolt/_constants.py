"""Numbers of the Bolt protocol that more than one floor needs.

The compiled twins hold the same numbers in ``_wire.pxd``; a test compares the two.
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["DEFAULT_MAX_DEPTH", "MAGIC", "MAX_CHUNK", "MAX_SIZE", "NEWEST", "Message", "Tag", "Version"]

Version = tuple[int, int]
"""A Bolt version as (major, minor)."""

NEWEST: Final[Version] = (6, 1)

MAGIC: Final = b"\x60\x60\xb0\x17"

MAX_SIZE: Final = 0x7FFF_FFFF
"""The largest size of a string, byte array, list or map on the wire (items or bytes)."""

DEFAULT_MAX_DEPTH: Final = 200
"""Levels of nested lists, maps and structures that the codec reads or writes.

The pure twin spends two Python frames on each, so this stays far below the recursion limit.
"""

MAX_DEPTH: Final = 400
"""The most levels that a limit can be set to: the stack must hold them, in both twins."""

MAX_ZONE_NAME: Final = 255
"""The longest name that is looked up as a time zone (characters): readers remember the names they met."""

MAX_CHUNK: Final = 0xFFFF
"""The largest chunk (bytes): its header is an unsigned 16-bit number."""


class Message(enum.IntEnum):
    """Signatures of the messages of every Bolt version.

    A signature that changed its name has both: ``HELLO`` was ``INIT`` up to Bolt 2, ``PULL`` and ``DISCARD``
    were ``PULL_ALL`` and ``DISCARD_ALL`` up to Bolt 3.
    """

    HELLO = 0x01
    INIT = 0x01
    GOODBYE = 0x02
    ACK_FAILURE = 0x0E
    RESET = 0x0F
    RUN = 0x10
    BEGIN = 0x11
    COMMIT = 0x12
    ROLLBACK = 0x13
    DISCARD = 0x2F
    DISCARD_ALL = 0x2F
    PULL = 0x3F
    PULL_ALL = 0x3F
    TELEMETRY = 0x54
    ROUTE = 0x66
    LOGON = 0x6A
    LOGOFF = 0x6B
    SUCCESS = 0x70
    RECORD = 0x71
    IGNORED = 0x7E
    FAILURE = 0x7F


class Tag(enum.IntEnum):
    """Tags of the structures that carry values."""

    DATE = 0x44
    DURATION = 0x45
    LEGACY_DATE_TIME = 0x46
    DATE_TIME = 0x49
    NODE = 0x4E
    PATH = 0x50
    RELATIONSHIP = 0x52
    TIME = 0x54
    VECTOR = 0x56
    POINT_2D = 0x58
    POINT_3D = 0x59
    UNSUPPORTED_TYPE = 0x3F
    LOCAL_DATE_TIME = 0x64
    LEGACY_DATE_TIME_ZONE_ID = 0x66
    DATE_TIME_ZONE_ID = 0x69
    UNBOUND_RELATIONSHIP = 0x72
    LOCAL_TIME = 0x74
