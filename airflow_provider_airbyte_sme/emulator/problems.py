"""
Responses, and the exceptions that stand for error responses: ``docs/airbyte-api.md`` §6.

::

    RejectionError
    ├── ProblemError   §6.1  raised by the public API's handlers: always the same six keys
    ├── HateoasError   §6.2  raised by the framework (Micronaut) before or around a handler
    ├── OpaqueError    §6.3  an id for the server's log, nothing else
    └── KnownError     §6.3  a known exception of the config API or of authentication
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

# The web application's only page, served for every path outside the API: §1.
WEBAPP_PAGE = (
    b'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Airbyte</title></head>'
    b'<body><div id="root"></div></body></html>'
)


def json_response(status: int, payload: object) -> HttpResponse:
    """Return a response with *payload* as compact JSON, as the server encodes it."""
    return HttpResponse(status, JSON_HEADERS, json.dumps(payload, separators=(",", ":")).encode())


def no_content() -> HttpResponse:
    """Return a 204 without a body."""
    return HttpResponse(204)


def html_response(status: int, body: bytes = WEBAPP_PAGE) -> HttpResponse:
    """Return a response with a web page."""
    return HttpResponse(status, HTML_HEADERS, body)


def gateway_page(status: int) -> HttpResponse:
    """Return the error page of an ingress whose backend is unavailable: HTML, not JSON (§6.3)."""
    title = html.escape(f"{status} {reason_phrase(status)}")
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return html_response(status, page.encode())


def reason_phrase(status: int) -> str:
    """Return the reason phrase of *status*, as in Micronaut's ``HttpStatus``."""
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "Request Entity Too Large"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


class RejectionError(Exception, ABC):
    """The server rejects the request."""

    status: int

    @abstractmethod
    def response(self, path: str) -> HttpResponse:
        """Return the response to a request for *path*."""


class ProblemError(RejectionError):
    """
    A problem of the public API.

    :param kind: The field ``type``. Empty, or with a leading ``#``: relative to the reference's
        page of errors.
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


class HateoasError(RejectionError):
    """
    An error of the framework.

    :param message: The message of the inner error; the default is the reason phrase.
    :param argument: The ``path`` of the inner error: the argument that could not be bound.
    """

    def __init__(
        self, status: int, message: str | None = None, *, argument: str | None = None
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message or reason_phrase(status)
        self.argument = argument

    def response(self, path: str) -> HttpResponse:
        """Return the two nested errors, with *path* in their links."""
        inner: dict[str, Any] = {"message": self.message, "_links": {}, "_embedded": {}}
        if self.argument is not None:
            inner["path"] = f"/{self.argument}"
        return json_response(
            self.status,
            {
                "message": reason_phrase(self.status),
                "_links": {"self": {"href": path, "templated": False}},
                "_embedded": {"errors": [inner]},
            },
        )


class OpaqueError(RejectionError):
    """An uncaught exception, or one whose message stays in the server's log."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def response(self, path: str) -> HttpResponse:
        """Return an ``errorId`` and nothing else."""
        del path
        return json_response(self.status, {"errorId": str(uuid.uuid4())})


class KnownError(RejectionError):
    """A ``KnownException`` of the config API or of authentication."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def response(self, path: str) -> HttpResponse:
        """Return the exception's message, without its class and its stack trace."""
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
    Return the error for a caller without the required role.

    :param role: The required role; ``None``: one of several is enough.
    """
    which = f"{role} " if role else ""
    message = f"Caller does not have the required {which}permissions to access the resource(s)."
    return ProblemError(
        403, "forbidden", "The request is forbidden.", {"message": message}, kind="#forbidden"
    )


def not_found(resource_type: str, resource_id: str) -> ProblemError:
    """
    Return the error for an unknown id, for a caller who may know that it is unknown.

    :param resource_type: As in §6.1.
    """
    return ProblemError(
        404,
        "resource-not-found",
        "The requested resource could not be found.",
        {"resourceType": resource_type, "resourceId": resource_id},
        kind="#resource-not-found",
    )


def bad_request(message: str) -> ProblemError:
    """Return the error for a value that the handler rejects."""
    return ProblemError(
        400,
        "bad-request",
        "The request could not be understood by the server due to malformed syntax.",
        {"message": message},
        kind="#bad-request",
    )


def value_not_found(value: str) -> ProblemError:
    """Return the error for a connector name without a definition."""
    return ProblemError(
        400,
        "value-not-found",
        "The submitted value could not be found.",
        {"value": value},
        kind="",
    )


def unprocessable(message: str | None) -> ProblemError:
    """Return the error for a body that is well formed but invalid."""
    return ProblemError(
        422,
        "unprocessable-entity",
        "The body of the request was not understood",
        None if message is None else {"message": message},
        kind="#unprocessable-entity",
    )


def try_again_later(message: str) -> ProblemError:
    """Return the error for a conflict with a running sync."""
    return ProblemError(
        409,
        "try-again-later",
        "Please try again later.",
        {"message": message},
        kind="#try-again-later",
    )


def state_conflict(message: str = "Could not fulfill request") -> ProblemError:
    """Return the error for a wrong state; the default text hides the server's reason (§6.1)."""
    return ProblemError(
        409, "state-conflict", "State conflict", {"message": message}, kind="#409-state-conflict"
    )


def resource_not_found(detail: str) -> ProblemError:
    """Return the error for something unknown, without its type and id."""
    return ProblemError(404, "resource-not-found", detail, None, kind="#resource-not-found")


def request_timeout() -> ProblemError:
    """Return the error of a token exchange with a slow identity provider (§2.2)."""
    return ProblemError(
        408,
        "Request timeout exceeded",
        "The request exceeded the timeout.",  # [inf] text
        {"timeout": "PT1S"},
        kind="error:request-timeout-exceeded",
    )


def license_entitlement(entitlement: str, resource_id: str | None = None) -> ProblemError:
    """
    Return the error for a feature that the licence does not cover.

    :param entitlement: Its name, as in ``LicenseEntitlementChecker.kt``.
    :param resource_id: What it was asked for, such as a definition id.
    """
    data = {"entitlement": entitlement}
    return ProblemError(
        403,
        "License Entitlement Error",
        "The license for this organization is not entitled to use the requested feature.",
        data if resource_id is None else {**data, "resourceId": resource_id},
        kind="error:license/entitlement",
    )


def unexpected(message: str | None) -> ProblemError:
    """Return the error for an unexpected exception, with its message if there is one (§6.1)."""
    return ProblemError(
        500,
        "unexpected-problem",
        "An unexpected problem has occurred. If this is an error that needs to be addressed, "
        "please submit a pull request or github issue.",
        None if message is None else {"message": message},
        kind="",
    )
