"""ArcadeDB's own Bolt server, in a process of its own, with an empty database in a temporary folder.

ArcadeDB is a real database that comes as a wheel (`pip install arcadedb`, Python 3.11 or newer). The parent
starts this file as a program. The child ends when its standard input closes, so it cannot outlive its parent,
however that one dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

__all__ = ["ArcadeServer", "ServerNotStarted"]

NEEDS = (3, 11)  #: what ArcadeDB's wheels are made for
ATTEMPTS = 3  #: ports are free when they are looked up, and may not be any more when they are used


class ServerNotStarted(Exception):
    """ArcadeDB is not installed, or did not start."""


class ArcadeServer:
    """A context manager: on entry the server listens on 127.0.0.1, on exit it is gone and its folder too.

    Attributes: `host`, `port`, `user`, `password`, `pid`.
    """

    host = "127.0.0.1"
    user = "root"
    database = "neo4j"
    python = (sys.executable, "-P")  # without -P the modules beside this file would shadow others

    def __init__(self, patience: float = 60.0) -> None:
        self.patience = patience  #: seconds that a start, and then a stop, may take
        self.password = secrets.token_urlsafe(12)
        self.port = 0
        self.pid = 0
        self._folder: Path | None = None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> ArcadeServer:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _start(self) -> None:
        if sys.version_info < NEEDS:
            needed, this = (".".join(map(str, version[:2])) for version in (NEEDS, sys.version_info))
            raise ServerNotStarted(
                f"ArcadeDB needs Python {needed} or newer, this is {this}: name another server with --server."
            )
        self._folder = Path(tempfile.mkdtemp(prefix="asyncbolt-demo-"))
        # A session of its own: Ctrl+C reaches this process alone, which then stops the server in good order.
        self._process = subprocess.Popen(
            [*self.python, __file__, str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        assert self._process.stdin is not None and self._process.stdout is not None
        # The password goes through the pipe: anybody may read the arguments of a process.
        with contextlib.suppress(OSError):  # a child that is gone already has no answer, which is seen below
            self._process.stdin.write(self.password + "\n")
            self._process.stdin.flush()
        # Reading a pipe has no time limit; a server that hangs is killed, and that ends the read.
        watchdog = threading.Timer(self.patience, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise ServerNotStarted(f"ArcadeDB did not start within {self.patience:.0f} s:\n{self._log()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ServerNotStarted(f"{answer['error']}\n{self._log()}".strip())
        self.port = answer["port"]

    def _log(self) -> str:
        log = self._folder / "server.log" if self._folder is not None else None
        return log.read_text(errors="replace")[-2000:] if log is not None and log.exists() else ""

    def stop(self) -> None:
        """Stop the server: ask it, then insist. Safe to call twice."""
        if self._process is not None:
            process, self._process = self._process, None
            assert process.stdin is not None and process.stdout is not None
            with contextlib.suppress(OSError):  # it died before
                process.stdin.close()
            for insist in (process.terminate, process.kill):
                try:
                    process.wait(self.patience / 4)
                    break
                except subprocess.TimeoutExpired:
                    insist()
            process.wait()
            process.stdout.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


# ---------------------------------------------------------------------------------------- the child process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ArcadeServer.host, 0))
        port: int = probe.getsockname()[1]
        return port


def _open(folder: Path, password: str) -> tuple[Any, int]:
    import arcadedb

    for attempt in range(ATTEMPTS):
        port = _free_port()
        server = arcadedb.create_server(
            str(folder / str(attempt)),
            password,
            config={
                "host": ArcadeServer.host,
                "http_port": _free_port(),
                "server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
                "bolt_host": ArcadeServer.host,  # without it Bolt would listen on every interface
                "bolt_port": port,
            },
        )
        server.start()
        try:
            server.create_database(ArcadeServer.database)
            with socket.create_connection((ArcadeServer.host, port), timeout=5):
                return server, port
        except OSError:
            server.stop()
    raise RuntimeError(f"Bolt did not listen, tried {ATTEMPTS} ports")


def _child(folder: Path) -> int:
    # The pipe is for one line; everything that the database has to say goes into a file.
    answers = os.fdopen(os.dup(1), "w")
    log = os.open(folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(folder)
    password = sys.stdin.readline().rstrip("\n")
    try:
        server, port = _open(folder, password)
    except ImportError as error:
        answer: dict[str, Any] = {
            "error": f"The demo starts ArcadeDB, which cannot be imported ({error}). Install it into "
            f"{sys.executable} with `pip install arcadedb` (Python 3.11 or newer), "
            "or name another server with --server."
        }
        code = 1
    except Exception as error:
        answer, code = {"error": f"ArcadeDB did not start: {type(error).__name__}: {error}"}, 1
    else:
        answer, code = {"port": port}, 0
    try:
        answers.write(json.dumps(answer) + "\n")
        answers.close()
        if code == 0:
            sys.stdin.read()  # returns when the parent closes the pipe, or is gone
            server.stop()
    finally:
        os.chdir(tempfile.gettempdir())
        if code == 0:  # otherwise the parent wants to see the log
            shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(_child(Path(sys.argv[1])))
