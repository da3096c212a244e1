"""This package, upgraded under a real Airflow while tasks of the older release are deferred."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_harness import LocalAirflow
from scripts.release_check import older_release
from tests.system.conftest import TEST_DAGS

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "airflow_provider_airbyte_sme"
DAG_IDS = ("short_sync", "gate_of_a_worker", "gate_of_the_triggerer")
# Seconds.
MAX_WAIT = 180.0

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


class Installation:
    """A folder with this package that Airflow imports it from, and that can be exchanged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "installed"
        old = folder / "old"
        old.mkdir()
        release = older_release()
        archive = subprocess.run(
            ["git", "archive", release, PACKAGE],
            cwd=REPOSITORY,
            capture_output=True,
            check=False,
        )
        if archive.returncode:
            pytest.skip(f"this checkout has no history with commit {release}")
        subprocess.run(["tar", "-x"], cwd=old, input=archive.stdout, check=True)
        self.folder.symlink_to(old)

    @property
    def environment(self) -> dict[str, str]:
        # Otherwise Python imports from the working directory first.
        return {"PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1"}

    def upgrade(self) -> None:
        """Install the present release."""
        self.folder.unlink()
        self.folder.symlink_to(REPOSITORY)

    def has_upgrade_of(self, airflow: LocalAirflow) -> bool:
        """Whether a process of *airflow* that starts now imports the present release."""
        found = subprocess.run(
            [sys.executable, "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)"],
            env=airflow.environment,
            capture_output=True,
            check=True,
            text=True,
        )
        return Path(found.stdout.strip()).resolve().is_relative_to(REPOSITORY)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(time="real")
    with emulator.serve():
        yield emulator


def test_tasks_that_the_older_release_has_deferred_are_completed_by_this_one(
    installation: Installation,
    emulator: Emulator,
    database_settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with LocalAirflow(
        home=tmp_path_factory.mktemp("airflow"),
        dags_folder=TEST_DAGS,
        dag_ids=DAG_IDS,
        environment={
            **database_settings,
            **installation.environment,
            "AIRFLOW_CONN_AIRBYTE_SME_DEFAULT": emulator.connection_uri,
        },
    ) as airflow:
        runs = {}
        for dag_id in DAG_IDS:
            connection_id = emulator.add_connection()
            emulator.script_job(connection_id, statuses=[("running", None)], rows=7)
            conf = {"connection_id": connection_id, "since": emulator.now.isoformat()}
            runs[dag_id] = airflow.api.trigger(dag_id, conf), connection_id
        for dag_id, (run_id, _) in runs.items():
            airflow.api.wait_for_task(
                dag_id, run_id, task_of(dag_id), ["deferred"], timeout=MAX_WAIT
            )
        assert not installation.has_upgrade_of(airflow)

        installation.upgrade()
        # In the order of docs/upgrading.md. The scheduler runs the tasks of a LocalExecutor.
        for component in ("triggerer", "scheduler"):
            airflow.stop(component)
            airflow.start(component)

        assert installation.has_upgrade_of(airflow)
        for dag_id, (_, connection_id) in runs.items():
            if dag_id.startswith("gate"):
                emulator.start_sync(connection_id)
        for job_id in list(emulator.jobs):
            emulator.finish_job(job_id)
        for dag_id, (run_id, connection_id) in runs.items():
            task = airflow.api.wait_for_task(
                dag_id, run_id, task_of(dag_id), ["success"], timeout=MAX_WAIT
            )
            result = airflow.api.xcom(dag_id, run_id, task_of(dag_id))
            [job] = [each for each in emulator.jobs.values() if each.connection_id == connection_id]
            assert task.try_number == 1, dag_id
            assert (result["job_id"], result["rows_synced"]) == (job.id, 7), dag_id
            assert result["adopted"] is dag_id.startswith("gate"), dag_id


def task_of(dag_id: str) -> str:
    return "gate" if dag_id.startswith("gate") else "sync"
