"""
The page of Airbyte inside Airflow's UI: how it looks, links, filters and themes.

A picture of each state is in the folder of the test, in light and dark.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_api import poll
from scripts.airflow_harness import LocalAirflow
from scripts.processes import free_port

PROJECT = Path(__file__).parents[2]
LONG_NAME = "A connection whose name is longer than anybody expects in a table " * 3
THEMES = ("light", "dark")


@pytest.fixture(scope="session")
def airbyte(chromium: str) -> Iterator[Emulator]:
    """Airbyte with connections in each state."""
    del chromium
    start = datetime.now(UTC) - timedelta(seconds=26 * 600)
    emulator = Emulator(time="manual", token_lifetime=1e6, start=start)
    first = emulator.connection_id
    failing = emulator.add_connection("Failing", status="active")
    long = emulator.add_connection(LONG_NAME)
    emulator.add_connection("<img src=x onerror=alert(1)>", status="inactive")
    emulator.add_connection("Never synced")
    for number in range(25):
        for connection_id in (first, failing, long):
            has_failed = connection_id == failing and number > 20
            emulator.script_job(
                connection_id,
                duration=60 + number * 7 % 50,
                rows=0 if has_failed else 10 ** (number % 11),
                outcome="failed" if has_failed else "succeeded",
            )
            emulator.start_sync(connection_id)
        emulator.advance(600)
    emulator.script_job(first, statuses=[("running", None)])
    emulator.start_sync(first)
    with emulator.serve():
        yield emulator


@pytest.fixture(scope="session")
def thousand(chromium: str) -> Iterator[Emulator]:
    """An Airbyte with 1,000 connections."""
    del chromium
    emulator = Emulator()
    for number in range(999):
        emulator.add_connection(f"Tenant {number:03}")
    with emulator.serve():
        yield emulator


@pytest.fixture(scope="session")
def waiting_task(airflow: LocalAirflow, airbyte: Emulator) -> str:
    """A deferred task that waits for the sync that runs."""
    trigger = {"connection_id": airbyte.connection_id, "job_id": max(airbyte.jobs)}
    subprocess.run(
        [sys.executable, "-m", "tests.waiting_tasks"],
        input=json.dumps([{"dag_id": "sales", "task_id": "sync", "trigger": trigger}]),
        env=airflow.environment,
        cwd=PROJECT,
        text=True,
        check=True,
    )
    return "sales.sync"


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    page.set_viewport_size({"width": 1440, "height": 900})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    yield page
    page.close()
    # A style or script that the policy forbids is one too.
    assert [each for each in problems if "airbyte-sme" in each or "Content Security" in each] == []


@pytest.fixture
def frame(page: Any, airflow: LocalAirflow) -> Callable[[], Any]:
    """Open the page from Airflow's navigation, and return what is in its frame."""

    def open_page() -> Any:
        page.goto(f"{airflow.url}/")
        page.get_by_role("link", name="Airbyte").or_(
            page.get_by_role("button", name="Airbyte")
        ).first.click()
        frame = page.frame_locator("iframe")
        frame.locator("h1", has_text="Airbyte").wait_for()
        return frame

    return open_page


@pytest.fixture
def alone(page: Any, airflow: LocalAirflow, tmp_path: Path) -> Callable[..., None]:
    """Open the page by itself, wait for a text, and take its pictures."""

    def open_page(conn_id: str, text: str, name: str) -> None:
        page.goto(f"{airflow.url}/airbyte-sme/page/?conn_id={conn_id}")
        page.get_by_text(text).first.wait_for()
        page.evaluate(
            "localStorage.removeItem('theme'); dispatchEvent(new StorageEvent('storage'))"
        )
        colors = set()
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            wait_for_theme(page, theme)
            page.screenshot(path=tmp_path / f"{name}-{theme}.png")
            colors.add(page.evaluate("getComputedStyle(document.body).color"))
        assert len(colors) == len(THEMES)
        assert not overflows(page)

    return open_page


def wait_for_theme(frame: Any, theme: str) -> None:
    def is_dark() -> bool:
        return bool(frame.locator("html").evaluate("html => html.classList.contains('dark')"))

    poll(lambda: is_dark() == (theme == "dark"), timeout=30, what=f"the {theme} theme")


def overflows(page: Any) -> bool:
    """Whether something is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


def read_renamed(page: Any, name: str, new_name: str) -> None:
    """Have the page read itself again, with a connection that has another name."""

    def rename(route: Any) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=response.text().replace(name, new_name))

    page.route("**/content?*", rename)
    page.evaluate("load()")
    page.get_by_text(new_name).wait_for()
    page.unroute_all()


def test_airflows_navigation_leads_to_it_and_it_looks_like_airflow(
    frame, page, airbyte, add_conn, waiting_task, tmp_path
):
    add_conn("airbyte_prod", airbyte)

    for theme in THEMES:
        shown = frame()
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        page.reload()
        shown.get_by_text(waiting_task).wait_for()
        wait_for_theme(shown, theme)
        outer = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        inner = shown.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
        assert inner == outer
        page.screenshot(path=tmp_path / f"page-{theme}.png")
    page.evaluate("localStorage.removeItem('theme')")


def test_links_lead_to_airbyte_in_a_new_window_and_to_the_task_in_airflow(
    frame, page, browser, airbyte, add_conn, waiting_task
):
    add_conn("airbyte_prod", airbyte)
    shown = frame()

    with browser.expect_page() as opened:
        shown.get_by_role("link", name="Failing").click()
    assert "/connections/" in opened.value.url
    assert opened.value.url.startswith(airbyte.url)
    opened.value.close()
    shown.get_by_role("link", name=waiting_task).click()
    page.wait_for_url("**/dags/sales/runs/*/tasks/sync")


def test_a_task_has_a_link_to_its_connection_on_the_page(page, airflow, airbyte, add_conn):
    add_conn("airbyte_first", airbyte)
    add_conn("airbyte_prod", airbyte)
    query = urlencode({"conn_id": "airbyte_prod", "q": airbyte.connection_id})
    # What tests/integration/test_dag_test.py proves that the task has.
    page.goto(f"{airflow.url}/plugin/airbyte?{query}")
    shown = page.frame_locator("iframe")

    shown.get_by_role("link", name="Sample data to Warehouse").wait_for()

    assert shown.locator("tbody tr").count() == 1
    assert shown.locator("select[name=conn_id]").input_value() == "airbyte_prod"


def test_the_airflow_connection_that_was_chosen_is_there_when_the_page_is_opened_anew(
    frame, page, airflow, airbyte, add_conn
):
    add_conn("airbyte_prod", airbyte)
    add_conn("airbyte_test", airbyte)
    shown = frame()
    assert chosen(shown) == "airbyte_prod"
    choose(shown, "airbyte_test")

    shown = frame()
    assert chosen(shown) == "airbyte_test"
    # The address of Airflow's page knows it too, for a reload.
    choose(shown, "airbyte_prod")
    page.reload()
    assert chosen(shown) == "airbyte_prod"
    choose(shown, "airbyte_test")
    # An address that names one wins, one that names none has the same.
    for query, conn_id in (
        ("?conn_id=airbyte_prod", "airbyte_prod"),
        ("?show=now", "airbyte_test"),
    ):
        page.goto(f"{airflow.url}/airbyte-sme/page/{query}")
        assert chosen(page) == conn_id
    assert page.locator(".tile.is-on").inner_text().startswith("Running now")
    airflow.api.request("DELETE", "/connections/airbyte_test")
    page.goto(f"{airflow.url}/airbyte-sme/page/")
    assert chosen(page) == "airbyte_prod"


def test_a_browser_that_keeps_nothing_shows_the_page_too(page, airflow, airbyte, add_conn):
    add_conn("airbyte_prod", airbyte)
    add_conn("airbyte_test", airbyte)
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no'); }})"
    )
    page.goto(f"{airflow.url}/airbyte-sme/page/")
    choose(page, "airbyte_test")

    page.goto(f"{airflow.url}/airbyte-sme/page/")

    assert chosen(page) == "airbyte_prod"


def test_a_tab_that_is_hidden_reads_nothing_until_it_is_shown(page, airflow, airbyte, add_conn):
    add_conn("airbyte_prod", airbyte)
    add_conn("airbyte_test", airbyte)
    page.add_init_script(
        "Object.defineProperty(document, 'hidden', {get: () => !window.isShown});"
        "localStorage.setItem('airbyte-sme.connection:/airbyte-sme/page/', 'airbyte_test');"
    )
    page.goto(f"{airflow.url}/airbyte-sme/page/")
    read: list[str] = []
    page.on("request", lambda request: read.append(request.url))
    assert page.evaluate("load()") is False
    assert read == []

    page.evaluate("isShown = true; document.dispatchEvent(new Event('visibilitychange'))")

    assert chosen(page) == "airbyte_test"
    page.evaluate("localStorage.clear()")


def choose(page: Any, conn_id: str) -> None:
    page.locator("select[name=conn_id]").select_option(conn_id)
    page.locator(f"option[selected][value={conn_id}]").wait_for(state="attached")


def chosen(page: Any) -> str:
    page.locator("tbody tr").first.wait_for()
    return str(page.locator("select[name=conn_id]").input_value())


def test_a_search_keeps_the_place_while_the_page_is_read_again(frame, airbyte, add_conn):
    add_conn("airbyte_prod", airbyte)
    shown = frame()
    box = shown.locator("input[type=search]")

    with_all = shown.locator("tbody tr").count()
    box.press_sequentially("fail")
    shown.locator("tbody tr").nth(1).wait_for(state="detached")

    assert with_all == 5
    assert shown.locator("tbody tr").count() == 1
    assert box.input_value() == "fail"
    assert box.evaluate("box => document.activeElement === box")


def test_a_tile_filters_and_a_bar_tells_its_values(frame, page, airbyte, add_conn, tmp_path):
    add_conn("airbyte_prod", airbyte)
    shown = frame()

    shown.get_by_role("link", name="Last sync failed").click()
    shown.locator("tbody tr").nth(1).wait_for(state="detached")
    shown.locator(".bar.bad").last.hover()

    tooltip = shown.locator("#tooltip")
    tooltip.wait_for()
    assert "sync failed" in tooltip.inner_text()
    assert "0 rows" in tooltip.inner_text()
    page.screenshot(path=tmp_path / "tooltip.png")


def test_times_are_those_of_the_time_zone_that_airflow_shows(page, airflow, airbyte, add_conn):
    add_conn("airbyte_prod", airbyte)
    page.add_init_script("localStorage.setItem('timezone', JSON.stringify('Asia/Kolkata'))")

    page.goto(f"{airflow.url}/airbyte-sme/page/")

    row = page.get_by_role("row", name="Failing")
    time = row.locator("time")
    there = datetime.fromisoformat(time.get_attribute("datetime")) + timedelta(hours=5.5)
    assert time.get_attribute("title") == f"{there:%Y-%m-%d %H:%M:%S} +05:30"
    assert "+05:30" in row.locator(".bar title").last.text_content()
    page.evaluate("localStorage.removeItem('timezone')")


def test_the_keyboard_reaches_all_of_it(alone, page, airbyte, add_conn):
    add_conn("airbyte_prod", airbyte)
    add_conn("airbyte_test", airbyte)
    alone("airbyte_prod", "Failing", "keyboard")

    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
        reached.add(page.evaluate("document.activeElement.name || ''"))

    assert {"conn_id", "q", "status", "Failing"} <= reached
    assert any(each.startswith("Running now") for each in reached)
    # The values of a bar too.
    page.get_by_role("row", name="Failing").get_by_role("img").focus()
    for keys, text in ({"ArrowLeft": "failed", "Home": "succeeded", "End": "failed"}).items():
        page.keyboard.press(keys)
        assert f"sync {text}" in page.get_by_role("status").inner_text()
    # When the rows are read again, it stays where it was.
    told = []
    for key in ("Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
        told.append(page.get_by_role("status").inner_text())
    read_renamed(page, "Never synced", "Renamed")
    assert page.get_by_role("status").inner_text() == told[2]
    page.keyboard.press("ArrowLeft")
    assert page.get_by_role("status").inner_text() == told[1] != told[2]
    page.keyboard.press("Escape")
    assert not page.locator("#tooltip").is_visible()
    # Whoever goes through a list by its arrow keys is still there after the first one.
    choice = page.locator("select[name=conn_id]")
    choice.focus()
    for key, conn_id in (("ArrowDown", "airbyte_test"), ("ArrowUp", "airbyte_prod")):
        with page.expect_response("**/content?*"):
            page.keyboard.press(key)
        page.locator(f"select[name=conn_id] option[selected][value={conn_id}]").wait_for(
            state="attached"
        )
        assert page.evaluate("document.activeElement.name") == "conn_id"


def test_1000_connections_in_pages(alone, page, thousand, add_conn):
    add_conn("tenants", thousand)

    alone("tenants", "of 1,000", "thousand")
    page.get_by_role("link", name="Next").click()
    page.get_by_text("Page 2 of 20").wait_for()

    assert page.locator("tbody tr").count() == 50
    assert "page=2" in page.url


@pytest.mark.parametrize(
    ("width", "has_schedules"),
    [(340, True), (900, True), (1100, False), (1200, True), (2200, True)],
)
def test_windows_of_all_sizes(width, has_schedules, alone, page, airbyte, add_conn):
    add_conn("airbyte_prod", airbyte)
    page.set_viewport_size({"width": width, "height": 900})

    alone("airbyte_prod", "Never synced", f"width-{width}")

    assert page.locator("td.schedule").first.is_visible() == has_schedules
    right = "element => element.getBoundingClientRect().right"
    edge = page.locator(".card").evaluate(right)
    assert all(each.evaluate(right) < edge for each in page.locator("tbody .bars").all())


def test_no_airflow_connection(alone):
    alone("", "No Airflow connection to Airbyte", "none")


def test_no_airbyte_connection(alone, add_conn):
    with (empty := Emulator(seed={"connections": []})).serve():
        add_conn("empty", empty)
        alone("empty", "Airbyte has no connections", "empty")


def test_loading(alone, add_conn):
    with (slow := Emulator(latency=30.0)).serve():
        add_conn("slow", slow)
        alone("slow", "Reading Airbyte", "loading")


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        ("unreachable", {"port": free_port()}, "Airbyte cannot be read."),
        ("secret", {"password": "wrong-secret-of-this-test"}, "Airbyte cannot be read."),
        ("broken", {"extra": '{"request_timeout": "soon"}'}, "cannot be used."),
    ],
)
def test_trouble(name, fields, text, alone, airbyte, add_conn):
    add_conn(name, airbyte, **fields)

    alone(name, text, name)


def test_an_outage_appears_by_itself_above_what_was_known(frame, page, add_conn, tmp_path):
    with (failing := Emulator(sync_duration=0.1)).serve():
        add_conn("failing", failing)
        shown = frame()
        shown.get_by_text("Sample data to Warehouse").wait_for()
        failing.fail_next("*", 503, times=None)

        shown.get_by_text("Airbyte cannot be read at the moment.").wait_for(timeout=90_000)

        assert shown.get_by_text("Sample data to Warehouse").is_visible()
        page.screenshot(path=tmp_path / "outage.png")
        # A screen reader tells it once, although the content is replaced again and again.
        shown.locator(".alert[role=alert]").wait_for(state="detached", timeout=90_000)
        assert shown.get_by_text("Airbyte cannot be read at the moment.").is_visible()
