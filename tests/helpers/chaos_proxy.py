"""A proxy on the loopback interface that cuts, stalls, swallows and delays what passes through it.

Each connection through it is a `Line` with two `Way`s, up (to the server) and down (to the client). What
happens on a way is its `Fault`, from a byte that the fault names on:

    pass       nothing
    reset      both ends are cut, and see a RST
    end        both ends are closed, and see a FIN
    half       the receiver sees a FIN; the other way goes on
    stall      nothing goes through, and nothing more is read: who writes feels back pressure
    hoard      nothing goes through; what comes is read and kept, and goes through when the fault is over
    swallow    nothing goes through; what comes is read and dropped
    drip       so many bytes go through in each turn of the loop
    garbage    other bytes go through than came

A line that is made while the proxy is to be ``silent`` is accepted, and nothing ever comes; ``closes``,
``resets`` and ``noise`` are accepted and closed, cut, or told nonsense; while it ``refuses``, nobody listens.
Nothing here is random but what the caller's `random.Random` makes so.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from driver_servers import until

__all__ = ["ACCEPTS", "KINDS", "ChaosProxy", "Fault", "Line", "Plan", "Way"]

KINDS = ("pass", "reset", "end", "half", "stall", "hoard", "swallow", "drip", "garbage")
ACCEPTS = ("pass", "silent", "closes", "resets", "noise")

_SHARED: int | None = getattr(socket, "SO_REUSEPORT", None)
_HOLDING = frozenset(("stall", "hoard", "swallow"))
_AT_ONCE = frozenset(("reset", "end", "half", "stall"))


@dataclass(frozen=True)
class Fault:
    """What happens to one direction.

    Args:
        kind: see the module.
        after: bytes that pass before it begins, counted from when the fault is set.
        size: bytes that go through in a turn, for ``drip``.
    """

    kind: str = "pass"
    after: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        assert self.kind in KINDS and self.after >= 0 and self.size >= 1

    @classmethod
    def seeded(cls, chance: random.Random, most: int = 400) -> Fault:
        """A fault of any kind that begins within *most* bytes."""
        return cls(chance.choice(KINDS), chance.randrange(most), chance.choice((1, 3, 17, 100)))


@dataclass(frozen=True)
class Plan:
    """What becomes of one connection: how it is accepted, and what happens on its two ways."""

    up: Fault = Fault()
    down: Fault = Fault()
    accept: str = "pass"

    def __post_init__(self) -> None:
        assert self.accept in ACCEPTS


class Way:
    """One direction of a line."""

    def __init__(self, line: Line, up: bool, fault: Fault) -> None:
        self.line = line
        self.up = up
        self.fault = fault
        self.passed = 0  # since the fault was set
        self.kept = bytearray()  # by the fault
        self.silenced = bytearray()  # what came when the proxy's budget was used up
        self.acting = False  # the fault has begun
        self.dead = False  # something was dropped or changed: it cannot be mended
        self.ended = False  # the sender has sent FIN, or is gone
        self.pumping = False

    @property
    def source(self) -> _End:
        return self.line.client if self.up else self.line.server

    @property
    def target(self) -> _End:
        return self.line.server if self.up else self.line.client

    @property
    def holds(self) -> bool:
        return self.acting and self.fault.kind in _HOLDING

    def set(self, fault: Fault) -> None:
        """Have *fault* from now on; what was kept is seen to as it says."""
        kept, self.kept = bytes(self.kept), bytearray()
        ended, self.ended = self.ended, False
        self.fault, self.passed, self.acting = fault, 0, False
        self.source.reads(True)
        self.feed(kept)
        if ended:
            self.end()

    def feed(self, data: bytes) -> None:
        """Bytes from the sender, or from what was kept."""
        line, fault = self.line, self.fault
        if line.over:
            return
        if not self.up:
            allowed = line.proxy.allow(line, data)
            self.silenced += data[allowed:]
            data = data[:allowed]
        room = len(data) if fault.kind == "pass" else max(0, fault.after - self.passed)
        through, rest = data[:room], data[room:]
        self.passed += len(through)
        self.write(through)
        if fault.kind != "pass" and self.passed >= fault.after and (rest or fault.kind in _AT_ONCE):
            self.act(rest)

    def act(self, rest: bytes) -> None:
        kind = self.fault.kind
        if not self.acting:
            self.acting = True
            self.line.proxy.struck[kind] = self.line.proxy.struck.get(kind, 0) + 1
        if kind == "reset":
            self.line.cut()
        elif kind == "end":
            self.line.close()
        elif kind == "half":
            self.dead = True
            self.target.finish()
        elif kind == "stall":
            self.kept += rest
            self.source.reads(False)
        elif kind == "hoard":
            self.kept += rest
        elif kind == "swallow":
            self.dead = self.dead or bool(rest)
        elif kind == "drip":
            self.kept += rest
            if not self.pumping and self.kept:
                self.pumping = True
                asyncio.get_running_loop().call_soon(self.pump)
        elif kind == "garbage" and rest:
            self.dead = True
            self.write(self.line.proxy.chance.randbytes(len(rest)))

    def pump(self) -> None:
        self.pumping = False
        if self.fault.kind != "drip" or self.line.over:
            return
        piece = bytes(self.kept[: self.fault.size])
        del self.kept[: self.fault.size]
        self.write(piece)
        if self.kept:
            self.pumping = True
            asyncio.get_running_loop().call_soon(self.pump)
        elif self.ended:
            self.end()

    def write(self, data: bytes) -> None:
        if data and not self.line.over:
            self.target.write(data)

    def end(self) -> None:
        """The sender has sent FIN, or is gone."""
        self.ended = True
        if not self.holds and not self.pumping and not self.line.proxy.mute(self):
            self.target.finish()


class _End(asyncio.Protocol):
    """The proxy's end of a connection to a client or to the server."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.transport: Any = None
        self.waiting: list[bytes] = []
        self.finishing = False
        self.lost = False
        self._wanted = True  # by the fault
        self._room = True  # the other end takes more

    @property
    def way(self) -> Way:
        """The way that begins here."""
        return self.line.up if self is self.line.client else self.line.down

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.line.proxy._ends += 1
        self.line.made(self)

    def data_received(self, data: bytes) -> None:
        self.way.feed(bytes(data))

    def eof_received(self) -> bool:
        self.way.end()
        return True

    def pause_writing(self) -> None:
        other = self.line.client if self is self.line.server else self.line.server
        other._room = False
        other._follow()

    def resume_writing(self) -> None:
        other = self.line.client if self is self.line.server else self.line.server
        other._room = True
        other._follow()

    def reads(self, wanted: bool) -> None:
        self._wanted = wanted
        self._follow()

    def _follow(self) -> None:
        transport = self.transport
        if transport is None or self.lost or transport.is_closing():
            return
        if self._wanted and self._room:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def write(self, data: bytes) -> None:
        if self.transport is None:
            self.waiting.append(data)
        elif not self.lost and not self.transport.is_closing() and not self.finishing:
            self.transport.write(data)

    def finish(self) -> None:
        """Send FIN behind what was written."""
        if self.finishing or self.lost:
            return
        self.finishing = True
        if self.transport is not None:
            self._send_fin()

    def _send_fin(self) -> None:
        if not self.transport.is_closing():
            # The other end may be gone already, unread.
            with contextlib.suppress(OSError):
                self.transport.write_eof()
        self.line.look()

    def cut(self) -> None:
        """RST."""
        if self.transport is None or self.lost:
            return
        endpoint = None
        with contextlib.suppress(OSError):  # uvloop's: it is closed already
            endpoint = self.transport.get_extra_info("socket")
        if endpoint is not None:
            with contextlib.suppress(OSError):
                endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.line.proxy._ends -= 1
        self.line.lost(self, exc)


class Line:
    """One connection through the proxy."""

    def __init__(self, proxy: ChaosProxy, plan: Plan, number: int) -> None:
        self.proxy = proxy
        self.plan = plan
        self.number = number
        self.over = False
        self.muted = False  # the budget is used up, and bytes were held back
        self.client = _End(self)
        self.server = _End(self)
        self.up = Way(self, True, plan.up)
        self.down = Way(self, False, plan.down)

    @property
    def faulty(self) -> bool:
        """Whether something is wrong with it now."""
        return self.plan.accept != "pass" or any(way.acting or way.dead for way in (self.up, self.down))

    def made(self, end: _End) -> None:
        if end is self.server:
            if self.over:
                end.cut()
                return
            for data in end.waiting:
                end.transport.write(data)
            end.waiting.clear()
            if end.finishing:
                end._send_fin()
            self._begin(self.down)
            return
        accept = self.plan.accept
        if accept == "pass":
            loop = asyncio.get_running_loop()
            reaching = loop.create_task(self._reach(loop))
            self.proxy._tasks.add(reaching)
            reaching.add_done_callback(self.proxy._tasks.discard)
            self._begin(self.up)
        elif accept == "silent":
            end.reads(False)
        elif accept == "closes":
            self.close()
        elif accept == "resets":
            self.cut()
        else:
            end.transport.write(self.proxy.chance.randbytes(self.proxy.chance.randrange(1, 300)))
            self.close()

    def _begin(self, way: Way) -> None:
        if way.fault.after == 0 and way.fault.kind in _AT_ONCE:
            way.act(b"")

    async def _reach(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            await loop.create_connection(lambda: self.server, "127.0.0.1", self.proxy.target)
        except OSError:
            self.cut()

    def lost(self, end: _End, exc: Exception | None) -> None:
        other = self.server if end is self.client else self.client
        if not end.way.ended:
            end.way.ended = True
            if end.way.holds or self.proxy.mute(end.way):
                pass  # the other end must not learn of it
            elif exc is not None or self.over:
                other.cut()
            else:
                other.finish()
        if other.lost or other.transport is None:
            self.over = True
            self.proxy.lines.discard(self)
        elif end.way.dead or other.way.ended:
            self.look()

    def look(self) -> None:
        """Close it when both ends have said all."""
        if self.client.finishing and self.server.finishing:
            self.close()

    def close(self) -> None:
        """FIN to both ends."""
        self.over = True
        for end in (self.client, self.server):
            if end.transport is not None and not end.lost:
                end.transport.close()

    def cut(self) -> None:
        """RST to both ends."""
        self.over = True
        for end in (self.client, self.server):
            end.cut()


class ChaosProxy:
    """Between clients and the server at port *target* of this machine. Use it with ``async with``.

    Attributes:
        port: where clients connect.
        lines: those that are open.
        made: how many there were.
        plan: asked for the plan of each new line, by its number.
        struck: how often each kind of fault has begun.
        down_budget: bytes that all lines together may still send to clients, None: any. When they are used
            up, everything keeps silent: what comes is kept, and nobody learns that an end is gone.
        log: what all servers sent, if it is not None.
    """

    def __init__(self, target: int, chance: random.Random | None = None) -> None:
        self.target = target
        self.chance = random.Random(0) if chance is None else chance
        self.port = 0
        self.lines: set[Line] = set()
        self.made = 0
        self.plan: Callable[[int], Plan] = lambda number: Plan()
        self.struck: dict[str, int] = {}
        self.down_budget: int | None = None
        self.log: bytearray | None = None
        self._ends = 0  # transports that are open
        self._server: asyncio.Server | None = None
        self._holder: socket.socket | None = None  # has the port while nobody listens
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ChaosProxy:
        await self.listen()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.refuse()
        for line in tuple(self.lines):
            line.cut()
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))
        if self._holder is not None:
            self._holder.close()
        await until(lambda: not self._ends)

    async def listen(self) -> None:
        """Listen, again at the same port when it did before."""
        if self._server is None:
            if self._holder is None and _SHARED is not None:
                self._holder = self._bound()
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._line, sock=self._bound())

    async def refuse(self) -> None:
        """Listen no more: who connects is refused. Lines that there are stay."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            # wait_closed() would wait for the lines too from Python 3.12 on.
            await asyncio.sleep(0)

    def _bound(self) -> socket.socket:
        endpoint = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if _SHARED is not None:
            endpoint.setsockopt(socket.SOL_SOCKET, _SHARED, 1)
        endpoint.bind(("127.0.0.1", self.port))
        self.port = endpoint.getsockname()[1]
        return endpoint

    def _line(self) -> asyncio.Protocol:
        self.made += 1
        line = Line(self, self.plan(self.made), self.made)
        self.lines.add(line)
        return line.client

    # What ways ask

    def allow(self, line: Line, data: bytes) -> int:
        """Count what a server sent; returns how much of it may go through."""
        if self.log is not None:
            self.log += data
        if line.muted:
            return 0
        budget = self.down_budget
        if budget is None:
            return len(data)
        allowed = min(budget, len(data))
        self.down_budget = budget - allowed
        line.muted = allowed < len(data)
        return allowed

    def mute(self, way: Way) -> bool:
        """Whether the receiver of *way* learns nothing any more."""
        return not way.up and (way.line.muted or self.down_budget == 0)

    # What tests do

    def strike(self, plan: Plan) -> None:
        """Have the faults of *plan* on every line that is open, from now on."""
        for line in tuple(self.lines):
            if not line.over and line.plan.accept == "pass":
                line.up.set(plan.up)
                line.down.set(plan.down)

    def cut(self) -> None:
        """Cut every line by RST."""
        for line in tuple(self.lines):
            line.cut()

    async def heal(self, how: str = "resume") -> None:
        """End the faults: new lines pass.

        Of those that are open, faulty ones go on (``resume``; those of which something was lost are cut), are
        cut by RST (``reset``), closed (``end``), or stay as they are (``stay``).
        """
        assert how in ("resume", "reset", "end", "stay")
        self.plan = lambda number: Plan()
        self.down_budget = None
        await self.listen()
        if how == "stay":
            return
        for line in tuple(self.lines):
            muted, line.muted = line.muted, False
            if line.over or not (line.faulty or muted or line.down.ended):
                continue
            if how == "end":
                line.close()
            elif how == "reset" or line.plan.accept != "pass" or line.up.dead or line.down.dead:
                line.cut()
            else:
                line.up.set(Fault())
                line.down.set(Fault())
                silenced, line.down.silenced = bytes(line.down.silenced), bytearray()
                line.down.feed(silenced)
                if line.down.ended:
                    line.down.end()
