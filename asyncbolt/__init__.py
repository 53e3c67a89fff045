"""asyncbolt: the Bolt protocol, the wire of graph databases, on both sides.

The client: :func:`connect`, :func:`create_pool`. The server: :class:`ServerSession`, :func:`create_server`.
Values: :mod:`asyncbolt.graph`, :mod:`asyncbolt.time`, :mod:`asyncbolt.spatial`, :mod:`asyncbolt.vector`.
One value: :mod:`asyncbolt.packstream`. Without IO: :mod:`asyncbolt.protocol`.
"""

from . import packstream
from ._constants import Message
from ._impl import IMPLEMENTATION
from ._structure import Structure
from ._version import __version__ as __version__
from .aio._run import run
from .aio.client import BoltClientProtocol
from .aio.server import BoltServerProtocol
from .chunking import (
    BoltParser,
    ChunkedReadBuffer,
    ChunkedWriteBuffer,
    deserialize_message,
    message_deserializer,
    message_serializer,
    serialize_message,
)
from .client.bulk import BulkSummary
from .client.connect import connect
from .client.pool import Pool, create_pool
from .client.session import ClientSession
from .client.stream import BatchStream, ClientResponse, FetchResult, RunStream
from .client.transaction import Transaction
from .exceptions import (
    AuthConfigurationError,
    AuthError,
    BoltError,
    BrokenRecordError,
    CertificateConfigurationError,
    ClientError,
    ConfigurationError,
    ConnectionAcquisitionTimeoutError,
    ConnectionPoolError,
    ConstraintError,
    CypherSyntaxError,
    CypherTypeError,
    DatabaseError,
    DatabaseUnavailable,
    DriverError,
    Forbidden,
    ForbiddenOnReadOnlyDatabase,
    GqlError,
    GqlErrorClassification,
    HandshakeError,
    IncompleteCommit,
    LocalProtocolError,
    Neo4jError,
    NotALeader,
    PackError,
    ReadServiceUnavailable,
    RemoteProtocolError,
    ResultConsumedError,
    ResultError,
    ResultFailedError,
    ResultNotSingleError,
    RoutingServiceUnavailable,
    ServerFailedError,
    ServerIgnoredError,
    ServiceUnavailable,
    SessionError,
    SessionExpired,
    TokenExpired,
    TransactionError,
    TransactionNestingError,
    TransientError,
    UnpackError,
    UnsupportedServerProduct,
    WriteServiceUnavailable,
)
from .graph import Node, Path, Relationship
from .server.listener import create_server
from .server.results import Result
from .server.session import ServerSession
from .server.threads import threaded

__all__ = [
    "IMPLEMENTATION",
    "AuthConfigurationError",
    "AuthError",
    "BatchStream",
    "BoltClientProtocol",
    "BoltError",
    "BoltParser",
    "BoltServerProtocol",
    "BrokenRecordError",
    "BulkSummary",
    "CertificateConfigurationError",
    "ChunkedReadBuffer",
    "ChunkedWriteBuffer",
    "ClientError",
    "ClientResponse",
    "ClientSession",
    "ConfigurationError",
    "ConnectionAcquisitionTimeoutError",
    "ConnectionPoolError",
    "ConstraintError",
    "CypherSyntaxError",
    "CypherTypeError",
    "DatabaseError",
    "DatabaseUnavailable",
    "DriverError",
    "FetchResult",
    "Forbidden",
    "ForbiddenOnReadOnlyDatabase",
    "GqlError",
    "GqlErrorClassification",
    "HandshakeError",
    "IncompleteCommit",
    "LocalProtocolError",
    "Message",
    "Neo4jError",
    "Node",
    "NotALeader",
    "PackError",
    "Path",
    "Pool",
    "ReadServiceUnavailable",
    "Relationship",
    "RemoteProtocolError",
    "Result",
    "ResultConsumedError",
    "ResultError",
    "ResultFailedError",
    "ResultNotSingleError",
    "RoutingServiceUnavailable",
    "RunStream",
    "ServerFailedError",
    "ServerIgnoredError",
    "ServerSession",
    "ServiceUnavailable",
    "SessionError",
    "SessionExpired",
    "Structure",
    "TokenExpired",
    "Transaction",
    "TransactionError",
    "TransactionNestingError",
    "TransientError",
    "UnpackError",
    "UnsupportedServerProduct",
    "WriteServiceUnavailable",
    "connect",
    "create_pool",
    "create_server",
    "deserialize_message",
    "message_deserializer",
    "message_serializer",
    "packstream",
    "run",
    "serialize_message",
    "threaded",
]
