"""
Schedules of connections, as Quartz cron expressions in UTC: ``docs/airbyte-api.md`` §4.5.

The error messages are the server's. Minutes must be a number here; the server accepts ``*/15``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_airbyte_sme.emulator.problems import bad_request

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
    Return a requested schedule as responses show it.

    :param requested: ``schedule`` of a request.
    :raises ProblemError: 400: the expression is missing or invalid, or its seconds or minutes are
        not numbers.
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
    seconds, minutes = expression.split()[:2]
    if not (seconds.isdecimal() and minutes.isdecimal()):
        raise bad_request(
            f"The cron expression {given} is not valid or is less than the one hour minimum. "
            "The seconds and minutes values cannot be `*`."
        )
    return {"scheduleType": "cron", "cronExpression": f"{expression} UTC"}


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
