"""Page objects for Admin > Connections in Airflow 3.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Only these tests install Playwright, so its objects are typed as Any.

CONNECTION_TYPE = "Airbyte SME"


@dataclass(frozen=True)
class FormField:
    """One field of the form: its input and help text."""

    row: Any

    @property
    def help(self) -> str:
        return str(self.row.locator("[data-part=helper-text]").inner_text())

    @property
    def text(self) -> Any:
        """The input of a text, password or number field."""
        return self.row.locator("input, textarea")

    @property
    def is_switched_on(self) -> bool:
        return bool(self.row.get_by_role("checkbox").is_checked())

    def toggle(self) -> None:
        """Click the switch; its real input is hidden."""
        self.row.locator("[data-part=control]").click()


class ConnectionsPage:
    """The list of connections, and the form that adds or edits one."""

    def __init__(self, page: Any, airflow_url: str) -> None:
        self._page = page
        self._url = f"{airflow_url}/connections"

    def open(self) -> None:
        self._page.goto(self._url)
        self._page.get_by_role("button", name="Add Connection").wait_for()

    def add(self, connection_id: str) -> None:
        """Open an empty form and select the connection type."""
        self._page.get_by_role("button", name="Add Connection").click()
        self._page.get_by_label("Connection ID").fill(connection_id)
        self._page.get_by_role("combobox").last.fill(CONNECTION_TYPE)
        self._page.get_by_role("option", name=CONNECTION_TYPE, exact=True).click()

    def edit(self, connection_id: str) -> None:
        """Open the form of an existing connection."""
        self._row(connection_id).get_by_role("button", name="Edit Connection").click()
        self._page.get_by_role("dialog").wait_for()

    def show_extra_fields(self) -> None:
        """Open the section with the provider's fields and wait until the other one has closed."""
        self._page.get_by_role("button", name="Extra Fields", exact=True).click()
        self._page.get_by_text("Airbyte URL", exact=True).wait_for(state="hidden")

    def field(self, label: str) -> FormField:
        """Return the visible field with *label*."""
        label_text = self._page.get_by_text(label, exact=True)
        rows = self._page.get_by_role("dialog").get_by_role("group").filter(has=label_text)
        return FormField(rows.last)

    @property
    def labels(self) -> list[str]:
        """Labels of all visible fields, from top to bottom."""
        found = self._page.get_by_role("dialog").locator("label[data-part=label]:visible")
        return [text.strip() for text in found.all_inner_texts() if text.strip()]

    def save(self) -> None:
        self._page.get_by_role("button", name="Save").click()
        self._page.get_by_role("dialog").wait_for(state="hidden")

    def test(self, connection_id: str) -> str:
        """Press Test Connection and return the text of the notification with its result."""
        self._row(connection_id).get_by_role("button", name="Test Connection").click()
        # The notification that the connection was saved may appear after the test result.
        notifications = self._page.locator("[data-scope=toast][data-part=root]")
        test_result = notifications.filter(has_text="Test Connection").last
        test_result.wait_for()
        return " ".join(test_result.inner_text().split())

    def _row(self, connection_id: str) -> Any:
        id_cell = self._page.get_by_role("cell", name=connection_id, exact=True)
        return self._page.get_by_role("row").filter(has=id_cell)
