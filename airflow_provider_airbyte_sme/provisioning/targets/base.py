"""What every target has in common: how it is found, and what the loop asks of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError
from airflow_provider_airbyte_sme.api.resources.base import N
from airflow_provider_airbyte_sme.provisioning.declarations import UpdateSecrets
from airflow_provider_airbyte_sme.provisioning.fingerprints import (
    Fingerprints,
    SecretVerdict,
    judge_secrets,
    record_of,
)
from airflow_provider_airbyte_sme.provisioning.inventory import Inventory
from airflow_provider_airbyte_sme.provisioning.results import Plan, ResourceKind
from airflow_provider_airbyte_sme.provisioning.secrets import SecretStore


@dataclass(frozen=True, slots=True)
class Context:
    """
    What every target of a run needs.

    :param dry_run: Whether nothing may be written, nor any connector run.
    :param hide: Called with secret values before they are used, so that logs can mask them.
    """

    inventory: Inventory
    store: SecretStore
    fingerprints: Fingerprints
    dry_run: bool
    hide: Callable[[Iterable[str]], None]

    def judge(
        self,
        resource_id: str,
        declared: Mapping[str, Any],
        coordinates: Mapping[str, str],
        policy: UpdateSecrets,
    ) -> dict[str, SecretVerdict]:
        """Return for each declared secret of a resource whether to write it."""
        return judge_secrets(
            declared,
            self.store.read(resource_id),
            coordinates,
            policy=policy,
            fingerprints=self.fingerprints,
            resource_id=resource_id,
        )

    def note(
        self, resource_id: str, written: Mapping[str, Any], coordinates: Mapping[str, str]
    ) -> None:
        """Remember secrets that were written to a resource."""
        previous = self.store.read(resource_id)
        record = record_of(written, coordinates, self.fingerprints, resource_id, previous)
        self.store.write(resource_id, record)


class Target(ABC, Generic[N]):
    """
    One declared resource. It is found by its name, or by its id if the declaration pins it.

    Every method that reads or writes may raise an ``AirbyteError``.

    :param name: As declared.
    :param pinned_id: UUID; empty to find it by its name.
    """

    kind: ResourceKind

    def __init__(self, context: Context, name: str, pinned_id: str = "") -> None:
        self._context = context
        self.name = name
        self._pinned_id = pinned_id

    async def find_all(self, *, fresh: bool) -> list[N]:
        """
        Return every resource that the declaration may mean.

        :param fresh: Whether to read the list again, although it was read before.
        """
        resources = await self._list(fresh=fresh)
        if not self._pinned_id:
            return [each for each in resources if each.name == self.name]
        found = [each for each in resources if each.id == self._pinned_id]
        if not found:
            raise AirbyteConfigError(
                f"Airbyte has no {self.kind} {self._pinned_id}, which is to be {self.name!r}: "
                f"correct its id, or leave it out to find it by its name."
            )
        return found

    def created_at(self, actual: N) -> int:
        """Return when it was created, in seconds; 0 where Airbyte does not tell."""
        return 0

    @abstractmethod
    async def plan_creation(self) -> Plan:
        """Return what to send to create it."""

    @abstractmethod
    async def plan(self, actual: N) -> Plan:
        """Return what to send so that *actual* becomes what is declared."""

    @abstractmethod
    async def create(self, plan: Plan) -> N:
        """Create it, with one request."""

    @abstractmethod
    async def update(self, actual: N, plan: Plan) -> N:
        """Change it, with one request."""

    @abstractmethod
    async def read(self, actual: N) -> N:
        """Read it again."""

    async def note_written(self, actual: N, plan: Plan) -> None:
        """Remember the secrets in *plan*, which Airbyte has confirmed."""

    @abstractmethod
    async def delete(self, actual: N) -> None:
        """Delete a duplicate that this run created."""

    @abstractmethod
    async def _list(self, *, fresh: bool) -> Sequence[N]:
        """Return all resources of this kind."""
