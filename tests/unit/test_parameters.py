"""The checks of operator and sensor arguments."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import UserList
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.parameters import (
    check_counts,
    check_one_is_given,
    check_unless_template,
    given_one,
    resolve_deferrable,
    validate_choice,
    validate_confirmation,
    validate_conn_id,
    validate_count,
    validate_counts,
    validate_flag,
    validate_instant,
    validate_job_id,
    validate_names,
    validate_seconds,
    validate_streams,
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


RESULT = {"job_id": 42, "status": "succeeded", "rows_synced": None, "adopted": False}


@pytest.mark.parametrize(
    "value",
    [
        42,
        42.0,
        "42",
        " 42\n",
        "0042",
        "42.0",
        '"42"',
        RESULT,
        {"job_id": "42"},
        {"jobId": 42, "status": "running"},
        [42],
        ("42",),
        {42},
        [RESULT],
        [None, RESULT],
        [RESULT, RESULT],
        [[RESULT]],
        str(RESULT),
        f"  {RESULT}\n",
        json.dumps(RESULT),
        json.dumps(RESULT, indent=2),
        str([RESULT]),
        json.dumps([RESULT]),
        "[42]",
        "(42,)",
        str({"job_id": "42"}),
        json.dumps(json.dumps(RESULT)),
        UserList([RESULT]),
        MappingProxyType(RESULT),
    ],
    ids=repr,
)
def test_a_job_id_is_found_in_every_form_in_which_it_is_passed_on(value):
    assert validate_job_id(value, "airbyte_job_id") == 42


def test_a_job_id_is_as_long_as_airbyte_allows():
    assert validate_job_id(str(2**63 - 1), "airbyte_job_id") == 2**63 - 1


@pytest.mark.parametrize(
    "value",
    [
        *("4.2", "about 42", "-42", "0", "1e400", "42 43", "job_id: 42", "{'job_id': 42", "nan"),
        *({}, {"id": 42}, {"job_id": "x"}, ["x"], [42, "x"], "LazySelectSequence([1 item])"),
        *(True, "True", 0, -1, 4.2, math.inf, math.nan, 2**63, object),
    ],
    ids=repr,
)
def test_an_invalid_job_id_is_rejected_with_the_parameter_and_the_value(value):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_job_id(value, "airbyte_job_id")

    assert str(failure.value) == (
        f"airbyte_job_id must be the number of an Airbyte job, or a task's result with a job_id, "
        f"not {value!r}: check what the upstream task returned."
    )


@pytest.mark.parametrize("text", ["[" * 50_000, "9" * 10_000, "[" * 500 + "]" * 499 + "x" * 9_000])
def test_text_that_cannot_be_parsed_is_rejected_in_one_short_line(text):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_job_id(text, "airbyte_job_id")

    assert "\n" not in str(failure.value)
    assert len(str(failure.value)) < 1_000


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "None",
        "null",
        None,
        [],
        [None],
        "[]",
        "[None]",
        {"job_id": None},
        "{'job_id': None}",
    ],
    ids=repr,
)
def test_no_job_id_is_said_to_come_from_a_task_that_pushed_none(value):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_job_id(value, "airbyte_job_id")

    assert str(failure.value) == (
        f"airbyte_job_id is empty ({value!r}): the upstream task pushed no job, or was skipped."
    )


@pytest.mark.parametrize("value", [[43, 42], ["42", {"job_id": 43}], "[42, 43]"], ids=repr)
def test_several_jobs_are_said_to_need_several_tasks(value):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_job_id(value, "airbyte_job_id")

    assert str(failure.value) == (
        "airbyte_job_id contains 2 jobs (42, 43), but one task takes one: use one task for "
        "each, with .expand(airbyte_job_id=...)."
    )


@pytest.mark.parametrize("value", ["wait", "skip"])
def test_a_valid_choice_passes(value):
    validate_choice(value, "on_running", ("wait", "skip"))


@pytest.mark.parametrize("value", ["", "Wait", "wait ", "retry", None])
def test_an_invalid_choice_is_rejected_with_all_choices(value):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_choice(value, "on_running", ("wait", "skip"))

    assert str(failure.value) == f"on_running must be one of 'wait', 'skip', not {value!r}."


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0.001, 0.001),
        (1, 1.0),
        ("3600", 3600.0),
        (" 2.5\n", 2.5),
        ("1e3", 1000.0),
        (Decimal("1.5"), 1.5),
        (timedelta(minutes=1), 60.0),
        (timedelta.max, timedelta.max.total_seconds()),
    ],
    ids=repr,
)
def test_a_duration_is_returned_in_seconds(value, seconds):
    validated = validate_seconds(value, "timeout")

    assert validated == seconds
    assert isinstance(validated, float)


@pytest.mark.parametrize(
    "value",
    [
        *(0, 0.0, -1, math.inf, -math.inf, math.nan, 1e300, 10**400, True, None, [], timedelta(0)),
        *("0", "-1", "inf", "nan", "", "None", "1 h", "1:00:00", timedelta(seconds=-1)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_duration_that_is_not_positive_or_no_number_is_rejected(value):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_seconds(value, "timeout")

    assert str(failure.value) == (
        f"timeout must be a number of seconds above 0, or a timedelta, not {value!r}."
    )


@pytest.mark.parametrize(("value", "count"), [(0, 0), (7, 7), ("1", 1), (" 1.0", 1), (2.0, 2)])
def test_a_count_is_returned_as_a_whole_number(value, count):
    validated = validate_count(value, "min_rows")

    assert validated == count
    assert isinstance(validated, int)


@pytest.mark.parametrize(
    "value", [-1, 0.5, "0.5", "", "None", "many", None, True, math.inf, math.nan, [1]], ids=repr
)
def test_an_invalid_count_is_rejected(value):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_count(value, "min_rows")

    assert str(failure.value) == f"min_rows must be a whole number from 0, not {value!r}."


@pytest.mark.parametrize(
    "value",
    [
        {"users": 1, "public.orders": 20},
        {"users": "1", "public.orders": 20.0},
        MappingProxyType({"users": 1, "public.orders": 20}),
        '{"users": 1, "public.orders": "20"}',
        "{'users': 1, 'public.orders': 20}",
    ],
)
def test_counts_are_read_from_every_form_of_a_dict(value):
    assert validate_counts(value, "min_rows_of") == {"users": 1, "public.orders": 20}
    assert check_counts(value, "min_rows_of") == {"users": 1, "public.orders": 20}


@pytest.mark.parametrize(
    "value", [None, "", "None", "users", 1, "1", ["users"], "[]", {1: 1}, {"": 1}, {" ": 1}]
)
def test_what_is_no_dict_of_counts_is_refused(value):
    for check in (validate_counts, check_counts):
        with pytest.raises(AirbyteConfigError, match=r"^min_rows_of must be a dict such as"):
            check(value, "min_rows_of")


@pytest.mark.parametrize("value", [-1, 1.5, "many", None, True, {"users": 1}])
def test_an_invalid_count_is_named_by_its_key(value):
    for check in (validate_counts, check_counts):
        with pytest.raises(AirbyteConfigError, match=r"^min_rows_of\['b'\] must be a whole"):
            check({"a": 1, "b": value}, "min_rows_of")


def test_templates_in_counts_are_left_for_later_and_the_others_are_checked():
    template: Any = "{{ var.value.rows }}"
    output: Any = BaseOperator(task_id="count").output
    check: Any = check_counts

    assert check(template, "min_rows_of") == template
    assert check(output, "min_rows_of") is output
    assert check({"a": template, "b": "2"}, "min_rows_of") == {"a": template, "b": 2}
    assert check({"a": output}, "min_rows_of") == {"a": output}
    with pytest.raises(AirbyteConfigError, match=r"^min_rows_of\['b'\]"):
        check({"a": template, "b": -2}, "min_rows_of")
    with pytest.raises(AirbyteConfigError, match=r"^min_rows_of\['a'\]"):
        validate_counts({"a": template}, "min_rows_of")


@pytest.mark.parametrize("value", [True, False])
def test_a_flag_is_returned(value):
    assert validate_flag(value, "cancel_on_kill") is value


@pytest.mark.parametrize("value", ["false", "True", "", None, 0, 1], ids=repr)
def test_text_is_not_taken_for_a_flag(value):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_flag(value, "cancel_on_kill")

    assert str(failure.value) == f"cancel_on_kill must be True or False, not {value!r}."


def test_the_id_of_an_airflow_connection_is_stripped():
    assert validate_conn_id(" airbyte\n", "airbyte_conn_id") == "airbyte"


@pytest.mark.parametrize("value", ["", " ", "None", None, 7], ids=repr)
def test_an_empty_id_of_an_airflow_connection_is_rejected(value):
    with pytest.raises(AirbyteConfigError) as failure:
        validate_conn_id(value, "airbyte_conn_id")

    assert str(failure.value) == (
        f"airbyte_conn_id must be the id of an Airflow connection, not {value!r}."
    )


@pytest.mark.parametrize("value", ["{{ params.x }}", "{% if x %}1{% endif %}", " {{x}} "], ids=repr)
def test_a_template_is_checked_later(value):
    assert check_unless_template(validate_count, value, "min_rows") == value


def test_the_output_of_a_task_is_checked_later():
    output: Any = BaseOperator(task_id="upstream").output

    assert check_unless_template(validate_count, output, "min_rows") is output


@pytest.mark.parametrize("value", ["x", "{x}", [], None], ids=repr)
def test_everything_else_is_checked_at_once(value):
    with pytest.raises(AirbyteConfigError, match="min_rows must be"):
        check_unless_template(validate_count, value, "min_rows")


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


def test_text_is_not_taken_for_deferrable():
    with pytest.raises(AirbyteConfigError, match="deferrable must be True or False, not 'false'"):
        resolve_deferrable("false")  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (["a", "b", "a"], ("a", "b")),
        ("a", ("a",)),
        ("2026", ("2026",)),
        ('["a", "b"]', ("a", "b")),
        ("['a']", ("a",)),
        (("a",), ("a",)),
    ],
    ids=repr,
)
def test_names_are_read_from_every_form(value, names):
    assert validate_names(value, "tags") == names


@pytest.mark.parametrize("value", [None, "", "None", [], "[]", [""], [None], {"a": 1}, 7], ids=repr)
def test_what_has_no_names_is_refused(value):
    with pytest.raises(AirbyteConfigError, match=r"^tags must be a list of names"):
        validate_names(value, "tags")


@pytest.mark.parametrize(
    ("value", "streams"),
    [
        (["a", {"name": "b", "namespace": "n"}], (("a", None), ("b", "n"))),
        ({"name": "a", "namespace": ""}, (("a", None),)),
        ('[{"name": "a", "namespace": null}]', (("a", None),)),
        ("a", (("a", None),)),
        ("7", (("7", None),)),
    ],
    ids=repr,
)
def test_streams_are_read_from_every_form(value, streams):
    assert validate_streams(value, "streams") == streams


@pytest.mark.parametrize(
    "value",
    [None, "", "None", [], [[]], [{"name": 1}], [{"namespace": "n"}], [{"name": "a", "mode": 1}]],
    ids=repr,
)
def test_what_has_no_streams_is_refused(value):
    with pytest.raises(AirbyteConfigError, match=r"^streams must be a list of stream names"):
        validate_streams(value, "streams")


@pytest.mark.parametrize("value", [True, "True", " true "], ids=repr)
def test_a_confirmation_passes(value):
    validate_confirmation(value, "confirm", "everything")


@pytest.mark.parametrize("value", [False, None, 1, "", "yes", "False"], ids=repr)
def test_anything_else_is_no_confirmation(value):
    with pytest.raises(AirbyteConfigError, match=r"confirm=True deletes everything\.$"):
        validate_confirmation(value, "confirm", "everything")


class TestOneOfSeveral:
    @pytest.mark.parametrize("ways", [{"a": 1}, {"a": 0, "b": None}, {"a": "{{ x }}", "b": "y"}])
    def test_one_is_given_as_far_as_the_dag_tells(self, ways):
        check_one_is_given(**ways)

    @pytest.mark.parametrize("ways", [{"a": None}, {"a": None, "b": None}, {"a": "x", "b": ""}])
    def test_none_or_several_are_refused_when_the_dag_is_parsed(self, ways):
        with pytest.raises(AirbyteConfigError, match=f"^One of {', '.join(ways)} must be given"):
            check_one_is_given(**ways)

    @pytest.mark.parametrize(
        ("ways", "name"),
        [({"a": "x"}, "a"), ({"a": "", "b": None}, "a"), ({"a": "None", "b": "y"}, "b")],
    )
    def test_what_is_rendered_says_which(self, ways, name):
        assert given_one(**ways) == name

    @pytest.mark.parametrize("ways", [{"a": "x", "b": "y"}, {"a": "", "b": "None"}])
    def test_none_or_several_are_refused_when_they_are_rendered(self, ways):
        with pytest.raises(AirbyteConfigError, match="must be given, but"):
            given_one(**ways)


class TestInstant:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (datetime(2026, 3, 25, 1, 30, tzinfo=UTC), "2026-03-25T01:30:00+00:00"),
            (
                datetime(2026, 3, 25, tzinfo=timezone(timedelta(hours=2))),
                "2026-03-24T22:00:00+00:00",
            ),
            (datetime(2026, 3, 25, 1, 30), "2026-03-25T01:30:00+00:00"),
            ("2026-03-25T01:30:00.123456+05:30", "2026-03-24T20:00:00.123456+00:00"),
            ("2026-03-25 01:30:00+00:00", "2026-03-25T01:30:00+00:00"),
            ("20260325T013000Z", "2026-03-25T01:30:00+00:00"),
            ("2026-03-25", "2026-03-25T00:00:00+00:00"),
        ],
        ids=repr,
    )
    def test_it_is_in_utc(self, value, expected):
        assert validate_instant(value, "completed_after").isoformat() == expected

    @pytest.mark.parametrize(
        "value",
        [
            *(None, "", "None", "now", "tomorrow", 20260325, 1.5, True, date(2026, 3, 25)),
            *("12:00", "P1D", "PT5M", "2026", "2026-03", "2026-W13", "2026-13-01", "2026-03-32"),
            *("2026-03-25/2026-03-26", "2026-03-25/P1D", "2026-03-25T25:00", "2026-03-25 soon"),
            *("99999999999999", "2026-03-25T00:00:00.12345678901234"),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        ],
        ids=repr,
    )
    def test_anything_else_is_refused(self, value):
        with pytest.raises(AirbyteConfigError, match=r"^since must be a datetime, or its ISO-8601"):
            validate_instant(value, "since")

    @pytest.mark.parametrize("value", ["", " ", "None", None])
    def test_a_template_that_was_rendered_to_nothing_is_explained(self, value):
        with pytest.raises(AirbyteConfigError, match=r"Some runs have no logical date and no data"):
            validate_instant(value, "since")

    def test_without_a_zone_it_is_in_airflows_default_time_zone(self):
        """As the dates of a DAG are. Airflow reads that setting once, when it is imported."""
        code = """if True:
            from datetime import datetime
            from pendulum import naive
            from airflow_provider_airbyte_sme.parameters import validate_instant
            at = datetime(2026, 7, 1, 12)
            for value in (at, naive(2026, 7, 1, 12), "2026-07-01T12:00", "2026-07-01T12:00Z"):
                print(validate_instant(value, "x").isoformat())
        """
        environment = {**os.environ, "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Europe/Berlin"}

        process = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )

        assert process.stdout.split()[-4:] == [
            "2026-07-01T10:00:00+00:00",
            "2026-07-01T10:00:00+00:00",
            "2026-07-01T10:00:00+00:00",
            "2026-07-01T12:00:00+00:00",
        ]
