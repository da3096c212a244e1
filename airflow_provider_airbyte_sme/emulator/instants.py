"""Instants and durations in the text form of Java's ``OffsetDateTime`` and ``Duration``."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_instant(epoch: float) -> str:
    """Return an instant in UTC and whole seconds; zero seconds are left out, as Java does."""
    moment = datetime.fromtimestamp(int(epoch), UTC)
    return moment.strftime("%Y-%m-%dT%H:%MZ" if moment.second == 0 else "%Y-%m-%dT%H:%M:%SZ")


def iso_duration(seconds: int) -> str:
    """Return a duration in hours, minutes and seconds; hours are not rolled into days."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if value
    ]
    return "PT" + ("".join(parts) or "0S")
