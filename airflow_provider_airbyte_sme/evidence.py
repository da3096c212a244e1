"""Whether a job that has succeeded moved as many rows as it should have."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, Self

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.history import FEWEST_JOBS, History
from airflow_provider_airbyte_sme.api.job_errors import AirbyteTooFewRowsError
from airflow_provider_airbyte_sme.api.job_reports import (
    closed_text,
    rows_text,
    streams_text,
)
from airflow_provider_airbyte_sme.api.models import Job, JobDetails
from airflow_provider_airbyte_sme.api.retry import is_closed, is_permanent
from airflow_provider_airbyte_sme.outcome import TrackedJob

log = logging.getLogger(__name__)

OnTooFewRows = Literal["fail", "skip", "warn"]


class RequiredRows(NamedTuple):
    """
    How many rows a job must have moved.

    :param min_rows: Lowest number of rows to accept; 0 accepts every job.
    :param min_rows_of: Likewise for single streams, by ``name`` or ``namespace.name``. A name that
        streams of several namespaces have is for each of them.
    :param on_too_few_rows: What to do when there are fewer, or when that cannot be told.
    :param usual: Why *min_rows* is what it is, if the last jobs decide that; for messages.
    :param unknown: Why nobody can tell how many rows are usual; ``None`` if nobody asks, or if that
        is known.
    """

    min_rows: int = 0
    min_rows_of: Mapping[str, int] = {}
    on_too_few_rows: OnTooFewRows = "fail"
    usual: str = ""
    unknown: AirbyteError | None = None

    def as_usual(self, tracked: TrackedJob, share: float, read: Callable[[Job], History]) -> Self:
        """
        Return the same with a *min_rows* that the last good jobs before *tracked* decide.

        It is 0, which accepts every job, if there are too few of them: that is a line in the log.

        :param share: The part of the median of their rows that is enough.
        :param read: Reads them, with their rows.
        """
        try:
            history = read(tracked.job)
        except AirbyteError as error:
            return self._replace(min_rows=0, unknown=error)
        known = sum(job.rows_synced is not None for job in history.jobs)
        median = history.usual_rows()
        if median is None:
            log.info(
                "%s: no number of rows is required, because min_rows='history' needs %d good jobs "
                "of this kind before it whose rows are known, and there are %d.",
                tracked,
                FEWEST_JOBS,
                known,
            )
            return self._replace(min_rows=0)
        if not median:
            log.info(
                "%s: no number of rows is required, because the median of its last %d good jobs is "
                "0 rows. If they did sync rows, Airbyte has no statistics of this connection.",
                tracked,
                known,
            )
        # A share such as 0.1 is not exact, and must not ask for one row more.
        least = math.ceil(round(median * share, 6))
        return self._replace(
            min_rows=least,
            usual=(
                f"min_rows='history' and min_rows_share={share:g}, the median of its last {known} "
                f"good jobs is {_number_text(median)} rows"
            ),
        )


def check_rows(
    tracked: TrackedJob, required: RequiredRows, read_details: Callable[[int], JobDetails]
) -> TrackedJob:
    """
    Check that a successful job synced data: Airbyte can report success without any.

    The 0 rows of the public API may mean that Airbyte has no statistics of the job
    (docs/airbyte-api.md §3.7.35), so the config API decides if the public number is too low. Rows
    that nobody has counted are no evidence of data, so they are too few.

    :param tracked: The job.
    :param required: What it must have moved.
    :param read_details: Reads from the config API, given the number of the job. It is called only
        if the public number does not suffice.
    :return: The same, with the number of rows that counted.
    :raises AirbyteTooFewRowsError: There are too few, with ``fail``.
    :raises AirflowFailException: Likewise, and a retry of the task could not tell either, because
        the rows of streams are in a config API that is closed.
    :raises AirflowSkipException: There are too few, with ``skip``.
    """
    min_rows_of = {name: least for name, least in required.min_rows_of.items() if least}
    rows = tracked.job.rows_synced
    is_hopeless = False
    if required.unknown is not None:
        _refuse(
            tracked, required, _incomparable(rows, required.unknown), is_permanent(required.unknown)
        )
    if not min_rows_of and (rows or 0) >= required.min_rows:
        return tracked
    try:
        details = read_details(tracked.job.job_id)
    except AirbyteError as error:
        shortage = _unverified(rows, required, min_rows_of, error)
        is_hopeless = bool(min_rows_of) and is_closed(error)
    else:
        # A public 0 may be no count at all.
        rows = max(filter(None, (rows, details.rows)), default=details.rows)
        if rows is not None:
            tracked = tracked.with_job(replace(tracked.job, rows_synced=rows))
        _tell_of_partial_success(tracked, details)
        shortage = _verified(rows, details, required, min_rows_of)
    if shortage:
        _refuse(tracked, required, shortage, is_hopeless)
    return tracked


def _refuse(tracked: TrackedJob, required: RequiredRows, shortage: str, is_hopeless: bool) -> None:
    """
    Apply *on_too_few_rows*.

    :param shortage: What is missing, and why, for the message.
    :param is_hopeless: Whether a retry of the task could not tell either.
    """
    message = f"{tracked} succeeded {shortage} {tracked.job_url}".rstrip()
    if required.on_too_few_rows == "skip":
        raise AirflowSkipException(message)
    if required.on_too_few_rows == "fail":
        too_few = AirbyteTooFewRowsError(message, job=tracked.job)
        if is_hopeless:
            raise AirflowFailException(message) from too_few
        raise too_few
    log.warning(message)


def _incomparable(rows: int | None, error: AirbyteError) -> str:
    """Return that nobody can tell how many rows are usual, and why."""
    return (
        f"with {rows_text(rows)}, and how many are usual cannot be told: {error} Give min_rows as "
        f"a number for a check that does not need the last jobs."
    )


def _verified(
    rows: int | None, details: JobDetails, required: RequiredRows, min_rows_of: Mapping[str, int]
) -> str:
    """Return what is missing according to the config API, and why; empty if nothing is."""
    of_all = _problems_of_all(rows, required)
    of_streams = [
        problem
        for name, least in min_rows_of.items()
        for problem in _problems_of_stream(details, name, least)
    ]
    if not of_all and not of_streams:
        return ""
    if rows is None:
        optional = " and ".join(
            name
            for name, is_short in (("min_rows", of_all), ("min_rows_of", of_streams))
            if is_short
        )
        reason = (
            f"Airbyte has no statistics of this job, so 0 rows of it prove nothing. See in its log "
            f"and in the destination whether data has arrived. If Airbyte never has statistics of "
            f"this connection, do without {optional}."
        )
    else:
        counts = (
            f" ({streams_text(details.streams)})" if details.streams else ", not of which stream"
        )
        reason = (
            f"Airbyte has statistics of this job, and they say {rows_text(rows)}{counts}. Check "
            f"whether its source produced data."
        )
    return f"{', and '.join([*of_all, *of_streams])}: {reason}{_advice(of_all, required)}"


def _unverified(
    rows: int | None,
    required: RequiredRows,
    min_rows_of: Mapping[str, int],
    error: AirbyteError,
) -> str:
    """Return what is missing according to the public API, or cannot be told without the other."""
    of_all = _problems_of_all(rows, required)
    of_streams = [
        f"with an unknown number of rows of stream {name!r}, of which min_rows_of wants {least:,}"
        for name, least in min_rows_of.items()
    ]
    reasons = []
    if of_all and not rows:
        reasons.append(
            "Airbyte reports 0 rows also when it has no statistics of a job, and which of the two "
            "it is, only its config API says"
        )
    if of_streams:
        reasons.append("the rows of a stream are in Airbyte's config API only")
    if not reasons:
        advice = _advice(of_all, required)
        return f"{of_all[0]}: check whether its source produced data.{advice}"
    cannot = closed_text(error) if is_closed(error) else f"It does not say so: {error}"
    return (
        f"{', and '.join([*of_all, *of_streams])}: {', and '.join(reasons)}. {cannot} See in the "
        f"job's log and in the destination whether data has arrived."
    )


def _problems_of_stream(details: JobDetails, name: str, least: int) -> Iterator[str]:
    found = [stream for stream in details.streams if name in (stream.name, stream.full_name)]
    if not found:
        yield f"with no row count of stream {name!r}, of which min_rows_of wants {least:,}"
    for stream in found:
        if (stream.rows or 0) < least:
            yield (
                f"with {rows_text(stream.rows)} of stream {stream.full_name!r}, fewer than "
                f"min_rows_of={least:,}"
            )


def _tell_of_partial_success(tracked: TrackedJob, details: JobDetails) -> None:
    for attempt in details.attempts:
        if attempt.has_partial_success:
            log.info(
                "%s: attempt %d of %d failed after it had committed %s.",
                tracked,
                attempt.number + 1,
                len(details.attempts),
                "rows" if attempt.rows is None else rows_text(attempt.rows),
            )


def _problems_of_all(rows: int | None, required: RequiredRows) -> list[str]:
    if (rows or 0) >= required.min_rows:
        return []
    least = f"{required.min_rows:,} ({required.usual})" if required.usual else ""
    return [f"with {rows_text(rows)}, fewer than {least or f'min_rows={required.min_rows:,}'}"]


def _advice(of_all: Sequence[str], required: RequiredRows) -> str:
    return " If so few are right, lower min_rows_share." if of_all and required.usual else ""


def _number_text(number: float) -> str:
    """Return a median: a whole number, or one and a half."""
    return f"{number:,.0f}" if number.is_integer() else f"{number:,.1f}"
