"""Credentials, tokens and what happens to calls without a good one (facts §2)."""

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
    exchange,
    hateoas,
    ok,
    only_an_error_id,
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


def test_the_public_endpoint_tells_type_and_lifetime(emulator):
    answer = ok(exchange(emulator, credentials(emulator)))

    assert list(answer) == ["access_token", "token_type", "expires_in"]
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)


def test_the_internal_endpoint_tells_nothing_but_the_token(emulator):
    assert list(ok(exchange(emulator, credentials(emulator), "/api/v1"))) == ["access_token"]


@pytest.mark.parametrize("extra", [{}, {"grant_type": "client_credentials"}, {"grant-type": "x"}])
def test_the_public_endpoint_takes_a_form_with_or_without_a_grant_type(emulator, extra):
    fields = {**credentials(emulator), **extra}

    assert ok(post_form(emulator, "/api/public/v1/applications/token", fields))["access_token"]


def test_the_internal_endpoint_takes_no_form(emulator):
    answer = post_form(emulator, "/api/v1/applications/token", credentials(emulator))

    hateoas(answer, 415)


def test_camel_case_credentials_are_none(emulator):
    fields = {"clientId": emulator.client_id, "clientSecret": emulator.client_secret}

    error = hateoas(exchange(emulator, fields), 400)

    assert error["path"] == "/applicationTokenRequestWithGrant"


@pytest.mark.parametrize(
    ("auth_mode", "status"), [("oidc", 401), ("simple", 400), ("generic-oidc", 500)]
)
def test_wrong_credentials_are_refused_in_the_way_of_the_login(auth_mode, status):
    emulator = Emulator(auth_mode=auth_mode)

    answer = exchange(emulator, {"client_id": emulator.client_id, "client_secret": "wrong"})

    if status == 400:
        assert hateoas(answer, 400)["message"] == "Invalid client id or token"
    else:
        only_an_error_id(answer, status)


def test_without_authentication_there_is_no_token_endpoint_and_the_api_is_open():
    emulator = Emulator(auth_mode="none")

    assert exchange(emulator, credentials(emulator)).status == 404
    assert emulator.respond(HttpRequest("GET", f"{BASE}/api/public/v1/workspaces")).status == 200
    unknown = emulator.respond(HttpRequest("GET", f"{BASE}/api/public/v1/nowhere"))
    assert (unknown.status, unknown.body) == (404, b"Object not found.")


def test_a_token_tells_when_it_ends_and_who_made_the_application(emulator):
    claims = claims_of(ok(exchange(emulator, credentials(emulator)))["access_token"])

    assert claims["exp"] == int(emulator.now.timestamp()) + 900
    assert claims["iss"] == f"{BASE}/auth/realms/airbyte"
    assert claims["sub"] == claims["user_id"]


@pytest.mark.parametrize("auth_mode", ["simple", "generic-oidc"])
def test_a_token_of_the_server_itself_names_the_server(auth_mode):
    emulator = Emulator(auth_mode=auth_mode, airbyte_url="https://airbyte.example.com/")

    claims = claims_of(ok(exchange(emulator, credentials(emulator)))["access_token"])

    assert (claims["iss"], claims["aud"]) == ("https://airbyte.example.com", "airbyte-server")
    assert claims.get("roles") == (["INSTANCE_ADMIN"] if auth_mode == "simple" else None)


def test_a_token_is_good_until_it_ends(emulator, caller):
    ok(caller.get("/workspaces"))

    emulator.advance(899)
    ok(caller.get("/workspaces"))

    emulator.advance(1)
    assert hateoas(caller.get("/workspaces"), 401)["message"] == "Unauthorized"


def test_revoked_tokens_are_refused_and_new_ones_taken(emulator, caller):
    ok(caller.get("/workspaces"))

    emulator.revoke_tokens()

    hateoas(caller.get("/workspaces"), 401)
    ok(caller_of(emulator).get("/workspaces"))


def test_after_a_rotation_only_the_new_secret_is_taken(emulator, caller):
    ok(caller.get("/workspaces"))
    old = credentials(emulator)

    new_secret = emulator.rotate_secret()

    only_an_error_id(exchange(emulator, old), 401)
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
def test_a_malformed_token_is_no_token(caller, authorization):
    answer = caller.send("GET", "/jobs", headers={"authorization": authorization})

    hateoas(answer, 401)
    assert answer.json()["_links"]["self"]["href"] == "/api/public/v1/jobs"
    assert "www-authenticate" not in answer.headers


def test_another_emulators_token_is_refused(caller):
    stranger = caller_of(Emulator(time="manual"))
    ok(stranger.get("/jobs"))

    caller.token = stranger.token

    hateoas(caller.get("/jobs"), 401)


def test_who_wants_pages_only_gets_a_page(caller):
    headers = {"authorization": "", "accept": "text/html"}

    answer = caller.send("GET", "/jobs", headers=headers)

    assert (answer.status, answer.is_html) == (401, True)


def test_no_token_is_told_before_anything_else(caller):
    answer = caller.send("POST", "/jobs", b"{", headers={"authorization": ""})

    hateoas(answer, 401)
    hateoas(caller.send("GET", "/nowhere", headers={"authorization": ""}), 401)


def test_the_token_of_a_user_who_is_gone_is_no_use(tmp_path):
    state_file = tmp_path / "world.json"
    caller = caller_of(Emulator(time="manual", state_file=state_file))
    ok(caller.get("/workspaces"))
    state_file.write_text(json.dumps({**json.loads(state_file.read_text()), "users": {}}))

    caller.emulator = Emulator(time="manual", state_file=state_file)
    answer = caller.get("/workspaces")

    assert answer.status == 401
    assert answer.json()["message"].startswith("Could not get the current Airbyte user")


def test_a_deleted_application_takes_its_tokens_along(caller):
    answer = ok(caller.delete(f"/applications/{caller.client_id}"))

    assert answer["clientId"] == caller.client_id
    hateoas(caller.get("/workspaces"), 401)
