"""Beside each promise of the page on reliability: the tests that prove it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms import SphinxTransform

from docs._ext.repository_links import code_url
from tests.unit.test_reliability import CASES, Case

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

PAGE = "reliability"


class details(nodes.container):  # type: ignore[misc]  # noqa: N801  # docutils goes by its name
    """What is shown only when somebody opens it; ``summary`` is always shown."""


def show_details(translator: HTML5Translator, node: details) -> None:
    """Begin it in HTML."""
    summary = translator.encode(node["summary"])
    translator.body.append(f'<details class="proofs"><summary>{summary}</summary>')


def end_details(translator: HTML5Translator, node: details) -> None:
    """End it in HTML."""
    translator.body.append("</details>")


class Proofs(SphinxTransform):
    """Adds the tests to the rows of the page."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        """Add them, if this is the page."""
        if self.env.docname != PAGE:
            return
        cases = {case.when.replace("`", ""): case for case in CASES}
        for row in self.document.findall(nodes.row):
            case = cases.get(row[0].astext())
            if case is not None:
                row[-1] += self._tests(case)

    def _tests(self, case: Case) -> details:
        links = nodes.bullet_list()
        for node_id in case.node_ids():
            file, _, name = node_id.partition("::")
            repository = Path(self.env.srcdir).parent
            path = repository / file
            url = code_url(self.config.source_url, path, repository, lines_of(path)[name])
            text = name.rpartition("::")[2].removeprefix("test_").replace("_", " ")
            link = nodes.reference("", text, refuri=url, internal=False)
            links += nodes.list_item("", nodes.paragraph("", "", link))
        count = len(links)
        return details("", links, summary="1 test" if count == 1 else f"{count} tests")


@cache
def lines_of(path: Path) -> dict[str, int]:
    """Return the lines of the tests of a file, those of a class as ``Class::test``."""
    return dict(_lines(ast.parse(path.read_text(encoding="utf-8")).body))


def _lines(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, int]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _lines(node.body, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef):
            yield f"{prefix}{node.name}", node.lineno


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_node(details, html=(show_details, end_details))
    app.add_transform(Proofs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
