"""ArcadeDB, a real database with a Bolt server, from a wheel (PyPI ``arcadedb``, extra ``demo``)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from aiohelp import free_port
from server_process import ServerProcess

__all__ = ["ArcadeDB"]

CHILD = Path(__file__).with_name("arcadedb_child.py")


class ArcadeDB(ServerProcess):
    """ArcadeDB on the loopback interface with an empty database ``neo4j``; Bolt 5.0-5.4, 4.4, 4.0 and 3.0.

    It always asks for authentication: ``user`` and ``password``. It is up in less than a second.
    """

    user = "root"
    password = "playwithdata"
    database = "neo4j"

    def __init__(self) -> None:
        super().__init__("ArcadeDB", ready_timeout=60)

    @property
    def auth(self) -> tuple[str, str]:
        return self.user, self.password

    def command(self, home: Path) -> Sequence[str]:
        self.port = free_port()
        # -I: the child sees the installed packages and nothing of the folder it is started in.
        return [sys.executable, "-I", str(CHILD), str(home), self.password, str(self.port), str(free_port())]
