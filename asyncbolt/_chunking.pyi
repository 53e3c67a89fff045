from ._chunking_py import ChunkedReadBuffer as ChunkedReadBuffer
from ._chunking_py import ChunkedWriteBuffer as ChunkedWriteBuffer
from ._chunking_py import MessageReader as MessageReader
from ._chunking_py import MessageWriter as MessageWriter

__all__ = ["ChunkedReadBuffer", "ChunkedWriteBuffer", "MessageReader", "MessageWriter"]
