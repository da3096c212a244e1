"""
Connector definitions and the streams of sources.

``DefinitionsController.kt``, ``ConnectorDefinitionsController.kt``, ``StreamsController.kt``.
Creating, updating and deleting a definition all answer 200 with the definition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from airflow_provider_airbyte_sme.emulator.connectors import DEFINITIONS, connector_name
from airflow_provider_airbyte_sme.emulator.problems import (
    OpaqueError,
    bad_request,
    json_response,
    not_found,
    unexpected,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.streams import Stream, streams_of, sync_modes
from airflow_provider_airbyte_sme.emulator.world import (
    Actor,
    ActorKind,
    DeclarativeDefinition,
    Definition,
    new_id,
)

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

_router = Router(PUBLIC_API)

_EDITORS: dict[ActorKind, tuple[str, ...]] = {
    "source": (roles.EDITOR, roles.SOURCE_EDITOR),
    "destination": (roles.EDITOR, roles.DESTINATION_EDITOR),
}
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
    return {name: value for name, value in fields.items() if value is not None}


def _declarative_response(definition: DeclarativeDefinition) -> dict[str, Any]:
    return {
        "id": definition.id,
        "name": definition.name,
        "manifest": definition.manifest,
        "version": definition.version,
    }


def _built_in(kind: ActorKind, name: str, definition_id: str, workspace_id: str) -> Definition:
    return Definition(
        definition_id,
        kind,
        workspace_id,
        name,
        f"airbyte/{kind}-{name}",
        _BUILT_IN_TAG,
        f"https://docs.airbyte.com/integrations/{kind}s/{name}",
    )


def _all_definitions(call: Call, kind: ActorKind, workspace_id: str) -> list[Definition]:
    custom = [
        definition
        for definition in call.world.definitions.values()
        if definition.kind == kind and definition.workspace_id == workspace_id
    ]
    return custom + [
        _built_in(kind, name, definition_id, workspace_id)
        for name, definition_id in DEFINITIONS[kind].items()
    ]


def _image_router(kind: ActorKind) -> Router:
    router = Router(PUBLIC_API)
    collection = f"/workspaces/{{workspaceId}}/definitions/{kind}s"
    single = f"{collection}/{{definitionId}}"
    resource_type = f"STANDARD_{kind.upper()}_DEFINITION"

    def workspace_id(call: Call, *wanted: str, name: str | None = None) -> str:
        asked = call.path_value("workspaceId", uuid_text)
        return call.workspace(asked, *wanted, name=name).id

    def custom(call: Call) -> Definition:
        """Return the custom definition of the path; it is looked up before the role is checked."""
        definition_id = call.path_value("definitionId", uuid_text)
        if connector_name(kind, definition_id):
            raise bad_request("Public definitions cannot be modified.")
        definition = call.world.definitions.get(definition_id)
        if definition is None or definition.kind != kind:
            raise not_found(resource_type, definition_id)
        workspace_id(call, *_EDITORS[kind])
        return definition

    @router.add("GET", collection)
    def list_definitions(call: Call) -> HttpResponse:
        found = _all_definitions(call, kind, workspace_id(call, roles.READER, name=roles.READER))
        return json_response(200, {"data": [_definition_response(d) for d in found]})

    @router.add("POST", collection)
    def create_definition(call: Call) -> HttpResponse:
        body = call.body(_CREATE)
        definition = Definition(
            new_id(),
            kind,
            workspace_id(call, *_EDITORS[kind]),
            body["name"],
            body["dockerRepository"],
            body["dockerImageTag"],
            body.get("documentationUrl"),
        )
        call.world.definitions[definition.id] = definition
        return json_response(200, _definition_response(definition))

    @router.add("GET", single)
    def get_definition(call: Call) -> HttpResponse:
        definition_id = call.path_value("definitionId", uuid_text)
        workspace = workspace_id(call, roles.READER, name=roles.READER)
        for definition in _all_definitions(call, kind, workspace):
            if definition.id == definition_id:
                return json_response(200, _definition_response(definition))
        raise not_found(resource_type, definition_id)

    @router.add("PUT", single)
    def update_definition(call: Call) -> HttpResponse:
        body = call.body(_UPDATE)
        definition = custom(call)
        definition.name = body["name"]
        definition.docker_image_tag = body["dockerImageTag"]
        return json_response(200, _definition_response(definition))

    @router.add("DELETE", single)
    def delete_definition(call: Call) -> HttpResponse:
        definition = call.world.definitions.pop(custom(call).id)
        return json_response(200, _definition_response(definition))

    return router


_DECLARATIVE = "/workspaces/{workspaceId}/definitions/declarative_sources"


def _workspace_id(call: Call, *wanted: str, name: str | None = None) -> str:
    return call.workspace(call.path_value("workspaceId", uuid_text), *wanted, name=name).id


def _declarative(call: Call) -> DeclarativeDefinition:
    definition_id = call.path_value("definitionId", uuid_text)
    definition = call.world.declarative_definitions.get(definition_id)
    if definition is None:
        raise not_found("STANDARD_SOURCE_DEFINITION", definition_id)
    return definition


def _checked_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(manifest.get("spec"), dict):
        # DefinitionsController.kt takes the manifest's spec without looking whether it is there.
        raise unexpected("null cannot be cast to non-null type ObjectNode")
    return manifest


@_router.add("GET", _DECLARATIVE)
def list_declarative(call: Call) -> HttpResponse:
    """List the sources that manifests describe."""
    workspace_id = _workspace_id(call, roles.READER, name=roles.READER)
    found = [
        _declarative_response(definition)
        for definition in call.world.declarative_definitions.values()
        if definition.workspace_id == workspace_id
    ]
    return json_response(200, {"data": found})


@_router.add("POST", _DECLARATIVE)
def create_declarative(call: Call) -> HttpResponse:
    """Create a source from a manifest."""
    body = call.body(_CREATE_DECLARATIVE)
    workspace_id = _workspace_id(call, *_EDITORS["source"])
    definition = DeclarativeDefinition(
        new_id(), workspace_id, body["name"], _checked_manifest(body["manifest"])
    )
    call.world.declarative_definitions[definition.id] = definition
    return json_response(200, _declarative_response(definition))


@_router.add("GET", f"{_DECLARATIVE}/{{definitionId}}")
def get_declarative(call: Call) -> HttpResponse:
    """Read one manifest."""
    _workspace_id(call, roles.READER, name=roles.READER)
    return json_response(200, _declarative_response(_declarative(call)))


@_router.add("PUT", f"{_DECLARATIVE}/{{definitionId}}")
def update_declarative(call: Call) -> HttpResponse:
    """Publish the next version of a manifest."""
    body = call.body(_UPDATE_DECLARATIVE)
    definition = _declarative(call)
    _workspace_id(call, *_EDITORS["source"])
    definition.manifest = _checked_manifest(body["manifest"])
    definition.version += 1
    return json_response(200, _declarative_response(definition))


@_router.add("DELETE", f"{_DECLARATIVE}/{{definitionId}}")
def delete_declarative(call: Call) -> HttpResponse:
    """Delete a manifest and answer with it."""
    _workspace_id(call, *_EDITORS["source"])
    definition = call.world.declarative_definitions.pop(_declarative(call).id)
    return json_response(200, _declarative_response(definition))


@_router.add("GET", "/connector_definitions")
def list_connector_definitions(call: Call) -> HttpResponse:
    """List the connectors that a workspace may use; without a workspace it breaks, in fact."""
    kind: ActorKind = call.query.required("type", one_of("source", "destination"))
    workspace_id = call.query.converted("workspaceId", uuid_text)
    if workspace_id is None:
        raise OpaqueError(500)
    workspace = call.workspace(workspace_id, roles.READER)
    found = [
        {
            "id": definition.id,
            "name": definition.name,
            "connectorDefinitionType": kind,
            "version": definition.docker_image_tag,
        }
        for definition in _all_definitions(call, kind, workspace.id)
    ]
    return json_response(200, {"data": found})


@_router.add("GET", "/streams")
def get_stream_properties(call: Call) -> HttpResponse:
    """List what a source can deliver: a bare array."""
    source = call.actor("source", call.query.required("sourceId", text), roles.READER)
    destination_id = call.query.text("destinationId")
    destination = destination_id and call.actor("destination", destination_id, roles.READER)
    call.query.converted("ignoreCache", boolean)
    return json_response(
        200, [_stream_properties(stream, destination or None) for stream in streams_of(source)]
    )


def _stream_properties(stream: Stream, destination: Actor | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "streamName": stream.name,
        "streamnamespace": stream.namespace,  # in lower case on the wire: config.yaml
        "syncModes": None if destination is None else sync_modes(stream, destination),
        "defaultCursorField": list(stream.cursor_field),
        "sourceDefinedCursorField": stream.source_defined_cursor,
        "sourceDefinedPrimaryKey": [list(path) for path in stream.primary_key],
        "propertyFields": [list(path) for path in stream.fields],
    }
    return {name: value for name, value in fields.items() if value is not None}


ROUTERS = (_image_router("source"), _image_router("destination"), _router)
