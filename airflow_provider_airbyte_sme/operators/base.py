"""What the operators have in common: the Airflow connection, and a resource by id or by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow.providers.common.compat.sdk import BaseOperator, BaseOperatorLink, XCom, conf
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS, AIRFLOW_V_3_1_PLUS

from airflow_provider_airbyte_sme.api import AirbyteConnection
from airflow_provider_airbyte_sme.connection import DEFAULT_CONN_ID
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from airflow_provider_airbyte_sme.hooks.lookups import find_connection, find_workspace_id
from airflow_provider_airbyte_sme.parameters import (
    check_one_is_given,
    check_unless_template,
    given_one,
    validate_conn_id,
    validate_name,
    validate_uuid,
)
from airflow_provider_airbyte_sme.web import PAGE_ROUTE, is_page_on

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, TaskInstanceKey

    from airflow_provider_airbyte_sme.outcome import TrackedJob

# XCom keys that are pushed before the wait begins. The link of the task reads the last one.
JOB_ID_KEY = "job_id"
CONNECTION_ID_KEY = "connection_id"
JOB_URL_KEY = "job_url"
# The one that a task pushes before the id of what it has made.
RESOURCE_URL_KEY = "resource_url"

# Airflow 3.0 resumes the retry of a task that has failed after its deferral, with the event or the
# error of the failed try: it would fail again at once. Airflow 3.1 starts it from the beginning.
_RESUMES_RETRIES = AIRFLOW_V_3_0_PLUS and not AIRFLOW_V_3_1_PLUS
# XCom key, there: the last try that was resumed. Airflow deletes it when it executes a task again.
_RESUMED_TRY_KEY = "resumed_try"


class AirbyteJobLink(BaseOperatorLink):
    """The page of Airbyte's UI that shows the task's job with its logs."""

    name = "Airbyte job"

    @property
    def xcom_key(self) -> str:
        """The XCom with the link. It is pushed before the wait begins."""
        return JOB_URL_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link; empty while there is no job."""
        return XCom.get_value(key=JOB_URL_KEY, ti_key=ti_key) or ""


class AirbytePageLink(BaseOperatorLink):
    """
    The task's connection on the page *Airbyte* in Airflow, with its last syncs.

    Airflow 3.1 or newer sets it when the task begins to wait in the triggerer, and when it ends.
    """

    name = "Airbyte syncs"

    @property
    def xcom_key(self) -> str:
        """The XCom with the link."""
        return "page_url"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link; empty while the connection is unknown, and if there is no page."""
        if not is_page_on():
            return ""
        connection_id = XCom.get_value(key=CONNECTION_ID_KEY, ti_key=ti_key)
        if not connection_id:
            return ""
        query = {"conn_id": getattr(operator, "airbyte_conn_id", ""), "q": connection_id}
        airflow = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
        return f"{airflow}/plugin/{PAGE_ROUTE}?{urlencode(query)}"


JOB_LINKS: tuple[BaseOperatorLink, ...] = (AirbyteJobLink(),)
"""The links of what starts, watches or cancels a job."""
if AIRFLOW_V_3_1_PLUS:
    JOB_LINKS = (*JOB_LINKS, AirbytePageLink())


def push_job(context: Context, tracked: TrackedJob) -> None:
    """Push id, connection and link of a job, for other tasks and for :class:`AirbyteJobLink`."""
    push_target(context, tracked.job.connection_id, tracked.job.job_id)
    context["ti"].xcom_push(key=JOB_URL_KEY, value=tracked.job_url)


def push_target(context: Context, connection_id: str, job_id: int | None = None) -> None:
    """
    Push what a task waits for, which the page in Airflow's UI shows.

    :param job_id: ``None`` if it waits for any sync of the connection.
    """
    task_instance = context["ti"]
    if job_id is not None:
        task_instance.xcom_push(key=JOB_ID_KEY, value=job_id)
    task_instance.xcom_push(key=CONNECTION_ID_KEY, value=connection_id)


def _was_left_by_an_earlier_try(context: Context) -> bool:
    """Whether an earlier try was resumed with the same deferral. Note this try for the next one."""
    ti: Any = context["ti"]
    resumed = None
    if ti.try_number > 1:
        resumed = ti.xcom_pull(key=_RESUMED_TRY_KEY, map_indexes=ti.map_index)
    ti.xcom_push(key=_RESUMED_TRY_KEY, value=ti.try_number)
    return resumed is not None and resumed != ti.try_number


class AirbyteOperator(BaseOperator):
    """
    Base class of what works on the Airbyte of an Airflow connection.

    :param airbyte_conn_id: Id of the Airflow connection. (templated)
    :raises AirbyteConfigError: An argument that is not a template is invalid.
    :raises AirflowFailException: While the task runs, an error that no retry can cure, such as an
        invalid setting or an unknown id.
    :raises AirbyteError: While the task runs, an error that a retry may cure, such as an outage.
    """

    template_fields: Sequence[str] = ("airbyte_conn_id",)
    # What a used hook has, such as locks, cannot be copied: Airflow copies operators.
    shallow_copy_attrs: Sequence[str] = ("hook",)
    ui_color = "#e4e0ff"

    def __init__(self, *, airbyte_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.airbyte_conn_id = check_unless_template(
            validate_conn_id, airbyte_conn_id, "airbyte_conn_id"
        )

    @cached_property
    def hook(self) -> AirbyteHook:
        """The hook of this task. Constructing it does no I/O."""
        return AirbyteHook(self.airbyte_conn_id)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> Any:
        """Resume after a deferral. If it was the deferral of an earlier try, execute the task."""
        if _RESUMES_RETRIES and self.retries and _was_left_by_an_earlier_try(context):
            self.log.info("Airflow resumed an earlier try's deferral. Starting from the beginning.")
            return self.execute(context)
        return super().resume_execution(next_method, next_kwargs, context)

    def _validate_parameters(self) -> None:
        """
        Check and normalise the rendered arguments, first thing in each process of the task.

        Airflow renders the templates again whenever it resumes the task.

        :raises AirbyteConfigError: One is invalid.
        """
        self.airbyte_conn_id = validate_conn_id(self.airbyte_conn_id, "airbyte_conn_id")


class AirbyteWorkspaceOperator(AirbyteOperator):
    """
    Base class of what works in one workspace, which is given by its id or by its name.

    :param workspace: Name of the workspace. (templated)
    :param workspace_id: UUID of the workspace, instead. (templated)
    """

    template_fields: Sequence[str] = (
        *AirbyteOperator.template_fields,
        "workspace",
        "workspace_id",
    )

    def __init__(
        self, *, workspace: str | None = None, workspace_id: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.workspace = workspace
        self.workspace_id = workspace_id

    @property
    def _workspace_ways(self) -> Mapping[str, object]:
        return {"workspace": self.workspace, "workspace_id": self.workspace_id}

    def _validate_workspace(self) -> None:
        if given_one(**self._workspace_ways) == "workspace":
            validate_name(self.workspace, "workspace")
        else:
            self.workspace_id = validate_uuid(self.workspace_id, "workspace_id", "workspace")

    def _find_workspace_id(self) -> str:
        """Return the UUID of the workspace, whose parameters are valid."""
        if given_one(**self._workspace_ways) == "workspace":
            return find_workspace_id(self.hook, str(self.workspace))
        return str(self.workspace_id)


class AirbyteConnectionOperator(AirbyteWorkspaceOperator):
    """
    Base class of what works on one Airbyte connection, which is given by its id or by its name.

    :param connection_id: UUID of the Airbyte connection, as in the URL of its page. (templated)
    :param connection_name: Its name in its workspace, instead: exactly as in Airbyte, and no other
        connection may have it. The task looks it up once. (templated)
    :param workspace: Name of the workspace, with *connection_name*. (templated)
    :param workspace_id: UUID of the workspace, instead. (templated)
    """

    template_fields: Sequence[str] = (
        *AirbyteWorkspaceOperator.template_fields,
        "connection_id",
        "connection_name",
    )

    def __init__(
        self,
        *,
        connection_id: str | None = None,
        connection_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connection_id = connection_id
        self.connection_name = connection_name

    @property
    def _ways(self) -> Mapping[str, object]:
        """The parameters that say what the task works on, of which one is given."""
        return {"connection_id": self.connection_id, "connection_name": self.connection_name}

    def _check_ways(self) -> None:
        """
        Check when the DAG is parsed that exactly one way is given.

        :raises AirbyteConfigError: None is, or several are.
        """
        check_one_is_given(**self._ways)
        if self.connection_name is not None:
            check_one_is_given(**self._workspace_ways)

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        way = given_one(**self._ways)
        if way == "connection_id":
            self.connection_id = validate_uuid(self.connection_id, "connection_id")
        elif way == "connection_name":
            validate_name(self.connection_name, "connection_name")
            self._validate_workspace()

    def _find_connection(self, timeout: float | None = None) -> AirbyteConnection:
        """
        Read the connection, whose parameters are valid.

        :param timeout: Seconds after which nothing is retried, if it is given by its id.
        """
        if given_one(**self._ways) == "connection_name":
            return find_connection(self.hook, str(self.connection_name), self._find_workspace_id())
        return self.hook.get_airbyte_connection(str(self.connection_id), timeout=timeout)
