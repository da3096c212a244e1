"""
The plugin that serves the webhook: ``[airbyte_sme] webhook = True``, Airflow 3.0 or newer.

Airflow loads it in every component, so it imports nothing that they do not have anyway: what serves
a call is imported with the first one.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_airbyte_sme.web import is_switched_on

log = logging.getLogger(__name__)

URL_PREFIX = "/airbyte-sme"


class AirbyteWebhookPlugin(AirflowPlugin):
    """``POST /airbyte-sme/webhook/{conn_id}/{secret}`` on the API server, if it is switched on."""

    name = "airbyte_sme_webhook"
    fastapi_apps: list[Any] = []  # noqa: RUF012  replaced, never changed

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Serve the webhook if it is switched on. Never raises: that would be an import error."""
        del args, kwargs  # Airflow may pass something one day
        if not is_switched_on("webhook", default=False):
            cls.fastapi_apps = []
        elif AIRFLOW_V_3_0_PLUS:
            from airflow_provider_airbyte_sme.plugins.endpoint import Webhook

            cls.fastapi_apps = [{"app": Webhook(), "url_prefix": URL_PREFIX, "name": cls.name}]
        else:
            log.warning(
                "[airbyte_sme] webhook is on, but the webhook needs Airflow 3.0 or newer: upgrade "
                "Airflow, or switch it off."
            )
