"""
The fault matrix: how a task ends that meets a fault, for four ways of waiting.

:mod:`.test_fault_matrix` plays each cell over real sockets, and ``docs/reliability.md`` shows the
table.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.integration import fault_scenes as s
from tests.integration.fault_scenes import (
    BLOCKING,
    DEFERRED,
    JOB_SENSOR,
    SYNC_SENSOR,
    Fault,
    Way,
)


class End(NamedTuple):
    """
    How a task ends.

    :param error: Class of the exception; empty for a success.
    :param is_retried: Whether Airflow may retry the task.
    :param says: What the message must contain.
    :param logs: What the log of the task must contain.
    :param syncs: How many syncs the task has started.
    :param cancels: How many it has cancelled.
    :param note: What else the document says about it.
    """

    error: str = ""
    is_retried: bool = False
    says: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    syncs: int = 0
    cancels: int = 0
    note: str = ""

    def but(self, note: str) -> End:
        """Return the same with a note."""
        return self._replace(note=note)


def fails(error: str, *says: str, syncs: int = 0, cancels: int = 0) -> End:
    """Return the end of a task that fails, and that Airflow may retry."""
    return End(error, True, says, (), syncs, cancels)


def fails_for_good(error: str, *says: str, syncs: int = 0, cancels: int = 0) -> End:
    """Return the end of a task that fails, and that Airflow does not retry."""
    return End(error, False, says, (), syncs, cancels)


# What the tasks say.
JOB = "Job 1 of connection 'Sample data to Warehouse'"
MAY_RUN = "cannot be watched any longer and may still be running"
CREDENTIALS = "Check Login (Client ID) and Password (Client secret)"

SYNCS = End(syncs=1)
OPENS = End()
WRONG_SECRET = fails_for_good("AirflowFailException", CREDENTIALS)
LOST = fails("AirbyteError", JOB, MAY_RUN, "503", syncs=1)
LOST_FOR_GOOD = fails_for_good("AirflowFailException", JOB, MAY_RUN, CREDENTIALS, syncs=1)
LOST_JOB = LOST._replace(syncs=0)
LOST_JOB_FOR_GOOD = LOST_FOR_GOOD._replace(syncs=0)
LOST_SYNCS = fails("AirbyteError", "Syncs of connection", "cannot be watched any longer", "503")
LOST_SYNCS_FOR_GOOD = fails_for_good(
    "AirflowFailException", "Syncs of connection", "cannot be watched any longer", CREDENTIALS
)
NOTHING_STARTED = fails("AirbyteServerError", "503")
UNKNOWN = fails("AirbyteServerError", "503", syncs=1)._replace(
    logs=("A job of connection 'Sample data to Warehouse'", "may have been created"),
    note="the log says that a sync may run",
)
NO_READ = fails("AirbyteServerError", "503")
CANCELLED = fails("AirbyteJobCancelledError", JOB, "was cancelled", syncs=1)
JOB_CANCELLED = CANCELLED._replace(syncs=0)
NO_SYNC = fails_for_good("AirflowSensorTimeout", "No sync of connection", "has completed")
INACTIVE = fails_for_good("AirflowFailException", "is inactive", "Enable the connection")
DELETED = fails_for_good("AirflowFailException", "is deprecated", "remove its id from the DAG")
NO_SETTINGS = fails(
    "AirbyteSettingsNotFoundError", "Airflow did not find the connection", "secrets backend"
)


class Row(NamedTuple):
    """
    One fault.

    :param fault: What goes wrong.
    :param when: At which moment. *The request that starts* is ``POST /jobs`` of an operator, and
        the first read of a sensor.
    :param inject: Makes it happen.
    """

    fault: str
    when: str
    inject: Fault
    blocking: End
    deferred: End
    job_sensor: End
    sync_sensor: End

    def end(self, way: Way) -> End:
        """Return what is expected of a way of waiting."""
        ends = (self.blocking, self.deferred, self.job_sensor, self.sync_sensor)
        return dict(zip((BLOCKING, DEFERRED, JOB_SENSOR, SYNC_SENSOR), ends, strict=True))[way]


START = "at the request that starts"
NOT_HANDLED = "the request that starts is not handled"
HANDLED = "the request that starts is handled, its response lost"
WAIT = "during the wait"
END = "when the wait has ended"

# fmt: off
ROWS = (
    Row("A token expires before its time", START,
        s.at_start(s.expire_token),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("Tokens expire", WAIT,
        s.at_wait(s.expire_token),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("A token is revoked", START,
        s.at_start(s.revoke_token),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("A token is revoked", WAIT,
        s.at_wait(s.revoke_token),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("All tokens are refused for a minute", START,
        s.at_start(s.refuse_all_tokens),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("All tokens are refused for a minute", WAIT,
        s.at_wait(s.refuse_all_tokens),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("The client secret is rotated in Airbyte only", START,
        s.at_start(s.rotate_secret),
        WRONG_SECRET, WRONG_SECRET, WRONG_SECRET, WRONG_SECRET),
    Row("The client secret is rotated in Airbyte only", WAIT,
        s.at_wait(s.rotate_secret),
        LOST_FOR_GOOD, LOST_FOR_GOOD, LOST_JOB_FOR_GOOD, LOST_SYNCS_FOR_GOOD),
    Row("The client secret is rotated in Airbyte and Airflow", START,
        s.at_start(s.rotate_secret_everywhere),
        WRONG_SECRET, WRONG_SECRET, WRONG_SECRET, WRONG_SECRET),
    Row("The client secret is rotated in Airbyte and Airflow", WAIT,
        s.at_wait(s.rotate_secret_everywhere),
        LOST_FOR_GOOD, SYNCS, OPENS, OPENS),
    Row("The token endpoint is down for a minute", START,
        s.at_start(s.renew_with(s.error(503), s.OUTAGE)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("The token endpoint is down for a minute", WAIT,
        s.at_wait(s.renew_with(s.error(503), s.OUTAGE)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("The token endpoint is down for 15 minutes", START,
        s.at_start(s.renew_with(s.error(503), s.LONG_OUTAGE)),
        NOTHING_STARTED, NOTHING_STARTED, NO_READ, NO_READ),
    Row("The token endpoint is down for 15 minutes", WAIT,
        s.at_wait(s.renew_with(s.error(503), s.LONG_OUTAGE)),
        LOST, LOST, LOST_JOB, LOST_SYNCS),
    Row("The token endpoint answers 408 for a minute", START,
        s.at_start(s.renew_with(s.error(408), s.OUTAGE)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("The token endpoint answers 408 for a minute", WAIT,
        s.at_wait(s.renew_with(s.error(408), s.OUTAGE)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("429 with `Retry-After` in seconds", START,
        s.few_at_start(s.error(429, s.in_seconds)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("429 with `Retry-After` in seconds", WAIT,
        s.few_at_wait(s.error(429, s.in_seconds)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("429 with `Retry-After` as a date", START,
        s.few_at_start(s.error(429, s.as_a_date)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("429 with `Retry-After` as a date", WAIT,
        s.few_at_wait(s.error(429, s.as_a_date)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("429 without `Retry-After`", START,
        s.few_at_start(s.error(429)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("429 without `Retry-After`", WAIT,
        s.few_at_wait(s.error(429)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("500 for a minute", NOT_HANDLED,
        s.burst_at_start(s.error(500), executed=False),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("500 for a minute", HANDLED,
        s.burst_at_start(s.error(500), executed=True),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("500 for 5 minutes", WAIT,
        s.burst_at_wait(s.error(500)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("502 for a minute", NOT_HANDLED,
        s.burst_at_start(s.error(502), executed=False),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("502 for a minute", HANDLED,
        s.burst_at_start(s.error(502), executed=True),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("502 for 5 minutes", WAIT,
        s.burst_at_wait(s.error(502)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("503 for a minute", NOT_HANDLED,
        s.burst_at_start(s.error(503), executed=False),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("503 for a minute", HANDLED,
        s.burst_at_start(s.error(503), executed=True),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("503 for 5 minutes", WAIT,
        s.burst_at_wait(s.error(503)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("503 for 15 minutes", NOT_HANDLED,
        s.burst_at_start(s.error(503), executed=False, seconds=s.LONG_OUTAGE),
        NOTHING_STARTED, NOTHING_STARTED, NO_READ, NO_READ),
    Row("503 for 15 minutes", HANDLED,
        s.burst_at_start(s.error(503), executed=True, seconds=s.LONG_OUTAGE),
        UNKNOWN, UNKNOWN, NO_READ, NO_READ),
    Row("503 for 15 minutes", WAIT,
        s.burst_at_wait(s.error(503), s.LONG_OUTAGE),
        LOST, LOST, LOST_JOB, LOST_SYNCS),
    Row("504 for a minute", NOT_HANDLED,
        s.burst_at_start(s.error(504), executed=False),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("504 for a minute", HANDLED,
        s.burst_at_start(s.error(504), executed=True),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("504 for 5 minutes", WAIT,
        s.burst_at_wait(s.error(504)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("HTML with 200 for a minute", HANDLED,
        s.burst_at_start(s.page(200), executed=True),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("HTML with 200 for 5 minutes", WAIT,
        s.burst_at_wait(s.page(200)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("HTML with 404 for a minute", NOT_HANDLED,
        s.burst_at_start(s.page(404), executed=False),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("HTML with 404 for 5 minutes", WAIT,
        s.burst_at_wait(s.page(404)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("HTML with 502 for a minute", HANDLED,
        s.burst_at_start(s.page(502), executed=True),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("HTML with 502 for 5 minutes", WAIT,
        s.burst_at_wait(s.page(502)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("JSON that is cut off", HANDLED,
        s.few_at_start(s.half),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("JSON that is cut off", WAIT,
        s.few_at_wait(s.half),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("An empty body", HANDLED,
        s.few_at_start(s.nothing),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("An empty body", WAIT,
        s.few_at_wait(s.nothing),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("Connections are refused for a minute", START,
        s.with_relay(lambda relay: s.before_start(s.refuse_connections(relay))),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("Connections are refused for a minute", WAIT,
        s.with_relay(lambda relay: s.at_wait(s.refuse_connections(relay))),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("A reset before the request is handled", START,
        s.reset_at_start(after=False),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("A reset before the request is handled", WAIT,
        s.reset_at_wait(after=False),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("A reset after the request is handled", START,
        s.reset_at_start(after=True),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("A reset after the request is handled", WAIT,
        s.reset_at_wait(after=True),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("TLS fails for a minute: an unknown authority", START,
        s.with_tls(s.before_start),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("TLS fails for a minute: an unknown authority", WAIT,
        s.with_tls(s.at_wait),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("Responses are slower than the timeout", HANDLED,
        s.slow_at_start(s.hang),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("Responses are slower than the timeout", WAIT,
        s.slow_at_wait(s.hang),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("Responses drip, byte by byte", HANDLED,
        s.slow_at_start(s.drip),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("Responses drip, byte by byte", WAIT,
        s.slow_at_wait(s.drip),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("A proxy drops all connections", HANDLED,
        s.drop_by_proxy(lambda way: way.start, s.now),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("A proxy drops all connections", WAIT,
        s.drop_by_proxy(lambda way: way.wait, s.at_wait),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("Airbyte restarts, and is away for a minute", HANDLED,
        s.restart_at_start,
        SYNCS, SYNCS, OPENS, OPENS),
    Row("Airbyte restarts, and is away for a minute", WAIT,
        s.at_wait(s.restart),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("Airbyte's clock is ten minutes ahead", "all the time",
        s.clock_is_ahead,
        SYNCS, SYNCS, OPENS, OPENS.but("also for one that ended up to ten minutes too early")),
    Row("Airbyte's clock is ten minutes behind", "all the time",
        s.clock_is_behind,
        SYNCS, SYNCS, OPENS, NO_SYNC.but("it misses one that ended less than ten minutes later")),
    Row("The sync is `queued` for an hour", WAIT,
        s.statuses(("pending", 5), ("queued", 3600), ("running", s.SYNC), ("succeeded", None)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("The sync is `incomplete` between two attempts", WAIT,
        s.statuses(("running", 60), ("incomplete", 600), ("running", 60), ("succeeded", None)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("The sync has a status that nobody knows", WAIT,
        s.statuses(("running", 60), ("paused", 600), ("running", 60), ("succeeded", None)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("A list has a job that cannot be read beside ours", START,
        s.unreadable_job_beside,
        SYNCS, SYNCS, OPENS, OPENS),
    Row("The sync is cancelled in the UI", WAIT,
        s.at_wait(s.cancel_by_hand),
        CANCELLED, CANCELLED, JOB_CANCELLED, OPENS.but("for the next one")),
    Row("The sync is replaced by a newer one", WAIT,
        s.at_wait(s.replace_job),
        CANCELLED, CANCELLED, JOB_CANCELLED, OPENS.but("for the newer one")),
    Row("The connection is made inactive", START,
        s.without_sync(s.at_start(s.disable_connection)),
        INACTIVE, INACTIVE, OPENS.but("its sync runs on"), NO_SYNC),
    Row("The connection is made inactive", WAIT,
        s.at_wait(s.disable_connection),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("The connection is deleted", START,
        s.at_start(s.delete_connection),
        DELETED, DELETED, JOB_CANCELLED, NO_SYNC),
    Row("The connection is deleted", WAIT,
        s.at_wait(s.delete_connection),
        CANCELLED, CANCELLED, JOB_CANCELLED, NO_SYNC),
    Row("The secrets backend is away for 5 minutes", START,
        s.with_vault(s.now(s.lose_vault)),
        NO_SETTINGS, NO_SETTINGS, NO_SETTINGS, NO_SETTINGS),
    Row("The secrets backend is away for 5 minutes", WAIT,
        s.with_vault(s.at_deferral(s.lose_vault)),
        SYNCS, SYNCS, OPENS, OPENS),
    Row("The secrets backend is away for 5 minutes", END,
        s.with_vault(s.at_end(s.lose_vault)),
        SYNCS, SYNCS, OPENS, OPENS),
)
# fmt: on
