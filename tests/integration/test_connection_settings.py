"""From an Airflow connection, however it was created, to the settings of a client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteSettings,
    AirbyteSettingsNotFoundError,
    AirbyteUrls,
)
from airflow_provider_airbyte_sme.get_provider_info import CONN_FIELDS
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from tests.integration.conftest import SECRET
from tests.unit.api.certificates import Certificates
from tests.webhooks import WEBHOOK_SECRET

EXTRA = {
    "request_timeout": 20,
    "verify_tls": False,
    "headers": {"X-Api-Key": "open sesame"},
    "web_url": "https://web.example.com",
    "webhook_secret": WEBHOOK_SECRET,
}
URI = (
    f"airbyte-sme://an-id:{quote(SECRET, safe='')}"
    f"@{quote('https://airbyte.example.com/sub', safe='')}"
    f"/?__extra__={quote(json.dumps(EXTRA))}"
)
JSON = json.dumps(
    {
        "conn_type": "airbyte_sme",
        "host": "https://airbyte.example.com/sub",
        "login": "an-id",
        "password": SECRET,
        "extra": EXTRA,
    }
)


@pytest.fixture(scope="module")
def cli_connections(tmp_path_factory) -> dict[str, str]:
    """Connections as ``airflow connections add`` stores them, by the form of its arguments."""
    home = tmp_path_factory.mktemp("airflow")
    exported = home / "connections.env"
    options = ["--conn-type", "airbyte_sme", "--conn-host", "https://airbyte.example.com/sub"]
    options += ["--conn-login", "an-id", "--conn-password", SECRET]
    commands = [
        ["db", "migrate"],
        ["connections", "add", "options", *options, "--conn-extra", json.dumps(EXTRA)],
        ["connections", "add", "uri", "--conn-uri", URI],
        ["connections", "add", "json", "--conn-json", JSON],
        ["connections", "export", str(exported), "--serialization-format", "json"],
    ]
    # One process for all commands: each start of Airflow takes seconds.
    script = (
        "import json, sys\n"
        "from airflow.__main__ import main\n"
        "for sys.argv[1:] in json.loads(sys.argv[1]): main()"
    )
    subprocess.run(
        [sys.executable, "-c", script, json.dumps(commands)],
        check=True,
        env={**os.environ, "AIRFLOW_HOME": str(home)},
        capture_output=True,
    )
    lines = (line.partition("=") for line in exported.read_text().splitlines())
    return {connection_id: stored for connection_id, _, stored in lines}


@pytest.mark.parametrize("form", ["options", "uri", "json"])
def test_the_command_line_gives_the_same_settings_in_every_form(cli_connections, monkeypatch, form):
    monkeypatch.setenv("AIRFLOW_CONN_TEST", cli_connections[form])

    assert AirbyteHook("test").settings == expected_settings()


@pytest.mark.parametrize("value", [URI, JSON], ids=["URI", "JSON"])
def test_an_environment_variable_gives_the_same_settings_in_both_forms(monkeypatch, value):
    monkeypatch.setenv("AIRFLOW_CONN_TEST", value)

    assert AirbyteHook("test").settings == expected_settings()


def expected_settings() -> AirbyteSettings:
    return AirbyteSettings(
        urls=AirbyteUrls(
            public="https://airbyte.example.com/sub/api/public/v1",
            config="https://airbyte.example.com/sub/api/v1",
            web="https://web.example.com",
        ),
        client_id="an-id",
        client_secret=SECRET,
        request_timeout=20.0,
        verify_tls=False,
        headers={"X-Api-Key": "open sesame"},
        webhook_secret=WEBHOOK_SECRET,
    )


def test_a_uri_can_set_the_extra_fields(monkeypatch):
    query = "request_timeout=20&verify_tls=false&config_api=False&headers=%7B%22X-A%22%3A%22b%22%7D"
    monkeypatch.setenv(
        "AIRFLOW_CONN_TEST", f"airbyte-sme://https://an-id:open-sesame@example.com/sub?{query}"
    )

    assert AirbyteHook("test").settings == AirbyteSettings(
        urls=AirbyteUrls.parse("https://example.com/sub"),
        client_id="an-id",
        client_secret="open-sesame",
        request_timeout=20,
        verify_tls=False,
        config_api=False,
        headers={"X-A": "b"},
    )


@pytest.mark.parametrize(
    ("uri", "root"),
    [
        ("airbyte.example.com", "https://airbyte.example.com"),
        ("airbyte.example.com:8443", "https://airbyte.example.com:8443"),
        ("airbyte:8001/http", "http://airbyte:8001"),
        ("airbyte:8001/HTTP", "http://airbyte:8001"),
        ("airbyte.example.com/v1", "https://airbyte.example.com"),
        ("airbyte.example.com/v1/applications/token", "https://airbyte.example.com"),
        (
            "https://airbyte.example.com/sub/api/public/v1/applications/token",
            "https://airbyte.example.com/sub",
        ),
        ("airbyte.example.com/sub", "https://airbyte.example.com/sub"),
        ("https://airbyte.example.com", "https://airbyte.example.com"),
        ("https://airbyte.example.com:443/api/public/v1", "https://airbyte.example.com"),
        ("http://airbyte:8001/sub/api", "http://airbyte:8001/sub"),
        ("https%3A%2F%2Fairbyte.example.com%3A8443%2Fsub", "https://airbyte.example.com:8443/sub"),
    ],
)
def test_a_uri_accepts_the_airbyte_url_in_every_form(monkeypatch, uri, root):
    monkeypatch.setenv("AIRFLOW_CONN_TEST", f"airbyte-sme://{uri}")

    assert AirbyteHook("test").settings.urls == AirbyteUrls.parse(root)


@pytest.mark.parametrize(
    "host",
    [
        "https://airbyte.example.com",
        "https://airbyte.example.com/",
        "airbyte.example.com",
        "  https://airbyte.example.com/api\n",
        "https://airbyte.example.com/api/v1",
        "https://airbyte.example.com/api/public/v1/",
        "https://airbyte.example.com/workspaces/0e2bb5a4/connections",
        "https://airbyte.example.com/login?loginRedirect=https://airbyte.example.com/",
        "https://airbyte.example.com/api/public/v1/jobs",
        "https://airbyte.example.com/v1",
    ],
)
def test_all_forms_of_the_airbyte_url_give_the_same_roots(hook_for, host):
    assert hook_for(host=host).settings.urls == AirbyteUrls(
        public="https://airbyte.example.com/api/public/v1",
        config="https://airbyte.example.com/api/v1",
        web="https://airbyte.example.com",
    )


def test_a_sub_path_behind_an_ingress_is_kept(hook_for):
    urls = hook_for(host="https://example.com/airbyte/api/public/v1").settings.urls

    assert urls.public == "https://example.com/airbyte/api/public/v1"
    assert urls.config == "https://example.com/airbyte/api/v1"


def test_airbyte_cloud_has_its_own_url_layout(hook_for):
    assert hook_for(host="https://api.airbyte.com/v1").settings.urls == AirbyteUrls(
        public="https://api.airbyte.com/v1", config=None, web="https://cloud.airbyte.com"
    )


@pytest.mark.parametrize(
    ("host", "port", "root"),
    [
        ("https://airbyte.example.com", 8443, "https://airbyte.example.com:8443"),
        ("airbyte.example.com/sub", 8443, "https://airbyte.example.com:8443/sub"),
        ("https://[::1]", 8443, "https://[::1]:8443"),
        ("https://airbyte.example.com", 443, "https://airbyte.example.com"),
        ("airbyte.example.com", 443, "https://airbyte.example.com"),
        ("http://airbyte", 80, "http://airbyte"),
        ("http://airbyte", 443, "http://airbyte:443"),
        ("http://airbyte:8001", 443, "http://airbyte:8001"),
        ("https://[::1]:8443", 443, "https://[::1]:8443"),
        ("https://airbyte.example.com", 0, "https://airbyte.example.com"),
        ("HTTPS://Airbyte.example.com", 443, "https://airbyte.example.com"),
        ("https://airbyte.example.com?next=/", 8443, "https://airbyte.example.com:8443"),
        ("airbyte/login?next=https://other", 8443, "https://airbyte:8443"),
        ("airbyte#/workspaces", 8443, "https://airbyte:8443"),
    ],
)
def test_port_is_used_unless_the_url_has_one(hook_for, host, port, root):
    assert hook_for(host=host, port=port).settings.urls.web == root


@pytest.mark.parametrize(
    ("host", "token_url", "root"),
    [
        (
            "https://api.airbyte.com/v1/",
            "v1/applications/token",
            AirbyteUrls("https://api.airbyte.com/v1", None, "https://cloud.airbyte.com"),
        ),
        (
            "http://airbyte:8001/api/public/v1/",
            "/api/public/v1/applications/token",
            AirbyteUrls.parse("http://airbyte:8001"),
        ),
    ],
    ids=["cloud", "self-managed"],
)
@pytest.mark.parametrize(
    "proxies",
    [
        {"http": "http://proxy:3128", "https": "http://proxy:3128"},
        {"http://": "http://proxy:3128", "https://": "http://proxy:3128"},
        "http://proxy:3128",
    ],
    ids=["schemes", "prefixes", "one"],
)
def test_a_connection_of_the_official_provider_works(hook_for, host, token_url, root, proxies):
    settings = hook_for(
        conn_type="airbyte",
        host=host,
        login="an-id",
        password=SECRET,
        schema=token_url,
        extra={"proxies": proxies},
    ).settings

    assert settings == AirbyteSettings(
        urls=root, client_id="an-id", client_secret=SECRET, proxy="http://proxy:3128"
    )


@pytest.mark.parametrize(
    "schema",
    [
        "/api/public/v1/applications/token",
        "api/public/v1/applications/token/",
        "v1/applications/token",
        "/v1/applications/token",
        "https://airbyte.example.com/api/public/v1/applications/token",
        "https://airbyte.example.com/api/public/v1",
        "https",
        "HTTPS://",
        " ",
    ],
)
@pytest.mark.parametrize(
    "host",
    [
        "https://airbyte.example.com/api/public/v1/",
        "https://airbyte.example.com/api/v1",
        "https://airbyte.example.com",
        "airbyte.example.com",
        "airbyte.example.com/v1?x=1",
    ],
)
def test_a_connection_may_keep_its_schema_when_its_type_is_changed_to_ours(hook_for, host, schema):
    settings = hook_for(conn_type="airbyte_sme", host=host, schema=schema).settings

    assert settings.urls == AirbyteUrls.parse("https://airbyte.example.com")


def test_a_token_endpoint_in_schema_is_not_glued_to_a_sub_path(hook_for):
    settings = hook_for(
        host="https://example.com/sub/api/public/v1/",
        schema="/sub/api/public/v1/applications/token",
    ).settings

    assert settings.urls == AirbyteUrls.parse("https://example.com/sub")


def test_nulls_from_the_form_of_airflow_3_mean_the_defaults(hook_for):
    names = (
        "ca_bundle",
        "client_cert",
        "client_key",
        "proxy",
        "headers",
        "web_url",
        "webhook_secret",
    )
    nulls = dict.fromkeys((*names, "request_timeout", "verify_tls", "config_api"))

    assert hook_for(host="airbyte", extra=nulls).settings == hook_for(host="airbyte").settings


def test_older_forms_have_text_fields_with_the_same_defaults(hook_for):
    pytest.importorskip("flask_appbuilder", reason="only Airflow before 3.2 needs it")
    widgets = AirbyteHook.get_connection_form_widgets()

    assert {name: field.kwargs["description"] for name, field in widgets.items()} == {
        name: conn_field["description"] for name, conn_field in CONN_FIELDS.items()
    }
    classes = {name: field.field_class.__name__ for name, field in widgets.items()}
    assert classes.pop("webhook_secret") == "PasswordField"
    assert set(classes.values()) == {"StringField"}
    untouched = {name: field.kwargs["default"] for name, field in widgets.items()}
    assert hook_for(host="airbyte", extra=untouched).settings == hook_for(host="airbyte").settings


def test_without_flask_appbuilder_older_forms_keep_their_labels():
    """Airflow 3.0 and 3.1 do not need it. They ask for fields and labels in this order."""
    script = (
        "import sys\n"
        "sys.modules['flask_appbuilder'] = sys.modules['wtforms'] = None\n"
        "from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook\n"
        "assert AirbyteHook.get_connection_form_widgets() == {}\n"
        "assert AirbyteHook.get_ui_field_behaviour()['relabeling']['host'] == 'Airbyte URL'\n"
    )

    subprocess.run([sys.executable, "-c", script], check=True)


def test_surrounding_whitespace_is_stripped(hook_for):
    settings = hook_for(host=" airbyte ", login=" an-id\n", password=f"{SECRET}\n").settings

    assert (settings.client_id, settings.client_secret) == ("an-id", SECRET)


INVALID_FIELDS = {
    "empty host": ({"host": ""}, "Host .* is empty"),
    "host with another scheme": (
        {"host": "ftp://airbyte.example.com"},
        "Host .* is not a valid URL",
    ),
    "host with credentials": (
        {"host": "https://me:pass@airbyte.example.com"},
        "Host .* contains credentials",
    ),
    "port too high": ({"port": 70000}, "Port .* must be a number from 1 to 65535"),
    "login without password": ({"login": "an-id"}, "Password .* is empty"),
    "password without login": ({"password": SECRET}, "Login .* is empty"),
    "blank login": ({"login": "  ", "password": SECRET}, "Login .* is empty"),
}
INVALID_EXTRAS: dict[str, tuple[dict[str, object], str]] = {
    "request_timeout in words": (
        {"request_timeout": "soon"},
        "request_timeout .* a number of seconds",
    ),
    "request_timeout true": ({"request_timeout": True}, "request_timeout .* a number of seconds"),
    "request_timeout zero": ({"request_timeout": 0}, "request_timeout .* above 0"),
    "request_timeout negative": ({"request_timeout": -1}, "request_timeout .* above 0"),
    "request_timeout infinite": ({"request_timeout": "inf"}, "request_timeout .* up to 86400"),
    "request_timeout a list": ({"request_timeout": [30]}, "request_timeout .* a number of seconds"),
    "verify_tls in words": ({"verify_tls": "maybe"}, "verify_tls .* true or false"),
    "config_api a number": ({"config_api": 2}, "config_api .* true or false"),
    "ca_bundle a number": ({"ca_bundle": 1}, "ca_bundle .* text"),
    "ca_bundle missing": ({"ca_bundle": "/no/such/file.pem"}, "ca_bundle .*/no/such/file.pem"),
    "client_key alone": ({"client_key": "/no/such.key"}, "client_key .* without client_cert"),
    "client_cert missing": ({"client_cert": "/no/such.pem"}, "client_cert .*/no/such.pem"),
    "proxy without scheme": (
        {"proxy": "proxy.example.com:3128"},
        "proxy .* http://proxy.example.com:3128",
    ),
    "proxy an object": ({"proxy": {"https": "x"}}, "proxy .* text"),
    "proxies with another scheme": (
        {"proxies": "socks5://proxy"},
        "proxy .* the URL of an HTTP proxy, such as http://proxy.example.com:3128",
    ),
    "headers as text": ({"headers": "X-Api-Key: a"}, "headers .* a JSON object"),
    "headers truncated": ({"headers": '{"X-Api-Key": '}, "headers .* a JSON object"),
    "headers nested too deeply": ({"headers": "[" * 100_000}, "headers .* a JSON object"),
    "headers with an unhashable name": ({"headers": "{[]: 1}"}, "headers .* a JSON object"),
    "headers a list": ({"headers": ["X-Api-Key"]}, "headers .* a JSON object"),
    "headers with a number": ({"headers": {"X-Retries": 3}}, "headers .* a JSON object of strings"),
    "headers with a line break": ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers .* 'X-A'"),
    "webhook_secret a number": ({"webhook_secret": 1}, "webhook_secret .* text"),
    "webhook_secret too short": ({"webhook_secret": "s3cret"}, "webhook_secret .* 32 to 256"),
    "web_url with another scheme": (
        {"web_url": "ftp://web.example.com"},
        "web_url .* must be a URL",
    ),
}


@pytest.mark.parametrize(("fields", "message"), INVALID_FIELDS.values(), ids=list(INVALID_FIELDS))
def test_an_invalid_field_is_named_in_one_line(hook_for, fields, message):
    _assert_rejected(hook_for, {"host": "https://airbyte.example.com", **fields}, message)


@pytest.mark.parametrize(("extra", "message"), INVALID_EXTRAS.values(), ids=list(INVALID_EXTRAS))
def test_an_invalid_extra_field_is_named_in_one_line(hook_for, extra, message):
    _assert_rejected(hook_for, {"host": "https://airbyte.example.com", "extra": extra}, message)


def _assert_rejected(hook_for, fields, message):
    with pytest.raises(AirbyteConfigError, match=message) as failure:
        hook_for(**fields).client  # noqa: B018  the property reads the fields

    assert "\n" not in str(failure.value)
    assert hook_for(**fields).test_connection() == (False, str(failure.value))


@pytest.mark.parametrize("name", ["ca_bundle", "client_cert", "client_key"])
def test_a_pasted_key_is_rejected_and_not_repeated(hook_for, tmp_path, name):
    key = Path(Certificates.made_in(tmp_path).client_key).read_text()

    with pytest.raises(AirbyteConfigError, match=f"{name} .* the path of a PEM file") as failure:
        hook_for(host="airbyte", extra={name: key}).settings  # noqa: B018  as above

    assert key[40:80] not in str(failure.value)


def test_headers_are_read_from_a_python_literal_of_the_form_of_airflow_2(hook_for):
    settings = hook_for(host="airbyte", extra={"headers": "{'X-Api-Key': 'a'}"}).settings

    assert settings.headers == {"X-Api-Key": "a"}


@pytest.mark.filterwarnings("ignore:Encountered")
@pytest.mark.parametrize(
    "extra", ["verify_tls=false", "[1]", '"text"'], ids=["not JSON", "list", "string"]
)
def test_an_invalid_extra_is_named(monkeypatch, extra):
    value = json.dumps({"conn_type": "airbyte_sme", "host": "airbyte", "extra": extra})
    monkeypatch.setenv("AIRFLOW_CONN_TEST", value)

    # Airflow 3.0 itself refuses such a variable.
    reason = r"Extra .* must be a JSON object|whose extra is one too"
    with pytest.raises(AirbyteConfigError, match=reason):
        AirbyteHook("test").settings  # noqa: B018  as above


def test_an_unknown_airflow_connection_is_named():
    with pytest.raises(
        AirbyteSettingsNotFoundError, match=r"^Airflow did not find the connection 'nowhere'\."
    ):
        AirbyteHook("nowhere").settings  # noqa: B018  as above


@pytest.mark.parametrize(
    "value",
    [
        f"airbyte-sme://an-id:{quote(SECRET, safe='')}@https://airbyte.example.com",
        json.dumps({"conn_type": "airbyte_sme", "url": "https://airbyte.example.com"}),
        '{"conn_type": "airbyte_sme", "password": "open sesame"',
    ],
    ids=["unquoted URI", "unknown field", "truncated JSON"],
)
def test_an_unreadable_environment_variable_is_named(monkeypatch, value):
    monkeypatch.setenv("AIRFLOW_CONN_TEST", value)

    with pytest.raises(AirbyteConfigError, match="Airflow cannot parse AIRFLOW_CONN_TEST") as error:
        AirbyteHook("test").settings  # noqa: B018  as above

    assert "sesame" not in str(error.value)
