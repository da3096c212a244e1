"""
Schedules of connections: ``manual``, or a Quartz cron expression in UTC.

Airbyte's checks and the form in which it returns a schedule: docs/airbyte-api.md §4.5.
"""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_airbyte_sme.api.models.connections import (
    MANUAL,
    AirbyteConnection,
    Schedule,
)
from airflow_provider_airbyte_sme.provisioning.declarations import ConnectionDeclaration

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# Name, lowest and highest number, and words of each field; the year may be left out.
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ("L", "W", "LW")),
    ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, (*_DAYS, *(f"{day}L" for day in _DAYS), "L")),
    ("year", 1970, 2099, ()),
)
_UNIX_FIELDS = 5
_QUARTZ_FIELDS = 6
# Airflow's presets, in the five fields of Unix.
_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EXAMPLE = "'0 0 3 * * ?' is every day at 03:00 UTC"


def normalised_cron(expression: str) -> str:
    """Return a cron expression in capitals, with single spaces, and without ``UTC`` at its end."""
    parts = expression.upper().split()
    return " ".join(parts[:-1] if parts[-1:] == ["UTC"] else parts)


def is_manual(declared: str) -> bool:
    """Whether a declared schedule is ``manual``."""
    return declared.strip().lower() == MANUAL.schedule_type


def same_schedule(declared: str, actual: Schedule) -> bool:
    """Whether Airbyte stores what is declared. A ``basic`` schedule always differs."""
    if is_manual(declared):
        return actual.schedule_type == MANUAL.schedule_type
    return actual.schedule_type == "cron" and (
        normalised_cron(actual.cron_expression) == normalised_cron(declared)
    )


def schedule_text(actual: Schedule) -> str:
    """Return a schedule as one would declare it; a ``basic`` one as Airbyte describes it."""
    if actual.schedule_type == "cron":
        return normalised_cron(actual.cron_expression)
    return actual.basic_timing or actual.schedule_type


def schedule_payload(declared: str) -> dict[str, Any]:
    """Return the ``schedule`` of a request."""
    if is_manual(declared):
        return {"scheduleType": "manual"}
    return {"scheduleType": "cron", "cronExpression": normalised_cron(declared)}


def is_scheduled(declaration: ConnectionDeclaration, actual: AirbyteConnection | None) -> bool:
    """
    Whether Airbyte itself syncs the connection once the declaration is applied.

    If Airflow syncs it too, it is synced twice.

    :param actual: ``None`` if it does not exist yet.
    """
    status = declaration.status or (actual.status if actual else "active")
    if status == "inactive":
        return False
    if declaration.schedule is not None:
        return not is_manual(declaration.schedule)
    return actual is not None and actual.schedule.schedule_type != MANUAL.schedule_type


def schedule_problems(declared: str) -> list[str]:
    """
    Return what is wrong with a declared schedule.

    Schedules more frequent than hourly are valid: Airbyte accepts them by default, and has an error
    of its own where it does not.
    """
    if is_manual(declared):
        return []
    preset = declared.strip().lower()
    parts = normalised_cron(_PRESETS.get(preset, declared)).split()
    problems = []
    if parts and _is_zone(parts[-1], len(parts)):
        problems.append(
            f"Airbyte knows no time zone but UTC: leave out {declared.split()[-1]!r} and convert "
            "the hours"
        )
        parts.pop()
    return [f"schedule: {each} (declared: {declared!r})" for each in problems + _problems(parts)]


def _is_zone(part: str, count: int) -> bool:
    """Whether the last of *count* fields, in capitals, is a time zone, as in ``EUROPE/BERLIN``."""
    if count > _QUARTZ_FIELDS:
        return part.isalpha() or bool(re.match(r"[A-Z]+[/_+-]", part))
    return bool(re.fullmatch(r"[A-Z]+(/[A-Z_]+)+", part))


def _problems(parts: list[str]) -> list[str]:
    if len(parts) == _UNIX_FIELDS:
        return [f"this is a Unix cron expression, and Airbyte wants Quartz: {_as_quartz(parts)}"]
    if len(parts) not in (_QUARTZ_FIELDS, _QUARTZ_FIELDS + 1):
        return [
            "it must be 'manual' or a Quartz cron expression of 6 or 7 fields, not "
            f"{len(parts)}: {_EXAMPLE}"
        ]
    problems = [
        problem
        for part, field in zip(parts, _FIELDS, strict=False)
        if (problem := _field_problem(part, *field))
    ]
    return problems + _constraints(parts)


def _constraints(parts: list[str]) -> list[str]:
    problems = []
    # With 6 fields Airbyte lets the minutes be anything: docs/airbyte-api.md §4.5.3.
    for name, part in zip(("second", "minute"), parts[: len(parts) - 5], strict=False):
        if not part.isdecimal():
            problems.append(f"the {name} must be a number, not {part!r}")
    if (parts[3] == "?") == (parts[5] == "?"):
        problems.append("either the day of month or the day of week must be '?', and not both")
    return problems


def _field_problem(part: str, name: str, lowest: int, highest: int, words: tuple[str, ...]) -> str:
    if not re.fullmatch(r"[0-9A-Z*?/,#-]+", part):
        return f"{part!r} is no {name}"
    # Neither the step after a slash nor the week after a number sign is a value of the field.
    values = re.sub(r"[/#]\d+", "", part)
    if unknown := [word for word in re.findall(r"[A-Z]+", values) if word not in words]:
        return f"{unknown[0]!r} is no {name}"
    if wrong := [n for n in re.findall(r"\d+", values) if not lowest <= int(n) <= highest]:
        return f"the {name} must be from {lowest} to {highest}, not {wrong[0]}"
    return ""


def _as_quartz(parts: list[str]) -> str:
    """Say how a Unix expression is written for Quartz."""
    minute, hour, day, month, weekday = parts
    if "*" not in (day, weekday) and "?" not in (day, weekday):
        return (
            "Unix syncs on both the day of month and the day of week, which Quartz cannot; keep "
            "one of them and put '?' for the other, as in "
            f"'0 {minute} {hour} {day} {month} ?'"
        )
    if weekday in ("*", "?"):
        return f"'0 {minute} {hour} {'*' if day == '?' else day} {month} ?'"
    days = ",".join(_weekdays(item) for item in weekday.split(","))
    return f"'0 {minute} {hour} ? {month} {days}'"


def _weekdays(item: str) -> str:
    """Return days of the week by name: Unix counts Sunday as 0 and 7, Quartz as 1."""
    match = re.fullmatch(r"(\d)(?:-(\d)(?:/(\d))?)?|\*/(\d)", item)
    if match is None:
        return item
    first, last = int(match[1] or 0), int(match[2] or match[1] or 6)
    step = int(match[3] or match[4] or 1)
    if step == 1 and first < last < len(_DAYS):
        return f"{_DAYS[first]}-{_DAYS[last]}"
    return ",".join(_DAYS[day % 7] for day in range(first, last + 1, max(step, 1)))
