"""Waits for jobs and syncs of one connection."""

from __future__ import annotations

from airflow_provider_airbyte_sme.api import Job
from airflow_provider_airbyte_sme.api.waiting import Wait
from airflow_provider_airbyte_sme.api.waiting.watches import JobWatch, SyncWatch
from tests.unit.api.waiting.simulated_airbyte import instant

CONNECTION = "c1"


def job_watch(job_id: int, **wait: float) -> JobWatch:
    return JobWatch(Job(job_id, "running", CONNECTION), make_wait(**wait))


def sync_watch(since: float, *, fail_on_failed_sync: bool = False, **wait: float) -> SyncWatch:
    return SyncWatch(
        CONNECTION, instant(since), make_wait(**wait), fail_on_failed_sync=fail_on_failed_sync
    )


def make_wait(
    began: float = 0.0,
    poll_interval: float = 5.0,
    timeout: float = 7200.0,
    failure_budget: float = 600.0,
) -> Wait:
    return Wait(began, poll_interval, timeout, failure_budget)
