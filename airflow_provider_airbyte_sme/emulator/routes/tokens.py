"""The two token endpoints, with their different bodies: ``docs/airbyte-api.md`` §2.2, §2.5."""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.binding import Body, text
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.problems import HateoasError, OpaqueError, json_response
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, PUBLIC_API, Router

_public = Router(PUBLIC_API)
_config = Router(CONFIG_API)
ROUTERS = (_public, _config)

_FORM = "application/x-www-form-urlencoded"
_CREDENTIALS = {"client_id": text, "client_secret": text}
_WITH_GRANT = Body("applicationTokenRequestWithGrant", required=_CREDENTIALS)
_PLAIN = Body("applicationTokenRequest", required=_CREDENTIALS)


@_public.add("POST", "/applications/token", needs_token=False, consumes=("application/json", _FORM))
def public_token(context: RequestContext) -> HttpResponse:
    """Exchange credentials, as JSON or as a form; ``expires_in`` is the server's setting (§2.3)."""
    is_form = context.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM
    credentials = (_WITH_GRANT.read_form if is_form else _WITH_GRANT.read)(context.raw_body)
    return json_response(
        200,
        {
            "access_token": _exchange(context, credentials),
            "token_type": "Bearer",
            "expires_in": int(context.access.token_lifetime),
        },
    )


@_config.add("POST", "/applications/token", needs_token=False)
def config_token(context: RequestContext) -> HttpResponse:
    """Exchange credentials as JSON; the response has only the token."""
    return json_response(200, {"access_token": _exchange(context, context.body(_PLAIN))})


def _exchange(context: RequestContext, credentials: dict[str, Any]) -> str:
    access = context.access
    if access.auth_mode == "none":
        # Without authentication there is no such endpoint: §2.1.
        raise HateoasError(404, "Page Not Found")
    if not access.issues_tokens:
        # [inf] ApplicationServiceKeycloakImpl.kt getToken: only a refusal is mapped.
        raise OpaqueError(500)
    application = access.application(credentials["client_id"], credentials["client_secret"])
    if application is None:
        if access.auth_mode == "simple":
            raise HateoasError(400, "Invalid client id or token")
        # Keycloak's error is mapped since 2026-07; the database's is an uncaught exception: §2.5.
        raise OpaqueError(401 if access.auth_mode == "oidc" else 500)
    return access.issue_token(application, now=context.now, airbyte_url=context.airbyte_url)
