"""
Everything that can go wrong with Airbyte, as one tree.

::

    AirbyteError
    ├── AirbyteConfigError (ValueError)     before any request; names the field to change
    ├── AirbyteTransportError               no answer; .request_sent
    │   └── AirbyteRequestTimeoutError
    ├── AirbyteApiError                     no success; .status .problem .method .url
    │   ├── AirbyteBadRequestError          400, 422
    │   ├── AirbyteAuthenticationError      401 on a call, with a token just exchanged
    │   │   └── AirbyteCredentialsError     the token endpoint refused client id and secret
    │   ├── AirbytePermissionError          403
    │   ├── AirbyteNotFoundError            404
    │   ├── AirbyteConflictError            409; .sync_is_running .state_conflict
    │   │   └── AirbyteConnectionNotActiveError    the connection is inactive, locked or deleted
    │   ├── AirbyteRateLimitError           429
    │   └── AirbyteServerError              5xx, 408
    ├── AirbyteDecodeError                  2xx, but not the documented body; .is_html
    └── AirbyteJobError                     .job
        ├── AirbyteJobFailedError           AirbyteJobCancelledError
        ├── AirbyteTooFewRowsError          succeeded, without the rows that were asked for
        └── AirbyteJobTimeoutError          not terminal in time

Each message is one line: what, on what, why, and what to do. None carries a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
    from airflow_provider_airbyte_sme.api.models import Job

ApiError = TypeVar("ApiError", bound="AirbyteApiError")

_LONGEST_EXCERPT = 400

# The titles of the two conflicts that a client must tell apart: airbyte-platform api-problems.yaml.
_TRY_AGAIN_LATER = "try-again-later"
_STATE_CONFLICT = "state-conflict"


class AirbyteError(Exception):
    """Whatever this client raises on purpose."""


class AirbyteConfigError(AirbyteError, ValueError):
    """The configuration cannot work; nothing was sent."""


class AirbyteTransportError(AirbyteError):
    """
    No answer came back.

    :param request_sent: Whether Airbyte may have received the request, and so may have done
        what it asks for.
    """

    def __init__(self, message: str, *, request_sent: bool) -> None:
        super().__init__(message)
        self.request_sent = request_sent


class AirbyteRequestTimeoutError(AirbyteTransportError):
    """The answer did not come in time."""


@dataclass(frozen=True, slots=True)
class Problem:
    """
    What an error answer says, whichever of Airbyte's bodies it came in.

    :param title: The problem's title, empty for the bodies that have none.
    :param text: The reason in words.
    :param from_airbyte: Whether Airbyte itself wrote the body: a proxy or an ingress in front of
        it answers in HTML or bare text.
    """

    title: str = ""
    text: str = ""
    from_airbyte: bool = True
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_response(cls, response: HttpResponse) -> Problem:
        """
        Read the reason out of *response*.

        Problems, exceptions with a message and bare error ids: airbyte-platform
        ``AbstractThrowableProblemHandler``, ``KnownExceptionHandler`` and
        ``UncaughtExceptionHandler``. The framework's own: Micronaut
        ``DefaultJsonErrorResponseBodyProvider``.
        """
        if 300 <= response.status < 400:
            to = _without_query(response.headers.get("location", ""))
            return cls(text=f"a redirect to {one_line(to)!r}", from_airbyte=False)
        if response.is_html:
            return cls(text="a web page instead of an API answer", from_airbyte=False)
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
            message = body.get("message")
            where = f"errorId {error_id}, explained in the log of airbyte-server"
            return cls(text=one_line(f"{message} ({where})" if message else where))
        return cls(text=one_line(_hateoas(body)), from_airbyte="message" in body)


def _resource(data: Mapping[str, Any]) -> str:
    return " ".join(str(data[key]) for key in ("resourceType", "resourceId") if data.get(key))


def _without_query(location: str) -> str:
    try:
        return urlsplit(location)._replace(query="", fragment="").geturl()
    except ValueError:
        return ""


def _hateoas(body: Mapping[str, Any]) -> str:
    embedded = body.get("_embedded")
    errors = embedded.get("errors") if isinstance(embedded, dict) else None
    inner = [
        str(e.get("message"))
        for e in (errors if isinstance(errors, list) else ())
        if isinstance(e, dict) and e.get("message")
    ]
    return "; ".join(inner) or str(body.get("message") or body)


def one_line(text: str) -> str:
    """Fold *text* into one line that a log can carry."""
    folded = re.sub(r"\s+", " ", text).strip()
    return folded if len(folded) <= _LONGEST_EXCERPT else folded[: _LONGEST_EXCERPT - 1] + "…"


class AirbyteApiError(AirbyteError):
    """
    Airbyte, or something in front of it, answered with an error.

    :param status: HTTP status.
    :param problem: What the answer says.
    :param retry_after: Seconds that the answer asks to wait; Airbyte itself never says so, an
        ingress or a gateway may.
    """

    advice = (
        "Check Host (Airbyte URL) of the Airflow connection: is it the URL under which people open "
        "Airbyte?"
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
        said = ", ".join(part for part in (problem.title, problem.text) if part).rstrip(".")
        # What a proxy writes with a 4xx tells of the way to Airbyte, not of what was asked.
        misled = status < 500 and not problem.from_airbyte
        advice = AirbyteApiError.advice if misled else self.advice
        super().__init__(f"Airbyte answered {method} {url} with {status}: {said}. {advice}")

    def retold_as(self, kind: type[ApiError], text: str | None = None) -> ApiError:
        """
        Tell of the same answer by another *kind* of error.

        :param text: The reason in words, where more is known than the answer says.
        """
        return kind(
            method=self.method,
            url=self.url,
            status=self.status,
            problem=self.problem if text is None else replace(self.problem, text=text),
        )


class AirbyteBadRequestError(AirbyteApiError):
    """The request was not understood, or asks for what cannot be: 400, 422."""

    advice = "Correct what it names: a repetition is refused again."


class AirbyteAuthenticationError(AirbyteApiError):
    """A token that was exchanged a moment ago was refused: 401."""

    advice = (
        "The token was new: does the user who owns the application still exist, and can Airbyte "
        "reach its identity provider?"
    )


class AirbyteCredentialsError(AirbyteAuthenticationError):
    """The token endpoint refused the client id and secret: 400 or 401, by kind of sign-in."""

    advice = (
        "Check Login (Client ID) and Password (Client secret) of the Airflow connection against "
        "User settings > Applications in Airbyte."
    )


class AirbytePermissionError(AirbyteApiError):
    """The caller's role does not allow it, or Airbyte does not know the id: 403."""

    advice = (
        "Either the id does not exist in this Airbyte (it answers 403 to those too), or the user "
        "who owns the application needs a role in that workspace: runner to start and cancel "
        "syncs, reader to watch them."
    )


class AirbyteNotFoundError(AirbyteApiError):
    """There is no such thing: 404."""

    advice = (
        "Check the id, and that Host (Airbyte URL) of the Airflow connection leads to the right "
        "Airbyte."
    )


class AirbyteConflictError(AirbyteApiError):
    """The state of the connection does not allow it: 409."""

    advice = "Look at the connection in Airbyte."

    @property
    def sync_is_running(self) -> bool:
        """Whether a job of this connection runs already; it ends by itself."""
        return self.problem.title == _TRY_AGAIN_LATER

    @property
    def state_conflict(self) -> bool:
        """Whether the connection is not active, or its new job did not show up in 60 s."""
        return self.problem.title == _STATE_CONFLICT


class AirbyteConnectionNotActiveError(AirbyteConflictError):
    """The connection is inactive, locked or deleted, so it runs no sync."""

    advice = "Enable the connection in Airbyte, or take its id out of the DAG."


class AirbyteRateLimitError(AirbyteApiError):
    """Too many requests: 429."""

    advice = "Nothing was done. Raise poll_interval if this comes often."


class AirbyteServerError(AirbyteApiError):
    """
    Airbyte or its ingress is in trouble: 5xx, and 408.

    The config API's token endpoint answers 408 when Keycloak takes more than a second:
    airbyte-platform ``RequestTimeoutInterceptor.kt``.
    """

    advice = "See the log of airbyte-server and of the ingress; this usually passes."


class AirbyteDecodeError(AirbyteError):
    """
    A success whose body is not the documented one.

    :param is_html: Whether a web page came: the URL is wrong, or a proxy asks for a login.
    """

    def __init__(self, message: str, *, is_html: bool = False) -> None:
        super().__init__(message)
        self.is_html = is_html


class AirbyteJobError(AirbyteError):
    """
    A job did not bring what was wanted.

    :param job: The job as last read.
    """

    def __init__(self, message: str, *, job: Job) -> None:
        super().__init__(message)
        self.job = job


class AirbyteJobFailedError(AirbyteJobError):
    """The job failed."""


class AirbyteJobCancelledError(AirbyteJobError):
    """Somebody cancelled the job."""


class AirbyteTooFewRowsError(AirbyteJobError):
    """The job succeeded with fewer rows than asked for."""


class AirbyteJobTimeoutError(AirbyteJobError):
    """The job is not terminal in time."""


_BY_STATUS: Mapping[int, type[AirbyteApiError]] = {
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
    """Turn an answer that is no success into the error that tells of it."""
    kind = _BY_STATUS.get(response.status)
    if kind is None:
        kind = AirbyteServerError if response.status >= 500 else AirbyteApiError
    return kind(
        method=request.method,
        url=request.url,
        status=response.status,
        problem=Problem.from_response(response),
        retry_after=retry_after,
    )
