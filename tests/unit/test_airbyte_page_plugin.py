"""The plugin of the page: what it costs, and whether it is on."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowPlugin, BaseOperator
from packaging.version import Version

from airflow_provider_airbyte_sme.operators.base import AirbytePageLink
from airflow_provider_airbyte_sme.plugins.page import AirbytePagePlugin
from tests.plugin_loading import load_plugin

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
HAS_PAGES = Version(version("apache-airflow")) >= Version("3.1")
SWITCH = "AIRFLOW__AIRBYTE_SME__PAGE"

needs_pages = pytest.mark.skipif(not HAS_PAGES, reason="needs Airflow 3.1")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> type[AirbytePagePlugin]:
    """The plugin before Airflow has loaded it."""
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(AirbytePagePlugin, "fastapi_apps", [])
    monkeypatch.setattr(AirbytePagePlugin, "external_views", [])
    return AirbytePagePlugin


@needs_pages
def test_it_is_on_by_default_and_has_an_entry_in_the_navigation(plugin):
    plugin.on_load()

    (mounted,), (view,) = plugin.fastapi_apps, plugin.external_views
    assert mounted["url_prefix"] == "/airbyte-sme/page"
    assert (view["name"], view["url_route"]) == ("Airbyte", "airbyte")
    # Airflow may be below a path, so they are relative to it.
    assert view["href"] == "airbyte-sme/page/"
    assert view["icon"].startswith("airbyte-sme/page/static/")


@pytest.mark.parametrize("value", ["False", "false", "0"])
def test_it_can_be_switched_off(value, plugin, monkeypatch):
    monkeypatch.setenv(SWITCH, value)

    plugin.on_load()

    assert (plugin.fastapi_apps, plugin.external_views) == ([], [])


@needs_pages
@pytest.mark.parametrize("value", ["maybe", "{}", "2"])
def test_a_value_that_is_no_switch_turns_it_off_and_stops_nothing(
    value, plugin, monkeypatch, caplog
):
    monkeypatch.setenv(SWITCH, value)

    plugin.on_load()

    assert (plugin.fastapi_apps, plugin.external_views) == ([], [])
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("[airbyte_sme] page must be True or False, so the page is off")
    assert "\n" not in line


@needs_pages
@pytest.mark.parametrize("value", ["False", "maybe"])
def test_without_the_page_no_task_has_a_link_to_it(value, monkeypatch):
    from airflow.providers.common.compat.sdk import TaskInstanceKey

    monkeypatch.setenv(SWITCH, value)
    ti_key = TaskInstanceKey("dag", "sync", "run")

    assert AirbytePageLink().get_link(BaseOperator(task_id="sync"), ti_key=ti_key) == ""


@pytest.mark.skipif(HAS_PAGES, reason="needs an older Airflow")
def test_an_older_airflow_has_no_page_and_says_nothing(plugin, caplog):
    plugin.on_load()

    assert (plugin.fastapi_apps, plugin.external_views) == ([], [])
    assert caplog.records == []


def test_airflow_loads_it_by_its_entry_point_before_the_webhook():
    """The URL of the page is below the one at which the webhook is mounted."""
    entry_points = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["airflow.plugins"]
    entry_point = EntryPoint("any", entry_points["airbyte_sme_page"], "airflow.plugins")

    assert entry_point.load() is AirbytePagePlugin
    assert issubclass(AirbytePagePlugin, AirflowPlugin)
    # Build tools keep the order, or sort the names.
    assert list(entry_points) == sorted(entry_points) == ["airbyte_sme_page", "airbyte_sme_webhook"]


@pytest.mark.parametrize("is_on", [False, True])
def test_loading_it_imports_nothing_that_serves_a_request(is_on):
    loaded = load_plugin("plugins.page", "AirbytePagePlugin", **{SWITCH: str(is_on)})

    assert loaded.apps == (is_on and HAS_PAGES)
    heavy = ("fastapi", "starlette", "jinja2", "requests", "aiohttp", "sqlalchemy")
    assert loaded.beginning_with((*heavy, "airflow.models")) == []
    assert loaded.ours == {"plugins", "plugins.page", "web"}
