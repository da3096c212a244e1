"""
Sources and destinations of the public API, which mirror each other.

``docs/airbyte-api.md`` §4.2; OAuth: §5.6.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import (
    Body,
    array_of,
    boolean,
    json_object,
    one_of,
    text,
    uuid_text,
)
from airflow_provider_airbyte_sme.emulator.connectors import (
    connector_name,
    definition_id_of,
    spec_violations,
)
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.masking import masked, merged, restored, with_coordinates
from airflow_provider_airbyte_sme.emulator.nulls import drop_nested_nulls, drop_nulls
from airflow_provider_airbyte_sme.emulator.pagination import link_filters, page_response
from airflow_provider_airbyte_sme.emulator.problems import (
    json_response,
    no_content,
    not_found,
    unprocessable,
    value_not_found,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import Actor, ActorKind, new_id

_RESOURCES = Body(
    "",
    optional=dict.fromkeys(
        (
            "cpu_request",
            "cpu_limit",
            "memory_request",
            "memory_limit",
            "ephemeral_storage_request",
            "ephemeral_storage_limit",
        ),
        text,
    ),
)
_JOB_TYPES = (
    "get_spec",
    "check_connection",
    "discover_schema",
    "sync",
    "reset_connection",
    "connection_updater",
    "replicate",
)
_ALLOCATION = Body(
    "",
    optional={
        "default": _RESOURCES,
        "jobSpecific": array_of(
            Body("", required={"jobType": one_of(*_JOB_TYPES), "resourceRequirements": _RESOURCES})
        ),
    },
)


def actor_response(actor: Actor, configuration: dict[str, Any] | None = None) -> dict[str, Any]:
    """
    Return the response for a source or a destination.

    :param configuration: The default is the configuration of *actor* with its secrets masked.
    """
    fields: dict[str, Any] = {
        f"{actor.kind}Id": actor.id,
        "name": actor.name,
        f"{actor.kind}Type": connector_name(actor.kind, actor.definition_id),
        "definitionId": actor.definition_id,
        "workspaceId": actor.workspace_id,
        "configuration": masked(actor.configuration) if configuration is None else configuration,
        "createdAt": int(actor.created_at),
        "resourceAllocation": drop_nested_nulls(actor.resource_allocation),
    }
    return drop_nulls(fields)


def delete_actor(context: RequestContext, actor: Actor) -> None:
    """Delete *actor*, which stays readable, and every connection that uses it."""
    for connection in context.world.connections_of(actor):
        context.delete_connection(connection)
    actor.deleted = True
    actor.configuration = {}  # the server returns null then: §4.2


def _router(kind: ActorKind) -> Router:
    router = Router(PUBLIC_API)
    collection = f"/{kind}s"
    single = f"{collection}/{{{kind}Id}}"
    create_body = Body(
        f"{kind}CreateRequest",
        required={"name": text, "workspaceId": uuid_text, "configuration": json_object},
        optional={"definitionId": uuid_text, "secretId": text, "resourceAllocation": _ALLOCATION},
    )
    put_body = Body(
        f"{kind}PutRequest",
        required={"name": text, "configuration": json_object},
        optional={"resourceAllocation": _ALLOCATION},
    )
    patch_body = Body(
        f"{kind}PatchRequest",
        optional={
            "name": text,
            "configuration": json_object,
            "secretId": text,
            "workspaceId": text,
            "resourceAllocation": _ALLOCATION,
        },
    )

    def actor_in_path(context: RequestContext, *allowed: str, named: str | None = None) -> Actor:
        return context.actor(kind, context.parameters[f"{kind}Id"], *allowed, named=named)

    @router.add("POST", collection)
    def create_actor(context: RequestContext) -> HttpResponse:
        context.require_secured(context.raw_id("workspaceId"), *roles.ACTOR_EDITORS[kind])
        body = context.body(create_body)
        if body["workspaceId"] not in context.world.workspaces:
            raise not_found("STANDARD_WORKSPACE", body["workspaceId"])
        definition_id = body.get("definitionId") or _definition_by_name(kind, body["configuration"])
        if not _is_known(context, kind, definition_id):
            raise not_found(f"STANDARD_{kind.upper()}_DEFINITION", definition_id)
        actor = Actor(
            id=new_id(),
            kind=kind,
            name=body["name"],
            definition_id=definition_id,
            workspace_id=body["workspaceId"],
            configuration=_checked(kind, definition_id, body["configuration"]),
            created_at=context.now,
            resource_allocation=body.get("resourceAllocation"),
        )
        context.world.actors(kind)[actor.id] = actor
        return json_response(200, actor_response(actor))

    @router.add("GET", collection)
    def list_actors(context: RequestContext) -> HttpResponse:
        limit, offset = context.query.limit_and_offset()
        include_deleted = context.query.optional("includeDeleted", boolean) or False
        workspaces = set(context.readable_workspace_ids())
        return json_response(
            200,
            page_response(
                [
                    actor
                    for actor in context.world.actors(kind).values()
                    if actor.workspace_id in workspaces and (include_deleted or not actor.deleted)
                ],
                actor_response,
                url=context.public_url(f"{kind}s"),
                filters=link_filters(context.query, include_deleted),
                limit=limit,
                offset=offset,
            ),
        )

    @router.add("GET", single)
    def get_actor(context: RequestContext) -> HttpResponse:
        actor = actor_in_path(context, roles.READER, named=roles.READER)
        show_coordinates = context.query.optional("includeSecretCoordinates", boolean)
        return json_response(
            200, actor_response(actor, with_coordinates(actor) if show_coordinates else None)
        )

    @router.add("PATCH", single)
    def patch_actor(context: RequestContext) -> HttpResponse:
        body = context.body(patch_body)
        actor = actor_in_path(context, *roles.ACTOR_EDITORS[kind])
        if body.get("configuration") is not None:
            new = merged(actor.configuration, restored(body["configuration"], actor.configuration))
            actor.configuration = _checked(kind, actor.definition_id, new)
        if body.get("name") is not None:
            actor.name = body["name"]
        if body.get("resourceAllocation") is not None:
            actor.resource_allocation = body["resourceAllocation"]
        return json_response(200, actor_response(actor))

    @router.add("PUT", single)
    def put_actor(context: RequestContext) -> HttpResponse:
        body = context.body(put_body)
        actor = actor_in_path(context, *roles.ACTOR_EDITORS[kind])
        new = restored(body["configuration"], actor.configuration)
        actor.configuration = _checked(kind, actor.definition_id, new)
        actor.name = body["name"]
        actor.resource_allocation = body.get("resourceAllocation", actor.resource_allocation)
        return json_response(200, actor_response(actor))

    @router.add("DELETE", single)
    def remove_actor(context: RequestContext) -> HttpResponse:
        delete_actor(context, actor_in_path(context, *roles.ACTOR_EDITORS[kind]))
        return no_content()

    return router


def _definition_by_name(kind: ActorKind, configuration: dict[str, Any]) -> str:
    name = configuration.get(f"{kind}Type")
    if name is None:
        raise unprocessable(None)
    definition_id = definition_id_of(kind, name) if isinstance(name, str) else None
    if definition_id is None:
        raise value_not_found(name if isinstance(name, str) else str(name))
    return definition_id


def _is_known(context: RequestContext, kind: ActorKind, definition_id: str) -> bool:
    custom = context.world.definitions.get(definition_id)
    return (
        bool(connector_name(kind, definition_id))
        or (custom is not None and custom.kind == kind)
        or (kind == "source" and definition_id in context.world.declarative_definitions)
    )


def _checked(kind: ActorKind, definition_id: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Return *configuration* as it is stored, after checking it against the connector's spec."""
    stored = {name: value for name, value in configuration.items() if name != f"{kind}Type"}
    if violations := spec_violations(kind, definition_id, stored):
        raise unprocessable(
            "The provided configuration does not fulfill the specification. Errors: json schema "
            "validation failed when comparing the data to the json schema. \nErrors: "
            f"{', '.join(violations)} "
        )
    return stored


_oauth = Router(PUBLIC_API)
ROUTERS = (_router("source"), _router("destination"), _oauth)

_INITIATE_OAUTH = Body(
    "initiateOauthRequest", required={"redirectUrl": text, "workspaceId": uuid_text}
)


@_oauth.add("POST", "/sources/initiateOAuth")
def initiate_oauth(context: RequestContext) -> HttpResponse:
    """Return 501 without a body, as a self-managed Airbyte does."""
    body = context.body(_INITIATE_OAUTH)
    context.workspace(body["workspaceId"], *roles.ACTOR_EDITORS["source"])
    return HttpResponse(501)


@_oauth.add("GET", "/oauth/callback", needs_token=False)
def oauth_callback(context: RequestContext) -> HttpResponse:
    """Redirect to the web application; the public code has no such controller (§5.6)."""
    return HttpResponse(302, {"location": f"{context.airbyte_url}/auth_flow"})
