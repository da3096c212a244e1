from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_airbyte_sme.api import AirbyteClient, run_blocking
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.provisioning.deletion import Reference
from airflow_provider_airbyte_sme.provisioning.fingerprints import Fingerprints
from airflow_provider_airbyte_sme.provisioning.parsing import parse_pipeline
from airflow_provider_airbyte_sme.provisioning.provisioner import Provisioner
from airflow_provider_airbyte_sme.provisioning.results import ResourceResult
from airflow_provider_airbyte_sme.provisioning.secrets import MemoryStore
from tests.unit.api.doubles import Wire, client_for
from tests.unit.provisioning.pipelines import pipeline

READS = frozenset(
    {
        "/applications/token",
        "_definition_specifications/get",
        "/state/get",
        "/web_backend/connections/get",
    }
)


class World:
    """
    An emulator in memory, with one user who applies declarations.

    :ivar store: What the user's runs remember.
    :ivar hidden: Every secret that a run wanted to have masked.
    """

    def __init__(self) -> None:
        self.emulator = Emulator(time="manual")
        self.wire = Wire(self.emulator)
        self.client: AirbyteClient = client_for(self.emulator, self.wire)
        self.store = MemoryStore()
        self.hidden: set[str] = set()

    def provisioner(self, *, dry_run: bool = False) -> Provisioner:
        def hide(secrets: Iterable[str]) -> None:
            self.hidden.update(secrets)

        return Provisioner(
            self.client,
            store=self.store,
            fingerprints=Fingerprints(b"a key", cost=2),
            dry_run=dry_run,
            hide=hide,
        )

    def apply(self, document: Any, *, dry_run: bool = False) -> list[ResourceResult]:
        return run_blocking(self.provisioner(dry_run=dry_run).apply(parse_pipeline(document)))

    def delete(self, *, cascade: bool = False, dry_run: bool = False, **reference: Any) -> Any:
        provisioner = self.provisioner(dry_run=dry_run)
        return run_blocking(provisioner.delete(Reference(**reference), cascade=cascade))

    @property
    def writes(self) -> list[str]:
        """Route of every write that reached Airbyte so far."""
        return [
            str(request.route)
            for request in self.emulator.requests
            if request.method != "GET" and not request.path.endswith(tuple(READS))
        ]

    def count(self, kind: str, name: str) -> int:
        group = getattr(self.client, f"{kind}s")
        return sum(each.name == name for each in run_blocking(group.list()))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ids(world: World) -> dict[str, str]:
    """The id of each resource of a pipeline that has been applied, by its kind."""
    return {result.kind: result.resource_id for result in world.apply(pipeline())}
