"""Errors about a job. :mod:`.errors` shows their place in the tree of all errors."""

from __future__ import annotations

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.models import AttemptFailure, Job, JobDetails


class AirbyteJobError(AirbyteError):
    """
    Base class of errors about a job.

    :param message: What failed, why and what to do, in one line without secrets.
    :param job: The job as last read.
    """

    def __init__(self, message: str, *, job: Job) -> None:
        super().__init__(message)
        self.job = job


class AirbyteJobFailedError(AirbyteJobError):
    """
    The job failed.

    Why, says the first failure of its newest failed attempt (docs/airbyte-api.md §3.7.19). Airflow
    3.3's ``retry_policy`` can decide by it.

    :param details: The attempts with all their failures; ``None`` if they could not be read.
    """

    def __init__(self, message: str, *, job: Job, details: JobDetails | None = None) -> None:
        super().__init__(message, job=job)
        self.details = details

    @property
    def attempts(self) -> int | None:
        """How many attempts Airbyte made; ``None`` if unknown."""
        return None if self.details is None else len(self.details.attempts)

    @property
    def failure_origin(self) -> str:
        """Where it failed, such as ``source`` or ``destination``; empty if unknown."""
        return self._cause.origin

    @property
    def failure_type(self) -> str:
        """What kind of failure it was, such as ``config_error``; empty if unknown."""
        return self._cause.failure_type

    @property
    def failure_message(self) -> str:
        """What the connector said, in one line without secrets; empty if unknown."""
        return self._cause.message

    @property
    def _cause(self) -> AttemptFailure:
        cause = None if self.details is None else self.details.cause
        return cause or AttemptFailure()


class AirbyteJobCancelledError(AirbyteJobError):
    """The job was cancelled."""


class AirbyteTooFewRowsError(AirbyteJobError):
    """The job succeeded with fewer rows than required, or nobody has counted them."""


class AirbyteJobTimeoutError(AirbyteJobError):
    """The job was still running at the deadline."""


class AirbyteSyncTimeoutError(AirbyteError):
    """No sync of a connection had completed successfully at the deadline."""
