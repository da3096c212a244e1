"""Dropping nulls: responses have no null fields (``docs/airbyte-api.md`` §3.1, §4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def drop_nulls(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return *fields* without those that are ``None``; nested objects are left as they are."""
    return {name: value for name, value in fields.items() if value is not None}


def drop_nested_nulls(value: Any) -> Any:
    """Return *value* without the ``None`` fields of its objects, at every depth."""
    if isinstance(value, Mapping):
        return {name: drop_nested_nulls(item) for name, item in drop_nulls(value).items()}
    if isinstance(value, list):
        return [drop_nested_nulls(item) for item in value]
    return value
