"""Calls about Airbyte itself, which need no token."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.errors import AirbyteError, excerpt
from airflow_provider_airbyte_sme.api.models import Instance
from airflow_provider_airbyte_sme.api.retry import http_date
from airflow_provider_airbyte_sme.api.session import AirbyteSession

# docs/airbyte-api.md §1.1.2
_HEALTHY = "Successful operation"

log = logging.getLogger(__name__)


class Health(NamedTuple):
    """
    A good response to the request for health.

    :param server_time: The clock of the server or of a proxy (``Date``), UTC; ``None`` if it was
        not sent.
    :param is_airbytes: Whether the body is that of Airbyte.
    :param text: The beginning of the body, in one line and without secrets.
    """

    server_time: datetime | None
    is_airbytes: bool
    text: str


class System:
    """
    Health and version: docs/airbyte-api.md §1.1.

    :param session: Sends the requests.
    """

    def __init__(self, session: AirbyteSession) -> None:
        self._session = session

    async def check_health(self) -> datetime | None:
        """
        Check that a healthy Airbyte responds.

        :return: The clock of the server or of a proxy (``Date``), UTC; ``None`` if it was not sent.
        :raises AirbyteDecodeError: Something else responds: the URL is wrong.
        :raises AirbyteError: Airbyte is unreachable or not healthy.
        """
        return (await self.read_health()).server_time

    async def read_health(self) -> Health:
        """
        Do the same, and return what the response says.

        A body that is not Airbyte's raises nothing, unless it is an HTML page: the next release
        may have another one.
        """
        url = self._session.settings.urls.public_url("health")
        # The body is not decoded: a healthy Airbyte responds with plain text, not with JSON.
        response = await self._session.request("GET", url, authenticated=False)
        text = response.http.body.decode("utf-8", "replace")
        return Health(
            http_date(response.http.headers.get("date", "")),
            text.strip().strip('"') == _HEALTHY,
            excerpt(text, response.request.secrets),
        )

    async def get_instance(self) -> Instance:
        """Read edition and version. What Airbyte does not report stays ``None``."""
        try:
            return await self.read_instance()
        except AirbyteError as error:
            log.info("Airbyte does not report its version: %s", error)
            return Instance()

    async def read_instance(self, *, timeout: float | None = None) -> Instance:
        """
        Read edition and version, or tell why Airbyte does not report them.

        :param timeout: Seconds for all attempts together; ``None`` for the connection's limits.
        :raises AirbyteConfigApiError: The config API is off.
        :raises AirbyteError: Airbyte is unreachable, or the config API is closed.
        """
        settings = self._session.settings
        if settings.urls.config is None:
            return Instance(edition="Cloud")
        url = settings.config_api_url("instance_configuration", purpose="Reading the version")
        deadline = None if timeout is None else self._session.clock() + timeout
        response = await self._session.request("GET", url, authenticated=False, deadline=deadline)
        return response.decode(Instance.from_json)
