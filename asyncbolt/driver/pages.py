"""Catch-up reads: results that outlive a connection, a leader, a process."""

from __future__ import annotations

import datetime
import itertools
import logging
import operator
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from .._hints import AsyncRows, check_parameters, listed
from ..exceptions import (
    ClientError,
    ConfigurationError,
    DriverError,
    IncompleteCommit,
    LeaseExpired,
    Neo4jError,
)
from . import clock
from .query import check_plain_query
from .record import Record

if TYPE_CHECKING:
    from types import TracebackType

    from .session import AsyncSession
    from .transaction import AsyncManagedTransaction, AsyncTransaction

__all__ = ["Page", "Pages"]

logger = logging.getLogger("asyncbolt.driver")

_LONGEST_POLL: Final = 30.0
# How often something is tried whose commit may or may not have happened, and that can be repeated.
_COMMIT_TRIES: Final = 5

# A query in Cypher names the parameters that it uses; what other servers make of a text is not known here.
_CYPHER: Final = re.compile(r"\b(RETURN|YIELD)\b", re.IGNORECASE)
_PARAMETER: Final = r"\$\s*(`{0}`|{0}\b)|\{{\s*{0}\s*\}}"

_USES: Final = {
    "after": "each page would be the first. It needs a condition on its key, such as 'e.id > $after'",
    "limit": "a page is over when it has fewer rows than that. It needs 'LIMIT $limit'",
}

# Kinds of keys that Python orders as Cypher does.
_ORDERED: Final = (int, float, datetime.date)

_CONSTRAINT: Final = (
    "CREATE CONSTRAINT asyncbolt_position IF NOT EXISTS FOR (p:AsyncboltPosition) REQUIRE p.name IS UNIQUE"
)
# Writing to the node first locks it: of several consumers one goes on.
_TAKE: Final = """\
MERGE (p:AsyncboltPosition {name: $name})
SET p.touched = timestamp()
WITH p
WHERE p.token IS NULL OR p.consumer = $consumer OR p.until < timestamp()
SET p.token = $token, p.consumer = $consumer, p.until = timestamp() + $lease
RETURN p.position AS position"""
_RELEASE: Final = """\
MATCH (p:AsyncboltPosition {name: $name})
WHERE p.token = $token
SET p.token = null, p.consumer = null, p.until = null"""
_ACKNOWLEDGE: Final = """\
MATCH (p:AsyncboltPosition {name: $name})
SET p.touched = timestamp()
WITH p
WHERE p.token = $token OR p.acknowledged = $token
SET p.position = CASE WHEN p.token = $token THEN $position ELSE p.position END
SET p.acknowledged = $token, p.token = null, p.consumer = null, p.until = null
RETURN p.name AS name"""
_RENEW: Final = """\
MATCH (p:AsyncboltPosition {name: $name})
SET p.touched = timestamp()
WITH p
WHERE p.token = $token
SET p.until = timestamp() + $lease
RETURN p.name AS name"""


class Page(Sequence[Record]):
    """Some records in the order of their key.

    Attributes:
        keys: the names of the columns.
        position: the key of the last record: plain data, which may be stored and given to
            :meth:`AsyncDriver.pages` as ``after``.
    """

    __slots__ = ("_pages", "_records", "_token", "keys", "position")

    def __init__(
        self, pages: Pages, keys: tuple[str, ...], records: list[Record], position: Any, token: str | None
    ) -> None:
        self._pages = pages
        self._records = records
        self._token = token
        self.keys = keys
        self.position = position

    @property
    def records(self) -> list[Record]:
        """The records as a list."""
        return self._records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        return self._records[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def __repr__(self) -> str:
        return f"<Page of {len(self._records)} records up to {self.position!r}>"

    async def ack(self, transaction: AsyncTransaction | AsyncManagedTransaction | None = None) -> None:
        """Move the stored position behind this page, and let the next consumer have the next one.

        Args:
            transaction: a write transaction on the same database, in which it happens together with what this
                page has led to, or not at all; None: one of its own.

        Raises:
            LeaseExpired: the time for this page was over and another consumer has got it.
            ConfigurationError: the pages have no name.
        """
        await self._pages._acknowledge(self._named(), self.position, transaction)

    async def renew(self) -> None:
        """Let the time for this page begin anew. Raises as :meth:`ack`."""
        await self._pages._renew(self._named())

    def _named(self) -> str:
        if self._token is None:
            raise ConfigurationError("pages without name= keep their position here only: there is no ack")
        return self._token


class Pages(AsyncRows):
    """Pages of what a query gives, each in a transaction of its own. Made by :meth:`AsyncDriver.pages`.

    The query gets two parameters: ``$after``, the key behind which the page starts (null at the very
    beginning), and ``$limit``, the most rows that it may have; it returns rows in the order of the key::

        MATCH (e:Event) WHERE $after IS NULL OR e.id > $after
        RETURN e.id AS id, e.what AS what ORDER BY id LIMIT $limit

    Iterate over it with ``async for``. A page whose connection breaks, or whose server is no longer the right
    one, is read again; and when even that has failed and was raised, iterating goes on with the same page. No
    record comes twice and none is left out as long as the key is unique and grows: a record that is committed
    later has a greater one. What is seen not to be so is an error, but not everything can be seen: keys that
    were taken from a sequence in one order and committed in another leave gaps that are read past.

    Args:
        session: makes a session.
        query: as above.
        key: the column that orders the records: its name, its place, or a function of a record.
        after: the position to start behind; None: the beginning.
        page_size: ``$limit``, in records.
        follow: at the end, go on asking for what is new, until cancelled. Reasons to fail that may pass are
            waited out, however long.
        descending: the query reads backwards: from the greatest key down.
        poll_interval: seconds between two questions for what is new; it doubles up to 30 s while nothing is.
        name: keep the position in the database under this name. Pages that are not acknowledged
            (:meth:`Page.ack`) come again; several consumers with the same name get different pages, one after
            the other.
        lease: seconds in which a page of a named position must be acknowledged or renewed before another
            consumer gets it.
        parameters: further parameters of the query.
        options: of the sessions, see :class:`SessionOptions`.

    Raises:
        ConfigurationError: the arguments make no sense.

    Raises, while iterating: as :meth:`AsyncSession.execute_read`; ConfigurationError when the key is null, is
    not unique, or does not grow.
    """

    def __init__(
        self,
        session: Callable[..., AsyncSession],
        query: str,
        *,
        key: str | int | Callable[[Any], Any],
        after: Any,
        page_size: int,
        follow: bool,
        descending: bool,
        poll_interval: float,
        name: str | None,
        lease: float,
        parameters: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> None:
        if isinstance(page_size, bool) or not isinstance(page_size, int) or page_size < 1:
            raise ConfigurationError(f"page_size is at least 1, not {page_size!r}")
        if follow and descending:
            raise ConfigurationError("what is new is at the end: follow and descending exclude each other")
        if not poll_interval > 0 or not lease > 0:
            raise ConfigurationError("poll_interval and lease are above 0 seconds")
        check_plain_query(query)
        if _CYPHER.search(query):
            for parameter, use in _USES.items():
                if re.search(_PARAMETER.format(parameter), query) is None:
                    raise ConfigurationError(f"the query does not use ${parameter}: {use}")
        if isinstance(key, bool) or not (isinstance(key, (str, int)) or callable(key)):
            raise ConfigurationError(
                f"key is the name or the place of a column, or a function of a record, not {key!r}"
            )
        check_parameters(parameters)
        if parameters and not parameters.keys().isdisjoint(("after", "limit")):
            raise ConfigurationError("the parameters $after and $limit are what a page is asked for with")
        self._session = session
        self._query = query
        self._key = key
        self._key_name = key if isinstance(key, str) else "key"
        self._page_size = page_size
        self._follow = follow
        self._descending = descending
        self._poll = poll_interval
        self._name = name
        self._lease = lease
        self._parameters = dict(parameters or {})
        self._options = dict(options)
        self._consumer = str(uuid.uuid4())
        self._position = after
        self._start = after
        self._caught_up = False
        self._ended = False
        self._prepared = name is None
        self._wait = 0.0  # seconds before the next question

    @property
    def position(self) -> Any:
        """The key of the last record that was given out, to go on behind it; ``after`` before the first."""
        return self._position

    def __aiter__(self) -> Pages:
        return self

    async def __aenter__(self) -> Pages:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ask for no more pages. A page that was not acknowledged stays leased until its time is over."""
        self._ended = True

    async def __anext__(self) -> Page:
        incomplete = 0
        while not self._ended:
            if self._caught_up and not self._follow:
                break
            if self._wait:
                await clock.sleep(self._wait)
            try:
                page = await self._next()
            except (DriverError, Neo4jError) as error:
                if isinstance(error, IncompleteCommit):
                    # At most a lease of its own was written: all of it can be done again.
                    incomplete += 1
                    if incomplete == _COMMIT_TRIES and not self._follow:
                        raise
                elif not self._follow or not error.is_retryable():
                    raise
                self._back_off()
                logger.warning("pages of %s go on in %g s: %s", self._name or "a query", self._wait, error)
                continue
            if page is None:
                self._back_off()
                continue
            if not page:
                self._caught_up = True
                self._back_off()
                continue
            self._position = page.position
            self._caught_up = len(page) < self._page_size
            self._wait = self._poll if self._caught_up and self._follow else 0.0
            return page
        raise StopAsyncIteration

    def _back_off(self) -> None:
        self._wait = min(max(self._poll, 2 * self._wait), max(_LONGEST_POLL, self._poll))

    async def _next(self) -> Page | None:
        """Return the next page; None when another consumer is at it."""
        async with self._session(**self._options) as session:
            if self._name is None:
                keys, records = await session.execute_read(self._read, self._position)
                return self._page(keys, records, self._position, None)
            if not self._prepared:
                await self._prepare(session)
            token = str(uuid.uuid4())
            found = await session.execute_write(self._take, token)
        if found is None:
            return None
        after, keys, records = found
        return self._page(keys, records, after, token)

    async def _read(
        self, transaction: AsyncManagedTransaction, after: Any
    ) -> tuple[tuple[str, ...], list[Record]]:
        result = await transaction.run(
            self._query, {**self._parameters, "after": after, "limit": self._page_size}
        )
        eager = await result.to_eager_result()
        return tuple(eager.keys), eager.records

    # ---------------------------------------------------------------- named positions

    async def _prepare(self, session: AsyncSession) -> None:
        """See to it that there is one position of a name, where the server can."""
        try:
            await session.execute(_CONSTRAINT)
        except ClientError as error:
            logger.warning("no constraint on the names of positions: %s", error)
        self._prepared = True

    async def _take(
        self, transaction: AsyncManagedTransaction, token: str
    ) -> tuple[Any, tuple[str, ...], list[Record]] | None:
        """Lease the position, and read the page behind it."""
        rows = await transaction.fetch(
            _TAKE,
            {
                "name": self._name,
                "consumer": self._consumer,
                "token": token,
                "lease": round(1000 * self._lease),
            },
        )
        if not rows:
            return None
        after = self._start if rows[0][0] is None else rows[0][0]
        keys, records = await self._read(transaction, after)
        if not records:
            await transaction.execute(_RELEASE, {"name": self._name, "token": token})
        return after, keys, records

    async def _acknowledge(
        self, token: str, position: Any, transaction: AsyncTransaction | AsyncManagedTransaction | None
    ) -> None:
        parameters = {"name": self._name, "token": token, "position": position}
        if transaction is not None:
            await self._must(transaction, _ACKNOWLEDGE, parameters)
            return
        for tries in itertools.count(1):
            try:
                async with self._session(**self._options) as session:
                    await session.execute_write(self._must, _ACKNOWLEDGE, parameters)
                return
            except IncompleteCommit:
                if tries == _COMMIT_TRIES:
                    raise

    async def _renew(self, token: str) -> None:
        parameters = {"name": self._name, "token": token, "lease": round(1000 * self._lease)}
        async with self._session(**self._options) as session:
            await session.execute_write(self._must, _RENEW, parameters)

    async def _must(
        self,
        transaction: AsyncTransaction | AsyncManagedTransaction,
        statement: str,
        parameters: Mapping[str, Any],
    ) -> None:
        if not await transaction.fetch(statement, parameters):
            raise LeaseExpired(
                f"the time for a page of {self._name!r} was over, and another consumer has got it"
            )

    # ---------------------------------------------------------------- keys

    def _page(self, keys: tuple[str, ...], records: list[Record], after: Any, token: str | None) -> Page:
        key = self._key
        if isinstance(key, (str, int)):
            # Before any record came, too; but some servers name no columns where there are no rows.
            if (keys or records) and key not in (keys if isinstance(key, str) else range(len(keys))):
                raise ConfigurationError(
                    f"key={key!r} is no column of what the query returns: {listed(map(repr, keys))}"
                )
            key = operator.itemgetter(key)
        if not records:
            return Page(self, keys, records, after, token)
        try:
            values = list(map(key, records))
        except LookupError as error:
            raise ConfigurationError(
                f"key= finds no {error} in a record, whose columns are {listed(map(repr, keys))}"
            ) from error
        self._check(values, after)
        return Page(self, keys, records, values[-1], token)

    def _check(self, values: list[Any], after: Any) -> None:
        """Raise when the keys of a page are seen not to be unique, or not to grow."""
        if None in values:
            raise ConfigurationError(f"the {self._key_name} of a record is null: nothing can come behind it")
        line = values if after is None else [after, *values]
        if any(map(operator.eq, line, line[1:])):
            raise ConfigurationError(
                f"the {self._key_name} is not unique, or the query does not start behind $after: records"
                " could be lost or come twice"
            )
        before = operator.lt if self._descending else operator.gt
        if all(isinstance(value, _ORDERED) for value in line):
            try:
                ordered = not any(map(before, line, line[1:]))
            except TypeError:
                return  # dates and numbers in one column: nothing can be said
            if not ordered:
                raise ConfigurationError(
                    f"the {self._key_name} does not {'fall' if self._descending else 'grow'} from record to"
                    " record: the query must have ORDER BY"
                )
