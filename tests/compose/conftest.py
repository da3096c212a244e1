import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

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
    """What .env says after the command that .env.example gives."""
    (command,) = re.findall(r"^# (awk .*)$", settings_example.read_text(), re.MULTILINE)
    folder = tmp_path_factory.mktemp("settings")
    (folder / settings_example.name).write_text(settings_example.read_text())
    subprocess.run(command, shell=True, check=True, cwd=folder)
    return read_settings((folder / ".env").read_text())


@pytest.fixture(scope="session")
def services(compose_file: Path, settings: Mapping[str, str]) -> dict[str, Service]:
    return read_services(compose_file, settings)


@pytest.fixture(scope="session")
def configs(compose_file: Path, settings: Mapping[str, str]) -> dict[str, str]:
    return read_configs(compose_file, settings)
