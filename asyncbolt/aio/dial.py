"""Connections to the addresses that a name stands for, tried side by side."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

from ._clock import Deadline, TimeoutExpired, bounded

__all__ = ["Arrival", "Place", "Reached", "Unreached", "keep_alive", "places", "reach"]

# RFC 8305: so many seconds after one address the next is tried too, while the first has not answered.
_PACE: Final = 0.25


class Place(NamedTuple):
    """One address of a name, as :func:`socket.getaddrinfo` gives it."""

    family: int
    kind: int
    protocol: int
    address: Any

    def __str__(self) -> str:
        host = self.address[0]
        return f"[{host}]:{self.address[1]}" if ":" in host else f"{host}:{self.address[1]}"


class Arrival(asyncio.Protocol):
    """Has a new connection until its protocol is there; nothing is read meanwhile."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._early: list[bytes] = []
        self._lost: tuple[Exception | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: the transport is connected."""
        # uvloop's are no subclasses.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio where it reads all the same."""
        self._early.append(bytes(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: the transport is gone already."""
        self._lost = (exc,)

    def hand_over(self, protocol: asyncio.Protocol) -> bool:
        """Give the connection to *protocol*; return False, and only what came, when it is gone."""
        transport = self.transport
        gone = self._lost is not None or transport.is_closing()
        if not gone:
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
        for data in self._early:
            protocol.data_received(data)
        if not gone:
            transport.resume_reading()
        return not gone

    def check(self) -> None:
        """Raise OSError when the connection is gone."""
        if self._lost is not None or self.transport.is_closing():
            error = None if self._lost is None else self._lost[0]
            raise error or ConnectionResetError("the connection was closed at once")

    def abort(self) -> None:
        """Cut it."""
        self.transport.abort()


class Reached(NamedTuple):
    """A connection, which address it is of, and why others that were tried did not answer."""

    arrival: Arrival
    place: Place
    errors: dict[Place, BaseException]


class Unreached(Exception):
    """None of several addresses was reached; ``errors`` has a reason for each."""

    def __init__(self, errors: dict[Place, BaseException]) -> None:
        super().__init__(errors)
        self.errors = errors


async def places(loop: asyncio.AbstractEventLoop, host: str, port: int, deadline: Deadline) -> list[Place]:
    """Return the addresses that *host* stands for, each once, in the order in which they are to be tried.

    Raises:
        OSError: the name is not known, or nobody can be asked.
        TimeoutError: nobody answered before the *deadline*.
    """
    literal = _literal(host, port)
    if literal is not None:
        return [literal]
    try:
        found = await bounded(
            loop.getaddrinfo(host, port, type=socket.SOCK_STREAM),
            deadline,
            f"the name {host} was not resolved within {deadline}",
        )
    except UnicodeError as error:
        # A label that is empty or too long.
        raise OSError(f"{host!r} is no name of a host: {error}") from error
    unique = dict.fromkeys(Place(family, kind, proto, address) for family, kind, proto, _, address in found)
    if not unique:
        raise OSError(f"the name {host} has no address")
    return _mixed(list(unique))


def _literal(host: str, port: int) -> Place | None:
    """Return the place of a *host* that is an address itself: nobody need be asked."""
    if "%" in host:
        return None  # with a scope, which the system knows
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        address = (host, port) if family == socket.AF_INET else (host, port, 0, 0)
        return Place(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, address)
    return None


def _mixed(found: list[Place]) -> list[Place]:
    """Let the families take turns, beginning with the first: a family that does not work holds up nobody."""
    first = [place for place in found if place.family == found[0].family]
    others = [place for place in found if place.family != found[0].family]
    mixed: list[Place] = []
    while first or others:
        for family in (first, others):
            if family:
                mixed.append(family.pop(0))
    return mixed


async def reach(
    loop: asyncio.AbstractEventLoop, candidates: Sequence[Place], deadline: Deadline, each: float | None
) -> Reached:
    """Return a connection to the first of *candidates* that answers.

    The next is tried when one fails, and a quarter of a second after it (RFC 8305) while it is silent.

    Args:
        loop: the running event loop.
        candidates: where to, best first.
        deadline: when one must have answered.
        each: seconds that each of them has; None: as long as there is.

    Raises:
        Unreached: none has answered.
    """
    waiting = list(reversed(candidates))
    errors: dict[Place, BaseException] = {}
    running: dict[asyncio.Task[Arrival], tuple[Place, Deadline]] = {}
    try:
        while waiting or running:
            if waiting:
                place = waiting.pop()
                task = loop.create_task(_connected(loop, place))
                running[task] = place, deadline.within(each)
            pause = Deadline(loop, _PACE) if waiting else Deadline(loop, None)
            while running:
                done = await _first(running, pause)
                for task in done:
                    place, _ = running.pop(task)
                    error = task.exception()
                    if error is None:
                        return Reached(task.result(), place, errors)
                    errors[place] = error
                for task, (place, limit) in list(running.items()):
                    if limit.over:
                        del running[task]
                        _give_up(task)
                        errors[place] = TimeoutExpired(f"no connection to {place} within {limit}")
                if waiting and (done or pause.over):
                    break
        raise Unreached(errors)
    finally:
        for task in running:
            _give_up(task)
        if running:
            # So that nothing of them is left when this returns.
            await asyncio.wait(running, timeout=_PACE)


async def _first(
    running: dict[asyncio.Task[Arrival], tuple[Place, Deadline]], pause: Deadline
) -> set[asyncio.Task[Arrival]]:
    """Wait until one of the tasks is done, its time is over, or the *pause* is."""
    limits = [limit.remaining() for _, limit in running.values()]
    limits.append(pause.remaining())
    soonest = min((limit for limit in limits if limit is not None), default=None)
    done, _ = await asyncio.wait(running, timeout=soonest, return_when=asyncio.FIRST_COMPLETED)
    return done


def _give_up(task: asyncio.Task[Arrival]) -> None:
    task.cancel()
    task.add_done_callback(_close)


def _close(task: asyncio.Task[Arrival]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().abort()


async def _connected(loop: asyncio.AbstractEventLoop, place: Place) -> Arrival:
    # Not by a socket of our own, which uvloop would have to take over: it may abort the process then.
    host, port = place.address[:2]
    _, arrival = await loop.create_connection(Arrival, host, port, family=place.family, proto=place.protocol)
    return arrival


# A peer that is gone without a word is noticed after a minute: half of it idle, then three questions.
_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


def keep_alive(transport: asyncio.Transport) -> None:
    """Have the system find out whether the peer of an idle connection is still there."""
    try:
        sock = transport.get_extra_info("socket")
        if sock is None:
            return  # gone already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE:
            option = getattr(socket, name, None)
            if option is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
    except OSError:
        pass  # the connection is gone already, or the system has no such options
