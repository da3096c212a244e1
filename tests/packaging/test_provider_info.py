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
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger

import airflow_provider_airbyte_sme
from airflow_provider_airbyte_sme.get_provider_info import get_provider_info


@pytest.fixture
def provider_info() -> dict[str, Any]:
    return get_provider_info()


def class_paths(provider_info: dict[str, Any]) -> Iterator[str]:
    yield from (each["hook-class-name"] for each in provider_info["connection-types"])
    yield from provider_info["extra-links"]


def test_provider_info_conforms_to_airflows_schema(provider_info):
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    jsonschema.validate(provider_info, schema)


def test_name_and_version_are_consistent(provider_info):
    name = provider_info["package-name"]

    assert name == "airflow-provider-airbyte-sme"
    assert airflow_provider_airbyte_sme.__version__ == version(name) == provider_info["versions"][0]


def test_every_class_in_provider_info_exists(provider_info):
    for path in class_paths(provider_info):
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(import_module(module), name), type), path


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        ("hooks", BaseHook),
        ("operators", BaseOperator),
        ("sensors", BaseSensorOperator),
        ("triggers", BaseTrigger),
    ],
)
def test_provider_info_lists_the_modules_that_define_classes_for_airflow(kind, base, provider_info):
    folder = Path(airflow_provider_airbyte_sme.__file__).parent / kind
    modules = [
        import_module(f"{folder.parent.name}.{kind}.{path.stem}") for path in folder.glob("*.py")
    ]
    defining = {
        module.__name__
        for module in modules
        if any(
            isinstance(each, type) and issubclass(each, base) and each.__module__ == module.__name__
            for each in vars(module).values()
        )
    }

    (integration,) = provider_info[kind]
    assert set(integration["python-modules"]) == defining


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
