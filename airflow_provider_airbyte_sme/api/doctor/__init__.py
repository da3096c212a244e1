"""
The checks of a connection to Airbyte, step by step, as data.

The Test button of Airflow's connection form runs the first steps, the command ``doctor`` all of
them. They only read: they send GETs, the request of a token, and
``POST /api/v1/jobs/get_without_logs``. Some of them block, so they are not for an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airflow_provider_airbyte_sme.api.doctor.answers import (
    MAX_WORKSPACES,
    check_airbyte,
    check_clock,
    check_latency,
    check_links,
    check_token,
    check_version,
    check_workspaces,
)
from airflow_provider_airbyte_sme.api.doctor.checks import (
    Check,
    Finding,
    Outcome,
    Step,
    call_in_time,
    check_of,
    failed,
    failed_by,
    ignore,
    ok,
    run_steps,
    skipped,
    skipped_after,
    warning,
)
from airflow_provider_airbyte_sme.api.doctor.connections import (
    check_config_api,
    check_connection,
    check_role,
    check_running_job,
    check_schedule,
    check_status,
    check_syncs,
)
from airflow_provider_airbyte_sme.api.doctor.subject import Subject
from airflow_provider_airbyte_sme.api.doctor.way import (
    check_dns,
    check_proxy,
    check_tcp,
    check_tls,
    check_tunnel,
    check_url,
    port_of,
)

__all__ = [
    "CONNECTION_STEPS",
    "MAX_WORKSPACES",
    "STEPS",
    "TEST_STEPS",
    "TEST_TIME_LIMIT",
    "TIME_LIMIT",
    "Check",
    "Finding",
    "Outcome",
    "Step",
    "Subject",
    "call_in_time",
    "check_of",
    "failed",
    "failed_by",
    "ignore",
    "ok",
    "port_of",
    "run_checks",
    "run_steps",
    "skipped",
    "skipped_after",
    "steps_for",
    "warning",
]

# Seconds. A person waits for the Test button, and an ingress before Airflow often for 60 s only.
TEST_TIME_LIMIT = 50.0
TIME_LIMIT = 300.0

TEST_STEPS: tuple[Step[Subject], ...] = (
    Step("url", check_url),
    Step("proxy", check_proxy, ("url",)),
    Step("dns", check_dns, ("proxy",)),
    Step("tcp", check_tcp, ("dns",)),
    Step("tunnel", check_tunnel, ("tcp",)),
    Step("tls", check_tls, ("tunnel",)),
    Step(
        "airbyte",
        check_airbyte,
        ("tls",),
        failure="The Airbyte URL does not lead to a working Airbyte.",
    ),
    Step(
        "token",
        check_token,
        ("airbyte",),
        failure="Airbyte issued no token for this Client ID and Client secret.",
    ),
    Step("workspaces", check_workspaces, ("token",), failure="The workspaces cannot be listed."),
    Step("version", check_version, ("airbyte",)),
)
"""The steps of the Test button."""

STEPS: tuple[Step[Subject], ...] = (
    *TEST_STEPS,
    Step("clock", check_clock, ("airbyte",)),
    Step("latency", check_latency, ("airbyte",)),
    Step("links", check_links, ("url",)),
)
"""Those, and what else concerns each connection to Airbyte."""

CONNECTION_STEPS: tuple[Step[Subject], ...] = (
    Step("connection", check_connection, ("token",), failure="The connection cannot be read."),
    Step("status", check_status, ("connection",)),
    Step("schedule", check_schedule, ("connection",)),
    Step("role", check_role, ("connection",)),
    Step("syncs", check_syncs, ("connection",), failure="The jobs cannot be listed."),
    Step("running-job", check_running_job, ("syncs",)),
)
"""The steps about one Airbyte connection."""

_LAST_STEPS: tuple[Step[Subject], ...] = (Step("config-api", check_config_api, ("token",)),)


def steps_for(connection_id: str) -> tuple[Step[Subject], ...]:
    """
    Return all steps in their order.

    :param connection_id: UUID of an Airbyte connection; empty for none.
    """
    return (*STEPS, *(CONNECTION_STEPS if connection_id else ()), *_LAST_STEPS)


async def run_checks(
    subject: Subject,
    steps: Sequence[Step[Subject]],
    on_check: Callable[[Check], None] = ignore,
) -> list[Check]:
    """
    Look at one Airbyte, and close its client.

    :param on_check: Gets each check as soon as it is made.
    """
    try:
        return await run_steps(
            steps,
            subject,
            secrets=subject.secrets,
            seconds_left=subject.seconds_left,
            on_check=on_check,
        )
    finally:
        await subject.close()
