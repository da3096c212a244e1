"""Admin > Connections of Airflow 3.3, as a person sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Playwright is there only for these tests, so its classes cannot be named: they are Any.

CONNECTION_TYPE = "Airbyte SME"


@dataclass(frozen=True)
class FormField:
    """One field of the form: its label, its input and the text below it."""

    row: Any

    @property
    def label(self) -> str:
        return str(self.row.locator("label[data-part=label]").first.inner_text()).strip()

    @property
    def help(self) -> str:
        return str(self.row.locator("[data-part=helper-text]").inner_text())

    @property
    def text(self) -> Any:
        """An input for a text of one line or more, a password or a number."""
        return self.row.locator("input, textarea")

    @property
    def is_switched_on(self) -> bool:
        return bool(self.row.get_by_role("checkbox").is_checked())

    def switch(self) -> None:
        """Press the switch, whose real input is hidden."""
        self.row.locator("[data-part=control]").click()


class ConnectionsPage:
    """The list of connections and the form that opens from it."""

    def __init__(self, page: Any, airflow_url: str) -> None:
        self._page = page
        self._url = f"{airflow_url}/connections"

    def open(self) -> None:
        self._page.goto(self._url)
        self._page.get_by_role("button", name="Add Connection").wait_for()

    def add(self, connection_id: str) -> None:
        """Open an empty form and choose the type."""
        self._page.get_by_role("button", name="Add Connection").click()
        self._page.get_by_label("Connection ID").fill(connection_id)
        self._page.get_by_role("combobox").last.fill(CONNECTION_TYPE)
        self._page.get_by_role("option", name=CONNECTION_TYPE, exact=True).click()

    def edit(self, connection_id: str) -> None:
        """Open the form of a connection that there is."""
        self._row(connection_id).get_by_role("button", name="Edit Connection").click()
        self._page.get_by_role("dialog").wait_for()

    def show_extra_fields(self) -> None:
        """Open the section of our own fields, and wait until the other one has closed."""
        self._page.get_by_role("button", name="Extra Fields", exact=True).click()
        self._page.get_by_text("Airbyte URL", exact=True).wait_for(state="hidden")

    def field(self, label: str) -> FormField:
        """Return the visible field with that *label*."""
        named = self._page.get_by_text(label, exact=True)
        rows = self._page.get_by_role("dialog").get_by_role("group").filter(has=named)
        return FormField(rows.last)

    @property
    def labels(self) -> list[str]:
        """The labels of all visible fields, from top to bottom."""
        found = self._page.get_by_role("dialog").locator("label[data-part=label]:visible")
        return [text.strip() for text in found.all_inner_texts() if text.strip()]

    def save(self) -> None:
        self._page.get_by_role("button", name="Save").click()
        self._page.get_by_role("dialog").wait_for(state="hidden")

    def test(self, connection_id: str) -> str:
        """Press Test Connection and return what the page then says."""
        self._row(connection_id).get_by_role("button", name="Test Connection").click()
        # That a connection was saved may be told later than what its test has found.
        told = self._page.locator("[data-scope=toast][data-part=root]")
        said = told.filter(has_text="Test Connection").last
        said.wait_for()
        return " ".join(said.inner_text().split())

    def _row(self, connection_id: str) -> Any:
        named = self._page.get_by_role("cell", name=connection_id, exact=True)
        return self._page.get_by_role("row").filter(has=named)
