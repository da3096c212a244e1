"""Proxy, TLS, timeouts and transport errors, for both transports."""

from __future__ import annotations

import os
import ssl
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteConfigError,
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
    one_line,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

E = TypeVar("E", bound=AirbyteTransportError)

# Seconds.
MAX_CONNECT_TIMEOUT = 10.0


def connect_timeout(request: HttpRequest) -> float:
    """Return the seconds to wait for a connection; the request's timeout is for the response."""
    return min(MAX_CONNECT_TIMEOUT, request.timeout)


def proxy_for(settings: AirbyteSettings) -> str | None:
    """
    Return the URL of the proxy to use, or ``None``.

    The proxy of the Airflow connection comes first, then ``HTTPS_PROXY``, ``HTTP_PROXY`` and
    ``ALL_PROXY`` with ``NO_PROXY``, as the standard library reads them. A missing scheme means
    http.

    :raises AirbyteConfigError: It is not the URL of an HTTP proxy.
    """
    proxy = settings.proxy or _environment_proxy(settings)
    if not proxy:
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        # Reading the port validates it.
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise AirbyteConfigError(
            "proxy of the Airflow connection, or of the environment (HTTPS_PROXY, HTTP_PROXY, "
            "ALL_PROXY), is not the URL of an HTTP proxy: it should look like "
            "http://proxy.example.com:3128."
        )
    return url


def _environment_proxy(settings: AirbyteSettings) -> str | None:
    root = urlsplit(settings.urls.public)
    if proxy_bypass(root.netloc):
        return None
    proxies = getproxies()
    return proxies.get(root.scheme) or proxies.get("all")


def ca_file(settings: AirbyteSettings) -> str:
    """
    Return the file of trusted authorities.

    It is that of the Airflow connection, else of ``REQUESTS_CA_BUNDLE``, else of certifi.
    """
    return settings.ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()


def tls_context(settings: AirbyteSettings) -> ssl.SSLContext:
    """
    Return the TLS context for both transports. It reads files.

    The authorities of the system are trusted too.

    :raises AirbyteConfigError: A file cannot be read; the message names the field.
    """
    context = ssl.create_default_context()
    if settings.verify_tls:
        path = ca_file(settings)
        name = "ca_bundle of the Airflow connection" if settings.ca_bundle else "REQUESTS_CA_BUNDLE"
        try:
            context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError) as error:
            raise AirbyteConfigError(
                f"{name}, {path!r}, cannot be read here: {error}. It must be the path of a PEM "
                f"file on every worker and triggerer."
            ) from error
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert:
        try:
            # Without a password, OpenSSL would ask the terminal for one.
            context.load_cert_chain(settings.client_cert, settings.client_key or None, "")
        except (OSError, ssl.SSLError) as error:
            raise AirbyteConfigError(
                f"client_cert of the Airflow connection, {settings.client_cert!r}, or its "
                f"client_key cannot be read here: {error}. They must be paths of unencrypted PEM "
                f"files that belong together, on every worker and triggerer."
            ) from error
    return context


def transport_error(
    error_class: type[E], request: HttpRequest, error: Exception, *, request_sent: bool
) -> E:
    """
    Map a library's exception to *error_class*, with the reason and advice.

    :param request_sent: Whether Airbyte may have received the request.
    """
    reason = one_line(str(root_cause(error)) or type(error).__name__)
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        advice = (
            "Airbyte's certificate is not trusted: set ca_bundle of the Airflow connection to the "
            "PEM file of the authority that signed it."
        )
    elif "[SSL" in reason:
        advice = (
            "TLS failed: check that Host (Airbyte URL) of the Airflow connection names a port that "
            "speaks https, and whether Airbyte requires a client certificate (client_cert)."
        )
    elif request_sent and issubclass(error_class, AirbyteRequestTimeoutError):
        advice = (
            f"Airbyte may be overloaded or restarting: it had {request.timeout:g} s to respond."
        )
    elif request_sent:
        advice = "Airbyte may be overloaded or restarting."
    else:
        advice = (
            "Check Host (Airbyte URL) and Port of the Airflow connection, and that this machine "
            "can reach it (DNS, firewall, proxy)."
        )
    return error_class(
        f"No response to {request.method} {request.url}: {reason}. {advice}",
        request_sent=request_sent,
    )


def root_cause(error: BaseException) -> BaseException:
    """Return the innermost exception: HTTP libraries wrap it several times."""
    inner = getattr(error, "reason", None) or next(
        (part for part in error.args if isinstance(part, BaseException)), None
    )
    return root_cause(inner) if isinstance(inner, BaseException) else error
