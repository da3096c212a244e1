"""DAGs that ran with the official provider, were rewritten, and ran with this one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DAGS = Path(__file__).parent / "dags"
OFFICIAL = "apache-airflow-providers-airbyte"
# What the official system tests import at their end. It comes with no package.
SYSTEM_TESTS = "def get_test_run(dag):\n    return None\n"
RUN_TIMEOUT = 400
PIP_DOWNLOAD = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")


def run_dags(dags: Path, home: Path) -> dict[str, Any]:
    """Return what the DAGs of a folder did in a new Airflow."""
    home.mkdir()
    stub = home / "tests_common/test_utils/system_tests.py"
    stub.parent.mkdir(parents=True)
    stub.write_text(SYSTEM_TESTS)
    result = home / "result.json"
    process = subprocess.run(
        [sys.executable, "-m", "tests.migration.run_dags", str(dags), str(result)],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(home)]),
        },
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def pinned_version() -> str:
    text = (REPOSITORY / "constraints/official.txt").read_text()
    found = re.search(rf"^{OFFICIAL}==(\S+)", text, re.MULTILINE)
    assert found, "constraints/official.txt does not pin the official provider"
    return found[1]


@pytest.fixture(scope="session")
def official_examples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The example DAGs in the official provider's sdist; none if it cannot be downloaded."""
    folder = tmp_path_factory.mktemp("sdist")
    requirement = f"{OFFICIAL}=={pinned_version()}"
    subprocess.run(
        [*PIP_DOWNLOAD, "--no-binary", OFFICIAL, "--dest", str(folder), requirement],
        capture_output=True,
        timeout=RUN_TIMEOUT,
        check=False,
    )
    for archive in folder.glob("*.tar.gz"):
        with tarfile.open(archive) as sdist:
            sdist.extractall(folder, filter="data")
    return sorted(folder.glob("*/tests/system/**/example_*.py"))


@pytest.fixture(scope="session")
def official_dags(official_examples: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All DAGs as they are for the official provider."""
    folder = tmp_path_factory.mktemp("official") / "dags"
    shutil.copytree(DAGS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for example in official_examples:
        shutil.copy(example, folder)
    return folder


@pytest.fixture(scope="session")
def migrated_dags(official_dags: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same DAGs after ``migrate --write``."""
    folder = tmp_path_factory.mktemp("migrated") / "dags"
    shutil.copytree(official_dags, folder)
    command = [sys.executable, "-m", "airflow_provider_airbyte_sme", "migrate", "--write"]
    process = subprocess.run(
        [*command, str(folder)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture(scope="session")
def official_run(official_dags: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the DAGs did with the official provider."""
    return run_dags(official_dags, tmp_path_factory.mktemp("airflow") / "official")


@pytest.fixture(scope="session")
def migrated_run(migrated_dags: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the rewritten DAGs did."""
    return run_dags(migrated_dags, tmp_path_factory.mktemp("airflow") / "migrated")


@pytest.fixture
def what_both_did(
    official_run: dict[str, Any], migrated_run: dict[str, Any]
) -> Callable[[str], tuple[Any, Any]]:
    """Return what one DAG did before and after."""

    def find(dag_id: str) -> tuple[Any, Any]:
        return official_run["dags"].get(dag_id), migrated_run["dags"].get(dag_id)

    return find


@pytest.fixture(autouse=True)
def only_with_both_providers() -> None:
    pytest.importorskip("airflow.providers.airbyte", reason="the official provider is missing")
