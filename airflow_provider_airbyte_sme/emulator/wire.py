"""The bytes of a response, for what an HTTP library cannot send: slow, incomplete or odd ones."""

from __future__ import annotations

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.problems import reason_phrase


def is_odd(response: HttpResponse) -> bool:
    """Whether an HTTP library would not send *response* unchanged."""
    # A library adds the header `Date`, and encodes headers in UTF-8.
    return "date" not in response.headers or not all(map(_is_utf8, response.headers.values()))


def encode(response: HttpResponse, *, has_body: bool = True) -> bytes:
    """
    Return the bytes of *response*, after which the connection is closed.

    A lone surrogate in a header, as ``bytes.decode(errors="surrogateescape")`` makes it, becomes
    the byte that it stands for.

    :param has_body: Whether the body is sent; a response to ``HEAD`` has none.
    """
    status = response.status
    headers = {
        **response.headers,
        "content-length": str(len(response.body)),
        "connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {reason_phrase(status)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode(errors="surrogateescape")
    return head + response.body if has_body else head


def _is_utf8(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)
