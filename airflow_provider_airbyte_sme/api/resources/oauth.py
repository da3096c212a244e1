"""The OAuth operations. A self-managed Airbyte responds to most of them that it has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from airflow_provider_airbyte_sme.api.models import ActorKind
from airflow_provider_airbyte_sme.api.models.fields import mapping
from airflow_provider_airbyte_sme.api.resources.base import delete
from airflow_provider_airbyte_sme.api.session import AirbyteSession

Owner = Literal["workspaces", "organizations"]


class OAuth:
    """
    Consent flows, and credentials that override Airbyte's own: docs/airbyte-api.md §5.6.

    :param session: Sends the requests.
    """

    def __init__(self, session: AirbyteSession) -> None:
        self._session = session

    async def initiate(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        Begin a consent flow for a source, which only Airbyte Cloud offers.

        :param payload: ``redirectUrl``, ``workspaceId`` and ``sourceType`` at least.
        :return: What Airbyte sends: the URL where a person consents.
        :raises AirbyteNotOfferedError: The Airbyte is self-managed.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        url = self._session.settings.urls.public_url("sources", "initiateOAuth")
        response = await self._session.request("POST", url, payload=payload)
        return response.decode(lambda body: mapping(body, "the response"))

    async def replace_workspace_credentials(
        self, workspace_id: str, payload: Mapping[str, Any]
    ) -> None:
        """
        Set the client id and secret that a connector uses in a workspace (PUT).

        :param payload: ``actorType``, ``name`` and ``configuration``.
        :raises AirbyteNotOfferedError: The Airbyte is self-managed.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._replace("workspaces", workspace_id, payload)

    async def delete_workspace_credentials(
        self, workspace_id: str, actor_type: ActorKind, name: str
    ) -> None:
        """
        Delete the client id and secret that a connector uses in a workspace.

        :param name: Name of the connector, such as ``google-ads``.
        :raises AirbyteNotOfferedError: The Airbyte is self-managed.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._delete("workspaces", workspace_id, actor_type, name)

    async def replace_organization_credentials(
        self, organization_id: str, payload: Mapping[str, Any]
    ) -> None:
        """
        Set the client id and secret that a connector uses in an organization (PUT).

        :param payload: ``actorType``, ``name`` and ``configuration``.
        :raises AirbyteLicenseError: The licence does not include Airbyte Embedded.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._replace("organizations", organization_id, payload)

    async def delete_organization_credentials(
        self, organization_id: str, actor_type: ActorKind, name: str
    ) -> None:
        """
        Delete the client id and secret that a connector uses in an organization.

        :param name: Name of the connector, such as ``google-ads``.
        :raises AirbyteLicenseError: The licence does not include Airbyte Embedded.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._delete("organizations", organization_id, actor_type, name)

    async def _replace(self, owner: Owner, owner_id: str, payload: Mapping[str, Any]) -> None:
        url = self._session.settings.urls.public_url(owner, owner_id, "oauthCredentials")
        await self._session.request("PUT", url, payload=payload)

    async def _delete(self, owner: Owner, owner_id: str, actor_type: str, name: str) -> None:
        urls = self._session.settings.urls
        url = urls.public_url(owner, owner_id, "oauthCredentials", actor_type, name)
        await delete(self._session, url)
