"""Workspaces of the public API: ``WorkspacesController.kt``, ``WorkspaceResponseMapper.kt``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import boolean
from airflow_provider_airbyte_sme.emulator.pages import page
from airflow_provider_airbyte_sme.emulator.problems import json_response
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import Workspace

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

_router = Router(PUBLIC_API)
ROUTERS = (_router,)


def workspace_response(workspace: Workspace) -> dict[str, Any]:
    """Write a workspace as the public API does."""
    return {
        "workspaceId": workspace.id,
        "name": workspace.name,
        "dataResidency": workspace.data_residency,
        "notifications": workspace.notifications,
    }


@_router.add("GET", "/workspaces")
def list_workspaces(call: Call) -> HttpResponse:
    """List the workspaces that the caller may read."""
    limit, offset = call.query.page()
    include_deleted = call.query.converted("includeDeleted", boolean) or False
    readable = [call.world.workspaces.get(w) for w in call.readable_workspaces()]
    return json_response(
        200,
        page(
            [w for w in readable if w is not None and (include_deleted or not w.deleted)],
            workspace_response,
            url=call.public_url("workspaces"),
            kept=kept_filters(call, include_deleted),
            limit=limit,
            offset=offset,
        ),
    )


def kept_filters(call: Call, include_deleted: bool) -> list[tuple[str, str]]:
    """Return what the links of workspaces, sources, destinations and connections keep."""
    kept = [("includeDeleted", str(include_deleted).lower())]
    if asked := call.query.uuids("workspaceIds"):
        kept.append(("workspaceIds", ",".join(asked)))
    return kept


@_router.add("GET", "/workspaces/{workspaceId}")
def get_workspace(call: Call) -> HttpResponse:
    """Read one workspace."""
    workspace = call.workspace(call.parameters["workspaceId"], roles.READER, name=roles.READER)
    return json_response(200, workspace_response(workspace))
