"""The hook: from an Airflow connection to an Airbyte client."""

from __future__ import annotations

import ast
import json
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteConfigError,
    AirbyteConnection,
    AirbyteError,
    AirbyteSettings,
    AirbyteTransportError,
    AirbyteUrls,
    Job,
    JobType,
    RetryPolicy,
    Workspace,
    run_blocking,
)
from airflow_provider_airbyte_sme.get_provider_info import (
    CONN_FIELDS,
    CONNECTION_TYPE,
    UI_FIELD_BEHAVIOUR,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

DEFAULT_CONN_ID = "airbyte_sme_default"

_DEFAULT_PORTS = {"http": 80, "https": 443}
# Seconds; a day.
_LONGEST_TIMEOUT = 86_400


class AirbyteHook(BaseHook):
    """
    Talk to the Airbyte of an Airflow connection, blocking.

    Making a hook costs nothing: the connection is read, and a token exchanged, at the first call.
    Its methods are those of :class:`~airflow_provider_airbyte_sme.api.AirbyteClient`, which says
    what each of them raises.

    :param airbyte_conn_id: Id of the Airflow connection. Any type of connection will do, so one
        made for the official provider works.
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
        Return the form's own fields, for Airflow 2.11 to 3.1; later ones read provider info.

        All are text, because the form of 2.11 turns a false back into a default of true, and
        refuses to save a number that was emptied.
        """
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms import StringField

        widgets: dict[str, Any] = {}
        for name, conn_field in CONN_FIELDS.items():
            schema = conn_field["schema"]
            is_flag = "boolean" in schema["type"]
            widgets[name] = StringField(
                label=conn_field["label"] + (" (true or false)" if is_flag else ""),
                description=conn_field["description"],
                default=json.dumps(schema["default"]) if "default" in schema else "",
                widget=BS3TextFieldWidget(),
            )
        return widgets

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's other names and hints, for Airflow 2.11 to 3.1."""
        return {key.replace("-", "_"): value for key, value in UI_FIELD_BEHAVIOUR.items()}

    @cached_property
    def settings(self) -> AirbyteSettings:
        """
        Where Airbyte is and how to get in, read from the Airflow connection once.

        :raises AirbyteConfigError: The connection does not exist, or names the field to change.
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
        """Return :attr:`client`; its coroutines want :func:`~.api.run_blocking`."""
        return self.client

    def create_job(self, connection_id: str, job_type: str = JobType.SYNC) -> Job:
        """Start a job, once. See :meth:`.AirbyteClient.create_job`."""
        return run_blocking(self.client.create_job(connection_id, job_type))

    def get_job(self, job_id: int) -> Job:
        """Read one job. See :meth:`.AirbyteClient.get_job`."""
        return run_blocking(self.client.get_job(job_id))

    def list_jobs(self, **filters: Any) -> list[Job]:
        """Read one page of jobs. See :meth:`.AirbyteClient.list_jobs` for *filters*."""
        return run_blocking(self.client.list_jobs(**filters))

    def find_running_job(self, connection_id: str) -> Job | None:
        """Look for a connection's job in progress. See :meth:`.AirbyteClient.find_running_job`."""
        return run_blocking(self.client.find_running_job(connection_id))

    def cancel_job(self, job_id: int) -> Job:
        """Cancel a job if it still runs. See :meth:`.AirbyteClient.cancel_job`."""
        return run_blocking(self.client.cancel_job(job_id))

    def wait_for_job(
        self, job_id: int, *, poll_interval: float = 10.0, timeout: float | None = None
    ) -> Job:
        """Read a job until it has ended. See :meth:`.AirbyteClient.wait_for_job`."""
        return run_blocking(
            self.client.wait_for_job(job_id, poll_interval=poll_interval, timeout=timeout)
        )

    def read_job_patiently(self, job_id: int) -> Job:
        """Read a job once, insisting. See :meth:`.AirbyteClient.read_job_patiently`."""
        return run_blocking(self.client.read_job_patiently(job_id))

    def ensure_succeeded(self, job: Job) -> Job:
        """Say why *job* did not succeed. See :meth:`.AirbyteClient.ensure_succeeded`."""
        return run_blocking(self.client.ensure_succeeded(job))

    def get_airbyte_connection(self, connection_id: str) -> AirbyteConnection:
        """Read one connection. See :meth:`.AirbyteClient.get_airbyte_connection`."""
        return run_blocking(self.client.get_airbyte_connection(connection_id))

    def get_job_url(self, job: Job) -> str:
        """
        Return the page of Airbyte's UI that shows *job*; empty where it cannot be told.

        :param job: Any job; its connection is read for the workspace.
        """
        try:
            return self.client.settings.urls.job_page(
                self.get_airbyte_connection(job.connection_id), job.job_id
            )
        except AirbyteError as error:
            self.log.info("The page of job %s is not known: %s", job.job_id, error)
            return ""

    def list_workspaces(self) -> list[Workspace]:
        """Read all workspaces. See :meth:`.AirbyteClient.list_workspaces`."""
        return run_blocking(self.client.list_workspaces())

    def test_connection(self) -> tuple[bool, str]:
        """
        Go step by step from the form to the workspaces, and tell where it ends.

        :return: Whether all of it works, and what to change or what is there.
        """
        try:
            # Somebody waits at the form: a second try is theirs.
            client = blocking_client(self.settings, retry=RetryPolicy(max_attempts=1))
        except AirbyteConfigError as error:
            return False, str(error)
        return run_blocking(_try_out(client))


async def _try_out(client: AirbyteClient) -> tuple[bool, str]:
    urls = client.settings.urls
    failure = "The Airbyte URL does not lead to an Airbyte that works"
    async with client:
        try:
            await client.check_health()
            failure = "No token for this Client ID and Client secret"
            await client.sign_in()
            failure = "The workspaces cannot be listed"
            workspaces = await client.list_workspaces()
        except AirbyteTransportError as error:
            return False, f"Airbyte cannot be reached. {error}"
        except AirbyteError as error:
            return False, f"{failure}. {error}"
        instance = await client.get_instance()
    named = " ".join(part for part in ("Airbyte", instance.edition, instance.version) if part)
    count = len(workspaces)
    seen = "1 workspace" if count == 1 else f"{count or 'no'} workspaces"
    message = f"Connected to {named} at {urls.web}: {seen}."
    if not workspaces:
        message += " The user who owns the application has no role in any."
    if urls.public.startswith("http://"):
        message += " Nothing is encrypted on the way: use https outside of a private network."
    return True, message


def unknown_connection(airbyte_conn_id: str) -> AirbyteConfigError:
    """Say that there is no such Airflow connection, or none that Airflow can read."""
    variable = f"AIRFLOW_CONN_{airbyte_conn_id.upper()}"
    if os.environ.get(variable):
        # Airflow goes on as if it were not there.
        return AirbyteConfigError(
            f"Airflow cannot read {variable}: it should be a JSON object, or a URI in which URL, "
            f"client id and client secret are percent-encoded."
        )
    return AirbyteConfigError(
        f"There is no Airflow connection {airbyte_conn_id!r}: make it under Admin > Connections "
        f"with the type Airbyte SME, or name another one in airbyte_conn_id."
    )


def blocking_client(
    settings: AirbyteSettings, *, retry: RetryPolicy | None = None
) -> AirbyteClient:
    """
    Make a client whose coroutines :func:`~.api.run_blocking` runs.

    :raises AirbyteConfigError: A certificate file cannot be read.
    """
    # A DAG file that names an operator should not pay for requests.
    from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport

    return AirbyteClient(settings, RequestsTransport(settings), retry=retry)


def settings_from_connection(connection: Connection) -> AirbyteSettings:
    """
    Read an Airflow connection.

    :raises AirbyteConfigError: Names the field to change.
    """
    extra = _extra(connection)
    urls = AirbyteUrls.parse(_url(connection))
    if web_url := _text(extra, "web_url"):
        try:
            urls = replace(urls, web=AirbyteUrls.parse(web_url).web)
        except AirbyteConfigError:
            raise _wrong("web_url", "a URL, such as https://airbyte.example.com") from None
    return AirbyteSettings(
        urls=urls,
        client_id=(connection.login or "").strip(),
        client_secret=(connection.password or "").strip(),
        request_timeout=_number(extra, "request_timeout"),
        verify_tls=_flag(extra, "verify_tls"),
        ca_bundle=_path(extra, "ca_bundle"),
        client_cert=_path(extra, "client_cert"),
        client_key=_path(extra, "client_key"),
        proxy=_proxy(extra, urls),
        headers=_headers(extra),
        config_api=_flag(extra, "config_api"),
    )


def _url(connection: Connection) -> str:
    """Put Host and Port together, and what a URI has left in Schema: the scheme or a path."""
    host, port = (connection.host or "").strip(), connection.port
    schema = (connection.schema or "").strip("/ ")
    scheme, separator, rest = host.rpartition("://")
    if not separator and schema in _DEFAULT_PORTS:
        scheme, separator, schema = schema, "://", ""
    authority, slash, path = rest.partition("/")
    if port and authority:
        if not 0 < port < 2**16:
            raise _wrong("Port", "a number from 1 to 65535")
        names_its_own = ":" in authority.rpartition("]")[2]
        if not names_its_own and port != _DEFAULT_PORTS.get(scheme or "https"):
            authority = f"{authority}:{port}"
    # In a connection made for the official provider it is the path of the token endpoint.
    if authority and schema and connection.conn_type == CONNECTION_TYPE:
        slash, path = "/", f"{path}/{schema}"
    return f"{scheme}{separator}{authority}{slash}{path}" if authority else host


def _extra(connection: Connection) -> Mapping[str, Any]:
    # Not `extra_dejson`: it talks to the supervisor to mask secrets, which a trigger must not.
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise AirbyteConfigError("Extra of the Airflow connection should be a JSON object.")
    return extra


def _wrong(name: str, should: str) -> AirbyteConfigError:
    return AirbyteConfigError(f"{name} of the Airflow connection should be {should}.")


def _given(extra: Mapping[str, Any], name: str) -> Any:
    value = extra.get(name)
    return CONN_FIELDS[name]["schema"].get("default") if value in (None, "") else value


def _text(extra: Mapping[str, Any], name: str) -> str:
    value = _given(extra, name)
    if value is not None and not isinstance(value, str):
        raise _wrong(name, "text")
    return (value or "").strip()


def _path(extra: Mapping[str, Any], name: str) -> str:
    path = _text(extra, name)
    if "\n" in path or "-----BEGIN" in path:  # it may be a private key: nothing may repeat it
        raise _wrong(name, "the path of a PEM file, not what is in it")
    return path


def _number(extra: Mapping[str, Any], name: str) -> float:
    value = _given(extra, name)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number <= _LONGEST_TIMEOUT:
        raise _wrong(name, f"a number of seconds, above 0 and up to {_LONGEST_TIMEOUT}")
    return number


def _flag(extra: Mapping[str, Any], name: str) -> bool:
    value = str(_given(extra, name)).strip().lower()  # a URI has nothing but text
    if value not in ("true", "false", "1", "0"):
        raise _wrong(name, "true or false")
    return value in ("true", "1")


def _proxy(extra: Mapping[str, Any], urls: AirbyteUrls) -> str:
    proxy = _text(extra, "proxy") or _official_proxy(extra.get("proxies"), urls)
    if proxy and not re.match(r"https?://[^\s/]", proxy):
        raise _wrong("proxy", "a URL, such as http://proxy.example.com:3128")
    return proxy


def _official_proxy(proxies: object, urls: AirbyteUrls) -> str:
    """Read what a connection made for the official provider has: one proxy, or one by scheme."""
    if isinstance(proxies, dict):
        scheme = urls.public.partition("://")[0]
        proxies = proxies.get(scheme) or proxies.get(f"{scheme}://")
    return proxies.strip() if isinstance(proxies, str) else ""


def _headers(extra: Mapping[str, Any]) -> dict[str, str]:
    value = _given(extra, "headers") or {}
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, dict) or not all(
        isinstance(text, str) for pair in value.items() for text in pair
    ):
        raise _wrong("headers", 'a JSON object of texts, such as {"X-Api-Key": "..."}')
    return value


def _parsed(text: str) -> object:
    # When a person edits an object in the form of Airflow 2.11, it comes back as Python writes it.
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return parse(text)
    return None
