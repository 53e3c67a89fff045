from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import threading

import neo4j
import neo4j.auth_management
import pytest
from aiohelp import aiotest
from neo4j._auth_management import to_auth_dict

from asyncbolt.driver import auth as auth_module
from asyncbolt.driver import clock
from asyncbolt.driver.auth import (
    AsyncAuthManager,
    AsyncAuthManagers,
    AsyncClientCertificateProvider,
    AsyncClientCertificateProviders,
    AsyncRotatingClientCertificateProvider,
    Auth,
    AuthManager,
    AuthToken,
    ClientCertificate,
    ClientCertificateProvider,
    ExpiringAuth,
    auth_map,
    basic_auth,
    bearer_auth,
    custom_auth,
    kerberos_auth,
)
from asyncbolt.exceptions import AuthConfigurationError, ConfigurationError, Neo4jError

SECRET = "s3cret-word"
UNAUTHORIZED = "Neo.ClientError.Security.Unauthorized"
TOKEN_EXPIRED = "Neo.ClientError.Security.TokenExpired"


def failure(code):
    return Neo4jError.from_failure({"code": code, "message": "no"})


# Tokens

TOKENS = [
    ("basic_auth", ("ann", SECRET)),
    ("basic_auth", ("ann", SECRET, "ldap")),
    ("basic_auth", ("", "")),
    ("basic_auth", (None, None)),
    ("bearer_auth", (SECRET,)),
    ("kerberos_auth", (SECRET,)),
    ("custom_auth", ("ann", SECRET, "realm", "scheme")),
    ("custom_auth", (None, None, None, None)),
    ("custom_auth", ("", "", "", "")),
    ("Auth", ("none", None, None)),
]


@pytest.mark.parametrize(("name", "args"), TOKENS, ids=str)
def test_tokens_as_the_official_driver(name, args):
    ours, theirs = getattr(auth_module, name)(*args), getattr(neo4j, name)(*args)
    assert vars(ours) == vars(theirs)
    assert auth_map(ours) == to_auth_dict(theirs) == auth_map(theirs)
    assert auth_map(ours) is not auth_map(ours)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(ours, protocol)) == ours
    assert copy.deepcopy(ours) == ours


def test_further_parameters():
    args, kwargs = ("ann", SECRET, None, "own"), {"a": 1, "b": [SECRET]}
    ours, theirs = custom_auth(*args, **kwargs), neo4j.custom_auth(*args, **kwargs)
    assert auth_map(ours) == to_auth_dict(theirs)
    assert ours.parameters == kwargs
    assert not hasattr(ours, "realm")


@pytest.mark.parametrize("pair", [("ann", SECRET), ("ann", SECRET, "ldap"), ("", ""), (None, None)], ids=str)
def test_pairs_as_the_official_driver(pair):
    assert auth_map(pair) == to_auth_dict(pair)
    assert auth_map(list(pair)) == auth_map(pair)


def test_no_token():
    # The official driver sends an empty map, which no server takes for a scheme.
    assert auth_map(None) == {"scheme": "none"}


def test_maps_and_look_alikes():
    token = {"scheme": "own", "x": 1}
    assert auth_map(token) == token and auth_map(token) is not token

    class Token:
        scheme, principal, credentials, other = "own", "ann", SECRET, "x"

    assert auth_map(Token()) == {"scheme": "own", "principal": "ann", "credentials": SECRET}


class Hidden:
    """As the wrappers that hide passwords in settings."""

    def __repr__(self):
        return SECRET


WRONG = [
    (SECRET, "not str"),
    (5, "not int"),
    (b"x", "not bytes"),
    ((), "not 0 values"),
    ((SECRET,), "not 1 values"),
    (("a", SECRET, "c", "d"), "not 4 values"),
    ((5, SECRET), "the principal is a str, not int"),
    (("ann", Hidden()), "the credentials are a str, not Hidden"),
    (("ann", SECRET, 5), "the realm is a str, not int"),
    (Auth(Hidden(), "ann", SECRET), "the scheme is a str, not Hidden"),
    ({"principal": "ann", "credentials": SECRET}, "the key 'scheme'"),
    ({"scheme": "basic", "credentials": 5}, "the credentials are a str, not int"),
    (Hidden(), "not Hidden"),
]


@pytest.mark.parametrize(("auth", "text"), WRONG, ids=[text for _, text in WRONG])
def test_what_is_no_token(auth, text):
    with pytest.raises(AuthConfigurationError) as info:
        auth_map(auth)
    assert text in str(info.value) and SECRET not in str(info.value)
    assert isinstance(info.value, ConfigurationError)
    with pytest.raises(AuthConfigurationError, match=text):
        AsyncAuthManagers.static(auth)


def test_equality():
    assert basic_auth("ann", SECRET) == basic_auth("ann", SECRET) != basic_auth("ann", "other")
    assert basic_auth("ann", SECRET) != ("ann", SECRET)
    assert AuthToken is Auth
    with pytest.raises(TypeError, match="unhashable"):
        hash(basic_auth("ann", SECRET))
    with pytest.raises(TypeError, match="unhashable"):
        hash(neo4j.basic_auth("ann", SECRET))


@pytest.mark.parametrize(
    "holder",
    [
        basic_auth("ann", SECRET),
        bearer_auth(SECRET),
        kerberos_auth(SECRET),
        custom_auth("ann", SECRET, "r", "own", deep=[SECRET]),
        ExpiringAuth(("ann", SECRET), 5.0),
        ClientCertificate("cert.pem", "key.pem", SECRET),
        AsyncAuthManagers.static(("ann", SECRET)),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_secrets_are_not_shown(holder):
    assert SECRET not in repr(holder) and SECRET not in str(holder) and SECRET not in f"{holder}"


def test_repr():
    assert repr(basic_auth("ann", SECRET, "ldap")) == (
        "Auth(scheme='basic', principal='ann', credentials=*******, realm='ldap')"
    )
    assert repr(custom_auth(None, None, None, "own", x=1)) == "Auth(scheme='own', parameters=*******)"


@pytest.fixture
def time(monkeypatch):
    class Time:
        now = 1000.0

    monkeypatch.setattr(clock, "wall", lambda: Time.now)
    return Time


def test_expiring_auth(time):
    expiring = ExpiringAuth(("ann", SECRET))
    assert expiring.expires_at is None and expiring == ExpiringAuth(auth=("ann", SECRET), expires_at=None)
    later = expiring.expires_in(5)
    assert later == ExpiringAuth(("ann", SECRET), 1005.0) and later is not expiring
    assert expiring.expires_at is None


# Managers


@pytest.mark.parametrize("cls", [AuthManager, AsyncAuthManager, ClientCertificateProvider])
def test_interfaces_are_abstract(cls):
    theirs = getattr(neo4j.auth_management, cls.__name__)
    assert cls.__abstractmethods__ == theirs.__abstractmethods__
    with pytest.raises(TypeError, match="abstract"):
        cls()


def test_of():
    class Plain(AuthManager):
        def get_auth(self):
            return ("ann", SECRET)

        def handle_security_exception(self, auth, error):
            return False

    class Duck:
        async def get_auth(self):
            return None

        async def handle_security_exception(self, auth, error):
            return False

    class Half:
        async def get_auth(self):
            return None

    for manager in (Plain(), Duck(), AsyncAuthManagers.static(None)):
        assert AsyncAuthManagers.of(manager) is manager
    for token in (None, ("ann", SECRET), basic_auth("ann", SECRET), {"scheme": "none"}):
        manager = AsyncAuthManagers.of(token)
        assert isinstance(manager, AsyncAuthManager)
        assert asyncio.run(manager.get_auth()) is token
    with pytest.raises(AuthConfigurationError, match=r"Half has no handle_security_exception\(\)"):
        AsyncAuthManagers.of(Half())
    with pytest.raises(AuthConfigurationError):
        AsyncAuthManagers.of(5)


class Provider:
    """Hands out numbered tokens, and counts."""

    def __init__(self, lives=None):
        self.calls = 0
        self.lives = lives
        self.error = None
        self.gate = None
        self.cancelled = 0

    async def basic(self):
        self.calls += 1
        number = self.calls
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.error is not None:
            raise self.error
        return ("ann", f"{SECRET}{number}")

    async def bearer(self):
        pair = await self.basic()
        auth = ExpiringAuth(bearer_auth(pair[1]))
        return auth if self.lives is None else auth.expires_in(self.lives)


def official(kind, provider, time):
    """A manager of the official driver, around a provider of ours."""

    async def call():
        expiring = await provider.bearer()
        return neo4j.auth_management.ExpiringAuth(
            neo4j.bearer_auth(expiring.auth.credentials), expiring.expires_at
        )

    managers = neo4j.auth_management.AsyncAuthManagers
    return managers.basic(provider.basic) if kind == "basic" else managers.bearer(call)


@pytest.fixture(params=["ours", "official"])
def make(request, time, monkeypatch):
    if request.param == "ours":
        return lambda kind, provider: getattr(AsyncAuthManagers, kind)(getattr(provider, kind))
    monkeypatch.setattr("time.time", lambda: time.now)
    return lambda kind, provider: official(kind, provider, time)


@pytest.mark.parametrize("kind", ["basic", "bearer"])
@aiotest
async def test_manager_as_the_official_driver(make, kind, time):
    provider = Provider(lives=10)
    manager = make(kind, provider)
    assert provider.calls == 0
    first = await manager.get_auth()
    assert await manager.get_auth() is first and provider.calls == 1
    assert auth_map(first)["credentials"] == f"{SECRET}1"

    time.now += 10  # the very last moment
    assert await manager.get_auth() is first
    time.now += 0.5
    second = await manager.get_auth()
    assert provider.calls == (1 if kind == "basic" else 2)

    # Codes that say nothing about the token
    for code in ("Neo.ClientError.Security.Forbidden", "Neo.TransientError.General.DatabaseUnavailable"):
        assert await manager.handle_security_exception(second, failure(code)) is False
    handled = await manager.handle_security_exception(second, failure(TOKEN_EXPIRED))
    assert handled is (kind == "bearer")
    calls = provider.calls
    assert calls == (1 if kind == "basic" else 3)

    current = await manager.get_auth()
    assert await manager.handle_security_exception(current, failure(UNAUTHORIZED)) is True
    assert provider.calls == calls + 1
    # The same failure once more, from another connection: there is a newer token already
    assert await manager.handle_security_exception(current, failure(UNAUTHORIZED)) is True
    assert provider.calls == calls + 1
    assert await manager.get_auth() != current


@pytest.mark.parametrize("managers", [AsyncAuthManagers, neo4j.auth_management.AsyncAuthManagers])
@aiotest
async def test_static_manager(managers):
    manager = managers.static(("ann", SECRET))
    assert await manager.get_auth() == ("ann", SECRET)
    for code in (UNAUTHORIZED, TOKEN_EXPIRED):
        assert await manager.handle_security_exception(("ann", SECRET), failure(code)) is False


@aiotest
async def test_an_equal_token_is_the_same_token():
    provider = Provider()
    manager = AsyncAuthManagers.basic(provider.basic)
    await manager.get_auth()
    as_sent = {"scheme": "basic", "principal": "ann", "credentials": f"{SECRET}1"}
    assert await manager.handle_security_exception(as_sent, failure(UNAUTHORIZED)) is True
    assert provider.calls == 2
    assert await manager.handle_security_exception(5, failure(UNAUTHORIZED)) is True
    assert provider.calls == 2


@aiotest
async def test_plain_providers_will_do():
    assert await AsyncAuthManagers.basic(lambda: ("ann", SECRET)).get_auth() == ("ann", SECRET)
    assert await AsyncAuthManagers.basic(lambda: None).get_auth() is None
    assert await AsyncAuthManagers.bearer(lambda: ExpiringAuth(None)).get_auth() is None


@pytest.mark.parametrize("wrong", [None, ("ann", SECRET), bearer_auth(SECRET)], ids=["None", "tuple", "Auth"])
@aiotest
async def test_a_provider_of_expiring_tokens_that_gives_none(wrong):
    with pytest.raises(TypeError, match="returns an ExpiringAuth, not") as info:
        await AsyncAuthManagers.bearer(lambda: wrong).get_auth()
    assert SECRET not in str(info.value)


def test_a_provider_is_a_function():
    with pytest.raises(TypeError, match="a provider of tokens is a function, not tuple"):
        AsyncAuthManagers.basic(("ann", SECRET))


async def settle():
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


@aiotest
async def test_all_who_wait_get_one_answer():
    provider = Provider()
    provider.gate = asyncio.Event()
    manager = AsyncAuthManagers.basic(provider.basic)
    waiting = [asyncio.ensure_future(manager.get_auth()) for _ in range(5)]
    await settle()
    assert provider.calls == 1
    provider.gate.set()
    answers = await asyncio.gather(*waiting)
    assert provider.calls == 1 and all(answer is answers[0] for answer in answers)


@aiotest
async def test_who_comes_while_a_refused_token_is_replaced_gets_the_new_one():
    provider = Provider()
    manager = AsyncAuthManagers.basic(provider.basic)
    old = await manager.get_auth()
    provider.gate = asyncio.Event()
    handling = [
        asyncio.ensure_future(manager.handle_security_exception(old, failure(UNAUTHORIZED))) for _ in range(3)
    ]
    await settle()
    late = asyncio.ensure_future(manager.get_auth())
    await settle()
    assert not late.done()
    provider.gate.set()
    assert await asyncio.gather(*handling) == [True, True, True]
    assert await late == ("ann", f"{SECRET}2")
    assert provider.calls == 2


@pytest.mark.parametrize("victim", [0, 1, 2])
@aiotest
async def test_one_who_is_cancelled_takes_nothing_from_the_others(victim):
    provider = Provider()
    provider.gate = asyncio.Event()
    manager = AsyncAuthManagers.basic(provider.basic)
    waiting = [asyncio.ensure_future(manager.get_auth()) for _ in range(3)]
    await settle()
    waiting[victim].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[victim]
    others = [task for task in waiting if task is not waiting[victim]]
    await settle()
    assert not any(task.done() for task in others)
    provider.gate.set()
    assert await asyncio.gather(*others) == [("ann", f"{SECRET}1")] * 2
    assert (provider.calls, provider.cancelled) == (1, 0)
    assert await manager.get_auth() == ("ann", f"{SECRET}1")


@aiotest
async def test_when_all_are_cancelled_the_provider_is_too():
    provider = Provider()
    provider.gate = asyncio.Event()
    manager = AsyncAuthManagers.basic(provider.basic)
    waiting = [asyncio.ensure_future(manager.get_auth()) for _ in range(3)]
    await settle()
    for task in waiting:
        task.cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert provider.cancelled == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
    provider.gate.set()
    assert await manager.get_auth() == ("ann", f"{SECRET}2")


@aiotest
async def test_cancelled_before_the_provider_has_begun():
    provider = Provider()
    manager = AsyncAuthManagers.basic(provider.basic)
    task = asyncio.ensure_future(manager.get_auth())
    await asyncio.sleep(0)  # it has made the task of the provider, which has not run yet
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await manager.get_auth() == ("ann", f"{SECRET}{provider.calls}")
    assert asyncio.all_tasks() == {asyncio.current_task()}


@aiotest
async def test_a_provider_that_resists_cancellation_delays_its_last_waiter():
    entered, gate = asyncio.Event(), asyncio.Event()

    async def provider():
        entered.set()
        try:
            await gate.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            raise ZeroDivisionError from None  # seen by nobody, and not reported to the loop

    manager = AsyncAuthManagers.basic(provider)
    task = asyncio.ensure_future(manager.get_auth())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


@aiotest
async def test_one_who_comes_while_the_provider_is_being_cancelled_starts_anew():
    entered, gate, calls = asyncio.Event(), asyncio.Event(), []

    async def provider():
        calls.append(1)
        if len(calls) > 1:
            return ("ann", SECRET)
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            await gate.wait()

    manager = AsyncAuthManagers.basic(provider)
    task = asyncio.ensure_future(manager.get_auth())
    await entered.wait()
    task.cancel()
    await settle()
    assert not task.done()
    assert await manager.get_auth() == ("ann", SECRET)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await manager.get_auth() == ("ann", SECRET) and len(calls) == 2


@aiotest
async def test_what_the_provider_raises_reaches_all_who_wait_and_is_not_kept(caplog):
    provider = Provider()
    provider.gate = asyncio.Event()
    provider.error = ZeroDivisionError(SECRET)
    manager = AsyncAuthManagers.basic(provider.basic)
    waiting = [asyncio.ensure_future(manager.get_auth()) for _ in range(3)]
    await settle()
    provider.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results == [provider.error] * 3 and provider.calls == 1
    provider.error = None
    assert await manager.get_auth() == ("ann", f"{SECRET}2")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("asyncbolt.driver", logging.ERROR)
    assert "ZeroDivisionError" in caplog.text and SECRET not in caplog.text


@aiotest
async def test_a_failed_replacement_is_tried_again_by_the_next_one():
    provider = Provider()
    manager = AsyncAuthManagers.basic(provider.basic)
    old = await manager.get_auth()
    provider.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await manager.handle_security_exception(old, failure(UNAUTHORIZED))
    provider.error = None
    assert await manager.get_auth() == ("ann", f"{SECRET}3")


@aiotest
async def test_a_provider_that_waits_for_its_own_token_is_told():
    async def provider():
        return await manager.get_auth()

    manager = AsyncAuthManagers.basic(provider)
    with pytest.raises(RuntimeError, match="uses the driver that waits for its token"):
        await manager.get_auth()


def test_a_manager_outlives_event_loops():
    provider = Provider()
    manager = AsyncAuthManagers.basic(provider.basic)

    async def refuse():
        auth = await manager.get_auth()
        assert await manager.handle_security_exception(auth, failure(UNAUTHORIZED))
        return await asyncio.gather(*(manager.get_auth() for _ in range(5)))

    asyncio.run(refuse())
    assert asyncio.run(refuse()) == [("ann", f"{SECRET}3")] * 5


def test_a_loop_that_died_in_the_middle_leaves_nothing_behind():
    provider = Provider()
    manager = AsyncAuthManagers.basic(provider.basic)

    async def die():
        provider.gate = asyncio.Event()
        left = asyncio.ensure_future(manager.get_auth())
        await settle()
        assert not left.done()

    asyncio.run(die())  # cancels what is left
    assert not manager._renewals

    provider.gate = asyncio.Event()
    loop = asyncio.new_event_loop()
    task = loop.create_task(manager.get_auth())
    loop.run_until_complete(settle())
    loop.close()
    assert len(manager._renewals) == 1 and not task.done()
    left = asyncio.all_tasks(loop)
    provider.gate = None
    assert asyncio.run(manager.get_auth()) == ("ann", f"{SECRET}3")
    assert not manager._renewals
    for dead in left:
        dead._log_destroy_pending = False
        dead.get_coro().close()


def test_several_loops_at_once():
    provider = Provider(lives=-1)  # every token has ended already
    manager = AsyncAuthManagers.bearer(provider.bearer)
    answers = []

    async def ask():
        for _ in range(100):
            answers.append(await manager.get_auth())

    threads = [threading.Thread(target=lambda: asyncio.run(ask())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 400 and all(isinstance(answer, Auth) for answer in answers)
    assert not manager._renewals


# Client certificates


def test_client_certificate_as_the_official_driver():
    theirs = neo4j.auth_management.ClientCertificate
    for cls in (ClientCertificate, theirs):
        certificate = cls("cert.pem", password=SECRET)
        assert (certificate.certfile, certificate.keyfile, certificate.password) == ("cert.pem", None, SECRET)
        assert certificate == cls("cert.pem", None, SECRET) != cls("cert.pem", "key.pem")


@aiotest
async def test_providers_of_certificates():
    one, two = ClientCertificate("1.pem"), ClientCertificate("2.pem")
    static = AsyncClientCertificateProviders.static(one)
    rotating = AsyncClientCertificateProviders.rotating(one)
    assert isinstance(static, AsyncClientCertificateProvider)
    assert isinstance(rotating, AsyncRotatingClientCertificateProvider)
    for provider in (static, rotating):
        # Not only the first who asks: drivers may share a provider.
        assert [await provider.get_certificate() for _ in range(3)] == [one] * 3
    await rotating.update_certificate(two)
    assert [await rotating.get_certificate() for _ in range(3)] == [two] * 3


@aiotest
async def test_providers_take_certificates_only():
    for make in (AsyncClientCertificateProviders.static, AsyncClientCertificateProviders.rotating):
        with pytest.raises(TypeError, match="a ClientCertificate is expected, not str"):
            make("cert.pem")
    rotating = AsyncClientCertificateProviders.rotating(ClientCertificate("1.pem"))
    with pytest.raises(TypeError, match="not NoneType"):
        await rotating.update_certificate(None)
