"""
The pytest plugin: a running Airbyte for a test.

Loaded in every pytest run in which the package is installed, so it imports nothing that costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator import Emulator

_MARKER = "airbyte_emulator"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f'{_MARKER}(**settings): settings of the fixture airbyte_emulator, as time="manual"',
    )


@pytest.fixture
def airbyte_emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """
    Serve an emulator on loopback while the test runs.

    Jobs are over when first read, unless ``@pytest.mark.airbyte_emulator(...)`` on the test, its
    class or its module gives other settings of
    :class:`~airflow_provider_airbyte_sme.emulator.Emulator`.
    """
    from airflow_provider_airbyte_sme.emulator import Emulator

    settings: dict[str, Any] = {"time": "instant"}
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        settings |= marker.kwargs
    emulator = Emulator(**settings)
    with emulator.serve():
        yield emulator
