"""Each test that shows a secret fails, wherever it shows it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.traces import is_recognisable

CONFTEST = """
import tests.conftest
from tests.conftest import _quiet_caplog, pytest_configure, pytest_runtest_makereport
"""

MODULE = """
import logging
import sys

import pytest
from airflow_provider_airbyte_sme.api import AirbyteSettings, AirbyteUrls
from airflow_provider_airbyte_sme.emulator import Emulator


def settings():
    AirbyteSettings(
        AirbyteUrls.parse("https://airbyte"),
        client_id="an-id",
        client_secret="client-s3cret",
        proxy="http://me:proxy-p4ssword@proxy",
        headers={"X-Key": "gateway-k3y"},
    )


def fail(text):
    try:
        raise KeyError(text)
    except KeyError:
        raise ValueError("a mistake") from None


def test_log():
    settings()
    logging.getLogger("urllib3.connectionpool").debug("sent %s", "client-s3cret")


def test_other_log():
    settings()
    logging.getLogger("other").warning("sent %s", "gateway-k3y")


def test_output():
    settings()
    print("proxy-p4ssword")


def test_read_output(capfd):
    settings()
    print("proxy-p4ssword", file=sys.stderr)
    assert capfd.readouterr().err


def test_suppressed_context():
    settings()
    with pytest.raises(ValueError):
        fail("client-s3cret")


def test_token():
    with pytest.raises(ValueError):
        fail(issued_token())


def issued_token():
    emulator = Emulator()
    application = emulator._core.world.applications[emulator.client_id]
    return emulator._core.access.issue_token(application, now=0.0, airbyte_url="http://airbyte")


@pytest.mark.parametrize(
    "show",
    [
        "run.ti.xcom_push('key', 'client-s3cret')",
        "run._run_until_deferred(lambda: {'job_url': 'https://me:client-s3cret@airbyte'})",
        "run.task.connection_id = 'client-s3cret'; run.render()",
        "run._run_until_deferred(defer)",
        "TaskStateStore().set('job', {'job_url': 'client-s3cret'})",
    ],
)
def test_task(show):
    from airflow.providers.common.compat.sdk import TaskDeferred
    from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
    from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger
    from tests.tasks import TaskRun, TaskStateStore

    def defer():
        url = "https://airbyte/?client-s3cret"
        trigger = AirbyteJobTrigger(
            airbyte_conn_id="a", job_id=1, connection_id="b", deadline=1.0, job_url=url
        )
        raise TaskDeferred(trigger=trigger, method_name="execute_complete")

    settings()
    run = TaskRun(AirbyteTriggerSyncOperator(task_id="sync", connection_id="id"))
    exec(show, {"run": run, "TaskStateStore": TaskStateStore, "defer": defer})


@pytest.mark.shows_secrets("because")
def test_exempt():
    settings()
    print("client-s3cret")


def test_clean():
    settings()
    print("an-id")
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Return the report about tests of which all but two show a secret."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_planted.py").write_text(MODULE)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider"]
    repository = str(Path(__file__).parents[2])
    process = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": repository},
    )
    return process.stdout + process.stderr


@pytest.mark.parametrize(
    "name",
    [
        *("log", "other_log", "output", "read_output", "suppressed_context", "token"),
        *(f"task[{show}" for show in ("run.ti.xcom", "run._run_until_deferred(lambda", "run.task")),
        *(f"task[{show}" for show in ("run._run_until_deferred(defer", "TaskStateStore")),
    ],
)
def test_a_test_that_shows_a_secret_fails(outcome, name):
    assert f"ERROR test_planted.py::test_{name}" in outcome


def test_others_do_not_fail(outcome):
    assert outcome.count("ERROR test_planted.py::") == 11
    assert "ERROR test_planted.py::test_exempt" not in outcome
    assert "ERROR test_planted.py::test_clean" not in outcome


@pytest.mark.parametrize("secret", ["password", "s3cret", "1234567890", "abcdefghij"])
def test_what_stands_in_any_text_is_not_searched_for(secret):
    assert not is_recognisable(secret)
