"""The steps that ask Airbyte: what it is, who we are there, how fast and by which clock."""

from __future__ import annotations

import ipaddress
import math
import re
import statistics
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from airflow_provider_airbyte_sme.api.doctor.checks import (
    CONFIG_API_OFF,
    SLOW_ADVICE,
    UNREACHABLE,
    Finding,
    failed,
    ok,
    skipped,
    told,
    warning,
)
from airflow_provider_airbyte_sme.api.doctor.subject import Subject
from airflow_provider_airbyte_sme.api.doctor.way import (
    is_encrypted,
    look_up,
    place_of,
    reason_of,
    timeout_of,
)
from airflow_provider_airbyte_sme.api.errors import (
    AirbyteConfigApiError,
    AirbyteError,
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse, Transport
from airflow_provider_airbyte_sme.api.network import proxy_for
from airflow_provider_airbyte_sme.api.retry import is_closed
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings, AirbyteUrls
from airflow_provider_airbyte_sme.api.waiting import duration_text

# Seconds. A shorter token than that of any release (docs/airbyte-api.md §2.3) makes many requests.
MIN_LIFETIME = 120.0
# Seconds of difference between two clocks from which on to warn: more than a slow response and the
# whole seconds of Date explain.
MAX_SKEW = 60.0
# Requests to measure, and the median in seconds from which on to warn.
MEASURED_REQUESTS = 5
MAX_LATENCY = 1.0
# Workspaces to list at most: one page.
MAX_WORKSPACES = 100
_MAX_NAMED = 5
# Seconds for the version, which is nice to know.
_VERSION_TIMEOUT = 10.0
_MAX_REDIRECTS = 5
# Names that only machines in a cluster, or this one, can resolve. Companies use .local and
# .internal for names that their browsers can resolve.
_INTERNAL = re.compile(
    r"(?:^|\.)(?:localhost|localdomain|cluster\.local|docker\.internal)$|\.svc(?:\.|$)"
)


async def check_airbyte(subject: Subject) -> Finding:
    """Ask whether a healthy Airbyte responds at that URL."""
    session = subject.client.session
    asked_at = session.wall_clock()
    try:
        health = await subject.client.system.read_health()
    except AirbyteTransportError as error:
        return _without_answer(error, subject.settings)
    except AirbyteError:
        subject.has_responded = True
        raise
    subject.has_responded = True
    if health.server_time:
        # In the middle between request and response.
        subject.server_clock = health.server_time, (asked_at + session.wall_clock()) / 2
    public = subject.settings.urls.public
    if health.is_airbytes:
        return ok(f"A healthy Airbyte responds at {public}.")
    return warning(
        f"GET {public}/health is responded to, but not as by Airbyte: {health.text!r}.",
        "Check that Host (Airbyte URL) of the Airflow connection leads to Airbyte.",
    )


def _without_answer(error: AirbyteTransportError, settings: AirbyteSettings) -> Finding:
    saw, change = told(error)
    is_timeout = isinstance(error, AirbyteRequestTimeoutError)
    # In TLS 1.3 a server looks at the client certificate after the handshake, and the reason why
    # it closes the connection may be lost with it.
    if is_encrypted(settings) and error.request_sent and not settings.client_cert:
        change += (
            " If its ingress requires a client certificate (mTLS), set client_cert of the Airflow "
            "connection."
        )
    # A server with TLS closes the connection, or says so in TLS.
    elif error.request_sent and not is_timeout and not is_encrypted(settings):
        change = f"If the port speaks https, the URL must begin with https://; else {change}"
    return failed(f"{UNREACHABLE} {saw}", change)


async def check_token(subject: Subject) -> Finding:
    """Exchange client id and secret for a token."""
    session = subject.client.session
    asked_at = session.wall_clock()
    await subject.client.authenticate()
    token = session.token
    if token is None:
        return skipped("Login (Client ID) is empty, so that requests carry no token.")
    if token.issued_at is not None:
        subject.token_clock = token.issued_at, (asked_at + session.wall_clock()) / 2
    saw = f"POST {token.endpoint} issued one for {duration_text(math.ceil(token.lifetime))}."
    if token.lifetime < MIN_LIFETIME:
        return warning(
            saw,
            "Raise AB_AIRBYTE_AUTH_TOKEN_EXPIRATION_APPLICATION of Airbyte, in minutes: each token "
            "that expires costs a request.",
        )
    return ok(saw)


async def check_workspaces(subject: Subject) -> Finding:
    """List the workspaces that the application may see."""
    # There may be thousands, and a person is waiting.
    workspaces = await subject.client.workspaces.list(limit=MAX_WORKSPACES)
    subject.workspaces = tuple(workspaces)
    if not workspaces and not subject.settings.authenticates:
        return warning("There is no workspace.", "Create one in Airbyte: it holds all else.")
    if not workspaces:
        return warning(
            "The application sees no workspace.",
            "The user who owns the application has no role in any workspace: give that user one.",
        )
    named = ", ".join(str(each) for each in workspaces[:_MAX_NAMED])
    others = len(workspaces) - _MAX_NAMED
    if len(workspaces) == MAX_WORKSPACES:
        return ok(f"{MAX_WORKSPACES} or more, such as {named}.")
    return ok(f"{len(workspaces)}: {named}{f' and {others} more' if others > 0 else ''}.")


async def check_version(subject: Subject) -> Finding:
    """Read version, edition and auth mode."""
    try:
        instance = await subject.client.system.read_instance(timeout=_VERSION_TIMEOUT)
    except AirbyteConfigApiError:
        return skipped(CONFIG_API_OFF)
    except AirbyteError as error:
        saw, change = told(error)
        saw = f"The version is not reported. {saw}"
        # Whoever closes the config API has closed this too, which hurts nobody.
        return ok(saw) if is_closed(error) else warning(saw, change)
    subject.instance = instance
    texts = (
        f"version {instance.version or 'not reported'}",
        f"edition {instance.edition or 'not reported'}",
        f"auth mode {instance.auth_mode or 'not reported'}",
    )
    return ok(f"{', '.join(texts).capitalize()}.")


async def check_clock(subject: Subject) -> Finding:
    """Compare the clocks of Airbyte with ours."""
    skews = {}
    if subject.server_clock:
        at, now = subject.server_clock
        # The header has whole seconds: on average it is half a second behind.
        skews["Date header"] = at.timestamp() + 0.5 - now
    if subject.token_clock:
        issued_at, now = subject.token_clock
        skews["token"] = issued_at - now
    if not skews:
        return skipped("Neither a Date header nor a token tells Airbyte's time.")
    saw = f"{', '.join(f'{name}: {_skew(skew)}' for name, skew in skews.items())}."
    if max(map(abs, skews.values())) >= MAX_SKEW:
        return warning(
            saw,
            "Synchronise the clocks of Airbyte's nodes, of a proxy and of this machine (NTP): "
            "sensors compare the times of syncs.",
        )
    return ok(saw)


def _skew(seconds: float) -> str:
    whole = round(seconds)
    if abs(whole) <= 1:
        return "same time as here"
    return f"{duration_text(abs(whole))} {'ahead of' if whole > 0 else 'behind'} this machine"


async def check_latency(subject: Subject) -> Finding:
    """Measure a few cheap requests."""
    seconds = []
    for _ in range(MEASURED_REQUESTS):
        began = subject.clock()
        await subject.client.system.check_health()
        seconds.append(subject.clock() - began)
    median = statistics.median(seconds)
    saw = (
        f"Median {median * 1000:.0f} ms, slowest {max(seconds) * 1000:.0f} ms of "
        f"{MEASURED_REQUESTS} requests for GET /health."
    )
    if median >= MAX_LATENCY:
        return warning(saw, SLOW_ADVICE)
    return ok(saw)


async def check_links(subject: Subject) -> Finding:
    """Look at the host of links as far as a browser's point of view can be told from here."""
    urls = subject.settings.urls
    if reason := _not_for_browsers(urls.web):
        return warning(
            f"Links point to {urls.web}, {reason}.",
            "Set web_url of the Airflow connection to the URL under which people open Airbyte.",
        )
    if not subject.has_responded and _is_same_place(urls.web, urls.public):
        # Another check has failed for the same reason.
        return skipped("Not checked, because Airbyte does not respond there.")
    try:
        page, response = await _open_page(subject, urls.web)
    except (AirbyteError, OSError, UnicodeError) as error:
        saw = told(error)[0] if isinstance(error, AirbyteError) else f"{reason_of(error)}."
        return warning(f"Links point to {urls.web}, which does not open from here: {saw}", _WEB)
    told_url = subject.instance.url
    other = f" Airbyte itself names {told_url}." if _is_elsewhere(told_url, urls.web) else ""
    if response.status != 200 or not response.is_html:
        return warning(
            f"Links point to {urls.web}, where {page} responds with {response.status} and no "
            f"page of a UI.{other}",
            _WEB,
        )
    redirected = "" if urlsplit(page).netloc == urlsplit(urls.web).netloc else f" by way of {page}"
    return ok(f"Links point to {urls.web}, which serves a page{redirected}.{other}")


_WEB = (
    "Check in a browser that it opens Airbyte; if not, set web_url of the Airflow connection to "
    "the URL that does."
)


def _not_for_browsers(url: str) -> str:
    """Return why a browser elsewhere cannot open *url*; empty if nothing says so."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    with suppress(ValueError):
        return "which is this machine itself" if ipaddress.ip_address(host).is_loopback else ""
    if host == "localhost":
        return "which is this machine itself"
    if _INTERNAL.search(host):
        return "a name inside a cluster or on one machine"
    if "." not in host:
        return "a name without a domain, which only machines nearby know"
    if re.search(r"/api(?:/|$)", parts.path):
        return "which is an API and no page"
    return ""


def _is_same_place(url: str, other: str) -> bool:
    return place_of(url, "") == place_of(other, "")


def _is_elsewhere(told_url: str | None, web: str) -> bool:
    with suppress(ValueError):
        return bool(told_url) and urlsplit(told_url).netloc != urlsplit(web).netloc
    return True


async def _open_page(subject: Subject, url: str) -> tuple[str, HttpResponse]:
    """
    Open a page as a browser would: without our headers and credentials, following redirects.

    :return: The URL of the last page, without its query, and its response.
    :raises AirbyteError: There was no response.
    :raises OSError: The host has no address, or none was found in time.
    :raises UnicodeError: The host cannot be looked up.
    """
    settings = _without_secrets(subject.settings, url)
    if proxy_for(settings) is None:
        # A transport would wait for its name as long as the operating system does.
        look_up(place_of(url, ""), timeout_of(subject))
    transport = subject.transport(settings)
    try:
        return await _follow(transport, f"{url}/", settings.request_timeout)
    finally:
        await transport.close()


async def _follow(transport: Transport, url: str, timeout: float) -> tuple[str, HttpResponse]:
    response = await _get(transport, url, timeout)
    for _ in range(_MAX_REDIRECTS):
        target = _target(url, response)
        if not target:
            break
        url, response = target, await _get(transport, target, timeout)
    return urlsplit(url)._replace(query="", fragment="").geturl(), response


def _target(url: str, response: HttpResponse) -> str:
    """Return where a response of *url* redirects to; empty if it does not, or not to a page."""
    if response.status not in range(300, 400):
        return ""
    with suppress(ValueError):
        target = urljoin(url, response.headers.get("location", ""))
        if target != url and urlsplit(target).scheme in ("http", "https"):
            return target
    return ""


async def _get(transport: Transport, url: str, timeout: float) -> HttpResponse:
    return await transport.send(HttpRequest("GET", url, {"Accept": "text/html"}, timeout=timeout))


def _without_secrets(settings: AirbyteSettings, web: str) -> AirbyteSettings:
    return replace(
        settings,
        urls=AirbyteUrls.parse(web),
        client_id="",
        client_secret="",
        headers={},
        client_cert="",
        client_key="",
    )
