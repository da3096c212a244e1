"""Assets that are updated when Airbyte has synced a connection, as a DAG file declares them."""

from __future__ import annotations

import inspect
import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.assets import airbyte_asset
from airflow_provider_airbyte_sme.triggers import events
from airflow_provider_airbyte_sme.triggers.events import AirbyteSyncEventTrigger
from tests.tasks import rebuilt

CONNECTION = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"

on_airflow_3 = pytest.mark.skipif(
    not events.HAS_EVENT_TRIGGERS, reason="Airflow 2 has no event triggers"
)
on_airflow_2 = pytest.mark.skipif(events.HAS_EVENT_TRIGGERS, reason="Airflow 3 has event triggers")


@on_airflow_2
class TestAirflow2:
    def test_an_asset_is_refused_with_advice(self):
        with pytest.raises(AirbyteConfigError, match=r"needs Airflow 3\.0 .* AirbyteSyncSensor"):
            airbyte_asset(CONNECTION)

    def test_a_trigger_is_refused_with_advice(self):
        with pytest.raises(AirbyteConfigError, match=r"needs Airflow 3\.0"):
            AirbyteSyncEventTrigger("airbyte_sme_default", CONNECTION, 10)


@on_airflow_3
class TestAsset:
    def test_it_is_named_after_its_connection(self):
        asset = airbyte_asset(f" {CONNECTION.upper()} ")

        assert asset.name == f"airbyte_sme/{CONNECTION}"
        assert asset.uri == f"x-airbyte-sme://{CONNECTION}"

    def test_it_always_has_its_watcher(self):
        (watcher,) = airbyte_asset(
            CONNECTION, airbyte_conn_id="other", poll_interval=timedelta(minutes=1), catch_up="all"
        ).watchers

        assert watcher.trigger.serialize()[1] == {
            "airbyte_conn_id": "other",
            "connection_id": CONNECTION,
            "poll_interval": 60.0,
            "catch_up": "all",
        }

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("connection_id", "crm to lake"),
            ("connection_id", "{{ var.value.connection }}"),
            ("airbyte_conn_id", ""),
            ("poll_interval", 0),
            ("poll_interval", float("nan")),
            ("catch_up", "newest"),
            ("catch_up", None),
        ],
    )
    def test_invalid_arguments_are_refused_when_the_dag_is_parsed(self, argument, value):
        arguments: dict[str, Any] = {"connection_id": CONNECTION, argument: value}

        with pytest.raises(AirbyteConfigError, match=argument):
            airbyte_asset(**arguments)


@on_airflow_3
class TestStoredTrigger:
    def test_its_class_path_never_changes(self):
        path, _ = AirbyteSyncEventTrigger("airbyte_sme_default", CONNECTION, 10).serialize()

        assert path == "airflow_provider_airbyte_sme.triggers.events.AirbyteSyncEventTrigger"

    def test_its_arguments_are_in_the_order_of_their_documentation(self):
        assert [*inspect.signature(AirbyteSyncEventTrigger).parameters] == [
            "airbyte_conn_id",
            "connection_id",
            "poll_interval",
            "catch_up",
        ]

    def test_it_survives_the_database(self):
        trigger = AirbyteSyncEventTrigger("airbyte_sme_default", CONNECTION, 10, "all")

        assert rebuilt(trigger).serialize() == trigger.serialize()

    def test_its_arguments_are_plain_json(self):
        _, kwargs = AirbyteSyncEventTrigger(
            "airbyte_sme_default", CONNECTION, timedelta(seconds=10), "none"
        ).serialize()

        assert json.loads(json.dumps(kwargs)) == kwargs

    @pytest.mark.parametrize("seconds", [10, 10.0, timedelta(seconds=10), "10"])
    def test_the_same_arguments_in_other_words_are_the_same_trigger(self, seconds):
        one = AirbyteSyncEventTrigger("airbyte_sme_default", CONNECTION, 10)
        other = AirbyteSyncEventTrigger(" airbyte_sme_default", CONNECTION.upper(), seconds)

        assert other.hash(*other.serialize()) == one.hash(*one.serialize())

    def test_airflow_finds_that_the_stored_trigger_is_the_one_in_the_dag(self):
        encoders = pytest.importorskip("airflow.serialization.encoders")
        from airflow.models.trigger import Trigger

        (watcher,) = airbyte_asset(CONNECTION, poll_interval=30).watchers
        in_dag = encoders.encode_trigger(watcher.trigger)
        stored = Trigger(classpath=in_dag["classpath"], kwargs=in_dag["kwargs"])

        # As DagModelOperation.add_asset_trigger_references compares them.
        compare = AirbyteSyncEventTrigger.hash
        assert compare(in_dag["classpath"], in_dag["kwargs"]) == compare(
            stored.classpath, stored.kwargs
        )
