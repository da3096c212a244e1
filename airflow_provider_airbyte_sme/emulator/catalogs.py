"""
The catalog of a connection in the config API: ``AirbyteCatalog``.

The public API has the same as ``StreamConfiguration`` objects: ``docs/airbyte-api.md`` §4.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_airbyte_sme.emulator.mappers import masked_mappers
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.streams import (
    SYNC_MODES,
    Stream,
    configuration_key,
    stream_configuration,
)
from airflow_provider_airbyte_sme.emulator.world import Connection

_PUBLIC_MODES = {modes: mode for mode, modes in SYNC_MODES.items()}


def selected_catalog(streams: Iterable[Stream], connection: Connection) -> dict[str, Any]:
    """
    Return the catalog of the selected streams, each with the schema of its selected fields.

    :param streams: The streams of the source; one that it no longer has is without fields.
    """
    known = {stream.key: stream for stream in streams}
    entries = []
    for configuration in connection.streams:
        stream = known.get(configuration_key(configuration)) or _vanished(configuration)
        selected = {info["fieldPath"][0] for info in configuration["selectedFields"]}
        fields = [path for path in stream.fields if not selected or path[0] in selected]
        entries.append(_entry(stream, fields, configuration, is_selected=True))
    return {"streams": entries}


def full_catalog(streams: Iterable[Stream], connection: Connection) -> dict[str, Any]:
    """Return the catalog of all *streams*, also of those that the connection does not select."""
    selected = {configuration_key(item): item for item in connection.streams}
    return {
        "streams": [
            _entry(
                stream,
                stream.fields,
                selected.get(stream.key) or stream_configuration(stream, {}),
                is_selected=stream.key in selected,
            )
            for stream in streams
        ]
    }


def requested_streams(catalog: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    Return the selected streams of a requested catalog as the public API has them.

    :raises KeyError: The two sync modes cannot be combined.
    """
    return [
        {
            "name": entry["stream"]["name"],
            "namespace": entry["stream"].get("namespace"),
            "syncMode": _PUBLIC_MODES[
                entry["config"]["syncMode"], entry["config"]["destinationSyncMode"]
            ],
            "cursorField": entry["config"].get("cursorField"),
            "primaryKey": entry["config"].get("primaryKey"),
            "selectedFields": entry["config"].get("selectedFields")
            if entry["config"].get("fieldSelectionEnabled")
            else None,
            "mappers": entry["config"].get("mappers"),
            "includeFiles": entry["config"].get("includeFiles"),
            "destinationObjectName": entry["config"].get("destinationObjectName"),
        }
        for entry in catalog["streams"]
        if entry["config"].get("selected")
    ]


def _vanished(configuration: Mapping[str, Any]) -> Stream:
    name, namespace = configuration_key(configuration)
    return Stream(name, (), namespace=namespace)


def _entry(
    stream: Stream,
    fields: Sequence[Sequence[str]],
    configuration: Mapping[str, Any],
    *,
    is_selected: bool,
) -> dict[str, Any]:
    sync_mode, destination_sync_mode = SYNC_MODES[configuration["syncMode"]]
    mappers = masked_mappers(configuration)["mappers"]
    hashed = [m["mapperConfiguration"]["targetField"] for m in mappers if m["type"] == "hashing"]
    return {
        "stream": drop_nulls(
            {
                "name": stream.name,
                "namespace": stream.namespace,
                "jsonSchema": _schema(fields, stream.types),
                "supportedSyncModes": ["full_refresh", "incremental"]
                if stream.incremental
                else ["full_refresh"],
                "sourceDefinedCursor": stream.source_defined_cursor,
                "defaultCursorField": list(stream.cursor_field),
                "sourceDefinedPrimaryKey": [list(path) for path in stream.primary_key],
            }
        ),
        "config": drop_nulls(
            {
                "syncMode": sync_mode,
                "destinationSyncMode": destination_sync_mode,
                "cursorField": configuration["cursorField"],
                "primaryKey": configuration["primaryKey"],
                "aliasName": re.sub(r"[^A-Za-z0-9_]", "_", stream.name),
                "selected": is_selected,
                "suggested": stream.suggested,
                "destinationObjectName": configuration.get("destinationObjectName"),
                "includeFiles": configuration["includeFiles"],
                "fieldSelectionEnabled": bool(configuration["selectedFields"]),
                "selectedFields": configuration["selectedFields"],
                "hashedFields": [{"fieldPath": [name]} for name in hashed],
                "mappers": mappers,
            }
        ),
    }


def _schema(fields: Iterable[Sequence[str]], types: Mapping[str, str]) -> dict[str, Any]:
    """Return a JSON schema with the *fields*, whose *types* are by their paths with dots."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    for path in fields:
        parent = schema
        for name in path:
            parent["type"] = "object"
            parent = parent.setdefault("properties", {}).setdefault(name, {})
        parent.setdefault("type", types.get(".".join(path), "string"))
    return schema
