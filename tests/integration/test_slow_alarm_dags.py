"""The alarm of a slow job, in DAGs that a real Airflow runs in ``dag.test()``."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.alarms import keeps_notes
from scripts.airflow_api import poll
from tests.integration.dag_runs import load_dag, states_of

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
        write("alarms", self.text)


def write(name, line):
    with open("{folder}/" + name, "a") as file:
        file.write(line + chr(10))


with DAG("slow", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    AirbyteTriggerSyncOperator.partial(
        task_id="sync",
        deferrable={deferrable},
        poll_interval=0.1,
        timeout="{{{{ 1 if ti.try_number == 1 else 60 }}}}",
        slow_after=0.3,
        on_slow=[Notifier("{{{{ slow_job.job_id }}}} {{{{ slow_job.connection_id }}}}")],
        cancel_on_timeout=False,
        on_retry_callback=lambda context: write("retries", context["task"].connection_id),
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
    emulator = Emulator()
    with emulator.serve():
        yield emulator


def _finish_after_second_try(
    emulator: Emulator, folder: Path, reads: int, connection_id: str
) -> None:
    """End the sync of a connection once its second try has read it, and an alarm was raised."""

    def lines_of(name: str) -> list[str]:
        file = folder / name
        return file.read_text().splitlines() if file.exists() else []

    def reads_of(job_id: int) -> int:
        return sum(request.path.endswith(f"/jobs/{job_id}") for request in emulator.requests)

    def has_ended_first_try() -> bool:
        return connection_id in lines_of("retries")

    def was_read_by_second_try() -> bool:
        raised = any(line.endswith(connection_id) for line in lines_of("alarms"))
        return raised and reads_of(job.id) >= before + reads

    poll(has_ended_first_try, timeout=240, what="the second try", interval=0.05)
    job = next(each for each in emulator.jobs.values() if each.connection_id == connection_id)
    before = reads_of(job.id)
    try:
        poll(was_read_by_second_try, timeout=240, what="its reads", interval=0.05)
    finally:
        emulator.finish_job(job.id)


def test_all_tries_of_a_mapped_task_raise_one_alarm_together(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, deferrable: bool
) -> None:
    connection_ids = [emulator.connection_id, emulator.add_connection("Other")]
    for connection_id in connection_ids:
        emulator.script_job(connection_id, statuses=[("running", None)])
    text = DAG.format(deferrable=deferrable, connection_ids=connection_ids, folder=tmp_path)
    (tmp_path / "slow.py").write_text(text)
    monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", emulator.connection_uri)

    with ThreadPoolExecutor() as background:
        # In any order, because Airflow runs one task after the other, in an order of its own.
        finish = partial(_finish_after_second_try, emulator, tmp_path, 3)
        finished = background.map(finish, connection_ids)
        states = states_of(load_dag(tmp_path, "slow", monkeypatch))
        list(finished)

    assert states == {"sync[0]": "success", "sync[1]": "success"}
    alarms = (tmp_path / "alarms").read_text().splitlines()
    assert {*alarms} == {f"{job.id} {job.connection_id}" for job in emulator.jobs.values()}
    # Before 3.3, no try knows of the one before it.
    assert not keeps_notes() or len(alarms) == 2
