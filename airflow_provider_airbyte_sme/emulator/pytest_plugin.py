"""
The pytest plugin: the fixture and marker ``airbyte_emulator``.

pytest loads it in every run where the package is installed, so it imports nothing expensive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.emulator import Emulator

_MARKER = "airbyte_emulator"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(**settings): settings for the fixture airbyte_emulator, such as time='manual'",
    )


@pytest.fixture
def airbyte_emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """
    Run an emulator server on localhost during the test.

    Jobs take no time (``time="instant"``) by default. ``@pytest.mark.airbyte_emulator(...)`` on the
    test, its class or its module changes this and any other setting of
    :class:`~airflow_provider_airbyte_sme.emulator.Emulator`.

    :param request: pytest gives it.
    """
    from airflow_provider_airbyte_sme.emulator.emulator import Emulator

    settings: dict[str, Any] = {"time": "instant"}
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        settings |= marker.kwargs
    emulator = Emulator(**settings)
    with emulator.serve():
        yield emulator
