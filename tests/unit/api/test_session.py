"""A client's session: its lifetime, and how responses are decoded."""

from dataclasses import dataclass
from typing import Any, Self

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteDecodeError,
    AirbyteSession,
    Workspace,
)
from tests.unit.api.doubles import AIRBYTE, client_for, requests_to, settings_for
from tests.unit.api.responses import json_response


@dataclass(frozen=True)
class Stream:
    """One item of ``GET /streams``."""

    name: str

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        if not isinstance(payload, dict) or "streamName" not in payload:
            raise AirbyteDecodeError("field 'streamName' is missing")
        return cls(payload["streamName"])


@pytest.fixture
def read_streams(client, emulator, run):
    """Read the streams of the first source: a bare array."""

    def read():
        url = client.settings.urls.public_url("streams", query={"sourceId": emulator.source_id})
        return run(client.session.request("GET", url)).decode_list(Stream.from_json)

    return read


@pytest.fixture
def read_workspaces(client, run):
    """Read one page of workspaces."""

    def read():
        url = client.settings.urls.public_url("workspaces")
        return run(client.session.request("GET", url)).decode_page(Workspace.from_json)

    return read


def test_leaving_the_client_closes_its_transport(client, wire, run):
    async def scenario():
        async with client as same:
            assert same is client
            assert not wire.is_closed

    run(scenario())

    assert wire.is_closed


def test_repr_of_a_client_shows_its_url(client):
    assert repr(client) == f"AirbyteClient('{AIRBYTE}/api/public/v1')"


def test_a_client_has_default_clocks_and_jitter(emulator, run):
    client = AirbyteClient(AirbyteSession(settings_for(emulator), emulator.transport()))

    assert run(client.jobs.list()) == []


def test_a_request_without_a_payload_has_no_body(client, wire, run):
    run(client.jobs.list())

    assert wire.requests[-1].body is None
    assert "Content-Type" not in wire.requests[-1].headers


def test_an_array_is_decoded(read_streams):
    assert read_streams() == [Stream("users"), Stream("products"), Stream("purchases")]


def test_an_empty_array_is_decoded(read_streams, wire):
    wire.replace_next_response("GET", json_response([]))

    assert read_streams() == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param({"items": []}, "field 'data' is missing or not a list", id="object"),
        pytest.param(None, "field 'data' is missing or not a list", id="null"),
        pytest.param([{}], "item 1: field 'streamName' is missing", id="invalid item"),
    ],
)
def test_an_undocumented_array_raises_decode_error(read_streams, emulator, wire, payload, reason):
    wire.replace_next_response("GET", json_response(payload))

    with pytest.raises(AirbyteDecodeError) as failure:
        read_streams()

    assert str(failure.value) == (
        f"Airbyte responded to GET {AIRBYTE}/api/public/v1/streams?sourceId={emulator.source_id} "
        f"with 200, but {reason}: check that Host (Airbyte URL) of the Airflow connection leads "
        f"to Airbyte."
    )
    assert not failure.value.is_html


def test_a_page_has_its_items(read_workspaces, emulator):
    page = read_workspaces()

    (workspace,) = page.items
    assert isinstance(workspace, Workspace)
    assert str(workspace) == f"'Analytics' ({emulator.workspace_id})"
    assert page.sent == 1


def test_a_session_can_begin_with_the_token_of_another_one(client, emulator, wire, run):
    run(client.workspaces.list())
    successor = client_for(emulator, wire, token=client.session.token)

    run(successor.workspaces.list())

    assert requests_to(emulator, "POST /applications/token") == [200]
