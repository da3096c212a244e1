"""The Chromium of this machine, for the tests of the UI and the pictures of the documentation."""

from __future__ import annotations

import shutil

CHROMIUM_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """Return the path of the browser; ``None`` if there is none."""
    return next(filter(None, map(shutil.which, CHROMIUM_COMMANDS)), None)
