"""How Sphinx builds the documentation: ``make docs``."""

from __future__ import annotations

import os
import sys
import tempfile
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

# The reference imports Airflow, which creates its home: here one that is thrown away.
if "AIRFLOW_HOME" not in os.environ:
    home = tempfile.TemporaryDirectory(prefix="airflow-home-")
    os.environ["AIRFLOW_HOME"] = home.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

from pygments.lexers.templates import SqlJinjaLexer  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

from airflow_provider_airbyte_sme import __version__  # noqa: E402

METADATA = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = METADATA["name"]
author = METADATA["authors"][0]["name"]
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "docs._ext.collected_docstrings",
    "docs._ext.generated",
    "docs._ext.proofs",
    "docs._ext.repository_links",
]
exclude_patterns = ["_ext", "_static"]

# As the code host does it: the same links lead to the same headings there and here.
myst_heading_anchors = 6
source_url = METADATA["urls"]["Source"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme_options = {
    "source_view_link": f"{source_url}/blob/main/docs/{{filename}}",
    "light_css_variables": {
        "color-brand-primary": "#4f43c9",
        "color-brand-content": "#4f43c9",
        "color-brand-visited": "#6b3fa0",
    },
    "dark_css_variables": {
        "color-brand-primary": "#a9a1ff",
        "color-brand-content": "#a9a1ff",
        "color-brand-visited": "#c7a6ee",
    },
}


def setup(app: Sphinx) -> None:
    """Read SQL as that of dbt, which has templates."""
    app.add_lexer("sql", SqlJinjaLexer)
