"""
Two hundred tasks, two minutes of kills and faults, and books that must balance.

The seed of the plan is printed. ``SEED=…`` repeats it: the same tasks, kills and faults at the same
times. What they meet depends on the machine too.
"""

from __future__ import annotations

import os
import random

import pytest

from scripts.airflow_cluster import AirflowCluster
from tests.system.cluster.plan import make_plan
from tests.system.cluster.random_run import RandomRun
from tests.system.cluster.syncs import Airbyte

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(900),
]

TASKS = int(os.environ.get("RANDOM_TASKS", "200"))
# Seconds from the last strike until all tasks must have ended.
PATIENCE = 300.0


def test_the_books_of_a_random_run_balance(
    cluster: AirflowCluster, airbyte: Airbyte, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    with capsys.disabled():
        print(f"\nSEED={seed}", flush=True)
        run = RandomRun(make_plan(seed, tasks=TASKS), cluster=cluster, airbyte=airbyte)
        books = run.carry_out(patience=PATIENCE)
        print(f"SEED={seed}\n{books}", flush=True)
    assert books.problems == ()
