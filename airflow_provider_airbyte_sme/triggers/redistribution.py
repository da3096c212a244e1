"""Whether a trigger was stopped because its task is over, or because it runs elsewhere now."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow.triggers.base import BaseTrigger


async def is_still_deferred(trigger: BaseTrigger) -> bool:
    """
    Return whether the task of *trigger*, which Airflow has stopped, waits all the same.

    Airflow 3.3.2 calls ``on_kill`` whenever a trigger is not assigned to its triggerer any more.
    The reason may be a user, who has cleared or marked the task. But it may also be that another
    triggerer has taken the trigger over, because the heartbeat of this one was late.

    :raises Exception: Airflow's API server cannot be asked.
    """
    # Airflow sets it: a ``RuntimeTaskInstance``, or a plain record of one.
    ti: Any = trigger.task_instance
    if ti is None:
        return False
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    # It blocks until the event loop has got the response.
    states = await asyncio.to_thread(
        RuntimeTaskInstance.get_task_states,
        dag_id=ti.dag_id,
        run_ids=[ti.run_id],
        task_ids=[ti.task_id],
        map_index=ti.map_index,
    )
    return "deferred" in states.get(ti.run_id, {}).values()
