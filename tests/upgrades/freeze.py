"""
Write down what a release leaves in Airflow's database when its tasks are deferred, as JSON.

In a checkout, for the release at a commit::

    mkdir old && git archive COMMIT | tar -x -C old
    cp -r tests/upgrades old/tests/
    cd old && PYTHONPATH=$PWD python -m tests.upgrades.freeze COMMIT ../tests/upgrades/COMMIT.json

All of it is what the code of that release says when it runs: nothing is written by hand.
"""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.module_loading import import_string

from airflow_provider_airbyte_sme import __version__
from airflow_provider_airbyte_sme.api import Job, Ownership
from airflow_provider_airbyte_sme.outcome import JobEvent, Pause, TrackedJob
from tests.upgrades.stories import (
    CONNECTION_ID,
    STORIES,
    Deferral,
    Story,
    airbyte,
    event_of,
    reach,
    resume,
    start,
)


def frozen(story: Story) -> dict[str, Any]:
    """Return a story as this release tells it."""
    with airbyte(story):
        deferral = start(story)
    return {
        "deferral": asdict(deferral),
        "smallest": asdict(smallest(deferral)),
        "ends": {ending: frozen_end(story, deferral, ending) for ending in story.endings},
        "events": frozen_events(story, deferral),
    }


def smallest(deferral: Deferral) -> Deferral:
    """Return a deferral with only the arguments that its trigger must have."""
    parameters = inspect.signature(import_string(deferral.trigger)).parameters.values()
    required = [each.name for each in parameters if each.default is inspect.Parameter.empty]
    return Deferral(
        deferral.trigger,
        {name: deferral.arguments[name] for name in required},
        deferral.method,
        deferral.method_arguments,
    )


def frozen_end(story: Story, deferral: Deferral, ending: str) -> dict[str, Any]:
    """Return the event of one end of a wait, and what becomes of the task."""
    with airbyte(story) as emulator:
        reach(emulator, story, ending)
        event = event_of(deferral.overdue() if ending == "overdue" else deferral)
        emulator.clear_faults()
        return {"event": event, "outcome": resume(emulator, story, deferral, event)}


def frozen_events(story: Story, deferral: Deferral) -> dict[str, Any]:
    """Return events that no short test can bring about, and what becomes of the task."""
    if deferral.trigger.endswith("PauseTrigger"):
        events = {"smallest": _without(Pause(4e9, 1e9).to_payload(), "connection_id")}
    else:
        job = Job(1, "succeeded", CONNECTION_ID)
        events = {
            "smallest": JobEvent("finished", TrackedJob(job, Ownership.STARTED, 4e9)).to_payload(),
            "outage": JobEvent("error", message="Airbyte is away.").to_payload(),
        }
    told = {}
    for name, event in events.items():
        with airbyte(story) as emulator:
            reach(emulator, story, story.endings[0] if name == "smallest" else "")
            told[name] = {"event": event, "outcome": resume(emulator, story, deferral, event)}
    return told


def _without(payload: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key != name}


def main() -> None:
    """Write the JSON."""
    commit, path = sys.argv[1:]
    document = {
        "version": __version__,
        "commit": commit,
        "stories": {name: frozen(story) for name, story in STORIES.items()},
    }
    # Not to stdout: tasks log there.
    Path(path).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
