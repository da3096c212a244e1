"""Airflow's UI in a headless Chromium, and an emulated Airbyte to test connections against."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_harness import LocalAirflow
from scripts.browser import CHROMIUM_ARGUMENTS, CHROMIUM_COMMANDS, find_chromium
from tests.ui.connections_page import ConnectionsPage


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test on a machine without a browser; fail it in CI, which must have one."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def playwright_api() -> Any:
    """Playwright's sync API; untyped and imported by name, as only these tests install it."""
    try:
        return import_module("playwright.sync_api")
    except ModuleNotFoundError:
        skip_or_fail("playwright is not installed; `make test-ui` installs it")


@pytest.fixture(scope="session")
def chromium(playwright_api: Any) -> str:
    """Path of the browser; slow fixtures request it first, so that they do not start without it."""
    del playwright_api
    if path := find_chromium():
        return path
    skip_or_fail(f"no browser found; looked for {', '.join(CHROMIUM_COMMANDS)}")


@pytest.fixture(scope="session")
def emulator(chromium: str) -> Iterator[Emulator]:
    del chromium
    emulator = Emulator()
    with emulator.serve():
        yield emulator


@pytest.fixture(scope="session")
def airflow(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """A real Airflow with only the API server, which is all that the form needs."""
    del chromium
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    airflow = LocalAirflow(home=home, dags_folder=home / "dags")
    airflow.components = {"api-server": airflow.components["api-server"]}
    with airflow:
        yield airflow


@pytest.fixture(scope="session")
def browser(
    playwright_api: Any,
    chromium: str,
    airflow: LocalAirflow,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=chromium,
            headless=True,
            args=CHROMIUM_ARGUMENTS,
            locale="en-US",
            viewport={"width": 1280, "height": 1700},
        )
        # Airflow 3.1 wants a cookie even where all are admins.
        context.new_page().goto(f"{airflow.url}/auth/token/login")
        yield context
        context.close()


@pytest.fixture
def connections_page(
    browser: Any, airflow: LocalAirflow, tmp_path: Path
) -> Iterator[ConnectionsPage]:
    """Admin > Connections; a screenshot is saved at the end of each test."""
    page = browser.new_page()
    connections_page = ConnectionsPage(page, airflow.url)
    connections_page.open()
    yield connections_page
    page.screenshot(path=tmp_path / "page.png")
    page.close()


@pytest.fixture
def add_conn(airflow: LocalAirflow) -> Iterator[Callable[..., None]]:
    """Add an Airflow connection to an emulator, with some fields replaced."""

    def add(conn_id: str, emulator: Emulator, **fields: Any) -> None:
        parts = urlsplit(emulator.url)
        values = {
            "host": f"{parts.scheme}://{parts.hostname}",
            # Airflow 3.3.2 rejects Test Connection without a port (apache/airflow #73298).
            "port": parts.port,
            "login": emulator.client_id,
            "password": emulator.client_secret,
            **fields,
        }
        airflow.api.create_connection(conn_id, "airbyte_sme", **values)

    yield add
    for connection in airflow.api.request("GET", "/connections")["connections"]:
        airflow.api.request("DELETE", f"/connections/{connection['connection_id']}")
