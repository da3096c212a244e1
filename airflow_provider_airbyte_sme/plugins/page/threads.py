"""Threads that do not hold up the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple


class _Work(NamedTuple):
    future: Future[Any]
    run: Callable[[], Any]

    def do(self) -> None:
        if self.future.set_running_or_notify_cancel():
            try:
                self.future.set_result(self.run())
            except BaseException as error:
                self.future.set_exception(error)


class DaemonThreads(Executor):
    """
    A few threads that are abandoned when the process ends.

    Python would wait for those of ``ThreadPoolExecutor`` until all their work is done, so an
    Airbyte that is slow would keep Airflow's API server from stopping.

    :param count: How many there are at most.
    :param name: Their names begin with it.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._is_closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """
        Have a thread call *fn*.

        :raises RuntimeError: It was shut down.
        """
        work = _Work(Future(), partial(fn, *args, **kwargs))
        with self._lock:
            if self._is_closed:
                raise RuntimeError("cannot submit work after shutdown")
            self._queue.put(work)
            if len(self._threads) < self._count:
                name = f"{self._name}_{len(self._threads)}"
                thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        return work.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """
        End the threads when their work is done.

        :param wait: Whether to wait for that.
        :param cancel_futures: Whether to drop the work that has not begun.
        """
        with self._lock:
            self._is_closed = True
            if cancel_futures:
                self._drop_all()
            for _ in self._threads:
                self._queue.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _drop_all(self) -> None:
        with suppress(Empty):
            while True:
                if work := self._queue.get_nowait():
                    work.future.cancel()

    def _run(self) -> None:
        while work := self._queue.get():
            work.do()
            del work  # while it waits, a thread keeps nothing alive
