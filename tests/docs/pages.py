"""What is in the pages of the documentation: blocks of code, links, pictures and headings."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
SOURCE = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["urls"]["Source"]

_OUTSIDE_OF_DOCS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
# Where the code host and a package index find a file of the repository.
_IN_THE_REPOSITORY = re.compile(
    rf"(?:{re.escape(SOURCE)}/(?:blob|tree|raw)"
    rf"|{re.escape(SOURCE).replace('github', 'raw.githubusercontent', 1)})/main/(?P<path>[^#?]*)"
)
_HTML_LINK = re.compile(r"""<(?P<tag>\w+)[^>]*?\s(?:href|src|srcset)=["'](?P<target>[^"']+)""")
_HTML_ALT = re.compile(r"""\salt=["'](?P<alt>[^"']*)""")
# As the code host makes an anchor of a heading.
_NOT_IN_AN_ANCHOR = re.compile(r"[^\w\- ]")


class Block(NamedTuple):
    """
    A fenced block of code.

    :param language: The first word after the fence; ``{name}`` is a directive of MyST.
    :param line: The line of its fence.
    """

    path: Path
    line: int
    language: str
    code: str

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{name_of(self.path)}:{self.line}"


class Link(NamedTuple):
    """
    A link, or a picture.

    :param line: The line at which its paragraph, or its table row, begins.
    :param alt: What a picture shows; ``None`` for a link.
    """

    path: Path
    line: int
    target: str
    alt: str | None = None

    @property
    def place(self) -> str:
        """File, line and target, for messages."""
        return f"{name_of(self.path)}:{self.line}: {self.target}"

    @property
    def file(self) -> Path | None:
        """The file or folder that it leads to; ``None`` if that is outside of the repository."""
        if found := _IN_THE_REPOSITORY.match(self.target):
            return REPOSITORY / unquote(found["path"])
        parts = urlsplit(self.target)
        if parts.scheme or parts.netloc:
            return None
        return (self.path.parent / unquote(parts.path)).resolve() if parts.path else self.path

    @property
    def anchor(self) -> str:
        """The heading that it leads to; may be empty."""
        return unquote(urlsplit(self.target).fragment)


def name_of(path: Path) -> str:
    """Return a path as people write it."""
    return path.relative_to(REPOSITORY).as_posix() if path.is_relative_to(REPOSITORY) else str(path)


def pages() -> list[Path]:
    """Return all pages, also those that are read where the repository is browsed."""
    return [*(REPOSITORY / name for name in _OUTSIDE_OF_DOCS), *sorted(DOCS.rglob("*.md"))]


@cache
def _tokens(path: Path) -> list[Token]:
    text = path.read_text(encoding="utf-8")
    return MarkdownIt("commonmark").enable("table").parse(text)


def blocks_of(path: Path) -> Iterator[Block]:
    """Yield the blocks of code of a page. One by indentation has no language."""
    for token in _tokens(path):
        if token.type in ("fence", "code_block"):
            language = (token.info.split() or [""])[0]
            yield Block(path, _line(token), language, token.content)


def links_of(path: Path) -> Iterator[Link]:
    """Yield the links and pictures of a page."""
    line = 1
    for token in _tokens(path):
        line = _line(token, line)
        if token.type == "html_block":
            yield from _html_links(path, line, token.content)
        for child in token.children or []:
            if child.type == "link_open":
                yield Link(path, line, str(child.attrGet("href")))
            elif child.type == "image":
                yield Link(path, line, str(child.attrGet("src")), child.content)
            elif child.type == "html_inline":
                yield from _html_links(path, line, child.content)


def _html_links(path: Path, line: int, html: str) -> Iterator[Link]:
    for found in _HTML_LINK.finditer(html):
        tag = html[found.start() : html.find(">", found.start())]
        alt = _HTML_ALT.search(tag)
        is_picture = found["tag"] == "img"
        yield Link(path, line, found["target"], (alt["alt"] if alt else "") if is_picture else None)


def _line(token: Token, default: int = 1) -> int:
    return token.map[0] + 1 if token.map else default


@cache
def anchors_of(path: Path) -> frozenset[str]:
    """Return the anchors of the headings of a page."""
    anchors: dict[str, None] = {}
    tokens = _tokens(path)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            anchors.setdefault(_unique(_anchor(inline), anchors))
    return frozenset(anchors)


def _anchor(inline: Token) -> str:
    text = "".join(
        child.content for child in inline.children or [] if child.type in ("text", "code_inline")
    )
    return _NOT_IN_AN_ANCHOR.sub("", text.strip().lower()).replace(" ", "-")


def _unique(anchor: str, taken: dict[str, None]) -> str:
    number, unique = 0, anchor
    while unique in taken:
        number += 1
        unique = f"{anchor}-{number}"
    return unique
