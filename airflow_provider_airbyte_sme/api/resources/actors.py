"""Airbyte's sources and destinations, which it calls actors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from airflow_provider_airbyte_sme.api.models import (
    Actor,
    ConnectionCheck,
    ConnectorSpecification,
    Destination,
    Source,
)
from airflow_provider_airbyte_sme.api.resources.base import (
    CASCADE_TIMEOUT,
    CONNECTOR_TIMEOUT,
    Resource,
    flag,
    listed,
    only_named,
)

A = TypeVar("A", bound=Actor)


class Actors(Resource[A]):
    """
    ``/sources`` or ``/destinations``: docs/airbyte-api.md §4.2.

    Only the connector's specification says which fields of a configuration are secret. Whoever
    has read it passes their values as *secrets*, so that no message contains them.
    """

    delete_timeout: ClassVar[float] = CASCADE_TIMEOUT

    async def list(
        self, *, workspace_ids: Sequence[str] = (), include_deleted: bool = False
    ) -> list[A]:
        """
        Read all of them that the caller may see.

        :param workspace_ids: Only those of these workspaces.
        :param include_deleted: Whether to include deleted ones, which have no configuration.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unordered(
            {"workspaceIds": listed(workspace_ids), "includeDeleted": flag(include_deleted)}
        )

    async def find_by_name(self, workspace_id: str, name: str) -> A | None:
        """
        Return the one of a workspace with this name; ``None`` if there is none.

        :raises AirbyteAmbiguousNameError: Several have it: their names are not unique.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        actors = await self.list(workspace_ids=[workspace_id])
        return only_named(self.kind, actors, name, workspace_id=workspace_id)

    async def get(
        self,
        actor_id: str | int,
        *,
        include_secret_coordinates: bool = False,
        timeout: float | None = None,
    ) -> A:
        """
        Read one, a deleted one too.

        :param actor_id: UUID of the source or destination.
        :param include_secret_coordinates: Whether each secret is replaced by its place in the
            secret store, with its version, instead of by asterisks.
        :param timeout: Seconds after which nothing is retried; ``None`` for no limit but
            the policy's.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        query = {"includeSecretCoordinates": flag(include_secret_coordinates)}
        return await self._get(actor_id, query=query, deadline=self._deadline(timeout))

    async def create(self, payload: Mapping[str, Any], *, secrets: Iterable[str] = ()) -> A:
        """
        Create one. Airbyte checks the configuration against the specification, nothing else.

        :param payload: Its fields; without ``definitionId``, Airbyte looks for the connector's name
            in the configuration (docs/airbyte-api.md §4.2.11).
        :param secrets: Values in *payload* that no message may contain.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write("POST", payload=payload, secrets=secrets)

    async def update(
        self, actor_id: str, payload: Mapping[str, Any], *, secrets: Iterable[str] = ()
    ) -> A:
        """
        Change some fields (PATCH). The configuration is merged: docs/airbyte-api.md §4.2.19.

        A masked secret would be stored as the secret, and a missing ``resourceAllocation`` is
        cleared.

        :param payload: The fields to change.
        :param secrets: Values in *payload* that no message may contain.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write("PATCH", actor_id, payload=payload, secrets=secrets)

    async def replace(
        self, actor_id: str, payload: Mapping[str, Any], *, secrets: Iterable[str] = ()
    ) -> A:
        """
        Replace name, configuration and resources (PUT). What is left out is gone.

        :param payload: ``name``, the whole ``configuration`` with its secrets, and
            ``resourceAllocation``.
        :param secrets: Values in *payload* that no message may contain.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write("PUT", actor_id, payload=payload, secrets=secrets)

    async def read_specification(
        self, definition_id: str, workspace_id: str
    ) -> ConnectorSpecification:
        """
        Read what a connector wants to know, and what of it is secret.

        :param definition_id: UUID of the connector's definition.
        :param workspace_id: A workspace that may use it.
        :raises AirbyteConfigApiError: The config API, which this needs, is not to be had.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        response = await self._config_request(
            f"{self.kind}_definition_specifications",
            "get",
            purpose="The specification of a connector",
            payload={f"{self.kind}DefinitionId": definition_id, "workspaceId": workspace_id},
            replayable=True,
        )
        return response.decode(ConnectorSpecification.from_json)

    async def check(self, actor_id: str) -> ConnectionCheck:
        """
        Let the connector try to reach its system, which takes up to minutes.

        :param actor_id: UUID of the source or destination.
        :raises AirbyteConfigApiError: The config API, which this needs, is not to be had.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._check("check_connection", {f"{self.kind}Id": actor_id})

    async def check_update(
        self,
        actor_id: str,
        name: str,
        configuration: Mapping[str, Any],
        *,
        secrets: Iterable[str] = (),
    ) -> ConnectionCheck:
        """
        Let the connector try to reach its system with a configuration that is not stored.

        :param actor_id: UUID of the source or destination.
        :param name: Its name.
        :param configuration: The whole configuration; a masked secret counts as the stored one.
        :param secrets: Values in *configuration* that no message may contain.
        :raises AirbyteConfigApiError: The config API, which this needs, is not to be had.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        payload = {
            f"{self.kind}Id": actor_id,
            "name": name,
            "connectionConfiguration": configuration,
        }
        return await self._check("check_connection_for_update", payload, secrets)

    async def _check(
        self, operation: str, payload: Mapping[str, Any], secrets: Iterable[str] = ()
    ) -> ConnectionCheck:
        response = await self._config_request(
            self.path,
            operation,
            purpose="A connection check",
            payload=payload,
            replayable=True,
            timeout=CONNECTOR_TIMEOUT,
            secrets=secrets,
        )
        # A connector likes to quote the configuration that does not work.
        known = response.request.secrets
        return response.decode(lambda payload: ConnectionCheck.from_json(payload, known))


class Sources(Actors[Source]):
    """``/sources``: docs/airbyte-api.md §4.2."""

    path = "sources"
    kind = "source"
    model = Source


class Destinations(Actors[Destination]):
    """``/destinations``: docs/airbyte-api.md §4.2."""

    path = "destinations"
    kind = "destination"
    model = Destination
