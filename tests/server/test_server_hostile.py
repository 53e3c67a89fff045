"""2,000 connections that mean harm: who means none gets every answer, and nothing is left of the others."""

from __future__ import annotations

import asyncio
import random
import sys

import pytest
from aiohelp import aiotest
from hostile_peers import KINDS, HostileServer, group
from raw_client import RawClient

ROUNDS, SIZE = 20, 100


@pytest.mark.skipif(sys.platform == "win32", reason="the server's process tells its memory in Unix's way")
@aiotest(timeout=300)
async def test_two_thousand_hostile_connections():
    assert SIZE % len(KINDS) == 0
    rng = random.Random(20171)
    auth = {"scheme": "basic", "principal": "friend", "credentials": "pw"}
    async with HostileServer.started() as server:
        friend = await RawClient.connect(server.port, auth=auth)
        assert len((await friend.query("rows", {"count": 1000})).rows) == 1000
        before = await server.facts()
        answers = 0
        over = asyncio.Event()

        async def keep_asking():
            nonlocal answers
            while not over.is_set():
                count = 1 + answers % 500
                answer = await friend.query("rows", {"count": count})
                assert answer.ok
                assert answer.rows == [[number, f"row {number}"] for number in range(count)]
                answers += 1

        asking = asyncio.ensure_future(keep_asking())
        for _ in range(ROUNDS):
            await group(server.port, SIZE, rng)
            newcomer = await RawClient.connect(server.port, auth=auth)
            assert (await newcomer.query("rows", {"count": 3})).ok
            await newcomer.close()
        over.set()
        await asking
        assert answers > ROUNDS
        # What is left goes when the server has seen the last of the ends; the test's time limit bounds it.
        after = await server.facts()
        while after["fds"] > before["fds"] or after["sessions"] > before["sessions"]:
            await asyncio.sleep(0.01)
            after = await server.facts()
        assert after["tasks"] <= before["tasks"]
        assert after["threads"] == before["threads"]
        assert after["transports"] <= before["transports"]
        assert after["peak_rss"] < 300 * 1024 * 1024
        await friend.close()
