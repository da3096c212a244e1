"""
Sources, destinations, their definitions and specifications in the config API.

``docs/airbyte-api.md`` §4.2. For an instance administrator, unknown ids are 404 with an
``errorId``.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import (
    Body,
    array_of,
    integer,
    json_object,
    one_of,
    text,
    uuid_text,
)
from airflow_provider_airbyte_sme.emulator.connectors import (
    deduplicates,
    definition_name,
    is_built_in,
    spec_of,
)
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.masking import masked, restored, stored_configuration
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import OpaqueError, json_response
from airflow_provider_airbyte_sme.emulator.routes.actors import check_configuration, known_spec
from airflow_provider_airbyte_sme.emulator.routes.config_jobs import jobs_of
from airflow_provider_airbyte_sme.emulator.routes.definitions import all_definitions
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, Router
from airflow_provider_airbyte_sme.emulator.specs import Spec
from airflow_provider_airbyte_sme.emulator.world import Actor, ActorKind, Definition, new_id

_DEFAULT_PAGE_SIZE = 20
_LIST = Body(
    "actorListCursorPaginatedRequestBody",
    required={"workspaceId": uuid_text},
    optional={
        "cursor": uuid_text,
        "sortKey": one_of(
            "actorName_asc",
            "actorName_desc",
            "actorDefinitionName_asc",
            "actorDefinitionName_desc",
            "lastSync_asc",
            "lastSync_desc",
        ),
        "filters": Body(
            "", optional={"states": array_of(one_of("active", "inactive")), "searchTerm": text}
        ),
        "pageSize": integer,
    },
)


def _job_info(
    config_type: str, at: float, config_id: str | None, succeeded: bool
) -> dict[str, Any]:
    """Return the ``SynchronousJobRead`` of a job that ran while the request waited."""
    fields: dict[str, Any] = {
        "id": new_id(),
        "configType": config_type,
        "configId": config_id,
        "createdAt": int(at * 1000),
        "endedAt": int(at * 1000),
        "succeeded": succeeded,
        "connectorConfigurationUpdated": False,
        "logType": "formatted",
        "logs": {"logLines": []},
    }
    return drop_nulls(fields)


def actor_read(context: RequestContext, actor: Actor) -> dict[str, Any]:
    """Return ``SourceRead`` or ``DestinationRead``."""
    return {
        f"{actor.kind}DefinitionId": actor.definition_id,
        f"{actor.kind}Id": actor.id,
        "workspaceId": actor.workspace_id,
        "connectionConfiguration": None if actor.deleted else masked(actor),
        "name": actor.name,
        f"{actor.kind}Name": definition_name(context.world, actor.kind, actor.definition_id),
        "createdAt": int(actor.created_at),
    }


def _listed_actor(context: RequestContext, actor: Actor) -> dict[str, Any]:
    connections = [c for c in context.world.connections_of(actor) if c.status != "deprecated"]
    jobs = [job for c in connections for job in jobs_of(context, c.id)]
    fields = {
        **actor_read(context, actor),
        "numConnections": len(connections),
        "status": "active" if any(c.status == "active" for c in connections) else "inactive",
        "lastSync": max((int(job.created_at) for job in jobs), default=None),
    }
    return drop_nulls(fields)


def _spec_response(context: RequestContext, kind: ActorKind, definition_id: str) -> HttpResponse:
    spec = spec_of(context.world, kind, definition_id)
    if spec is None:
        raise OpaqueError(404)
    fields: dict[str, Any] = {
        f"{kind}DefinitionId": definition_id,
        "documentationUrl": _documentation_url(context, kind, definition_id),
        "connectionSpecification": spec.schema,
        "advancedAuth": _advanced_auth(spec),
        "jobInfo": _job_info("get_spec", 0, None, True),
    }
    if kind == "destination":
        more = ["append_dedup"] if deduplicates(definition_id) else []
        fields["supportedDestinationSyncModes"] = ["overwrite", "append", *more]
    return json_response(200, drop_nulls(fields))


def _documentation_url(context: RequestContext, kind: ActorKind, definition_id: str) -> str | None:
    if is_built_in(kind, definition_id):
        name = definition_name(context.world, kind, definition_id)
        return f"https://docs.airbyte.com/integrations/{kind}s/{name}"
    custom = context.world.definitions.get(definition_id)
    return custom.documentation_url if custom else None


def _advanced_auth(spec: Spec) -> dict[str, Any] | None:
    if spec.oauth_inputs is None:
        return None
    outputs = {
        name: {"type": "string", "path_in_connector_config": list(path)}
        for name, path in spec.oauth_inputs.items()
    }
    return {
        "authFlowType": "oauth2.0",
        "oauthConfigSpecification": {
            "completeOAuthServerOutputSpecification": {"type": "object", "properties": outputs}
        },
    }


def _definition_read(kind: ActorKind, definition: Definition) -> dict[str, Any]:
    fields: dict[str, Any] = {
        f"{kind}DefinitionId": definition.id,
        "name": definition.name,
        "dockerRepository": definition.docker_repository,
        "dockerImageTag": definition.docker_image_tag,
        "documentationUrl": definition.documentation_url,
        "custom": not is_built_in(kind, definition.id),
    }
    return drop_nulls(fields)


def _matching(
    context: RequestContext, kind: ActorKind, body: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the actors of the workspace that fulfil the filters of *body*, sorted."""
    filters = body.get("filters") or {}
    term, states = (filters.get("searchTerm") or "").lower(), filters.get("states")
    field, _, order = (body.get("sortKey") or "actorName_asc").partition("_")
    column = {"actorName": "name", "actorDefinitionName": f"{kind}Name"}.get(field, field)

    def key(row: dict[str, Any]) -> tuple[Any, str]:
        value = row.get(column, 0)
        return (value.lower() if isinstance(value, str) else value, row[f"{kind}Id"])

    rows = [
        _listed_actor(context, actor)
        for actor in context.world.actors(kind).values()
        if actor.workspace_id == body["workspaceId"] and not actor.deleted
    ]
    found = [
        row
        for row in rows
        if (term in row["name"].lower() or term in row[f"{kind}Name"].lower())
        and (not states or row["status"] in states)
    ]
    return sorted(found, key=key, reverse=order == "desc")


def _router(kind: ActorKind) -> Router:
    router = Router(CONFIG_API)
    id_body = Body(f"{kind}IdRequestBody", required={f"{kind}Id": text})
    update_body = Body(
        f"{kind}Update",
        required={f"{kind}Id": text, "connectionConfiguration": json_object, "name": text},
    )
    spec_body = Body(
        f"{kind}DefinitionIdWithWorkspaceId",
        required={f"{kind}DefinitionId": uuid_text, "workspaceId": uuid_text},
    )

    def actor_in_body(
        context: RequestContext, body: Body, *allowed: str
    ) -> tuple[Actor, dict[str, Any]]:
        actor = context.world.actors(kind).get(context.raw_id(f"{kind}Id"))
        if allowed:
            context.require_secured(actor.workspace_id if actor else None, *allowed)
        values = context.body(body)
        if actor is None:
            raise OpaqueError(404)
        return actor, values

    @router.add("POST", f"/{kind}s/get")
    def get_actor(context: RequestContext) -> HttpResponse:
        actor, _ = actor_in_body(context, id_body, roles.READER)
        return json_response(200, actor_read(context, actor))

    @router.add("POST", f"/{kind}s/list")
    def list_actors(context: RequestContext) -> HttpResponse:
        context.require_secured(context.raw_id("workspaceId"), roles.READER)
        body = context.body(_LIST)
        rows = _matching(context, kind, body)
        size = _DEFAULT_PAGE_SIZE if body.get("pageSize") is None else body["pageSize"]
        ids = [row[f"{kind}Id"] for row in rows]
        start = ids.index(body["cursor"]) + 1 if body.get("cursor") in ids else 0
        return json_response(
            200,
            {
                f"{kind}s": rows[start : start + size],
                "page_size": size,
                "num_connections": len(ids),
            },
        )

    @router.add("POST", f"/{kind}s/check_connection")
    def check_stored(context: RequestContext) -> HttpResponse:
        actor, _ = actor_in_body(context, id_body, *roles.ACTOR_EDITORS[kind])
        return _check(context, actor)

    @router.add("POST", f"/{kind}s/check_connection_for_update")
    def check_update(context: RequestContext) -> HttpResponse:
        actor, body = actor_in_body(context, update_body, *roles.ACTOR_EDITORS[kind])
        spec = known_spec(context.world, actor)
        new = restored(stored_configuration(actor), body["connectionConfiguration"], spec.schema)
        check_configuration(spec, new)
        return _check(context, actor)

    @router.add("POST", f"/{kind}_definition_specifications/get")
    def get_spec(context: RequestContext) -> HttpResponse:
        body = context.body(spec_body)
        return _spec_response(context, kind, body[f"{kind}DefinitionId"])

    @router.add("POST", f"/{kind}_definition_specifications/get_for_{kind}")
    def get_spec_of_actor(context: RequestContext) -> HttpResponse:
        actor, _ = actor_in_body(context, id_body)
        return _spec_response(context, kind, actor.definition_id)

    @router.add("POST", f"/{kind}_definitions/list")
    def list_definitions(context: RequestContext) -> HttpResponse:
        found = [_definition_read(kind, d) for d in all_definitions(context, kind)]
        return json_response(200, {f"{kind}Definitions": found})

    return router


def _check(context: RequestContext, actor: Actor) -> HttpResponse:
    """Run a connection check; if its job fails, the response has only ``jobInfo``."""
    planned = context.world.checks.get(actor.id)
    message = planned.pop(0) if planned else ""
    job_fails = message is None or actor.deleted
    job = _job_info(
        f"check_connection_{actor.kind}", context.now, actor.definition_id, not job_fails
    )
    if job_fails:
        return json_response(200, {"jobInfo": job})
    fields = {
        "status": "failed" if message else "succeeded",
        "message": message or None,
        "jobInfo": job,
    }
    return json_response(200, drop_nulls(fields))


ROUTERS = (_router("source"), _router("destination"))
