"""The connection form of Airflow 3.3: what people see in it, and what comes of what they enter."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from airflow_provider_airbyte_sme.get_provider_info import CONN_FIELDS
from scripts.airflow_harness import free_port

NOTHING_ENTERED = {
    name: conn_field["schema"].get("default") for name, conn_field in CONN_FIELDS.items()
}


@pytest.fixture
def stored(airflow):
    """Read a connection as Airflow stored it, secrets masked."""

    def read(connection_id):
        connection = airflow.api.request("GET", f"/connections/{connection_id}")
        return {**connection, "extra": json.loads(connection["extra"])}

    return read


@pytest.fixture
def made(airflow, emulator, connections_page, request):
    """Make a connection to the emulator, but for what is given; returns its id."""

    def make(**fields):
        connection_id = request.node.name.partition("[")[0]
        parts = urlsplit(emulator.url)
        fields = {
            "host": f"{parts.scheme}://{parts.hostname}",
            # Test Connection of 3.3.2 is refused without a port (apache/airflow #73298).
            "port": parts.port,
            "login": emulator.client_id,
            "password": emulator.client_secret,
            **fields,
        }
        airflow.api.create_connection(connection_id, "airbyte_sme", **fields)
        connections_page.open()
        return connection_id

    yield make
    for connection in airflow.api.request("GET", "/connections")["connections"]:
        airflow.api.request("DELETE", f"/connections/{connection['connection_id']}")


def test_the_form_asks_for_url_client_id_and_client_secret_and_for_no_schema(connections_page):
    connections_page.add("labels")

    assert connections_page.labels[2:] == [
        "Description",
        "Airbyte URL",
        "Client ID",
        "Client secret",
        "Port",
    ]
    assert connections_page.field("Client secret").text.get_attribute("type") == "password"


def test_an_empty_field_says_what_belongs_into_it(connections_page):
    connections_page.add("hints")

    for label, hint in {
        "Airbyte URL": "https://airbyte.example.com",
        "Client ID": "User settings > Applications in Airbyte",
        "Client secret": "same application",
        "Port": "Test Connection needs it",
    }.items():
        assert hint in connections_page.field(label).text.get_attribute("placeholder")


def test_every_extra_has_a_field_with_label_and_help(connections_page):
    connections_page.add("extras")
    connections_page.show_extra_fields()
    connections_page.field("Web URL").text.wait_for()

    assert connections_page.labels[2:] == [each["label"] for each in CONN_FIELDS.values()]
    for conn_field in CONN_FIELDS.values():
        shown = connections_page.field(conn_field["label"])
        assert shown.help == conn_field["description"]


def test_every_extra_has_an_input_of_its_kind(connections_page):
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
                assert shown.text.evaluate("input => input.type") == "text"
            case kind:
                assert kind == ["string", "object", "null"]
                assert shown.text.evaluate("input => input.type") == "textarea"


def test_three_entries_make_a_connection_that_works(connections_page, emulator, stored):
    connections_page.add("three_entries")
    connections_page.field("Airbyte URL").text.fill(emulator.url)
    connections_page.field("Client ID").text.fill(emulator.client_id)
    connections_page.field("Client secret").text.fill(emulator.client_secret)
    connections_page.field("Port").text.fill(str(urlsplit(emulator.url).port))
    connections_page.save()

    assert stored("three_entries")["extra"] == NOTHING_ENTERED
    assert connections_page.test("three_entries") == (
        f"Test Connection Successful Connected to Airbyte enterprise 2.1.0 at {emulator.url}: "
        f"1 workspace. Nothing is encrypted on the way: use https outside of a private network."
    )


def test_what_was_entered_is_there_when_the_form_opens_again(connections_page, stored):
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
    connections_page.field("Request time-out (s)").text.fill("45.5")
    for label, value in texts.items():
        connections_page.field(label).text.fill(value)
    for label in ("Verify TLS", "Config API"):
        connections_page.field(label).switch()
    # Airflow masks what may carry a secret, by its name.
    connections_page.field("Proxy").text.fill("http://user:secret@proxy.example.com:3128")
    connections_page.field("Headers").text.press_sequentially(
        '{"X-Tenant": "blue", "X-Api-Key": "secret"}'
    )
    connections_page.save()
    connections_page.open()
    connections_page.edit("reopened")

    assert connections_page.field("Airbyte URL").text.input_value() == "https://airbyte.example.com"
    assert connections_page.field("Port").text.input_value() == "443"
    connections_page.show_extra_fields()
    assert connections_page.field("Request time-out (s)").text.input_value() == "45.5"
    for label, value in texts.items():
        assert connections_page.field(label).text.input_value() == value
    for label in ("Verify TLS", "Config API"):
        assert not connections_page.field(label).is_switched_on
    assert connections_page.field("Proxy").text.input_value() == "***"
    headers = json.loads(connections_page.field("Headers").text.input_value())
    assert headers == {"X-Tenant": "blue", "X-Api-Key": "***"}
    assert stored("reopened")["extra"] == {
        "request_timeout": 45.5,
        "verify_tls": False,
        "ca_bundle": "/etc/ssl/company.pem",
        "client_cert": "/etc/ssl/airflow.pem",
        "client_key": "/etc/ssl/airflow.key",
        "proxy": "***",
        "headers": {"X-Tenant": "blue", "X-Api-Key": "***"},
        "config_api": False,
        "web_url": "https://people.example.com",
    }


def test_secrets_that_the_form_masks_survive_an_edit(connections_page, made, emulator):
    headers = {"X-Api-Key": "open sesame"}
    connection_id = made(extra=json.dumps({"request_timeout": 20, "headers": headers}))
    connections_page.edit(connection_id)
    connections_page.show_extra_fields()
    connections_page.field("Request time-out (s)").text.fill("25")
    connections_page.save()
    emulator.clear_requests()

    assert connections_page.test(connection_id).startswith("Test Connection Successful")
    assert {request.headers.get("x-api-key") for request in emulator.requests} == {"open sesame"}


def test_headers_that_are_no_json_are_told_in_plain_words(connections_page, made):
    connection_id = made(extra=json.dumps(NOTHING_ENTERED))
    connections_page.edit(connection_id)
    connections_page.show_extra_fields()
    connections_page.field("Headers").text.press_sequentially("X-Api-Key: open sesame")
    connections_page.save()

    said = connections_page.test(connection_id)

    assert "headers of the Airflow connection should be a JSON object" in said
    assert "open sesame" not in said


def test_a_wrong_secret_is_told_in_plain_words(connections_page, made):
    said = connections_page.test(made(password="not the secret"))

    assert said.startswith(
        "Test Connection Failed No token for this Client ID and Client secret. Airbyte answered "
        "POST "
    )
    assert "with 401" in said
    assert "(Client secret)" in said
    assert "User settings > Applications in Airbyte" in said
    assert "not the secret" not in said


def test_a_url_of_something_else_is_told_in_plain_words(connections_page, made, emulator):
    said = connections_page.test(made(host=f"{emulator.url}/somewhere/else"))

    assert said.startswith(
        "Test Connection Failed The Airbyte URL does not lead to an Airbyte that works. "
    )
    assert "a web page" in said


def test_a_url_where_nobody_answers_is_told_in_plain_words(connections_page, made):
    said = connections_page.test(made(port=free_port()))

    assert said.startswith("Test Connection Failed Airbyte cannot be reached. No answer to GET ")
    assert "Connection refused" in said


def test_a_client_id_without_secret_is_told_in_plain_words(connections_page, made):
    said = connections_page.test(made(password=None))

    assert "Password (Client secret) of the Airflow connection is empty" in said
