"""Logins: the token as the author's ``verify_auth_token`` gets it, and what its answer means."""

from __future__ import annotations

import logging
from typing import Any, Final

from ..exceptions import AuthError, Neo4jError
from .errors import login_refused

__all__ = ["AuthToken", "verdict"]

logger = logging.getLogger(__name__)

_PUBLIC: Final = frozenset({"scheme", "principal", "realm"})


class AuthToken(dict[str, Any]):
    """What a client showed to log in: ``scheme`` and, by scheme, ``principal``, ``credentials``, ``realm``,
    ``parameters``. A dict whose ``repr`` shows no secret."""

    def __repr__(self) -> str:
        shown = {key: value if key in _PUBLIC else "*******" for key, value in self.items()}
        return f"AuthToken({shown!r})"

    __str__ = __repr__

    @property
    def scheme(self) -> str:
        """``"none"`` when the client named no scheme."""
        scheme = self.get("scheme", "none")
        return scheme if isinstance(scheme, str) else "none"

    @property
    def principal(self) -> str | None:
        """The user's name; None where the scheme has none."""
        principal = self.get("principal")
        return principal if isinstance(principal, str) and principal else None


def verdict(answer: object) -> None:
    """Return if ``answer``, which ``verify_auth_token`` gave, accepts the client; else raise ``AuthError``.

    Only ``True`` accepts. What is neither True nor False refuses too, and is logged as the author's mistake:
    a forgotten ``return`` must not open the door.
    """
    if answer is True:
        return
    if answer is not False:
        logger.error("verify_auth_token returned %s, neither True nor False: refused", type(answer).__name__)
    raise login_refused()


def refusal(exc: Exception) -> Neo4jError:
    """The error that the client is told when ``verify_auth_token`` raised ``exc``."""
    if isinstance(exc, AuthError):
        logger.debug("login refused: %s", exc.code)
    if isinstance(exc, Neo4jError):
        return exc
    logger.error("verify_auth_token failed: refused", exc_info=exc)
    return login_refused()
