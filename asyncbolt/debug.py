"""The log on the screen, in one line: ``asyncbolt.debug.watch()``.

Loggers: ``asyncbolt.client`` (what goes over the wire), ``asyncbolt.driver`` (pool, routing, retries),
``asyncbolt.notifications`` (the server's remarks about queries), ``asyncbolt.server``. Secrets of a login are
never logged; parameters and rows are, at the level DEBUG.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Watcher", "watch"]

_ROOT: Final = "asyncbolt"

# The official driver's loggers and ours for the same things.
_THEIRS: Final = "neo4j"
_TWINS: Final = {
    "neo4j": _ROOT,
    "neo4j.io": "asyncbolt.client",
    "neo4j.notifications": "asyncbolt.notifications",
}
_DRIVER: Final = "asyncbolt.driver"

_COLOURS: Final = {
    logging.DEBUG: "36",
    logging.INFO: "37",
    logging.WARNING: "33",
    logging.ERROR: "31",
    logging.CRITICAL: "1;31",
}


class _Formatter(logging.Formatter):
    def __init__(self, colour: bool, thread_info: bool, task_info: bool) -> None:
        parts = ["%(asctime)s  %(levelname)-8s"]
        if thread_info:
            parts.append("[%(threadName)s %(thread)d]")
        if task_info:
            parts.append("[%(asyncboltTask)s]")
        parts.append("%(name)s: %(message)s")
        super().__init__(" ".join(parts))
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        colour = _COLOURS.get(record.levelno) if self._colour else None
        return text if colour is None else f"\x1b[{colour}m{text}\x1b[0m"


def _add_task(record: logging.LogRecord) -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs here
        task = None
    record.asyncboltTask = "no task" if task is None else task.get_name()
    return True


class Watcher:
    """Shows what loggers say; used with ``with``, or from :meth:`watch` to :meth:`stop`.

    Args:
        logger_names: Which loggers, with all below them; ``"asyncbolt"`` when none is given. ``"neo4j"``, the
            official driver's, means ``"asyncbolt"`` too, and so do those below it; None is the root of all.
        default_level: The least level that is shown.
        default_out: Where to write; ``sys.stderr``, as it is at that time, when None.
        colour: Whether to colour lines by their level, for terminals.
        thread_info: Whether each line names its thread.
        task_info: Whether each line names its task.
    """

    def __init__(
        self,
        *logger_names: str | None,
        default_level: int = logging.DEBUG,
        default_out: TextIO | None = None,
        colour: bool = False,
        thread_info: bool = True,
        task_info: bool = True,
    ) -> None:
        self._loggers = [logging.getLogger(name) for name in dict.fromkeys(_meant(logger_names or (_ROOT,)))]
        self._default_level = default_level
        self._default_out = default_out
        self._task_info = task_info
        self._formatter = _Formatter(colour, thread_info, task_info)
        self._handler: logging.Handler | None = None
        # logger, its level before, its level now
        self._levels: list[tuple[logging.Logger, int, int]] = []

    def watch(self, level: int | None = None, out: TextIO | None = None) -> None:
        """Show messages from now on; called again, with another level or to another place.

        Args:
            level: The least level that is shown; ``default_level`` when None.
            out: Where to write; ``default_out`` when None.
        """
        self.stop()
        if level is None:
            level = self._default_level
        if out is None:
            out = self._default_out
        handler = logging.StreamHandler(sys.stderr if out is None else out)
        handler.setLevel(level)
        handler.setFormatter(self._formatter)
        if self._task_info:
            handler.addFilter(_add_task)
        for logger in self._loggers:
            # A message that reaches the handler through a parent must not be written twice.
            if not any(parent in self._loggers for parent in _parents(logger)):
                logger.addHandler(handler)
            if logger.getEffectiveLevel() > level:
                self._levels.append((logger, logger.level, level))
                logger.setLevel(level)
        self._handler = handler

    def stop(self) -> None:
        """Show no more, and give the loggers back the levels that they had."""
        if self._handler is None:
            return
        for logger in self._loggers:
            logger.removeHandler(self._handler)
        for logger, before, now in self._levels:
            if logger.level == now:  # else somebody has set it since
                logger.setLevel(before)
        self._handler = None
        self._levels = []

    def __enter__(self) -> Watcher:
        self.watch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def watch(
    *logger_names: str | None,
    level: int = logging.DEBUG,
    out: TextIO | None = None,
    colour: bool = False,
    thread_info: bool = True,
    task_info: bool = True,
) -> Watcher:
    """Show what loggers say, from now on; ``watch()`` shows everything of asyncbolt on ``sys.stderr``.

    The arguments are those of :class:`Watcher`.

    Returns:
        The watcher, whose :meth:`~Watcher.stop` ends it.
    """
    watcher = Watcher(
        *logger_names,
        default_level=level,
        default_out=out,
        colour=colour,
        thread_info=thread_info,
        task_info=task_info,
    )
    watcher.watch()
    return watcher


def _meant(names: Iterable[str | None]) -> Iterator[str | None]:
    for name in names:
        yield name
        if name is not None and (name == _THEIRS or name.startswith(_THEIRS + ".")):
            yield _TWINS.get(name, _DRIVER)


def _parents(logger: logging.Logger) -> Iterator[logging.Logger]:
    while logger.propagate and logger.parent is not None:
        logger = logger.parent
        yield logger
