"""The twins have the same names, arguments and numbers, and ASYNCBOLT_IMPL chooses between them."""

from __future__ import annotations

import ast
import enum
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from exact import outcome

import asyncbolt
from asyncbolt import _chunking_py, _codec_errors, _constants, _impl, _packstream_py, chunking, packstream

PACKAGE = Path(asyncbolt.__file__).parent
PURE = {"_packstream": _packstream_py, "_chunking": _chunking_py}


@pytest.fixture(params=PURE)
def twins(request):
    """The compiled module and the pure one."""
    if request.config.getoption("--impl") == "python":
        pytest.skip("compares the two twins")
    return __import__(f"asyncbolt.{request.param}", fromlist=["x"]), PURE[request.param]


def classes(module) -> dict[str, type]:
    return {name: getattr(module, name) for name in module.__all__ if isinstance(getattr(module, name), type)}


def public(cls: type) -> set[str]:
    """What its instances have."""
    instance = cls(100) if cls.__name__ == "ChunkedWriteBuffer" else cls()
    return {name for name in dir(instance) if not name.startswith("_")}


# What only one twin needs and nobody outside of the codec sees.
INTERNAL = {
    "Packer": {"write"},
    "Unpacker": {"aim", "finish", "limit_depth", "max_depth", "max_elements", "read", "read_row", "release"},
}


def test_same_names(twins):
    compiled, pure = twins
    assert compiled.__all__ == pure.__all__ == sorted(pure.__all__)
    for name in pure.__all__:
        assert getattr(compiled, name).__module__ == compiled.__name__
        assert getattr(pure, name).__module__ == pure.__name__


def test_nothing_else_is_public(twins):
    """What is defined in the module and has no underscore, but is not in __all__."""
    compiled, _ = twins
    defined = {
        name for name, value in vars(compiled).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == compiled.__name__
    }  # fmt: skip
    assert defined == set(compiled.__all__)


def test_same_members(twins):
    compiled, pure = twins
    for name, cls in classes(pure).items():
        other = getattr(compiled, name)
        assert public(other) - INTERNAL.get(name, set()) == public(cls) - INTERNAL.get(name, set()), name
        assert (other.__name__, other.__qualname__) == (cls.__name__, cls.__qualname__)


def test_same_docstrings(twins):
    """Editors show them whichever twin is there; the compiled ones have the signature in front."""
    compiled, pure = twins
    for name in pure.__all__:
        ours, theirs = getattr(pure, name), getattr(compiled, name)
        assert inspect.cleandoc(theirs.__doc__).endswith(inspect.cleandoc(ours.__doc__)), name
        for member in public(ours) - INTERNAL.get(name, set()) if isinstance(ours, type) else ():
            documented = getattr(ours, member, None).__doc__
            if documented and inspect.isfunction(getattr(ours, member, None)):
                assert inspect.cleandoc(documented) in inspect.cleandoc(getattr(theirs, member).__doc__), (
                    member
                )


def parameters(function) -> list[tuple[str, object, object]]:
    return [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
    ]


def test_same_signatures(twins):
    compiled, pure = twins
    checked = 0
    for name in pure.__all__:
        ours, theirs = getattr(pure, name), getattr(compiled, name)
        if not isinstance(ours, type):
            assert parameters(ours) == parameters(theirs), name
            checked += 1
            continue
        for member in public(ours) - INTERNAL.get(name, set()):
            if inspect.isfunction(getattr(ours, member, None)):
                assert parameters(getattr(ours, member)) == parameters(getattr(theirs, member)), member
                checked += 1
    assert checked >= 4


CONSTRUCTIONS = [
    ("_chunking", "MessageReader", (), {}),
    ("_chunking", "MessageReader", ((4, 4),), {}),
    ("_chunking", "MessageReader", (), {"version": (4, 4), "utc_patch": True, "extended_types": True}),
    (
        "_chunking",
        "MessageReader",
        (),
        {"max_message_size": 5, "max_depth": 5, "max_elements": 5, "runs": False},
    ),
    ("_chunking", "MessageReader", (), {"max_elements": None}),
    ("_chunking", "MessageReader", ((4, 4), True), {}),
    ("_chunking", "MessageReader", (), {"graph": True}),
    ("_chunking", "MessageReader", (), {"max_depth": "deep"}),
    ("_chunking", "MessageReader", (5,), {}),
    ("_chunking", "MessageWriter", (), {}),
    ("_chunking", "MessageWriter", ((4, 4),), {"utc_patch": True, "graph": True, "max_chunk_size": 1}),
    ("_chunking", "MessageWriter", (), {"version": (4, 4)}),
    ("_chunking", "MessageWriter", ((4, 4), True), {}),
    ("_chunking", "MessageWriter", (), {"max_chunk_size": 0}),
    ("_chunking", "MessageWriter", (), {"max_chunk_size": None}),
    ("_chunking", "MessageWriter", (), {"runs": True}),
    ("_chunking", "ChunkedReadBuffer", (), {}),
    ("_chunking", "ChunkedReadBuffer", (1,), {}),
    ("_chunking", "ChunkedWriteBuffer", (100,), {}),
    ("_chunking", "ChunkedWriteBuffer", (), {"max_chunk_size": 100}),
    ("_chunking", "ChunkedWriteBuffer", (), {}),
    ("_chunking", "ChunkedWriteBuffer", (3,), {}),
    ("_packstream", "Packer", (), {}),
    ("_packstream", "Packer", ((4, 4),), {"utc_patch": True, "graph": False, "max_depth": 3}),
    ("_packstream", "Packer", (), {"max_depth": 401}),
    ("_packstream", "Unpacker", (), {}),
    (
        "_packstream",
        "Unpacker",
        ((4, 4),),
        {"utc_patch": True, "extended_types": True, "max_depth": 3, "max_elements": 3},
    ),
    ("_packstream", "Unpacker", (), {"max_depth": -1}),
]


@pytest.mark.parametrize("module, name, args, kwargs", CONSTRUCTIONS)
def test_same_constructors(request, module, name, args, kwargs):
    if request.config.getoption("--impl") == "python":
        pytest.skip("compares the two twins")
    results = []
    for twin in (PURE[module], __import__(f"asyncbolt.{module}", fromlist=["x"])):
        kind, what = outcome(lambda twin=twin: bool(getattr(twin, name)(*args, **kwargs)))
        results.append(
            (
                kind,
                what[0] if kind == "raises" else None,
                what if kind == "raises" and what[0] is ValueError else 0,
            )
        )
    assert results[0] == results[1]


def test_same_attributes(codec):
    reader = codec.chunking.MessageReader()
    for name, value in (("max_message_size", 7), ("max_depth", 7), ("max_elements", 7)):
        setattr(reader, name, value)
        assert getattr(reader, name) == value
    with pytest.raises(AttributeError):
        reader.pending = 5
    with pytest.raises(TypeError):
        reader.max_depth = "deep"


# Numbers


def wire_numbers() -> dict[str, int]:
    text = (PACKAGE / "_wire.pxd").read_text(encoding="utf-8")
    return {name: int(value, 0) for name, value in re.findall(r"^    (\w+) = (\w+)$", text, re.MULTILINE)}


def test_numbers_of_the_compiled_twins(request):
    if not (PACKAGE / "_wire.pxd").exists():
        # An installed package has no sources; the checkout that these tests lie in has.
        pytest.skip("no sources here")
    numbers = wire_numbers()
    assert len(numbers) >= 28
    seen = set()
    for name, value in numbers.items():
        if name.startswith("TAG_"):
            assert _constants.Tag[name[4:]] == value
        elif name in _constants.Message.__members__:
            assert _constants.Message[name] == value
        elif name == "MAX_FIELDS":
            assert value == 15
        else:
            assert getattr(_constants, name) == value
        seen.add(name)
    assert {f"TAG_{tag.name}" for tag in _constants.Tag} <= seen


def test_defaults_of_the_compiled_twins_are_the_newest_version(request):
    assert _constants.NEWEST == (6, 1)  # spelled out in the .pyx files, whose signatures show it
    if request.config.getoption("--impl") != "python":
        from asyncbolt import _packstream

        assert inspect.signature(_packstream.pack).parameters["version"].default == _constants.NEWEST


def test_every_text_of_an_error_is_used_by_both_twins():
    sources = {
        twin: "".join((PACKAGE / name).read_text(encoding="utf-8") for name in names)
        for twin, names in {
            "c": ["_packstream.pyx", "_chunking.pyx"], "python": ["_packstream_py.py", "_chunking_py.py"],
        }.items()
        if all((PACKAGE / name).exists() for name in names)
    }  # fmt: skip
    assert "python" in sources
    texts = [name for name, value in vars(_codec_errors).items() if isinstance(value, str) and name.isupper()]
    texts += [
        name for name, value in vars(_codec_errors).items()
        if inspect.isfunction(value) and value.__module__ == _codec_errors.__name__
    ]  # fmt: skip
    assert len(texts) > 20
    for twin, source in sources.items():
        unused = [name for name in texts if not re.search(rf"\berrors\.{name}\b", source)]
        assert unused == [], twin


# Stubs


@pytest.mark.parametrize("name", PURE)
def test_stubs_name_what_is_there(name):
    tree = ast.parse((PACKAGE / f"{name}.pyi").read_text(encoding="utf-8"))
    imported = {
        (alias.name, alias.asname, node.module)
        for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }  # fmt: skip
    assert imported == {(each, each, f"{name}_py") for each in PURE[name].__all__}
    (exported,) = [
        ast.literal_eval(node.value) for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]  # fmt: skip
    assert exported == PURE[name].__all__


# The switch


def choice(wanted: str | None) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name != "ASYNCBOLT_IMPL"}
    if wanted is not None:
        variables["ASYNCBOLT_IMPL"] = wanted
    code = (
        f"import sys; sys.path[:0] = {[str(PACKAGE.parent)]!r}\n"
        "from asyncbolt import IMPLEMENTATION, packstream, chunking\n"
        "print(IMPLEMENTATION, packstream.pack.__module__, packstream.unpack.__module__, *(\n"
        "    getattr(chunking, name).__module__ for name in\n"
        "    ('MessageReader', 'MessageWriter', 'ChunkedReadBuffer', 'ChunkedWriteBuffer')),\n"
        "    'asyncbolt._packstream_py' in sys.modules, 'asyncbolt._packstream' in sys.modules)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=variables, timeout=60
    )


C = "c asyncbolt._packstream asyncbolt._packstream" + " asyncbolt._chunking" * 4 + " False True\n"
PYTHON = (
    "python asyncbolt._packstream_py asyncbolt._packstream_py"
    + " asyncbolt._chunking_py" * 4
    + " True False\n"
)


@pytest.mark.parametrize("wanted", [None, "", "c", "C", " c "])
def test_the_compiled_twin_is_chosen(request, wanted):
    if request.config.getoption("--impl") == "python":
        pytest.skip("there may be no compiled twin")
    done = choice(wanted)
    assert (done.stdout, done.stderr) == (C, "")


@pytest.mark.parametrize("wanted", ["python", "Python"])
def test_the_pure_twin_is_chosen(wanted):
    done = choice(wanted)
    assert (done.stdout, done.stderr) == (PYTHON, "")


@pytest.mark.parametrize("wanted", ["cython", "1", "py", "c,python"])
def test_a_wrong_choice_is_an_error(wanted):
    done = choice(wanted)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"ImportError: ASYNCBOLT_IMPL is '{wanted}': it takes 'c', 'python' or nothing" in done.stderr


def test_this_process_has_one_of_them():
    assert asyncbolt.IMPLEMENTATION == _impl.IMPLEMENTATION
    suffix = {"c": "", "python": "_py"}[asyncbolt.IMPLEMENTATION]
    assert packstream.pack.__module__ == f"asyncbolt._packstream{suffix}"
    assert chunking.MessageReader.__module__ == f"asyncbolt._chunking{suffix}"


def test_numbers_of_messages_are_unique_but_for_renamed_ones():
    names = {}
    for name, member in _constants.Message.__members__.items():
        names.setdefault(int(member), []).append(name)
    assert [group for group in names.values() if len(group) > 1] == [
        ["HELLO", "INIT"], ["DISCARD", "DISCARD_ALL"], ["PULL", "PULL_ALL"],
    ]  # fmt: skip
    assert issubclass(_constants.Message, enum.IntEnum)
