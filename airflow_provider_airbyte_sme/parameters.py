"""Checks of operator and sensor arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError

# Seconds.
DEFAULT_TIMEOUT = 24 * 60 * 60.0


def resolve_deferrable(deferrable: bool | None) -> bool:
    """
    Return *deferrable*, or Airflow's ``[operators] default_deferrable`` if it is ``None``.

    As a default in a signature, that setting would make each import of this package read Airflow's
    whole configuration, which takes longer than the rest of the import.
    """
    if deferrable is not None:
        return deferrable
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def validate_uuid(value: str, name: str) -> str:
    """
    Return *value* in the form that Airbyte uses.

    :param name: Name of the parameter, for the message.
    :raises AirbyteConfigError: *value* is not a UUID.
    """
    try:
        return str(UUID(str(value).strip()))
    except ValueError:
        raise AirbyteConfigError(
            f"{name} must be the UUID of an Airbyte connection, as in the URL of its page, not "
            f"{value!r}."
        ) from None


def validate_job_id(value: int | str | Mapping[str, Any], name: str) -> int:
    """
    Return the job number.

    :param value: The number, or the result of a task with the key ``job_id``.
    :param name: Name of the parameter, for the message.
    :raises AirbyteConfigError: There is no number in *value*.
    """
    job_id = value.get("job_id") if isinstance(value, Mapping) else value
    try:
        return int(str(job_id).strip())
    except ValueError:
        raise AirbyteConfigError(
            f"{name} must be the number of an Airbyte job, or a task's result with a job_id, not "
            f"{value!r}: check that the upstream task pushed one."
        ) from None


def validate_choice(value: str, name: str, choices: tuple[str, ...]) -> None:
    """
    Reject an invalid value when the DAG is parsed.

    :raises ValueError: *value* is not one of *choices*.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}.")


def validate_seconds(value: float, name: str) -> float:
    """
    Reject an invalid duration when the DAG is parsed.

    :raises ValueError: *value* is not above 0.
    """
    if not value > 0:
        raise ValueError(f"{name} must be above 0 seconds, not {value!r}.")
    return float(value)
