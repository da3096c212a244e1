"""
Provider metadata for Airflow, without importing the rest of the provider.

It is a module of its own because an entry point into a package's ``__init__`` executes that package
twice. The fields of the connection form are defined only here; for Airflow 2.11 to 3.1 the hook
builds the form from them.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme import __version__

CONNECTION_TYPE = "airbyte_sme"

CONN_FIELDS: dict[str, dict[str, Any]] = {
    "request_timeout": {
        "label": "Request timeout (s)",
        "description": (
            "Seconds to wait for a response. Calls that Airbyte holds open, such as starting a "
            "job, have longer timeouts of their own."
        ),
        "schema": {"type": ["number", "null"], "default": 30, "minimum": 1},
    },
    "verify_tls": {
        "label": "Verify TLS",
        "description": (
            "Verify Airbyte's certificate. If it is not trusted, set a CA bundle instead of "
            "switching this off."
        ),
        "schema": {"type": ["boolean", "null"], "default": True},
    },
    "ca_bundle": {
        "label": "CA bundle",
        "description": (
            "Path of a PEM file with the authority that signed Airbyte's certificate, or of a "
            "directory prepared with openssl rehash. It must exist on every worker and triggerer "
            "and, for Test Connection, on the API server "
            "(Airflow 2: the webserver). Leave empty to trust the usual authorities."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "client_cert": {
        "label": "Client certificate",
        "description": "Path of a PEM file, if the ingress requires a client certificate (mTLS).",
        "schema": {"type": ["string", "null"]},
    },
    "client_key": {
        "label": "Client key",
        "description": "Path of the certificate's private key, if it is not in the same file.",
        "schema": {"type": ["string", "null"]},
    },
    "proxy": {
        "label": "Proxy",
        "description": (
            "URL of the proxy between Airflow and Airbyte, such as http://proxy.example.com:3128. "
            "Leave empty to use HTTPS_PROXY or HTTP_PROXY, then ALL_PROXY, except for hosts in "
            "NO_PROXY. SOCKS proxies are not supported."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "headers": {
        "label": "Headers",
        "description": (
            "Headers to send with every request, for an identity-aware proxy or an API gateway. A "
            'JSON object, such as {"Proxy-Authorization": "Bearer ..."}.'
        ),
        # "string" or "object" gives a plain text area. Its JSON is stored as an object, in which
        # Airflow masks secrets. "object" alone gives an editor that is unusable in Airflow 3.3.2:
        # whenever the JSON is valid, it reformats the text and moves the cursor to the end.
        "schema": {"type": ["string", "object", "null"]},
    },
    "config_api": {
        "label": "Config API",
        "description": (
            "Use Airbyte's internal config API for what the public API does not have: why a job "
            "failed, the specifications of connectors, refreshes, clears of single streams. "
            "Switch this off if the config API is blocked."
        ),
        "schema": {"type": ["boolean", "null"], "default": True},
    },
    "web_url": {
        "label": "Web URL",
        "description": (
            "URL where people open Airbyte, if it differs from the Airbyte URL. Links point there."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "webhook_secret": {
        "label": "Webhook secret",
        "description": (
            "With it, Airbyte may tell Airflow about its syncs: it is the end of the URL of the "
            "webhook. At least 32 random letters and digits, such as from openssl rand -hex 32. "
            "Leave empty to refuse every call."
        ),
        "schema": {"type": ["string", "null"], "format": "password"},
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
        # Airflow 3.3.2 rejects Test Connection without a port (apache/airflow#73298).
        "port": "443, or the port in the URL: Test Connection needs it",
        "login": "From User settings > Applications in Airbyte",
        "password": "The secret of the same application",
    },
}


# Those that define an operator, its base classes too.
_OPERATOR_MODULES = (
    "alarms",
    "airbyte",
    "base",
    "data_jobs",
    "delivery",
    "durable",
    "jobs",
    "killing",
    "lineage",
    "pipelines",
    "provisioning",
    "resources",
    "streams",
    "tracking",
    "waiting",
)
_SENSOR_MODULES = ("airbyte", "base")
_TRIGGER_MODULES = ("airbyte", "events", "starting")


def get_provider_info() -> dict[str, Any]:
    """Return the provider metadata, in the form of Airflow's ``provider_info.schema.json``."""
    package = "airflow_provider_airbyte_sme"
    hook = f"{package}.hooks.airbyte.AirbyteHook"
    integration = "Airbyte Self-Managed Enterprise"
    return {
        "package-name": "airflow-provider-airbyte-sme",
        "name": integration,
        "description": "Create Airbyte connections, sync them, wait for their data, run dbt on it.",
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
            {
                "integration-name": integration,
                "python-modules": [f"{package}.operators.{module}" for module in _OPERATOR_MODULES],
            }
        ],
        "sensors": [
            {
                "integration-name": integration,
                "python-modules": [f"{package}.sensors.{module}" for module in _SENSOR_MODULES],
            }
        ],
        "triggers": [
            {
                "integration-name": integration,
                "python-modules": [f"{package}.triggers.{module}" for module in _TRIGGER_MODULES],
            }
        ],
        "extra-links": [
            f"{package}.operators.base.AirbyteJobLink",
            f"{package}.operators.base.AirbytePageLink",
            f"{package}.operators.provisioning.AirbyteResourceLink",
        ],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": hook,
                "hook-name": "Airbyte SME",
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
                "conn-fields": CONN_FIELDS,
            }
        ],
        # Read from Airflow 3.2 on; older ones ignore it.
        "cli": [f"{package}.cli.airflow_commands.get_cli_commands"],
        "config": {
            CONNECTION_TYPE: {
                "description": "Settings of the provider for Airbyte Self-Managed Enterprise.",
                "options": {
                    "page": {
                        "description": (
                            "Whether Airflow's UI has the page Airbyte, which shows the "
                            "connections of Airbyte, their syncs, and the tasks that wait for "
                            "them. Needs Airflow 3.1 or newer."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "webhook": {
                        "description": (
                            "Whether the API server serves POST "
                            "/airbyte-sme/webhook/{conn_id}/{secret}, with which Airbyte tells "
                            "Airflow that a sync has delivered data. Needs Airflow 3.0 or newer."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "False",
                    },
                },
            }
        },
    }
