"""The event that passes from the triggerer to the worker."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteError,
    AirbyteJobTimeoutError,
    AirbyteSyncTimeoutError,
    AirbyteTransportError,
    Job,
    Ownership,
)
from airflow_provider_airbyte_sme.outcome import (
    JobEvent,
    Pace,
    TrackedJob,
    cancel_text,
    failing_fast,
)

JOB = Job(
    job_id=42,
    status="succeeded",
    job_type="sync",
    connection_id="18dccc91-0ab1-4f72-9ed7-0b8fc27c5826",
    started_at=datetime(2026, 3, 25, 1, 30, tzinfo=UTC),
    last_updated_at=datetime(2026, 3, 25, 1, 32, 0, 500_000, tzinfo=UTC),
    duration=timedelta(minutes=2, seconds=0.5),
    bytes_synced=15_360,
    rows_synced=1200,
)
RUNNING_JOB = replace(
    JOB, status="running", last_updated_at=None, duration=None, bytes_synced=None, rows_synced=None
)
CONNECTION = "'crm to lake' (18dccc91-0ab1-4f72-9ed7-0b8fc27c5826)"


def track(job: Job = JOB, ownership: Ownership = Ownership.STARTED) -> TrackedJob:
    return TrackedJob(
        job,
        ownership,
        deadline=1_774_409_400.5,
        job_url="https://airbyte.example.com/job/42",
        connection_name="crm to lake",
    )


def through_json(event: JobEvent) -> JobEvent:
    return JobEvent.from_payload(json.loads(json.dumps(event.to_payload())))


class TestTrackedJob:
    @pytest.mark.parametrize(
        ("ownership", "is_ours"),
        [(Ownership.STARTED, True), (Ownership.FOUND, True), (Ownership.FOREIGN, False)],
    )
    def test_started_and_found_jobs_are_ours(self, ownership, is_ours):
        tracked = track(ownership=ownership)

        assert tracked.is_ours is is_ours
        assert tracked.result()["adopted"] is not is_ours

    def test_the_result_has_plain_values(self):
        assert track().result() == {
            "job_id": 42,
            "status": "succeeded",
            "job_type": "sync",
            "connection_id": "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826",
            "rows_synced": 1200,
            "bytes_synced": 15_360,
            "started_at": "2026-03-25T01:30:00+00:00",
            "ended_at": "2026-03-25T01:32:00.500000+00:00",
            "duration_seconds": 120.5,
            "adopted": False,
            "job_url": "https://airbyte.example.com/job/42",
        }

    def test_the_result_of_a_running_job_has_the_same_keys(self):
        result = track(RUNNING_JOB).result()

        assert list(result) == list(track().result())
        assert result["ended_at"] is None
        assert result["duration_seconds"] is None

    def test_only_the_job_changes_when_it_is_read_again(self):
        tracked = track(RUNNING_JOB, Ownership.FOUND)

        assert tracked.with_job(JOB) == track(JOB, Ownership.FOUND)

    def test_its_text_names_job_and_connection(self):
        assert str(track()) == f"Job 42 of connection {CONNECTION}"


class TestJobEventRoundTrip:
    @pytest.mark.parametrize("ownership", list(Ownership))
    @pytest.mark.parametrize("job", [JOB, RUNNING_JOB], ids=["ended", "running"])
    def test_finished(self, job, ownership):
        event = JobEvent("finished", track(job, ownership))

        assert through_json(event) == event

    def test_timeout(self):
        event = JobEvent("timeout", track(RUNNING_JOB), message="Job 42 is still running.")

        assert through_json(event) == event

    def test_timeout_without_job(self):
        event = JobEvent("timeout", message="No sync of connection 18dc completed.")

        assert through_json(event) == event

    @pytest.mark.parametrize("permanent", [True, False])
    def test_error(self, permanent):
        event = JobEvent("error", message="Airbyte is gone.", permanent=permanent)

        assert through_json(event) == event

    @pytest.mark.parametrize("usual_duration", [900.0, None])
    def test_slow(self, usual_duration):
        pace = Pace(1_774_402_200.0, usual_duration)
        event = JobEvent("slow", track(RUNNING_JOB), "slow_after=1 h 0 min", pace=pace)

        assert through_json(event) == event

    def test_no_url_and_no_name(self):
        event = JobEvent("finished", TrackedJob(JOB, Ownership.FOREIGN, deadline=0.0))

        assert through_json(event) == event


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        "finished",
        {"outcome": "success"},
        {"outcome": None},
        {"outcome": "finished"},
        {"outcome": "finished", "job": None},
    ],
    ids=[
        "None",
        "empty",
        "text",
        "unknown outcome",
        "null outcome",
        "finished without job",
        "null job",
    ],
)
def test_a_lost_event_is_not_a_success(payload):
    with pytest.raises(ValueError, match="the trigger sent"):
        JobEvent.from_payload(payload)


def test_an_unknown_ownership_is_rejected():
    payload = {**JobEvent("finished", track()).to_payload(), "ownership": "borrowed"}

    with pytest.raises(ValueError, match="borrowed"):
        JobEvent.from_payload(payload)


class TestOutcome:
    def test_finished_returns_the_job(self):
        event = JobEvent("finished", track())

        assert event.ended_job() == event.last_read_job() == track()

    def test_timeout_raises_with_the_job_as_last_read(self):
        event = JobEvent("timeout", track(RUNNING_JOB), message="Job 42 is still running.")

        assert event.last_read_job() == track(RUNNING_JOB)
        with pytest.raises(AirbyteJobTimeoutError, match=r"Job 42 is still running\.") as failure:
            event.ended_job()
        assert failure.value.job == RUNNING_JOB

    def test_an_alarm_is_not_the_end_of_a_job(self):
        event = JobEvent("slow", track(RUNNING_JOB), "60 s", pace=Pace(0.0))

        with pytest.raises(ValueError, match="has not ended: the wait for it goes on"):
            event.ended_job()

    @pytest.mark.parametrize("method", [JobEvent.ended_job, JobEvent.last_read_job])
    def test_timeout_without_job_raises_another_error(self, method):
        event = JobEvent("timeout", message="No sync of connection 18dc completed.")

        with pytest.raises(AirbyteSyncTimeoutError, match=r"^No sync of connection 18dc"):
            method(through_json(event))

    @pytest.mark.parametrize("method", [JobEvent.ended_job, JobEvent.last_read_job])
    def test_a_transient_error_keeps_the_retries_of_the_task(self, method):
        event = JobEvent("error", message="gone for 10 min")

        with pytest.raises(AirbyteError, match="gone for 10 min"):
            method(through_json(event))

    @pytest.mark.parametrize("method", [JobEvent.ended_job, JobEvent.last_read_job])
    def test_a_permanent_error_fails_the_task_at_once(self, method):
        event = JobEvent("error", message="unknown job", permanent=True)

        with pytest.raises(AirflowFailException, match="unknown job"):
            method(through_json(event))


class TestCancelText:
    """It says what became of the job, not what was tried."""

    @pytest.mark.parametrize(
        ("status", "text"),
        [
            ("cancelled", "It was cancelled."),
            ("succeeded", "It had ended before it could be cancelled: succeeded."),
            ("failed", "It had ended before it could be cancelled: failed."),
            (
                "running",
                "It is still running although its cancellation was requested: cancel it by hand.",
            ),
            (
                "incomplete",
                "It is still incomplete although its cancellation was requested: cancel it by "
                "hand.",
            ),
        ],
    )
    def test_it_names_the_status(self, status, text):
        assert cancel_text(replace(JOB, status=status)) == text


class TestFailingFast:
    def test_a_permanent_error_fails_the_task_at_once(self):
        error = AirbyteConfigError("Host is empty.")

        with (
            pytest.raises(AirflowFailException, match=r"Host is empty\.") as failure,
            failing_fast(),
        ):
            raise error

        assert failure.value.__cause__ is error

    @pytest.mark.parametrize(
        "error",
        [AirbyteTransportError("no response", request_sent=True), ValueError("another error")],
        ids=["transient", "foreign"],
    )
    def test_every_other_error_is_raised_unchanged(self, error):
        with pytest.raises(type(error)) as failure, failing_fast():
            raise error

        assert failure.value is error
