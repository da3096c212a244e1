"""
Connections: what is declared, compared with what is there.

Nothing here reads or writes. After a write, :func:`plan_connection` with what was read back tells
what Airbyte accepted and did not store: the changes that are left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.api.models.connections import (
    AirbyteConnection,
    ConnectionStream,
    StreamProperties,
    Tag,
)
from airflow_provider_airbyte_sme.provisioning.declarations import (
    MAX_TAG_LENGTH,
    ConnectionDeclaration,
)
from airflow_provider_airbyte_sme.provisioning.errors import (
    AirbyteDeclarationError,
    AirbyteImmutableFieldError,
    AirbyteStateLossError,
)
from airflow_provider_airbyte_sme.provisioning.results import FieldChange, Plan
from airflow_provider_airbyte_sme.provisioning.schedules import (
    same_schedule,
    schedule_payload,
    schedule_problems,
    schedule_text,
)
from airflow_provider_airbyte_sme.provisioning.stream_rules import declared_problems
from airflow_provider_airbyte_sme.provisioning.streams import (
    StreamsPlan,
    declared_secrets,
    plan_streams,
)

# docs/airbyte-api.md §4.3.9; a connection is deleted or locked by other means than its status.
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "status": ("active", "inactive"),
    "schema_changes": ("ignore", "disable_connection", "propagate_columns", "propagate_fully"),
    "namespace_definition": ("source", "destination", "custom_format"),
}
# Their names in Airbyte's format: docs/airbyte-api.md §4.3.6.
_TEXTS: Mapping[str, str] = {
    "name": "name",
    "namespace_definition": "namespaceDefinition",
    "namespace_format": "namespaceFormat",
    "prefix": "prefix",
    "status": "status",
    "schema_changes": "nonBreakingSchemaUpdatesBehavior",
}
# What a response that lacks the field means: docs/airbyte-api.md §4.3.6.
_DEFAULTS: Mapping[str, str] = {"schema_changes": "ignore"}
_CUSTOM = "custom_format"


class _Difference(NamedTuple):
    """A setting that differs, its name in Airbyte's format, and what to send."""

    change: FieldChange
    name: str
    value: Any


def validate_connection(declaration: ConnectionDeclaration) -> None:
    """
    Check all that is known without Airbyte.

    :raises AirbyteDeclarationError: It is invalid; with every problem.
    """
    problems = [*_setting_problems(declaration)]
    if declaration.schedule is not None:
        problems += schedule_problems(declaration.schedule)
    if declaration.tags is not None:
        problems += _tag_problems(declaration.tags)
    if declaration.streams != "all":
        problems += declared_problems(declaration.streams)
    _refuse(declaration, problems)


def needs_offered_streams(
    declaration: ConnectionDeclaration,
    actual: AirbyteConnection | None,
    *,
    changed_mapper_keys: Collection[str] = (),
) -> bool:
    """
    Whether a plan needs to know what the source offers.

    That is so for ``all``, and where streams are, or may be, written.

    :param actual: ``None`` if it does not exist yet.
    :param changed_mapper_keys: As for :func:`plan_connection`.
    """
    if actual is None or declaration.streams == "all":
        return True
    plan = _plan_streams(declaration, actual.streams, None, changed_mapper_keys)
    return bool(plan.changes or plan.problems)


def state_losses(
    declaration: ConnectionDeclaration,
    actual: AirbyteConnection,
    offered: Sequence[StreamProperties] | None = None,
) -> tuple[str, ...]:
    """
    Return the streams whose state would be deleted, if they have one.

    A stream loses its state when it changes between full refresh and incremental:
    docs/airbyte-api.md §4.3.19.
    """
    losses = _plan_streams(declaration, actual.streams, offered).losses
    return tuple(loss.stream for loss in losses)


def mapper_secrets(declaration: ConnectionDeclaration) -> Mapping[str, str]:
    """
    Return the declared secrets of mappers by their path.

    Such a path is ``streams.public.orders.mappers.0.mapperConfiguration.key``. A key that is the
    mask is left out: it keeps the stored one.
    """
    return declared_secrets(declaration.streams)


def plan_connection(
    declaration: ConnectionDeclaration,
    actual: AirbyteConnection,
    offered: Sequence[StreamProperties] | None,
    tags: Mapping[str, Tag],
    *,
    changed_mapper_keys: Collection[str] = (),
) -> Plan:
    """
    Return how a connection has to change.

    Only declared settings are compared. Streams, selected fields and tags that are not declared
    stay, unless the declaration is exact; but an empty list declares that there is none.

    :param declaration: A valid one: :func:`validate_connection`.
    :param offered: What the source offers; ``None`` if :func:`needs_offered_streams` is false.
    :param tags: All tags of the workspace by name. One that is missing is a change, and not sent.
    :param changed_mapper_keys: Paths of :func:`mapper_secrets` to write, because nobody can see
        whether they differ from the stored ones.
    :raises AirbyteImmutableFieldError: Its source or destination is another one.
    :raises AirbyteDeclarationError: The source does not offer what is declared; every problem.
    :raises AirbyteStateLossError: It would delete the state of streams, and that is not allowed.
    """
    _check_immutable(declaration, actual)
    streams = _plan_streams(declaration, actual.streams, offered, changed_mapper_keys)
    _refuse(declaration, streams.problems)
    _check_state(declaration, actual, streams)
    differences = [
        *_text_differences(declaration, actual),
        *_schedule_differences(declaration, actual),
        *_tag_differences(declaration, actual.tags, tags),
    ]
    return Plan(
        changes=(*(each.change for each in differences), *streams.changes),
        payload=_payload(differences, streams),
        secrets=streams.secrets,
        not_compared=(*_not_compared(declaration, actual), *streams.not_compared),
    )


def plan_connection_creation(
    declaration: ConnectionDeclaration,
    offered: Sequence[StreamProperties] | None,
    tags: Mapping[str, Tag],
) -> Plan:
    """
    Return what to send to create a connection.

    With ``all``, no stream has a sync mode: Airbyte stores ``full_refresh_overwrite``.

    :param offered: ``None``: unknown, as in a plan before the source exists.
    :param tags: As for :func:`plan_connection`.
    :raises AirbyteDeclarationError: The source does not offer what is declared; every problem.
    """
    streams = _plan_streams(declaration, (), offered)
    problems = list(streams.problems)
    if offered is not None and not streams.streams:
        problems.append("streams: the source offers none, so nothing would be synced")
    _refuse(declaration, problems)
    differences = [
        *_text_differences(declaration, None),
        *_schedule_differences(declaration, None),
        *_tag_differences(declaration, (), tags),
    ]
    ids = {"sourceId": declaration.source_id, "destinationId": declaration.destination_id}
    return Plan(
        changes=(*(each.change for each in differences), *streams.changes),
        payload={**ids, **_payload(differences, streams)},
        secrets=streams.secrets,
    )


def _refuse(declaration: ConnectionDeclaration, problems: Sequence[str]) -> None:
    if problems:
        raise AirbyteDeclarationError(f"connection {declaration.name!r}", problems)


def _setting_problems(declaration: ConnectionDeclaration) -> Iterator[str]:
    if not declaration.name.strip():
        yield "name: empty"
    for field, choices in _CHOICES.items():
        value = getattr(declaration, field)
        if value is not None and value not in choices:
            yield f"{field}: {value!r} is not one of {', '.join(choices)}"
    is_custom = declaration.namespace_definition == _CUSTOM
    if is_custom and not declaration.namespace_format:
        yield "namespace_format: custom_format needs one, such as ${SOURCE_NAMESPACE}_raw"
    if declaration.namespace_format is not None and not is_custom:
        yield "namespace_format: it counts only with namespace_definition: custom_format"


def _tag_problems(names: Sequence[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"tags: {name!r} declared {count} times"
        if not name.strip():
            yield "tags: a name is empty"
        if len(name) > MAX_TAG_LENGTH:
            yield f"tags: {name!r} has {len(name)} characters; Airbyte allows {MAX_TAG_LENGTH}"


def _plan_streams(
    declaration: ConnectionDeclaration,
    actual: Sequence[ConnectionStream],
    offered: Sequence[StreamProperties] | None,
    changed_keys: Collection[str] = (),
) -> StreamsPlan:
    return plan_streams(
        declaration.streams, actual, offered, exact=declaration.exact, changed_keys=changed_keys
    )


def _check_immutable(declaration: ConnectionDeclaration, actual: AirbyteConnection) -> None:
    for field in ("source_id", "destination_id"):
        declared, stored = getattr(declaration, field), getattr(actual, field)
        if declared.lower() != stored.lower():
            raise AirbyteImmutableFieldError(
                f"connection {actual}: {field} is {stored}, and {declared} is declared. Airbyte "
                "cannot change it: declare the stored one, give the new connection another name, "
                "or delete this one first"
            )


def _check_state(
    declaration: ConnectionDeclaration, actual: AirbyteConnection, streams: StreamsPlan
) -> None:
    if streams.losses and not declaration.allow_state_loss:
        raise AirbyteStateLossError(
            f"connection {actual}: the declared sync modes would delete the state of "
            f"{', '.join(map(str, streams.losses))}, so that the next sync reads everything again. "
            "Set allow_state_loss=True to change them, or declare the present sync modes"
        )


def _text_differences(
    declaration: ConnectionDeclaration, actual: AirbyteConnection | None
) -> Iterator[_Difference]:
    for field, name in _TEXTS.items():
        declared = getattr(declaration, field)
        before = _text(actual, field) if actual else None
        if declared is not None and declared != before:
            yield _Difference(FieldChange(field, before or None, declared), name, declared)


def _text(actual: AirbyteConnection, field: str) -> str:
    return getattr(actual, field) or _DEFAULTS.get(field, "")


def _schedule_differences(
    declaration: ConnectionDeclaration, actual: AirbyteConnection | None
) -> Iterator[_Difference]:
    declared = declaration.schedule
    if declared is None or (actual and same_schedule(declared, actual.schedule)):
        return
    before = schedule_text(actual.schedule) if actual else None
    yield _Difference(
        FieldChange("schedule", before, declared), "schedule", schedule_payload(declared)
    )


def _tag_differences(
    declaration: ConnectionDeclaration, actual: Sequence[Tag], tags: Mapping[str, Tag]
) -> Iterator[_Difference]:
    if declaration.tags is None:
        return
    before = {tag.name: tag for tag in actual}
    # An empty list declares that there is no tag.
    kept = {} if declaration.exact or not declaration.tags else before
    after = {*kept, *declaration.tags}
    if after != set(before):
        known = {**tags, **before}
        yield _Difference(
            FieldChange("tags", sorted(before), sorted(after)),
            "tags",
            [known[name].to_json() for name in sorted(after) if name in known],
        )


def _payload(differences: Sequence[_Difference], streams: StreamsPlan) -> dict[str, Any]:
    payload = {each.name: each.value for each in differences}
    if streams.changes:
        payload["configurations"] = {"streams": list(streams.streams)}
    return payload


def _not_compared(declaration: ConnectionDeclaration, actual: AirbyteConnection) -> Iterator[str]:
    for field in (*_TEXTS, "schedule", "tags"):
        is_moot = field == "namespace_format" and actual.namespace_definition != _CUSTOM
        if getattr(declaration, field) is None and getattr(actual, field) and not is_moot:
            yield field
    if declaration.tags and not declaration.exact:
        yield from (f"tags.{tag.name}" for tag in actual.tags if tag.name not in declaration.tags)
