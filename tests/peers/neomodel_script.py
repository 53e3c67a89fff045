"""Loads and queries a small graph through neomodel, and prints what it saw, as JSON.

python neomodel_script.py URI DATABASE

Which driver it runs on is for those who start it: it only imports neomodel.
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from typing import Any

from neomodel import (
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncStructuredRel,
    DateTimeNeo4jFormatProperty,
    IntegerProperty,
    JSONProperty,
    StringProperty,
    adb,
)


class Knows(AsyncStructuredRel):
    since = IntegerProperty()


class Person(AsyncStructuredNode):
    name = StringProperty(unique_index=True)
    age = IntegerProperty(index=True)
    born = DateTimeNeo4jFormatProperty()
    notes = JSONProperty()
    friends = AsyncRelationshipTo("Person", "KNOWS", model=Knows)


def names(people: Any) -> list[str]:
    return [person.name for person in people]


async def nodes() -> Any:
    ann = await Person(name="Ann", age=30, notes={"likes": ["tea"]}).save()
    bob = await Person(name="Bob", age=40).save()
    await Person(name="Cid", age=50).save()
    await ann.friends.connect(bob, {"since": 2020})
    again = await Person.nodes.get(name="Ann")
    again.age += 1
    await again.save()
    await ann.refresh()
    return [
        again == ann,
        ann.age,
        ann.notes,
        names(await Person.nodes.order_by("name")),
        names(await Person.nodes.filter(age__gt=35).order_by("-age")),
        await Person.nodes.filter(age__lt=0).get_or_none(),
        [node.name async for node in Person.nodes.order_by("name")],
    ]


async def relationships() -> Any:
    ann = await Person.nodes.get(name="Ann")
    bob = await Person.nodes.get(name="Bob")
    knows = await ann.friends.relationship(bob)
    start, end = await knows.start_node(), await knows.end_node()
    return [names(await ann.friends.all()), knows.since, start == ann, end == bob]


async def queries() -> Any:
    rows, _ = await adb.cypher_query("UNWIND [3, 1, 2] AS n RETURN n, $text AS text", {"text": "x"})
    people, _ = await adb.cypher_query(
        "MATCH (n:Person) RETURN n ORDER BY n.name LIMIT 1", resolve_objects=True
    )
    paths, columns = await adb.cypher_query("MATCH p = (:Person)-[:KNOWS]->() RETURN p", resolve_objects=True)
    path = paths[0][0]
    return [rows, people[0][0].name, list(columns), len(path), names(path.nodes)]


async def transactions() -> Any:
    counted = []

    async def count() -> None:
        counted.append((await adb.cypher_query("MATCH (n:Person) RETURN count(n)"))[0][0][0])

    try:
        async with adb.transaction:
            await Person(name="Dan").save()
            await count()
            raise ZeroDivisionError
    except ZeroDivisionError:
        await count()
    async with adb.write_transaction as transaction:
        await Person(name="Dan").save()
    await count()
    bookmarks = transaction.last_bookmarks
    async with adb.read_transaction:
        await count()

    @adb.transaction
    async def delete(name: str) -> None:
        await (await Person.nodes.get(name=name)).delete()

    await delete("Dan")
    await count()
    return [counted, type(bookmarks).__name__, len(bookmarks.raw_values)]


async def errors() -> Any:
    seen = []
    for query in ("RETRUN 1", "RETURN $missing"):
        try:
            await adb.cypher_query(query)
        except Exception as error:
            bases = [base.__name__ for base in type(error).__mro__]
            seen.append([bases[0], "ClientError" in bases, error.code])
    return seen


async def main() -> None:
    await adb.set_connection(url=f"{sys.argv[1]}/{sys.argv[2]}")
    told: dict[str, Any] = {}
    for check in (nodes, relationships, queries, transactions, errors):
        told[check.__name__] = await check()
    told["edition"] = await adb.database_edition
    await adb.close_connection()
    print(json.dumps(told))


if __name__ == "__main__":
    warnings.simplefilter("error")
    asyncio.run(main())
