"""The machine and the versions that figures depend on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = (
    "apache-airflow",
    "airflow-provider-airbyte-sme",
    "apache-airflow-providers-airbyte",
    "airbyte-api",
    "aiohttp",
    "httpx",
    "requests",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """
    Where and when something was measured.

    :param memory_gib: Memory in GiB.
    :param load: Average number of runnable processes in the minute before.
    :param date: Day in UTC.
    """

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]
    load: float
    date: str

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return (
            f"{self.date}, {self.processor}, {self.cores} cores, {self.memory_gib:.0f} GiB, "
            f"{self.system}, Python {self.python}; load before the first measurement "
            f"{self.load:.1f}; {packages}"
        )


def describe_machine() -> Machine:
    """Return the description of this machine, now."""
    return Machine(
        processor=_processor(),
        cores=_cores(),
        memory_gib=psutil.virtual_memory().total / 2**30,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: number for name in PACKAGES if (number := _version(name))},
        load=psutil.getloadavg()[0],
        date=datetime.now(UTC).date().isoformat(),
    )


def _cores() -> int:
    # A container may use fewer cores than the machine has.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
