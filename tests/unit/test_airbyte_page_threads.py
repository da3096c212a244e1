"""The threads of the page: they work like those of Python, but end with the process."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from airflow_provider_airbyte_sme.plugins.page.threads import DaemonThreads


def names() -> set[str]:
    return {each.name for each in threading.enumerate() if each.name.startswith("of-this-test")}


def test_they_return_what_was_computed_and_raise_what_was_raised():
    threads = DaemonThreads(1, "of-this-test")

    assert threads.submit(divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(divmod, 7, 0).result()
    # The thread has survived that.
    assert threads.submit(max, 1, 2, key=lambda each: -each).result() == 1
    threads.shutdown()
    assert names() == set()


def test_there_are_never_more_than_asked_for():
    threads = DaemonThreads(2, "of-this-test")
    go_on = threading.Event()

    work = [threads.submit(go_on.wait) for _ in range(5)]

    assert names() == {"of-this-test_0", "of-this-test_1"}
    go_on.set()
    assert all(each.result() for each in work)
    threads.shutdown()


def test_what_has_not_begun_can_be_dropped():
    threads = DaemonThreads(1, "of-this-test")
    has_begun, go_on = threading.Event(), threading.Event()

    def begin() -> bool:
        has_begun.set()
        return go_on.wait()

    first = threads.submit(begin)
    second = threads.submit(print)
    has_begun.wait()
    threads.shutdown(wait=False, cancel_futures=True)
    go_on.set()

    assert first.result()
    with pytest.raises(CancelledError):
        second.result()
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(print)
    threads.shutdown()
    assert names() == set()
