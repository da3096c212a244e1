"""The emulator's command line."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Sequence

from airflow_provider_airbyte_sme.emulator.emulator import Emulator


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run an emulator server until SIGTERM or Ctrl-C.

    Writes one line of JSON to standard output when it is ready, and one line per request to
    standard error.

    :param arguments: Command-line arguments; the default is ``sys.argv[1:]``.
    :return: The exit status: 0, or 2 if the emulator cannot start.
    """
    options = make_parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger(__package__).setLevel(logging.DEBUG)  # one line per request
    stop = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    try:
        emulator = Emulator(
            time=options.time,
            sync_duration=options.sync_duration,
            rows=options.rows,
            token_lifetime=options.token_lifetime,
            latency=options.latency,
            threads=options.threads or None,
            seed=options.seed_file,
            state_file=options.state_file,
            instance_admin=options.instance_admin,
            auth_mode=options.auth_mode,
            version=options.airbyte_version,
            airbyte_url=options.airbyte_url,
        )
        with emulator.serve(options.host, options.port) as server:
            ready = {
                "url": server.url,
                "client_id": emulator.client_id,
                "client_secret": emulator.client_secret,
                "workspace_id": emulator.workspace_id,
                "source_id": emulator.source_id,
                "destination_id": emulator.destination_id,
                "connection_id": emulator.connection_id,
            }
            print(json.dumps(ready), flush=True)
            stop.wait()
    except (OSError, OverflowError, ValueError) as error:
        print(f"The emulator cannot start: {error}", file=sys.stderr)
        return 2
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the arguments: also for the reference."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_airbyte_sme.emulator",
        description="Run an emulated Airbyte server for tests and development. When it is ready, "
        "it prints one line of JSON with its URL, client id, client secret and the ids of its "
        "first workspace, source, destination and connection. It runs until SIGTERM or Ctrl-C.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add(
        "--port",
        type=int,
        default=8000,
        help="port to listen on; 0 picks a free port (default: %(default)s)",
    )
    add(
        "--time",
        choices=("real", "instant"),
        default="real",
        help="real: jobs take time; instant: a job has finished when it is first read "
        "(default: %(default)s)",
    )
    add(
        "--sync-duration",
        type=float,
        metavar="SECONDS",
        default=5.0,
        help="how long a sync runs (default: %(default)g)",
    )
    add(
        "--rows",
        type=int,
        default=100,
        help="number of records that a sync commits (default: %(default)s)",
    )
    add(
        "--token-lifetime",
        type=float,
        metavar="SECONDS",
        default=900.0,
        help="how long an access token is valid (default: %(default)g)",
    )
    add(
        "--latency",
        type=float,
        metavar="SECONDS",
        default=0.0,
        help="delay before each response (default: %(default)g)",
    )
    add(
        "--threads",
        type=int,
        default=5,
        help="number of public API requests handled at the same time; 0 means no limit "
        "(default: %(default)s)",
    )
    add(
        "--seed-file",
        metavar="FILE",
        help="JSON file with the initial workspaces, sources, destinations, connections and "
        "application (default: one of each)",
    )
    add(
        "--state-file",
        metavar="FILE",
        help="JSON file that keeps the state across restarts; if it exists, the seed is ignored "
        "(default: none, a restart loses the state)",
    )
    add(
        "--auth-mode",
        choices=("oidc", "generic-oidc", "simple", "none"),
        default="oidc",
        help="how Airbyte authenticates, which decides how it rejects wrong credentials; "
        "none: no token is needed (default: %(default)s)",
    )
    add(
        "--instance-admin",
        action="store_true",
        help="give the application the role of an instance administrator, who gets 404 instead "
        "of 403 for an unknown id",
    )
    add(
        "--airbyte-version",
        metavar="VERSION",
        default="2.1.0",
        help="Airbyte version to emulate; 2.0 and older start and list jobs differently "
        "(default: %(default)s)",
    )
    add(
        "--airbyte-url",
        metavar="URL",
        help="the server's own base URL, used in links and tokens (default: the address that "
        "each request was sent to)",
    )
    return parser
