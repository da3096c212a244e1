"""
The commands below ``airflow airbyte-sme``, from Airflow 3.2 on.

Every ``airflow`` command loads this module, so it imports nothing of the provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand

CONN_ID_HELP = "id of an Airflow connection of type Airbyte SME"
CONNECTION_ID_HELP = "UUID of an Airbyte connection to check"
DOCTOR_HELP = "check a connection to Airbyte, step by step"
DOCTOR_DESCRIPTION = (
    "Check a connection to Airbyte, step by step. Nothing is changed. "
    "The exit status is 1 if a check failed."
)
OUTPUT_OPTIONS: dict[str, Any] = {
    "choices": ("text", "json"),
    "default": "text",
    "help": "how to print the checks (default: text)",
}


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
        help=DOCTOR_HELP,
        func=lazy_load_command("airflow_provider_airbyte_sme.cli.doctor.run_in_airflow"),
        args=(
            Arg(("--conn-id",), required=True, help=CONN_ID_HELP),
            Arg(("--connection-id",), default="", metavar="UUID", help=CONNECTION_ID_HELP),
            Arg(("-o", "--output"), **OUTPUT_OPTIONS),
            ARG_VERBOSE,
        ),
        description=DOCTOR_DESCRIPTION,
    )
    return [
        GroupCommand(
            name="airbyte-sme",
            help="Work with Airbyte Self-Managed Enterprise",
            subcommands=(doctor,),
        )
    ]
