"""URLs in every form that people paste, URLs of API calls, and validation of settings."""

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
from tests.unit.api.malformed import reproducible
from tests.unit.api.responses import CONNECTION

ROOT = "https://airbyte.example.com"


def root_of(url: str) -> str:
    """Return the root that *url* is parsed to, and check the API roots derived from it."""
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
        "/api/public/v1/jobs",
        "/api/public/v1/jobs/42/",
        "/api/public/v1/#/jobs",
        "/api/v1/connections/sync",
        "/api/v1/source_definitions/list",
        "/api/v1/web_backend/connections/list",
        "/login",
        "/login?loginRedirect=https://airbyte.example.com/workspaces/744c1f5e",
        "/setup",
        "/organization/00000000-0000-0000-0000-000000000000/settings/general",
        "/auth/realms/airbyte/protocol/openid-connect/auth?client_id=airbyte-webapp",
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
        "https://tools.example.com/api/airbyte",
        "https://tools.example.com/api/v1/airbyte",
        "https://tools.example.com/organization/airbyte",
        "https://tools.example.com/airbyte/v1",
        "http://localhost:8000",
        "http://[::1]:8001",
    ],
)
def test_the_root_is_found_whatever_is_pasted_after_it(root, pasted):
    assert root_of(root + pasted) == root


@pytest.mark.parametrize(
    ("url", "root"),
    [
        pytest.param("airbyte.example.com", ROOT, id="no scheme"),
        pytest.param("airbyte:8001/api/v1", "https://airbyte:8001", id="port but no scheme"),
        pytest.param(f"  {ROOT}\n", ROOT, id="surrounding whitespace"),
        pytest.param("HTTPS://Airbyte.Example.COM", ROOT, id="upper case"),
        pytest.param(f"{ROOT}//api//v1", ROOT, id="double slashes"),
        pytest.param("//airbyte.example.com/", ROOT, id="double slash instead of a scheme"),
        pytest.param(f'"{ROOT}/"', ROOT, id="quotes"),
        pytest.param(f"<{ROOT}>", ROOT, id="angle brackets"),
        pytest.param(f"{ROOT}:443", ROOT, id="default port of https"),
        pytest.param("http://airbyte:80/", "http://airbyte", id="default port of http"),
        pytest.param(f"{ROOT}:", ROOT, id="empty port"),
        pytest.param("https://airbyte.example.com.", ROOT, id="trailing dot"),
        pytest.param("airbyte/login?next=https://other", "https://airbyte", id="URL in the query"),
        pytest.param(f"{ROOT}?x=a b", ROOT, id="blank in the query"),
        pytest.param("http://my_airbyte:8001", "http://my_airbyte:8001", id="underscore"),
        pytest.param("https://[FE80::1]:8001", "https://[fe80::1]:8001", id="IPv6 address"),
        pytest.param(
            "https://bücher.example.com/x", "https://xn--bcher-kva.example.com/x", id="umlaut"
        ),
        pytest.param("https://Straße.example", "https://xn--strae-oqa.example", id="sharp s"),
        pytest.param("https://例え。テスト", "https://xn--r8jz45g.xn--zckzah", id="other dot"),
        pytest.param(f"{ROOT}/ä/%zz/%2F", f"{ROOT}/%C3%A4/%25zz/%2F", id="path to be quoted"),
    ],
)
def test_a_carelessly_written_url_is_normalised(url, root):
    assert root_of(url) == root


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/jobs?limit=1", "/v1/applications/token"])
@pytest.mark.parametrize("root", [ROOT, "http://airbyte-server.airbyte.svc:8001"])
def test_the_path_of_airbyte_cloud_is_understood_on_another_host(root, path):
    assert root_of(root + path) == root


@pytest.mark.parametrize(
    "url",
    [
        "https://api.airbyte.com/v1",
        "https://api.airbyte.com",
        "api.airbyte.com/v1/",
        "https://API.airbyte.com.:443/v1/jobs",
        "https://cloud.airbyte.com/workspaces/744c1f5e/connections",
    ],
)
def test_airbyte_cloud_has_separate_hosts_and_no_config_api(url):
    assert AirbyteUrls.parse(url) == AirbyteUrls(
        public="https://api.airbyte.com/v1", config=None, web="https://cloud.airbyte.com"
    )


@pytest.mark.parametrize("url", ["", "  ", "\n"])
def test_an_empty_host_is_reported_as_empty(url):
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
        "https://airbyte.example.com:0",
        "https://[zz::1]",
        "https://air byte.example.com",
        "https://air\tbyte.example.com",
        "https://air\u00a0byte.example.com",
        "https://airbyte.example.com\u2100",
        "https://airbyte..example.com",
        "https://.",
        f"https://{'a' * 64}.example.com",
        "https://\u00df" + "\u00df" * 63,
        "https://air|byte.example.com",
        "https://airbyte.example.com/my page",
        "https:/airbyte.example.com",
        "https//airbyte.example.com",
        "http://https://airbyte.example.com",
        "curl -X POST https://airbyte.example.com/api/public/v1/applications/token",
        "/api/v1",
    ],
)
def test_an_invalid_url_is_rejected_with_the_name_of_its_field(url):
    with pytest.raises(
        AirbyteConfigError, match=r"^Host \(Airbyte URL\) of the Airflow connection is not a valid"
    ):
        AirbyteUrls.parse(url)


@pytest.mark.parametrize("url", ["https://me:s3cret@airbyte.example.com", "me:s3cret@airbyte"])
def test_credentials_in_the_url_are_rejected_without_showing_them(url):
    with pytest.raises(AirbyteConfigError, match="contains credentials") as error:
        AirbyteUrls.parse(url)

    assert "s3cret" not in str(error.value)


@reproducible
@given(st.text())
def test_any_text_is_either_parsed_or_rejected(text):
    try:
        urls = AirbyteUrls.parse(text)
    except AirbyteConfigError:
        return
    assert AirbyteUrls.parse(urls.public) == urls


def test_the_token_endpoint_of_the_public_api_comes_first():
    assert AirbyteUrls.parse(ROOT).tokens == (
        f"{ROOT}/api/public/v1/applications/token",
        f"{ROOT}/api/v1/applications/token",
    )


def test_airbyte_cloud_has_one_token_endpoint():
    assert AirbyteUrls.parse("api.airbyte.com").tokens == (
        "https://api.airbyte.com/v1/applications/token",
    )


@pytest.mark.parametrize(
    ("segments", "query", "expected"),
    [
        pytest.param(("jobs",), None, "/jobs", id="one segment"),
        pytest.param(("jobs", 42), None, "/jobs/42", id="number"),
        pytest.param(("jobs", "4/2"), None, "/jobs/4%2F2", id="slash"),
        pytest.param(("jobs", "4?a=b#c d"), None, "/jobs/4%3Fa%3Db%23c%20d", id="reserved"),
        pytest.param(("jobs", "é"), None, "/jobs/%C3%A9", id="non-ASCII"),
        pytest.param(("jobs",), {}, "/jobs", id="empty query"),
        pytest.param(("jobs",), {"limit": 20, "offset": 0}, "/jobs?limit=20&offset=0", id="query"),
        pytest.param(
            ("jobs",),
            {"status": None, "limit": 1, "jobType": None},
            "/jobs?limit=1",
            id="query with None",
        ),
        pytest.param(("jobs",), {"status": None}, "/jobs", id="query with None only"),
        pytest.param(
            ("jobs",),
            {"orderBy": "createdAt|DESC", "workspaceIds": "a,b"},
            "/jobs?orderBy=createdAt%7CDESC&workspaceIds=a%2Cb",
            id="reserved characters in the query",
        ),
    ],
)
def test_a_url_of_the_public_api_quotes_its_segments_and_its_query(segments, query, expected):
    url = AirbyteUrls.parse(ROOT).public_url(*segments, query=query)

    assert url == f"{ROOT}/api/public/v1{expected}"


def test_a_url_of_the_config_api_quotes_its_segments():
    urls = AirbyteUrls.parse(ROOT)

    assert urls.config_url("jobs", "get_without_logs") == f"{ROOT}/api/v1/jobs/get_without_logs"
    assert urls.config_url("a/b") == f"{ROOT}/api/v1/a%2Fb"


def test_airbyte_cloud_has_public_urls_only():
    urls = AirbyteUrls.parse("api.airbyte.com")

    assert urls.public_url("jobs", 42) == "https://api.airbyte.com/v1/jobs/42"
    assert urls.config_url("jobs", "get_without_logs") is None


def test_a_link_leads_to_a_job_with_its_logs_open():
    urls = replace(AirbyteUrls.parse("http://airbyte-server:8001"), web=ROOT)
    connection = AirbyteConnection.from_json(CONNECTION)

    assert urls.job_page(connection, 7) == (
        f"{ROOT}/workspaces/{connection.workspace_id}/connections/{connection.connection_id}"
        f"/timeline?jobId=7&openLogs=true"
    )


URLS = AirbyteUrls.parse(ROOT)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"client_id": "me"}, "^Password .* is empty", id="missing secret"),
        pytest.param({"client_secret": "s3cret"}, "^Login .* is empty", id="missing id"),
        pytest.param({"request_timeout": 0}, "^request_timeout ", id="zero timeout"),
        pytest.param({"request_timeout": -1}, "^request_timeout ", id="negative timeout"),
        pytest.param({"request_timeout": float("nan")}, "^request_timeout ", id="NaN timeout"),
        pytest.param({"client_key": "key.pem"}, "^client_key ", id="key without a certificate"),
        pytest.param(
            {"client_id": "me", "client_secret": "s3cret", "headers": {"AUTHORIZATION": "s3cret"}},
            "Authorization",
            id="Authorization header and client id",
        ),
        pytest.param(
            {"headers": {"X-Key": "s3cret\r\nX-Evil: 1"}},
            "^headers .*'X-Key'",
            id="line feed in a header",
        ),
        pytest.param(
            {"headers": {"X-Key": "s3cret ☃"}}, "^headers .*'X-Key'", id="non-ASCII header"
        ),
        pytest.param(
            {"headers": {"X-Key": " s3cret"}}, "^headers .*'X-Key'", id="leading space in a header"
        ),
        pytest.param(
            {"headers": {"X Key": "s3cret"}}, "^headers .*'X Key'", id="space in a header name"
        ),
        pytest.param({"headers": {"": "s3cret"}}, "^headers .*''", id="empty header name"),
    ],
)
def test_an_invalid_value_is_rejected_with_the_name_of_its_field_and_no_secret(fields, message):
    with pytest.raises(AirbyteConfigError, match=message) as error:
        AirbyteSettings(URLS, **fields)

    assert "s3cret" not in str(error.value)


def test_an_authorization_header_is_allowed_without_a_client_id():
    settings = AirbyteSettings(URLS, headers={"Authorization": "Basic bWU6eA==", "X-Empty": ""})

    assert not settings.authenticates


def test_client_id_and_secret_authenticate():
    assert AirbyteSettings(URLS, client_id="me", client_secret="s3cret").authenticates


def test_the_repr_of_settings_contains_no_secret():
    settings = AirbyteSettings(
        URLS,
        client_id="me",
        client_secret="s3cret-1",
        proxy="http://user:s3cret-2@proxy:3128",
        headers={"X-Key": "s3cret-3"},
    )

    assert "s3cret" not in repr(settings)


def test_settings_are_immutable():
    headers = {"X-Key": "1"}
    settings = AirbyteSettings(URLS, headers=headers)

    headers["X-Key"] = "2"

    assert settings.headers == {"X-Key": "1"}
    with pytest.raises(FrozenInstanceError):
        settings.client_id = "me"  # type: ignore[misc]  # on purpose


def test_settings_are_equal_if_and_only_if_all_their_values_are():
    settings = AirbyteSettings(URLS, client_id="me", client_secret="1", headers={"X-Key": "1"})

    assert settings == replace(settings)
    assert hash(settings) == hash(replace(settings))
    assert settings != replace(settings, client_secret="2")
    assert settings != replace(settings, headers={"X-Key": "2"})


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"request_timeout": 77.0}, True),
        ({"config_api": False}, True),
        ({"urls": replace(AirbyteUrls.parse(ROOT), web="https://people.example.com")}, True),
        ({"urls": AirbyteUrls.parse(f"{ROOT}/airbyte")}, False),
        ({"client_id": "you"}, False),
        ({"client_secret": "2"}, False),
        ({"verify_tls": False}, False),
        ({"ca_bundle": "ca.pem"}, False),
        ({"client_cert": "me.pem"}, False),
        ({"client_cert": "me.pem", "client_key": "key.pem"}, False),
        ({"proxy": "http://proxy.example.com"}, False),
        ({"headers": {"X-Key": "2"}}, False),
    ],
)
def test_what_reaches_airbyte_decides_who_shares_a_client(change, is_same):
    settings = AirbyteSettings(
        AirbyteUrls.parse(ROOT), client_id="me", client_secret="1", headers={"X-Key": "1"}
    )

    assert (replace(settings, **change).reach == settings.reach) is is_same
