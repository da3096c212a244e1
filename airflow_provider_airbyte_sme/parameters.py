"""
Checks of operator and sensor arguments.

An argument is checked when the DAG is parsed. A template is checked after Airflow has rendered it,
before the first request of the task.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar
from uuid import UUID

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError, one_line
from airflow_provider_airbyte_sme.api.resources.job_starts import StreamId
from airflow_provider_airbyte_sme.literals import parse_literal

T = TypeVar("T")

# Seconds.
DEFAULT_TIMEOUT = 24 * 60 * 60.0

Seconds = timedelta | float | str
"""A duration: a ``timedelta``, a number of seconds, or text with such a number."""

Instant = datetime | str
"""An instant: a ``datetime``, or ISO-8601 text; without a time zone, Airflow's default one."""

Usual = Literal["history"]
USUAL: Usual = "history"
"""The value of a limit that the last good jobs of a connection decide: see :mod:`.api.history`."""

_MAX_SECONDS = timedelta.max.total_seconds()
_JOB_ID_KEYS = ("job_id", "jobId")
_MAX_JOB_ID = 2**63 - 1


def is_template(value: object) -> bool:
    """Whether Airflow replaces *value* before the task runs: Jinja, or the output of a task."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return hasattr(value, "iter_references")


def check_unless_template(check: Callable[[Any, str], T], value: Any, name: str) -> T:
    """
    Return the result of *check*; a template unchanged.

    The type is the one that the value has once Airflow has rendered it and *check* has passed.
    """
    return value if is_template(value) else check(value, name)


def resolve_deferrable(deferrable: bool | None) -> bool:
    """
    Return *deferrable*, or Airflow's ``[operators] default_deferrable`` if it is ``None``.

    As a default in a signature, that setting would make each import of this package read Airflow's
    whole configuration, which takes longer than the rest of the import.

    :raises AirbyteConfigError: It is something else.
    """
    if deferrable is not None:
        return validate_flag(deferrable, "deferrable")
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def validate_flag(value: object, name: str) -> bool:
    """
    Return *value*, which must be a ``bool``: the text "false" would count as true.

    :param name: Name of the parameter, for the message. Likewise in the other functions.
    :raises AirbyteConfigError: It is something else.
    """
    if not isinstance(value, bool):
        raise AirbyteConfigError(f"{name} must be True or False, not {value!r}.")
    return value


def validate_confirmation(value: object, name: str, deleted: str) -> None:
    """
    Check that somebody has confirmed that something is deleted.

    :param value: ``True``, or its text, because Jinja renders a value as text.
    :param deleted: What is deleted.
    :raises AirbyteConfigError: It is something else.
    """
    if value is not True and str(value).strip() not in ("True", "true"):
        raise AirbyteConfigError(
            f"{name} is {value!r}, so nothing was deleted: {name}=True deletes {deleted}."
        )


def validate_choice(value: str, name: str, choices: tuple[str, ...]) -> None:
    """
    Reject an invalid value when the DAG is parsed.

    :raises AirbyteConfigError: *value* is not one of *choices*.
    """
    if value not in choices:
        raise AirbyteConfigError(
            f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}."
        )


def validate_conn_id(value: object, name: str) -> str:
    """
    Return the id of an Airflow connection without surrounding whitespace.

    :raises AirbyteConfigError: *value* is empty, as a template without a value is.
    """
    text = value.strip() if isinstance(value, str) else ""
    if text in ("", "None"):
        raise AirbyteConfigError(f"{name} must be the id of an Airflow connection, not {value!r}.")
    return text


def validate_uuid(value: object, name: str, what: str = "connection") -> str:
    """
    Return *value* in the form that Airbyte uses: lower case with hyphens.

    :param what: Whose UUID it is.
    :raises AirbyteConfigError: *value* is not a UUID.
    """
    try:
        return str(UUID(str(value).strip()))
    except ValueError:
        raise AirbyteConfigError(
            f"{name} must be the UUID of an Airbyte {what}, as in the URL of its page, not "
            f"{value!r}."
        ) from None


def validate_name(value: object, name: str) -> str:
    """
    Return the name of something in Airbyte, unchanged.

    :raises AirbyteConfigError: *value* is empty, as a template without a value is.
    """
    if not isinstance(value, str) or is_blank(value):
        raise AirbyteConfigError(f"{name} must be a name in Airbyte, not {value!r}.")
    return value


def validate_dataset_namespace(value: object, name: str) -> str:
    """
    Return where tables are, as OpenLineage writes it, without a slash at its end.

    :param value: Such as ``postgres://warehouse.example.com:5432``, or ``bigquery``.
    :raises AirbyteConfigError: *value* is empty, as a template without a value is.
    """
    text = value.strip().rstrip("/") if isinstance(value, str) else ""
    if text in ("", "None") or re.fullmatch(r"[A-Za-z0-9+.-]+:", text):
        raise AirbyteConfigError(
            f"{name} must be where the tables are, such as postgres://warehouse.example.com:5432, "
            f"not {value!r}."
        )
    return text


def validate_names(value: object, name: str) -> tuple[str, ...]:
    """
    Return names, each once.

    :param value: A list of names; or the text of one, or a single name, because Jinja renders a
        value as text.
    :raises AirbyteConfigError: *value* is empty, or something else.
    """
    elements = _elements(value)
    if not elements or not all(isinstance(each, str) and each.strip() for each in elements):
        raise AirbyteConfigError(
            f"{name} must be a list of names, not {one_line(repr(value))}: leave it out for all."
        )
    return tuple(dict.fromkeys(elements))


def validate_streams(value: object, name: str) -> tuple[StreamId, ...]:
    """
    Return name and namespace of streams, each once.

    :param value: A list of names, or of dicts with ``name`` and ``namespace``; or the text of one,
        or a single name.
    :return: The namespace is ``None`` where only the name is given.
    :raises AirbyteConfigError: *value* is empty, or something else. Empty must not mean all.
    """
    try:
        streams = tuple(dict.fromkeys(_stream_id(each) for each in _elements(value)))
    except ValueError:
        streams = ()
    if not streams:
        raise AirbyteConfigError(
            f'{name} must be a list of stream names, or of {{"name": ..., "namespace": ...}}, not '
            f"{one_line(repr(value))}: leave it out for all streams."
        )
    return streams


def _stream_id(element: Any) -> StreamId:
    fields = element if isinstance(element, Mapping) else {"name": element}
    name, namespace = fields.get("name"), fields.get("namespace")
    if not isinstance(name, str) or not name.strip() or not isinstance(namespace, str | None):
        raise ValueError("a stream without a name")
    if not fields.keys() <= {"name", "namespace"}:
        raise ValueError("a stream with other fields")
    return name, namespace or None


def _elements(value: Any) -> Sequence[Any]:
    """Return the elements of a list, or of the text of one; any other value as the only element."""
    if isinstance(value, str):
        with suppress(ValueError):
            parsed = parse_literal(value)
            # A stream or tag may be named like a number.
            value = value if isinstance(parsed, int | float) else parsed
    if value is None or value == "":
        return ()
    is_list = isinstance(value, Sequence | Set) and not isinstance(value, str | bytes)
    return tuple(value) if is_list else (value,)


def is_blank(value: object) -> bool:
    """Whether a template was rendered to nothing."""
    return value is None or (isinstance(value, str) and value.strip() in ("", "None"))


def check_one_is_given(**ways: object) -> None:
    """
    Check when the DAG is parsed that one of several parameters is given, and no other.

    Of several templates, all but one may be rendered to nothing: :func:`given_one` checks that.

    :param ways: The parameters, which exclude each other. ``None``: not given.
    :raises AirbyteConfigError: None of them is given, or several are.
    """
    given = [name for name, value in ways.items() if value is not None]
    if not given or (len(given) > 1 and not any(is_template(ways[name]) for name in given)):
        raise _not_one(given, ways)


def given_one(**ways: object) -> str:
    """
    Return which of several rendered parameters is given.

    :param ways: As for :func:`check_one_is_given`.
    :raises AirbyteConfigError: None of them is given, or several are.
    """
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        given = [name for name in given if not is_blank(ways[name])]
    if len(given) != 1:
        raise _not_one(given, ways)
    return given[0]


def _not_one(given: Sequence[str], ways: Mapping[str, object]) -> AirbyteConfigError:
    found = f"but {' and '.join(given)} are" if given else "but none of them is"
    return AirbyteConfigError(f"One of {', '.join(ways)} must be given, {found}.")


def validate_seconds(value: object, name: str) -> float:
    """
    Return a duration in seconds.

    :param value: See :data:`Seconds`.
    :raises AirbyteConfigError: It is not a finite duration above 0.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else _number(value)
    if not 0 < seconds <= _MAX_SECONDS:
        raise AirbyteConfigError(
            f"{name} must be a number of seconds above 0, or a timedelta, not {value!r}."
        )
    return seconds


def validate_slow_after(value: object, name: str) -> float | Usual | None:
    """
    Return after how many seconds a job is slow, or :data:`USUAL`; ``None``: never.

    :param value: See :data:`Seconds`; or ``history``; or nothing, as a template may be rendered to.
    :raises AirbyteConfigError: It is something else.
    """
    if is_blank(value):
        return None
    if _is_usual(value):
        return USUAL
    with suppress(AirbyteConfigError):
        return validate_seconds(value, name)
    raise AirbyteConfigError(
        f"{name} must be a number of seconds above 0, a timedelta, or {USUAL!r} for what is usual "
        f"by the last syncs, not {value!r}."
    )


def validate_min_rows(value: object, name: str) -> int | Usual:
    """
    Return the lowest number of rows to accept, or :data:`USUAL`.

    :param value: As for :func:`validate_count`, or ``history``.
    :raises AirbyteConfigError: It is something else.
    """
    if _is_usual(value):
        return USUAL
    with suppress(AirbyteConfigError):
        return validate_count(value, name)
    raise AirbyteConfigError(
        f"{name} must be a whole number from 0, or {USUAL!r} for what is usual by the last syncs, "
        f"not {value!r}."
    )


def _is_usual(value: object) -> bool:
    return isinstance(value, str) and value.strip() == USUAL


def validate_factor(value: object, name: str) -> float:
    """
    Return how many times as much as usual.

    :param value: A number, or text with one.
    :raises AirbyteConfigError: It is not a finite number above 0.
    """
    factor = _number(value)
    if not 0 < factor < math.inf:
        raise AirbyteConfigError(f"{name} must be a number above 0, such as 1.5, not {value!r}.")
    return factor


def validate_share(value: object, name: str) -> float:
    """
    Return a part of what is usual.

    :param value: A number, or text with one.
    :raises AirbyteConfigError: It is not above 0 and at most 1.
    """
    share = _number(value)
    if not 0 < share <= 1:
        raise AirbyteConfigError(
            f"{name} must be above 0 and at most 1, such as 0.5 for a half, not {value!r}."
        )
    return share


def validate_instant(value: object, name: str) -> datetime:
    """
    Return an instant in UTC.

    :param value: See :data:`Instant`. A date is its midnight. What has no time zone is in
        Airflow's ``[core] default_timezone``, as the dates of a DAG are.
    :raises AirbyteConfigError: It is something else.
    """
    # A module, which mypy does not see.
    from airflow.providers.common.compat.sdk import timezone  # type: ignore[attr-defined]

    with suppress(ValueError, TypeError, OverflowError):
        if isinstance(value, str) and _is_date_and_time(value.strip()):
            value = timezone.parse(value.strip(), strict=True)
        if isinstance(value, datetime):
            if value.tzinfo is None:
                # Airflow would take a naive object of pendulum to be in the machine's own zone.
                value = datetime.combine(value.date(), value.time())
            instant: datetime = timezone.convert_to_utc(value)
            return instant
    hint = " Some runs have no logical date and no data interval." if is_blank(value) else ""
    raise AirbyteConfigError(
        f"{name} must be a datetime, or its ISO-8601 text such as 2026-03-25T01:30:00+01:00, not "
        f"{one_line(repr(value))}.{hint}"
    )


def _is_date_and_time(text: str) -> bool:
    """Whether *text* may be an instant: pendulum reads times, intervals and "now" too."""
    # It lets a number of more digits than any clock produces wrap around.
    begins_with_date = re.match(r"\d{4}-?\d{2}-?\d{2}(?!\d)", text)
    return begins_with_date is not None and "/" not in text and not re.search(r"\d{10}", text)


def validate_count(value: object, name: str) -> int:
    """
    Return a number of things.

    :param value: A whole number, or text with one.
    :raises AirbyteConfigError: It is not a whole number from 0.
    """
    number = _number(value)
    if not (number >= 0 and number.is_integer()):
        raise AirbyteConfigError(f"{name} must be a whole number from 0, not {value!r}.")
    return int(number)


def validate_counts(
    value: object, name: str, count: Callable[[Any, str], int] = validate_count
) -> dict[str, int]:
    """
    Return a number of things for each of several names.

    :param value: A dict from names to what :func:`validate_count` takes; or the text of one,
        because Jinja renders a value as text.
    :param count: What checks a number.
    :raises AirbyteConfigError: It is something else.
    """
    counts = value
    if isinstance(value, str):
        with suppress(ValueError):
            counts = parse_literal(value)
    if not isinstance(counts, Mapping) or any(
        not isinstance(key, str) or is_blank(key) for key in counts
    ):
        raise AirbyteConfigError(
            f'{name} must be a dict such as {{"users": 1}}, not {one_line(repr(value))}.'
        )
    return {key: count(number, f"{name}[{key!r}]") for key, number in counts.items()}


def check_counts(value: Any, name: str) -> dict[str, int]:
    """
    Check when the DAG is parsed what :func:`validate_counts` checks later, except in templates.

    The type is the one that the value has once Airflow has rendered it.

    :raises AirbyteConfigError: It, or a number in it, is invalid and is not a template.
    """
    return check_unless_template(
        lambda given, _: validate_counts(
            given, name, lambda number, of: check_unless_template(validate_count, number, of)
        ),
        value,
        name,
    )


def _number(value: Any) -> float:
    """Return *value* as a number; NaN if it is none."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def validate_job_id(value: object, name: str) -> int:
    """
    Return the job number, from every form in which a task or a template passes it on.

    :param value: The number; the result of a task with the key ``job_id``; a list that contains
        one of these; or the text of any of these, because Jinja renders a value as text.
    :raises AirbyteConfigError: *value* contains no job, or several.
    """
    try:
        job_ids = sorted(set(_job_ids(value)))
    except (ValueError, RecursionError):
        raise AirbyteConfigError(
            f"{name} must be the number of an Airbyte job, or a task's result with a job_id, not "
            f"{one_line(repr(value))}: check what the upstream task returned."
        ) from None
    if not job_ids:
        raise AirbyteConfigError(
            f"{name} is empty ({one_line(repr(value))}): the upstream task pushed no job, or was "
            f"skipped."
        )
    if len(job_ids) > 1:
        raise AirbyteConfigError(
            f"{name} contains {len(job_ids)} jobs ({one_line(', '.join(map(str, job_ids)))}), but "
            f"one task takes one: use one task for each, with .expand({name}=...)."
        )
    return job_ids[0]


def _job_ids(value: Any) -> Iterator[int]:
    """
    Yield every job number in *value*; none for ``None``, which a skipped task leaves.

    :raises ValueError: There is something else in *value*.
    """
    if value is None:
        return
    if isinstance(value, str):
        yield from _job_ids_in_text(value.strip())
    elif isinstance(value, Mapping):
        key = next((key for key in _JOB_ID_KEYS if key in value), None)
        if key is None:
            raise ValueError("a result without a job")
        yield from _job_ids(value[key])
    elif isinstance(value, Sequence | Set) and not isinstance(value, bytes):
        for element in value:
            yield from _job_ids(element)
    else:
        job_id = int(value) if _number(value).is_integer() else 0
        if not 0 < job_id <= _MAX_JOB_ID:
            raise ValueError("not a job number")
        yield job_id


def _job_ids_in_text(text: str) -> Iterator[int]:
    if text.isdecimal():  # the literal of a number has no leading zeros
        yield from _job_ids(int(text))
    elif text:
        yield from _job_ids(parse_literal(text))
