"""The server toolkit: write ``run``, and every Bolt driver can talk to it."""

from __future__ import annotations

from .auth import AuthToken
from .limits import Limits
from .listener import Server, create_server
from .request import Request, Transaction
from .results import Result
from .session import ServerSession
from .threads import threaded

__all__ = [
    "AuthToken",
    "Limits",
    "Request",
    "Result",
    "Server",
    "ServerSession",
    "Transaction",
    "create_server",
    "threaded",
]
