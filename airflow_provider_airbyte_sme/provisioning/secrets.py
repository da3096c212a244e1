"""
What is known about the secrets of a resource, without the secrets themselves.

Airbyte never returns a secret, so a change of a declared one is known by a fingerprint of what was
last written, and a change by somebody else by the version in the coordinate of the stored one
(docs/airbyte-api.md §4.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """
    What was last written to one resource. Keys are paths, such as ``tunnel_method.ssh_key``.

    :param fingerprints: A keyed fingerprint of each secret. Nobody can get the secret from it.
    :param coordinates: Where Airbyte stored each secret, with its version; empty if unreadable.
    """

    fingerprints: Mapping[str, str] = field(default_factory=dict)
    coordinates: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """Parse what :meth:`to_json` returned; empty if it is something else."""
        fields = payload if isinstance(payload, Mapping) else {}
        return cls(_texts(fields.get("fingerprints")), _texts(fields.get("coordinates")))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"fingerprints": dict(self.fingerprints), "coordinates": dict(self.coordinates)}


class SecretStore(Protocol):
    """Keeps the record of each resource between two runs."""

    def read(self, resource_id: str) -> SecretRecord:
        """Return the record of a resource; an empty one if there is none."""
        ...

    def write(self, resource_id: str, record: SecretRecord) -> None:
        """Replace the record of a resource."""
        ...

    def delete(self, resource_id: str) -> None:
        """Forget a resource."""
        ...


class MemoryStore:
    """A :class:`SecretStore` that lasts as long as the process, for tests and the command line."""

    def __init__(self) -> None:
        self._records: dict[str, SecretRecord] = {}

    def read(self, resource_id: str) -> SecretRecord:
        """Return the record of a resource; an empty one if there is none."""
        return self._records.get(resource_id, SecretRecord())

    def write(self, resource_id: str, record: SecretRecord) -> None:
        """Replace the record of a resource."""
        self._records[resource_id] = record

    def delete(self, resource_id: str) -> None:
        """Forget a resource."""
        self._records.pop(resource_id, None)


def _texts(value: Any) -> Mapping[str, str]:
    fields = value if isinstance(value, Mapping) else {}
    return {str(name): text for name, text in fields.items() if isinstance(text, str)}
