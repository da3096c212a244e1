"""How fields of JSON bodies are read, and how messages name a resource."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from airflow_provider_airbyte_sme.api.errors import AirbyteDecodeError, excerpt

T = TypeVar("T")

# What Airbyte sends (docs/airbyte-api.md §3.1). The standard library reads these with the same
# result as pendulum. With pendulum, they would take most of the time for a page of 100 jobs. Hour
# 24 is left to pendulum, because newer Pythons accept it.
_INSTANT = r"(?a)\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d(?::\d\d(?:\.\d{1,9})?)?Z"
_DURATION = r"(?a)PT(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?"


def label(resource_id: str, name: str = "") -> str:
    """Return how messages name a resource: by its name, where known, and its id."""
    return f"{name!r} ({resource_id})" if name else resource_id


def mapping(payload: Any, what: str) -> Mapping[str, Any]:
    """
    Return *payload* if it is a JSON object.

    :param what: What it should be, for the message.
    :raises AirbyteDecodeError: It is something else.
    """
    if not isinstance(payload, Mapping):
        raise AirbyteDecodeError(f"{what} must be a JSON object, not {type(payload).__name__}")
    return payload


def required(fields: Mapping[str, Any], name: str, field_type: type[T]) -> T:
    """
    Return a field that must be there.

    :raises AirbyteDecodeError: It is missing or has the wrong type.
    """
    value = fields.get(name)
    if value is None:
        raise AirbyteDecodeError(f"field {name!r} is missing")
    if not _is(value, field_type):
        # Without the value, which may be long and contain anything.
        raise AirbyteDecodeError(
            f"field {name!r} must be {field_type.__name__}, not {type(value).__name__}"
        )
    return cast("T", value)


def readable(fields: Mapping[str, Any], name: str, field_type: type[T]) -> T | None:
    """Return a field that is only information; ``None`` if it cannot be read."""
    value = fields.get(name)
    return cast("T", value) if _is(value, field_type) else None


def entries(value: Any) -> Sequence[Any]:
    """Return a list of any items; empty if it is missing or something else."""
    return value if isinstance(value, list) else ()


def strings(value: Any) -> tuple[str, ...]:
    """Return the texts in a list; what is unreadable is left out."""
    return tuple(each for each in entries(value) if isinstance(each, str))


def _is(value: object, field_type: type) -> bool:
    return isinstance(value, field_type) and not isinstance(value, bool)


def job_number(fields: Mapping[str, Any], name: str = "jobId") -> int:
    """Return the id; some JSON encoders write an int64 as a string, to keep it exact."""
    value = fields.get(name)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        return int(value)
    return required(fields, name, int)


def inner(value: Any, name: str) -> Any:
    """Return a field of a value of any type: the config API may change."""
    return value.get(name) if isinstance(value, dict) else None


def line(fields: Mapping[str, Any], name: str, secrets: Iterable[str] = ()) -> str:
    """
    Return a text of a connector, which may quote secrets; empty if it cannot be read.

    :param secrets: As for :func:`.scrubbing.scrub`.
    """
    return excerpt(readable(fields, name, str) or "", secrets)


def timestamp(fields: Mapping[str, Any], name: str) -> datetime | None:
    """Return a field as an instant in UTC; ``None`` if it cannot be read."""
    text = readable(fields, name, str) or ""
    if re.fullmatch(_INSTANT, text):
        with suppress(ValueError):
            return datetime.fromisoformat(text)
    at = _parsed(text)
    if isinstance(at, datetime):
        with suppress(OverflowError):
            utc = at.astimezone(UTC)
            # Plain: pendulum's class drops the zone when a duration is added.
            return datetime.combine(utc.date(), utc.time(), UTC)
    return None


def instant(fields: Mapping[str, Any], name: str, *, per_second: int = 1) -> datetime | None:
    """
    Return a field as an instant in UTC; ``None`` if it cannot be read.

    :param per_second: The units of the field, counted from the epoch, in one second.
    """
    units = readable(fields, name, int)
    if units is not None:
        with suppress(OverflowError, ValueError, OSError):
            return datetime.fromtimestamp(units / per_second, UTC)
    return None


def duration_of(fields: Mapping[str, Any], name: str) -> timedelta | None:
    """Return a field as a duration; ``None`` if it cannot be read."""
    text = readable(fields, name, str) or ""
    if match := re.fullmatch(_DURATION, text):
        hours, minutes, seconds = (int(digits or 0) for digits in match.groups())
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)
    # A negative one, as in PT-1S, is no ISO-8601: docs/airbyte-api.md §3.1.8.
    lasted = _parsed(text)
    return timedelta(seconds=lasted.total_seconds()) if isinstance(lasted, timedelta) else None


def _parsed(text: str) -> object:
    """Parse any ISO-8601 value; ``None`` if it is invalid."""
    # Late: Airflow has loaded pendulum already, and the emulator starts 0.1 s faster without it.
    import pendulum

    # pendulum reads "now" and a bare "PT" too, crashes on an incomplete interval, and lets a number
    # of more digits than any clock produces wrap around.
    if "/" in text or not re.search(r"\d", text) or re.search(r"\d{10}", text):
        return None
    try:
        return pendulum.parse(text, exact=True)
    except (ValueError, TypeError, OverflowError):
        return None
