"""
Syncs that end within seconds, on a real Airflow with its default settings.

A target of its own: it takes about two minutes, and its tasks must not share the machine with those
of other tests.
"""

from __future__ import annotations

import time
from collections import Counter

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts import postgres
from scripts.airflow_harness import LocalAirflow

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not postgres.is_installed(), reason="SQLite is too slow for so many tasks"),
]

# Seconds.
MAX_WAIT = 180.0
SHORT_SYNCS = 30
# Seconds that the longest of the short syncs takes; the others are spread from 0.
LONGEST_SHORT_SYNC = 8.0
SECONDS_BETWEEN_SHORT_SYNCS = 2.5


def test_short_syncs_succeed_with_default_settings(
    airflow: LocalAirflow, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow 3.3.2 fails tasks that are resumed too soon: see triggers/resumption.py."""
    began = time.monotonic()
    run_ids = []
    for number in range(SHORT_SYNCS):
        connection_id = emulator.add_connection()
        duration = LONGEST_SHORT_SYNC * number / (SHORT_SYNCS - 1)
        emulator.script_job(connection_id, duration=duration)
        run_ids.append(airflow.api.trigger("short_sync", {"connection_id": connection_id}))
        # All at once, Airflow would be too busy to resume any of them too soon.
        time.sleep(SECONDS_BETWEEN_SHORT_SYNCS)
    states = [
        airflow.api.wait_for_run("short_sync", run_id, timeout=MAX_WAIT) for run_id in run_ids
    ]
    with capsys.disabled():
        print(f"\n{SHORT_SYNCS} short syncs took {time.monotonic() - began:.0f} s")
    assert Counter(states) == {"success": SHORT_SYNCS}
