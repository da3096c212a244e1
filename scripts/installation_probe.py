"""
Loads what Airflow, or pytest, loads of the installed package. `scripts/release_check.py` runs it.

It runs in a new environment, which has nothing but the package and what it depends on.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
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
    found = {each.group for each in entry_points}
    known = {group for groups in GROUPS.values() for group in groups}
    if unknown := found - known:
        raise RuntimeError(f"nothing loads entry points of {', '.join(sorted(unknown))}")
    if missing := known - found:
        raise RuntimeError(f"there is no entry point of {', '.join(sorted(missing))}")
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
    info = entry_point.load()()
    schema = Path(airflow.__file__).with_name("provider_info.schema.json").read_text("utf-8")
    try:
        jsonschema.validate(info, json.loads(schema))
    except jsonschema.ValidationError as error:
        raise RuntimeError(f"provider info at {error.json_path}: {error.message}") from None
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for module in (name for each in info[kind] for name in each["python-modules"]):
            import_module(module)
    manager = ProvidersManager()
    if DISTRIBUTION not in manager.providers:
        raise RuntimeError("Airflow does not list the provider")
    if manager.hooks.get("airbyte_sme") is None:
        raise RuntimeError("Airflow cannot load the hook of airbyte_sme")


if __name__ == "__main__":
    main(sys.argv[1])
