"""Builds the two compiled modules. All that can be said without code is in pyproject.toml.

Switches (environment; only the string ``1`` is true):

ASYNCBOLT_NO_EXTENSIONS       a pure wheel (py3-none-any); also what any Python but CPython gets
ASYNCBOLT_REQUIRE_EXTENSIONS  an error where the extensions would not be built
ASYNCBOLT_DEBUG               no optimisation, bounds checks, line tracing for coverage, annotated HTML
ASYNCBOLT_SANITIZE            address and undefined-behaviour sanitizers

A compiler's error fails the build: who has no compiler gets the pure wheel from the index.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

MODULES = ("_packstream", "_chunking")


def switch(name: str) -> bool:
    return os.environ.get(f"ASYNCBOLT_{name}") == "1"


DEBUG = switch("DEBUG")
SANITIZE = switch("SANITIZE")


def extensions() -> list[Extension]:
    # Not needed for a pure wheel, and not installable everywhere.
    from Cython.Build import cythonize

    compile_args: list[str] = []
    link_args: list[str] = []
    macros: list[tuple[str, str | None]] = []
    undefine: list[str] = []
    if os.name != "nt":  # MSVC's own defaults are what we want there
        compile_args += ["-O0", "-g3"] if DEBUG else ["-O3", "-g0"]
        if SANITIZE:
            flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
            compile_args += [*flags, "-fno-omit-frame-pointer", "-g1"]
            link_args += flags
    if DEBUG:
        undefine.append("NDEBUG")
        # Coverage plugins need the C tracer, which sys.monitoring would bypass.
        macros += [("CYTHON_TRACE", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]
    modules = [
        Extension(
            f"asyncbolt.{name}",
            [f"asyncbolt/{name}.pyx"],
            depends=[path.as_posix() for path in sorted(Path("asyncbolt").glob("*.pxd"))],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            define_macros=macros,
            undef_macros=undefine,
        )
        for name in MODULES
    ]
    # No subinterpreters_compatible: it needs module state, which crashes with Cython 3.3.
    directives = {
        "language_level": 3,
        "freethreading_compatible": True,
        "embedsignature": True,
        "autotestdict": False,
        "wraparound": False,
        "cdivision": True,
        "boundscheck": DEBUG,
        "initializedcheck": DEBUG,
        "linetrace": DEBUG,
    }
    return cythonize(
        modules,
        compiler_directives=directives,
        # The C files stay out of the package, but the coverage plugin looks for them beside the .pyx.
        build_dir=None if DEBUG else "build/cython",
        # A change of directives alone does not make Cython translate again.
        force=DEBUG,
        annotate=DEBUG,
    )


def wanted() -> bool:
    no, required = switch("NO_EXTENSIONS"), switch("REQUIRE_EXTENSIONS")
    if no and required:
        sys.exit("ASYNCBOLT_NO_EXTENSIONS and ASYNCBOLT_REQUIRE_EXTENSIONS contradict each other")
    cpython = sys.implementation.name == "cpython"
    if required and not cpython:
        sys.exit("ASYNCBOLT_REQUIRE_EXTENSIONS is set, but extensions are built for CPython only")
    return cpython and not no


setup(ext_modules=extensions() if wanted() else [])
