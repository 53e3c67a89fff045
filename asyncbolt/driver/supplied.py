"""What functions of the user's give: tokens, addresses, certificates, bookmarks. They may hang."""

from __future__ import annotations

import inspect
from typing import Any

from ..aio._clock import Deadline, TimeoutExpired, bounded
from ..exceptions import ConnectionAcquisitionTimeoutError

__all__ = ["supplied"]


async def supplied(value: Any, deadline: Deadline, what: str) -> Any:
    """Return what *value*, the result of a function of the user's, is or comes to before the *deadline*.

    Raises:
        ConnectionAcquisitionTimeoutError: it took longer; *what* names it.
    """
    if not inspect.isawaitable(value):
        return value
    try:
        return await bounded(value, deadline, f"{what} gave no answer within {deadline}")
    except TimeoutExpired as error:
        if not deadline.over:
            raise  # its own
        raise ConnectionAcquisitionTimeoutError(str(error)) from error
