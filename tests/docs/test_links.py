"""No link of the documentation is dead, and each picture exists, is described and is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import (
    DOCS,
    Link,
    anchors_of,
    links_of,
    links_without_definition,
    name_of,
    pages,
)

PAGES = pages()
PICTURES = (".png", ".svg", ".jpg", ".gif", ".webp")
FEWEST_WORDS = 3


def fault_of(link: Link) -> str:
    """Return why a link is dead; empty if it is not, or if it leads out of the repository."""
    file = link.file
    if file is None:
        return ""
    if not file.exists():
        return f"{name_of(file)} does not exist"
    if link.anchor and file.suffix == ".md" and link.anchor not in anchors_of(file):
        return f"{name_of(file)} has no heading with this anchor"
    return ""


def faults_of(path: Path) -> list[str]:
    """Return what is wrong with the links of a page."""
    return [f"{link.place}: {fault}" for link in links_of(path) if (fault := fault_of(link))]


def badly_described(path: Path) -> list[str]:
    """Return the pictures of a page whose text does not say what they show."""
    return [
        f"{link.place}: say in its alt text what is seen, in {FEWEST_WORDS} words or more"
        for link in links_of(path)
        if link.alt is not None and len(link.alt.split()) < FEWEST_WORDS
    ]


def unused_pictures(folder: Path, used: set[Path]) -> list[str]:
    """Return the pictures in a folder that no page shows."""
    found = (path for path in folder.rglob("*") if path.suffix in PICTURES)
    return [
        f"{name_of(path)}: no page shows it" for path in sorted(found) if path.resolve() not in used
    ]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_link_is_dead(path):
    faults = faults_of(path)

    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_by_name_has_a_definition(path):
    assert links_without_definition(path) == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_picture_is_described(path):
    faults = badly_described(path)

    assert not faults, "\n".join(faults)


def test_every_picture_is_used():
    used = {link.file for path in PAGES for link in links_of(path) if link.file is not None}

    unused = unused_pictures(DOCS, used)

    assert not unused, "\n".join(unused)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "other.md").write_text("# Other\n\n## Two `words`\n\n## Two words\n")
    (tmp_path / "shown.png").touch()
    (tmp_path / "unused.png").touch()
    return tmp_path


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "link",
    [
        "[a](other.md)",
        "[a](other.md#two-words)",
        "[a](other.md#two-words-1)",
        "[a](#here)",
        "[a][b]\n\n[b]: other.md",
        "[a](https://example.com/missing#nothing)",
        "![A picture of it](shown.png)",
        "| a |\n|---|\n| [a](other.md) |",
    ],
)
def test_a_good_link_is_accepted(link, folder):
    assert faults_of(page(folder, f"# Here\n\n{link}\n")) == []


@pytest.mark.parametrize(
    "link",
    [
        "[a](missing.md)",
        "[a](other.md#three-words)",
        "[a](#there)",
        "[a][b]\n\n[b]: missing.md",
        "![A picture of it](missing.png)",
        '<img src="missing.png" alt="A picture of it">',
        "| a |\n|---|\n| [a](missing.md) |",
    ],
)
def test_a_dead_link_is_found_with_its_line(link, folder):
    (fault,) = faults_of(page(folder, f"# Here\n\n{link}\n"))

    assert "page.md:" in fault
    assert "does not exist" in fault or "no heading" in fault


@pytest.mark.parametrize("text", ["[a][b]", "See [a `b`][c].", "[a][]", "| a |\n|---|\n| [a][b] |"])
def test_a_link_without_a_definition_is_found(text, folder):
    (found,) = links_without_definition(page(folder, f"# Here\n\n{text}\n\n[other]: other.md\n"))

    assert "page.md:" in found


@pytest.mark.parametrize("text", ["[a][other]", "[other][]", "`[a][b]`", "A list: [1, 2]."])
def test_a_link_with_a_definition_is_accepted(text, folder):
    path = page(folder, f"# Here\n\n{text}\n\n[other]: other.md\n")

    assert links_without_definition(path) == []


def test_a_picture_without_a_description_is_found(folder):
    assert len(badly_described(page(folder, "![](shown.png) ![Figure](shown.png)"))) == 2


def test_an_unused_picture_is_found(folder):
    used = {(folder / "shown.png").resolve()}

    (fault,) = unused_pictures(folder, used)

    assert "unused.png" in fault
