"""The command line: ``python -m airflow_provider_airbyte_sme``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.cli import doctor, export, migrate
from airflow_provider_airbyte_sme.cli.airbyte import with_arguments
from airflow_provider_airbyte_sme.cli.pipes import discard

_COMMANDS = (doctor, export, migrate)
"""Modules with ``add_parser(commands)``, which sets ``run``: from parsed options to exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    :param arguments: Command-line arguments; the default is ``sys.argv[1:]``.
    :return: The exit status: 0, or 1 if the command failed. Wrong arguments exit with 2. If what
        reads the output has ended, such as ``head``, it is that of a process which the signal
        ``SIGPIPE`` has ended.
    """
    options = make_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        print(end="", flush=True)
    except BrokenPipeError:
        discard(sys.stdout, sys.stderr)
        return 128 + signal.SIGPIPE
    except (AirbyteError, OSError) as error:
        print(f"error: {with_arguments(str(error), options)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 1
    return status


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the arguments: also for the reference."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_airbyte_sme",
        description="Work with Airbyte Self-Managed Enterprise.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
