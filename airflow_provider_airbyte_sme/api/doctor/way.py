"""The steps on the way to Airbyte: its URL, proxy, DNS, TCP and TLS."""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from airflow_provider_airbyte_sme.api.doctor.certificates import described, issuer_of
from airflow_provider_airbyte_sme.api.doctor.checks import (
    SLOW_ADVICE,
    UNREACHABLE,
    Finding,
    call_in_time,
    failed,
    ok,
    skipped,
    warning,
)
from airflow_provider_airbyte_sme.api.doctor.subject import SHORTEST, Address, Subject
from airflow_provider_airbyte_sme.api.network import (
    MAX_CONNECT_TIMEOUT,
    MAX_LINE,
    UNREACHABLE_ADVICE,
    UNVERIFIED,
    Proxy,
    bypassed_proxy,
    proxy_advice,
    proxy_for,
    seconds_until,
    tls_advice,
    tls_context,
    trusted_authorities,
)
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

# Days before the end of a certificate from which on to warn.
MIN_DAYS_LEFT = 30
_SECONDS_PER_DAY = 86_400
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Seconds of a name look-up or of connecting from which on to warn: each connection takes as long.
_SLOW = 1.0
_SLOW_NAME_ADVICE = "Look for a name server in /etc/resolv.conf that does not respond."
# Bytes of one read, at least as long as one TLS record.
_RECORD = 17_000


class Place(NamedTuple):
    """A host and a port, and how messages name it."""

    host: str
    port: int
    what: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def place_of(url: str, what: str) -> Place:
    """Return where *url* leads to."""
    return Place(urlsplit(url).hostname or "", port_of(url), what)


def port_of(url: str) -> int:
    """Return the port of *url*, also if its scheme says it."""
    parts = urlsplit(url)
    return parts.port or _DEFAULT_PORTS[parts.scheme]


async def check_url(subject: Subject) -> Finding:
    """Show what became of the URL of the Airflow connection."""
    urls, settings = subject.settings.urls, subject.settings
    config = urls.config or "none (Airbyte Cloud)"
    if not settings.config_api:
        config = "not used (config_api is false)"
    return ok(f"Public API {urls.public}, config API {config}, links to {urls.web}.")


async def check_proxy(subject: Subject) -> Finding:
    """Find out which proxy is used, and who says so."""
    proxy = subject.proxy = proxy_for(subject.settings)
    if proxy:
        login = ", with a login" if proxy.headers else ""
        return ok(f"{proxy.url} from {proxy.origin}{login}.")
    if variable := bypassed_proxy(subject.settings):
        host = place_of(subject.settings.urls.public, "").host
        return ok(f"None: {variable} is set, but NO_PROXY lists {host}.")
    return ok("None: Airbyte is reached directly.")


async def check_dns(subject: Subject) -> Finding:
    """Look the host up that a connection is made to."""
    place = _first_place(subject)
    began = time.perf_counter()
    try:
        subject.addresses = look_up(place, timeout_of(subject))
    except (OSError, UnicodeError) as error:
        return failed(
            f"{UNREACHABLE} No address of {place.what} {place.host}: {reason_of(error)}.",
            _way_advice(subject),
        )
    took = time.perf_counter() - began
    addresses = [str(each) for each in subject.addresses]
    if addresses == [place.host]:
        return ok(f"{place.host} is an address: nothing to look up.")
    saw = f"{place.host} is {', '.join(dict.fromkeys(addresses))}"
    if took >= _SLOW:
        return warning(f"{saw}, which took {_milliseconds(took)}.", _SLOW_NAME_ADVICE)
    return ok(f"{saw}.")


def look_up(place: Place, timeout: float) -> tuple[Address, ...]:
    """
    Return the addresses of a host, in the order in which the client tries them.

    :raises OSError: There is none, or not in time.
    :raises UnicodeError: It cannot be looked up.
    """
    ask = partial(socket.getaddrinfo, place.host, place.port, type=socket.SOCK_STREAM)
    # The operating system asks one name server after the other, for each domain, for minutes.
    found = call_in_time(ask, timeout)
    return tuple(Address(each[0], each[4]) for each in found)


async def check_tcp(subject: Subject) -> Finding:
    """Open a connection to Airbyte, or to the proxy, at the first address that responds."""
    place = _first_place(subject)
    began = time.perf_counter()
    failures: list[tuple[Address, str]] = []
    for address in subject.addresses:
        try:
            _connected(subject, address).close()
        except OSError as error:
            failures.append((address, reason_of(error)))
        else:
            # Not to wait for the others again.
            subject.addresses = (address,)
            return _of_connection(place, address, failures, time.perf_counter() - began)
    reason = failures[0][1] if len(failures) == 1 else _list_of(failures)
    return failed(
        f"{UNREACHABLE} No connection to {place.what} {place}: {reason}.", _way_advice(subject)
    )


def _of_connection(
    place: Place, address: Address, failures: list[tuple[Address, str]], took: float
) -> Finding:
    saw = f"Connected to {place.what} {place} ({address}) in {_milliseconds(took)}"
    if failures:
        saw = f"{saw}, after {_list_of(failures)}"
    if took < _SLOW:
        return ok(f"{saw}.")
    if not failures:
        return warning(f"{saw}.", SLOW_ADVICE)
    return warning(
        f"{saw}.",
        "Each connection loses this time: remove the addresses that do not respond from DNS, or "
        "open the way to them.",
    )


def _list_of(failures: list[tuple[Address, str]]) -> str:
    return "; ".join(f"{address}: {reason}" for address, reason in failures)


async def check_tunnel(subject: Subject) -> Finding:
    """Ask the proxy for a way to Airbyte (CONNECT)."""
    if subject.proxy is None:
        return skipped("No proxy is used.")
    airbyte = _airbyte(subject.settings)
    if not is_encrypted(subject.settings):
        return skipped("The proxy forwards requests to http itself, without CONNECT.")
    try:
        with _opened(subject):
            return ok(f"The proxy connects to {airbyte}.")
    except ssl.SSLError as error:
        certificate = _rejected(error, _first_stream(subject), _first_place(subject).host)
        return _failed_tls(error, "TLS with the proxy", certificate)
    except (OSError, http.client.HTTPException) as error:
        return failed(
            f"{UNREACHABLE} The proxy did not connect to {airbyte}: {reason_of(error)}.",
            proxy_advice(subject.proxy.origin),
        )


async def check_tls(subject: Subject) -> Finding:
    """Make a TLS handshake with Airbyte as the client does, and look at the certificate."""
    settings = subject.settings
    if not is_encrypted(settings):
        return warning(
            "The connection is not encrypted: whoever is on the way can read the client secret.",
            "Use https outside a private network.",
        )
    context = tls_context(settings)
    try:
        with _opened(subject) as stream:
            shaken = _handshake(stream, context, _airbyte(settings).host)
    except ssl.SSLError as error:
        certificate = _rejected(error, _opened(subject), _airbyte(settings).host)
        return _failed_tls(error, "TLS", certificate)
    except (OSError, http.client.HTTPException) as error:
        return failed(
            f"{UNREACHABLE} The TLS handshake ended early: {reason_of(error)}.",
            tls_advice(""),
        )
    return _of_certificate(shaken, settings)


def _failed_tls(error: ssl.SSLError, what: str, certificate: str) -> Finding:
    # Where it failed in the source of Python helps nobody.
    reason = re.sub(r"\.? \(_ssl\.c:\d+\)$", "", str(error))
    saw = f"{UNREACHABLE} {what} failed: {reason}. {certificate}".strip()
    return failed(saw, tls_advice(str(error)))


def _rejected(error: ssl.SSLError, opened: AbstractContextManager[_TimelyStream], host: str) -> str:
    """
    Return a sentence about the certificate that was the reason of *error*; empty if there is none.

    The standard library parses a certificate only if it trusts it. So this makes another handshake,
    after which nothing is sent.

    :param opened: Opens another connection to the same server.
    """
    if not isinstance(error, ssl.SSLCertVerificationError):
        return ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with opened as stream:
            return described(_handshake(stream, context, host).encoded)
    # The library may be missing, or too old, or find the certificate broken.
    except Exception:
        return ""


def _of_certificate(shaken: Handshake, settings: AirbyteSettings) -> Finding:
    client = f", client certificate {settings.client_cert}" if settings.client_cert else ""
    if not settings.verify_tls:
        saw, _, change = UNVERIFIED.rpartition(". ")
        return warning(f"{shaken.version}{client}. {saw}.", change)
    ends_at = ssl.cert_time_to_seconds(str(shaken.certificate["notAfter"]))
    days = int((ends_at - time.time()) / _SECONDS_PER_DAY)
    origin, path = trusted_authorities(settings)
    saw = (
        f"{shaken.version}{client}. The certificate was issued by {issuer_of(shaken.certificate)}, "
        f"is trusted (authorities of the system, and {origin}: {path}) and expires in "
        f"{_days(days)}, on {datetime.fromtimestamp(ends_at, UTC):%Y-%m-%d}."
    )
    if days < MIN_DAYS_LEFT:
        return warning(saw, "Renew the certificate of Airbyte.")
    return ok(saw)


def _days(days: int) -> str:
    return f"{days} day" if days == 1 else f"{days} days"


class Handshake(NamedTuple):
    """
    What a TLS handshake has shown.

    :param certificate: As :meth:`ssl.SSLSocket.getpeercert`; empty if it was not verified.
    :param encoded: The same in DER, also if it was not verified.
    """

    version: str
    certificate: Mapping[str, Any]
    encoded: bytes


def _handshake(stream: _TimelyStream, context: ssl.SSLContext, host: str) -> Handshake:
    """
    Make a TLS handshake over any stream, also over one that is encrypted itself.

    :raises ssl.SSLError: The certificate is not accepted, or the other side speaks no TLS.
    :raises OSError: The connection broke, or it took too long.
    """
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, to_send, server_hostname=host)
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            stream.send(to_send.read())
            if not (data := stream.receive()):
                raise ConnectionError("the server closed the connection") from None
            received.write(data)
        except ssl.SSLError:
            # Tells the server why, if it still listens.
            with suppress(OSError):
                stream.send(to_send.read())
            raise
        else:
            stream.send(to_send.read())
            encoded = tls.getpeercert(binary_form=True) or b""
            return Handshake(tls.version() or "TLS", tls.getpeercert() or {}, encoded)


class _TimelyStream:
    """
    A socket with one deadline for all that is sent and received.

    :param timeout: Seconds from now on.
    """

    def __init__(self, connection: socket.socket, timeout: float) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + timeout

    def encrypted(self, context: ssl.SSLContext, host: str) -> _TimelyStream:
        """Make a TLS handshake, and return a stream over it with the same deadline."""
        self._set_timeout()
        connection = context.wrap_socket(self._connection, server_hostname=host)
        return _TimelyStream(connection, self._deadline - time.monotonic())

    def send(self, data: bytes) -> None:
        self._set_timeout()
        self._connection.sendall(data)

    def receive(self) -> bytes:
        self._set_timeout()
        return self._connection.recv(_RECORD)

    def close(self) -> None:
        self._connection.close()

    def _set_timeout(self) -> None:
        self._connection.settimeout(seconds_until(self._deadline))


@contextmanager
def _opened(subject: Subject) -> Iterator[_TimelyStream]:
    """
    Open a connection on which TLS with Airbyte can begin: through the proxy, if there is one.

    :raises OSError: There is none, or not in time; the proxy may have refused it.
    :raises http.client.HTTPException: The proxy does not speak HTTP.
    """
    with _first_stream(subject) as stream:
        if subject.proxy is None:
            yield stream
        elif urlsplit(subject.proxy.url).scheme == "http":
            yield _tunnelled(stream, subject.proxy, _airbyte(subject.settings))
        else:
            context = tls_context(subject.settings)
            with closing(stream.encrypted(context, _first_place(subject).host)) as encrypted:
                yield _tunnelled(encrypted, subject.proxy, _airbyte(subject.settings))


@contextmanager
def _first_stream(subject: Subject) -> Iterator[_TimelyStream]:
    """Open a connection to Airbyte, or to the proxy."""
    connection = _connected(subject, subject.addresses[0])
    with closing(_TimelyStream(connection, timeout_of(subject))) as stream:
        yield stream


def _connected(subject: Subject, address: Address) -> socket.socket:
    connection = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_of(subject))
        connection.connect(address.place)
    except BaseException:
        connection.close()
        raise
    return connection


def timeout_of(subject: Subject) -> float:
    """Return the seconds for one step on the way."""
    limits = (MAX_CONNECT_TIMEOUT, subject.settings.request_timeout, subject.seconds_left())
    return max(min(limits), SHORTEST)


def _tunnelled(stream: _TimelyStream, proxy: Proxy, airbyte: Place) -> _TimelyStream:
    lines = [f"CONNECT {airbyte} HTTP/1.1", f"Host: {airbyte}"]
    lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
    stream.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
    response = _response_of(_head(stream))
    if response.status != http.client.OK:
        raise ConnectionError(f"it responded with {response.status} {response.reason}".strip())
    return stream


def _head(stream: _TimelyStream) -> bytes:
    """Return the first line and the headers of a response, if it has them."""
    head = b""
    while len(head) < MAX_LINE and not re.search(rb"\n\r?\n", head):
        if not (data := stream.receive()):
            break
        head += data
    return head


def _response_of(head: bytes) -> http.client.HTTPResponse:
    """
    Parse the first line and the headers of a response to CONNECT.

    :raises http.client.HTTPException: It is no HTTP.
    """

    class Received:
        def makefile(self, _: str) -> io.BytesIO:
            return io.BytesIO(head)

    # It uses nothing else of a socket.
    response = http.client.HTTPResponse(cast("socket.socket", Received()), method="CONNECT")
    response.begin()
    return response


def _first_place(subject: Subject) -> Place:
    """Return where a connection is made to: the proxy, if there is one."""
    if subject.proxy is None:
        return _airbyte(subject.settings)
    return place_of(subject.proxy.url, "the proxy")


def _airbyte(settings: AirbyteSettings) -> Place:
    return place_of(settings.urls.public, "Airbyte's host")


def is_encrypted(settings: AirbyteSettings) -> bool:
    """Whether Airbyte is reached by https."""
    return settings.urls.public.startswith("https:")


def _way_advice(subject: Subject) -> str:
    if subject.proxy is None:
        return UNREACHABLE_ADVICE
    return f"Check {subject.proxy.origin}, and that this machine can reach it."


def reason_of(error: Exception) -> str:
    """Return what an exception of the standard library says."""
    text = error.strerror if isinstance(error, OSError) else ""
    return text or str(error) or type(error).__name__


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
