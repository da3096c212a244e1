"""
Schedules of connections, as Quartz cron expressions in UTC: ``docs/airbyte-api.md`` §4.5.

The error messages are the server's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from airflow_provider_airbyte_sme.emulator.problems import ProblemError, bad_request

_MINUTES_PER_HOUR = 60
_MINUTES_PER_DAY = 24 * _MINUTES_PER_HOUR
_QUARTZ = "https://www.quartz-scheduler.org/documentation/quartz-2.3.0/tutorials/crontrigger.html"
_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_DAYS = "SUN|MON|TUE|WED|THU|FRI|SAT"
# Name, lowest and highest value, and a pattern for other values; the year is optional.
_FIELDS = (
    ("second", 0, 59, ""),
    ("minute", 0, 59, ""),
    ("hour", 0, 23, ""),
    ("day of month", 1, 31, r"\?|L|LW|\d+W|L-\d+"),
    ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, rf"\?|L|{_DAYS}|(?:\d|{_DAYS})L|(?:\d|{_DAYS})#\d"),
    ("year", 1970, 2099, ""),
)


def schedule_response(requested: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a requested schedule as responses show it; letters keep their case.

    :param requested: ``schedule`` of a request.
    :raises ProblemError: 400: the expression is missing or invalid, or its seconds are not a
        number; with seven fields, its minutes too.
    """
    if requested["scheduleType"] == "manual":
        return {"scheduleType": "manual"}
    given = requested.get("cronExpression")
    if given is None:
        raise bad_request("Missing cron expression in the schedule.")
    expression = given.replace("UTC", "").strip() if given.endswith("UTC") else given
    if error := _find_error(expression):
        raise bad_request(
            f"The cron expression {given} is not valid. Error: {error}. Please check the cron "
            f"expression format at {_QUARTZ}"
        )
    parts = expression.split()
    numbers = parts[:2] if len(parts) == len(_FIELDS) else parts[:1]
    if not all(number.isdecimal() for number in numbers):
        raise bad_request(
            f"The cron expression {given} is not valid or is less than the one hour minimum. "
            "The seconds and minutes values cannot be `*`."
        )
    return {"scheduleType": "cron", "cronExpression": f"{expression} UTC"}


def check_frequency(schedule: Mapping[str, Any], shortest: int) -> None:
    """
    Check that a schedule is not more frequent than the licence allows.

    Days are not considered: each counts as a day on which the schedule runs.

    :param schedule: As from :func:`schedule_response`.
    :param shortest: Shortest time between two runs, in minutes; 1 allows all.
    :raises ProblemError: 400.
    """
    if schedule["scheduleType"] != "cron" or shortest <= 1:
        return
    expression = schedule["cronExpression"].removesuffix(" UTC")
    if _shortest_interval(expression) < shortest:
        interval = "1 hour" if shortest == _MINUTES_PER_HOUR else f"{shortest} minutes"
        raise ProblemError(
            400,
            "Cron sync schedules more frequent than once per hour are not allowed",
            "Syncs",
            {
                "cronExpression": expression,
                "validationErrorMessage": f"Cron executions must be at least {interval} apart",
            },
            kind="error:cron-validation/under-one-hour-not-allowed",
        )


def _shortest_interval(expression: str) -> int:
    """Return the shortest time between two runs in minutes, as if every day had runs."""
    _, minutes, hours = (
        sorted(_values(part, lowest, highest))
        for part, (_, lowest, highest, _) in zip(expression.split()[:3], _FIELDS, strict=False)
    )
    runs = [hour * _MINUTES_PER_HOUR + minute for hour in hours for minute in minutes]
    return min(after - before for before, after in pairwise([*runs, runs[0] + _MINUTES_PER_DAY]))


def _values(part: str, lowest: int, highest: int) -> set[int]:
    """Return the values of a valid field of numbers."""
    values: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        start = lowest if first == "*" else int(first)
        end = int(last) if last else highest if first == "*" or step else start
        values.update(range(start, end + 1, int(step or 1)))
    return values


def _find_error(expression: str) -> str | None:
    parts = expression.split()
    if len(parts) not in (len(_FIELDS) - 1, len(_FIELDS)):
        return f"Cron expression contains {len(parts)} parts but we expect one of [6, 7]"
    for part, (name, lowest, highest, special) in zip(parts, _FIELDS, strict=False):
        for item in part.split(","):
            if not _is_valid(item, lowest, highest, special):
                return f"Invalid value {item} for field {name}"
    if (parts[3] == "?") == (parts[5] == "?"):
        return "Both, a day-of-week AND a day-of-month parameter, are not supported"
    return None


def _is_valid(item: str, lowest: int, highest: int, special: str) -> bool:
    if special and re.fullmatch(special, item, re.IGNORECASE):
        return True
    value, _, step = item.partition("/")
    if "/" in item and not step.isdecimal():
        return False
    if value == "*":
        return True
    for end in value.split("-", 1):
        is_word = special and re.fullmatch(special, end, re.IGNORECASE)
        if not is_word and not (end.isdecimal() and lowest <= int(end) <= highest):
            return False
    return True
