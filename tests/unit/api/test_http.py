"""The seam between the client and the network."""

import asyncio

import pytest

from airflow_provider_airbyte_sme.api import HttpRequest, HttpResponse, run_blocking


async def answer() -> int:
    return 42


def test_a_coroutine_that_never_suspends_is_run_to_its_end():
    assert run_blocking(answer()) == 42


def test_a_coroutine_that_never_suspends_is_run_inside_a_running_event_loop_too():
    async def within_a_loop() -> int:
        return run_blocking(answer())

    assert asyncio.run(within_a_loop()) == 42


def test_an_error_of_the_coroutine_comes_out():
    async def fail() -> None:
        raise LookupError("why")

    with pytest.raises(LookupError, match="why"):
        run_blocking(fail())


def test_a_coroutine_that_suspends_is_told_of_and_closed():
    cleaned_up = []

    async def suspend() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            cleaned_up.append(True)

    with pytest.raises(RuntimeError, match="must not suspend"):
        run_blocking(suspend())
    assert cleaned_up == [True]


def test_a_request_shows_neither_its_headers_nor_its_body():
    request = HttpRequest("POST", "https://ab/token", {"Authorization": "s3cret"}, b"s3cret")

    assert "s3cret" not in repr(request)


def test_a_response_does_not_show_its_body():
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
def test_a_web_page_is_known_by_its_type_or_by_its_first_words(content_type, body, is_html):
    assert HttpResponse(200, {"content-type": content_type}, body).is_html is is_html


def test_a_response_without_headers_is_no_web_page():
    assert not HttpResponse(200).is_html


def test_json_is_decoded():
    assert HttpResponse(200, {}, b'{"a": [1]}').json() == {"a": [1]}


@pytest.mark.parametrize("body", [b"", b'{"a": ', b"\xff", b"Successful operation"])
def test_what_is_no_json_is_a_value_error(body):
    with pytest.raises(ValueError):  # noqa: PT011  the library's words are no contract
        HttpResponse(200, {}, body).json()
