"""
Airflow metrics of jobs: docs/data-aware.md has the table.

They go the way of Airflow's own metrics. None is sent unless Airflow's configuration switches
metrics on, and none that cannot be sent fails a task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.errors import one_line
from airflow_provider_airbyte_sme.api.scrubbing import scrub

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.api.models import Job, JobDetails
    from airflow_provider_airbyte_sme.outcome import TrackedJob

log = logging.getLogger(__name__)

PREFIX = "airbyte_sme.job."
# Each switches one way on in which Airflow sends metrics: section [metrics].
_SWITCHES = ("statsd_on", "statsd_datadog_enabled", "otel_on")


def are_on() -> bool:
    """Whether Airflow sends metrics."""
    # Late, as in `resolve_deferrable`.
    from airflow.providers.common.compat.sdk import conf

    return any(conf.getboolean("metrics", switch, fallback=False) for switch in _SWITCHES)


def measure_end(tracked: TrackedJob, details: JobDetails | None, tags: Mapping[str, str]) -> None:
    """
    Send what is known of a job that has ended.

    Rows and bytes are counters, so that sums over time and over connections are right, also where
    metrics have no tags. What Airbyte does not say is not sent.

    :param details: What the config API knows of the job; ``None`` if it does not say.
    :param tags: Those of the task.
    """
    job = tracked.job

    def send(stats: Any, of_job: dict[str, str]) -> None:
        stats.incr(f"{PREFIX}finished", tags=of_job)
        for name, lasted in (("duration", job.duration), ("queued", _queued(job, details))):
            # Clocks of two servers may make them negative.
            if lasted is not None and lasted >= timedelta():
                stats.timing(f"{PREFIX}{name}", lasted, tags=of_job)
        for name, count in (("rows_synced", job.rows_synced), ("bytes_synced", job.bytes_synced)):
            if count is not None:
                stats.incr(f"{PREFIX}{name}", count, tags=of_job)

    _send(send, job, tags)


def count_slow(tracked: TrackedJob, tags: Mapping[str, str]) -> None:
    """
    Count a job of which an alarm tells that it is slow.

    :param tags: Those of the task.
    """
    _send(lambda stats, of_job: stats.incr(f"{PREFIX}slow", tags=of_job), tracked.job, tags)


def _queued(job: Job, details: JobDetails | None) -> timedelta | None:
    """Return how long the job waited for its first attempt; ``None`` if that is unknown."""
    if job.started_at is None or details is None or not details.attempts:
        return None
    began = details.attempts[0].created_at
    return None if began is None else began - job.started_at


def _send(send: Callable[[Any, dict[str, str]], None], job: Job, tags: Mapping[str, str]) -> None:
    try:
        # Late: only few processes send metrics.
        from airflow.providers.common.compat.sdk import Stats

        of_job = {
            "job_type": job.job_type or "unknown",
            "status": job.status,
            "connection_id": job.connection_id,
        }
        send(Stats, {**of_job, **tags})
    # Whatever a metrics client raises.
    except Exception as error:
        log.info(
            "The metrics of %s are not sent. %s: %s",
            job.describe(),
            type(error).__name__,
            one_line(scrub(str(error))),
        )
