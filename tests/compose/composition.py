"""Parses docker-compose.yml like Docker Compose; supports only what that file uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

INTERPOLATION = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>[A-Z_]+):\?\}|(?P<other>))")


@dataclass(frozen=True)
class Service:
    """One service, with its variables interpolated."""

    name: str
    definition: Mapping[str, Any]

    @property
    def command(self) -> list[str]:
        """The container's command; the Airflow image's entry point runs it unchanged."""
        return [*self.definition.get("entrypoint", []), *self.definition.get("command", [])]

    @property
    def environment(self) -> dict[str, str]:
        return dict(self.definition.get("environment", {}))

    @property
    def health_check(self) -> list[str]:
        """The health check command; empty for a service without one."""
        kind, *command = self.definition.get("healthcheck", {}).get("test", ["NONE"])
        return ["sh", "-c", *command] if kind == "CMD-SHELL" else command

    @property
    def replicas(self) -> int:
        replicas: int = self.definition.get("deploy", {}).get("replicas", 1)
        return replicas

    @property
    def depends_on(self) -> dict[str, str]:
        """Name to condition of the services that this one waits for."""
        return {
            name: dependency["condition"]
            for name, dependency in self.definition.get("depends_on", {}).items()
        }

    @property
    def commands(self) -> Iterator[list[str]]:
        """Every command that the service runs; a shell script is split into its commands."""
        for command in (self.command, self.health_check):
            if command[:1] in (["bash"], ["sh"]):
                yield from (part.split() for part in command[-1].split("&&"))
            elif command:
                yield command


def read_settings(text: str) -> dict[str, str]:
    """Parse the text of a .env file."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def read_services(file: Path, settings: Mapping[str, str]) -> dict[str, Service]:
    """
    Parse the services of a Compose file.

    :param settings: Variable to value.
    :raises KeyError: A variable has no value.
    :raises ValueError: A variable does not have the form ``${NAME:?}``.
    """
    services = yaml.safe_load(file.read_text())["services"]
    return {
        name: Service(name, interpolate(definition, settings))
        for name, definition in services.items()
    }


def read_configs(file: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Parse the configs of a Compose file, name to content; raises what `read_services` raises."""
    configs = yaml.safe_load(file.read_text())["configs"]
    return {name: interpolate(config["content"], settings) for name, config in configs.items()}


def interpolate(value: Any, settings: Mapping[str, str]) -> Any:
    """Replace the variables in every string of a parsed document."""

    def replace(match: re.Match[str]) -> str:
        if match["other"] is not None:
            raise ValueError(f"expected only variables of the form ${{NAME:?}}: {match.string}")
        return "$" if match["escaped"] else settings[match["name"]]

    if isinstance(value, str):
        return INTERPOLATION.sub(replace, value)
    if isinstance(value, list):
        return [interpolate(each, settings) for each in value]
    if isinstance(value, dict):
        return {key: interpolate(each, settings) for key, each in value.items()}
    return value
