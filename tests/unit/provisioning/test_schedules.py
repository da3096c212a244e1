"""Schedules: what Airbyte accepts, how it returns it, and who syncs."""

import pytest

from airflow_provider_airbyte_sme.api.models import AirbyteConnection
from airflow_provider_airbyte_sme.api.models.connections import MANUAL, Schedule
from airflow_provider_airbyte_sme.provisioning.declarations import ConnectionDeclaration
from airflow_provider_airbyte_sme.provisioning.schedules import (
    is_scheduled,
    same_schedule,
    schedule_payload,
    schedule_problems,
    schedule_text,
)

DAILY = Schedule("cron", "0 0 3 * * ? UTC")
BASIC = Schedule("basic", basic_timing="Every 24 HOURS")


@pytest.mark.parametrize(
    "expression",
    [
        "manual",
        "Manual",
        "0 0 3 * * ?",
        "0 0 3 * * ? UTC",
        "0 0 3 * * ? utc",
        "0 */15 * * * ?",
        "0 * * * * ?",
        "30 0 3 * * ? 2027",
        "0 0 3 ? * MON-FRI",
        "0 0 3 ? jan,jun 6L",
        "0 0 3 ? * FRIL",
        "0 0 3 ? * 2#1",
        "0 0 3 L * ?",
        "0 0 3 LW * ?",
        "0 0 3 15W * ?",
        "0 0 0/6 1,15 1-12/3 ?",
    ],
)
def test_what_airbyte_accepts_is_no_problem(expression: str) -> None:
    assert schedule_problems(expression) == []


@pytest.mark.parametrize(
    ("expression", "quartz"),
    [
        ("0 3 * * *", "0 0 3 * * ?"),
        ("*/15 * * * *", "0 */15 * * * ?"),
        ("0 3 1,15 * *", "0 0 3 1,15 * ?"),
        ("0 3 * * 1-5", "0 0 3 ? * MON-FRI"),
        ("0 3 * * 0", "0 0 3 ? * SUN"),
        ("0 3 * * 5-7", "0 0 3 ? * FRI,SAT,SUN"),
        ("0 3 * * */2", "0 0 3 ? * SUN,TUE,THU,SAT"),
        ("0 3 * * 1-5/2", "0 0 3 ? * MON,WED,FRI"),
        ("0 3 * * mon", "0 0 3 ? * MON"),
        ("0 3 * * * UTC", "0 0 3 * * ?"),
        ("@daily", "0 0 0 * * ?"),
        ("@weekly", "0 0 0 ? * SUN"),
    ],
)
def test_a_unix_expression_is_answered_with_its_quartz_form(expression: str, quartz: str) -> None:
    [problem] = schedule_problems(expression)
    assert "Unix" in problem
    assert f"'{quartz}'" in problem
    assert schedule_problems(quartz) == []


def test_a_unix_expression_with_both_days_has_no_quartz_form() -> None:
    [problem] = schedule_problems("0 3 1 * 1")
    assert "Quartz cannot" in problem


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "6 or 7 fields, not 0"),
        ("UTC", "6 or 7 fields, not 0"),
        ("daily", "6 or 7 fields, not 1"),
        ("0 0 3 * * ? 2027 2028", "6 or 7 fields, not 8"),
        ("* 0 3 * * ?", "the second must be a number, not '*'"),
        ("0 */15 3 * * ? 2027", "the minute must be a number, not '*/15'"),
        ("0 0 3 * * *", "must be '?'"),
        ("0 0 3 ? * ?", "must be '?'"),
        ("0 0 3 1 * MON", "must be '?'"),
        ("0 0 24 * * ?", "the hour must be from 0 to 23, not 24"),
        ("0 0 3 ? * 0", "the day of week must be from 1 to 7, not 0"),
        ("0 0 3 0 * ?", "the day of month must be from 1 to 31, not 0"),
        ("0 0 3 ? * TUES", "'TUES' is no day of week"),
        ("0 0 3 * MAI ?", "'MAI' is no month"),
        ("0 0 3h * * ?", "'H' is no hour"),
        ("0 0 3 * * ? ;", "';' is no year"),
        ("0 0 3 * * ? Europe/Berlin", "leave out 'Europe/Berlin'"),
        ("0 0 3 * * ? CET", "leave out 'CET'"),
        ("0 0 3 * * ? UTC+2", "leave out 'UTC+2'"),
        ("0 3 * * * Europe/Berlin", "leave out 'Europe/Berlin'"),
    ],
)
def test_a_problem_names_the_field_and_the_declared_expression(
    expression: str, reason: str
) -> None:
    problem = " ".join(schedule_problems(expression))
    assert reason in problem
    assert problem.startswith("schedule: ")
    assert repr(expression) in problem


def test_all_problems_of_an_expression_are_reported_at_once() -> None:
    assert len(schedule_problems("x 0 25 * * * Europe/Berlin")) == 5


@pytest.mark.parametrize(
    "declared", ["0 0 3 * * ?", "0 0 3 * * ? UTC", "0  0 3 * * ?  utc", " 0 0 3 * * ? "]
)
def test_case_spaces_and_utc_are_no_difference(declared: str) -> None:
    assert same_schedule(declared, DAILY)
    assert schedule_payload(declared) == {
        "scheduleType": "cron",
        "cronExpression": "0 0 3 * * ?",
    }


def test_names_of_days_are_compared_without_case() -> None:
    assert same_schedule("0 0 3 ? * mon", Schedule("cron", "0 0 3 ? * MON UTC"))


@pytest.mark.parametrize(
    ("declared", "actual"),
    [
        ("manual", DAILY),
        ("manual", BASIC),
        ("0 0 3 * * ?", MANUAL),
        ("0 0 3 * * ?", BASIC),
        ("0 0 4 * * ?", DAILY),
    ],
)
def test_another_schedule_differs_and_a_basic_one_always_does(
    declared: str, actual: Schedule
) -> None:
    assert not same_schedule(declared, actual)


def test_manual_is_written_without_an_expression() -> None:
    assert same_schedule("MANUAL", MANUAL)
    assert schedule_payload("MANUAL") == {"scheduleType": "manual"}


@pytest.mark.parametrize(
    ("actual", "text"),
    [(MANUAL, "manual"), (DAILY, "0 0 3 * * ?"), (BASIC, "Every 24 HOURS")],
)
def test_a_schedule_reads_as_one_would_declare_it(actual: Schedule, text: str) -> None:
    assert schedule_text(actual) == text


@pytest.mark.parametrize(
    ("declared", "status", "actual", "scheduled"),
    [
        (None, None, None, False),
        ("manual", None, DAILY, False),
        ("0 0 3 * * ?", None, None, True),
        ("0 0 3 * * ?", "inactive", None, False),
        (None, None, DAILY, True),
        (None, None, BASIC, True),
        (None, None, MANUAL, False),
        (None, "inactive", DAILY, False),
    ],
)
def test_airbyte_syncs_an_active_connection_whose_schedule_is_not_manual(
    declared: str | None, status: str | None, actual: Schedule | None, scheduled: bool
) -> None:
    declaration = ConnectionDeclaration("c", "s", "d", "all", schedule=declared, status=status)
    connection = actual and AirbyteConnection("id", "c", "active", "w", "s", "d", schedule=actual)
    assert is_scheduled(declaration, connection) is scheduled


def test_a_disabled_connection_is_not_scheduled() -> None:
    disabled = AirbyteConnection("id", "c", "inactive", "w", "s", "d", schedule=DAILY)
    assert not is_scheduled(ConnectionDeclaration("c", "s", "d", "all"), disabled)
