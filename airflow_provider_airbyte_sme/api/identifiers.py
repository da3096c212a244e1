"""How Airbyte writes the ids of its resources."""

from __future__ import annotations

import re

_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def is_uuid(text: str) -> bool:
    """Whether *text* is a UUID as Airbyte writes it, rather than a name."""
    return re.fullmatch(_UUID, text) is not None
