"""
What specifications of connectors are made of: JSON schemas (draft 7), as connectors publish them.

The built-in ones (``source_specs.py``, ``destination_specs.py``) are shortened: what remains are
the properties that clients set, their types, what is required, the branches of each ``oneOf``, and
above all ``airbyte_secret``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

ANYTHING: Schema = {"type": "object", "properties": {}, "additionalProperties": True}


@dataclass(frozen=True)
class Spec:
    """
    What a connector says about its configuration.

    :param schema: JSON schema of the configuration (``connectionSpecification``).
    :param oauth_inputs: The path of each property that an OAuth flow fills in, by its name.
    """

    schema: Schema
    oauth_inputs: Mapping[str, tuple[str, ...]] | None = None


def nested(required: str, properties: Mapping[str, Schema]) -> Schema:
    """Return the schema of an object; *required* are names, separated by spaces."""
    return {"type": "object", "required": required.split(), "properties": dict(properties)}


def object_schema(required: str, properties: Mapping[str, Schema]) -> Schema:
    """Return the schema of a configuration; *required* are names, separated by spaces."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **nested(required, properties),
    }


def branch(
    discriminator: str,
    value: str,
    required: str = "",
    properties: Mapping[str, Schema] | None = None,
    *,
    closed: bool = False,
) -> Schema:
    """
    Return a branch of a ``oneOf``.

    :param closed: Whether it rejects properties that it does not name.
    """
    return {
        "title": value,
        "type": "object",
        "required": [discriminator, *required.split()],
        "properties": {
            discriminator: {"type": "string", "const": value},
            **(properties or {}),
        },
        "additionalProperties": not closed,
    }


def one_of(*branches: Schema) -> Schema:
    """Return the schema of an object that fulfils exactly one of *branches*."""
    return {"type": "object", "oneOf": list(branches)}


TEXT: Schema = {"type": "string"}
SECRET: Schema = {"type": "string", "airbyte_secret": True}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "array", "items": TEXT}
PORT: Schema = {"type": "integer", "minimum": 0, "maximum": 65536}
SINCE: Schema = {"type": "string", "format": "date-time"}

SSH = {"tunnel_host": TEXT, "tunnel_port": PORT, "tunnel_user": TEXT}
TUNNEL = one_of(
    branch("tunnel_method", "NO_TUNNEL", closed=True),
    branch(
        "tunnel_method",
        "SSH_KEY_AUTH",
        "tunnel_host tunnel_port tunnel_user ssh_key",
        {**SSH, "ssh_key": SECRET},
        closed=True,
    ),
    branch(
        "tunnel_method",
        "SSH_PASSWORD_AUTH",
        "tunnel_host tunnel_port tunnel_user tunnel_user_password",
        {**SSH, "tunnel_user_password": SECRET},
        closed=True,
    ),
)
CERTIFICATES = {
    "ca_certificate": SECRET,
    "client_certificate": SECRET,
    "client_key": SECRET,
    "client_key_password": SECRET,
}


def ssl_mode(*plain: str, verifying: tuple[str, ...], closed: bool = False) -> Schema:
    """
    Return the schema of the encryption of a database.

    :param plain: Modes without certificates.
    :param verifying: Modes that need the certificate of an authority.
    :param closed: As for :func:`branch`.
    """
    return one_of(
        *(branch("mode", mode, closed=closed) for mode in plain),
        *(
            branch("mode", mode, "ca_certificate", CERTIFICATES, closed=closed)
            for mode in verifying
        ),
    )


POSTGRES_SSL = ("disable", "allow", "prefer", "require")
POSTGRES_VERIFYING = ("verify-ca", "verify-full")
MYSQL_SSL = ssl_mode("preferred", "required", verifying=("verify_ca", "verify_identity"))
WAITING = {"initial_waiting_seconds": NUMBER, "queue_size": NUMBER}


def database(required: str, **more: Schema) -> Spec:
    """Return the spec of a database that is reached by host and port."""
    properties = {
        "host": TEXT,
        "port": PORT,
        "database": TEXT,
        "username": TEXT,
        "password": SECRET,
        "jdbc_url_params": TEXT,
        "tunnel_method": TUNNEL,
    }
    return Spec(object_schema(required, {**properties, **more}))


OAUTH = {"client_id": SECRET, "client_secret": SECRET, "refresh_token": SECRET}
GOOGLE_OAUTH_INPUTS = {name: ("credentials", name) for name in OAUTH}
SNOWFLAKE_CREDENTIALS = one_of(
    branch(
        "auth_type",
        "OAuth2.0",
        "client_id client_secret access_token refresh_token",
        {**OAUTH, "access_token": SECRET},
    ),
    branch(
        "auth_type",
        "Key Pair Authentication",
        "private_key",
        {"private_key": SECRET, "private_key_password": SECRET},
        closed=True,
    ),
    branch("auth_type", "Username and Password", "password", {"password": SECRET}, closed=True),
)
SNOWFLAKE = {
    "host": TEXT,
    "role": TEXT,
    "warehouse": TEXT,
    "database": TEXT,
    "schema": TEXT,
    "username": TEXT,
    "credentials": SNOWFLAKE_CREDENTIALS,
    "jdbc_url_params": TEXT,
}
AWS_KEYS = {"access_key_id": SECRET, "secret_access_key": SECRET}
