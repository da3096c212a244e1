"""Lists of jobs that do not show everything, and changes that are seen late."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_airbyte_sme.api.errors import AirbyteRequestTimeoutError
from airflow_provider_airbyte_sme.api.http import HttpRequest, run_blocking
from tests.emulator.conftest import BASE, ok


def listed(caller, **query):
    return [job["jobId"] for job in ok(caller.get("/jobs", **query))["data"]]


class TestHiddenJobs:
    def test_a_hidden_job_can_only_be_read_by_its_id(self, emulator, caller):
        other = emulator.start_sync(emulator.add_connection())
        hidden = emulator.start_sync()

        emulator.job_lists.hide(hidden)

        assert caller.job(hidden)["status"] == "running"
        assert listed(caller) == [other]
        assert listed(caller, connectionId=emulator.connection_id) == []
        assert listed(caller, status="running", orderBy="updatedAt|DESC") == [other]
        emulator.finish_job(hidden)
        assert caller.job(hidden)["status"] == "succeeded"
        emulator.job_lists.show(hidden)
        assert listed(caller) == [other, hidden]

    def test_pages_have_no_gap_where_a_job_is_hidden(self, emulator, caller):
        jobs = [emulator.start_sync(emulator.add_connection()) for _ in range(5)]

        emulator.job_lists.hide(jobs[1])

        assert listed(caller, limit=2) == [jobs[0], jobs[2]]
        assert listed(caller, limit=2, offset=2) == jobs[3:]


class TestIgnoredParameters:
    def test_a_list_without_filters_and_order_has_the_oldest_jobs_first(self, emulator, caller):
        old, new = emulator.start_sync(), emulator.start_sync(emulator.add_connection())
        emulator.advance(30)
        emulator.finish_job(old)
        query = {
            "updatedAtStart": (emulator.now - timedelta(seconds=5)).isoformat(),
            "orderBy": "updatedAt|DESC",
        }

        emulator.job_lists.ignore("updatedAtStart")
        assert listed(caller, **query) == [old, new]
        emulator.job_lists.ignore("updatedAtStart", "orderBy")
        assert listed(caller, **query) == [old, new]
        emulator.job_lists.ignore("orderBy")
        assert listed(caller, **query) == [old]
        assert listed(caller, orderBy="createdAt|DESC") == [old, new]
        emulator.job_lists.ignore()
        assert listed(caller, orderBy="createdAt|DESC") == [new, old]

    def test_an_ignored_parameter_may_have_any_value(self, emulator, caller):
        emulator.job_lists.ignore("updatedAtStart", "status")

        assert listed(caller, updatedAtStart="yesterday", status="done") == []

    def test_only_parameters_of_the_list_can_be_ignored(self, emulator):
        with pytest.raises(ValueError, match=r"no parameter updatedStart that .*updatedAtStart"):
            emulator.job_lists.ignore("updatedStart")
        assert emulator.job_lists.ignored == frozenset()


def test_lists_can_lack_counters_that_the_job_itself_has(emulator, caller):
    emulator.finish_job(emulator.start_sync(), rows=7)
    emulator.job_lists.has_counters = False

    (job,) = ok(caller.get("/jobs"))["data"]

    assert not {"bytesSynced", "rowsSynced"} & job.keys()
    assert caller.job(job["jobId"]) == {**job, "bytesSynced": 7 * 128, "rowsSynced": 7}


class TestRefusedLists:
    @pytest.mark.parametrize("status", [403, 500, 504])
    def test_a_list_can_be_refused_while_each_job_can_be_read(self, emulator, caller, status):
        job_id = emulator.start_sync()
        emulator.fail_next("GET /jobs", status, times=None)

        assert [caller.get("/jobs").status for _ in range(3)] == [status] * 3
        assert caller.get("/jobs", connectionId=emulator.connection_id).status == status
        assert caller.job(job_id)["status"] == "running"
        emulator.clear_faults()
        assert listed(caller) == [job_id]

    def test_a_list_can_hang_while_each_job_can_be_read(self, emulator, caller):
        job_id = emulator.start_sync()
        headers = {"authorization": f"Bearer {caller.log_in()}"}
        emulator.hang_next("GET /jobs", 60, times=None)
        url = f"{BASE}/api/public/v1/jobs"

        with pytest.raises(AirbyteRequestTimeoutError):
            run_blocking(emulator.transport().send(HttpRequest("GET", url, headers, timeout=5)))

        assert caller.job(job_id)["status"] == "running"


class TestLateChanges:
    def test_a_change_can_be_seen_only_after_its_time_of_update(self, emulator, caller):
        job_id = emulator.start_sync()
        emulator.advance(20)
        before = (emulator.now - timedelta(seconds=1)).isoformat()
        written = emulator.now
        emulator.advance(8)

        assert listed(caller, updatedAtStart=before) == []
        assert caller.job(job_id)["status"] == "running"
        emulator.skew_job(job_id, -8)
        emulator.finish_job(job_id)

        assert emulator.jobs[job_id].updated_at == written.timestamp()
        assert listed(caller, updatedAtStart=before) == [job_id]
        assert listed(caller, updatedAtStart=(written + timedelta(seconds=1)).isoformat()) == []
        ended = caller.job(job_id)
        assert (ended["status"], ended["duration"]) == ("succeeded", "PT20S")

    def test_a_change_can_have_a_time_of_update_in_the_future(self, emulator, caller):
        job_id = emulator.start_sync()
        emulator.skew_job(job_id, 300)

        emulator.advance(60)

        later = (emulator.now + timedelta(seconds=300)).isoformat()
        assert listed(caller, updatedAtStart=later) == [job_id]
        assert emulator.jobs[job_id].history[-1] == (emulator.now.timestamp(), "succeeded")

    def test_changes_that_are_due_keep_their_own_time_of_update(self, emulator):
        job_id = emulator.start_sync()
        emulator.clock.advance(60)

        emulator.skew_job(job_id, -30)

        assert emulator.jobs[job_id].updated_at == emulator.now.timestamp()

    def test_only_a_known_job_can_be_skewed(self, emulator):
        with pytest.raises(KeyError):
            emulator.skew_job(7, 1)
