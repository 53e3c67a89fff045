"""Checks of options in the moment in which they are given."""

from __future__ import annotations

import operator
from typing import Any, Final

__all__ = ["MOST", "fetch_size", "seconds", "whole"]

MOST: Final = 2**63 - 1
"""The largest integer that Bolt can carry."""


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """Return *value* as an int; whatever counts as one (``__index__``) is taken, bool excepted.

    Raises:
        TypeError: it is no integer.
        ValueError: it is below *least*, or larger than Bolt's integers.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is an integer, not {type(value).__name__} ({_shown(value)})") from None
    if not least <= number <= MOST:
        raise ValueError(f"{name} is at least {least} and below 2**63, not {_shown(number)}")
    return number


def fetch_size(value: Any) -> int:
    """Return *value* as the number of rows of a portion: -1 (all), or at least 1. Raises as :func:`whole`."""
    try:
        return whole("fetch_size", value, least=-1) or whole("fetch_size", 0)
    except ValueError:
        raise ValueError(
            f"fetch_size is -1 (all), or at least 1 and below 2**63, not {_shown(value)}"
        ) from None


def seconds(name: str, value: Any, *, above: bool = False) -> float:
    """Return *value* as a number of seconds; infinity is one.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative or not a number (NaN); with *above*, also for 0.
    """
    if type(value) is not float:
        try:
            if isinstance(value, (bool, str, bytes, bytearray)):
                raise TypeError
            value = float(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"{name} is a number of seconds, not {type(value).__name__} ({_shown(value)})"
            ) from None
        except OverflowError:
            raise ValueError(f"{name} is too large a number of seconds") from None
    if not (value > 0 if above else value >= 0):
        raise ValueError(f"{name} is {'above 0' if above else '0 or more'} seconds, not {value!r}")
    number: float = value
    return number


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or value.bit_length() < 200 else "a huge number"
    return text if len(text) <= 60 else f"{text[:60]}..."
