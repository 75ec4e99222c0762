"""Sphinx: ``python -m sphinx -W -b html docs docs/_build/html``. Nothing is fetched from a network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from bayesridge import __version__  # noqa: E402

project = "bayesridge"
author = "The bayesridge developers"
copyright = author  # noqa: A001
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "mathml"]
exclude_patterns = ["_build", "**.ipynb_checkpoints", "notebooks/*.py"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are committed executed, and run by the tests
nb_merge_streams = True

html_theme = "furo"
html_title = "bayesridge"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["bayesridge.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "friendly", "monokai"

add_module_names = False
autodoc_typehints = "none"  # numpydoc sections say them in words
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
