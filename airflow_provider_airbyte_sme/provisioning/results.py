"""What was done, or would be done, to a resource, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, NamedTuple

ResourceKind = Literal["workspace", "source", "destination", "connection", "tag"]

# Airbyte's own mask: docs/airbyte-api.md §4.2.
MASK = "**********"


class Action(StrEnum):
    """What happens to a resource."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    ABSENT = "absent"
    """It should be deleted, and is not there."""
    WOULD_CREATE = "would_create"
    WOULD_UPDATE = "would_update"
    WOULD_DELETE = "would_delete"

    @property
    def writes(self) -> bool:
        """Whether something is, or would be, written."""
        return self not in (Action.UNCHANGED, Action.ABSENT)

    def planned(self) -> Action:
        """Return what ``dry_run`` reports instead of this action."""
        return _PLANNED.get(self, self)


_PLANNED = {
    Action.CREATED: Action.WOULD_CREATE,
    Action.UPDATED: Action.WOULD_UPDATE,
    Action.DELETED: Action.WOULD_DELETE,
}


class FieldChange(NamedTuple):
    """
    One declared field that differs from the actual one.

    :param field: Such as ``configuration.host`` or ``streams.public.orders.sync_mode``.
    :param before: The actual value, as plain JSON; ``None`` if there is none. A secret is masked.
    :param after: The declared value, likewise.
    """

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.field}: declared {self.after!r} → actual {self.before!r}"


class ResourceResult(NamedTuple):
    """
    The result for one resource.

    :param resource_id: Its UUID; empty if it does not exist yet (``would_create``).
    :param not_compared: The fields and streams that it has and the declaration does not.
    :param notes: Sentences for the log, such as that a duplicate was deleted.
    """

    kind: ResourceKind
    action: Action
    resource_id: str
    name: str
    changes: tuple[FieldChange, ...] = ()
    not_compared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values: the result of a task, and an entry of a plan."""
        return {
            "action": str(self.action),
            f"{self.kind}_id": self.resource_id,
            "name": self.name,
            "changes": [change._asdict() for change in self.changes],
            "not_compared": list(self.not_compared),
        }

    def __str__(self) -> str:
        subject = f"{self.kind} {self.name!r}"
        if self.resource_id:
            subject += f" ({self.resource_id})"
        return f"{subject}: {self.action.replace('_', ' ')}"


class Plan(NamedTuple):
    """
    How one resource has to change.

    :param changes: Empty: nothing to write.
    :param payload: What to send, in Airbyte's own format.
    :param replaces: Whether to send it with PUT, as the whole configuration, instead of PATCH.
    :param secrets: The secret values in *payload*, which no message may contain.
    :param not_compared: As in :class:`ResourceResult`.
    :param notes: As in :class:`ResourceResult`.
    """

    changes: tuple[FieldChange, ...] = ()
    payload: dict[str, Any] = {}  # noqa: RUF012  # never changed
    replaces: bool = False
    secrets: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        fields = ", ".join(change.field for change in self.changes)
        return f"{type(self).__name__}({fields})"
