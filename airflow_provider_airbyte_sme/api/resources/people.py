"""Organizations, users, their permissions and their applications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from airflow_provider_airbyte_sme.api.auth import Token
from airflow_provider_airbyte_sme.api.models import (
    Application,
    Organization,
    Permission,
    User,
)
from airflow_provider_airbyte_sme.api.resources.base import (
    ReadableResource,
    Resource,
    ResourceGroup,
    listed,
)


class Organizations(ResourceGroup[Organization]):
    """``/organizations``: docs/airbyte-api.md §5.4.10."""

    path = "organizations"
    kind = "organization"
    model = Organization

    async def list(self) -> list[Organization]:
        """
        Read the organizations that the caller belongs to.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unpaged({})


class Users(ResourceGroup[User]):
    """``/users``: docs/airbyte-api.md §5.4.10."""

    path = "users"
    kind = "user"
    model = User

    async def list(
        self, organization_id: str, *, ids: Sequence[str] = (), emails: Sequence[str] = ()
    ) -> list[User]:
        """
        Read the users of an organization.

        :param ids: Only those with these ids.
        :param emails: Only those with these addresses.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        query = {"organizationId": organization_id, "ids": listed(ids), "emails": listed(emails)}
        return await self._list_unpaged(query)


class Permissions(Resource[Permission]):
    """``/permissions``: docs/airbyte-api.md §5.4. To create an equal one changes nothing."""

    path = "permissions"
    kind = "permission"
    model = Permission

    async def list(
        self, *, user_id: str | None = None, organization_id: str | None = None
    ) -> list[Permission]:
        """
        Read the permissions of a user.

        :param user_id: UUID of the user; without it, the caller's own.
        :param organization_id: Where to look; needed for somebody else's.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unpaged({"userId": user_id, "organizationId": organization_id})


class Applications(ReadableResource[Application]):
    """``/applications``: docs/airbyte-api.md §5.4.11."""

    path = "applications"
    kind = "application"
    model = Application

    async def list(self) -> list[Application]:
        """
        Read the caller's own applications, with their secrets.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unpaged({}, field="applications")

    async def create(self, name: str) -> Application:
        """
        Create an application that acts as the caller. A user may have two at most.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write("POST", payload={"name": name})

    async def delete(self, application_id: str) -> None:
        """
        Delete an application: whatever signs in with it fails from then on.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._delete(application_id)

    async def create_access_token(self, client_id: str, client_secret: str) -> Token:
        """
        Request a token for an application. The client needs none for itself: it has its own.

        :raises AirbyteCredentialsError: Client id or secret are wrong.
        :raises AirbyteError: Airbyte is unreachable or rejects the request; it is not repeated.
        """
        settings = self._session.settings
        return await self._session.exchange_token(
            replace(settings, client_id=client_id, client_secret=client_secret)
        )
