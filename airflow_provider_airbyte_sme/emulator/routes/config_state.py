"""The state of connections in the config API: ``docs/airbyte-api.md`` §4.3."""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, array_of, json_object, one_of, text
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.problems import KnownError, OpaqueError, json_response
from airflow_provider_airbyte_sme.emulator.routes.config_connections import secured_connection
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, Router
from airflow_provider_airbyte_sme.emulator.stream_states import state_response, write_state

_router = Router(CONFIG_API)
ROUTERS = (_router,)

_CONNECTION_ID = Body("connectionIdRequestBody", required={"connectionId": text})
_STREAM_STATES = array_of(
    Body(
        "",
        required={
            "streamDescriptor": Body("", required={"name": text}, optional={"namespace": text})
        },
        optional={"streamState": json_object},
    )
)
_STATE = Body(
    "connectionStateCreateOrUpdate",
    required={
        "connectionId": text,
        "connectionState": Body(
            "",
            required={
                "connectionId": text,
                "stateType": one_of("global", "stream", "legacy", "not_set"),
            },
            optional={
                "state": json_object,
                "streamState": _STREAM_STATES,
                "globalState": Body(
                    "",
                    required={"streamStates": _STREAM_STATES},
                    optional={"shared_state": json_object},
                ),
            },
        ),
    },
)


@_router.add("POST", "/state/get")
def get_state(context: RequestContext) -> HttpResponse:
    """Read the state of a connection."""
    connection, _ = secured_connection(context, _CONNECTION_ID, roles.READER)
    return json_response(200, state_response(connection))


@_router.add("POST", "/state/create_or_update_safe")
def write_state_safely(context: RequestContext) -> HttpResponse:
    """Write the state of a connection, unless a sync is running."""
    connection, body = secured_connection(context, _STATE, *roles.ANY_EDITOR)
    active = context.jobs.active_job(connection.id)
    if active is not None and active.config_type != "reset_connection":
        raise KnownError(
            423, "State cannot be updated while a sync is running for this connection."
        )
    state: dict[str, Any] = body["connectionState"]
    try:
        write_state(connection, state)
    except ValueError:
        raise OpaqueError(500) from None
    return json_response(200, state_response(connection))
