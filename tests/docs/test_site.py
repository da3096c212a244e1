"""The documentation as a site: it builds without a warning, and none of its links is dead."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.conftest import build
from tests.docs.pages import REPOSITORY, SOURCE
from tests.unit.test_reliability import CASES


class Page(HTMLParser):
    """The links and anchors of a page, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if "href" in values and tag == "a":
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") not in ("canonical", "license"):
            self.loaded.append(values["href"])
        if "src" in values:
            self.loaded.append(values["src"])


def read_site(folder: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(folder.rglob("*.html"))}


def dead_links(site: dict[Path, Page]) -> list[str]:
    """Return the links inside a site that lead nowhere, with the page that has them."""
    return [
        f"{path.name}: {link}"
        for path, page in site.items()
        for link in (*page.links, *page.loaded)
        if not is_alive(link, path, site)
    ]


def is_alive(link: str, path: Path, site: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in site:
        return target.is_file()
    return not parts.fragment or unquote(parts.fragment) in site[target].anchors


def links_to_code(site: dict[Path, Page]) -> set[str]:
    """Return the files and folders of the repository to which a site leads."""
    pattern = re.compile(rf"{re.escape(SOURCE)}/(?:blob|tree)/main/([^#]*)")
    return {
        unquote(found[1])
        for page in site.values()
        for link in page.links
        if (found := pattern.match(link))
    }


def test_the_site_builds_without_a_warning(site):
    assert not site.warnings, site.warnings


def test_no_link_in_the_site_is_dead(site):
    dead = dead_links(read_site(site.folder))

    assert not dead, "\n".join(dead)


def test_what_is_not_a_page_is_linked_on_the_code_host(site):
    linked = links_to_code(read_site(site.folder))

    assert "dags_examples/retry_policy.py" in linked
    assert [each for each in sorted(linked) if not (REPOSITORY / each).exists()] == []


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = [each for page in read_site(site.folder).values() for each in page.loaded]

    assert [each for each in loaded if "//" in each] == []
    styles = (path.read_text(encoding="utf-8") for path in site.folder.rglob("*.css"))
    assert not [found for style in styles for found in re.findall(r"url\(['\"]?https?:", style)]


def test_each_promise_names_its_tests(site):
    html = (site.folder / "reliability.html").read_text(encoding="utf-8")
    tests = {node_id for case in CASES for node_id in case.node_ids()}

    assert html.count('<details class="proofs">') == len(CASES)
    for file in {node_id.partition("::")[0] for node_id in tests}:
        assert f"{SOURCE}/blob/main/{file}#L" in html


CONFIGURATION = f"""
import sys

sys.path.insert(0, {str(REPOSITORY)!r})
extensions = ["myst_parser", "docs._ext.repository_links"]
myst_heading_anchors = 6
source_url = "https://code.example.com/it"
html_theme = "basic"
"""


@pytest.fixture
def sample(tmp_path):
    """Build a site of one page, with a changelog, and return its HTML and what Sphinx says."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "conf.py").write_text(CONFIGURATION)
    (docs / "changelog.md").write_text("```{include} ../CHANGELOG.md\n:relative-docs: docs/\n```\n")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changes\n\n## 1.0\n\n[Index](docs/index.md) [Code](code.py)\n"
    )
    (tmp_path / "code.py").touch()
    (tmp_path / "code").mkdir()

    def build_page(text: str) -> tuple[dict[str, list[str]], str]:
        (docs / "index.md").write_text(f"# Index\n\n{text}\n\n```{{toctree}}\nchangelog\n```\n")
        warnings = build(docs, tmp_path / "site")
        links = {path.stem: page.links for path, page in read_site(tmp_path / "site").items()}
        return links, warnings

    return build_page


LINKS = {
    "../code.py": "https://code.example.com/it/blob/main/code.py",
    "../code": "https://code.example.com/it/tree/main/code",
    "../code/": "https://code.example.com/it/tree/main/code",
    "../CHANGELOG.md": "changelog.html",
    "../CHANGELOG.md#changes": "changelog.html#changes",
}


def test_links_out_of_the_docs_lead_to_a_page_or_to_the_code_host(sample):
    links, warnings = sample("\n".join(f"- [It]({link})" for link in LINKS))

    assert warnings == ""
    assert set(LINKS.values()) - set(links["index"]) == set()
    # Those of the included file are relative to that.
    assert {"https://code.example.com/it/blob/main/code.py", "index.html"} <= set(
        links["changelog"]
    )


def test_a_dead_link_is_a_warning(sample):
    dead = ("missing.md", "../missing.py", "#missing", "changelog.md#missing")

    _, warnings = sample("\n".join(f"- [It]({link})" for link in dead))

    assert warnings.count("[myst.xref_missing]") == len(dead)


def test_a_dead_link_in_a_site_is_found(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#there">b</a><a href="c.html">c</a>')
    (tmp_path / "b.html").write_text('<a href="a.html">a</a><img src="d.png"><p id="here">')

    assert dead_links(read_site(tmp_path)) == [
        "a.html: b.html#there",
        "a.html: c.html",
        "b.html: d.png",
    ]
