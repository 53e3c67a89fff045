from __future__ import annotations

import copy
import pickle

import pytest

from asyncbolt._constants import Tag
from asyncbolt._structure import Structure


def test_what_it_holds():
    structure = Structure(0x4E, 1, ["A"], {})
    assert structure.tag == 0x4E
    assert structure.fields == (1, ["A"], {})
    assert Structure(Tag.NODE).tag == 0x4E and type(Structure(Tag.NODE).tag) is int
    assert Structure(0).fields == ()
    assert len(Structure(0x7F, *range(15)).fields) == 15


@pytest.mark.parametrize("tag", [-1, 128, 1 << 70])
def test_tag_out_of_range(tag):
    with pytest.raises(ValueError, match=r"0\.\.127"):
        Structure(tag)


@pytest.mark.parametrize("tag", [b"N", "N", None, 78.0])
def test_tag_is_an_int(tag):
    with pytest.raises(TypeError, match="int"):
        Structure(tag)


def test_too_many_fields():
    with pytest.raises(ValueError, match="15"):
        Structure(1, *range(16))


def test_equality():
    assert Structure(1, 2, 3) == Structure(1, 2, 3)
    assert hash(Structure(1, 2, 3)) == hash(Structure(1, 2, 3))
    assert Structure(1, 2) != Structure(2, 2) and Structure(1, 2) != Structure(1, 3)
    assert Structure(1) != (1, ()) and not Structure(1) == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(Structure(1, []))


def test_repr():
    assert repr(Structure(0x4E, 1, "x")) == "Structure(0x4E, 1, 'x')"
    assert repr(Structure(1)) == "Structure(0x01)"
    assert eval(repr(Structure(0x4E, 1, "x"))) == Structure(0x4E, 1, "x")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_and_copy(protocol):
    structure = Structure(0x4E, 1, [2], Structure(1))
    assert pickle.loads(pickle.dumps(structure, protocol)) == structure
    assert copy.copy(structure) == structure
    deep = copy.deepcopy(structure)
    assert deep == structure and deep.fields[1] is not structure.fields[1]


def test_match():
    match Structure(0x4E, 1, "x"):
        case Structure(0x4E, (1, name)):
            assert name == "x"
        case _:
            pytest.fail("not matched")


def test_has_no_dict():
    with pytest.raises(AttributeError):
        Structure(1).other = 1
