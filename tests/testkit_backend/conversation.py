"""What is said on one connection: requests, responses, and the questions that a request may lead to.

Testkit sends a request and waits for its one response. On the way the driver may have to know something that
only the test knows (an address, a token, bookmarks): then a question is sent instead of the response, and its
answer comes as another request, whose name ends in ``Completed``. Every request is a task of its own here, so
a transaction function just waits while the requests of its body are served.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple, Protocol

__all__ = ["Conversation", "Response", "Service"]

logger = logging.getLogger("testkit_backend")

_BEGIN: Final = b"#request begin"
_END: Final = b"#request end"
_WORD_BORDER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Response(NamedTuple):
    """A message to Testkit: the name of one of its classes, and that class's arguments."""

    name: str
    data: dict[str, Any]


class Service(Protocol):
    """What serves requests: for the request ``SessionRun`` it has an ``on_session_run``, and so on.

    The keys of a request become keyword arguments, in snake case too: a request with something in it that is
    not served fails, instead of being half done.
    """

    def describe(self, error: Exception) -> Response:
        """Return what Testkit is told when a request fails with *error*."""
        ...

    async def close(self) -> None:
        """Free everything: the conversation is over."""
        ...


class Conversation:
    """One connection to Testkit."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._questions: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def new_id(self) -> int:
        """Return a number that nothing else in this conversation has."""
        return next(self._ids)

    def say(self, response: Response) -> None:
        """Send a message."""
        logger.debug(">>> %s %s", *response)
        text = json.dumps({"name": response.name, "data": response.data})
        self._writer.write(f"#response begin\n{text}\n#response end\n".encode())

    async def ask(self, question: str, **data: Any) -> dict[str, Any]:
        """Send a question, and return its answer."""
        number = self.new_id()
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        try:
            self.say(Response(question, {"id": number, **data}))
            return await answer
        finally:
            del self._questions[number]

    async def hold(self, service: Service) -> None:
        """Serve requests until Testkit hangs up."""
        try:
            async for name, data in self._requests():
                logger.debug("<<< %s %s", name, data)
                if name.endswith("Completed"):
                    self._questions[data.pop("request_id")].set_result(data)
                else:
                    task = asyncio.create_task(self._serve(service, name, data))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await service.close()
            self._writer.close()

    async def _requests(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        lines: list[bytes] | None = None
        while line := await self._reader.readline():
            line = line.strip()
            if line == _BEGIN:
                lines = []
            elif line == _END and lines is not None:
                request = json.loads(b"\n".join(lines))
                yield request["name"], {_snake(key): value for key, value in request["data"].items()}
                lines = None
            elif lines is not None:
                lines.append(line)

    async def _serve(self, service: Service, name: str, data: dict[str, Any]) -> None:
        try:
            handler = getattr(service, f"on_{_snake(name)}", None)
            if handler is None:
                raise NotImplementedError(f"the request {name} is not served")
            response = await handler(**data)
        except Exception as error:
            logger.debug("%s failed", name, exc_info=True)
            response = service.describe(error)
        if response is not None:
            self.say(response)


def _snake(name: str) -> str:
    return _WORD_BORDER.sub("_", name).lower()
