"""The pages behind the links to a job and to a resource (docs/airbyte-api.md §8.1)."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
import requests

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.models import AirbyteConnection
from airflow_provider_airbyte_sme.api.settings import AirbyteUrls
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import UNKNOWN_ID, caller_of, ok

EVIL = "</pre><script>alert('x')</script> & \"quoted\""


class Page(HTMLParser):
    """What a reader sees: the text, the tags, and the links."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__()
        self.text, self.refreshes = "", False
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.feed(response.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = dict(attrs)
        self.links += [values["href"]] if "href" in values else []
        self.refreshes |= values.get("http-equiv") == "refresh"

    def handle_data(self, data: str) -> None:
        self.text += data


def url_of(emulator: Emulator, job_id: int, connection_id: str | None = None) -> str:
    """Return the client's link to a job."""
    read = ok(caller_of(emulator).get(f"/connections/{emulator.connection_id}"))
    connection = AirbyteConnection.from_json(
        {**read, "connectionId": connection_id or emulator.connection_id}
    )
    return AirbyteUrls.parse("http://airbyte.test").job_page(connection, job_id)


def get(emulator: Emulator, url: str, method: str = "GET") -> HttpResponse:
    return emulator.respond(HttpRequest(method, url))


def test_the_page_of_a_failed_job_shows_its_attempts_and_logs(emulator):
    emulator.script_job(
        outcome="failed", attempts=2, duration=30, rows=1234,
        failure={"message": "Login refused", "type": "system_error"},
    )  # fmt: skip
    emulator.start_sync()
    emulator.advance(100)

    response = get(emulator, url_of(emulator, 1))
    page = Page(response)

    assert (response.status, response.is_html) == (200, True)
    for text in (
        "Sample data to Warehouse", "Sync 1", "failed", "1,234", "157,952", "1 min 10 s",
        "Attempt 0", "Attempt 1", "Login refused", "source · system_error",
        "Attempt 1 of job 1 started", "Committed 1234 records",
    ):  # fmt: skip
        assert text in page.text
    assert not page.refreshes


def test_what_others_wrote_is_shown_and_never_executed(emulator):
    connection_id = emulator.add_connection(EVIL)
    emulator.script_job(connection_id=connection_id, outcome="failed", failure={"message": EVIL})
    emulator.start_sync(connection_id)
    emulator.advance(1_000)

    page = Page(get(emulator, url_of(emulator, 1, connection_id)))

    assert page.text.count(EVIL) >= 4  # title, heading, failure, log
    assert "script" not in page.tags
    missing = get(emulator, url_of(emulator, 1, connection_id).replace("jobId=1", "jobId=<script>"))
    assert "script" not in Page(missing).tags


def test_the_page_refreshes_itself_until_the_job_has_ended(emulator):
    emulator.start_sync()
    assert Page(get(emulator, url_of(emulator, 1))).refreshes

    emulator.advance(60)

    page = Page(get(emulator, url_of(emulator, 1)))
    assert not page.refreshes
    assert "succeeded" in page.text


def test_a_job_without_an_attempt_has_a_page(emulator):
    emulator.script_job(statuses=[("queued", None)])
    emulator.start_sync()

    page = Page(get(emulator, url_of(emulator, 1)))

    assert "queued" in page.text
    assert "None has started yet." in page.text


def test_the_page_links_the_other_jobs_of_the_connection(emulator):
    other = emulator.add_connection()
    for connection_id in (None, other, None):
        emulator.start_sync(connection_id, job_type="refresh")
        emulator.advance(60)

    page = Page(get(emulator, url_of(emulator, 3)))

    assert page.links == ["timeline?jobId=1&openLogs=true"]
    assert "Refresh 1" in page.text


@pytest.mark.parametrize(
    ("tail", "prefix"), [("", "{id}/timeline"), ("/status", "timeline"), ("/timeline", "timeline")]
)
def test_the_pages_of_a_connection_list_its_newest_jobs(emulator, tail, prefix):
    for _ in range(27):
        emulator.start_sync(job_type="reset")
        emulator.advance(60)
    url = url_of(emulator, 1).partition("/timeline")[0]

    page = Page(get(emulator, url + tail))

    start = prefix.format(id=emulator.connection_id)
    assert page.links == [f"{start}?jobId={n}&openLogs=true" for n in range(27, 2, -1)]
    assert "and 2 older" in page.text


def test_an_unknown_job_is_a_404_page(emulator):
    emulator.start_sync(emulator.add_connection())

    for url in (
        url_of(emulator, 99),
        url_of(emulator, 1),  # a job of another connection
        url_of(emulator, 1).replace("jobId=1", "jobId=x"),
        url_of(emulator, 1, UNKNOWN_ID),
        url_of(emulator, 1).replace(emulator.workspace_id, UNKNOWN_ID),
    ):
        response = get(emulator, url)
        assert (response.status, response.is_html) == (404, True)
        assert "Not found" in Page(response).text


def test_the_page_is_served_without_a_token(served):
    job_id = served.start_sync()
    path = url_of(served, job_id).removeprefix("http://airbyte.test")

    response = requests.get(f"{served.url}{path}", timeout=5)

    assert response.status_code == 200
    assert f"Sync {job_id}" in response.text


URLS = AirbyteUrls.parse("http://airbyte.test")


@pytest.mark.parametrize("kind", ["workspace", "source", "destination", "connection"])
def test_every_resource_has_a_page_with_its_name_and_id(emulator, kind):
    resource_id = getattr(emulator, f"{kind}_id")
    resource = ok(caller_of(emulator).get(f"/{kind}s/{resource_id}"))

    page = Page(get(emulator, URLS.resource_page(kind, resource_id, emulator.workspace_id)))

    assert resource["name"] in page.text
    assert resource_id in page.text


def test_the_page_of_a_workspace_leads_to_everything_in_it(emulator):
    page = Page(get(emulator, URLS.resource_page("workspace", "", emulator.workspace_id)))

    assert page.links == [
        f"{emulator.workspace_id}/{kind}/{resource_id}"
        for kind, resource_id in (
            ("source", emulator.source_id),
            ("destination", emulator.destination_id),
            ("connections", emulator.connection_id),
        )
    ]


def test_the_page_of_a_source_masks_its_secrets_and_executes_nothing(emulator):
    source_id = emulator.add_source(
        EVIL, connector="postgres", configuration={"host": EVIL, "password": "hidden"}
    )

    page = Page(get(emulator, URLS.resource_page("source", source_id, emulator.workspace_id)))

    assert "postgres" in page.text
    assert "**********" in page.text
    assert "hidden" not in page.text
    assert "script" not in page.tags


@pytest.mark.parametrize("kind", ["workspace", "source"])
def test_a_resource_of_another_workspace_has_no_page(emulator, kind):
    blank = get(emulator, "http://airbyte.test/")

    url = URLS.resource_page(kind, emulator.source_id, UNKNOWN_ID)

    assert get(emulator, url).body == blank.body
