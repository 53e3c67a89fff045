"""The client: sessions, results, transactions, pools."""

from .bulk import BulkSummary
from .connect import Connecting, connect
from .session import ClientSession, StatementOptions
from .stream import BatchStream, ClientResponse, FetchResult, RunStream
from .transaction import Transaction

__all__ = [
    "BatchStream",
    "BulkSummary",
    "ClientResponse",
    "ClientSession",
    "Connecting",
    "FetchResult",
    "RunStream",
    "StatementOptions",
    "Transaction",
    "connect",
]
