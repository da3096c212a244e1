"""The route table: every operation that the emulator serves."""

from __future__ import annotations

from airflow_provider_airbyte_sme.emulator.routes import (
    actors,
    config_connections,
    config_jobs,
    connections,
    definitions,
    groups,
    jobs,
    people,
    regions,
    system,
    tags,
    tokens,
    workspaces,
)
from airflow_provider_airbyte_sme.emulator.routing import Route

OPERATIONS: tuple[Route, ...] = tuple(
    route
    for module in (
        actors,
        config_connections,
        config_jobs,
        connections,
        definitions,
        groups,
        jobs,
        people,
        regions,
        system,
        tags,
        tokens,
        workspaces,
    )
    for router in module.ROUTERS
    for route in router.routes
)
