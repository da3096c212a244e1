"""The checks of Airflow itself, in the form of :mod:`~.api.doctor`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from typing import Any

from airflow_provider_airbyte_sme import __version__
from airflow_provider_airbyte_sme.api import AirbyteSettings, AirbyteSettingsNotFoundError
from airflow_provider_airbyte_sme.api.doctor import (
    Finding,
    Step,
    failed,
    ok,
    port_of,
    skipped,
    warning,
)
from airflow_provider_airbyte_sme.api.waiting import duration_text
from airflow_provider_airbyte_sme.cli.airbyte import read_connection
from airflow_provider_airbyte_sme.cli.features import PACKAGES, lacking

_TRIGGERER_JOB = "TriggererJob"
_TRIGGERER_ADVICE = (
    "Start one (airflow triggerer): without it, deferrable tasks, sensors and airbyte_asset wait "
    "for ever."
)
_MAX_TRIGGERERS = 100


@dataclass
class AirflowSide:
    """
    What concerns Airflow.

    :param conn_id: Id of the Airflow connection.
    :param settings: Read from it by the first step.
    """

    conn_id: str
    settings: AirbyteSettings | None = None

    def secrets(self) -> Sequence[str]:
        """Return what must not appear in a check."""
        return self.settings.secrets if self.settings else ()


async def check_airflow_connection(side: AirflowSide) -> Finding:
    """Read and parse the Airflow connection."""
    from airflow_provider_airbyte_sme.connection import settings_from_connection

    try:
        connection = read_connection(side.conn_id)
    except AirbyteSettingsNotFoundError:
        if failures := _failures_of_sources(side.conn_id):
            return _not_everywhere(side.conn_id, failures)
        raise
    side.settings = settings_from_connection(connection)
    port = f", Port {connection.port}" if connection.port else ""
    saw = (
        f"{side.conn_id!r}{_origin(side.conn_id)} has the type {connection.conn_type}, Host "
        f"{connection.host!r}{port}."
    )
    public = side.settings.urls.public
    if connection.port and connection.port != port_of(public):
        return warning(
            f"{saw} Port is not used, because Host names another: the public API is {public}.",
            "Clear Port, or remove the port from Host.",
        )
    return ok(saw)


def _origin(conn_id: str) -> str:
    """Return the variable that the connection comes from, as text; empty if it may be another."""
    from airflow.configuration import conf

    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    # Airflow asks a secrets backend first.
    has_backend = conf.get("secrets", "backend", fallback="")
    return f" from {variable}" if os.environ.get(variable) and not has_backend else ""


def _failures_of_sources(conn_id: str) -> dict[str, Exception]:
    """
    Return why secrets backends cannot be asked, by their names; one of them is the database.

    Airflow hides it, and asks the next one.
    """
    from airflow.configuration import ensure_secrets_loaded

    failures: dict[str, Exception] = {}
    for source in ensure_secrets_loaded():
        try:
            source.get_connection(conn_id=conn_id)
        # Each has exceptions of its own.
        except Exception as error:
            failures[type(source).__name__] = error
    return failures


def _not_everywhere(conn_id: str, failures: Mapping[str, Exception]) -> Finding:
    reasons = "; ".join(
        f"{name}: {type(error).__name__} {_first_line(error)}".strip()
        for name, error in failures.items()
    )
    saw = f"Airflow did not find the connection {conn_id!r}, but could not look everywhere: "
    if any(type(error).__name__ == "InvalidToken" for error in failures.values()):
        change = (
            "Set fernet_key of Airflow, in [core], to the key with which the connection was "
            "encrypted."
        )
    elif "MetastoreBackend" in failures:
        change = (
            f"Let this machine use Airflow's database. Where it must not, as on a worker of "
            f"Airflow 3, put the connection into AIRFLOW_CONN_{conn_id.upper()} for this command."
        )
    else:
        change = "Correct backend and backend_kwargs of Airflow, in [secrets]."
    return failed(f"{saw}{reasons}.", change)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


async def check_triggerer(_: AirflowSide) -> Finding:
    """Tell from Airflow's database whether a triggerer is alive."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return _of_triggerers()
    # Airflow 3 has no session in a task.
    except (SQLAlchemyError, RuntimeError) as error:
        return skipped(f"Airflow's database cannot be read here: {_first_line(error)}.")


def _of_triggerers() -> Finding:
    from airflow.jobs.job import Job, JobState
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = (
        select(Job)
        .where(Job.job_type == _TRIGGERER_JOB)
        .order_by(Job.latest_heartbeat.desc())
        .limit(_MAX_TRIGGERERS)
    )
    with create_session() as session:
        jobs = list(session.scalars(query))
        if alive := [job for job in jobs if job.is_alive()]:
            return ok(f"{len(alive)} alive. {_heartbeat(alive[0])}")
        if not jobs:
            return warning("None has ever run.", _TRIGGERER_ADVICE)
        saw = f"None is alive. {_heartbeat(jobs[0])}"
        # One that was stopped has said so.
        is_dead = any(job.state == JobState.RUNNING for job in jobs)
        return (failed if is_dead else warning)(saw, _TRIGGERER_ADVICE)


def _heartbeat(job: Any) -> str:
    ago = (datetime.now(UTC) - job.latest_heartbeat).total_seconds()
    return f"The last heartbeat was {duration_text(max(0.0, ago))} ago, on {job.hostname}."


async def check_airflow(_: AirflowSide) -> Finding:
    """Tell the version of Airflow, and what the provider cannot do with it."""
    from airflow import __version__ as airflow_version

    release = [int(part) for part in airflow_version.split(".")[:2]]
    missing = [
        f"{', '.join(feature.name for feature in features)} (Airflow {major}.{minor})"
        for (major, minor), features in groupby(lacking(release), lambda each: each.since)
    ]
    saw = f"Airflow {airflow_version} on Python {platform.python_version()}"
    return ok(f"{saw} lacks: {'; '.join(missing)}." if missing else f"{saw} has every feature.")


async def check_provider(_: AirflowSide) -> Finding:
    """Tell the version of the provider, and what it cannot do without optional packages."""
    missing = [
        f"{package.distribution} ({package.name})"
        for package in PACKAGES
        if not _is_installed(package.distribution)
    ]
    saw = f"airflow-provider-airbyte-sme {__version__}"
    return ok(f"{saw}, without {', '.join(missing)}." if missing else f"{saw}, with all packages.")


def _is_installed(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except PackageNotFoundError:
        return False


FIRST_STEPS: tuple[Step[AirflowSide], ...] = (Step("airflow-connection", check_airflow_connection),)
"""What has to work before Airbyte can be looked at."""

LAST_STEPS: tuple[Step[AirflowSide], ...] = (
    Step("triggerer", check_triggerer),
    Step("airflow", check_airflow),
    Step("provider", check_provider),
)
"""What does not depend on Airbyte."""
