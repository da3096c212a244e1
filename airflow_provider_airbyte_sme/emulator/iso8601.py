"""
Timestamps and durations in ISO-8601, as Java's ``OffsetDateTime`` and ``Duration`` print them.

``docs/airbyte-api.md`` §3.1.
"""

from __future__ import annotations

from datetime import UTC, datetime


def iso_timestamp(epoch: float) -> str:
    """Format seconds since the epoch, in UTC and whole seconds; ``:00`` seconds are omitted."""
    timestamp = datetime.fromtimestamp(int(epoch), UTC)
    text = timestamp.isoformat(timespec="seconds" if timestamp.second else "minutes")
    return f"{text.removesuffix('+00:00')}Z"


def iso_duration(seconds: int) -> str:
    """
    Format a number of seconds in hours, minutes and seconds; hours are not rolled into days.

    In a negative duration each part has a sign: ``PT-1M-1S``.
    """
    sign = "-" if seconds < 0 else ""
    minutes, seconds = divmod(abs(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        f"{sign}{value}{unit}"
        for value, unit in ((hours, "H"), (minutes, "M"), (seconds, "S"))
        if value
    ]
    return "PT" + ("".join(parts) or "0S")
