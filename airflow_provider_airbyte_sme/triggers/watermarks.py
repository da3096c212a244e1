"""Where an event trigger keeps how far it has come: the state store of its assets (Airflow 3.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from airflow_provider_airbyte_sme.api.errors import one_line
from airflow_provider_airbyte_sme.api.scrubbing import scrub
from airflow_provider_airbyte_sme.api.waiting.watermarks import Watermark
from airflow_provider_airbyte_sme.triggers.turns import take_turn

log = logging.getLogger(__name__)

# Seconds between the attempts to read the store, after which the trigger goes on without: what has
# ended before is then forgotten, so a database that fails over is waited for.
_PAUSES = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0)


class WatermarkStore:
    """
    The watermarks of one Airbyte connection, one for each asset of a trigger.

    Several assets share a trigger if they are watched with the same arguments, and each event is
    for all of them. Nothing here raises, as an error would end the trigger.

    :param accessors: What Airflow has set as ``asset_state_store``; ``None`` before 3.3.
    :param connection_id: UUID of the Airbyte connection. An asset may watch several.
    """

    def __init__(self, accessors: Any, connection_id: str) -> None:
        self._stores = [] if accessors is None else _each(accessors)
        self._connection_id = connection_id
        self._key = f"airbyte_sme/{connection_id}"
        self._is_failing = False

    async def read(self) -> list[Watermark]:
        """Return the stored watermarks. An asset that was not watched before has none."""
        found: list[Watermark] = []
        for store in self._stores:
            value = await self._read(store)
            if value is None:
                continue
            try:
                found.append(Watermark.from_json(value))
            except (ValueError, TypeError) as error:
                log.warning(
                    "Syncs of connection %s are watched from now on, because Airflow's state "
                    "store has no usable watermark for %r: %s",
                    self._connection_id,
                    store,
                    one_line(scrub(str(error))),
                )
        return found

    async def _read(self, store: Any) -> object:
        # Thousands of triggers begin at the same moment, and each message takes a while.
        await take_turn()
        pauses = iter(_PAUSES)
        while True:
            try:
                return await store.aget(self._key)
            # Airflow has errors of many classes for that.
            except Exception as error:
                pause = next(pauses, None)
                if pause is None:
                    self._note_failure(error)
                    return None
                await asyncio.sleep(pause)

    async def write(self, watermark: Watermark) -> bool:
        """Store a watermark for each asset; return whether that worked."""
        await take_turn()
        try:
            for store in self._stores:
                await store.aset(self._key, watermark.to_json())
        # Likewise.
        except Exception as error:
            self._note_failure(error)
            return False
        if self._is_failing and self._stores:
            log.info("Airflow's state store works again for connection %s.", self._connection_id)
        self._is_failing = False
        return True

    def _note_failure(self, error: Exception) -> None:
        if not self._is_failing:
            log.warning(
                "Airflow's state store cannot be used for connection %s, so a sync that ends while "
                "no triggerer runs may make no event, or one may make two: %s: %s",
                self._connection_id,
                type(error).__name__,
                one_line(scrub(str(error))),
            )
        self._is_failing = True


def _each(accessors: Any) -> list[Any]:
    """
    Return one accessor for each asset.

    Airflow 3.3.2 does not tell a trigger which assets it has, and its accessor for all of them
    works only if there is just one.
    """
    by_asset = [getattr(accessors, name, None) for name in ("_by_name", "_by_uri")]
    found = [
        store for stores in by_asset if isinstance(stores, Mapping) for store in stores.values()
    ]
    return found or [accessors]
