"""Errors about a job. :mod:`.errors` shows their place in the tree of all errors."""

from __future__ import annotations

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.models import Job


class AirbyteJobError(AirbyteError):
    """
    Base class of errors about a job.

    :param job: The job as last read.
    """

    def __init__(self, message: str, *, job: Job) -> None:
        super().__init__(message)
        self.job = job


class AirbyteJobFailedError(AirbyteJobError):
    """The job failed."""


class AirbyteJobCancelledError(AirbyteJobError):
    """The job was cancelled."""


class AirbyteTooFewRowsError(AirbyteJobError):
    """The job succeeded with fewer rows than required."""


class AirbyteJobTimeoutError(AirbyteJobError):
    """The job was still running at the deadline."""


class AirbyteSyncTimeoutError(AirbyteError):
    """No sync of a connection had completed successfully at the deadline."""
