"""Which Airbyte a command works with: that of an Airflow connection, or of a URL."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import sys
from typing import Any, TypeAlias

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteSettings,
    AirbyteUrls,
)
from airflow_provider_airbyte_sme.cli.airflow_commands import CONN_ID_HELP

SECRET_VARIABLE = "AIRBYTE_CLIENT_SECRET"  # noqa: S105  # its name

# What stands for the fields of an Airflow connection, in the order to look for them.
_ARGUMENTS = (
    (r"Host \(Airbyte URL\) and Port|Port and Host \(Airbyte URL\)|Host \(Airbyte URL\)", "--url"),
    (r"Port(?= of the Airflow connection)", "the port of --url"),
    (r"Login \(Client ID\)", "--client-id"),
    (r"Password \(Client secret\)", SECRET_VARIABLE),
    (r"proxy of the Airflow connection or HTTPS_PROXY", "HTTPS_PROXY"),
    (r"\bproxy(?=(?: and headers)? of the Airflow connection)", "HTTPS_PROXY"),
    (r"\bca_bundle(?= of the Airflow connection)", "REQUESTS_CA_BUNDLE"),
    (rf"(--url|--client-id|{SECRET_VARIABLE}|_PROXY|_BUNDLE) of the Airflow connection", r"\1"),
    # The others are fields of an Airflow connection only.
    (r"\bthe Airflow connection", "an Airflow connection"),
)

# argparse has no public name for it.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_airbyte(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the arguments that say which Airbyte; :func:`read_settings` reads them."""
    group = parser.add_argument_group("which Airbyte")
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument("--conn-id", help=CONN_ID_HELP)
    source.add_argument("--url", help="URL of Airbyte, instead of an Airflow connection")
    group.add_argument(
        "--client-id",
        default="",
        help=f"client id of an Airbyte application, with --url. Its secret is read from the "
        f"environment variable {SECRET_VARIABLE}, or asked for",
    )
    return group


def check_airbyte(options: argparse.Namespace) -> None:
    """Exit with 2 if the arguments of :func:`add_airbyte` contradict each other."""
    if options.client_id and not options.url:
        options.parser.error("--client-id needs --url")


def read_settings(options: argparse.Namespace) -> AirbyteSettings:
    """
    Return the settings that the arguments of :func:`add_airbyte` name.

    :raises AirbyteConfigError: A field of the Airflow connection or an argument is invalid.
    :raises AirbyteSettingsNotFoundError: Airflow does not find the connection.
    """
    if options.conn_id is not None:
        # Late: only this needs Airflow.
        from airflow_provider_airbyte_sme.connection import settings_from_connection

        return settings_from_connection(read_connection(options.conn_id))
    return AirbyteSettings(
        AirbyteUrls.parse(options.url),
        client_id=options.client_id,
        client_secret=_client_secret() if options.client_id else "",
    )


def with_arguments(text: str, options: argparse.Namespace) -> str:
    """
    Return a message as those understand it who have given the arguments of :func:`add_airbyte`.

    Messages name the fields of an Airflow connection. With ``--url`` there is none: then arguments
    and variables take their place.
    """
    if getattr(options, "url", None) is None:
        return text
    for pattern, replacement in _ARGUMENTS:
        text = re.sub(pattern, replacement, text)
    return text


def read_connection(conn_id: str) -> Any:
    """
    Return an Airflow connection.

    :raises AirbyteConfigError: Airflow cannot parse it.
    :raises AirbyteSettingsNotFoundError: Airflow does not find it.
    """
    # Late: only this needs Airflow. The hook would not find what is in Airflow 3's database, which
    # it reads through the process that supervises a task.
    from airflow.models.connection import Connection
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    from airflow_provider_airbyte_sme.connection import unknown_connection

    try:
        return Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException as error:
        raise unknown_connection(conn_id) from error


def _client_secret() -> str:
    """Return the secret, which is no argument: every user of a machine sees arguments."""
    if secret := os.environ.get(SECRET_VARIABLE, "").strip():
        return secret
    if not sys.stdin.isatty():
        raise AirbyteConfigError(
            f"The client secret is missing: set the environment variable {SECRET_VARIABLE}."
        )
    return getpass.getpass("Client secret: ").strip()
