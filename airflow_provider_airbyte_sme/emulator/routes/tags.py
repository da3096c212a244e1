"""Tags of the public API: ``TagsController.kt``, ``TagHandler.kt``, ``TagServiceDataImpl.kt``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, text, uuid_text
from airflow_provider_airbyte_sme.emulator.problems import (
    ProblemError,
    json_response,
    no_content,
    not_found,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import Tag, new_id

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

_EDITORS = (roles.EDITOR, roles.SOURCE_EDITOR, roles.DESTINATION_EDITOR)
_LONGEST_NAME = 30
_MOST_IN_WORKSPACE = 100
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
def list_tags(call: Call) -> HttpResponse:
    """List the tags of the workspaces that the caller may read, all at once."""
    workspaces = set(call.readable_workspaces())
    tags = [t for t in call.world.tags.values() if t.workspace_id in workspaces]
    return json_response(200, {"data": [_tag_response(tag) for tag in tags]})


@_router.add("POST", "/tags")
def create_tag(call: Call) -> HttpResponse:
    """Create a tag whose name is new in its workspace."""
    call.secure(call.unbound_id("workspaceId"), *_EDITORS)
    body = call.body(_CREATE)
    if body["workspaceId"] not in call.world.workspaces:
        raise not_found("STANDARD_WORKSPACE", body["workspaceId"])
    tag = Tag(new_id(), body["name"], body["color"], body["workspaceId"])
    in_workspace = [t for t in call.world.tags.values() if t.workspace_id == tag.workspace_id]
    if len(in_workspace) >= _MOST_IN_WORKSPACE:
        raise _refused(400, "tag-limit-for-workspace-reached", "Tag limit for workspace reached")
    _check(call, tag)
    call.world.tags[tag.id] = tag
    return json_response(200, _tag_response(tag))


@_router.add("GET", "/tags/{tagId}")
def get_tag(call: Call) -> HttpResponse:
    """Read one tag."""
    return json_response(200, _tag_response(_found(call, roles.READER, name=roles.READER)))


@_router.add("PATCH", "/tags/{tagId}")
def update_tag(call: Call) -> HttpResponse:
    """Change name and color, both of which must be given."""
    body = call.body(_PATCH)
    tag = _found(call, *_EDITORS)
    changed = Tag(tag.id, body["name"], body["color"], tag.workspace_id)
    _check(call, changed)
    call.world.tags[tag.id] = changed
    return json_response(200, _tag_response(changed))


@_router.add("DELETE", "/tags/{tagId}")
def delete_tag(call: Call) -> HttpResponse:
    """Delete a tag and take it off every connection."""
    tag = call.world.tags.pop(_found(call, *_EDITORS).id)
    for connection in call.world.connections.values():
        if tag.id in connection.tag_ids:
            connection.tag_ids.remove(tag.id)
    return no_content()


def _found(call: Call, *wanted: str, name: str | None = None) -> Tag:
    # The tag is read before the role is checked, so an unknown one is 404 for everybody.
    tag_id = call.path_value("tagId", uuid_text)
    tag = call.world.tags.get(tag_id)
    if tag is None:
        raise not_found("TAG", tag_id)
    call.require(tag.workspace_id, *wanted, name=name)
    return tag


def _check(call: Call, tag: Tag) -> None:
    if len(tag.name) > _LONGEST_NAME:
        raise _refused(400, "tag-name-too-long", "Tag name too long")
    if re.fullmatch("[0-9A-Fa-f]{6}", tag.color) is None:
        raise _refused(400, "tag-invalid-hex-color", "Invalid hex color")
    for other in call.world.tags.values():
        same_place = other.workspace_id == tag.workspace_id and other.id != tag.id
        if same_place and other.name == tag.name:
            raise _refused(409, "tag-already-exists", "Tag already exists")


def _refused(status: int, kind: str, title: str) -> ProblemError:
    # [inf] the titles and details of all but tag-already-exists
    return ProblemError(status, title, f"{title}.", None, kind=f"error:{kind}")
