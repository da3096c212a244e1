"""Who may call the webhook: whoever knows the ``webhook_secret`` of the Airflow connection."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from http import HTTPStatus
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings
from airflow_provider_airbyte_sme.connection import may_be_looked_up, settings_from_connection
from airflow_provider_airbyte_sme.plugins.notifications import Reply

# Compared where there is no secret, so that the same work is done. Nobody can guess it.
_NOBODYS_SECRET = secrets.token_hex(32)


class _Found(NamedTuple):
    settings: AirbyteSettings | None
    problem: str = ""


def admit(conn_id: str, secret: str) -> AirbyteSettings | Reply:
    """
    Check the secret of a call, in time that does not depend on it.

    An Airflow connection that does not exist, or has no secret, costs the same work and gets the
    same reply as a wrong secret.

    :return: The settings of the Airflow connection; or a reply, if the secret is not right.
    """
    settings, problem = _find(conn_id)
    expected = settings.webhook_secret if settings else ""
    is_equal = hmac.compare_digest(_digest(secret), _digest(expected or _NOBODYS_SECRET))
    if is_equal and settings and expected:
        return settings
    if settings and not expected:
        problem = (
            "its webhook_secret is empty. Enter one of at least 32 characters, and call the "
            "webhook with it."
        )
    return _refused(
        problem
        or "the secret in the URL is not its webhook_secret. If the secret was replaced, set the "
        "webhook in Airbyte again, with the new URL."
    )


def _find(conn_id: str) -> _Found:
    if not may_be_looked_up(conn_id):
        return _Found(None, "no connection that the webhook serves has such an id.")
    # Not by the hook: on the API server, only this way leads to the database in each Airflow 3.
    from airflow.models.connection import Connection

    try:
        return _Found(settings_from_connection(Connection.get_connection_from_secrets(conn_id)))
    except AirbyteConfigError as error:
        return _Found(None, str(error))
    # Airflow has many errors for one that is missing, or cannot be read or decrypted. Whoever does
    # not know the secret must not learn which.
    except Exception as error:
        return _Found(
            None,
            f"Airflow cannot read it ({type(error).__name__}). If it does not exist, correct the "
            f"URL in Airbyte; if it does, Airflow's secrets backend or database failed.",
        )


def _digest(secret: str) -> bytes:
    """Return a digest, since only texts of the same length are compared in constant time."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _refused(problem: str) -> Reply:
    return Reply(HTTPStatus.FORBIDDEN, problem)
