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
# What is left of a link whose definition is missing.
_WITHOUT_DEFINITION = re.compile(r"\[[^\[\]]+\]\[[^\[\]]*\]")
_PYTHON_FILE = re.compile(r"\.py$")
# As the code host makes an anchor of a heading.
_NOT_IN_AN_ANCHOR = re.compile(r"[^\w\- ]")


class Block(NamedTuple):
    """
    A fenced block of code.

    :param language: The first word after the fence; ``{name}`` is a directive of MyST.
    :param line: The line of its fence.
    :param origin: The Python file that the sentence before it links to; ``None`` if it does not.
    """

    path: Path
    line: int
    language: str
    code: str
    origin: Path | None = None

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
    origin: Path | None = None
    for token in _tokens(path):
        if token.type in ("fence", "code_block"):
            language = (token.info.split() or [""])[0]
            yield Block(path, _line(token), language, token.content, origin)
            origin = None
        elif token.type == "inline":
            origin = _last_python_file(path, token)


def _last_python_file(path: Path, inline: Token) -> Path | None:
    """Return the file that the last link of a paragraph leads to, if that introduces code."""
    targets = [
        str(child.attrGet("href")) for child in inline.children or [] if child.type == "link_open"
    ]
    if inline.content.endswith(":") and targets and _PYTHON_FILE.search(targets[-1]):
        return Link(path, 1, targets[-1]).file
    return None


def code_spans_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the code within the sentences of a page, with the line of its paragraph."""
    line = 1
    for token in _tokens(path):
        line = _line(token, line)
        for child in token.children or []:
            if child.type == "code_inline":
                yield line, child.content


def links_without_definition(path: Path) -> list[str]:
    """Return what looks like ``[text][name]`` and is no link, because nothing defines the name."""
    return [
        f"{name_of(path)}:{_line(token)}: {found}"
        for token in _tokens(path)
        if token.type == "inline"
        for found in _WITHOUT_DEFINITION.findall(
            "".join(child.content for child in token.children or [] if child.type == "text")
        )
    ]


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
