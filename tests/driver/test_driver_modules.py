"""The thin public modules have what the official modules of the same name have, or say why not."""

from __future__ import annotations

import importlib

import neo4j
import neo4j.addressing
import neo4j.api
import neo4j.auth_management
import neo4j.debug
import neo4j.types
import pytest

from asyncbolt.driver.absent import TWINS, no_attribute
from asyncbolt.driver.constants import RoutingControl

SYNC = {
    "auth_management": {
        "AuthManagers", "ClientCertificateProviders", "RotatingClientCertificateProvider",
    },
    "api": set(),
}  # fmt: skip
HTTP = {"api": {"URI_SCHEME_HTTP", "URI_SCHEME_HTTPS"}}


@pytest.mark.parametrize("name", ["addressing", "api", "auth_management", "debug", "types"])
def test_names_are_those_of_the_official_driver(name):
    ours, theirs = (importlib.import_module(f"{package}.{name}") for package in ("asyncbolt", "neo4j"))
    assert set(theirs.__all__) - set(ours.__all__) == SYNC.get(name, set()) | HTTP.get(name, set())
    for exported in ours.__all__:
        assert hasattr(ours, exported)
    assert list(ours.__all__) == sorted(ours.__all__, key=lambda one: (not one.isupper(), one.islower(), one))


def test_constants_are_those_of_the_official_driver():
    ours = importlib.import_module("asyncbolt.api")
    constants = [name for name in ours.__all__ if name.isupper() and name != "URI_SCHEME_BOLT_UNIX"]
    assert len(constants) == 11
    for name in constants:
        assert getattr(ours, name) == getattr(neo4j.api, name)
    for control in neo4j.RoutingControl:
        assert RoutingControl[control.name].value == control.value
        assert RoutingControl(control.value) == control.value
    assert len(RoutingControl) == len(neo4j.RoutingControl)


@pytest.mark.parametrize("name", sorted(SYNC["auth_management"]))
def test_names_of_the_sync_api_say_what_to_use(name):
    module = importlib.import_module("asyncbolt.auth_management")
    with pytest.raises(AttributeError) as info:
        getattr(module, name)
    assert str(info.value) == (
        f"module 'asyncbolt.auth_management' has no attribute {name!r}:"
        f" asyncbolt has no sync API, use Async{name}"
    )
    assert info.value.name == name
    assert hasattr(module, f"Async{name}")
    with pytest.raises(ImportError):
        exec(f"from asyncbolt.auth_management import {name}")


@pytest.mark.parametrize("name", sorted(HTTP["api"]))
def test_names_of_the_http_api(name):
    with pytest.raises(AttributeError, match="speaks Bolt only"):
        getattr(importlib.import_module("asyncbolt.api"), name)


@pytest.mark.parametrize("module", ["api", "auth_management"])
def test_names_that_nobody_has(module):
    with pytest.raises(AttributeError) as info:
        importlib.import_module(f"asyncbolt.{module}").nothing  # noqa: B018
    assert str(info.value) == f"module 'asyncbolt.{module}' has no attribute 'nothing'"


def test_every_sync_name_has_a_twin_in_the_official_driver_too():
    for name, twin in TWINS.items():
        owner = neo4j if hasattr(neo4j, name) else neo4j.auth_management
        assert hasattr(owner, name) and hasattr(owner, twin), name
        assert twin in str(no_attribute("asyncbolt", name))
