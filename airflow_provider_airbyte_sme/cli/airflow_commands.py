"""
The commands below ``airflow airbyte-sme``, from Airflow 3.2 on.

Every ``airflow`` command loads this module, so it imports nothing of the provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand

_CONNECTION_HELP = "id of an Airflow connection of type Airbyte SME"


def get_cli_commands() -> list[CLICommand]:
    """Return the commands, as ``cli`` of the provider info names this function."""
    from airflow.cli.cli_config import (
        ARG_VERBOSE,
        ActionCommand,
        Arg,
        GroupCommand,
        lazy_load_command,
    )

    doctor = ActionCommand(
        name="doctor",
        help="check a connection to Airbyte, step by step",
        func=lazy_load_command("airflow_provider_airbyte_sme.cli.doctor.run_in_airflow"),
        args=(
            Arg(("--conn-id",), required=True, help=_CONNECTION_HELP),
            Arg(("--connection-id",), default="", help="UUID of an Airbyte connection to check"),
            Arg(
                ("-o", "--output"),
                choices=("text", "json"),
                default="text",
                help="how to print the checks (default: text)",
            ),
            ARG_VERBOSE,
        ),
        description="Check a connection to Airbyte, step by step. Nothing is changed. "
        "The exit status is 1 if a check failed.",
    )
    return [
        GroupCommand(
            name="airbyte-sme",
            help="Work with Airbyte Self-Managed Enterprise",
            subcommands=(doctor,),
        )
    ]
