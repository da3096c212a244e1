"""The hook: the client's operations as blocking methods."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteConfigError,
    AirbyteConnection,
    AirbyteSettings,
    AirbyteSettingsNotFoundError,
    Job,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.blocking import blocking_client
from airflow_provider_airbyte_sme.api.resources.outages import read_through_outage
from airflow_provider_airbyte_sme.api.waiting import Outage
from airflow_provider_airbyte_sme.connection import (
    DEFAULT_CONN_ID,
    settings_from_connection,
    unknown_connection,
)
from airflow_provider_airbyte_sme.get_provider_info import (
    CONN_FIELDS,
    CONNECTION_TYPE,
    UI_FIELD_BEHAVIOUR,
)
from airflow_provider_airbyte_sme.hooks.operations import AirbyteOperations

R = TypeVar("R")


class AirbyteHook(AirbyteOperations, BaseHook):
    """
    Blocking calls to the Airbyte of an Airflow connection.

    Constructing a hook does no I/O: the first call reads the connection and requests a token.

    :param airbyte_conn_id: Id of the Airflow connection. It may have any type, so a connection of
        the official provider works.
    """

    conn_name_attr = "airbyte_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONNECTION_TYPE
    hook_name = "Airbyte SME"

    def __init__(self, airbyte_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()
        self.airbyte_conn_id = airbyte_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """
        Return the extra fields of the form for Airflow 2.11 to 3.1; later ones read provider info.

        All are text fields: the form of 2.11 resets a false to its default of true, and refuses to
        save a cleared number. Empty without Flask-AppBuilder, for which Airflow 3.1 has a stand-in:
        an ImportError would cost the labels too.
        """
        try:
            from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
            from wtforms import PasswordField, StringField
        except ImportError:
            return {}

        widgets: dict[str, Any] = {}
        for name, conn_field in CONN_FIELDS.items():
            schema = conn_field["schema"]
            is_flag = "boolean" in schema["type"]
            is_password = schema.get("format") == "password"
            widget = BS3PasswordFieldWidget() if is_password else BS3TextFieldWidget()
            # Otherwise the form is empty where there is a password, and saving it deletes that.
            widget.hide_value = False
            widgets[name] = (PasswordField if is_password else StringField)(
                label=conn_field["label"] + (" (true or false)" if is_flag else ""),
                description=conn_field["description"],
                default=json.dumps(schema["default"]) if "default" in schema else "",
                widget=widget,
            )
        return widgets

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels and placeholders of the form for Airflow 2.11 to 3.1."""
        return {key.replace("-", "_"): value for key, value in UI_FIELD_BEHAVIOUR.items()}

    @cached_property
    def settings(self) -> AirbyteSettings:
        """
        The settings, read once from the Airflow connection.

        :raises AirbyteConfigError: A field is invalid.
        :raises AirbyteSettingsNotFoundError: Airflow does not find the connection.
        """
        try:
            connection = self.get_connection(self.airbyte_conn_id)
        except AirflowNotFoundException as error:
            raise unknown_connection(self.airbyte_conn_id) from error
        return settings_from_connection(connection)

    @cached_property
    def client(self) -> AirbyteClient:
        """The client that all calls of this hook share."""
        return blocking_client(self.settings)

    def get_conn(self) -> AirbyteClient:
        """Return :attr:`client`; run its coroutines with :func:`~.api.run_blocking`."""
        return self.client

    def get_job_url(self, job: Job, connection: AirbyteConnection | None = None) -> str:
        """
        Return the page of Airbyte's UI that shows *job*; empty if its connection is unreadable.

        :param connection: The connection of the job, which is read if it is not given.
        """
        connection = connection or self.find_connection_of_job(job)
        return self.settings.urls.job_page(connection, job.job_id) if connection else ""

    def read_through_outage(
        self, read: Callable[[], R], *, poll_interval: float, failure_budget: float
    ) -> R:
        """
        Return the result of *read*, repeated while Airbyte is unavailable.

        :param read: Calls methods of this hook.
        :param poll_interval: Seconds between two failed reads.
        :param failure_budget: Seconds without a good response after which to give up.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """
        session = self.client.session

        async def attempt() -> R:
            return read()

        return run_blocking(
            read_through_outage(
                attempt,
                Outage(session.clock(), poll_interval, failure_budget),
                clock=session.clock,
                sleep=session.sleep,
            )
        )

    def test_connection(self) -> tuple[bool, str]:
        """
        Check step by step whether the Airflow connection works.

        :return: Whether all steps passed, and either what was found or what to change.
        """
        # Late: only the connection form needs it.
        from airflow_provider_airbyte_sme.api.doctor import (
            MAX_WORKSPACES,
            TEST_STEPS,
            TEST_TIME_LIMIT,
            Outcome,
            Subject,
            run_checks,
        )
        from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport

        try:
            subject = Subject(self.settings, RequestsTransport, time_limit=TEST_TIME_LIMIT)
            subject.client  # noqa: B018  it reads the files that the settings name
        except (AirbyteConfigError, AirbyteSettingsNotFoundError) as error:
            return False, str(error)
        checks = run_blocking(run_checks(subject, TEST_STEPS))
        for check in checks:
            if check.outcome is Outcome.FAILED:
                return False, check.message
        instance, count = subject.instance, len(subject.workspaces)
        name = " ".join(part for part in ("Airbyte", instance.edition, instance.version) if part)
        more = " or more" if count == MAX_WORKSPACES else ""
        found = f": {count}{more} {'workspace' if count == 1 else 'workspaces'}" if count else ""
        connected = f"Connected to {name} at {self.settings.urls.web}{found}."
        warnings = [check.message for check in checks if check.outcome is Outcome.WARNING]
        return True, " ".join([connected, *warnings])
