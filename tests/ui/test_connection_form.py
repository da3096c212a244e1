"""The connection form in Airflow 3.3: what it shows, stores and reports after a test."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from airflow_provider_airbyte_sme.get_provider_info import CONN_FIELDS
from scripts.processes import free_port

DEFAULT_EXTRA = {
    name: conn_field["schema"].get("default") for name, conn_field in CONN_FIELDS.items()
}


@pytest.fixture
def read_connection(airflow):
    """Return a stored connection from Airflow's API, with secrets masked."""

    def read(connection_id):
        connection = airflow.api.request("GET", f"/connections/{connection_id}")
        return {**connection, "extra": json.loads(connection["extra"])}

    return read


@pytest.fixture
def create_connection(add_conn, emulator, connections_page, request):
    """Create a connection to the emulator, with the given fields replaced, and return its id."""

    def create(**fields):
        connection_id = request.node.name.partition("[")[0]
        add_conn(connection_id, emulator, **fields)
        connections_page.open()
        return connection_id

    return create


def test_the_form_has_url_client_id_client_secret_and_port_but_no_schema(connections_page):
    connections_page.add("labels")

    assert connections_page.labels[2:] == [
        "Description",
        "Airbyte URL",
        "Client ID",
        "Client secret",
        "Port",
    ]
    assert connections_page.field("Client secret").text.get_attribute("type") == "password"


def test_empty_fields_have_placeholders(connections_page):
    connections_page.add("placeholders")

    for label, placeholder in {
        "Airbyte URL": "https://airbyte.example.com",
        "Client ID": "User settings > Applications in Airbyte",
        "Client secret": "same application",
        "Port": "Test Connection needs it",
    }.items():
        assert placeholder in connections_page.field(label).text.get_attribute("placeholder")


def test_every_extra_has_a_label_and_help_text(connections_page):
    connections_page.add("extras")
    connections_page.show_extra_fields()
    connections_page.field("Web URL").text.wait_for()

    assert connections_page.labels[2:] == [each["label"] for each in CONN_FIELDS.values()]
    for conn_field in CONN_FIELDS.values():
        shown = connections_page.field(conn_field["label"])
        assert shown.help == conn_field["description"]


def test_every_extra_has_an_input_that_matches_its_type(connections_page):
    connections_page.add("inputs")
    connections_page.show_extra_fields()

    for conn_field in CONN_FIELDS.values():
        shown = connections_page.field(conn_field["label"])
        match conn_field["schema"]["type"]:
            case ["number", "null"]:
                assert shown.text.get_attribute("role") == "spinbutton"
                assert shown.text.input_value() == "30"
            case ["boolean", "null"]:
                assert shown.is_switched_on
            case ["string", "null"]:
                kind = conn_field["schema"].get("format", "text")
                assert shown.text.evaluate("input => input.type") == kind
            case kind:
                assert kind == ["string", "object", "null"]
                assert shown.text.evaluate("input => input.type") == "textarea"


def test_url_client_id_and_client_secret_are_enough_to_connect(
    connections_page, emulator, read_connection
):
    connections_page.add("minimal")
    connections_page.field("Airbyte URL").text.fill(emulator.url)
    connections_page.field("Client ID").text.fill(emulator.client_id)
    connections_page.field("Client secret").text.fill(emulator.client_secret)
    connections_page.field("Port").text.fill(str(urlsplit(emulator.url).port))
    connections_page.save()

    assert read_connection("minimal")["extra"] == DEFAULT_EXTRA
    assert connections_page.test("minimal") == (
        f"Test Connection Successful Connected to Airbyte enterprise 2.1.0 at {emulator.url}: "
        f"1 workspace. The connection is not encrypted: whoever is on the way can read the client "
        f"secret. Use https outside a private network."
    )


def test_entered_values_are_shown_when_the_form_is_opened_again(connections_page, read_connection):
    texts = {
        "CA bundle": "/etc/ssl/company.pem",
        "Client certificate": "/etc/ssl/airflow.pem",
        "Client key": "/etc/ssl/airflow.key",
        "Web URL": "https://people.example.com",
    }
    connections_page.add("reopened")
    connections_page.field("Airbyte URL").text.fill("https://airbyte.example.com")
    connections_page.field("Port").text.fill("443")
    connections_page.show_extra_fields()
    connections_page.field("Request timeout (s)").text.fill("45.5")
    for label, value in texts.items():
        connections_page.field(label).text.fill(value)
    for label in ("Verify TLS", "Config API"):
        connections_page.field(label).toggle()
    # Airflow masks values whose name suggests a secret.
    connections_page.field("Proxy").text.fill("http://user:secret@proxy.example.com:3128")
    connections_page.field("Webhook secret").text.fill("0123456789abcdef0123456789abcdef")
    connections_page.field("Headers").text.press_sequentially(
        '{"X-Tenant": "blue", "X-Api-Key": "secret"}'
    )
    connections_page.save()
    connections_page.open()
    connections_page.edit("reopened")

    assert connections_page.field("Airbyte URL").text.input_value() == "https://airbyte.example.com"
    assert connections_page.field("Port").text.input_value() == "443"
    connections_page.show_extra_fields()
    assert connections_page.field("Request timeout (s)").text.input_value() == "45.5"
    for label, value in texts.items():
        assert connections_page.field(label).text.input_value() == value
    for label in ("Verify TLS", "Config API"):
        assert not connections_page.field(label).is_switched_on
    assert connections_page.field("Proxy").text.input_value() == "***"
    assert connections_page.field("Webhook secret").text.input_value() == "***"
    headers = json.loads(connections_page.field("Headers").text.input_value())
    assert headers == {"X-Tenant": "blue", "X-Api-Key": "***"}
    assert read_connection("reopened")["extra"] == {
        "request_timeout": 45.5,
        "verify_tls": False,
        "ca_bundle": "/etc/ssl/company.pem",
        "client_cert": "/etc/ssl/airflow.pem",
        "client_key": "/etc/ssl/airflow.key",
        "proxy": "***",
        "headers": {"X-Tenant": "blue", "X-Api-Key": "***"},
        "config_api": False,
        "web_url": "https://people.example.com",
        "webhook_secret": "***",
    }


def test_masked_secrets_survive_an_edit(connections_page, create_connection, emulator):
    headers = {"X-Api-Key": "open sesame"}
    connection_id = create_connection(extra=json.dumps({"request_timeout": 20, "headers": headers}))
    connections_page.edit(connection_id)
    connections_page.show_extra_fields()
    connections_page.field("Request timeout (s)").text.fill("25")
    connections_page.save()
    emulator.clear_requests()

    assert connections_page.test(connection_id).startswith("Test Connection Successful")
    assert {request.headers.get("x-api-key") for request in emulator.requests} == {"open sesame"}


def test_test_connection_reports_headers_that_are_not_valid_json(
    connections_page, create_connection
):
    connection_id = create_connection(extra=json.dumps(DEFAULT_EXTRA))
    connections_page.edit(connection_id)
    connections_page.show_extra_fields()
    connections_page.field("Headers").text.press_sequentially("X-Api-Key: open sesame")
    connections_page.save()

    message = connections_page.test(connection_id)

    assert "headers of the Airflow connection must be a JSON object" in message
    assert "open sesame" not in message


def test_test_connection_reports_a_wrong_secret(connections_page, create_connection):
    message = connections_page.test(create_connection(password="not the secret"))

    assert message.startswith(
        "Test Connection Failed Airbyte issued no token for this Client ID and Client secret. "
        "Airbyte responded to POST "
    )
    assert "with 401" in message
    assert "(Client secret)" in message
    assert "User settings > Applications in Airbyte" in message
    assert "not the secret" not in message


def test_test_connection_reports_a_url_that_is_not_airbyte(
    connections_page, create_connection, emulator
):
    message = connections_page.test(create_connection(host=f"{emulator.url}/somewhere/else"))

    assert message.startswith(
        "Test Connection Failed The Airbyte URL does not lead to a working Airbyte. "
    )
    assert "an HTML page" in message


def test_test_connection_reports_an_unreachable_url(connections_page, create_connection):
    message = connections_page.test(create_connection(port=free_port()))

    assert message.startswith(
        "Test Connection Failed Airbyte cannot be reached. No connection to Airbyte's host "
    )
    assert "Connection refused" in message


def test_test_connection_reports_a_client_id_without_a_secret(connections_page, create_connection):
    message = connections_page.test(create_connection(password=None))

    assert "Password (Client secret) of the Airflow connection is empty" in message
