"""The settings of the emulated server, which do not change while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from airflow_provider_airbyte_sme.emulator.access import AuthMode
from airflow_provider_airbyte_sme.emulator.jobs import RetryPolicy


@dataclass(frozen=True)
class Settings:
    """
    The settings of one emulated server.

    :param version: 2.0 and older behave differently: ``docs/airbyte-api.md`` §9.2.
    :param airbyte_url: The server's own base URL, without a trailing slash, used in links and
        tokens. ``None``: the address that each request was sent to.
    :param token_lifetime: How long an access token is valid, in seconds.
    :param sync_duration: How long a sync runs, in seconds.
    :param rows: Number of records that a sync commits.
    :param shortest_schedule: Shortest time between two runs of a schedule that the licence allows,
        in minutes: 60, 15, or 1, which is also what the server allows by default (§4.5).
    """

    auth_mode: AuthMode = "oidc"
    edition: Literal["community", "pro", "enterprise", "trial"] = "enterprise"
    version: str = "2.1.0"
    airbyte_url: str | None = None
    token_lifetime: float = 900.0
    sync_duration: float = 5.0
    rows: int = 100
    shortest_schedule: Literal[1, 15, 60] = 1
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)

    @property
    def is_legacy(self) -> bool:
        """Whether the version is 2.0 or older; a version without numbers counts as new."""
        numbers = [int(part) for part in self.version.split(".")[:2] if part.isdecimal()]
        return bool(numbers) and numbers <= [2, 0]
