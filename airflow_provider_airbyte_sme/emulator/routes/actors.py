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
    ENTERPRISE,
    connector_name,
    definition_id_of,
    spec_of,
    violations,
)
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.masking import (
    masked,
    merged,
    plain,
    restored,
    stored_configuration,
    with_coordinates,
    write_configuration,
)
from airflow_provider_airbyte_sme.emulator.nulls import drop_nested_nulls, drop_nulls
from airflow_provider_airbyte_sme.emulator.pagination import link_filters, page_response
from airflow_provider_airbyte_sme.emulator.problems import (
    REFERENCE,
    json_response,
    license_entitlement,
    no_content,
    not_found,
    unexpected,
    unprocessable,
    value_not_found,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.specs import Spec
from airflow_provider_airbyte_sme.emulator.world import Actor, ActorKind, World, new_id

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


def actor_response(actor: Actor, *, with_secret_coordinates: bool = False) -> dict[str, Any]:
    """Return the response for a source or a destination; its secrets are masked by default."""
    fields: dict[str, Any] = {
        f"{actor.kind}Id": actor.id,
        "name": actor.name,
        f"{actor.kind}Type": connector_name(actor.kind, actor.definition_id),
        "definitionId": actor.definition_id,
        "workspaceId": actor.workspace_id,
        "createdAt": int(actor.created_at),
        "resourceAllocation": drop_nested_nulls(actor.resource_allocation),
    }
    shown = with_coordinates(actor) if with_secret_coordinates else masked(actor)
    # The null of a deleted one is a JSON value of its own, which is not left out: §4.2.
    return {**drop_nulls(fields), "configuration": None if actor.deleted else shown}


def delete_actor(context: RequestContext, actor: Actor) -> None:
    """Delete *actor*, which stays readable, and every connection that uses it."""
    for connection in context.world.connections_of(actor):
        context.delete_connection(connection)
    actor.deleted = True
    actor.configuration, actor.coordinates = {}, {}


def known_spec(world: World, actor: Actor) -> Spec:
    """
    Return the spec of the connector of *actor*.

    :raises ProblemError: 404: its definition is unknown.
    """
    spec = spec_of(world, actor.kind, actor.definition_id)
    if spec is None:
        raise not_found(f"STANDARD_{actor.kind.upper()}_DEFINITION", actor.definition_id)
    return spec


def check_configuration(spec: Spec, configuration: dict[str, Any]) -> None:
    """
    Validate a configuration, in which stored secrets may be ``StoredSecret``.

    :raises ProblemError: 422: it violates the connector's spec.
    """
    if found := violations(spec.schema, plain(configuration)):
        raise unprocessable(
            "The provided configuration does not fulfill the specification. Errors: json schema "
            "validation failed when comparing the data to the json schema. \nErrors: "
            f"{', '.join(found)} "
        )


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
        definition = context.world.definitions.get(definition_id)
        actor = Actor(
            id=new_id(),
            kind=kind,
            name=body["name"],
            definition_id=definition_id,
            workspace_id=body["workspaceId"],
            configuration={},
            created_at=context.now,
            streams=definition.streams if definition else None,
        )
        _save(context, actor, body["configuration"], body)
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
        shown = context.query.optional("includeSecretCoordinates", boolean) or False
        return json_response(200, actor_response(actor, with_secret_coordinates=shown))

    @router.add("PATCH", single)
    def patch_actor(context: RequestContext) -> HttpResponse:
        body = context.body(patch_body)
        actor = actor_in_path(context, *roles.ACTOR_EDITORS[kind])
        given = body.get("configuration") or {}
        if kind == "destination":
            _refuse_oauth_inputs(known_spec(context.world, actor), given)
        _save(context, actor, merged(stored_configuration(actor), given), body)
        return json_response(200, actor_response(actor))

    @router.add("PUT", single)
    def put_actor(context: RequestContext) -> HttpResponse:
        body = context.body(put_body)
        actor = actor_in_path(context, *roles.ACTOR_EDITORS[kind])
        schema = known_spec(context.world, actor).schema
        new = restored(stored_configuration(actor), body["configuration"], schema)
        _save(context, actor, new, body)
        return json_response(200, actor_response(actor))

    @router.add("DELETE", single)
    def remove_actor(context: RequestContext) -> HttpResponse:
        delete_actor(context, actor_in_path(context, *roles.ACTOR_EDITORS[kind]))
        return no_content()

    return router


def _save(
    context: RequestContext, actor: Actor, configuration: dict[str, Any], body: dict[str, Any]
) -> None:
    """
    Validate and store a configuration, and the other fields of a create or an update.

    :raises ProblemError: 404: the definition is unknown; 422: the configuration is invalid; 403:
        the licence does not name the connector.
    """
    spec = known_spec(context.world, actor)
    stored = {name: value for name, value in configuration.items() if name != f"{actor.kind}Type"}
    check_configuration(spec, stored)
    if actor.definition_id in ENTERPRISE[actor.kind]:
        raise license_entitlement(f"{actor.kind.upper()}_CONNECTOR", actor.definition_id)
    write_configuration(actor, stored, spec.schema)
    actor.name = body.get("name") or actor.name
    # Also when it is not given: every write overwrites it.
    actor.resource_allocation = body.get("resourceAllocation")


def _refuse_oauth_inputs(spec: Spec, configuration: dict[str, Any]) -> None:
    for name, path in (spec.oauth_inputs or {}).items():
        value: Any = configuration
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            raise unexpected(
                f"Cannot set key '{name}', please create an OAuth credentials override instead - "
                f"{REFERENCE}/workspaceoauthcredentials"
            )


def _definition_by_name(kind: ActorKind, configuration: dict[str, Any]) -> str:
    name = _find_value(configuration, f"{kind}Type")
    if name is None:
        raise unprocessable(None)
    definition_id = definition_id_of(kind, name) if isinstance(name, str) else None
    if definition_id is None:
        raise value_not_found(name if isinstance(name, str) else str(name))
    return definition_id


def _find_value(value: Any, name: str) -> Any:
    """Return the first field called *name* at any depth, as Jackson's ``findValue`` does."""
    if isinstance(value, dict) and name in value:
        return value[name]
    if not isinstance(value, dict | list):
        return None
    children = value.values() if isinstance(value, dict) else value
    found = (_find_value(child, name) for child in children)
    return next((item for item in found if item is not None), None)


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
