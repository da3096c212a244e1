"""Values that arrive as text."""

from __future__ import annotations

import ast
import json
from contextlib import suppress


def parse_literal(text: str) -> object:
    """
    Parse JSON or a Python literal. Airflow turns values into either.

    :raises ValueError: *text* is neither.
    """
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return parse(text)
    raise ValueError("neither JSON nor a Python literal")
