"""Times, durations and numbers as the page writes them."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_STEPS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


def age_text(instant: datetime, now: datetime) -> str:
    """Return how long ago something was: ``5 min ago``; ``just now`` also for the future."""
    seconds = (now - instant).total_seconds()
    if seconds < 5:
        return "just now"
    size, unit = next(each for each in _UNITS if seconds >= each[0])
    return f"{int(seconds // size)} {unit} ago"


def short_duration(seconds: float) -> str:
    """Return a duration in its two largest units: ``2 h 10 min``, ``3 min 5 s``, ``12 s``."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def short_number(number: int) -> str:
    """Return a number in three digits, such as ``950``, ``1.25 k``, ``12.3 M``."""
    for size, unit in _STEPS:
        value = number / size
        # What rounds up to 1,000 is written in the next unit. Below 1,000 nothing is rounded.
        if abs(value) >= (1 if size == _STEPS[-1][0] else 0.9995):
            digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
            return f"{value:.{digits}f} {unit}"
    return str(number)


def exact_time(instant: datetime) -> str:
    """Return an instant in UTC, to the second."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
