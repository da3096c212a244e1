"""Output that nobody reads any longer, as after ``| head``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO


def discard(*streams: TextIO) -> None:
    """Send what is not yet written to nowhere: Python would complain about it when it ends."""
    with Path(os.devnull).open("wb") as nowhere:
        for stream in streams:
            os.dup2(nowhere.fileno(), stream.fileno())
