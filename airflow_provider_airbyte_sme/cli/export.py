"""The command ``export``: a pipeline file from an existing workspace."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteConfigError,
    RetryPolicy,
    Workspace,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.blocking import blocking_client
from airflow_provider_airbyte_sme.api.identifiers import is_uuid
from airflow_provider_airbyte_sme.cli.airbyte import (
    Subparsers,
    add_airbyte,
    check_airbyte,
    read_settings,
)
from airflow_provider_airbyte_sme.provisioning.export import Export, read_workspace
from airflow_provider_airbyte_sme.provisioning.files import to_document, write_yaml

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.provisioning.declarations import PipelineDeclaration

# Few attempts: a person is waiting.
_RETRY = RetryPolicy(max_attempts=3)


def add_parser(commands: Subparsers) -> None:
    """Add the command ``export``."""
    parser = commands.add_parser(
        "export",
        help="write a pipeline file from an existing workspace",
        description="Write a pipeline file for AirbyteApplyOperator from an existing workspace. "
        "Nothing in Airbyte is changed, and no connector runs. Secrets become references to "
        "Airflow variables; until these exist, applying the file keeps the stored secrets.",
    )
    airbyte = add_airbyte(parser)
    airbyte.add_argument(
        "--workspace", required=True, metavar="NAME_OR_ID", help="the workspace to export"
    )
    _add_output(parser)
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Write the file; return 0."""
    check_airbyte(options)
    output: Path | None = options.output
    if output and output.exists() and not options.force:
        raise AirbyteConfigError(f"{output} exists already: add --force to replace it.")
    # Airflow writes its log to standard output, where the file may go.
    with redirect_stdout(sys.stderr):
        client = blocking_client(read_settings(options), retry=_RETRY)
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
    return 0


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    group.add_argument(
        "--format",
        choices=("yaml", "json"),
        help="default: json if FILE ends in .json, else yaml",
    )
    group.add_argument("--force", action="store_true", help="replace FILE if it exists")


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
