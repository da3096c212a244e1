"""
Searches what each test leaves behind for the secrets that it used, and fails the test if it finds
one.

Searched are the log records, those of the HTTP libraries at DEBUG too; what was printed; the
exceptions that tests expect; and what a task hands to Airflow's database, as :mod:`tests.tasks`
notes it: XComs, rendered fields, triggers, events and stored state.

The secrets are those of every :class:`AirbyteSettings` and proxy that the test makes, and those
that every emulator has issued. A test that shows one on purpose is marked ``shows_secrets``, with
the reason.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any
from weakref import WeakSet

import pytest

from airflow_provider_airbyte_sme.api import AirbyteSettings
from airflow_provider_airbyte_sme.api.network import Proxy
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.leaks import MIN_LENGTH, Search, told

MARKER = "shows_secrets"

# They are at DEBUG whatever a test sets for the root logger. That one is not: SQLAlchemy would log
# every statement with its values.
LOGGERS = ("airflow_provider_airbyte_sme", "aiohttp", "asyncio", "requests", "urllib3")


class Traces(logging.Handler):
    """What one test has left behind, and the secrets that it has used."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[tuple[str, str]] = []
        self.secrets: set[str] = set()
        self.emulators: WeakSet[Emulator] = WeakSet()
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append((f"the log of {record.name}", self.format(record)))

    def note(self, place: str, value: object) -> None:
        """Note a text, or a value that Airflow stores as JSON."""
        text = value if isinstance(value, str) else json.dumps(value, default=repr)
        self.texts.append((place, text))

    def note_exception(self, error: BaseException | None) -> None:
        """Note the texts of an exception and of all exceptions that led to it."""
        pending, seen = [error], set[int]()
        while pending:
            each = pending.pop()
            if each is None or id(each) in seen:  # Airflow makes cycles
                continue
            seen.add(id(each))
            notes = getattr(each, "__notes__", ())
            self.note("an exception", "\n".join([str(each), repr(each), *notes]))
            pending += [each.__cause__, each.__context__]

    def leaks(self) -> str:
        """Return a message about what is found; empty if that is nothing."""
        values = {*self.secrets}
        for emulator in tuple(self.emulators):
            values.update(emulator.issued_secrets.values())
        search = Search({_hint(each): each for each in values if is_recognisable(each)})
        found = [leak for place, text in self.texts for leak in search.in_text(place, text)]
        return told(found) if found else ""

    def forget(self) -> None:
        """Start with another test. Emulators may serve several."""
        self.texts.clear()
        self.secrets.clear()


traces = Traces()


def is_recognisable(secret: str) -> bool:
    """Whether a text can have *secret* only from there: it is long, and no word or number."""
    return len(secret) >= MIN_LENGTH and bool(
        re.search("[A-Za-z]", secret) and re.search(r"[\d\W]", secret)
    )


def _hint(secret: str) -> str:
    """Return a name for a secret of a test, which is no secret of anybody."""
    return f"the secret {secret[:4]}…{secret[-4:]}"


def collect(patch: pytest.MonkeyPatch) -> None:
    """Have secrets, log records, captured output and expected exceptions noted from now on."""
    for name in (*LOGGERS, None):
        logging.getLogger(name).addHandler(traces)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)

    def after(owner: type, name: str, action: Callable[..., None]) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def replacement(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            action(self, result, *args)
            return result

        patch.setattr(owner, name, replacement)

    def note_output(capture: Any, result: Any) -> None:
        del capture
        traces.note("the output", f"{result.out}\n{result.err}")

    def note_expected(raises: Any, result: Any, _: Any, error: Any, traceback: Any) -> None:
        del raises, result, traceback
        traces.note_exception(error)

    def note_secrets(made: AirbyteSettings | Proxy, *_: object) -> None:
        # A proxy that is no URL has none.
        with suppress(ValueError):
            traces.secrets.update(made.secrets)

    after(AirbyteSettings, "__init__", note_secrets)
    after(Proxy, "__init__", note_secrets)
    after(Emulator, "__init__", lambda made, *_: traces.emulators.add(made))
    after(pytest.CaptureFixture, "readouterr", note_output)
    after(pytest.RaisesExc, "__exit__", note_expected)


def search(item: pytest.Item, report: pytest.TestReport) -> None:
    """Fail *report*, the last one about the test *item*, if a secret is found."""
    traces.note("the output", f"{report.capstdout}\n{report.capstderr}")
    leaks = "" if item.get_closest_marker(MARKER) else traces.leaks()
    traces.forget()
    if leaks and report.passed:
        report.outcome = "failed"
        report.longrepr = f"{leaks}\nA test that shows one on purpose is marked {MARKER}."


@pytest.fixture(autouse=True)
def _quiet_caplog(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let a test see the records that it would see without this module: none at DEBUG."""
    # Airflow 2.11 prints the records of all loggers, once it has set up its logging.
    printing = [
        handler
        for handler in logging.getLogger().handlers
        if handler.level < logging.INFO and handler not in (traces, caplog.handler)
    ]
    for handler in printing:
        handler.setLevel(logging.INFO)
    caplog.handler.setLevel(logging.WARNING)
    yield
    caplog.handler.setLevel(logging.NOTSET)
    for handler in printing:
        handler.setLevel(logging.NOTSET)
