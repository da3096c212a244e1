"""What a check is, and the loop that runs the checks one after the other."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteApiError,
    AirbyteError,
    AirbyteTransportError,
    one_line,
)
from airflow_provider_airbyte_sme.api.scrubbing import scrub
from airflow_provider_airbyte_sme.api.waiting import duration_text

T = TypeVar("T")

UNREACHABLE = "Airbyte cannot be reached."
CONFIG_API_OFF = "config_api of the Airflow connection is false."

# Characters of one text. What is longer is cut: a check is one line.
_MAX_LENGTH = 1_000
SLOW_ADVICE = "Look for the delay in Airbyte's server, its ingress, the proxy or the network."
# Where the advice begins in a message that is one sentence.
_ADVICE = re.compile(
    r"[:.] (?=(?i:check|set|enter|correct|remove|move|create|(?:it|they|name and value) "
    r"(?:must|should))\b)"
)
# A message about an invalid field may say only what the field must be.
_RULE = " of the Airflow connection must be "


class Outcome(StrEnum):
    """How a check can end."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Finding(NamedTuple):
    """
    What a step returns.

    :param saw: What it saw, as whole sentences.
    :param change: What to change, as whole sentences; empty if there is nothing to change.
    """

    outcome: Outcome
    saw: str
    change: str = ""


def ok(saw: str) -> Finding:
    """Return the finding of what works."""
    return Finding(Outcome.OK, saw)


def warning(saw: str, change: str) -> Finding:
    """Return the finding of what works, but should be looked at."""
    return Finding(Outcome.WARNING, saw, change)


def failed(saw: str, change: str) -> Finding:
    """Return the finding of what does not work."""
    return Finding(Outcome.FAILED, saw, change)


def skipped(saw: str) -> Finding:
    """Return the finding of what was not checked, with the reason."""
    return Finding(Outcome.SKIPPED, saw)


def skipped_after(name: str) -> Finding:
    """Return the finding of what needs the check *name*, which failed."""
    return skipped(f"Not checked, because {name} failed.")


def _too_late(*, is_failed: bool) -> Finding:
    """Return the finding of a step for which there is no time, after a failed one or not."""
    saw = "Not checked, because the time for all checks is over."
    return skipped(saw) if is_failed else failed(saw, SLOW_ADVICE)


def failed_by(error: AirbyteError, beginning: str = "") -> Finding:
    """
    Return the finding of an error.

    :param beginning: What it means for the check, as a sentence.
    """
    saw, change = told(error)
    return failed(f"{beginning} {saw}".strip(), change)


def told(error: AirbyteError) -> tuple[str, str]:
    """Return two texts of an error: what happened, and what to do."""
    text = str(error)
    if isinstance(error, AirbyteApiError):
        saw = f"{error.summary}."
        change = text.removeprefix(saw).strip()
        if error.retry_after:
            saw += f" It asks to wait {duration_text(error.retry_after)}."
        return saw, change
    if isinstance(error, AirbyteTransportError):
        return text.removesuffix(error.advice).strip(), error.advice
    saw, *advice = _ADVICE.split(text, maxsplit=1)
    if advice:
        return f"{saw}.", advice[0][0].upper() + advice[0][1:]
    field, rule, value = text.partition(_RULE)
    if rule:
        return f"{field} of the Airflow connection is not valid.", f"It must be {value}"
    return text, ""


@dataclass(frozen=True, slots=True)
class Check:
    """
    The result of one step. It contains no secret, and each of its texts is one line.

    :param name: Name of the step, such as ``dns``.
    :param saw: What it saw, or why it was skipped.
    :param change: What to change; empty if there is nothing to change.
    """

    name: str
    outcome: Outcome
    saw: str
    change: str = ""

    @property
    def message(self) -> str:
        """What it saw, and what to change."""
        return f"{self.saw} {self.change}".strip()

    def to_json(self) -> dict[str, str]:
        """Return the check as a JSON object with the fields of this class."""
        return {
            "name": self.name,
            "outcome": str(self.outcome),
            "saw": self.saw,
            "change": self.change,
        }


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """
    One step.

    :param name: How it is called, in lower case.
    :param run: Looks at a ``T``. An error of this client that it raises fails the step.
    :param needs: The steps without which this one cannot be run.
    :param failure: What a failure of this step means, as a sentence.
    """

    name: str
    run: Callable[[T], Awaitable[Finding]]
    needs: tuple[str, ...] = ()
    failure: str = ""


def ignore(_: Check) -> None:
    """Do nothing with a check."""


def call_in_time(call: Callable[[], T], seconds: float) -> T:
    """
    Return the result of a call that has no limit of its own, or raise what it raises.

    After the time, it goes on in a thread that ends with the process.

    :raises TimeoutError: It took longer.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # for the caller
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():
            raise
        raise TimeoutError(f"no answer within {seconds:.3g} s") from None


async def run_steps(
    steps: Iterable[Step[T]],
    subject: T,
    *,
    secrets: Callable[[], Sequence[str]],
    seconds_left: Callable[[], float] = lambda: math.inf,
    on_check: Callable[[Check], None] = ignore,
) -> list[Check]:
    """
    Run steps in their order.

    After a failed step, those that need it are skipped; the others still run. When the time is
    over, none is run any more, and at least one has failed. No step raises: also an error that
    nobody expects becomes a failed check.

    :param secrets: Returns what must not appear in a check.
    :param seconds_left: Returns the seconds until the time for all steps is over.
    :param on_check: Gets each check as soon as it is made.
    """
    # Each step that did not come to its end, and the failed one that is the reason.
    blocked: dict[str, str] = {}
    checks = []
    for step in steps:
        reason = next((blocked[name] for name in step.needs if name in blocked), None)
        if reason is not None:
            finding = skipped_after(reason)
        elif seconds_left() > 0:
            finding = await _run(step, subject)
        else:
            finding = _too_late(is_failed=bool(blocked))
        if reason or finding.outcome is Outcome.FAILED:
            blocked[step.name] = reason or step.name
        checks.append(check_of(step.name, finding, secrets()))
        on_check(checks[-1])
    return checks


def check_of(name: str, finding: Finding, secrets: Sequence[str] = ()) -> Check:
    """Return *finding* as a check, without secrets."""
    saw, change = (one_line(scrub(text, secrets), _MAX_LENGTH) for text in finding[1:])
    return Check(name, finding.outcome, saw, change)


async def _run(step: Step[T], subject: T) -> Finding:
    try:
        return await step.run(subject)
    except AirbyteTransportError as error:
        return failed_by(error, UNREACHABLE)
    except AirbyteError as error:
        return failed_by(error, step.failure)
    # Whatever else goes wrong is no reason to withhold the other checks.
    except Exception as error:
        return failed(
            f"The check itself failed: {type(error).__name__}: {error}.",
            "Please report this as a fault of the provider.",
        )
