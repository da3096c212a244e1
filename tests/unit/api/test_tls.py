"""TLS, alike on both faces: whom we trust, who we are, and what is said when it fails."""

from pathlib import Path

import certifi
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteSettings,
    AirbyteTransportError,
    AirbyteUrls,
    HttpRequest,
)
from airflow_provider_airbyte_sme.api.network import ca_file
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.servers import LOOPBACK, Answer, RawServer


@pytest.fixture
def encrypted_key(certificates, tmp_path):
    key = load_pem_private_key(Path(certificates.client_key).read_bytes(), None)
    path = tmp_path / "encrypted.key"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cret"))
    )
    return path


def test_a_certificate_of_an_unknown_authority_is_not_trusted(ask, certificates):
    with (
        RawServer(tls=certificates.server_context()) as server,
        pytest.raises(AirbyteTransportError, match="set ca_bundle") as failure,
    ):
        ask(server.url)

    assert not failure.value.request_sent
    assert server.requests == []


def test_an_authority_of_ones_own_is_trusted_where_the_connection_names_it(ask, certificates):
    with RawServer(tls=certificates.server_context()) as server:
        assert ask(server.url, ca_bundle=certificates.ca_bundle).status == 200


def test_an_authority_of_ones_own_is_trusted_where_the_environment_names_it(
    ask, certificates, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates.ca_bundle)
    with RawServer(tls=certificates.server_context()) as server:
        assert ask(server.url).status == 200


def test_a_certificate_for_another_host_is_not_trusted(ask, certificates):
    with (
        RawServer(tls=certificates.server_context("airbyte.example.com")) as server,
        pytest.raises(AirbyteTransportError, match="CERTIFICATE_VERIFY_FAILED") as failure,
    ):
        ask(server.url, ca_bundle=certificates.ca_bundle)

    assert not failure.value.request_sent


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("host", [LOOPBACK, "airbyte.example.com"])
def test_whoever_does_not_want_to_verify_gets_an_answer(ask, certificates, host):
    with RawServer(tls=certificates.server_context(host)) as server:
        assert ask(server.url, verify_tls=False).status == 200


@pytest.mark.parametrize("files", [("client_cert", "client_key"), ("client_cert_with_key", None)])
def test_a_server_that_wants_a_client_certificate_gets_it(ask, certificates, files):
    cert, key = files
    with RawServer(tls=certificates.server_context_that_wants_a_client_certificate()) as server:
        response = ask(
            server.url,
            ca_bundle=certificates.ca_bundle,
            client_cert=getattr(certificates, cert),
            client_key=getattr(certificates, key) if key else "",
        )

    assert response.status == 200


def test_a_server_that_misses_a_client_certificate_gives_no_answer(ask, certificates):
    with (
        RawServer(tls=certificates.server_context_that_wants_a_client_certificate()) as server,
        pytest.raises(AirbyteTransportError),
    ):
        ask(server.url, ca_bundle=certificates.ca_bundle)

    assert server.requests == []


def test_a_port_that_speaks_no_tls_is_told_as_such(ask):
    with (
        Emulator().serve() as server,
        pytest.raises(AirbyteTransportError, match="a port that speaks https"),
    ):
        ask(server.url.replace("http:", "https:"))


def test_tls_that_breaks_after_the_request_leaves_it_in_doubt(ask, certificates):
    garbled = Answer(b"HTTP/1.1 200", then="garble")
    with RawServer(garbled, tls=certificates.server_context()) as server:
        request = HttpRequest("POST", server.url, body=b"{}")
        with pytest.raises(AirbyteTransportError) as failure:
            ask(server.url, request, ca_bundle=certificates.ca_bundle)

    assert failure.value.request_sent
    assert len(server.requests) == 1


@pytest.mark.parametrize("content", [None, "no certificate"])
@pytest.mark.parametrize("field", ["ca_bundle", "client_cert"])
def test_a_file_that_cannot_be_read_is_named_with_its_field(ask, tmp_path, field, content):
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)

    with pytest.raises(AirbyteConfigError, match=f"^{field} of the Airflow") as failure:
        ask("https://airbyte.invalid", **{field: str(path)})

    assert str(path) in str(failure.value)


def test_a_key_that_does_not_belong_to_its_certificate_is_named_with_its_field(
    ask, certificates, tmp_path
):
    other = tmp_path / "other.key"
    certificates.authority.issue_cert("other@example.com").private_key_pem.write_to_path(other)

    with pytest.raises(AirbyteConfigError, match=r"^client_cert .* or its client_key"):
        ask(
            "https://airbyte.invalid",
            client_cert=certificates.client_cert,
            client_key=str(other),
        )


def test_an_encrypted_key_is_refused_by_its_field(ask, certificates, encrypted_key):
    with pytest.raises(AirbyteConfigError, match="unencrypted"):
        ask(
            "https://airbyte.invalid",
            client_cert=certificates.client_cert,
            client_key=str(encrypted_key),
        )


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_without_verification_no_file_of_authorities_is_read(ask, certificates):
    with RawServer(tls=certificates.server_context()) as server:
        assert ask(server.url, verify_tls=False, ca_bundle="/no/such/file").status == 200


def test_the_authorities_to_trust_are_the_connections_then_the_environments_then_certifis(
    monkeypatch,
):
    urls = AirbyteUrls.parse("https://airbyte")
    own, usual = AirbyteSettings(urls, ca_bundle="/own.pem"), AirbyteSettings(urls)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/environment.pem")

    assert [ca_file(own), ca_file(usual)] == ["/own.pem", "/environment.pem"]
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert [ca_file(own), ca_file(usual)] == ["/own.pem", certifi.where()]
