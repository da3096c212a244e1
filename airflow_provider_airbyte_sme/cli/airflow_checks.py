"""The checks of Airflow itself, in the form of :mod:`~.api.doctor`."""

from __future__ import annotations

import atexit
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from typing import Any, TypeVar

from airflow_provider_airbyte_sme import __version__
from airflow_provider_airbyte_sme.api import AirbyteSettings, AirbyteSettingsNotFoundError
from airflow_provider_airbyte_sme.api.doctor import (
    Finding,
    Step,
    call_in_time,
    failed,
    ok,
    port_of,
    skipped,
    skipped_after,
    warning,
)
from airflow_provider_airbyte_sme.api.waiting import duration_text
from airflow_provider_airbyte_sme.cli.airbyte import read_connection
from airflow_provider_airbyte_sme.cli.features import PACKAGES, lacking

T = TypeVar("T")

_TRIGGERER_JOB = "TriggererJob"
_TRIGGERER_ADVICE = (
    "Start one (airflow triggerer): without it, deferrable tasks and sensors, and airbyte_asset, "
    "wait for ever."
)
_MAX_TRIGGERERS = 100
_CONNECTION_STEP = "airflow-connection"


@dataclass
class AirflowSide:
    """
    What concerns Airflow.

    :param conn_id: Id of the Airflow connection.
    :param time_limit: Seconds for each question to a secrets backend or to the database.
    :param settings: Read from the connection by the first step.
    :param is_broken: Whether Airflow does not even start here.
    """

    conn_id: str
    time_limit: float = 30.0
    settings: AirbyteSettings | None = None
    is_broken: bool = False

    def secrets(self) -> Sequence[str]:
        """Return what must not appear in a check."""
        return self.settings.secrets if self.settings else ()

    def ask(self, question: Callable[[], T]) -> T:
        """
        Return the answer of a secrets backend or of the database.

        :raises TimeoutError: There is none in time.
        """
        from airflow import settings

        try:
            return call_in_time(question, self.time_limit)
        except TimeoutError:
            # At the end of the process it would close what a thread still waits for.
            atexit.unregister(settings.dispose_orm)
            raise


async def check_airflow_connection(side: AirflowSide) -> Finding:
    """Read and parse the Airflow connection."""
    try:
        _start_airflow()
    # Whatever is wrong with its configuration or with what is installed.
    except Exception as error:
        side.is_broken = True
        return failed(
            f"Airflow does not start here: {_reason(error)}.",
            "Correct Airflow's configuration, or what is installed, until the command "
            "`airflow version` works on this machine.",
        )
    try:
        connection = side.ask(partial(read_connection, side.conn_id))
    except (AirbyteSettingsNotFoundError, TimeoutError) as error:
        return _without_connection(side, error)
    return _of_connection(side, connection)


def _start_airflow() -> None:
    """Load what the checks need of Airflow, which reads its configuration."""
    import airflow.models.connection  # noqa: F401


def _of_connection(side: AirflowSide, connection: Any) -> Finding:
    from airflow_provider_airbyte_sme.connection import settings_from_connection

    side.settings = settings_from_connection(connection)
    port = f", Port {connection.port}" if connection.port else ""
    kind = f"the type {connection.conn_type}" if connection.conn_type else "no type"
    saw = f"{side.conn_id!r}{_origin(side.conn_id)} has {kind}, Host {connection.host!r}{port}."
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


def _without_connection(side: AirflowSide, error: Exception) -> Finding:
    """Tell where Airflow has looked for the connection, and where it could not."""
    results = _ask_sources(side)
    failures = {name: failure for name, failure in results.items() if failure}
    if failures:
        return _not_everywhere(side.conn_id, failures)
    if isinstance(error, TimeoutError):
        return failed(
            f"Airflow did not find the connection {side.conn_id!r} within {side.time_limit:g} s.",
            f"Look for what is slow: {', '.join(results)}.",
        )
    return failed(
        f"Airflow did not find the connection {side.conn_id!r} in {', '.join(results)}.",
        "Create it under Admin > Connections with the type Airbyte SME, or correct --conn-id.",
    )


def _ask_sources(side: AirflowSide) -> dict[str, Exception | None]:
    """
    Return why secrets backends cannot be asked, by their names; one of them is the database.

    Airflow hides it, and asks the next one.

    :return: For each the reason; ``None`` for one that responds.
    """
    from airflow.configuration import ensure_secrets_loaded

    results: dict[str, Exception | None] = {}
    for source in ensure_secrets_loaded():
        results[type(source).__name__] = None
        try:
            side.ask(partial(source.get_connection, conn_id=side.conn_id))
        # Each has exceptions of its own.
        except Exception as error:
            results[type(source).__name__] = error
    return results


def _not_everywhere(conn_id: str, failures: Mapping[str, Exception]) -> Finding:
    reasons = "; ".join(f"{name}: {_reason(error)}" for name, error in failures.items())
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


def _reason(error: Exception) -> str:
    return f"{type(error).__name__} {_first_line(error)}".strip().removesuffix(".")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


async def check_triggerer(side: AirflowSide) -> Finding:
    """Tell from Airflow's database whether a triggerer is alive."""
    if side.is_broken:
        return skipped_after(_CONNECTION_STEP)
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return side.ask(_of_triggerers)
    # Airflow 3 has no session in a task.
    except (SQLAlchemyError, RuntimeError, TimeoutError) as error:
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
        # One that was stopped has said so. Others may have died long before it.
        has_died = jobs[0].state == JobState.RUNNING
        return (failed if has_died else warning)(saw, _TRIGGERER_ADVICE)


def _heartbeat(job: Any) -> str:
    ago = (datetime.now(UTC) - job.latest_heartbeat).total_seconds()
    return f"The last heartbeat was {duration_text(max(0.0, ago))} ago, on {job.hostname}."


async def check_airflow(side: AirflowSide) -> Finding:
    """Tell the version of Airflow, and what the provider cannot do with it."""
    if side.is_broken:
        return skipped_after(_CONNECTION_STEP)
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


FIRST_STEPS: tuple[Step[AirflowSide], ...] = (Step(_CONNECTION_STEP, check_airflow_connection),)
"""What has to work before Airbyte can be looked at."""

LAST_STEPS: tuple[Step[AirflowSide], ...] = (
    Step("triggerer", check_triggerer),
    Step("airflow", check_airflow),
    Step("provider", check_provider),
)
"""What does not depend on Airbyte."""
