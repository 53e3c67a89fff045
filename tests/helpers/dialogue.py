"""A client's connection without IO, and what a server says to it."""

from __future__ import annotations

from typing import Any

from asyncbolt._constants import Message, Version
from asyncbolt.chunking import MessageWriter
from asyncbolt.exceptions import BoltError, RemoteProtocolError
from asyncbolt.protocol import ClientConnection, ClientEvent, ConnectionFailed
from asyncbolt.protocol.handshake import encode_offer

__all__ = ["ERROR", "Dialogue", "dies"]

ERROR = {"code": "Neo.ClientError.Statement.SyntaxError", "message": "no"}


class Dialogue:
    """A client, by default logged in, and bytes of a server."""

    def __init__(self, version: Version = (5, 4), *, login: bool = True, **options: Any) -> None:
        self.client = ClientConnection(version=version, **options)
        self.writer = MessageWriter(version, graph=True)
        self.client.receive_data(encode_offer(version))
        if login:
            self.client.send_hello("t/1", patch_bolt=())
            self.success()
            if self.client.supports(Message.LOGON):
                self.client.send_logon()
                self.success()
        self.client.data_to_send()

    def hear(self, signature: int, *fields: Any) -> list[ClientEvent]:
        return self.client.receive_data(self.writer.message(signature, *fields))

    def success(self, **metadata: Any) -> list[ClientEvent]:
        return self.hear(Message.SUCCESS, metadata)

    def failure(self, metadata: dict[str, Any] = ERROR) -> list[ClientEvent]:
        return self.hear(Message.FAILURE, metadata)

    def ignored(self) -> list[ClientEvent]:
        return self.hear(Message.IGNORED)

    def records(self, *rows: tuple[Any, ...]) -> list[ClientEvent]:
        return self.client.receive_data(self.writer.records(rows))


def dies(events: list[ClientEvent], text: str, kind: type[BoltError] = RemoteProtocolError) -> BoltError:
    failed = events[-1]
    assert isinstance(failed, ConnectionFailed)
    assert isinstance(failed.error, kind)
    assert text in str(failed.error)
    return failed.error
