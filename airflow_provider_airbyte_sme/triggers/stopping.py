"""What a stopped trigger still has to do, although Airflow cancels it again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

# An event loop has only weak references to its tasks.
_unfinished: set[asyncio.Task[None]] = set()


async def finish(work: Coroutine[Any, Any, None]) -> None:
    """
    Await *work* to its end, also if the caller is cancelled meanwhile.

    While ``on_kill`` runs, Airflow 3.3.2 cancels the trigger again about once per second
    (``TriggerRunnerSupervisor`` sends the ids to cancel until the triggers have finished), and
    ends ``on_kill`` with that, without a word. *work* needs a limit in time of its own.
    """
    task = asyncio.create_task(work)
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    if not task.cancelled():
        task.result()
