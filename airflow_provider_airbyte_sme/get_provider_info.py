"""
What Airflow reads about this provider, without importing anything of it.

A module of its own: an entry point into a package's ``__init__`` runs that package twice. The
fields of the connection form stand here alone; Airflow 2.11's form is made from them by the hook.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme import __version__

CONNECTION_TYPE = "airbyte_sme"

CONN_FIELDS: dict[str, dict[str, Any]] = {
    "request_timeout": {
        "label": "Request time-out (s)",
        "description": (
            "Seconds to wait for an answer. Calls that Airbyte holds open, as starting a job, have "
            "longer ones of their own."
        ),
        "schema": {"type": ["number", "null"], "default": 30, "minimum": 1},
    },
    "verify_tls": {
        "label": "Verify TLS",
        "description": "Check Airbyte's certificate. Rather than switch it off, set a CA bundle.",
        "schema": {"type": ["boolean", "null"], "default": True},
    },
    "ca_bundle": {
        "label": "CA bundle",
        "description": (
            "Path of a PEM file with the authority that signed Airbyte's certificate, on every "
            "worker and triggerer. Empty: the usual authorities."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "client_cert": {
        "label": "Client certificate",
        "description": "Path of a PEM file, where the ingress asks for one (mTLS).",
        "schema": {"type": ["string", "null"]},
    },
    "client_key": {
        "label": "Client key",
        "description": "Path of the certificate's key, where it is not in the same file.",
        "schema": {"type": ["string", "null"]},
    },
    "proxy": {
        "label": "Proxy",
        "description": (
            "URL of a proxy on the way to Airbyte, as http://proxy.example.com:3128. Empty: what "
            "HTTPS_PROXY, HTTP_PROXY and NO_PROXY say."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "headers": {
        "label": "Headers",
        "description": (
            "JSON object of headers for every request, for an identity-aware proxy or an API "
            'gateway, as {"Proxy-Authorization": "Bearer ..."}.'
        ),
        "schema": {"type": ["string", "object", "null"], "format": "json"},
    },
    "config_api": {
        "label": "Ask why jobs fail",
        "description": (
            "Read the reason of a failed job from Airbyte's internal config API, which the public "
            "API does not tell."
        ),
        "schema": {"type": ["boolean", "null"], "default": True},
    },
    "web_url": {
        "label": "Web URL",
        "description": "Where people open Airbyte, when that is another host than the API's.",
        "schema": {"type": ["string", "null"]},
    },
}

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema"],
    "relabeling": {
        "host": "Airbyte URL",
        "login": "Client ID",
        "password": "Client secret",
    },
    "placeholders": {
        "host": "https://airbyte.example.com",
        "port": "Only if it is not in the URL",
        "login": "User settings > Applications in Airbyte",
        "password": "Of the same application",
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as ``airflow.provider_info.schema.json`` wants it."""
    package = "airflow_provider_airbyte_sme"
    hook = f"{package}.hooks.airbyte.AirbyteHook"
    integration = "Airbyte Self-Managed Enterprise"
    return {
        "package-name": "airflow-provider-airbyte-sme",
        "name": integration,
        "description": "Trigger Airbyte syncs, wait for their data and gate dbt on it.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://docs.airbyte.com/enterprise-setup/",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {"integration-name": integration, "python-modules": [f"{package}.hooks.airbyte"]}
        ],
        "operators": [
            {"integration-name": integration, "python-modules": [f"{package}.operators.airbyte"]}
        ],
        "sensors": [
            {"integration-name": integration, "python-modules": [f"{package}.sensors.airbyte"]}
        ],
        "triggers": [
            {"integration-name": integration, "python-modules": [f"{package}.triggers.airbyte"]}
        ],
        "extra-links": [f"{package}.operators.airbyte.AirbyteJobLink"],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": hook,
                "hook-name": "Airbyte SME",
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
                "conn-fields": CONN_FIELDS,
            }
        ],
    }
