"""
Loads what Airflow, or pytest, loads of the installed package. `scripts/release_check.py` runs it.

It runs in a new environment, which has nothing but the package and what it depends on.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import distribution
from pathlib import Path

DISTRIBUTION = "airflow-provider-airbyte-sme"
GROUPS = {"airflow": ("apache_airflow_provider", "airflow.plugins"), "pytest": ("pytest11",)}


def main(user: str) -> None:
    """
    Load the entry points of *user*, which is a key of :data:`GROUPS`.

    :raises RuntimeError: Airflow does not accept something.
    """
    entry_points = distribution(DISTRIBUTION).entry_points
    known = {group for groups in GROUPS.values() for group in groups}
    if unknown := {each.group for each in entry_points} - known:
        raise RuntimeError(f"nothing loads entry points of {', '.join(sorted(unknown))}")
    for each in entry_points:
        if each.group in GROUPS[user]:
            each.load()
    if user == "airflow":
        check_provider_info()


def check_provider_info() -> None:
    """
    Check that Airflow accepts the provider info, and has the type of connection from it.

    :raises RuntimeError: It does not.
    """
    import airflow
    import jsonschema
    from airflow.providers_manager import ProvidersManager

    (entry_point,) = distribution(DISTRIBUTION).entry_points.select(group="apache_airflow_provider")
    schema = Path(airflow.__file__).with_name("provider_info.schema.json").read_text("utf-8")
    jsonschema.validate(entry_point.load()(), json.loads(schema))
    manager = ProvidersManager()
    if DISTRIBUTION not in manager.providers:
        raise RuntimeError("Airflow does not list the provider")
    if manager.hooks.get("airbyte_sme") is None:
        raise RuntimeError("Airflow cannot load the hook of airbyte_sme")


if __name__ == "__main__":
    main(sys.argv[1])
