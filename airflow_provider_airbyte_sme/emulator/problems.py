"""
Every way in which the server refuses, and the body that it says it with.

::

    RefusalError
    ├── ProblemError   raised by the public API's handlers: six keys, always all of them
    ├── HateoasError   raised by the framework before or around a handler (Micronaut)
    ├── OpaqueError    an identifier for the server's log, nothing else
    └── KnownError     the internal API's own exceptions

Sources: airbyte-platform ``api-problems.yaml``, ``AbstractThrowableProblemHandler.kt``,
``KnownExceptionHandler.kt``; micronaut-core ``DefaultJsonErrorResponseBodyProvider.java``.
"""

from __future__ import annotations

import html
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse

REFERENCE = "https://reference.airbyte.com/reference"
JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json"}
HTML_HEADERS: Mapping[str, str] = {"content-type": "text/html"}

# The web application's only page, whatever the path: airbyte-platform WebappFilter.kt.
WEBAPP_PAGE = (
    b'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Airbyte</title></head>'
    b'<body><div id="root"></div></body></html>'
)


def json_response(status: int, payload: object) -> HttpResponse:
    """Answer with *payload* as JSON, compact as the server's own encoder writes it."""
    return HttpResponse(status, JSON_HEADERS, json.dumps(payload, separators=(",", ":")).encode())


def no_content() -> HttpResponse:
    """Answer that it is done, and nothing else."""
    return HttpResponse(204)


def html_response(status: int, body: bytes = WEBAPP_PAGE) -> HttpResponse:
    """Answer with a web page."""
    return HttpResponse(status, HTML_HEADERS, body)


def gateway_page(status: int) -> HttpResponse:
    """Answer as an ingress does when the server behind it is away: a page, not JSON."""
    title = html.escape(f"{status} {reason(status)}")
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return html_response(status, page.encode())


def reason(status: int) -> str:
    """Return the reason phrase of *status* in the words of Micronaut's ``HttpStatus``."""
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "Request Entity Too Large"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


class RefusalError(Exception, ABC):
    """The server does not do what it was asked."""

    status: int

    @abstractmethod
    def response(self, path: str) -> HttpResponse:
        """Return the answer to a request for *path*."""


class ProblemError(RefusalError):
    """
    A problem as the public API writes it.

    :param kind: ``type``; a leading ``#`` stands for the reference page's errors.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        data: Mapping[str, Any] | None,
        *,
        kind: str,
    ) -> None:
        super().__init__(title, data)
        self.status = status
        self.title = title
        self.detail = detail
        self.data = data
        self.kind = f"{REFERENCE}/errors{kind}" if kind.startswith("#") or not kind else kind

    def response(self, path: str) -> HttpResponse:
        """Return the six keys in the server's order, as ``application/json``."""
        del path
        return json_response(
            self.status,
            {
                "status": self.status,
                "type": self.kind,
                "title": self.title,
                "detail": self.detail,
                "documentationUrl": None,
                "data": self.data,
            },
        )


class HateoasError(RefusalError):
    """
    The framework's own error body.

    :param message: The inner error; the default is the reason phrase.
    :param argument: ``path`` of the inner error: the handler's argument that could not be bound.
    """

    def __init__(
        self, status: int, message: str | None = None, *, argument: str | None = None
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message or reason(status)
        self.argument = argument

    def response(self, path: str) -> HttpResponse:
        """Return the body, with the request's path in its links."""
        inner: dict[str, Any] = {"message": self.message, "_links": {}, "_embedded": {}}
        if self.argument is not None:
            inner["path"] = f"/{self.argument}"
        return json_response(
            self.status,
            {
                "message": reason(self.status),
                "_links": {"self": {"href": path, "templated": False}},
                "_embedded": {"errors": [inner]},
            },
        )


class OpaqueError(RefusalError):
    """An uncaught exception, or one that the server does not explain to clients."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def response(self, path: str) -> HttpResponse:
        """Return an ``errorId`` and nothing else."""
        del path
        return json_response(self.status, {"errorId": str(uuid.uuid4())})


class KnownError(RefusalError):
    """A ``KnownException`` of the internal API."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def response(self, path: str) -> HttpResponse:
        """Return the exception's message without its class and its stack."""
        del path
        return json_response(
            self.status,
            {
                "message": self.message,
                "exceptionClassName": None,
                "exceptionStack": [],
                "rootCauseExceptionClassName": None,
                "rootCauseExceptionStack": [],
                "details": None,
                "errorId": str(uuid.uuid4()),
            },
        )


def forbidden(role: str | None = None) -> ProblemError:
    """
    Refuse a caller that the role resolver turned away.

    :param role: The one role that would have done; ``None`` when there are several.
    """
    which = f"{role} " if role else ""
    message = f"Caller does not have the required {which}permissions to access the resource(s)."
    return ProblemError(
        403, "forbidden", "The request is forbidden.", {"message": message}, kind="#forbidden"
    )


def not_found(resource_type: str, resource_id: str) -> ProblemError:
    """
    Say that an id is unknown, to a caller who may know that.

    :param resource_type: A name of ``ConfigNotFoundType.kt``.
    """
    return ProblemError(
        404,
        "resource-not-found",
        "The requested resource could not be found.",
        {"resourceType": resource_type, "resourceId": resource_id},
        kind="#resource-not-found",
    )


def bad_request(message: str) -> ProblemError:
    """Refuse a value that the handler itself checks."""
    return ProblemError(
        400,
        "bad-request",
        "The request could not be understood by the server due to malformed syntax.",
        {"message": message},
        kind="#bad-request",
    )


def value_not_found(value: str) -> ProblemError:
    """Refuse a connector name that the server has no definition for."""
    return ProblemError(
        400,
        "value-not-found",
        "The submitted value could not be found.",
        {"value": value},
        kind="",
    )


def unprocessable(message: str | None) -> ProblemError:
    """Refuse a body that is well formed and makes no sense."""
    return ProblemError(
        422,
        "unprocessable-entity",
        "The body of the request was not understood",
        None if message is None else {"message": message},
        kind="#unprocessable-entity",
    )


def try_again_later(message: str) -> ProblemError:
    """Refuse because something else is going on: the ``ValueConflict`` of a running sync."""
    return ProblemError(
        409,
        "try-again-later",
        "Please try again later.",
        {"message": message},
        kind="#try-again-later",
    )


def state_conflict(message: str = "Could not fulfill request") -> ProblemError:
    """Refuse because of a state; any ``IllegalStateException`` ends here, with the default text."""
    return ProblemError(
        409, "state-conflict", "State conflict", {"message": message}, kind="#409-state-conflict"
    )


def resource_not_found(detail: str) -> ProblemError:
    """Say that something is not there, without naming its type or id."""
    return ProblemError(404, "resource-not-found", detail, None, kind="#resource-not-found")


def request_timeout() -> ProblemError:
    """Give up on an identity provider that is slow: ``RequestTimeoutInterceptor.kt``."""
    return ProblemError(
        408,
        "Request timeout exceeded",
        "The request exceeded the timeout.",  # [inf] text
        {"timeout": "PT1S"},
        kind="error:request-timeout-exceeded",
    )


def license_entitlement() -> ProblemError:
    """Refuse what the licence does not cover."""
    return ProblemError(
        403,
        "License Entitlement Error",
        "The license does not include this feature.",  # [inf] text
        None,
        kind="error:license/entitlement",
    )


def unexpected(message: str) -> ProblemError:
    """Report what a handler did not foresee, with the raw message."""
    return ProblemError(
        500,
        "unexpected-problem",
        "An unexpected problem has occurred. If this is an error that needs to be addressed, "
        "please submit a pull request or github issue.",
        {"message": message},
        kind="",
    )
