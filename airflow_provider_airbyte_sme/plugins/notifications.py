"""
What Airbyte posts to a webhook, and what the caller and the log are told.

Airbyte signs nothing, so a notification proves nothing: it only says which job to look at.
Bodies: docs/airbyte-api.md §8.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from uuid import UUID

_TEST_MARK = "[THIS IS A TEST NOTIFICATION]"
_MAX_JOB_ID = 2**63 - 1


class Reply(NamedTuple):
    """
    The end of a call.

    The caller learns the status only, and the log the message.

    :param message: What has happened, and what to do about it, in one line.
    :param has_emitted: Whether an event was emitted.
    """

    status: HTTPStatus
    message: str
    has_emitted: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether there is nothing to correct."""
        return self.status is HTTPStatus.OK

    @property
    def body(self) -> str:
        """What the caller gets: one of two words."""
        return "accepted" if self.is_accepted else "refused"

    @property
    def level(self) -> int:
        """The level at which the message is logged."""
        return logging.INFO if self.is_accepted else logging.WARNING


class Notification(NamedTuple):
    """
    The job that a notification is about.

    :param connection_id: UUID of the Airbyte connection, in lower case with hyphens.
    """

    job_id: int
    connection_id: str


def read_notification(body: bytes) -> Notification | Reply:
    """
    Read the body of a call.

    :return: The job to look at; or a reply, if there is none.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return _malformed("the body is not JSON")
    if not isinstance(payload, dict):
        return _malformed("the body is not a JSON object")
    text, data = payload.get("text"), payload.get("data")
    if _is_test(payload):
        return Reply(
            HTTPStatus.OK,
            "a test notification of Airbyte has arrived, with the right secret. It is about no "
            "real job, so no event is emitted. The webhook works.",
        )
    if data is None and isinstance(text, str):
        return Reply(
            HTTPStatus.OK,
            "a notification about no job has arrived, such as of a disabled connection or a "
            "changed schema. No event is emitted. To spare these calls, set the webhook in Airbyte "
            "for successful syncs only.",
        )
    return _read_data(data)


def _is_test(payload: Mapping[str, Any]) -> bool:
    """Whether somebody has pressed *Test* in Airbyte: that is in the title, the first block."""
    match payload.get("blocks"):
        case [{"text": {"text": str(title)}}, *_]:
            return title.startswith(_TEST_MARK)
        case _:
            return False


def _read_data(data: Any) -> Notification | Reply:
    if not isinstance(data, Mapping):
        return _malformed("it has neither `text` nor `data`")
    job_id, connection = data.get("jobId"), data.get("connection")
    if type(job_id) is not int or not 0 < job_id <= _MAX_JOB_ID:
        return _malformed("`data.jobId` is not the number of a job")
    connection_id = _uuid(connection.get("id") if isinstance(connection, Mapping) else None)
    if connection_id is None:
        return _malformed("`data.connection.id` is not the UUID of a connection")
    if data.get("success") is False:
        return Reply(
            HTTPStatus.OK,
            f"job {job_id} of connection {connection_id} has failed, so no event is emitted. To "
            f"spare these calls, set the webhook in Airbyte for successful syncs only.",
        )
    return Notification(job_id, connection_id)


def _uuid(value: object) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _malformed(problem: str) -> Reply:
    return Reply(
        HTTPStatus.BAD_REQUEST,
        f"this is no notification of Airbyte: {problem}. If Airbyte has sent it, this release does "
        f"not know its format: look for a newer one. Otherwise somebody else knows the secret: "
        f"replace it.",
    )
