"""Where messages end in a stream of chunks, without looking into them."""

from __future__ import annotations

__all__: list[str] = []


class Borders:
    """Follows chunk headers through data cut anywhere.

    Both ends need it while one message decides how the next is to be read: HELLO's answer the form of
    date-times (the utc patch of Bolt 4.3 and 4.4), LOGON's answer the limits.
    """

    __slots__ = ("_high", "_inside", "_left")

    def __init__(self) -> None:
        self._left = 0  # bytes of the current chunk that are still to come
        self._high = -1  # the first byte of a chunk header that was cut in two
        self._inside = False

    def find(self, data: bytes, start: int = 0) -> int:
        """Go on from *start* and return the index behind the first message that ends; -1 when none does."""
        pos = start
        size = len(data)
        while pos < size:
            left = self._left
            if left:
                step = min(left, size - pos)
                self._left = left - step
                pos += step
                continue
            if self._high < 0:
                if size - pos < 2:
                    self._high = data[pos]
                    break
                length = data[pos] << 8 | data[pos + 1]
                pos += 2
            else:
                length = self._high << 8 | data[pos]
                self._high = -1
                pos += 1
            if length:
                self._left = length
                self._inside = True
            elif self._inside:
                self._inside = False
                return pos
        return -1

    def pass_over(self, data: bytes) -> None:
        """Go on to the end of *data*."""
        pos = 0
        while pos >= 0:
            pos = self.find(data, pos)
