"""The command ``doctor``: check a connection to Airbyte, step by step."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TextIO

from airflow_provider_airbyte_sme.api import (
    AirbyteError,
    AirbyteSettings,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.doctor import (
    TIME_LIMIT,
    Check,
    Finding,
    Outcome,
    Subject,
    check_of,
    failed_by,
    ignore,
    ok,
    run_checks,
    run_steps,
    skipped_after,
    steps_for,
)
from airflow_provider_airbyte_sme.cli.airbyte import (
    Subparsers,
    add_airbyte,
    check_airbyte,
    read_settings,
    with_arguments,
)
from airflow_provider_airbyte_sme.cli.airflow_checks import FIRST_STEPS, LAST_STEPS, AirflowSide
from airflow_provider_airbyte_sme.cli.airflow_commands import (
    CONNECTION_ID_HELP,
    DOCTOR_DESCRIPTION,
    DOCTOR_HELP,
    OUTPUT_OPTIONS,
)
from airflow_provider_airbyte_sme.cli.pipes import discard

_MARKS = {
    Outcome.OK: "[ ok ]",
    Outcome.WARNING: "[warn]",
    Outcome.FAILED: "[FAIL]",
    Outcome.SKIPPED: "[skip]",
}
# Characters of the longest name of a step.
_NAME_WIDTH = 18

OnCheck = Callable[[Check], None]


def add_parser(commands: Subparsers) -> None:
    """Add the command ``doctor``."""
    parser = commands.add_parser(
        "doctor",
        help=DOCTOR_HELP,
        description=DOCTOR_DESCRIPTION,
    )
    add_airbyte(parser)
    parser.add_argument("--connection-id", default="", metavar="UUID", help=CONNECTION_ID_HELP)
    parser.add_argument("-o", "--output", **OUTPUT_OPTIONS)
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """
    Print the checks to standard output.

    :return: 1 if one failed, else 0.
    """
    check_airbyte(options)
    output = sys.stdout

    is_json = options.output == "json"
    # Airflow writes its log to standard output.
    with redirect_stdout(sys.stderr):
        checks = _examine(
            options, ignore if is_json else (lambda check: _print(line_of(check), output))
        )
    _print(json.dumps(to_json(checks), indent=2) if is_json else _summary(checks), output)
    return int(_count(checks)[Outcome.FAILED] > 0)


def _print(text: str, output: TextIO | None) -> None:
    """Print *text*, whatever the terminal can show, and as long as somebody reads it."""
    if output is None:  # it was closed before the command began
        return
    encoding = output.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=output, flush=True)
    except BrokenPipeError:
        # Such as "| head". The exit status still needs the other checks.
        discard(output)


def run_in_airflow(options: argparse.Namespace) -> None:
    """
    Do the same as a command of ``airflow``, which ignores what a command returns.

    :raises SystemExit: A check failed, or the user pressed Ctrl+C.
    """
    _log_to_standard_error()
    try:
        status = run(argparse.Namespace(**{**vars(options), "url": None, "client_id": ""}))
    except KeyboardInterrupt:
        raise SystemExit("error: interrupted") from None
    if status:
        raise SystemExit(status)


def _log_to_standard_error() -> None:
    # Airflow 3.2 has opened its log on standard output. Airflow 3.3 does this by itself.
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)


def line_of(check: Check) -> str:
    """Return a check as one line."""
    return f"{_MARKS[check.outcome]} {check.name:{_NAME_WIDTH}} {check.message}"


def to_json(checks: Sequence[Check]) -> dict[str, object]:
    """
    Return checks as a JSON object.

    :return: ``outcome``, the worst of all: ``failed``, ``warning`` or ``ok``; ``counts``, a number
        for each outcome; and ``checks``, a list of objects with ``name``, ``outcome``, ``saw`` and
        ``change``.
    """
    counts = _count(checks)
    worst = (Outcome.FAILED, Outcome.WARNING, Outcome.OK)
    return {
        "outcome": str(next((each for each in worst if counts[each]), Outcome.OK)),
        "counts": {str(outcome): counts[outcome] for outcome in Outcome},
        "checks": [check.to_json() for check in checks],
    }


def _count(checks: Sequence[Check]) -> Counter[Outcome]:
    return Counter(check.outcome for check in checks)


def _summary(checks: Sequence[Check]) -> str:
    counts = _count(checks)
    warnings = counts[Outcome.WARNING]
    return (
        f"{len(checks)} checks: {counts[Outcome.OK]} ok, {warnings} "
        f"{'warning' if warnings == 1 else 'warnings'}, {counts[Outcome.FAILED]} failed, "
        f"{counts[Outcome.SKIPPED]} skipped."
    )


def _examine(options: argparse.Namespace, on_check: OnCheck) -> list[Check]:
    if options.conn_id is None:
        return _examine_url(options, on_check)
    side = AirflowSide(options.conn_id)
    (connection,) = run_blocking(
        run_steps(FIRST_STEPS, side, secrets=side.secrets, on_check=on_check)
    )
    of_airbyte = _examine_airbyte(side.settings, connection, options.connection_id, on_check)
    last = run_blocking(run_steps(LAST_STEPS, side, secrets=side.secrets, on_check=on_check))
    return [connection, *of_airbyte, *last]


def _examine_url(options: argparse.Namespace, on_check: OnCheck) -> list[Check]:
    """Look at an Airbyte without an Airflow connection."""
    checks = []

    def add(check: Check) -> None:
        saw, change = (with_arguments(text, options) for text in (check.saw, check.change))
        checks.append(replace(check, saw=saw, change=change))
        on_check(checks[-1])

    settings, finding = _read_arguments(options)
    arguments = check_of("arguments", finding)
    add(arguments)
    _examine_airbyte(settings, arguments, options.connection_id, add)
    return checks


def _read_arguments(options: argparse.Namespace) -> tuple[AirbyteSettings | None, Finding]:
    try:
        settings = read_settings(options)
    except AirbyteError as error:
        return None, failed_by(error)
    client_id = f"--client-id {options.client_id!r}" if options.client_id else "no --client-id"
    return settings, ok(f"--url {options.url!r}, {client_id}.")


def _examine_airbyte(
    settings: AirbyteSettings | None,
    before: Check,
    connection_id: str,
    on_check: OnCheck,
) -> list[Check]:
    """
    Look at an Airbyte.

    :param before: The check that failed if there are no settings.
    """
    # Late: --help needs no HTTP library.
    from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport

    steps = steps_for(connection_id)
    if settings is not None:
        subject = Subject(settings, RequestsTransport, connection_id, time_limit=TIME_LIMIT)
        return run_blocking(run_checks(subject, steps, on_check))
    finding = skipped_after(before.name)
    checks = [check_of(step.name, finding) for step in steps]
    for check in checks:
        on_check(check)
    return checks
