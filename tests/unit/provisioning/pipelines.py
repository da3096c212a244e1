"""A declared pipeline, as a file would contain it."""

from __future__ import annotations

from typing import Any

SECRET = "s3cret-of-crm"

SOURCE: dict[str, Any] = {
    "name": "CRM",
    "source_type": "postgres",
    "configuration": {
        "host": "db.example.com",
        "port": 5432,
        "database": "crm",
        "username": "airbyte",
        "password": SECRET,
    },
}
DESTINATION: dict[str, Any] = {
    "name": "Lake",
    "destination_type": "duckdb",
    "configuration": {"destination_path": "/lake.duckdb"},
}
CONNECTION: dict[str, Any] = {
    "name": "crm to lake",
    "source": "CRM",
    "destination": "Lake",
    "streams": [{"name": "orders", "sync_mode": "full_refresh_append"}, "customers"],
    "tags": ["gold"],
    "schedule": "manual",
}


def pipeline(**parts: Any) -> dict[str, Any]:
    """Return a pipeline in a workspace that does not exist yet."""
    return {
        "workspace": "Team A",
        "sources": [SOURCE],
        "destinations": [DESTINATION],
        "tags": [{"name": "gold", "color": "FFD700"}],
        "connections": [CONNECTION],
        **parts,
    }


def changed(resource: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a resource with other fields."""
    return {**resource, **fields}


def configured(resource: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a source or destination with other fields in its configuration."""
    return {**resource, "configuration": {**resource["configuration"], **fields}}
