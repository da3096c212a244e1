"""Every operation that the emulator serves."""

from __future__ import annotations

from airflow_provider_airbyte_sme.emulator.routes import (
    actors,
    config_jobs,
    connections,
    jobs,
    system,
    tokens,
    workspaces,
)
from airflow_provider_airbyte_sme.emulator.routing import Route

OPERATIONS: tuple[Route, ...] = tuple(
    route
    for module in (actors, config_jobs, connections, jobs, system, tokens, workspaces)
    for router in module.ROUTERS
    for route in router.routes
)
