"""One wait of a trigger: its Airflow connection, the job watcher, and the deadline."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from functools import partial

from airflow_provider_airbyte_sme.api import AirbyteError, AirbyteSettings, Job
from airflow_provider_airbyte_sme.api.resources.outages import read_through_outage
from airflow_provider_airbyte_sme.api.retry import is_outage, may_be_outdated_settings
from airflow_provider_airbyte_sme.api.waiting import FAILURE_BUDGET, Wait, unreadable
from airflow_provider_airbyte_sme.api.waiting.watches import Watch
from airflow_provider_airbyte_sme.api.waiting.watchlist import DEADLINE_MARGIN
from airflow_provider_airbyte_sme.triggers.settings import read_settings
from airflow_provider_airbyte_sme.triggers.watcher import SettingsChangedError, wait_for

log = logging.getLogger(__name__)


async def watch_until_deadline(
    make_watch: Callable[[Wait], Watch],
    *,
    airbyte_conn_id: str,
    deadline: float,
    poll_interval: float,
    connection_name: str,
    began_at: float = 0.0,
    usual_duration: float | None = None,
    has_warned: bool = False,
) -> Job:
    """
    Wait with the settings of an Airflow connection, and with new ones if it changes.

    :param make_watch: Returns what to wait for.
    :param deadline: When to give up, in seconds since the epoch.
    :param poll_interval: Seconds between two reads, above 0.
    :param connection_name: Name of the Airbyte connection, for messages.
    :param began_at: When the job was created or the wait began, in seconds since the epoch, for
        messages; 0: now.
    :param usual_duration: Seconds that such a job usually takes, for messages, if that is known.
    :param has_warned: Whether the log says already that the job is slow.
    :return: The job that ended the wait. It may have failed.
    :raises AirbyteError: The time is over, or the wait cannot go on.
    """
    now = time.time()
    wait = Wait(
        time.monotonic(),
        poll_interval,
        max(0.0, deadline - now),
        FAILURE_BUDGET,
        connection_name,
        elapsed_before=max(0.0, now - began_at) if began_at else 0.0,
        usual_duration=usual_duration,
        has_warned=has_warned,
    )
    settings = await find_settings(airbyte_conn_id, make_watch(wait))
    while True:
        try:
            return await wait_for(make_watch(wait), settings, airbyte_conn_id=airbyte_conn_id)
        except SettingsChangedError as changed:
            newer = changed.settings
        except AirbyteError as error:
            if is_outage(error) or not may_be_outdated_settings(error):
                raise
            newer = await find_settings(airbyte_conn_id, make_watch(wait))
            if newer == settings:
                raise
        log.info("Airflow connection %s has changed: trying again.", airbyte_conn_id)
        settings = newer


async def find_settings(airbyte_conn_id: str, watch: Watch) -> AirbyteSettings:
    """
    Read an Airflow connection, within the time and the failure budget of *watch*.

    :raises AirbyteError: The time is over, the failure budget is spent, or the error is permanent.
    """
    wait = watch.wait
    latest = wait.deadline + DEADLINE_MARGIN - time.monotonic()
    try:
        async with asyncio.timeout(latest if math.isfinite(latest) else None):
            return await read_through_outage(
                partial(read_settings, airbyte_conn_id),
                wait.outage(now=time.monotonic()),
                clock=time.monotonic,
                sleep=asyncio.sleep,
            )
    except TimeoutError:
        raise watch.timeout_error() from None
    except AirbyteError as error:
        if wait.is_over_after(error, now=time.monotonic()):
            raise watch.timeout_error(unreadable(error)) from error
        raise
