"""HTTP values, and the runner for blocking transports."""

import asyncio

import pytest

from airflow_provider_airbyte_sme.api import HttpRequest, HttpResponse, run_blocking


async def return_42() -> int:
    return 42


def test_run_blocking_returns_the_result_of_a_coroutine_that_never_suspends():
    assert run_blocking(return_42()) == 42


def test_run_blocking_works_inside_a_running_event_loop():
    async def in_loop() -> int:
        return run_blocking(return_42())

    assert asyncio.run(in_loop()) == 42


def test_run_blocking_raises_the_exception_of_the_coroutine():
    async def fail() -> None:
        raise LookupError("why")

    with pytest.raises(LookupError, match="why"):
        run_blocking(fail())


def test_run_blocking_rejects_and_closes_a_coroutine_that_suspends():
    cleaned_up = []

    async def suspend() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            cleaned_up.append(True)

    with pytest.raises(RuntimeError, match="must not suspend"):
        run_blocking(suspend())
    assert cleaned_up == [True]


def test_the_repr_of_a_request_contains_neither_headers_nor_body():
    request = HttpRequest("POST", "https://ab/token", {"Authorization": "s3cret"}, b"s3cret")

    assert "s3cret" not in repr(request)


def test_the_repr_of_a_response_does_not_contain_its_body():
    assert "s3cret" not in repr(HttpResponse(200, {}, b'{"access_token":"s3cret"}'))


@pytest.mark.parametrize(
    ("content_type", "body", "is_html"),
    [
        ("text/html; charset=utf-8", b"", True),
        ("TEXT/HTML", b"", True),
        ("application/xhtml+xml", b"", True),
        ("application/json", b"  \n<!DOCTYPE html><p>", True),
        ("", b"<HTML>", True),
        ("application/json", b"{}", False),
        ("application/json", b'{"message":"<html>"}', False),
        ("text/plain", b"", False),
    ],
)
def test_html_is_recognised_by_its_content_type_or_its_first_tag(content_type, body, is_html):
    assert HttpResponse(200, {"content-type": content_type}, body).is_html is is_html


def test_a_response_without_headers_and_body_is_not_html():
    assert not HttpResponse(200).is_html


def test_a_json_body_is_parsed():
    assert HttpResponse(200, {}, b'{"a": [1]}').json() == {"a": [1]}


@pytest.mark.parametrize("body", [b"", b'{"a": ', b"\xff", b"Successful operation"])
def test_invalid_json_raises_a_value_error(body):
    with pytest.raises(ValueError):  # noqa: PT011  # the message is the standard library's
        HttpResponse(200, {}, body).json()


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_that_is_nested_too_deeply_raises_a_value_error(opening, closing):
    body = opening * 100_000 + b"1" + closing * 100_000

    with pytest.raises(ValueError, match="nested too deeply"):
        HttpResponse(200, {}, body).json()
