"""Operators that sync, clear, refresh, cancel and list Airbyte connections."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast, get_args

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteConnection,
    AirbyteJobTimeoutError,
    CreatedJob,
    Job,
    JobType,
    Ownership,
)
from airflow_provider_airbyte_sme.api.errors import one_line
from airflow_provider_airbyte_sme.api.models import label
from airflow_provider_airbyte_sme.api.resources.job_starts import (
    CANCEL_PATIENCE,
    RefreshMode,
)
from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL, duration_text
from airflow_provider_airbyte_sme.operators.base import (
    JOB_LINKS,
    AirbyteConnectionOperator,
    AirbyteJobLink,
    AirbytePageLink,
    AirbyteWorkspaceOperator,
    push_job,
)
from airflow_provider_airbyte_sme.operators.data_jobs import AirbyteDataJobOperator
from airflow_provider_airbyte_sme.operators.jobs import AirbyteJobOperator, OnRunning
from airflow_provider_airbyte_sme.operators.streams import AirbyteStreamsOperator
from airflow_provider_airbyte_sme.outcome import (
    TrackedJob,
    cancel_text,
    failing_fast,
    no_job_result,
)
from airflow_provider_airbyte_sme.parameters import (
    Seconds,
    check_one_is_given,
    check_unless_template,
    given_one,
    validate_choice,
    validate_confirmation,
    validate_flag,
    validate_job_id,
    validate_name,
    validate_names,
    validate_seconds,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = [
    "AirbyteCancelJobOperator",
    "AirbyteClearOperator",
    "AirbyteJobLink",
    "AirbyteJobOperator",
    "AirbyteListConnectionsOperator",
    "AirbytePageLink",
    "AirbyteRefreshOperator",
    "AirbyteTriggerSyncOperator",
    "OnRunning",
]

# Seconds.
DEFAULT_CANCEL_TIMEOUT = 600.0
# Seconds after which a job that is still running is cancelled once more.
_CANCEL_AGAIN_AFTER = 60.0
# Airflow's own default of [core] max_map_length.
_MAX_MAP_LENGTH = 1024


class AirbyteTriggerSyncOperator(AirbyteDataJobOperator):
    """
    Start a sync of an Airbyte connection and wait until its data has arrived.

    Its parameters and result are those of :class:`~.operators.data_jobs.AirbyteDataJobOperator`.
    With ``on_running="attach"``, it attaches to every job that writes rows.
    """

    job_type = JobType.SYNC

    def does_the_same(self, job: Job) -> bool:
        """Whether *job* writes rows, as a refresh does too."""
        return job.moves_data


class AirbyteClearOperator(AirbyteStreamsOperator):
    """
    Delete what an Airbyte connection has written to its destination, and the state of its syncs.

    The next sync starts from the beginning. Airbyte itself would silently cancel a job that is
    running: this operator looks for one first, and applies *on_running* to it. What starts in the
    moment between is cancelled. With ``on_running="attach"``, it attaches to every other clear,
    whatever its streams.

    Its other parameters and its result are those of
    :class:`~.operators.streams.AirbyteStreamsOperator`. Clearing single streams needs Airbyte's
    config API, and any clear needs the role of an editor.

    :param confirm: Must be true, or nothing is deleted. (templated)
    :raises AirbyteConfigError: *confirm* is not true.
    """

    job_type = JobType.CLEAR
    template_fields: Sequence[str] = (*AirbyteStreamsOperator.template_fields, "confirm")

    def __init__(self, *, confirm: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.confirm = confirm
        check_unless_template(self._check_confirmation, confirm, "confirm")

    def _check_confirmation(self, confirm: object, name: str) -> None:
        streams = "all streams" if self._takes_all else f"streams {one_line(str(self.streams))}"
        connection = self.connection_name or self.connection_id
        deleted = f"the data and the state of {streams} of connection {connection!r}"
        validate_confirmation(confirm, name, deleted)

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        self._check_confirmation(self.confirm, "confirm")

    def start_job(self, connection: AirbyteConnection) -> CreatedJob:
        """Start the clear, unless a job is running."""
        if self._takes_all:
            return super().start_job(connection)
        return self.hook.clear_streams(
            connection.connection_id,
            self._selected(connection),
            creation=self._creation,
            timeout=self._seconds_left(),
        )


class AirbyteRefreshOperator(AirbyteStreamsOperator, AirbyteDataJobOperator):
    """
    Read the streams of an Airbyte connection again from the beginning.

    Its other parameters and its result are those of
    :class:`~.operators.streams.AirbyteStreamsOperator` and
    :class:`~.operators.data_jobs.AirbyteDataJobOperator`. It needs Airbyte's config API, and a
    destination that supports refreshes. Airbyte starts no refresh while a job is running, but
    would turn the next sync into one: this operator looks for a job first, and applies *on_running*
    to it. With ``attach``, it attaches to every other refresh, whatever its streams.

    :param mode: ``merge`` keeps the rows of before; ``truncate`` removes them once the new ones
        have arrived. (templated)
    :raises AirbyteConfigError: An argument that is not a template is invalid.
    """

    job_type = JobType.REFRESH
    template_fields: Sequence[str] = (*AirbyteDataJobOperator.template_fields, "streams", "mode")

    def __init__(self, *, mode: RefreshMode | str = "merge", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        check_unless_template(_check_mode, mode, "mode")

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        _check_mode(self.mode, "mode")

    def start_job(self, connection: AirbyteConnection) -> CreatedJob:
        """Start the refresh, unless a job is running."""
        return self.hook.refresh_connection(
            connection.connection_id,
            cast("RefreshMode", self.mode),
            self._selected(connection),
            creation=self._creation,
            timeout=self._seconds_left(),
        )


def _check_mode(mode: str, name: str) -> None:
    validate_choice(mode, name, get_args(RefreshMode))


class AirbyteCancelJobOperator(AirbyteConnectionOperator):
    """
    Cancel a job, or whatever job is running on a connection, and wait until it has ended.

    A job that has ended before is left as it is, and so is every other job of its connection: the
    task succeeds and says so. Airbyte cancels what is running on the connection of the job, so the
    job is read just before each request.

    :param airbyte_job_id: Job number, or the result of a task with a ``job_id``, or the text of
        either. (templated)
    :param connection_id: UUID of the connection whose running job is cancelled, instead, whoever
        has started it. (templated)
    :param connection_name: Its name, instead, with *workspace* or *workspace_id*. (templated)
    :param poll_interval: Time between two reads of the job's status: a ``timedelta``, or seconds.
        (templated)
    :param timeout: Time to wait until the job has ended, by default 10 minutes: a ``timedelta``, or
        seconds. (templated)
    :return: The dict of :class:`AirbyteJobOperator` for the job as it has ended. If nothing is
        running on the connection, the same keys with ``job_id`` ``None`` and ``status`` ``absent``.
    :raises AirbyteConfigError: An argument that is not a template is invalid.
    :raises AirbyteJobTimeoutError: The job was still running when *timeout* was over.
    """

    template_fields: Sequence[str] = (
        *AirbyteConnectionOperator.template_fields,
        "airbyte_job_id",
        "poll_interval",
        "timeout",
    )
    operator_extra_links = JOB_LINKS

    def __init__(
        self,
        *,
        airbyte_job_id: int | str | Mapping[str, Any] | Sequence[Any] | None = None,
        poll_interval: Seconds = DEFAULT_POLL_INTERVAL,
        timeout: Seconds = DEFAULT_CANCEL_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.airbyte_job_id = airbyte_job_id
        self._check_ways()
        self.poll_interval = check_unless_template(validate_seconds, poll_interval, "poll_interval")
        self.timeout = check_unless_template(validate_seconds, timeout, "timeout")

    @property
    def _ways(self) -> Mapping[str, object]:
        return {"airbyte_job_id": self.airbyte_job_id, **super()._ways}

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        self.poll_interval = validate_seconds(self.poll_interval, "poll_interval")
        self.timeout = validate_seconds(self.timeout, "timeout")

    def execute(self, context: Context) -> dict[str, Any]:
        """Cancel the job and wait for its end."""
        with failing_fast():
            self._validate_parameters()
            if given_one(**self._ways) == "airbyte_job_id":
                job = self.hook.get_job(validate_job_id(self.airbyte_job_id, "airbyte_job_id"))
                return self._end(context, job, self.hook.find_connection_of_job(job))
            connection = self._find_connection()
            running = self.hook.find_running_job(connection.connection_id)
            if running is None:
                self.log.info("No job of connection %s is running: nothing to cancel.", connection)
                return no_job_result(connection.connection_id)
            return self._end(context, running, connection)

    def _end(
        self, context: Context, job: Job, connection: AirbyteConnection | None
    ) -> dict[str, Any]:
        """
        Return the result for *job*, which is cancelled unless it has ended.

        :param connection: Its connection; ``None`` if that is unreadable.
        """
        name, url = "", ""
        if connection is not None:
            name, url = connection.name, self.hook.get_job_url(job, connection)
        tracked = TrackedJob(job, Ownership.FOREIGN, time.time() + self.timeout, url, name)
        push_job(context, tracked)
        if job.is_terminal:
            self.log.info("%s had ended before: %s. Nothing is cancelled.", tracked, job.status)
            return tracked.result()
        self.log.info(
            "Cancelling %s job %s of connection %s, whoever started it: it is %s, and was created "
            "at %s. %s",
            job.job_type,
            job.job_id,
            label(job.connection_id, name),
            job.status,
            job.started_at,
            url,
        )
        ended = tracked.with_job(self._cancel(tracked))
        self.log.info("%s: %s", ended, cancel_text(ended.job))
        return ended.result()

    def _cancel(self, tracked: TrackedJob) -> Job:
        """
        Cancel a job, again if that has no effect, until it has ended.

        :raises AirbyteJobTimeoutError: It is still running when the time is over.
        """
        job_id = tracked.job.job_id
        while True:
            left = max(0.0, tracked.deadline - time.time())
            job = self.hook.cancel_job(job_id, patience=min(left, CANCEL_PATIENCE))
            if job.is_terminal:
                return job
            try:
                return self.hook.wait_for_job(
                    job_id,
                    poll_interval=self.poll_interval,
                    timeout=min(left, _CANCEL_AGAIN_AFTER),
                    connection_name=tracked.connection_name,
                    last_read=job,
                )
            except AirbyteJobTimeoutError as timeout:
                if time.time() >= tracked.deadline:
                    raise AirbyteJobTimeoutError(
                        f"{tracked}: {cancel_text(timeout.job)} (timeout: "
                        f"{duration_text(self.timeout)}) {tracked.job_url}".rstrip(),
                        job=timeout.job,
                    ) from None
                self.log.warning("%s Cancelling it once more.", timeout)


class AirbyteListConnectionsOperator(AirbyteWorkspaceOperator):
    """
    List connections of a workspace, for ``.expand(connection_id=…)`` of another operator.

    :param tags: Names of tags, of which a connection must have at least one; by default any
        connection. (templated)
    :param name_pattern: What its name must match, with the wildcards of :mod:`fnmatch`: ``*`` for
        any text, ``?`` for one character, ``[abc]`` for one of these. The case matters. (templated)
    :param active_only: Whether inactive and locked connections are left out: Airbyte refuses to
        sync them.
    :return: The sorted UUIDs of the connections that meet every condition. A deleted one never
        does.
    :raises AirbyteConfigError: An argument that is not a template is invalid.
    """

    template_fields: Sequence[str] = (
        *AirbyteWorkspaceOperator.template_fields,
        "tags",
        "name_pattern",
    )

    def __init__(
        self,
        *,
        tags: str | Sequence[str] | None = None,
        name_pattern: str | None = None,
        active_only: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_one_is_given(**self._workspace_ways)
        self.tags = tags
        self.name_pattern = name_pattern
        self.active_only = validate_flag(active_only, "active_only")
        if tags is not None:
            check_unless_template(validate_names, tags, "tags")
        if name_pattern is not None:
            check_unless_template(validate_name, name_pattern, "name_pattern")
        self._takes_any_tag, self._takes_any_name = tags is None, name_pattern is None

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        self._validate_workspace()
        if not self._takes_any_tag:
            self.tags = validate_names(self.tags, "tags")
        if not self._takes_any_name:
            self.name_pattern = validate_name(self.name_pattern, "name_pattern")

    def execute(self, context: Context) -> list[str]:
        """List them."""
        with failing_fast():
            self._validate_parameters()
            workspace_id = self._find_workspace_id()
            connections = self.hook.list_airbyte_connections(
                workspace_ids=[workspace_id], tag_ids=self._find_tag_ids(workspace_id)
            )
        found = [connection for connection in connections if self._is_wanted(connection)]
        self.log.info("%d connections: %s", len(found), ", ".join(sorted(map(str, found))))
        self._warn_of_too_many(len(found))
        return sorted(connection.connection_id for connection in found)

    def _is_wanted(self, connection: AirbyteConnection) -> bool:
        if connection.is_deleted or (self.active_only and not connection.is_active):
            return False
        return self.name_pattern is None or fnmatchcase(connection.name, self.name_pattern)

    def _find_tag_ids(self, workspace_id: str) -> list[str]:
        """
        Return the ids of the tags; none if no tag is asked for.

        :raises AirbyteConfigError: A tag does not exist.
        """
        if self.tags is None:
            return []
        existing = self.hook.list_tags(workspace_ids=[workspace_id])
        ids = {tag.name: tag.tag_id for tag in existing}
        if unknown := [name for name in self.tags if name not in ids]:
            there = f"there are {', '.join(map(repr, sorted(ids)))}" if ids else "there is none"
            raise AirbyteConfigError(
                f"Workspace {workspace_id} has no tag named {' or '.join(map(repr, unknown))}: "
                f"{one_line(there)}."
            )
        return [ids[name] for name in self.tags]

    def _warn_of_too_many(self, count: int) -> None:
        # Late, as in `resolve_deferrable`.
        from airflow.providers.common.compat.sdk import conf

        limit = conf.getint("core", "max_map_length", fallback=_MAX_MAP_LENGTH)
        if count > limit:
            self.log.warning(
                "These are %d connections, but Airflow maps a task over at most %d: narrow the "
                "list, or raise [core] max_map_length.",
                count,
                limit,
            )
