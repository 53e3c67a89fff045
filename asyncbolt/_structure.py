"""A structure that the codec has no class for, kept as it came."""

from __future__ import annotations

from typing import Any, Final, final

__all__ = ["Structure"]

_MAX_TAG: Final = 0x7F
_MAX_FIELDS: Final = 15


@final
class Structure:
    """A tag and up to 15 fields, as PackStream has them.

    A value that the standard library cannot express (a year of 20000, an unknown time zone ...) is read as a
    Structure, and a Structure packs back to the bytes that it came from.

    *tag* is 0..127, *fields* are values that can be packed. Raises :exc:`ValueError` when the tag is outside
    that range or there are too many fields, :exc:`TypeError` when the tag is no int.
    """

    __slots__ = ("fields", "tag")
    __match_args__ = ("tag", "fields")

    tag: int
    fields: tuple[Any, ...]

    def __init__(self, tag: int, /, *fields: Any) -> None:
        if not isinstance(tag, int):
            raise TypeError(f"the tag of a Structure is an int, not {type(tag).__name__}")
        if not 0 <= tag <= _MAX_TAG:
            raise ValueError(f"the tag of a Structure is 0..{_MAX_TAG}, not {int(tag)}")
        if len(fields) > _MAX_FIELDS:
            raise ValueError(f"a Structure has at most {_MAX_FIELDS} fields, not {len(fields)}")
        self.tag = int(tag)
        self.fields = fields

    def __eq__(self, other: object) -> bool:
        if type(other) is not Structure:
            return NotImplemented
        return self.tag == other.tag and self.fields == other.fields

    def __hash__(self) -> int:
        return hash((Structure, self.tag, self.fields))

    def __repr__(self) -> str:
        return f"Structure({', '.join([f'0x{self.tag:02X}', *map(repr, self.fields)])})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Structure, (self.tag, *self.fields)
