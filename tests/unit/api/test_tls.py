"""TLS with both transports: trusted authorities, client certificates and error messages."""

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
from tests.unit.api.servers import LOOPBACK, RawResponse, RawServer


@pytest.fixture
def encrypted_key(certificates, tmp_path):
    key = load_pem_private_key(Path(certificates.client_key).read_bytes(), None)
    path = tmp_path / "encrypted.key"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cret"))
    )
    return path


def test_a_certificate_of_an_unknown_authority_is_rejected(send, certificates):
    with (
        RawServer(tls=certificates.server_context()) as server,
        pytest.raises(AirbyteTransportError, match="set ca_bundle") as error,
    ):
        send(server.url)

    assert not error.value.request_sent
    assert server.requests == []


def test_the_ca_bundle_of_the_connection_is_trusted(send, certificates):
    with RawServer(tls=certificates.server_context()) as server:
        assert send(server.url, ca_bundle=certificates.ca_bundle).status == 200


def test_the_ca_bundle_of_the_environment_is_trusted(send, certificates, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates.ca_bundle)
    with RawServer(tls=certificates.server_context()) as server:
        assert send(server.url).status == 200


def test_a_certificate_for_another_host_is_rejected(send, certificates):
    with (
        RawServer(tls=certificates.server_context("airbyte.example.com")) as server,
        pytest.raises(AirbyteTransportError, match="CERTIFICATE_VERIFY_FAILED") as error,
    ):
        send(server.url, ca_bundle=certificates.ca_bundle)

    assert not error.value.request_sent


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("host", [LOOPBACK, "airbyte.example.com"])
def test_any_certificate_is_accepted_without_verification(send, certificates, host):
    with RawServer(tls=certificates.server_context(host)) as server:
        assert send(server.url, verify_tls=False).status == 200


@pytest.mark.parametrize("files", [("client_cert", "client_key"), ("client_cert_with_key", None)])
def test_the_client_certificate_is_presented_to_the_server(send, certificates, files):
    cert, key = files
    with RawServer(tls=certificates.server_context_requiring_client_cert()) as server:
        response = send(
            server.url,
            ca_bundle=certificates.ca_bundle,
            client_cert=getattr(certificates, cert),
            client_key=getattr(certificates, key) if key else "",
        )

    assert response.status == 200


def test_a_missing_client_certificate_fails_the_request(send, certificates):
    with (
        RawServer(tls=certificates.server_context_requiring_client_cert()) as server,
        pytest.raises(AirbyteTransportError),
    ):
        send(server.url, ca_bundle=certificates.ca_bundle)

    assert server.requests == []


def test_the_error_for_a_port_without_tls_says_so(send):
    with (
        Emulator().serve() as server,
        pytest.raises(AirbyteTransportError, match="a port that speaks https"),
    ):
        send(server.url.replace("http:", "https:"))


def test_a_tls_failure_after_the_request_means_that_it_was_sent(send, certificates):
    garbled = RawResponse(b"HTTP/1.1 200", then="garble")
    with RawServer(garbled, tls=certificates.server_context()) as server:
        request = HttpRequest("POST", server.url, body=b"{}")
        with pytest.raises(AirbyteTransportError) as error:
            send(server.url, request, ca_bundle=certificates.ca_bundle)

    assert error.value.request_sent
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "content", [None, "not a certificate"], ids=["missing", "not a certificate"]
)
@pytest.mark.parametrize("field", ["ca_bundle", "client_cert"])
def test_an_unreadable_file_is_named_with_its_field(send, tmp_path, field, content):
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)

    with pytest.raises(AirbyteConfigError, match=f"^{field} of the Airflow") as error:
        send("https://airbyte.invalid", **{field: str(path)})

    assert str(path) in str(error.value)


def test_an_unreadable_file_of_the_environment_is_named_with_its_variable(send, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")

    with pytest.raises(AirbyteConfigError, match=r"^REQUESTS_CA_BUNDLE, '/no/such/file', cannot"):
        send("https://airbyte.invalid")


def test_a_key_of_another_certificate_is_rejected_with_the_name_of_its_field(
    send, certificates, tmp_path
):
    other = tmp_path / "other.key"
    certificates.authority.issue_cert("other@example.com").private_key_pem.write_to_path(other)

    with pytest.raises(AirbyteConfigError, match=r"^client_cert .* or its client_key"):
        send(
            "https://airbyte.invalid",
            client_cert=certificates.client_cert,
            client_key=str(other),
        )


def test_an_encrypted_key_is_rejected(send, certificates, encrypted_key):
    with pytest.raises(AirbyteConfigError, match="unencrypted"):
        send(
            "https://airbyte.invalid",
            client_cert=certificates.client_cert,
            client_key=str(encrypted_key),
        )


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_without_verification_the_ca_bundle_is_not_read(send, certificates):
    with RawServer(tls=certificates.server_context()) as server:
        assert send(server.url, verify_tls=False, ca_bundle="/no/such/file").status == 200


def test_the_ca_file_is_that_of_the_connection_then_the_environment_then_certifi(monkeypatch):
    urls = AirbyteUrls.parse("https://airbyte")
    with_bundle = AirbyteSettings(urls, ca_bundle="/connection.pem")
    without_bundle = AirbyteSettings(urls)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/environment.pem")

    assert [ca_file(with_bundle), ca_file(without_bundle)] == [
        "/connection.pem",
        "/environment.pem",
    ]
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert [ca_file(with_bundle), ca_file(without_bundle)] == ["/connection.pem", certifi.where()]
