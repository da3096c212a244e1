"""The alarm of a slow job, in DAGs that a real Airflow runs in ``dag.test()``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.integration.dag_runs import load_dag, states_of
from tests.integration.test_sync_sensor import IS_AIRFLOW_2

# Airflow's database tools and dag.test() cause warnings from dependencies, which vary by version.
pytestmark = pytest.mark.filterwarnings("ignore")

# The first try gives up its wait after the alarm, and leaves the sync running.
DAG = """
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, BaseNotifier

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator


class Notifier(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, text):
        super().__init__()
        self.text = text

    def notify(self, context):
        with open("{file}", "a") as file:
            file.write(self.text + chr(10))


with DAG("slow", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    AirbyteTriggerSyncOperator.partial(
        task_id="sync",
        deferrable={deferrable},
        poll_interval=0.1,
        timeout="{{{{ 1 if ti.try_number == 1 else 60 }}}}",
        slow_after=0.3,
        on_slow=[Notifier("{{{{ slow_job.job_id }}}} {{{{ slow_job.connection_id }}}}")],
        cancel_on_timeout=False,
        retries=1,
        retry_delay=timedelta(0),
    ).expand(connection_id={connection_ids})
"""


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> Iterator[None]:
    from airflow.utils.db import initdb

    initdb()
    yield
    _delete_notes()


def _delete_notes() -> None:
    """Delete what Airflow keeps of these tasks: other tests look for what is left of theirs."""
    try:
        from airflow.models.task_state_store import TaskStateStoreModel
    except ImportError:  # Airflow before 3.3
        return
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(TaskStateStoreModel).delete()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(sync_duration=4.0)
    with emulator.serve():
        yield emulator


def test_all_tries_of_a_mapped_task_raise_one_alarm_together(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, deferrable: bool
) -> None:
    connection_ids = [emulator.connection_id, emulator.add_connection("Other")]
    file = tmp_path / "alarms.txt"
    text = DAG.format(deferrable=deferrable, connection_ids=connection_ids, file=file)
    (tmp_path / "slow.py").write_text(text)
    monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", emulator.connection_uri)

    states = states_of(load_dag(tmp_path, "slow", monkeypatch))

    assert states == {"sync[0]": "success", "sync[1]": "success"}
    alarms = file.read_text().splitlines()
    assert {*alarms} == {f"{job.id} {job.connection_id}" for job in emulator.jobs.values()}
    # Before 3.3, no try knows of the one before it.
    assert IS_AIRFLOW_2 or len(alarms) == 2
