"""One read of an Airflow connection for all triggers of an event loop that ask at the same time."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import BaseHook, Connection

from airflow_provider_airbyte_sme.api import AirbyteError, AirbyteSettings
from airflow_provider_airbyte_sme.api.errors import copy_of
from airflow_provider_airbyte_sme.connection import settings_from_connection, unknown_connection

# Seconds after which a read counts as failed: a secrets backend may never respond.
READ_TIMEOUT = 60.0


class _Reads:
    """
    The reads of one Airflow connection, one at a time, numbered from 1.

    :ivar begun: Number of the last read that has begun.
    :ivar ended: Number of the last read that has ended, with *result*.
    :ivar users: How many triggers wait for a result; it is forgotten with the last one.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.begun = self.ended = self.users = 0
        self.result: AirbyteSettings | AirbyteError | None = None

    async def result_of_a_later_read(self, airbyte_conn_id: str) -> AirbyteSettings:
        """Return the result of a read that begins from now on."""
        begun_before = self.begun
        async with self.lock:
            if self.result is None or self.ended <= begun_before:
                self.begun += 1
                number = self.begun
                try:
                    self.result = await _read(airbyte_conn_id)
                except AirbyteError as error:
                    self.result = error
                self.ended = number
            if isinstance(self.result, AirbyteError):
                raise copy_of(self.result)
            return self.result


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Reads]] = WeakKeyDictionary()


async def read_settings(airbyte_conn_id: str) -> AirbyteSettings:
    """
    Read the settings from an Airflow connection.

    When a triggerer starts, or a secret was rotated, a thousand waits need the same connection at
    the same moment, and a secrets backend may throttle them. They share one read. No trigger gets
    the result of a read that began before it asked: that may be older than the error that made it
    ask.

    :raises AirbyteConfigError: A field is invalid, or Airflow cannot parse the connection.
    :raises AirbyteSettingsNotFoundError: Airflow does not find the connection, or has failed.
    """
    all_reads = _loops.setdefault(asyncio.get_running_loop(), {})
    reads = all_reads.setdefault(airbyte_conn_id, _Reads())
    reads.users += 1
    try:
        return await reads.result_of_a_later_read(airbyte_conn_id)
    finally:
        reads.users -= 1
        if not reads.users:
            del all_reads[airbyte_conn_id]


async def _read(airbyte_conn_id: str) -> AirbyteSettings:
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            connection = await _find(airbyte_conn_id)
    except Exception as error:
        # Airflow has no exception of its own for a backend that fails.
        raise unknown_connection(airbyte_conn_id) from error
    return settings_from_connection(connection)


async def _find(airbyte_conn_id: str) -> Connection:
    if _is_in_dag_test():
        connection: Connection = BaseHook.get_connection(airbyte_conn_id)
        return connection
    return await get_async_connection(airbyte_conn_id)


def _is_in_dag_test() -> bool:
    """
    Whether ``dag.test()`` runs the trigger, in the process of the task.

    There Airflow 3 has only a blocking way to its database, and waiting for it holds up nobody.
    """
    try:
        from airflow.sdk.execution_time import task_runner
    except ImportError:  # Airflow 2 reads the database itself
        return False
    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    return type(comms).__name__ == "InProcessSupervisorComms"
