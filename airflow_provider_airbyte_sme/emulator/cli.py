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

    :return: The exit status: 0, or 2 when it cannot start.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
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
    except (OSError, ValueError) as error:
        print(f"The emulator cannot start: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_airbyte_sme.emulator",
        description="An Airbyte to test against. Prints one line of JSON when it is ready.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port; 0 takes a free one")
    parser.add_argument("--time", choices=("real", "instant"), default="real")
    parser.add_argument("--sync-duration", type=float, default=5.0, help="seconds a sync runs")
    parser.add_argument("--rows", type=int, default=100, help="records a sync commits")
    parser.add_argument("--token-lifetime", type=float, default=900.0, help="seconds")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds per answer")
    parser.add_argument("--threads", type=int, default=5, help="of the public API; 0: no limit")
    parser.add_argument("--seed-file", help="JSON file with the world to begin with")
    parser.add_argument("--state-file", help="JSON file that keeps the world over restarts")
    return parser
