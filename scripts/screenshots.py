"""
Make the pictures of the documentation anew, on a real Airflow and an emulated Airbyte.

``make screenshots`` makes all of them. To make some only, name them::

    python scripts/screenshots.py job-link waiting-task

It takes about three minutes, of which one is a task that waits. Look at each picture afterwards.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_api import AirflowApiError, AirflowTimeoutError, poll
from scripts.airflow_harness import LocalAirflow
from scripts.browser import CHROMIUM_ARGUMENTS, CHROMIUM_COMMANDS, find_chromium
from scripts.processes import ProcessFailedError
from scripts.sample_airbyte import CLIENT_ID, SHOP, sample_airbyte
from tests.ui.connections_page import ConnectionsPage

# Only the group `ui` has Playwright and Pillow. Types are checked without it, so their objects are
# typed as Any.

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / "docs" / "pictures"

AIRBYTE_PORT = 8000
"""Fixed, because it is in a picture."""

WEB_URL = "https://airbyte.example.com"
RUN = "nightly"
SYNC_DAG = "sync_then_dbt"
ASSET_DAG = "sync_emits_assets"

SCALE = 2
SIDEBAR = 72
"""Width of Airflow's navigation, which no picture needs; like all sizes, in CSS pixels."""

SEARCH_BAR = 116
"""Height of what is above a list."""

HEADER = 66
"""Height of what is above a task."""

MARGIN = 4

MAX_SIZE = 200_000
"""Bytes of a picture."""

PROGRESS = re.compile(r"rows, .* so far; 1 min")
"""The line that a wait logs after a minute."""

TIMEOUT = 120.0
"""Seconds that Airflow may take for one step."""


class ScreenshotError(Exception):
    """A picture cannot be made, or would not be good."""


class Studio:
    """
    What pictures are taken of.

    :param airflow: Started.
    :param airbyte: Serves on :data:`AIRBYTE_PORT`; its clock only moves when it is told to.
    :param browser: Playwright's browser.
    :param folder: Where the pictures are written.
    """

    def __init__(
        self, airflow: LocalAirflow, airbyte: Emulator, browser: Any, folder: Path
    ) -> None:
        self.airflow = airflow
        self.airbyte = airbyte
        self._browser = browser
        self._folder = folder

    @contextmanager
    def page(self, width: int, height: int, *, dark: bool = False) -> Iterator[Any]:
        """Open a browser window of this size in CSS pixels, with Playwright's page in it."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=SCALE,
            locale="en-US",
            timezone_id="UTC",
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        try:
            yield context.new_page()
        finally:
            context.close()

    def save(self, name: str, page: Any, clip: Mapping[str, float]) -> None:
        """
        Take a picture.

        :param clip: ``x``, ``y``, ``width`` and ``height`` of what is in it.
        :raises ScreenshotError: The file is too large.
        """
        page.evaluate("document.activeElement.blur()")
        picture = _shrunk(page.screenshot(clip=clip, animations="disabled", caret="hide"))
        (self._folder / f"{name}.png").write_bytes(picture)
        print(f"{name}.png: {len(picture):,} bytes", flush=True)
        if len(picture) > MAX_SIZE:
            raise ScreenshotError(f"{name}.png may have {MAX_SIZE:,} bytes: show less.")

    def wait_for_sync(self) -> None:
        """Have a task of the example DAG wait for a sync long enough to report its progress."""
        if self._is_known(SYNC_DAG):
            return
        self._set_clock()
        self.airbyte.script_job(SHOP.id, rows=SHOP.rows, duration=SHOP.duration)
        self._trigger(SYNC_DAG)
        self.airflow.api.wait_for_task(SYNC_DAG, RUN, "sync", ["deferred"], timeout=TIMEOUT)
        self.airbyte.advance(5)
        self.airbyte.commit_records(max(self.airbyte.jobs), 412_000, bytes=106_000_000)
        poll(self._has_progress, timeout=TIMEOUT, what="the log to show progress", interval=2.0)

    def finish_sync(self) -> None:
        """Let that sync and its DAG run succeed."""
        self.wait_for_sync()
        self.airbyte.advance(SHOP.duration)
        self._wait_for_success(SYNC_DAG)

    def emit_assets(self) -> None:
        """Have a sync emit an asset event for each of its tables."""
        self._set_clock()
        rows = {"customers": 1_204, "orders": 8_310, "order_items": 21_877}
        self.airbyte.script_job(SHOP.id, rows_of=rows, duration=60)
        self._trigger(ASSET_DAG)
        self.airflow.api.wait_for_task(ASSET_DAG, RUN, "sync", ["deferred"], timeout=TIMEOUT)
        self.airbyte.advance(60)
        self._wait_for_success(ASSET_DAG)

    def _set_clock(self) -> None:
        """Set Airbyte's clock to the present."""
        behind = (datetime.now(UTC) - self.airbyte.now).total_seconds()
        self.airbyte.advance(max(behind, 0.0))

    def _is_known(self, dag_id: str) -> bool:
        try:
            self.airflow.api.run_state(dag_id, RUN)
        except AirflowApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def _trigger(self, dag_id: str) -> None:
        body = {"logical_date": None, "dag_run_id": RUN}
        self.airflow.api.request("POST", f"/dags/{dag_id}/dagRuns", body)

    def _has_progress(self) -> bool:
        task = self.airflow.api.task_instance(SYNC_DAG, RUN, "sync")
        return any(PROGRESS.search(line) for line in self.airflow.api.log(task))

    def _wait_for_success(self, dag_id: str) -> None:
        state = self.airflow.api.wait_for_run(dag_id, RUN, timeout=TIMEOUT)
        if state != "success":
            raise ScreenshotError(f"The run of {dag_id} ended as {state}.")


def take_connection_form(studio: Studio) -> None:
    """The form of an Airflow connection, with our labels."""
    with studio.page(1000, 1000) as page:
        _fill_connection_form(page, studio.airflow.url)
        studio.save("connection-form", page, _around(page.get_by_role("dialog")))


def take_connection_form_extra(studio: Studio) -> None:
    """The extra fields of the form, with their help."""
    with studio.page(1000, 1000) as page:
        form = _fill_connection_form(page, studio.airflow.url)
        form.show_extra_fields()
        form.field("CA bundle").text.fill("/etc/airbyte/tls/ca.pem")
        # The section opens slowly.
        page.wait_for_timeout(1000)
        clip = _around(page.get_by_role("dialog"))
        studio.save("connection-form-extra", page, clip)


def take_failed_test(studio: Studio) -> None:
    """Test Connection with a wrong secret, and what to do about it."""
    studio.airflow.api.create_connection(
        "airbyte_staging",
        "airbyte_sme",
        description="The secret is wrong",
        host="http://localhost",
        port=AIRBYTE_PORT,
        login=CLIENT_ID,
        password=f"not {studio.airbyte.client_secret}",
    )
    with studio.page(1140, 590) as page:
        connections = ConnectionsPage(page, studio.airflow.url)
        connections.open()
        connections.test("airbyte_staging")
        page.mouse.move(400, 500)
        # The notification slides in, and the tooltip fades away.
        page.wait_for_timeout(1000)
        studio.save("failed-test", page, _below_search(page))


def take_waiting_task(studio: Studio) -> None:
    """The log of a deferred task: how far its sync is, and how long it usually takes."""
    studio.wait_for_sync()
    with studio.page(1280, 580) as page:
        page.goto(f"{studio.airflow.url}/dags/{SYNC_DAG}/runs/{RUN}/tasks/sync")
        page.get_by_text("so far; 1 min").wait_for()
        studio.save("waiting-task", page, _task_pane(page))


def take_job_link(studio: Studio) -> None:
    """The link from a task to its job in Airbyte."""
    studio.finish_sync()
    with studio.page(1280, 428) as page:
        page.goto(f"{studio.airflow.url}/dags/{SYNC_DAG}/runs/{RUN}/tasks/sync/details")
        link = page.get_by_role("link", name="Airbyte job")
        link.wait_for()
        link.hover()
        studio.save("job-link", page, _task_pane(page))


def take_asset_events(studio: Studio) -> None:
    """The asset events of a sync, one for each table."""
    studio.emit_assets()
    with studio.page(1280, 660) as page:
        page.goto(f"{studio.airflow.url}/dags/{ASSET_DAG}/runs/{RUN}/tasks/sync/asset_events")
        page.get_by_text("order_items").first.wait_for()
        studio.save("asset-events", page, _task_pane(page))


def take_airbyte_page(studio: Studio) -> None:
    """The page Airbyte, while a task waits for a sync."""
    _take_airbyte_page(studio, "airbyte-page", dark=False)


def take_dark_airbyte_page(studio: Studio) -> None:
    """The same in dark."""
    _take_airbyte_page(studio, "airbyte-page-dark", dark=True)


PICTURES: Mapping[str, Callable[[Studio], None]] = {
    "connection-form": take_connection_form,
    "connection-form-extra": take_connection_form_extra,
    "failed-test": take_failed_test,
    "waiting-task": take_waiting_task,
    "airbyte-page": take_airbyte_page,
    "airbyte-page-dark": take_dark_airbyte_page,
    "job-link": take_job_link,
    "asset-events": take_asset_events,
}
"""Each picture of the documentation, and what takes it. ``airbyte-page`` shows a running sync."""


def _fill_connection_form(page: Any, url: str) -> ConnectionsPage:
    form = ConnectionsPage(page, url)
    form.open()
    form.add("airbyte_sme_default")
    form.field("Airbyte URL").text.fill(WEB_URL)
    form.field("Client ID").text.fill(CLIENT_ID)
    form.field("Client secret").text.fill("the client secret")
    form.field("Port").text.fill("443")
    return form


def _take_airbyte_page(studio: Studio, name: str, *, dark: bool) -> None:
    studio.wait_for_sync()
    with studio.page(1280, 680, dark=dark) as page:
        page.goto(studio.airflow.url)
        page.get_by_role("link", name="Airbyte", exact=True).click()
        frame = page.frame_locator("iframe")
        frame.get_by_text(f"{SHOP.source} to Warehouse").first.wait_for()
        # With the sidebar: it shows where the page is.
        studio.save(name, page, {"x": 0, "y": 0, **page.viewport_size})


def _shrunk(picture: bytes) -> bytes:
    """Return a PNG with 256 colors: a user interface has few, and the file a third of the size."""
    images = import_module("PIL.Image")
    # An octree keeps the colors of small things, such as a badge, and does no dithering here.
    few = (
        images.open(BytesIO(picture))
        .convert("RGB")
        .quantize(256, method=images.Quantize.FASTOCTREE, dither=images.Dither.NONE)
    )
    shrunk = BytesIO()
    few.save(shrunk, "PNG", optimize=True)
    return shrunk.getvalue()


def _without_sidebar(page: Any) -> dict[str, float]:
    size = page.viewport_size
    return {"x": SIDEBAR, "y": 0, "width": size["width"] - SIDEBAR, "height": size["height"]}


def _below_search(page: Any) -> dict[str, float]:
    clip = _without_sidebar(page)
    return {**clip, "y": SEARCH_BAR, "height": clip["height"] - SEARCH_BAR}


def _task_pane(page: Any) -> dict[str, float]:
    """Return the box of a task's own part of the page, right of the grid."""
    size, tab = page.viewport_size, page.get_by_role("link", name="Logs", exact=True).bounding_box()
    x = tab["x"] - MARGIN
    return {"x": x, "y": HEADER, "width": size["width"] - x, "height": size["height"] - HEADER}


def _around(locator: Any) -> dict[str, float]:
    """Return the box of an element that is completely in the window, without any margin."""
    return cast("dict[str, float]", locator.bounding_box())


@contextmanager
def open_studio(folder: Path) -> Iterator[Studio]:
    """
    Start Airflow, Airbyte and the browser; all are stopped at the end.

    :raises ScreenshotError: There is no browser.
    """
    chromium = find_chromium()
    if chromium is None:
        raise ScreenshotError(f"No browser found; looked for {', '.join(CHROMIUM_COMMANDS)}.")
    playwright_api = import_module("playwright.sync_api")
    airbyte = sample_airbyte()
    with (
        TemporaryDirectory(prefix="screenshots-") as home,
        airbyte.serve(port=AIRBYTE_PORT),
        start_airflow(Path(home)) as airflow,
        playwright_api.sync_playwright() as playwright,
    ):
        connect(airflow, airbyte)
        browser = playwright.chromium.launch(
            executable_path=chromium, args=list(CHROMIUM_ARGUMENTS)
        )
        try:
            yield Studio(airflow, airbyte, browser, folder)
        finally:
            browser.close()


def start_airflow(home: Path) -> LocalAirflow:
    """Return an Airflow with the example DAGs, which starts when its context is entered."""
    # Needs DuckDB, which only the environments have that run dbt.
    from scripts.demo import DAGS, dbt_environment

    airflow_home = home / "airflow"
    airflow_home.mkdir()
    return LocalAirflow(
        home=airflow_home,
        dags_folder=DAGS,
        dag_ids=[SYNC_DAG, ASSET_DAG],
        environment={
            **dbt_environment(home, home / "warehouse.duckdb", has_landing=False),
            "AIRFLOW__API__DEFAULT_WRAP": "True",
        },
    )


def connect(airflow: LocalAirflow, airbyte: Emulator) -> None:
    """Create the Airflow connection, and the variable that the example DAGs read."""
    airflow.api.create_connection(
        "airbyte_sme_default",
        "airbyte_sme",
        description="Airbyte of the data team",
        host="http://localhost",
        port=AIRBYTE_PORT,
        login=airbyte.client_id,
        password=airbyte.client_secret,
        extra=json.dumps({"web_url": WEB_URL}),
    )
    airflow.api.create_variable("airbyte_connection_id", SHOP.id)


def main() -> None:
    """Make the pictures that the command line names, or all."""
    parser = argparse.ArgumentParser(description="Make pictures of the documentation anew.")
    parser.add_argument("names", nargs="*", choices=[[], *PICTURES], metavar="NAME")
    parser.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    # Leave no Airflow behind.
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.default_int_handler)
    try:
        with open_studio(arguments.to) as studio:
            for name, take in PICTURES.items():
                if not arguments.names or name in arguments.names:
                    take(studio)
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
    except (
        AirflowApiError,
        AirflowTimeoutError,
        OSError,
        ProcessFailedError,
        ScreenshotError,
    ) as error:
        sys.exit(f"{error}")
    print(f"Done in {time.monotonic() - started:.0f} s. Look at each of them.")


if __name__ == "__main__":
    main()
