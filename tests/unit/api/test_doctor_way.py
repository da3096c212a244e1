"""The doctor on the way to Airbyte: proxy, DNS, TCP and TLS, over real sockets."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import trustme

from airflow_provider_airbyte_sme.api.doctor import Outcome
from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.processes import free_port
from tests.unit.api.encrypted import EncryptedEmulator
from tests.unit.api.examinations import examine, examine_emulator, failures, outcomes
from tests.unit.api.servers import (
    LOOPBACK,
    ClosingServer,
    DrippingServer,
    HangUpServer,
    Proxy,
    RawResponse,
    RawServer,
    RefusingServer,
    raw_response,
)

AFTER_THE_WAY = ("airbyte", "token", "workspaces", "version", "clock", "latency", "config-api")


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(time="instant")


@pytest.fixture
def served(emulator) -> Iterator[Emulator]:
    with emulator.serve():
        yield emulator


@pytest.fixture
def encrypted(emulator, certificates) -> Iterator[EncryptedEmulator]:
    with EncryptedEmulator(emulator, certificates.server_context()) as server:
        yield server


def examine_encrypted(emulator, server, **fields):
    credentials = {"client_id": emulator.client_id, "client_secret": emulator.client_secret}
    return examine(server.url, **{**credentials, **fields})


def assert_skipped_after(checks, name, skipped=AFTER_THE_WAY):
    assert {checks[each].saw for each in skipped} == {f"Not checked, because {name} failed."}
    assert {checks[each].outcome for each in skipped} == {Outcome.SKIPPED}


def test_a_working_connection_passes_every_check(emulator, encrypted, certificates):
    checks = examine_encrypted(emulator, encrypted, ca_bundle=certificates.ca_bundle)

    assert outcomes(checks) == {
        **dict.fromkeys(("url", "proxy", "dns", "tcp"), "ok"),
        "tunnel": "skipped",  # without a proxy
        **dict.fromkeys(("tls", "airbyte", "token", "workspaces", "version", "clock"), "ok"),
        "latency": "ok",
        "links": "warning",  # nobody else can open 127.0.0.1
        "config-api": "skipped",  # without a job
    }


def test_the_url_is_shown_as_what_it_became(served):
    checks = examine_emulator(served, config_api=False)

    assert checks["url"].saw == (
        f"Public API {served.url}/api/public/v1, config API not used (config_api is false), "
        f"links to {served.url}."
    )


def test_airbyte_cloud_has_no_config_api():
    # With a proxy that is not there, nothing is sent to it.
    checks = examine("https://cloud.airbyte.com", proxy=f"http://{LOOPBACK}:{free_port()}")

    assert "config API none (Airbyte Cloud)" in checks["url"].saw
    assert failures(checks) == ["tcp"]


def test_an_unknown_host_fails_dns():
    checks = examine("https://airbyte.invalid")

    assert failures(checks) == ["dns"]
    assert checks["dns"].saw.startswith(
        "Airbyte cannot be reached. No address of Airbyte's host airbyte.invalid: "
    )
    assert "Check Host (Airbyte URL)" in checks["dns"].change
    assert_skipped_after(checks, "dns", ("tcp", "tunnel", "tls", *AFTER_THE_WAY))
    assert checks["links"].saw == "Not checked, because Airbyte does not respond there."


def test_links_to_another_host_are_checked_if_airbyte_does_not_respond():
    checks = examine("https://airbyte.invalid", web="https://people.invalid")

    assert checks["links"].outcome is Outcome.WARNING
    assert checks["links"].saw.startswith("Links point to https://people.invalid, which does not")


def test_a_name_is_looked_up(served):
    checks = examine_emulator(served)
    named = examine(served.url.replace(LOOPBACK, "localhost"))

    assert checks["dns"].saw == f"{LOOPBACK} is an address: nothing to look up."
    assert named["dns"].saw.startswith("localhost is ")
    assert LOOPBACK in named["dns"].saw


def test_a_refused_port_fails_tcp():
    port = free_port()

    checks = examine(f"http://{LOOPBACK}:{port}")

    assert failures(checks) == ["tcp"]
    assert checks["tcp"].saw == (
        f"Airbyte cannot be reached. No connection to Airbyte's host {LOOPBACK}:{port}: "
        f"Connection refused."
    )
    assert "Port" in checks["tcp"].change
    assert_skipped_after(checks, "tcp", ("tunnel", "tls", *AFTER_THE_WAY))


class TestAddresses:
    """A host with several addresses: the tests decide which, since DNS has none like these."""

    @pytest.fixture
    def addresses(self, monkeypatch):
        def has(*hosts):
            def look_up(_, port, *__, **___):
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

            monkeypatch.setattr(socket, "getaddrinfo", look_up)

        return has

    def test_one_that_refuses_is_told(self, served, addresses):
        addresses("127.0.0.2", LOOPBACK)

        checks = examine_emulator(served)

        assert failures(checks) == []
        assert checks["dns"].saw == f"{LOOPBACK} is 127.0.0.2, {LOOPBACK}."
        assert checks["tcp"].outcome is Outcome.OK
        assert f"({LOOPBACK}) in " in checks["tcp"].saw
        assert checks["tcp"].saw.endswith(", after 127.0.0.2: Connection refused.")

    def test_one_that_never_responds_is_a_warning(self, served, addresses):
        port = urlsplit(served.url).port
        addresses("127.0.0.2", LOOPBACK)
        with socket.socket() as silent, socket.socket() as waiting:
            silent.bind(("127.0.0.2", port))
            # It takes one connection, and drops all further ones.
            silent.listen(0)
            waiting.connect(silent.getsockname())
            # Longer than a slow connection takes.
            checks = examine_emulator(served, request_timeout=1.1)

        assert checks["tcp"].outcome is Outcome.WARNING
        assert checks["tcp"].saw.endswith(", after 127.0.0.2: timed out.")
        assert "from DNS" in checks["tcp"].change
        assert checks["workspaces"].outcome is Outcome.OK

    def test_one_that_is_slow_is_a_warning(self, served, addresses):
        port = urlsplit(served.url).port
        addresses("127.0.0.2")
        with socket.socket() as slow, socket.socket() as waiting:
            slow.bind(("127.0.0.2", port))
            slow.listen(0)
            waiting.connect(slow.getsockname())
            # The kernel dropped the first attempt to connect, and makes another one after 1 s.
            accepting = threading.Timer(0.5, lambda: slow.accept()[0].close())
            accepting.start()
            checks = examine_emulator(served, request_timeout=5)
            accepting.join()

        assert checks["tcp"].outcome is Outcome.WARNING
        assert checks["tcp"].saw.startswith("Connected to Airbyte's host ")
        assert "after" not in checks["tcp"].saw

    def test_a_slow_name_server_is_a_warning(self, served, monkeypatch):
        look_up = socket.getaddrinfo

        def look_up_slowly(*arguments, **options):
            time.sleep(1.0)
            return look_up(*arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", look_up_slowly)

        checks = examine_emulator(served, url=served.url.replace(LOOPBACK, "localhost"))

        assert checks["dns"].outcome is Outcome.WARNING
        assert ", which took 1" in checks["dns"].saw

    def test_each_is_told_if_none_responds(self, addresses):
        port = free_port()
        addresses("127.0.0.2", "127.0.0.3")

        checks = examine(f"http://{LOOPBACK}:{port}")

        assert failures(checks) == ["tcp"]
        assert checks["tcp"].saw.endswith(
            ": 127.0.0.2: Connection refused; 127.0.0.3: Connection refused."
        )

    def test_a_name_server_that_never_responds_fails(self, monkeypatch):
        over = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait() and [])

        web = "https://people.example.com"
        checks = examine("https://airbyte.example.com", web=web, request_timeout=0.3)
        over.set()

        assert failures(checks) == ["dns"]
        assert "does not open from here: no answer within " in checks["links"].saw
        assert "No address of Airbyte's host airbyte.example.com: no answer" in checks["dns"].saw


class TestSlowServers:
    """They send a byte now and then, so that no read times out."""

    def test_a_tls_handshake_that_never_ends_fails(self):
        with DrippingServer() as server:
            checks = examine(server.url.replace("http:", "https:"), request_timeout=0.5)

        assert failures(checks) == ["tls"]
        assert checks["tls"].saw.endswith("The TLS handshake ended early: timed out.")

    def test_a_proxy_that_never_finishes_its_response_fails(self, encrypted):
        endless = RawResponse(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9_000, pause=0.05)
        with Proxy(connect=endless) as proxy:
            checks = examine(encrypted.url, proxy=proxy.url, request_timeout=0.5)

        assert failures(checks) == ["tunnel"]
        assert checks["tunnel"].saw.endswith(": timed out.")

    def test_all_checks_together_end_in_time(self):
        with RawServer(
            RawResponse(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9_000, pause=0.05)
        ) as server:
            checks = examine(server.url, time_limit=0.5)

        assert failures(checks) == ["airbyte"]
        assert "the time for the whole call is over" in checks["airbyte"].saw
        assert checks["links"].saw == "Not checked, because the time for all checks is over."
        assert checks["links"].outcome is Outcome.SKIPPED


class TestTls:
    def test_the_certificate_is_told(self, emulator, encrypted, certificates):
        tls = examine_encrypted(emulator, encrypted, ca_bundle=certificates.ca_bundle)["tls"]

        assert tls.saw.startswith("TLSv1.3. The certificate was issued by 'trustme v")
        assert f"ca_bundle of the Airflow connection: {certificates.ca_bundle}" in tls.saw

    @pytest.mark.parametrize(
        ("left", "outcome", "text"),
        [
            (timedelta(days=31), Outcome.OK, "expires in 30 days, on "),
            (timedelta(days=30), Outcome.WARNING, "expires in 29 days, on "),
            (timedelta(days=1, hours=1), Outcome.WARNING, "expires in 1 day, on "),
        ],
        ids=["30 days", "29 days", "1 day"],
    )
    def test_a_certificate_that_soon_expires_is_a_warning(
        self, emulator, certificates, left, outcome, text
    ):
        context = certificates.server_context(not_after=datetime.now(UTC) + left)
        with EncryptedEmulator(emulator, context) as server:
            checks = examine_encrypted(emulator, server, ca_bundle=certificates.ca_bundle)

        assert checks["tls"].outcome is outcome
        assert text in checks["tls"].saw
        assert checks["workspaces"].outcome is Outcome.OK
        if outcome is Outcome.WARNING:
            assert checks["tls"].change == "Renew the certificate of Airbyte."

    def test_an_expired_certificate_fails(self, certificates):
        past = datetime.now(UTC) - timedelta(days=1)
        with RawServer(tls=certificates.server_context(not_after=past)) as server:
            checks = examine(server.url, ca_bundle=certificates.ca_bundle)

        assert failures(checks) == ["tls"]
        assert "certificate has expired. The certificate is for '127.0.0.1', " in checks["tls"].saw
        assert checks["tls"].saw.endswith(f" to {past:%Y-%m-%d}.")
        assert "renew Airbyte's" in checks["tls"].change
        assert_skipped_after(checks, "tls")

    def test_a_certificate_for_another_host_fails(self, certificates):
        with RawServer(tls=certificates.server_context("other.example.com")) as server:
            checks = examine(server.url, ca_bundle=certificates.ca_bundle)

        assert failures(checks) == ["tls"]
        assert "The certificate is for 'other.example.com', was issued" in checks["tls"].saw
        assert "The certificate is for another host" in checks["tls"].change

    def test_an_untrusted_certificate_fails_and_its_issuer_is_told(self, certificates):
        with RawServer(tls=certificates.server_context()) as server:
            checks = examine(server.url)

        assert failures(checks) == ["tls"]
        assert (
            "issuer certificate. The certificate is for '127.0.0.1', was issued by 'trustme v"
            in (checks["tls"].saw)
        )
        assert "set ca_bundle" in checks["tls"].change

    def test_a_self_signed_certificate_fails(self, tmp_path):
        # That of an authority is one, and here a server uses it.
        authority = trustme.CA()
        authority.private_key_pem.write_to_path(str(tmp_path / "server.pem"))
        authority.cert_pem.write_to_path(str(tmp_path / "server.pem"), append=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")

        with RawServer(tls=context) as server:
            checks = examine(server.url)

        assert failures(checks) == ["tls"]
        assert "The certificate is for no host, was issued by itself, and" in checks["tls"].saw

    def test_without_cryptography_an_untrusted_certificate_fails_too(
        self, certificates, monkeypatch
    ):
        with RawServer(tls=certificates.server_context()) as server:
            # Now, because what makes certificates needs it too.
            monkeypatch.setitem(sys.modules, "cryptography", None)
            checks = examine(server.url)

        assert failures(checks) == ["tls"]
        assert checks["tls"].saw.endswith("unable to get local issuer certificate.")
        assert "set ca_bundle" in checks["tls"].change

    def test_a_ca_bundle_that_cannot_be_read_fails(self, certificates):
        with RawServer(tls=certificates.server_context()) as server:
            checks = examine(server.url, ca_bundle="/no/such/ca.pem")

        assert failures(checks) == ["tls"]
        assert "ca_bundle of the Airflow connection, '/no/such/ca.pem'" in checks["tls"].saw

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_an_unverified_certificate_is_a_warning(self, emulator, encrypted):
        checks = examine_encrypted(emulator, encrypted, verify_tls=False)

        assert checks["tls"].outcome is Outcome.WARNING
        assert "verify_tls of the Airflow connection is false" in checks["tls"].saw
        assert checks["tls"].change == "Set ca_bundle instead."
        assert checks["workspaces"].outcome is Outcome.OK

    def test_a_client_certificate_is_presented(self, emulator, certificates):
        context = certificates.server_context_requiring_client_cert()
        with EncryptedEmulator(emulator, context) as server:
            checks = examine_encrypted(
                emulator,
                server,
                ca_bundle=certificates.ca_bundle,
                client_cert=certificates.client_cert,
                client_key=certificates.client_key,
            )

        assert failures(checks) == []
        assert f"client certificate {certificates.client_cert}" in checks["tls"].saw

    def test_a_missing_client_certificate_fails(self, emulator, certificates):
        context = certificates.server_context_requiring_client_cert()
        with EncryptedEmulator(emulator, context) as server:
            checks = examine_encrypted(emulator, server, ca_bundle=certificates.ca_bundle)

        # In TLS 1.3 the server looks at it after the handshake, with the first request.
        (name,) = failures(checks)
        assert name in ("tls", "airbyte")
        assert "client certificate" in checks[name].change

    def test_https_to_a_port_that_speaks_http_fails(self, served):
        checks = examine(served.url.replace("http:", "https:"))

        assert failures(checks) == ["tls"]
        assert "must begin with http://" in checks["tls"].change

    def test_http_to_a_port_that_speaks_https_fails(self, encrypted):
        checks = examine(encrypted.url.replace("https:", "http:"))

        assert failures(checks) == ["airbyte"]
        assert checks["airbyte"].change.startswith("If the port speaks https, the URL must")

    def test_the_reason_of_a_failed_handshake_is_told_if_the_server_is_gone(self):
        with RefusingServer() as server:
            checks = examine(server.url.replace("http:", "https:"))

        assert failures(checks) == ["tls"]
        assert "TLS failed: " in checks["tls"].saw

    def test_a_missing_intermediate_certificate_fails(self, emulator, tmp_path):
        root = trustme.CA()
        root.cert_pem.write_to_path(str(tmp_path / "root.pem"))
        leaf = root.create_child_ca().issue_cert(LOOPBACK)
        leaf.private_key_pem.write_to_path(str(tmp_path / "server.pem"))
        leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"), append=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")

        with EncryptedEmulator(emulator, context) as server:
            checks = examine_encrypted(emulator, server, ca_bundle=str(tmp_path / "root.pem"))

        assert failures(checks) == ["tls"]
        assert checks["tls"].change.endswith(
            "have the server send its intermediate certificates too."
        )

    def test_a_server_that_closes_the_connection_in_the_handshake_fails(self):
        with ClosingServer() as server:
            checks = examine(server.url.replace("http:", "https:"))

        assert failures(checks) == ["tls"]
        assert checks["tls"].saw.endswith(
            "The TLS handshake ended early: the server closed the connection."
        )

    def test_a_server_that_hangs_up_fails(self):
        with HangUpServer() as server:
            checks = examine(server.url.replace("http:", "https:"))

        assert failures(checks) == ["tls"]
        assert checks["tls"].saw.startswith(
            "Airbyte cannot be reached. The TLS handshake ended early: "
        )

    def test_http_is_a_warning(self, served):
        checks = examine_emulator(served)

        assert checks["tls"].outcome is Outcome.WARNING
        assert checks["tls"].saw.startswith("The connection is not encrypted")
        assert checks["tls"].change == "Use https outside a private network."


class TestProxies:
    def test_the_proxy_of_the_connection_is_used(self, emulator, encrypted, certificates):
        with Proxy() as proxy:
            checks = examine_encrypted(
                emulator, encrypted, ca_bundle=certificates.ca_bundle, proxy=proxy.url
            )

        assert failures(checks) == []
        assert checks["proxy"].saw == f"{proxy.url} from proxy of the Airflow connection."
        assert checks["tcp"].saw.startswith(f"Connected to the proxy {LOOPBACK}:{proxy.port} ")
        assert checks["tunnel"].saw == f"The proxy connects to {LOOPBACK}:{encrypted.port}."
        assert {each.method for each in proxy.requests} == {"CONNECT"}

    def test_the_proxy_of_the_environment_is_named_by_its_variable(
        self, emulator, encrypted, certificates, monkeypatch
    ):
        with Proxy() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            checks = examine_encrypted(emulator, encrypted, ca_bundle=certificates.ca_bundle)

        assert checks["proxy"].saw == f"{proxy.url} from HTTPS_PROXY."

    def test_a_host_in_no_proxy_is_reached_directly(
        self, emulator, encrypted, certificates, monkeypatch
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{LOOPBACK}:{free_port()}")
        monkeypatch.setenv("NO_PROXY", LOOPBACK)

        checks = examine_encrypted(emulator, encrypted, ca_bundle=certificates.ca_bundle)

        assert failures(checks) == []
        assert checks["proxy"].saw == f"None: HTTPS_PROXY is set, but NO_PROXY lists {LOOPBACK}."

    def test_a_proxy_with_tls_is_used(self, emulator, encrypted, certificates):
        with Proxy(tls=certificates.server_context()) as proxy:
            checks = examine_encrypted(
                emulator, encrypted, ca_bundle=certificates.ca_bundle, proxy=proxy.url
            )

        assert failures(checks) == []
        assert checks["tls"].saw.startswith("TLSv1.3.")

    def test_an_untrusted_proxy_with_tls_fails_the_tunnel_and_its_issuer_is_told(
        self, encrypted, certificates
    ):
        with Proxy(tls=certificates.server_context()) as proxy:
            checks = examine(encrypted.url, proxy=proxy.url)

        assert failures(checks) == ["tunnel"]
        assert "TLS with the proxy failed: " in checks["tunnel"].saw
        assert "was issued by 'trustme v" in checks["tunnel"].saw
        assert "set ca_bundle" in checks["tunnel"].change

    @pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required"])
    def test_a_proxy_that_refuses_fails_the_tunnel(self, encrypted, certificates, status):
        with Proxy(connect=raw_response(b"", status)) as proxy:
            checks = examine(encrypted.url, ca_bundle=certificates.ca_bundle, proxy=proxy.url)

        assert failures(checks) == ["tunnel"]
        assert checks["tunnel"].saw == (
            f"Airbyte cannot be reached. The proxy did not connect to "
            f"{LOOPBACK}:{encrypted.port}: it responded with {status}."
        )
        assert "did not connect" not in checks["tunnel"].change
        assert "with user and password" in checks["tunnel"].change
        assert_skipped_after(checks, "tunnel", ("tls", *AFTER_THE_WAY))

    def test_a_proxy_that_speaks_no_http_fails_the_tunnel(self, encrypted):
        odd = raw_response()
        with Proxy(connect=type(odd)(b"SSH-2.0-OpenSSH_9.2\r\n", then="close")) as proxy:
            checks = examine(encrypted.url, proxy=proxy.url)

        assert failures(checks) == ["tunnel"]

    def test_an_unknown_proxy_fails_dns(self, encrypted):
        checks = examine(encrypted.url, proxy="http://proxy.invalid:3128")

        assert failures(checks) == ["dns"]
        assert "No address of the proxy proxy.invalid: " in checks["dns"].saw
        assert checks["dns"].change.startswith("Check proxy of the Airflow connection, and that")

    def test_a_refusing_port_of_a_proxy_fails_tcp(self, encrypted):
        port = free_port()

        checks = examine(encrypted.url, proxy=f"http://{LOOPBACK}:{port}")

        assert failures(checks) == ["tcp"]
        assert f"No connection to the proxy {LOOPBACK}:{port}: " in checks["tcp"].saw

    def test_a_socks_proxy_fails(self, encrypted, monkeypatch):
        monkeypatch.setenv("ALL_PROXY", f"socks5://{LOOPBACK}:1080")

        checks = examine(encrypted.url)

        assert failures(checks) == ["proxy"]
        assert "ALL_PROXY names a SOCKS proxy" in checks["proxy"].saw
        assert checks["proxy"].change.startswith("Set proxy of the Airflow connection to an HTTP")

    def test_what_cannot_be_a_url_fails_and_hides_its_password(self, encrypted):
        checks = examine(encrypted.url, proxy="http://robot:proxy-password@[proxy:3128")

        assert failures(checks) == ["proxy"]
        assert "is not the URL of an HTTP proxy" in checks["proxy"].saw
        assert "proxy-password" not in str(checks)

    @pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required"])
    def test_http_through_a_proxy_that_refuses_with_a_page_fails(self, served, status):
        page = raw_response(b"<html>no</html>", status, [("Content-Type", "text/html")])
        with Proxy(page) as proxy:
            checks = examine(served.url, proxy=proxy.url)

        assert failures(checks) == ["airbyte"]
        assert "A gateway or proxy, not Airbyte, responded" in checks["airbyte"].saw
        assert "may require a key or a login" in checks["airbyte"].change

    def test_http_through_a_proxy_needs_no_tunnel(self, served):
        with Proxy() as proxy:
            checks = examine_emulator(served, proxy=proxy.url)

        assert failures(checks) == []
        assert checks["tunnel"].outcome is Outcome.SKIPPED
        assert {each.method for each in proxy.requests} == {"GET", "POST"}

    def test_the_login_of_a_proxy_is_used_and_not_shown(self, emulator, encrypted, certificates):
        with Proxy() as proxy:
            checks = examine_encrypted(
                emulator,
                encrypted,
                ca_bundle=certificates.ca_bundle,
                proxy=proxy.url.replace("//", "//robot:proxy-password@"),
            )

        assert checks["proxy"].saw == (
            f"{proxy.url} from proxy of the Airflow connection, with a login."
        )
        assert all("proxy-authorization" in each.headers for each in proxy.requests)
        assert "proxy-password" not in str(checks)
