from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.make_env import write_env
from tests.compose.composition import (
    Service,
    read_configs,
    read_services,
    read_settings,
)


@pytest.fixture(scope="session")
def compose_file(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.rootpath / "docker-compose.yml"


@pytest.fixture(scope="session")
def settings_example(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.rootpath / ".env.example"


@pytest.fixture(scope="session")
def settings(settings_example: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings that `make env` writes."""
    env_file = tmp_path_factory.mktemp("settings") / ".env"
    write_env(settings_example, env_file)
    return read_settings(env_file.read_text())


@pytest.fixture(scope="session")
def services(compose_file: Path, settings: Mapping[str, str]) -> dict[str, Service]:
    return read_services(compose_file, settings)


@pytest.fixture(scope="session")
def configs(compose_file: Path, settings: Mapping[str, str]) -> dict[str, str]:
    return read_configs(compose_file, settings)
