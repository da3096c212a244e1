"""How long a trigger keeps its event, so that Airflow does not fail the task that it resumes."""

from __future__ import annotations

import asyncio
import time

from airflow.triggers.base import BaseTrigger

SAFE_AFTER = 10.0
"""
Seconds after a deferral from which on a task may be resumed.

The process that deferred the task ends at once. Its supervisor may notice that only after
``[workers] min_heartbeat_interval`` (5 s by default), and the scheduler reads the report in its
next loop: seen up to 6.4 s after the deferral, and 10.6 s on a machine with four times as many
runnable processes as cores. If Airflow 3.3.2 has queued the resumed task by then, it takes the
report for one of the new process, and fails the task: "finished with state success, but the task
instance's state attribute is queued".
"""


def seconds_to_hold(deferred_at: float, now: float) -> float:
    """
    Return how long to keep an event that is ready at *now*.

    :param deferred_at: When the task was deferred, in seconds since the epoch, by the clock of the
        worker. *now* is by the clock of the triggerer, which may differ.
    :return: Seconds, at least 0 and at most :data:`SAFE_AFTER`.
    """
    return min(max(0.0, deferred_at + SAFE_AFTER - now), SAFE_AFTER)


async def hold_event(trigger: BaseTrigger, deferred_at: float) -> None:
    """
    Wait until *trigger* may fire.

    :param deferred_at: See :func:`seconds_to_hold`.
    """
    # Only a triggerer gives a trigger its id. ``dag.test()`` runs it in the process of the task,
    # where nobody can report late.
    if trigger.trigger_id is not None:
        await asyncio.sleep(seconds_to_hold(deferred_at, time.time()))
