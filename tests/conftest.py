"""
Isolates the tests from the Airflow configuration of whoever runs them, and from each other, and
fails each that shows a secret.
"""

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from importlib.metadata import version

import pytest

from tests import traces
from tests.traces import _quiet_caplog as _quiet_caplog

# Airflow reads the environment once, when it is first imported, which is before any fixture runs.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]

airflow_home = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, airflow_home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = airflow_home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

# The modules in which one process of Airflow keeps the secrets that it masks: 2, 3.0, newer.
MASKERS = (
    "airflow.utils.log.secrets_masker",
    "airflow.sdk.execution_time.secrets_masker",
    "airflow._shared.secrets_masker.secrets_masker",
    "airflow.sdk._shared.secrets_masker.secrets_masker",
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{traces.MARKER}(reason): shows a secret on purpose")
    patch = pytest.MonkeyPatch()
    traces.collect(patch)
    config.add_cleanup(patch.undo)

    _quieten_airflow_3_0()


def _quieten_airflow_3_0() -> None:
    """
    Leave out what only its ``dag.test()`` prints: secrets to mask, and variables of a traceback.

    Its tasks log neither.
    """
    if version("apache-airflow").startswith("3.0."):
        import structlog

        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            processors=[
                structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
            ],
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "teardown":
        traces.search(item, report)
    return report


@pytest.fixture(autouse=True)
def forgotten_secrets() -> Iterator[None]:
    """
    Have Airflow forget the secrets of a test, which it would mask in the texts of later tests.

    Airflow's own reset is only in Airflow 3.
    """
    yield
    for name in MASKERS:
        if name in sys.modules:
            masker = sys.modules[name]._secrets_masker()
            masker.patterns.clear()
            masker.replacer = None
