"""The command line of the emulator."""

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
    Serve an emulator until SIGTERM or Ctrl-C.

    Standard output gets one line of JSON when it is ready, standard error one line per request.

    :return: The exit status: 0, or 2 when it cannot start.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger(__package__).setLevel(logging.DEBUG)  # one line per request
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_airbyte_sme.emulator",
        description="An Airbyte to test against. Prints one line of JSON when it is ready.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=8000, help="port to listen on; 0 takes a free one")
    add("--time", choices=("real", "instant"), default="real", help="whether jobs take time")
    add("--sync-duration", type=float, default=5.0, help="seconds that a sync runs")
    add("--rows", type=int, default=100, help="records that a sync commits")
    add("--token-lifetime", type=float, default=900.0, help="seconds that a token is good for")
    add("--latency", type=float, default=0.0, help="seconds that each answer takes")
    add("--threads", type=int, default=5, help="public API requests at once; 0: any number")
    add("--seed-file", help="JSON file with the world to begin with")
    add("--state-file", help="JSON file that keeps the world over restarts")
    add(
        "--auth-mode",
        choices=("oidc", "generic-oidc", "simple", "none"),
        default="oidc",
        help="how people log in, which decides how wrong credentials are refused",
    )
    add("--instance-admin", action="store_true", help="unknown ids are 404 instead of 403")
    add(
        "--airbyte-version", default="2.1.0", help="2.0.0 and older start and list jobs differently"
    )
    add("--airbyte-url", help="address that pagination links carry; the default is as requested")
    return parser
