"""`make screenshots` makes every picture that the documentation shows; nothing is run here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.screenshots import FOLDER, MAX_SIZE, PICTURES

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURE = re.compile(r"pictures/([\w.-]+)\.png")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def pictures_in(text: str) -> set[str]:
    return set(PICTURE.findall(text))


def test_every_picture_of_the_documentation_is_made():
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    shown = {name for page in pages for name in pictures_in(page.read_text(encoding="utf-8"))}

    assert len(pages) > 10
    assert shown - PICTURES.keys() == set()


def test_the_folder_has_no_picture_that_nobody_makes():
    assert {path.stem for path in FOLDER.glob("*.png")} - PICTURES.keys() == set()


def test_a_picture_is_found_in_a_page():
    text = "![A form](../pictures/some-form.png) and ![](pictures/dark.png)"

    assert pictures_in(text) == {"some-form", "dark"}


@pytest.mark.parametrize("picture", sorted(FOLDER.glob("*.png")), ids=lambda path: path.stem)
def test_a_picture_is_a_small_png(picture):
    content = picture.read_bytes()

    assert content.startswith(PNG_SIGNATURE)
    assert len(content) <= MAX_SIZE
