"""Which wait ends next because its time is over."""

from airflow_provider_airbyte_sme.api import Job
from airflow_provider_airbyte_sme.api.waiting import Wait
from airflow_provider_airbyte_sme.api.waiting.deadlines import Deadline, Deadlines
from airflow_provider_airbyte_sme.api.waiting.watches import JobWatch

WATCH = JobWatch(Job(1, "running", "c1"), Wait(0.0, timeout=100.0))


def test_a_wait_is_extended_once():
    deadlines = Deadlines()
    deadlines.add(WATCH)

    assert deadlines.pop(99.0) is None
    assert deadlines.pop(100.0) == Deadline(WATCH, is_last=False)
    deadlines.extend(WATCH, 105.0)
    assert deadlines.next_at() == 105.0
    assert deadlines.pop(105.0) == Deadline(WATCH, is_last=True)


def test_a_wait_that_was_forgotten_begins_anew():
    deadlines = Deadlines()
    deadlines.add(WATCH)
    deadlines.pop(100.0)
    deadlines.extend(WATCH, 105.0)
    deadlines.remove(WATCH)

    deadlines.add(WATCH)

    assert deadlines.pop(105.0) == Deadline(WATCH, is_last=False)
