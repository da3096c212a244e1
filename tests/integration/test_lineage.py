"""Tasks without OpenLineage's provider, which is optional."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.tasks import TaskRun

pytestmark = pytest.mark.skipif(
    find_spec("airflow.providers.openlineage") is not None, reason="the provider is installed"
)


@pytest.fixture
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which no other test has loaded what mentions OpenLineage, as Airflow does."""
    for module in [module for module in sys.modules if "openlineage" in module]:
        monkeypatch.delitem(sys.modules, module)


@pytest.fixture
def finished(nothing_loaded: None, sync_run: Callable[..., TaskRun], deferrable: bool) -> TaskRun:
    run = sync_run(deferrable=deferrable)
    run.finish()
    return run


def test_a_task_without_the_provider_has_no_lineage(finished: TaskRun) -> None:
    task: Any = finished.task

    assert task.get_openlineage_facets_on_complete(finished.ti) is None
    assert task.get_openlineage_facets_on_failure(finished.ti) is None


def test_a_task_without_the_provider_loads_nothing_of_openlineage(finished: TaskRun) -> None:
    assert finished.ti.xcoms
    assert not [module for module in sys.modules if "openlineage" in module]


def test_a_task_without_the_provider_reads_nothing_for_it(
    finished: TaskRun, emulator: Emulator
) -> None:
    assert finished.ti.xcoms
    routes = {request.route for request in emulator.requests}
    assert routes == {
        "POST /applications/token",
        "GET /connections/{connectionId}",
        "POST /jobs",
        "GET /jobs",
        "GET /jobs/{jobId}",
    }
