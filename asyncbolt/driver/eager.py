"""What ``execute_query`` gives by default."""

from __future__ import annotations

from typing import NamedTuple

from .record import Record
from .summary import ResultSummary

__all__ = ["EagerResult"]


class EagerResult(NamedTuple):
    """A whole result in memory: ``records, summary, keys = await driver.execute_query(...)``.

    Attributes:
        records: Every record.
        summary: What the server said about the query.
        keys: The names of the columns.
    """

    records: list[Record]
    summary: ResultSummary
    keys: list[str]
