"""Proxy, TLS, URLs, timeouts and transport errors, for both transports."""

from __future__ import annotations

import ipaddress
import logging
import math
import os
import re
import ssl
import time
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteConfigError,
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
    one_line,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest
from airflow_provider_airbyte_sme.api.scrubbing import scrub
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

# Seconds.
MAX_CONNECT_TIMEOUT = 10.0

# Seconds that a response may take beyond the timeout of its request, unless the request says more:
# enough for 10 MB over a slow line. The largest bodies are catalogs of a few MB.
BODY_ALLOWANCE = 60.0

# Bytes of one line of a response. Identity-aware proxies send headers of more than the 8,190 that
# aiohttp reads by default; this is the limit of the standard library, and so of requests.
MAX_LINE = 65536

# The environment variables with trusted authorities, in the order of requests.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

# The text of the standard library for a CONNECT that was not answered with 200.
_TUNNEL_REJECTED = "Tunnel connection failed"

_NEVER_IN_A_URL = re.compile(r"[\x00-\x20\x7f]")

_PROXY_EXAMPLE = "http://proxy.example.com:3128"

UNVERIFIED = (
    "The certificate of Airbyte is not verified, because verify_tls of the Airflow connection is "
    "false: whoever is on the way can read the client secret. Set ca_bundle instead."
)

UNREACHABLE_ADVICE = (
    "Check Host (Airbyte URL) and Port of the Airflow connection, and that this machine can reach "
    "it (DNS, firewall, proxy)."
)
_NO_HTTP_ADVICE = (
    "What responds there does not speak HTTP: check Port and Host (Airbyte URL) of the Airflow "
    "connection, and whether the URL must begin with https://."
)

log = logging.getLogger(__name__)


class Call:
    """
    One request on its way: its deadline, and whether Airbyte may have received it.

    :param secrets: Must not appear in a message, besides the secrets of *request*.
    """

    __slots__ = ("_deadline", "_request", "_secrets", "may_be_sent", "total_timeout")

    def __init__(self, request: HttpRequest, secrets: tuple[str, ...] = ()) -> None:
        self._request = request
        self._secrets = (*request.secrets, *secrets)
        # Also for a caller with much time: one response that never ends must not use it all up.
        self.total_timeout = min(
            request.timeout + BODY_ALLOWANCE,
            math.inf if request.total_timeout is None else request.total_timeout,
        )
        self._deadline = time.monotonic() + self.total_timeout
        # Until there is a connection, with its tunnel and TLS, nothing of the request is sent.
        self.may_be_sent = False

    @property
    def connect_timeout(self) -> float:
        """Seconds to wait for a connection; the request's timeout is for the response."""
        return min(MAX_CONNECT_TIMEOUT, self._request.timeout, self.total_timeout)

    def next_timeout(self) -> float:
        """
        Return the seconds to wait for the next step, such as the next part of the response.

        :raises TimeoutError: The time of the whole call is over.
        """
        return min(self._request.timeout, seconds_until(self._deadline))

    def _seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    def failure(
        self, error: Exception, *, timed_out: bool, is_http: bool = True
    ) -> AirbyteTransportError:
        """
        Map a library's exception to the error of this call, with the reason and advice.

        :param is_http: Whether the response, as far as there is one, is HTTP.
        """
        reason = self._reason(error, timed_out=timed_out)
        advice = self._advice(reason, timed_out=timed_out) if is_http else _NO_HTTP_ADVICE
        error_class = AirbyteRequestTimeoutError if timed_out else AirbyteTransportError
        return error_class(
            f"No response to {self._request.method} {self._request.url}: {reason}. {advice}",
            request_sent=self.may_be_sent,
            tunnel_rejected=_TUNNEL_REJECTED in reason,
            advice=advice,
        )

    def _reason(self, error: Exception, *, timed_out: bool) -> str:
        if timed_out and self._seconds_left() <= 0:
            return "the time for the whole call is over"
        if timed_out:
            # The libraries name their own classes.
            return "timed out"
        cause = root_cause(error)
        if text := str(cause):
            # In this order: a secret that is cut off would stay.
            return one_line(scrub(text, self._secrets))
        return type(cause).__name__

    def _advice(self, reason: str, *, timed_out: bool) -> str:
        if "[SSL" in reason:
            return tls_advice(reason)
        if _TUNNEL_REJECTED in reason:
            return proxy_advice()
        if not self.may_be_sent:
            return UNREACHABLE_ADVICE
        if not timed_out:
            return "Airbyte may be overloaded or restarting."
        if self._seconds_left() <= 0:
            return f"Airbyte may be overloaded: it had {self.total_timeout:g} s to respond in full."
        return (
            f"Airbyte may be overloaded or restarting: it had {self._request.timeout:g} s to "
            f"respond."
        )


def seconds_until(deadline: float) -> float:
    """
    Return the seconds until *deadline*, in those of ``time.monotonic()``, above 0.

    :raises TimeoutError: It is over.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def proxy_advice(origin: str = "proxy of the Airflow connection or HTTPS_PROXY") -> str:
    """
    Return what to change if a proxy does not connect to Airbyte.

    :param origin: What names the proxy, as far as that is known.
    """
    return (
        f"Check {origin}, with user and password, and that the proxy allows Airbyte's host and can "
        f"reach it."
    )


def tls_advice(reason: str) -> str:
    """Return what to change after a failure of OpenSSL, whose texts both libraries pass on."""
    if "mismatch" in reason:
        return (
            "The certificate is for another host: set Host (Airbyte URL) of the Airflow connection "
            "to a name that it lists, or have one issued for this name."
        )
    if "certificate has expired" in reason or "not yet valid" in reason:
        return (
            "A certificate is not valid at this time: renew Airbyte's, or that of a proxy with "
            "TLS, and check the clock of this machine."
        )
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return (
            "A certificate is not trusted: set ca_bundle of the Airflow connection to the PEM file "
            "of the authority that signed Airbyte's, or that of a proxy with TLS. If it is set, "
            "have the server send its intermediate certificates too."
        )
    if re.search("WRONG_VERSION_NUMBER|(?i:record layer failure)", reason):
        return (
            "What responds there does not speak TLS: check Port of the Airflow connection, and "
            "whether Host (Airbyte URL), or the URL of a proxy, must begin with http://."
        )
    if "ALERT_CERTIFICATE_REQUIRED" in reason:
        return (
            "Airbyte requires a client certificate: set client_cert of the Airflow connection, and "
            "client_key if the key is in another file."
        )
    if re.search("ALERT_(UNKNOWN_CA|(BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_)", reason):
        return (
            "Airbyte rejected client_cert of the Airflow connection: it must be valid, and signed "
            "by an authority that Airbyte trusts."
        )
    return (
        "TLS failed: check that Host (Airbyte URL) of the Airflow connection names a port that "
        "speaks https, and whether Airbyte requires a client certificate (client_cert)."
    )


def rejected_tunnel(status: int, reason: str) -> OSError:
    """Return the error that the standard library raises for a rejected CONNECT."""
    return OSError(f"{_TUNNEL_REJECTED}: {status} {reason}")


def root_cause(error: BaseException) -> BaseException:
    """Return the innermost exception: HTTP libraries wrap it several times."""
    inner = next((part for part in error.args if isinstance(part, BaseException)), None)
    return error if inner is None else root_cause(inner)


def wire_url(url: str) -> str:
    """
    Return *url* in ASCII, as it is sent: the host in IDNA, the rest percent-encoded.

    A URL that is ASCII already is returned unchanged.

    :raises AirbyteConfigError: It is not a URL, or its host cannot be one.
    """
    try:
        parts = urlsplit(url)
        _check(parts, url)
        if url.isascii():
            return url
        rest = parts._replace(netloc=_ascii_authority(parts)).geturl()
    except ValueError as error:
        raise AirbyteConfigError(
            f"{scrub(url)!r} cannot be a URL ({one_line(str(error))}): correct Host (Airbyte URL) "
            f"of the Airflow connection; it should look like https://airbyte.example.com."
        ) from None
    return re.sub(r"[^\x00-\x7f]+", lambda match: quote(match[0]), rest)


def _check(parts: SplitResult, url: str) -> None:
    """Raise a ``ValueError`` for what one of the libraries would reject, and the other repair."""
    host = parts.hostname
    if not host:
        raise ValueError("it has no host")
    if _NEVER_IN_A_URL.search(url):
        raise ValueError("it contains a blank or a control character")
    if parts.port == 0:
        raise ValueError("its port is 0")
    if host.isascii():
        # Checks the lengths of its labels.
        host.encode("idna")


def _ascii_authority(parts: SplitResult) -> str:
    """Return host and port, the host in IDNA 2008 as browsers encode it."""
    host = parts.hostname or ""
    if not host.isascii():
        # Late: few hosts need it.
        from yarl import URL

        host = URL.build(scheme="http", host=host).raw_host or ""
    authority = f"[{host}]" if ":" in host else host
    return authority if parts.port is None else f"{authority}:{parts.port}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """
    A proxy. No library gets to know its password, because they put URLs into their exceptions.

    :param url: Without user and password.
    :param headers: With ``Proxy-Authorization``, if it has a user.
    :param secrets: Its password in every form in which it may appear.
    :param origin: What names it: the field of the Airflow connection, or the variable.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    origin: str = field(default="", compare=False)


def proxy_for(settings: AirbyteSettings) -> Proxy | None:
    """
    Return the proxy to use, or ``None``.

    The proxy of the Airflow connection comes first, then ``HTTPS_PROXY`` or ``HTTP_PROXY``, then
    ``ALL_PROXY``. ``NO_PROXY`` lists hosts, domains, addresses and networks without a proxy of the
    environment. A missing scheme means http.

    :raises AirbyteConfigError: It is not the URL of an HTTP proxy; the message names its origin.
    """
    origin, proxy = "proxy of the Airflow connection", settings.proxy
    if not proxy:
        origin, proxy = _environment_proxy(urlsplit(settings.urls.public))
    proxy = proxy.strip()
    if not proxy:
        return None
    parts = _proxy_url(origin, proxy if "://" in proxy else f"http://{proxy}")
    userinfo = parts.netloc.rpartition("@")[0]
    found = _with_login(f"{parts.scheme}://{_ascii_authority(parts)}", userinfo)
    return replace(found, origin=origin)


def bypassed_proxy(settings: AirbyteSettings) -> str:
    """
    Return the variable that names a proxy which ``NO_PROXY`` excludes for this Airbyte.

    Empty if there is none, or if the Airflow connection names a proxy.
    """
    airbyte, proxies = urlsplit(settings.urls.public), getproxies()
    if settings.proxy or _environment_proxy(airbyte)[1]:
        return ""
    return next((_variable(kind) for kind in (airbyte.scheme, "all") if proxies.get(kind)), "")


def _proxy_url(origin: str, url: str) -> SplitResult:
    if url.lower().startswith("socks"):
        raise AirbyteConfigError(
            f"{origin} names a SOCKS proxy, which is not supported: set proxy of the Airflow "
            f"connection to an HTTP proxy, such as {_PROXY_EXAMPLE}, or list Airbyte's host in "
            f"NO_PROXY if it can be reached directly."
        )
    try:
        parts = urlsplit(url)
        _check(parts, url)
        # It fails for a host that cannot be encoded.
        is_http = parts.scheme in ("http", "https") and _ascii_authority(parts)
    except ValueError:
        pass
    else:
        if is_http:
            return parts
    raise AirbyteConfigError(
        f"{origin} is not the URL of an HTTP proxy: it should look like {_PROXY_EXAMPLE}."
    )


def _with_login(url: str, userinfo: str) -> Proxy:
    """Return a proxy with the login of *userinfo*, in UTF-8 (RFC 7617)."""
    if not userinfo:
        return Proxy(url)
    user, _, password = userinfo.partition(":")
    login = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    secrets = (password, unquote(password), login)
    return Proxy(url, {"Proxy-Authorization": f"Basic {login}"}, tuple(filter(None, secrets)))


def _environment_proxy(airbyte: SplitResult) -> tuple[str, str]:
    """Return the variable that names the proxy for *airbyte*, and its value."""
    proxies = getproxies()
    if _is_reached_directly(airbyte, proxies.get("no", "").split(",")):
        return "", ""
    for kind in (airbyte.scheme, "all"):
        if proxy := proxies.get(kind):
            return _variable(kind), proxy
    return "", ""


def _variable(kind: str) -> str:
    return f"{kind.upper()}_PROXY"


def _is_reached_directly(airbyte: SplitResult, entries: Iterable[str]) -> bool:
    """Whether ``NO_PROXY`` lists *airbyte*: networks here, names by the standard library."""
    if proxy_bypass(airbyte.netloc):
        return True
    try:
        address = ipaddress.ip_address(airbyte.hostname or "")
    except ValueError:
        return False
    return any(address in network for network in map(_network, entries) if network)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return an address or a network of ``NO_PROXY``; ``None`` for a name."""
    try:
        return ipaddress.ip_network(entry.strip().replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None


def tls_context(settings: AirbyteSettings) -> ssl.SSLContext:
    """
    Return the TLS context for both transports. It reads files, but none if nothing uses TLS.

    Trusted are the authorities of the system and those of ``ca_bundle`` of the Airflow connection,
    else of ``REQUESTS_CA_BUNDLE``, else of ``CURL_CA_BUNDLE``, else of certifi.

    :raises AirbyteConfigError: A file cannot be read; the message names the field or variable.
    """
    if not _uses_tls(settings):
        # It trusts nobody.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.create_default_context()
    if settings.verify_tls:
        _trust(context, *trusted_authorities(settings))
    else:
        log.warning("%s", UNVERIFIED)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert:
        try:
            # Without a password, OpenSSL would ask the terminal for one.
            context.load_cert_chain(settings.client_cert, settings.client_key or None, "")
        except (OSError, ValueError) as error:
            raise AirbyteConfigError(
                f"client_cert of the Airflow connection, {settings.client_cert!r}, or its "
                f"client_key cannot be read here: {error}. They must be paths of unencrypted PEM "
                f"files that belong together, on every worker and triggerer."
            ) from error
    return context


def _uses_tls(settings: AirbyteSettings) -> bool:
    proxy = proxy_for(settings)
    urls = (settings.urls.public, proxy.url if proxy else "")
    return any(url.startswith("https:") for url in urls)


def trusted_authorities(settings: AirbyteSettings) -> tuple[str, str]:
    """Return the field or variable that names the trusted authorities, and their path."""
    if settings.ca_bundle:
        return "ca_bundle of the Airflow connection", settings.ca_bundle
    for variable in _CA_VARIABLES:
        if path := os.environ.get(variable):
            return variable, path
    return "the bundle of certifi", certifi.where()


def _trust(context: ssl.SSLContext, origin: str, path: str) -> None:
    try:
        if Path(path).is_dir():
            # OpenSSL looks for a certificate by the hash of its subject, and only when it meets it.
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        raise AirbyteConfigError(
            f"{origin}, {path!r}, cannot be read here: {error}. It must be the path of a PEM file, "
            f"or of a directory prepared with `openssl rehash`, on every worker and triggerer."
        ) from error


def header_text(value: bytes) -> str:
    """Return a header as text, the same on both transports: one decodes Latin-1, one UTF-8."""
    return value.decode("utf-8", "replace")
