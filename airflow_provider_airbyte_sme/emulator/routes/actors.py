"""
Sources and destinations of the public API, which mirror each other.

``SourcesController.kt``, ``DestinationsController.kt``, ``SourceReadMapper.kt``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import boolean
from airflow_provider_airbyte_sme.emulator.connectors import connector_name, masked
from airflow_provider_airbyte_sme.emulator.pages import page
from airflow_provider_airbyte_sme.emulator.problems import json_response
from airflow_provider_airbyte_sme.emulator.routes.workspaces import kept_filters
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import Actor, ActorKind

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call


def actor_response(actor: Actor) -> dict[str, Any]:
    """Write a source or a destination, its secrets masked."""
    fields: dict[str, Any] = {
        f"{actor.kind}Id": actor.id,
        "name": actor.name,
        f"{actor.kind}Type": connector_name(actor.kind, actor.definition_id),
        "definitionId": actor.definition_id,
        "workspaceId": actor.workspace_id,
        "configuration": masked(actor.configuration),
        "createdAt": int(actor.created_at),
        "resourceAllocation": actor.resource_allocation,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _router(kind: ActorKind) -> Router:
    router = Router(PUBLIC_API)
    collection = f"{kind}s"

    @router.add("GET", f"/{collection}")
    def list_actors(call: Call) -> HttpResponse:
        limit, offset = call.query.page()
        include_deleted = call.query.converted("includeDeleted", boolean) or False
        workspaces = set(call.readable_workspaces())
        return json_response(
            200,
            page(
                [
                    actor
                    for actor in call.world.actors(kind).values()
                    if actor.workspace_id in workspaces and (include_deleted or not actor.deleted)
                ],
                actor_response,
                url=call.public_url(collection),
                kept=kept_filters(call, include_deleted),
                limit=limit,
                offset=offset,
            ),
        )

    @router.add("GET", f"/{collection}/{{{kind}Id}}")
    def get_actor(call: Call) -> HttpResponse:
        actor = call.actor(kind, call.parameters[f"{kind}Id"], roles.READER, name=roles.READER)
        return json_response(200, actor_response(actor))

    return router


ROUTERS = (_router("source"), _router("destination"))
