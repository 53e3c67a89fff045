"""A server in a process of its own, ten kinds of peers that mean it harm, and one that does not.

python hostile_peers.py serve     prints "READY port", and then a line of JSON for each line it reads
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import random
import resource
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncbolt

__all__ = ["KINDS", "HostileServer", "group"]

LOGIN_TIMEOUT = 1.0
MAGIC = bytes.fromhex("6060b017")
PLAIN = MAGIC + b"\x00\x00\x04\x05" + bytes(12)  # Bolt 5.4, nothing else


class Target(asyncbolt.ServerSession):
    def verify_auth_token(self, auth_token: dict[str, Any]) -> bool:
        return auth_token.get("credentials") == "pw"

    def run(self, statement: str, parameters: dict[str, Any]) -> Any:
        return asyncbolt.Result(["n", "s"], ((n, f"row {n}") for n in range(parameters["count"])))


def open_fds() -> int:
    """How many file descriptors this process has, 0 where there is no ``/proc``."""
    with contextlib.suppress(FileNotFoundError):
        return len(os.listdir("/proc/self/fd"))
    return 0


def peak_rss() -> int:
    """The most memory (bytes) that this program has held.

    On Linux, ``ru_maxrss`` of a process that was started by a large one begins with the large one's; the mark
    in ``/proc`` begins anew with the program.
    """
    with contextlib.suppress(FileNotFoundError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


async def serve() -> None:
    server = await asyncbolt.create_server(
        Target, port=0, login_timeout=LOGIN_TIMEOUT, max_message_size=16 * 1024 * 1024
    )
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("READY", server.sockets[0].getsockname()[1], flush=True)
    while await lines.readline():
        gc.collect()
        facts = {
            "peak_rss": peak_rss(),
            "fds": open_fds(),
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "sessions": sum(isinstance(each, Target) for each in gc.get_objects()),
            "transports": sum(isinstance(each, asyncio.Transport) for each in gc.get_objects()),
        }
        print(json.dumps(facts), flush=True)
    server.close()
    await server.wait_closed()


class HostileServer:
    """The server's process, from `HostileServer.started()`; `facts()` says what it holds."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls) -> AsyncIterator[HostileServer]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", __file__, "serve",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        try:
            ready = (await process.stdout.readline()).split()
            assert ready[:1] == [b"READY"], "the server did not start"
            yield cls(process, int(ready[1]))
            process.stdin.close()
            assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def facts(self) -> dict[str, int]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(b"\n")
        facts: dict[str, int] = json.loads(await self.process.stdout.readline())
        return facts


# What comes. Each gets a connection of its own, and may keep it until `over` is set.

Kind = Callable[[asyncio.StreamReader, asyncio.StreamWriter, random.Random, asyncio.Event], Awaitable[None]]


def chunked(message: bytes) -> bytes:
    return b"".join(
        struct.pack(">H", len(message[start : start + 65535])) + message[start : start + 65535]
        for start in range(0, len(message), 65535)
    ) + bytes(2)  # fmt: skip


async def garbage(reader: Any, writer: Any, rng: random.Random, over: asyncio.Event) -> None:
    writer.write((PLAIN if rng.random() < 0.5 else MAGIC) + rng.randbytes(rng.randrange(1, 5000)))
    await reader.read()


async def lying_lengths(reader: Any, writer: Any, rng: random.Random, over: asyncio.Event) -> None:
    marker = rng.choice(
        [b"\xd2\x7f\xff\xff\xff", b"\xda\x7f\xff\xff\xff", b"\xd6\x00\xff\xff\xff", b"\xce\xff\xff\xff\xff"]
    )
    writer.write(PLAIN + b"\xff\xff\xb1\x01" + marker + b"x" * rng.randrange(1, 60_000))
    await over.wait()


async def deep_nesting(reader: Any, writer: Any, rng: random.Random, over: asyncio.Event) -> None:
    writer.write(PLAIN + chunked(b"\xb1\x01\xa1\x81a" + b"\x91" * rng.randrange(10, 60_000)))
    await reader.read()


async def http(reader: Any, writer: Any, rng: random.Random, over: asyncio.Event) -> None:
    writer.write(
        rng.choice(
            [
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"POST / HTTP/1.1\r\n\r\n",
                b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 3000,
            ]
        )
    )
    await reader.read()


async def tls_hello(reader: Any, writer: Any, rng: random.Random, over: asyncio.Event) -> None:
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(506))
    await reader.read()


async def half_a_handshake(reader: Any, writer: Any, rng: random.Random, over: asyncio.Event) -> None:
    writer.write(PLAIN[: rng.randrange(1, 20)])
    await over.wait()


async def silence(reader: Any, writer: Any, rng: random.Random, over: asyncio.Event) -> None:
    await over.wait()


async def slowloris(reader: Any, writer: Any, rng: random.Random, over: asyncio.Event) -> None:
    for byte in PLAIN + chunked(b"\xb1\x01\xa1\x8auser_agent\xd1\xff\xff" + b"x" * 1000):
        if reader.at_eof() or writer.is_closing():
            return
        writer.write(bytes((byte,)))
        await asyncio.sleep(0.01)


async def connect_and_reset(reader: Any, writer: Any, rng: random.Random, over: asyncio.Event) -> None:
    if rng.random() < 0.5:
        writer.write(PLAIN)
    writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: close by RST


async def oversized_login(reader: Any, writer: Any, rng: random.Random, over: asyncio.Event) -> None:
    writer.write(PLAIN)
    for _ in itertools.repeat(None, 30):
        writer.write(b"\xff\xff" + (b"\xb1\x01\xa1\x81a\xd2\x7f\xff\xff\xff").ljust(65535, b"x"))
        await writer.drain()
    await reader.read()


KINDS: tuple[Kind, ...] = (
    garbage,
    lying_lengths,
    deep_nesting,
    http,
    tls_hello,
    half_a_handshake,
    silence,
    slowloris,
    connect_and_reset,
    oversized_login,
)


async def _visit(port: int, kind: Kind, rng: random.Random, over: asyncio.Event) -> None:
    with contextlib.suppress(ConnectionError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await kind(reader, writer, rng, over)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def group(port: int, size: int, rng: random.Random) -> None:
    """`size` connections at once, of all kinds in turn, until those that end by themselves have ended."""
    over = asyncio.Event()
    patient = (lying_lengths, half_a_handshake, silence)
    visits = [
        (kind, asyncio.ensure_future(_visit(port, kind, rng, over)))
        for kind, _ in zip(itertools.cycle(KINDS), range(size))
    ]
    await asyncio.gather(*(visit for kind, visit in visits if kind not in patient))
    over.set()
    await asyncio.gather(*(visit for _, visit in visits))


if __name__ == "__main__":
    asyncio.run(serve())
