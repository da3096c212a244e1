"""An auth manager that decides about each connection and each DAG. It needs Airflow 3.1."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class PickyAuthManager(SimpleAuthManager):
    """Keeps from everybody what has a name that begins with ``hidden``."""

    is_broken = False
    """Whether each question about a connection ends with an error."""

    def is_authorized_connection(self, *, method: Any, user: Any, details: Any = None) -> bool:
        """Return whether the role allows it, and the connection is not hidden."""
        if self.is_broken:
            raise RuntimeError("this auth manager is broken")
        if details and (details.conn_id or "").startswith("hidden"):
            return False
        return super().is_authorized_connection(method=method, user=user, details=details)

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        """Return whether the role allows it, and neither the DAG nor its team is hidden."""
        names = (details.id, details.team_name) if details else ()
        if any((name or "").startswith("hidden") for name in names):
            return False
        return super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
