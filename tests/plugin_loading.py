"""What Airflow loads when it loads a plugin, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

PACKAGE = "airflow_provider_airbyte_sme."


class Loaded(NamedTuple):
    """
    What loading a plugin has done.

    :param apps: How many web applications it has.
    :param modules: All that was imported, besides what Airflow had imported before.
    """

    apps: int
    modules: tuple[str, ...]

    def beginning_with(self, names: Sequence[str]) -> list[str]:
        """Return the modules whose names begin with one of *names*."""
        return [module for module in self.modules if module.startswith(tuple(names))]

    @property
    def ours(self) -> set[str]:
        """The modules of this package, with names relative to it."""
        return {module.removeprefix(PACKAGE) for module in self.beginning_with([PACKAGE])}


def load_plugin(module: str, name: str, **environment: str) -> Loaded:
    """
    Load a plugin as each component of Airflow does.

    :param module: Relative to this package.
    :param environment: Variables for the process.
    """
    script = (
        "import sys, airflow\n"
        "from airflow.providers.common.compat.sdk import AirflowPlugin, conf\n"
        "before = set(sys.modules)\n"
        f"from {PACKAGE}{module} import {name}\n"
        f"{name}().on_load()\n"
        f"print(len({name}.fastapi_apps))\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    count, modules = ran.stdout.strip().splitlines()[-2:]
    return Loaded(int(count), tuple(modules.split()))
