"""Network addresses, as tuples in the form that sockets take."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any, Final, Protocol, TypeVar

__all__ = ["Address", "IPv4Address", "IPv6Address", "UnixAddress"]

_A = TypeVar("_A", bound="Address")

_MAX_PORT: Final = 0xFFFF
# Windows has no such constant, and no such sockets in asyncio.
_AF_UNIX: Final[socket.AddressFamily | None] = getattr(socket, "AF_UNIX", None)


class _WithPeer(Protocol):
    """A socket, or what stands for one."""

    def getpeername(self) -> Any: ...


class Address(tuple[Any, ...]):
    """The address of a server: (host, port), or (host, port, flow info, scope id) for IPv6.

    ``Address(...)`` makes an :class:`IPv4Address` of two parts and an :class:`IPv6Address` of four; names of
    hosts count as IPv4. A socket's path is a :class:`UnixAddress`. Addresses compare, hash and pickle like
    the tuples that they are.

    Args:
        parts: The parts, or an address, which is given back.

    Raises:
        ValueError: there are neither two parts nor four.
    """

    __slots__ = ()

    family: socket.AddressFamily | None = None
    """``socket.AF_INET``, ``AF_INET6`` or ``AF_UNIX``."""

    def __new__(cls: type[_A], parts: Iterable[Any]) -> _A:
        if isinstance(parts, cls):
            return parts
        parts = tuple(parts)
        if len(parts) not in (2, 4):
            raise ValueError(
                "an address is (host, port), or (host, port, flow info, scope id) for IPv6, not"
                f" {len(parts)} parts"
            )
        made: type[Any] = cls
        if cls is Address:
            made = IPv4Address if len(parts) == 2 else IPv6Address
        elif cls.family is not None and (cls.family == socket.AF_INET6) is not (len(parts) == 4):
            raise ValueError(f"{cls.__name__} cannot be made of {len(parts)} parts")
        address: _A = tuple.__new__(made, parts)
        return address

    @classmethod
    def from_socket(cls, socket: _WithPeer) -> Address:
        """Return the address of the other end of a connected *socket*."""
        name = socket.getpeername()
        # Linux: bytes name an abstract socket, and a socket without a name has "".
        return UnixAddress(name) if isinstance(name, str | bytes) else Address(name)

    @classmethod
    def parse(cls, s: str, default_host: str | None = None, default_port: int | None = None) -> Address:
        """Read an address: ``host``, ``host:port``, ``[IPv6]``, ``[IPv6]:port``, ``IPv6`` or ``/path``.

        Either part may be missing, and then has its default. IPv6 without brackets is taken where it can be
        read in one way only.

        Args:
            s: What to read.
            default_host: The host where *s* names none; ``"localhost"`` when None.
            default_port: The port where *s* names none; 0 when None.

        Raises:
            TypeError: *s* is not a string.
            ValueError: it is no address, its port is no number from 0 to 65535, or it is IPv6 without
                brackets that could end in a port.
        """
        if not isinstance(s, str):
            raise TypeError(f"an address to parse is a str, not {type(s).__name__}")
        if s.startswith("/"):
            return UnixAddress(s)
        six, host, port = _split(s)
        number = (default_port or 0) if port == "" else _port(port, s)
        host = host or default_host or "localhost"
        if six or _is_ipv6(host):
            return IPv6Address((host, number, 0, 0))
        return IPv4Address((host, number))

    @classmethod
    def parse_list(
        cls, *s: str, default_host: str | None = None, default_port: int | None = None
    ) -> list[Address]:
        """Read several addresses: each argument holds any number of them, with white space between.

        The rest is as in :meth:`parse`.
        """
        for text in s:
            if not isinstance(text, str):
                raise TypeError(f"addresses to parse are str, not {type(text).__name__}")
        return [cls.parse(one, default_host, default_port) for text in s for one in text.split()]

    @property
    def host(self) -> Any:
        """The first part: the name or number of the host, or the path of a Unix socket."""
        return self[0]

    @property
    def port(self) -> Any:
        """The second part: the port as it was given."""
        return self[1]

    @property
    def port_number(self) -> int:
        """The port as a number; the name of a service (``"http"``) is looked up.

        Raises:
            ValueError: there is no such service, or the number is not from 0 to 65535.
            TypeError: the port is neither a number nor a name.
        """
        port = self[1]
        if isinstance(port, str) and not _is_decimal(port):
            try:
                return socket.getservbyname(port)
            except OSError:
                raise ValueError(f"{port!r} is neither a port nor the name of a service") from None
        try:
            number = int(port)
        except TypeError:
            raise TypeError(f"a port is a number or a name, not {type(port).__name__}") from None
        return _checked(number)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({tuple(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (tuple(self),)


class IPv4Address(Address):
    """Host and port, where the host is IPv4 or a name: ``str()`` is ``host:port``."""

    __slots__ = ()

    family = socket.AF_INET

    def __str__(self) -> str:
        return f"{self[0]}:{self[1]}"


class IPv6Address(Address):
    """Host, port, flow info and scope id of IPv6: ``str()`` is ``[host]:port``."""

    __slots__ = ()

    family = socket.AF_INET6

    def __str__(self) -> str:
        return f"[{self[0]}]:{self[1]}"


class UnixAddress(Address):
    """The path of a Unix socket: ``host`` and ``str()`` are the path, ``port`` is 0.

    Args:
        path: The path; bytes for an abstract socket of Linux, whose first byte is 0.
    """

    __slots__ = ()

    family = _AF_UNIX

    def __new__(cls, path: str | bytes | UnixAddress) -> UnixAddress:
        if isinstance(path, UnixAddress):
            return path
        if not isinstance(path, str | bytes):
            raise TypeError(f"the path of a Unix socket is a str, not {type(path).__name__}")
        return tuple.__new__(cls, (path, 0))

    def __str__(self) -> str:
        path: str | bytes = self[0]
        return path if isinstance(path, str) else "@" + path[1:].decode("ascii", "backslashreplace")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self[0]!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self[0],)


def _split(text: str) -> tuple[bool, str, str]:
    """Whether *text* has brackets, its host and its port; either may be empty."""
    if "://" in text:
        # Not shown: a URI may hold a password.
        raise ValueError("a URI is no address: host:port or [IPv6]:port is expected")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is no address: [IPv6]:port is expected")
        if host and not _is_ipv6(host):
            raise ValueError(f"{text!r} is no address: brackets are for IPv6")
        return True, host, rest[1:]
    if text.count(":") <= 1:
        host, _, port = text.partition(":")
        return False, host, port
    host, _, port = text.rpartition(":")
    is_host = _is_ipv6(text)
    has_port = _is_ipv6(host) and _is_decimal(port) and int(port) <= _MAX_PORT
    if is_host and has_port:
        raise ValueError(f"{text!r} means [{text}] or [{host}]:{port}: IPv6 needs brackets here")
    if is_host:
        return True, text, ""
    if _is_ipv6(host):
        return True, host, port
    raise ValueError(f"{text!r} is no address: host:port or [IPv6]:port is expected")


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _port(text: str, whole: str) -> int:
    try:
        # int() alone takes "+1", "1_0" and digits of other scripts.
        return _checked(int(text) if _is_decimal(text) else -1)
    except ValueError:
        raise ValueError(f"{whole!r} is no address: the port is no number from 0 to {_MAX_PORT}") from None


def _checked(number: int) -> int:
    if not 0 <= number <= _MAX_PORT:
        raise ValueError(f"a port is a number from 0 to {_MAX_PORT}, not {number}")
    return number
