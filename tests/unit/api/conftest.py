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
from tests.unit.api.runners import Runner, over_aiohttp, over_requests

T = TypeVar("T")

# Parts of the names of variables that the HTTP libraries, urllib and OpenSSL read.
INHERITED_VARIABLES = ("_proxy", "requests_ca_bundle", "curl_ca_bundle", "ssl_cert", "netrc")


@pytest.fixture(scope="session")
def unrelated_ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA that signed no certificate here; the default bundle of over a hundred loads slowly."""
    path = tmp_path_factory.mktemp("unrelated_ca") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return path


@pytest.fixture(autouse=True)
def _no_inherited_network_settings(monkeypatch: pytest.MonkeyPatch, unrelated_ca: Path) -> None:
    for name in os.environ:
        if any(part in name.lower() for part in INHERITED_VARIABLES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(unrelated_ca))
    monkeypatch.setenv("SSL_CERT_DIR", str(unrelated_ca.parent))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(unrelated_ca))


@pytest.fixture(params=[over_requests, over_aiohttp], ids=["requests", "aiohttp"])
def over_sockets(request: pytest.FixtureRequest) -> Runner:
    """Run a scenario over sockets, with each transport."""
    runner: Runner = request.param
    return runner


@pytest.fixture
def send(over_sockets: Runner) -> Callable[..., HttpResponse]:
    """Send requests one after the other over one transport, and return the last response."""

    def run(server_url: str, *requests: HttpRequest, **fields: object) -> HttpResponse:
        async def scenario(transport: Transport) -> HttpResponse:
            *first, last = requests or (HttpRequest("GET", server_url),)
            for request in first:
                await transport.send(request)
            return await transport.send(last)

        urls = AirbyteUrls.parse(server_url)
        settings = AirbyteSettings(urls, **fields)  # type: ignore[arg-type]  # of any field
        return over_sockets(settings, scenario)

    return run


@pytest.fixture(params=[run_blocking, asyncio.run], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, T]], T]:
    """Run a coroutine whose transport never suspends, as a sync and as an async caller would."""
    runner: Callable[[Coroutine[Any, Any, T]], T] = request.param
    return runner


@pytest.fixture
def emulator() -> Emulator:
    """An emulator whose clock advances only while the client sleeps."""
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
