"""Airflow's UI in a headless Chromium, and an Airbyte for it to test connections to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_harness import LocalAirflow
from tests.ui.connections_page import ConnectionsPage

CHROMIUM_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def give_up(reason: str) -> NoReturn:
    """Skip on a machine that has no browser; where CI is meant to have one, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def playwright_api() -> Any:
    """What drives the browser; only here installed, so by name and without types."""
    try:
        return import_module("playwright.sync_api")
    except ModuleNotFoundError:
        give_up("playwright is not installed: make test-ui does that")


@pytest.fixture(scope="session")
def chromium(playwright_api: Any) -> str:
    """Path of the browser; all that is slow to start asks for it first."""
    del playwright_api
    for command in CHROMIUM_COMMANDS:
        if path := shutil.which(command):
            return path
    give_up(f"no browser found as any of {', '.join(CHROMIUM_COMMANDS)}")


@pytest.fixture(scope="session")
def emulator(chromium: str) -> Iterator[Emulator]:
    del chromium
    emulator = Emulator()
    with emulator.serve():
        yield emulator


@pytest.fixture(scope="session")
def airflow(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """The one component of a real Airflow that the form needs."""
    del chromium
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    airflow = LocalAirflow(home=home, dags_folder=home / "dags")
    airflow.components = {"api-server": airflow.components["api-server"]}
    with airflow:
        yield airflow


@pytest.fixture(scope="session")
def browser(
    playwright_api: Any, chromium: str, tmp_path_factory: pytest.TempPathFactory
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
        yield context
        context.close()


@pytest.fixture
def connections_page(
    browser: Any, airflow: LocalAirflow, tmp_path: Path
) -> Iterator[ConnectionsPage]:
    """Admin > Connections; what it shows at the end of a test is kept as a picture."""
    page = browser.new_page()
    connections_page = ConnectionsPage(page, airflow.url)
    connections_page.open()
    yield connections_page
    page.screenshot(path=tmp_path / "page.png")
    page.close()
