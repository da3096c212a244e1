"""Every form of a URL that people paste, and what of a configuration is refused at once."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteConnection,
    AirbyteSettings,
    AirbyteUrls,
)
from tests.unit.api.answers import CONNECTION
from tests.unit.api.oddities import steady

ROOT = "https://airbyte.example.com"


def root_of(url: str) -> str:
    """Return the root that *url* is taken for, by the three URLs that come of it."""
    urls = AirbyteUrls.parse(url)
    assert urls.public == f"{urls.web}/api/public/v1"
    assert urls.config == f"{urls.web}/api/v1"
    return urls.web


@pytest.mark.parametrize(
    "pasted",
    [
        "",
        "/",
        "//",
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/public",
        "/api/public/v1",
        "/api/public/v1/",
        "/api/v1/health",
        "/api/public/v1/health",
        "/api/v1/applications/token",
        "/api/public/v1/applications/token",
        "/api/public/v1/workspaces?limit=1",
        "/workspaces",
        "/workspaces/744c1f5e/connections/18dccc91/timeline?jobId=7&openLogs=true#attempt",
    ],
)
@pytest.mark.parametrize(
    "root",
    [
        ROOT,
        "http://airbyte-server.airbyte.svc:8001",
        "https://tools.example.com/airbyte",
        "https://tools.example.com/data/api-gateway",
        "http://localhost:8000",
        "http://[::1]:8001",
    ],
)
def test_whatever_people_paste_behind_the_root_the_root_is_found(root, pasted):
    assert root_of(root + pasted) == root


@pytest.mark.parametrize(
    ("url", "root"),
    [
        pytest.param("airbyte.example.com", ROOT, id="without a scheme"),
        pytest.param("airbyte:8001/api/v1", "https://airbyte:8001", id="a port and no scheme"),
        pytest.param(f"  {ROOT}\n", ROOT, id="blanks around it"),
        pytest.param("HTTPS://Airbyte.Example.COM", ROOT, id="capitals"),
        pytest.param(f"{ROOT}//api//v1", ROOT, id="slashes doubled"),
    ],
)
def test_a_root_may_be_written_carelessly(url, root):
    assert root_of(url) == root


@pytest.mark.parametrize(
    "url", ["https://api.airbyte.com/v1", "https://api.airbyte.com", "api.airbyte.com/v1/"]
)
def test_airbyte_cloud_has_hosts_of_its_own_and_no_config_api(url):
    assert AirbyteUrls.parse(url) == AirbyteUrls(
        public="https://api.airbyte.com/v1", config=None, web="https://cloud.airbyte.com"
    )


@pytest.mark.parametrize("url", ["", "  ", "\n"])
def test_an_empty_host_is_told_as_such(url):
    with pytest.raises(AirbyteConfigError, match=r"^Host .* is empty"):
        AirbyteUrls.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://airbyte.example.com",
        "https://",
        "https://:8001",
        "https://airbyte.example.com:99999",
        "https://airbyte.example.com:port",
        "https://[::1",
        "https://air byte.example.com",
        "https://airbyte.example.com\u2100",
        "/api/v1",
    ],
)
def test_what_is_no_url_of_an_airbyte_is_refused_by_its_field(url):
    with pytest.raises(
        AirbyteConfigError, match=r"^Host \(Airbyte URL\) of the Airflow connection"
    ):
        AirbyteUrls.parse(url)


@pytest.mark.parametrize("url", ["https://me:s3cret@airbyte.example.com", "me:s3cret@airbyte"])
def test_credentials_in_the_url_are_refused_without_showing_them(url):
    with pytest.raises(AirbyteConfigError, match="carries credentials") as refusal:
        AirbyteUrls.parse(url)

    assert "s3cret" not in str(refusal.value)


@steady
@given(st.text())
def test_no_text_is_too_odd_to_be_taken_or_refused(text):
    try:
        urls = AirbyteUrls.parse(text)
    except AirbyteConfigError:
        return
    assert AirbyteUrls.parse(urls.public) == urls


def test_the_token_endpoints_are_tried_public_one_first():
    assert AirbyteUrls.parse(ROOT).tokens == (
        f"{ROOT}/api/public/v1/applications/token",
        f"{ROOT}/api/v1/applications/token",
    )


def test_airbyte_cloud_has_one_token_endpoint():
    assert AirbyteUrls.parse("api.airbyte.com").tokens == (
        "https://api.airbyte.com/v1/applications/token",
    )


def test_a_link_leads_people_to_a_job_with_its_logs_open():
    urls = replace(AirbyteUrls.parse("http://airbyte-server:8001"), web=ROOT)
    connection = AirbyteConnection.from_json(CONNECTION)

    assert urls.job_page(connection, 7) == (
        f"{ROOT}/workspaces/{connection.workspace_id}/connections/{connection.connection_id}"
        f"/timeline?jobId=7&openLogs=true"
    )


URLS = AirbyteUrls.parse(ROOT)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        pytest.param({"client_id": "me"}, "^Password .* is empty", id="no secret"),
        pytest.param({"client_secret": "s3cret"}, "^Login .* is empty", id="no id"),
        pytest.param({"request_timeout": 0}, "^request_timeout ", id="no time at all"),
        pytest.param({"request_timeout": -1}, "^request_timeout ", id="less than no time"),
        pytest.param({"request_timeout": float("nan")}, "^request_timeout ", id="no number"),
        pytest.param({"client_key": "key.pem"}, "^client_key ", id="a key without certificate"),
        pytest.param(
            {"client_id": "me", "client_secret": "s3cret", "headers": {"AUTHORIZATION": "s3cret"}},
            "Authorization",
            id="an Authorization of their own beside a client id",
        ),
        pytest.param(
            {"headers": {"X-Key": "s3cret\r\nX-Evil: 1"}}, "^headers .*'X-Key'", id="lines"
        ),
        pytest.param({"headers": {"X-Key": "s3cret ☃"}}, "^headers .*'X-Key'", id="a snowman"),
        pytest.param({"headers": {"X-Key": " s3cret"}}, "^headers .*'X-Key'", id="a blank before"),
        pytest.param(
            {"headers": {"X Key": "s3cret"}}, "^headers .*'X Key'", id="a blank in a name"
        ),
        pytest.param({"headers": {"": "s3cret"}}, "^headers .*''", id="an empty name"),
    ],
)
def test_what_cannot_work_is_refused_by_its_field_without_secrets(fields, named):
    with pytest.raises(AirbyteConfigError, match=named) as refusal:
        AirbyteSettings(URLS, **fields)

    assert "s3cret" not in str(refusal.value)


def test_an_authorization_of_their_own_is_fine_where_airbyte_has_none():
    settings = AirbyteSettings(URLS, headers={"Authorization": "Basic bWU6eA==", "X-Empty": ""})

    assert not settings.authenticates


def test_both_id_and_secret_authenticate():
    assert AirbyteSettings(URLS, client_id="me", client_secret="s3cret").authenticates


def test_settings_show_no_secret():
    settings = AirbyteSettings(
        URLS,
        client_id="me",
        client_secret="s3cret-1",
        proxy="http://user:s3cret-2@proxy:3128",
        headers={"X-Key": "s3cret-3"},
    )

    assert "s3cret" not in repr(settings)


def test_settings_do_not_change_with_what_they_were_made_of():
    headers = {"X-Key": "1"}
    settings = AirbyteSettings(URLS, headers=headers)

    headers["X-Key"] = "2"

    assert settings.headers == {"X-Key": "1"}
    with pytest.raises(FrozenInstanceError):
        settings.client_id = "me"  # type: ignore[misc]  # what is tested


def test_equal_settings_share_a_key_and_another_secret_is_another_key():
    one = AirbyteSettings(URLS, client_id="me", client_secret="1", headers={"X-Key": "1"})

    assert one == replace(one)
    assert hash(one) == hash(replace(one))
    assert one != replace(one, client_secret="2")
    assert one != replace(one, headers={"X-Key": "2"})
