"""
How Airbyte stores one connection, as a small model: docs/airbyte-api.md §4.3 and §4.4.

It shares no code with the package or with the emulator, so that it can prove them wrong.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from airflow_provider_airbyte_sme.api.models import AirbyteConnection
from airflow_provider_airbyte_sme.api.models.connections import StreamProperties, Tag

SOURCE_ID = "0c31738c-0b2d-4887-b506-e2cd1c39cc35"
DESTINATION_ID = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"
WORKSPACE_ID = "871d9b60-11d1-44cb-8c92-c246d53bf87e"
CONNECTION_ID = "e735894a-e773-4938-969f-45f53957b75b"
MASK = "*" * 10


class RefusedError(Exception):
    """Airbyte answers with 400."""


def tag(name: str) -> Tag:
    return Tag(f"id-of-{name}", name, "75DCFF", WORKSPACE_ID)


class ReferenceServer:
    """
    One connection, its source and its tags.

    :param offered: What the source offers, as ``GET /streams`` returns it.
    """

    def __init__(self, offered: list[StreamProperties], tags: dict[str, Tag] | None = None) -> None:
        self.offered = offered
        self.tags = tags or {}
        self.writes = 0
        self.lost_states: list[str] = []
        self.secrets: dict[str, str] = {}
        self._ids = count(1)
        self._connection: dict[str, Any] = {}

    @property
    def connection(self) -> AirbyteConnection:
        """What a GET returns."""
        return AirbyteConnection.from_json(self._connection)

    def create(self, payload: dict[str, Any]) -> None:
        defaults = {
            "connectionId": CONNECTION_ID,
            "name": "source <> destination",
            "workspaceId": WORKSPACE_ID,
            "status": "active",
            "schedule": {"scheduleType": "manual"},
            "configurations": {"streams": []},
            "namespaceDefinition": "destination",
            "nonBreakingSchemaUpdatesBehavior": "ignore",
            "tags": [],
        }
        ids = {name: payload[name] for name in ("sourceId", "destinationId")}
        self._connection = {**defaults, **ids}
        self.patch({name: value for name, value in payload.items() if name not in ids})

    def patch(self, payload: dict[str, Any]) -> None:
        stored = {**self._connection, **payload}
        requested = payload.get("configurations", {}).get("streams")
        streams = [self._rebuilt(each) for each in requested or ()]
        if len({(each["name"], each.get("namespace")) for each in streams}) < len(streams):
            raise RefusedError("Duplicate stream found in configuration")
        before = self._connection["configurations"]["streams"]
        stored["configurations"] = {"streams": streams or before}
        if "tags" in payload:
            known = {each.tag_id: each for each in self.tags.values()}
            ids = [each["tagId"] for each in payload["tags"] if each["tagId"] in known]
            stored["tags"] = [known[each].to_json() for each in reversed(ids)]
        if payload.get("schedule", {}).get("scheduleType") == "cron":
            text = payload["schedule"]["cronExpression"]
            stored["schedule"] = {"scheduleType": "cron", "cronExpression": f"{text} UTC"}
        self._lose_states(before, stored["configurations"]["streams"])
        self._connection = stored
        self.writes += 1

    def propagate(self, stream: StreamProperties, field: str) -> None:
        """Add a field to a stream, and select it where fields are selected."""
        position = self.offered.index(stream)
        self.offered[position] = stream._replace(fields=(*stream.fields, (field,)))
        identity = stream.name, stream.namespace
        for each in self._connection["configurations"]["streams"]:
            if (each["name"], each["namespace"]) == identity and each["selectedFields"]:
                each["selectedFields"].append({"fieldPath": [field]})

    def _find(self, requested: dict[str, Any]) -> StreamProperties:
        named = [each for each in self.offered if each.name == requested["name"]]
        if len(named) > 1:
            named = [each for each in named if each.namespace == requested.get("namespace")]
        if len(named) != 1:
            raise RefusedError(f"No streams found with name [{requested['name']}]")
        return named[0]

    def _rebuilt(self, requested: dict[str, Any]) -> dict[str, Any]:
        stream = self._find(requested)
        mode = requested.get("syncMode") or "full_refresh_overwrite"
        if mode not in (*stream.sync_modes, "full_refresh_overwrite_deduped"):
            raise RefusedError(f"Cannot set sync mode to {mode}")
        stored = {
            "name": stream.name,
            "namespace": stream.namespace,
            "syncMode": mode,
            "cursorField": _cursor(stream, mode, requested.get("cursorField")),
            "primaryKey": _key(stream, mode, requested.get("primaryKey")),
            "mappers": [self._mapper(each) for each in requested.get("mappers", ())],
            # A default that is not the one of whoever leaves it out.
            "includeFiles": requested.get("includeFiles", True),
            "destinationObjectName": requested.get("destinationObjectName"),
        }
        return {**stored, "selectedFields": _selected(stream, stored, requested)}

    def _mapper(self, requested: dict[str, Any]) -> dict[str, Any]:
        mapper_id = requested.get("id") or f"mapper-{next(self._ids)}"
        configuration = dict(requested["mapperConfiguration"])
        if "key" in configuration:
            if configuration["key"] == MASK:
                if mapper_id not in self.secrets:
                    raise RefusedError("secret-not-found")
            else:
                self.secrets[mapper_id] = configuration["key"]
            configuration["key"] = MASK
        return {"id": mapper_id, "type": requested["type"], "mapperConfiguration": configuration}

    def _lose_states(self, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
        modes = {(each["name"], each["namespace"]): each["syncMode"] for each in before}
        for each in after:
            mode = modes.get((each["name"], each["namespace"]), each["syncMode"])
            if mode.startswith("incremental") != each["syncMode"].startswith("incremental"):
                self.lost_states.append(".".join(filter(None, (each["namespace"], each["name"]))))


def _cursor(stream: StreamProperties, mode: str, sent: list[str] | None) -> list[str]:
    default = list(stream.default_cursor_field)
    if mode.startswith("full_refresh"):
        return default
    if stream.source_defined_cursor:
        if sent and sent != default:
            raise RefusedError("Cursor Field is already defined by source")
        return default
    if not (sent or default):
        raise RefusedError("No default cursor field")
    if sent and tuple(sent) not in stream.fields:
        raise RefusedError("Invalid cursor field")
    return sent or default


def _key(stream: StreamProperties, mode: str, sent: list[list[str]] | None) -> list[list[str]]:
    defined = [list(path) for path in stream.source_defined_primary_key]
    if mode in ("full_refresh_append", "full_refresh_overwrite"):
        return defined
    if defined:
        if sent and sent != defined:
            raise RefusedError("Primary key is already pre-defined")
        return defined
    if not sent and mode == "incremental_deduped_history":
        raise RefusedError("No default primary key")
    if any(tuple(path) not in stream.fields for path in sent or ()):
        raise RefusedError("Invalid primary key")
    return sent or []


def _selected(
    stream: StreamProperties, stored: dict[str, Any], requested: dict[str, Any]
) -> list[dict[str, Any]]:
    sent = requested.get("selectedFields")
    if sent is None:
        return []
    paths = {tuple(each["fieldPath"]) for each in sent}
    if not paths or not paths <= set(stream.fields) or len(paths) < len(sent):
        raise RefusedError("No, invalid or duplicate fields selected")
    mode = stored["syncMode"]
    needed = set()
    if "dedup" in mode:
        needed |= {tuple(path[:1]) for path in stored["primaryKey"]}
    if mode.startswith("incremental"):
        needed.add(tuple(stored["cursorField"][:1]))
    if not needed <= paths:
        raise RefusedError("Primary key or cursor are not selected properly")
    # In the order of the schema, not as they were sent.
    return [{"fieldPath": list(path)} for path in stream.fields if path in paths]
