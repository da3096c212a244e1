"""One line in the log for each change of what keeps a feed from reading Airbyte."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable

from airflow_provider_airbyte_sme.api import AirbyteError
from airflow_provider_airbyte_sme.api.errors import AirbyteApiError, one_line
from airflow_provider_airbyte_sme.api.retry import is_outage
from airflow_provider_airbyte_sme.api.scrubbing import scrub
from airflow_provider_airbyte_sme.api.waiting import MAX_OUTAGE_PAUSE, duration_text
from airflow_provider_airbyte_sme.api.waiting.changes import UnusableListError
from airflow_provider_airbyte_sme.api.waiting.wait import demanded_pause

log = logging.getLogger(__name__)


class Trouble:
    """
    What is wrong with the reads of one feed.

    :param airbyte_conn_id: Id of the Airflow connection, for messages.
    """

    def __init__(self, airbyte_conn_id: str) -> None:
        self._where = f"Airflow connection {airbyte_conn_id}"
        self._kind: Hashable = None
        self._began = 0.0
        self._is_suspected = self._is_unreadable = False

    def note(self, error: Exception) -> None:
        """
        Note that Airbyte could not be read.

        One failure that may pass by itself is not told: the next attempt follows soon.
        """
        kind = _kind_of(error)
        if self._kind is None and not self._is_suspected:
            self._began = time.monotonic()
            self._is_suspected = isinstance(error, AirbyteError) and is_outage(error)
            if self._is_suspected:
                return
        if kind == self._kind:
            return
        self._kind = kind
        if isinstance(error, AirbyteError | UnusableListError):
            log.warning(
                "%s: syncs are not watched at the moment, and it is tried again and again: %s",
                self._where,
                _text(error),
            )
        else:
            log.error("%s: the watch for syncs has failed: %r", self._where, error, exc_info=error)

    def end(self) -> None:
        """Note that Airbyte was read."""
        self._is_suspected = False
        if self._kind is None:
            return
        self._kind = None
        lasted = duration_text(time.monotonic() - self._began)
        log.info("%s: syncs are watched again, after %s.", self._where, lasted)

    def note_unreadable(self, error: AirbyteError) -> None:
        """Note that the Airflow connection cannot be read, while Airbyte still can."""
        if not self._is_unreadable:
            log.warning(
                "%s cannot be read again, so syncs are watched with what it contained before, "
                "until the triggerer restarts: %s",
                self._where,
                error,
            )
        self._is_unreadable = True

    def end_unreadable(self) -> None:
        """Note that the Airflow connection was read."""
        self._is_unreadable = False


def pause_after(error: Exception, failures: int, poll_interval: float) -> float:
    """
    Return the seconds until the next attempt, up to ``MAX_OUTAGE_PAUSE``.

    :param failures: How many attempts in a row have failed.
    """
    demanded = demanded_pause(error) if isinstance(error, AirbyteError) else 0.0
    doubled = poll_interval * 2.0 ** min(failures - 1, 16)
    return min(max(doubled, demanded), MAX_OUTAGE_PAUSE)


def _kind_of(error: Exception) -> Hashable:
    """Return what stays the same while the situation does: texts have ids and durations in them."""
    if isinstance(error, AirbyteApiError):
        return (type(error), error.status)
    if isinstance(error, AirbyteError) and is_outage(error):
        return (type(error),)
    return (type(error), str(error))


def _text(error: Exception) -> str:
    if isinstance(error, UnusableListError):
        return f"the list of jobs is unusable, because {one_line(scrub(str(error)))}."
    return str(error)
