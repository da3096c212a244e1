"""Credentials, tokens, and calls without a valid token (docs/airbyte-api.md §2)."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

import pytest

from airflow_provider_airbyte_sme.api.http import HttpRequest
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import (
    BASE,
    caller_of,
    error_id_only,
    exchange,
    hateoas_error,
    ok,
)


def credentials(emulator: Emulator) -> dict[str, str]:
    return {"client_id": emulator.client_id, "client_secret": emulator.client_secret}


def claims_of(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    decoded: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def post_form(emulator: Emulator, path: str, fields: dict[str, str]):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return emulator.respond(HttpRequest("POST", BASE + path, headers, urlencode(fields).encode()))


def test_the_public_endpoint_returns_type_and_lifetime(emulator):
    body = ok(exchange(emulator, credentials(emulator)))

    assert list(body) == ["access_token", "token_type", "expires_in"]
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)


def test_the_config_endpoint_returns_only_the_token(emulator):
    assert list(ok(exchange(emulator, credentials(emulator), "/api/v1"))) == ["access_token"]


@pytest.mark.parametrize("extra", [{}, {"grant_type": "client_credentials"}, {"grant-type": "x"}])
def test_the_public_endpoint_accepts_a_form_with_or_without_a_grant_type(emulator, extra):
    fields = {**credentials(emulator), **extra}

    assert ok(post_form(emulator, "/api/public/v1/applications/token", fields))["access_token"]


def test_the_config_endpoint_rejects_a_form(emulator):
    response = post_form(emulator, "/api/v1/applications/token", credentials(emulator))

    hateoas_error(response, 415)


def test_camel_case_credentials_are_rejected(emulator):
    fields = {"clientId": emulator.client_id, "clientSecret": emulator.client_secret}

    error = hateoas_error(exchange(emulator, fields), 400)

    assert error["path"] == "/applicationTokenRequestWithGrant"


@pytest.mark.parametrize(
    ("auth_mode", "status"), [("oidc", 401), ("simple", 400), ("generic-oidc", 500)]
)
def test_the_error_for_wrong_credentials_depends_on_the_auth_mode(auth_mode, status):
    emulator = Emulator(auth_mode=auth_mode)

    response = exchange(emulator, {"client_id": emulator.client_id, "client_secret": "wrong"})

    if status == 400:
        assert hateoas_error(response, 400)["message"] == "Invalid client id or token"
    else:
        error_id_only(response, status)


def test_without_authentication_there_is_no_token_endpoint_and_the_api_is_open():
    emulator = Emulator(auth_mode="none")

    assert exchange(emulator, credentials(emulator)).status == 404
    assert emulator.respond(HttpRequest("GET", f"{BASE}/api/public/v1/workspaces")).status == 200
    unknown = emulator.respond(HttpRequest("GET", f"{BASE}/api/public/v1/nowhere"))
    assert (unknown.status, unknown.body) == (404, b"Object not found.")


def test_a_keycloak_token_has_expiry_issuer_and_user(emulator):
    claims = claims_of(ok(exchange(emulator, credentials(emulator)))["access_token"])

    assert claims["exp"] == int(emulator.now.timestamp()) + 900
    assert claims["iss"] == f"{BASE}/auth/realms/airbyte"
    assert claims["sub"] == claims["user_id"]


@pytest.mark.parametrize("auth_mode", ["simple", "generic-oidc"])
def test_the_server_is_the_issuer_of_its_own_tokens(auth_mode):
    emulator = Emulator(auth_mode=auth_mode, airbyte_url="https://airbyte.example.com/")

    claims = claims_of(ok(exchange(emulator, credentials(emulator)))["access_token"])

    assert (claims["iss"], claims["aud"]) == ("https://airbyte.example.com", "airbyte-server")
    assert claims.get("roles") == (["INSTANCE_ADMIN"] if auth_mode == "simple" else None)


def test_a_token_is_valid_until_it_expires(emulator, caller):
    ok(caller.get("/workspaces"))

    emulator.advance(899)
    ok(caller.get("/workspaces"))

    emulator.advance(1)
    assert hateoas_error(caller.get("/workspaces"), 401)["message"] == "Unauthorized"


def test_revoked_tokens_are_rejected_and_new_ones_accepted(emulator, caller):
    ok(caller.get("/workspaces"))

    emulator.revoke_tokens()

    hateoas_error(caller.get("/workspaces"), 401)
    ok(caller_of(emulator).get("/workspaces"))


def test_after_a_rotation_only_the_new_secret_is_accepted(emulator, caller):
    ok(caller.get("/workspaces"))
    old = credentials(emulator)

    new_secret = emulator.rotate_secret()

    error_id_only(exchange(emulator, old), 401)
    ok(exchange(emulator, {**old, "client_secret": new_secret}))
    ok(caller.get("/workspaces"))


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer x",
        "Bearer a.b.c",
        "Basic YTpi",
        "Bearer é.ü.ß",
        "Bearer ..",
        "bearer \0",
    ],
)
def test_a_malformed_token_is_unauthorized(caller, authorization):
    response = caller.send("GET", "/jobs", headers={"authorization": authorization})

    hateoas_error(response, 401)
    assert response.json()["_links"]["self"]["href"] == "/api/public/v1/jobs"
    assert "www-authenticate" not in response.headers


def test_a_token_of_another_emulator_is_rejected(caller):
    other = caller_of(Emulator(time="manual"))
    ok(other.get("/jobs"))

    caller.token = other.token

    hateoas_error(caller.get("/jobs"), 401)


def test_a_client_that_accepts_only_html_gets_html(caller):
    headers = {"authorization": "", "accept": "text/html"}

    response = caller.send("GET", "/jobs", headers=headers)

    assert (response.status, response.is_html) == (401, True)


def test_a_missing_token_is_reported_before_any_other_error(caller):
    response = caller.send("POST", "/jobs", b"{", headers={"authorization": ""})

    hateoas_error(response, 401)
    hateoas_error(caller.send("GET", "/nowhere", headers={"authorization": ""}), 401)


def test_the_token_of_a_deleted_user_is_rejected(tmp_path):
    state_file = tmp_path / "state.json"
    caller = caller_of(Emulator(time="manual", state_file=state_file))
    ok(caller.get("/workspaces"))
    state_file.write_text(json.dumps({**json.loads(state_file.read_text()), "users": {}}))

    caller.emulator = Emulator(time="manual", state_file=state_file)
    response = caller.get("/workspaces")

    assert response.status == 401
    assert response.json()["message"].startswith("Could not get the current Airbyte user")


def test_deleting_an_application_invalidates_its_tokens(caller):
    deleted = ok(caller.delete(f"/applications/{caller.client_id}"))

    assert deleted["clientId"] == caller.client_id
    hateoas_error(caller.get("/workspaces"), 401)


def test_every_secret_and_token_that_was_issued_can_be_searched_for(emulator):
    first = credentials(emulator)
    tokens = [ok(exchange(emulator, first))["access_token"] for _ in range(2)]
    emulator.revoke_tokens()
    emulator.rotate_secret()
    _, other_secret = emulator.add_application("workspace_reader")

    secrets = emulator.issued_secrets.values()

    assert {first["client_secret"], emulator.client_secret, other_secret, *tokens} == {*secrets}
