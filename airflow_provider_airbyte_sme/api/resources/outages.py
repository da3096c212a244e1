"""Reads that outlast an outage of Airbyte."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.waiting import Outage

log = logging.getLogger(__name__)

R = TypeVar("R")


async def read_through_outage(
    read: Callable[[], Awaitable[R]],
    outage: Outage,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> R:
    """
    Return the result of *read*, repeated within the failure budget of *outage*.

    :param clock: The clock of *outage*.
    :param sleep: Waits for a number of seconds.
    :raises AirbyteError: A permanent error, or the failure budget is spent.
    """
    while True:
        try:
            return await read()
        except AirbyteError as error:
            now = clock()
            if message := outage.message(error, now=now):
                log.warning(message)
            pause = outage.next_read(error, now=now)
            if pause is None:
                raise
            await sleep(pause)
