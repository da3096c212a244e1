"""
Tasks that an older release has deferred, and that this one goes on with.

``tests/upgrades`` has what that release left in Airflow's database, and what became of its tasks
when it went on by itself.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow.providers.common.compat.module_loading import import_string

from airflow_provider_airbyte_sme.outcome import JobEvent
from airflow_provider_airbyte_sme.triggers.starting import RENDERS_TEMPLATES
from tests.upgrades.stories import (
    CONNECTION_ID,
    ROWS,
    STORIES,
    Deferral,
    airbyte,
    event_of,
    reach,
    resume,
)

RELEASES = {
    path.stem: json.loads(path.read_text())["stories"]
    for path in sorted((Path(__file__).parents[1] / "upgrades").glob("*.json"))
}
TOLD = [(release, name) for release, stories in RELEASES.items() for name in stories]
# Before 3.3, Airflow begins no task in the triggerer, and no trigger has a task.
RUN = [
    told
    for told in TOLD
    if RENDERS_TEMPLATES or not STORIES[told[1]].arguments.get("start_from_trigger")
]
ENDS = [(*told, end) for told in RUN for end in RELEASES[told[0]][told[1]]["ends"]]
EVENTS = [
    (*told, kind, end)
    for told in TOLD
    for kind in ("ends", "events")
    for end in RELEASES[told[0]][told[1]][kind]
]


@pytest.fixture
def emulator():
    """None: each story has an Airbyte of its own."""


@pytest.fixture
def airflow_connection():
    """None: each story makes its own."""


def left_by(release: str, name: str, form: str = "deferral") -> Deferral:
    # A copy: a test may change it.
    return Deferral(**deepcopy(RELEASES[release][name][form]))


def check(outcome: dict[str, Any], frozen: dict[str, Any]) -> None:
    """Check that the task ends as it did in the older release. A result may have new keys."""
    assert outcome["jobs"] == frozen["jobs"]
    if "no row count" in frozen.get("message", ""):  # which is looked up now
        assert outcome["result"]["rows_synced"] == ROWS
        return
    assert outcome.get("error") == frozen.get("error")
    assert outcome.get("deferral") == frozen.get("deferral")
    if "result" in frozen:
        assert outcome["result"] == {**outcome["result"], **frozen["result"]}


def test_there_is_every_trigger_of_the_package_and_every_story():
    modules = (
        "airflow_provider_airbyte_sme.triggers.airbyte",
        "airflow_provider_airbyte_sme.triggers.starting",
    )
    ours = {
        f"{module}.{name}"
        for module in modules
        for name, value in vars(import_string(module)).items()
        if inspect.isclass(value) and value.__module__ == module
    }

    for stories in RELEASES.values():
        assert {story["deferral"]["trigger"] for story in stories.values()} == ours
        assert stories.keys() == STORIES.keys()


@pytest.mark.parametrize(("release", "name", "ending"), ENDS)
def test_a_trigger_of_an_older_release_goes_on_and_its_event_is_understood(release, name, ending):
    story, deferral = STORIES[name], left_by(release, name)
    frozen = RELEASES[release][name]["ends"][ending]
    with airbyte(story) as emulator:
        reach(emulator, story, ending)

        event = event_of(deferral.overdue() if ending == "overdue" else deferral)

        emulator.clear_faults()
        check(resume(emulator, story, deferral, event), frozen["outcome"])
    assert event.get("outcome") == frozen["event"].get("outcome")
    assert event.get("permanent") == frozen["event"].get("permanent")
    assert event.get("job", {}).get("jobId") == frozen["event"].get("job", {}).get("jobId")


@pytest.mark.parametrize(("release", "name", "kind", "ending"), EVENTS)
def test_an_event_of_an_older_release_resumes_the_task_to_the_same_end(release, name, kind, ending):
    story, deferral = STORIES[name], left_by(release, name)
    frozen = RELEASES[release][name][kind][ending]
    with airbyte(story) as emulator:
        reach(emulator, story, story.endings[0] if ending == "smallest" else ending)
        emulator.clear_faults()

        outcome = resume(emulator, story, deferral, frozen["event"])

    check(outcome, frozen["outcome"])
    assert frozen["event"].get("message", "") in outcome.get("message", "")


@pytest.mark.parametrize(("release", "name"), RUN)
def test_an_argument_that_an_older_trigger_does_not_have_gets_its_default(release, name):
    """Whatever else a trigger has got since, it works without."""
    story, deferral = STORIES[name], left_by(release, name, "smallest")
    ending = story.endings[0]
    with airbyte(story) as emulator:
        reach(emulator, story, ending)

        outcome = resume(emulator, story, deferral, event_of(deferral))

    assert "error" not in outcome
    assert outcome["jobs"] == RELEASES[release][name]["ends"][ending]["outcome"]["jobs"]


@pytest.mark.parametrize(("release", "name"), TOLD)
def test_a_trigger_of_an_older_release_is_stored_again_with_the_same_values(release, name):
    deferral = left_by(release, name)

    path, arguments = deferral.rebuilt().serialize()

    assert path == deferral.trigger
    assert arguments == {**arguments, **deferral.arguments}


@pytest.mark.parametrize(("release", "name"), TOLD)
def test_a_cleared_task_of_an_older_release_cancels_its_own_job_only(release, name):
    story, deferral = STORIES[name], left_by(release, name)
    arguments = deferral.arguments
    is_cancelled = arguments.get("cancel_on_kill") and arguments["ownership"] != "foreign"
    with airbyte(story) as emulator:
        reach(emulator, story)
        before = {job.id: job.status for job in emulator.jobs.values()}

        trigger = deferral.rebuilt()
        if hasattr(trigger, "on_kill"):  # Airflow 3.3
            asyncio.run(trigger.on_kill())

        after = {job.id: job.status for job in emulator.jobs.values()}
    assert after == ({1: "cancelled"} if is_cancelled else before)


class TestNewerThanThisRelease:
    """What docs/upgrading.md says of the wrong order."""

    EVENT: ClassVar[dict[str, Any]] = {
        "outcome": "finished",
        "message": "",
        "permanent": False,
        "job": {"jobId": 1, "status": "succeeded", "connectionId": CONNECTION_ID},
        "ownership": "started",
        "deadline": 4e9,
        "job_url": "",
        "connection_name": "",
    }

    def test_an_event_with_more_in_it_is_understood(self):
        event = {**self.EVENT, "color": "blue", "job": {**self.EVENT["job"], "color": "blue"}}

        assert JobEvent.from_payload(event) == JobEvent.from_payload(self.EVENT)

    @pytest.mark.parametrize("newer", [{"outcome": "postponed"}, {"ownership": "inherited"}])
    def test_an_event_with_an_unknown_value_fails_the_try(self, newer):
        with pytest.raises(ValueError, match=next(iter(newer.values()))):
            JobEvent.from_payload({**self.EVENT, **newer})

    def test_a_trigger_with_an_unknown_argument_is_not_built(self):
        deferral = left_by(*TOLD[0])
        deferral.arguments["color"] = "blue"

        with pytest.raises(TypeError, match="color"):
            deferral.rebuilt()
