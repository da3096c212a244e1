"""The command line: ``python -m airflow_provider_airbyte_sme``."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteConfigError,
    AirbyteError,
    AirbyteSession,
    AirbyteSettings,
    AirbyteUrls,
    RetryPolicy,
    Workspace,
    run_blocking,
)
from airflow_provider_airbyte_sme.provisioning.export import Export, read_workspace
from airflow_provider_airbyte_sme.provisioning.files import to_document, write_yaml
from airflow_provider_airbyte_sme.provisioning.reading import is_uuid

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.provisioning.declarations import PipelineDeclaration

SECRET_VARIABLE = "AIRBYTE_CLIENT_SECRET"  # noqa: S105  # its name
_ATTEMPTS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    :param arguments: Command-line arguments; the default is ``sys.argv[1:]``.
    :return: The exit status: 0, or 1 if the command failed. Wrong arguments exit with 2.
    """
    parser, export = _parsers()
    options = parser.parse_args(arguments)
    if options.client_id and not options.url:
        export.error("--client-id needs --url")
    try:
        _export(options)
    except (AirbyteError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 1
    return 0


def _parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return the parser, and that of the command ``export``."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_airbyte_sme",
        description="Work with Airbyte Self-Managed Enterprise.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    export = commands.add_parser(
        "export",
        help="write a pipeline file from an existing workspace",
        description="Write a pipeline file for AirbyteApplyOperator from an existing workspace. "
        "Nothing in Airbyte is changed, and no connector runs. Secrets become references to "
        "Airflow variables; until these exist, applying the file keeps the stored secrets.",
    )
    _add_airbyte(export)
    _add_output(export)
    return parser, export


def _add_airbyte(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which Airbyte")
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument("--conn-id", help="id of an Airflow connection of type Airbyte SME")
    source.add_argument("--url", help="URL of Airbyte, instead of an Airflow connection")
    group.add_argument(
        "--client-id",
        default="",
        help=f"client id of an Airbyte application, with --url. Its secret is read from the "
        f"environment variable {SECRET_VARIABLE}, or asked for",
    )
    group.add_argument(
        "--workspace", required=True, metavar="NAME_OR_ID", help="the workspace to export"
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    group.add_argument(
        "--format",
        choices=("yaml", "json"),
        help="default: json if FILE ends in .json, else yaml",
    )
    group.add_argument("--force", action="store_true", help="replace FILE if it exists")


def _export(options: argparse.Namespace) -> None:
    output: Path | None = options.output
    if output and output.exists() and not options.force:
        raise AirbyteConfigError(f"{output} exists already: add --force to replace it.")
    # Airflow writes its log to standard output, where the file may go.
    with redirect_stdout(sys.stderr):
        client = _client_of(options)
        exported = run_blocking(_read(client, options.workspace))
    text = _text(exported, client, _format(options))
    if output is None:
        sys.stdout.write(text)
    else:
        with output.open("w" if options.force else "x", encoding="utf-8") as file:
            file.write(text)
    for note in exported.notes:
        print(f"note: {note}", file=sys.stderr)
    print(_summary(exported.pipeline, output), file=sys.stderr)


def _client_of(options: argparse.Namespace) -> AirbyteClient:
    if options.conn_id:
        return _client_of_connection(options.conn_id)
    return _client_of_url(options)


def _client_of_connection(conn_id: str) -> AirbyteClient:
    # Late: only this needs Airflow. The hook would not find what is in Airflow 3's database, which
    # it reads through the process that supervises a task.
    from airflow.models.connection import Connection
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    from airflow_provider_airbyte_sme.connection import settings_from_connection, unknown_connection

    try:
        connection: Any = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException as error:
        raise unknown_connection(conn_id) from error
    return _client(settings_from_connection(connection))


def _client_of_url(options: argparse.Namespace) -> AirbyteClient:
    return _client(
        AirbyteSettings(
            AirbyteUrls.parse(options.url),
            client_id=options.client_id,
            client_secret=_client_secret() if options.client_id else "",
        )
    )


def _client(settings: AirbyteSettings) -> AirbyteClient:
    # Late: --help needs no HTTP library.
    from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport

    # Few attempts: a person is waiting.
    retry = RetryPolicy(max_attempts=_ATTEMPTS)
    return AirbyteClient(AirbyteSession(settings, RequestsTransport(settings), retry=retry))


def _client_secret() -> str:
    """Return the secret, which is no argument: every user of a machine sees arguments."""
    if secret := os.environ.get(SECRET_VARIABLE, "").strip():
        return secret
    if not sys.stdin.isatty():
        raise AirbyteConfigError(
            f"The client secret is missing: set the environment variable {SECRET_VARIABLE}."
        )
    return getpass.getpass("Client secret: ").strip()


async def _read(client: AirbyteClient, name_or_id: str) -> Export:
    async with client:
        if is_uuid(name_or_id):
            return await read_workspace(client, name_or_id)
        workspace = await client.workspaces.find_by_name(name_or_id)
        if workspace is None:
            raise AirbyteConfigError(_unknown(name_or_id, await client.workspaces.list()))
        return await read_workspace(client, workspace.workspace_id)


def _unknown(name: str, workspaces: Sequence[Workspace]) -> str:
    visible = ", ".join(sorted(repr(each.name) for each in workspaces)) or "none"
    return f"There is no workspace {name!r}. Workspaces that the application sees: {visible}."


def _format(options: argparse.Namespace) -> str:
    is_json = options.output is not None and options.output.suffix.lower() == ".json"
    return options.format or ("json" if is_json else "yaml")


def _text(exported: Export, client: AirbyteClient, format_name: str) -> str:
    document = to_document(exported.pipeline)
    if format_name == "json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    header = (
        f"A pipeline file for AirbyteApplyOperator, exported from {client.settings.urls.web}.",
        "Applied as it is, it changes nothing: a secret whose Airflow variable does not exist",
        "keeps its stored value.",
        *exported.notes,
    )
    return write_yaml(document, "\n".join(header))


def _summary(pipeline: PipelineDeclaration, output: Path | None) -> str:
    counts = (
        (len(pipeline.sources), "source"),
        (len(pipeline.destinations), "destination"),
        (len(pipeline.tags), "tag"),
        (len(pipeline.connections), "connection"),
    )
    found = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
    return f"exported {found}" + (f" to {output}" if output else "")
