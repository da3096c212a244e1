from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trustme

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteSettings,
    AirbyteUrls,
    HttpRequest,
    HttpResponse,
    Transport,
    run_blocking,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.certificates import Certificates
from tests.unit.api.doubles import Wire, client_for
from tests.unit.api.faces import Face, over_aiohttp, over_requests

T = TypeVar("T")

# What the two HTTP libraries, urllib and OpenSSL would take from whoever runs the tests.
INHERITED = ("_proxy", "requests_ca_bundle", "curl_ca_bundle", "ssl_cert", "netrc")


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority that certifies nobody here, in place of the hundred that take long to load."""
    path = tmp_path_factory.mktemp("strangers") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return path


@pytest.fixture(autouse=True)
def _no_inherited_network(monkeypatch: pytest.MonkeyPatch, strangers: Path) -> None:
    for name in os.environ:
        if any(part in name.lower() for part in INHERITED):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(strangers))
    monkeypatch.setenv("SSL_CERT_DIR", str(strangers.parent))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(strangers))


@pytest.fixture(params=[over_requests, over_aiohttp], ids=["requests", "aiohttp"])
def over_sockets(request: pytest.FixtureRequest) -> Face:
    """Both faces that need a network."""
    face: Face = request.param
    return face


@pytest.fixture
def ask(over_sockets: Face) -> Callable[..., HttpResponse]:
    """Send requests over one transport, one after the other, and return the last answer."""

    def run(server_url: str, *requests: HttpRequest, **fields: object) -> HttpResponse:
        async def scenario(transport: Transport) -> HttpResponse:
            *first, last = requests or (HttpRequest("GET", server_url),)
            for request in first:
                await transport.send(request)
            return await transport.send(last)

        settings = AirbyteSettings(AirbyteUrls.parse(server_url), **fields)  # type: ignore[arg-type]  # the fields' own
        return over_sockets(settings, scenario)

    return run


@pytest.fixture(params=[run_blocking, asyncio.run], ids=["blocking", "event loop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, T]], T]:
    """Run a coroutine over a transport that never suspends, as each face does."""
    runner: Callable[[Coroutine[Any, Any, T]], T] = request.param
    return runner


@pytest.fixture
def emulator() -> Emulator:
    """An Airbyte whose time passes while the client sleeps."""
    return Emulator(time="manual", start=datetime(2026, 3, 25, 1, 30, 0, 400_000, tzinfo=UTC))


@pytest.fixture
def wire(emulator: Emulator) -> Wire:
    return Wire(emulator)


@pytest.fixture
def client(emulator: Emulator, wire: Wire) -> AirbyteClient:
    return client_for(emulator, wire)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.made_in(tmp_path_factory.mktemp("certificates"))
