"""
The plugin that shows Airbyte's connections in Airflow's UI: Airflow 3.1 or newer.

``[airbyte_sme] page = False`` switches it off. Airflow loads it in every component, so it imports
nothing that they do not have anyway: the web application is imported with the first request.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from airflow_provider_airbyte_sme.web import PAGE_ROUTE, is_page_on

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

URL_PREFIX = "/airbyte-sme/page"

# Airflow resolves them against the URL of its UI, so they have no slash in front.
_PAGE = f"{URL_PREFIX.removeprefix('/')}/"
_VIEW = {
    "name": "Airbyte",
    "href": _PAGE,
    "destination": "nav",
    "url_route": PAGE_ROUTE,
    "icon": f"{_PAGE}static/icon.svg",
}


class LazyPage:
    """The ASGI application, which is made with the first request: only the API server has any."""

    def __init__(self) -> None:
        self._application: Application | None = None
        self._lock = threading.Lock()

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Serve one request."""
        if self._application is None:
            self._application = await asyncio.to_thread(self._make)
        await self._application(scope, receive, send)

    def _make(self) -> Application:
        with self._lock:
            if self._application is None:
                from airflow_provider_airbyte_sme.plugins.page.application import make_application

                self._application = make_application(URL_PREFIX)
            return self._application


class AirbytePagePlugin(AirflowPlugin):
    """The entry "Airbyte" in Airflow's navigation, and the page that it opens."""

    name = "airbyte_sme_page"
    fastapi_apps: list[Any] = []  # noqa: RUF012  replaced, never changed
    external_views: list[Any] = []  # noqa: RUF012  replaced, never changed

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Serve the page unless it is switched off. Never raises: that would be an import error."""
        del args, kwargs  # Airflow may pass something one day
        cls.fastapi_apps, cls.external_views = [], []
        if AIRFLOW_V_3_1_PLUS and is_page_on():
            cls.fastapi_apps = [{"app": LazyPage(), "url_prefix": URL_PREFIX, "name": cls.name}]
            cls.external_views = [dict(_VIEW)]
