"""The connection form of Airflow 2.11, in its real web application."""

from __future__ import annotations

import html
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from airflow.utils.session import create_session
from packaging.version import Version

from airflow_provider_airbyte_sme.api import AirbyteSettings, AirbyteUrls
from airflow_provider_airbyte_sme.connection import settings_from_connection
from airflow_provider_airbyte_sme.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR

pytestmark = [
    pytest.mark.skipif(
        Version(version("apache-airflow")) >= Version("3"),
        reason="Airflow 3.3 builds its form from provider info: see tests/ui",
    ),
    # Warnings from the web application of 2.11 and its dependencies.
    pytest.mark.filterwarnings("ignore"),
]

PREFIX = "extra__airbyte_sme__"
DEFAULTS = AirbyteSettings(AirbyteUrls.parse("airbyte"))


class Form(HTMLParser):
    """The page with the form: our inputs, and how its script changes Airflow's."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = html.unescape(page)
        self.inputs: dict[str, str] = {}
        self.behaviours: dict[str, Any] = {}
        self._element_id = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._element_id = attributes.get("id", "")
        name = attributes.get("name", "")
        if tag == "input" and name.startswith(PREFIX):
            self.inputs[name.removeprefix(PREFIX)] = attributes.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._element_id = ""

    def handle_data(self, data: str) -> None:
        if self._element_id == "field_behaviours":
            self.behaviours = json.loads(html.unescape(data))


class Browser:
    """A browser of an administrator, without JavaScript."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def open(self, page: str = "add") -> Form:
        return Form(self._client.get(f"/connection/{page}").text)

    def save(self, connection_id: str, fields: Mapping[str, str], page: str = "add") -> None:
        """Fill in the form and press Save."""
        response = self._client.post(
            f"/connection/{page}",
            data={
                "conn_id": connection_id,
                "conn_type": "airbyte_sme",
                "host": "airbyte",
                **{f"{PREFIX}{name}": value for name, value in fields.items()},
            },
        )
        assert response.status_code == 302, response.text


@pytest.fixture(scope="module")
def browser() -> Browser:
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True
    )
    configuration = Path(os.environ["AIRFLOW_HOME"], "webserver_config.py")
    configuration.write_text("AUTH_ROLE_PUBLIC = 'Admin'\nWTF_CSRF_ENABLED = False\n")
    # By name: mypy checks with Airflow 3, which does not have this module.
    return Browser(import_module("airflow.www.app").create_app(testing=True).test_client())


@pytest.fixture
def connection_model() -> Any:
    return import_module("airflow.models.connection").Connection


@pytest.fixture
def stored(connection_model: Any) -> Callable[[str], Any]:
    """Read a connection from Airflow's database."""

    def read(connection_id: str) -> Any:
        with create_session() as session:
            connection = session.query(connection_model).filter_by(conn_id=connection_id).one()
            session.expunge(connection)
            return connection

    return read


def test_the_connection_type_is_offered(browser):
    assert '<option value="airbyte_sme">Airbyte SME</option>' in browser.open().text


def test_our_labels_and_placeholders_replace_those_of_airflow(browser):
    assert browser.open().behaviours["airbyte_sme"] == {
        "hidden_fields": UI_FIELD_BEHAVIOUR["hidden-fields"],
        "relabeling": UI_FIELD_BEHAVIOUR["relabeling"],
        "placeholders": UI_FIELD_BEHAVIOUR["placeholders"],
    }


def test_every_extra_field_has_a_label_and_a_description(browser):
    form = browser.open()

    assert list(form.inputs) == list(CONN_FIELDS)
    for conn_field in CONN_FIELDS.values():
        assert conn_field["label"] in form.text
        assert conn_field["description"] in form.text


def test_saved_values_are_shown_when_the_form_is_opened_again(browser, stored):
    entered = {
        "request_timeout": "45.5",
        "verify_tls": "false",
        "ca_bundle": "",
        "client_cert": "",
        "client_key": "",
        "proxy": "http://proxy.example.com:3128",
        "headers": '{"X-Api-Key": "open sesame"}',
        "config_api": "false",
        "web_url": "https://web.example.com",
        "webhook_secret": "0123456789abcdef0123456789abcdef",
    }
    browser.save("entered", entered)

    assert browser.open(f"edit/{stored('entered').id}").inputs == entered
    settings = settings_from_connection(stored("entered"))
    assert settings.request_timeout == 45.5
    assert (settings.verify_tls, settings.config_api) == (False, False)
    assert settings.proxy == "http://proxy.example.com:3128"
    assert settings.headers == {"X-Api-Key": "open sesame"}
    assert settings.urls.web == "https://web.example.com"
    assert settings.webhook_secret == entered["webhook_secret"]


def test_an_untouched_form_means_the_defaults(browser, stored):
    browser.save("untouched", browser.open().inputs)

    assert settings_from_connection(stored("untouched")) == DEFAULTS


def test_cleared_fields_mean_the_defaults(browser, stored):
    browser.save("cleared", dict.fromkeys(CONN_FIELDS, ""))

    assert settings_from_connection(stored("cleared")) == DEFAULTS


def test_saving_unchanged_keeps_the_settings_of_a_connection_created_elsewhere(
    browser, stored, connection_model
):
    extra = {"request_timeout": 2.5, "verify_tls": True, "headers": {"X-Api-Key": "it's"}}
    created = connection_model("elsewhere", "airbyte_sme", host="airbyte", extra=json.dumps(extra))
    with create_session() as session:
        session.add(created)
    before = stored("elsewhere")

    page = f"edit/{before.id}"
    browser.save("elsewhere", browser.open(page).inputs, page)

    assert stored("elsewhere").extra != before.extra  # every value is text now
    assert settings_from_connection(stored("elsewhere")) == settings_from_connection(before)
