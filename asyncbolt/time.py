"""Dates, times and durations that keep nanoseconds (Bolt 2+).

:class:`Date`, :class:`Time` and :class:`DateTime` *are* the classes of the standard library, with the names
of the official Neo4j driver in addition. They work wherever ``datetime`` does, and nanoseconds survive
arithmetic, ``replace``, ``astimezone``, comparison, ``hash``, copies and pickles.

Where the standard library and the official driver give one name two meanings, the standard library's holds:
the difference of two date-times is a ``timedelta`` (a :class:`TimeDelta`, if it has nanoseconds), ``str()``
puts a space between date and time, and the seventh argument is microseconds.
"""

from __future__ import annotations

import calendar
import datetime as _dt
import re
import time as _time
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple, SupportsIndex, overload

if TYPE_CHECKING:
    from typing_extensions import Self

    _Number = float | Decimal | Fraction

__all__ = [
    "MAX_INT64",
    "MAX_YEAR",
    "MIN_INT64",
    "MIN_YEAR",
    "ClockTime",
    "Date",
    "DateTime",
    "Duration",
    "Midday",
    "Midnight",
    "Time",
    "TimeDelta",
    "UnixEpoch",
]

MIN_INT64: Final = -(2**63)
MAX_INT64: Final = 2**63 - 1
MIN_YEAR: Final = _dt.MINYEAR
MAX_YEAR: Final = _dt.MAXYEAR

_GIGA: Final = 1_000_000_000
_DAY_SECONDS: Final = 86_400
_MICROSECOND: Final = _dt.timedelta(microseconds=1)


class ClockTime(NamedTuple):
    """Seconds and nanoseconds since some epoch."""

    seconds: int
    nanoseconds: int


def _fraction(microsecond: SupportsIndex, nanosecond: int) -> tuple[int, int]:
    """Split the fraction of a second into microseconds and what is below."""
    if microsecond:
        raise ValueError("microsecond and nanosecond are both the whole fraction: give one of them")
    value = nanosecond.__index__()
    if not 0 <= value < _GIGA:
        raise ValueError(f"nanosecond must be in 0..999999999, not {value}")
    return divmod(value, 1000)


def _submicro(value: object) -> int:
    """The nanoseconds below the microsecond of any date-time, time or timedelta."""
    return value._submicro if isinstance(value, (DateTime, Time, TimeDelta)) else 0


_FRACTION_DIGITS: Final = re.compile(r"[.,](\d+)")


def _cut_fraction(text: str, date_size: int) -> tuple[str, int]:
    """Cut an ISO time down to microseconds; return also the nanoseconds below.

    *date_size* is how long what comes before the time can be: what stands there is no fraction, and a minus
    there is no UTC offset.
    """
    if text[-1:] in ("Z", "z"):
        # Python 3.10 does not know it.
        text = text[:-1] + "+00:00"
    found = _FRACTION_DIGITS.search(text, date_size)
    if found is None:
        return text, 0
    head = text[: found.start()]
    if "+" in head or "-" in head[date_size:]:
        return text, 0  # a fraction of the offset
    digits = found[1][:9].ljust(9, "0")
    return f"{head}.{digits[:6]}{text[found.end() :]}", int(digits[6:])


def _whole_nanoseconds(text: str, place: int, submicro: int) -> str:
    """Put three more digits behind the six that end at *place*."""
    return f"{text[:place]}{submicro:03d}{text[place:]}"


class TimeDelta(_dt.timedelta):
    """A ``timedelta`` with nanoseconds: what the difference of two date-times is when it has some.

    Args:
        days, seconds, microseconds, milliseconds, minutes, hours, weeks: As those of ``timedelta``.
        nanoseconds: Any number of nanoseconds in addition.
    """

    __slots__ = ("_submicro",)

    _submicro: int

    def __new__(
        cls,
        days: float = 0,
        seconds: float = 0,
        microseconds: float = 0,
        milliseconds: float = 0,
        minutes: float = 0,
        hours: float = 0,
        weeks: float = 0,
        *,
        nanoseconds: int = 0,
    ) -> Self:
        plain = _dt.timedelta(days, seconds, microseconds, milliseconds, minutes, hours, weeks)
        return cls._of(_total_nanoseconds(plain) + nanoseconds)

    @classmethod
    def _of(cls, nanoseconds: int) -> Self:
        whole, submicro = divmod(nanoseconds, 1000)
        seconds, micros = divmod(whole, 1_000_000)
        made = _dt.timedelta.__new__(cls, 0, seconds, micros)
        made._submicro = submicro
        return made

    @property
    def nanoseconds(self) -> int:
        """The fraction of a second, 0..999999999."""
        return self.microseconds * 1000 + self._submicro

    def total_nanoseconds(self) -> int:
        """The whole, in nanoseconds."""
        return _total_nanoseconds(self)

    def total_seconds(self) -> float:
        """The whole, in seconds."""
        return _total_nanoseconds(self) / _GIGA

    def __add__(self, other: _dt.timedelta) -> TimeDelta:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return TimeDelta._of(_total_nanoseconds(self) + _total_nanoseconds(other))

    __radd__ = __add__

    def __sub__(self, other: _dt.timedelta) -> TimeDelta:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return TimeDelta._of(_total_nanoseconds(self) - _total_nanoseconds(other))

    def __rsub__(self, other: _dt.timedelta) -> TimeDelta:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return TimeDelta._of(_total_nanoseconds(other) - _total_nanoseconds(self))

    def __neg__(self) -> TimeDelta:
        return TimeDelta._of(-_total_nanoseconds(self))

    def __pos__(self) -> TimeDelta:
        return self

    def __abs__(self) -> TimeDelta:
        return TimeDelta._of(abs(_total_nanoseconds(self)))

    def __mul__(self, other: float) -> TimeDelta:
        if not isinstance(other, (int, float)):
            return NotImplemented
        return TimeDelta._of(round(_total_nanoseconds(self) * _ratio(other)))

    __rmul__ = __mul__

    @overload
    def __floordiv__(self, other: _dt.timedelta) -> int: ...
    @overload
    def __floordiv__(self, other: int) -> TimeDelta: ...
    def __floordiv__(self, other: _dt.timedelta | int) -> int | TimeDelta:
        if isinstance(other, _dt.timedelta):
            return _total_nanoseconds(self) // _total_nanoseconds(other)
        if not isinstance(other, int):
            return NotImplemented
        return TimeDelta._of(_total_nanoseconds(self) // other)

    def __rfloordiv__(self, other: _dt.timedelta) -> int:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return _total_nanoseconds(other) // _total_nanoseconds(self)

    @overload
    def __truediv__(self, other: _dt.timedelta) -> float: ...
    @overload
    def __truediv__(self, other: float) -> TimeDelta: ...
    def __truediv__(self, other: _dt.timedelta | float) -> float | TimeDelta:
        if isinstance(other, _dt.timedelta):
            return _total_nanoseconds(self) / _total_nanoseconds(other)
        if not isinstance(other, (int, float)):
            return NotImplemented
        return TimeDelta._of(round(Fraction(_total_nanoseconds(self)) / _ratio(other)))

    def __rtruediv__(self, other: _dt.timedelta) -> float:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return _total_nanoseconds(other) / _total_nanoseconds(self)

    def __mod__(self, other: _dt.timedelta) -> TimeDelta:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return TimeDelta._of(_total_nanoseconds(self) % _total_nanoseconds(other))

    def __rmod__(self, other: _dt.timedelta) -> TimeDelta:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return TimeDelta._of(_total_nanoseconds(other) % _total_nanoseconds(self))

    def __divmod__(self, other: _dt.timedelta) -> tuple[int, TimeDelta]:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return self // other, self % other

    def __rdivmod__(self, other: _dt.timedelta) -> tuple[int, TimeDelta]:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return other // self, other % self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return _total_nanoseconds(self) == _total_nanoseconds(other)

    # The base class has its own, which knows no nanoseconds.
    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __lt__(self, other: _dt.timedelta) -> bool:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return _total_nanoseconds(self) < _total_nanoseconds(other)

    def __le__(self, other: _dt.timedelta) -> bool:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return _total_nanoseconds(self) <= _total_nanoseconds(other)

    def __gt__(self, other: _dt.timedelta) -> bool:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return _total_nanoseconds(self) > _total_nanoseconds(other)

    def __ge__(self, other: _dt.timedelta) -> bool:
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        return _total_nanoseconds(self) >= _total_nanoseconds(other)

    def __hash__(self) -> int:
        plain = _dt.timedelta.__hash__(self)
        return hash((plain, self._submicro)) if self._submicro else plain

    def __bool__(self) -> bool:
        return bool(self._submicro) or _dt.timedelta.__bool__(self)

    def __str__(self) -> str:
        text = _dt.timedelta.__str__(self)
        if not self._submicro:
            return text
        return f"{text}{'' if self.microseconds else '.000000'}{self._submicro:03d}"

    def __repr__(self) -> str:
        parts = [
            f"{name}={value}" for name in ("days", "seconds", "nanoseconds") if (value := getattr(self, name))
        ]
        return f"{_name(self)}({', '.join(parts) or '0'})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_timedelta, (type(self), self.days, self.seconds, self.nanoseconds)


def _restore_timedelta(cls: type[TimeDelta], days: int, seconds: int, nanoseconds: int) -> TimeDelta:
    return cls._of((days * _DAY_SECONDS + seconds) * _GIGA + nanoseconds)


def _total_nanoseconds(delta: _dt.timedelta) -> int:
    whole = (delta.days * _DAY_SECONDS + delta.seconds) * _GIGA + delta.microseconds * 1000
    return whole + delta._submicro if isinstance(delta, TimeDelta) else whole


def _ratio(number: float) -> int | Fraction:
    return number if isinstance(number, int) else Fraction(number)


def _name(value: object) -> str:
    cls = type(value)
    return f"{cls.__module__}.{cls.__qualname__}"


class Duration(tuple[int, int, int, int]):
    """Months, days, seconds and nanoseconds: an amount of time as calendars count it (Bolt 2+).

    Months and days have no fixed length, so the parts stay separate: ``Duration(days=1)`` is not
    ``Duration(hours=24)``. Seconds and nanoseconds are one amount, whatever its two parts are on the wire:
    two durations are equal when their months, their days and that amount are. A fraction of a month or of a
    day is cut off.

    Args:
        years, months: Any number, also fractions as long as they make whole months.
        weeks, days: The same, for days.
        hours, minutes, seconds, milliseconds, microseconds, nanoseconds: Any number.

    Raises:
        ValueError: Months, days or seconds do not fit into 64 bits.
    """

    __slots__ = ()

    min: ClassVar[Duration]
    max: ClassVar[Duration]

    def __new__(
        cls,
        years: _Number = 0,
        months: _Number = 0,
        weeks: _Number = 0,
        days: _Number = 0,
        hours: _Number = 0,
        minutes: _Number = 0,
        seconds: _Number = 0,
        milliseconds: _Number = 0,
        microseconds: _Number = 0,
        nanoseconds: _Number = 0,
    ) -> Self:
        whole = (_exact(hours) * 60 + _exact(minutes)) * 60 + _exact(seconds)
        below = _exact(milliseconds) * 1_000_000 + _exact(microseconds) * 1000 + _exact(nanoseconds)
        return cls._normal(
            int(_exact(years) * 12 + _exact(months)),
            int(_exact(weeks) * 7 + _exact(days)),
            int(whole * _GIGA + below),
        )

    @classmethod
    def _make(cls, months: int, days: int, seconds: int, nanoseconds: int) -> Self:
        """Take the four numbers as they are."""
        return tuple.__new__(cls, (months, days, seconds, nanoseconds))

    @classmethod
    def _normal(cls, months: int, days: int, nanoseconds: int) -> Self:
        """Seconds and nanoseconds get the sign of their sum."""
        seconds, rest = _cut(nanoseconds, _GIGA)
        for part in (months, days, seconds):
            if not MIN_INT64 <= part <= MAX_INT64:
                raise ValueError(f"a part of a Duration does not fit into 64 bits: {part}")
        return cls._make(months, days, seconds, rest)

    @classmethod
    def from_timedelta(cls, delta: _dt.timedelta) -> Self:
        """Make a Duration of the days, the seconds and the fraction of a ``timedelta``."""
        return cls._make(0, delta.days, delta.seconds, delta.microseconds * 1000 + _submicro(delta))

    @classmethod
    def from_iso_format(cls, s: str) -> Self:
        """Read ISO 8601's form, such as ``P1Y2M3DT4H5M6.789S``; each number may have a minus.

        Raises:
            ValueError: *s* has another form.
        """
        found = _ISO_DURATION.fullmatch(s) if isinstance(s, str) else None
        if found is None or s[-1] in "PT":
            raise ValueError(f"not a duration in ISO 8601's form: {s!r}")
        years, months, weeks, days, hours, minutes = (int(found[n] or 0) for n in range(1, 7))
        sign = -1 if (found[7] or "").startswith("-") else 1
        nanos = int(found[7] or 0) * _GIGA + sign * int((found[8] or "")[:9].ljust(9, "0"))
        return cls._normal(years * 12 + months, weeks * 7 + days, (hours * 60 + minutes) * 60 * _GIGA + nanos)

    fromisoformat = from_iso_format

    @property
    def months(self) -> int:
        """The months."""
        return self[0]

    @property
    def days(self) -> int:
        """The days."""
        return self[1]

    @property
    def seconds(self) -> int:
        """The seconds, as they came over the wire or of the same sign as the nanoseconds."""
        return self[2]

    @property
    def nanoseconds(self) -> int:
        """The nanoseconds in addition to the seconds."""
        return self[3]

    @property
    def years_months_days(self) -> tuple[int, int, int]:
        """Whole years, remaining months, and days."""
        years, months = _cut(self[0], 12)
        return years, months, self[1]

    @property
    def hours_minutes_seconds_nanoseconds(self) -> tuple[int, int, int, int]:
        """Whole hours, remaining minutes, seconds and nanoseconds, all of one sign."""
        seconds, nanos = _cut(self._clock, _GIGA)
        minutes, seconds = _cut(seconds, 60)
        hours, minutes = _cut(minutes, 60)
        return hours, minutes, seconds, nanos

    @property
    def _clock(self) -> int:
        """Seconds and nanoseconds, in nanoseconds."""
        return self[2] * _GIGA + self[3]

    def to_timedelta(self) -> _dt.timedelta:
        """Return it as a ``timedelta``, with days of 24 hours; a :class:`TimeDelta` if it has nanoseconds.

        Raises:
            ValueError: There are months, whose length is not fixed.
        """
        if self[0]:
            raise ValueError("a Duration with months has no fixed length")
        whole = TimeDelta._of(self[1] * _DAY_SECONDS * _GIGA + self._clock)
        return whole if whole._submicro else _dt.timedelta(whole.days, whole.seconds, whole.microseconds)

    def iso_format(self, sep: str = "T") -> str:
        """Write ISO 8601's form, such as ``P1Y2M3DT4H5M6.789S``."""
        years, months, days = self.years_months_days
        hours, minutes, seconds, nanos = self.hours_minutes_seconds_nanoseconds
        date = "".join(f"{n}{unit}" for n, unit in ((years, "Y"), (months, "M"), (days, "D")) if n)
        time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
        if nanos:
            sign = "-" if nanos < 0 else ""
            time += f"{sign}{abs(seconds)}.{abs(nanos):09d}".rstrip("0") + "S"
        elif seconds or not (date or time):
            time += f"{seconds}S"
        return f"P{date}{sep}{time}" if time else f"P{date}"

    isoformat = iso_format

    def _key(self) -> tuple[int, int, int, int]:
        seconds, nanos = _cut(self._clock, _GIGA)
        return self[0], self[1], seconds, nanos

    def _order(self) -> tuple[int, int, int]:
        return self[0], self[1], self._clock

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Duration):
            return self._order() == other._order()
        return self._key() == other if isinstance(other, tuple) else NotImplemented

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __lt__(self, other: tuple[int, ...]) -> bool:
        if isinstance(other, Duration):
            return self._order() < other._order()
        return self._key() < other if isinstance(other, tuple) else NotImplemented

    def __le__(self, other: tuple[int, ...]) -> bool:
        if isinstance(other, Duration):
            return self._order() <= other._order()
        return self._key() <= other if isinstance(other, tuple) else NotImplemented

    def __gt__(self, other: tuple[int, ...]) -> bool:
        if isinstance(other, Duration):
            return self._order() > other._order()
        return self._key() > other if isinstance(other, tuple) else NotImplemented

    def __ge__(self, other: tuple[int, ...]) -> bool:
        if isinstance(other, Duration):
            return self._order() >= other._order()
        return self._key() >= other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __bool__(self) -> bool:
        return any(self)

    @overload  # type: ignore[override]
    def __add__(self, other: Duration | _dt.timedelta) -> Duration: ...
    @overload
    def __add__(self, other: _dt.date) -> Any: ...
    def __add__(self, other: Any) -> Any:
        if isinstance(other, _dt.timedelta):
            other = Duration.from_timedelta(other)
        if isinstance(other, Duration):
            return Duration._normal(self[0] + other[0], self[1] + other[1], self._clock + other._clock)
        if isinstance(other, _dt.datetime):
            return (other if isinstance(other, DateTime) else DateTime.from_native(other)) + self
        if isinstance(other, _dt.date):
            return (other if isinstance(other, Date) else Date.from_native(other)) + self
        return NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Duration | _dt.timedelta) -> Duration:
        if isinstance(other, _dt.timedelta):
            other = Duration.from_timedelta(other)
        elif not isinstance(other, Duration):
            return NotImplemented
        return Duration._normal(self[0] - other[0], self[1] - other[1], self._clock - other._clock)

    def __rsub__(self, other: Any) -> Any:
        return (-self).__add__(other)

    def __neg__(self) -> Duration:
        return Duration._normal(-self[0], -self[1], -self._clock)

    def __pos__(self) -> Duration:
        return self

    def __abs__(self) -> Duration:
        return Duration._normal(abs(self[0]), abs(self[1]), abs(self._clock))

    def __mul__(self, other: float) -> Duration:  # type: ignore[override]
        if not isinstance(other, (int, float)):
            return NotImplemented
        by = _exact(other)
        return Duration._normal(round(self[0] * by), round(self[1] * by), round(self._clock * by))

    __rmul__ = __mul__  # type: ignore[assignment]

    def __truediv__(self, other: float) -> Duration:
        if not isinstance(other, (int, float)):
            return NotImplemented
        by = Fraction(_exact(other))
        return Duration._normal(round(self[0] / by), round(self[1] / by), round(self._clock / by))

    def __floordiv__(self, other: int) -> Duration:
        if not isinstance(other, int):
            return NotImplemented
        return Duration._normal(self[0] // other, self[1] // other, self._clock // other)

    def __mod__(self, other: int) -> Duration:
        if not isinstance(other, int):
            return NotImplemented
        return Duration._normal(self[0] % other, self[1] % other, self._clock % other)

    def __divmod__(self, other: int) -> tuple[Duration, Duration]:
        if not isinstance(other, int):
            return NotImplemented
        return self // other, self % other

    def __str__(self) -> str:
        return self.iso_format()

    def __repr__(self) -> str:
        return f"{_name(self)}(months={self[0]}, days={self[1]}, seconds={self[2]}, nanoseconds={self[3]})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_duration, (type(self), *self)


_ISO_DURATION: Final = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)W)?(?:(-?\d+)D)?"
    r"(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+)(?:[.,](\d+))?S)?)?",
    re.ASCII,
)


def _restore_duration(cls: type[Duration], *parts: int) -> Duration:
    return cls._make(*parts)


def _exact(number: Any) -> int | Fraction:
    """A number of any kind, without the noise of binary fractions: 6.007 is 6007 thousandths."""
    if isinstance(number, int):
        return number
    if isinstance(number, float):
        return Fraction(float.__repr__(number))
    if isinstance(number, (Fraction, Decimal)):
        return Fraction(number)
    index: int = number.__index__()
    return index


def _cut(number: int, by: int) -> tuple[int, int]:
    """Divide towards zero: both results have the sign of *number*."""
    whole, rest = divmod(abs(number), by)
    return (whole, rest) if number >= 0 else (-whole, -rest)


def _shift_months(year: int, month: int, day: int, months: int) -> tuple[int, int, int]:
    """Add months; a day that the month does not have becomes its last one."""
    year, month = divmod(year * 12 + month - 1 + months, 12)
    month += 1
    if not MIN_YEAR <= year <= MAX_YEAR:
        raise OverflowError("date value out of range")
    return year, month, min(day, calendar.monthrange(year, month)[1])


class _CalendarNames:
    """What the official driver has on dates and date-times alike, under its names."""

    __slots__ = ()

    if TYPE_CHECKING:
        year: int
        month: int
        day: int

        def isocalendar(self) -> Any: ...
        def isoweekday(self) -> int: ...
        def timetuple(self) -> _time.struct_time: ...
        def toordinal(self) -> int: ...

    @property
    def year_month_day(self) -> tuple[int, int, int]:
        """The three as a tuple."""
        return self.year, self.month, self.day

    @property
    def year_week_day(self) -> tuple[int, int, int]:
        """ISO year, ISO week, and the day in it (1 is Monday)."""
        year, week, day = self.isocalendar()
        return year, week, day

    @property
    def year_day(self) -> tuple[int, int]:
        """The year, and the day in it (1 is the first)."""
        return self.year, self.toordinal() - _dt.date(self.year, 1, 1).toordinal() + 1

    def iso_calendar(self) -> tuple[int, int, int]:
        """ISO year, ISO week, and the day in it (1 is Monday)."""
        return self.year_week_day

    def iso_weekday(self) -> int:
        """The day of the week; 1 is Monday."""
        return self.isoweekday()

    def time_tuple(self) -> _time.struct_time:
        """The same as ``timetuple()``."""
        return self.timetuple()

    def to_ordinal(self) -> int:
        """The number of the day; 1 is the first of January of year 1."""
        return self.toordinal()


class Date(_CalendarNames, _dt.date):
    """A ``datetime.date`` with the names of the official driver, to which a Duration can be added."""

    __slots__ = ()

    @classmethod
    def today(cls, tz: _dt.tzinfo | None = None) -> Self:
        """The date of now, in the time zone *tz* or in the local one."""
        return cls.from_native(_dt.datetime.now(tz))

    @classmethod
    def utc_today(cls) -> Self:
        """The date of now in UTC."""
        return cls.today(_dt.timezone.utc)

    @classmethod
    def from_native(cls, d: _dt.date) -> Self:
        """Make one of a plain date (or of the date of a date-time)."""
        return cls(d.year, d.month, d.day)

    @classmethod
    def from_timestamp(cls, timestamp: float, tz: _dt.tzinfo | None = None) -> Self:
        """The date at *timestamp* (seconds since 1970 in UTC), in the time zone *tz* or in the local one."""
        return cls.from_native(_dt.datetime.fromtimestamp(timestamp, tz))

    @classmethod
    def utc_from_timestamp(cls, timestamp: float) -> Self:
        """The date at *timestamp* (seconds since 1970 in UTC), in UTC."""
        return cls.from_timestamp(timestamp, _dt.timezone.utc)

    @classmethod
    def from_ordinal(cls, ordinal: int) -> Self:
        """The date of a day's number; 1 is the first of January of year 1."""
        return cls.fromordinal(ordinal)

    @classmethod
    def from_clock_time(cls, clock_time: ClockTime | tuple[float, int], epoch: _dt.date) -> Self:
        """The date at so many (seconds, nanoseconds) since midnight of *epoch*."""
        seconds, nanos = clock_time
        days = int(_exact(seconds) * _GIGA + nanos) // (_DAY_SECONDS * _GIGA)
        return cls.fromordinal(epoch.toordinal() + days)

    @classmethod
    def from_iso_format(cls, s: str) -> Self:
        """Read ISO 8601's form, such as ``2018-04-30``."""
        return cls.fromisoformat(s)

    @classmethod
    def parse(cls, s: str) -> Self:
        """Read ISO 8601's form, such as ``2018-04-30``."""
        return cls.fromisoformat(s)

    @classmethod
    def is_leap_year(cls, year: int) -> bool:
        """Whether the *year* has a 29th of February."""
        return calendar.isleap(year)

    @classmethod
    def days_in_year(cls, year: int) -> int:
        """The number of days of a *year*."""
        return 366 if calendar.isleap(year) else 365

    @classmethod
    def days_in_month(cls, year: int, month: int) -> int:
        """The number of days of a *month* (1..12)."""
        return calendar.monthrange(year, month)[1]

    def to_native(self) -> _dt.date:
        """Return it as a plain ``datetime.date``."""
        return _dt.date(self.year, self.month, self.day)

    def to_clock_time(self, epoch: _dt.date) -> ClockTime:
        """The time from midnight of *epoch* to midnight of this day."""
        return ClockTime((self.toordinal() - epoch.toordinal()) * _DAY_SECONDS, 0)

    def iso_format(self) -> str:
        """Write ISO 8601's form, such as ``2018-04-30``."""
        return self.isoformat()

    def __add__(self, other: _dt.timedelta | Duration) -> Self:
        if isinstance(other, Duration):
            if other._clock:
                raise ValueError("a Duration with seconds or nanoseconds cannot be added to a Date")
            year, month, day = _shift_months(self.year, self.month, self.day, other[0])
            return type(self).fromordinal(_in_ordinals(_dt.date(year, month, day).toordinal() + other[1]))
        return _dt.date.__add__(self, other)

    __radd__ = __add__

    @overload  # type: ignore[override]
    def __sub__(self, other: _dt.date) -> _dt.timedelta: ...
    @overload
    def __sub__(self, other: _dt.timedelta | Duration) -> Self: ...
    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Duration):
            return self + -other
        return _dt.date.__sub__(self, other)

    def __repr__(self) -> str:
        return f"{_name(self)}({self.year}, {self.month}, {self.day})"


def _in_ordinals(ordinal: int) -> int:
    if not 1 <= ordinal <= _dt.date.max.toordinal():
        raise OverflowError("date value out of range")
    return ordinal


class Time(_dt.time):
    """A ``datetime.time`` with nanoseconds, and with the names of the official driver.

    Args:
        hour, minute, second, microsecond, tzinfo, fold: As those of ``datetime.time``.
        nanosecond: The whole fraction of the second, 0..999999999, in place of *microsecond*.

    Raises:
        ValueError: A number is out of its range, or both *microsecond* and *nanosecond* are given.
    """

    __slots__ = ("_submicro",)

    _submicro: int

    def __new__(
        cls,
        hour: SupportsIndex = 0,
        minute: SupportsIndex = 0,
        second: SupportsIndex = 0,
        microsecond: SupportsIndex = 0,
        tzinfo: _dt.tzinfo | None = None,
        *,
        fold: int = 0,
        nanosecond: int | None = None,
    ) -> Self:
        submicro = 0
        if nanosecond is not None:
            microsecond, submicro = _fraction(microsecond, nanosecond)
        made = _dt.time.__new__(cls, hour, minute, second, microsecond, tzinfo, fold=fold)
        made._submicro = submicro
        return made

    @classmethod
    def _wrap(cls, plain: _dt.time, submicro: int) -> Self:
        made = _dt.time.__new__(
            cls, plain.hour, plain.minute, plain.second, plain.microsecond, plain.tzinfo, fold=plain.fold
        )  # fmt: skip
        made._submicro = submicro
        return made

    @classmethod
    def now(cls, tz: _dt.tzinfo | None = None) -> Self:
        """The time of now, in the time zone *tz* or in the local one."""
        now = DateTime.now(tz)
        return cls._wrap(now.timetz(), now._submicro)

    @classmethod
    def utc_now(cls) -> Self:
        """The time of now in UTC, without a time zone."""
        return cls.now(_dt.timezone.utc).replace(tzinfo=None)

    @classmethod
    def from_native(cls, t: _dt.time) -> Self:
        """Make one of any ``datetime.time``."""
        return cls._wrap(t, _submicro(t))

    @classmethod
    def from_ticks(cls, ticks: int, tz: _dt.tzinfo | None = None) -> Self:
        """The time that is so many nanoseconds after midnight.

        Raises:
            ValueError: That is not within one day.
        """
        ticks = ticks.__index__()
        if not 0 <= ticks < _DAY_SECONDS * _GIGA:
            raise ValueError(f"ticks must be in 0..{_DAY_SECONDS * _GIGA - 1}, not {ticks}")
        seconds, nanos = divmod(ticks, _GIGA)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        return cls(hour, minute, second, tzinfo=tz, nanosecond=nanos)

    @classmethod
    def from_clock_time(cls, clock_time: ClockTime | tuple[float, int], epoch: _dt.date) -> Self:
        """The time of day at so many (seconds, nanoseconds) since *epoch*."""
        seconds, nanos = clock_time
        start = DateTime.from_native(epoch)._ticks() if isinstance(epoch, _dt.datetime) else 0
        return cls.from_ticks((start + int(_exact(seconds) * _GIGA + nanos)) % (_DAY_SECONDS * _GIGA))

    @classmethod
    def fromisoformat(cls, time_string: str, /) -> Self:
        """Read ISO 8601's form, such as ``12:34:56.789012345+01:00``; digits behind the ninth are cut off."""
        if not isinstance(time_string, str):
            raise TypeError("fromisoformat: argument must be str")
        text, submicro = _cut_fraction(time_string, 0)
        return cls._wrap(_dt.time.fromisoformat(text), submicro)

    @classmethod
    def from_iso_format(cls, s: str) -> Self:
        """The same as :meth:`fromisoformat`."""
        return cls.fromisoformat(s)

    @property
    def nanosecond(self) -> int:
        """The whole fraction of the second, 0..999999999."""
        return self.microsecond * 1000 + self._submicro

    @property
    def ticks(self) -> int:
        """The nanoseconds since midnight."""
        return ((self.hour * 60 + self.minute) * 60 + self.second) * _GIGA + self.nanosecond

    @property
    def hour_minute_second_nanosecond(self) -> tuple[int, int, int, int]:
        """The four as a tuple."""
        return self.hour, self.minute, self.second, self.nanosecond

    def to_native(self) -> _dt.time:
        """Return it as a plain ``datetime.time``, without what is below the microsecond."""
        return _dt.time(self.hour, self.minute, self.second, self.microsecond, self.tzinfo, fold=self.fold)

    def to_clock_time(self) -> ClockTime:
        """The time since midnight."""
        return ClockTime(*divmod(self.ticks, _GIGA))

    def utc_offset(self) -> _dt.timedelta | None:
        """The same as ``utcoffset()``."""
        return self.utcoffset()

    def replace(
        self,
        hour: SupportsIndex | None = None,
        minute: SupportsIndex | None = None,
        second: SupportsIndex | None = None,
        microsecond: SupportsIndex | None = None,
        tzinfo: _dt.tzinfo | Literal[True] | None = True,
        *,
        fold: int | None = None,
        nanosecond: int | None = None,
    ) -> Self:
        """Return a copy with some parts replaced.

        *microsecond* and *nanosecond* are both the whole fraction of the second: give one of them at most.
        """
        made = type(self)(
            self.hour if hour is None else hour,
            self.minute if minute is None else minute,
            self.second if second is None else second,
            (self.microsecond if nanosecond is None else 0) if microsecond is None else microsecond,
            self.tzinfo if tzinfo is True else tzinfo,
            fold=self.fold if fold is None else fold,
            nanosecond=nanosecond,
        )
        if microsecond is None and nanosecond is None:
            made._submicro = self._submicro
        return made

    __replace__ = replace

    def isoformat(self, timespec: str = "auto") -> str:
        """Write ISO 8601's form, with nine digits if there are nanoseconds.

        *timespec* is as that of ``datetime.time``, and ``"nanoseconds"``: always nine digits.
        """
        if timespec == "nanoseconds" or (timespec == "auto" and self._submicro):
            return _whole_nanoseconds(_dt.time.isoformat(self, "microseconds"), 15, self._submicro)
        return _dt.time.isoformat(self, timespec)

    def iso_format(self) -> str:
        """Write ISO 8601's form, always with nine digits."""
        return self.isoformat("nanoseconds")

    def __eq__(self, other: object) -> bool:
        equal = _dt.time.__eq__(self, other)
        return self._submicro == _submicro(other) if equal is True else equal

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __lt__(self, other: _dt.time) -> bool:
        return _less(_dt.time, self, other, False)

    def __le__(self, other: _dt.time) -> bool:
        return _less(_dt.time, self, other, True)

    def __gt__(self, other: _dt.time) -> bool:
        return _more(_dt.time, self, other, False)

    def __ge__(self, other: _dt.time) -> bool:
        return _more(_dt.time, self, other, True)

    def __hash__(self) -> int:
        plain = _dt.time.__hash__(self)
        return hash((plain, self._submicro)) if self._submicro else plain

    def __str__(self) -> str:
        return self.isoformat()

    def __repr__(self) -> str:
        return f"{_name(self)}({', '.join(_clock_arguments(self, [self.hour, self.minute]))})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        # Older protocols forget the fold of a plain one.
        return _restore_time, (type(self), self.to_native(), self._submicro, self.fold)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__reduce_ex__(2)


def _restore_time(cls: type[Time], plain: _dt.time, submicro: int, fold: int) -> Time:
    return cls._wrap(plain.replace(fold=fold), submicro)


def _clock_arguments(value: Time | DateTime, first: list[int]) -> list[str]:
    """The arguments of a constructor, from what comes first to the end, without trailing zeros."""
    parts = list(map(str, first))
    if value.second or value.microsecond:
        parts.append(str(value.second))
    if value._submicro:
        parts.append(f"nanosecond={value.nanosecond}")
    elif value.microsecond:
        parts.append(str(value.microsecond))
    if value.fold:
        parts.append(f"fold={value.fold}")
    if value.tzinfo is not None:
        parts.append(f"tzinfo={value.tzinfo!r}")
    return parts


def _less(base: Any, one: Time | DateTime, other: Any, equal: bool) -> bool:
    """``<`` (with *equal*: ``<=``). What is below the microsecond decides only where the rest is the same.

    Asking ``<`` and ``>`` in place of ``==``: date-times in a repeated hour are never equal to those of
    another zone, but are ordered.
    """
    less = base.__lt__(one, other)
    if less is not False:
        return less  # type: ignore[no-any-return]
    if base.__gt__(one, other):
        return False
    theirs = _submicro(other)
    return one._submicro < theirs or (equal and one._submicro == theirs)


def _more(base: Any, one: Time | DateTime, other: Any, equal: bool) -> bool:
    """``>`` (with *equal*: ``>=``)."""
    more = base.__gt__(one, other)
    if more is not False:
        return more  # type: ignore[no-any-return]
    if base.__lt__(one, other):
        return False
    theirs = _submicro(other)
    return one._submicro > theirs or (equal and one._submicro == theirs)


class DateTime(_CalendarNames, _dt.datetime):
    """A ``datetime.datetime`` with nanoseconds, and with the names of the official driver.

    Args:
        year, month, day, hour, minute, second, microsecond, tzinfo, fold: As those of ``datetime.datetime``.
        nanosecond: The whole fraction of the second, 0..999999999, in place of *microsecond*.

    Raises:
        ValueError: A number is out of its range, or both *microsecond* and *nanosecond* are given.
    """

    __slots__ = ("_submicro",)

    _submicro: int

    def __new__(
        cls,
        year: SupportsIndex,
        month: SupportsIndex,
        day: SupportsIndex,
        hour: SupportsIndex = 0,
        minute: SupportsIndex = 0,
        second: SupportsIndex = 0,
        microsecond: SupportsIndex = 0,
        tzinfo: _dt.tzinfo | None = None,
        *,
        fold: int = 0,
        nanosecond: int | None = None,
    ) -> Self:
        submicro = 0
        if nanosecond is not None:
            microsecond, submicro = _fraction(microsecond, nanosecond)
        made = _dt.datetime.__new__(
            cls, year, month, day, hour, minute, second, microsecond, tzinfo, fold=fold
        )
        made._submicro = submicro
        return made

    @classmethod
    def _wrap(cls, plain: _dt.datetime, submicro: int) -> Self:
        made = _dt.datetime.__new__(
            cls, plain.year, plain.month, plain.day, plain.hour, plain.minute, plain.second,
            plain.microsecond, plain.tzinfo, fold=plain.fold,
        )  # fmt: skip
        made._submicro = submicro
        return made

    @classmethod
    def now(cls, tz: _dt.tzinfo | None = None) -> Self:
        """Now, with nanoseconds, in the time zone *tz* or in the local one (then without a time zone)."""
        seconds, nanos = divmod(_time.time_ns(), _GIGA)
        micros, submicro = divmod(nanos, 1000)
        return cls._wrap(_dt.datetime.fromtimestamp(seconds, tz).replace(microsecond=micros), submicro)

    @classmethod
    def today(cls) -> Self:
        """Now, with nanoseconds, in the local time zone but without one."""
        return cls.now()

    @classmethod
    def utc_now(cls) -> Self:
        """Now in UTC, with nanoseconds, without a time zone."""
        return cls.now(_dt.timezone.utc).replace(tzinfo=None)

    @classmethod
    def from_native(cls, dt: _dt.date) -> Self:
        """Make one of any ``datetime.datetime`` (or of midnight of a date)."""
        if not isinstance(dt, _dt.datetime):
            return cls(dt.year, dt.month, dt.day)
        return cls._wrap(dt, _submicro(dt))

    @classmethod
    def from_timestamp(cls, timestamp: float, tz: _dt.tzinfo | None = None) -> Self:
        """The same as ``fromtimestamp()``."""
        return cls.fromtimestamp(timestamp, tz)

    @classmethod
    def utc_from_timestamp(cls, timestamp: float) -> Self:
        """The date-time at *timestamp* (seconds since 1970 in UTC), in UTC but without a time zone."""
        return cls.fromtimestamp(timestamp, _dt.timezone.utc).replace(tzinfo=None)

    @classmethod
    def from_ordinal(cls, ordinal: int) -> Self:
        """Midnight of a day's number; 1 is the first of January of year 1."""
        return cls.fromordinal(ordinal)

    @classmethod
    def from_clock_time(cls, clock_time: ClockTime | tuple[float, int], epoch: _dt.date) -> Self:
        """The date-time at so many (seconds, nanoseconds) since *epoch*."""
        seconds, nanos = clock_time
        return cls.from_native(epoch) + TimeDelta._of(int(_exact(seconds) * _GIGA + nanos))

    @classmethod
    def fromisoformat(cls, date_string: str, /) -> Self:
        """Read ISO 8601's form, such as ``2018-04-30T12:34:56.789012345+01:00``.

        Digits behind the ninth are cut off.
        """
        if not isinstance(date_string, str):
            raise TypeError("fromisoformat: argument must be str")
        text, submicro = _cut_fraction(date_string, 11)
        return cls._wrap(_dt.datetime.fromisoformat(text), submicro)

    @classmethod
    def from_iso_format(cls, s: str) -> Self:
        """The same as :meth:`fromisoformat`."""
        return cls.fromisoformat(s)

    @classmethod
    def parse(cls, date_string: str, format: str) -> Self:
        """The same as ``strptime()``."""
        return cls.strptime(date_string, format)

    @classmethod
    def combine(
        cls, date: _dt.date, time: _dt.time, tzinfo: _dt.tzinfo | Literal[True] | None = True
    ) -> Self:
        """Put a date and a time together; the time zone is the time's unless *tzinfo* is given."""
        if tzinfo is True:
            plain = _dt.datetime.combine(date, time)
        else:
            plain = _dt.datetime.combine(date, time, tzinfo)
        return cls._wrap(plain, _submicro(time))

    @property
    def nanosecond(self) -> int:
        """The whole fraction of the second, 0..999999999."""
        return self.microsecond * 1000 + self._submicro

    @property
    def hour_minute_second_nanosecond(self) -> tuple[int, int, int, int]:
        """The four as a tuple."""
        return self.hour, self.minute, self.second, self.nanosecond

    def to_native(self) -> _dt.datetime:
        """Return it as a plain ``datetime.datetime``, without what is below the microsecond."""
        return _dt.datetime(
            self.year, self.month, self.day, self.hour, self.minute, self.second,
            self.microsecond, self.tzinfo, fold=self.fold,
        )  # fmt: skip

    def to_clock_time(self) -> ClockTime:
        """The time since midnight of the first of January of year 1."""
        return ClockTime(*divmod((self.toordinal() - 1) * _DAY_SECONDS * _GIGA + self._ticks(), _GIGA))

    def _ticks(self) -> int:
        return ((self.hour * 60 + self.minute) * 60 + self.second) * _GIGA + self.nanosecond

    def date(self) -> Date:
        """The date."""
        return Date(self.year, self.month, self.day)

    def time(self) -> Time:
        """The time, without a time zone."""
        return Time._wrap(_dt.datetime.time(self), self._submicro)

    def timetz(self) -> Time:
        """The time, with its time zone."""
        return Time._wrap(_dt.datetime.timetz(self), self._submicro)

    def timestamp(self) -> float:
        """The seconds since 1970 in UTC; a float cannot hold all nanoseconds."""
        return _dt.datetime.timestamp(self) + self._submicro / _GIGA

    def astimezone(self, tz: _dt.tzinfo | None = None) -> Self:
        """The same instant in the time zone *tz*, or in the local one."""
        return self._wrap(self.to_native().astimezone(tz), self._submicro)

    def as_timezone(self, tz: _dt.tzinfo) -> Self:
        """The same as :meth:`astimezone`."""
        return self.astimezone(tz)

    def utc_offset(self) -> _dt.timedelta | None:
        """The same as ``utcoffset()``."""
        return self.utcoffset()

    def utc_time_tuple(self) -> _time.struct_time:
        """The same as ``utctimetuple()``."""
        return self.utctimetuple()

    def replace(
        self,
        year: SupportsIndex | None = None,
        month: SupportsIndex | None = None,
        day: SupportsIndex | None = None,
        hour: SupportsIndex | None = None,
        minute: SupportsIndex | None = None,
        second: SupportsIndex | None = None,
        microsecond: SupportsIndex | None = None,
        tzinfo: _dt.tzinfo | Literal[True] | None = True,
        *,
        fold: int | None = None,
        nanosecond: int | None = None,
    ) -> Self:
        """Return a copy with some parts replaced.

        *microsecond* and *nanosecond* are both the whole fraction of the second: give one of them at most.
        """
        made = type(self)(
            self.year if year is None else year,
            self.month if month is None else month,
            self.day if day is None else day,
            self.hour if hour is None else hour,
            self.minute if minute is None else minute,
            self.second if second is None else second,
            (self.microsecond if nanosecond is None else 0) if microsecond is None else microsecond,
            self.tzinfo if tzinfo is True else tzinfo,
            fold=self.fold if fold is None else fold,
            nanosecond=nanosecond,
        )
        if microsecond is None and nanosecond is None:
            made._submicro = self._submicro
        return made

    __replace__ = replace

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        """Write ISO 8601's form, with nine digits if there are nanoseconds.

        *timespec* is as that of ``datetime.datetime``, and ``"nanoseconds"``: always nine digits.
        """
        if timespec == "nanoseconds" or (timespec == "auto" and self._submicro):
            return _whole_nanoseconds(_dt.datetime.isoformat(self, sep, "microseconds"), 26, self._submicro)
        return _dt.datetime.isoformat(self, sep, timespec)

    def iso_format(self, sep: str = "T") -> str:
        """Write ISO 8601's form, always with nine digits."""
        return self.isoformat(sep, "nanoseconds")

    def __add__(self, other: _dt.timedelta | Duration) -> Self:
        if isinstance(other, Duration):
            year, month, day = _shift_months(self.year, self.month, self.day, other[0])
            seconds, nanos = divmod(other._clock, _GIGA)
            try:
                shift = TimeDelta(other[1], seconds, nanoseconds=nanos)
            except OverflowError:
                raise OverflowError("date value out of range") from None
            return self.replace(year, month, day) + shift
        if not isinstance(other, _dt.timedelta):
            return NotImplemented
        made = _dt.datetime.__add__(self, other)
        submicro = self._submicro + _submicro(other)
        if submicro >= 1000:
            made = _dt.datetime.__add__(made, _MICROSECOND)
            submicro -= 1000
        made._submicro = submicro
        return made

    __radd__ = __add__

    @overload  # type: ignore[override]
    def __sub__(self, other: _dt.datetime) -> _dt.timedelta: ...
    @overload
    def __sub__(self, other: _dt.timedelta | Duration) -> Self: ...
    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Duration):
            return self + -other
        if isinstance(other, _dt.timedelta):
            # Adding, since where datetime is written in Python (PyPy) its __sub__ comes back to our __add__.
            whole = _dt.timedelta(other.days, other.seconds, other.microseconds)
            made = _dt.datetime.__add__(self, -whole)
            submicro = self._submicro - _submicro(other)
            if submicro < 0:
                made = _dt.datetime.__add__(made, -_MICROSECOND)
                submicro += 1000
            made._submicro = submicro
            return made
        if not isinstance(other, _dt.datetime):
            return NotImplemented
        return _with_nanoseconds(_dt.datetime.__sub__(self, other), self._submicro - _submicro(other))

    def __rsub__(self, other: Any) -> Any:
        if not isinstance(other, _dt.datetime):
            return NotImplemented
        return _with_nanoseconds(_dt.datetime.__sub__(other, self), _submicro(other) - self._submicro)

    def __eq__(self, other: object) -> bool:
        equal = _dt.datetime.__eq__(self, other)
        return self._submicro == _submicro(other) if equal is True else equal

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __lt__(self, other: _dt.datetime) -> bool:  # type: ignore[override]
        return _less(_dt.datetime, self, other, False)

    def __le__(self, other: _dt.datetime) -> bool:  # type: ignore[override]
        return _less(_dt.datetime, self, other, True)

    def __gt__(self, other: _dt.datetime) -> bool:  # type: ignore[override]
        return _more(_dt.datetime, self, other, False)

    def __ge__(self, other: _dt.datetime) -> bool:  # type: ignore[override]
        return _more(_dt.datetime, self, other, True)

    def __hash__(self) -> int:
        plain = _dt.datetime.__hash__(self)
        return hash((plain, self._submicro)) if self._submicro else plain

    def __str__(self) -> str:
        return self.isoformat(" ")

    def __repr__(self) -> str:
        first = [self.year, self.month, self.day, self.hour, self.minute]
        return f"{_name(self)}({', '.join(_clock_arguments(self, first))})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        # Older protocols forget the fold of a plain one.
        return _restore_datetime, (type(self), self.to_native(), self._submicro, self.fold)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__reduce_ex__(2)


def _restore_datetime(cls: type[DateTime], plain: _dt.datetime, submicro: int, fold: int) -> DateTime:
    return cls._wrap(plain.replace(fold=fold), submicro)


def _with_nanoseconds(delta: _dt.timedelta, nanoseconds: int) -> _dt.timedelta:
    return TimeDelta._of(_total_nanoseconds(delta) + nanoseconds) if nanoseconds else delta


TimeDelta.resolution = TimeDelta(nanoseconds=1)
TimeDelta.min = TimeDelta(-999_999_999)
TimeDelta.max = TimeDelta(999_999_999, 86_399, nanoseconds=999_999_999)

Duration.min = Duration._make(0, 0, MIN_INT64, 0)
Duration.max = Duration._make(0, 0, MAX_INT64, _GIGA - 1)

Date.min = Date(MIN_YEAR, 1, 1)
Date.max = Date(MAX_YEAR, 12, 31)

Time.min = Time()
Time.max = Time(23, 59, 59, nanosecond=_GIGA - 1)
Time.resolution = TimeDelta.resolution

DateTime.min = DateTime(MIN_YEAR, 1, 1)
DateTime.max = DateTime(MAX_YEAR, 12, 31, 23, 59, 59, nanosecond=_GIGA - 1)
DateTime.resolution = TimeDelta.resolution

Midnight: Final = Time(0, 0, 0)
Midday: Final = Time(12, 0, 0)
UnixEpoch: Final = DateTime(1970, 1, 1)
