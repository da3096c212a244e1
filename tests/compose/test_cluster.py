import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from scripts.airflow_api import AirflowApi
from tests.compose.cluster import Cluster, missing_programs
from tests.compose.composition import Service

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        bool(missing_programs()), reason=f"not installed: {', '.join(missing_programs())}"
    ),
]


class LoggedInApi(AirflowApi):
    """Airflow's REST API as a user who has logged in with a password."""

    def __init__(self, url: str, username: str, password: str) -> None:
        super().__init__(url)
        credentials = {"username": username, "password": password}
        response = requests.post(f"{url}/auth/token", json=credentials, timeout=30)
        response.raise_for_status()
        token = response.json()["access_token"]
        self._opener.addheaders.append(("Authorization", f"Bearer {token}"))


@pytest.fixture
def cluster(
    services: Mapping[str, Service], configs: Mapping[str, str], pytestconfig: pytest.Config
) -> Iterator[Cluster]:
    # Not tmp_path: the user that PostgreSQL runs as cannot enter it.
    folder = Path(tempfile.mkdtemp(prefix="airflow-cluster-"))
    folder.chmod(0o755)
    try:
        with Cluster(services, configs, project=pytestconfig.rootpath, folder=folder) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder)


def test_the_cluster_runs_a_dag_with_the_provider(
    cluster: Cluster, settings: Mapping[str, str]
) -> None:
    airflow = LoggedInApi(
        cluster.url, settings["AIRFLOW_ADMIN_USER"], settings["AIRFLOW_ADMIN_PASSWORD"]
    )
    triggerers: dict[str, Any] = airflow.request(
        "GET", "/jobs", query={"job_type": "TriggererJob", "is_alive": True}
    )

    airflow.wait_for_dag("require_rows")
    airflow.unpause("require_rows")
    run_id = airflow.trigger("require_rows")
    state = airflow.wait_for_run("require_rows", run_id, timeout=120)
    result = airflow.xcom("require_rows", run_id, "sync")

    assert triggerers["total_entries"] == 2
    assert state == "success"
    assert result["status"] == "succeeded"
    assert result["connection_id"] == settings["AIRBYTE_CONNECTION_ID"]
    assert result["rows_synced"] > 0
