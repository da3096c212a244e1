"""The checks of a connection to Airbyte, step by step, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from airflow_provider_airbyte_sme.api.client import AirbyteClient
from airflow_provider_airbyte_sme.api.errors import AirbyteError, AirbyteTransportError
from airflow_provider_airbyte_sme.api.models import Instance, Workspace
from airflow_provider_airbyte_sme.api.network import UNVERIFIED


class Step(StrEnum):
    """The steps, in their order."""

    REACH = "reach Airbyte"
    AUTHENTICATE = "request a token"
    LIST_WORKSPACES = "list workspaces"


_FAILURES = {
    Step.REACH: "The Airbyte URL does not lead to a working Airbyte",
    Step.AUTHENTICATE: "Airbyte issued no token for this Client ID and Client secret",
    Step.LIST_WORKSPACES: "The workspaces cannot be listed",
}


@dataclass(frozen=True, slots=True)
class Check:
    """
    The result of one step.

    :param error: What failed; ``None`` if the step passed.
    """

    step: Step
    error: AirbyteError | None = None

    @property
    def message(self) -> str:
        """What failed, what came back, and what to change; empty if the step passed."""
        if self.error is None:
            return ""
        if isinstance(self.error, AirbyteTransportError):
            return f"Airbyte cannot be reached. {self.error}"
        return f"{_FAILURES[self.step]}. {self.error}"


@dataclass(frozen=True, slots=True)
class Report:
    """
    The results of all steps, up to the first that failed.

    :param instance: Edition and version; empty if a step failed.
    :param workspaces: All that the caller may see; empty if a step failed.
    :param warnings: Sentences about what works but should be looked at.
    """

    checks: tuple[Check, ...]
    instance: Instance = field(default_factory=Instance)
    workspaces: tuple[Workspace, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def failed(self) -> Check | None:
        """The step that failed; ``None`` if all passed."""
        last = self.checks[-1]
        return last if last.error else None


async def run_checks(client: AirbyteClient) -> Report:
    """Check step by step whether *client* can work with its Airbyte."""
    step = Step.REACH
    try:
        await client.system.check_health()
        step = Step.AUTHENTICATE
        await client.authenticate()
        step = Step.LIST_WORKSPACES
        workspaces = await client.workspaces.list()
    except AirbyteError as error:
        steps = list(Step)
        passed = steps[: steps.index(step)]
        return Report((*map(Check, passed), Check(step, error)))
    warnings = []
    if not workspaces:
        warnings.append("The user who owns the application has no role in any workspace.")
    if client.settings.urls.public.startswith("http://"):
        warnings.append("The connection is not encrypted: use https outside a private network.")
    elif not client.settings.verify_tls:
        warnings.append(UNVERIFIED)
    return Report(
        tuple(map(Check, Step)),
        instance=await client.system.get_instance(),
        workspaces=tuple(workspaces),
        warnings=tuple(warnings),
    )
