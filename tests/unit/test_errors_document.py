"""docs/errors.md has a row for each public error, and says what Airflow really makes of it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme import api
from airflow_provider_airbyte_sme.api import (
    AirbyteApiError,
    AirbyteError,
    AirbyteJobError,
    AirbyteJobFailedError,
    Job,
    Problem,
)
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.outcome import failing_fast

DOCUMENT = (Path(__file__).parents[2] / "docs/errors.md").read_text(encoding="utf-8")
HEADER = "| Error | What it means | Where it comes from | Retried | What a retry is worth |"

ERRORS: dict[str, type[AirbyteError]] = {
    name: each
    for name in api.__all__
    if inspect.isclass(each := getattr(api, name)) and issubclass(each, AirbyteError)
}
JOB = Job(job_id=42, status="failed", connection_id="18dccc91-0ab1-4f72-9ed7-0b8fc27c5826")
# Arguments of those that need more than a message.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "AirbyteConfigApiError": {"purpose": "A refresh", "is_hidden": False},
    "AirbyteAmbiguousNameError": {"kind": "source", "name": "crm", "ids": ["a", "b"]},
    "AirbyteTransportError": {"message": "why", "request_sent": True},
    "AirbyteRequestTimeoutError": {"message": "why", "request_sent": True},
}


def rows() -> dict[str, list[str]]:
    """Return the cells of each row after the name of the error."""
    _, _, table = DOCUMENT.partition(HEADER)
    lines = table.partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name.strip("`"): rest for name, *rest in cells}


def examples_of(error_class: type[AirbyteError]) -> list[AirbyteError]:
    """Return an error of the class, or the two that Airbyte and a gateway before it cause."""
    if issubclass(error_class, AirbyteApiError):
        where: dict[str, Any] = {
            "method": "GET",
            "url": "https://airbyte.example.com",
            "status": 418,
        }
        return [
            error_class(**where, problem=Problem(from_airbyte=is_airbytes))
            for is_airbytes in (True, False)
        ]
    if issubclass(error_class, AirbyteJobError):
        return [error_class("why", job=JOB)]
    if error_class.__name__ in ARGUMENTS:
        return [error_class(**ARGUMENTS[error_class.__name__])]
    return [error_class("why")]


def is_retried(error: AirbyteError) -> bool:
    """Whether an operator that raises the error leaves it to Airflow's retries."""
    try:
        with failing_fast():
            raise error
    except AirflowFailException:
        return False
    except AirbyteError:
        return True


def retried_text(error_class: type[AirbyteError]) -> str:
    by_airbyte, *by_gateway = map(is_retried, examples_of(error_class))
    if by_airbyte in by_gateway or not by_gateway:
        return "yes" if by_airbyte else "no"
    assert (by_airbyte, by_gateway) == (False, [True])
    return "unless Airbyte wrote it"


def test_every_error_has_a_row_in_the_order_of_the_tree():
    assert set(rows()) == set(ERRORS)
    assert len(ERRORS) > 25
    for name, error_class in ERRORS.items():
        earlier = list(rows()).index
        parents = [each.__name__ for each in error_class.__mro__[1:] if each.__name__ in ERRORS]
        assert all(earlier(parent) < earlier(name) for parent in parents)


@pytest.mark.parametrize("error_class", ERRORS.values(), ids=list(ERRORS))
def test_the_document_says_whether_airflow_retries(error_class):
    assert rows()[error_class.__name__][2] == retried_text(error_class)


@pytest.mark.parametrize("error_class", ERRORS.values(), ids=list(ERRORS))
def test_what_is_not_retried_is_permanent(error_class):
    for error in examples_of(error_class):
        assert is_retried(error) is not is_permanent(error)


@pytest.mark.parametrize("name", ERRORS)
def test_a_row_says_what_a_retry_is_worth(name):
    meaning, origin, retried, worth = rows()[name]

    assert meaning.endswith(".")
    assert origin
    assert worth.startswith("Nothing") == (retried in ("no", "unless Airbyte wrote it"))


def test_the_attributes_of_a_failed_job_are_those_of_the_class():
    named = re.findall(r"`(\w+)`", rows()["AirbyteJobFailedError"][0])

    error = AirbyteJobFailedError("why", job=JOB)
    assert len(named) == 5
    assert all(hasattr(error, name) for name in named)
