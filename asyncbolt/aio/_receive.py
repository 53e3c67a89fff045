"""How bytes get from a transport to a protocol: through one buffer for all connections of a thread.

A plain ``asyncio.Protocol`` has asyncio ask for 256 KiB of memory before each read, of which an answer of
some bytes needs next to nothing. Often enough malloc gets them from the system and gives them back, with page
faults in between, which takes longer than to decode a small answer.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final

__all__ = ["Receiver"]

# As much as asyncio reads at once by itself.
_BUFFER_BYTES: Final = 256 * 1024


class _Buffers(threading.local):
    view: memoryview | None = None


_buffers: Final = _Buffers()


class Receiver(asyncio.Protocol, asyncio.BufferedProtocol):
    """A protocol whose ``data_received`` gets bytes, whichever way the transport likes to hand them over.

    uvloop, which has a buffer of its own, and protocols that stand in between call ``data_received``.
    """

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by asyncio before it reads: where to."""
        # It reads and calls buffer_updated() before anything else happens on this thread.
        view = _buffers.view
        if view is None:
            view = _buffers.view = memoryview(bytearray(_BUFFER_BYTES))
        return view

    def buffer_updated(self, nbytes: int) -> None:
        """Called by asyncio: so many bytes came."""
        view = _buffers.view
        assert view is not None
        self.data_received(bytes(view[:nbytes]))
