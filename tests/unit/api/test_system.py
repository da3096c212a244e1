"""Health and version of an Airbyte, which need no token."""

import pytest

from airflow_provider_airbyte_sme.api import AirbyteDecodeError, AirbyteServerError, Instance
from tests.unit.api.doubles import AIRBYTE, client_for, settings_for


def test_the_instance_is_read_without_a_token(client, emulator, run):
    assert run(client.system.get_instance()) == Instance(
        version="2.1.0", edition="enterprise", auth_mode="oidc", url=AIRBYTE
    )
    assert [request.route for request in emulator.requests] == [
        "GET /api/v1/instance_configuration"
    ]


@pytest.mark.parametrize("status", [401, 403, 404, 200])
def test_an_unreported_version_is_not_an_error(client, emulator, run, status):
    emulator.html_next("GET /api/v1/instance_configuration", status=status, times=None)

    assert run(client.system.get_instance()) == Instance()


def test_without_the_config_api_the_version_is_not_asked_for(emulator, wire, run):
    settings = settings_for(emulator, config_api=False)

    assert run(client_for(emulator, wire, settings=settings).system.get_instance()) == Instance()
    assert wire.requests == []


def test_airbyte_cloud_is_recognised_without_a_request(emulator, wire, run):
    settings = settings_for(emulator, "https://api.airbyte.com/v1")

    assert (
        run(client_for(emulator, wire, settings=settings).system.get_instance()).edition == "Cloud"
    )
    assert wire.requests == []


def test_health_is_checked_without_a_token(client, emulator, run):
    run(client.system.check_health())

    assert [request.route for request in emulator.requests] == ["GET /health"]


def test_html_from_the_health_endpoint_raises_decode_error(client, emulator, run):
    emulator.html_next("GET /health", times=None)

    with pytest.raises(AirbyteDecodeError, match="check Host") as failure:
        run(client.system.check_health())

    assert failure.value.is_html


def test_an_unhealthy_airbyte_raises_server_error(client, emulator, run):
    emulator.fail_next("GET /health", 503, times=None)

    with pytest.raises(AirbyteServerError):
        run(client.system.check_health())
