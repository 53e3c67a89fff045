"""What the client said about a statement, and about the transaction that it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .._constants import Message

__all__ = ["Request", "Transaction"]

_NOTIFICATIONS: Final = "notifications_disabled_classifications"
_NOTIFICATIONS_TO_5_4: Final = "notifications_disabled_categories"


class Transaction:
    """An explicit transaction, from BEGIN to its end.

    Attributes:
        data: Free for the author: what ``begin`` opened, for ``run``, ``commit`` and ``rollback``.
    """

    __slots__ = ("bookmarks", "data", "db", "impersonated_user", "mode", "tx_metadata", "tx_timeout")

    def __init__(self, extra: Mapping[str, Any]) -> None:
        self.db: str | None = extra.get("db") or None
        self.mode: str = extra.get("mode", "w")
        self.tx_metadata: dict[str, Any] = extra.get("tx_metadata", {})
        self.tx_timeout: int | None = extra.get("tx_timeout") or None
        self.bookmarks: list[str] = extra.get("bookmarks", [])
        self.impersonated_user: str | None = extra.get("imp_user")
        self.data: Any = None

    def __repr__(self) -> str:
        return f"<Transaction mode={self.mode!r} db={self.db!r}>"


class Request:
    """What is being handled, as ``self.request`` of a session.

    Inside an explicit transaction, what BEGIN said holds for every statement.

    Attributes:
        message: Which request: RUN, BEGIN, COMMIT, ROLLBACK, ROUTE, LOGON ...
        statement: The text, "" if there is none.
        parameters: Its parameters, a dict.
        db: The database that the client named (4.0+); None for the default one.
        mode: ``"r"`` or ``"w"`` (3+).
        tx_metadata: A dict (3+).
        tx_timeout: Milliseconds (3+); None for no limit. The session sees to it.
        bookmarks: A list of strings (3+).
        impersonated_user: Whose rights the client asks for (4.4+), or None. Whether the principal may is for
            the author to decide.
        principal: Who is logged in; None for nobody by name.
        peer: The client's address, as the transport's ``peername`` has it.
        transaction: The :class:`Transaction`, or None for an auto-commit statement.
        version: The Bolt version, (major, minor).
        notifications_minimum_severity: ``"WARNING"``, ``"INFORMATION"``, ``"OFF"`` or None (5.2+).
        notifications_disabled: The categories or classifications that the client does not want to hear of, or
            None (5.2+).
        interrupted: Turns True when nobody waits for the answer any more: for code in threads, which cannot
            be cancelled.
    """

    __slots__ = (
        "bookmarks",
        "db",
        "impersonated_user",
        "interrupted",
        "message",
        "mode",
        "notifications_disabled",
        "notifications_minimum_severity",
        "parameters",
        "peer",
        "principal",
        "statement",
        "transaction",
        "tx_metadata",
        "tx_timeout",
        "version",
    )

    def __init__(
        self,
        message: Message,
        extra: Mapping[str, Any],
        *,
        statement: str = "",
        parameters: dict[str, Any] | None = None,
        transaction: Transaction | None = None,
        principal: str | None = None,
        peer: Any = None,
        version: tuple[int, int] = (1, 0),
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        said = Transaction(extra) if transaction is None else transaction
        self.message = message
        self.statement = statement
        self.parameters: dict[str, Any] = {} if parameters is None else parameters
        self.db = said.db
        self.mode = said.mode
        self.tx_metadata = said.tx_metadata
        self.tx_timeout = said.tx_timeout
        self.bookmarks = said.bookmarks
        self.impersonated_user = said.impersonated_user
        self.transaction = transaction
        self.principal = principal
        self.peer = peer
        self.version = version
        chosen = {**(filters or {}), **extra}
        self.notifications_minimum_severity: str | None = chosen.get("notifications_minimum_severity")
        self.notifications_disabled: list[str] | None = chosen.get(
            _NOTIFICATIONS, chosen.get(_NOTIFICATIONS_TO_5_4)
        )
        self.interrupted = False

    def __repr__(self) -> str:
        return f"<Request {self.message.name} {self.statement[:80]!r}>"
