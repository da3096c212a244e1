"""``migrate --connections``: Airflow connections of the official provider, and what changes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout, suppress
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.get_provider_info import CONN_FIELDS, CONNECTION_TYPE

_OFFICIAL_TYPE = "airbyte"
_PREFIX = "AIRFLOW_CONN_"
_DATABASE = "Airflow's database"
# Extra keys of the official provider. It reads no others.
_PROXIES, _TIMEOUT = "proxies", "timeout"


class Found(NamedTuple):
    """
    A connection of the official provider.

    :param place: Where it is: Airflow's database, or the name of an environment variable.
    :param connection: Airflow's object, which has secrets; ``None`` if it cannot be decrypted.
    """

    conn_id: str
    place: str
    connection: Any


def list_connections() -> int:
    """
    Print each connection of type ``airbyte``, and what changes; without secrets.

    :return: 1 if Airflow's database cannot be read or a connection does not work, else 0.
    """
    # Airflow writes its log to standard output.
    with redirect_stdout(sys.stderr):
        found, problem = _find_all()
    status = 0
    for each in found:
        works, lines = describe(each)
        print("\n  ".join([f"{each.conn_id} (in {each.place})", *lines]))
        status = status if works else 1
    if not found and not problem:
        print(f"There is no Airflow connection of type {_OFFICIAL_TYPE!r}.")
    print(
        "note: connections in a secrets backend are not listed: Airflow can only look up a "
        "connection there whose id it knows.",
        file=sys.stderr,
    )
    if problem:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problem else status


def _find_all() -> tuple[list[Found], str]:
    """Return the connections, sorted, and why the database could not be read, if so."""
    found, problem = [*_in_environment()], ""
    # Each class of database has exceptions of its own.
    try:
        found += _in_database()
    except Exception as error:  # noqa: BLE001, RUF100
        problem = (
            f"Airflow's database could not be read ({type(error).__name__}), so its connections "
            f"are not listed: run this where `airflow connections list` works."
        )
    return sorted(found, key=lambda each: (each.conn_id, each.place)), problem


def _in_environment() -> Iterator[Found]:
    from airflow.secrets.environment_variables import EnvironmentVariablesBackend

    backend = EnvironmentVariablesBackend()
    for variable in sorted(os.environ):
        if not variable.startswith(_PREFIX):
            continue
        conn_id = variable.removeprefix(_PREFIX).lower()
        connection: Any = None
        # What cannot be parsed has no type.
        with suppress(Exception):
            connection = backend.get_connection(conn_id)
        if connection is not None and connection.conn_type == _OFFICIAL_TYPE:
            yield Found(conn_id, variable, connection)


def _in_database() -> Iterator[Found]:
    from airflow_provider_airbyte_sme.connection import load_stored, stored_conn_ids

    for conn_id in stored_conn_ids(_OFFICIAL_TYPE):
        connection: Any = None
        with suppress(Exception):
            connection = load_stored(conn_id)
        yield Found(conn_id, _DATABASE, connection)


def describe(found: Found) -> tuple[bool, list[str]]:
    """Return whether a connection works with this provider, and the lines that say so."""
    from airflow_provider_airbyte_sme.connection import settings_from_connection

    connection = found.connection
    if connection is None:
        return False, [
            "cannot be read: Airflow does not decrypt it. Use the fernet_key that it was stored "
            "with, or enter its secrets again."
        ]
    try:
        settings = settings_from_connection(connection)
    except AirbyteConfigError as error:
        return False, [f"does not work yet: {error}"]
    lines = [
        f'works unchanged: airbyte_conn_id="{found.conn_id}"',
        f"Host: kept; the API is at {settings.urls.public}",
        "Login, Password: kept, as client id and client secret"
        if settings.client_id
        else "Login, Password: empty, so there is no authentication",
    ]
    if connection.schema:
        lines.append("Schema (token URL): ignored; the token comes from the API above")
    lines += _extra_lines(_extra_of(connection))
    return True, [*lines, _change_of_type(found)]


def _extra_of(connection: Any) -> Mapping[str, Any]:
    extra = json.loads(connection.extra or "{}")
    return extra if isinstance(extra, dict) else {}


def _extra_lines(extra: Mapping[str, Any]) -> Iterator[str]:
    if extra.get(_PROXIES):
        has_own = "; the field Proxy comes first" if extra.get("proxy") else ""
        yield f"Extra {_PROXIES}: kept, for the scheme of Host{has_own}"
    if extra.get(_TIMEOUT) is not None and extra.get("request_timeout") is None:
        yield (
            f'Extra {_TIMEOUT}: not read; set "request_timeout": {json.dumps(extra[_TIMEOUT])} in '
            f"Extra, or requests have {CONN_FIELDS['request_timeout']['schema']['default']} s"
        )
    ignored = sorted(extra.keys() - CONN_FIELDS.keys() - {_PROXIES, _TIMEOUT})
    if ignored:
        yield f"Extra {', '.join(ignored)}: ignored, as before"


def _change_of_type(found: Found) -> str:
    """Return how to get the form of this provider, which is not needed."""
    if found.place == _DATABASE:
        return "type: can stay; Edit > Connection Type: Airbyte SME makes it one of this provider"
    uri_type = CONNECTION_TYPE.replace("_", "-")
    return (
        f'type: can stay; {uri_type}://, or "conn_type": "{CONNECTION_TYPE}" in JSON, makes it one '
        f"of this provider"
    )
