"""TLS with both transports: trusted authorities, client certificates and error messages."""

import ssl
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from ipaddress import ip_address
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteSettings,
    AirbyteTransportError,
    AirbyteUrls,
    HttpRequest,
)
from airflow_provider_airbyte_sme.api.network import Call, tls_context
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.certificates import Certificates
from tests.unit.api.servers import LOOPBACK, RawResponse, RawServer

YESTERDAY = datetime.now(UTC) - timedelta(days=1)

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def only_variable(monkeypatch, variable, path):
    """Set one of the variables that name trusted authorities, and unset the others."""
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(path))


@pytest.fixture
def ca_folder(certificates, tmp_path):
    """Return a folder as `openssl rehash` prepares it, with the authority of the tests."""
    folder = tmp_path / "authorities"
    folder.mkdir()
    pem = Path(certificates.ca_bundle).read_bytes()
    subject = x509.load_pem_x509_certificate(pem).subject
    # OpenSSL hashes the subject in lower case, without the header of the outer sequence.
    canonical = x509.Name(x509.NameAttribute(each.oid, each.value.lower()) for each in subject)
    encoded = canonical.public_bytes()
    digest = sha1(encoded[2 if encoded[1] < 128 else 3 :]).digest()
    (folder / f"{int.from_bytes(digest[:4], 'little'):08x}.0").write_bytes(pem)
    return folder


@pytest.fixture
def self_signed(tmp_path):
    """Return a file with a certificate that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "airbyte")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False
        )
        .sign(key, SHA256())
    )
    path = tmp_path / "self-signed.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return path


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


@pytest.mark.parametrize("host", [LOOPBACK, "localhost"])
def test_a_certificate_for_another_host_is_rejected(send, certificates, host):
    with RawServer(tls=certificates.server_context("airbyte.example.com")) as server:
        url = server.url.replace(LOOPBACK, host)
        with pytest.raises(AirbyteTransportError, match="for another host: set Host") as error:
            send(url, ca_bundle=certificates.ca_bundle)

    assert not error.value.request_sent
    assert server.requests == []


def test_an_expired_certificate_is_rejected_and_no_authority_would_help(send, certificates):
    tls = certificates.server_context(not_after=YESTERDAY)
    with (
        RawServer(tls=tls) as server,
        pytest.raises(AirbyteTransportError, match="renew Airbyte's") as error,
    ):
        send(server.url, ca_bundle=certificates.ca_bundle)

    assert "ca_bundle" not in str(error.value)
    assert not error.value.request_sent
    assert server.requests == []


def test_a_self_signed_certificate_is_rejected_until_it_is_the_ca_bundle(
    send, self_signed, certificates
):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(self_signed)
    with RawServer(tls=tls) as server:
        for fields in ({}, {"ca_bundle": certificates.ca_bundle}):
            with pytest.raises(AirbyteTransportError, match="set ca_bundle") as error:
                send(server.url, **fields)
            assert "self-signed" in str(error.value)
            assert not error.value.request_sent

        assert send(server.url, ca_bundle=str(self_signed)).status == 200

    assert len(server.requests) == 1


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("host", [LOOPBACK, "airbyte.example.com"])
def test_any_certificate_is_accepted_without_verification_and_a_warning_says_so(
    send, certificates, host, caplog
):
    with RawServer(tls=certificates.server_context(host)) as server:
        assert send(server.url, verify_tls=False).status == 200

    (warning,) = caplog.messages
    assert warning.endswith("can read the client secret. Set ca_bundle instead.")


def test_with_verification_nothing_is_warned_about(send, certificates, caplog):
    with RawServer(tls=certificates.server_context()) as server:
        send(server.url, ca_bundle=certificates.ca_bundle)

    assert caplog.messages == []


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


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_client_certificate_fails_the_request(send, certificates, version):
    tls = certificates.server_context_requiring_client_cert()
    tls.minimum_version = tls.maximum_version = version
    with (
        RawServer(tls=tls) as server,
        pytest.raises(AirbyteTransportError) as error,
    ):
        send(server.url, ca_bundle=certificates.ca_bundle)

    assert server.requests == []
    if version is ssl.TLSVersion.TLSv1_2:
        # With 1.3, the client learns of it only after the handshake, or finds a closed connection.
        assert "requires a client certificate (client_cert)" in str(error.value)


@pytest.mark.parametrize("mistake", ["unknown authority", "expired"])
def test_a_client_certificate_that_the_server_rejects_is_named(
    send, certificates, tmp_path, mistake
):
    if mistake == "expired":
        client_cert = certificates.client_certificate(tmp_path, not_after=YESTERDAY)
    else:
        client_cert = Certificates.made_in(tmp_path).client_cert_with_key
    tls = certificates.server_context_requiring_client_cert()
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        RawServer(tls=tls) as server,
        pytest.raises(AirbyteTransportError, match="Airbyte rejected client_cert") as error,
    ):
        send(server.url, ca_bundle=certificates.ca_bundle, client_cert=client_cert)

    assert server.requests == []
    assert not error.value.request_sent


@pytest.mark.parametrize(
    ("alert", "advice"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "Airbyte requires a client certificate: set"),
        ("TLSV1_ALERT_UNKNOWN_CA", "Airbyte rejected client_cert"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "Airbyte rejected client_cert"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "Airbyte rejected client_cert"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "TLS failed: check that Host"),
    ],
)
def test_the_advice_follows_the_alert_of_the_server(alert, advice):
    error = ssl.SSLError(1, f"[SSL: {alert}] as OpenSSL says (_ssl.c:2580)")

    failure = Call(HttpRequest("GET", "https://airbyte")).failure(error, timed_out=False)

    assert advice in str(failure)


def test_the_error_for_a_port_without_tls_says_so(send):
    with (
        Emulator().serve() as server,
        pytest.raises(
            AirbyteTransportError, match="What responds there does not speak TLS: check Port"
        ),
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


@pytest.mark.parametrize("content", [None, "not a certificate"], ids=["missing", "invalid"])
@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_an_unreadable_file_of_the_environment_is_named_with_its_variable(
    send, monkeypatch, tmp_path, variable, content
):
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)
    only_variable(monkeypatch, variable, path)

    with pytest.raises(AirbyteConfigError, match=f"^{variable}, '{path}', cannot") as error:
        send("https://airbyte.invalid")

    assert "the Airflow connection" not in str(error.value)


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_a_variable_may_name_a_file_or_a_directory(
    send, certificates, ca_folder, monkeypatch, variable
):
    for path in (certificates.ca_bundle, ca_folder):
        only_variable(monkeypatch, variable, path)
        with RawServer(tls=certificates.server_context()) as server:
            assert send(server.url).status == 200


def test_requests_ca_bundle_comes_before_curl_ca_bundle(send, certificates, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates.ca_bundle)
    monkeypatch.setenv("CURL_CA_BUNDLE", "/no/such/file")
    with RawServer(tls=certificates.server_context()) as server:
        assert send(server.url).status == 200


def test_the_ca_bundle_of_the_connection_may_be_a_directory(send, certificates, ca_folder):
    with RawServer(tls=certificates.server_context()) as server:
        assert send(server.url, ca_bundle=str(ca_folder)).status == 200


def test_a_certificate_is_rejected_if_its_authority_is_not_in_the_directory(
    send, certificates, tmp_path
):
    with (
        RawServer(tls=certificates.server_context()) as server,
        pytest.raises(AirbyteTransportError, match="set ca_bundle") as error,
    ):
        send(server.url, ca_bundle=str(tmp_path))

    assert not error.value.request_sent


@pytest.mark.parametrize("field", ["ca_bundle", "client_cert"])
def test_no_file_of_the_connection_is_read_for_plain_http(send, field):
    with RawServer() as server:
        assert send(server.url, **{field: "/no/such/file"}).status == 200


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_no_file_of_the_environment_is_read_for_plain_http(send, monkeypatch, variable):
    only_variable(monkeypatch, variable, "/no/such/file")
    with RawServer() as server:
        assert send(server.url).status == 200


def test_the_files_matter_for_plain_http_through_a_proxy_with_tls(send):
    with pytest.raises(AirbyteConfigError, match=r"^ca_bundle of the Airflow connection"):
        send("http://airbyte.invalid", proxy="https://proxy.invalid", ca_bundle="/no/such/file")


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


def test_the_authorities_of_certifi_are_trusted_by_default(monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    certifi_alone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    certifi_alone.load_verify_locations(certifi.where())

    trusted = tls_context(AirbyteSettings(AirbyteUrls.parse("https://airbyte"))).get_ca_certs()

    assert all(authority in trusted for authority in certifi_alone.get_ca_certs())
