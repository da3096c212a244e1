"""The two token endpoints, which differ in what they read and what they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.binding import Body, text
from airflow_provider_airbyte_sme.emulator.problems import HateoasError, OpaqueError, json_response
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, PUBLIC_API, Router

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

_public = Router(PUBLIC_API)
_config = Router(CONFIG_API)
ROUTERS = (_public, _config)

_FORM = "application/x-www-form-urlencoded"
_CREDENTIALS = {"client_id": text, "client_secret": text}
_WITH_GRANT = Body("applicationTokenRequestWithGrant", required=_CREDENTIALS)
_PLAIN = Body("applicationTokenRequest", required=_CREDENTIALS)


@_public.add("POST", "/applications/token", needs_token=False, consumes=("application/json", _FORM))
def public_token(call: Call) -> HttpResponse:
    """Exchange credentials, in JSON or in a form; ``expires_in`` is the server's setting."""
    is_form = call.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM
    credentials = (_WITH_GRANT.read_form if is_form else _WITH_GRANT.read)(call.raw_body)
    return json_response(
        200,
        {
            "access_token": _exchange(call, credentials),
            "token_type": "Bearer",
            "expires_in": int(call.core.access.token_lifetime),
        },
    )


@_config.add("POST", "/applications/token", needs_token=False)
def config_token(call: Call) -> HttpResponse:
    """Exchange credentials in JSON; the answer has nothing but the token."""
    return json_response(200, {"access_token": _exchange(call, call.body(_PLAIN))})


def _exchange(call: Call, credentials: dict[str, Any]) -> str:
    access = call.core.access
    if access.auth_mode == "none":
        # Without authentication there is no ApplicationService, and so no such endpoint.
        raise HateoasError(404, "Page Not Found")
    application = access.application(credentials["client_id"], credentials["client_secret"])
    if application is None:
        if access.auth_mode == "simple":
            raise HateoasError(400, "Invalid client id or token")
        # Keycloak's refusal is mapped since 2026-07; the database's is an uncaught exception.
        raise OpaqueError(401 if access.auth_mode == "oidc" else 500)
    return access.issue_token(application, now=call.now, airbyte_url=call.airbyte_url)
