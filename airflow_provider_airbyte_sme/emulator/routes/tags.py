"""Tags of the public API: ``docs/airbyte-api.md`` §5.2."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, text, uuid_text
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.problems import (
    ProblemError,
    json_response,
    no_content,
    not_found,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import Tag, new_id

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

_MAX_NAME_LENGTH = 30
_MAX_TAGS_PER_WORKSPACE = 100
_CREATE = Body("tagCreateRequest", required={"name": text, "color": text, "workspaceId": uuid_text})
_PATCH = Body("tagPatchRequest", required={"name": text, "color": text})


def _tag_response(tag: Tag) -> dict[str, Any]:
    return {
        "tagId": tag.id,
        "name": tag.name,
        "color": tag.color,
        "workspaceId": tag.workspace_id,
    }


@_router.add("GET", "/tags")
def list_tags(context: RequestContext) -> HttpResponse:
    """List the tags of the workspaces that the caller may read, without pages."""
    workspaces = set(context.readable_workspace_ids())
    tags = [t for t in context.world.tags.values() if t.workspace_id in workspaces]
    return json_response(200, {"data": [_tag_response(tag) for tag in tags]})


@_router.add("POST", "/tags")
def create_tag(context: RequestContext) -> HttpResponse:
    """Create a tag; its name must be unique in its workspace."""
    context.require_secured(context.raw_id("workspaceId"), *roles.ANY_EDITOR)
    body = context.body(_CREATE)
    if body["workspaceId"] not in context.world.workspaces:
        raise not_found("STANDARD_WORKSPACE", body["workspaceId"])
    tag = Tag(new_id(), body["name"], body["color"], body["workspaceId"])
    in_workspace = [t for t in context.world.tags.values() if t.workspace_id == tag.workspace_id]
    if len(in_workspace) >= _MAX_TAGS_PER_WORKSPACE:
        raise _rejected(
            400,
            "tag-limit-for-workspace-reached",
            "Tag limit for workspace reached",
            "The workspace has reached the maximum number of tags.",
        )
    _check(context, tag)
    context.world.tags[tag.id] = tag
    return json_response(200, _tag_response(tag))


@_router.add("GET", "/tags/{tagId}")
def get_tag(context: RequestContext) -> HttpResponse:
    """Read one tag."""
    return json_response(200, _tag_response(_tag(context, roles.READER, named=roles.READER)))


@_router.add("PATCH", "/tags/{tagId}")
def update_tag(context: RequestContext) -> HttpResponse:
    """Change name and color; both are required."""
    body = context.body(_PATCH)
    tag = _tag(context, *roles.ANY_EDITOR)
    changed = Tag(tag.id, body["name"], body["color"], tag.workspace_id)
    _check(context, changed)
    context.world.tags[tag.id] = changed
    return json_response(200, _tag_response(changed))


@_router.add("DELETE", "/tags/{tagId}")
def delete_tag(context: RequestContext) -> HttpResponse:
    """Delete a tag and remove it from every connection."""
    tag = context.world.tags.pop(_tag(context, *roles.ANY_EDITOR).id)
    for connection in context.world.connections.values():
        if tag.id in connection.tag_ids:
            connection.tag_ids.remove(tag.id)
    return no_content()


def _tag(context: RequestContext, *allowed: str, named: str | None = None) -> Tag:
    # The tag is looked up before the role is checked, so an unknown one is 404 for everybody: §5.2.
    tag_id = context.path_value("tagId", uuid_text)
    tag = context.world.tags.get(tag_id)
    if tag is None:
        raise not_found("TAG", tag_id)
    context.require(tag.workspace_id, *allowed, named=named)
    return tag


def _check(context: RequestContext, tag: Tag) -> None:
    if len(tag.name) > _MAX_NAME_LENGTH:
        raise _rejected(
            400,
            "tag-name-too-long",
            "Tag name too long",
            "The tag name can be maximum 30 characters.",
        )
    if re.fullmatch("[0-9A-Fa-f]{6}", tag.color) is None:
        raise _rejected(
            400, "tag-invalid-hex-color", "Invalid hex color", "The hex color provided is invalid."
        )
    for other in context.world.tags.values():
        is_sibling = other.workspace_id == tag.workspace_id and other.id != tag.id
        if is_sibling and other.name == tag.name:
            raise _rejected(
                409,
                "tag-already-exists",
                "Tag already exists",
                "A tag with this name already exists in this workspace.",
            )


def _rejected(status: int, kind: str, title: str, detail: str) -> ProblemError:
    return ProblemError(status, title, detail, None, kind=f"error:{kind}")
