"""Turns for triggers that start at the same moment."""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

# So many triggers start in one turn of the event loop: about 2 ms of work.
_PER_TURN = 20


class _Queue:
    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    def join(self) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._admit)
        turn = loop.create_future()
        self._waiting.append(turn)
        return turn

    def _admit(self) -> None:
        for _ in range(min(_PER_TURN, len(self._waiting))):
            turn = self._waiting.popleft()
            if not turn.done():  # its task may have been cancelled
                turn.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._admit)


_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()


async def take_turn() -> None:
    """
    Wait for one's turn.

    Thousands of triggers that start at the same moment would otherwise run their first steps one
    after another, and nothing else in the event loop would run until the last of them has.
    """
    loop = asyncio.get_running_loop()
    queue = _queues.get(loop)
    if queue is None:
        queue = _queues[loop] = _Queue()
    await queue.join()
