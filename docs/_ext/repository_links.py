"""
Links to files outside of ``docs/``: to the page that includes the file, or to the code host.

The same relative links work where the repository is browsed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

INCLUDED = {
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security",
}
"""Files of the repository that are pages of the site, by the names of these."""


def code_url(source_url: str, path: Path, repository: Path, line: int = 0) -> str:
    """
    Return where the code host shows a file or folder of the repository.

    :param source_url: The repository on the code host.
    :param line: The line to begin with; 0 for none.
    """
    kind = "tree" if path.is_dir() else "blob"
    anchor = f"#L{line}" if line else ""
    return f"{source_url}/{kind}/main/{path.relative_to(repository).as_posix()}{anchor}"


class RepositoryLinks(SphinxTransform):
    """Replaces what MyST makes of links to files that are no pages."""

    # Before Sphinx collects the files to download.
    default_priority = 5

    def apply(self, **kwargs: Any) -> None:
        """Replace them in one page."""
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node.get("reftype") == "myst":
                self._replace(node, node.get("reftargetid") or "")
        for node in list(self.document.findall(addnodes.download_reference)):
            if node.get("reftype") == "myst":
                self._replace(node, "")

    def _replace(self, node: nodes.Element, anchor: str) -> None:
        target, _, own_anchor = str(node["reftarget"]).partition("#")
        path = self._file(target)
        if path is None:
            return
        anchor = anchor or own_anchor
        repository = self._docs.parent
        page = INCLUDED.get(path.relative_to(repository).as_posix())
        if path.is_relative_to(self._docs) and path.suffix == ".md":
            page = path.relative_to(self._docs).with_suffix("").as_posix()
        if page:
            node.replace_self(self._link_to_page(node, page, anchor))
        elif not path.is_relative_to(self._docs):
            url = code_url(self.config.source_url, path, repository)
            url += f"#{anchor}" if anchor else ""
            node.replace_self(nodes.reference("", "", *node.children, refuri=url, internal=False))

    @property
    def _docs(self) -> Path:
        return Path(self.env.srcdir)

    def _file(self, target: str) -> Path | None:
        """Return the file or folder that is meant, if it is in the repository."""
        folders = [(self._docs / self.env.docname).parent]
        if self.env.docname in INCLUDED.values():
            folders.append(self._docs.parent)
        for folder in folders:
            # MyST cuts the suffix of what could be a page.
            for suffix in ("", ".md"):
                path = Path(os.path.normpath(folder / (target + suffix)))
                if target and path.exists() and path.is_relative_to(self._docs.parent):
                    return path
        return None

    def _link_to_page(self, node: nodes.Element, page: str, anchor: str) -> nodes.Element:
        link = addnodes.pending_xref(
            "",
            *node.children,
            refdomain="doc",
            reftype="myst",
            reftarget=page,
            reftargetid=anchor or None,
            refdoc=self.env.docname,
            refexplicit=True,
        )
        link.source, link.line = node.source, node.line
        return link


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform, and the setting with the code host."""
    app.add_config_value("source_url", "", "env", str)
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
