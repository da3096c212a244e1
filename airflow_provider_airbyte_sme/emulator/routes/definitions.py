"""
Connector definitions, and the streams of sources: ``docs/airbyte-api.md`` §5.3, §4.4.

Creating, updating and deleting a definition all return 200 with the definition.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import (
    Body,
    boolean,
    json_object,
    one_of,
    text,
    uuid_text,
)
from airflow_provider_airbyte_sme.emulator.connectors import built_in_definitions, is_built_in
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.discovery import discover
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import (
    OpaqueError,
    bad_request,
    json_response,
    not_found,
    unexpected,
)
from airflow_provider_airbyte_sme.emulator.routes.actors import delete_actor
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.streams import Stream, sync_modes
from airflow_provider_airbyte_sme.emulator.world import (
    Actor,
    ActorKind,
    DeclarativeDefinition,
    Definition,
    new_id,
)

_router = Router(PUBLIC_API)

_BUILT_IN_TAG = "1.0.0"
_CREATE = Body(
    "createDefinitionRequest",
    required={"name": text, "dockerRepository": text, "dockerImageTag": text},
    optional={"documentationUrl": text},
)
_UPDATE = Body("updateDefinitionRequest", required={"name": text, "dockerImageTag": text})
_CREATE_DECLARATIVE = Body(
    "createDeclarativeSourceDefinitionRequest", required={"name": text, "manifest": json_object}
)
_UPDATE_DECLARATIVE = Body(
    "updateDeclarativeSourceDefinitionRequest", required={"manifest": json_object}
)


def _definition_response(definition: Definition) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": definition.id,
        "name": definition.name,
        "dockerRepository": definition.docker_repository,
        "dockerImageTag": definition.docker_image_tag,
        "documentationUrl": definition.documentation_url,
    }
    return drop_nulls(fields)


def _declarative_response(definition: DeclarativeDefinition) -> dict[str, Any]:
    return {
        "id": definition.id,
        "name": definition.name,
        "manifest": definition.manifest,
        "version": definition.version,
    }


def _built_in(kind: ActorKind, name: str, definition_id: str) -> Definition:
    return Definition(
        definition_id,
        kind,
        "",
        name,
        f"airbyte/{kind}-{name}",
        _BUILT_IN_TAG,
        f"https://docs.airbyte.com/integrations/{kind}s/{name}",
    )


def _image_of(definition: DeclarativeDefinition) -> Definition:
    """Return a declarative source as lists show it: the image that runs its manifest."""
    return Definition(
        definition.id,
        "source",
        definition.workspace_id,
        definition.name,
        "airbyte/source-declarative-manifest",
        str(definition.manifest.get("version", _BUILT_IN_TAG)),
    )


def all_definitions(
    context: RequestContext, kind: ActorKind, workspace_id: str | None = None
) -> list[Definition]:
    """
    Return the custom and the built-in definitions.

    :param workspace_id: The workspace of the custom ones; ``None``: all workspaces.
    """
    custom = [d for d in context.world.definitions.values() if d.kind == kind]
    if kind == "source":
        custom += map(_image_of, context.world.declarative_definitions.values())
    return [d for d in custom if workspace_id in (None, d.workspace_id)] + [
        _built_in(kind, name, definition_id)
        for definition_id, name in built_in_definitions(kind).items()
    ]


def _delete_actors_of(context: RequestContext, kind: ActorKind, definition_id: str) -> None:
    """Delete the actors of a definition in every workspace, and their connections."""
    for actor in context.world.actors(kind).values():
        if actor.definition_id == definition_id and not actor.deleted:
            delete_actor(context, actor)


def _image_router(kind: ActorKind) -> Router:
    router = Router(PUBLIC_API)
    collection = f"/workspaces/{{workspaceId}}/definitions/{kind}s"
    single = f"{collection}/{{definitionId}}"
    resource_type = f"STANDARD_{kind.upper()}_DEFINITION"
    # Unlike sources, destination definitions need the role that covers both: §5.3.
    editors = roles.ACTOR_EDITORS[kind] if kind == "source" else (roles.EDITOR,)

    def custom(context: RequestContext) -> Definition:
        """Return the custom definition in the path; the role is checked after the lookup."""
        definition_id = context.path_value("definitionId", uuid_text)
        if is_built_in(kind, definition_id):
            raise bad_request("Public definitions cannot be modified.")
        definition = context.world.definitions.get(definition_id)
        if definition is None or definition.kind != kind:
            raise not_found(resource_type, definition_id)
        _workspace_id(context, *editors)
        return definition

    @router.add("GET", collection)
    def list_definitions(context: RequestContext) -> HttpResponse:
        found = all_definitions(
            context, kind, _workspace_id(context, roles.READER, named=roles.READER)
        )
        return json_response(200, {"data": [_definition_response(d) for d in found]})

    @router.add("POST", collection)
    def create_definition(context: RequestContext) -> HttpResponse:
        body = context.body(_CREATE)
        definition = Definition(
            new_id(),
            kind,
            _workspace_id(context, *editors),
            body["name"],
            body["dockerRepository"],
            body["dockerImageTag"],
            body.get("documentationUrl"),
        )
        context.world.definitions[definition.id] = definition
        return json_response(200, _definition_response(definition))

    @router.add("GET", single)
    def get_definition(context: RequestContext) -> HttpResponse:
        definition_id = context.path_value("definitionId", uuid_text)
        workspace_id = _workspace_id(context, roles.READER, named=roles.READER)
        for definition in all_definitions(context, kind, workspace_id):
            if definition.id == definition_id:
                return json_response(200, _definition_response(definition))
        raise not_found(resource_type, definition_id)

    @router.add("PUT", single)
    def update_definition(context: RequestContext) -> HttpResponse:
        body = context.body(_UPDATE)
        definition = custom(context)
        definition.name = body["name"]
        definition.docker_image_tag = body["dockerImageTag"]
        return json_response(200, _definition_response(definition))

    @router.add("DELETE", single)
    def delete_definition(context: RequestContext) -> HttpResponse:
        definition = context.world.definitions[custom(context).id]
        _delete_actors_of(context, kind, definition.id)
        del context.world.definitions[definition.id]
        return json_response(200, _definition_response(definition))

    return router


_DECLARATIVE = "/workspaces/{workspaceId}/definitions/declarative_sources"


def _workspace_id(context: RequestContext, *allowed: str, named: str | None = None) -> str:
    return context.workspace(context.path_value("workspaceId", uuid_text), *allowed, named=named).id


def _declarative(context: RequestContext) -> DeclarativeDefinition:
    definition_id = context.path_value("definitionId", uuid_text)
    definition = context.world.declarative_definitions.get(definition_id)
    if definition is None:
        raise not_found("STANDARD_SOURCE_DEFINITION", definition_id)
    return definition


def _checked_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(manifest.get("spec"), dict):
        # The server casts the spec without checking for null: docs/airbyte-api.md §5.3.
        raise unexpected("null cannot be cast to non-null type ObjectNode")
    return manifest


@_router.add("GET", _DECLARATIVE)
def list_declarative(context: RequestContext) -> HttpResponse:
    """List the declarative sources of a workspace."""
    workspace_id = _workspace_id(context, roles.READER, named=roles.READER)
    found = [
        _declarative_response(definition)
        for definition in context.world.declarative_definitions.values()
        if definition.workspace_id == workspace_id
    ]
    return json_response(200, {"data": found})


@_router.add("POST", _DECLARATIVE)
def create_declarative(context: RequestContext) -> HttpResponse:
    """Create a declarative source from a manifest."""
    body = context.body(_CREATE_DECLARATIVE)
    workspace_id = _workspace_id(context, *roles.ACTOR_EDITORS["source"])
    definition = DeclarativeDefinition(
        new_id(), workspace_id, body["name"], _checked_manifest(body["manifest"])
    )
    context.world.declarative_definitions[definition.id] = definition
    return json_response(200, _declarative_response(definition))


@_router.add("GET", f"{_DECLARATIVE}/{{definitionId}}")
def get_declarative(context: RequestContext) -> HttpResponse:
    """Read one declarative source."""
    _workspace_id(context, roles.READER, named=roles.READER)
    return json_response(200, _declarative_response(_declarative(context)))


@_router.add("PUT", f"{_DECLARATIVE}/{{definitionId}}")
def update_declarative(context: RequestContext) -> HttpResponse:
    """Publish a manifest as the next version of a declarative source."""
    body = context.body(_UPDATE_DECLARATIVE)
    definition = _declarative(context)
    _workspace_id(context, *roles.ACTOR_EDITORS["source"])
    definition.manifest = _checked_manifest(body["manifest"])
    definition.version += 1
    return json_response(200, _declarative_response(definition))


@_router.add("DELETE", f"{_DECLARATIVE}/{{definitionId}}")
def delete_declarative(context: RequestContext) -> HttpResponse:
    """Delete a declarative source with its sources and their connections, and return it."""
    _workspace_id(context, *roles.ACTOR_EDITORS["source"])
    definition = _declarative(context)
    _delete_actors_of(context, "source", definition.id)
    del context.world.declarative_definitions[definition.id]
    return json_response(200, _declarative_response(definition))


@_router.add("GET", "/connector_definitions")
def list_connector_definitions(context: RequestContext) -> HttpResponse:
    """List the connectors that a workspace may use; without a workspace, the server fails."""
    kind: ActorKind = context.query.required("type", one_of("source", "destination"))
    workspace_id = context.query.optional("workspaceId", uuid_text)
    if workspace_id is None:
        raise OpaqueError(500)
    workspace = context.workspace(workspace_id, roles.READER)
    found = [
        {
            "id": definition.id,
            "name": definition.name,
            "connectorDefinitionType": kind,
            "version": definition.docker_image_tag,
        }
        for definition in all_definitions(context, kind, workspace.id)
    ]
    return json_response(200, {"data": found})


@_router.add("GET", "/streams")
def get_stream_properties(context: RequestContext) -> HttpResponse:
    """List the streams of a source, as a bare array."""
    source = context.actor("source", context.query.required("sourceId", text), roles.READER)
    destination_id = context.query.text("destinationId")
    destination = destination_id and context.actor("destination", destination_id, roles.READER)
    ignore_cache = context.query.optional("ignoreCache", boolean) or False
    streams = discover(context.world, source, ignore_cache=ignore_cache)
    return json_response(
        200, [_stream_properties(stream, destination or None) for stream in streams]
    )


def _stream_properties(stream: Stream, destination: Actor | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "streamName": stream.name,
        "streamnamespace": stream.namespace,  # in lower case on the wire: §4.4
        "syncModes": None if destination is None else sync_modes(stream, destination),
        "defaultCursorField": list(stream.cursor_field),
        "sourceDefinedCursorField": stream.source_defined_cursor,
        "sourceDefinedPrimaryKey": [list(path) for path in stream.primary_key],
        "propertyFields": [list(path) for path in stream.fields],
    }
    return drop_nulls(fields)


def find_definition(context: RequestContext, actor: Actor) -> Definition | None:
    """Return the definition of *actor*, also a declarative one; ``None`` if it is deleted."""
    if declarative := context.world.declarative_definitions.get(actor.definition_id):
        return Definition(
            declarative.id,
            actor.kind,
            actor.workspace_id,
            declarative.name,
            "airbyte/source-declarative-manifest",
            _BUILT_IN_TAG,
        )
    found = all_definitions(context, actor.kind, actor.workspace_id)
    return next((d for d in found if d.id == actor.definition_id), None)


ROUTERS = (_image_router("source"), _image_router("destination"), _router)
