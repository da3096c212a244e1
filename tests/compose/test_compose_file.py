import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest
import yaml
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf

from tests.compose.composition import INTERPOLATION, Service, read_settings

AIRFLOW_IMAGE = "airflow-provider-airbyte-sme"
SECRET = re.compile("PASSWORD|SECRET|KEY$")


def airflow_commands(services: dict[str, Service]) -> Iterator[list[str]]:
    for service in services.values():
        yield from (command for command in service.commands if command[0] == "airflow")


def test_the_file_conforms_to_the_compose_specification(compose_file):
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]

    result = subprocess.run([*checker, compose_file], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_cluster_has_every_component_of_a_deployment(services):
    replicas = {name: service.replicas for name, service in services.items()}

    assert replicas == {
        "postgres": 1,
        "redis": 1,
        "init": 1,
        "api-server": 1,
        "scheduler": 1,
        "dag-processor": 1,
        "triggerer": 2,
        "worker": 1,
        "emulator": 1,
    }


def test_every_long_running_service_has_a_health_check(services):
    assert {name for name, service in services.items() if not service.health_check} == {"init"}


def test_dependency_conditions_match_the_services(services):
    for service in services.values():
        for name, condition in service.depends_on.items():
            expected = "service_healthy" if services[name].health_check else None
            assert condition == (expected or "service_completed_successfully"), service.name


def test_airflow_accepts_every_command(services):
    commands = list(airflow_commands(services))

    assert len(commands) == 9
    for command in commands:
        get_parser().parse_args(command[1:])


def test_the_emulator_accepts_every_option(services):
    command = services["emulator"].command
    options = {argument for argument in command if argument.startswith("--")}

    help_output = subprocess.run(
        [sys.executable, "-m", "airflow_provider_airbyte_sme.emulator", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert command[:3] == ["python", "-m", "airflow_provider_airbyte_sme.emulator"]
    assert options <= set(re.findall(r"--[a-z-]+", help_output.stdout))


def test_airflow_knows_every_configured_option(services):
    known = {
        f"AIRFLOW__{section}__{option}".upper()
        for section, description in conf.configuration_description.items()
        for option in description["options"]
    }
    configured = {
        name
        for service in services.values()
        for name in service.environment
        if name.startswith("AIRFLOW__")
    }

    assert len(configured) > 10
    assert configured <= known


def test_links_to_jobs_lead_to_a_port_that_the_cluster_publishes(services):
    connection = json.loads(services["worker"].environment["AIRFLOW_CONN_AIRBYTE_SME_DEFAULT"])
    web_url = urlsplit(connection["extra"]["web_url"])

    (published,) = services["emulator"].definition["ports"]
    assert urlsplit(connection["host"]).hostname == "emulator"
    assert web_url.hostname == "localhost"
    assert published.startswith(f"127.0.0.1:{web_url.port}:")


def test_the_database_of_dbt_is_not_named_as_its_schema(pytestconfig, services):
    """DuckDB names a database as its file, and refuses `analytics.sync_audit` if both exist."""
    profiles = pytestconfig.rootpath / "dags_examples" / "dbt" / "profiles.yml"
    outputs = yaml.safe_load(profiles.read_text(encoding="utf-8"))["airbyte_demo"]["outputs"]

    worker = services["worker"].environment

    database = PurePosixPath(worker["DUCKDB_PATH"]).stem
    assert database != outputs[worker["DBT_TARGET"]]["schema"]


def test_airflow_services_differ_only_in_service_specific_settings(services):
    airflow = [each for each in services.values() if each.definition["image"] == AIRFLOW_IMAGE]
    shared = [set(each.environment.items()) for each in airflow if each.name != "emulator"]

    assert {name for name, _ in set.union(*shared) - set.intersection(*shared)} == {
        "AIRFLOW_ADMIN_PASSWORD",
        "AIRFLOW_ADMIN_USER",
        "DUMB_INIT_SETSID",
    }


def test_the_example_settings_are_exactly_the_variables_of_the_file(compose_file, settings_example):
    variables = {match["name"] for match in INTERPOLATION.finditer(compose_file.read_text())}

    assert variables - {None} == set(read_settings(settings_example.read_text()))


def test_secrets_are_empty_in_the_example_and_generated_in_the_settings(settings_example, settings):
    example = read_settings(settings_example.read_text())
    secrets = {name: value for name, value in settings.items() if SECRET.search(name)}

    assert {name for name, value in example.items() if not value} == set(secrets)
    assert len(set(secrets.values())) == len(secrets)
    assert all(len(secret) >= 32 for secret in secrets.values())


@pytest.mark.parametrize("name", ["PASSWORD", "SECRET", "KEY"])
def test_secrets_in_the_file_are_variables(name, compose_file):
    values = re.findall(rf"^ *[A-Z_]*{name}: (.*)$", compose_file.read_text(), re.MULTILINE)

    assert values
    for value in values:
        assert INTERPOLATION.fullmatch(value), value


def test_the_image_has_the_airflow_version_of_the_tests(pytestconfig):
    dockerfile = (pytestconfig.rootpath / "docker/Dockerfile").read_text()

    assert f"ARG AIRFLOW_VERSION={version('apache-airflow')}\n" in dockerfile
