"""The client of code that waits for each response, such as a hook or a command."""

from __future__ import annotations

from airflow_provider_airbyte_sme.api.auth import Token
from airflow_provider_airbyte_sme.api.client import AirbyteClient
from airflow_provider_airbyte_sme.api.retry import RetryPolicy
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings


def blocking_client(
    settings: AirbyteSettings, *, retry: RetryPolicy | None = None, token: Token | None = None
) -> AirbyteClient:
    """
    Return a client whose coroutines :func:`.http.run_blocking` runs.

    :param token: A token to begin with, of another client with the same settings.
    :raises AirbyteConfigError: A certificate file cannot be read.
    """
    # Late: a DAG file that imports an operator must not load requests.
    from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport

    return AirbyteClient(
        AirbyteSession(settings, RequestsTransport(settings), retry=retry, token=token)
    )
