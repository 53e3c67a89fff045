"""Sphinx settings. `make docs` builds with warnings as errors and every reference checked."""

import os
import sys
from pathlib import Path

# The pure twin has signatures with types.
os.environ["ASYNCBOLT_IMPL"] = "python"

import asyncbolt

sys.path.insert(0, str(Path(__file__).with_name("_ext")))

project = "asyncbolt"
author = "The asyncbolt developers"
copyright = author
version = release = asyncbolt.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "wire_states",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build"]
default_role = "code"
nitpicky = True
# Only our own public names are checked: an index of Python's would have to be downloaded on each build.
nitpick_ignore_regex = [(r"py:.*", r"(?!asyncbolt\b).*"), (r"py:.*", r"asyncbolt\..*\b_\w+")]

html_theme = "furo"
html_title = f"asyncbolt {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"show-inheritance": True}
autodoc_class_signature = "separated"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

myst_heading_anchors = 3
# The changelog and the guide for contributors link to files of the repository.
# "ref.python": the builtin `type` in an annotation could also be Relationship.type.
suppress_warnings = ["myst.xref_missing", "ref.python"]


def _without_private_bases(app, name, kind, options, bases):
    """Bases of modules that begin with an underscore are of no interest to readers."""
    bases[:] = [base for base in bases if not _is_private(getattr(base, "__module__", ""))] or [object]


def _is_private(module):
    return module.startswith("asyncbolt._")


def setup(app):
    app.connect("autodoc-process-bases", _without_private_bases)
