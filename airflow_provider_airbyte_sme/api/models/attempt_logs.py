"""
The end of an attempt's log, as the config API sends it: docs/airbyte-api.md §3.7.21.

A log is what connectors wrote: it has any length, and may contain anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_airbyte_sme.api.errors import one_line
from airflow_provider_airbyte_sme.api.models.fields import entries, inner, instant, line, readable
from airflow_provider_airbyte_sme.api.scrubbing import scrub

MAX_LINES = 30
# Bytes of all lines together.
MAX_SIZE = 8192
# Characters.
MAX_LINE_LENGTH = 400

# Characters of a log, and of one of its entries, that are searched for secrets: more than is
# returned, because a secret that was cut off would not be found.
_MAX_SEARCHED = 65_536
_MAX_SEARCHED_OF_ENTRY = 4096
_ANSI_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def end_of_log(payload: Any, secrets: Iterable[str] = ()) -> tuple[str, ...]:
    """
    Return the last lines of the log in an ``AttemptInfoRead``, the oldest first.

    At most ``MAX_LINES`` and ``MAX_SIZE``, without secrets and control characters. A log in an
    unknown format counts as empty.

    :param secrets: As for :func:`.scrubbing.scrub`.
    """
    logs = inner(payload, "logs")
    structured = entries(inner(logs, "events"))
    texts = map(_of_event, reversed(structured)) if structured else _plain(inner(logs, "logLines"))
    # Together, because a secret such as a private key may have several lines.
    end = _ANSI_COLOURS.sub("", "\n".join(reversed(list(_newest(texts)))))
    cut = (one_line(each, MAX_LINE_LENGTH) for each in scrub(end, secrets).splitlines())
    return _last(list(filter(None, cut)))


def _plain(lines: Any) -> Iterator[str]:
    return (each for each in reversed(entries(lines)) if isinstance(each, str))


def _of_event(event: Any) -> str:
    fields: Mapping[str, Any] = event if isinstance(event, dict) else {}
    at = instant(fields, "timestamp", per_second=1000)
    time = "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
    head = " ".join(filter(None, (time, line(fields, "level").upper(), line(fields, "logSource"))))
    message = readable(fields, "message", str) or ""
    return f"{head}: {message}" if head else message


def _newest(texts: Iterator[str]) -> Iterator[str]:
    """Yield the first of *texts* up to the limit of what is searched, whole or not at all."""
    left = _MAX_SEARCHED
    for text in texts:
        left -= min(len(text), _MAX_SEARCHED_OF_ENTRY) + 1
        if left < 0:
            return
        yield text[:_MAX_SEARCHED_OF_ENTRY]


def _last(lines: Sequence[str]) -> tuple[str, ...]:
    kept: list[str] = []
    left = MAX_SIZE
    for each in reversed(lines[-MAX_LINES:]):
        left -= len(each.encode()) + 1
        if left < 0:
            break
        kept.append(each)
    return tuple(reversed(kept))
