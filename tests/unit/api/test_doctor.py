"""How the doctor runs its steps, whatever they look at."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteDecodeError,
    AirbyteTransportError,
)
from airflow_provider_airbyte_sme.api.doctor import (
    Check,
    Outcome,
    Step,
    call_in_time,
    failed,
    ok,
    run_steps,
    skipped,
    warning,
)


def step(name, finding, *needs, failure=""):
    """Return a step that ends with *finding*, or with an exception."""

    async def run(ran):
        ran.append(name)
        if isinstance(finding, Exception):
            raise finding
        return finding

    return Step(name, run, needs, failure)


@pytest.fixture
def ran():
    """The names of the steps that were run."""
    return []


@pytest.fixture
def checks_of(run, ran):
    def checks(*steps, secrets=(), **options):
        return run(run_steps(steps, ran, secrets=lambda: secrets, **options))

    return checks


def test_each_step_becomes_a_check_in_order(checks_of):
    assert checks_of(step("a", ok("Fine.")), step("b", warning("Odd.", "Mend it."))) == [
        Check("a", Outcome.OK, "Fine."),
        Check("b", Outcome.WARNING, "Odd.", "Mend it."),
    ]


def test_after_a_failed_step_those_that_need_it_are_skipped_with_the_reason(checks_of, ran):
    checks = checks_of(
        step("dns", failed("No address.", "Correct it.")),
        step("tcp", ok("Fine."), "dns"),
        step("tls", ok("Fine."), "tcp"),
        step("links", ok("Fine.")),
    )

    assert ran == ["dns", "links"]
    assert checks[1:] == [
        Check("tcp", Outcome.SKIPPED, "Not checked, because dns failed."),
        Check("tls", Outcome.SKIPPED, "Not checked, because dns failed."),
        Check("links", Outcome.OK, "Fine."),
    ]


@pytest.mark.parametrize("finding", [skipped("No proxy is used."), warning("Odd.", "Mend it.")])
def test_a_warning_or_a_step_without_a_subject_stops_nothing(checks_of, finding):
    checks = checks_of(step("tunnel", finding), step("tls", ok("Fine."), "tunnel"))

    assert checks[1].outcome is Outcome.OK


def test_each_check_is_handed_over_as_soon_as_it_is_made(checks_of, ran):
    handed = []

    checks = checks_of(
        step("a", ok("Fine.")),
        step("b", ok("Fine.")),
        on_check=lambda check: handed.append((check, list(ran))),
    )

    assert handed == [(checks[0], ["a"]), (checks[1], ["a", "b"])]


@pytest.mark.parametrize(
    ("error", "saw", "change"),
    [
        (
            AirbyteTransportError("No response: reset. Wait.", request_sent=True, advice="Wait."),
            "Airbyte cannot be reached. No response: reset.",
            "Wait.",
        ),
        (
            AirbyteConfigError("proxy is odd: set it to a URL."),
            "It did not work. proxy is odd.",
            "Set it to a URL.",
        ),
        (
            AirbyteConfigError("proxy cannot be read: no such file. It must be a path."),
            "It did not work. proxy cannot be read: no such file.",
            "It must be a path.",
        ),
        (
            AirbyteConfigError("verify_tls of the Airflow connection must be true or false."),
            "It did not work. verify_tls of the Airflow connection is not valid.",
            "It must be true or false.",
        ),
        (
            AirbyteDecodeError("Not what was expected."),
            "It did not work. Not what was expected.",
            "",
        ),
    ],
    ids=["no response", "advice in the sentence", "advice as a sentence", "rule", "no advice"],
)
def test_an_error_of_the_client_fails_its_step_and_tells_what_to_change(
    checks_of, error, saw, change
):
    (check,) = checks_of(step("a", error, failure="It did not work."))

    assert check == Check("a", Outcome.FAILED, saw, change)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ok("Fine."), Outcome.FAILED),
        (failed("No.", "Mend it."), Outcome.SKIPPED),
    ],
    ids=["the first success", "after a failure"],
)
def test_when_the_time_is_over_no_step_is_run_and_one_has_failed(checks_of, ran, first, second):
    checks = checks_of(
        step("a", first),
        step("b", ok("Fine.")),
        step("c", ok("Fine.")),
        seconds_left=lambda: 1 - len(ran),
    )

    assert ran == ["a"]
    assert [check.outcome for check in checks[1:]] == [second, Outcome.SKIPPED]
    assert {check.saw for check in checks[1:]} == {
        "Not checked, because the time for all checks is over."
    }


def test_an_error_that_nobody_expects_fails_only_its_step(checks_of):
    checks = checks_of(step("a", KeyError("no such field")), step("b", ok("Fine.")))

    assert checks[0].outcome is Outcome.FAILED
    assert checks[0].saw == "The check itself failed: KeyError: 'no such field'."
    assert checks[1].outcome is Outcome.OK


def test_a_check_is_one_line_without_secrets(checks_of):
    finding = failed("A page\nwith s3cret-value", "Look at https://me:s3cret-value@example.com")

    (check,) = checks_of(step("a", finding), secrets=("s3cret-value",))

    assert check.message == "A page with *** Look at https://***@example.com"


def test_a_check_cannot_steer_the_terminal(checks_of):
    (check,) = checks_of(step("a", ok("Named \x1b[2K\u202edeliaf\u2069\r[ ok ] all.")))

    assert check.saw == "Named [2K deliaf [ ok ] all."


def test_a_check_as_json_has_the_documented_fields():
    assert Check("dns", Outcome.FAILED, "No address.", "Correct it.").to_json() == {
        "name": "dns",
        "outcome": "failed",
        "saw": "No address.",
        "change": "Correct it.",
    }


def test_a_question_that_gives_up_by_itself_says_why():
    def ask():
        raise TimeoutError("the database does not respond")

    with pytest.raises(TimeoutError, match="the database does not respond"):
        call_in_time(ask, 60)
