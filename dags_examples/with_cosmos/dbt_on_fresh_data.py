"""
Run dbt as soon as Airbyte has delivered all that dbt reads. Needs Cosmos.

Cosmos makes a task of each dbt model. The DAG has no time of its own: it runs when each table that
dbt reads has been delivered since its last run. The tables are named as in dbt's manifest, and a
sync with ``emit_assets=True`` names what it delivers in the same way: see sync_emits_assets.py.

``dbt parse`` writes the manifest. Run it when you deploy the project, so that Airflow need not run
dbt to parse this file. ``DUCKDB_PATH`` is the database, and ``DBT_MANIFEST`` the manifest if it is
not in the folder ``target`` of the project.
"""

from __future__ import annotations

import os
from pathlib import Path

from cosmos import (
    DbtDag,
    ExecutionConfig,
    LoadMode,
    ProfileConfig,
    ProjectConfig,
    RenderConfig,
    TestBehavior,
)

from airflow_provider_airbyte_sme.assets import dbt_source_assets

PROJECT = Path(__file__).parent / "dbt"
MANIFEST = Path(os.environ.get("DBT_MANIFEST", PROJECT / "target" / "manifest.json"))

# Airflow finds a DAG only if a variable of the module holds it.
dbt_on_fresh_data = DbtDag(
    dag_id="dbt_on_fresh_data",
    schedule=dbt_source_assets(MANIFEST, f"duckdb://{os.environ['DUCKDB_PATH']}"),
    project_config=ProjectConfig(manifest_path=MANIFEST, project_name="fresh_data"),
    profile_config=ProfileConfig(
        profile_name="fresh_data",
        target_name="duckdb",
        profiles_yml_filepath=PROJECT / "profiles.yml",
    ),
    execution_config=ExecutionConfig(dbt_project_path=PROJECT),
    render_config=RenderConfig(
        load_method=LoadMode.DBT_MANIFEST,
        test_behavior=TestBehavior.NONE,
    ),
    max_active_runs=1,
    max_active_tasks=1,  # one process at a time can write to a DuckDB file
    tags=["airbyte", "dbt"],
)
