"""From an Airflow connection, however it was made, to settings; and what testing it says."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteError,
    AirbyteSettings,
    AirbyteUrls,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.get_provider_info import CONN_FIELDS
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from tests.unit.api.certificates import Certificates
from tests.unit.api.servers import RawServer, answer

SECRET = "s3cret/with:every@thing?&#%"

Connect = Callable[..., AirbyteHook]


@pytest.fixture
def connect(monkeypatch) -> Connect:
    """Make an Airflow connection of these fields and return a hook for it."""

    def make(**fields: object) -> AirbyteHook:
        monkeypatch.setenv("AIRFLOW_CONN_MADE", json.dumps({"conn_type": "airbyte_sme", **fields}))
        return AirbyteHook("made")

    return make


@pytest.fixture
def connect_to(connect) -> Callable[..., AirbyteHook]:
    """Make an Airflow connection to an emulator, but for the fields given."""

    def make(emulator: Emulator, **fields: object) -> AirbyteHook:
        credentials = {"login": emulator.client_id, "password": emulator.client_secret}
        return connect(**{"host": emulator.url, **credentials, **fields})

    return make


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


EXTRA = {
    "request_timeout": 20,
    "verify_tls": False,
    "headers": {"X-Api-Key": "open sesame"},
    "web_url": "https://people.example.com",
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
def made_on_the_command_line(tmp_path_factory) -> dict[str, str]:
    """Connections as the ``airflow`` command stores them, by how it was told of them."""
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
    # One process for all: each start of Airflow takes seconds.
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


@pytest.mark.parametrize("way", ["options", "uri", "json"])
def test_the_command_line_makes_the_same_connection_in_every_way(
    made_on_the_command_line, monkeypatch, way
):
    monkeypatch.setenv("AIRFLOW_CONN_MADE", made_on_the_command_line[way])

    assert AirbyteHook("made").settings == settings_of_the_example()


@pytest.mark.parametrize("value", [URI, JSON], ids=["URI", "JSON"])
def test_an_environment_variable_makes_the_same_connection_in_both_forms(monkeypatch, value):
    monkeypatch.setenv("AIRFLOW_CONN_MADE", value)

    assert AirbyteHook("made").settings == settings_of_the_example()


def settings_of_the_example() -> AirbyteSettings:
    return AirbyteSettings(
        urls=AirbyteUrls(
            public="https://airbyte.example.com/sub/api/public/v1",
            config="https://airbyte.example.com/sub/api/v1",
            web="https://people.example.com",
        ),
        client_id="an-id",
        client_secret=SECRET,
        request_timeout=20.0,
        verify_tls=False,
        headers={"X-Api-Key": "open sesame"},
    )


def test_a_uri_may_name_each_field_of_extra(monkeypatch):
    query = "request_timeout=20&verify_tls=false&config_api=False&headers=%7B%22X-A%22%3A%22b%22%7D"
    monkeypatch.setenv(
        "AIRFLOW_CONN_MADE", f"airbyte-sme://https://an-id:open-sesame@example.com/sub?{query}"
    )

    assert AirbyteHook("made").settings == AirbyteSettings(
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
        ("airbyte.example.com/sub", "https://airbyte.example.com/sub"),
        ("https://airbyte.example.com", "https://airbyte.example.com"),
        ("https://airbyte.example.com:443/api/public/v1", "https://airbyte.example.com"),
        ("http://airbyte:8001/sub/api", "http://airbyte:8001/sub"),
        ("https%3A%2F%2Fairbyte.example.com%3A8443%2Fsub", "https://airbyte.example.com:8443/sub"),
    ],
)
def test_a_uri_may_have_the_url_in_any_form(monkeypatch, uri, root):
    monkeypatch.setenv("AIRFLOW_CONN_MADE", f"airbyte-sme://{uri}")

    assert AirbyteHook("made").settings.urls == AirbyteUrls.parse(root)


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
    ],
)
def test_every_url_that_people_paste_leads_to_the_same_airbyte(connect, host):
    assert connect(host=host).settings.urls == AirbyteUrls(
        public="https://airbyte.example.com/api/public/v1",
        config="https://airbyte.example.com/api/v1",
        web="https://airbyte.example.com",
    )


def test_a_sub_path_behind_an_ingress_is_kept(connect):
    urls = connect(host="https://example.com/airbyte/api/public/v1").settings.urls

    assert urls.public == "https://example.com/airbyte/api/public/v1"
    assert urls.config == "https://example.com/airbyte/api/v1"


def test_airbyte_cloud_has_a_layout_of_its_own(connect):
    assert connect(host="https://api.airbyte.com/v1").settings.urls == AirbyteUrls(
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
    ],
)
def test_port_is_honoured_where_the_url_names_none(connect, host, port, root):
    assert connect(host=host, port=port).settings.urls.web == root


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
)
@pytest.mark.parametrize(
    "proxies",
    [
        {"http": "http://proxy:3128", "https": "http://proxy:3128"},
        {"http://": "http://proxy:3128", "https://": "http://proxy:3128"},
        "http://proxy:3128",
    ],
)
def test_a_connection_made_for_the_official_provider_works(connect, host, token_url, root, proxies):
    settings = connect(
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


def test_the_form_of_airflow_3_leaves_nothings_that_mean_the_defaults(connect):
    names = ("ca_bundle", "client_cert", "client_key", "proxy", "headers", "web_url")
    nothings = dict.fromkeys((*names, "request_timeout", "verify_tls", "config_api"))

    assert connect(host="airbyte", extra=nothings).settings == connect(host="airbyte").settings


def test_the_fields_of_older_forms_are_texts_with_the_same_defaults(connect):
    pytest.importorskip("flask_appbuilder", reason="only the forms before Airflow 3.2 need it")
    widgets = AirbyteHook.get_connection_form_widgets()

    assert {name: field.kwargs["description"] for name, field in widgets.items()} == {
        name: conn_field["description"] for name, conn_field in CONN_FIELDS.items()
    }
    assert {field.field_class.__name__ for field in widgets.values()} == {"StringField"}
    untouched = {name: field.kwargs["default"] for name, field in widgets.items()}
    assert connect(host="airbyte", extra=untouched).settings == connect(host="airbyte").settings


def test_what_a_paste_brings_along_does_no_harm(connect):
    settings = connect(host=" airbyte ", login=" an-id\n", password=f"{SECRET}\n").settings

    assert (settings.client_id, settings.client_secret) == ("an-id", SECRET)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"host": ""}, "Host .* is empty"),
        ({"host": "ftp://airbyte.example.com"}, "Host .* is no URL"),
        ({"host": "https://me:pass@airbyte.example.com"}, "Host .* carries credentials"),
        ({"port": 70000}, "Port .* should be a number from 1 to 65535"),
        ({"login": "an-id"}, "Password .* is empty"),
        ({"password": SECRET}, "Login .* is empty"),
        ({"login": "  ", "password": SECRET}, "Login .* is empty"),
        ({"extra": {"request_timeout": "soon"}}, "request_timeout .* a number of seconds"),
        ({"extra": {"request_timeout": True}}, "request_timeout .* a number of seconds"),
        ({"extra": {"request_timeout": 0}}, "request_timeout .* above 0"),
        ({"extra": {"request_timeout": -1}}, "request_timeout .* above 0"),
        ({"extra": {"request_timeout": "inf"}}, "request_timeout .* up to 86400"),
        ({"extra": {"request_timeout": [30]}}, "request_timeout .* a number of seconds"),
        ({"extra": {"verify_tls": "maybe"}}, "verify_tls .* true or false"),
        ({"extra": {"config_api": 2}}, "config_api .* true or false"),
        ({"extra": {"ca_bundle": 1}}, "ca_bundle .* text"),
        ({"extra": {"ca_bundle": "/no/such/file.pem"}}, "ca_bundle .*/no/such/file.pem"),
        ({"extra": {"client_key": "/no/such.key"}}, "client_key .* without client_cert"),
        ({"extra": {"client_cert": "/no/such.pem"}}, "client_cert .*/no/such.pem"),
        ({"extra": {"proxy": "proxy.example.com:3128"}}, "proxy .* http://proxy.example.com:3128"),
        ({"extra": {"proxy": {"https": "x"}}}, "proxy .* text"),
        ({"extra": {"proxies": "socks5://proxy"}}, "proxy .* http://proxy.example.com:3128"),
        ({"extra": {"headers": "X-Api-Key: a"}}, "headers .* a JSON object"),
        ({"extra": {"headers": '{"X-Api-Key": '}}, "headers .* a JSON object"),
        ({"extra": {"headers": "[" * 100_000}}, "headers .* a JSON object"),
        ({"extra": {"headers": "{[]: 1}"}}, "headers .* a JSON object"),
        ({"extra": {"headers": ["X-Api-Key"]}}, "headers .* a JSON object"),
        ({"extra": {"headers": {"X-Retries": 3}}}, "headers .* a JSON object of texts"),
        ({"extra": {"headers": {"X-A": "a\r\nX-B: b"}}}, "headers .* 'X-A'"),
        ({"extra": {"web_url": "ftp://people.example.com"}}, "web_url .* should be a URL"),
    ],
)
def test_a_field_that_cannot_work_is_named_in_one_line(connect, fields, message):
    fields = {"host": "https://airbyte.example.com", **fields}

    with pytest.raises(AirbyteConfigError, match=message) as failure:
        connect(**fields).client  # noqa: B018  a property that reads the fields

    assert "\n" not in str(failure.value)
    assert connect(**fields).test_connection() == (False, str(failure.value))


@pytest.mark.parametrize("name", ["ca_bundle", "client_cert", "client_key"])
def test_a_pasted_key_is_refused_and_not_repeated(connect, tmp_path, name):
    key = Path(Certificates.made_in(tmp_path).client_key).read_text()

    with pytest.raises(AirbyteConfigError, match=f"{name} .* the path of a PEM file") as failure:
        connect(host="airbyte", extra={name: key}).settings  # noqa: B018  as above

    assert key[40:80] not in str(failure.value)


def test_headers_that_the_form_of_airflow_2_wrote_as_python_does_are_read(connect):
    settings = connect(host="airbyte", extra={"headers": "{'X-Api-Key': 'a'}"}).settings

    assert settings.headers == {"X-Api-Key": "a"}


@pytest.mark.filterwarnings("ignore:Encountered")
@pytest.mark.parametrize("extra", ["verify_tls=false", "[1]", '"text"'])
def test_a_broken_extra_is_named(monkeypatch, extra):
    value = json.dumps({"conn_type": "airbyte_sme", "host": "airbyte", "extra": extra})
    monkeypatch.setenv("AIRFLOW_CONN_MADE", value)

    with pytest.raises(AirbyteConfigError, match=r"Extra .* should be a JSON object"):
        AirbyteHook("made").settings  # noqa: B018  as above


def test_a_connection_that_is_not_there_is_named():
    with pytest.raises(AirbyteConfigError, match="There is no Airflow connection 'nowhere'"):
        AirbyteHook("nowhere").settings  # noqa: B018  as above


@pytest.mark.parametrize(
    "value",
    [
        f"airbyte-sme://an-id:{quote(SECRET, safe='')}@https://airbyte.example.com",
        json.dumps({"conn_type": "airbyte_sme", "url": "https://airbyte.example.com"}),
        '{"conn_type": "airbyte_sme", "password": "open sesame"',
    ],
)
def test_a_variable_that_airflow_cannot_read_is_named(monkeypatch, value):
    monkeypatch.setenv("AIRFLOW_CONN_MADE", value)

    with pytest.raises(AirbyteConfigError, match="Airflow cannot read AIRFLOW_CONN_MADE") as error:
        AirbyteHook("made").settings  # noqa: B018  as above

    assert "sesame" not in str(error.value)


def test_a_test_of_the_right_connection_says_what_is_there(emulator, connect_to):
    emulator.add_workspace("Second")

    assert connect_to(emulator).test_connection() == (
        True,
        f"Connected to Airbyte enterprise 2.1.0 at {emulator.url}: 2 workspaces. Nothing is "
        f"encrypted on the way: use https outside of a private network.",
    )


def test_a_test_goes_step_by_step(emulator, connect_to):
    connect_to(emulator).test_connection()

    assert [request.route for request in emulator.requests] == [
        "GET /health",
        "POST /applications/token",
        "GET /workspaces",
        "GET /api/v1/instance_configuration",
    ]


def test_a_test_of_an_encrypted_connection_warns_of_nothing(connect, tmp_path):
    certificates = Certificates.made_in(tmp_path)
    answers = (
        answer(b"Successful operation"),
        answer(b'{"data": []}'),
        answer(b"{}", "404 Not Found"),
    )
    with RawServer(*answers, tls=certificates.server_context()) as server:
        hook = connect(host=server.url, extra={"ca_bundle": certificates.ca_bundle})

        assert hook.test_connection() == (
            True,
            f"Connected to Airbyte at {server.url}: no workspaces. The user who owns the "
            f"application has no role in any.",
        )


@pytest.mark.parametrize(
    ("auth_mode", "came_back", "what_to_do"),
    [
        ("oidc", "with 401", "Check Login (Client ID) and Password (Client secret)"),
        ("simple", "with 400", "Check Login (Client ID) and Password (Client secret)"),
        ("generic-oidc", "with 500", "or the credentials are wrong: check Login (Client ID)"),
    ],
)
def test_a_wrong_secret_is_told_however_airbyte_signs_in(
    connect_to, auth_mode, came_back, what_to_do
):
    emulator = Emulator(auth_mode=auth_mode)
    with emulator.serve():
        works, said = connect_to(emulator, password="not the secret").test_connection()

    assert not works
    assert said.startswith("No token for this Client ID and Client secret. Airbyte answered POST ")
    assert came_back in said
    assert what_to_do in said


def test_a_wrong_secret_is_told_after_a_right_one_in_the_same_process(emulator, connect_to):
    assert connect_to(emulator).test_connection()[0]

    assert not connect_to(emulator, password="not the secret").test_connection()[0]


def test_a_url_that_answers_with_a_web_page_is_told(emulator, connect_to):
    works, said = connect_to(emulator, host=f"{emulator.url}/login").test_connection()

    assert not works
    assert said.startswith("The Airbyte URL does not lead to an Airbyte that works. ")
    assert "and a web page" in said
    assert "Check Host" in said


@pytest.mark.parametrize(
    ("status", "headers"),
    [("302 Found", [("Location", "https://login.example.com/?next=x")]), ("404 Not Found", [])],
)
def test_a_url_of_something_else_is_told(connect, status, headers):
    with RawServer(answer(b"nothing of Airbyte's", status, headers)) as server:
        works, said = connect(host=server.url).test_connection()

    assert not works
    assert said.startswith("The Airbyte URL does not lead to an Airbyte that works. ")
    assert f"with {status[:3]}" in said
    assert "Check Host" in said


@pytest.mark.parametrize("credentials", [{}, {"login": "an-id", "password": SECRET}])
def test_a_url_of_something_else_that_is_content_with_everything_is_told(connect, credentials):
    with RawServer(answer(b'{"status": "ok"}')) as server:
        works, said = connect(host=server.url, **credentials).test_connection()

    assert not works
    assert "Is it Airbyte that answers there?" in said


def test_an_airbyte_that_is_not_well_is_told_at_once(emulator, connect_to):
    emulator.fail_next("GET /health", status=503)

    works, said = connect_to(emulator).test_connection()

    assert not works
    assert said.startswith("The Airbyte URL does not lead to an Airbyte that works. ")
    assert "with 503" in said
    assert len(emulator.requests) == 1


def test_workspaces_that_cannot_be_listed_are_told(emulator, connect_to):
    emulator.fail_next("GET /workspaces", status=403)

    works, said = connect_to(emulator).test_connection()

    assert not works
    assert said.startswith("The workspaces cannot be listed. Airbyte answered GET ")


def test_a_port_where_nobody_listens_is_told(connect, closed_port):
    works, said = connect(host="http://127.0.0.1", port=closed_port).test_connection()

    assert not works
    assert said.startswith(
        f"Airbyte cannot be reached. No answer to GET http://127.0.0.1:{closed_port}/"
    )
    assert "refused" in said
    assert "Check Host (Airbyte URL) and Port" in said


def test_a_certificate_that_is_not_trusted_is_told(connect, tmp_path):
    with RawServer(tls=Certificates.made_in(tmp_path).server_context()) as server:
        works, said = connect(host=server.url).test_connection()

    assert not works
    assert said.startswith("Airbyte cannot be reached. ")
    assert "certificate is not trusted: set ca_bundle" in said


def test_an_airbyte_without_sign_in_wants_neither_client_id_nor_secret(connect):
    emulator = Emulator(auth_mode="none")
    with emulator.serve():
        assert connect(host=emulator.url).test_connection()[0]

        works, said = connect(host=emulator.url, login="an-id", password=SECRET).test_connection()

    assert not works
    assert "If it runs without sign-in, empty Login (Client ID)" in said


def test_an_airbyte_with_sign_in_wants_both(emulator, connect):
    works, said = connect(host=emulator.url).test_connection()

    assert not works
    assert "enter those of an application" in said


def test_no_secret_is_told_written_down_or_logged(emulator, connect_to, closed_port, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    secrets = [emulator.client_secret, "open sesame", "proxy-password", "wrong-secret"]
    extra = {"headers": {"X-Api-Key": "open sesame"}}
    proxy = f"http://user:proxy-password@127.0.0.1:{closed_port}"
    hooks = [
        connect_to(emulator, extra=extra),
        connect_to(emulator, extra=extra, password="wrong-secret"),
        connect_to(emulator, extra={**extra, "proxy": proxy}),
        connect_to(emulator, extra=extra, host=f"{emulator.url}/login"),
    ]
    emulator.fail_next("GET /workspaces", status=500, body={"message": "no"})
    told = []
    for hook in hooks:
        told += [repr(hook.settings), repr(hook.client), *map(str, hook.test_connection())]
        try:
            hook.list_workspaces()
        except AirbyteError as error:
            told += [str(error), repr(error)]
    captured = capfd.readouterr()
    everything = "\n".join([*told, caplog.text, captured.out, captured.err])

    assert urlsplit(emulator.url).netloc in caplog.text  # it was listened to
    for secret in secrets:
        assert secret not in everything
