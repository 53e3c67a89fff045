"""Requests that are taken back: the connection is as if they had never been asked for, to the byte."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest
from dialogue import Dialogue, dies

from asyncbolt._constants import Message, Version
from asyncbolt.exceptions import BoltError, LocalProtocolError, PackError
from asyncbolt.protocol import ClientConnection, Request, State

Sender = Callable[[ClientConnection], Request]


def predicted(client: ClientConnection) -> dict[str, Any]:
    """Everything that a request changes, in comparable form."""
    facts = {
        name: value
        for name, value in vars(client).items()
        if name not in ("_packed", "_reader", "_writer", "_borders", "_handshake", "_table", "_sendable")
    }
    facts["outstanding"] = list(client.outstanding)
    facts["_out"] = list(client._out)
    facts["_open"] = [(stream, stream.qid, stream.asked) for stream in client._open]
    facts["_named"] = dict(client._named)
    facts["latest"] = client._latest and (client._latest.qid, client._latest.asked)
    return facts


SENDERS: dict[str, Sender] = {
    "RUN": lambda client: client.send_run("x"),
    "PULL": lambda client: client.send_pull(),
    "PULL n": lambda client: client.send_pull(3),
    "DISCARD": lambda client: client.send_discard(),
    "PULL qid": lambda client: client.send_pull(3, next(iter(client._named), 0)),
    "DISCARD qid": lambda client: client.send_discard(-1, next(iter(client._named), 0)),
    "BEGIN": lambda client: client.send_begin(),
    "COMMIT": lambda client: client.send_commit(),
    "ROLLBACK": lambda client: client.send_rollback(),
    "RESET": lambda client: client.send_reset(),
    "ACK_FAILURE": lambda client: client.send_ack_failure(),
    "LOGOFF": lambda client: client.send_logoff(),
    "LOGON": lambda client: client.send_logon(),
    "ROUTE": lambda client: client.send_route(),
    "TELEMETRY": lambda client: client.send_telemetry(1),
    "HELLO": lambda client: client.send_hello("t/1"),
}


def answer(talk: Dialogue, rng: random.Random) -> None:
    """Answer the oldest request in one of the ways that a server may."""
    client = talk.client
    request = client.outstanding[0]
    message = request.message
    if message not in (Message.RESET, Message.ACK_FAILURE) and client._failed:
        talk.ignored()
    elif message in (Message.RUN, Message.COMMIT, Message.PULL) and rng.random() < 0.1:
        talk.failure()
    elif message is Message.RUN:
        talk.success(fields=[], **({"qid": request.number} if rng.random() < 0.8 else {}))
    elif message in (Message.PULL, Message.DISCARD) and request._n != -1 and rng.random() < 0.6:
        talk.success(has_more=True)
    else:
        talk.success()


@pytest.mark.parametrize("version", [(1, 0), (3, 0), (4, 2), (4, 4), (5, 0), (5, 4), (6, 1)])
@pytest.mark.parametrize("seed", range(6))
def test_whatever_was_asked_for_can_be_taken_back(version: Version, seed: int) -> None:
    rng = random.Random(seed)
    talk = Dialogue(version, login=False)
    client = talk.client
    taken = 0
    for _ in range(1500):
        if client.closed:
            talk = Dialogue(version, login=False)
            client = talk.client
        if client.outstanding and rng.random() < 0.45:
            client.data_to_send()
            answer(talk, rng)
            continue
        if rng.random() < 0.3:
            client.data_to_send()
        before = predicted(client)
        requests: list[Request] = []
        group = rng.choices(list(SENDERS.values()), k=rng.randrange(1, 12))
        for send in group:
            with contextlib.suppress(LocalProtocolError):
                requests.append(send(client))
        if not requests or rng.random() < 0.4:
            continue
        place = rng.randrange(len(requests))
        if place == 0:
            client.retract(requests[0])
            assert predicted(client) == before
        else:
            middle = client.outstanding[-1]
            client.retract(requests[-1])
            assert middle is requests[-1] and client.outstanding[-1] is requests[-2]
            client.retract(requests[0])
            assert predicted(client) == before
        taken += len(requests)
    assert taken > 300


def test_bytes_of_the_handshake_stay() -> None:
    client = ClientConnection(version=(5, 4))
    hello = client.send_hello("t/1")
    client.send_logon()
    offers = client._out[0]
    client.retract(hello)
    assert client.data_to_send() == offers
    assert client.state is State.NEGOTIATION


def test_a_hello_that_asked_for_the_utc_forms() -> None:
    client = ClientConnection(version=(4, 4))
    client.retract(client.send_hello("t/1"))
    assert not client.patch_pending and client.state is State.CONNECTED
    client.send_hello("t/1")
    assert client.patch_pending


def test_what_is_on_its_way_stays() -> None:
    talk = Dialogue()
    client = talk.client
    run = client.send_run("x")
    client.data_to_send()
    pull = client.send_pull(3)
    before = predicted(client)
    with pytest.raises(LocalProtocolError, match="RUN cannot be taken back"):
        client.retract(run)
    assert predicted(client) == before
    client.retract(pull)
    assert client.data_to_send() == b""
    with pytest.raises(LocalProtocolError, match="PULL cannot be taken back"):
        client.retract(pull)
    client.send_pull()
    client.data_to_send()
    talk.success()
    talk.success()
    with pytest.raises(LocalProtocolError):
        client.retract(run)


def test_the_same_packed_bytes_on_their_way() -> None:
    """PULL is kept packed, so two of them share their bytes."""
    client = Dialogue().client
    client.send_run("a")
    pull = client.send_pull()
    client.data_to_send()
    client.send_run("b")
    client.send_pull()
    before = predicted(client)
    with pytest.raises(LocalProtocolError):
        client.retract(pull)
    assert predicted(client) == before


def test_an_abandoned_one_stays() -> None:
    client = Dialogue().client
    run, pull = client.send_run("a"), client.send_pull()
    client.abandon(pull)
    with pytest.raises(LocalProtocolError):
        client.retract(run)


def test_nothing_of_it_is_remembered() -> None:
    """What comes behind it has the bytes and the answers that it would have had without it."""
    talk, twin = Dialogue(), Dialogue()
    run = talk.client.send_run("lost")
    with pytest.raises(LocalProtocolError):
        talk.client.send_pull(2**63)
    talk.client.retract(run)
    with pytest.raises(PackError):
        talk.client.send_run("lost", {"x": {1}})
    for each in (talk, twin):
        each.client.send_begin()
        each.client.send_run("kept")
        each.client.send_pull(2)
    assert talk.client.data_to_send() == twin.client.data_to_send()
    for each in (talk, twin):
        each.success()
        each.success(qid=0)
        events = each.records((1,))
        assert [(event.request.number, event.rows) for event in events] == [(4, [(1,)])]  # type: ignore[union-attr]


# Results without a number


def open_two(first: dict[str, Any], second: dict[str, Any]) -> Dialogue:
    talk = Dialogue()
    client = talk.client
    client.send_begin()
    talk.success()
    client.send_run("a")
    client.send_pull(1)
    client.send_run("b")
    client.send_pull(1)
    talk.success(**first)
    talk.success()
    talk.success(**second)
    return talk


def test_more_of_a_result_that_cannot_be_named() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_begin()
    client.send_run("a")
    client.send_pull(1)
    client.send_run("b")
    client.send_pull(1)
    talk.success()
    talk.success()
    dies(talk.success(has_more=True), "has_more for a result to which it gave no qid")


def test_no_more_of_it_is_no_harm() -> None:
    talk = open_two({}, {})
    talk.success()
    assert talk.client.state is State.TX_READY


@pytest.mark.parametrize(("qid", "text"), [(-2, "is no number of a result"), (-(2**63), "is no number")])
def test_a_qid_that_is_none(qid: int, text: str) -> None:
    talk = Dialogue()
    talk.client.send_run("a")
    dies(talk.success(qid=qid), text)


def test_a_qid_given_twice() -> None:
    talk = Dialogue()
    client = talk.client
    client.send_begin()
    talk.success()
    client.send_run("a")
    client.send_pull(1)
    talk.success(qid=4)
    talk.success(has_more=True)
    client.send_run("b")
    dies(talk.success(qid=4), "qid 4 another open result has")


def test_a_qid_may_be_used_again_when_its_result_is_over() -> None:
    talk = open_two({"qid": 0}, {"qid": 0})
    talk.success(has_more=True)
    assert talk.client.open_streams == (0,)


def test_minus_one_and_null_are_no_qid() -> None:
    for given in (-1, None):
        talk = Dialogue()
        client = talk.client
        client.send_begin()
        talk.success()
        client.send_run("a")
        client.send_pull(1)
        talk.success(qid=given)
        talk.success(has_more=True)
        assert client.open_streams == (None,)
        client.send_pull(1)


@pytest.mark.parametrize("n", [0, -2, 1.0, 1000.0, True, 2**63, "1", None])
def test_n_that_makes_no_sense(n: Any) -> None:
    client = Dialogue().client
    client.send_run("a")
    before = predicted(client)
    with pytest.raises(LocalProtocolError, match="needs n to be -1 or at least 1"):
        client.send_pull(n)
    assert predicted(client) == before


@pytest.mark.parametrize("qid", [0.0, "0", [], None])
def test_qid_that_makes_no_sense(qid: Any) -> None:
    talk = Dialogue()
    talk.client.send_begin()
    talk.client.send_run("a")
    talk.success()
    talk.success(qid=0)
    with pytest.raises(BoltError, match="needs qid to be an integer"):
        talk.client.send_pull(1, qid)
