"""
All errors that this client raises.

::

    AirbyteError
    ├── AirbyteConfigError (ValueError)     nothing was sent; names the field to change
    │   └── AirbyteConfigApiError           needs the config API, which is off or hidden
    ├── AirbyteAmbiguousNameError           several resources have the name; .ids
    ├── AirbyteUnsupportedError             the connector does not support the operation
    ├── AirbyteSettingsNotFoundError        the settings could not be read, perhaps only just now
    ├── AirbyteStoppedError                 the caller was stopped; nothing was sent
    ├── AirbyteTransportError               no response; .request_sent
    │   └── AirbyteRequestTimeoutError
    ├── AirbyteApiError                     an error response; .status .problem .method .url
    │   ├── AirbyteBadRequestError          400, 422
    │   ├── AirbyteAuthenticationError      401 for a call with a new token
    │   │   └── AirbyteCredentialsError     the token endpoint rejected client id and secret
    │   ├── AirbytePermissionError          403
    │   │   └── AirbyteLicenseError         the licence lacks an entitlement
    │   ├── AirbyteNotFoundError            404; 409 to a GET of an unknown job
    │   ├── AirbyteConflictError            409, 423; .sync_is_running .state_conflict
    │   │   └── AirbyteConnectionNotActiveError    the connection is inactive, locked or deleted
    │   ├── AirbyteRateLimitError           429
    │   └── AirbyteServerError              5xx, 408
    │       ├── AirbyteNotOfferedError      501: this edition lacks the operation
    │       └── AirbyteWriteFailedError     500 to a write, with Airbyte's reason
    ├── AirbyteDecodeError                  2xx, but not the documented body; .is_html
    ├── AirbyteSyncTimeoutError             no sync had completed at the deadline; see job_errors.py
    └── AirbyteJobError                     .job; see job_errors.py
        ├── AirbyteJobFailedError
        ├── AirbyteJobCancelledError
        ├── AirbyteTooFewRowsError          succeeded with fewer rows than required, or uncounted
        └── AirbyteJobTimeoutError          still running at the deadline

Each message is one line: what failed, on what, why, and what to do. None contains a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.identifiers import is_uuid
from airflow_provider_airbyte_sme.api.scrubbing import scrub, scrub_data

E = TypeVar("E", bound="AirbyteError")
ApiError = TypeVar("ApiError", bound="AirbyteApiError")

MAX_EXCERPT_LENGTH = 400
# Characters of a text that are searched for secrets before it is cut to an excerpt. More would hold
# up an event loop for seconds.
_MAX_SEARCHED = 65_536

# The titles that tell the two kinds of 409 apart: docs/airbyte-api.md §3.2.
_TRY_AGAIN_LATER = "try-again-later"
_STATE_CONFLICT = "state-conflict"
# docs/airbyte-api.md §6.1.11 and §6.1.13.
_LICENSE = "License Entitlement Error"
_UNEXPECTED = "unexpected-problem"
_WRITES = ("POST", "PATCH", "PUT")
# What Airbyte says about an unknown job, but also about one that is not running: §3.3, §3.4.
_NOT_RUNNING = "Job is not currently running"
_JOB_URL = r"/jobs/([^/?#]+)(?:[?#]|$)"

# How to recognise Airbyte's own error bodies: docs/airbyte-api.md §6.
_PROBLEM_TYPES = ("https://reference.airbyte.com/", "error:")
# An HTML page with one of these is not Airbyte's.
_REFUSALS = frozenset({401, 403, 407})
_EXCEPTION_FIELDS = ("exceptionClassName", "rootCauseExceptionClassName")
_LOAD_SHED = {"message": "You are being rate limited."}
_NO_ROUTE = b"Object not found."


class AirbyteError(Exception):
    """Base class of all errors of this client."""


def copy_of(error: E) -> E:
    """
    Return a copy of *error* without its traceback, to be raised in another task or thread.

    An error that many callers raise would collect the frames of them all.
    """
    # Not `copy.copy`, which calls the class with the message only.
    copied: E = type(error).__new__(type(error), *error.args)
    vars(copied).update(vars(error))
    return copied


class AirbyteConfigError(AirbyteError, ValueError):
    """The configuration is invalid; nothing was sent."""


class AirbyteConfigApiError(AirbyteConfigError):
    """
    The operation needs the internal config API, which is switched off or does not exist.

    :param purpose: What needs it, as the beginning of the message.
    :param is_hidden: Whether this Airbyte has none, as Airbyte Cloud.
    """

    def __init__(self, purpose: str, *, is_hidden: bool) -> None:
        super().__init__(
            f"{purpose} needs Airbyte's config API, which Airbyte Cloud does not offer."
            if is_hidden
            else f"{purpose} needs Airbyte's config API: set config_api of the Airflow connection "
            f"to true."
        )


class AirbyteAmbiguousNameError(AirbyteError):
    """
    Several resources have the name that should identify one: Airbyte's names are not unique.

    :param kind: What they are, such as ``source``.
    :param name: The name that they share.
    :param ids: The ids of all of them, as the attribute ``ids`` has them.
    :param workspace_id: Where they are; empty for workspaces.
    """

    def __init__(self, kind: str, name: str, ids: Iterable[str], *, workspace_id: str = "") -> None:
        self.ids = tuple(ids)
        where = f" in workspace {workspace_id}" if workspace_id else ""
        super().__init__(
            f"{len(self.ids)} {kind}s{where} are named {one_line(name)!r}: {', '.join(self.ids)}. "
            f"Rename or delete all but one, or give the id instead of the name."
        )


class AirbyteUnsupportedError(AirbyteError):
    """A connector does not support the operation; nothing was changed."""


class AirbyteSettingsNotFoundError(AirbyteError):
    """
    The settings were not found: they do not exist, or their store failed.

    Airflow reports an error of its secrets backend or API server as a connection that does not
    exist, so this may be transient.
    """


class AirbyteStoppedError(AirbyteError):
    """The caller was stopped before it sent the request."""


class AirbyteTransportError(AirbyteError):
    """
    There was no response.

    :param message: What failed, why and what to do, in one line without secrets.
    :param request_sent: Whether Airbyte may have received the request, and so may have executed
        it.
    :param tunnel_rejected: Whether a proxy refused to connect to Airbyte.
    :param advice: The end of the message that says what to do; empty if that is not known.
    """

    def __init__(
        self,
        message: str,
        *,
        request_sent: bool,
        tunnel_rejected: bool = False,
        advice: str = "",
    ) -> None:
        super().__init__(message)
        self.request_sent = request_sent
        self.tunnel_rejected = tunnel_rejected
        self.advice = advice


class AirbyteRequestTimeoutError(AirbyteTransportError):
    """There was no response in time."""


@dataclass(frozen=True, slots=True)
class Problem:
    """
    The content of an error response, in any of the formats of docs/airbyte-api.md §6.

    :param title: The problem's title; empty for formats without one.
    :param text: The reason in words; may be empty.
    :param from_airbyte: Whether Airbyte itself wrote the body. A proxy, an ingress or a gateway in
        front of it responds with HTML, with plain text or with JSON of its own.
    :param data: Details of the problem, which depend on its title.
    :param is_html: Whether the body is an HTML page, which may also be one of Airbyte's UI.
    """

    title: str = ""
    text: str = ""
    from_airbyte: bool = True
    data: Mapping[str, Any] = field(default_factory=dict)
    is_html: bool = False

    @classmethod
    def from_response(cls, response: HttpResponse, secrets: Iterable[str] = ()) -> Self:
        """
        Parse the error response *response*.

        :param secrets: What must not appear in the result: see :func:`.scrubbing.scrub`.
        """
        if 300 <= response.status < 400:
            return cls(text=_redirect_text(response, secrets), from_airbyte=False)
        if response.is_html:
            text = "an HTML page instead of an API response"
            return cls(text=text, from_airbyte=False, is_html=True)
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return cls(text=_body_text(response, secrets), from_airbyte=_is_bare_text(response))
        title, text = _title_and_text(body)
        return cls(
            title=excerpt(title, secrets),
            text=excerpt(text, secrets) if title or text else _body_text(response, secrets),
            from_airbyte=_is_airbytes(body, response.status),
            data=_details(body, secrets) if len(response.body) <= _MAX_SEARCHED else {},
        )


def _redirect_text(response: HttpResponse, secrets: Iterable[str]) -> str:
    target = excerpt(_without_query(response.headers.get("location", "")), secrets)
    return f"a redirect to {target!r}" if target else "a redirect without a target"


def _without_query(location: str) -> str:
    try:
        return urlsplit(location)._replace(query="", fragment="").geturl()
    except ValueError:
        return ""


def _body_text(response: HttpResponse, secrets: Iterable[str]) -> str:
    return excerpt(response.body[:_MAX_SEARCHED].decode("utf-8", "replace"), secrets)


def _is_bare_text(response: HttpResponse) -> bool:
    """Whether this is one of the two bodies of Airbyte that are not JSON objects: §1, §5.6."""
    if response.status == 404:
        is_json = "json" in response.headers.get("content-type", "").lower()
        return is_json and response.body == _NO_ROUTE
    return response.status == 501 and not response.body


def _is_airbytes(body: Mapping[str, Any], status: int) -> bool:
    """
    Whether Airbyte wrote *body*: docs/airbyte-api.md §6.

    ``title`` or ``message`` alone does not show it: CDNs, API gateways and meshes have them too.
    """
    if _is_problem(body):
        return True
    if any(name in body for name in _EXCEPTION_FIELDS):
        return "message" in body
    if "self" in _mapping(body, "_links") or "errors" in _mapping(body, "_embedded"):
        return "message" in body
    if isinstance(error_id := body.get("errorId"), str):
        return is_uuid(error_id)
    return status == 429 and body == _LOAD_SHED


def _is_problem(body: Mapping[str, Any]) -> bool:
    """Whether *body* is a problem of the public API: §6.1."""
    kind = body.get("type")
    return isinstance(kind, str) and kind.startswith(_PROBLEM_TYPES) and "title" in body


def _title_and_text(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return title and reason in words, either of which may be empty."""
    if title := _text(body, "title"):
        data = _mapping(body, "data")
        texts = (_text(data, "message"), _text(data, "value"), _resource(data), _of_mappers(data))
        return title, next(filter(None, texts), _text(body, "detail"))
    message = _text(body, "message")
    if error_id := _text(body, "errorId"):
        hint = f"errorId {error_id}, see the log of airbyte-server"
        return "", f"{message.rstrip('.')} ({hint})" if message else hint
    return "", _embedded_text(body) or message


def _embedded_text(body: Mapping[str, Any]) -> str:
    """Return the text of a framework error: docs/airbyte-api.md §6.2."""
    errors = _mapping(body, "_embedded").get("errors")
    texts = [
        _text(error, "message")
        for error in (errors if isinstance(errors, list) else ())
        if isinstance(error, dict)
    ]
    return "; ".join(filter(None, texts))


def _resource(data: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (_text(data, "resourceType"), _text(data, "resourceId"))))


def _of_mappers(data: Mapping[str, Any]) -> str:
    """Return what is wrong with mappers, without themselves: docs/airbyte-api.md §4.4.11."""
    errors = data.get("errors")
    found = [
        each for each in (errors if isinstance(errors, list) else ()) if isinstance(each, dict)
    ]
    texts = [f"stream {_text(each, 'stream')}: {_text(each, 'error')}" for each in found]
    return "; ".join(dict.fromkeys(texts))


def _text(fields: Mapping[str, Any], name: str) -> str:
    """Return a field as text: nothing else is worth a place in a message."""
    value = fields.get(name)
    return str(value) if isinstance(value, str | int | float) else ""


def _mapping(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _details(body: Mapping[str, Any], secrets: Iterable[str]) -> Mapping[str, Any]:
    try:
        details = scrub_data(_mapping(body, "data"), secrets)
    except RecursionError:  # no documented details are nested deeply
        return {}
    return details if isinstance(details, dict) else {}


def excerpt(text: str, secrets: Iterable[str] = ()) -> str:
    """
    Return the beginning of *text* as one line without secrets.

    :param secrets: As for :func:`.scrubbing.scrub`.
    """
    return one_line(scrub(text[:_MAX_SEARCHED], secrets))


def one_line(text: str, max_length: int = MAX_EXCERPT_LENGTH) -> str:
    """
    Fold *text* into one line of at most *max_length* characters.

    Control characters and halves of surrogate pairs are replaced: logs and databases reject them.
    So are those that turn the direction of a text, because they let it look like another one.
    """
    folded = re.sub(r"[\s\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+", " ", text).strip()
    folded = re.sub(r"[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", folded)
    if len(folded) <= max_length:
        return folded
    return folded[: max_length - 1] + "…"


class AirbyteApiError(AirbyteError):
    """
    Airbyte, or something in front of it, returned an error response.

    :param method: Method of the request.
    :param url: URL of the request.
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
    redirect_advice = (
        "Check Host (Airbyte URL) of the Airflow connection, with https:// if this leads there. If "
        "this leads to a login, a proxy in front of Airbyte asks for it: headers of the Airflow "
        "connection must satisfy it."
    )
    # A gateway may require a key, which belongs in headers; 407 is a proxy's.
    gateway_advice = (
        "Check Host (Airbyte URL), proxy and headers of the Airflow connection: the gateway or "
        "proxy may require a key or a login."
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
        # An HTML page may be Airbyte's UI, and a redirect may lead there: the URL is wrong. But
        # Airbyte has no page that refuses somebody; nginx and proxies have.
        may_be_ui = problem.is_html and status not in _REFUSALS
        is_gateway = not (problem.from_airbyte or may_be_ui or status < 400)
        speaker = "A gateway or proxy, not Airbyte," if is_gateway else "Airbyte"
        self.summary = f"{speaker} responded to {method} {url} with {status}" + (
            f": {reason}" if reason else ""
        )
        advice = self.advice
        # A 4xx that Airbyte did not write means a wrong URL or a proxy, not a bad request. The
        # advice about a busy server holds for every speaker.
        is_about_load = isinstance(self, AirbyteServerError | AirbyteRateLimitError)
        if not problem.from_airbyte and not is_about_load:
            advice = self.gateway_advice if is_gateway else AirbyteApiError.advice
            if status < 400:
                advice = self.redirect_advice
        super().__init__(f"{self.summary}. {advice}")

    def as_error(self, error_class: type[ApiError], text: str | None = None) -> ApiError:
        """
        Return the same response as an error of class *error_class*.

        :param text: The reason in words, where more is known than the response says.
        """
        problem = self.problem if text is None else replace(self.problem, text=scrub(text))
        return error_class(
            method=self.method,
            url=self.url,
            status=self.status,
            problem=problem,
            retry_after=self.retry_after,
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
        "cancel syncs, reader to watch them, editor to create and change what is in it."
    )


class AirbyteLicenseError(AirbytePermissionError):
    """The licence of this Airbyte does not cover the request: docs/airbyte-api.md §6.1.11."""

    advice = (
        "No role helps: have the licence of this Airbyte extended, or do without the named feature."
    )


class AirbyteNotFoundError(AirbyteApiError):
    """The resource does not exist: 404, and 409 to a GET of an unknown job."""

    advice = (
        "Check the id, and that Host (Airbyte URL) of the Airflow connection is the URL of the "
        "right Airbyte."
    )


class AirbyteConflictError(AirbyteApiError):
    """The state of the connection or another resource does not allow the request: 409, 423."""

    advice = "Look at the current state in Airbyte."

    @property
    def sync_is_running(self) -> bool:
        """Whether a job of this connection is already running."""
        return self.problem.from_airbyte and self.problem.title == _TRY_AGAIN_LATER

    @property
    def state_conflict(self) -> bool:
        """
        Whether the state of the connection or job forbids the request.

        After a ``POST /jobs``: the connection is not active, or its new job did not appear within
        60 s (docs/airbyte-api.md §3.2).
        """
        return self.problem.from_airbyte and self.problem.title == _STATE_CONFLICT


class AirbyteConnectionNotActiveError(AirbyteConflictError):
    """The connection is inactive, locked or deleted, so Airbyte runs no sync of it."""

    advice = "Enable the connection in Airbyte, or remove its id from the DAG."


class AirbyteRateLimitError(AirbyteApiError):
    """Too many requests: 429. Airbyte executed nothing."""

    advice = "Nothing was executed. Raise poll_interval if this happens often."


class AirbyteServerError(AirbyteApiError):
    """Airbyte or its ingress failed: 5xx, and 408 (docs/airbyte-api.md §2.2)."""

    advice = "This is usually transient; see the logs of airbyte-server and of the ingress."


class AirbyteNotOfferedError(AirbyteServerError):
    """The operation does not exist in this edition of Airbyte: 501."""

    advice = "This edition of Airbyte does not offer the operation: it will never succeed here."


class AirbyteWriteFailedError(AirbyteServerError):
    """
    A write failed with a 500 and Airbyte's own reason, which may be the caller's fault.

    Airbyte maps every exception that it does not expect to this status: docs/airbyte-api.md
    §4.1.13. The write may have been executed up to the failure.
    """

    advice = (
        "Airbyte sends this status for invalid requests too: correct what it names, or see the "
        "log of airbyte-server. Check what exists before you try again."
    )


class AirbyteDecodeError(AirbyteError):
    """
    A successful response whose body is not the documented one.

    :param message: What failed, why and what to do, in one line without secrets.
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
    423: AirbyteConflictError,
    429: AirbyteRateLimitError,
    501: AirbyteNotOfferedError,
}


def api_error(
    request: HttpRequest, response: HttpResponse, *, retry_after: float | None = None
) -> AirbyteApiError:
    """Map an error response to its exception, without the secrets of both."""
    problem = Problem.from_response(response, (*request.secrets, *response.secrets))
    if _is_impossible(request, response, problem):
        problem = replace(problem, from_airbyte=False)
    error_class = _ERROR_CLASSES.get(response.status)
    if error_class is None:
        error_class = AirbyteServerError if response.status >= 500 else AirbyteApiError
    error = error_class(
        method=request.method,
        url=scrub(request.url, request.secrets),
        status=response.status,
        problem=problem,
        retry_after=retry_after,
    )
    if isinstance(error, AirbyteConflictError) and (job_id := _unknown_job(request, error)):
        return error.as_error(AirbyteNotFoundError, f"this Airbyte has no job {job_id}")
    if problem.title == _LICENSE and isinstance(error, AirbytePermissionError):
        return error.as_error(AirbyteLicenseError, _license_text(problem))
    if (
        request.method in _WRITES
        and problem.title == _UNEXPECTED
        and _text(problem.data, "message")
    ):
        return error.as_error(AirbyteWriteFailedError)
    return error


def _license_text(problem: Problem) -> str:
    entitlement = _text(problem.data, "entitlement")
    return f"the licence lacks the entitlement {entitlement}" if entitlement else problem.text


def _is_impossible(request: HttpRequest, response: HttpResponse, problem: Problem) -> bool:
    """
    Whether Airbyte never sends such a response on this route, so that something else did.

    For an unknown job it sends 403 or 409 (docs/airbyte-api.md §3.3): a 404 is that of a gateway
    without a route. Only the problem that the published contract documents would be Airbyte's.
    """
    return response.status == 404 and not problem.title and _job_id(request) != ""


def _unknown_job(request: HttpRequest, conflict: AirbyteConflictError) -> str:
    """
    Return the id of the job that *conflict* says is unknown; empty if it says something else.

    An instance administrator gets this text instead of a 403 (docs/airbyte-api.md §3.3). To a
    DELETE it also means that nothing is running on the job's connection (§3.4).
    """
    is_read = request.method == "GET" and conflict.state_conflict
    return _job_id(request) if is_read and conflict.problem.text == _NOT_RUNNING else ""


def _job_id(request: HttpRequest) -> str:
    """Return the id in the URL of one job; empty for every other URL."""
    match = re.search(_JOB_URL, request.url)
    return match[1] if match else ""
