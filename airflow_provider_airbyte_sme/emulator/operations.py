"""The route table: every operation that the emulator serves."""

from __future__ import annotations

from airflow_provider_airbyte_sme.emulator.routes import (
    actors,
    config_actors,
    config_connections,
    config_jobs,
    config_people,
    config_state,
    connections,
    definitions,
    groups,
    jobs,
    people,
    regions,
    system,
    tags,
    tokens,
    web_backend,
    workspaces,
)
from airflow_provider_airbyte_sme.emulator.routing import Route

OPERATIONS: tuple[Route, ...] = tuple(
    route
    for module in (
        actors,
        config_actors,
        config_connections,
        config_jobs,
        config_people,
        config_state,
        connections,
        definitions,
        groups,
        jobs,
        people,
        regions,
        system,
        tags,
        tokens,
        web_backend,
        workspaces,
    )
    for router in module.ROUTERS
    for route in router.routes
)
