"""
All errors that this client raises.

::

    AirbyteError
    ├── AirbyteConfigError (ValueError)     nothing was sent; names the field to change
    ├── AirbyteTransportError               no response; .request_sent
    │   └── AirbyteRequestTimeoutError
    ├── AirbyteApiError                     an error response; .status .problem .method .url
    │   ├── AirbyteBadRequestError          400, 422
    │   ├── AirbyteAuthenticationError      401 for a call with a new token
    │   │   └── AirbyteCredentialsError     the token endpoint rejected client id and secret
    │   ├── AirbytePermissionError          403
    │   ├── AirbyteNotFoundError            404
    │   ├── AirbyteConflictError            409; .sync_is_running .state_conflict
    │   │   └── AirbyteConnectionNotActiveError    the connection is inactive, locked or deleted
    │   ├── AirbyteRateLimitError           429
    │   └── AirbyteServerError              5xx, 408
    ├── AirbyteDecodeError                  2xx, but not the documented body; .is_html
    └── AirbyteJobError                     .job; see job_errors.py
        ├── AirbyteJobFailedError
        ├── AirbyteJobCancelledError
        ├── AirbyteTooFewRowsError          succeeded with fewer rows than required
        └── AirbyteJobTimeoutError          still running at the deadline

Each message is one line: what failed, on what, why, and what to do. None contains a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse

ApiError = TypeVar("ApiError", bound="AirbyteApiError")

MAX_EXCERPT_LENGTH = 400

# The titles that tell the two kinds of 409 apart: docs/airbyte-api.md §3.2.
_TRY_AGAIN_LATER = "try-again-later"
_STATE_CONFLICT = "state-conflict"


class AirbyteError(Exception):
    """Base class of all errors of this client."""


class AirbyteConfigError(AirbyteError, ValueError):
    """The configuration is invalid; nothing was sent."""


class AirbyteTransportError(AirbyteError):
    """
    There was no response.

    :param request_sent: Whether Airbyte may have received the request, and so may have executed
        it.
    """

    def __init__(self, message: str, *, request_sent: bool) -> None:
        super().__init__(message)
        self.request_sent = request_sent


class AirbyteRequestTimeoutError(AirbyteTransportError):
    """There was no response in time."""


@dataclass(frozen=True, slots=True)
class Problem:
    """
    The content of an error response, in any of the formats of docs/airbyte-api.md §6.

    :param title: The problem's title; empty for formats without one.
    :param text: The reason in words; may be empty.
    :param from_airbyte: Whether Airbyte itself wrote the body. A proxy or an ingress in front of
        it responds with HTML or plain text.
    :param data: Details of the problem, which depend on its title.
    """

    title: str = ""
    text: str = ""
    from_airbyte: bool = True
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_response(cls, response: HttpResponse) -> Problem:
        """Parse the error response *response*."""
        if 300 <= response.status < 400:
            target = _without_query(response.headers.get("location", ""))
            text = (
                f"a redirect to {one_line(target)!r}" if target else "a redirect without a target"
            )
            return cls(text=text, from_airbyte=False)
        if response.is_html:
            return cls(text="an HTML page instead of an API response", from_airbyte=False)
        try:
            body = response.json()
        except ValueError:
            return cls(text=one_line(response.body.decode("utf-8", "replace")), from_airbyte=False)
        if not isinstance(body, dict):
            return cls(text=one_line(str(body)), from_airbyte=False)
        data = body.get("data")
        data = data if isinstance(data, dict) else {}
        if title := body.get("title"):
            reason = (
                data.get("message") or data.get("value") or _resource(data) or body.get("detail")
            )
            return cls(title=one_line(str(title)), text=one_line(str(reason or "")), data=data)
        if error_id := body.get("errorId"):
            message = str(body.get("message") or "").rstrip(".")
            hint = f"errorId {error_id}, see the log of airbyte-server"
            return cls(text=one_line(f"{message} ({hint})" if message else hint))
        return cls(text=one_line(_hateoas_text(body)), from_airbyte="message" in body)


def _resource(data: Mapping[str, Any]) -> str:
    return " ".join(str(data[key]) for key in ("resourceType", "resourceId") if data.get(key))


def _without_query(location: str) -> str:
    try:
        return urlsplit(location)._replace(query="", fragment="").geturl()
    except ValueError:
        return ""


def _hateoas_text(body: Mapping[str, Any]) -> str:
    """Return the text of a framework error: docs/airbyte-api.md §6.2."""
    embedded = body.get("_embedded")
    errors = embedded.get("errors") if isinstance(embedded, dict) else None
    messages = [
        str(error.get("message"))
        for error in (errors if isinstance(errors, list) else ())
        if isinstance(error, dict) and error.get("message")
    ]
    return "; ".join(messages) or str(body.get("message") or body)


def one_line(text: str) -> str:
    """Fold *text* into one line of at most ``MAX_EXCERPT_LENGTH`` characters."""
    folded = re.sub(r"\s+", " ", text).strip()
    if len(folded) <= MAX_EXCERPT_LENGTH:
        return folded
    return folded[: MAX_EXCERPT_LENGTH - 1] + "…"


class AirbyteApiError(AirbyteError):
    """
    Airbyte, or a proxy in front of it, returned an error response.

    :param status: HTTP status.
    :param problem: The content of the response.
    :param retry_after: Seconds to wait as the response demands. Airbyte itself never sends
        ``Retry-After``; an ingress or a gateway may.
    :ivar summary: The message without the advice and without a full stop.
    """

    advice = (
        "Check Host (Airbyte URL) of the Airflow connection: it must be the URL under which people "
        "open Airbyte."
    )

    def __init__(
        self,
        *,
        method: str,
        url: str,
        status: int,
        problem: Problem,
        retry_after: float | None = None,
    ) -> None:
        self.method = method
        self.url = url
        self.status = status
        self.problem = problem
        self.retry_after = retry_after
        reason = ", ".join(part for part in (problem.title, problem.text) if part).rstrip(".")
        self.summary = f"Airbyte responded to {method} {url} with {status}" + (
            f": {reason}" if reason else ""
        )
        # A 4xx that Airbyte did not write means a wrong URL or a proxy, not a bad request.
        is_misrouted = status < 500 and not problem.from_airbyte
        advice = AirbyteApiError.advice if is_misrouted else self.advice
        super().__init__(f"{self.summary}. {advice}")

    def as_error(self, error_class: type[ApiError], text: str | None = None) -> ApiError:
        """
        Return the same response as an error of class *error_class*.

        :param text: The reason in words, where more is known than the response says.
        """
        return error_class(
            method=self.method,
            url=self.url,
            status=self.status,
            problem=self.problem if text is None else replace(self.problem, text=text),
        )


class AirbyteBadRequestError(AirbyteApiError):
    """The request is invalid: 400, 422."""

    advice = "Correct the named value: Airbyte would reject the same request again."


class AirbyteAuthenticationError(AirbyteApiError):
    """Airbyte rejected a token that it had just issued: 401."""

    advice = (
        "Airbyte rejected a new token: check that the application's owner still exists and that "
        "Airbyte can reach its identity provider."
    )


class AirbyteCredentialsError(AirbyteAuthenticationError):
    """The token endpoint rejected client id and secret: docs/airbyte-api.md §2.5."""

    advice = (
        "Check Login (Client ID) and Password (Client secret) of the Airflow connection against "
        "User settings > Applications in Airbyte."
    )


class AirbytePermissionError(AirbyteApiError):
    """The caller's role does not allow the request, or the id is unknown: 403."""

    advice = (
        "Either the id does not exist in this Airbyte (it responds with 403 to unknown ids too), "
        "or the user who owns the application needs a role in that workspace: runner to start and "
        "cancel syncs, reader to watch them."
    )


class AirbyteNotFoundError(AirbyteApiError):
    """The resource does not exist: 404."""

    advice = (
        "Check the id, and that Host (Airbyte URL) of the Airflow connection is the URL of the "
        "right Airbyte."
    )


class AirbyteConflictError(AirbyteApiError):
    """The state of the connection does not allow the request: 409."""

    advice = "Look at the connection in Airbyte."

    @property
    def sync_is_running(self) -> bool:
        """Whether a job of this connection is already running."""
        return self.problem.title == _TRY_AGAIN_LATER

    @property
    def state_conflict(self) -> bool:
        """
        Whether the state of the connection or job forbids the request.

        After a ``POST /jobs``: the connection is not active, or its new job did not appear within
        60 s (docs/airbyte-api.md §3.2).
        """
        return self.problem.title == _STATE_CONFLICT


class AirbyteConnectionNotActiveError(AirbyteConflictError):
    """The connection is inactive, locked or deleted, so Airbyte runs no sync of it."""

    advice = "Enable the connection in Airbyte, or remove its id from the DAG."


class AirbyteRateLimitError(AirbyteApiError):
    """Too many requests: 429. Airbyte executed nothing."""

    advice = "Nothing was executed. Raise poll_interval if this happens often."


class AirbyteServerError(AirbyteApiError):
    """Airbyte or its ingress failed: 5xx, and 408 (docs/airbyte-api.md §2.2)."""

    advice = "This is usually transient; see the logs of airbyte-server and of the ingress."


class AirbyteDecodeError(AirbyteError):
    """
    A successful response whose body is not the documented one.

    :param is_html: Whether it is an HTML page: the URL is wrong, or a proxy asks for a login.
    """

    def __init__(self, message: str, *, is_html: bool = False) -> None:
        super().__init__(message)
        self.is_html = is_html


_ERROR_CLASSES: Mapping[int, type[AirbyteApiError]] = {
    400: AirbyteBadRequestError,
    401: AirbyteAuthenticationError,
    403: AirbytePermissionError,
    404: AirbyteNotFoundError,
    408: AirbyteServerError,
    409: AirbyteConflictError,
    422: AirbyteBadRequestError,
    429: AirbyteRateLimitError,
}


def api_error(
    request: HttpRequest, response: HttpResponse, *, retry_after: float | None = None
) -> AirbyteApiError:
    """Map an error response to its exception."""
    error_class = _ERROR_CLASSES.get(response.status)
    if error_class is None:
        error_class = AirbyteServerError if response.status >= 500 else AirbyteApiError
    return error_class(
        method=request.method,
        url=request.url,
        status=response.status,
        problem=Problem.from_response(response),
        retry_after=retry_after,
    )
