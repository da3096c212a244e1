"""A connector whose specification has all that makes a configuration difficult."""

from collections.abc import Mapping
from typing import Any

from airflow_provider_airbyte_sme.api.models import ConnectorSpecification, Source
from airflow_provider_airbyte_sme.provisioning.declarations import ActorDeclaration

DEFINITION_ID = "decd338e-5647-4c0b-adf4-da0e75f5a750"
ACTOR_ID = "1f0a1f1e-0001-4000-8000-000000000001"

TEXT = {"type": "string"}
SECRET = {"type": "string", "airbyte_secret": True}


def branch(method: str, **properties: Any) -> dict[str, Any]:
    """Return one alternative of the tunnel; all its properties are required."""
    return {
        "properties": {"tunnel_method": {"type": "string", "const": method}, **properties},
        "required": ["tunnel_method", *properties],
    }


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["host", "port"],
    "additionalProperties": True,
    "properties": {
        "host": TEXT,
        "port": {"type": "integer", "minimum": 1, "maximum": 65536},
        "ratio": {"type": "number"},
        "ssl": {"type": "boolean"},
        "mode": {"type": "string", "enum": ["full", "fast"]},
        "since": {"type": "string", "pattern": "^[0-9-]+$", "pattern_descriptor": "YYYY-MM-DD"},
        "schemas": {"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True},
        "password": {**SECRET, "minLength": 3, "pattern": "^[a-z0-9]+$"},
        "key": {"type": "object", "airbyte_secret": True},
        "options": {"type": "object", "properties": {"fetch": {"type": "integer"}, "label": TEXT}},
        "free": {"type": "object"},
        "accounts": {
            "type": "array",
            "items": {"type": "object", "properties": {"user": TEXT, "token": SECRET}},
        },
        "tunnel_method": {
            "type": "object",
            "oneOf": [
                branch("NO_TUNNEL"),
                branch("SSH_KEY", tunnel_host=TEXT, ssh_key=SECRET),
                branch("SSH_PASSWORD", tunnel_host=TEXT, tunnel_password=SECRET),
            ],
        },
        "either": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    },
}
SPECIFICATION = ConnectorSpecification(DEFINITION_ID, SCHEMA)


def declared(configuration: Mapping[str, Any], **fields: Any) -> ActorDeclaration:
    """Return a declared source of the connector."""
    fields = {"connector": "postgres", "definition_id": DEFINITION_ID, "name": "CRM", **fields}
    return ActorDeclaration(kind="source", configuration=configuration, **fields)


def existing(configuration: Mapping[str, Any] | None, **fields: Any) -> Source:
    """Return a source of the connector as Airbyte returns it."""
    return Source(
        **{
            "actor_id": ACTOR_ID,
            "name": "CRM",
            "workspace_id": "a0000000-0000-4000-8000-000000000001",
            "definition_id": DEFINITION_ID,
            "connector": "postgres",
            "configuration": configuration,
            **fields,
        }
    )


def coordinate(name: str, version: int) -> str:
    """Return where Airbyte stores a secret."""
    return f"secret_coordinate::airbyte_workspace_a0-1_secret_{name}_v{version}"
