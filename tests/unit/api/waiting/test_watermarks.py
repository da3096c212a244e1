"""How far a watcher has come with the successful jobs of one connection."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_airbyte_sme.api import Job
from airflow_provider_airbyte_sme.api.waiting.watermarks import Watermark, caught_up, in_order

NOON = datetime(2026, 3, 25, 12, tzinfo=UTC)


def job(job_id: int, seconds: float | None = 0.0) -> Job:
    """A job that succeeded so many seconds after noon; ``None``: nobody knows when."""
    ended_at = None if seconds is None else NOON + timedelta(seconds=seconds)
    return Job(job_id, "succeeded", "crm", "sync", last_updated_at=ended_at)


class TestIsNew:
    def test_a_job_that_ended_before_is_old(self):
        assert not Watermark(NOON).is_new(job(7, -1))

    def test_of_one_second_the_ids_decide(self):
        watermark = Watermark(NOON, 7, frozenset({7}))

        assert not watermark.is_new(job(7))
        assert watermark.is_new(job(8))

    def test_a_lower_id_that_ended_later_is_new(self):
        assert Watermark(NOON, 9, frozenset({9})).is_new(job(4, 1))

    def test_if_no_job_had_ended_all_are_new(self):
        assert Watermark().is_new(job(1, -86_400))

    def test_without_a_time_the_highest_id_decides(self):
        watermark = Watermark(NOON, 7)

        assert not watermark.is_new(job(7, None))
        assert watermark.is_new(job(8, None))


class TestMoved:
    def test_what_was_shown_is_old(self):
        shown = [job(7, 1), job(8, 1), job(9, None)]
        watermark = Watermark(NOON).moved(shown, NOON, 9)

        assert not any(map(watermark.is_new, shown))
        assert watermark.is_new(job(10, 1))

    def test_it_never_goes_back(self):
        watermark = Watermark(NOON, 9).moved([], NOON - timedelta(hours=1), 3)

        assert (watermark.since, watermark.newest_id) == (NOON, 9)

    def test_it_moves_to_what_is_later_and_higher(self):
        later = NOON + timedelta(hours=1)
        watermark = Watermark(NOON, 9).moved([], later, 12)

        assert (watermark.since, watermark.newest_id) == (later, 12)

    @pytest.mark.parametrize(("before", "after"), [(None, NOON), (NOON, None)])
    def test_a_connection_without_an_end_does_not_move_it_back(self, before, after):
        assert Watermark(before).moved([], after, 1).since == NOON

    def test_ids_before_it_are_forgotten(self):
        watermark = Watermark(NOON, 7, frozenset({7})).moved([job(8, 90)], NOON, 8)

        assert watermark.reported == {8}


class TestStored:
    @pytest.mark.parametrize("since", [None, NOON])
    def test_it_survives_json(self, since):
        watermark = Watermark(since, 9, frozenset({7, 9}))

        assert Watermark.from_json(json.loads(json.dumps(watermark.to_json()))) == watermark

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "12",
            [],
            {},
            {"since": "yesterday", "newest_id": 1, "reported": []},
            {"since": "2026-03-25T12:00:00", "newest_id": 1, "reported": []},
            {"since": None, "newest_id": "1", "reported": []},
            {"since": None, "newest_id": 1, "reported": {}},
            {"since": None, "newest_id": 1, "reported": ["a"]},
            {"since": None, "newest_id": 1, "reported": [None]},
        ],
    )
    def test_something_else_is_refused(self, value):
        with pytest.raises((ValueError, TypeError)):
            Watermark.from_json(value)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ([], r"\[\] is no watermark"),
            ({"newest_id": 1}, r"\{'newest_id': 1\} is no watermark"),
            (
                {"since": "2026-03-25T12:00:00", "newest_id": 1, "reported": []},
                "'2026-03-25T12:00:00' has no time zone",
            ),
        ],
    )
    def test_the_message_has_what_is_stored(self, value, message):
        with pytest.raises(ValueError, match=f"^{message}$"):
            Watermark.from_json(value)

    def test_a_long_list_of_ids_is_cut_at_its_old_end(self):
        stored = Watermark(NOON, 5000, frozenset(range(5001))).to_json()

        assert len(stored["reported"]) == 1000
        assert stored["reported"][-1] == 5000


class TestCatchUp:
    def test_jobs_are_in_the_order_of_their_ends_then_of_their_ids(self):
        jobs = [job(5, 2), job(9, 1), job(8, 1), job(1, None)]

        assert [each.job_id for each in in_order(jobs)] == [8, 9, 5, 1]

    @pytest.mark.parametrize(
        ("catch_up", "ids"), [("all", [8, 9, 5]), ("latest", [5]), ("none", [])]
    )
    def test_it_chooses(self, catch_up, ids):
        jobs = in_order([job(5, 2), job(9, 1), job(8, 1)])

        assert [each.job_id for each in caught_up(jobs, catch_up)] == ids

    def test_latest_of_none_is_none(self):
        assert caught_up([], "latest") == []
