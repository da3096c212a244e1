"""An emulated Airbyte with a history of syncs, for the pictures of the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_airbyte_sme.emulator import Emulator

DAYS = 20
"""Each connection has synced once a day, the last time :data:`LAST_SYNC` before now."""

LAST_SYNC = timedelta(hours=2)
DAY = timedelta(days=1).total_seconds()

CLIENT_ID = "0e8b5b5e-6a55-4b0e-9b7c-2d1f1b6a9e11"
WORKSPACE_ID = "8a1c4c5e-2f0b-4f0e-9d57-6b6f2f6f1a11"
NIGHTLY = {"scheduleType": "cron", "cronExpression": "0 0 2 * * ? UTC"}

# What the size of a sync is multiplied with, one day after the other.
WAVE = (1.0, 1.06, 0.94, 1.1, 0.98, 0.71, 0.66)

FAILED: Mapping[str, Any] = {
    "outcome": "failed",
    "failure": {
        "message": "The API key of the source has expired.",
        "origin": "source",
        "type": "config_error",
    },
}


@dataclass(frozen=True)
class SampleConnection:
    """
    A connection and its history.

    :param source: Name of the source, which belongs to no other connection.
    :param connector: Of the source.
    :param streams: Of the source.
    :param number: Makes the ids of source and connection.
    :param rows: Rows of an ordinary sync; 0: it has never synced.
    :param duration: Seconds of an ordinary sync.
    :param unusual: Syncs that were not ordinary, by day: arguments of :meth:`Emulator.script_job`.
    :param fields: Other arguments of :func:`~.emulator.seeding.add_connection`.
    """

    source: str
    connector: str
    streams: tuple[str, ...]
    number: int
    rows: int = 0
    duration: float = 0.0
    unusual: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """UUID of the connection."""
        return f"18dccc91-0ab1-4f72-9ed7-{self.number:012x}"

    @property
    def source_id(self) -> str:
        """UUID of the source."""
        return f"52d1a9c0-7f3e-4c55-8f0a-{self.number:012x}"


SHOP = SampleConnection(
    "Shop", "postgres", ("customers", "orders", "order_items"), 0xB8FC27C5826, 1_240_000, 720
)
CONNECTIONS = (
    SHOP,
    SampleConnection(
        "Payments",
        "stripe",
        ("charges", "customers"),
        0xB8FC27C5827,
        86_000,
        310,
        unusual={7: FAILED, DAYS - 1: FAILED},
        fields={"schedule": NIGHTLY},
    ),
    SampleConnection(
        "CRM",
        "mysql",
        ("accounts", "contacts"),
        0xB8FC27C5828,
        412_000,
        505,
        unusual={DAYS - 1: {"rows": 0, "duration": 12.0}},
        fields={"schedule": NIGHTLY},
    ),
    SampleConnection(
        "Code",
        "github",
        ("issues",),
        0xB8FC27C5829,
        3_100,
        95,
        unusual={12: {"outcome": "cancelled", "duration": 20.0}},
        fields={"schedule": NIGHTLY},
    ),
    SampleConnection(
        "Old shop", "postgres", ("orders",), 0xB8FC27C582A, fields={"status": "inactive"}
    ),
)


def sample_airbyte() -> Emulator:
    """Return an Airbyte whose clock has stopped now, after :data:`DAYS` days of syncs."""
    emulator = Emulator(
        time="manual",
        start=datetime.now(UTC) - LAST_SYNC - (DAYS - 1) * timedelta(days=1),
        seed=_seed(),
    )
    for day in range(DAYS):
        for number, connection in enumerate(CONNECTIONS):
            if connection.rows:
                # Shifted, so that no two histories look alike.
                factor = WAVE[(day + 3 * number) % len(WAVE)]
                _sync(emulator, connection, factor, connection.unusual.get(day, {}))
        emulator.advance(DAY if day < DAYS - 1 else LAST_SYNC.total_seconds())
    return emulator


def _sync(
    emulator: Emulator, connection: SampleConnection, factor: float, how: Mapping[str, Any]
) -> None:
    ordinary: dict[str, Any] = {"duration": connection.duration * factor}
    if "outcome" not in how:
        ordinary["rows"] = int(connection.rows * factor)
    emulator.script_job(connection.id, **{**ordinary, **how})
    emulator.start_sync(connection.id)


def _seed() -> dict[str, Any]:
    return {
        "application": {"client_id": CLIENT_ID},
        "workspaces": [{"name": "Analytics", "id": WORKSPACE_ID}],
        "sources": list(_sources()),
        "destinations": [
            {
                "name": "Warehouse",
                "connector": "postgres",
                "configuration": {
                    "host": "warehouse.example.com",
                    "port": 5432,
                    "database": "analytics",
                    "schema": "raw",
                },
            }
        ],
        "connections": [
            {
                "name": f"{each.source} to Warehouse",
                "id": each.id,
                "source_id": each.source_id,
                **each.fields,
            }
            for each in CONNECTIONS
        ],
    }


def _sources() -> Iterator[dict[str, Any]]:
    for each in CONNECTIONS:
        yield {
            "name": each.source,
            "id": each.source_id,
            "connector": each.connector,
            "streams": each.streams,
        }
