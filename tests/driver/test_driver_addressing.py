from __future__ import annotations

import copy
import pickle
import socket

import neo4j
import neo4j.addressing
import pytest

from asyncbolt.driver.addressing import Address, IPv4Address, IPv6Address, UnixAddress

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
BOTH = [Address, neo4j.Address]


def facts(address):
    """What both libraries say of an address."""
    return (
        type(address).__name__, tuple(address), str(address), repr(address), address.host, address.port,
        address.port_number, address.family, hash(address), list(address), len(address),
    )  # fmt: skip


@pytest.mark.parametrize(
    "parts",
    [
        ("example.com", 7687),
        ("127.0.0.1", 1),
        ["localhost", "7687"],
        ("localhost", "http"),
        ("::1", 7687, 0, 0),
        ("fe80::1", 7687, 5, 3),
        ("::1", 7687),
        ("", 0),
    ],
    ids=str,
)
def test_of_parts_as_the_official_driver(parts):
    assert facts(Address(parts)) == facts(neo4j.Address(parts))
    assert Address(parts) == neo4j.Address(parts) == tuple(parts)


@pytest.mark.parametrize(
    "text",
    [
        "localhost:7687", "localhost", "example.com:0", ":7687", "", "[::1]:7687", "[::1]", "[::1]:", "h:",
        "127.0.0.1:65535", "[fe80::1%eth0]:1", "[]:3",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "defaults", [{}, {"default_host": "there"}, {"default_host": "there", "default_port": 5}], ids=str
)
def test_parse_as_the_official_driver(text, defaults):
    ours, theirs = (cls.parse(text, **defaults) for cls in BOTH)
    if text.endswith(":0"):  # a port that was given is no missing one
        assert ours.port == 0
    else:
        assert facts(ours) == facts(theirs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("::1", ("::1", 9, 0, 0)),
        ("::", ("::", 9, 0, 0)),
        ("fe80::", ("fe80::", 9, 0, 0)),
        ("fe80::1%eth0", ("fe80::1%eth0", 9, 0, 0)),
        ("1:2:3:4:5:6:7:8", ("1:2:3:4:5:6:7:8", 9, 0, 0)),
        ("1:2:3:4:5:6:7:8:7687", ("1:2:3:4:5:6:7:8", 7687, 0, 0)),
        ("2001:db8::beef:cafe", ("2001:db8::beef:cafe", 9, 0, 0)),
        ("::ffff:1.2.3.4", ("::ffff:1.2.3.4", 9, 0, 0)),
        ("::ffff:1.2.3.4:7687", ("::ffff:1.2.3.4", 7687, 0, 0)),
    ],
)
def test_ipv6_without_brackets(text, expected):
    address = Address.parse(text, default_port=9)
    assert type(address) is IPv6Address and address == expected


@pytest.mark.parametrize("text", ["::1:7687", "2001:db8::1:2", "fe80::1:1"])
def test_ipv6_without_brackets_that_could_end_in_a_port(text):
    host, _, port = text.rpartition(":")
    with pytest.raises(ValueError) as info:
        Address.parse(text)
    assert f"[{text}]" in str(info.value) and f"[{host}]:{port}" in str(info.value)


@pytest.mark.parametrize(
    "text",
    [
        "h:x", "h:-1", "h:+1", "h:1_0", "h: 1", "h:65536", "h:١", "[::1]:x", "[::1]:70000",
        "1:2:3:4:5:6:7:8:70000",
    ],
)  # fmt: skip
def test_a_port_that_is_none(text):
    with pytest.raises(ValueError, match=r"the port is no number from 0 to 65535") as info:
        Address.parse(text)
    assert repr(text) in str(info.value)
    assert info.value.__cause__ is None


@pytest.mark.parametrize("text", ["a:b:c", "[::1", "[::1]7687", "[host]:1", "[127.0.0.1]", "1:2:3"])
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match=r"is no address"):
        Address.parse(text)


def test_a_uri_is_no_address_and_its_password_is_not_shown():
    with pytest.raises(ValueError, match="a URI is no address") as info:
        Address.parse("bolt://ann:secret@host:7687")
    assert "secret" not in str(info.value)


@pytest.mark.parametrize("value", [None, 7, b"h:1", ("h", 1)])
def test_parse_takes_strings_only(value):
    for cls in BOTH:
        with pytest.raises(TypeError):
            cls.parse(value)
        with pytest.raises(TypeError):
            cls.parse_list("h:1", value)


@pytest.mark.parametrize(
    "texts", [(), ("",), ("a:1 b [::1]:3",), ("a:1", "[::1]"), (" a:1\n\tb:2 ", "", "c")], ids=repr
)
def test_parse_list_as_the_official_driver(texts):
    for defaults in ({}, {"default_host": "there", "default_port": 5}):
        ours, theirs = (cls.parse_list(*texts, **defaults) for cls in BOTH)
        assert list(map(facts, ours)) == list(map(facts, theirs))


@pytest.mark.parametrize("parts", [(), ("h",), ("h", 1, 2), ("h", 1, 2, 3, 4)], ids=repr)
def test_wrong_number_of_parts(parts):
    for cls in BOTH:
        with pytest.raises(ValueError, match="parts"):
            cls(parts)


def test_a_class_keeps_to_its_family():
    assert type(IPv4Address(("h", 1))) is IPv4Address
    assert type(IPv6Address(("::1", 1, 0, 0))) is IPv6Address
    with pytest.raises(ValueError, match="IPv4Address cannot be made of 4 parts"):
        IPv4Address(("::1", 1, 0, 0))
    with pytest.raises(ValueError, match="IPv6Address cannot be made of 2 parts"):
        IPv6Address(("h", 1))


class Named(Address):
    """A user's own kind."""


@pytest.mark.parametrize(
    "address",
    [
        Address(("h", 1)), Address(("::1", 1, 0, 0)), UnixAddress("/run/bolt.sock"), UnixAddress(b"\0name"),
        Named(("h", 1)),
    ],
    ids=repr,
)  # fmt: skip
def test_copies_and_pickles(address):
    assert Address(address) is address and type(address)(address) is address
    twins = [copy.copy(address), copy.deepcopy(address)]
    twins += [pickle.loads(pickle.dumps(address, protocol)) for protocol in PROTOCOLS]
    for twin in twins:
        assert type(twin) is type(address)
        assert (twin, str(twin), repr(twin)) == (address, str(address), repr(address))
    assert {address: 1}[twins[0]] == 1


@pytest.mark.parametrize(
    ("port", "expected"),
    [(7687, 7687), ("7687", 7687), ("http", 80), ("https", 443), (0, 0), (True, 1)],
)
def test_port_number_as_the_official_driver(port, expected):
    assert Address(("h", port)).port == port
    assert Address(("h", port)).port_number == neo4j.Address(("h", port)).port_number == expected


@pytest.mark.parametrize(
    ("port", "error"), [("no-such-service", ValueError), ([], TypeError), (None, TypeError)]
)
def test_port_number_that_is_none(port, error):
    for cls in BOTH:
        with pytest.raises(error):
            print(cls(("h", port)).port_number)


@pytest.mark.parametrize("port", [-1, 65536, "70000"])
def test_port_number_out_of_range(port):
    with pytest.raises(ValueError, match="from 0 to 65535"):
        print(Address(("h", port)).port_number)


def test_of_a_socket():
    with socket.socket() as listening, socket.socket() as connected:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        connected.connect(listening.getsockname())
        ours, theirs = (cls.from_socket(connected) for cls in BOTH)
        assert facts(ours) == facts(theirs)
        assert ours == listening.getsockname()


class SixSocket:
    def getpeername(self):
        return ("::1", 7687, 0, 0)


def test_of_a_socket_of_ipv6():
    assert facts(Address.from_socket(SixSocket())) == facts(neo4j.Address.from_socket(SixSocket()))


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets on this system")
def test_of_a_unix_socket(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as connected:
        listening.bind(path)
        listening.listen()
        connected.connect(path)
        address = Address.from_socket(connected)
    assert type(address) is UnixAddress and address.host == path
    assert address.family == socket.AF_UNIX


def test_unix_address():
    address = UnixAddress("/run/bolt.sock")
    assert isinstance(address, Address)
    assert (address.host, address.port, address.port_number) == ("/run/bolt.sock", 0, 0)
    assert str(address) == "/run/bolt.sock" and repr(address) == "UnixAddress('/run/bolt.sock')"
    assert Address.parse(str(address)) == address and type(Address.parse(str(address))) is UnixAddress
    assert address != UnixAddress("/run/other.sock") and len({address, UnixAddress("/run/bolt.sock")}) == 1
    assert str(UnixAddress(b"\0bolt")) == "@bolt"
    with pytest.raises(TypeError, match="the path of a Unix socket is a str, not int"):
        UnixAddress(7)


@pytest.mark.parametrize("text", ["h:1", "[::1]:7687", "/a/b", "1.2.3.4:0"])
def test_parse_reads_what_str_writes(text):
    assert str(Address.parse(text)) == text
