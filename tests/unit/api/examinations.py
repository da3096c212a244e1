"""Runs the doctor, and finds its checks by their names."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from airflow_provider_airbyte_sme.api import AirbyteSettings, AirbyteUrls, run_blocking
from airflow_provider_airbyte_sme.api.doctor import (
    Check,
    Outcome,
    Subject,
    run_checks,
    steps_for,
)
from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport
from airflow_provider_airbyte_sme.emulator import Emulator


def examine(
    url: str,
    *,
    web: str = "",
    connection_id: str = "",
    time_limit: float = math.inf,
    **fields: Any,
) -> dict[str, Check]:
    """
    Run all steps over sockets, with settings of the given fields.

    :param web: Where links point to; empty for *url*.
    """
    urls = AirbyteUrls.parse(url)
    settings = AirbyteSettings(replace(urls, web=web or urls.web), **fields)
    subject = Subject(settings, RequestsTransport, connection_id, time_limit=time_limit)
    return {
        check.name: check for check in run_blocking(run_checks(subject, steps_for(connection_id)))
    }


def examine_emulator(emulator: Emulator, url: str = "", **fields: Any) -> dict[str, Check]:
    """Run all steps against a served emulator, as its first application."""
    credentials = {"client_id": emulator.client_id, "client_secret": emulator.client_secret}
    return examine(url or emulator.url, **{**credentials, **fields})


def outcomes(checks: dict[str, Check]) -> dict[str, str]:
    """Return the outcome of each check."""
    return {name: str(check.outcome) for name, check in checks.items()}


def failures(checks: dict[str, Check]) -> list[str]:
    """Return the names of the checks that failed."""
    return [name for name, check in checks.items() if check.outcome is Outcome.FAILED]
