"""A secrets backend as Airflow loads it from its configuration, and what a test makes it do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest
from airflow.secrets.base_secrets import BaseSecretsBackend

# Id of the one Airflow connection that the vault has.
VAULT_CONN_ID = "in_vault"


class Vault:
    """
    What a secrets backend returns.

    :param answer: Called for each read with its number, from 1. It returns the URI of the
        connection, or raises.
    :ivar reads: How many reads there were.
    """

    current: ClassVar[Vault | None] = None

    def __init__(self, answer: Callable[[int], str]) -> None:
        self.answer = answer
        self.reads = 0
        self._lock = threading.Lock()

    def read(self) -> str:
        with self._lock:
            self.reads += 1
            number = self.reads
        return self.answer(number)


class VaultBackend(BaseSecretsBackend):
    """Airflow keeps one instance for the whole process."""

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        del team_name
        if Vault.current is None or conn_id != VAULT_CONN_ID:
            return None
        return Vault.current.read()


@contextmanager
def vault_with(answer: Callable[[int], str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    """Let Airflow read the connection from a :class:`Vault`."""
    name = f"{VaultBackend.__module__}.{VaultBackend.__qualname__}"
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", name)
    Vault.current = Vault(answer)
    try:
        yield Vault.current
    finally:
        Vault.current = None


def unavailable() -> str:
    raise ConnectionError("503 Service Unavailable: too many requests")
