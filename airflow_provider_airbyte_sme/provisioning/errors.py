"""
Why a declaration cannot be applied. All but the last two are permanent: a retry would fail again.

- :class:`AirbyteDeclarationError`: the declaration itself is wrong, with every problem at once.
- :class:`AirbyteImmutableFieldError`: it differs in what Airbyte cannot change.
- :class:`AirbyteStateLossError`: it would delete the state of streams.
- :class:`AirbyteExistsError`: the resource exists, and ``if_exists`` is ``fail``.
- :class:`AirbyteInUseError`: others hang on what should be deleted.
- :class:`AirbyteNotStoredError`: Airbyte accepted a value and did not store it.
- :class:`AirbyteVanishedError`: what it needs was deleted while it was applied.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError, AirbyteError


class AirbyteDeclarationError(AirbyteConfigError):
    """
    A declaration is invalid.

    :param what: What is declared, such as ``source 'CRM'``.
    :param problems: Each names a field, what is wrong with it, and what is right.
    """

    def __init__(self, what: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{what}: {'; '.join(self.problems)}")


class AirbyteImmutableFieldError(AirbyteConfigError):
    """The declared resource exists, and differs in what Airbyte cannot change."""


class AirbyteStateLossError(AirbyteConfigError):
    """A declared sync mode would delete the state of streams, and that is not allowed."""


class AirbyteExistsError(AirbyteConfigError):
    """The resource exists already, and must not."""


class AirbyteInUseError(AirbyteConfigError):
    """Other resources would be deleted too, and that is not allowed."""


class AirbyteNotStoredError(AirbyteError):
    """Airbyte accepted a write, but a declared value is not what it stores."""


class AirbyteVanishedError(AirbyteError):
    """What a declaration needs existed a moment ago, and was deleted meanwhile."""
