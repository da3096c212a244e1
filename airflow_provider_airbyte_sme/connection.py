"""From an Airflow connection to the settings of a client, for the hook and the trigger."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteConfigError,
    AirbyteError,
    AirbyteSettingsNotFoundError,
)
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings, AirbyteUrls
from airflow_provider_airbyte_sme.get_provider_info import CONN_FIELDS, CONNECTION_TYPE
from airflow_provider_airbyte_sme.literals import parse_literal

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

DEFAULT_CONN_ID = "airbyte_sme_default"
_CONN_ID = r"(?=.*\w)[\w.:#!()-]{1,250}"
# Seconds: one day.
MAX_REQUEST_TIMEOUT = 86_400


def settings_from_connection(connection: Connection) -> AirbyteSettings:
    """
    Read the settings from an Airflow connection of any type.

    :raises AirbyteConfigError: A field is invalid; the message names it.
    """
    extra = _extra(connection)
    urls = AirbyteUrls.parse(_url(connection))
    if web_url := _text(extra, "web_url"):
        try:
            urls = replace(urls, web=AirbyteUrls.parse(web_url).web)
        except AirbyteConfigError:
            raise _invalid_field("web_url", "a URL, such as https://airbyte.example.com") from None
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
        webhook_secret=_text(extra, "webhook_secret"),
    )


def _url(connection: Connection) -> str:
    """Join Host, Port, and what a URI leaves in Schema: the scheme or a path."""
    host, port = (connection.host or "").strip(), connection.port
    schema = (connection.schema or "").strip().strip(":/")
    # Always matches. A query may contain another URL.
    scheme, authority, path = re.findall(r"^([\w+.-]+://)?([^/?#]*)([^?#]*)", host)[0]
    if not authority:
        return host
    if schema.lower() in ("http", "https"):
        scheme, schema = scheme or f"{schema}://", ""
    if port:
        if not 0 < port < 2**16:
            raise _invalid_field("Port", "a number from 1 to 65535")
        if ":" not in authority.rpartition("]")[2]:
            authority = f"{authority}:{port}"
    if connection.conn_type == CONNECTION_TYPE:
        path = _path_with_schema(path, schema)
    return f"{scheme}{authority}{path}"


def _path_with_schema(path: str, schema: str) -> str:
    """
    Append to *path* what a URI leaves in Schema.

    In a connection that was made for the official provider, Schema is the token endpoint, from the
    root of the host or as a whole URL. It repeats the path of Host, so it adds nothing to that.
    """
    is_token_endpoint = schema.endswith("applications/token")
    if not schema or "://" in schema or (is_token_endpoint and path.strip("/")):
        return path
    return f"{path}/{schema}"


def _extra(connection: Connection) -> Mapping[str, Any]:
    # Not `extra_dejson`, which calls the supervisor to mask secrets: a trigger must not block.
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise AirbyteConfigError("Extra of the Airflow connection must be a JSON object.")
    return extra


def _invalid_field(name: str, expected: str) -> AirbyteConfigError:
    return AirbyteConfigError(f"{name} of the Airflow connection must be {expected}.")


def _value(extra: Mapping[str, Any], name: str) -> Any:
    value = extra.get(name)
    return CONN_FIELDS[name]["schema"].get("default") if value in (None, "") else value


def _text(extra: Mapping[str, Any], name: str) -> str:
    value = _value(extra, name)
    if value is not None and not isinstance(value, str):
        raise _invalid_field(name, "text")
    return (value or "").strip()


def _path(extra: Mapping[str, Any], name: str) -> str:
    path = _text(extra, name)
    if "\n" in path or "-----BEGIN" in path:  # perhaps a private key, so the message has no value
        raise _invalid_field(name, "the path of a PEM file, not its content")
    return path


def _number(extra: Mapping[str, Any], name: str) -> float:
    value = _value(extra, name)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number <= MAX_REQUEST_TIMEOUT:
        raise _invalid_field(name, f"a number of seconds, above 0 and up to {MAX_REQUEST_TIMEOUT}")
    return number


def _flag(extra: Mapping[str, Any], name: str) -> bool:
    value = str(_value(extra, name)).strip().lower()  # a URI has only text values
    if value not in ("true", "false", "1", "0"):
        raise _invalid_field(name, "true or false")
    return value in ("true", "1")


def _proxy(extra: Mapping[str, Any], urls: AirbyteUrls) -> str:
    proxy = _text(extra, "proxy") or _official_proxy(extra.get("proxies"), urls)
    if proxy and not re.match(r"https?://[^\s/]", proxy):
        raise _invalid_field(
            "proxy", "the URL of an HTTP proxy, such as http://proxy.example.com:3128"
        )
    return proxy


def _official_proxy(proxies: object, urls: AirbyteUrls) -> str:
    """Return the proxy of a connection of the official provider: one, or one for each scheme."""
    if isinstance(proxies, dict):
        scheme = urls.public.partition("://")[0]
        proxies = proxies.get(scheme) or proxies.get(f"{scheme}://")
    return proxies.strip() if isinstance(proxies, str) else ""


def _headers(extra: Mapping[str, Any]) -> dict[str, str]:
    value = _value(extra, "headers") or {}
    if isinstance(value, str):
        # The form of Airflow 2.11 returns an edited object as a Python literal.
        with suppress(ValueError):
            value = parse_literal(value)
    if not isinstance(value, dict) or not all(
        isinstance(text, str) for pair in value.items() for text in pair
    ):
        raise _invalid_field("headers", 'a JSON object of strings, such as {"X-Api-Key": "..."}')
    return value


def may_be_looked_up(conn_id: str) -> bool:
    """
    Whether *conn_id*, which a stranger may have made up, may go to the secrets backends.

    In some of them a slash would lead to another folder.
    """
    return re.fullmatch(_CONN_ID, conn_id, re.ASCII) is not None


def stored_conn_ids(conn_type: str) -> list[str]:
    """
    Return the ids of the connections of one type in Airflow's database, sorted.

    Airflow decrypts a connection when it loads it, so one that is broken would hide all others.
    Load each by :func:`load_stored`.
    """
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    ids = select(Connection.conn_id).where(Connection.conn_type == conn_type)
    with create_session() as session:
        return list(session.scalars(ids.order_by(Connection.conn_id)))


def load_stored(conn_id: str) -> Any:
    """
    Return a connection from Airflow's database; ``None`` if there is none.

    :raises Exception: It was encrypted with another key; which exception depends on Airflow.
    """
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(Connection).where(Connection.conn_id == conn_id)
    with create_session() as session:
        connection = session.scalar(query)
        if connection is not None:
            session.expunge(connection)
    return connection


def unknown_connection(airbyte_conn_id: str) -> AirbyteError:
    """Return the error about an Airflow connection that Airflow does not find."""
    variable = f"AIRFLOW_CONN_{airbyte_conn_id.upper()}"
    if os.environ.get(variable):
        # Airflow ignores a variable that it cannot parse.
        return AirbyteConfigError(
            f"Airflow cannot parse {variable}: it must be a JSON object, whose extra is one too, "
            f"or a URI in which URL, client id and client secret are percent-encoded."
        )
    return AirbyteSettingsNotFoundError(
        f"Airflow did not find the connection {airbyte_conn_id!r}. If it does not exist, create it "
        f"under Admin > Connections with the type Airbyte SME, or set airbyte_conn_id to another "
        f"one. If it exists, Airflow's secrets backend or API server failed: see its log."
    )
