"""One cluster and one Airbyte, shared by all tests of this folder in a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.airflow_cluster import AirflowCluster, missing_programs
from tests.system.cluster.plan import Kind
from tests.system.cluster.syncs import Airbyte, Sync

DAGS = Path(__file__).parent / "dags"
DAG_IDS = tuple(
    f"{what}_{place}"
    for what in ("waits", "mapped", "times_out")
    for place in ("in_triggerer", "on_worker")
)
UPGRADE_DAG_IDS = tuple(
    f"deferred_before_{what}" for what in ("operator", "job_sensor", "sync_sensor")
)


@pytest.fixture(scope="session")
def airbyte() -> Iterator[Airbyte]:
    with Airbyte() as airbyte:
        yield airbyte


@pytest.fixture(scope="session")
def shared_cluster(
    airbyte: Airbyte, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowCluster]:
    if missing := missing_programs():
        pytest.skip(f"not installed: {', '.join(missing)}")
    with AirflowCluster(
        home=tmp_path_factory.mktemp("cluster"),
        dags_folder=DAGS,
        dag_ids=(*DAG_IDS, *UPGRADE_DAG_IDS, *Kind),
        environment={
            "AIRFLOW_CONN_AIRBYTE_SME_DEFAULT": airbyte.connection_uri,
            # Two hundred tasks within minutes are a lot for two cores.
            "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "scripts.celery_preload.CONFIG",
            # Not many more than the workers have slots, so that nothing is queued for long, unless
            # its worker is dead: seconds until it is queued again.
            "AIRFLOW__CORE__PARALLELISM": "20",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "20",
        },
    ) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: AirflowCluster) -> Iterator[AirflowCluster]:
    """The cluster, whole again after the test."""
    yield shared_cluster
    shared_cluster.repair()


@pytest.fixture
def start(cluster: AirflowCluster, airbyte: Airbyte) -> Iterator[Callable[[str], Sync]]:
    """Start a sync that runs until it is finished, at the latest at the end of the test."""
    started = []

    def start(dag_id: str) -> Sync:
        started.append(Sync.start(cluster, airbyte, dag_id))
        return started[-1]

    yield start
    for sync in started:
        sync.finish()
