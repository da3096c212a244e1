"""The examples of the section on assets in docs/data-aware.md work as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.assets import Asset
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.assets import dbt_source_assets, delivery_alias, stream_assets
from tests.dataset_names import TABLES

DOCUMENT = (Path(__file__).parents[2] / "docs/data-aware.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.partition("\n## Assets\n")[2].partition("\n## ")[0]
EXAMPLES = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
CONNECTION_ID = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run an example in a folder with a dbt project, and return its DAGs by their ids."""
    manifest = tmp_path / "dbt/target/manifest.json"
    manifest.parent.mkdir(parents=True)
    source = {"source_name": "crm", "name": "users", "database": "analytics", "schema": "raw"}
    manifest.write_text(json.dumps({"sources": {"source.dbt.crm.users": source}}))
    monkeypatch.chdir(tmp_path)

    def run(example: str) -> dict[str, DAG]:
        found: list[DAG] = []
        enter = DAG.__enter__

        def note(dag: DAG) -> DAG:
            found.append(dag)
            return enter(dag)

        monkeypatch.setattr(DAG, "__enter__", note)
        exec(compile(example, "docs/data-aware.md", "exec"), {})
        return {dag.dag_id: dag for dag in found}

    return run


def waited_for(dag: DAG) -> list[Asset]:
    timetable: Any = dag.timetable
    is_airflow_2 = hasattr(timetable, "dataset_condition")
    condition = timetable.dataset_condition if is_airflow_2 else timetable.asset_condition
    return list(condition.objects)


def test_there_are_two() -> None:
    assert len(EXAMPLES) == 2


def test_a_dag_waits_for_the_tables_of_a_sync(dags: Any) -> None:
    found = dags(EXAMPLES[0])

    (sync,) = found["sync_crm"].tasks
    assert sync.outlets == [delivery_alias(CONNECTION_ID)]
    assert waited_for(found["report"]) == stream_assets(
        ["users", "orders"],
        destination="postgres",
        configuration={"host": "warehouse.example.com", "database": "analytics", "schema": "raw"},
    )


def test_a_dag_waits_for_the_sources_of_dbt(dags: Any) -> None:
    found = dags(EXAMPLES[1])

    assert waited_for(found["dbt"]) == dbt_source_assets(
        "dbt/target/manifest.json", "postgres://warehouse.example.com:5432"
    )


@pytest.mark.parametrize("name", TABLES)
def test_each_destination_with_a_standard_name_is_in_the_table(name: str) -> None:
    rows = re.search(r"\| Destination \|.*?\n\n", SECTION, re.DOTALL)

    assert rows is not None
    assert f"`{TABLES[name].dataset.namespace.partition(':')[0]}" in rows.group()
