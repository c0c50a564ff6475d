"""Settings of Sphinx: ``sphinx-build -W docs build/site``, with the extra ``[docs]``. It needs no network."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rasa_core.version import __version__  # noqa: E402

project = "rasa_core"
version = release = __version__
html_title = f"rasa_core {__version__}"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
templates_path = ["_templates"]
exclude_patterns = ["site", "_templates"]
default_role = "py:obj"  # Docstrings name things as `Agent`.
napoleon_google_docstring = False
autodoc_typehints = "none"  # The signature has them, in full.
autodoc_member_order = "bysource"
autosummary_generate = True
autosummary_imported_members = False
highlight_language = "text"  # Blocks that name no language are commands beside their comments.
suppress_warnings = ["misc.highlighting_failure"]  # Answers in JSON have "..." for what may differ.

html_theme = "furo"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

_page = re.compile(r"docs/([a-z0-9]+)\.rst")


def link_pages(app: Sphinx, doctree: nodes.document) -> None:
    """Turn names of pages in the text into links."""
    for literal in list(doctree.findall(nodes.literal)):
        found = _page.fullmatch(literal.astext())
        if found is None or isinstance(literal.parent, nodes.reference):
            continue
        options = {
            "refdoc": app.env.current_document.docname,
            "refdomain": "std",
            "refexplicit": False,
            "refwarn": True,
        }
        link = pending_xref("", nodes.inline(), reftype="doc", reftarget=f"/{found[1]}", **options)
        literal.replace_self(link)


def load_names() -> None:
    """Import the names that modules import lazily, since Sphinx documents only imported names."""
    for name in re.findall(
        r"^   (rasa_core\.[a-z_.]+)$", (ROOT / "docs" / "api.rst").read_text(encoding="utf-8"), re.MULTILINE
    ):
        module = import_module(name)
        for member in getattr(module, "__all__", ()):
            setattr(module, member, getattr(module, member))


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the functions of this file to Sphinx."""
    load_names()
    app.connect("doctree-read", link_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
