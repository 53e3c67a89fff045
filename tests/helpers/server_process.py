"""A server in a process of its own, for the time of a ``with`` block.

The process prints one line that starts with ``READY`` when it serves, and ends when its standard input does;
so it goes away with the process that started it, even when that one is killed. It is stopped by its process
id.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TypeVar

__all__ = ["ServerProcess"]

_P = TypeVar("_P", bound="ServerProcess")


class ServerProcess:
    """Starts ``command()`` and waits for its ready line.

    Args:
        name: what error messages call it.
        ready_timeout: seconds until the ready line must have come.
    """

    host = "127.0.0.1"

    def __init__(self, name: str, *, ready_timeout: float) -> None:
        self.name = name
        self.ready_timeout = ready_timeout
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self._home: Path | None = None
        self._cleanup = contextlib.ExitStack()
        self._told: threading.Event = threading.Event()
        self._ready_line = ""

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def uri(self) -> str:
        return f"bolt://{self.host}:{self.port}"

    def command(self, home: Path) -> Sequence[str]:
        """The command line; called before each start, so it may choose ports and set ``self.port``.

        A server that can be restarted keeps the port that it has.
        """
        raise NotImplementedError

    def __enter__(self: _P) -> _P:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        home = self._home
        if home is None:
            folder = tempfile.TemporaryDirectory(prefix="asyncbolt-server-", ignore_cleanup_errors=True)
            home = self._home = Path(self._cleanup.enter_context(folder))
        log = self._cleanup.enter_context(open(home / "output.txt", "a", encoding="utf-8"))
        process = subprocess.Popen(
            self.command(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=home,
        )
        self._process = process
        self._told.clear()
        self._ready_line = ""
        reader = threading.Thread(target=self._read, args=(process, log), name=f"output of {self.name}")
        reader.start()
        self._cleanup.callback(reader.join)
        self._told.wait(self.ready_timeout)
        if not self._ready_line:
            log.flush()
            said = Path(log.name).read_text(encoding="utf-8", errors="replace")[-4000:]
            raise RuntimeError(f"{self.name} was not ready after {self.ready_timeout} s; it said:\n{said}")

    def _read(self, process: subprocess.Popen[str], log: IO[str]) -> None:
        # Everything is read until the end, or the server would block on a full pipe.
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if line.startswith("READY"):
                self._ready_line = line
                self._told.set()
        self._told.set()

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            with contextlib.suppress(OSError):
                assert process.stdin is not None
                process.stdin.close()
        self._cleanup.close()
        self._home = None
        if process is not None and process.stdout is not None:
            process.stdout.close()

    def kill(self) -> None:
        """Ends the server as a crash would: no goodbye, no shutdown. `restart` brings it back."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Starts the server that was killed on the data that it left."""
        process = self._process
        assert process is not None and process.poll() is not None, f"{self.name} was not killed"
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                self._cleanup.callback(pipe.close)
        self.start()
