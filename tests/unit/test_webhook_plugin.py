"""The plugin of the webhook: what it costs, and whether it is on."""

from __future__ import annotations

import hmac
import json
import tomllib
from importlib.metadata import EntryPoint, version
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowPlugin
from packaging.version import Version

from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteSettings
from airflow_provider_airbyte_sme.assets import airbyte_webhook_asset
from airflow_provider_airbyte_sme.plugins import access
from airflow_provider_airbyte_sme.plugins.webhook import AirbyteWebhookPlugin
from tests.plugin_loading import load_plugin
from tests.webhooks import WEBHOOK_SECRET

IS_AIRFLOW_3 = Version(version("apache-airflow")) >= Version("3")
SWITCH = "AIRFLOW__AIRBYTE_SME__WEBHOOK"
CONNECTION_ID = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"

needs_airflow_3 = pytest.mark.skipif(not IS_AIRFLOW_3, reason="needs Airflow 3")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> type[AirbyteWebhookPlugin]:
    """The plugin before Airflow has loaded it."""
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(AirbyteWebhookPlugin, "fastapi_apps", [])
    return AirbyteWebhookPlugin


def test_it_is_off_by_default(plugin):
    plugin.on_load()

    assert plugin.fastapi_apps == []


@needs_airflow_3
@pytest.mark.parametrize("value", ["True", "true", "1"])
def test_it_is_mounted_if_it_is_switched_on(value, plugin, monkeypatch):
    monkeypatch.setenv(SWITCH, value)

    plugin.on_load()

    (mounted,) = plugin.fastapi_apps
    assert (mounted["url_prefix"], mounted["name"]) == ("/airbyte-sme", "airbyte_sme_webhook")


@pytest.mark.parametrize("value", ["maybe", "{}", "2"])
def test_a_value_that_is_no_switch_leaves_it_off_and_stops_nothing(
    value, plugin, monkeypatch, caplog
):
    monkeypatch.setenv(SWITCH, value)

    plugin.on_load()

    assert plugin.fastapi_apps == []
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("[airbyte_sme] webhook must be True or False, so the webhook is off")
    assert "\n" not in line


@pytest.mark.skipif(IS_AIRFLOW_3, reason="needs Airflow 2")
def test_airflow_2_says_that_it_cannot_serve_it(plugin, monkeypatch, caplog):
    monkeypatch.setenv(SWITCH, "True")

    plugin.on_load()

    assert plugin.fastapi_apps == []
    assert "the webhook needs Airflow 3.0 or newer" in caplog.text


def test_airflow_loads_it_by_its_entry_point():
    project = Path(__file__).parents[2] / "pyproject.toml"
    entry_points = tomllib.loads(project.read_text())["project"]["entry-points"]
    value = entry_points["airflow.plugins"]["airbyte_sme_webhook"]
    entry_point = EntryPoint("any", value, "airflow.plugins")

    assert entry_point.load() is AirbyteWebhookPlugin
    assert issubclass(AirbyteWebhookPlugin, AirflowPlugin)


@pytest.mark.parametrize("is_on", [False, True])
def test_loading_it_imports_nothing_that_serves_a_call(is_on):
    loaded = load_plugin("plugins.webhook", "AirbyteWebhookPlugin", **{SWITCH: str(is_on)})

    assert loaded.apps == (is_on and IS_AIRFLOW_3)
    heavy = ("fastapi", "starlette", "requests", "aiohttp", "sqlalchemy", "airflow.models")
    assert loaded.beginning_with(heavy) == []
    of_calls = {"plugins.endpoint", "plugins.notifications"} if loaded.apps else set()
    assert loaded.ours == {"plugins", "plugins.webhook", "web", *of_calls}


class TestSecret:
    @pytest.mark.parametrize(
        "secret",
        [
            "x" * 31,
            "x" * 257,
            "x" * 31 + "/",
            "x" * 31 + "\u00e4",
            "x" * 16 + " " + "x" * 16,
            "x" * 31 + "%",
        ],
    )
    def test_one_that_is_weak_or_cannot_stand_in_a_url_is_rejected(self, secret):
        with pytest.raises(AirbyteConfigError, match=r"webhook_secret .* 32 to 256") as error:
            AirbyteSettings(settings().urls, webhook_secret=secret)

        assert secret not in str(error.value)

    def test_one_that_is_long_enough_is_accepted_and_not_shown(self):
        made = AirbyteSettings(settings().urls, webhook_secret=WEBHOOK_SECRET)

        assert WEBHOOK_SECRET in made.secrets
        assert WEBHOOK_SECRET not in repr(made)

    def test_it_does_not_change_how_airbyte_is_reached(self):
        made = AirbyteSettings(settings().urls, webhook_secret=WEBHOOK_SECRET)

        assert made.reach == settings().reach


def settings() -> AirbyteSettings:
    from airflow_provider_airbyte_sme.api import AirbyteUrls

    return AirbyteSettings(AirbyteUrls.parse("https://airbyte.example.com"))


@needs_airflow_3
@pytest.mark.parametrize("conn_id", ["right", "empty", "weak", "nowhere", "../right", "broken"])
@pytest.mark.parametrize("secret", [WEBHOOK_SECRET, "", "x", "x" * 100_000])
def test_each_call_compares_two_digests_of_the_same_length(conn_id, secret, monkeypatch):
    """Whatever is wrong, so that the time of the comparison tells nothing."""
    fields: dict[str, Any] = {"conn_type": "airbyte_sme", "host": "airbyte"}
    for name, value in (("right", WEBHOOK_SECRET), ("empty", ""), ("weak", "weak")):
        extra = {"webhook_secret": value}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({**fields, "extra": extra}))
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{")
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(access, "hmac", type("module", (), {"compare_digest": compare}))

    result = access.admit(conn_id, secret)

    assert compared == [(32, 32)]
    assert isinstance(result, AirbyteSettings) == (conn_id == "right" and secret == WEBHOOK_SECRET)


class TestAsset:
    @needs_airflow_3
    def test_its_name_and_uri_are_those_that_the_webhook_looks_for(self):
        asset = airbyte_webhook_asset(f" {CONNECTION_ID.upper()} ")

        assert asset.name == f"airbyte_sme/webhook/{CONNECTION_ID}"
        assert asset.uri == f"x-airbyte-sme://{CONNECTION_ID}/webhook"

    @needs_airflow_3
    def test_it_belongs_to_one_connection(self):
        with pytest.raises(AirbyteConfigError, match="connection_id must be the UUID"):
            airbyte_webhook_asset("crm to lake")

    @pytest.mark.skipif(IS_AIRFLOW_3, reason="needs Airflow 2")
    def test_airflow_2_has_none(self):
        with pytest.raises(AirbyteConfigError, match=r"needs Airflow 3\.0 or newer"):
            airbyte_webhook_asset(CONNECTION_ID)
