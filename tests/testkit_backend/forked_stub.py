"""Stub servers without the cost of an interpreter for each: forked from one process that has it all imported.

A run starts some thousand of them, and starting Python takes longer than most tests do.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import TextIO

__all__ = ["ForkedStub", "available", "prepare"]

_MODULE = "boltstub.__main__"

_context: ForkServerContext | None = None


def available() -> bool:
    """Whether this platform can do it."""
    return "forkserver" in multiprocessing.get_all_start_methods()


def prepare() -> None:
    """Say what is to be imported once. Stubs can be made afterwards."""
    global _context
    _context = multiprocessing.get_context("forkserver")
    _context.set_forkserver_preload(["__main__", _MODULE])


class ForkedStub:
    """As much of a ``subprocess.Popen`` as Testkit needs of one: ``python -m boltstub`` with *arguments*."""

    def __init__(self, arguments: list[str]) -> None:
        assert _context is not None
        out, out_end = _context.Pipe(duplex=False)
        err, err_end = _context.Pipe(duplex=False)
        self._process = _context.Process(target=_play, args=(arguments, out_end, err_end), daemon=True)
        self._process.start()
        out_end.close()
        err_end.close()
        self.stdout = _text_of(out)
        self.stderr = _text_of(err)
        self.returncode: int | None = None
        pid = self._process.pid
        assert pid is not None
        self.pid = pid

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = self._process.exitcode
        return self.returncode

    def wait(self) -> int | None:
        """Wait for its end; return the exit code."""
        self._process.join()
        return self.poll()

    def kill(self) -> None:
        """End it."""
        if self.poll() is None:
            self._process.kill()


def _text_of(pipe: Connection) -> TextIO:
    with pipe:
        return open(os.dup(pipe.fileno()), encoding="utf-8")


def _play(arguments: list[str], out: Connection, err: Connection) -> None:
    os.dup2(out.fileno(), sys.stdout.fileno())
    os.dup2(err.fileno(), sys.stderr.fileno())
    out.close()
    err.close()
    sys.argv = ["boltstub", *arguments]
    try:
        importlib.import_module(_MODULE).main()
    finally:
        sys.stdout.flush()
