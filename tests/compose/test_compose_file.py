import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version

import pytest
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf

from tests.compose.composition import INTERPOLATION, Service, read_settings

AIRFLOW_IMAGE = "airflow-provider-airbyte-sme"
SECRET = re.compile("PASSWORD|SECRET|KEY$")


def airflow_commands(services: dict[str, Service]) -> Iterator[list[str]]:
    for service in services.values():
        yield from (command for command in service.commands if command[0] == "airflow")


def test_the_file_follows_the_schema_of_the_compose_specification(compose_file):
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]

    checked = subprocess.run([*checker, compose_file], capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_cluster_has_the_parts_that_a_deployment_has(services):
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


def test_every_service_that_stays_up_has_a_health_check(services):
    assert {name for name, service in services.items() if not service.health_check} == {"init"}


def test_a_service_depends_only_on_what_has_the_condition(services):
    for service in services.values():
        for name, condition in service.depends_on.items():
            wanted = "service_healthy" if services[name].health_check else None
            assert condition == (wanted or "service_completed_successfully"), service.name


def test_airflow_has_every_command_of_the_file(services):
    commands = list(airflow_commands(services))

    assert len(commands) == 9
    for command in commands:
        get_parser().parse_args(command[1:])


def test_the_emulator_has_every_option_of_the_file(services):
    command = services["emulator"].command
    options = {argument for argument in command if argument.startswith("--")}

    helped = subprocess.run(
        [sys.executable, "-m", "airflow_provider_airbyte_sme.emulator", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert command[:3] == ["python", "-m", "airflow_provider_airbyte_sme.emulator"]
    assert options <= set(re.findall(r"--[a-z-]+", helped.stdout))


def test_airflow_has_every_setting_of_the_file(services):
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


def test_a_setting_differs_between_services_only_where_it_says_something_of_one(services):
    airflow = [each for each in services.values() if each.definition["image"] == AIRFLOW_IMAGE]
    shared = [set(each.environment.items()) for each in airflow if each.name != "emulator"]

    assert {name for name, _ in set.union(*shared) - set.intersection(*shared)} == {
        "AIRFLOW_ADMIN_PASSWORD",
        "AIRFLOW_ADMIN_USER",
        "DUMB_INIT_SETSID",
    }


def test_the_example_settings_are_those_that_the_file_asks_for(compose_file, settings_example):
    asked = {match["name"] for match in INTERPOLATION.finditer(compose_file.read_text())}

    assert asked - {None} == set(read_settings(settings_example.read_text()))


def test_no_secret_is_in_a_file_and_every_one_is_in_the_filled_settings(settings_example, settings):
    example = read_settings(settings_example.read_text())
    secrets = {name: value for name, value in settings.items() if SECRET.search(name)}

    assert {name for name, value in example.items() if not value} == set(secrets)
    assert len(set(secrets.values())) == len(secrets)
    assert all(len(secret) >= 32 for secret in secrets.values())


@pytest.mark.parametrize("name", ["PASSWORD", "SECRET", "KEY"])
def test_a_secret_in_the_file_is_a_variable(name, compose_file):
    values = re.findall(rf"^ *[A-Z_]*{name}: (.*)$", compose_file.read_text(), re.MULTILINE)

    assert values
    for value in values:
        assert INTERPOLATION.fullmatch(value), value


def test_the_image_is_the_airflow_that_the_tests_run_on(pytestconfig):
    dockerfile = (pytestconfig.rootpath / "docker/Dockerfile").read_text()

    assert f"ARG AIRFLOW_VERSION={version('apache-airflow')}\n" in dockerfile
