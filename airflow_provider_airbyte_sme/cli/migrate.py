"""The command ``migrate``: from the official provider to this one."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.cli.airbyte import Subparsers

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.migration.files import MigratedFile
    from airflow_provider_airbyte_sme.migration.reasons import Reason

_EXTRA = "airflow-provider-airbyte-sme[migrate]"


def add_parser(commands: Subparsers) -> None:
    """Add the command ``migrate``."""
    parser = commands.add_parser(
        "migrate",
        help="rewrite DAG files of the official provider for this one",
        description="Rewrite the DAG files that use the official provider, "
        "apache-airflow-providers-airbyte. By default, what would change is written to standard "
        "output as a diff, and no file is changed. What cannot be decided becomes a comment with "
        "a link to the documentation. No file is executed, and Airbyte is not called.",
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="file or folder")
    parser.add_argument("--write", action="store_true", help="change the files, without a diff")
    parser.add_argument(
        "--connections",
        action="store_true",
        help="list the Airflow connections of the official provider, and what to change in each",
    )
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Migrate files, or list connections; return 1 if one of them cannot be read."""
    if options.connections == bool(options.paths):
        options.parser.error("name files or folders, or use --connections")
    if options.connections:
        if options.write:
            options.parser.error("--write is for files: connections are only listed")
        # Late: only this needs Airflow.
        from airflow_provider_airbyte_sme.cli.official_connections import list_connections

        return list_connections()
    return _migrate(options.paths, write=options.write)


def _migrate(paths: list[Path], *, write: bool) -> int:
    if importlib.util.find_spec("libcst") is None:
        raise AirbyteConfigError(f"migrate needs LibCST: pip install '{_EXTRA}'")
    # Late: all else works without LibCST.
    from airflow_provider_airbyte_sme.migration.files import find_files, migrate_file

    files = [migrate_file(path) for path in find_files(paths)]
    if write:
        files = [file.written() for file in files]
    for file in files:
        if file.error:
            print(f"error: {file.path} {file.error}", file=sys.stderr)
        elif file.is_changed and not write:
            sys.stdout.buffer.write(file.difference())
    sys.stdout.flush()
    _summarise(files, write=write)
    return 1 if any(file.error for file in files) else 0


def _summarise(files: list[MigratedFile], *, write: bool) -> None:
    changed = [file for file in files if file.is_changed]
    for file in changed:
        print(f"{file.path}: {_comments(file.reasons)}", file=sys.stderr)
    failed = sum(bool(file.error) for file in files)
    what = "changed" if write else "would change"
    text = f"{what} {len(changed)} of {_count(len(files), 'file')}"
    text += f", {_count(sum(len(file.reasons) for file in files), 'comment')} to look at"
    if failed:
        text += f", {_count(failed, 'file')} not migrated"
    if changed and not write:
        text += "; add --write to change them" if len(changed) > 1 else "; add --write to change it"
    print(text, file=sys.stderr)


def _comments(reasons: tuple[Reason, ...]) -> str:
    if not reasons:
        return "nothing left to do"
    counts = Counter(reason.anchor for reason in reasons)
    found = ", ".join(anchor if n == 1 else f"{anchor} ({n})" for anchor, n in counts.items())
    return f"{_count(len(reasons), 'comment')} to look at: {found}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
