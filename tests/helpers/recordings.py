"""What real servers and the official driver said to each other: ``tests/data/recorded/*.json``."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from asyncbolt._constants import Message
from asyncbolt.protocol import ClientConnection

RECORDED = Path(__file__).parents[1] / "data" / "recorded"

CLIENT = "C"
SERVER = "S"


def messages_in(stream: bytes) -> list[tuple[int, int, bytes]]:
    """The messages of a stream of chunks: (first byte, byte behind it, content). Has its own eyes."""
    found = []
    pos = begin = 0
    content = b""
    while pos < len(stream):
        size = int.from_bytes(stream[pos : pos + 2], "big")
        pos += 2
        if size:
            content += stream[pos : pos + size]
            pos += size
        elif content:
            found.append((begin, pos, content))
            content = b""
            begin = pos
        else:
            begin = pos  # a NOOP
    assert not content, "the stream ends inside a message"
    return found


class Recording:
    """One recorded connection.

    Attributes:
        name: that of the file.
        server: the server's agent.
        version: the Bolt version spoken.
        steps: (sender, bytes), in order; where one begins says nothing about messages.
        handshake: the 20 bytes of the client and the 4 of the server, which the steps do not hold.
        seen: what the driver's user saw.
    """

    def __init__(self, path: Path) -> None:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self.name = path.stem
        self.server: str = content["server"]
        self.version: tuple[int, int] = tuple(content["bolt"])
        self.seen: list[dict[str, Any]] = content["seen"]
        (connection,) = content["connections"]
        steps = [(step["from"], bytes.fromhex(step["hex"])) for step in connection]
        (first, hello), (second, reply) = steps[:2]
        assert (first, second, len(hello), len(reply)) == (CLIENT, SERVER, 20, 4), self.name
        self.handshake = hello, reply
        self.steps = steps[2:]

    def stream(self, sender: str) -> bytes:
        """All bytes of one side behind the handshake."""
        return b"".join(data for who, data in self.steps if who == sender)

    def __repr__(self) -> str:
        return self.name


@functools.lru_cache(maxsize=1)
def load_all() -> tuple[Recording, ...]:
    """Every recording."""
    found = tuple(Recording(path) for path in sorted(RECORDED.glob("*.json")))
    assert len(found) >= 15, "recordings are missing"
    return found


def speak(client: ClientConnection, signature: int, fields: tuple[Any, ...]) -> None:
    """Send the request that *signature* and decoded *fields* are, through the method for it."""
    message = Message(signature)
    if message is Message.HELLO:
        if len(fields) == 2:
            client.send_hello(fields[0], fields[1])
            return
        extra = dict(fields[0])
        named = {
            "bolt_agent": extra.pop("bolt_agent", None),
            "routing": extra.pop("routing", None),
            "patch_bolt": extra.pop("patch_bolt", ()),
            "notifications_minimum_severity": extra.pop("notifications_minimum_severity", None),
            "notifications_disabled": extra.pop("notifications_disabled_classifications", None),
        }
        client.send_hello(extra.pop("user_agent"), extra, **named)
    elif message is Message.LOGON:
        client.send_logon(fields[0])
    elif message is Message.RUN:
        client.send_run(fields[0], fields[1], **(fields[2] if len(fields) > 2 else {}))
    elif message is Message.BEGIN:
        client.send_begin(**fields[0])
    elif message is Message.PULL:
        client.send_pull(**(fields[0] if fields else {}))
    elif message is Message.DISCARD:
        client.send_discard(**(fields[0] if fields else {}))
    elif message is Message.ROUTE:
        client.send_route(fields[0], fields[1], **fields[2])
    elif message is Message.TELEMETRY:
        client.send_telemetry(fields[0])
    else:
        {
            Message.COMMIT: client.send_commit,
            Message.ROLLBACK: client.send_rollback,
            Message.RESET: client.send_reset,
            Message.LOGOFF: client.send_logoff,
            Message.ACK_FAILURE: client.send_ack_failure,
            Message.GOODBYE: client.send_goodbye,
        }[message]()
