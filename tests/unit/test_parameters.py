"""The checks of operator and sensor arguments."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.parameters import (
    resolve_deferrable,
    validate_choice,
    validate_job_id,
    validate_seconds,
    validate_uuid,
)

UUID = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"


@pytest.mark.parametrize(
    "value",
    [
        UUID,
        UUID.upper(),
        f"  {UUID}\n",
        UUID.replace("-", ""),
        f"{{{UUID}}}",
        f"urn:uuid:{UUID}",
    ],
    ids=["canonical", "upper case", "padded", "without hyphens", "in braces", "URN"],
)
def test_a_uuid_is_returned_in_the_form_that_airbyte_uses(value):
    assert validate_uuid(value, "connection_id") == UUID


@pytest.mark.parametrize(
    "value", ["", " ", "None", "my connection", UUID[:-1], UUID + "0", None, 7]
)
def test_an_invalid_uuid_is_rejected_with_the_parameter_and_the_value(value):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_uuid(value, "connection_id")

    assert str(failure.value) == (
        f"connection_id must be the UUID of an Airbyte connection, as in the URL of its page, not "
        f"{value!r}."
    )


@pytest.mark.parametrize(
    "value",
    [42, "42", " 42\n", {"job_id": 42}, {"job_id": "42", "status": "succeeded"}],
    ids=["number", "text", "padded text", "result", "result with text"],
)
def test_a_job_id_is_returned_as_a_number(value):
    assert validate_job_id(value, "airbyte_job_id") == 42


@pytest.mark.parametrize(
    "value", ["", "None", "4.2", "about 42", None, {}, {"job_id": None}, {"id": 42}, [42]], ids=repr
)
def test_an_invalid_job_id_is_rejected_with_the_parameter_and_the_value(value):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_job_id(value, "airbyte_job_id")

    assert str(failure.value) == (
        f"airbyte_job_id must be the number of an Airbyte job, or a task's result with a job_id, "
        f"not {value!r}: check that the upstream task pushed one."
    )


@pytest.mark.parametrize("value", ["wait", "skip"])
def test_a_valid_choice_passes(value):
    validate_choice(value, "on_running", ("wait", "skip"))


@pytest.mark.parametrize("value", ["", "Wait", "wait ", "retry", None])
def test_an_invalid_choice_is_rejected_with_all_choices(value):
    with pytest.raises(ValueError, match=r"^on_running must be one of") as failure:
        validate_choice(value, "on_running", ("wait", "skip"))

    assert str(failure.value) == f"on_running must be one of 'wait', 'skip', not {value!r}."


@pytest.mark.parametrize("value", [0.001, 1, 10.0, math.inf])
def test_a_positive_duration_is_returned_as_a_float(value):
    seconds = validate_seconds(value, "timeout")

    assert seconds == value
    assert isinstance(seconds, float)


@pytest.mark.parametrize("value", [0, 0.0, -1, -math.inf, math.nan])
def test_a_duration_that_is_not_positive_is_rejected(value):
    with pytest.raises(ValueError, match=r"^timeout must be above 0") as failure:
        validate_seconds(value, "timeout")

    assert str(failure.value) == f"timeout must be above 0 seconds, not {value!r}."


@pytest.fixture
def set_default_deferrable(monkeypatch) -> Callable[[str], None]:
    def set_default(value: str) -> None:
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", value)

    return set_default


@pytest.mark.parametrize(
    ("deferrable", "default", "resolved"),
    [
        (None, "true", True),
        (None, "false", False),
        (True, "true", True),
        (True, "false", True),
        (False, "true", False),
        (False, "false", False),
    ],
)
def test_deferrable_overrides_the_default_of_airflow(
    set_default_deferrable, deferrable, default, resolved
):
    set_default_deferrable(default)

    assert resolve_deferrable(deferrable) is resolved


def test_deferrable_is_off_by_default():
    assert resolve_deferrable(None) is False
