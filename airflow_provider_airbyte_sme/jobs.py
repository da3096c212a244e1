"""What operators and sensors do alike with a job, at Airflow's edge."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from uuid import UUID

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteError,
    AirbyteTooFewRowsError,
    Job,
)
from airflow_provider_airbyte_sme.api.retry import is_permanent

log = logging.getLogger(__name__)

OnTooFewRows = Literal["fail", "skip", "warn"]

DEFAULT_POLL_INTERVAL = 10.0
DEFAULT_TIMEOUT = 24 * 60 * 60.0


def is_deferrable(given: bool | None) -> bool:
    """
    Return *given*, or Airflow's ``[operators] default_deferrable``.

    Not as a default in a signature: to import this package would read all of Airflow's
    configuration, which takes longer than everything else in it.
    """
    if given is not None:
        return given
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


@contextmanager
def failing_fast() -> Iterator[None]:
    """
    Fail the task at once on what a retry cannot cure, instead of burning its retries.

    :raises AirflowFailException: For wrong configuration, 400, 403, 404 and the like.
    """
    try:
        yield
    except AirbyteError as error:
        if is_permanent(error):
            raise AirflowFailException(str(error)) from error
        raise


def checked_uuid(value: str, name: str) -> str:
    """
    Return *value* in the form that Airbyte compares.

    :param name: Of the parameter, for the message.
    :raises AirbyteConfigError: It is no UUID.
    """
    try:
        return str(UUID(str(value).strip()))
    except ValueError:
        raise AirbyteConfigError(
            f"{name} should be the UUID of an Airbyte connection, as in the URL of its page, "
            f"not {value!r}."
        ) from None


def checked_choice(value: str, name: str, choices: tuple[str, ...]) -> None:
    """
    Refuse a parameter when the DAG is parsed, not at 3 a.m.

    :raises ValueError: *value* is none of *choices*.
    """
    if value not in choices:
        raise ValueError(f"{name} should be one of {', '.join(map(repr, choices))}, not {value!r}.")


def checked_seconds(value: float, name: str) -> float:
    """
    Refuse a duration when the DAG is parsed.

    :raises ValueError: *value* is not above 0.
    """
    if not value > 0:
        raise ValueError(f"{name} should be above 0 seconds, not {value!r}.")
    return float(value)


def check_rows(job: Job, min_rows: int, on_too_few_rows: OnTooFewRows) -> None:
    """
    Ask a job that succeeded for evidence: Airbyte is known to report success without data.

    :param min_rows: Fewest rows that count as data; 0 asks for nothing.
    :param on_too_few_rows: What to do about fewer.
    :raises AirbyteTooFewRowsError: There are fewer, with ``fail``.
    :raises AirflowSkipException: Likewise, with ``skip``.
    """
    rows = job.rows_synced or 0
    if rows >= min_rows:
        return
    counted = "no row count" if job.rows_synced is None else f"{rows:,} rows"
    message = (
        f"Job {job.job_id} of connection {job.connection_id} succeeded with {counted}, fewer than "
        f"min_rows={min_rows:,}: look whether its source has delivered."
    )
    if on_too_few_rows == "warn":
        log.warning(message)
    elif on_too_few_rows == "skip":
        raise AirflowSkipException(message)
    else:
        raise AirbyteTooFewRowsError(message, job=job)


def job_result(job: Job, job_url: str) -> dict[str, Any]:
    """
    Return what a task passes on: plain values, the same keys in every mode.

    ``started_at`` and ``ended_at`` are ISO-8601 in UTC, ``duration_seconds`` a number.
    """
    return {
        "job_id": job.job_id,
        "status": job.status,
        "job_type": job.job_type,
        "connection_id": job.connection_id,
        "rows_synced": job.rows_synced,
        "bytes_synced": job.bytes_synced,
        "started_at": job.started_at.isoformat(),
        "ended_at": None if job.last_updated_at is None else job.last_updated_at.isoformat(),
        "duration_seconds": None if job.duration is None else job.duration.total_seconds(),
        "adopted": job.adopted,
        "job_url": job_url,
    }
