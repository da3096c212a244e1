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
            "Seconds to wait for an answer. Calls that Airbyte holds open, such as starting a job, "
            "have longer ones of their own."
        ),
        "schema": {"type": ["number", "null"], "default": 30, "minimum": 1},
    },
    "verify_tls": {
        "label": "Verify TLS",
        "description": (
            "Check Airbyte's certificate. If it is not trusted, set a CA bundle rather than switch "
            "this off."
        ),
        "schema": {"type": ["boolean", "null"], "default": True},
    },
    "ca_bundle": {
        "label": "CA bundle",
        "description": (
            "Path of a PEM file with the authority that signed Airbyte's certificate. The file "
            "must be on every worker and triggerer, and for Test Connection where the UI runs. "
            "Leave empty for the usual authorities."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "client_cert": {
        "label": "Client certificate",
        "description": "Path of a PEM file, if the ingress asks for a client certificate (mTLS).",
        "schema": {"type": ["string", "null"]},
    },
    "client_key": {
        "label": "Client key",
        "description": "Path of that certificate's private key, if it is not in the same file.",
        "schema": {"type": ["string", "null"]},
    },
    "proxy": {
        "label": "Proxy",
        "description": (
            "URL of the proxy on the way to Airbyte, such as http://proxy.example.com:3128. Leave "
            "empty for what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "headers": {
        "label": "Headers",
        "description": (
            "Headers to send with every request, for an identity-aware proxy or an API gateway: a "
            'JSON object, such as {"Proxy-Authorization": "Bearer ..."}.'
        ),
        # Text or object makes a plain text area, whose JSON is stored as an object, in which
        # Airflow masks secrets. An object alone makes an editor that cannot be typed into: Airflow
        # 3.3.2 formats it, and moves the cursor to its end, whenever the JSON is complete.
        "schema": {"type": ["string", "object", "null"]},
    },
    "config_api": {
        "label": "Config API",
        "description": (
            "Ask Airbyte's internal config API why a job failed, which the public API does not "
            "tell. Switch off where it is closed."
        ),
        "schema": {"type": ["boolean", "null"], "default": True},
    },
    "web_url": {
        "label": "Web URL",
        "description": "Where people open Airbyte, if not at the Airbyte URL. Links lead there.",
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
        # Without a port, Test Connection of Airflow 3.3.2 is refused (apache/airflow #73298).
        "port": "443, or the port in the URL: Test Connection needs it",
        "login": "From User settings > Applications in Airbyte",
        "password": "The secret of the same application",
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
