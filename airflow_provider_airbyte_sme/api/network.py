"""What both transports decide alike: proxy, TLS, time-outs, and how a missing answer is told."""

from __future__ import annotations

import os
import ssl
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteConfigError,
    AirbyteTransportError,
    one_line,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

E = TypeVar("E", bound=AirbyteTransportError)

_LONGEST_CONNECT = 10.0


def connect_timeout(request: HttpRequest) -> float:
    """Return the seconds to make a connection; the request's own time-out is for the answer."""
    return min(_LONGEST_CONNECT, request.timeout)


def proxy_for(settings: AirbyteSettings) -> str | None:
    """
    Find the proxy on the way to Airbyte.

    The connection's own first, then ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``ALL_PROXY`` with
    ``NO_PROXY``, as the standard library reads them. Without a scheme, http is meant.

    :raises AirbyteConfigError: It is no URL of an HTTP proxy.
    """
    proxy = settings.proxy or _proxy_of_the_environment(settings)
    if not proxy:
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise AirbyteConfigError(
            "proxy of the Airflow connection, or what HTTPS_PROXY and the like say, is no URL of "
            "an HTTP proxy: it should look like http://proxy.example.com:3128."
        )
    return url


def _proxy_of_the_environment(settings: AirbyteSettings) -> str | None:
    root = urlsplit(settings.urls.public)
    if proxy_bypass(root.netloc):
        return None
    proxies = getproxies()
    return proxies.get(root.scheme) or proxies.get("all")


def ca_file(settings: AirbyteSettings) -> str:
    """Find the file of authorities to trust: the connection's, the environment's, certifi's."""
    return settings.ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()


def tls_context(settings: AirbyteSettings) -> ssl.SSLContext:
    """
    Build what both faces need to speak TLS with this Airbyte.

    The authorities of the system are trusted too.

    :raises AirbyteConfigError: A file cannot be read; names the field.
    """
    context = ssl.create_default_context()
    if settings.verify_tls:
        path = ca_file(settings)
        try:
            context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError) as error:
            raise AirbyteConfigError(
                f"ca_bundle of the Airflow connection, {path!r}, cannot be used here: {error}. It "
                f"should be the path of a PEM file on every worker and triggerer."
            ) from error
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert:
        try:
            # A password of our own, as OpenSSL would ask the terminal for one.
            context.load_cert_chain(settings.client_cert, settings.client_key or None, "")
        except (OSError, ssl.SSLError) as error:
            raise AirbyteConfigError(
                f"client_cert of the Airflow connection, {settings.client_cert!r}, or its "
                f"client_key cannot be used here: {error}. They should be paths of PEM files, "
                f"unencrypted and a pair, on every worker and triggerer."
            ) from error
    return context


def no_answer(kind: type[E], request: HttpRequest, error: Exception, *, request_sent: bool) -> E:
    """Tell of a request without an answer, whichever library found out."""
    reason = one_line(str(root_cause(error)) or type(error).__name__)
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        advice = (
            "Airbyte's certificate is not trusted: set ca_bundle of the Airflow connection to the "
            "PEM file of the authority that signed it."
        )
    elif "[SSL" in reason:
        advice = (
            "TLS failed: does Host (Airbyte URL) of the Airflow connection name a port that speaks "
            "https, and does Airbyte ask for a client certificate (client_cert)?"
        )
    elif request_sent:
        advice = f"Is Airbyte overloaded or restarting? It had {request.timeout:g} s to answer."
    else:
        advice = (
            "Check Host (Airbyte URL) and Port of the Airflow connection, and that this machine "
            "can reach it (DNS, firewall, proxy)."
        )
    return kind(
        f"No answer to {request.method} {request.url}: {reason}. {advice}",
        request_sent=request_sent,
    )


def root_cause(error: BaseException) -> BaseException:
    """Find the cause that says most: libraries wrap it in layers of their own names."""
    inner = getattr(error, "reason", None) or next(
        (part for part in error.args if isinstance(part, BaseException)), None
    )
    return root_cause(inner) if isinstance(inner, BaseException) else error
