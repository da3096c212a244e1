"""What the rewriter leaves to a person, each with its place in the documentation."""

from __future__ import annotations

from enum import Enum

DOCUMENT = "docs/how-to/move-from-the-official-provider.md"
_URL = f"https://github.com/airflow-provider-airbyte-sme/airflow-provider-airbyte-sme/blob/main/{DOCUMENT}"
MARK = "TODO(airbyte-sme)"


class Reason(Enum):
    """One reason: the anchor of its heading in :data:`DOCUMENT`, and what the comment says."""

    KEYWORDS = (
        "keyword-arguments",
        "rename asynchronous, wait_seconds and api_version in these keyword arguments, and pass "
        "airbyte_conn_id if they do not",
    )
    DEFAULT_ARGS = (
        "airbyte_conn_id-and-default_args",
        "check whether default_args have airbyte_conn_id; without one, it must be "
        "'airbyte_default' here",
    )
    UNKNOWN_DEFAULT_ARGS = (
        "default_args-from-elsewhere",
        "if these default_args have asynchronous or wait_seconds, rename them there",
    )
    RENAMED_KEYS = (
        "renamed-keys",
        "asynchronous, wait_seconds or api_version of this mapping was renamed or removed",
    )
    ATTRIBUTES = (
        "attributes-of-tasks",
        "a task has wait_for_completion and poll_interval, not asynchronous and wait_seconds",
    )
    OTHER_OPERATORS = (
        "default_args-reach-other-operators",
        "check that no other operator of the DAG takes these default_args",
    )
    MAPPED_ASYNCHRONOUS = (
        "mapped-asynchronous",
        "wait_for_completion is the opposite of asynchronous: invert the values",
    )
    NO_TIMEOUT = ("no-timeout", "the official operator waited without a limit, this one 24 hours")
    POKES = (
        "pokes-and-deferrable",
        "exponential_backoff, max_wait and silent_fail are refused with deferrable=True",
    )
    CONNECTION_ID = ("connection_id-is-no-uuid", "connection_id must be a UUID, or a template")
    CONN_ID = (
        "airbyte_conn_id-is-no-text",
        "airbyte_conn_id must be text: remove the comma or the brackets around it",
    )
    CONTEXT = (
        "execute-without-a-context",
        "execute needs the context of the running task, such as get_current_context()",
    )
    JOB_ID = (
        "the-job-id",
        "the task returns a dict: if this reads the result of an Airbyte sync, take its 'job_id'",
    )
    SUBCLASS = (
        "subclasses",
        "check what this class uses of the official one, and what other files pass to it",
    )
    CLASS_ELSEWHERE = (
        "classes-that-are-created-elsewhere",
        "check the parameters where this class is created",
    )
    SEVERAL_CLASSES = (
        "names-for-several-classes",
        "this name may also be another class: check the parameters",
    )
    HOOK_MEMBER = ("other-members-of-the-hook", "the hook has no such member")
    MAY_BE_HOOK = (
        "objects-that-may-be-the-hook",
        "if this is Airbyte's hook, rewrite the call",
    )
    REQUEST_TIMEOUT = (
        "request-timeout",
        "the hook has no timeout: set request_timeout of the Airflow connection",
    )
    WAIT_FOR_JOB = (
        "wait_for_job",
        "after its timeout, wait_for_job raises AirbyteJobTimeoutError, and the job runs on",
    )
    JOB_FIELDS = ("fields-of-a-job", "hook methods return a Job with other fields")
    ERRORS = ("errors-of-the-hook", "the hook raises AirbyteError, not AirflowException")
    MOCKS = ("mocks", "the patched method returns something else")
    TRIGGER = (
        "triggers",
        "the trigger has other parameters and events: use the operator or the sensor",
    )
    SDK = (
        "airbyte_api",
        "airbyte_api was installed with the official provider: use the hook, or install it",
    )
    NO_SUCH_NAME = ("names-that-do-not-exist-here", "there is no such name in this provider")

    @property
    def anchor(self) -> str:
        """The anchor of its heading."""
        return str(self.value[0])

    @property
    def comment(self) -> str:
        """The whole comment."""
        return f"# {MARK}: {self.value[1]}, see {_URL}#{self.anchor}"
