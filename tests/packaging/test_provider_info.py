import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_provider_airbyte_sme
from airflow_provider_airbyte_sme.get_provider_info import get_provider_info


@pytest.fixture
def provider_info() -> dict[str, Any]:
    return get_provider_info()


def class_paths(provider_info: dict[str, Any]) -> Iterator[str]:
    yield from (each["hook-class-name"] for each in provider_info["connection-types"])
    yield from provider_info["extra-links"]


def module_names(provider_info: dict[str, Any]) -> Iterator[str]:
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for integration in provider_info[kind]:
            yield from integration["python-modules"]


def test_provider_info_follows_the_schema_of_airflow(provider_info):
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    jsonschema.validate(provider_info, schema)


def test_there_is_one_version_and_one_name(provider_info):
    name = provider_info["package-name"]

    assert name == "airflow-provider-airbyte-sme"
    assert airflow_provider_airbyte_sme.__version__ == version(name) == provider_info["versions"][0]


def test_every_class_that_provider_info_names_is_there(provider_info):
    for path in class_paths(provider_info):
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(import_module(module), name), type), path


def test_provider_info_names_every_module_of_hooks_operators_sensors_and_triggers(provider_info):
    package = Path(airflow_provider_airbyte_sme.__file__).parent
    modules = {
        f"{package.name}.{folder}.{path.stem}"
        for folder in ("hooks", "operators", "sensors", "triggers")
        for path in (package / folder).glob("*.py")
        if path.stem != "__init__"
    }

    assert set(module_names(provider_info)) == modules


def test_airflow_lists_the_provider():
    airflow_cli = [sys.executable, "-m", "airflow"]
    listing = subprocess.run(
        [*airflow_cli, "providers", "list", "--output", "json"],
        check=True,
        capture_output=True,
        text=True,
    )
    versions = {each["package_name"]: each["version"] for each in json.loads(listing.stdout)}

    assert versions["airflow-provider-airbyte-sme"] == airflow_provider_airbyte_sme.__version__
