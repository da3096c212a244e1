"""
What a user of Airflow may see on the page: Airflow's auth manager decides.

It is asked about each Airflow connection, and about each DAG whose tasks are shown, in the way in
which all versions since Airflow 3.1 can be asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteSettings
from airflow_provider_airbyte_sme.connection import (
    load_stored,
    may_be_looked_up,
    settings_from_connection,
    stored_conn_ids,
)
from airflow_provider_airbyte_sme.get_provider_info import CONNECTION_TYPE
from airflow_provider_airbyte_sme.plugins.page.threads import DaemonThreads

# Seconds for which a look-up in the secrets backends counts, and how many are kept.
_MAX_LOOKUP_AGE = 60.0
_MAX_LOOKUPS = 100
_LOOKUP_THREADS = 2


class AirflowConnection(NamedTuple):
    """
    An Airflow connection that the user may read.

    :param settings: ``None`` if it is not usable.
    :param problem: Why it is not, as one line.
    """

    conn_id: str
    settings: AirbyteSettings | None = None
    problem: str = ""


class Lookup(NamedTuple):
    """
    A question to the secrets backends and the environment.

    :param began: By the monotonic clock.
    :param found: ``None`` if there is no such Airflow connection of our type.
    """

    conn_id: str
    began: float
    found: Future[AirflowConnection | None]

    def result(self) -> AirflowConnection | None:
        """Return what was found; one with a problem if there is no answer yet."""
        try:
            return self.found.result(0)
        except (TimeoutError, CancelledError):
            return AirflowConnection(
                self.conn_id,
                problem="Airflow's secrets backend does not answer. It is asked again: wait, or "
                "see the log of Airflow's API server.",
            )


class AirflowConnections(NamedTuple):
    """
    The Airflow connections that the user may read, and the one that is looked at.

    :param conn_ids: Those in Airflow's database, in the order of their ids.
    :param selected: ``None`` if there is none, or if the user may not read the one that was asked
        for: which of these it is, nobody learns.
    :param lookup: What a secrets backend is being asked for, instead.
    """

    conn_ids: tuple[str, ...]
    selected: AirflowConnection | None
    lookup: Lookup | None = None

    def looked_up(self) -> AirflowConnections:
        """Return the same with what the secrets backend has said until now."""
        return self if self.lookup is None else self._replace(selected=self.lookup.result())


def find_connections(user: Any, wanted: str) -> AirflowConnections:
    """
    Return the Airflow connections of our type that *user* may read.

    :param wanted: Id of the one to look at; empty for the first one. It need not be in Airflow's
        database: the secrets backends and the environment are asked for it too, without waiting
        for them here.
    """
    from airflow.models.connection import Connection

    readable = tuple(
        each
        for each in stored_conn_ids(CONNECTION_TYPE)
        if may_read_connection(user, each, Connection.get_team_name(each))
    )
    conn_id = wanted or next(iter(readable), "")
    if conn_id in readable:
        return AirflowConnections(readable, _read(conn_id, partial(load_stored, conn_id)))
    return AirflowConnections(readable, None, _find_elsewhere(user, conn_id))


def _find_elsewhere(user: Any, conn_id: str) -> Lookup | None:
    """Look for an Airflow connection of our type in the secrets backends and the environment."""
    if not may_be_looked_up(conn_id) or not may_read_connection(user, conn_id):
        return None
    return _lookups.get(conn_id)


class _Lookups:
    """
    What the secrets backends have said lately, so that a page that is open costs them little.

    One that hangs is asked once, in threads of its own, so it does not hold up anything else.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = DaemonThreads(_LOOKUP_THREADS, "airbyte-page-secrets")
        self._lookups: dict[str, Lookup] = {}

    def get(self, conn_id: str) -> Lookup:
        now = time.monotonic()
        with self._lock:
            known = self._lookups.get(conn_id)
            if known and (now - known.began < _MAX_LOOKUP_AGE or not known.found.done()):
                return known
            self._lookups.pop(conn_id, None)
            lookup = Lookup(conn_id, now, self._threads.submit(_look_up, conn_id))
            self._lookups[conn_id] = lookup
            while len(self._lookups) > _MAX_LOOKUPS:
                self._lookups.pop(next(iter(self._lookups))).found.cancel()
        return lookup


_lookups = _Lookups()


def _look_up(conn_id: str) -> AirflowConnection | None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        # The user may not read it, or it is of another type.
        if session.scalar(select(Connection.conn_id).where(Connection.conn_id == conn_id)):
            return None
    try:
        connection = Connection.get_connection_from_secrets(conn_id)
    # Airflow has many errors for one that is missing, or cannot be read or decrypted.
    except Exception:
        return None
    if connection.conn_type != CONNECTION_TYPE:
        return None
    return _read(conn_id, lambda: connection)


def _read(conn_id: str, load: Callable[[], Any]) -> AirflowConnection | None:
    try:
        connection = load()
        # It may have been deleted meanwhile.
        return connection and AirflowConnection(conn_id, settings_from_connection(connection))
    except AirbyteConfigError as error:
        return AirflowConnection(conn_id, problem=str(error))
    # A password that was encrypted with another key.
    except Exception as error:
        return AirflowConnection(
            conn_id,
            problem=f"Airflow cannot read this connection ({type(error).__name__}): enter its "
            f"secrets again, or correct [core] fernet_key.",
        )


def may_read_connection(user: Any, conn_id: str, team_name: str | None = None) -> bool:
    """Whether *user* may read an Airflow connection."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails

    details = ConnectionDetails(conn_id=conn_id, team_name=team_name)
    return bool(
        get_auth_manager().is_authorized_connection(method="GET", user=user, details=details)
    )


def readable_dags(user: Any, dag_ids: Iterable[str]) -> set[str]:
    """Return those of some DAGs whose task instances *user* may read."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import (
        DagAccessEntity,
        DagDetails,
    )

    manager, wanted = get_auth_manager(), set(dag_ids)
    teams = _teams_of(wanted)
    return {
        dag_id
        for dag_id in wanted
        if manager.is_authorized_dag(
            method="GET",
            access_entity=DagAccessEntity.TASK_INSTANCE,
            details=DagDetails(id=dag_id, team_name=teams.get(dag_id)),
            user=user,
        )
    }


def _teams_of(dag_ids: set[str]) -> dict[str, str]:
    """Return the teams that own DAGs, in one query: Airflow 3.1 only asks for one at a time."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.team import Team
    from airflow.utils.session import create_session
    from sqlalchemy import select

    if not dag_ids:
        return {}
    with create_session() as session:
        rows = session.execute(
            select(DagModel.dag_id, Team.name)
            .join(DagBundleModel, DagModel.bundle_name == DagBundleModel.name)
            .join(DagBundleModel.teams)
            .where(DagModel.dag_id.in_(dag_ids))
        )
        return {row.dag_id: row.name for row in rows}
